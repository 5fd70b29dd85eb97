/* wire/pp/encode.c -- headers towards upstreams, and SPP both ways.  Everything is written whole or not at all. */
#include "wire/pp/pp.h"
#include "base/base.h"

/* Undo what does not fit: a cut header would be worse than none. */
static bool done(struct out *o, size_t start)
{
	if (o->full)
		o->n = start;
	return !o->full;
}

static void put16(struct out *o, uint16_t v)
{
	put_char(o, (char)(v >> 8));
	put_char(o, (char)v);
}

static void put32(struct out *o, uint32_t v)
{
	put16(o, (uint16_t)(v >> 16));
	put16(o, (uint16_t)v);
}

/* 16 bytes, an IPv4 address as ::ffff:a.b.c.d. */
static void put_ip6(struct out *o, const struct addr *a)
{
	if (a->af == AF_V4) {
		put(o, VIEW("\0\0\0\0\0\0\0\0\0\0\xff\xff"));
		put(o, view_of((const char *)a->ip, 4));
	} else {
		put(o, view_of((const char *)a->ip, 16));
	}
}

/* Text of an address in a TCP6 line; hex for a mapped one, see pp.h. */
static void put_ip6_text(struct out *o, const struct addr *a)
{
	char text[ADDR_TEXT_MAX];

	if (a->af == AF_V4)
		putf(o, "::ffff:%x:%x", a->ip[0] << 8 | a->ip[1], a->ip[2] << 8 | a->ip[3]);
	else
		put(o, addr_ip_text(a, text));
}

bool pp_write_v1(struct out *o, const struct addr *src, const struct addr *dst)
{
	size_t start = o->n;

	if (!src || !dst || src->af == AF_NONE || dst->af == AF_NONE) {
		put(o, VIEW("PROXY UNKNOWN\r\n"));
		return done(o, start);
	}
	struct addr s = *src, d = *dst;
	char text[ADDR_TEXT_MAX];
	addr_unmap(&s);
	addr_unmap(&d);
	if (s.af == AF_V4 && d.af == AF_V4) {
		put(o, VIEW("PROXY TCP4 "));
		put(o, addr_ip_text(&s, text));
		put_char(o, ' ');
		put(o, addr_ip_text(&d, text));
	} else {
		put(o, VIEW("PROXY TCP6 "));
		put_ip6_text(o, &s);
		put_char(o, ' ');
		put_ip6_text(o, &d);
	}
	putf(o, " %u %u\r\n", s.port, d.port);
	return done(o, start);
}

static void put_tlv(struct out *o, uint8_t type, struct view v)
{
	if (v.n > UINT16_MAX) {
		o->full = true;
		return;
	}
	put_char(o, (char)type);
	put16(o, (uint16_t)v.n);
	put(o, v);
}

static void put_tlv_if(struct out *o, uint8_t type, struct view v)
{
	if (v.n)
		put_tlv(o, type, v);
}

/* Write a 16-bit length at byte `at` over what follows it. */
static void close_length(struct out *o, size_t at)
{
	size_t n = o->n - at - 2;

	if (o->full)
		return;
	if (n > UINT16_MAX) {
		o->full = true;
		return;
	}
	o->p[at] = (char)(n >> 8);
	o->p[at + 1] = (char)n;
}

static void put_ssl(struct out *o, const struct pp_ssl_out *s)
{
	bool cert = s->cert_conn || s->cert_sess;

	put_char(o, PP_TLV_SSL);
	size_t length = o->n;
	put16(o, 0);
	put_char(o, (char)(PP_SSL_TLS | (s->cert_conn ? PP_SSL_CERT_CONN : 0) | (cert ? PP_SSL_CERT_SESS : 0)));
	put32(o, cert && s->verified ? 0 : 1);
	put_tlv_if(o, PP_TLV_SSL_VERSION, s->version);
	put_tlv_if(o, PP_TLV_SSL_CN, s->cn);
	put_tlv_if(o, PP_TLV_SSL_CIPHER, s->cipher);
	put_tlv_if(o, PP_TLV_SSL_SIG_ALG, s->sig_alg);
	put_tlv_if(o, PP_TLV_SSL_KEY_ALG, s->key_alg);
	put_tlv_if(o, PP_TLV_SSL_GROUP, s->group);
	put_tlv_if(o, PP_TLV_SSL_SIG_SCHEME, s->sig_scheme);
	put_tlv_if(o, PP_TLV_SSL_CLIENT_CERT, s->client_cert);
	close_length(o, length);
}

static bool extra_is_allowed(const struct pp_out *h)
{
	for (size_t i = 0; i < h->extras; i++)
		if (h->extra[i].type == PP_TLV_CRC32C || h->extra[i].type == PP_TLV_NOOP)
			return false;
	return h->unique_id.n <= PP_UNIQUE_ID_MAX;
}

static void put_addresses(struct out *o, const struct addr *s, const struct addr *d)
{
	if (s->af == AF_V4 && d->af == AF_V4) {
		put(o, view_of((const char *)s->ip, 4));
		put(o, view_of((const char *)d->ip, 4));
	} else {
		put_ip6(o, s);
		put_ip6(o, d);
	}
	put16(o, s->port);
	put16(o, d->port);
}

bool pp_write_v2(struct out *o, const struct pp_out *h)
{
	size_t start = o->n;

	put(o, VIEW("\r\n\r\n\0\r\nQUIT\n"));
	/* PROXY with UNSPEC is refused by most receivers, and so is LOCAL with a body. */
	if (h->local || h->src.af == AF_NONE || h->dst.af == AF_NONE) {
		put(o, VIEW("\x20\0\0\0"));
		return done(o, start);
	}
	must(h->proto == PP_STREAM || h->proto == PP_DGRAM);
	if (!extra_is_allowed(h)) {
		o->n = start;
		return false;
	}
	struct addr s = h->src, d = h->dst;
	addr_unmap(&s);
	addr_unmap(&d);
	uint8_t fam = s.af == AF_V4 && d.af == AF_V4 ? PP_INET : PP_INET6;
	put_char(o, 0x21);
	put_char(o, (char)(fam << 4 | h->proto));
	size_t length = o->n;
	put16(o, 0);
	put_addresses(o, &s, &d);

	put_tlv_if(o, PP_TLV_ALPN, h->alpn);
	put_tlv_if(o, PP_TLV_AUTHORITY, h->authority);
	put_tlv_if(o, PP_TLV_UNIQUE_ID, h->unique_id);
	if (h->ssl)
		put_ssl(o, h->ssl);
	for (size_t i = 0; i < h->extras; i++)
		put_tlv(o, h->extra[i].type, h->extra[i].value);
	if (h->crc32c)
		put_tlv(o, PP_TLV_CRC32C, VIEW("\0\0\0\0"));
	close_length(o, length);
	if (!o->full && h->crc32c) {
		uint32_t sum = crc32c(0, o->p + start, o->n - start);
		o->n -= 4;
		put32(o, sum);
	}
	return done(o, start);
}

bool pp_write_spp(struct out *o, const struct addr *client, const struct addr *proxy)
{
	size_t start = o->n;

	put(o, VIEW("\x56\xec"));
	put_ip6(o, client);
	put_ip6(o, proxy);
	put16(o, client->port);
	put16(o, proxy->port);
	return done(o, start);
}
