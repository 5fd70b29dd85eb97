/* mod/tm by its scripts: a request comes in, the routes run, messages leave. */
#include "bench.h"
#include "mod/mod.h"
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#define UDP "udp:192.0.2.1:5060"
#define GLOBALS "server_signature=no\nsocket=udp:192.0.2.1:5060\nsocket=tcp:192.0.2.1:5060\nloadmodule \"tm.so\"\nloadmodule \"sl.so\"\nloadmodule \"signaling.so\"\n" \
	"modparam(\"tm\", \"auto_100trying\", 0)\n"

static struct script *script;
static char           said[4096];
static size_t         nsaid;

static void hear(void *arg, int level, struct view text)
{
	size_t n = text.n < sizeof said - nsaid - 2 ? text.n : sizeof said - nsaid - 2;

	memcpy(said + nsaid, text.p, n);
	nsaid += n;
	said[nsaid++] = '|';
	said[nsaid] = 0;
}

static void load(const char *text)
{
	static const struct module *const modules[MOD_COUNT] = { [MOD_tm] = &mod_tm, [MOD_sl] = &mod_sl, [MOD_signaling] = &mod_signaling };
	const struct module *list[] = { modules[MOD_tm], modules[MOD_sl], modules[MOD_signaling] };
	static const char *const absent[] = { NULL };
	struct script_env env = { .modules = list, .nmodules = COUNT_OF(list), .known_absent = absent, .workers = 1 };
	struct diags      d = { .arena = arena_new(1 << 20) };
	char              why[4096];
	struct out        o = out_to(why, sizeof why - 1);

	script = script_load(VIEW("test.cfg"), view_str(text), &env, &d);
	for (const struct diag *x = d.first; x; x = x->next)
		diag_print(x, &o);
	why[o.n] = 0;
	if (!script)
		fail_msg("%s", why);
	arena_free(d.arena);
	stand.conf = *script_conf(script);
	stand.w.conf = script_conf(script);
	stand.w.hooks = &script_hooks;
	assert_true(script_worker_init(&stand.w, script, &o));
	script_log_to(&stand.w, hear, NULL);
	nsaid = 0;
	said[0] = 0;
}

static void request(const char *method, const char *id, const char *ruri)
{
	char text[2048];

	snprintf(text, sizeof text, "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:4000;branch=z9hG4bK%s\r\nFrom: <sip:alice@example.com>;tag=a1\r\n"
		"To: <sip:bob@example.com>\r\nCall-ID: c1@example.com\r\nCSeq: 1 %s\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n", method, ruri, id, method);
	stand_receive(text, UDP, "198.51.100.7:4000");
}

static struct txns *txns(void) { return stand.w.txns; }

static void test_a_call(void **s)
{
	load(GLOBALS "route { xlog(\"$rm\"); t_relay(); }\n onreply_route { xlog(\"$rs\"); }\n");
	request("INVITE", "i", "sip:bob@192.0.2.9:5070");
	assert_int_equal(bench_count(0, "INVITE sip:bob@192.0.2.9:5070", NULL), 1);
	bench_answer(0, 180);
	bench_answer(0, 200);
	assert_int_equal(bench_count(0, "SIP/2.0 180", NULL), 1);
	assert_int_equal(bench_count(0, "SIP/2.0 200", NULL), 1);
	/* end to end ACK, then BYE: branches of their own */
	request("ACK", "k", "sip:bob@192.0.2.9:5070");
	assert_int_equal(bench_count(0, "ACK sip:bob@192.0.2.9:5070", NULL), 1);
	request("BYE", "b", "sip:bob@192.0.2.9:5070");
	int bye;
	assert_int_equal(bench_count(0, "BYE", &bye), 1);
	bench_answer(bye, 200);
	assert_int_equal(bench_count(0, "SIP/2.0 200", NULL), 2);
	assert_string_equal(said, "INVITE|180|200|ACK|BYE|200|");
	stand_turn(12000);
	assert_int_equal(txns_live(txns()), 0);
}

