/* HTTP heads in both directions and the WebSocket handshake on top of them. */
#include "wire/httphead/httphead.h"
#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

typedef enum http_status parse(struct view, size_t, struct http_head *, size_t *, enum http_reject *);

static void no_digest(struct view in, uint8_t digest[20])
{
	memset(digest, (int)in.n, 20);
}

static void check_view(struct view v, const uint8_t *data, size_t used)
{
	if (v.n)
		must(v.p >= (const char *)data && v.p + v.n <= (const char *)data + used);
	for (size_t i = 0; i < v.n; i++)
		must(v.p[i] != '\r' && v.p[i] != '\n' && v.p[i] != '\0');
}

/* A good head written from what was read is read the same way. */
static void check_rewrite(const struct http_head *h, bool response)
{
	static char room[1 << 17];
	static struct http_head again;
	struct out o = out_to(room, sizeof room);
	size_t used;
	enum http_reject why;

	if (response)
		putf(&o, "HTTP/1.%u %u " VIEW_FMT "\r\n", h->minor, h->status, VIEW_ARG(h->reason));
	else
		putf(&o, VIEW_FMT " " VIEW_FMT " HTTP/1.%u\r\n", VIEW_ARG(h->method), VIEW_ARG(h->target), h->minor);
	for (size_t i = 0; i < h->n; i++) {
		put(&o, h->header[i].name);
		put(&o, VIEW(": "));
		put(&o, h->header[i].value);
		put(&o, VIEW("\r\n"));
	}
	put(&o, VIEW("\r\n"));
	parse *run = response ? http_parse_response : http_parse_request;
	must(run(out_view(&o), sizeof room, &again, &used, &why) == HTTP_OK && used == o.n && again.n == h->n);
	for (size_t i = 0; i < h->n; i++)
		must(view_is(again.header[i].name, h->header[i].name) && view_is(again.header[i].value, h->header[i].value));
}

static void check_handshake(const struct http_head *h)
{
	static const struct view patterns[] = { VIEW_INIT("https://*.example.org"), VIEW_INIT("[::1]:80"), VIEW_INIT("a") };
	static const struct ws_policy policy = { patterns, 3, false };
	struct ws_offer offer;
	char accept[WS_ACCEPT_BYTES];

	if (ws_check_request(h, &policy, &offer) == WS_UPGRADE) {
		must(offer.key.n == WS_KEY_BYTES && offer.host.n);
		ws_accept(offer.key, no_digest, accept);
	}
	ws_check_answer(h, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void check(const uint8_t *data, size_t n, bool response)
{
	static struct http_head h;
	parse *run = response ? http_parse_response : http_parse_request;
	size_t used = 0, part_used;
	enum http_reject why, part_why;
	enum http_status end = run(view_of((const char *)data, n), HTTP_HEAD_BYTES, &h, &used, &why);

	must((end == HTTP_BAD) == (why != HTTP_REJ_NONE));
	must(end != HTTP_MORE || n < HTTP_HEAD_BYTES);
	if (end == HTTP_OK) {
		must(used <= n && used <= HTTP_HEAD_BYTES && h.n <= HTTP_HEADERS);
		check_view(h.method, data, used);
		check_view(h.target, data, used);
		check_view(h.reason, data, used);
		for (size_t i = 0; i < h.n; i++) {
			check_view(h.header[i].name, data, used);
			check_view(h.header[i].value, data, used);
		}
		check_rewrite(&h, response);
		check_handshake(&h);
	}
	size_t step = n > 64 ? n / 64 : 1;
	for (size_t cut = 0; cut < n; cut += step) {
		char *copy = malloc(cut ? cut : 1);
		if (!copy)
			return;
		memcpy(copy, data, cut);
		enum http_status s = run(view_of(copy, cut), HTTP_HEAD_BYTES, &h, &part_used, &part_why);
		if (end == HTTP_OK)
			must(cut < used ? s == HTTP_MORE : s == HTTP_OK && part_used == used);
		else if (end == HTTP_BAD)
			must(s == HTTP_MORE || (s == HTTP_BAD && part_why == why));
		else
			must(s == HTTP_MORE);
		free(copy);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	check(data, n, false);
	check(data, n, true);
	return 0;
}
