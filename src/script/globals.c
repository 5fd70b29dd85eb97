/* Global parameters: name = value into core_conf, by one table (opensips-language sections 3 and 17). */
#include "script/ast.h"
#include "script/sockets.h"
#include <netinet/ip.h>
#include <syslog.h>
#include <unistd.h>

/* What a value is, and where it goes.  IGNORED_*: accepted with its type, without meaning here. */
enum kind { BOOLEAN, NUMBER, STRING, WORD, ANY };
enum store { NOTHING, AS_BOOL, AS_NOT, AS_INT, AS_U16, AS_U32, AS_VIEW, BY_HAND };
struct global {
	const char *name;
	enum kind   kind;
	enum store  store;
	size_t      at;                     /* in core_conf */
	int64_t     lo, hi, scale;
	bool      (*take)(struct lex *x, const struct word *w, int64_t number);
};
#define CONF(field) offsetof(struct core_conf, field)

static bool take_workers(struct lex *x, const struct word *w, int64_t n)
{
	struct lex  before = *x;
	struct word more;

	x->l->udp_workers = x->l->udp_workers > n ? x->l->udp_workers : (uint16_t)n;
	if (lex_word(x, &more) && view_is(more.text, VIEW("use_auto_scaling_profile")))
		return lex_word(x, &more);
	if (!x->failed)
		*x = before;
	return true;
}

static bool take_advertised_port(struct lex *x, const struct word *w, int64_t n) { x->l->pub.conf->advertised_port = (uint16_t)n; return true; }
static bool take_debug_mode(struct lex *x, const struct word *w, int64_t n)
{
	x->l->pub.conf->debug_mode = n != 0;
	return true;
}
static bool take_stateless(struct lex *x, const struct word *w, int64_t n)
{
	x->l->stateless_given = n != 0;
	x->l->pub.conf->stateless_forward = n == 0;
	return true;
}

static bool take_facility(struct lex *x, const struct word *w, int64_t n)
{
	static const struct { struct view name; int value; } all[] = {
		{ VIEW_INIT("LOG_DAEMON"), LOG_DAEMON }, { VIEW_INIT("LOG_USER"), LOG_USER }, { VIEW_INIT("LOG_AUTH"), LOG_AUTH }, { VIEW_INIT("LOG_KERN"), LOG_KERN },
		{ VIEW_INIT("LOG_SYSLOG"), LOG_SYSLOG }, { VIEW_INIT("LOG_MAIL"), LOG_MAIL }, { VIEW_INIT("LOG_CRON"), LOG_CRON },
		{ VIEW_INIT("LOG_LOCAL0"), LOG_LOCAL0 }, { VIEW_INIT("LOG_LOCAL1"), LOG_LOCAL1 }, { VIEW_INIT("LOG_LOCAL2"), LOG_LOCAL2 },
		{ VIEW_INIT("LOG_LOCAL3"), LOG_LOCAL3 }, { VIEW_INIT("LOG_LOCAL4"), LOG_LOCAL4 }, { VIEW_INIT("LOG_LOCAL5"), LOG_LOCAL5 },
		{ VIEW_INIT("LOG_LOCAL6"), LOG_LOCAL6 }, { VIEW_INIT("LOG_LOCAL7"), LOG_LOCAL7 },
	};

	for (size_t i = 0; i < COUNT_OF(all); i++) {
		if (view_is(w->text, all[i].name)) {
			x->l->pub.conf->log.facility = all[i].value;
			return true;
		}
	}
	err_at(x->l, w->at, w->len, VIEW("LOG_DAEMON, LOG_LOCAL0 .. LOG_LOCAL7, ..."), "unknown syslog facility");
	return true;
}

bool tos_value(struct view v, int64_t *out)
{
	static const struct { struct view name; int value; } all[] = {
		{ VIEW_INIT("IPTOS_LOWDELAY"), IPTOS_LOWDELAY }, { VIEW_INIT("IPTOS_THROUGHPUT"), IPTOS_THROUGHPUT },
		{ VIEW_INIT("IPTOS_RELIABILITY"), IPTOS_RELIABILITY }, { VIEW_INIT("IPTOS_MINCOST"), IPTOS_MINCOST },
	};

	for (size_t i = 0; i < COUNT_OF(all); i++) {
		if (view_is(v, all[i].name)) {
			*out = all[i].value;
			return true;
		}
	}
	return parse_number(v, out) && *out >= 0 && *out <= 255;
}

