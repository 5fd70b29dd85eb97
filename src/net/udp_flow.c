/* net/udp_flow.c -- the two memories of a UDP socket behind a load balancer, both bounded (reference R17).
 * Flows: what the header of a first datagram said, for the bare datagrams that follow it from the same sender to the same
 * socket; never consulted for anything else (R19).  Sent-to: addresses that may answer without a header. */
#include "net/stage.h"

/* ---- flows ---- */

struct flow {
	struct table_node node;
	struct list       age;           /* oldest first */
	uint16_t          socket;
	struct addr       from;
	struct sender    *sender;
	struct facts     *facts;
	uint64_t          used_ms;
};
/* One sending address and how many flows it holds. */
struct sender { struct table_node node; struct addr ip; uint32_t flows; };
struct udp_flows {
	struct net  *net;
	struct table flows, senders;
	struct list  age;
};
struct flow_key { uint16_t socket; const struct addr *from; };

static uint64_t flow_hash(const struct udp_flows *f, uint16_t socket, const struct addr *a)
{
	uint8_t b[21] = { (uint8_t)(socket >> 8), (uint8_t)socket, a->af, (uint8_t)(a->port >> 8), (uint8_t)a->port };

	memcpy(b + 5, a->ip, 16);
	return siphash(f->net->key, b, sizeof b);
}

static bool flow_is(const struct table_node *n, const void *key)
{
	const struct flow *f = container_of(n, struct flow, node);
	const struct flow_key *k = key;

	return f->socket == k->socket && addr_same(&f->from, k->from);
}

static bool sender_is(const struct table_node *n, const void *key)
{
	return addr_same_ip(&container_of(n, struct sender, node)->ip, key);
}

struct udp_flows *udp_flows_new(struct net *n)
{
	struct udp_flows *f = calloc(1, sizeof *f);

	if (!f)
		return NULL;
	f->net = n;
	list_init(&f->age);
	if (!table_init(&f->flows, 64) || !table_init(&f->senders, 16)) {
		udp_flows_free(f);
		return NULL;
	}
	return f;
}

static void flow_free(struct udp_flows *f, struct flow *w)
{
	must(w->sender->flows > 0);
	table_del(&f->flows, &w->node);
	list_del(&w->age);
	if (--w->sender->flows == 0) {
		table_del(&f->senders, &w->sender->node);
		free(w->sender);
	}
	facts_unref(w->facts);
	free(w);
}

static void flows_expire(struct udp_flows *f)
{
	while (!list_empty(&f->age)) {
		struct flow *w = container_of(f->age.next, struct flow, age);
		if (w->used_ms + PP_FLOW_TTL_MS > net_now(f->net))
			break;
		flow_free(f, w);
	}
}

void udp_flows_free(struct udp_flows *f)
{
	if (!f)
		return;
	while (f->age.next && !list_empty(&f->age))
		flow_free(f, container_of(f->age.next, struct flow, age));
	table_done(&f->flows);
	table_done(&f->senders);
	free(f);
}

static struct flow *flow_get(struct udp_flows *f, const struct socket_conf *s, const struct addr *from)
{
	struct flow_key k = { s->index, from };

	flows_expire(f);
	struct table_node *n = table_find(&f->flows, flow_hash(f, s->index, from), flow_is, &k);
	return n ? container_of(n, struct flow, node) : NULL;
}

static void flow_renew(struct udp_flows *f, struct flow *w)
{
	w->used_ms = net_now(f->net);
	list_del(&w->age);
	list_add_tail(&f->age, &w->age);
}

static struct sender *sender_get(struct udp_flows *f, const struct addr *from)
{
	uint64_t hash = siphash(f->net->key, from->ip, sizeof from->ip);
	struct table_node *n = table_find(&f->senders, hash, sender_is, from);

	if (n)
		return container_of(n, struct sender, node);
	struct sender *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->ip = *from;
	table_add(&f->senders, &s->node, hash);
	return s;
}

