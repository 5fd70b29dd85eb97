/* Anything in any order: replies, repetitions, cancels, send failures, slow names, slow scripts, time.  Whatever happens, a caller
 * hears at most one negative final, no provisional after a final, and in the end nothing is left behind. */
#include "bench.h"
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

enum { ROUNDS = 3000, STEPS = 40, OPEN = 64 };
static uint64_t seed;
static uint32_t chance(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % n;
}

/* What the user was asked and has not answered. */
static struct branch *asked[OPEN], *heard_of[OPEN];
static struct msg    *heard[OPEN];
static int            nasked, nheard, ended, ups_final, ups_ok, ups_late;
static bool           failing;

static void on_branch(struct branch *b)
{
	if (chance(2) || nasked == OPEN)
		branch_go(b, chance(8) != 0);
	else
		asked[nasked++] = b;
}

static void on_reply(struct branch *b, struct msg *m)
{
	if (chance(2) || nheard == OPEN) {
		txn_reply_go(b, m, chance(4) != 0);
	} else {
		heard_of[nheard] = b;
		heard[nheard++] = m;
	}
}

static void more(struct txn *t)
{
	static const char *const to[] = { "sip:a@192.0.2.9:5071", "sip:b@192.0.2.9:5072;transport=tcp", "sip:c@many.example.com", "sip:d@later.example.com", "sip:e@192.0.2.9:5079",
		"tel:1", "sip:f@unknown.example.com" };

	for (uint32_t n = chance(4); n; n--)
		bench_branch(t, to[chance(COUNT_OF(to))]);
	if (t->launching == 0)
		txn_relay(t);
	if (chance(4) == 0) {
		struct branch *copy = bench_branch(t, to[chance(COUNT_OF(to))]);
		if (copy)
			branch_send_copy(copy);
	}
}

static void on_failure(struct txn *t)
{
	if (chance(3) == 0)
		txn_reply(t, &(struct own_reply){ .status = (uint16_t)(400 + chance(200)) });
	else if (chance(2))
		more(t);
	if (chance(2))
		txn_failure_go(t);
	else
		failing = true;
}

static void replied(struct txn *t, uint16_t status, struct msg *m)
{
	if (status >= 300)
		ups_final++;
	else if (status >= 200)
		ups_ok++;
	else if (ups_final + ups_ok)
		ups_late++;
}

static void on_end(struct txn *t) { ended++; }

static void answer_one(struct txn *t)
{
	switch (chance(3)) {
	case 0:
		if (nasked)
			branch_go(asked[--nasked], true);
		break;
	case 1:
		if (nheard) {
			nheard--;
			txn_reply_go(heard_of[nheard], heard[nheard], true);
		}
		break;
	default:
		if (failing) {
			failing = false;
			txn_failure_go(t);
		}
	}
}

static void step(struct txn *t, const char *method)
{
	static const int status[] = { 100, 180, 183, 200, 202, 302, 401, 404, 408, 486, 487, 500, 503, 503, 603 };
	struct msg      *m;
	struct txn      *found;

	switch (chance(9)) {
	case 0: case 1: case 2:
		for (int i = 0; i < 8; i++) {
			int at = stand.nsent ? (int)chance((uint32_t)stand.nsent) : -1;
			if (at >= 0 && !view_starts(stand_text(at), VIEW("SIP/2.0")) && !view_starts(stand_text(at), VIEW("ACK"))) {
				bench_answer(at, status[chance(COUNT_OF(status))]);
				break;
			}
		}
		break;
	case 3: stand_turn(chance(3) ? chance(3000) : chance(60000)); break;
	case 4: if (chance(3) == 0 && !ended) txn_cancel(t); break;
	case 5:
		m = bench_request(chance(3) ? method : "ACK", "s", "udp:192.0.2.1:5060", "198.51.100.7:4000");
		txn_match(&stand.w, m, &found);
		msg_unref(m);
		break;
	case 6:
		if (stand.nsent) {
			int at = (int)chance((uint32_t)stand.nsent);
			if (ref_set(stand.sent[at].report))
				txn_send_failed(&stand.w, stand.sent[at].report, SEND_REFUSED);
		}
		break;
	case 7:
		for (int j = 0; j < 8; j++)
			if (stand.jobs[j].waiting && chance(2))
				stand_resolve(j);
		break;
	default: if (!ended) answer_one(t); break;
	}
	/* Room for more: what was sent long ago cannot be answered any more. */
	if (stand.nsent > STAND_SENT - 100)
		stand.nsent = 0;
}

static void finish(struct txn *t)
{
	for (int round = 0; round < 200 && txns_live(bench_txns()); round++) {
		for (int j = 0; j < 8; j++)
			if (stand.jobs[j].waiting)
				stand_resolve(j);
		while (nasked && !ended)
			branch_go(asked[--nasked], true);
		while (nheard && !ended) {
			nheard--;
			txn_reply_go(heard_of[nheard], heard[nheard], true);
		}
		if (failing) {
			failing = false;
			txn_failure_go(t);
		}
		stand.nsent = 0;
		stand_turn(5000);
	}
}

static void names(void)
{
	static const struct candidate list[] = { { TR_UDP, { .af = AF_V4, .port = 7001, .ip = { 192, 0, 2, 9 } } }, { TR_TCP, { .af = AF_V4, .port = 5079, .ip = { 192, 0, 2, 9 } } },
		{ TR_TCP, { .af = AF_V4, .port = 7003, .ip = { 192, 0, 2, 9 } } } };

	stand.names[0].host = "many.example.com";
	stand.names[1].host = "later.example.com";
	stand.names[1].later = true;
	for (int i = 0; i < 2; i++) {
		stand.names[i].n = COUNT_OF(list);
		memcpy(stand.names[i].list, list, sizeof list);
	}
	stand.refuse[0].port = 5079;
	stand.refuse[0].result = SEND_DEAD;
}

static void storm(const char *method)
{
	for (int i = 0; i < ROUNDS; i++) {
		bench_up();
		seed = (uint64_t)i * 7919 + (uint64_t)method[0];
		nasked = nheard = ended = ups_final = ups_ok = ups_late = 0;
		failing = false;
		names();
		bench_conf.fr = 5000;
		bench_conf.fr_inv = 20000;
		bench_conf.linger = 5000;
		bench_conf.block_6xx = chance(2);
		bench_user = (struct txn_user){ .branch = on_branch, .reply = on_reply, .failure = on_failure, .replied = replied, .ended = on_end };
		struct txn *t = bench_txn(method, "s", "udp:192.0.2.1:5060");
		assert_non_null(t);
		more(t);
		for (int n = 0; n < STEPS && txns_live(bench_txns()); n++)
			step(t, method);
		finish(t);
		if (ended != 1 || txns_live(bench_txns()) || ups_late || ups_final > 1 || (*method != 'I' && ups_final + ups_ok > 1) || nasked || nheard || stand.w.loop->wheel.armed)
			fail_msg("%s round %d: ended %d live %zu negative %d ok %d late %d asked %d heard %d timers %zu", method, i, ended, txns_live(bench_txns()), ups_final, ups_ok,
				ups_late, nasked, nheard, stand.w.loop->wheel.armed);
		bench_down();
	}
}

static void test_invite(void **s) { storm("INVITE"); }
static void test_other(void **s)  { storm("OPTIONS"); }

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_invite), cmocka_unit_test(test_other) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
