/* TLS: net against net with names, client certificates, resumption; PROXY headers before it; what it refuses; what it costs. */
#include "kit.h"
#include "certs.h"
#include "net/tls.h"
#include <malloc.h>

#define MSG OPTIONS_WITH("tls")
#define V1 "PROXY TCP4 192.0.2.7 198.51.100.1 4711 5060\r\n"

static struct identity ca, one, two, phone, rogue_ca, rogue;

static int setup(void **state)
{
	assert_non_null(mkdtemp(certs_dir));
	ca = certs_make(NULL, "ca", NULL);
	one = certs_make(&ca, "one.example", "DNS:one.example,IP:127.0.0.1");
	two = certs_make(&ca, "two.example", "DNS:two.example,URI:sip:two.example");
	phone = certs_make(&ca, "phone", "email:phone@example.org");
	rogue_ca = certs_make(NULL, "rogue-ca", NULL);
	rogue = certs_make(&rogue_ca, "rogue", "DNS:one.example");
	return 0;
}

static int teardown(void **state)
{
	struct identity *all[] = { &ca, &one, &two, &phone, &rogue_ca, &rogue };
	for (size_t i = 0; i < COUNT_OF(all); i++)
		certs_free(all[i]);
	rmdir(certs_dir);
	return 0;
}

static struct tls_domain_conf domain(bool server, const char *name, const struct identity *id)
{
	struct tls_domain_conf d = { .name = view_str(name), .server = server, .match_ip = VIEW_INIT("*"), .match_sip = VIEW_INIT("*") };
	if (id) {
		d.certificate = view_str(id->cert_file);
		d.private_key = view_str(id->key_file);
	}
	return d;
}

static struct host *tls_host(enum transport t, const struct tls_domain_conf *d, size_t n)
{
	struct host *h = kit_host();
	struct out err = out_to(h->err, sizeof h->err - 1);

	kit_socket(h, t);
	h->conf.tls = tls_store_new(d, n, 1, &err);
	if (!h->conf.tls)
		fail_msg("%s", h->err);
	kit_open(h);
	return h;
}

static void tls_host_close(struct host *h)
{
	struct tls_store *s = h->conf.tls;
	kit_close(h);
	tls_store_free(s);
}

static bool fact(const struct origin *o, const char *name, const char *want)
{
	char b[256];
	struct out out = out_to(b, sizeof b);

	assert_non_null(o->facts);
	if (!tls_facts_text(o->facts->tls, view_str(name), &out))
		return want == NULL;
	return want && view_is(out_view(&out), view_str(want));
}

static struct host *server_of(enum transport t)
{
	struct tls_domain_conf d[2] = { domain(true, "one", &one), domain(true, "two", &two) };

	d[0].match_sip = VIEW("one.example, *.one.example, none");
	d[1].match_sip = VIEW("two.example");
	d[1].verify_peer = d[1].require_cert = true;
	d[1].ca_list = view_str(ca.cert_file);
	return tls_host(t, d, 2);
}

static struct host *client_of(enum transport t, const struct identity *id)
{
	struct tls_domain_conf d = domain(false, "out", id);

	d.verify_peer = true;
	d.ca_list = view_str(ca.cert_file);
	return tls_host(t, &d, 1);
}

static void exchange(struct host *a, struct host *b, enum transport t, const char *sni)
{
	struct target to = { .transport = t, .from = &a->sock[0], .to = b->sock[0].at, .sni = view_str(sni) };
	unsigned was = b->nheard, had = a->nheard;

	assert_int_equal(kit_send(a, &to, MSG, NO_REF), SEND_OK);
	kit_until(HOSTS(a, b), b->nheard == was + 1 || a->nfailed);
	assert_int_equal(b->nheard, was + 1);
	const struct origin *o = &b->heard[was].o;
	assert_true(view_is(b->heard[was].text, VIEW(MSG)));
	struct target back = { .transport = t, .from = o->socket, .to = o->wire_src, .flow = o->conn, .flow_only = true, .downstream = true };
	assert_int_equal(kit_send(b, &back, RESPONSE, NO_REF), SEND_OK);
	kit_until(HOSTS(a, b), a->nheard == had + 1);
	assert_true(view_is(a->heard[had].text, VIEW(RESPONSE)));
}

