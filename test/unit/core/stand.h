/* test/unit/core/stand.h -- a worker on a bench: a fake net that remembers what was sent, a fake resolver, a clock turned by hand.
 * The fakes are link-time: they stand in for src/net. */
#ifndef TEST_STAND_H
#define TEST_STAND_H
#include "core/core.h"

enum { STAND_SENT = 600, STAND_SOCKETS = 6 };
struct stand_sent { struct target target; struct origin client; bool has_client; struct ref report; char bytes[8192]; size_t n; };
struct stand {
	struct worker      w;
	struct core_conf   conf;
	struct socket_conf sockets[STAND_SOCKETS];
	uint64_t           now;
	struct stand_sent  sent[STAND_SENT];
	int                nsent;
	/* send results by destination port; 0 = SEND_OK */
	struct { uint16_t port; enum send_result result; } refuse[8];
	/* what names resolve to */
	struct { const char *host; struct candidate list[4]; int n; bool later; } names[8];
	struct { resolve_done *done; void *arg; int name; bool waiting; } jobs[8];
	uint64_t           chance;
	size_t             header_bytes;    /* what net_header_bytes() says */
	int                nresumed;        /* calls of net_resume */
	struct msg        *requests[64], *replies[64];
	int                nrequests, nreplies, nbad;
	enum sip_fault     bad;
};
extern struct stand stand;

/* A fresh stand with udp:192.0.2.1:5060, tcp:192.0.2.1:5060, tls:192.0.2.1:5061, ws:192.0.2.1:80, wss:192.0.2.1:443,
 * udp:[2001:db8::1]:5060; hooks collect messages. */
void         stand_up(void);
void         stand_down(void);
void         stand_turn(uint64_t ms);                         /* advance the clock and fire timers, 1 ms at a time where armed */
struct origin stand_origin(const char *socket, const char *from);
/* Bytes arrive at the worker. */
void         stand_receive(const char *text, const char *socket, const char *from);
/* Parsed but not dispatched. */
struct msg  *stand_msg(const char *text, const char *socket, const char *from);
void         stand_resolve(int job);                          /* answer a `later` name */
struct view  stand_text(int i);                               /* bytes of the i-th send */
bool         view_has(struct view v, const char *needle);
/* Value of the branch parameter in the top Via of the i-th send. */
struct view  stand_branch(int i);
void         assert_view(struct view got, const char *want);
#endif
