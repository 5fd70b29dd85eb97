/* txn/priv.h -- private to txn/: the tables' cells and what the files ask of each other. */
#ifndef TXN_PRIV_H
#define TXN_PRIV_H
#include "txn/txn.h"

struct client_cell { uint8_t next; void (*run)(struct client *c, struct msg *reply); };
struct server_cell { uint8_t next; void (*run)(struct txn *t); };
extern const struct client_cell ict[CLIENT_STATES][CLIENT_EVENTS], nict[CLIENT_STATES][CLIENT_EVENTS];
extern const struct server_cell ist[SERVER_STATES][SERVER_EVENTS], nist[SERVER_STATES][SERVER_EVENTS];

struct txns {
	struct worker         *w;
	const struct txn_conf *conf;
	const struct txn_user *user;
	struct table           servers, clients;
	struct slots           branches;        /* for reports of net */
	struct list            all, spare;      /* spare: memory of ended ones */
	size_t                 live, nspare;
	size_t                 bytes;           /* weight of the live ones, see TXN_BYTES */
	uint64_t               counts[TXNC_COUNT];
};
static inline struct txns *txns_of(const struct txn *t) { return t->w->txns; }
static inline void txn_count(const struct txn *t, enum txn_counter c) { tally_add(&txns_of(t)->counts[c], 1); }
/* After the request: replies still go home, ACKs still speak for the client. */
struct remains { struct target home; struct origin origin; struct view to_tag; };
/* Keep a transaction alive over a stretch of code; release may free it. */
static inline void txn_hold(struct txn *t) { t->busy++; }
void txn_release(struct txn *t);

/* match.c */
uint64_t txn_server_hash(const struct worker *w, const struct msg *m);
bool     txn_magic(struct view branch);                  /* made by RFC 3261's rules */

/* client.c */
void client_init(struct client *c, struct branch *b, bool invite, bool cancel);
void client_event(struct client *c, enum client_event e, struct msg *reply);
void client_start(struct client *c, bool resend);       /* sent for the first time: arm timers */
void client_stop(struct client *c);                     /* GONE, out of the table, timers off */
bool client_reliable(const struct client *c);
void client_send(struct client *c, struct view bytes);

/* actions shared by the client tables */
void client_provisional(struct client *c, struct msg *reply);
void client_pass(struct client *c, struct msg *reply);
void client_timed_out(struct client *c, struct msg *reply);
void client_unreachable(struct client *c, struct msg *reply);
void client_nothing(struct client *c, struct msg *reply);

/* server.c */
void server_init(struct txn *t);
void server_event(struct txn *t, enum server_event e);
/* Send a laid out reply and tell the machine. False when it is too late for it, or memory is out. */
bool server_reply(struct txn *t, uint16_t status, const struct laid *l);
void server_stop(struct txn *t);
void server_again(struct txn *t);                       /* the last reply once more */
void server_nothing(struct txn *t);
void server_end(struct txn *t);
/* Where replies of this transaction go. */
void server_home(const struct txn *t, struct target *out);

/* branch.c */
void branch_heard(struct branch *b, struct msg *reply); /* a reply passed the state machine */
void branch_done(struct branch *b, uint16_t status);    /* with a local final */
bool branch_next(struct branch *b);                     /* try the next address; false when there is none */
void branch_send_cancel(struct branch *b);

/* fork.c */
void txn_decide(struct txn *t);
void txn_launched(struct txn *t);
/* A 2xx that is repeated when the script is done with the call. */
void txn_relay_late(struct txn *t, struct msg *reply);
#endif
