#include "base/unit.h"

static struct wheel wheel;
static int          fired;
static uint64_t     fired_at;

static void note_fire(struct timer *t)
{
	assert_false(timer_armed(t));
	fired++;
	fired_at = wheel.now_ms;
}

static const uint64_t starts[] = { 0, 1, 63, 64, 4095, (1u << 30) - 1, 1u << 30, 0x123456789abcu };
static const uint64_t waits[] = { 1, 2, 63, 64, 65, 4095, 4096, 4097, 262143, 262144, 500, 32000, 180000, 1u << 24, (1u << 24) + 1,
	(1u << 30) - 1, 1u << 30, (1u << 30) + 1, 5ull << 30, 1ull << 45 };

/* Not a millisecond early, exactly on time, by one jump or by sleeping from wheel_next to wheel_next. */
static void fires_exactly(void **state)
{
	for (size_t s = 0; s < COUNT_OF(starts); s++) {
		for (size_t k = 0; k < COUNT_OF(waits); k++) {
			struct timer t;
			uint64_t     at = starts[s] + waits[k];

			wheel_init(&wheel, starts[s]);
			timer_init(&t, note_fire);
			timer_set(&wheel, &t, at);
			fired = 0;
			wheel_advance(&wheel, at - 1);
			assert_int_equal(fired, 0);
			assert_int_equal(wheel_next(&wheel), at);
			wheel_advance(&wheel, at);
			assert_int_equal(fired, 1);
			assert_int_equal(wheel.armed, 0);
			assert_int_equal(wheel_next(&wheel), UINT64_MAX);

			wheel_init(&wheel, starts[s]);
			timer_set(&wheel, &t, at);
			fired = 0;
			wheel_advance(&wheel, at + 12345);
			assert_int_equal(fired, 1);
			assert_int_equal(fired_at, at);
			assert_int_equal(wheel.now_ms, at + 12345);
		}
	}
}

/* An idle loop wakes a handful of times for a far timer, not once per tick. */
static void idle_loop_sleeps(void **state)
{
	for (size_t s = 0; s < COUNT_OF(starts); s++) {
		for (size_t k = 0; k < COUNT_OF(waits); k++) {
			struct timer t;
			uint64_t     at = starts[s] + waits[k];
			int          wakes = 0;

			if (waits[k] > 5ull << 30)
				continue;
			wheel_init(&wheel, starts[s]);
			timer_init(&t, note_fire);
			timer_set(&wheel, &t, at);
			for (fired = 0; !fired; wakes++) {
				uint64_t next = wheel_next(&wheel);
				assert_true(next > wheel.now_ms && next <= at);
				wheel_advance(&wheel, next);
			}
			assert_int_equal(wheel.now_ms, at);
			assert_true(wakes <= WHEEL_LEVELS + (int)(waits[k] >> 29));
		}
	}
}

static void past_fires_at_next_advance(void **state)
{
	struct timer t;

	wheel_init(&wheel, 1000);
	timer_init(&t, note_fire);
	for (uint64_t at = 0; at <= 1000; at += 250) {
		fired = 0;
		timer_set(&wheel, &t, at);
		assert_true(timer_armed(&t));
		assert_int_equal(wheel_next(&wheel), 1000);
		wheel_advance(&wheel, 1000);
		assert_int_equal(fired, 1);
	}
}

static struct timer second;

static void clears_second(struct timer *t)
{
	fired++;
	timer_clear(&wheel, &second);
}

static void cleared_while_due_does_not_fire(void **state)
{
	struct timer first;

	wheel_init(&wheel, 0);
	timer_init(&first, clears_second);
	timer_init(&second, note_fire);
	timer_set(&wheel, &first, 10);
	timer_set(&wheel, &second, 10);
	fired = 0;
	wheel_advance(&wheel, 10);
	assert_int_equal(fired, 1);
	assert_int_equal(wheel.armed, 0);
	timer_clear(&wheel, &second);
	assert_int_equal(wheel.armed, 0);
}

static void rearms_in_the_past(struct timer *t)
{
	fired++;
	timer_set(&wheel, t, 1);
}

/* A callback that asks for yesterday is served once per tick: the advance ends. */
static void rearming_in_the_past_does_not_hang(void **state)
{
	struct timer t;

	wheel_init(&wheel, 100);
	timer_init(&t, rearms_in_the_past);
	timer_set(&wheel, &t, 101);
	fired = 0;
	wheel_advance(&wheel, 200);
	assert_int_equal(fired, 100);
	assert_int_equal(wheel_next(&wheel), 200);
	wheel_advance(&wheel, 200);
	assert_int_equal(fired, 101);
}

