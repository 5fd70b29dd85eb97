/* socket= with its options, alias=, bonds: text to struct socket_conf (opensips-language section 4, design section 3). */
#include "script/ast.h"
#include "script/sockets.h"
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum { TOS_DEFAULT = -2 };

static struct drafts *drafts_of(struct loader *l)
{
	if (!l->drafts)
		l->drafts = arena_zalloc(l->pub.arena, sizeof *l->drafts);
	must(l->drafts);
	return l->drafts;
}

static void *complain(struct loader *l, const struct word *w, struct view hint, const char *what)
{
	if (w->len)
		err_at(l, w->at, w->len, hint, "%s: \"" VIEW_FMT "\"", what, VIEW_ARG(w->text));
	else
		diag_add(l->pub.diags, true, VIEW("-l"), 0, 0, 0, VIEW_NONE, hint, "%s: \"" VIEW_FMT "\"", what, VIEW_ARG(w->text));
	return NULL;
}

/* ---- addresses ------------------------------------------------------------------------------------------------------- */

/* "host", "host:ports", "[v6]", "[v6]:ports", bare v6. */
static bool split_host(struct view v, struct view *host, struct view *ports)
{
	size_t      colons = 0;
	struct addr a;

	*ports = VIEW_NONE;
	for (size_t i = 0; i < v.n; i++)
		colons += v.p[i] == ':';
	if (v.n && v.p[0] == '[') {
		size_t end = view_find(v, ']');
		*host = view_sub(v, 1, end - 1);
		if (end == v.n)
			return false;
		v = view_from(v, end + 1);
		if (v.n && v.p[0] != ':')
			return false;
		*ports = view_from(v, 1);
		return host->n != 0;
	}
	if (colons > 1) {
		*host = v;
		return addr_parse_ip(v, &a);
	}
	*ports = v;
	*host = view_cut(ports, ':');
	return host->n != 0;
}

static bool port_range(struct view v, uint32_t *lo, uint32_t *hi)
{
	struct view rest = v, first = view_cut(&rest, '-');

	if (!view_u32(view_trim(first), lo) || *lo < 1 || *lo > 65535)
		return false;
	*hi = *lo;
	return !rest.p || rest.n == 0 ? view_find(v, '-') == v.n : view_u32(view_trim(rest), hi) && *hi >= *lo && *hi <= 65535;
}

static bool add_addr(struct draft *d, const struct addr *a)
{
	for (size_t i = 0; i < d->naddrs; i++)
		if (addr_same_ip(&d->addrs[i], a))
			return true;
	must(a->af == AF_V4 || a->af == AF_V6);
	if (d->naddrs == COUNT_OF(d->addrs))
		return false;
	d->addrs[d->naddrs++] = *a;
	return true;
}

static bool link_local(const struct addr *a)
{
	return a->af == AF_V6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

/* The addresses of an interface, or of all that are up ("*"). */
static bool from_interface(struct draft *d, struct view name)
{
	struct ifaddrs *all, *i;
	bool            any = view_is(name, VIEW("*"));

	if (getifaddrs(&all) != 0)
		return false;
	for (i = all; i; i = i->ifa_next) {
		struct addr a;
		if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) || (!any && !view_is(name, view_str(i->ifa_name))))
			continue;
		if (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6)
			continue;
		addr_from_sockaddr(i->ifa_addr, &a);
		if (!link_local(&a))
			add_addr(d, &a);
	}
	freeifaddrs(all);
	return d->naddrs != 0;
}

static bool from_name(struct loader *l, struct draft *d, struct view name)
{
	struct addr a;

	return l->pub.env->resolve_host && l->pub.env->resolve_host(l->pub.env->arg, name, &a) && add_addr(d, &a);
}

