/* net/report.c -- what crosses a worker's border: a message for a connection that lives elsewhere, and the news that a send
 * failed, which is never told from inside the send itself. */
#include "net/stage.h"

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
	if (n)
		n->ev.send_failed(n->ev.arg, r->to, r->why);
	free(r);
}

static void report_open(struct letter *l, struct loop *to)
{
	struct report *r = container_of(l, struct report, letter);

	report_tell(to->id < r->peers->n ? r->peers->net[to->id] : NULL, r);
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
	struct net *other = report.worker < n->peers->n ? n->peers->net[report.worker] : NULL;
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
	struct net *n = to->id < p->peers->n ? p->peers->net[to->id] : NULL;
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
	struct net *other = worker < n->peers->n ? n->peers->net[worker] : NULL;
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
	parcel_put(at, t->tls_domain, &p->target.tls_domain);
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
