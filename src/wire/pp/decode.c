/* wire/pp/decode.c -- from bytes to struct pp_info. */
#include "wire/pp/pp.h"
#include "base/base.h"

static const char V1_SIG[] = "PROXY ";
static const char V2_SIG[] = "\r\n\r\n\0\r\nQUIT\n";
static const char SPP_SIG[] = "\x56\xec";

static const struct signature { const char *bytes; size_t n; unsigned accept; enum pp_sniff full; } signatures[] = {
	{ V1_SIG,  sizeof V1_SIG - 1,  PP_ACCEPT_V1,  PP_SNIFF_V1 },
	{ V2_SIG,  sizeof V2_SIG - 1,  PP_ACCEPT_V2,  PP_SNIFF_V2 },
	{ SPP_SIG, sizeof SPP_SIG - 1, PP_ACCEPT_SPP, PP_SNIFF_SPP },
};

enum pp_sniff pp_sniff(struct view in, unsigned accept)
{
	enum pp_sniff best = PP_SNIFF_NO;

	for (size_t i = 0; i < COUNT_OF(signatures); i++) {
		const struct signature *s = &signatures[i];
		size_t n = in.n < s->n ? in.n : s->n;
		if (!(accept & s->accept) || (n && memcmp(in.p, s->bytes, n) != 0))
			continue;
		if (n == s->n)
			return s->full;
		best = PP_SNIFF_MAYBE;
	}
	return best;
}

static enum pp_status bad(enum pp_reject *why, enum pp_reject r)
{
	*why = r;
	return PP_BAD;
}

/* ---- version 1 ----
 * Each scanner reads one field.  `whole` says that the byte after the field has arrived; until then PP_MORE means that
 * some continuation is still valid. */

typedef enum pp_status scan(struct view t, bool whole, struct addr *a);

static enum pp_status octets_scan(struct view t, bool whole, uint8_t ip[4])
{
	unsigned octet = 0, digits = 0, value = 0;

	for (size_t i = 0; i < t.n; i++) {
		char c = t.p[i];
		if (c >= '0' && c <= '9') {
			if (digits && value == 0)
				return PP_BAD;                  /* leading zero: read as octal elsewhere */
			value = value * 10 + (unsigned)(c - '0');
			if (value > 255)
				return PP_BAD;
			digits++;
		} else if (c == '.' && digits && octet < 3) {
			ip[octet++] = (uint8_t)value;
			digits = value = 0;
		} else {
			return PP_BAD;
		}
	}
	if (!whole)
		return PP_MORE;
	if (octet != 3 || !digits)
		return PP_BAD;
	ip[3] = (uint8_t)value;
	return PP_OK;
}

static enum pp_status ip4_scan(struct view t, bool whole, struct addr *a)
{
	a->af = AF_V4;
	return octets_scan(t, whole, a->ip);
}

struct ip6_text { uint16_t group[8]; unsigned n; int gap; };

/* The groups read so far end in ::ffff, so that a dotted address may follow. */
static bool ip6_is_mapped_so_far(const struct ip6_text *t)
{
	if (t->n == 0 || t->group[t->n - 1] != 0xffff || t->gap == (int)t->n)
		return false;
	for (unsigned i = 0; i + 1 < t->n; i++)
		if (t->group[i])
			return false;
	return t->gap < 0 ? t->n == 6 : t->n <= 5;
}

static void ip6_expand(const struct ip6_text *t, uint8_t ip[16])
{
	unsigned head = t->gap < 0 ? t->n : (unsigned)t->gap;

	memset(ip, 0, 16);
	for (unsigned i = 0; i < t->n; i++) {
		unsigned at = i < head ? i : 8 - t->n + i;
		ip[2 * at] = (uint8_t)(t->group[i] >> 8);
		ip[2 * at + 1] = (uint8_t)t->group[i];
	}
}

static enum pp_status ip6_dotted(const struct ip6_text *t, struct view tail, bool whole, struct addr *a)
{
	uint8_t ip[4];

	if (!ip6_is_mapped_so_far(t))
		return PP_BAD;
	enum pp_status s = octets_scan(tail, whole, ip);
	if (s == PP_OK) {
		memset(a->ip, 0, 10);
		memset(a->ip + 10, 0xff, 2);
		memcpy(a->ip + 12, ip, 4);
	}
	return s;
}

