/* core/core.h -- a worker, a message on its way, and how it is laid out for sending.
 * The received message never changes (design D2): what the script wants different stands in struct msg_route and in edits. */
#ifndef CORE_H
#define CORE_H
#include "net/net.h"

/* ---- configuration ----------------------------------------------------------------------------------------------------- */

struct alias { enum transport transport; /* TR_NONE = any */ struct view host; uint16_t port; /* 0 = any */ bool subdomains; };

/* Where the log goes (log_level stands in core_conf). */
struct log_conf { bool to_stderr, to_syslog; int facility; /* syslog(3) LOG_* */ struct view name, prefix; /* empty = none */ };
/* socket = bond:NAME { members }: "proto:host:port" each; $socket_out = "bond:NAME" picks the first that fits. */
struct bond { struct view name; const struct view *members; size_t nmembers; };

/* The globals of the core, as read from the configuration; immutable (design D8). */
struct core_conf {
	struct net_conf      net;
	struct resolver_conf dns;
	const struct alias  *aliases;
	size_t               naliases;
	struct view          advertised_host;
	uint16_t             advertised_port;
	bool                 real_source;          /* default of the socket option */
	bool                 server_signature, disable_503_translation, dns_failover, stateless_forward;
	struct view          server_header;        /* whole header line without CRLF */
	uint16_t             mtu;                  /* bytes of a datagram's payload over which TCP is preferred where known; 0 = off */
	int                  log_level, xlog_level, xlog_print_level;
	uint32_t             xlog_buf, print_buf, while_loops;
	bool                 enable_asserts, abort_on_assert;
	uint16_t             workers;
	struct view          flag_names[2][32];    /* message and branch flags by bit, in order of first use (script_flag) */
	uint8_t              nflags[2];
	void               **mod;                  /* per-module configuration by module slot (script/script.h) */
	struct log_conf      log;
	const struct bond   *bonds;
	size_t               nbonds;
	struct view          chroot, workdir;      /* empty = none */
	bool                 debug_mode;
	int                  open_files;           /* RLIMIT_NOFILE wanted; -1 = leave */
};

/* ---- a branch-to-be ------------------------------------------------------------------------------------------------------ */

/* What one outgoing branch will look like; cheap to copy. Views live in the message's arena. */
struct msg_route {
	struct view ruri;                        /* $ru */
	struct view duri;                        /* $du; empty = none */
	struct view path;                        /* Route set to push: "<sip:..>, <..>"; empty = none */
	const struct socket_conf *socket;        /* $socket_out forced; NULL = choose */
	const struct bond *bond;                 /* $socket_out = "bond:NAME": choose among its members; NULL = none */
	struct ref  flow;                        /* connection to use (from a flow token); NO_REF = choose */
	const struct origin *peer;               /* this branch goes back to a client of ours (flow token): never a PROXY header, its SPP
	                                          * tuple; NULL = towards an upstream */
	uint32_t    bflags;
	int16_t     q;                           /* 0..1000, -1 unset */
	struct view attr;                        /* "name=value" lines of $msg.branch.attr, opaque to the core */
};

/* ---- edits ------------------------------------------------------------------------------------------------------------------ */

/* Delete `len` bytes of the received message at `off`, and put `text` there.  Kept in order of offset; edits at one offset
 * keep the order in which they were made. */
struct edit { uint32_t off, len; struct view text; struct edit *next; };
struct msg;
struct msg_route;
/* Header lines that depend on how a branch leaves (Record-Route): asked for when a request is laid out, put right after our Via.
 * `own` are the edits of the branch (may be NULL).  VIEW_NONE = the arena is full; an empty view adds nothing. */
struct edits;
typedef struct view late_lines(struct msg *m, const struct edits *own, const struct socket_conf *from, enum transport t, void *arg, struct arena *a);
struct late { late_lines *lines; void *arg; struct late *next; };
struct edits { struct edit *first; uint16_t n; struct view body; bool new_body; /* body replaced whole */ struct late *late; };
bool edit_late(struct msg *m, struct edits *e, late_lines *lines, void *arg);
/* All return false when the arena or MSG_EDITS is exhausted, or when the bytes are not inside the message.  `text` must live
 * as long as the message (arena_copy).  Deleting the same bytes twice is one deletion. */
