/* Functions of the core: flags, request URI, destination, Via handling, sockets, stateless forwarding (opensips-language.md 12). */
#include "script/rows.h"

static int yes(bool ok) { return ok ? SCRIPT_TRUE : SCRIPT_FALSE; }

/* ---- flags ----------------------------------------------------------------------------------------------------------- */

/* Bits come from script_flag(), which gives out no more than there are. */
static int setflag(struct run *r, const struct arg *a) { must(a[0].i >= 0 && a[0].i < 32); r->msg->flags |= 1u << a[0].i; return SCRIPT_TRUE; }
static int resetflag(struct run *r, const struct arg *a) { r->msg->flags &= ~(1u << a[0].i); return SCRIPT_TRUE; }
static int isflagset(struct run *r, const struct arg *a) { return yes(r->msg->flags >> a[0].i & 1); }

static struct msg_route *flag_branch(struct run *r, const struct arg *index)
{
	return index->given ? branch_at(r, (int)index->i) : r->route;
}

static int setbflag(struct run *r, const struct arg *a)
{
	struct msg_route *b = flag_branch(r, &a[1]);

	if (b)
		b->bflags |= 1u << a[0].i;
	return yes(b);
}

static int resetbflag(struct run *r, const struct arg *a)
{
	struct msg_route *b = flag_branch(r, &a[1]);

	if (b)
		b->bflags &= ~(1u << a[0].i);
	return yes(b);
}

static int isbflagset(struct run *r, const struct arg *a)
{
	const struct msg_route *b = flag_branch(r, &a[1]);

	return yes(b && (b->bflags >> a[0].i & 1));
}

/* ---- request URI and destination --------------------------------------------------------------------------------------- */

static const struct var_use plain;

static int assign(struct run *r, var_set *set, struct view text)
{
	const struct value v = text.n ? value_str(text) : VALUE_NULL;

	return set(r, &plain, ASSIGN_SET, &v);
}

static int f_seturi(struct run *r, const struct arg *a) { return assign(r, set_ruri, a[0].s); }
static int f_setuser(struct run *r, const struct arg *a) { return assign(r, set_ruri_user, a[0].s); }
static int f_sethost(struct run *r, const struct arg *a) { return assign(r, set_ruri_host, a[0].s); }
static int f_setport(struct run *r, const struct arg *a) { return assign(r, set_ruri_port, a[0].s); }
static int f_setdsturi(struct run *r, const struct arg *a) { return a[0].s.n ? assign(r, set_duri, a[0].s) : SCRIPT_FALSE; }
static int f_resetdsturi(struct run *r, const struct arg *a) { return assign(r, set_duri, VIEW_NONE); }
static int f_isdsturiset(struct run *r, const struct arg *a) { return yes(r->route && r->route->duri.n); }

/* user:password before the host, as one text. */
static int f_setuserpass(struct run *r, const struct arg *a)
{
	struct view rest = a[0].s, user = view_cut(&rest, ':');

	return ruri_set_userpass(r, user, rest);
}

static int f_sethostport(struct run *r, const struct arg *a)
{
	struct view host = a[0].s, port = VIEW_NONE;
	size_t colon = host.n && host.p[0] == '[' ? view_find(host, ']') + 1 : view_find(host, ':');

	if (colon < host.n) {
		port = view_from(host, colon + 1);
		host = view_sub(host, 0, colon);
	}
	if (!r->route)
		return SCRIPT_FALSE;
	struct view before = r->route->ruri;
	if (assign(r, set_ruri_host, host) == SCRIPT_TRUE && assign(r, set_ruri_port, port) == SCRIPT_TRUE)
		return SCRIPT_TRUE;
	r->route->ruri = before;
	return SCRIPT_FALSE;
}

static bool ruri_user(struct run *r, struct view *user)
{
	struct value v;

	if (!r->route || !r->route->ruri.n)
		return false;
	*user = get_ruri_user(r, &plain, &v) ? v.s : VIEW("");
	return true;
}