/* ---- random operations against a model that keeps only what it was told -------------------------------------------- */

enum { TIMERS = 300, ROUNDS = 60000 };
static struct model {
	struct timer t;
	uint64_t     at, set_at;        /* at 0 = not armed; set_at = wheel time when armed */
	bool         set_in_fire;
} model[TIMERS];
static struct dice dice;
static bool        firing;
static uint64_t    fire_clock;

static uint64_t random_wait(void)
{
	switch (roll_below(&dice, 6)) {
	case 0:  return roll_below(&dice, 3);
	case 1:  return roll_below(&dice, 200);
	case 2:  return roll_below(&dice, 5000);
	case 3:  return roll_below(&dice, 300000);
	case 4:  return roll_below(&dice, 1u << 25);
	default: return roll_below(&dice, 1ull << 32);
	}
}

static void model_set(struct model *m)
{
	uint64_t wait = random_wait();

	m->at = roll_below(&dice, 8) ? wheel.now_ms + wait : wheel.now_ms - (wheel.now_ms > wait ? wait : 0);
	m->at += m->at == 0;
	m->set_at = wheel.now_ms;
	m->set_in_fire = firing;
	timer_set(&wheel, &m->t, m->at);
}

static void model_clear(struct model *m)
{
	timer_clear(&wheel, &m->t);
	m->at = 0;
}

static void model_fire(struct timer *t)
{
	struct model *m = container_of(t, struct model, t);

	assert_true(m->at != 0);
	if (m->at > m->set_at)
		assert_int_equal(wheel.now_ms, m->at);
	else
		assert_true(wheel.now_ms - m->set_at <= (m->set_in_fire ? 1 : 0));
	assert_true(wheel.now_ms >= fire_clock);
	fire_clock = wheel.now_ms;
	m->at = 0;
	fired++;
	if (roll_below(&dice, 4) == 0)
		model_set(m);
	if (roll_below(&dice, 8) == 0)
		model_set(&model[roll_below(&dice, TIMERS)]);
	if (roll_below(&dice, 8) == 0)
		model_clear(&model[roll_below(&dice, TIMERS)]);
}

static void model_advance(uint64_t jump)
{
	uint64_t to = wheel.now_ms + jump, earliest = UINT64_MAX;
	size_t   armed = 0;

	fire_clock = wheel.now_ms;
	firing = true;
	wheel_advance(&wheel, to);
	firing = false;
	assert_int_equal(wheel.now_ms, to);
	for (int i = 0; i < TIMERS; i++) {
		struct model *m = &model[i];
		assert_int_equal(timer_armed(&m->t), m->at != 0);
		if (!m->at)
			continue;
		armed++;
		/* Only what was armed for the past in the very last tick may be left over. */
		if (m->at <= to)
			assert_true(m->set_in_fire && m->set_at == to);
		earliest = m->at < earliest ? m->at : earliest;
	}
	assert_int_equal(wheel.armed, armed);
	if (armed == 0)
		assert_int_equal(wheel_next(&wheel), UINT64_MAX);
	else if (earliest > to)
		assert_true(wheel_next(&wheel) > to && wheel_next(&wheel) <= earliest);
	else
		assert_int_equal(wheel_next(&wheel), to);
}

static void agrees_with_model(void **state)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		dice.s = seed * 0x9e3779b97f4a7c15u;
		wheel_init(&wheel, roll_below(&dice, 1ull << 33));
		fired = 0;
		for (int i = 0; i < TIMERS; i++) {
			model[i].at = 0;
			timer_init(&model[i].t, model_fire);
		}
		for (int r = 0; r < ROUNDS; r++) {
			struct model *m = &model[roll_below(&dice, TIMERS)];
			uint64_t      op = roll_below(&dice, 10);
			if (op < 6)
				model_set(m);
			else if (op < 8)
				model_clear(m);
			else
				model_advance(random_wait());
		}
		assert_true(fired > ROUNDS / 10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fires_exactly), cmocka_unit_test(idle_loop_sleeps), cmocka_unit_test(past_fires_at_next_advance),
		cmocka_unit_test(cleared_while_due_does_not_fire), cmocka_unit_test(rearming_in_the_past_does_not_hang),
		cmocka_unit_test(agrees_with_model),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
