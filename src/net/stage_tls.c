/* net/stage_tls.c -- TLS over the stage below (OpenSSL behind a BIO of our own, so that what the PROXY stage read too far is
 * not lost): handshake, records, session tickets, sessions to resume. */
#include "net/tls.h"
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>

enum { TLS_RECORD = 16384, TLS_RECORD_MORE = 2048, SNI_MAX = 255, HELLO_STEP = 1024 };

struct tls {
	SSL                     *ssl;
	struct tls_domain       *domain;
	struct conn             *c;
	unsigned                 at;
	bool                     established, heard;      /* heard: the peer has sent a byte */
	uint16_t                 sni_n;
	char                    *sni;             /* of an accepted connection */
	char                    *early;           /* what the client sent before there was an SSL */
	uint32_t                 early_n, early_off;
};

static struct tls *tls_of(const struct conn *c, unsigned at)
{
	return c->state[at];
}

/* The stage of a connection OpenSSL calls back about. */
static struct tls *tls_by(const SSL *ssl)
{
	return SSL_get_app_data(ssl);
}

/* ---- before there is an SSL ---- */

/* A client's first record is whole, or is none. */
static bool hello_whole(const struct tls *t)
{
	const uint8_t *p = (const uint8_t *)t->early;

	if (!t->early_n)
		return false;
	if (p[0] != SSL3_RT_HANDSHAKE)
		return true;
	if (t->early_n < SSL3_RT_HEADER_LENGTH)
		return false;
	size_t n = (size_t)p[3] << 8 | p[4];
	return n > TLS_RECORD + TLS_RECORD_MORE || t->early_n >= SSL3_RT_HEADER_LENGTH + n;
}

/* An SSL costs fifty times what a connection does: who connects and waits, or dribbles its hello, gets none. */
static enum io hello_read(struct conn *c, unsigned at, struct tls *t)
{
	while (!hello_whole(t)) {
		size_t got;
		bool whole;
		enum io r = stage_recv(c, at - 1, c->net->scratch, HELLO_STEP, &got, &whole);
		if (got) {
			char *more = realloc(t->early, t->early_n + got);
			if (!more)
				return IO_ERR;
			memcpy(more + t->early_n, c->net->scratch, got);
			t->early = more;
			t->early_n += (uint32_t)got;
			t->heard = true;
		}
		if (r != IO_OK)
			return hello_whole(t) ? IO_OK : r;
	}
	return IO_OK;
}

static size_t early_take(struct tls *t, char *p, size_t n)
{
	must(t->early_off < t->early_n);
	size_t k = t->early_n - t->early_off < n ? t->early_n - t->early_off : n;

	memcpy(p, t->early + t->early_off, k);
	t->early_off += (uint32_t)k;
	if (t->early_off == t->early_n) {
		free(t->early);
		t->early = NULL;
	}
	return k;
}

/* ---- the BIO: the stage below ---- */

static int bio_read(BIO *b, char *p, int n)
{
	struct tls *t = BIO_get_data(b);
	size_t got;
	bool whole;
	must(n > 0 && t->at > 0);

	BIO_clear_retry_flags(b);
	if (t->early)
		return (int)early_take(t, p, (size_t)n);
	switch (stage_recv(t->c, t->at - 1, p, (size_t)n, &got, &whole)) {
	case IO_OK:
		t->heard = true;
		return (int)got;
	case IO_AGAIN:
		BIO_set_retry_read(b);
		return -1;
	case IO_EOF:
		return 0;
	case IO_ERR:
		break;
	}
	return -1;
}

static int bio_write(BIO *b, const char *p, int n)
{
	struct tls *t = BIO_get_data(b);
	struct iovec v = { (char *)p, (size_t)n };
	size_t sent = 0;
	enum io r = stage_send(t->c, t->at - 1, &v, 1, &sent);

	BIO_clear_retry_flags(b);
	if (sent)
		return (int)sent;
	if (r == IO_AGAIN)
		BIO_set_retry_write(b);
	return -1;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	return cmd == BIO_CTRL_FLUSH;
}

struct session;
struct tls_worker {
	struct net  *net;
	BIO_METHOD  *bio;
	struct table sessions;
	struct list  age;                 /* oldest first */
};

