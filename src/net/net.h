/* net/net.h -- sockets, connections and their stages: bytes, origins and targets; never a SIP message (design D4-D6).
 * One `struct net` per worker; nothing here is shared between workers but the immutable configuration. */
#ifndef NET_H
#define NET_H
#include "base/base.h"
#include "loop/loop.h"
#include "wire/pp/pp.h"
#include "wire/sip/sip.h"
#include <sys/uio.h>

/* ---- configuration: immutable, shared by all workers, part of a snapshot ------------------------------------------ */

/* Whether a listener reads PROXY headers, design section 3. */
enum pp_mode { PP_MODE_OFF, PP_MODE_ALLOW, PP_MODE_REQUIRE };
enum pp_udp  { PP_UDP_DATAGRAM, PP_UDP_FIRST, PP_UDP_SPP };   /* proxy_protocol_udp, reference 7.3 */

struct cidr_list { const struct cidr *list; size_t n; bool given; };   /* given: an empty list trusts nobody */

struct socket_conf {
	uint16_t         index;               /* position in net_conf.sockets */
	enum transport   transport;
	struct addr      at;                  /* bind address and port */
	struct view      text;                /* "udp:192.0.2.1:5060", as $socket_in shows it */
	struct view      advertised_host;     /* empty = none */
	uint16_t         advertised_port;     /* 0 = none */
	struct view      tag;
	int              tos;                 /* -1 = system default */
	bool             reuse_port;          /* outgoing connections leave from the listening port */
	bool             real_source;         /* design section 3 */
	bool             send_pp;             /* send_proxy_protocol */
	uint8_t          send_version;        /* 1 or 2 */
	enum pp_mode     pp_mode;
	enum pp_udp      pp_udp;
	bool             pp_strip_second;     /* a second header from a trusted sender is stripped, not refused */
	struct cidr_list pp_peers;
	uint32_t         pp_timeout_ms, pp_size;
};

/* One TLS domain (modparam tls_mgm); files are PEM. */
struct tls_domain_conf {
	struct view name;
	bool        server, verify_peer, require_cert, crl_check_all;
	struct view certificate, private_key, ca_list, ca_dir, crl_dir, ciphers, dh_params, ec_curve;
	int         min_version, max_version;   /* OpenSSL's TLSx_VERSION, 0 = library's */
	struct view match_ip, match_sip;        /* comma lists; "*" = any; match_sip "none" = no SNI */
};
struct tls_store;
/* Load every domain's files.  NULL on failure with a sentence in err (file, reason). */
struct tls_store *tls_store_new(const struct tls_domain_conf *domains, size_t n, uint16_t workers, struct out *err);
void              tls_store_free(struct tls_store *s);

struct net_conf {
	const struct socket_conf *sockets;
	size_t            nsockets;
	struct tls_store *tls;                    /* NULL: no TLS */
	uint32_t idle_ms, connect_ms, message_ms, handshake_ms, tls_handshake_ms;
	uint32_t max_message, max_conns;          /* connections per worker */
	int      backlog;
	bool     tcp_keepalive;
	int      keepidle_s, keepinterval_s, keepcount;   /* 0 = system default */
	bool     crlf_pong;                       /* answer CRLFCRLF with CRLF */
	bool     ws_require_origin;
	struct view ws_origins;                   /* comma list of allowed Origins; empty = any */
	struct view ws_resource, wss_resource;    /* request target of outgoing upgrades */
	uint32_t ws_ping_ms;                      /* ping an idle WS connection; 0 = never */
	uint32_t udp_rcvbuf;
	bool     cert_check_on_reuse;
};

/* ---- who is calling ------------------------------------------------------------------------------------------------ */

struct tls_facts;    /* of one connection; read through tls_facts_*() */
/* What a connection (or one datagram) brought besides its bytes.  Refcounted (atomic), immutable once published. */
struct facts {
	uint32_t          refs;
	bool              has_pp;       /* a PROXY/SPP header was read; `pp` is valid (LOCAL, UNKNOWN included) */
	bool              pp_trusted;   /* its sender stands in a configured peers list */
	struct pp_info    pp;           /* views point into pp_bytes */
	struct tls_facts *tls;          /* NULL without TLS */
	size_t            pp_n;
	char              pp_bytes[];
};
struct facts *facts_ref(struct facts *f);      /* NULL is fine */
void          facts_unref(struct facts *f);

/* Where bytes came from (design D4).  Plain data but for `facts`, of which origin_keep takes a reference. */
struct origin {
	const struct socket_conf *socket;      /* where they came in; for an outgoing connection the socket it was opened for */
	enum transport transport;
	struct addr    wire_src, wire_dst;     /* whom the kernel reports; replies go to wire_src */
	struct addr    real_src, real_dst;     /* the client endpoint; equals wire_* without a (non-LOCAL) header */
	bool           has_real;               /* real_* come from a PROXY/SPP header */
	bool           outbound;               /* came in over a connection that we opened */
	struct ref     conn;                   /* the stream connection; NO_REF on UDP */
	struct facts  *facts;                  /* NULL when there are none */
};
void origin_keep(struct origin *dst, const struct origin *src);   /* copy and take a reference to the facts */
void origin_drop(struct origin *o);
/* The source that policy sees: real when the listener says real_source, else wire. */
static inline const struct addr *origin_source(const struct origin *o)
{
	return o->socket && o->socket->real_source ? &o->real_src : &o->wire_src;
}

