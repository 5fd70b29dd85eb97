#include "base/unit.h"

struct item { struct list node; struct table_node in_table; uint64_t key; bool there; };

static bool same_key(const struct table_node *n, const void *key)
{
	return container_of(n, struct item, in_table)->key == *(const uint64_t *)key;
}

static void lists(void **state)
{
	struct list head;
	struct item it[4];
	int         order[4], n = 0;

	list_init(&head);
	assert_true(list_empty(&head));
	list_add_tail(&head, &it[0].node);
	list_add_tail(&head, &it[1].node);
	list_add_head(&head, &it[2].node);
	list_add_tail(&head, &it[3].node);
	list_del(&it[1].node);
	list_del(&it[1].node);
	/* The walk survives the deletion of the node it stands on. */
	list_each(p, &head) {
		order[n++] = (int)(container_of(p, struct item, node) - it);
		list_del(p);
	}
	assert_int_equal(n, 3);
	assert_int_equal(order[0], 2);
	assert_int_equal(order[1], 0);
	assert_int_equal(order[2], 3);
	assert_true(list_empty(&head));
}

enum { ITEMS = 2000 };
static struct item items[ITEMS];

/* `spread` decides how badly the hashes collide. */
static void table_against_flags(uint64_t spread)
{
	struct dice  d = { spread + 1 };
	struct table t;
	size_t       count = 0;

	assert_true(table_init(&t, 3));
	assert_int_equal(t.mask, 3);
	memset(items, 0, sizeof items);
	for (int round = 0; round < 20000; round++) {
		size_t       i = roll_below(&d, ITEMS);
		struct item *it = &items[i];
		uint64_t     hash = (i * 0x9e3779b97f4a7c15u) % spread;
		uint64_t     key = i;

		struct table_node *found = table_find(&t, hash, same_key, &key);
		assert_ptr_equal(found, it->there ? &it->in_table : NULL);
		if (it->there) {
			table_del(&t, &it->in_table);
			count--;
		} else {
			it->key = i;
			table_add(&t, &it->in_table, hash);
			count++;
		}
		it->there = !it->there;
		assert_int_equal(t.count, count);
	}

	size_t             at = 0, seen = 0;
	struct table_node *n = NULL;

	while ((n = table_next(&t, &at, n))) {
		struct item *it = container_of(n, struct item, in_table);
		assert_true(it->there);
		it->there = false;
		seen++;
	}
	assert_int_equal(seen, count);
	assert_true(t.mask + 1 >= count / 2);
	table_done(&t);
	table_done(&t);
}

static void table_finds_what_was_added(void **state)
{
	table_against_flags(UINT64_MAX);
	table_against_flags(1000);
	table_against_flags(1);
}

static void empty_table(void **state)
{
	struct table t = { 0 };
	size_t       at = 0;
	uint64_t     key = 1;

	assert_null(table_find(&t, 1, same_key, &key));
	assert_null(table_next(&t, &at, NULL));
	assert_true(table_init(&t, 0));
	assert_int_equal(t.mask, 0);
	assert_null(table_next(&t, &at, NULL));
	table_done(&t);
}

/* The way to empty a table: fetch the next before dropping the one in hand. */
static void emptied_while_walked(void **state)
{
	struct table       t;
	size_t             at = 0;
	struct table_node *n, *next;

	assert_true(table_init(&t, 16));
	for (size_t i = 0; i < 100; i++)
		table_add(&t, &items[i].in_table, i % 7);
	for (n = table_next(&t, &at, NULL); n; n = next) {
		next = table_next(&t, &at, n);
		table_del(&t, n);
	}
	assert_int_equal(t.count, 0);
	table_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists), cmocka_unit_test(table_finds_what_was_added), cmocka_unit_test(empty_table),
		cmocka_unit_test(emptied_while_walked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
