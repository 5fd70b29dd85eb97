/* tls_mgm at load: domains, prefixes, switches, versions, and what is wrong with each in words. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include "mod/mod.h"
#include <stdio.h>
#include <string.h>

#define P(name, value) "modparam(\"tls_mgm\", \"" name "\", \"" value "\")\n"
#define S(name) P("server_domain", name)
#define C(name) P("client_domain", name)

/* why: NULL = it loads; else a part of what is said. */
static const struct { const char *lines, *why; } cases[] = {
	{ "", NULL },
	{ C("out") P("verify_cert", "[out]0") P("tls_method", "[out]TLSv1_2"), NULL },
	{ C("out=192.0.2.9:5061") P("match_sip_domain", "[out]*.example.com"), NULL },
	{ P("verify_cert", "[nobody]0"), "\"nobody\" is not defined yet" },
	{ P("certificate", "[late]/x.pem") C("late"), "\"late\" is not defined yet" },
	{ P("verify_cert", "[open0"), "is not defined yet" },
	{ P("verify_cert", "[default]0") P("require_cert", "[default]0"), NULL },
	{ P("verify_cert", "2"), "0 or 1 expected" },
	{ P("verify_cert", "yes"), "0 or 1 expected" },
	{ P("require_cert", ""), "0 or 1 expected" },
	{ P("crl_check_all", "[default]-1"), "0 or 1 expected" },
	{ P("tls_method", "TLSv1"), NULL }, { P("tls_method", "TLSv1_3"), NULL }, { P("tls_method", "SSLv23"), NULL }, { P("tls_method", "TLSany"), NULL },
	{ P("tls_method", "TLSv1_2-TLSv1_3"), NULL }, { P("tls_method", "TLSv1_2-"), NULL }, { P("tls_method", "-TLSv1_2"), NULL }, { P("tls_method", "-"), NULL },
	{ P("tls_method", "SSLv3"), "unknown TLS version" }, { P("tls_method", "TLSv1_2-x"), "unknown TLS version" }, { P("tls_method", "TLSv9"), "unknown TLS version" },
	{ P("tls_method", "TLSv1_3-TLSv1_2"), "newer than" },
	{ S("in") P("certificate", "[in]/nowhere/cert.pem") P("private_key", "[in]/nowhere/key.pem"), "/nowhere/cert.pem" },
	{ C("out") P("ca_list", "[out]/nowhere/ca.pem"), "/nowhere/ca.pem" },
	{ C("out") P("ciphers_list", "[out]nonsense"), "\"out\"" },
	{ C("out") P("ec_curve", "[out]nonsense"), "\"out\"" },
	{ P("db_url", "mysql://x") P("domain_col", "d") P("tls_library", "openssl"), NULL },
	{ P("certificat", "x"), "certificat" },
};

static void parameters(void **state)
{
	const struct module *list[] = { &mod_proto_udp, &mod_tls_mgm, &mod_tls_openssl };
	static const char *const absent[] = { NULL };
	struct script_env env = { .modules = list, .nmodules = COUNT_OF(list), .known_absent = absent, .workers = 1 };
	char text[2048], why[4096];

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct diags d = { .arena = arena_new(1 << 20) };
		struct out   o = out_to(why, sizeof why - 1);
		snprintf(text, sizeof text, "socket=udp:192.0.2.1:5060\nloadmodule \"proto_udp.so\"\nloadmodule \"tls_mgm.so\"\n%sroute { exit; }\n", cases[i].lines);
		struct script *s = script_load(VIEW("test.cfg"), view_str(text), &env, &d);
		for (const struct diag *x = d.first; x; x = x->next)
			diag_print(x, &o);
		why[o.n] = 0;
		arena_free(d.arena);
		if (!s != (cases[i].why != NULL) || (cases[i].why && !strstr(why, cases[i].why)))
			fail_msg("%s%s: %s", cases[i].lines, s ? "loads" : "does not load", why);
		if (s)
			script_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(parameters) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
