/* base/limits.h -- policy on one screen: every size, count and time that bounds a stranger, with unit and reason. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

enum limits {
	/* messages (requirements S8) */
	MSG_MAX_BYTES          = 65535,      /* one datagram; also the stream framing bound */
	MSG_MIN_BYTES          = 20,         /* a shorter datagram cannot be SIP: dropped as noise */
	MSG_MAX_HEADERS        = 128,
	MSG_MAX_VIA            = 70,
	MSG_START_LINE_BYTES   = 8192,
	MSG_HEADER_BYTES       = 8192,       /* one header line, folded parts included */
	MSG_HEAD_BYTES         = 49152,      /* whole header section on a stream */
	URI_MAX_BYTES          = 2048,
	URI_MAX_PARAMS         = 64,
	MSG_ARENA_BYTES        = 1 << 20,    /* everything one message may allocate, its script included */
	MSG_BRANCHES           = 12,         /* OpenSIPS: 12 branches with the R-URI */
	MSG_EDITS              = 256,        /* header and body edits of one message */

	/* PROXY protocol */
	PP_V1_BYTES            = 107,        /* longest line with CRLF (specification 2.1) */
	PP_SIZE_DEFAULT        = 4096,       /* proxy_protocol_max_size */
	PP_SIZE_MAX            = 65551,      /* 16 + 65535: what the length field can say */
	PP_TIMEOUT_MS          = 5000,       /* proxy_protocol_timeout; specification: at least 3 s */
	PP_TIMEOUT_MIN_MS      = 3000,
	PP_FLOWS               = 65536,      /* UDP flows remembered per worker (first-datagram and SPP modes) */
	PP_FLOW_TTL_MS         = 60000,      /* twice the idle time of Cloudflare Spectrum */
	PP_FLOWS_PER_SENDER    = 16384,

	/* connections, per worker */
	CONN_MAX               = 65536,
	CONN_HANDSHAKE_MS      = 5000,       /* TLS + upgrade, after the PROXY header */
	CONN_CONNECT_MS        = 5000,
	CONN_IDLE_MS           = 120000,     /* tcp_connection_lifetime */
	CONN_MESSAGE_MS        = 4000,       /* tcp_max_msg_time: a message begun must end */
	CONN_STALL_MS          = 30000,      /* a peer with bytes waiting that takes none: closed, its senders told */
	CONN_DRAIN_MS          = 2000,       /* what was queued before a close may still leave */
	TLS_SESSIONS           = 4096,       /* of our own connections, kept per worker to be resumed */
	TLS_TICKET_ROTATE_MS   = 3600000,    /* a ticket key seals for so long, and opens for as long again */
	CONN_OUT_BYTES         = 1 << 20,    /* queued towards one peer; over it the sender is told, then the peer closed */
	CONN_READ_BUDGET       = 65536,      /* bytes read from one connection per turn: fairness */
	CONN_ACCEPT_BURST      = 64,
	HTTP_HEAD_BYTES        = 8192,       /* WebSocket upgrade request or answer */
	HTTP_HEADERS           = 64,         /* header lines of one such head; browsers send about 20 */

	/* loops and letters */
	INBOX_BURST            = 256,        /* letters opened per turn */
	INBOX_MAX              = 65536,      /* letters waiting; over it the message is refused and counted */
	UDP_BATCH              = 64,         /* recvmmsg / sendmmsg */
	UDP_TURNS              = 4,          /* batches read per turn and socket */
	WORKERS_MAX            = 64,
	SOCKETS_MAX            = 1024,       /* listening sockets of one configuration, port ranges expanded */

	/* transactions (RFC 3261 17, table 4) */
	TXN_T1_MS              = 500,
	TXN_T2_MS              = 4000,
	TXN_T4_MS              = 5000,
	TXN_MAX                = 1 << 19,    /* per worker: beyond it 503 with Retry-After */
	TXN_BYTES              = 1 << 30,    /* per worker, of unanswered requests, roughly: beyond it the same; a flood of long INVITEs ends here */
	TXN_WEIGHT             = 9216,       /* what an unanswered request holds besides three times its own bytes */
	TXN_RETRY_AFTER_S      = 10,
	TXN_BRANCHES           = 64,         /* of one transaction, all rounds of serial forking together */

	/* DNS */
	DNS_TIMEOUT_MS         = 5000,
	DNS_TRY_MS             = 700,        /* first try at a name server, each next twice as long; three fill DNS_TIMEOUT_MS */
	DNS_TRIES              = 3,
	DNS_UDP_BYTES          = 1232,       /* EDNS size that no path fragments */
	DNS_CANDIDATES         = 32,         /* addresses tried for one destination */
	DNS_CACHE              = 16384,      /* names per worker */
	DNS_QUERIES            = 4096,       /* in flight per worker */
	DNS_JOBS               = 65536,      /* callers waiting for them, per worker */
	DNS_JOB_QUESTIONS      = 80,         /* asked for one destination: NAPTR, SRV of each transport, both addresses of each target */
	DNS_NAME_BYTES         = 253,        /* RFC 1035 2.3.4, without the root's byte */
	DNS_TTL_MIN_MS         = 1000,       /* a TTL of 0 still serves the messages of one second */
	DNS_TTL_MAX_MS         = 86400000,
	DNS_NEGATIVE_MS        = 10000,      /* "there is no such name" is believed so long */
	DNS_FAILURE_MS         = 2000,       /* a name server that failed is left alone so long */
	DNS_STALE_MS           = 3600000,    /* a good answer outlives its TTL so long while nobody answers (RFC 8767) */
	DNS_STALE_RETRY_MS     = 30000,      /* ... and is asked again so often (RFC 8767 5) */

	/* script */
	SCRIPT_INCLUDE_DEPTH   = 50,
	SCRIPT_CALL_DEPTH      = 100,
	SCRIPT_ROUTES          = 100,        /* per type */
	SCRIPT_PARAMS          = 8,
	SCRIPT_STRING_BYTES    = 20000,      /* pv_print_buf_size */
	SCRIPT_LOOPS           = 10000,      /* max_while_loops */
	SCRIPT_STEPS           = 5000000,    /* instructions of one run: an endless script ends counted */
	SCRIPT_FILE_BYTES      = 16 << 20,
	SCRIPT_NEST            = 200,        /* depth of one expression or block nest while parsing */
	REGEX_MATCH_LIMIT      = 100000,     /* PCRE2 match limit: bounds a hostile subject */

	LOG_SITE_PER_SECOND    = 10,
	LOG_LINE_BYTES         = 8192,
};
#endif
