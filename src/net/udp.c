/* net/udp.c -- datagrams: in by recvmmsg batches, out by one sendmmsg per turn and socket.  Each datagram stands alone; what a
 * PROXY header on it means is decided by the table of design section 3 and by the listener's convention. */
#include "net/stage.h"
#include <errno.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DATAGRAM_MAX = 65507, UDP_RX_BYTES = 65536, UDP_AREA_BYTES = 4 * 65536, CONTROL_BYTES = 64 };
/* Not a power of two: else the beginnings of all datagrams of a batch would fall into the same few cache lines. */
enum { UDP_RX_STRIDE = UDP_RX_BYTES + 17 * 64 };

/* What recvmmsg writes to; one per worker, prepared once: after a batch only the entries it used are made good again. */
struct udp_rx {
	struct mmsghdr          m[UDP_BATCH];
	struct iovec            iov[UDP_BATCH];
	struct sockaddr_storage from[UDP_BATCH];
	char                    control[UDP_BATCH][CONTROL_BYTES];
	char                    data[UDP_BATCH][UDP_RX_STRIDE];
};

struct udp_out {
	uint32_t                off, n;
	struct sockaddr_storage to;
	unsigned                to_len;
	struct addr             source;          /* AF_NONE: the socket's own */
	struct ref              report;
};
struct udp_sock {
	struct net               *net;
	const struct socket_conf *conf;
	struct loop_io            io;
	struct list               node;          /* in net->udp_flush while datagrams wait */
	bool                      wildcard, blocked;
	unsigned                  nout;
	size_t                    used;          /* bytes of the area */
	char                     *area;
	struct udp_out            out[UDP_BATCH];
};

/* ---- in ---- */

static void drop(struct udp_sock *u, const struct addr *from, enum net_counter why, const char *text)
{
	char space[ADDR_TEXT_MAX];
	struct view a = addr_text(from, space);

	if (why != NETC_COUNT)
		net_count(u->net, why);
	log_at(L_NOTICE, "net: " VIEW_FMT ": datagram from " VIEW_FMT " dropped: %s", VIEW_ARG(u->conf->text), VIEW_ARG(a), text);
}

static unsigned udp_accepts(const struct socket_conf *s)
{
	return s->pp_udp == PP_UDP_SPP ? PP_ACCEPT_SPP : PP_ACCEPT_V1 | PP_ACCEPT_V2;
}

static bool is_header(struct view in, unsigned accept)
{
	enum pp_sniff k = pp_sniff(in, accept);

	return k != PP_SNIFF_NO && k != PP_SNIFF_MAYBE;
}

/* Upstreams answer bare on the socket that requires headers from load balancers; whether the answer is ours is for the branch
 * cookie to say, one room further up. */
static bool bare_answer(struct udp_sock *u, const struct addr *from, struct view in)
{
	return view_starts(in, VIEW("SIP/2.0 ")) && sent_lately(u->net, from);
}

static void pass_up(struct udp_sock *u, struct view message, struct origin *o)
{
	struct net *n = u->net;

	must(o->transport == TR_UDP && !ref_set(o->conn));
	if (message.n < MSG_MIN_BYTES) {
		net_count(n, NETC_udp_drop_small);
		return;
	}
	net_count(n, NETC_messages_in);
	n->ev.message(n->ev.arg, NULL, message, o);
}

/* A datagram with a header from somebody who may send one.  False: refused and counted. */
static bool take_header(struct udp_sock *u, struct view *in, struct origin *o, bool trusted)
{
	unsigned accept = udp_accepts(u->conf);
	struct pp_info info;
	enum pp_reject why;
	size_t used;

	must(!o->facts);
	if (pp_decode_dgram(*in, u->conf->pp_size, accept, &info, &used, &why) != PP_OK) {
		must(why < COUNT_OF(u->net->counts.pp_reject));
		tally_add(&u->net->counts.pp_reject[why], 1);
		drop(u, &o->wire_src, why == PP_REJ_NO_HEADER ? NETC_pp_missing : NETC_COUNT, why == PP_REJ_NO_HEADER ?
			"no PROXY header" : "bad PROXY header");
		return false;
	}
	struct facts *f = facts_new(view_sub(*in, 0, used));
	if (!f)
		return false;
	origin_take_pp(o, f, accept, trusted);
	net_count(u->net, NETC_pp_read);
	if (f->pp.local)
		net_count(u->net, NETC_pp_local);
	*in = view_from(*in, used);
	return true;
}

