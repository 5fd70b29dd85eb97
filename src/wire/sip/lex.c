/* wire/sip/lex.c -- the byte classes and the scanners that stand on them. */
#include "wire/sip/lex.h"

enum {
	ALNUM = C_TOKEN | C_HOST | C_PVALUE | C_URI | C_SCHEME | C_NAME,
	PUNCT = C_TOKEN | C_PVALUE | C_URI | C_NAME,      /* token marks */
	LOOSE = C_PVALUE | C_URI,                         /* no token, harmless in values and URIs */
};
const uint8_t sip_class[256] = {
	['a' ... 'z'] = ALNUM, ['A' ... 'Z'] = ALNUM, ['0' ... '9'] = ALNUM | C_DIGIT,
	['-'] = PUNCT | C_HOST | C_SCHEME, ['.'] = PUNCT | C_HOST | C_SCHEME, ['+'] = PUNCT | C_SCHEME,
	['_'] = PUNCT | C_HOST,
	['!'] = PUNCT, ['%'] = PUNCT, ['*'] = PUNCT, ['`'] = PUNCT, ['\''] = PUNCT, ['~'] = PUNCT,
	['#'] = LOOSE, ['$'] = LOOSE, ['&'] = LOOSE, ['/'] = LOOSE, [':'] = LOOSE, ['='] = LOOSE, ['?'] = LOOSE,
	['@'] = LOOSE, ['['] = LOOSE, [']'] = LOOSE, ['^'] = LOOSE, ['{'] = LOOSE, ['|'] = LOOSE, ['}'] = LOOSE,
	['('] = C_URI, [')'] = C_URI, [','] = C_URI, [';'] = C_URI,
	[' '] = C_BLANK, ['\t'] = C_BLANK, ['\r'] = C_BLANK, ['\n'] = C_BLANK,
	[0x80 ... 0xff] = C_NAME,
};

const char *lex_control(const char *p, const char *end)
{
	const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
	for (; end - p >= 8; p += 8) {
		uint64_t x;
		memcpy(&x, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
		x = __builtin_bswap64(x);
#endif
		uint64_t del = x ^ 0x7f * ones;
		/* A borrow can only mark a byte above a true hit, so the lowest mark is always true. */
		uint64_t hit = ((x - 0x20 * ones) & ~x & high) | ((del - ones) & ~del & high);
		if (hit)
			return p + (__builtin_ctzll(hit) >> 3);
	}
	for (; p < end; p++)
		if ((uint8_t)*p < 0x20 || *p == 0x7f)
			return p;
	return end;
}

bool lex_quoted(struct cursor *c, struct view *out)
{
	const char *from = c->p;
	must(cursor_at(c, '"'));
	for (const char *p = from + 1; p < c->end; p++) {
		if (*p == '\\') {
			p++;
		} else if (*p == '"') {
			c->p = p + 1;
			*out = view_of(from, (size_t)(c->p - from));
			return true;
		}
	}
	return false;
}

bool lex_number(struct view v, uint64_t max, uint64_t *out)
{
	uint64_t sum = 0;
	if (!v.n)
		return false;
	for (size_t i = 0; i < v.n; i++) {
		if (!lex_is(v.p[i], C_DIGIT))
			return false;
		sum = sum * 10 + (uint64_t)(v.p[i] - '0');
		if (sum > max)
			return false;
	}
	*out = sum;
	return true;
}

bool lex_escapes(struct view v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] == '%' && (v.n - i < 3 || hex_value(v.p[i + 1]) < 0 || hex_value(v.p[i + 2]) < 0))
			return false;
	return true;
}

bool lex_param(struct cursor *c, struct view *name, struct view *value)
{
	*name = lex_run(c, C_TOKEN);
	*value = view_of(c->p, 0);
	if (!name->n)
		return false;
	if (!lex_sep(c, '='))
		return true;
	if (cursor_at(c, '"'))
		return lex_quoted(c, value);
	*value = lex_run(c, C_PVALUE);
	return value->n != 0;
}

