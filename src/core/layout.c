/* core/layout.c -- the forms in which a message leaves: forwarded request, forwarded reply, own reply, hop-by-hop request. */
#include "core/priv.h"

static bool laid_fine(const struct lay *l)
{
	return !l->full;
}

/* First element of the Path to push, and what follows it; false when it does not decode. */
static bool path_first(struct view path, struct sip_nameaddr *first, struct sip_uri *uri, struct view *rest)
{
	*rest = path;
	return sip_nameaddr_next(rest, first) == SIP_OK && sip_uri_parse(first->uri, uri);
}

/* Our Via line and, before it, the request line; after it the Route set to push. */
static struct view request_top(const struct msg *m, struct view ruri, struct view routes, const struct socket_conf *from, enum transport t,
	struct view branch, struct view via_params, struct arena *a)
{
	size_t     room = m->sip.method.n + ruri.n + routes.n + branch.n + via_params.n + m->advertised_host.n + m->w->conf->advertised_host.n +
			from->advertised_host.n + 160;
	char      *p = arena_alloc(a, room);
	struct out o = out_to(p, room);

	if (!p)
		return VIEW_NONE;
	put(&o, m->sip.method);
	put_char(&o, ' ');
	put(&o, ruri);
	put(&o, VIEW(" SIP/2.0\r\nVia: SIP/2.0/"));
	put(&o, transport_via(t));
	put_char(&o, ' ');
	put_sent_by(&o, m->w->conf, from, m);
	put(&o, VIEW(";branch="));
	put(&o, branch);
	if (m->via_flags & VIA_ADD_LOCAL_RPORT)
		put(&o, VIEW(";rport"));
	put(&o, via_params);
	put(&o, VIEW("\r\n"));
	if (routes.n) {
		put(&o, VIEW("Route: "));
		put(&o, routes);
		put(&o, VIEW("\r\n"));
	}
	must(!o.full);
	return out_view(&o);
}

static bool lay_late(struct lay *l, const struct edits *e, struct msg *m, const struct edits *own, const struct socket_conf *from, enum transport t,
	struct arena *a)
{
	for (const struct late *x = e ? e->late : NULL; x; x = x->next) {
		struct view lines = x->lines(m, own, from, t, x->arg, a);
		if (!lines.p)
			return false;
		lay_view(l, lines);
	}
	return true;
}

bool layout_request_via(struct msg *m, const struct msg_route *r, const struct edits *own, const struct socket_conf *from,
	enum transport t, struct view branch, struct view via_params, struct arena *a, struct laid *out)
{
	struct lay          l = lay_to(out, a);
	struct view         ruri = r->ruri, routes = r->path, strict = VIEW_NONE;
	struct sip_nameaddr first;
	struct sip_uri      uri;
	struct view         rest;
	struct via_marks   *marks = arena_alloc(a, sizeof *marks);

	must(from && sip_is_request(&m->sip));
	if (!marks)
		return false;
	if (routes.n && path_first(routes, &first, &uri, &rest) && !uri.lr) {
		/* A strict router comes first: its URI goes into the request line, the R-URI to the end of the route set (16.6 step 6). */
		ruri = first.uri;
		routes = view_trim(rest);
		const struct view parts[] = { VIEW_INIT("Route: <"), r->ruri, VIEW_INIT(">\r\n") };
		strict = arena_join(a, parts, COUNT_OF(parts));
		if (!strict.p)
			return false;
	}

	struct view top = request_top(m, ruri, routes, from, t, branch, via_params, a);

	if (!top.p)
		return false;
	lay_view(&l, top);
	if (!lay_late(&l, &m->edits, m, own, from, t, a) || !lay_late(&l, own, m, own, from, t, a))
		return false;
	lay_rest(&l, m, own, via_marks(m, marks), strict);
	return laid_fine(&l);
}

bool layout_request(struct msg *m, const struct msg_route *r, const struct edits *own, const struct socket_conf *from, enum transport t,
	struct view branch, struct arena *a, struct laid *out)
{
	return layout_request_via(m, r, own, from, t, branch, VIEW_NONE, a, out);
}

/* ---- replies --------------------------------------------------------------------------------------------------------------- */

static struct view status_line(uint16_t status, struct view reason, struct arena *a)
{
	char      *p = arena_alloc(a, reason.n + 32);
	struct out o = out_to(p, reason.n + 32);

