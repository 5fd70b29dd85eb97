/* Everything about the routes that can be wrong is found here, at load: names, types, routes, where a function may stand
 * (design D3; opensips-language sections 5, 6, 14). */
#include "script/ast.h"

unsigned route_type_index(enum route_type t)
{
	must(t && !(t & (t - 1)) && t <= ROUTE_EVENT);
	return (unsigned)__builtin_ctz((unsigned)t);
}

struct view route_type_name(enum route_type t)
{
	static const struct view names[ROUTE_TYPES] = {
		VIEW_INIT("route"), VIEW_INIT("failure_route"), VIEW_INIT("onreply_route"), VIEW_INIT("branch_route"), VIEW_INIT("local_route"),
		VIEW_INIT("error_route"), VIEW_INIT("startup_route"), VIEW_INIT("timer_route"), VIEW_INIT("event_route"),
	};

	return names[route_type_index(t)];
}

int script_route(const struct script *s, enum route_type type, struct view name)
{
	unsigned t = route_type_index(type);

	if (type == ROUTE_REQUEST && view_is(name, VIEW("0")))
		name = VIEW_NONE;
	for (unsigned i = 0; i < s->prog.nroutes[t]; i++)
		if (view_is(s->prog.routes[t][i].name, name))
			return (int)i;
	return -1;
}

static bool check_stmts(struct loader *l, struct stmt *s);
static bool check_expr(struct loader *l, struct expr *e);

/* ---- expressions ------------------------------------------------------------------------------------------------------- */

static bool check_var(struct loader *l, struct expr *e)
{
	if (!e->var)
		e->var = resolve_var(l, e->text, e->at, e->len);
	return e->var != NULL;
}

static bool check_target(struct loader *l, struct expr *e)
{
	if (!check_var(l, e))
		return false;
	if (!e->var->row->set) {
		err_at(l, e->at, e->len, VIEW_NONE, "$%s is read-only", e->var->row->name);
		return false;
	}
	if (e->var->ntr) {
		err_at(l, e->at, e->len, VIEW_NONE, "what is assigned to has no transformation");
		return false;
	}
	if (e->var->ctx != CTX_MSG) {
		err_at(l, e->at, e->len, VIEW_NONE, "a variable of <request> or <reply> cannot be assigned to");
		return false;
	}
	return true;
}

static bool check_compare(struct loader *l, struct expr *e)
{
	bool match = e->op == OP_MATCH || e->op == OP_NOMATCH;

	if (!check_expr(l, e->left) || !check_expr(l, e->right))
		return false;
	if (match && e->right->kind == E_STR) {
		char       why[256];
		struct out err = out_to(why, sizeof why - 1);
		e->re = script_regex(&l->pub, e->right->text, true, &err);
		if (!e->re)
			err_at(l, e->right->at, e->right->len, VIEW_NONE, "bad regular expression: " VIEW_FMT, VIEW_ARG(out_view(&err)));
		return e->re != NULL;
	}
	if (match && e->right->kind != E_VAR) {
		err_at(l, e->right->at, e->right->len, VIEW_NONE, "the right side of =~ is a string or a variable");
		return false;
	}
	if ((e->right->kind == E_NULL || e->right->kind == E_NET) && e->op != OP_EQ && e->op != OP_NE) {
		err_at(l, e->right->at, e->right->len, VIEW_NONE, "only == and != compare with %s", e->right->kind == E_NULL ? "NULL" : "a network");
		return false;
	}
	if (e->right->kind == E_BIN || e->right->kind == E_BITNOT) {
		err_at(l, e->right->at, e->right->len, VIEW_NONE, "the right side of a comparison is a variable, a string or a number");
		return false;
	}
	return true;
}

static bool check_assign(struct loader *l, struct expr *e)
{
	if (!check_target(l, e->left) || !check_expr(l, e->right))
		return false;
	if (e->right->kind == E_NULL && e->op != '=' && e->op != OP_REPLACE) {
		err_at(l, e->at, e->len, VIEW_NONE, "NULL can only be assigned with = or :=");
		return false;
	}
	return true;
}

