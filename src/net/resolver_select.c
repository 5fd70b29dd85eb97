#include "net/dns.h"

static bool usable(const struct dns_walk *w, enum transport t)
{
	return t < TR_COUNT && (w->ask->usable & 1u << t);
}

/* sips means TLS whatever the transport parameter says of what lies below it (RFC 3261 26.2.2). */
static enum transport secured(enum transport t)
{
	return t == TR_WS || t == TR_WSS ? TR_WSS : TR_TLS;
}

enum transport dns_plain_transport(const struct resolve_ask *ask)
{
	static const enum transport order[] = { TR_UDP, TR_TCP, TR_TLS };
	enum transport              t = ask->transport;

	if (ask->secure)
		t = secured(t);
	if (t != TR_NONE)
		return ask->usable & 1u << t ? t : TR_NONE;
	for (size_t i = 0; i < sizeof order / sizeof *order; i++)
		if (ask->usable & 1u << order[i])
			return order[i];
	return TR_NONE;
}

static const struct dns_answer *look(struct dns_walk *w, enum dns_type t, struct view name)
{
	const struct dns_answer *a = w->look(w, t, name);

	if (a && a->end != DNS_FOUND)
		w->why = a->why;
	return a && a->end == DNS_FOUND ? a : NULL;
}

static void add(struct dns_walk *w, const struct addr *to, uint16_t port, enum transport t)
{
	struct candidate c = { t, *to };

	c.to.port = port;
	for (size_t i = 0; i < w->n; i++)
		if (w->list[i].transport == t && addr_same(&w->list[i].to, &c.to))
			return;
	if (w->n < DNS_CANDIDATES)
		w->list[w->n++] = c;
}

static void addresses(struct dns_walk *w, enum dns_type type, struct view host, uint16_t port, enum transport t)
{
	const struct dns_answer *a = look(w, type, host);

	for (size_t i = 0; a && i < a->n; i++)
		add(w, &a->record[i].to, port, t);
}

/* IPv6 first, as RFC 6724 10.3 prefers it where both lead there. */
static void host(struct dns_walk *w, struct view name, uint16_t port, enum transport t)
{
	if (w->conf->ipv6)
		addresses(w, DNS_AAAA, name, port, t);
	addresses(w, DNS_A, name, port, t);
}

/* RFC 2782, "Usage rules": among equal priorities a record is drawn with a chance proportional to its weight, the rest among
 * themselves again.  One of weight 0 is drawn only when the number is 0: each draw has a small chance of it. */
static size_t draw(struct dns_walk *w, const struct dns_record **left, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += left[i]->b;
	uint64_t at = w->rand64(w->rand_arg) % (sum + 1);
	for (int zero = 1; zero >= 0; zero--)
		for (size_t i = 0; i < n; i++) {
			if ((left[i]->b == 0) != zero)
				continue;
			if (at <= left[i]->b)
				return i;
			at -= left[i]->b;
		}
	return 0;
}

/* True when the name has SRV records, or may have: then the bare host is not to be asked (RFC 3263 4.2). */
static bool service(struct dns_walk *w, struct view name, enum transport t)
{
	const struct dns_answer *a = look(w, DNS_SRV, name);

	for (size_t first = 0; a && first < a->n; ) {
		const struct dns_record *left[DNS_CANDIDATES];
		size_t                   n = 0;

		for (; first < a->n && (n == 0 || a->record[first].a == left[0]->a); first++)
			left[n++] = &a->record[first];
		while (n) {
			size_t i = draw(w, left, n);
			if (left[i]->name.n)
				host(w, left[i]->name, left[i]->port, t);
			else
				w->why = "the service is not offered there";
			memmove(&left[i], &left[i + 1], (--n - i) * sizeof *left);
		}
	}
	return a;
}

static const struct { struct view prefix; enum transport transport; } srv_names[] = {
	{ VIEW_INIT("_sip._udp."), TR_UDP }, { VIEW_INIT("_sip._tcp."), TR_TCP }, { VIEW_INIT("_sips._tcp."), TR_TLS },
};

/* SRV of one transport, or of each that we may use when `only` is TR_NONE. */
static bool services(struct dns_walk *w, enum transport only)
{
	bool found = false;

	for (size_t i = 0; i < sizeof srv_names / sizeof *srv_names; i++) {
		char       text[DNS_NAME_BYTES + 16];
		struct out name = out_to(text, DNS_NAME_BYTES);

		if (!usable(w, srv_names[i].transport) || (only != TR_NONE && only != srv_names[i].transport))
			continue;
		put(&name, srv_names[i].prefix);
		put(&name, w->ask->host);
		if (!name.full)
			found |= service(w, out_view(&name), srv_names[i].transport);
	}
	return found;
}

/* RFC 3263 4.1: the domain's own order of transports.  Later records stay as fallbacks. */
static bool authority(struct dns_walk *w)
{
	const struct dns_answer *a = look(w, DNS_NAPTR, w->ask->host);
	bool                     found = false;

	for (size_t i = 0; a && i < a->n; i++) {
		const struct dns_record *r = &a->record[i];
		if (usable(w, r->transport) && (r->secure || !w->ask->secure))
			found |= service(w, r->name, r->transport);
	}
	return found;
}

void dns_walk(struct dns_walk *w)
{
	const struct resolve_ask *ask = w->ask;
	enum transport            plain = dns_plain_transport(ask);

	w->n = 0;
	w->missing = false;
	w->why = NULL;
	if (ask->port == 0) {
		enum transport only = ask->secure ? secured(ask->transport) : ask->transport;

		if (ask->transport == TR_NONE && w->conf->naptr && (authority(w) || w->missing))
			return;
		if (services(w, only) || w->missing)
			return;
	}
	if (plain == TR_NONE) {
		w->why = "no usable transport";
		return;
	}
	host(w, ask->host, ask->port ? ask->port : transport_port(plain), plain);
}
