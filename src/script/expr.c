/* Expressions, calls and their arguments to a tree (opensips-language sections 6 and 7). */
#include "script/ast.h"

static struct expr *expr_new(struct lex *x, enum ekind kind, uint32_t at)
{
	struct expr *e = arena_zalloc(x->l->pub.arena, sizeof *e);

	if (!e)
		return lex_fail(x, at, 1, VIEW_NONE, "configuration is too large");
	e->kind = kind;
	e->at = at;
	return e;
}

static struct expr *expr_end(struct lex *x, struct expr *e)
{
	if (e)
		e->len = x->prev_end > e->at ? x->prev_end - e->at : 1;
	return x->failed ? NULL : e;
}

static bool deeper(struct lex *x)
{
	if (++x->depth <= SCRIPT_NEST)
		return true;
	lex_fail(x, x->tok.at, x->tok.len, VIEW_NONE, "expressions and blocks nest too deeply");
	return false;
}

static struct expr *unexpected(struct lex *x, const char *wanted)
{
	if (x->tok.kind == TOK_END)
		return lex_fail(x, x->tok.at, x->tok.len, VIEW_NONE, "the file ends where %s is expected", wanted);
	return lex_fail(x, x->tok.at, x->tok.len, VIEW_NONE, "%s is expected, not \"" VIEW_FMT "\"", wanted, VIEW_ARG(view_sub(x->l->src.text, x->tok.at, x->tok.len)));
}

static struct expr *leaf(struct lex *x, enum ekind kind)
{
	must(x->tok.kind != TOK_OP && x->tok.kind != TOK_END);

	struct expr *e = expr_new(x, kind, x->tok.at);

	if (!e)
		return NULL;
	e->text = x->tok.text;
	e->num = x->tok.num;
	e->net = x->tok.net;
	lex_next(x);
	return expr_end(x, e);
}

/* ---- calls ----------------------------------------------------------------------------------------------------------- */

struct args *parse_args(struct lex *x, unsigned *n, unsigned max, const char *what)
{
	struct args *first = NULL, **end = &first;

	*n = 0;
	if (!lex_want(x, '(', "before the arguments"))
		return NULL;
	while (!x->failed && !(lex_is(x, ')') && *n == 0)) {
		struct args *a = arena_zalloc(x->l->pub.arena, sizeof *a);
		if (!a)
			return lex_fail(x, x->tok.at, 1, VIEW_NONE, "configuration is too large");
		if (*n == max)
			return lex_fail(x, x->tok.at, x->tok.len, VIEW_NONE, "%s takes at most %u arguments", what, max);
		if (!lex_is(x, ',') && !lex_is(x, ')'))
			a->e = parse_arith(x);
		*end = a;
		end = &a->next;
		(*n)++;
		if (!lex_take(x, ','))
			break;
	}
	lex_want(x, ')', "after the arguments");
	return x->failed ? NULL : first;
}

struct expr *parse_call(struct lex *x)
{
	must(x->tok.kind == TOK_ID);

	bool         is_route = view_is(x->tok.text, VIEW("route"));
	struct expr *e = expr_new(x, is_route ? E_ROUTE : E_CALL, x->tok.at);

	if (!e)
		return NULL;
	e->text = x->tok.text;
	lex_next(x);
	e->args = parse_args(x, &e->nargs, is_route ? SCRIPT_PARAMS : SCRIPT_PARAMS, is_route ? "route()" : "a function");
	return expr_end(x, e);
}

/* ---- values and arithmetic ------------------------------------------------------------------------------------------------ */

static struct expr *word_or_call(struct lex *x)
{
	if (lex_is_id(x, "NULL") || lex_is_id(x, "null"))
		return leaf(x, E_NULL);

	struct lex ahead = *x;

	lex_next(&ahead);
	return lex_is(&ahead, '(') ? parse_call(x) : leaf(x, E_WORD);
}