static int f_prefix(struct run *r, const struct arg *a)
{
	struct view user;

	if (!ruri_user(r, &user))
		return SCRIPT_FALSE;
	const struct view parts[] = { a[0].s, user };
	struct view all = arena_join(r->tmp, parts, COUNT_OF(parts));
	return all.p ? assign(r, set_ruri_user, all) : SCRIPT_FALSE;
}

static int f_strip(struct run *r, const struct arg *a)
{
	struct view user;

	return ruri_user(r, &user) && a[0].i >= 0 ? assign(r, set_ruri_user, view_from(user, (size_t)a[0].i)) : SCRIPT_FALSE;
}

static int f_strip_tail(struct run *r, const struct arg *a)
{
	struct view user;

	if (!ruri_user(r, &user) || a[0].i < 0)
		return SCRIPT_FALSE;
	size_t cut = (size_t)a[0].i < user.n ? (size_t)a[0].i : user.n;
	return assign(r, set_ruri_user, view_sub(user, 0, user.n - cut));
}

static int f_revert_uri(struct run *r, const struct arg *a)
{
	if (!r->route || !r->msg->ruri.whole.n)
		return SCRIPT_FALSE;
	r->route->ruri = r->msg->ruri.whole;
	r->route->q = -1;
	return SCRIPT_TRUE;
}

/* ---- branches ------------------------------------------------------------------------------------------------------------ */

/* "0.5" as 500; -1 when it is no q-value. */
static int parse_q(struct view v)
{
	int q = 0;
	size_t i = 1;

	if (!v.n || (v.p[0] != '0' && v.p[0] != '1') || (v.n > 1 && v.p[1] != '.') || v.n > 5)
		return -1;
	q = (v.p[0] - '0') * 1000;
	for (int scale = 100; ++i < v.n; scale /= 10) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return -1;
		q += (v.p[i] - '0') * scale;
	}
	return q > 1000 ? -1 : q;
}

static int add_branch(struct run *r, struct view uri, const struct arg *q_text, const struct msg_route *like)
{
	int q = q_text->given && q_text->s.n ? parse_q(q_text->s) : like ? like->q : -1;

	if (q < 0 && q_text->given && q_text->s.n)
		return SCRIPT_FALSE;
	struct msg_route *b = branch_append(r, uri, like);
	if (!b)
		return SCRIPT_FALSE;
	b->q = (int16_t)q;
	return SCRIPT_TRUE;
}

static int f_append_msg_branch(struct run *r, const struct arg *a)
{
	bool inherit = a[2].given && a[2].s.n;

	if (!r->route)
		return SCRIPT_FALSE;
	if (inherit && !view_is_ci(a[2].s, VIEW("inherite")) && !view_is_ci(a[2].s, VIEW("inherit")))
		return SCRIPT_FALSE;
	return add_branch(r, a[0].given && a[0].s.n ? a[0].s : r->route->ruri, &a[1], inherit ? r->route : NULL);
}

/* 3.x append_branch(): without an argument the current branch moves into the set and the R-URI branch starts anew. */
static int f_append_branch(struct run *r, const struct arg *a)
{
	if (!r->route)
		return SCRIPT_FALSE;
	bool own = !a[0].given || !a[0].s.n;
	if (add_branch(r, own ? r->route->ruri : a[0].s, &a[1], own ? r->route : NULL) != SCRIPT_TRUE)
		return SCRIPT_FALSE;
	if (own)
		*r->route = (struct msg_route){ .ruri = r->route->ruri, .q = -1 };
	return SCRIPT_TRUE;
}

static int f_remove_msg_branch(struct run *r, const struct arg *a)
{
	return yes(r->route && branch_remove(r, a[0].i < 0 ? (int)a[0].i + r->msg->nmore : (int)a[0].i));
}

static struct msg_route *numbered(struct run *r, const struct arg *a)
{
	return !a->given || a->i < 0 ? r->route : branch_at(r, (int)a->i + 1);
}

static int f_move_msg_branch(struct run *r, const struct arg *a)
{
	if (!r->route)
		return SCRIPT_FALSE;
	struct msg_route *from = numbered(r, &a[0]), *to = numbered(r, &a[1]);
	if (!from || !to || from == to)
		return SCRIPT_FALSE;
	*to = *from;
	if (from != r->route && !(a[2].given && view_is_ci(a[2].s, VIEW("keep"))))
		branch_remove(r, (int)(from - r->msg->more));
	return SCRIPT_TRUE;
}

