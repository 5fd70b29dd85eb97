#include "stand.h"
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

struct stand stand;

/* ---- net and resolver, faked ------------------------------------------------------------------------------------------------ */

enum send_result net_send(struct net *n, const struct target *t, const struct iovec *iov, int niov, struct ref report)
{
	for (size_t i = 0; i < COUNT_OF(stand.refuse); i++)
		if (stand.refuse[i].result && stand.refuse[i].port == t->to.port)
			return stand.refuse[i].result;
	assert_true(stand.nsent < STAND_SENT);
	assert_non_null(t->from);

	struct stand_sent *s = &stand.sent[stand.nsent++];

	*s = (struct stand_sent){ .target = *t, .report = report };
	if (t->client) {
		s->client = *t->client;
		s->has_client = true;
	}
	for (int i = 0; i < niov; i++) {
		assert_true(s->n + iov[i].iov_len <= sizeof s->bytes);
		memcpy(s->bytes + s->n, iov[i].iov_base, iov[i].iov_len);
		s->n += iov[i].iov_len;
	}
	return SEND_OK;
}

size_t net_header_bytes(const struct target *t)
{
	return stand.header_bytes;
}

const struct socket_conf *net_pick_socket(const struct net_conf *c, const struct socket_conf *forced, const struct socket_conf *received,
	enum transport t, const struct addr *to)
{
	if (forced && forced->transport == t && forced->at.af == to->af)
		return forced;
	if (t == TR_UDP && received && received->transport == t && received->at.af == to->af)
		return received;
	for (size_t i = 0; i < c->nsockets; i++)
		if (c->sockets[i].transport == t && c->sockets[i].at.af == to->af)
			return &c->sockets[i];
	return NULL;
}

const struct socket_conf *net_find_socket(const struct net_conf *c, struct view text)
{
	for (size_t i = 0; i < c->nsockets; i++)
		if (view_is_ci(c->sockets[i].text, text))
			return &c->sockets[i];
	return NULL;
}

struct ref net_find_conn(struct net *n, enum transport t, const struct addr *peer)
{
	return NO_REF;
}

void net_resume(struct net *n, struct ref conn)
{
	stand.nresumed++;
}

bool net_close(struct net *n, struct ref conn)
{
	return false;
}

struct facts *facts_ref(struct facts *f)
{
	return f;
}

void facts_unref(struct facts *f)
{
}

void origin_keep(struct origin *dst, const struct origin *src)
{
	*dst = *src;
}

void origin_drop(struct origin *o)
{
}

int resolve(struct resolver *r, const struct resolve_ask *ask, struct candidate *list, resolve_done *done, void *arg, struct resolve_job **job)
{
	struct addr a;

	if (addr_parse_ip(ask->host, &a)) {
		enum transport t = ask->transport != TR_NONE ? ask->transport : ask->secure ? TR_TLS : TR_UDP;
		a.port = ask->port ? ask->port : transport_port(t);
		list[0] = (struct candidate){ t, a };
		return 1;
	}
	for (size_t i = 0; i < COUNT_OF(stand.names); i++) {
		if (!stand.names[i].host || !view_is_ci(ask->host, view_str(stand.names[i].host)))
			continue;
		if (!stand.names[i].later) {
			memcpy(list, stand.names[i].list, sizeof stand.names[i].list);
			return stand.names[i].n ? stand.names[i].n : -1;
		}
		for (size_t j = 0; j < COUNT_OF(stand.jobs); j++) {
			if (stand.jobs[j].waiting)
				continue;
			stand.jobs[j].done = done;
			stand.jobs[j].arg = arg;
			stand.jobs[j].name = (int)i;
			stand.jobs[j].waiting = true;
			*job = (struct resolve_job *)&stand.jobs[j];
			return 0;
		}
	}
	return -1;
}

void resolve_cancel(struct resolve_job *job)
{
	for (size_t j = 0; j < COUNT_OF(stand.jobs); j++)
		if ((void *)job == (void *)&stand.jobs[j])
			stand.jobs[j].waiting = false;
}

void stand_resolve(int job)
{
	assert_true(stand.jobs[job].waiting);
	stand.jobs[job].waiting = false;
	int n = stand.jobs[job].name;
	stand.jobs[job].done(stand.jobs[job].arg, stand.names[n].list, (size_t)stand.names[n].n, stand.names[n].n ? NULL : "no such name");
}

/* ---- the worker ----------------------------------------------------------------------------------------------------------------- */

static uint64_t clock_ms(void *arg)
{
	return stand.now;
}

static uint64_t chance(void *arg)
{
	return stand.chance += 0x0101010101010101;
}

static void got_request(struct worker *w, struct msg *m)
{
	assert_true(stand.nrequests < 64);
	stand.requests[stand.nrequests++] = m;
}

static void got_reply(struct worker *w, struct msg *m)
{
	assert_true(stand.nreplies < 64);
	stand.replies[stand.nreplies++] = m;
}

