/* Branches: who wins, who is cancelled, where a failed one goes next. */
#include "bench.h"
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#define UDP "udp:192.0.2.1:5060"
#define TCP "tcp:192.0.2.1:5060"

static void test_ranks(void **s)
{
	/* smallest wins: in this order */
	static const uint16_t order[] = { 600, 603, 606, 300, 302, 401, 407, 415, 420, 484, 400, 404, 480, 486, 499, 500, 502, 599, 408, 503 };

	assert_int_equal(reply_rank(487, true), 0);
	assert_true(reply_rank(487, false) > reply_rank(486, false));
	for (size_t i = 1; i < COUNT_OF(order); i++)
		assert_true(reply_rank(order[i - 1], false) < reply_rank(order[i], false));
}

static void test_best_response(void **s)
{
	static const struct { int status[3], want; } cases[] = { { { 404, 486, 401 }, 401 }, { { 503, 408, 500 }, 500 }, { { 486, 404, 486 }, 404 },
		{ { 302, 404, 500 }, 302 }, { { 503, 503, 503 }, 500 }, { { 408, 503, 503 }, 408 } };

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char id[8];
		snprintf(id, sizeof id, "f%zu", i);
		struct txn *t = bench_txn("INVITE", id, UDP);
		int         at = stand.nsent, last;
		bench_branch(t, "sip:b1@192.0.2.9:5071");
		bench_branch(t, "sip:b2@192.0.2.9:5072");
		bench_branch(t, "sip:b3@192.0.2.9:5073");
		assert_true(txn_relay(t));
		assert_int_equal(t->sent, 3);
		for (int b = 0; b < 3; b++) {
			assert_int_equal(bench_count(at, "SIP/2.0 ", NULL), 0);
			bench_answer(at + b, cases[i].status[b]);
		}
		assert_int_equal(bench_count(at, "SIP/2.0 ", &last), 1);
		char want[32];
		snprintf(want, sizeof want, "SIP/2.0 %d Whatever\r\n", cases[i].want);
		if (!view_starts(stand_text(last), view_str(want)))
			fail_msg("case %zu: " VIEW_FMT, i, VIEW_ARG(view_sub(stand_text(last), 0, 20)));
		assert_int_equal(bench_count(at, "ACK", NULL), 3);
	}
}

static void test_2xx_cancels_the_others(void **s)
{
	struct txn *t = bench_txn("INVITE", "i", UDP);
	int         cancel;

	bench_branch(t, "sip:b1@192.0.2.9:5071");
	bench_branch(t, "sip:b2@192.0.2.9:5072");
	bench_branch(t, "sip:b3@192.0.2.9:5073");
	txn_relay(t);
	bench_answer(0, 180);
	bench_answer(1, 180);
	bench_answer(1, 200);
	assert_int_equal(bench_count(0, "SIP/2.0 200", NULL), 1);
	/* the first rings: cancelled at once; the third said nothing yet: with its first provisional (9.1) */
	assert_int_equal(bench_count(0, "CANCEL", &cancel), 1);
	assert_true(view_is(stand_branch(cancel), stand_branch(0)));
	assert_int_equal(stand.sent[cancel].target.to.port, 5071);
	bench_answer(2, 180);
	assert_int_equal(bench_count(0, "CANCEL", &cancel), 2);
	assert_true(view_is(stand_branch(cancel), stand_branch(2)));
	assert_int_equal(bench_count(0, "SIP/2.0 180", NULL), 2);       /* no provisional after the final */
	bench_answer(cancel, 200);
	bench_answer(2, 487);
	/* a second 2xx that crossed our CANCEL goes up as well */
	bench_answer(0, 200);
	assert_int_equal(bench_count(0, "SIP/2.0 200", NULL), 2);
	assert_int_equal(bench_count(0, "SIP/2.0 487", NULL), 0);
	stand_turn(70000);
	assert_int_equal(txns_live(bench_txns()), 0);
}

