/* core/edit.c -- what shall differ from the received bytes when a message leaves. */
#include "core/core.h"

/* True and the offset when [p, p + n) lies inside the received message. */
static bool edit_offset(const struct msg *m, const char *p, size_t n, uint32_t *off)
{
	struct view all = m->sip.bytes;

	if (!p || p < all.p || p > all.p + all.n || n > (size_t)(all.p + all.n - p))
		return false;
	*off = (uint32_t)(p - all.p);
	return true;
}

static bool edit_add(struct msg *m, struct edits *e, uint32_t off, uint32_t len, struct view text)
{
	if (e->n >= MSG_EDITS)
		return false;

	struct edit *new = arena_alloc(m->arena, sizeof *new);

	if (!new)
		return false;

	struct edit **at = &e->first;

	while (*at && (*at)->off <= off)
		at = &(*at)->next;
	*new = (struct edit){ .off = off, .len = len, .text = text, .next = *at };
	*at = new;
	e->n++;
	return true;
}

static bool edit_deleted(const struct edits *e, uint32_t off, uint32_t len)
{
	for (const struct edit *x = e->first; x && x->off <= off; x = x->next)
		if (x->off == off && x->len == len && x->text.n == 0)
			return true;
	return false;
}

bool edit_delete(struct msg *m, struct edits *e, struct view bytes)
{
	uint32_t off;

	if (!edit_offset(m, bytes.p, bytes.n, &off))
		return false;
	if (bytes.n == 0 || edit_deleted(e, off, (uint32_t)bytes.n))
		return true;
	return edit_add(m, e, off, (uint32_t)bytes.n, VIEW_NONE);
}

bool edit_replace(struct msg *m, struct edits *e, struct view bytes, struct view text)
{
	uint32_t off;

	return edit_offset(m, bytes.p, bytes.n, &off) && edit_add(m, e, off, (uint32_t)bytes.n, text);
}

bool edit_insert(struct msg *m, struct edits *e, const char *before, struct view text)
{
	uint32_t off;

	return edit_offset(m, before, 0, &off) && edit_add(m, e, off, 0, text);
}

bool edit_append_header(struct msg *m, struct edits *e, struct view lines)
{
	return edit_insert(m, e, m->sip.head.p + m->sip.head.n, lines);
}

bool edit_prepend_header(struct msg *m, struct edits *e, struct view lines)
{
	return edit_insert(m, e, m->sip.head.p, lines);
}

bool edit_body(struct msg *m, struct edits *e, struct view body)
{
	e->body = body;
	e->new_body = true;
	return true;
}

bool edit_late(struct msg *m, struct edits *e, late_lines *lines, void *arg)
{
	struct late *new = arena_alloc(m->arena, sizeof *new), **at = &e->late;

	if (!new)
		return false;
	while (*at)
		at = &(*at)->next;
	*new = (struct late){ lines, arg, NULL };
	*at = new;
	return true;
}