static void names(enum transport t)
{
	struct host *a = client_of(t, &phone), *b = server_of(t);

	exchange(a, b, t, "one.example");
	const struct origin *o = &b->heard[0].o;
	assert_true(view_is(tls_facts_sni(o->facts->tls), VIEW("one.example")));
	assert_true(fact(o, "tls_my_subject_cn", "one.example"));
	assert_true(fact(o, "tls_version", "TLSv1.3"));
	assert_true(fact(o, "tls_peer_subject_cn", NULL));
	assert_true(fact(o, "tls_peer_verified", "0"));
	assert_true(fact(&a->heard[0].o, "tls_peer_subject_cn", "one.example"));
	assert_true(fact(&a->heard[0].o, "tls_peer_san_ip", "127.0.0.1"));
	assert_true(tls_facts_peer_verified(a->heard[0].o.facts->tls));

	/* The other name has another certificate and asks for one; another name is another connection. */
	exchange(a, b, t, "two.example");
	o = &b->heard[1].o;
	assert_true(fact(o, "tls_my_subject_cn", "two.example"));
	assert_true(fact(o, "tls_peer_subject_cn", "phone"));
	assert_true(fact(o, "tls_peer_issuer_cn", "ca"));
	assert_true(fact(o, "tls_peer_san_email", "phone@example.org"));
	assert_true(fact(o, "tls_peer_subject_organization", "Test"));
	assert_true(fact(o, "tls_peer_verified", "1"));
	assert_true(fact(o, "tls_peer_no_such_field", NULL));
	assert_int_equal(kit_count(b, NETC_tls_handshakes), 2);
	assert_int_equal(kit_count(b, NETC_conn_accepted), 2);
	tls_host_close(a);
	tls_host_close(b);
}

static void test_names_tls(void **state) { names(TR_TLS); }
static void test_names_wss(void **state) { names(TR_WSS); }

static void refused(struct host *a, struct host *b, const char *sni)
{
	struct target to = { .transport = TR_TLS, .from = &a->sock[0], .to = b->sock[0].at, .sni = view_str(sni) };

	assert_int_equal(kit_send(a, &to, MSG, kit_ref(1)), SEND_OK);
	kit_until(HOSTS(a, b), kit_count(a, NETC_conn_closed) == 1 && kit_count(b, NETC_conn_closed) == 1);
	kit_turns(HOSTS(a, b), 2);
	assert_int_equal(b->nheard, 0);
	assert_true(kit_count(a, NETC_tls_failed) + kit_count(b, NETC_tls_failed) > 0);
	tls_host_close(a);
	tls_host_close(b);
}

/* A client whose first guess at a group is wrong says its hello twice (RFC 8446 4.1.4). */
static void test_a_hello_is_repeated(void **state)
{
	struct tls_domain_conf d = domain(true, "one", &one);
	struct host *a = client_of(TR_TLS, NULL), *b;

	d.ec_curve = VIEW("P-521");
	b = tls_host(TR_TLS, &d, 1);
	exchange(a, b, TR_TLS, "one.example");
	assert_true(view_is(tls_facts_sni(b->heard[0].o.facts->tls), VIEW("one.example")));
	tls_host_close(a);
	tls_host_close(b);
}

static void test_unknown_name_is_refused(void **state) { refused(client_of(TR_TLS, NULL), server_of(TR_TLS), "three.example"); }
static void test_missing_client_certificate(void **state) { refused(client_of(TR_TLS, NULL), server_of(TR_TLS), "two.example"); }
static void test_foreign_client_certificate(void **state) { refused(client_of(TR_TLS, &rogue), server_of(TR_TLS), "two.example"); }

static void test_foreign_server(void **state)
{
	struct tls_domain_conf d = domain(true, "rogue", &rogue);
	refused(client_of(TR_TLS, NULL), tls_host(TR_TLS, &d, 1), "one.example");
}

static void test_server_of_another_name(void **state)
{
	struct tls_domain_conf d = domain(true, "two", &two);
	refused(client_of(TR_TLS, NULL), tls_host(TR_TLS, &d, 1), "one.example");
}

static void drop_all(struct host *a, struct host *b)
{
	uint64_t closed = kit_count(a, NETC_conn_closed);
	assert_true(net_close(a->net, a->heard[a->nheard - 1].o.conn));
	kit_until(HOSTS(a, b), kit_count(a, NETC_conn_closed) == closed + 1);
	kit_turns(HOSTS(a, b), 5);
}

