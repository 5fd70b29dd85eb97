/* net/header.c -- which PROXY header a send carries: a pure function of its target, so that relay, retransmission, failover
 * branch, CANCEL and hop ACK of one request carry the same one (reference R27). */
#include "net/stage.h"

/* Our own traffic, and that of somebody who announced none himself, names nobody (design D5, reference R11). */
static bool announces_nobody(const struct origin *o)
{
	return !o || (o->facts && o->facts->has_pp && o->facts->pp.local);
}

static bool write_v2(struct out *o, const struct target *t, bool tlvs)
{
	const struct origin *c = t->client;
	struct pp_ssl_out ssl = { 0 };
	struct pp_out h = { .local = announces_nobody(c) };

	if (!h.local) {
		/* The carrier's kind of transport, not the client's: deployed receivers refuse the other (reference 4.8). */
		h.proto = t->transport == TR_UDP ? PP_DGRAM : PP_STREAM;
		h.src = c->real_src;
		h.dst = c->real_dst;
		if (tlvs && c->facts && c->facts->tls) {
			tls_facts_pp(c->facts->tls, &ssl);
			h.ssl = &ssl;
			h.authority = tls_facts_sni(c->facts->tls);
		}
	}
	return pp_write_v2(o, &h);
}

static bool write_v1(struct out *o, const struct target *t)
{
	bool nobody = announces_nobody(t->client);

	return pp_write_v1(o, nobody ? NULL : &t->client->real_src, nobody ? NULL : &t->client->real_dst);
}

/* The SPP tuple a client came with goes back on everything sent to it, to the sender that brought it and nobody else (R20, R21). */
static bool wants_spp(const struct target *t)
{
	const struct origin *c = t->client;

	return t->transport == TR_UDP && t->downstream && c && c->transport == TR_UDP && c->has_real && c->socket->pp_udp == PP_UDP_SPP &&
		addr_same(&t->to, &c->wire_src);
}

struct view header_for(const struct target *t, char *buf)
{
	struct out o = out_to(buf, HEADER_MAX);

	if (wants_spp(t)) {
		must(pp_write_spp(&o, &t->client->real_src, &t->client->real_dst));
		return out_view(&o);
	}
	if (t->downstream || !t->from || !t->from->send_pp)
		return VIEW_NONE;
	if (t->from->send_version != 2)
		must(write_v1(&o, t));
	else if (!write_v2(&o, t, t->transport != TR_UDP))
		must(write_v2(&o, t, false));         /* a monstrous certificate name: the addresses always fit */
	return out_view(&o);
}

size_t net_header_bytes(const struct target *t)
{
	char buf[HEADER_MAX];

	return t->transport == TR_UDP ? header_for(t, buf).n : 0;
}
