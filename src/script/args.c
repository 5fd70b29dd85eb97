/* Arguments of a call against the function's row: types, literals made ready, words of FLAGS, routes by name
 * (opensips-language section 14). */
#include "script/ast.h"

static const char *const type_text[] = {
	[ARG_STR] = "a string", [ARG_INT] = "a number", [ARG_STATIC] = "a string", [ARG_REGEX] = "a regular expression",
	[ARG_VAR] = "a variable", [ARG_FLAGS] = "a list of words", [ARG_ROUTE_FAILURE] = "the name of a failure_route",
	[ARG_ROUTE_ONREPLY] = "the name of an onreply_route", [ARG_ROUTE_BRANCH] = "the name of a branch_route",
	[ARG_FLAGNAME] = "the name of a flag", [ARG_BFLAGNAME] = "the name of a flag",
};

static bool one_word(const struct script_func *f, struct view word, int64_t *bits)
{
	for (const struct flag_word *w = f->words; w && w->word; w++) {
		struct view name = view_str(w->word);
		bool        takes = view_ends(name, VIEW("="));
		if (takes ? view_starts(word, name) : view_is(word, name)) {
			*bits |= w->bit;
			return true;
		}
	}
	return false;
}

/* The old spelling: one letter per flag in one word. */
static bool letters(const struct script_func *f, struct view word, int64_t *bits)
{
	int64_t all = 0;

	for (size_t i = 0; i < word.n; i++)
		if (!one_word(f, view_sub(word, i, 1), &all))
			return false;
	*bits |= all;
	return word.n != 0;
}

bool flag_words(const struct script_func *f, struct view text, int64_t *bits, struct view *unknown)
{
	struct view rest = text;
	int64_t     number;

	*bits = 0;
	/* Older still: the sum of the bits. */
	if (parse_number(view_trim(text), &number)) {
		*bits = number;
		return true;
	}
	while (rest.n) {
		struct view word = view_trim(view_cut(&rest, ','));
		if (word.n && !one_word(f, word, bits) && !letters(f, word, bits)) {
			*unknown = word;
			return false;
		}
	}
	return true;
}

struct view flag_value(struct view flags, struct view word)
{
	while (flags.n) {
		struct view one = view_trim(view_cut(&flags, ','));
		if (view_starts(one, word) && one.n > word.n && one.p[word.n] == '=')
			return view_from(one, word.n + 1);
		if (view_ends(word, VIEW("=")) && view_starts(one, word))
			return view_from(one, word.n);
	}
	return VIEW_NONE;
}

static bool wrong_type(struct loader *l, const struct script_func *f, const struct expr *e, unsigned n, uint8_t type)
{
	struct view hint = VIEW_NONE;
	int64_t     number;

	if (type == ARG_INT && e->kind == E_STR && parse_number(view_trim(e->text), &number))
		hint = arena_fmt(l->pub.arena, "write %lld without quotes", (long long)number);
	else if (e->kind == E_WORD || e->kind == E_NUM)
		hint = arena_fmt(l->pub.arena, "write \"" VIEW_FMT "\"", VIEW_ARG(view_sub(l->src.text, e->at, e->len)));
	err_at(l, e->at, e->len, hint, "argument %u of %s() must be %s", n + 1, f->name, type_text[type]);
	return false;
}

static bool string_arg(struct loader *l, const struct script_func *f, const struct expr *e, unsigned n, uint8_t type, struct argx *out)
{
	if (e->kind == E_VAR) {
		out->kind = ARGX_VAR_STR;
		out->var = resolve_var(l, e->text, e->at, e->len);
		return out->var != NULL;
	}
	if (e->kind != E_STR && e->kind != E_NET)
		return wrong_type(l, f, e, n, type);
	out->fmt = resolve_fmt(l, e->text, e->at, e->len);
	if (!out->fmt)
		return false;
	out->kind = out->fmt->n ? ARGX_FMT : ARGX_CONST;
	out->a.s = out->fmt->lit;
	return true;
}

