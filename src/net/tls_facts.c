/* net/tls_facts.c -- what is known of a TLS connection, kept beyond it for as long as a message needs it ($tls_*). */
#include "net/tls.h"
#include <openssl/x509v3.h>

struct tls_facts {
	const char       *version;         /* OpenSSL's own constants */
	const SSL_CIPHER *cipher;
	X509             *peer, *own;
	long              verify;
	bool              resumed;
	struct view       sni, alpn, cn;   /* into bytes */
	char              bytes[];
};

/* Untrusted text leaves here only if it is text (reference R7). */
static bool put_text(struct out *out, struct view v)
{
	if (!v.n || !pp_is_text(v))
		return false;
	put(out, v);
	return true;
}

static bool name_part(X509_NAME *name, int nid, struct out *out)
{
	int i = X509_NAME_get_index_by_NID(name, nid, -1);
	unsigned char *utf8 = NULL;

	if (i < 0)
		return false;
	int n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i)));
	bool ok = n > 0 && put_text(out, view_of((char *)utf8, (size_t)n));
	OPENSSL_free(utf8);
	return ok;
}

struct tls_facts *tls_facts_new(SSL *ssl, struct view sni)
{
	const unsigned char *alpn = NULL;
	unsigned int alpn_n = 0;
	char cn_room[256];
	struct out cn = out_to(cn_room, sizeof cn_room);
	X509 *peer = SSL_get1_peer_certificate(ssl), *own = SSL_get_certificate(ssl);

	SSL_get0_alpn_selected(ssl, &alpn, &alpn_n);
	if (peer)
		name_part(X509_get_subject_name(peer), NID_commonName, &cn);
	struct tls_facts *t = calloc(1, sizeof *t + sni.n + alpn_n + cn.n);
	if (!t) {
		X509_free(peer);
		return NULL;
	}
	t->version = SSL_get_version(ssl);
	t->cipher = SSL_get_current_cipher(ssl);
	t->peer = peer;
	if (own && X509_up_ref(own))
		t->own = own;
	t->verify = SSL_get_verify_result(ssl);
	if (!(SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) && t->verify == X509_V_OK)
		t->verify = X509_V_ERR_APPLICATION_VERIFICATION;       /* nobody looked */
	t->resumed = SSL_session_reused(ssl) == 1;

	struct out all = out_to(t->bytes, sni.n + alpn_n + cn.n);
	put(&all, sni);
	put(&all, view_of((const char *)alpn, alpn_n));
	put(&all, out_view(&cn));
	t->sni = view_of(t->bytes, sni.n);
	t->alpn = view_of(t->bytes + sni.n, alpn_n);
	t->cn = view_of(t->bytes + sni.n + alpn_n, cn.n);
	return t;
}

void tls_facts_free(struct tls_facts *t)
{
	if (!t)
		return;
	X509_free(t->peer);
	X509_free(t->own);
	free(t);
}

bool tls_facts_peer_verified(const struct tls_facts *t)
{
	return t && t->peer && t->verify == X509_V_OK;
}

struct view tls_facts_sni(const struct tls_facts *t)
{
	return t ? t->sni : VIEW_NONE;
}

void tls_facts_pp(const struct tls_facts *t, struct pp_ssl_out *out)
{
	*out = (struct pp_ssl_out){ .cert_conn = t->peer && !t->resumed, .cert_sess = t->peer != NULL,
		.verified = tls_facts_peer_verified(t), .version = view_str(t->version), .cipher = view_str(SSL_CIPHER_get_name(t->cipher)),
		.cn = t->cn };
}

/* ---- one certificate ---- */

static bool put_oneline(X509_NAME *name, struct out *out)
{
	char *text = X509_NAME_oneline(name, NULL, 0);
	bool ok = text && put_text(out, view_str(text));

	OPENSSL_free(text);
	return ok;
}

static bool put_serial(X509 *x, struct out *out)
{
	BIGNUM *n = ASN1_INTEGER_to_BN(X509_get_serialNumber(x), NULL);
	char *text = n ? BN_bn2dec(n) : NULL;
	bool ok = text && put_text(out, view_str(text));

	OPENSSL_free(text);
	BN_free(n);
	return ok;
}

static bool put_time(const ASN1_TIME *at, struct out *out)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *p = NULL;
	bool ok = b && ASN1_TIME_print(b, at) == 1;
	long n = ok ? BIO_get_mem_data(b, &p) : 0;

	ok = ok && put_text(out, view_of(p, (size_t)n));
	BIO_free(b);
	return ok;
}

static bool put_general_name(const GENERAL_NAME *g, int type, struct out *out)
{
	if (type != GEN_IPADD) {
		const ASN1_STRING *s = g->d.ia5;
		return put_text(out, view_of((const char *)ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)));
	}
	const ASN1_OCTET_STRING *ip = g->d.iPAddress;
	int n = ASN1_STRING_length(ip);
	struct addr a = { .af = n == 4 ? AF_V4 : AF_V6 };
	char text[ADDR_TEXT_MAX];
	if (n != 4 && n != 16)
		return false;
	memcpy(a.ip, ASN1_STRING_get0_data(ip), (size_t)n);
	return put_text(out, addr_ip_text(&a, text));
}

static bool put_san(X509 *x, int type, struct out *out)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	bool ok = false;

	for (int i = 0; !ok && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
		if (g->type == type)
			ok = put_general_name(g, type, out);
	}
	GENERAL_NAMES_free(names);
	return ok;
}

