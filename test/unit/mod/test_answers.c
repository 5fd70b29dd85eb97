/* What we answer ourselves, by sl, signaling, tm and options; and Max-Forwards, which asks for it. */
#include "scene.h"

#define UDP  "udp:192.0.2.1:5060"
#define PEER "198.51.100.7:4000"
#define GLOBALS "server_signature=no\nsocket=udp:192.0.2.1:5060\nsocket=tcp:192.0.2.1:5060\nloadmodule \"tm.so\"\nloadmodule \"sl.so\"\nloadmodule \"signaling.so\"\n" \
	"loadmodule \"maxfwd.so\"\nloadmodule \"options.so\"\nloadmodule \"sipmsgops.so\"\nmodparam(\"tm\", \"auto_100trying\", 0)\n"

static void arrive(const char *method, const char *ruri, const char *branch, const char *to, const char *more)
{
	char text[4096];

	snprintf(text, sizeof text, "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:4000;branch=z9hG4bK%s\r\nFrom: <sip:alice@example.com>;tag=a\r\n"
		"To: <sip:bob@example.com>%s\r\nCall-ID: c1@example.com\r\nCSeq: 1 %s\r\n%sContent-Length: 0\r\n\r\n", method, ruri, branch, to, method, more);
	stand_receive(text, UDP, PEER);
}

static int occurs(int i, const char *what)
{
	struct view v = stand_text(i);
	int         n = 0;

	for (size_t at; (at = view_find_view(v, view_str(what))) < v.n; n++)
		v = view_from(v, at + 1);
	return n;
}

/* The To tag of the i-th send. */
static struct view tag_of(int i)
{
	struct view v = stand_text(i);

	v = view_from(v, view_find_view(v, VIEW("\r\nTo: ")) + 2);
	v = view_sub(v, 0, view_find(v, '\r'));
	size_t at = view_find_view(v, VIEW(";tag="));
	return at < v.n ? view_from(v, at + 5) : VIEW("");
}

/* ---- maxfwd ---------------------------------------------------------------------------------------------------------------- */

static void max_forwards(void **state)
{
	static const struct { const char *header, *params, *arg, *said, *sent; } cases[] = {
		{ "Max-Forwards: 70\r\n", "", "10", "1|", "\r\nMax-Forwards: 69\r\n" },
		{ "Max-Forwards: 1\r\n", "", "10", "1|", "\r\nMax-Forwards: 0\r\n" },
		{ "Max-Forwards:   007  \r\n", "", "10", "1|", "\r\nMax-Forwards:   6" },
		{ "Max-Forwards: 0\r\n", "", "10", "-1|", "\r\nMax-Forwards: 0\r\n" },
		{ "", "", "10", "2|", "\r\nMax-Forwards: 10\r\n" },
		{ "Max-Forwards: 255\r\n", "", "10", "1|", "\r\nMax-Forwards: 254\r\n" },
		{ "Max-Forwards: 70\r\n", "modparam(\"maxfwd\", \"max_limit\", 20)\n", "10", "1|", "\r\nMax-Forwards: 19\r\n" },
		{ "Max-Forwards: 20\r\n", "modparam(\"maxfwd\", \"max_limit\", 20)\n", "10", "1|", "\r\nMax-Forwards: 19\r\n" },
		{ "", "modparam(\"maxfwd\", \"max_limit\", 20)\n", "70", "2|", "\r\nMax-Forwards: 20\r\n" },
		{ "Max-Forwards: 70\r\n", "", "$var(n)", "-2|", "\r\nMax-Forwards: 70\r\n" },
	};
	char text[2048];

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		snprintf(text, sizeof text, GLOBALS "%sroute { $var(n) = -1; $var(rc) = mf_process_maxfwd_header(%s); xlog(\"$var(rc)\"); forward(); }\n", cases[i].params, cases[i].arg);
		start(text);
		arrive("OPTIONS", "sip:bob@198.51.100.9", "m", "", cases[i].header);
		if (strcmp(said, cases[i].said) != 0)
			fail_msg("%s: %s", cases[i].header, said);
		assert_int_equal(stand.nsent, 1);
		has(0, cases[i].sent, cases[i].header);
		assert_int_equal(occurs(0, "Max-Forwards"), 1);
		stop();
	}
}

/* A script that asks twice counts down once, and adds one header. */
static void max_forwards_twice(void **state)
{
	static const struct { const char *header, *sent; } cases[] = { { "Max-Forwards: 70\r\n", "\r\nMax-Forwards: 69\r\n" }, { "", "\r\nMax-Forwards: 10\r\n" } };

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		start(GLOBALS "route { $var(a) = mf_process_maxfwd_header(10); $var(b) = mf_process_maxfwd_header(10); forward(); }\n");
		arrive("OPTIONS", "sip:bob@198.51.100.9", "m", "", cases[i].header);
		assert_int_equal(stand.nsent, 1);
		has(0, cases[i].sent, "twice");
		assert_int_equal(occurs(0, "Max-Forwards"), 1);
		stop();
	}
}

