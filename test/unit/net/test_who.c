/* Who may announce whom, who is announced, and on which connection: what no client may bend. */
#include "kit.h"
#include "net/stage.h"
#include "wire/httphead/httphead.h"
#include <openssl/sha.h>

#define MSG OPTIONS_WITH("who")

/* ---- the list of senders --------------------------------------------------------------------------------------------------- */

static void test_lists_of_both_families(void **state)
{
	const struct cidr list[] = { kit_cidr("2001:db8:1::/48"), kit_cidr("192.0.2.0/25"), kit_cidr("::1/128") };
	static const struct { const char *from; bool in; } rows[] = {
		{ "2001:db8:1::7", true }, { "2001:db8:1:ffff::1", true }, { "2001:db8:2::7", false }, { "2001:db8::1", false }, { "::1", true }, { "::2", false },
		{ "192.0.2.127", true }, { "192.0.2.128", false }, { "198.51.100.1", false }, { "::", false },
	};
	struct socket_conf s = { .pp_mode = PP_MODE_REQUIRE, .pp_peers = { list, COUNT_OF(list), true } };

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct addr from = kit_addr(rows[i].from);
		struct pp_verdict v = pp_policy(&s, &from);
		if (v.trusted != rows[i].in || v.expect != (rows[i].in ? PP_EXPECT_HEADER : PP_EXPECT_REFUSE_SENDER))
			fail_msg("%s", rows[i].from);
	}
	s.pp_mode = PP_MODE_ALLOW;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct addr from = kit_addr(rows[i].from);
		struct pp_verdict v = pp_policy(&s, &from);
		if (v.trusted != rows[i].in || v.expect != (rows[i].in ? PP_EXPECT_HEADER : PP_EXPECT_NONE))
			fail_msg("%s", rows[i].from);
	}
}

/* ---- what is announced ---------------------------------------------------------------------------------------------------------- */

/* A client behind a load balancer: four different addresses. */
static struct origin behind(struct host *h, const char *real)
{
	return (struct origin){ .socket = &h->sock[0], .transport = TR_TCP, .wire_src = kit_addr("10.0.0.1:999"), .wire_dst = kit_addr("10.0.0.2:5060"),
		.real_src = kit_addr(real), .real_dst = kit_addr("203.0.113.9:5061"), .has_real = true };
}

static struct view header(struct host *h, const struct origin *c, uint8_t version, char *room)
{
	h->sock[0].send_pp = true;
	h->sock[0].send_version = version;
	struct target t = { .transport = TR_TCP, .from = &h->sock[0], .to = kit_addr("127.0.0.9:5060"), .client = c };
	return header_for(&t, room);
}

static void test_both_ends_are_the_clients(void **state)
{
	struct host *h = kit_host();
	struct origin c = behind(h, "198.51.100.7:4711");
	char room[HEADER_MAX];

	kit_socket(h, TR_TCP);
	assert_true(view_is(header(h, &c, 1, room), VIEW("PROXY TCP4 198.51.100.7 203.0.113.9 4711 5061\r\n")));
	assert_true(view_is(header(h, &c, 2, room), VIEW("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc6\x33\x64\x07\xcb\0\x71\x09\x12\x67\x13\xc5")));
	free(h->peers);
	free(h);
}

/* Who announced nobody is announced as nobody: a health check never becomes a client. */
static void test_local_stays_local(void **state)
{
	struct host *h = kit_host();
	struct origin c = behind(h, "198.51.100.7:4711");
	struct facts *f = facts_new(VIEW("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"));
	char room[HEADER_MAX];

	kit_socket(h, TR_TCP);
	c.has_real = false;
	c.real_src = c.wire_src;
	c.real_dst = c.wire_dst;
	origin_take_pp(&c, f, PP_ACCEPT_V1 | PP_ACCEPT_V2, true);
	assert_false(c.has_real);
	assert_true(view_is(header(h, &c, 1, room), VIEW("PROXY UNKNOWN\r\n")));
	assert_true(view_is(header(h, &c, 2, room), VIEW("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0")));
	origin_drop(&c);
	free(h->peers);
	free(h);
}

/* ---- on which connection ------------------------------------------------------------------------------------------------------- */

/* The header of a connection that the other side opened would come too late: one of our own is made. */
static void test_nothing_announced_on_an_accepted_connection(void **state)
{
	static struct raw r;
	struct host *h = kit_host();
	struct socket_conf *s = kit_socket(h, TR_TCP);
	struct origin c = behind(h, "198.51.100.7:4711");

	kit_open(h);
	int fd = raw_connect("127.0.0.9", &s->at);
	raw_say(fd, MSG);
	kit_until(HOSTS(h), h->nheard == 1);
	struct target t = { .transport = TR_TCP, .from = s, .to = raw_name(fd), .client = &c };
	s->send_pp = true;
	kit_send(h, &t, MSG, NO_REF);
	kit_turns(HOSTS(h), 5);
	memset(&r, 0, sizeof r);
	raw_hear(fd, &r);
	assert_int_equal(r.n, 0);
	s->send_pp = false;
	assert_int_equal(kit_send(h, &t, MSG, NO_REF), SEND_OK);       /* bare it may be used */
	raw_until(HOSTS(h), fd, &r, r.n == sizeof MSG - 1);
	close(fd);
	kit_close(h);
}

