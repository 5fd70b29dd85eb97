/* Regular expressions as the language means them (POSIX extended, on PCRE2): the translation, its bounds, and substitution. */
#include "script/script.h"
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

enum { NO = 0, YES = 1, BAD = 2 };
struct row { const char *pattern, *subject; int want; };

static int judge(const char *pattern, struct view subject, bool icase)
{
	char          why[256];
	struct out    err = out_to(why, sizeof why);
	struct regex *re = regex_new(view_str(pattern), icase, true, &err);

	if (!re) {
		assert_true(err.n > 0);
		return BAD;
	}
	int rc = regex_match(re, subject, 0, NULL, 0);
	regex_free(re);
	assert_true(rc >= 0);
	return rc > 0 ? YES : NO;
}

static void judge_all(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int got = judge(rows[i].pattern, view_str(rows[i].subject), false);
		if (got != rows[i].want)
			fail_msg("\"%s\" on \"%s\": %d, wanted %d", rows[i].pattern, rows[i].subject, got, rows[i].want);
	}
}

static void test_brackets(void **state)
{
	static const struct row rows[] = {
		{ "^[abc]$", "b", YES }, { "^[abc]$", "d", NO }, { "^[^abc]$", "d", YES }, { "^[^abc]$", "a", NO }, { "^[a-c]$", "b", YES },
		{ "^[]]$", "]", YES }, { "^[]a]$", "a", YES }, { "^[]a]$", "]", YES }, { "^[^]]$", "]", NO }, { "^[^]]$", "x", YES }, { "^[^]a]$", "b", YES },
		{ "^[\\]$", "\\", YES }, { "^[\\d]$", "d", YES }, { "^[\\d]$", "\\", YES }, { "^[\\d]$", "5", NO }, { "^[a\\n]$", "n", YES }, { "^[a\\n]$", "\n", NO },
		{ "^[[]$", "[", YES }, { "^[a[b]$", "[", YES }, { "^[-a]$", "-", YES }, { "^[a-]$", "-", YES }, { "^[a^]$", "^", YES },
		{ "^[.]$", ".", YES }, { "^[.]$", "x", NO }, { "^[*+?(){}|$]$", "+", YES }, { "^[*+?(){}|$]$", "a", NO },
		{ "^[[:digit:]]+$", "0123", YES }, { "^[[:digit:]]+$", "01a3", NO }, { "^[[:alpha:]_]$", "_", YES }, { "^[^[:space:]]+$", "ab", YES }, { "^[^[:space:]]+$", "a b", NO },
		{ "^[[:alnum:][:punct:]]+$", "a1!", YES }, { "^[[:xdigit:]]{4}$", "beef", YES }, { "^[x[:upper:]-]+$", "xA-", YES },
		{ "^[[.-.]]$", "-", YES }, { "^[a[.].]b]$", "]", YES }, { "^[[=a=]]$", "a", YES }, { "^[[=a=]]$", "b", NO }, { "^[[.^.]]$", "^", YES }, { "^[[.[.]]$", "[", YES },
		{ "[[.ab.]]", "ab", BAD }, { "[[.", "", BAD }, { "[[=a", "", BAD }, { "[[:nosuch:]]", "a", BAD }, { "[[:alpha", "a", BAD },
		{ "[abc", "a", BAD }, { "[", "", BAD }, { "[]", "]", BAD }, { "[^]", "]", BAD }, { "[z-a]", "b", BAD },
	};

	judge_all(rows, COUNT_OF(rows));
}

static void test_quantifiers(void **state)
{
	static const struct row rows[] = {
		{ "^ab*$", "a", YES }, { "^ab*$", "abbb", YES }, { "^ab+$", "a", NO }, { "^ab?$", "abb", NO },
		{ "^a{2}$", "aa", YES }, { "^a{2}$", "aaa", NO }, { "^a{2,}$", "aaaa", YES }, { "^a{2,3}$", "aaaa", NO }, { "^a{0,1}$", "", YES }, { "^(ab){2}$", "abab", YES },
		{ "^a{,2}$", "aa", YES }, { "^a{,2}$", "", YES }, { "^a{,2}$", "aaa", NO }, { "a{3,2}", "a", BAD },
		/* a second quantifier repeats what the first one made: neither lazy nor possessive */
		{ "^a+?$", "", YES }, { "^a+?$", "aaa", YES }, { "^a*+$", "aaa", YES }, { "^a*+a$", "aaa", YES }, { "^a??$", "a", YES }, { "^a{2}{3}$", "aaaaaa", YES }, { "^a{2}{3}$", "aaaaa", NO },
		{ "^(ab)+*$", "", YES }, { "^(ab)+*c$", "ababc", YES }, { "^[ab]+?$", "", YES }, { "^a**b$", "aab", YES }, { "^xa+*?$", "x", YES }, { "^a{1}+?$", "", YES },
		{ "*", "", BAD }, { "+a", "", BAD }, { "?", "", BAD }, { "{2}", "", BAD }, { "a|*b", "", BAD }, { "(*a)", "", BAD }, { "(+)", "", BAD }, { "^*", "", BAD }, { "a(|?b)", "", BAD },
		/* braces that hold no interval are themselves */
		{ "^a{$", "a{", YES }, { "^a{x}$", "a{x}", YES }, { "^a{}$", "a{}", YES }, { "^a{,}$", "a{,}", YES }, { "^a{1$", "a{1", YES }, { "^{$", "{", YES }, { "^a}$", "a}", YES }, { "^a{1,x}$", "a{1,x}", YES },
	};

	judge_all(rows, COUNT_OF(rows));
}

