/* Variables that read the received message: they see what arrived, never the edits (opensips-language.md 10.1, 10.2). */
#include "script/rows.h"

int var_word(const struct view *table, size_t n, struct view name)
{
	for (size_t i = 0; i < n; i++)
		if (view_is_ci(table[i], name))
			return (int)i;
	return -1;
}

bool var_join(struct run *r, const struct var_use *u, struct value *out, bool (*one)(struct run *, const struct var_use *, int, struct value *))
{
	struct value v;
	size_t cap = 0;
	int n = 0;

	if (u->kind != IDX_ALL)
		return one(r, u, u->kind == IDX_NONE ? 0 : u->index, out);
	for (; one(r, u, n, &v); n++)
		cap += v.s.n + 2;
	char *room = n ? arena_alloc(r->tmp, cap) : NULL;
	struct out o = out_to(room, cap);
	if (!room)
		return false;
	for (int i = 0; i < n && one(r, u, i, &v); i++) {
		if (i)
			put(&o, VIEW(", "));
		put(&o, v.s);
	}
	must(!o.full);
	*out = value_str(out_view(&o));
	return true;
}

/* What a stranger folded is one line to a script: a line end in a value could begin a header of his own where the script writes it. */
static bool unfolded(struct run *r, struct value *out, struct view v)
{
	if (!v.n || !memchr(v.p, '\n', v.n))
		return var_text(out, v);

	char      *p = arena_alloc(r->tmp, v.n);
	struct out o = out_to(p, p ? v.n : 0);

	if (!p)
		return false;
	sip_unfold(v, &o);
	return var_text(out, out_view(&o));
}

/* ---- From, To ------------------------------------------------------------------------------------------------------ */

