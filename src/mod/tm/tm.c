/* mod/tm/tm.c -- the script's hold on transactions: what was armed, the runs of branch, onreply and failure routes. */
#include "mod/tm/priv.h"

static const char note_key;

struct tm_note *tm_note(struct msg *request)
{
	struct tm_note *n = msg_note(request, &note_key);

	if (n)
		return n;
	n = arena_zalloc(request->arena, sizeof *n);
	if (!n || !msg_note_set(request, &note_key, n))
		return NULL;
	n->on_failure = n->on_reply = n->on_branch = -1;
	n->fr_s = n->fr_inv_s = -1;
	return n;
}

static struct msg *request_of(const struct run *r)
{
	return r->request ? r->request : r->msg && sip_is_request(&r->msg->sip) ? r->msg : NULL;
}

struct tm_note *tm_note_of(const struct run *r)
{
	struct msg *m = request_of(r);

	return m ? tm_note(m) : NULL;
}

struct txn *tm_txn(const struct run *r)
{
	struct msg     *m = request_of(r);
	struct tm_note *n = m ? msg_note(m, &note_key) : NULL;

	/* r->txn may be over by now; the note knows. */
	return n ? n->t : NULL;
}

const struct tm_conf *tm_conf(const struct worker *w)
{
	return mod_conf(w, &mod_tm);
}

struct txn *tm_create(struct run *r, bool *absorbed)
{
	struct msg     *m = r->msg;
	struct tm_note *n = tm_note(m);
	struct txn     *t;

	*absorbed = false;
	if (!n || r->type != ROUTE_REQUEST || m->sip.method_id == SIP_ACK)
		return NULL;
	if (txn_match(r->w, m, &t) == TXN_RETRANSMISSION) {
		*absorbed = true;
		return NULL;
	}
	t = txn_new(r->w, m);
	if (!t) {
		char tag[32];
		msg_reply(m, &(struct own_reply){ .status = 503, .to_tag = reply_tag(m, tag), .extra = txn_retry_after() });
		*absorbed = true;
		return NULL;
	}
	t->user = n;
	n->t = t;
	n->script = r->script;
	t->extra = n->hdrs;
	if (n->fr_s >= 0)
		t->fr = (uint32_t)n->fr_s * 1000;
	if (n->fr_inv_s >= 0)
		t->fr_inv = (uint32_t)n->fr_inv_s * 1000;
	r->txn = t;
	return t;
}

/* ---- runs that a transaction starts ----------------------------------------------------------------------------------------------- */

/* One execution of a branch, onreply or failure route. */
struct tm_run {
	struct run       run;
	struct branch   *b;
	struct msg      *reply;
	int              second;           /* onreply: the transaction's route after the branch's; -1 none */
	bool             share_avps;
	struct msg_route route;            /* failure: what $ru shows */
	struct edits     edits;
};

static struct tm_run *tm_run_new(struct branch *b, enum route_type type, struct arena *a, void (*done)(struct run *, enum run_end, int))
{
	struct txn           *t = b->t;
	const struct tm_note *n = t->user;
	struct tm_run        *x = arena_zalloc(a, sizeof *x);

	if (!x)
		return NULL;
	x->b = b;
	x->second = -1;
	x->run = (struct run){ .w = t->w, .script = n->script, .type = type, .msg = t->request, .request = t->request, .txn = t, .branch = b->index,
		.tmp = a, .rc = 1, .user = x, .done = done };
	return x;
}

static void branch_route_done(struct run *r, enum run_end end, int rc)
{
	struct tm_run *x = r->user;

	branch_go(x->b, end != RUN_DROP);
}

static void on_branch(struct branch *b)
{
	const struct tm_note *n = b->t->user;
	struct tm_run        *x;
	struct tm_branch     *own = arena_alloc(b->t->arena, sizeof *own);

	if (!own) {
		branch_go(b, false);
		return;
	}
	own->on_reply = -1;
	b->user = own;
	if (n->on_branch < 0) {
		branch_go(b, true);
		return;
	}
	x = tm_run_new(b, ROUTE_BRANCH, b->t->arena, branch_route_done);
	if (!x) {
		branch_go(b, false);
		return;
	}
	x->run.route = &b->route;
	x->run.edits = &b->edits;
	if (!run_start_number(&x->run, n->on_branch))
		branch_go(b, true);
}

/* ---- onreply ---------------------------------------------------------------------------------------------------------------------------- */

static void reply_finish(struct tm_run *x, bool pass)
{
	struct branch *b = x->b;
	struct msg    *reply = x->reply;

	if (x->share_avps) {
		b->t->request->avps = reply->avps;
		reply->avps = NULL;
	}
	txn_reply_go(b, reply, pass);
}

static void reply_route_done(struct run *r, enum run_end end, int rc)
{
	struct tm_run *x = r->user;
	int            next = x->second;

	x->second = -1;
	/* Finals cannot be dropped (opensips-language.md 8). */
	if (end == RUN_DROP || next < 0 || !run_start_number(&x->run, next))
		reply_finish(x, end != RUN_DROP || x->reply->sip.status >= 200);
}

