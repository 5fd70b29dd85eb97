/* The worker's side of scripts: hooks in their order, timer and startup routes on a clock turned by hand, runs that wait. */
#include "script/script.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

static char       said_room[4096];
static struct out said;
static uint64_t   now;

static uint64_t clock_now(void *arg) { return now; }
static uint64_t no_chance(void *arg) { return 4; }
static void     heard(void *arg, int level, struct view text)
{
	put(&said, text);
	put_char(&said, '|');
}

/* ---- a module that suspends, and that takes replies ---------------------------------------------------------------- */

static struct run *waiting;
static int wait_here(struct run *r, const struct arg *a)
{
	waiting = r;
	return SCRIPT_WAIT;
}
static bool takes_reply;
static bool on_reply(struct worker *w, struct msg *m)
{
	heard(NULL, 0, VIEW("module"));
	if (takes_reply)
		msg_unref(m);
	return takes_reply;
}
static int  workers_up;
static bool up(struct worker *w, const void *conf, void **state)
{
	*state = &workers_up;
	workers_up++;
	return true;
}
static bool refuses;
static bool refuse(struct worker *w, const void *conf, void **state) { return !refuses; }
static void down(struct worker *w, void *state)
{
	assert_ptr_equal(state, &workers_up);
	workers_up--;
}
static const struct script_func funcs[] = { { "wait_here", wait_here, { ARG_NONE }, ROUTE_ANY, "waits" }, { NULL } };
static const struct module test_mod = { .name = "test", .id = 1, .funcs = funcs, .on_reply = on_reply, .worker_init = up, .worker_done = down };
static const struct module udp = { .name = "proto_udp", .id = 2, .worker_init = refuse };
static const struct module *const modules[] = { &test_mod, &udp };

/* ---- a worker --------------------------------------------------------------------------------------------------------- */

struct stand { struct arena *a; struct script *script; struct loop *loop; struct worker w; };

static bool stand_up(struct stand *s, const char *routes)
{
	char              why[256];
	struct out        err = out_to(why, sizeof why);
	struct script_env env = { .modules = modules, .nmodules = COUNT_OF(modules) };

	*s = (struct stand){ .a = arena_new(1 << 20) };
	struct diags d = { .arena = s->a };
	struct view  text = arena_fmt(s->a, "socket=udp:127.0.0.1:5060\nloadmodule \"proto_udp.so\"\nloadmodule \"test.so\"\n%s", routes);

	s->script = script_load(VIEW("t.cfg"), text, &env, &d);
	assert_non_null(s->script);
	now = 1000000;
	s->loop = loop_new(0, (struct loop_clock){ clock_now, clock_now, NULL });
	s->w = (struct worker){ .n = 1, .loop = s->loop, .conf = script_conf(s->script), .rand64 = no_chance, .hooks = &script_hooks };
	said = out_to(said_room, sizeof said_room);
	waiting = NULL;
	if (!script_worker_init(&s->w, s->script, &err))
		return false;
	script_log_to(&s->w, heard, NULL);
	return true;
}

static void stand_down(struct stand *s)
{
	script_worker_done(&s->w);
	loop_free(s->loop);
	script_free(s->script);
	arena_free(s->a);
	assert_int_equal(workers_up, 0);
}

static void later(struct stand *s, uint64_t ms)
{
	now += ms;
	loop_turn(s->loop, 0);
}

static struct msg *message(struct stand *s, const char *start, const char *cseq)
{
	struct view    v = arena_fmt(s->a, "%s\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKx1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\n"
		"Call-ID: c\r\nCSeq: 1 %s\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n", start, cseq);
	struct buf    *b = buf_from(v);
	struct origin  o = { .transport = TR_UDP, .socket = &script_conf(s->script)->net.sockets[0] };
	enum sip_fault why;
	struct msg    *m = msg_new(&s->w, b, buf_view(b), &o, &why);

	buf_unref(b);
	assert_non_null(m);
	return m;
}

static void expect_said(const char *want)
{
	put_char(&said, '\0');
	assert_string_equal(said.p, want);
	said.n = 0;
}

/* ---- tests ---------------------------------------------------------------------------------------------------------------- */

static void timer_route_runs_after_its_seconds_and_again(void **state)
{
	struct stand s;

	assert_true(stand_up(&s, "route { } timer_route[t1, 10] { xlog(\"ten\"); } timer_route[t2, 25] { xlog(\"$route.name\"); }"));
	later(&s, 9999);
	expect_said("");
	later(&s, 1);
	expect_said("ten|");
	later(&s, 10000);
	expect_said("ten|");
	later(&s, 5000);
	expect_said("t2|");
	stand_down(&s);
}

