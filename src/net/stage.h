/* net/stage.h -- private to src/net: a worker's net, its connections, and the table behind which their layers stand
 * (design D6): tcp -> pp -> tls -> ws -> frame.  A stage reaches its neighbours only through stage_recv / stage_send. */
#ifndef NET_STAGE_H
#define NET_STAGE_H
#include "net/net.h"

enum io { IO_OK, IO_AGAIN /* nothing now; the socket will tell */, IO_EOF, IO_ERR };

struct conn;
struct stage_ops {
	const char *name;
	/* One step of the handshake.  IO_AGAIN: call again when the socket is ready.  NULL: nothing to do. */
	enum io  (*open)(struct conn *c, unsigned at);
	/* How long open() may take, in ms; 0 = no bound of its own. */
	uint32_t (*patience)(const struct conn *c);
	/* The patience is over: true if the stage can go on without what it waited for. */
	bool     (*late)(struct conn *c, unsigned at);
	/* Read up to n bytes.  *whole: these bytes end a message (stages that keep boundaries).  Bytes may come with any
	 * result.  NULL: as the stage below. */
	enum io  (*recv)(struct conn *c, unsigned at, char *p, size_t n, size_t *got, bool *whole);
	enum io  (*send)(struct conn *c, unsigned at, const struct iovec *iov, int n, size_t *sent);
	/* Bytes that go before a message of `n` bytes (at most WRAP_MAX); may change the message in place (masking).
	 * NULL: none. */
	size_t   (*wrap)(struct conn *c, unsigned at, char *head, char *message, size_t n);
	/* The connection was quiet for a while: a chance to ping. */
	void     (*quiet)(struct conn *c, unsigned at);
	/* Say goodbye (best effort) and free the state. */
	void     (*close)(struct conn *c, unsigned at, bool polite);
};
enum { STAGES_MAX = 5, WRAP_MAX = 14 };
extern const struct stage_ops stage_tcp, stage_pp, stage_tls, stage_ws, stage_frame;

/* One whole outgoing message (or control frame), wrapped, waiting for the kernel. */
struct chunk {
	struct chunk *next;
	struct ref    report;
	uint32_t      n, off;          /* bytes, and how many of them have left */
	char          data[];
};

struct conn {
	struct net *net;
	struct ref  ref;
	int         fd;
	uint8_t     at, stages;        /* next stage to open; number of stages */
	bool        paused, closing, want_out, drained, queued, hung, half_ping;
	const struct stage_ops *const *ops;
	void       *state[STAGES_MAX];
	struct loop_io io;
	struct timer   timer;
	uint64_t       began_ms;       /* of the stage that is opening */
	uint64_t       active_ms, progress_ms;        /* last byte in, last byte out */
	uint64_t       message_ms, pinged_ms;         /* begin of an unfinished message, 0 = none; last ping of ours */
	struct origin  origin;         /* of every message that comes in here */
	struct chunk  *out, *out_last;
	size_t         out_bytes;
	char          *rx;             /* bytes of an unfinished message; NULL when there are none */
	uint32_t       rx_n, rx_cap;
	size_t         scan;
	struct list    flush_node, again_node, all_node;
	struct table_node by_peer, by_key;
	bool           in_peers, in_keys;
	char          *key;            /* pool key, outgoing connections only */
	uint32_t       key_n;
	enum send_result failed;       /* why it dies, for those who wait */
	enum net_counter why;          /* NETC_COUNT = no counter of its own */
	struct view    header;         /* PROXY header to announce; inside `key` */
	struct view    sni, tls_domain;/* inside `key` */
};

struct udp_sock;
struct listener;
struct sessions;
struct tls_worker;

struct net {
	struct loop             *loop;
	uint16_t                 id;
	const struct net_conf   *conf;
	struct net_events        ev;
	struct net_peers        *peers;
	struct hash_key          key;
	uint64_t                 masks;      /* WebSocket masks made so far */
	struct net_counts        counts;
	struct slots             conns;
	uint32_t                 live;
	struct list              all, flush, again, due, udp_flush;
	struct table             by_peer, by_key;
	struct udp_sock        **udp;        /* by socket index, NULL where not UDP */
	struct listener        **listeners;
	struct udp_flows        *flows;
	struct tls_store        *store;      /* what handshakes use now */
	struct tls_worker       *tls;
	struct ws_spare         *ws_spare;
	struct list              reports;    /* failures to tell outside net_send */
	struct loop_hook         hook;
	char                    *scratch;    /* SCRATCH_BYTES: reads of connections without an unfinished message */
	struct udp_rx           *udp_rx;     /* room for a batch of datagrams */
	bool                     ending, opening_parcel;
};
enum { SCRATCH_BYTES = 65536 };

static inline void net_count(struct net *n, enum net_counter c) { tally_add(&n->counts.c[c], 1); }
static inline uint64_t net_now(const struct net *n) { return n->loop->now_ms; }

/* ---- conn.c ---- */
/* A connection over a connected (or connecting) socket; takes the fd.  NULL when the limit is reached (fd closed). */
struct conn *conn_new(struct net *n, int fd, const struct socket_conf *s, enum transport t, bool outbound,
	const struct addr *remote, const struct addr *local);
