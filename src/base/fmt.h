/* base/fmt.h -- writing text into caller's memory without ever passing its end. */
#ifndef BASE_FMT_H
#define BASE_FMT_H
#include "base/view.h"

/* Text growing in the caller's memory. */
struct out {
	char  *p;
	size_t n, cap;
	bool   full;        /* something did not fit; what is there is a prefix of the whole */
};
/* Start writing into `cap` bytes at p; read what is there so far. */
static inline struct out out_to(char *p, size_t cap) { return (struct out){ p, 0, cap, false }; }
static inline struct view out_view(const struct out *o) { return view_of(o->p, o->n); }
/* Append; once full nothing more is added. */
void put(struct out *o, struct view v);
void put_char(struct out *o, char c);
void put_u64(struct out *o, uint64_t v);
void put_i64(struct out *o, int64_t v);
void put_hex(struct out *o, const void *p, size_t n);         /* lower case */
void putf(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Untrusted bytes for one line of a log: line ends become \n and \r, other control bytes (but HT) and what is not UTF-8 become \xHH. */
void put_safe(struct out *o, struct view v);
#endif
