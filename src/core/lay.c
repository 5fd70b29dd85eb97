#include "core/priv.h"

void lay_view(struct lay *l, struct view v)
{
	struct laid *o = l->out;

	if (v.n == 0 || l->full)
		return;
	o->bytes += v.n;
	if (o->n > 0) {
		struct iovec *last = &o->iov[o->n - 1];
		if ((const char *)last->iov_base + last->iov_len == v.p) {
			last->iov_len += v.n;
			return;
		}
	}
	if (o->n == LAYOUT_IOV) {
		o->bytes -= v.n;
		struct view flat = laid_flat(o, l->a);
		if (!flat.p) {
			l->full = true;
			return;
		}
		o->iov[0] = (struct iovec){ (void *)flat.p, flat.n };
		o->n = 1;
		o->bytes += v.n;
	}
	o->iov[o->n++] = (struct iovec){ (void *)v.p, v.n };
}

struct view laid_flat(const struct laid *l, struct arena *a)
{
	char *p = arena_alloc(a, l->bytes), *at = p;

	if (!p)
		return VIEW_NONE;
	for (int i = 0; i < l->n; i++) {
		memcpy(at, l->iov[i].iov_base, l->iov[i].iov_len);
		at += l->iov[i].iov_len;
	}
	return view_of(p, l->bytes);
}

/* Header lines that a script wrote, without any Content-Length: ours alone counts (requirements S3). */
static void lay_lines(struct lay *l, struct view text)
{
	while (text.n) {
		size_t      end = view_find(text, '\n');
		struct view line = view_sub(text, 0, end < text.n ? end + 1 : text.n);
		size_t      colon = view_find(line, ':');

		if (colon == line.n || sip_hdr_id(view_trim(view_sub(line, 0, colon))) != HDR_CONTENT_LENGTH)
			lay_view(l, line);
		text = view_from(text, line.n);
	}
}

/* The edit that comes next in any list, or NULL when none begins at or before `to`. */
static const struct edit *edits_next(struct lay_edits *e, size_t to, bool *ours)
{
	int best = -1;

	for (int i = 0; i < 3; i++)
		if (e->list[i] && e->list[i]->off <= to && (best < 0 || e->list[i]->off < e->list[best]->off))
			best = i;
	if (best < 0)
		return NULL;
	const struct edit *x = e->list[best];
	e->list[best] = x->next;
	*ours = best == 2;
	return x;
}

static bool line_start(const struct msg *m, size_t off)
{
	return off > 0 && m->sip.bytes.p[off - 1] == '\n';
}

/* One walk for both writing (l set) and measuring. */
static size_t span(struct lay *l, const struct msg *m, struct lay_edits *e, size_t from, size_t to)
{
	struct view        all = m->sip.bytes;
	size_t             at = from, gone = from, n = 0;
	bool               ours, in_head = l && to <= (size_t)(m->sip.head.p + m->sip.head.n - all.p);
	const struct edit *x;

	must(from <= to && to <= all.n);
	while ((x = edits_next(e, to, &ours))) {
		if (x->off < from)
			continue;
		if (x->off >= at) {
			n += x->off - at;
			if (l)
				lay_view(l, view_sub(all, at, x->off - at));
			at = x->off;
		} else if (x->off > gone) {
			/* Begins inside what an earlier edit took away. */
			if (x->off + x->len > at)
				at = x->off + x->len;
			continue;
		}
		n += x->text.n;
		if (in_head && !ours && line_start(m, x->off))
			lay_lines(l, x->text);
		else if (l)
			lay_view(l, x->text);
		if (x->len) {
			gone = x->off;
			if (x->off + x->len > at)
				at = x->off + x->len;
		}
	}
	if (at < to) {
		n += to - at;
		if (l)
			lay_view(l, view_sub(all, at, to - at));
	}
	return n;
}

void lay_span(struct lay *l, const struct msg *m, struct lay_edits *e, size_t from, size_t to)
{
	span(l, m, e, from, to);
}

size_t lay_span_bytes(const struct msg *m, struct lay_edits e, size_t from, size_t to)
{
	return span(NULL, m, &e, from, to);
}

/* ---- Via marks --------------------------------------------------------------------------------------------------------- */

/* Does the sent-by of the Via name the very address that the request came from? */
static bool via_names(const struct sip_via *via, const struct addr *src)
{
	struct addr host;

	return addr_parse_ip(via->host, &host) && addr_same_ip(&host, src);
}

static size_t via_params_end(const struct sip_via *via)
{
	if (via->params.n)
		return (size_t)(via->params.p + via->params.n - via->whole.p);
	if (via->port_text.n)
		return (size_t)(via->port_text.p + via->port_text.n - via->whole.p);
	return (size_t)(via->host.p + via->host.n - via->whole.p);
}

/* Where the parameter stands: from its name to the end of its value. */
static bool via_param_at(const struct sip_via *via, struct view name, struct view *at)
{
	struct view rest = via->params, n, v;

	while (sip_param_next(&rest, &n, &v)) {
		if (!view_is_ci(n, name))
			continue;
		*at = view_of(n.p, v.p ? (size_t)(v.p + v.n - n.p) : n.n);
		if (at->n < n.n)
			at->n = n.n;
		return true;
	}
	return false;
}

