/* Variables and format strings: their text at load becomes a reference with everything literal already known
 * (opensips-language sections 10 and 11). */
#include "script/ast.h"

struct spot { struct loader *l; uint32_t at, len; };

/* Point at the very name when it stands in the source as written. */
static struct spot narrowed(struct spot s, struct view part)
{
	struct view src = s.l->src.text;

	if (src.n && part.n && part.p >= src.p && part.p + part.n <= src.p + src.n) {
		s.at = (uint32_t)(part.p - src.p);
		s.len = (uint32_t)part.n;
	}
	return s;
}

static bool name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
}

static const struct script_var *row_in(const struct script_var *rows, struct view name)
{
	for (; rows && rows->name; rows++)
		if (view_is(view_str(rows->name), name))
			return rows;
	return NULL;
}

const struct script_var *find_var_row(const struct loader *l, struct view name)
{
	const struct script_var *row = row_in(engine_vars, name);

	if (!row)
		row = row_in(core_vars, name);
	for (size_t i = 0; !row && i < l->nmodules; i++)
		if (l->modules[i].m)
			row = row_in(l->modules[i].m->vars, name);
	return row;
}

static void offer_vars(struct closest *c, const struct script_var *rows)
{
	for (; rows && rows->name; rows++)
		closest_offer(c, view_str(rows->name));
}

static const struct script_transform *transform_in(const struct script_transform *rows, struct view name)
{
	for (; rows && rows->name; rows++)
		if (view_is(view_str(rows->name), name))
			return rows;
	return NULL;
}

static const struct script_transform *find_transform(const struct loader *l, struct view name)
{
	const struct script_transform *found = transform_in(engine_transforms, name);

	if (!found)
		found = transform_in(core_transforms, name);
	for (size_t i = 0; !found && i < l->nmodules; i++)
		if (l->modules[i].m)
			found = transform_in(l->modules[i].m->transforms, name);
	return found;
}

/* Names of loaded modules that exist only as stubs: what is unknown may be theirs. */
static struct view stub_hint(struct loader *l)
{
	struct view list = VIEW_NONE;

	for (size_t i = 0; i < l->nmodules; i++)
		if (!l->modules[i].m)
			list = arena_join(l->pub.arena, (struct view[]){ list, list.n ? VIEW(", ") : VIEW_NONE, l->modules[i].name }, 3);
	return list.n ? arena_fmt(l->pub.arena, "it may belong to a loaded module that viaduct does not have: " VIEW_FMT, VIEW_ARG(list)) : VIEW_NONE;
}

static struct view builtin_var_hint(struct loader *l, struct view name)
{
	for (size_t i = 0; i < l->pub.env->nmodules; i++)
		if (row_in(l->pub.env->modules[i]->vars, name))
			return arena_fmt(l->pub.arena, "loadmodule \"%s.so\" is missing", l->pub.env->modules[i]->name);
	return VIEW_NONE;
}

static void *unknown_var(struct spot s, struct view name)
{
	struct closest c = { .want = name };
	struct view    hint = builtin_var_hint(s.l, name);

	s = narrowed(s, name);

	offer_vars(&c, engine_vars);
	offer_vars(&c, core_vars);
	for (size_t i = 0; i < s.l->nmodules; i++)
		if (s.l->modules[i].m)
			offer_vars(&c, s.l->modules[i].m->vars);
	if (!hint.n)
		hint = stub_hint(s.l);
	if (!hint.n && c.best.n)
		hint = arena_fmt(s.l->pub.arena, "did you mean \"$" VIEW_FMT "\"?", VIEW_ARG(c.best));
	err_at(s.l, s.at, s.len, hint, "unknown variable \"$" VIEW_FMT "\"", VIEW_ARG(name));
	return NULL;
}

/* ---- transformations -------------------------------------------------------------------------------------------------------- */

/* End of "{...}" that begins at v.p[0]; 0 when it does not end. */
static size_t braces_end(struct view v)
{
	unsigned depth = 0;

	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] == '{')
			depth++;
		else if (v.p[i] == '}' && --depth == 0)
			return i + 1;
	}
	return 0;
}

