#include "base/unit.h"
#include "wall.h"

static void say(struct out *o)
{
	put(o, VIEW("a"));
	put(o, VIEW_NONE);
	put_char(o, 'b');
	put_u64(o, UINT64_MAX);
	put_char(o, ' ');
	put_u64(o, 0);
	put_i64(o, INT64_MIN);
	put_i64(o, 7);
	put_hex(o, "\x00\xff\x1a", 3);
	putf(o, "%s=%d;", "x", -1);
	putf(o, "%s", "");
	put_safe(o, VIEW("\"\n"));
}

/* Into room of every size that ends at a wall: always a prefix, `full` exactly when something is missing. */
static void never_passes_the_end(void **state)
{
	const struct view want = VIEW("ab18446744073709551615 0-9223372036854775808700ff1ax=-1;\"\\n");
	char             *room = wall_room();

	for (size_t cap = 0; cap <= want.n + 3; cap++) {
		struct out o = out_to(room + WALL_BYTES - cap, cap);

		say(&o);
		assert_int_equal(o.full, cap < want.n);
		assert_view(out_view(&o), view_sub(want, 0, cap));
	}
}

static void putf_of_long_text(void **state)
{
	char big[5000], room[5000];

	memset(big, 'q', sizeof big);
	for (int n = 4998; n <= 5000; n++) {
		struct out o = out_to(room, 4999);
		putf(&o, "%.*s", n, big);
		assert_int_equal(o.full, n > 4999);
		assert_view(out_view(&o), view_of(big, n > 4999 ? 4999 : (size_t)n));
	}
}

static void full_adds_nothing_more(void **state)
{
	char       room[4];
	struct out o = out_to(room, 4);

	put(&o, VIEW("abcdef"));
	put_char(&o, 'x');
	putf(&o, "%d", 1);
	assert_true(o.full);
	assert_view(out_view(&o), VIEW("abcd"));
}

static const struct { struct view in, out; } escapes[] = {
	{ VIEW_INIT("plain text"), VIEW_INIT("plain text") },
	{ VIEW_INIT(""), VIEW_INIT("") },
	{ VIEW_INIT("a\r\nb\t\0c\x7f"), VIEW_INIT("a\\r\\nb\t\\x00c\\x7f") },
	{ VIEW_INIT("say \"hi\" \\o/"), VIEW_INIT("say \"hi\" \\o/") },
	{ VIEW_INIT("\x1b[31m"), VIEW_INIT("\\x1b[31m") },
	{ VIEW_INIT("gr\xc3\xbc\xc3\x9f"), VIEW_INIT("gr\xc3\xbc\xc3\x9f") },
	{ VIEW_INIT("\xe2\x82\xac \xf0\x9f\x93\x9e"), VIEW_INIT("\xe2\x82\xac \xf0\x9f\x93\x9e") },
	{ VIEW_INIT("\xc2\x9b""31m"), VIEW_INIT("\\xc2\\x9b31m") },             /* CSI as a C1 control */
	{ VIEW_INIT("\xc2\xa0"), VIEW_INIT("\xc2\xa0") },
	{ VIEW_INIT("\x80\xbf"), VIEW_INIT("\\x80\\xbf") },                     /* continuation without a start */
	{ VIEW_INIT("\xc0\xaf"), VIEW_INIT("\\xc0\\xaf") },                     /* overlong */
	{ VIEW_INIT("\xc1\xbf"), VIEW_INIT("\\xc1\\xbf") },
	{ VIEW_INIT("\xe0\x80\xaf"), VIEW_INIT("\\xe0\\x80\\xaf") },
	{ VIEW_INIT("\xf0\x80\x80\xaf"), VIEW_INIT("\\xf0\\x80\\x80\\xaf") },
	{ VIEW_INIT("\xed\xa0\x80"), VIEW_INIT("\\xed\\xa0\\x80") },            /* surrogate */
	{ VIEW_INIT("\xf4\x90\x80\x80"), VIEW_INIT("\\xf4\\x90\\x80\\x80") },   /* beyond U+10FFFF */
	{ VIEW_INIT("\xf5\x80\x80\x80"), VIEW_INIT("\\xf5\\x80\\x80\\x80") },
	{ VIEW_INIT("\xc3"), VIEW_INIT("\\xc3") },                              /* cut off */
	{ VIEW_INIT("\xe2\x82"), VIEW_INIT("\\xe2\\x82") },
	{ VIEW_INIT("\xf0\x9f\x93"), VIEW_INIT("\\xf0\\x9f\\x93") },
	{ VIEW_INIT("\xc3x"), VIEW_INIT("\\xc3x") },
};

static void escapes_what_is_not_text(void **state)
{
	char room[200];

	for (size_t i = 0; i < COUNT_OF(escapes); i++) {
		struct out o = out_to(room, sizeof room);
		put_safe(&o, against_wall(escapes[i].in));
		assert_view(out_view(&o), escapes[i].out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_passes_the_end), cmocka_unit_test(putf_of_long_text), cmocka_unit_test(full_adds_nothing_more),
		cmocka_unit_test(escapes_what_is_not_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
