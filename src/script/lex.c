/* Text to tokens (opensips-language section 1, lexical rules). */
#include "script/ast.h"
#include <stdarg.h>
#include <stdio.h>

static struct view text_of(const struct lex *x) { return x->l->src.text; }
static char char_at(const struct lex *x, size_t i) { return i < text_of(x).n ? text_of(x).p[i] : '\0'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_word(char c) { return is_alpha(c) || is_digit(c) || c == '_'; }
static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\b'; }

void *lex_fail(struct lex *x, uint32_t at, uint32_t len, struct view hint, const char *fmt, ...)
{
	if (!x->failed) {
		char    text[512];
		va_list ap;
		va_start(ap, fmt);
		vsnprintf(text, sizeof text, fmt, ap);
		va_end(ap);
		err_at(x->l, at, len, hint, "%s", text);
	}
	x->failed = true;
	x->tok = (struct token){ .kind = TOK_END, .at = at };
	x->at = (uint32_t)text_of(x).n;
	return NULL;
}

void lex_begin(struct lex *x, struct loader *l)
{
	*x = (struct lex){ .l = l };
}

/* Nested comments count; false when one never ends. */
static bool skip_comment(struct lex *x)
{
	uint32_t start = x->at;
	unsigned depth = 0;

	do {
		if (x->at + 1 >= text_of(x).n) {
			lex_fail(x, start, 2, VIEW_NONE, "comment does not end");
			return false;
		}
		if (char_at(x, x->at) == '/' && char_at(x, x->at + 1) == '*') {
			depth++;
			x->at += 2;
		} else if (char_at(x, x->at) == '*' && char_at(x, x->at + 1) == '/') {
			depth--;
			x->at += 2;
		} else {
			x->at++;
		}
	} while (depth);
	return true;
}

/* Sets *newline when a line ended on the way. */
static bool skip_blanks(struct lex *x, bool *newline)
{
	while (x->at < text_of(x).n) {
		char c = char_at(x, x->at);
		if (c == '\n')
			*newline = true;
		if (is_blank(c)) {
			x->at++;
		} else if (c == '\\' && char_at(x, x->at + 1) == '\n') {
			x->at += 2;
		} else if (c == '#') {
			while (x->at < text_of(x).n && char_at(x, x->at) != '\n')
				x->at++;
		} else if (c == '/' && char_at(x, x->at + 1) == '*') {
			if (!skip_comment(x))
				return false;
		} else {
			break;
		}
	}
	return true;
}

/* ---- strings -------------------------------------------------------------------------------------------------------- */

/* One escape at in[i] == '\\'; writes what it means and returns how many bytes it took. */
static size_t unescape_one(struct view in, size_t i, struct out *o)
{
	must(in.p[i] == '\\');

	static const char from[] = "nrta\"\\", to[] = "\n\r\t\a\"\\";
	char              c = i + 1 < in.n ? in.p[i + 1] : '\0';
	const char       *simple = c ? strchr(from, c) : NULL;

	if (simple) {
		put_char(o, to[simple - from]);
		return 2;
	}
	if (c == '\n')
		return 2;
	if (c == 'x' && i + 2 < in.n && hex_value(in.p[i + 2]) >= 0) {
		int    v = hex_value(in.p[i + 2]);
		size_t n = 3;
		if (i + 3 < in.n && hex_value(in.p[i + 3]) >= 0) {
			v = v * 16 + hex_value(in.p[i + 3]);
			n = 4;
		}
		put_char(o, (char)v);
		return n;
	}
	/* Two or three octal digits; a single one is a back-reference and stays. */
	size_t n = 0;
	int    v = 0;
	while (n < 3 && i + 1 + n < in.n && in.p[i + 1 + n] >= '0' && in.p[i + 1 + n] <= '7') {
		v = v * 8 + (in.p[i + 1 + n] - '0');
		n++;
	}
	if (n >= 2 && v <= 255) {
		put_char(o, (char)v);
		return 1 + n;
	}
	put_char(o, '\\');
	if (i + 1 < in.n)
		put_char(o, c);
	return i + 1 < in.n ? 2 : 1;
}

/* At the opening quote; the value into *out. */
static bool take_string(struct lex *x, struct view *out)
{
	struct view v = text_of(x);

	must(x->at < v.n);

	char        quote = v.p[x->at];
	uint32_t    start = x->at;
	size_t      i = start + 1;
	bool        escaped = false;

	while (i < v.n && v.p[i] != quote) {
		if (quote == '"' && v.p[i] == '\\') {
			escaped = true;
			i++;
		}
		i++;
	}
	if (i >= v.n) {
		struct view line = view_from(v, start);
		lex_fail(x, start, (uint32_t)view_find(line, '\n'), VIEW_NONE, "string does not end");
		return false;
	}
	struct view raw = view_sub(v, start + 1, i - start - 1);
	x->at = (uint32_t)i + 1;
	*out = raw.n ? raw : VIEW("");
	if (quote == '\'')
		return true;
	if (escaped) {
		struct out o = out_to(arena_alloc(x->l->pub.arena, raw.n + 1), raw.n);
		if (!o.p)
			return lex_fail(x, start, 1, VIEW_NONE, "out of memory") != NULL;
		for (size_t k = 0; k < raw.n; ) {
			if (raw.p[k] == '\\') {
				k += unescape_one(raw, k, &o);
			} else {
				put_char(&o, raw.p[k]);
				k++;
			}
		}
		*out = out_view(&o);
	}
	char       why[200];
	struct out err = out_to(why, sizeof why - 1);
	if (!source_expand_env(&x->l->pub, *out, out, &err)) {
		lex_fail(x, start, x->at - start, VIEW_NONE, VIEW_FMT, VIEW_ARG(out_view(&err)));
		return false;
	}
	return true;
}

/* ---- numbers and addresses -------------------------------------------------------------------------------------------- */

bool parse_number(struct view v, int64_t *out)
{
	bool     minus = v.n && v.p[0] == '-';
	unsigned base = 10;
	int64_t  n = 0;

	if (v.n && (v.p[0] == '-' || v.p[0] == '+'))
		v = view_from(v, 1);
	if (v.n > 2 && v.p[0] == '0' && (v.p[1] | 0x20) == 'x') {
		base = 16;
		v = view_from(v, 2);
	} else if (v.n > 1 && v.p[0] == '0') {
		base = 8;
		v = view_from(v, 1);
	}
	if (!v.n || v.n > 12)
		return false;
	for (size_t i = 0; i < v.n; i++) {
		int d = hex_value(v.p[i]);
		if (d < 0 || d >= (int)base)
			return false;
		n = n * base + d;
	}
	*out = minus ? -n : n;
	return true;
}

bool is_bool_word(struct view v, int64_t *out)
{
	static const struct { struct view word; int64_t value; } words[] = {
		{ VIEW_INIT("yes"), 1 }, { VIEW_INIT("true"), 1 }, { VIEW_INIT("on"), 1 }, { VIEW_INIT("enable"), 1 },
		{ VIEW_INIT("no"), 0 }, { VIEW_INIT("false"), 0 }, { VIEW_INIT("off"), 0 }, { VIEW_INIT("disable"), 0 },
	};

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		if (view_is(v, words[i].word)) {
			*out = words[i].value;
			return true;
		}
	}
	return false;
}

