#include "base/base.h"

bool table_init(struct table *t, size_t buckets_pow2)
{
	size_t n = 1;

	while (n < buckets_pow2)
		n <<= 1;
	t->buckets = calloc(n, sizeof(struct table_node *));
	t->mask = n - 1;
	t->count = 0;
	return t->buckets != NULL;
}

void table_done(struct table *t)
{
	free(t->buckets);
	*t = (struct table){ 0 };
}

/* Without memory the table stays as it is: longer chains, never a failure. */
static void table_grow(struct table *t)
{
	size_t              n = (t->mask + 1) * 2;
	struct table_node **wider = calloc(n, sizeof(struct table_node *));

	if (!wider)
		return;
	for (size_t i = 0; i <= t->mask; i++) {
		for (struct table_node *node = t->buckets[i], *next; node; node = next) {
			struct table_node **b = &wider[node->hash & (n - 1)];
			next = node->next;
			node->next = *b;
			*b = node;
		}
	}
	free(t->buckets);
	t->buckets = wider;
	t->mask = n - 1;
}

void table_add(struct table *t, struct table_node *n, uint64_t hash)
{
	must(t->buckets);
	if (t->count > t->mask)
		table_grow(t);

	struct table_node **b = &t->buckets[hash & t->mask];

	n->hash = hash;
	n->next = *b;
	*b = n;
	t->count++;
}

void table_del(struct table *t, struct table_node *n)
{
	struct table_node **at = &t->buckets[n->hash & t->mask];

	while (*at && *at != n)
		at = &(*at)->next;
	must(*at == n);
	*at = n->next;
	n->next = NULL;
	t->count--;
}

struct table_node *table_find(const struct table *t, uint64_t hash, table_same *same, const void *key)
{
	if (!t->buckets)
		return NULL;
	for (struct table_node *n = t->buckets[hash & t->mask]; n; n = n->next)
		if (n->hash == hash && same(n, key))
			return n;
	return NULL;
}

struct table_node *table_next(const struct table *t, size_t *at, const struct table_node *prev)
{
	if (prev && prev->next)
		return prev->next;
	while (t->buckets && *at <= t->mask) {
		struct table_node *n = t->buckets[(*at)++];
		if (n)
			return n;
	}
	return NULL;
}