static bool take_tos(struct lex *x, const struct word *w, int64_t n)
{
	if (!tos_value(w->text, &n))
		err_at(x->l, w->at, w->len, VIEW("a number from 0 to 255, or IPTOS_LOWDELAY, IPTOS_THROUGHPUT, IPTOS_RELIABILITY, IPTOS_MINCOST"), "bad tos");
	else
		x->l->drafts->tos = (int)n;
	return true;
}

static bool take_socket(struct lex *x, const struct word *w, int64_t n) { return socket_line(x, false); }
static bool take_listen(struct lex *x, const struct word *w, int64_t n) { return socket_line(x, true); }
static bool take_alias(struct lex *x, const struct word *w, int64_t n) { return alias_line(x); }

bool peers_list(struct loader *l, const struct word *w, struct cidr_list *out)
{
	struct view  rest = w->text;
	size_t       n = 1;

	for (size_t i = 0; i < rest.n; i++)
		n += rest.p[i] == ',' || rest.p[i] == ' ';

	struct cidr *list = arena_alloc(l->pub.arena, n * sizeof *list);

	*out = (struct cidr_list){ .list = list, .given = true };
	while (list && rest.n) {
		struct view one = view_trim(view_cut(&rest, ','));
		if (!one.n)
			continue;
		if (!cidr_parse(one, &list[out->n])) {
			err_at(l, w->at, w->len, VIEW("\"10.0.0.0/8, 2001:db8::/32\""), "bad address or network \"" VIEW_FMT "\"", VIEW_ARG(one));
			return false;
		}
		addr_unmap(&list[out->n++].net);
	}
	return list != NULL;
}

static bool take_peers(struct lex *x, const struct word *w, int64_t n)
{
	peers_list(x->l, w, &x->l->drafts->peers);
	return true;
}
static bool take_pp_timeout(struct lex *x, const struct word *w, int64_t n) { x->l->drafts->timeout_ms = (uint32_t)n * 1000; return true; }
static bool take_pp_size(struct lex *x, const struct word *w, int64_t n) { x->l->drafts->size = (uint32_t)n; return true; }
static bool take_pp_version(struct lex *x, const struct word *w, int64_t n) { x->l->drafts->version = (uint8_t)n; return true; }
static bool take_pp_strip(struct lex *x, const struct word *w, int64_t n) { x->l->drafts->strip = n != 0; return true; }
static bool take_pp_udp(struct lex *x, const struct word *w, int64_t n)
{
	if (!pp_udp_mode(w->text, &x->l->drafts->udp))
		err_at(x->l, w->at, w->len, VIEW_NONE, "proxy_protocol_udp is datagram, first or spp");
	return true;
}

/* name[/flags]: { rules } -- read to the closing brace. */
static bool take_blacklist(struct lex *x, const struct word *w, int64_t n)
{
	struct view text = x->l->src.text;
	uint32_t    start = x->at;

	while (x->at < text.n && text.p[x->at] != '{')
		x->at++;
	for (unsigned depth = 0; x->at < text.n; x->at++) {
		depth += text.p[x->at] == '{';
		if (text.p[x->at] == '}' && --depth == 0) {
			x->at++;
			warn_at(x->l, start, x->at - start, VIEW_NONE, "dst_blacklist is accepted, but has no effect");
			return true;
		}
	}
	return lex_fail(x, start, 1, VIEW_NONE, "the rules of dst_blacklist do not end") != NULL;
}

static bool profile_word(struct view v)
{
	static const char *const words[] = { "scale", "up", "down", "to", "on", "for", "cycles", "within" };

	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (view_is(v, view_str(words[i])))
			return true;
	return v.n && v.p[0] >= '0' && v.p[0] <= '9';
}

static bool take_profile(struct lex *x, const struct word *w, int64_t n)
{
	struct word one;

	if (!lex_word(x, &one))
		return false;
	for (;;) {
		struct lex before = *x;
		if (!lex_word(x, &one) || !profile_word(one.text)) {
			if (!x->failed)
				*x = before;
			return !x->failed;
		}
	}
}