struct expr *parse_primary(struct lex *x)
{
	struct expr *e;
	uint32_t     at = x->tok.at;

	switch (x->tok.kind) {
	case TOK_NUM: return leaf(x, E_NUM);
	case TOK_STR: return leaf(x, E_STR);
	case TOK_VAR: return leaf(x, E_VAR);
	case TOK_NET: return leaf(x, E_NET);
	case TOK_ID:  return word_or_call(x);
	default: break;
	}
	if (lex_is(x, '-') || lex_is(x, '+')) {
		bool minus = lex_is(x, '-');
		lex_next(x);
		if (x->tok.kind != TOK_NUM)
			return unexpected(x, "a number");
		e = leaf(x, E_NUM);
		if (e) {
			e->num = minus ? -e->num : e->num;
			e->at = at;
		}
		return expr_end(x, e);
	}
	if (lex_is(x, '~')) {
		e = expr_new(x, E_BITNOT, at);
		lex_next(x);
		if (!e || !deeper(x))
			return NULL;
		e->left = parse_primary(x);
		x->depth--;
		return expr_end(x, e);
	}
	if (lex_take(x, '(')) {
		if (!deeper(x))
			return NULL;
		e = parse_arith(x);
		x->depth--;
		lex_want(x, ')', "to close the parenthesis");
		return x->failed ? NULL : e;
	}
	return unexpected(x, "a value");
}

static bool at_op(const struct lex *x, const int *ops, size_t n)
{
	for (size_t i = 0; x->tok.kind == TOK_OP && i < n; i++)
		if (x->tok.op == ops[i])
			return true;
	return false;
}

static const int sum_ops[] = { '+', '-', '*', '/', '%' }, bit_ops[] = { '|', '&', '^', OP_SHL, OP_SHR };
static const int compare_ops[] = { OP_EQ, OP_NE, OP_LT_, OP_GT_, OP_LE, OP_GE, OP_MATCH, OP_NOMATCH };
static const int assign_ops[] = { '=', OP_REPLACE, OP_ADDTO, OP_SUBTO, OP_MULTO, OP_DIVTO, OP_MODTO, OP_ANDTO, OP_ORTO, OP_XORTO };

static struct expr *binary(struct lex *x, const int *ops, size_t n, struct expr *(*operand)(struct lex *))
{
	struct expr *left = operand(x);

	while (left && at_op(x, ops, n)) {
		struct expr *e = expr_new(x, E_BIN, left->at);
		if (!e)
			return NULL;
		e->op = x->tok.op;
		lex_next(x);
		e->left = left;
		e->right = operand(x);
		left = expr_end(x, e);
	}
	return left;
}

static struct expr *parse_sum(struct lex *x) { return binary(x, sum_ops, COUNT_OF(sum_ops), parse_primary); }

/* + - * / % are one level, bit operators one level below them; a comparison may close it ($var(x) = $a == "b"). */
static struct expr *comparison(struct lex *x, struct expr *left)
{
	struct expr *e;

	if (left->kind != E_VAR)
		return lex_fail(x, left->at, left->len, VIEW_NONE, "the left side of a comparison must be a variable");
	e = expr_new(x, E_CMP, left->at);
	if (!e)
		return NULL;
	e->op = x->tok.op;
	lex_next(x);
	e->left = left;
	if (!x->failed && (lex_is(x, '[') || lex_is(x, '(')))
		return lex_fail(x, x->tok.at, x->tok.len, VIEW("put the result into a $var() first"), "the right side of a comparison is a variable, a string or a number");
	e->right = parse_primary(x);
	if (!e->right)
		return NULL;
	if (e->right->kind == E_WORD)
		return lex_fail(x, e->right->at, e->right->len, arena_fmt(x->l->pub.arena, "write \"" VIEW_FMT "\"", VIEW_ARG(e->right->text)), "a string needs quotes");
	if (e->right->kind == E_CALL || e->right->kind == E_ROUTE)
		return lex_fail(x, e->right->at, e->right->len, VIEW_NONE, "the right side of a comparison is a variable, a string or a number");
	return expr_end(x, e);
}

