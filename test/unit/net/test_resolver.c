#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include "net/net.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- a name server on the same loop ---------------------------------------------------------------------------------------- */

enum { T_A = 1, T_CNAME = 5, T_AAAA = 28, T_SRV = 33, T_NAPTR = 35 };

/* SRV: a b port target; NAPTR: a b flags/service target; else `text`. */
struct rr { const char *name; uint16_t type; uint32_t ttl; uint16_t a, b, port; const char *flags, *service, *text; };

static const struct rr zone[] = {
	{ "plain.test", T_A, 60, .text = "192.0.2.1" },
	{ "plain.test", T_A, 60, .text = "192.0.2.2" },
	{ "both.test", T_A, 60, .text = "192.0.2.3" },
	{ "both.test", T_AAAA, 60, .text = "2001:db8::3" },
	{ "alias.test", T_CNAME, 60, .text = "plain.test" },
	{ "short.test", T_A, 0, .text = "192.0.2.9" },
	{ "long.test", T_A, 0x7fffffff, .text = "192.0.2.10" },

	{ "naptr.test", T_NAPTR, 60, 20, 10, .flags = "S", .service = "SIP+D2U", .text = "_sip._udp.naptr.test" },
	{ "naptr.test", T_NAPTR, 60, 10, 20, .flags = "s", .service = "SIP+D2T", .text = "_sip._tcp.naptr.test" },
	{ "naptr.test", T_NAPTR, 60, 10, 10, .flags = "s", .service = "sips+d2t", .text = "_sips._tcp.naptr.test" },
	{ "naptr.test", T_NAPTR, 60, 1, 1, .flags = "u", .service = "E2U+sip", .text = "plain.test" },
	{ "naptr.test", T_NAPTR, 60, 1, 2, .flags = "s", .service = "SIP+D2S", .text = "_sip._sctp.naptr.test" },
	{ "_sip._udp.naptr.test", T_SRV, 60, 1, 1, 5070, .text = "a.naptr.test" },
	{ "_sip._tcp.naptr.test", T_SRV, 60, 1, 1, 5071, .text = "a.naptr.test" },
	{ "_sips._tcp.naptr.test", T_SRV, 60, 1, 1, 5072, .text = "A.Naptr.Test" },
	{ "a.naptr.test", T_A, 60, .text = "192.0.2.20" },

	{ "_sip._udp.srv.test", T_SRV, 60, 20, 0, 5082, .text = "s3.srv.test" },
	{ "_sip._udp.srv.test", T_SRV, 60, 10, 1, 5080, .text = "s1.srv.test" },
	{ "_sip._udp.srv.test", T_SRV, 60, 10, 3, 5081, .text = "s2.srv.test" },
	{ "_sip._tcp.srv.test", T_SRV, 60, 10, 3, 5083, .text = "s3.srv.test" },
	{ "s1.srv.test", T_A, 60, .text = "192.0.2.31" },
	{ "s2.srv.test", T_A, 60, .text = "192.0.2.32" },
	{ "s3.srv.test", T_A, 60, .text = "192.0.2.33" },
	{ "srv.test", T_A, 60, .text = "192.0.2.39" },

	{ "_sip._udp.partly.test", T_SRV, 60, 1, 0, 5060, .text = "nosuch.partly.test" },
	{ "_sip._udp.partly.test", T_SRV, 60, 2, 0, 5060, .text = "silent.partly.test" },
	{ "_sip._udp.partly.test", T_SRV, 60, 3, 0, 5060, .text = "plain.test" },

	{ "_sip._udp.off.test", T_SRV, 60, 0, 0, 0, .text = "" },
	{ "off.test", T_A, 60, .text = "192.0.2.40" },

	{ "_sip._udp.evil.test", T_SRV, 60, 1, 0, 5060, .text = "127.0.0.1" },
	{ "_sip._udp.evil.test", T_SRV, 60, 1, 0, 5060, .text = "white space.test" },
	{ "_sip._udp.evil.test", T_SRV, 60, 1, 0, 5060, .text = "cr\r\nlf.test" },
	{ "_sip._udp.evil.test", T_SRV, 60, 1, 0, 0, .text = "plain.test" },
	{ "_sip._udp.evil.test", T_SRV, 60, 2, 0, 5061, .text = "plain.test" },
	{ "loop.test", T_CNAME, 60, .text = "loop.test" },
	{ "null.test", T_A, 60, .text = "0.0.0.0" },
};