static struct view route_words_hint(struct loader *l, struct view name)
{
	struct closest        c = { .want = name };
	const struct program *p = l->prog;

	for (unsigned i = 0; i < p->nroutes[0]; i++)
		closest_offer(&c, p->routes[0][i].name);
	return closest_hint(&c, l->pub.arena);
}

static bool check_route_call(struct loader *l, struct expr *e)
{
	struct routecall *r = arena_zalloc(l->pub.arena, sizeof *r);
	struct expr      *name = e->args ? e->args->e : NULL;

	if (!r)
		return false;
	e->route = r;
	r->number = -1;
	if (!name) {
		err_at(l, e->at, e->len, VIEW_NONE, "route() needs the name of a route");
		return false;
	}
	for (struct args *a = e->args->next; a; a = a->next) {
		if (a->e && a->e->kind == E_WORD) {
			err_at(l, a->e->at, a->e->len, arena_fmt(l->pub.arena, "write \"" VIEW_FMT "\"", VIEW_ARG(a->e->text)), "a parameter of a route is a string, a number or a variable");
			return false;
		}
		if (a->e && !check_expr(l, a->e))
			return false;
	}
	if (name->kind == E_VAR) {
		r->name_var = resolve_var(l, name->text, name->at, name->len);
		return r->name_var != NULL;
	}
	if (name->kind != E_STR && name->kind != E_WORD && name->kind != E_NUM) {
		err_at(l, name->at, name->len, VIEW_NONE, "the name of a route is expected");
		return false;
	}

	struct view text = name->kind == E_STR ? name->text : view_sub(l->src.text, name->at, name->len);
	struct fmt *f = resolve_fmt(l, text, name->at, name->len);

	if (!f)
		return false;
	if (f->n) {
		r->name = f;
		return true;
	}
	r->number = script_route(l->pub.script, ROUTE_REQUEST, f->lit);
	if (r->number >= 0)
		return true;
	err_at(l, name->at, name->len, route_words_hint(l, f->lit), "route[" VIEW_FMT "] is not defined", VIEW_ARG(f->lit));
	return false;
}

static bool check_expr(struct loader *l, struct expr *e)
{
	switch (e->kind) {
	case E_NUM: case E_STR: case E_NULL: case E_NET:
		return true;
	case E_WORD:
		err_at(l, e->at, e->len, arena_fmt(l->pub.arena, "write \"" VIEW_FMT "\"", VIEW_ARG(e->text)), "a string needs quotes");
		return false;
	case E_VAR:    return check_var(l, e);
	case E_CALL:   return resolve_call(l, e);
	case E_ROUTE:  return check_route_call(l, e);
	case E_CMP:    return check_compare(l, e);
	case E_ASSIGN: return check_assign(l, e);
	case E_BLOCK:  return check_stmts(l, e->block);
	case E_BITNOT: case E_NOT: case E_ARITH:
		return check_expr(l, e->left);
	case E_BIN: case E_AND: case E_OR:
		return check_expr(l, e->left) && check_expr(l, e->right);
	}
	return false;
}

/* ---- statements ---------------------------------------------------------------------------------------------------------- */

static bool check_for(struct loader *l, struct stmt *s)
{
	if (!check_target(l, s->e) || !check_var(l, s->e2))
		return false;
	if (s->e2->var->index_kind != IDX_ALL) {
		err_at(l, s->e2->at, s->e2->len, arena_fmt(l->pub.arena, "write $(%s(name)[*])", s->e2->var->row->name), "for walks a variable with index [*]");
		return false;
	}
	return check_stmts(l, s->body);
}

static bool same_case(const struct expr *a, const struct expr *b)
{
	if (a->kind != b->kind)
		return false;
	return a->kind == E_NUM ? a->num == b->num : view_is_ci(a->text, b->text);
}

static bool check_switch(struct loader *l, struct stmt *s)
{
	if (!check_var(l, s->e))
		return false;
	for (struct scase *c = s->cases; c; c = c->next) {
		for (struct scase *d = s->cases; c->value && d != c; d = d->next) {
			if (d->value && same_case(c->value, d->value))
				warn_at(l, c->value->at, c->value->len, VIEW_NONE, "this case stands here twice: only the first is reached");
		}
		if (!check_stmts(l, c->body))
			return false;
	}
	return true;
}

