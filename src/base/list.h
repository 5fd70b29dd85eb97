/* base/list.h -- intrusive doubly linked list and intrusive chained hash table. */
#ifndef BASE_LIST_H
#define BASE_LIST_H
#include "base/must.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct list { struct list *next, *prev; };     /* a head, or a node inside an owner */

/* An empty head, or a node on no list. */
static inline void list_init(struct list *h) { h->next = h->prev = h; }
static inline bool list_empty(const struct list *h) { return h->next == h; }
/* Add a node that is on no list: last, or first. */
static inline void list_add_tail(struct list *h, struct list *n)
{
	n->prev = h->prev; n->next = h; h->prev->next = n; h->prev = n;
}
static inline void list_add_head(struct list *h, struct list *n)
{
	n->next = h->next; n->prev = h; h->next->prev = n; h->next = n;
}
/* Unlink and leave the node self-linked, so that a second list_del is harmless. */
static inline void list_del(struct list *n)
{
	n->next->prev = n->prev; n->prev->next = n->next; list_init(n);
}
#define list_each(pos, head) for (struct list *pos = (head)->next, *pos##_n = pos->next; pos != (head); pos = pos##_n, pos##_n = pos->next)

/* Chained hash table of nodes embedded in their owners.  The caller hashes (keyed, see hash.h) and compares;
 * buckets double at load factor 1.  Not thread safe. */
struct table_node { struct table_node *next; uint64_t hash; };
struct table { struct table_node **buckets; size_t mask, count; };
typedef bool table_same(const struct table_node *n, const void *key);

bool               table_init(struct table *t, size_t buckets_pow2);  /* false without memory */
void               table_done(struct table *t);                       /* the nodes stay with their owners */
void               table_add(struct table *t, struct table_node *n, uint64_t hash);
void               table_del(struct table *t, struct table_node *n);  /* must be in the table */
/* First node with that hash for which same(node, key); NULL when none. */
struct table_node *table_find(const struct table *t, uint64_t hash, table_same *same, const void *key);
/* Walk: start with *at = 0 and prev NULL; returns NULL at the end.  Deleting the node just returned is not allowed
 * before the next one is fetched. */
struct table_node *table_next(const struct table *t, size_t *at, const struct table_node *prev);
#endif
