/* core/flow.c -- flow tokens: the way back to a client, signed, carried by others in our own Via and Record-Route (RFC 5626 5.2).
 * Nobody but us can make one, so nobody can forge a path into another client's connection. */
#include "core/priv.h"

enum { FLOW_FIXED = 16, FLOW_CHECK = 8, FLOW_ONLY = 8, FLOW_REAL = 0x80, FLOW_REAL_BYTES = 2 * (1 + 2 + 16), FLOW_RAW_MAX = FLOW_FIXED + 16 + FLOW_REAL_BYTES };

static uint64_t be(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

static uint8_t *to_be(uint8_t *p, uint64_t v, size_t n)
{
	for (size_t i = n; i-- > 0; v >>= 8)
		p[i] = (uint8_t)v;
	return p + n;
}

static size_t ip_bytes(uint8_t af)
{
	return af == AF_V6 ? 16 : 4;
}

static uint8_t *put_real(uint8_t *p, const struct addr *a)
{
	*p++ = a->af;
	p = to_be(p, a->port, 2);
	memcpy(p, a->ip, 16);
	return p + 16;
}

static const uint8_t *get_real(const uint8_t *p, struct addr *a)
{
	*a = (struct addr){ .af = p[0], .port = (uint16_t)be(p + 1, 2) };
	memcpy(a->ip, p + 3, a->af == AF_V6 ? 16 : a->af == AF_V4 ? 4 : 0);
	return p + 3 + 16;
}

struct view flow_write(const struct worker *w, const struct target *t, char *buf)
{
	uint8_t    raw[FLOW_RAW_MAX + FLOW_CHECK], *p = raw;
	struct out o = out_to(buf, FLOW_TEXT_MAX);
	/* Only SPP needs to know the client again: its datagrams carry the tuple both ways. */
	bool       real = t->client && t->client->has_real && t->from->pp_udp == PP_UDP_SPP;

	*p++ = (uint8_t)(t->transport << 4 | (t->flow_only ? FLOW_ONLY : 0) | t->to.af);
	p = to_be(p, t->from->index, 2);
	p = to_be(p, t->flow.worker, 2);
	*p++ = (uint8_t)(t->flow.kind | (real ? FLOW_REAL : 0));
	p = to_be(p, t->flow.slot, 4);
	p = to_be(p, t->flow.gen, 4);
	p = to_be(p, t->to.port, 2);
	memcpy(p, t->to.ip, ip_bytes(t->to.af));
	p += ip_bytes(t->to.af);
	if (real)
		p = put_real(put_real(p, &t->client->real_src), &t->client->real_dst);
	p = to_be(p, siphash(w->key, raw, (size_t)(p - raw)), FLOW_CHECK);
	put_hex(&o, raw, (size_t)(p - raw));
	must(!o.full);
	return out_view(&o);
}

static bool unhex(struct view text, uint8_t *raw, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int hi = hex_value(text.p[2 * i]), lo = hex_value(text.p[2 * i + 1]);
		if (hi < 0 || lo < 0)
			return false;
		raw[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

bool flow_read(const struct worker *w, struct view text, struct flow_home *out)
{
	uint8_t raw[FLOW_RAW_MAX + FLOW_CHECK];
	size_t  n = text.n / 2;

	if (text.n % 2 || n < FLOW_FIXED + 4 + FLOW_CHECK || n > sizeof raw || !unhex(text, raw, n))
		return false;
	n -= FLOW_CHECK;

	uint8_t af = raw[0] & 7;
	bool    real = raw[5] & FLOW_REAL;
	size_t  index = be(raw + 1, 2);

	if (siphash(w->key, raw, n) != be(raw + n, FLOW_CHECK) || n != FLOW_FIXED + ip_bytes(af) + (real ? FLOW_REAL_BYTES : 0)
	    || index >= w->conf->net.nsockets)
		return false;
	*out = (struct flow_home){ .t = { .transport = raw[0] >> 4, .from = &w->conf->net.sockets[index], .downstream = true, .flow_only = raw[0] & FLOW_ONLY,
		.flow = { .worker = (uint16_t)be(raw + 3, 2), .kind = raw[5] & ~FLOW_REAL, .slot = (uint32_t)be(raw + 6, 4), .gen = (uint32_t)be(raw + 10, 4) },
		.to = { .af = af, .port = (uint16_t)be(raw + 14, 2) } } };
	memcpy(out->t.to.ip, raw + FLOW_FIXED, ip_bytes(af));
	if (out->t.transport != out->t.from->transport || (ref_set(out->t.flow) && (out->t.flow.kind != REF_CONN || out->t.flow.worker >= w->n)))
		return false;
	out->client = (struct origin){ .socket = out->t.from, .transport = out->t.transport, .wire_src = out->t.to, .wire_dst = out->t.from->at,
		.conn = out->t.flow, .has_real = real };
	if (real)
		get_real(get_real(raw + FLOW_FIXED + ip_bytes(af), &out->client.real_src), &out->client.real_dst);
	return true;
}