bool udp_flow_learn(struct udp_flows *f, const struct socket_conf *s, const struct addr *from, struct facts *facts)
{
	struct flow *w = flow_get(f, s, from);

	if (w) {
		facts_unref(w->facts);
		w->facts = facts_ref(facts);
		flow_renew(f, w);
		return true;
	}
	if (f->flows.count >= PP_FLOWS)
		return false;
	struct sender *sender = sender_get(f, from);
	if (!sender || sender->flows >= PP_FLOWS_PER_SENDER)
		return false;
	w = calloc(1, sizeof *w);
	if (!w) {
		if (!sender->flows) {
			table_del(&f->senders, &sender->node);
			free(sender);
		}
		return false;
	}
	w->socket = s->index;
	w->from = *from;
	w->sender = sender;
	sender->flows++;
	w->facts = facts_ref(facts);
	w->used_ms = net_now(f->net);
	list_add_tail(&f->age, &w->age);
	table_add(&f->flows, &w->node, flow_hash(f, s->index, from));
	return true;
}

struct facts *udp_flow_find(struct udp_flows *f, const struct socket_conf *s, const struct addr *from)
{
	struct flow *w = flow_get(f, s, from);

	if (!w)
		return NULL;
	flow_renew(f, w);
	return w->facts;
}

/* ---- addresses we sent to ---- */

/* One word per address: the upper bits of its keyed hash over the second it was last sent to.  Workers write and read without
 * a lock; a lost write or a full set costs a bare response, which its transaction survives by retransmission. */
enum { SENT_TIME_BITS = 24, SENT_WAYS = 4 };
#define SENT_TIME_MASK ((UINT64_C(1) << SENT_TIME_BITS) - 1)

static uint64_t sent_hash(struct net *n, const struct addr *a, size_t *set)
{
	uint8_t b[19] = { a->af, (uint8_t)(a->port >> 8), (uint8_t)a->port };

	memcpy(b + 3, a->ip, 16);
	uint64_t h = siphash(n->key, b, sizeof b);
	*set = (size_t)(h % (SENT_SLOTS / SENT_WAYS)) * SENT_WAYS;
	return h & ~SENT_TIME_MASK;
}

static uint64_t sent_second(const struct net *n)
{
	return (n->loop->unix_ms / 1000) & SENT_TIME_MASK;
}

static bool sent_alive(const struct net *n, uint64_t word)
{
	uint64_t age = (sent_second(n) - (word & SENT_TIME_MASK)) & SENT_TIME_MASK;

	/* Workers read their clocks at different moments: a second ahead is fresh. */
	return word && (age <= SENT_TTL_S || age == SENT_TIME_MASK);
}

void sent_note(struct net *n, const struct addr *to)
{
	size_t set, oldest = 0;
	uint64_t h = sent_hash(n, to, &set), oldest_age = 0;

	for (size_t i = 0; i < SENT_WAYS; i++) {
		uint64_t w = __atomic_load_n(&n->peers->sent[set + i], __ATOMIC_RELAXED);
		uint64_t age = w ? (sent_second(n) - (w & SENT_TIME_MASK)) & SENT_TIME_MASK : SENT_TIME_MASK - 1;
		if (w && (w & ~SENT_TIME_MASK) == h) {
			if (age)
				__atomic_store_n(&n->peers->sent[set + i], h | sent_second(n), __ATOMIC_RELAXED);
			return;
		}
		if (age != SENT_TIME_MASK && age >= oldest_age) {
			oldest = i;
			oldest_age = age;
		}
	}
	__atomic_store_n(&n->peers->sent[set + oldest], h | sent_second(n), __ATOMIC_RELAXED);
}

bool sent_lately(struct net *n, const struct addr *to)
{
	size_t set;
	uint64_t h = sent_hash(n, to, &set);

	for (size_t i = 0; i < SENT_WAYS; i++) {
		uint64_t w = __atomic_load_n(&n->peers->sent[set + i], __ATOMIC_RELAXED);
		if ((w & ~SENT_TIME_MASK) == h && sent_alive(n, w))
			return true;
	}
	return false;
}