static struct {
	struct loop_io     io;
	int                queries, dead;       /* dead: answers SERVFAIL to everything */
	struct sockaddr_in at;
} server;

static struct { struct loop *l; struct resolver *r; uint64_t now, chance; } t;

static void put16(unsigned char *p, size_t *n, unsigned v)
{
	p[(*n)++] = (unsigned char)(v >> 8);
	p[(*n)++] = (unsigned char)v;
}

static void put_name(unsigned char *p, size_t *n, const char *name)
{
	while (*name) {
		size_t len = strcspn(name, ".");
		p[(*n)++] = (unsigned char)len;
		memcpy(p + *n, name, len);
		*n += len;
		name += len + (name[len] == '.');
	}
	p[(*n)++] = 0;
}

static void put_text(unsigned char *p, size_t *n, const char *s)
{
	p[(*n)++] = (unsigned char)strlen(s);
	memcpy(p + *n, s, strlen(s));
	*n += strlen(s);
}

static void put_rr(unsigned char *p, size_t *n, const struct rr *r)
{
	put_name(p, n, r->name);
	put16(p, n, r->type);
	put16(p, n, 1);
	put16(p, n, r->ttl >> 16);
	put16(p, n, r->ttl & 0xffff);
	size_t len_at = *n;
	*n += 2;
	switch (r->type) {
	case T_A:
		inet_pton(AF_INET, r->text, p + *n);
		*n += 4;
		break;
	case T_AAAA:
		inet_pton(AF_INET6, r->text, p + *n);
		*n += 16;
		break;
	case T_SRV:
		put16(p, n, r->a);
		put16(p, n, r->b);
		put16(p, n, r->port);
		put_name(p, n, r->text);
		break;
	case T_NAPTR:
		put16(p, n, r->a);
		put16(p, n, r->b);
		put_text(p, n, r->flags);
		put_text(p, n, r->service);
		put_text(p, n, "");
		put_name(p, n, r->text);
		break;
	default:
		put_name(p, n, r->text);
	}
	size_t end = *n;
	put16(p, &len_at, (unsigned)(end - len_at - 2));
	*n = end;
}

/* Records of the name; follows one alias.  False when the name does not exist. */
static bool fill(unsigned char *p, size_t *n, unsigned *count, const char *name, uint16_t type)
{
	bool exists = false;

	for (size_t i = 0; i < sizeof zone / sizeof *zone; i++) {
		const struct rr *r = &zone[i];
		if (strcasecmp(r->name, name) != 0)
			continue;
		exists = true;
		if (r->type == type || r->type == T_CNAME) {
			put_rr(p, n, r);
			++*count;
		}
		if (r->type == T_CNAME && strcmp(r->text, name) != 0)
			fill(p, n, count, r->text, type);
	}
	return exists;
}

static void many(unsigned char *p, size_t *n, unsigned *count, const char *name)
{
	char text[32];

	for (unsigned i = 0; i < 40; i++) {
		snprintf(text, sizeof text, "198.51.100.%u", i + 1);
		put_rr(p, n, &(struct rr){ .name = name, .type = T_A, .ttl = 60, .text = text });
		++*count;
	}
}

