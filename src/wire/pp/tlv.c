/* wire/pp/tlv.c -- reading TLVs, and the facts of a header by name. */
#include "wire/pp/pp.h"
#include "base/base.h"

bool pp_tlv_next(struct view *rest, struct pp_tlv *out)
{
	const uint8_t *b = (const uint8_t *)rest->p;

	if (rest->n < 3)
		return false;
	size_t n = (size_t)b[1] << 8 | b[2];
	if (n > rest->n - 3)
		return false;
	*out = (struct pp_tlv){ b[0], { rest->p + 3, n } };
	rest->p += 3 + n;
	rest->n -= 3 + n;
	return true;
}

bool pp_tlv_find(struct view tlvs, uint8_t type, struct view *value)
{
	struct pp_tlv t;

	while (pp_tlv_next(&tlvs, &t)) {
		if (t.type == type) {
			*value = t.value;
			return true;
		}
	}
	return false;
}

static uint64_t get_be(struct view v)
{
	uint64_t x = 0;

	for (size_t i = 0; i < v.n; i++)
		x = x << 8 | (uint8_t)v.p[i];
	return x;
}

bool pp_ssl_get(struct view tlvs, struct pp_ssl *out)
{
	struct view v;

	if (!pp_tlv_find(tlvs, PP_TLV_SSL, &v) || v.n < 5)
		return false;
	out->client = (uint8_t)v.p[0];
	out->verify = (uint32_t)get_be(view_of(v.p + 1, 4));
	out->verified = (out->client & (PP_SSL_CERT_CONN | PP_SSL_CERT_SESS)) && out->verify == 0;
	out->subs = view_of(v.p + 5, v.n - 5);
	return true;
}

bool pp_aws_vpce(struct view tlvs, struct view *id)
{
	struct view v;

	if (!pp_tlv_find(tlvs, PP_TLV_AWS, &v) || v.n < 2 || v.p[0] != 0x01)
		return false;
	*id = view_of(v.p + 1, v.n - 1);
	return true;
}

bool pp_azure_linkid(struct view tlvs, uint32_t *id)
{
	struct view v;

	if (!pp_tlv_find(tlvs, PP_TLV_AZURE, &v) || v.n != 5 || v.p[0] != 0x01)
		return false;
	const uint8_t *b = (const uint8_t *)v.p + 1;             /* little endian, unlike everything around it */
	*id = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
	return true;
}

bool pp_gcp_psc(struct view tlvs, uint64_t *id)
{
	struct view v;

	if (!pp_tlv_find(tlvs, PP_TLV_GCP, &v) || v.n != 8)
		return false;
	*id = get_be(v);
	return true;
}

/* Length of the UTF-8 sequence at b (n bytes left) and its code point; 0 when it is not valid (RFC 3629 section 4). */
static size_t utf8_take(const uint8_t *b, size_t n, uint32_t *cp)
{
	static const struct { uint8_t mask, lead; uint32_t least; } forms[] = {
		{ 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 },
	};

	for (size_t k = 0; k < COUNT_OF(forms); k++) {
		if ((b[0] & forms[k].mask) != forms[k].lead)
			continue;
		if (n < k + 1)
			return 0;
		*cp = b[0] & (uint8_t)~forms[k].mask;
		for (size_t i = 1; i <= k; i++) {
			if ((b[i] & 0xc0) != 0x80)
				return 0;
			*cp = *cp << 6 | (b[i] & 0x3f);
		}
		bool surrogate = *cp >= 0xd800 && *cp <= 0xdfff;
		return *cp < forms[k].least || *cp > 0x10ffff || surrogate ? 0 : k + 1;
	}
	return 0;
}

bool pp_is_text(struct view v)
{
	const uint8_t *b = (const uint8_t *)v.p;
	uint32_t cp;

	for (size_t i = 0; i < v.n; ) {
		size_t k = utf8_take(b + i, v.n - i, &cp);
		if (!k || cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x2028 || cp == 0x2029)
			return false;
		i += k;
	}
	return true;
}

void pp_put_text_or_hex(struct out *o, struct view v)
{
	if (pp_is_text(v))
		put(o, v);
	else
		put_hex(o, v.p, v.n);
}

/* ---- fields by name ---- */

#define FIELD_ROW_(id, name) [PP_FIELD_##id] = VIEW_INIT(name),
static const struct view field_names[PP_FIELD_COUNT] = { PP_FIELDS(FIELD_ROW_) };
#undef FIELD_ROW_

/* "tlv(0xNN)" with one or two digits. */
static bool tlv_name_parse(struct view name, uint8_t *tlv)
{
	static const struct view head = VIEW_INIT("tlv(0x");
	unsigned value = 0;

	if (name.n < head.n + 2 || name.n > head.n + 3 || name.p[name.n - 1] != ')' ||
	    !view_is_ci(view_of(name.p, head.n), head))
		return false;
	for (size_t i = head.n; i + 1 < name.n; i++) {
		int h = hex_value(name.p[i]);
		if (h < 0)
			return false;
		value = value << 4 | (unsigned)h;
	}
	*tlv = (uint8_t)value;
	return true;
}

