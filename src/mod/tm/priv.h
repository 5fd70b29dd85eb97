/* mod/tm/priv.h -- private to mod/tm. */
#ifndef MOD_TM_PRIV_H
#define MOD_TM_PRIV_H
#include "mod/mod.h"
#include "mod/tm/api.h"
#include "txn/txn.h"

struct tm_conf {
	int64_t fr_timeout, fr_inv_timeout, wt_timer, t1, t2, ruri_matching, via1_matching, restart_fr, onreply_avp_mode, disable_6xx_block, auto_100;
	uint32_t        minor_bflags;
	struct txn_conf txn;
};
struct tm_state { struct txn_conf conf; };      /* per worker */
const struct tm_conf *tm_conf(const struct worker *w);

enum tm_flag { TM_NO_AUTO_477 = 2, TM_NO_DNS_FAILOVER = 4, TM_PASS_REASON = 8, TM_ALLOW_NO_CANCEL = 16 };

/* Timeouts are 32 bits of milliseconds. */
enum { TM_SECONDS_MAX = UINT32_MAX / 1000 };

/* What the script armed for a request, before and after it has a transaction. */
struct tm_note {
	struct txn          *t;
	const struct script *script;         /* the one in force when the transaction was made */
	int                  on_failure, on_reply, on_branch;   /* route numbers, -1 = none */
	int64_t              fr_s, fr_inv_s; /* $T_fr_timeout set before there is a transaction; -1 = not */
	struct view          hdrs, cancel_reason;
	struct run          *waiting;        /* inside a t_relay() that is not done */
	uint32_t             flags;          /* of the t_relay() under way */
	bool                 created;        /* that t_relay() made the transaction */
};
struct tm_branch { int on_reply; };

struct tm_note *tm_note(struct msg *request);            /* NULL when the arena is full */
struct tm_note *tm_note_of(const struct run *r);
struct txn     *tm_txn(const struct run *r);             /* living transaction of the run's message, or NULL */
/* The transaction of a request route's message, made now.  NULL: *absorbed says that the request was taken care of (a retransmission,
 * or refused with 503) and the script must end, else it is an error. */
struct txn     *tm_create(struct run *r, bool *absorbed);
/* The script's return code of a finished t_relay(). */
int             tm_relay_result(struct run *r, struct txn *t);

uint16_t        tm_reply_code(const struct run *r);

extern const struct script_func tm_funcs[];
extern const struct script_var  tm_vars[];
#endif