static void test_6xx_ends_it_at_once(void **s)
{
	struct txn *t = bench_txn("INVITE", "i", UDP);

	bench_branch(t, "sip:b1@192.0.2.9:5071");
	bench_branch(t, "sip:b2@192.0.2.9:5072");
	txn_relay(t);
	bench_answer(0, 180);
	bench_answer(1, 603);
	assert_int_equal(bench_count(0, "SIP/2.0 603", NULL), 1);
	assert_int_equal(bench_count(0, "CANCEL", NULL), 1);
	assert_null(bench_branch(t, "sip:b3@192.0.2.9:5073"));
	bench_answer(0, 487);
	assert_int_equal(bench_count(0, "SIP/2.0 ", NULL), 2);
	assert_int_equal(bench_count(0, "ACK", NULL), 2);
}

static void test_cancel(void **s)
{
	struct txn *t = bench_txn("INVITE", "i", UDP);
	struct msg *c = bench_request("CANCEL", "i", UDP, "198.51.100.7:4000");
	int         cancel;

	assert_ptr_equal(txn_invite_of(&stand.w, c), t);
	assert_null(txn_find(&stand.w, c));
	msg_unref(c);
	bench_branch(t, "sip:b1@192.0.2.9:5071");
	bench_branch(t, "sip:b2@192.0.2.9:5072");
	txn_relay(t);
	bench_answer(0, 180);
	txn_cancel(t);
	assert_int_equal(bench_count(0, "CANCEL", &cancel), 1);
	bench_answer(cancel, 200);
	bench_answer(0, 487);
	assert_int_equal(bench_count(0, "SIP/2.0 487", NULL), 0);       /* the other may still answer */
	assert_null(bench_branch(t, "sip:b3@192.0.2.9:5073"));
	bench_answer(1, 404);
	assert_int_equal(bench_count(0, "SIP/2.0 487", NULL), 1);
	assert_int_equal(bench_count(0, "SIP/2.0 404", NULL), 0);
}

static void test_cancel_is_repeated_and_given_up(void **s)
{
	struct txn *t = bench_txn("INVITE", "i", UDP);

	bench_branch(t, "sip:b1@192.0.2.9:5071");
	txn_relay(t);
	bench_answer(0, 180);
	txn_cancel(t);
	stand_turn(31900);
	assert_int_equal(bench_count(0, "CANCEL", NULL), 11);
	assert_int_equal(bench_count(0, "SIP/2.0 487", NULL), 0);
	stand_turn(300);
	/* nobody answered for 64*T1: the INVITE counts as cancelled */
	assert_int_equal(bench_count(0, "SIP/2.0 487", NULL), 1);
}

static void test_cancel_crosses_200(void **s)
{
	struct txn *t = bench_txn("INVITE", "i", UDP);

	bench_branch(t, "sip:b1@192.0.2.9:5071");
	txn_relay(t);
	bench_answer(0, 180);
	txn_cancel(t);
	bench_answer(0, 200);
	assert_int_equal(bench_count(0, "SIP/2.0 200", NULL), 1);
	txn_cancel(t);
	assert_int_equal(bench_count(0, "CANCEL", NULL), 1);
	assert_int_equal(bench_count(0, "SIP/2.0 487", NULL), 0);
}

static void test_cancel_before_anything_was_sent(void **s)
{
	struct txn *t = bench_txn("INVITE", "i", UDP);

	txn_cancel(t);
	assert_int_equal(bench_count(0, "SIP/2.0 487", NULL), 1);
	assert_null(t->request);                                /* answered, and nobody's any more */
	assert_null(txn_add_branch(t, &(struct msg_route){ .ruri = VIEW("sip:b1@192.0.2.9:5071") }, NULL));
	assert_false(txn_reply(t, &(struct own_reply){ .status = 404 }));
}

/* ---- failover ------------------------------------------------------------------------------------------------------------------- */

static struct candidate at_port(enum transport t, uint16_t port)
{
	return (struct candidate){ t, { .af = AF_V4, .port = port, .ip = { 192, 0, 2, 9 } } };
}

