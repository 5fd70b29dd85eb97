/* mod/proto -- the transports as modules: loading one permits its sockets, its parameters tune them (opensips-modules.md 5).
 * Sending never blocks here, so the parameters that bound blocking are accepted and mean nothing. */
#include "mod/mod.h"

struct proto_conf { int64_t pong, require_origin, handshake_ms, tls_handshake_ms, cert_check; struct view resource, origins; };

#define AT(field) offsetof(struct proto_conf, field)
#define PORT(name, dflt)     { name, PARAM_IGNORED_INT, 0, dflt, "accepted: write the port into socket=", NULL }
#define PONG(name)           { name, PARAM_INT, AT(pong), "1", "answer CRLFCRLF with CRLF", NULL }
#define ACCEPTED(name, dflt) { name, PARAM_IGNORED_INT, 0, dflt, "accepted: nothing blocks here", NULL }
#define TRACE                { "trace_destination", PARAM_IGNORED_STR, 0, NULL, "accepted: needs a tracing module", NULL }, \
	{ "trace_on", PARAM_IGNORED_INT, 0, "0", "accepted: needs a tracing module", NULL }, \
	{ "trace_filter_route", PARAM_IGNORED_STR, 0, NULL, "accepted: needs a tracing module", NULL }

static const struct script_param udp_params[] = { PORT("udp_port", "5060"), { NULL } };
static const struct script_param tcp_params[] = {
	PORT("tcp_port", "5060"), PONG("tcp_crlf_pingpong"), ACCEPTED("tcp_crlf_drop", "0"), ACCEPTED("tcp_send_timeout", "100"),
	ACCEPTED("tcp_max_msg_chunks", "4"), ACCEPTED("tcp_async", "1"), ACCEPTED("tcp_async_max_postponed_chunks", "32"),
	ACCEPTED("tcp_async_local_write_timeout", "10"), ACCEPTED("tcp_async_local_connect_timeout", "100"), TRACE, { NULL },
};
static const struct script_param tls_params[] = {
	PORT("tls_port", "5061"), { "tls_crlf_pingpong", PARAM_IGNORED_INT, 0, "1", "accepted: tcp_crlf_pingpong decides for both", NULL }, ACCEPTED("tls_crlf_drop", "0"), ACCEPTED("tls_max_msg_chunks", "4"),
	{ "cert_check_on_conn_reusage", PARAM_INT, AT(cert_check), "0", "reuse a connection of ours only for the same TLS domain", NULL },
	{ "tls_handshake_timeout", PARAM_INT, AT(tls_handshake_ms), "0", "milliseconds for a TLS handshake; 0 = the built-in limit", NULL },
	ACCEPTED("tls_send_timeout", "100"), ACCEPTED("tls_async", "1"), ACCEPTED("tls_async_max_postponed_chunks", "32"), TRACE, { NULL },
};
static const struct script_param ws_params[] = {
	PORT("ws_port", "80"), ACCEPTED("ws_send_timeout", "100"), ACCEPTED("ws_max_msg_chunks", "4"), TRACE,
	{ "require_origin", PARAM_INT, AT(require_origin), "1", "refuse an upgrade without Origin", NULL },
	{ "allowed_origins", PARAM_STR, AT(origins), "", "Origins that may upgrade, comma list: https://host, host, *.host; empty = any", NULL },
	{ "ws_resource", PARAM_STR, AT(resource), "/", "request target of outgoing upgrades", NULL },
	{ "ws_handshake_timeout", PARAM_INT, AT(handshake_ms), "0", "milliseconds for an upgrade; 0 = the built-in limit", NULL }, { NULL },
};
static const struct script_param wss_params[] = {
	PORT("wss_port", "443"), ACCEPTED("wss_send_timeout", "100"), ACCEPTED("wss_max_msg_chunks", "4"), TRACE,
	{ "require_origin", PARAM_INT, AT(require_origin), "1", "refuse an upgrade without Origin", NULL },
	{ "allowed_origins", PARAM_STR, AT(origins), "", "Origins that may upgrade, comma list: https://host, host, *.host; empty = any", NULL },
	{ "wss_resource", PARAM_STR, AT(resource), "/", "request target of outgoing upgrades", NULL },
	{ "wss_handshake_timeout", PARAM_INT, AT(handshake_ms), "0", "milliseconds for an upgrade; 0 = the built-in limit", NULL },
	{ "wss_tls_handshake_timeout", PARAM_INT, AT(tls_handshake_ms), "0", "milliseconds for a TLS handshake; 0 = the built-in limit", NULL },
	{ "cert_check_on_conn_reusage", PARAM_INT, AT(cert_check), "0", "reuse a connection of ours only for the same TLS domain", NULL }, { NULL },
};

static bool init_tcp(struct script_load *l, void *conf, struct out *err)
{
	const struct proto_conf *c = conf;

	l->conf->net.crlf_pong = c->pong;
	return true;
}

/* A handshake over a real network takes longer than OpenSIPS's default of 100 ms, which blocks a process there and costs nothing
 * here: only a value of a second or more is taken as meant. */
enum { HANDSHAKE_MEANT_MS = 1000 };
static bool init_handshake(struct script_load *l, void *conf, struct out *err)
{
	const struct proto_conf *c = conf;
	struct net_conf *n = &l->conf->net;

	if (c->tls_handshake_ms >= HANDSHAKE_MEANT_MS)
		n->tls_handshake_ms = (uint32_t)c->tls_handshake_ms;
	if (c->handshake_ms >= HANDSHAKE_MEANT_MS)
		n->handshake_ms = (uint32_t)c->handshake_ms;
	n->cert_check_on_reuse |= c->cert_check != 0;
	return true;
}

/* One list serves both: a page may reach us by either. */
static void add_origins(struct script_load *l, const struct proto_conf *c)
{
	struct net_conf *n = &l->conf->net;
	const struct view both[] = { n->ws_origins, n->ws_origins.n && c->origins.n ? VIEW(", ") : VIEW(""), c->origins };

	if (c->origins.n)
		n->ws_origins = arena_join(l->arena, both, COUNT_OF(both));
}

static bool init_ws(struct script_load *l, void *conf, struct out *err)
{
	const struct proto_conf *c = conf;

	l->conf->net.ws_require_origin |= c->require_origin != 0;
	l->conf->net.ws_resource = c->resource;
	add_origins(l, c);
	return init_handshake(l, conf, err);
}

static bool init_wss(struct script_load *l, void *conf, struct out *err)
{
	const struct proto_conf *c = conf;

	l->conf->net.ws_require_origin |= c->require_origin != 0;
	l->conf->net.wss_resource = c->resource;
	add_origins(l, c);
	return init_handshake(l, conf, err);
}

static const char *const needs_tls[] = { "tls_mgm", NULL };
#define PROTO(x, setup, needs) const struct module mod_proto_##x = { .name = "proto_" #x, .id = MOD_proto_##x, .conf_size = sizeof(struct proto_conf), \
	.params = x##_params, .init = setup, .depends = needs, .help = "transport " #x }
PROTO(udp, NULL, NULL);
PROTO(tcp, init_tcp, NULL);
PROTO(tls, init_handshake, needs_tls);
PROTO(ws, init_ws, NULL);
PROTO(wss, init_wss, needs_tls);