static bool int_arg(struct loader *l, const struct script_func *f, const struct expr *e, unsigned n, struct argx *out)
{
	if (e->kind == E_VAR) {
		out->kind = ARGX_VAR_INT;
		out->var = resolve_var(l, e->text, e->at, e->len);
		return out->var != NULL;
	}
	if (e->kind != E_NUM)
		return wrong_type(l, f, e, n, ARG_INT);
	out->kind = ARGX_CONST;
	out->a.i = e->num;
	out->a.s = arena_fmt(l->pub.arena, "%lld", (long long)e->num);
	return true;
}

static bool out_arg(struct loader *l, const struct script_func *f, const struct expr *e, unsigned n, struct argx *out)
{
	struct lvalue *v = arena_zalloc(l->pub.arena, sizeof *v);
	struct view    text = e->text;

	if (e->kind == E_STR)
		text = view_trim(text);
	if (e->kind != E_VAR && (e->kind != E_STR || !text.n || text.p[0] != '$' || lex_variable(text) != text.n))
		return wrong_type(l, f, e, n, ARG_VAR);

	struct varref *ref = resolve_var(l, text, e->at, e->len);
	if (!ref || !v)
		return false;
	v->ref = *ref;
	out->kind = ARGX_OUT;
	out->a.var = v;
	return true;
}

static bool regex_arg(struct loader *l, const struct script_func *f, const struct expr *e, unsigned n, struct argx *out)
{
	char       why[256];
	struct out err = out_to(why, sizeof why - 1);

	if (e->kind == E_VAR) {
		out->kind = ARGX_RE_VAR;
		out->var = resolve_var(l, e->text, e->at, e->len);
		return out->var != NULL;
	}
	if (e->kind != E_STR)
		return wrong_type(l, f, e, n, ARG_REGEX);
	out->kind = ARGX_CONST;
	out->a.s = e->text;
	out->a.re = script_regex(&l->pub, e->text, true, &err);
	if (!out->a.re)
		err_at(l, e->at, e->len, VIEW_NONE, "bad regular expression: " VIEW_FMT, VIEW_ARG(out_view(&err)));
	return out->a.re != NULL;
}

static bool flags_arg(struct loader *l, const struct script_func *f, const struct expr *e, unsigned n, struct argx *out)
{
	struct view unknown = VIEW_NONE;

	if (e->kind == E_NUM)
		return int_arg(l, f, e, n, out);
	if (!string_arg(l, f, e, n, ARG_FLAGS, out))
		return false;
	if (out->kind != ARGX_CONST) {
		out->fmt = out->kind == ARGX_FMT ? out->fmt : NULL;
		out->kind = ARGX_FLAGS_FMT;
		return true;
	}
	if (flag_words(f, out->a.s, &out->a.i, &unknown))
		return true;

	struct closest c = { .want = unknown };
	for (const struct flag_word *w = f->words; w && w->word; w++)
		closest_offer(&c, view_str(w->word));
	err_at(l, e->at, e->len, closest_hint(&c, l->pub.arena), "%s() has no flag \"" VIEW_FMT "\"", f->name, VIEW_ARG(unknown));
	return false;
}