	if (!p)
		return VIEW_NONE;
	put(&o, VIEW("SIP/2.0 "));
	put_u64(&o, status);
	put_char(&o, ' ');
	/* A script's reason may quote the caller: nothing of it can end the line. */
	for (size_t i = 0; i < reason.n; i++)
		put_char(&o, (uint8_t)reason.p[i] < ' ' || reason.p[i] == 0x7f ? ' ' : reason.p[i]);
	put(&o, VIEW("\r\n"));
	return out_view(&o);
}

/* The bytes that carry the first Via element: its whole line, or up to the next element of a list (RFC 3261 7.3.1). */
static bool via_first_bytes(const struct msg *m, struct view *bytes)
{
	const struct sip_hdr *h = sip_first(&m->sip, HDR_VIA);

	if (!h || !m->via.whole.n)
		return false;

	struct view rest = view_from(h->value, (size_t)(m->via.whole.p + m->via.whole.n - h->value.p));

	view_cut(&rest, ',');

	struct view next = view_trim(rest);

	*bytes = next.n ? view_of(m->via.whole.p, (size_t)(next.p - m->via.whole.p)) : h->line;
	return true;
}

bool layout_reply(struct msg *m, uint16_t status, struct view reason, struct arena *a, struct laid *out)
{
	struct lay   l = lay_to(out, a);
	struct view  via;
	struct edit *cut = arena_alloc(a, sizeof *cut);

	must(!sip_is_request(&m->sip));
	if (!cut || !via_first_bytes(m, &via))
		return false;
	*cut = (struct edit){ .off = (uint32_t)(via.p - m->sip.bytes.p), .len = (uint32_t)via.n };
	if (!status && m->new_status) {
		status = m->new_status;
		reason = m->new_reason;
	}
	if (status) {
		struct view line = status_line(status, reason.p ? reason : m->sip.reason, a);
		l.full |= !line.p;
		lay_view(&l, line);
	} else {
		struct lay_edits e = { { m->edits.first } };
		/* A script may have rewritten the status line; an edit after its CRLF belongs to the headers. */
		lay_span(&l, m, &e, 0, m->sip.start_line.n - 2);
		lay_view(&l, VIEW("\r\n"));
	}
	lay_rest(&l, m, NULL, cut, VIEW_NONE);
	return laid_fine(&l);
}

static void lay_headers(struct lay *l, const struct msg *m, enum sip_hdr_id id)
{
	for (const struct sip_hdr *h = sip_first(&m->sip, id); h; h = sip_next(&m->sip, h))
		lay_view(l, h->line);
}

/* The request's Vias with received/rport in the top one. */
static void lay_vias(struct lay *l, const struct msg *m, const struct edit *marks)
{
	struct lay_edits e = { { NULL, NULL, marks } };

	for (const struct sip_hdr *h = sip_first(&m->sip, HDR_VIA); h; h = sip_next(&m->sip, h)) {
		size_t from = (size_t)(h->line.p - m->sip.bytes.p);
		lay_span(l, m, &e, from, from + h->line.n);
	}
}

static void lay_to_header(struct lay *l, const struct msg *m, struct view tag)
{
	const struct sip_hdr *to = sip_first(&m->sip, HDR_TO);

	if (!to)
		return;
	if (!tag.n || m->sip.to_tag.n) {
		lay_view(l, to->line);
		return;
	}

	const struct view parts[] = { VIEW_INIT("To: "), to->value, VIEW_INIT(";tag="), tag, VIEW_INIT("\r\n") };
	struct view       line = arena_join(l->a, parts, COUNT_OF(parts));

	l->full |= !line.p;
	lay_view(l, line);
}

/* Content-Type, Content-Length, Server, empty line. */
static void lay_own_tail(struct lay *l, const struct msg *m, const struct own_reply *r, size_t body)
{
	const struct core_conf *c = m->w->conf;
	size_t                  room = r->content_type.n + c->server_header.n + 96;
	char                   *p = arena_alloc(l->a, room);
	struct out              o = out_to(p, room);

	l->full |= !p;
	if (!p)
		return;
	if (c->server_signature && c->server_header.n) {
		put(&o, c->server_header);
		put(&o, VIEW("\r\n"));
	}
	if (r->body.n && r->content_type.n) {
		put(&o, VIEW("Content-Type: "));
		put(&o, r->content_type);
		put(&o, VIEW("\r\n"));
	}
	put(&o, VIEW("Content-Length: "));
	put_u64(&o, body);
	put(&o, VIEW("\r\n\r\n"));
	must(!o.full);
	lay_view(l, out_view(&o));
}