static BIO *bio_new(struct tls *t)
{
	BIO *b = BIO_new(t->c->net->tls->bio);

	if (b) {
		BIO_set_data(b, t);
		BIO_set_init(b, 1);
	}
	return b;
}

/* ---- sessions of our own connections, to resume ---- */

struct session {
	struct table_node node;
	struct list       age;
	SSL_SESSION      *ssl;
	size_t            n;
	char              key[];
};
enum { SESSION_KEY = 18 + 2 * (SNI_MAX + 1) };

static bool session_is(const struct table_node *n, const void *key)
{
	const struct session *s = container_of(n, struct session, node);

	return view_is(view_of(s->key, s->n), *(const struct view *)key);
}

/* Peer, name, domain: whatever decides who must be at the other end and who we are. */
static struct view session_key(const struct conn *c, char *room)
{
	struct out o = out_to(room, SESSION_KEY);
	const struct addr *a = &c->origin.wire_src;
	char port[2] = { (char)(a->port >> 8), (char)a->port };

	put(&o, view_of((const char *)a->ip, 16));
	put(&o, view_of(port, 2));
	put(&o, c->sni);
	put_char(&o, 0);
	put(&o, c->tls_domain);
	return o.full ? VIEW_NONE : out_view(&o);
}

static void session_drop(struct tls_worker *w, struct session *s)
{
	table_del(&w->sessions, &s->node);
	list_del(&s->age);
	SSL_SESSION_free(s->ssl);
	free(s);
}

static struct session *session_find(struct tls_worker *w, struct view key)
{
	struct table_node *n = table_find(&w->sessions, siphash_view(w->net->key, key), session_is, &key);

	return n ? container_of(n, struct session, node) : NULL;
}

/* OpenSSL hands over a reference when we return 1. */
static int session_new(SSL *ssl, SSL_SESSION *session)
{
	struct tls *t = tls_by(ssl);
	struct tls_worker *w = t->c->net->tls;
	char room[SESSION_KEY];
	struct view key = session_key(t->c, room);

	if (!key.n)
		return 0;
	struct session *s = session_find(w, key);
	if (s)
		session_drop(w, s);
	else if (w->sessions.count >= TLS_SESSIONS)
		session_drop(w, container_of(w->age.next, struct session, age));
	s = calloc(1, sizeof *s + key.n);
	if (!s)
		return 0;
	s->ssl = session;
	s->n = key.n;
	memcpy(s->key, key.p, key.n);
	list_add_tail(&w->age, &s->age);
	table_add(&w->sessions, &s->node, siphash_view(w->net->key, key));
	return 1;
}

static void session_resume(struct tls *t)
{
	struct tls_worker *w = t->c->net->tls;
	char room[SESSION_KEY];
	struct view key = session_key(t->c, room);
	struct session *s = key.n ? session_find(w, key) : NULL;

	if (!s)
		return;
	SSL_set_session(t->ssl, s->ssl);
	/* A TLS 1.3 ticket is used once (RFC 8446 C.4); each connection brings a new one. */
	if (SSL_SESSION_get_protocol_version(s->ssl) == TLS1_3_VERSION)
		session_drop(w, s);
}

struct tls_worker *tls_worker_new(struct net *n)
{
	struct tls_worker *w = calloc(1, sizeof *w);

	if (!w)
		return NULL;
	w->net = n;
	list_init(&w->age);
	w->bio = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stage");
	if (!w->bio || !table_init(&w->sessions, 16)) {
		BIO_meth_free(w->bio);
		free(w);
		return NULL;
	}
	BIO_meth_set_read(w->bio, bio_read);
	BIO_meth_set_write(w->bio, bio_write);
	BIO_meth_set_ctrl(w->bio, bio_ctrl);
	return w;
}

void tls_worker_free(struct tls_worker *w)
{
	if (!w)
		return;
	while (!list_empty(&w->age))
		session_drop(w, container_of(w->age.next, struct session, age));
	table_done(&w->sessions);
	BIO_meth_free(w->bio);
	free(w);
}

/* ---- callbacks of the contexts ---- */