static void test_retransmission_ends_the_script(void **s)
{
	load(GLOBALS "route { xlog(\"in\"); t_relay(); xlog(\"after\"); }");
	request("INVITE", "i", "sip:bob@192.0.2.9:5070");
	request("INVITE", "i", "sip:bob@192.0.2.9:5070");
	assert_string_equal(said, "in|after|in|");
	assert_int_equal(bench_count(0, "INVITE", NULL), 1);
	bench_answer(0, 404);
	int before = stand.nsent;
	request("INVITE", "i", "sip:bob@192.0.2.9:5070");
	assert_int_equal(bench_count(before, "SIP/2.0 404", NULL), 1);
	/* the hop's ACK is consumed by t_relay */
	nsaid = 0;
	before = stand.nsent;
	request("ACK", "i", "sip:bob@192.0.2.9:5070");
	assert_string_equal(said, "in|after|");
	assert_int_equal(stand.nsent, before);
}

static void test_check_trans(void **s)
{
	load(GLOBALS "route { $var(rc) = t_check_trans(); xlog(\"$rm $var(rc)\"); if ($rm == \"INVITE\") { t_newtran(); $var(rc) = t_check_trans(); xlog(\"then $var(rc)\"); t_reply(486, \"Busy\"); } }");
	request("INVITE", "i", "sip:bob@192.0.2.9");
	request("INVITE", "i", "sip:bob@192.0.2.9");        /* 0: the script ends */
	request("CANCEL", "i", "sip:bob@192.0.2.9");
	request("CANCEL", "x", "sip:bob@192.0.2.9");
	request("ACK", "i", "sip:bob@192.0.2.9");
	request("ACK", "y", "sip:bob@192.0.2.9");
	assert_string_equal(said, "INVITE -1|then 1|CANCEL 1|CANCEL -1|ACK 1|ACK -1|");
	assert_int_equal(bench_count(0, "SIP/2.0 486 Busy", NULL), 2);
}

static void test_cancel(void **s)
{
	load(GLOBALS "route { $var(rc) = t_relay(\"pass-reason-hdr\"); xlog(\"$rm $var(rc)\"); }\n");
	request("INVITE", "i", "sip:bob@192.0.2.9:5070");
	bench_answer(0, 180);
	stand_receive("CANCEL sip:bob@192.0.2.9:5070 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:4000;branch=z9hG4bKi\r\nFrom: <sip:alice@example.com>;tag=a1\r\n"
		"To: <sip:bob@example.com>\r\nCall-ID: c1@example.com\r\nCSeq: 1 CANCEL\r\nMax-Forwards: 70\r\nReason: SIP;cause=200\r\nContent-Length: 0\r\n\r\n", UDP, "198.51.100.7:4000");
	int cancel;
	assert_int_equal(bench_count(0, "SIP/2.0 200 canceling", NULL), 1);
	assert_int_equal(bench_count(0, "CANCEL", &cancel), 1);
	assert_true(view_has(stand_text(cancel), "\r\nReason: SIP;cause=200\r\n"));
	bench_answer(cancel, 200);
	bench_answer(0, 487);
	assert_int_equal(bench_count(0, "SIP/2.0 487", NULL), 1);
	assert_int_equal(bench_count(0, "ACK", NULL), 1);
	assert_string_equal(said, "INVITE 1|CANCEL 1|");
	/* without a transaction it is relayed like any request */
	request("CANCEL", "z", "sip:bob@192.0.2.9:5070");
	assert_int_equal(bench_count(0, "CANCEL", NULL), 2);
}

static void test_failure_route(void **s)
{
	load(GLOBALS "route { t_on_failure(\"next\"); t_relay(); }\n"
		"failure_route[next] { xlog(\"$T_reply_code $ru\"); if (t_was_cancelled()) exit; if (t_check_status(\"404|408\")) { $ru = \"sip:second@192.0.2.9:5072\"; t_on_failure(\"last\"); t_relay(); } }\n"
		"failure_route[last] { xlog(\"last $T_reply_code $ru\"); t_reply(480, \"Nobody\"); }");
	request("INVITE", "i", "sip:first@192.0.2.9:5071");
	bench_answer(0, 404);
	int second, old = stand.nsent;
	assert_int_equal(bench_count(0, "INVITE sip:second@", &second), 1);
	assert_int_equal(bench_count(0, "SIP/2.0", NULL), 0);
	bench_answer(second, 486);
	assert_int_equal(bench_count(old, "SIP/2.0 480 Nobody", NULL), 1);
	assert_string_equal(said, "404 sip:first@192.0.2.9:5071|last 486 sip:second@192.0.2.9:5072|");
	/* not armed again: the reply just goes up */
	request("INVITE", "j", "sip:first@192.0.2.9:5071");
	int first;
	bench_count(0, "INVITE sip:first@", &first);
	bench_answer(first, 500);
	assert_int_equal(bench_count(0, "SIP/2.0 500", NULL), 1);
}

