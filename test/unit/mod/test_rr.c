/* rr and maxfwd as scripts call them: what the route set becomes, and whose connection a flow token opens. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include "stand.h"
#include "mod/mod.h"
#include <stdio.h>
#include <stdlib.h>

#define GLOBALS "socket=udp:192.0.2.1:5060\nsocket=tcp:192.0.2.1:5060\nloadmodule \"sl.so\"\nloadmodule \"rr.so\"\nloadmodule \"maxfwd.so\"\nloadmodule \"sipmsgops.so\"\n"
#define UDP     "udp:192.0.2.1:5060"
#define TCP     "tcp:192.0.2.1:5060"
#define PEER    "198.51.100.7:4000"
#define LOOSE   "route { $var(rc) = loose_route(); if ($var(rc) > 0) { forward(); exit; } sl_send_reply(404, \"no\"); }\n"

static struct script *start(const char *text)
{
	const struct module *list[] = { &mod_sl, &mod_rr, &mod_maxfwd, &mod_sipmsgops };
	static const char *const absent[] = { NULL };
	struct script_env env = { .modules = list, .nmodules = COUNT_OF(list), .known_absent = absent, .workers = 1 };
	struct diags      d = { .arena = arena_new(1 << 20) };
	char              why[4096];
	struct out        o = out_to(why, sizeof why - 1);

	stand_up();
	struct script *s = script_load(VIEW("test.cfg"), view_str(text), &env, &d);
	for (const struct diag *x = d.first; x; x = x->next)
		diag_print(x, &o);
	why[o.n] = '\0';
	if (!s)
		fail_msg("%s", why);
	arena_free(d.arena);
	stand.conf = *script_conf(s);
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

/* A request whose header lines beside the usual ones are `more`. */
static void arrive(const char *method, const char *ruri, const char *from_tag, const char *to_tag, const char *more, const char *socket, const char *from)
{
	char text[8192];
	int  n = snprintf(text, sizeof text, "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:4000;branch=z9hG4bKr\r\nFrom: <sip:alice@example.com>;tag=%s\r\n"
		"To: <sip:bob@example.com>%s\r\nCall-ID: c1@example.com\r\nCSeq: 1 %s\r\n%sContent-Length: 0\r\n\r\n", method, ruri, from_tag, to_tag, method, more);

	assert_in_range(n, 1, sizeof text - 1);
	stand_receive(text, socket, from);
}

static void lacks(int i, const char *what)
{
	if (view_has(stand_text(i), what))
		fail_msg("has '%s':\n" VIEW_FMT, what, VIEW_ARG(stand_text(i)));
}

static void has(int i, const char *what)
{
	if (!view_has(stand_text(i), what))
		fail_msg("lacks '%s':\n" VIEW_FMT, what, VIEW_ARG(stand_text(i)));
}

/* ---- Max-Forwards --------------------------------------------------------------------------------------------------------- */

