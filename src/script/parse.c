/* Statements, route blocks and the top level of a file to a tree (opensips-language sections 2, 5, 6). */
#include "script/ast.h"

static struct stmt *stmt_new(struct lex *x, enum skind kind)
{
	struct stmt *s = arena_zalloc(x->l->pub.arena, sizeof *s);

	if (!s)
		return lex_fail(x, x->tok.at, 1, VIEW_NONE, "configuration is too large");
	s->kind = kind;
	s->at = x->tok.at;
	s->len = x->tok.len;
	s->route = -1;
	return s;
}

struct stmt *parse_block(struct lex *x)
{
	struct stmt *first = NULL, **end = &first;

	while (!x->failed && !lex_is(x, '}')) {
		if (lex_take(x, ';'))
			continue;
		if (x->tok.kind == TOK_END)
			return lex_fail(x, x->tok.at, x->tok.len, VIEW_NONE, "the file ends inside a block: \"}\" is missing");
		struct stmt *s = parse_stmt(x);
		if (!s)
			return NULL;
		*end = s;
		end = &s->next;
	}
	lex_want(x, '}', "at the end of the block");
	return x->failed ? NULL : first;
}

/* A statement as the body of if, while, for: wrapped, so that an empty block is told from none. */
static struct stmt *body(struct lex *x)
{
	struct stmt *s = stmt_new(x, S_BLOCK);

	if (!s)
		return NULL;
	if (lex_take(x, '{'))
		s->body = parse_block(x);
	else if (!lex_take(x, ';'))
		s->body = parse_stmt(x);
	return x->failed ? NULL : s;
}

static struct stmt *parse_if(struct lex *x)
{
	struct stmt *s = stmt_new(x, S_IF);

	lex_next(x);
	if (!s || !lex_want(x, '(', "after if"))
		return NULL;
	s->e = parse_condition(x);
	if (!s->e || !lex_want(x, ')', "after the condition"))
		return NULL;
	s->body = body(x);
	if (lex_is_id(x, "else")) {
		lex_next(x);
		s->other = body(x);
	}
	return x->failed ? NULL : s;
}

static struct stmt *parse_while(struct lex *x)
{
	struct stmt *s = stmt_new(x, S_WHILE);

	lex_next(x);
	if (!s || !lex_want(x, '(', "after while"))
		return NULL;
	s->e = parse_condition(x);
	if (!s->e || !lex_want(x, ')', "after the condition"))
		return NULL;
	x->loops++;
	s->body = body(x);
	x->loops--;
	return x->failed ? NULL : s;
}

static struct stmt *parse_for(struct lex *x)
{
	struct stmt *s = stmt_new(x, S_FOR);

	lex_next(x);
	if (!s || !lex_want(x, '(', "after for"))
		return NULL;
	if (x->tok.kind != TOK_VAR)
		return lex_fail(x, x->tok.at, x->tok.len, VIEW("for ($var(i) in $(avp(list)[*]))"), "a variable is expected");
	s->e = parse_primary(x);
	if (!lex_is_id(x, "in"))
		return lex_fail(x, x->tok.at, x->tok.len, VIEW("for ($var(i) in $(avp(list)[*]))"), "\"in\" is expected");
	lex_next(x);
	if (x->tok.kind != TOK_VAR)
		return lex_fail(x, x->tok.at, x->tok.len, VIEW("for ($var(i) in $(avp(list)[*]))"), "a variable with index [*] is expected");
	s->e2 = parse_primary(x);
	if (!lex_want(x, ')', "after for"))
		return NULL;
	x->loops++;
	s->body = body(x);
	x->loops--;
	return x->failed ? NULL : s;
}

static struct scase *parse_case(struct lex *x, bool *had_default)
{
	struct scase *c = arena_zalloc(x->l->pub.arena, sizeof *c);
	struct stmt **end;

