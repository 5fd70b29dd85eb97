/* net/stage_ws.c -- WebSocket (RFC 6455) as a carrier of SIP (RFC 7118), both roles: the opening handshake, frames (wslay), control
 * frames, the close.  One WebSocket message is one SIP message.
 * A wslay context holds 4 KiB of its own; it is borrowed from the worker while bytes of a frame are in it, so that an idle
 * connection has none. */
#include "net/stage.h"
#include <openssl/sha.h>
#include <wslay/wslay.h>
#include "wire/httphead/httphead.h"

enum { WS_SPARES = 16, WS_CONTROL_BYTES = 125, WS_ORIGINS = 32, WS_READ_STEP = 1024, WS_CONTEXT_BYTES = 4096 };
enum ws_step { WS_WRITE_HEAD, WS_READ_HEAD, WS_READY };

struct ws_utf8 { uint8_t need, low, high; };     /* continuation bytes to come; bounds of the next */

struct ws_frames {
	wslay_frame_context_ptr   ctx;
	struct conn              *c;
	unsigned                  at;
	enum io                   io;
	uint8_t                   control[WS_CONTROL_BYTES];
	uint8_t                   control_n;
};
struct ws_spare { struct ws_frames f; struct ws_spare *next; unsigned depth; };

struct ws {
	uint8_t          step, opcode;       /* opcode of the message that is open; 0 = none */
	bool             refused;
	struct ws_utf8   utf8;
	uint32_t         n, off;             /* of `bytes` */
	char            *bytes;              /* head coming in with what follows it, or head going out */
	struct ws_spare *frames;
	uint64_t         fed, eaten;         /* bytes given to the frame reader; bytes of the frames it finished */
	uint64_t         left;               /* of the present frame's payload */
	size_t           message_n;
	char             accept[WS_ACCEPT_BYTES];
};

static struct ws *ws_of(const struct conn *c, unsigned at)
{
	return c->state[at];
}

/* ---- UTF-8, incrementally (RFC 3629) ---- */

static bool utf8_lead(struct ws_utf8 *u, uint8_t b)
{
	u->low = 0x80;
	u->high = 0xbf;
	if (b >= 0xc2 && b <= 0xdf) {
		u->need = 1;
	} else if (b >= 0xe0 && b <= 0xef) {
		u->need = 2;
		u->low = b == 0xe0 ? 0xa0 : 0x80;
		u->high = b == 0xed ? 0x9f : 0xbf;
	} else if (b >= 0xf0 && b <= 0xf4) {
		u->need = 3;
		u->low = b == 0xf0 ? 0x90 : 0x80;
		u->high = b == 0xf4 ? 0x8f : 0xbf;
	} else {
		return false;
	}
	return true;
}

static bool utf8_feed(struct ws_utf8 *u, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (u->need) {
			if (p[i] < u->low || p[i] > u->high)
				return false;
			u->need--;
			u->low = 0x80;
			u->high = 0xbf;
		} else if (p[i] >= 0x80 && !utf8_lead(u, p[i])) {
			return false;
		}
	}
	return true;
}

static bool utf8_whole(const char *p, size_t n)
{
	struct ws_utf8 u = { 0 };

	return utf8_feed(&u, (const uint8_t *)p, n) && !u.need;
}

/* ---- writing frames ---- */

static size_t frame_head(uint8_t *h, uint8_t opcode, size_t n)
{
	h[0] = 0x80 | opcode;
	if (n < 126) {
		h[1] = (uint8_t)n;
		return 2;
	}
	if (n < 65536) {
		h[1] = 126;
		h[2] = (uint8_t)(n >> 8);
		h[3] = (uint8_t)n;
		return 4;
	}
	h[1] = 127;
	for (int i = 0; i < 8; i++)
		h[2 + i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
	return 10;
}

/* Bytes nobody outside can foretell: a keyed hash of a counter, the key being the process's secret (RFC 6455 5.3). */
static void unguessable(struct net *n, uint8_t *out, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		uint64_t at[2] = { n->id, n->masks++ };
		out[i] = (uint8_t)siphash(n->key, at, sizeof at);
	}
}

/* Header for a frame of n bytes at `payload`, masked in place on a connection that we opened; returns its length. */
static size_t frame_wrap(struct conn *c, uint8_t *head, uint8_t opcode, uint8_t *payload, size_t n)
{
	size_t at = frame_head(head, opcode, n);

	if (!c->origin.outbound)
		return at;
	head[1] |= 0x80;
	uint8_t *mask = head + at;
	unguessable(c->net, mask, 4);
	for (size_t i = 0; i < n; i++)
		payload[i] ^= mask[i % 4];
	return at + 4;
}