static void test_branch_routes(void **s)
{
	load(GLOBALS "route { append_msg_branch(\"sip:b2@192.0.2.9:5072\"); append_msg_branch(\"sip:b3@192.0.2.9:5073\"); t_on_branch(\"b\"); $var(rc) = t_relay(); xlog(\"$var(rc)\"); }\n"
		"branch_route[b] { xlog(\"$T_branch_idx $ru\"); if ($T_branch_idx == 1) drop; $rU = \"changed\"; }");
	request("INVITE", "i", "sip:b1@192.0.2.9:5071");
	assert_string_equal(said, "0 sip:b1@192.0.2.9:5071|1 sip:b2@192.0.2.9:5072|2 sip:b3@192.0.2.9:5073|1|");
	assert_int_equal(stand.nsent, 2);
	assert_true(view_starts(stand_text(0), VIEW("INVITE sip:changed@192.0.2.9:5071 ")));
	assert_true(view_starts(stand_text(1), VIEW("INVITE sip:changed@192.0.2.9:5073 ")));
}

static void test_all_branches_dropped(void **s)
{
	load(GLOBALS "route { t_on_branch(\"b\"); t_on_failure(\"f\"); $var(rc) = t_relay(); xlog(\"not reached\"); }\n branch_route[b] { drop; } failure_route[f] { xlog(\"nor this\"); }");
	request("INVITE", "i", "sip:b1@192.0.2.9:5071");
	assert_int_equal(stand.nsent, 1);
	assert_true(view_starts(stand_text(0), VIEW("SIP/2.0 500 ")));
	assert_string_equal(said, "");
	script_worker_done(&stand.w);
	script_free(script);
	load(GLOBALS "route { t_on_branch(\"b\"); $var(rc) = t_relay(\"no-auto-477\"); xlog(\"$var(rc)\"); }\n branch_route[b] { drop; }");
	request("INVITE", "j", "sip:b1@192.0.2.9:5071");
	assert_int_equal(stand.nsent, 1);
	assert_string_equal(said, "-1|");
}

static void test_codes_of_failure(void **s)
{
	load(GLOBALS "route { if ($rU == \"auto\") { t_relay(); xlog(\"not reached\"); exit; } $var(rc) = t_relay(\"no-auto-477\"); xlog(\"$var(rc)\"); }");
	stand.refuse[0].port = 5079;
	stand.refuse[0].result = SEND_ERROR;
	request("OPTIONS", "a", "sip:x@192.0.2.9:5079");
	request("OPTIONS", "b", "sip:x@nowhere.example.com");
	request("OPTIONS", "c", "tel:1234");
	request("OPTIONS", "d", "sip:x@192.0.2.9;transport=tls");
	assert_string_equal(said, "-6|-4|-2|-6|");
	assert_int_equal(stand.nsent, 0);
	request("OPTIONS", "e", "sip:auto@192.0.2.9:5079");
	assert_true(view_starts(stand_text(0), VIEW("SIP/2.0 477 Send failed (477/TM)\r\n")));
	request("OPTIONS", "f", "sip:auto@nowhere.example.com");
	assert_true(view_starts(stand_text(1), VIEW("SIP/2.0 476 Unresolvable destination (476/TM)\r\n")));
	assert_string_equal(said, "-6|-4|-2|-6|");
}

static void test_onreply_routes(void **s)
{
	load(GLOBALS "route { $avp(x) = \"req\"; t_on_reply(\"all\"); t_on_branch(\"b\"); append_msg_branch(\"sip:b2@192.0.2.9:5072\"); t_relay(); }\n"
		"branch_route[b] { if ($T_branch_idx == 1) t_on_reply(\"mine\"); }\n"
		"onreply_route[all] { xlog(\"all $T_branch_idx $rs $avp(x)\"); if ($rs == 183) drop; }\n"
		"onreply_route[mine] { xlog(\"mine $T_branch_idx $rs\"); }\n");
	request("INVITE", "i", "sip:b1@192.0.2.9:5071");
	bench_answer(0, 180);
	bench_answer(1, 183);
	bench_answer(1, 200);
	assert_string_equal(said, "all 0 180 <null>|mine 1 183|all 1 183 <null>|mine 1 200|all 1 200 <null>|");
	assert_int_equal(bench_count(0, "SIP/2.0 183", NULL), 0);
	assert_int_equal(bench_count(0, "SIP/2.0 200", NULL), 1);
}

