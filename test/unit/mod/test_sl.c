/* Stateless replies: their tags, and the ACKs that end with them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include "stand.h"
#include "mod/mod.h"
#include <stdio.h>
#include <stdlib.h>

#define GLOBALS "socket=udp:192.0.2.1:5060\nloadmodule \"sl.so\"\n"
#define UDP     "udp:192.0.2.1:5060"
#define PEER    "198.51.100.7:4000"

static char   said[1024];
static size_t nsaid;

static void hear(void *arg, int level, struct view text)
{
	nsaid += (size_t)snprintf(said + nsaid, sizeof said - nsaid, VIEW_FMT "|", VIEW_ARG(text));
}

static struct script *start(const char *text)
{
	const struct module *list[] = { &mod_sl };
	static const char *const absent[] = { NULL };
	struct script_env env = { .modules = list, .nmodules = COUNT_OF(list), .known_absent = absent, .workers = 1 };
	struct diags      d = { .arena = arena_new(1 << 20) };
	char              why[1024];
	struct out        o = out_to(why, sizeof why);

	stand_up();
	struct script *s = script_load(VIEW("test.cfg"), view_str(text), &env, &d);
	assert_non_null(s);
	arena_free(d.arena);
	stand.conf = *script_conf(s);
	stand.w.conf = script_conf(s);
	stand.w.hooks = &script_hooks;
	assert_true(script_worker_init(&stand.w, s, &o));
	script_log_to(&stand.w, hear, NULL);
	nsaid = 0;
	said[0] = 0;
	return s;
}

static void stop(struct script *s)
{
	script_worker_done(&stand.w);
	script_free(s);
	stand_down();
}

static void arrive(const char *method, const char *branch, struct view to_tag)
{
	char text[2048];

	snprintf(text, sizeof text, "%s sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:4000;branch=z9hG4bK%s\r\nFrom: <sip:alice@example.com>;tag=a\r\n"
		"To: <sip:bob@example.com>%s" VIEW_FMT "\r\nCall-ID: c1@example.com\r\nCSeq: 1 %s\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
		method, branch, to_tag.n ? ";tag=" : "", VIEW_ARG(to_tag), method);
	stand_receive(text, UDP, PEER);
}

/* The To tag of the i-th reply; empty: none. */
static struct view tag_of(int i)
{
	struct view text = stand_text(i), to = view_from(text, view_find_view(text, VIEW("\r\nTo: ")));
	size_t at = view_find_view(to, VIEW(";tag="));

	to = view_sub(to, 0, 2 + view_find(view_from(to, 2), '\r'));
	return at < to.n ? view_from(to, at + 5) : VIEW_NONE;
}

static void test_tags(void **state)
{
	static const struct { int status; bool tag; } rows[] = { { 100, false }, { 180, true }, { 200, true }, { 302, true }, { 404, true }, { 603, true } };
	char text[512];

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		snprintf(text, sizeof text, GLOBALS "route { sl_send_reply(%d, \"So\"); }\n", rows[i].status);
		struct script *s = start(text);
		arrive("INVITE", "i", VIEW_NONE);
		arrive("INVITE", "i", VIEW_NONE);
		assert_int_equal(stand.nsent, 2);
		if ((tag_of(0).n > 0) != rows[i].tag)
			fail_msg("%d:\n" VIEW_FMT, rows[i].status, VIEW_ARG(stand_text(0)));
		assert_true(view_is(tag_of(0), tag_of(1)));            /* a retransmission gets the same dialog */
		stop(s);
	}
}

/* The ACK of such a reply ends here; any other is the script's. */
static void test_only_its_ack_is_absorbed(void **state)
{
	struct script *s = start(GLOBALS "route { xlog(\"$rm\"); if ($rm == \"INVITE\") sl_send_reply(404, \"No\"); }\n");
	char tag[64];

	arrive("ACK", "i", VIEW("early"));
	arrive("INVITE", "i", VIEW_NONE);
	assert_int_equal(stand.nsent, 1);
	struct view mine = tag_of(0);
	assert_true(mine.n > 0 && mine.n < sizeof tag);
	memcpy(tag, mine.p, mine.n);
	mine = view_of(tag, mine.n);
	arrive("ACK", "i", mine);
	assert_string_equal(said, "ACK|INVITE|");
	arrive("ACK", "i", VIEW("another"));
	arrive("ACK", "elsewhere", mine);
	assert_string_equal(said, "ACK|INVITE|ACK|ACK|");
	/* not for ever */
	stand_turn(60000);
	arrive("ACK", "i", mine);
	assert_string_equal(said, "ACK|INVITE|ACK|ACK|ACK|");
	assert_int_equal(stand.nsent, 1);
	stop(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_tags), cmocka_unit_test(test_only_its_ack_is_absorbed) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