	if (!c)
		return lex_fail(x, x->tok.at, 1, VIEW_NONE, "configuration is too large");
	c->at = x->tok.at;
	c->len = x->tok.len;
	if (*had_default)
		return lex_fail(x, x->tok.at, x->tok.len, VIEW_NONE, "default must be the last case");
	if (lex_is_id(x, "default")) {
		*had_default = true;
		lex_next(x);
	} else if (lex_is_id(x, "case")) {
		lex_next(x);
		c->value = parse_primary(x);
		if (c->value && c->value->kind != E_NUM && c->value->kind != E_STR)
			return lex_fail(x, c->value->at, c->value->len, VIEW_NONE, "a case is a number or a string");
	} else {
		return lex_fail(x, x->tok.at, x->tok.len, VIEW_NONE, "\"case\" or \"default\" is expected");
	}
	if (x->failed || !lex_want(x, ':', "after the case"))
		return NULL;
	end = &c->body;
	while (!x->failed && !lex_is(x, '}') && !lex_is_id(x, "case") && !lex_is_id(x, "default")) {
		if (lex_take(x, ';'))
			continue;
		struct stmt *s = parse_stmt(x);
		if (!s)
			return NULL;
		*end = s;
		end = &s->next;
	}
	return x->failed ? NULL : c;
}

static struct stmt *parse_switch(struct lex *x)
{
	struct stmt   *s = stmt_new(x, S_SWITCH);
	struct scase **end;
	bool           had_default = false;

	lex_next(x);
	if (!s || !lex_want(x, '(', "after switch"))
		return NULL;
	if (x->tok.kind != TOK_VAR)
		return lex_fail(x, x->tok.at, x->tok.len, VIEW_NONE, "switch takes a variable");
	s->e = parse_primary(x);
	if (!s->e || !lex_want(x, ')', "after the variable") || !lex_want(x, '{', "after switch (...)"))
		return NULL;
	x->loops++;
	for (end = &s->cases; !x->failed && !lex_is(x, '}'); end = &(*end)->next)
		if (!(*end = parse_case(x, &had_default)))
			return NULL;
	x->loops--;
	if (!x->failed && (!s->cases || !s->cases->value))
		return lex_fail(x, s->at, s->len, VIEW_NONE, "switch needs at least one case");
	lex_want(x, '}', "at the end of switch");
	return x->failed ? NULL : s;
}

static struct stmt *parse_return(struct lex *x)
{
	struct stmt *s = stmt_new(x, S_RETURN);

	lex_next(x);
	if (!s)
		return NULL;
	if (lex_is(x, '(')) {
		s->args = parse_args(x, &s->nargs, SCRIPT_PARAMS, "return()");
		if (s->args) {
			s->e = s->args->e;
			s->args = s->args->next;
			s->nargs--;
		}
	} else if (!lex_is(x, ';')) {
		s->e = parse_primary(x);
	}
	return x->failed ? NULL : s;
}

/* exit; exit(); drop; drop(); break; */
static struct stmt *parse_end(struct lex *x, enum skind kind)
{
	must(kind == S_EXIT || kind == S_DROP || kind == S_BREAK);

	struct stmt *s = stmt_new(x, kind);

	if (s && kind == S_BREAK && !x->loops)
		return lex_fail(x, s->at, s->len, VIEW("exit ends the script, return ends the route"), "break outside of while, for and switch");
	lex_next(x);
	if (s && kind != S_BREAK && lex_take(x, '('))
		lex_want(x, ')', "after exit or drop");
	return x->failed ? NULL : s;
}

/* Adjacent literals make one string. */
static bool folded(struct lex *x, struct view *text, uint32_t *at, uint32_t *len)
{
	*at = x->tok.at;
	*len = x->tok.len;
	*text = x->tok.text;
	if (x->tok.kind == TOK_VAR) {
		lex_next(x);
		return !x->failed;
	}
	if (x->tok.kind != TOK_STR) {
		lex_fail(x, x->tok.at, x->tok.len, VIEW_NONE, "a string is expected");
		return false;
	}
	for (lex_next(x); !x->failed && x->tok.kind == TOK_STR; lex_next(x))
		*text = arena_join(x->l->pub.arena, (struct view[]){ *text, x->tok.text }, 2);
	return !x->failed;
}

/* Only the characters behind "L_" matter. */
static bool level_of(struct view v, int64_t *out)
{
	static const struct { char text[3]; int level; } levels[] = {
		{ "AL", L_ALERT }, { "CR", L_CRIT }, { "ER", L_ERR }, { "WA", L_WARN }, { "NO", L_NOTICE }, { "IN", L_INFO }, { "DB", L_DBG },
	};

	if (v.n < 4 || !view_starts(v, VIEW("L_")))
		return false;
	for (size_t i = 0; i < COUNT_OF(levels); i++) {
		if (v.p[2] == levels[i].text[0] && v.p[3] == levels[i].text[1]) {
			*out = levels[i].level;
			return true;
		}
	}
	return false;
}

