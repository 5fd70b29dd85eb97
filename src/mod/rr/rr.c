/* mod/rr -- Record-Route and Route (RFC 3261 16.4, 16.6 step 4, 16.12; RFC 5658 for the double form). */
#include "mod/mod.h"

struct rr_conf { int64_t append_fromtag, enable_double_rr, add_username, sign; };

/* What record_route() and add_rr_param() asked for, in one list of edits: those of the request, which all branches share, or those of
 * a branch or failure route.  The lines are made for each branch when its sending socket is known. */
struct wish { const struct rr_conf *conf; struct view params, preset[2]; bool used; };
/* What loose_route() did. */
struct route_note { struct view params; int rc; };
static const char route_key;

/* ---- Record-Route ------------------------------------------------------------------------------------------------------ */

/* The way back to the client, signed, so that requests of the dialog find its connection or its place behind a load balancer,
 * whatever its Contact says (RFC 5626 5.3).  A plain UDP client is reached by its Contact. */
static void put_flow(struct out *o, struct msg *m)
{
	char text[FLOW_TEXT_MAX];
	struct target home;

	if (m->origin.outbound || (!ref_set(m->origin.conn) && !m->origin.has_real))
		return;
	reply_target(m, &home);
	put(o, VIEW(";vf="));
	put(o, flow_write(m->w, &home, text));
}

/* What makes a Route provably ours for this dialog: nobody else can write it, and it is worth nothing for another Call-ID. */
enum { MARK_TEXT = 16 };
static struct view mark_of(const struct msg *m, char *buf)
{
	struct out o = out_to(buf, MARK_TEXT);
	uint64_t mac = siphash_view(m->w->seal, m->sip.call_id);

	put_hex(&o, &mac, sizeof mac);
	must(!o.full);
	return out_view(&o);
}

static void put_mark(struct out *o, const struct msg *m)
{
	char text[MARK_TEXT];

	put(o, VIEW(";vm="));
	put(o, mark_of(m, text));
}

static bool marked(const struct msg *m, struct view params)
{
	char text[MARK_TEXT];
	struct view mark;

	return sip_param(params, VIEW("vm"), &mark) && view_is(mark, mark_of(m, text));
}

/* host[:port], the port only when it is not the transport's own. */
static void put_host(struct out *o, const struct msg *m, const struct socket_conf *s, enum transport t, struct arena *a)
{
	struct view at = core_sent_by(m->w->conf, s, m, a);
	char text[8];
	struct out port = out_to(text, sizeof text);

	putf(&port, ":%u", transport_port(t));
	put(o, view_ends(at, out_view(&port)) ? view_sub(at, 0, at.n - port.n) : at);
}

static void put_uri(struct out *o, struct msg *m, const struct wish *w, struct view params, const struct socket_conf *s, enum transport t, bool r2, bool flow,
	struct arena *a)
{
	struct sip_uri u;
	struct sip_nameaddr from;

	put(o, VIEW("Record-Route: <sip:"));
	if (w->conf->add_username && sip_from(&m->sip, &from) && sip_uri_parse(from.uri, &u) && u.user.n) {
		put(o, u.user);
		put_char(o, '@');
	}
	put_host(o, m, s, t, a);
	if (t != TR_UDP) {
		put(o, VIEW(";transport="));
		put(o, transport_name(t));
	}
	if (r2)
		put(o, VIEW(";r2=on"));
	put(o, VIEW(";lr"));
	if (w->conf->append_fromtag && m->sip.from_tag.n) {
		put(o, VIEW(";ftag="));
		put(o, m->sip.from_tag);
	}
	if (flow)
		put_flow(o, m);
	if (w->conf->sign)
		put_mark(o, m);
	put(o, params);
	put(o, VIEW(">\r\n"));
}

static void put_preset(struct out *o, const struct msg *m, const struct wish *w, struct view params, struct view text, bool r2)
{
	put(o, VIEW("Record-Route: <sip:"));
	put(o, text);
	if (r2)
		put(o, VIEW(";r2=on"));
	put(o, VIEW(";lr"));
	if (w->conf->append_fromtag && m->sip.from_tag.n) {
		put(o, VIEW(";ftag="));
		put(o, m->sip.from_tag);
	}
	if (w->conf->sign)
		put_mark(o, m);
	put(o, params);
	put(o, VIEW(">\r\n"));
}

static late_lines lines;

