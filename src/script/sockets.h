/* script/sockets.h -- private to script/: sockets while the configuration is being read. */
#ifndef SCRIPT_SOCKETS_H
#define SCRIPT_SOCKETS_H
#include "script/ast.h"

/* One socket= line; several addresses and ports may come of it. */
struct draft {
	struct draft    *next;
	uint32_t         at, len;
	bool             listen, from_option;            /* 3.x listen=, -l: the protocol may be left out */
	enum transport   transport;
	struct addr      addrs[64]; size_t naddrs;
	struct view      ports, advertised_host, tag;
	uint16_t         advertised_port;
	int              tos;
	bool             reuse_port, real, real_given, send_pp, strip, udp_given;
	enum pp_mode     mode;
	enum pp_udp      udp;
	uint8_t          version;                        /* 0 = the global one */
	uint32_t         timeout_ms, size;               /* 0 = the global ones */
	struct cidr_list peers;
};
/* All of them, and the globals that are their defaults. */
struct drafts {
	struct draft    *first, *last;
	struct bond      bonds[64]; size_t nbonds;
	struct alias     aliases[256]; size_t naliases;
	int              tos;
	uint8_t          version;
	enum pp_udp      udp;
	bool             strip;
	uint32_t         timeout_ms, size;
	struct cidr_list peers;
	uint16_t         port[TR_COUNT];                 /* where a socket names none */
};
bool alias_line(struct lex *x);
/* "CIDR, CIDR" of a word; false after a diagnosis. */
bool peers_list(struct loader *l, const struct word *w, struct cidr_list *out);
bool pp_udp_mode(struct view v, enum pp_udp *out);
/* A number or IPTOS_*. */
bool tos_value(struct view v, int64_t *out);
#endif
