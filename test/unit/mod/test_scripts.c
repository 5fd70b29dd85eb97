/* sipmsgops and textops as scripts call them: a request comes in, the route runs, a message leaves. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include "stand.h"
#include "mod/mod.h"
#include <stdio.h>
#include <stdlib.h>

#define GLOBALS "socket=udp:192.0.2.1:5060\nloadmodule \"sl.so\"\nloadmodule \"sipmsgops.so\"\nloadmodule \"textops.so\"\n"
#define SEND " forward(\"sip:198.51.100.9:5060\"); exit; }\n"

static struct script *load(const char *text, char *why, size_t cap)
{
	const struct module *list[] = { &mod_sl, &mod_sipmsgops, &mod_textops };
	static const char *const absent[] = { NULL };
	struct script_env env = { .modules = list, .nmodules = COUNT_OF(list), .known_absent = absent, .workers = 1 };
	struct diags      d = { .arena = arena_new(1 << 20) };
	struct out        o = out_to(why, cap - 1);
	struct script    *s = script_load(VIEW("test.cfg"), view_str(text), &env, &d);

	for (const struct diag *x = d.first; x; x = x->next)
		diag_print(x, &o);
	why[o.n] = '\0';
	arena_free(d.arena);
	return s;
}

static struct script *start(const char *text)
{
	char           why[4096];
	struct out     o = out_to(why, sizeof why);

	stand_up();
	struct script *s = load(text, why, sizeof why);
	if (!s)
		fail_msg("%s", why);
	stand.w.conf = script_conf(s);
	stand.w.hooks = &script_hooks;
	assert_true(script_worker_init(&stand.w, s, &o));
	return s;
}

static void stop(struct script *s)
{
	script_worker_done(&stand.w);
	script_free(s);
	stand_down();
	regex_thread_done();
}

#define SDP "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
static const char invite[] = "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKx\r\nMax-Forwards: 70\r\n"
	"From: <sip:alice@example.org>;tag=a\r\nTo: <sip:bob@example.com>\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\nSupported: path, timer\r\nX-A: 1\r\n"
	"Content-Type: application/sdp\r\n\r\n" SDP;

static const struct { const char *body, *has[4], *lacks[2]; } rows[] = {
	{ "append_hf(\"X-User: $rU\\r\\n\"); append_hf(\"X-B: 2\\r\\n\", \"X-A\");", { "X-User: bob\r\n", "X-A: 1\r\nX-B: 2\r\n" } },
	{ "insert_hf(\"X-First: $ci\\r\\n\"); remove_hf(\"X-A\"); append_urihf(\"X-Uri: \", \"\\r\\n\");", { "X-First: c1\r\nVia:", "X-Uri: sip:bob@example.com\r\n" }, { "X-A" } },
	{ "$var(x) = \"a\\r\\n\\r\\nb\"; if (!append_hf(\"X-User: $var(x)\\r\\n\")) append_hf(\"X-Refused: yes\\r\\n\");", { "X-Refused: yes\r\n" }, { "X-User" } },
	{ "remove_hf_re(\"^x-\"); remove_hf_glob(\"Supp*\");", { "INVITE " }, { "X-A", "Supported" } },
	{ "if (is_method(\"INVITE|ACK\") && !has_totag() && has_body(\"application/sdp\") && is_present_hf(\"k\")) append_hf(\"X-All: yes\\r\\n\");", { "X-All: yes" } },
	{ "if (is_method(\"REGISTER\") || is_privacy(\"id\") || is_audio_on_hold()) append_hf(\"X-None: yes\\r\\n\");", { "INVITE " }, { "X-None" } },
	{ "codec_move_up(\"PCMA\"); codec_delete(\"PCMU\", \"8000\"); if (codec_exists_re(\"^PCMU\")) exit;", { "RTP/AVP 8 101\r\n" } },
	{ "codec_delete_except_re(\"PCMU|telephone-event\"); $var(n) = \"PCMU\"; codec_move_down(\"$var(n)\");", { "RTP/AVP 101 0\r\n" } },
	{ "if (stream_exists(\"audio\") && !stream_exists(\"video\", \"RTP\")) stream_delete(\"audio\");", { "t=0 0\r\n" }, { "m=audio" } },
	{ "add_body_part(\"hello $rU\", \"text/plain\"); get_updated_body_part(\"text/plain\", $var(t)); append_hf(\"X-T: $var(t)\\r\\n\");", { "X-T: hello bob\r\n", "Content-Type: multipart/mixed" } },
	{ "remove_body_part(); append_hf(\"X-None: 1\\r\\n\");", { "Content-Length: 0\r\n" }, { "Content-Type", "v=0" } },
	{ "remove_body_part(\"application/sdp\", \"revert\"); remove_body_part(\"text/plain\");", { "v=0" } },
	{ "list_hdr_remove_option(\"Supported\", \"timer\"); list_hdr_add_option(\"Supported\", \"gruu\"); list_hdr_add_option(\"Require\", \"path\");", { "Supported: path, gruu\r\n", "Require: path\r\n" } },
	{ "ruri_add_param(\"user=phone\"); if (ruri_has_param(\"user\", \"phone\")) append_hf(\"X-Ru: $ru\\r\\n\");", { "X-Ru: sip:bob@example.com;user=phone\r\n" } },
	{ "sipmsg_validate(\"s\", $var(why)); if ($rc == -14) append_hf(\"X-Why: $var(why)\\r\\n\");", { "X-Why: no Contact\r\n" } },
	{ "get_glob_headers_values(\"X-*\", $avp(n), $avp(v)); append_hf(\"X-Copy: $avp(n)=$avp(v)\\r\\n\");", { "X-Copy: X-A=1\r\n" } },
	{ "sip_to_json($var(j)); if ($var(j) =~ \"\\\"X-A\\\":\\\\[\\\"1\\\"\") append_hf(\"X-J: 1\\r\\n\");", { "X-J: 1\r\n" } },
	{ "if (search(\"^X-A: 1$\") && search_body(\"^m=audio\") && !search_body(\"X-A\")) append_hf(\"X-S: 1\\r\\n\");", { "X-S: 1\r\n" } },
	{ "replace(\"^X-A: .*\", \"X-A: $rU\"); replace_body_all(\"198.51.100.7\", \"192.0.2.1\"); search_append(\"^Supported: path\", \", x\");",
		{ "X-A: bob\r\n", "o=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\n", "Supported: path, x, timer\r\n" } },
	{ "replace_body(\"IN\", \"in\"); replace_body_atonce(\"v=0.*s=-\", \"v=0\"); search_append_body(\"^t=0\", \" 1\"); codec_delete(\"PCMU\");", { "\r\n\r\nv=0\r\nc=IN IP4 198.51.100.7\r\nt=0 1 0\r\nm=audio 4000 RTP/AVP 8 101\r\n" } },
	{ "subst('/^X-A: (.*)$/X-A: \\1\\1/'); subst_body(\"/^m=audio [0-9]+/m=audio 9/\"); subst_uri('/bob/carol/'); subst_user('/^(.*)$/x\\1/');",
		{ "X-A: 11\r\n", "m=audio 9 RTP/AVP 0 8 101\r\n" } },
};

static void scripts_run(void **state)
{
	char text[4096];

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		snprintf(text, sizeof text, GLOBALS "route { %s" SEND, rows[i].body);
		struct script *s = start(text);
		stand_receive(invite, "udp:192.0.2.1:5060", "198.51.100.7:5060");
		if (stand.nsent != 1)
			fail_msg("%s: sent %d messages", rows[i].body, stand.nsent);
		struct view out = stand_text(0);
		for (size_t k = 0; k < 4 && rows[i].has[k]; k++)
			if (!view_has(out, rows[i].has[k]))
				fail_msg("%s: lacks '%s':\n" VIEW_FMT, rows[i].body, rows[i].has[k], VIEW_ARG(out));
		for (size_t k = 0; k < 2 && rows[i].lacks[k]; k++)
			if (view_has(out, rows[i].lacks[k]))
				fail_msg("%s: has '%s':\n" VIEW_FMT, rows[i].body, rows[i].lacks[k], VIEW_ARG(out));
		stop(s);
	}
}

static void own_replies(void **state)
{
	struct script *s = start(GLOBALS "route { append_to_reply(\"Content-Type: text/plain\\r\\nX-R: $rU\\r\\n\"); append_body_to_reply(\"sorry $fU\");"
		" append_time(); sl_send_reply(404, \"Nowhere\"); exit; }\n");

	stand_receive(invite, "udp:192.0.2.1:5060", "198.51.100.7:5060");
	assert_int_equal(stand.nsent, 1);
	assert_true(view_has(stand_text(0), "SIP/2.0 404 Nowhere\r\n"));
	assert_true(view_has(stand_text(0), "Content-Type: text/plain\r\nX-R: bob\r\nDate: Thu, 01 Jan 1970 00:16:40 GMT\r\n"));
	assert_true(view_has(stand_text(0), "Content-Length: 11\r\n\r\nsorry alice"));
	stop(s);
}

static void relayed_replies(void **state)
{
	struct script *s = start(GLOBALS "route {" SEND "onreply_route { if (is_method(\"INVITE\") && change_reply_status(603, \"Never\")) append_hf(\"X-R: $rs\\r\\n\"); }\n");
	char           text[2048];

	stand_receive(invite, "udp:192.0.2.1:5060", "198.51.100.7:5060");
	assert_int_equal(stand.nsent, 1);
	struct view branch = stand_branch(0);
	snprintf(text, sizeof text, "SIP/2.0 486 Busy\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=" VIEW_FMT "\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKx\r\n"
		"From: <sip:alice@example.org>;tag=a\r\nTo: <sip:bob@example.com>;tag=b\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\n\r\n", VIEW_ARG(branch));
	stand_receive(text, "udp:192.0.2.1:5060", "198.51.100.9:5060");
	assert_int_equal(stand.nsent, 2);
	assert_true(view_has(stand_text(1), "SIP/2.0 603 Never\r\nVia: SIP/2.0/UDP 198.51.100.7"));
	assert_true(view_has(stand_text(1), "X-R: 486\r\n"));
	stop(s);
}

static const struct { const char *body, *why; } refused[] = {
	{ "is_method(\"INVITE|FOO\");", "is not a method that may stand in a list" }, { "is_privacy(\"all\");", "a privacy type is" },
	{ "change_reply_status(404, \"x\");", "change_reply_status" }, { "search(\"(\");", "bad regular expression" },
	{ "subst(\"/a/b\");", "a substitution is written" }, { "subst('/a/$fU/');", "no variables" }, { "append_hf();", "append_hf() needs 1 argument" },
	{ "codec_delete_re(\"[\");", "bad regular expression" }, { "append_to_replies(\"x\");", "append_to_reply" },
};

static void mistakes_are_found_at_load(void **state)
{
	char text[1024], why[4096];

	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		stand_up();
		snprintf(text, sizeof text, GLOBALS "route { %s }\n", refused[i].body);
		if (load(text, why, sizeof why) || !strstr(why, refused[i].why))
			fail_msg("%s: '%s'", refused[i].body, why);
		stand_down();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scripts_run), cmocka_unit_test(own_replies), cmocka_unit_test(relayed_replies), cmocka_unit_test(mistakes_are_found_at_load),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
