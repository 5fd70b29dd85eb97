/* Reading and writing variables, expanding format strings, evaluating a call's arguments (opensips-language sections 10, 11, 14). */
#include "script/ast.h"

void value_own(struct arena *a, struct value *v)
{
	if (v->flags & V_LAZY)
		value_text(a, v);
	if (!(v->flags & V_BORROWED))
		return;
	v->flags &= (uint8_t)~V_BORROWED;
	v->s = arena_copy(a, v->s);
	if (!v->s.p)
		*v = VALUE_NULL;
}

/* ---- variables -------------------------------------------------------------------------------------------------------- */

static bool slot_get(const struct run *r, const struct varref *v, struct value *out)
{
	must(v->slot < script_worker(r->w)->nvars);

	const struct slot_var *s = &script_worker(r->w)->vars[v->slot];

	*out = (struct value){ .flags = s->flags, .i = s->i, .s = view_of(s->p, s->n) };
	return !(s->flags & V_NULL);
}

static bool use_of(struct run *r, const struct varref *v, struct var_use *u)
{
	*u = (struct var_use){ .sub = v->sub, .bound = v->bound, .kind = v->index_kind, .index = v->index };
	if (v->sub_kind == SUB_FMT && !fmt_expand(r, v->sub_fmt, SCRIPT_STRING_BYTES, &u->sub))
		return false;
	if (v->index_var) {
		struct value i;
		if (!var_eval(r, v->index_var, &i) || !(i.flags & V_INT))
			return false;
		u->index = i.i;
	}
	return true;
}

static bool row_get(struct run *r, const struct varref *v, struct value *out)
{
	struct var_use u;

	if (!use_of(r, v, &u))
		return false;
	if (v->ctx == CTX_MSG)
		return v->row->get(r, &u, out);

	struct run other = *r;

	other.msg = v->ctx == CTX_REQUEST ? r->request : r->reply;
	if (!other.msg)
		return false;
	other.route = v->ctx == CTX_REQUEST ? &other.msg->route : NULL;
	other.edits = &other.msg->edits;
	return v->row->get(&other, &u, out);
}

static bool transform(struct run *r, const struct varref *v, struct value *out)
{
	value_own(r->tmp, out);
	must(!(out->flags & (V_BORROWED | V_LAZY)));
	for (int i = 0; i < v->ntr; i++) {
		const struct trcall *t = &v->tr[i];
		struct value         args[SCRIPT_PARAMS];
		for (int k = 0; k < t->nargs; k++) {
			if (!t->args[k].var) {
				args[k] = t->args[k].v;
				continue;
			}
			if (!var_eval(r, t->args[k].var, &args[k]))
				return false;
			value_own(r->tmp, &args[k]);
		}
		if (value_null(out) && !t->t->null_ok)
			return false;
		if (!t->t->run(r, out, args, t->nargs))
			return false;
	}
	return !value_null(out);
}

bool var_eval(struct run *r, const struct varref *v, struct value *out)
{
	*out = VALUE_NULL;

	bool there = v->fast ? slot_get(r, v, out) : row_get(r, v, out) && !value_null(out);

	if (!there)
		*out = VALUE_NULL;
	if (v->ntr && !transform(r, v, out))
		*out = VALUE_NULL;
	return !value_null(out);
}

void slot_set(struct slot_var *s, const struct value *v)
{
	must(!(v->flags & V_ERROR));
	if (v->flags & V_NULL) {
		s->flags = V_NULL;
		s->n = 0;
	} else if (v->flags & V_NATIVE) {
		s->flags = V_STR | V_INT | V_NATIVE | V_LAZY;
		s->i = v->i;
		s->n = 0;
	} else {
		/* The text may be the slot's own. */
		char *p = s->p;
		if (v->s.n > s->cap) {
			p = malloc(v->s.n);
			if (!p)
				return;
		}
		if (v->s.n)
			memmove(p, v->s.p, v->s.n);
		if (p != s->p) {
			free(s->p);
			s->p = p;
			s->cap = (uint32_t)v->s.n;
		}
		s->n = (uint32_t)v->s.n;
		s->flags = V_STR | V_BORROWED;
	}
}

int var_assign(struct run *r, const struct varref *v, enum assign op, const struct value *value)
{
	struct var_use u;
	struct value   own = *value;

	if (own.flags & V_ERROR)
		return SCRIPT_FALSE;
	if (v->fast) {
		must(v->slot < script_worker(r->w)->nvars);
		slot_set(&script_worker(r->w)->vars[v->slot], &own);
		return SCRIPT_TRUE;
	}
	if (!v->row->set || !use_of(r, v, &u))
		return SCRIPT_FALSE;
	value_own(r->tmp, &own);
	return v->row->set(r, &u, op, &own);
}

int lvalue_set(struct run *r, const struct lvalue *v, const struct value *value)
{
	return var_assign(r, &v->ref, ASSIGN_SET, value);
}

