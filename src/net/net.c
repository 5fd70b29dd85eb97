/* net/net.c -- one worker's net: its sockets, its end-of-turn work, and the door through which everything is sent. */
#include "net/stage.h"

static bool before_sleep(struct loop_hook *h)
{
	struct net *n = container_of(h, struct net, hook);

	report_run(n);
	conn_run_lists(n);
	udp_flush_all(n);
	/* Burying a connection makes reports, whose hearers may send again. */
	return !list_empty(&n->reports) || !list_empty(&n->flush) || !list_empty(&n->due);
}

enum send_result net_send(struct net *n, const struct target *t, const struct iovec *iov, int niov, struct ref report)
{
	size_t total = 0;

	must(t->transport < TR_COUNT);
	for (int i = 0; i < niov; i++)
		total += iov[i].iov_len;
	if (t->transport == TR_UDP)
		return udp_send(n, t, iov, niov, total, report);
	if (total > n->conf->max_message)
		return SEND_TOO_BIG;
	if (t->flow.kind == REF_CONN && t->flow.worker != n->id)
		return letter_send(n, t->flow.worker, t, iov, niov, total, report);
	return pool_send(n, t, iov, niov, total, report);
}

static bool open_sockets(struct net *n, struct out *err)
{
	for (size_t i = 0; i < n->conf->nsockets; i++) {
		const struct socket_conf *s = &n->conf->sockets[i];
		must(s->index == i);
		if ((s->transport == TR_TLS || s->transport == TR_WSS) && !n->conf->tls) {
			putf(err, VIEW_FMT ": no TLS certificates are configured", VIEW_ARG(s->text));
			return false;
		}
		if (s->transport == TR_UDP) {
			n->udp[i] = udp_open(n, s, err);
			if (!n->udp[i])
				return false;
		} else {
			n->listeners[i] = listener_open(n, s, err);
			if (!n->listeners[i])
				return false;
		}
	}
	return true;
}

static bool make_tables(struct net *n)
{
	size_t count = n->conf->nsockets + 1;

	slots_init(&n->conns, n->id, REF_CONN, n->conf->max_conns);
	n->udp = calloc(count, sizeof *n->udp);
	n->listeners = calloc(count, sizeof *n->listeners);
	n->scratch = malloc(SCRATCH_BYTES);
	n->flows = udp_flows_new(n);
	n->tls = tls_worker_new(n);
	return table_init(&n->by_peer, 64) && table_init(&n->by_key, 64) && n->udp && n->listeners && n->scratch && n->flows && n->tls;
}

struct net *net_new(struct loop *l, uint16_t id, const struct net_conf *c, const struct net_events *ev, struct net_peers *peers,
	struct hash_key key, struct out *err)
{
	must(id < WORKERS_MAX && id < peers->n && peers->n <= WORKERS_MAX && !peers->net[id]);
	must(ev->message && ev->bad_frame && ev->send_failed);
	struct net *n = calloc(1, sizeof *n);
	if (!n) {
		putf(err, "no memory");
		return NULL;
	}
	n->loop = l;
	n->id = id;
	n->conf = c;
	n->store = c->tls;
	n->ev = *ev;
	n->peers = peers;
	n->key = key;
	list_init(&n->all);
	list_init(&n->flush);
	list_init(&n->again);
	list_init(&n->due);
	list_init(&n->reports);
	list_init(&n->udp_flush);
	list_init(&n->hook.node);
	n->hook.before_sleep = before_sleep;
	loop_hook_add(l, &n->hook);
	if (!make_tables(n)) {
		putf(err, "no memory");
		net_free(n);
		return NULL;
	}
	if (!open_sockets(n, err)) {
		net_free(n);
		return NULL;
	}
	peers->net[id] = n;
	return n;
}

void net_free(struct net *n)
{
	if (!n)
		return;
	n->ending = true;
	if (n->peers->net[n->id] == n)
		n->peers->net[n->id] = NULL;
	for (size_t i = 0; i < n->conf->nsockets; i++) {
		if (n->udp && n->udp[i])
			udp_close(n->udp[i]);
		if (n->listeners && n->listeners[i])
			listener_close(n->listeners[i]);
	}
	while (!list_empty(&n->all)) {
		struct conn *c = container_of(n->all.next, struct conn, all_node);
		if (!c->closing)
			conn_flush(c);
		conn_kill(c);
	}
	report_run(n);
	must(!n->live && list_empty(&n->flush) && list_empty(&n->due) && list_empty(&n->again));
	loop_hook_del(n->loop, &n->hook);
	udp_flows_free(n->flows);
	udp_rx_free(n);
	ws_spare_free(n);
	tls_worker_free(n->tls);
	table_done(&n->by_peer);
	table_done(&n->by_key);
	slots_done(&n->conns);
	free(n->udp);
	free(n->listeners);
	free(n->scratch);
	free(n);
}

void net_resume(struct net *n, struct ref r)
{
	if (r.kind != REF_CONN)
		return;
	if (r.worker != n->id) {
		letter_order(n, r, ORDER_RESUME);
		return;
	}
	struct conn *c = conn_of(n, r);
	if (!c || !c->paused)
		return;
	c->paused = false;
	conn_soon(c);
}

bool net_close(struct net *n, struct ref r)
{
	if (r.kind != REF_CONN)
		return false;
	if (r.worker != n->id)
		return letter_order(n, r, ORDER_CLOSE);
	struct conn *c = conn_of(n, r);
	if (!c)
		return false;
	conn_fail(c, NETC_COUNT, SEND_OK);
	return true;
}

void net_use_tls(struct net *n, struct tls_store *s)
{
	must(s || !n->store);
	n->store = s;
}

const struct net_counts *net_counts(const struct net *n)
{
	return &n->counts;
}