static void three_addresses(bool later)
{
	stand.names[0].host = "many.example.com";
	stand.names[0].later = later;
	stand.names[0].n = 3;
	for (int i = 0; i < 3; i++)
		stand.names[0].list[i] = at_port(TR_UDP, (uint16_t)(7001 + i));
}

static void test_503_and_timeout_go_on(void **s)
{
	struct txn *t = bench_txn("INVITE", "i", UDP);

	three_addresses(false);
	bench_branch(t, "sip:bob@many.example.com");
	txn_relay(t);
	assert_int_equal(stand.sent[0].target.to.port, 7001);
	bench_answer(0, 503);
	int second;
	assert_int_equal(bench_count(0, "INVITE", &second), 2);
	assert_int_equal(stand.sent[second].target.to.port, 7002);
	assert_false(view_is(stand_branch(0), stand_branch(second)));      /* a transaction of its own (RFC 3263 4.3) */
	assert_int_equal(bench_count(0, "SIP/2.0 ", NULL), 0);
	stand_turn(32100);
	int third;
	assert_true(bench_count(second, "INVITE", &third) > 6);
	assert_int_equal(stand.sent[third].target.to.port, 7003);
	/* the second's late answer belongs to nobody now */
	bench_answer(second, 200);
	assert_int_equal(bench_count(0, "SIP/2.0 ", NULL), 0);
	bench_answer(third, 486);
	assert_int_equal(bench_count(0, "SIP/2.0 486", NULL), 1);
}

static void test_refused_addresses(void **s)
{
	struct txn *t = bench_txn("INVITE", "i", UDP), *u;

	three_addresses(false);
	stand.refuse[0].port = 7001;
	stand.refuse[0].result = SEND_ERROR;
	stand.refuse[1].port = 7002;
	stand.refuse[1].result = SEND_ERROR;
	bench_branch(t, "sip:bob@many.example.com");
	assert_true(txn_relay(t));
	assert_int_equal(t->sent, 1);
	assert_int_equal(stand.sent[0].target.to.port, 7003);
	stand.refuse[2].port = 7003;
	stand.refuse[2].result = SEND_ERROR;
	u = bench_txn("INVITE", "u", UDP);
	bench_branch(u, "sip:bob@many.example.com");
	assert_true(txn_relay(u));
	assert_int_equal(u->sent, 0);
	assert_int_equal(u->why, BRANCH_SEND_FAILED);
	assert_int_equal(bench_count(0, "SIP/2.0 ", NULL), 0);               /* what to say is the user's decision */
	stand_turn(40000);
}

static void test_no_failover(void **s)
{
	bench_conf.failover = false;
	struct txn *t = bench_txn("INVITE", "i", UDP);

	three_addresses(false);
	bench_branch(t, "sip:bob@many.example.com");
	txn_relay(t);
	bench_answer(0, 503);
	assert_int_equal(bench_count(0, "INVITE", NULL), 1);
	assert_int_equal(bench_count(0, "SIP/2.0 500 Whatever\r\n", NULL), 1);
}

static void test_later_failure_of_a_stream(void **s)
{
	struct txn *t = bench_txn("INVITE", "i", UDP);

	three_addresses(false);
	stand.names[0].list[0] = at_port(TR_TCP, 7001);
	bench_branch(t, "sip:bob@many.example.com");
	txn_relay(t);
	assert_int_equal(stand.sent[0].target.transport, TR_TCP);
	assert_true(ref_set(stand.sent[0].report));
	txn_send_failed(&stand.w, stand.sent[0].report, SEND_REFUSED);
	assert_int_equal(stand.nsent, 2);
	assert_int_equal(stand.sent[1].target.to.port, 7002);
	assert_true(view_has(stand_text(1), "Via: SIP/2.0/UDP"));
	/* the last one fails: 477 */
	txn_send_failed(&stand.w, stand.sent[0].report, SEND_REFUSED);
	txn_send_failed(&stand.w, stand.sent[0].report, SEND_REFUSED);
	assert_int_equal(bench_count(0, "SIP/2.0 477 Send failed", NULL), 1);
	/* a report for what is gone is nothing */
	struct ref gone = stand.sent[0].report;
	stand_turn(40000);
	assert_int_equal(txns_live(bench_txns()), 0);
	txn_send_failed(&stand.w, gone, SEND_REFUSED);
}

