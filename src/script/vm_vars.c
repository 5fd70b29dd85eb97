/* The variables that the machine keeps itself: $var, $param, $return, $rc, $route, $cfg_line, $argv, $err (opensips-language 10.1). */
#include "script/ast.h"

/* ---- $var: one slot per name and worker ------------------------------------------------------------------------------------ */

static bool bind_var(struct script_load *pub, struct view sub, int64_t *bound, struct out *err)
{
	struct loader  *l = loader_of(pub);
	struct program *p = l->prog;

	for (unsigned i = 0; i < p->nvars; i++) {
		if (view_is(p->vars[i], sub)) {
			*bound = i;
			return true;
		}
	}
	if (p->nvars == p->cap_vars) {
		unsigned     cap = p->cap_vars ? 2 * p->cap_vars : 64;
		struct view *vars = arena_alloc(l->pub.arena, cap * sizeof *vars);
		if (!vars) {
			putf(err, "out of memory");
			return false;
		}
		if (p->nvars)
			memcpy(vars, p->vars, p->nvars * sizeof *vars);
		p->vars = vars;
		p->cap_vars = cap;
	}
	p->vars[p->nvars] = arena_copy(l->pub.arena, sub);
	*bound = p->nvars++;
	return true;
}

/* A name known only now: it must be one that the script also writes out somewhere. */
static struct slot_var *slot_by_name(struct run *r, const struct var_use *u)
{
	const struct program *p = &r->script->prog;

	for (unsigned i = 0; i < p->nvars; i++)
		if (view_is(p->vars[i], u->sub))
			return &script_worker(r->w)->vars[i];
	return NULL;
}

static bool get_var(struct run *r, const struct var_use *u, struct value *out)
{
	must(u->bound < (int64_t)script_worker(r->w)->nvars);

	const struct slot_var *s = u->bound >= 0 ? &script_worker(r->w)->vars[u->bound] : slot_by_name(r, u);

	if (!s || s->flags & V_NULL)
		return false;
	*out = (struct value){ .flags = s->flags, .i = s->i, .s = view_of(s->p, s->n) };
	return true;
}

static int set_var(struct run *r, const struct var_use *u, enum assign op, const struct value *v)
{
	must(u->bound < (int64_t)script_worker(r->w)->nvars);

	struct slot_var *s = u->bound >= 0 ? &script_worker(r->w)->vars[u->bound] : slot_by_name(r, u);

	if (!s)
		return SCRIPT_FALSE;
	slot_set(s, v);
	return SCRIPT_TRUE;
}

/* ---- routes: parameters, returned values, codes -------------------------------------------------------------------------------- */

static bool event_param(const struct run *r, const struct var_use *u, uint32_t number, struct value *out)
{
	for (int i = 0; i < r->nparams; i++) {
		if (number ? number == (uint32_t)i + 1 : r->param_names && view_is_ci(r->param_names[i], u->sub)) {
			*out = r->params[i];
			return true;
		}
	}
	return false;
}

static bool get_param(struct run *r, const struct var_use *u, struct value *out)
{
	const struct vm    *vm = r->vm;
	const struct frame *f = vm && vm->nframes ? &vm->frames[vm->nframes - 1] : NULL;
	uint32_t            n = 0;

	view_u32(u->sub, &n);
	must(!f || f->base >= f->nparams);
	if (f && f->nparams && n >= 1 && n <= f->nparams) {
		*out = vm->stack[f->base - f->nparams + n - 1];
		return true;
	}
	return vm && vm->nframes == 1 && event_param(r, u, n, out);
}

static bool get_return(struct run *r, const struct var_use *u, struct value *out)
{
	uint32_t n;

	if (!r->vm || !view_u32(u->sub, &n) || n >= r->vm->nreturned)
		return false;
	*out = r->vm->returned[n];
	return true;
}

static bool number(struct value *out, int64_t i)
{
	*out = (struct value){ .flags = V_STR | V_INT | V_NATIVE | V_LAZY, .i = (int32_t)i };
	return true;
}

static bool text(struct value *out, struct view s)
{
	*out = value_str(s);
	return true;
}

static bool get_rc(struct run *r, const struct var_use *u, struct value *out) { return number(out, r->rc); }

/* [0] is the route that runs, [1] the one that called it; -1 the top route; without an index all, from the top, joined by "->". */
static const struct code *frame_code(const struct run *r, const struct var_use *u)
{
	const struct vm *vm = r->vm;
	int              n = vm ? (int)vm->nframes : 0;
	int              i = u->kind == IDX_NUMBER ? u->index : 0;

	i = i < 0 ? -1 - i : n - 1 - i;
	return i >= 0 && i < n ? vm->frames[i].code : NULL;
}

