#include "base/unit.h"

/* Memory that runs out on demand: this program is linked with malloc and slab_take wrapped. */
void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
static bool out_of_memory;

void *__wrap_malloc(size_t n)
{
	return out_of_memory ? NULL : __real_malloc(n);
}

void *__real_slab_take(void);
void *__wrap_slab_take(void);

void *__wrap_slab_take(void)
{
	return out_of_memory ? NULL : __real_slab_take();
}

static int fresh(void **state)
{
	out_of_memory = false;
	arena_thread_done();
	return 0;
}

static bool aligned(const void *p)
{
	return (uintptr_t)p % 16 == 0;
}

static void gives_aligned_disjoint_blocks(void **state)
{
	struct arena *a = arena_new(1 << 20);
	unsigned char *block[500];
	size_t         size[500];
	struct dice    d = { 7 };

	assert_non_null(a);
	for (int i = 0; i < 500; i++) {
		size[i] = roll_below(&d, i % 50 ? 300 : 20000);
		block[i] = arena_alloc(a, size[i]);
		assert_non_null(block[i]);
		assert_true(aligned(block[i]));
		memset(block[i], i & 0xff, size[i]);
		/* An unaligned tenant in between. */
		assert_view(arena_copy(a, VIEW("xyz")), VIEW("xyz"));
	}
	for (int i = 0; i < 500; i++)
		for (size_t k = 0; k < size[i]; k++)
			assert_int_equal(block[i][k], i & 0xff);
	assert_false(a->full);
	arena_free(a);
}

static void empty_blocks_are_unique(void **state)
{
	struct arena *a = arena_new(4096);
	void         *one = arena_alloc(a, 0), *two = arena_alloc(a, 0);

	assert_non_null(one);
	assert_non_null(two);
	assert_ptr_not_equal(one, two);
	arena_free(a);
	arena_free(NULL);
}

static void zalloc_zeroes_used_memory(void **state)
{
	for (int round = 0; round < 2; round++) {
		struct arena *a = arena_new(1 << 16);
		unsigned char *p = arena_zalloc(a, 5000);
		for (int i = 0; i < 5000; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xee, 5000);
		arena_free(a);
	}
}

/* At every bound: what is given out in all stays within it, and what fits is given. */
static void bound_holds(void **state)
{
	const size_t bounds[] = { 0, 16, 100, 4096, 8192, 10000, 100000 };
	const size_t steps[] = { 16, 48, 512, 3000, 9000 };

	for (size_t b = 0; b < COUNT_OF(bounds); b++) {
		for (size_t s = 0; s < COUNT_OF(steps); s++) {
			struct arena *a = arena_new(bounds[b]);
			size_t        got = 0;
			while (arena_alloc(a, steps[s]))
				got += steps[s];
			assert_true(got <= bounds[b]);
			assert_true(a->used <= bounds[b]);
			if (steps[s] <= bounds[b])
				assert_true(got > 0);
			assert_true(a->full);
			/* Full stays full: later small blocks would hide the first loss. */
			assert_null(arena_alloc(a, 1));
			arena_free(a);
		}
	}
}

static void huge_is_refused(void **state)
{
	struct arena *a = arena_new(1000);

	assert_null(arena_alloc(a, SIZE_MAX));
	assert_true(a->full);
	arena_free(a);
	a = arena_new(1000);
	assert_null(arena_alloc(a, SIZE_MAX - 20));
	arena_free(a);
}

static void no_memory_is_an_outcome(void **state)
{
	out_of_memory = true;
	assert_null(arena_new(1000));
	out_of_memory = false;

	struct arena *a = arena_new(1 << 20);

	out_of_memory = true;
	while (arena_alloc(a, 256))
		;
	assert_true(a->full);
	assert_null(arena_copy(a, VIEW("x")).p);
	assert_null(arena_cstr(a, VIEW("x")));
	assert_null(arena_zalloc(a, 1));
	assert_null(arena_fmt(a, "%d", 1).p);
	assert_null(arena_join(a, &VIEW("x"), 1).p);
	arena_free(a);

	out_of_memory = false;
	arena_thread_done();
	a = arena_new(1 << 20);
	out_of_memory = true;
	assert_null(arena_alloc(a, 100000));
	assert_true(a->full);
	arena_free(a);
}

static void text(void **state)
{
	struct arena     *a = arena_new(1 << 16);
	const struct view parts[] = { VIEW_INIT("sip:"), VIEW_NONE, VIEW_INIT("alice"), VIEW_INIT("@"), VIEW_INIT("x") };
	char              big[3000];

	assert_view(arena_copy(a, VIEW("hello")), VIEW("hello"));
	assert_int_equal(arena_copy(a, VIEW_NONE).n, 0);
	assert_view(arena_fmt(a, "%s:%d", "port", 5060), VIEW("port:5060"));
	memset(big, 'b', sizeof big);
	for (size_t n = 250; n < 260; n++)
		assert_view(arena_fmt(a, "%.*s", (int)n, big), view_of(big, n));
	assert_view(arena_fmt(a, "%.*s", 3000, big), view_of(big, 3000));
	assert_view(arena_join(a, parts, COUNT_OF(parts)), VIEW("sip:alice@x"));
	assert_int_equal(arena_join(a, NULL, 0).n, 0);
	assert_string_equal(arena_cstr(a, view_of("abcdef", 3)), "abc");
	assert_string_equal(arena_cstr(a, VIEW_NONE), "");
	assert_false(a->full);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(gives_aligned_disjoint_blocks, fresh), cmocka_unit_test_setup(empty_blocks_are_unique, fresh),
		cmocka_unit_test_setup(zalloc_zeroes_used_memory, fresh), cmocka_unit_test_setup(bound_holds, fresh),
		cmocka_unit_test_setup(huge_is_refused, fresh), cmocka_unit_test_setup_teardown(no_memory_is_an_outcome, fresh, fresh),
		cmocka_unit_test_setup_teardown(text, fresh, fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
