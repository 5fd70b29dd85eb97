/* txn/nist.c -- non-INVITE server transaction: RFC 3261 17.2.2 (figure 8). */
#include "txn/priv.h"

/* Timer J. */
static void final(struct txn *t)
{
	loop_after(t->w->loop, &t->server.fate, t->server.reliable ? 0 : t->conf->linger);
}

const struct server_cell nist[SERVER_STATES][SERVER_EVENTS] = {
	[SERVER_TRYING]     = { [SERVER_REQUEST] = { SERVER_TRYING, server_nothing },   [SERVER_1XX]  = { SERVER_PROCEEDING, server_nothing },
				[SERVER_2XX]     = { SERVER_COMPLETED, final },         [SERVER_FAIL] = { SERVER_COMPLETED, final } },
	[SERVER_PROCEEDING] = { [SERVER_REQUEST] = { SERVER_PROCEEDING, server_again }, [SERVER_1XX]  = { SERVER_PROCEEDING, server_nothing },
				[SERVER_2XX]     = { SERVER_COMPLETED, final },         [SERVER_FAIL] = { SERVER_COMPLETED, final } },
	[SERVER_COMPLETED]  = { [SERVER_REQUEST] = { SERVER_COMPLETED, server_again },  [SERVER_FATE] = { SERVER_GONE, server_end } },
};
