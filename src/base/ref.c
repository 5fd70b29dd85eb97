#include "base/base.h"

enum { SLOT_NONE = UINT32_MAX, SLOTS_FIRST = 64 };

void slots_init(struct slots *s, uint16_t worker, uint16_t kind, uint32_t bound)
{
	*s = (struct slots){ .bound = bound, .free = SLOT_NONE, .worker = worker, .kind = kind };
}

void slots_done(struct slots *s)
{
	free(s->slot);
	slots_init(s, s->worker, s->kind, s->bound);
}

static bool slots_grow(struct slots *s)
{
	uint32_t count = s->count ? s->count * 2 : SLOTS_FIRST;

	if (count > s->bound)
		count = s->bound;
	if (count <= s->count)
		return false;
	struct slot *slot = realloc(s->slot, count * sizeof *slot);
	if (!slot)
		return false;
	for (uint32_t i = count; i-- > s->count; ) {
		slot[i] = (struct slot){ .gen = 1, .next_free = s->free };
		s->free = i;
	}
	s->slot = slot;
	s->count = count;
	return true;
}

struct ref slots_take(struct slots *s, void *object)
{
	must(object);
	if (s->free == SLOT_NONE && !slots_grow(s))
		return NO_REF;
	uint32_t i = s->free;
	s->free = s->slot[i].next_free;
	s->slot[i].object = object;
	s->live++;
	return (struct ref){ s->worker, s->kind, i, s->slot[i].gen };
}

void *slots_get(const struct slots *s, struct ref r)
{
	must(r.worker == s->worker && r.kind == s->kind);
	if (r.slot >= s->count || s->slot[r.slot].gen != r.gen)
		return NULL;
	return s->slot[r.slot].object;
}

void slots_drop(struct slots *s, struct ref r)
{
	must(slots_get(s, r));
	struct slot *slot = &s->slot[r.slot];
	slot->object = NULL;
	slot->gen++;
	slot->next_free = s->free;
	s->free = r.slot;
	s->live--;
}