static void test_onreply_avps(void **s)
{
	load(GLOBALS "modparam(\"tm\", \"onreply_avp_mode\", 1)\nroute { $avp(x) = \"req\"; t_on_reply(\"r\"); t_on_failure(\"f\"); t_relay(); }\n"
		"onreply_route[r] { xlog(\"$avp(x)\"); $avp(y) = $rs; }\n failure_route[f] { xlog(\"$avp(x) $avp(y)\"); }");
	request("INVITE", "i", "sip:b1@192.0.2.9:5071");
	bench_answer(0, 404);
	assert_string_equal(said, "req|req 404|");
}

/* A callee that repeats itself until the request's memory is out: what replies left behind is then given up, not half kept. */
static void test_onreply_avps_without_memory(void **s)
{
	load(GLOBALS "modparam(\"tm\", \"onreply_avp_mode\", 1)\nroute { $var(i) = 0; $var(s) = $(ru{s.fill.right,x,20000}); while ($var(i) < 25) { $avp(f) = $var(s); $var(i) = $var(i) + 1; }\n"
		"t_on_reply(\"r\"); t_relay(); }\nonreply_route[r] { $avp(n) = $avp(n) + 1; }");
	request("INVITE", "i", "sip:b1@192.0.2.9:5071");
	assert_int_equal(bench_count(0, "INVITE", NULL), 1);
	for (int i = 0; i < 2000; i++) {
		bench_answer(0, 180);
		stand.nsent = 1;
	}
	bench_answer(0, 404);
	assert_int_equal(bench_count(0, "SIP/2.0 404", NULL), 1);
}

static void test_dns_under_t_relay(void **s)
{
	load(GLOBALS "route { $var(rc) = t_relay(); xlog(\"$var(rc)\"); }");
	stand.names[0].host = "slow.example.com";
	stand.names[0].later = true;
	stand.names[0].n = 1;
	stand.names[0].list[0] = (struct candidate){ TR_UDP, { .af = AF_V4, .port = 7001, .ip = { 192, 0, 2, 9 } } };
	request("INVITE", "i", "sip:b1@slow.example.com");
	assert_string_equal(said, "");
	request("OPTIONS", "o", "sip:x@192.0.2.9");           /* others go on meanwhile */
	assert_string_equal(said, "1|");
	stand_resolve(0);
	assert_string_equal(said, "1|1|");
	assert_int_equal(stand.sent[1].target.to.port, 7001);
	/* cancelled while it waits */
	request("INVITE", "k", "sip:b1@slow.example.com");
	request("CANCEL", "k", "sip:b1@slow.example.com");
	assert_int_equal(bench_count(0, "SIP/2.0 487", NULL), 1);
	assert_int_equal(bench_count(0, "SIP/2.0 200 canceling", NULL), 1);
	assert_int_equal(bench_count(0, "INVITE", NULL), 1);
}

static void test_edits_and_headers(void **s)
{
	load(GLOBALS "route { t_add_hdrs(\"X-All: 1\\r\\n\"); t_relay(); }");
	request("INVITE", "i", "sip:b1@192.0.2.9:5071");
	bench_answer(0, 404);
	int ack;
	assert_int_equal(bench_count(0, "ACK", &ack), 1);
	assert_true(view_has(stand_text(0), "\r\nX-All: 1\r\n") && view_has(stand_text(ack), "\r\nX-All: 1\r\n"));
}

static void test_proxy_argument_and_timeouts(void **s)
{
	load(GLOBALS "route { $T_fr_timeout = 3; $T_fr_timeout = 4294970; xlog(\"$T_fr_timeout $T_fr_inv_timeout\"); t_relay(, \"tcp:192.0.2.77:5099\"); xlog(\"$T_fr_timeout\"); }");
	request("INVITE", "i", "sip:b1@192.0.2.9:5071");
	assert_int_equal(stand.sent[0].target.transport, TR_TCP);
	assert_int_equal(stand.sent[0].target.to.port, 5099);
	assert_true(view_starts(stand_text(0), VIEW("INVITE sip:b1@192.0.2.9:5071 ")));
	assert_string_equal(said, "3 120|3|");
	stand_turn(2900);
	assert_int_equal(bench_count(0, "SIP/2.0 408", NULL), 0);
	stand_turn(200);
	assert_int_equal(bench_count(0, "SIP/2.0 408", NULL), 1);
}

