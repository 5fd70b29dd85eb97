/* wire/sip/sip.h -- SIP messages: bytes in, an index of views out; RFC 3261 sections 7, 19, 20, 25.
 * Pure: no I/O, no clock, no allocation, no logging.  Every view points into the caller's bytes and lives as long as they.
 * Lenient where RFC 4475 calls a message valid, strict where it calls it invalid; framing is always strict. */
#ifndef WIRE_SIP_H
#define WIRE_SIP_H
#include "base/base.h"

/* ---- vocabulary ---------------------------------------------------------------------------------------------- */

enum sip_method { SIP_INVITE = 1, SIP_CANCEL = 2, SIP_ACK = 4, SIP_BYE = 8, SIP_INFO = 16, SIP_OPTIONS = 32, SIP_UPDATE = 64,
	SIP_REGISTER = 128, SIP_MESSAGE = 256, SIP_SUBSCRIBE = 512, SIP_NOTIFY = 1024, SIP_PRACK = 2048, SIP_REFER = 4096,
	SIP_PUBLISH = 8192, SIP_OTHER = 16384 };   /* the bit values OpenSIPS shows as the integer of $rm */
enum sip_method sip_method_of(struct view v);              /* case-sensitive, RFC 3261 7.1 */

/* A header by its name; HDR_OTHER for one that headers.def does not list. */
enum sip_hdr_id {
#define H(id, name, compact, list, single) HDR_##id,
#include "wire/sip/headers.def"
#undef H
	HDR_COUNT, HDR_OTHER = 0xff
};
/* Id of a header name in long or compact form, any case, already trimmed; HDR_OTHER when unknown. */
enum sip_hdr_id sip_hdr_id(struct view name);
struct view     sip_hdr_name(enum sip_hdr_id id);           /* canonical long name */

/* Why a message is not acceptable, with the answer it gets.  F(ID, status or 0 = drop, "text for the reason phrase and counters") */
#define SIP_FAULTS(F) \
	F(NONE,            0,   "fine") \
	F(NOT_SIP,         0,   "not a SIP start line") \
	F(BAD_START_LINE,  400, "bad request line") \
	F(BAD_VERSION,     505, "version not supported") \
	F(BAD_STATUS,      0,   "bad status line") \
	F(BAD_URI,         400, "bad request URI") \
	F(BAD_SCHEME,      416, "unsupported URI scheme") \
	F(BAD_HEADER,      400, "malformed header line") \
	F(BAD_BYTE,        400, "control byte in the header section") \
	F(TOO_MANY,        400, "too many headers") \
	F(TOO_LONG,        513, "message too large") \
	F(URI_TOO_LONG,    414, "request URI too long") \
	F(NO_HEAD_END,     400, "header section does not end") \
	F(NO_VIA,          0,   "no Via") \
	F(BAD_VIA,         400, "bad Via") \
	F(MISSING,         400, "mandatory header missing") \
	F(DUPLICATE,       400, "header repeated that may appear once") \
	F(BAD_CSEQ,        400, "bad CSeq") \
	F(CSEQ_METHOD,     400, "CSeq method differs from request method") \
	F(BAD_FROM_TO,     400, "bad From or To") \
	F(BAD_CALL_ID,     400, "bad Call-ID") \
	F(BAD_CONTACT,     400, "bad Contact") \
	F(BAD_MAX_FORWARDS,400, "bad Max-Forwards") \
	F(BAD_NUMBER,      400, "number out of range") \
	F(BAD_LENGTH,      400, "bad Content-Length") \
	F(NO_LENGTH,       400, "no Content-Length on a stream") \
	F(SHORT_BODY,      400, "body shorter than Content-Length")
enum sip_fault {
#define F(id, status, text) SIP_FAULT_##id,
	SIP_FAULTS(F)
#undef F
	SIP_FAULT_COUNT
};
uint16_t    sip_fault_status(enum sip_fault f);             /* the response code; 0 = drop silently */
struct view sip_fault_text(enum sip_fault f);
struct view sip_reason_phrase(uint16_t status);             /* "OK" for 200 ...; "Unknown" for strangers (RFC 3261 21) */

/* ---- decoded values ------------------------------------------------------------------------------------------ */

/* Decoded; the input ends first (or a list is used up); malformed. */
enum sip_status { SIP_OK, SIP_MORE, SIP_BAD };

