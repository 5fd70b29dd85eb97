/* Which connection carries a message, what stands first on it, and who hears when it fails. */
#include "kit.h"

#define MSG OPTIONS_WITH("pool")

struct up { int fd; struct addr at; };

static struct up upstream(const char *ip)
{
	struct up u = { raw_socket(SOCK_STREAM, ip), { 0 } };
	assert_int_equal(listen(u.fd, 64), 0);
	u.at = raw_name(u.fd);
	return u;
}

static int up_accept(struct host *h, struct up *u)
{
	for (int i = 0; i < TURNS; i++) {
		int fd = accept(u->fd, NULL, NULL);
		if (fd >= 0) {
			fcntl(fd, F_SETFL, O_NONBLOCK);
			return fd;
		}
		kit_turn(HOSTS(h));
	}
	fail_msg("nobody connected");
	return -1;
}

static struct host *edge(bool send_pp, uint8_t version)
{
	struct host *h = kit_host();
	struct socket_conf *s = kit_socket(h, TR_TCP);

	s->send_pp = send_pp;
	s->send_version = version;
	kit_open(h);
	return h;
}

static struct origin client(struct host *h, const char *src)
{
	struct origin o = { .socket = &h->sock[0], .transport = TR_TCP, .wire_src = kit_addr(src), .wire_dst = h->sock[0].at };
	o.real_src = o.wire_src;
	o.real_dst = o.wire_dst;
	return o;
}

static void header_of(struct host *h, const struct origin *c, char *out, size_t cap)
{
	char ip[ADDR_TEXT_MAX];
	struct view v = addr_ip_text(&c->real_src, ip);
	snprintf(out, cap, "PROXY TCP4 " VIEW_FMT " 127.0.0.1 %u %u\r\n", VIEW_ARG(v), c->real_src.port, h->sock[0].at.port);
}

static void test_header_once_and_first(void **state)
{
	static struct raw r;
	struct host *h = edge(true, 1);
	struct up u = upstream("127.0.0.9");
	struct origin c = client(h, "192.0.2.1:1000");
	struct target t = { .transport = TR_TCP, .from = &h->sock[0], .to = u.at, .client = &c };
	char head[128];

	/* Both wait for the connect; the header goes before them, once. */
	assert_int_equal(kit_send(h, &t, MSG, NO_REF), SEND_OK);
	assert_int_equal(kit_send(h, &t, MSG, NO_REF), SEND_OK);
	int fd = up_accept(h, &u);
	kit_turns(HOSTS(h), 3);
	assert_int_equal(kit_send(h, &t, MSG, NO_REF), SEND_OK);
	header_of(h, &c, head, sizeof head);
	memset(&r, 0, sizeof r);
	raw_until(HOSTS(h), fd, &r, r.n == strlen(head) + 3 * (sizeof MSG - 1));
	assert_memory_equal(r.b, head, strlen(head));
	for (int i = 0; i < 3; i++)
		assert_memory_equal(r.b + strlen(head) + (size_t)i * (sizeof MSG - 1), MSG, sizeof MSG - 1);
	assert_int_equal(kit_count(h, NETC_pp_sent), 1);
	assert_int_equal(kit_count(h, NETC_conn_opened), 1);
	/* What the upstream answers comes in on our own connection. */
	raw_say(fd, RESPONSE);
	kit_until(HOSTS(h), h->nheard == 1);
	assert_true(h->heard[0].o.outbound);
	close(fd);
	close(u.fd);
	kit_close(h);
}