static struct stmt *parse_log(struct lex *x)
{
	struct stmt *s = stmt_new(x, S_LOG);
	bool         plain = lex_is_id(x, "log"), debug = lex_is_id(x, "xdbg");
	uint32_t     at, len;

	lex_next(x);
	if (!s || !lex_want(x, '(', "after xlog"))
		return NULL;
	s->num = debug ? L_DBG : LEVEL_NONE;
	s->plain = plain;

	struct token level = x->tok;
	if (x->tok.kind == TOK_STR || x->tok.kind == TOK_VAR) {
		if (!folded(x, &s->text, &at, &len))
			return NULL;
	} else {
		struct expr *e = parse_primary(x);
		if (!e)
			return NULL;
		if (e->kind != E_NUM && e->kind != E_WORD)
			return lex_fail(x, e->at, e->len, VIEW_NONE, "a level or a string is expected");
		level = (struct token){ .kind = e->kind == E_NUM ? TOK_NUM : TOK_ID, .num = e->num, .text = e->text, .at = e->at, .len = e->len };
		at = e->at;
		len = e->len;
		if (!lex_is(x, ','))
			return lex_fail(x, e->at, e->len, VIEW_NONE, "a string is expected");
	}
	s->name_at = at;
	s->name_len = len;
	if (!debug && lex_take(x, ',')) {
		if (level.kind == TOK_VAR) {
			s->e2 = arena_zalloc(x->l->pub.arena, sizeof *s->e2);
			if (!s->e2)
				return lex_fail(x, at, len, VIEW_NONE, "configuration is too large");
			*s->e2 = (struct expr){ .kind = E_VAR, .at = level.at, .len = level.len, .text = level.text };
		} else if (level.kind == TOK_NUM) {
			s->num = level.num < L_ALERT ? L_ALERT : level.num > L_DBG ? L_DBG : level.num;
		} else if (!level_of(level.text, &s->num)) {
			return lex_fail(x, level.at, level.len, VIEW("L_ALERT, L_CRIT, L_ERR, L_WARN, L_NOTICE, L_INFO, L_DBG"), "unknown log level");
		}
		if (!folded(x, &s->text, &s->name_at, &s->name_len))
			return NULL;
	}
	s->len = x->prev_end - s->at;
	lex_want(x, ')', "after the text");
	return x->failed ? NULL : s;
}

static struct stmt *parse_assert(struct lex *x)
{
	struct stmt *s = stmt_new(x, S_ASSERT);

	lex_next(x);
	if (!s || !lex_want(x, '(', "after assert"))
		return NULL;
	s->e = parse_condition(x);
	if (!x->failed && lex_take(x, ',')) {
		if (x->tok.kind != TOK_STR)
			return lex_fail(x, x->tok.at, x->tok.len, VIEW_NONE, "a string is expected");
		s->text = x->tok.text;
		lex_next(x);
	}
	lex_want(x, ')', "after the condition");
	return x->failed ? NULL : s;
}

/* The name of a route as an argument: word, number or string. */
static bool route_name(struct lex *x, struct view *name, uint32_t *at, uint32_t *len)
{
	if (x->tok.kind != TOK_ID && x->tok.kind != TOK_NUM && x->tok.kind != TOK_STR) {
		lex_fail(x, x->tok.at, x->tok.len, VIEW_NONE, "the name of a route is expected");
		return false;
	}
	*name = x->tok.text;
	*at = x->tok.at;
	*len = x->tok.len;
	lex_next(x);
	return !x->failed;
}

/* async(func(...), resume_route [, seconds]) and launch(func(...) [, report_route [, "text"]]) */
static struct stmt *parse_async(struct lex *x, enum skind kind)
{
	must(kind == S_ASYNC || kind == S_LAUNCH);

	struct stmt *s = stmt_new(x, kind);

