#include "base/base.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

static const struct {
	struct view name, via;
	uint16_t    port;
} transports[TR_COUNT + 1] = {
	[TR_UDP]  = { VIEW_INIT("udp"),  VIEW_INIT("UDP"),  5060 },
	[TR_TCP]  = { VIEW_INIT("tcp"),  VIEW_INIT("TCP"),  5060 },
	[TR_TLS]  = { VIEW_INIT("tls"),  VIEW_INIT("TLS"),  5061 },
	[TR_WS]   = { VIEW_INIT("ws"),   VIEW_INIT("WS"),   80 },
	[TR_WSS]  = { VIEW_INIT("wss"),  VIEW_INIT("WSS"),  443 },
	[TR_NONE] = { VIEW_INIT("none"), VIEW_INIT("NONE"), 0 },
};

static const uint8_t v4_mapped[12] = { [10] = 0xff, [11] = 0xff };

struct view transport_name(enum transport t)
{
	must(t <= TR_NONE);
	return transports[t].name;
}

struct view transport_via(enum transport t)
{
	must(t <= TR_NONE);
	return transports[t].via;
}

uint16_t transport_port(enum transport t)
{
	must(t <= TR_NONE);
	return transports[t].port;
}

enum transport transport_parse(struct view v)
{
	for (enum transport t = 0; t < TR_COUNT; t++)
		if (view_is_ci(v, transports[t].name))
			return t;
	return TR_NONE;
}

static size_t ip_bytes(const struct addr *a)
{
	return a->af == AF_V4 ? 4 : a->af == AF_V6 ? 16 : 0;
}

bool addr_same_ip(const struct addr *a, const struct addr *b)
{
	return a->af == b->af && memcmp(a->ip, b->ip, ip_bytes(a)) == 0;
}

bool addr_same(const struct addr *a, const struct addr *b)
{
	return a->port == b->port && addr_same_ip(a, b);
}

bool addr_is_any(const struct addr *a)
{
	static const uint8_t zero[16];

	return memcmp(a->ip, zero, ip_bytes(a)) == 0;
}

void addr_unmap(struct addr *a)
{
	if (a->af != AF_V6 || memcmp(a->ip, v4_mapped, sizeof v4_mapped) != 0)
		return;
	a->af = AF_V4;
	a->scope = 0;
	memmove(a->ip, a->ip + 12, 4);
	memset(a->ip + 4, 0, 12);
}

/* Four decimal octets without leading zeros: some read "010" as eight. */
static bool parse_v4(struct view v, struct addr *out)
{
	struct addr a = { .af = AF_V4 };

	for (int i = 0; i < 4; i++) {
		size_t      dot = view_find(v, '.');
		struct view octet = view_sub(v, 0, dot);
		uint32_t    x;

		if (octet.n > 3 || !view_u32(octet, &x) || x > 255 || (octet.n > 1 && octet.p[0] == '0'))
			return false;
		if ((dot < v.n) != (i < 3))
			return false;
		a.ip[i] = (uint8_t)x;
		v = view_from(v, dot + 1);
	}
	*out = a;
	return true;
}

static bool parse_v6(struct view v, struct addr *out)
{
	char        text[INET6_ADDRSTRLEN];
	struct addr a = { .af = AF_V6 };

	if (v.n >= sizeof text || view_find(v, '\0') < v.n)
		return false;
	memcpy(text, v.p, v.n);
	text[v.n] = '\0';
	if (inet_pton(AF_INET6, text, a.ip) != 1)
		return false;
	*out = a;
	return true;
}

bool addr_parse_ip(struct view v, struct addr *out)
{
	if (v.n >= 2 && v.p[0] == '[') {
		if (v.p[v.n - 1] != ']')
			return false;
		return parse_v6(view_sub(v, 1, v.n - 2), out);
	}
	return view_find(v, ':') < v.n ? parse_v6(v, out) : parse_v4(v, out);
}

bool addr_parse(struct view v, struct addr *out)
{
	struct view host = v;
	size_t      colon = view_find(v, ':');
	uint32_t    port = 0;
	bool        has_port = colon < v.n && view_find(view_from(v, colon + 1), ':') == v.n - colon - 1;

	if (v.n && v.p[0] == '[') {
		colon = view_find(v, ']') + 1;
		has_port = colon < v.n;
		if (has_port && v.p[colon] != ':')
			return false;
	}
	if (has_port) {
		struct view digits = view_from(v, colon + 1);
		if (digits.n > 5 || !view_u32(digits, &port) || port > 65535)
			return false;
		host = view_sub(v, 0, colon);
	}
	if (!addr_parse_ip(host, out))
		return false;
	out->port = (uint16_t)port;
	return true;
}

static void put_v4(struct out *o, const uint8_t *ip)
{
	for (int i = 0; i < 4; i++) {
		if (i)
			put_char(o, '.');
		put_u64(o, ip[i]);
	}
}

/* The longest run of at least two zero groups, the first of equals (RFC 5952 4.2).  *len 0 when there is none. */
static int longest_zero_run(const uint16_t g[8], int *len)
{
	int best = -1;

	*len = 0;
	for (int i = 0, n; i < 8; i += n + 1) {
		for (n = 0; i + n < 8 && g[i + n] == 0; n++)
			;
		if (n > 1 && n > *len) {
			best = i;
			*len = n;
		}
	}
	return best;
}