/* One colon: ends a group, or completes the "::".  `start` is where the group in front of it began. */
static bool ip6_colon(struct ip6_text *x, struct view t, size_t i, size_t start, unsigned value)
{
	if (i > start) {
		x->group[x->n++] = (uint16_t)value;
		return x->gap < 0 ? x->n < 8 : x->n < 7;        /* something must follow, and fit */
	}
	if (i == 0)
		return t.n == 1 || t.p[1] == ':';
	if (t.p[i - 1] != ':' || x->gap >= 0)
		return false;
	x->gap = (int)x->n;
	return true;
}

/* RFC 4291 2.2 without zone, brackets or prefix length; "::" may stand for one group.  Dotted text only behind ::ffff:,
 * which HAProxy writes for an IPv4 client on an IPv6 frontend though the specification does not allow it. */
static enum pp_status ip6_scan(struct view t, bool whole, struct addr *a)
{
	struct ip6_text x = { .gap = -1 };
	unsigned value = 0;
	size_t start = 0;                                        /* first byte of the group being read */

	a->af = AF_V6;
	for (size_t i = 0; i < t.n; i++) {
		char c = t.p[i];
		if (c == ':') {
			if (!ip6_colon(&x, t, i, start, value))
				return PP_BAD;
			start = i + 1;
			value = 0;
		} else if (c == '.') {
			return ip6_dotted(&x, view_of(t.p + start, t.n - start), whole, a);
		} else {
			int h = hex_value(c);
			if (h < 0 || i - start >= 4 || x.n >= (x.gap < 0 ? 8u : 7u))
				return PP_BAD;
			value = value << 4 | (unsigned)h;
		}
	}
	if (!whole)
		return PP_MORE;
	if (start < t.n)
		x.group[x.n++] = (uint16_t)value;
	else if (t.n < 2 || x.gap != (int)x.n)
		return PP_BAD;                                   /* empty, or a lone colon at the end */
	if (x.gap < 0 ? x.n != 8 : x.n > 7)
		return PP_BAD;
	ip6_expand(&x, a->ip);
	return PP_OK;
}

static enum pp_status port_scan(struct view t, bool whole, struct addr *a)
{
	uint32_t value = 0;

	for (size_t i = 0; i < t.n; i++) {
		char c = t.p[i];
		if (c < '0' || c > '9' || (i && value == 0))
			return PP_BAD;
		value = value * 10 + (uint32_t)(c - '0');
		if (value > 65535)
			return PP_BAD;
	}
	if (!whole)
		return PP_MORE;
	a->port = (uint16_t)value;
	return t.n ? PP_OK : PP_BAD;
}

/* src dst sport dport CR LF, from byte `at` on. */
static enum pp_status v1_fields(struct view in, size_t at, scan *ip, struct pp_info *o, size_t *used, enum pp_reject *why)
{
	const struct { scan *run; struct addr *to; enum pp_reject why; } fields[] = {
		{ ip,        &o->src, PP_REJ_BAD_SRC },
		{ ip,        &o->dst, PP_REJ_BAD_DST },
		{ port_scan, &o->src, PP_REJ_BAD_SPORT },
		{ port_scan, &o->dst, PP_REJ_BAD_DPORT },
	};

	for (size_t f = 0; f < COUNT_OF(fields); f++) {
		bool last = f + 1 == COUNT_OF(fields);
		size_t end = at;
		while (end < in.n && (last ? in.p[end] != '\r' && in.p[end] != '\n' : in.p[end] != ' '))
			end++;
		enum pp_status s = fields[f].run(view_of(in.p + at, end - at), end < in.n, fields[f].to);
		if (s == PP_BAD)
			return bad(why, fields[f].why);
		if (s == PP_MORE)
			return PP_MORE;
		at = end + 1;
	}
	if (in.p[at - 1] != '\r')
		return bad(why, PP_REJ_BAD_TERMINATOR);
	if (at == in.n)
		return PP_MORE;
	if (in.p[at] != '\n')
		return bad(why, PP_REJ_BAD_TERMINATOR);
	*used = at + 1;
	return PP_OK;
}