static void test_resumption_and_its_end(void **state)
{
	struct host *a = client_of(TR_TLS, &phone), *b = server_of(TR_TLS);

	exchange(a, b, TR_TLS, "two.example");
	drop_all(a, b);
	exchange(a, b, TR_TLS, "two.example");
	assert_int_equal(kit_count(b, NETC_tls_resumed), 1);
	/* The certificate is still known, as of the session. */
	assert_true(fact(&b->heard[1].o, "tls_peer_subject_cn", "phone"));
	assert_true(fact(&b->heard[1].o, "tls_peer_verified", "1"));
	drop_all(a, b);
	/* One rotation later the ticket still opens, two later it does not. */
	kit_later(HOSTS(a, b), TLS_TICKET_ROTATE_MS);
	exchange(a, b, TR_TLS, "two.example");
	drop_all(a, b);
	uint64_t resumed = kit_count(b, NETC_tls_resumed);
	kit_later(HOSTS(a, b), 3 * (uint64_t)TLS_TICKET_ROTATE_MS);
	exchange(a, b, TR_TLS, "two.example");
	assert_int_equal(kit_count(b, NETC_tls_resumed), resumed);
	tls_host_close(a);
	tls_host_close(b);
}

static void test_certificates_are_swapped(void **state)
{
	struct host *a = client_of(TR_TLS, NULL), *b = server_of(TR_TLS);
	struct tls_store *was = b->conf.tls;
	struct out err = out_to(b->err, sizeof b->err - 1);
	struct identity renewed = certs_make(&ca, "renewed", "DNS:one.example");
	struct tls_domain_conf d = domain(true, "one", &renewed);

	exchange(a, b, TR_TLS, "one.example");
	struct tls_store *now = tls_store_new(&d, 1, 1, &err);
	assert_non_null(now);
	net_use_tls(b->net, now);
	tls_store_free(was);
	/* The open connection lives on; a new one sees the new certificate. */
	exchange(a, b, TR_TLS, "one.example");
	assert_int_equal(kit_count(b, NETC_conn_accepted), 1);
	drop_all(a, b);
	exchange(a, b, TR_TLS, "one.example");
	assert_true(fact(&a->heard[2].o, "tls_peer_subject_cn", "renewed"));
	tls_host_close(a);
	kit_close(b);
	tls_store_free(now);
	certs_free(&renewed);
}

/* The header stands before the first TLS byte, in both directions. */
static void test_header_before_tls(void **state)
{
	static struct cidr list;
	struct host *a = client_of(TR_TLS, NULL);
	struct tls_domain_conf d = domain(true, "one", &one);
	struct host *b = kit_host();
	struct socket_conf *s = kit_socket(b, TR_TLS);
	struct out err = out_to(b->err, sizeof b->err - 1);

	list = kit_cidr("127.0.0.1");
	s->pp_mode = PP_MODE_REQUIRE;
	s->pp_peers = (struct cidr_list){ &list, 1, true };
	b->conf.tls = tls_store_new(&d, 1, 1, &err);
	kit_open(b);
	a->sock[0].send_pp = true;
	a->sock[0].send_version = 2;
	struct origin c = { .socket = &a->sock[0], .wire_src = kit_addr("192.0.2.1:1000"), .wire_dst = a->sock[0].at };
	c.real_src = kit_addr("[2001:db8::7]:4711");
	c.real_dst = kit_addr("198.51.100.1:5061");
	c.has_real = true;
	struct target t = { .transport = TR_TLS, .from = &a->sock[0], .to = b->sock[0].at, .sni = VIEW_INIT("one.example"), .client = &c };
	assert_int_equal(kit_send(a, &t, MSG, NO_REF), SEND_OK);
	kit_until(HOSTS(a, b), b->nheard == 1);
	assert_true(b->heard[0].o.has_real && addr_same(&b->heard[0].o.real_src, &c.real_src));
	assert_true(addr_same(&b->heard[0].o.real_dst, &c.real_dst));
	/* And the TLS that the client of the next hop had is announced to a third. */
	struct host *x = kit_host();
	struct socket_conf *xs = kit_socket(x, TR_TCP);
	xs->pp_mode = PP_MODE_REQUIRE;
	xs->pp_peers = s->pp_peers;
	kit_open(x);
	struct socket_conf from = b->sock[0];
	from.transport = TR_TCP;
	from.send_pp = true;
	from.send_version = 2;
	struct target u = { .transport = TR_TCP, .from = &from, .to = xs->at, .client = &b->heard[0].o };
	assert_int_equal(kit_send(b, &u, MSG, NO_REF), SEND_OK);
	kit_until(HOSTS(b, x), x->nheard == 1);
	const struct facts *f = x->heard[0].o.facts;
	struct pp_ssl ssl;
	struct view v;
	assert_true(f->has_pp && f->pp_trusted && pp_ssl_get(f->pp.tlvs, &ssl));
	assert_false(ssl.verified);
	assert_true(pp_tlv_find(ssl.subs, PP_TLV_SSL_VERSION, &v) && view_is(v, VIEW("TLSv1.3")));
	assert_true(pp_tlv_find(f->pp.tlvs, PP_TLV_AUTHORITY, &v) && view_is(v, VIEW("one.example")));
	assert_true(addr_same(&x->heard[0].o.real_src, &c.real_src));
	kit_close(x);
	tls_host_close(a);
	tls_host_close(b);
}

