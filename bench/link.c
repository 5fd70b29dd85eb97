#include "link.h"

#include "pp.h"
#include "sip.h"
#include "ws.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
	DGRAM_MAX = 4096,
	BATCH_IN = 64,
	BATCH_OUT = 32,
	SCRATCH = 256 * 1024,
	EVENTS = 256,
	SOCKET_BUFFER = 8 * 1024 * 1024,
	CONNECT_TIMEOUT_S = 20,
};

/* Datagrams waiting for one sendmmsg. */
struct batch {
	unsigned n;
	struct mmsghdr hdr[BATCH_OUT];
	struct iovec iov[BATCH_OUT];
	struct sockaddr_in to[BATCH_OUT];
	char bytes[BATCH_OUT][DGRAM_MAX];
};

/* Bytes waiting on a stream. */
struct bytes {
	char *p;
	size_t n, cap;
};

struct link_io {
	struct net *net;
	struct link *self;
	struct link_io *next; /* every socket there was, for net_free() */
	int fd;
	bool listener, ws, queued, want_out;
	SSL *ssl;
	struct batch *batch;
	struct bytes out, rest; /* rest: the beginning of an incomplete message */
	uint32_t mask;
	char pp[PP_ROOM];
	size_t pp_n;
};

struct net {
	int epoll;
	net_in_fn *fn;
	void *arg;
	struct link *clients;
	struct link_io *all;
	unsigned platform_links;
	SSL_CTX *tls;
	struct link_io **dirty;
	unsigned dirty_n, dirty_cap;
	struct net_counts counts;
	struct mmsghdr in_hdr[BATCH_IN];
	struct iovec in_iov[BATCH_IN];
	struct sockaddr_in in_from[BATCH_IN];
	char in_bytes[BATCH_IN][DGRAM_MAX];
	char scratch[SCRATCH];
};

static void *must_alloc(size_t n)
{
	void *p = calloc(1, n);

	if (!p)
		die("out of memory");
	return p;
}

struct net *net_new(net_in_fn *fn, void *arg)
{
	struct net *net = must_alloc(sizeof(*net));

	net->fn = fn;
	net->arg = arg;
	net->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (net->epoll < 0)
		die("epoll_create1");
	for (unsigned i = 0; i < BATCH_IN; i++) {
		net->in_iov[i] = (struct iovec){ net->in_bytes[i], DGRAM_MAX };
		net->in_hdr[i].msg_hdr.msg_iov = &net->in_iov[i];
		net->in_hdr[i].msg_hdr.msg_iovlen = 1;
		net->in_hdr[i].msg_hdr.msg_name = &net->in_from[i];
	}
	return net;
}

const struct net_counts *net_counts(const struct net *net)
{
	return &net->counts;
}

struct link *net_client(const struct net *net, unsigned i)
{
	return &net->clients[i];
}

static void watch(struct link_io *io, int op, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = io };

	if (epoll_ctl(io->net->epoll, op, io->fd, &ev) < 0)
		die("epoll_ctl");
}

/* The forced form needs privilege; without it the kernel's limit stands. */
static void big_buffers(int fd)
{
	int n = SOCKET_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &n, sizeof(n)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &n, sizeof(n));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &n, sizeof(n)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &n, sizeof(n));
}

static void io_init(struct net *net, struct link *l, int fd, bool stream)
{
	socklen_t n = sizeof(l->local);

	l->io = must_alloc(sizeof(*l->io));
	l->stream = stream;
	l->io->net = net;
	l->io->self = l;
	l->io->fd = fd;
	l->io->next = net->all;
	net->all = l->io;
	l->io->mask = 0x9e3779b9u * (l->id + 1);
	if (getsockname(fd, (struct sockaddr *)&l->local, &n) < 0)
		die("getsockname");
}

