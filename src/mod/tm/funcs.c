/* mod/tm/funcs.c -- the script's functions (opensips-modules.md 6). */
#include "mod/sipmsgops/api.h"
#include "mod/tm/priv.h"

/* ---- t_relay ------------------------------------------------------------------------------------------------------------------ */

/* Codes of t_relay(), and what the caller is told when nothing could be sent (text + "(code/TM)"). */
static const struct { int8_t rc; uint16_t status; const char *reason; } relay_fail[] = {
	[BRANCH_FINE]         = { -3, 500, "No destination available (500/TM)" },
	[BRANCH_DROPPED]      = { -1, 500, "No destination available (500/TM)" },
	[BRANCH_BAD_URI]      = { -2, 475, "Bad URI (475/TM)" },
	[BRANCH_UNRESOLVABLE] = { -4, 476, "Unresolvable destination (476/TM)" },
	[BRANCH_NO_SOCKET]    = { -6, 477, "Send failed (477/TM)" },
	[BRANCH_SEND_FAILED]  = { -6, 477, "Send failed (477/TM)" },
	[BRANCH_CANCELLED]    = { -3, 487, "Request Terminated" },
	[BRANCH_NO_MEMORY]    = { -1, 500, "Server error occurred (500/TM)" },
	[BRANCH_LOOP]         = { -1, 482, "Loop Detected" },
	[BRANCH_OVERLOADED]   = { -6, 503, "Service Unavailable" },
	[BRANCH_TOO_LARGE]    = { -6, 513, "Message Too Large" },
};

int tm_relay_result(struct run *r, struct txn *t)
{
	const struct tm_note *n = t->user;

	if (t->sent > 0)
		return SCRIPT_TRUE;
	if (r->type == ROUTE_REQUEST && n->created && !(n->flags & TM_NO_AUTO_477)) {
		uint16_t status = t->cancelled ? 487 : relay_fail[t->why].status;
		txn_reply(t, &(struct own_reply){ .status = status, .reason = t->cancelled ? VIEW_NONE : view_str(relay_fail[t->why].reason),
			.extra = status == 503 ? txn_retry_after() : VIEW_NONE });
		return SCRIPT_STOP;
	}
	return relay_fail[t->why].rc;
}

/* Edits of a failure route go to several branches, each of which may add its own. */
static bool edits_copy(const struct edits *from, struct arena *a, struct edits *to)
{
	struct edit **at = &to->first;

	*to = *from;
	for (const struct edit *e = from->first; e; e = e->next) {
		*at = arena_alloc(a, sizeof **at);
		if (!*at)
			return false;
		**at = *e;
		at = &(*at)->next;
	}
	*at = NULL;

	struct late **last = &to->late;

	for (const struct late *x = from->late; x; x = x->next) {
		*last = arena_alloc(a, sizeof **last);
		if (!*last)
			return false;
		**last = *x;
		last = &(*last)->next;
	}
	*last = NULL;
	return true;
}

static bool relay_branch(struct run *r, struct txn *t, const struct msg_route *route, struct view proxy)
{
	struct msg_route to = *route;
	struct edits     own = { 0 };
	struct branch   *b;

	if (!to.duri.n)
		to.duri = proxy;
	if (r->edits && r->edits != &t->request->edits && !edits_copy(r->edits, t->arena, &own))
		return false;
	b = txn_add_branch(t, &to, &own);
	if (!b)
		return false;
	if (((struct tm_note *)t->user)->flags & TM_NO_DNS_FAILOVER)
		b->first_only = true;
	return true;
}

/* "[proto:]host[:port]" as a URI; VIEW_NONE when it is none. */
static struct view proxy_uri(struct run *r, struct view text)
{
	struct view    rest = text, head = view_cut(&rest, ':');
	enum transport t = transport_parse(head);
	struct view    uri;
	struct sip_uri check;

