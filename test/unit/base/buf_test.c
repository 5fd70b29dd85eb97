#include "base/unit.h"
#include <pthread.h>

static void counts_references(void **state)
{
	struct buf *b = buf_from(VIEW("INVITE"));

	assert_view(buf_view(b), VIEW("INVITE"));
	assert_int_equal(b->cap, 6);
	assert_ptr_equal(buf_ref(b), b);
	assert_int_equal(b->refs, 2);
	buf_unref(b);
	assert_int_equal(b->refs, 1);
	assert_view(buf_view(b), VIEW("INVITE"));
	buf_unref(b);
	buf_unref(NULL);

	b = buf_new(100);
	assert_int_equal(b->n, 0);
	assert_int_equal(b->cap, 100);
	memset(b->data, 'x', 100);
	buf_unref(b);
	b = buf_from(VIEW_NONE);
	assert_int_equal(b->n, 0);
	buf_unref(b);
}

enum { SHARERS = 4, ROUNDS = 50000 };

static void *share(void *arg)
{
	struct buf *b = arg;

	for (int i = 0; i < ROUNDS; i++) {
		buf_ref(b);
		buf_share(b);
		buf_unref(b);
	}
	buf_unref(b);
	return NULL;
}

/* Four threads take and drop; the last one, whoever it is, frees: a wrong count is a leak or a double free. */
static void shared_counts_survive_threads(void **state)
{
	struct buf *b = buf_from(VIEW("x"));
	pthread_t   t[SHARERS];

	buf_share(b);
	for (int i = 0; i < SHARERS; i++)
		buf_ref(b);
	for (int i = 0; i < SHARERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, share, b), 0);
	for (int i = 0; i < SHARERS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(b->refs, 1);
	buf_unref(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(counts_references), cmocka_unit_test(shared_counts_survive_threads) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