static void test_cancel_branch_and_local(void **s)
{
	load(GLOBALS "route { append_msg_branch(\"sip:b2@192.0.2.9:5072\"); t_on_reply(\"r\"); t_on_failure(\"f\"); t_relay(); }\n"
		"onreply_route[r] { if ($rs == 183) t_cancel_branch(\"o\"); }\n"
		"failure_route[f] { if (t_local_replied(\"last\")) xlog(\"last\"); if (t_local_replied(\"all\")) xlog(\"all\"); xlog(\"$T_reply_code\"); }");
	request("INVITE", "i", "sip:b1@192.0.2.9:5071");
	bench_answer(0, 180);
	bench_answer(1, 183);
	int cancel;
	assert_int_equal(bench_count(0, "CANCEL", &cancel), 1);
	assert_int_equal(stand.sent[cancel].target.to.port, 5071);
	request("INVITE", "j", "sip:b1@192.0.2.9:5073");
	stand_turn(31000);
	assert_non_null(strstr(said, "last|all|408|"));
}

static void test_replicate_and_minor(void **s)
{
	load(GLOBALS "modparam(\"tm\", \"minor_branch_flag\", \"MINOR\")\n"
		"route { t_replicate(\"sip:192.0.2.88:5088\"); $du = \"sip:192.0.2.9:5070\"; $var(rc) = t_relay(); xlog(\"$var(rc)\"); }");
	request("OPTIONS", "o", "sip:bob@example.com");
	assert_string_equal(said, "1|");
	assert_int_equal(bench_count(0, "OPTIONS sip:bob@example.com", NULL), 2);
	assert_int_equal(stand.sent[0].target.to.port, 5088);
	assert_int_equal(stand.sent[1].target.to.port, 5070);
	bench_answer(0, 500);
	assert_int_equal(bench_count(0, "SIP/2.0", NULL), 0);
	bench_answer(1, 200);
	assert_int_equal(bench_count(0, "SIP/2.0 200", NULL), 1);
	stand_turn(12000);
	assert_int_equal(txns_live(txns()), 0);
}

static void test_replicate_to_a_slow_name(void **s)
{
	load(GLOBALS "route { t_replicate(\"sip:slow.example.com\"); $var(rc) = t_relay(); xlog(\"$var(rc)\"); }");
	stand.names[0].host = "slow.example.com";
	stand.names[0].later = true;
	stand.names[0].n = 1;
	stand.names[0].list[0] = (struct candidate){ TR_UDP, { .af = AF_V4, .port = 7001, .ip = { 192, 0, 2, 9 } } };
	request("OPTIONS", "o", "sip:bob@192.0.2.9:5070");
	assert_string_equal(said, "1|");
	stand_resolve(0);
	assert_int_equal(stand.nsent, 2);
	bench_answer(0, 200);
	request("OPTIONS", "p", "sip:bob@192.0.2.9:5070");
	bench_answer(2 + 1, 200);
	stand_turn(50000);
	assert_int_equal(txns_live(txns()), 0);
}

static void test_send_reply_uses_the_transaction(void **s)
{
	load(GLOBALS "route { if ($rm == \"OPTIONS\") t_newtran(); send_reply(404, \"No\"); }");
	request("OPTIONS", "o", "sip:x@y");
	assert_int_equal(txns_live(txns()), 1);
	request("INFO", "p", "sip:x@y");
	assert_int_equal(txns_live(txns()), 1);
	assert_int_equal(bench_count(0, "SIP/2.0 404 No", NULL), 2);
}

/* "drop" in an onreply route stops provisional replies, never the end of a transaction (opensips-language.md 8). */
static void test_finals_cannot_be_dropped(void **s)
{
	static const int status[] = { 200, 404, 603 };

	load(GLOBALS "route { t_on_reply(\"r\"); t_relay(); }\n onreply_route[r] { xlog(\"$rs\"); drop; }\n");
	for (size_t i = 0; i < COUNT_OF(status); i++) {
		char id[8], line[16];
		int  at = stand.nsent, n = 0;
		snprintf(id, sizeof id, "d%zu", i);
		request("INVITE", id, "sip:bob@192.0.2.9:5070");
		bench_answer(at, 180);
		n = bench_count(at, "SIP/2.0 ", NULL);
		bench_answer(at, status[i]);
		snprintf(line, sizeof line, "SIP/2.0 %d ", status[i]);
		assert_int_equal(n, 0);
		assert_int_equal(bench_count(at, line, NULL), 1);
	}
	assert_string_equal(said, "180|200|180|404|180|603|");
}

