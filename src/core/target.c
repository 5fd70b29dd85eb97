/* core/target.c -- where replies and requests go next. */
#include "core/priv.h"

static uint16_t port_or(uint16_t port, enum transport t)
{
	return port ? port : transport_port(t);
}

static bool behind_header(const struct origin *o)
{
	return o->has_real || (o->facts && o->facts->has_pp);
}

void reply_target(const struct msg *m, struct target *out)
{
	const struct origin *o = &m->origin;
	struct addr          via;

	*out = (struct target){ .transport = o->transport, .from = o->socket, .to = o->wire_src, .flow = o->conn, .downstream = true, .client = o };
	if (transport_stream(o->transport)) {
		/* A plain TCP peer that closed may be called back at its sent-by port (RFC 3261 18.2.2); what stands behind a load
		 * balancer, a browser or a TLS client cannot. */
		out->flow_only = o->transport != TR_TCP || behind_header(o);
		if (!out->flow_only && !o->outbound)
			out->to.port = port_or(m->via.port, o->transport);
		return;
	}
	if ((m->via_flags & VIA_REPLY_TO_VIA) && addr_parse_ip(m->via.host, &via)) {
		out->to = via;
		out->to.port = port_or(m->via.port, o->transport);
		return;
	}
	/* Behind a PROXY header the sent-by port is the client's, on another machine than the sender. */
	if (!behind_header(o) && !m->via.has_rport && !(m->via_flags & VIA_FORCE_RPORT))
		out->to.port = port_or(m->via.port, o->transport);
}

bool reply_target_via(const struct msg *reply, struct target *out)
{
	struct sip_walk         walk = sip_walk(&reply->sip, HDR_VIA);
	struct sip_via          via;
	struct addr             to;
	const struct worker    *w = reply->w;

	for (int i = 0; i < 2; i++)
		if (sip_walk_via(&walk, &via, NULL) != SIP_OK)
			return false;
	if (via.transport == TR_NONE || !addr_parse_ip(via.received.n ? via.received : via.host, &to))
		return false;
	to.port = via.rport ? via.rport : port_or(via.port, via.transport);
	*out = (struct target){ .transport = via.transport, .to = to, .downstream = true };
	out->from = net_pick_socket(&w->conf->net, NULL, reply->origin.socket, via.transport, &to);
	if (transport_stream(via.transport))
		out->flow = net_find_conn(w->net, via.transport, &to);
	out->flow_only = via.transport == TR_WS || via.transport == TR_WSS;
	return out->from != NULL;
}

/* Transports that some socket of ours speaks, as bits. */
static unsigned usable(const struct core_conf *c)
{
	unsigned bits = 0;

	for (size_t i = 0; i < c->net.nsockets; i++)
		bits |= 1u << c->net.sockets[i].transport;
	return bits;
}

static enum transport secured(enum transport t)
{
	return t == TR_TCP ? TR_TLS : t == TR_WS ? TR_WSS : t;
}

bool next_hop(const struct msg *m, const struct msg_route *r, struct resolve_ask *ask, struct sip_uri *uri)
{
	struct view         text = r->duri.n ? r->duri : r->ruri, rest = r->path;
	struct sip_nameaddr first;

	if (!r->duri.n && r->path.n) {
		if (sip_nameaddr_next(&rest, &first) != SIP_OK)
			return false;
		text = first.uri;
	}
	/* The received R-URI is decoded already. */
	if (text.p == m->ruri.whole.p && text.n == m->ruri.whole.n)
		*uri = m->ruri;
	else if (!sip_uri_parse(text, uri))
		return false;
	if ((uri->scheme != SCHEME_SIP && uri->scheme != SCHEME_SIPS) || !uri->host.n)
		return false;
	*ask = (struct resolve_ask){ .host = uri->maddr.n ? uri->maddr : uri->host, .port = uri->port, .transport = TR_NONE,
		.secure = uri->scheme == SCHEME_SIPS, .usable = usable(m->w->conf) };
	if (uri->transport.n) {
		ask->transport = transport_parse(uri->transport);
		if (ask->transport == TR_NONE)
			return false;
		if (ask->secure)
			ask->transport = secured(ask->transport);
	}
	return true;
}
