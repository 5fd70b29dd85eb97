/* What leaves, byte by byte. */
#include "stand.h"
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#define HEAD "From: <sip:alice@example.com>;tag=a1\r\nTo: <sip:bob@example.com>\r\nCall-ID: c1@example.com\r\nCSeq: 1 INVITE\r\n"
#define REQUEST(via, more) "INVITE sip:bob@192.0.2.9 SIP/2.0\r\nVia: " via "\r\n" HEAD more "\r\n"

static struct view laid_text(const struct laid *l, struct msg *m)
{
	return laid_flat(l, m->arena);
}

static void expect_request(const char *in, const char *socket, const char *from, const char *out)
{
	struct msg *m = stand_msg(in, socket, from);
	struct laid laid;

	assert_true(layout_request(m, &m->route, NULL, &stand.sockets[0], TR_UDP, VIEW("z9hG4bKx"), m->arena, &laid));
	assert_view(laid_text(&laid, m), out);
	msg_unref(m);
}

static void test_via_marks(void **s)
{
#define OUT(via, more) "INVITE sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx\r\nVia: " via "\r\n" HEAD more "\r\n"
	static const struct { const char *in, *out; } cases[] = {
		/* source equals sent-by: nothing to say */
		{ REQUEST("SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKa", "Content-Length: 0\r\n"),
		  OUT("SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKa", "Content-Length: 0\r\n") },
		/* a name always gets received */
		{ REQUEST("SIP/2.0/UDP pc.example.com;branch=z9hG4bKa", "Content-Length: 0\r\n"),
		  OUT("SIP/2.0/UDP pc.example.com;branch=z9hG4bKa;received=198.51.100.7", "Content-Length: 0\r\n") },
		/* rport is filled in place, with received */
		{ REQUEST("SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bKa", "Content-Length: 0\r\n"),
		  OUT("SIP/2.0/UDP 10.0.0.1;rport=4000;received=198.51.100.7;branch=z9hG4bKa", "Content-Length: 0\r\n") },
		/* what the sender claims is replaced */
		{ REQUEST("SIP/2.0/UDP 10.0.0.1;received=9.9.9.9;branch=z9hG4bKa", "Content-Length: 0\r\n"),
		  OUT("SIP/2.0/UDP 10.0.0.1;received=198.51.100.7;branch=z9hG4bKa", "Content-Length: 0\r\n") },
		{ REQUEST("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa;received=9.9.9.9;rport", "Content-Length: 0\r\n"),
		  OUT("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa;received=198.51.100.7;rport=4000", "Content-Length: 0\r\n") },
		/* only the first value of a list is touched */
		{ REQUEST("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa, SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKb", "Content-Length: 0\r\n"),
		  OUT("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa;received=198.51.100.7, SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKb", "Content-Length: 0\r\n") },
		/* no parameters at all */
		{ REQUEST("SIP/2.0/UDP 10.0.0.1:5070", "Content-Length: 0\r\n"),
		  OUT("SIP/2.0/UDP 10.0.0.1:5070;received=198.51.100.7", "Content-Length: 0\r\n") },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		expect_request(cases[i].in, "udp:192.0.2.1:5060", "198.51.100.7:4000", cases[i].out);
}

static void test_real_source(void **s)
{
	struct msg *m = stand_msg(REQUEST("SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bKa", "Content-Length: 0\r\n"), "udp:192.0.2.1:5060", "203.0.113.5:777");
	struct laid laid;
	struct target t;

	m->origin.has_real = true;
	assert_true(addr_parse(VIEW("[2001:db8::99]:6000"), &m->origin.real_src));
	assert_true(layout_request(m, &m->route, NULL, &stand.sockets[0], TR_UDP, VIEW("z9hG4bKx"), m->arena, &laid));
	assert_true(view_has(laid_text(&laid, m), ";rport=777;received=203.0.113.5;"));
	stand.sockets[0].real_source = true;
	assert_true(layout_request(m, &m->route, NULL, &stand.sockets[0], TR_UDP, VIEW("z9hG4bKx"), m->arena, &laid));
	assert_true(view_has(laid_text(&laid, m), ";rport=6000;received=2001:db8::99;"));
	/* and still the reply goes to whom the bytes came from */
	reply_target(m, &t);
	assert_true(addr_same(&t.to, &m->origin.wire_src));
	assert_true(t.downstream);
	msg_unref(m);
}

static void test_one_content_length(void **s)
{
	static const struct { const char *in, *out; } cases[] = {
		{ REQUEST("SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKa", ""), OUT("SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKa", "Content-Length: 0\r\n") },
		{ REQUEST("SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKa", "l: 2\r\nX: y\r\n") "hi",
		  OUT("SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKa", "l: 2\r\nX: y\r\n") "hi" },
		{ REQUEST("SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKa", "Content-Length :  02\r\nX: y\r\n") "hi",
		  OUT("SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKa", "Content-Length: 2\r\nX: y\r\n") "hi" },
		{ REQUEST("SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKa", "Content-Length:\r\n 2\r\nX: y\r\n") "hi",
		  OUT("SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKa", "Content-Length: 2\r\nX: y\r\n") "hi" },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		expect_request(cases[i].in, "udp:192.0.2.1:5060", "198.51.100.7:5060", cases[i].out);
}

static void test_edits(void **s)
{
	struct msg  *m = stand_msg(REQUEST("SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKa", "Subject: old\r\nContent-Length: 5\r\n") "hello",
		"udp:192.0.2.1:5060", "198.51.100.7:5060");
	struct edits own = { 0 };
	struct laid  laid;
	const struct sip_hdr *subject = sip_first(&m->sip, HDR_SUBJECT);

	assert_true(edit_delete(m, &m->edits, subject->line));
	assert_true(edit_delete(m, &m->edits, subject->line));
	assert_int_equal(m->edits.n, 1);
	/* inside what was deleted: void */
	assert_true(edit_replace(m, &m->edits, subject->value, VIEW("new")));
	assert_true(edit_append_header(m, &m->edits, VIEW("X-A: 1\r\nContent-Length: 77\r\n")));
	assert_true(edit_append_header(m, &own, VIEW("X-B: 2\r\n")));
	assert_true(edit_prepend_header(m, &m->edits, VIEW("X-First: 0\r\n")));
	assert_true(edit_replace(m, &own, view_sub(m->sip.body, 0, 1), VIEW("HH")));
	assert_false(edit_delete(m, &own, VIEW("elsewhere")));
	assert_true(layout_request(m, &m->route, &own, &stand.sockets[0], TR_UDP, VIEW("z9hG4bKx"), m->arena, &laid));
	assert_view(laid_text(&laid, m), "INVITE sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx\r\nX-First: 0\r\n"
		"Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKa\r\n" HEAD "Content-Length: 6\r\nX-A: 1\r\nX-B: 2\r\n\r\nHHello");
	/* without the branch's own edits nothing of them shows */
	assert_true(edit_body(m, &m->edits, VIEW("whole new")));
	assert_true(layout_request(m, &m->route, NULL, &stand.sockets[0], TR_UDP, VIEW("z9hG4bKx"), m->arena, &laid));
	assert_view(laid_text(&laid, m), "INVITE sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx\r\nX-First: 0\r\n"
		"Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKa\r\n" HEAD "Content-Length: 9\r\nX-A: 1\r\n\r\nwhole new");
	/* a script that removes Content-Length still gets one */
	assert_true(edit_delete(m, &m->edits, sip_first(&m->sip, HDR_CONTENT_LENGTH)->line));
	assert_true(layout_request(m, &m->route, NULL, &stand.sockets[0], TR_UDP, VIEW("z9hG4bKx"), m->arena, &laid));
	assert_true(view_has(laid_text(&laid, m), "X-A: 1\r\nContent-Length: 9\r\n\r\nwhole new"));
	msg_unref(m);
}

static void test_many_pieces(void **s)
{
	struct msg *m = stand_msg(REQUEST("SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKa", "Content-Length: 200\r\n")
		"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
		"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789", "udp:192.0.2.1:5060", "198.51.100.7:5060");
	struct laid laid;
	char        body[201] = { 0 };

	for (size_t i = 0; i < 200; i += 2)
		assert_true(edit_replace(m, &m->edits, view_sub(m->sip.body, i, 1), VIEW("x")));
	for (size_t i = 0; i < 200; i++)
		body[i] = i % 2 ? m->sip.body.p[i] : 'x';
	assert_true(layout_request(m, &m->route, NULL, &stand.sockets[0], TR_UDP, VIEW("z9hG4bKx"), m->arena, &laid));
	assert_true(laid.n <= LAYOUT_IOV);
	assert_true(view_ends(laid_text(&laid, m), view_str(body)));
	assert_int_equal(laid_text(&laid, m).n, laid.bytes);
	msg_unref(m);
}

static void test_routes(void **s)
{
	struct msg      *m = stand_msg(REQUEST("SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKa", "Route: <sip:r1;lr>\r\nContent-Length: 0\r\n"),
		"udp:192.0.2.1:5060", "198.51.100.7:5060");
	struct msg_route r = m->route;
	struct laid      laid;

	r.ruri = VIEW("sip:bob@198.51.100.99");
	r.path = VIEW("<sip:192.0.2.50;lr>, <sip:192.0.2.51;lr>");
	m->via_flags = VIA_ADD_LOCAL_RPORT;
	m->advertised_host = VIEW("edge.example.com");
	assert_true(layout_request(m, &r, NULL, &stand.sockets[4], TR_WSS, VIEW("z9hG4bKx"), m->arena, &laid));
	assert_view(laid_text(&laid, m), "INVITE sip:bob@198.51.100.99 SIP/2.0\r\nVia: SIP/2.0/WSS edge.example.com:443;branch=z9hG4bKx;rport\r\n"
		"Route: <sip:192.0.2.50;lr>, <sip:192.0.2.51;lr>\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKa\r\n" HEAD
		"Route: <sip:r1;lr>\r\nContent-Length: 0\r\n\r\n");
	/* RFC 3261 16.6 step 6: a strict router first */
	r.path = VIEW("<sip:192.0.2.50>, <sip:192.0.2.51;lr>");
	assert_true(layout_request(m, &r, NULL, &stand.sockets[0], TR_UDP, VIEW("z9hG4bKx"), m->arena, &laid));
	assert_view(laid_text(&laid, m), "INVITE sip:192.0.2.50 SIP/2.0\r\nVia: SIP/2.0/UDP edge.example.com:5060;branch=z9hG4bKx;rport\r\n"
		"Route: <sip:192.0.2.51;lr>\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKa\r\n" HEAD
		"Route: <sip:r1;lr>\r\nContent-Length: 0\r\nRoute: <sip:bob@198.51.100.99>\r\n\r\n");
	msg_unref(m);
}

#define REPLY(vias) "SIP/2.0 183 Session\r\n" vias HEAD "Content-Length: 2\r\n\r\nok"
static void test_reply(void **s)
{
	static const struct { const char *in, *out; } cases[] = {
		{ REPLY("Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa\r\n"),
		  REPLY("Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa\r\n") },
		{ REPLY("v: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx,SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa\r\n"),
		  REPLY("v: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa\r\n") },
		{ REPLY("Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx ,\r\n SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa\r\n"),
		  REPLY("Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa\r\n") },
	};
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct msg *m = stand_msg(cases[i].in, "udp:192.0.2.1:5060", "192.0.2.9:5060");
		struct laid laid;
		assert_true(layout_reply(m, 0, VIEW_NONE, m->arena, &laid));
		assert_view(laid_text(&laid, m), cases[i].out);
		msg_unref(m);
	}

	struct msg *m = stand_msg(cases[0].in, "udp:192.0.2.1:5060", "192.0.2.9:5060");
	struct laid laid;

	assert_true(edit_append_header(m, &m->edits, VIEW("X: y\r\n")));
	assert_true(layout_reply(m, 500, VIEW_NONE, m->arena, &laid));
	assert_view(laid_text(&laid, m), "SIP/2.0 500 Session\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa\r\n" HEAD "Content-Length: 2\r\nX: y\r\n\r\nok");
	msg_unref(m);
}

static void test_own_reply(void **s)
{
	struct msg *m = stand_msg(REQUEST("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa", "Via: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKb\r\nRecord-Route: <sip:p1;lr>\r\nContent-Length: 0\r\n"),
		"udp:192.0.2.1:5060", "198.51.100.7:4000");
	struct own_reply r = { .status = 180, .to_tag = VIEW("t1"), .extra = VIEW("X: y\r\n") };
	struct laid laid;

	assert_true(layout_own_reply(m, &r, m->arena, &laid));
	assert_view(laid_text(&laid, m), "SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa;received=198.51.100.7\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKb\r\n"
		"Record-Route: <sip:p1;lr>\r\nFrom: <sip:alice@example.com>;tag=a1\r\nTo: <sip:bob@example.com>;tag=t1\r\nCall-ID: c1@example.com\r\nCSeq: 1 INVITE\r\n"
		"X: y\r\nServer: viaduct\r\nContent-Length: 0\r\n\r\n");
	r = (struct own_reply){ .status = 404, .reason = VIEW("Nobody"), .to_tag = VIEW("t1"), .content_type = VIEW("text/plain"), .body = VIEW("sorry") };
	assert_true(layout_own_reply(m, &r, m->arena, &laid));
	assert_view(laid_text(&laid, m), "SIP/2.0 404 Nobody\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa;received=198.51.100.7\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKb\r\n"
		"From: <sip:alice@example.com>;tag=a1\r\nTo: <sip:bob@example.com>;tag=t1\r\nCall-ID: c1@example.com\r\nCSeq: 1 INVITE\r\n"
		"Server: viaduct\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nsorry");
	msg_unref(m);
}

static void test_hop(void **s)
{
	static const char sent[] = "INVITE sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa\r\n"
		"Route: <sip:r1;lr>\r\nMax-Forwards: 69\r\n" HEAD "Contact: <sip:a@b>\r\nContent-Length: 2\r\n\r\nhi";
	struct msg *m = stand_msg(REPLY("Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx\r\n"), "udp:192.0.2.1:5060", "192.0.2.9:5060");
	struct laid laid;

	assert_true(layout_hop(view_str(sent), SIP_CANCEL, NULL, VIEW_NONE, m->arena, &laid));
	assert_view(laid_text(&laid, m), "CANCEL sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx\r\nRoute: <sip:r1;lr>\r\nMax-Forwards: 69\r\n"
		"From: <sip:alice@example.com>;tag=a1\r\nTo: <sip:bob@example.com>\r\nCall-ID: c1@example.com\r\nCSeq: 1 CANCEL\r\nContent-Length: 0\r\n\r\n");
	assert_true(layout_hop(view_str(sent), SIP_ACK, m, VIEW("X: y\r\n"), m->arena, &laid));
	assert_view(laid_text(&laid, m), "ACK sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx\r\nRoute: <sip:r1;lr>\r\nMax-Forwards: 69\r\n"
		"From: <sip:alice@example.com>;tag=a1\r\nTo: <sip:bob@example.com>\r\nCall-ID: c1@example.com\r\nCSeq: 1 ACK\r\nX: y\r\nContent-Length: 0\r\n\r\n");
	msg_unref(m);
}

/* A script's reason may quote what a caller folded. */
static void test_a_reason_is_one_line(void **s)
{
	struct msg *m = stand_msg(REQUEST("SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bKa", "Content-Length: 0\r\n"), "udp:192.0.2.1:5060", "198.51.100.7:4000");
	struct own_reply r = { .status = 400, .reason = VIEW("No\r\nContent-Length: 9\tx\x7f") };
	struct laid laid;

	assert_true(layout_own_reply(m, &r, m->arena, &laid));
	assert_true(view_starts(laid_flat(&laid, m->arena), VIEW("SIP/2.0 400 No  Content-Length: 9 x \r\nVia: ")));
	msg_unref(m);
}

static void test_arena_full(void **s)
{
	struct msg   *m = stand_msg(REQUEST("SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bKa", "Content-Length: 0\r\n"), "udp:192.0.2.1:5060", "198.51.100.7:4000");
	struct laid   laid;
	struct arena *small;
	bool          done = false;

	for (size_t bound = 0; !done && bound < 4096; bound += 16) {
		small = arena_new(bound);
		done = layout_request(m, &m->route, NULL, &stand.sockets[0], TR_UDP, VIEW("z9hG4bKx"), small, &laid);
		assert_int_equal(done, !small->full);
		arena_free(small);
	}
	assert_true(done);
	msg_unref(m);
}

static int setup(void **s) { stand_up(); return 0; }
static int teardown(void **s) { stand_down(); return 0; }
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { T(test_via_marks), T(test_real_source), T(test_one_content_length), T(test_edits), T(test_many_pieces), T(test_routes),
		T(test_reply), T(test_own_reply), T(test_a_reason_is_one_line), T(test_hop), T(test_arena_full) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