static void on_reply(struct branch *b, struct msg *reply)
{
	struct txn             *t = b->t;
	const struct tm_note   *n = t->user;
	const struct tm_branch *own = b->user;
	int                     first = own->on_reply >= 0 ? own->on_reply : n->on_reply;
	struct tm_run          *x = first >= 0 ? tm_run_new(b, ROUTE_ONREPLY, reply->arena, reply_route_done) : NULL;

	if (!x) {
		txn_reply_go(b, reply, true);
		return;
	}
	x->reply = reply;
	x->run.msg = x->run.reply = reply;
	x->run.edits = &reply->edits;
	x->second = own->on_reply >= 0 ? n->on_reply : -1;
	/* What the route adds lives in the reply's arena: that stays as long as the transaction, or there is no sharing. */
	if (tm_conf(t->w)->onreply_avp_mode && txn_keep(t, msg_ref(reply))) {
		x->share_avps = true;
		reply->avps = t->request->avps;
	}
	if (!run_start_number(&x->run, first))
		reply_finish(x, true);
}

/* ---- failure ------------------------------------------------------------------------------------------------------------------------------ */

static void failure_route_done(struct run *r, enum run_end end, int rc)
{
	txn_failure_go(r->txn);
}

static void on_failure(struct txn *t)
{
	struct tm_note *n = t->user;
	struct branch  *b = t->winner;
	int             route = n->on_failure;
	struct tm_run  *x = route >= 0 ? tm_run_new(b, ROUTE_FAILURE, t->arena, failure_route_done) : NULL;

	/* It has to be armed anew before each t_relay() (opensips-language.md 5). */
	n->on_failure = -1;
	if (!x) {
		txn_failure_go(t);
		return;
	}
	x->route = b->route;
	x->run.route = &x->route;
	x->run.edits = &x->edits;
	x->run.reply = b->final;
	/* Branches of the round before are done with; what is appended now is new. */
	t->request->nmore = 0;
	if (!run_start_number(&x->run, route))
		txn_failure_go(t);
}

static void on_relayed(struct txn *t)
{
	struct tm_note *n = t->user;
	struct run     *r = n->waiting;

	if (!r)
		return;
	n->waiting = NULL;
	run_resume(r, tm_relay_result(r, t));
}

static void on_ended(struct txn *t)
{
	struct tm_note *n = t->user;

	n->t = NULL;
}

static const struct txn_user tm_user = { .branch = on_branch, .reply = on_reply, .failure = on_failure, .relayed = on_relayed, .ended = on_ended };

/* ---- for other modules ----------------------------------------------------------------------------------------------------------------------- */

bool tm_has_txn(const struct run *r)
{
	return tm_txn(r) != NULL;
}

int tm_reply(struct run *r, uint16_t code, struct view reason)
{
	struct txn *t = tm_txn(r);

	must(t);
	return txn_reply(t, &(struct own_reply){ .status = code, .reason = reason }) ? SCRIPT_TRUE : SCRIPT_FALSE;
}

struct view tm_local_totag(const struct run *r)
{
	const struct txn *t = tm_txn(r);

	return t ? view_of(t->tag, t->tag_n) : VIEW_NONE;
}

/* ---- the module -------------------------------------------------------------------------------------------------------------------------------- */

static bool within(int64_t v, int64_t least, int64_t most, const char *name, struct out *err)
{
	if (v >= least && v <= most)
		return true;
	putf(err, "%s is a number from %d to %d", name, (int)least, (int)most);
	return false;
}

static bool set_minor(struct script_load *l, void *conf, struct view text, int64_t number, struct out *err)
{
	struct tm_conf *c = conf;
	int             bit = script_flag(l, true, text);

	if (bit < 0) {
		put(err, VIEW("there are no branch flags left"));
		return false;
	}
	c->minor_bflags |= 1u << bit;
	return true;
}

static bool init(struct script_load *l, void *conf, struct out *err)
{
	struct tm_conf *c = conf;

	if (!within(c->fr_timeout, 2, TM_SECONDS_MAX, "fr_timeout", err) || !within(c->fr_inv_timeout, 1, TM_SECONDS_MAX, "fr_inv_timeout", err) ||
	    !within(c->wt_timer, 0, TM_SECONDS_MAX, "wt_timer", err) || !within(c->t1, 1, TM_SECONDS_MAX, "T1_timer", err) ||
	    !within(c->t2, 1, TM_SECONDS_MAX, "T2_timer", err))
		return false;
	c->txn = txn_conf_rfc();
	c->txn.t1 = (uint32_t)c->t1;
	c->txn.t2 = (uint32_t)c->t2;
	c->txn.fr = (uint32_t)c->fr_timeout * 1000;
	c->txn.fr_inv = (uint32_t)c->fr_inv_timeout * 1000;
	c->txn.linger = (uint32_t)(c->wt_timer ? c->wt_timer * 1000 : 1);
	c->txn.restart_fr = c->restart_fr;
	c->txn.auto_100 = c->auto_100;
	c->txn.block_6xx = !c->disable_6xx_block;
	c->txn.ruri_matching = c->ruri_matching;
	c->txn.via1_matching = c->via1_matching;
	c->txn.minor_bflags = c->minor_bflags;
	return true;
}