static void test_groups_and_anchors(void **state)
{
	static const struct row rows[] = {
		{ "^(a|b)c$", "bc", YES }, { "^(a|b)c$", "cc", NO }, { "a|^b$|c", "b", YES }, { "()", "", YES }, { "^(a(b(c)))$", "abc", YES }, { "^(a)(b)\\2\\1$", "abba", YES },
		{ "a)", "a)", YES }, { "^)$", ")", YES }, { "(a", "a", BAD }, { "(?:a)", "a", BAD }, { "(?i)a", "A", BAD }, { "(?=a)", "a", BAD }, { "(?", "", BAD },
		{ "^.$", "\n", YES }, { "^a.b$", "a\nb", YES }, { "^a$", "a\n", NO }, { "^b", "a\nb", NO }, { "a$", "a\nb", NO }, { "", "", YES }, { "", "a", YES }, { "^$", "", YES }, { "^$", "a", NO },
		{ "a", "A", NO },
	};

	judge_all(rows, COUNT_OF(rows));
	assert_int_equal(judge("^aLiCe$", VIEW("AlIcE"), true), YES);
	assert_int_equal(judge("^[a-c]+$", VIEW("ABC"), true), YES);
	assert_int_equal(judge("^a.b$", view_of("a\0b", 3), false), YES);
}

static void test_backslashes(void **state)
{
	static const struct row rows[] = {
		{ "^\\.$", ".", YES }, { "^\\.$", "a", NO }, { "^\\*\\+\\?\\(\\)\\[\\]\\{\\}\\|\\^\\$\\\\$", "*+?()[]{}|^$\\", YES }, { "^a\\/b$", "a/b", YES }, { "^\\@\\-\\:$", "@-:", YES },
		{ "\\<sip", "a sip:", YES }, { "\\<sip", "gossip", NO }, { "sip\\>", "gossip!", YES }, { "sip\\>", "sips", NO }, { "\\<", "...", NO }, { "\\bab\\b", "x ab y", YES }, { "a\\Bb", "ab", YES },
		{ "^\\w+$", "a_1", YES }, { "^\\W$", "-", YES }, { "^\\s\\S$", " x", YES }, { "^\\d+$", "123", YES }, { "^\\D$", "1", NO }, { "^a\\nb$", "a\nb", YES }, { "^\\t\\r$", "\t\r", YES },
		/* what only PCRE knows stands for its letter */
		{ "^\\Qa*\\E$", "QaaE", YES }, { "^a\\Kb$", "aKb", YES }, { "^\\x41$", "x41", YES }, { "^\\p$", "p", YES }, { "^\\Aa\\z$", "Aaz", YES }, { "^\\e\\f\\a$", "efa", YES }, { "^\\Q+$", "QQ", YES },
		{ "a\\", "a", BAD }, { "\\", "\\", BAD }, { "\\1", "a", BAD },
	};

	judge_all(rows, COUNT_OF(rows));
}