/* An address or net: IPv4 with three dots, IPv6 bare or in brackets, each with an optional /len or /mask. */
static bool take_net(struct lex *x)
{
	struct view v = view_from(text_of(x), x->at);
	size_t      i = 0, dots = 0, colons = 0;

	must(v.n > 0);

	bool        bracket = v.p[0] == '[';

	for (i = bracket; i < v.n && (hex_value(v.p[i]) >= 0 || v.p[i] == '.' || v.p[i] == ':'); i++) {
		dots += v.p[i] == '.';
		colons += v.p[i] == ':';
	}
	if (colons < 2 && (dots != 3 || colons))
		return false;
	size_t end = i;
	if (bracket && (i >= v.n || v.p[i] != ']'))
		return false;
	i += bracket;

	struct addr a;
	if (!addr_parse_ip(view_sub(v, 0, i), &a) && !addr_parse_ip(view_sub(v, bracket, end - bracket), &a))
		return false;
	x->tok = (struct token){ .kind = TOK_NET, .at = x->at };
	x->tok.net = (struct cidr){ a, a.af == AF_V4 ? 32 : 128 };
	if (i < v.n && v.p[i] == '/' && i + 1 < v.n && hex_value(v.p[i + 1]) >= 0) {
		size_t m = i + 1;
		while (m < v.n && (hex_value(v.p[m]) >= 0 || v.p[m] == '.' || v.p[m] == ':'))
			m++;
		char        room[128];
		struct out  o = out_to(room, sizeof room);
		put(&o, view_sub(v, bracket, end - bracket));
		put(&o, view_sub(v, i, m - i));
		if (!cidr_parse(out_view(&o), &x->tok.net)) {
			lex_fail(x, x->at, (uint32_t)m, VIEW_NONE, "bad network mask");
			return true;
		}
		i = m;
	}
	x->tok.len = (uint32_t)i;
	x->tok.text = view_sub(v, 0, i);
	x->at += (uint32_t)i;
	return true;
}

