/* Transformations of strings and lists: {s.*} {csv.*} {param.*} {re.subst}; opensips-language.md section 11.
 * Each takes a value and turns it into another; false is NULL. */
#include "script/rows.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>

bool transform_set(struct value *v, struct view s)
{
	*v = value_str(s);
	return s.p != NULL;
}

bool transform_int(struct run *r, struct value *v, int64_t i)
{
	if (i >= INT32_MIN && i <= INT32_MAX)
		*v = value_int(r->tmp, (int32_t)i);
	else
		*v = value_str(arena_fmt(r->tmp, "%lld", (long long)i));
	return v->s.n > 0;
}

/* The value of a parameter without the quotes that it may stand in. */
bool transform_value(struct value *v, struct view value)
{
	return transform_set(v, value.p ? var_unquoted(value) : VIEW(""));
}

bool transform_index(const struct value *arg, int64_t *out)
{
	*out = arg->i;
	return arg->flags & V_INT || view_i64(arg->s, out);
}

/* Room for `cap` bytes of result in the message's memory. */
bool transform_room(struct run *r, struct out *o, size_t cap)
{
	char *p = cap <= MSG_ARENA_BYTES ? arena_alloc(r->tmp, cap) : NULL;

	*o = out_to(p, p ? cap : 0);
	return p != NULL;
}

bool transform_done(struct value *v, const struct out *o)
{
	return !o->full && transform_set(v, out_view(o));
}

static bool s_len(struct run *r, struct value *v, const struct value *a, int n) { return transform_int(r, v, (int64_t)v->s.n); }

static bool s_int(struct run *r, struct value *v, const struct value *a, int n)
{
	size_t i = 0;
	bool minus = v->s.n && v->s.p[0] == '-';
	int64_t sum = 0;
	/* Digits beyond 32 bits end at the border: wrapped around, they would be some other number. */
	const int64_t most = minus ? -(int64_t)INT32_MIN : INT32_MAX;

	if (minus || (v->s.n && v->s.p[0] == '+'))
		i++;
	for (; i < v->s.n && v->s.p[i] >= '0' && v->s.p[i] <= '9' && sum < most; i++)
		sum = sum * 10 + (v->s.p[i] - '0');
	if (sum > most)
		sum = most;
	/* Inside a text the original stays; the number shows in arithmetic and in an assignment (section 18). */
	v->i = (int32_t)(minus ? -sum : sum);
	v->flags = V_STR | V_INT | V_NATIVE;
	return true;
}

static bool digest(struct run *r, struct value *v, const EVP_MD *md)
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	struct out o;

	if (!EVP_Digest(v->s.n ? v->s.p : "", v->s.n, raw, &len, md, NULL) || !transform_room(r, &o, 2 * len))
		return false;
	put_hex(&o, raw, len);
	return transform_done(v, &o);
}
static bool s_md5(struct run *r, struct value *v, const struct value *a, int n) { return digest(r, v, EVP_md5()); }
static bool s_sha1(struct run *r, struct value *v, const struct value *a, int n) { return digest(r, v, EVP_sha1()); }
static bool s_sha224(struct run *r, struct value *v, const struct value *a, int n) { return digest(r, v, EVP_sha224()); }
static bool s_sha256(struct run *r, struct value *v, const struct value *a, int n) { return digest(r, v, EVP_sha256()); }
static bool s_sha384(struct run *r, struct value *v, const struct value *a, int n) { return digest(r, v, EVP_sha384()); }
static bool s_sha512(struct run *r, struct value *v, const struct value *a, int n) { return digest(r, v, EVP_sha512()); }

static bool keyed(struct run *r, struct value *v, const struct value *key, const EVP_MD *md)
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	struct out o;

	if (!HMAC(md, key->s.n ? key->s.p : "", (int)key->s.n, (const unsigned char *)(v->s.n ? v->s.p : ""), v->s.n, raw, &len)
	    || !transform_room(r, &o, 2 * len))
		return false;
	put_hex(&o, raw, len);
	return transform_done(v, &o);
}
static bool s_sha1_hmac(struct run *r, struct value *v, const struct value *a, int n) { return keyed(r, v, a, EVP_sha1()); }
static bool s_sha224_hmac(struct run *r, struct value *v, const struct value *a, int n) { return keyed(r, v, a, EVP_sha224()); }
static bool s_sha256_hmac(struct run *r, struct value *v, const struct value *a, int n) { return keyed(r, v, a, EVP_sha256()); }
static bool s_sha384_hmac(struct run *r, struct value *v, const struct value *a, int n) { return keyed(r, v, a, EVP_sha384()); }
static bool s_sha512_hmac(struct run *r, struct value *v, const struct value *a, int n) { return keyed(r, v, a, EVP_sha512()); }

