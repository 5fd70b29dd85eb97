#include "base/unit.h"
#include "loop/loop.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- a clock turned by hand --------------------------------------------------------------------------------------------- */

static uint64_t hand_ms;

static uint64_t hand_mono(void *arg)
{
	return *(uint64_t *)arg;
}

static uint64_t hand_unix(void *arg)
{
	return 1700000000000 + *(uint64_t *)arg;
}

static struct loop *hand_loop(void)
{
	hand_ms = 1000;
	struct loop *l = loop_new(7, (struct loop_clock){ hand_mono, hand_unix, &hand_ms });
	assert_non_null(l);
	return l;
}

static void clock_is_injected(void **state)
{
	struct loop *l = hand_loop();

	assert_int_equal(l->id, 7);
	assert_int_equal(l->now_ms, 1000);
	hand_ms = 5000;
	assert_int_equal(l->now_ms, 1000);
	loop_turn(l, 0);
	assert_int_equal(l->now_ms, 5000);
	assert_int_equal(l->unix_ms, 1700000005000);
	loop_free(l);
	loop_free(NULL);
}

/* ---- descriptors ---------------------------------------------------------------------------------------------------------- */

struct ear {
	struct loop_io io;
	struct loop   *loop;
	int            heard;
	uint32_t       events;
	struct ear    *other;
};

static void hear(struct loop_io *io, uint32_t events)
{
	struct ear *e = container_of(io, struct ear, io);

	e->heard++;
	e->events = events;
}

static void pair(int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
}

static void hears_what_it_wants(void **state)
{
	struct loop *l = hand_loop();
	int          fd[2];
	char         c;

	pair(fd);
	struct ear e = { .io = { .fd = fd[0], .ready = hear } };
	assert_true(loop_watch(l, &e.io, IO_READ));
	assert_int_equal(loop_turn(l, 0), 0);
	assert_int_equal(e.heard, 0);

	/* Level-triggered: heard until read. */
	assert_int_equal(write(fd[1], "x", 1), 1);
	assert_int_equal(loop_turn(l, 0), 1);
	assert_int_equal(loop_turn(l, 0), 1);
	assert_int_equal(e.heard, 2);
	assert_int_equal(e.events, IO_READ);
	assert_int_equal(read(fd[0], &c, 1), 1);
	loop_turn(l, 0);
	assert_int_equal(e.heard, 2);

	loop_want(l, &e.io, IO_READ | IO_WRITE);
	loop_turn(l, 0);
	assert_int_equal(e.events, IO_WRITE);
	loop_want(l, &e.io, 0);
	e.heard = 0;
	assert_int_equal(write(fd[1], "x", 1), 1);
	loop_turn(l, 0);
	assert_int_equal(e.heard, 0);
	loop_want(l, &e.io, IO_READ | IO_RDHUP);
	close(fd[1]);
	loop_turn(l, 0);
	assert_int_equal(e.events, IO_READ | IO_RDHUP | IO_HUP);

	loop_unwatch(l, &e.io);
	loop_unwatch(l, &e.io);
	e.heard = 0;
	loop_turn(l, 0);
	assert_int_equal(e.heard, 0);
	close(fd[0]);
	loop_free(l);
}

/* Whoever is called first unwatches, closes and wipes the other, which was ready in the same batch. */
static void kill_other(struct loop_io *io, uint32_t events)
{
	struct ear *e = container_of(io, struct ear, io);

	e->heard++;
	loop_unwatch(e->loop, &e->other->io);
	close(e->other->io.fd);
	memset(&e->other->io, 0xee, sizeof e->other->io);
}

