/* Calls through a script with tm: forks, failures, cancels, timers, and hops that do not work. */
#include "scene.h"

#define UDP     "udp:192.0.2.1:5060"
#define GLOBALS "server_signature=no\nsocket=udp:192.0.2.1:5060\nsocket=tcp:192.0.2.1:5060\nloadmodule \"tm.so\"\nloadmodule \"sl.so\"\nloadmodule \"sipmsgops.so\"\n" \
	"modparam(\"tm\", \"auto_100trying\", 0)\n"
#define B1 "sip:b1@192.0.2.9:5071"
#define FORK "append_msg_branch(\"sip:b2@192.0.2.9:5072\"); append_msg_branch(\"sip:b3@192.0.2.9:5073\");"

static void request(const char *method, const char *id, const char *ruri)
{
	char text[2048];

	snprintf(text, sizeof text, "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:4000;branch=z9hG4bK%s\r\nFrom: <sip:alice@example.com>;tag=a1\r\n"
		"To: <sip:bob@example.com>\r\nCall-ID: c1@example.com\r\nCSeq: 1 %s\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n", method, ruri, id, method);
	stand_receive(text, UDP, "198.51.100.7:4000");
}

static int replies(const char *start_line)
{
	return bench_count(0, start_line, NULL);
}

static void heard(const char *want)
{
	if (strcmp(said, want) != 0)
		fail_msg("heard '%s', not '%s'", said, want);
}

/* ---- forks -------------------------------------------------------------------------------------------------------------------- */

