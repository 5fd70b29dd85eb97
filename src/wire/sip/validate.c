/* wire/sip/validate.c -- the deep check of a parsed message, once, before a script sees it: RFC 3261 8.1.1, 16.3, 20. */
#include "wire/sip/lex.h"

/* A URI as it stands in a header: ours must decode, a foreign scheme is somebody else's business (RFC 4475 3.3.4). */
static bool uri_ok(struct view v)
{
	struct sip_uri u;
	return sip_uri_parse(v, &u);
}

static bool version_ours(struct view protocol)
{
	return lex_same(protocol, VIEW("SIP/2.0")) || (view_ends(protocol, VIEW("2.0")) && view_starts_ci(protocol, VIEW("SIP")));
}

/* Where the walk over the Vias stands once the top one is decoded. */
static struct sip_walk below(const struct sip_msg *m, const struct sip_via *top)
{
	struct sip_walk w = sip_walk(m, HDR_VIA);
	struct cursor c = { top->whole.p + top->whole.n, w.rest.p + w.rest.n };
	lex_list_end(&c);
	w.rest = cursor_rest(&c);
	return w;
}

static enum sip_fault check_via(const struct sip_msg *m, const struct sip_via *top)
{
	struct sip_via via;
	enum sip_status st;
	unsigned count = 1;
	for (const struct sip_hdr *h = sip_first(m, HDR_VIA); h; h = sip_next(m, h))
		if (!h->value.n)
			return SIP_FAULT_BAD_VIA;
	if (!top || !version_ours(top->protocol))
		return SIP_FAULT_BAD_VIA;
	/* A cookie without an identifier would make all such requests one transaction: RFC 4475 3.2.1. */
	if (sip_is_request(m) && view_is_ci(top->branch, VIEW("z9hG4bK")))
		return SIP_FAULT_BAD_VIA;
	struct sip_walk w = below(m, top);
	for (; (st = sip_walk_via(&w, &via, NULL)) == SIP_OK; count++) {
		if (count == MSG_MAX_VIA)
			return SIP_FAULT_TOO_MANY;
		if (!version_ours(via.protocol))
			return SIP_FAULT_BAD_VIA;
	}
	return st == SIP_BAD ? SIP_FAULT_BAD_VIA : SIP_FAULT_NONE;
}

static enum sip_fault check_ruri(const struct sip_msg *m, const struct sip_uri *ruri)
{
	if (!ruri)
		return SIP_FAULT_BAD_URI;
	/* A Route names the next hop, and then the target's scheme is not ours to know. */
	if (ruri->scheme == SCHEME_OTHER && !sip_first(m, HDR_ROUTE))
		return SIP_FAULT_BAD_SCHEME;
	/* Headers in a Request-URI are not allowed, and must never become headers: RFC 4475 3.1.2.11. */
	return ruri->headers.p ? SIP_FAULT_BAD_URI : SIP_FAULT_NONE;
}

/* Two tags would let two readers see two dialogs. */
static enum sip_fault check_from_to(const struct sip_msg *m)
{
	bool fine = m->from_ok && m->to_ok && !m->tag_twice && uri_ok(m->from_uri) && uri_ok(m->to_uri);
	return fine ? SIP_FAULT_NONE : SIP_FAULT_BAD_FROM_TO;
}

static enum sip_fault check_call_id(const struct sip_msg *m)
{
	struct cursor c = cursor_of(m->call_id);
	return c.p != c.end && wide_scan(c.p, c.end, STOP_UNSEEN) == c.end ? SIP_FAULT_NONE : SIP_FAULT_BAD_CALL_ID;
}

/* "*" stands alone, and only in a REGISTER: RFC 3261 10.2.2. */
static enum sip_fault check_contact(const struct sip_msg *m)
{
	struct sip_walk w = sip_walk(m, HDR_CONTACT);
	struct sip_nameaddr who;
	enum sip_status st;
	bool star = false;
	unsigned count = 0;
	for (; (st = sip_walk_nameaddr(&w, &who, NULL)) == SIP_OK; count++) {
		star |= who.star;
		if (!who.star && !uri_ok(who.uri))
			return SIP_FAULT_BAD_CONTACT;
	}
	if (st == SIP_BAD || (star && (count > 1 || m->method_id != SIP_REGISTER)))
		return SIP_FAULT_BAD_CONTACT;
	return SIP_FAULT_NONE;
}

