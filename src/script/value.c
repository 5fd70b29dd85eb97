/* Values, truth, comparison, arithmetic (opensips-language sections 7, 8, 18). */
#include "script/ast.h"

struct value value_str(struct view s)
{
	return (struct value){ .flags = V_STR, .s = s.p ? s : VIEW("") };
}

struct value value_str_int(struct view s, int32_t i)
{
	return (struct value){ .flags = V_STR | V_INT, .i = i, .s = s.p ? s : VIEW("") };
}

struct value value_int(struct arena *a, int32_t i)
{
	struct value v = { .flags = V_STR | V_INT | V_NATIVE | V_LAZY, .i = i };

	value_text(a, &v);
	return v;
}

void value_text(struct arena *a, struct value *v)
{
	char       room[16];
	struct out o = out_to(room, sizeof room);

	if (!(v->flags & V_LAZY))
		return;
	must(v->flags & V_NATIVE);
	put_i64(&o, v->i);
	v->s = arena_copy(a, out_view(&o));
	v->flags &= (uint8_t)~V_LAZY;
}

bool value_true(const struct value *v)
{
	if (v->flags & (V_NULL | V_ERROR))
		return false;
	if (v->flags & V_NATIVE)
		return v->i != 0;
	return v->s.n != 0;
}

static bool holds(int op, int64_t order)
{
	switch (op) {
	case OP_EQ:  return order == 0;
	case OP_NE:  return order != 0;
	case OP_LT_: return order < 0;
	case OP_GT_: return order > 0;
	case OP_LE:  return order <= 0;
	case OP_GE:  return order >= 0;
	}
	return false;
}

/* The text of a value for a comparison, without touching an arena. */
static struct view text_of(const struct value *v, char room[16])
{
	struct out o = out_to(room, 16);

	if (!(v->flags & V_LAZY))
		return v->s;
	put_i64(&o, v->i);
	return out_view(&o);
}

int value_compare(int op, const struct value *l, const struct value *r)
{
	char a[16], b[16];

	if ((l->flags | r->flags) & V_ERROR)
		return -1;
	if ((l->flags | r->flags) & V_NULL) {
		bool both = (l->flags & r->flags) & V_NULL;
		return op == OP_NE ? !both : op == OP_EQ && both;
	}
	if ((l->flags & r->flags) & V_INT)
		return holds(op, (int64_t)l->i - r->i);
	if (!((l->flags & r->flags) & V_STR))
		return -1;

	struct view s = text_of(l, a), t = text_of(r, b);

	if (op == OP_EQ || op == OP_NE)
		return view_is_ci(s, t) == (op == OP_EQ);
	return holds(op, view_cmp_ci(s, t));
}

/* ---- arithmetic ------------------------------------------------------------------------------------------------------------ */

static struct value failed(const char *because, const char **why)
{
	*why = because;
	return (struct value){ .flags = V_ERROR };
}

static struct value native(int64_t i)
{
	return (struct value){ .flags = V_STR | V_INT | V_NATIVE | V_LAZY, .i = (int32_t)(uint32_t)(uint64_t)i };
}

static struct value concat(struct arena *a, const struct value *l, const struct value *r, const char **why)
{
	char        x[16], y[16];
	struct view both[2] = { text_of(l, x), text_of(r, y) };
	struct view s = both[0].n + both[1].n <= MSG_MAX_BYTES ? arena_join(a, both, 2) : VIEW_NONE;

	return s.p ? value_str(s) : failed("the result is too long", why);
}

static int64_t integer(int op, int64_t a, int64_t b)
{
	must(b != 0 || (op != '/' && op != '%'));
	switch (op) {
	case '+': return a + b;
	case '-': return a - b;
	case '*': return a * b;
	case '/': return a / b;
	case '%': return a % b;
	case '&': return a & b;
	case '|': return a | b;
	case '^': return a ^ b;
	case OP_SHL: return (int64_t)((uint32_t)a << (b & 31));
	case OP_SHR: return a >> (b & 31);
	}
	return 0;
}

static struct value bytewise(struct arena *a, int op, const struct value *l, const struct value *r, const char **why)
{
	if (l->s.n != r->s.n)
		return failed("strings of different length", why);

	char *p = arena_alloc(a, l->s.n);

	if (!p)
		return failed("out of memory", why);
	for (size_t i = 0; i < l->s.n; i++)
		p[i] = op == '&' ? l->s.p[i] & r->s.p[i] : op == '|' ? l->s.p[i] | r->s.p[i] : l->s.p[i] ^ r->s.p[i];
	return value_str(view_of(p, l->s.n));
}

/* "+" follows the kind of its left side; a missing (NULL) side counts as nothing of the other's kind. */
static struct value plus(struct arena *a, const struct value *l, const struct value *r, const char **why)
{
	bool left_null = l->flags & V_NULL, right_null = r->flags & V_NULL;

	if (left_null && right_null)
		return failed("both sides are NULL", why);
	if (left_null || right_null) {
		struct value v = left_null ? *r : *l;
		/* An integer constant has no text, yet it is a value. */
		return v.flags & V_NATIVE || !(v.flags & V_STR) ? native(v.i) : value_str(v.s);
	}
	if (l->flags & V_NATIVE || !(l->flags & V_STR))
		return r->flags & V_INT ? native((int64_t)l->i + r->i) : failed("a string cannot be added to an integer", why);
	if (!(r->flags & V_STR))
		return failed("an integer cannot be added to a string", why);
	return concat(a, l, r, why);
}

struct value value_arith(struct arena *a, int op, bool compound, const struct value *l, const struct value *r, const char **why)
{
	*why = NULL;
	if ((l->flags | r->flags) & V_ERROR)
		return (struct value){ .flags = V_ERROR };
	if (compound && (l->flags | r->flags) & V_NULL)
		return failed("a side is NULL", why);
	if (op == '+' && !compound)
		return plus(a, l, r, why);
	if (op == '+' && (l->flags & r->flags) & V_STR && !((l->flags | r->flags) & V_NATIVE))
		return concat(a, l, r, why);

	int64_t x = l->flags & V_NULL ? 0 : l->i, y = r->flags & V_NULL ? 0 : r->i;
	bool    ints = l->flags & (V_INT | V_NULL) && r->flags & (V_INT | V_NULL);

	if (!ints && (op == '&' || op == '|' || op == '^') && (l->flags & r->flags) & V_STR)
		return bytewise(a, op, l, r, why);
	if (!ints)
		return failed("a side is not an integer", why);
	if ((op == '/' || op == '%') && y == 0) {
		/* The reference of section 18: complained about, and the result is 0. */
		*why = "division by zero";
		return native(0);
	}
	return native(integer(op, x, y));
}