bool layout_own_reply(const struct msg *m, const struct own_reply *r, struct arena *a, struct laid *out)
{
	struct lay        l = lay_to(out, a);
	struct view       line = status_line(r->status, r->reason.p ? r->reason : sip_reason_phrase(r->status), a);
	struct via_marks *marks = arena_alloc(a, sizeof *marks);

	must(sip_is_request(&m->sip));
	if (!line.p || !marks)
		return false;
	lay_view(&l, line);
	lay_vias(&l, m, via_marks(m, marks));
	/* A dialog's route set comes from the reply that makes it (RFC 3261 12.1.1). */
	if (r->status > 100 && r->status < 300)
		lay_headers(&l, m, HDR_RECORD_ROUTE);
	lay_headers(&l, m, HDR_FROM);
	lay_to_header(&l, m, r->to_tag);
	lay_headers(&l, m, HDR_CALL_ID);
	lay_headers(&l, m, HDR_CSEQ);
	if (r->status == 100 && m->sip.first_other != SIP_NO_HDR) {
		uint16_t at = sip_find(&m->sip, VIEW("Timestamp"), 0);
		if (at != SIP_NO_HDR)
			lay_view(&l, m->sip.hdr[at].line);
	}
	lay_view(&l, r->extra);
	lay_view(&l, m->reply_lines);
	/* Its Content-Type is among reply_lines, as the script wrote it.  A 100 has no use for a body. */
	struct view body = r->body.n || r->status == 100 ? r->body : m->reply_body;

	lay_own_tail(&l, m, r, body.n);
	lay_view(&l, body);
	return laid_fine(&l);
}

/* ---- hop-by-hop requests ------------------------------------------------------------------------------------------------------ */

static struct view method_text(enum sip_method method)
{
	must(method == SIP_CANCEL || method == SIP_ACK);
	return method == SIP_CANCEL ? VIEW("CANCEL") : VIEW("ACK");
}

static bool hop_start(struct lay *l, const struct sip_msg *s, enum sip_method method)
{
	const struct view parts[] = { method_text(method), VIEW_INIT(" "), s->ruri, VIEW_INIT(" SIP/2.0\r\n") };
	struct view       line = arena_join(l->a, parts, COUNT_OF(parts));

	lay_view(l, line);
	return line.p != NULL;
}

static bool hop_end(struct lay *l, const struct sip_msg *s, enum sip_method method)
{
	struct view line = arena_fmt(l->a, "CSeq: %u " VIEW_FMT "\r\n", s->cseq, VIEW_ARG(method_text(method)));

	lay_view(l, line);
	return line.p != NULL;
}

static void hop_header(struct lay *l, const struct sip_msg *s, enum sip_hdr_id id)
{
	for (const struct sip_hdr *h = sip_first(s, id); h; h = sip_next(s, h))
		lay_view(l, h->line);
}

bool layout_hop(struct view sent, enum sip_method method, const struct msg *reply, struct view extra, struct arena *a, struct laid *out)
{
	struct lay            l = lay_to(out, a);
	struct sip_hdr        space[MSG_MAX_HEADERS];
	struct sip_msg        s;
	enum sip_fault        why = sip_parse(sent, false, space, COUNT_OF(space), &s);
	const struct sip_hdr *via = sip_first(&s, HDR_VIA), *to = reply ? sip_first(&reply->sip, HDR_TO) : NULL;

	if (why != SIP_FAULT_NONE || !via || !hop_start(&l, &s, method))
		return false;
	/* Our own Via stands alone on the first line: layout_request wrote it there. */
	lay_view(&l, via->line);
	hop_header(&l, &s, HDR_ROUTE);
	if (sip_first(&s, HDR_MAX_FORWARDS))
		hop_header(&l, &s, HDR_MAX_FORWARDS);
	else
		lay_view(&l, VIEW("Max-Forwards: 70\r\n"));
	hop_header(&l, &s, HDR_FROM);
	if (to)
		lay_view(&l, to->line);
	else
		hop_header(&l, &s, HDR_TO);
	hop_header(&l, &s, HDR_CALL_ID);
	if (!hop_end(&l, &s, method))
		return false;
	lay_view(&l, extra);
	lay_view(&l, VIEW("Content-Length: 0\r\n\r\n"));
	return laid_fine(&l);
}
