/* net/report.c -- what crosses a worker's border: a message for a connection that lives elsewhere, and the news that a send
 * failed, which is never told from inside the send itself. */
#include "net/stage.h"

/* NULL: no such worker, or it is not there (any more). */
static struct net *net_at(struct net_peers *p, uint16_t worker)
{
	must(p->n <= WORKERS_MAX);
	return worker < p->n ? p->net[worker] : NULL;
}

/* ---- failures ---- */

struct report {
	struct letter     letter;
	struct list       node;
	struct net_peers *peers;
	struct ref        to;
	enum send_result  why;
};

static void report_tell(struct net *n, struct report *r)
{
	must(r->why != SEND_OK && (!n || n->id == r->to.worker));
	if (n)
		n->ev.send_failed(n->ev.arg, r->to, r->why);
	free(r);
}

static void report_open(struct letter *l, struct loop *to)
{
	struct report *r = container_of(l, struct report, letter);

	report_tell(net_at(r->peers, to->id), r);
}

void net_report(struct net *n, struct ref report, enum send_result why)
{
	if (!ref_set(report))
		return;
	struct report *r = malloc(sizeof *r);
	if (!r)
		return;              /* the sender's own timer remains */
	*r = (struct report){ .letter.open = report_open, .peers = n->peers, .to = report, .why = why };
	if (report.worker == n->id) {
		list_add_tail(&n->reports, &r->node);
		loop_again(n->loop);
		return;
	}
	struct net *other = net_at(n->peers, report.worker);
	if (!other || !inbox_post(other->loop, &r->letter))
		free(r);
}

void report_run(struct net *n)
{
	while (!list_empty(&n->reports)) {
		struct report *r = container_of(n->reports.next, struct report, node);
		list_del(&r->node);
		report_tell(n->ending ? NULL : n, r);
	}
}

/* ---- orders ---- */

struct order_letter {
	struct letter     letter;
	struct net_peers *peers;
	struct ref        conn;
	enum order        what;
};

static void order_open(struct letter *l, struct loop *to)
{
	struct order_letter *o = container_of(l, struct order_letter, letter);
	struct net *n = net_at(o->peers, to->id);

	must(o->conn.worker == to->id);
	if (n && o->what == ORDER_CLOSE)
		net_close(n, o->conn);
	else if (n)
		net_resume(n, o->conn);
	free(o);
}

bool letter_order(struct net *n, struct ref conn, enum order what)
{
	struct net *other = net_at(n->peers, conn.worker);
	struct order_letter *o = other ? malloc(sizeof *o) : NULL;

	must(conn.worker != n->id && conn.kind == REF_CONN);
	if (!o)
		return false;
	*o = (struct order_letter){ .letter.open = order_open, .peers = n->peers, .conn = conn, .what = what };
	if (inbox_post(other->loop, &o->letter))
		return true;
	free(o);
	return false;
}

/* ---- messages ---- */

struct parcel {
	struct letter     letter;
	struct net_peers *peers;
	struct target     target;
	struct origin     client;
	bool              has_client;
	struct ref        report;
	size_t            n;
	char              bytes[];       /* message, TLS name, TLS domain */
};

static void parcel_free(struct parcel *p)
{
	if (p->has_client)
		origin_drop(&p->client);
	free(p);
}

static void parcel_open(struct letter *l, struct loop *to)
{
	struct parcel *p = container_of(l, struct parcel, letter);
	struct net *n = net_at(p->peers, to->id);
	struct iovec v = { p->bytes, p->n };

	if (n) {
		n->opening_parcel = true;            /* it has travelled: never send it on */
		enum send_result r = net_send(n, &p->target, &v, 1, p->report);
		n->opening_parcel = false;
		if (r != SEND_OK)
			net_report(n, p->report, r);
	}
	parcel_free(p);
}

static char *parcel_put(char *at, struct view v, struct view *out)
{
	*out = view_of(at, v.n);
	if (v.n)
		memcpy(at, v.p, v.n);
	return at + v.n;
}

enum send_result letter_send(struct net *n, uint16_t worker, const struct target *t, const struct iovec *iov, int niov, size_t total,
	struct ref report)
{
	struct net *other = net_at(n->peers, worker);

	must(worker != n->id);
	if (!other)
		return SEND_DEAD;

	struct parcel *p = malloc(sizeof *p + total + t->sni.n + t->tls_domain.n);
	if (!p)
		return SEND_ERROR;
	*p = (struct parcel){ .letter.open = parcel_open, .peers = n->peers, .target = *t, .has_client = t->client != NULL,
		.report = report, .n = total };
	char *at = p->bytes;
	for (int i = 0; i < niov; i++) {
		struct view copied;
		at = parcel_put(at, view_of(iov[i].iov_base, iov[i].iov_len), &copied);
	}
	at = parcel_put(at, t->sni, &p->target.sni);
	at = parcel_put(at, t->tls_domain, &p->target.tls_domain);
	must(at == p->bytes + total + t->sni.n + t->tls_domain.n);
	if (t->client) {
		origin_keep(&p->client, t->client);
		p->target.client = &p->client;
	}
	if (!inbox_post(other->loop, &p->letter)) {
		parcel_free(p);
		return SEND_FULL;
	}
	net_count(n, NETC_letters_out);
	return SEND_OK;
}