static bool draft_address(struct loader *l, struct draft *d, const struct word *w)
{
	struct view rest = w->text, proto, host;
	struct addr a;

	proto = view_sub(rest, 0, view_find(rest, ':'));
	d->transport = transport_parse(proto);
	if (d->transport != TR_NONE && proto.n < rest.n)
		rest = view_from(rest, proto.n + 1);
	else if (d->listen)
		d->transport = TR_UDP;
	else
		return complain(l, w, VIEW("udp: tcp: tls: ws: wss:"), "a socket begins with its protocol") != NULL;
	if (!split_host(rest, &host, &d->ports))
		return complain(l, w, VIEW("proto:address[:port]"), "bad socket") != NULL;

	struct view ports = d->ports;
	while (ports.n) {
		uint32_t lo, hi;
		if (!port_range(view_trim(view_cut(&ports, ',')), &lo, &hi))
			return complain(l, w, VIEW("ports are numbers and ranges: 5060,5070-5079"), "bad port") != NULL;
	}
	if (addr_parse_ip(host, &a))
		return add_addr(d, &a);
	if (!from_interface(d, host) && !from_name(l, d, host))
		return complain(l, w, VIEW_NONE, "neither an address nor an interface nor a name that resolves") != NULL;
	return true;
}

/* ---- options --------------------------------------------------------------------------------------------------------------- */

static bool option_word(struct lex *x, struct word *w)
{
	if (lex_word(x, w))
		return true;
	if (!x->failed)
		lex_fail(x, x->at ? x->at - 1 : 0, 1, VIEW_NONE, "a socket option misses its value");
	return false;
}

static bool option_number(struct lex *x, int64_t lo, int64_t hi, int64_t *out)
{
	struct word w;

	if (!option_word(x, &w))
		return false;
	if (parse_number(w.text, out) && *out >= lo && *out <= hi)
		return true;
	lex_fail(x, w.at, w.len, VIEW_NONE, "a number from %lld to %lld is expected", (long long)lo, (long long)hi);
	return false;
}

static bool opt_as(struct lex *x, struct draft *d)
{
	struct word w;
	uint32_t    port = 0;
	struct view ports;

	if (!option_word(x, &w))
		return false;
	if (!split_host(w.text, &d->advertised_host, &ports) || (ports.n && (!view_u32(ports, &port) || port > 65535)))
		return lex_fail(x, w.at, w.len, VIEW_NONE, "an advertised address is host[:port]") != NULL;
	d->advertised_port = (uint16_t)port;
	return true;
}

static bool opt_workers(struct lex *x, struct draft *d) { int64_t n; return option_number(x, 1, 1024, &n); }
static bool opt_profile(struct lex *x, struct draft *d) { struct word w; return option_word(x, &w); }
static bool opt_tag(struct lex *x, struct draft *d)
{
	struct word w;

	if (!option_word(x, &w))
		return false;
	d->tag = w.text;
	return true;
}

static bool opt_tos(struct lex *x, struct draft *d)
{
	struct word w;
	int64_t     n;

	if (!option_word(x, &w))
		return false;
	if (!tos_value(w.text, &n))
		return lex_fail(x, w.at, w.len, VIEW_NONE, "bad tos") != NULL;
	d->tos = (int)n;
	return true;
}

static bool opt_nothing(struct lex *x, struct draft *d) { return true; }
static bool opt_reuse(struct lex *x, struct draft *d) { return d->reuse_port = true; }
static bool opt_allow(struct lex *x, struct draft *d) { d->mode = d->mode == PP_MODE_REQUIRE ? d->mode : PP_MODE_ALLOW; return true; }
static bool opt_require(struct lex *x, struct draft *d) { d->mode = PP_MODE_REQUIRE; return true; }
static bool opt_send(struct lex *x, struct draft *d) { return d->send_pp = true; }
static bool opt_both(struct lex *x, struct draft *d) { return opt_allow(x, d) && opt_send(x, d); }
static bool opt_real(struct lex *x, struct draft *d) { d->real_given = true; return d->real = true; }
static bool opt_strip(struct lex *x, struct draft *d) { return d->strip = true; }

static bool opt_peers(struct lex *x, struct draft *d)
{
	struct word w;

	return option_word(x, &w) && peers_list(x->l, &w, &d->peers);
}

static bool opt_version(struct lex *x, struct draft *d)
{
	int64_t n;

	if (!option_number(x, 1, 2, &n))
		return false;
	d->version = (uint8_t)n;
	return true;
}