bool edit_delete(struct msg *m, struct edits *e, struct view bytes);
bool edit_replace(struct msg *m, struct edits *e, struct view bytes, struct view text);
bool edit_insert(struct msg *m, struct edits *e, const char *before, struct view text);    /* `before` points into the message */
bool edit_append_header(struct msg *m, struct edits *e, struct view lines);                /* at the end of the header section; whole lines with CRLF */
bool edit_prepend_header(struct msg *m, struct edits *e, struct view lines);               /* before the first header */
bool edit_body(struct msg *m, struct edits *e, struct view body);                          /* replace the body; Content-Length follows by itself */

/* ---- a message on its way ---------------------------------------------------------------------------------------------------- */

struct worker;
struct txn;
/* What our own Via branch carries; see branch_write(). */
struct branch_cookie { uint16_t worker; uint64_t hi; uint32_t lo; uint32_t loop; /* hash of what decides routing, RFC 3261 16.6 (8) */ };
/* Via rules of one message, set by the script (set_via_handling). */
enum msg_via { VIA_FORCE_RPORT = 1, VIA_ADD_LOCAL_RPORT = 2, VIA_REPLY_TO_VIA = 4, VIA_FORCE_TCP_ALIAS = 8 };

struct msg {
	struct sip_msg    sip;
	struct buf       *bytes;               /* NULL when they stand in the arena */
	struct arena     *arena;               /* owns this struct and everything below; freed with the last reference */
	uint32_t          refs;                /* plain: a message never leaves its worker */
	uint32_t          id;                  /* $mi */
	uint64_t          at_ms;               /* when it arrived, monotonic */
	struct worker    *w;
	struct origin     origin;
	struct sip_uri    ruri;                /* received R-URI decoded (requests) */
	struct sip_via    via;                 /* top Via */
	struct branch_cookie cookie;           /* of the top Via's branch, when ... */
	bool              ours;                /* ... we made it: then a reply is one to us */
	struct msg_route  route;               /* branch 0 */
	struct msg_route *more;                /* MSG_BRANCHES - 1 added branches, NULL until the first */
	uint8_t           nmore;
	struct edits      edits;
	uint32_t          flags, via_flags;
	bool              loose_routed;        /* loose_route() found our Route: R-URI and Routes were rewritten */
	struct view       advertised_host, advertised_port;   /* set_advertised_*; empty = none */
	struct view       reply_lines;         /* header lines for our own replies to this request (append_to_reply) */
	struct view       reply_body;          /* body for our own replies that bring none themselves (append_body_to_reply) */
	uint16_t          new_status;          /* replies: leave with this status and reason (change_reply_status); 0 = as received */
	struct view       new_reason;
	void             *avps;                /* owned by script; attached to the transaction with the message */
	void             *ext;                 /* per-message notes of modules: see msg_note */
};
/* One more reference; give one back (NULL is fine): with the last one the arena, its bytes and its facts go. */
struct msg *msg_ref(struct msg *m);
void        msg_unref(struct msg *m);
/* A small keyed note that a module keeps with a message (key: address of a static of the module). NULL when absent. */
void       *msg_note(const struct msg *m, const void *key);
bool        msg_note_set(struct msg *m, const void *key, void *value);
/* The source that policy sees (origin_source). */
const struct addr *msg_source(const struct msg *m);

/* ---- worker -------------------------------------------------------------------------------------------------------------------- */

#define CORE_COUNTERS(C) \
	C(rcv_requests, "requests received") C(rcv_replies, "replies received") C(fwd_requests, "requests forwarded statelessly") \
	C(fwd_replies, "replies forwarded statelessly") C(drop_requests, "requests dropped") C(drop_replies, "replies dropped") \
	C(err_requests, "requests that were not acceptable") C(err_replies, "replies that were not acceptable") \
	C(bad_uris, "bad URIs") C(bad_headers, "bad headers") C(handed_over, "messages that another worker owned") \
	C(inbox_full, "messages refused because the owner's inbox was full") C(arena_full, "messages that ran out of memory bound") \
	C(replies_sent, "replies generated") C(stray_replies, "replies without our Via") C(loops, "requests refused as loops") \
	C(bare_forged, "bare datagrams that were not replies to us")