/* ---- format strings ------------------------------------------------------------------------------------------------------ */

static void put_value(struct out *o, const struct value *v)
{
	if (v->flags & V_NULL)
		put(o, VIEW("<null>"));
	else if (v->flags & V_LAZY)
		put_i64(o, v->i);
	else
		put(o, v->s);
}

/* Expansions nest (a name inside a name): each writes behind the one that asked for it. */
bool fmt_scratch(struct run *r, const struct fmt *f, size_t limit, struct view *out)
{
	struct script_worker *s = script_worker(r->w);

	must(s->scratch_at <= s->scratch_n);

	size_t                mine = s->scratch_at, room = s->scratch_n - mine;
	struct out            o = out_to(s->scratch + mine, room < limit ? room : limit);
	struct value          v;

	if (!f->n) {
		*out = f->lit;
		return f->lit.n <= limit;
	}
	for (unsigned i = 0; i < f->n && !o.full; i++) {
		must(f->parts);
		put(&o, f->parts[i].lit);
		if (!f->parts[i].var)
			continue;
		s->scratch_at = mine + o.n;
		var_eval(r, f->parts[i].var, &v);
		put_value(&o, &v);
	}
	s->scratch_at = mine;
	*out = out_view(&o);
	return !o.full;
}

bool fmt_expand(struct run *r, const struct fmt *f, size_t limit, struct view *out)
{
	if (!fmt_scratch(r, f, limit, out))
		return false;
	if (f->n)
		*out = arena_copy(r->tmp, out->n ? *out : VIEW(""));
	return out->p != NULL;
}

/* ---- arguments -------------------------------------------------------------------------------------------------------------- */

static bool text_arg(struct run *r, const struct argx *x, struct view *out)
{
	struct value v;

	if (x->fmt) {
		if (fmt_expand(r, x->fmt, r->w->conf->print_buf, out))
			return true;
		script_complain(r, "an argument is longer than pv_print_buf_size");
		return false;
	}
	if (!var_eval(r, x->var, &v) || !(v.flags & V_STR)) {
		script_complain(r, VIEW_FMT " is NULL where a string is needed", VIEW_ARG(x->var->text));
		return false;
	}
	value_own(r->tmp, &v);
	*out = v.s;
	return true;
}

static bool regex_of(struct run *r, struct arg *a)
{
	char         why[128];
	struct out   err = out_to(why, sizeof why - 1);
	struct vm   *vm = r->vm;

	if (vm->ncall_re == SCRIPT_PARAMS)
		return false;
	a->re = regex_new(a->s, true, true, &err);
	if (!a->re) {
		script_complain(r, "bad regular expression: " VIEW_FMT, VIEW_ARG(out_view(&err)));
		return false;
	}
	vm->call_re[vm->ncall_re++] = (struct regex *)a->re;
	return true;
}

static bool arg_eval(struct run *r, const struct callsite *c, const struct argx *x, struct arg *a)
{
	struct value v;
	struct view  unknown;

	*a = x->a;
	switch ((enum argx_kind)x->kind) {
	case ARGX_NONE: case ARGX_CONST: case ARGX_OUT:
		return true;
	case ARGX_FMT: case ARGX_VAR_STR:
		return text_arg(r, x, &a->s);
	case ARGX_VAR_INT:
		if (!var_eval(r, x->var, &v) || !(v.flags & V_INT)) {
			script_complain(r, VIEW_FMT " is no integer where one is needed", VIEW_ARG(x->var->text));
			return false;
		}
		value_own(r->tmp, &v);
		a->i = v.i;
		a->s = v.s;
		return true;
	case ARGX_RE_VAR:
		return text_arg(r, x, &a->s) && regex_of(r, a);
	case ARGX_FLAGS_FMT:
		if (!text_arg(r, x, &a->s))
			return false;
		if (flag_words(c->f, a->s, &a->i, &unknown))
			return true;
		script_complain(r, "%s() has no flag \"" VIEW_FMT "\"", c->f->name, VIEW_ARG(unknown));
		return false;
	case ARGX_ROUTE_FMT:
		if (!text_arg(r, x, &a->s))
			return false;
		a->i = script_route(r->script, x->where, a->s);
		if (a->i >= 0)
			return true;
		script_complain(r, VIEW_FMT "[" VIEW_FMT "] is not defined", VIEW_ARG(route_type_name(x->where)), VIEW_ARG(a->s));
		return false;
	}
	return false;
}

bool args_eval(struct run *r, const struct callsite *c, struct arg *out)
{
	must(c->nargs <= SCRIPT_PARAMS && r->vm->ncall_re == 0);
	for (unsigned i = 0; i < c->nargs; i++)
		if (!arg_eval(r, c, &c->arg[i], &out[i]))
			return false;
	return true;
}
