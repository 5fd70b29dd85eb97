/* base/view.h -- a view: pointer and length into bytes that somebody else owns.
 * Never terminated; C strings live only at the border to the operating system. */
#ifndef BASE_VIEW_H
#define BASE_VIEW_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Empty when n is 0, whatever p says. */
struct view {
	const char *p;
	size_t      n;
};

#define VIEW(lit)     ((struct view){ (lit), sizeof(lit) - 1 })
#define VIEW_INIT(lit) { (lit), sizeof(lit) - 1 }      /* for static tables */
#define VIEW_FMT      "%.*s"
#define VIEW_ARG(v)   (int)(v).n, ((v).p ? (v).p : "")
#define VIEW_NONE     ((struct view){ NULL, 0 })

/* From a pointer and a length; from a C string (NULL gives an empty view). */
static inline struct view view_of(const char *p, size_t n) { return (struct view){ p, n }; }
static inline struct view view_str(const char *s) { return (struct view){ s, s ? strlen(s) : 0 }; }
/* Bytes [off, off+n) of v, clipped to v. */
static inline struct view view_sub(struct view v, size_t off, size_t n)
{
	if (off > v.n)
		off = v.n;
	if (n > v.n - off)
		n = v.n - off;
	return (struct view){ v.p ? v.p + off : NULL, n };
}
static inline struct view view_from(struct view v, size_t off) { return view_sub(v, off, v.n); }
/* ASCII case folding, independent of any locale. */
static inline char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c; }

/* Equal byte by byte. */
static inline bool view_is(struct view a, struct view b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
bool view_is_ci(struct view a, struct view b);              /* equal, ASCII case folded (SIP token compare) */
int  view_cmp_ci(struct view a, struct view b);             /* <0, 0, >0; case folded, shorter first */
bool view_starts(struct view v, struct view prefix);
bool view_starts_ci(struct view v, struct view prefix);
bool view_ends(struct view v, struct view suffix);
/* Index of the first `c` / `needle`, or v.n when absent. */
static inline size_t view_find(struct view v, char c)
{
	const char *at = v.n ? (const char *)memchr(v.p, c, v.n) : NULL;

	return at ? (size_t)(at - v.p) : v.n;
}
size_t view_find_view(struct view v, struct view needle);
/* Head before the first `at`; *rest moves past it.  Without `at` the head is everything and *rest is empty. */
static inline struct view view_cut(struct view *rest, char at)
{
	size_t      n = view_find(*rest, at);
	struct view head = view_sub(*rest, 0, n);

	*rest = view_from(*rest, n + (n < rest->n));
	return head;
}
struct view view_trim(struct view v);                       /* strip SP HT CR LF at both ends */
/* Whole view is decimal digits without sign that fit: true and *out; else false, *out untouched. */
bool view_u32(struct view v, uint32_t *out);
bool view_u64(struct view v, uint64_t *out);
/* As view_u32 with an optional leading '-' or '+'. */
bool view_i64(struct view v, int64_t *out);
/* Value of one hexadecimal digit, or -1. */
static inline int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
#endif
