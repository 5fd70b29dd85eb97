/* The messages of RFC 4475 and RFC 5118 against test/corpus/torture/expect.json; argv[1] is that folder. */
#include "wire/sip/sip.h"
#include "wall.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const char *folder;
static struct sip_hdr space[MSG_MAX_HEADERS];

static struct view load(const char *name, size_t n, char *room, size_t cap)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%.*s", folder, (int)n, name);
	FILE *f = fopen(path, "rb");
	if (!f)
		fail_msg("%s is missing", path);
	struct view v = view_of(room, fread(room, 1, cap, f));
	fclose(f);
	assert_true(v.n < cap);
	return v;
}

/* Text behind "key": up to the byte that closes it; the table holds one object a line, strings without escapes. */
static struct view field(struct view row, const char *key, char close)
{
	size_t at = view_find_view(row, view_str(key));
	if (at == row.n)
		fail_msg("no %s in the table", key);
	struct view rest = view_from(row, at + strlen(key));
	return view_cut(&rest, close);
}

static enum sip_fault fault_named(struct view name)
{
	static const struct view names[] = {
#define F(id, status, text) VIEW_INIT(#id),
		SIP_FAULTS(F)
#undef F
	};
	for (unsigned i = 0; i < COUNT_OF(names); i++)
		if (view_is(names[i], name))
			return (enum sip_fault)i;
	fail_msg("unknown fault in the table");
	return SIP_FAULT_COUNT;
}

static enum sip_fault judge(struct view bytes, struct sip_msg *m)
{
	enum sip_fault why = sip_parse(bytes, false, space, COUNT_OF(space), m);
	return why ? why : sip_validate(m);
}

/* The fault leads to an outcome that the proxy column allows. */
static void check_outcome(struct view file, struct view proxy, enum sip_fault why)
{
	char status[8];
	struct out o = out_to(status, sizeof status);
	put_u64(&o, sip_fault_status(why));
	bool dropped = sip_fault_status(why) == 0 || view_find_view(proxy, VIEW("400")) == proxy.n;
	bool ok = view_find_view(proxy, VIEW("no-crash")) < proxy.n;
	if (why == SIP_FAULT_NONE)
		ok |= proxy.n && !view_is(proxy, VIEW("400")) && !view_is(proxy, VIEW("416")) && !view_is(proxy, VIEW("505"));
	else
		ok |= view_find_view(proxy, out_view(&o)) < proxy.n || (dropped && view_find_view(proxy, VIEW("drop")) < proxy.n);
	if (!ok)
		fail_msg(VIEW_FMT ": %s is not among " VIEW_FMT, VIEW_ARG(file), sip_fault_text(why).p, VIEW_ARG(proxy));
}

static void check_stream(struct view file, struct view bytes, struct view want)
{
	struct sip_frame f;
	size_t scan = 0;
	enum sip_status st = SIP_MORE;
	for (size_t n = 1; n <= bytes.n && st == SIP_MORE; n++)
		st = sip_frame(against_wall(view_sub(bytes, 0, n)), MSG_MAX_BYTES, &scan, &f);
	struct view got = st == SIP_MORE ? VIEW("wait") : st == SIP_BAD ? VIEW("close") :
		f.used < bytes.n ? VIEW("message, then more") : VIEW("message");
	if (!view_is(got, want))
		fail_msg(VIEW_FMT " on a stream: " VIEW_FMT ", wanted " VIEW_FMT, VIEW_ARG(file), VIEW_ARG(got), VIEW_ARG(want));
}

static void test_table(void **state)
{
	static char table[1 << 16], room[1 << 16];
	struct view rest = load("expect.json", strlen("expect.json"), table, sizeof table);
	unsigned rows = 0;
	while (rest.n) {
		struct view row = view_cut(&rest, '\n');
		if (!view_starts(row, VIEW("{")))
			continue;
		struct view file = field(row, "\"file\": \"", '"'), proxy = field(row, "\"proxy\": [", ']');
		struct view bytes = load(file.p, file.n, room, sizeof room);
		struct sip_msg m;
		enum sip_fault want = fault_named(field(row, "\"codec\": \"", '"')), why = judge(against_wall(bytes), &m);
		if (why != want)
			fail_msg(VIEW_FMT ": %s, wanted %s", VIEW_ARG(file), sip_fault_text(why).p, sip_fault_text(want).p);
		check_outcome(file, proxy, why);
		check_stream(file, bytes, field(row, "\"stream\": \"", '"'));
		for (size_t n = 0; n < bytes.n; n++) {
			struct sip_peek peek;
			judge(against_wall(view_sub(bytes, 0, n)), &m);
			sip_peek(behind_wall(view_sub(bytes, 0, n)), &peek);
		}
		rows++;
	}
	assert_int_equal(rows, 63);
}

static struct sip_msg parsed(const char *name)
{
	static char room[1 << 16];
	struct sip_msg m;
	assert_int_equal(judge(load(name, strlen(name), room, sizeof room), &m), SIP_FAULT_NONE);
	return m;
}

