/* txn/txn.c -- a transaction from its making to its end. */
#include "txn/priv.h"

struct view txn_retry_after(void)
{
	_Static_assert(TXN_RETRY_AFTER_S == 10, "the text says so");
	return VIEW("Retry-After: 10\r\n");
}

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
	list_init(&s->spare);
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

/* ---- the end ----------------------------------------------------------------------------------------------------------------------- */

enum { SPARE_MAX = 1024 /* per worker: what ended transactions leave for new ones */, SETTLE_MS = 5 };

static struct txn *block_take(struct txns *s)
{
	struct txn *t;

	if (list_empty(&s->spare))
		return calloc(1, sizeof *t);
	t = container_of(s->spare.next, struct txn, all);
	list_del(&t->all);
	s->nspare--;
	memset(t, 0, sizeof *t);
	return t;
}

static void block_give(struct txns *s, struct txn *t)
{
	if (s->nspare >= SPARE_MAX) {
		free(t);
		return;
	}
	list_add_head(&s->spare, &t->all);
	s->nspare++;
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

static void user_ended(struct txn *t)
{
	const struct txn_user *user = txns_of(t)->user;

	if (t->request && user->ended)
		user->ended(t);
	t->user = NULL;
	list_each(n, &t->held)
		msg_unref(container_of(n, struct held, node)->m);
	list_init(&t->held);
}

static void txn_free(struct txn *t)
{
	struct txns *s = txns_of(t);

	user_ended(t);
	server_stop(t);
	timer_clear(&t->w->loop->wheel, &t->reap);
	table_del(&s->servers, &t->server.node);
	for (uint16_t i = 0; i < t->nbranches; i++)
		branch_free(t->branch[i]);
	list_del(&t->all);
	s->live--;
	must(s->bytes >= t->weight);
	s->bytes -= t->weight;
	if (t->remains)
		origin_drop(&t->remains->origin);
	free(t->remains);
	msg_unref(t->request);
	block_give(s, t);
}

void txns_free(struct txns *s)
{
	if (!s)
		return;
	list_each(n, &s->all)
		txn_free(container_of(n, struct txn, all));
	list_each(n, &s->spare)
		free(container_of(n, struct txn, all));
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

/* Only stragglers are waited for, and they can be told without the request. */
static bool can_shrink(const struct txn *t)
{
	const struct branch *b = &t->one;

	if (!t->request || t->server.status < 200 || t->launching || t->nbranches > 1 || !txn_magic(t->key.branch))
		return false;
	if (!t->nbranches)
		return true;
	return b->phase == BRANCH_DONE && (client_over(&b->client) || b->client.state == CLIENT_COMPLETED || b->client.state == CLIENT_ACCEPTED) &&
		(client_over(&b->cancel) || b->cancel.state == CLIENT_COMPLETED) && !(b->ack.n && b->route.peer);
}

static struct view moved(char **at, struct view v)
{
	struct view to = view_of(*at, v.n);

	if (v.n)
		memcpy(*at, v.p, v.n);
	*at += v.n;
	return to;
}

/* A call lasts longer than its INVITE, and a transaction lingers longer than its work: what lingers is kept small, so that the
 * memory of messages is used again at once, while it is warm. */
static void shrink(struct txn *t)
{
	struct branch  *b = &t->one;
	struct msg     *m = t->request;
	size_t          n = t->key.branch.n + t->key.host.n + t->key.method.n + t->server.last.n + b->ack.n + b->sni.n + t->ok_tag.n;
	struct remains *r = malloc(sizeof *r + n);

	if (!r)
		return;

	char *at = (char *)(r + 1);

	user_ended(t);
	reply_target(m, &r->home);
	origin_keep(&r->origin, &m->origin);
	r->home.client = &r->origin;
	t->client = &r->origin;
	t->key.branch = moved(&at, t->key.branch);
	t->key.host = moved(&at, t->key.host);
	t->key.method = moved(&at, t->key.method);
	t->server.last = moved(&at, t->server.last);
	t->server.room = 0;
	b->ack = moved(&at, b->ack);
	b->sni = moved(&at, b->sni);
	r->to_tag = moved(&at, t->ok_tag);
	t->remains = r;
	txns_of(t)->bytes -= t->weight;
	t->weight = 0;
	/* Everything else that pointed into the request is of no more use. */
	b->route = (struct msg_route){ .flow = b->route.flow };
	b->edits = (struct edits){ 0 };
	b->list = NULL;
	b->client.sent = b->cancel.sent = t->extra = t->cancel_extra = t->ok_tag = VIEW_NONE;
	msg_unref(b->final);
	b->final = NULL;
	t->winner = NULL;
	t->request = NULL;
	t->arena = NULL;
	timer_clear(&t->w->loop->wheel, &t->reap);
	msg_unref(m);
}

/* Nobody is inside: free it, shrink it, or look again when the script's run has let go of the message. */
static void settle(struct txn *t)
{
	bool alone = !t->request || t->request->refs == 1;
	bool over = t->server.state == SERVER_GONE && t->launching == 0 && clients_over(t);

	if (over && alone)
		txn_free(t);
	else if (alone && can_shrink(t))
		shrink(t);
	else if (!alone && (over || t->server.status >= 200) && !timer_armed(&t->reap))
		loop_after(t->w->loop, &t->reap, SETTLE_MS);
}

void txn_release(struct txn *t)
{
	must(t->busy > 0);
	if (--t->busy == 0)
		settle(t);
}

/* Nobody relayed or answered it: once the script's run has let go of the message it is forgotten; the caller times out. */
static void reap_due(struct timer *timer)
{
	struct txn *t = container_of(timer, struct txn, reap);

	txn_hold(t);
	if (t->request && t->request->refs > 1)
		loop_after(t->w->loop, timer, t->conf->linger);
	else if (t->server.status < 200 && t->launching == 0 && clients_over(t) && t->busy == 1)
		server_stop(t);
	else if (t->server.status < 200)
		loop_after(t->w->loop, timer, t->conf->linger);
	txn_release(t);
}

/* ---- making one -------------------------------------------------------------------------------------------------------------------- */

struct txn *txn_new(struct worker *w, struct msg *m)
{
	struct txns *s = w->txns;
	struct txn  *t;

	must(sip_is_request(&m->sip) && m->sip.method_id != SIP_ACK);
	size_t weight = TXN_WEIGHT + 3 * m->sip.bytes.n;

	if (s->live >= s->conf->max || weight > TXN_BYTES - s->bytes) {
		tally_add(&s->counts[TXNC_refused], 1);
		return NULL;
	}
	t = block_take(s);
	if (!t) {
		count(w, COREC_arena_full);
		return NULL;
	}
	t->w = w;
	t->conf = s->conf;
	t->request = msg_ref(m);
	t->arena = m->arena;
	t->key = (struct txn_key){ m->via.branch, m->via.host, m->sip.method, m->via.port, m->sip.method_id };
	t->client = &m->origin;
	t->branch = t->few;
	t->room = COUNT_OF(t->few);
	t->invite = m->sip.method_id == SIP_INVITE;
	t->fr = s->conf->fr;
	t->fr_inv = s->conf->fr_inv;
	list_init(&t->held);
	timer_init(&t->reap, reap_due);
	server_init(t);
	table_add(&s->servers, &t->server.node, txn_server_hash(w, m));
	list_add_tail(&s->all, &t->all);
	s->live++;
	t->weight = weight;
	s->bytes += weight;
	tally_add(&s->counts[TXNC_UAS_transactions], 1);
	loop_after(w->loop, &t->reap, s->conf->linger);
	if (t->invite && s->conf->auto_100)
		txn_reply(t, &(struct own_reply){ .status = 100, .reason = VIEW("Giving it a try") });
	return t;
}

bool txn_keep(struct txn *t, struct msg *m)
{
	struct held *h = arena_alloc(t->arena, sizeof *h);

	if (!h) {
		msg_unref(m);
		return false;
	}
	h->m = m;
	list_add_tail(&t->held, &h->node);
	return true;
}
