#include "edits.h"

#define HEAD(extra) "INVITE sip:bob@example.com;x=1 SIP/2.0\r\n" \
	"Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK1\r\n" \
	"Max-Forwards: 70\r\n" \
	"From: <sip:alice@atlanta.com>;tag=a\r\n" \
	"To: <sip:bob@example.com>\r\n" \
	"Call-ID: c1\r\n" \
	"CSeq: 1 INVITE\r\n" \
	"User-Agent: Phone 1.0 (Phone OS)\r\n" \
	"X-A: one two one\r\n" extra
#define MSG HEAD("Content-Type: text/plain\r\n\r\n") "alpha beta\r\ngamma alpha\r\n\r\nalpha\r\n"
#define BODY "alpha beta\r\ngamma alpha\r\n\r\nalpha\r\n"

static const struct scene searches[] = {
	{ "search", MSG, .calls = { { "search", 1, { "^user-agent: .*OS\\)$" } }, { "search", 1, { "^gamma" } }, { "search", 1, { "INVITE sip:bob@" } }, { "search", -1, { "one.*Content" } }, { "search", 1, { "one\r\n" } } }, .body = BODY },
	{ "search_body", MSG, .calls = { { "search_body", 1, { "beta$" } }, { "search_body", -1, { "Phone" } }, { "search_body", -1, { "beta.*gamma" } } } },
	{ "search sees what was received", MSG, .calls = { { "replace", 1, { "Phone 1.0", "Other" } }, { "search", 1, { "Phone 1.0" } } } },
};

static const struct scene replaces[] = {
	{ "replace", MSG, .calls = { { "replace", 1, { "Phone", "Tele" } } }, .has = { "User-Agent: Tele 1.0 (Phone OS)\r\n" } },
	{ "replace ends with the line", MSG, .calls = { { "replace", 1, { "^User-Agent: .*", "User-Agent: none" } } }, .has = { "User-Agent: none\r\nX-A: one two one\r\n" } },
	{ "replace a whole line by nothing", MSG, .calls = { { "replace", 1, { "^User-Agent: .*\r\n", "" } } }, .has = { "CSeq: 1 INVITE\r\nX-A:" } },
	{ "replace empties a line", MSG, .calls = { { "replace", 1, { "^User-Agent.*", "" } } }, .has = { "CSeq: 1 INVITE\r\nX-A:" } },
	{ "replace may add header lines", MSG, .calls = { { "replace", 1, { "two one", "three\r\nX-B: four" } } }, .has = { "X-A: one three\r\nX-B: four\r\nContent-Type" } },
	{ "replace cannot end the header section", MSG, .calls = { { "replace", -1, { "two one", "three\r\n\r\nX-B: four" } } }, .has = { "X-A: one two one\r\n" } },
	{ "replace leaves header lines", MSG, .calls = { { "replace", -1, { "X-A:", "X-A" } }, { "replace", -1, { "two", "a\nX-B: c" } } }, .has = { "X-A: one two one\r\n" } },
	{ "replace leaves the first line", MSG, .calls = { { "replace", 1, { "bob@example.com", "carol@example.com" } } }, .has = { "INVITE sip:bob@example.com;x=1 SIP/2.0", "To: <sip:carol@example.com>" } },
	{ "replace in the body", MSG, .calls = { { "replace", 1, { "gamma", "delta" } }, { "replace", -1, { "nowhere", "x" } } }, .body = "alpha beta\r\ndelta alpha\r\n\r\nalpha\r\n" },
	{ "replace keeps our marks on Via", MSG, .calls = { { "replace", 1, { "branch=z9hG4bK1", "branch=z9hG4bK2" } } }, .has = { "Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK2\r\n" } },
	{ "replace_all", MSG, .calls = { { "replace_all", 1, { "one|alpha", "1" } } }, .has = { "X-A: 1 two 1\r\n" }, .body = "1 beta\r\ngamma 1\r\n\r\n1\r\n" },
	{ "replace_body", MSG, .calls = { { "replace_body", 1, { "alpha", "a" } }, { "replace_body", 1, { "alpha", "b" } }, { "replace_body", -1, { "Phone", "b" } } }, .body = "a beta\r\ngamma b\r\n\r\nalpha\r\n" },
	{ "replace_body_all", MSG, .calls = { { "replace_body_all", 1, { "^alpha", "longer than before" } } }, .body = "longer than before beta\r\ngamma alpha\r\n\r\nlonger than before\r\n" },
	{ "replace_body_all of nothing", MSG, .calls = { { "replace_body_all", 1, { "x*", "-" } } }, .body = "-alpha beta\r\n-gamma alpha\r\n-\r\n-alpha\r\n" },
	{ "replace_body_atonce", MSG, .calls = { { "replace_body_atonce", 1, { "beta.*gamma", "-" } }, { "replace_body_atonce", 1, { ".*", "all" } } }, .body = "all" },
	{ "replace_body_atonce by nothing", MSG, .calls = { { "replace_body_atonce", 1, { ".*", "" } }, { "replace_body", -1, { "alpha", "x" } } }, .body = "" },
	{ "search_append", MSG, .calls = { { "search_append", 1, { "^X-A: one", " and a half" } }, { "search_append", -1, { "nowhere", "x" } } }, .has = { "X-A: one and a half two one\r\n" } },
	{ "search_append_body", MSG, .calls = { { "search_append_body", 1, { "gamma", "!" } } }, .body = "alpha beta\r\ngamma! alpha\r\n\r\nalpha\r\n" },
	{ "no body", HEAD("Content-Length: 0\r\n\r\n"), .calls = { { "replace_body", -1, { "a", "b" } }, { "search_body", -1, { "a" } }, { "replace_body_atonce", -1, { "a*", "b" } } }, .body = "" },
};