	lex_next(x);
	if (!s || !lex_want(x, '(', "after async or launch"))
		return NULL;
	if (x->tok.kind != TOK_ID)
		return lex_fail(x, x->tok.at, x->tok.len, VIEW_NONE, "a function call is expected");
	s->e = parse_primary(x);
	if (!s->e)
		return NULL;
	if (s->e->kind != E_CALL)
		return lex_fail(x, s->e->at, s->e->len, VIEW_NONE, "a function call is expected");
	if (lex_take(x, ',')) {
		if (!route_name(x, &s->name, &s->name_at, &s->name_len))
			return NULL;
		if (lex_take(x, ',')) {
			s->text = x->tok.text;
			if (kind == S_ASYNC)
				s->e2 = parse_primary(x);
			else if (x->tok.kind == TOK_STR || x->tok.kind == TOK_VAR)
				s->e2 = parse_primary(x);
			else
				return lex_fail(x, x->tok.at, x->tok.len, VIEW_NONE, "a string is expected");
		}
	} else if (kind == S_ASYNC) {
		return lex_fail(x, x->tok.at, x->tok.len, VIEW_NONE, "async() needs the route that goes on");
	}
	lex_want(x, ')', "after async or launch");
	return x->failed ? NULL : s;
}

static struct view keyword_hint(struct lex *x, struct view word)
{
	static const char *const words[] = { "exit", "drop", "break", "return", "if", "else", "while", "for", "switch" };
	struct closest           c = { .want = word };

	for (size_t i = 0; i < COUNT_OF(words); i++)
		closest_offer(&c, view_str(words[i]));
	return closest_hint(&c, x->l->pub.arena);
}

static struct stmt *parse_simple(struct lex *x)
{
	struct stmt *s;

	if (lex_is_id(x, "return"))
		return parse_return(x);
	if (lex_is_id(x, "exit"))
		return parse_end(x, S_EXIT);
	if (lex_is_id(x, "drop"))
		return parse_end(x, S_DROP);
	if (lex_is_id(x, "break"))
		return parse_end(x, S_BREAK);
	if (lex_is_id(x, "xlog") || lex_is_id(x, "xdbg") || lex_is_id(x, "log"))
		return parse_log(x);
	if (lex_is_id(x, "assert"))
		return parse_assert(x);
	if (lex_is_id(x, "async"))
		return parse_async(x, S_ASYNC);
	if (lex_is_id(x, "launch"))
		return parse_async(x, S_LAUNCH);
	s = stmt_new(x, S_EXPR);
	if (!s)
		return NULL;
	if (x->tok.kind == TOK_VAR) {
		s->e = parse_condition(x);
		if (s->e && s->e->kind != E_ASSIGN)
			return lex_fail(x, s->e->at, s->e->len, VIEW_NONE, "a variable alone is no statement");
	} else if (x->tok.kind == TOK_ID) {
		struct token word = x->tok;
		s->e = parse_primary(x);
		if (s->e && s->e->kind != E_CALL && s->e->kind != E_ROUTE)
			return lex_fail(x, word.at, word.len, keyword_hint(x, word.text), "\"" VIEW_FMT "\" is no statement: a call has parentheses", VIEW_ARG(word.text));
	} else {
		return lex_fail(x, x->tok.at, x->tok.len, VIEW_NONE, "a statement cannot begin with \"" VIEW_FMT "\"", VIEW_ARG(view_sub(x->l->src.text, x->tok.at, x->tok.len)));
	}
	return x->failed ? NULL : s;
}

static struct stmt *parse_compound(struct lex *x, bool *mine)
{
	*mine = true;
	if (lex_is_id(x, "if"))
		return parse_if(x);
	if (lex_is_id(x, "while"))
		return parse_while(x);
	if (lex_is_id(x, "for"))
		return parse_for(x);
	if (lex_is_id(x, "switch"))
		return parse_switch(x);
	if (lex_is(x, '{'))
		return body(x);
	*mine = false;
	return NULL;
}

struct stmt *parse_stmt(struct lex *x)
{
	bool         compound;
	struct stmt *s;

	if (++x->depth > SCRIPT_NEST)
		return lex_fail(x, x->tok.at, x->tok.len, VIEW_NONE, "expressions and blocks nest too deeply");
	s = parse_compound(x, &compound);
	if (!compound) {
		s = parse_simple(x);
		if (s)
			lex_want(x, ';', "at the end of the statement");
	}
	x->depth--;
	return x->failed ? NULL : s;
}

