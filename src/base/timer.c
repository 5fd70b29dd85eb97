#include "base/base.h"

/* A timer lies on the level of the highest 6-bit digit in which its time differs from now, in the slot of that digit.  So
 * on each level below the top all timers lie beyond the current slot, a lower level is always due before a higher one, and
 * level 0's current slot holds what is due at once.  The top level wraps; what lies beyond one turn of it waits in its
 * last slot and is placed again when that comes round. */
enum { DIGIT_BITS = 6, DIGIT_MASK = WHEEL_SLOTS - 1, TOP = WHEEL_LEVELS - 1, TOP_SHIFT = TOP * DIGIT_BITS };

void wheel_init(struct wheel *w, uint64_t now_ms)
{
	*w = (struct wheel){ .now_ms = now_ms };
	for (int level = 0; level < WHEEL_LEVELS; level++)
		for (int i = 0; i < WHEEL_SLOTS; i++)
			list_init(&w->slot[level][i]);
}

static unsigned digit(uint64_t ms, int level)
{
	return ms >> level * DIGIT_BITS & DIGIT_MASK;
}

/* Lay an unlinked timer into the slot for time `at`. */
static void place(struct wheel *w, struct timer *t, uint64_t at)
{
	uint64_t differs = at ^ w->now_ms;
	int      level = differs ? (63 - __builtin_clzll(differs)) / DIGIT_BITS : 0;
	unsigned i;

	if (level < TOP) {
		i = digit(at, level);
	} else {
		uint64_t turn = (at >> TOP_SHIFT) - (w->now_ms >> TOP_SHIFT);
		level = TOP;
		i = (digit(w->now_ms, TOP) + (turn < WHEEL_SLOTS ? turn : WHEEL_SLOTS - 1)) & DIGIT_MASK;
	}
	list_add_tail(&w->slot[level][i], &t->node);
	w->busy[level] |= 1ull << i;
}

/* Unlink, and forget the slot if that emptied it. */
static void lift(struct wheel *w, struct timer *t)
{
	struct list *head = t->node.next;
	bool         alone = head == t->node.prev;
	uintptr_t    at = (uintptr_t)head - (uintptr_t)&w->slot[0][0];

	list_del(&t->node);
	/* While a slot is being fired its list hangs on a head outside the wheel. */
	if (alone && at < sizeof w->slot) {
		size_t i = at / sizeof(struct list);
		w->busy[i / WHEEL_SLOTS] &= ~(1ull << i % WHEEL_SLOTS);
	}
}

void timer_set(struct wheel *w, struct timer *t, uint64_t at_ms)
{
	must(t->fire);
	if (t->at_ms)
		lift(w, t);
	else
		w->armed++;
	t->at_ms = at_ms ? at_ms : 1;
	place(w, t, at_ms > w->now_ms ? at_ms : w->now_ms);
}

void timer_clear(struct wheel *w, struct timer *t)
{
	if (!t->at_ms)
		return;
	lift(w, t);
	t->at_ms = 0;
	w->armed--;
}

/* Take a slot's whole list over to `to`. */
static void slot_take(struct wheel *w, int level, unsigned i, struct list *to)
{
	struct list *from = &w->slot[level][i];

	list_init(to);
	if (!list_empty(from)) {
		*to = *from;
		to->next->prev = to->prev->next = to;
		list_init(from);
	}
	w->busy[level] &= ~(1ull << i);
}

static struct timer *list_pop(struct list *l)
{
	struct list *n = l->next;

	list_del(n);
	return container_of(n, struct timer, node);
}

static void fire_due(struct wheel *w)
{
	struct list due;

	slot_take(w, 0, digit(w->now_ms, 0), &due);
	while (!list_empty(&due)) {
		struct timer *t = list_pop(&due);
		t->at_ms = 0;
		w->armed--;
		t->fire(t);
	}
}

/* The first slot beyond the current ones that holds timers: its start time, level and index. */
static uint64_t next_slot(const struct wheel *w, int *level, unsigned *i)
{
	for (int l = 0; l < WHEEL_LEVELS; l++) {
		unsigned cur = digit(w->now_ms, l);
		unsigned shift = (unsigned)l * DIGIT_BITS;

		if (l < TOP) {
			uint64_t beyond = w->busy[l] & ~(((2ull << cur) - 1));
			if (!beyond)
				continue;
			*i = (unsigned)__builtin_ctzll(beyond);
			*level = l;
			return ((w->now_ms >> shift) + (*i - cur)) << shift;
		}
		if (w->busy[TOP]) {
			/* Rotated so that bit 0 is the slot after the current one. */
			unsigned from = (cur + 1) & DIGIT_MASK;
			uint64_t turned = from ? w->busy[TOP] >> from | w->busy[TOP] << (WHEEL_SLOTS - from) : w->busy[TOP];
			unsigned ahead = (unsigned)__builtin_ctzll(turned) + 1;

			*i = (cur + ahead) & DIGIT_MASK;
			*level = TOP;
			return ((w->now_ms >> shift) + ahead) << shift;
		}
	}
	return UINT64_MAX;
}

/* Put what lies in a slot where it belongs as seen from now, at least from `floor` on. */
static void replace(struct wheel *w, int level, unsigned i, uint64_t floor)
{
	struct list moved;

	slot_take(w, level, i, &moved);
	while (!list_empty(&moved)) {
		struct timer *t = list_pop(&moved);
		place(w, t, t->at_ms > floor ? t->at_ms : floor);
	}
}

void wheel_advance(struct wheel *w, uint64_t now_ms)
{
	fire_due(w);
	while (w->now_ms < now_ms) {
		int      level = 0;
		unsigned i = 0, cur = digit(w->now_ms, 0);

		/* Armed while firing for a time already past: due with the next tick. */
		if (w->busy[0] & 1ull << cur)
			replace(w, 0, cur, w->now_ms + 1);

		uint64_t next = next_slot(w, &level, &i);

		if (next > now_ms) {
			w->now_ms = now_ms;
			break;
		}
		w->now_ms = next;
		if (level > 0)
			replace(w, level, i, next);
		fire_due(w);
	}
}

uint64_t wheel_next(const struct wheel *w)
{
	int      level;
	unsigned i;

	if (w->busy[0] & 1ull << digit(w->now_ms, 0))
		return w->now_ms;
	return next_slot(w, &level, &i);
}
