/* core/message.c -- a message and what hangs on it, from arrival to the last reference. */
#include "core/priv.h"

/* Notes of modules: few per message, so a list. */
struct note { const void *key; void *value; struct note *next; };

struct msg *msg_make(struct worker *w, struct buf *bytes, struct view v, const struct origin *o, enum sip_fault *why)
{
	struct sip_hdr space[MSG_MAX_HEADERS];
	struct arena  *a = arena_new(MSG_ARENA_BYTES);
	struct msg    *m = a ? arena_zalloc(a, sizeof *m) : NULL;
	/* A WebSocket frame is its own length (RFC 7118 5.2); a byte stream must tell it. */
	bool           stream = o->transport == TR_TCP || o->transport == TR_TLS;

	if (!m) {
		arena_free(a);
		return NULL;
	}
	/* Bytes that net only lent live on in the message's own memory. */
	if (!bytes) {
		v = arena_copy(a, v);
		if (!v.p) {
			arena_free(a);
			return NULL;
		}
	}
	*why = sip_parse(v, stream, space, COUNT_OF(space), &m->sip);
	m->sip.hdr = arena_alloc(a, (size_t)m->sip.nhdr * sizeof *space + 1);
	if (!m->sip.hdr) {
		arena_free(a);
		return NULL;
	}
	memcpy(m->sip.hdr, space, (size_t)m->sip.nhdr * sizeof *space);
	m->arena = a;
	m->refs = 1;
	m->w = w;
	m->id = ++w->next_id;
	m->at_ms = worker_now(w);
	m->bytes = bytes ? buf_ref(bytes) : NULL;
	origin_keep(&m->origin, o);
	m->route = (struct msg_route){ .ruri = m->sip.ruri, .q = -1 };
	if (!sip_top_via(&m->sip, &m->via))
		m->via = (struct sip_via){ .transport = TR_NONE };
	m->ours = branch_read(w->key, m->via.branch, &m->cookie);
	if (*why == SIP_FAULT_NONE && sip_is_request(&m->sip) && !sip_uri_parse(m->sip.ruri, &m->ruri))
		*why = SIP_FAULT_BAD_URI;
	return m;
}

struct msg *msg_new(struct worker *w, struct buf *bytes, struct view v, const struct origin *o, enum sip_fault *why)
{
	struct msg *m = msg_make(w, bytes, v, o, why);

	if (m && *why != SIP_FAULT_NONE) {
		msg_unref(m);
		return NULL;
	}
	return m;
}

struct msg *msg_ref(struct msg *m)
{
	must(m->refs > 0);
	m->refs++;
	return m;
}

void msg_unref(struct msg *m)
{
	if (!m)
		return;
	must(m->refs > 0);
	if (--m->refs > 0)
		return;
	origin_drop(&m->origin);
	buf_unref(m->bytes);
	arena_free(m->arena);
}

void *msg_note(const struct msg *m, const void *key)
{
	for (const struct note *n = m->ext; n; n = n->next)
		if (n->key == key)
			return n->value;
	return NULL;
}

bool msg_note_set(struct msg *m, const void *key, void *value)
{
	for (struct note *n = m->ext; n; n = n->next) {
		if (n->key == key) {
			n->value = value;
			return true;
		}
	}

	struct note *n = arena_alloc(m->arena, sizeof *n);

	if (!n)
		return false;
	*n = (struct note){ key, value, m->ext };
	m->ext = n;
	return true;
}

const struct addr *msg_source(const struct msg *m)
{
	return origin_source(&m->origin);
}
