/* txn/client.c -- what both client tables share: dispatch, timers, sending. */
#include "txn/priv.h"

static void resend_due(struct timer *t)
{
	client_event(container_of(t, struct client, resend), CLIENT_RESEND, NULL);
}

static void fate_due(struct timer *t)
{
	client_event(container_of(t, struct client, fate), CLIENT_FATE, NULL);
}

void client_init(struct client *c, struct branch *b, bool invite, bool cancel)
{
	*c = (struct client){ .b = b, .invite = invite, .cancel = cancel, .state = CLIENT_IDLE };
	timer_init(&c->resend, resend_due);
	timer_init(&c->fate, fate_due);
}

bool client_reliable(const struct client *c)
{
	return transport_stream(c->b->transport);
}

static void timers_off(struct client *c)
{
	struct wheel *w = &c->b->t->w->loop->wheel;

	timer_clear(w, &c->resend);
	timer_clear(w, &c->fate);
}

void client_stop(struct client *c)
{
	timers_off(c);
	if (c->listed)
		table_del(&txns_of(c->b->t)->clients, &c->node);
	c->listed = false;
	c->state = CLIENT_GONE;
}

void client_start(struct client *c, bool resend)
{
	struct txn *t = c->b->t;

	if (!c->listed)
		table_add(&txns_of(t)->clients, &c->node, c->cookie.hi ^ c->cancel);
	c->listed = true;
	c->state = CLIENT_TRYING;
	c->resends = 0;
	if (resend && !client_reliable(c))
		loop_after(t->w->loop, &c->resend, t->conf->t1);
	loop_after(t->w->loop, &c->fate, c->cancel ? 64ull * t->conf->t1 : t->fr);
}

void client_send(struct client *c, struct view bytes)
{
	struct target t;
	struct iovec  iov = { (void *)bytes.p, bytes.n };

	must(bytes.n > 0);
	branch_target(c->b, &t);
	/* A send that fails now is as good as lost: the timers decide. */
	net_send(c->b->t->w->net, &t, &iov, 1, c->cancel ? NO_REF : c->b->self);
}

void client_event(struct client *c, enum client_event e, struct msg *reply)
{
	struct branch            *b = c->b;
	const struct client_cell *cell = c->invite ? &ict[c->state][e] : &nict[c->state][e];

	if (!cell->run) {
		/* A stray: the network may send anything, our own timers may not. */
		must(e != CLIENT_RESEND && e != CLIENT_FATE);
		txn_count(b->t, TXNC_strays);
		msg_unref(reply);
		return;
	}
	txn_hold(b->t);
	/* Only timers E and F of figure 6 outlive a change of state. */
	if (cell->next != c->state && (c->invite || cell->next != CLIENT_PROCEEDING))
		timers_off(c);
	c->state = cell->next;
	/* The action may start the next attempt of the branch in this very client. */
	if (c->state == CLIENT_GONE)
		client_stop(c);
	cell->run(c, reply);
	msg_unref(reply);
	txn_release(b->t);
}

/* ---- actions ---------------------------------------------------------------------------------------------------------------- */

void client_nothing(struct client *c, struct msg *reply)
{
}

void client_pass(struct client *c, struct msg *reply)
{
	if (!c->cancel)
		branch_heard(c->b, reply);
}

/* INVITE: retransmissions stop, timer C runs. */
void client_provisional(struct client *c, struct msg *reply)
{
	struct branch *b = c->b;
	struct txn    *t = b->t;

	/* 100 does not move timer C again (16.7 step 2). */
	if (!timer_armed(&c->fate) || (t->conf->restart_fr && reply->sip.status > 100 && b->cancel.state == CLIENT_IDLE))
		loop_after(t->w->loop, &c->fate, t->fr_inv);
	if (b->cancel_wanted && b->cancel.state == CLIENT_IDLE)
		branch_send_cancel(b);
	branch_heard(b, reply);
}

void client_timed_out(struct client *c, struct msg *reply)
{
	struct branch *b = c->b;

	if (c->cancel)
		return;
	txn_count(b->t, TXNC_timeout_finalresponse);
	if (b->t->cancelled || b->cancel_wanted)
		branch_done(b, 487);
	else if (b->heard || !branch_next(b))
		branch_done(b, 408);
}

void client_unreachable(struct client *c, struct msg *reply)
{
	struct branch *b = c->b;

	if (c->cancel)
		return;
	if (b->t->cancelled || b->cancel_wanted)
		branch_done(b, 487);
	else if (!branch_next(b))
		branch_done(b, b->overloaded ? 503 : 477);
}