/* Index into worker.counts. */
enum core_counter {
#define C(name, help) COREC_##name,
	CORE_COUNTERS(C)
#undef C
	COREC_COUNT
};

/* What sits above: the script's walk.  Each takes over the message (one reference). */
struct core_hooks {
	void (*request)(struct worker *w, struct msg *m);      /* parsed and validated */
	void (*reply)(struct worker *w, struct msg *m);        /* top Via is ours */
	void (*bad_request)(struct worker *w, struct msg *m, enum sip_fault why);   /* before the 4xx is sent; may be NULL */
	void (*send_failed)(struct worker *w, struct ref who, enum send_result why);
};

struct workers;                    /* all of them; owns letters' address book */
struct worker {
	uint16_t                id, n;             /* this one, and how many there are */
	struct loop            *loop;
	struct net             *net;
	struct resolver        *resolver;
	const struct core_conf *conf;              /* immutable; for the life of the worker */
	struct workers         *all;
	struct hash_key         key;               /* process-wide secret: branches, cookies, dispatch */
	struct hash_key         seal;              /* secret that may outlive the process: marks in the Record-Routes of long calls */
	uint64_t              (*rand64)(void *arg);
	void                   *rand_arg;
	const struct core_hooks *hooks;
	uint64_t                counts[COREC_COUNT];
	uint32_t                next_id;
	int                     xlog_level;        /* limit of xlog(), starts as conf->xlog_level */
	void                   *txns;              /* txn room's per-worker state */
	void                   *script;            /* script room's per-worker state */
	void                  **mod;               /* per-module worker state by module slot */
	struct list             parked;            /* core: messages that wait for room in their owner's inbox */
	struct timer            unpark;            /* core */
};
static inline void count(struct worker *w, enum core_counter c) { tally_add(&w->counts[c], 1); }
static inline uint64_t worker_now(const struct worker *w) { return w->loop->now_ms; }

/* The net events of a worker: what net_new() is given.  arg must be the worker. */
extern const struct net_events core_net_events;
/* Bytes of one whole message from `o` (`bytes` NULL: lent for the call only) reach their owner: peek, dispatch (here or by letter), parse, validate, hooks.
 * Also the door for tests. False = backpressure wanted. */
bool worker_receive(struct worker *w, struct buf *bytes, struct view msg, const struct origin *o);
/* Build a message from bytes for requests we originate ourselves or for tests: parsed, not validated; NULL on a fault. */
struct msg *msg_new(struct worker *w, struct buf *bytes, struct view v, const struct origin *o, enum sip_fault *why);

/* The address book of n workers; join each once; at() gives the worker, or NULL before it joined. */
struct workers *workers_new(uint16_t n);
void            workers_free(struct workers *all);
void            workers_join(struct workers *all, struct worker *w);
struct worker  *workers_at(struct workers *all, uint16_t id);

/* ---- dispatch: the owner of a message is a pure function (design D1) ------------------------------------------------------------- */

/* Worker that owns a message: a response -> the worker in our own keyed branch; else SipHash of the Call-ID. */
uint16_t dispatch_owner(struct hash_key key, uint16_t workers, const struct sip_peek *p);

/* Our Via branch: "z9hG4bK" + worker + 96 random bits + a keyed check over both and the loop hash: nobody else can make one
 * that we accept (requirements S11). */
enum { BRANCH_TEXT_MAX = 80 };
struct view branch_write(struct hash_key key, const struct branch_cookie *c, char *buf);
bool        branch_read(struct hash_key key, struct view branch, struct branch_cookie *out);    /* false: not ours, or forged */
struct branch_cookie branch_new(struct worker *w, uint32_t loop);
/* RFC 3261 16.6 step 8: hash over R-URI, From/To tags, Call-ID, CSeq number, topmost foreign Via, Route, Proxy headers. */
uint32_t    branch_loop_hash(const struct worker *w, const struct msg *m, const struct msg_route *r);
/* True when one of the message's Vias is ours and was made for the same routing decision (16.3 step 4). */
bool        msg_looped(const struct worker *w, const struct msg *m, const struct msg_route *r);

/* ---- who are we --------------------------------------------------------------------------------------------------------------------- */

