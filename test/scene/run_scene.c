/* Runs scene files: script, messages and what must come of them stand together in one readable text.
 *
 *   === name             a scene begins; the name starts with the section of the language it shows
 *   --- script           a whole configuration (a socket line is added when it has none)
 *   --- body             the statements of route{}
 *   --- in               a message that arrives (several: one after the other); without any, one INVITE
 *   --- from ADDR:PORT   the transport peer (192.0.2.1:5060 without it); --- transport WORD: of the message (udp)
 *   --- proxy            its PROXY header: a line of version 1, or the bytes of version 2 or SPP in hexadecimal; blanks do not count
 *   --- run TYPE[name]   which route runs on it ("route", "onreply_route[x]", "startup_route", ...); "hooks" = the worker's whole walk
 *   --- param name=value parameters of an event route
 *   --- socket TEXT      a socket of the command line (-l)
 *   --- env NAME=value   environment; --- file NAME: an includable file; --- arg name=value: as with -o
 *   --- log              exactly these lines are said by xlog and complaints, in this order ("~" in front: the line contains it)
 *   --- end              how the last run ends: "done 1", "exit 0", "drop 1"
 *   --- error            the script is refused; every line is part of one finding, in order, and there are no others
 *   --- warning          the script loads; every line is part of one warning
 */
#include "net/stage.h"
#include "script/script.h"
#include <stdio.h>
#include <stdlib.h>

enum { PART_MAX = 24, SCENE_MAX = 64 };
struct part { struct view word, text; };
struct scene { struct view name; struct part part[PART_MAX]; unsigned n; uint32_t line; };

/* ---- a module to call from scenes ---------------------------------------------------------------------------------- */

static struct run *waiting;            /* the run that t_wait() suspended, with the code it will get */
static int         waiting_rc;
static struct out  said;               /* what scripts said */
static char        said_room[1 << 20];

static void say_view(struct view v)
{
	put(&said, v);
	if (!v.n || v.p[v.n - 1] != '\n')
		put_char(&said, '\n');
}

static int t_code(struct run *r, const struct arg *a) { return (int)a[0].i; }
static int t_true(struct run *r, const struct arg *a) { return SCRIPT_TRUE; }
static int t_false(struct run *r, const struct arg *a) { return SCRIPT_FALSE; }
static int t_zero(struct run *r, const struct arg *a) { return SCRIPT_STOP; }
static int t_say(struct run *r, const struct arg *a)
{
	say_view(a[0].s);
	return SCRIPT_TRUE;
}

static int t_wait(struct run *r, const struct arg *a)
{
	waiting = r;
	waiting_rc = (int)a[0].i;
	return SCRIPT_WAIT;
}

/* Resumes before it returns: the answer was there at once. */
static int t_wait_now(struct run *r, const struct arg *a)
{
	run_resume(r, (int)a[0].i);
	return SCRIPT_WAIT;
}

static int t_args(struct run *r, const struct arg *a)
{
	for (int i = 0; i < 3; i++) {
		if (a[i].given)
			putf(&said, "%s" VIEW_FMT "/%lld", i ? " " : "", VIEW_ARG(a[i].s), (long long)a[i].i);
		else
			putf(&said, "%s-", i ? " " : "");
	}
	put_char(&said, '\n');
	return SCRIPT_TRUE;
}

static int t_out(struct run *r, const struct arg *a)
{
	const struct value v = value_str(a[1].s);

	return lvalue_set(r, a[0].var, &v);
}

static int t_number(struct run *r, const struct arg *a)
{
	putf(&said, VIEW_FMT "=%lld\n", VIEW_ARG(a[0].s), (long long)a[0].i);
	return SCRIPT_TRUE;
}

static int t_match(struct run *r, const struct arg *a)
{
	return regex_match(a[0].re, a[1].s, 0, NULL, 0) > 0 ? SCRIPT_TRUE : SCRIPT_FALSE;
}

static bool no_seven(struct script_load *l, const struct arg *literal, struct out *err)
{
	if (!literal[0].given || literal[0].i != 7)
		return true;
	putf(err, "7 is not wanted");
	return false;
}

