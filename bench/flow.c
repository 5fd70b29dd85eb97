#include "flow.h"

#include "sip.h"

#include <arpa/inet.h>
#include <stdlib.h>

enum {
	T1_US = 500000,
	T2_US = 4000000,
	SCAN_US = 50000, /* how exactly T1 is kept */
	MSG_MAX = 3072,
	HEAD_MAX = 1536,
	ROUTE_MAX = 768,
	TARGET_MAX = 128,
	NONE = UINT32_MAX,
};

/* What a message is, as its branch, CSeq and mark say. */
enum step { STEP_INVITE, STEP_ACK, STEP_BYE, STEP_OPTIONS };

static const struct {
	struct view method, cseq;
	char letter;
} steps[] = {
	[STEP_INVITE] = { { "INVITE", 6 }, { "1 INVITE", 8 }, 'i' },
	[STEP_ACK] = { { "ACK", 3 }, { "1 ACK", 5 }, 'a' },
	[STEP_BYE] = { { "BYE", 3 }, { "2 BYE", 5 }, 'b' },
	[STEP_OPTIONS] = { { "OPTIONS", 7 }, { "1 OPTIONS", 9 }, 'o' },
};

static const char *const seen_names[SEEN_KINDS] = { "INVITE", "180",     "200",     "ACK",
	                                            "BYE",    "BYE-200", "OPTIONS", "OPTIONS-200" };

/* Retransmission of one end, RFC 3261 17.1.1.2, 17.1.2.2, 13.3.1.4. */
struct again {
	uint64_t due, gap; /* due 0: nothing to repeat */
};

struct call {
	uint64_t nonce; /* 0: free */
	uint64_t began;
	uint32_t next, prev; /* of the open list, or the free list */
	uint32_t client;
	uint16_t seen;
	uint16_t head_n, route_n, target_n;
	enum step caller_step;
	struct again caller, callee;
	struct link *callee_link;
	struct sockaddr_in callee_peer;
	char head[HEAD_MAX];     /* callee: headers every answer repeats */
	char route[ROUTE_MAX];   /* caller: Route lines */
	char target[TARGET_MAX]; /* caller: remote target */
};

/* Calls that all wait equally long, so the first is always due first. */
struct queue {
	uint32_t head, tail, mask;
	struct {
		uint64_t due, nonce;
		uint32_t slot;
	} *at;
};

struct flow {
	struct flow_config config;
	struct net *net;
	struct call *calls;
	uint32_t free, open, open_n;
	uint32_t next_client;
	uint64_t rng, now, scan_due;
	uint16_t want;
	struct queue ringing, talking;
	struct flow_counts counts;
	char (*contact)[TARGET_MAX]; /* each client's Via sent-by */
};

const char *flow_seen_name(enum flow_seen s)
{
	return seen_names[s];
}

const struct flow_counts *flow_counts(const struct flow *f)
{
	return &f->counts;
}

unsigned flow_open(const struct flow *f)
{
	return f->open_n;
}

static void queue_init(struct queue *q, uint32_t room)
{
	uint32_t n = 1;

	/* A call enters a queue once in its life but may leave the window before
	 * its entry does; twice the window is enough because give_up is longer
	 * than any wait. */
	while (n < room * 2)
		n *= 2;
	q->mask = n - 1;
	q->at = calloc(n, sizeof(*q->at));
	if (!q->at)
		die("out of memory");
}

static void queue_push(struct queue *q, uint64_t due, uint64_t nonce, uint32_t slot)
{
	if (q->tail - q->head > q->mask)
		die("a waiting queue overflowed");
	q->at[q->tail & q->mask].due = due;
	q->at[q->tail & q->mask].nonce = nonce;
	q->at[q->tail++ & q->mask].slot = slot;
}

struct flow *flow_new(const struct flow_config *config)
{
	struct flow *f = calloc(1, sizeof(*f));