static int f_swap_msg_branches(struct run *r, const struct arg *a)
{
	if (!r->route)
		return SCRIPT_FALSE;
	struct msg_route *x = numbered(r, &a[0]), *y = numbered(r, &a[1]);
	if (!x || !y)
		return SCRIPT_FALSE;
	struct msg_route keep = *x;
	*x = *y;
	*y = keep;
	return SCRIPT_TRUE;
}

/* Serial forking: branches by falling q; one class of equal q at a time. */
struct serial { struct msg_route branch[MSG_BRANCHES]; int n, at; };
static const char serial_key;

static int take_class(struct run *r, struct serial *s)
{
	must(s->at <= s->n && s->n <= MSG_BRANCHES);
	if (s->at == s->n)
		return -2;
	int16_t q = s->branch[s->at].q;
	*r->route = s->branch[s->at++];
	r->msg->nmore = 0;
	while (s->at < s->n && s->branch[s->at].q == q) {
		const struct msg_route *next = &s->branch[s->at++];
		if (!branch_append(r, next->ruri, next))
			break;
	}
	return s->at < s->n ? 1 : 2;
}

static int f_serialize_branches(struct run *r, const struct arg *a)
{
	if (!r->route)
		return SCRIPT_FALSE;
	struct serial *s = a[0].i ? NULL : msg_note(r->msg, &serial_key);
	if (!s)
		s = arena_zalloc(r->msg->arena, sizeof *s);
	if (!s || !msg_note_set(r->msg, &serial_key, s))
		return SCRIPT_FALSE;
	/* What is left of an earlier set keeps its place in front of what fits behind it. */
	memmove(s->branch, s->branch + s->at, (size_t)(s->n - s->at) * sizeof *s->branch);
	s->n -= s->at;
	s->at = 0;
	if (s->n + branch_count(r) > MSG_BRANCHES)
		return SCRIPT_FALSE;
	bool keep_order = a[1].given && a[1].i;
	for (int i = 0; i < branch_count(r); i++) {
		const struct msg_route *b = branch_at(r, i);
		int at = s->n++;
		for (; !keep_order && at > s->at && s->branch[at - 1].q < b->q; at--)
			s->branch[at] = s->branch[at - 1];
		s->branch[at] = *b;
	}
	r->msg->nmore = 0;
	return SCRIPT_TRUE;
}

static int f_next_branches(struct run *r, const struct arg *a)
{
	struct serial *s = r->route ? msg_note(r->msg, &serial_key) : NULL;

	return s ? take_class(r, s) : SCRIPT_FALSE;
}

/* ---- Via, sockets, addresses ------------------------------------------------------------------------------------------------ */

static int f_force_rport(struct run *r, const struct arg *a) { r->msg->via_flags |= VIA_FORCE_RPORT; return SCRIPT_TRUE; }
static int f_add_local_rport(struct run *r, const struct arg *a) { r->msg->via_flags |= VIA_ADD_LOCAL_RPORT; return SCRIPT_TRUE; }
static int f_force_tcp_alias(struct run *r, const struct arg *a) { r->msg->via_flags |= VIA_FORCE_TCP_ALIAS; return SCRIPT_TRUE; }

static const struct flag_word via_words[] = { { "force-rport", VIA_FORCE_RPORT }, { "add-local-rport", VIA_ADD_LOCAL_RPORT },
	{ "reply-to-via", VIA_REPLY_TO_VIA }, { "force-tcp-alias", VIA_FORCE_TCP_ALIAS }, { NULL, 0 } };
static int f_set_via_handling(struct run *r, const struct arg *a) { r->msg->via_flags |= (uint32_t)a[0].i; return SCRIPT_TRUE; }

static int f_force_send_socket(struct run *r, const struct arg *a)
{
	const struct value v = value_str(a[0].s);

	return set_socket_out(r, &plain, ASSIGN_SET, &v);
}

