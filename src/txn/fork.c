/* txn/fork.c -- many branches, one answer: RFC 3261 16.7, with the ranks of OpenSIPS. */
#include "txn/priv.h"

uint16_t reply_rank(uint16_t status, bool cancelled)
{
	static const struct { uint16_t status, rank; } special[] = { { 401, 500 }, { 407, 501 }, { 415, 502 }, { 420, 503 }, { 484, 504 }, { 408, 800 }, { 503, 801 } };

	if (status == 487 && cancelled)
		return 0;
	for (size_t i = 0; i < COUNT_OF(special); i++)
		if (special[i].status == status)
			return special[i].rank;
	if (status >= 600)
		return (uint16_t)(status - 300);
	return (uint16_t)(status < 400 ? status + 100 : status + 200);
}

/* The code with which a received reply goes on: the script may have changed it. */
static uint16_t code_of(const struct msg *reply)
{
	return reply->new_status ? reply->new_status : reply->sip.status;
}

static bool relay(struct txn *t, struct msg *reply, uint16_t status)
{
	const struct txn_user *user = txns_of(t)->user;
	struct laid            laid;
	uint16_t               code = status ? status : code_of(reply);

	if (!layout_reply(reply, status, VIEW_NONE, reply->arena, &laid) || !server_reply(t, code, &laid)) {
		count(t->w, COREC_drop_replies);
		return false;
	}
	txn_count(t, TXNC_relayed_replies);
	if (user->replied)
		user->replied(t, code, reply);
	return true;
}

void txn_relay_late(struct txn *t, struct msg *reply)
{
	struct laid   laid;
	struct target to;

	/* What was sent before is what the script made of it; on a stream it cannot have been lost. */
	if (view_is(reply->sip.to_tag, t->remains->to_tag)) {
		server_again(t);
		return;
	}
	/* Somebody else behind the same branch answers, too: the caller has to end that call (16.7 step 5). */
	if (!layout_reply(reply, 0, VIEW_NONE, reply->arena, &laid))
		return;
	server_home(t, &to);
	net_send(t->w->net, &to, laid.iov, laid.n, NO_REF);
	txn_count(t, TXNC_relayed_replies);
}

static void cancel_others(struct txn *t, const struct branch *but)
{
	for (uint16_t i = 0; i < t->nbranches; i++)
		if (t->branch[i] != but && !t->branch[i]->silent)
			branch_cancel(t->branch[i]);
}

static void accepted(struct branch *b, struct msg *reply)
{
	struct txn *t = b->t;
	bool        first = t->server.status < 200;

	b->phase = BRANCH_DONE;
	b->status = reply->sip.status;
	/* Each 2xx to an INVITE goes up, also a second one (16.7 step 5); of other methods only the first final. */
	if (!t->invite && !first)
		return;
	if (!relay(t, reply, 0))
		return;
	t->ok_tag = arena_copy(t->arena, reply->sip.to_tag);
	t->local_final = false;
	if (!t->keep_others)
		cancel_others(t, b);
}

void txn_reply_go(struct branch *b, struct msg *reply, bool pass)
{
	struct txn *t = b->t;
	uint16_t    status = reply->sip.status;

	if (status < 200) {
		if (pass && b->phase == BRANCH_SENT && t->server.status < 200)
			relay(t, reply, 0);
	} else if (status < 300) {
		accepted(b, reply);
	} else if (b->phase == BRANCH_SENT && !(status == 503 && branch_next(b))) {
		b->final = msg_ref(reply);
		branch_done(b, status < 300 ? status : code_of(reply));
	}
	msg_unref(reply);
	txn_release(t);
}

/* ---- the winner ------------------------------------------------------------------------------------------------------------------- */

static struct branch *best(const struct txn *t, bool never_sent)
{
	struct branch *win = NULL;

	for (uint16_t i = t->first; i < t->nbranches; i++) {
		struct branch *b = t->branch[i];
		if (b->silent || b->phase != BRANCH_DONE || b->never_sent != never_sent || b->status < 300)
			continue;
		if (!win || reply_rank(b->status, t->cancelled) < reply_rank(win->status, t->cancelled))
			win = b;
	}
	return win;
}

