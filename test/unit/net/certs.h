/* test/unit/net/certs.h -- a CA and certificates made for one run, in a directory of their own. */
#ifndef NET_CERTS_H
#define NET_CERTS_H
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct identity { X509 *cert; EVP_PKEY *key; char cert_file[256], key_file[256]; };
static char certs_dir[] = "/tmp/net-test-XXXXXX";

static inline void certs_ext(X509 *x, X509 *ca, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, ca, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(e);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
}

/* san: "DNS:a.example" or NULL for the CA itself. */
static inline struct identity certs_make(const struct identity *ca, const char *cn, const char *san)
{
	static long serial = 1;
	struct identity id = { X509_new(), EVP_EC_gen("P-256"), "", "" };
	X509_set_version(id.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(id.cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(id.cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(id.cert), 86400);
	X509_NAME *n = X509_get_subject_name(id.cert);
	X509_NAME_add_entry_by_txt(n, "O", MBSTRING_ASC, (const unsigned char *)"Test", -1, -1, 0);
	X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(id.cert, ca ? X509_get_subject_name(ca->cert) : n);
	X509_set_pubkey(id.cert, id.key);
	if (!ca)
		certs_ext(id.cert, id.cert, NID_basic_constraints, "critical,CA:TRUE");
	if (san)
		certs_ext(id.cert, ca->cert, NID_subject_alt_name, san);
	assert_true(X509_sign(id.cert, ca ? ca->key : id.key, EVP_sha256()));
	snprintf(id.cert_file, sizeof id.cert_file, "%s/%s.pem", certs_dir, cn);
	snprintf(id.key_file, sizeof id.key_file, "%s/%s.key", certs_dir, cn);
	FILE *f = fopen(id.cert_file, "w");
	assert_non_null(f);
	PEM_write_X509(f, id.cert);
	fclose(f);
	f = fopen(id.key_file, "w");
	PEM_write_PrivateKey(f, id.key, NULL, NULL, 0, NULL, NULL);
	fclose(f);
	return id;
}

static inline void certs_free(struct identity *id)
{
	unlink(id->cert_file);
	unlink(id->key_file);
	X509_free(id->cert);
	EVP_PKEY_free(id->key);
}
#endif
