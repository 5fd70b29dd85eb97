/* mod/tls_mgm -- TLS domains: certificates, verification, versions; and what a TLS connection says of itself (opensips-modules.md 5). */
#include "mod/mod.h"
#include <openssl/ssl.h>

/* [0] and [1] are the built-in default domains, server and client. */
enum { DOMAINS_MAX = 256, DEFAULTS = 2 };
struct tls_mgm_conf { struct tls_domain_conf domain[DOMAINS_MAX]; size_t n; struct tls_store *store; };

static const struct tls_domain_conf domain_default = {
	.verify_peer = true, .require_cert = true, .certificate = VIEW_INIT(""), .private_key = VIEW_INIT(""), .ca_list = VIEW_INIT(""), .ca_dir = VIEW_INIT(""),
	.match_ip = VIEW_INIT("*"), .match_sip = VIEW_INIT("*"),
};

static void with_defaults(struct tls_mgm_conf *c)
{
	if (c->n)
		return;
	c->domain[0] = c->domain[1] = domain_default;
	c->domain[0].name = VIEW("default");
	c->domain[0].server = true;
	c->domain[1].name = VIEW("default_client");
	c->n = DEFAULTS;
}

/* "[name]value" or "value"; the domains it concerns are first..last (both defaults without a name). */
static bool split(struct tls_mgm_conf *c, struct view text, struct view *value, size_t *first, size_t *last, struct out *err)
{
	with_defaults(c);
	*first = 0;
	*last = DEFAULTS - 1;
	*value = text;
	if (!text.n || text.p[0] != '[')
		return true;
	struct view rest = view_from(text, 1), name = view_cut(&rest, ']');
	*value = view_trim(rest);
	for (size_t i = 0; i < c->n; i++)
		if (view_is(c->domain[i].name, name)) {
			*first = *last = i;
			return true;
		}
	putf(err, "TLS domain \"" VIEW_FMT "\" is not defined yet: server_domain or client_domain must come first", VIEW_ARG(name));
	return false;
}

static bool add_domain(struct script_load *l, void *conf, struct view text, bool server, struct out *err)
{
	struct tls_mgm_conf *c = conf;

	with_defaults(c);
	if (c->n == DOMAINS_MAX) {
		putf(err, "more than %d TLS domains", DOMAINS_MAX);
		return false;
	}
	/* 2.x wrote "name=ip:port"; the part after the sign is a match rule. */
	struct view rest = text, name = view_cut(&rest, '=');
	struct tls_domain_conf *d = &c->domain[c->n++];
	*d = domain_default;
	d->name = arena_copy(l->arena, view_trim(name));
	d->server = server;
	if (rest.n)
		d->match_ip = arena_copy(l->arena, rest);
	return d->name.p != NULL;
}
static bool set_server_domain(struct script_load *l, void *c, struct view t, int64_t n, struct out *e) { return add_domain(l, c, t, true, e); }
static bool set_client_domain(struct script_load *l, void *c, struct view t, int64_t n, struct out *e) { return add_domain(l, c, t, false, e); }

#define TEXT_PARAM(field) \
	static bool set_##field(struct script_load *l, void *conf, struct view text, int64_t n, struct out *err) \
	{ \
		struct tls_mgm_conf *c = conf; \
		struct view value; \
		size_t first, last; \
		if (!split(c, text, &value, &first, &last, err)) \
			return false; \
		value = arena_copy(l->arena, value); \
		for (size_t i = first; i <= last; i++) \
			c->domain[i].field = value; \
		return value.p != NULL; \
	}
TEXT_PARAM(certificate)
TEXT_PARAM(private_key)
TEXT_PARAM(ca_list)
TEXT_PARAM(ca_dir)
TEXT_PARAM(crl_dir)
TEXT_PARAM(ciphers)
TEXT_PARAM(dh_params)
TEXT_PARAM(ec_curve)
TEXT_PARAM(match_ip)
TEXT_PARAM(match_sip)

#define SWITCH_PARAM(field) \
	static bool set_##field(struct script_load *l, void *conf, struct view text, int64_t n, struct out *err) \
	{ \
		struct tls_mgm_conf *c = conf; \
		struct view value; \
		uint32_t on; \
		size_t first, last; \
		if (!split(c, text, &value, &first, &last, err)) \
			return false; \
		if (!view_u32(value, &on) || on > 1) { \
			putf(err, "0 or 1 expected, not \"" VIEW_FMT "\"", VIEW_ARG(value)); \
			return false; \
		} \
		for (size_t i = first; i <= last; i++) \
			c->domain[i].field = on; \
		return true; \
	}
SWITCH_PARAM(verify_peer)
SWITCH_PARAM(require_cert)
SWITCH_PARAM(crl_check_all)