	if (view_starts_ci(text, VIEW("sip:")) || view_starts_ci(text, VIEW("sips:")))
		uri = arena_copy(r->tmp, text);
	else if (t != TR_NONE && rest.n)
		uri = arena_fmt(r->tmp, "sip:" VIEW_FMT ";transport=" VIEW_FMT, VIEW_ARG(rest), VIEW_ARG(transport_name(t)));
	else
		uri = arena_fmt(r->tmp, "sip:" VIEW_FMT, VIEW_ARG(text));
	return sip_uri_parse(uri, &check) ? uri : VIEW_NONE;
}

static bool no_cancel_asked(const struct msg *m)
{
	for (const struct sip_hdr *h = sip_first(&m->sip, HDR_REQUEST_DISPOSITION); h; h = sip_next(&m->sip, h)) {
		struct view rest = h->value, item;
		while (sip_list_next(&rest, &item))
			if (view_is_ci(item, VIEW("no-cancel")))
				return true;
	}
	return false;
}

static int relay_ack(struct run *r, struct view proxy)
{
	struct txn      *t;
	struct msg_route to = *r->route;

	if (txn_match(r->w, r->msg, &t) == TXN_HOP_ACK)
		return SCRIPT_TRUE;
	if (!to.duri.n)
		to.duri = proxy;
	return forward_request(r->msg, &to) == SEND_OK ? SCRIPT_TRUE : -6;
}

/* The Reason of a CANCEL that goes on with ours, and what t_add_cancel_reason() added. */
static void cancel_reason(struct run *r, struct txn *invite, uint32_t flags)
{
	const struct tm_note *own = tm_note(r->msg);
	struct view           text = own ? own->cancel_reason : VIEW_NONE;

	if (flags & TM_PASS_REASON) {
		for (const struct sip_hdr *h = sip_first(&r->msg->sip, HDR_REASON); h; h = sip_next(&r->msg->sip, h)) {
			const struct view parts[] = { text, h->line };
			text = arena_join(invite->arena, parts, COUNT_OF(parts));
		}
	} else if (text.n) {
		text = arena_copy(invite->arena, text);
	}
	invite->cancel_extra = text;
}

static int relay_cancel(struct run *r, struct txn *invite, uint32_t flags)
{
	bool        absorbed;
	struct txn *t = tm_txn(r);

	if (!t)
		t = tm_create(r, &absorbed);
	else
		absorbed = false;
	if (!t)
		return absorbed ? SCRIPT_STOP : SCRIPT_FALSE;
	txn_reply(t, &(struct own_reply){ .status = 200, .reason = VIEW("canceling") });
	if (invite->server.status < 200) {
		cancel_reason(r, invite, flags);
		txn_cancel(invite);
	}
	return SCRIPT_TRUE;
}

static int relay(struct run *r, struct txn *t, struct view proxy)
{
	struct tm_note *n = t->user;
	struct msg     *m = t->request;
	bool            failure = r->type == ROUTE_FAILURE, any = false;

	/* A run that went on beside one that waits for its own t_relay(). */
	if (t->launching)
		return SCRIPT_FALSE;
	/* In a failure route the branches added there go out; its R-URI only when none was added. */
	if (!failure || m->nmore == 0)
		any = relay_branch(r, t, r->route, proxy);
	for (int i = 0; i < m->nmore; i++)
		any |= relay_branch(r, t, &m->more[i], proxy);
	m->nmore = 0;
	if (!any) {
		t->sent = 0;
		t->why = t->cancelled ? BRANCH_CANCELLED : BRANCH_FINE;
		return tm_relay_result(r, t);
	}
	if (!failure) {
		/* What the script edits from here on reaches nobody. */
		struct edits *lost = arena_zalloc(r->tmp, sizeof *lost);
		if (!lost)
			return SCRIPT_FALSE;
		r->edits = lost;
	}
	n->waiting = r;
	if (!txn_relay(t))
		return SCRIPT_WAIT;
	n->waiting = NULL;
	return tm_relay_result(r, t);
}

