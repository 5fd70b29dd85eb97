/* net/listener.c -- listening sockets: one per worker and configured address (SO_REUSEPORT), accepting in bursts. */
#include "net/stage.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

struct listener {
	struct net               *net;
	const struct socket_conf *conf;
	struct loop_io            io;
	struct timer              rest;          /* out of descriptors: look again later instead of spinning */
};
enum { REST_MS = 100 };

int socket_open(const struct net_conf *nc, const struct socket_conf *s, int type, struct out *err)
{
	struct sockaddr_storage ss;
	unsigned len = addr_to_sockaddr(&s->at, &ss);
	int on = 1, family = s->at.af == AF_V6 ? AF_INET6 : AF_INET;
	int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		goto fail;
	/* An IPv6 wildcard leaves IPv4 to its own socket: no v4-mapped peers. */
	if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0)
		goto fail;
	if (type == SOCK_STREAM && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
		goto fail;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0)
		goto fail;
	if (s->tos >= 0)
		setsockopt(fd, family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP, family == AF_INET6 ? IPV6_TCLASS : IP_TOS, &s->tos, sizeof s->tos);
	if (bind(fd, (struct sockaddr *)&ss, len) < 0)
		goto fail;
	if (type == SOCK_STREAM && listen(fd, nc->backlog > 0 ? nc->backlog : SOMAXCONN) < 0)
		goto fail;
	return fd;

fail:
	putf(err, VIEW_FMT ": %s", VIEW_ARG(s->text), strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static void set(int fd, int level, int option, int value)
{
	setsockopt(fd, level, option, &value, sizeof value);
}

void socket_stream_options(const struct net_conf *nc, const struct socket_conf *s, int fd)
{
	/* Messages are written whole once a turn: Nagle could only delay them. */
	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (s->tos >= 0)
		set(fd, s->at.af == AF_V6 ? IPPROTO_IPV6 : IPPROTO_IP, s->at.af == AF_V6 ? IPV6_TCLASS : IP_TOS, s->tos);
	if (!nc->tcp_keepalive)
		return;
	set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	if (nc->keepidle_s)
		set(fd, IPPROTO_TCP, TCP_KEEPIDLE, nc->keepidle_s);
	if (nc->keepinterval_s)
		set(fd, IPPROTO_TCP, TCP_KEEPINTVL, nc->keepinterval_s);
	if (nc->keepcount)
		set(fd, IPPROTO_TCP, TCP_KEEPCNT, nc->keepcount);
}

static void admit(struct listener *l, int fd, const struct sockaddr_storage *from)
{
	struct net *n = l->net;
	struct addr remote, local = l->conf->at;
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;

	addr_from_sockaddr((const struct sockaddr *)from, &remote);
	if (pp_policy(l->conf, &remote).expect == PP_EXPECT_REFUSE_SENDER) {
		char text[ADDR_TEXT_MAX];
		struct view a = addr_text(&remote, text);
		net_count(n, NETC_pp_refused_source);
		log_at(L_WARN, "net: " VIEW_FMT ": " VIEW_FMT " refused: not in proxy_protocol_peers", VIEW_ARG(l->conf->text), VIEW_ARG(a));
		close(fd);
		return;
	}
	if (getsockname(fd, (struct sockaddr *)&ss, &len) == 0)
		addr_from_sockaddr((struct sockaddr *)&ss, &local);
	socket_stream_options(n->conf, l->conf, fd);
	struct conn *c = conn_new(n, fd, l->conf, l->conf->transport, false, &remote, &local);
	if (!c)
		return;
	pool_add_peer(c);
	conn_start(c);
}

static void ready(struct loop_io *io, uint32_t events)
{
	struct listener *l = container_of(io, struct listener, io);

	for (int i = 0; i < CONN_ACCEPT_BURST; i++) {
		struct sockaddr_storage from;
		socklen_t len = sizeof from;
		int fd = accept4(io->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			admit(l, fd, &from);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			net_count(l->net, NETC_conn_refused_limit);
			log_at(L_ERR, "net: " VIEW_FMT ": cannot accept: %s", VIEW_ARG(l->conf->text), strerror(errno));
			loop_want(l->net->loop, io, 0);
			loop_after(l->net->loop, &l->rest, REST_MS);
			return;
		}
		if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

static void rested(struct timer *t)
{
	struct listener *l = container_of(t, struct listener, rest);

	must(l->io.watched);
	loop_want(l->net->loop, &l->io, IO_READ);
}

struct listener *listener_open(struct net *n, const struct socket_conf *s, struct out *err)
{
	struct listener *l = calloc(1, sizeof *l);

	if (!l) {
		putf(err, VIEW_FMT ": no memory", VIEW_ARG(s->text));
		return NULL;
	}
	l->net = n;
	l->conf = s;
	l->io.ready = ready;
	timer_init(&l->rest, rested);
	l->io.fd = socket_open(n->conf, s, SOCK_STREAM, err);
	if (l->io.fd < 0)
		goto drop;
	if (!loop_watch(n->loop, &l->io, IO_READ)) {
		putf(err, VIEW_FMT ": the system watches no more descriptors", VIEW_ARG(s->text));
		goto shut;
	}
	return l;

shut:	close(l->io.fd);
drop:	free(l);
	return NULL;
}

void listener_close(struct listener *l)
{
	timer_clear(&l->net->loop->wheel, &l->rest);
	loop_unwatch(l->net->loop, &l->io);
	close(l->io.fd);
	free(l);
}