/* SCHEME_OTHER: well formed, and nothing viaduct routes by itself. */
enum sip_scheme { SCHEME_SIP, SCHEME_SIPS, SCHEME_TEL, SCHEME_URN, SCHEME_OTHER };
struct sip_uri {
	struct view     whole, scheme_text;
	enum sip_scheme scheme;
	struct view     user, password, host, port_text, params, headers;  /* params without the first ';', headers without '?' */
	uint16_t        port;                      /* 0 = absent */
	struct view     transport, maddr, method, ttl, user_param, r2;     /* values of well-known parameters; empty = absent */
	bool            lr, gr, has_password;
};

/* A value of From, To, Contact, Route, Record-Route, Path, ...: name-addr or addr-spec with header parameters. */
struct sip_nameaddr {
	struct view whole;       /* this element, trimmed */
	struct view display;     /* as written, quotes included */
	struct view uri;         /* without <> */
	struct view params;      /* after the first ';', trimmed; empty = none */
	bool        brackets, star;   /* star: Contact: * */
};

struct sip_via {
	struct view    whole;            /* this element, trimmed */
	struct view    protocol;         /* "SIP/2.0" part before the transport */
	struct view    transport_text, host, port_text, params, branch, received, maddr, rport_text, ttl, alias, i, comment;
	enum transport transport;        /* TR_NONE: unknown */
	uint16_t       port, rport;      /* 0 = absent */
	bool           has_rport, has_alias;
};

/* ---- the message --------------------------------------------------------------------------------------------- */

/* Ends a chain of headers: no such index. */
enum { SIP_NO_HDR = 0xffff };
struct sip_hdr {
	struct view name;        /* as written, trimmed */
	struct view value;       /* trimmed; may hold folds (CRLF SP), which every decoder here treats as blanks */
	struct view line;        /* the whole line with its folds and final CRLF */
	uint16_t    next_same;   /* index of the next header of the same id, or SIP_NO_HDR (also chains HDR_OTHER) */
	uint8_t     id;
};

struct sip_msg {                       /* never changes after sip_parse() (design D2) */
	struct view     bytes;         /* the whole message, body end included */
	struct view     start_line;    /* with CRLF */
	struct view     method, ruri;  /* requests */
	struct view     reason;        /* responses */
	struct view     head;          /* header section after the start line, up to but without the empty line */
	struct view     body;          /* cut to Content-Length */
	uint16_t        status;        /* 0 = request */
	uint16_t        nhdr;
	enum sip_method method_id;     /* of a response: from CSeq */
	uint16_t        first[HDR_COUNT], last[HDR_COUNT];   /* index into hdr, or SIP_NO_HDR */
	uint16_t        first_other;
	struct sip_hdr *hdr;           /* in wire order */
	uint32_t        cseq;
	struct view     cseq_method;
	struct view     call_id, from_tag, to_tag;    /* empty when absent */
	/* Seen on the way to the tags; sip_validate() judges it. */
	struct view     from_uri, to_uri;
	bool            from_ok, to_ok;               /* sip_from(), sip_to() would succeed */
	bool            tag_twice;                    /* in From or in To */
};
static inline bool sip_is_request(const struct sip_msg *m) { return m->status == 0; }
/* First header of an id, or NULL. */
static inline const struct sip_hdr *sip_first(const struct sip_msg *m, enum sip_hdr_id id)
{
	return m->first[id] == SIP_NO_HDR ? NULL : &m->hdr[m->first[id]];
}
static inline const struct sip_hdr *sip_next(const struct sip_msg *m, const struct sip_hdr *h)
{
	return h->next_same == SIP_NO_HDR ? NULL : &m->hdr[h->next_same];
}
/* First header with that name (any form, any case) at or after index `from`; its index, or SIP_NO_HDR. */
uint16_t sip_find(const struct sip_msg *m, struct view name, uint16_t from);

/* Index one complete message (a datagram, or what sip_frame() cut).  `space` holds `cap` headers and must outlive *out.
 * `stream`: Content-Length is mandatory and must be exact; else a body longer than Content-Length is cut, a shorter one a fault.
 * Header-syntax, start line, numbers, duplicates and CSeq are judged.  On a fault *out is filled as far as it goes, so that an
 * answer can be built when Via, From, To, Call-ID and CSeq were found (sip_answerable). */
enum sip_fault sip_parse(struct view bytes, bool stream, struct sip_hdr *space, size_t cap, struct sip_msg *out);
/* The deeper check of a parsed request or response: mandatory headers, every Via, From, To, Contact, R-URI, Max-Forwards,
 * Expires and Content-Type decode.  Run once, before a message enters the script. */
enum sip_fault sip_validate(const struct sip_msg *m);
/* The same for who has decoded the top Via (sip_top_via) and the request URI (sip_uri_parse of m->ruri) already.  NULL: does not
 * decode; a response needs no `ruri`. */
