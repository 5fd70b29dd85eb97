/* The fixed vocabulary: header names, methods, phrases, faults. */
#include "wire/sip/sip.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct { enum sip_hdr_id id; struct view name; char compact; } known[] = {
#define H(id, name, compact, list, single) { HDR_##id, VIEW_INIT(name), compact },
#include "wire/sip/headers.def"
#undef H
};

static void test_headers(void **state)
{
	for (size_t i = 0; i < COUNT_OF(known); i++) {
		char lower[64], upper[64];
		struct view v = known[i].name;
		for (size_t k = 0; k < v.n; k++) {
			lower[k] = ascii_lower(v.p[k]);
			upper[k] = lower[k] >= 'a' && lower[k] <= 'z' ? (char)(lower[k] & ~0x20) : lower[k];
		}
		assert_int_equal(sip_hdr_id(v), known[i].id);
		assert_int_equal(sip_hdr_id(view_of(lower, v.n)), known[i].id);
		assert_int_equal(sip_hdr_id(view_of(upper, v.n)), known[i].id);
		assert_true(view_is(sip_hdr_name(known[i].id), v));
		/* One byte changed, dropped or added is another header. */
		for (size_t k = 0; k < v.n; k++) {
			char keep = lower[k];
			lower[k] = '!';
			assert_int_equal(sip_hdr_id(view_of(lower, v.n)), HDR_OTHER);
			lower[k] = keep;
		}
		lower[v.n] = 'x';
		assert_int_equal(sip_hdr_id(view_of(lower, v.n + 1)), HDR_OTHER);
		if (v.n > 2)
			assert_int_equal(sip_hdr_id(view_of(lower, v.n - 1)), HDR_OTHER);
		/* Folding must not reach past letters: '-' and CR differ in one bit only. */
		size_t dash = view_find(v, '-');
		if (dash < v.n) {
			lower[dash] = '\r';
			assert_int_equal(sip_hdr_id(view_of(lower, v.n)), HDR_OTHER);
		}
	}
	assert_int_equal(sip_hdr_id(VIEW("")), HDR_OTHER);
	assert_int_equal(sip_hdr_id(VIEW("C%6Fntact")), HDR_OTHER);
}

static void test_compact(void **state)
{
	for (unsigned c = 0; c < 256; c++) {
		char byte = (char)c;
		enum sip_hdr_id want = HDR_OTHER;
		for (size_t i = 0; i < COUNT_OF(known); i++)
			if (known[i].compact && known[i].compact == ascii_lower(byte))
				want = known[i].id;
		assert_int_equal(sip_hdr_id(view_of(&byte, 1)), want);
	}
}

static void test_methods(void **state)
{
	static const struct { struct view v; enum sip_method id; } rows[] = {
		{ VIEW_INIT("INVITE"), SIP_INVITE }, { VIEW_INIT("CANCEL"), SIP_CANCEL }, { VIEW_INIT("ACK"), SIP_ACK },
		{ VIEW_INIT("BYE"), SIP_BYE }, { VIEW_INIT("INFO"), SIP_INFO }, { VIEW_INIT("OPTIONS"), SIP_OPTIONS },
		{ VIEW_INIT("UPDATE"), SIP_UPDATE }, { VIEW_INIT("REGISTER"), SIP_REGISTER }, { VIEW_INIT("MESSAGE"), SIP_MESSAGE },
		{ VIEW_INIT("SUBSCRIBE"), SIP_SUBSCRIBE }, { VIEW_INIT("NOTIFY"), SIP_NOTIFY }, { VIEW_INIT("PRACK"), SIP_PRACK },
		{ VIEW_INIT("REFER"), SIP_REFER }, { VIEW_INIT("PUBLISH"), SIP_PUBLISH }, { VIEW_INIT("invite"), SIP_OTHER },
		{ VIEW_INIT("INVITES"), SIP_OTHER }, { VIEW_INIT(""), SIP_OTHER },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_int_equal(sip_method_of(rows[i].v), rows[i].id);
}

static void test_phrases_and_faults(void **state)
{
	assert_true(view_is(sip_reason_phrase(200), VIEW("OK")) && view_is(sip_reason_phrase(100), VIEW("Trying")));
	assert_true(view_is(sip_reason_phrase(483), VIEW("Too Many Hops")) && view_is(sip_reason_phrase(608), VIEW("Rejected")));
	static const uint16_t strangers[] = { 0, 99, 299, 499, 699, 700, 65535 };
	for (size_t i = 0; i < COUNT_OF(strangers); i++)
		assert_true(view_is(sip_reason_phrase(strangers[i]), VIEW("Unknown")));
	assert_int_equal(sip_fault_status(SIP_FAULT_BAD_VERSION), 505);
	assert_int_equal(sip_fault_status(SIP_FAULT_NOT_SIP), 0);
	for (unsigned f = 0; f < SIP_FAULT_COUNT; f++)
		assert_true(sip_fault_text(f).n && (sip_fault_status(f) == 0 || sip_fault_status(f) >= 400));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers), cmocka_unit_test(test_compact), cmocka_unit_test(test_methods),
		cmocka_unit_test(test_phrases_and_faults),
	};
	return cmocka_run_group_tests_name("sip names", tests, NULL, NULL);
}