/* ---- the top level ------------------------------------------------------------------------------------------------------- */

static const struct { struct view word; enum route_type type; bool named; } route_words[] = {
	{ VIEW_INIT("route"), ROUTE_REQUEST, true }, { VIEW_INIT("failure_route"), ROUTE_FAILURE, true },
	{ VIEW_INIT("onreply_route"), ROUTE_ONREPLY, true }, { VIEW_INIT("branch_route"), ROUTE_BRANCH, true },
	{ VIEW_INIT("local_route"), ROUTE_LOCAL, false }, { VIEW_INIT("error_route"), ROUTE_ERROR, false },
	{ VIEW_INIT("startup_route"), ROUTE_STARTUP, false }, { VIEW_INIT("timer_route"), ROUTE_TIMER, true },
	{ VIEW_INIT("event_route"), ROUTE_EVENT, true },
};

static struct item *item_new(struct lex *x, enum item_kind kind)
{
	struct item *i = arena_zalloc(x->l->pub.arena, sizeof *i);

	if (!i)
		return lex_fail(x, x->tok.at, 1, VIEW_NONE, "configuration is too large");
	i->kind = kind;
	i->at = x->tok.at;
	i->len = x->tok.len;
	return i;
}

static bool parse_route_head(struct lex *x, struct route_ast *r)
{
	if (!lex_take(x, '['))
		return true;
	if (!route_name(x, &r->name, &r->at, &r->len))
		return false;
	if (r->type == ROUTE_REQUEST && view_is(r->name, VIEW("0")))
		r->name = VIEW_NONE;
	if (r->type == ROUTE_TIMER) {
		if (!lex_want(x, ',', "between name and seconds"))
			return false;
		if (x->tok.kind != TOK_NUM || x->tok.num < 1 || x->tok.num > 10000000) {
			lex_fail(x, x->tok.at, x->tok.len, VIEW_NONE, "the seconds between two runs are expected");
			return false;
		}
		r->seconds = (uint32_t)x->tok.num;
		lex_next(x);
	} else if (r->type == ROUTE_EVENT && lex_take(x, ',')) {
		lex_next(x);               /* sync or async: every event route runs by itself here */
	}
	return lex_want(x, ']', "after the name of the route");
}

static struct item *parse_route(struct lex *x, size_t which)
{
	must(which < COUNT_OF(route_words));

	struct item      *i = item_new(x, ITEM_ROUTE);
	struct route_ast *r = arena_zalloc(x->l->pub.arena, sizeof *r);

	if (!i || !r)
		return NULL;
	i->route = r;
	r->type = route_words[which].type;
	r->at = i->at;
	r->len = i->len;
	lex_next(x);
	if (!route_words[which].named && lex_is(x, '['))
		return lex_fail(x, x->tok.at, x->tok.len, VIEW_NONE, VIEW_FMT " has no name", VIEW_ARG(route_words[which].word));
	if ((r->type == ROUTE_TIMER || r->type == ROUTE_EVENT) && !lex_is(x, '['))
		return lex_fail(x, i->at, i->len, VIEW_NONE, VIEW_FMT " needs a name", VIEW_ARG(route_words[which].word));
	if (!parse_route_head(x, r) || !lex_want(x, '{', "at the beginning of the route"))
		return NULL;
	r->body = parse_block(x);
	return x->failed ? NULL : i;
}

static struct item *parse_loadmodule(struct lex *x)
{
	struct item *i = item_new(x, ITEM_LOAD);
	struct word  w;

	if (!i)
		return NULL;
	if (!lex_word(x, &w))
		return lex_fail(x, i->at, i->len, VIEW_NONE, "the name of a module is expected");
	i->name = w.text;
	i->at = w.at;
	i->len = w.len;
	lex_next(x);
	return x->failed ? NULL : i;
}

static bool param_string(struct lex *x, struct view *out, uint32_t *at, uint32_t *len, const char *what)
{
	if (x->tok.kind != TOK_STR) {
		lex_fail(x, x->tok.at, x->tok.len, VIEW_NONE, "%s is expected in quotes", what);
		return false;
	}
	return folded(x, out, at, len);
}

