/* net/tls_store.c -- TLS domains: certificates and settings loaded once, one SSL_CTX per worker and domain; which domain serves
 * a name; the keys of session tickets.  Immutable but for the ticket chains, each of which belongs to one worker. */
#include "net/stage.h"
#include "net/tls.h"
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

enum { TICKET_SECRET = 32 };

/* Files are read once, into `master`; a worker copies it when it first needs it, so that no reference count is shared between
 * workers on every handshake, and no key is read after privileges were dropped. */
struct tls_domain {
	struct tls_domain_conf conf;
	SSL_CTX               *master;
	EVP_PKEY              *dh;                   /* NULL: chosen by the library */
	SSL_CTX               *ctx[WORKERS_MAX];     /* each its worker's own */
};

/* Ticket keys follow from a secret that is hashed forward once per period: the workers agree without talking, and a key that
 * is over cannot be computed again from what is left (S15). */
struct ticket_chain {
	uint64_t          epoch;
	bool              started, has_old;
	unsigned char     secret[TICKET_SECRET];
	struct ticket_key now, old;
};

struct tls_store {
	size_t              n;
	uint16_t            workers;
	struct tls_domain  *domain;           /* n of them, then the built-in client domain */
	uint64_t            first_epoch;      /* plus 1; set once by whoever needs a key first */
	struct ticket_chain chain[WORKERS_MAX];
};

/* ---- loading ---- */

static const char default_ciphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:!aNULL:!PSK:!SRP";

static const char *ssl_reason(void)
{
	unsigned long e = ERR_peek_error();      /* the first is the cause, the later ones its echoes */
	const char *text = e ? ERR_reason_error_string(e) : NULL;

	if (e && ERR_SYSTEM_ERROR(e))
		return strerror(ERR_GET_REASON(e));
	return text ? text : "unknown reason";
}

static bool complain(struct out *err, const struct tls_domain_conf *c, const char *what, const char *file)
{
	putf(err, "TLS domain \"" VIEW_FMT "\": %s%s%s: %s", VIEW_ARG(c->name), what, *file ? " " : "", file, ssl_reason());
	ERR_clear_error();
	return false;
}

static bool path_of(struct view v, char *out, size_t cap)
{
	if (v.n >= cap || memchr(v.p, 0, v.n))
		return false;
	memcpy(out, v.p, v.n);
	out[v.n] = 0;
	return true;
}

/* A key behind a pass phrase cannot be opened by a server: fail instead of asking the terminal. */
static int no_pass_phrase(char *buf, int size, int writing, void *arg)
{
	return 0;
}

static bool load_identity(SSL_CTX *ctx, const struct tls_domain_conf *c, struct out *err)
{
	char file[PATH_MAX];

	if (!c->certificate.n && !c->server)
		return true;
	if (!path_of(c->certificate, file, sizeof file) || SSL_CTX_use_certificate_chain_file(ctx, file) != 1)
		return complain(err, c, "certificate", c->certificate.n < sizeof file ? file : "");
	struct view key = c->private_key.n ? c->private_key : c->certificate;
	if (!path_of(key, file, sizeof file) || SSL_CTX_use_PrivateKey_file(ctx, file, SSL_FILETYPE_PEM) != 1)
		return complain(err, c, "private key", file);
	if (SSL_CTX_check_private_key(ctx) != 1)
		return complain(err, c, "private key does not belong to the certificate", "");
	return true;
}

static bool load_authorities(SSL_CTX *ctx, const struct tls_domain_conf *c, struct out *err)
{
	char file[PATH_MAX];

	if (c->ca_list.n) {
		if (!path_of(c->ca_list, file, sizeof file) || SSL_CTX_load_verify_file(ctx, file) != 1)
			return complain(err, c, "CA list", file);
		if (c->server)
			SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(file));
	}
	if (c->ca_dir.n && (!path_of(c->ca_dir, file, sizeof file) || SSL_CTX_load_verify_dir(ctx, file) != 1))
		return complain(err, c, "CA directory", file);
	if (!c->ca_list.n && !c->ca_dir.n && c->verify_peer && SSL_CTX_set_default_verify_paths(ctx) != 1)
		return complain(err, c, "system CAs", "");
	if (!c->crl_dir.n)
		return true;
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	X509_LOOKUP *dir = X509_STORE_add_lookup(store, X509_LOOKUP_hash_dir());
	if (!dir || !path_of(c->crl_dir, file, sizeof file) || X509_LOOKUP_add_dir(dir, file, X509_FILETYPE_PEM) != 1)
		return complain(err, c, "CRL directory", file);
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | (c->crl_check_all ? X509_V_FLAG_CRL_CHECK_ALL : 0));
	return true;
}

