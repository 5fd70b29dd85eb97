/* What the vectors cannot show: sniffing, early verdicts, TLV facts, names, text, and everything that is written. */
#include "wire/pp/pp.h"
#include "base/base.h"
#include "wall.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define SIG "\r\n\r\n\0\r\nQUIT\n"

static struct addr at(const char *ip, uint16_t port)
{
	struct addr a = { 0 };

	assert_true(addr_parse_ip(view_str(ip), &a));
	a.port = port;
	return a;
}

/* ::ffff:a.b.c.d kept as IPv6, which addr_parse_ip may unmap. */
static struct addr mapped(const char *ip4, uint16_t port)
{
	struct addr a = at(ip4, port), m = { .af = AF_V6, .port = port };

	memset(m.ip + 10, 0xff, 2);
	memcpy(m.ip + 12, a.ip, 4);
	return m;
}

static bool same(const struct addr *a, const struct addr *b)
{
	return a->af == b->af && a->port == b->port && !memcmp(a->ip, b->ip, sizeof a->ip);
}

/* ---- sniffing ---- */

static void test_sniff(void **state)
{
	static const struct { struct view in; unsigned accept; enum pp_sniff want; } cases[] = {
		{ VIEW_INIT(""),                     PP_ACCEPT_STREAM, PP_SNIFF_MAYBE },
		{ VIEW_INIT(""),                     0,                PP_SNIFF_NO },
		{ VIEW_INIT("P"),                    PP_ACCEPT_STREAM, PP_SNIFF_MAYBE },
		{ VIEW_INIT("PROXY"),                PP_ACCEPT_STREAM, PP_SNIFF_MAYBE },
		{ VIEW_INIT("PROXY "),               PP_ACCEPT_STREAM, PP_SNIFF_V1 },
		{ VIEW_INIT("PROXY nonsense"),       PP_ACCEPT_STREAM, PP_SNIFF_V1 },
		{ VIEW_INIT("PROXY "),               PP_ACCEPT_V2,     PP_SNIFF_NO },
		{ VIEW_INIT("PROXIED"),              PP_ACCEPT_STREAM, PP_SNIFF_NO },
		{ VIEW_INIT("PUBLISH"),              PP_ACCEPT_STREAM, PP_SNIFF_NO },
		{ VIEW_INIT("proxy "),               PP_ACCEPT_STREAM, PP_SNIFF_NO },
		{ VIEW_INIT("\r\n"),                 PP_ACCEPT_STREAM, PP_SNIFF_MAYBE },
		{ VIEW_INIT("\r\n"),                 PP_ACCEPT_V1,     PP_SNIFF_NO },
		{ VIEW_INIT("\r\n\r\n"),             PP_ACCEPT_STREAM, PP_SNIFF_MAYBE },
		{ VIEW_INIT("\r\n\r\nO"),            PP_ACCEPT_STREAM, PP_SNIFF_NO },
		{ VIEW_INIT("\r\n\r\n\r"),           PP_ACCEPT_STREAM, PP_SNIFF_NO },
		{ VIEW_INIT("\r\n\r\n\0"),           PP_ACCEPT_STREAM, PP_SNIFF_MAYBE },
		{ VIEW_INIT("\r\n\r\n\0\r\nQUIT"),   PP_ACCEPT_STREAM, PP_SNIFF_MAYBE },
		{ VIEW_INIT(SIG),                    PP_ACCEPT_STREAM, PP_SNIFF_V2 },
		{ VIEW_INIT(SIG "\x11"),             PP_ACCEPT_STREAM, PP_SNIFF_V2 },
		{ VIEW_INIT("V"),                    PP_ACCEPT_STREAM, PP_SNIFF_NO },
		{ VIEW_INIT("V"),                    PP_ACCEPT_DGRAM,  PP_SNIFF_MAYBE },
		{ VIEW_INIT("VI"),                   PP_ACCEPT_DGRAM,  PP_SNIFF_NO },
		{ VIEW_INIT("\x56\xec"),             PP_ACCEPT_DGRAM,  PP_SNIFF_SPP },
		{ VIEW_INIT("\x56\xec"),             PP_ACCEPT_STREAM, PP_SNIFF_NO },
		{ VIEW_INIT("INVITE sip:a SIP/2.0"), PP_ACCEPT_DGRAM,  PP_SNIFF_NO },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (pp_sniff(against_wall(cases[i].in), cases[i].accept) != cases[i].want)
			fail_msg("case %zu", i);
}

/* The verdict comes with the byte that makes it certain: MORE one byte earlier. */
static void test_as_early_as_possible(void **state)
{
	static const struct { struct view in; enum pp_reject want; } cases[] = {
		{ VIEW_INIT("Q"),                                        PP_REJ_NO_HEADER },
		{ VIEW_INIT("PROXY X"),                                  PP_REJ_BAD_PROTOCOL },
		{ VIEW_INIT("PROXY TCP5"),                               PP_REJ_BAD_PROTOCOL },
		{ VIEW_INIT("PROXY TCP4 300"),                           PP_REJ_BAD_SRC },
		{ VIEW_INIT("PROXY TCP4 256"),                           PP_REJ_BAD_SRC },
		{ VIEW_INIT("PROXY TCP4 00"),                            PP_REJ_BAD_SRC },
		{ VIEW_INIT("PROXY TCP4 1.2.3.4."),                      PP_REJ_BAD_SRC },
		{ VIEW_INIT("PROXY TCP4 a"),                             PP_REJ_BAD_SRC },
		{ VIEW_INIT("PROXY TCP4 1.2.3.4 :"),                     PP_REJ_BAD_DST },
		{ VIEW_INIT("PROXY TCP4 1.2.3.4 1.2.3.4 65536"),         PP_REJ_BAD_SPORT },
		{ VIEW_INIT("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 "),          PP_REJ_BAD_DPORT },
		{ VIEW_INIT("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n"),         PP_REJ_BAD_TERMINATOR },
		{ VIEW_INIT("PROXY TCP6 :1"),                            PP_REJ_BAD_SRC },
		{ VIEW_INIT("PROXY TCP6 1::2::"),                        PP_REJ_BAD_SRC },
		{ VIEW_INIT("PROXY TCP6 12345"),                         PP_REJ_BAD_SRC },
		{ VIEW_INIT("PROXY TCP6 1:2:3:4:5:6:7:8:"),              PP_REJ_BAD_SRC },
		{ VIEW_INIT("PROXY TCP6 ::2:3:4:5:6:7:8:"),              PP_REJ_BAD_SRC },
		{ VIEW_INIT("PROXY TCP6 1."),                            PP_REJ_BAD_SRC },
		{ VIEW_INIT("PROXY UNKNOWNX"),                           PP_REJ_BAD_PROTOCOL },
		{ VIEW_INIT(SIG "\x31"),                                 PP_REJ_BAD_VERSION },
		{ VIEW_INIT(SIG "\x22"),                                 PP_REJ_BAD_COMMAND },
		{ VIEW_INIT(SIG "\x21\x13"),                             PP_REJ_BAD_FAMILY },
		{ VIEW_INIT(SIG "\x21\x11\0\x0b"),                       PP_REJ_SHORT_ADDRESS },
		{ VIEW_INIT(SIG "\x21\x11\x0f\xf1"),                     PP_REJ_TOO_LARGE },
		{ VIEW_INIT(SIG "\x20\xff\xff"),                         PP_REJ_TOO_LARGE },
	};
	struct pp_info o;
	size_t used;
	enum pp_reject why;

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct view in = cases[i].in;
		if (pp_decode(against_wall(in), PP_SIZE_DEFAULT, PP_ACCEPT_STREAM, &o, &used, &why) != PP_BAD || why != cases[i].want)
			fail_msg("case %zu: %s", i, pp_reject_name(why).p);
		in.n--;
		if (pp_decode(against_wall(in), PP_SIZE_DEFAULT, PP_ACCEPT_STREAM, &o, &used, &why) != PP_MORE || why != PP_REJ_NONE)
			fail_msg("case %zu one byte earlier: %s", i, pp_reject_name(why).p);
	}
}