	if (!f)
		die("out of memory");
	f->config = *config;
	f->calls = calloc(config->window, sizeof(*f->calls));
	if (!f->calls)
		die("out of memory");
	for (uint32_t i = 0; i < config->window; i++)
		f->calls[i].next = i + 1 < config->window ? i + 1 : NONE;
	f->open = NONE;
	f->rng = config->seed * 2 + 1;
	if (config->kind == FLOW_CALL)
		f->want = 1 << SEEN_INVITE | 1 << SEEN_180 | 1 << SEEN_200 | 1 << SEEN_ACK | 1 << SEEN_BYE |
		          1 << SEEN_BYE_200;
	else
		f->want = 1 << SEEN_OPTIONS | 1 << SEEN_OPTIONS_200;
	queue_init(&f->ringing, config->window);
	queue_init(&f->talking, config->window);
	return f;
}

static void out_addr(struct out *o, const struct sockaddr_in *a)
{
	char buf[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &a->sin_addr, buf, sizeof(buf));
	out_view(o, (struct view){ buf, strlen(buf) });
	out_lit(o, ":");
	out_dec(o, ntohs(a->sin_port));
}

void flow_attach(struct flow *f, struct net *net)
{
	f->net = net;
	f->contact = calloc(f->config.clients, sizeof(*f->contact));
	if (!f->contact)
		die("out of memory");
	for (uint32_t i = 0; i < f->config.clients; i++) {
		struct out o = { f->contact[i], 0, TARGET_MAX - 1, false };
		out_addr(&o, &net_client(net, i)->local);
	}
}

void flow_free(struct flow *f)
{
	free(f->ringing.at);
	free(f->talking.at);
	free(f->calls);
	free(f->contact);
	free(f);
}

/* ---- the open list ---------------------------------------------------- */

/* splitmix64: only uniqueness matters. Never 0. */
static uint64_t nonce_new(struct flow *f)
{
	uint64_t z = (f->rng += 0x9e3779b97f4a7c15u);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	z ^= z >> 31;
	return z ? z : 1;
}

static uint32_t call_open(struct flow *f)
{
	uint32_t slot = f->free;
	struct call *c;

	if (slot == NONE)
		return NONE;
	c = &f->calls[slot];
	f->free = c->next;
	c->nonce = nonce_new(f);
	c->began = f->now;
	c->seen = 0;
	c->head_n = c->route_n = c->target_n = 0;
	c->caller = c->callee = (struct again){ 0, 0 };
	c->callee_link = NULL;
	c->prev = NONE;
	c->next = f->open;
	if (f->open != NONE)
		f->calls[f->open].prev = slot;
	f->open = slot;
	f->open_n++;
	return slot;
}

static void call_close(struct flow *f, struct call *c)
{
	uint32_t slot = (uint32_t)(c - f->calls);

	if (c->prev != NONE)
		f->calls[c->prev].next = c->next;
	else
		f->open = c->next;
	if (c->next != NONE)
		f->calls[c->next].prev = c->prev;
	c->nonce = 0;
	c->next = f->free;
	f->free = slot;
	f->open_n--;
}

static void call_fail(struct flow *f, struct call *c, uint64_t *why)
{
	++*why;
	f->counts.failed++;
	for (unsigned i = 0; i < SEEN_KINDS; i++) {
		if (f->want & ~c->seen & 1u << i)
			f->counts.missing[i]++;
	}
	call_close(f, c);
}

/* A message arrived where it should. */
static void call_saw(struct flow *f, struct call *c, enum flow_seen what)
{
	if (c->seen & 1u << what) {
		f->counts.repeated++;
		return;
	}
	c->seen |= (uint16_t)(1u << what);
	if (c->seen == f->want) {
		f->counts.ok++;
		call_close(f, c);
	}
}

static void again_start(struct flow *f, struct again *a, bool repeat)
{
	a->gap = T1_US;
	a->due = repeat ? f->now + T1_US : 0;
}

/* ---- the caller's messages -------------------------------------------- */

static const struct view via_names[] = {
	[T_UDP] = { "UDP ", 4 }, [T_TCP] = { "TCP ", 4 }, [T_TLS] = { "TLS ", 4 },
	[T_WS] = { "WS ", 3 },   [T_WSS] = { "WSS ", 4 },
};

