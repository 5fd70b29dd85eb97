/* Four workers on threads of their own, clients that talk to each other through whichever worker holds them: every message
 * arrives once.  Meant for the thread sanitizer too. */
#include "kit.h"
#include <stdatomic.h>

enum { WORKERS = 4, CLIENTS = 40, ROUNDS = 25 };

struct crew { struct host *h[WORKERS]; atomic_uint sent, refused; };
static struct crew crew;

/* The body of a message names the client it is for; it goes out to that client's address from the worker it came in on. */
static bool forward(void *arg, struct buf *bytes, struct view msg, const struct origin *o)
{
	struct host *h = arg;
	size_t at = view_find_view(msg, VIEW("\r\n\r\n")) + 4;
	struct target t = { .transport = o->transport, .from = o->socket, .downstream = true, .client = o };
	struct iovec v = { (char *)msg.p, msg.n };

	must(addr_parse(view_from(msg, at), &t.to));
	if (net_send(h->net, &t, &v, 1, (struct ref){ h->id, REF_BRANCH, 1, 1 }) == SEND_OK)
		atomic_fetch_add(&crew.sent, 1);
	else
		atomic_fetch_add(&crew.refused, 1);
	return true;
}

static void failed(void *arg, struct ref report, enum send_result why)
{
	atomic_fetch_add(&crew.refused, 1);
}

static void start(void)
{
	static const struct net_events ev = { NULL, forward, kit_bad, failed };

	for (int i = 0; i < WORKERS; i++) {
		struct host *h = crew.h[i] = kit_host();
		h->id = (uint16_t)i;
		if (i == 0) {
			kit_socket(h, TR_TCP);
			h->peers->n = WORKERS;
		} else {
			free(h->peers);
			h->own_peers = false;
			h->peers = crew.h[0]->peers;
			memcpy(h->sock, crew.h[0]->sock, sizeof h->sock);
			h->conf.nsockets = 1;
		}
		h->conf.sockets = h->sock;
		h->loop = loop_new(h->id, loop_clock_os());
		struct net_events mine = ev;
		struct out err = out_to(h->err, sizeof h->err);
		mine.arg = h;
		h->net = net_new(h->loop, h->id, &h->conf, &mine, h->peers, (struct hash_key){ 1, 2 }, &err);
		assert_non_null(h->net);
	}
	for (int i = 0; i < WORKERS; i++)
		assert_true(loop_thread_start(crew.h[i]->loop, "test", -1));
}

static void test_everybody_hears_everybody(void **state)
{
	static int fd[CLIENTS];
	static struct raw r[CLIENTS];
	static struct addr me[CLIENTS];
	char b[512], to[ADDR_TEXT_MAX];

	start();
	for (int i = 0; i < CLIENTS; i++) {
		fd[i] = raw_connect("127.0.0.3", &crew.h[0]->sock[0].at);
		me[i] = raw_name(fd[i]);
	}
	/* Every connection must be known before its address is used. */
	for (int tries = 0; tries < 2000; tries++) {
		uint64_t n = 0;
		for (int w = 0; w < WORKERS; w++)
			n += __atomic_load_n(&net_counts(crew.h[w]->net)->c[NETC_conn_accepted], __ATOMIC_RELAXED);
		if (n == CLIENTS)
			break;
		usleep(1000);
	}
	size_t each[CLIENTS] = { 0 };
	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < CLIENTS; i++) {
			int for_whom = (i * 7 + round) % CLIENTS;
			struct view v = addr_text(&me[for_whom], to);
			int n = snprintf(b, sizeof b, "MESSAGE sip:%d@%d SIP/2.0\r\nContent-Length: %zu\r\n\r\n%.*s", i, round, v.n, (int)v.n, v.p);
			each[for_whom] += (size_t)n;
			raw_put(fd[i], b, (size_t)n);
		}
	for (int i = 0; i < CLIENTS; i++)
		for (int tries = 0; r[i].n < each[i] && tries < 5000; tries++) {
			raw_hear(fd[i], &r[i]);
			if (r[i].n < each[i])
				usleep(1000);
		}
	for (int w = 0; w < WORKERS; w++) {
		loop_stop(crew.h[w]->loop);
		loop_thread_join(crew.h[w]->loop);
	}
	for (int i = 0; i < CLIENTS; i++) {
		assert_int_equal(r[i].n, each[i]);
		close(fd[i]);
	}
	assert_int_equal(atomic_load(&crew.sent), CLIENTS * ROUNDS);
	assert_int_equal(atomic_load(&crew.refused), 0);
	uint64_t letters = 0;
	for (int w = 0; w < WORKERS; w++)
		letters += kit_count(crew.h[w], NETC_letters_out);
	assert_true(letters > 0);
	for (int w = WORKERS; w-- > 0; )
		kit_close(crew.h[w]);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_everybody_hears_everybody) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