static void test_accept_mask(void **state)
{
	struct view v1 = VIEW("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"), v2 = VIEW(SIG "\x20\0\0\0");
	struct pp_info o;
	size_t used;
	enum pp_reject why;

	assert_int_equal(pp_decode(v1, 4096, PP_ACCEPT_V1, &o, &used, &why), PP_OK);
	assert_int_equal(pp_decode(v1, 4096, PP_ACCEPT_V2, &o, &used, &why), PP_BAD);
	assert_int_equal(why, PP_REJ_NO_HEADER);
	assert_int_equal(pp_decode(v2, 4096, PP_ACCEPT_V2, &o, &used, &why), PP_OK);
	assert_int_equal(pp_decode(v2, 4096, PP_ACCEPT_V1, &o, &used, &why), PP_BAD);
	assert_int_equal(why, PP_REJ_NO_HEADER);
	assert_int_equal(pp_decode(v1, 4096, 0, &o, &used, &why), PP_BAD);
	assert_int_equal(pp_decode(VIEW_NONE, 4096, PP_ACCEPT_STREAM, &o, &used, &why), PP_MORE);
	assert_int_equal(pp_decode_dgram(VIEW_NONE, 4096, PP_ACCEPT_DGRAM, &o, &used, &why), PP_BAD);
}