static bool route_arg(struct loader *l, const struct script_func *f, const struct expr *e, unsigned n, uint8_t type, struct argx *out)
{
	static const enum route_type types[] = { [ARG_ROUTE_FAILURE] = ROUTE_FAILURE, [ARG_ROUTE_ONREPLY] = ROUTE_ONREPLY, [ARG_ROUTE_BRANCH] = ROUTE_BRANCH };

	must(type < COUNT_OF(types) && types[type]);
	out->where = types[type];
	if (e->kind == E_WORD || e->kind == E_NUM) {
		out->kind = ARGX_CONST;
		out->a.s = view_sub(l->src.text, e->at, e->len);
	} else if (!string_arg(l, f, e, n, type, out)) {
		return false;
	}
	if (out->kind != ARGX_CONST) {
		out->fmt = out->kind == ARGX_FMT ? out->fmt : NULL;
		out->kind = ARGX_ROUTE_FMT;
		return true;
	}
	out->a.i = script_route(l->pub.script, out->where, out->a.s);
	if (out->a.i >= 0)
		return true;

	struct closest        c = { .want = out->a.s };
	const struct program *p = l->prog;
	unsigned              t = route_type_index(out->where);
	for (unsigned i = 0; i < p->nroutes[t]; i++)
		closest_offer(&c, p->routes[t][i].name);
	err_at(l, e->at, e->len, closest_hint(&c, l->pub.arena), VIEW_FMT "[" VIEW_FMT "] is not defined", VIEW_ARG(route_type_name(out->where)), VIEW_ARG(out->a.s));
	return false;
}

static bool flagname_arg(struct loader *l, const struct script_func *f, const struct expr *e, unsigned n, uint8_t type, struct argx *out)
{
	if (e->kind != E_STR && e->kind != E_WORD && e->kind != E_NUM)
		return wrong_type(l, f, e, n, type);
	out->kind = ARGX_CONST;
	out->a.s = e->kind == E_STR ? e->text : view_sub(l->src.text, e->at, e->len);
	out->a.i = script_flag(&l->pub, type == ARG_BFLAGNAME, out->a.s);
	if (out->a.i < 0)
		err_at(l, e->at, e->len, VIEW_NONE, "all 31 %s flags are taken", type == ARG_BFLAGNAME ? "branch" : "message");
	return out->a.i >= 0;
}

static bool one_arg(struct loader *l, const struct script_func *f, const struct expr *e, unsigned n, struct argx *out)
{
	uint8_t type = f->args[n] & ARG_TYPE;

	out->a.given = true;
	if ((e->kind == E_CALL || e->kind == E_BIN || e->kind == E_CMP || e->kind == E_ROUTE || e->kind == E_BITNOT)) {
		err_at(l, e->at, e->len, VIEW("put it into a $var() first"), "argument %u of %s() is an expression", n + 1, f->name);
		return false;
	}
	switch (type) {
	case ARG_STR:   return string_arg(l, f, e, n, type, out);
	case ARG_INT:   return int_arg(l, f, e, n, out);
	case ARG_VAR:   return out_arg(l, f, e, n, out);
	case ARG_REGEX: return regex_arg(l, f, e, n, out);
	case ARG_FLAGS: return flags_arg(l, f, e, n, out);
	case ARG_ROUTE_FAILURE: case ARG_ROUTE_ONREPLY: case ARG_ROUTE_BRANCH: return route_arg(l, f, e, n, type, out);
	case ARG_FLAGNAME: case ARG_BFLAGNAME: return flagname_arg(l, f, e, n, type, out);
	case ARG_STATIC:
		if (e->kind != E_STR && e->kind != E_WORD)
			return wrong_type(l, f, e, n, type);
		out->kind = ARGX_CONST;
		out->a.s = e->text;
		return true;
	}
	must(!"argument type of a row");
	return false;
}

static bool count_fits(struct loader *l, const struct script_func *f, const struct expr *e)
{
	unsigned need = 0, most = 0;

	while (most < SCRIPT_PARAMS && f->args[most] != ARG_NONE) {
		if (!(f->args[most] & ARG_OPT))
			need = most + 1;
		most++;
	}
	if (e->nargs > most) {
		err_at(l, e->at, e->len, VIEW_NONE, most ? "%s() takes at most %u argument%s, not %u" : "%s() takes no arguments", f->name, most, most == 1 ? "" : "s", e->nargs);
		return false;
	}
	if (e->nargs < need) {
		err_at(l, e->at, e->len, VIEW_NONE, "%s() needs %u argument%s, not %u", f->name, need, need == 1 ? "" : "s", e->nargs);
		return false;
	}
	return true;
}