static int f_set_advertised_address(struct run *r, const struct arg *a)
{
	/* It goes into Via and Record-Route: a name or an address, nothing that ends one. */
	for (size_t i = 0; i < a[0].s.n; i++)
		if ((uint8_t)a[0].s.p[i] <= ' ' || a[0].s.p[i] == 0x7f || memchr(";,\"<>", a[0].s.p[i], 5))
			return SCRIPT_FALSE;
	r->msg->advertised_host = arena_copy(r->tmp, a[0].s);
	return yes(r->msg->advertised_host.p);
}

static int f_set_advertised_port(struct run *r, const struct arg *a)
{
	uint32_t port;

	if (!view_u32(a[0].s, &port) || port == 0 || port > 65535)
		return SCRIPT_FALSE;
	r->msg->advertised_port = arena_fmt(r->tmp, "%u", port);
	return yes(r->msg->advertised_port.p);
}

static int f_is_myself(struct run *r, const struct arg *a)
{
	int64_t port = a[1].given ? a[1].i : 0;

	return yes(port >= 0 && port <= 65535 && core_is_myself(r->w->conf, a[0].s, (uint16_t)port, TR_NONE));
}

/* Our connection to "[proto:]ip:port", or the one the message came by when it is named so. */
static int f_tcp_close_conn(struct run *r, const struct arg *a)
{
	struct view rest = a[0].s;
	enum transport t = transport_parse(view_sub(rest, 0, view_find(rest, ':')));
	struct addr peer;

	if (t != TR_NONE)
		view_cut(&rest, ':');
	if (!addr_parse(rest, &peer))
		return SCRIPT_FALSE;
	for (enum transport try = TR_TCP; try < TR_COUNT; try++) {
		struct ref conn = t == TR_NONE || t == try ? net_find_conn(r->w->net, try, &peer) : NO_REF;
		if (ref_set(conn) && net_close(r->w->net, conn))
			return SCRIPT_TRUE;
	}
	return SCRIPT_FALSE;
}

/* ---- sending without a transaction --------------------------------------------------------------------------------------------- */

/* "[proto:]host[:port]" as a SIP URI. */
static struct view hop_uri(struct run *r, struct view v)
{
	struct view rest = v;
	enum transport t = view_find(v, ':') < v.n ? transport_parse(view_cut(&rest, ':')) : TR_NONE;

	if (view_starts_ci(v, VIEW("sip:")) || view_starts_ci(v, VIEW("sips:")))
		return v;
	return t == TR_NONE ? arena_fmt(r->tmp, "sip:" VIEW_FMT, VIEW_ARG(v))
	                    : arena_fmt(r->tmp, "sip:" VIEW_FMT ";transport=" VIEW_FMT, VIEW_ARG(rest), VIEW_ARG(transport_name(t)));
}

static int f_forward(struct run *r, const struct arg *a)
{
	struct msg_route route = *r->route;

	if (a[0].given && a[0].s.n)
		route.duri = hop_uri(r, a[0].s);
	return yes(forward_request(r->msg, &route) == SEND_OK);
}

struct raw_send { struct run *r; struct view bytes; };

static bool send_raw(struct run *r, const struct candidate *c, struct view bytes)
{
	struct target t = { .transport = c->transport, .to = c->to, .client = &r->msg->origin };
	const struct iovec iov = { (void *)bytes.p, bytes.n };

	t.from = net_pick_socket(&r->w->conf->net, r->route ? r->route->socket : NULL, r->msg->origin.socket, c->transport, &c->to);
	return t.from && net_send(r->w->net, &t, &iov, 1, NO_REF) == SEND_OK;
}

static void raw_resolved(void *arg, const struct candidate *list, size_t n, const char *why)
{
	struct raw_send *s = arg;

	run_resume(s->r, yes(n > 0 && send_raw(s->r, &list[0], s->bytes)));
}