static struct wish *wish_in(const struct edits *e)
{
	for (const struct late *x = e ? e->late : NULL; x; x = x->next)
		if (x->lines == lines)
			return x->arg;
	return NULL;
}

/* Two lines when the call changes address, port or transport here: the outgoing side first. */
static struct view lines(struct msg *m, const struct edits *own, const struct socket_conf *from, enum transport t, void *arg, struct arena *a)
{
	const struct wish *w = arg, *all = wish_in(&m->edits), *branch = wish_in(own);

	if (!w->used)
		return VIEW("");
	const struct view both[] = { all ? all->params : VIEW(""), branch && branch != all ? branch->params : VIEW("") };
	struct view params = arena_join(a, both, COUNT_OF(both));
	size_t cap = 1024 + FLOW_TEXT_MAX + 2 * (params.n + m->sip.from_tag.n + m->advertised_host.n + m->advertised_port.n) + w->preset[0].n + w->preset[1].n
		     + (w->conf->add_username ? 2 * m->sip.head.n : 0);
	char *space = arena_alloc(a, cap);
	struct out o = out_to(space, space ? cap : 0);
	const struct socket_conf *in = m->origin.socket;

	if (!space || !params.p)
		return VIEW_NONE;
	if (w->preset[0].n) {
		put_preset(&o, m, w, params, w->preset[0], w->preset[1].n > 0);
		if (w->preset[1].n)
			put_preset(&o, m, w, params, w->preset[1], true);
		return o.full ? VIEW_NONE : out_view(&o);
	}
	bool twice = w->conf->enable_double_rr && in && (in != from || in->transport != t);
	put_uri(&o, m, w, params, from, t, twice, !twice, a);
	if (twice)
		put_uri(&o, m, w, params, in, in->transport, true, true, a);
	return o.full ? VIEW_NONE : out_view(&o);
}

static struct wish *wish_of(struct run *r)
{
	struct wish *w = wish_in(r->edits);

	if (w)
		return w;
	w = arena_zalloc(r->msg->arena, sizeof *w);
	if (!w || !edit_late(r->msg, r->edits, lines, w))
		return NULL;
	w->conf = mod_conf(r->w, &mod_rr);
	w->params = VIEW("");
	return w;
}

/* Once for a branch: what the request route asked for holds for all of them. */
static struct wish *first_wish(struct run *r)
{
	const struct wish *all = wish_in(&r->msg->edits);
	struct wish *w = all && all->used ? NULL : wish_of(r);

	return w && !w->used ? w : NULL;
}

/* Parameters come with their leading ';' or without. */
static bool add_params(struct run *r, struct wish *w, struct view params)
{
	if (!params.n)
		return true;
	const struct view parts[] = { w->params, params.p[0] == ';' ? VIEW("") : VIEW(";"), params };
	w->params = arena_join(r->msg->arena, parts, COUNT_OF(parts));
	return w->params.p != NULL;
}

static bool clean(struct view v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] == '\r' || v.p[i] == '\n' || v.p[i] == '>' || v.p[i] == '<')
			return false;
	return true;
}

static int f_record_route(struct run *r, const struct arg *a)
{
	struct wish *w = first_wish(r);

	if (!w || (a[0].given && (!clean(a[0].s) || !add_params(r, w, a[0].s))))
		return SCRIPT_FALSE;
	w->used = true;
	return SCRIPT_TRUE;
}

static int f_preset(struct run *r, const struct arg *a)
{
	struct wish *w = first_wish(r);

	if (!w || !a[0].s.n || !clean(a[0].s) || (a[1].given && !clean(a[1].s)))
		return SCRIPT_FALSE;
	w->preset[0] = arena_copy(r->msg->arena, a[0].s);
	w->preset[1] = a[1].given ? arena_copy(r->msg->arena, a[1].s) : VIEW("");
	w->used = w->preset[0].p && w->preset[1].p;
	return w->used ? SCRIPT_TRUE : SCRIPT_FALSE;
}

static int f_add_rr_param(struct run *r, const struct arg *a)
{
	struct wish *w = wish_of(r);

	return w && clean(a[0].s) && add_params(r, w, a[0].s) ? SCRIPT_TRUE : SCRIPT_FALSE;
}

/* ---- Route ---------------------------------------------------------------------------------------------------------------- */

struct hop { struct sip_nameaddr na; struct sip_uri uri; const struct sip_hdr *hdr; };

