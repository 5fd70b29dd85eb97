#include "base/base.h"

struct buf *buf_new(size_t cap)
{
	must(cap <= UINT32_MAX);
	struct buf *b = malloc(sizeof *b + cap);

	if (!b)
		return NULL;
	b->refs = 1;
	b->shared = false;
	b->n = 0;
	b->cap = (uint32_t)cap;
	return b;
}

struct buf *buf_from(struct view v)
{
	struct buf *b = buf_new(v.n);

	if (b && v.n) {
		memcpy(b->data, v.p, v.n);
		b->n = (uint32_t)v.n;
	}
	return b;
}

struct buf *buf_ref(struct buf *b)
{
	if (b->shared) {
		uint32_t before = __atomic_fetch_add(&b->refs, 1, __ATOMIC_RELAXED);
		must(before != 0);
	} else {
		must(b->refs != 0);
		b->refs++;
	}
	return b;
}

void buf_unref(struct buf *b)
{
	if (!b)
		return;

	/* Release our reads of the bytes, and see everyone's before freeing them. */
	uint32_t before = b->shared ? __atomic_fetch_sub(&b->refs, 1, __ATOMIC_ACQ_REL) : b->refs--;

	must(before != 0);
	if (before == 1)
		free(b);
}

void buf_share(struct buf *b)
{
	/* A second worker may hand the buffer on: by then it may only be read. */
	if (!b->shared)
		b->shared = true;
}
