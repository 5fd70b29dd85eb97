/* Who owns a message, who is answered, what is forwarded, and what is believed. */
#include "stand.h"
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#define HEAD "From: <sip:alice@example.com>;tag=a1\r\nTo: <sip:bob@example.com>\r\nCall-ID: c1@example.com\r\nCSeq: 1 OPTIONS\r\n"
#define OPTIONS(ruri, more) "OPTIONS " ruri " SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKa\r\n" HEAD "Max-Forwards: 70\r\n" more "Content-Length: 0\r\n\r\n"

static void test_cookie(void **s)
{
	struct hash_key      key = { 11, 22 }, other = { 11, 23 };
	struct branch_cookie c = { .worker = 3, .hi = 0x1122334455667788, .lo = 0x99aabbcc, .loop = 0xdeadbeef }, got;
	char                 buf[BRANCH_TEXT_MAX];
	struct view          text = branch_write(key, &c, buf);

	assert_true(branch_read(key, text, &got));
	assert_true(got.worker == c.worker && got.hi == c.hi && got.lo == c.lo && got.loop == c.loop);
	assert_false(branch_read(other, text, &got));
	/* no byte can be changed, nothing cut off or added */
	for (size_t i = 7; i < text.n; i++) {
		char was = buf[i];
		buf[i] = was == '0' ? '1' : '0';
		assert_false(branch_read(key, text, &got));
		buf[i] = was;
	}
	for (size_t n = 0; n < text.n; n++)
		assert_false(branch_read(key, view_sub(text, 0, n), &got));
	assert_false(branch_read(key, VIEW("z9hG4bK74bf9"), &got));
}

static void test_dispatch(void **s)
{
	struct hash_key      key = { 1, 2 };
	char                 buf[BRANCH_TEXT_MAX];
	struct branch_cookie c = { .worker = 5 }, high = { .worker = 9 };
	struct sip_peek      p = { .response = true, .branch = branch_write(key, &c, buf), .call_id = VIEW("x") };
	uint16_t             by_call = dispatch_owner(key, 8, &(struct sip_peek){ .call_id = VIEW("x") });
	unsigned             seen = 0;

	assert_int_equal(dispatch_owner(key, 8, &p), 5);
	assert_int_equal(dispatch_owner(key, 1, &p), 0);
	p.response = false;                                    /* a request's branch names nobody */
	assert_int_equal(dispatch_owner(key, 8, &p), by_call);
	p.response = true;
	p.branch = branch_write(key, &high, buf);              /* a worker that is no more */
	assert_int_equal(dispatch_owner(key, 8, &p), by_call);
	p.branch = VIEW("z9hG4bKforeign");
	assert_int_equal(dispatch_owner(key, 8, &p), by_call);
	for (int i = 0; i < 200; i++) {
		char       id[16];
		struct out o = out_to(id, sizeof id);
		put_u64(&o, (uint64_t)i);
		seen |= 1u << dispatch_owner(key, 8, &(struct sip_peek){ .call_id = out_view(&o) });
	}
	assert_int_equal(seen, 0xff);
}

static void test_myself(void **s)
{
	static const struct alias aliases[] = { { TR_NONE, VIEW_INIT("example.com"), 0, true }, { TR_TCP, VIEW_INIT("tcp.example.net"), 5080, false } };
	static const struct { const char *host; uint16_t port; enum transport t; bool want; } cases[] = {
		{ "192.0.2.1", 0, TR_NONE, true }, { "192.0.2.1", 5060, TR_NONE, true }, { "192.0.2.1", 5062, TR_NONE, false }, { "192.0.2.1", 443, TR_UDP, false },
		{ "[2001:db8::1]", 5060, TR_UDP, true }, { "[2001:DB8:0::1]", 0, TR_UDP, true }, { "192.0.2.2", 0, TR_NONE, false }, { "Example.COM", 99, TR_TLS, true },
		{ "a.example.com", 0, TR_NONE, true }, { "badexample.com", 0, TR_NONE, false }, { "tcp.example.net", 5080, TR_NONE, true },
		{ "tcp.example.net", 5080, TR_UDP, false }, { "tcp.example.net", 5081, TR_TCP, false }, { "edge.example.org", 5070, TR_NONE, true }, { "edge.example.org", 5060, TR_NONE, false } };

	stand.conf.aliases = aliases;
	stand.conf.naliases = COUNT_OF(aliases);
	stand.sockets[0].advertised_host = VIEW("edge.example.org");
	stand.sockets[0].advertised_port = 5070;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (core_is_myself(&stand.conf, view_str(cases[i].host), cases[i].port, cases[i].t) != cases[i].want)
			fail_msg("case %zu: %s", i, cases[i].host);
}

