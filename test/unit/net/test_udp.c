/* Datagrams: the policy table, the three conventions, the memories behind them, and what goes out. */
#include "kit.h"

#define V1 "PROXY TCP4 192.0.2.7 198.51.100.1 4711 5060\r\n"
#define MSG OPTIONS_WITH("udp")
static const char v2[] = "\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c\xc0\0\2\x07\xc6\x33\x64\x01\x12\x67\x13\xc4";
static const char v2_local[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
static const struct cidr listed[] = { { { .af = AF_V4, .ip = { 127, 0, 0, 2 } }, 32 } };

struct row {
	const char      *name;
	enum pp_mode     mode;
	bool             given;
	const char      *from, *header;
	size_t           n;
	bool             served, real;
	enum net_counter counter;
};
#define H(s) (s), sizeof (s) - 1
static const struct row rows[] = {
	{ "off, bare",            PP_MODE_OFF,     false, "127.0.0.2", H(""),   true,  false, NETC_COUNT },
	{ "off, v1",              PP_MODE_OFF,     false, "127.0.0.2", H(V1),   false, false, NETC_pp_unexpected },
	{ "off, v2",              PP_MODE_OFF,     false, "127.0.0.2", H(v2),   false, false, NETC_pp_unexpected },
	{ "list, listed, v1",     PP_MODE_ALLOW,   true,  "127.0.0.2", H(V1),   true,  true,  NETC_pp_read },
	{ "list, listed, v2",     PP_MODE_ALLOW,   true,  "127.0.0.2", H(v2),   true,  true,  NETC_pp_read },
	{ "list, listed, local",  PP_MODE_ALLOW,   true,  "127.0.0.2", H(v2_local), true, false, NETC_pp_local },
	{ "list, listed, bare",   PP_MODE_ALLOW,   true,  "127.0.0.2", H(""),   false, false, NETC_pp_missing },
	{ "list, listed, broken", PP_MODE_ALLOW,   true,  "127.0.0.2", H("PROXY TCP4 1.2.3.4 "), false, false, NETC_COUNT },
	{ "list, listed, two",    PP_MODE_ALLOW,   true,  "127.0.0.2", H(V1 V1), false, false, NETC_pp_stacked },
	{ "list, other, bare",    PP_MODE_ALLOW,   true,  "127.0.0.3", H(""),   true,  false, NETC_COUNT },
	{ "list, other, v1",      PP_MODE_ALLOW,   true,  "127.0.0.3", H(V1),   false, false, NETC_pp_untrusted },
	{ "list, other, v2",      PP_MODE_ALLOW,   true,  "127.0.0.3", H(v2),   false, false, NETC_pp_untrusted },
	{ "allow, bare",          PP_MODE_ALLOW,   false, "127.0.0.3", H(""),   true,  false, NETC_COUNT },
	{ "allow, v1",            PP_MODE_ALLOW,   false, "127.0.0.3", H(V1),   true,  true,  NETC_pp_read },
	{ "allow, two",           PP_MODE_ALLOW,   false, "127.0.0.3", H(V1 V1), false, false, NETC_pp_stacked },
	{ "require, listed, v2",  PP_MODE_REQUIRE, true,  "127.0.0.2", H(v2),   true,  true,  NETC_pp_read },
	{ "require, listed, bare", PP_MODE_REQUIRE, true, "127.0.0.2", H(""),   false, false, NETC_pp_missing },
	{ "require, other, v2",   PP_MODE_REQUIRE, true,  "127.0.0.3", H(v2),   false, false, NETC_pp_refused_source },
	{ "require, other, bare", PP_MODE_REQUIRE, true,  "127.0.0.3", H(""),   false, false, NETC_pp_refused_source },
};

static struct host *edge(enum pp_mode mode, bool given, enum pp_udp convention)
{
	struct host *h = kit_host();
	struct socket_conf *s = kit_socket(h, TR_UDP);

	s->pp_mode = mode;
	s->pp_udp = convention;
	if (given)
		s->pp_peers = (struct cidr_list){ listed, 1, true };
	kit_open(h);
	return h;
}

static void dgram(struct host *h, int fd, const char *head, size_t n, const char *message)
{
	char b[8192];
	size_t m = strlen(message);

	memcpy(b, head, n);
	memcpy(b + n, message, m);
	raw_to(fd, &h->sock[0].at, b, n + m);
	kit_turns(HOSTS(h), 2);
}

static void test_table(void **state)
{
	struct addr real = kit_addr("192.0.2.7:4711");

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct row *r = &rows[i];
		struct host *h = edge(r->mode, r->given, PP_UDP_DATAGRAM);
		int fd = raw_socket(SOCK_DGRAM, r->from);
		struct addr me = raw_name(fd);
		dgram(h, fd, r->header, r->n, MSG);
		if (h->nheard != r->served)
			fail_msg("%s: %u messages", r->name, h->nheard);
		if (r->served) {
			const struct origin *o = &h->heard[0].o;
			assert_true(view_is(h->heard[0].text, VIEW(MSG)));
			assert_true(addr_same(&o->wire_src, &me) && addr_same(&o->wire_dst, &h->sock[0].at));
			assert_true(addr_same(&o->real_src, r->real ? &real : &me));
			assert_int_equal(o->has_real, r->real);
		}
		if (r->counter != NETC_COUNT && kit_count(h, r->counter) != 1)
			fail_msg("%s: counter %d is %lu", r->name, r->counter, (unsigned long)kit_count(h, r->counter));
		close(fd);
		kit_close(h);
	}
}