/* The next argument of a transformation: up to a comma outside of a variable's parentheses. */
static struct view next_arg(struct view *rest)
{
	unsigned depth = 0;
	size_t   i = 0;

	/* The last argument may be the comma itself: {s.select,1,,}. */
	if (view_is(*rest, VIEW(","))) {
		*rest = VIEW_NONE;
		return VIEW(",");
	}
	for (; i < rest->n; i++) {
		char c = rest->p[i];
		if (c == '(' || c == '{')
			depth++;
		else if ((c == ')' || c == '}') && depth)
			depth--;
		else if (c == ',' && !depth)
			break;
	}

	struct view arg = view_sub(*rest, 0, i);

	*rest = i < rest->n ? view_of(rest->p + i + 1, rest->n - i - 1) : VIEW_NONE;
	return arg;
}

static bool transform_arg(struct spot s, struct view arg, struct targ *out)
{
	struct view t = view_trim(arg);
	int64_t     i;

	if (t.n > 1 && t.p[0] == '$' && lex_variable(t) == t.n) {
		out->var = resolve_var(s.l, t, s.at, s.len);
		return out->var != NULL;
	}
	out->v = parse_number(t, &i) ? value_str_int(arg, (int32_t)i) : value_str(arg);
	return true;
}

/* "class.<index>.name" of a row that takes an index; *index is left empty when the name holds none. */
static const struct script_transform *find_indexed(const struct loader *l, struct view name, struct view *index, int64_t *i)
{
	size_t      dot = view_find(name, '.'), end = dot + 1 + view_find(view_from(name, dot + 1), '.');
	struct view number = view_sub(name, dot + 1, end - dot - 1);

	if (end >= name.n || !parse_number(number, i))
		return NULL;

	const struct view              both[] = { view_sub(name, 0, dot), view_from(name, end) };
	struct view                    plain = arena_join(l->pub.arena, both, COUNT_OF(both));
	const struct script_transform *t = plain.p ? find_transform(l, plain) : NULL;

	*index = number;
	return t && t->indexed ? t : NULL;
}

static bool one_transform(struct spot s, struct view body, struct trcall *out)
{
	must(body.p);

	size_t      n = view_find(body, ',');
	struct view name = view_trim(view_sub(body, 0, n)), rest = n < body.n ? view_of(body.p + n + 1, body.n - n - 1) : VIEW_NONE;
	struct view index = VIEW_NONE;
	int64_t     i = 0;
	bool        more = n < body.n;

	out->t = find_transform(s.l, name);
	if (!out->t)
		out->t = find_indexed(s.l, name, &index, &i);
	if (!out->t) {
		struct closest c = { .want = name };
		for (const struct script_transform *t = core_transforms; t->name; t++)
			closest_offer(&c, view_str(t->name));
		s = narrowed(s, name);
		err_at(s.l, s.at, s.len, closest_hint(&c, s.l->pub.arena), "unknown transformation \"{" VIEW_FMT "}\"", VIEW_ARG(name));
		return false;
	}
	out->args = arena_zalloc(s.l->pub.arena, SCRIPT_PARAMS * sizeof *out->args);
	if (!out->args)
		return false;
	if (out->t->raw_arg && more) {
		out->args[0].v = value_str(rest);
		out->nargs = 1;
		more = false;
	}
	while (more && out->nargs < SCRIPT_PARAMS) {
		struct view arg = next_arg(&rest);
		if (!transform_arg(s, arg, &out->args[out->nargs++]))
			return false;
		more = rest.p != NULL;
	}
	if (out->nargs < out->t->min_args || out->nargs > out->t->max_args) {
		err_at(s.l, s.at, s.len, VIEW_NONE, "transformation \"{" VIEW_FMT "}\" takes %s arguments than %d", VIEW_ARG(name),
			out->nargs < out->t->min_args ? "more" : "fewer", out->nargs);
		return false;
	}
	must(out->t->max_args < SCRIPT_PARAMS);
	if (index.n)
		out->args[out->nargs++].v = value_str_int(index, (int32_t)i);
	return true;
}

