/* A stream connection's life: framing, keepalives, deadlines, backpressure, limits, and messages between two workers. */
#include "kit.h"
#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>

#define MSG OPTIONS_WITH("conn")
#define BODY "MESSAGE sip:a@b SIP/2.0\r\nl: 5\r\n\r\nhello"

static struct host *edge(void)
{
	struct host *h = kit_host();
	kit_socket(h, TR_TCP);
	kit_open(h);
	return h;
}

static void test_messages_in_pieces(void **state)
{
	static const char all[] = MSG "\r\n" BODY "\r\n\r\n" MSG BODY BODY;
	static const char *const want[] = { MSG, BODY, MSG, BODY, BODY };
	static struct raw r;
	struct host *h = edge();

	for (size_t step = 1; step <= sizeof all; step = step * 3 + 1) {
		int fd = raw_connect("127.0.0.3", &h->sock[0].at);
		for (size_t at = 0; at < sizeof all - 1; at += step) {
			raw_put(fd, all + at, sizeof all - 1 - at < step ? sizeof all - 1 - at : step);
			kit_turn(HOSTS(h));
		}
		kit_until(HOSTS(h), h->nheard == COUNT_OF(want));
		for (unsigned i = 0; i < COUNT_OF(want); i++)
			assert_true(view_is(h->heard[i].text, view_str(want[i])));
		memset(&r, 0, sizeof r);
		raw_until(HOSTS(h), fd, &r, r.n == 2);          /* one ping, one pong */
		kit_forget(h);
		close(fd);
	}
	assert_int_equal(kit_count(h, NETC_frame_bad), 0);
	kit_close(h);
}

static void test_bad_frame_is_answered_then_closed(void **state)
{
	static struct raw r;
	struct host *h = edge();
	int fd = raw_connect("127.0.0.3", &h->sock[0].at);

	h->answer = "SIP/2.0 400 Bad Request\r\n\r\n";
	raw_say(fd, BODY "OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 0\r\nl: 0\r\n\r\n" MSG);
	memset(&r, 0, sizeof r);
	raw_until(HOSTS(h), fd, &r, r.closed);
	assert_string_equal(r.b, h->answer);
	assert_int_equal(h->nheard, 1);                         /* nothing after the fault */
	assert_int_equal(h->nbad, 1);
	assert_int_equal(h->bad[0].why, SIP_FAULT_BAD_LENGTH);
	assert_true(view_starts(h->bad[0].head, VIEW("OPTIONS ")) && view_ends(h->bad[0].head, VIEW("\r\n\r\n")));
	assert_int_equal(kit_count(h, NETC_frame_bad), 1);
	close(fd);
	kit_close(h);
}

static void test_message_deadline(void **state)
{
	struct host *h = edge();
	int slow = raw_connect("127.0.0.3", &h->sock[0].at), quiet = raw_connect("127.0.0.3", &h->sock[0].at);

	raw_say(slow, "OPTIONS sip:a@b SIP/2.0\r\n");
	raw_say(quiet, "\r\n");
	kit_turns(HOSTS(h), 5);
	kit_later(HOSTS(h), CONN_MESSAGE_MS - 1);
	raw_say(slow, "To: x\r\n");                             /* drops do not renew it */
	kit_turns(HOSTS(h), 2);
	assert_int_equal(kit_count(h, NETC_conn_timeout), 0);
	kit_later(HOSTS(h), 2);
	kit_until(HOSTS(h), kit_count(h, NETC_conn_timeout) == 1);
	kit_later(HOSTS(h), CONN_MESSAGE_MS);
	assert_int_equal(kit_count(h, NETC_conn_closed), 1);    /* a lone CRLF is no message */
	close(slow);
	close(quiet);
	kit_close(h);
}