static const struct view uri_transports[] = {
	[T_UDP] = { "", 0 },
	[T_TCP] = { ";transport=tcp", 14 },
	[T_TLS] = { ";transport=tls", 14 },
	[T_WS] = { ";transport=ws", 13 },
	[T_WSS] = { ";transport=ws", 13 },
};

static void out_mark(struct out *o, const struct call *c, struct view what)
{
	out_lit(o, "X-Bench: ");
	out_hex(o, c->nonce, 16);
	out_lit(o, "-");
	out_view(o, what);
	out_lit(o, "\r\n");
}

static struct view client_host(const struct flow *f, const struct call *c)
{
	return (struct view){ f->contact[c->client], strlen(f->contact[c->client]) };
}

static void out_via(struct out *o, const struct flow *f, const struct call *c, enum step step)
{
	out_lit(o, "Via: SIP/2.0/");
	out_view(o, via_names[f->config.client]);
	out_view(o, client_host(f, c));
	out_lit(o, ";rport;branch=z9hG4bK");
	out_hex(o, c->nonce, 16);
	out_view(o, (struct view){ &steps[step].letter, 1 });
	out_lit(o, "\r\n");
}

static void out_ids(struct out *o, const struct flow *f, const struct call *c, enum step step, bool in_dialog)
{
	out_lit(o, "Max-Forwards: 70\r\nFrom: \"Bench\" <sip:caller@bench.invalid>;tag=");
	out_hex(o, c->nonce, 16);
	out_lit(o, "\r\nTo: <sip:callee@bench.invalid>");
	if (in_dialog) {
		out_lit(o, ";tag=");
		out_hex(o, ~c->nonce, 16);
	}
	out_lit(o, "\r\nCall-ID: ");
	out_hex(o, (uint64_t)(c - f->calls), 8);
	out_hex(o, c->nonce, 16);
	out_lit(o, "@bench\r\nCSeq: ");
	out_view(o, steps[step].cseq);
	out_lit(o, "\r\n");
	out_mark(o, c, steps[step].method);
}

static void out_sdp(struct out *o, const struct call *c, bool answer)
{
	char buf[512];
	struct out s = { buf, 0, sizeof(buf), false };

	out_lit(&s, "v=0\r\no=- ");
	out_hex(&s, answer ? ~c->nonce : c->nonce, 16);
	out_lit(&s, " 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
	            "m=audio 40000 RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\n"
	            "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n");
	out_lit(o, "Content-Type: application/sdp\r\nContent-Length: ");
	out_dec(o, s.n);
	out_lit(o, "\r\n\r\n");
	out_view(o, out_done(&s));
}

static void caller_post(struct flow *f, struct call *c, struct out *o)
{
	if (o->full)
		die("a message grew over its room");
	link_send(net_client(f->net, c->client), NULL, out_done(o));
}

/* INVITE or OPTIONS: the request that opens a call. */
static void caller_first(struct flow *f, struct call *c, enum step step)
{
	char buf[MSG_MAX];
	struct out o = { buf, 0, sizeof(buf), false };

	out_view(&o, steps[step].method);
	out_lit(&o, " sip:callee@");
	out_addr(&o, &f->config.server);
	out_lit(&o, " SIP/2.0\r\n");
	out_via(&o, f, c, step);
	out_ids(&o, f, c, step, false);
	out_lit(&o, "Contact: <sip:caller@");
	out_view(&o, client_host(f, c));
	out_view(&o, uri_transports[f->config.client]);
	out_lit(&o, ">\r\n");
	if (step == STEP_INVITE)
		out_sdp(&o, c, false);
	else
		out_lit(&o, "Content-Length: 0\r\n\r\n");
	caller_post(f, c, &o);
}

/* ACK or BYE along the route set, RFC 3261 12.2.1.1. */
static void caller_next(struct flow *f, struct call *c, enum step step)
{
	char buf[MSG_MAX];
	struct out o = { buf, 0, sizeof(buf), false };

	out_view(&o, steps[step].method);
	out_lit(&o, " ");
	out_view(&o, (struct view){ c->target, c->target_n });
	out_lit(&o, " SIP/2.0\r\n");
	out_via(&o, f, c, step);
	out_view(&o, (struct view){ c->route, c->route_n });
	out_ids(&o, f, c, step, true);
	out_lit(&o, "Content-Length: 0\r\n\r\n");
	caller_post(f, c, &o);
}