struct expr *parse_arith(struct lex *x)
{
	struct expr *e;

	if (!deeper(x))
		return NULL;
	e = binary(x, bit_ops, COUNT_OF(bit_ops), parse_sum);
	if (e && at_op(x, compare_ops, COUNT_OF(compare_ops)))
		e = comparison(x, e);
	x->depth--;
	return x->failed ? NULL : e;
}

/* ---- conditions -------------------------------------------------------------------------------------------------------------- */

static struct expr *assignment(struct lex *x, struct expr *left)
{
	must(left->kind == E_VAR);

	struct expr *e = expr_new(x, E_ASSIGN, left->at);

	if (!e)
		return NULL;
	e->op = x->tok.op;
	lex_next(x);
	e->left = left;
	e->right = parse_arith(x);
	if (e->right && e->right->kind == E_WORD)
		return lex_fail(x, e->right->at, e->right->len, arena_fmt(x->l->pub.arena, "write \"" VIEW_FMT "\"", VIEW_ARG(e->right->text)), "a string needs quotes");
	return expr_end(x, e);
}

static struct expr *condition_var(struct lex *x)
{
	struct expr *left = leaf(x, E_VAR);

	if (!left)
		return NULL;
	if (at_op(x, assign_ops, COUNT_OF(assign_ops)))
		return assignment(x, left);
	if (at_op(x, compare_ops, COUNT_OF(compare_ops)))
		return comparison(x, left);
	if (at_op(x, sum_ops, COUNT_OF(sum_ops)) || at_op(x, bit_ops, COUNT_OF(bit_ops)))
		return lex_fail(x, x->tok.at, x->tok.len, VIEW("write [ ... ] around it"), "arithmetic in a condition needs brackets");
	return left;
}

static struct expr *condition_atom(struct lex *x)
{
	struct expr *e;
	uint32_t     at = x->tok.at;

	if (!deeper(x))
		return NULL;
	if (lex_take(x, '!')) {
		e = expr_new(x, E_NOT, at);
		if (e)
			e->left = condition_atom(x);
		e = expr_end(x, e);
	} else if (lex_take(x, '(')) {
		e = parse_condition(x);
		lex_want(x, ')', "to close the condition");
	} else if (lex_take(x, '[')) {
		e = expr_new(x, E_ARITH, at);
		if (e)
			e->left = parse_arith(x);
		lex_want(x, ']', "to close the arithmetic");
		e = expr_end(x, e);
	} else if (lex_take(x, '{')) {
		e = expr_new(x, E_BLOCK, at);
		if (e)
			e->block = parse_block(x);
		e = expr_end(x, e);
	} else if (x->tok.kind == TOK_VAR) {
		e = condition_var(x);
	} else {
		e = parse_primary(x);
		if (e && e->kind == E_WORD)
			e = lex_fail(x, e->at, e->len, VIEW_NONE, "\"" VIEW_FMT "\" is neither a variable nor a call", VIEW_ARG(e->text));
		else if (e && at_op(x, compare_ops, COUNT_OF(compare_ops)))
			e = lex_fail(x, e->at, e->len, VIEW_NONE, "the left side of a comparison must be a variable");
	}
	x->depth--;
	return x->failed ? NULL : e;
}

/* && and || stand on one level and bind from the left. */
struct expr *parse_condition(struct lex *x)
{
	struct expr *left = condition_atom(x);

	while (left && (lex_is(x, OP_ANDAND) || lex_is(x, OP_OROR))) {
		struct expr *e = expr_new(x, lex_is(x, OP_ANDAND) ? E_AND : E_OR, left->at);
		if (!e)
			return NULL;
		lex_next(x);
		e->left = left;
		e->right = condition_atom(x);
		left = expr_end(x, e);
	}
	return left;
}