static bool next_route(struct sip_walk *walk, struct hop *h)
{
	return sip_walk_nameaddr(walk, &h->na, &h->hdr) == SIP_OK && sip_uri_parse(h->na.uri, &h->uri);
}

/* The transport that a URI means; TR_NONE for one that nobody here speaks. */
static enum transport transport_of(const struct sip_uri *u)
{
	enum transport t = u->transport.n ? transport_parse(u->transport) : TR_UDP;

	if (u->scheme != SCHEME_SIPS)
		return t;
	return t == TR_UDP || t == TR_TCP ? TR_TLS : t == TR_WS ? TR_WSS : t;
}

static uint16_t port_of(const struct sip_uri *u)
{
	return u->port ? u->port : transport_port(transport_of(u));
}

static bool is_ours(struct run *r, const struct sip_uri *u)
{
	enum transport t = transport_of(u);

	return t != TR_NONE && core_is_myself(r->w->conf, u->host, port_of(u), u->transport.n ? t : TR_NONE);
}

/* An edit has taken it away already. */
static bool gone(const struct run *r, struct view v)
{
	size_t off = (size_t)(v.p - r->msg->sip.bytes.p);

	for (const struct edit *e = r->edits->first; e; e = e->next)
		if (e->off <= off && off + v.n <= e->off + e->len)
			return true;
	return false;
}

static bool last_of_line(const struct run *r, const struct hop *h)
{
	struct view rest = h->hdr->value;
	struct sip_nameaddr other;

	while (sip_nameaddr_next(&rest, &other) == SIP_OK)
		if (other.whole.p != h->na.whole.p && !gone(r, other.whole))
			return false;
	return true;
}

/* Remove one element from its header line: with the comma after it, or before it, or the whole line when nothing else is left. */
static bool cut(struct run *r, const struct hop *h)
{
	struct view line = h->hdr->value, whole = h->na.whole;
	size_t before = (size_t)(whole.p - line.p), after = line.n - before - whole.n;
	struct view tail = view_from(line, before + whole.n);

	if (last_of_line(r, h))
		return edit_delete(r->msg, r->edits, h->hdr->line);
	if (after && view_find(tail, ',') < tail.n) {
		struct view rest = view_trim(view_from(tail, view_find(tail, ',') + 1));
		return edit_delete(r->msg, r->edits, view_of(whole.p, (size_t)(rest.p - whole.p)));
	}
	const char *comma = whole.p;
	while (comma > line.p && *comma != ',')
		comma--;
	return edit_delete(r->msg, r->edits, view_of(comma, (size_t)(whole.p + whole.n - comma)));
}

/* The socket that a Route of ours names, for sending in-dialog requests from where the dialog was made. */
static const struct socket_conf *socket_of(struct run *r, const struct sip_uri *u)
{
	const struct core_conf *c = r->w->conf;
	uint16_t port = port_of(u), shown;
	struct addr ip;

	for (size_t i = 0; i < c->net.nsockets; i++) {
		const struct socket_conf *s = &c->net.sockets[i];
		struct view name = s->advertised_host.n ? s->advertised_host : c->advertised_host;
		if (s->transport != transport_of(u))
			continue;
		shown = s->advertised_port ? s->advertised_port : !s->advertised_host.n && c->advertised_port ? c->advertised_port : s->at.port;
		if (name.n && view_is_ci(name, u->host) && shown == port)
			return s;
		if (addr_parse_ip(u->host, &ip) && addr_same_ip(&ip, &s->at) && s->at.port == port)
			return s;
	}
	return NULL;
}

static int to_next(struct run *r, const struct hop *next)
{
	struct view uri = next->na.uri;

	if (!next->uri.lr) {
		if (uri.n > URI_MAX_BYTES)
			return SCRIPT_FALSE;
		/* A strict router: its URI becomes the request's, ours goes to the end of the route set (RFC 3261 16.6 step 6). */
		struct view last = arena_fmt(r->tmp, "Route: <" VIEW_FMT ">\r\n", VIEW_ARG(r->route->ruri));
		if (!last.p || !cut(r, next) || !edit_append_header(r->msg, r->edits, last))
			return SCRIPT_FALSE;
		r->route->ruri = uri;
	}
	r->route->duri = uri;
	return SCRIPT_TRUE;
}