/* host_name of the server_name extension (RFC 6066 3); false when it is malformed. */
static bool hello_name(SSL *ssl, struct view *out)
{
	const unsigned char *p;
	size_t n;

	*out = VIEW_NONE;
	if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n))
		return true;
	if (n < 5 || (size_t)(p[0] << 8 | p[1]) != n - 2 || p[2] != TLSEXT_NAMETYPE_host_name)
		return false;
	size_t len = (size_t)(p[3] << 8 | p[4]);
	if (!len || len > SNI_MAX || len > n - 5 || memchr(p + 5, 0, len))
		return false;
	*out = view_of((const char *)p + 5, len);
	return true;
}

/* The domain is chosen here, before versions, tickets and sessions are looked at: chosen later, a session of one domain could
 * be resumed under another that asks for a certificate. */
static int client_hello(SSL *ssl, int *alert, void *arg)
{
	struct tls *t = tls_by(ssl);
	struct net *n = t->c->net;
	struct view name;

	*alert = SSL_AD_DECODE_ERROR;
	if (!hello_name(ssl, &name))
		return SSL_CLIENT_HELLO_ERROR;
	*alert = SSL_AD_UNRECOGNIZED_NAME;
	t->domain = tls_store_server(n->store, &t->c->origin.wire_dst, name);
	if (!t->domain)
		return SSL_CLIENT_HELLO_ERROR;
	*alert = SSL_AD_INTERNAL_ERROR;
	/* After a HelloRetryRequest this is the second time. */
	free(t->sni);
	t->sni = NULL;
	t->sni_n = 0;
	if (name.n) {
		t->sni = malloc(name.n);
		if (!t->sni)
			return SSL_CLIENT_HELLO_ERROR;
		memcpy(t->sni, name.p, name.n);
		t->sni_n = (uint16_t)name.n;
	}
	SSL_CTX *ctx = tls_domain_ctx(t->domain, n->id);
	if (!SSL_set_SSL_CTX(ssl, ctx))
		return SSL_CLIENT_HELLO_ERROR;
	/* What an SSL copied from its first context, the switch does not carry over. */
	SSL_set_verify(ssl, SSL_CTX_get_verify_mode(ctx), NULL);
	SSL_set_min_proto_version(ssl, (int)SSL_CTX_get_min_proto_version(ctx));
	SSL_set_max_proto_version(ssl, (int)SSL_CTX_get_max_proto_version(ctx));
	const struct tls_domain_conf *d = tls_domain_settings(t->domain);
	char groups[1024];
	if (d->ec_curve.n && d->ec_curve.n < sizeof groups) {
		memcpy(groups, d->ec_curve.p, d->ec_curve.n);
		groups[d->ec_curve.n] = 0;
		SSL_set1_groups_list(ssl, groups);
	}
	return SSL_CLIENT_HELLO_SUCCESS;
}

static int ticket(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int sealing)
{
	struct net *n = tls_by(ssl)->c->net;
	bool old;
	const struct ticket_key *k = tls_ticket_key(n->store, n->id, n->loop->unix_ms, sealing ? NULL : name, &old);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(k ? k->mac : NULL), sizeof k->mac),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, "sha256", 0),
		OSSL_PARAM_construct_end(),
	};

	if (!k)
		return 0;              /* over, or never ours: a full handshake */
	if (!EVP_MAC_CTX_set_params(mac, params))
		return -1;
	if (!sealing) {
		if (!EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->aes, iv))
			return -1;
		return old ? 2 : 1;
	}
	memcpy(name, k->name, sizeof k->name);
	if (RAND_bytes(iv, EVP_MAX_IV_LENGTH) != 1 || !EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->aes, iv))
		return -1;
	return 1;
}