static void the_first_that_answers_wins(void **state)
{
	start(GLOBALS "route { " FORK " t_on_failure(\"f\"); $var(rc) = t_relay(); xlog(\"$var(rc)\"); }\n failure_route[f] { xlog(\"failed\"); }\n");
	request("INVITE", "i", B1);
	heard("1|");
	assert_int_equal(stand.nsent, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(stand.sent[i].target.to.port, 5071 + i);
	assert_false(view_is(stand_branch(0), stand_branch(1)));
	bench_answer(0, 180);
	bench_answer(1, 180);
	bench_answer(2, 180);
	bench_answer(0, 404);
	bench_answer(1, 200);
	assert_int_equal(replies("SIP/2.0 200"), 1);
	assert_int_equal(replies("SIP/2.0 404"), 0);
	int cancel;
	assert_int_equal(bench_count(0, "CANCEL", &cancel), 1);
	assert_int_equal(stand.sent[cancel].target.to.port, 5073);
	assert_true(view_is(stand_branch(cancel), stand_branch(2)));
	bench_answer(2, 487);
	assert_int_equal(replies("SIP/2.0 487"), 0);
	heard("1|");
	stop();
}

/* The table of winners: the smallest rank, the first on a tie. */
static void the_best_failure_is_relayed(void **state)
{
	static const struct { int status[3]; const char *line; } cases[] = {
		{ { 404, 486, 480 }, "SIP/2.0 404" }, { { 486, 404, 480 }, "SIP/2.0 404" }, { { 404, 302, 503 }, "SIP/2.0 302" }, { { 500, 404, 408 }, "SIP/2.0 404" },
		{ { 404, 401, 407 }, "SIP/2.0 401" }, { { 404, 407, 415 }, "SIP/2.0 407" }, { { 408, 503, 500 }, "SIP/2.0 500" }, { { 503, 408, 408 }, "SIP/2.0 408" },
		{ { 484, 420, 404 }, "SIP/2.0 420" }, { { 503, 503, 503 }, "SIP/2.0 500" }, { { 404, 603, 0 }, "SIP/2.0 603" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		start(GLOBALS "route { " FORK " t_relay(\"no-dns-failover\"); }\n");
		request("INVITE", "i", B1);
		for (int k = 0; k < 3; k++)
			if (cases[i].status[k]) {
				if (replies("SIP/2.0"))
					fail_msg("row %zu: answered before all had", i);
				bench_answer(k, cases[i].status[k]);
			}
		if (replies("SIP/2.0 6") == 1)
			bench_answer(2, 487);
		if (replies(cases[i].line) != 1 || replies("SIP/2.0") != 1)
			fail_msg("row %zu: %d of %s", i, replies(cases[i].line), cases[i].line);
		stop();
	}
}

static void a_603_ends_it_unless_it_may_not(void **state)
{
	static const char *const script_text = GLOBALS "%sroute { " FORK " t_on_failure(\"f\"); t_relay(); }\n"
		"failure_route[f] { $ru = \"sip:next@192.0.2.9:5079\"; $var(rc) = t_relay(\"no-auto-477\"); xlog(\"$T_reply_code $var(rc)\"); }\n";
	char text[2048];

	snprintf(text, sizeof text, script_text, "");
	start(text);
	request("INVITE", "i", B1);
	bench_answer(1, 180);
	bench_answer(0, 603);
	assert_int_equal(bench_count(0, "CANCEL", NULL), 1);         /* the one that has not answered at all is cancelled later */
	bench_answer(1, 487);
	bench_answer(2, 487);
	assert_int_equal(replies("SIP/2.0 603"), 1);
	assert_int_equal(bench_count(0, "INVITE sip:next@", NULL), 0);
	stop();
	snprintf(text, sizeof text, script_text, "modparam(\"tm\", \"disable_6xx_block\", 1)\n");
	start(text);
	request("INVITE", "i", B1);
	bench_answer(0, 603);
	bench_answer(1, 404);
	bench_answer(2, 404);
	assert_int_equal(bench_count(0, "INVITE sip:next@", NULL), 1);
	assert_int_equal(replies("SIP/2.0"), 0);
	stop();
}

/* ---- branch routes ------------------------------------------------------------------------------------------------------------- */

static void a_branch_may_be_dropped_or_changed(void **state)
{
	start(GLOBALS "route { " FORK " t_on_branch(\"b\"); $var(rc) = t_relay(); xlog(\"$var(rc)\"); }\n"
		"branch_route[b] { xlog(\"$T_branch_idx $ru\"); if ($T_branch_idx == 1) drop; append_hf(\"X-B: $T_branch_idx\\r\\n\"); if ($T_branch_idx == 2) $ru = \"sip:other@192.0.2.9:5079\"; }\n");
	request("INVITE", "i", B1);
	assert_int_equal(stand.nsent, 2);
	has(0, "INVITE " B1, "0");
	has(0, "\r\nX-B: 0\r\n", "0");
	has(1, "INVITE sip:other@192.0.2.9:5079", "2");
	has(1, "\r\nX-B: 2\r\n", "2");
	lacks(1, "X-B: 0", "2");
	heard("0 " B1 "|1 sip:b2@192.0.2.9:5072|2 sip:b3@192.0.2.9:5073|1|");
	bench_answer(0, 404);
	assert_int_equal(replies("SIP/2.0"), 0);
	bench_answer(1, 486);
	assert_int_equal(replies("SIP/2.0 404"), 1);
	stop();
}

/* ---- failure routes --------------------------------------------------------------------------------------------------------------- */

static void one_after_the_other(void **state)
{
	start(GLOBALS "route { $avp(n) = 1; t_on_failure(\"f\"); t_relay(); }\n"
		"failure_route[f] { xlog(\"$T_reply_code $ru $avp(n)\"); if (t_was_cancelled()) exit; if ($avp(n) >= 3) { t_reply(480, \"Nobody\"); exit; } $avp(n) = $avp(n) + 1; "
		"$ru = \"sip:n\" + $avp(n) + \"@192.0.2.9:508\" + $avp(n); t_on_failure(\"f\"); t_relay(); }\n");
	request("INVITE", "i", B1);
	bench_answer(0, 486);
	int at;
	assert_int_equal(bench_count(0, "INVITE sip:n2@", &at), 1);
	assert_int_equal(stand.sent[at].target.to.port, 5082);
	bench_answer(at, 404);
	assert_int_equal(bench_count(0, "INVITE sip:n3@", &at), 1);
	bench_answer(at, 503);
	assert_int_equal(replies("SIP/2.0 480 Nobody"), 1);
	assert_int_equal(replies("SIP/2.0"), 1);
	heard("486 " B1 " 1|404 sip:n2@192.0.2.9:5082 2|503 sip:n3@192.0.2.9:5083 3|");
	/* each negative final was acknowledged on its own branch */
	assert_int_equal(bench_count(0, "ACK", NULL), 3);
	stop();
}

static void a_failure_route_forks(void **state)
{
	start(GLOBALS "route { t_on_failure(\"f\"); t_relay(); }\n failure_route[f] { " FORK " t_relay(); }\n");
	request("INVITE", "i", B1);
	bench_answer(0, 404);
	/* the branches added there, and not the one that failed */
	assert_int_equal(bench_count(0, "INVITE", NULL), 3);
	assert_int_equal(bench_count(0, "INVITE " B1, NULL), 1);
	int b2, b3;
	bench_count(0, "INVITE sip:b2@", &b2);
	bench_count(0, "INVITE sip:b3@", &b3);
	bench_answer(b2, 480);
	assert_int_equal(replies("SIP/2.0"), 0);
	bench_answer(b3, 200);
	assert_int_equal(replies("SIP/2.0 200"), 1);
	stop();
}

static void what_a_status_looks_like(void **state)
{
	start(GLOBALS "route { if (t_check_status(\"4..\")) xlog(\"no\"); t_on_reply(\"r\"); t_on_failure(\"f\"); t_relay(); }\n"
		"onreply_route[r] { if (t_check_status(\"1[0-9][0-9]\")) xlog(\"provisional\"); if (t_check_status(\"404\")) xlog(\"final\"); }\n"
		"failure_route[f] { if (t_check_status(\"486|404\")) xlog(\"busy or away\"); if (t_check_status(\"^40$\")) xlog(\"never\"); if (t_was_cancelled()) xlog(\"never\"); }\n");
	request("INVITE", "i", B1);
	bench_answer(0, 183);
	bench_answer(0, 404);
	heard("provisional|final|busy or away|");
	stop();
}

/* ---- cancels ---------------------------------------------------------------------------------------------------------------------- */

static void a_cancel_reaches_who_rang(void **state)
{
	start(GLOBALS "route { if ($rm == \"INVITE\") { append_msg_branch(\"sip:b2@192.0.2.9:5072\"); t_on_failure(\"f\"); } t_relay(); }\n"
		"failure_route[f] { if (t_was_cancelled()) xlog(\"cancelled $T_reply_code\"); $ru = \"sip:never@192.0.2.9\"; $var(rc) = t_relay(\"no-auto-477\"); xlog(\"$var(rc)\"); }\n");
	request("INVITE", "i", B1);
	bench_answer(0, 180);
	request("CANCEL", "i", B1);
	assert_int_equal(replies("SIP/2.0 200 canceling"), 1);
	assert_int_equal(bench_count(0, "CANCEL " B1, NULL), 1);
	assert_int_equal(bench_count(0, "CANCEL sip:b2@", NULL), 0);
	bench_answer(1, 180);                                        /* now it can be cancelled (RFC 3261 9.1) */
	assert_int_equal(bench_count(0, "CANCEL sip:b2@", NULL), 1);
	bench_answer(0, 487);
	bench_answer(1, 487);
	assert_int_equal(replies("SIP/2.0 487"), 1);
	assert_int_equal(bench_count(0, "INVITE sip:never", NULL), 0);
	assert_non_null(strstr(said, "cancelled 487|"));
	stop();
}

static void a_stranger_s_cancel_goes_nowhere_near(void **state)
{
	start(GLOBALS "route { if ($rm == \"CANCEL\") { $var(rc) = t_check_trans(); xlog(\"$var(rc)\"); exit; } t_relay(); }\n");
	request("INVITE", "i", B1);
	bench_answer(0, 180);
	request("CANCEL", "other", B1);
	heard("-1|");
	assert_int_equal(bench_count(0, "CANCEL", NULL), 0);
	request("CANCEL", "i", B1);
	heard("-1|1|");
	stop();
}

static void a_reply_route_cancels_branches(void **state)
{
	static const struct { const char *arg; int cancels; uint16_t port; } cases[] = { { "", 1, 5071 }, { "\"o\"", 2, 0 }, { "\"a\"", 3, 0 } };
	char text[2048];

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		snprintf(text, sizeof text, GLOBALS "route { " FORK " t_on_reply(\"r\"); t_relay(); }\n onreply_route[r] { if ($rs == 183) t_cancel_branch(%s); }\n", cases[i].arg);
		start(text);
		request("INVITE", "i", B1);
		bench_answer(1, 180);
		bench_answer(2, 180);
		bench_answer(0, 183);
		int last, n = bench_count(0, "CANCEL", &last);
		if (n != cases[i].cancels || (cases[i].port && stand.sent[last].target.to.port != cases[i].port))
			fail_msg("t_cancel_branch(%s): %d", cases[i].arg, n);
		assert_int_equal(bench_count(0, "CANCEL " B1, NULL), i != 1);
		stop();
	}
}

/* ---- timers ------------------------------------------------------------------------------------------------------------------------- */

static void silence_becomes_408(void **state)
{
	static const struct { const char *globals, *body; int ring; uint64_t before, at; } cases[] = {
		{ "", "", 0, 29500, 1000 }, { "modparam(\"tm\", \"fr_timeout\", 5)\n", "", 0, 4500, 1000 }, { "", "$T_fr_timeout = 7;", 0, 6500, 1000 },
		{ "modparam(\"tm\", \"fr_inv_timeout\", 20)\n", "", 180, 19500, 1000 }, { "", "$T_fr_inv_timeout = 9; $T_fr_timeout = 3;", 180, 8500, 1000 },
		{ "modparam(\"tm\", \"fr_timeout\", 6)\n", "$T_fr_timeout = 3; $T_fr_timeout = NULL;", 0, 5500, 1000 },
	};
	char text[2048];

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		snprintf(text, sizeof text, GLOBALS "%sroute { %s t_on_failure(\"f\"); t_relay(); }\n failure_route[f] { xlog(\"$T_reply_code\"); if (t_local_replied(\"all\")) xlog(\"all\"); "
			"if (t_local_replied(\"last\")) xlog(\"last\"); }\n", cases[i].globals, cases[i].body);
		start(text);
		request("INVITE", "i", B1);
		if (cases[i].ring)
			bench_answer(0, cases[i].ring);
		stand_turn(cases[i].before);
		if (replies("SIP/2.0 408"))
			fail_msg("row %zu: too early", i);
		stand_turn(cases[i].at);
		/* who rang is told that it is over, and answers or is given up */
		if (cases[i].ring)
			assert_true(bench_count(0, "CANCEL", NULL) > 0);
		if (replies("SIP/2.0 408") < 1)        /* repeated while there is no ACK */
			fail_msg("row %zu: %d replies, heard %s", i, replies("SIP/2.0"), said);
		heard(cases[i].ring ? "408|last|" : "408|all|last|");
		stop();
	}
}