/* The received bytes as they came, with `headers` after the start line. */
static int f_send(struct run *r, const struct arg *a)
{
	struct raw_send *s = arena_zalloc(r->tmp, sizeof *s);
	struct sip_uri u;
	struct candidate list[DNS_CANDIDATES];
	struct resolve_job *job;
	const struct sip_msg *m = &r->msg->sip;

	if (!s || !sip_uri_parse(hop_uri(r, a[0].s), &u))
		return SCRIPT_FALSE;
	*s = (struct raw_send){ r, m->bytes };
	if (a[1].given && a[1].s.n) {
		const struct view parts[] = { m->start_line, a[1].s, view_from(m->bytes, m->start_line.n) };
		s->bytes = arena_join(r->tmp, parts, COUNT_OF(parts));
		if (!s->bytes.p)
			return SCRIPT_FALSE;
	}
	struct resolve_ask ask = { u.host, u.port, u.transport.n ? transport_parse(u.transport) : TR_UDP, u.scheme == SCHEME_SIPS, ~0u };
	int n = resolve(r->w->resolver, &ask, list, raw_resolved, s, &job);
	if (n == 0)
		return SCRIPT_WAIT;
	return yes(n > 0 && send_raw(r, &list[0], s->bytes));
}

/* ---- small helpers ---------------------------------------------------------------------------------------------------------------- */

static int f_pv_printf(struct run *r, const struct arg *a)
{
	const struct value v = value_str(a[1].s);

	return yes(lvalue_set(r, a[0].var, &v) > 0);
}

static int f_construct_uri(struct run *r, const struct arg *a)
{
	struct view user = a[1].given ? a[1].s : VIEW(""), port = a[3].given ? a[3].s : VIEW(""), params = a[4].given ? a[4].s : VIEW("");
	struct sip_uri check;
	const struct view parts[] = { a[0].s, VIEW(":"), user, user.n ? VIEW("@") : VIEW(""), a[2].s, port.n ? VIEW(":") : VIEW(""), port,
		params.n ? VIEW(";") : VIEW(""), params };
	const struct value v = value_str(arena_join(r->tmp, parts, COUNT_OF(parts)));

	return yes(v.s.p && sip_uri_parse(v.s, &check) && lvalue_set(r, a[5].var, &v) > 0);
}

static int f_get_timestamp(struct run *r, const struct arg *a)
{
	const struct value s = value_int(r->tmp, (int32_t)(r->w->loop->unix_ms / 1000)), us = value_int(r->tmp, (int32_t)(r->w->loop->unix_ms % 1000 * 1000));

	return yes(lvalue_set(r, a[0].var, &s) > 0 && lvalue_set(r, a[1].var, &us) > 0);
}