static void test_sent_by(void **s)
{
	struct msg *m = stand_msg(OPTIONS("sip:x@192.0.2.9", ""), "udp:192.0.2.1:5060", "198.51.100.7:5060");

	assert_view(core_sent_by(&stand.conf, &stand.sockets[5], m, m->arena), "[2001:db8::1]:5060");
	stand.conf.advertised_host = VIEW("global.example.com");
	stand.conf.advertised_port = 5099;
	assert_view(core_sent_by(&stand.conf, &stand.sockets[0], m, m->arena), "global.example.com:5099");
	stand.sockets[0].advertised_host = VIEW("socket.example.com");
	assert_view(core_sent_by(&stand.conf, &stand.sockets[0], m, m->arena), "socket.example.com:5060");
	m->advertised_host = VIEW("msg.example.com");
	m->advertised_port = VIEW("1");
	assert_view(core_sent_by(&stand.conf, &stand.sockets[0], m, m->arena), "msg.example.com:1");
	msg_unref(m);
}

static void test_bad_requests_are_answered(void **s)
{
	stand_receive("OPTIONS sip:x@y SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n",
		"udp:192.0.2.1:5060", "198.51.100.7:5060");
	assert_int_equal(stand.nsent, 1);
	assert_true(view_starts(stand_text(0), VIEW("SIP/2.0 400 ")));
	assert_int_equal(stand.nbad, 1);
	assert_int_equal(stand.nrequests, 0);
	/* never an ACK, never without a way back */
	stand_receive("ACK sip:x@y SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n",
		"udp:192.0.2.1:5060", "198.51.100.7:5060");
	stand_receive("OPTIONS sip:x@y SIP/2.0\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n", "udp:192.0.2.1:5060", "198.51.100.7:5060");
	stand_receive("this is not SIP at all, not at all", "udp:192.0.2.1:5060", "198.51.100.7:5060");
	assert_int_equal(stand.nsent, 1);
	assert_int_equal(stand.w.counts[COREC_err_requests] , 4);
}

static void test_strange_replies(void **s)
{
	stand_receive("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKforeign\r\nVia: SIP/2.0/UDP 9.9.9.9;branch=z9hG4bKa\r\n" HEAD "Content-Length: 0\r\n\r\n",
		"udp:192.0.2.1:5060", "198.51.100.7:5060");
	assert_int_equal(stand.nreplies, 0);
	assert_int_equal(stand.nsent, 0);
	assert_int_equal(stand.w.counts[COREC_stray_replies], 1);
}

static void test_bare_on_a_require_socket(void **s)
{
	char                 text[1024], buf[BRANCH_TEXT_MAX];
	struct branch_cookie c = branch_new(&stand.w, 0);
	struct view          b = branch_write(stand.w.key, &c, buf);

	stand.sockets[0].pp_mode = PP_MODE_REQUIRE;
	stand_receive(OPTIONS("sip:x@y", ""), "udp:192.0.2.1:5060", "198.51.100.7:5060");
	stand_receive("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx\r\n" HEAD "\r\n", "udp:192.0.2.1:5060", "198.51.100.7:5060");
	assert_int_equal(stand.nrequests + stand.nreplies, 0);
	assert_int_equal(stand.w.counts[COREC_bare_forged], 2);
	snprintf(text, sizeof text, "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=" VIEW_FMT "\r\n" HEAD "\r\n", VIEW_ARG(b));
	stand_receive(text, "udp:192.0.2.1:5060", "198.51.100.7:5060");
	assert_int_equal(stand.nreplies, 1);
}

