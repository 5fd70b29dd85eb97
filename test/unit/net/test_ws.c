/* WebSocket: a raw peer against the server, the server's rules, and net against net. */
#include "kit.h"

#define MSG OPTIONS_WITH("ws")
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define UPGRADE "GET / HTTP/1.1\r\nHost: edge\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " KEY "\r\n" \
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n\r\n"

static struct host *edge(void)
{
	struct host *h = kit_host();
	kit_socket(h, TR_WS);
	kit_open(h);
	return h;
}

/* A frame as a client sends it; returns its length. */
static size_t frame(char *b, uint8_t first, const char *p, size_t n, bool masked)
{
	static const uint8_t mask[4] = { 0x12, 0x34, 0x56, 0x78 };
	size_t at = 0;
	b[at++] = (char)first;
	if (n < 126) {
		b[at++] = (char)((masked ? 0x80 : 0) | n);
	} else if (n < 65536) {
		b[at++] = (char)((masked ? 0x80 : 0) | 126);
		b[at++] = (char)(n >> 8);
		b[at++] = (char)n;
	} else {
		b[at++] = (char)((masked ? 0x80 : 0) | 127);
		for (int i = 7; i >= 0; i--)
			b[at++] = (char)((uint64_t)n >> (8 * i));
	}
	if (masked) {
		memcpy(b + at, mask, 4);
		at += 4;
	}
	for (size_t i = 0; i < n; i++)
		b[at++] = (char)(p[i] ^ (masked ? mask[i % 4] : 0));
	return at;
}