static void test_clients_never_share(void **state)
{
	enum { N = 20 };
	static struct raw r;
	struct host *h = edge(true, 1);
	struct up u = upstream("127.0.0.9");
	struct origin c[N];
	char name[32], head[128];
	int seen = 0;

	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof name, "192.0.2.%d:%d", i + 1, 1000 + i);
		c[i] = client(h, name);
	}
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < N; i++) {
			struct target t = { .transport = TR_TCP, .from = &h->sock[0], .to = u.at, .client = &c[i] };
			char msg[1024];
			snprintf(msg, sizeof msg, "OPTIONS sip:client%d@b SIP/2.0\r\nContent-Length: 0\r\n\r\n", i);
			assert_int_equal(kit_send(h, &t, msg, NO_REF), SEND_OK);
		}
	for (int k = 0; k < N; k++) {
		int fd = up_accept(h, &u);
		memset(&r, 0, sizeof r);
		raw_until(HOSTS(h), fd, &r, view_find_view(view_of(r.b, r.n), VIEW("\r\n\r\nOPTIONS")) < r.n && view_ends(view_of(r.b, r.n), VIEW("\r\n\r\n")));
		for (int i = 0; i < N; i++) {
			header_of(h, &c[i], head, sizeof head);
			if (!view_starts(view_of(r.b, r.n), view_str(head)))
				continue;
			char want[512];
			snprintf(want, sizeof want, "%sOPTIONS sip:client%d@b SIP/2.0\r\nContent-Length: 0\r\n\r\nOPTIONS sip:client%d@b SIP/2.0\r\n"
				"Content-Length: 0\r\n\r\n", head, i, i);
			assert_string_equal(r.b, want);
			seen++;
		}
		close(fd);
	}
	assert_int_equal(seen, N);
	assert_int_equal(kit_count(h, NETC_pp_sent), N);
	close(u.fd);
	kit_close(h);
}

static void test_without_headers_clients_share(void **state)
{
	struct host *h = edge(false, 1);
	struct up u = upstream("127.0.0.9");
	struct origin a = client(h, "192.0.2.1:1000"), b = client(h, "192.0.2.2:1000");
	struct target t = { .transport = TR_TCP, .from = &h->sock[0], .to = u.at, .client = &a };

	assert_int_equal(kit_send(h, &t, MSG, NO_REF), SEND_OK);
	t.client = &b;
	assert_int_equal(kit_send(h, &t, MSG, NO_REF), SEND_OK);
	kit_turns(HOSTS(h), 3);
	assert_int_equal(kit_count(h, NETC_conn_opened), 1);
	close(u.fd);
	kit_close(h);
}