bool lex_list_end(struct cursor *c)
{
	if (lex_sep(c, ','))
		return c->p != c->end;
	lex_blanks(c);
	return c->p == c->end;
}

/* Labels are not empty, and what looks like an IPv4 address must be one. */
static bool name_ok(struct view host)
{
	bool digits = true;
	for (size_t i = 0; i < host.n; i++) {
		if (host.p[i] == '.' && (i == 0 || host.p[i - 1] == '.'))
			return false;
		digits &= lex_is(host.p[i], C_DIGIT) || host.p[i] == '.';
	}
	struct addr ip;
	return host.n && (!digits || addr_parse_ip(host, &ip));
}

bool lex_hostport(struct cursor *c, bool loose, struct view *host, struct view *port_text, uint16_t *port)
{
	*port_text = VIEW_NONE;
	*port = 0;
	if (cursor_at(c, '[')) {
		const char *close = memchr(c->p, ']', (size_t)(c->end - c->p));
		struct addr ip;
		if (!close)
			return false;
		*host = view_of(c->p, (size_t)(close + 1 - c->p));
		c->p = close + 1;
		if (!sip_host_ip(*host, &ip) || ip.af == AF_NONE)
			return false;
	} else {
		*host = lex_run(c, C_HOST);
		if (!name_ok(*host))
			return false;
	}
	if (loose ? !lex_sep(c, ':') : !cursor_at(c, ':'))
		return true;
	if (!loose)
		c->p++;
	uint64_t number;
	*port_text = lex_run(c, C_DIGIT);
	if (!lex_number(*port_text, UINT16_MAX, &number))
		return false;
	*port = (uint16_t)number;
	return true;
}

/* The careful way through a line that holds control bytes: they are legal as quoted-pair inside a quoted string and nowhere
 * else (RFC 3261 25.1, RFC 4475 3.1.1.2).  Returns the line's end, or NULL when the input ends first. */
static const char *line_end_careful(const char *p, const char *end, enum sip_fault *why)
{
	bool quoted = false, escaped = false;
	for (; p < end; p++) {
		if (*p == '\r' && p + 1 < end && p[1] == '\n') {
			if (p + 2 == end || (p[2] != ' ' && p[2] != '\t'))
				return p + 2;
			p++;
			escaped = false;
			continue;
		}
		if (*p == '\n') {
			*why = SIP_FAULT_BAD_BYTE;
			return p + 1;
		}
		if (((uint8_t)*p < 0x20 && *p != '\t') || *p == 0x7f)
			if (!escaped || *p == '\r')
				*why = SIP_FAULT_BAD_BYTE;
		if (escaped)
			escaped = false;
		else if (quoted && *p == '\\')
			escaped = true;
		else if (*p == '"')
			quoted = !quoted;
	}
	return NULL;
}

/* The end of the line at p with its folds; NULL when the input ends first. */
static const char *line_end(const char *p, const char *end, bool folds, enum sip_fault *why)
{
	for (const char *q = p;;) {
		q = lex_control(q, end);
		if (q == end)
			return NULL;
		if (*q == '\t') {
			q++;
		} else if (*q == '\r' && end - q >= 2 && q[1] == '\n') {
			q += 2;
			if (!folds || q == end || (*q != ' ' && *q != '\t'))
				return q;
		} else {
			return line_end_careful(p, end, why);
		}
	}
}

