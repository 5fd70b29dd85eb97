/* core/branch.c -- our Via branch: a cookie that only we can make, and RFC 3261 16.3/16.6 loop detection. */
#include "core/core.h"

/* "z9hG4bK" worker(4) hi(16) lo(8) loop(8) check(16), all hexadecimal. */
enum { MAGIC = 7, BODY_BYTES = 18, CHECK_BYTES = 8, BRANCH_TEXT = MAGIC + 2 * (BODY_BYTES + CHECK_BYTES) };
static const char magic[] = "z9hG4bK";

static void put_be(uint8_t *p, uint64_t v, int n)
{
	while (n--) {
		p[n] = (uint8_t)v;
		v >>= 8;
	}
}

static uint64_t get_be(const uint8_t *p, int n)
{
	uint64_t v = 0;

	for (int i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

static void cookie_bytes(struct hash_key key, const struct branch_cookie *c, uint8_t *raw)
{
	put_be(raw, c->worker, 2);
	put_be(raw + 2, c->hi, 8);
	put_be(raw + 10, c->lo, 4);
	put_be(raw + 14, c->loop, 4);
	put_be(raw + BODY_BYTES, siphash(key, raw, BODY_BYTES), CHECK_BYTES);
}

struct view branch_write(struct hash_key key, const struct branch_cookie *c, char *buf)
{
	uint8_t    raw[BODY_BYTES + CHECK_BYTES];
	struct out o = out_to(buf, BRANCH_TEXT_MAX);

	cookie_bytes(key, c, raw);
	put(&o, view_of(magic, MAGIC));
	put_hex(&o, raw, sizeof raw);
	must(!o.full);
	return out_view(&o);
}

bool branch_read(struct hash_key key, struct view branch, struct branch_cookie *out)
{
	uint8_t raw[BODY_BYTES + CHECK_BYTES];

	if (branch.n != BRANCH_TEXT || memcmp(branch.p, magic, MAGIC) != 0)
		return false;
	for (size_t i = 0; i < sizeof raw; i++) {
		int hi = hex_value(branch.p[MAGIC + 2 * i]), lo = hex_value(branch.p[MAGIC + 2 * i + 1]);
		if (hi < 0 || lo < 0)
			return false;
		raw[i] = (uint8_t)(hi << 4 | lo);
	}
	if (siphash(key, raw, BODY_BYTES) != get_be(raw + BODY_BYTES, CHECK_BYTES))
		return false;
	*out = (struct branch_cookie){
		.worker = (uint16_t)get_be(raw, 2), .hi = get_be(raw + 2, 8),
		.lo = (uint32_t)get_be(raw + 10, 4), .loop = (uint32_t)get_be(raw + 14, 4) };
	return true;
}

struct branch_cookie branch_new(struct worker *w, uint32_t loop)
{
	return (struct branch_cookie){ .worker = w->id, .hi = w->rand64(w->rand_arg),
		.lo = (uint32_t)w->rand64(w->rand_arg), .loop = loop };
}

/* The fields in one keyed hash, each after its length: bytes moved from one field to the next change the result. */
struct mix { struct hash_key key; uint64_t so_far; size_t n; char bytes[512]; };

static void mix_flush(struct mix *x)
{
	struct hash_key key = x->key;

	key.k0 ^= x->so_far;
	x->so_far = siphash(key, x->bytes, x->n);
	x->n = 0;
}

static void mix(struct mix *x, struct view v)
{
	uint32_t n = (uint32_t)v.n;

	if (x->n + sizeof n > sizeof x->bytes)
		mix_flush(x);
	memcpy(x->bytes + x->n, &n, sizeof n);
	x->n += sizeof n;
	while (v.n) {
		size_t room = sizeof x->bytes - x->n, now = v.n < room ? v.n : room;
		memcpy(x->bytes + x->n, v.p, now);
		x->n += now;
		v = view_from(v, now);
		if (x->n == sizeof x->bytes)
			mix_flush(x);
	}
}

static void mix_all(struct mix *x, const struct sip_msg *m, enum sip_hdr_id id)
{
	for (const struct sip_hdr *h = sip_first(m, id); h; h = sip_next(m, h))
		mix(x, h->value);
}

uint32_t branch_loop_hash(const struct worker *w, const struct msg *m, const struct msg_route *r)
{
	const struct sip_msg *s = &m->sip;
	struct mix            x;

	x.key = w->key;
	x.so_far = 0;
	x.n = 0;
	mix(&x, view_of((const char *)&s->cseq, sizeof s->cseq));
	mix(&x, r->ruri);
	mix(&x, r->duri);
	mix(&x, s->from_tag);
	mix(&x, s->to_tag);
	mix(&x, s->call_id);
	mix_all(&x, s, HDR_ROUTE);
	mix_all(&x, s, HDR_PROXY_REQUIRE);
	mix_all(&x, s, HDR_PROXY_AUTHORIZATION);
	mix_flush(&x);
	return (uint32_t)x.so_far;
}

/* Only one Via in the whole message: what m->via holds. */
static bool via_alone(const struct msg *m)
{
	const struct sip_hdr *h = sip_first(&m->sip, HDR_VIA);

	return !h || (h->next_same == SIP_NO_HDR && m->via.whole.n == h->value.n);
}

bool msg_looped(const struct worker *w, const struct msg *m, const struct msg_route *r)
{
	struct sip_walk      walk = sip_walk(&m->sip, HDR_VIA);
	struct sip_via       via;
	struct branch_cookie c;
	bool                 hashed = false;
	uint32_t             loop = 0;

	if (!m->ours && via_alone(m))
		return false;
	while (sip_walk_via(&walk, &via, NULL) == SIP_OK) {
		if (!branch_read(w->key, via.branch, &c))
			continue;
		if (!hashed)
			loop = branch_loop_hash(w, m, r);
		hashed = true;
		if (c.loop == loop)
			return true;
	}
	return false;
}