static void test_longest_block(void **state)
{
	static char room[PP_HEADER_MAX];
	struct pp_info o;
	size_t used;
	enum pp_reject why;
	struct view value;

	memcpy(room, SIG "\x21\x12\xff\xff", 16);
	room[28] = (char)0xe5;
	room[29] = (char)((65535 - 12 - 3) >> 8);
	room[30] = (char)((65535 - 12 - 3) & 0xff);
	struct view in = against_wall(view_of(room, sizeof room));
	assert_int_equal(pp_decode(in, PP_HEADER_MAX, PP_ACCEPT_V2, &o, &used, &why), PP_OK);
	assert_int_equal(used, PP_HEADER_MAX);
	assert_true(pp_tlv_find(o.tlvs, 0xe5, &value));
	assert_int_equal(value.n, 65520);
	in = against_wall(view_of(room, sizeof room - 1));
	assert_int_equal(pp_decode(in, PP_HEADER_MAX, PP_ACCEPT_V2, &o, &used, &why), PP_MORE);
	assert_int_equal(pp_decode(in, PP_HEADER_MAX - 1, PP_ACCEPT_V2, &o, &used, &why), PP_BAD);
	assert_int_equal(why, PP_REJ_TOO_LARGE);
}

static void test_unmap(void **state)
{
	struct pp_info o = { .src = mapped("192.0.2.1", 7), .dst = at("2001:db8::1", 8) };
	struct addr want = at("192.0.2.1", 7);

	pp_unmap(&o);
	assert_true(same(&o.src, &want));
	assert_int_equal(o.dst.af, AF_V6);
}

static void test_reasons_have_names(void **state)
{
	for (int r = 0; r < PP_REJ_COUNT; r++) {
		assert_true(pp_reject_name((enum pp_reject)r).n > 0);
		assert_true(pp_reject_text((enum pp_reject)r).n > 0);
		for (int q = 0; q < r; q++)
			assert_false(view_is(pp_reject_name((enum pp_reject)r), pp_reject_name((enum pp_reject)q)));
	}
}

/* ---- TLVs ---- */

static void test_ssl_verified(void **state)
{
	static const struct { struct view tlv; bool found, verified; } cases[] = {
		{ VIEW_INIT("\x20\0\5\x00\0\0\0\0"), true,  false },     /* no TLS at all: zero must not read as verified */
		{ VIEW_INIT("\x20\0\5\x01\0\0\0\0"), true,  false },     /* TLS without a certificate, as HAProxy sends it */
		{ VIEW_INIT("\x20\0\5\x01\0\0\0\1"), true,  false },     /* the same from nginx */
		{ VIEW_INIT("\x20\0\5\x03\0\0\0\0"), true,  true },
		{ VIEW_INIT("\x20\0\5\x05\0\0\0\0"), true,  true },      /* certificate earlier in the session */
		{ VIEW_INIT("\x20\0\5\x07\0\0\0\0"), true,  true },
		{ VIEW_INIT("\x20\0\5\x07\0\0\0\x12"), true, false },
		{ VIEW_INIT("\x20\0\5\x07\x80\0\0\0"), true, false },
		{ VIEW_INIT("\x21\0\5\x07\0\0\0\0"), false, false },
		{ VIEW_INIT("\x20\0\4\x07\0\0\0"),   false, false },
	};
	struct pp_ssl ssl;

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		bool found = pp_ssl_get(against_wall(cases[i].tlv), &ssl);
		if (found != cases[i].found || (found && ssl.verified != cases[i].verified))
			fail_msg("case %zu", i);
	}
}

static void test_vendors(void **state)
{
	struct view id;
	uint32_t link;
	uint64_t psc;

	assert_true(pp_aws_vpce(VIEW("\xea\0\x08\x01vpce-01"), &id));
	assert_true(view_is(id, VIEW("vpce-01")));
	assert_false(pp_aws_vpce(VIEW("\xea\0\x08\x02vpce-01"), &id));
	assert_false(pp_aws_vpce(VIEW("\xea\0\x01\x01"), &id));
	assert_false(pp_aws_vpce(VIEW("\xea\0\0"), &id));
	assert_true(pp_azure_linkid(VIEW("\xee\0\5\1\x78\x56\x34\x12"), &link));
	assert_int_equal(link, 0x12345678);
	assert_true(pp_azure_linkid(VIEW("\xee\0\5\1\0\0\0\xff"), &link));
	assert_true(link == 0xff000000u);
	assert_false(pp_azure_linkid(VIEW("\xee\0\5\2\x78\x56\x34\x12"), &link));
	assert_false(pp_azure_linkid(VIEW("\xee\0\6\1\x78\x56\x34\x12\0"), &link));
	assert_true(pp_gcp_psc(VIEW("\xe0\0\x08\xff\x11\x22\x33\x44\x55\x66\x77"), &psc));
	assert_true(psc == 0xff11223344556677ull);
	assert_false(pp_gcp_psc(VIEW("\xe0\0\7\0\x11\x22\x33\x44\x55\x66"), &psc));
}