static bool transforms(struct spot s, struct view v, struct varref *ref)
{
	struct view rest = v;

	for (; rest.n; ref->ntr++) {
		size_t n = rest.p[0] == '{' ? braces_end(rest) : 0;
		if (!n) {
			err_at(s.l, s.at, s.len, VIEW_NONE, "bad variable: \"" VIEW_FMT "\" is no {transformation}", VIEW_ARG(rest));
			return false;
		}
		rest = view_trim(view_of(rest.p + n, rest.n - n));
	}
	ref->tr = arena_zalloc(s.l->pub.arena, (size_t)(ref->ntr + 1) * sizeof *ref->tr);
	if (!ref->tr)
		return false;
	rest = v;
	for (int i = 0; i < ref->ntr; i++) {
		size_t n = braces_end(rest);
		if (!one_transform(s, view_sub(rest, 1, n - 2), &ref->tr[i]))
			return false;
		rest = view_trim(view_of(rest.p + n, rest.n - n));
	}
	return true;
}

/* ---- one variable --------------------------------------------------------------------------------------------------------------- */

static size_t parens_end(struct view v)
{
	unsigned depth = 0;

	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] == '(')
			depth++;
		else if (v.p[i] == ')' && --depth == 0)
			return i + 1;
	}
	return 0;
}

static bool sub_name(struct spot s, struct view *rest, struct varref *ref)
{
	size_t      n = parens_end(*rest);
	struct view sub = n ? view_trim(view_sub(*rest, 1, n - 2)) : VIEW_NONE;

	if (!n) {
		err_at(s.l, s.at, s.len, VIEW_NONE, "bad variable: a parenthesis is missing");
		return false;
	}
	*rest = view_of(rest->p + n, rest->n - n);
	ref->sub = sub.p ? sub : VIEW("");
	ref->sub_kind = SUB_LITERAL;
	if (!sub.n || view_find(sub, '$') == sub.n)
		return true;
	ref->sub_fmt = resolve_fmt(s.l, sub, s.at, s.len);
	if (!ref->sub_fmt)
		return false;
	if (ref->sub_fmt->n)
		ref->sub_kind = SUB_FMT;
	else
		ref->sub = ref->sub_fmt->lit;
	return true;
}

static bool index_of(struct spot s, struct view *rest, struct varref *ref)
{
	unsigned depth = 0;
	size_t   n = 0;
	int64_t  i;

	for (; n < rest->n; n++) {
		if (rest->p[n] == '[')
			depth++;
		else if (rest->p[n] == ']' && --depth == 0)
			break;
	}
	if (n == rest->n) {
		err_at(s.l, s.at, s.len, VIEW_NONE, "bad variable: \"]\" is missing");
		return false;
	}

	struct view text = view_trim(view_sub(*rest, 1, n - 1));

	*rest = view_of(rest->p + n + 1, rest->n - n - 1);
	if (view_is(text, VIEW("*"))) {
		ref->index_kind = IDX_ALL;
	} else if (view_is(text, VIEW("append"))) {
		ref->index_kind = IDX_APPEND;
	} else if (parse_number(text, &i) && i >= -1000000 && i <= 1000000) {
		ref->index_kind = IDX_NUMBER;
		ref->index = (int)i;
	} else if (text.n && text.p[0] == '$' && lex_variable(text) == text.n) {
		ref->index_kind = IDX_NUMBER;
		ref->index_var = resolve_var(s.l, text, s.at, s.len);
		return ref->index_var != NULL;
	} else {
		err_at(s.l, s.at, s.len, VIEW_NONE, "an index is a number, a variable, \"*\" or \"append\"");
		return false;
	}
	return true;
}