static void every_ring_starts_the_timer_again(void **state)
{
	for (int restart = 0; restart < 2; restart++) {
		char text[1024];
		snprintf(text, sizeof text, GLOBALS "modparam(\"tm\", \"restart_fr_on_each_reply\", %d)\nmodparam(\"tm\", \"fr_inv_timeout\", 10)\nroute { t_relay(); }\n", restart);
		start(text);
		request("INVITE", "i", B1);
		bench_answer(0, 180);
		stand_turn(8000);
		bench_answer(0, 183);
		stand_turn(3000);
		assert_int_equal(bench_count(0, "CANCEL", NULL) > 0, !restart);
		stand_turn(8000);
		assert_int_equal(bench_count(0, "CANCEL", NULL) > 0, 1);
		stop();
	}
}

/* ---- hops that do not work ----------------------------------------------------------------------------------------------------------- */

static void a_503_stays_between_proxies(void **state)
{
	for (int keep = 0; keep < 2; keep++) {
		char text[1024];
		snprintf(text, sizeof text, "%s" GLOBALS "route { t_on_reply(\"r\"); t_relay(); }\n onreply_route[r] { xlog(\"$rs\"); }\n", keep ? "disable_503_translation=yes\n" : "");
		start(text);
		request("INVITE", "i", B1);
		bench_answer(0, 503);
		heard("503|");
		/* the status alone changes (RFC 3261 16.7 step 6) */
		assert_int_equal(replies(keep ? "SIP/2.0 503 Whatever" : "SIP/2.0 500 Whatever"), 1);
		stop();
	}
}

