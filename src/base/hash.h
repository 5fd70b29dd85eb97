/* base/hash.h -- keyed hashing for everything whose key a stranger chooses, and small checksums. */
#ifndef BASE_HASH_H
#define BASE_HASH_H
#include "base/view.h"

struct hash_key { uint64_t k0, k1; };                          /* random per process; fixed in tests */
uint64_t siphash(struct hash_key key, const void *p, size_t n); /* SipHash-2-4 */
static inline uint64_t siphash_view(struct hash_key key, struct view v) { return siphash(key, v.p, v.n); }
/* SipHash of the ASCII-lower-cased bytes. */
uint64_t siphash_ci(struct hash_key key, struct view v);
uint32_t crc32c(uint32_t crc, const void *p, size_t n);        /* RFC 4960 appendix B; start with 0 */
uint32_t crc32_ieee(uint32_t crc, const void *p, size_t n);    /* ISO 3309; start with 0 */
#endif