static const struct flag_word words[] = { { "loud", 1 }, { "quiet", 2 }, { "l", 1 }, { "q", 2 }, { "max=", 4 }, { NULL, 0 } };
static int t_flags(struct run *r, const struct arg *a)
{
	putf(&said, "%lld max=" VIEW_FMT "\n", (long long)a[0].i, VIEW_ARG(flag_value(a[0].s, VIEW("max"))));
	return SCRIPT_TRUE;
}

static const struct script_func funcs[] = {
	{ "t_true", t_true, { ARG_NONE }, ROUTE_ANY, "1" }, { "t_false", t_false, { ARG_NONE }, ROUTE_ANY, "-1" }, { "t_zero", t_zero, { ARG_NONE }, ROUTE_ANY, "0" },
	{ "t_code", t_code, { ARG_INT }, ROUTE_ANY, "the code" }, { "t_wait", t_wait, { ARG_INT }, ROUTE_ANY, "the code, later" },
	{ "t_wait_now", t_wait_now, { ARG_INT }, ROUTE_ANY, "the code, at once" }, { "t_say", t_say, { ARG_STR }, ROUTE_ANY, "says a text" },
	{ "t_args", t_args, { ARG_STR, ARG_INT | ARG_OPT, ARG_STR | ARG_OPT }, ROUTE_ANY, "says its arguments" },
	{ "t_out", t_out, { ARG_VAR, ARG_STR }, ROUTE_ANY, "writes a variable" }, { "t_static", t_number, { ARG_STATIC }, ROUTE_ANY, "says a static text" },
	{ "t_fail_route", t_number, { ARG_ROUTE_FAILURE }, ROUTE_ANY, "says the number of a failure_route" },
	{ "t_flags", t_flags, { ARG_FLAGS }, ROUTE_ANY, "says flags", words }, { "t_flagname", t_number, { ARG_FLAGNAME }, ROUTE_ANY, "says the bit of a flag" },
	{ "t_match", t_match, { ARG_REGEX, ARG_STR }, ROUTE_ANY, "regular expression on a text" },
	{ "t_request_only", t_true, { ARG_NONE }, ROUTE_REQUEST, "only in request routes" },
	{ "t_not_seven", t_true, { ARG_INT }, ROUTE_ANY, "refuses 7 at load", NULL, no_seven },
	{ NULL },
};

struct test_conf { int64_t number; struct view text; int64_t sum; };
static bool add_up(struct script_load *l, void *conf, struct view text, int64_t number, struct out *err)
{
	struct test_conf *c = conf;

	c->sum += number;
	if (number >= 0)
		return true;
	putf(err, "must not be negative");
	return false;
}
static const struct script_param params[] = {
	{ "number", PARAM_INT, offsetof(struct test_conf, number), "5", "a number" }, { "text", PARAM_STR, offsetof(struct test_conf, text), "dflt", "a text" },
	{ "add", PARAM_CALL_INT, 0, NULL, "adds up", add_up }, { "ignored", PARAM_IGNORED_ANY, 0, NULL, "anything" }, { NULL },
};
static const struct test_conf *conf_of(const struct run *r, int id) { return r->w->conf->mod[id]; }
static bool get_conf_number(struct run *r, const struct var_use *u, struct value *out)
{
	*out = value_int(r->tmp, (int32_t)conf_of(r, 1)->number);
	return true;
}
static bool get_conf_text(struct run *r, const struct var_use *u, struct value *out)
{
	*out = value_str(conf_of(r, 1)->text);
	return true;
}
static bool get_conf_sum(struct run *r, const struct var_use *u, struct value *out)
{
	*out = value_int(r->tmp, (int32_t)conf_of(r, 1)->sum);
	return true;
}
static const struct script_var vars[] = {
	{ "test.number", get_conf_number, NULL, NULL, 0, "" }, { "test.text", get_conf_text, NULL, NULL, 0, "" }, { "test.sum", get_conf_sum, NULL, NULL, 0, "" }, { NULL },
};
static bool consume(struct worker *w, struct msg *m)
{
	if (!view_is(m->sip.method, VIEW("CONSUMEME")))
		return false;
	say_view(VIEW("consumed"));
	msg_unref(m);
	return true;
}
static const char *const needs_test[] = { "testmod", NULL };
static const struct module testmod = { .name = "testmod", .id = 1, .conf_size = sizeof(struct test_conf), .params = params, .funcs = funcs, .vars = vars, .on_request = consume };
static const struct script_func other_funcs[] = { { "o_true", t_true, { ARG_NONE }, ROUTE_ANY, "1" }, { NULL } };
static const struct module othermod = { .name = "othermod", .id = 2, .conf_size = sizeof(struct test_conf), .params = params, .funcs = other_funcs, .depends = needs_test };
static const struct module proto_udp = { .name = "proto_udp", .id = 3 }, proto_tcp = { .name = "proto_tcp", .id = 4 }, proto_tls = { .name = "proto_tls", .id = 5 },
	proto_ws = { .name = "proto_ws", .id = 6 }, proto_wss = { .name = "proto_wss", .id = 7 };