static int upgraded(struct host *h, struct raw *r)
{
	int fd = raw_connect("127.0.0.3", &h->sock[0].at);
	raw_say(fd, UPGRADE);
	memset(r, 0, sizeof *r);
	raw_until(HOSTS(h), fd, r, view_ends(view_of(r->b, r->n), VIEW("\r\n\r\n")));
	assert_true(view_starts(view_of(r->b, r->n), VIEW("HTTP/1.1 101 ")));
	assert_non_null(strstr(r->b, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
	r->n = 0;
	return fd;
}

static void test_messages_in_pieces(void **state)
{
	static struct raw r;
	static char all[4096];
	struct host *h = edge();
	size_t n = 0;

	memcpy(all, UPGRADE, sizeof UPGRADE - 1);
	n = sizeof UPGRADE - 1;
	n += frame(all + n, 0x81, MSG, sizeof MSG - 1, true);
	n += frame(all + n, 0x82, MSG, sizeof MSG - 1, true);
	n += frame(all + n, 0x01, MSG, 10, true);                       /* fragments, a ping between them */
	n += frame(all + n, 0x89, "hey", 3, true);
	n += frame(all + n, 0x00, &MSG[10], 7, true);
	n += frame(all + n, 0x80, &MSG[17], sizeof MSG - 1 - 17, true);
	static const size_t steps[] = { 4096, 97, 13, 3, 1 };
	for (size_t s = 0; s < COUNT_OF(steps); s++) {
		int fd = raw_connect("127.0.0.3", &h->sock[0].at);
		for (size_t at = 0; at < n; at += steps[s]) {
			raw_put(fd, all + at, n - at < steps[s] ? n - at : steps[s]);
			kit_turn(HOSTS(h));
		}
		kit_until(HOSTS(h), h->nheard == 3);
		for (unsigned i = 0; i < 3; i++)
			assert_true(view_is(h->heard[i].text, VIEW(MSG)));
		assert_int_equal(h->heard[0].o.transport, TR_WS);
		memset(&r, 0, sizeof r);
		raw_until(HOSTS(h), fd, &r, view_ends(view_of(r.b, r.n), VIEW("\x8a\x03hey")));
		kit_forget(h);
		close(fd);
	}
	assert_int_equal(kit_count(h, NETC_ws_upgrades), COUNT_OF(steps));
	kit_close(h);
}

static void test_keepalive_is_a_message(void **state)
{
	static struct raw r;
	struct host *h = edge();
	int fd = upgraded(h, &r);
	char b[64];

	raw_put(fd, b, frame(b, 0x81, "\r\n\r\n", 4, true));
	raw_until(HOSTS(h), fd, &r, r.n == 4);
	assert_memory_equal(r.b, "\x81\x02\r\n", 4);
	assert_int_equal(h->nheard, 0);
	close(fd);
	kit_close(h);
}

struct wrong { const char *name; uint8_t first; const char *p; size_t n; bool masked; uint16_t code; };
static const struct wrong wrongs[] = {
	{ "unmasked",             0x81, MSG,  20, false, 1002 },
	{ "reserved bit",         0xc1, MSG,  20, true,  1002 },
	{ "unknown opcode",       0x83, MSG,  20, true,  1002 },
	{ "unknown control",      0x8b, MSG,  20, true,  1002 },
	{ "fragmented ping",      0x09, MSG,  20, true,  1002 },
	{ "long ping",            0x89, MSG, 126, true,  1002 },
	{ "continues nothing",    0x80, MSG,  20, true,  1002 },
	{ "text is not UTF-8",    0x81, "ab\xc0\xaf",  4, true,  1007 },
	{ "text ends in a rune",  0x81, "ab\xe2\x82",  4, true,  1007 },
	{ "close with half code", 0x88, "\x03", 1, true, 1002 },
};

static void test_wrong_frames_close(void **state)
{
	static struct raw r;
	struct host *h = edge();
	char b[256];

	for (size_t i = 0; i < COUNT_OF(wrongs); i++) {
		const struct wrong *w = &wrongs[i];
		int fd = upgraded(h, &r);
		raw_put(fd, b, frame(b, w->first, w->p, w->n, w->masked));
		raw_until(HOSTS(h), fd, &r, r.closed);
		if (r.n < 4 || memcmp(r.b, "\x88\x02", 2) || (uint8_t)r.b[2] != w->code >> 8 || (uint8_t)r.b[3] != (w->code & 0xff))
			fail_msg("%s: %zu bytes, code %u", w->name, r.n, (uint8_t)r.b[2] << 8 | (uint8_t)r.b[3]);
		assert_int_equal(kit_count(h, NETC_ws_bad_frame), i + 1);
		close(fd);
	}
	assert_int_equal(h->nheard, 0);
	kit_close(h);
}

static void test_too_big(void **state)
{
	static struct raw r;
	struct host *h = edge();
	static char big[70000];
	char b[16];

	memset(big, 'x', sizeof big);
	/* Refused by its head: the payload need not come. */
	int fd = upgraded(h, &r);
	static char f[70100];
	frame(f, 0x81, big, 65600, true);
	raw_put(fd, f, 14);
	kit_turns(HOSTS(h), 3);
	raw_put(fd, f + 14, 100);
	raw_until(HOSTS(h), fd, &r, r.closed);
	assert_memory_equal(r.b, "\x88\x02\x03\xf1", 4);
	close(fd);
	/* In fragments the sum counts. */
	fd = upgraded(h, &r);
	size_t n = frame(f, 0x01, big, 60000, true);
	raw_put(fd, f, n);
	kit_turns(HOSTS(h), 5);
	n = frame(f, 0x80, big, 6000, true);
	send(fd, f, n, MSG_NOSIGNAL);
	raw_until(HOSTS(h), fd, &r, r.closed);
	assert_memory_equal(r.b, "\x88\x02\x03\xf1", 4);
	close(fd);
	/* The largest that may be. */
	fd = upgraded(h, &r);
	n = frame(f, 0x81, big, MSG_MAX_BYTES, true);
	raw_put(fd, f, n);
	kit_until(HOSTS(h), h->nheard == 1);
	assert_int_equal(h->heard[0].text.n, MSG_MAX_BYTES);
	raw_put(fd, b, frame(b, 0x88, "\x03\xe8", 2, true));
	raw_until(HOSTS(h), fd, &r, r.closed);
	assert_memory_equal(r.b, "\x88\x02\x03\xe8", 4);
	close(fd);
	kit_close(h);
}

static void test_refusals(void **state)
{
	static struct raw r;
	static const struct { const char *head, *status; } bad[] = {
		{ "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 426 " },
		{ "POST / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405 " },
		{ "OPTIONS sip:a@b SIP/2.0\r\n", "HTTP/1.1 505 " },
		{ "GET / HTTP/1.1\nHost: x\n\n", "HTTP/1.1 400 " },
	};
	struct host *h = edge();

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		int fd = raw_connect("127.0.0.3", &h->sock[0].at);
		raw_say(fd, bad[i].head);
		memset(&r, 0, sizeof r);
		raw_until(HOSTS(h), fd, &r, r.closed);
		if (!view_starts(view_of(r.b, r.n), view_str(bad[i].status)))
			fail_msg("%s: %.60s", bad[i].head, r.b);
		close(fd);
	}
	assert_int_equal(kit_count(h, NETC_ws_refused), COUNT_OF(bad));
	kit_close(h);
}

static void test_origins(void **state)
{
	static struct raw r;
	struct host *h = kit_host();
	kit_socket(h, TR_WS);
	h->conf.ws_origins = VIEW("https://app.example.org, *.example.net");
	h->conf.ws_require_origin = true;
	kit_open(h);
	static const struct { const char *origin; bool ok; } cases[] = {
		{ "https://app.example.org", true }, { "https://x.example.net", true }, { "https://evil.example", false }, { NULL, false },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char b[1024];
		snprintf(b, sizeof b, "%.*s%s%s%s\r\n", (int)(sizeof UPGRADE - 3), UPGRADE, cases[i].origin ? "Origin: " : "",
			cases[i].origin ? cases[i].origin : "", cases[i].origin ? "\r\n" : "");
		int fd = raw_connect("127.0.0.3", &h->sock[0].at);
		raw_say(fd, b);
		memset(&r, 0, sizeof r);
		raw_until(HOSTS(h), fd, &r, view_find_view(view_of(r.b, r.n), VIEW("\r\n\r\n")) < r.n);
		assert_true(view_starts(view_of(r.b, r.n), cases[i].ok ? VIEW("HTTP/1.1 101") : VIEW("HTTP/1.1 403")));
		close(fd);
	}
	kit_close(h);
}

static void test_half_upgrade_times_out(void **state)
{
	struct host *h = edge();
	int fd = raw_connect("127.0.0.3", &h->sock[0].at);

	raw_say(fd, "GET / HTTP/1.1\r\nHos");
	kit_turns(HOSTS(h), 4);
	kit_later(HOSTS(h), CONN_HANDSHAKE_MS - 1);
	assert_int_equal(kit_count(h, NETC_conn_timeout), 0);
	kit_later(HOSTS(h), 2);
	kit_until(HOSTS(h), kit_count(h, NETC_conn_timeout) == 1);
	close(fd);
	kit_close(h);
}

static void test_header_before_upgrade(void **state)
{
	static struct raw r;
	struct host *h = kit_host();
	struct socket_conf *s = kit_socket(h, TR_WS);
	static struct cidr list;
	list = kit_cidr("127.0.0.3");
	s->pp_mode = PP_MODE_REQUIRE;
	s->pp_peers = (struct cidr_list){ &list, 1, true };
	kit_open(h);
	char b[2048];
	int fd = raw_connect("127.0.0.3", &s->at);
	for (const char *p = "PROXY TCP4 192.0.2.7 198.51.100.1 4711 5060\r\n" UPGRADE; *p; p++) {
		raw_put(fd, p, 1);
		kit_turn(HOSTS(h));
	}
	raw_put(fd, b, frame(b, 0x81, MSG, sizeof MSG - 1, true));
	kit_until(HOSTS(h), h->nheard == 1);
	struct addr real = kit_addr("192.0.2.7:4711");
	assert_true(addr_same(&h->heard[0].o.real_src, &real));
	memset(&r, 0, sizeof r);
	close(fd);
	kit_close(h);
}

static void test_ping_of_ours(void **state)
{
	static struct raw r;
	struct host *h = kit_host();
	kit_socket(h, TR_WS);
	h->conf.ws_ping_ms = 20000;
	kit_open(h);
	int fd = upgraded(h, &r);
	kit_later(HOSTS(h), 19999);
	raw_hear(fd, &r);
	assert_int_equal(r.n, 0);
	kit_later(HOSTS(h), 2);
	raw_until(HOSTS(h), fd, &r, r.n == 2);
	assert_memory_equal(r.b, "\x89\x00", 2);
	kit_later(HOSTS(h), 19000);
	raw_hear(fd, &r);
	assert_int_equal(r.n, 2);
	kit_later(HOSTS(h), 1100);
	raw_until(HOSTS(h), fd, &r, r.n == 4);
	close(fd);
	kit_close(h);
}

static void test_net_against_net(void **state)
{
	struct host *a = kit_host(), *b = edge();
	kit_socket(a, TR_WS);
	kit_open(a);
	struct target t = { .transport = TR_WS, .from = &a->sock[0], .to = b->sock[0].at };

	assert_int_equal(kit_send(a, &t, MSG, NO_REF), SEND_OK);
	assert_int_equal(kit_send(a, &t, "SIP/2.0 200 caf\xe9 this is not UTF-8", NO_REF), SEND_OK);
	kit_until(HOSTS(a, b), b->nheard == 2);
	assert_true(view_is(b->heard[0].text, VIEW(MSG)));
	assert_true(view_is(b->heard[1].text, VIEW("SIP/2.0 200 caf\xe9 this is not UTF-8")));
	const struct origin *o = &b->heard[0].o;
	struct target back = { .transport = TR_WS, .from = o->socket, .to = o->wire_src, .flow = o->conn, .flow_only = true, .downstream = true };
	static char large[40001];
	memset(large, 'y', sizeof large - 1);
	assert_int_equal(kit_send(b, &back, RESPONSE, NO_REF), SEND_OK);
	assert_int_equal(kit_send(b, &back, large, NO_REF), SEND_OK);
	kit_until(HOSTS(a, b), a->nheard == 2);
	assert_true(view_is(a->heard[0].text, VIEW(RESPONSE)));
	assert_true(view_is(a->heard[1].text, view_str(large)));
	assert_true(a->heard[0].o.outbound);
	/* A polite end is heard as one. */
	assert_true(net_close(b->net, o->conn));
	kit_until(HOSTS(a, b), kit_count(a, NETC_conn_closed) == 1);
	assert_int_equal(kit_count(a, NETC_ws_bad_frame), 0);
	kit_close(a);
	kit_close(b);
}

static void test_server_that_refuses(void **state)
{
	struct host *a = kit_host(), *b = kit_host();
	kit_socket(a, TR_WS);
	kit_open(a);
	kit_socket(b, TR_WS);
	b->conf.ws_origins = VIEW("https://elsewhere.example");
	kit_open(b);
	struct target t = { .transport = TR_WS, .from = &a->sock[0], .to = b->sock[0].at };
	assert_int_equal(kit_send(a, &t, MSG, kit_ref(3)), SEND_OK);
	kit_until(HOSTS(a, b), a->nfailed == 1);
	assert_int_equal(a->failed[0].why, SEND_REFUSED);
	assert_int_equal(b->nheard, 0);
	kit_close(a);
	kit_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_in_pieces),
		cmocka_unit_test(test_keepalive_is_a_message),
		cmocka_unit_test(test_wrong_frames_close),
		cmocka_unit_test(test_too_big),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_origins),
		cmocka_unit_test(test_half_upgrade_times_out),
		cmocka_unit_test(test_header_before_upgrade),
		cmocka_unit_test(test_ping_of_ours),
		cmocka_unit_test(test_net_against_net),
		cmocka_unit_test(test_server_that_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