static void max_forwards_below(void **state)
{
	static const struct { const char *header, *said; } cases[] = {
		{ "Max-Forwards: 9\r\n", "1|" }, { "Max-Forwards: 10\r\n", "-1|" }, { "Max-Forwards: 11\r\n", "-1|" }, { "Max-Forwards: 0\r\n", "1|" }, { "", "-2|" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		start(GLOBALS "route { $var(rc) = is_maxfwd_lt(10); xlog(\"$var(rc)\"); }\n");
		arrive("OPTIONS", "sip:bob@198.51.100.9", "m", "", cases[i].header);
		if (strcmp(said, cases[i].said) != 0)
			fail_msg("%s: %s", cases[i].header, said);
		stop();
	}
}

/* What is no number is refused, by the core or by the function. */
static void max_forwards_that_is_none(void **state)
{
	static const char *const bad[] = { "Max-Forwards: x\r\n", "Max-Forwards: -1\r\n", "Max-Forwards: 99999999999\r\n", "Max-Forwards:\r\n", "Max-Forwards: 7 0\r\n" };

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		start(GLOBALS "route { $var(a) = is_maxfwd_lt(10); $var(b) = mf_process_maxfwd_header(10); xlog(\"$var(a) $var(b)\"); if ($var(b) > 0) forward(); }\n");
		arrive("OPTIONS", "sip:bob@198.51.100.9", "m", "", bad[i]);
		if (*said && strcmp(said, "-3 -2|") != 0)
			fail_msg("%s: %s", bad[i], said);
		for (int k = 0; k < stand.nsent; k++)
			assert_true(view_starts(stand_text(k), VIEW("SIP/2.0 400 ")));
		stop();
	}
}

/* ---- codes and texts, for every function that answers ---------------------------------------------------------------------- */

static const char *const functions[] = { "sl_send_reply", "send_reply", "t_reply" };

static void code_bounds(void **state)
{
	static const struct { long code; bool fine; } codes[] = { { 100, true }, { 699, true }, { 200, true }, { 99, false }, { 700, false }, { 0, false }, { -1, false },
		{ 65536 + 200, false }, { 0x7fffffff, false } };
	char text[2048], line[32], id[8];

	for (size_t f = 0; f < COUNT_OF(functions); f++)
		for (size_t i = 0; i < COUNT_OF(codes); i++) {
			snprintf(text, sizeof text, GLOBALS "route { $var(c) = %ld; $var(rc) = %s($var(c), \"Text\"); xlog(\"$var(rc)\"); }\n", codes[i].code, functions[f]);
			start(text);
			snprintf(id, sizeof id, "c%zu", i);
			arrive("OPTIONS", "sip:bob@example.com", id, "", "");
			snprintf(line, sizeof line, "SIP/2.0 %ld Text\r\n", codes[i].code);
			if (strcmp(said, codes[i].fine ? "1|" : "-1|") != 0 || stand.nsent != codes[i].fine)
				fail_msg("%s(%ld): said %s, sent %d", functions[f], codes[i].code, said, stand.nsent);
			if (codes[i].fine)
				has(0, line, functions[f]);
			stop();
		}
}

static void reasons_cannot_break_the_line(void **state)
{
	char text[2048];

	for (size_t f = 0; f < COUNT_OF(functions); f++) {
		snprintf(text, sizeof text, GLOBALS "route { $var(x) = \"a\\r\\nEvil: 1\\r\\n\\r\\nb\"; %s(404, \"$var(x)\"); }\n", functions[f]);
		start(text);
		arrive("OPTIONS", "sip:bob@example.com", "r", "", "");
		assert_int_equal(stand.nsent, 1);
		lacks(0, "\nEvil", functions[f]);
		assert_true(view_starts(stand_text(0), VIEW("SIP/2.0 404 a  Evil: 1")));
		stop();
	}
}

static void an_ack_is_never_answered(void **state)
{
	char text[2048];

	for (size_t f = 0; f < COUNT_OF(functions); f++) {
		snprintf(text, sizeof text, GLOBALS "route { %s(404, \"No\"); }\n", functions[f]);
		start(text);
		arrive("ACK", "sip:bob@example.com", "k", ";tag=x", "");
		assert_int_equal(stand.nsent, 0);
		stop();
	}
}

/* ---- sl ------------------------------------------------------------------------------------------------------------------------ */