static int relayed_calls, failure_calls;
static void count_relayed(struct txn *t) { relayed_calls++; }

static void test_dns_that_takes_time(void **s)
{
	struct txn *t = bench_txn("INVITE", "i", UDP), *u = bench_txn("INVITE", "u", UDP), *v = bench_txn("INVITE", "v", UDP);

	relayed_calls = 0;
	bench_user.relayed = count_relayed;
	three_addresses(true);
	bench_branch(t, "sip:bob@many.example.com");
	bench_branch(t, "sip:bob@192.0.2.9:5070");
	assert_false(txn_relay(t));
	assert_int_equal(stand.nsent, 1);
	bench_branch(u, "sip:bob@many.example.com");
	assert_false(txn_relay(u));
	bench_branch(v, "sip:bob@many.example.com");
	assert_false(txn_relay(v));
	stand_resolve(0);
	assert_int_equal(relayed_calls, 1);
	assert_int_equal(t->sent, 2);
	assert_int_equal(stand.sent[1].target.to.port, 7001);
	/* cancelled while the question is out: never sent */
	txn_cancel(u);
	assert_int_equal(relayed_calls, 2);
	assert_false(stand.jobs[1].waiting);
	assert_int_equal(bench_count(0, "SIP/2.0 487", NULL), 1);
	/* no such name */
	stand.names[0].n = 0;
	stand_resolve(2);
	assert_int_equal(relayed_calls, 3);
	assert_int_equal(v->sent, 0);
	assert_int_equal(v->why, BRANCH_UNRESOLVABLE);
}

/* ---- whose name it travels under ---------------------------------------------------------------------------------------------------- */

static void test_every_send_speaks_for_the_client(void **s)
{
	struct msg *m = bench_request("INVITE", "i", UDP, "198.51.100.7:4000");
	struct txn *t;

	m->origin.has_real = true;
	assert_true(addr_parse(VIEW("203.0.113.77:1234"), &m->origin.real_src));
	struct addr alice = m->origin.real_src;
	t = txn_new(&stand.w, m);
	msg_unref(m);
	three_addresses(false);
	bench_branch(t, "sip:bob@many.example.com");
	txn_relay(t);
	stand_turn(600);                    /* a retransmission */
	bench_answer(0, 503);               /* ACK, failover */
	int again;
	bench_count(0, "INVITE", &again);
	bench_answer(again, 180);
	txn_cancel(t);
	bench_answer(again, 487);
	assert_true(bench_count(0, "ACK", NULL) == 2 && bench_count(0, "CANCEL", NULL) == 1 && bench_count(0, "INVITE", NULL) == 3);
	for (int i = 0; i < stand.nsent; i++) {
		assert_true(stand.sent[i].has_client);
		assert_true(addr_same(&stand.sent[i].client.real_src, &alice));
		assert_int_equal(stand.sent[i].target.downstream, view_starts(stand_text(i), VIEW("SIP/2.0")));
	}
}

static void test_too_large_for_a_datagram(void **s)
{
	struct txn *t = bench_txn("INVITE", "i", UDP);

	stand.conf.mtu = 200;
	bench_branch(t, "sip:bob@192.0.2.9:5070");
	txn_relay(t);
	assert_int_equal(stand.sent[0].target.transport, TR_TCP);
	assert_true(view_has(stand_text(0), "Via: SIP/2.0/TCP"));
	txn_send_failed(&stand.w, stand.sent[0].report, SEND_REFUSED);
	assert_int_equal(stand.nsent, 2);
	assert_int_equal(stand.sent[1].target.transport, TR_UDP);
}

/* ---- the user's points ------------------------------------------------------------------------------------------------------------------ */

