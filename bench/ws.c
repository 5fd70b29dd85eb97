#include "ws.h"

/* The key and the answer RFC 6455 1.3 demands for it. A benchmark needs no
 * secret here: the key only proves that a WebSocket server answered. */
#define WS_KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define WS_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

static void mask_copy(char *to, const char *from, size_t n, uint32_t mask)
{
	uint64_t wide = (uint64_t)mask << 32 | mask;
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		uint64_t w;
		memcpy(&w, from + i, 8);
		w ^= wide;
		memcpy(to + i, &w, 8);
	}
	for (; i < n; i++)
		to[i] = (char)(from[i] ^ ((const char *)&mask)[i & 3]);
}

size_t ws_frame(char *to, enum ws_op op, uint32_t mask, struct view payload)
{
	size_t head = 2;

	to[0] = (char)(0x80 | op);
	if (payload.n < 126) {
		to[1] = (char)(0x80 | payload.n);
	} else if (payload.n <= UINT16_MAX) {
		to[1] = (char)(0x80 | 126);
		to[2] = (char)(payload.n >> 8);
		to[3] = (char)payload.n;
		head = 4;
	} else {
		to[1] = (char)(0x80 | 127);
		for (int i = 0; i < 8; i++)
			to[2 + i] = (char)(payload.n >> (56 - 8 * i));
		head = 10;
	}
	memcpy(to + head, &mask, 4);
	mask_copy(to + head + 4, payload.p, payload.n, mask);
	return head + 4 + payload.n;
}

enum ws_status ws_decode(struct view in, enum ws_op *op, struct view *payload, size_t *used)
{
	const uint8_t *h = (const uint8_t *)in.p;
	size_t head = 2;
	uint64_t n;

	if (in.n < 2)
		return WS_MORE;
	if ((h[0] & 0xf0) != 0x80 || h[1] & 0x80)
		return WS_BAD;
	n = h[1];
	if (n >= 126) {
		unsigned bytes = n == 126 ? 2 : 8;
		head += bytes;
		if (in.n < head)
			return WS_MORE;
		n = 0;
		for (unsigned i = 0; i < bytes; i++)
			n = n << 8 | h[2 + i];
	}
	if (in.n - head < n)
		return WS_MORE;
	*op = (enum ws_op)(h[0] & 15);
	*payload = (struct view){ in.p + head, n };
	*used = head + n;
	return WS_OK;
}

void ws_upgrade(struct out *o, struct view host)
{
	out_lit(o, "GET / HTTP/1.1\r\nHost: ");
	out_view(o, host);
	out_lit(o, "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	           "Sec-WebSocket-Key: " WS_KEY "\r\n"
	           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n"
	           "Origin: http://");
	out_view(o, host);
	out_lit(o, "\r\n\r\n");
}

bool ws_accepted(struct view reply)
{
	return view_starts(reply, VIEW("HTTP/1.1 101 ")) && view_has(reply, VIEW(WS_ACCEPT)) &&
	       view_has(reply, VIEW("sip\r\n"));
}