static bool opt_timeout(struct lex *x, struct draft *d)
{
	int64_t n;

	if (!option_number(x, PP_TIMEOUT_MIN_MS / 1000, 3600, &n))
		return false;
	d->timeout_ms = (uint32_t)n * 1000;
	return true;
}

static bool opt_size(struct lex *x, struct draft *d)
{
	int64_t n;

	if (!option_number(x, PP_V1_BYTES, PP_SIZE_MAX, &n))
		return false;
	d->size = (uint32_t)n;
	return true;
}

bool pp_udp_mode(struct view v, enum pp_udp *out)
{
	static const struct view words[] = { [PP_UDP_DATAGRAM] = VIEW_INIT("datagram"), [PP_UDP_FIRST] = VIEW_INIT("first"), [PP_UDP_SPP] = VIEW_INIT("spp") };

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		if (view_is_ci(v, words[i])) {
			*out = (enum pp_udp)i;
			return true;
		}
	}
	return false;
}

static bool opt_udp(struct lex *x, struct draft *d)
{
	struct word w;

	if (!option_word(x, &w))
		return false;
	if (!pp_udp_mode(w.text, &d->udp))
		return lex_fail(x, w.at, w.len, VIEW_NONE, "proxy_protocol_udp is datagram, first or spp") != NULL;
	d->udp_given = true;
	return true;
}

static const struct { const char *word; bool (*take)(struct lex *x, struct draft *d); bool pp; } options[] = {
	{ "as", opt_as, false }, { "use_workers", opt_workers, false }, { "use_children", opt_workers, false }, { "use_auto_scaling_profile", opt_profile, false },
	{ "tos", opt_tos, false }, { "tag", opt_tag, false }, { "anycast", opt_nothing, false }, { "frag", opt_nothing, false },
	{ "reuse_port", opt_reuse, false }, { "accept_subdomain", opt_nothing, false },
	{ "allow_proxy_protocol", opt_allow, true }, { "allow_proxy", opt_allow, true }, { "require_proxy_protocol", opt_require, true },
	{ "require_proxy", opt_require, true }, { "send_proxy_protocol", opt_send, true }, { "send_proxy", opt_send, true },
	{ "proxy_protocol", opt_both, true }, { "proxy_protocol_peers", opt_peers, true }, { "proxy_protocol_version", opt_version, true },
	{ "proxy_protocol_timeout", opt_timeout, true }, { "proxy_protocol_max_size", opt_size, true }, { "proxy_protocol_udp", opt_udp, true },
	{ "proxy_protocol_strip_second", opt_strip, true }, { "real_source", opt_real, true },
};

/* Keywords are all lower or all upper case; in those about the PROXY protocol '-' and '_' are one. */
static int option_of(struct view v)
{
	char        room[48];
	bool        lower = false, upper = false;

	if (v.n >= sizeof room)
		return -1;
	for (size_t i = 0; i < v.n; i++) {
		lower |= v.p[i] >= 'a' && v.p[i] <= 'z';
		upper |= v.p[i] >= 'A' && v.p[i] <= 'Z';
		room[i] = v.p[i] == '-' ? '_' : ascii_lower(v.p[i]);
	}
	if (lower && upper)
		return -1;
	for (size_t i = 0; i < COUNT_OF(options); i++)
		if (view_is(view_of(room, v.n), view_str(options[i].word)) && (options[i].pp || view_find(v, '-') == v.n))
			return (int)i;
	return -1;
}