static void test_reply_targets(void **s)
{
	static const struct { const char *via; uint32_t flags; bool pp; const char *want; } cases[] = {
		{ "198.51.100.7:5080", 0, false, "198.51.100.7:5080" }, { "198.51.100.7", 0, false, "198.51.100.7:5060" }, { "10.0.0.1:5080", 0, false, "198.51.100.7:5080" },
		{ "10.0.0.1:5080;rport", 0, false, "198.51.100.7:4000" }, { "10.0.0.1:5080", VIA_FORCE_RPORT, false, "198.51.100.7:4000" },
		{ "10.0.0.1:5080", 0, true, "198.51.100.7:4000" }, { "10.0.0.1:5080", VIA_REPLY_TO_VIA, false, "10.0.0.1:5080" },
		{ "10.0.0.1:5080;received=9.9.9.9", 0, false, "198.51.100.7:5080" } };
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char          text[1024], addr[ADDR_TEXT_MAX];
		struct target t;
		snprintf(text, sizeof text, "OPTIONS sip:x@y SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKa\r\n" HEAD "\r\n", cases[i].via);
		struct msg *m = stand_msg(text, "udp:192.0.2.1:5060", "198.51.100.7:4000");
		m->via_flags = cases[i].flags;
		m->origin.has_real = cases[i].pp;
		reply_target(m, &t);
		assert_view(addr_text(&t.to, addr), cases[i].want);
		assert_ptr_equal(t.client, &m->origin);
		msg_unref(m);
	}
}

static void test_stateless_there_and_back(void **s)
{
	char text[2048];

	stand_receive(OPTIONS("sip:x@192.0.2.9:5070", ""), "udp:192.0.2.1:5060", "198.51.100.7:4000");
	assert_int_equal(stand.nrequests, 1);
	/* behind a load balancer: the way back is the wire, whatever the Vias say */
	stand.requests[0]->origin.has_real = true;
	assert_int_equal(forward_request(stand.requests[0], &stand.requests[0]->route), SEND_OK);
	assert_int_equal(stand.nsent, 1);
	assert_true(stand.sent[0].has_client);
	assert_int_equal(stand.sent[0].target.to.port, 5070);
	/* a retransmission leaves byte by byte the same */
	assert_int_equal(forward_request(stand.requests[0], &stand.requests[0]->route), SEND_OK);
	assert_true(view_is(stand_text(0), stand_text(1)));

	struct view sent = stand_text(0);
	size_t      at = view_find_view(sent, VIEW("Via:")), end = view_find_view(sent, VIEW("\r\nVia:"));
	end = at + view_find_view(view_from(sent, at), VIEW("\r\n"));
	snprintf(text, sizeof text, "SIP/2.0 200 OK\r\n" VIEW_FMT "\r\nVia: SIP/2.0/UDP 198.51.100.99:5060;branch=z9hG4bKa\r\n" HEAD "Content-Length: 0\r\n\r\n",
		VIEW_ARG(view_sub(sent, at, end - at)));
	stand_receive(text, "udp:192.0.2.1:5060", "192.0.2.9:5070");
	assert_int_equal(stand.nreplies, 1);
	assert_int_equal(forward_reply(stand.replies[0]), SEND_OK);
	char addr[ADDR_TEXT_MAX];
	assert_view(addr_text(&stand.sent[2].target.to, addr), "198.51.100.7:4000");
	assert_true(stand.sent[2].target.downstream);
	assert_true(view_starts(stand_text(2), VIEW("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 198.51.100.99:5060;branch=z9hG4bKa\r\n")));
}

