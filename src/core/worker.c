/* core/worker.c -- a message's way to its owner: peek, dispatch, letter or parse, hooks. */
#include "core/priv.h"

enum { UNPARK_MS = 2 };      /* how soon a refused letter is posted again */

/* ---- who sits where --------------------------------------------------------------------------------------------------------- */

struct workers { uint16_t n; struct worker *at[]; };

static void unpark(struct timer *t);

struct workers *workers_new(uint16_t n)
{
	struct workers *all = calloc(1, sizeof *all + n * sizeof all->at[0]);

	must(n > 0 && n <= WORKERS_MAX);
	if (all)
		all->n = n;
	return all;
}

void workers_free(struct workers *all)
{
	free(all);
}

void workers_join(struct workers *all, struct worker *w)
{
	must(w->id < all->n && !all->at[w->id]);
	all->at[w->id] = w;
	w->all = all;
	w->n = all->n;
	list_init(&w->parked);
	timer_init(&w->unpark, unpark);
}

struct worker *workers_at(struct workers *all, uint16_t id)
{
	return id < all->n ? all->at[id] : NULL;
}

/* ---- at the owner -------------------------------------------------------------------------------------------------------------- */

/* A datagram without a header on a socket whose sender must send one: only a reply to us may come so (design section 3). */
static bool bare_where_header_is_due(const struct origin *o)
{
	const struct socket_conf *s = o->socket;

	if (o->transport != TR_UDP || !s || s->pp_mode == PP_MODE_OFF || (o->facts && o->facts->has_pp))
		return false;
	if (s->pp_mode == PP_MODE_REQUIRE)
		return true;
	for (size_t i = 0; s->pp_peers.given && i < s->pp_peers.n; i++)
		if (cidr_has(&s->pp_peers.list[i], &o->wire_src))
			return true;
	return false;
}

static void refuse(struct worker *w, struct msg *m, enum sip_fault why)
{
	uint16_t status = sip_fault_status(why);

	if (!sip_is_request(&m->sip)) {
		count(w, COREC_err_replies);
		return;
	}
	count(w, COREC_err_requests);
	if (why == SIP_FAULT_BAD_URI || why == SIP_FAULT_BAD_SCHEME)
		count(w, COREC_bad_uris);
	else if (why == SIP_FAULT_BAD_HEADER)
		count(w, COREC_bad_headers);
	if (!status || !sip_answerable(&m->sip) || m->sip.method_id == SIP_ACK) {
		count(w, COREC_drop_requests);
		return;
	}
	if (w->hooks->bad_request)
		w->hooks->bad_request(w, msg_ref(m), why);

	char             tag[32];
	struct own_reply r = { .status = status, .reason = status == 400 ? sip_fault_text(why) : sip_reason_phrase(status), .to_tag = reply_tag(m, tag) };

	msg_reply(m, &r);
}

/* The deep check, with what msg_make() decoded. */
static enum sip_fault judge(const struct msg *m)
{
	return sip_validate_decoded(&m->sip, m->via.whole.n ? &m->via : NULL, &m->ruri);
}

static void deliver(struct worker *w, struct buf *bytes, struct view v, const struct origin *o)
{
	enum sip_fault why;
	struct msg    *m = msg_make(w, bytes, v, o, &why);

	if (!m) {
		count(w, COREC_arena_full);
		return;
	}

	bool request = sip_is_request(&m->sip);
	bool ours = !request && m->ours;

	if (!ours && bare_where_header_is_due(o)) {
		count(w, COREC_bare_forged);
	} else if (why != SIP_FAULT_NONE || (why = judge(m)) != SIP_FAULT_NONE) {
		refuse(w, m, why);
	} else if (request) {
		count(w, COREC_rcv_requests);
		w->hooks->request(w, m);
		return;
	} else {
		count(w, COREC_rcv_replies);
		if (ours) {
			w->hooks->reply(w, m);
			return;
		}
		/* Else we would relay for strangers (RFC 3261 18.1.2). */
		count(w, COREC_stray_replies);
	}
	msg_unref(m);
}

/* ---- to the owner ---------------------------------------------------------------------------------------------------------------- */