/* proxy_protocol_max_size holds for datagrams too; only a trusted sender's second header may be stripped. */
static void test_size_and_second_header(void **state)
{
	enum { LONG = 16 + 12 + 3 + 4200 };
	static char big[LONG];
	struct host *h = edge(PP_MODE_ALLOW, true, PP_UDP_DATAGRAM);
	int lb = raw_socket(SOCK_DGRAM, "127.0.0.2");

	memcpy(big, v2, 28);
	big[14] = (char)((LONG - 16) >> 8);
	big[15] = (char)((LONG - 16) & 0xff);
	big[28] = 4;                                            /* PP2_TYPE_NOOP */
	big[29] = (char)(4200 >> 8);
	big[30] = (char)(4200 & 0xff);
	dgram(h, lb, big, LONG, MSG);
	assert_int_equal(h->nheard, 0);
	h->sock[0].pp_size = 8192;
	dgram(h, lb, big, LONG, MSG);
	assert_int_equal(h->nheard, 1);
	h->sock[0].pp_strip_second = true;
	dgram(h, lb, V1 V1, 2 * (sizeof V1 - 1), MSG);
	assert_int_equal(h->nheard, 2);
	h->sock[0].pp_peers = (struct cidr_list){ 0 };           /* now anybody may send one, and nobody is trusted */
	dgram(h, lb, V1 V1, 2 * (sizeof V1 - 1), MSG);
	assert_int_equal(h->nheard, 2);
	assert_int_equal(kit_count(h, NETC_pp_stacked), 1);
	close(lb);
	kit_close(h);
}

static void test_bare_answers(void **state)
{
	struct host *h = edge(PP_MODE_REQUIRE, true, PP_UDP_DATAGRAM);
	int upstream = raw_socket(SOCK_DGRAM, "127.0.0.9"), stranger = raw_socket(SOCK_DGRAM, "127.0.0.10");
	struct addr at = raw_name(upstream);
	struct target t = { .transport = TR_UDP, .from = &h->sock[0], .to = at };

	dgram(h, upstream, "", 0, RESPONSE);
	assert_int_equal(h->nheard, 0);
	assert_int_equal(kit_send(h, &t, MSG, NO_REF), SEND_OK);
	kit_turns(HOSTS(h), 1);
	dgram(h, upstream, "", 0, RESPONSE);
	assert_int_equal(h->nheard, 1);
	assert_false(h->heard[0].o.has_real);
	/* Nobody else, no request, and not for ever. */
	dgram(h, stranger, "", 0, RESPONSE);
	dgram(h, upstream, "", 0, MSG);
	kit_later(HOSTS(h), (SENT_TTL_S + 2) * UINT64_C(1000));
	dgram(h, upstream, "", 0, RESPONSE);
	assert_int_equal(h->nheard, 1);
	close(upstream);
	close(stranger);
	kit_close(h);
}