static void test_own_traffic_is_local(void **state)
{
	static struct raw r;
	struct host *h = edge(true, 2);
	struct up u = upstream("127.0.0.9");
	struct target t = { .transport = TR_TCP, .from = &h->sock[0], .to = u.at };

	assert_int_equal(kit_send(h, &t, MSG, NO_REF), SEND_OK);
	int fd = up_accept(h, &u);
	memset(&r, 0, sizeof r);
	raw_until(HOSTS(h), fd, &r, r.n == 16 + sizeof MSG - 1);
	assert_memory_equal(r.b, "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16);
	close(fd);
	close(u.fd);
	kit_close(h);
}

static void test_refused_connect_tells_each(void **state)
{
	struct host *h = edge(true, 1);
	struct up u = upstream("127.0.0.9");
	struct target t = { .transport = TR_TCP, .from = &h->sock[0], .to = u.at };

	close(u.fd);
	enum send_result a = kit_send(h, &t, MSG, kit_ref(1));
	enum send_result b = kit_send(h, &t, MSG, kit_ref(2));
	/* Loopback may know at once; otherwise both hear later, once each. */
	if (a == SEND_OK && b == SEND_OK) {
		assert_int_equal(h->nfailed, 0);
		kit_until(HOSTS(h), h->nfailed == 2);
		assert_int_equal(h->failed[0].report.slot + h->failed[1].report.slot, 3);
		assert_int_equal(h->failed[0].why, SEND_REFUSED);
	} else {
		assert_int_equal(a, SEND_REFUSED);
	}
	assert_true(kit_count(h, NETC_conn_connect_failed) > 0);
	kit_turns(HOSTS(h), 5);
	assert_true(h->nfailed <= 2);
	kit_close(h);
}

static void test_connect_deadline(void **state)
{
	struct host *h = edge(false, 1);
	/* A listener whose queue is full never completes a connect. */
	int l = raw_socket(SOCK_STREAM, "127.0.0.9"), fill[8];
	listen(l, 0);
	struct addr at = raw_name(l);
	struct sockaddr_storage ss;
	unsigned n = addr_to_sockaddr(&at, &ss);
	for (int i = 0; i < 8; i++) {
		fill[i] = raw_socket(SOCK_STREAM, "127.0.0.1");
		connect(fill[i], (struct sockaddr *)&ss, n);
	}
	usleep(20000);
	struct target t = { .transport = TR_TCP, .from = &h->sock[0], .to = at };
	assert_int_equal(kit_send(h, &t, MSG, kit_ref(5)), SEND_OK);
	kit_turns(HOSTS(h), 3);
	assert_int_equal(h->nfailed, 0);
	kit_later(HOSTS(h), CONN_CONNECT_MS + 1);
	kit_until(HOSTS(h), h->nfailed == 1);
	assert_int_equal(h->failed[0].why, SEND_TIMEOUT);
	for (int i = 0; i < 8; i++)
		close(fill[i]);
	close(l);
	kit_close(h);
}

static void test_flows(void **state)
{
	static struct raw r;
	struct host *h = edge(true, 1);
	int phone = raw_connect("127.0.0.3", &h->sock[0].at);

	raw_say(phone, MSG);
	kit_until(HOSTS(h), h->nheard == 1);
	const struct origin *o = &h->heard[0].o;
	struct target t = { .transport = TR_TCP, .from = o->socket, .to = o->wire_src, .flow = o->conn, .flow_only = true, .downstream = true };
	assert_int_equal(kit_send(h, &t, RESPONSE, NO_REF), SEND_OK);
	memset(&r, 0, sizeof r);
	raw_until(HOSTS(h), phone, &r, r.n == sizeof RESPONSE - 1);
	/* Without a flow the same connection is found by its address... */
	assert_true(ref_same(net_find_conn(h->net, TR_TCP, &o->wire_src), o->conn));
	t.flow = NO_REF;
	t.flow_only = false;
	assert_int_equal(kit_send(h, &t, RESPONSE, NO_REF), SEND_OK);
	raw_until(HOSTS(h), phone, &r, r.n == 2 * (sizeof RESPONSE - 1));
	assert_int_equal(kit_count(h, NETC_conn_opened), 0);
	/* ...and a dead one is a normal answer. */
	t.flow = o->conn;
	t.flow_only = true;
	close(phone);
	kit_until(HOSTS(h), kit_count(h, NETC_conn_closed) == 1);
	assert_int_equal(kit_send(h, &t, RESPONSE, NO_REF), SEND_DEAD);
	assert_false(ref_set(net_find_conn(h->net, TR_TCP, &o->wire_src)));
	kit_close(h);
}

/* Even where a flow names an announced connection, only its client uses it. */
static void test_a_flow_does_not_lend_a_header(void **state)
{
	static struct raw r;
	struct host *h = edge(true, 1);
	struct up u = upstream("127.0.0.9");
	struct origin a = client(h, "192.0.2.1:1000"), b = client(h, "192.0.2.2:1000");
	struct target t = { .transport = TR_TCP, .from = &h->sock[0], .to = u.at, .client = &a };

	assert_int_equal(kit_send(h, &t, MSG, NO_REF), SEND_OK);
	int fd = up_accept(h, &u);
	raw_say(fd, MSG);
	kit_until(HOSTS(h), h->nheard == 1);
	t.flow = h->heard[0].o.conn;
	t.flow_only = true;
	assert_int_equal(kit_send(h, &t, MSG, NO_REF), SEND_OK);
	t.client = &b;
	assert_int_equal(kit_send(h, &t, MSG, NO_REF), SEND_DEAD);
	t.client = NULL;
	assert_int_equal(kit_send(h, &t, MSG, NO_REF), SEND_DEAD);
	/* An answer to the upstream's own request goes back where it came from. */
	t.downstream = true;
	assert_int_equal(kit_send(h, &t, RESPONSE, NO_REF), SEND_OK);
	t.downstream = false;
	t.client = &b;
	t.flow_only = false;
	assert_int_equal(kit_send(h, &t, MSG, NO_REF), SEND_OK);
	int other = up_accept(h, &u);
	char head[128];
	header_of(h, &b, head, sizeof head);
	memset(&r, 0, sizeof r);
	raw_until(HOSTS(h), other, &r, r.n == strlen(head) + sizeof MSG - 1);
	assert_memory_equal(r.b, head, strlen(head));
	close(fd);
	close(other);
	close(u.fd);
	kit_close(h);
}

/* An upstream that restarts: the next message opens a new connection, which announces its client again. */
static void test_upstream_restarts(void **state)
{
	static struct raw r;
	struct host *h = edge(true, 1);
	struct up u = upstream("127.0.0.9");
	struct origin a = client(h, "192.0.2.1:1000");
	struct target t = { .transport = TR_TCP, .from = &h->sock[0], .to = u.at, .client = &a };
	char head[128];

	header_of(h, &a, head, sizeof head);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(kit_send(h, &t, MSG, NO_REF), SEND_OK);
		int fd = up_accept(h, &u);
		memset(&r, 0, sizeof r);
		raw_until(HOSTS(h), fd, &r, r.n == strlen(head) + sizeof MSG - 1);
		assert_memory_equal(r.b, head, strlen(head));
		close(fd);
		kit_until(HOSTS(h), kit_count(h, NETC_conn_closed) == (uint64_t)i + 1);
	}
	close(u.fd);
	kit_close(h);
}