static bool load_dh(struct tls_domain *d, struct out *err)
{
	const struct tls_domain_conf *c = &d->conf;
	char file[PATH_MAX];

	if (!c->dh_params.n)
		return true;
	BIO *bio = path_of(c->dh_params, file, sizeof file) ? BIO_new_file(file, "r") : NULL;
	d->dh = bio ? PEM_read_bio_Parameters(bio, NULL) : NULL;
	BIO_free(bio);
	return d->dh || complain(err, c, "DH parameters", file);
}

static bool use_dh(SSL_CTX *ctx, EVP_PKEY *dh)
{
	if (!dh) {
		SSL_CTX_set_dh_auto(ctx, 1);
		return true;
	}
	if (!EVP_PKEY_up_ref(dh))
		return false;
	if (SSL_CTX_set0_tmp_dh_pkey(ctx, dh) == 1)
		return true;
	EVP_PKEY_free(dh);
	return false;
}

static bool set_crypto(SSL_CTX *ctx, const struct tls_domain_conf *c, struct out *err)
{
	char text[1024];

	if (SSL_CTX_set_min_proto_version(ctx, c->min_version ? c->min_version : TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(ctx, c->max_version) != 1)
		return complain(err, c, "protocol versions", "");
	if (!c->ciphers.n) {
		/* Versions that know no AEAD were asked for by name: then the library's own list. */
		if (!c->min_version || c->min_version >= TLS1_2_VERSION)
			SSL_CTX_set_cipher_list(ctx, default_ciphers);
	} else if (!path_of(c->ciphers, text, sizeof text) || SSL_CTX_set_cipher_list(ctx, text) != 1)
		return complain(err, c, "cipher list", text);
	if (c->ec_curve.n && (!path_of(c->ec_curve, text, sizeof text) || SSL_CTX_set1_groups_list(ctx, text) != 1))
		return complain(err, c, "curve", text);
	return true;
}

/* A context with everything set that needs no file. */
static SSL_CTX *new_ctx(const struct tls_domain *d, struct out *err)
{
	const struct tls_domain_conf *c = &d->conf;

	ERR_clear_error();
	SSL_CTX *ctx = SSL_CTX_new(c->server ? TLS_server_method() : TLS_client_method());
	if (!ctx) {
		complain(err, c, "no context", "");
		return NULL;
	}
	SSL_CTX_set_default_passwd_cb(ctx, no_pass_phrase);
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1);
	/* A ticket made under one domain must not open a session under another, which may ask for a certificate. */
	uint8_t id[EVP_MAX_MD_SIZE];
	unsigned int idn = 0;
	EVP_Digest(c->name.n ? c->name.p : "", c->name.n, id, &idn, EVP_sha256(), NULL);
	must(idn <= SSL_MAX_SID_CTX_LENGTH);
	SSL_CTX_set_session_id_context(ctx, id, idn);
	int verify = c->verify_peer ? SSL_VERIFY_PEER : SSL_VERIFY_NONE;
	if (c->server && c->verify_peer && c->require_cert)
		verify |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	SSL_CTX_set_verify(ctx, verify, NULL);
	tls_ctx_hooks(ctx, c->server);
	if (set_crypto(ctx, c, err) && (use_dh(ctx, d->dh) || complain(err, c, "DH parameters", "")))
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

static bool load_domain(struct tls_domain *d, struct out *err)
{
	if (!load_dh(d, err))
		return false;
	d->master = new_ctx(d, err);
	return d->master && load_identity(d->master, &d->conf, err) && load_authorities(d->master, &d->conf, err);
}

/* What came from files, by reference. */
static bool copy_files(SSL_CTX *to, SSL_CTX *from)
{
	X509 *cert = SSL_CTX_get0_certificate(from);
	STACK_OF(X509) *chain = NULL;

	SSL_CTX_set1_cert_store(to, SSL_CTX_get_cert_store(from));
	SSL_CTX_set_client_CA_list(to, SSL_dup_CA_list(SSL_CTX_get_client_CA_list(from)));
	if (!cert)
		return true;
	return SSL_CTX_use_certificate(to, cert) == 1 && SSL_CTX_use_PrivateKey(to, SSL_CTX_get0_privatekey(from)) == 1 &&
		SSL_CTX_get0_chain_certs(from, &chain) == 1 && SSL_CTX_set1_chain(to, chain) == 1;
}

SSL_CTX *tls_domain_ctx(struct tls_domain *d, uint16_t worker)
{
	char text[64];
	struct out err = out_to(text, sizeof text);

	must(worker < WORKERS_MAX);
	if (d->ctx[worker])
		return d->ctx[worker];
	SSL_CTX *ctx = new_ctx(d, &err);
	if (ctx && copy_files(ctx, d->master)) {
		d->ctx[worker] = ctx;
		return ctx;
	}
	/* Out of memory: the master serves as well, only slower. */
	SSL_CTX_free(ctx);
	return d->master;
}

struct tls_store *tls_store_new(const struct tls_domain_conf *domains, size_t n, uint16_t workers, struct out *err)
{
	static const struct tls_domain_conf built_in = { .name = VIEW_INIT(""), .verify_peer = true };
	struct tls_store *s = calloc(1, sizeof *s);

	must(workers > 0 && workers <= WORKERS_MAX);
	if (s)
		s->domain = calloc(n + 1, sizeof *s->domain);
	if (!s || !s->domain) {
		putf(err, "TLS: no memory");
		free(s);
		return NULL;
	}
	s->workers = workers;
	s->n = n;
	bool client = false;
	for (size_t i = 0; i < n; i++) {
		s->domain[i].conf = domains[i];
		client = client || !domains[i].server;
		if (!load_domain(&s->domain[i], err))
			goto fail;
	}
	s->domain[n].conf = built_in;
	if (!client && !load_domain(&s->domain[n], err))
		goto fail;
	if (RAND_bytes(s->chain[0].secret, TICKET_SECRET) != 1) {
		putf(err, "TLS: no random bytes");
		goto fail;
	}
	for (uint16_t w = 1; w < workers; w++)
		memcpy(s->chain[w].secret, s->chain[0].secret, TICKET_SECRET);
	return s;

fail:
	tls_store_free(s);
	return NULL;
}

void tls_store_free(struct tls_store *s)
{
	if (!s)
		return;
	for (size_t i = 0; i <= s->n; i++) {
		for (uint16_t w = 0; w < s->workers; w++)
			SSL_CTX_free(s->domain[i].ctx[w]);
		SSL_CTX_free(s->domain[i].master);
		EVP_PKEY_free(s->domain[i].dh);
	}
	OPENSSL_cleanse(s->chain, sizeof s->chain);
	free(s->domain);
	free(s);
}

const struct tls_domain_conf *tls_domain_settings(const struct tls_domain *d)
{
	return &d->conf;
}

/* ---- which domain ---- */

enum ip_match { IP_NO, IP_ANY, IP_NAMED };

static enum ip_match match_ip(struct view list, const struct addr *a)
{
	enum ip_match best = list.n ? IP_NO : IP_ANY;

	while (list.n) {
		struct view one = view_trim(view_cut(&list, ','));
		struct addr at;
		if (view_is(one, VIEW("*")))
			best = best == IP_NAMED ? best : IP_ANY;
		else if (addr_parse(one, &at) && addr_same_ip(&at, a) && (!at.port || at.port == a->port))
			best = IP_NAMED;
	}
	return best;
}

static bool glob(struct view pattern, struct view name)
{
	char p[256], s[256];

	return path_of(pattern, p, sizeof p) && path_of(name, s, sizeof s) && fnmatch(p, s, FNM_CASEFOLD) == 0;
}

/* How well a list of name patterns fits; 0 = not.  The longest literal part wins. */
static size_t match_name(struct view list, struct view name)
{
	size_t best = list.n ? 0 : 1;

	while (list.n) {
		struct view one = view_trim(view_cut(&list, ','));
		size_t score = 0;
		if (view_is(one, VIEW("*")))
			score = 1;
		else if (view_is_ci(one, VIEW("none")))
			score = name.n ? 0 : 2;
		else if (name.n && view_is_ci(one, name))
			score = 1000 + one.n;
		else if (name.n && glob(one, name))
			score = 2 + one.n;
		best = score > best ? score : best;
	}
	return best;
}

static struct tls_domain *choose(const struct tls_store *s, bool server, const struct addr *a, struct view name)
{
	/* Domains that name the address come before those for any. */
	for (int want = IP_NAMED; want >= IP_ANY; want--) {
		struct tls_domain *found = NULL;
		size_t best = 0;
		for (size_t i = 0; i < s->n; i++) {
			struct tls_domain *d = &s->domain[i];
			if (d->conf.server != server || match_ip(d->conf.match_ip, a) != (enum ip_match)want)
				continue;
			size_t score = match_name(d->conf.match_sip, name);
			if (score > best) {
				best = score;
				found = d;
			}
		}
		if (found)
			return found;
	}
	return NULL;
}

struct tls_domain *tls_store_server(const struct tls_store *s, const struct addr *local, struct view sni)
{
	return choose(s, true, local, sni);
}

struct tls_domain *tls_store_any_server(const struct tls_store *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->domain[i].conf.server)
			return &s->domain[i];
	return NULL;
}

