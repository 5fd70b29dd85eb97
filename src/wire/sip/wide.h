/* wire/sip/wide.h -- private to wire/sip: scanners that look at sixteen bytes a step.  Compiler vectors, so that one source serves
 * every machine.  As everywhere here, no byte at or behind `end` is read. */
#ifndef WIRE_SIP_WIDE_H
#define WIRE_SIP_WIDE_H
#include "base/base.h"

typedef uint8_t wide __attribute__((vector_size(16)));
typedef char wide_signed __attribute__((vector_size(16)));
typedef uint64_t wide_half __attribute__((vector_size(16)));
enum { WIDE = sizeof(wide) };

static inline wide wide_load(const char *p)
{
	wide x;
	memcpy(&x, p, WIDE);
	return x;
}
/* Less than WIDE bytes, at least one, with zeros behind them.  Overlapping words instead of a loop. */
static inline wide wide_load_part(const char *p, size_t n)
{
	uint64_t low = 0, high = 0;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	char all[WIDE] = { 0 };
	memcpy(all, p, n);
	memcpy(&low, all, 8);
	memcpy(&high, all + 8, 8);
#else
	if (n >= 8) {
		memcpy(&low, p, 8);
		memcpy(&high, p + n - 8, 8);
		high = n == 8 ? 0 : high >> 8 * (WIDE - n);
	} else if (n >= 4) {
		uint32_t head, tail;
		memcpy(&head, p, 4);
		memcpy(&tail, p + n - 4, 4);
		low = head | (uint64_t)tail << 8 * (n - 4);
	} else {
		low = (uint8_t)p[0] | (uint64_t)(uint8_t)p[n / 2] << 8 * (n / 2) | (uint64_t)(uint8_t)p[n - 1] << 8 * (n - 1);
	}
#endif
	return (wide)(wide_half){ low, high };
}
/* Index of the first byte that is not zero, WIDE when all are; each byte is 0 or 0xff. */
static inline unsigned wide_first(wide hit)
{
#ifdef __SSE2__
	unsigned bits = (unsigned)__builtin_ia32_pmovmskb128((wide_signed)hit);
	return bits ? (unsigned)__builtin_ctz(bits) : WIDE;
#else
	wide_half half = (wide_half)hit;
	uint64_t low = half[0], high = half[1];
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	low = __builtin_bswap64(low);
	high = __builtin_bswap64(high);
#endif
	if (low)
		return (unsigned)__builtin_ctzll(low) >> 3;
	return high ? 8 + ((unsigned)__builtin_ctzll(high) >> 3) : WIDE;
#endif
}

/* What a scanner stops at; each caller names one that the compiler knows. */
enum wide_stop {
	STOP_CONTROL,   /* below SP, or DEL: on a clean message line ends only */
	STOP_UNSEEN,    /* anything but visible ASCII */
	STOP_URI,       /* what no URI holds: the complement of C_URI */
	STOP_PVALUE,    /* what no unquoted value of a header parameter holds; more than tokens, as IPv6, base64 and URIs occur */
	STOP_ITEM,      /* what ends or shields an item of a list: " < > ; , */
	STOP_COLON,
};
static inline __attribute__((always_inline)) wide wide_stops(wide x, enum wide_stop stop)
{
	if (stop == STOP_COLON)
		return (wide)(x == ':');
	if (stop == STOP_CONTROL)
		return (wide)(x < ' ') | (wide)(x == 0x7f);
	if (stop == STOP_ITEM)
		return (wide)(x == '"') | (wide)(x == ';') | (wide)(x == ',') | (wide)((x & 0xfd) == '<');
	wide unseen = (wide)(x - '!' > '~' - '!');
	if (stop == STOP_UNSEEN)
		return unseen;
	wide odd = unseen | (wide)(x == '"') | (wide)(x == '\\') | (wide)((x & 0xfd) == '<');      /* < and > */
	if (stop == STOP_URI)
		return odd;
	return odd | (wide)((x & 0xfe) == '(') | (wide)(x == ',') | (wide)(x == ';');            /* ( and ) */
}
/* First byte at or after p that is a stop; `end` when there is none. */
static inline __attribute__((always_inline)) const char *wide_scan(const char *p, const char *end, enum wide_stop stop)
{
	const char *from = p;
	for (; end - p >= WIDE; p += WIDE) {
		unsigned at = wide_first(wide_stops(wide_load(p), stop));
		if (at < WIDE)
			return p + at;
	}
	if (p == end)
		return end;
	/* The last bytes together with some that were seen already. */
	if (end - from >= WIDE)
		return end - WIDE + wide_first(wide_stops(wide_load(end - WIDE), stop));
	unsigned at = wide_first(wide_stops(wide_load_part(p, (size_t)(end - p)), stop));
	return at < end - p ? p + at : end;
}
#endif
