/* The policy table of PROXY headers on streams, row by row and byte by byte (design section 3, reference R10-R18, R23). */
#include "pp_rows.h"

static struct host *listener(const struct row *r)
{
	struct host *h = kit_host();
	struct socket_conf *s = kit_socket(h, TR_TCP);

	row_applies(r, s);
	kit_open(h);
	return h;
}

/* What may fail because the other side has closed already. */
static void put_if(int fd, const char *p, size_t n, size_t step, struct host *h)
{
	for (size_t at = 0; at < n; at += step) {
		size_t k = n - at < step ? n - at : step;
		if (send(fd, p + at, k, MSG_NOSIGNAL) < 0)
			return;
		kit_turn_at_once(HOSTS(h));
	}
}

static void run(const struct row *r, size_t step)
{
	static struct raw raw;
	struct host *h = listener(r);
	int fd = raw_connect("127.0.0.1", &h->sock[0].at);
	const char *msg = OPTIONS_WITH("one");

	memset(&raw, 0, sizeof raw);
	put_if(fd, r->header, r->n, step, h);
	put_if(fd, msg, strlen(msg), step, h);
	if (r->want == CLOSED) {
		raw_until(HOSTS(h), fd, &raw, raw.closed);
		assert_int_equal(h->nheard, 0);
	} else {
		kit_until(HOSTS(h), h->nheard == 1);
		const struct origin *o = &h->heard[0].o;
		struct addr me = raw_name(fd), real = kit_addr("192.0.2.7:4711"), dst = kit_addr("198.51.100.1:5060");
		assert_true(view_is(h->heard[0].text, view_str(msg)));
		assert_true(addr_same(&o->wire_src, &me) && addr_same(&o->wire_dst, &h->sock[0].at));
		assert_int_equal(o->has_real, r->want == SERVED_REAL);
		assert_true(addr_same(&o->real_src, r->want == SERVED_REAL ? &real : &me));
		assert_true(addr_same(&o->real_dst, r->want == SERVED_REAL ? &dst : &h->sock[0].at));
		assert_int_equal(o->facts ? o->facts->pp_trusted : 0, r->listed);
	}
	if (r->counter != NETC_COUNT && kit_count(h, r->counter) != 1)
		fail_msg("%s: counter %d is %lu", r->name, r->counter, (unsigned long)kit_count(h, r->counter));
	close(fd);
	kit_close(h);
}

static void test_table(void **state)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		run(&rows[i], 4096);
		run(&rows[i], 7);
		run(&rows[i], 1);
	}
}

static void test_bad_header_counts_its_reason(void **state)
{
	struct host *h = listener(&rows[3]);
	int fd = raw_connect("127.0.0.1", &h->sock[0].at);

	raw_say(fd, "PROXY TCP4 192.0.2.256 198.51.100.1 4711 5060\r\n");
	kit_until(HOSTS(h), kit_count(h, NETC_conn_closed) == 1);
	assert_int_equal(net_counts(h->net)->pp_reject[PP_REJ_BAD_SRC], 1);
	close(fd);
	kit_close(h);
}

static void test_second_header_is_stripped_where_told(void **state)
{
	for (size_t step = 1; step < 200; step += 66) {
		struct host *h = kit_host();
		struct socket_conf *s = kit_socket(h, TR_TCP);
		s->pp_mode = PP_MODE_ALLOW;
		s->pp_peers = (struct cidr_list){ loopback_list, 1, true };
		s->pp_strip_second = true;
		kit_open(h);
		int fd = raw_connect("127.0.0.1", &s->at);
		static const char both[] = V1 "PROXY TCP4 203.0.113.9 198.51.100.1 1 2\r\n" OPTIONS_WITH("one");
		put_if(fd, both, sizeof both - 1, step, h);
		kit_until(HOSTS(h), h->nheard == 1);
		struct addr real = kit_addr("192.0.2.7:4711");
		assert_true(addr_same(&h->heard[0].o.real_src, &real));
		close(fd);
		kit_close(h);
	}
}

