/* pp.h -- PROXY protocol headers as a load balancer in front would write them. */
#ifndef BENCH_PP_H
#define BENCH_PP_H

#include "text.h"

#include <netinet/in.h>

/* Longest header written here: a version 1 line for IPv4 with CRLF. */
enum { PP_ROOM = 64 };

/* Append a header of `version` (1 or 2) that announces `src` to `dst`.
 * `datagram` picks the v2 transport (version 1 knows TCP4 only). */
void pp_write(struct out *o, unsigned version, bool datagram, const struct sockaddr_in *src,
              const struct sockaddr_in *dst);

#endif