static void overload_is_said_so(void **state)
{
	start(GLOBALS "route { t_relay(); xlog(\"not reached\"); }\n");
	stand.refuse[0].port = 5071;
	stand.refuse[0].result = SEND_FULL;
	request("INVITE", "i", B1);
	assert_int_equal(stand.nsent, 1);
	assert_true(view_starts(stand_text(0), VIEW("SIP/2.0 503 Service Unavailable\r\n")));
	has(0, "\r\nRetry-After: ", "overload");
	heard("");
	stop();
	/* the script decides when it asks to */
	start(GLOBALS "route { $var(rc) = t_relay(\"no-auto-477\"); xlog(\"$var(rc)\"); t_reply(480, \"Later\"); }\n");
	stand.refuse[0].port = 5071;
	stand.refuse[0].result = SEND_FULL;
	request("INVITE", "i", B1);
	heard("-6|");
	assert_int_equal(replies("SIP/2.0 480 Later"), 1);
	assert_int_equal(replies("SIP/2.0"), 1);
	stop();
}

static void names(const char *host)
{
	stand.names[0].host = host;
	stand.names[0].n = 3;
	for (uint16_t i = 0; i < 3; i++)
		stand.names[0].list[i] = (struct candidate){ TR_UDP, { .af = AF_V4, .port = (uint16_t)(7001 + i), .ip = { 192, 0, 2, 9 } } };
}

