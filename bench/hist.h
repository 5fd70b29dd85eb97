/* hist.h -- latency histogram: 64 linear steps per power of two, so a
 * percentile is at most 1.6 % off. */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stdint.h>

enum { HIST_STEPS = 64, HIST_POWERS = 32 };

/* Zero-initialise it before use. */
struct hist {
	uint64_t count, max;
	uint64_t slot[HIST_STEPS * HIST_POWERS];
};

/* Count one value, in microseconds. */
void hist_add(struct hist *h, uint64_t us);

/* The value below which `percent` (0..100) of the values lie, in
 * microseconds; 0 if nothing was counted. */
uint64_t hist_at(const struct hist *h, double percent);

#endif
