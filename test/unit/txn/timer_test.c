/* RFC 3261 17 and RFC 6026 by the clock: timers A to M. */
#include "bench.h"
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#define UDP "udp:192.0.2.1:5060"
#define TCP "tcp:192.0.2.1:5060"

/* Turn the clock and write down when something that begins with `start` was sent, in ms from now. */
static int times(const char *start, uint64_t until, uint64_t *at, int max)
{
	uint64_t begin = stand.now;
	int      n = 0, seen = stand.nsent;

	while (stand.now < begin + until) {
		stand_turn(10);
		for (; seen < stand.nsent; seen++)
			if (view_starts(stand_text(seen), view_str(start)) && n < max)
				at[n++] = stand.now - begin;
	}
	return n;
}

static void expect_times(const char *start, uint64_t until, const uint64_t *want, int n)
{
	uint64_t at[64];
	int      got = times(start, until, at, 64);

	assert_int_equal(got, n);
	for (int i = 0; i < n; i++)
		assert_in_range(at[i], want[i], want[i] + 10);
}

static void test_timer_a_and_b(void **s)
{
	static const uint64_t a[] = { 500, 1500, 3500, 7500, 15500, 31500 };
	struct txn *t = bench_txn("INVITE", "i", UDP);

	bench_branch(t, "sip:bob@192.0.2.9:5070");
	assert_true(txn_relay(t));
	assert_int_equal(stand.nsent, 1);
	expect_times("INVITE", 31900, a, COUNT_OF(a));
	for (int i = 1; i < stand.nsent; i++)
		assert_true(view_is(stand_text(0), stand_text(i)));
	assert_int_equal(bench_count(0, "SIP/2.0", NULL), 0);
	stand_turn(200);
	assert_int_equal(bench_count(0, "SIP/2.0 408", NULL), 1);
	assert_int_equal(bench_counter(TXNC_timeout_finalresponse), 1);
	assert_int_equal(bench_counter(TXNC_retransmission_req_T1_1), 1);
	assert_int_equal(bench_counter(TXNC_retransmission_req_T2), 3);
}

static void test_no_resending_on_streams(void **s)
{
	static const uint64_t none[1] = { 0 };
	struct txn *t = bench_txn("INVITE", "i", UDP), *o = bench_txn("OPTIONS", "o", UDP);

	bench_branch(t, "sip:bob@192.0.2.9:5070;transport=tcp");
	bench_branch(o, "sip:bob@192.0.2.9:5070;transport=tcp");
	assert_true(txn_relay(t) && txn_relay(o));
	expect_times("INVITE", 31900, none, 0);
	assert_int_equal(bench_count(0, "OPTIONS", NULL), 1);
	stand_turn(200);
	assert_int_equal(bench_count(0, "SIP/2.0 408", NULL), 2);
}

static void test_provisional_stops_a_and_starts_c(void **s)
{
	static const uint64_t none[1] = { 0 };
	struct txn *t = bench_txn("INVITE", "i", UDP);
	int         last;

	bench_branch(t, "sip:bob@192.0.2.9:5070");
	txn_relay(t);
	bench_answer(0, 100);
	expect_times("INVITE", 60000, none, 0);
	assert_int_equal(bench_count(0, "SIP/2.0 100", NULL), 0);        /* 100 is never relayed */
	bench_answer(0, 180);
	assert_int_equal(bench_count(0, "SIP/2.0 180", NULL), 1);
	stand_turn(179900);
	assert_int_equal(bench_count(0, "CANCEL", NULL), 0);
	stand_turn(200);
	assert_int_equal(bench_count(0, "CANCEL", &last), 1);
	assert_int_equal(bench_count(0, "SIP/2.0 408", NULL), 1);
	assert_int_equal(bench_counter(TXNC_timeout_finalresponse_inv), 1);
	/* the callee's 487 is still acknowledged */
	bench_answer(0, 487);
	assert_int_equal(bench_count(last, "ACK", NULL), 1);
}

