/* sipmsg_validate(): one row per finding, in the order in which they are looked for; the first one is the answer. */
#include "mod/sipmsgops/sipmsgops.h"

struct wish { bool sdp, headers, no_max_forwards, ruri, from, to, contact; };
struct seen { const struct msg *m; const struct sip_msg *s; struct run *r; struct wish want; };
enum { VALID = 1, V_NOT_SIP = -1, V_HEADERS = -2, V_CALL_ID = -3, V_NO_LENGTH = -4, V_LENGTH = -5, V_SDP = -6, V_CSEQ = -7, V_FROM = -8,
	V_TO = -9, V_VIA = -10, V_RURI = -11, V_RURI_HOST = -12, V_MAX_FORWARDS = -13, V_CONTACT = -14, V_PATH = -15, V_ALLOW = -16,
	V_MIN_EXPIRES = -17, V_PROXY_AUTH = -18, V_UNSUPPORTED = -19, V_WWW_AUTH = -20, V_TYPE = -21, V_TO_PARSE = -22, V_TO_HOST = -23,
	V_FROM_PARSE = -24, V_FROM_HOST = -25, V_CONTACT_PARSE = -26, V_RURI_USER = -27, V_FROM_USER = -28, V_TO_USER = -29, V_STAR = -30,
	V_OTHER = -255 };

static bool is_stream_transport(const struct msg *m) { return m->origin.transport == TR_TCP || m->origin.transport == TR_TLS; }

/* A domain name or an address, as RFC 3261 25.1 writes a host. */
static bool host_fine(struct view host)
{
	struct addr ip;

	if (sip_host_ip(host, &ip))
		return true;
	if (!host.n || host.p[0] == '-' || host.p[0] == '.')
		return false;
	for (size_t i = 0; i < host.n; i++) {
		char c = ascii_lower(host.p[i]);
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || (c == '.' && host.p[i - 1] != '.')))
			return false;
	}
	return true;
}

/* user of RFC 3261 25.1: unreserved, escaped, user-unreserved. */
static bool user_fine(struct view user)
{
	static const struct view marks = VIEW_INIT("-_.!~*'()&=+$,;?/");

	for (size_t i = 0; i < user.n; i++) {
		char c = ascii_lower(user.p[i]);
		if (c == '%' && i + 2 < user.n && hex_value(user.p[i + 1]) >= 0 && hex_value(user.p[i + 2]) >= 0)
			i += 2;
		else if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || view_find(marks, c) < marks.n))
			return false;
	}
	return true;
}

static bool sip_like(const struct sip_uri *u) { return u->scheme == SCHEME_SIP || u->scheme == SCHEME_SIPS; }

static int check_uri(struct view uri, bool wants_host, int parse, int host, int user)
{
	struct sip_uri u;

	if (!sip_uri_parse(uri, &u))
		return parse;
	if (!sip_like(&u))
		return VALID;
	if (wants_host && !host_fine(u.host))
		return host;
	return user_fine(u.user) ? VALID : user;
}

static int check_party(const struct seen *x, enum sip_hdr_id id, bool wants_host, int parse, int host, int user)
{
	const struct sip_hdr *h = sip_first(x->s, id);
	struct view           rest = h ? h->value : VIEW_NONE;
	struct sip_nameaddr   who;

	if (!h || sip_nameaddr_next(&rest, &who) != SIP_OK)
		return parse;
	return check_uri(who.uri, wants_host, parse, host, user);
}