/* RFC 4475 3.1.1.1 */
static void test_wsinv(void **state)
{
	struct sip_msg m = parsed("wsinv.dat");
	struct sip_walk w = sip_walk(&m, HDR_VIA);
	struct sip_via via;
	assert_int_equal(sip_walk_via(&w, &via, NULL), SIP_OK);
	assert_true(view_is(via.host, VIEW("192.0.2.2")) && view_is(via.branch, VIEW("390skdjuw")) && via.transport == TR_UDP);
	assert_int_equal(sip_walk_via(&w, &via, NULL), SIP_OK);
	assert_true(view_is(via.host, VIEW("spindle.example.com")) && view_is(via.branch, VIEW("z9hG4bK9ikj8")) && via.transport == TR_TCP);
	assert_int_equal(sip_walk_via(&w, &via, NULL), SIP_OK);
	assert_true(view_is(via.host, VIEW("192.168.255.111")) && view_is(via.branch, VIEW("z9hG4bK30239")));
	assert_int_equal(sip_walk_via(&w, &via, NULL), SIP_MORE);
	assert_true(view_is(m.to_tag, VIEW("1918181833n")) && view_is(m.from_tag, VIEW("98asjd8")) && m.cseq == 9);
	struct sip_nameaddr who;
	assert_true(sip_from(&m, &who) && view_is(who.display, VIEW("\"J Rosenberg \\\\\\\"\"")));
	struct view rest = sip_first(&m, HDR_CONTACT)->value, value;
	assert_int_equal(sip_nameaddr_next(&rest, &who), SIP_OK);
	assert_true(sip_param(who.params, VIEW("NewParam"), &value) && view_is(value, VIEW("newvalue")));
	assert_true(sip_param(who.params, VIEW("secondparam"), &value) && !value.n);
	assert_true(sip_param(who.params, VIEW("q"), &value) && view_is(value, VIEW("0.33")));
	assert_int_equal(m.body.n, 150);
}

/* RFC 4475 3.1.1.2, 3.1.1.3, 3.1.1.5, 3.1.1.8, 3.1.1.9 */
static void test_users_and_escapes(void **state)
{
	struct sip_uri uri;
	struct sip_msg m = parsed("intmeth.dat");
	assert_int_equal(m.method_id, SIP_OTHER);
	assert_true(sip_uri_parse(m.ruri, &uri));
	assert_true(view_is(uri.user, VIEW("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*")));
	assert_true(view_is(uri.password, VIEW("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)")) && view_is(uri.host, VIEW("example.com")));

	m = parsed("esc01.dat");
	struct sip_nameaddr who;
	struct view rest = sip_first(&m, HDR_CONTACT)->value;
	assert_int_equal(sip_nameaddr_next(&rest, &who), SIP_OK);
	assert_true(sip_uri_parse(who.uri, &uri) && uri.lr);
	assert_true(sip_uri_parse(m.ruri, &uri) && view_is(uri.host, VIEW("example.net")));

	m = parsed("esc02.dat");
	unsigned contacts = 0;
	struct sip_walk w = sip_walk(&m, HDR_CONTACT);
	while (sip_walk_nameaddr(&w, &who, NULL) == SIP_OK)
		contacts++;
	assert_int_equal(contacts, 2);
	assert_int_equal(m.method_id, SIP_OTHER);

	m = parsed("dblreq.dat");
	assert_int_equal(m.body.n, 0);
	assert_int_equal(m.bytes.n, 300);

	m = parsed("semiuri.dat");
	char text[64];
	struct out o = out_to(text, sizeof text);
	assert_true(sip_uri_parse(m.ruri, &uri) && sip_unescape(uri.user, &o));
	assert_true(view_is(out_view(&o), VIEW("user;par=u@example.net")) && view_is(uri.host, VIEW("example.com")));
}

/* RFC 4475 3.1.1.10, RFC 5118 4.3, 4.5, 4.10 */
static void test_hosts(void **state)
{
	struct sip_msg m = parsed("transports.dat");
	struct sip_walk w = sip_walk(&m, HDR_VIA);
	struct sip_via via;
	static const enum transport want[] = { TR_UDP, TR_NONE, TR_TLS, TR_NONE, TR_TCP };
	for (size_t i = 0; i < COUNT_OF(want); i++) {
		assert_int_equal(sip_walk_via(&w, &via, NULL), SIP_OK);
		assert_int_equal(via.transport, want[i]);
	}
	struct sip_uri uri;
	struct addr ip, same;
	m = parsed("port-ambiguous.dat");
	assert_true(sip_uri_parse(m.ruri, &uri) && uri.port == 0 && view_is(uri.host, VIEW("[2001:db8::10:5070]")));
	m = parsed("port-unambiguous.dat");
	assert_true(sip_uri_parse(m.ruri, &uri) && uri.port == 5070 && view_is(uri.host, VIEW("[2001:db8::10]")));
	m = parsed("via-received-param-no-delim.dat");
	assert_true(sip_top_via(&m, &via) && view_is(via.received, VIEW("2001:db8::9:255")));
	m = parsed("via-received-param-with-delim.dat");
	assert_true(sip_top_via(&m, &via) && view_is(via.received, VIEW("[2001:db8::9:255]")));
	m = parsed("ipv6-bug-abnf-3-colons.dat");
	assert_true(sip_uri_parse(m.ruri, &uri) && sip_host_ip(uri.host, &ip));
	m = parsed("ipv6-correct-abnf-2-colons.dat");
	assert_true(sip_uri_parse(m.ruri, &uri) && sip_host_ip(uri.host, &same) && addr_same_ip(&ip, &same));
}

int main(int argc, char **argv)
{
	folder = argc > 1 ? argv[1] : "test/corpus/torture";
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table), cmocka_unit_test(test_wsinv), cmocka_unit_test(test_users_and_escapes),
		cmocka_unit_test(test_hosts),
	};
	return cmocka_run_group_tests_name("sip torture", tests, NULL, NULL);
}
