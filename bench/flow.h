/* flow.h -- the calls: a caller and a callee whose every message is checked.
 *
 * Both ends live here, so a call is judged by what each end really saw. Each
 * call has a random nonce; From tag, To tag, branches, Contact users and a
 * header of our own derive from it. A message that reached the wrong socket,
 * the wrong end or the wrong call, or was changed on the way, is counted and
 * does not help its call to succeed. */
#ifndef BENCH_FLOW_H
#define BENCH_FLOW_H

#include "hist.h"
#include "link.h"

enum flow_kind { FLOW_CALL, FLOW_OPTIONS };

/* What a call is made of. Times in microseconds. */
struct flow_config {
	enum flow_kind kind;
	enum transport client, platform;
	struct sockaddr_in server, platform_at;
	bool routed;       /* the server is a SIP proxy: it adds Via and Record-Route */
	unsigned window;   /* calls that may be open at once */
	unsigned clients;
	uint64_t ring, talk;  /* 180 to 200; ACK to BYE */
	uint64_t give_up;  /* a call not complete by then has failed */
	uint64_t seed;     /* of the nonces */
};

/* Messages that must have arrived; failures are told by the missing ones. */
enum flow_seen {
	SEEN_INVITE, SEEN_180, SEEN_200, SEEN_ACK, SEEN_BYE, SEEN_BYE_200,
	SEEN_OPTIONS, SEEN_OPTIONS_200, SEEN_KINDS
};

/* Name of a message kind, for the report. */
const char *flow_seen_name(enum flow_seen s);

/* Sums over the run. */
struct flow_counts {
	uint64_t started, ok, failed;
	uint64_t overrun;     /* due while the window was full: failed, never sent */
	uint64_t timed_out, rejected;
	uint64_t missing[SEEN_KINDS];
	uint64_t retrans_caller, retrans_callee;
	uint64_t trying;      /* 100 answers seen by callers */
	uint64_t repeated;    /* a good message once more, or one for a call that is over */
	uint64_t misrouted;   /* arrived on a socket of another client, or at the wrong end */
	uint64_t corrupt;     /* arrived with a value it was not sent with */
	uint64_t unparsed;
	struct hist latency;  /* INVITE to 180, OPTIONS to 200 */
	struct hist setup;    /* INVITE to 200 without `ring` */
};

struct flow;

/* New calls over `net`, whose messages go to flow_in(). */
struct flow *flow_new(const struct flow_config *config);
void flow_attach(struct flow *f, struct net *net);

/* Free it; the net is the caller's. */
void flow_free(struct flow *f);

/* net_in_fn: `arg` is the flow. */
void flow_in(void *arg, struct link *l, const struct sockaddr_in *from, struct view msg);

/* Start a call from the next client. False if the window is full. */
bool flow_start(struct flow *f, uint64_t now);

/* As flow_start() failed and the call was due: it counts as failed. */
void flow_overrun(struct flow *f);

/* Set the time that flow_in() works with, do what is due, and return the
 * microseconds until something is due next (bounded to 100 ms). */
uint64_t flow_tick(struct flow *f, uint64_t now);

/* Calls that are neither complete nor given up. */
unsigned flow_open(const struct flow *f);

const struct flow_counts *flow_counts(const struct flow *f);

#endif