/* ACK to a refusal: same branch and hop as the INVITE, RFC 3261 17.1.1.3. */
static void caller_ack_refusal(struct flow *f, struct call *c, const struct sip *m)
{
	char buf[MSG_MAX];
	struct out o = { buf, 0, sizeof(buf), false };

	out_lit(&o, "ACK sip:callee@");
	out_addr(&o, &f->config.server);
	out_lit(&o, " SIP/2.0\r\n");
	out_via(&o, f, c, STEP_INVITE);
	out_lit(&o, "Max-Forwards: 70\r\nFrom: ");
	out_view(&o, m->from);
	out_lit(&o, "\r\nTo: ");
	out_view(&o, m->to);
	out_lit(&o, "\r\nCall-ID: ");
	out_view(&o, m->call_id);
	out_lit(&o, "\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n");
	caller_post(f, c, &o);
}

bool flow_start(struct flow *f, uint64_t now)
{
	uint32_t slot;

	f->now = now;
	slot = call_open(f);
	if (slot == NONE)
		return false;

	struct call *c = &f->calls[slot];
	c->client = f->next_client;
	f->next_client = (f->next_client + 1) % f->config.clients;
	c->caller_step = f->config.kind == FLOW_CALL ? STEP_INVITE : STEP_OPTIONS;
	f->counts.started++;
	again_start(f, &c->caller, f->config.client == T_UDP);
	caller_first(f, c, c->caller_step);
	return true;
}

void flow_overrun(struct flow *f)
{
	f->counts.started++;
	f->counts.failed++;
	f->counts.overrun++;
}

/* ---- the callee's messages -------------------------------------------- */

/* Keep what every answer to this request repeats, RFC 3261 8.2.6.2. */
static void callee_keep(struct call *c, const struct sip *m)
{
	struct out o = { c->head, 0, sizeof(c->head), false };

	for (unsigned i = 0; i < m->vias; i++) {
		out_lit(&o, "Via: ");
		out_view(&o, m->via[i]);
		out_lit(&o, "\r\n");
	}
	for (unsigned i = 0; i < m->record_routes; i++) {
		out_lit(&o, "Record-Route: ");
		out_view(&o, m->record_route[i]);
		out_lit(&o, "\r\n");
	}
	out_lit(&o, "From: ");
	out_view(&o, m->from);
	out_lit(&o, "\r\nTo: ");
	out_view(&o, m->to);
	if (!sip_param(m->to, VIEW(";tag=")).n) {
		out_lit(&o, ";tag=");
		out_hex(&o, ~c->nonce, 16);
	}
	out_lit(&o, "\r\nCall-ID: ");
	out_view(&o, m->call_id);
	out_lit(&o, "\r\nCSeq: ");
	out_view(&o, m->cseq);
	out_lit(&o, "\r\n");
	if (o.full)
		die("a request grew over the room for its headers");
	c->head_n = (uint16_t)o.n;
}

static void callee_answer(struct flow *f, struct call *c, struct view status, struct view mark, bool contact, bool sdp)
{
	char buf[MSG_MAX];
	struct out o = { buf, 0, sizeof(buf), false };

	out_lit(&o, "SIP/2.0 ");
	out_view(&o, status);
	out_lit(&o, "\r\n");
	out_view(&o, (struct view){ c->head, c->head_n });
	out_mark(&o, c, mark);
	if (contact) {
		out_lit(&o, "Contact: <sip:u");
		out_hex(&o, c->nonce, 16);
		out_lit(&o, "@");
		out_addr(&o, &f->config.platform_at);
		out_view(&o, uri_transports[f->config.platform]);
		out_lit(&o, ">\r\n");
	}
	if (sdp)
		out_sdp(&o, c, true);
	else
		out_lit(&o, "Content-Length: 0\r\n\r\n");
	if (o.full)
		die("an answer grew over its room");
	link_send(c->callee_link, c->callee_link->stream ? NULL : &c->callee_peer, out_done(&o));
}

