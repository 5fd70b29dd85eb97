/* txn/branch.c -- one way on which a request is forwarded: from the user's word over DNS to the wire, and on to the next address. */
#include "txn/priv.h"

const char *branch_fail_text(enum branch_fail f)
{
	static const char *const text[] = { [BRANCH_FINE] = "sent", [BRANCH_DROPPED] = "dropped by the script", [BRANCH_BAD_URI] = "bad URI",
		[BRANCH_UNRESOLVABLE] = "unresolvable destination", [BRANCH_NO_SOCKET] = "no socket for the destination", [BRANCH_SEND_FAILED] = "send failed",
		[BRANCH_CANCELLED] = "cancelled", [BRANCH_NO_MEMORY] = "out of memory bound", [BRANCH_LOOP] = "loop", [BRANCH_OVERLOADED] = "the peer does not read", [BRANCH_TOO_LARGE] = "too large for a datagram" };

	must(f <= BRANCH_TOO_LARGE);

	return text[f];
}

static bool branches_room(struct txn *t)
{
	if (t->nbranches < t->room)
		return true;
	if (t->nbranches >= TXN_BRANCHES)
		return false;

	uint16_t        room = (uint16_t)(t->room * 2);
	struct branch **list = arena_alloc(t->arena, room * sizeof(struct branch *));

	if (!list)
		return false;
	for (uint16_t i = 0; i < t->nbranches; i++)
		list[i] = t->branch[i];
	t->branch = list;
	t->room = room;
	return true;
}

struct branch *txn_add_branch(struct txn *t, const struct msg_route *r, const struct edits *edits)
{
	if (t->blocked || t->cancelled || t->server.status >= 200 || !branches_room(t))
		return NULL;

	struct branch *b = t->nbranches ? arena_zalloc(t->arena, sizeof *b) : &t->one;

	if (!b)
		return NULL;
	b->t = t;
	b->index = t->nbranches;
	b->route = *r;
	if (edits)
		b->edits = *edits;
	b->first_only = !t->conf->failover;
	client_init(&b->client, b, t->invite, false);
	client_init(&b->cancel, b, false, true);
	t->branch[t->nbranches++] = b;
	return b;
}

void branch_target(const struct branch *b, struct target *out)
{
	const struct origin *peer = b->route.peer;
	bool                 flow = ref_set(b->route.flow);

	*out = (struct target){ .transport = b->transport, .from = b->from, .to = b->to, .flow = b->route.flow, .flow_only = flow,
		/* Towards a client there is never a PROXY header (design D5). */
		.downstream = flow || peer, .client = peer ? peer : b->t->client, .sni = b->sni };
}

/* ---- sending ------------------------------------------------------------------------------------------------------------------- */

static bool branch_layout(struct branch *b, struct laid *laid)
{
	struct txn *t = b->t;
	char        text[BRANCH_TEXT_MAX];

	return layout_request(t->request, &b->route, &b->edits, b->from, b->transport, branch_write(t->w->key, &b->client.cookie, text), t->arena, laid);
}

/* RFC 3261 18.1.1: what is too large for a datagram goes by TCP where we have it, and comes back to UDP when that fails. */
static bool branch_too_large(const struct branch *b, const struct laid *laid)
{
	const struct core_conf *c = b->t->w->conf;
	struct target           to;

	if (b->transport != TR_UDP || !c->mtu || b->udp_only)
		return false;
	branch_target(b, &to);
	return laid->bytes + net_header_bytes(&to) > c->mtu && net_pick_socket(&c->net, NULL, b->from, TR_TCP, &b->to);
}

static void branch_report(struct branch *b)
{
	if (b->transport != TR_UDP && !ref_set(b->self))
		b->self = slots_take(&txns_of(b->t)->branches, b);
}

static enum branch_fail branch_send(struct branch *b)
{
	struct txn    *t = b->t;
	struct client *c = &b->client;
	struct laid    laid;
	struct target  to;

	b->from = core_pick_socket(t->w->conf, &b->route, t->request->origin.socket, b->transport, &b->to);
	if (!b->from)
		return BRANCH_NO_SOCKET;
	if (!branch_layout(b, &laid))
		return BRANCH_NO_MEMORY;
	if (branch_too_large(b, &laid)) {
		b->transport = TR_TCP;
		b->from = core_pick_socket(t->w->conf, &b->route, t->request->origin.socket, b->transport, &b->to);
		if (!b->from || !branch_layout(b, &laid))
			return BRANCH_NO_SOCKET;
	}
	c->sent = VIEW_NONE;
	if (c->invite || !client_reliable(c)) {
		/* Retransmissions, ACK and CANCEL come from these bytes. */
		c->sent = laid_flat(&laid, t->arena);
		if (!c->sent.p)
			return BRANCH_NO_MEMORY;
		laid.iov[0] = (struct iovec){ (void *)c->sent.p, c->sent.n };
		laid.n = 1;
	}
	branch_target(b, &to);
	branch_report(b);