static void test_groups_are_told(void **state)
{
	char          why[128];
	struct out    err = out_to(why, sizeof why);
	struct regex *re = regex_new(VIEW("(a)|(b)(c)?"), false, true, &err);
	size_t        g[10][2];

	assert_non_null(re);
	assert_int_equal(regex_match(re, VIEW("xxb"), 0, g, 10), 3);
	assert_int_equal(g[0][0], 2);
	assert_int_equal(g[0][1], 3);
	assert_true(g[1][0] == SIZE_MAX && g[3][0] == SIZE_MAX && g[9][1] == SIZE_MAX);
	assert_int_equal(g[2][0], 2);
	assert_int_equal(regex_match(re, VIEW("ab"), 1, g, 1), 3);
	assert_int_equal(g[0][0], 1);
	assert_int_equal(regex_match(re, VIEW("ab"), 2, g, 1), 0);
	assert_int_equal(regex_match(re, VIEW_NONE, 0, g, 10), 0);
	regex_free(re);
	regex_free(NULL);

	/* More groups than are told: what is asked for is there. */
	re = regex_new(VIEW("(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)"), false, true, &err);
	assert_non_null(re);
	assert_int_equal(regex_match(re, VIEW("abcdefghijklmnopqr"), 0, g, 10), 16);
	assert_int_equal(g[9][0], 8);
	regex_free(re);
}

static void test_plain_pcre_is_left_alone(void **state)
{
	char          why[128];
	struct out    err = out_to(why, sizeof why);
	struct regex *re = regex_new(VIEW("^(?:a)+?\\x41$"), false, false, &err);

	assert_non_null(re);
	assert_int_equal(regex_match(re, VIEW("aaA"), 0, NULL, 0), 1);
	regex_free(re);
	assert_null(regex_new(VIEW("(?<"), false, false, &err));
	assert_true(err.n > 0);
}

/* A subject that makes backtracking explode ends at the limit: -1, and soon. */
static void test_match_limit(void **state)
{
	char          why[128], text[64];
	struct out    err = out_to(why, sizeof why);
	struct regex *re = regex_new(VIEW("^(a+)+b$"), false, true, &err);

	assert_non_null(re);
	memset(text, 'a', sizeof text);
	memcpy(text + sizeof text - 2, "cb", 2);
	assert_int_equal(regex_match(re, view_of(text, sizeof text), 0, NULL, 0), -1);
	regex_free(re);

	struct arena *a = arena_new(1 << 20);
	struct subst *s = subst_new(VIEW("/^(a+)+b$/x/"), &err);
	struct view   out;

	assert_non_null(s);
	assert_int_equal(subst_run(s, view_of(text, sizeof text), a, &out), -1);
	subst_free(s);
	subst_free(NULL);
	arena_free(a);
}

/* A repeated group over a whole body is no attack. */
static void test_long_subject(void **state)
{
	static char   body[16000];
	char          why[128];
	struct out    err = out_to(why, sizeof why);
	struct regex *re = regex_new(VIEW("^(a|b)*c$"), false, true, &err);

	assert_non_null(re);
	memset(body, 'a', sizeof body - 1);
	body[sizeof body - 1] = 'c';
	assert_int_equal(regex_match(re, view_of(body, 4000), 0, NULL, 0), 0);
	assert_true(regex_match(re, view_of(body + sizeof body - 4000, 4000), 0, NULL, 0) > 0);
	regex_free(re);
}

static void test_bounds_of_patterns(void **state)
{
	char          why[128], deep[130], stars[400];
	struct out    err = out_to(why, sizeof why);
	struct regex *re;

	memset(deep, '(', 65);
	memset(deep + 65, ')', 65);
	assert_null(regex_new(view_of(deep, sizeof deep), false, true, &err));
	re = regex_new(view_of(deep + 1, sizeof deep - 2), false, true, &err);
	assert_non_null(re);
	regex_free(re);
	/* Every quantifier behind another wraps all that stands before: it stays inside its room, whatever PCRE says to the depth. */
	memset(stars, '*', sizeof stars);
	stars[0] = 'a';
	for (size_t n = 2; n < sizeof stars; n += 7) {
		re = regex_new(view_of(stars, n), false, true, &err);
		if (re)
			assert_true(regex_match(re, VIEW("aaa"), 0, NULL, 0) != 0);
		regex_free(re);
	}
	assert_null(regex_new(VIEW("a{99999}"), false, true, &err));
}

struct change { const char *expression, *in, *out; int hits; };