void txn_decide(struct txn *t)
{
	const struct txn_user *user = txns_of(t)->user;
	bool                   any = false, pending = false, minor = false, six = false;

	if (t->launching || t->deciding || t->server.status >= 200)
		return;
	for (uint16_t i = t->first; i < t->nbranches; i++) {
		const struct branch *b = t->branch[i];
		bool                 counts = !b->silent && !(b->route.bflags & t->conf->minor_bflags);
		any |= counts;
		pending |= counts && b->phase != BRANCH_DONE;
		minor |= !counts && !b->silent && b->phase != BRANCH_DONE;
		six |= !b->silent && b->status >= 600;
	}
	if (six && t->conf->block_6xx) {
		/* Nobody else needs to be asked (16.7 step 5); finals that still come are only acknowledged. */
		t->blocked = true;
		cancel_others(t, NULL);
	} else if (pending || (!any && minor)) {
		return;
	}
	t->winner = best(t, false);
	if (!t->winner)
		t->winner = best(t, true);
	if (!t->winner)
		return;
	t->first = t->nbranches;
	t->deciding = true;
	txn_hold(t);
	if (user->failure)
		user->failure(t);
	else
		txn_failure_go(t);
}

static void answer_winner(struct txn *t)
{
	struct branch *b = t->winner;
	bool           sent;

	if (b->final) {
		/* A 503 is about this hop only (16.7 step 6, 21.5.4). */
		uint16_t status = b->status == 503 && !t->conf->keep_503 ? 500 : 0;
		sent = relay(t, b->final, status);
		t->local_final = false;
	} else {
		struct own_reply r = { .status = b->status };
		if (b->status == 477)
			r.reason = VIEW("Send failed (477/TM)");
		if (b->status == 503)
			r.extra = txn_retry_after();
		sent = txn_reply(t, &r);
	}
	/* Minor branches may still be ringing. */
	cancel_others(t, NULL);
	/* Not even that fits: the caller's own timer has to end it. */
	if (!sent && t->server.status < 200)
		server_stop(t);
}

void txn_failure_go(struct txn *t)
{
	must(t->deciding);
	t->deciding = false;
	if (t->server.status >= 200) {
		/* The user answered it. */
	} else if (t->launching || (t->nbranches > t->first && t->sent > 0)) {
		txn_decide(t);
	} else {
		t->first = t->nbranches;
		answer_winner(t);
	}
	txn_release(t);
}

/* Every branch of this txn_relay() is sent or has failed. */
void txn_launched(struct txn *t)
{
	const struct txn_user *user = txns_of(t)->user;

	if (!t->reported) {
		t->reported = true;
		if (user->relayed) {
			txn_hold(t);
			user->relayed(t);
			txn_release(t);
		}
	}
	if (t->sent > 0)
		txn_decide(t);
	else if (!t->deciding && t->server.status < 200)
		loop_after(t->w->loop, &t->reap, t->conf->linger);
}

/* ---- our own words -------------------------------------------------------------------------------------------------------------------- */

static struct view own_tag(struct txn *t)
{
	if (!t->tag_n) {
		struct out o = out_to(t->tag, sizeof t->tag);
		uint64_t   r = t->w->rand64(t->w->rand_arg);
		put(&o, VIEW("vt"));
		put_hex(&o, &r, sizeof r);
		t->tag_n = (uint8_t)o.n;
	}
	return view_of(t->tag, t->tag_n);
}

bool txn_reply(struct txn *t, const struct own_reply *r)
{
	const struct txn_user *user = txns_of(t)->user;
	struct own_reply       own = *r;
	struct laid            laid;
	bool                   sent = false;

	if (t->server.status >= 200)
		return false;
	if (!own.to_tag.n && own.status > 100)
		own.to_tag = own_tag(t);
	txn_hold(t);
	if (layout_own_reply(t->request, &own, t->arena, &laid) && server_reply(t, own.status, &laid)) {
		sent = true;
		txn_count(t, TXNC_local_replies);
		if (own.status >= 200) {
			t->local_final = true;
			timer_clear(&t->w->loop->wheel, &t->reap);
			cancel_others(t, NULL);
		}
		if (user->replied)
			user->replied(t, own.status, NULL);
	}
	txn_release(t);
	return sent;
}

void txn_cancel(struct txn *t)
{
	if (!t->invite || t->cancelled || t->server.status >= 200)
		return;
	txn_hold(t);
	t->cancelled = true;
	cancel_others(t, NULL);
	if (!t->nbranches)
		txn_reply(t, &(struct own_reply){ .status = 487 });
	else
		txn_decide(t);
	txn_release(t);
}