/* Would the word at hand begin the next statement?  Then it is no option; on the same line it is a misspelt one. */
static bool take_options(struct lex *x, struct draft *d)
{
	for (;;) {
		struct lex  before = *x;
		struct word w;
		if (!lex_word(x, &w)) {
			if (!x->failed)
				*x = before;
			return !x->failed;
		}
		int o = w.quoted ? -1 : option_of(w.text);
		if (o < 0 && w.same_line && !w.quoted && w.text.n && w.text.p[0] != '}') {
			struct lex  peek = *x;
			struct word next;
			bool        statement = lex_word(&peek, &next) && next.len && strchr("=\"'([{", x->l->src.text.p[next.at]);
			if (!statement) {
				struct closest c = { .want = w.text };
				for (size_t i = 0; i < COUNT_OF(options); i++)
					closest_offer(&c, view_str(options[i].word));
				return lex_fail(x, w.at, w.len, closest_hint(&c, x->l->pub.arena), "unknown socket option \"" VIEW_FMT "\"", VIEW_ARG(w.text)) != NULL;
			}
		}
		if (o < 0) {
			*x = before;
			return true;
		}
		if (!options[o].take(x, d))
			return false;
	}
}

/* ---- bonds ------------------------------------------------------------------------------------------------------------------ */

static bool bond_line(struct lex *x, const struct word *w)
{
	must(view_starts(w->text, VIEW("bond:")));

	struct drafts *all = drafts_of(x->l);
	struct bond   *b = all->nbonds < COUNT_OF(all->bonds) ? &all->bonds[all->nbonds] : NULL;
	struct view   *members = arena_alloc(x->l->pub.arena, SOCKETS_MAX * sizeof *members);

	if (!b || !members)
		return lex_fail(x, w->at, w->len, VIEW_NONE, "too many bonds") != NULL;
	*b = (struct bond){ .name = view_from(w->text, 5), .members = members };
	lex_next(x);
	if (!lex_want(x, '{', "after the name of a bond"))
		return false;
	while (!x->failed && !lex_is(x, '}')) {
		if (x->tok.kind != TOK_STR || b->nmembers == SOCKETS_MAX)
			return lex_fail(x, x->tok.at, x->tok.len, VIEW_NONE, "a socket in quotes is expected") != NULL;
		members[b->nmembers++] = x->tok.text;
		lex_next(x);
		if (!lex_take(x, ','))
			break;
	}
	if (!x->failed && !lex_is(x, '}'))
		return lex_want(x, '}', "at the end of the bond");
	all->nbonds++;
	return !x->failed;
}

/* ---- lines ----------------------------------------------------------------------------------------------------------------------- */

bool socket_line(struct lex *x, bool listen)
{
	struct drafts *all = drafts_of(x->l);
	struct draft  *d = arena_zalloc(x->l->pub.arena, sizeof *d);
	struct word    w;

	if (!d || !lex_word(x, &w))
		return lex_fail(x, x->at ? x->at - 1 : 0, 1, VIEW_NONE, "a socket is expected: proto:address[:port]") != NULL;
	if (view_starts(w.text, VIEW("bond:")))
		return bond_line(x, &w);
	d->listen = listen;
	d->tos = TOS_DEFAULT;
	d->at = w.at;
	d->len = w.len;
	if (!draft_address(x->l, d, &w)) {
		x->failed = true;
		return false;
	}
	*(all->last ? &all->last->next : &all->first) = d;
	all->last = d;
	return take_options(x, d);
}

/* -l [proto:]addr[:port], also a second -l in the middle of nowhere: no place in the source. */
bool socket_text(struct loader *l, struct view text)
{
	struct drafts *all = drafts_of(l);
	struct draft  *d = arena_zalloc(l->pub.arena, sizeof *d);
	struct word    w = { .text = text };

	if (!d)
		return false;
	d->listen = true;
	d->tos = TOS_DEFAULT;
	d->from_option = true;
	if (!draft_address(l, d, &w))
		return false;
	*(all->last ? &all->last->next : &all->first) = d;
	all->last = d;
	return true;
}

/* ---- from drafts to sockets ----------------------------------------------------------------------------------------------------- */

static const struct { enum transport t; const char *module; } protos[] = {
	{ TR_UDP, "proto_udp" }, { TR_TCP, "proto_tcp" }, { TR_TLS, "proto_tls" }, { TR_WS, "proto_ws" }, { TR_WSS, "proto_wss" },
};

static bool built_in(const struct loader *l, const char *name)
{
	for (size_t i = 0; i < l->pub.env->nmodules; i++)
		if (view_is(view_str(l->pub.env->modules[i]->name), view_str(name)))
			return true;
	return false;
}