static struct branch *asked[4];
static struct msg    *heard[4];
static int            nasked, nheard;
static struct branch *heard_of[4];
static void ask_later(struct branch *b) { asked[nasked++] = b; }
static void hear_later(struct branch *b, struct msg *m) { heard_of[nheard] = b; heard[nheard++] = m; }
static void fail_later(struct txn *t) { failure_calls++; }

static void test_everything_may_be_suspended(void **s)
{
	struct txn *t = bench_txn("INVITE", "i", UDP);

	nasked = nheard = failure_calls = relayed_calls = 0;
	bench_user = (struct txn_user){ .branch = ask_later, .reply = hear_later, .failure = fail_later, .relayed = count_relayed };
	bench_branch(t, "sip:b1@192.0.2.9:5071");
	bench_branch(t, "sip:b2@192.0.2.9:5072");
	assert_false(txn_relay(t));
	assert_int_equal(nasked, 2);
	stand_turn(50000);
	branch_go(asked[1], false);
	assert_int_equal(relayed_calls, 0);
	branch_go(asked[0], true);
	assert_int_equal(relayed_calls, 1);
	assert_int_equal(t->sent, 1);
	bench_answer(0, 180);
	bench_answer(0, 404);
	assert_int_equal(nheard, 2);
	assert_int_equal(bench_count(0, "ACK", NULL), 1);           /* the wire does not wait for the script */
	txn_reply_go(heard_of[0], heard[0], true);
	assert_int_equal(bench_count(0, "SIP/2.0 180", NULL), 1);
	txn_reply_go(heard_of[1], heard[1], true);
	assert_int_equal(failure_calls, 1);
	assert_int_equal(bench_count(0, "SIP/2.0 404", NULL), 0);
	/* the failure point adds a branch: serial forking */
	assert_int_equal(t->winner->status, 404);
	assert_non_null(bench_branch(t, "sip:b3@192.0.2.9:5073"));
	assert_false(txn_relay(t));
	branch_go(asked[2], true);
	txn_failure_go(t);
	assert_int_equal(bench_count(0, "SIP/2.0 404", NULL), 0);
	int third;
	assert_int_equal(bench_count(0, "INVITE sip:b3@", &third), 1);
	bench_answer(third, 486);
	txn_reply_go(heard_of[2], heard[2], true);
	assert_int_equal(failure_calls, 2);
	stand_turn(60000);
	assert_int_equal(txns_live(bench_txns()), 1);
	txn_failure_go(t);
	assert_int_equal(bench_count(0, "SIP/2.0 486", NULL), 1);
	stand_turn(60000);
	assert_int_equal(txns_live(bench_txns()), 0);
}

static void test_dropped_provisional(void **s)
{
	struct txn *t = bench_txn("INVITE", "i", UDP);

	nheard = 0;
	bench_user.reply = hear_later;
	bench_branch(t, "sip:b1@192.0.2.9:5071");
	txn_relay(t);
	bench_answer(0, 183);
	txn_reply_go(heard_of[0], heard[0], false);
	assert_int_equal(bench_count(0, "SIP/2.0", NULL), 0);
}

static void test_failure_point_answers(void **s)
{
	struct txn *t = bench_txn("INVITE", "i", UDP);

	failure_calls = 0;
	bench_user.failure = fail_later;
	bench_branch(t, "sip:b1@192.0.2.9:5071");
	txn_relay(t);
	bench_answer(0, 404);
	assert_true(txn_reply(t, &(struct own_reply){ .status = 480 }));
	txn_failure_go(t);
	assert_int_equal(bench_count(0, "SIP/2.0 480", NULL), 1);
	assert_int_equal(bench_count(0, "SIP/2.0 404", NULL), 0);
	assert_true(t->local_final);
}

static void test_failure_point_whose_branches_fail(void **s)
{
	struct txn *t = bench_txn("INVITE", "i", UDP);

	failure_calls = 0;
	bench_user.failure = fail_later;
	bench_branch(t, "sip:b1@192.0.2.9:5071");
	txn_relay(t);
	bench_answer(0, 404);
	bench_branch(t, "tel:123");
	assert_true(txn_relay(t));
	assert_int_equal(t->why, BRANCH_BAD_URI);
	txn_failure_go(t);
	assert_int_equal(bench_count(0, "SIP/2.0 404", NULL), 1);
}