static struct view code_text(struct run *r, const struct code *c)
{
	struct view type = route_type_name(c->type);

	return c->name.n ? arena_fmt(r->tmp, VIEW_FMT "[" VIEW_FMT "]", VIEW_ARG(type), VIEW_ARG(c->name)) : type;
}

static bool get_route(struct run *r, const struct var_use *u, struct value *out)
{
	const struct vm *vm = r->vm;
	struct view      all = VIEW_NONE;

	if (u->kind == IDX_NUMBER) {
		const struct code *c = frame_code(r, u);
		return c && text(out, code_text(r, c));
	}
	for (unsigned i = 0; vm && i < vm->nframes; i++)
		all = arena_join(r->tmp, (struct view[]){ all, i ? VIEW("->") : VIEW_NONE, code_text(r, vm->frames[i].code) }, 3);
	return all.n && text(out, all);
}

static bool get_route_name(struct run *r, const struct var_use *u, struct value *out)
{
	const struct code *c = frame_code(r, u);

	return c && c->name.n && text(out, c->name);
}

static bool get_route_type(struct run *r, const struct var_use *u, struct value *out)
{
	const struct code *c = frame_code(r, u);

	return c && text(out, route_type_name(c->type));
}

/* ---- where and with what -------------------------------------------------------------------------------------------------------- */

static const struct ins_at *now_at(const struct run *r)
{
	return &r->script->prog.at[r->vm && r->vm->pc ? r->vm->pc - 1 : 0];
}
static bool get_cfg_line(struct run *r, const struct var_use *u, struct value *out) { return number(out, now_at(r)->line); }
static bool get_cfg_file(struct run *r, const struct var_use *u, struct value *out) { return text(out, r->script->prog.files[now_at(r)->file]); }

static bool get_argv(struct run *r, const struct var_use *u, struct value *out)
{
	for (size_t i = 0; i < r->script->nscript_args; i++) {
		struct view rest = r->script->script_args[i], name = view_cut(&rest, '=');
		if (view_is(name, u->sub))
			return text(out, rest);
	}
	return false;
}

/* ---- error_route -------------------------------------------------------------------------------------------------------------------- */

static bool get_err_class(struct run *r, const struct var_use *u, struct value *out) { return r->err && number(out, r->err->class); }
static bool get_err_level(struct run *r, const struct var_use *u, struct value *out) { return r->err && number(out, r->err->level); }
static bool get_err_info(struct run *r, const struct var_use *u, struct value *out) { return r->err && r->err->info.n && text(out, r->err->info); }
static bool get_err_rcode(struct run *r, const struct var_use *u, struct value *out) { return r->err && number(out, r->err->status); }
static bool get_err_rreason(struct run *r, const struct var_use *u, struct value *out) { return r->err && r->err->reason.n && text(out, r->err->reason); }

const struct script_var engine_vars[] = {
	{ "var", get_var, set_var, bind_var, VAR_SUB | VAR_SUB_REQUIRED, "a variable of this worker; keeps its value between messages" },
	{ "param", get_param, NULL, NULL, VAR_SUB | VAR_SUB_REQUIRED, "parameter of the route, from 1; of an event, also by name" },
	{ "return", get_return, NULL, NULL, VAR_SUB | VAR_SUB_REQUIRED, "value returned by the last route, from 0" },
	{ "rc", get_rc, NULL, NULL, 0, "code of the last action" }, { "retcode", get_rc, NULL, NULL, 0, "code of the last action" },
	{ "route", get_route, NULL, NULL, VAR_INDEX, "the routes that run, from the top" },
	{ "route.name", get_route_name, NULL, NULL, VAR_INDEX, "name of the route" },
	{ "route.type", get_route_type, NULL, NULL, VAR_INDEX, "kind of the route" },
	{ "cfg_line", get_cfg_line, NULL, NULL, 0, "line of the script" }, { "cfg_file", get_cfg_file, NULL, NULL, 0, "file of the script" },
	{ "argv", get_argv, NULL, NULL, VAR_SUB | VAR_SUB_REQUIRED, "value given with -o name=value" },
	{ "err.class", get_err_class, NULL, NULL, 0, "class of the error (error_route)" }, { "err.level", get_err_level, NULL, NULL, 0, "severity of the error" },
	{ "err.info", get_err_info, NULL, NULL, 0, "what is wrong" }, { "err.rcode", get_err_rcode, NULL, NULL, 0, "recommended reply code" },
	{ "err.rreason", get_err_rreason, NULL, NULL, 0, "recommended reason phrase" },
	{ NULL },
};