/* Anything up to the first CR LF; specification 2.1: the receiver must ignore it. */
static enum pp_status v1_unknown(struct view in, size_t at, struct pp_info *o, size_t *used, enum pp_reject *why)
{
	o->local = true;
	o->cmd = PP_CMD_LOCAL;
	if (at == in.n)
		return PP_MORE;
	if (in.p[at] == '\n')
		return bad(why, PP_REJ_BAD_TERMINATOR);
	if (in.p[at] == '\r') {
		if (at + 1 == in.n)
			return PP_MORE;
		if (in.p[at + 1] != '\n')
			return bad(why, PP_REJ_BAD_TERMINATOR);
	} else if (in.p[at] != ' ') {
		return bad(why, PP_REJ_BAD_PROTOCOL);
	}
	for (; at + 1 < in.n; at++) {
		if (in.p[at] == '\r' && in.p[at + 1] == '\n') {
			*used = at + 2;
			return PP_OK;
		}
	}
	return PP_MORE;
}

static enum pp_status v1_line(struct view in, struct pp_info *o, size_t *used, enum pp_reject *why)
{
	static const struct { struct view word; uint8_t fam; scan *ip; } protocols[] = {
		{ VIEW_INIT("TCP4 "),   PP_INET,   ip4_scan },
		{ VIEW_INIT("TCP6 "),   PP_INET6,  ip6_scan },
		{ VIEW_INIT("UNKNOWN"), PP_UNSPEC, NULL },
	};
	size_t at = sizeof V1_SIG - 1;

	o->version = PP_V1;
	for (size_t i = 0; i < COUNT_OF(protocols); i++) {
		struct view word = protocols[i].word;
		size_t n = in.n - at < word.n ? in.n - at : word.n;
		if (memcmp(in.p + at, word.p, n) != 0)
			continue;
		if (n < word.n)
			return PP_MORE;
		o->fam = protocols[i].fam;
		o->proto = protocols[i].ip ? PP_STREAM : PP_PROTO_UNSPEC;
		return protocols[i].ip ? v1_fields(in, at + n, protocols[i].ip, o, used, why)
				       : v1_unknown(in, at + n, o, used, why);
	}
	return bad(why, PP_REJ_BAD_PROTOCOL);
}

static enum pp_status v1_decode(struct view in, size_t max_size, struct pp_info *o, size_t *used, enum pp_reject *why)
{
	size_t near = PP_V1_MAX - 1;
	enum pp_status s = v1_line(view_of(in.p, in.n < near ? in.n : near), o, used, why);

	/* Only a CR as byte 106 leaves room for its LF as byte 107, the last that counts. */
	if (s == PP_MORE && in.n > near && in.p[near - 1] == '\r')
		s = v1_line(view_of(in.p, PP_V1_MAX), o, used, why);
	if (s == PP_MORE && in.n >= near && (in.n > near || in.p[near - 1] != '\r'))
		return bad(why, PP_REJ_TOO_LONG);
	if ((s == PP_OK && *used > max_size) || (s == PP_MORE && in.n >= max_size))
		return bad(why, PP_REJ_TOO_LARGE);
	return s;
}

/* ---- version 2 ---- */

static uint16_t get16(const char *p)
{
	const uint8_t *b = (const uint8_t *)p;
	return (uint16_t)(b[0] << 8 | b[1]);
}

static void addr_take(struct addr *a, enum af af, const char *ip, const char *port)
{
	*a = (struct addr){ .af = (uint8_t)af, .port = get16(port) };
	memcpy(a->ip, ip, af == AF_V4 ? 4 : 16);
}

static bool ssl_is_sound(struct view v)
{
	struct pp_tlv sub;

	if (v.n < 5)
		return false;
	struct view rest = { v.p + 5, v.n - 5 };
	while (pp_tlv_next(&rest, &sub))
		;
	return rest.n == 0;
}

/* Lengths the specification fixes, nested blocks, and the checksum over the whole header. */
static enum pp_reject tlvs_check(struct view header, struct view tlvs)
{
	static const char zero[4];
	struct view rest = tlvs, crc = VIEW_NONE;
	struct pp_tlv t;