static void test_substitution(void **state)
{
	static const struct change rows[] = {
		{ "/a/b/", "aaa", "baa", 1 }, { "/a/b/g", "aaa", "bbb", 3 }, { "/A/b/i", "aaa", "baa", 1 }, { "/A/b/gi", "aAa", "bbb", 3 }, { "/x/y/g", "aaa", "aaa", 0 }, { "/x/y/", "", "", 0 },
		{ "/a//g", "banana", "bnn", 3 }, { "#/#\\\\#g", "a/b/c", "a\\b\\c", 2 }, { "/\\//-/", "a/b", "a-b", 1 }, { "|a\\|b|x|", "a|b", "x", 1 },
		{ "/(a)(b)?/[\\1\\2\\3]/g", "aba", "[ab][a]", 2 }, { "/(.)(.)/\\2\\1/g", "abcd", "badc", 2 }, { "/.*/<\\0>/", "abc", "<abc>", 1 }, { "/b/\\\\/", "abc", "a\\c", 1 },
		{ "/b/\\n\\r\\t/", "abc", "a\n\r\tc", 1 }, { "/b/\\//", "abc", "a/c", 1 }, { "/b/x\\/y/", "abc", "ax/yc", 1 }, { "/(a)(b)(c)(d)(e)(f)(g)(h)(i)/\\9\\1/", "abcdefghi", "ia", 1 },
		/* empty matches move on */
		{ "/x*/-/g", "abc", "-a-b-c-", 4 }, { "/^/>/", "abc", ">abc", 1 }, { "/^/>/g", "abc", ">abc", 1 }, { "/$/</g", "abc", "abc<", 1 }, { "/x*/-/", "abc", "-abc", 1 }, { "/^$/e/", "", "e", 1 }, { "//x/", "ab", "xab", 1 },
		/* lines: each has its own ends, and a dot stays in one, until s */
		{ "/^./X/g", "ab\ncd", "Xb\nXd", 2 }, { "/.$/X/g", "ab\ncd", "aX\ncX", 2 }, { "/a.*d/X/", "ab\ncd", "ab\ncd", 0 }, { "/a.*d/X/s", "ab\ncd", "X", 1 }, { "/^./X/gs", "ab\ncd", "Xb\ncd", 1 },
		{ "/^m=.*$/m=none/g", "v=0\nm=audio\nm=video\n", "v=0\nm=none\nm=none\n", 2 },
	};
	struct arena *a = arena_new(8 << 20);

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char          why[128];
		struct out    err = out_to(why, sizeof why);
		struct subst *s = subst_new(view_str(rows[i].expression), &err);
		struct view   out = VIEW_NONE;

		if (!s)
			fail_msg("%s is refused: %.*s", rows[i].expression, (int)err.n, why);
		int hits = subst_run(s, view_str(rows[i].in), a, &out);
		if (hits != rows[i].hits || !view_is(out, view_str(rows[i].out)))
			fail_msg("%s on \"%s\": %d \"%.*s\", wanted %d \"%s\"", rows[i].expression, rows[i].in, hits, VIEW_ARG(out), rows[i].hits, rows[i].out);
		subst_free(s);
	}
	arena_free(a);
}

static void test_substitutions_that_are_none(void **state)
{
	static const char *const bad[] = { "", "/", "//", "/a", "/a/", "/a/b", "/a/b/x", "/a/b/gz", "/*/b/", "/(/b/", "/[/b/", "/a\\/b/", "/a/b\\/g" };
	char       why[128];
	struct out err;

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		err = out_to(why, sizeof why);
		if (subst_new(view_str(bad[i]), &err))
			fail_msg("%s is taken", bad[i]);
		assert_true(err.n > 0);
	}
}

/* What would not fit is an error, never a cut text; a full arena too. */
static void test_substitution_is_bounded(void **state)
{
	static char   in[30000];
	char          why[128];
	struct out    err = out_to(why, sizeof why);
	struct subst *s = subst_new(VIEW("/./0123456789/g"), &err);
	struct arena *small = arena_new(4096), *big = arena_new(4 << 20);
	struct view   out = VIEW("untouched");

	memset(in, 'x', sizeof in);
	assert_non_null(s);
	assert_int_equal(subst_run(s, view_of(in, sizeof in), small, &out), -1);
	assert_int_equal(subst_run(s, view_of(in, sizeof in), big, &out), -1);
	assert_true(view_is(out, VIEW("untouched")));
	assert_int_equal(subst_run(s, view_of(in, 100), big, &out), 100);
	assert_int_equal(out.n, 1000);
	subst_free(s);
	arena_free(small);
	arena_free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_brackets), cmocka_unit_test(test_quantifiers), cmocka_unit_test(test_groups_and_anchors), cmocka_unit_test(test_backslashes),
		cmocka_unit_test(test_groups_are_told), cmocka_unit_test(test_plain_pcre_is_left_alone), cmocka_unit_test(test_match_limit), cmocka_unit_test(test_long_subject),
		cmocka_unit_test(test_bounds_of_patterns), cmocka_unit_test(test_substitution), cmocka_unit_test(test_substitutions_that_are_none),
		cmocka_unit_test(test_substitution_is_bounded),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);

	arena_thread_done();
	regex_thread_done();
	return rc;
}
