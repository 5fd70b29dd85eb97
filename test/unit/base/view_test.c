#include "base/unit.h"
#include "wall.h"

static void sub_is_clipped(void **state)
{
	struct view v = VIEW("abcdef");

	assert_view(view_sub(v, 2, 3), VIEW("cde"));
	assert_view(view_sub(v, 4, 9), VIEW("ef"));
	assert_view(view_sub(v, 6, 1), VIEW(""));
	assert_view(view_sub(v, 99, 1), VIEW(""));
	assert_view(view_sub(v, 1, SIZE_MAX), VIEW("bcdef"));
	assert_view(view_from(v, 3), VIEW("def"));
	assert_int_equal(view_sub(VIEW_NONE, 3, 3).n, 0);
	assert_null(view_sub(VIEW_NONE, 3, 3).p);
}

static void compares(void **state)
{
	assert_true(view_is(VIEW(""), VIEW_NONE));
	assert_false(view_is(VIEW("a"), VIEW("A")));
	assert_true(view_is_ci(VIEW("Call-ID"), VIEW("cALL-id")));
	assert_false(view_is_ci(VIEW("Call-ID"), VIEW("Call-I")));
	/* '@' and '`', '[' and '{' differ by the case bit but are no letters. */
	assert_false(view_is_ci(VIEW("@["), VIEW("`{")));
	assert_true(view_cmp_ci(VIEW("abc"), VIEW("ABD")) < 0);
	assert_true(view_cmp_ci(VIEW("abc"), VIEW("AB")) > 0);
	assert_int_equal(view_cmp_ci(VIEW("Via"), VIEW("vIA")), 0);
	assert_true(view_cmp_ci(VIEW("\x80"), VIEW("a")) > 0);
	assert_true(view_starts(VIEW("sip:a"), VIEW("sip:")));
	assert_false(view_starts(VIEW("SIP:a"), VIEW("sip:")));
	assert_true(view_starts_ci(VIEW("SIP:a"), VIEW("sip:")));
	assert_false(view_starts_ci(VIEW("SIP"), VIEW("sip:")));
	assert_true(view_ends(VIEW("a.cfg"), VIEW(".cfg")));
	assert_false(view_ends(VIEW("cfg"), VIEW(".cfg")));
}

static void finds(void **state)
{
	assert_int_equal(view_find(VIEW("a:b:c"), ':'), 1);
	assert_int_equal(view_find(VIEW("abc"), ':'), 3);
	assert_int_equal(view_find(VIEW_NONE, ':'), 0);
	assert_int_equal(view_find_view(VIEW("a\r\n\r\nb"), VIEW("\r\n\r\n")), 1);
	assert_int_equal(view_find_view(VIEW("abc"), VIEW("cd")), 3);
	assert_int_equal(view_find_view(VIEW("abc"), VIEW("")), 0);
	assert_int_equal(view_find_view(VIEW_NONE, VIEW("x")), 0);
	/* No byte beyond the end is looked at. */
	assert_int_equal(view_find_view(against_wall(VIEW("xxab")), VIEW("abc")), 4);
	assert_int_equal(view_find(against_wall(VIEW("xxab")), '\0'), 4);
}

static void cuts(void **state)
{
	struct view rest = VIEW("a;b;;c");

	assert_view(view_cut(&rest, ';'), VIEW("a"));
	assert_view(view_cut(&rest, ';'), VIEW("b"));
	assert_view(view_cut(&rest, ';'), VIEW(""));
	assert_view(rest, VIEW("c"));
	assert_view(view_cut(&rest, ';'), VIEW("c"));
	assert_int_equal(rest.n, 0);
	assert_view(view_cut(&rest, ';'), VIEW(""));
}

static void trims(void **state)
{
	assert_view(view_trim(VIEW(" \t\r\n a b \r\n")), VIEW("a b"));
	assert_view(view_trim(VIEW(" \r\n\t")), VIEW(""));
	assert_view(view_trim(VIEW_NONE), VIEW(""));
}

static const struct { struct view in; bool u32, u64, i64; uint64_t u; int64_t i; } numbers[] = {
	{ VIEW_INIT("0"), true, true, true, 0, 0 },
	{ VIEW_INIT("007"), true, true, true, 7, 7 },
	{ VIEW_INIT("4294967295"), true, true, true, UINT32_MAX, UINT32_MAX },
	{ VIEW_INIT("4294967296"), false, true, true, 4294967296u, 4294967296 },
	{ VIEW_INIT("9223372036854775807"), false, true, true, INT64_MAX, INT64_MAX },
	{ VIEW_INIT("9223372036854775808"), false, true, false, (uint64_t)INT64_MAX + 1, 0 },
	{ VIEW_INIT("-9223372036854775808"), false, false, true, 0, INT64_MIN },
	{ VIEW_INIT("-9223372036854775809"), false, false, false, 0, 0 },
	{ VIEW_INIT("18446744073709551615"), false, true, false, UINT64_MAX, 0 },
	{ VIEW_INIT("18446744073709551616"), false, false, false, 0, 0 },
	{ VIEW_INIT("18446744073709551620"), false, false, false, 0, 0 },
	{ VIEW_INIT("99999999999999999999999"), false, false, false, 0, 0 },
	{ VIEW_INIT("-5"), false, false, true, 0, -5 },
	{ VIEW_INIT("+5"), false, false, true, 0, 5 },
	{ VIEW_INIT("-"), false, false, false, 0, 0 },
	{ VIEW_INIT("--5"), false, false, false, 0, 0 },
	{ VIEW_INIT(""), false, false, false, 0, 0 },
	{ VIEW_INIT(" 5"), false, false, false, 0, 0 },
	{ VIEW_INIT("5x"), false, false, false, 0, 0 },
	{ VIEW_INIT("0x5"), false, false, false, 0, 0 },
};

static void reads_numbers(void **state)
{
	for (size_t k = 0; k < COUNT_OF(numbers); k++) {
		struct view v = against_wall(numbers[k].in);
		uint32_t u32 = 77;
		uint64_t u64 = 77;
		int64_t  i64 = 77;

		assert_int_equal(view_u32(v, &u32), numbers[k].u32);
		assert_int_equal(view_u64(v, &u64), numbers[k].u64);
		assert_int_equal(view_i64(v, &i64), numbers[k].i64);
		assert_int_equal(u32, numbers[k].u32 ? numbers[k].u : 77);
		assert_int_equal(u64, numbers[k].u64 ? numbers[k].u : 77);
		assert_int_equal(i64, numbers[k].i64 ? numbers[k].i : 77);
	}
}

static void reads_hex_digits(void **state)
{
	const char *digits = "0123456789abcdef";

	for (int c = -128; c < 128; c++) {
		const char *at = c ? strchr(digits, ascii_lower((char)c)) : NULL;
		assert_int_equal(hex_value((char)c), at ? at - digits : -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sub_is_clipped), cmocka_unit_test(compares), cmocka_unit_test(finds), cmocka_unit_test(cuts),
		cmocka_unit_test(trims), cmocka_unit_test(reads_numbers), cmocka_unit_test(reads_hex_digits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