static void closed_io_hears_no_stale_event(void **state)
{
	struct loop *l = hand_loop();
	int          a[2], b[2];

	pair(a);
	pair(b);
	struct ear one = { .io = { .fd = a[0], .ready = kill_other }, .loop = l };
	struct ear two = { .io = { .fd = b[0], .ready = kill_other }, .loop = l, .other = &one };
	one.other = &two;
	assert_true(loop_watch(l, &one.io, IO_READ) && loop_watch(l, &two.io, IO_READ));
	assert_true(write(a[1], "x", 1) == 1 && write(b[1], "x", 1) == 1);
	assert_int_equal(loop_turn(l, 0), 1);
	assert_int_equal(one.heard + two.heard, 1);
	/* The survivor is still watched and still ready; nobody else is. */
	struct ear *left = one.heard ? &one : &two;
	loop_unwatch(l, &left->io);
	assert_int_equal(loop_turn(l, 0), 0);
	close(left->io.fd);
	close(a[1]);
	close(b[1]);
	loop_free(l);
}

/* As above, but the victim's memory serves a new, silent descriptor at once. */
static void replace_other(struct loop_io *io, uint32_t events)
{
	struct ear *e = container_of(io, struct ear, io), *o = e->other;
	int         silent[2];

	e->heard++;
	loop_unwatch(e->loop, &o->io);
	close(o->io.fd);
	pair(silent);
	o->io = (struct loop_io){ .fd = silent[0], .ready = hear };
	assert_true(loop_watch(e->loop, &o->io, IO_READ));
	o->events = (uint32_t)silent[1];
	loop_unwatch(e->loop, &e->io);
}

static void reused_io_hears_no_stale_event(void **state)
{
	struct loop *l = hand_loop();
	int          a[2], b[2];

	pair(a);
	pair(b);
	struct ear one = { .io = { .fd = a[0], .ready = replace_other }, .loop = l };
	struct ear two = { .io = { .fd = b[0], .ready = replace_other }, .loop = l, .other = &one };
	one.other = &two;
	assert_true(loop_watch(l, &one.io, IO_READ) && loop_watch(l, &two.io, IO_READ));
	assert_true(write(a[1], "x", 1) == 1 && write(b[1], "x", 1) == 1);
	assert_int_equal(loop_turn(l, 0), 1);
	assert_int_equal(one.heard + two.heard, 1);
	struct ear *fresh = one.heard ? &two : &one, *old = one.heard ? &one : &two;
	assert_int_equal(loop_turn(l, 0), 0);
	assert_int_equal(fresh->heard, 0);
	close((int)fresh->events);
	assert_int_equal(loop_turn(l, 0), 1);
	assert_int_equal(fresh->heard, 1);
	loop_unwatch(l, &fresh->io);
	close(fresh->io.fd);
	close(old->io.fd);
	close(a[1]);
	close(b[1]);
	loop_free(l);
}

static void mute_other(struct loop_io *io, uint32_t events)
{
	struct ear *e = container_of(io, struct ear, io);

	e->heard++;
	loop_want(e->loop, &e->other->io, 0);
}

static void unwanted_event_of_this_turn_is_not_delivered(void **state)
{
	struct loop *l = hand_loop();
	int          a[2], b[2];

	pair(a);
	pair(b);
	struct ear one = { .io = { .fd = a[0], .ready = mute_other }, .loop = l };
	struct ear two = { .io = { .fd = b[0], .ready = mute_other }, .loop = l, .other = &one };
	one.other = &two;
	assert_true(loop_watch(l, &one.io, IO_WRITE) && loop_watch(l, &two.io, IO_WRITE));
	assert_int_equal(loop_turn(l, 0), 1);
	assert_int_equal(one.heard + two.heard, 1);
	loop_unwatch(l, &one.io);
	loop_unwatch(l, &two.io);
	for (int i = 0; i < 2; i++) {
		close(a[i]);
		close(b[i]);
	}
	loop_free(l);
}