static const struct scene substs[] = {
	{ "subst", MSG, .calls = { { "subst", 1, { "/^User-Agent: ([A-Za-z]+) ([0-9.]+).*/User-Agent: \\2 of \\1/" } } }, .has = { "User-Agent: 1.0 of Phone\r\n" } },
	{ "subst once", MSG, .calls = { { "subst", 1, { "/\\bone/1/" } } }, .has = { "X-A: 1 two one\r\n" }, .body = BODY },
	{ "subst everywhere", MSG, .calls = { { "subst", 1, { "/ONE|ALPHA/1/gi" } } }, .has = { "X-A: 1 two 1\r\n" }, .body = "1 beta\r\ngamma 1\r\n\r\n1\r\n" },
	{ "subst respects case", MSG, .calls = { { "subst", -1, { "/ONE/1/" } } } },
	{ "subst adds a line", MSG, .calls = { { "subst", 1, { "/^X-A: (.*)$/X-A: \\1\\r\\nX-B: \\1/" } } }, .has = { "X-A: one two one\r\nX-B: one two one\r\nContent-Type" } },
	{ "subst cannot end the header section", MSG, .calls = { { "subst", -1, { "/two one/\\r\\n\\r\\nbody/" } } }, .has = { "X-A: one two one\r\n" } },
	{ "subst with the request URI", MSG, .calls = { { "subst", 1, { "|^X-A: .*$|X-A: <\\u>\\|\\\\u|" } }, { "subst_user", 1, { "/^.*$/a-b/" } }, { "subst_body", 1, { "/gamma/\\u/" } } },
		.has = { "X-A: <sip:bob@example.com;x=1>|\\u\r\n", "\r\nsip:a-b@example.com;x=1 alpha\r\n" } },
	{ "subst over lines", MSG, .calls = { { "subst", 1, { "/User-Agent.*X-A: one/X-A: 1/s" } } }, .has = { "CSeq: 1 INVITE\r\nX-A: 1 two one\r\n" } },
	{ "subst with another delimiter", MSG, .calls = { { "subst", 1, { "|SIP/2.0/UDP|SIP/2.0/TCP|" } } }, .has = { "Via: SIP/2.0/TCP 198.51.100.7" } },
	{ "subst_body", MSG, .calls = { { "subst_body", 1, { "/^(alpha)/<\\0>/g" } }, { "subst_body", -1, { "/Phone/x/" } }, { "subst_body", 1, { "/beta\\r\\ngamma/-/s" } } }, .body = "<alpha> - alpha\r\n\r\n<alpha>\r\n" },
	{ "subst_uri", MSG, .calls = { { "subst_uri", 1, { "/^sip:([^@]*)@(.*)$/sip:+49\\1@\\2/" } }, { "subst_uri", 1, { "/bob/carol/" } } }, .has = { "INVITE sip:+49carol@example.com;x=1 SIP/2.0" } },
	{ "subst_uri leaves a URI", MSG, .calls = { { "subst_uri", -1, { "/^sip:/ /" } }, { "subst_uri", -1, { "/;x=1/ SIP\\/2.0\\r\\nX: y/" } } }, .has = { "INVITE sip:bob@example.com;x=1 SIP/2.0" } },
	{ "subst_user", MSG, .calls = { { "subst_user", 1, { "/^b/r/" } }, { "subst_user", -1, { "/example/x/" } } }, .has = { "INVITE sip:rob@example.com;x=1 SIP/2.0" } },
	{ "subst_user of none", "OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=a\r\nTo: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n",
		.calls = { { "subst_user", 1, { "/^$/ping/" } } }, .has = { "OPTIONS sip:ping@example.com SIP/2.0" } },
};

static void play_all(const struct scene *s, size_t n)
{
	void *state;

	stand_up();
	void *slots[MOD_COUNT] = { NULL };
	stand.w.mod = slots;
	assert_true(mod_textops.worker_init(&stand.w, NULL, &state));
	slots[MOD_textops] = state;
	/* Twice: what the first round compiled serves the second. */
	for (size_t i = 0; i < 2 * n; i++)
		play(&s[i % n], &mod_textops);
	mod_textops.worker_done(&stand.w, state);
	stand_down();
	regex_thread_done();
}

static void play_searches(void **state) { play_all(searches, COUNT_OF(searches)); }
static void play_replaces(void **state) { play_all(replaces, COUNT_OF(replaces)); }
static void play_substs(void **state)   { play_all(substs, COUNT_OF(substs)); }

static void checks(void **state)
{
	static const struct { const char *e; bool ok; } rows[] = {
		{ "/a/b/", true }, { "/a/b/gis", true }, { "/a$/b/", true }, { "/a/\\$x/", true }, { "/a/5$/", true }, { "/a/b/x", false }, { "/a/b", false },
		{ "/(/b/", false }, { "/a/$fu/", false }, { "/a/x$(fu)/", false }, { "", false },
	};
	const struct script_func *f = mod_textops.funcs;

	while (strcmp(f->name, "subst") != 0)
		f++;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char             why[128];
		struct out       err = out_to(why, sizeof why);
		const struct arg a = { .given = true, .s = view_str(rows[i].e) };
		if (f->check(NULL, &a, &err) != rows[i].ok)
			fail_msg("%s", rows[i].e);
		assert_int_equal(err.n > 0, !rows[i].ok);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(play_searches), cmocka_unit_test(play_replaces), cmocka_unit_test(play_substs), cmocka_unit_test(checks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
