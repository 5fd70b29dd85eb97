/* The same policy on every stream transport, through a load balancer in between that cuts what it passes on as it likes: the
 * header stands before TLS, before the upgrade, before SIP. */
#include "pp_rows.h"
#include "certs.h"

#define MSG OPTIONS_WITH("layers")

static struct identity ca, id;

static int setup(void **state)
{
	assert_non_null(mkdtemp(certs_dir));
	ca = certs_make(NULL, "ca", NULL);
	id = certs_make(&ca, "edge.example", "DNS:edge.example");
	return 0;
}

static int teardown(void **state)
{
	certs_free(&ca);
	certs_free(&id);
	rmdir(certs_dir);
	return 0;
}

static void give_tls(struct host *h)
{
	struct tls_domain_conf d[2] = {
		{ .name = VIEW_INIT("in"), .server = true, .certificate = view_str(id.cert_file), .private_key = view_str(id.key_file),
			.match_ip = VIEW_INIT("*"), .match_sip = VIEW_INIT("*") },
		{ .name = VIEW_INIT("out"), .verify_peer = true, .ca_list = view_str(ca.cert_file), .match_ip = VIEW_INIT("*"), .match_sip = VIEW_INIT("*") },
	};
	struct out err = out_to(h->err, sizeof h->err);

	h->conf.tls = tls_store_new(d, 2, 1, &err);
	assert_non_null(h->conf.tls);
}

/* A load balancer for one connection. */
struct lb { int listener, front, back; struct addr at; bool done; };

/* Move what is there, `step` bytes at a time; false when this direction is over. */
static bool shovel(int from, int to, size_t step, struct host **hosts)
{
	char b[4096];
	ssize_t n = recv(from, b, sizeof b, MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN))
		return false;
	for (ssize_t at = 0; at < n; at += (ssize_t)step) {
		size_t k = (size_t)(n - at) < step ? (size_t)(n - at) : step;
		if (send(to, b + at, k, MSG_NOSIGNAL) < 0)
			return false;
		kit_turn_at_once(hosts);
	}
	return true;
}

static void run(const struct row *r, enum transport t, size_t step)
{
	struct host *a = kit_host(), *b = kit_host();
	struct host **both = HOSTS(a, b);
	struct lb lb = { .listener = raw_socket(SOCK_STREAM, "127.0.0.5"), .front = -1 };

	kit_socket(a, t);
	give_tls(a);
	kit_open(a);
	row_applies(r, kit_socket(b, t));
	give_tls(b);
	kit_open(b);
	listen(lb.listener, 4);
	lb.at = raw_name(lb.listener);
	struct target to = { .transport = t, .from = &a->sock[0], .to = lb.at, .sni = VIEW_INIT("edge.example") };
	assert_int_equal(kit_send(a, &to, MSG, NO_REF), SEND_OK);
	for (int i = 0; i < TURNS && lb.front < 0; i++) {
		kit_turn(both);
		lb.front = accept(lb.listener, NULL, NULL);
	}
	assert_true(lb.front >= 0);
	lb.back = raw_connect("127.0.0.1", &b->sock[0].at);
	for (size_t at = 0; at < r->n && !lb.done; at += step) {
		lb.done = send(lb.back, r->header + at, r->n - at < step ? r->n - at : step, MSG_NOSIGNAL) < 0;
		kit_turn_at_once(both);
	}
	for (int i = 0; i < TURNS && !lb.done && !b->nheard; i++) {
		kit_turn(both);
		lb.done = !shovel(lb.front, lb.back, step, both) || !shovel(lb.back, lb.front, 4096, both);
	}
	if ((r->want != CLOSED) != (b->nheard == 1))
		fail_msg("%s on %.3s by %zu: %u messages", r->name, transport_name(t).p, step, b->nheard);
	if (r->want == CLOSED)
		kit_until(both, kit_count(b, NETC_conn_closed) == 1 || kit_count(b, NETC_pp_refused_source) == 1);
	if (r->want == SERVED_REAL) {
		struct addr real = kit_addr("192.0.2.7:4711");
		assert_true(b->heard[0].o.has_real && addr_same(&b->heard[0].o.real_src, &real));
	} else if (r->want == SERVED_BARE) {
		assert_false(b->heard[0].o.has_real);
	}
	if (r->counter != NETC_COUNT && kit_count(b, r->counter) != 1)
		fail_msg("%s on %.3s by %zu: counter %d is %lu", r->name, transport_name(t).p, step, r->counter, (unsigned long)kit_count(b, r->counter));
	assert_int_equal(kit_count(b, NETC_tls_failed) + kit_count(b, NETC_frame_bad) + kit_count(b, NETC_ws_refused), 0);
	close(lb.front);
	close(lb.back);
	close(lb.listener);
	struct tls_store *sa = a->conf.tls, *sb = b->conf.tls;
	kit_close(a);
	kit_close(b);
	tls_store_free(sa);
	tls_store_free(sb);
}

static void rows_on(enum transport t)
{
	static const size_t steps[] = { 4096, 1 };

	for (size_t s = 0; s < COUNT_OF(steps); s++)
		for (size_t i = 0; i < COUNT_OF(rows); i++)
			run(&rows[i], t, steps[s]);
}

static void test_tcp(void **state) { rows_on(TR_TCP); }
static void test_tls(void **state) { rows_on(TR_TLS); }
static void test_ws(void **state) { rows_on(TR_WS); }
static void test_wss(void **state) { rows_on(TR_WSS); }

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tcp), cmocka_unit_test(test_tls), cmocka_unit_test(test_ws), cmocka_unit_test(test_wss),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