/* 3.x names of what is now a part of another variable (section 17). */
static bool old_name(const struct loader *l, struct view name, struct varref *ref)
{
	static const struct { struct view old, now, sub; } names[] = {
		{ VIEW_INIT("Ri"), VIEW_INIT("socket_in"), VIEW_INIT("ip") }, { VIEW_INIT("Rp"), VIEW_INIT("socket_in"), VIEW_INIT("port") },
		{ VIEW_INIT("proto"), VIEW_INIT("socket_in"), VIEW_INIT("proto") }, { VIEW_INIT("pr"), VIEW_INIT("socket_in"), VIEW_INIT("proto") },
		{ VIEW_INIT("af"), VIEW_INIT("socket_in"), VIEW_INIT("af") }, { VIEW_INIT("fs"), VIEW_INIT("socket_out"), VIEW_INIT("") },
		{ VIEW_INIT("br"), VIEW_INIT("msg.branch"), VIEW_INIT("") },
	};

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (!view_is(name, names[i].old))
			continue;
		ref->row = find_var_row(l, names[i].now);
		ref->sub_kind = names[i].sub.n ? SUB_LITERAL : SUB_NONE;
		ref->sub = names[i].sub;
		return ref->row != NULL;
	}
	return false;
}

/* The name in front, "<request>" and "<reply>" included.  In a text, a full stop behind a known name is punctuation. */
static bool row_of(struct spot s, struct view *rest, struct varref *ref)
{
	size_t n = 0;

	if (view_starts(*rest, VIEW("<request>"))) {
		ref->ctx = CTX_REQUEST;
		*rest = view_from(*rest, 9);
	} else if (view_starts(*rest, VIEW("<reply>"))) {
		ref->ctx = CTX_REPLY;
		*rest = view_from(*rest, 7);
	} else if (rest->n && rest->p[0] == '<') {
		err_at(s.l, s.at, s.len, VIEW_NONE, "a context is <request> or <reply>");
		return false;
	}
	while (n < rest->n && name_char(rest->p[n]))
		n++;

	struct view name = view_sub(*rest, 0, n);

	ref->row = find_var_row(s.l, name);
	if (!ref->row && !old_name(s.l, name, ref))
		return unknown_var(s, name.n ? name : *rest) != NULL;
	*rest = view_of(rest->p + n, rest->n - n);
	return true;
}

static bool fits_row(struct spot s, struct varref *ref)
{
	const struct script_var *row = ref->row;

	must(row && row->get);
	if (ref->sub_kind != SUB_NONE && !(row->flags & VAR_SUB)) {
		err_at(s.l, s.at, s.len, VIEW_NONE, "$%s has no parts in parentheses", row->name);
		return false;
	}
	if (ref->sub_kind == SUB_NONE && row->flags & VAR_SUB_REQUIRED) {
		err_at(s.l, s.at, s.len, arena_fmt(s.l->pub.arena, "write $%s(name)", row->name), "$%s needs a name in parentheses", row->name);
		return false;
	}
	if (ref->index_kind != IDX_NONE && !(row->flags & VAR_INDEX)) {
		err_at(s.l, s.at, s.len, VIEW_NONE, "$%s has no index", row->name);
		return false;
	}
	ref->bound = -1;
	if (ref->sub_kind == SUB_LITERAL && row->bind && !s.l->at_run) {
		char       why[256];
		struct out err = out_to(why, sizeof why - 1);
		if (!row->bind(&s.l->pub, ref->sub, &ref->bound, &err)) {
			err_at(s.l, s.at, s.len, VIEW_NONE, "$%s: " VIEW_FMT, row->name, VIEW_ARG(out_view(&err)));
			return false;
		}
	}
	return true;
}

struct varref *resolve_var(struct loader *l, struct view text, uint32_t at, uint32_t len)
{
	must(text.n >= 2 && text.p[0] == '$');

	struct spot    s = { l, at, len };
	struct varref *ref = arena_zalloc(l->pub.arena, sizeof *ref);
	struct view    rest = view_from(text, 1);

	if (!ref)
		return NULL;
	ref->text = text;
	if (rest.n >= 2 && rest.p[0] == '(')
		rest = view_trim(view_sub(rest, 1, rest.n - 2));
	if (!row_of(s, &rest, ref))
		return NULL;
	if (rest.n && rest.p[0] == '(' && !sub_name(s, &rest, ref))
		return NULL;
	rest = view_trim(rest);
	if (rest.n && rest.p[0] == '[' && !index_of(s, &rest, ref))
		return NULL;
	if (!transforms(s, view_trim(rest), ref) || !fits_row(s, ref))
		return NULL;
	/* $var with its name written out is the one variable read without its row. */
	ref->fast = ref->row == &engine_vars[0] && ref->bound >= 0;
	ref->slot = ref->fast ? (uint32_t)ref->bound : 0;
	return ref;
}