#define I32 INT32_MIN, INT32_MAX, 1
static const struct global globals[] = {
	/* log */
	{ "log_level", NUMBER, AS_INT, CONF(log_level), -3, 4, 1, NULL }, { "debug", NUMBER, AS_INT, CONF(log_level), -3, 10, 1, NULL },
	{ "xlog_level", NUMBER, AS_INT, CONF(xlog_level), -3, 4, 1, NULL }, { "xlog_print_level", NUMBER, AS_INT, CONF(xlog_print_level), -3, 4, 1, NULL },
	{ "xlog_buf_size", NUMBER, AS_U32, CONF(xlog_buf), 64, 1 << 20, 1, NULL }, { "pv_print_buf_size", NUMBER, AS_U32, CONF(print_buf), 64, 1 << 20, 1, NULL },
	{ "log_prefix", STRING, AS_VIEW, CONF(log.prefix), I32, NULL }, { "log_name", STRING, AS_VIEW, CONF(log.name), I32, NULL },
	{ "syslog_name", STRING, AS_VIEW, CONF(log.name), I32, NULL }, { "stderror_enabled", BOOLEAN, AS_BOOL, CONF(log.to_stderr), I32, NULL },
	{ "log_stderror", BOOLEAN, AS_BOOL, CONF(log.to_stderr), I32, NULL }, { "syslog_enabled", BOOLEAN, AS_BOOL, CONF(log.to_syslog), I32, NULL },
	{ "syslog_facility", WORD, BY_HAND, 0, I32, take_facility }, { "log_facility", WORD, BY_HAND, 0, I32, take_facility },
	{ "xlog_force_color", BOOLEAN, NOTHING, 0, I32, NULL }, { "log_stdout", BOOLEAN, NOTHING, 0, I32, NULL },
	{ "log_event_enabled", BOOLEAN, NOTHING, 0, I32, NULL }, { "stderror_level_filter", NUMBER, NOTHING, 0, I32, NULL },
	{ "syslog_level_filter", NUMBER, NOTHING, 0, I32, NULL }, { "log_event_level_filter", NUMBER, NOTHING, 0, I32, NULL },
	{ "stderror_log_format", WORD, NOTHING, 0, I32, NULL }, { "syslog_log_format", WORD, NOTHING, 0, I32, NULL },
	{ "log_json_buf_size", NUMBER, NOTHING, 0, I32, NULL }, { "log_msg_buf_size", NUMBER, NOTHING, 0, I32, NULL },

	/* process */
	{ "debug_mode", BOOLEAN, BY_HAND, 0, I32, take_debug_mode }, { "udp_workers", NUMBER, BY_HAND, 0, 0, 1024, 1, take_workers },
	{ "tcp_workers", NUMBER, BY_HAND, 0, 0, 1024, 1, take_workers }, { "children", NUMBER, BY_HAND, 0, 0, 1024, 1, take_workers },
	{ "tcp_children", NUMBER, BY_HAND, 0, 0, 1024, 1, take_workers }, { "timer_workers", NUMBER, NOTHING, 0, I32, NULL }, { "tcp_threads", NUMBER, NOTHING, 0, I32, NULL },
	{ "auto_scaling_profile", ANY, BY_HAND, 0, I32, take_profile }, { "auto_scaling_cycle", NUMBER, NOTHING, 0, I32, NULL },
	{ "worker_reactor_timeout", NUMBER, NOTHING, 0, I32, NULL }, { "open_files_limit", NUMBER, AS_INT, CONF(open_files), -1, INT32_MAX, 1, NULL },
	{ "disable_core_dump", BOOLEAN, NOTHING, 0, I32, NULL }, { "chroot", WORD, AS_VIEW, CONF(chroot), I32, NULL },
	{ "wdir", WORD, AS_VIEW, CONF(workdir), I32, NULL }, { "workdir", WORD, AS_VIEW, CONF(workdir), I32, NULL },
	{ "fork", BOOLEAN, NOTHING, 0, I32, NULL }, { "poll_method", WORD, NOTHING, 0, I32, NULL }, { "user", WORD, NOTHING, 0, I32, NULL }, { "group", WORD, NOTHING, 0, I32, NULL },

	/* sockets and identity */
	{ "socket", ANY, BY_HAND, 0, I32, take_socket }, { "listen", ANY, BY_HAND, 0, I32, take_listen }, { "alias", ANY, BY_HAND, 0, I32, take_alias },
	{ "auto_aliases", BOOLEAN, NOTHING, 0, I32, NULL }, { "advertised_address", WORD, AS_VIEW, CONF(advertised_host), I32, NULL },
	{ "advertised_port", NUMBER, BY_HAND, 0, 1, 65535, 1, take_advertised_port }, { "mhomed", BOOLEAN, NOTHING, 0, I32, NULL },
	{ "tos", WORD, BY_HAND, 0, I32, take_tos }, { "mcast_loopback", BOOLEAN, NOTHING, 0, I32, NULL }, { "mcast_ttl", NUMBER, NOTHING, 0, I32, NULL },
	{ "maxbuffer", NUMBER, AS_U32, CONF(net.udp_rcvbuf), 4096, INT32_MAX, 1, NULL }, { "port", NUMBER, NOTHING, 0, 1, 65535, 1, NULL },
	{ "check_via", BOOLEAN, NOTHING, 0, I32, NULL }, { "dns", BOOLEAN, NOTHING, 0, I32, NULL }, { "rev_dns", BOOLEAN, NOTHING, 0, I32, NULL },
	{ "udp_mtu", NUMBER, AS_U16, CONF(mtu), 0, 65535, 1, NULL },

	/* PROXY protocol */
	{ "proxy_protocol_peers", STRING, BY_HAND, 0, I32, take_peers },
	{ "proxy_protocol_timeout", NUMBER, BY_HAND, 0, PP_TIMEOUT_MIN_MS / 1000, 3600, 1, take_pp_timeout },
	{ "proxy_protocol_max_size", NUMBER, BY_HAND, 0, PP_V1_BYTES, PP_SIZE_MAX, 1, take_pp_size },
	{ "proxy_protocol_version", NUMBER, BY_HAND, 0, 1, 2, 1, take_pp_version }, { "proxy_protocol_udp", WORD, BY_HAND, 0, I32, take_pp_udp },
	{ "proxy_protocol_strip_second", BOOLEAN, BY_HAND, 0, I32, take_pp_strip }, { "real_source", BOOLEAN, AS_BOOL, CONF(real_source), I32, NULL },

	/* names and where messages go */
	{ "dns_try_ipv6", BOOLEAN, AS_BOOL, CONF(dns.ipv6), I32, NULL }, { "dns_try_naptr", BOOLEAN, AS_BOOL, CONF(dns.naptr), I32, NULL },
	{ "dns_retr_time", NUMBER, AS_U32, CONF(dns.timeout_ms), 1, 60, 1000, NULL }, { "dns_retr_no", NUMBER, AS_INT, CONF(dns.tries), 1, 10, 1, NULL },
	{ "dns_servers_no", NUMBER, NOTHING, 0, I32, NULL }, { "dns_use_search_list", BOOLEAN, AS_BOOL, CONF(dns.search), I32, NULL },
	{ "dns_servers", STRING, AS_VIEW, CONF(dns.servers), I32, NULL }, { "disable_dns_failover", BOOLEAN, AS_NOT, CONF(dns_failover), I32, NULL },
	{ "disable_dns_blacklist", BOOLEAN, NOTHING, 0, I32, NULL }, { "dst_blacklist", ANY, BY_HAND, 0, I32, take_blacklist },
	{ "disable_stateless_fwd", BOOLEAN, BY_HAND, 0, I32, take_stateless }, { "disable_503_translation", BOOLEAN, AS_BOOL, CONF(disable_503_translation), I32, NULL },

	/* script and replies */
	{ "max_while_loops", NUMBER, AS_U32, CONF(while_loops), 1, INT32_MAX, 1, NULL }, { "server_signature", BOOLEAN, AS_BOOL, CONF(server_signature), I32, NULL },
	{ "server_header", STRING, AS_VIEW, CONF(server_header), I32, NULL }, { "user_agent_header", STRING, NOTHING, 0, I32, NULL },
	{ "sip_warning", BOOLEAN, NOTHING, 0, I32, NULL }, { "enable_asserts", BOOLEAN, AS_BOOL, CONF(enable_asserts), I32, NULL },
	{ "abort_on_assert", BOOLEAN, AS_BOOL, CONF(abort_on_assert), I32, NULL },

	/* streams */
	{ "tcp_connect_timeout", NUMBER, AS_U32, CONF(net.connect_ms), 1, 600000, 1, NULL }, { "tcp_connection_lifetime", NUMBER, AS_U32, CONF(net.idle_ms), 1, 1000000, 1000, NULL },
	{ "tcp_max_connections", NUMBER, AS_U32, CONF(net.max_conns), 1, CONN_MAX, 1, NULL }, { "tcp_max_msg_time", NUMBER, AS_U32, CONF(net.message_ms), 1, 3600, 1000, NULL },
	{ "tcp_socket_backlog", NUMBER, AS_INT, CONF(net.backlog), 1, 65535, 1, NULL }, { "tcp_keepalive", BOOLEAN, AS_BOOL, CONF(net.tcp_keepalive), I32, NULL },
	{ "tcp_keepcount", NUMBER, AS_INT, CONF(net.keepcount), 0, 1000, 1, NULL }, { "tcp_keepidle", NUMBER, AS_INT, CONF(net.keepidle_s), 0, 1000000, 1, NULL },
	{ "tcp_keepinterval", NUMBER, AS_INT, CONF(net.keepinterval_s), 0, 1000000, 1, NULL }, { "tcp_accept_aliases", NUMBER, NOTHING, 0, 0, 2, 1, NULL },
	{ "tcp_no_new_conn_bflag", WORD, NOTHING, 0, I32, NULL }, { "tcp_no_new_conn_rplflag", WORD, NOTHING, 0, I32, NULL }, { "disable_tcp", BOOLEAN, NOTHING, 0, I32, NULL },
	{ "tcp_send_timeout", NUMBER, NOTHING, 0, I32, NULL },

	/* accepted, without meaning here */
	{ "exec_msg_threshold", NUMBER, NOTHING, 0, I32, NULL }, { "exec_dns_threshold", NUMBER, NOTHING, 0, I32, NULL }, { "tcp_threshold", NUMBER, NOTHING, 0, I32, NULL },
	{ "event_shm_threshold", NUMBER, NOTHING, 0, I32, NULL }, { "event_pkg_threshold", NUMBER, NOTHING, 0, I32, NULL },
	{ "query_buffer_size", NUMBER, NOTHING, 0, I32, NULL }, { "query_flush_time", NUMBER, NOTHING, 0, I32, NULL },
	{ "db_default_url", STRING, NOTHING, 0, I32, NULL }, { "db_version_table", STRING, NOTHING, 0, I32, NULL }, { "db_max_async_connections", NUMBER, NOTHING, 0, I32, NULL },
	{ "memlog", NUMBER, NOTHING, 0, I32, NULL }, { "mem_log", NUMBER, NOTHING, 0, I32, NULL }, { "memdump", NUMBER, NOTHING, 0, I32, NULL }, { "mem_dump", NUMBER, NOTHING, 0, I32, NULL },
	{ "shm_memlog_size", NUMBER, NOTHING, 0, I32, NULL }, { "mem-group", ANY, NOTHING, 0, I32, NULL }, { "mem_warming", BOOLEAN, NOTHING, 0, I32, NULL },
	{ "mem_warming_percentage", NUMBER, NOTHING, 0, I32, NULL }, { "mem_warming_pattern_file", STRING, NOTHING, 0, I32, NULL },
	{ "shm_hash_split_percentage", NUMBER, NOTHING, 0, I32, NULL }, { "shm_secondary_hash_size", NUMBER, NOTHING, 0, I32, NULL },
	{ "restart_persistency_cache_file", STRING, NOTHING, 0, I32, NULL }, { "restart_persistency_size", NUMBER, NOTHING, 0, I32, NULL },
	{ "pi_framework", STRING, NOTHING, 0, I32, NULL }, { "avp_aliases", STRING, NOTHING, 0, I32, NULL }, { "cfg_file", STRING, NOTHING, 0, I32, NULL },
};

