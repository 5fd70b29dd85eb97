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
	for (size_t i = 0; i < COUNT_OF(socket_fields); i++)
		if (view_is_ci(sub, socket_fields[i])) {
			*bound = (int64_t)i;
			return true;
		}
	putf(err, "unknown socket field \"" VIEW_FMT "\"; there are ip, port, proto, advertised_ip, advertised_port, tag, anycast, af, forced", VIEW_ARG(sub));
	return false;
}

static bool socket_field(struct run *r, const struct socket_conf *s, const struct var_use *u, struct value *out)
{
	char text[ADDR_TEXT_MAX];

	switch (u->sub.n ? (enum socket_field)u->bound : SOCKET_WHOLE) {
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

int set_socket_out(struct run *r, const struct var_use *u, enum assign op, const struct value *v)
{
	if (!r->route)
		return SCRIPT_FALSE;
	if (value_null(v)) {
		r->route->socket = NULL;
		r->route->bond = NULL;
		return SCRIPT_TRUE;
	}
	if (view_starts_ci(v->s, VIEW("bond:"))) {
		const struct bond *b = bond_named(r->w->conf, view_from(v->s, 5));
		r->route->bond = b ? b : r->route->bond;
		return b ? SCRIPT_TRUE : SCRIPT_FALSE;
	}
	const struct socket_conf *s = net_find_socket(&r->w->conf->net, v->s);
	if (!s)
		return SCRIPT_FALSE;
	r->route->socket = s;
	r->route->bond = NULL;
	return SCRIPT_TRUE;
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
	char text[1024];
	struct out o = out_to(text, sizeof text);
	uint32_t number;

	if (!f || !f->has_pp || field == PP_FIELD_COUNT)
		return false;
	if (!pp_field_put(&o, &f->pp, field, tlv) || o.full)
		return false;
	*out = value_str(arena_copy(r->tmp, out_view(&o)));
	if ((field == PP_FIELD_SRC_PORT || field == PP_FIELD_DST_PORT || field == PP_FIELD_SSL_VERIFIED || field == PP_FIELD_VERSION)
	    && view_u32(out->s, &number)) {
		out->i = (int32_t)number;
		out->flags |= V_INT;
	}
	return out->s.p != NULL;
}

enum wire_field { WIRE_IP, WIRE_PORT, WIRE_PROTO };
static const struct view wire_fields[] = { VIEW_INIT("ip"), VIEW_INIT("port"), VIEW_INIT("proto") };

bool bind_wire_field(struct script_load *l, struct view sub, int64_t *bound, struct out *err)
{
	for (size_t i = 0; i < COUNT_OF(wire_fields); i++)
		if (view_is_ci(sub, wire_fields[i])) {
			*bound = (int64_t)i;
			return true;
		}
	putf(err, "unknown field \"" VIEW_FMT "\" of $wire; there are ip, port, proto", VIEW_ARG(sub));
	return false;
}

bool get_wire(struct run *r, const struct var_use *u, struct value *out)
{
	char text[ADDR_TEXT_MAX];

	if (!r->msg || !r->msg->origin.wire_src.af)
		return false;
	switch (u->bound) {
	case WIRE_IP:    return var_text(out, arena_copy(r->tmp, addr_ip_text(&r->msg->origin.wire_src, text)));
	case WIRE_PORT:  return var_int(r, out, r->msg->origin.wire_src.port);
	case WIRE_PROTO: return var_text(out, transport_name(r->msg->origin.transport));
	default:         return false;
	}
}