static const struct script_func *func_in(const struct script_func *rows, struct view name)
{
	for (; rows && rows->name; rows++)
		if (view_is(view_str(rows->name), name))
			return rows;
	return NULL;
}

static void offer_funcs(struct closest *c, const struct script_func *rows)
{
	for (; rows && rows->name; rows++)
		closest_offer(c, view_str(rows->name));
}

static const struct script_func *find_func(struct loader *l, const struct expr *e)
{
	must(e->kind == E_CALL);

	const struct script_func *f = func_in(core_funcs, e->text);
	struct closest            c = { .want = e->text };
	struct view               hint = VIEW_NONE, stubs = VIEW_NONE;

	offer_funcs(&c, core_funcs);
	for (size_t i = 0; !f && i < l->nmodules; i++) {
		if (l->modules[i].m) {
			f = func_in(l->modules[i].m->funcs, e->text);
			offer_funcs(&c, l->modules[i].m->funcs);
		} else {
			stubs = arena_join(l->pub.arena, (struct view[]){ stubs, stubs.n ? VIEW(", ") : VIEW_NONE, l->modules[i].name }, 3);
		}
	}
	if (f)
		return f;
	for (size_t i = 0; i < l->pub.env->nmodules && !hint.n; i++)
		if (func_in(l->pub.env->modules[i]->funcs, e->text))
			hint = arena_fmt(l->pub.arena, "loadmodule \"%s.so\" is missing", l->pub.env->modules[i]->name);
	if (!hint.n && stubs.n)
		hint = arena_fmt(l->pub.arena, "it may belong to a loaded module that viaduct does not have: " VIEW_FMT, VIEW_ARG(stubs));
	if (!hint.n)
		hint = closest_hint(&c, l->pub.arena);
	err_at(l, e->at, (uint32_t)e->text.n, hint, "unknown function \"" VIEW_FMT "\"", VIEW_ARG(e->text));
	return NULL;
}

/* What the row's own check may look at: literals only. */
static bool literal_check(struct loader *l, const struct script_func *f, const struct expr *e, const struct callsite *call)
{
	struct arg literal[SCRIPT_PARAMS] = { { .given = false } };
	char       why[256];
	struct out err = out_to(why, sizeof why - 1);

	if (!f->check)
		return true;
	for (unsigned i = 0; i < call->nargs; i++)
		if (call->arg[i].kind == ARGX_CONST)
			literal[i] = call->arg[i].a;
	if (f->check(&l->pub, literal, &err))
		return true;
	err_at(l, e->at, e->len, VIEW_NONE, "%s(): " VIEW_FMT, f->name, VIEW_ARG(out_view(&err)));
	return false;
}

bool resolve_call(struct loader *l, struct expr *e)
{
	const struct script_func *f = find_func(l, e);
	struct callsite          *call = f ? arena_zalloc(l->pub.arena, sizeof *call) : NULL;
	unsigned                  i = 0;
	struct place              p = source_place(&l->src, e->at);

	if (!call || !count_fits(l, f, e))
		return false;
	l->pub.file = p.file;
	l->pub.line = p.line;
	call->f = f;
	call->nargs = (uint8_t)e->nargs;
	call->all_const = true;
	for (const struct args *a = e->args; a; a = a->next, i++) {
		if (!a->e) {
			if (!(f->args[i] & ARG_OPT)) {
				err_at(l, e->at, e->len, VIEW_NONE, "argument %u of %s() is not optional", i + 1, f->name);
				return false;
			}
			continue;
		}
		if (!one_arg(l, f, a->e, i, &call->arg[i]))
			return false;
		if (call->arg[i].kind != ARGX_CONST && call->arg[i].kind != ARGX_OUT)
			call->all_const = false;
		call->consts[i] = call->arg[i].a;
	}
	if (view_is(e->text, VIEW("forward")))
		l->forward_used = true;
	e->call = call;
	return literal_check(l, f, e, call);
}
