/* Transformations that take SIP values and addresses apart: {uri.*} {via.*} {nameaddr.*} {ip.*} {sdp.*}; opensips-language.md 11. */
#include "script/rows.h"

/* An empty part of a parsed value is an absent one: NULL. */
static bool part(struct value *v, struct view s)
{
	return s.n > 0 && transform_set(v, s);
}

static bool port_part(struct value *v, struct view text, uint16_t number)
{
	if (!text.n)
		return false;
	*v = value_str_int(text, number);
	v->flags |= V_NATIVE;
	return true;
}

#define URI_PART(name, field) \
	bool name(struct run *r, struct value *v, const struct value *a, int n) \
	{ struct sip_uri u; return sip_uri_parse(v->s, &u) && part(v, u.field); }
URI_PART(uri_user, user)
URI_PART(uri_host, host)
URI_PART(uri_passwd, password)
URI_PART(uri_params, params)
URI_PART(uri_headers, headers)
URI_PART(uri_transport, transport)
URI_PART(uri_ttl, ttl)
URI_PART(uri_uparam, user_param)
URI_PART(uri_maddr, maddr)
URI_PART(uri_method, method)
URI_PART(uri_r2, r2)
URI_PART(uri_schema, scheme_text)

bool uri_port(struct run *r, struct value *v, const struct value *a, int n)
{
	struct sip_uri u;

	return sip_uri_parse(v->s, &u) && port_part(v, u.port_text, u.port);
}

bool uri_param(struct run *r, struct value *v, const struct value *a, int n)
{
	struct sip_uri u;
	struct view value;

	return sip_uri_parse(v->s, &u) && sip_param(u.params, a[0].s, &value) && transform_set(v, value.p ? value : VIEW(""));
}

bool uri_lr(struct run *r, struct value *v, const struct value *a, int n)
{
	struct sip_uri u;
	struct view value;

	return sip_uri_parse(v->s, &u) && sip_param(u.params, VIEW("lr"), &value) && transform_set(v, value.p ? value : VIEW(""));
}

static bool via_of(const struct value *v, struct sip_via *out)
{
	struct view rest = v->s;

	return sip_via_next(&rest, out) == SIP_OK;
}
#define VIA_PART(name, field) \
	bool name(struct run *r, struct value *v, const struct value *a, int n) \
	{ struct sip_via x; return via_of(v, &x) && part(v, x.field); }
VIA_PART(via_transport, transport_text)
VIA_PART(via_host, host)
VIA_PART(via_comment, comment)
VIA_PART(via_params, params)
VIA_PART(via_branch, branch)
VIA_PART(via_received, received)
VIA_PART(via_rport, rport_text)

bool via_port(struct run *r, struct value *v, const struct value *a, int n)
{
	struct sip_via x;

	return via_of(v, &x) && port_part(v, x.port_text, x.port);
}

bool via_param(struct run *r, struct value *v, const struct value *a, int n)
{
	struct sip_via x;
	struct view value;

	return via_of(v, &x) && sip_param(x.params, a[0].s, &value) && transform_value(v, value);
}

/* "SIP / 2.0 /": the words before and after the first slash. */
static bool via_word(struct value *v, bool version)
{
	struct sip_via x;

	if (!via_of(v, &x))
		return false;
	struct view rest = x.protocol, name = view_cut(&rest, '/');
	return part(v, view_trim(version ? view_cut(&rest, '/') : name));
}
bool via_name(struct run *r, struct value *v, const struct value *a, int n) { return via_word(v, false); }
bool via_version(struct run *r, struct value *v, const struct value *a, int n) { return via_word(v, true); }

/* Element of a list: the index of {nameaddr.<index>.part} stands behind the `own` arguments of the part; without one, the first. */
static bool nameaddr_of(const struct value *v, const struct value *a, int n, int own, struct sip_nameaddr *out)
{
	struct view rest = v->s;
	int64_t want = 0;

	if (n > own && !transform_index(&a[own], &want))
		return false;
	if (want < 0)
		while (sip_nameaddr_next(&rest, out) == SIP_OK)
			want++;
	for (rest = v->s; want >= 0 && sip_nameaddr_next(&rest, out) == SIP_OK; )
		if (want-- == 0)
			return true;
	return false;
}
#define NAMEADDR_PART(name, field) \
	bool name(struct run *r, struct value *v, const struct value *a, int n) \
	{ struct sip_nameaddr x; return nameaddr_of(v, a, n, 0, &x) && part(v, x.field); }