/* ---- bounds and matching ------------------------------------------------------------------------------------------------------------------ */

static void test_bounds(void **s)
{
	bench_conf.max = 2;
	struct txn *t = bench_txn("INVITE", "a", UDP);

	assert_non_null(bench_txn("INVITE", "b", UDP));
	assert_null(bench_txn("INVITE", "c", UDP));
	assert_int_equal(bench_counter(TXNC_refused), 1);
	for (int i = 0; i < TXN_BRANCHES; i++)
		assert_non_null(bench_branch(t, "sip:b1@192.0.2.9:5071"));
	assert_null(bench_branch(t, "sip:b1@192.0.2.9:5071"));
}

static struct msg *old_request(const char *method, const char *to_tag)
{
	char text[1024];

	snprintf(text, sizeof text, "%s sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:4000\r\nFrom: <sip:alice@example.com>;tag=a1\r\n"
		"To: <sip:bob@example.com>%s\r\nCall-ID: c1@example.com\r\nCSeq: 1 %s\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n", method, to_tag, method);
	stand_receive(text, UDP, "198.51.100.7:4000");
	stand.nrequests = 0;
	return stand.requests[0];
}

static void test_rfc2543(void **s)
{
	struct msg *m = old_request("INVITE", ""), *again = old_request("INVITE", ""), *cancel = old_request("CANCEL", ""), *ack = old_request("ACK", ";tag=x"),
		   *other = old_request("OPTIONS", "");
	struct txn *t = txn_new(&stand.w, m), *found;

	assert_int_equal(txn_match(&stand.w, again, &found), TXN_RETRANSMISSION);
	assert_ptr_equal(found, t);
	assert_ptr_equal(txn_invite_of(&stand.w, cancel), t);
	assert_int_equal(txn_match(&stand.w, other, &found), TXN_NONE);
	txn_reply(t, &(struct own_reply){ .status = 404 });
	assert_int_equal(txn_match(&stand.w, ack, &found), TXN_HOP_ACK);
	again->sip.cseq = 2;
	assert_int_equal(txn_match(&stand.w, again, &found), TXN_NONE);
	msg_unref(m); msg_unref(again); msg_unref(cancel); msg_unref(ack); msg_unref(other);
}

static void test_rfc3261_matching(void **s)
{
	struct txn *t = bench_txn("INVITE", "i", UDP), *found;
	struct msg *m = bench_request("INVITE", "i", UDP, "198.51.100.8:9");

	m->via.port = 4001;                              /* another sent-by with the same branch */
	assert_int_equal(txn_match(&stand.w, m, &found), TXN_NONE);
	m->via.port = 4000;
	assert_int_equal(txn_match(&stand.w, m, &found), TXN_RETRANSMISSION);
	assert_ptr_equal(found, t);
	msg_unref(m);
	m = bench_request("OPTIONS", "i", UDP, "198.51.100.7:4000");
	assert_int_equal(txn_match(&stand.w, m, &found), TXN_NONE);
	msg_unref(m);
}

/* The arena runs out at every possible place: something may be refused, nothing may be left behind. */
static void test_out_of_memory_anywhere(void **s)
{
	int complete = 0;

	for (size_t room = 0; room < 16384; room += 80) {
		struct msg *m = bench_request("INVITE", "i", UDP, "198.51.100.7:4000");
		size_t      here = (size_t)(m->arena->end - m->arena->at);
		if (here > room)
			m->arena->end = m->arena->at + room;
		m->arena->bound = m->arena->used + (room > here ? room - here : 0);
		struct txn *t = txn_new(&stand.w, m);
		msg_unref(m);
		if (!t)
			continue;
		int at = stand.nsent;
		bench_branch(t, "sip:b1@192.0.2.9:5071");
		bench_branch(t, "sip:b2@192.0.2.9:5072");
		assert_true(txn_relay(t));
		int invites = stand.nsent - at;
		for (int i = 0; i < invites; i++)
			bench_answer(at + i, 180);
		for (int i = 0; i < invites; i++)
			bench_answer(at + i, 404);
		complete += bench_count(at, "ACK", NULL) == 2 && bench_count(at, "SIP/2.0 404", NULL) == 1;
		stand_turn(200000);
		assert_int_equal(txns_live(bench_txns()), 0);
		stand.nsent = 0;
	}
	assert_in_range(complete, 1, 150);
}

