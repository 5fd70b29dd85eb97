/* AVPs: a stack of values per name, kept with the message (opensips-language section 10.1). */
#include "script/ast.h"

struct avp { struct avp *next; uint32_t hash; struct view name; struct value value; };
struct avps { struct avp *first; };

static uint32_t name_hash(struct view name)
{
	uint32_t h = 2166136261u;       /* FNV-1a: names come from the script's author */

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ (unsigned char)name.p[i]) * 16777619u;
	return h;
}

static bool named(const struct avp *a, uint32_t hash, struct view name)
{
	return a->hash == hash && view_is(a->name, name);
}

static struct avp *next_named(struct avp *a, uint32_t hash, struct view name)
{
	while (a && !named(a, hash, name))
		a = a->next;
	return a;
}

static struct avp *first_of(const struct msg *m)
{
	const struct avps *s = m->avps;

	return s ? s->first : NULL;
}

static bool keep(struct msg *m, const struct value *v, struct value *out)
{
	*out = *v;
	if (v->flags & V_NATIVE) {
		out->flags = V_STR | V_INT | V_NATIVE | V_LAZY;
		value_text(m->arena, out);
	} else {
		out->s = arena_copy(m->arena, v->s);
		out->flags = V_STR;
	}
	return out->s.p != NULL;
}

static struct avp *avp_new(struct msg *m, struct view name, const struct value *v)
{
	struct avp *a = arena_alloc(m->arena, sizeof *a);

	must(!(v->flags & (V_NULL | V_ERROR)));
	if (!a)
		return NULL;
	*a = (struct avp){ .hash = name_hash(name), .name = arena_copy(m->arena, name) };
	return a->name.p && keep(m, v, &a->value) ? a : NULL;
}

static struct avps *stack_of(struct msg *m)
{
	if (!m->avps)
		m->avps = arena_zalloc(m->arena, sizeof(struct avps));
	return m->avps;
}

bool avp_push(struct msg *m, struct view name, const struct value *v)
{
	struct avps *s = stack_of(m);
	struct avp  *a = s ? avp_new(m, name, v) : NULL;

	if (!a)
		return false;
	a->next = s->first;
	s->first = a;
	return true;
}

static bool avp_append(struct msg *m, struct view name, const struct value *v)
{
	struct avps *s = stack_of(m);
	struct avp  *a = s ? avp_new(m, name, v) : NULL, **at;

	if (!a)
		return false;
	for (at = &s->first; *at; at = &(*at)->next)
		;
	*at = a;
	return true;
}

static struct avp *avp_at(const struct msg *m, struct view name, int index)
{
	uint32_t    h = name_hash(name);
	struct avp *a = next_named(first_of(m), h, name);

	if (index < 0) {
		int n = 0;
		for (struct avp *c = a; c; c = next_named(c->next, h, name))
			n++;
		index += n;
		if (index < 0)
			return NULL;
	}
	while (a && index--)
		a = next_named(a->next, h, name);
	return a;
}

bool avp_get(const struct msg *m, struct view name, int index, struct value *out)
{
	const struct avp *a = avp_at(m, name, index);

	if (!a)
		return false;
	*out = a->value;
	return true;
}

static bool avp_replace(struct msg *m, struct view name, int index, const struct value *v)
{
	struct avp  *a = avp_at(m, name, index);
	struct value kept;

	if (!a || !keep(m, v, &kept))
		return false;
	a->value = kept;
	return true;
}

static bool avp_delete(struct msg *m, struct view name, int index)
{
	const struct avp *a = avp_at(m, name, index);
	struct avps      *s = m->avps;

	if (!a)
		return false;
	for (struct avp **at = &s->first; *at; at = &(*at)->next) {
		if (*at == a) {
			*at = a->next;
			break;
		}
	}
	return true;
}

void avp_delete_all(struct msg *m, struct view name)
{
	struct avps *s = m->avps;
	uint32_t     h = name_hash(name);

	if (!s)
		return;
	for (struct avp **at = &s->first; *at; ) {
		if (named(*at, h, name))
			*at = (*at)->next;
		else
			at = &(*at)->next;
	}
}

bool avp_assign(struct msg *m, const struct var_use *u, enum assign op, const struct value *v)
{
	if (value_null(v)) {
		if (op == ASSIGN_REPLACE || u->kind == IDX_ALL)
			avp_delete_all(m, u->sub);
		else
			avp_delete(m, u->sub, u->kind == IDX_NUMBER ? u->index : 0);
		return true;
	}
	if (u->kind == IDX_APPEND)
		return avp_append(m, u->sub, v);
	if (u->kind == IDX_NUMBER)
		return avp_replace(m, u->sub, u->index, v);
	if (op == ASSIGN_REPLACE || u->kind == IDX_ALL)
		avp_delete_all(m, u->sub);
	return avp_push(m, u->sub, v);
}
