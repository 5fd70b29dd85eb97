/* Flow tokens: what comes back is what went in, and nothing that we did not sign, or no longer have, is believed. */
#include "stand.h"
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

static struct target home(const char *socket, const char *to, struct ref flow)
{
	struct target t = { .from = net_find_socket(&stand.conf.net, view_str(socket)), .flow = flow, .downstream = true };

	assert_non_null(t.from);
	t.transport = t.from->transport;
	t.flow_only = ref_set(flow);
	assert_true(addr_parse(view_str(to), &t.to));
	return t;
}

static void test_round_trip(void **s)
{
	const struct target rows[] = { home("tls:192.0.2.1:5061", "198.51.100.7:4711", (struct ref){ 0, REF_CONN, 70000, 90000 }),
		home("udp:192.0.2.1:5060", "198.51.100.7:4711", NO_REF), home("udp:[2001:db8::1]:5060", "[2001:db8::7]:65535", NO_REF) };

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char             buf[FLOW_TEXT_MAX];
		struct flow_home got;
		struct view      text = flow_write(&stand.w, &rows[i], buf);
		assert_true(flow_read(&stand.w, text, &got));
		assert_true(got.t.transport == rows[i].transport && got.t.from == rows[i].from && addr_same(&got.t.to, &rows[i].to));
		assert_true(got.t.flow.slot == rows[i].flow.slot && got.t.flow.gen == rows[i].flow.gen && got.t.flow.kind == rows[i].flow.kind);
		assert_true(got.t.flow_only == rows[i].flow_only && got.t.downstream);
		/* no digit can be changed, nothing cut off or added, no other process's token read */
		for (size_t n = 0; n < text.n; n++) {
			char was = buf[n];
			buf[n] = was == '0' ? '1' : '0';
			assert_false(flow_read(&stand.w, text, &got));
			buf[n] = was;
			assert_false(flow_read(&stand.w, view_sub(text, 0, n), &got));
		}
		memcpy(buf + text.n, "00", 2);
		assert_false(flow_read(&stand.w, view_of(buf, text.n + 2), &got));
		struct worker other = stand.w;
		other.key.k0 ^= 1;
		assert_false(flow_read(&other, text, &got));
	}
}

/* Signed, but of another configuration, or no connection at all. */
static void test_signed_but_wrong(void **s)
{
	const struct target rows[] = { home("tcp:192.0.2.1:5060", "198.51.100.7:4711", (struct ref){ 0, REF_BRANCH, 1, 1 }),
		home("tcp:192.0.2.1:5060", "198.51.100.7:4711", (struct ref){ 1, REF_CONN, 1, 1 }) };
	char             buf[FLOW_TEXT_MAX];
	struct flow_home got;

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_false(flow_read(&stand.w, flow_write(&stand.w, &rows[i], buf), &got));

	struct target t = home("wss:192.0.2.1:443", "198.51.100.7:4711", (struct ref){ 0, REF_CONN, 1, 1 });
	struct view   text = flow_write(&stand.w, &t, buf);
	assert_true(flow_read(&stand.w, text, &got));
	stand.conf.net.nsockets = t.from->index;               /* its socket is no more */
	assert_false(flow_read(&stand.w, text, &got));
	stand.conf.net.nsockets = STAND_SOCKETS;
	stand.sockets[t.from->index].transport = TR_TCP;       /* or is another's now */
	assert_false(flow_read(&stand.w, text, &got));
}

/* Who cannot be called back, because a browser, a TLS client or a load balancer is there, is answered on its connection or not at all. */
static void test_who_may_be_called_back(void **s)
{
	static const struct { const char *socket; bool real, only; } rows[] = { { "tcp:192.0.2.1:5060", false, false }, { "tcp:192.0.2.1:5060", true, true },
		{ "tls:192.0.2.1:5061", false, true }, { "ws:192.0.2.1:80", false, true }, { "wss:192.0.2.1:443", false, true } };

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct msg   *m = stand_msg("OPTIONS sip:x@y SIP/2.0\r\nVia: SIP/2.0/TCP 198.51.100.7:7000;branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n"
			"Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n", rows[i].socket, "198.51.100.7:4000");
		struct target t;
		m->origin.has_real = rows[i].real;
		reply_target(m, &t);
		assert_true(t.downstream && t.flow.slot == m->origin.conn.slot);
		if (t.flow_only != rows[i].only || t.to.port != (rows[i].only ? 4000 : 7000))
			fail_msg("row %zu: flow_only %d, port %u", i, t.flow_only, t.to.port);
		msg_unref(m);
	}
}

static int up(void **s)
{
	stand_up();
	return 0;
}

static int down(void **s)
{
	stand_down();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, up, down), cmocka_unit_test_setup_teardown(test_signed_but_wrong, up, down),
		cmocka_unit_test_setup_teardown(test_who_may_be_called_back, up, down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