static int f_t_relay(struct run *r, const struct arg *a)
{
	struct msg     *m = r->msg;
	uint32_t        flags = a[0].given ? (uint32_t)a[0].i : 0;
	struct view     proxy = a[1].given && a[1].s.n ? proxy_uri(r, a[1].s) : VIEW_NONE;
	struct txn     *t = tm_txn(r), *invite;
	struct tm_note *n = tm_note(m);
	bool            created = false, absorbed;

	if (!n || !r->route || (a[1].given && a[1].s.n && !proxy.n))
		return -2;
	if (m->sip.method_id == SIP_ACK)
		return relay_ack(r, proxy);
	if (m->sip.method_id == SIP_CANCEL && r->type == ROUTE_REQUEST && (invite = txn_invite_of(r->w, m)))
		return relay_cancel(r, invite, flags);
	if (!t) {
		t = tm_create(r, &absorbed);
		if (!t)
			return absorbed ? SCRIPT_STOP : SCRIPT_FALSE;
		created = true;
	}
	n->created = created;
	n->flags = flags;
	t->keep_others = (flags & TM_ALLOW_NO_CANCEL) && no_cancel_asked(m);
	return relay(r, t, proxy);
}

/* ---- transactions and replies --------------------------------------------------------------------------------------------------- */

static int f_t_newtran(struct run *r, const struct arg *a)
{
	bool absorbed;

	if (tm_txn(r) || r->msg->sip.method_id == SIP_ACK)
		return SCRIPT_FALSE;
	if (tm_create(r, &absorbed))
		return SCRIPT_TRUE;
	return absorbed ? SCRIPT_STOP : SCRIPT_FALSE;
}

static bool status_fits(int64_t code)
{
	return code >= 100 && code <= 699;
}

static int reply(struct run *r, const struct own_reply *own)
{
	struct txn *t = tm_txn(r);
	bool        absorbed;

	if (r->msg->sip.method_id == SIP_ACK)
		return SCRIPT_STOP;
	if (!t) {
		t = tm_create(r, &absorbed);
		if (!t)
			return absorbed ? SCRIPT_STOP : SCRIPT_FALSE;
	}
	return txn_reply(t, own) ? SCRIPT_TRUE : SCRIPT_FALSE;
}

static int f_t_reply(struct run *r, const struct arg *a)
{
	if (!status_fits(a[0].i))
		return SCRIPT_FALSE;
	return reply(r, &(struct own_reply){ .status = (uint16_t)a[0].i, .reason = a[1].s });
}

static int f_t_reply_with_body(struct run *r, const struct arg *a)
{
	if (!status_fits(a[0].i))
		return SCRIPT_FALSE;
	return reply(r, &(struct own_reply){ .status = (uint16_t)a[0].i, .reason = a[1].s, .content_type = VIEW("application/sdp"), .body = a[2].s });
}

static int f_t_check_trans(struct run *r, const struct arg *a)
{
	struct txn *t;

	if (tm_txn(r))
		return SCRIPT_TRUE;
	if (r->msg->sip.method_id == SIP_CANCEL)
		return txn_invite_of(r->w, r->msg) ? SCRIPT_TRUE : SCRIPT_FALSE;
	switch (txn_match(r->w, r->msg, &t)) {
	case TXN_RETRANSMISSION: return SCRIPT_STOP;
	case TXN_HOP_ACK:        return SCRIPT_TRUE;
	case TXN_END_ACK:        return -2;
	case TXN_NONE:           break;
	}
	return SCRIPT_FALSE;
}

static int f_t_was_cancelled(struct run *r, const struct arg *a)
{
	const struct txn *t = tm_txn(r);

	return t && t->cancelled ? SCRIPT_TRUE : SCRIPT_FALSE;
}

static int f_t_local_replied(struct run *r, const struct arg *a)
{
	const struct txn *t = tm_txn(r);

	if (!t)
		return SCRIPT_FALSE;
	if (view_is_ci(a[0].s, VIEW("all"))) {
		for (uint16_t i = 0; i < t->nbranches; i++)
			if (t->branch[i]->last_status)
				return SCRIPT_FALSE;
		return SCRIPT_TRUE;
	}
	if (r->type == ROUTE_FAILURE)
		return t->winner && !t->winner->final ? SCRIPT_TRUE : SCRIPT_FALSE;
	return t->local_final ? SCRIPT_TRUE : SCRIPT_FALSE;
}

