/* txn/match.c -- which transaction a message belongs to: RFC 3261 17.1.3, 17.2.3, 9.2, and 17.2.3's rules for RFC 2543 peers. */
#include "txn/priv.h"

struct wanted { const struct msg *m; enum sip_method method; const struct txn_conf *conf; };

bool txn_magic(struct view branch)
{
	return branch.n > 7 && view_starts_ci(branch, VIEW("z9hG4bK"));
}

uint64_t txn_server_hash(const struct worker *w, const struct msg *m)
{
	return siphash_view(w->key, txn_magic(m->via.branch) ? m->via.branch : m->sip.call_id);
}

/* Without the cookie in the branch everything that identifies the request is compared. An ACK's To tag is the reply's. */
static bool same_2543(const struct txn_conf *c, const struct msg *a, const struct msg *b, bool ack)
{
	const struct sip_hdr *va = sip_first(&a->sip, HDR_VIA), *vb = sip_first(&b->sip, HDR_VIA);

	return a->sip.cseq == b->sip.cseq && view_is(a->sip.call_id, b->sip.call_id) && view_is(a->sip.from_tag, b->sip.from_tag) &&
		(ack || view_is(a->sip.to_tag, b->sip.to_tag)) && (!c->ruri_matching || view_is(a->sip.ruri, b->sip.ruri)) &&
		(!c->via1_matching || (va && vb && view_is(a->via.whole, b->via.whole)));
}

static bool server_is(const struct table_node *n, const void *key)
{
	const struct wanted *k = key;
	const struct txn    *t = container_of(container_of(n, struct server, node), struct txn, server);
	const struct msg    *m = k->m;

	if (t->key.id != k->method || (k->method == SIP_OTHER && !view_is(t->key.method, m->sip.method)))
		return false;
	if (txn_magic(m->via.branch) != txn_magic(t->key.branch))
		return false;
	if (!txn_magic(m->via.branch))
		return same_2543(k->conf, t->request, m, m->sip.method_id == SIP_ACK);
	return view_is(t->key.branch, m->via.branch) && t->key.port == m->via.port && view_is_ci(t->key.host, m->via.host);
}

static struct txn *server_find(struct worker *w, const struct msg *m, enum sip_method method)
{
	struct txns       *s = w->txns;
	struct wanted      k = { m, method, s->conf };
	struct table_node *n = table_find(&s->servers, txn_server_hash(w, m), server_is, &k);

	return n ? container_of(container_of(n, struct server, node), struct txn, server) : NULL;
}

struct txn *txn_find(struct worker *w, const struct msg *m)
{
	return server_find(w, m, m->sip.method_id == SIP_ACK ? SIP_INVITE : m->sip.method_id);
}

struct txn *txn_invite_of(struct worker *w, const struct msg *cancel)
{
	must(cancel->sip.method_id == SIP_CANCEL);
	return server_find(w, cancel, SIP_INVITE);
}

enum txn_match txn_match(struct worker *w, struct msg *m, struct txn **out)
{
	struct txn *t = txn_find(w, m);

	*out = t;
	if (!t || t->request == m)
		return TXN_NONE;
	if (m->sip.method_id == SIP_ACK) {
		/* Some peers use the INVITE's branch for the ACK of a 2xx, too; it is not ours to swallow. */
		if (t->server.status >= 200 && t->server.status < 300)
			return TXN_END_ACK;
		server_event(t, SERVER_ACK);
		return TXN_HOP_ACK;
	}
	server_event(t, SERVER_REQUEST);
	return TXN_RETRANSMISSION;
}

/* ---- replies ------------------------------------------------------------------------------------------------------------------ */

struct answered { struct branch_cookie cookie; bool cancel; };

static bool client_is(const struct table_node *n, const void *key)
{
	const struct client   *c = container_of(n, struct client, node);
	const struct answered *k = key;

	return c->cancel == k->cancel && c->cookie.hi == k->cookie.hi && c->cookie.lo == k->cookie.lo;
}

bool txn_receive_reply(struct worker *w, struct msg *m)
{
	struct txns    *s = w->txns;
	struct answered k = { m->cookie, m->sip.method_id == SIP_CANCEL };

	if (!m->ours)
		return false;

	struct table_node *n = table_find(&s->clients, k.cookie.hi ^ k.cancel, client_is, &k);

	if (!n) {
		tally_add(&s->counts[TXNC_strays], 1);
		return false;
	}

	struct client        *c = container_of(n, struct client, node);
	const struct txn_key *sent = &c->b->t->key;

	/* The method in CSeq must be the request's (17.1.3). */
	if (!c->cancel && (m->sip.method_id != sent->id || (sent->id == SIP_OTHER && !view_is(m->sip.cseq_method, sent->method))))
		return false;
	tally_add(&s->counts[TXNC_received_replies], 1);
	client_event(c, m->sip.status < 200 ? CLIENT_1XX : m->sip.status < 300 ? CLIENT_2XX : CLIENT_FAIL, m);
	return true;
}

void txn_send_failed(struct worker *w, struct ref who, enum send_result why)
{
	struct txns   *s = w->txns;
	struct branch *b = who.kind == REF_BRANCH && who.worker == w->id ? slots_get(&s->branches, who) : NULL;

	if (b && b->phase == BRANCH_SENT) {
		b->overloaded = why == SEND_FULL;
		client_event(&b->client, CLIENT_ERROR, NULL);
	}
}