static void test_stateless_later_and_loops(void **s)
{
	char text[2048];

	stand.names[0].host = "later.example.com";
	stand.names[0].later = true;
	stand.names[0].n = 2;
	stand.names[0].list[0] = (struct candidate){ TR_UDP, { .af = AF_V4, .port = 7001, .ip = { 192, 0, 2, 9 } } };
	stand.names[0].list[1] = (struct candidate){ TR_TCP, { .af = AF_V4, .port = 7002, .ip = { 192, 0, 2, 9 } } };
	stand.refuse[0].port = 7001;
	stand.refuse[0].result = SEND_ERROR;
	stand_receive(OPTIONS("sip:x@later.example.com", ""), "udp:192.0.2.1:5060", "198.51.100.7:4000");
	assert_int_equal(forward_request(stand.requests[0], &stand.requests[0]->route), SEND_OK);
	assert_int_equal(stand.nsent, 0);
	stand_resolve(0);
	assert_int_equal(stand.nsent, 1);
	assert_int_equal(stand.sent[0].target.to.port, 7002);
	assert_true(view_has(stand_text(0), "Via: SIP/2.0/TCP 192.0.2.1:5060;branch="));
	/* it comes back to us unchanged: a loop */
	struct view sent = stand_text(0);
	memcpy(text, sent.p, sent.n);
	text[sent.n] = 0;
	stand_receive(text, "udp:192.0.2.1:5060", "192.0.2.9:7002");
	assert_int_equal(stand.nrequests, 2);
	assert_true(msg_looped(&stand.w, stand.requests[1], &stand.requests[1]->route));
	assert_int_equal(forward_request(stand.requests[1], &stand.requests[1]->route), SEND_ERROR);
	assert_int_equal(stand.w.counts[COREC_loops], 1);
	/* with another target it is a spiral */
	stand.requests[1]->route.ruri = VIEW("sip:y@192.0.2.10");
	assert_false(msg_looped(&stand.w, stand.requests[1], &stand.requests[1]->route));
}

static void test_next_hop(void **s)
{
	struct msg *m = stand_msg(OPTIONS("sip:x@h.example.com:5070;transport=tcp", ""), "udp:192.0.2.1:5060", "198.51.100.7:4000");
	struct resolve_ask ask;
	struct sip_uri     uri;

	assert_true(next_hop(m, &m->route, &ask, &uri));
	assert_view(ask.host, "h.example.com");
	assert_int_equal(ask.port, 5070);
	assert_int_equal(ask.transport, TR_TCP);
	m->route.path = VIEW("<sip:p.example.com;lr>");
	assert_true(next_hop(m, &m->route, &ask, &uri));
	assert_view(ask.host, "p.example.com");
	assert_int_equal(ask.transport, TR_NONE);
	m->route.duri = VIEW("sips:d.example.com;transport=tcp;maddr=192.0.2.77");
	assert_true(next_hop(m, &m->route, &ask, &uri));
	assert_view(ask.host, "192.0.2.77");
	assert_int_equal(ask.transport, TR_TLS);
	assert_true(ask.secure);
	m->route.duri = VIEW("tel:+15551234");
	assert_false(next_hop(m, &m->route, &ask, &uri));
	m->route.duri = VIEW("sip:x@y;transport=sctp");
	assert_false(next_hop(m, &m->route, &ask, &uri));
	msg_unref(m);
}

/* ---- two workers ------------------------------------------------------------------------------------------------------------ */

static int            got[2];
static struct origin  last_origin;
static uint32_t       calls[8];            /* Call-IDs, in the order of arrival */
static int            ncalls = COUNT_OF(calls);
static uint64_t       clock_now(void *arg) { return stand.now; }
static uint64_t       no_chance(void *arg) { return 7; }
static void got_one(struct worker *w, struct msg *m)
{
	got[w->id]++;
	last_origin = m->origin;
	if (ncalls < (int)COUNT_OF(calls))
		view_u32(m->sip.call_id, &calls[ncalls++]);
	msg_unref(m);
}
static const struct core_hooks count_hooks = { .request = got_one, .reply = got_one };

static void two_workers(struct worker *w)
{
	struct workers *all = workers_new(2);

	got[0] = got[1] = 0;
	for (uint16_t i = 0; i < 2; i++) {
		w[i] = (struct worker){ .id = i, .loop = loop_new(i, (struct loop_clock){ clock_now, clock_now, NULL }), .conf = &stand.conf, .key = { 1, 2 },
			.rand64 = no_chance, .hooks = &count_hooks };
		w[i].loop->user = &w[i];
		workers_join(all, &w[i]);
	}
}