static bool check_replied(struct script_load *l, const struct arg *a, struct out *err)
{
	if (!a[0].given || view_is_ci(a[0].s, VIEW("all")) || view_is_ci(a[0].s, VIEW("last")))
		return true;
	put(err, VIEW("the argument is \"all\" or \"last\""));
	return false;
}

uint16_t tm_reply_code(const struct run *r)
{
	const struct txn *t = tm_txn(r);

	if (r->type == ROUTE_ONREPLY)
		return r->msg->sip.status;
	if (!t)
		return 0;
	if ((r->type == ROUTE_FAILURE || r->type == ROUTE_BRANCH) && t->winner)
		return t->winner->status;
	return t->server.status;
}

static int f_t_check_status(struct run *r, const struct arg *a)
{
	char       text[8];
	struct out o = out_to(text, sizeof text);
	size_t     groups[1][2];

	put_u64(&o, tm_reply_code(r));
	return a[0].re && regex_match(a[0].re, out_view(&o), 0, groups, 1) > 0 ? SCRIPT_TRUE : SCRIPT_FALSE;
}

static int f_t_cancel_branch(struct run *r, const struct arg *a)
{
	struct txn *t = tm_txn(r);
	bool        all = a[0].given && view_find(a[0].s, 'a') < a[0].s.n, others = a[0].given && view_find(a[0].s, 'o') < a[0].s.n;

	if (!t || r->branch < 0 || r->branch >= t->nbranches)
		return SCRIPT_FALSE;
	for (uint16_t i = 0; i < t->nbranches; i++)
		if (all || (others ? i != r->branch : i == r->branch))
			branch_cancel(t->branch[i]);
	return SCRIPT_TRUE;
}

/* A copy for somebody: sent like a branch, but nobody waits for it and its replies go nowhere. */
static int f_t_replicate(struct run *r, const struct arg *a)
{
	struct txn      *t = tm_txn(r);
	struct msg_route to = *r->route;
	struct branch   *b;
	bool             absorbed;

	if (r->msg->sip.method_id == SIP_ACK || r->msg->sip.method_id == SIP_CANCEL)
		return SCRIPT_FALSE;
	if (!t) {
		t = tm_create(r, &absorbed);
		if (!t)
			return absorbed ? SCRIPT_STOP : SCRIPT_FALSE;
	}
	to.duri = arena_copy(r->tmp, a[0].s);
	to.path = VIEW_NONE;
	b = to.duri.p ? txn_add_branch(t, &to, NULL) : NULL;
	if (!b)
		return SCRIPT_FALSE;
	/* Whatever becomes of it, the script goes on. */
	branch_send_copy(b);
	return SCRIPT_TRUE;
}

/* ---- arming ------------------------------------------------------------------------------------------------------------------------ */

static int arm(struct run *r, int64_t number, size_t field)
{
	struct tm_note *n = tm_note_of(r);

	if (!n || number < 0)
		return SCRIPT_FALSE;
	*(int *)((char *)n + field) = (int)number;
	return SCRIPT_TRUE;
}

static int f_t_on_failure(struct run *r, const struct arg *a) { return arm(r, a[0].i, offsetof(struct tm_note, on_failure)); }
static int f_t_on_branch(struct run *r, const struct arg *a)  { return arm(r, a[0].i, offsetof(struct tm_note, on_branch)); }

static int f_t_on_reply(struct run *r, const struct arg *a)
{
	struct txn *t = tm_txn(r);

	if (r->type != ROUTE_BRANCH)
		return arm(r, a[0].i, offsetof(struct tm_note, on_reply));
	if (!t || r->branch < 0 || a[0].i < 0)
		return SCRIPT_FALSE;

	struct tm_branch *own = t->branch[r->branch]->user;

	own->on_reply = (int)a[0].i;
	return SCRIPT_TRUE;
}

/* Header lines of the script are whole lines, or they would run into the next header. */
static int f_t_add_hdrs(struct run *r, const struct arg *a)
{
	struct tm_note *n = tm_note_of(r);
	struct txn     *t = tm_txn(r);
	struct view     lines = n ? header_lines(r->tmp, a[0].s) : VIEW_NONE;

	if (!lines.p)
		return SCRIPT_FALSE;
	n->hdrs = lines;
	if (t)
		t->extra = lines;
	return SCRIPT_TRUE;
}

