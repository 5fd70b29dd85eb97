#include "net/dns.h"

struct entry {
	struct table_node  node;
	struct list        by_use;
	struct dns_answer *answer;
	uint64_t           good_ms, dies_ms;     /* fresh before; served on failure before */
	enum dns_type      type;
	size_t             n;
	char               name[];
};
struct key { enum dns_type type; struct view name; };

struct dns_answer *dns_answer_ref(struct dns_answer *a)
{
	a->refs++;
	return a;
}

void dns_answer_unref(struct dns_answer *a)
{
	if (a && --a->refs == 0)
		free(a);
}

struct dns_answer *dns_answer_none(enum dns_end end, const char *why)
{
	struct dns_answer *a = calloc(1, sizeof *a);

	must(end != DNS_FOUND);
	if (!a)
		return NULL;
	*a = (struct dns_answer){ .refs = 1, .end = end, .why = why,
		.ttl_ms = end == DNS_NONE ? DNS_NEGATIVE_MS : DNS_FAILURE_MS };
	return a;
}

struct dns_answer *dns_answer_new(const struct dns_record *list, size_t n, uint64_t ttl_ms)
{
	size_t names = 0;

	if (n == 0)
		return dns_answer_none(DNS_NONE, "no usable record");
	if (n > DNS_CANDIDATES)
		n = DNS_CANDIDATES;
	for (size_t i = 0; i < n; i++)
		names += list[i].name.n;

	struct dns_answer *a = calloc(1, sizeof *a + n * sizeof *list + names);
	if (!a)
		return NULL;
	*a = (struct dns_answer){ .refs = 1, .end = DNS_FOUND, .n = n,
		.ttl_ms = ttl_ms < DNS_TTL_MIN_MS ? DNS_TTL_MIN_MS : ttl_ms > DNS_TTL_MAX_MS ? DNS_TTL_MAX_MS : ttl_ms };

	char *at = (char *)&a->record[n];
	for (size_t i = 0; i < n; i++) {
		a->record[i] = list[i];
		a->record[i].name.p = at;
		if (list[i].name.n)
			memcpy(at, list[i].name.p, list[i].name.n);
		at += list[i].name.n;
	}
	return a;
}

bool dns_cache_init(struct dns_cache *c, struct hash_key key)
{
	*c = (struct dns_cache){ .key = key };
	list_init(&c->by_use);
	return table_init(&c->table, 64);
}

static void drop(struct dns_cache *c, struct entry *e)
{
	table_del(&c->table, &e->node);
	list_del(&e->by_use);
	dns_answer_unref(e->answer);
	free(e);
}

void dns_cache_done(struct dns_cache *c)
{
	list_each(pos, &c->by_use)
		drop(c, container_of(pos, struct entry, by_use));
	table_done(&c->table);
}

uint64_t dns_key_hash(struct hash_key key, enum dns_type t, struct view name)
{
	struct hash_key typed = { key.k0 ^ (uint64_t)t, key.k1 };

	return siphash_view(typed, name);
}

static bool same_entry(const struct table_node *n, const void *key)
{
	const struct entry *e = container_of(n, struct entry, node);
	const struct key   *k = key;

	return e->type == k->type && view_is(view_of(e->name, e->n), k->name);
}

static struct entry *find(struct dns_cache *c, enum dns_type t, struct view name)
{
	struct key         k = { t, name };
	struct table_node *n = table_find(&c->table, dns_key_hash(c->key, t, name), same_entry, &k);

	return n ? container_of(n, struct entry, node) : NULL;
}

struct dns_answer *dns_cache_get(struct dns_cache *c, enum dns_type t, struct view name, uint64_t now_ms)
{
	struct entry *e = find(c, t, name);

	if (!e || now_ms >= e->good_ms)
		return NULL;
	list_del(&e->by_use);
	list_add_head(&c->by_use, &e->by_use);
	return e->answer;
}

struct dns_answer *dns_cache_stale(struct dns_cache *c, enum dns_type t, struct view name, uint64_t now_ms)
{
	struct entry *e = find(c, t, name);

	if (!e || e->answer->end != DNS_FOUND || now_ms >= e->dies_ms)
		return NULL;
	if (e->good_ms < now_ms + DNS_STALE_RETRY_MS)
		e->good_ms = now_ms + DNS_STALE_RETRY_MS;
	return e->answer;
}

void dns_cache_put(struct dns_cache *c, enum dns_type t, struct view name, struct dns_answer *a, uint64_t now_ms)
{
	struct entry *e = find(c, t, name);

	if (e) {
		drop(c, e);
	} else if (c->table.count >= DNS_CACHE) {
		drop(c, container_of(c->by_use.prev, struct entry, by_use));
	}
	e = calloc(1, sizeof *e + name.n);
	if (!e)
		return;
	e->answer = dns_answer_ref(a);
	e->good_ms = now_ms + a->ttl_ms;
	e->dies_ms = e->good_ms + DNS_STALE_MS;
	e->type = t;
	e->n = name.n;
	memcpy(e->name, name.p, name.n);
	list_add_head(&c->by_use, &e->by_use);
	table_add(&c->table, &e->node, dns_key_hash(c->key, t, name));
}