/* A flow token of ours in the Route that faces the client: this request goes back by that flow, unless it came by it itself. */
static void follow_flow(struct run *r, struct view params)
{
	struct flow_home *home = arena_alloc(r->msg->arena, sizeof *home);
	struct view token, ftag;

	if (!home || !sip_param(params, VIEW("vf"), &token) || !flow_read(r->w, token, home))
		return;
	if (sip_param(params, VIEW("ftag"), &ftag) && view_is(ftag, r->msg->sip.from_tag))
		return;
	if (ref_set(home->t.flow) ? ref_same(home->t.flow, r->msg->origin.conn)
	                          : home->t.from == r->msg->origin.socket && addr_same(&home->t.to, &r->msg->origin.wire_src) && !home->client.has_real)
		return;
	home->t.client = &home->client;
	r->route->flow = home->t.flow;
	r->route->socket = home->t.from;
	r->route->peer = &home->client;
	if (!ref_set(home->t.flow)) {
		char text[ADDR_TEXT_MAX];
		r->route->duri = arena_fmt(r->tmp, "sip:" VIEW_FMT, VIEW_ARG(addr_text(&home->t.to, text)));
	}
}

/* The other half of a doubled Record-Route of ours goes too; it names the socket to send from. */
static bool cut_half(struct run *r, const struct hop *half, struct route_note *note)
{
	const struct socket_conf *s = socket_of(r, &half->uri);

	if (s)
		r->route->socket = s;
	note->params = half->uri.params;
	return cut(r, half);
}

/* The request URI is our own Record-Route URI: a strict router came before us; the real one is the last Route (16.4). */
static int after_strict(struct run *r, const struct sip_uri *ours, struct route_note *note)
{
	struct sip_walk walk = sip_walk(&r->msg->sip, HDR_ROUTE);
	struct hop h, next = { 0 }, after = { 0 }, last = { 0 };
	int n = 0;

	for (; next_route(&walk, &h); n++) {
		if (n < 2)
			*(n ? &after : &next) = h;
		last = h;
	}
	if (last.na.uri.n > URI_MAX_BYTES)
		return SCRIPT_FALSE;
	note->params = ours->params;
	r->route->socket = r->route->socket ? r->route->socket : r->msg->origin.socket;
	r->route->ruri = last.na.uri;
	if (!cut(r, &last))
		return SCRIPT_FALSE;
	if (ours->r2.n && n > 1 && is_ours(r, &next.uri)) {
		if (!cut_half(r, &next, note))
			return SCRIPT_FALSE;
		next = after;
		n--;
	}
	if (n > 1)
		return to_next(r, &next);
	follow_flow(r, note->params);
	return SCRIPT_TRUE;
}

static int after_loose(struct run *r, const struct hop *top, struct sip_walk *walk, bool preloaded, struct route_note *note)
{
	struct hop next;
	bool more;

	if (!cut(r, top))
		return SCRIPT_FALSE;
	note->params = top->uri.params;
	r->route->socket = r->route->socket ? r->route->socket : r->msg->origin.socket;
	more = next_route(walk, &next);
	if (top->uri.r2.n && more && is_ours(r, &next.uri)) {
		if (!cut_half(r, &next, note))
			return SCRIPT_FALSE;
		more = next_route(walk, &next);
	}
	if (more)
		return to_next(r, &next);
	if (preloaded)
		return SCRIPT_FALSE;
	follow_flow(r, note->params);
	return SCRIPT_TRUE;
}

static int f_loose_route(struct run *r, const struct arg *a)
{
	struct sip_walk walk = sip_walk(&r->msg->sip, HDR_ROUTE);
	struct route_note *note = msg_note(r->msg, &route_key);
	struct sip_uri ruri;
	struct hop top;
	bool dialog = r->msg->sip.to_tag.n > 0;
	const struct rr_conf *c = mod_conf(r->w, &mod_rr);

	/* The Routes are cut already: the same answer. */
	if (note)
		return note->rc;
	if (!next_route(&walk, &top) || !sip_uri_parse(r->route->ruri, &ruri))
		return SCRIPT_FALSE;
	/* A To tag alone proves no dialog: without our mark a stranger would choose where we send (requirements S10). */
	if (dialog && c->sign && !marked(r->msg, top.uri.params) && !marked(r->msg, ruri.params))
		return SCRIPT_FALSE;
	note = arena_zalloc(r->msg->arena, sizeof *note);
	if (!note || !msg_note_set(r->msg, &route_key, note))
		return SCRIPT_FALSE;
	if (dialog && !ruri.gr && ruri.lr && is_ours(r, &ruri))
		note->rc = after_strict(r, &ruri, note);
	else if (is_ours(r, &top.uri))
		note->rc = after_loose(r, &top, &walk, !dialog, note);
	else
		note->rc = to_next(r, &top);
	r->msg->loose_routed |= note->rc == SCRIPT_TRUE;
	return note->rc;
}