static void serve(struct loop_io *io, uint32_t events)
{
	unsigned char      in[1024], out[8192];
	struct sockaddr_in from;
	socklen_t          len = sizeof from;
	ssize_t            got = recvfrom(io->fd, in, sizeof in, 0, (struct sockaddr *)&from, &len);
	char               name[256] = "";
	size_t             at = 12, used = 0;

	if (got < 17)
		return;
	while (at < (size_t)got && in[at]) {
		memcpy(name + used, in + at + 1, in[at]);
		used += in[at];
		name[used++] = '.';
		at += in[at] + 1u;
	}
	name[used ? used - 1 : 0] = '\0';
	uint16_t type = (uint16_t)(in[at + 1] << 8 | in[at + 2]);
	size_t   n = at + 5;
	unsigned count = 0, rcode = 0;

	server.queries++;
	if (strstr(name, "silent"))
		return;
	memcpy(out, in, n);
	if (server.dead || strstr(name, "servfail"))
		rcode = 2;
	else if (strstr(name, "garbage")) {
		count = 3;
		for (int i = 0; i < 40; i++)
			out[n++] = (unsigned char)(0xc0 | i);     /* compression pointers into the void */
	} else if (strstr(name, "overrun")) {
		put_rr(out, &n, &(struct rr){ .name = name, .type = type, .ttl = 60, .a = 1, .b = 1, .port = 5060, .flags = "s", .service = "SIP+D2U", .text = "1.2.3.4" });
		count = 1;
		n -= 3;
	} else if (strstr(name, "liar")) {
		out[13] ^= 1;                                     /* the answer is to a question that nobody asked */
		put_rr(out, &n, &(struct rr){ .name = name, .type = T_A, .ttl = 60, .text = "203.0.113.66" });
		count = 1;
	} else if (strstr(name, "many") && type == T_A)
		many(out, &n, &count, name);
	else if (!fill(out, &n, &count, name, type))
		rcode = 3;
	out[2] = 0x84;
	out[3] = (unsigned char)(0x80 | rcode);
	size_t counts = 6;
	put16(out, &counts, count);
	put16(out, &counts, 0);
	put16(out, &counts, 0);
	assert_int_equal(sendto(io->fd, out, n, 0, (struct sockaddr *)&from, len), n);
}

/* ---- the stand ---------------------------------------------------------------------------------------------------------------- */

static uint64_t mono(void *arg) { return t.now; }
static uint64_t wall(void *arg) { return 1700000000000 + t.now; }
static uint64_t chance(void *arg) { return t.chance; }

static const unsigned any = 1u << TR_UDP | 1u << TR_TCP | 1u << TR_TLS | 1u << TR_WS | 1u << TR_WSS;
static const struct hash_key key = { 1, 2 };

static void start(bool naptr, bool ipv6)
{
	char servers[32];

	snprintf(servers, sizeof servers, "127.0.0.1:%u", ntohs(server.at.sin_port));
	struct resolver_conf c = { .naptr = naptr, .ipv6 = ipv6, .servers = view_str(servers) };
	t.r = resolver_new(t.l, &c, key, chance, NULL);
	assert_non_null(t.r);
	server.queries = 0;
	t.chance = 0;
}

static int setup(void **state)
{
	socklen_t len = sizeof server.at;

	t.now = 1000;
	t.l = loop_new(0, (struct loop_clock){ mono, wall, NULL });
	assert_non_null(t.l);
	server.io = (struct loop_io){ .fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), .ready = serve };
	server.at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	server.dead = 0;
	assert_int_equal(bind(server.io.fd, (struct sockaddr *)&server.at, sizeof server.at), 0);
	assert_int_equal(getsockname(server.io.fd, (struct sockaddr *)&server.at, &len), 0);
	assert_true(loop_watch(t.l, &server.io, IO_READ));
	t.r = NULL;
	return 0;
}

static int teardown(void **state)
{
	resolver_free(t.r);
	loop_unwatch(t.l, &server.io);
	close(server.io.fd);
	loop_free(t.l);
	return 0;
}

struct heard { int times; size_t n; struct candidate list[DNS_CANDIDATES]; char why[80]; struct resolve_job *job; };

static void hear(void *arg, const struct candidate *list, size_t n, const char *why)
{
	struct heard *h = arg;

	h->times++;
	h->n = n;
	if (n)
		memcpy(h->list, list, n * sizeof *list);
	snprintf(h->why, sizeof h->why, "%s", why ? why : "");
}

static int start_ask(struct heard *h, struct resolve_ask ask)
{
	*h = (struct heard){ 0 };
	int n = resolve(t.r, &ask, h->list, hear, h, &h->job);
	assert_int_equal(h->times, 0);          /* never from inside */
	if (n > 0) {
		h->n = (size_t)n;
		assert_null(h->job);
	} else if (n == 0) {
		assert_non_null(h->job);
	}
	return n;
}

static void wait_for(struct heard *h)
{
	for (int i = 0; i < 200 && !h->times; i++)
		loop_turn(t.l, 20);
	assert_int_equal(h->times, 1);
}

static void turn_ask(struct heard *h, struct resolve_ask ask)
{
	assert_int_equal(start_ask(h, ask), 0);
	wait_for(h);
}

static struct resolve_ask name(const char *host)
{
	return (struct resolve_ask){ view_str(host), 0, TR_NONE, false, any };
}

