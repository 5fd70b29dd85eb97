/* net/conn.c -- one stream connection on its worker: opening its stages one after the other, its deadlines, its queue out,
 * its end.  A connection is never destroyed while a stage or a callback of its own is on the stack: those only say
 * conn_fail(), and the end of the turn buries. */
#include "net/stage.h"
#include <sys/socket.h>
#include <unistd.h>

enum { FLUSH_VECS = 64 };

/* How a connection reads as it is wired, from the socket up. */
static const struct stage_ops *const wired[TR_COUNT][STAGES_MAX + 1] = {
	[TR_TCP] = { &stage_tcp, &stage_pp, &stage_frame },
	[TR_TLS] = { &stage_tcp, &stage_pp, &stage_tls, &stage_frame },
	[TR_WS]  = { &stage_tcp, &stage_pp, &stage_ws, &stage_frame },
	[TR_WSS] = { &stage_tcp, &stage_pp, &stage_tls, &stage_ws, &stage_frame },
};

enum io stage_recv(struct conn *c, unsigned at, char *p, size_t n, size_t *got, bool *whole)
{
	while (!c->ops[at]->recv) {
		must(at > 0);
		at--;
	}
	return c->ops[at]->recv(c, at, p, n, got, whole);
}

enum io stage_send(struct conn *c, unsigned at, const struct iovec *iov, int n, size_t *sent)
{
	while (!c->ops[at]->send) {
		must(at > 0);
		at--;
	}
	return c->ops[at]->send(c, at, iov, n, sent);
}

struct conn *conn_of(struct net *n, struct ref r)
{
	struct conn *c = slots_get(&n->conns, r);

	return c && !c->closing ? c : NULL;
}

/* ---- deadlines ---- */

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* When the clock has something to say about this connection. */
static uint64_t conn_deadline(const struct conn *c)
{
	const struct net_conf *nc = c->net->conf;

	if (!conn_is_open(c)) {
		uint32_t ms = c->ops[c->at]->patience ? c->ops[c->at]->patience(c) : nc->idle_ms;
		return c->began_ms + ms;
	}
	uint64_t at = UINT64_MAX;
	/* While we do not read, silence and an unfinished message are our own doing. */
	if (nc->idle_ms && !c->paused)
		at = (c->active_ms > c->progress_ms ? c->active_ms : c->progress_ms) + nc->idle_ms;
	if (nc->ws_ping_ms && c->ops[c->stages - 2]->quiet)
		at = least(at, (c->active_ms > c->pinged_ms ? c->active_ms : c->pinged_ms) + nc->ws_ping_ms);
	if (c->message_ms && nc->message_ms && !c->paused)
		at = least(at, c->message_ms + nc->message_ms);
	if (c->out)
		at = least(at, c->progress_ms + CONN_STALL_MS);
	return at;
}

static void conn_arm(struct conn *c)
{
	uint64_t at = conn_deadline(c);

	/* A timer that fires early only looks again: moving it forward on every message would cost more. */
	if (at != UINT64_MAX && (!timer_armed(&c->timer) || at < c->timer.at_ms))
		timer_set(&c->net->loop->wheel, &c->timer, at);
}

static bool conn_opening(struct conn *c);

static void conn_open_late(struct conn *c)
{
	const struct stage_ops *s = c->ops[c->at];

	if (s->late && s->late(c, c->at)) {
		if (conn_opening(c))
			frame_pump(c);
		return;
	}
	conn_fail(c, NETC_conn_timeout, SEND_TIMEOUT);
}

static void conn_timer(struct timer *t)
{
	struct conn *c = container_of(t, struct conn, timer);
	const struct net_conf *nc = c->net->conf;
	uint64_t now = net_now(c->net);

	if (c->closing) {
		c->failed = SEND_DEAD;         /* drained long enough */
		conn_fail(c, NETC_COUNT, SEND_DEAD);
		return;
	}
	if (conn_deadline(c) > now) {
		conn_arm(c);
		return;
	}
	if (!conn_is_open(c))
		conn_open_late(c);
	else if (c->message_ms && nc->message_ms && !c->paused && c->message_ms + nc->message_ms <= now)
		conn_fail(c, NETC_conn_timeout, SEND_TIMEOUT);
	else if (c->out && c->progress_ms + CONN_STALL_MS <= now)
		conn_fail(c, NETC_conn_timeout, SEND_TIMEOUT);
	else if (nc->idle_ms && !c->paused && c->active_ms + nc->idle_ms <= now && c->progress_ms + nc->idle_ms <= now)
		conn_fail(c, NETC_conn_idle, SEND_DEAD);
	else {
		/* The next ping waits for a full interval, answered or not; the idle bound ends a dead peer. */
		c->pinged_ms = now;
		c->ops[c->stages - 2]->quiet(c, c->stages - 2u);
	}
	if (!c->closing)
		conn_touch(c);
}