static const struct { struct view name; int version; } versions[] = {
	{ VIEW_INIT("TLSv1"), TLS1_VERSION }, { VIEW_INIT("TLSv1_1"), TLS1_1_VERSION }, { VIEW_INIT("TLSv1_2"), TLS1_2_VERSION }, { VIEW_INIT("TLSv1_3"), TLS1_3_VERSION },
};

static bool version_of(struct view name, int *version)
{
	*version = 0;
	if (!name.n || view_is_ci(name, VIEW("SSLv23")) || view_is_ci(name, VIEW("TLSany")))
		return true;
	for (size_t i = 0; i < COUNT_OF(versions); i++)
		if (view_is_ci(name, versions[i].name)) {
			*version = versions[i].version;
			return true;
		}
	return false;
}

/* One version, or LOW-HIGH with either end open. */
static bool set_method(struct script_load *l, void *conf, struct view text, int64_t n, struct out *err)
{
	struct tls_mgm_conf *c = conf;
	struct view value, rest;
	size_t first, last;
	int low, high;

	if (!split(c, text, &value, &first, &last, err))
		return false;
	rest = value;
	bool range = view_find(value, '-') < value.n;
	struct view head = view_trim(view_cut(&rest, '-'));
	if (!version_of(head, &low) || !version_of(range ? view_trim(rest) : head, &high)) {
		putf(err, "unknown TLS version \"" VIEW_FMT "\"; there are TLSv1, TLSv1_2, TLSv1_3, SSLv23, and ranges like TLSv1_2-TLSv1_3", VIEW_ARG(value));
		return false;
	}
	if (low && high && low > high) {
		putf(err, "the first TLS version of \"" VIEW_FMT "\" is newer than the last", VIEW_ARG(value));
		return false;
	}
	for (size_t i = first; i <= last; i++) {
		c->domain[i].min_version = low;
		c->domain[i].max_version = high;
	}
	return true;
}

static bool has_certificate(const struct tls_domain_conf *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].server && list[i].certificate.n)
			return true;
	return false;
}

/* The default server domain counts only once it has a certificate; a TLS socket without any is refused here. */
static bool init(struct script_load *l, void *conf, struct out *err)
{
	struct tls_mgm_conf *c = conf;
	struct tls_domain_conf list[DOMAINS_MAX];
	size_t n = 0;

	with_defaults(c);
	for (size_t i = 0; i < c->n; i++)
		if (i >= DEFAULTS || i == 1 || c->domain[i].certificate.n)
			list[n++] = c->domain[i];
	for (size_t i = 0; i < l->conf->net.nsockets; i++) {
		const struct socket_conf *s = &l->conf->net.sockets[i];
		if ((s->transport == TR_TLS || s->transport == TR_WSS) && !has_certificate(list, n)) {
			putf(err, VIEW_FMT " needs a certificate: modparam(\"tls_mgm\", \"certificate\", FILE) and \"private_key\"", VIEW_ARG(s->text));
			return false;
		}
	}
	c->store = l->conf->net.tls = tls_store_new(list, n, l->conf->workers, err);
	return c->store != NULL;
}

static void free_conf(void *conf)
{
	struct tls_mgm_conf *c = conf;

	tls_store_free(c->store);
}

/* ---- functions and variables ------------------------------------------------------------------------------------------------ */

static const struct tls_facts *facts_of(const struct run *r)
{
	return r->msg && r->msg->origin.facts ? r->msg->origin.facts->tls : NULL;
}

static int f_is_peer_verified(struct run *r, const struct arg *a)
{
	const struct tls_facts *t = facts_of(r);

	return t && tls_facts_peer_verified(t) ? SCRIPT_TRUE : SCRIPT_FALSE;
}

static bool fact(struct run *r, struct view name, struct value *out)
{
	char text[1024];
	struct out o = out_to(text, sizeof text);
	uint32_t number;

	if (!facts_of(r) || !tls_facts_text(facts_of(r), name, &o) || o.full)
		return false;
	*out = value_str(arena_copy(r->tmp, out_view(&o)));
	if (view_u32(out->s, &number) && number <= INT32_MAX) {
		out->i = (int32_t)number;
		out->flags |= V_INT;
	}
	return out->s.p != NULL;
}