static const struct module *const modules[] = { &testmod, &othermod, &proto_udp, &proto_tcp, &proto_tls, &proto_ws, &proto_wss };
static const char *const absent[] = { "dialog", "usrloc", "registrar", NULL };

/* ---- the world around a script ---------------------------------------------------------------------------------------- */

static uint64_t clock_now(void *arg) { return *(uint64_t *)arg; }
static uint64_t no_chance(void *arg) { return 4; }

static const struct part *part_of(const struct scene *s, const char *word, unsigned nth)
{
	for (unsigned i = 0; i < s->n; i++)
		if (view_is(view_sub(s->part[i].word, 0, view_find(s->part[i].word, ' ')), view_str(word)) && nth-- == 0)
			return &s->part[i];
	return NULL;
}

static struct view rest_of(const struct part *p)
{
	return view_trim(view_from(p->word, view_find(p->word, ' ')));
}

static bool read_file(void *arg, struct view path, struct arena *a, struct view *out, struct out *err)
{
	const struct scene *s = arg;
	const struct part  *p;

	for (unsigned i = 0; (p = part_of(s, "file", i)); i++) {
		if (view_is(rest_of(p), path)) {
			*out = p->text;
			return true;
		}
	}
	putf(err, VIEW_FMT ": no such file", VIEW_ARG(path));
	return false;
}

static const char *environment(void *arg, const char *name)
{
	static char        value[256];
	const struct part *p;

	for (unsigned i = 0; (p = part_of(arg, "env", i)); i++) {
		struct view rest = rest_of(p), key = view_cut(&rest, '=');
		if (view_is(key, view_str(name))) {
			snprintf(value, sizeof value, VIEW_FMT, VIEW_ARG(rest));
			return value;
		}
	}
	return NULL;
}

/* "-p": what stands in the scene as "file preprocessed" is the result; else the input in which @NAME@ was replaced. */
static bool preprocess(void *arg, struct view command, struct view in, struct arena *a, struct view *out, struct out *err)
{
	struct view from = view_cut(&command, '>');
	size_t      at;

	*out = in;
	while ((at = view_find_view(*out, from)) < out->n)
		*out = arena_join(a, (struct view[]){ view_sub(*out, 0, at), command, view_from(*out, at + from.n) }, 3);
	return true;
}

/* ---- judging -------------------------------------------------------------------------------------------------------------- */

static unsigned passed, failed;

static void fail(const struct scene *s, const char *what, struct view want, struct view got)
{
	printf("not ok " VIEW_FMT " (line %u): %s\n--- wanted\n" VIEW_FMT "\n--- got\n" VIEW_FMT "\n", VIEW_ARG(s->name), s->line, what, VIEW_ARG(want), VIEW_ARG(got));
}

static bool same_lines(struct view want, struct view got)
{
	while (want.n || got.n) {
		struct view w = view_trim(view_cut(&want, '\n')), g = view_trim(view_cut(&got, '\n'));
		if (w.n && w.p[0] == '~' ? view_find_view(g, view_from(w, 1)) == g.n : !view_is(w, g))
			return false;
	}
	return true;
}