static size_t ws_wrap(struct conn *c, unsigned at, char *head, char *message, size_t n)
{
	uint8_t opcode = utf8_whole(message, n) ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME;

	return frame_wrap(c, (uint8_t *)head, opcode, (uint8_t *)message, n);
}

static void control(struct conn *c, uint8_t opcode, const uint8_t *payload, size_t n)
{
	uint8_t b[WRAP_MAX + WS_CONTROL_BYTES], body[WS_CONTROL_BYTES];

	must(n <= sizeof body);
	if (n)
		memcpy(body, payload, n);
	size_t head = frame_wrap(c, b, opcode, body, n);
	memcpy(b + head, body, n);
	/* A peer that does not read gets no pong either: the queue's bound stands. */
	conn_queue_raw(c, b, head + n);
}

/* Say why and end. */
static enum io ws_fail(struct conn *c, uint16_t code, bool theirs)
{
	uint8_t b[2] = { (uint8_t)(code >> 8), (uint8_t)code };

	if (theirs)
		net_count(c->net, NETC_ws_bad_frame);
	control(c, WSLAY_CONNECTION_CLOSE, b, 2);
	ws_of(c, c->stages - 2u)->refused = true;
	c->paused = true;
	conn_fail(c, NETC_COUNT, SEND_OK);
	return IO_AGAIN;
}

/* ---- reading frames ---- */

static ssize_t frames_read(uint8_t *buf, size_t len, int flags, void *user)
{
	struct ws_spare *s = user;
	struct ws *w = ws_of(s->f.c, s->f.at);
	must(w->frames == s);
	size_t got = 0;
	bool whole;

	if (w->n > w->off) {
		got = w->n - w->off < len ? w->n - w->off : len;
		memcpy(buf, w->bytes + w->off, got);
		w->off += (uint32_t)got;
		if (w->off == w->n) {
			free(w->bytes);
			w->bytes = NULL;
			w->n = w->off = 0;
		}
		s->f.io = IO_OK;
	} else {
		s->f.io = stage_recv(s->f.c, s->f.at - 1, (char *)buf, len, &got, &whole);
	}
	w->fed += got;
	return got ? (ssize_t)got : -1;
}

static const struct wslay_frame_callbacks callbacks = { .recv_callback = frames_read };

static bool frames_borrow(struct conn *c, unsigned at, struct ws *w)
{
	struct ws_spare *s = c->net->ws_spare;

	if (s) {
		c->net->ws_spare = s->next;
	} else {
		s = calloc(1, sizeof *s);
		if (!s || wslay_frame_context_init(&s->f.ctx, &callbacks, s)) {
			free(s);
			return false;
		}
	}
	s->next = NULL;
	s->f.c = c;
	s->f.at = at;
	s->f.control_n = 0;
	w->frames = s;
	w->fed = w->eaten = 0;
	return true;
}

static void spare_free(struct ws_spare *s)
{
	wslay_frame_context_free(s->f.ctx);
	free(s);
}

/* Give the reader back; `clean`: it stands between two frames and holds no byte. */
static void frames_return(struct net *n, struct ws *w, bool clean)
{
	struct ws_spare *s = w->frames;

	w->frames = NULL;
	if (!s)
		return;
	s->depth = n->ws_spare ? n->ws_spare->depth + 1 : 1;
	if (!clean || s->depth > WS_SPARES) {
		spare_free(s);
		return;
	}
	s->next = n->ws_spare;
	n->ws_spare = s;
}

void ws_spare_free(struct net *n)
{
	while (n->ws_spare) {
		struct ws_spare *s = n->ws_spare;
		n->ws_spare = s->next;
		spare_free(s);
	}
}

static uint64_t frame_bytes(const struct wslay_frame_iocb *f)
{
	uint64_t n = f->payload_length;

	return 2 + (n > 65535 ? 8 : n > 125 ? 2 : 0) + (f->mask ? 4 : 0) + n;
}