	while (pp_tlv_next(&rest, &t)) {
		if (t.type == PP_TLV_CRC32C) {
			if (t.value.n != 4 || crc.p)
				return PP_REJ_BAD_TLV;
			crc = t.value;
		} else if (t.type == PP_TLV_SSL && !ssl_is_sound(t.value)) {
			return PP_REJ_BAD_TLV;
		} else if (t.type == PP_TLV_UNIQUE_ID && t.value.n > PP_UNIQUE_ID_MAX) {
			return PP_REJ_BAD_TLV;
		}
	}
	if (rest.n)
		return PP_REJ_BAD_TLV;
	if (!crc.p)
		return PP_REJ_NONE;
	size_t before = (size_t)(crc.p - header.p);
	uint32_t sum = crc32c(0, header.p, before);
	sum = crc32c(sum, zero, sizeof zero);
	sum = crc32c(sum, crc.p + 4, header.n - before - 4);
	return sum == ((uint32_t)get16(crc.p) << 16 | get16(crc.p + 2)) ? PP_REJ_NONE : PP_REJ_BAD_CRC;
}

static const uint8_t address_bytes[] = { [PP_UNSPEC] = 0, [PP_INET] = 12, [PP_INET6] = 36, [PP_UNIX] = 216 };

/* The whole header is there and its block is long enough. */
static enum pp_status v2_block(struct view header, uint8_t fam, uint8_t proto, struct pp_info *o, enum pp_reject *why)
{
	size_t addresses = address_bytes[fam];
	const char *p = header.p + PP_V2_FIXED;

	o->fam = fam;
	o->proto = proto;
	o->tlvs = view_of(p + addresses, header.n - PP_V2_FIXED - addresses);
	enum pp_reject r = tlvs_check(header, o->tlvs);
	/* An UNSPEC block is skipped: it may hold addresses of an unknown form, so nothing in it is taken for a TLV.  Only
	 * a checksum that is there and wrong makes the header invalid. */
	if (fam == PP_UNSPEC) {
		o->tlvs = VIEW_NONE;
		if (r == PP_REJ_BAD_TLV)
			r = PP_REJ_NONE;
	}
	if (r)
		return bad(why, r);

	if ((fam == PP_INET || fam == PP_INET6) && proto != PP_PROTO_UNSPEC) {
		enum af af = fam == PP_INET ? AF_V4 : AF_V6;
		size_t n = fam == PP_INET ? 4 : 16;
		addr_take(&o->src, af, p, p + 2 * n);
		addr_take(&o->dst, af, p + n, p + 2 * n + 2);
	} else {
		o->local = true;
	}
	return PP_OK;
}

/* The block of LOCAL is discarded whatever its family says; what walks as TLVs is shown for information. */
static void v2_local(struct view header, uint8_t fam, struct pp_info *o)
{
	size_t addresses = fam < COUNT_OF(address_bytes) ? address_bytes[fam] : SIZE_MAX;
	size_t n = header.n - PP_V2_FIXED;

	o->local = true;
	o->cmd = PP_CMD_LOCAL;
	if (n <= addresses)
		return;
	o->tlvs = view_of(header.p + PP_V2_FIXED + addresses, n - addresses);
	if (tlvs_check(header, o->tlvs))
		o->tlvs = VIEW_NONE;
}

static enum pp_status v2_decode(struct view in, size_t max_size, struct pp_info *o, size_t *used, enum pp_reject *why)
{
	const uint8_t *b = (const uint8_t *)in.p;

	o->version = PP_V2;
	if (in.n > 12 && b[12] >> 4 != 2)
		return bad(why, PP_REJ_BAD_VERSION);
	if (in.n > 12 && (b[12] & 15) > PP_CMD_PROXY)
		return bad(why, PP_REJ_BAD_COMMAND);
	if (in.n > 13 && (b[12] & 15) == PP_CMD_PROXY && (b[13] >> 4 > PP_UNIX || (b[13] & 15) > PP_DGRAM))
		return bad(why, PP_REJ_BAD_FAMILY);
	if (in.n > 14 && PP_V2_FIXED + ((size_t)b[14] << 8) > max_size)
		return bad(why, PP_REJ_TOO_LARGE);
	if (in.n < PP_V2_FIXED)
		return in.n < max_size ? PP_MORE : bad(why, PP_REJ_TOO_LARGE);

