/* Regular expressions on PCRE2.  The language promises POSIX extended syntax for =~ and the subst functions; the translation below
 * keeps its meaning where PCRE differs: a backslash inside brackets is literal, a second quantifier applies to the first one's
 * result (no lazy or possessive forms), "(?" is an error, `.` matches a newline.  What remains different is the choice among
 * alternatives (leftmost-first instead of leftmost-longest); it can only show in what subst replaces. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "script/script.h"
#include <pcre2.h>
#include <pthread.h>

struct regex { pcre2_code *code; };

static _Thread_local pcre2_match_data *match_data;
static _Thread_local pcre2_match_context *match_context;

/* A thread that ends gives its matching memory back by itself. */
static pthread_once_t at_end_once = PTHREAD_ONCE_INIT;
static pthread_key_t  at_end;

static void thread_ends(void *mark) { regex_thread_done(); }
static void make_at_end(void) { must(pthread_key_create(&at_end, thread_ends) == 0); }

struct translation { struct out o; size_t atom; bool has_atom, quantified; };

static bool is_quantifier(struct view p, size_t i)
{
	char c = p.p[i];

	if (c == '*' || c == '+' || c == '?')
		return true;
	if (c != '{')
		return false;
	size_t j = i + 1;
	while (j < p.n && p.p[j] >= '0' && p.p[j] <= '9')
		j++;
	if (j == i + 1 && (j + 1 >= p.n || p.p[j] != ',' || p.p[j + 1] == '}'))
		return false;
	if (j < p.n && p.p[j] == ',')
		for (j++; j < p.n && p.p[j] >= '0' && p.p[j] <= '9'; j++)
			;
	return j < p.n && p.p[j] == '}';
}

/* Wrap what was last quantified into a group, so that another quantifier applies to it as a whole. */
static void wrap_atom(struct translation *t)
{
	struct out *o = &t->o;

	if (o->n + 4 > o->cap) {
		o->full = true;
		return;
	}
	memmove(o->p + t->atom + 3, o->p + t->atom, o->n - t->atom);
	memcpy(o->p + t->atom, "(?:", 3);
	o->n += 3;
	put_char(o, ')');
}

/* [.x.] and [=x=]: the byte itself, as in the POSIX locale, which has no collating elements of several. */
static size_t copy_element(struct translation *t, struct view p, size_t i)
{
	char kind = p.p[i + 1];

	if (i + 4 >= p.n || p.p[i + 3] != kind || p.p[i + 4] != ']')
		return 0;
	if (memchr("\\[]^-", p.p[i + 2], 5))
		put_char(&t->o, '\\');
	put_char(&t->o, p.p[i + 2]);
	return i + 5;
}

/* [...] with POSIX rules; returns the index after the closing bracket, or 0 when it never closes. */
static size_t copy_brackets(struct translation *t, struct view p, size_t i)
{
	i++;

	put_char(&t->o, '[');
	if (i < p.n && p.p[i] == '^')
		put_char(&t->o, p.p[i++]);
	for (bool first = true; i < p.n; first = false) {
		char c = p.p[i];
		if (c == ']' && !first) {
			put_char(&t->o, ']');
			return i + 1;
		}
		if (c == '[' && i + 1 < p.n && p.p[i + 1] == ':') {
			struct view rest = view_from(p, i);
			size_t end = view_find_view(rest, VIEW(":]"));
			if (end == rest.n)
				return 0;
			put(&t->o, view_sub(rest, 0, end + 2));
			i += end + 2;
			continue;
		}
		if (c == '[' && i + 1 < p.n && (p.p[i + 1] == '.' || p.p[i + 1] == '=')) {
			i = copy_element(t, p, i);
			if (!i)
				return 0;
			continue;
		}
		if (c == '\\' || c == '[' || (c == ']' && first))
			put_char(&t->o, '\\');
		put_char(&t->o, c);
		i++;
	}
	return 0;
}

/* Letters that keep a meaning behind a backslash: the classes and borders of GNU, and line ends.  PCRE gives one to most others
 * (\Q, \K, \x, \p, ...); in POSIX they stand for themselves. */