/* Rules that a frame breaks by its head alone: a close code, or 0. */
static uint16_t frame_judge(const struct conn *c, const struct ws *w, const struct wslay_frame_iocb *f)
{
	bool controls = wslay_is_ctrl_frame(f->opcode), known = f->opcode <= WSLAY_BINARY_FRAME ||
		(f->opcode >= WSLAY_CONNECTION_CLOSE && f->opcode <= WSLAY_PONG);

	if (!known || f->rsv || !f->mask != c->origin.outbound)
		return WSLAY_CODE_PROTOCOL_ERROR;
	if (controls)
		return f->fin && f->payload_length <= WS_CONTROL_BYTES ? 0 : WSLAY_CODE_PROTOCOL_ERROR;
	if ((f->opcode == WSLAY_CONTINUATION_FRAME) != (w->opcode != 0))
		return WSLAY_CODE_PROTOCOL_ERROR;
	if (f->payload_length > c->net->conf->max_message || w->message_n + f->payload_length > c->net->conf->max_message)
		return WSLAY_CODE_MESSAGE_TOO_BIG;
	return 0;
}

static enum io control_done(struct conn *c, struct ws *w, uint8_t opcode)
{
	struct ws_frames *f = &w->frames->f;
	size_t n = f->control_n;

	f->control_n = 0;
	if (opcode == WSLAY_PING) {
		net_count(c->net, NETC_pings);
		control(c, WSLAY_PONG, f->control, n);
	}
	if (opcode != WSLAY_CONNECTION_CLOSE)
		return IO_OK;
	if (n == 1 || (n > 2 && !utf8_whole((char *)f->control + 2, n - 2)))
		return ws_fail(c, WSLAY_CODE_PROTOCOL_ERROR, true);
	return ws_fail(c, WSLAY_CODE_NORMAL_CLOSURE, false);
}

/* A piece of a data frame: checked, counted, copied out. */
static enum io data_piece(struct conn *c, struct ws *w, const struct wslay_frame_iocb *f, char *p, size_t *got)
{
	if (w->opcode == WSLAY_TEXT_FRAME && !utf8_feed(&w->utf8, f->data, f->data_length))
		return ws_fail(c, WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA, true);
	if (f->data_length)
		memcpy(p + *got, f->data, f->data_length);
	*got += f->data_length;
	w->message_n += f->data_length;
	return IO_OK;
}

static enum io message_done(struct conn *c, struct ws *w, bool *whole)
{
	if (w->opcode == WSLAY_TEXT_FRAME && w->utf8.need)
		return ws_fail(c, WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA, true);
	w->opcode = 0;
	w->message_n = 0;
	*whole = true;
	return IO_OK;
}

/* One piece of a frame, as much as wslay has. */
static enum io piece(struct conn *c, struct ws *w, const struct wslay_frame_iocb *f, bool begins, char *p, size_t *got, bool *whole)
{
	bool controls = wslay_is_ctrl_frame(f->opcode), ends;

	if (begins) {
		uint16_t code = frame_judge(c, w, f);
		if (code)
			return ws_fail(c, code, true);
		w->left = f->payload_length;
		if (!controls && !w->opcode) {
			w->opcode = f->opcode;
			w->utf8 = (struct ws_utf8){ 0 };
		}
	}
	must(f->data_length <= w->left);
	w->left -= f->data_length;
	ends = w->left == 0;
	if (ends)
		w->eaten += frame_bytes(f);
	if (controls) {
		struct ws_frames *k = &w->frames->f;
		must(k->control_n + f->data_length <= sizeof k->control);
		if (f->data_length)
			memcpy(k->control + k->control_n, f->data, f->data_length);
		k->control_n += (uint8_t)f->data_length;
		return ends ? control_done(c, w, f->opcode) : IO_OK;
	}
	enum io r = data_piece(c, w, f, p, got);
	return r == IO_OK && ends && f->fin ? message_done(c, w, whole) : r;
}

static enum io ws_recv(struct conn *c, unsigned at, char *p, size_t n, size_t *got, bool *whole)
{
	struct ws *w = ws_of(c, at);

	*got = 0;
	*whole = false;
	if (w->refused)
		return IO_AGAIN;
	if (!w->frames && !frames_borrow(c, at, w))
		return IO_ERR;
	/* wslay hands out at most what its own buffer holds. */
	must(n >= WS_CONTEXT_BYTES);
	while (n - *got >= WS_CONTEXT_BYTES && !*whole) {
		struct wslay_frame_iocb f;
		bool begins = w->left == 0;

		memset(&f, 0, sizeof f);
		ssize_t r = wslay_frame_recv(w->frames->f.ctx, &f);
		if (r == WSLAY_ERR_WANT_READ) {
			enum io below = w->frames->f.io;
			if (!w->left && w->fed == w->eaten)
				frames_return(c->net, w, true);
			return below == IO_OK ? IO_AGAIN : below;
		}
		if (r < 0)
			return ws_fail(c, WSLAY_CODE_PROTOCOL_ERROR, true);
		enum io io = piece(c, w, &f, begins, p, got, whole);
		if (io != IO_OK)
			return io;
	}
	return IO_OK;
}