static void put_group(struct out *o, uint16_t g)
{
	static const char digits16[] = "0123456789abcdef";
	int               shift = 12;

	while (shift > 0 && g >> shift == 0)
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		put_char(o, digits16[g >> shift & 15]);
}

static void put_v6(struct out *o, const uint8_t *ip)
{
	uint16_t g[8];
	int      len, run;

	/* RFC 5952 section 5: a known mapping is shown in mixed notation. */
	if (memcmp(ip, v4_mapped, sizeof v4_mapped) == 0) {
		put(o, VIEW("::ffff:"));
		put_v4(o, ip + 12);
		return;
	}
	for (int i = 0; i < 8; i++)
		g[i] = (uint16_t)(ip[2 * i] << 8 | ip[2 * i + 1]);
	run = longest_zero_run(g, &len);
	for (int i = 0; i < 8; i++) {
		if (i == run) {
			put(o, VIEW("::"));
			i += len - 1;
			continue;
		}
		if (i && i != run + len)
			put_char(o, ':');
		else if (i && len == 0)
			put_char(o, ':');
		put_group(o, g[i]);
	}
}

static void put_ip(struct out *o, const struct addr *a)
{
	if (a->af == AF_V4)
		put_v4(o, a->ip);
	else if (a->af == AF_V6)
		put_v6(o, a->ip);
	else
		put_char(o, '-');
}

static void put_host(struct out *o, const struct addr *a)
{
	if (a->af == AF_V6)
		put_char(o, '[');
	put_ip(o, a);
	if (a->af == AF_V6)
		put_char(o, ']');
}

struct view addr_ip_text(const struct addr *a, char *buf)
{
	struct out o = out_to(buf, ADDR_TEXT_MAX);

	put_ip(&o, a);
	return out_view(&o);
}

struct view addr_host_text(const struct addr *a, char *buf)
{
	struct out o = out_to(buf, ADDR_TEXT_MAX);

	put_host(&o, a);
	return out_view(&o);
}

struct view addr_text(const struct addr *a, char *buf)
{
	struct out o = out_to(buf, ADDR_TEXT_MAX);

	put_host(&o, a);
	put_char(&o, ':');
	put_u64(&o, a->port);
	return out_view(&o);
}

void addr_from_sockaddr(const struct sockaddr *sa, struct addr *out)
{
	*out = (struct addr){ 0 };
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, sa, sizeof in);
		out->af = AF_V4;
		out->port = ntohs(in.sin_port);
		memcpy(out->ip, &in.sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, sa, sizeof in6);
		out->af = AF_V6;
		out->port = ntohs(in6.sin6_port);
		out->scope = in6.sin6_scope_id;
		memcpy(out->ip, &in6.sin6_addr, 16);
		addr_unmap(out);
	}
}

unsigned addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out)
{
	must(a->af == AF_V4 || a->af == AF_V6);
	if (a->af == AF_V4) {
		struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(a->port) };
		memcpy(&in.sin_addr, a->ip, 4);
		memcpy(out, &in, sizeof in);
		return sizeof in;
	}

	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(a->port), .sin6_scope_id = a->scope };

	memcpy(&in6.sin6_addr, a->ip, 16);
	memcpy(out, &in6, sizeof in6);
	return sizeof in6;
}

/* Leading one bits of a netmask; -1 when a one follows a zero. */
static int mask_bits(const struct addr *mask)
{
	int bits = 0, all = (int)ip_bytes(mask) * 8;

	while (bits < all && mask->ip[bits / 8] & 0x80 >> bits % 8)
		bits++;
	for (int i = bits; i < all; i++)
		if (mask->ip[i / 8] & 0x80 >> i % 8)
			return -1;
	return bits;
}

bool cidr_parse(struct view v, struct cidr *out)
{
	struct cidr c = { 0 };
	struct view host = view_cut(&v, '/');
	bool        slash = v.p != host.p + host.n;
	struct addr mask;
	uint32_t    bits;

	if (!addr_parse_ip(host, &c.net))
		return false;

	uint32_t all = (uint32_t)ip_bytes(&c.net) * 8;

	if (!slash) {
		bits = all;
	} else if (!view_u32(v, &bits)) {
		if (!addr_parse_ip(v, &mask) || mask.af != c.net.af || mask_bits(&mask) < 0)
			return false;
		bits = (uint32_t)mask_bits(&mask);
	}
	if (bits > all)
		return false;
	/* What compares is unmapped, so the block must be too. */
	if (c.net.af == AF_V6 && bits >= 96 && memcmp(c.net.ip, v4_mapped, sizeof v4_mapped) == 0) {
		addr_unmap(&c.net);
		bits -= 96;
		all = 32;
	}
	for (uint32_t i = bits; i < all; i++)
		c.net.ip[i / 8] &= (uint8_t)~(0x80 >> i % 8);
	c.bits = (uint8_t)bits;
	*out = c;
	return true;
}

bool cidr_has(const struct cidr *c, const struct addr *a)
{
	size_t  whole = c->bits / 8;
	uint8_t rest = (uint8_t)(0xff00 >> c->bits % 8);

	if (a->af != c->net.af || memcmp(a->ip, c->net.ip, whole) != 0)
		return false;
	return c->bits % 8 == 0 || ((a->ip[whole] ^ c->net.ip[whole]) & rest) == 0;
}