static void go_async(struct link_io *io)
{
	if (fcntl(io->fd, F_SETFL, O_NONBLOCK) < 0)
		die("fcntl");
	watch(io, EPOLL_CTL_ADD, EPOLLIN);
}

void net_platform(struct net *net, enum transport transport, const struct sockaddr_in *at)
{
	bool stream = transport != T_UDP;
	int fd = socket(AF_INET, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
	struct link *l = must_alloc(sizeof(*l));
	int on = 1;

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)at, sizeof(*at)) < 0)
		die("cannot bind the platform's address");
	if (stream && listen(fd, SOMAXCONN) < 0)
		die("listen");
	if (!stream)
		big_buffers(fd);
	io_init(net, l, fd, stream);
	l->io->listener = stream;
	go_async(l->io);
}

/* ---- connecting phones ------------------------------------------------ */

static void send_all(struct link_io *io, struct view v)
{
	ssize_t n = io->ssl ? SSL_write(io->ssl, v.p, (int)v.n) : send(io->fd, v.p, v.n, MSG_NOSIGNAL);

	if (n != (ssize_t)v.n)
		die("a client could not send during set-up");
}

static void tls_handshake(struct link_io *io)
{
	struct net *net = io->net;

	if (!net->tls) {
		net->tls = SSL_CTX_new(TLS_client_method());
		if (!net->tls)
			die("SSL_CTX_new");
		SSL_CTX_set_verify(net->tls, SSL_VERIFY_NONE, NULL);
		SSL_CTX_set_mode(net->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
		                               SSL_MODE_RELEASE_BUFFERS);
		SSL_CTX_set_session_cache_mode(net->tls, SSL_SESS_CACHE_OFF);
	}
	io->ssl = SSL_new(net->tls);
	if (!io->ssl || !SSL_set_fd(io->ssl, io->fd))
		die("SSL_new");
	SSL_set_tlsext_host_name(io->ssl, "localhost");
	if (SSL_connect(io->ssl) != 1) {
		ERR_print_errors_fp(stderr);
		die("TLS handshake");
	}
}

static void ws_handshake(struct link_io *io, const struct sockaddr_in *server)
{
	char buf[1024], host[INET_ADDRSTRLEN];
	struct out o = { buf, 0, sizeof(buf), false };
	struct out h = { host, 0, sizeof(host), false };
	size_t got = 0;

	inet_ntop(AF_INET, &server->sin_addr, host, sizeof(host));
	h.n = strlen(host);
	ws_upgrade(&o, out_done(&h));
	send_all(io, out_done(&o));
	while (got < sizeof(buf) && !view_has((struct view){ buf, got }, VIEW("\r\n\r\n"))) {
		ssize_t n = io->ssl ? SSL_read(io->ssl, buf + got, (int)(sizeof(buf) - got))
		                    : recv(io->fd, buf + got, sizeof(buf) - got, 0);
		if (n <= 0)
			die("the server closed during the WebSocket upgrade");
		got += (size_t)n;
	}
	if (!ws_accepted((struct view){ buf, got }))
		die("the server refused the WebSocket upgrade");
	io->ws = true;
}

/* Each client announces an address of its own out of 198.18.0.0/15, which
 * RFC 2544 keeps for benchmarks. */
static void pp_prepare(struct link_io *io, const struct net_clients *spec)
{
	struct sockaddr_in src = { .sin_family = AF_INET };
	struct out o = { io->pp, 0, sizeof(io->pp), false };
	uint32_t id = io->self->id;

	src.sin_addr.s_addr = htonl(0xc6120000u + id % 0x1ffffu + 1);
	src.sin_port = htons((uint16_t)(10000 + id % 50000));
	pp_write(&o, spec->proxy_version, !io->self->stream, &src, &spec->server);
	io->pp_n = o.n;
}

