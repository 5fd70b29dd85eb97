/* wire/sip/nameaddr.c -- From, To, Contact, Route, Record-Route, Path: RFC 3261 20.10, 20.20, 20.34 and 25.1. */
#include "wire/sip/lex.h"

/* Header parameters up to the comma or the end; an empty one (";;") is malformed, RFC 4475 3.1.2.1. */
static bool params(struct cursor *c, struct view *out, struct tags *tags)
{
	const char *from = NULL;
	while (lex_sep(c, ';')) {
		struct view name, value;
		if (!from)
			from = c->p;
		if (!lex_param(c, &name, &value))
			return false;
		if (lex_same(name, VIEW("tag")) && tags->n++ == 0)
			tags->first = value;
	}
	*out = from ? view_of(from, (size_t)(c->p - from)) : VIEW_NONE;
	return true;
}

/* scheme ":" something: enough to tell an address from a stray word; the rest is for sip_uri_parse(). */
static bool uri_like(struct view v)
{
	struct cursor c = cursor_of(v);
	return lex_run(&c, C_SCHEME).n && cursor_at(&c, ':') && c.end - c.p > 1;
}

/* "<" URI ">" at the cursor. */
static bool bracketed(struct cursor *c, struct sip_nameaddr *out)
{
	if (!cursor_at(c, '<'))
		return false;
	c->p++;
	out->uri.p = c->p;
	c->p = wide_scan(c->p, c->end, STOP_URI);
	out->uri.n = (size_t)(c->p - out->uri.p);
	out->brackets = true;
	if (!cursor_at(c, '>') || !uri_like(out->uri))
		return false;
	c->p++;
	return true;
}

/* Words of an unquoted display name, then the bracketed URI. */
static bool words_then_uri(struct cursor *c, struct sip_nameaddr *out)
{
	const char *from = c->p;
	while (lex_run(c, C_NAME).n)
		lex_blanks(c);
	out->display = lex_trim(from, c->p);
	return bracketed(c, out);
}

static bool element(struct cursor *c, struct sip_nameaddr *out)
{
	if (cursor_at(c, '"')) {
		if (!lex_quoted(c, &out->display))
			return false;
		lex_blanks(c);
		return bracketed(c, out);
	}
	if (cursor_at(c, '<'))
		return bracketed(c, out);
	struct cursor word = *c;
	struct view scheme = lex_run(&word, C_SCHEME);
	if (scheme.n && cursor_at(&word, ':')) {
		/* Without brackets ';' and ',' belong to the header, and '?' is not allowed (RFC 3261 20.10). */
		const char *from = c->p;
		while (c->p < c->end && lex_is(*c->p, C_URI) && *c->p != ';' && *c->p != ',')
			c->p++;
		out->uri = view_of(from, (size_t)(c->p - from));
		return uri_like(out->uri) && !memchr(out->uri.p, '?', out->uri.n);
	}
	if (cursor_at(c, '*')) {
		struct cursor star = { c->p + 1, c->end };
		lex_blanks(&star);
		if (star.p == star.end || *star.p == ',') {
			out->uri = view_of(c->p, 1);
			out->star = true;
			c->p = star.p;
			return true;
		}
	}
	return words_then_uri(c, out);
}

enum sip_status nameaddr_tagged(struct view *rest, struct sip_nameaddr *out, struct tags *tags)
{
	struct cursor c = cursor_of(*rest);
	*out = (struct sip_nameaddr){ .brackets = false };
	*tags = (struct tags){ .n = 0 };
	lex_blanks(&c);
	if (c.p == c.end) {
		*rest = cursor_rest(&c);
		return SIP_MORE;
	}
	const char *from = c.p;
	if (!element(&c, out) || !params(&c, &out->params, tags))
		return SIP_BAD;
	out->whole = lex_trim(from, c.p);
	if (!lex_list_end(&c))
		return SIP_BAD;
	*rest = cursor_rest(&c);
	return SIP_OK;
}

enum sip_status sip_nameaddr_next(struct view *rest, struct sip_nameaddr *out)
{
	struct tags tags;
	return nameaddr_tagged(rest, out, &tags);
}