/* Behind the first header stands payload, unless the listener strips one more. */
static bool second_header(struct udp_sock *u, struct view *in, struct origin *o, bool trusted)
{
	struct pp_info info;
	enum pp_reject why;
	size_t used;

	if (!is_header(*in, PP_ACCEPT_V1 | PP_ACCEPT_V2))
		return true;
	if (trusted && u->conf->pp_strip_second &&
	    pp_decode_dgram(*in, u->conf->pp_size, PP_ACCEPT_V1 | PP_ACCEPT_V2, &info, &used, &why) == PP_OK) {
		*in = view_from(*in, used);
		return true;
	}
	drop(u, &o->wire_src, NETC_pp_stacked, "a second PROXY header");
	return false;
}

/* First-datagram convention: a header begins (or renews) a flow; what follows bare belongs to it. */
static bool take_flow(struct udp_sock *u, struct view *in, struct origin *o)
{
	struct net *n = u->net;

	if (is_header(*in, udp_accepts(u->conf))) {
		if (!take_header(u, in, o, true) || !second_header(u, in, o, true))
			return false;
		/* This one brought its header; only what follows it bare will be refused. */
		if (!udp_flow_learn(n->flows, u->conf, &o->wire_src, o->facts)) {
			net_count(n, NETC_pp_flow_full);
			log_at(L_WARN, "net: " VIEW_FMT ": the memory of flows is full", VIEW_ARG(u->conf->text));
		}
		return true;
	}
	struct facts *f = udp_flow_find(n->flows, u->conf, &o->wire_src);
	if (!f)
		return take_header(u, in, o, true);           /* counts what is wrong with it */
	o->facts = facts_ref(f);
	origin_real(o);
	return true;
}

static bool judge(struct udp_sock *u, struct view *in, struct origin *o)
{
	struct pp_verdict v = pp_policy(u->conf, &o->wire_src);
	bool header = is_header(*in, udp_accepts(u->conf));

	switch (v.expect) {
	case PP_EXPECT_REFUSE_SENDER:
		if (bare_answer(u, &o->wire_src, *in))
			return true;
		drop(u, &o->wire_src, NETC_pp_refused_source, "not in proxy_protocol_peers");
		return false;
	case PP_EXPECT_NONE:
		if (!header)
			return true;
		drop(u, &o->wire_src, v.unwanted, "a PROXY header that must not be");
		return false;
	case PP_EXPECT_MAYBE:
		return !header || (take_header(u, in, o, false) && second_header(u, in, o, false));
	case PP_EXPECT_HEADER:
		if (!header && bare_answer(u, &o->wire_src, *in))
			return true;
		if (u->conf->pp_udp == PP_UDP_FIRST)
			return take_flow(u, in, o);
		return take_header(u, in, o, true) && second_header(u, in, o, true);
	}
	return false;
}

static void datagram(struct udp_sock *u, const struct addr *from, const struct addr *to, struct view in)
{
	struct origin o = { .socket = u->conf, .transport = TR_UDP, .wire_src = *from, .wire_dst = *to, .real_src = *from,
		.real_dst = *to };

	net_count(u->net, NETC_udp_in);
	if (judge(u, &in, &o))
		pass_up(u, in, &o);
	origin_drop(&o);
}

static void local_of(struct udp_sock *u, struct msghdr *m, struct addr *to)
{
	*to = u->conf->at;
	if (!u->wildcard)
		return;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			const struct in_pktinfo *p = (const struct in_pktinfo *)(void *)CMSG_DATA(c);
			memcpy(to->ip, &p->ipi_addr, 4);
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			const struct in6_pktinfo *p = (const struct in6_pktinfo *)(void *)CMSG_DATA(c);
			memcpy(to->ip, &p->ipi6_addr, 16);
		}
	}
}

static void rx_prepare(struct udp_rx *rx, int i)
{
	rx->iov[i] = (struct iovec){ rx->data[i], UDP_RX_BYTES };
	rx->m[i].msg_hdr = (struct msghdr){ .msg_name = &rx->from[i], .msg_namelen = sizeof rx->from[i], .msg_iov = &rx->iov[i],
		.msg_iovlen = 1, .msg_control = rx->control[i], .msg_controllen = CONTROL_BYTES };
}

