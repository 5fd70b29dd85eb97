/* txn/txn.h -- transactions: one request received, its reply, and the branches it was forwarded on (RFC 3261 16 and 17, RFC 6026).
 * A transaction lives on one worker and adopts its request: no copy, no lock, memory from the request's arena.  Once it is
 * answered and over for the script, it shrinks to what absorbing stragglers takes, and the request goes.  What the script
 * does at the branch, reply and failure points comes in through struct txn_user; each of those calls may be answered later. */
#ifndef TXN_H
#define TXN_H
#include "core/core.h"

/* ---- configuration ----------------------------------------------------------------------------------------------------- */

/* Milliseconds unless said. Immutable while transactions live. */
struct txn_conf {
	uint32_t t1, t2, t4;             /* RFC 3261 table 4 */
	uint32_t fr;                     /* no final reply, or to an INVITE no reply at all: in the place of timers B and F */
	uint32_t fr_inv;                 /* after a provisional to an INVITE: timer C */
	uint32_t linger;                 /* timers D, J, L and M: how long a finished transaction absorbs stragglers */
	uint32_t max;                    /* transactions on this worker; over it txn_new() refuses */
	bool     restart_fr;             /* every provisional restarts fr_inv, not only the first */
	bool     auto_100;               /* "100 Giving it a try" when an INVITE transaction is made */
	bool     block_6xx;              /* a 6xx forbids further branches */
	bool     failover;               /* further addresses of a destination are tried */
	bool     keep_503;               /* a received 503 is not sent on as 500 */
	bool     ruri_matching, via1_matching;   /* RFC 2543 matching: compare R-URI, compare top Via */
	uint32_t minor_bflags;           /* branches with one of these flags are not waited for when the others are done */
};
/* The values of RFC 3261 (linger 64*T1), fr = 64*T1, fr_inv = 3 minutes, all features on. */
struct txn_conf txn_conf_rfc(void);

#define TXN_COUNTERS(C) \
	C(received_replies, "replies received") C(relayed_replies, "replies relayed") C(local_replies, "replies generated here") \
	C(UAS_transactions, "transactions for received requests") C(UAC_transactions, "transactions for sent requests") \
	C(2xx_transactions, "transactions ended with 2xx") C(3xx_transactions, "transactions ended with 3xx") \
	C(4xx_transactions, "transactions ended with 4xx") C(5xx_transactions, "transactions ended with 5xx") \
	C(6xx_transactions, "transactions ended with 6xx") C(retransmission_req_T1_1, "first retransmissions of requests") \
	C(retransmission_req_T1_2, "second retransmissions of requests") C(retransmission_req_T1_3, "third retransmissions of requests") \
	C(retransmission_req_T2, "further retransmissions of requests") C(retransmission_rpl_T2, "retransmissions of replies") \
	C(timeout_finalresponse, "requests that got no final reply") C(timeout_finalresponse_inv, "INVITEs that got no final reply after a provisional") \
	C(refused, "requests refused at the bound of transactions") C(strays, "replies that a finished or unknown transaction did not want")
/* Index into txns_counts(). */
enum txn_counter {
#define C(name, help) TXNC_##name,
	TXN_COUNTERS(C)
#undef C
	TXNC_COUNT
};

/* ---- state machines: the figures of RFC 3261 17 as tables ------------------------------------------------------------------ */

/* Client: ict.c (figure 5 with RFC 6026) and nict.c (figure 6). */
enum client_state { CLIENT_IDLE, CLIENT_TRYING /* and Calling */, CLIENT_PROCEEDING, CLIENT_ABANDONED /* given up, a final is still acknowledged */,
	CLIENT_COMPLETED, CLIENT_ACCEPTED, CLIENT_GONE, CLIENT_STATES };
enum client_event { CLIENT_1XX, CLIENT_2XX, CLIENT_FAIL /* 3xx-6xx */, CLIENT_RESEND /* timers A, E */, CLIENT_FATE /* B C D F K M */,
	CLIENT_ERROR /* transport */, CLIENT_EVENTS };
/* Server: ist.c (figure 7 with RFC 6026) and nist.c (figure 8). */
enum server_state { SERVER_TRYING, SERVER_PROCEEDING, SERVER_COMPLETED, SERVER_CONFIRMED, SERVER_ACCEPTED, SERVER_GONE, SERVER_STATES };
enum server_event { SERVER_REQUEST /* retransmitted */, SERVER_1XX, SERVER_2XX, SERVER_FAIL, SERVER_ACK, SERVER_RESEND /* G */,
	SERVER_FATE /* H I J L */, SERVER_EVENTS };

