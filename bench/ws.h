/* ws.h -- the client's half of RFC 6455 as RFC 7118 needs it: pure codec. */
#ifndef BENCH_WS_H
#define BENCH_WS_H

#include "text.h"

enum ws_op { WS_CONT = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };
enum ws_status { WS_OK, WS_MORE, WS_BAD };

/* Bytes a masked client frame adds to its payload, at most. */
enum { WS_HEAD_MAX = 14 };

/* Write a masked frame (RFC 6455 5.2, 5.3) to `to`, which has room for
 * payload.n + WS_HEAD_MAX. Returns its length. */
size_t ws_frame(char *to, enum ws_op op, uint32_t mask, struct view payload);

/* Decode the server's frame at the start of `in`.
 *   WS_OK    *op, *payload (a view into `in`) and *used are set
 *   WS_MORE  a prefix of a frame
 *   WS_BAD   masked, fragmented, or with reserved bits: no server sends that here */
enum ws_status ws_decode(struct view in, enum ws_op *op, struct view *payload, size_t *used);

/* Append the upgrade request (RFC 7118 4.1) for `host`. */
void ws_upgrade(struct out *o, struct view host);

/* True if `reply` is the complete 101 answer to ws_upgrade() that accepts our
 * key and the sip subprotocol. */
bool ws_accepted(struct view reply);

#endif