#define KEPT_ESCAPES "dDwWsSbBnrt"
static bool letter(char c) { return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z'; }

static bool translate_posix(struct view p, struct translation *t, struct out *err)
{
	size_t group[64], depth = 0;

	for (size_t i = 0; i < p.n && !t->o.full; ) {
		char c = p.p[i];
		size_t at = t->o.n;
		if (is_quantifier(p, i)) {
			size_t end = c == '{' ? i + 1 + view_find(view_from(p, i + 1), '}') + 1 : i + 1;
			if (!t->has_atom) {
				putf(err, "quantifier without anything before it");
				return false;
			}
			if (t->quantified)
				wrap_atom(t);
			put(&t->o, c == '{' && p.p[i + 1] == ',' ? VIEW("{0") : VIEW(""));
			put(&t->o, c == '{' && p.p[i + 1] == ',' ? view_sub(p, i + 1, end - i - 1) : view_sub(p, i, end - i));
			t->quantified = true;
			i = end;
			continue;
		}
		t->quantified = false;
		if (c == '[') {
			i = copy_brackets(t, p, i);
			if (!i) {
				putf(err, "bracket expression does not end");
				return false;
			}
			t->atom = at;
			t->has_atom = true;
		} else if (c == '(') {
			if (i + 1 < p.n && p.p[i + 1] == '?') {
				putf(err, "\"(?\" is not a POSIX expression");
				return false;
			}
			if (depth == COUNT_OF(group)) {
				putf(err, "groups nest too deeply");
				return false;
			}
			group[depth++] = at;
			put_char(&t->o, '(');
			t->has_atom = false;
			i++;
		} else if (c == ')' && depth) {
			put_char(&t->o, ')');
			t->atom = group[--depth];
			t->has_atom = true;
			i++;
		} else if (c == '\\' && i + 1 < p.n) {
			char e = p.p[i + 1];
			if (e == '<' || e == '>')
				put(&t->o, e == '<' ? VIEW("\\b(?=\\w)") : VIEW("\\b(?<=\\w)"));
			else if (letter(e) && !memchr(KEPT_ESCAPES, e, sizeof KEPT_ESCAPES - 1))
				put_char(&t->o, e);
			else
				put(&t->o, view_sub(p, i, 2));
			t->atom = at;
			t->has_atom = true;
			i += 2;
		} else {
			if (c == '{' || c == ')')
				put_char(&t->o, '\\');
			put_char(&t->o, c);
			t->atom = at;
			t->has_atom = c != '|' && c != '^';
			i++;
		}
	}
	if (t->o.full)
		putf(err, "expression too long");
	return !t->o.full;
}

static struct regex *compile(struct view pattern, uint32_t options, struct out *err)
{
	int code;
	PCRE2_SIZE where;
	struct regex *re = calloc(1, sizeof *re);

	if (!re) {
		putf(err, "out of memory");
		return NULL;
	}
	re->code = pcre2_compile((PCRE2_SPTR)(pattern.n ? pattern.p : ""), pattern.n, options, &code, &where, NULL);
	if (!re->code) {
		unsigned char text[128];
		pcre2_get_error_message(code, text, sizeof text);
		putf(err, "%s (at character %zu)", text, (size_t)where + 1);
		free(re);
		return NULL;
	}
	pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE);
	return re;
}

static struct regex *regex_with(struct view pattern, uint32_t options, bool posix, struct out *err)
{
	if (!posix)
		return compile(pattern, options, err);

	size_t cap = pattern.n * 8 + 64;
	char *space = malloc(cap);
	if (!space) {
		putf(err, "out of memory");
		return NULL;
	}
	struct translation t = { .o = out_to(space, cap) };
	struct regex *re = translate_posix(pattern, &t, err) ? compile(out_view(&t.o), options, err) : NULL;
	free(space);
	return re;
}

struct regex *regex_new(struct view pattern, bool icase, bool posix, struct out *err)
{
	return regex_with(pattern, PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY | (icase ? PCRE2_CASELESS : 0), posix, err);
}

void regex_free(struct regex *re)
{
	if (!re)
		return;
	pcre2_code_free(re->code);
	free(re);
}

void regex_thread_done(void)
{
	pcre2_match_data_free(match_data);
	pcre2_match_context_free(match_context);
	match_data = NULL;
	match_context = NULL;
}

int regex_match(const struct regex *re, struct view subject, size_t start, size_t (*groups)[2], int n)
{
	if (!match_data) {
		pthread_once(&at_end_once, make_at_end);
		pthread_setspecific(at_end, &at_end);
		match_data = pcre2_match_data_create(16, NULL);
		match_context = pcre2_match_context_create(NULL);
		if (!match_data || !match_context) {
			regex_thread_done();
			return -1;
		}
		pcre2_set_match_limit(match_context, REGEX_MATCH_LIMIT);
		pcre2_set_depth_limit(match_context, REGEX_MATCH_LIMIT / 10);
	}
	must(start <= subject.n);
	PCRE2_SPTR bytes = (PCRE2_SPTR)(subject.n ? subject.p : "");
	int rc = pcre2_match(re->code, bytes, subject.n, start, 0, match_data, match_context);
	/* The compiled code's stack is small: a group repeated over a body outgrows it, where the interpreter needs only time, of which
	 * the match limit gives no more. */
	if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
		rc = pcre2_match(re->code, bytes, subject.n, start, PCRE2_NO_JIT, match_data, match_context);
	if (rc == PCRE2_ERROR_NOMATCH)
		return 0;
	if (rc < 0)
		return -1;
	const PCRE2_SIZE *v = pcre2_get_ovector_pointer(match_data);
	int got = rc == 0 ? 16 : rc;
	for (int i = 0; i < n; i++) {
		groups[i][0] = i < got ? v[2 * i] : PCRE2_UNSET;
		groups[i][1] = i < got ? v[2 * i + 1] : PCRE2_UNSET;
	}
	return got;
}