/* More ready descriptors than one batch holds: each is served all the same. */
static void many_descriptors(void **state)
{
	enum { MANY = 400 };
	static struct ear e[MANY];
	struct loop      *l = hand_loop();
	int               fd[MANY][2];

	for (int i = 0; i < MANY; i++) {
		pair(fd[i]);
		e[i] = (struct ear){ .io = { .fd = fd[i][0], .ready = hear } };
		assert_true(loop_watch(l, &e[i].io, IO_WRITE));
	}
	loop_turn(l, 0);
	loop_turn(l, 0);
	for (int i = 0; i < MANY; i++) {
		assert_true(e[i].heard >= 1);
		loop_unwatch(l, &e[i].io);
		close(fd[i][0]);
		close(fd[i][1]);
	}
	loop_free(l);
}

/* ---- timers, hooks, sleep ------------------------------------------------------------------------------------------------- */

static char order[20];
static int  order_n;

static void note_timer(struct timer *t)
{
	order[order_n++] = 'T';
}

static bool note_hook(struct loop_hook *h)
{
	order[order_n++] = 'H';
	return false;
}

static void note_io(struct loop_io *io, uint32_t events)
{
	order[order_n++] = 'I';
}

static void note_letter(struct letter *letter, struct loop *to)
{
	order[order_n++] = 'L';
}

static void timers_follow_the_hand(void **state)
{
	struct loop *l = hand_loop();
	struct timer t;

	order_n = 0;
	timer_init(&t, note_timer);
	loop_after(l, &t, 500);
	hand_ms += 499;
	loop_turn(l, 0);
	assert_int_equal(order_n, 0);
	hand_ms += 1;
	loop_turn(l, 0);
	assert_int_equal(order_n, 1);
	assert_false(timer_armed(&t));

	/* A day at one blow, then how late it was. */
	loop_after(l, &t, 500);
	hand_ms += 86400000;
	loop_turn(l, 0);
	assert_int_equal(order_n, 2);
	assert_true(loop_counts(l).late_ms_max >= 86399500);
	loop_free(l);
}

static void turn_has_an_order(void **state)
{
	struct loop     *l = hand_loop();
	struct timer     t;
	struct loop_hook h = { .before_sleep = note_hook };
	struct letter    letter = { .open = note_letter };
	int              fd[2];

	pair(fd);
	struct loop_io io = { .fd = fd[0], .ready = note_io };

	order_n = 0;
	timer_init(&t, note_timer);
	loop_after(l, &t, 1);
	loop_hook_add(l, &h);
	assert_true(loop_watch(l, &io, IO_WRITE));
	assert_true(inbox_post(l, &letter));
	hand_ms += 1;
	assert_int_equal(loop_turn(l, 0), 2);
	assert_memory_equal(order, "ILTH", 4);
	loop_hook_del(l, &h);
	loop_unwatch(l, &io);
	order_n = 0;
	loop_turn(l, 0);
	assert_int_equal(order_n, 0);
	close(fd[0]);
	close(fd[1]);
	loop_free(l);
}

static int hook_runs;

static bool greedy_hook(struct loop_hook *h)
{
	return ++hook_runs < 3;
}

/* With the system's clock, so that a sleep that should not be is seen. */
static void hook_and_again_prevent_sleep(void **state)
{
	struct loop     *l = loop_new(0, loop_clock_os());
	struct loop_hook h = { .before_sleep = greedy_hook };
	uint64_t         began = l->now_ms;

	hook_runs = 0;
	loop_hook_add(l, &h);
	loop_again(l);
	loop_turn(l, 5000);       /* again */
	loop_turn(l, 5000);       /* the hook's first wish */
	loop_turn(l, 5000);       /* and its second */
	assert_int_equal(hook_runs, 3);
	assert_true(l->now_ms - began < 4000);
	began = l->now_ms;
	loop_turn(l, 30);
	assert_true(l->now_ms - began >= 29);
	loop_free(l);
}

static void sleeps_until_the_next_timer(void **state)
{
	struct loop *l = loop_new(0, loop_clock_os());
	struct timer t;
	uint64_t     began = l->now_ms;

	order_n = 0;
	timer_init(&t, note_timer);
	loop_after(l, &t, 70);
	while (!order_n)
		loop_turn(l, -1);
	assert_true(l->now_ms - began >= 70);
	/* The wheel's levels cost a few wakes, not one per millisecond. */
	assert_true(loop_counts(l).turns <= 4);
	assert_true(loop_counts(l).sleeps >= 1);
	loop_free(l);
}

