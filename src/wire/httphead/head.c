/* wire/httphead/head.c -- start line and header lines. */
#include "wire/httphead/httphead.h"
#include "base/base.h"

/* Where the parser stands.  Each step takes what it needs and returns HTTP_OK, or says why not. */
struct cursor { struct view in; size_t at; enum http_reject *why; };

static enum http_status bad(struct cursor *c, enum http_reject r)
{
	*c->why = r;
	return HTTP_BAD;
}

/* RFC 9110 section 5.6.2. */
static bool is_tchar(char c)
{
	if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
		return true;
	return c && strchr("!#$%&'*+-.^_`|~", c);
}

static bool is_target_char(char c)
{
	return c > ' ' && c < 0x7f && c != '#' && c != '"' && c != '<' && c != '>' && c != '\\';
}

/* field-content with obs-text; RFC 9110 section 5.5. */
static bool is_value_char(char c)
{
	return c == '\t' || ((uint8_t)c >= ' ' && c != 0x7f);
}

/* Bytes of one class, at least `least`, then the byte `end` which is consumed. */
static enum http_status take(struct cursor *c, bool (*of)(char), size_t least, char end, enum http_reject r, struct view *out)
{
	size_t start = c->at;

	while (c->at < c->in.n && of(c->in.p[c->at]))
		c->at++;
	*out = view_of(c->in.p + start, c->at - start);
	if (c->at == c->in.n)
		return HTTP_MORE;
	if (c->in.p[c->at] != end || out->n < least)
		return bad(c, r);
	c->at++;
	return HTTP_OK;
}

static enum http_status literal(struct cursor *c, struct view word, enum http_reject r)
{
	for (size_t i = 0; i < word.n; i++, c->at++) {
		if (c->at == c->in.n)
			return HTTP_MORE;
		if (c->in.p[c->at] != word.p[i])
			return bad(c, r);
	}
	return HTTP_OK;
}

static enum http_status digits(struct cursor *c, size_t n, enum http_reject r, uint16_t *out)
{
	*out = 0;
	for (size_t i = 0; i < n; i++, c->at++) {
		if (c->at == c->in.n)
			return HTTP_MORE;
		char d = c->in.p[c->at];
		if (d < '0' || d > '9')
			return bad(c, r);
		*out = (uint16_t)(*out * 10 + (d - '0'));
	}
	return HTTP_OK;
}

static enum http_status version(struct cursor *c, struct http_head *h)
{
	uint16_t minor = 0;
	enum http_status s = literal(c, VIEW("HTTP/1."), HTTP_REJ_BAD_VERSION);

	if (s == HTTP_OK)
		s = digits(c, 1, HTTP_REJ_BAD_VERSION, &minor);
	h->minor = (uint8_t)minor;
	return s;
}

/* The rest of a line as a value: `take` stops at CR; what stops it otherwise is a control byte or a bare LF. */
static enum http_status line_rest(struct cursor *c, struct view *out)
{
	enum http_status s = take(c, is_value_char, 0, '\r', HTTP_REJ_BAD_VALUE, out);

	if (s == HTTP_BAD && c->in.p[c->at] == '\n')
		return bad(c, HTTP_REJ_BAD_LINE_END);
	return s == HTTP_OK ? literal(c, VIEW("\n"), HTTP_REJ_BAD_LINE_END) : s;
}

static enum http_status request_line(struct cursor *c, struct http_head *h)
{
	enum http_status s = take(c, is_tchar, 1, ' ', HTTP_REJ_BAD_METHOD, &h->method);

	if (s == HTTP_OK)
		s = take(c, is_target_char, 1, ' ', HTTP_REJ_BAD_TARGET, &h->target);
	if (s == HTTP_OK)
		s = version(c, h);
	if (s == HTTP_OK)
		s = literal(c, VIEW("\r\n"), HTTP_REJ_BAD_LINE_END);
	return s;
}