struct branch;
/* One client transaction: the request of a branch, or its CANCEL. */
struct client {
	struct table_node    node;       /* in the worker's table while it may get replies */
	struct timer         resend, fate;
	struct branch       *b;
	struct branch_cookie cookie;
	struct view          sent;       /* the request as it left; empty when nobody will need it again */
	uint8_t              state;      /* enum client_state */
	uint8_t              resends;
	bool                 invite, cancel, listed;
};
struct server {
	struct table_node node;
	struct timer      resend, fate;
	struct view       last;          /* last reply as it left; empty when none, or on a reliable transport */
	size_t            room;          /* bytes that stand behind `last` */
	uint16_t          status;        /* its code; 0 = none */
	uint8_t           state;         /* enum server_state */
	uint8_t           resends;
	bool              reliable;
};

/* ---- transactions and branches ------------------------------------------------------------------------------------------------ */

enum branch_phase { BRANCH_NEW, BRANCH_ASKING /* the user decides */, BRANCH_RESOLVING, BRANCH_SENT, BRANCH_DONE };
/* Why a branch never left. */
enum branch_fail { BRANCH_FINE, BRANCH_DROPPED, BRANCH_BAD_URI, BRANCH_UNRESOLVABLE, BRANCH_NO_SOCKET, BRANCH_SEND_FAILED, BRANCH_CANCELLED, BRANCH_NO_MEMORY, BRANCH_LOOP,
	BRANCH_OVERLOADED /* the peer does not read: refused at the bound of its queue */, BRANCH_TOO_LARGE /* for a datagram */ };
/* Header lines of our own 503: when to come again (RFC 3261 21.5.4, design D9). */
struct view    txn_retry_after(void);

struct branch {
	struct txn       *t;
	uint16_t          index;
	uint8_t           phase, fail;   /* enum branch_phase, branch_fail */
	struct ref        self;          /* for reports of net; NO_REF on UDP */
	struct msg_route  route;         /* what this branch looks like */
	struct edits      edits;         /* its own, besides the request's */
	struct client     client, cancel;
	struct view       ack;           /* the ACK of a negative final, as it left */
	struct candidate *list;          /* destinations, best first */
	uint8_t           ncand, at;     /* how many, and the present one */
	struct resolve_job *job;
	const struct socket_conf *from;
	enum transport    transport;
	struct addr       to;
	struct view       sni;
	bool              silent;        /* branch_send_copy() */
	bool              overloaded;    /* the last send was refused because the peer does not read */
	bool              cancel_wanted, heard /* any reply */, udp_only, first_only /* no failover */, never_sent;
	uint16_t          last_status;   /* last reply received; 0 = none */
	uint16_t          status;        /* final: received, or local 408/477/487; 0 = none yet */
	struct msg       *final;         /* the received final, NULL when local */
	void             *user;
};

/* What a retransmission is recognised by (RFC 3261 17.2.3), and replies by their method. */
struct txn_key { struct view branch, host, method; uint16_t port; enum sip_method id; };
struct remains;

struct txn {
	struct worker  *w;
	const struct txn_conf *conf;
	struct msg     *request;         /* one reference; NULL once it is over for the user */
	struct arena   *arena;           /* the request's; NULL with it */
	struct txn_key  key;
	const struct origin *client;     /* on whose behalf everything is sent */
	struct remains *remains;         /* what stands in for the request when it is gone */
	struct server   server;
	struct branch **branch;          /* at most TXN_BRANCHES */
	uint16_t        nbranches, room, first /* of the present round */;
	uint16_t        launching, sent; /* of the present txn_relay(): still under way; really sent */
	uint8_t         why;             /* last enum branch_fail of the present txn_relay() */
	uint16_t        busy;            /* open calls to the user and frames on the stack: alive while > 0 */
	bool            invite, cancelled, deciding /* failure point open */, blocked /* no more branches: 6xx */, relayed /* had branches */,
			keep_others /* 2xx does not cancel the others */, local_final, reported;
	struct branch  *winner;          /* at the failure point: whose final it is */
	uint32_t        fr, fr_inv;      /* this transaction's */
	struct view     extra;           /* header lines for every request of it (t_add_hdrs), CANCEL and ACK included */
	struct view     cancel_extra;    /* header lines for its CANCELs */
	char            tag[24];         /* To tag of our own replies; tag_n 0 before the first */
	uint8_t         tag_n;
	size_t          weight;          /* of its worker's TXN_BYTES; 0 once shrunk */
	struct view     ok_tag;          /* To tag of the last 2xx that was relayed */
	struct timer    reap;            /* frees what the script made and left without reply or branch */
	struct list     held;            /* messages that must live as long (txn_keep) */
	struct list     all;             /* in the worker's list of all */
	void           *user;
	struct branch  *few[4];          /* `branch` while this is enough */
	struct branch   one;             /* the first */
};