static void take_number(struct lex *x)
{
	uint32_t start = x->at;

	while (is_word(char_at(x, x->at)))
		x->at++;
	x->tok = (struct token){ .kind = TOK_NUM, .at = start, .len = x->at - start, .text = view_sub(text_of(x), start, x->at - start) };
	if (!parse_number(x->tok.text, &x->tok.num) || x->tok.num > UINT32_MAX)
		lex_fail(x, start, x->at - start, VIEW_NONE, "bad number");
}

/* ---- variables -------------------------------------------------------------------------------------------------------- */

static size_t balanced(struct view v, size_t i)
{
	unsigned depth = 0;

	for (; i < v.n; i++) {
		if (v.p[i] == '(')
			depth++;
		else if (v.p[i] == ')' && --depth == 0)
			return i + 1;
	}
	return 0;
}

size_t lex_variable(struct view v)
{
	size_t i = 1;

	if (v.n < 2 || v.p[0] != '$')
		return 0;
	if (v.p[1] == '(')
		return balanced(v, 1);
	while (i < v.n && (is_word(v.p[i]) || v.p[i] == '.'))
		i++;
	if (i == 1)
		return 0;
	if (i < v.n && v.p[i] == '(')
		return balanced(v, i);
	/* A full stop at the end belongs to the sentence around it. */
	while (i > 2 && v.p[i - 1] == '.')
		i--;
	return i;
}

static void take_variable(struct lex *x)
{
	struct view v = view_from(text_of(x), x->at);
	size_t      n = lex_variable(v);

	if (!n) {
		bool open = v.n > 1 && (v.p[1] == '(' || is_word(v.p[1]));
		lex_fail(x, x->at, 1, VIEW_NONE, open ? "variable does not end: a parenthesis is missing" : "a variable name must follow \"$\"");
		return;
	}
	x->tok = (struct token){ .kind = TOK_VAR, .at = x->at, .len = (uint32_t)n, .text = view_sub(v, 0, n) };
	x->at += (uint32_t)n;
	if (char_at(x, x->at) == '[' && v.p[1] != '(')
		lex_fail(x, x->tok.at, x->tok.len + 1, VIEW("write $(name[index])"), "an index stands inside parentheses");
}

/* ---- the next token ------------------------------------------------------------------------------------------------------ */

static bool take_operator(struct lex *x)
{
	static const struct { char text[3]; int op; } ops[] = {
		{ "==", OP_EQ }, { "!=", OP_NE }, { "=~", OP_MATCH }, { "!~", OP_NOMATCH }, { "<=", OP_LE }, { ">=", OP_GE }, { "&&", OP_ANDAND },
		{ "||", OP_OROR }, { "<<", OP_SHL }, { ">>", OP_SHR }, { ":=", OP_REPLACE }, { "+=", OP_ADDTO }, { "-=", OP_SUBTO }, { "*=", OP_MULTO },
		{ "/=", OP_DIVTO }, { "%=", OP_MODTO }, { "&=", OP_ANDTO }, { "|=", OP_ORTO }, { "^=", OP_XORTO },
	};
	char c = char_at(x, x->at), d = char_at(x, x->at + 1);

	for (size_t i = 0; i < COUNT_OF(ops); i++) {
		if (ops[i].text[0] == c && ops[i].text[1] == d) {
			x->tok = (struct token){ .kind = TOK_OP, .op = ops[i].op, .at = x->at, .len = 2, .text = view_sub(text_of(x), x->at, 2) };
			x->at += 2;
			return true;
		}
	}
	if (!strchr("{}()[];,:=<>!+-*/%&|^~.", c))
		return false;
	x->tok = (struct token){ .kind = TOK_OP, .op = c == '<' ? OP_LT_ : c == '>' ? OP_GT_ : c, .at = x->at, .len = 1, .text = view_sub(text_of(x), x->at, 1) };
	x->at++;
	return true;
}