static bool judge_findings(const struct scene *s, const struct diags *d, bool errors, struct view want)
{
	char       room[16384];
	struct out all = out_to(room, sizeof room);
	bool       good = true;

	for (const struct diag *x = d->first; x; x = x->next) {
		char       one[4096];
		struct out o = out_to(one, sizeof one);
		diag_print(x, &o);
		put(&all, out_view(&o));
		if (x->error != errors)
			continue;
		struct view line = view_trim(view_cut(&want, '\n'));
		if (!line.n || view_find_view(out_view(&o), line) == o.n)
			good = false;
	}
	if (good && !view_trim(want).n)
		return true;
	fail(s, errors ? "findings differ" : "warnings differ", part_of(s, errors ? "error" : "warning", 0)->text, out_view(&all));
	return false;
}

/* ---- running ------------------------------------------------------------------------------------------------------------------ */

static char end_text[64];

static void run_done(struct run *r, enum run_end end, int rc)
{
	static const char *const names[] = { "done", "exit", "drop" };

	snprintf(end_text, sizeof end_text, "%s %d", names[end], rc);
}

static void heard(void *arg, int level, struct view text)
{
	if (level == L_ERR && view_find_view(text, VIEW(".cfg:")) < text.n)
		put(&said, VIEW("! "));
	say_view(text);
}

static struct view with_crlf(struct arena *a, struct view v)
{
	char      *room = arena_alloc(a, 2 * v.n + 4);
	struct out o = out_to(room, 2 * v.n + 4);
	bool       blank = false;

	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] == '\n')
			put_char(&o, '\r');
		put_char(&o, v.p[i]);
		blank |= v.p[i] == '\n' && i && v.p[i - 1] == '\n';
	}
	if (!blank)
		put(&o, VIEW("\r\n"));
	return out_view(&o);
}

static const char invite[] = "INVITE sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx1\nFrom: \"Alice\" <sip:alice@example.org>;tag=a1\n"
	"To: <sip:bob@example.com>\nCall-ID: call-1@192.0.2.1\nCSeq: 1 INVITE\nMax-Forwards: 70\nContact: <sip:alice@192.0.2.1:5060>\nSubject: hello\nX-Test: one\nX-Test: two\n"
	"User-Agent: phone/1.0\nContent-Length: 0\n\n";

static enum route_type type_of(struct view v)
{
	for (unsigned t = ROUTE_REQUEST; t <= ROUTE_EVENT; t <<= 1)
		if (view_is(route_type_name((enum route_type)t), v))
			return (enum route_type)t;
	return ROUTE_REQUEST;
}

/* As net does with the header in front of a message. */
static void take_header(struct view text, struct origin *o)
{
	char       bytes[2048];
	struct out h = out_to(bytes, sizeof bytes);

	if (view_starts(text, VIEW("PROXY"))) {
		put(&h, view_trim(text));
		put(&h, VIEW("\r\n"));
	} else {
		for (size_t i = 0; i + 1 < text.n; i++)
			if (hex_value(text.p[i]) >= 0 && hex_value(text.p[i + 1]) >= 0) {
				put_char(&h, (char)(hex_value(text.p[i]) << 4 | hex_value(text.p[i + 1])));
				i++;
			}
	}
	must(!h.full);

	struct facts *f = facts_new(out_view(&h));

	must(f);
	origin_take_pp(o, f, PP_ACCEPT_DGRAM, true);
}

struct world { struct worker w; struct loop *loop; uint64_t now; const struct script *script; struct arena *a; };