	bool local = (b[12] & 15) == PP_CMD_LOCAL;
	size_t total = PP_V2_FIXED + (size_t)get16(in.p + 14);
	if (total > max_size)
		return bad(why, PP_REJ_TOO_LARGE);
	if (!local && total - PP_V2_FIXED < address_bytes[b[13] >> 4])
		return bad(why, PP_REJ_SHORT_ADDRESS);
	if (in.n < total)
		return PP_MORE;

	*used = total;
	in.n = total;                                            /* nothing behind the header has a say */
	if (!local)
		return v2_block(in, b[13] >> 4, b[13] & 15, o, why);
	v2_local(in, b[13] >> 4, o);
	return PP_OK;
}

/* ---- SPP ---- */

static bool ip6_is_mapped(const char *ip)
{
	return memcmp(ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0;
}

static enum pp_status spp_decode(struct view in, size_t max_size, struct pp_info *o, size_t *used, enum pp_reject *why)
{
	if (max_size < PP_SPP_BYTES)
		return bad(why, PP_REJ_TOO_LARGE);
	if (in.n < PP_SPP_BYTES)
		return PP_MORE;

	bool v4 = ip6_is_mapped(in.p + 2) && ip6_is_mapped(in.p + 18);
	enum af af = v4 ? AF_V4 : AF_V6;
	o->version = PP_SPP;
	o->fam = v4 ? PP_INET : PP_INET6;
	o->proto = PP_DGRAM;
	addr_take(&o->src, af, in.p + (v4 ? 14 : 2), in.p + 34);
	addr_take(&o->dst, af, in.p + (v4 ? 30 : 18), in.p + 36);
	*used = PP_SPP_BYTES;
	return PP_OK;
}

/* ---- the doors ---- */

enum pp_status pp_decode(struct view in, size_t max_size, unsigned accept, struct pp_info *out, size_t *used,
			 enum pp_reject *why)
{
	struct pp_info o = { .cmd = PP_CMD_PROXY };
	enum pp_status s = PP_BAD;
	size_t n = 0;

	*why = PP_REJ_NONE;
	switch (pp_sniff(in, accept)) {
	case PP_SNIFF_NO:
		return bad(why, PP_REJ_NO_HEADER);
	case PP_SNIFF_MAYBE:
		return in.n < max_size ? PP_MORE : bad(why, PP_REJ_TOO_LARGE);
	case PP_SNIFF_V1:
		s = v1_decode(in, max_size, &o, &n, why);
		break;
	case PP_SNIFF_V2:
		s = v2_decode(in, max_size, &o, &n, why);
		break;
	case PP_SNIFF_SPP:
		s = spp_decode(in, max_size, &o, &n, why);
		break;
	}
	if (s != PP_OK)
		return s;
	if (o.local)
		o.src = o.dst = (struct addr){ .af = AF_NONE };
	*out = o;
	*used = n;
	return PP_OK;
}

enum pp_status pp_decode_dgram(struct view in, size_t max_size, unsigned accept, struct pp_info *out, size_t *used,
			       enum pp_reject *why)
{
	enum pp_status s = pp_decode(in, max_size, accept, out, used, why);

	if (s != PP_MORE)
		return s;
	return bad(why, pp_sniff(in, accept) == PP_SNIFF_MAYBE ? PP_REJ_NO_HEADER : PP_REJ_TRUNCATED);
}

void pp_unmap(struct pp_info *info)
{
	addr_unmap(&info->src);
	addr_unmap(&info->dst);
}

#define REJECT_ROW_(id, name, text) [PP_REJ_##id] = { VIEW_INIT(name), VIEW_INIT(text) },
static const struct { struct view name, text; } rejects[PP_REJ_COUNT] = {
	[PP_REJ_NONE] = { VIEW_INIT("none"), VIEW_INIT("not refused") },
	PP_REJECTS(REJECT_ROW_)
};
#undef REJECT_ROW_

struct view pp_reject_name(enum pp_reject why)
{
	must(why < PP_REJ_COUNT);
	return rejects[why].name;
}

struct view pp_reject_text(enum pp_reject why)
{
	must(why < PP_REJ_COUNT);
	return rejects[why].text;
}
