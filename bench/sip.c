#include "sip.h"

#include <strings.h>

enum { SIP_BODY_MAX = 65536 };

enum field { F_VIA, F_FROM, F_TO, F_CALL_ID, F_CSEQ, F_CONTACT, F_LENGTH, F_RECORD_ROUTE, F_ROUTE, F_MARK };

static const struct {
	struct view name;
	char compact; /* RFC 3261 7.3.3; 0: none */
	enum field id;
} fields[] = {
	{ { "via", 3 }, 'v', F_VIA },
	{ { "from", 4 }, 'f', F_FROM },
	{ { "to", 2 }, 't', F_TO },
	{ { "call-id", 7 }, 'i', F_CALL_ID },
	{ { "cseq", 4 }, 0, F_CSEQ },
	{ { "contact", 7 }, 'm', F_CONTACT },
	{ { "content-length", 14 }, 'l', F_LENGTH },
	{ { "record-route", 12 }, 0, F_RECORD_ROUTE },
	{ { "route", 5 }, 0, F_ROUTE },
	{ { "x-bench", 7 }, 0, F_MARK },
};

static bool list_add(struct view *list, unsigned *n, unsigned max, struct view v)
{
	if (*n == max)
		return false;
	list[(*n)++] = v;
	return true;
}

static bool field_take(struct sip *m, enum field id, struct view v)
{
	switch (id) {
	case F_VIA:
		return list_add(m->via, &m->vias, SIP_VIAS, v);
	case F_RECORD_ROUTE:
		return list_add(m->record_route, &m->record_routes, SIP_ROUTES, v);
	case F_ROUTE:
		m->routes++;
		return true;
	case F_FROM:
		m->from = v;
		return true;
	case F_TO:
		m->to = v;
		return true;
	case F_CALL_ID:
		m->call_id = v;
		return true;
	case F_CSEQ:
		m->cseq = v;
		return true;
	case F_CONTACT:
		m->contact = v;
		return true;
	case F_MARK:
		m->mark = v;
		return true;
	case F_LENGTH:
		return view_u32(v, &m->content_length) && m->content_length <= SIP_BODY_MAX;
	}
	return false;
}

static bool header_line(struct sip *m, struct view line)
{
	const char *colon = memchr(line.p, ':', line.n);

	if (!colon)
		return false;
	struct view name = view_trim((struct view){ line.p, (size_t)(colon - line.p) });
	struct view value = view_trim((struct view){ colon + 1, line.n - (size_t)(colon - line.p) - 1 });

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		bool is_long = name.n == fields[i].name.n && !strncasecmp(name.p, fields[i].name.p, name.n);
		bool is_compact = name.n == 1 && fields[i].compact && (name.p[0] | 32) == fields[i].compact;
		if (is_long || is_compact)
			return field_take(m, fields[i].id, value);
	}
	return true;
}

static bool start_line(struct sip *m, struct view line)
{
	if (view_starts(line, VIEW("SIP/2.0 ")))
		return view_u32((struct view){ line.p + 8, line.n - 8 }, &m->status) && m->status >= 100;

	const char *sp = memchr(line.p, ' ', line.n);
	if (!sp || line.n < 10 || memcmp(line.p + line.n - 8, " SIP/2.0", 8) != 0)
		return false;
	m->method = (struct view){ line.p, (size_t)(sp - line.p) };
	m->ruri = (struct view){ sp + 1, line.n - m->method.n - 1 - 8 };
	return true;
}

/* A line without its CRLF; `rest` moves past it. The head ends with CRLF, so
 * a line always has an end. */
static struct view line_next(struct view *rest)
{
	const char *nl = memchr(rest->p, '\n', rest->n);
	size_t n = (size_t)(nl - rest->p) + 1;
	struct view line = { rest->p, n - 1 };

	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	rest->p += n;
	rest->n -= n;
	return line;
}

enum sip_status sip_read(struct view in, bool datagram, struct sip *m, size_t *used)
{
	const char *end = memmem(in.p, in.n, "\r\n\r\n", 4);

	if (!end)
		return datagram || in.n > SIP_BODY_MAX ? SIP_BAD : SIP_MORE;

	size_t head = (size_t)(end - in.p) + 4;
	struct view rest = { in.p, head - 2 };

	/* The lists are counted, so they need not be cleared. */
	m->status = 0;
	m->vias = m->record_routes = m->routes = 0;
	m->method = m->ruri = m->from = m->to = m->call_id = m->cseq = m->contact = m->mark = VIEW("");
	m->content_length = UINT32_MAX;

	if (!start_line(m, line_next(&rest)))
		return SIP_BAD;
	while (rest.n) {
		if (!header_line(m, line_next(&rest)))
			return SIP_BAD;
	}
	if (m->content_length == UINT32_MAX) {
		if (!datagram)
			return SIP_BAD;
		m->content_length = (uint32_t)(in.n - head);
	}
	if (in.n - head < m->content_length)
		return datagram ? SIP_BAD : SIP_MORE;
	if (m->status) {
		const char *sp = memchr(m->cseq.p, ' ', m->cseq.n);
		if (sp)
			m->method = view_trim((struct view){ sp, m->cseq.n - (size_t)(sp - m->cseq.p) });
	}
	m->body = (struct view){ in.p + head, m->content_length };
	*used = head + m->content_length;
	return SIP_OK;
}

/* The last element of a comma separated list; commas inside <> do not count.
 * `v` shrinks by it. */
static struct view list_pop(struct view *v)
{
	bool inside = false;

	for (size_t i = v->n; i-- > 0;) {
		if (v->p[i] == '>')
			inside = true;
		else if (v->p[i] == '<')
			inside = false;
		else if (v->p[i] == ',' && !inside) {
			struct view last = { v->p + i + 1, v->n - i - 1 };
			v->n = i;
			return view_trim(last);
		}
	}
	struct view all = *v;
	v->n = 0;
	return view_trim(all);
}

void sip_route_set(struct out *o, const struct sip *m)
{
	for (unsigned i = m->record_routes; i-- > 0;) {
		struct view v = m->record_route[i];
		while (v.n) {
			out_lit(o, "Route: ");
			out_view(o, list_pop(&v));
			out_lit(o, "\r\n");
		}
	}
}

struct view sip_uri(struct view v)
{
	const char *open = memchr(v.p, '<', v.n);
	const char *close = memchr(v.p, '>', v.n);

	if (!open || !close || close < open)
		return v;
	return (struct view){ open + 1, (size_t)(close - open) - 1 };
}

struct view sip_param(struct view v, struct view key)
{
	const char *at = memmem(v.p, v.n, key.p, key.n);
	struct view val;

	if (!at)
		return VIEW("");
	val.p = at + key.n;
	val.n = 0;
	while (val.p + val.n < v.p + v.n && !strchr(";, >\t", val.p[val.n]))
		val.n++;
	return val;
}