static bool run_message(struct world *x, const struct scene *s, struct view text)
{
	const struct part  *p = part_of(s, "run", 0);
	struct view         rest = p ? rest_of(p) : VIEW("route"), type = view_cut(&rest, '['), name = view_cut(&rest, ']');
	struct view         bytes = with_crlf(x->a, text), names[PART_MAX];
	struct value        values[PART_MAX];
	struct buf         *b = buf_from(bytes);
	struct origin       o = { .transport = TR_UDP, .socket = &script_conf(x->script)->net.sockets[0] };
	enum sip_fault      why = SIP_FAULT_NONE;
	struct msg         *m;
	struct run          r;

	p = part_of(s, "from", 0);
	addr_parse(p ? rest_of(p) : VIEW("192.0.2.1:5060"), &o.wire_src);
	if ((p = part_of(s, "transport", 0)))
		o.transport = transport_parse(rest_of(p));
	addr_parse(VIEW("127.0.0.1:5060"), &o.wire_dst);
	o.real_src = o.wire_src;
	o.real_dst = o.wire_dst;
	if ((p = part_of(s, "proxy", 0)))
		take_header(p->text, &o);
	m = msg_new(&x->w, b, buf_view(b), &o, &why);
	origin_drop(&o);
	buf_unref(b);
	if (!m) {
		fail(s, "the scene's message is bad", VIEW("a SIP message"), sip_fault_text(why));
		return false;
	}
	if (view_is(type, VIEW("hooks"))) {
		(sip_is_request(&m->sip) ? script_hooks.request : script_hooks.reply)(&x->w, m);
		return true;
	}
	r = (struct run){ .w = &x->w, .script = x->script, .type = type_of(type), .msg = m, .request = sip_is_request(&m->sip) ? m : NULL,
		.route = sip_is_request(&m->sip) ? &m->route : NULL, .edits = &m->edits, .branch = -1, .tmp = m->arena, .rc = 1, .done = run_done };
	r.params = values;
	r.param_names = names;
	for (unsigned i = 0; (p = part_of(s, "param", i)); i++) {
		struct view value = rest_of(p);
		names[i] = view_cut(&value, '=');
		values[i] = value_str(value);
		r.nparams = (int)i + 1;
	}
	if (!run_start(&r, name)) {
		fail(s, "no such route", type, name);
		msg_unref(m);
		return false;
	}
	while (waiting) {
		struct run *w = waiting;
		waiting = NULL;
		say_view(VIEW("(resumed)"));
		run_resume(w, waiting_rc);
	}
	msg_unref(m);
	return true;
}

static bool run_script(struct world *x, const struct scene *s)
{
	char               why[256];
	struct out         err = out_to(why, sizeof why);
	bool               good = true;
	const struct part *p;

	x->now = 1000000;
	x->loop = loop_new(0, (struct loop_clock){ clock_now, clock_now, &x->now });
	x->w = (struct worker){ .n = 1, .loop = x->loop, .conf = script_conf(x->script), .rand64 = no_chance, .hooks = &script_hooks };
	if (!script_worker_init(&x->w, x->script, &err)) {
		fail(s, "the worker does not start", VIEW_NONE, out_view(&err));
		loop_free(x->loop);
		return false;
	}
	script_log_to(&x->w, heard, NULL);
	said = out_to(said_room, sizeof said_room);
	end_text[0] = '\0';
	if (!part_of(s, "in", 0))
		good = run_message(x, s, VIEW(invite));
	for (unsigned i = 0; good && (p = part_of(s, "in", i)); i++)
		good = run_message(x, s, p->text);
	p = part_of(s, "log", 0);
	if (good && p && !same_lines(p->text, out_view(&said))) {
		fail(s, "the log differs", p->text, out_view(&said));
		good = false;
	}
	p = part_of(s, "end", 0);
	if (good && p && !view_is(view_trim(p->text), view_str(end_text))) {
		fail(s, "it ends differently", p->text, view_str(end_text));
		good = false;
	}
	script_worker_done(&x->w);
	loop_free(x->loop);
	return good;
}

static struct view configuration(const struct scene *s, struct arena *a)
{
	const struct part *script = part_of(s, "script", 0), *body = part_of(s, "body", 0);
	struct view        head = VIEW("loadmodule \"testmod.so\"\nloadmodule \"proto_udp.so\"\n");

	if (body)
		return arena_join(a, (struct view[]){ VIEW("socket = udp:127.0.0.1:5060 loadmodule \"testmod.so\" loadmodule \"proto_udp.so\" route {\n"), body->text, VIEW("}\n") }, 3);
	if (!script)
		return VIEW_NONE;
	if (view_find_view(script->text, VIEW("socket")) < script->text.n || view_find_view(script->text, VIEW("listen")) < script->text.n)
		return script->text;
	/* Lines keep their numbers: what is added stands behind. */
	return arena_join(a, (struct view[]){ script->text, VIEW("socket = udp:127.0.0.1:5060\n"), head }, 3);
}