/* ---- letters -------------------------------------------------------------------------------------------------------------- */

static int opened;

static void count_letter(struct letter *letter, struct loop *to)
{
	opened++;
}

static void burst_is_bounded_and_the_rest_does_not_wait(void **state)
{
	static struct letter letter[2 * INBOX_BURST + 1];
	struct loop         *l = loop_new(0, loop_clock_os());
	uint64_t             began = l->now_ms;

	opened = 0;
	for (size_t i = 0; i < COUNT_OF(letter); i++) {
		letter[i].open = count_letter;
		assert_true(inbox_post(l, &letter[i]));
	}
	assert_int_equal(loop_turn(l, 5000), INBOX_BURST);
	assert_int_equal(opened, INBOX_BURST);
	assert_int_equal(loop_turn(l, 5000), INBOX_BURST);
	assert_int_equal(loop_turn(l, 5000), 1);
	assert_true(l->now_ms - began < 4000);
	assert_int_equal(loop_counts(l).letters, COUNT_OF(letter));
	loop_free(l);
}

static void inbox_has_a_bound(void **state)
{
	struct loop   *l = hand_loop();
	struct letter *letters = calloc(INBOX_MAX + 1, sizeof *letters);

	for (int i = 0; i <= INBOX_MAX; i++) {
		letters[i].open = count_letter;
		assert_int_equal(inbox_post(l, &letters[i]), i < INBOX_MAX);
	}
	assert_int_equal(loop_counts(l).refused, 1);
	assert_int_equal(loop_counts(l).waiting, INBOX_MAX);
	opened = 0;
	loop_turn(l, 0);
	assert_int_equal(opened, INBOX_BURST);
	assert_true(inbox_post(l, &letters[INBOX_MAX]));
	inbox_drain(l);
	assert_int_equal(opened, INBOX_MAX + 1);
	assert_int_equal(loop_counts(l).waiting, 0);
	free(letters);
	loop_free(l);
}

enum { SENDERS = 4, PER_SENDER = 200000, SLEEPY = 20000 };
struct numbered { struct letter letter; int sender, n; };
struct sender { pthread_t thread; struct loop *to; int id; };
static int next_of[SENDERS], total;

static void check_order(struct letter *letter, struct loop *to)
{
	struct numbered *m = container_of(letter, struct numbered, letter);

	assert_int_equal(m->n, next_of[m->sender]);
	next_of[m->sender]++;
	free(m);
	if (++total == SENDERS * PER_SENDER)
		loop_stop(to);
}

static void *send_all(void *arg)
{
	struct sender *s = arg;

	for (int i = 0; i < PER_SENDER; i++) {
		struct numbered *m = malloc(sizeof *m);
		*m = (struct numbered){ { .open = check_order }, s->id, i };
		while (!inbox_post(s->to, &m->letter))
			sched_yield();
		/* Now and then the receiver gets time to fall asleep. */
		if (i % SLEEPY == 0)
			usleep(1000);
	}
	return NULL;
}

static void letters_of_a_sender_keep_their_order(void **state)
{
	struct loop  *l = loop_new(0, loop_clock_os());
	struct sender s[SENDERS];

	total = 0;
	for (int i = 0; i < SENDERS; i++) {
		next_of[i] = 0;
		s[i] = (struct sender){ .to = l, .id = i };
		assert_int_equal(pthread_create(&s[i].thread, NULL, send_all, &s[i]), 0);
	}
	loop_run(l);
	for (int i = 0; i < SENDERS; i++)
		pthread_join(s[i].thread, NULL);
	for (int i = 0; i < SENDERS; i++)
		assert_int_equal(next_of[i], PER_SENDER);
	assert_int_equal(loop_counts(l).letters, SENDERS * PER_SENDER);
	assert_int_equal(loop_counts(l).waiting, 0);
	loop_free(l);
}