static void a_tag_from_180_on(void **state)
{
	start(GLOBALS "route { $var(c) = $(rU{s.int}); sl_send_reply($var(c), \"X\"); }\n");
	arrive("INVITE", "sip:100@example.com", "t", "", "");
	arrive("INVITE", "sip:179@example.com", "t", "", "");
	arrive("INVITE", "sip:180@example.com", "t", "", "");
	arrive("INVITE", "sip:404@example.com", "t", "", "");
	arrive("INVITE", "sip:404@example.com", "u", "", "");
	arrive("INVITE", "sip:404@example.com", "t", ";tag=theirs", "");
	assert_int_equal(stand.nsent, 6);
	assert_int_equal(tag_of(0).n, 0);
	assert_int_equal(tag_of(1).n, 0);
	assert_true(tag_of(2).n > 0);
	assert_true(view_is(tag_of(2), tag_of(3)));          /* a retransmission of the same request */
	assert_false(view_is(tag_of(3), tag_of(4)));
	assert_true(view_is(tag_of(5), VIEW("theirs")));
	stop();
}

static void acks_end_at_us_for_two_seconds(void **state)
{
	char tag[64];

	start(GLOBALS "route { xlog(\"$rm\"); if ($rm == \"INVITE\") sl_send_reply(404, \"No\"); }\n");
	arrive("ACK", "sip:bob@example.com", "first", ";tag=any", "");
	assert_string_equal(said, "ACK|");
	arrive("INVITE", "sip:bob@example.com", "i", "", "");
	snprintf(tag, sizeof tag, ";tag=" VIEW_FMT, VIEW_ARG(tag_of(0)));
	stand_turn(1900);
	arrive("ACK", "sip:bob@example.com", "i", tag, "");
	assert_string_equal(said, "ACK|INVITE|");
	/* another call's ACK, or a wrong tag, is the script's */
	arrive("ACK", "sip:bob@example.com", "i", ";tag=wrong", "");
	arrive("ACK", "sip:bob@example.com", "other", tag, "");
	assert_string_equal(said, "ACK|INVITE|ACK|ACK|");
	stand_turn(200);
	arrive("ACK", "sip:bob@example.com", "i", tag, "");
	assert_string_equal(said, "ACK|INVITE|ACK|ACK|ACK|");
	/* every reply opens the window again */
	arrive("INVITE", "sip:bob@example.com", "i", "", "");
	arrive("ACK", "sip:bob@example.com", "i", tag, "");
	assert_string_equal(said, "ACK|INVITE|ACK|ACK|ACK|INVITE|");
	stop();
}

static void redirections_name_the_destinations(void **state)
{
	start(GLOBALS "route { $ru = \"sip:b1@192.0.2.9\"; append_msg_branch(\"sip:b2@192.0.2.9;transport=tcp\", \"0.5\"); append_msg_branch(\"sip:b3@192.0.2.9\"); sl_send_reply(302, \"Moved\"); }\n");
	arrive("INVITE", "sip:bob@example.com", "r", "", "");
	has(0, "SIP/2.0 302 Moved\r\n", "302");
	has(0, "\r\nContact: <sip:b1@192.0.2.9>, <sip:b2@192.0.2.9;transport=tcp>;q=0.500, <sip:b3@192.0.2.9>\r\n", "302");
	stop();
	start(GLOBALS "route { sl_send_reply(404, \"No\"); }\n");
	arrive("INVITE", "sip:bob@example.com", "r", "", "");
	lacks(0, "Contact", "404");
	stop();
}

/* However long the destinations are, a redirection without them would be none. */
static void redirections_of_any_length(void **state)
{
	char text[8192], user[801];

	memset(user, 'u', sizeof user - 1);
	user[sizeof user - 1] = 0;
	int n = snprintf(text, sizeof text, GLOBALS "route { ");
	for (int i = 0; i < 6; i++)
		n += snprintf(text + n, sizeof text - (size_t)n, "append_msg_branch(\"sip:%s%d@192.0.2.9\"); ", user, i);
	snprintf(text + n, sizeof text - (size_t)n, "sl_send_reply(302, \"Moved\"); }\n");
	start(text);
	arrive("INVITE", "sip:bob@example.com", "r", "", "");
	assert_int_equal(stand.nsent, 1);
	has(0, "\r\nContact: <sip:bob@example.com>, <sip:uuuu", "long");
	assert_int_equal(occurs(0, "@192.0.2.9>"), 6);
	stop();
}

/* ---- signaling ------------------------------------------------------------------------------------------------------------------- */

