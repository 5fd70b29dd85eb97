#include "base/base.h"

struct sip_state { uint64_t v0, v1, v2, v3; };

static inline uint64_t rotl(uint64_t x, int n) { return x << n | x >> (64 - n); }

static inline void sip_round(struct sip_state *s)
{
	s->v0 += s->v1; s->v1 = rotl(s->v1, 13); s->v1 ^= s->v0; s->v0 = rotl(s->v0, 32);
	s->v2 += s->v3; s->v3 = rotl(s->v3, 16); s->v3 ^= s->v2;
	s->v0 += s->v3; s->v3 = rotl(s->v3, 21); s->v3 ^= s->v0;
	s->v2 += s->v1; s->v1 = rotl(s->v1, 17); s->v1 ^= s->v2; s->v2 = rotl(s->v2, 32);
}

static inline void sip_word(struct sip_state *s, uint64_t m)
{
	s->v3 ^= m;
	sip_round(s);
	sip_round(s);
	s->v0 ^= m;
}

static inline uint64_t load_le(const unsigned char *p, size_t n)
{
	uint64_t w = 0;

	if (n == 8)
		memcpy(&w, p, 8);
	else
		memcpy(&w, p, n);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	w = __builtin_bswap64(w);
#endif
	return w;
}

/* ASCII A-Z to a-z in eight bytes at once; a byte with the high bit set stays. */
static inline uint64_t lower8(uint64_t w)
{
	const uint64_t ones = 0x0101010101010101u;
	uint64_t       low = w & 0x7f * ones;
	uint64_t       from_a = low + (0x80 - 'A') * ones;
	uint64_t       past_z = low + (0x80 - 'Z' - 1) * ones;
	uint64_t       upper = from_a & ~past_z & ~w & 0x80 * ones;

	return w | upper >> 2;
}

static inline uint64_t sip24(struct hash_key key, const void *p, size_t n, bool fold)
{
	const unsigned char *b = p;
	struct sip_state     s = { key.k0 ^ 0x736f6d6570736575u, key.k1 ^ 0x646f72616e646f6du,
				   key.k0 ^ 0x6c7967656e657261u, key.k1 ^ 0x7465646279746573u };
	size_t               left = n;

	for (; left >= 8; left -= 8, b += 8) {
		uint64_t m = load_le(b, 8);
		sip_word(&s, fold ? lower8(m) : m);
	}

	uint64_t tail = left ? load_le(b, left) : 0;

	sip_word(&s, (fold ? lower8(tail) : tail) | (uint64_t)n << 56);
	s.v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t siphash(struct hash_key key, const void *p, size_t n)
{
	return sip24(key, p, n, false);
}

uint64_t siphash_ci(struct hash_key key, struct view v)
{
	return sip24(key, v.p, v.n, true);
}

/* Reflected CRC by nibbles: the tables stay small enough to be checked by eye. */
static const uint32_t nibble_castagnoli[16] = {
	0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
	0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};
static const uint32_t nibble_ieee[16] = {
	0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
	0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
};

static uint32_t crc_by_nibbles(const uint32_t table[16], uint32_t crc, const unsigned char *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		crc ^= b[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return crc;
}

/* HASH_PORTABLE leaves the instruction out, so that its replacement can be tested where it exists. */
#if defined(__x86_64__) && !defined(HASH_PORTABLE)
#define HAVE_SSE42 1
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const unsigned char *b, size_t n)
{
	uint64_t c = crc;

	for (; n >= 8; n -= 8, b += 8)
		c = __builtin_ia32_crc32di(c, load_le(b, 8));
	for (; n; n--, b++)
		c = __builtin_ia32_crc32qi((uint32_t)c, *b);
	return (uint32_t)c;
}
#endif

uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
#ifdef HAVE_SSE42
	if (__builtin_cpu_supports("sse4.2"))
		return ~crc32c_sse42(~crc, p, n);
#endif
	return ~crc_by_nibbles(nibble_castagnoli, ~crc, p, n);
}

uint32_t crc32_ieee(uint32_t crc, const void *p, size_t n)
{
	return ~crc_by_nibbles(nibble_ieee, ~crc, p, n);
}