static void test_header_and_hello_in_one_piece(void **state)
{
	static struct cidr list;
	struct tls_domain_conf d = domain(true, "one", &one);
	struct host *b = kit_host();
	struct socket_conf *s = kit_socket(b, TR_TLS);
	struct out err = out_to(b->err, sizeof b->err - 1);
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	list = kit_cidr("127.0.0.1");
	s->pp_mode = PP_MODE_ALLOW;
	s->pp_peers = (struct cidr_list){ &list, 1, true };
	b->conf.tls = tls_store_new(&d, 1, 1, &err);
	kit_open(b);
	for (size_t step = 1; step < 4000; step = step * 7 + 1) {
		static struct raw r;
		static char all[4096];
		SSL *ssl = SSL_new(ctx);
		BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
		SSL_set_bio(ssl, in, out);
		SSL_set_connect_state(ssl);
		SSL_set_alpn_protos(ssl, (const unsigned char *)"\x03sip", 4);
		SSL_do_handshake(ssl);
		memcpy(all, V1, sizeof V1 - 1);
		size_t n = sizeof V1 - 1 + (size_t)BIO_read(out, all + sizeof V1 - 1, sizeof all - sizeof V1);
		int fd = raw_connect("127.0.0.1", &s->at);
		for (size_t at = 0; at < n; at += step) {
			raw_put(fd, all + at, n - at < step ? n - at : step);
			kit_turn(HOSTS(b));
		}
		for (int i = 0; i < TURNS && !SSL_is_init_finished(ssl); i++) {
			memset(&r, 0, sizeof r);
			kit_turn(HOSTS(b));
			raw_hear(fd, &r);
			if (r.n)
				BIO_write(in, r.b, (int)r.n);
			SSL_do_handshake(ssl);
		}
		assert_true(SSL_is_init_finished(ssl));
		SSL_write(ssl, MSG, sizeof MSG - 1);
		n = (size_t)BIO_read(out, all, sizeof all);
		raw_put(fd, all, n);
		kit_until(HOSTS(b), b->nheard == 1);
		struct addr real = kit_addr("192.0.2.7:4711");
		assert_true(addr_same(&b->heard[0].o.real_src, &real));
		const unsigned char *alpn;
		unsigned int alpn_n;
		SSL_get0_alpn_selected(ssl, &alpn, &alpn_n);
		assert_int_equal(alpn_n, 3);
		kit_forget(b);
		SSL_free(ssl);
		close(fd);
	}
	SSL_CTX_free(ctx);
	tls_host_close(b);
}

static void test_plain_bytes_and_half_handshake(void **state)
{
	static struct raw r;
	struct host *b = server_of(TR_TLS);
	int plain = raw_connect("127.0.0.1", &b->sock[0].at), half = raw_connect("127.0.0.1", &b->sock[0].at),
		header = raw_connect("127.0.0.1", &b->sock[0].at);

	raw_say(plain, MSG);
	raw_put(half, "\x16\x03\x01\x02\x00\x01", 6);
	raw_say(header, V1);
	memset(&r, 0, sizeof r);
	raw_until(HOSTS(b), plain, &r, r.closed);
	kit_until(HOSTS(b), kit_count(b, NETC_conn_closed) == 2);
	assert_int_equal(kit_count(b, NETC_tls_failed), 1);
	assert_int_equal(kit_count(b, NETC_pp_unexpected), 1);
	kit_later(HOSTS(b), CONN_HANDSHAKE_MS + 1);
	kit_until(HOSTS(b), kit_count(b, NETC_conn_timeout) == 1);
	close(plain);
	close(half);
	close(header);
	/* Who only looks whether the port is open has failed nothing. */
	int probe = raw_connect("127.0.0.1", &b->sock[0].at);
	kit_turns(HOSTS(b), 2);
	close(probe);
	kit_until(HOSTS(b), kit_count(b, NETC_conn_closed) == 4);
	assert_int_equal(kit_count(b, NETC_tls_failed), 1);
	tls_host_close(b);
}