/* ---- one assignment ------------------------------------------------------------------------------------------------------ */

static void store(struct core_conf *c, const struct global *g, struct view text, int64_t n)
{
	must(g->at < sizeof *c);

	char *at = (char *)c + g->at;

	switch (g->store) {
	case AS_BOOL: *(bool *)at = n != 0; break;
	case AS_NOT:  *(bool *)at = n == 0; break;
	case AS_INT:  *(int *)at = (int)(n * g->scale); break;
	case AS_U16:  *(uint16_t *)at = (uint16_t)n; break;
	case AS_U32:  *(uint32_t *)at = (uint32_t)(n * g->scale); break;
	case AS_VIEW: *(struct view *)at = text; break;
	case NOTHING: case BY_HAND: break;
	}
}

/* A value of the wrong kind is told and skipped: the rest of the file is still judged. */
static bool fits(struct lex *x, const struct global *g, const struct word *w, int64_t *n)
{
	switch (g->kind) {
	case BOOLEAN:
		if (!w->quoted && (is_bool_word(w->text, n) || parse_number(w->text, n)))
			return true;
		err_at(x->l, w->at, w->len, VIEW("yes or no"), "%s is a switch", g->name);
		return false;
	case NUMBER:
		if (w->quoted || (!parse_number(w->text, n) && !is_bool_word(w->text, n))) {
			err_at(x->l, w->at, w->len, VIEW_NONE, "%s is a number", g->name);
			return false;
		}
		if (*n >= g->lo && *n <= g->hi)
			return true;
		err_at(x->l, w->at, w->len, VIEW_NONE, "%s is a number from %lld to %lld", g->name, (long long)g->lo, (long long)g->hi);
		return false;
	case STRING:
		if (w->quoted)
			return true;
		err_at(x->l, w->at, w->len, arena_fmt(x->l->pub.arena, "write \"" VIEW_FMT "\"", VIEW_ARG(w->text)), "%s is a string in quotes", g->name);
		return false;
	case WORD: case ANY:
		return true;
	}
	return false;
}