struct tls_domain *tls_store_client(const struct tls_store *s, const struct addr *to, struct view name, struct view sni)
{
	bool any = false;

	for (size_t i = 0; i < s->n; i++) {
		if (s->domain[i].conf.server)
			continue;
		any = true;
		if (name.n && view_is(s->domain[i].conf.name, name))
			return &s->domain[i];
	}
	if (name.n)
		return NULL;
	/* Without any client domain of the operator's, the built-in one verifies against the system's CAs. */
	return any ? choose(s, false, to, sni) : &s->domain[s->n];
}

/* ---- ticket keys ---- */

static void derive(const unsigned char secret[TICKET_SECRET], const char *label, unsigned char *out, size_t n)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	must(HMAC(EVP_sha256(), secret, TICKET_SECRET, (const unsigned char *)label, strlen(label), mac, &len) && n <= len);
	memcpy(out, mac, n);
	OPENSSL_cleanse(mac, sizeof mac);
}

static void chain_keys(struct ticket_chain *c)
{
	derive(c->secret, "name", c->now.name, sizeof c->now.name);
	derive(c->secret, "aes", c->now.aes, sizeof c->now.aes);
	derive(c->secret, "mac", c->now.mac, sizeof c->now.mac);
}

static void chain_advance(struct ticket_chain *c, uint64_t epoch)
{
	while (c->epoch < epoch) {
		c->old = c->now;
		c->has_old = true;
		derive(c->secret, "next", c->secret, TICKET_SECRET);
		chain_keys(c);
		c->epoch++;
	}
}

static uint64_t first_epoch(struct tls_store *s, uint64_t epoch)
{
	uint64_t none = 0;

	/* Workers read their clocks at different moments: whoever is first decides for all. */
	if (__atomic_compare_exchange_n(&s->first_epoch, &none, epoch + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return epoch;
	return none - 1;
}

const struct ticket_key *tls_ticket_key(struct tls_store *s, uint16_t worker, uint64_t unix_ms, const unsigned char name[16], bool *old)
{
	struct ticket_chain *c = &s->chain[worker];
	uint64_t epoch = unix_ms / TLS_TICKET_ROTATE_MS;

	must(worker < s->workers);
	if (!c->started) {
		c->started = true;
		c->epoch = first_epoch(s, epoch);
		chain_keys(c);
	}
	/* A clock set far ahead costs its steps once; one set back changes nothing. */
	chain_advance(c, epoch);
	*old = false;
	if (!name || memcmp(name, c->now.name, sizeof c->now.name) == 0)
		return &c->now;
	*old = true;
	return c->has_old && memcmp(name, c->old.name, sizeof c->old.name) == 0 ? &c->old : NULL;
}
