#include "hist.h"

static unsigned slot_of(uint64_t us)
{
	if (us < HIST_STEPS)
		return (unsigned)us;

	unsigned top = 63 - (unsigned)__builtin_clzll(us);
	unsigned shift = top - 6;
	unsigned slot = (shift + 1) * HIST_STEPS + (unsigned)((us >> shift) & (HIST_STEPS - 1));

	return slot < HIST_STEPS * HIST_POWERS ? slot : HIST_STEPS * HIST_POWERS - 1;
}

static uint64_t value_of(unsigned slot)
{
	if (slot < HIST_STEPS)
		return slot;
	return (uint64_t)(HIST_STEPS + slot % HIST_STEPS) << (slot / HIST_STEPS - 1);
}

void hist_add(struct hist *h, uint64_t us)
{
	h->slot[slot_of(us)]++;
	h->count++;
	if (us > h->max)
		h->max = us;
}

uint64_t hist_at(const struct hist *h, double percent)
{
	uint64_t want = (uint64_t)((double)h->count * percent / 100.0);
	uint64_t seen = 0;

	for (unsigned i = 0; i < HIST_STEPS * HIST_POWERS && h->count; i++) {
		seen += h->slot[i];
		if (seen > want || seen == h->count)
			return value_of(i);
	}
	return 0;
}