static bool check_named_route(struct loader *l, struct stmt *s)
{
	if (!s->name.n)
		return true;
	s->route = script_route(l->pub.script, ROUTE_REQUEST, s->name);
	if (s->route >= 0)
		return true;
	err_at(l, s->name_at, s->name_len, route_words_hint(l, s->name), "route[" VIEW_FMT "] is not defined", VIEW_ARG(s->name));
	return false;
}

static bool check_log(struct loader *l, struct stmt *s)
{
	if (s->e2 && !check_var(l, s->e2))
		return false;
	if (s->plain) {
		s->fmt = arena_zalloc(l->pub.arena, sizeof *s->fmt);
		if (s->fmt)
			s->fmt->lit = s->text;
	} else {
		s->fmt = resolve_fmt(l, s->text, s->name_at, s->name_len);
	}
	return s->fmt != NULL;
}

static bool check_return(struct loader *l, struct stmt *s)
{
	if (s->e && !check_expr(l, s->e))
		return false;
	for (struct args *a = s->args; a; a = a->next)
		if (a->e && !check_expr(l, a->e))
			return false;
	return true;
}

/* A bad condition hides no mistake in its branches. */
static bool check_branches(struct loader *l, struct stmt *s)
{
	bool condition = check_expr(l, s->e), body = check_stmts(l, s->body), other = check_stmts(l, s->other);

	return condition && body && other;
}

static bool check_stmt(struct loader *l, struct stmt *s)
{
	switch (s->kind) {
	case S_EXPR:   return check_expr(l, s->e);
	case S_IF: case S_WHILE: return check_branches(l, s);
	case S_FOR:    return check_for(l, s);
	case S_SWITCH: return check_switch(l, s);
	case S_RETURN: return check_return(l, s);
	case S_BREAK: case S_EXIT: case S_DROP:
		return true;
	case S_BLOCK:  return check_stmts(l, s->body);
	case S_LOG:    return check_log(l, s);
	case S_ASSERT: return check_expr(l, s->e);
	case S_ASYNC:
		if (s->e2 && s->e2->kind != E_NUM && !check_expr(l, s->e2))
			return false;
		return check_expr(l, s->e) && check_named_route(l, s);
	case S_LAUNCH:
		s->fmt = s->e2 ? resolve_fmt(l, s->e2->text, s->e2->at, s->e2->len) : NULL;
		return check_expr(l, s->e) && check_named_route(l, s) && (!s->e2 || s->fmt);
	}
	return false;
}

/* Statements are judged one by one: each tells its first mistake. */
static bool check_stmts(struct loader *l, struct stmt *s)
{
	bool good = true;

	for (; s; s = s->next)
		good &= check_stmt(l, s);
	return good;
}

/* ---- where functions stand -------------------------------------------------------------------------------------------------- */

struct walk { struct loader *l; struct route_ast *from; unsigned mask; bool report, changed, good; };

static void walk_stmts(struct walk *w, const struct stmt *s);

static struct route_ast *request_route(const struct loader *l, int number)
{
	for (const struct item *i = l->items; i; i = i->next)
		if (i->kind == ITEM_ROUTE && i->route->type == ROUTE_REQUEST && i->route->number == number)
			return i->route;
	return NULL;
}

static void reaches(struct walk *w, int number)
{
	struct route_ast *to = number >= 0 ? request_route(w->l, number) : NULL;

	if (to && (to->called_from | w->mask) != to->called_from) {
		to->called_from |= w->mask;
		w->changed = true;
	}
}

static void judge_call(struct walk *w, const struct expr *e)
{
	const struct script_func *f = e->call->f;

	must(f->where);

	unsigned                  bad = w->mask & ~f->where;

	if (!bad || !w->report)
		return;

	struct view block = route_type_name((enum route_type)(bad & -bad));
	bool        called = !(bad & w->from->type);

	err_at(w->l, e->at, (uint32_t)e->text.n, called ? arena_fmt(w->l->pub.arena, "route[" VIEW_FMT "] is called from there", VIEW_ARG(w->from->name)) : VIEW_NONE,
		"%s() cannot be used in %s" VIEW_FMT, f->name, called ? "a " : "", VIEW_ARG(block));
	w->good = false;
}

