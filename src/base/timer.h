/* base/timer.h -- hierarchical timer wheel, one per worker, 1 ms ticks, O(1) add and delete.
 * Time is what the caller says it is; a test turns it by hand. */
#ifndef BASE_TIMER_H
#define BASE_TIMER_H
#include "base/list.h"

struct timer {
	struct list node;
	uint64_t    at_ms;                      /* 0 = not armed */
	void      (*fire)(struct timer *t);     /* disarmed before it is called; may arm itself again or free its owner */
};
/* 64^5 ms, twelve days, in one turn; what lies beyond is placed again when the turn is over. */
enum { WHEEL_LEVELS = 5, WHEEL_SLOTS = 64 };
struct wheel {
	uint64_t    now_ms;
	size_t      armed;
	struct list slot[WHEEL_LEVELS][WHEEL_SLOTS];
	uint64_t    busy[WHEEL_LEVELS];         /* bitmap of non-empty slots */
};

/* An empty wheel at now_ms. */
void     wheel_init(struct wheel *w, uint64_t now_ms);
/* A timer that is not armed; once, before any other use. */
static inline void timer_init(struct timer *t, void (*fire)(struct timer *))
{
	list_init(&t->node); t->at_ms = 0; t->fire = fire;
}
/* Armed and not yet fired. */
static inline bool timer_armed(const struct timer *t) { return t->at_ms != 0; }
/* Arm (or move) a timer to fire at absolute `at_ms`; a time already past fires at the next advance. */
void     timer_set(struct wheel *w, struct timer *t, uint64_t at_ms);
void     timer_clear(struct wheel *w, struct timer *t);      /* harmless when not armed */
/* Fire everything due up to and including now_ms, in order of time at tick granularity. */
void     wheel_advance(struct wheel *w, uint64_t now_ms);
/* A time not later than the earliest armed timer (may be earlier, never later); UINT64_MAX when none is armed. */
uint64_t wheel_next(const struct wheel *w);
#endif