/* ---- a bare OpenSSL client ---- */

struct raw_tls { int fd; SSL *ssl; BIO *in, *out; struct raw r; };

static void raw_tls_pump(struct host *h, struct raw_tls *c)
{
	char b[8192];
	int n;

	while ((n = BIO_read(c->out, b, sizeof b)) > 0)
		raw_put(c->fd, b, (size_t)n);
	kit_turn(HOSTS(h));
	c->r.n = 0;
	raw_hear(c->fd, &c->r);
	if (c->r.n)
		BIO_write(c->in, c->r.b, (int)c->r.n);
}

/* True if the handshake completes and a message is served. */
static bool raw_tls_try(struct host *h, SSL_CTX *ctx, const char *sni, SSL_SESSION *resume, SSL_SESSION **session)
{
	struct raw_tls *c = calloc(1, sizeof *c);
	unsigned was = h->nheard;
	char b[256];

	c->fd = raw_connect("127.0.0.1", &h->sock[0].at);
	c->ssl = SSL_new(ctx);
	c->in = BIO_new(BIO_s_mem());
	c->out = BIO_new(BIO_s_mem());
	SSL_set_bio(c->ssl, c->in, c->out);
	SSL_set_connect_state(c->ssl);
	SSL_set_tlsext_host_name(c->ssl, sni);
	if (resume)
		SSL_set_session(c->ssl, resume);
	bool said = false;
	for (int i = 0; i < 60 && !c->r.closed && h->nheard == was; i++) {
		SSL_do_handshake(c->ssl);
		if (SSL_is_init_finished(c->ssl) && !said)
			said = SSL_write(c->ssl, MSG, sizeof MSG - 1) > 0;
		raw_tls_pump(h, c);
		SSL_read(c->ssl, b, sizeof b);
	}
	raw_tls_pump(h, c);
	SSL_read(c->ssl, b, sizeof b);
	if (session)
		*session = SSL_get1_session(c->ssl);
	bool served = h->nheard > was;
	SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(c->ssl);
	close(c->fd);
	free(c);
	kit_turns(HOSTS(h), 2);
	return served;
}

/* A session made where no certificate is asked for does not open the domain that asks for one. */
static void test_a_session_stays_in_its_domain(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

	for (size_t i = 0; i < COUNT_OF(versions); i++) {
		struct host *b = server_of(TR_TLS);
		SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
		SSL_SESSION *s = NULL;
		SSL_CTX_set_max_proto_version(ctx, versions[i]);
		assert_true(raw_tls_try(b, ctx, "one.example", NULL, &s));
		assert_non_null(s);
		assert_true(raw_tls_try(b, ctx, "one.example", s, NULL));
		assert_int_equal(kit_count(b, NETC_tls_resumed), 1);
		assert_false(raw_tls_try(b, ctx, "two.example", s, NULL));
		assert_int_equal(kit_count(b, NETC_tls_resumed), 1);
		SSL_SESSION_free(s);
		SSL_CTX_free(ctx);
		tls_host_close(b);
	}
}

static void test_old_versions_are_refused(void **state)
{
	struct host *b = server_of(TR_TLS);
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
	assert_false(raw_tls_try(b, ctx, "one.example", NULL, NULL));
	SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_cipher_list(ctx, "ECDHE-ECDSA-AES128-SHA");          /* no AEAD */
	assert_false(raw_tls_try(b, ctx, "one.example", NULL, NULL));
	assert_int_equal(kit_count(b, NETC_tls_failed), 2);
	SSL_CTX_free(ctx);
	tls_host_close(b);
}

/* Versions are each domain's own, also where the name decided after the first context was chosen. */
static void test_versions_are_the_domains(void **state)
{
	struct tls_domain_conf d[2] = { domain(true, "one", &one), domain(true, "two", &two) };
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	d[0].match_sip = VIEW("one.example");
	d[1].match_sip = VIEW("two.example");
	d[1].min_version = TLS1_3_VERSION;
	struct host *b = tls_host(TR_TLS, d, 2);
	SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	assert_true(raw_tls_try(b, ctx, "one.example", NULL, NULL));
	assert_false(raw_tls_try(b, ctx, "two.example", NULL, NULL));
	SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION);
	assert_true(raw_tls_try(b, ctx, "two.example", NULL, NULL));
	SSL_CTX_free(ctx);
	tls_host_close(b);
}

