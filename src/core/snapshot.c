/* core/snapshot.c -- shared immutable things with a count; the count is the only thing that changes (design D8). */
#include "core/core.h"

struct snapshot *snapshot_new(void *data, void (*free_data)(void *))
{
	struct snapshot *s = malloc(sizeof *s);

	if (s)
		*s = (struct snapshot){ .refs = 1, .data = data, .free_data = free_data };
	return s;
}

struct snapshot *snapshot_ref(struct snapshot *s)
{
	uint32_t before = __atomic_fetch_add(&s->refs, 1, __ATOMIC_RELAXED);

	must(before != 0);
	return s;
}

void snapshot_unref(struct snapshot *s)
{
	if (!s)
		return;

	/* Whoever leaves last must see everything the others did with the data. */
	uint32_t before = __atomic_fetch_sub(&s->refs, 1, __ATOMIC_ACQ_REL);

	must(before != 0);
	if (before > 1)
		return;
	if (s->free_data)
		s->free_data(s->data);
	free(s);
}