static void test_timers_e_f_k(void **s)
{
	static const uint64_t e[] = { 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500 };
	struct txn *t = bench_txn("OPTIONS", "o", UDP);

	bench_branch(t, "sip:bob@192.0.2.9:5070");
	txn_relay(t);
	expect_times("OPTIONS", 31900, e, COUNT_OF(e));
	stand_turn(200);
	assert_int_equal(bench_count(0, "SIP/2.0 408", NULL), 1);
}

static void test_e_after_a_provisional_is_t2(void **s)
{
	static const uint64_t e[] = { 4000, 8000, 12000 };
	struct txn *t = bench_txn("OPTIONS", "o", UDP);

	bench_branch(t, "sip:bob@192.0.2.9:5070");
	txn_relay(t);
	bench_answer(0, 180);
	expect_times("OPTIONS", 12100, e, COUNT_OF(e));
	bench_answer(0, 200);
	assert_int_equal(bench_count(0, "SIP/2.0 200", NULL), 1);
	/* K: a repeated final is absorbed for T4, then the branch is over; J ends the rest */
	bench_answer(0, 200);
	assert_int_equal(bench_count(0, "SIP/2.0 200", NULL), 1);
	stand_turn(31900);
	assert_int_equal(txns_live(bench_txns()), 1);
	stand_turn(200);
	assert_int_equal(txns_live(bench_txns()), 0);
}

static void test_timers_g_h_i(void **s)
{
	static const uint64_t g[] = { 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500 };
	struct txn *t = bench_txn("INVITE", "i", UDP);

	txn_reply(t, &(struct own_reply){ .status = 486 });
	expect_times("SIP/2.0 486", 31900, g, COUNT_OF(g));
	stand_turn(200);                                          /* H: nobody acknowledged */
	assert_int_equal(txns_live(bench_txns()), 0);

	t = bench_txn("INVITE", "j", UDP);
	txn_reply(t, &(struct own_reply){ .status = 486 });
	stand_turn(600);
	int before = stand.nsent;
	struct msg *ack = bench_request("ACK", "j", UDP, "198.51.100.7:4000");
	struct txn *found;
	assert_int_equal(txn_match(&stand.w, ack, &found), TXN_HOP_ACK);
	assert_ptr_equal(found, t);
	stand_turn(4900);
	assert_int_equal(stand.nsent, before);
	assert_int_equal(txn_match(&stand.w, ack, &found), TXN_HOP_ACK);     /* I absorbs a second one */
	stand_turn(200);
	assert_int_equal(txns_live(bench_txns()), 0);
	assert_int_equal(txn_match(&stand.w, ack, &found), TXN_NONE);
	msg_unref(ack);
}

static void test_challenges_are_not_repeated(void **s)
{
	struct txn *t = bench_txn("INVITE", "i", UDP);

	txn_reply(t, &(struct own_reply){ .status = 407 });
	stand_turn(20000);
	assert_int_equal(stand.nsent, 1);
	struct msg *again = bench_request("INVITE", "i", UDP, "198.51.100.7:4000");
	assert_int_equal(txn_match(&stand.w, again, &t), TXN_RETRANSMISSION);
	assert_int_equal(stand.nsent, 2);
	assert_true(view_is(stand_text(0), stand_text(1)));
	msg_unref(again);
}

static void test_timer_j(void **s)
{
	struct txn *t = bench_txn("OPTIONS", "o", UDP), *found;
	struct msg *again = bench_request("OPTIONS", "o", UDP, "198.51.100.7:4000");

	assert_int_equal(txn_match(&stand.w, again, &found), TXN_RETRANSMISSION);       /* nothing to repeat yet */
	assert_int_equal(stand.nsent, 0);
	txn_reply(t, &(struct own_reply){ .status = 200 });
	assert_int_equal(txn_match(&stand.w, again, &found), TXN_RETRANSMISSION);
	assert_int_equal(stand.nsent, 2);
	assert_true(view_is(stand_text(0), stand_text(1)));
	stand_turn(31900);
	assert_int_equal(txn_match(&stand.w, again, &found), TXN_RETRANSMISSION);
	stand_turn(200);
	assert_int_equal(txn_match(&stand.w, again, &found), TXN_NONE);
	msg_unref(again);

	/* J is zero on a stream */
	t = bench_txn("OPTIONS", "p", TCP);
	txn_reply(t, &(struct own_reply){ .status = 200 });
	assert_int_equal(txns_live(bench_txns()), 1);
	stand_turn(5);
	assert_int_equal(txns_live(bench_txns()), 0);
}