static bool worker_init(struct worker *w, const void *conf, void **state)
{
	const struct tm_conf *c = conf;
	struct tm_state      *s = calloc(1, sizeof *s);

	if (!s)
		return false;
	s->conf = c->txn;
	/* The core's globals are complete only now. */
	s->conf.failover = w->conf->dns_failover;
	s->conf.keep_503 = w->conf->disable_503_translation;
	w->txns = txns_new(w, &s->conf, &tm_user);
	*state = s;
	if (!w->txns)
		free(s);
	return w->txns != NULL;
}

static void worker_done(struct worker *w, void *state)
{
	txns_free(w->txns);
	w->txns = NULL;
	free(state);
}

static bool on_network_reply(struct worker *w, struct msg *m)
{
	if (txn_receive_reply(w, m))
		return true;
	/* Its transaction is over, but the callee goes on sending this until the caller acknowledges: it must get through. The branch was
	 * ours, so this relays for nobody else. */
	if (m->sip.method_id != SIP_INVITE || m->sip.status < 200 || m->sip.status >= 300)
		return false;
	forward_reply(m);
	msg_unref(m);
	return true;
}

#define AT(field) offsetof(struct tm_conf, field)
static const struct script_param params[] = {
	{ "fr_timeout", PARAM_INT, AT(fr_timeout), "30", "seconds to wait for a final reply, or for any reply to an INVITE" },
	{ "fr_inv_timeout", PARAM_INT, AT(fr_inv_timeout), "120", "seconds to wait for the final reply to an INVITE after a provisional one" },
	{ "wt_timer", PARAM_INT, AT(wt_timer), "5", "seconds that a finished transaction absorbs stragglers" },
	{ "delete_timer", PARAM_IGNORED_INT, 0, "2", "without meaning here: memory is released when nobody uses it" },
	{ "T1_timer", PARAM_INT, AT(t1), "500", "first retransmission interval, milliseconds" },
	{ "T2_timer", PARAM_INT, AT(t2), "4000", "longest retransmission interval, milliseconds" },
	{ "ruri_matching", PARAM_INT, AT(ruri_matching), "1", "RFC 2543 matching compares the R-URI" },
	{ "via1_matching", PARAM_INT, AT(via1_matching), "1", "RFC 2543 matching compares the top Via" },
	{ "unix_tx_timeout", PARAM_IGNORED_INT, 0, "2", "of t_write_unix" },
	{ "restart_fr_on_each_reply", PARAM_INT, AT(restart_fr), "1", "each provisional reply restarts fr_inv_timeout" },
	{ "tw_append", PARAM_IGNORED_STR, 0, NULL, "of t_write_req" },
	{ "pass_provisional_replies", PARAM_IGNORED_INT, 0, "0", "provisional replies always reach onreply routes" },
	{ "syn_branch", PARAM_IGNORED_INT, 0, "1", "branches are random and keyed here" },
	{ "onreply_avp_mode", PARAM_INT, AT(onreply_avp_mode), "0", "1: onreply routes see and change the transaction's AVPs" },
	{ "disable_6xx_block", PARAM_INT, AT(disable_6xx_block), "0", "1: a 6xx is a negative reply like others" },
	{ "enable_stats", PARAM_IGNORED_INT, 0, "1", "counters are always on" },
	{ "minor_branch_flag", PARAM_CALL, 0, NULL, "flag of branches that are not waited for", set_minor },
	{ "timer_partitions", PARAM_IGNORED_INT, 0, "1", "each worker has its own timers" },
	{ "auto_100trying", PARAM_INT, AT(auto_100), "1", "answer an INVITE with 100 at once" },
	{ "tm_replication_cluster", PARAM_IGNORED_INT, 0, "0", "anycast replication" },
	{ "cluster_param", PARAM_IGNORED_STR, 0, "cid", "anycast replication" },
	{ "cluster_auto_cancel", PARAM_IGNORED_INT, 0, "1", "anycast replication" },
	{ "local_request_route", PARAM_IGNORED_STR, 0, NULL, "inspection of requests generated here" },
	{ "local_reply_route", PARAM_IGNORED_STR, 0, NULL, "inspection of replies generated here" },
	{ NULL },
};

static const char *const counter_names[] = {
#define C(name, help) #name,
	TXN_COUNTERS(C)
#undef C
	NULL
};

static const uint64_t *counters(const struct worker *w)
{
	return txns_counts(w->txns);
}

const struct module mod_tm = { .name = "tm", .id = MOD_tm, .conf_size = sizeof(struct tm_conf), .params = params, .funcs = tm_funcs, .vars = tm_vars,
	.init = init, .worker_init = worker_init, .worker_done = worker_done, .on_reply = on_network_reply, .on_send_failed = txn_send_failed,
	.counter_names = counter_names, .counters = counters,
	.help = "transactions: stateful relaying, forking, failure handling" };