static void got_bad(struct worker *w, struct msg *m, enum sip_fault why)
{
	stand.nbad++;
	stand.bad = why;
	msg_unref(m);
}

static const struct core_hooks collect = { .request = got_request, .reply = got_reply, .bad_request = got_bad };

void stand_up(void)
{
	static const struct { const char *text, *at; enum transport t; } sockets[STAND_SOCKETS] = {
		{ "udp:192.0.2.1:5060", "192.0.2.1:5060", TR_UDP }, { "tcp:192.0.2.1:5060", "192.0.2.1:5060", TR_TCP },
		{ "tls:192.0.2.1:5061", "192.0.2.1:5061", TR_TLS }, { "ws:192.0.2.1:80", "192.0.2.1:80", TR_WS },
		{ "wss:192.0.2.1:443", "192.0.2.1:443", TR_WSS }, { "udp:[2001:db8::1]:5060", "[2001:db8::1]:5060", TR_UDP } };

	memset(&stand, 0, sizeof stand);
	for (uint16_t i = 0; i < STAND_SOCKETS; i++) {
		struct socket_conf *s = &stand.sockets[i];
		*s = (struct socket_conf){ .index = i, .transport = sockets[i].t, .text = view_str(sockets[i].text) };
		assert_true(addr_parse(view_str(sockets[i].at), &s->at));
	}
	stand.now = 1000000;
	stand.conf = (struct core_conf){ .net = { .sockets = stand.sockets, .nsockets = STAND_SOCKETS }, .server_signature = true,
		.server_header = VIEW("Server: viaduct"), .workers = 1 };

	struct loop *loop = loop_new(0, (struct loop_clock){ clock_ms, clock_ms, NULL });

	assert_non_null(loop);
	stand.w = (struct worker){ .id = 0, .n = 1, .loop = loop, .conf = &stand.conf, .key = { 1, 2 }, .rand64 = chance, .hooks = &collect };
	loop->user = &stand.w;
	workers_join(workers_new(1), &stand.w);
}

void stand_down(void)
{
	for (int i = 0; i < stand.nrequests; i++)
		msg_unref(stand.requests[i]);
	for (int i = 0; i < stand.nreplies; i++)
		msg_unref(stand.replies[i]);
	loop_free(stand.w.loop);
	free(stand.w.all);
	arena_thread_done();
}

void stand_turn(uint64_t ms)
{
	uint64_t end = stand.now + ms;

	while (stand.now < end) {
		uint64_t next = wheel_next(&stand.w.loop->wheel);
		stand.now = next < end && next > stand.now ? next : next <= stand.now ? stand.now + 1 : end;
		loop_turn(stand.w.loop, 0);
	}
}

struct origin stand_origin(const char *socket, const char *from)
{
	const struct socket_conf *s = net_find_socket(&stand.conf.net, view_str(socket));
	struct origin             o = { .socket = s };

	assert_non_null(s);
	o.transport = s->transport;
	assert_true(addr_parse(view_str(from), &o.wire_src));
	o.wire_dst = s->at;
	o.real_src = o.wire_src;
	o.real_dst = o.wire_dst;
	if (transport_stream(s->transport))
		o.conn = (struct ref){ 0, REF_CONN, 7, 3 };
	return o;
}

void stand_receive(const char *text, const char *socket, const char *from)
{
	struct origin o = stand_origin(socket, from);
	struct buf   *b = buf_from(view_str(text));

	assert_true(worker_receive(&stand.w, b, buf_view(b), &o));
	buf_unref(b);
}

struct msg *stand_msg(const char *text, const char *socket, const char *from)
{
	struct origin  o = stand_origin(socket, from);
	struct buf    *b = buf_from(view_str(text));
	enum sip_fault why;
	struct msg    *m = msg_new(&stand.w, b, buf_view(b), &o, &why);

	buf_unref(b);
	if (!m)
		fail_msg("fault: " VIEW_FMT, VIEW_ARG(sip_fault_text(why)));
	return m;
}

struct view stand_text(int i)
{
	assert_in_range(i, 0, stand.nsent - 1);
	return view_of(stand.sent[i].bytes, stand.sent[i].n);
}

bool view_has(struct view v, const char *needle)
{
	return view_find_view(v, view_str(needle)) < v.n;
}

struct view stand_branch(int i)
{
	struct view v = stand_text(i);
	size_t      at = view_find_view(v, VIEW(";branch="));

	assert_true(at < v.n);
	v = view_from(v, at + 8);
	for (size_t n = 0; n < v.n; n++)
		if (v.p[n] == ';' || v.p[n] == '\r')
			return view_sub(v, 0, n);
	return v;
}

void assert_view(struct view got, const char *want)
{
	struct view w = view_str(want);

	if (!view_is(got, w))
		fail_msg("got:\n" VIEW_FMT "\nwant:\n%s", VIEW_ARG(got), want);
}