static void walk_expr(struct walk *w, const struct expr *e)
{
	if (!e)
		return;
	if (e->kind == E_CALL && e->call)
		judge_call(w, e);
	if (e->kind == E_ROUTE && e->route)
		reaches(w, e->route->number);
	if (e->kind == E_BLOCK)
		walk_stmts(w, e->block);
	walk_expr(w, e->left);
	walk_expr(w, e->right);
	for (const struct args *a = e->args; a; a = a->next)
		walk_expr(w, a->e);
}

static void walk_stmts(struct walk *w, const struct stmt *s)
{
	for (; s; s = s->next) {
		walk_expr(w, s->e);
		walk_stmts(w, s->body);
		walk_stmts(w, s->other);
		for (const struct scase *c = s->cases; c; c = c->next)
			walk_stmts(w, c->body);
		if (s->kind == S_ASYNC || s->kind == S_LAUNCH)
			reaches(w, s->route);
	}
}

static bool walk_routes(struct loader *l, bool report)
{
	struct walk w = { .l = l, .report = report, .good = true };

	do {
		w.changed = false;
		for (const struct item *i = l->items; i; i = i->next) {
			if (i->kind != ITEM_ROUTE)
				continue;
			w.from = i->route;
			w.mask = i->route->called_from;
			walk_stmts(&w, i->route->body);
		}
	} while (w.changed && !report);
	return w.good;
}

/* A named route{} is judged as each kind of block that reaches it; one that nothing reaches by a literal name is not. */
static bool check_where(struct loader *l)
{
	for (struct item *i = l->items; i; i = i->next)
		if (i->kind == ITEM_ROUTE)
			i->route->called_from = i->route->type != ROUTE_REQUEST || !i->route->name.n ? i->route->type : 0;
	walk_routes(l, false);
	return walk_routes(l, true);
}

/* ---- the routes themselves ------------------------------------------------------------------------------------------------------ */

static bool number_routes(struct loader *l)
{
	struct program *p = l->prog;
	bool            good = true;

	for (struct item *i = l->items; i; i = i->next) {
		struct route_ast *r = i->route;
		if (i->kind != ITEM_ROUTE)
			continue;
		unsigned t = route_type_index(r->type);
		if (!p->routes[t])
			p->routes[t] = arena_zalloc(l->pub.arena, SCRIPT_ROUTES * sizeof **p->routes);
		if (!p->routes[t])
			return false;
		if (script_route(l->pub.script, r->type, r->name) >= 0) {
			err_at(l, r->at, r->len, VIEW_NONE, r->name.n ? VIEW_FMT "[" VIEW_FMT "] is defined twice" : VIEW_FMT VIEW_FMT " is defined twice",
				VIEW_ARG(route_type_name(r->type)), VIEW_ARG(r->name));
			good = false;
			continue;
		}
		if (p->nroutes[t] == SCRIPT_ROUTES) {
			err_at(l, r->at, r->len, VIEW_NONE, "more than %d routes of one type", SCRIPT_ROUTES);
			return false;
		}
		r->number = (int)p->nroutes[t];
		p->routes[t][p->nroutes[t]++] = (struct code){ .name = r->name, .seconds = r->seconds, .type = r->type };
	}
	return good;
}

bool check_routes(struct loader *l)
{
	if (!number_routes(l))
		return false;
	if (script_route(l->pub.script, ROUTE_REQUEST, VIEW_NONE) < 0) {
		err_at(l, l->src.text.n ? (uint32_t)l->src.text.n - 1 : 0, 0, VIEW_NONE, "the main route{} is missing");
		return false;
	}

	bool good = true;

	for (struct item *i = l->items; i; i = i->next)
		if (i->kind == ITEM_ROUTE)
			good &= check_stmts(l, i->route->body);
	return good && check_where(l);
}