static void max_forwards_counts_down(void **state)
{
	static const struct { const char *header, *sent; } rows[] = {
		{ "Max-Forwards: 70\r\n", "Max-Forwards: 69\r\n" }, { "Max-Forwards: 1\r\n", "Max-Forwards: 0\r\n" }, { "", "Max-Forwards: 10\r\n" },
		{ "Max-Forwards: 0\r\n", "SIP/2.0 483" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct script *s = start(GLOBALS "route { if (!mf_process_maxfwd_header(10)) { sl_send_reply(483, \"Too Many Hops\"); exit; } forward(); }\n");
		arrive("OPTIONS", "sip:bob@198.51.100.9:5070", "a", "", rows[i].header, UDP, PEER);
		assert_int_equal(stand.nsent, 1);
		has(0, rows[i].sent);
		stop(s);
	}
}

/* ---- Route ------------------------------------------------------------------------------------------------------------------ */

static void our_routes_go_others_stay(void **state)
{
	static const struct { const char *routes, *left; uint16_t port; enum transport t; } rows[] = {
		{ "Route: <sip:192.0.2.1;lr>\r\n", NULL, 5090, TR_UDP },
		{ "Route: <sip:192.0.2.1;lr>, <sip:198.51.100.9:5071;lr>\r\n", "<sip:198.51.100.9:5071;lr>\r\n", 5071, TR_UDP },
		{ "Route: <sip:192.0.2.1;lr>\r\nRoute: <sip:198.51.100.9:5071;lr>\r\n", "<sip:198.51.100.9:5071;lr>\r\n", 5071, TR_UDP },
		/* both halves of a doubled one, and only those */
		{ "Route: <sip:192.0.2.1;r2=on;lr>, <sip:192.0.2.1;transport=tcp;r2=on;lr>\r\n", NULL, 5090, TR_UDP },
		{ "Route: <sip:192.0.2.1;r2=on;lr>\r\nRoute: <sip:192.0.2.1;transport=tcp;r2=on;lr>, <sip:198.51.100.9:5072;lr>\r\n",
			"<sip:198.51.100.9:5072;lr>\r\n", 5072, TR_UDP },
		/* two that are no pair are two visits here (16.4) */
		{ "Route: <sip:192.0.2.1;lr>, <sip:192.0.2.1:5060;lr;second>\r\n", "<sip:192.0.2.1:5060;lr;second>\r\n", 5060, TR_UDP },
		/* somebody else's stays, and is where it goes */
		{ "Route: <sip:198.51.100.9:5073;lr>\r\n", "<sip:198.51.100.9:5073;lr>\r\n", 5073, TR_UDP },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct script *s = start(GLOBALS LOOSE);
		arrive("BYE", "sip:bob@198.51.100.9:5090", "a", ";tag=b", rows[i].routes, UDP, PEER);
		assert_int_equal(stand.nsent, 1);
		has(0, "BYE sip:bob@198.51.100.9:5090 SIP/2.0\r\n");
		lacks(0, "<sip:192.0.2.1;");            /* the first is always without a port */
		if (rows[i].left)
			has(0, rows[i].left);
		else
			lacks(0, "Route:");
		assert_int_equal(stand.sent[0].target.to.port, rows[i].port);
		assert_int_equal(stand.sent[0].target.transport, rows[i].t);
		stop(s);
	}
}

/* Strict routers before and behind (16.4, 16.6 step 6). */
static void strict_routers_get_their_way(void **state)
{
	static const struct { const char *ruri, *routes, *start, *left; } rows[] = {
		{ "sip:bob@198.51.100.9:5090", "Route: <sip:192.0.2.1;lr>, <sip:198.51.100.9:5074>\r\n", "BYE sip:198.51.100.9:5074 SIP/2.0\r\n",
			"\r\nRoute: <sip:bob@198.51.100.9:5090>\r\n" },
		{ "sip:192.0.2.1;lr", "Route: <sip:bob@198.51.100.9:5090>\r\n", "BYE sip:bob@198.51.100.9:5090 SIP/2.0\r\n", NULL },
		{ "sip:192.0.2.1;lr", "Route: <sip:198.51.100.9:5074>, <sip:bob@198.51.100.9:5090>\r\n", "BYE sip:198.51.100.9:5074 SIP/2.0\r\n",
			"\r\nRoute: <sip:bob@198.51.100.9:5090>\r\n" },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct script *s = start(GLOBALS LOOSE);
		arrive("BYE", rows[i].ruri, "a", ";tag=b", rows[i].routes, UDP, PEER);
		assert_int_equal(stand.nsent, 1);
		has(0, rows[i].start);
		if (rows[i].left)
			has(0, rows[i].left);
		else
			lacks(0, "Route:");
		lacks(0, "Route: \r\n");
		stop(s);
	}
}

/* ---- Record-Route ------------------------------------------------------------------------------------------------------------- */

static void a_change_of_transport_records_twice(void **state)
{
	struct script *s = start(GLOBALS "route { record_route(); forward(); }\n");

	arrive("INVITE", "sip:bob@198.51.100.9:5070", "a", "", "", TCP, PEER);
	/* the side that leaves stands first: the callee reads from the top (16.6 step 4) */
	has(0, "\r\nRecord-Route: <sip:192.0.2.1;r2=on;lr;ftag=a>\r\nRecord-Route: <sip:192.0.2.1;transport=tcp;r2=on;lr;ftag=a;vf=");
	arrive("INVITE", "sip:bob@198.51.100.9:5070;transport=tcp", "a", "", "", TCP, PEER);
	has(1, "\r\nRecord-Route: <sip:192.0.2.1;transport=tcp;lr;ftag=a;vf=");
	lacks(1, "r2=on");
	stop(s);
}

static void parameters_cannot_break_the_line(void **state)
{
	static const char *const bad[] = { ";x=\\r\\nEvil: 1", ";x=\\n", ";x=>", ";x=<" };
	char text[1024];

	for (size_t i = 0; i < 2 * COUNT_OF(bad); i++) {
		snprintf(text, sizeof text, GLOBALS "route { $var(x) = \"%s\"; $var(rc) = %s(\"$var(x)\"); if ($var(rc) < 0) { sl_send_reply(500, \"refused\"); exit; }"
			" record_route(); forward(); }\n", bad[i / 2], i % 2 ? "record_route" : "add_rr_param");
		struct script *s = start(text);
		arrive("INVITE", "sip:bob@198.51.100.9:5070", "a", "", "", UDP, PEER);
		assert_int_equal(stand.nsent, 1);
		has(0, "SIP/2.0 500 refused\r\n");
		stop(s);
	}
}

/* ---- the way back to a client's connection --------------------------------------------------------------------------------------- */

/* The Route set that a callee makes of the INVITE's Record-Route. */
static void callees_routes(char *to, size_t cap)
{
	struct view text = stand_text(0), first = view_from(text, view_find_view(text, VIEW("Record-Route: ")) + 14);
	struct view second = view_from(first, view_find_view(first, VIEW("Record-Route: ")) + 14);

	first = view_sub(first, 0, view_find(first, '\r'));
	second = view_sub(second, 0, view_find(second, '\r'));
	snprintf(to, cap, "Route: " VIEW_FMT "\r\nRoute: " VIEW_FMT "\r\n", VIEW_ARG(first), VIEW_ARG(second));
}

static bool goes_back_by_flow(const char *from_tag, const char *to_tag, const char *routes)
{
	int before = stand.nsent;

	arrive("BYE", "sip:alice@203.0.113.99:7000;transport=tcp", from_tag, to_tag, routes, UDP, "198.51.100.9:5070");
	if (stand.nsent == before)
		return false;
	const struct target *t = &stand.sent[before].target;
	return ref_set(t->flow) && t->flow.slot == 7 && t->flow.gen == 3;
}

static void a_flow_token_leads_back(void **state)
{
	struct script *s = start(GLOBALS "route { if (has_totag()) { loose_route(); forward(); exit; } if ($rm == \"INVITE\") { record_route(); forward(); exit; }"
		" loose_route(); forward(); }\n");
	char routes[1024];

	arrive("INVITE", "sip:bob@198.51.100.9:5070", "a", "", "", TCP, PEER);
	callees_routes(routes, sizeof routes);
	assert_true(goes_back_by_flow("b", ";tag=a", routes));
	assert_true(stand.sent[1].target.downstream && stand.sent[1].target.flow_only);
	/* the caller's own requests go on to the callee, not back to where they came from */
	assert_false(goes_back_by_flow("a", ";tag=b", routes));
	/* outside of a dialog a token opens nothing */
	assert_false(goes_back_by_flow("b", "", routes));
	/* nobody can change one digit of it */
	char *token = strstr(routes, ";vf=") + 4;
	for (size_t i = 0; token[i] != '>'; i++) {
		char was = token[i];
		token[i] = was == '0' ? '1' : '0';
		if (goes_back_by_flow("b", ";tag=a", routes))
			fail_msg("digit %zu is not signed", i);
		token[i] = was;
	}
	assert_true(goes_back_by_flow("b", ";tag=a", routes));
	stop(s);
}

/* What may not come as a request URI does not become one by way of a strict router's Route. */
static void an_endless_route_is_no_request_uri(void **state)
{
	static const char *const ruris[] = { "sip:bob@198.51.100.9:5090", "sip:192.0.2.1;lr" };
	char more[2 * URI_MAX_BYTES], x[URI_MAX_BYTES + 1];

	memset(x, 'x', sizeof x - 1);
	x[sizeof x - 1] = 0;
	for (size_t i = 0; i < COUNT_OF(ruris); i++) {
		struct script *s = start(GLOBALS LOOSE);
		snprintf(more, sizeof more, "Route: <sip:198.51.100.9:5071;x=%s>\r\n", x);
		arrive("BYE", ruris[i], "a", ";tag=b", more, UDP, PEER);
		assert_int_equal(stand.nsent, 1);
		has(0, "SIP/2.0 404");
		stop(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(max_forwards_counts_down), cmocka_unit_test(our_routes_go_others_stay), cmocka_unit_test(strict_routers_get_their_way), cmocka_unit_test(a_change_of_transport_records_twice),
		cmocka_unit_test(parameters_cannot_break_the_line), cmocka_unit_test(a_flow_token_leads_back), cmocka_unit_test(an_endless_route_is_no_request_uri),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