/* Returns false when the socket is empty. */
static bool read_batch(struct udp_sock *u)
{
	struct udp_rx *rx = u->net->udp_rx;
	int got = recvmmsg(u->io.fd, rx->m, UDP_BATCH, MSG_DONTWAIT, NULL);

	must(got <= UDP_BATCH);
	for (int i = 0; i < got; i++) {
		struct addr src, dst;
		addr_from_sockaddr((struct sockaddr *)&rx->from[i], &src);
		local_of(u, &rx->m[i].msg_hdr, &dst);
		datagram(u, &src, &dst, view_of(rx->data[i], rx->m[i].msg_len));
		rx_prepare(rx, i);
	}
	return got == UDP_BATCH;
}

static void ready(struct loop_io *io, uint32_t events)
{
	struct udp_sock *u = container_of(io, struct udp_sock, io);

	if (events & IO_WRITE) {
		u->blocked = false;
		loop_want(u->net->loop, io, IO_READ);
		udp_flush(u);
	}
	if (!(events & (IO_READ | IO_ERROR | IO_HUP)))
		return;
	for (int i = 0; i < UDP_TURNS && read_batch(u); i++)
		;
}

/* ---- out ---- */

static void put_source(struct msghdr *m, char *control, const struct addr *a)
{
	struct cmsghdr *c = (struct cmsghdr *)(void *)control;

	memset(control, 0, CONTROL_BYTES);
	m->msg_control = control;
	if (a->af == AF_V4) {
		struct in_pktinfo p = { 0 };
		memcpy(&p.ipi_spec_dst, a->ip, 4);
		*c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof p), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO };
		memcpy(CMSG_DATA(c), &p, sizeof p);
		m->msg_controllen = CMSG_SPACE(sizeof p);
	} else {
		struct in6_pktinfo p = { .ipi6_ifindex = a->scope };
		memcpy(&p.ipi6_addr, a->ip, 16);
		*c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof p), .cmsg_level = IPPROTO_IPV6, .cmsg_type = IPV6_PKTINFO };
		memcpy(CMSG_DATA(c), &p, sizeof p);
		m->msg_controllen = CMSG_SPACE(sizeof p);
	}
}

static void refused(struct udp_sock *u, const struct udp_out *o, int why)
{
	net_count(u->net, NETC_udp_send_error);
	log_at(L_NOTICE, "net: " VIEW_FMT ": a datagram could not be sent: %s", VIEW_ARG(u->conf->text), strerror(why));
	net_report(u->net, o->report, why == EMSGSIZE ? SEND_TOO_BIG : SEND_ERROR);
}

/* Hand out[from..] to the kernel; returns how many it is done with, refused ones included. */
static unsigned send_batch(struct udp_sock *u, unsigned from)
{
	struct mmsghdr m[UDP_BATCH];
	struct iovec iov[UDP_BATCH];
	char control[UDP_BATCH][CONTROL_BYTES];
	unsigned n = u->nout - from;

	for (unsigned i = 0; i < n; i++) {
		struct udp_out *o = &u->out[from + i];
		iov[i] = (struct iovec){ u->area + o->off, o->n };
		m[i].msg_hdr = (struct msghdr){ .msg_name = &o->to, .msg_namelen = o->to_len, .msg_iov = &iov[i], .msg_iovlen = 1 };
		if (o->source.af != AF_NONE)
			put_source(&m[i].msg_hdr, control[i], &o->source);
	}
	must(n > 0 && u->nout <= UDP_BATCH);
	int sent = sendmmsg(u->io.fd, m, n, MSG_DONTWAIT);
	if (sent > 0) {
		tally_add(&u->net->counts.c[NETC_udp_out], (uint64_t)sent);
		return (unsigned)sent;
	}
	if (errno == EAGAIN || errno == ENOBUFS) {
		u->blocked = true;
		return 0;
	}
	if (errno != EINTR) {
		refused(u, &u->out[from], errno);
		return 1;
	}
	return 0;
}

void udp_flush(struct udp_sock *u)
{
	unsigned done = 0;

	while (done < u->nout && !u->blocked)
		done += send_batch(u, done);
	if (u->blocked) {
		/* The rest waits for the socket, in its order and place. */
		memmove(u->out, u->out + done, (u->nout - done) * sizeof *u->out);
		u->nout -= done;
		loop_want(u->net->loop, &u->io, IO_READ | IO_WRITE);
		return;
	}
	u->nout = 0;
	u->used = 0;
	list_del(&u->node);
}

static struct udp_sock *udp_from(struct net *n, const struct target *t)
{
	const struct socket_conf *s = t->from;

	if (!s || s->transport != TR_UDP || s->at.af != t->to.af)
		s = net_pick_socket(n->conf, s, NULL, TR_UDP, &t->to);
	must(!s || s->index < n->conf->nsockets);
	return s ? n->udp[s->index] : NULL;
}