/* TLS facts as text, for $tls_*: `what` is the variable's name without '$' ("tls_version", "tls_peer_subject_cn", ...).
 * False when unknown or absent; the text is written to `out`. */
bool tls_facts_text(const struct tls_facts *t, struct view what, struct out *out);
bool tls_facts_peer_verified(const struct tls_facts *t);
/* For outgoing PROXY v2 TLVs and for scripts: SNI and ALPN as negotiated, empty when none. */
struct view tls_facts_sni(const struct tls_facts *t);

/* ---- sending ---------------------------------------------------------------------------------------------------------- */

/* Where bytes go (design D5).  Everything is borrowed for the call only. */
struct target {
	enum transport            transport;
	const struct socket_conf *from;        /* UDP: the sending socket; streams: whose settings a new connection takes */
	struct addr               to;
	struct ref                flow;        /* use this connection if alive; NO_REF = pool or new */
	bool                      flow_only;   /* never open a connection: a dead flow is SEND_DEAD */
	bool                      downstream;  /* a reply, or anything towards a client: never a PROXY header; SPP tuple if the client came by SPP */
	const struct origin      *client;      /* on behalf of; NULL = our own traffic (LOCAL / UNKNOWN) */
	struct view               sni;         /* TLS server name to ask for and to verify; empty = none */
	struct view               tls_domain;  /* client TLS domain by name; empty = by match rules */
};
enum send_result { SEND_OK /* given to the kernel or to a queue that drains */, SEND_NO_SOCKET, SEND_TOO_BIG, SEND_FULL /* peer does
	not read, or a table is full */, SEND_DEAD /* flow is gone */, SEND_REFUSED /* connect or TLS failed */, SEND_TIMEOUT, SEND_ERROR };

struct net;
/* Send one whole message.  The bytes are taken (copied or written) before the call returns; nothing blocks.
 * `report` names who wants to hear of a failure that comes later (connect refused, peer closed before the bytes left):
 * net_events.send_failed is called at most once with it, never from inside this call.  NO_REF = nobody. */
enum send_result net_send(struct net *n, const struct target *t, const struct iovec *iov, int niov, struct ref report);

/* Bytes a PROXY header adds to a datagram to that target, for the 1300-byte rule (RFC 3261 18.1.1). */
size_t net_header_bytes(const struct target *t);

/* The socket to send from: forced one if protocol and family fit; else same address with that protocol; for UDP the receiving
 * socket; else the first configured one of that transport and family; NULL = none (opensips-language.md section 4). */
const struct socket_conf *net_pick_socket(const struct net_conf *c, const struct socket_conf *forced, const struct socket_conf *received,
	enum transport t, const struct addr *to);
/* Socket by text "proto:host[:port]"; NULL when none. */
const struct socket_conf *net_find_socket(const struct net_conf *c, struct view text);

/* ---- one worker's net --------------------------------------------------------------------------------------------------- */

#define NET_COUNTERS(C) \
	C(udp_in, "datagrams received") C(udp_out, "datagrams sent") C(udp_drop_small, "datagrams too short to be SIP") \
	C(udp_send_error, "datagrams the kernel refused") C(udp_too_big, "messages too large for a datagram") \
	C(conn_accepted, "connections accepted") C(conn_opened, "connections opened") C(conn_closed, "connections closed") \
	C(conn_refused_limit, "connections refused at the limit") C(conn_idle, "connections closed when idle") \
	C(conn_timeout, "connections closed: handshake or message took too long") C(conn_connect_failed, "connects that failed") \
	C(conn_out_full, "messages refused because the peer does not read") C(conn_paused, "times reading stopped for backpressure") \
	C(tls_handshakes, "TLS handshakes done") C(tls_failed, "TLS handshakes failed") C(tls_resumed, "TLS sessions resumed") \
	C(ws_upgrades, "WebSocket upgrades done") C(ws_refused, "WebSocket upgrades refused") C(ws_bad_frame, "WebSocket protocol errors") \
	C(frame_bad, "streams closed for bad framing") C(pings, "keepalives answered") C(messages_in, "messages cut from streams or datagrams") \
	C(messages_out, "messages sent") C(pp_read, "PROXY headers read") C(pp_local, "PROXY headers LOCAL or UNKNOWN") \
	C(pp_sent, "PROXY headers sent") C(pp_missing, "PROXY header required but missing") \
	C(pp_untrusted, "PROXY header from an untrusted sender") C(pp_refused_source, "senders refused by require_proxy_protocol") \
	C(pp_unexpected, "PROXY header on a socket without the option") C(pp_timeout, "PROXY header did not arrive in time") \
	C(pp_stacked, "second PROXY header") C(pp_flow_full, "UDP flow memory full") C(letters_out, "messages handed to another worker's connection")