static void test_tlv_walk(void **state)
{
	struct view all = VIEW("\1\0\0\2\0\3abc\2\0\1z"), cut = VIEW("\1\0\0\2\0\3ab"), v;
	struct pp_tlv t;

	assert_true(pp_tlv_find(all, 1, &v) && v.n == 0);
	assert_true(pp_tlv_find(all, 2, &v) && view_is(v, VIEW("abc")));
	assert_false(pp_tlv_find(all, 3, &v));
	assert_false(pp_tlv_find(against_wall(cut), 2, &v));
	assert_true(pp_tlv_next(&cut, &t));
	assert_false(pp_tlv_next(&cut, &t));
	assert_int_equal(cut.n, 5);
	assert_false(pp_tlv_find(VIEW_NONE, 0, &v));
}

static void test_text(void **state)
{
	static const struct { struct view v; bool text; } cases[] = {
		{ VIEW_INIT(""), true },                       { VIEW_INIT("sip.example.com"), true },
		{ VIEW_INIT(" ~"), true },                     { VIEW_INIT("jos\xc3\xa9"), true },
		{ VIEW_INIT("\xe4\xbd\xa0"), true },           { VIEW_INIT("\xf0\x9f\x93\x9e"), true },
		{ VIEW_INIT("\xf4\x8f\xbf\xbf"), true },       { VIEW_INIT("\xf4\x90\x80\x80"), false },
		{ VIEW_INIT("a\nb"), false },                  { VIEW_INIT("a\0b"), false },
		{ VIEW_INIT("\t"), false },                    { VIEW_INIT("\x7f"), false },
		{ VIEW_INIT("\xc2\x85"), false },              { VIEW_INIT("\xe2\x80\xa8"), false },
		{ VIEW_INIT("\xc0\xaf"), false },              { VIEW_INIT("\xe0\x80\xaf"), false },
		{ VIEW_INIT("\xf0\x80\x80\xaf"), false },      { VIEW_INIT("\xed\xa0\x80"), false },
		{ VIEW_INIT("\xc3"), false },                  { VIEW_INIT("\xc3("), false },
		{ VIEW_INIT("\xe4\xbd"), false },              { VIEW_INIT("\x80"), false },
		{ VIEW_INIT("\xff"), false },                  { VIEW_INIT("\xf8\x88\x80\x80\x80"), false },
	};
	char room[32];

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		if (pp_is_text(against_wall(cases[i].v)) != cases[i].text)
			fail_msg("case %zu", i);
	struct out o = out_to(room, sizeof room);
	pp_put_text_or_hex(&o, VIEW("ab "));
	pp_put_text_or_hex(&o, VIEW("\x00\xfe"));
	assert_true(view_is(out_view(&o), VIEW("ab 00fe")));
}

/* ---- fields by name ---- */

static const char whole_header[] = SIG "\x21\x12\0\x80" "\xc0\0\2\x0a\xc6\x33\x64\x14\x9c\x40\x13\xc4"
	"\x02\0\x07" "sip.org" "\x01\0\3" "sip" "\x05\0\2" "\xff\1" "\x20\0\x27\7\0\0\0\0" "\x21\0\x07" "TLSv1.3"
	"\x22\0\5" "alice" "\x23\0\x0d" "ECDHE-RSA-AES" "\xea\0\5\1" "vpce" "\xee\0\5\1\1\2\0\0"
	"\xe0\0\x08\0\0\0\0\0\0\1\0" "\xe5\0\2ok" "\xe6\0\2\1\2";

/* The value of one field, or "NULL". */
static struct view field(const struct pp_info *info, const char *name, char *room, size_t cap)
{
	uint8_t tlv = 0;
	enum pp_field f = pp_field_parse(view_str(name), &tlv);
	struct out o = out_to(room, cap);

	if (f == PP_FIELD_COUNT)
		return VIEW("unknown");
	bool there = pp_field_put(&o, info, f, tlv);
	assert_false(o.full);
	assert_true(there || o.n == 0);
	return there ? out_view(&o) : VIEW("NULL");
}

