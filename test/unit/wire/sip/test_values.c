/* Header values: URIs, name-addr, Via, parameters, lists, CSeq, folds. */
#include "wire/sip/sip.h"
#include "wall.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define V(text) VIEW_INIT(text)

static bool is(struct view v, const char *text) { return view_is(v, view_str(text)); }

/* ---- URIs ---- */

static const struct { struct view in; const char *user, *password, *host; unsigned port; const char *params, *headers; } uris[] = {
	{ V("sip:example.com"), "", "", "example.com", 0, "", "" },
	{ V("sip:alice@example.com"), "alice", "", "example.com", 0, "", "" },
	{ V("SIPS:alice:secret@example.com:5061;lr"), "alice", "secret", "example.com", 5061, "lr", "" },
	{ V("sip:alice:@example.com"), "alice", "", "example.com", 0, "", "" },
	{ V("sip:a;b=c?d/e&f@h"), "a;b=c?d/e&f", "", "h", 0, "", "" },
	{ V("sip:+1555;phone-context=+1@h;user=phone"), "+1555;phone-context=+1", "", "h", 0, "user=phone", "" },
	{ V("sip:h?Subject=x&Priority=y"), "", "", "h", 0, "", "Subject=x&Priority=y" },
	{ V("sip:h;a=b;c?d=e"), "", "", "h", 0, "a=b;c", "d=e" },
	{ V("sip:[2001:db8::1]"), "", "", "[2001:db8::1]", 0, "", "" },
	{ V("sip:u@[::ffff:192.0.2.1]:65535"), "u", "", "[::ffff:192.0.2.1]", 65535, "", "" },
	{ V("sip:192.0.2.1:5060"), "", "", "192.0.2.1", 5060, "", "" },
	{ V("sip:*21%23@h_1.example."), "*21%23", "", "h_1.example.", 0, "", "" },
	{ V("sip:#31#123@h"), "#31#123", "", "h", 0, "", "" },
	{ V("sip:3f2a9c"), "", "", "3f2a9c", 0, "", "" },
	{ V("sip:h;;%61bcdefghijklmnopqrstuvwxyz=1;;b?&x=y"), "", "", "h", 0, ";%61bcdefghijklmnopqrstuvwxyz=1;;b", "&x=y" },
	{ V("sip:h;"), "", "", "h", 0, "", "" },
	{ V("tel:+1-201-555-0123;phone-context=example.com"), "+1-201-555-0123", "", "", 0, "phone-context=example.com", "" },
	{ V("urn:service:sos"), "service:sos", "", "", 0, "", "" },
	{ V("http://www.example.com/?q=1"), "//www.example.com/?q=1", "", "", 0, "", "" },
};

static void test_uri(void **state)
{
	for (size_t i = 0; i < COUNT_OF(uris); i++) {
		struct sip_uri u;
		if (!sip_uri_parse(against_wall(uris[i].in), &u))
			fail_msg("%s refused", uris[i].in.p);
		if (!is(u.user, uris[i].user) || !is(u.password, uris[i].password) || !is(u.host, uris[i].host) || u.port != uris[i].port ||
		    !is(u.params, uris[i].params) || !is(u.headers, uris[i].headers))
			fail_msg("%s read wrongly", uris[i].in.p);
		for (size_t n = 0; n < uris[i].in.n; n++) {
			sip_uri_parse(against_wall(view_sub(uris[i].in, 0, n)), &u);
			sip_uri_parse(behind_wall(view_sub(uris[i].in, 0, n)), &u);
		}
	}
}

static void test_uri_refused(void **state)
{
	static const char *const bad[] = { "", "sip", "sip:", ":a@b", "1sip:a@b", "s p:a", "sip:@h", "sip:a@", "sip::x@h", "sip:a:b:c@h",
		"sip:a@b@c", "sip:a b@c", "sip:<a@b>", "sip:a@b>", "sip:\"a\"@b", "sip:a@h:", "sip:a@h:x", "sip:a@h:65536", "sip:a@h:-1",
		"sip:2001:db8::10", "sip:[2001:db8::1", "sip:[]", "sip:[192.0.2.1]", "sip:[g::1]", "sip:[::1]x", "sip:256.1.1.1", "sip:1.2.3",
		"sip:a..b", "sip:.a", "sip:a%2@h", "sip:%zz@h", "sip:h;a=%", "sip:h?x=%4", "sip:h;=v", "sip:h;transport=tcp;transport=udp",
		"sip:h;maddr=a;%6Daddr=b", "sip:h/x", "sip:a\tb@c", "sip:\xc3\xa4@h", "sip:a\\b@h", "tel:", "tel:;x", "sip:[fe80::1%25eth0]" };
	struct sip_uri u;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		if (sip_uri_parse(against_wall(view_str(bad[i])), &u))
			fail_msg("%s accepted", bad[i]);
	assert_false(sip_uri_parse(VIEW("sip:a\0b@h"), &u));
	assert_false(sip_uri_parse(VIEW_NONE, &u));
}

