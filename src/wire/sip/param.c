/* wire/sip/param.c -- tokens, parameters, comma lists, escapes and folds of header values; RFC 3261 7.3 and 25.1. */
#include "wire/sip/lex.h"

bool sip_token(struct view v)
{
	struct cursor c = cursor_of(v);
	return lex_run(&c, C_TOKEN).n == v.n && v.n;
}

/* Up to one of the stop bytes outside quotes and, if `brackets`, outside <>; a quote that never ends takes the rest. */
static struct view until(struct cursor *c, char stop, bool brackets)
{
	const char *from = c->p;
	bool inside = false;
	while ((c->p = wide_scan(c->p, c->end, STOP_ITEM)) < c->end) {
		struct view quoted;
		if (*c->p == '"' && !inside) {
			if (!lex_quoted(c, &quoted))
				c->p = c->end;
			continue;
		}
		if (*c->p == stop && !inside)
			break;
		if (brackets && (*c->p == '<' || *c->p == '>'))
			inside = *c->p == '<';
		c->p++;
	}
	return lex_trim(from, c->p);
}

bool sip_param_next(struct view *rest, struct view *name, struct view *value)
{
	struct cursor c = cursor_of(*rest);
	struct view item = VIEW_NONE;
	while (c.p < c.end && !item.n) {
		item = until(&c, ';', false);
		if (c.p < c.end)
			c.p++;
	}
	*rest = cursor_rest(&c);
	if (!item.n)
		return false;
	struct view after = item, head = view_cut(&after, '=');
	*name = view_trim(head);
	*value = after.n ? view_trim(after) : view_of(item.p + item.n, 0);
	return true;
}

bool sip_param(struct view params, struct view name, struct view *value)
{
	struct view have, got;
	while (sip_param_next(&params, &have, &got))
		if (lex_same(have, name)) {
			*value = got;
			return true;
		}
	return false;
}

bool sip_list_next(struct view *rest, struct view *item)
{
	struct cursor c = cursor_of(*rest);
	struct view found = VIEW_NONE;
	while (c.p < c.end && !found.n) {
		found = until(&c, ',', true);
		if (c.p < c.end)
			c.p++;
	}
	*rest = cursor_rest(&c);
	if (found.n)
		*item = found;
	return found.n != 0;
}

bool sip_cseq_parse(struct view v, uint32_t *number, struct view *method)
{
	struct cursor c = cursor_of(view_trim(v));
	struct view digits = lex_run(&c, C_DIGIT);
	uint64_t sum;
	if (!lex_number(digits, UINT32_MAX, &sum) || c.p == c.end || !lex_is(*c.p, C_BLANK))
		return false;
	lex_blanks(&c);
	struct view name = lex_run(&c, C_TOKEN);
	if (!name.n || c.p != c.end)
		return false;
	*number = (uint32_t)sum;
	*method = name;
	return true;
}

bool sip_unescape(struct view v, struct out *out)
{
	if (!lex_escapes(v))
		return false;
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] != '%') {
			put_char(out, v.p[i]);
			continue;
		}
		put_char(out, (char)(hex_value(v.p[i + 1]) << 4 | hex_value(v.p[i + 2])));
		i += 2;
	}
	return !out->full;
}

void sip_unfold(struct view v, struct out *out)
{
	for (size_t i = 0; i < v.n;) {
		if (v.p[i] == '\r' || v.p[i] == '\n') {
			while (i < v.n && lex_is(v.p[i], C_BLANK))
				i++;
			put_char(out, ' ');
			continue;
		}
		size_t from = i;
		while (i < v.n && v.p[i] != '\r' && v.p[i] != '\n')
			i++;
		put(out, view_of(v.p + from, i - from));
	}
}