static bool s_crc32(struct run *r, struct value *v, const struct value *a, int n)
{
	/* OpenSIPS leaves out the final inversion (section 18). */
	struct view text = arena_fmt(r->tmp, "%u", (unsigned)~crc32_ieee(0, v->s.p, v->s.n));
	return transform_set(v, text);
}

static bool s_reverse(struct run *r, struct value *v, const struct value *a, int n)
{
	struct out o;

	if (!transform_room(r, &o, v->s.n))
		return false;
	for (size_t i = v->s.n; i-- > 0; )
		put_char(&o, v->s.p[i]);
	return transform_done(v, &o);
}

static bool s_substr(struct run *r, struct value *v, const struct value *a, int n)
{
	int64_t size = (int64_t)v->s.n, off, len;

	if (!transform_index(&a[0], &off) || !transform_index(&a[1], &len))
		return false;
	if (off < 0)
		off += size;
	if (off < 0 || off >= size)
		return false;
	if (len == 0 || len > size - off)
		len = size - off;
	else if (len < 0)
		len += size - off;
	return len >= 0 && transform_set(v, view_sub(v->s, (size_t)off, (size_t)len));
}

static bool s_select(struct run *r, struct value *v, const struct value *a, int n)
{
	int64_t want;

	if (a[1].s.n != 1 || !transform_index(&a[0], &want))
		return false;
	char sep = a[1].s.p[0];
	struct view rest = v->s, part;

	if (want < 0) {
		want += 1;
		for (size_t i = 0; i < v->s.n; i++)
			want += v->s.p[i] == sep;
		if (want < 0)
			return false;
	}
	for (int64_t i = 0; ; i++) {
		size_t end = view_find(rest, sep);
		part = view_sub(rest, 0, end);
		if (i == want)
			return transform_set(v, part);
		if (end == rest.n)
			return false;
		rest = view_from(rest, end + 1);
	}
}

static bool s_encode_hexa(struct run *r, struct value *v, const struct value *a, int n)
{
	struct out o;

	if (!transform_room(r, &o, v->s.n * 2))
		return false;
	put_hex(&o, v->s.p, v->s.n);
	return transform_done(v, &o);
}

static bool s_decode_hexa(struct run *r, struct value *v, const struct value *a, int n)
{
	struct out o;

	if (v->s.n % 2 || !transform_room(r, &o, v->s.n / 2))
		return false;
	for (size_t i = 0; i < v->s.n; i += 2) {
		int hi = hex_value(v->s.p[i]), lo = hex_value(v->s.p[i + 1]);
		if (hi < 0 || lo < 0)
			return false;
		put_char(&o, (char)(hi << 4 | lo));
	}
	return transform_done(v, &o);
}

static bool s_escape_common(struct run *r, struct value *v, const struct value *a, int n)
{
	struct out o;

	if (!transform_room(r, &o, v->s.n * 2))
		return false;
	for (size_t i = 0; i < v->s.n; i++) {
		char c = v->s.p[i];
		if (c == '\'' || c == '"' || c == '\\' || c == '\0')
			put_char(&o, '\\');
		put_char(&o, c ? c : '0');
	}
	return transform_done(v, &o);
}

static bool s_unescape_common(struct run *r, struct value *v, const struct value *a, int n)
{
	struct out o;

	if (!transform_room(r, &o, v->s.n))
		return false;
	for (size_t i = 0; i < v->s.n; i++) {
		char c = v->s.p[i];
		if (c == '\\' && i + 1 < v->s.n && memchr("'\"\\0", v->s.p[i + 1], 4))
			c = v->s.p[++i] == '0' ? '\0' : v->s.p[i];
		put_char(&o, c);
	}
	return transform_done(v, &o);
}

