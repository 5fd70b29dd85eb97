/* sip.h -- as much SIP as a well-behaved phone in a benchmark needs. */
#ifndef BENCH_SIP_H
#define BENCH_SIP_H

#include "text.h"

enum { SIP_VIAS = 16, SIP_ROUTES = 16 };

/* Views into one received message; they live as long as its bytes. */
struct sip {
	uint32_t status;          /* 0: a request */
	struct view method;       /* of the request line, or of CSeq for a response */
	struct view ruri;
	struct view via[SIP_VIAS];            /* values of Via lines, top first */
	struct view record_route[SIP_ROUTES]; /* values of Record-Route lines, top first */
	unsigned vias, record_routes, routes;
	struct view from, to, call_id, cseq, contact, mark;
	struct view body;
	uint32_t content_length;
};

enum sip_status { SIP_OK, SIP_MORE, SIP_BAD };

/* Read the message at the start of `in`.
 *   SIP_OK    *m and *used are set; the body is Content-Length bytes, or for
 *             a `datagram` without one the rest
 *   SIP_MORE  no complete message yet (streams)
 *   SIP_BAD   not SIP, or a length that cannot be */
enum sip_status sip_read(struct view in, bool datagram, struct sip *m, size_t *used);

/* Append "Route: ..." lines: the Record-Route values of a response in
 * reverse order, which is the caller's route set (RFC 3261 12.1.2). */
void sip_route_set(struct out *o, const struct sip *m);

/* What stands between '<' and '>' of a name-addr, or the whole value. */
struct view sip_uri(struct view name_addr);

/* The value of parameter ";name=" (`key` is spelled with both marks);
 * empty if there is none. */
struct view sip_param(struct view v, struct view key);

#endif