static void test_backpressure(void **state)
{
	struct host *h = edge();
	int fd = raw_connect("127.0.0.3", &h->sock[0].at);

	h->busy = true;
	raw_say(fd, MSG MSG BODY "OPTIONS sip:half@b SIP/2.0\r\n");
	kit_until(HOSTS(h), h->nheard == 1);
	assert_int_equal(kit_count(h, NETC_conn_paused), 1);
	raw_say(fd, "Content-Length: 0\r\n\r\n");
	/* Our own slowness breaks no deadline and loses nothing. */
	kit_later(HOSTS(h), CONN_MESSAGE_MS + 1000);
	kit_later(HOSTS(h), CONN_IDLE_MS + 1000);
	assert_int_equal(h->nheard, 1);
	assert_int_equal(kit_count(h, NETC_conn_closed), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(loop_turn(h->loop, 1), 0);
	struct ref c = h->heard[0].o.conn;
	net_resume(h->net, c);
	kit_until(HOSTS(h), h->nheard == 2);
	h->busy = false;
	net_resume(h->net, c);
	kit_until(HOSTS(h), h->nheard == 4);
	assert_true(view_starts(h->heard[3].text, VIEW("OPTIONS sip:half@b")));
	assert_int_equal(kit_count(h, NETC_conn_closed), 0);
	net_resume(h->net, NO_REF);
	close(fd);
	kit_close(h);
}

static void test_paused_peer_that_leaves(void **state)
{
	struct host *h = edge();
	int fd = raw_connect("127.0.0.3", &h->sock[0].at);

	h->busy = true;
	raw_say(fd, MSG BODY);
	kit_until(HOSTS(h), h->nheard == 1);
	struct linger l = { 1, 0 };
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
	close(fd);                                              /* a reset */
	kit_turns(HOSTS(h), 2);
	for (int i = 0; i < 20; i++)
		assert_int_equal(loop_turn(h->loop, 1), 0);     /* no spinning on a dead socket */
	h->busy = false;
	net_resume(h->net, h->heard[0].o.conn);
	kit_until(HOSTS(h), kit_count(h, NETC_conn_closed) == 1);
	assert_int_equal(h->nheard, 2);                         /* what had been read was served */
	kit_close(h);
}

static void test_half_closed_peer_is_answered(void **state)
{
	static struct raw r;
	struct host *h = edge();
	int fd = raw_connect("127.0.0.3", &h->sock[0].at);

	raw_say(fd, "\r\n\r\n");
	shutdown(fd, SHUT_WR);
	memset(&r, 0, sizeof r);
	raw_until(HOSTS(h), fd, &r, r.closed);
	assert_int_equal(r.n, 2);
	close(fd);
	kit_close(h);
}

static void test_limit(void **state)
{
	enum { MAX = 3 };
	static struct raw r;
	struct host *h = kit_host();
	kit_socket(h, TR_TCP);
	h->conf.max_conns = MAX;
	kit_open(h);
	int fd[MAX + 2];
	for (int i = 0; i < MAX + 2; i++)
		fd[i] = raw_connect("127.0.0.3", &h->sock[0].at);
	kit_until(HOSTS(h), kit_count(h, NETC_conn_refused_limit) == 2);
	memset(&r, 0, sizeof r);
	raw_until(HOSTS(h), fd[MAX + 1], &r, r.closed);
	close(fd[0]);
	kit_until(HOSTS(h), kit_count(h, NETC_conn_closed) == 1);
	int again = raw_connect("127.0.0.3", &h->sock[0].at);
	raw_say(again, MSG);
	kit_until(HOSTS(h), h->nheard == 1);
	for (int i = 1; i < MAX + 2; i++)
		close(fd[i]);
	close(again);
	kit_close(h);
}

static void test_out_of_descriptors(void **state)
{
	struct host *h = edge();
	struct rlimit was, now;
	int fd = raw_connect("127.0.0.3", &h->sock[0].at);

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	now = was;
	now.rlim_cur = (rlim_t)fd + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	kit_until(HOSTS(h), kit_count(h, NETC_conn_refused_limit) == 1);
	for (int i = 0; i < 20; i++)
		assert_int_equal(loop_turn(h->loop, 1), 0);     /* waiting, not spinning */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	kit_later(HOSTS(h), 101);
	raw_say(fd, MSG);
	kit_until(HOSTS(h), h->nheard == 1);
	close(fd);
	kit_close(h);
}

static void test_a_flood_shares_the_worker(void **state)
{
	enum { BIG = 60000 };
	struct host *h = edge();
	int flood = raw_connect("127.0.0.3", &h->sock[0].at), other = raw_connect("127.0.0.4", &h->sock[0].at);
	static char msg[BIG + 200];
	int n = snprintf(msg, sizeof msg, "MESSAGE sip:a@b SIP/2.0\r\nl: %d\r\n\r\n", BIG);
	int size = 1 << 20;

	setsockopt(flood, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	memset(msg + n, 'q', BIG);
	kit_turns(HOSTS(h), 3);
	for (int i = 0; i < 8; i++)
		if (send(flood, msg, (size_t)n + BIG, MSG_NOSIGNAL) < n + BIG)
			break;
	raw_say(other, MSG);
	loop_turn(h->loop, 10);
	loop_turn(h->loop, 10);
	bool served = false;
	for (unsigned i = 0; i < h->nheard; i++)
		served = served || view_is(h->heard[i].text, VIEW(MSG));
	assert_true(served);
	assert_true(h->nheard <= 4);                            /* a budget's worth of the flood, per turn */
	close(flood);
	close(other);
	kit_close(h);
}

/* ---- two workers ---- */

struct pair { struct host *h[2]; };

static struct pair workers(void)
{
	struct pair p = { { kit_host(), kit_host() } };

	free(p.h[1]->peers);
	p.h[1]->own_peers = false;
	p.h[1]->peers = p.h[0]->peers;
	p.h[0]->peers->n = 2;
	p.h[1]->id = 1;
	kit_socket(p.h[0], TR_TCP);
	kit_socket(p.h[0], TR_UDP);
	memcpy(p.h[1]->sock, p.h[0]->sock, sizeof p.h[1]->sock);
	p.h[1]->conf.nsockets = p.h[0]->conf.nsockets;
	kit_open(p.h[0]);
	kit_open(p.h[1]);
	return p;
}

static void workers_close(struct pair *p)
{
	kit_close(p->h[1]);
	kit_close(p->h[0]);
}

static void test_letters(void **state)
{
	static struct raw r;
	struct pair p = workers();
	struct host **both = HOSTS(p.h[0], p.h[1]);
	int fd = -1;

	/* The kernel picks the worker: try until it is the second one. */
	for (int i = 0; i < 64 && !p.h[1]->nheard; i++) {
		if (fd >= 0)
			close(fd);
		fd = raw_connect("127.0.0.3", &p.h[0]->sock[0].at);
		raw_say(fd, MSG);
		kit_until(both, p.h[0]->nheard + p.h[1]->nheard == (unsigned)i + 1);
	}
	assert_int_equal(p.h[1]->nheard, 1);
	const struct origin *o = &p.h[1]->heard[0].o;
	assert_int_equal(o->conn.worker, 1);
	struct target t = { .transport = TR_TCP, .from = o->socket, .to = o->wire_src, .flow = o->conn, .flow_only = true, .downstream = true,
		.client = o };
	assert_int_equal(kit_send(p.h[0], &t, RESPONSE, kit_ref(9)), SEND_OK);
	memset(&r, 0, sizeof r);
	raw_until(both, fd, &r, r.n == sizeof RESPONSE - 1);
	assert_int_equal(kit_count(p.h[0], NETC_letters_out), 1);
	assert_int_equal(p.h[0]->nfailed, 0);
	/* The news that it was too late comes back to the worker that asked. */
	close(fd);
	kit_until(both, kit_count(p.h[1], NETC_conn_closed) == 1);
	assert_int_equal(kit_send(p.h[0], &t, RESPONSE, kit_ref(9)), SEND_OK);
	kit_until(both, p.h[0]->nfailed == 1);
	assert_int_equal(p.h[0]->failed[0].why, SEND_DEAD);
	assert_int_equal(p.h[0]->failed[0].report.slot, 9);
	assert_int_equal(p.h[1]->nfailed, 0);
	workers_close(&p);
}

static void test_orders_travel(void **state)
{
	struct pair p = workers();
	struct host **both = HOSTS(p.h[0], p.h[1]);
	int fd = raw_connect("127.0.0.3", &p.h[0]->sock[0].at);

	p.h[0]->busy = p.h[1]->busy = true;
	raw_say(fd, MSG BODY);
	kit_until(both, p.h[0]->nheard + p.h[1]->nheard == 1);
	struct host *owner = p.h[0]->nheard ? p.h[0] : p.h[1], *other = p.h[0]->nheard ? p.h[1] : p.h[0];
	struct ref c = owner->heard[0].o.conn;
	kit_turns(both, 3);
	assert_int_equal(owner->nheard, 1);
	net_resume(other->net, c);
	kit_until(both, owner->nheard == 2);
	assert_true(net_close(other->net, c));
	kit_until(both, kit_count(owner, NETC_conn_closed) == 1);
	close(fd);
	workers_close(&p);
}

/* A client's connection is found by its address from any worker, as a browser's Contact needs. */
static void test_connection_of_another_worker_by_address(void **state)
{
	static struct raw r;
	struct pair p = workers();
	struct host **both = HOSTS(p.h[0], p.h[1]);
	int fd = raw_connect("127.0.0.3", &p.h[0]->sock[0].at);

	raw_say(fd, MSG);
	kit_until(both, p.h[0]->nheard + p.h[1]->nheard == 1);
	for (int i = 0; i < 2; i++) {
		struct target t = { .transport = TR_TCP, .from = &p.h[i]->sock[0], .to = raw_name(fd), .downstream = true };
		assert_int_equal(kit_send(p.h[i], &t, RESPONSE, NO_REF), SEND_OK);
	}
	memset(&r, 0, sizeof r);
	raw_until(both, fd, &r, r.n == 2 * (sizeof RESPONSE - 1));
	assert_int_equal(kit_count(p.h[0], NETC_conn_opened) + kit_count(p.h[1], NETC_conn_opened), 0);
	close(fd);
	workers_close(&p);
}

/* An answer may come in on the other worker's socket than the request left from. */
static void test_sent_to_is_shared(void **state)
{
	struct pair p = workers();
	struct host **both = HOSTS(p.h[0], p.h[1]);
	static struct cidr list;

	list = kit_cidr("10.0.0.0/8");
	for (int i = 0; i < 2; i++) {
		p.h[i]->sock[1].pp_mode = PP_MODE_REQUIRE;
		p.h[i]->sock[1].pp_peers = (struct cidr_list){ &list, 1, true };
	}
	for (int i = 0; i < 8; i++) {
		int up = raw_socket(SOCK_DGRAM, "127.0.0.9");
		struct target t = { .transport = TR_UDP, .from = &p.h[0]->sock[1], .to = raw_name(up) };
		assert_int_equal(kit_send(p.h[i % 2], &t, MSG, NO_REF), SEND_OK);
		kit_turns(both, 1);
		raw_to(up, &p.h[0]->sock[1].at, RESPONSE, sizeof RESPONSE - 1);
		kit_until(both, p.h[0]->nheard + p.h[1]->nheard == (unsigned)i + 1);
		close(up);
	}
	workers_close(&p);
}

/* ---- what it costs ---- */

static size_t cost(struct host *h, const char *first, const struct addr *at)
{
	enum { N = 100 };
	int fd[2 * N];
	size_t before = 0;

	for (int i = 0; i < 2 * N; i++) {
		if (i == N) {
			kit_forget(h);
			before = mallinfo2().uordblks;
		}
		fd[i] = raw_connect("127.0.0.3", at);
		raw_say(fd[i], first);
		kit_turns(HOSTS(h), 1);
	}
	kit_turns(HOSTS(h), 3);
	kit_forget(h);
	size_t each = (mallinfo2().uordblks - before) / N;
	for (int i = 0; i < 2 * N; i++)
		close(fd[i]);
	kit_turns(HOSTS(h), 5);
	return before ? each : 0;
}

static void test_costs(void **state)
{
	struct host *h = kit_host();
	static struct cidr list;

	list = kit_cidr("127.0.0.3");
	kit_socket(h, TR_TCP);
	struct socket_conf *pp = kit_socket(h, TR_TCP);
	pp->pp_mode = PP_MODE_REQUIRE;
	pp->pp_peers = (struct cidr_list){ &list, 1, true };
	kit_socket(h, TR_WS);
	kit_open(h);
	size_t idle = cost(h, MSG, &h->sock[0].at), half = cost(h, "PROXY TCP4 192.0.2.1 ", &pp->at), upgrade = cost(h, "GET / HTTP/1.1\r\n", &h->sock[2].at);
	print_message("bytes held: idle TCP %zu, half a PROXY header %zu, half an upgrade %zu\n", idle, half, upgrade);
	assert_true(idle <= 4096);
	assert_true(half <= 1024);
	assert_true(upgrade <= 4096);
	kit_close(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_in_pieces),
		cmocka_unit_test(test_bad_frame_is_answered_then_closed),
		cmocka_unit_test(test_message_deadline),
		cmocka_unit_test(test_backpressure),
		cmocka_unit_test(test_paused_peer_that_leaves),
		cmocka_unit_test(test_half_closed_peer_is_answered),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_out_of_descriptors),
		cmocka_unit_test(test_a_flood_shares_the_worker),
		cmocka_unit_test(test_letters),
		cmocka_unit_test(test_orders_travel),
		cmocka_unit_test(test_connection_of_another_worker_by_address),
		cmocka_unit_test(test_sent_to_is_shared),
		cmocka_unit_test(test_costs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
