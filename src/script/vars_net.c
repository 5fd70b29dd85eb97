/* Variables that say where a message came from and where it goes: both peers, always (design D4). */
#include "script/rows.h"

bool get_src_ip(struct run *r, const struct var_use *u, struct value *out)
{
	char text[ADDR_TEXT_MAX];

	return r->msg && msg_source(r->msg)->af && var_text(out, arena_copy(r->tmp, addr_ip_text(msg_source(r->msg), text)));
}

bool get_src_port(struct run *r, const struct var_use *u, struct value *out)
{
	return r->msg && msg_source(r->msg)->af && var_int(r, out, msg_source(r->msg)->port);
}

enum socket_field { SOCKET_WHOLE = -1, SOCKET_IP, SOCKET_PORT, SOCKET_PROTO, SOCKET_ADV_IP, SOCKET_ADV_PORT, SOCKET_TAG, SOCKET_ANYCAST, SOCKET_AF, SOCKET_FORCED };
static const struct view socket_fields[] = { VIEW_INIT("ip"), VIEW_INIT("port"), VIEW_INIT("proto"), VIEW_INIT("advertised_ip"), VIEW_INIT("advertised_port"),
	VIEW_INIT("tag"), VIEW_INIT("anycast"), VIEW_INIT("af"), VIEW_INIT("forced") };

bool bind_socket_field(struct script_load *l, struct view sub, int64_t *bound, struct out *err)
{
	*bound = var_word(socket_fields, COUNT_OF(socket_fields), sub);
	if (*bound >= 0)
		return true;
	putf(err, "unknown socket field \"" VIEW_FMT "\"; there are ip, port, proto, advertised_ip, advertised_port, tag, anycast, af, forced", VIEW_ARG(sub));
	return false;
}

static bool socket_field(struct run *r, const struct socket_conf *s, const struct var_use *u, struct value *out)
{
	char text[ADDR_TEXT_MAX];
	int field = !u->sub.n ? SOCKET_WHOLE : u->bound >= 0 ? (int)u->bound : var_word(socket_fields, COUNT_OF(socket_fields), u->sub);

	if (u->sub.n && field < 0)
		return false;
	switch ((enum socket_field)field) {
	case SOCKET_WHOLE:    return var_text(out, s->text);
	case SOCKET_IP:       return var_text(out, arena_copy(r->tmp, addr_ip_text(&s->at, text)));
	case SOCKET_PORT:     return var_int(r, out, s->at.port);
	case SOCKET_PROTO:    return var_text(out, transport_name(s->transport));
	case SOCKET_ADV_IP:   return var_text(out, s->advertised_host);
	case SOCKET_ADV_PORT: return s->advertised_port && var_int(r, out, s->advertised_port);
	case SOCKET_TAG:      return var_text(out, s->tag);
	case SOCKET_ANYCAST:  return var_int(r, out, 0);
	case SOCKET_AF:       return var_text(out, s->at.af == AF_V6 ? VIEW("INET6") : VIEW("INET"));
	case SOCKET_FORCED:   return var_text(out, s->text);
	}
	return false;
}

bool get_socket_in(struct run *r, const struct var_use *u, struct value *out)
{
	return r->msg && r->msg->origin.socket && socket_field(r, r->msg->origin.socket, u, out);
}

bool get_socket_out(struct run *r, const struct var_use *u, struct value *out)
{
	return r->route && r->route->socket && socket_field(r, r->route->socket, u, out);
}

static const struct bond *bond_named(const struct core_conf *c, struct view name)
{
	for (size_t i = 0; i < c->nbonds; i++)
		if (view_is(c->bonds[i].name, name))
			return &c->bonds[i];
	return NULL;
}