static bool one_socket(struct loader *l, const struct draft *d, const struct addr *a, uint16_t port, struct socket_conf *list, size_t *n)
{
	const struct drafts *all = l->drafts;
	struct socket_conf  *s = &list[*n];
	char                 text[ADDR_TEXT_MAX];

	must(d->transport < TR_COUNT && port != 0);

	if (*n == SOCKETS_MAX) {
		err_at(l, d->at, d->len, VIEW_NONE, "more than %d sockets", SOCKETS_MAX);
		return false;
	}
	*s = (struct socket_conf){
		.index = (uint16_t)*n, .transport = d->transport, .at = *a, .advertised_host = d->advertised_host, .advertised_port = d->advertised_port,
		.tag = d->tag, .tos = d->tos == TOS_DEFAULT ? all->tos : d->tos, .reuse_port = d->reuse_port,
		.real_source = d->real_given ? d->real : l->pub.conf->real_source, .send_pp = d->send_pp, .send_version = d->version ? d->version : all->version,
		.pp_mode = d->mode, .pp_udp = d->udp_given ? d->udp : all->udp, .pp_strip_second = d->strip || all->strip,
		.pp_peers = d->peers.given ? d->peers : all->peers, .pp_timeout_ms = d->timeout_ms ? d->timeout_ms : all->timeout_ms,
		.pp_size = d->size ? d->size : all->size,
	};
	s->at.port = port;
	s->text = arena_fmt(l->pub.arena, VIEW_FMT ":" VIEW_FMT, VIEW_ARG(transport_name(s->transport)), VIEW_ARG(addr_text(&s->at, text)));
	for (size_t i = 0; i < *n; i++) {
		if (view_is(list[i].text, s->text)) {
			/* The command line may repeat what the file says. */
			if (d->from_option)
				return true;
			err_at(l, d->at, d->len, VIEW_NONE, "socket " VIEW_FMT " stands here twice", VIEW_ARG(s->text));
			return false;
		}
	}
	(*n)++;
	return true;
}

static bool expand(struct loader *l, const struct draft *d, struct socket_conf *list, size_t *n)
{
	for (size_t i = 0; i < d->naddrs; i++) {
		struct view ports = d->ports;
		if (!ports.n && !one_socket(l, d, &d->addrs[i], l->drafts->port[d->transport], list, n))
			return false;
		while (ports.n) {
			uint32_t lo, hi;
			must(port_range(view_trim(view_cut(&ports, ',')), &lo, &hi));
			for (uint32_t p = lo; p <= hi; p++)
				if (!one_socket(l, d, &d->addrs[i], (uint16_t)p, list, n))
					return false;
		}
	}
	return true;
}

static bool judge_draft(struct loader *l, const struct draft *d)
{
	const struct cidr_list *peers = d->peers.given ? &d->peers : &l->drafts->peers;

	if (d->mode == PP_MODE_ALLOW && !peers->given)
		warn_at(l, d->at, d->len, VIEW("add proxy_protocol_peers = \"CIDR, CIDR\" with the addresses of the load balancers"),
			"anybody may announce a client address on this socket");
	if (d->mode == PP_MODE_REQUIRE && !peers->given) {
		err_at(l, d->at, d->len, VIEW("add proxy_protocol_peers \"CIDR, CIDR\""), "require_proxy_protocol needs the list of senders");
		return false;
	}
	for (size_t i = 0; i < COUNT_OF(protos); i++) {
		if (protos[i].t != d->transport || !built_in(l, protos[i].module) || module_loaded(l, view_str(protos[i].module)))
			continue;
		err_at(l, d->at, d->len, arena_fmt(l->pub.arena, "add loadmodule \"%s.so\"", protos[i].module), "the protocol of this socket is not loaded");
		return false;
	}
	return true;
}