/* SIP's names where SIP is spoken, HTTP's where the upgrade begins; a client that offers neither is served all the same. */
static int alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in, unsigned int n, void *arg)
{
	static const unsigned char sip[] = "\x03sip\x05sip/2", http[] = "\x08http/1.1";
	bool ws = tls_by(ssl)->c->origin.transport == TR_WSS;
	unsigned char *chosen = NULL;

	if (SSL_select_next_proto(&chosen, out_n, ws ? http : sip, ws ? sizeof http - 1 : sizeof sip - 1, in, n) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

void tls_ctx_hooks(SSL_CTX *ctx, bool server)
{
	if (server) {
		SSL_CTX_set_client_hello_cb(ctx, client_hello, NULL);
		SSL_CTX_set_alpn_select_cb(ctx, alpn, NULL);
		SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ticket);
		SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
		SSL_CTX_set_num_tickets(ctx, 1);
		SSL_CTX_set_timeout(ctx, TLS_TICKET_ROTATE_MS / 1000);
		return;
	}
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, session_new);
}

/* ---- handshake ---- */

static bool client_names(struct tls *t)
{
	struct conn *c = t->c;
	const struct tls_domain_conf *d = tls_domain_settings(t->domain);
	char name[SNI_MAX + 1];
	struct addr ip;

	if (c->origin.transport == TR_WSS && SSL_set_alpn_protos(t->ssl, (const unsigned char *)"\x08http/1.1", 9))
		return false;
	if (!c->sni.n)
		return true;
	if (c->sni.n >= sizeof name || memchr(c->sni.p, 0, c->sni.n))
		return false;
	memcpy(name, c->sni.p, c->sni.n);
	name[c->sni.n] = 0;
	if (addr_parse_ip(c->sni, &ip)) {
		/* An address is never sent as a name (RFC 6066 3), but a certificate may hold it. */
		return !d->verify_peer || X509_VERIFY_PARAM_set1_ip(SSL_get0_param(t->ssl), ip.ip, ip.af == AF_V4 ? 4 : 16);
	}
	if (!SSL_set_tlsext_host_name(t->ssl, name))
		return false;
	return !d->verify_peer || SSL_set1_host(t->ssl, name);
}

static bool tls_begin(struct conn *c, struct tls *t)
{
	struct tls_store *store = c->net->store;

	if (!store)
		return false;
	t->domain = c->origin.outbound ? tls_store_client(store, &c->origin.wire_src, c->tls_domain, c->sni) :
		tls_store_any_server(store);
	if (!t->domain) {
		log_at(L_ERR, "net: no TLS %s domain fits", c->origin.outbound ? "client" : "server");
		return false;
	}
	t->ssl = SSL_new(tls_domain_ctx(t->domain, c->net->id));
	BIO *bio = t->ssl ? bio_new(t) : NULL;
	if (!bio)
		return false;
	SSL_set_bio(t->ssl, bio, bio);
	SSL_set_app_data(t->ssl, t);
	if (!c->origin.outbound) {
		SSL_set_accept_state(t->ssl);
		return true;
	}
	SSL_set_connect_state(t->ssl);
	if (!client_names(t))
		return false;
	session_resume(t);
	return true;
}

static const char *failure(struct tls *t)
{
	unsigned long e = ERR_peek_error();
	long v = SSL_get_verify_result(t->ssl);

	if (v != X509_V_OK && ERR_GET_REASON(e) == SSL_R_CERTIFICATE_VERIFY_FAILED)
		return X509_verify_cert_error_string(v);
	const char *text = e ? ERR_reason_error_string(e) : NULL;
	return text ? text : "the peer went away";
}

static enum io tls_refused(struct conn *c, struct tls *t)
{
	char text[ADDR_TEXT_MAX];
	struct view a = addr_text(&c->origin.wire_src, text);

	/* A stage below may have ended it for a reason of its own. */
	if (!c->closing)
		log_at(L_NOTICE, "net: " VIEW_FMT ": TLS handshake with " VIEW_FMT " failed: %s",
			VIEW_ARG(c->origin.socket->text), VIEW_ARG(a), failure(t));
	conn_fail(c, NETC_tls_failed, SEND_REFUSED);
	ERR_clear_error();
	return IO_ERR;
}

static enum io tls_established(struct conn *c, struct tls *t)
{
	struct view sni = c->origin.outbound ? c->sni : view_of(t->sni, t->sni_n);

