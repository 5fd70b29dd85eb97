/* wire/httphead/httphead.h -- the head of an HTTP/1.1 message, strictly, and the WebSocket opening handshake in both roles
 * (RFC 6455 section 4, RFC 7118 for the subprotocol "sip").
 * Pure: no I/O, no clock, no allocation, no logging.  Views point into the caller's bytes and live as long as they do. */
#ifndef WIRE_HTTPHEAD_H
#define WIRE_HTTPHEAD_H
#include "base/fmt.h"
#include "base/limits.h"
#include "base/view.h"

/* The outcomes of a parser; see http_parse_request. */
enum http_status { HTTP_OK, HTTP_MORE, HTTP_BAD };

/* Why a head was refused: enumerator, counter name, status to answer a request with. */
#define HTTP_REJECTS(X) \
	X(BAD_METHOD,       "bad_method",       400) \
	X(BAD_TARGET,       "bad_target",       400) \
	X(BAD_VERSION,      "bad_version",      505) \
	X(BAD_STATUS,       "bad_status",       400) \
	X(BAD_LINE_END,     "bad_line_end",     400) \
	X(BAD_NAME,         "bad_name",         400) \
	X(BAD_VALUE,        "bad_value",        400) \
	X(FOLDED,           "folded",           400) \
	X(TOO_MANY_HEADERS, "too_many_headers", 431) \
	X(TOO_LARGE,        "too_large",        431)
#define HTTP_REJECT_ENUM_(id, name, status) HTTP_REJ_##id,
/* HTTP_REJ_NONE is no refusal. */
enum http_reject { HTTP_REJ_NONE, HTTP_REJECTS(HTTP_REJECT_ENUM_) HTTP_REJ_COUNT };
#undef HTTP_REJECT_ENUM_

/* Counter name of a reason; "none" for HTTP_REJ_NONE. */
struct view http_reject_name(enum http_reject why);

/* One header line. */
struct http_header { struct view name, value; };     /* value without white space around it; may be empty */
/* A parsed head; large: keep it on the stack of one call, not in a connection. */
struct http_head {
	struct view        method, target;           /* request; empty in a response */
	uint16_t           status;                   /* response, 100..999; 0 in a request */
	struct view        reason;                   /* response; may be empty */
	uint8_t            minor;                    /* HTTP/1.minor */
	size_t             n;
	struct http_header header[HTTP_HEADERS];
};

/* Parse the head at the start of `in`: CR LF line ends only, token names, no white space before the colon, no obs-fold, no
 * control bytes (RFC 9112 sections 2-5).
 *   HTTP_OK    *out filled, *used = length with the empty line; what follows is the caller's
 *   HTTP_MORE  a valid prefix; impossible once in.n >= max_size
 *   HTTP_BAD   *why says which rule is broken
 * *out is unspecified unless HTTP_OK; *used is written only then; *why always. */
enum http_status http_parse_request(struct view in, size_t max_size, struct http_head *out, size_t *used, enum http_reject *why);
enum http_status http_parse_response(struct view in, size_t max_size, struct http_head *out, size_t *used, enum http_reject *why);

/* Value of the only header of that name (any case).  False when it is absent or there is more than one. */
bool   http_only(const struct http_head *h, struct view name, struct view *value);
/* How many headers of that name there are. */
size_t http_count(const struct http_head *h, struct view name);
/* True if the comma-separated list of all headers of that name holds the token; `fold` compares in any case. */
bool   http_lists(const struct http_head *h, struct view name, struct view token, bool fold);

/* ---- server side of the opening handshake ---- */

/* Why an upgrade is refused: enumerator, counter name, status, text of the answer's body. */
#define WS_REFUSALS(X) \
	X(NOT_GET,        "not_get",        405, "only GET opens a WebSocket") \
	X(OLD_HTTP,       "old_http",       400, "HTTP/1.1 is required") \
	X(BAD_HOST,       "bad_host",       400, "exactly one Host is required") \
	X(HAS_BODY,       "has_body",       400, "an opening handshake has no body") \
	X(NO_UPGRADE,     "no_upgrade",     426, "this port speaks SIP over WebSocket") \
	X(NO_CONNECTION,  "no_connection",  400, "Connection does not list Upgrade") \
	X(BAD_WS_VERSION, "bad_ws_version", 426, "WebSocket version 13 is required") \
	X(BAD_KEY,        "bad_key",        400, "Sec-WebSocket-Key is not 16 bytes in base64") \
	X(NO_SIP,         "no_sip",         400, "subprotocol sip is not offered") \
	X(NO_ORIGIN,      "no_origin",      403, "Origin is required") \
	X(BAD_ORIGIN,     "bad_origin",     403, "Origin is not allowed")