static void test_full_queue_and_its_end(void **state)
{
	struct host *h = edge(false, 1);
	struct up u = upstream("127.0.0.9");
	static char big[60001];
	struct target t = { .transport = TR_TCP, .from = &h->sock[0], .to = u.at };
	enum send_result r = SEND_OK;
	unsigned sent = 0;

	memset(big, 'x', sizeof big - 1);
	assert_int_equal(kit_send(h, &t, MSG, NO_REF), SEND_OK);
	int fd = up_accept(h, &u);
	for (int i = 0; i < 2000 && r == SEND_OK; i++) {
		r = kit_send(h, &t, big, kit_ref(i));
		sent += r == SEND_OK;
		kit_turn(HOSTS(h));
	}
	assert_int_equal(r, SEND_FULL);
	assert_true(kit_count(h, NETC_conn_out_full) > 0);
	assert_int_equal(h->nfailed, 0);
	assert_int_equal(kit_count(h, NETC_conn_closed), 0);
	/* A peer that takes nothing for long is given up; whoever waited hears of it. */
	kit_later(HOSTS(h), CONN_STALL_MS + 1);
	kit_until(HOSTS(h), kit_count(h, NETC_conn_closed) == 1 && h->nfailed > 0);
	assert_true(h->nfailed <= sent);
	assert_int_equal(h->failed[0].why, SEND_TIMEOUT);
	close(fd);
	close(u.fd);
	kit_close(h);
}

static void test_slow_reader_gets_everything(void **state)
{
	enum { N = 100 };
	static struct raw r;
	struct host *h = edge(false, 1);
	struct up u = upstream("127.0.0.9");
	struct target t = { .transport = TR_TCP, .from = &h->sock[0], .to = u.at };
	static char msg[10001];
	size_t heard = 0;

	assert_int_equal(kit_send(h, &t, "first", NO_REF), SEND_OK);
	int fd = up_accept(h, &u);
	for (int i = 0; i < N; i++) {
		memset(msg, 'a' + i % 26, sizeof msg - 1);
		assert_int_equal(kit_send(h, &t, msg, NO_REF), SEND_OK);
	}
	for (int i = 0; i < 4000 && heard < 5 + N * (sizeof msg - 1); i++) {
		ssize_t n = recv(fd, r.b, 3000, MSG_DONTWAIT);
		for (ssize_t k = 0; k < n; k++, heard++)
			if (heard >= 5)
				assert_int_equal(r.b[k], 'a' + (int)((heard - 5) / (sizeof msg - 1)) % 26);
		loop_turn(h->loop, 1);
	}
	assert_int_equal(heard, 5 + N * (sizeof msg - 1));
	close(fd);
	close(u.fd);
	kit_close(h);
}