void         conn_start(struct conn *c);                       /* first step of its handshake */
/* Destroy at once; only from the top of a handler, never from inside a stage or a callback. */
void         conn_kill(struct conn *c);
/* Note why it will die (first reason wins) and have it killed at the end of the turn. */
void         conn_fail(struct conn *c, enum net_counter why, enum send_result to_senders);
/* Queue one message; wraps it.  SEND_OK, SEND_FULL, SEND_ERROR (memory). */
enum send_result conn_queue(struct conn *c, const struct iovec *iov, int niov, size_t n, struct ref report);
/* Queue bytes as they are (control frames). */
bool         conn_queue_raw(struct conn *c, const void *p, size_t n);
enum io      conn_flush(struct conn *c);
void         conn_touch(struct conn *c);                       /* recompute deadline and event mask */
void         conn_again(struct conn *c);                       /* read on at the next turn without waiting for the socket */
void         conn_soon(struct conn *c);                        /* take it up at the end of this turn */
void         conn_run_lists(struct net *n);                    /* end of turn: flush, bury */
struct conn *conn_of(struct net *n, struct ref r);             /* NULL: gone or closing */
static inline bool conn_is_open(const struct conn *c) { return c->at == c->stages; }

enum io stage_recv(struct conn *c, unsigned at, char *p, size_t n, size_t *got, bool *whole);
enum io stage_send(struct conn *c, unsigned at, const struct iovec *iov, int n, size_t *sent);

/* ---- stage_frame.c ---- */
void frame_pump(struct conn *c);

/* ---- stage_pp.c ---- */
/* What a listener expects from a sender (design section 3). */
enum pp_expect { PP_EXPECT_REFUSE_SENDER, PP_EXPECT_HEADER, PP_EXPECT_MAYBE, PP_EXPECT_NONE };
struct pp_verdict { enum pp_expect expect; bool trusted; enum net_counter unwanted; /* counter for a header that must not be */ };
struct pp_verdict pp_policy(const struct socket_conf *s, const struct addr *from);

/* ---- stage_ws.c ---- */
void ws_spare_free(struct net *n);

/* ---- origin.c ---- */
/* Facts with room for `n` header bytes; one reference. NULL without memory. */
struct facts *facts_new(struct view pp_bytes);
/* Decode the header that `f` holds and make it the origin's, whose facts it becomes (the reference moves). */
void          origin_take_pp(struct origin *o, struct facts *f, unsigned accept, bool trusted);
void          origin_real(struct origin *o);                   /* set real_* from o->facts */

/* ---- header.c ---- */
enum { HEADER_MAX = 1536 };
/* The PROXY header that a send to `t` carries, written to `buf` (HEADER_MAX); empty when none. */
struct view header_for(const struct target *t, char *buf);
/* ---- pool.c ---- */
enum send_result pool_send(struct net *n, const struct target *t, const struct iovec *iov, int niov, size_t total, struct ref report);
void             pool_add_peer(struct conn *c);
void             pool_forget(struct conn *c);

/* ---- report.c (letters too) ---- */
void             net_report(struct net *n, struct ref report, enum send_result why);   /* told at the end of the turn, here or elsewhere */
void             report_run(struct net *n);
/* Ask the worker that owns a connection to do something with it.  False when it cannot be asked. */
enum order { ORDER_CLOSE, ORDER_RESUME };
bool             letter_order(struct net *n, struct ref conn, enum order what);
/* Hand the whole send to another worker. */
enum send_result letter_send(struct net *n, uint16_t worker, const struct target *t, const struct iovec *iov, int niov, size_t total, struct ref report);

/* ---- listener.c ---- */
struct listener *listener_open(struct net *n, const struct socket_conf *s, struct out *err);
void             listener_close(struct listener *l);
/* A bound socket for one configured address: SO_REUSEPORT and the rest.  -1 with a sentence in err. */
int              socket_open(const struct net_conf *nc, const struct socket_conf *s, int type, struct out *err);
void             socket_stream_options(const struct net_conf *nc, const struct socket_conf *s, int fd);

/* ---- udp.c ---- */
struct udp_sock *udp_open(struct net *n, const struct socket_conf *s, struct out *err);
void             udp_close(struct udp_sock *u);
enum send_result udp_send(struct net *n, const struct target *t, const struct iovec *iov, int niov, size_t total, struct ref report);
void             udp_flush(struct udp_sock *u);
void             udp_flush_all(struct net *n);
void             udp_rx_free(struct net *n);

/* ---- udp_flow.c ---- */
struct udp_flows *udp_flows_new(struct net *n);
void              udp_flows_free(struct udp_flows *f);
/* Remember (or renew) what the header of a flow's first datagram said.  False when the memory is full. */
bool              udp_flow_learn(struct udp_flows *f, const struct socket_conf *s, const struct addr *from, struct facts *facts);
/* The facts of a flow, borrowed, and renewed; NULL when unknown or expired. */
struct facts     *udp_flow_find(struct udp_flows *f, const struct socket_conf *s, const struct addr *from);
/* Addresses we sent to lately, shared by all workers: a response may come in on any of them (SO_REUSEPORT). */
void              sent_note(struct net *n, const struct addr *to);
bool              sent_lately(struct net *n, const struct addr *to);

/* ---- stage_tls.c, tls_facts.c (what needs OpenSSL's types stands in net/tls.h) ---- */
struct tls_worker *tls_worker_new(struct net *n);      /* client sessions to resume; NULL without memory */
void               tls_worker_free(struct tls_worker *w);
void               tls_facts_free(struct tls_facts *t);
/* Facts for the SSL TLV; views live as long as the facts. */
void               tls_facts_pp(const struct tls_facts *t, struct pp_ssl_out *out);
#endif
