#include "bench.h"
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

struct txn_conf bench_conf;
struct txn_user bench_user;

static void on_request(struct worker *w, struct msg *m)
{
	stand.requests[0] = m;
	stand.nrequests = 1;
}

static void on_reply(struct worker *w, struct msg *m)
{
	if (!txn_receive_reply(w, m))
		msg_unref(m);
}

static const struct core_hooks hooks = { .request = on_request, .reply = on_reply, .send_failed = txn_send_failed };

void bench_up(void)
{
	stand_up();
	stand.conf.server_signature = false;
	stand.w.hooks = &hooks;
	bench_conf = txn_conf_rfc();
	bench_conf.auto_100 = false;
	bench_user = (struct txn_user){ 0 };
	stand.w.txns = txns_new(&stand.w, &bench_conf, &bench_user);
	assert_non_null(stand.w.txns);
}

void bench_down(void)
{
	txns_free(stand.w.txns);
	stand_down();
}

struct txns *bench_txns(void)
{
	return stand.w.txns;
}

uint64_t bench_counter(enum txn_counter c)
{
	return txns_counts(stand.w.txns)[c];
}

struct msg *bench_request(const char *method, const char *id, const char *socket, const char *from)
{
	char text[2048];

	snprintf(text, sizeof text, "%s sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/%.3s 198.51.100.7:4000;branch=z9hG4bK%s\r\nFrom: <sip:alice@example.com>;tag=a1\r\n"
		"To: <sip:bob@example.com>%s\r\nCall-ID: c1@example.com\r\nCSeq: 1 %s\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
		method, *socket == 't' ? "TCP" : "UDP", id, "", method);
	stand.nrequests = 0;
	stand_receive(text, socket, from);
	assert_int_equal(stand.nrequests, 1);
	stand.nrequests = 0;
	return stand.requests[0];
}

struct txn *bench_txn(const char *method, const char *id, const char *socket)
{
	struct msg *m = bench_request(method, id, socket, "198.51.100.7:4000");
	struct txn *t = txn_new(&stand.w, m);

	msg_unref(m);
	return t;
}

struct branch *bench_branch(struct txn *t, const char *uri)
{
	struct msg_route r = t->request->route;

	r.ruri = view_str(uri);
	return txn_add_branch(t, &r, NULL);
}

static void put_lines(struct out *o, struct view sent, const char *name)
{
	size_t n = strlen(name);

	while (sent.n) {
		size_t end = view_find(sent, '\n') + 1;
		if (sent.n > n && view_is(view_sub(sent, 0, n), view_str(name)) && sent.p[n] == ':')
			put(o, view_sub(sent, 0, end - 2));
		if (o->n && sent.n > n && view_is(view_sub(sent, 0, n), view_str(name)) && sent.p[n] == ':') {
			if (view_is(view_str(name), VIEW("To")) && view_find_view(view_sub(sent, 0, end), VIEW(";tag=")) == end)
				put(o, VIEW(";tag=callee"));
			put(o, VIEW("\r\n"));
		}
		sent = view_from(sent, end);
	}
}

void bench_answer(int i, int status)
{
	struct view sent = stand_text(i);
	char        text[4096], from[ADDR_TEXT_MAX];
	struct out  o = out_to(text, sizeof text - 1);
	struct stand_sent *s = &stand.sent[i];

	putf(&o, "SIP/2.0 %d Whatever\r\n", status);
	put_lines(&o, sent, "Via");
	put_lines(&o, sent, "From");
	put_lines(&o, sent, "To");
	put_lines(&o, sent, "Call-ID");
	put_lines(&o, sent, "CSeq");
	put(&o, VIEW("Content-Length: 0\r\n\r\n"));
	text[o.n] = 0;
	struct view a = addr_text(&s->target.to, from);
	char peer[ADDR_TEXT_MAX + 1] = { 0 };
	memcpy(peer, a.p, a.n);
	char socket[80] = { 0 };
	memcpy(socket, s->target.from->text.p, s->target.from->text.n);
	stand_receive(text, socket, peer);
}

int bench_count(int from, const char *start, int *last)
{
	int n = 0, at = -1;

	for (int i = from; i < stand.nsent; i++) {
		if (view_starts(stand_text(i), view_str(start))) {
			n++;
			at = i;
		}
	}
	if (last)
		*last = at;
	return n;
}