static void callee_ring(struct flow *f, struct call *c)
{
	callee_answer(f, c, VIEW("180 Ringing"), VIEW("180"), true, false);
}

static void callee_pick_up(struct flow *f, struct call *c)
{
	callee_answer(f, c, VIEW("200 OK"), VIEW("200"), true, true);
}

/* ---- what arrives ----------------------------------------------------- */

/* The mark of a message: the call's nonce and `what`. */
static bool mark_good(const struct call *c, const struct sip *m, struct view what)
{
	char buf[64];
	struct out o = { buf, 0, sizeof(buf), false };

	out_hex(&o, c->nonce, 16);
	out_lit(&o, "-");
	out_view(&o, what);
	return view_is(m->mark, out_done(&o));
}

static bool tag_good(struct view value, uint64_t tag)
{
	uint64_t got;
	struct view v = sip_param(value, VIEW(";tag="));

	return v.n == 16 && view_hex(v, 16, &got) && got == tag;
}

static bool branch_good(const struct call *c, struct view via, enum step step)
{
	struct view v = sip_param(via, VIEW(";branch=z9hG4bK"));
	uint64_t got;

	return v.n == 17 && view_hex(v, 16, &got) && got == c->nonce && v.p[16] == steps[step].letter;
}

static bool body_good(const struct call *c, const struct sip *m, bool answer)
{
	char buf[768];
	struct out o = { buf, 0, sizeof(buf), false };

	out_sdp(&o, c, answer);
	return o.n >= m->body.n && m->body.n && memcmp(o.p + o.n - m->body.n, m->body.p, m->body.n) == 0 &&
	       memcmp(o.p + o.n - m->body.n - 4, "\r\n\r\n", 4) == 0;
}

/* A request as the callee must see it: every value the caller gave it, and
 * one more Via if a proxy is between. */
static bool request_good(const struct flow *f, const struct call *c, const struct sip *m, enum step step)
{
	bool in_dialog = step == STEP_ACK || step == STEP_BYE;
	bool routed = f->config.routed;

	if (!mark_good(c, m, steps[step].method) || !tag_good(m->from, c->nonce))
		return false;
	if (m->vias != (routed ? 2u : 1u) || !branch_good(c, m->via[m->vias - 1], step))
		return false;
	if (!view_is(m->cseq, steps[step].cseq) || m->routes)
		return false;
	if (step == STEP_INVITE)
		return body_good(c, m, false) && (m->record_routes > 0) == routed;
	if (!in_dialog)
		return true;

	struct view user = { m->ruri.p + 5, m->ruri.n > 5 ? m->ruri.n - 5 : 0 };
	uint64_t got;
	return tag_good(m->to, ~c->nonce) && view_starts(m->ruri, VIEW("sip:u")) && view_hex(user, 16, &got) &&
	       got == c->nonce;
}

static void on_invite(struct flow *f, struct call *c, const struct sip *m)
{
	if (c->seen & 1 << SEEN_INVITE) {
		f->counts.repeated++;
		/* Once picked up, the 200 is repeated by its own timer. */
		if (!(c->seen & 1 << SEEN_ACK) && !c->callee.due)
			callee_ring(f, c);
		return;
	}
	callee_keep(c, m);
	callee_ring(f, c);
	queue_push(&f->ringing, f->now + f->config.ring, c->nonce, (uint32_t)(c - f->calls));
	call_saw(f, c, SEEN_INVITE);
}

/* Answer BYE or OPTIONS. The kept headers of the INVITE are over by then,
 * but its 200 may still have to be repeated until the ACK arrives, so they
 * come back. */
static void on_simple(struct flow *f, struct call *c, const struct sip *m, enum flow_seen seen)
{
	char head[HEAD_MAX];
	uint16_t head_n = c->head_n;

	memcpy(head, c->head, head_n);
	callee_keep(c, m);
	callee_answer(f, c, VIEW("200 OK"), m->method, false, false);
	memcpy(c->head, head, head_n);
	c->head_n = head_n;
	call_saw(f, c, seen);
}

