/* wire/httphead/websocket.c -- the opening handshake, judged and written. */
#include "wire/httphead/httphead.h"
#include "base/base.h"

static const char base64_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* RFC 4648 section 4; `out` takes 4 bytes for every 3 begun. */
static void base64(const uint8_t *in, size_t n, char *out)
{
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)in[i] << 16;
		if (i + 1 < n)
			v |= (uint32_t)in[i + 1] << 8;
		if (i + 2 < n)
			v |= in[i + 2];
		*out++ = base64_alphabet[v >> 18];
		*out++ = base64_alphabet[v >> 12 & 63];
		*out++ = i + 1 < n ? base64_alphabet[v >> 6 & 63] : '=';
		*out++ = i + 2 < n ? base64_alphabet[v & 63] : '=';
	}
}

void ws_key(const uint8_t nonce[16], char out[WS_KEY_BYTES])
{
	base64(nonce, 16, out);
}

/* RFC 6455 section 4.2.2 item 5.4. */
void ws_accept(struct view key, ws_sha1 *sha1, char out[WS_ACCEPT_BYTES])
{
	char room[WS_KEY_BYTES + 36];
	struct out o = out_to(room, sizeof room);
	uint8_t digest[20];

	put(&o, key);
	put(&o, VIEW("258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
	must(!o.full);                                           /* the key was checked, or is ours */
	sha1(out_view(&o), digest);
	base64(digest, sizeof digest, out);
}

static bool key_is_sound(struct view key)
{
	if (key.n != WS_KEY_BYTES || key.p[22] != '=' || key.p[23] != '=')
		return false;
	for (size_t i = 0; i < 22; i++)
		if (!key.p[i] || !strchr(base64_alphabet, key.p[i]))
			return false;
	return true;
}

/* ---- origins ---- */

struct origin_text { struct view scheme, host, port; bool has_scheme, has_port; };

/* [scheme://]host[:port]; RFC 6454 section 6.2.  The host may be an IPv6 address in brackets. */
static struct origin_text origin_split(struct view v)
{
	struct origin_text t = { .host = v };
	size_t at = view_find_view(v, VIEW("://"));

	if (at < v.n) {
		t.has_scheme = true;
		t.scheme = view_sub(v, 0, at);
		t.host = view_from(v, at + 3);
	}
	size_t bracket = view_find(t.host, ']');
	size_t search = bracket < t.host.n ? bracket : 0;
	size_t colon = search + view_find(view_from(t.host, search), ':');
	if (colon < t.host.n) {
		t.has_port = true;
		t.port = view_from(t.host, colon + 1);
		t.host.n = colon;
	}
	return t;
}

static bool host_matches(struct view host, struct view pattern)
{
	if (!view_starts(pattern, VIEW("*.")))
		return view_is_ci(host, pattern);
	struct view tail = view_from(pattern, 1);                /* with its dot */
	return host.n > tail.n && view_is_ci(view_from(host, host.n - tail.n), tail);
}

bool ws_origin_matches(struct view origin, struct view pattern)
{
	if (view_is(pattern, VIEW("*")) || view_is_ci(origin, pattern))
		return true;
	struct origin_text o = origin_split(origin), p = origin_split(pattern);
	if (!o.has_scheme || !host_matches(o.host, p.host))
		return false;
	if (p.has_scheme && !view_is_ci(o.scheme, p.scheme))
		return false;
	if (p.has_scheme || p.has_port)
		return o.has_port == p.has_port && view_is(o.port, p.port);
	return true;
}

static enum ws_refusal origin_check(const struct http_head *h, const struct ws_policy *policy, struct view *origin)
{
	*origin = VIEW_NONE;
	if (http_count(h, VIEW("Origin")) == 0)
		return policy->require_origin ? WS_REF_NO_ORIGIN : WS_UPGRADE;
	if (!http_only(h, VIEW("Origin"), origin) || origin->n == 0)
		return WS_REF_BAD_ORIGIN;
	for (size_t i = 0; i < policy->n; i++)
		if (ws_origin_matches(*origin, policy->origins[i]))
			return WS_UPGRADE;
	return policy->n ? WS_REF_BAD_ORIGIN : WS_UPGRADE;
}

/* ---- server ---- */

static bool has_body(const struct http_head *h)
{
	struct view v;

	if (http_count(h, VIEW("Transfer-Encoding")))
		return true;
	return http_count(h, VIEW("Content-Length")) && (!http_only(h, VIEW("Content-Length"), &v) || !view_is(v, VIEW("0")));
}

enum ws_refusal ws_check_request(const struct http_head *h, const struct ws_policy *policy, struct ws_offer *offer)
{
	struct ws_offer o = { .target = h->target };
	struct view v;

	/* RFC 6455 section 4.2.1, in an order that tells a person with a browser the most useful thing first. */
	if (!view_is(h->method, VIEW("GET")))
		return WS_REF_NOT_GET;
	if (has_body(h))
		return WS_REF_HAS_BODY;
	if (!http_lists(h, VIEW("Upgrade"), VIEW("websocket"), true))
		return WS_REF_NO_UPGRADE;
	if (h->minor < 1)
		return WS_REF_OLD_HTTP;
	if (!http_only(h, VIEW("Host"), &o.host) || o.host.n == 0)
		return WS_REF_BAD_HOST;
	if (!http_lists(h, VIEW("Connection"), VIEW("upgrade"), true))
		return WS_REF_NO_CONNECTION;
	if (!http_only(h, VIEW("Sec-WebSocket-Version"), &v) || !view_is(v, VIEW("13")))
		return WS_REF_BAD_WS_VERSION;
	if (!http_only(h, VIEW("Sec-WebSocket-Key"), &o.key) || !key_is_sound(o.key))
		return WS_REF_BAD_KEY;
	enum ws_refusal r = origin_check(h, policy, &o.origin);
	if (r != WS_UPGRADE)
		return r;
	if (!http_lists(h, VIEW("Sec-WebSocket-Protocol"), VIEW("sip"), false))
		return WS_REF_NO_SIP;
	*offer = o;
	return WS_UPGRADE;
}

#define REFUSAL_ROW_(id, name, status, text) [WS_REF_##id] = { VIEW_INIT(name), VIEW_INIT(text), status },
static const struct { struct view name, text; uint16_t status; } refusals[WS_REF_COUNT] = {
	[WS_UPGRADE] = { VIEW_INIT("upgrade"), VIEW_INIT(""), 101 },
	WS_REFUSALS(REFUSAL_ROW_)
};
#undef REFUSAL_ROW_

struct view ws_refusal_name(enum ws_refusal why)
{
	must(why < WS_REF_COUNT);
	return refusals[why].name;
}

unsigned ws_refusal_status(enum ws_refusal why)
{
	must(why < WS_REF_COUNT);
	return refusals[why].status;
}

#define REJECT_ROW_(id, name, status) [HTTP_REJ_##id] = { VIEW_INIT(name), status },
static const struct { struct view name; uint16_t status; } rejects[HTTP_REJ_COUNT] = {
	[HTTP_REJ_NONE] = { VIEW_INIT("none"), 400 },
	HTTP_REJECTS(REJECT_ROW_)
};
#undef REJECT_ROW_

struct view http_reject_name(enum http_reject why)
{
	must(why < HTTP_REJ_COUNT);
	return rejects[why].name;
}

/* ---- client ---- */

#define FAILURE_ROW_(id, name) [WS_FAIL_##id] = VIEW_INIT(name),
static const struct view failures[WS_FAIL_COUNT] = { [WS_OPEN] = VIEW_INIT("open"), WS_FAILURES(FAILURE_ROW_) };
#undef FAILURE_ROW_

struct view ws_failure_name(enum ws_failure why)
{
	must(why < WS_FAIL_COUNT);
	return failures[why];
}

enum ws_failure ws_check_answer(const struct http_head *h, const char accept[WS_ACCEPT_BYTES])
{
	struct view v;

	/* RFC 6455 section 4.1, the client's validation. */
	if (h->status != 101)
		return WS_FAIL_STATUS;
	if (h->minor < 1)
		return WS_FAIL_OLD_HTTP;
	if (!http_only(h, VIEW("Upgrade"), &v) || !view_is_ci(v, VIEW("websocket")) ||
	    !http_lists(h, VIEW("Connection"), VIEW("upgrade"), true))
		return WS_FAIL_UPGRADE;
	if (!http_only(h, VIEW("Sec-WebSocket-Accept"), &v) || !view_is(v, view_of(accept, WS_ACCEPT_BYTES)))
		return WS_FAIL_ACCEPT;
	if (!http_only(h, VIEW("Sec-WebSocket-Protocol"), &v) || !view_is(v, VIEW("sip")))
		return WS_FAIL_PROTOCOL;
	if (http_count(h, VIEW("Sec-WebSocket-Extensions")))
		return WS_FAIL_EXTENSIONS;
	return WS_OPEN;
}

/* ---- writing ---- */

static bool done(struct out *o, size_t start)
{
	if (o->full)
		o->n = start;
	return !o->full;
}

/* Status line, what the status demands (RFC 9110 sections 15.5.6 and 15.5.22, RFC 6455 section 4.4), and a short body. */
static bool answer(struct out *o, unsigned status, struct view text)
{
	static const struct { unsigned status; const char *phrase, *headers; } rows[] = {
		{ 400, "Bad Request", "" },
		{ 403, "Forbidden", "" },
		{ 405, "Method Not Allowed", "Allow: GET\r\n" },
		{ 426, "Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" },
		{ 431, "Request Header Fields Too Large", "" },
		{ 505, "HTTP Version Not Supported", "" },
	};
	size_t start = o->n, i = 0;

	while (i < COUNT_OF(rows) && rows[i].status != status)
		i++;
	must(i < COUNT_OF(rows));
	putf(o, "HTTP/1.1 %u %s\r\n%sConnection: %sclose\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", status, rows[i].phrase,
	     rows[i].headers, status == 426 ? "Upgrade, " : "", text.n + 2);
	put(o, text);
	put(o, VIEW("\r\n"));
	return done(o, start);
}

bool ws_write_refusal(struct out *o, enum ws_refusal why)
{
	must(why > WS_UPGRADE && why < WS_REF_COUNT);
	return answer(o, refusals[why].status, refusals[why].text);
}

bool http_write_reject(struct out *o, enum http_reject why)
{
	must(why > HTTP_REJ_NONE && why < HTTP_REJ_COUNT);
	return answer(o, rejects[why].status, rejects[why].name);
}

bool ws_write_upgrade(struct out *o, const char accept[WS_ACCEPT_BYTES])
{
	size_t start = o->n;

	put(o, VIEW("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "));
	put(o, view_of(accept, WS_ACCEPT_BYTES));
	put(o, VIEW("\r\nSec-WebSocket-Protocol: sip\r\n\r\n"));
	return done(o, start);
}

/* Visible ASCII: nothing that ends a line or a field. */
static bool is_field_text(struct view v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] <= ' ' || v.p[i] >= 0x7f)
			return false;
	return true;
}

bool ws_write_request(struct out *o, struct view host, struct view target, struct view origin, const char key[WS_KEY_BYTES])
{
	size_t start = o->n;

	if (host.n == 0 || target.n == 0 || target.p[0] != '/' || !is_field_text(host) || !is_field_text(target) || !is_field_text(origin))
		return false;
	put(o, VIEW("GET "));
	put(o, target);
	put(o, VIEW(" HTTP/1.1\r\nHost: "));
	put(o, host);
	put(o, VIEW("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "));
	put(o, view_of(key, WS_KEY_BYTES));
	put(o, VIEW("\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n"));
	if (origin.n) {
		put(o, VIEW("Origin: "));
		put(o, origin);
		put(o, VIEW("\r\n"));
	}
	put(o, VIEW("\r\n"));
	return done(o, start);
}