/* An upstream named by its address must have that address in its certificate. */
static void test_server_of_another_address(void **state)
{
	struct tls_domain_conf d = domain(true, "two", &two);

	refused(client_of(TR_TLS, NULL), tls_host(TR_TLS, &d, 1), "127.0.0.1");
	struct host *a = client_of(TR_TLS, NULL), *b = server_of(TR_TLS);
	exchange(a, b, TR_TLS, "127.0.0.1");
	tls_host_close(a);
	tls_host_close(b);
}

/* A connection that a client opened without a certificate is no way to an upstream at the same address, if the operator says so. */
static void test_reuse_needs_a_verified_peer(void **state)
{
	const struct identity *const who[] = { NULL, &phone };

	for (size_t i = 0; i < COUNT_OF(who); i++) {
		struct tls_domain_conf d[2] = { domain(true, "ask", &one), domain(false, "out", NULL) };
		d[0].verify_peer = true;
		d[0].ca_list = view_str(ca.cert_file);
		struct host *a = client_of(TR_TLS, who[i]), *b = tls_host(TR_TLS, d, 2);
		b->conf.cert_check_on_reuse = true;
		exchange(a, b, TR_TLS, "one.example");
		struct target t = { .transport = TR_TLS, .from = &b->sock[0], .to = b->heard[0].o.wire_src, .client = NULL };
		kit_send(b, &t, MSG, NO_REF);
		assert_int_equal(kit_count(b, NETC_conn_opened) + kit_count(b, NETC_conn_connect_failed), who[i] ? 0 : 1);
		t.downstream = true;
		assert_int_equal(kit_send(b, &t, RESPONSE, NO_REF), SEND_OK);      /* a reply goes back where it came from */
		kit_until(HOSTS(a, b), a->nheard >= (who[i] ? 3u : 2u));
		tls_host_close(a);
		tls_host_close(b);
	}
}

/* Who we are towards an upstream is part of a connection and of a session: one domain's are never another's. */
static void test_client_domains_share_nothing(void **state)
{
	struct tls_domain_conf d[2] = { domain(false, "bare", NULL), domain(false, "named", &phone) }, s = domain(true, "ask", &one);
	static const char *const order[] = { "bare", "named", "bare", "named" };

	s.verify_peer = true;
	s.ca_list = view_str(ca.cert_file);
	struct host *a = tls_host(TR_TLS, d, 2), *b = tls_host(TR_TLS, &s, 1);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < COUNT_OF(order); i++) {
			struct target to = { .transport = TR_TLS, .from = &a->sock[0], .to = b->sock[0].at, .sni = VIEW("one.example"), .tls_domain = view_str(order[i]) };
			unsigned was = b->nheard;
			assert_int_equal(kit_send(a, &to, MSG, NO_REF), SEND_OK);
			kit_until(HOSTS(a, b), b->nheard == was + 1);
			assert_true(fact(&b->heard[was].o, "tls_peer_subject_cn", i % 2 ? "phone" : NULL));
		}
		assert_int_equal(kit_count(a, NETC_conn_opened), 2 * (round + 1));
		for (unsigned i = 0; i < 2; i++)
			assert_true(net_close(b->net, b->heard[b->nheard - 1 - i].o.conn));
		kit_until(HOSTS(a, b), kit_count(a, NETC_conn_closed) == 2 * (round + 1));
		kit_forget(b);
	}
	assert_int_equal(kit_count(b, NETC_tls_resumed), 2);
	tls_host_close(a);
	tls_host_close(b);
}