	enum send_result sent = net_send(t->w->net, &to, laid.iov, laid.n, b->self);

	return sent == SEND_OK ? BRANCH_FINE : sent == SEND_FULL ? BRANCH_OVERLOADED : sent == SEND_TOO_BIG ? BRANCH_TOO_LARGE : BRANCH_SEND_FAILED;
}

/* Send to the present address, or to the first one after it that takes it.  A new address is a new transaction (RFC 3263 4.3). */
static bool branch_try(struct branch *b)
{
	struct txn *t = b->t;

	for (; b->at < b->ncand; b->at++) {
		b->transport = b->list[b->at].transport;
		b->to = b->list[b->at].to;
		b->client.cookie = branch_new(t->w, b->client.cookie.loop);
		b->fail = (uint8_t)branch_send(b);
		if (b->fail == BRANCH_SEND_FAILED && b->transport == TR_TCP && b->list[b->at].transport == TR_UDP) {
			b->udp_only = true;
			b->transport = TR_UDP;
			b->fail = (uint8_t)branch_send(b);
		}
		if (b->fail == BRANCH_FINE) {
			b->phase = BRANCH_SENT;
			client_start(&b->client, true);
			txn_count(t, TXNC_UAC_transactions);
			return true;
		}
		if (b->first_only)
			break;
	}
	return false;
}

bool branch_next(struct branch *b)
{
	bool over_mtu = b->transport == TR_TCP && b->at < b->ncand && b->list[b->at].transport == TR_UDP && !b->udp_only;

	if (b->phase != BRANCH_SENT || b->cancel.state != CLIENT_IDLE || b->t->cancelled || b->t->server.status >= 200)
		return false;
	if (over_mtu)
		b->udp_only = true;
	else if (b->first_only || b->at + 1 >= b->ncand)
		return false;
	else
		b->at++;
	client_stop(&b->client);
	b->heard = false;
	return branch_try(b);
}

/* ---- launch ---------------------------------------------------------------------------------------------------------------------- */

/* The branch is sent, or will not be. */
static void branch_launched(struct branch *b, enum branch_fail fail)
{
	static const uint16_t status[] = { [BRANCH_DROPPED] = 477, [BRANCH_BAD_URI] = 475, [BRANCH_UNRESOLVABLE] = 476, [BRANCH_NO_SOCKET] = 477,
		[BRANCH_SEND_FAILED] = 477, [BRANCH_CANCELLED] = 487, [BRANCH_NO_MEMORY] = 500, [BRANCH_LOOP] = 482,
		[BRANCH_OVERLOADED] = 503, [BRANCH_TOO_LARGE] = 513 };
	struct txn *t = b->t;

	if (fail == BRANCH_FINE) {
		t->sent += !b->silent;
	} else {
		b->phase = BRANCH_DONE;
		b->fail = (uint8_t)fail;
		b->status = status[fail];
		b->never_sent = true;
		if (!b->silent)
			t->why = (uint8_t)fail;
	}
	if (b->silent)
		return;
	must(t->launching > 0);
	if (--t->launching == 0)
		txn_launched(t);
}

static void branch_found(struct branch *b, const struct candidate *list, size_t n)
{
	struct txn *t = b->t;

	b->job = NULL;
	if (n > DNS_CANDIDATES)
		n = DNS_CANDIDATES;
	if (b->first_only && n > 1)
		n = 1;
	b->list = arena_alloc(t->arena, n * sizeof *list);
	if (!b->list) {
		branch_launched(b, BRANCH_NO_MEMORY);
		return;
	}
	memcpy(b->list, list, n * sizeof *list);
	b->ncand = (uint8_t)n;
	branch_launched(b, branch_try(b) ? BRANCH_FINE : (enum branch_fail)b->fail);
}

static void branch_resolved(void *arg, const struct candidate *list, size_t n, const char *why)
{
	struct branch *b = arg;
	struct txn    *t = b->t;

	txn_hold(t);
	if (n == 0) {
		b->job = NULL;
		branch_launched(b, BRANCH_UNRESOLVABLE);
	} else {
		branch_found(b, list, n);
	}
	txn_release(t);
}

static void branch_start(struct branch *b)
{
	struct txn        *t = b->t;
	struct msg        *m = t->request;
	struct resolve_ask ask;
	struct sip_uri     uri;
	struct candidate   list[DNS_CANDIDATES];
	struct addr        ip;

	if (t->extra.n && !edit_append_header(m, &b->edits, t->extra)) {
		branch_launched(b, BRANCH_NO_MEMORY);
		return;
	}
	if (!next_hop(m, &b->route, &ask, &uri)) {
		branch_launched(b, BRANCH_BAD_URI);
		return;
	}
	if (msg_looped(t->w, m, &b->route)) {
		count(t->w, COREC_loops);
		branch_launched(b, BRANCH_LOOP);
		return;
	}
	b->client.cookie.loop = branch_loop_hash(t->w, m, &b->route);
	b->sni = addr_parse_ip(uri.host, &ip) ? VIEW_NONE : uri.host;
	if (ref_set(b->route.flow) && b->route.socket) {
		branch_found(b, &(struct candidate){ b->route.socket->transport, b->route.socket->at }, 1);
		return;
	}

	int n = resolve(t->w->resolver, &ask, list, branch_resolved, b, &b->job);

	if (n == 0)
		b->phase = BRANCH_RESOLVING;
	else if (n < 0)
		branch_launched(b, BRANCH_UNRESOLVABLE);
	else
		branch_found(b, list, (size_t)n);
}

