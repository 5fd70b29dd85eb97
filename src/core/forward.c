/* core/forward.c -- what leaves without a transaction: replies of our own, and messages forwarded statelessly (RFC 3261 16.11). */
#include "core/priv.h"

struct view reply_tag(const struct msg *m, char *buf)
{
	char       text[256];
	struct out o = out_to(text, sizeof text), tag = out_to(buf, 32);

	/* What an ACK to this reply repeats: the top Via's sent-by and branch (RFC 3261 17.1.1.3), and the Call-ID. */
	put(&o, m->via.host);
	put_u64(&o, m->via.port);
	put(&o, m->via.branch);
	uint64_t h[2] = { siphash_view(m->w->key, out_view(&o)), siphash_view(m->w->key, m->sip.call_id) };
	h[0] ^= h[1] * 3;
	put(&tag, VIEW("vs"));
	put_hex(&tag, h, sizeof h[0]);
	return out_view(&tag);
}

enum send_result msg_reply(const struct msg *m, const struct own_reply *r)
{
	struct laid   laid;
	struct target t;

	if (!layout_own_reply(m, r, m->arena, &laid)) {
		count(m->w, COREC_arena_full);
		return SEND_ERROR;
	}
	reply_target(m, &t);

	enum send_result sent = net_send(m->w->net, &t, laid.iov, laid.n, NO_REF);

	if (sent == SEND_OK)
		count(m->w, COREC_replies_sent);
	return sent;
}

/* Our Via carries the flow that the request came by, signed: the reply must take it even where the client's own Via would lead
 * elsewhere (a load balancer in between, a connection that cannot be opened from here). */
static struct view back_write(const struct worker *w, const struct target *t, char *buf)
{
	char       text[FLOW_TEXT_MAX];
	struct out o = out_to(buf, FLOW_TEXT_MAX + 3);

	put(&o, VIEW(";i="));
	put(&o, flow_write(w, t, text));
	must(!o.full);
	return out_view(&o);
}

/* ---- requests --------------------------------------------------------------------------------------------------------------- */

/* A forward that waits for DNS; lives in the message's arena. */
struct forward { struct msg *m; struct msg_route route; struct view sni; };

/* The same for every retransmission, and for the CANCEL of an INVITE (RFC 3261 16.11). */
static struct branch_cookie branch_stateless(const struct msg *m, const struct msg_route *r)
{
	struct worker   *w = m->w;
	struct hash_key  key = w->key;
	struct view      id = m->via.branch.n ? m->via.branch : m->via.whole;
	uint64_t         a = siphash_view(key, id);

	key.k1 ^= a ^ m->sip.cseq;
	return (struct branch_cookie){ .worker = w->id, .hi = a ^ siphash_view(key, m->sip.call_id), .lo = (uint32_t)siphash_view(key, r->ruri),
		.loop = branch_loop_hash(w, m, r) };
}

static enum send_result forward_to(struct forward *f, enum transport transport, const struct addr *to)
{
	struct msg           *m = f->m;
	struct worker        *w = m->w;
	struct branch_cookie  c = branch_stateless(m, &f->route);
	char                  branch[BRANCH_TEXT_MAX], back[FLOW_TEXT_MAX + 3];
	struct target         t = { .transport = transport, .to = *to, .flow = f->route.flow, .flow_only = ref_set(f->route.flow),
		.downstream = ref_set(f->route.flow) || f->route.peer,
		.client = f->route.peer ? f->route.peer : &m->origin, .sni = f->sni }, home;
	struct laid           laid;

	t.from = core_pick_socket(w->conf, &f->route, m->origin.socket, transport, to);
	if (!t.from)
		return SEND_NO_SOCKET;
	/* Nothing answers an ACK. */
	struct view via_params = VIEW_NONE;

	if (m->sip.method_id != SIP_ACK) {
		reply_target(m, &home);
		via_params = back_write(w, &home, back);
	}
	if (!layout_request_via(m, &f->route, NULL, t.from, transport, branch_write(w->key, &c, branch), via_params, m->arena, &laid)) {
		count(w, COREC_arena_full);
		return SEND_ERROR;
	}
	return net_send(w->net, &t, laid.iov, laid.n, NO_REF);
}

static enum send_result forward_any(struct forward *f, const struct candidate *list, size_t n)
{
	enum send_result sent = SEND_ERROR;

	for (size_t i = 0; i < n; i++) {
		sent = forward_to(f, list[i].transport, &list[i].to);
		if (sent == SEND_OK) {
			count(f->m->w, COREC_fwd_requests);
			return SEND_OK;
		}
	}
	count(f->m->w, COREC_drop_requests);
	return sent;
}

static void forward_resolved(void *arg, const struct candidate *list, size_t n, const char *why)
{
	struct forward *f = arg;

	forward_any(f, list, n);
	msg_unref(f->m);
}

enum send_result forward_request(struct msg *m, const struct msg_route *r)
{
	struct forward     *f = arena_alloc(m->arena, sizeof *f);
	struct resolve_ask  ask;
	struct sip_uri      uri;
	struct candidate    list[DNS_CANDIDATES];
	struct resolve_job *job = NULL;
	struct addr         ip;

	must(sip_is_request(&m->sip));
	if (!f || !next_hop(m, r, &ask, &uri))
		return SEND_ERROR;
	if (msg_looped(m->w, m, r)) {
		count(m->w, COREC_loops);
		return SEND_ERROR;
	}
	*f = (struct forward){ .m = m, .route = *r, .sni = addr_parse_ip(uri.host, &ip) ? VIEW_NONE : uri.host };
	if (ref_set(r->flow) && r->socket)
		return forward_any(f, &(struct candidate){ r->socket->transport, r->socket->at }, 1);

	int n = resolve(m->w->resolver, &ask, list, forward_resolved, f, &job);

	if (n < 0)
		return SEND_ERROR;
	if (n == 0) {
		msg_ref(m);
		return SEND_OK;
	}
	return forward_any(f, list, (size_t)n);
}

enum send_result forward_reply(struct msg *m)
{
	struct target    t;
	struct flow_home home;
	struct laid      laid;

	must(!sip_is_request(&m->sip));
	if (flow_read(m->w, m->via.i, &home)) {
		t = home.t;
		t.client = &home.client;
	} else if (!reply_target_via(m, &t)) {
		count(m->w, COREC_drop_replies);
		return SEND_ERROR;
	}
	if (!layout_reply(m, 0, VIEW_NONE, m->arena, &laid)) {
		count(m->w, COREC_arena_full);
		return SEND_ERROR;
	}

	enum send_result sent = net_send(m->w->net, &t, laid.iov, laid.n, NO_REF);

	count(m->w, sent == SEND_OK ? COREC_fwd_replies : COREC_drop_replies);
	return sent;
}