static void test_idle_ends(void **state)
{
	struct host *h = edge(false, 1);
	struct up u = upstream("127.0.0.9");
	struct target t = { .transport = TR_TCP, .from = &h->sock[0], .to = u.at };

	assert_int_equal(kit_send(h, &t, MSG, NO_REF), SEND_OK);
	int fd = up_accept(h, &u);
	kit_turns(HOSTS(h), 3);
	kit_later(HOSTS(h), CONN_IDLE_MS - 10);
	assert_int_equal(kit_count(h, NETC_conn_idle), 0);
	kit_later(HOSTS(h), 20);
	kit_until(HOSTS(h), kit_count(h, NETC_conn_idle) == 1);
	close(fd);
	close(u.fd);
	kit_close(h);
}

static void test_pick(void **state)
{
	struct socket_conf s[] = {
		{ .index = 0, .transport = TR_UDP, .at = kit_addr("192.0.2.1:5060"), .text = VIEW_INIT("udp:192.0.2.1:5060") },
		{ .index = 1, .transport = TR_UDP, .at = kit_addr("192.0.2.2:5060"), .text = VIEW_INIT("udp:192.0.2.2:5060") },
		{ .index = 2, .transport = TR_TCP, .at = kit_addr("192.0.2.3:5060"), .text = VIEW_INIT("tcp:192.0.2.3:5060") },
		{ .index = 3, .transport = TR_TCP, .at = kit_addr("192.0.2.2:5070"), .text = VIEW_INIT("tcp:192.0.2.2:5070") },
		{ .index = 4, .transport = TR_UDP, .at = kit_addr("[2001:db8::1]:5060"), .text = VIEW_INIT("udp:[2001:db8::1]:5060") },
	};
	struct net_conf c = { .sockets = s, .nsockets = COUNT_OF(s) };
	struct addr v4 = kit_addr("203.0.113.1:5060"), v6 = kit_addr("[2001:db8::9]:5060");

	assert_ptr_equal(net_pick_socket(&c, NULL, NULL, TR_UDP, &v4), &s[0]);
	assert_ptr_equal(net_pick_socket(&c, NULL, &s[1], TR_UDP, &v4), &s[1]);
	assert_ptr_equal(net_pick_socket(&c, &s[1], &s[0], TR_UDP, &v4), &s[1]);
	assert_ptr_equal(net_pick_socket(&c, &s[1], NULL, TR_TCP, &v4), &s[3]);
	assert_ptr_equal(net_pick_socket(&c, NULL, &s[1], TR_TCP, &v4), &s[2]);
	assert_ptr_equal(net_pick_socket(&c, &s[1], NULL, TR_UDP, &v6), &s[4]);
	assert_null(net_pick_socket(&c, NULL, NULL, TR_TLS, &v4));
	assert_ptr_equal(net_find_socket(&c, VIEW("udp:192.0.2.2")), &s[1]);
	assert_ptr_equal(net_find_socket(&c, VIEW("tcp:192.0.2.2:5070")), &s[3]);
	assert_ptr_equal(net_find_socket(&c, VIEW("tcp:192.0.2.2")), &s[3]);
	assert_ptr_equal(net_find_socket(&c, VIEW("udp:[2001:db8::1]:5060")), &s[4]);
	assert_null(net_find_socket(&c, VIEW("tls:192.0.2.2:5070")));
	assert_null(net_find_socket(&c, VIEW("udp:192.0.2.9:5060")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_once_and_first),
		cmocka_unit_test(test_clients_never_share),
		cmocka_unit_test(test_without_headers_clients_share),
		cmocka_unit_test(test_own_traffic_is_local),
		cmocka_unit_test(test_refused_connect_tells_each),
		cmocka_unit_test(test_connect_deadline),
		cmocka_unit_test(test_flows),
		cmocka_unit_test(test_a_flow_does_not_lend_a_header),
		cmocka_unit_test(test_upstream_restarts),
		cmocka_unit_test(test_full_queue_and_its_end),
		cmocka_unit_test(test_slow_reader_gets_everything),
		cmocka_unit_test(test_idle_ends),
		cmocka_unit_test(test_pick),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