void branch_go(struct branch *b, bool send)
{
	struct txn *t = b->t;

	must(b->phase == BRANCH_ASKING);
	if (!send)
		branch_launched(b, BRANCH_DROPPED);
	else if (t->cancelled || b->cancel_wanted || t->server.status >= 200)
		branch_launched(b, BRANCH_CANCELLED);
	else
		branch_start(b);
	txn_release(t);
}

void branch_send_copy(struct branch *b)
{
	must(b->phase == BRANCH_NEW);
	b->silent = true;
	b->phase = BRANCH_ASKING;
	txn_hold(b->t);
	branch_go(b, true);
}

bool txn_relay(struct txn *t)
{
	const struct txn_user *user = txns_of(t)->user;

	must(t->launching == 0);
	txn_hold(t);
	timer_clear(&t->w->loop->wheel, &t->reap);
	t->relayed = true;
	t->sent = 0;
	t->why = BRANCH_FINE;
	t->reported = true;                  /* by our own return value, unless something has to wait */
	t->launching = 1;
	for (uint16_t i = 0; i < t->nbranches; i++) {
		struct branch *b = t->branch[i];
		if (b->phase != BRANCH_NEW || b->silent)
			continue;
		b->phase = BRANCH_ASKING;
		t->launching++;
		txn_hold(t);
		if (user->branch)
			user->branch(b);
		else
			branch_go(b, true);
	}

	bool done = t->launching == 1;

	t->reported = done;
	if (--t->launching == 0)
		txn_launched(t);
	txn_release(t);
	return done;
}

/* ---- cancel --------------------------------------------------------------------------------------------------------------------------- */

void branch_send_cancel(struct branch *b)
{
	struct txn    *t = b->t;
	struct client *c = &b->cancel;
	struct view    extra = t->extra;
	struct laid    laid;

	if (t->cancel_extra.n && extra.n) {
		const struct view both[] = { extra, t->cancel_extra };
		extra = arena_join(t->arena, both, 2);
	} else if (t->cancel_extra.n) {
		extra = t->cancel_extra;
	}
	if (!layout_hop(b->client.sent, SIP_CANCEL, NULL, extra, t->arena, &laid))
		return;
	c->sent = laid_flat(&laid, t->arena);
	if (!c->sent.p)
		return;
	c->cookie = b->client.cookie;
	client_send(c, c->sent);
	client_start(c, true);
	/* No final within 64*T1: the INVITE counts as cancelled all the same (9.1). */
	if (b->client.state == CLIENT_PROCEEDING)
		loop_after(t->w->loop, &b->client.fate, 64ull * t->conf->t1);
}

void branch_cancel(struct branch *b)
{
	switch (b->phase) {
	case BRANCH_NEW:
		b->phase = BRANCH_DONE;
		b->status = 487;
		b->never_sent = true;
		break;
	case BRANCH_ASKING:
		b->cancel_wanted = true;
		break;
	case BRANCH_RESOLVING:
		resolve_cancel(b->job);
		b->job = NULL;
		branch_launched(b, BRANCH_CANCELLED);
		break;
	case BRANCH_SENT:
		if (!b->client.invite)
			break;
		b->cancel_wanted = true;
		if (b->client.state == CLIENT_PROCEEDING && b->cancel.state == CLIENT_IDLE)
			branch_send_cancel(b);
		break;
	default:
		break;
	}
}

/* ---- what comes back --------------------------------------------------------------------------------------------------------------------- */

void branch_heard(struct branch *b, struct msg *reply)
{
	struct txn            *t = b->t;
	const struct txn_user *user = txns_of(t)->user;

	b->heard = true;
	b->last_status = reply->sip.status;
	if (b->silent && reply->sip.status >= 200)
		b->phase = BRANCH_DONE;
	if (reply->sip.status == 100 || b->silent)
		return;
	if (!t->request) {
		txn_relay_late(t, reply);
		return;
	}
	txn_hold(t);
	msg_ref(reply);
	if (user->reply)
		user->reply(b, reply);
	else
		txn_reply_go(b, reply, true);
}

void branch_done(struct branch *b, uint16_t status)
{
	if (b->phase == BRANCH_DONE)
		return;
	b->phase = BRANCH_DONE;
	b->status = status;
	txn_decide(b->t);
}
