/* txn/ist.c -- INVITE server transaction: RFC 3261 17.2.1 (figure 7) as amended by RFC 6026 7.1. */
#include "txn/priv.h"

/* Timers G and H.  A challenge is not repeated: the caller repeats the INVITE itself, and asks for it by that. */
static void fail(struct txn *t)
{
	struct server *s = &t->server;

	if (!s->reliable && s->status != 401 && s->status != 407)
		loop_after(t->w->loop, &s->resend, t->conf->t1);
	loop_after(t->w->loop, &s->fate, 64ull * t->conf->t1);
}

static void fail_again(struct txn *t)
{
	struct server *s = &t->server;
	uint64_t       ms = (uint64_t)t->conf->t1 << (++s->resends < 20 ? s->resends : 20);

	server_again(t);
	txn_count(t, TXNC_retransmission_rpl_T2);
	loop_after(t->w->loop, &s->resend, ms < t->conf->t2 ? ms : t->conf->t2);
}

/* Timer I. */
static void acked(struct txn *t)
{
	loop_after(t->w->loop, &t->server.fate, t->server.reliable ? 0 : t->conf->t4);
}

/* Timer L. */
static void accepted(struct txn *t)
{
	loop_after(t->w->loop, &t->server.fate, t->conf->linger);
}

const struct server_cell ist[SERVER_STATES][SERVER_EVENTS] = {
	[SERVER_PROCEEDING] = { [SERVER_REQUEST] = { SERVER_PROCEEDING, server_again },  [SERVER_1XX]    = { SERVER_PROCEEDING, server_nothing },
				[SERVER_2XX]     = { SERVER_ACCEPTED, accepted },        [SERVER_FAIL]   = { SERVER_COMPLETED, fail } },
	[SERVER_COMPLETED]  = { [SERVER_REQUEST] = { SERVER_COMPLETED, server_again },   [SERVER_ACK]    = { SERVER_CONFIRMED, acked },
				[SERVER_RESEND]  = { SERVER_COMPLETED, fail_again },     [SERVER_FATE]   = { SERVER_GONE, server_end },
				/* A 2xx that comes after a final of ours still goes up: the caller must end that call (16.7 step 5). */
				[SERVER_2XX]     = { SERVER_ACCEPTED, accepted } },
	[SERVER_CONFIRMED]  = { [SERVER_REQUEST] = { SERVER_CONFIRMED, server_nothing }, [SERVER_ACK]    = { SERVER_CONFIRMED, server_nothing },
				[SERVER_FATE]    = { SERVER_GONE, server_end },          [SERVER_2XX]    = { SERVER_ACCEPTED, accepted } },
	[SERVER_ACCEPTED]   = { [SERVER_REQUEST] = { SERVER_ACCEPTED, server_again },    [SERVER_2XX]    = { SERVER_ACCEPTED, server_nothing },
				[SERVER_FATE]    = { SERVER_GONE, server_end } },
};
