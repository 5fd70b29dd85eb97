/* The checked tree to instructions of one size. */
#include "script/ast.h"

struct pending { const struct stmt *launch; uint32_t at; struct pending *next; };
struct comp { struct loader *l; struct program *p; bool full; uint32_t *breaks; unsigned nbreaks, cap_breaks; struct pending *launches; uint32_t at; };

static void *grow(struct comp *c, void *old, size_t have, size_t *cap, size_t size)
{
	size_t more = *cap ? 2 * *cap : 64;
	void  *p = arena_alloc(c->l->pub.arena, more * size);

	if (!p) {
		c->full = true;
		return NULL;
	}
	if (have)
		memcpy(p, old, have * size);
	*cap = more;
	return p;
}

static uint32_t emit(struct comp *c, enum opcode op, unsigned a, unsigned b, uint32_t arg)
{
	struct program *p = c->p;

	must(op <= I_LAUNCH && a <= UINT8_MAX && b <= UINT16_MAX);

	if (p->nins == p->cap) {
		size_t         cap = p->cap, cap_at = p->cap;
		struct ins    *ins = grow(c, p->ins, p->nins, &cap, sizeof *ins);
		struct ins_at *at = grow(c, p->at, p->nins, &cap_at, sizeof *at);
		if (!ins || !at)
			return 0;
		p->ins = ins;
		p->at = at;
		p->cap = cap;
	}
	struct place place = source_place(&c->l->src, c->at);
	p->ins[p->nins] = (struct ins){ (uint8_t)op, (uint8_t)a, (uint16_t)b, arg };
	p->at[p->nins] = (struct ins_at){ place.file_index, place.line };
	return (uint32_t)p->nins++;
}

static uint32_t here(const struct comp *c) { return (uint32_t)c->p->nins; }

/* A jump that was emitted earlier leads here. */
static void land(struct comp *c, uint32_t jump)
{
	if (c->full)
		return;
	must(jump < here(c));
	c->p->ins[jump].c = here(c);
}

static uint32_t pooled(struct comp *c, const void *thing)
{
	struct program *p = c->p;

	must(thing);            /* the checker resolved every name */
	if (p->npool == p->cap_pool) {
		size_t       cap = p->cap_pool;
		const void **pool = grow(c, p->pool, p->npool, &cap, sizeof *pool);
		if (!pool)
			return 0;
		p->pool = pool;
		p->cap_pool = (unsigned)cap;
	}
	p->pool[p->npool] = thing;
	return p->npool++;
}

static uint32_t constant(struct comp *c, struct value v)
{
	struct program *p = c->p;

	for (unsigned i = 0; i < p->nconsts; i++)
		if (p->consts[i].flags == v.flags && p->consts[i].i == v.i && view_is(p->consts[i].s, v.s))
			return i;
	if (p->nconsts == p->cap_consts) {
		size_t        cap = p->cap_consts;
		struct value *consts = grow(c, p->consts, p->nconsts, &cap, sizeof *consts);
		if (!consts)
			return 0;
		p->consts = consts;
		p->cap_consts = (unsigned)cap;
	}
	p->consts[p->nconsts] = v;
	return p->nconsts++;
}

/* An integer constant has no text inside arithmetic and comparisons: "a" + 1 is an error, unlike "a" + $var(one). */
static struct value const_value(struct comp *c, const struct expr *e, bool operand)
{
	switch (e->kind) {
	case E_NUM:
		if (operand)
			return (struct value){ .flags = V_INT | V_NATIVE, .i = (int32_t)e->num };
		return value_int(c->l->pub.arena, (int32_t)e->num);
	case E_NULL: return VALUE_NULL;
	default:     return value_str(e->text);
	}
}

static void stmts(struct comp *c, struct stmt *s);
static void value(struct comp *c, struct expr *e, bool operand);

/* ---- calls ------------------------------------------------------------------------------------------------------------ */

static void call(struct comp *c, const struct expr *e)
{
	unsigned n = 0;

	c->at = e->at;
	if (e->kind == E_CALL) {
		emit(c, I_CALL, 0, 0, pooled(c, e->call));
		return;
	}
	for (const struct args *a = e->args->next; a; a = a->next, n++) {
		if (a->e)
			value(c, a->e, false);
		else
			emit(c, I_CONST, 0, 0, constant(c, VALUE_NULL));
	}
	emit(c, I_ROUTE, 0, n, pooled(c, e->route));
}