static bool address_of(bool (*which)(const struct sip_msg *, struct sip_nameaddr *), struct run *r, struct sip_nameaddr *na, struct sip_uri *u)
{
	return r->msg && which(&r->msg->sip, na) && (!u || sip_uri_parse(na->uri, u));
}
#define PARTY(party) \
	bool get_##party##_uri(struct run *r, const struct var_use *use, struct value *out) \
	{ struct sip_nameaddr na; return address_of(sip_##party, r, &na, NULL) && var_text(out, na.uri); } \
	bool get_##party##_name(struct run *r, const struct var_use *use, struct value *out) \
	{ struct sip_nameaddr na; return address_of(sip_##party, r, &na, NULL) && unfolded(r, out, na.display); } \
	bool get_##party##_user(struct run *r, const struct var_use *use, struct value *out) \
	{ struct sip_nameaddr na; struct sip_uri u; return address_of(sip_##party, r, &na, &u) && var_text(out, u.user); } \
	bool get_##party##_host(struct run *r, const struct var_use *use, struct value *out) \
	{ struct sip_nameaddr na; struct sip_uri u; return address_of(sip_##party, r, &na, &u) && var_text(out, u.host); } \
	bool get_##party##_tag(struct run *r, const struct var_use *use, struct value *out) \
	{ return r->msg && var_text(out, r->msg->sip.party##_tag); }
PARTY(from)
PARTY(to)

/* ---- start line and simple headers ---------------------------------------------------------------------------------- */

bool get_method(struct run *r, const struct var_use *u, struct value *out)
{
	if (!r->msg)
		return false;
	struct view text = sip_is_request(&r->msg->sip) ? r->msg->sip.method : r->msg->sip.cseq_method;
	if (!text.n)
		return false;
	*out = value_str_int(text, (int32_t)r->msg->sip.method_id);
	return true;
}

bool get_status(struct run *r, const struct var_use *u, struct value *out)
{
	return r->msg && r->msg->sip.status && var_int(r, out, r->msg->sip.status);
}

bool get_reason(struct run *r, const struct var_use *u, struct value *out)
{
	return r->msg && r->msg->sip.status && var_text(out, r->msg->sip.reason);
}

bool get_call_id(struct run *r, const struct var_use *u, struct value *out)
{
	return r->msg && var_text(out, r->msg->sip.call_id);
}

bool get_cseq(struct run *r, const struct var_use *u, struct value *out)
{
	return r->msg && r->msg->sip.first[HDR_CSEQ] != SIP_NO_HDR && var_text(out, arena_fmt(r->tmp, "%u", r->msg->sip.cseq));
}

static bool header_text(struct run *r, enum sip_hdr_id id, struct value *out)
{
	const struct sip_hdr *h = r->msg ? sip_first(&r->msg->sip, id) : NULL;

	return h && unfolded(r, out, h->value);
}

bool get_content_length(struct run *r, const struct var_use *u, struct value *out)
{
	struct value text;
	uint32_t n;

	return header_text(r, HDR_CONTENT_LENGTH, &text) && view_u32(text.s, &n) && var_int(r, out, n);
}
bool get_content_type(struct run *r, const struct var_use *u, struct value *out) { return header_text(r, HDR_CONTENT_TYPE, out); }
bool get_user_agent(struct run *r, const struct var_use *u, struct value *out) { return header_text(r, HDR_USER_AGENT, out); }
bool get_body(struct run *r, const struct var_use *u, struct value *out) { return r->msg && var_text(out, r->msg->sip.body); }
bool get_msg_text(struct run *r, const struct var_use *u, struct value *out) { return r->msg && var_text(out, r->msg->sip.bytes); }
bool get_msg_len(struct run *r, const struct var_use *u, struct value *out) { return r->msg && var_int(r, out, (int64_t)r->msg->sip.bytes.n); }
bool get_msg_id(struct run *r, const struct var_use *u, struct value *out) { return r->msg && var_int(r, out, r->msg->id); }
bool get_msg_is_request(struct run *r, const struct var_use *u, struct value *out) { return r->msg && var_int(r, out, sip_is_request(&r->msg->sip)); }

bool get_msg_type(struct run *r, const struct var_use *u, struct value *out)
{
	return r->msg && var_text(out, sip_is_request(&r->msg->sip) ? VIEW("request") : VIEW("reply"));
}

/* ---- Contact --------------------------------------------------------------------------------------------------------- */

static bool nth_nameaddr(struct run *r, enum sip_hdr_id id, int index, struct sip_nameaddr *na)
{
	struct sip_walk w;

	if (!r->msg)
		return false;
	if (index < 0) {
		int n = 0;
		for (w = sip_walk(&r->msg->sip, id); sip_walk_nameaddr(&w, na, NULL) == SIP_OK; )
			n++;
		index += n;
	}
	w = sip_walk(&r->msg->sip, id);
	for (int i = 0; index >= 0 && sip_walk_nameaddr(&w, na, NULL) == SIP_OK; i++)
		if (i == index)
			return true;
	return false;
}

static bool one_contact(struct run *r, const struct var_use *u, int index, struct value *out)
{
	struct sip_nameaddr na;

	return nth_nameaddr(r, HDR_CONTACT, index, &na) && unfolded(r, out, na.whole);
}

static bool one_path(struct run *r, const struct var_use *u, int index, struct value *out)
{
	struct sip_nameaddr na;

	return nth_nameaddr(r, HDR_PATH, index, &na) && unfolded(r, out, na.whole);
}
bool get_path(struct run *r, const struct var_use *u, struct value *out)
{
	if (r->route && r->route->path.n && u->kind == IDX_NONE)
		return var_text(out, r->route->path);
	return var_join(r, u, out, one_path);
}

bool get_contact(struct run *r, const struct var_use *u, struct value *out) { return var_join(r, u, out, one_contact); }

static const struct view contact_fields[] = { VIEW_INIT("name"), VIEW_INIT("uri"), VIEW_INIT("q"), VIEW_INIT("expires"), VIEW_INIT("methods"),
	VIEW_INIT("received"), VIEW_INIT("params") };
enum { CONTACT_NAME, CONTACT_URI, CONTACT_PARAMS = 6 };

bool bind_field_contact(struct script_load *l, struct view sub, int64_t *bound, struct out *err)
{
	*bound = var_word(contact_fields, COUNT_OF(contact_fields), sub);
	if (*bound >= 0)
		return true;
	putf(err, "unknown Contact field \"" VIEW_FMT "\"; there are name, uri, q, expires, methods, received, params", VIEW_ARG(sub));
	return false;
}

static bool one_contact_field(struct run *r, const struct var_use *u, int index, struct value *out)
{
	struct sip_nameaddr na;
	struct view value;
	int field = u->bound < 0 ? var_word(contact_fields, COUNT_OF(contact_fields), u->sub) : (int)u->bound;

	if (field < 0 || !nth_nameaddr(r, HDR_CONTACT, index, &na))
		return false;
	switch (field) {
	case CONTACT_NAME:   return unfolded(r, out, na.display);
	case CONTACT_URI:    return var_text(out, na.uri);
	case CONTACT_PARAMS: return unfolded(r, out, na.params);
	default:             return sip_param(na.params, contact_fields[field], &value) && unfolded(r, out, var_unquoted(value));
	}
}
bool get_contact_fields(struct run *r, const struct var_use *u, struct value *out) { return var_join(r, u, out, one_contact_field); }

/* ---- any header --------------------------------------------------------------------------------------------------------- */

bool bind_hdr(struct script_load *l, struct view sub, int64_t *bound, struct out *err)
{
	if (!sip_token(sub)) {
		putf(err, "\"" VIEW_FMT "\" cannot be a header name", VIEW_ARG(sub));
		return false;
	}
	*bound = sip_hdr_id(sub);
	return true;
}

static const struct sip_hdr *header_at(struct run *r, const struct var_use *u, int index)
{
	const struct sip_msg *m = r->msg ? &r->msg->sip : NULL;
	uint16_t at = 0;
	int n = 0;

	if (!m)
		return NULL;
	if (index < 0) {
		for (at = sip_find(m, u->sub, 0); at != SIP_NO_HDR; at = sip_find(m, u->sub, (uint16_t)(at + 1)))
			n++;
		index += n;
		if (index < 0)
			return NULL;
	}
	if (u->bound >= 0 && u->bound < HDR_COUNT) {
		const struct sip_hdr *h = sip_first(m, (enum sip_hdr_id)u->bound);
		while (h && index-- > 0)
			h = sip_next(m, h);
		return h;
	}
	at = sip_find(m, u->sub, 0);
	while (at != SIP_NO_HDR && index-- > 0)
		at = sip_find(m, u->sub, (uint16_t)(at + 1));
	return at == SIP_NO_HDR ? NULL : &m->hdr[at];
}

static bool one_hdr(struct run *r, const struct var_use *u, int index, struct value *out)
{
	const struct sip_hdr *h = header_at(r, u, index);

	if (!h)
		return false;
	*out = value_str(VIEW(""));
	return !h->value.n || unfolded(r, out, h->value);
}
bool get_hdr(struct run *r, const struct var_use *u, struct value *out) { return var_join(r, u, out, one_hdr); }

bool get_hdrcnt(struct run *r, const struct var_use *u, struct value *out)
{
	int n = 0;

	if (!r->msg)
		return false;
	for (uint16_t at = sip_find(&r->msg->sip, u->sub, 0); at != SIP_NO_HDR; at = sip_find(&r->msg->sip, u->sub, (uint16_t)(at + 1)))
		n++;
	return var_int(r, out, n);
}

static bool one_hdr_name(struct run *r, const struct var_use *u, int index, struct value *out)
{
	if (index < 0)
		index += r->msg->sip.nhdr;
	return index >= 0 && index < r->msg->sip.nhdr && var_text(out, r->msg->sip.hdr[index].name);
}
bool get_hdr_name(struct run *r, const struct var_use *u, struct value *out) { return r->msg && var_join(r, u, out, one_hdr_name); }

/* ---- identity ---------------------------------------------------------------------------------------------------------------- */

static bool identity(struct run *r, enum sip_hdr_id id, struct sip_nameaddr *na, struct sip_uri *u)
{
	return nth_nameaddr(r, id, 0, na) && (!u || sip_uri_parse(na->uri, u));
}
#define IDENTITY(name, id, expr, with_uri) \
	bool get_##name(struct run *r, const struct var_use *use, struct value *out) \
	{ struct sip_nameaddr na; struct sip_uri u; (void)u; return identity(r, id, &na, with_uri) && (expr); }
IDENTITY(pai_uri, HDR_P_ASSERTED_IDENTITY, var_text(out, na.uri), NULL)
IDENTITY(ppi_uri, HDR_P_PREFERRED_IDENTITY, var_text(out, na.uri), NULL)
IDENTITY(ppi_name, HDR_P_PREFERRED_IDENTITY, unfolded(r, out, na.display), NULL)
IDENTITY(ppi_user, HDR_P_PREFERRED_IDENTITY, var_text(out, u.user), &u)
IDENTITY(ppi_host, HDR_P_PREFERRED_IDENTITY, var_text(out, u.host), &u)
IDENTITY(rpid_uri, HDR_REMOTE_PARTY_ID, var_text(out, na.uri), NULL)
IDENTITY(diversion, HDR_DIVERSION, var_text(out, na.uri), NULL)
IDENTITY(refer_to, HDR_REFER_TO, var_text(out, na.uri), NULL)

static bool diversion_param(struct run *r, struct view name, struct value *out)
{
	struct sip_nameaddr na;
	struct view value;

	return identity(r, HDR_DIVERSION, &na, NULL) && sip_param(na.params, name, &value) && unfolded(r, out, var_unquoted(value));
}
bool get_diversion_reason(struct run *r, const struct var_use *u, struct value *out) { return diversion_param(r, VIEW("reason"), out); }
bool get_diversion_privacy(struct run *r, const struct var_use *u, struct value *out) { return diversion_param(r, VIEW("privacy"), out); }

/* ---- credentials (Proxy-Authorization before Authorization; NULL in ACK and CANCEL) --------------------------------------------- */

static bool credential(struct run *r, struct view name, struct view *value)
{
	if (!r->msg || r->msg->sip.method_id == SIP_ACK || r->msg->sip.method_id == SIP_CANCEL)
		return false;
	const struct sip_hdr *h = sip_first(&r->msg->sip, HDR_PROXY_AUTHORIZATION);
	if (!h)
		h = sip_first(&r->msg->sip, HDR_AUTHORIZATION);
	if (!h)
		return false;
	/* The scheme ends at a blank, which may be a tab or a fold. */
	struct view rest = h->value, item;
	while (rest.n && !memchr(" \t\r\n", rest.p[0], 4))
		rest = view_from(rest, 1);
	while (sip_list_next(&rest, &item)) {
		struct view word = view_trim(view_cut(&item, '='));
		if (!view_is_ci(word, name))
			continue;
		*value = var_unquoted(view_trim(item));
		return true;
	}
	return false;
}

static bool credential_text(struct run *r, struct view name, struct value *out)
{
	struct view v;

	return credential(r, name, &v) && unfolded(r, out, v);
}
bool get_auth_whole(struct run *r, const struct var_use *u, struct value *out) { return credential_text(r, VIEW("username"), out); }
bool get_auth_realm(struct run *r, const struct var_use *u, struct value *out) { return credential_text(r, VIEW("realm"), out); }
bool get_auth_uri(struct run *r, const struct var_use *u, struct value *out) { return credential_text(r, VIEW("uri"), out); }
bool get_auth_nonce(struct run *r, const struct var_use *u, struct value *out) { return credential_text(r, VIEW("nonce"), out); }

bool get_auth_user(struct run *r, const struct var_use *u, struct value *out)
{
	struct view v;

	return credential(r, VIEW("username"), &v) && var_text(out, view_sub(v, 0, view_find(v, '@')));
}

bool get_auth_domain(struct run *r, const struct var_use *u, struct value *out)
{
	struct view v;

	if (!credential(r, VIEW("username"), &v))
		return false;
	view_cut(&v, '@');
	return var_text(out, v);
}

#define AUTH_FIELD(name, word) \
	bool get_auth_##name(struct run *r, const struct var_use *u, struct value *out) { return credential_text(r, VIEW(word), out); }
AUTH_FIELD(resp, "response")
AUTH_FIELD(cnonce, "cnonce")
AUTH_FIELD(opaque, "opaque")
AUTH_FIELD(alg, "algorithm")
AUTH_FIELD(qop, "qop")
AUTH_FIELD(nc, "nc")

bool get_acc_user(struct run *r, const struct var_use *u, struct value *out)
{
	struct view user, realm;
	struct sip_nameaddr na;
	struct sip_uri uri;

	if (credential(r, VIEW("username"), &user) && credential(r, VIEW("realm"), &realm))
		return var_text(out, arena_fmt(r->tmp, VIEW_FMT "@" VIEW_FMT, VIEW_ARG(user), VIEW_ARG(realm)));
	return address_of(sip_from, r, &na, &uri)
	       && var_text(out, arena_fmt(r->tmp, VIEW_FMT "@" VIEW_FMT, VIEW_ARG(uri.user), VIEW_ARG(uri.host)));
}