static enum http_status status_line(struct cursor *c, struct http_head *h)
{
	enum http_status s = version(c, h);

	if (s == HTTP_OK)
		s = literal(c, VIEW(" "), HTTP_REJ_BAD_VERSION);
	if (s == HTTP_OK)
		s = digits(c, 3, HTTP_REJ_BAD_STATUS, &h->status);
	if (s != HTTP_OK)
		return s;
	if (h->status < 100)
		return bad(c, HTTP_REJ_BAD_STATUS);
	/* Without a reason phrase some servers leave out the space before it too. */
	if (c->at < c->in.n && c->in.p[c->at] == ' ')
		c->at++;
	else if (c->at < c->in.n && c->in.p[c->at] != '\r')
		return bad(c, HTTP_REJ_BAD_STATUS);
	return line_rest(c, &h->reason);
}

static enum http_status header_line(struct cursor *c, struct http_head *h)
{
	struct http_header line;

	if (c->in.p[c->at] == ' ' || c->in.p[c->at] == '\t')
		return bad(c, HTTP_REJ_FOLDED);
	if (h->n == HTTP_HEADERS)
		return bad(c, HTTP_REJ_TOO_MANY_HEADERS);
	enum http_status s = take(c, is_tchar, 1, ':', HTTP_REJ_BAD_NAME, &line.name);
	if (s == HTTP_OK)
		s = line_rest(c, &line.value);
	if (s != HTTP_OK)
		return s;
	line.value = view_trim(line.value);
	h->header[h->n++] = line;
	return HTTP_OK;
}

static enum http_status parse(struct view in, size_t max_size, struct http_head *h, size_t *used, enum http_reject *why,
			      enum http_status (*start_line)(struct cursor *, struct http_head *))
{
	struct cursor c = { { in.p, in.n < max_size ? in.n : max_size }, 0, why };

	*why = HTTP_REJ_NONE;
	h->method = h->target = h->reason = VIEW_NONE;
	h->status = 0;
	h->n = 0;
	enum http_status s = start_line(&c, h);
	while (s == HTTP_OK && c.at < c.in.n && c.in.p[c.at] != '\r')
		s = header_line(&c, h);
	if (s == HTTP_OK)
		s = literal(&c, VIEW("\r\n"), HTTP_REJ_BAD_LINE_END);
	if (s == HTTP_MORE && in.n >= max_size)
		return bad(&c, HTTP_REJ_TOO_LARGE);
	if (s == HTTP_OK)
		*used = c.at;
	return s;
}

enum http_status http_parse_request(struct view in, size_t max_size, struct http_head *out, size_t *used, enum http_reject *why)
{
	return parse(in, max_size, out, used, why, request_line);
}

enum http_status http_parse_response(struct view in, size_t max_size, struct http_head *out, size_t *used, enum http_reject *why)
{
	return parse(in, max_size, out, used, why, status_line);
}

size_t http_count(const struct http_head *h, struct view name)
{
	size_t n = 0;

	for (size_t i = 0; i < h->n; i++)
		n += view_is_ci(h->header[i].name, name);
	return n;
}

bool http_only(const struct http_head *h, struct view name, struct view *value)
{
	const struct http_header *found = NULL;

	for (size_t i = 0; i < h->n; i++) {
		if (!view_is_ci(h->header[i].name, name))
			continue;
		if (found)
			return false;
		found = &h->header[i];
	}
	if (found)
		*value = found->value;
	return found;
}

bool http_lists(const struct http_head *h, struct view name, struct view token, bool fold)
{
	for (size_t i = 0; i < h->n; i++) {
		struct view rest = h->header[i].value;
		if (!view_is_ci(h->header[i].name, name))
			continue;
		while (rest.n) {
			struct view one = view_trim(view_cut(&rest, ','));
			if (fold ? view_is_ci(one, token) : view_is(one, token))
				return true;
		}
	}
	return false;
}