static void test_timers_l_and_m(void **s)
{
	struct txn *t = bench_txn("INVITE", "i", UDP), *found;
	struct msg *again, *ack;

	bench_branch(t, "sip:bob@192.0.2.9:5070");
	txn_relay(t);
	bench_answer(0, 200);
	assert_int_equal(bench_count(0, "SIP/2.0 200", NULL), 1);
	assert_int_equal(bench_count(0, "ACK", NULL), 0);          /* not ours: it comes from the caller */
	/* RFC 6026: the callee's repeated 2xx goes up each time, the caller's repeated INVITE goes nowhere */
	stand_turn(500);
	bench_answer(0, 200);
	stand_turn(1000);
	bench_answer(0, 200);
	assert_int_equal(bench_count(0, "SIP/2.0 200", NULL), 3);
	again = bench_request("INVITE", "i", UDP, "198.51.100.7:4000");
	assert_int_equal(txn_match(&stand.w, again, &found), TXN_RETRANSMISSION);
	assert_int_equal(bench_count(0, "INVITE", NULL), 1);
	/* the ACK of a 2xx passes, even with the INVITE's branch */
	ack = bench_request("ACK", "i", UDP, "198.51.100.7:4000");
	assert_int_equal(txn_match(&stand.w, ack, &found), TXN_END_ACK);
	stand_turn(30400);
	assert_int_equal(txns_live(bench_txns()), 1);
	stand_turn(300);
	assert_int_equal(txns_live(bench_txns()), 0);
	assert_int_equal(txn_match(&stand.w, again, &found), TXN_NONE);
	msg_unref(again);
	msg_unref(ack);
}

/* After the final reply only a remainder of the transaction lives: what it repeats is what the script had made of it. */
static void test_what_remains(void **s)
{
	struct txn *t = bench_txn("INVITE", "i", UDP);
	int         first, last;

	bench_branch(t, "sip:bob@192.0.2.9:5070");
	txn_relay(t);
	assert_non_null(t->request);
	bench_answer(0, 200);
	assert_null(t->request);
	bench_count(0, "SIP/2.0 200", &first);
	bench_answer(0, 200);
	assert_int_equal(bench_count(0, "SIP/2.0 200", &last), 2);
	assert_true(view_is(stand_text(first), stand_text(last)));
	assert_true(addr_same(&stand.sent[first].target.to, &stand.sent[last].target.to));
	/* another phone behind the same branch picks up, too */
	char *tag = strstr(stand.sent[0].bytes, "To: <sip:bob@example.com>");
	memcpy(tag, "To: <sip:b>;tag=another  ", 25);
	bench_answer(0, 200);
	assert_int_equal(bench_count(0, "SIP/2.0 200", &last), 3);
	assert_true(view_has(stand_text(last), "tag=another"));
	assert_true(stand.sent[last].target.downstream);
	/* a provisional that comes late is nothing */
	bench_answer(0, 180);
	assert_int_equal(bench_count(0, "SIP/2.0 180", NULL), 0);
}

static void test_timer_d_and_hop_ack(void **s)
{
	struct txn *t = bench_txn("INVITE", "i", UDP);
	int         ack;

	bench_branch(t, "sip:bob@192.0.2.9:5070");
	txn_relay(t);
	bench_answer(0, 404);
	assert_int_equal(bench_count(0, "SIP/2.0 404", NULL), 1);
	assert_int_equal(bench_count(0, "ACK sip:bob@192.0.2.9:5070 SIP/2.0\r\n", &ack), 1);
	assert_true(view_is(stand_branch(0), stand_branch(ack)));
	assert_true(view_has(stand_text(ack), "To: <sip:bob@example.com>;tag=callee\r\n"));
	assert_true(view_has(stand_text(ack), "CSeq: 1 ACK\r\n"));
	stand_turn(1000);
	bench_answer(0, 404);
	assert_int_equal(bench_count(0, "ACK", NULL), 2);
	/* another code of the same transaction is as good as a repetition (17.1.1.2) */
	bench_answer(0, 486);
	assert_int_equal(bench_count(0, "ACK", NULL), 3);
	assert_int_equal(bench_count(0, "SIP/2.0 486", NULL), 0);
	stand_turn(32100);
	assert_int_equal(txns_live(bench_txns()), 0);
	bench_answer(0, 404);
	assert_int_equal(bench_count(0, "ACK", NULL), 3);
}