/* One ball between two sleeping threads: a lost wake stops the game for ever (and the test runner ends it). */
enum { STROKES = 40000 };
struct ball { struct letter letter; struct loop *court[2]; int strokes; };

static void stroke(struct letter *letter, struct loop *to)
{
	struct ball *b = container_of(letter, struct ball, letter);

	if (++b->strokes == STROKES) {
		loop_stop(b->court[0]);
		loop_stop(b->court[1]);
		return;
	}
	must(inbox_post(b->court[to == b->court[0]], letter));
}

static void no_wake_is_lost(void **state)
{
	struct ball b = { .letter.open = stroke, .court = { loop_new(0, loop_clock_os()), loop_new(1, loop_clock_os()) } };

	assert_true(loop_thread_start(b.court[0], "left-with-a-long-name", -1));
	assert_true(loop_thread_start(b.court[1], "right", 0));
	assert_true(inbox_post(b.court[0], &b.letter));
	for (int i = 0; i < 2; i++)
		loop_thread_join(b.court[i]);
	assert_int_equal(b.strokes, STROKES);
	/* An idle loop turns for what it is sent and for nothing else. */
	for (int i = 0; i < 2; i++) {
		assert_true(loop_counts(b.court[i]).turns <= 2 * STROKES);
		loop_free(b.court[i]);
	}
}

static void stop_before_run_is_not_lost(void **state)
{
	struct loop *l = loop_new(0, loop_clock_os());

	loop_stop(l);
	loop_run(l);
	assert_int_equal(loop_counts(l).turns, 0);
	/* And it is spent: the next run runs. */
	assert_true(loop_thread_start(l, "run", -1));
	while (loop_counts(l).turns == 0) {
		static struct letter knock = { .open = count_letter };
		if (loop_counts(l).letters == 0 && loop_counts(l).waiting == 0)
			assert_true(inbox_post(l, &knock));
		usleep(1000);
	}
	loop_stop(l);
	loop_thread_join(l);
	loop_free(l);
}

/* A worker's thread leaves signals to main. */
static sigset_t blocked_there;

static void read_mask(struct letter *letter, struct loop *to)
{
	pthread_sigmask(SIG_SETMASK, NULL, &blocked_there);
	loop_stop(to);
}

static void signals_are_blocked_on_worker_threads(void **state)
{
	struct loop  *l = loop_new(0, loop_clock_os());
	struct letter letter = { .open = read_mask };
	sigset_t      here;

	assert_true(inbox_post(l, &letter));
	assert_true(loop_thread_start(l, "mask", -1));
	loop_thread_join(l);
	assert_true(sigismember(&blocked_there, SIGTERM) && sigismember(&blocked_there, SIGHUP));
	pthread_sigmask(SIG_SETMASK, NULL, &here);
	assert_false(sigismember(&here, SIGTERM));
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clock_is_injected), cmocka_unit_test(hears_what_it_wants),
		cmocka_unit_test(closed_io_hears_no_stale_event), cmocka_unit_test(reused_io_hears_no_stale_event),
		cmocka_unit_test(unwanted_event_of_this_turn_is_not_delivered), cmocka_unit_test(many_descriptors),
		cmocka_unit_test(timers_follow_the_hand), cmocka_unit_test(turn_has_an_order),
		cmocka_unit_test(hook_and_again_prevent_sleep), cmocka_unit_test(sleeps_until_the_next_timer),
		cmocka_unit_test(burst_is_bounded_and_the_rest_does_not_wait), cmocka_unit_test(inbox_has_a_bound),
		cmocka_unit_test(letters_of_a_sender_keep_their_order), cmocka_unit_test(no_wake_is_lost),
		cmocka_unit_test(stop_before_run_is_not_lost), cmocka_unit_test(signals_are_blocked_on_worker_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
