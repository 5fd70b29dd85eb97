#include "loop/loop.h"
#include "base/slab.h"
#include "loop/inbox.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_PER_TURN = 256, THREAD_NAME_BYTES = 16 };
/* A busy worker gathers: when it wakes this often in a millisecond, each waking costs more than the message it brings, so it lets
 * messages assemble for a moment that no call notices.  Interrupt moderation, as network cards do it. */
enum { GATHER_WAKES_PER_MS = 2, GATHER_US = 500, GATHER_SLACK_NS = 5000 };

_Static_assert((IO_READ | IO_WRITE | IO_RDHUP | IO_ERROR | IO_HUP) == (int)(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLERR | EPOLLHUP) &&
	       IO_READ == (int)EPOLLIN && IO_WRITE == (int)EPOLLOUT && IO_RDHUP == (int)EPOLLRDHUP, "event bits are epoll's");

struct loop_own {
	struct loop        pub;             /* first: a struct loop * is a struct loop_own * */
	struct loop_clock  clock;
	struct list        hooks;
	struct loop_io     wake;
	struct slab_heap  *heap;            /* memory of what this worker's messages need */
	int                epoll;
	uint64_t           gather_ms;       /* the millisecond that wakes are counted in */
	unsigned           wakes, wakes_before;
	bool               again;
	atomic_bool        stop;
	/* The batch being delivered; an unwatched io's entries are struck out. */
	struct epoll_event batch[EVENTS_PER_TURN];
	int                batch_at, batch_n;
	struct loop_counts counts;          /* written by the owner, read by anyone: relaxed atomics */
	bool               turning;
	pthread_t          turner, thread;
	bool               has_thread;
};

static struct loop_own *own(struct loop *l)
{
	return (struct loop_own *)l;
}

/* Descriptors, hooks and timers are the turning thread's alone. */
static struct loop_own *own_here(struct loop *l)
{
	struct loop_own *o = own(l);

	must(!o->turning || pthread_equal(o->turner, pthread_self()));
	return o;
}

static void count_add(uint64_t *c, uint64_t n)
{
	__atomic_store_n(c, *c + n, __ATOMIC_RELAXED);
}

static void count_longest(uint64_t *last, uint64_t *longest, uint64_t ms)
{
	__atomic_store_n(last, ms, __ATOMIC_RELAXED);
	if (ms > *longest)
		__atomic_store_n(longest, ms, __ATOMIC_RELAXED);
}