/* Index into net_counts.c. */
enum net_counter {
#define C(name, help) NETC_##name,
	NET_COUNTERS(C)
#undef C
	NETC_COUNT
};
/* Counters of this worker; [0..NETC_COUNT) as above, then one per enum pp_reject. Another thread may read them racily. */
struct net_counts { uint64_t c[NETC_COUNT]; uint64_t pp_reject[32]; };

struct net_events {
	void *arg;
	/* One whole message.  `msg` lies in `bytes`; take a reference (buf_ref) and origin_keep to keep them.  `bytes` NULL (datagrams): the view
	 * is lent for the call only, copy it.
	 * Returns false to ask for backpressure: net stops reading that connection until net_resume(). */
	bool (*message)(void *arg, struct buf *bytes, struct view msg, const struct origin *o);
	/* A stream broke the framing rules; `head` is the header section when it was complete, else empty.  Answer with net_send
	 * if at all; the connection closes when this returns and its queue has drained. */
	void (*bad_frame)(void *arg, struct view head, enum sip_fault why, const struct origin *o);
	/* The later failure of a send, see net_send. */
	void (*send_failed)(void *arg, struct ref report, enum send_result why);
};

/* All workers' nets, by worker id: how one net reaches another's loop for letters.  Zeroed, with `n` set, before the first
 * net_new(); a net enters and leaves by itself.  The two tables are net's own (atomic words, a full set forgets): `sent`,
 * addresses we sent datagrams to, which may answer without a PROXY header on whichever worker's socket the kernel picks;
 * `home`, the worker that holds a client's connection. */
enum { SENT_SLOTS = 8192, SENT_TTL_S = 600, HOME_SLOTS = 65536 };
struct net_peers { struct net *net[WORKERS_MAX]; uint16_t n; uint64_t sent[SENT_SLOTS], home[HOME_SLOTS]; };

/* Open every listening socket of the configuration for worker `id` (SO_REUSEPORT) and join the loop.
 * NULL on failure with a sentence in err ("udp:192.0.2.1:5060: address already in use"). */
struct net *net_new(struct loop *l, uint16_t id, const struct net_conf *c, const struct net_events *ev, struct net_peers *peers,
	struct hash_key key, struct out *err);
/* Stop listening, flush what can be flushed at once, close everything. */
void        net_free(struct net *n);
/* Read again from a connection that was paused by message() returning false.  A connection of another worker is told by
 * letter, here and in net_close. */
void        net_resume(struct net *n, struct ref conn);
/* Close a connection after its queue has drained (tcp_close_conn). False when it is gone. */
bool        net_close(struct net *n, struct ref conn);
/* From now on handshakes use these certificates (tls_mgm reload); the former store may be freed once every worker has switched.
 * For the worker's own thread. */
void        net_use_tls(struct net *n, struct tls_store *s);
const struct net_counts *net_counts(const struct net *n);
/* A live connection to that peer, for requests that must reuse one (alias, RFC 5923); NO_REF when none. */
struct ref  net_find_conn(struct net *n, enum transport t, const struct addr *peer);

/* ---- resolver: RFC 3263 on c-ares ---------------------------------------------------------------------------------------- */

struct resolver_conf { bool naptr, ipv6, search; uint32_t timeout_ms; int tries; struct view servers; /* "ip:port,..." for tests; empty = system */ };
struct candidate { enum transport transport; struct addr to; };
struct resolve_ask {
	struct view    host;             /* name or address text (IPv6 with or without brackets) */
	uint16_t       port;             /* 0 = none given */
	enum transport transport;        /* TR_NONE = none given: NAPTR, then SRV, then default */
	bool           secure;           /* sips: only TLS (WSS) */
	unsigned       usable;           /* bit per transport that we can send on */
};
/* Called once, never from inside resolve().  n == 0: `why` says so (name error, timeout). The list is borrowed. */
typedef void resolve_done(void *arg, const struct candidate *list, size_t n, const char *why);
struct resolver;
struct resolve_job;
struct resolver *resolver_new(struct loop *l, const struct resolver_conf *c, struct hash_key key, uint64_t (*rand64)(void *), void *rand_arg);
void             resolver_free(struct resolver *r);
/* Numeric hosts and cached names are answered at once: returns n > 0 candidates in `list` (room for DNS_CANDIDATES), no callback.
 * 0: a job was started, *job is set until done is called.  -1: refused (too many queries, bad name). */
int  resolve(struct resolver *r, const struct resolve_ask *ask, struct candidate *list, resolve_done *done, void *arg, struct resolve_job **job);
void resolve_cancel(struct resolve_job *job);      /* done will not be called */
#endif