static void conn_mask(struct conn *c)
{
	bool connecting = c->at == 0;
	uint32_t want = (c->paused || connecting ? 0 : IO_READ) | (c->want_out ? IO_WRITE : 0);

	if (c->closing || c->fd < 0)
		return;
	/* A hung-up socket reports itself for ever: while we must not read what it still holds, do not listen. */
	if (c->hung && c->paused) {
		loop_unwatch(c->net->loop, &c->io);
		return;
	}
	if (c->io.watched)
		loop_want(c->net->loop, &c->io, want);
	else if (!loop_watch(c->net->loop, &c->io, want))
		conn_fail(c, NETC_COUNT, SEND_ERROR);
}

void conn_touch(struct conn *c)
{
	conn_mask(c);
	conn_arm(c);
}

/* ---- life ---- */

/* True when every stage is open. */
static bool conn_opening(struct conn *c)
{
	while (c->at < c->stages && !c->closing) {
		must(c->fd >= 0);
		const struct stage_ops *s = c->ops[c->at];
		enum io r = s->open ? s->open(c, c->at) : IO_OK;

		if (r == IO_AGAIN)
			return false;
		if (r != IO_OK) {
			conn_fail(c, NETC_COUNT, c->origin.outbound ? SEND_REFUSED : SEND_DEAD);
			return false;
		}
		c->at++;
		c->began_ms = net_now(c->net);
	}
	if (c->closing)
		return false;
	c->active_ms = c->progress_ms = net_now(c->net);
	timer_clear(&c->net->loop->wheel, &c->timer);
	if (c->out && !c->queued) {
		c->queued = true;
		list_add_tail(&c->net->flush, &c->flush_node);
	}
	return true;
}

static void conn_ready(struct loop_io *io, uint32_t events)
{
	struct conn *c = container_of(io, struct conn, io);

	if (c->closing) {
		/* Draining: the end of the turn tries again. */
		c->want_out = false;
		conn_fail(c, NETC_COUNT, SEND_OK);
		return;
	}
	c->drained = false;
	if (events & (IO_HUP | IO_ERROR))
		c->hung = true;
	if (events & IO_WRITE)
		c->want_out = false;
	if (!conn_is_open(c) && !conn_opening(c)) {
		conn_touch(c);
		return;
	}
	if (events & IO_WRITE)
		conn_flush(c);
	if (!c->closing && (events & (IO_READ | IO_HUP | IO_ERROR))) {
		list_del(&c->again_node);
		frame_pump(c);
	}
	conn_touch(c);
}

static struct conn *conn_alloc(struct net *n)
{
	if (n->live >= n->conf->max_conns)
		return NULL;

	struct conn *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	c->ref = slots_take(&n->conns, c);
	if (!ref_set(c->ref)) {
		free(c);
		return NULL;
	}
	return c;
}

struct conn *conn_new(struct net *n, int fd, const struct socket_conf *s, enum transport t, bool outbound,
	const struct addr *remote, const struct addr *local)
{
	must(transport_stream(t) && t < TR_COUNT && fd >= 0 && s);
	struct conn *c = conn_alloc(n);
	if (!c) {
		net_count(n, NETC_conn_refused_limit);
		log_at(L_WARN, "net: connection refused: %u are open on worker %u", n->live, n->id);
		close(fd);
		return NULL;
	}
	n->live++;
	c->net = n;
	c->fd = fd;
	c->ops = wired[t];
	while (c->ops[c->stages])
		c->stages++;
	must(c->stages >= 2 && c->ops[c->stages - 1] == &stage_frame);
	c->io.fd = fd;
	c->io.ready = conn_ready;
	c->why = NETC_COUNT;
	c->failed = SEND_DEAD;
	timer_init(&c->timer, conn_timer);
	list_init(&c->flush_node);
	list_init(&c->again_node);
	list_add_tail(&n->all, &c->all_node);
	c->began_ms = c->active_ms = c->progress_ms = net_now(n);
	c->origin = (struct origin){ .socket = s, .transport = t, .wire_src = *remote, .wire_dst = *local,
		.real_src = *remote, .real_dst = *local, .outbound = outbound, .conn = c->ref };
	net_count(n, outbound ? NETC_conn_opened : NETC_conn_accepted);
	return c;
}