static uint64_t os_ms(clockid_t id)
{
	struct timespec t;

	must(clock_gettime(id, &t) == 0);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint64_t os_mono_ms(void *arg)
{
	return os_ms(CLOCK_MONOTONIC);
}

static uint64_t os_unix_ms(void *arg)
{
	return os_ms(CLOCK_REALTIME);
}

struct loop_clock loop_clock_os(void)
{
	return (struct loop_clock){ os_mono_ms, os_unix_ms, NULL };
}

static void read_clock(struct loop_own *o)
{
	uint64_t now = o->clock.mono_ms(o->clock.arg);

	must(now >= o->pub.now_ms);
	o->pub.now_ms = now;
	o->pub.unix_ms = o->clock.unix_ms(o->clock.arg);
	log_clock(o->pub.unix_ms);
}

/* The wake's only work is to end the sleep. */
static void woken(struct loop_io *io, uint32_t events)
{
}

struct loop *loop_new(uint16_t id, struct loop_clock clock)
{
	struct loop_own *o = calloc(1, sizeof *o);

	if (!o)
		return NULL;
	o->clock = clock;
	o->heap = slab_heap_new();
	if (!o->heap)
		goto free_loop;
	o->pub.id = id;
	list_init(&o->hooks);
	o->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (o->epoll < 0)
		goto free_loop;
	o->pub.inbox = inbox_new();
	if (!o->pub.inbox)
		goto close_epoll;
	o->wake = (struct loop_io){ .fd = inbox_fd(o->pub.inbox), .ready = woken };
	/* Edge-triggered, so that a wake needs no read(2): each write is an edge. */
	if (!loop_watch(&o->pub, &o->wake, EPOLLIN | EPOLLET))
		goto free_inbox;
	read_clock(o);
	wheel_init(&o->pub.wheel, o->pub.now_ms);
	return &o->pub;

free_inbox:
	inbox_free(o->pub.inbox);
close_epoll:
	close(o->epoll);
free_loop:
	slab_heap_free(o->heap);
	free(o);
	return NULL;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;

	struct loop_own *o = own_here(l);

	must(!o->turning && !o->has_thread);
	inbox_free(l->inbox);
	close(o->epoll);
	slab_heap_free(o->heap);
	free(o);
}

static bool control(struct loop_own *o, int op, struct loop_io *io, uint32_t want)
{
	struct epoll_event e = { .events = want, .data.ptr = io };

	return epoll_ctl(o->epoll, op, io->fd, &e) == 0;
}

bool loop_watch(struct loop *l, struct loop_io *io, uint32_t want)
{
	struct loop_own *o = own_here(l);

	must(!io->watched && io->ready && io->fd >= 0);
	if (!control(o, EPOLL_CTL_ADD, io, want)) {
		must(errno == ENOMEM || errno == ENOSPC);
		return false;
	}
	io->want = want;
	io->watched = true;
	return true;
}

void loop_want(struct loop *l, struct loop_io *io, uint32_t want)
{
	struct loop_own *o = own_here(l);

	must(io->watched);
	if (io->want == want)
		return;
	must(control(o, EPOLL_CTL_MOD, io, want));
	io->want = want;
}

void loop_unwatch(struct loop *l, struct loop_io *io)
{
	struct loop_own *o = own_here(l);

	if (!io->watched)
		return;
	must(control(o, EPOLL_CTL_DEL, io, 0));
	io->watched = false;
	io->want = 0;
	for (int i = o->batch_at; i < o->batch_n; i++)
		if (o->batch[i].data.ptr == io)
			o->batch[i].data.ptr = NULL;
}

void loop_hook_add(struct loop *l, struct loop_hook *h)
{
	must(h->before_sleep);
	list_add_tail(&own_here(l)->hooks, &h->node);
}

void loop_hook_del(struct loop *l, struct loop_hook *h)
{
	must(own_here(l));
	list_del(&h->node);
}

void loop_again(struct loop *l)
{
	own_here(l)->again = true;
}

void loop_stop(struct loop *l)
{
	atomic_store(&own(l)->stop, true);
	inbox_wake(l->inbox);
}

/* Milliseconds epoll may wait: 0 with work at hand, never beyond the next timer. */
static int wait_ms(struct loop_own *o, int max_wait_ms)
{
	uint64_t next = wheel_next(&o->pub.wheel);
	uint64_t limit = max_wait_ms < 0 ? INT32_MAX : (uint64_t)max_wait_ms;

	if (o->again || limit == 0)
		return 0;
	if (next != UINT64_MAX) {
		/* The turn since the last reading took time too. */
		uint64_t now = o->clock.mono_ms(o->clock.arg);
		uint64_t until = next > now ? next - now : 0;
		if (until < limit)
			return (int)until;
	}
	return max_wait_ms < 0 ? -1 : max_wait_ms;
}

/* Wakes of the millisecond that ended last, or of the present one: whichever speaks sooner of a busy time. */
static bool busy(struct loop_own *o)
{
	if (o->pub.now_ms != o->gather_ms) {
		o->wakes_before = o->pub.now_ms == o->gather_ms + 1 ? o->wakes : 0;
		o->gather_ms = o->pub.now_ms;
		o->wakes = 0;
	}
	o->wakes++;
	return o->wakes_before >= GATHER_WAKES_PER_MS || o->wakes > GATHER_WAKES_PER_MS;
}

static void fetch(struct loop_own *o, int max_wait_ms)
{
	int  wait = wait_ms(o, max_wait_ms);
	bool sleeps = wait != 0 && inbox_sleep(o->pub.inbox);

	o->again = false;
	if (sleeps && busy(o)) {
		const struct timespec gather = { .tv_nsec = GATHER_US * 1000 };
		ppoll(NULL, 0, &gather, NULL);
	}
	int n = epoll_wait(o->epoll, o->batch, EVENTS_PER_TURN, sleeps ? wait : 0);
	must(n >= 0 || errno == EINTR);
	if (sleeps) {
		inbox_awake(o->pub.inbox);
		count_add(&o->counts.sleeps, 1);
	}
	o->batch_n = n > 0 ? n : 0;
}

static unsigned deliver(struct loop_own *o)
{
	unsigned served = 0;

	for (o->batch_at = 0; o->batch_at < o->batch_n; ) {
		struct epoll_event e = o->batch[o->batch_at++];
		struct loop_io    *io = e.data.ptr;

		if (!io || io == &o->wake)
			continue;
		/* A callback before this one may have lost interest on its behalf. */
		e.events &= io->want | EPOLLERR | EPOLLHUP;
		if (!e.events)
			continue;
		served++;
		io->ready(io, e.events);
	}
	o->batch_at = o->batch_n = 0;
	return served;
}

static void run_timers(struct loop_own *o)
{
	uint64_t next = wheel_next(&o->pub.wheel);

	if (next <= o->pub.now_ms)
		count_longest(&o->counts.late_ms, &o->counts.late_ms_max, o->pub.now_ms - next);
	wheel_advance(&o->pub.wheel, o->pub.now_ms);
}

static void run_hooks(struct loop_own *o)
{
	list_each(n, &o->hooks) {
		struct loop_hook *h = container_of(n, struct loop_hook, node);
		if (h->before_sleep(h))
			o->again = true;
	}
}

unsigned loop_turn(struct loop *l, int max_wait_ms)
{
	struct loop_own *o = own_here(l);

	must(!o->turning);
	o->turning = true;
	o->turner = pthread_self();
	fetch(o, max_wait_ms);
	read_clock(o);

	unsigned events = deliver(o);
	unsigned letters = inbox_open(l->inbox, l, INBOX_BURST);

	run_timers(o);
	run_hooks(o);

	count_add(&o->counts.turns, 1);
	count_add(&o->counts.events, events);
	count_add(&o->counts.letters, letters);
	count_longest(&o->counts.turn_ms, &o->counts.turn_ms_max, o->clock.mono_ms(o->clock.arg) - l->now_ms);
	o->turning = false;
	return events + letters;
}

void loop_run(struct loop *l)
{
	while (!atomic_load(&own(l)->stop))
		loop_turn(l, -1);
	atomic_store(&own(l)->stop, false);
}

struct loop_counts loop_counts(const struct loop *l)
{
	const struct loop_own *o = (const struct loop_own *)l;
	struct loop_counts     c;

#define READ(field) c.field = __atomic_load_n(&o->counts.field, __ATOMIC_RELAXED)
	READ(turns);
	READ(sleeps);
	READ(events);
	READ(letters);
	READ(turn_ms);
	READ(turn_ms_max);
	READ(late_ms);
	READ(late_ms_max);
#undef READ
	c.refused = inbox_refused(l->inbox);
	c.waiting = inbox_waiting(l->inbox);
	return c;
}

void loop_sit(struct loop *l)
{
	slab_use(l ? own(l)->heap : NULL);
}

static void *thread_main(void *arg)
{
	struct loop *l = arg;

	/* The kernel's habit of waking a sleeper 50 us late would make a gathering twice as long. */
	prctl(PR_SET_TIMERSLACK, GATHER_SLACK_NS);
	loop_sit(l);
	loop_run(l);
	return NULL;
}

static void pin(pthread_t thread, int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	must(cpu < CPU_SETSIZE);
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (pthread_setaffinity_np(thread, sizeof set, &set) != 0)
		log_at(L_WARN, "loop: cannot pin a worker to CPU %d, leaving it free", cpu);
}

bool loop_thread_start(struct loop *l, const char *name, int cpu)
{
	struct loop_own *o = own(l);
	sigset_t         all, before;
	char             label[THREAD_NAME_BYTES];

	must(!o->has_thread);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	o->has_thread = pthread_create(&o->thread, NULL, thread_main, l) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!o->has_thread)
		return false;
	snprintf(label, sizeof label, "%s", name);
	pthread_setname_np(o->thread, label);
	pin(o->thread, cpu);
	return true;
}

void loop_thread_join(struct loop *l)
{
	struct loop_own *o = own(l);

	must(o->has_thread);
	must(pthread_join(o->thread, NULL) == 0);
	o->has_thread = false;
}
