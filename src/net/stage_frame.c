/* net/stage_frame.c -- the top of a connection: cut messages out of what the stages below bring, strictly (requirements S3).
 * Reads go into the worker's scratch; only an unfinished message costs the connection memory, so an idle one has none. */
#include "net/stage.h"

enum { RX_STEP = 4096 };

/* False: read no more now. */
static bool may_read(const struct conn *c)
{
	return !c->paused && !c->closing;
}

static void deliver(struct conn *c, struct view message)
{
	struct net *n = c->net;
	struct buf *b = buf_from(message);

	if (!b) {
		conn_fail(c, NETC_COUNT, SEND_ERROR);
		return;
	}
	net_count(n, NETC_messages_in);
	if (!n->ev.message(n->ev.arg, b, buf_view(b), &c->origin) && !c->paused) {
		c->paused = true;
		net_count(n, NETC_conn_paused);
	}
	buf_unref(b);
}

/* RFC 5626 3.5.1. */
static void pong(struct conn *c)
{
	struct iovec crlf = { "\r\n", 2 };

	if (!c->net->conf->crlf_pong)
		return;
	net_count(c->net, NETC_pings);
	/* Through the wrapper: over WebSocket a pong is a message of its own. */
	if (conn_queue(c, &crlf, 1, 2, NO_REF) == SEND_OK)
		tally_add(&c->net->counts.c[NETC_messages_out], UINT64_MAX);        /* no message of SIP */
}

/* A ping may come in two reads, and is then seen as two line ends. */
static void keepalive(struct conn *c, enum sip_frame_kind kind)
{
	if (kind == SIP_FRAME_PING || (kind == SIP_FRAME_CRLF && c->half_ping)) {
		c->half_ping = false;
		pong(c);
	} else {
		c->half_ping = kind == SIP_FRAME_CRLF;
	}
}

static void bad(struct conn *c, const struct sip_frame *f, struct view in)
{
	struct net *n = c->net;
	char from[ADDR_TEXT_MAX];
	struct view a = addr_text(&c->origin.wire_src, from), why = sip_fault_text(f->why);

	net_count(n, NETC_frame_bad);
	log_at(L_NOTICE, "net: " VIEW_FMT ": connection from " VIEW_FMT " closed: " VIEW_FMT,
		VIEW_ARG(c->origin.socket->text), VIEW_ARG(a), VIEW_ARG(why));
	c->paused = true;              /* no later byte may be read as SIP */
	n->ev.bad_frame(n->ev.arg, view_sub(in, 0, f->used), f->why, &c->origin);
	conn_fail(c, NETC_COUNT, SEND_OK);
}

/* Serve everything whole in `in`; returns the bytes consumed. */
static size_t cut(struct conn *c, struct view in)
{
	size_t off = 0;

	while (off < in.n && may_read(c)) {
		struct sip_frame f;
		struct view rest = view_from(in, off);

		switch (sip_frame(rest, c->net->conf->max_message, &c->scan, &f)) {
		case SIP_MORE:
			return off;
		case SIP_BAD:
			bad(c, &f, rest);
			return in.n;
		case SIP_OK:
			must(f.used > 0 && f.used <= rest.n);
			c->scan = 0;
			off += f.used;
			c->message_ms = 0;
			keepalive(c, f.kind);
			if (f.kind == SIP_FRAME_MESSAGE)
				deliver(c, view_sub(rest, 0, f.used));
			break;
		}
	}
	return off;
}

static bool only_crlf(struct view v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] != '\r' && v.p[i] != '\n')
			return false;
	return true;
}

/* One message as the stage below delimited it (RFC 7118 5: its own Content-Length is not needed). */
static void whole_message(struct conn *c, struct view m)
{
	c->message_ms = 0;
	if (!only_crlf(m))
		deliver(c, m);
	else if (m.n >= 4)
		pong(c);
}

/* ---- bytes of an unfinished message ---- */

static void rx_drop(struct conn *c, size_t used)
{
	must(used <= c->rx_n);
	c->rx_n -= (uint32_t)used;
	if (c->rx_n) {
		memmove(c->rx, c->rx + used, c->rx_n);
		return;
	}
	free(c->rx);
	c->rx = NULL;
	c->rx_cap = 0;
}

static bool rx_room(struct conn *c, size_t room)
{
	size_t want = c->rx_n + room;

	if (want <= c->rx_cap)
		return true;
	if (c->rx_cap && want < (size_t)c->rx_cap * 2)
		want = (size_t)c->rx_cap * 2;
	char *p = realloc(c->rx, want);
	if (!p)
		return false;
	c->rx = p;
	c->rx_cap = (uint32_t)want;
	return true;
}

/* An unfinished message starts its clock; a lone CR LF (a pong, half a ping) is no message. */
static void rx_clock(struct conn *c)
{
	if (c->rx_n && !c->message_ms && !c->paused && !only_crlf(view_of(c->rx, c->rx_n)))
		c->message_ms = net_now(c->net);
}

/* Bytes have come to p (the scratch, or the end of rx). */
static bool take(struct conn *c, char *p, size_t got, bool whole)
{
	bool in_rx = c->rx_n > 0;

	if (in_rx)
		c->rx_n += (uint32_t)got;
	if (whole) {
		whole_message(c, in_rx ? view_of(c->rx, c->rx_n) : view_of(p, got));
		if (in_rx)
			rx_drop(c, c->rx_n);
		return true;
	}
	bool keeps = c->ops[c->stages - 2]->wrap != NULL;      /* unfinished for as long as the stage below says so */
	if (in_rx) {
		if (!keeps)
			rx_drop(c, cut(c, view_of(c->rx, c->rx_n)));
		return true;
	}
	size_t used = keeps ? 0 : cut(c, view_of(p, got));
	if (used == got)
		return true;
	if (!rx_room(c, got - used))
		return false;
	memcpy(c->rx, p + used, got - used);
	c->rx_n = (uint32_t)(got - used);
	return true;
}

/* Read one portion. */
static enum io read_some(struct conn *c, size_t *budget)
{
	char *p = c->net->scratch;
	size_t room = SCRATCH_BYTES, got;
	bool whole;

	if (c->rx_n) {
		if (!rx_room(c, RX_STEP))
			return IO_ERR;
		p = c->rx + c->rx_n;
		room = c->rx_cap - c->rx_n;
	}
	enum io r = stage_recv(c, c->stages - 2u, p, room, &got, &whole);
	must(got <= room);
	if (got || whole) {
		c->active_ms = net_now(c->net);
		*budget -= got < *budget ? got : *budget;
		if (!take(c, p, got, whole))
			return IO_ERR;
	}
	return r;
}

void frame_pump(struct conn *c)
{
	size_t budget = CONN_READ_BUDGET;
	bool keeps = c->ops[c->stages - 2]->wrap != NULL;
	enum io r = IO_OK;

	must(conn_is_open(c));
	/* What was left when reading stopped comes first. */
	if (c->rx_n && may_read(c) && !keeps)
		rx_drop(c, cut(c, view_of(c->rx, c->rx_n)));
	while (may_read(c) && r == IO_OK && budget)
		r = read_some(c, &budget);
	rx_clock(c);
	/* A peer that has said its last word may still want to hear the answer. */
	if (r == IO_EOF || r == IO_ERR)
		conn_fail(c, NETC_COUNT, r == IO_EOF ? SEND_OK : SEND_DEAD);
	else if (!budget && may_read(c))
		conn_again(c);
}

const struct stage_ops stage_frame = { .name = "frame" };