static void test_uri_params(void **state)
{
	struct sip_uri u;
	assert_true(sip_uri_parse(VIEW("sip:h;Transport=TCP;maddr=1.2.3.4;ttl=3;user=phone;method=INVITE;r2=on;%6C%72;gr"), &u));
	assert_true(is(u.transport, "TCP") && is(u.maddr, "1.2.3.4") && is(u.ttl, "3") && is(u.user_param, "phone"));
	assert_true(is(u.method, "INVITE") && is(u.r2, "on") && u.lr && u.gr && u.scheme == SCHEME_SIP && !u.has_password);
	assert_true(sip_uri_parse(VIEW("sip:a:@h;lr=on"), &u) && u.lr && u.has_password);

	char text[1024];
	for (unsigned n = URI_MAX_PARAMS; n <= URI_MAX_PARAMS + 1; n++) {
		for (int kind = 0; kind < 2; kind++) {
			struct out o = out_to(text, sizeof text);
			put(&o, VIEW("sip:h"));
			for (unsigned i = 0; i < n; i++)
				put(&o, kind ? i ? VIEW("&p=q") : VIEW("?p=q") : VIEW(";p=q"));
			assert_int_equal(sip_uri_parse(out_view(&o), &u), n <= URI_MAX_PARAMS);
		}
	}
}

