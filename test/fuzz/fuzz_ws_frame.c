/* WebSocket frames through the real stage: whatever comes, in whatever pieces, gives the same messages and the same end. */
#include "net/stage.h"
#include <sys/eventfd.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define UPGRADE "GET / HTTP/1.1\r\nHost: edge\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" \
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n\r\n"

static struct {
	const uint8_t *data;
	size_t         n, at, limit;       /* all bytes, given out, may be given out now */
	uint64_t       sum;                /* of what came out at the top */
	unsigned       messages;
} run;

static enum io source_recv(struct conn *c, unsigned at, char *p, size_t n, size_t *got, bool *whole)
{
	size_t head = sizeof UPGRADE - 1, k = run.limit - run.at < n ? run.limit - run.at : n;

	*whole = false;
	for (size_t i = 0; i < k; i++, run.at++)
		p[i] = run.at < head ? UPGRADE[run.at] : (char)run.data[run.at - head];
	*got = k;
	return k ? IO_OK : IO_AGAIN;
}

static enum io sink_send(struct conn *c, unsigned at, const struct iovec *iov, int n, size_t *sent)
{
	*sent = 0;
	for (int i = 0; i < n; i++)
		*sent += iov[i].iov_len;
	return IO_OK;
}

static const struct stage_ops source = { .name = "source", .recv = source_recv, .send = sink_send };
static const struct stage_ops *const wired[] = { &source, &stage_ws, &stage_frame, NULL };

static bool message(void *arg, struct buf *bytes, struct view m, const struct origin *o)
{
	must(m.n > 0 && m.n <= MSG_MAX_BYTES);
	run.sum = siphash((struct hash_key){ run.sum, run.messages++ }, m.p, m.n);
	return true;
}

static void bad_frame(void *arg, struct view head, enum sip_fault why, const struct origin *o)
{
	must(false);        /* boundaries are the frames': nothing is framed twice */
}

static void send_failed(void *arg, struct ref report, enum send_result why)
{
	must(false);
}

static uint64_t clock_ms(void *arg)
{
	return 1000;
}

static struct net *a_net(struct loop **l)
{
	static struct net_peers peers;
	static const struct net_conf conf = { .idle_ms = 1000, .message_ms = 1000, .handshake_ms = 1000, .connect_ms = 1000,
		.max_message = MSG_MAX_BYTES, .max_conns = 4, .crlf_pong = true };
	static const struct net_events ev = { NULL, message, bad_frame, send_failed };
	char text[128];
	struct out err = out_to(text, sizeof text);

	log_set_level(L_ALERT - 1);
	peers.n = 1;
	*l = loop_new(0, (struct loop_clock){ clock_ms, clock_ms, NULL });
	must(*l);
	struct net *n = net_new(*l, 0, &conf, &ev, &peers, (struct hash_key){ 1, 2 }, &err);
	must(n);
	return n;
}

/* True if the connection survived. */
static bool feed(struct net *n, const uint8_t *data, size_t size, size_t step)
{
	static const struct socket_conf sock = { .transport = TR_WS, .text = VIEW_INIT("fuzz") };
	struct addr a = { .af = AF_V4, .port = 1 };
	struct conn *c = conn_new(n, eventfd(0, EFD_CLOEXEC), &sock, TR_WS, false, &a, &a);

	must(c);
	c->ops = wired;
	c->stages = 3;
	memset(&run, 0, sizeof run);
	run.data = data;
	run.n = sizeof UPGRADE - 1 + size;
	run.limit = sizeof UPGRADE - 1;
	for (;;) {
		conn_start(c);
		do {
			conn_run_lists(n);
		} while (!list_empty(&n->due));
		if (!n->live)
			return false;
		if (run.limit == run.n)
			break;
		run.limit += run.n - run.limit < step ? run.n - run.limit : step;
	}
	c->failed = SEND_DEAD;
	conn_kill(c);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct net *n;
	static struct loop *l;

	if (!n)
		n = a_net(&l);
	if (!size)
		return 0;
	bool alive = feed(n, data + 1, size - 1, size);
	uint64_t sum = run.sum;
	unsigned messages = run.messages;
	bool same = feed(n, data + 1, size - 1, data[0] % 31 + 1u);
	must(alive == same && sum == run.sum && messages == run.messages);
	return 0;
}
