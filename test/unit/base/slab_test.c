#include "base/unit.h"
#include "base/slab.h"

enum { MANY = 3000 /* more than ten regions */ };

/* Every block is aligned, its own, and keeps what was written until it is put back; in any order. */
static void blocks_are_apart(void **state)
{
	static uint32_t *block[MANY];
	uint32_t seed = 1;

	for (int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < MANY; i++) {
			block[i] = slab_take();
			assert_non_null(block[i]);
			assert_int_equal((uintptr_t)block[i] % 16, 0);
			for (size_t j = 0; j < SLAB_BLOCK / sizeof **block; j += 64)
				block[i][j] = i;
		}
		for (uint32_t i = 0; i < MANY; i++)
			for (size_t j = 0; j < SLAB_BLOCK / sizeof **block; j += 64)
				assert_int_equal(block[i][j], i);
		for (uint32_t i = MANY; i > 0; i--) {
			seed = seed * 1103515245 + 12345;
			uint32_t at = (seed >> 8) % i;
			slab_put(block[at]);
			block[at] = block[i - 1];
		}
	}
	slab_thread_done();
}

/* A block goes back to the heap it came from, whichever is in use by then. */
static void heaps_are_apart(void **state)
{
	struct slab_heap *a = slab_heap_new(), *b = slab_heap_new();
	void *block[MANY];

	assert_null(slab_use(a));
	for (int i = 0; i < MANY; i++)
		block[i] = slab_take();
	assert_ptr_equal(slab_use(b), a);
	void *other = slab_take();
	for (int i = 0; i < MANY; i++) {
		assert_ptr_not_equal(block[i], other);
		slab_put(block[i]);
	}
	slab_put(other);
	assert_ptr_equal(slab_use(NULL), b);
	slab_heap_free(a);
	slab_heap_free(b);
	slab_heap_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(blocks_are_apart), cmocka_unit_test(heaps_are_apart) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