/* ---- bounds --------------------------------------------------------------------------------------------------------------------- */

static void test_connections_are_bounded(void **state)
{
	struct host *h = kit_host();
	int fd[5];

	kit_socket(h, TR_TCP);
	h->conf.max_conns = 3;
	kit_open(h);
	for (size_t i = 0; i < COUNT_OF(fd); i++)
		fd[i] = raw_connect("127.0.0.3", &h->sock[0].at);
	kit_until(HOSTS(h), kit_count(h, NETC_conn_accepted) + kit_count(h, NETC_conn_refused_limit) == COUNT_OF(fd));
	assert_int_equal(kit_count(h, NETC_conn_accepted), 3);
	/* who goes makes room */
	close(fd[0]);
	kit_until(HOSTS(h), kit_count(h, NETC_conn_closed) == 1);
	int late = raw_connect("127.0.0.3", &h->sock[0].at);
	kit_until(HOSTS(h), kit_count(h, NETC_conn_accepted) == 4);
	for (size_t i = 1; i < COUNT_OF(fd); i++)
		close(fd[i]);
	close(late);
	kit_close(h);
}

static void test_flows_are_bounded(void **state)
{
	struct host *h = kit_host();
	struct facts *f = facts_new(VIEW_NONE);
	struct addr from = kit_addr("192.0.2.1");
	unsigned kept = 0;

	kit_socket(h, TR_UDP);
	kit_open(h);
	/* one sender has its share; all together have theirs */
	for (uint32_t port = 1; port <= PP_FLOWS_PER_SENDER + 10; port++) {
		from.port = (uint16_t)port;
		kept += udp_flow_learn(h->net->flows, &h->sock[0], &from, f);
	}
	assert_int_equal(kept, PP_FLOWS_PER_SENDER);
	for (uint32_t i = 0; i < PP_FLOWS; i++) {
		from.ip[3] = (uint8_t)(2 + i / 10000);
		from.port = (uint16_t)(1 + i % 10000);
		kept += udp_flow_learn(h->net->flows, &h->sock[0], &from, f);
	}
	assert_int_equal(kept, PP_FLOWS);
	facts_unref(f);
	kit_close(h);
}

/* ---- masks ------------------------------------------------------------------------------------------------------------------------ */

static void sha1_of(struct view in, uint8_t digest[20])
{
	SHA1((const unsigned char *)in.p, in.n, digest);
}

/* Frames of ours cannot be foreseen on the wire (RFC 6455 10.3): no two masks are the same, none is zero. */
static void test_masks_differ(void **state)
{
	static struct raw r;
	struct host *h = kit_host();
	struct socket_conf *s = kit_socket(h, TR_WS);
	int up = raw_socket(SOCK_STREAM, "127.0.0.9");
	char key[WS_KEY_BYTES], accept[WS_ACCEPT_BYTES], answer[512];
	uint32_t mask[3];

	assert_int_equal(listen(up, 8), 0);
	kit_open(h);
	struct target t = { .transport = TR_WS, .from = s, .to = raw_name(up) };
	assert_int_equal(kit_send(h, &t, MSG, NO_REF), SEND_OK);
	int fd = -1;
	for (int i = 0; i < TURNS && (fd = accept4(up, NULL, NULL, SOCK_NONBLOCK)) < 0; i++)
		kit_turn(HOSTS(h));
	assert_true(fd >= 0);
	memset(&r, 0, sizeof r);
	raw_until(HOSTS(h), fd, &r, strstr(r.b, "\r\n\r\n"));
	char *at = strcasestr(r.b, "Sec-WebSocket-Key: ");
	assert_non_null(at);
	memcpy(key, at + 19, sizeof key);
	ws_accept(view_of(key, sizeof key), sha1_of, accept);
	struct out o = out_to(answer, sizeof answer);
	assert_true(ws_write_upgrade(&o, accept));
	raw_put(fd, answer, o.n);
	for (int i = 1; i < 3; i++)
		assert_int_equal(kit_send(h, &t, MSG, NO_REF), SEND_OK);
	enum { FRAME = 8 + sizeof MSG - 1 };
	r.n = 0;
	raw_until(HOSTS(h), fd, &r, r.n == 3 * FRAME);
	for (int i = 0; i < 3; i++) {
		const char *f = r.b + i * FRAME;
		assert_int_equal((uint8_t)f[1], 0x80 | 126);
		memcpy(&mask[i], f + 4, 4);
		assert_int_not_equal(mask[i], 0);
		assert_int_equal((uint8_t)(f[8] ^ f[4]), MSG[0]);
	}
	assert_true(mask[0] != mask[1] && mask[1] != mask[2] && mask[0] != mask[2]);
	close(fd);
	close(up);
	kit_close(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists_of_both_families), cmocka_unit_test(test_both_ends_are_the_clients), cmocka_unit_test(test_local_stays_local),
		cmocka_unit_test(test_nothing_announced_on_an_accepted_connection), cmocka_unit_test(test_connections_are_bounded), cmocka_unit_test(test_flows_are_bounded), cmocka_unit_test(test_masks_differ),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