/* ---- /re/replacement/flags ------------------------------------------------------------------------------------ */

struct subst { struct regex *re; bool global; size_t n; char text[]; /* the replacement, \1.. as written */ };

/* The part up to the next unescaped delimiter; an escaped delimiter loses its backslash later. */
static bool subst_part(struct view *rest, char delimiter, struct view *part)
{
	for (size_t i = 0; i < rest->n; i++) {
		if (rest->p[i] == '\\' && i + 1 < rest->n) {
			i++;
			continue;
		}
		if (rest->p[i] == delimiter) {
			*part = view_sub(*rest, 0, i);
			*rest = view_from(*rest, i + 1);
			return true;
		}
	}
	return false;
}

struct subst *subst_new(struct view expression, struct out *err)
{
	struct view rest = expression, re, repl;

	if (rest.n < 3) {
		putf(err, "a substitution is written /expression/replacement/flags");
		return NULL;
	}
	char delimiter = rest.p[0];
	rest = view_from(rest, 1);
	if (!subst_part(&rest, delimiter, &re) || !subst_part(&rest, delimiter, &repl)) {
		putf(err, "a substitution is written /expression/replacement/flags");
		return NULL;
	}
	uint32_t options = PCRE2_MULTILINE;
	bool global = false;
	for (size_t i = 0; i < rest.n; i++) {
		switch (rest.p[i]) {
		case 'i': options |= PCRE2_CASELESS; break;
		case 'g': global = true; break;
		case 's': options = (options & ~PCRE2_MULTILINE) | PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY; break;
		default:
			putf(err, "unknown substitution flag '%c'", rest.p[i]);
			return NULL;
		}
	}
	struct subst *s = malloc(sizeof *s + repl.n);
	if (!s) {
		putf(err, "out of memory");
		return NULL;
	}
	s->re = regex_with(re, options, true, err);
	if (!s->re) {
		free(s);
		return NULL;
	}
	s->global = global;
	s->n = repl.n;
	memcpy(s->text, repl.p, repl.n);
	return s;
}

void subst_free(struct subst *s)
{
	if (!s)
		return;
	regex_free(s->re);
	free(s);
}

static void put_replacement(struct out *o, const struct subst *s, struct view in, size_t (*g)[2])
{
	for (size_t i = 0; i < s->n; i++) {
		char c = s->text[i];
		if (c != '\\' || i + 1 == s->n) {
			put_char(o, c);
			continue;
		}
		c = s->text[++i];
		if (c >= '0' && c <= '9') {
			size_t *at = g[c - '0'];
			if (at[0] != PCRE2_UNSET)
				put(o, view_sub(in, at[0], at[1] - at[0]));
		} else if (c == 'n' || c == 'r' || c == 't') {
			put_char(o, c == 'n' ? '\n' : c == 'r' ? '\r' : '\t');
		} else {
			put_char(o, c);
		}
	}
}

int subst_run(const struct subst *s, struct view in, struct arena *a, struct view *out)
{
	size_t cap = in.n * 2 + s->n * 8 + SCRIPT_STRING_BYTES, at = 0, g[10][2];
	char *space = arena_alloc(a, cap);
	int hits = 0;

	if (!space)
		return -1;
	struct out o = out_to(space, cap);
	while (at <= in.n) {
		int rc = regex_match(s->re, in, at, g, 10);
		if (rc < 0)
			return -1;
		if (rc == 0)
			break;
		hits++;
		put(&o, view_sub(in, at, g[0][0] - at));
		put_replacement(&o, s, in, g);
		at = g[0][1];
		if (g[0][1] == g[0][0]) {           /* an empty match moves on by one byte, or the loop would stand still */
			if (at < in.n)
				put_char(&o, in.p[at]);
			at++;
		}
		if (!s->global)
			break;
	}
	if (o.full)
		return -1;
	if (at < in.n)
		put(&o, view_from(in, at));
	*out = out_view(&o);
	return o.full ? -1 : hits;
}