	must(!t->established);
	if (!c->origin.facts) {
		c->origin.facts = facts_new(VIEW_NONE);
		if (!c->origin.facts)
			return IO_ERR;
	}
	c->origin.facts->tls = tls_facts_new(t->ssl, sni);
	if (!c->origin.facts->tls)
		return IO_ERR;
	t->established = true;
	net_count(c->net, NETC_tls_handshakes);
	if (SSL_session_reused(t->ssl))
		net_count(c->net, NETC_tls_resumed);
	return IO_OK;
}

static enum io tls_open(struct conn *c, unsigned at)
{
	struct tls *t = tls_of(c, at);

	if (!t) {
		c->state[at] = t = calloc(1, sizeof *t);
		if (!t)
			return IO_ERR;
		t->c = c;
		t->at = at;
	}
	if (!t->ssl && !c->origin.outbound) {
		enum io r = hello_read(c, at, t);
		/* Half a hello and then the end is a failed handshake; OpenSSL has the words for it. */
		if (r == IO_AGAIN || (r != IO_OK && (!t->heard || c->closing)))
			return r;
	}
	if (!t->ssl && !tls_begin(c, t)) {
		conn_fail(c, NETC_tls_failed, SEND_REFUSED);
		return IO_ERR;
	}
	ERR_clear_error();
	int r = SSL_do_handshake(t->ssl);
	if (r == 1)
		return tls_established(c, t);
	switch (SSL_get_error(t->ssl, r)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return IO_AGAIN;
	default:
		/* A health check connects and leaves: nothing has failed. */
		if (!t->heard && !c->origin.outbound && !c->closing) {
			ERR_clear_error();
			return IO_EOF;
		}
		return tls_refused(c, t);
	}
}

static uint32_t tls_patience(const struct conn *c)
{
	return c->net->conf->tls_handshake_ms;
}

/* ---- records ---- */

static enum io tls_outcome(struct tls *t, int r)
{
	switch (SSL_get_error(t->ssl, r)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return IO_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return IO_EOF;
	default:
		/* After a fatal error nothing may be sent, not even a goodbye. */
		t->established = false;
		ERR_clear_error();
		return IO_ERR;
	}
}

static enum io tls_recv(struct conn *c, unsigned at, char *p, size_t n, size_t *got, bool *whole)
{
	struct tls *t = tls_of(c, at);

	*whole = false;
	*got = 0;
	ERR_clear_error();
	int r = SSL_read_ex(t->ssl, p, n, got);
	return r == 1 ? IO_OK : tls_outcome(t, r);
}

/* Small messages share a record: gather up to one record's worth. */
static size_t gather(char *room, const struct iovec *iov, int n)
{
	size_t used = 0;

	for (int i = 0; i < n && used < TLS_RECORD; i++) {
		size_t k = iov[i].iov_len < TLS_RECORD - used ? iov[i].iov_len : TLS_RECORD - used;
		memcpy(room + used, iov[i].iov_base, k);
		used += k;
	}
	return used;
}

static enum io tls_send(struct conn *c, unsigned at, const struct iovec *iov, int n, size_t *sent)
{
	struct tls *t = tls_of(c, at);
	must(n > 0);
	char room[TLS_RECORD];
	const char *p = room;
	size_t len;

	*sent = 0;
	if (n == 1) {
		p = iov[0].iov_base;
		len = iov[0].iov_len;
	} else {
		len = gather(room, iov, n);
	}
	ERR_clear_error();
	int r = SSL_write_ex(t->ssl, p, len, sent);
	return r == 1 ? IO_OK : tls_outcome(t, r);
}

static void tls_close(struct conn *c, unsigned at, bool polite)
{
	struct tls *t = tls_of(c, at);

	if (!t)
		return;
	if (t->ssl) {
		ERR_clear_error();
		if (polite && t->established)
			SSL_shutdown(t->ssl);
		/* Else OpenSSL would declare the session unfit to be resumed. */
		SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
		SSL_free(t->ssl);
		ERR_clear_error();
	}
	free(t->sni);
	free(t->early);
	free(t);
	c->state[at] = NULL;
}

const struct stage_ops stage_tls = { .name = "tls", .open = tls_open, .patience = tls_patience, .recv = tls_recv, .send = tls_send,
	.close = tls_close };