static void callee_in(struct flow *f, struct call *c, struct link *l, const struct sockaddr_in *from,
                      const struct sip *m)
{
	unsigned step = 0;

	while (step < sizeof(steps) / sizeof(steps[0]) && !view_is(m->method, steps[step].method))
		step++;
	if (step == sizeof(steps) / sizeof(steps[0]) || !request_good(f, c, m, (enum step)step)) {
		f->counts.corrupt++;
		return;
	}
	if (step != STEP_ACK) {
		c->callee_link = l;
		if (from)
			c->callee_peer = *from;
	}
	switch ((enum step)step) {
	case STEP_INVITE:
		on_invite(f, c, m);
		break;
	case STEP_ACK:
		c->callee.due = 0;
		call_saw(f, c, SEEN_ACK);
		break;
	case STEP_BYE:
		on_simple(f, c, m, SEEN_BYE);
		break;
	case STEP_OPTIONS:
		on_simple(f, c, m, SEEN_OPTIONS);
		break;
	}
}

static void on_answered(struct flow *f, struct call *c, const struct sip *m)
{
	struct out route = { c->route, 0, sizeof(c->route), false };
	struct out target = { c->target, 0, sizeof(c->target), false };

	if (c->seen & 1 << SEEN_200) {
		/* The ACK was lost, RFC 3261 13.2.2.4. */
		caller_next(f, c, STEP_ACK);
		f->counts.repeated++;
		return;
	}
	sip_route_set(&route, m);
	out_view(&target, sip_uri(m->contact));
	if (route.full || target.full || !target.n || (route.n > 0) != f->config.routed) {
		f->counts.corrupt++;
		return;
	}
	c->route_n = (uint16_t)route.n;
	c->target_n = (uint16_t)target.n;
	c->caller.due = 0;
	hist_add(&f->counts.setup, f->now > c->began + f->config.ring ? f->now - c->began - f->config.ring : 0);
	caller_next(f, c, STEP_ACK);
	queue_push(&f->talking, f->now + f->config.talk, c->nonce, (uint32_t)(c - f->calls));
	call_saw(f, c, SEEN_200);
}

static bool response_good(const struct call *c, const struct sip *m, enum step step)
{
	struct view what = steps[step].method;

	if (m->vias != 1 || !branch_good(c, m->via[0], step) || !tag_good(m->from, c->nonce))
		return false;
	/* What the server says by itself carries none of the callee's marks. */
	if (m->status == 100 || m->status >= 300)
		return true;
	if (step == STEP_INVITE)
		what = m->status == 180 ? VIEW("180") : VIEW("200");
	if (step == STEP_INVITE && m->status == 200 && !body_good(c, m, true))
		return false;
	return mark_good(c, m, what) && tag_good(m->to, ~c->nonce);
}

static void on_refused(struct flow *f, struct call *c, const struct sip *m, enum step step)
{
	if (step == STEP_INVITE)
		caller_ack_refusal(f, c, m);
	call_fail(f, c, &f->counts.rejected);
}

static void on_ringing(struct flow *f, struct call *c)
{
	if (!(c->seen & 1 << SEEN_180))
		hist_add(&f->counts.latency, f->now - c->began);
	call_saw(f, c, SEEN_180);
}

static void caller_in(struct flow *f, struct call *c, const struct sip *m)
{
	enum step step = STEP_INVITE;

	if (view_is(m->cseq, steps[STEP_BYE].cseq))
		step = STEP_BYE;
	else if (view_is(m->cseq, steps[STEP_OPTIONS].cseq))
		step = STEP_OPTIONS;
	if (!response_good(c, m, step)) {
		f->counts.corrupt++;
		return;
	}
	if (m->status == 100)
		f->counts.trying++;
	/* A provisional answer ends the repetition of an INVITE, 17.1.1.2. */
	if (m->status < 200 && step == STEP_INVITE && c->caller_step == STEP_INVITE)
		c->caller.due = 0;
	if (m->status >= 300) {
		on_refused(f, c, m, step);
	} else if (m->status == 180 && step == STEP_INVITE) {
		on_ringing(f, c);
	} else if (m->status == 200 && step == STEP_INVITE) {
		on_answered(f, c, m);
	} else if (m->status == 200) {
		c->caller.due = 0;
		if (step == STEP_OPTIONS && !(c->seen & 1 << SEEN_OPTIONS_200))
			hist_add(&f->counts.latency, f->now - c->began);
		call_saw(f, c, step == STEP_BYE ? SEEN_BYE_200 : SEEN_OPTIONS_200);
	}
}

