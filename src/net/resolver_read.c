#include "net/dns.h"
#include <ares.h>
#include <arpa/nameser.h>

bool dns_name_ok(struct view name, char *out, size_t *n)
{
	size_t label = 0;
	bool   digits = true;

	if (name.n && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n == 0 || name.n > DNS_NAME_BYTES)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = ascii_lower(name.p[i]);

		if (c == '.') {
			if (label == 0)
				return false;
			label = 0;
			digits = true;
		} else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_') {
			if (++label > 63)
				return false;
			digits &= c >= '0' && c <= '9';
		} else {
			return false;
		}
		out[i] = c;
	}
	*n = name.n;
	return label > 0 && !digits;
}

static uint32_t be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t be16(const unsigned char *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

/* Skip a domain name; NULL when it does not end inside the packet. */
static const unsigned char *skip_name(const unsigned char *at, const unsigned char *packet, int n)
{
	char *name;
	long  used;

	if (at >= packet + n || ares_expand_name(at, packet, n, &name, &used) != ARES_SUCCESS)
		return NULL;
	ares_free_string(name);
	return at + used;
}

/* The shortest TTL of the answer section: c-ares does not hand it out for SRV and NAPTR.  0 when the packet is malformed. */
static uint64_t shortest_ttl_ms(const unsigned char *packet, int n)
{
	uint64_t             ttl = DNS_TTL_MAX_MS / 1000;
	const unsigned char *end = packet + n, *at = packet + NS_HFIXEDSZ;

	if (n < NS_HFIXEDSZ)
		return 0;
	for (uint32_t i = be16(packet + 4); i; i--) {
		at = skip_name(at, packet, n);
		if (!at || end - at < NS_QFIXEDSZ)
			return 0;
		at += NS_QFIXEDSZ;
	}
	for (uint32_t i = be16(packet + 6); i; i--) {
		at = skip_name(at, packet, n);
		if (!at || end - at < NS_RRFIXEDSZ)
			return 0;
		uint32_t seconds = be32(at + 4), len = be16(at + 8);
		/* RFC 2181 8: with the top bit set it counts as zero. */
		if (seconds >> 31)
			seconds = 0;
		if (seconds < ttl)
			ttl = seconds;
		at += NS_RRFIXEDSZ;
		if ((uint32_t)(end - at) < len)
			return 0;
		at += len;
	}
	return ttl * 1000;
}

/* Insert by (a, b) so that equals keep their order; what is over the bound is the last, and falls off. */
static void insert(struct dns_record *list, size_t *n, const struct dns_record *r, bool by_b)
{
	size_t i = *n;

	while (i && (list[i - 1].a > r->a || (by_b && list[i - 1].a == r->a && list[i - 1].b > r->b)))
		i--;
	if (i == DNS_CANDIDATES)
		return;
	size_t keep = *n < DNS_CANDIDATES ? *n : DNS_CANDIDATES - 1;
	memmove(&list[i + 1], &list[i], (keep - i) * sizeof *list);
	list[i] = *r;
	*n = keep + 1;
}

/* Services that lead to an SRV record: RFC 3263 4.1, RFC 7118 5.  The rest (telephone numbers, SCTP) is not for us. */
static const struct { struct view service; enum transport transport; bool secure; } services[] = {
	{ VIEW_INIT("SIP+D2U"),  TR_UDP, false }, { VIEW_INIT("SIP+D2T"), TR_TCP, false }, { VIEW_INIT("SIPS+D2T"), TR_TLS, true },
	{ VIEW_INIT("SIP+D2W"),  TR_WS,  false }, { VIEW_INIT("SIPS+D2W"), TR_WSS, true },
};

static bool read_service(struct view service, struct dns_record *r)
{
	for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
		if (!view_is_ci(service, services[i].service))
			continue;
		r->transport = services[i].transport;
		r->secure = services[i].secure;
		return true;
	}
	return false;
}

struct dns_answer *dns_read_naptr(const unsigned char *packet, int n)
{
	struct ares_naptr_reply *reply;
	struct dns_record        list[DNS_CANDIDATES + 1];
	char                     name[DNS_CANDIDATES + 1][DNS_NAME_BYTES];
	size_t                   count = 0, used = 0;

	if (ares_parse_naptr_reply(packet, n, &reply) != ARES_SUCCESS)
		return NULL;
	for (struct ares_naptr_reply *p = reply; p && used <= DNS_CANDIDATES; p = p->next) {
		struct dns_record r = { .a = p->order, .b = p->preference };

		/* Only "s" ends in an SRV name; a regexp is for telephone numbers (RFC 3263 4.1). */
		if (!view_is_ci(view_str((const char *)p->flags), VIEW("s")) || p->regexp[0] ||
		    !read_service(view_str((const char *)p->service), &r) ||
		    !dns_name_ok(view_str(p->replacement), name[used], &r.name.n))
			continue;
		r.name.p = name[used++];
		insert(list, &count, &r, true);
	}
	ares_free_data(reply);
	return dns_answer_new(list, count, shortest_ttl_ms(packet, n));
}

struct dns_answer *dns_read_srv(const unsigned char *packet, int n)
{
	struct ares_srv_reply *reply;
	struct dns_record      list[DNS_CANDIDATES + 1];
	size_t                 count = 0;

	if (ares_parse_srv_reply(packet, n, &reply) != ARES_SUCCESS)
		return NULL;
	for (struct ares_srv_reply *p = reply; p; p = p->next) {
		struct dns_record r = { .a = p->priority, .b = p->weight, .port = p->port, .name = view_str(p->host) };
		char              name[DNS_NAME_BYTES];
		size_t            len;

		if (view_is(r.name, VIEW(".")))
			r.name.n = 0;
		else if (r.name.n && (!dns_name_ok(r.name, name, &len) || r.port == 0))
			continue;
		insert(list, &count, &r, false);
	}

	/* The names are good; lower-case them where c-ares keeps them, before they are copied. */
	for (size_t i = 0; i < count; i++) {
		size_t len;
		if (list[i].name.n && dns_name_ok(list[i].name, (char *)list[i].name.p, &len))
			list[i].name.n = len;
	}
	struct dns_answer *a = dns_answer_new(list, count, shortest_ttl_ms(packet, n));
	ares_free_data(reply);
	return a;
}