const struct edit *via_marks(const struct msg *m, struct via_marks *v)
{
	const struct sip_via *via = &m->via;
	const struct addr    *src = msg_source(m);
	char                  ip[ADDR_TEXT_MAX];
	struct view           had_received = VIEW_NONE, had_rport = VIEW_NONE, base = m->sip.bytes;
	bool                  rport = via->has_rport || (m->via_flags & VIA_FORCE_RPORT);
	bool                  received = rport || !via_names(via, src);
	bool                  old_received = via->received.p && via_param_at(via, VIEW("received"), &had_received);
	bool                  old_rport = via->has_rport && via_param_at(via, VIEW("rport"), &had_rport);
	struct out            o = out_to(v->text, sizeof v->text);
	int                   n = 0;

	if (!via->whole.n || (!received && !old_received))
		return NULL;

	struct view text = addr_ip_text(src, ip);

	if (old_received) {
		/* What the sender claims about its own address is never believed (RFC 3261 18.2.1). */
		put(&o, VIEW("received="));
		put(&o, text);
		v->edit[n++] = (struct edit){ .off = (uint32_t)(had_received.p - base.p), .len = (uint32_t)had_received.n, .text = out_view(&o) };
	}

	size_t at = o.n;

	if (old_rport)
		put(&o, VIEW("rport="));
	else if (rport)
		put(&o, VIEW(";rport="));
	if (rport)
		put_u64(&o, src->port);
	if (!old_received) {
		put(&o, VIEW(";received="));
		put(&o, text);
	}
	must(!o.full);
	if (o.n > at) {
		struct edit e = { .text = view_of(v->text + at, o.n - at) };
		e.off = old_rport ? (uint32_t)(had_rport.p - base.p) : (uint32_t)(via->whole.p - base.p + via_params_end(via));
		e.len = old_rport ? (uint32_t)had_rport.n : 0;
		v->edit[n++] = e;
	}
	if (n == 2 && v->edit[1].off < v->edit[0].off) {
		struct edit first = v->edit[1];
		v->edit[1] = v->edit[0];
		v->edit[0] = first;
	}
	for (int i = 0; i + 1 < n; i++)
		v->edit[i].next = &v->edit[i + 1];
	return v->edit;
}

/* ---- header section and body --------------------------------------------------------------------------------------------- */

static bool edits_touch(const struct edit *e, size_t from, size_t to)
{
	for (; e && e->off < to; e = e->next)
		if (e->len && e->off + e->len > from)
			return true;
	return false;
}

/* "Name: digits CRLF" with one blank and nothing else, saying n. */
static bool length_is_plain(const struct sip_hdr *h, size_t n)
{
	uint32_t said;

	return h->line.n == h->name.n + h->value.n + 4 && h->name.p == h->line.p && h->value.p == h->name.p + h->name.n + 2 &&
		view_u32(h->value, &said) && said == n && (h->value.n == 1 || h->value.p[0] != '0');
}

/* Link one more edit into a sorted list of the protocol's. */
static const struct edit *with_edit(const struct edit *list, struct edit *add)
{
	struct edit *prev = NULL;

	for (struct edit *x = (struct edit *)list; x && x->off <= add->off; x = x->next)
		prev = x;
	add->next = prev ? prev->next : (struct edit *)list;
	if (prev)
		prev->next = add;
	return prev ? list : add;
}

void lay_rest(struct lay *l, struct msg *m, const struct edits *own, const struct edit *marks, struct view last_lines)
{
	const struct sip_msg *s = &m->sip;
	size_t                head = (size_t)(s->head.p - s->bytes.p), head_end = head + s->head.n;
	size_t                body = s->body.p ? (size_t)(s->body.p - s->bytes.p) : s->bytes.n;
	const struct edits   *whole = own && own->new_body ? own : m->edits.new_body ? &m->edits : NULL;
	struct lay_edits      e = { { m->edits.first, own ? own->first : NULL, NULL } };
	size_t                bytes = whole ? whole->body.n : lay_span_bytes(m, e, body, body + s->body.n);
	const struct sip_hdr *h = sip_first(s, HDR_CONTENT_LENGTH);
	struct edit           fix;
	char                  text[40];
	struct out            o = out_to(text, sizeof text);
	struct view           at_end = VIEW_NONE;

	put(&o, VIEW("Content-Length: "));
	put_u64(&o, bytes);
	put(&o, VIEW("\r\n"));
	if (!h) {
		at_end = out_view(&o);
	} else {
		size_t from = (size_t)(h->line.p - s->bytes.p), to = from + h->line.n;
		bool   touched = edits_touch(e.list[0], from, to) || edits_touch(e.list[1], from, to);
		if (touched)
			at_end = out_view(&o);
		if (touched || !length_is_plain(h, bytes)) {
			fix = (struct edit){ .off = (uint32_t)from, .len = (uint32_t)h->line.n };
			if (!touched) {
				struct view line = arena_copy(l->a, out_view(&o));
				l->full |= !line.p;
				fix.text = line;
			}
			marks = with_edit(marks, &fix);
		}
	}
	e.list[2] = marks;
	lay_span(l, m, &e, head, head_end);
	lay_view(l, last_lines);
	if (at_end.n) {
		at_end = arena_copy(l->a, at_end);
		l->full |= !at_end.p;
		lay_view(l, at_end);
	}
	lay_view(l, VIEW("\r\n"));
	if (whole)
		lay_view(l, whole->body);
	else
		lay_span(l, m, &e, body, body + s->body.n);
}
