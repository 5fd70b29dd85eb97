/* base/buf.h -- refcounted received bytes; views point into them while a reference is held.
 * The count is plain until buf_share() marks the buffer as seen by more than one worker; from then on it is atomic. */
#ifndef BASE_BUF_H
#define BASE_BUF_H
#include "base/view.h"

struct buf {
	uint32_t refs;
	bool     shared;
	uint32_t n, cap;     /* bytes filled, room */
	char     data[];
};

struct buf *buf_new(size_t cap);               /* one reference; NULL without memory */
struct buf *buf_from(struct view v);           /* a filled copy */
struct buf *buf_ref(struct buf *b);
void        buf_unref(struct buf *b);          /* NULL is fine */
void        buf_share(struct buf *b);          /* call before the first hand-off to another worker */
static inline struct view buf_view(const struct buf *b) { return view_of(b->data, b->n); }
#endif