#define WS_REFUSAL_ENUM_(id, name, status, text) WS_REF_##id,
/* WS_UPGRADE is no refusal. */
enum ws_refusal { WS_UPGRADE, WS_REFUSALS(WS_REFUSAL_ENUM_) WS_REF_COUNT };
#undef WS_REFUSAL_ENUM_

/* Counter name ("bad_origin"; WS_UPGRADE is "upgrade") and HTTP status (101 for WS_UPGRADE). */
struct view ws_refusal_name(enum ws_refusal why);
unsigned    ws_refusal_status(enum ws_refusal why);

/* Who may open a WebSocket from a page.  A pattern is [scheme://]host[:port], compared in any case:
 *   https://app.example.org       that origin only (a browser leaves the scheme's own port out)
 *   app.example.org               any scheme and port of that host
 *   *.example.org                 any host below example.org, not itself; also behind a scheme
 *   null, *                       the opaque origin; any origin at all
 * Without patterns every origin may. */
struct ws_policy {
	const struct view *origins;
	size_t             n;
	bool               require_origin;    /* also refuse clients that send none (only browsers must) */
};
/* One Origin value against one pattern. */
bool ws_origin_matches(struct view origin, struct view pattern);

/* What an acceptable request brings. */
struct ws_offer { struct view key, host, origin, target; };    /* origin may be empty */

/* Judge a parsed request.  WS_UPGRADE fills *offer; otherwise *offer is untouched.  A plain GET (a browser, a probe) comes
 * out as WS_REF_NO_UPGRADE. */
enum ws_refusal ws_check_request(const struct http_head *h, const struct ws_policy *policy, struct ws_offer *offer);

/* ---- keys; RFC 6455 sections 4.1 and 4.2.2 ---- */

/* Lengths of Sec-WebSocket-Key and Sec-WebSocket-Accept, always the same. */
enum { WS_KEY_BYTES = 24, WS_ACCEPT_BYTES = 28 };
/* SHA-1 of `in`; it belongs to the TLS library, not to this room. */
typedef void ws_sha1(struct view in, uint8_t digest[20]);
/* The answer to a key of WS_KEY_BYTES. */
void ws_accept(struct view key, ws_sha1 *sha1, char out[WS_ACCEPT_BYTES]);
/* A key from fresh random bytes. */
void ws_key(const uint8_t nonce[16], char out[WS_KEY_BYTES]);

/* ---- writing; each false, with nothing written, when it does not fit ---- */

/* Room for any answer below. */
enum { WS_ANSWER_BYTES = 512 };
/* 101 with subprotocol sip. */
bool ws_write_upgrade(struct out *o, const char accept[WS_ACCEPT_BYTES]);
/* The refusal's status, Connection: close, and its text as body. */
bool ws_write_refusal(struct out *o, enum ws_refusal why);
/* The same for a head that did not parse. */
bool http_write_reject(struct out *o, enum http_reject why);
/* The client's request.  `host` as it goes into Host (IPv6 in brackets, port unless default), `target` begins with '/',
 * `origin` may be empty.  Also false when one of them holds a byte that cannot stand there. */
bool ws_write_request(struct out *o, struct view host, struct view target, struct view origin, const char key[WS_KEY_BYTES]);

/* ---- client side ---- */

/* Why an answer does not open the connection: enumerator, counter name. */
#define WS_FAILURES(X) \
	X(STATUS,     "status")          /* anything but 101: see http_head.status */ \
	X(OLD_HTTP,   "old_http") \
	X(UPGRADE,    "upgrade")         /* Upgrade or Connection missing or wrong */ \
	X(ACCEPT,     "accept")          /* Sec-WebSocket-Accept does not belong to our key */ \
	X(PROTOCOL,   "protocol")        /* not exactly "sip", RFC 7118 section 4 */ \
	X(EXTENSIONS, "extensions")      /* none were offered */
#define WS_FAILURE_ENUM_(id, name) WS_FAIL_##id,
/* WS_OPEN is no failure. */
enum ws_failure { WS_OPEN, WS_FAILURES(WS_FAILURE_ENUM_) WS_FAIL_COUNT };
#undef WS_FAILURE_ENUM_
/* Counter name; WS_OPEN is "open". */
struct view ws_failure_name(enum ws_failure why);

/* Judge the parsed answer to our request; `accept` is ws_accept() of the key we sent. */
enum ws_failure ws_check_answer(const struct http_head *h, const char accept[WS_ACCEPT_BYTES]);
#endif