NAMEADDR_PART(nameaddr_name, display)
NAMEADDR_PART(nameaddr_uri, uri)
NAMEADDR_PART(nameaddr_params, params)

bool nameaddr_len(struct run *r, struct value *v, const struct value *a, int n)
{
	struct sip_nameaddr x;

	return nameaddr_of(v, a, n, 0, &x) && transform_int(r, v, (int64_t)x.whole.n);
}

bool nameaddr_param(struct run *r, struct value *v, const struct value *a, int n)
{
	struct sip_nameaddr x;
	struct view value;

	return nameaddr_of(v, a, n, 1, &x) && sip_param(x.params, a[0].s, &value) && transform_value(v, value);
}

/* ---- addresses -------------------------------------------------------------------------------------------------- */

bool ip_pton(struct run *r, struct value *v, const struct value *a, int n)
{
	struct addr x;

	return addr_parse_ip(v->s, &x) && transform_set(v, arena_copy(r->tmp, view_of((char *)x.ip, x.af == AF_V4 ? 4 : 16)));
}

static bool addr_of_bytes(struct view s, struct addr *out)
{
	if (s.n != 4 && s.n != 16)
		return false;
	*out = (struct addr){ .af = s.n == 4 ? AF_V4 : AF_V6 };
	memcpy(out->ip, s.p, s.n);
	return true;
}

bool ip_ntop(struct run *r, struct value *v, const struct value *a, int n)
{
	struct addr x;
	char text[ADDR_TEXT_MAX];

	return addr_of_bytes(v->s, &x) && transform_set(v, arena_copy(r->tmp, addr_ip_text(&x, text)));
}

bool ip_family(struct run *r, struct value *v, const struct value *a, int n)
{
	struct addr x;

	return addr_of_bytes(v->s, &x) && transform_set(v, x.af == AF_V4 ? VIEW("INET") : VIEW("INET6"));
}

static bool is_ip(struct run *r, struct value *v, int af)
{
	struct addr x;

	return transform_int(r, v, addr_parse_ip(v->s, &x) && (af == AF_NONE || x.af == af));
}
bool ip_isip(struct run *r, struct value *v, const struct value *a, int n) { return is_ip(r, v, AF_NONE); }
bool ip_isip4(struct run *r, struct value *v, const struct value *a, int n) { return is_ip(r, v, AF_V4); }
bool ip_isip6(struct run *r, struct value *v, const struct value *a, int n) { return is_ip(r, v, AF_V6); }

bool ip_matches(struct run *r, struct value *v, const struct value *a, int n)
{
	struct addr x;
	struct cidr net;

	if (!addr_parse_ip(v->s, &x) || !cidr_parse(a[0].s, &net))
		return false;
	addr_unmap(&x);
	return transform_int(r, v, cidr_has(&net, &x));
}

bool ip_isprivate(struct run *r, struct value *v, const struct value *a, int n)
{
	static const struct view nets[] = { VIEW_INIT("10.0.0.0/8"), VIEW_INIT("172.16.0.0/12"), VIEW_INIT("192.168.0.0/16"),
		VIEW_INIT("100.64.0.0/10"), VIEW_INIT("127.0.0.0/8") };
	struct addr x;
	struct cidr net;

	if (!addr_parse_ip(v->s, &x))
		return false;
	addr_unmap(&x);
	for (size_t i = 0; i < COUNT_OF(nets); i++) {
		must(cidr_parse(nets[i], &net));
		if (cidr_has(&net, &x))
			return transform_int(r, v, 1);
	}
	return transform_int(r, v, 0);
}

/* n-th line (0 first, negative from the end) of a body that begins with "<type>=". */
bool sdp_line(struct run *r, struct value *v, const struct value *a, int n)
{
	int64_t want = 0;

	if (a[0].s.n != 1 || (n > 1 && !transform_index(&a[1], &want)))
		return false;
	for (int pass = want < 0 ? 0 : 1; pass < 2; pass++) {
		struct view rest = v->s;
		int64_t i = 0;
		while (rest.n) {
			struct view line = view_cut(&rest, '\n');
			if (line.n && line.p[line.n - 1] == '\r')
				line.n--;
			if (line.n < 2 || line.p[0] != a[0].s.p[0] || line.p[1] != '=')
				continue;
			if (pass == 1 && i == want)
				return transform_set(v, line);
			i++;
		}
		want += pass == 0 ? i : 0;
	}
	return false;
}
