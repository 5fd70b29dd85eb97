/* txn/server.c -- what both server tables share: dispatch, timers, the last reply. */
#include "txn/priv.h"

static void resend_due(struct timer *t)
{
	server_event(container_of(container_of(t, struct server, resend), struct txn, server), SERVER_RESEND);
}

static void fate_due(struct timer *t)
{
	server_event(container_of(container_of(t, struct server, fate), struct txn, server), SERVER_FATE);
}

void server_init(struct txn *t)
{
	struct server *s = &t->server;

	timer_init(&s->resend, resend_due);
	timer_init(&s->fate, fate_due);
	s->state = t->invite ? SERVER_PROCEEDING : SERVER_TRYING;
	s->reliable = transport_stream(t->request->origin.transport);
}

static const struct server_cell *server_cell(const struct txn *t, enum server_event e)
{
	return t->invite ? &ist[t->server.state][e] : &nist[t->server.state][e];
}

void server_stop(struct txn *t)
{
	timer_clear(&t->w->loop->wheel, &t->server.resend);
	timer_clear(&t->w->loop->wheel, &t->server.fate);
	t->server.state = SERVER_GONE;
}

void server_event(struct txn *t, enum server_event e)
{
	const struct server_cell *cell = server_cell(t, e);

	if (!cell->run) {
		must(e != SERVER_RESEND && e != SERVER_FATE);
		return;
	}
	txn_hold(t);
	if (cell->next != t->server.state)
		server_stop(t);
	t->server.state = cell->next;
	cell->run(t);
	txn_release(t);
}

void server_nothing(struct txn *t)
{
}

void server_end(struct txn *t)
{
	server_stop(t);
}

void server_home(const struct txn *t, struct target *out)
{
	if (t->request)
		reply_target(t->request, out);
	else
		*out = t->remains->home;
}

static void server_send(struct txn *t, const struct iovec *iov, int n)
{
	struct target to;

	server_home(t, &to);
	/* Lost or late, the caller's retransmission or ours brings it again. */
	net_send(t->w->net, &to, iov, n, NO_REF);
}

void server_again(struct txn *t)
{
	struct view last = t->server.last;

	if (last.n)
		server_send(t, &(struct iovec){ (void *)last.p, last.n }, 1);
}

static void server_count_final(const struct txn *t, uint16_t status)
{
	if (status >= 200)
		txn_count(t, (enum txn_counter)(TXNC_2xx_transactions + status / 100 - 2));
}

/* The one copy that every retransmission sends; the memory of the reply before is used again where it suffices. */
static bool server_keep(struct txn *t, const struct laid *l)
{
	struct server *s = &t->server;
	char          *p = s->room >= l->bytes ? (char *)s->last.p : arena_alloc(t->arena, l->bytes), *at = p;

	if (!p)
		return false;
	if (p != s->last.p)
		s->room = l->bytes;
	for (int i = 0; i < l->n; i++) {
		memcpy(at, l->iov[i].iov_base, l->iov[i].iov_len);
		at += l->iov[i].iov_len;
	}
	s->last = view_of(p, l->bytes);
	return true;
}

bool server_reply(struct txn *t, uint16_t status, const struct laid *l)
{
	enum server_event e = status < 200 ? SERVER_1XX : status < 300 ? SERVER_2XX : SERVER_FAIL;
	bool              keep = !t->server.reliable;

	if (!server_cell(t, e)->run)
		return false;
	if (keep && !server_keep(t, l))
		return false;
	if (t->server.status < 200)
		server_count_final(t, status);
	t->server.status = status;
	if (keep)
		server_again(t);
	else
		server_send(t, l->iov, l->n);
	server_event(t, e);
	return true;
}