static void assign(struct comp *c, const struct expr *e)
{
	static const struct { int op; char arith; } compound[] = {
		{ OP_ADDTO, '+' }, { OP_SUBTO, '-' }, { OP_MULTO, '*' }, { OP_DIVTO, '/' }, { OP_MODTO, '%' }, { OP_ANDTO, '&' }, { OP_ORTO, '|' }, { OP_XORTO, '^' },
	};
	unsigned    how = e->op == OP_REPLACE ? ASSIGN_REPLACE : ASSIGN_SET;
	uint32_t    to = pooled(c, e->left->var);
	enum ekind  k = e->right->kind;

	for (size_t i = 0; i < COUNT_OF(compound); i++) {
		if (compound[i].op == e->op) {
			emit(c, I_VAR, 0, 0, to);
			value(c, e->right, true);
			emit(c, I_BIN, true, (unsigned char)compound[i].arith, 0);
			emit(c, I_STORE, how, 0, to);
			return;
		}
	}
	if (k == E_NUM || k == E_STR || k == E_NULL || k == E_NET) {
		uint32_t n = constant(c, const_value(c, e->right, false));
		if (n <= UINT16_MAX) {
			emit(c, I_STOREC, how, n, to);
			return;
		}
	}
	value(c, e->right, false);
	emit(c, I_STORE, how, 0, to);
}

/* ---- conditions ---------------------------------------------------------------------------------------------------------- */

static void compare(struct comp *c, const struct expr *e)
{
	struct cmp *k = arena_zalloc(c->l->pub.arena, sizeof *k);

	c->at = e->at;
	if (!k) {
		c->full = true;
		return;
	}
	k->left = e->left->var;
	k->right = e->right->var;
	k->re = e->re;
	k->net = e->right->net;
	if (e->op == OP_MATCH || e->op == OP_NOMATCH) {
		emit(c, k->re ? I_MATCH : I_MATCHV, e->op == OP_NOMATCH, 0, pooled(c, k));
	} else if (e->right->kind == E_NET) {
		emit(c, I_NET, e->op == OP_NE, 0, pooled(c, k));
	} else if (k->right) {
		emit(c, I_CMPV, 0, (unsigned)e->op, pooled(c, k));
	} else {
		k->c = const_value(c, e->right, true);
		/* Against a number only integers compare. */
		k->c.flags &= (uint8_t)~V_NATIVE;
		emit(c, I_CMP, 0, (unsigned)e->op, pooled(c, k));
	}
}

static void condition(struct comp *c, struct expr *e)
{
	uint32_t jump;

	switch (e->kind) {
	case E_NUM:  emit(c, I_COND, 0, 0, e->num != 0); break;
	case E_STR:  emit(c, I_COND, 0, 0, e->text.n != 0); break;
	case E_NULL: emit(c, I_COND, 0, 0, 0); break;
	case E_NET: case E_WORD: emit(c, I_COND, 0, 0, 1); break;
	case E_VAR:  emit(c, I_TRUTH, 0, 0, pooled(c, e->var)); break;
	case E_CMP:  compare(c, e); break;
	case E_AND: case E_OR:
		condition(c, e->left);
		jump = emit(c, e->kind == E_AND ? I_JFALSE : I_JDONE, 0, 0, 0);
		condition(c, e->right);
		land(c, jump);
		break;
	case E_NOT:
		condition(c, e->left);
		emit(c, I_NOT, 0, 0, 0);
		break;
	case E_CALL: case E_ROUTE:
		call(c, e);
		emit(c, I_RETCOND, 0, 0, 0);
		break;
	case E_ASSIGN:
		assign(c, e);
		emit(c, I_RETCOND, 0, 0, 0);
		break;
	case E_BLOCK:
		emit(c, I_SETRET, 0, 0, 1);
		stmts(c, e->block);
		emit(c, I_RETCOND, 0, 0, 0);
		break;
	case E_ARITH: case E_BITNOT: case E_BIN:
		value(c, e->kind == E_ARITH ? e->left : e, false);
		emit(c, I_TOPCOND, 0, 0, 0);
		break;
	}
}

static void value(struct comp *c, struct expr *e, bool operand)
{
	switch (e->kind) {
	case E_VAR: emit(c, I_VAR, 0, 0, pooled(c, e->var)); break;
	case E_CALL: case E_ROUTE:
		call(c, e);
		emit(c, I_RET, 0, 0, 0);
		break;
	case E_BIN:
		value(c, e->left, true);
		value(c, e->right, true);
		emit(c, I_BIN, false, (unsigned)e->op, 0);
		break;
	case E_BITNOT:
		value(c, e->left, true);
		emit(c, I_BITNOT, 0, 0, 0);
		break;
	case E_CMP: case E_AND: case E_OR: case E_NOT: case E_ARITH: case E_ASSIGN: case E_BLOCK:
		condition(c, e);
		emit(c, I_CONDV, 0, 0, 0);
		break;
	case E_NUM: case E_STR: case E_NULL: case E_NET: case E_WORD:
		emit(c, I_CONST, 0, 0, constant(c, const_value(c, e, operand)));
		break;
	}
}