static struct item *parse_modparam(struct lex *x)
{
	struct item      *i = item_new(x, ITEM_PARAM);
	struct param_ast *p = arena_zalloc(x->l->pub.arena, sizeof *p);

	if (!i || !p)
		return NULL;
	i->param = p;
	lex_next(x);
	if (!lex_want(x, '(', "after modparam") || !param_string(x, &p->module, &p->module_at, &p->module_len, "the name of a module") ||
	    !lex_want(x, ',', "after the module") || !param_string(x, &p->name, &p->name_at, &p->name_len, "the name of a parameter") ||
	    !lex_want(x, ',', "after the parameter"))
		return NULL;
	p->at = x->tok.at;
	p->len = x->tok.len;
	if (x->tok.kind == TOK_STR) {
		p->is_str = true;
		folded(x, &p->text, &p->at, &p->len);
	} else {
		struct expr *e = parse_primary(x);
		if (e && e->kind != E_NUM)
			return lex_fail(x, e->at, e->len, VIEW_NONE, "the value of a parameter is a string or a number");
		if (e)
			p->num = e->num;
	}
	lex_want(x, ')', "after the value");
	return x->failed ? NULL : i;
}

static struct item *parse_mpath(struct lex *x)
{
	struct item *i = item_new(x, ITEM_MPATH);
	struct word  w;

	lex_next(x);
	if (!i || !lex_is(x, '='))
		return lex_fail(x, x->tok.at, x->tok.len, VIEW_NONE, "\"=\" is expected after mpath");
	do {
		if (!lex_word(x, &w))
			return lex_fail(x, x->tok.at, x->tok.len, VIEW_NONE, "a path is expected");
		lex_next(x);
	} while (lex_is(x, ':'));
	return x->failed ? NULL : i;
}

static struct item *parse_global(struct lex *x)
{
	struct item *i = item_new(x, ITEM_GLOBAL);
	struct view  text = x->l->src.text;

	if (!i)
		return NULL;
	/* mem-group and its like: the only names with a dash. */
	while (x->at < text.n && text.p[x->at] == '-') {
		x->at++;
		lex_next(x);
		i->len = x->tok.at + x->tok.len - i->at;
	}
	i->name = view_sub(text, i->at, i->len);
	lex_next(x);
	if (!lex_is(x, '=')) {
		struct closest c = { .want = i->name };
		for (size_t k = 0; k < COUNT_OF(route_words); k++)
			closest_offer(&c, route_words[k].word);
		closest_offer(&c, VIEW("loadmodule"));
		closest_offer(&c, VIEW("modparam"));
		return lex_fail(x, i->at, i->len, closest_hint(&c, x->l->pub.arena), "\"" VIEW_FMT "\" is neither a route nor an assignment", VIEW_ARG(i->name));
	}
	if (!global_assign(x, i->name, i->at, i->len))
		return NULL;
	lex_next(x);
	return x->failed ? NULL : i;
}

static struct item *parse_item(struct lex *x)
{
	if (x->tok.kind != TOK_ID) {
		if (lex_is(x, ';'))
			return lex_fail(x, x->tok.at, x->tok.len, VIEW_NONE, "no \";\" outside of routes");
		return lex_fail(x, x->tok.at, x->tok.len, VIEW_NONE, "a route, a parameter, loadmodule or modparam is expected, not \"" VIEW_FMT "\"", VIEW_ARG(x->tok.text));
	}
	for (size_t i = 0; i < COUNT_OF(route_words); i++)
		if (view_is(x->tok.text, route_words[i].word))
			return parse_route(x, i);
	if (lex_is_id(x, "loadmodule"))
		return parse_loadmodule(x);
	if (lex_is_id(x, "modparam"))
		return parse_modparam(x);
	if (lex_is_id(x, "mpath"))
		return parse_mpath(x);
	return parse_global(x);
}

bool parse_file(struct loader *l)
{
	struct lex    x;
	struct item **end = &l->items;

	lex_begin(&x, l);
	lex_next(&x);
	while (!x.failed && x.tok.kind != TOK_END) {
		struct item *i = parse_item(&x);
		if (!i)
			break;
		*end = i;
		end = &i->next;
	}
	return !x.failed && !l->pub.diags->errors;
}