static void check_fields(const struct pp_info *info, const char *const (*cases)[2], size_t n)
{
	char room[128];

	for (size_t i = 0; i < n; i++) {
		struct view got = field(info, cases[i][0], room, sizeof room);
		if (!view_is(got, view_str(cases[i][1])))
			fail_msg("%s: %.*s, not %s", cases[i][0], VIEW_ARG(got), cases[i][1]);
	}
}

static struct pp_info info_of(struct view in)
{
	struct pp_info o;
	size_t used;
	enum pp_reject why;

	if (pp_decode_dgram(in, PP_HEADER_MAX, PP_ACCEPT_DGRAM, &o, &used, &why) != PP_OK)
		fail_msg("%s", pp_reject_name(why).p);
	return o;
}

static void test_fields(void **state)
{
	static const char *const full[][2] = {
		{ "src_ip", "192.0.2.10" }, { "src_port", "40000" }, { "dst_ip", "198.51.100.20" }, { "dst_port", "5060" }, { "af", "INET" },
		{ "version", "2" }, { "cmd", "PROXY" }, { "proto", "DGRAM" }, { "authority", "sip.org" }, { "alpn", "sip" }, { "unique_id", "ff01" },
		{ "ssl_version", "TLSv1.3" }, { "ssl_cn", "alice" }, { "ssl_cipher", "ECDHE-RSA-AES" }, { "ssl_verified", "1" },
		{ "aws_vpce", "vpce" }, { "azure_linkid", "513" }, { "gcp_psc", "256" }, { "tlv(0xe5)", "ok" }, { "tlv(0xE6)", "0102" },
		{ "TLV(0X02)", "sip.org" }, { "tlv(0x2)", "sip.org" }, { "tlv(0x04)", "NULL" }, { "SRC_IP", "192.0.2.10" },
		{ "tlv", "unknown" }, { "tlv(0x)", "unknown" }, { "tlv(0x123)", "unknown" }, { "tlv(0xzz)", "unknown" }, { "tlv(22)", "unknown" },
		{ "src", "unknown" }, { "", "unknown" },
	};
	static const char *const local[][2] = {
		{ "src_ip", "NULL" }, { "src_port", "NULL" }, { "dst_ip", "NULL" }, { "dst_port", "NULL" }, { "af", "NULL" }, { "version", "2" },
		{ "cmd", "LOCAL" }, { "proto", "UNSPEC" }, { "authority", "NULL" }, { "ssl_verified", "NULL" }, { "ssl_cn", "NULL" },
		{ "aws_vpce", "NULL" }, { "azure_linkid", "NULL" }, { "gcp_psc", "NULL" }, { "tlv(0x01)", "NULL" },
	};
	static const char *const unknown[][2] = { { "src_ip", "NULL" }, { "version", "1" }, { "cmd", "LOCAL" } };
	static const char *const spp[][2] = {
		{ "src_ip", "2001:db8::1" }, { "src_port", "1" }, { "dst_port", "2" }, { "af", "INET6" }, { "version", "spp" },
		{ "cmd", "PROXY" }, { "proto", "DGRAM" }, { "tlv(0x01)", "NULL" },
	};
	static const char *const none[][2] = { { "src_ip", "NULL" }, { "version", "NULL" }, { "cmd", "NULL" }, { "proto", "NULL" } };
	static const char *const hostile[][2] = { { "authority", "NULL" }, { "tlv(0x02)", "610a62" }, { "ssl_verified", "0" }, { "ssl_cn", "NULL" } };
	struct view whole = { whole_header, sizeof whole_header - 1 };
	char room[256];

	assert_true(whole.n < sizeof room);
	memcpy(room, whole.p, whole.n);
	room[15] = (char)(whole.n - 16);
	struct pp_info o = info_of(view_of(room, whole.n));
	check_fields(&o, full, COUNT_OF(full));
	o = info_of(VIEW(SIG "\x20\0\0\0"));
	check_fields(&o, local, COUNT_OF(local));
	o = info_of(VIEW("PROXY UNKNOWN\r\n"));
	check_fields(&o, unknown, COUNT_OF(unknown));
	o = info_of(VIEW("\x56\xec" "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1" "\0\0\0\0\0\0\0\0\0\0\xff\xff\1\2\3\4" "\0\1\0\2"));
	check_fields(&o, spp, COUNT_OF(spp));
	o = (struct pp_info){ 0 };
	check_fields(&o, none, COUNT_OF(none));
	o = info_of(VIEW(SIG "\x21\x11\0\x1a" "\1\2\3\4\5\6\7\x08\0\1\0\2" "\2\0\3" "a\nb" "\x20\0\5\1\0\0\0\0"));
	check_fields(&o, hostile, COUNT_OF(hostile));
}

/* ---- writing ---- */

