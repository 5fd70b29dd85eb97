/* core/priv.h -- private to core/: messages with faults, and putting pieces of received and new bytes in a row. */
#ifndef CORE_PRIV_H
#define CORE_PRIV_H
#include "core/core.h"

/* As msg_new, but a message with a fault is returned too, as far as it could be read; NULL only without memory. */
struct msg *msg_make(struct worker *w, struct buf *bytes, struct view v, const struct origin *o, enum sip_fault *why);

/* A message under construction. */
struct lay { struct laid *out; struct arena *a; bool full; };
static inline struct lay lay_to(struct laid *out, struct arena *a)
{
	out->n = 0;
	out->bytes = 0;
	return (struct lay){ out, a, false };
}
void lay_view(struct lay *l, struct view v);      /* by reference */
/* Bytes [from, to) of the message with the edits of up to three lists applied: the script's for all branches, the branch's own,
 * and what the protocol asks for.  An edit inside a region that an earlier one deleted is void.  Lists move on past what was used. */
struct lay_edits { const struct edit *list[3]; };
void lay_span(struct lay *l, const struct msg *m, struct lay_edits *e, size_t from, size_t to);
/* How many bytes lay_span would write; the lists stay. */
size_t lay_span_bytes(const struct msg *m, struct lay_edits e, size_t from, size_t to);

/* "received" and "rport" for the top Via of a request as up to two edits (RFC 3261 18.2.1, RFC 3581 4); returns the first. */
struct via_marks { struct edit edit[3]; char text[2 * ADDR_TEXT_MAX + 48]; };
const struct edit *via_marks(const struct msg *request, struct via_marks *v);

/* Header section from its start, empty line, body: one Content-Length that is true.  `marks` are the protocol's edits in order. */
void lay_rest(struct lay *l, struct msg *m, const struct edits *own, const struct edit *marks, struct view last_lines);

/* host[:port] of core_sent_by without an arena. */
void put_sent_by(struct out *o, const struct core_conf *c, const struct socket_conf *s, const struct msg *m);

/* layout_request with text for our Via's parameters (";i=..."). */
bool layout_request_via(struct msg *m, const struct msg_route *r, const struct edits *own, const struct socket_conf *from,
	enum transport t, struct view branch, struct view via_params, struct arena *a, struct laid *out);
#endif