/* Characters that stand for themselves beside letters and digits: user part / parameter (RFC 3261 25.1). */
static bool escape_uri(struct run *r, struct value *v, const char *plain)
{
	struct out o;

	if (!transform_room(r, &o, v->s.n * 3))
		return false;
	for (size_t i = 0; i < v->s.n; i++) {
		unsigned char c = (unsigned char)v->s.p[i];
		if ((c >= '0' && c <= '9') || (ascii_lower((char)c) >= 'a' && ascii_lower((char)c) <= 'z') || (c && strchr(plain, c)))
			put_char(&o, (char)c);
		else
			putf(&o, "%%%02x", c);
	}
	return transform_done(v, &o);
}
static bool s_escape_user(struct run *r, struct value *v, const struct value *a, int n) { return escape_uri(r, v, "-_.!~*'()&=+$,;?/"); }
static bool s_escape_param(struct run *r, struct value *v, const struct value *a, int n) { return escape_uri(r, v, "-_.!~*'()[]/:&+$"); }

/* A caller writes %0D%0A into a user part: decoded into header text, it would begin a line of its own. */
static bool s_unescape_uri(struct run *r, struct value *v, const struct value *a, int n)
{
	struct out o;

	if (!transform_room(r, &o, v->s.n) || !sip_unescape(v->s, &o))
		return false;
	for (size_t i = 0; i < o.n; i++)
		if ((uint8_t)o.p[i] < ' ' || o.p[i] == 0x7f)
			return false;
	return transform_done(v, &o);
}

static bool fold(struct run *r, struct value *v, bool up)
{
	struct out o;

	if (!transform_room(r, &o, v->s.n))
		return false;
	for (size_t i = 0; i < v->s.n; i++) {
		char c = v->s.p[i];
		put_char(&o, up ? (c >= 'a' && c <= 'z' ? (char)(c - 32) : c) : ascii_lower(c));
	}
	return transform_done(v, &o);
}
static bool s_tolower(struct run *r, struct value *v, const struct value *a, int n) { return fold(r, v, false); }
static bool s_toupper(struct run *r, struct value *v, const struct value *a, int n) { return fold(r, v, true); }

static bool s_index(struct run *r, struct value *v, const struct value *a, int n)
{
	int64_t from = 0;

	if (n > 1 && !transform_index(&a[1], &from))
		return false;
	if (from < 0)
		from += (int64_t)v->s.n;
	if (from < 0 || from > (int64_t)v->s.n)
		return false;
	struct view rest = view_from(v->s, (size_t)from);
	size_t at = view_find_view(rest, a[0].s);
	if (at == rest.n && a[0].s.n)
		return false;
	return transform_int(r, v, from + (int64_t)at);
}

static bool s_rindex(struct run *r, struct value *v, const struct value *a, int n)
{
	int64_t at = (int64_t)v->s.n;

	if (n > 1 && !transform_index(&a[1], &at))
		return false;
	if (at < 0)
		at += (int64_t)v->s.n;
	if (at > (int64_t)v->s.n - (int64_t)a[0].s.n)
		at = (int64_t)v->s.n - (int64_t)a[0].s.n;
	for (; at >= 0; at--)
		if (memcmp(v->s.p + at, a[0].s.p, a[0].s.n) == 0)
			return transform_int(r, v, at);
	return false;
}

static bool fill(struct run *r, struct value *v, const struct value *a, bool left)
{
	int64_t want;
	struct out o;

	if (!transform_index(&a[1], &want))
		return false;
	if (want <= (int64_t)v->s.n || a[0].s.n == 0)
		return true;
	if (want > SCRIPT_STRING_BYTES || !transform_room(r, &o, (size_t)want))
		return false;
	size_t pad = (size_t)want - v->s.n;
	if (!left)
		put(&o, v->s);
	for (size_t i = 0; i < pad; i++)
		put_char(&o, a[0].s.p[i % a[0].s.n]);
	if (left)
		put(&o, v->s);
	return transform_done(v, &o);
}
static bool s_fill_left(struct run *r, struct value *v, const struct value *a, int n) { return fill(r, v, a, true); }
static bool s_fill_right(struct run *r, struct value *v, const struct value *a, int n) { return fill(r, v, a, false); }

