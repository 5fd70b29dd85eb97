/* test/unit/net/kit.h -- hosts on loopback whose clock is turned by hand, raw sockets to talk to them, and what they heard. */
#ifndef NET_KIT_H
#define NET_KIT_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>
#include "net/net.h"

enum { HEARD = 256, HOST_SOCKETS = 6, TURNS = 400 };

struct heard { struct view text; struct origin o; };
struct failed { struct ref report; enum send_result why; };
struct bad { enum sip_fault why; struct view head; };
struct host {
	uint16_t           id;
	struct loop       *loop;
	struct net        *net;
	struct net_conf    conf;
	struct socket_conf sock[HOST_SOCKETS];
	struct net_peers  *peers;
	bool               own_peers, busy;      /* busy: ask for backpressure */
	struct heard       heard[HEARD];
	unsigned           nheard, nbad, nfailed;
	struct failed      failed[HEARD];
	struct bad         bad[8];
	char               err[256];
	const char        *answer;               /* sent on a bad frame */
};

static uint64_t kit_now = 1000000;
static inline uint64_t kit_mono(void *arg) { return kit_now; }
static inline uint64_t kit_unix(void *arg) { return UINT64_C(1700000000000) + kit_now; }

static inline struct view kit_copy(struct view v)
{
	char *p = malloc(v.n + 1);
	if (v.n)
		memcpy(p, v.p, v.n);
	p[v.n] = 0;
	return view_of(p, v.n);
}

static inline bool kit_message(void *arg, struct buf *bytes, struct view msg, const struct origin *o)
{
	struct host *h = arg;
	assert_true(h->nheard < HEARD);
	assert_true(!bytes || (msg.p >= bytes->data && msg.p + msg.n <= bytes->data + bytes->n));
	struct heard *e = &h->heard[h->nheard++];
	e->text = kit_copy(msg);
	origin_keep(&e->o, o);
	return !h->busy;
}

static inline void kit_bad(void *arg, struct view head, enum sip_fault why, const struct origin *o)
{
	struct host *h = arg;
	h->bad[h->nbad++] = (struct bad){ why, kit_copy(head) };
	if (h->answer) {
		struct target t = { .transport = o->transport, .to = o->wire_src, .flow = o->conn, .flow_only = true, .downstream = true };
		struct iovec v = { (char *)h->answer, strlen(h->answer) };
		assert_int_equal(net_send(h->net, &t, &v, 1, NO_REF), SEND_OK);
	}
}

static inline void kit_failed(void *arg, struct ref report, enum send_result why)
{
	struct host *h = arg;
	h->failed[h->nfailed++] = (struct failed){ report, why };
}

static inline uint16_t kit_port(int type)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	int fd = socket(AF_INET, type, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static inline struct addr kit_addr(const char *text)
{
	struct addr a;
	assert_true(addr_parse(view_str(text), &a));
	return a;
}

/* A host with default settings; add sockets, change settings, then kit_open(). */
static inline struct host *kit_host(void)
{
	struct host *h = calloc(1, sizeof *h);
	signal(SIGPIPE, SIG_IGN);
	log_set_level(L_ALERT);
	h->conf = (struct net_conf){ .idle_ms = CONN_IDLE_MS, .connect_ms = CONN_CONNECT_MS, .message_ms = CONN_MESSAGE_MS,
		.handshake_ms = CONN_HANDSHAKE_MS, .tls_handshake_ms = CONN_HANDSHAKE_MS, .max_message = MSG_MAX_BYTES, .max_conns = 1000,
		.backlog = 64, .crlf_pong = true };
	h->peers = calloc(1, sizeof *h->peers);
	h->peers->n = 1;
	h->own_peers = true;
	return h;
}

static inline struct socket_conf *kit_socket(struct host *h, enum transport t)
{
	struct socket_conf *s = &h->sock[h->conf.nsockets];
	*s = (struct socket_conf){ .index = (uint16_t)h->conf.nsockets, .transport = t, .at = kit_addr("127.0.0.1"), .tos = -1, .send_version = 1,
		.pp_timeout_ms = PP_TIMEOUT_MS, .pp_size = PP_SIZE_DEFAULT, .text = view_str("test") };
	s->at.port = kit_port(t == TR_UDP ? SOCK_DGRAM : SOCK_STREAM);
	h->conf.nsockets++;
	return s;
}

static inline void kit_open(struct host *h)
{
	static const struct net_events ev = { NULL, kit_message, kit_bad, kit_failed };
	struct net_events mine = ev;
	struct out err = out_to(h->err, sizeof h->err - 1);
	mine.arg = h;
	h->conf.sockets = h->sock;
	h->loop = loop_new(h->id, (struct loop_clock){ kit_mono, kit_unix, NULL });
	h->net = net_new(h->loop, h->id, &h->conf, &mine, h->peers, (struct hash_key){ 1, 2 }, &err);
	if (!h->net)
		print_message("net_new: %s\n", h->err);
	assert_non_null(h->net);
}

static inline void kit_forget(struct host *h)
{
	for (unsigned i = 0; i < h->nheard; i++) {
		free((char *)h->heard[i].text.p);
		origin_drop(&h->heard[i].o);
	}
	h->nheard = 0;
}

static inline void kit_close(struct host *h)
{
	kit_forget(h);
	for (unsigned i = 0; i < h->nbad; i++)
		free((char *)h->bad[i].head.p);
	inbox_drain(h->loop);
	net_free(h->net);
	loop_free(h->loop);
	if (h->own_peers)
		free(h->peers);
	free(h);
}

/* One turn of everybody; a little real time passes, the hosts' time does not. */
static inline void kit_turn(struct host **h)
{
	for (; *h; h++)
		loop_turn((*h)->loop, 1);
}
/* The same without waiting: what was sent over loopback is there already. */
static inline void kit_turn_at_once(struct host **h)
{
	for (; *h; h++)
		loop_turn((*h)->loop, 0);
}
#define HOSTS(...) ((struct host *[]){ __VA_ARGS__, NULL })
#define kit_until(hosts, cond) do { \
	int turns_ = 0; \
	for (; !(cond) && turns_ < TURNS; turns_++) \
		kit_turn(hosts); \
	if (!(cond)) \
		fail_msg("never came true: %s", #cond); \
} while (0)
static inline void kit_turns(struct host **h, int n)
{
	while (n-- > 0)
		kit_turn(h);
}
static inline void kit_later(struct host **h, uint64_t ms)
{
	kit_now += ms;
	kit_turns(h, 3);
}
static inline uint64_t kit_count(const struct host *h, enum net_counter c) { return net_counts(h->net)->c[c]; }

/* ---- raw sockets ---- */

static inline int raw_socket(int type, const char *from)
{
	struct addr a = kit_addr(from);
	struct sockaddr_storage ss;
	unsigned n = addr_to_sockaddr(&a, &ss);
	int on = 1, fd = socket(a.af == AF_V6 ? AF_INET6 : AF_INET, type, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, n), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);      /* a byte written is a byte sent */
	return fd;
}