static void timer_route_that_waits_is_not_overtaken(void **state)
{
	struct stand s;

	assert_true(stand_up(&s, "route { } timer_route[t, 1] { xlog(\"begin\"); wait_here(); xlog(\"end\"); }"));
	later(&s, 1000);
	expect_said("begin|");
	later(&s, 1000);
	expect_said("");
	run_resume(waiting, 1);
	expect_said("end|");
	later(&s, 1000);
	expect_said("begin|");
	run_resume(waiting, 0);
	expect_said("");
	stand_down(&s);
}

static void startup_route_runs_once(void **state)
{
	struct stand s;

	assert_true(stand_up(&s, "route { xlog(\"$var(started)\"); } startup_route { $var(started) = $var(started) + 1; }"));
	script_hooks.request(&s.w, message(&s, "OPTIONS sip:a@b SIP/2.0", "OPTIONS"));
	expect_said("1|");
	stand_down(&s);
}

static void error_route_hears_of_bad_requests(void **state)
{
	struct stand s;

	assert_true(stand_up(&s, "route { } error_route { xlog(\"$err.rcode $err.rreason: $err.info, $rm\"); }"));
	script_hooks.bad_request(&s.w, message(&s, "OPTIONS sip:a@b SIP/2.0", "OPTIONS"), SIP_FAULT_BAD_VIA);
	expect_said("400 Bad Request: bad Via, OPTIONS|");
	stand_down(&s);
	assert_true(stand_up(&s, "route { xlog(\"no\"); }"));
	script_hooks.bad_request(&s.w, message(&s, "OPTIONS sip:a@b SIP/2.0", "OPTIONS"), SIP_FAULT_BAD_VIA);
	expect_said("");
	stand_down(&s);
}

static void replies_go_through_the_route_then_the_modules(void **state)
{
	struct stand s;

	assert_true(stand_up(&s, "route { } onreply_route { xlog(\"route $rs\"); }"));
	takes_reply = true;
	script_hooks.reply(&s.w, message(&s, "SIP/2.0 200 OK", "INVITE"));
	expect_said("route 200|module|");
	assert_int_equal(s.w.counts[COREC_drop_replies], 0);
	/* Nobody knows it, and nothing was forwarded without a transaction: dropped and counted. */
	takes_reply = false;
	script_hooks.reply(&s.w, message(&s, "SIP/2.0 200 OK", "INVITE"));
	expect_said("route 200|module|");
	assert_int_equal(s.w.counts[COREC_drop_replies], 1);
	stand_down(&s);
}

static void drop_holds_back_provisional_replies_only(void **state)
{
	struct stand s;

	assert_true(stand_up(&s, "route { } onreply_route { drop; }"));
	takes_reply = true;
	script_hooks.reply(&s.w, message(&s, "SIP/2.0 183 Progress", "INVITE"));
	expect_said("");
	assert_int_equal(s.w.counts[COREC_drop_replies], 1);
	script_hooks.reply(&s.w, message(&s, "SIP/2.0 404 Not Found", "INVITE"));
	expect_said("module|");
	stand_down(&s);
}

static void two_calls_wait_side_by_side(void **state)
{
	struct stand s;
	struct run  *first;

	assert_true(stand_up(&s, "route { $avp(n) = $ci; wait_here(); xlog(\"$rm $rc\"); }"));
	script_hooks.request(&s.w, message(&s, "OPTIONS sip:a@b SIP/2.0", "OPTIONS"));
	first = waiting;
	script_hooks.request(&s.w, message(&s, "INVITE sip:a@b SIP/2.0", "INVITE"));
	run_resume(waiting, 2);
	run_resume(first, -1);
	expect_said("INVITE 2|OPTIONS -1|");
	stand_down(&s);
}

static void a_module_that_does_not_start_takes_the_worker_down(void **state)
{
	struct stand s;

	refuses = true;
	assert_false(stand_up(&s, "route { }"));
	refuses = false;
	assert_null(s.w.script);
	stand_down(&s);
}

/* Nobody waits longer than DNS_TIMEOUT_MS: all tries of the defaults must fit. */
static void a_lost_question_is_asked_again_in_time(void **state)
{
	struct stand s;

	assert_true(stand_up(&s, "route { }"));
	const struct resolver_conf *c = &script_conf(s.script)->dns;
	assert_true(c->tries > 1);
	assert_in_range(c->timeout_ms * ((1u << c->tries) - 1), 1, DNS_TIMEOUT_MS);
	stand_down(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timer_route_runs_after_its_seconds_and_again), cmocka_unit_test(timer_route_that_waits_is_not_overtaken),
		cmocka_unit_test(startup_route_runs_once), cmocka_unit_test(error_route_hears_of_bad_requests),
		cmocka_unit_test(replies_go_through_the_route_then_the_modules), cmocka_unit_test(drop_holds_back_provisional_replies_only),
		cmocka_unit_test(two_calls_wait_side_by_side), cmocka_unit_test(a_module_that_does_not_start_takes_the_worker_down),
		cmocka_unit_test(a_lost_question_is_asked_again_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