static void two_down(struct worker *w)
{
	struct workers *all = w[0].all;

	for (int i = 0; i < 2; i++)
		inbox_drain(w[i].loop);
	loop_free(w[0].loop);
	loop_free(w[1].loop);
	workers_free(all);
}

static bool arrive(struct worker *w, int call, const char *socket)
{
	char          text[1024];
	struct origin o = stand_origin(socket, "198.51.100.7:4000");

	snprintf(text, sizeof text, "OPTIONS sip:x@y SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: %d\r\n"
		"CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n", call);
	struct buf *b = buf_from(view_str(text));
	bool        ok = worker_receive(w, b, buf_view(b), &o);
	buf_unref(b);
	return ok;
}

static void test_letters_reach_the_owner(void **s)
{
	struct worker w[2];

	two_workers(w);
	for (int i = 0; i < 100; i++)
		assert_true(arrive(&w[0], i, "tcp:192.0.2.1:5060"));
	assert_int_equal(got[1], 0);
	loop_turn(w[1].loop, 0);
	assert_int_equal(got[0] + got[1], 100);
	assert_in_range(got[1], 30, 70);
	assert_int_equal(w[0].counts[COREC_handed_over], got[1]);
	/* the flow travels with it */
	assert_int_equal(last_origin.conn.slot, 7);
	two_down(w);
}

static void test_a_full_inbox_pushes_back(void **s)
{
	struct worker w[2];
	int           call = 0;

	two_workers(w);
	while (w[0].counts[COREC_inbox_full] == 0)
		assert_true(arrive(&w[0], call++, "udp:192.0.2.1:5060"));        /* datagrams beyond the bound are dropped, counted */
	int at_zero = got[0];
	uint64_t posted = w[0].counts[COREC_handed_over];
	/* a stream is asked to wait, and nothing of it is lost */
	int waiting = 0;
	for (int i = 0; i < 20; i++)
		if (!arrive(&w[0], call++, "tcp:192.0.2.1:5060"))
			waiting++;
	assert_in_range(waiting, 1, 20);
	assert_int_equal(stand.nresumed, 0);
	stand.now += 5;
	loop_turn(w[0].loop, 0);
	assert_int_equal(stand.nresumed, 0);
	for (int i = 0; i < 400; i++)
		loop_turn(w[1].loop, 0);
	assert_int_equal(got[1], posted);
	stand.now += 5;
	loop_turn(w[0].loop, 0);
	assert_int_equal(stand.nresumed, 1);
	loop_turn(w[1].loop, 0);
	assert_int_equal(got[1], posted + (uint64_t)waiting);
	assert_int_equal(got[0], at_zero + 20 - waiting);
	two_down(w);
}

/* What a connection sent stays in its order: behind what waits, also after a post that failed again. */
static void test_what_waits_is_not_overtaken(void **s)
{
	struct worker w[2];
	int           at_one[6], n = 0, call = 0;
	char          id[16];

	two_workers(w);
	for (; n < 6; call++) {
		struct out o = out_to(id, sizeof id);
		put_u64(&o, (uint64_t)call);
		if (dispatch_owner(w[0].key, 2, &(struct sip_peek){ .call_id = out_view(&o) }) == 1)
			at_one[n++] = call;
	}
	while (w[0].counts[COREC_inbox_full] == 0)
		arrive(&w[0], call++, "udp:192.0.2.1:5060");
	for (int i = 0; i < 4; i++)
		assert_false(arrive(&w[0], at_one[i], "tcp:192.0.2.1:5060"));
	/* still no room: they are tried again and stay in line */
	stand.now += 5;
	loop_turn(w[0].loop, 0);
	/* room, and yet the next ones queue up behind */
	for (int i = 0; i < 400; i++)
		loop_turn(w[1].loop, 0);
	for (int i = 4; i < 6; i++)
		assert_false(arrive(&w[0], at_one[i], "tcp:192.0.2.1:5060"));
	ncalls = 0;
	stand.now += 5;
	loop_turn(w[0].loop, 0);
	loop_turn(w[1].loop, 0);
	assert_int_equal(ncalls, 6);
	for (int i = 0; i < 6; i++)
		assert_int_equal(calls[i], at_one[i]);
	two_down(w);
}

