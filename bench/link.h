/* link.h -- the generator's sockets: phones towards the server under test on
 * UDP, TCP, TLS, WS and WSS, and the platform behind it on UDP or TCP.
 *
 * IPv4 only. Phones connect one after another and block while they do: that
 * is set-up, not measurement. Afterwards everything is non-blocking, and what
 * was sent waits until net_flush(). A broken socket is counted, never hidden. */
#ifndef BENCH_LINK_H
#define BENCH_LINK_H

#include "text.h"

#include <netinet/in.h>

enum transport { T_UDP, T_TCP, T_TLS, T_WS, T_WSS };

struct net;

/* One socket. Never freed before the program ends, so a call may keep it. */
struct link {
	uint32_t id;          /* position among its kind */
	bool client;          /* a phone; else the platform's side */
	bool stream, dead;
	struct sockaddr_in local;
	struct link_io *io;
};

/* A complete datagram or framed message. `from` is set for datagrams. Called
 * from net_poll(). */
typedef void net_in_fn(void *arg, struct link *l, const struct sockaddr_in *from, struct view msg);

/* What the phones are. */
struct net_clients {
	enum transport transport;
	struct sockaddr_in server;
	unsigned count;
	unsigned proxy_version; /* 0: no PROXY header; 1 or 2: header first */
};

/* Trouble met by the sockets. */
struct net_counts {
	uint64_t broken;  /* connections lost, datagrams refused, bytes for a lost connection */
	uint64_t garbled; /* bytes that cannot be framed */
};

/* A new set of sockets; `fn` gets every message. */
struct net *net_new(net_in_fn *fn, void *arg);

/* Close and free everything; no link may be used afterwards. */
void net_free(struct net *net);

/* Open the platform's side: a UDP socket or a TCP listener on `at`. */
void net_platform(struct net *net, enum transport transport, const struct sockaddr_in *at);

/* Connect the phones; dies if one cannot. Client i is net_client(net, i). */
void net_connect(struct net *net, const struct net_clients *spec);
struct link *net_client(const struct net *net, unsigned i);

/* Queue one message. `to` names the receiver on the platform's UDP socket
 * and is NULL on every other link. */
void link_send(struct link *l, const struct sockaddr_in *to, struct view msg);

/* Send what is queued. */
void net_flush(struct net *net);

/* Wait at most `wait_us` microseconds and deliver what arrived. */
void net_poll(struct net *net, uint64_t wait_us);

/* Trouble so far. */
const struct net_counts *net_counts(const struct net *net);

#endif