static void with_and_without_a_transaction(void **state)
{
	start(GLOBALS "route { if ($rm == \"ACK\") { t_check_trans(); exit; } if ($rU == \"t\") t_newtran(); send_reply(486, \"Busy\"); xlog(\"$sig_local_totag\"); }\n");
	arrive("INVITE", "sip:s@example.com", "s", "", "");
	arrive("INVITE", "sip:t@example.com", "t", "", "");
	assert_int_equal(stand.nsent, 2);
	char both[256];
	snprintf(both, sizeof both, VIEW_FMT "|" VIEW_FMT "|", VIEW_ARG(tag_of(0)), VIEW_ARG(tag_of(1)));
	assert_string_equal(said, both);
	/* the stateful one is repeated until its ACK, the other is not */
	stand_turn(600);
	assert_int_equal(stand.nsent, 3);
	assert_true(view_is(stand_text(2), stand_text(1)));
	char tag[64];
	snprintf(tag, sizeof tag, ";tag=" VIEW_FMT, VIEW_ARG(tag_of(1)));
	arrive("ACK", "sip:t@example.com", "t", tag, "");
	stand_turn(5000);
	assert_int_equal(stand.nsent, 3);
	stop();
}

static void a_reply_in_a_failure_route(void **state)
{
	start(GLOBALS "route { t_on_failure(\"f\"); t_relay(); }\n failure_route[f] { send_reply(480, \"Mine\"); }\n");
	arrive("INVITE", "sip:bob@192.0.2.9", "f", "", "");
	bench_answer(0, 404);
	assert_int_equal(bench_count(0, "SIP/2.0 480 Mine", NULL), 1);
	assert_int_equal(bench_count(0, "SIP/2.0 404", NULL), 0);
	stop();
}

/* ---- options ----------------------------------------------------------------------------------------------------------------------- */

static void options_are_answered(void **state)
{
	start(GLOBALS "route { options_reply(); xlog(\"went on\"); sl_send_reply(404, \"No\"); }\n");
	arrive("OPTIONS", "sip:example.com", "o", "", "");
	has(0, "SIP/2.0 200 OK\r\n", "options");
	has(0, "\r\nAccept: */*\r\nAccept-Language: en\r\n", "options");
	lacks(0, "Accept-Encoding", "options");
	lacks(0, "Supported", "options");
	assert_string_equal(said, "");
	/* not for us: a user, another method, no SIP URI */
	arrive("OPTIONS", "sip:bob@example.com", "p", "", "");
	arrive("INFO", "sip:example.com", "q", "", "");
	arrive("OPTIONS", "tel:+123", "s", "", "");
	assert_string_equal(said, "went on|went on|went on|");
	assert_int_equal(bench_count(1, "SIP/2.0 404", NULL), 3);
	stop();
}

static void options_says_what_it_is_told(void **state)
{
	start(GLOBALS "modparam(\"options\", \"accept\", \"application/sdp\")\nmodparam(\"options\", \"accept_encoding\", \"gzip\")\nmodparam(\"options\", \"accept_language\", \"\")\n"
		"modparam(\"options\", \"support\", \"path\")\nroute { append_to_reply(\"X-Mine: 1\\r\\n\"); options_reply(); }\n");
	arrive("OPTIONS", "sip:example.com", "o", "", "");
	has(0, "X-Mine: 1\r\nAccept: application/sdp\r\nAccept-Encoding: gzip\r\nSupported: path\r\n", "options");
	lacks(0, "Accept-Language", "options");
	stop();
}

/* Through signaling: with a transaction the answer is the transaction's. */
static void options_with_a_transaction(void **state)
{
	start(GLOBALS "route { t_newtran(); options_reply(); xlog(\"went on\"); }\n");
	arrive("OPTIONS", "sip:example.com", "o", "", "");
	assert_int_equal(stand.nsent, 1);
	has(0, "\r\nAccept: */*\r\n", "options");
	arrive("OPTIONS", "sip:example.com", "o", "", "");
	assert_int_equal(stand.nsent, 2);
	assert_true(view_is(stand_text(1), stand_text(0)));
	assert_string_equal(said, "");
	stand_turn(40000);
	assert_int_equal(txns_live(stand.w.txns), 0);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(max_forwards), cmocka_unit_test(max_forwards_twice), cmocka_unit_test(max_forwards_below), cmocka_unit_test(max_forwards_that_is_none),
		cmocka_unit_test(code_bounds), cmocka_unit_test(reasons_cannot_break_the_line), cmocka_unit_test(an_ack_is_never_answered), cmocka_unit_test(a_tag_from_180_on),
		cmocka_unit_test(acks_end_at_us_for_two_seconds), cmocka_unit_test(redirections_name_the_destinations), cmocka_unit_test(redirections_of_any_length),
		cmocka_unit_test(with_and_without_a_transaction), cmocka_unit_test(a_reply_in_a_failure_route), cmocka_unit_test(options_are_answered),
		cmocka_unit_test(options_says_what_it_is_told), cmocka_unit_test(options_with_a_transaction),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