void flow_in(void *arg, struct link *l, const struct sockaddr_in *from, struct view msg)
{
	struct flow *f = arg;
	struct sip m;
	size_t used;
	uint64_t slot, nonce;

	if (sip_read(msg, true, &m, &used) != SIP_OK || !m.vias) {
		f->counts.unparsed++;
		return;
	}
	struct view id = m.call_id;
	if (id.n != 30 || !view_hex(id, 8, &slot) || !view_hex((struct view){ id.p + 8, 16 }, 16, &nonce) ||
	    slot >= f->config.window) {
		f->counts.corrupt++;
		return;
	}
	struct call *c = &f->calls[slot];
	if (c->nonce != nonce) {
		f->counts.repeated++;
		return;
	}
	if ((m.status > 0) != l->client || (l->client && l->id != c->client)) {
		f->counts.misrouted++;
		return;
	}
	if (m.status)
		caller_in(f, c, &m);
	else
		callee_in(f, c, l, from, &m);
}

/* ---- time ------------------------------------------------------------- */

/* The call at the queue's head if it is due and still open; *wait is lowered
 * to the time until the head is due. */
static struct call *queue_due(struct flow *f, struct queue *q, uint64_t *wait)
{
	while (q->head != q->tail) {
		uint32_t i = q->head & q->mask;
		if (q->at[i].due > f->now) {
			if (q->at[i].due - f->now < *wait)
				*wait = q->at[i].due - f->now;
			return NULL;
		}
		q->head++;
		struct call *c = &f->calls[q->at[i].slot];
		if (c->nonce == q->at[i].nonce)
			return c;
	}
	return NULL;
}

static void again_next(struct flow *f, struct again *a, bool invite)
{
	a->gap *= 2;
	if (!invite && a->gap > T2_US)
		a->gap = T2_US;
	a->due = f->now + a->gap;
}

static void scan_call(struct flow *f, struct call *c)
{
	if (f->now - c->began > f->config.give_up) {
		call_fail(f, c, &f->counts.timed_out);
		return;
	}
	if (c->caller.due && c->caller.due <= f->now) {
		f->counts.retrans_caller++;
		again_next(f, &c->caller, c->caller_step == STEP_INVITE);
		if (c->caller_step == STEP_BYE)
			caller_next(f, c, STEP_BYE);
		else
			caller_first(f, c, c->caller_step);
	}
	if (c->callee.due && c->callee.due <= f->now) {
		f->counts.retrans_callee++;
		again_next(f, &c->callee, false);
		callee_pick_up(f, c);
	}
}

static void scan(struct flow *f)
{
	for (uint32_t slot = f->open; slot != NONE;) {
		uint32_t next = f->calls[slot].next;
		scan_call(f, &f->calls[slot]);
		slot = next;
	}
}

uint64_t flow_tick(struct flow *f, uint64_t now)
{
	uint64_t wait = 100000;
	struct call *c;

	f->now = now;
	while ((c = queue_due(f, &f->ringing, &wait))) {
		again_start(f, &c->callee, true);
		callee_pick_up(f, c);
	}
	while ((c = queue_due(f, &f->talking, &wait))) {
		c->caller_step = STEP_BYE;
		again_start(f, &c->caller, f->config.client == T_UDP);
		caller_next(f, c, STEP_BYE);
	}
	if (now >= f->scan_due) {
		f->scan_due = now + SCAN_US;
		scan(f);
	}
	return wait;
}
