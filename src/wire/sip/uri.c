/* wire/sip/uri.c -- SIP, SIPS, tel and foreign URIs: RFC 3261 19.1, RFC 3966, RFC 5118 (IPv6 references). */
#include "wire/sip/lex.h"

bool sip_host_ip(struct view host, struct addr *out)
{
	if (host.n < 2 || host.p[0] != '[')
		return addr_parse_ip(host, out);
	if (host.p[host.n - 1] != ']')
		return false;
	struct addr a;
	if (addr_parse_ip(host, &a)) {
		if (a.af != AF_V6)
			return false;
		*out = a;
		return true;
	}
	/* RFC 5118 4.10: the ABNF of RFC 3261 let "2001:db8:::192.0.2.1" out into the world; it means two colons. */
	char text[ADDR_TEXT_MAX];
	size_t three = view_find_view(host, VIEW(":::"));
	if (three == host.n || host.n > sizeof text)
		return false;
	struct out o = out_to(text, sizeof text);
	put(&o, view_sub(host, 0, three));
	put(&o, view_from(host, three + 1));
	if (!addr_parse_ip(out_view(&o), &a) || a.af != AF_V6)
		return false;
	*out = a;
	return true;
}

static enum sip_scheme scheme_of(struct view v)
{
	switch (v.n) {
	case 3:
		return lex_same(v, VIEW("sip")) ? SCHEME_SIP : lex_same(v, VIEW("tel")) ? SCHEME_TEL :
			lex_same(v, VIEW("urn")) ? SCHEME_URN : SCHEME_OTHER;
	case 4:
		return lex_same(v, VIEW("sips")) ? SCHEME_SIPS : SCHEME_OTHER;
	}
	return SCHEME_OTHER;
}

/* The parameters viaduct reads, and where they go; one that stands twice is refused, as two readers could differ. */
static struct view *known_field(struct sip_uri *u, struct view name)
{
	switch (name.n) {
	case 2:  return lex_same(name, VIEW("r2")) ? &u->r2 : NULL;
	case 3:  return lex_same(name, VIEW("ttl")) ? &u->ttl : NULL;
	case 4:  return lex_same(name, VIEW("user")) ? &u->user_param : NULL;
	case 5:  return lex_same(name, VIEW("maddr")) ? &u->maddr : NULL;
	case 6:  return lex_same(name, VIEW("method")) ? &u->method : NULL;
	case 9:  return lex_same(name, VIEW("transport")) ? &u->transport : NULL;
	}
	return NULL;
}

static bool known(struct sip_uri *u, struct view name, struct view value, bool escapes)
{
	char plain[16];
	if (escapes && memchr(name.p, '%', name.n)) {      /* ";%6C%72" is ";lr": RFC 4475 3.1.1.3 */
		struct out o = out_to(plain, sizeof plain);
		if (!sip_unescape(name, &o))
			return true;            /* longer than any we know */
		name = out_view(&o);
	}
	if (lex_same(name, VIEW("lr"))) {
		u->lr = true;
	} else if (lex_same(name, VIEW("gr"))) {
		u->gr = true;
	} else {
		struct view *field = known_field(u, name);
		if (field && field->p)
			return false;
		if (field)
			*field = value;
	}
	return true;
}

static bool uri_params(struct sip_uri *u, bool escapes)
{
	struct view rest = u->params;
	size_t count = 0;
	while (rest.n) {
		struct view value = view_cut(&rest, ';'), name = view_cut(&value, '=');
		if (!name.n && !value.n)
			continue;
		if (!name.n || ++count > URI_MAX_PARAMS || !known(u, name, value, escapes))
			return false;
	}
	return true;
}

static bool userinfo(struct sip_uri *u, struct view info)
{
	const char *colon = memchr(info.p, ':', info.n);
	u->user = info;
	if (colon) {
		u->user.n = (size_t)(colon - info.p);
		u->password = view_from(info, u->user.n + 1);
		u->has_password = true;
	}
	return u->user.n && (!u->password.n || !memchr(u->password.p, ':', u->password.n));
}

/* Bounded like parameters: comparing two URIs looks each one up in the other. */
static bool few_headers(struct view headers)
{
	size_t count = 0;
	while (headers.n && count <= URI_MAX_PARAMS) {
		view_cut(&headers, '&');
		count++;
	}
	return count <= URI_MAX_PARAMS;
}

/* Behind "sip:".  Neither part after the user may hold an '@', so the first one ends the user: RFC 4475 3.1.1.9. */
static bool sip_body(struct sip_uri *u, struct view body, bool escapes)
{
	const char *at = memchr(body.p, '@', body.n);
	if (at) {
		if (!userinfo(u, view_of(body.p, (size_t)(at - body.p))))
			return false;
		body = view_of(at + 1, (size_t)(body.p + body.n - at - 1));
	}
	struct cursor c = cursor_of(body);
	if (!lex_hostport(&c, false, &u->host, &u->port_text, &u->port))
		return false;
	struct view rest = cursor_rest(&c);
	if (rest.n && *rest.p == ';') {
		rest = view_from(rest, 1);
		u->params = rest;
		const char *mark = memchr(rest.p, '?', rest.n);
		if (mark)
			u->params.n = (size_t)(mark - rest.p);
		rest = view_from(rest, u->params.n);
	}
	if (rest.n && *rest.p == '?') {
		u->headers = view_from(rest, 1);
		rest.n = 0;
	}
	return !rest.n && uri_params(u, escapes) && few_headers(u->headers);
}