/* ---- the opening handshake ---- */

static void sha1(struct view in, uint8_t digest[20])
{
	SHA1((const unsigned char *)in.p, in.n, digest);
}

static bool take_bytes(struct ws *w, struct view v)
{
	w->bytes = malloc(v.n);
	if (!w->bytes)
		return false;
	memcpy(w->bytes, v.p, v.n);
	w->n = (uint32_t)v.n;
	w->off = 0;
	return true;
}

/* The request of a connection that we opened.  It has an Origin, for servers that ask every client for one. */
static bool ws_ask(struct conn *c, struct ws *w)
{
	const struct net_conf *nc = c->net->conf;
	bool secure = c->origin.transport == TR_WSS;
	char room[HTTP_HEAD_BYTES], text[ADDR_TEXT_MAX], key[WS_KEY_BYTES], host[600], origin[620];
	struct out o = out_to(room, sizeof room), h = out_to(host, sizeof host), g = out_to(origin, sizeof origin);
	struct view target = secure ? nc->wss_resource : nc->ws_resource;
	uint8_t nonce[16];

	put(&h, c->sni.n ? c->sni : addr_host_text(&c->origin.wire_src, text));
	if (c->origin.wire_src.port != transport_port(c->origin.transport))
		putf(&h, ":%u", c->origin.wire_src.port);
	put(&g, secure ? VIEW("https://") : VIEW("http://"));
	put(&g, out_view(&h));
	unguessable(c->net, nonce, sizeof nonce);
	ws_key(nonce, key);
	ws_accept(view_of(key, sizeof key), sha1, w->accept);
	return !h.full && ws_write_request(&o, out_view(&h), target.n ? target : VIEW("/"), out_view(&g), key) && take_bytes(w, out_view(&o));
}

static enum io ws_write(struct conn *c, unsigned at, struct ws *w)
{
	while (w->off < w->n) {
		struct iovec v = { w->bytes + w->off, w->n - w->off };
		size_t sent;
		enum io r = stage_send(c, at - 1, &v, 1, &sent);
		w->off += (uint32_t)sent;
		if (r != IO_OK)
			return r;
	}
	free(w->bytes);
	w->bytes = NULL;
	w->n = w->off = 0;
	return IO_OK;
}

static enum io ws_refuse(struct conn *c, unsigned at, struct out *answer, struct view why)
{
	struct iovec v = { answer->p, answer->n };
	char text[ADDR_TEXT_MAX];
	struct view a = addr_text(&c->origin.wire_src, text);
	size_t sent;

	log_at(L_NOTICE, "net: " VIEW_FMT ": upgrade from " VIEW_FMT " refused: " VIEW_FMT,
		VIEW_ARG(c->origin.socket->text), VIEW_ARG(a), VIEW_ARG(why));
	stage_send(c, at - 1, &v, 1, &sent);
	conn_fail(c, NETC_ws_refused, SEND_OK);
	return IO_ERR;
}

static size_t split_origins(struct view list, struct view *out)
{
	size_t n = 0;

	while (list.n && n < WS_ORIGINS) {
		struct view one = view_trim(view_cut(&list, ','));
		if (one.n)
			out[n++] = one;
	}
	return n;
}

/* The bytes after a head of `used` bytes wait for the frame reader; the answer goes out before. */
static enum io ws_answer(struct conn *c, unsigned at, struct ws *w, const struct http_head *h, size_t used)
{
	const struct net_conf *nc = c->net->conf;
	struct view patterns[WS_ORIGINS];
	struct ws_policy policy = { patterns, split_origins(nc->ws_origins, patterns), nc->ws_require_origin };
	struct ws_offer offer;
	char room[WS_ANSWER_BYTES], accept[WS_ACCEPT_BYTES];
	struct out o = out_to(room, sizeof room);
	enum ws_refusal why = ws_check_request(h, &policy, &offer);

	if (why != WS_UPGRADE) {
		must(ws_write_refusal(&o, why));
		return ws_refuse(c, at, &o, ws_refusal_name(why));
	}
	ws_accept(offer.key, sha1, accept);
	must(ws_write_upgrade(&o, accept));
	/* Nothing was sent here before: a socket that has no room for so little is broken. */
	struct iovec v = { o.p, o.n };
	size_t sent;
	if (stage_send(c, at - 1, &v, 1, &sent) == IO_ERR || sent != o.n)
		return IO_ERR;
	net_count(c->net, NETC_ws_upgrades);
	w->off = (uint32_t)used;
	w->step = WS_READY;
	return IO_OK;
}

