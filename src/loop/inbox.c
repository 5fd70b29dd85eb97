#include "loop/inbox.h"
#include <errno.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Senders push onto a stack; the owner takes the whole stack at once and turns it round, which restores the order of
 * pushing.  Nobody but the owner removes, so a recycled letter cannot confuse a sender's compare-and-swap.
 *
 * Sleep: the owner raises `sleeping`, then looks at the stack; a sender pushes, then looks at `sleeping`.  Both pairs are
 * sequentially consistent, so at least one of the two sees the other, and the exchange lets one sender alone do the wake. */
struct inbox {
	_Atomic(struct letter *) pushed __attribute__((aligned(64)));
	atomic_uint              count;         /* pushed and taken, not yet opened */
	atomic_bool              sleeping;
	atomic_uint_least64_t    refused;

	struct letter *first __attribute__((aligned(64)));   /* taken, oldest first; the owner's alone */
	int            fd;
};

struct inbox *inbox_new(void)
{
	struct inbox *in = aligned_alloc(64, sizeof *in);

	if (!in)
		return NULL;
	memset(in, 0, sizeof *in);
	in->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (in->fd < 0) {
		free(in);
		return NULL;
	}
	return in;
}

void inbox_free(struct inbox *in)
{
	if (!in)
		return;
	close(in->fd);
	free(in);
}

int inbox_fd(const struct inbox *in)
{
	return in->fd;
}

void inbox_wake(struct inbox *in)
{
	int      saved = errno;
	uint64_t one = 1;
	/* Full is impossible in practice and would mean that a wake is pending anyway. */
	ssize_t  unused = write(in->fd, &one, sizeof one);

	(void)unused;
	errno = saved;
}

bool inbox_post(struct loop *to, struct letter *l)
{
	struct inbox *in = to->inbox;

	must(l->open);
	if (atomic_fetch_add_explicit(&in->count, 1, memory_order_relaxed) >= INBOX_MAX) {
		atomic_fetch_sub_explicit(&in->count, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&in->refused, 1, memory_order_relaxed);
		return false;
	}

	struct letter *top = atomic_load_explicit(&in->pushed, memory_order_relaxed);

	do
		l->next = top;
	while (!atomic_compare_exchange_weak(&in->pushed, &top, l));
	/* The load first: an exchange by every sender would fight over the line while the owner is awake. */
	if (atomic_load(&in->sleeping) && atomic_exchange(&in->sleeping, false))
		inbox_wake(in);
	return true;
}

static void take(struct inbox *in)
{
	struct letter *l = atomic_exchange(&in->pushed, NULL);

	must(!in->first);
	while (l) {
		struct letter *older = l->next;
		l->next = in->first;
		in->first = l;
		l = older;
	}
}

unsigned inbox_open(struct inbox *in, struct loop *to, unsigned burst)
{
	unsigned n = 0;

	for (; n < burst; n++) {
		if (!in->first && atomic_load_explicit(&in->pushed, memory_order_relaxed))
			take(in);
		struct letter *l = in->first;
		if (!l)
			break;
		in->first = l->next;
		l->next = NULL;
		l->open(l, to);
	}
	if (n)
		atomic_fetch_sub_explicit(&in->count, n, memory_order_relaxed);
	return n;
}

void inbox_drain(struct loop *l)
{
	while (inbox_open(l->inbox, l, INBOX_BURST))
		;
}

bool inbox_sleep(struct inbox *in)
{
	if (in->first)
		return false;
	atomic_store(&in->sleeping, true);
	if (!atomic_load(&in->pushed))
		return true;
	inbox_awake(in);
	return false;
}

void inbox_awake(struct inbox *in)
{
	/* The load first: an unchanged line stays shared with the senders. */
	if (atomic_load_explicit(&in->sleeping, memory_order_relaxed))
		atomic_store_explicit(&in->sleeping, false, memory_order_relaxed);
}

uint64_t inbox_waiting(const struct inbox *in)
{
	return atomic_load_explicit(&in->count, memory_order_relaxed);
}

uint64_t inbox_refused(const struct inbox *in)
{
	return atomic_load_explicit(&in->refused, memory_order_relaxed);
}
