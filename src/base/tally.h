/* base/tally.h -- counters that one thread raises and any other may read while it does. */
#ifndef BASE_TALLY_H
#define BASE_TALLY_H
#include <stdint.h>

/* Only the owner raises, so a plain sum is enough; the store is atomic for those who read meanwhile. */
static inline void tally_add(uint64_t *c, uint64_t n) { __atomic_store_n(c, *c + n, __ATOMIC_RELAXED); }
/* A racy but untorn reading. */
static inline uint64_t tally_read(const uint64_t *c) { return __atomic_load_n(c, __ATOMIC_RELAXED); }
#endif