static void test_extra_headers_everywhere(void **s)
{
	struct txn *t = bench_txn("INVITE", "i", UDP);
	int         cancel, ack;

	t->extra = VIEW("X-All: 1\r\n");
	t->cancel_extra = VIEW("Reason: SIP;cause=200\r\n");
	bench_branch(t, "sip:b1@192.0.2.9:5071");
	txn_relay(t);
	bench_answer(0, 180);
	txn_cancel(t);
	bench_answer(0, 487);
	assert_int_equal(bench_count(0, "CANCEL", &cancel), 1);
	assert_int_equal(bench_count(0, "ACK", &ack), 1);
	assert_true(view_has(stand_text(0), "\r\nX-All: 1\r\n") && view_has(stand_text(ack), "\r\nX-All: 1\r\n"));
	assert_true(view_has(stand_text(cancel), "\r\nX-All: 1\r\nReason: SIP;cause=200\r\n"));
	assert_false(view_has(stand_text(0), "Reason") || view_has(stand_text(ack), "Reason"));
}

static void test_minor_and_silent_branches(void **s)
{
	bench_conf.minor_bflags = 4;
	struct txn    *t = bench_txn("INVITE", "i", UDP);
	struct branch *minor, *copy;
	int            cancel;

	bench_branch(t, "sip:b1@192.0.2.9:5071");
	minor = bench_branch(t, "sip:b2@192.0.2.9:5072");
	minor->route.bflags = 4;
	assert_true(txn_relay(t));
	copy = bench_branch(t, "sip:b3@192.0.2.9:5073");
	branch_send_copy(copy);
	assert_int_equal(stand.nsent, 3);
	assert_int_equal(t->sent, 2);
	bench_answer(2, 603);                       /* goes nowhere */
	bench_answer(1, 180);
	bench_answer(0, 486);
	assert_int_equal(bench_count(0, "SIP/2.0 486", NULL), 1);
	assert_int_equal(bench_count(0, "SIP/2.0 603", NULL), 0);
	assert_int_equal(bench_count(0, "CANCEL", &cancel), 1);
	assert_int_equal(stand.sent[cancel].target.to.port, 5072);
	assert_int_equal(bench_count(0, "ACK", NULL), 2);
}

static void test_a_loop_is_not_sent(void **s)
{
	struct txn *t = bench_txn("INVITE", "i", UDP), *again;
	char        text[2048];

	bench_branch(t, "sip:b1@192.0.2.9:5071");
	txn_relay(t);
	struct view sent = stand_text(0);
	memcpy(text, sent.p, sent.n);
	text[sent.n] = 0;
	stand_receive(text, UDP, "192.0.2.9:5071");
	again = txn_new(&stand.w, stand.requests[0]);
	msg_unref(stand.requests[0]);
	stand.nrequests = 0;
	bench_branch(again, "sip:b1@192.0.2.9:5071");
	assert_true(txn_relay(again));
	assert_int_equal(again->sent, 0);
	assert_int_equal(again->why, BRANCH_LOOP);
	assert_int_equal(bench_count(0, "INVITE", NULL), 1);
	assert_string_equal(branch_fail_text(BRANCH_LOOP), "loop");
}

static void test_a_flow_is_used_and_never_announced(void **s)
{
	struct txn      *t = bench_txn("INVITE", "i", UDP);
	struct msg_route r = t->request->route;

	r.ruri = VIEW("sip:b1@nowhere.example.com");
	r.socket = &stand.sockets[4];
	r.flow = (struct ref){ 0, REF_CONN, 9, 2 };
	assert_non_null(txn_add_branch(t, &r, NULL));
	assert_true(txn_relay(t));
	assert_int_equal(t->sent, 1);
	assert_int_equal(stand.sent[0].target.transport, TR_WSS);
	assert_int_equal(stand.sent[0].target.flow.slot, 9);
	assert_true(stand.sent[0].target.flow_only && stand.sent[0].target.downstream);
}