static void the_next_address_is_tried(void **state)
{
	/* a broken path, a 503, silence */
	for (int how = 0; how < 3; how++) {
		start(GLOBALS "modparam(\"tm\", \"fr_timeout\", 5)\nroute { t_on_failure(\"f\"); t_relay(); }\n failure_route[f] { xlog(\"failed $T_reply_code\"); }\n");
		names("many.example.com");
		if (how == 0) {
			stand.refuse[0].port = 7001;
			stand.refuse[0].result = SEND_ERROR;
		}
		request("INVITE", "i", "sip:bob@many.example.com");
		if (how == 1)
			bench_answer(0, 503);
		if (how == 2)
			stand_turn(6000);
		int last, n = bench_count(0, "INVITE", &last);
		if (n < 1 || stand.sent[last].target.to.port != 7002)
			fail_msg("way %d: %d INVITEs, the last to %u", how, n, stand.sent[last].target.to.port);
		heard("");
		/* as a branch of its own */
		assert_false(how == 1 && view_is(stand_branch(0), stand_branch(last)));
		bench_answer(last, 404);
		heard("failed 404|");
		assert_int_equal(replies("SIP/2.0 404"), 1);
		stop();
	}
}

static void no_failover_when_it_is_off(void **state)
{
	for (int how = 0; how < 2; how++) {
		char text[1024];
		snprintf(text, sizeof text, "%s" GLOBALS "route { t_relay(%s); }\n", how ? "disable_dns_failover=yes\n" : "", how ? "" : "\"no-dns-failover\"");
		start(text);
		names("many.example.com");
		request("INVITE", "i", "sip:bob@many.example.com");
		bench_answer(0, 503);
		assert_int_equal(bench_count(0, "INVITE", NULL), 1);
		assert_int_equal(replies("SIP/2.0 500"), 1);
		stop();
	}
}