#define TLS_VARS(V) V(version) V(description) V(cipher_info) V(cipher_bits) \
	V(peer_version) V(my_version) V(peer_serial) V(my_serial) V(peer_subject) V(peer_issuer) V(my_subject) V(my_issuer) \
	V(peer_subject_cn) V(peer_issuer_cn) V(my_subject_cn) V(my_issuer_cn) V(peer_subject_locality) V(peer_issuer_locality) V(my_subject_locality) \
	V(my_issuer_locality) V(peer_subject_country) V(peer_issuer_country) V(my_subject_country) V(my_issuer_country) V(peer_subject_state) \
	V(peer_issuer_state) V(my_subject_state) V(my_issuer_state) V(peer_subject_organization) V(peer_issuer_organization) V(my_subject_organization) \
	V(my_issuer_organization) V(peer_subject_unit) V(peer_issuer_unit) V(my_subject_unit) V(my_subject_serial) V(peer_subject_serial) V(my_issuer_unit) \
	V(peer_san_email) V(my_san_email) V(peer_san_hostname) V(my_san_hostname) V(peer_san_uri) V(my_san_uri) V(peer_san_ip) V(my_san_ip) \
	V(peer_verified) V(peer_revoked) V(peer_expired) V(peer_selfsigned) V(peer_notBefore) V(peer_notAfter)
#define V(name) static bool get_##name(struct run *r, const struct var_use *u, struct value *out) { return fact(r, VIEW("tls_" #name), out); }
TLS_VARS(V)
#undef V
static const struct script_var vars[] = {
#define V(name) { "tls_" #name, get_##name, NULL, NULL, 0, "of the TLS connection that the message came by" },
	TLS_VARS(V)
#undef V
	{ NULL },
};
static const struct script_func funcs[] = {
	{ "is_peer_verified", f_is_peer_verified, { ARG_NONE }, ROUTE_REQUEST, "true when the message came over TLS with a verified client certificate" },
	{ NULL },
};
#define TEXT(name, fn, deflt, help) { name, PARAM_CALL, 0, deflt, help, fn }
#define COLUMN(name) { name, PARAM_IGNORED_STR, 0, NULL, "accepted: domains come from parameters", NULL }
static const struct script_param params[] = {
	TEXT("server_domain", set_server_domain, NULL, "define a server domain"), TEXT("client_domain", set_client_domain, NULL, "define a client domain"),
	TEXT("certificate", set_certificate, NULL, "[domain]PEM file of the certificate chain"), TEXT("private_key", set_private_key, NULL, "[domain]PEM file of the key"),
	TEXT("ca_list", set_ca_list, NULL, "[domain]PEM file of trusted CAs"), TEXT("ca_dir", set_ca_dir, NULL, "[domain]directory of trusted CAs (hashed)"),
	TEXT("crl_dir", set_crl_dir, NULL, "[domain]directory of CRLs (hashed)"), TEXT("crl_check_all", set_crl_check_all, NULL, "[domain]1 = check the whole chain"),
	TEXT("ciphers_list", set_ciphers, NULL, "[domain]OpenSSL cipher list"), TEXT("dh_params", set_dh_params, NULL, "[domain]PEM file of DH parameters"),
	TEXT("ec_curve", set_ec_curve, NULL, "[domain]groups for key exchange"), TEXT("tls_method", set_method, NULL, "[domain]version or range of versions"),
	TEXT("verify_cert", set_verify_peer, NULL, "[domain]1 = verify the peer's certificate"), TEXT("require_cert", set_require_cert, NULL, "[domain]1 = refuse clients without one"),
	TEXT("match_ip_address", set_match_ip, NULL, "[domain]listening or destination address:port list, or *"),
	TEXT("match_sip_domain", set_match_sip, NULL, "[domain]server names, wildcards allowed; none = only without SNI"),
	{ "tls_library", PARAM_IGNORED_STR, 0, "auto", "accepted: OpenSSL", NULL },
	{ "client_tls_domain_avp", PARAM_IGNORED_STR, 0, NULL, "accepted", NULL }, { "client_sip_domain_avp", PARAM_IGNORED_STR, 0, NULL, "accepted", NULL },
	{ "db_url", PARAM_IGNORED_STR, 0, NULL, "accepted: domains come from parameters", NULL }, { "db_table", PARAM_IGNORED_STR, 0, "tls_mgm", "accepted", NULL },
	COLUMN("domain_col"), COLUMN("match_ip_address_col"), COLUMN("match_sip_domain_col"), COLUMN("tls_method_col"), COLUMN("verify_cert_col"),
	COLUMN("require_cert_col"), COLUMN("certificate_col"), COLUMN("private_key_col"), COLUMN("crl_check_all_col"), COLUMN("crl_dir_col"),
	COLUMN("ca_list_col"), COLUMN("ca_dir_col"), COLUMN("dh_params_col"), COLUMN("ec_curve_col"), COLUMN("ciphers_list_col"),
	{ NULL },
};
const struct module mod_tls_mgm = { .name = "tls_mgm", .id = MOD_tls_mgm, .conf_size = sizeof(struct tls_mgm_conf), .params = params, .funcs = funcs, .vars = vars,
	.init = init, .free_conf = free_conf, .help = "TLS domains and facts" };
const struct module mod_tls_openssl = { .name = "tls_openssl", .id = MOD_tls_openssl, .help = "TLS by OpenSSL, always there" };
