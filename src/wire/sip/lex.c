/* wire/sip/lex.c -- the byte classes and the scanners that stand on them. */
#include "wire/sip/lex.h"

enum {
	ALNUM = C_TOKEN | C_HOST | C_LABEL | C_URI | C_SCHEME | C_NAME,
	PUNCT = C_TOKEN | C_URI | C_NAME,      /* token marks */
};
const uint8_t sip_class[256] = {
	['a' ... 'z'] = ALNUM, ['A' ... 'Z'] = ALNUM, ['0' ... '9'] = ALNUM | C_DIGIT,
	['-'] = PUNCT | C_HOST | C_LABEL | C_SCHEME, ['.'] = PUNCT | C_HOST | C_SCHEME, ['+'] = PUNCT | C_SCHEME,
	['_'] = PUNCT | C_HOST | C_LABEL,
	['!'] = PUNCT, ['%'] = PUNCT, ['*'] = PUNCT, ['`'] = PUNCT, ['\''] = PUNCT, ['~'] = PUNCT,
	['#'] = C_URI, ['$'] = C_URI, ['&'] = C_URI, ['/'] = C_URI, [':'] = C_URI, ['='] = C_URI, ['?'] = C_URI,
	['@'] = C_URI, ['['] = C_URI, [']'] = C_URI, ['^'] = C_URI, ['{'] = C_URI, ['|'] = C_URI, ['}'] = C_URI,
	['('] = C_URI, [')'] = C_URI, [','] = C_URI, [';'] = C_URI,
	[' '] = C_BLANK, ['\t'] = C_BLANK, ['\r'] = C_BLANK, ['\n'] = C_BLANK,
	[0x80 ... 0xff] = C_NAME,
};

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
	value->p = c->p;
	c->p = wide_scan(c->p, c->end, STOP_PVALUE);
	value->n = (size_t)(c->p - value->p);
	return value->n != 0;
}

bool lex_list_end(struct cursor *c)
{
	if (lex_sep(c, ','))
		return c->p != c->end;
	lex_blanks(c);
	return c->p == c->end;
}

static inline bool digit(char c) { return (uint8_t)(c - '0') < 10; }

/* Four decimal octets without leading zeros, and nothing behind them that would make them a name; else NULL.  Judges as
 * addr_parse_ip() does. */
static const char *dotted_quad(const char *from, const char *end)
{
	if (from == end || !digit(*from))
		return NULL;
	/* A copy with a byte at its end that is neither digit nor dot needs no look at the end in between. */
	char text[WIDE + 1] = { 0 }, *p = text;
	wide x = end - from < WIDE ? wide_load_part(from, (size_t)(end - from)) : wide_load(from);
	memcpy(text, &x, WIDE);
	for (unsigned i = 0; digit(*p); i++) {
		const char *octet = p;
		unsigned value = (unsigned)(*p++ - '0');
		for (; digit(*p) && value && value <= 25; p++)
			value = value * 10 + (unsigned)(*p - '0');
		if (digit(*p) || value > 255 || p - octet > 3)
			return NULL;
		if (i == 3)
			return lex_is(*p, C_HOST) ? NULL : from + (p - text);
		if (*p++ != '.')
			return NULL;
	}
	return NULL;
}

/* Labels with a dot between each two; the last dot may end the name.  NULL when one is empty, or when they are digits only: what
 * looks like an address must be one. */
static const char *host_name(const char *from, const char *end)
{
	const char *p = from;
	bool named = false;
	for (;; p++) {
		const char *label = p;
		while (p < end && lex_is(*p, C_LABEL))
			p++;
		bool more = p < end && *p == '.';
		if (p == label)
			return named && !more ? p : NULL;
		named = named || !lex_is(*label, C_DIGIT) || lex_run(&(struct cursor){ label, p }, C_DIGIT).n < (size_t)(p - label);
		if (!more)
			return named ? p : NULL;
	}
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
		const char *from = c->p, *p = dotted_quad(from, c->end);
		if (!p)
			p = host_name(from, c->end);
		if (!p)
			return false;
		*host = view_of(from, (size_t)(p - from));
		c->p = p;
	}
	if (loose ? !lex_sep(c, ':') : !cursor_at(c, ':'))
		return true;
	if (!loose)
		c->p++;
	uint32_t number = 0;
	const char *p = c->p, *end = c->end;
	for (; p < end && digit(*p) && number <= UINT16_MAX; p++)
		number = number * 10 + (uint32_t)(*p - '0');
	*port_text = view_of(c->p, (size_t)(p - c->p));
	c->p = p;
	*port = (uint16_t)number;
	return port_text->n && number <= UINT16_MAX;
}

/* The careful way through a line that holds control bytes: they are legal as quoted-pair inside a quoted string and nowhere
 * else (RFC 3261 25.1, RFC 4475 3.1.1.2).  Returns the line's end, or NULL when the input ends first. */
static __attribute__((noinline, cold)) const char *line_end_careful(const char *p, const char *end, enum sip_fault *why)
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
static inline const char *line_end(const char *p, const char *end, bool folds, enum sip_fault *why)
{
	for (const char *q = p;;) {
		q = wide_scan(q, end, STOP_CONTROL);
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

/* The name of a line that does not begin with one we know and a colon: any token, blanks before the colon. */
static void other_name(struct cursor *c, struct line *out)
{
	size_t tried = out->name.n;
	c->p = out->whole.p;
	out->name = lex_run(c, C_TOKEN);
	while (cursor_at(c, ' ') || cursor_at(c, '\t'))
		c->p++;
	if (out->name.n != tried)
		out->id = sip_hdr_id(out->name);
}

enum { NAME_LOOK = 2 * WIDE };      /* no name that we know is as long: there the colon is looked for first */

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
	out->whole = view_of(p, (size_t)(stop - p));
	struct cursor c = { wide_scan(p, stop - p > NAME_LOOK ? p + NAME_LOOK : stop, STOP_COLON), stop };
	out->name = view_of(p, (size_t)(c.p - p));
	out->id = sip_hdr_id(out->name);
	if (out->id == HDR_OTHER)
		other_name(&c, out);
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

static bool sip_slash(struct view v)
{
	return v.n >= 4 && (memcmp(v.p, "SIP/", 4) == 0 || view_starts_ci(v, VIEW("SIP/")));
}

/* "SIP/" digits "." digits; *two says whether it is ours, 2.0. */
static bool version(struct view v, bool *two)
{
	*two = v.n == 7 && memcmp(v.p, "SIP/2.0", 7) == 0;
	if (*two)
		return true;
	if (v.n < 7 || !sip_slash(v))
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
	if (!sip_slash(ver)) {
		out->why = SIP_FAULT_NOT_SIP;
		return;
	}
	out->method = view_cut(&rest, ' ');
	out->ruri = view_cut(&rest, ' ');
	bool named = sip_token(out->method);
	if (!named || !out->ruri.n || rest.p != ver.p || rest.n != ver.n || !version(ver, &two))
		out->why = SIP_FAULT_BAD_START_LINE;
	else if (!two)
		out->why = SIP_FAULT_BAD_VERSION;
	else if (out->ruri.n > URI_MAX_BYTES)
		out->why = SIP_FAULT_URI_TOO_LONG;
	if (!named)
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
	if (sip_slash(text))
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
