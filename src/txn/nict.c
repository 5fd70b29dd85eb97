/* txn/nict.c -- non-INVITE client transaction: RFC 3261 17.1.2 (figure 6). Our CANCELs are such, too. */
#include "txn/priv.h"

/* Timer K. */
static void final(struct client *c, struct msg *reply)
{
	loop_after(c->b->t->w->loop, &c->fate, client_reliable(c) ? 0 : c->b->t->conf->t4);
	client_pass(c, reply);
}

static void resend_after(struct client *c, uint64_t ms)
{
	struct txn *t = c->b->t;

	client_send(c, c->sent);
	c->resends++;
	txn_count(t, c->resends < 4 ? TXNC_retransmission_req_T1_1 + c->resends - 1 : TXNC_retransmission_req_T2);
	loop_after(t->w->loop, &c->resend, ms < t->conf->t2 ? ms : t->conf->t2);
}

/* Timer E doubles up to T2. */
static void resend(struct client *c, struct msg *reply)
{
	resend_after(c, (uint64_t)c->b->t->conf->t1 << (c->resends < 19 ? c->resends + 1 : 20));
}

static void resend_slowly(struct client *c, struct msg *reply)
{
	resend_after(c, c->b->t->conf->t2);
}

static void provisional(struct client *c, struct msg *reply)
{
	if (timer_armed(&c->resend))
		loop_after(c->b->t->w->loop, &c->resend, c->b->t->conf->t2);
	client_pass(c, reply);
}

const struct client_cell nict[CLIENT_STATES][CLIENT_EVENTS] = {
	[CLIENT_TRYING]     = { [CLIENT_1XX]    = { CLIENT_PROCEEDING, provisional },   [CLIENT_2XX]   = { CLIENT_COMPLETED, final },
				[CLIENT_FAIL]   = { CLIENT_COMPLETED, final },          [CLIENT_FATE]  = { CLIENT_GONE, client_timed_out },
				[CLIENT_RESEND] = { CLIENT_TRYING, resend },            [CLIENT_ERROR] = { CLIENT_GONE, client_unreachable } },
	[CLIENT_PROCEEDING] = { [CLIENT_1XX]    = { CLIENT_PROCEEDING, client_pass },   [CLIENT_2XX]   = { CLIENT_COMPLETED, final },
				[CLIENT_FAIL]   = { CLIENT_COMPLETED, final },          [CLIENT_FATE]  = { CLIENT_GONE, client_timed_out },
				[CLIENT_RESEND] = { CLIENT_PROCEEDING, resend_slowly }, [CLIENT_ERROR] = { CLIENT_GONE, client_unreachable } },
	[CLIENT_COMPLETED]  = { [CLIENT_FATE]   = { CLIENT_GONE, client_nothing } },
};