enum line_kind lex_line(const char **at, const char *end, struct line *out)
{
	const char *p = *at;
	out->why = SIP_FAULT_NONE;
	if (end - p >= 2 && p[0] == '\r' && p[1] == '\n') {
		*at = p + 2;
		return LINE_END;
	}
	if (p < end && *p == '\n') {      /* an empty line of a kind: nothing behind it may be read as a header */
		out->why = SIP_FAULT_BAD_BYTE;
		*at = p + 1;
		return LINE_END;
	}
	const char *stop = line_end(p, end, true, &out->why);
	if (!stop) {
		*at = end;
		return LINE_CUT;
	}
	*at = stop;
	struct cursor c = { p, stop };
	out->whole = view_of(p, (size_t)(stop - p));
	out->name = lex_run(&c, C_TOKEN);
	while (cursor_at(&c, ' ') || cursor_at(&c, '\t'))
		c.p++;
	if (!out->name.n || !cursor_at(&c, ':')) {
		if (!out->why)
			out->why = SIP_FAULT_BAD_HEADER;
		return LINE_HEADER;
	}
	out->value = lex_trim(c.p + 1, stop);
	if (out->whole.n > MSG_HEADER_BYTES && !out->why)
		out->why = SIP_FAULT_TOO_LONG;
	return LINE_HEADER;
}

/* "SIP/" digits "." digits; *two says whether it is ours, 2.0. */
static bool version(struct view v, bool *two)
{
	if (v.n < 7 || !view_starts_ci(v, VIEW("SIP/")))
		return false;
	struct cursor c = cursor_of(view_from(v, 4));
	struct view major = lex_run(&c, C_DIGIT), minor = VIEW_NONE;
	if (cursor_at(&c, '.')) {
		c.p++;
		minor = lex_run(&c, C_DIGIT);
	}
	*two = view_is(major, VIEW("2")) && view_is(minor, VIEW("0"));
	return major.n && minor.n && c.p == c.end;
}

static void status_line(struct view text, struct start *out)
{
	bool two = false;
	uint64_t status = 0;
	struct view rest = text, ver = view_cut(&rest, ' ');
	struct view code = view_cut(&rest, ' ');
	out->why = SIP_FAULT_BAD_STATUS;
	if (!version(ver, &two) || !two || code.n != 3 || !lex_number(code, 699, &status) || status < 100)
		return;
	out->status = (uint16_t)status;
	out->reason = rest;
	out->why = SIP_FAULT_NONE;
}

static void request_line(struct view text, struct start *out)
{
	bool two = false;
	struct view whole = view_trim(text);
	size_t last = whole.n;
	while (last && whole.p[last - 1] != ' ')
		last--;
	struct view ver = view_from(whole, last), rest = text;
	if (!view_starts_ci(ver, VIEW("SIP/"))) {
		out->why = SIP_FAULT_NOT_SIP;
		return;
	}
	out->method = view_cut(&rest, ' ');
	out->ruri = view_cut(&rest, ' ');
	if (!sip_token(out->method) || !out->ruri.n || rest.p != ver.p || rest.n != ver.n || !version(ver, &two))
		out->why = SIP_FAULT_BAD_START_LINE;
	else if (!two)
		out->why = SIP_FAULT_BAD_VERSION;
	else if (out->ruri.n > URI_MAX_BYTES)
		out->why = SIP_FAULT_URI_TOO_LONG;
	if (!sip_token(out->method))
		out->method = VIEW_NONE;
}

bool lex_start(const char **at, const char *end, struct start *out)
{
	const char *p = *at;
	*out = (struct start){ .why = SIP_FAULT_NONE };
	enum sip_fault bytes = SIP_FAULT_NONE;
	const char *stop = line_end(p, end, false, &bytes);
	if (!stop)
		return false;
	*at = stop;
	out->line = view_of(p, (size_t)(stop - p));
	struct view text = view_of(p, out->line.n - (out->line.n >= 2 && stop[-2] == '\r' ? 2 : 1));
	if (view_starts_ci(text, VIEW("SIP/")))
		status_line(text, out);
	else
		request_line(text, out);
	if (out->why != SIP_FAULT_NOT_SIP && out->why != SIP_FAULT_BAD_STATUS) {
		if (bytes)
			out->why = bytes;
		else if (out->line.n > MSG_START_LINE_BYTES && !out->why)
			out->why = SIP_FAULT_TOO_LONG;
	}
	return true;
}
