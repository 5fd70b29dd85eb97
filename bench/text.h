/* text.h -- views into received bytes and a bounded appender for bytes to send.
 *
 * The generator is a black box beside the server under test: it shares no
 * code with it, so that one mistake cannot hide in both. */
#ifndef BENCH_TEXT_H
#define BENCH_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes somebody else owns; never terminated. */
struct view {
	const char *p;
	size_t n;
};

#define VIEW(lit) ((struct view){ (lit), sizeof(lit) - 1 })

/* Bytes being laid out. `full` is set instead of writing past `cap`; a caller
 * checks it once, at the end. */
struct out {
	char *p;
	size_t n, cap;
	bool full;
};

/* True if both views hold the same bytes. */
static inline bool view_is(struct view a, struct view b)
{
	return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

/* True if `v` begins with `head`. */
static inline bool view_starts(struct view v, struct view head)
{
	return v.n >= head.n && memcmp(v.p, head.p, head.n) == 0;
}

/* True if `v` contains `part` anywhere. */
bool view_has(struct view v, struct view part);

/* `v` without blanks at both ends. */
struct view view_trim(struct view v);

/* Decimal digits at the start of `v`; false if there are none or they
 * overflow 32 bits. */
bool view_u32(struct view v, uint32_t *out);

/* Exactly `digits` hex digits at the start of `v`. */
bool view_hex(struct view v, unsigned digits, uint64_t *out);

/* Append bytes, a literal, a number in decimal, a number as `digits` hex
 * digits. */
void out_view(struct out *o, struct view v);
void out_dec(struct out *o, uint64_t v);
void out_hex(struct out *o, uint64_t v, unsigned digits);
#define out_lit(o, lit) out_view((o), VIEW(lit))

/* What has been written so far. */
static inline struct view out_done(const struct out *o)
{
	return (struct view){ o->p, o->n };
}

/* Ends the program with a message: a measurement with a broken set-up has no
 * result. errno is named when it is not 0. */
_Noreturn void die(const char *what);

#endif
