/* txn/ict.c -- INVITE client transaction: RFC 3261 17.1.1 (figure 5) as amended by RFC 6026 7.2 and 8.4. */
#include "txn/priv.h"

/* The hop-by-hop ACK of a negative final (17.1.1.3): made once, sent again for each retransmission of the final. */
static void ack_again(struct client *c, struct msg *reply)
{
	if (c->b->ack.n)
		client_send(c, c->b->ack);
}

static void ack(struct client *c, struct msg *reply)
{
	struct branch *b = c->b;
	struct txn    *t = b->t;
	struct laid    laid;

	if (layout_hop(c->sent, SIP_ACK, reply, t->extra, t->arena, &laid))
		b->ack = laid_flat(&laid, t->arena);
	ack_again(c, reply);
}

/* Timer D: nothing is repeated on a reliable transport, so nothing needs to be absorbed there. */
static void linger_d(struct client *c)
{
	loop_after(c->b->t->w->loop, &c->fate, client_reliable(c) ? 0 : c->b->t->conf->linger);
}

static void fail(struct client *c, struct msg *reply)
{
	ack(c, reply);
	linger_d(c);
	branch_heard(c->b, reply);
}

static void fail_unwanted(struct client *c, struct msg *reply)
{
	ack(c, reply);
	linger_d(c);
}

/* Timer M. */
static void accept_2xx(struct client *c, struct msg *reply)
{
	loop_after(c->b->t->w->loop, &c->fate, c->b->t->conf->linger);
	branch_heard(c->b, reply);
}

static void resend(struct client *c, struct msg *reply)
{
	struct txn *t = c->b->t;

	client_send(c, c->sent);
	c->resends++;
	txn_count(t, c->resends < 4 ? TXNC_retransmission_req_T1_1 + c->resends - 1 : TXNC_retransmission_req_T2);
	/* Timer A doubles each time (17.1.1.2); shifts beyond fr's reach never happen. */
	loop_after(t->w->loop, &c->resend, (uint64_t)t->conf->t1 << (c->resends < 20 ? c->resends : 20));
}

/* Timer C (16.8), or no final after our CANCEL (9.1): the branch is over for the script, the peer may still answer. */
static void give_up(struct client *c, struct msg *reply)
{
	struct branch *b = c->b;
	struct txn    *t = b->t;

	loop_after(t->w->loop, &c->fate, 64ull * t->conf->t1);
	txn_count(t, TXNC_timeout_finalresponse_inv);
	if (b->cancel.state == CLIENT_IDLE)
		branch_send_cancel(b);
	branch_done(b, t->cancelled || b->cancel_wanted ? 487 : 408);
}

const struct client_cell ict[CLIENT_STATES][CLIENT_EVENTS] = {
	[CLIENT_TRYING]     = { [CLIENT_1XX]    = { CLIENT_PROCEEDING, client_provisional }, [CLIENT_2XX]   = { CLIENT_ACCEPTED, accept_2xx },
				[CLIENT_FAIL]   = { CLIENT_COMPLETED, fail },                [CLIENT_FATE]  = { CLIENT_GONE, client_timed_out },
				[CLIENT_RESEND] = { CLIENT_TRYING, resend },                 [CLIENT_ERROR] = { CLIENT_GONE, client_unreachable } },
	[CLIENT_PROCEEDING] = { [CLIENT_1XX]    = { CLIENT_PROCEEDING, client_provisional }, [CLIENT_2XX]   = { CLIENT_ACCEPTED, accept_2xx },
				[CLIENT_FAIL]   = { CLIENT_COMPLETED, fail },                [CLIENT_FATE]  = { CLIENT_ABANDONED, give_up } },
	[CLIENT_ABANDONED]  = { [CLIENT_1XX]    = { CLIENT_ABANDONED, client_nothing },      [CLIENT_2XX]   = { CLIENT_ACCEPTED, accept_2xx },
				[CLIENT_FAIL]   = { CLIENT_COMPLETED, fail_unwanted },       [CLIENT_FATE]  = { CLIENT_GONE, client_nothing },
				[CLIENT_ERROR]  = { CLIENT_GONE, client_nothing } },
	[CLIENT_ACCEPTED]   = { [CLIENT_2XX]    = { CLIENT_ACCEPTED, client_pass },          [CLIENT_FATE]  = { CLIENT_GONE, client_nothing } },
	[CLIENT_COMPLETED]  = { [CLIENT_FAIL]   = { CLIENT_COMPLETED, ack_again },           [CLIENT_FATE]  = { CLIENT_GONE, client_nothing },
				[CLIENT_ERROR]  = { CLIENT_GONE, client_nothing } },
};
