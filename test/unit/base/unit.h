/* test/unit/base/unit.h -- what every unit test of base/ and loop/ begins with. */
#ifndef TEST_BASE_UNIT_H
#define TEST_BASE_UNIT_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/base.h"

/* Repeatable chance: xorshift64*. */
struct dice { uint64_t s; };
static inline uint64_t roll(struct dice *d)
{
	d->s ^= d->s >> 12;
	d->s ^= d->s << 25;
	d->s ^= d->s >> 27;
	return d->s * 0x2545f4914f6cdd1du;
}
static inline uint64_t roll_below(struct dice *d, uint64_t n) { return roll(d) % n; }

#define assert_view(got, want) do { \
	struct view got_ = (got), want_ = (want); \
	if (!view_is(got_, want_)) \
		fail_msg("got '" VIEW_FMT "', want '" VIEW_FMT "'", VIEW_ARG(got_), VIEW_ARG(want_)); \
} while (0)
#endif