static enum io ws_answered(struct conn *c, struct ws *w, const struct http_head *h, size_t used)
{
	enum ws_failure why = ws_check_answer(h, w->accept);

	if (why != WS_OPEN) {
		struct view name = ws_failure_name(why);
		log_at(L_NOTICE, "net: the server refused the WebSocket upgrade: " VIEW_FMT " (status %u)", VIEW_ARG(name), h->status);
		conn_fail(c, NETC_ws_refused, SEND_REFUSED);
		return IO_ERR;
	}
	net_count(c->net, NETC_ws_upgrades);
	w->off = (uint32_t)used;
	w->step = WS_READY;
	return IO_OK;
}

/* Judge the head that is there so far. */
static enum io ws_judge(struct conn *c, unsigned at, struct ws *w)
{
	struct http_head h;
	enum http_reject why;
	size_t used = 0;
	struct view in = view_of(w->bytes, w->n);
	enum http_status st = c->origin.outbound ? http_parse_response(in, HTTP_HEAD_BYTES, &h, &used, &why) :
		http_parse_request(in, HTTP_HEAD_BYTES, &h, &used, &why);

	if (st == HTTP_MORE)
		return IO_AGAIN;
	if (st == HTTP_BAD) {
		char room[WS_ANSWER_BYTES];
		struct out o = out_to(room, sizeof room);
		if (!c->origin.outbound && http_write_reject(&o, why))
			return ws_refuse(c, at, &o, http_reject_name(why));
		conn_fail(c, NETC_ws_refused, SEND_REFUSED);
		return IO_ERR;
	}
	enum io r = c->origin.outbound ? ws_answered(c, w, &h, used) : ws_answer(c, at, w, &h, used);
	if (r == IO_OK && w->off == w->n) {
		free(w->bytes);
		w->bytes = NULL;
		w->n = w->off = 0;
	}
	return r;
}

static enum io ws_read_head(struct conn *c, unsigned at, struct ws *w)
{
	for (;;) {
		size_t got;
		bool whole;
		enum io r = stage_recv(c, at - 1, c->net->scratch, WS_READ_STEP, &got, &whole);

		if (got) {
			char *more = realloc(w->bytes, w->n + got);
			if (!more)
				return IO_ERR;
			memcpy(more + w->n, c->net->scratch, got);
			w->bytes = more;
			w->n += (uint32_t)got;
			enum io judged = ws_judge(c, at, w);
			if (judged != IO_AGAIN)
				return judged;
		}
		if (r != IO_OK)
			return r;
	}
}

static enum io ws_open(struct conn *c, unsigned at)
{
	struct ws *w = ws_of(c, at);

	if (!w) {
		c->state[at] = w = calloc(1, sizeof *w);
		if (!w)
			return IO_ERR;
		w->step = c->origin.outbound ? WS_WRITE_HEAD : WS_READ_HEAD;
		if (c->origin.outbound && !ws_ask(c, w))
			return IO_ERR;
	}
	if (w->step == WS_WRITE_HEAD) {
		enum io r = ws_write(c, at, w);
		if (r != IO_OK)
			return r;
		w->step = WS_READ_HEAD;
	}
	return ws_read_head(c, at, w);
}

static uint32_t ws_patience(const struct conn *c)
{
	return c->net->conf->handshake_ms;
}

static void ws_quiet(struct conn *c, unsigned at)
{
	control(c, WSLAY_PING, NULL, 0);
}

static void ws_close(struct conn *c, unsigned at, bool polite)
{
	struct ws *w = ws_of(c, at);

	if (!w)
		return;
	if (polite && !w->refused && !c->out) {
		uint8_t b[WRAP_MAX + 2], body[2] = { WSLAY_CODE_GOING_AWAY >> 8, WSLAY_CODE_GOING_AWAY & 0xff };
		size_t head = frame_wrap(c, b, WSLAY_CONNECTION_CLOSE, body, 2), sent;
		memcpy(b + head, body, 2);
		struct iovec v = { b, head + 2 };
		stage_send(c, at - 1, &v, 1, &sent);
	}
	frames_return(c->net, w, false);
	free(w->bytes);
	free(w);
	c->state[at] = NULL;
}

const struct stage_ops stage_ws = { .name = "ws", .open = ws_open, .patience = ws_patience, .recv = ws_recv, .wrap = ws_wrap,
	.quiet = ws_quiet, .close = ws_close };