static bool s_width(struct run *r, struct value *v, const struct value *a, int n)
{
	const struct value pad[2] = { value_str(VIEW(" ")), a[0] };
	int64_t want;

	if (!transform_index(&a[0], &want) || want < 0)
		return false;
	if ((uint64_t)want < v->s.n)
		return transform_set(v, view_sub(v->s, 0, (size_t)want));
	return fill(r, v, pad, false);
}

static bool trim(struct value *v, bool left, bool right)
{
	struct view s = v->s;

	while (left && s.n && memchr(" \t\r\n", s.p[0], 4))
		s = view_from(s, 1);
	while (right && s.n && memchr(" \t\r\n", s.p[s.n - 1], 4))
		s.n--;
	return transform_set(v, s.p ? s : VIEW(""));
}
static bool s_trim(struct run *r, struct value *v, const struct value *a, int n) { return trim(v, true, true); }
static bool s_triml(struct run *r, struct value *v, const struct value *a, int n) { return trim(v, true, false); }
static bool s_trimr(struct run *r, struct value *v, const struct value *a, int n) { return trim(v, false, true); }

static bool s_dec2hex(struct run *r, struct value *v, const struct value *a, int n)
{
	int64_t i;

	/* A negative one shows its 32 bits, as the integers of the language have. */
	return view_i64(v->s, &i) && i >= INT32_MIN
	       && transform_set(v, arena_fmt(r->tmp, "%llx", i < 0 ? (unsigned long long)(uint32_t)i : (unsigned long long)i));
}

static bool s_hex2dec(struct run *r, struct value *v, const struct value *a, int n)
{
	uint64_t sum = 0;
	struct view s = view_starts_ci(v->s, VIEW("0x")) ? view_from(v->s, 2) : v->s;

	if (s.n == 0 || s.n > 8)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		int d = hex_value(s.p[i]);
		if (d < 0)
			return false;
		sum = sum << 4 | (uint64_t)d;
	}
	return transform_int(r, v, (int64_t)sum);
}

static bool s_b64encode(struct run *r, struct value *v, const struct value *a, int n)
{
	struct out o;

	if (v->s.n > SCRIPT_STRING_BYTES || !transform_room(r, &o, (v->s.n + 2) / 3 * 4 + 1))
		return false;
	o.n = (size_t)EVP_EncodeBlock((unsigned char *)o.p, (const unsigned char *)(v->s.n ? v->s.p : ""), (int)v->s.n);
	return transform_done(v, &o);
}

