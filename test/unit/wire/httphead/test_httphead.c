/* HTTP heads by table, by every prefix and against a wall; then the opening handshake in both roles. */
#include "wire/httphead/httphead.h"
#include "base/base.h"
#include "wall.h"
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void sha1(struct view in, uint8_t digest[20])
{
	assert_true(EVP_Digest(in.p, in.n, digest, NULL, EVP_sha1(), NULL));
}

typedef enum http_status parse(struct view, size_t, struct http_head *, size_t *, enum http_reject *);

struct head_case { bool response; struct view in; enum http_status want; enum http_reject why; };

/* Length of a good head: through its first empty line. */
static size_t head_bytes(const struct head_case *c)
{
	return c->want == HTTP_OK ? view_find_view(c->in, VIEW("\r\n\r\n")) + 4 : 0;
}

static const struct head_case heads[] = {
	{ false, VIEW_INIT("GET / HTTP/1.1\r\n\r\n"), HTTP_OK, 0 },
	{ false, VIEW_INIT("GET / HTTP/1.0\r\nA:\r\n\r\n"), HTTP_OK, 0 },
	{ false, VIEW_INIT("GET /ws?x=1&y=%20 HTTP/1.1\r\nHost: a\r\nX:  \t b c \t\r\n\r\nrest"), HTTP_OK, 0 },
	{ false, VIEW_INIT("M-SEARCH * HTTP/1.1\r\n!#$%&'*+-.^_`|~09az: \xff\x80\r\n\r\n"), HTTP_OK, 0 },
	{ false, VIEW_INIT("GET http://h/ HTTP/1.9\r\n\r\n\r\n"), HTTP_OK, 0 },
	{ false, VIEW_INIT(""), HTTP_MORE, 0 },
	{ false, VIEW_INIT("GET / HTTP/1.1\r\nHost: a\r\n"), HTTP_MORE, 0 },
	{ false, VIEW_INIT("GET / HTTP/1.1\r\nHost: a\r\n\r"), HTTP_MORE, 0 },
	{ false, VIEW_INIT("\r\nGET / HTTP/1.1\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_METHOD },
	{ false, VIEW_INIT(" GET / HTTP/1.1\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_METHOD },
	{ false, VIEW_INIT("G(T / HTTP/1.1\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_METHOD },
	{ false, VIEW_INIT("GET\t/ HTTP/1.1\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_METHOD },
	{ false, VIEW_INIT("\x16\x03\x01\x02\0\1"), HTTP_BAD, HTTP_REJ_BAD_METHOD },
	{ false, VIEW_INIT("GET  / HTTP/1.1\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_TARGET },
	{ false, VIEW_INIT("GET /\x01 HTTP/1.1\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_TARGET },
	{ false, VIEW_INIT("GET /\xc3\xa9 HTTP/1.1\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_TARGET },
	{ false, VIEW_INIT("GET /a#b HTTP/1.1\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_TARGET },
	{ false, VIEW_INIT("GET /\r\n"), HTTP_BAD, HTTP_REJ_BAD_TARGET },
	{ false, VIEW_INIT("GET / b HTTP/1.1\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_VERSION },
	{ false, VIEW_INIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_VERSION },
	{ false, VIEW_INIT("INVITE sip:a@b SIP/2.0\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_VERSION },
	{ false, VIEW_INIT("GET / http/1.1\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_VERSION },
	{ false, VIEW_INIT("GET / HTTP/1.x\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_VERSION },
	{ false, VIEW_INIT("GET / HTTP/1.11\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_LINE_END },
	{ false, VIEW_INIT("GET / HTTP/1.1 \r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_LINE_END },
	{ false, VIEW_INIT("GET / HTTP/1.1\n\n"), HTTP_BAD, HTTP_REJ_BAD_LINE_END },
	{ false, VIEW_INIT("GET / HTTP/1.1\r\nA: b\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_LINE_END },
	{ false, VIEW_INIT("GET / HTTP/1.1\r\nA: b\r\r\n"), HTTP_BAD, HTTP_REJ_BAD_LINE_END },
	{ false, VIEW_INIT("GET / HTTP/1.1\r\nA: b\r\n\rX"), HTTP_BAD, HTTP_REJ_BAD_LINE_END },
	{ false, VIEW_INIT("GET / HTTP/1.1\r\nA: b\r\n\n"), HTTP_BAD, HTTP_REJ_BAD_NAME },
	{ false, VIEW_INIT("GET / HTTP/1.1\r\nA : b\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_NAME },
	{ false, VIEW_INIT("GET / HTTP/1.1\r\n: b\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_NAME },
	{ false, VIEW_INIT("GET / HTTP/1.1\r\nA\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_NAME },
	{ false, VIEW_INIT("GET / HTTP/1.1\r\n\xc3\xa9: b\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_NAME },
	{ false, VIEW_INIT("GET / HTTP/1.1\r\nA: b\0c\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_VALUE },
	{ false, VIEW_INIT("GET / HTTP/1.1\r\nA: b\x7f\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_VALUE },
	{ false, VIEW_INIT("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n"), HTTP_BAD, HTTP_REJ_FOLDED },
	{ false, VIEW_INIT("GET / HTTP/1.1\r\n\tA: b\r\n\r\n"), HTTP_BAD, HTTP_REJ_FOLDED },
	{ true,  VIEW_INIT("HTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r\nframe"), HTTP_OK, 0 },
	{ true,  VIEW_INIT("HTTP/1.1 404 \r\n\r\n"), HTTP_OK, 0 },
	{ true,  VIEW_INIT("HTTP/1.1 404\r\n\r\n"), HTTP_OK, 0 },
	{ true,  VIEW_INIT("HTTP/1.1 1"), HTTP_MORE, 0 },
	{ true,  VIEW_INIT("HTTP/1.1 101"), HTTP_MORE, 0 },
	{ true,  VIEW_INIT("HTTP/2 101 x\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_VERSION },
	{ true,  VIEW_INIT("HTTP/1.1\t101 x\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_VERSION },
	{ true,  VIEW_INIT("SIP/2.0 200 OK\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_VERSION },
	{ true,  VIEW_INIT("HTTP/1.1 1a1 x\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_STATUS },
	{ true,  VIEW_INIT("HTTP/1.1 1011 x\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_STATUS },
	{ true,  VIEW_INIT("HTTP/1.1 099 x\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_STATUS },
	{ true,  VIEW_INIT("HTTP/1.1 101 x\x01\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_VALUE },
	{ true,  VIEW_INIT("HTTP/1.1 101 x\nA: b\r\n\r\n"), HTTP_BAD, HTTP_REJ_BAD_LINE_END },
};

static void test_heads(void **state)
{
	struct http_head h;

	for (size_t i = 0; i < COUNT_OF(heads); i++) {
		const struct head_case *c = &heads[i];
		parse *run = c->response ? http_parse_response : http_parse_request;
		size_t used = 0;
		enum http_reject why;
		enum http_status s = run(against_wall(c->in), HTTP_HEAD_BYTES, &h, &used, &why);
		if (s != c->want || why != c->why || used != head_bytes(c))
			fail_msg("case %zu: status %d, %s, used %zu", i, s, http_reject_name(why).p, used);
		run(behind_wall(c->in), HTTP_HEAD_BYTES, &h, &used, &why);
	}
}

/* MORE, MORE, ..., then one final word which more bytes never change. */
static void test_every_prefix(void **state)
{
	struct http_head h;

	for (size_t i = 0; i < COUNT_OF(heads); i++) {
		const struct head_case *c = &heads[i];
		parse *run = c->response ? http_parse_response : http_parse_request;
		bool decided = false;
		for (size_t n = 0; n <= c->in.n; n++) {
			size_t used = 0;
			enum http_reject why;
			enum http_status s = run(against_wall(view_of(c->in.p, n)), HTTP_HEAD_BYTES, &h, &used, &why);
			if (c->want == HTTP_OK && (s == HTTP_OK) != (n >= head_bytes(c)))
				fail_msg("case %zu: decided at %zu", i, n);
			if (s == HTTP_BAD ? c->want != HTTP_BAD || why != c->why : decided && c->want == HTTP_BAD)
				fail_msg("case %zu: another verdict at %zu", i, n);
			decided |= s != HTTP_MORE;
		}
	}
}

static void test_content(void **state)
{
	struct http_head h;
	struct view v;
	size_t used;
	enum http_reject why;

	assert_int_equal(http_parse_request(VIEW("OPTIONS /a HTTP/1.1\r\nHost: \t a b \r\nX: 1\r\nx: 2, Three ,,four\r\nEmpty:\r\n\r\n"), 4096, &h, &used, &why),
			 HTTP_OK);
	assert_true(view_is(h.method, VIEW("OPTIONS")) && view_is(h.target, VIEW("/a")) && h.minor == 1 && h.status == 0);
	assert_int_equal(h.n, 4);
	assert_true(http_only(&h, VIEW("HOST"), &v) && view_is(v, VIEW("a b")));
	assert_true(http_only(&h, VIEW("empty"), &v) && v.n == 0);
	assert_false(http_only(&h, VIEW("X"), &v));
	assert_false(http_only(&h, VIEW("Y"), &v));
	assert_int_equal(http_count(&h, VIEW("X")), 2);
	assert_true(http_lists(&h, VIEW("X"), VIEW("1"), false));
	assert_true(http_lists(&h, VIEW("X"), VIEW("three"), true));
	assert_false(http_lists(&h, VIEW("X"), VIEW("three"), false));
	assert_true(http_lists(&h, VIEW("X"), VIEW("four"), false));
	assert_false(http_lists(&h, VIEW("X"), VIEW("fou"), false));

	assert_int_equal(http_parse_response(VIEW("HTTP/1.0 404 Not  Found\r\n\r\n"), 4096, &h, &used, &why), HTTP_OK);
	assert_true(h.status == 404 && h.minor == 0 && h.n == 0 && view_is(h.reason, VIEW("Not  Found")) && h.method.n == 0);
}

static void test_bounds(void **state)
{
	static char room[HTTP_HEAD_BYTES + 100];
	struct http_head h;
	size_t used = 0;
	enum http_reject why;

	for (size_t n = HTTP_HEADERS - 1; n <= HTTP_HEADERS + 1; n++) {
		struct out o = out_to(room, sizeof room);
		put(&o, VIEW("GET / HTTP/1.1\r\n"));
		for (size_t i = 0; i < n; i++)
			putf(&o, "H%zu: v\r\n", i);
		put(&o, VIEW("\r\n"));
		enum http_status s = http_parse_request(against_wall(out_view(&o)), HTTP_HEAD_BYTES, &h, &used, &why);
		assert_int_equal(s, n <= HTTP_HEADERS ? HTTP_OK : HTTP_BAD);
		assert_int_equal(why, n <= HTTP_HEADERS ? HTTP_REJ_NONE : HTTP_REJ_TOO_MANY_HEADERS);
		assert_true(s == HTTP_BAD || (h.n == n && used == o.n));
		/* The size cap is exact, and at the cap nobody waits for more. */
		if (n == HTTP_HEADERS) {
			assert_int_equal(http_parse_request(out_view(&o), o.n, &h, &used, &why), HTTP_OK);
			assert_int_equal(http_parse_request(out_view(&o), o.n - 1, &h, &used, &why), HTTP_BAD);
			assert_int_equal(why, HTTP_REJ_TOO_LARGE);
			assert_int_equal(http_parse_request(view_of(o.p, o.n - 2), o.n - 1, &h, &used, &why), HTTP_MORE);
			assert_int_equal(http_parse_request(view_of(o.p, o.n - 1), o.n - 1, &h, &used, &why), HTTP_BAD);
			assert_int_equal(why, HTTP_REJ_TOO_LARGE);
		}
	}
	memset(room, 'A', sizeof room);
	assert_int_equal(http_parse_request(against_wall(view_of(room, HTTP_HEAD_BYTES - 1)), HTTP_HEAD_BYTES, &h, &used, &why), HTTP_MORE);
	assert_int_equal(http_parse_request(against_wall(view_of(room, HTTP_HEAD_BYTES)), HTTP_HEAD_BYTES, &h, &used, &why), HTTP_BAD);
	assert_int_equal(why, HTTP_REJ_TOO_LARGE);
}

/* ---- handshake, server ---- */

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define GOOD "Host: sip.example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" KEY "Sec-WebSocket-Version: 13\r\n"
#define SIP "Sec-WebSocket-Protocol: sip\r\n"
#define UP "Host: h\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
#define V13 "Sec-WebSocket-Version: 13\r\n"

static void test_check_request(void **state)
{
	static const struct view list[] = { VIEW_INIT("https://app.example.org"), VIEW_INIT("*.example.com") };
	static const struct ws_policy open = { NULL, 0, false }, some = { list, 2, false }, strict = { list, 2, true };
	static const struct { const char *name, *in; const struct ws_policy *policy; enum ws_refusal want; } cases[] = {
		{ "as in the RFC", "GET /chat HTTP/1.1\r\n" GOOD SIP, &open, WS_UPGRADE },
		{ "chrome", "GET / HTTP/1.1\r\nHost: h:8443\r\nConnection: keep-alive, Upgrade\r\nPragma: no-cache\r\nUpgrade: WebSocket\r\n"
		  "Origin: https://app.example.org\r\n" V13 "Accept-Encoding: gzip, br\r\n" KEY
		  "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" SIP, &strict, WS_UPGRADE },
		{ "sip among others", "GET / HTTP/1.1\r\n" GOOD "Sec-WebSocket-Protocol: xmpp,sip\r\n", &open, WS_UPGRADE },
		{ "sip in a second header", "GET / HTTP/1.1\r\n" GOOD "Sec-WebSocket-Protocol: xmpp\r\n" SIP, &open, WS_UPGRADE },
		{ "content-length 0", "GET / HTTP/1.1\r\nContent-Length: 0\r\n" GOOD SIP, &open, WS_UPGRADE },
		{ "post", "POST / HTTP/1.1\r\n" GOOD SIP, &open, WS_REF_NOT_GET },
		{ "head", "HEAD / HTTP/1.1\r\nHost: h\r\n", &open, WS_REF_NOT_GET },
		{ "get in lower case", "get / HTTP/1.1\r\n" GOOD SIP, &open, WS_REF_NOT_GET },
		{ "plain get", "GET / HTTP/1.1\r\nHost: h\r\n", &open, WS_REF_NO_UPGRADE },
		{ "plain get 1.0", "GET / HTTP/1.0\r\n", &open, WS_REF_NO_UPGRADE },
		{ "h2c upgrade", "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n", &open, WS_REF_NO_UPGRADE },
		{ "1.0 upgrade", "GET / HTTP/1.0\r\n" GOOD SIP, &open, WS_REF_OLD_HTTP },
		{ "body", "GET / HTTP/1.1\r\nContent-Length: 5\r\n" GOOD SIP, &open, WS_REF_HAS_BODY },
		{ "body twice", "GET / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 0\r\n" GOOD SIP, &open, WS_REF_HAS_BODY },
		{ "chunked", "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" GOOD SIP, &open, WS_REF_HAS_BODY },
		{ "no host", "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n" KEY V13 SIP, &open, WS_REF_BAD_HOST },
		{ "empty host", "GET / HTTP/1.1\r\nHost:\r\nUpgrade: websocket\r\nConnection: upgrade\r\n" KEY V13 SIP, &open, WS_REF_BAD_HOST },
		{ "two hosts", "GET / HTTP/1.1\r\nHost: other\r\n" GOOD SIP, &open, WS_REF_BAD_HOST },
		{ "no connection", "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n" KEY V13 SIP, &open, WS_REF_NO_CONNECTION },
		{ "keep-alive only", "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: keep-alive\r\n" KEY V13 SIP, &open, WS_REF_NO_CONNECTION },
		{ "no version", "GET / HTTP/1.1\r\n" UP KEY SIP, &open, WS_REF_BAD_WS_VERSION },
		{ "version 8", "GET / HTTP/1.1\r\n" UP "Sec-WebSocket-Version: 8\r\n" KEY SIP, &open, WS_REF_BAD_WS_VERSION },
		{ "version 013", "GET / HTTP/1.1\r\n" UP "Sec-WebSocket-Version: 013\r\n" KEY SIP, &open, WS_REF_BAD_WS_VERSION },
		{ "version twice", "GET / HTTP/1.1\r\n" UP V13 V13 KEY SIP, &open, WS_REF_BAD_WS_VERSION },
		{ "no key", "GET / HTTP/1.1\r\n" UP V13 SIP, &open, WS_REF_BAD_KEY },
		{ "two keys", "GET / HTTP/1.1\r\n" UP V13 SIP KEY KEY, &open, WS_REF_BAD_KEY },
		{ "15-byte key", "GET / HTTP/1.1\r\n" UP V13 SIP "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n", &open, WS_REF_BAD_KEY },
		{ "17-byte key", "GET / HTTP/1.1\r\n" UP V13 SIP "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWU=\r\n", &open, WS_REF_BAD_KEY },
		{ "not base64", "GET / HTTP/1.1\r\n" UP V13 SIP "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j-Q==\r\n", &open, WS_REF_BAD_KEY },
		{ "padding inside", "GET / HTTP/1.1\r\n" UP V13 SIP "Sec-WebSocket-Key: dGhlIHNhbXB=ZSBub25jZQ==\r\n", &open, WS_REF_BAD_KEY },
		{ "no subprotocol", "GET / HTTP/1.1\r\n" GOOD, &open, WS_REF_NO_SIP },
		{ "other subprotocol", "GET / HTTP/1.1\r\n" GOOD "Sec-WebSocket-Protocol: xmpp, sips\r\n", &open, WS_REF_NO_SIP },
		{ "origin allowed", "GET / HTTP/1.1\r\n" GOOD SIP "Origin: https://app.example.org\r\n", &some, WS_UPGRADE },
		{ "origin under a wildcard", "GET / HTTP/1.1\r\n" GOOD SIP "Origin: http://a.b.example.com:81\r\n", &some, WS_UPGRADE },
		{ "origin of a stranger", "GET / HTTP/1.1\r\n" GOOD SIP "Origin: https://evil.example\r\n", &some, WS_REF_BAD_ORIGIN },
		{ "origin null", "GET / HTTP/1.1\r\n" GOOD SIP "Origin: null\r\n", &some, WS_REF_BAD_ORIGIN },
		{ "origin empty", "GET / HTTP/1.1\r\n" GOOD SIP "Origin:\r\n", &some, WS_REF_BAD_ORIGIN },
		{ "two origins", "GET / HTTP/1.1\r\n" GOOD SIP "Origin: https://app.example.org\r\nOrigin: https://evil.example\r\n", &some, WS_REF_BAD_ORIGIN },
		{ "no origin, a list", "GET / HTTP/1.1\r\n" GOOD SIP, &some, WS_UPGRADE },
		{ "no origin, required", "GET / HTTP/1.1\r\n" GOOD SIP, &strict, WS_REF_NO_ORIGIN },
		{ "any origin without a list", "GET / HTTP/1.1\r\n" GOOD SIP "Origin: https://evil.example\r\n", &open, WS_UPGRADE },
	};
	struct http_head h;
	char room[1024];

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct ws_offer offer = { 0 };
		struct out o = out_to(room, sizeof room);
		size_t used;
		enum http_reject why;
		putf(&o, "%s\r\n", cases[i].in);
		assert_int_equal(http_parse_request(against_wall(out_view(&o)), HTTP_HEAD_BYTES, &h, &used, &why), HTTP_OK);
		enum ws_refusal r = ws_check_request(&h, cases[i].policy, &offer);
		if (r != cases[i].want)
			fail_msg("%s: %s", cases[i].name, ws_refusal_name(r).p);
		if (r == WS_UPGRADE)
			assert_true(view_is(offer.key, VIEW("dGhlIHNhbXBsZSBub25jZQ==")) && offer.host.n && offer.target.p[0] == '/');
		else
			assert_null(offer.key.p);
	}
}

static void test_origin_patterns(void **state)
{
	static const struct { const char *origin, *pattern; bool want; } cases[] = {
		{ "https://app.example.org", "https://app.example.org", true },
		{ "HTTPS://App.Example.Org", "https://app.example.org", true },
		{ "http://app.example.org", "https://app.example.org", false },
		{ "https://app.example.org:8443", "https://app.example.org", false },
		{ "https://app.example.org:8443", "https://app.example.org:8443", true },
		{ "https://app.example.org", "https://app.example.org:8443", false },
		{ "https://app.example.org.evil", "https://app.example.org", false },
		{ "https://evil-app.example.org", "app.example.org", false },
		{ "https://app.example.org", "app.example.org", true },
		{ "http://app.example.org:81", "app.example.org", true },
		{ "http://app.example.org:81", "app.example.org:81", true },
		{ "http://app.example.org:82", "app.example.org:81", false },
		{ "https://a.example.org", "*.example.org", true },
		{ "https://a.b.example.org:1", "*.example.org", true },
		{ "https://example.org", "*.example.org", false },
		{ "https://.example.org", "*.example.org", false },
		{ "https://evilexample.org", "*.example.org", false },
		{ "https://a.example.org.evil", "*.example.org", false },
		{ "http://a.example.org", "https://*.example.org", false },
		{ "https://a.example.org", "https://*.example.org", true },
		{ "https://a.example.org:1", "https://*.example.org", false },
		{ "null", "null", true },
		{ "null", "*.null", false },
		{ "a.example.org", "*.example.org", false },
		{ "null", "*", true },
		{ "https://x", "*", true },
		{ "http://[::1]:8080", "[::1]", true },
		{ "http://[::1]:8080", "http://[::1]:8080", true },
		{ "http://[::1]", "[::2]", false },
		{ "https://a", "", false },
		{ "", "a", false },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct view o = view_str(cases[i].origin), p = view_str(cases[i].pattern);
		if (ws_origin_matches(against_wall(o), behind_wall(p)) != cases[i].want)
			fail_msg("%s against %s", cases[i].origin, cases[i].pattern);
	}
}

/* ---- keys ---- */

static void test_keys(void **state)
{
	char accept[WS_ACCEPT_BYTES], key[WS_KEY_BYTES];
	const uint8_t zero[16] = { 0 }, ones[16] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	/* RFC 6455 section 1.3 */
	ws_accept(VIEW("dGhlIHNhbXBsZSBub25jZQ=="), sha1, accept);
	assert_memory_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", WS_ACCEPT_BYTES);
	ws_key((const uint8_t *)"the sample nonce", key);
	assert_memory_equal(key, "dGhlIHNhbXBsZSBub25jZQ==", WS_KEY_BYTES);
	ws_key(zero, key);
	assert_memory_equal(key, "AAAAAAAAAAAAAAAAAAAAAA==", WS_KEY_BYTES);
	ws_key(ones, key);
	assert_memory_equal(key, "/////////////////////w==", WS_KEY_BYTES);
}

/* ---- both roles together ---- */

static void test_client_meets_server(void **state)
{
	static const struct ws_policy policy = { NULL, 0, true };
	char request[1024], answer[WS_ANSWER_BYTES], key[WS_KEY_BYTES], accept[WS_ACCEPT_BYTES], wanted[WS_ACCEPT_BYTES];
	struct out q = out_to(request, sizeof request), a = out_to(answer, sizeof answer);
	struct http_head h;
	struct ws_offer offer;
	size_t used;
	enum http_reject why;

	ws_key((const uint8_t *)"0123456789abcdef", key);
	ws_accept(view_of(key, WS_KEY_BYTES), sha1, wanted);
	assert_true(ws_write_request(&q, VIEW("[2001:db8::1]:8080"), VIEW("/"), VIEW("https://edge.example"), key));
	assert_int_equal(http_parse_request(against_wall(out_view(&q)), HTTP_HEAD_BYTES, &h, &used, &why), HTTP_OK);
	assert_int_equal(used, q.n);
	assert_int_equal(ws_check_request(&h, &policy, &offer), WS_UPGRADE);
	assert_true(view_is(offer.host, VIEW("[2001:db8::1]:8080")) && view_is(offer.origin, VIEW("https://edge.example")));
	ws_accept(offer.key, sha1, accept);
	assert_true(ws_write_upgrade(&a, accept));
	assert_int_equal(http_parse_response(against_wall(out_view(&a)), HTTP_HEAD_BYTES, &h, &used, &why), HTTP_OK);
	assert_int_equal(used, a.n);
	assert_int_equal(ws_check_answer(&h, wanted), WS_OPEN);
	for (size_t cap = 0; cap < q.n; cap++) {
		struct out small = out_to(request, cap);
		assert_false(ws_write_request(&small, VIEW("[2001:db8::1]:8080"), VIEW("/"), VIEW("https://edge.example"), key));
		assert_int_equal(small.n, 0);
	}
	for (size_t cap = 0; cap < a.n; cap++) {
		struct out small = out_to(answer, cap);
		assert_false(ws_write_upgrade(&small, accept));
		assert_int_equal(small.n, 0);
	}
}

static void test_write_request_refuses(void **state)
{
	static const struct { struct view host, target, origin; bool ok; } cases[] = {
		{ VIEW_INIT("h"), VIEW_INIT("/"), VIEW_INIT(""), true },         { VIEW_INIT(""), VIEW_INIT("/"), VIEW_INIT(""), false },
		{ VIEW_INIT("h"), VIEW_INIT(""), VIEW_INIT(""), false },         { VIEW_INIT("h"), VIEW_INIT("ws"), VIEW_INIT(""), false },
		{ VIEW_INIT("h\r\nX: y"), VIEW_INIT("/"), VIEW_INIT(""), false }, { VIEW_INIT("h"), VIEW_INIT("/ x"), VIEW_INIT(""), false },
		{ VIEW_INIT("h"), VIEW_INIT("/"), VIEW_INIT("a\nb"), false },     { VIEW_INIT("h"), VIEW_INIT("/\x80"), VIEW_INIT(""), false },
	};
	char room[512];

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct out o = out_to(room, sizeof room);
		if (ws_write_request(&o, cases[i].host, cases[i].target, cases[i].origin, "dGhlIHNhbXBsZSBub25jZQ==") != cases[i].ok ||
		    (o.n > 0) != cases[i].ok)
			fail_msg("case %zu", i);
	}
}

static void test_check_answer(void **state)
{
#define ACC "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define SWITCH "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	static const struct { const char *in; enum ws_failure want; } cases[] = {
		{ SWITCH ACC SIP, WS_OPEN },
		{ "HTTP/1.1 101\r\nconnection: keep-alive, upgrade\r\nUPGRADE: WebSocket\r\n" ACC SIP, WS_OPEN },
		{ "HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" ACC SIP, WS_FAIL_STATUS },
		{ "HTTP/1.1 403 Forbidden\r\n", WS_FAIL_STATUS },
		{ "HTTP/1.0 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" ACC SIP, WS_FAIL_OLD_HTTP },
		{ "HTTP/1.1 101 x\r\nConnection: Upgrade\r\n" ACC SIP, WS_FAIL_UPGRADE },
		{ "HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n" ACC SIP, WS_FAIL_UPGRADE },
		{ "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n" ACC SIP, WS_FAIL_UPGRADE },
		{ SWITCH SIP, WS_FAIL_ACCEPT },
		{ SWITCH ACC ACC SIP, WS_FAIL_ACCEPT },
		{ SWITCH "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOO=\r\n" SIP, WS_FAIL_ACCEPT },
		{ SWITCH "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" SIP, WS_FAIL_ACCEPT },
		{ SWITCH ACC, WS_FAIL_PROTOCOL },
		{ SWITCH ACC "Sec-WebSocket-Protocol: xmpp\r\n", WS_FAIL_PROTOCOL },
		{ SWITCH ACC "Sec-WebSocket-Protocol: sip, xmpp\r\n", WS_FAIL_PROTOCOL },
		{ SWITCH ACC SIP "Sec-WebSocket-Extensions: permessage-deflate\r\n", WS_FAIL_EXTENSIONS },
	};
	char room[512];
	struct http_head h;

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct out o = out_to(room, sizeof room);
		size_t used;
		enum http_reject why;
		putf(&o, "%s\r\n", cases[i].in);
		assert_int_equal(http_parse_response(against_wall(out_view(&o)), HTTP_HEAD_BYTES, &h, &used, &why), HTTP_OK);
		enum ws_failure f = ws_check_answer(&h, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
		if (f != cases[i].want)
			fail_msg("case %zu: %s", i, ws_failure_name(f).p);
	}
}

/* Every refusal is a well-formed answer with a body of the length it says. */
static void check_answer(struct view text, unsigned status)
{
	struct http_head h;
	struct view v;
	size_t used;
	enum http_reject why;
	uint32_t body = 0;

	assert_true(text.n <= WS_ANSWER_BYTES);
	assert_int_equal(http_parse_response(against_wall(text), HTTP_HEAD_BYTES, &h, &used, &why), HTTP_OK);
	assert_int_equal(h.status, status);
	assert_true(http_only(&h, VIEW("Content-Length"), &v) && view_u32(v, &body));
	assert_int_equal(used + body, text.n);
	assert_true(http_lists(&h, VIEW("Connection"), VIEW("close"), true));
	if (status == 426)
		assert_true(http_only(&h, VIEW("Sec-WebSocket-Version"), &v) && view_is(v, VIEW("13")) &&
			    http_lists(&h, VIEW("Upgrade"), VIEW("websocket"), true) && http_lists(&h, VIEW("Connection"), VIEW("upgrade"), true));
	if (status == 405)
		assert_true(http_only(&h, VIEW("Allow"), &v) && view_is(v, VIEW("GET")));
}

static void test_refusals(void **state)
{
	static const unsigned rejects[] = { [HTTP_REJ_BAD_VERSION] = 505, [HTTP_REJ_TOO_LARGE] = 431, [HTTP_REJ_TOO_MANY_HEADERS] = 431 };
	char room[WS_ANSWER_BYTES];

	assert_int_equal(ws_refusal_status(WS_UPGRADE), 101);
	for (int r = WS_UPGRADE + 1; r < WS_REF_COUNT; r++) {
		struct out o = out_to(room, sizeof room);
		assert_true(ws_write_refusal(&o, (enum ws_refusal)r));
		check_answer(out_view(&o), ws_refusal_status((enum ws_refusal)r));
		struct out small = out_to(room, o.n - 1);
		assert_false(ws_write_refusal(&small, (enum ws_refusal)r));
		assert_int_equal(small.n, 0);
	}
	for (int r = HTTP_REJ_NONE + 1; r < HTTP_REJ_COUNT; r++) {
		struct out o = out_to(room, sizeof room);
		assert_true(http_write_reject(&o, (enum http_reject)r));
		check_answer(out_view(&o), (size_t)r < COUNT_OF(rejects) && rejects[r] ? rejects[r] : 400);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads), cmocka_unit_test(test_every_prefix), cmocka_unit_test(test_content), cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_check_request), cmocka_unit_test(test_origin_patterns), cmocka_unit_test(test_keys),
		cmocka_unit_test(test_client_meets_server), cmocka_unit_test(test_write_request_refuses), cmocka_unit_test(test_check_answer),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