static void test_forged_replies(void **s)
{
	struct txn *t = bench_txn("OPTIONS", "i", UDP);

	bench_branch(t, "sip:b1@192.0.2.9:5071");
	txn_relay(t);
	/* one hexadecimal digit of the branch changed */
	size_t at = view_find_view(stand_text(0), VIEW("z9hG4bK")) + 20;
	char   was = stand.sent[0].bytes[at];
	stand.sent[0].bytes[at] = was == '0' ? '1' : '0';
	bench_answer(0, 200);
	assert_int_equal(bench_count(0, "SIP/2.0 ", NULL), 0);
	stand.sent[0].bytes[at] = was;
	bench_answer(0, 200);
	assert_int_equal(bench_count(0, "SIP/2.0 200", NULL), 1);
}

/* The branch is ours, yet the reply is to another request (17.1.3). */
static void test_replies_of_another_method(void **s)
{
	struct txn *t = bench_txn("OPTIONS", "i", UDP);
	char        text[2048];

	bench_branch(t, "sip:b1@192.0.2.9:5071");
	txn_relay(t);
	struct view branch = stand_branch(0);
	for (int i = 0; i < 2; i++) {
		snprintf(text, sizeof text, "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=" VIEW_FMT "\r\nVia: SIP/2.0/UDP 198.51.100.7:4000;branch=z9hG4bKi\r\n"
			"From: <sip:alice@example.com>;tag=a1\r\nTo: <sip:bob@example.com>;tag=b\r\nCall-ID: c1@example.com\r\nCSeq: 1 %s\r\nContent-Length: 0\r\n\r\n",
			VIEW_ARG(branch), i ? "OPTIONS" : "BYE");
		stand_receive(text, UDP, "192.0.2.9:5071");
		assert_int_equal(bench_count(0, "SIP/2.0 200", NULL), i);
	}
}

/* The PROXY header travels in the same datagram: it counts (RFC 3261 18.1.1). */
static void test_the_header_counts_for_the_mtu(void **s)
{
	for (int i = 0; i < 2; i++) {
		struct txn *t = bench_txn("OPTIONS", i ? "big" : "fit", UDP);
		stand.conf.mtu = 600;
		stand.header_bytes = i ? 500 : 0;
		bench_branch(t, "sip:b1@192.0.2.9:5071");
		txn_relay(t);
		assert_int_equal(stand.nsent, i + 1);
		assert_int_equal(stand.sent[i].target.transport, i ? TR_TCP : TR_UDP);
	}
}

static int setup(void **s) { bench_up(); return 0; }
static int teardown(void **s) { bench_down(); return 0; }
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_ranks), T(test_best_response), T(test_2xx_cancels_the_others), T(test_6xx_ends_it_at_once),
		T(test_cancel), T(test_cancel_is_repeated_and_given_up), T(test_cancel_crosses_200), T(test_cancel_before_anything_was_sent),
		T(test_503_and_timeout_go_on), T(test_refused_addresses), T(test_no_failover), T(test_later_failure_of_a_stream), T(test_dns_that_takes_time),
		T(test_every_send_speaks_for_the_client), T(test_too_large_for_a_datagram), T(test_everything_may_be_suspended), T(test_dropped_provisional),
		T(test_failure_point_answers), T(test_failure_point_whose_branches_fail), T(test_bounds), T(test_rfc2543), T(test_rfc3261_matching), T(test_forged_replies),
		T(test_out_of_memory_anywhere), T(test_extra_headers_everywhere), T(test_minor_and_silent_branches), T(test_a_loop_is_not_sent), T(test_a_flow_is_used_and_never_announced),
		T(test_replies_of_another_method), T(test_the_header_counts_for_the_mtu) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