/* host[:port] names one of our sockets (bind address, advertised name) or an alias; port 0 = any. */
bool        core_is_myself(const struct core_conf *c, struct view host, uint16_t port, enum transport t);
/* host:port to write into Via / Record-Route / Contact for a socket (advertised first). */
struct view core_sent_by(const struct core_conf *c, const struct socket_conf *s, const struct msg *m, struct arena *a);

/* ---- layout: one message laid out for sending ------------------------------------------------------------------------------------------- */

/* The pieces of one message, to be sent or flattened before the arena goes. */
enum { LAYOUT_IOV = 64 };
struct laid { struct iovec iov[LAYOUT_IOV]; int n; size_t bytes; };   /* flattened by itself into the arena when it needs more pieces */

/* The forwarded request (RFC 3261 16.6): R-URI of `r`, our Via with `branch`, received/rport into the former top Via, base edits of
 * the message and then `own` edits of the branch (may be NULL), Path/Route push, exactly one Content-Length.
 * False when the arena is full. `from` is the sending socket, `t` the transport. */
bool layout_request(struct msg *m, const struct msg_route *r, const struct edits *own, const struct socket_conf *from, enum transport t,
	struct view branch, struct arena *a, struct laid *out);
/* The forwarded reply: top Via removed, edits applied, one Content-Length; `status`/`reason` 0 = as received. */
bool layout_reply(struct msg *m, uint16_t status, struct view reason, struct arena *a, struct laid *out);
/* Our own reply to a request: Vias with received/rport, From, To (+ `to_tag` when it has none), Call-ID, CSeq, Record-Routes for
 * 1xx/2xx, `extra` header lines, Server (when configured), body with `content_type`. */
struct own_reply { uint16_t status; struct view reason, to_tag, extra, content_type, body; };
bool layout_own_reply(const struct msg *m, const struct own_reply *r, struct arena *a, struct laid *out);
/* A hop-by-hop request derived from a forwarded one: CANCEL (RFC 3261 9.1) or ACK to a non-2xx final (17.1.1.3).  `sent` is the request
 * as it left (its own Via branch, R-URI, Routes); `reply` gives the To of an ACK, NULL for CANCEL. */
bool layout_hop(struct view sent, enum sip_method method, const struct msg *reply, struct view extra, struct arena *a, struct laid *out);
/* All pieces in one view, copied once into the arena. VIEW_NONE when full. */
struct view laid_flat(const struct laid *l, struct arena *a);

/* Where a reply to this request goes: the wire flow it came by (RFC 3261 18.2.2, RFC 3581), never an address from a PROXY header. */
void reply_target(const struct msg *request, struct target *out);
/* Where a received reply goes next, by its second Via (stateless): false when there is none or it is unusable. */
bool reply_target_via(const struct msg *reply, struct target *out);
/* Flow tokens (RFC 5626 5.2): a way back to a client as signed text, to be carried in our own Via or Record-Route. `t` is what
 * reply_target() gives; buf has FLOW_TEXT_MAX bytes. */
enum { FLOW_TEXT_MAX = 160 };
struct flow_home { struct target t; struct origin client; };   /* t.client is not set: point it at `client` where it is kept */
struct view flow_write(const struct worker *w, const struct target *t, char *buf);
/* False: not made by us, or for a socket that is gone. */
bool        flow_read(const struct worker *w, struct view text, struct flow_home *out);
/* Send our own reply statelessly (sl).  */
enum send_result msg_reply(const struct msg *request, const struct own_reply *r);
/* A deterministic To tag for stateless replies of this request (same for retransmissions). buf: 32 bytes. */
struct view reply_tag(const struct msg *request, char *buf);

/* The socket that a branch leaves by: of its bond the first member with the transport and family of the destination, else net_pick_socket. */
const struct socket_conf *core_pick_socket(const struct core_conf *c, const struct msg_route *r, const struct socket_conf *received,
	enum transport t, const struct addr *to);
/* Next hop of a branch: duri, else first of path/Route handling, else R-URI, into a question for the resolver. */
bool next_hop(const struct msg *m, const struct msg_route *r, struct resolve_ask *ask, struct sip_uri *uri);
/* Stateless forward (core function forward(), RFC 3261 16.11): resolves, lays out, sends; takes its own reference to m. */
enum send_result forward_request(struct msg *m, const struct msg_route *r);
enum send_result forward_reply(struct msg *m);
#endif