static bool unknown_global(struct lex *x, struct view name, uint32_t at, uint32_t len)
{
	struct closest c = { .want = name };
	struct word    w;

	for (size_t i = 0; i < COUNT_OF(globals); i++)
		closest_offer(&c, view_str(globals[i].name));
	err_at(x->l, at, len, closest_hint(&c, x->l->pub.arena), "unknown parameter \"" VIEW_FMT "\"", VIEW_ARG(name));
	return lex_word(x, &w);
}

bool global_assign(struct lex *x, struct view name, uint32_t at, uint32_t len)
{
	struct word w = { .at = at, .len = len };
	int64_t     n = 0;

	for (size_t i = 0; i < COUNT_OF(globals); i++) {
		const struct global *g = &globals[i];
		if (!view_is(view_str(g->name), name))
			continue;
		if (g->kind == ANY && g->take)
			return g->take(x, &w, 0);
		if (!lex_word(x, &w))
			return lex_fail(x, at, len, VIEW_NONE, "%s has no value", g->name) != NULL;
		if (!fits(x, g, &w, &n))
			return true;
		if (g->take)
			return g->take(x, &w, n);
		store(x->l->pub.conf, g, w.text, n);
		return true;
	}
	return unknown_global(x, name, at, len);
}

bool globals_start(struct loader *l)
{
	struct core_conf *c = l->pub.conf;

	*c = (struct core_conf){
		.net = { .idle_ms = CONN_IDLE_MS, .connect_ms = CONN_CONNECT_MS, .message_ms = CONN_MESSAGE_MS, .handshake_ms = CONN_HANDSHAKE_MS,
			.tls_handshake_ms = CONN_HANDSHAKE_MS, .max_message = MSG_MAX_BYTES, .max_conns = CONN_MAX, .backlog = 1024, .tcp_keepalive = true,
			.crlf_pong = true, .ws_require_origin = true, .ws_resource = VIEW("/"), .wss_resource = VIEW("/"), .udp_rcvbuf = 1 << 21 },
		.dns = { .naptr = true, .search = true, .timeout_ms = DNS_TRY_MS, .tries = DNS_TRIES },
		.server_signature = true, .dns_failover = true, .server_header = VIEW("Server: viaduct"),
		.log_level = L_NOTICE, .xlog_level = L_NOTICE, .xlog_print_level = L_NOTICE, .xlog_buf = 4096, .print_buf = SCRIPT_STRING_BYTES,
		.while_loops = SCRIPT_LOOPS, .log = { .to_stderr = true, .facility = LOG_DAEMON }, .open_files = -1,
	};
	l->drafts = arena_zalloc(l->pub.arena, sizeof *l->drafts);
	if (!l->drafts)
		return false;
	l->drafts->tos = IPTOS_LOWDELAY;
	l->drafts->version = 1;
	l->drafts->timeout_ms = PP_TIMEOUT_MS;
	l->drafts->size = PP_SIZE_DEFAULT;
	for (enum transport t = 0; t < TR_COUNT; t++)
		l->drafts->port[t] = transport_port(t);
	return true;
}

bool globals_finish(struct loader *l)
{
	struct core_conf *c = l->pub.conf;

	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	c->workers = l->pub.env->workers ? l->pub.env->workers : c->debug_mode ? 2 : l->udp_workers;
	if (c->workers == 0)
		c->workers = cpus > 0 && cpus < WORKERS_MAX ? (uint16_t)cpus : 1;
	if (c->workers > WORKERS_MAX)
		c->workers = WORKERS_MAX;
	if (!c->advertised_host.n)
		c->advertised_host = l->pub.env->advertise;
	return sockets_finish(l);
}