enum cert_field { CERT_VERSION, CERT_SERIAL, CERT_NOT_BEFORE, CERT_NOT_AFTER, CERT_SUBJECT, CERT_ISSUER, CERT_SAN };
static const struct cert_row { struct view name; enum cert_field field; int which; /* NID (0 = whole name) or GEN_ type */ } cert_rows[] = {
	{ VIEW_INIT("version"),              CERT_VERSION,    0 },
	{ VIEW_INIT("serial"),               CERT_SERIAL,     0 },
	{ VIEW_INIT("notBefore"),            CERT_NOT_BEFORE, 0 },
	{ VIEW_INIT("notAfter"),             CERT_NOT_AFTER,  0 },
	{ VIEW_INIT("subject"),              CERT_SUBJECT,    0 },
	{ VIEW_INIT("subject_cn"),           CERT_SUBJECT,    NID_commonName },
	{ VIEW_INIT("subject_locality"),     CERT_SUBJECT,    NID_localityName },
	{ VIEW_INIT("subject_country"),      CERT_SUBJECT,    NID_countryName },
	{ VIEW_INIT("subject_state"),        CERT_SUBJECT,    NID_stateOrProvinceName },
	{ VIEW_INIT("subject_organization"), CERT_SUBJECT,    NID_organizationName },
	{ VIEW_INIT("subject_unit"),         CERT_SUBJECT,    NID_organizationalUnitName },
	{ VIEW_INIT("subject_serial"),       CERT_SUBJECT,    NID_serialNumber },
	{ VIEW_INIT("issuer"),               CERT_ISSUER,     0 },
	{ VIEW_INIT("issuer_cn"),            CERT_ISSUER,     NID_commonName },
	{ VIEW_INIT("issuer_locality"),      CERT_ISSUER,     NID_localityName },
	{ VIEW_INIT("issuer_country"),       CERT_ISSUER,     NID_countryName },
	{ VIEW_INIT("issuer_state"),         CERT_ISSUER,     NID_stateOrProvinceName },
	{ VIEW_INIT("issuer_organization"),  CERT_ISSUER,     NID_organizationName },
	{ VIEW_INIT("issuer_unit"),          CERT_ISSUER,     NID_organizationalUnitName },
	{ VIEW_INIT("san_email"),            CERT_SAN,        GEN_EMAIL },
	{ VIEW_INIT("san_hostname"),         CERT_SAN,        GEN_DNS },
	{ VIEW_INIT("san_uri"),              CERT_SAN,        GEN_URI },
	{ VIEW_INIT("san_ip"),               CERT_SAN,        GEN_IPADD },
};

static bool cert_text(X509 *x, struct view what, struct out *out)
{
	const struct cert_row *r = NULL;

	for (size_t i = 0; x && !r && i < COUNT_OF(cert_rows); i++)
		if (view_is_ci(cert_rows[i].name, what))
			r = &cert_rows[i];
	if (!r)
		return false;
	switch (r->field) {
	case CERT_VERSION:
		put_i64(out, X509_get_version(x) + 1);
		return true;
	case CERT_SERIAL:
		return put_serial(x, out);
	case CERT_NOT_BEFORE:
		return put_time(X509_get0_notBefore(x), out);
	case CERT_NOT_AFTER:
		return put_time(X509_get0_notAfter(x), out);
	case CERT_SAN:
		return put_san(x, r->which, out);
	case CERT_SUBJECT:
	case CERT_ISSUER:
		break;
	}
	X509_NAME *name = r->field == CERT_SUBJECT ? X509_get_subject_name(x) : X509_get_issuer_name(x);
	return r->which ? name_part(name, r->which, out) : put_oneline(name, out);
}

/* ---- by name ---- */

static bool put_flag(struct out *out, bool yes)
{
	put_char(out, yes ? '1' : '0');
	return true;
}

static bool verdict_text(const struct tls_facts *t, struct view what, struct out *out)
{
	if (view_is_ci(what, VIEW("verified")))
		return put_flag(out, tls_facts_peer_verified(t));
	if (view_is_ci(what, VIEW("revoked")))
		return put_flag(out, t->verify == X509_V_ERR_CERT_REVOKED);
	if (view_is_ci(what, VIEW("expired")))
		return put_flag(out, t->verify == X509_V_ERR_CERT_HAS_EXPIRED);
	if (view_is_ci(what, VIEW("selfsigned")))
		return put_flag(out, t->verify == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT);
	return false;
}

static bool cipher_text(const struct tls_facts *t, struct view what, struct out *out)
{
	char room[256];

	if (view_is_ci(what, VIEW("tls_version")))
		return put_text(out, view_str(t->version));
	if (!t->cipher)
		return false;
	if (view_is_ci(what, VIEW("tls_cipher_info")))
		return put_text(out, view_str(SSL_CIPHER_get_name(t->cipher)));
	if (view_is_ci(what, VIEW("tls_description")))
		return SSL_CIPHER_description(t->cipher, room, sizeof room) && put_text(out, view_trim(view_str(room)));
	if (view_is_ci(what, VIEW("tls_cipher_bits"))) {
		put_i64(out, SSL_CIPHER_get_bits(t->cipher, NULL));
		return true;
	}
	return false;
}

bool tls_facts_text(const struct tls_facts *t, struct view what, struct out *out)
{
	if (!t)
		return false;
	if (view_starts_ci(what, VIEW("tls_peer_"))) {
		struct view field = view_from(what, 9);
		return verdict_text(t, field, out) || cert_text(t->peer, field, out);
	}
	if (view_starts_ci(what, VIEW("tls_my_")))
		return cert_text(t->own, view_from(what, 7), out);
	return cipher_text(t, what, out);
}
