/* wire/sip/via.c -- Via: RFC 3261 20.42, RFC 3581 (rport), RFC 5923 (alias), RFC 4475 3.1.1.10 (any transport). */
#include "wire/sip/lex.h"

/* A well-known parameter that stands twice is refused: two readers could pick different ones. */
static bool set_once(struct view *field, struct view value)
{
	if (field->p)
		return false;
	*field = value;
	return true;
}

static bool known(struct sip_via *out, struct view name, struct view value)
{
	uint64_t number = 0;
	switch (name.n) {
	case 1:
		return !lex_same(name, VIEW("i")) || set_once(&out->i, value);
	case 3:
		return !lex_same(name, VIEW("ttl")) || (set_once(&out->ttl, value) && lex_number(value, 255, &number));
	case 5:
		if (lex_same(name, VIEW("rport"))) {
			if (out->has_rport || (value.n && !lex_number(value, UINT16_MAX, &number)))
				return false;
			out->has_rport = true;
			out->rport_text = value;
			out->rport = (uint16_t)number;
		} else if (lex_same(name, VIEW("maddr"))) {
			return set_once(&out->maddr, value);
		} else if (lex_same(name, VIEW("alias"))) {
			out->has_alias = true;
			out->alias = value;
		}
		return true;
	case 6:
		return !lex_same(name, VIEW("branch")) || (set_once(&out->branch, value) && value.n);
	case 8:
		return !lex_same(name, VIEW("received")) || (set_once(&out->received, value) && value.n);
	}
	return true;
}

/* RFC 2543's trailing "(comment)", nesting and quoted pairs included. */
static bool comment(struct cursor *c, struct view *out)
{
	const char *from = c->p;
	for (size_t depth = 0; c->p < c->end; c->p++) {
		if (*c->p == '\\') {
			if (++c->p == c->end)
				break;
		} else if (*c->p == '(') {
			depth++;
		} else if (*c->p == ')' && --depth == 0) {
			c->p++;
			*out = view_of(from, (size_t)(c->p - from));
			return true;
		}
	}
	return false;
}

static bool sent_protocol(struct cursor *c, struct sip_via *out)
{
	const char *from = c->p;
	if (c->end - from > 8 && memcmp(from, "SIP/2.0/", 8) == 0)
		c->p = from + 7;
	else if (!lex_run(c, C_TOKEN).n || !lex_sep(c, '/') || !lex_run(c, C_TOKEN).n)
		return false;
	out->protocol = view_of(from, (size_t)(c->p - from));
	if (!lex_sep(c, '/'))
		return false;
	out->transport_text = lex_run(c, C_TOKEN);
	out->transport = transport_parse(out->transport_text);
	if (!out->transport_text.n || c->p == c->end || !lex_is(*c->p, C_BLANK))
		return false;
	lex_blanks(c);
	return true;
}

static bool element(struct cursor *c, struct sip_via *out)
{
	if (!sent_protocol(c, out) || !lex_hostport(c, true, &out->host, &out->port_text, &out->port))
		return false;
	const char *from = NULL;
	while (lex_sep(c, ';')) {
		struct view name, value;
		if (!from)
			from = c->p;
		if (!lex_param(c, &name, &value) || !known(out, name, value))
			return false;
	}
	if (from)
		out->params = view_of(from, (size_t)(c->p - from));
	struct cursor after = *c;
	lex_blanks(&after);
	if (cursor_at(&after, '(')) {
		*c = after;
		return comment(c, &out->comment);
	}
	return true;
}

enum sip_status sip_via_next(struct view *rest, struct sip_via *out)
{
	struct cursor c = cursor_of(*rest);
	*out = (struct sip_via){ .transport = TR_NONE };
	lex_blanks(&c);
	if (c.p == c.end) {
		*rest = cursor_rest(&c);
		return SIP_MORE;
	}
	const char *from = c.p;
	if (!element(&c, out))
		return SIP_BAD;
	out->whole = view_of(from, (size_t)(c.p - from));
	if (!lex_list_end(&c))
		return SIP_BAD;
	*rest = cursor_rest(&c);
	return SIP_OK;
}