void conn_start(struct conn *c)
{
	if (conn_is_open(c) || conn_opening(c))
		frame_pump(c);
	conn_touch(c);
}

void conn_fail(struct conn *c, enum net_counter why, enum send_result to_senders)
{
	if (!c->closing) {
		c->closing = true;
		c->why = why;
		c->failed = to_senders;
		c->began_ms = net_now(c->net);
	}
	if (!c->queued) {
		c->queued = true;
		list_add_tail(&c->net->flush, &c->flush_node);
	}
	loop_again(c->net->loop);
}

void conn_kill(struct conn *c)
{
	struct net *n = c->net;

	must(slots_get(&n->conns, c->ref) == c);
	if (c->why != NETC_COUNT)
		net_count(n, c->why);
	net_count(n, NETC_conn_closed);
	c->closing = true;
	pool_forget(c);
	slots_drop(&n->conns, c->ref);
	timer_clear(&n->loop->wheel, &c->timer);
	loop_unwatch(n->loop, &c->io);
	for (unsigned i = c->stages; i-- > 0; )
		if (c->ops[i]->close)
			c->ops[i]->close(c, i, c->at > i && c->failed == SEND_OK);
	if (c->failed == SEND_OK) {
		/* Unread bytes would turn the close into a reset, which can overtake our last words. */
		shutdown(c->fd, SHUT_WR);
		while (recv(c->fd, n->scratch, SCRATCH_BYTES, MSG_DONTWAIT) == SCRATCH_BYTES)
			;
	}
	close(c->fd);
	list_del(&c->flush_node);
	list_del(&c->again_node);
	list_del(&c->all_node);
	must(n->live > 0);
	n->live--;
	for (struct chunk *k = c->out, *next; k; k = next) {
		next = k->next;
		/* A message of which the kernel has a part may or may not arrive: its sender must hear of it all the same. */
		if (ref_set(k->report))
			net_report(n, k->report, c->failed == SEND_OK ? SEND_DEAD : c->failed);
		free(k);
	}
	origin_drop(&c->origin);
	free(c->rx);
	free(c->key);
	free(c);
}

/* ---- out ---- */

static void conn_append(struct conn *c, struct chunk *k)
{
	if (!c->out)
		c->progress_ms = net_now(c->net);      /* the stall clock starts with the first byte that waits */
	k->next = NULL;
	if (c->out)
		c->out_last->next = k;
	else
		c->out = k;
	c->out_last = k;
	c->out_bytes += k->n;
	if (conn_is_open(c) && !c->want_out && !c->queued) {
		c->queued = true;
		list_add_tail(&c->net->flush, &c->flush_node);
	}
}

/* The message-keeping stage of this pipeline, or STAGES_MAX. */
static unsigned conn_wrapper(const struct conn *c)
{
	for (unsigned i = 0; i < c->stages; i++)
		if (c->ops[i]->wrap)
			return i;
	return STAGES_MAX;
}

enum send_result conn_queue(struct conn *c, const struct iovec *iov, int niov, size_t n, struct ref report)
{
	/* One message may always wait, however large: the bound is on what piles up. */
	if (c->out && c->out_bytes + n > CONN_OUT_BYTES) {
		net_count(c->net, NETC_conn_out_full);
		return SEND_FULL;
	}
	struct chunk *k = malloc(sizeof *k + WRAP_MAX + n);
	if (!k)
		return SEND_ERROR;

