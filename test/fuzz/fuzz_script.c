/* Source text -> script_load(), then every route{} that came of it runs on one message.  What must hold: no crash, no leak, no
 * undefined behaviour; a refused text has a finding; a run ends. */
#include "script/script.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char message[] = "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx1\r\n"
	"From: \"Alice\" <sip:alice@example.org>;tag=a1\r\nTo: <sip:bob@example.com>\r\nCall-ID: call-1\r\nCSeq: 1 INVITE\r\n"
	"Max-Forwards: 70\r\nX-Test: one\r\nX-Test: two\r\nContent-Length: 0\r\n\r\n";

static uint64_t clock_now(void *arg) { return 1000000; }
static uint64_t no_chance(void *arg) { return 4; }
static void unheard(void *arg, int level, struct view text) { }
static void ended(struct run *r, enum run_end end, int rc) { *(bool *)r->user = true; }

static const struct module proto_udp = { .name = "proto_udp", .id = 1 };
static const struct module *const modules[] = { &proto_udp };
static const char *const absent[] = { "dialog", NULL };

static bool no_file(void *arg, struct view path, struct arena *a, struct view *out, struct out *err)
{
	putf(err, "no files here");
	return false;
}

static void run_all(const struct script *s)
{
	const struct loop_clock clock = { clock_now, clock_now, NULL };
	struct loop            *loop = loop_new(0, clock);
	struct worker           w = { .n = 1, .loop = loop, .conf = script_conf(s), .rand64 = no_chance, .hooks = &script_hooks };
	struct origin           o = { .transport = TR_UDP, .socket = &script_conf(s)->net.sockets[0] };
	char                    why[128];
	struct out              err = out_to(why, sizeof why);
	enum sip_fault          fault;

	must(loop && script_worker_init(&w, s, &err));
	script_log_to(&w, unheard, NULL);
	addr_parse(VIEW("192.0.2.1:5060"), &o.wire_src);
	o.real_src = o.wire_src;
	for (int number = 0; number < SCRIPT_ROUTES; number++) {
		struct buf *b = buf_from(VIEW(message));
		struct msg *m = msg_new(&w, b, buf_view(b), &o, &fault);
		bool        done = false;
		struct run  r = { .w = &w, .script = s, .type = ROUTE_REQUEST, .msg = m, .request = m, .route = &m->route, .edits = &m->edits, .branch = -1,
			.tmp = m->arena, .rc = 1, .done = ended, .user = &done };
		buf_unref(b);
		bool there = run_start_number(&r, number);
		must(!there || done);
		msg_unref(m);
		if (!there)
			break;
	}
	script_worker_done(&w);
	loop_free(loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char  head[] = "socket=udp:127.0.0.1:5060 loadmodule \"proto_udp.so\" max_while_loops=20\n", open[] = "route {\n", close[] = "\n}\n";
	struct view        text = view_of((const char *)data, n), whole;
	struct arena      *a = arena_new(16 << 20);
	struct diags       d = { .arena = a };
	struct script_env  env = { .modules = modules, .nmodules = COUNT_OF(modules), .known_absent = absent, .read_file = no_file };
	bool               body = n && data[0] & 1;

	text = view_from(text, 1);
	whole = body ? arena_join(a, (struct view[]){ VIEW(head), VIEW(open), text, VIEW(close) }, 4) : arena_join(a, (struct view[]){ VIEW(head), text }, 2);

	struct script *s = whole.p ? script_load(VIEW("fuzz.cfg"), whole, &env, &d) : NULL;

	must(s || !whole.p || d.errors);
	if (s) {
		run_all(s);
	} else {
		char       room[4096];
		struct out o = out_to(room, sizeof room);
		for (const struct diag *x = d.first; x; x = x->next)
			diag_print(x, &o);
	}
	script_free(s);
	arena_free(a);
	return 0;
}
