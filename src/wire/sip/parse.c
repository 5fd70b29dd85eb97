/* wire/sip/parse.c -- one pass over a complete message: start line, header index, the values every request needs. */
#include "wire/sip/lex.h"

static const bool header_single[HDR_COUNT] = {
#define H(id, name, compact, list, single) [HDR_##id] = single,
#include "wire/sip/headers.def"
#undef H
};

/* What the pass carries besides the message. */
struct pass { struct sip_msg *m; size_t cap; uint16_t last_other; enum sip_fault why; };

static void fault(struct pass *s, enum sip_fault why)
{
	if (!s->why)
		s->why = why;
}

static void empty_index(struct sip_msg *m, struct view bytes, struct sip_hdr *space)
{
	memset(m, 0, sizeof *m);
	memset(m->first, 0xff, sizeof m->first);
	memset(m->last, 0xff, sizeof m->last);
	m->first_other = SIP_NO_HDR;
	m->bytes = bytes;
	m->hdr = space;
}

static void chain(struct pass *s, uint16_t index, enum sip_hdr_id id)
{
	struct sip_msg *m = s->m;
	uint16_t *first = id == HDR_OTHER ? &m->first_other : &m->first[id];
	uint16_t *last = id == HDR_OTHER ? &s->last_other : &m->last[id];
	if (*first == SIP_NO_HDR)
		*first = index;
	else
		m->hdr[*last].next_same = index;
	if (id != HDR_OTHER && *first != index && header_single[id])
		fault(s, id == HDR_CONTENT_LENGTH ? SIP_FAULT_BAD_LENGTH : SIP_FAULT_DUPLICATE);
	*last = index;
}

/* Index the header lines; true when the empty line was found, *at behind it. */
static bool headers(struct pass *s, const char **at, const char *end)
{
	struct sip_msg *m = s->m;
	const char *from = *at;
	struct line line;
	enum line_kind kind;
	for (;;) {
		const char *here = *at;
		kind = lex_line(at, end, &line);
		if (line.why)
			fault(s, line.why);
		if (kind != LINE_HEADER) {
			m->head = view_of(from, (size_t)(here - from));
			return kind == LINE_END;
		}
		if (line.why)
			continue;
		if (m->nhdr >= s->cap || m->nhdr >= MSG_MAX_HEADERS) {
			fault(s, SIP_FAULT_TOO_MANY);
			continue;
		}
		m->hdr[m->nhdr] = (struct sip_hdr){ line.name, line.value, line.whole, SIP_NO_HDR, (uint8_t)line.id };
		chain(s, m->nhdr++, line.id);
	}
}

static void cut_body(struct pass *s, struct view after, bool stream)
{
	const struct sip_hdr *h = sip_first(s->m, HDR_CONTENT_LENGTH);
	uint64_t want;
	s->m->body = after;
	if (!h) {
		if (stream)
			fault(s, SIP_FAULT_NO_LENGTH);
		return;
	}
	if (!lex_number(h->value, INT32_MAX, &want)) {
		fault(s, SIP_FAULT_BAD_LENGTH);
		return;
	}
	if (want > after.n)
		fault(s, SIP_FAULT_SHORT_BODY);
	else if (stream && want < after.n)
		fault(s, SIP_FAULT_BAD_LENGTH);
	else
		s->m->body.n = want;
}

static void sequence(struct pass *s)
{
	struct sip_msg *m = s->m;
	const struct sip_hdr *h = sip_first(m, HDR_CSEQ);
	if (!h)
		return;
	if (!sip_cseq_parse(h->value, &m->cseq, &m->cseq_method)) {
		fault(s, SIP_FAULT_BAD_CSEQ);
		return;
	}
	if (!sip_is_request(m))
		m->method_id = sip_method_of(m->cseq_method);
	else if (m->method.n && !view_is(m->method, m->cseq_method))
		fault(s, SIP_FAULT_CSEQ_METHOD);
}

/* From or To; true when it decodes and stands alone.  The tag is that of the first element, whatever follows it. */
static bool party(struct sip_msg *m, enum sip_hdr_id id, struct view *uri, struct view *tag)
{
	const struct sip_hdr *h = sip_first(m, id);
	struct view rest = h ? h->value : VIEW_NONE;
	struct sip_nameaddr who;
	struct tags tags;
	if (!h || nameaddr_tagged(&rest, &who, &tags) != SIP_OK)
		return false;
	*uri = who.uri;
	*tag = tags.first;
	m->tag_twice |= tags.n > 1;
	return !rest.n && !who.star;
}