static void client_open(struct net *net, struct link *l, const struct net_clients *spec)
{
	bool stream = spec->transport != T_UDP;
	int fd = socket(AF_INET, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
	struct timeval limit = { .tv_sec = CONNECT_TIMEOUT_S };
	int on = 1;

	if (fd < 0)
		die("socket");
	if (connect(fd, (const struct sockaddr *)&spec->server, sizeof(spec->server)) < 0)
		die("cannot connect to the server");
	io_init(net, l, fd, stream);
	if (spec->proxy_version)
		pp_prepare(l->io, spec);
	if (!stream) {
		big_buffers(fd);
		go_async(l->io);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (l->io->pp_n)
		send_all(l->io, (struct view){ l->io->pp, l->io->pp_n });
	if (spec->transport == T_TLS || spec->transport == T_WSS)
		tls_handshake(l->io);
	if (spec->transport == T_WS || spec->transport == T_WSS)
		ws_handshake(l->io, &spec->server);
	go_async(l->io);
}

void net_connect(struct net *net, const struct net_clients *spec)
{
	net->clients = must_alloc(spec->count * sizeof(*net->clients));
	for (unsigned i = 0; i < spec->count; i++) {
		net->clients[i].id = i;
		net->clients[i].client = true;
		client_open(net, &net->clients[i], spec);
	}
}

/* ---- the end ---------------------------------------------------------- */

static void link_close(struct link_io *io)
{
	if (io->fd < 0)
		return;
	SSL_free(io->ssl);
	close(io->fd);
	free(io->out.p);
	free(io->rest.p);
	io->fd = -1;
	io->ssl = NULL;
	io->out = io->rest = (struct bytes){ NULL, 0, 0 };
}

void net_free(struct net *net)
{
	while (net->all) {
		struct link_io *io = net->all;
		net->all = io->next;
		link_close(io);
		free(io->batch);
		if (!io->self->client)
			free(io->self);
		free(io);
	}
	SSL_CTX_free(net->tls);
	close(net->epoll);
	free(net->clients);
	free(net->dirty);
	free(net);
}

/* ---- sending ---------------------------------------------------------- */

static void link_lost(struct link_io *io)
{
	if (io->self->dead)
		return;
	io->self->dead = true;
	io->net->counts.broken++;
	epoll_ctl(io->net->epoll, EPOLL_CTL_DEL, io->fd, NULL);
	link_close(io);
	/* Or the next connection's SSL_get_error() reads this one's error. */
	ERR_clear_error();
}

static void batch_flush(struct link_io *io)
{
	struct batch *b = io->batch;
	unsigned sent = 0;

	while (sent < b->n) {
		int n = sendmmsg(io->fd, b->hdr + sent, b->n - sent, 0);
		if (n > 0) {
			sent += (unsigned)n;
		} else if (errno != EINTR) {
			/* Refused or no room: as good as lost on the way;
			 * retransmission is there for that. */
			io->net->counts.broken++;
			sent++;
		}
	}
	b->n = 0;
}

static void datagram_send(struct link_io *io, const struct sockaddr_in *to, struct view msg)
{
	if (!io->batch) {
		io->batch = must_alloc(sizeof(*io->batch));
		for (unsigned i = 0; i < BATCH_OUT; i++) {
			io->batch->hdr[i].msg_hdr.msg_iov = &io->batch->iov[i];
			io->batch->hdr[i].msg_hdr.msg_iovlen = 1;
		}
	}
	struct batch *b = io->batch;
	if (b->n == BATCH_OUT)
		batch_flush(io);

	unsigned i = b->n++;
	struct out o = { b->bytes[i], 0, DGRAM_MAX, false };
	out_view(&o, (struct view){ io->pp, io->pp_n });
	out_view(&o, msg);
	b->iov[i] = (struct iovec){ o.p, o.n };
	if (to) {
		b->to[i] = *to;
		b->hdr[i].msg_hdr.msg_name = &b->to[i];
		b->hdr[i].msg_hdr.msg_namelen = sizeof(b->to[i]);
	}
}

static char *bytes_room(struct bytes *b, size_t n)
{
	if (b->cap - b->n < n) {
		b->cap = (b->n + n) * 2;
		b->p = realloc(b->p, b->cap);
		if (!b->p)
			die("out of memory");
	}
	return b->p + b->n;
}

static void mark_dirty(struct link_io *io)
{
	struct net *net = io->net;

	if (io->queued)
		return;
	if (net->dirty_n == net->dirty_cap) {
		net->dirty_cap = net->dirty_cap ? net->dirty_cap * 2 : 64;
		net->dirty = realloc(net->dirty, net->dirty_cap * sizeof(struct link_io *));
		if (!net->dirty)
			die("out of memory");
	}
	io->queued = true;
	net->dirty[net->dirty_n++] = io;
}

static void frame_send(struct link_io *io, enum ws_op op, struct view msg)
{
	io->mask = io->mask * 1664525u + 1013904223u;
	io->out.n += ws_frame(bytes_room(&io->out, msg.n + WS_HEAD_MAX), op, io->mask, msg);
	mark_dirty(io);
}

void link_send(struct link *l, const struct sockaddr_in *to, struct view msg)
{
	struct link_io *io = l->io;

	if (l->dead) {
		io->net->counts.broken++;
		return;
	}
	if (io->ws) {
		frame_send(io, WS_TEXT, msg);
		return;
	}
	if (l->stream) {
		memcpy(bytes_room(&io->out, msg.n), msg.p, msg.n);
		io->out.n += msg.n;
	} else {
		datagram_send(io, to, msg);
	}
	mark_dirty(io);
}

/* Bytes taken by the socket; 0 when it is full; -1 when it is lost. */
static ssize_t stream_write(struct link_io *io, const char *p, size_t n)
{
	if (io->ssl) {
		size_t done;
		if (SSL_write_ex(io->ssl, p, n, &done))
			return (ssize_t)done;
		int why = SSL_get_error(io->ssl, 0);
		return why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ ? 0 : -1;
	}
	ssize_t done = send(io->fd, p, n, MSG_NOSIGNAL);
	if (done < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	return done;
}

static void stream_flush(struct link_io *io)
{
	size_t sent = 0;

	while (sent < io->out.n) {
		ssize_t n = stream_write(io, io->out.p + sent, io->out.n - sent);
		if (n < 0) {
			link_lost(io);
			return;
		}
		if (n == 0)
			break;
		sent += (size_t)n;
	}
	io->out.n -= sent;
	memmove(io->out.p, io->out.p + sent, io->out.n);
	if (io->want_out != (io->out.n > 0)) {
		io->want_out = io->out.n > 0;
		watch(io, EPOLL_CTL_MOD, io->want_out ? EPOLLIN | EPOLLOUT : EPOLLIN);
	}
}

void net_flush(struct net *net)
{
	for (unsigned i = 0; i < net->dirty_n; i++) {
		struct link_io *io = net->dirty[i];
		io->queued = false;
		if (io->self->dead)
			continue;
		if (io->self->stream)
			stream_flush(io);
		else
			batch_flush(io);
	}
	net->dirty_n = 0;
}

/* ---- receiving -------------------------------------------------------- */

static void accept_all(struct link_io *listener)
{
	struct net *net = listener->net;
	int on = 1, fd;

	while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct link *l = must_alloc(sizeof(*l));
		l->id = net->platform_links++;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		io_init(net, l, fd, true);
		watch(l->io, EPOLL_CTL_ADD, EPOLLIN);
	}
}

static void datagrams_in(struct link_io *io)
{
	struct net *net = io->net;
	int n;

	do {
		for (unsigned i = 0; i < BATCH_IN; i++)
			net->in_hdr[i].msg_hdr.msg_namelen = sizeof(net->in_from[i]);
		n = recvmmsg(io->fd, net->in_hdr, BATCH_IN, MSG_DONTWAIT, NULL);
		if (n < 0 && errno == ECONNREFUSED)
			net->counts.broken++;
		for (int i = 0; i < n; i++)
			net->fn(net->arg, io->self, &net->in_from[i],
			        (struct view){ net->in_bytes[i], net->in_hdr[i].msg_len });
	} while (n == BATCH_IN);
}

/* Deliver the message at the start of `in`; its length, 0 if it is not
 * complete, -1 if it is none. */
static ssize_t sip_take(struct link_io *io, struct view in)
{
	struct sip m;
	size_t used;

	/* Keepalive and its answer between messages, RFC 5626 3.5.1. */
	if (in.p[0] == '\r' || in.p[0] == '\n')
		return 1;
	switch (sip_read(in, false, &m, &used)) {
	case SIP_MORE:
		return 0;
	case SIP_BAD:
		return -1;
	case SIP_OK:
		break;
	}
	io->net->fn(io->net->arg, io->self, NULL, (struct view){ in.p, used });
	return (ssize_t)used;
}

static ssize_t frame_take(struct link_io *io, struct view in)
{
	struct view payload;
	enum ws_op op;
	size_t used;

	switch (ws_decode(in, &op, &payload, &used)) {
	case WS_MORE:
		return 0;
	case WS_BAD:
		return -1;
	case WS_OK:
		break;
	}
	if (op == WS_PING)
		frame_send(io, WS_PONG, payload);
	else if (op == WS_CLOSE)
		return -1;
	else if (op != WS_PONG && payload.n > 4)
		io->net->fn(io->net->arg, io->self, NULL, payload);
	return (ssize_t)used;
}

static void bytes_in(struct link_io *io, struct view in)
{
	while (in.n) {
		ssize_t n = io->ws ? frame_take(io, in) : sip_take(io, in);
		if (n == 0)
			break;
		if (n < 0) {
			io->net->counts.garbled++;
			link_lost(io);
			return;
		}
		in.p += n;
		in.n -= (size_t)n;
	}
	io->rest.n = 0;
	if (in.n) {
		memcpy(bytes_room(&io->rest, in.n), in.p, in.n);
		io->rest.n = in.n;
	}
}

/* As stream_write(); reading the end counts as lost. */
static ssize_t stream_read(struct link_io *io, char *p, size_t n)
{
	if (io->ssl) {
		size_t done;
		if (SSL_read_ex(io->ssl, p, n, &done))
			return (ssize_t)done;
		int why = SSL_get_error(io->ssl, 0);
		return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
	}
	ssize_t done = recv(io->fd, p, n, 0);
	if (done < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	return done ? done : -1;
}

static void stream_in(struct link_io *io)
{
	char *p = io->net->scratch;

	while (!io->self->dead) {
		size_t have = io->rest.n;
		if (have)
			memcpy(p, io->rest.p, have);
		ssize_t n = stream_read(io, p + have, SCRATCH - have);
		if (n < 0)
			link_lost(io);
		if (n <= 0)
			return;
		bytes_in(io, (struct view){ p, have + (size_t)n });
		/* A plain socket that gave less than was asked for is empty; a
		 * TLS one gives a record at a time. */
		if (!io->ssl && have + (size_t)n < SCRATCH)
			return;
	}
}

void net_poll(struct net *net, uint64_t wait_us)
{
	struct epoll_event ev[EVENTS];
	struct timespec wait = { (time_t)(wait_us / 1000000), (long)(wait_us % 1000000) * 1000 };
	int n = epoll_pwait2(net->epoll, ev, EVENTS, &wait, NULL);

	for (int i = 0; i < n; i++) {
		struct link_io *io = ev[i].data.ptr;
		if (io->listener)
			accept_all(io);
		else if (!io->self->stream)
			datagrams_in(io);
		else {
			if (ev[i].events & EPOLLOUT)
				mark_dirty(io);
			stream_in(io);
		}
	}
}