static int f_t_add_cancel_reason(struct run *r, const struct arg *a)
{
	struct tm_note *n = tm_note_of(r);
	struct view     lines = n && r->msg->sip.method_id == SIP_CANCEL ? header_lines(r->tmp, a[0].s) : VIEW_NONE;

	if (!lines.p)
		return SCRIPT_FALSE;
	n->cancel_reason = lines;
	return SCRIPT_TRUE;
}

/* Flags live with the request itself, which is the transaction's: there is nothing to copy. */
static int f_t_flush_flags(struct run *r, const struct arg *a)
{
	return tm_txn(r) ? SCRIPT_TRUE : SCRIPT_FALSE;
}

#define Q ROUTE_REQUEST
#define F ROUTE_FAILURE
#define R ROUTE_ONREPLY
#define B ROUTE_BRANCH
#define L ROUTE_LOCAL
static const struct flag_word relay_words[] = { { "no-auto-477", TM_NO_AUTO_477 }, { "no-dns-failover", TM_NO_DNS_FAILOVER },
	{ "pass-reason-hdr", TM_PASS_REASON }, { "allow-no-cancel", TM_ALLOW_NO_CANCEL }, { "0x02", TM_NO_AUTO_477 }, { "0x04", TM_NO_DNS_FAILOVER },
	{ "0x08", TM_PASS_REASON }, { "0x10", TM_ALLOW_NO_CANCEL }, { NULL } };
const struct script_func tm_funcs[] = {
	{ "t_relay", f_t_relay, { ARG_FLAGS | ARG_OPT, ARG_STR | ARG_OPT }, Q | F, "send the request to its destinations with a transaction", relay_words },
	{ "t_replicate", f_t_replicate, { ARG_STR, ARG_FLAGS | ARG_OPT }, Q | F, "send a copy somewhere, ignoring what comes back", relay_words },
	{ "t_newtran", f_t_newtran, { ARG_NONE }, Q, "make the request's transaction" },
	{ "t_reply", f_t_reply, { ARG_INT, ARG_STR }, Q | F, "answer with a transaction" },
	{ "t_reply_with_body", f_t_reply_with_body, { ARG_INT, ARG_STR, ARG_STR }, Q | F, "answer with a transaction and a session description" },
	{ "t_check_trans", f_t_check_trans, { ARG_NONE }, Q | B, "does the request belong to a transaction" },
	{ "t_check_status", f_t_check_status, { ARG_REGEX }, Q | F | R | B, "does the reply code match" },
	{ "t_was_cancelled", f_t_was_cancelled, { ARG_NONE }, Q | F | R | B, "has the caller cancelled" },
	{ "t_local_replied", f_t_local_replied, { ARG_STR }, Q | F | R | B, "was the reply (\"last\"), or were all, made here", NULL, check_replied },
	{ "t_cancel_branch", f_t_cancel_branch, { ARG_STR | ARG_OPT }, R, "cancel this branch, the others (\"o\") or all (\"a\")" },
	{ "t_on_failure", f_t_on_failure, { ARG_ROUTE_FAILURE }, Q | F | R | B | L, "failure_route to run when all branches failed" },
	{ "t_on_reply", f_t_on_reply, { ARG_ROUTE_ONREPLY }, Q | F | R | B | L, "onreply_route for replies of the transaction or branch" },
	{ "t_on_branch", f_t_on_branch, { ARG_ROUTE_BRANCH }, Q | F | R | B, "branch_route to run before each branch is sent" },
	{ "t_add_hdrs", f_t_add_hdrs, { ARG_STR }, Q, "header lines for every request of the transaction" },
	{ "t_add_cancel_reason", f_t_add_cancel_reason, { ARG_STR }, Q, "Reason header lines for the CANCELs that follow from this one" },
	{ "t_flush_flags", f_t_flush_flags, { ARG_NONE }, Q | B, "flags set so far reach the transaction" },
	{ NULL },
};
