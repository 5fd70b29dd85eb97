#include "base/base.h"
#include <stdarg.h>

static const char digits16[] = "0123456789abcdef";

void put(struct out *o, struct view v)
{
	if (o->full || v.n == 0)
		return;

	size_t room = o->cap - o->n;

	if (v.n > room) {
		v.n = room;
		o->full = true;
	}
	if (v.n)
		memcpy(o->p + o->n, v.p, v.n);
	o->n += v.n;
}

void put_char(struct out *o, char c)
{
	put(o, view_of(&c, 1));
}

void put_u64(struct out *o, uint64_t v)
{
	char   text[20];
	size_t at = sizeof text;

	do
		text[--at] = (char)('0' + v % 10);
	while (v /= 10);
	put(o, view_of(text + at, sizeof text - at));
}

void put_i64(struct out *o, int64_t v)
{
	if (v < 0)
		put_char(o, '-');
	put_u64(o, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void put_hex(struct out *o, const void *p, size_t n)
{
	const unsigned char *b = p;

	for (size_t i = 0; i < n; i++)
		put(o, view_of((char[]){ digits16[b[i] >> 4], digits16[b[i] & 15] }, 2));
}

void putf(struct out *o, const char *fmt, ...)
{
	va_list ap, again;

	if (o->full)
		return;
	va_start(ap, fmt);
	va_copy(again, ap);

	size_t room = o->cap - o->n;
	int    n = vsnprintf(room ? o->p + o->n : NULL, room, fmt, ap);

	must(n >= 0);
	if ((size_t)n < room || n == 0) {
		o->n += (size_t)n;
	} else {
		/* vsnprintf spends the last byte on a NUL: format aside to keep it. */
		char *whole = NULL;
		if (vasprintf(&whole, fmt, again) >= 0) {
			put(o, view_of(whole, (size_t)n));
			free(whole);
		} else {
			o->n += room ? room - 1 : 0;
			o->full = true;
		}
	}
	va_end(again);
	va_end(ap);
}

/* Length of the well-formed UTF-8 sequence at the start of v (Unicode table 3-7), 0 if there is none. */
static size_t utf8_length(struct view v)
{
	const unsigned char *b = (const unsigned char *)v.p;
	size_t               n = b[0] < 0x80 ? 1 : b[0] < 0xc2 ? 0 : b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : b[0] < 0xf5 ? 4 : 0;

	if (n == 0 || n > v.n)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((b[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, surrogates, beyond U+10FFFF. */
	if ((b[0] == 0xe0 && b[1] < 0xa0) || (b[0] == 0xed && b[1] > 0x9f) ||
	    (b[0] == 0xf0 && b[1] < 0x90) || (b[0] == 0xf4 && b[1] > 0x8f))
		return 0;
	return n;
}

void put_safe(struct out *o, struct view v)
{
	while (v.n && !o->full) {
		unsigned char c = (unsigned char)v.p[0];
		size_t        n = utf8_length(v);
		/* U+0080..9F are control characters too: a terminal obeys them. */
		bool          control = (c < 0x20 && c != '\t') || c == 0x7f || (c == 0xc2 && n == 2 && (unsigned char)v.p[1] < 0xa0);

		if (c == '\n' || c == '\r') {
			put(o, c == '\n' ? VIEW("\\n") : VIEW("\\r"));
		} else if (n == 0 || control) {
			n = n ? n : 1;
			for (size_t i = 0; i < n; i++) {
				unsigned char b = (unsigned char)v.p[i];
				put(o, view_of((char[]){ '\\', 'x', digits16[b >> 4], digits16[b & 15] }, 4));
			}
		} else {
			put(o, view_sub(v, 0, n));
		}
		v = view_from(v, n);
	}
}
