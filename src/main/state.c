/* The state directory and the self-signed certificate of the built-in configuration. */
#include "main/main.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 1024, CERT_DAYS = 3650 };

static bool choose(char *path)
{
	const char *own = getenv("VIADUCT_STATE"), *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int n;

	if (own && *own)
		n = snprintf(path, PATH_BYTES, "%s", own);
	else if (xdg && *xdg)
		n = snprintf(path, PATH_BYTES, "%s/viaduct", xdg);
	else if (home && *home)
		n = snprintf(path, PATH_BYTES, "%s/.local/state/viaduct", home);
	else
		n = snprintf(path, PATH_BYTES, "/var/lib/viaduct");
	return n > 0 && n < PATH_BYTES;
}

static bool make_dirs(char *path)
{
	for (char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = 0;
		bool ok = mkdir(path, 0755) == 0 || errno == EEXIST;
		*at = '/';
		if (!ok)
			return false;
	}
	return mkdir(path, 0700) == 0 || errno == EEXIST;
}

static X509 *self_signed(EVP_PKEY *key)
{
	X509 *x = X509_new();
	unsigned char serial[16];
	char host[256] = "viaduct", san[600];

	if (!x)
		return NULL;
	gethostname(host, sizeof host - 1);
	snprintf(san, sizeof san, "DNS:%s,DNS:localhost,IP:127.0.0.1,IP:::1", host);
	BIGNUM *bn = RAND_bytes(serial, sizeof serial) == 1 ? BN_bin2bn(serial, sizeof serial - 1, NULL) : NULL;
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, san);
	X509_NAME *name = X509_get_subject_name(x);
	bool ok = bn && ext && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(x)) && X509_set_version(x, 2) && X509_gmtime_adj(X509_getm_notBefore(x), -3600)
		  && X509_gmtime_adj(X509_getm_notAfter(x), (long)CERT_DAYS * 86400) && X509_set_pubkey(x, key)
		  && X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (unsigned char *)host, -1, -1, 0) && X509_set_issuer_name(x, name)
		  && X509_add_ext(x, ext, -1) && X509_sign(x, key, EVP_sha256());
	X509_EXTENSION_free(ext);
	BN_free(bn);
	if (ok)
		return x;
	X509_free(x);
	return NULL;
}

/* Written beside and renamed: whoever reads the file sees the whole of it. */
static bool write_pem(const char *dir, const char *file, mode_t mode, EVP_PKEY *key, X509 *cert)
{
	char part[PATH_BYTES + 16], whole[PATH_BYTES + 16];

	snprintf(part, sizeof part, "%s/%s.new", dir, file);
	snprintf(whole, sizeof whole, "%s/%s", dir, file);
	/* A leftover would lend the key its own mode. */
	unlink(part);
	int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	bool ok = key ? PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) : PEM_write_X509(f, cert);
	ok = fclose(f) == 0 && ok;
	return ok && rename(part, whole) == 0;
}

static bool make_certificate(const char *dir)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = key ? self_signed(key) : NULL;
	bool ok = cert && write_pem(dir, "key.pem", 0600, key, NULL) && write_pem(dir, "cert.pem", 0644, NULL, cert);

	X509_free(cert);
	EVP_PKEY_free(key);
	return ok;
}

static char dir[PATH_BYTES];         /* empty until asked for */

const char *state_dir(struct out *err)
{
	char cert[PATH_BYTES + 16], key[PATH_BYTES + 16];

	if (dir[0])
		return dir;
	if (!choose(dir) || !make_dirs(dir)) {
		putf(err, "cannot make the state directory %s: %s", dir, strerror(errno));
		dir[0] = 0;
		return NULL;
	}
	snprintf(cert, sizeof cert, "%s/cert.pem", dir);
	snprintf(key, sizeof key, "%s/key.pem", dir);
	if (access(cert, R_OK) == 0 && access(key, R_OK) == 0)
		return dir;
	if (!make_certificate(dir)) {
		putf(err, "cannot write a self-signed certificate to %s: %s", dir, strerror(errno));
		dir[0] = 0;
		return NULL;
	}
	fprintf(stderr, "viaduct: made a self-signed certificate in %s\n", dir);
	return dir;
}

bool state_secret(void *secret, size_t n)
{
	char path[PATH_BYTES + 16];

	if (!dir[0])
		return false;
	snprintf(path, sizeof path, "%s/secret", dir);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool ok = fd >= 0 && read(fd, secret, n) == (ssize_t)n;
	if (fd >= 0)
		close(fd);
	if (ok)
		return true;
	/* What the caller drew at random becomes the secret. */
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ok = fd >= 0 && write(fd, secret, n) == (ssize_t)n;
	if (fd >= 0)
		ok = close(fd) == 0 && ok;
	return ok;
}