struct parcel {
	struct letter  letter;
	struct list    parked;
	struct loop   *to;
	struct buf    *bytes;
	struct view    msg;
	struct origin  origin;
};

static void parcel_free(struct parcel *p)
{
	buf_unref(p->bytes);
	origin_drop(&p->origin);
	free(p);
}

static void parcel_open(struct letter *l, struct loop *to)
{
	struct parcel *p = container_of(l, struct parcel, letter);

	deliver(to->user, p->bytes, p->msg, &p->origin);
	parcel_free(p);
}

static bool conn_waits(const struct worker *w, struct ref conn)
{
	list_each(n, &w->parked)
		if (ref_same(container_of(n, struct parcel, parked)->origin.conn, conn))
			return true;
	return false;
}

static void unpark(struct timer *t)
{
	struct worker *w = container_of(t, struct worker, unpark);

	list_each(n, &w->parked) {
		struct parcel *p = container_of(n, struct parcel, parked);
		struct ref     conn = p->origin.conn;
		list_del(n);
		if (!inbox_post(p->to, &p->letter)) {
			list_add_head(&w->parked, n);
			loop_after(w->loop, t, UNPARK_MS);
			return;
		}
		count(w, COREC_handed_over);
		if (!conn_waits(w, conn))
			net_resume(w->net, conn);
	}
}

static bool hand_over(struct worker *w, uint16_t owner, struct buf *bytes, struct view v, const struct origin *o)
{
	struct worker *to = workers_at(w->all, owner);
	struct parcel *p = malloc(sizeof *p);
	struct buf    *own = bytes ? buf_ref(bytes) : buf_from(v);

	must(to);
	if (!p || !own) {
		free(p);
		buf_unref(own);
		count(w, COREC_arena_full);
		return true;
	}
	buf_share(own);
	*p = (struct parcel){ .letter.open = parcel_open, .to = to->loop, .bytes = own, .msg = bytes ? v : buf_view(own) };
	list_init(&p->parked);
	origin_keep(&p->origin, o);

	bool stream = transport_stream(o->transport);
	/* What a connection sent later must not overtake what waits. */
	bool behind = stream && !list_empty(&w->parked) && conn_waits(w, o->conn);

	if (!behind && inbox_post(p->to, &p->letter)) {
		count(w, COREC_handed_over);
		return true;
	}
	count(w, COREC_inbox_full);
	if (!stream) {
		parcel_free(p);
		return true;
	}
	list_add_tail(&w->parked, &p->parked);
	if (!timer_armed(&w->unpark))
		loop_after(w->loop, &w->unpark, UNPARK_MS);
	return false;
}

bool worker_receive(struct worker *w, struct buf *bytes, struct view msg, const struct origin *o)
{
	struct sip_peek p;

	/* What cannot be peeked at is refused where it came in. */
	if (w->n > 1 && sip_peek(msg, &p)) {
		uint16_t owner = dispatch_owner(w->key, w->n, &p);
		if (owner != w->id)
			return hand_over(w, owner, bytes, msg, o);
	}
	deliver(w, bytes, msg, o);
	return true;
}

/* ---- what net says ------------------------------------------------------------------------------------------------------------------ */

static bool on_message(void *arg, struct buf *bytes, struct view msg, const struct origin *o)
{
	return worker_receive(arg, bytes, msg, o);
}

static void on_bad_frame(void *arg, struct view head, enum sip_fault why, const struct origin *o)
{
	struct worker *w = arg;
	struct buf    *copy = head.n ? buf_from(head) : NULL;
	enum sip_fault parsed;

	if (!copy) {
		count(w, COREC_err_requests);
		return;
	}

	struct msg *m = msg_make(w, copy, buf_view(copy), o, &parsed);

	if (m)
		refuse(w, m, why);
	msg_unref(m);
	buf_unref(copy);
}

static void on_send_failed(void *arg, struct ref report, enum send_result why)
{
	struct worker *w = arg;

	if (w->hooks->send_failed)
		w->hooks->send_failed(w, report, why);
}

const struct net_events core_net_events = { .message = on_message, .bad_frame = on_bad_frame, .send_failed = on_send_failed };
