/* txn/txn.c -- a transaction from its making to its end. */
#include "txn/priv.h"

struct held { struct list node; struct msg *m; };

struct txn_conf txn_conf_rfc(void)
{
	return (struct txn_conf){ .t1 = TXN_T1_MS, .t2 = TXN_T2_MS, .t4 = TXN_T4_MS, .fr = 64 * TXN_T1_MS, .fr_inv = 180000, .linger = 64 * TXN_T1_MS,
		.max = TXN_MAX, .restart_fr = true, .auto_100 = true, .block_6xx = true, .failover = true, .ruri_matching = true, .via1_matching = true };
}

/* ---- a worker's transactions --------------------------------------------------------------------------------------------------- */

struct txns *txns_new(struct worker *w, const struct txn_conf *conf, const struct txn_user *user)
{
	struct txns *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->w = w;
	s->conf = conf;
	s->user = user;
	list_init(&s->all);
	slots_init(&s->branches, w->id, REF_BRANCH, TXN_MAX);
	if (!table_init(&s->servers, 1024) || !table_init(&s->clients, 1024)) {
		table_done(&s->servers);
		free(s);
		return NULL;
	}
	return s;
}

const uint64_t *txns_counts(const struct txns *s)
{
	return s->counts;
}

size_t txns_live(const struct txns *s)
{
	return s->live;
}

static void branch_free(struct branch *b)
{
	struct txns *s = txns_of(b->t);

	client_stop(&b->client);
	client_stop(&b->cancel);
	if (b->job)
		resolve_cancel(b->job);
	if (ref_set(b->self))
		slots_drop(&s->branches, b->self);
	b->self = NO_REF;
	msg_unref(b->final);
	b->final = NULL;
}

static void txn_free(struct txn *t)
{
	struct txns *s = txns_of(t);
	struct msg  *m = t->request;

	t->dead = true;
	if (s->user->ended)
		s->user->ended(t);
	server_stop(t);
	timer_clear(&t->w->loop->wheel, &t->reap);
	table_del(&s->servers, &t->server.node);
	for (uint16_t i = 0; i < t->nbranches; i++)
		branch_free(t->branch[i]);
	list_each(n, &t->held)
		msg_unref(container_of(n, struct held, node)->m);
	list_del(&t->all);
	s->live--;
	/* The struct lives in the request's arena: after this line it is gone, or kept by whoever still reads the message. */
	msg_unref(m);
}

void txns_free(struct txns *s)
{
	if (!s)
		return;
	list_each(n, &s->all)
		txn_free(container_of(n, struct txn, all));
	table_done(&s->servers);
	table_done(&s->clients);
	slots_done(&s->branches);
	free(s);
}

static bool client_over(const struct client *c)
{
	return c->state == CLIENT_IDLE || c->state == CLIENT_GONE;
}

static bool clients_over(const struct txn *t)
{
	for (uint16_t i = 0; i < t->nbranches; i++)
		if (!client_over(&t->branch[i]->client) || !client_over(&t->branch[i]->cancel))
			return false;
	return true;
}

void txn_release(struct txn *t)
{
	must(t->busy > 0);
	if (--t->busy == 0 && !t->dead && t->server.state == SERVER_GONE && t->launching == 0 && clients_over(t))
		txn_free(t);
}

/* Nobody relayed or answered it: once the script's run has let go of the message it is forgotten; the caller times out. */
static void reap_due(struct timer *timer)
{
	struct txn *t = container_of(timer, struct txn, reap);

	if (t->request->refs > 1 || t->busy || t->launching) {
		loop_after(t->w->loop, timer, t->conf->linger);
		return;
	}
	if (t->server.status >= 200)
		return;
	txn_hold(t);
	server_stop(t);
	txn_release(t);
}

/* ---- making one -------------------------------------------------------------------------------------------------------------------- */

struct txn *txn_new(struct worker *w, struct msg *m)
{
	struct txns *s = w->txns;
	struct txn  *t;

	must(sip_is_request(&m->sip) && m->sip.method_id != SIP_ACK);
	if (s->live >= s->conf->max) {
		s->counts[TXNC_refused]++;
		return NULL;
	}
	t = arena_zalloc(m->arena, sizeof *t);
	if (!t) {
		count(w, COREC_arena_full);
		return NULL;
	}
	t->w = w;
	t->conf = s->conf;
	t->request = msg_ref(m);
	t->arena = m->arena;
	t->invite = m->sip.method_id == SIP_INVITE;
	t->fr = s->conf->fr;
	t->fr_inv = s->conf->fr_inv;
	list_init(&t->held);
	timer_init(&t->reap, reap_due);
	server_init(t);
	table_add(&s->servers, &t->server.node, txn_server_hash(w, m));
	list_add_tail(&s->all, &t->all);
	s->live++;
	s->counts[TXNC_UAS_transactions]++;
	loop_after(w->loop, &t->reap, s->conf->linger);
	if (t->invite && s->conf->auto_100)
		txn_reply(t, &(struct own_reply){ .status = 100, .reason = VIEW("Giving it a try") });
	return t;
}

void txn_keep(struct txn *t, struct msg *m)
{
	struct held *h = arena_alloc(t->arena, sizeof *h);

	if (!h) {
		msg_unref(m);
		return;
	}
	h->m = m;
	list_add_tail(&t->held, &h->node);
}