/* A failure route that sends the call on and does not arm itself again has run. */
static void test_a_failure_route_runs_once(void **s)
{
	int second, at;

	load(GLOBALS "route { t_on_failure(\"f\"); t_relay(); }\n failure_route[f] { xlog(\"$T_reply_code\"); $ru = \"sip:second@192.0.2.9:5072\"; t_relay(); }\n");
	request("INVITE", "i", "sip:first@192.0.2.9:5071");
	bench_answer(0, 404);
	assert_int_equal(bench_count(0, "INVITE sip:second@", &second), 1);
	at = stand.nsent;
	bench_answer(second, 486);
	assert_string_equal(said, "404|");
	assert_int_equal(bench_count(at, "SIP/2.0 ", NULL), 1);
	assert_int_equal(bench_count(at, "INVITE ", NULL), 0);
}

/* The callee repeats its 2xx until the caller's ACK arrives, longer than we remember the call: it still gets through (RFC 6026 8.4). */
static void test_a_2xx_outlives_its_transaction(void **s)
{
	load(GLOBALS "route { t_relay(); }\n");
	request("INVITE", "i", "sip:bob@192.0.2.9:5070");
	bench_answer(0, 200);
	assert_int_equal(bench_count(0, "SIP/2.0 200", NULL), 1);
	stand_turn(20000);
	assert_int_equal(txns_live(txns()), 0);
	bench_answer(0, 200);
	assert_int_equal(bench_count(0, "SIP/2.0 200", NULL), 2);
	/* nothing else does */
	bench_answer(0, 486);
	bench_answer(0, 180);
	assert_int_equal(bench_count(0, "SIP/2.0 ", NULL), 2);
}

/* What launch() started may still ask about the request when the transaction is long done with it. */
static void test_launched_beside_a_reply(void **s)
{
	load(GLOBALS "route { t_on_reply(\"r\"); t_relay(); }\nonreply_route[r] { launch(send(\"sip:slow.example.com\"), REPORT); }\n"
		"route[REPORT] { xlog(\"$(<request>ru) $T_reply_code\"); }");
	stand.names[0].host = "slow.example.com";
	stand.names[0].later = true;
	stand.names[0].n = 1;
	stand.names[0].list[0] = (struct candidate){ TR_UDP, { .af = AF_V4, .port = 7001, .ip = { 192, 0, 2, 9 } } };
	request("INVITE", "i", "sip:bob@192.0.2.9:5070");
	bench_answer(0, 200);
	assert_int_equal(bench_count(0, "SIP/2.0 200", NULL), 1);
	stand_turn(2000);
	stand_resolve(0);
	assert_string_equal(said, "sip:bob@192.0.2.9:5070 200|");
	stand_turn(20000);
	assert_int_equal(txns_live(txns()), 0);
}

static void test_new_transaction_forgotten(void **s)
{
	load(GLOBALS "route { t_newtran(); }");
	request("OPTIONS", "o", "sip:x@y");
	assert_int_equal(txns_live(txns()), 1);
	stand_turn(6000);
	assert_int_equal(txns_live(txns()), 0);
	assert_int_equal(stand.nsent, 0);
}

static int setup(void **s) { stand_up(); return 0; }
static int teardown(void **s)
{
	script_worker_done(&stand.w);
	script_free(script);
	stand_down();
	return 0;
}
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { T(test_a_call), T(test_retransmission_ends_the_script), T(test_check_trans), T(test_cancel), T(test_failure_route),
		T(test_branch_routes), T(test_all_branches_dropped), T(test_codes_of_failure), T(test_onreply_routes), T(test_onreply_avps), T(test_onreply_avps_without_memory), T(test_dns_under_t_relay),
		T(test_edits_and_headers), T(test_proxy_argument_and_timeouts), T(test_cancel_branch_and_local), T(test_send_reply_uses_the_transaction), T(test_replicate_and_minor), T(test_replicate_to_a_slow_name),
		T(test_finals_cannot_be_dropped), T(test_a_failure_route_runs_once), T(test_a_2xx_outlives_its_transaction), T(test_launched_beside_a_reply), T(test_new_transaction_forgotten) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