/* What the owner of transactions (mod/tm) does at the open points.  Every call but `ended` is answered once by the function
 * named with it, inside the call or any time later. NULL = the default. */
struct txn_user {
	void (*branch)(struct branch *b);                    /* before a branch is first sent -> branch_go(b, send) */
	void (*reply)(struct branch *b, struct msg *reply);  /* a reply that may go upstream; takes the reference -> txn_reply_go(b, reply, pass) */
	void (*failure)(struct txn *t);                      /* all branches ended, t->winner says how -> txn_failure_go(t) */
	void (*relayed)(struct txn *t);                      /* a txn_relay() that was not done at once is done; no answer */
	void (*replied)(struct txn *t, uint16_t status, struct msg *reply /* NULL when local */);   /* a reply left upstream; no answer */
	void (*ended)(struct txn *t);                        /* over for the user: not one more call comes, t is not to be touched again */
};

/* ---- a worker's transactions ------------------------------------------------------------------------------------------------------ */

/* State for worker.txns. NULL without memory. conf and user must outlive it. */
struct txns *txns_new(struct worker *w, const struct txn_conf *conf, const struct txn_user *user);
/* Forget every transaction at once, nothing is sent. */
void            txns_free(struct txns *s);
const uint64_t *txns_counts(const struct txns *s);       /* by enum txn_counter */
size_t          txns_live(const struct txns *s);

/* ---- requests ------------------------------------------------------------------------------------------------------------------------ */

enum txn_match {
	TXN_NONE,
	TXN_RETRANSMISSION,      /* absorbed: the last reply was sent again */
	TXN_HOP_ACK,             /* absorbed: the ACK of our negative final */
	TXN_END_ACK,             /* ACK that must go on: the transaction answered 2xx */
};
/* Is this request part of a known transaction (RFC 3261 17.2.3, RFC 2543 without the magic cookie)?  Never matches a CANCEL with its INVITE.  */
enum txn_match txn_match(struct worker *w, struct msg *m, struct txn **out);
/* The same without any effect: for asking twice. */
struct txn    *txn_find(struct worker *w, const struct msg *m);
/* The INVITE transaction that a CANCEL is about (9.2), or NULL. */
struct txn    *txn_invite_of(struct worker *w, const struct msg *cancel);
/* Make a transaction of a request (not an ACK), taking a reference to it.  NULL when there are too many or memory is out: answer 503. */
struct txn    *txn_new(struct worker *w, struct msg *m);
/* Every not finished branch is cancelled (RFC 3261 9.1: now, or with its first provisional); the winner will be 487. */
void           txn_cancel(struct txn *t);
void           branch_cancel(struct branch *b);
/* Hold a message until the transaction ends; takes over the reference, and gives it back at once when it returns false (no memory). */
bool           txn_keep(struct txn *t, struct msg *m);

/* ---- branches --------------------------------------------------------------------------------------------------------------------------- */

/* One more branch, not sent yet; the route is copied, edits (NULL = none) are taken as they are. NULL when there are too many,
 * after a 6xx, or when the transaction was cancelled or answered. */
struct branch *txn_add_branch(struct txn *t, const struct msg_route *r, const struct edits *edits);
/* Send all new branches.  True when every one of them is sent or failed (t->sent of them really, t->why for the last that did
 * not); false when some wait for the user or DNS: user.relayed follows. */
bool           txn_relay(struct txn *t);
void           branch_go(struct branch *b, bool send);
/* Send a new branch as a copy for somebody: nobody waits for it, its replies go nowhere. */
void           branch_send_copy(struct branch *b);
/* Target of everything that this branch sends. */
void           branch_target(const struct branch *b, struct target *out);
const char    *branch_fail_text(enum branch_fail f);
/* Rank of a final code for the choice of the winner: the smallest wins (opensips-modules.md 6). */
uint16_t       reply_rank(uint16_t status, bool cancelled);

/* ---- replies --------------------------------------------------------------------------------------------------------------------------- */

/* Our own reply through the transaction: to_tag of r is ours when empty.  A final cancels what is still under way.
 * False when a final reply left already or memory is out. */
bool txn_reply(struct txn *t, const struct own_reply *r);
/* A reply from the network.  True = a transaction took it over with its reference; false = nobody's, the caller keeps it. */
bool txn_receive_reply(struct worker *w, struct msg *m);
void txn_reply_go(struct branch *b, struct msg *reply, bool pass);
void txn_failure_go(struct txn *t);
/* net reports that bytes for `who` did not leave. */
void txn_send_failed(struct worker *w, struct ref who, enum send_result why);
#endif