static bool run_one(const struct scene *s)
{
	struct world       x = { .a = arena_new(64 << 20) };
	struct diags       d = { .arena = x.a };
	struct view        args[PART_MAX], sockets[PART_MAX];
	struct script_env  env = { .modules = modules, .nmodules = COUNT_OF(modules), .known_absent = absent, .read_file = read_file, .getenv = environment,
		.arg = (void *)(uintptr_t)s, .script_args = args,
		.extra_sockets = sockets };
	const struct part *p;
	struct script     *script;
	bool               good;

	for (unsigned i = 0; (p = part_of(s, "arg", i)); i++)
		args[env.nscript_args++] = rest_of(p);
	for (unsigned i = 0; (p = part_of(s, "socket", i)); i++)
		sockets[env.nextra_sockets++] = rest_of(p);
	p = part_of(s, "preprocess", 0);
	if (p) {
		env.preprocess = preprocess;
		env.preprocessor = rest_of(p);
	}
	script = script_load(VIEW("test.cfg"), configuration(s, x.a), &env, &d);
	x.script = script;
	p = part_of(s, "error", 0);
	if (p) {
		good = judge_findings(s, &d, true, p->text);
		if (good && script) {
			fail(s, "the script was loaded", p->text, VIEW_NONE);
			good = false;
		}
	} else if (!script) {
		char       room[4096];
		struct out o = out_to(room, sizeof room);
		for (const struct diag *f = d.first; f; f = f->next)
			diag_print(f, &o);
		fail(s, "the script was refused", VIEW("a script"), out_view(&o));
		good = false;
	} else {
		p = part_of(s, "warning", 0);
		good = (!p || judge_findings(s, &d, false, p->text)) && run_script(&x, s);
	}
	script_free(script);
	arena_free(x.a);
	return good;
}

/* ---- scene files ---------------------------------------------------------------------------------------------------------------- */

static void finish(struct scene *s, const char *only)
{
	if (!s->name.n || (only && view_find_view(s->name, view_str(only)) == s->name.n))
		return;
	if (run_one(s)) {
		printf("ok " VIEW_FMT "\n", VIEW_ARG(s->name));
		passed++;
	} else {
		failed++;
	}
}

static bool run_file(const char *path, const char *only)
{
	FILE        *f = fopen(path, "rb");
	static char  text[1 << 20];
	size_t       n = f ? fread(text, 1, sizeof text, f) : 0;
	struct view  rest = view_of(text, n);
	struct scene s = { .n = 0 };
	uint32_t     line = 0;

	if (!f || n == sizeof text) {
		printf("not ok %s: cannot be read\n", path);
		if (f)
			fclose(f);
		return false;
	}
	fclose(f);
	while (rest.n) {
		struct view one = view_cut(&rest, '\n');
		line++;
		if (view_starts(one, VIEW("=== "))) {
			finish(&s, only);
			s = (struct scene){ .name = view_trim(view_from(one, 4)), .line = line };
		} else if (view_starts(one, VIEW("--- ")) && s.n < PART_MAX) {
			s.part[s.n++] = (struct part){ view_trim(view_from(one, 4)), view_of(rest.p, 0) };
		} else if (s.n) {
			s.part[s.n - 1].text.n = (size_t)(one.p + one.n - s.part[s.n - 1].text.p) + 1;
		}
	}
	finish(&s, only);
	return true;
}

/* run_scene FILE... [-n part of a name] */
int main(int argc, char **argv)
{
	const char *only = argc > 2 && view_is(view_str(argv[argc - 2]), VIEW("-n")) ? argv[argc - 1] : NULL;

	setvbuf(stdout, NULL, _IOLBF, 0);
	setenv("TZ", "UTC", 1);
	for (int i = 1; i < argc - (only ? 2 : 0); i++)
		if (!run_file(argv[i], only))
			failed++;
	printf("%u passed, %u failed\n", passed, failed);
	arena_thread_done();
	regex_thread_done();
	return failed != 0;
}