enum sip_fault sip_validate_decoded(const struct sip_msg *m, const struct sip_via *top, const struct sip_uri *ruri);
/* A request (not an ACK) that holds what an answer must echo: Via, From, To, Call-ID, CSeq.  They need not decode; a Via that
 * does not is echoed as it is, and the answer goes to where the bytes came from. */
bool           sip_answerable(const struct sip_msg *m);

/* ---- framing and peeking -------------------------------------------------------------------------------------- */

enum sip_frame_kind { SIP_FRAME_MESSAGE, SIP_FRAME_PING /* CRLFCRLF, RFC 5626 3.5.1 */, SIP_FRAME_CRLF /* single: a pong, or noise */ };
struct sip_frame { enum sip_frame_kind kind; size_t used; enum sip_fault why; };
/* What stands at the start of a stream's bytes.  *scan (0 for a new frame) remembers how far the search for the end of the
 * header section came, so that a message arriving byte by byte costs linear time.
 *   SIP_OK    out->kind and out->used; the message is in[0..used).  Start the next frame with *scan = 0.
 *             A lone CRLF is given out at once (a pong must not wait), so a ping cut between its CRLFs shows as two CRLF frames.
 *   SIP_MORE  a valid prefix so far
 *   SIP_BAD   out->why; answer 400 if the head is complete (in[0..used) is then the head, else used is 0), then close: no later
 *             byte of this connection may be read as SIP (requirements S3) */
enum sip_status sip_frame(struct view in, size_t max, size_t *scan, struct sip_frame *out);

struct sip_peek { bool response; struct view branch, call_id, method /* CSeq method of a response */; };
/* Bounded scan for what dispatch needs: request or response, branch of the top Via, Call-ID.  False when there is no SIP
 * start line or no Call-ID. */
bool sip_peek(struct view in, struct sip_peek *out);

/* ---- values ---------------------------------------------------------------------------------------------------- */

/* The address a host of a URI or a Via spells: IPv4, or IPv6 in brackets ("[2001:db8:::192.0.2.1]" with three colons is read
 * as two, RFC 5118 4.10).  False for a name; `host` views of this room keep their brackets. */
bool sip_host_ip(struct view host, struct addr *out);
/* Whole view must be a URI.  Any scheme is accepted; for tel: and others `user` holds the opaque part (tel: without params). */
bool sip_uri_parse(struct view v, struct sip_uri *out);
/* RFC 3261 19.1.4. */
bool sip_uri_same(const struct sip_uri *a, const struct sip_uri *b);
/* `v` with %HH decoded into `out` (cap bytes); false when it does not fit or an escape is malformed. */
bool sip_unescape(struct view v, struct out *out);

/* Next element of a comma list; *rest moves on.  SIP_OK, SIP_BAD (malformed), or SIP_MORE when *rest is empty. */
enum sip_status sip_nameaddr_next(struct view *rest, struct sip_nameaddr *out);

enum sip_status sip_via_next(struct view *rest, struct sip_via *out);     /* as sip_nameaddr_next */

/* Walk ";name=value;flag" without the first ';'.  False at the end.  Quoted values come with their quotes. */
bool sip_param_next(struct view *rest, struct view *name, struct view *value);
/* Value of a parameter, any case; true with an empty value for a flag.  */
bool sip_param(struct view params, struct view name, struct view *value);
/* Next element of a comma-separated header value (quotes and <> respected), trimmed; false at the end. */
bool sip_list_next(struct view *rest, struct view *item);
bool sip_cseq_parse(struct view v, uint32_t *number, struct view *method);
bool sip_token(struct view v);                              /* RFC 3261 25.1 token, not empty */
/* Unfold: copy with CRLF and following blanks as one SP. */
void sip_unfold(struct view v, struct out *out);

/* Walk every element of every header of an id, top to bottom (Via, Route, Contact over several lines). */
struct sip_walk { const struct sip_msg *m; const struct sip_hdr *h; struct view rest; };
struct sip_walk sip_walk(const struct sip_msg *m, enum sip_hdr_id id);
/* As the _next functions; *hdr (may be NULL) is the header the element stands in. */
enum sip_status sip_walk_nameaddr(struct sip_walk *w, struct sip_nameaddr *out, const struct sip_hdr **hdr);
enum sip_status sip_walk_via(struct sip_walk *w, struct sip_via *out, const struct sip_hdr **hdr);
/* Top Via / From / To decoded; false when absent or malformed. */
bool sip_top_via(const struct sip_msg *m, struct sip_via *out);
bool sip_from(const struct sip_msg *m, struct sip_nameaddr *out);
bool sip_to(const struct sip_msg *m, struct sip_nameaddr *out);
#endif