	must(n <= c->net->conf->max_message);
	char *message = k->data + WRAP_MAX, *at = message;
	for (int i = 0; i < niov; i++) {
		if (iov[i].iov_len)
			memcpy(at, iov[i].iov_base, iov[i].iov_len);
		at += iov[i].iov_len;
	}
	must(at == message + n);
	unsigned w = conn_wrapper(c);
	size_t head = 0;
	if (w != STAGES_MAX) {
		char wrap[WRAP_MAX];
		head = c->ops[w]->wrap(c, w, wrap, message, n);
		must(head <= WRAP_MAX);
		memcpy(message - head, wrap, head);
	}
	k->off = (uint32_t)(WRAP_MAX - head);
	k->n = (uint32_t)(WRAP_MAX + n);
	k->report = report;
	conn_append(c, k);
	net_count(c->net, NETC_messages_out);
	return SEND_OK;
}

bool conn_queue_raw(struct conn *c, const void *p, size_t n)
{
	if (c->out && c->out_bytes + n > CONN_OUT_BYTES)
		return false;

	struct chunk *k = malloc(sizeof *k + n);
	if (!k)
		return false;
	memcpy(k->data, p, n);
	k->off = 0;
	k->n = (uint32_t)n;
	k->report = NO_REF;
	conn_append(c, k);
	return true;
}

static void conn_sent(struct conn *c, size_t sent)
{
	if (sent)
		c->progress_ms = net_now(c->net);
	while (sent) {
		struct chunk *k = c->out;
		must(k && k->off < k->n && c->out_bytes >= k->n);
		size_t left = k->n - k->off;

		if (sent < left) {
			k->off += (uint32_t)sent;
			return;
		}
		sent -= left;
		c->out = k->next;
		c->out_bytes -= k->n;
		free(k);
	}
	must(c->out || !c->out_bytes);
}

enum io conn_flush(struct conn *c)
{
	if (!conn_is_open(c) || c->want_out)
		return IO_AGAIN;
	while (c->out) {
		struct iovec iov[FLUSH_VECS];
		int n = 0;
		for (struct chunk *k = c->out; k && n < FLUSH_VECS; k = k->next)
			iov[n++] = (struct iovec){ k->data + k->off, k->n - k->off };

		size_t sent = 0;
		enum io r = stage_send(c, c->stages - 1u, iov, n, &sent);
		conn_sent(c, sent);
		if (r == IO_AGAIN)
			return r;
		if (r != IO_OK) {
			conn_fail(c, NETC_COUNT, SEND_DEAD);
			return r;
		}
	}
	return IO_OK;
}

void conn_again(struct conn *c)
{
	list_del(&c->again_node);
	list_add_tail(&c->net->again, &c->again_node);
	loop_again(c->net->loop);
}

void conn_soon(struct conn *c)
{
	list_del(&c->again_node);
	list_add_tail(&c->net->due, &c->again_node);
	loop_again(c->net->loop);
}

/* A connection that ends drains first: what was queued before the end was said still goes out if the peer takes it. */
static void conn_end(struct conn *c)
{
	bool drain = c->out && c->failed == SEND_OK && conn_is_open(c);

	if (drain && conn_flush(c) == IO_AGAIN && !c->net->ending && c->io.watched) {
		/* Looked at again when the socket is ready, or when it took too long. */
		loop_want(c->net->loop, &c->io, IO_WRITE);
		timer_set(&c->net->loop->wheel, &c->timer, c->began_ms + CONN_DRAIN_MS);
		return;
	}
	conn_kill(c);
}

void conn_run_lists(struct net *n)
{
	/* Those who had their share in this turn wait for the next one. */
	while (!list_empty(&n->due)) {
		struct conn *c = container_of(n->due.next, struct conn, again_node);
		list_del(&c->again_node);
		if (c->closing)
			continue;
		c->drained = false;
		conn_start(c);
	}
	while (!list_empty(&n->again)) {
		struct list *at = n->again.next;
		list_del(at);
		list_add_tail(&n->due, at);
	}
	while (!list_empty(&n->flush)) {
		struct conn *c = container_of(n->flush.next, struct conn, flush_node);
		list_del(&c->flush_node);
		c->queued = false;
		if (!c->closing)
			conn_flush(c);
		if (c->closing)
			conn_end(c);
		else
			conn_touch(c);
	}
}