static void test_write_v1(void **state)
{
	static const struct { const char *src; bool src_mapped; uint16_t sport; const char *dst; uint16_t dport; const char *want; } cases[] = {
		{ "192.0.2.10", false, 40000, "198.51.100.20", 5060, "PROXY TCP4 192.0.2.10 198.51.100.20 40000 5060\r\n" },
		{ "192.0.2.10", true, 1, "198.51.100.20", 2, "PROXY TCP4 192.0.2.10 198.51.100.20 1 2\r\n" },
		{ "2001:db8::1", false, 0, "::", 65535, "PROXY TCP6 2001:db8::1 :: 0 65535\r\n" },
		{ "192.0.2.10", false, 1, "2001:db8::2", 2, "PROXY TCP6 ::ffff:c000:20a 2001:db8::2 1 2\r\n" },
		{ "2001:db8::2", false, 1, "0.0.2.10", 2, "PROXY TCP6 2001:db8::2 ::ffff:0:20a 1 2\r\n" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, 65535, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535,
		  "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n" },
	};
	struct addr none = { 0 }, some = at("192.0.2.1", 1);
	char room[PP_V1_MAX];

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct out o = out_to(room, sizeof room);
		struct addr s = cases[i].src_mapped ? mapped(cases[i].src, cases[i].sport) : at(cases[i].src, cases[i].sport);
		struct addr d = at(cases[i].dst, cases[i].dport);
		assert_true(pp_write_v1(&o, &s, &d));
		if (!view_is(out_view(&o), view_str(cases[i].want)))
			fail_msg("case %zu: %.*s", i, VIEW_ARG(out_view(&o)));
		for (size_t cap = 0; cap < o.n; cap++) {
			struct out small = out_to(room, cap);
			assert_false(pp_write_v1(&small, &s, &d));
			assert_int_equal(small.n, 0);
		}
	}
	const struct { const struct addr *s, *d; } unknown[] = { { NULL, &some }, { &some, NULL }, { &none, &some }, { &some, &none } };
	for (size_t i = 0; i < COUNT_OF(unknown); i++) {
		struct out o = out_to(room, sizeof room);
		assert_true(pp_write_v1(&o, unknown[i].s, unknown[i].d));
		assert_true(view_is(out_view(&o), VIEW("PROXY UNKNOWN\r\n")));
	}
}

static void test_write_v2_plain(void **state)
{
	char room[128];
	struct out o = out_to(room, sizeof room);
	struct pp_out h = { .proto = PP_STREAM, .src = at("192.0.2.10", 40000), .dst = at("198.51.100.20", 5060) };

	assert_true(pp_write_v2(&o, &h));
	assert_true(view_is(out_view(&o), VIEW(SIG "\x21\x11\0\x0c\xc0\0\2\x0a\xc6\x33\x64\x14\x9c\x40\x13\xc4")));
	o = out_to(room, sizeof room);
	h.proto = PP_DGRAM;
	h.src = at("2001:db8::1", 1);
	assert_true(pp_write_v2(&o, &h));
	assert_true(view_is(out_view(&o), VIEW(SIG "\x21\x22\0\x24" "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
					       "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\x14" "\0\1\x13\xc4")));
	assert_int_equal(o.n, PP_V2_PLAIN_MAX);
	o = out_to(room, sizeof room);
	h.src = mapped("192.0.2.10", 1);
	assert_true(pp_write_v2(&o, &h));
	assert_true(view_is(out_view(&o), VIEW(SIG "\x21\x12\0\x0c\xc0\0\2\x0a\xc6\x33\x64\x14\0\1\x13\xc4")));
}

/* LOCAL carries nothing, whatever else is asked for; an unknown client is LOCAL, never PROXY with UNSPEC. */
static void test_write_v2_local(void **state)
{
	char room[64];
	struct pp_tlv extra = { 0xe1, VIEW_INIT("x") };
	struct pp_out h = { .local = true, .proto = PP_STREAM, .src = at("192.0.2.10", 1), .dst = at("192.0.2.11", 2),
			    .authority = VIEW("a"), .extra = &extra, .extras = 1, .crc32c = true };

	for (int i = 0; i < 3; i++) {
		struct out o = out_to(room, sizeof room);
		assert_true(pp_write_v2(&o, &h));
		assert_true(view_is(out_view(&o), VIEW(SIG "\x20\0\0\0")));
		h.local = false;
		h.dst = at("192.0.2.11", 2);
		*(i == 0 ? &h.src : &h.dst) = (struct addr){ 0 };
		if (i == 1)
			h.src = at("192.0.2.10", 1);
	}
}