bool sip_uri_parse(struct view v, struct sip_uri *out)
{
	*out = (struct sip_uri){ .whole = v };
	struct cursor c = cursor_of(v);
	out->scheme_text = lex_run(&c, C_SCHEME);
	if (!out->scheme_text.n || lex_is(out->scheme_text.p[0], C_DIGIT) || !cursor_at(&c, ':'))
		return false;
	c.p++;
	struct view body = cursor_rest(&c);
	if (!body.n || wide_scan(body.p, c.end, STOP_URI) != c.end)
		return false;
	bool escapes = memchr(body.p, '%', body.n) != NULL;
	if (escapes && !lex_escapes(body))
		return false;
	out->scheme = scheme_of(out->scheme_text);
	if (out->scheme == SCHEME_SIP || out->scheme == SCHEME_SIPS)
		return sip_body(out, body, escapes);
	out->user = body;
	if (out->scheme != SCHEME_TEL)
		return true;
	struct view rest = body;
	out->user = view_cut(&rest, ';');
	out->params = rest;
	return out->user.n && uri_params(out, escapes);
}

/* ---- comparison: RFC 3261 19.1.4 ---- */

/* One character of `v` at *i, %HH decoded; the caller knows that escapes are well formed. */
static unsigned next_char(struct view v, size_t *i)
{
	if (v.p[*i] != '%' || v.n - *i < 3)
		return (uint8_t)v.p[(*i)++];
	unsigned c = (unsigned)(hex_value(v.p[*i + 1]) << 4 | hex_value(v.p[*i + 2]));
	*i += 3;
	return c & 0xff;
}

static bool same_text(struct view a, struct view b, bool fold)
{
	size_t i = 0, j = 0;
	while (i < a.n && j < b.n) {
		char x = (char)next_char(a, &i), y = (char)next_char(b, &j);
		if (fold ? ascii_lower(x) != ascii_lower(y) : x != y)
			return false;
	}
	return i == a.n && j == b.n;
}

static bool same_host(struct view a, struct view b)
{
	struct addr x, y;
	if (view_is_ci(a, b))
		return true;
	return sip_host_ip(a, &x) && sip_host_ip(b, &y) && addr_same_ip(&x, &y);
}

/* Value of item `name` in a list of name=value separated by `sep`. */
static bool item_find(struct view list, char sep, struct view name, struct view *value)
{
	while (list.n) {
		struct view v = view_cut(&list, sep), n = view_cut(&v, '=');
		if (n.n && same_text(n, name, true)) {
			*value = v;
			return true;
		}
	}
	return false;
}

/* Parameters that must stand in both URIs or in neither. */
static bool must_be_in_both(struct view name)
{
	static const struct view names[] = { VIEW_INIT("user"), VIEW_INIT("ttl"), VIEW_INIT("method"), VIEW_INIT("maddr"),
		VIEW_INIT("transport") };
	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (same_text(name, names[i], true))
			return true;
	return false;
}

static bool params_agree(struct view mine, struct view theirs)
{
	while (mine.n) {
		struct view v = view_cut(&mine, ';'), n = view_cut(&v, '='), other;
		if (!n.n)
			continue;
		if (item_find(theirs, ';', n, &other) ? !same_text(v, other, true) : must_be_in_both(n))
			return false;
	}
	return true;
}

static bool headers_agree(struct view mine, struct view theirs)
{
	while (mine.n) {
		struct view v = view_cut(&mine, '&'), n = view_cut(&v, '='), other;
		if (n.n && (!item_find(theirs, '&', n, &other) || !same_text(v, other, false)))
			return false;
	}
	return true;
}

bool sip_uri_same(const struct sip_uri *a, const struct sip_uri *b)
{
	if (view_is(a->whole, b->whole))      /* the common case, and the only one where a repeated parameter can match */
		return true;
	if (!lex_same(a->scheme_text, b->scheme_text))
		return false;
	if (a->scheme != SCHEME_SIP && a->scheme != SCHEME_SIPS && a->scheme != SCHEME_TEL)
		return same_text(a->user, b->user, false);
	return same_text(a->user, b->user, a->scheme == SCHEME_TEL) && a->has_password == b->has_password &&
		same_text(a->password, b->password, false) && same_host(a->host, b->host) &&
		a->port == b->port && !a->port_text.n == !b->port_text.n &&
		params_agree(a->params, b->params) && params_agree(b->params, a->params) &&
		headers_agree(a->headers, b->headers) && headers_agree(b->headers, a->headers);
}
