#include "base/unit.h"
#include "base/ref.h"

enum { BOUND = 100 };

static void dead_names_find_nothing(void **state)
{
	struct slots s;
	int          a, b;

	slots_init(&s, 3, REF_CONN, BOUND);
	struct ref r = slots_take(&s, &a);
	assert_true(ref_set(r));
	assert_int_equal(r.worker, 3);
	assert_ptr_equal(slots_get(&s, r), &a);
	slots_drop(&s, r);
	assert_null(slots_get(&s, r));

	/* The same slot for another object: the old name must not find it. */
	struct ref again = slots_take(&s, &b);
	assert_int_equal(again.slot, r.slot);
	assert_false(ref_same(again, r));
	assert_null(slots_get(&s, r));
	assert_ptr_equal(slots_get(&s, again), &b);

	/* A slot number that never was. */
	again.slot = 1u << 31;
	assert_null(slots_get(&s, again));
	slots_done(&s);
	assert_false(ref_set(NO_REF));
}

static void bound_is_exact(void **state)
{
	struct slots s;
	struct ref   r[BOUND];
	int          things[BOUND];

	slots_init(&s, 0, REF_TXN, BOUND);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < BOUND; i++) {
			r[i] = slots_take(&s, &things[i]);
			assert_true(ref_set(r[i]));
		}
		assert_int_equal(s.live, BOUND);
		assert_false(ref_set(slots_take(&s, things)));
		for (int i = 0; i < BOUND; i++) {
			assert_ptr_equal(slots_get(&s, r[i]), &things[i]);
			slots_drop(&s, r[i]);
		}
		assert_int_equal(s.live, 0);
	}
	slots_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(dead_names_find_nothing), cmocka_unit_test(bound_is_exact) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