static inline int raw_connect(const char *from, const struct addr *to)
{
	struct sockaddr_storage ss;
	unsigned n = addr_to_sockaddr(to, &ss);
	int fd = raw_socket(SOCK_STREAM, from);
	int r = connect(fd, (struct sockaddr *)&ss, n);
	assert_true(r == 0 || errno == EINPROGRESS);
	struct pollfd p = { fd, POLLOUT, 0 };
	assert_int_equal(poll(&p, 1, 1000), 1);
	return fd;
}

static inline void raw_put(int fd, const char *p, size_t n)
{
	assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), n);
}
static inline void raw_say(int fd, const char *s) { raw_put(fd, s, strlen(s)); }

static inline void raw_to(int fd, const struct addr *to, const char *p, size_t n)
{
	struct sockaddr_storage ss;
	unsigned len = addr_to_sockaddr(to, &ss);
	assert_int_equal(sendto(fd, p, n, 0, (struct sockaddr *)&ss, len), n);
}

static inline struct addr raw_name(int fd)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof ss;
	struct addr a;
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &n), 0);
	addr_from_sockaddr((struct sockaddr *)&ss, &a);
	return a;
}

/* Everything received so far is appended to b; true when the peer has closed. */
struct raw { char b[70000]; size_t n; bool closed; };
static inline void raw_hear(int fd, struct raw *r)
{
	ssize_t k;
	while (r->n < sizeof r->b - 1 && (k = recv(fd, r->b + r->n, sizeof r->b - 1 - r->n, MSG_DONTWAIT)) >= 0) {
		if (k == 0) {
			r->closed = true;
			break;
		}
		r->n += (size_t)k;
	}
	if (!r->closed && errno == ECONNRESET)
		r->closed = true;
	r->b[r->n] = 0;
}
#define raw_until(hosts, fd, raw, cond) do { \
	int tries_ = 0; \
	for (raw_hear(fd, raw); !(cond) && tries_ < TURNS; tries_++) { \
		kit_turn(hosts); \
		raw_hear(fd, raw); \
	} \
	if (!(cond)) \
		fail_msg("never came true: %s; heard %zu bytes: %.200s", #cond, (raw)->n, (raw)->b); \
} while (0)

#define OPTIONS_WITH(id) "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP x;branch=z9hG4bK" id "\r\nFrom: <sip:a@b>;tag=1\r\n" \
	"To: <sip:a@b>\r\nCall-ID: " id "\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
#define RESPONSE "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n" \
	"To: <sip:a@b>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"

static inline enum send_result kit_send(struct host *h, const struct target *t, const char *s, struct ref report)
{
	struct iovec v = { (char *)s, strlen(s) };
	return net_send(h->net, t, &v, 1, report);
}
static inline struct ref kit_ref(uint32_t slot) { return (struct ref){ 0, REF_BRANCH, slot, 1 }; }

static inline struct cidr kit_cidr(const char *s)
{
	struct cidr c;
	assert_true(cidr_parse(view_str(s), &c));
	return c;
}
#endif