enum send_result udp_send(struct net *n, const struct target *t, const struct iovec *iov, int niov, size_t total, struct ref report)
{
	char header_space[HEADER_MAX];
	struct udp_sock *u = udp_from(n, t);

	if (!u)
		return SEND_NO_SOCKET;
	struct target to = *t;
	to.from = u->conf;
	struct view header = header_for(&to, header_space);
	if (header.n + total > DATAGRAM_MAX) {
		net_count(n, NETC_udp_too_big);
		return SEND_TOO_BIG;
	}
	if ((u->nout == UDP_BATCH || u->used + header.n + total > UDP_AREA_BYTES) && !u->blocked)
		udp_flush(u);
	if (u->nout == UDP_BATCH || u->used + header.n + total > UDP_AREA_BYTES)
		return SEND_FULL;
	if (!u->area && !(u->area = malloc(UDP_AREA_BYTES)))
		return SEND_ERROR;

	struct udp_out *o = &u->out[u->nout];
	*o = (struct udp_out){ .off = (uint32_t)u->used, .n = (uint32_t)(header.n + total), .report = report };
	o->to_len = addr_to_sockaddr(&t->to, &o->to);
	/* From a wildcard socket an answer leaves from the address that was asked. */
	if (u->wildcard && t->client && t->client->socket == u->conf && t->downstream)
		o->source = t->client->wire_dst;
	char *at = u->area + o->off;
	if (header.n)
		memcpy(at, header.p, header.n);
	at += header.n;
	for (int i = 0; i < niov; i++) {
		if (iov[i].iov_len)
			memcpy(at, iov[i].iov_base, iov[i].iov_len);
		at += iov[i].iov_len;
	}
	u->used += o->n;
	must(at == u->area + u->used && u->used <= UDP_AREA_BYTES);
	if (u->nout++ == 0)
		list_add_tail(&n->udp_flush, &u->node);
	net_count(n, NETC_messages_out);
	if (header.n)
		net_count(n, NETC_pp_sent);
	if (!t->downstream && u->conf->pp_mode != PP_MODE_OFF)
		sent_note(n, &t->to);
	return SEND_OK;
}

/* ---- life ---- */

static void udp_options(const struct net_conf *nc, int fd, bool wildcard, bool v6)
{
	int on = 1, size = (int)nc->udp_rcvbuf;

	if (size > 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	if (wildcard)
		setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, &on, sizeof on);
}

static bool rx_pages(struct net *n)
{
	if (n->udp_rx)
		return true;
	/* Mapped, not allocated: only pages that datagrams reach cost memory. */
	void *p = mmap(NULL, sizeof *n->udp_rx, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return false;
	n->udp_rx = p;
	for (int i = 0; i < UDP_BATCH; i++)
		rx_prepare(n->udp_rx, i);
	return true;
}

void udp_rx_free(struct net *n)
{
	if (n->udp_rx)
		munmap(n->udp_rx, sizeof *n->udp_rx);
	n->udp_rx = NULL;
}

struct udp_sock *udp_open(struct net *n, const struct socket_conf *s, struct out *err)
{
	struct udp_sock *u = rx_pages(n) ? calloc(1, sizeof *u) : NULL;

	if (!u) {
		putf(err, VIEW_FMT ": no memory", VIEW_ARG(s->text));
		return NULL;
	}
	u->net = n;
	u->conf = s;
	u->wildcard = addr_is_any(&s->at);
	u->io.ready = ready;
	list_init(&u->node);
	u->io.fd = socket_open(n->conf, s, SOCK_DGRAM, err);
	if (u->io.fd < 0)
		goto drop_it;
	udp_options(n->conf, u->io.fd, u->wildcard, s->at.af == AF_V6);
	if (!loop_watch(n->loop, &u->io, IO_READ)) {
		putf(err, VIEW_FMT ": the system watches no more descriptors", VIEW_ARG(s->text));
		goto shut;
	}
	return u;

shut:	close(u->io.fd);
drop_it: free(u);
	return NULL;
}

void udp_close(struct udp_sock *u)
{
	if (u->nout && !u->blocked)
		udp_flush(u);
	list_del(&u->node);
	loop_unwatch(u->net->loop, &u->io);
	close(u->io.fd);
	free(u->area);
	free(u);
}

void udp_flush_all(struct net *n)
{
	list_each(at, &n->udp_flush) {
		struct udp_sock *u = container_of(at, struct udp_sock, node);
		if (!u->blocked)
			udp_flush(u);
	}
}