static void test_bad_frames_are_answered(void **s)
{
	struct origin o = stand_origin("tcp:192.0.2.1:5060", "198.51.100.7:4000");

	core_net_events.bad_frame(&stand.w, VIEW("MESSAGE sip:x@y SIP/2.0\r\nVia: SIP/2.0/TCP 198.51.100.7;branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n"
		"Call-ID: 1\r\nCSeq: 1 MESSAGE\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\n"), SIP_FAULT_BAD_LENGTH, &o);
	assert_int_equal(stand.nsent, 1);
	assert_true(view_starts(stand_text(0), VIEW("SIP/2.0 400 ")));
	core_net_events.bad_frame(&stand.w, VIEW_NONE, SIP_FAULT_NOT_SIP, &o);
	core_net_events.bad_frame(&stand.w, VIEW("rubbish\r\n\r\n"), SIP_FAULT_NOT_SIP, &o);
	assert_int_equal(stand.nsent, 1);
	assert_int_equal(stand.nrequests, 0);
}

static void test_reply_target_by_via(void **s)
{
	static const struct { const char *via, *want; enum transport t; } cases[] = { { "SIP/2.0/UDP 198.51.100.99:5070", "198.51.100.99:5070", TR_UDP },
		{ "SIP/2.0/UDP pc.example.com;received=198.51.100.9;rport=777", "198.51.100.9:777", TR_UDP }, { "SIP/2.0/TCP 198.51.100.99", "198.51.100.99:5060", TR_TCP },
		{ "SIP/2.0/TLS 198.51.100.99", "198.51.100.99:5061", TR_TLS }, { "SIP/2.0/UDP pc.example.com", NULL, TR_UDP }, { "SIP/2.0/SCTP 198.51.100.99", NULL, TR_UDP } };

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char          text[1024], addr[ADDR_TEXT_MAX];
		struct target t;
		snprintf(text, sizeof text, "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx\r\nVia: %s;branch=z9hG4bKa\r\n" HEAD "\r\n", cases[i].via);
		struct msg *m = stand_msg(text, "udp:192.0.2.1:5060", "192.0.2.9:5060");
		bool        ok = reply_target_via(m, &t);
		assert_int_equal(ok, cases[i].want != NULL);
		if (ok) {
			assert_view(addr_text(&t.to, addr), cases[i].want);
			assert_int_equal(t.transport, cases[i].t);
			assert_true(t.downstream);
		}
		msg_unref(m);
	}
}

static void test_notes(void **s)
{
	static const char k1, k2;
	struct msg       *m = stand_msg(OPTIONS("sip:x@y", ""), "udp:192.0.2.1:5060", "198.51.100.7:4000");
	int               a = 1, b = 2;

	assert_null(msg_note(m, &k1));
	assert_true(msg_note_set(m, &k1, &a) && msg_note_set(m, &k2, &b) && msg_note_set(m, &k1, &b));
	assert_ptr_equal(msg_note(m, &k1), &b);
	msg_unref(m);
}

static int setup(void **s) { stand_up(); return 0; }
static int teardown(void **s) { stand_down(); return 0; }
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { T(test_cookie), T(test_dispatch), T(test_myself), T(test_sent_by), T(test_bad_requests_are_answered),
		T(test_strange_replies), T(test_bare_on_a_require_socket), T(test_reply_targets), T(test_stateless_there_and_back),
		T(test_stateless_later_and_loops), T(test_next_hop), T(test_letters_reach_the_owner), T(test_a_full_inbox_pushes_back), T(test_what_waits_is_not_overtaken),
		T(test_bad_frames_are_answered), T(test_reply_target_by_via), T(test_notes) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
