#include "base/base.h"

bool view_is_ci(struct view a, struct view b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

int view_cmp_ci(struct view a, struct view b)
{
	size_t n = a.n < b.n ? a.n : b.n;

	for (size_t i = 0; i < n; i++) {
		int d = (unsigned char)ascii_lower(a.p[i]) - (unsigned char)ascii_lower(b.p[i]);
		if (d)
			return d;
	}
	return (a.n > b.n) - (a.n < b.n);
}

bool view_starts(struct view v, struct view prefix)
{
	return v.n >= prefix.n && view_is(view_sub(v, 0, prefix.n), prefix);
}

bool view_starts_ci(struct view v, struct view prefix)
{
	return v.n >= prefix.n && view_is_ci(view_sub(v, 0, prefix.n), prefix);
}

bool view_ends(struct view v, struct view suffix)
{
	return v.n >= suffix.n && view_is(view_from(v, v.n - suffix.n), suffix);
}

size_t view_find_view(struct view v, struct view needle)
{
	if (needle.n == 0)
		return 0;
	const char *at = v.n ? memmem(v.p, v.n, needle.p, needle.n) : NULL;

	return at ? (size_t)(at - v.p) : v.n;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct view view_trim(struct view v)
{
	while (v.n && is_blank(v.p[0]))
		v.p++, v.n--;
	while (v.n && is_blank(v.p[v.n - 1]))
		v.n--;
	return v;
}

bool view_u64(struct view v, uint64_t *out)
{
	uint64_t x = 0;

	if (v.n == 0)
		return false;
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return false;
		if (__builtin_mul_overflow(x, 10u, &x) || __builtin_add_overflow(x, (uint64_t)(v.p[i] - '0'), &x))
			return false;
	}
	*out = x;
	return true;
}

bool view_u32(struct view v, uint32_t *out)
{
	uint64_t x;

	if (!view_u64(v, &x) || x > UINT32_MAX)
		return false;
	*out = (uint32_t)x;
	return true;
}

bool view_i64(struct view v, int64_t *out)
{
	bool     minus = v.n && v.p[0] == '-';
	uint64_t x;

	if (minus || (v.n && v.p[0] == '+'))
		v = view_from(v, 1);
	if (!view_u64(v, &x) || x > (uint64_t)INT64_MAX + minus)
		return false;
	/* In unsigned arithmetic, for -INT64_MIN is no int64_t. */
	*out = (int64_t)(minus ? 0 - x : x);
	return true;
}