static void test_first_datagram_convention(void **state)
{
	struct host *h = edge(PP_MODE_ALLOW, true, PP_UDP_FIRST);
	int lb = raw_socket(SOCK_DGRAM, "127.0.0.2"), other = raw_socket(SOCK_DGRAM, "127.0.0.2");
	struct addr real = kit_addr("192.0.2.7:4711");

	dgram(h, lb, "", 0, MSG);
	assert_int_equal(h->nheard, 0);
	assert_int_equal(kit_count(h, NETC_pp_missing), 1);
	dgram(h, lb, V1, sizeof V1 - 1, MSG);                  /* header and payload together */
	dgram(h, lb, "", 0, MSG);
	assert_int_equal(h->nheard, 2);
	assert_true(h->heard[1].o.has_real && addr_same(&h->heard[1].o.real_src, &real));
	/* Another port of the same sender is another flow. */
	dgram(h, other, "", 0, MSG);
	assert_int_equal(h->nheard, 2);
	dgram(h, other, v2, sizeof v2 - 1, "");                /* a header alone */
	dgram(h, other, "", 0, MSG);
	assert_int_equal(h->nheard, 3);
	assert_true(addr_same(&h->heard[2].o.real_src, &real));
	/* Traffic renews a flow, silence ends it. */
	kit_later(HOSTS(h), PP_FLOW_TTL_MS - 1000);
	dgram(h, lb, "", 0, MSG);
	assert_int_equal(h->nheard, 4);
	kit_later(HOSTS(h), 2000);
	dgram(h, lb, "", 0, MSG);
	assert_int_equal(h->nheard, 5);
	dgram(h, other, "", 0, MSG);
	assert_int_equal(h->nheard, 5);
	close(lb);
	close(other);
	kit_close(h);
}

static size_t spp(char *b, const char *client, const char *proxy)
{
	struct addr c = kit_addr(client), p = kit_addr(proxy);
	struct out o = out_to(b, PP_SPP_BYTES);

	assert_true(pp_write_spp(&o, &c, &p));
	return o.n;
}

static void test_spp_both_ways(void **state)
{
	struct host *h = edge(PP_MODE_REQUIRE, true, PP_UDP_SPP);
	int lb = raw_socket(SOCK_DGRAM, "127.0.0.2"), up = raw_socket(SOCK_DGRAM, "127.0.0.9");
	char one[64], two[64], b[2048];
	size_t n1 = spp(one, "192.0.2.1:1111", "198.51.100.1:5060"), n2 = spp(two, "192.0.2.2:2222", "198.51.100.1:5060");

	/* Two clients behind one sender address: identity is per datagram. */
	dgram(h, lb, one, n1, MSG);
	dgram(h, lb, two, n2, MSG);
	dgram(h, lb, "", 0, MSG);
	assert_int_equal(h->nheard, 2);
	for (int i = 1; i >= 0; i--) {
		const struct origin *o = &h->heard[i].o;
		struct target t = { .transport = TR_UDP, .from = o->socket, .to = o->wire_src, .downstream = true, .client = o };
		assert_int_equal(net_header_bytes(&t), PP_SPP_BYTES);
		assert_int_equal(kit_send(h, &t, RESPONSE, NO_REF), SEND_OK);
		kit_turns(HOSTS(h), 1);
		ssize_t n = recv(lb, b, sizeof b, 0);
		assert_int_equal(n, PP_SPP_BYTES + sizeof RESPONSE - 1);
		assert_memory_equal(b, i ? two : one, PP_SPP_BYTES);
		assert_memory_equal(b + PP_SPP_BYTES, RESPONSE, sizeof RESPONSE - 1);
	}
	/* A flow token knows the client's addresses again, but has no header to show. */
	struct origin remembered = h->heard[0].o;
	remembered.facts = NULL;
	struct target in_dialog = { .transport = TR_UDP, .from = &h->sock[0], .to = remembered.wire_src, .downstream = true, .client = &remembered };
	assert_int_equal(kit_send(h, &in_dialog, RESPONSE, NO_REF), SEND_OK);
	kit_turns(HOSTS(h), 1);
	assert_int_equal(recv(lb, b, sizeof b, 0), PP_SPP_BYTES + sizeof RESPONSE - 1);
	assert_memory_equal(b, one, PP_SPP_BYTES);
	/* The tuple goes to the sender that brought it and to nobody else. */
	struct target t = { .transport = TR_UDP, .from = &h->sock[0], .to = raw_name(up), .downstream = true, .client = &h->heard[0].o };
	assert_int_equal(kit_send(h, &t, RESPONSE, NO_REF), SEND_OK);
	kit_turns(HOSTS(h), 1);
	assert_int_equal(recv(up, b, sizeof b, 0), sizeof RESPONSE - 1);
	close(lb);
	close(up);
	kit_close(h);
}