static void test_write_v2_tlvs(void **state)
{
	static const struct pp_ssl_out tls = { .cert_conn = true, .verified = true, .version = VIEW_INIT("TLSv1.3"), .cn = VIEW_INIT("bob"),
		.cipher = VIEW_INIT("AES"), .sig_alg = VIEW_INIT("RSA-SHA256"), .key_alg = VIEW_INIT("RSA2048"), .group = VIEW_INIT("X25519"),
		.sig_scheme = VIEW_INIT("rsa_pss"), .client_cert = VIEW_INIT("\x30\0") };
	static const struct pp_tlv extra[] = { { 0xe0, VIEW_INIT("first") }, { 0xef, VIEW_INIT("") } };
	static const struct { uint8_t type; struct view want; } top[] = {
		{ PP_TLV_ALPN, VIEW_INIT("h2") }, { PP_TLV_AUTHORITY, VIEW_INIT("sip.example") }, { PP_TLV_UNIQUE_ID, VIEW_INIT("\0\1") },
		{ 0xe0, VIEW_INIT("first") }, { 0xef, VIEW_INIT("") },
	};
	static const struct { uint8_t type; struct view want; } sub[] = {
		{ PP_TLV_SSL_VERSION, VIEW_INIT("TLSv1.3") }, { PP_TLV_SSL_CN, VIEW_INIT("bob") }, { PP_TLV_SSL_CIPHER, VIEW_INIT("AES") },
		{ PP_TLV_SSL_SIG_ALG, VIEW_INIT("RSA-SHA256") }, { PP_TLV_SSL_KEY_ALG, VIEW_INIT("RSA2048") }, { PP_TLV_SSL_GROUP, VIEW_INIT("X25519") },
		{ PP_TLV_SSL_SIG_SCHEME, VIEW_INIT("rsa_pss") }, { PP_TLV_SSL_CLIENT_CERT, VIEW_INIT("\x30\0") },
	};
	struct pp_out h = { .proto = PP_STREAM, .src = at("2001:db8::1", 1), .dst = at("2001:db8::2", 2), .alpn = VIEW("h2"),
			    .authority = VIEW("sip.example"), .unique_id = VIEW("\0\1"), .ssl = &tls, .extra = extra, .extras = 2, .crc32c = true };
	char room[512], small_room[512];
	struct out o = out_to(room, sizeof room);
	struct pp_ssl ssl;
	struct view v;

	/* Behind other bytes, to see that the checksum covers the header alone. */
	put(&o, VIEW("earlier"));
	assert_true(pp_write_v2(&o, &h));
	struct view header = view_from(out_view(&o), 7);
	struct pp_info info = info_of(header);
	assert_true(same(&info.src, &h.src) && same(&info.dst, &h.dst));
	for (size_t i = 0; i < COUNT_OF(top); i++)
		assert_true(pp_tlv_find(info.tlvs, top[i].type, &v) && view_is(v, top[i].want));
	assert_true(pp_tlv_find(info.tlvs, PP_TLV_CRC32C, &v));
	assert_true(v.p + 4 == header.p + header.n);
	assert_true(pp_ssl_get(info.tlvs, &ssl) && ssl.verified && ssl.client == 7);
	for (size_t i = 0; i < COUNT_OF(sub); i++)
		assert_true(pp_tlv_find(ssl.subs, sub[i].type, &v) && view_is(v, sub[i].want));
	for (size_t cap = 0; cap < header.n; cap++) {
		struct out small = out_to(small_room, cap);
		assert_false(pp_write_v2(&small, &h));
		assert_int_equal(small.n, 0);
	}
}

static void test_write_v2_refuses(void **state)
{
	static char big[70000], room[200000];
	struct pp_tlv crc = { PP_TLV_CRC32C, VIEW_INIT("\0\0\0\0") }, noop = { PP_TLV_NOOP, VIEW_INIT("") }, huge = { 0xe0, { big, 65536 } },
		      half[2] = { { 0xe0, { big, 40000 } }, { 0xe1, { big, 40000 } } }, most = { 0xe0, { big, 65535 - 12 - 3 } };
	struct pp_out base = { .proto = PP_STREAM, .src = at("192.0.2.10", 1), .dst = at("192.0.2.11", 2) }, h;
	const struct { const struct pp_tlv *extra; size_t extras; size_t id; bool ok; } cases[] = {
		{ &crc, 1, 0, false }, { &noop, 1, 0, false }, { &huge, 1, 0, false }, { half, 2, 0, false }, { half, 1, 0, true },
		{ &most, 1, 0, true }, { &most, 1, 1, false }, { NULL, 0, 128, true }, { NULL, 0, 129, false },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct out o = out_to(room, sizeof room);
		h = base;
		h.extra = cases[i].extra;
		h.extras = cases[i].extras;
		h.unique_id = view_of(big, cases[i].id);
		if (pp_write_v2(&o, &h) != cases[i].ok || (o.n == 0) == cases[i].ok)
			fail_msg("case %zu", i);
	}
}