enum pp_field pp_field_parse(struct view name, uint8_t *tlv)
{
	for (int f = 0; f < PP_FIELD_TLV; f++)
		if (view_is_ci(name, field_names[f]))
			return (enum pp_field)f;
	return tlv_name_parse(name, tlv) ? PP_FIELD_TLV : PP_FIELD_COUNT;
}

static bool put_ip(struct out *o, const struct addr *a)
{
	char text[ADDR_TEXT_MAX];

	if (a->af == AF_NONE)
		return false;
	put(o, addr_ip_text(a, text));
	return true;
}

static bool put_port(struct out *o, const struct addr *a)
{
	if (a->af == AF_NONE)
		return false;
	put_u64(o, a->port);
	return true;
}

static bool put_af(struct out *o, const struct addr *a)
{
	if (a->af == AF_NONE)
		return false;
	put(o, a->af == AF_V4 ? VIEW("INET") : VIEW("INET6"));
	return true;
}

static bool put_text(struct out *o, struct view tlvs, uint8_t type)
{
	struct view v;

	if (!pp_tlv_find(tlvs, type, &v) || !pp_is_text(v))
		return false;
	put(o, v);
	return true;
}

static bool put_tlv(struct out *o, struct view tlvs, uint8_t type)
{
	struct view v;

	if (!pp_tlv_find(tlvs, type, &v))
		return false;
	pp_put_text_or_hex(o, v);
	return true;
}

static bool put_ssl(struct out *o, struct view tlvs, enum pp_field f)
{
	struct pp_ssl ssl;

	if (!pp_ssl_get(tlvs, &ssl))
		return false;
	switch (f) {
	case PP_FIELD_SSL_VERSION: return put_text(o, ssl.subs, PP_TLV_SSL_VERSION);
	case PP_FIELD_SSL_CN:      return put_text(o, ssl.subs, PP_TLV_SSL_CN);
	case PP_FIELD_SSL_CIPHER:  return put_text(o, ssl.subs, PP_TLV_SSL_CIPHER);
	default:                   put_char(o, ssl.verified ? '1' : '0'); return true;
	}
}

static bool put_vendor(struct out *o, struct view tlvs, enum pp_field f)
{
	struct view id;
	uint32_t link;
	uint64_t psc;

	if (f == PP_FIELD_AWS_VPCE && pp_aws_vpce(tlvs, &id) && pp_is_text(id))
		put(o, id);
	else if (f == PP_FIELD_AZURE_LINKID && pp_azure_linkid(tlvs, &link))
		put_u64(o, link);
	else if (f == PP_FIELD_GCP_PSC && pp_gcp_psc(tlvs, &psc))
		put_u64(o, psc);
	else
		return false;
	return true;
}

bool pp_field_put(struct out *o, const struct pp_info *info, enum pp_field f, uint8_t tlv)
{
	static const struct view versions[] = { VIEW_INIT(""), VIEW_INIT("1"), VIEW_INIT("2"), VIEW_INIT("spp") };
	static const struct view protos[] = { VIEW_INIT("UNSPEC"), VIEW_INIT("STREAM"), VIEW_INIT("DGRAM") };

	if (info->version == PP_NONE)
		return false;
	switch (f) {
	case PP_FIELD_SRC_IP:    return put_ip(o, &info->src);
	case PP_FIELD_SRC_PORT:  return put_port(o, &info->src);
	case PP_FIELD_DST_IP:    return put_ip(o, &info->dst);
	case PP_FIELD_DST_PORT:  return put_port(o, &info->dst);
	case PP_FIELD_AF:        return put_af(o, &info->src);
	case PP_FIELD_VERSION:   put(o, versions[info->version]); return true;
	case PP_FIELD_CMD:       put(o, info->cmd == PP_CMD_LOCAL ? VIEW("LOCAL") : VIEW("PROXY")); return true;
	case PP_FIELD_PROTO:     put(o, protos[info->proto]); return true;
	case PP_FIELD_AUTHORITY: return put_text(o, info->tlvs, PP_TLV_AUTHORITY);
	case PP_FIELD_ALPN:      return put_text(o, info->tlvs, PP_TLV_ALPN);
	case PP_FIELD_UNIQUE_ID: return put_tlv(o, info->tlvs, PP_TLV_UNIQUE_ID);
	case PP_FIELD_SSL_VERSION:
	case PP_FIELD_SSL_CN:
	case PP_FIELD_SSL_CIPHER:
	case PP_FIELD_SSL_VERIFIED:
		return put_ssl(o, info->tlvs, f);
	case PP_FIELD_AWS_VPCE:
	case PP_FIELD_AZURE_LINKID:
	case PP_FIELD_GCP_PSC:
		return put_vendor(o, info->tlvs, f);
	case PP_FIELD_TLV:
		return put_tlv(o, info->tlvs, tlv);
	case PP_FIELD_COUNT:
		break;
	}
	return false;
}