/* ---- text that the script adds ------------------------------------------------------------------------------------------------------- */

/* Header lines of a script may quote a caller: they stay header lines. */
static void added_lines_stay_lines(void **state)
{
	static const struct { const char *text; int rc; } cases[] = {
		{ "X-A: 1\\r\\n", 1 }, { "X-A: 1\\r\\nX-B: 2\\r\\n", 1 }, { "X-A: 1", 1 }, { "X-A: 1\\r\\n\\r\\nX-B: 2\\r\\n", -1 }, { "no colon\\r\\n", -1 },
		{ "X-A: 1\\r\\nno colon\\r\\n", -1 }, { "\\r\\n", -1 }, { ": 1\\r\\n", -1 }, { "X-A: 1\\nX-B: 2\\r\\n", -1 }, { " X-A: 1\\r\\n", -1 },
	};
	char text[1024];

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		snprintf(text, sizeof text, GLOBALS "route { $var(x) = \"%s\"; $var(rc) = t_add_hdrs(\"$var(x)\"); xlog(\"$var(rc)\"); t_relay(); }\n", cases[i].text);
		start(text);
		request("INVITE", "i", B1);
		if (strcmp(said, cases[i].rc > 0 ? "1|" : "-1|") != 0)
			fail_msg("%s: %s", cases[i].text, said);
		if (cases[i].rc > 0)
			has(0, "\r\nX-A: 1\r\n", cases[i].text);
		else
			lacks(0, "X-A", cases[i].text);
		stop();
	}
}

static void a_cancel_says_why(void **state)
{
	start(GLOBALS "route { if ($rm == \"CANCEL\") { $var(a) = t_add_cancel_reason(\"Reason: SIP;cause=200\\r\\n\"); $var(b) = t_add_cancel_reason(\"x\\r\\n\\r\\ny: z\\r\\n\"); "
		"xlog(\"$var(a) $var(b)\"); } else { $var(a) = t_add_cancel_reason(\"Reason: a\\r\\n\"); xlog(\"$var(a)\"); } t_relay(); }\n");
	request("INVITE", "i", B1);
	bench_answer(0, 180);
	request("CANCEL", "i", B1);
	int cancel;
	assert_int_equal(bench_count(0, "CANCEL", &cancel), 1);
	has(cancel, "\r\nReason: SIP;cause=200\r\n", "reason");
	heard("-1|1 -1|");
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_that_answers_wins), cmocka_unit_test(the_best_failure_is_relayed), cmocka_unit_test(a_603_ends_it_unless_it_may_not),
		cmocka_unit_test(a_branch_may_be_dropped_or_changed), cmocka_unit_test(one_after_the_other), cmocka_unit_test(a_failure_route_forks),
		cmocka_unit_test(what_a_status_looks_like), cmocka_unit_test(a_cancel_reaches_who_rang), cmocka_unit_test(a_stranger_s_cancel_goes_nowhere_near),
		cmocka_unit_test(a_reply_route_cancels_branches), cmocka_unit_test(silence_becomes_408), cmocka_unit_test(every_ring_starts_the_timer_again),
		cmocka_unit_test(a_503_stays_between_proxies), cmocka_unit_test(overload_is_said_so), cmocka_unit_test(the_next_address_is_tried),
		cmocka_unit_test(no_failover_when_it_is_off), cmocka_unit_test(added_lines_stay_lines), cmocka_unit_test(a_cancel_says_why),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