static void test_uri_same(void **state)
{
	static const struct { const char *a, *b; bool same; } rows[] = {
		{ "sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", true },
		{ "sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true },
		{ "sip:carol@chicago.com", "sip:carol@chicago.com;security=on", true },
		{ "sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on", true },
		{ "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
		  "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com", true },
		{ "sip:alice@atlanta.com?subject=project%20x&priority=urgent", "sip:alice@atlanta.com?priority=urgent&subject=project%20x", true },
		{ "SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false },
		{ "sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false },
		{ "sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false },
		{ "sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", false },
		{ "sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", false },
		{ "sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", false },
		{ "sip:a@h", "sips:a@h", false },
		{ "sip:h;;a=1?&x=y", "sip:h;a=1?x=y", true },
		{ "sip:h;x=1;x=2", "sip:h;x=1;x=2", true },
		{ "sip:h;x=1;x=2", "sip:h;x=2;x=1", false },
		{ "sip:a@h", "sip:h", false },
		{ "sip:a:x@h", "sip:a:X@h", false },
		{ "sip:a:@h", "sip:a@h", false },
		{ "sip:a@h;security=on", "sip:a@h;security=off", false },
		{ "sip:a@h;user=phone", "sip:a@h", false },
		{ "sip:a@h;maddr=x", "sip:a@h", false },
		{ "sip:%00@h", "sip:%00%00@h", false },
		{ "sip:value%25%34%31@h", "sip:value%2541@h", true },
		{ "sip:value%25%34%31@h", "sip:valueA@h", false },
		{ "sip:[2001:db8::1]", "sip:[2001:DB8:0:0::1]", true },
		{ "tel:+1201", "tel:+1201", true },
		{ "tel:+1201", "tel:+1202", false },
		{ "urn:service:sos", "URN:service:sos", true },
		{ "urn:service:sos", "urn:service:SOS", false },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct sip_uri a, b;
		assert_true(sip_uri_parse(view_str(rows[i].a), &a) && sip_uri_parse(view_str(rows[i].b), &b));
		if (sip_uri_same(&a, &b) != rows[i].same || sip_uri_same(&b, &a) != rows[i].same)
			fail_msg("%s and %s", rows[i].a, rows[i].b);
		assert_true(sip_uri_same(&a, &a) && sip_uri_same(&b, &b));
	}
}

static void test_host_ip(void **state)
{
	struct addr a, b;
	assert_true(sip_host_ip(VIEW("192.0.2.1"), &a) && a.af == AF_V4);
	assert_true(sip_host_ip(VIEW("[2001:db8:::1]"), &a) && sip_host_ip(VIEW("[2001:db8::1]"), &b) && addr_same_ip(&a, &b));
	static const char *const bad[] = { "", "example.com", "[192.0.2.1]", "[::1", "[:::::1]", "[1:::2:::3]", "[]", "[" };
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(sip_host_ip(against_wall(view_str(bad[i])), &a));
}

/* ---- name-addr ---- */

struct who { enum sip_status st; const char *display, *uri, *params; };
static const struct { struct view in; struct who want[3]; } lists[] = {
	{ V("<sip:a@b>"), { { SIP_OK, "", "sip:a@b", "" }, { SIP_MORE, 0, 0, 0 } } },
	{ V("\"A \\\" , <x>\" <sip:a@b;lr> ; tag = 1 ;x"), { { SIP_OK, "\"A \\\" , <x>\"", "sip:a@b;lr", "tag = 1 ;x" }, { SIP_MORE, 0, 0, 0 } } },
	{ V("A. Bell <sip:a@b>,sip:c@d;q=0.5"), { { SIP_OK, "A. Bell", "sip:a@b", "" }, { SIP_OK, "", "sip:c@d", "q=0.5" }, { SIP_MORE, 0, 0, 0 } } },
	{ V("caller<sip:a@b>"), { { SIP_OK, "caller", "sip:a@b", "" }, { SIP_MORE, 0, 0, 0 } } },
	{ V(" sip:a@b;x=\"1,2;3\" , <tel:1>\r\n ;y "), { { SIP_OK, "", "sip:a@b", "x=\"1,2;3\"" }, { SIP_OK, "", "tel:1", "y" }, { SIP_MORE, 0, 0, 0 } } },
	{ V("*"), { { SIP_OK, "", "*", "" }, { SIP_MORE, 0, 0, 0 } } },
	{ V("* <sip:a@b>"), { { SIP_OK, "*", "sip:a@b", "" }, { SIP_MORE, 0, 0, 0 } } },
	{ V("M\xc3\xbcller <sip:a@b>"), { { SIP_OK, "M\xc3\xbcller", "sip:a@b", "" }, { SIP_MORE, 0, 0, 0 } } },
	{ V("<sip:a@b>;+sip.instance=\"<urn:uuid:0>\";received=[::1]"), { { SIP_OK, "", "sip:a@b", "+sip.instance=\"<urn:uuid:0>\";received=[::1]" },
		{ SIP_MORE, 0, 0, 0 } } },
	{ V("\"\"<sip:a@b>"), { { SIP_OK, "\"\"", "sip:a@b", "" }, { SIP_MORE, 0, 0, 0 } } },
	{ V(""), { { SIP_MORE, 0, 0, 0 } } },
	{ V(" \r\n "), { { SIP_MORE, 0, 0, 0 } } },
};

static void test_nameaddr(void **state)
{
	for (size_t i = 0; i < COUNT_OF(lists); i++) {
		struct view rest = against_wall(lists[i].in);
		struct sip_nameaddr got;
		for (size_t k = 0; k < 3; k++) {
			const struct who *want = &lists[i].want[k];
			enum sip_status st = sip_nameaddr_next(&rest, &got);
			if (st != want->st)
				fail_msg("%s: element %zu is %d", lists[i].in.p, k, st);
			if (st == SIP_MORE)
				break;
			if (!is(got.display, want->display) || !is(got.uri, want->uri) || !is(got.params, want->params))
				fail_msg("%s: element %zu read wrongly", lists[i].in.p, k);
			assert_true(got.star == is(got.uri, "*"));
		}
		for (size_t n = 0; n < lists[i].in.n; n++) {
			rest = against_wall(view_sub(lists[i].in, 0, n));
			while (sip_nameaddr_next(&rest, &got) == SIP_OK)
				assert_true(got.whole.n);
		}
	}
}

static void test_nameaddr_refused(void **state)
{
	static const char *const bad[] = { "bob", "\"bob", "\"bob\" sip:a@b", "<sip:a@b", "<>", "<bob>", "< sip:a@b >", "<sip:a@b> x", "<sip:a@b>;",
		"<sip:a@b>;;x", "<sip:a@b>;=1", "<sip:a@b>;x=", "<sip:a@b>;x=\"1", "<sip:a@b>,", ",<sip:a@b>", "<sip:a@b>,,<sip:c@d>", "sip:a@b?x=y",
		"Bell, Al <sip:a@b>", "a@b <sip:a@b>", "sip:a@b c", "<sip:a@b>;x y", "* x", "*;x=y", "sip:" };
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct view rest = against_wall(view_str(bad[i]));
		struct sip_nameaddr got;
		enum sip_status st;
		while ((st = sip_nameaddr_next(&rest, &got)) == SIP_OK)
			continue;
		if (st != SIP_BAD)
			fail_msg("%s accepted", bad[i]);
	}
}

/* ---- Via ---- */

static void test_via(void **state)
{
	struct view rest = VIEW("SIP/2.0/UDP a.example:5080;branch=z9hG4bK1;rport;received=192.0.2.1;ttl=16;maddr=224.0.1.75;i=7;alias (a (b) \\) c) ,"
		" SIP / 2.0 / wss [2001:db8::1] : 443 ; rport = 5061 ; received=2001:db8::9;x=\"y,z\", SIP/2.0/SCTP c_1"), after = rest;
	struct sip_via v;
	assert_int_equal(sip_via_next(&rest, &v), SIP_OK);
	assert_true(is(v.host, "a.example") && v.port == 5080 && is(v.port_text, "5080") && v.transport == TR_UDP && is(v.protocol, "SIP/2.0"));
	assert_true(is(v.branch, "z9hG4bK1") && v.has_rport && v.rport == 0 && is(v.received, "192.0.2.1") && is(v.ttl, "16"));
	assert_true(is(v.maddr, "224.0.1.75") && is(v.i, "7") && v.has_alias && is(v.comment, "(a (b) \\) c)"));
	assert_int_equal(sip_via_next(&rest, &v), SIP_OK);
	assert_true(is(v.host, "[2001:db8::1]") && v.port == 443 && v.transport == TR_WSS && v.rport == 5061 && is(v.rport_text, "5061"));
	assert_true(is(v.received, "2001:db8::9") && !v.branch.n && !v.has_alias);
	assert_int_equal(sip_via_next(&rest, &v), SIP_OK);
	assert_true(is(v.transport_text, "SCTP") && v.transport == TR_NONE && is(v.host, "c_1") && is(v.whole, "SIP/2.0/SCTP c_1"));
	assert_int_equal(sip_via_next(&rest, &v), SIP_MORE);
	for (size_t n = 0; n < after.n; n++) {
		rest = against_wall(view_sub(after, 0, n));
		while (sip_via_next(&rest, &v) == SIP_OK)
			assert_true(v.host.n && v.transport_text.n);
		rest = behind_wall(view_sub(after, 0, n));
		while (sip_via_next(&rest, &v) == SIP_OK)
			continue;
	}
}

static void test_via_refused(void **state)
{
	static const char *const bad[] = { "SIP/2.0/UDP", "SIP/2.0/UDP ", "SIP/2.0 a", "SIP/2.0/UDPa", "/2.0/UDP a", "SIP/2.0/UDP a;;branch=x", "SIP/2.0/UDP a;",
		"SIP/2.0/UDP a;branch=", "SIP/2.0/UDP a;branch", "SIP/2.0/UDP a;branch=x;branch=y", "SIP/2.0/UDP a;received", "SIP/2.0/UDP a;rport=x",
		"SIP/2.0/UDP a;rport=65536", "SIP/2.0/UDP a;rport;rport", "SIP/2.0/UDP a;ttl=256", "SIP/2.0/UDP a:", "SIP/2.0/UDP a:65536",
		"SIP/2.0/UDP 2001:db8::1", "SIP/2.0/UDP [x]", "SIP/2.0/UDP a b", "SIP/2.0/UDP a,", "SIP/2.0/UDP a (b", "SIP/2.0/UDP a (b) c",
		"SIP/2.0/UDP 192.0.2.15;;,;,,", "SIP/2.0/UDP a;x=\"y" };
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct view rest = against_wall(view_str(bad[i]));
		struct sip_via v;
		if (sip_via_next(&rest, &v) != SIP_BAD)
			fail_msg("%s accepted", bad[i]);
	}
}

/* ---- small things ---- */

static void test_params(void **state)
{
	struct view rest = VIEW("a=1 ; B ;c=\"x;\\\"y=z\"; ;d = \r\n e;f="), name, value;
	static const char *const want[][2] = { { "a", "1" }, { "B", "" }, { "c", "\"x;\\\"y=z\"" }, { "d", "e" }, { "f", "" } };
	struct view whole = rest;
	for (size_t i = 0; i < COUNT_OF(want); i++)
		assert_true(sip_param_next(&rest, &name, &value) && is(name, want[i][0]) && is(value, want[i][1]));
	assert_false(sip_param_next(&rest, &name, &value));
	assert_true(sip_param(whole, VIEW("b"), &value) && !value.n);
	assert_true(sip_param(whole, VIEW("D"), &value) && is(value, "e"));
	assert_false(sip_param(whole, VIEW("y"), &value));
	assert_false(sip_param(VIEW_NONE, VIEW("y"), &value));
	rest = against_wall(VIEW("a=\"never ends; b=c"));
	assert_true(sip_param_next(&rest, &name, &value) && !sip_param_next(&rest, &name, &value));
}

static void test_lists(void **state)
{
	struct view rest = VIEW(" a, \"b,c\" ,,<d,e>;f,\r\n g,"), item;
	static const char *const want[] = { "a", "\"b,c\"", "<d,e>;f", "g" };
	for (size_t i = 0; i < COUNT_OF(want); i++)
		assert_true(sip_list_next(&rest, &item) && is(item, want[i]));
	assert_false(sip_list_next(&rest, &item));
	rest = against_wall(VIEW("<a, \"b"));
	assert_true(sip_list_next(&rest, &item) && !sip_list_next(&rest, &item));
}

static void test_cseq(void **state)
{
	uint32_t number = 7;
	struct view method;
	assert_true(sip_cseq_parse(VIEW(" 0009\r\n  INVITE "), &number, &method) && number == 9 && is(method, "INVITE"));
	assert_true(sip_cseq_parse(VIEW("4294967295 X"), &number, &method) && number == UINT32_MAX);
	static const char *const bad[] = { "", "1", "1 ", "INVITE", "INVITE 1", "1INVITE", "-1 INVITE", "+1 INVITE", "4294967296 X", "1 A B", "1 A,", "0x1 A" };
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(sip_cseq_parse(against_wall(view_str(bad[i])), &number, &method));
}

static void test_tokens_escapes_folds(void **state)
{
	assert_true(sip_token(VIEW("aZ09-.!%*_+`'~")));
	static const char *const bad[] = { "", "a b", "a,", "a/b", "\"a\"", "a:b", "a@b", "\xc3\xa4" };
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(sip_token(view_str(bad[i])));

	char text[16];
	struct out o = out_to(text, sizeof text);
	assert_true(sip_unescape(VIEW("a%00%4a%25%34%31"), &o) && view_is(out_view(&o), VIEW("a\0J%41")));
	o = out_to(text, 2);
	assert_false(sip_unescape(VIEW("abc"), &o));
	o = out_to(text, sizeof text);
	assert_false(sip_unescape(against_wall(VIEW("a%4")), &o) || sip_unescape(VIEW("%"), &o) || sip_unescape(VIEW("%4x"), &o));

	o = out_to(text, sizeof text);
	sip_unfold(VIEW("a b\r\n \t c\r\n\td"), &o);
	assert_true(is(out_view(&o), "a b c d"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uri), cmocka_unit_test(test_uri_refused), cmocka_unit_test(test_uri_params), cmocka_unit_test(test_uri_same),
		cmocka_unit_test(test_host_ip), cmocka_unit_test(test_nameaddr), cmocka_unit_test(test_nameaddr_refused), cmocka_unit_test(test_via),
		cmocka_unit_test(test_via_refused), cmocka_unit_test(test_params), cmocka_unit_test(test_lists), cmocka_unit_test(test_cseq),
		cmocka_unit_test(test_tokens_escapes_folds),
	};
	return cmocka_run_group_tests_name("sip values", tests, NULL, NULL);
}