enum sip_fault sip_parse(struct view bytes, bool stream, struct sip_hdr *space, size_t cap, struct sip_msg *out)
{
	struct pass s = { .m = out, .cap = cap, .last_other = SIP_NO_HDR, .why = SIP_FAULT_NONE };
	struct start start;
	empty_index(out, bytes, space);
	const char *at = bytes.p, *end = cursor_of(bytes).end;
	if (!lex_start(&at, end, &start))
		return SIP_FAULT_NOT_SIP;
	out->start_line = start.line;
	out->method = start.method;
	out->ruri = start.ruri;
	out->reason = start.reason;
	out->status = start.status;
	out->method_id = start.method.n ? sip_method_of(start.method) : SIP_OTHER;
	if (start.why == SIP_FAULT_NOT_SIP || start.why == SIP_FAULT_BAD_STATUS)
		return start.why;
	fault(&s, start.why);
	if (bytes.n > MSG_MAX_BYTES)
		fault(&s, SIP_FAULT_TOO_LONG);

	if (headers(&s, &at, end)) {
		cut_body(&s, view_of(at, (size_t)(end - at)), stream);
		out->bytes.n = (size_t)(at - bytes.p) + out->body.n;
	} else {
		fault(&s, SIP_FAULT_NO_HEAD_END);
	}
	sequence(&s);
	if (out->first[HDR_CALL_ID] != SIP_NO_HDR)
		out->call_id = sip_first(out, HDR_CALL_ID)->value;
	out->from_ok = party(out, HDR_FROM, &out->from_uri, &out->from_tag);
	out->to_ok = party(out, HDR_TO, &out->to_uri, &out->to_tag);
	return s.why;
}

uint16_t sip_find(const struct sip_msg *m, struct view name, uint16_t from)
{
	name = view_trim(name);
	enum sip_hdr_id id = sip_hdr_id(name);
	uint16_t i = id == HDR_OTHER ? m->first_other : m->first[id];
	while (i != SIP_NO_HDR && (i < from || (id == HDR_OTHER && !lex_same(m->hdr[i].name, name))))
		i = m->hdr[i].next_same;
	return i;
}

/* ---- walking elements over all headers of an id ---- */

struct sip_walk sip_walk(const struct sip_msg *m, enum sip_hdr_id id)
{
	const struct sip_hdr *h = sip_first(m, id);
	return (struct sip_walk){ m, h, h ? h->value : VIEW_NONE };
}

/* Step over headers whose elements are used up; false at the end.  An empty value holds no element. */
static bool walk_on(struct sip_walk *w)
{
	while (w->h && !w->rest.n) {
		w->h = sip_next(w->m, w->h);
		w->rest = w->h ? w->h->value : VIEW_NONE;
	}
	return w->h != NULL;
}

enum sip_status sip_walk_nameaddr(struct sip_walk *w, struct sip_nameaddr *out, const struct sip_hdr **hdr)
{
	if (!walk_on(w))
		return SIP_MORE;
	if (hdr)
		*hdr = w->h;
	return sip_nameaddr_next(&w->rest, out);
}

enum sip_status sip_walk_via(struct sip_walk *w, struct sip_via *out, const struct sip_hdr **hdr)
{
	if (!walk_on(w))
		return SIP_MORE;
	if (hdr)
		*hdr = w->h;
	return sip_via_next(&w->rest, out);
}

bool sip_top_via(const struct sip_msg *m, struct sip_via *out)
{
	struct sip_walk w = sip_walk(m, HDR_VIA);
	return sip_walk_via(&w, out, NULL) == SIP_OK;
}

static bool the_one(const struct sip_msg *m, enum sip_hdr_id id, struct sip_nameaddr *out)
{
	const struct sip_hdr *h = sip_first(m, id);
	if (!h)
		return false;
	struct view rest = h->value;
	return sip_nameaddr_next(&rest, out) == SIP_OK && !rest.n && !out->star;
}

bool sip_from(const struct sip_msg *m, struct sip_nameaddr *out)
{
	return the_one(m, HDR_FROM, out);
}

bool sip_to(const struct sip_msg *m, struct sip_nameaddr *out)
{
	return the_one(m, HDR_TO, out);
}