static void test_auto_100(void **s)
{
	bench_conf.auto_100 = true;
	struct txn *t = bench_txn("INVITE", "i", UDP), *found;
	struct msg *again = bench_request("INVITE", "i", UDP, "198.51.100.7:4000");

	assert_int_equal(bench_count(0, "SIP/2.0 100 Giving it a try\r\n", NULL), 1);
	assert_false(view_has(stand_text(0), "To: <sip:bob@example.com>;tag"));
	assert_int_equal(txn_match(&stand.w, again, &found), TXN_RETRANSMISSION);
	assert_ptr_equal(found, t);
	assert_int_equal(bench_count(0, "SIP/2.0 100", NULL), 2);
	bench_txn("OPTIONS", "o", UDP);
	assert_int_equal(stand.nsent, 2);
	msg_unref(again);
}

static void test_forgotten_by_the_script(void **s)
{
	struct msg *m = bench_request("INVITE", "i", UDP, "198.51.100.7:4000");

	assert_non_null(txn_new(&stand.w, m));
	stand_turn(100000);
	assert_int_equal(txns_live(bench_txns()), 1);       /* a run still holds the message */
	msg_unref(m);
	stand_turn(33000);
	assert_int_equal(txns_live(bench_txns()), 0);
	assert_int_equal(stand.nsent, 0);
}

static int setup(void **s) { bench_up(); return 0; }
static int teardown(void **s) { bench_down(); return 0; }
/* A stream loses nothing: a final goes out once (timer G), and who repeats it later is a stray (timer D is 0). */
static void test_finals_on_streams(void **s)
{
	struct txn *t = bench_txn("INVITE", "i", TCP);

	bench_branch(t, "sip:b1@192.0.2.9:5071;transport=tcp");
	txn_relay(t);
	bench_answer(0, 486);
	assert_int_equal(bench_count(0, "SIP/2.0 486", NULL), 1);
	assert_int_equal(bench_count(0, "ACK", NULL), 1);
	stand_turn(1);
	bench_answer(0, 486);
	assert_int_equal(bench_count(0, "ACK", NULL), 1);
	assert_int_equal(bench_counter(TXNC_strays), 1);
	stand_turn(20000);
	assert_int_equal(bench_count(0, "SIP/2.0 486", NULL), 1);
}

/* Our own final makes a dialog's end that the caller can name; each transaction its own (8.2.6.2). */
static void test_own_replies_have_a_tag(void **s)
{
	char ids[2][8] = { "i", "j" };
	struct view tag[2];

	for (int i = 0; i < 2; i++) {
		struct txn *t = bench_txn("INVITE", ids[i], UDP);
		assert_true(txn_reply(t, &(struct own_reply){ .status = 100 }));
		assert_false(view_has(stand_text(2 * i), "<sip:bob@example.com>;tag="));
		assert_true(txn_reply(t, &(struct own_reply){ .status = 486 }));
		struct view text = stand_text(2 * i + 1);
		size_t      at = view_find_view(text, VIEW("<sip:bob@example.com>;tag="));
		assert_true(at < text.n);
		tag[i] = view_sub(text, at + 26, view_find(view_from(text, at + 26), '\r'));
		assert_true(tag[i].n >= 8);
	}
	assert_false(view_is(tag[0], tag[1]));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { T(test_timer_a_and_b), T(test_no_resending_on_streams), T(test_provisional_stops_a_and_starts_c), T(test_timers_e_f_k),
		T(test_e_after_a_provisional_is_t2), T(test_timers_g_h_i), T(test_finals_on_streams), T(test_own_replies_have_a_tag), T(test_challenges_are_not_repeated), T(test_timer_j), T(test_timers_l_and_m),
		T(test_what_remains), T(test_timer_d_and_hop_ack), T(test_auto_100), T(test_forgotten_by_the_script) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