static void test_domain_choice(void **state)
{
	struct tls_domain_conf d[] = {
		domain(true, "any", &one), domain(true, "wild", &one), domain(true, "exact", &one), domain(true, "bare", &one),
		domain(true, "here", &one), domain(false, "out-any", NULL), domain(false, "out-there", NULL),
	};
	d[0].match_sip = VIEW("*");
	d[1].match_sip = VIEW("*.example.org, *.deep.example.org");
	d[2].match_sip = VIEW("a.example.org");
	d[3].match_sip = VIEW("none");
	d[4].match_ip = VIEW("192.0.2.9:5061");
	d[4].match_sip = VIEW("*");
	d[6].match_ip = VIEW("198.51.100.1");
	static const struct { const char *local, *sni, *want; } cases[] = {
		{ "192.0.2.1:5061", "b.example.org", "wild" }, { "192.0.2.1:5061", "A.Example.org", "exact" }, { "192.0.2.1:5061", "", "bare" },
		{ "192.0.2.1:5061", "example.net", "any" }, { "192.0.2.9:5061", "a.example.org", "here" }, { "192.0.2.9:5062", "a.example.org", "exact" },
	};
	char text[256];
	struct out err = out_to(text, sizeof text);
	struct tls_store *s = tls_store_new(d, COUNT_OF(d), 1, &err);
	assert_non_null(s);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct addr a = kit_addr(cases[i].local);
		struct tls_domain *got = tls_store_server(s, &a, view_str(cases[i].sni));
		assert_non_null(got);
		assert_true(view_is(tls_domain_settings(got)->name, view_str(cases[i].want)));
	}
	struct addr there = kit_addr("198.51.100.1:5061"), else_where = kit_addr("198.51.100.2:5061");
	assert_true(view_is(tls_domain_settings(tls_store_client(s, &there, VIEW_NONE, VIEW_NONE))->name, VIEW("out-there")));
	assert_true(view_is(tls_domain_settings(tls_store_client(s, &else_where, VIEW_NONE, VIEW_NONE))->name, VIEW("out-any")));
	assert_true(view_is(tls_domain_settings(tls_store_client(s, &else_where, VIEW("out-there"), VIEW_NONE))->name, VIEW("out-there")));
	assert_null(tls_store_client(s, &there, VIEW("nobody"), VIEW_NONE));
	tls_store_free(s);
}

static void test_many_messages_both_ways(void **state)
{
	struct host *a = client_of(TR_TLS, NULL), *b = server_of(TR_TLS);
	struct target t = { .transport = TR_TLS, .from = &a->sock[0], .to = b->sock[0].at, .sni = VIEW_INIT("one.example") };
	static char big[50000];
	int n = snprintf(big, sizeof big, "MESSAGE sip:a@b SIP/2.0\r\nContent-Length: 40000\r\n\r\n");

	memset(big + n, 'z', 40000);
	big[n + 40000] = 0;
	for (int i = 0; i < 100; i++)
		assert_int_equal(kit_send(a, &t, i % 10 == 9 ? big : MSG, NO_REF), SEND_OK);
	kit_until(HOSTS(a, b), b->nheard == 100);
	for (unsigned i = 0; i < 100; i++)
		assert_true(view_is(b->heard[i].text, view_str(i % 10 == 9 ? big : MSG)));
	tls_host_close(a);
	tls_host_close(b);
}

static void test_store_says_what_is_wrong(void **state)
{
	char text[512];
	struct out err = out_to(text, sizeof text - 1);
	struct tls_domain_conf d = domain(true, "x", &one);

	d.certificate = VIEW("/nonexistent/cert.pem");
	assert_null(tls_store_new(&d, 1, 1, &err));
	text[err.n] = 0;
	assert_non_null(strstr(text, "/nonexistent/cert.pem"));
	assert_non_null(strstr(text, "No such file"));
	err = out_to(text, sizeof text - 1);
	d = domain(true, "x", &one);
	d.private_key = view_str(two.key_file);
	assert_null(tls_store_new(&d, 1, 1, &err));
	text[err.n] = 0;
	assert_non_null(strstr(text, "\"x\""));
	err = out_to(text, sizeof text - 1);
	d = domain(true, "x", &one);
	d.ciphers = VIEW("NO-SUCH-CIPHER");
	assert_null(tls_store_new(&d, 1, 1, &err));
}