/* ---- format strings ----------------------------------------------------------------------------------------------------------------- */

/* In a text "$rU.x" is $rU unless a variable has the longer name: cut at full stops until one is known. */
static size_t variable_in_text(const struct loader *l, struct view v)
{
	size_t n = lex_variable(v);

	if (n < 2 || v.p[1] == '(' || v.p[n - 1] == ')')
		return n;
	for (size_t k = n; k > 1; k--)
		if ((k == n || v.p[k] == '.') && find_var_row(l, view_sub(v, 1, k - 1)))
			return k;
	return n;
}

struct fmt *resolve_fmt(struct loader *l, struct view text, uint32_t at, uint32_t len)
{
	struct fmt *f = arena_zalloc(l->pub.arena, sizeof *f);
	size_t      dollars = 0, from = 0, i = 0;

	for (size_t k = 0; k < text.n; k++)
		dollars += text.p[k] == '$';
	if (!f)
		return NULL;
	f->lit = text.p ? text : VIEW("");
	if (!dollars)
		return f;
	f->parts = arena_zalloc(l->pub.arena, (dollars + 1) * sizeof *f->parts);
	if (!f->parts)
		return NULL;
	while (i < text.n) {
		struct view rest = view_from(text, i);
		if (rest.p[0] != '$') {
			i++;
			continue;
		}
		struct fmt_part *p = &f->parts[f->n++];
		if (rest.n > 1 && rest.p[1] == '$') {
			p->lit = view_sub(text, from, i + 1 - from);
			i += 2;
		} else {
			size_t n = variable_in_text(l, rest);
			if (!n) {
				err_at(l, at, len, VIEW("write $$ for a dollar sign"), "no variable follows a \"$\" in the text");
				return NULL;
			}
			p->lit = view_sub(text, from, i - from);
			p->var = resolve_var(l, view_sub(rest, 0, n), at, len);
			if (!p->var)
				return NULL;
			i += n;
		}
		from = i;
	}
	if (from < text.n)
		f->parts[f->n++].lit = view_from(text, from);
	return f;
}

/* ---- {s.eval}: a text of run time read as a format -------------------------------------------------------------------------------- */

enum { EVAL_DEPTH = 4 };

static bool s_eval(struct run *r, struct value *v, const struct value *args, int nargs)
{
	static _Thread_local unsigned depth;           /* "$(var(x){s.eval})" inside $var(x) would never end */
	const struct script          *script = r->script;
	struct diags                  d = { .arena = r->tmp };
	const struct script_env       env = { .nmodules = 0 };
	struct loader                *l = arena_zalloc(r->tmp, sizeof *l);
	struct view                   text;

	if (!l || depth == EVAL_DEPTH)
		return false;
	must(r->script && r->tmp);
	*l = (struct loader){ .at_run = true, .prog = (struct program *)(uintptr_t)&script->prog };
	l->pub = (struct script_load){ .arena = r->tmp, .diags = &d, .env = &env, .script = (struct script *)(uintptr_t)script };
	l->modules = arena_zalloc(r->tmp, (script->nmodules + 1) * sizeof *l->modules);
	for (; l->modules && l->nmodules < script->nmodules; l->nmodules++)
		l->modules[l->nmodules] = (struct module_load){ .m = script->modules[l->nmodules] };

	const struct fmt *f = l->modules ? resolve_fmt(l, v->s, 0, 0) : NULL;
	bool              good = false;

	depth++;
	if (f)
		good = fmt_expand(r, f, r->w->conf->print_buf, &text);
	depth--;
	if (good)
		*v = value_str(text);
	return good;
}

const struct script_transform engine_transforms[] = {
	{ "s.eval", s_eval, .help = "the value read as a format string" },
	{ NULL },
};