static void test_header_deadline(void **state)
{
	static struct raw raw;
	struct host *h = listener(&rows[3]);
	int silent = raw_connect("127.0.0.1", &h->sock[0].at), half = raw_connect("127.0.0.1", &h->sock[0].at);

	raw_say(half, "PROXY TC");
	kit_until(HOSTS(h), kit_count(h, NETC_conn_accepted) == 2);
	kit_later(HOSTS(h), PP_TIMEOUT_MS - 1);
	assert_int_equal(kit_count(h, NETC_pp_timeout), 0);
	kit_later(HOSTS(h), 1);
	kit_later(HOSTS(h), 1);
	assert_int_equal(kit_count(h, NETC_pp_timeout), 2);
	memset(&raw, 0, sizeof raw);
	raw_until(HOSTS(h), silent, &raw, raw.closed);
	close(silent);
	close(half);
	kit_close(h);
}

static void test_ping_first(void **state)
{
	static struct raw raw;
	/* Where the source decides, the first four bytes are answered at once... */
	struct host *h = listener(&rows[0]);
	int fd = raw_connect("127.0.0.1", &h->sock[0].at);
	memset(&raw, 0, sizeof raw);
	raw_say(fd, "\r\n\r\n");
	raw_until(HOSTS(h), fd, &raw, raw.n == 2);
	close(fd);
	kit_close(h);
	/* ...where anyone may send a header, at the fifth byte... */
	h = listener(&rows[11]);
	fd = raw_connect("127.0.0.1", &h->sock[0].at);
	memset(&raw, 0, sizeof raw);
	raw_say(fd, "\r\n\r\n");
	kit_turns(HOSTS(h), 5);
	raw_hear(fd, &raw);
	assert_int_equal(raw.n, 0);
	raw_say(fd, "O");
	raw_until(HOSTS(h), fd, &raw, raw.n == 2);
	close(fd);
	/* ...or at the deadline, and the connection goes on. */
	fd = raw_connect("127.0.0.1", &h->sock[0].at);
	memset(&raw, 0, sizeof raw);
	raw_say(fd, "\r\n\r\n");
	kit_turns(HOSTS(h), 5);
	kit_later(HOSTS(h), PP_TIMEOUT_MS + 1);
	raw_until(HOSTS(h), fd, &raw, raw.n == 2);
	raw_say(fd, OPTIONS_WITH("late"));
	kit_until(HOSTS(h), h->nheard == 1);
	close(fd);
	kit_close(h);
}

static void test_half_header_then_end(void **state)
{
	struct host *h = listener(&rows[3]);
	int fd = raw_connect("127.0.0.1", &h->sock[0].at);

	raw_say(fd, "PROXY TCP4 192.0");
	close(fd);
	kit_until(HOSTS(h), kit_count(h, NETC_conn_closed) == 1);
	assert_int_equal(kit_count(h, NETC_pp_missing), 1);
	kit_close(h);
}

/* Partial headers cost no turns: the loop sleeps while nothing new comes. */
static void test_partial_header_does_not_spin(void **state)
{
	struct host *h = listener(&rows[3]);
	int fd = raw_connect("127.0.0.1", &h->sock[0].at);

	raw_say(fd, "PROXY ");
	kit_turns(HOSTS(h), 5);
	for (int i = 0; i < 20; i++)
		assert_int_equal(loop_turn(h->loop, 1), 0);
	close(fd);
	kit_close(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_bad_header_counts_its_reason),
		cmocka_unit_test(test_second_header_is_stripped_where_told),
		cmocka_unit_test(test_header_deadline),
		cmocka_unit_test(test_ping_first),
		cmocka_unit_test(test_half_header_then_end),
		cmocka_unit_test(test_partial_header_does_not_spin),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