static int look_present(const struct seen *x)
{
	static const struct { enum sip_hdr_id id; int why; } rows[] = {
		{ HDR_CALL_ID, V_CALL_ID }, { HDR_CSEQ, V_CSEQ }, { HDR_FROM, V_FROM }, { HDR_TO, V_TO }, { HDR_VIA, V_VIA },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (!sip_first(x->s, rows[i].id))
			return rows[i].why;
	return VALID;
}

static int look_headers(const struct seen *x)
{
	return !x->want.headers || sip_validate(x->s) == SIP_FAULT_NONE ? VALID : V_HEADERS;
}

static int look_length(const struct seen *x)
{
	const struct sip_hdr *h = sip_first(x->s, HDR_CONTENT_LENGTH);
	uint32_t              n;

	if (!h)
		return is_stream_transport(x->m) ? V_NO_LENGTH : VALID;
	return view_u32(h->value, &n) && n == x->s->body.n ? VALID : V_LENGTH;
}

static int look_body(const struct seen *x)
{
	const struct sip_hdr *h = sip_first(x->s, HDR_CONTENT_TYPE);

	if (!x->s->body.n)
		return VALID;
	if (!h)
		return V_TYPE;
	struct view sdp;
	if (x->want.sdp && body_find(x->r, VIEW("application/sdp"), &sdp) && !sdp_fine(sdp))
		return V_SDP;
	return VALID;
}

static int look_ruri(const struct seen *x)
{
	return sip_is_request(x->s) ? check_uri(x->s->ruri, x->want.ruri, V_RURI, V_RURI_HOST, V_RURI_USER) : VALID;
}

static int look_parties(const struct seen *x)
{
	int to = check_party(x, HDR_TO, x->want.to, V_TO_PARSE, V_TO_HOST, V_TO_USER);

	return to != VALID ? to : check_party(x, HDR_FROM, x->want.from, V_FROM_PARSE, V_FROM_HOST, V_FROM_USER);
}

/* Contact: where a dialog needs one (RFC 3261 8.1.1.8, 13.2.2.4), and "*" only in REGISTER (10.2.2). */
static int look_contact(const struct seen *x)
{
	static const unsigned target = SIP_INVITE | SIP_SUBSCRIBE | SIP_REFER | SIP_UPDATE;
	const struct sip_hdr *h = sip_first(x->s, HDR_CONTACT);
	bool                  needs = x->s->method_id & target && (sip_is_request(x->s) || (x->s->method_id == SIP_INVITE && x->s->status / 100 == 2));
	struct sip_walk       walk = sip_walk(x->s, HDR_CONTACT);
	struct sip_nameaddr   who;
	enum sip_status       st;

	if (!h)
		return needs ? V_CONTACT : VALID;
	while ((st = sip_walk_nameaddr(&walk, &who, NULL)) == SIP_OK) {
		if (who.star && x->s->method_id != SIP_REGISTER)
			return V_STAR;
		if (x->want.contact && !who.star && check_uri(who.uri, true, V_CONTACT_PARSE, V_CONTACT_PARSE, V_CONTACT_PARSE) != VALID)
			return V_CONTACT_PARSE;
	}
	return st == SIP_BAD ? V_CONTACT_PARSE : VALID;
}

static int look_request(const struct seen *x)
{
	if (!sip_is_request(x->s))
		return VALID;
	if (!x->want.no_max_forwards && !sip_first(x->s, HDR_MAX_FORWARDS))
		return V_MAX_FORWARDS;
	return sip_first(x->s, HDR_PATH) && x->s->method_id != SIP_REGISTER ? V_PATH : VALID;
}

/* What a reply of that status must carry (RFC 3261 20.5, 20.23, 20.27, 20.40, 20.44). */
static int look_reply(const struct seen *x)
{
	static const struct { uint16_t status; enum sip_hdr_id id; int why; } rows[] = {
		{ 405, HDR_ALLOW, V_ALLOW }, { 423, HDR_MIN_EXPIRES, V_MIN_EXPIRES }, { 407, HDR_PROXY_AUTHENTICATE, V_PROXY_AUTH },
		{ 420, HDR_UNSUPPORTED, V_UNSUPPORTED }, { 401, HDR_WWW_AUTHENTICATE, V_WWW_AUTH },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (x->s->status == rows[i].status && !sip_first(x->s, rows[i].id))
			return rows[i].why;
	return VALID;
}

static const struct { int code; struct view text; } texts[] = {
	{ V_NOT_SIP, VIEW_INIT("not a SIP message") }, { V_HEADERS, VIEW_INIT("a header does not parse") },
	{ V_CALL_ID, VIEW_INIT("no Call-ID") }, { V_NO_LENGTH, VIEW_INIT("no Content-Length on a stream") },
	{ V_LENGTH, VIEW_INIT("Content-Length differs from the body") }, { V_SDP, VIEW_INIT("the session description does not parse") },
	{ V_CSEQ, VIEW_INIT("no CSeq") }, { V_FROM, VIEW_INIT("no From") }, { V_TO, VIEW_INIT("no To") }, { V_VIA, VIEW_INIT("no Via") },
	{ V_RURI, VIEW_INIT("the request URI does not parse") }, { V_RURI_HOST, VIEW_INIT("bad host in the request URI") },
	{ V_MAX_FORWARDS, VIEW_INIT("no Max-Forwards") }, { V_CONTACT, VIEW_INIT("no Contact") }, { V_PATH, VIEW_INIT("Path outside REGISTER") },
	{ V_ALLOW, VIEW_INIT("405 without Allow") }, { V_MIN_EXPIRES, VIEW_INIT("423 without Min-Expires") },
	{ V_PROXY_AUTH, VIEW_INIT("407 without Proxy-Authenticate") }, { V_UNSUPPORTED, VIEW_INIT("420 without Unsupported") },
	{ V_WWW_AUTH, VIEW_INIT("401 without WWW-Authenticate") }, { V_TYPE, VIEW_INIT("a body without Content-Type") },
	{ V_TO_PARSE, VIEW_INIT("To does not parse") }, { V_TO_HOST, VIEW_INIT("bad host in To") },
	{ V_FROM_PARSE, VIEW_INIT("From does not parse") }, { V_FROM_HOST, VIEW_INIT("bad host in From") },
	{ V_CONTACT_PARSE, VIEW_INIT("Contact does not parse") }, { V_RURI_USER, VIEW_INIT("bad user in the request URI") },
	{ V_FROM_USER, VIEW_INIT("bad user in From") }, { V_TO_USER, VIEW_INIT("bad user in To") },
	{ V_STAR, VIEW_INIT("Contact * outside REGISTER") },
};

static struct wish wish_of(struct view letters)
{
	struct wish w = { 0 };

	for (size_t i = 0; i < letters.n; i++) {
		char c = letters.p[i];
		w.sdp |= c == 's';
		w.headers |= c == 'h';
		w.no_max_forwards |= c == 'm';
		w.ruri |= c == 'r';
		w.from |= c == 'f';
		w.to |= c == 't';
		w.contact |= c == 'c';
	}
	return w;
}

int f_sipmsg_validate(struct run *r, const struct arg *a)
{
	static int (*const looks[])(const struct seen *) = {
		look_present, look_headers, look_length, look_body, look_ruri, look_request, look_contact, look_parties, look_reply,
	};
	const struct seen x = { r->msg, &r->msg->sip, r, wish_of(a[0].given ? a[0].s : VIEW("")) };
	int               rc = VALID;

	for (size_t i = 0; i < COUNT_OF(looks) && rc == VALID; i++)
		rc = looks[i](&x);
	for (size_t i = 0; rc != VALID && a[1].given && i < COUNT_OF(texts); i++)
		if (texts[i].code == rc) {
			const struct value v = value_str(texts[i].text);
			lvalue_set(r, a[1].var, &v);
		}
	return rc;
}