static void test_write_ssl_verify(void **state)
{
	static const struct { struct pp_ssl_out ssl; uint8_t client; uint32_t verify; } cases[] = {
		{ { .verified = true }, 1, 1 },                     { { .cert_conn = true }, 7, 1 },
		{ { .cert_sess = true, .verified = true }, 5, 0 },  { { .cert_conn = true, .verified = true }, 7, 0 },
	};
	char room[128];
	struct pp_ssl ssl;

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct pp_out h = { .proto = PP_STREAM, .src = at("192.0.2.10", 1), .dst = at("192.0.2.11", 2), .ssl = &cases[i].ssl };
		struct out o = out_to(room, sizeof room);
		assert_true(pp_write_v2(&o, &h));
		struct pp_info info = info_of(out_view(&o));
		assert_true(pp_ssl_get(info.tlvs, &ssl));
		assert_int_equal(ssl.client, cases[i].client);
		assert_int_equal(ssl.verify, cases[i].verify);
	}
}

static void test_write_spp(void **state)
{
	char room[64];
	struct addr c = at("192.0.2.10", 40000), p = at("2001:db8::2", 5060);
	struct out o = out_to(room, sizeof room);

	assert_true(pp_write_spp(&o, &c, &p));
	assert_int_equal(o.n, PP_SPP_BYTES);
	assert_true(view_is(out_view(&o), VIEW("\x56\xec" "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\x0a"
					       "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2" "\x9c\x40\x13\xc4")));
	/* A reply repeats the header of the request byte by byte, from what was read. */
	struct pp_info info = info_of(out_view(&o));
	char again[64];
	struct out reply = out_to(again, sizeof again);
	assert_true(pp_write_spp(&reply, &info.src, &info.dst));
	assert_true(view_is(out_view(&o), out_view(&reply)));
	o = out_to(room, 37);
	assert_false(pp_write_spp(&o, &c, &p));
	assert_int_equal(o.n, 0);
}

/* What is written is read back as the same facts, for many addresses. */
static void test_round_trip(void **state)
{
	uint64_t x = 0x9e3779b97f4a7c15u;
	char room[256];

	for (int i = 0; i < 20000; i++) {
		struct addr a[2];
		for (int k = 0; k < 2; k++) {
			a[k] = (struct addr){ .af = x >> 7 & 1 ? AF_V4 : AF_V6 };
			for (int b = 0; b < (a[k].af == AF_V4 ? 4 : 16); b++) {
				x ^= x << 13, x ^= x >> 7, x ^= x << 17;
				a[k].ip[b] = x >> 60 & 3 ? 0 : (uint8_t)(x >> 20);
			}
			a[k].port = (uint16_t)(x >> 33);
		}
		struct pp_out h = { .proto = x & 1 ? PP_STREAM : PP_DGRAM, .src = a[0], .dst = a[1], .crc32c = x & 2, .authority = { "h", x >> 2 & 1 } };
		for (int form = 0; form < 3; form++) {
			struct out o = out_to(room, sizeof room);
			bool ok = form == 0 ? pp_write_v1(&o, &a[0], &a[1]) : form == 1 ? pp_write_v2(&o, &h) : pp_write_spp(&o, &a[0], &a[1]);
			assert_true(ok && (form != 0 || o.n <= PP_V1_MAX));
			struct pp_info info = info_of(out_view(&o));
			pp_unmap(&info);
			struct addr s = a[0], d = a[1];
			addr_unmap(&s);
			addr_unmap(&d);
			if (!same(&info.src, &s) || !same(&info.dst, &d))
				fail_msg("round %d form %d: %.*s", i, form, VIEW_ARG(out_view(&o)));
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sniff), cmocka_unit_test(test_as_early_as_possible), cmocka_unit_test(test_accept_mask),
		cmocka_unit_test(test_longest_block), cmocka_unit_test(test_unmap), cmocka_unit_test(test_reasons_have_names),
		cmocka_unit_test(test_ssl_verified), cmocka_unit_test(test_vendors), cmocka_unit_test(test_tlv_walk), cmocka_unit_test(test_text),
		cmocka_unit_test(test_fields), cmocka_unit_test(test_write_v1), cmocka_unit_test(test_write_v2_plain),
		cmocka_unit_test(test_write_v2_local), cmocka_unit_test(test_write_v2_tlvs), cmocka_unit_test(test_write_v2_refuses),
		cmocka_unit_test(test_write_ssl_verify), cmocka_unit_test(test_write_spp), cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
