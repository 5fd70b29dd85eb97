#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

bool view_has(struct view v, struct view part)
{
	return memmem(v.p, v.n, part.p, part.n) != NULL;
}

struct view view_trim(struct view v)
{
	while (v.n && (v.p[0] == ' ' || v.p[0] == '\t')) {
		v.p++;
		v.n--;
	}
	while (v.n && (v.p[v.n - 1] == ' ' || v.p[v.n - 1] == '\t' || v.p[v.n - 1] == '\r'))
		v.n--;
	return v;
}

bool view_u32(struct view v, uint32_t *out)
{
	uint64_t sum = 0;
	size_t i = 0;

	for (; i < v.n && v.p[i] >= '0' && v.p[i] <= '9'; i++) {
		sum = sum * 10 + (uint64_t)(v.p[i] - '0');
		if (sum > UINT32_MAX)
			return false;
	}
	*out = (uint32_t)sum;
	return i > 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool view_hex(struct view v, unsigned digits, uint64_t *out)
{
	uint64_t sum = 0;

	if (v.n < digits)
		return false;
	for (unsigned i = 0; i < digits; i++) {
		int d = hex_digit(v.p[i]);
		if (d < 0)
			return false;
		sum = sum << 4 | (unsigned)d;
	}
	*out = sum;
	return true;
}

void out_view(struct out *o, struct view v)
{
	if (v.n > o->cap - o->n) {
		o->full = true;
		return;
	}
	memcpy(o->p + o->n, v.p, v.n);
	o->n += v.n;
}

void out_dec(struct out *o, uint64_t v)
{
	char buf[20];
	size_t i = sizeof(buf);

	do
		buf[--i] = (char)('0' + v % 10);
	while ((v /= 10) != 0);
	out_view(o, (struct view){ buf + i, sizeof(buf) - i });
}

void out_hex(struct out *o, uint64_t v, unsigned digits)
{
	char buf[16];

	for (unsigned i = digits; i-- > 0; v >>= 4)
		buf[i] = "0123456789abcdef"[v & 15];
	out_view(o, (struct view){ buf, digits });
}

void die(const char *what)
{
	if (errno)
		fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	else
		fprintf(stderr, "load: %s\n", what);
	exit(2);
}