/* Four characters to three bytes, "=" only at the very end, nothing between (RFC 4648 3.3). */
static bool s_b64decode(struct run *r, struct value *v, const struct value *a, int n)
{
	size_t pad = 0;
	struct out o;

	while (pad < 2 && pad < v->s.n && v->s.p[v->s.n - 1 - pad] == '=')
		pad++;
	for (size_t i = 0; i + pad < v->s.n; i++)
		if (!memchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", v->s.p[i], 64))
			return false;
	if (v->s.n % 4 || v->s.n > 2 * SCRIPT_STRING_BYTES || !transform_room(r, &o, v->s.n / 4 * 3))
		return false;
	if (v->s.n) {
		must(EVP_DecodeBlock((unsigned char *)o.p, (const unsigned char *)v->s.p, (int)v->s.n) == (int)o.cap);
		o.n = o.cap - pad;
	}
	return transform_done(v, &o);
}

static bool s_xor(struct run *r, struct value *v, const struct value *a, int n)
{
	struct out o;

	if (a[0].s.n == 0 || !transform_room(r, &o, v->s.n))
		return false;
	for (size_t i = 0; i < v->s.n; i++)
		put_char(&o, (char)(v->s.p[i] ^ a[0].s.p[i % a[0].s.n]));
	return transform_done(v, &o);
}

static int64_t days_of_civil(int year, int month, int day)
{
	/* Years begin in March, so that the leap day comes last. */
	int64_t y = month <= 2 ? year - 1 : year, era = y / 400, yoe = y - era * 400;
	int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static int two_digits(const char *p)
{
	return p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9' ? -1 : (p[0] - '0') * 10 + (p[1] - '0');
}

/* A SIP date (RFC 3261 20.17, always GMT) as seconds since 1970. */
static bool s_date2unix(struct run *r, struct value *v, const struct value *a, int n)
{
	static const char shape[] = "aaa, dd aaa dddd dd:dd:dd GMT", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	const char *p = v->s.p;
	int month = 0;

	if (v->s.n != sizeof shape - 1)
		return false;
	for (size_t i = 0; i < v->s.n; i++)
		if (shape[i] == 'd' ? p[i] < '0' || p[i] > '9' : shape[i] == 'a' ? ascii_lower(p[i]) < 'a' || ascii_lower(p[i]) > 'z' : p[i] != shape[i])
			return false;
	while (month < 12 && memcmp(months + (size_t)month * 3, p + 8, 3) != 0)
		month++;
	int day = two_digits(p + 5), year = two_digits(p + 12) * 100 + two_digits(p + 14), h = two_digits(p + 17), m = two_digits(p + 20), s = two_digits(p + 23);
	if (month++ == 12 || year < 1970 || h > 23 || m > 59 || s > 60)
		return false;
	int64_t first = days_of_civil(year, month, 1), next = month == 12 ? days_of_civil(year + 1, 1, 1) : days_of_civil(year, month + 1, 1);
	if (day < 1 || day > next - first)
		return false;
	return transform_int(r, v, (first + day - 1) * 86400 + h * 3600 + m * 60 + s);
}

/* ---- lists ---------------------------------------------------------------------------------------------------- */

/* Next field of a comma list, trimmed; quotes and <> hold commas.  Unlike the elements of a header (RFC 3261 7.3.1) a field may be
 * empty: its position counts.  *rest becomes VIEW_NONE behind the last one. */
static bool csv_next(struct view *rest, struct view *field)
{
	bool quoted = false, angle = false;
	size_t i = 0;

	if (!rest->p)
		return false;
	for (; i < rest->n; i++) {
		char c = rest->p[i];
		if (quoted && c == '\\')
			i++;
		else if (c == '"' && !angle)
			quoted = !quoted;
		else if (!quoted && (c == '<' || c == '>'))
			angle = c == '<';
		else if (c == ',' && !quoted && !angle)
			break;
	}
	*field = view_trim(view_sub(*rest, 0, i));
	*rest = i < rest->n ? view_from(*rest, i + 1) : VIEW_NONE;
	return true;
}

static int64_t csv_fields(struct view list)
{
	struct view field;
	int64_t sum = 0;

	while (list.n + (sum > 0) && csv_next(&list, &field))
		sum++;
	return sum;
}

static bool csv_count(struct run *r, struct value *v, const struct value *a, int n) { return transform_int(r, v, csv_fields(v->s)); }

static bool csv_value(struct run *r, struct value *v, const struct value *a, int n)
{
	struct view rest = v->s, field;
	int64_t want;

	if (!transform_index(&a[0], &want))
		return false;
	if (want < 0)
		want += csv_fields(v->s);
	if (!v->s.n || want < 0)
		return false;
	for (int64_t i = 0; csv_next(&rest, &field); i++)
		if (i == want)
			return transform_set(v, field);
	return false;
}

/* n-th parameter of a ';' list, negative from the end; false when there is none. */
static bool param_at(struct view list, int64_t want, struct view *name, struct view *value)
{
	struct view rest = list;
	int64_t count = 0;

	if (want < 0) {
		while (sip_param_next(&rest, name, value))
			count++;
		want += count;
		rest = list;
	}
	for (int64_t i = 0; want >= 0 && sip_param_next(&rest, name, value); i++)
		if (i == want)
			return true;
	return false;
}

static bool param_value(struct run *r, struct value *v, const struct value *a, int n)
{
	struct view value;

	return sip_param(v->s, a[0].s, &value) && transform_value(v, value);
}

static bool param_exist(struct run *r, struct value *v, const struct value *a, int n)
{
	struct view value;

	return transform_int(r, v, sip_param(v->s, a[0].s, &value));
}

static bool param_valueat(struct run *r, struct value *v, const struct value *a, int n)
{
	struct view name, value;
	int64_t want;

	return transform_index(&a[0], &want) && param_at(v->s, want, &name, &value) && transform_value(v, value);
}

static bool param_name(struct run *r, struct value *v, const struct value *a, int n)
{
	struct view name, value;
	int64_t want;

	return transform_index(&a[0], &want) && param_at(v->s, want, &name, &value) && transform_set(v, name);
}

static bool param_count(struct run *r, struct value *v, const struct value *a, int n)
{
	struct view rest = v->s, name, value;
	int64_t sum = 0;

	while (sip_param_next(&rest, &name, &value))
		sum++;
	return transform_int(r, v, sum);
}

static bool re_subst(struct run *r, struct value *v, const struct value *a, int n)
{
	char text[1];
	struct out err = out_to(text, 0);
	struct subst *s = subst_new(a[0].s, &err);
	struct view out = v->s;

	if (!s)
		return false;
	int hits = subst_run(s, v->s, r->tmp, &out);
	subst_free(s);
	return hits >= 0 && (hits == 0 || transform_set(v, out));
}

const struct script_transform core_transforms[] = {
	{ "s.len", s_len, .help = "length in bytes" },
	{ "s.int", s_int, .help = "leading digits as a number, 0 without any" },
	{ "s.md5", s_md5, .help = "MD5 in hexadecimal" },
	{ "s.crc32", s_crc32, .help = "CRC-32 without the final inversion, decimal" },
	{ "s.sha1", s_sha1, .help = "SHA-1 in hexadecimal" },
	{ "s.sha224", s_sha224, .help = "SHA-224 in hexadecimal" },
	{ "s.sha256", s_sha256, .help = "SHA-256 in hexadecimal" },
	{ "s.sha384", s_sha384, .help = "SHA-384 in hexadecimal" },
	{ "s.sha512", s_sha512, .help = "SHA-512 in hexadecimal" },
	{ "s.sha1_hmac", s_sha1_hmac, 1, 1, .help = "HMAC with SHA-1: key" },
	{ "s.sha224_hmac", s_sha224_hmac, 1, 1, .help = "HMAC with SHA-224: key" },
	{ "s.sha256_hmac", s_sha256_hmac, 1, 1, .help = "HMAC with SHA-256: key" },
	{ "s.sha384_hmac", s_sha384_hmac, 1, 1, .help = "HMAC with SHA-384: key" },
	{ "s.sha512_hmac", s_sha512_hmac, 1, 1, .help = "HMAC with SHA-512: key" },
	{ "s.reverse", s_reverse, .help = "bytes in opposite order" },
	{ "s.substr", s_substr, 2, 2, .help = "part: offset (negative from the end), length (0 = rest, negative = cut from the end)" },
	{ "s.select", s_select, 2, 2, .help = "field: index (negative from the end), one-character separator" },
	{ "s.encode.hexa", s_encode_hexa, .help = "bytes in hexadecimal" },
	{ "s.decode.hexa", s_decode_hexa, .help = "bytes from hexadecimal" },
	{ "s.escape.common", s_escape_common, .help = "backslash before quotes, backslash and NUL" },
	{ "s.unescape.common", s_unescape_common, .help = "undo s.escape.common" },
	{ "s.escape.user", s_escape_user, .help = "%HH for what may not stand in a user part" },
	{ "s.unescape.user", s_unescape_uri, .help = "decode %HH; NULL when a control byte comes out" },
	{ "s.escape.param", s_escape_param, .help = "%HH for what may not stand in a URI parameter" },
	{ "s.unescape.param", s_unescape_uri, .help = "decode %HH; NULL when a control byte comes out" },
	{ "s.tolower", s_tolower, .help = "ASCII lower case" },
	{ "s.toupper", s_toupper, .help = "ASCII upper case" },
	{ "s.index", s_index, 1, 2, .help = "first position of a text, from a start" },
	{ "s.rindex", s_rindex, 1, 2, .help = "last position of a text, before a start" },
	{ "s.fill.left", s_fill_left, 2, 2, .help = "pad at the left: text, width" },
	{ "s.fill.right", s_fill_right, 2, 2, .help = "pad at the right: text, width" },
	{ "s.width", s_width, 1, 1, .help = "exactly that width: cut, or padded with blanks at the right" },
	{ "s.trim", s_trim, .help = "without blanks at both ends" },
	{ "s.triml", s_triml, .help = "without blanks at the left" },
	{ "s.trimr", s_trimr, .help = "without blanks at the right" },
	{ "s.dec2hex", s_dec2hex, .help = "decimal to hexadecimal" },
	{ "s.hex2dec", s_hex2dec, .help = "hexadecimal to decimal" },
	{ "s.b64encode", s_b64encode, .help = "base64" },
	{ "s.b64decode", s_b64decode, .help = "bytes from base64" },
	{ "s.xor", s_xor, 1, 1, .help = "bytes xor a repeated key" },
	{ "s.date2unix", s_date2unix, .help = "SIP date as seconds since 1970" },
	{ "csv.count", csv_count, .help = "number of elements" },
	{ "csv.value", csv_value, 1, 1, .help = "element: index, negative from the end" },
	{ "param.value", param_value, 1, 1, .help = "value of a parameter" },
	{ "param.exist", param_exist, 1, 1, .help = "1 when the parameter is there" },
	{ "param.exists", param_exist, 1, 1, .help = "1 when the parameter is there" },
	{ "param.valueat", param_valueat, 1, 1, .help = "value by position" },
	{ "param.name", param_name, 1, 1, .help = "name by position" },
	{ "param.count", param_count, .help = "number of parameters" },
	{ "re.subst", re_subst, 1, 1, .raw_arg = true, .help = "/expression/replacement/flags" },
	{ "uri.user", uri_user, .help = "user part of a URI" },
	{ "uri.host", uri_host, .help = "host of a URI" },
	{ "uri.domain", uri_host, .help = "host of a URI" },
	{ "uri.passwd", uri_passwd, .help = "password of a URI" },
	{ "uri.port", uri_port, .help = "port of a URI" },
	{ "uri.params", uri_params, .help = "all parameters of a URI" },
	{ "uri.param", uri_param, 1, 1, .help = "value of one URI parameter" },
	{ "uri.headers", uri_headers, .help = "headers of a URI" },
	{ "uri.transport", uri_transport, .help = "transport parameter" },
	{ "uri.ttl", uri_ttl, .help = "ttl parameter" },
	{ "uri.uparam", uri_uparam, .help = "user parameter" },
	{ "uri.maddr", uri_maddr, .help = "maddr parameter" },
	{ "uri.method", uri_method, .help = "method parameter" },
	{ "uri.lr", uri_lr, .help = "lr parameter" },
	{ "uri.r2", uri_r2, .help = "r2 parameter" },
	{ "uri.schema", uri_schema, .help = "scheme of a URI" },
	{ "via.name", via_name, .help = "protocol name" },
	{ "via.version", via_version, .help = "protocol version" },
	{ "via.transport", via_transport, .help = "transport" },
	{ "via.host", via_host, .help = "sent-by host" },
	{ "via.domain", via_host, .help = "sent-by host" },
	{ "via.port", via_port, .help = "sent-by port" },
	{ "via.comment", via_comment, .help = "comment" },
	{ "via.params", via_params, .help = "all parameters" },
	{ "via.param", via_param, 1, 1, .help = "value of one parameter" },
	{ "via.branch", via_branch, .help = "branch parameter" },
	{ "via.received", via_received, .help = "received parameter" },
	{ "via.rport", via_rport, .help = "rport parameter" },
	{ "nameaddr.name", nameaddr_name, .indexed = true, .help = "display name; {nameaddr.<index>.name}: of the n-th element, negative from the end" },
	{ "nameaddr.uri", nameaddr_uri, .indexed = true, .help = "URI" },
	{ "nameaddr.len", nameaddr_len, .indexed = true, .help = "length of the element" },
	{ "nameaddr.param", nameaddr_param, 1, 1, .indexed = true, .help = "value of one header parameter" },
	{ "nameaddr.params", nameaddr_params, .indexed = true, .help = "all header parameters" },
	{ "ip.pton", ip_pton, .help = "address text to its bytes" },
	{ "ip.ntop", ip_ntop, .help = "bytes to address text" },
	{ "ip.isip", ip_isip, .help = "1 for an IP address" },
	{ "ip.isip4", ip_isip4, .help = "1 for an IPv4 address" },
	{ "ip.isip6", ip_isip6, .help = "1 for an IPv6 address" },
	{ "ip.family", ip_family, .help = "INET or INET6, of bytes" },
	{ "ip.matches", ip_matches, 1, 1, .help = "1 when inside net/len" },
	{ "ip.isprivate", ip_isprivate, .help = "1 for RFC 1918, RFC 6598 and loopback addresses" },
	{ "sdp.line", sdp_line, 1, 2, .help = "n-th line of a type" },
	{ NULL },
};
