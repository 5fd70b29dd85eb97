/* mod/tm/api.h -- what other modules may ask of tm. */
#ifndef MOD_TM_API_H
#define MOD_TM_API_H
#include "script/script.h"

/* The run's message belongs to a transaction (created before by t_newtran(), t_relay() or the like). */
bool tm_has_txn(const struct run *r);
/* Answer the run's transaction: SCRIPT_TRUE, or SCRIPT_FALSE when it cannot be answered any more. The run must have one. */
int  tm_reply(struct run *r, uint16_t code, struct view reason);
/* To tag of this transaction's own replies; empty before the first. */
struct view tm_local_totag(const struct run *r);
#endif