int route_set_socket(const struct run *r, struct msg_route *to, const struct value *v)
{
	const struct core_conf   *c = r->w->conf;
	bool                      bonded = !value_null(v) && view_starts_ci(v->s, VIEW("bond:"));
	const struct bond        *b = bonded ? bond_named(c, view_from(v->s, 5)) : NULL;
	const struct socket_conf *s = bonded || value_null(v) ? NULL : net_find_socket(&c->net, v->s);

	if (!value_null(v) && !b && !s)
		return SCRIPT_FALSE;
	to->socket = s;
	to->bond = b;
	return SCRIPT_TRUE;
}

int set_socket_out(struct run *r, const struct var_use *u, enum assign op, const struct value *v)
{
	return r->route && !u->sub.n ? route_set_socket(r, r->route, v) : SCRIPT_FALSE;
}

/* bound: field in the low byte, TLV type above. */
bool bind_pp_field(struct script_load *l, struct view sub, int64_t *bound, struct out *err)
{
	uint8_t tlv = 0;
	enum pp_field f = pp_field_parse(sub, &tlv);

	if (f == PP_FIELD_COUNT) {
		putf(err, "unknown PROXY field \"" VIEW_FMT "\"; there are src_ip, src_port, dst_ip, dst_port, af, version, cmd, proto, authority, alpn, unique_id, "
		     "ssl_version, ssl_cn, ssl_cipher, ssl_verified, aws_vpce, azure_linkid, gcp_psc, tlv(0xNN)", VIEW_ARG(sub));
		return false;
	}
	*bound = (int64_t)f | (int64_t)tlv << 8;
	return true;
}

bool get_proxy_protocol(struct run *r, const struct var_use *u, struct value *out)
{
	const struct facts *f = r->msg ? r->msg->origin.facts : NULL;
	uint8_t tlv = (uint8_t)(u->bound >> 8);
	enum pp_field field = u->bound < 0 ? pp_field_parse(u->sub, &tlv) : (enum pp_field)(u->bound & 0xff);
	/* Nothing is longer than all TLVs in hexadecimal. */
	size_t cap = f ? 2 * f->pp.tlvs.n + 2 * ADDR_TEXT_MAX : 0;
	char *room = f && f->has_pp && field != PP_FIELD_COUNT ? arena_alloc(r->tmp, cap) : NULL;
	struct out o = out_to(room, cap);
	uint32_t number;

	if (!room || !pp_field_put(&o, &f->pp, field, tlv))
		return false;
	must(!o.full);
	*out = value_str(out_view(&o));
	if ((field == PP_FIELD_SRC_PORT || field == PP_FIELD_DST_PORT || field == PP_FIELD_SSL_VERIFIED || field == PP_FIELD_VERSION)
	    && view_u32(out->s, &number)) {
		/* A number in every respect: "if ($proxy_protocol(ssl_verified))" must not take the text "0" for true. */
		out->i = (int32_t)number;
		out->flags |= V_INT | V_NATIVE;
	}
	return true;
}

enum wire_field { WIRE_IP, WIRE_PORT, WIRE_PROTO };
static const struct view wire_fields[] = { VIEW_INIT("ip"), VIEW_INIT("port"), VIEW_INIT("proto") };

bool bind_wire_field(struct script_load *l, struct view sub, int64_t *bound, struct out *err)
{
	*bound = var_word(wire_fields, COUNT_OF(wire_fields), sub);
	if (*bound >= 0)
		return true;
	putf(err, "unknown field \"" VIEW_FMT "\" of $wire; there are ip, port, proto", VIEW_ARG(sub));
	return false;
}

bool get_wire(struct run *r, const struct var_use *u, struct value *out)
{
	char text[ADDR_TEXT_MAX];

	if (!r->msg || !r->msg->origin.wire_src.af)
		return false;
	switch (u->bound >= 0 ? (int)u->bound : var_word(wire_fields, COUNT_OF(wire_fields), u->sub)) {
	case WIRE_IP:    return var_text(out, arena_copy(r->tmp, addr_ip_text(&r->msg->origin.wire_src, text)));
	case WIRE_PORT:  return var_int(r, out, r->msg->origin.wire_src.port);
	case WIRE_PROTO: return var_text(out, transport_name(r->msg->origin.transport));
	default:         return false;
	}
}
