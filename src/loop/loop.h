/* loop/loop.h -- one worker's event loop: file descriptors, timers, letters from other workers, and the only two places that
 * sleep and wake.  A loop belongs to the thread that turns it; every function here is for that thread (or for the thread
 * that builds the loop before it turns, or takes it down after), but for inbox_post(), loop_stop() and loop_counts(). */
#ifndef LOOP_H
#define LOOP_H
#include "base/base.h"

/* ---- time ------------------------------------------------------------------------------------------------------------- */

/* Where time comes from, in milliseconds: `mono_ms` never steps back and starts anywhere, `unix_ms` is UTC since 1970.
 * A test injects a clock that it turns by hand. */
struct loop_clock {
	uint64_t (*mono_ms)(void *arg);
	uint64_t (*unix_ms)(void *arg);
	void      *arg;
};
/* The operating system's clocks; for main only. */
struct loop_clock loop_clock_os(void);

/* ---- the loop ----------------------------------------------------------------------------------------------------------- */

struct inbox;
/* What users read and, but for `wheel` (through timer_set) and `user`, never write. */
struct loop {
	struct wheel  wheel;        /* timers in mono_ms */
	uint64_t      now_ms;       /* mono_ms as it was when this turn woke */
	uint64_t      unix_ms;      /* wall clock of the same moment */
	uint16_t      id;           /* worker number as given to loop_new */
	void         *user;         /* the worker that lives here */
	struct inbox *inbox;
};

/* A loop whose time starts at the clock's present.  NULL without memory or descriptors. */
struct loop *loop_new(uint16_t id, struct loop_clock clock);
/* Free the loop; NULL is fine.  No thread may turn it, watched descriptors are left open and unwatched, waiting letters are
 * forgotten unopened (open them before with inbox_drain), armed timers never fire. */
void         loop_free(struct loop *l);

/* One turn: sleep until something is ready, at most max_wait_ms (-1 = as long as it takes) and not beyond the next timer; then
 * descriptors, letters, timers, hooks, in this order: what has arrived is heard before a timeout is believed.
 * Returns how many descriptor events and letters were served. */
unsigned     loop_turn(struct loop *l, int max_wait_ms);
/* Turn until loop_stop().  A stop asked for before is honoured at once; one call answers one or more stops. */
void         loop_run(struct loop *l);
/* End loop_run after the present turn.  Callable from any thread and from a signal handler. */
void         loop_stop(struct loop *l);
/* There is more work than this turn had time for: the next turn does not sleep. */
void         loop_again(struct loop *l);
/* Arm (or move) a timer `ms` from now. */
static inline void loop_after(struct loop *l, struct timer *t, uint64_t ms) { timer_set(&l->wheel, t, l->now_ms + ms); }

/* Called at the end of every turn, in order of adding: batches are flushed here.  Returning true asks for a further turn without
 * sleep.  A hook may remove itself, but no other, while it runs. */
struct loop_hook {
	struct list node;
	bool      (*before_sleep)(struct loop_hook *h);
};
void loop_hook_add(struct loop *l, struct loop_hook *h);
void loop_hook_del(struct loop *l, struct loop_hook *h);

/* ---- descriptors -------------------------------------------------------------------------------------------------------- */

enum { IO_READ = 0x001 /* EPOLLIN */, IO_WRITE = 0x004 /* EPOLLOUT */, IO_RDHUP = 0x2000 /* EPOLLRDHUP */,
       IO_ERROR = 0x008 /* EPOLLERR, always heard */, IO_HUP = 0x010 /* EPOLLHUP, always heard */ };

/* A watched descriptor, embedded in its owner; level-triggered.  `fd` and `ready` are the owner's to set. */
struct loop_io {
	int      fd;
	void   (*ready)(struct loop_io *io, uint32_t events);
	uint32_t want;              /* IO_* asked for; kept by the loop */
	bool     watched;           /* kept by the loop */
};
/* Start hearing `want` (0 = errors only).  False when the kernel has no room.  The io must stay in place until unwatched. */
bool loop_watch(struct loop *l, struct loop_io *io, uint32_t want);
/* Change what is heard; costs a system call only when it differs.  Events of this turn no longer wanted are not delivered. */
void loop_want(struct loop *l, struct loop_io *io, uint32_t want);
/* Stop hearing; before close(fd).  Safe inside any callback: after it `ready` is not called again, not even for an event that
 * was already fetched, and the io may be freed or watched anew.  Harmless when not watched. */
void loop_unwatch(struct loop *l, struct loop_io *io);

/* ---- letters ------------------------------------------------------------------------------------------------------------ */

/* Work handed to another worker, embedded in what it carries.  Whoever opens it owns it from then on. */
struct letter {
	struct letter *next;        /* the inbox's */
	void         (*open)(struct letter *l, struct loop *to);   /* on the receiver's thread */
};
/* Hand a letter to a loop, from any thread (its own included; it is then opened in this or the next turn).  Letters of one sender are
 * opened in the order they were posted.  Wakes a sleeping receiver once.  False when INBOX_MAX letters wait already: the letter
 * remains the caller's. */
bool inbox_post(struct loop *to, struct letter *l);
/* Open every letter that waits, those posted meanwhile included; for taking a loop down after its thread ended. */
void inbox_drain(struct loop *l);

/* ---- counters and threads ----------------------------------------------------------------------------------------------- */

struct loop_counts {
	uint64_t turns, sleeps;             /* turns taken; turns that could sleep */
	uint64_t events, letters;           /* served */
	uint64_t refused;                   /* letters refused at INBOX_MAX */
	uint64_t waiting;                   /* letters in the inbox now */
	uint64_t turn_ms, turn_ms_max;      /* the last turn's working time, and the longest */
	uint64_t late_ms, late_ms_max;      /* how late the last overdue timer fired, and the latest: the delay of everything queued here */
};
/* A racy but untorn reading, from any thread. */
struct loop_counts loop_counts(const struct loop *l);

/* The calling thread works for this loop: what it allocates for messages comes from the loop's memory, which lives until loop_free.
 * For building a worker before its thread starts and taking it down after it ended; NULL = for no loop any more. */
void loop_sit(struct loop *l);
/* Run the loop on a thread of its own, all signals blocked there.  `name` shows in tools, at most 15 bytes count; `cpu` pins the
 * thread, -1 leaves it free; a pin that the system refuses is logged and done without.  False without resources. */
bool loop_thread_start(struct loop *l, const char *name, int cpu);
/* Wait for that thread's end; after loop_stop(). */
void loop_thread_join(struct loop *l);
#endif