/* ---- statements ------------------------------------------------------------------------------------------------------------ */

/* The statements of a branch or loop body; $rc becomes the code of the last one, also when that was itself compound. */
static void branch(struct comp *c, struct stmt *list)
{
	struct stmt *last = list;

	stmts(c, list);
	while (last && last->next)
		last = last->next;
	if (last && (last->kind == S_IF || last->kind == S_WHILE || last->kind == S_FOR || last->kind == S_SWITCH || last->kind == S_BLOCK))
		emit(c, I_RCRET, 0, 0, 0);
}

static void if_stmt(struct comp *c, struct stmt *s)
{
	must(s->body);

	struct stmt *yes = s->body->body, *no = s->other ? s->other->body : NULL;
	uint32_t     over, end;

	condition(c, s->e);
	over = emit(c, I_JFALSE, 0, 0, 0);
	if (yes)
		branch(c, yes);
	else
		emit(c, I_NOBRANCH, 0, 0, 0);
	end = emit(c, I_JMP, 0, 0, 0);
	land(c, over);
	if (no)
		branch(c, no);
	else
		emit(c, I_NOBRANCH, 0, 0, 0);
	land(c, end);
}

/* break: jumps that land where the innermost loop or switch ends. */
static void break_stmt(struct comp *c)
{
	uint32_t at = emit(c, I_JMP, 0, 0, 0);

	if (c->nbreaks == c->cap_breaks) {
		size_t    cap = c->cap_breaks;
		uint32_t *breaks = grow(c, c->breaks, c->nbreaks, &cap, sizeof *breaks);
		if (!breaks)
			return;
		c->breaks = breaks;
		c->cap_breaks = (unsigned)cap;
	}
	c->breaks[c->nbreaks++] = at;
}

static void land_breaks(struct comp *c, unsigned from)
{
	must(c->nbreaks >= from);
	while (c->nbreaks > from)
		land(c, c->breaks[--c->nbreaks]);
}

static void while_stmt(struct comp *c, struct stmt *s)
{
	unsigned breaks = c->nbreaks;
	uint32_t top, over, out;

	emit(c, I_LOOP0, 0, 0, 0);
	top = here(c);
	over = emit(c, I_LOOP, 0, 0, 0);
	condition(c, s->e);
	out = emit(c, I_JFALSE, 0, 0, 0);
	branch(c, s->body->body);
	emit(c, I_JMP, 0, 0, top);
	land(c, over);
	land(c, out);
	land_breaks(c, breaks);
	emit(c, I_POP, 0, 0, 0);
	emit(c, I_SETRET, 0, 0, 1);
}

static void for_stmt(struct comp *c, struct stmt *s)
{
	struct forloop *f = arena_zalloc(c->l->pub.arena, sizeof *f);
	unsigned        breaks = c->nbreaks;
	uint32_t        top, over;

	if (!f) {
		c->full = true;
		return;
	}
	f->iter = s->e->var;
	f->src = s->e2->var;
	emit(c, I_LOOP0, 0, 0, 0);
	top = emit(c, I_FOR, 0, 0, pooled(c, f));
	over = emit(c, I_LOOP, 0, 0, 0);
	branch(c, s->body->body);
	emit(c, I_JMP, 0, 0, top);
	f->exit = here(c);
	land(c, over);
	land_breaks(c, breaks);
	emit(c, I_POP, 0, 0, 0);
	emit(c, I_SETRET, 0, 0, 1);
}

static void switch_stmt(struct comp *c, struct stmt *s)
{
	struct swtab *t = arena_zalloc(c->l->pub.arena, sizeof *t);
	unsigned      n = 0, breaks = c->nbreaks;

	for (const struct scase *k = s->cases; k; k = k->next)
		n++;
	if (t)
		t->cases = arena_zalloc(c->l->pub.arena, n * sizeof *t->cases);
	if (!t || !t->cases) {
		c->full = true;
		return;
	}
	t->var = s->e->var;
	emit(c, I_SETRET, 0, 0, 1);
	emit(c, I_SWITCH, 0, 0, pooled(c, t));
	for (struct scase *k = s->cases; k; k = k->next) {
		if (k->value) {
			t->cases[t->n].v = const_value(c, k->value, true);
			t->cases[t->n++].to = here(c);
		} else {
			t->otherwise = here(c);
		}
		branch(c, k->body);
	}
	land_breaks(c, breaks);
	if (!t->otherwise)
		t->otherwise = here(c);
}