static struct resolve_ask udp(const char *host, uint16_t port)
{
	return (struct resolve_ask){ view_str(host), port, TR_UDP, false, any };
}

static void expect(const struct heard *h, size_t n, const char *const *want)
{
	char buf[ADDR_TEXT_MAX], text[ADDR_TEXT_MAX + 8];

	if (h->n != n)
		fail_msg("%zu candidates instead of %zu (%s)", h->n, n, h->why);
	for (size_t i = 0; i < n; i++) {
		snprintf(text, sizeof text, VIEW_FMT ":" VIEW_FMT, VIEW_ARG(transport_name(h->list[i].transport)),
			VIEW_ARG(addr_text(&h->list[i].to, buf)));
		assert_string_equal(text, want[i]);
	}
}
#define EXPECT(h, ...) do { const char *const want_[] = { __VA_ARGS__ }; expect(&(h), sizeof want_ / sizeof *want_, want_); } while (0)

/* ---- what needs no question ---------------------------------------------------------------------------------------------------- */

static void numeric_hosts(void **state)
{
	struct heard h;

	start(true, false);
	static const struct { struct resolve_ask ask; const char *want; } cases[] = {
		{ { VIEW_INIT("192.0.2.7"), 0, TR_NONE, false, ~0u },        "udp:192.0.2.7:5060" },
		{ { VIEW_INIT("192.0.2.7"), 5099, TR_TCP, false, ~0u },      "tcp:192.0.2.7:5099" },
		{ { VIEW_INIT("[2001:db8::7]"), 0, TR_TLS, false, ~0u },     "tls:[2001:db8::7]:5061" },
		{ { VIEW_INIT("2001:db8::7"), 0, TR_NONE, true, ~0u },       "tls:[2001:db8::7]:5061" },
		{ { VIEW_INIT("192.0.2.7"), 0, TR_WS, true, ~0u },           "wss:192.0.2.7:443" },
		{ { VIEW_INIT("192.0.2.7"), 0, TR_TCP, true, ~0u },          "tls:192.0.2.7:5061" },
		{ { VIEW_INIT("192.0.2.7"), 0, TR_NONE, false, 1u << TR_TCP }, "tcp:192.0.2.7:5060" },
		{ { VIEW_INIT("localhost"), 5090, TR_NONE, false, ~0u },     "udp:127.0.0.1:5090" },
		{ { VIEW_INIT("LocalHost."), 0, TR_NONE, false, ~0u },       "udp:127.0.0.1:5060" },
		{ { VIEW_INIT("x.localhost"), 0, TR_TLS, false, ~0u },       "tls:127.0.0.1:5061" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(start_ask(&h, cases[i].ask), 1);
		EXPECT(h, cases[i].want);
	}
	assert_int_equal(start_ask(&h, (struct resolve_ask){ VIEW("192.0.2.7"), 0, TR_WS, false, 1u << TR_UDP }), -1);
	assert_int_equal(start_ask(&h, (struct resolve_ask){ VIEW("192.0.2.7"), 0, TR_NONE, true, 1u << TR_UDP }), -1);
	assert_int_equal(server.queries, 0);
}

static void localhost_both_families(void **state)
{
	struct heard h;

	start(false, true);
	assert_int_equal(start_ask(&h, udp("localhost", 5060)), 2);
	EXPECT(h, "udp:[::1]:5060", "udp:127.0.0.1:5060");
}

static void bad_names(void **state)
{
	static const char *const bad[] = { "", ".", "a..b", ".a", "a b", "a\r\nb", "a;b", "a@b", "300.1.1.1", "1.2.3", "host.123", "[::1", "::g",
		"a/b", "a\\b", "\xc3\xa4.test", "*.test", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test" };
	struct heard h;
	char         longest[300];

	start(true, true);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(start_ask(&h, name(bad[i])), -1);
	for (size_t i = 0; i < sizeof longest; i++)
		longest[i] = i % 32 == 31 ? '.' : 'a';
	assert_int_equal(start_ask(&h, (struct resolve_ask){ view_of(longest, 254), 0, TR_NONE, false, any }), -1);
	assert_int_equal(server.queries, 0);
	/* At the bound the name is fine, but its SRV names are not. */
	turn_ask(&h, (struct resolve_ask){ view_of(longest, 253), 0, TR_UDP, false, any });
	assert_int_equal(h.n, 0);
}

/* ---- RFC 3263 ------------------------------------------------------------------------------------------------------------------ */

static void port_asks_address_only(void **state)
{
	struct heard h;

	start(true, false);
	turn_ask(&h, udp("Plain.TEST", 5070));
	EXPECT(h, "udp:192.0.2.1:5070", "udp:192.0.2.2:5070");
	assert_int_equal(server.queries, 1);
	turn_ask(&h, (struct resolve_ask){ VIEW("alias.test"), 5070, TR_TCP, false, any });
	EXPECT(h, "tcp:192.0.2.1:5070", "tcp:192.0.2.2:5070");
}

static void ipv6_when_configured(void **state)
{
	struct heard h;

	start(false, true);
	turn_ask(&h, udp("both.test", 5060));
	EXPECT(h, "udp:[2001:db8::3]:5060", "udp:192.0.2.3:5060");
	turn_ask(&h, udp("plain.test", 5060));
	EXPECT(h, "udp:192.0.2.1:5060", "udp:192.0.2.2:5060");
}

static void naptr_orders_transports(void **state)
{
	struct heard h;

	start(true, false);
	turn_ask(&h, name("naptr.test"));
	EXPECT(h, "tls:192.0.2.20:5072", "tcp:192.0.2.20:5071", "udp:192.0.2.20:5070");
}

static void naptr_respects_sips_and_usable(void **state)
{
	struct heard       h;
	struct resolve_ask ask = name("naptr.test");

	start(true, false);
	ask.secure = true;
	turn_ask(&h, ask);
	EXPECT(h, "tls:192.0.2.20:5072");
	ask = name("naptr.test");
	ask.usable = 1u << TR_UDP;
	assert_int_equal(start_ask(&h, ask), 0);
	wait_for(&h);
	EXPECT(h, "udp:192.0.2.20:5070");
}

static void naptr_off_means_srv(void **state)
{
	struct heard h;

	start(false, false);
	turn_ask(&h, name("naptr.test"));
	EXPECT(h, "udp:192.0.2.20:5070", "tcp:192.0.2.20:5071", "tls:192.0.2.20:5072");
}

static void srv_priority_and_weight(void **state)
{
	struct heard h;
	int          first[2] = { 0, 0 };

	start(true, false);
	turn_ask(&h, udp("srv.test", 0));
	assert_int_equal(h.n, 3);
	/* Cached from here on.  Weights 1 and 3: numbers 0..1 pick the first, 2..4 the second (RFC 2782). */
	for (t.chance = 0; t.chance < 5; t.chance++) {
		assert_int_equal(start_ask(&h, udp("srv.test", 0)), 3);
		assert_int_equal(h.list[2].to.port, 5082);
		assert_int_not_equal(h.list[0].to.port, h.list[1].to.port);
		first[h.list[0].to.port - 5080]++;
	}
	assert_int_equal(first[0], 2);
	assert_int_equal(first[1], 3);
}

static void srv_of_each_transport(void **state)
{
	struct heard h;

	start(true, false);
	t.chance = 0;
	turn_ask(&h, name("srv.test"));
	EXPECT(h, "udp:192.0.2.31:5080", "udp:192.0.2.32:5081", "udp:192.0.2.33:5082", "tcp:192.0.2.33:5083");
	/* No SRV for TLS: the bare host, at the port of sips. */
	struct resolve_ask ask = name("srv.test");
	ask.secure = true;
	turn_ask(&h, ask);
	EXPECT(h, "tls:192.0.2.39:5061");
}

static void srv_survives_dead_targets(void **state)
{
	struct heard h;

	start(false, false);
	assert_int_equal(start_ask(&h, udp("partly.test", 0)), 0);
	for (int i = 0; i < 10; i++)
		loop_turn(t.l, 20);
	assert_int_equal(h.times, 0);
	t.now += DNS_TIMEOUT_MS;
	wait_for(&h);
	EXPECT(h, "udp:192.0.2.1:5060", "udp:192.0.2.2:5060");
}

static void srv_root_target_means_no(void **state)
{
	struct heard h;

	start(false, false);
	turn_ask(&h, udp("off.test", 0));
	assert_int_equal(h.n, 0);
	assert_string_not_equal(h.why, "");
}

static void candidates_are_bounded(void **state)
{
	struct heard h;

	start(false, false);
	turn_ask(&h, udp("many.test", 5060));
	assert_int_equal(h.n, DNS_CANDIDATES);
	assert_int_equal(h.list[0].to.ip[3], 1);
	assert_int_equal(h.list[31].to.ip[3], 32);
}

/* ---- hostile and dead servers -------------------------------------------------------------------------------------------------- */

static void hostile_answers(void **state)
{
	static const char *const names[] = { "garbage.test", "overrun.test", "loop.test", "null.test", "servfail.test", "nosuch.test" };
	struct heard             h;

	start(true, true);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		turn_ask(&h, name(names[i]));
		assert_int_equal(h.n, 0);
		assert_string_not_equal(h.why, "");
	}
	turn_ask(&h, udp("nosuch2.test", 5060));
	assert_string_equal(h.why, "no such name");
	/* Of four bad targets and one good the good one is left. */
	turn_ask(&h, udp("evil.test", 0));
	EXPECT(h, "udp:192.0.2.1:5061", "udp:192.0.2.2:5061");
}

static void wrong_question_is_no_answer(void **state)
{
	struct heard h;

	start(false, false);
	assert_int_equal(start_ask(&h, udp("liar.test", 5060)), 0);
	for (int i = 0; i < 5; i++)
		loop_turn(t.l, 20);
	t.now += DNS_TIMEOUT_MS;
	wait_for(&h);
	assert_int_equal(h.n, 0);
}

static void silence_ends_in_time(void **state)
{
	struct heard h;

	start(true, false);
	assert_int_equal(start_ask(&h, name("silent.test")), 0);
	t.now += DNS_TIMEOUT_MS - 10;
	for (int i = 0; i < 3; i++)
		loop_turn(t.l, 5);
	assert_int_equal(h.times, 0);
	t.now += 10;
	wait_for(&h);
	assert_int_equal(h.n, 0);
	assert_string_equal(h.why, "the name servers did not answer in time");
}

/* ---- cache --------------------------------------------------------------------------------------------------------------------- */

static void ttl_is_kept(void **state)
{
	struct heard h;

	start(false, false);
	turn_ask(&h, udp("plain.test", 5060));
	assert_int_equal(server.queries, 1);
	t.now += 59000;
	loop_turn(t.l, 0);
	assert_int_equal(start_ask(&h, udp("plain.test", 5061)), 2);
	assert_int_equal(server.queries, 1);
	t.now += 1000;
	loop_turn(t.l, 0);
	turn_ask(&h, udp("plain.test", 5060));
	assert_int_equal(server.queries, 2);
}

static void srv_ttl_is_kept(void **state)
{
	struct heard h;

	start(true, false);
	turn_ask(&h, udp("srv.test", 0));
	int queries = server.queries;
	t.now += 59000;
	loop_turn(t.l, 0);
	assert_int_equal(start_ask(&h, udp("srv.test", 0)), 3);
	t.now += 1000;
	loop_turn(t.l, 0);
	turn_ask(&h, udp("srv.test", 0));
	assert_int_equal(server.queries, 2 * queries);
}

static void ttl_is_bounded(void **state)
{
	struct heard h;

	start(false, false);
	turn_ask(&h, udp("short.test", 5060));
	assert_int_equal(start_ask(&h, udp("short.test", 5060)), 1);
	turn_ask(&h, udp("long.test", 5060));
	t.now += DNS_TTL_MAX_MS;
	loop_turn(t.l, 0);
	assert_int_equal(start_ask(&h, udp("long.test", 5060)), 0);
	wait_for(&h);
}

static void no_is_remembered_shortly(void **state)
{
	struct heard h;

	start(false, false);
	turn_ask(&h, udp("nosuch.test", 5060));
	int queries = server.queries;
	turn_ask(&h, udp("nosuch.test", 5060));
	assert_int_equal(server.queries, queries);
	assert_int_equal(h.n, 0);
	t.now += DNS_NEGATIVE_MS;
	loop_turn(t.l, 0);
	turn_ask(&h, udp("nosuch.test", 5060));
	assert_int_equal(server.queries, queries + 1);
}

static void stale_beats_failure(void **state)
{
	struct heard h;

	start(false, false);
	turn_ask(&h, udp("plain.test", 5060));
	server.dead = 1;
	t.now += 61000;
	loop_turn(t.l, 0);
	turn_ask(&h, udp("plain.test", 5060));
	EXPECT(h, "udp:192.0.2.1:5060", "udp:192.0.2.2:5060");
	/* ... and a dead server is left alone for a while. */
	int queries = server.queries;
	assert_int_equal(start_ask(&h, udp("plain.test", 5060)), 2);
	t.now += DNS_STALE_RETRY_MS;
	loop_turn(t.l, 0);
	assert_int_equal(start_ask(&h, udp("plain.test", 5060)), 0);
	wait_for(&h);
	assert_int_equal(h.n, 2);
	assert_true(server.queries > queries);
	t.now += DNS_STALE_MS;
	loop_turn(t.l, 0);
	turn_ask(&h, udp("plain.test", 5060));
	assert_int_equal(h.n, 0);
}

static void equal_questions_travel_once(void **state)
{
	struct heard h[50];

	start(false, false);
	for (int i = 0; i < 50; i++)
		assert_int_equal(start_ask(&h[i], udp("plain.test", (uint16_t)(5060 + i))), 0);
	resolve_cancel(h[7].job);
	for (int i = 0; i < 50; i++)
		if (i != 7)
			wait_for(&h[i]);
	assert_int_equal(h[7].times, 0);
	assert_int_equal(h[49].list[1].to.port, 5109);
	assert_int_equal(server.queries, 1);
}

static void cache_is_bounded(void **state)
{
	enum { ROUND = 512 };
	static struct heard h[ROUND];
	char                text[32];

	start(false, false);
	/* More names than fit; each does not exist, which is remembered too. */
	for (int first = 0; first < DNS_CACHE + ROUND; first += ROUND) {
		for (int i = 0; i < ROUND; i++) {
			snprintf(text, sizeof text, "n%d.test", first + i);
			assert_int_equal(start_ask(&h[i], udp(text, 5060)), 0);
			loop_turn(t.l, 0);
		}
		for (int i = 0; i < ROUND; i++)
			if (!h[i].times)
				wait_for(&h[i]);
	}
	int queries = server.queries;
	struct heard one;
	turn_ask(&one, udp("n16800.test", 5060));     /* young: remembered */
	assert_int_equal(server.queries, queries);
	turn_ask(&one, udp("n0.test", 5060));         /* the oldest made room */
	assert_int_equal(server.queries, queries + 1);
}

static void questions_are_bounded(void **state)
{
	static struct heard h[DNS_QUERIES];
	struct heard        over;
	char                text[32];

	start(false, false);
	for (int i = 0; i < DNS_QUERIES; i++) {
		snprintf(text, sizeof text, "silent%d.test", i);
		assert_int_equal(start_ask(&h[i], udp(text, 5060)), 0);
	}
	turn_ask(&over, udp("onemore.test", 5060));
	assert_int_equal(over.n, 0);
	for (int i = 0; i < DNS_QUERIES; i++)
		if (i % 2)
			resolve_cancel(h[i].job);
	/* The others die with the resolver, untold. */
	resolver_free(t.r);
	t.r = NULL;
	assert_int_equal(h[0].times, 0);
}

static void freed_in_flight(void **state)
{
	struct heard h;

	start(true, true);
	assert_int_equal(start_ask(&h, name("srv.test")), 0);
	loop_turn(t.l, 0);
	resolver_free(t.r);
	t.r = NULL;
	loop_turn(t.l, 0);
	assert_int_equal(h.times, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(numeric_hosts), T(localhost_both_families), T(bad_names), T(port_asks_address_only), T(ipv6_when_configured),
		T(naptr_orders_transports), T(naptr_respects_sips_and_usable), T(naptr_off_means_srv), T(srv_priority_and_weight),
		T(srv_of_each_transport), T(srv_survives_dead_targets), T(srv_root_target_means_no), T(candidates_are_bounded),
		T(hostile_answers), T(wrong_question_is_no_answer), T(silence_ends_in_time), T(ttl_is_kept), T(srv_ttl_is_kept),
		T(ttl_is_bounded), T(no_is_remembered_shortly), T(stale_beats_failure), T(equal_questions_travel_once), T(cache_is_bounded),
		T(questions_are_bounded), T(freed_in_flight),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