static void take_word(struct lex *x)
{
	static const struct { struct view word; int op; } words[] = {
		{ VIEW_INIT("and"), OP_ANDAND }, { VIEW_INIT("or"), OP_OROR }, { VIEW_INIT("not"), '!' },
	};
	uint32_t start = x->at;

	while (is_word(char_at(x, x->at)))
		x->at++;
	x->tok = (struct token){ .kind = TOK_ID, .at = start, .len = x->at - start, .text = view_sub(text_of(x), start, x->at - start) };
	for (size_t i = 0; i < COUNT_OF(words); i++) {
		if (view_is(x->tok.text, words[i].word)) {
			x->tok.kind = TOK_OP;
			x->tok.op = words[i].op;
		}
	}
	if (is_bool_word(x->tok.text, &x->tok.num))
		x->tok.kind = TOK_NUM;
}

void lex_next(struct lex *x)
{
	bool newline = false;

	if (x->failed)
		return;
	must(x->at <= text_of(x).n);
	x->prev_end = x->tok.at + x->tok.len;
	if (!skip_blanks(x, &newline))
		return;
	if (x->at >= text_of(x).n) {
		x->tok = (struct token){ .kind = TOK_END, .at = text_of(x).n ? (uint32_t)text_of(x).n - 1 : 0, .len = 1 };
		return;
	}
	char c = char_at(x, x->at), d = char_at(x, x->at + 1);

	if (c == '"' || c == '\'') {
		uint32_t    start = x->at;
		struct view v;
		if (take_string(x, &v))
			x->tok = (struct token){ .kind = TOK_STR, .at = start, .len = x->at - start, .text = v };
	} else if (c == '$') {
		take_variable(x);
	} else if ((is_digit(c) || hex_value(c) >= 0 || (c == ':' && d == ':') || (c == '[' && (hex_value(d) >= 0 || d == ':'))) && take_net(x)) {
		return;
	} else if (is_digit(c)) {
		take_number(x);
	} else if (is_alpha(c) || c == '_') {
		take_word(x);
	} else if (!take_operator(x)) {
		if ((unsigned char)c < 0x20 || (unsigned char)c >= 0x7f)
			lex_fail(x, x->at, 1, VIEW_NONE, "unexpected byte 0x%02x", (unsigned char)c);
		else
			lex_fail(x, x->at, 1, VIEW_NONE, "unexpected \"%c\"", c);
	}
}

bool lex_word(struct lex *x, struct word *w)
{
	bool newline = false;

	*w = (struct word){ .text = VIEW_NONE };
	if (x->failed || !skip_blanks(x, &newline) || x->at >= text_of(x).n)
		return false;
	w->at = x->at;
	w->same_line = !newline;
	if (char_at(x, x->at) == '"' || char_at(x, x->at) == '\'') {
		w->quoted = true;
		bool good = take_string(x, &w->text);
		w->len = x->at - w->at;
		return good;
	}
	bool brace = false;
	while (x->at < text_of(x).n && (brace || !is_blank(char_at(x, x->at)))) {
		char c = char_at(x, x->at);
		if (c == '$' && char_at(x, x->at + 1) == '{')
			brace = true;
		else if (c == '}' && brace)
			brace = false;
		else if (c == '#' || c == '\n' || (c == '"' && !brace) || (!brace && (c == '{' || c == '}' || c == ';' || c == '=') && x->at > w->at))
			break;
		x->at++;
	}
	w->len = x->at - w->at;
	w->text = view_sub(text_of(x), w->at, w->len);

	char       why[200];
	struct out err = out_to(why, sizeof why - 1);
	if (!source_expand_env(&x->l->pub, w->text, &w->text, &err)) {
		lex_fail(x, w->at, w->len, VIEW_NONE, VIEW_FMT, VIEW_ARG(out_view(&err)));
		return false;
	}
	return w->len != 0;
}

bool lex_is(const struct lex *x, int op) { return x->tok.kind == TOK_OP && x->tok.op == op; }
bool lex_is_id(const struct lex *x, const char *word) { return x->tok.kind == TOK_ID && view_is(x->tok.text, view_str(word)); }

bool lex_take(struct lex *x, int op)
{
	if (!lex_is(x, op))
		return false;
	lex_next(x);
	return true;
}

bool lex_want(struct lex *x, int op, const char *where)
{
	if (lex_take(x, op))
		return true;
	if (x->tok.kind == TOK_END)
		lex_fail(x, x->tok.at, x->tok.len, VIEW_NONE, "the file ends, but \"%c\" is missing %s", op, where);
	else if (op == ';')
		lex_fail(x, x->prev_end, 1, VIEW_NONE, "\";\" is missing %s", where);
	else
		lex_fail(x, x->tok.at, x->tok.len, VIEW_NONE, "\"%c\" is missing %s before \"" VIEW_FMT "\"", op, where, VIEW_ARG(x->tok.text));
	return false;
}