static void test_headers_out(void **state)
{
	struct host *h = edge(PP_MODE_OFF, false, PP_UDP_DATAGRAM);
	int up = raw_socket(SOCK_DGRAM, "127.0.0.9"), phone = raw_socket(SOCK_DGRAM, "127.0.0.3");
	char b[2048];

	dgram(h, phone, "", 0, MSG);
	assert_int_equal(h->nheard, 1);
	h->sock[0].send_pp = true;
	struct target t = { .transport = TR_UDP, .from = &h->sock[0], .to = raw_name(up), .client = &h->heard[0].o };
	char want[128];
	struct addr p = raw_name(phone);
	snprintf(want, sizeof want, "PROXY TCP4 127.0.0.3 127.0.0.1 %u %u\r\n", p.port, h->sock[0].at.port);

	for (int i = 0; i < 2; i++) {              /* a retransmission carries the same header */
		assert_int_equal(net_header_bytes(&t), strlen(want));
		assert_int_equal(kit_send(h, &t, MSG, NO_REF), SEND_OK);
		kit_turns(HOSTS(h), 1);
		ssize_t n = recv(up, b, sizeof b, 0);
		assert_int_equal(n, strlen(want) + sizeof MSG - 1);
		assert_memory_equal(b, want, strlen(want));
		assert_memory_equal(b + strlen(want), MSG, sizeof MSG - 1);
	}
	/* Our own traffic names nobody. */
	t.client = NULL;
	assert_int_equal(kit_send(h, &t, MSG, NO_REF), SEND_OK);
	h->sock[0].send_version = 2;
	assert_int_equal(kit_send(h, &t, MSG, NO_REF), SEND_OK);
	t.client = &h->heard[0].o;
	assert_int_equal(kit_send(h, &t, MSG, NO_REF), SEND_OK);
	kit_turns(HOSTS(h), 1);
	recv(up, b, sizeof b, 0);
	assert_memory_equal(b, "PROXY UNKNOWN\r\n", 15);
	recv(up, b, sizeof b, 0);
	assert_memory_equal(b, "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16);
	ssize_t n = recv(up, b, sizeof b, 0);
	assert_int_equal(n, 28 + sizeof MSG - 1);
	assert_memory_equal(b, "\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c\x7f\0\0\3\x7f\0\0\1", 24);
	/* Towards clients never. */
	t.downstream = true;
	t.to = p;
	assert_int_equal(net_header_bytes(&t), 0);
	assert_int_equal(kit_send(h, &t, RESPONSE, NO_REF), SEND_OK);
	kit_turns(HOSTS(h), 1);
	assert_int_equal(recv(phone, b, sizeof b, 0), sizeof RESPONSE - 1);
	close(up);
	close(phone);
	kit_close(h);
}

static void test_batches_keep_order(void **state)
{
	enum { N = 200 };
	struct host *h = edge(PP_MODE_OFF, false, PP_UDP_DATAGRAM);
	int up = raw_socket(SOCK_DGRAM, "127.0.0.9");
	struct target t = { .transport = TR_UDP, .from = &h->sock[0], .to = raw_name(up) };
	char b[2048], want[16];

	for (int i = 0; i < N; i++) {
		snprintf(b, sizeof b, "%s%d", MSG, i);
		assert_int_equal(kit_send(h, &t, b, NO_REF), SEND_OK);
	}
	kit_turns(HOSTS(h), 1);
	for (int i = 0; i < N; i++) {
		ssize_t n = recv(up, b, sizeof b, 0);
		snprintf(want, sizeof want, "%d", i);
		assert_int_equal(n, sizeof MSG - 1 + strlen(want));
		assert_memory_equal(b + sizeof MSG - 1, want, strlen(want));
	}
	assert_int_equal(kit_count(h, NETC_udp_out), N);
	close(up);
	kit_close(h);
}

static void test_sizes_and_failures(void **state)
{
	struct host *h = edge(PP_MODE_OFF, false, PP_UDP_DATAGRAM);
	int fd = raw_socket(SOCK_DGRAM, "127.0.0.9");
	static char big[65530];
	struct target t = { .transport = TR_UDP, .from = &h->sock[0], .to = raw_name(fd) };

	dgram(h, fd, "", 0, "\r\n\r\n");
	dgram(h, fd, "", 0, "short");
	assert_int_equal(h->nheard, 0);
	assert_int_equal(kit_count(h, NETC_udp_drop_small), 2);
	memset(big, 'x', sizeof big - 1);
	assert_int_equal(kit_send(h, &t, big, NO_REF), SEND_TOO_BIG);
	/* The kernel's refusal is told later, once. */
	t.to = kit_addr("240.0.0.1:5060");
	t.to.port = 0;
	assert_int_equal(kit_send(h, &t, MSG, kit_ref(7)), SEND_OK);
	assert_int_equal(h->nfailed, 0);
	kit_turns(HOSTS(h), 3);
	assert_int_equal(h->nfailed, 1);
	assert_int_equal(h->failed[0].report.slot, 7);
	t.to = kit_addr("[::1]:5060");
	assert_int_equal(kit_send(h, &t, MSG, NO_REF), SEND_NO_SOCKET);
	close(fd);
	kit_close(h);
}

static void test_wildcard_answers_from_the_asked_address(void **state)
{
	struct host *h = kit_host();
	struct socket_conf *s = kit_socket(h, TR_UDP);
	char b[2048];
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	struct addr from, asked;

	uint16_t port = s->at.port;
	s->at = kit_addr("0.0.0.0");
	s->at.port = port;
	kit_open(h);
	int fd = raw_socket(SOCK_DGRAM, "127.0.0.1");
	asked = kit_addr("127.0.0.77");
	asked.port = port;
	raw_to(fd, &asked, MSG, sizeof MSG - 1);
	kit_until(HOSTS(h), h->nheard == 1);
	assert_true(addr_same(&h->heard[0].o.wire_dst, &asked));
	const struct origin *o = &h->heard[0].o;
	struct target t = { .transport = TR_UDP, .from = o->socket, .to = o->wire_src, .downstream = true, .client = o };
	assert_int_equal(kit_send(h, &t, RESPONSE, NO_REF), SEND_OK);
	kit_turns(HOSTS(h), 1);
	assert_int_equal(recvfrom(fd, b, sizeof b, 0, (struct sockaddr *)&ss, &len), sizeof RESPONSE - 1);
	addr_from_sockaddr((struct sockaddr *)&ss, &from);
	assert_true(addr_same(&from, &asked));
	close(fd);
	kit_close(h);
}

static void test_ipv6(void **state)
{
	struct host *h = kit_host();
	struct socket_conf *s = kit_socket(h, TR_UDP);
	uint16_t port = s->at.port;

	s->at = kit_addr("[::1]");
	s->at.port = port;
	kit_open(h);
	int fd = raw_socket(SOCK_DGRAM, "::1");
	dgram(h, fd, "", 0, MSG);
	assert_int_equal(h->nheard, 1);
	assert_int_equal(h->heard[0].o.wire_src.af, AF_V6);
	close(fd);
	kit_close(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_size_and_second_header), cmocka_unit_test(test_bare_answers),
		cmocka_unit_test(test_first_datagram_convention),
		cmocka_unit_test(test_spp_both_ways),
		cmocka_unit_test(test_headers_out),
		cmocka_unit_test(test_batches_keep_order),
		cmocka_unit_test(test_sizes_and_failures),
		cmocka_unit_test(test_wildcard_answers_from_the_asked_address),
		cmocka_unit_test(test_ipv6),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