/* Who connects and waits, or sends half a hello, holds little more than what it sent; a hello in pieces is served all the same. */
static void test_half_open_is_cheap(void **state)
{
	static const struct { const char *name; size_t sent; } rows[] = { { "silent", 0 }, { "three bytes", 3 }, { "half a hello", 100 } };
	enum { N = 100 };
	struct host *b = server_of(TR_TLS);
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	BIO *out = BIO_new(BIO_s_mem());
	char hello[4096];

	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
	SSL_set_connect_state(ssl);
	SSL_do_handshake(ssl);
	assert_true(BIO_read(out, hello, sizeof hello) > 200);
	for (size_t row = 0; row < COUNT_OF(rows); row++) {
		int fd[2 * N];
		size_t before = 0;
		for (int i = 0; i < 2 * N; i++) {
			if (i == N)
				before = mallinfo2().uordblks;
			fd[i] = raw_connect("127.0.0.1", &b->sock[0].at);
			if (rows[row].sent)
				raw_put(fd[i], hello, rows[row].sent);
			kit_turns(HOSTS(b), 2);
		}
		size_t each = (mallinfo2().uordblks - before) / N;
		if (before && each > 2048)
			fail_msg("%s: %zu bytes", rows[row].name, each);
		for (int i = 0; i < 2 * N; i++)
			close(fd[i]);
		kit_turns(HOSTS(b), 5);
	}
	SSL_free(ssl);
	assert_true(raw_tls_try(b, ctx, "one.example", NULL, NULL));
	SSL_CTX_free(ctx);
	tls_host_close(b);
}

static void test_idle_connections_are_cheap(void **state)
{
	enum { N = 200 };
	struct host *b = server_of(TR_TLS);
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	int fd[N];
	struct raw *r = calloc(1, sizeof *r);
	BIO *in[N], *out[N];
	SSL *ssl[N];
	size_t before = 0;

	for (int i = 0; i < N; i++) {
		if (i == N / 2)
			before = mallinfo2().uordblks;
		char hello[4096];
		ssl[i] = SSL_new(ctx);
		in[i] = BIO_new(BIO_s_mem());
		out[i] = BIO_new(BIO_s_mem());
		SSL_set_bio(ssl[i], in[i], out[i]);
		SSL_set_connect_state(ssl[i]);
		SSL_do_handshake(ssl[i]);
		fd[i] = raw_connect("127.0.0.1", &b->sock[0].at);
		for (int k = 0; k < TURNS && !SSL_is_init_finished(ssl[i]); k++) {
			int n = BIO_read(out[i], hello, sizeof hello);
			if (n > 0)
				raw_put(fd[i], hello, (size_t)n);
			kit_turn(HOSTS(b));
			memset(r, 0, sizeof *r);
			raw_hear(fd[i], r);
			if (r->n)
				BIO_write(in[i], r->b, (int)r->n);
			SSL_do_handshake(ssl[i]);
		}
		int n = BIO_read(out[i], hello, sizeof hello);
		if (n > 0)
			raw_put(fd[i], hello, (size_t)n);
		kit_turns(HOSTS(b), 2);
		/* The client's half is not what is measured. */
		SSL_free(ssl[i]);
	}
	size_t each = (mallinfo2().uordblks - before) / (N / 2);
	print_message("an idle TLS connection holds %zu bytes\n", each);
	assert_int_equal(kit_count(b, NETC_tls_handshakes), N);
	if (before)
		assert_true(each <= 24 * 1024);
	for (int i = 0; i < N; i++)
		close(fd[i]);
	SSL_CTX_free(ctx);
	free(r);
	tls_host_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_tls),
		cmocka_unit_test(test_names_wss),
		cmocka_unit_test(test_a_hello_is_repeated), cmocka_unit_test(test_unknown_name_is_refused),
		cmocka_unit_test(test_missing_client_certificate),
		cmocka_unit_test(test_foreign_client_certificate),
		cmocka_unit_test(test_foreign_server),
		cmocka_unit_test(test_server_of_another_name),
		cmocka_unit_test(test_resumption_and_its_end),
		cmocka_unit_test(test_certificates_are_swapped),
		cmocka_unit_test(test_header_before_tls),
		cmocka_unit_test(test_header_and_hello_in_one_piece),
		cmocka_unit_test(test_plain_bytes_and_half_handshake),
		cmocka_unit_test(test_a_session_stays_in_its_domain),
		cmocka_unit_test(test_old_versions_are_refused),
		cmocka_unit_test(test_versions_are_the_domains),
		cmocka_unit_test(test_server_of_another_address),
		cmocka_unit_test(test_reuse_needs_a_verified_peer),
		cmocka_unit_test(test_client_domains_share_nothing),
		cmocka_unit_test(test_domain_choice),
		cmocka_unit_test(test_many_messages_both_ways),
		cmocka_unit_test(test_store_says_what_is_wrong),
		cmocka_unit_test(test_half_open_is_cheap),
		cmocka_unit_test(test_idle_connections_are_cheap),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