static void return_stmt(struct comp *c, const struct stmt *s)
{
	unsigned n = 0;

	if (s->e)
		value(c, s->e, false);
	for (const struct args *a = s->args; a; a = a->next, n++) {
		if (a->e)
			value(c, a->e, false);
		else
			emit(c, I_CONST, 0, 0, constant(c, VALUE_NULL));
	}
	emit(c, I_RETURN, s->e != NULL, n, 0);
}

static void log_stmt(struct comp *c, const struct stmt *s)
{
	struct logcall *k = arena_zalloc(c->l->pub.arena, sizeof *k);

	if (!k) {
		c->full = true;
		return;
	}
	*k = (struct logcall){ .fmt = s->fmt, .level_var = s->e2 ? s->e2->var : NULL, .level = (int)s->num };
	emit(c, I_LOG, 0, 0, pooled(c, k));
}

/* The launched part stands behind all routes; the instruction learns later where. */
static void launch_stmt(struct comp *c, const struct stmt *s)
{
	struct pending *p = arena_zalloc(c->l->pub.arena, sizeof *p);

	if (!p) {
		c->full = true;
		return;
	}
	*p = (struct pending){ s, emit(c, I_LAUNCH, 0, 0, 0), c->launches };
	c->launches = p;
}

static void launched(struct comp *c, const struct pending *p)
{
	const struct stmt *s = p->launch;

	c->at = s->at;
	land(c, p->at);
	emit(c, I_CALL, true, 0, pooled(c, s->e->call));
	if (s->route >= 0) {
		if (s->fmt)
			emit(c, I_FMT, 0, 0, pooled(c, s->fmt));
		emit(c, I_TAIL, 0, s->fmt != NULL, (uint32_t)s->route);
	}
	emit(c, I_END, 0, 0, 0);
}

static void stmt(struct comp *c, struct stmt *s)
{
	c->at = s->at;
	switch (s->kind) {
	case S_EXPR:
		if (s->e->kind == E_ASSIGN)
			assign(c, s->e);
		else
			call(c, s->e);
		break;
	case S_IF:     if_stmt(c, s); break;
	case S_WHILE:  while_stmt(c, s); break;
	case S_FOR:    for_stmt(c, s); break;
	case S_SWITCH: switch_stmt(c, s); break;
	case S_BREAK:  break_stmt(c); break;
	case S_RETURN: return_stmt(c, s); break;
	case S_EXIT:   emit(c, I_EXIT, 0, 0, 0); break;
	case S_DROP:   emit(c, I_DROP, 0, 0, 0); break;
	case S_BLOCK:  branch(c, s->body); break;
	case S_LOG:    log_stmt(c, s); break;
	case S_ASSERT:
		condition(c, s->e);
		emit(c, I_ASSERT, 0, 0, constant(c, value_str(s->text)));
		break;
	case S_ASYNC:
		emit(c, I_CALL, true, 0, pooled(c, s->e->call));
		emit(c, I_TAIL, 0, 0, (uint32_t)s->route);
		break;
	case S_LAUNCH: launch_stmt(c, s); break;
	}
}

static void stmts(struct comp *c, struct stmt *s)
{
	for (; s && !c->full; s = s->next)
		stmt(c, s);
}

bool compile_routes(struct loader *l)
{
	struct comp c = { .l = l, .p = l->prog };

	for (struct item *i = l->items; i && !c.full; i = i->next) {
		if (i->kind != ITEM_ROUTE)
			continue;
		c.at = i->route->at;
		l->prog->routes[route_type_index(i->route->type)][i->route->number].entry = here(&c);
		emit(&c, I_SETRET, 0, 0, 1);
		stmts(&c, i->route->body);
		emit(&c, I_END, 0, 0, 0);
	}
	must(c.nbreaks == 0 || c.full);
	for (const struct pending *p = c.launches; p && !c.full; p = p->next)
		launched(&c, p);
	l->prog->files = l->src.files;
	l->prog->nfiles = l->src.nfiles;
	if (c.full)
		err_at(l, 0, 0, VIEW_NONE, "configuration is too large");
	return !c.full;
}