enum { REQ = ROUTE_REQUEST | ROUTE_FAILURE | ROUTE_BRANCH | ROUTE_LOCAL, STR = ARG_STR, INT = ARG_INT, VAR = ARG_VAR, OPT = ARG_OPT };
const struct script_func core_funcs[] = {
	{ "setflag", setflag, { ARG_FLAGNAME }, ROUTE_ANY, "set a message flag" },
	{ "resetflag", resetflag, { ARG_FLAGNAME }, ROUTE_ANY, "clear a message flag" },
	{ "isflagset", isflagset, { ARG_FLAGNAME }, ROUTE_ANY, "true when the message flag is set" },
	{ "setbflag", setbflag, { ARG_BFLAGNAME, INT | OPT }, ROUTE_ANY, "set a flag of a branch" },
	{ "resetbflag", resetbflag, { ARG_BFLAGNAME, INT | OPT }, ROUTE_ANY, "clear a flag of a branch" },
	{ "isbflagset", isbflagset, { ARG_BFLAGNAME, INT | OPT }, ROUTE_ANY, "true when the branch flag is set" },
	{ "seturi", f_seturi, { STR }, ROUTE_ANY, "replace the request URI" },
	{ "setuser", f_setuser, { STR }, ROUTE_ANY, "replace the user of the request URI" },
	{ "setuserpass", f_setuserpass, { STR }, ROUTE_ANY, "replace user:password of the request URI" },
	{ "sethost", f_sethost, { STR }, ROUTE_ANY, "replace the host of the request URI" },
	{ "sethostport", f_sethostport, { STR }, ROUTE_ANY, "replace host:port of the request URI" },
	{ "setport", f_setport, { STR }, ROUTE_ANY, "replace the port of the request URI" },
	{ "prefix", f_prefix, { STR }, ROUTE_ANY, "put a text before the user of the request URI" },
	{ "strip", f_strip, { INT }, ROUTE_ANY, "take characters off the user's front" },
	{ "strip_tail", f_strip_tail, { INT }, ROUTE_ANY, "take characters off the user's end" },
	{ "revert_uri", f_revert_uri, { ARG_NONE }, ROUTE_ANY, "the request URI as received" },
	{ "setdsturi", f_setdsturi, { STR }, ROUTE_ANY, "set the destination URI" },
	{ "resetdsturi", f_resetdsturi, { ARG_NONE }, ROUTE_ANY, "clear the destination URI" },
	{ "isdsturiset", f_isdsturiset, { ARG_NONE }, ROUTE_ANY, "true when a destination URI is set" },
	{ "append_msg_branch", f_append_msg_branch, { STR | OPT, STR | OPT, STR | OPT }, REQ, "add a branch: URI, q, \"inherite\"" },
	{ "append_branch", f_append_branch, { STR | OPT, STR | OPT }, REQ, "3.x: add a branch, or move the current one to the set" },
	{ "append_branch_old", f_append_branch, { STR | OPT, STR | OPT }, REQ, "3.x: add a branch, or move the current one to the set" },
	{ "remove_msg_branch", f_remove_msg_branch, { INT }, REQ, "remove an added branch" },
	{ "remove_branch", f_remove_msg_branch, { INT }, REQ, "3.x: remove an added branch" },
	{ "move_msg_branch", f_move_msg_branch, { INT | OPT, INT | OPT, STR | OPT }, REQ, "copy or move a branch over another" },
	{ "move_branch", f_move_msg_branch, { INT | OPT, INT | OPT, STR | OPT }, REQ, "3.x: copy or move a branch over another" },
	{ "swap_msg_branches", f_swap_msg_branches, { INT | OPT, INT | OPT }, REQ, "exchange two branches" },
	{ "swap_branches", f_swap_msg_branches, { INT | OPT, INT | OPT }, REQ, "3.x: exchange two branches" },
	{ "serialize_branches", f_serialize_branches, { INT, INT | OPT }, REQ, "put all branches aside for serial forking by q" },
	{ "next_branches", f_next_branches, { ARG_NONE }, REQ, "take the next branches: 1 more left, 2 the last" },
	{ "force_rport", f_force_rport, { ARG_NONE }, ROUTE_ANY, "answer to the source port (RFC 3581)" },
	{ "add_local_rport", f_add_local_rport, { ARG_NONE }, ROUTE_ANY, "ask for rport in our own Via" },
	{ "force_tcp_alias", f_force_tcp_alias, { INT | OPT }, ROUTE_ANY, "accepted: an open connection is found by its peer's address, not by an alias" },
	{ "set_via_handling", f_set_via_handling, { ARG_FLAGS }, ROUTE_ANY, "several Via rules at once", via_words },
	{ "force_send_socket", f_force_send_socket, { STR }, REQ, "send from this socket" },
	{ "set_advertised_address", f_set_advertised_address, { STR }, ROUTE_ANY, "host to write into Via for this message" },
	{ "set_advertised_port", f_set_advertised_port, { STR }, ROUTE_ANY, "port to write into Via for this message" },
	{ "is_myself", f_is_myself, { STR, INT | OPT }, ROUTE_ANY, "true when host (and port) are ours" },
	{ "tcp_close_conn", f_tcp_close_conn, { STR }, ROUTE_ANY, "close a connection by peer address" },
	{ "forward", f_forward, { STR | OPT }, ROUTE_REQUEST | ROUTE_FAILURE, "relay without a transaction" },
	{ "send", f_send, { STR, STR | OPT }, ROUTE_ANY, "send the message as it came to another destination" },
	{ "pv_printf", f_pv_printf, { VAR, STR }, ROUTE_ANY, "write an expanded text into a variable" },
	{ "construct_uri", f_construct_uri, { STR, STR | OPT, STR, STR | OPT, STR | OPT, VAR }, ROUTE_ANY, "put a URI together" },
	{ "get_timestamp", f_get_timestamp, { VAR, VAR }, ROUTE_ANY, "seconds and microseconds into two variables" },
	{ NULL },
};