static enum sip_fault check_routes(const struct sip_msg *m)
{
	static const enum sip_hdr_id ids[] = { HDR_ROUTE, HDR_RECORD_ROUTE, HDR_PATH };
	for (size_t i = 0; i < COUNT_OF(ids); i++) {
		struct sip_walk w = sip_walk(m, ids[i]);
		struct sip_nameaddr hop;
		enum sip_status st;
		while ((st = sip_walk_nameaddr(&w, &hop, NULL)) == SIP_OK)
			if (hop.star || !uri_ok(hop.uri))
				return SIP_FAULT_BAD_HEADER;
		if (st == SIP_BAD)
			return SIP_FAULT_BAD_HEADER;
	}
	return SIP_FAULT_NONE;
}

static enum sip_fault check_numbers(const struct sip_msg *m)
{
	uint64_t number;
	const struct sip_hdr *h = sip_first(m, HDR_MAX_FORWARDS);
	if (h && !lex_number(h->value, 255, &number))
		return SIP_FAULT_BAD_MAX_FORWARDS;
	static const enum sip_hdr_id ids[] = { HDR_EXPIRES, HDR_MIN_EXPIRES, HDR_RSEQ };
	for (size_t i = 0; i < COUNT_OF(ids); i++) {
		h = sip_first(m, ids[i]);
		if (h && !lex_number(h->value, UINT32_MAX, &number))
			return SIP_FAULT_BAD_NUMBER;
	}
	return SIP_FAULT_NONE;
}

/* type "/" subtype and parameters: RFC 3261 20.15. */
static enum sip_fault check_content_type(const struct sip_msg *m)
{
	const struct sip_hdr *h = sip_first(m, HDR_CONTENT_TYPE);
	if (!h)
		return SIP_FAULT_NONE;
	struct cursor c = cursor_of(h->value);
	struct view name, value;
	if (!lex_run(&c, C_TOKEN).n || !lex_sep(&c, '/') || !lex_run(&c, C_TOKEN).n)
		return SIP_FAULT_BAD_HEADER;
	while (lex_sep(&c, ';'))
		if (!lex_param(&c, &name, &value))
			return SIP_FAULT_BAD_HEADER;
	return c.p == c.end ? SIP_FAULT_NONE : SIP_FAULT_BAD_HEADER;
}

static enum sip_fault check_present(const struct sip_msg *m)
{
	static const enum sip_hdr_id ids[] = { HDR_FROM, HDR_TO, HDR_CALL_ID, HDR_CSEQ };
	if (!sip_first(m, HDR_VIA))
		return SIP_FAULT_NO_VIA;
	for (size_t i = 0; i < COUNT_OF(ids); i++)
		if (!sip_first(m, ids[i]))
			return SIP_FAULT_MISSING;
	return SIP_FAULT_NONE;
}

enum sip_fault sip_validate_decoded(const struct sip_msg *m, const struct sip_via *top, const struct sip_uri *ruri)
{
	static enum sip_fault (*const checks[])(const struct sip_msg *) = {
		check_from_to, check_call_id, check_contact, check_routes, check_numbers, check_content_type,
	};
	/* In this order, so that the answer names the first thing a reader of the message would stumble over. */
	enum sip_fault why = check_present(m);
	if (!why)
		why = check_via(m, top);
	if (!why && sip_is_request(m))
		why = check_ruri(m, ruri);
	for (size_t i = 0; i < COUNT_OF(checks) && !why; i++)
		why = checks[i](m);
	return why;
}

enum sip_fault sip_validate(const struct sip_msg *m)
{
	struct sip_via top;
	struct sip_uri ruri;
	bool has_top = sip_top_via(m, &top), has_ruri = sip_is_request(m) && sip_uri_parse(m->ruri, &ruri);
	return sip_validate_decoded(m, has_top ? &top : NULL, has_ruri ? &ruri : NULL);
}

bool sip_answerable(const struct sip_msg *m)
{
	return sip_is_request(m) && m->method.n && m->method_id != SIP_ACK && !check_present(m);
}
