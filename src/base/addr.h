/* base/addr.h -- an IP address with port, comparable as bytes.  v4-mapped IPv6 is unmapped where an address enters
 * (addr_from_sockaddr), so that no comparison can be tricked by the second spelling. */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H
#include "base/view.h"
struct sockaddr;
struct sockaddr_storage;

/* Address family by its IP version. */
enum af { AF_NONE = 0, AF_V4 = 4, AF_V6 = 6 };
struct addr {
	uint8_t  af;        /* enum af */
	uint16_t port;      /* host order */
	uint8_t  ip[16];    /* network order; IPv4 in the first four bytes, the rest zero */
	uint32_t scope;     /* IPv6 zone of a link-local address, else 0; not compared */
};
/* A CIDR block. */
struct cidr { struct addr net; uint8_t bits; };

/* Transports of SIP, also the order of tables keyed by transport. */
enum transport { TR_UDP, TR_TCP, TR_TLS, TR_WS, TR_WSS, TR_COUNT, TR_NONE = TR_COUNT };
struct view    transport_name(enum transport t);       /* "udp" "tcp" "tls" "ws" "wss"; "none" */
struct view    transport_via(enum transport t);        /* "UDP" ... as written in Via (RFC 3261 20.42, RFC 7118) */
enum transport transport_parse(struct view v);         /* any case; TR_NONE when unknown */
static inline bool transport_stream(enum transport t) { return t != TR_UDP; }
uint16_t       transport_port(enum transport t);       /* default port: 5060 5060 5061 80 443 */

/* Bytes that the longest text below needs: IPv6 in brackets with port, rounded up. */
enum { ADDR_TEXT_MAX = 64 };
bool        addr_same(const struct addr *a, const struct addr *b);        /* address and port */
bool        addr_same_ip(const struct addr *a, const struct addr *b);
bool        addr_is_any(const struct addr *a);
/* 2001:db8::1 or 192.0.2.1, IPv6 with or without brackets; no zone, no port.  False leaves *out untouched. */
bool        addr_parse_ip(struct view v, struct addr *out);
/* ip:port, [ip6]:port, or ip without a port (port 0). */
bool        addr_parse(struct view v, struct addr *out);
/* Canonical text (RFC 5952 for IPv6).  `buf` needs ADDR_TEXT_MAX bytes; the view points into it. */
struct view addr_ip_text(const struct addr *a, char *buf);               /* without brackets */
struct view addr_host_text(const struct addr *a, char *buf);             /* IPv6 in brackets: for SIP URIs and Via */
struct view addr_text(const struct addr *a, char *buf);                  /* host:port */
void        addr_from_sockaddr(const struct sockaddr *sa, struct addr *out);   /* unmaps ::ffff:a.b.c.d */
/* The length to pass to the kernel. */
unsigned    addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out);
void        addr_unmap(struct addr *a);
bool        cidr_parse(struct view v, struct cidr *out);                 /* "10.0.0.0/8", "::1", "10.0.0.0/255.0.0.0" */
bool        cidr_has(const struct cidr *c, const struct addr *a);        /* `a` must be unmapped */
#endif