static struct view found_params(const struct run *r)
{
	const struct route_note *n = r->msg ? msg_note(r->msg, &route_key) : NULL;

	return n ? n->params : VIEW_NONE;
}

static int f_check_route_param(struct run *r, const struct arg *a)
{
	struct view params = found_params(r);
	const struct view parts[] = { VIEW(";"), params };

	if (!params.n)
		return SCRIPT_FALSE;
	params = arena_join(r->tmp, parts, COUNT_OF(parts));
	return params.p && regex_match(a[0].re, params, 0, NULL, 0) > 0 ? SCRIPT_TRUE : SCRIPT_FALSE;
}

static int f_is_direction(struct run *r, const struct arg *a)
{
	struct view ftag;
	bool up = view_is_ci(a[0].s, VIEW("upstream"));

	if (!sip_param(found_params(r), VIEW("ftag"), &ftag) || !r->msg->sip.from_tag.n)
		return SCRIPT_FALSE;
	return up != view_is(ftag, r->msg->sip.from_tag) ? SCRIPT_TRUE : SCRIPT_FALSE;
}

static bool check_direction(struct script_load *l, const struct arg *literal, struct out *err)
{
	if (!literal[0].given || view_is_ci(literal[0].s, VIEW("upstream")) || view_is_ci(literal[0].s, VIEW("downstream")))
		return true;
	putf(err, "a direction is \"upstream\" or \"downstream\"");
	return false;
}

static bool get_rr_params(struct run *r, const struct var_use *u, struct value *out)
{
	*out = value_str(found_params(r));
	return out->s.n > 0;
}

enum { QBF = ROUTE_REQUEST | ROUTE_BRANCH | ROUTE_FAILURE };
static const struct script_param params[] = {
	{ "append_fromtag", PARAM_INT, offsetof(struct rr_conf, append_fromtag), "1", "put the From tag into Record-Route (for is_direction)", NULL },
	{ "enable_double_rr", PARAM_INT, offsetof(struct rr_conf, enable_double_rr), "1", "two Record-Routes when address, port or transport change", NULL },
	{ "add_username", PARAM_INT, offsetof(struct rr_conf, add_username), "0", "put the From user into Record-Route", NULL },
	{ "sign", PARAM_INT, offsetof(struct rr_conf, sign), "0", "1 = mark our Record-Routes, and follow a Route set in a dialog only when its first element bears the mark", NULL },
	{ "enable_socket_mismatch_warning", PARAM_IGNORED_INT, 0, "1", "accepted", NULL },
	{ "ignore_user", PARAM_IGNORED_STR, 0, NULL, "accepted", NULL },
	{ NULL },
};
static const struct script_func funcs[] = {
	{ "record_route", f_record_route, { ARG_STR | ARG_OPT }, QBF, "stay in the dialog's path; extra parameters" },
	{ "record_route_preset", f_preset, { ARG_STR, ARG_STR | ARG_OPT }, QBF, "Record-Route with the given host part(s): outgoing, incoming" },
	{ "add_rr_param", f_add_rr_param, { ARG_STR }, QBF, "add a parameter to our Record-Route" },
	{ "loose_route", f_loose_route, { ARG_NONE }, ROUTE_REQUEST, "follow the Route set: true when the request is routed by it" },
	{ "check_route_param", f_check_route_param, { ARG_REGEX }, ROUTE_REQUEST, "match the parameters of our Route" },
	{ "is_direction", f_is_direction, { ARG_STR }, ROUTE_REQUEST, "\"upstream\" or \"downstream\"", NULL, check_direction },
	{ NULL },
};
static const struct script_var vars[] = {
	{ "rr_params", get_rr_params, NULL, NULL, 0, "parameters of our Route that loose_route() removed" },
	{ NULL },
};
const struct module mod_rr = { .name = "rr", .id = MOD_rr, .conf_size = sizeof(struct rr_conf), .params = params, .funcs = funcs, .vars = vars,
	.help = "Record-Route and loose routing" };