/* "proto:host[:port]" names one of the sockets; port omitted is the protocol's own. */
static void judge_bonds(struct loader *l)
{
	struct core_conf *c = l->pub.conf;

	c->bonds = l->drafts->bonds;
	c->nbonds = l->drafts->nbonds;
	for (size_t i = 0; i < c->nbonds; i++)
		for (size_t k = 0; k < c->bonds[i].nmembers; k++)
			if (!net_find_socket(&c->net, c->bonds[i].members[k]))
				err_at(l, 0, 0, VIEW_NONE, "bond " VIEW_FMT ": there is no socket " VIEW_FMT, VIEW_ARG(c->bonds[i].name), VIEW_ARG(c->bonds[i].members[k]));
}

bool sockets_finish(struct loader *l)
{
	struct drafts      *all = drafts_of(l);
	struct socket_conf *list = arena_zalloc(l->pub.arena, SOCKETS_MAX * sizeof *list);
	size_t              n = 0;
	bool                good = list != NULL;
	unsigned            seen = 0;

	for (size_t i = 0; i < l->pub.env->nextra_sockets; i++)
		good = good && socket_text(l, l->pub.env->extra_sockets[i]);
	for (const struct draft *d = all->first; good && d; d = d->next) {
		seen |= 1u << d->transport;
		good = judge_draft(l, d) && expand(l, d, list, &n);
	}
	if (!good)
		return false;
	for (size_t i = 0; i < COUNT_OF(protos); i++) {
		const struct module_load *m = module_loaded(l, view_str(protos[i].module));
		if (m && m->m && !(seen & 1u << protos[i].t))
			warn_at(l, m->at, 1, VIEW_NONE, "%s is loaded, but no socket uses it", protos[i].module);
	}
	l->pub.conf->net.sockets = list;
	l->pub.conf->net.nsockets = n;
	if (n == 0)
		err_at(l, 0, 0, VIEW("socket = udp:192.0.2.1:5060"), "there is no listening socket");
	judge_bonds(l);
	return !l->pub.diags->errors;
}

/* ---- alias= --------------------------------------------------------------------------------------------------------------------- */

static bool one_alias(struct lex *x, const struct word *w)
{
	struct drafts *all = drafts_of(x->l);
	struct view    rest = w->text, proto, ports;
	struct alias   a = { .transport = TR_NONE };
	uint32_t       port = 0;

	proto = view_sub(rest, 0, view_find(rest, ':'));
	if (proto.n < rest.n && (transport_parse(proto) != TR_NONE || view_is_ci(proto, VIEW("any")))) {
		a.transport = transport_parse(proto);
		rest = view_from(rest, proto.n + 1);
	}
	if (!split_host(rest, &a.host, &ports) || (ports.n && !view_is(ports, VIEW("*")) && (!view_u32(ports, &port) || port > 65535)))
		return lex_fail(x, w->at, w->len, VIEW_NONE, "an alias is [proto:]host[:port]") != NULL;
	if (all->naliases == COUNT_OF(all->aliases))
		return lex_fail(x, w->at, w->len, VIEW_NONE, "too many aliases") != NULL;
	a.port = (uint16_t)port;
	a.host = arena_copy(x->l->pub.arena, a.host);
	all->aliases[all->naliases++] = a;
	x->l->pub.conf->aliases = all->aliases;
	x->l->pub.conf->naliases = all->naliases;
	return true;
}

/* A list of words; it ends where the next assignment or block begins. */
bool alias_line(struct lex *x)
{
	for (bool first = true; ; first = false) {
		struct lex  before = *x, peek;
		struct word w, next;
		if (!lex_word(x, &w)) {
			if (!x->failed)
				*x = before;
			break;
		}
		peek = *x;
		bool ends = !first && !w.same_line && (!w.quoted || true) &&
			(view_find(w.text, ':') == w.text.n || (lex_word(&peek, &next) && next.text.n && next.text.p[0] == '='));
		peek.failed = false;
		if (ends || (!w.quoted && view_find(w.text, '{') < w.text.n)) {
			*x = before;
			break;
		}
		if (!first && view_is(w.text, VIEW("accept_subdomain"))) {
			struct drafts *all = drafts_of(x->l);
			all->aliases[all->naliases - 1].subdomains = true;
			continue;
		}
		if (!one_alias(x, &w))
			return false;
	}
	return !x->failed;
}
