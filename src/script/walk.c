/* What a worker does with a message: modules' hooks, routes, stateless forwarding; and what it needs to run scripts at all. */
#include "script/ast.h"

const struct script *worker_script(const struct worker *w)
{
	return w->script ? script_worker(w)->script : NULL;
}

void script_say(struct worker *w, int level, struct view text)
{
	struct script_worker *s = script_worker(w);

	if (s->sink)
		s->sink(s->sink_arg, level, text);
	else
		log_write(NULL, level, VIEW_FMT, VIEW_ARG(text));
}

void script_log_to(struct worker *w, void (*sink)(void *arg, int level, struct view text), void *arg)
{
	script_worker(w)->sink = sink;
	script_worker(w)->sink_arg = arg;
}

/* ---- messages ---------------------------------------------------------------------------------------------------------- */

/* Every run of the walk holds one reference to its message until it is done. */
struct walk_run { struct run run; struct run_err err; };

static struct run *run_on(struct worker *w, struct msg *m, enum route_type type, void (*done)(struct run *, enum run_end, int))
{
	must(w->script && m->w == w);

	struct walk_run *x = arena_zalloc(m->arena, sizeof *x);
	bool             request = sip_is_request(&m->sip);

	if (!x)
		return NULL;
	x->run = (struct run){
		.w = w, .script = worker_script(w), .type = type, .msg = m, .request = request ? m : NULL, .route = request ? &m->route : NULL,
		.edits = &m->edits, .branch = -1, .tmp = m->arena, .rc = 1, .done = done,
	};
	return &x->run;
}

static void plain_done(struct run *r, enum run_end end, int rc)
{
	msg_unref(r->msg);
}

/* Run an unnamed route on a message whose reference is handed over. */
static void run_plain(struct worker *w, struct msg *m, enum route_type type)
{
	struct run *r = run_on(w, m, type, plain_done);

	if (!r) {
		count(w, COREC_arena_full);
		msg_unref(m);
	} else if (!run_start(r, VIEW_NONE)) {
		msg_unref(m);
	}
}

static void on_request(struct worker *w, struct msg *m)
{
	size_t                      n;
	const struct module *const *modules = script_modules(worker_script(w), &n);

	for (size_t i = 0; i < n; i++)
		if (modules[i]->on_request && modules[i]->on_request(w, m))
			return;
	run_plain(w, m, ROUTE_REQUEST);
}

/* After onreply_route{}: the first module that knows the reply takes it, else it is forwarded by its Via or dropped. */
static void reply_onwards(struct worker *w, struct msg *m)
{
	must(!sip_is_request(&m->sip));

	size_t                      n;
	const struct module *const *modules = script_modules(worker_script(w), &n);

	for (size_t i = 0; i < n; i++)
		if (modules[i]->on_reply && modules[i]->on_reply(w, m))
			return;
	if (w->conf->stateless_forward)
		forward_reply(m);
	else
		count(w, COREC_drop_replies);
	msg_unref(m);
}

static void reply_done(struct run *r, enum run_end end, int rc)
{
	/* A final reply cannot be dropped: the transaction behind it would never end. */
	if (end == RUN_DROP && r->msg->sip.status < 200) {
		count(r->w, COREC_drop_replies);
		msg_unref(r->msg);
		return;
	}
	reply_onwards(r->w, r->msg);
}

static void on_reply(struct worker *w, struct msg *m)
{
	struct run *r;

	if (!script_has(worker_script(w), ROUTE_ONREPLY, VIEW_NONE)) {
		reply_onwards(w, m);
		return;
	}
	r = run_on(w, m, ROUTE_ONREPLY, reply_done);
	if (!r || !run_start(r, VIEW_NONE))
		reply_onwards(w, m);
}

/* error_route: for the operator's log; the answer is the core's. */
static void on_bad_request(struct worker *w, struct msg *m, enum sip_fault why)
{
	struct run *r = script_has(worker_script(w), ROUTE_ERROR, VIEW_NONE) ? run_on(w, m, ROUTE_ERROR, plain_done) : NULL;

	if (r) {
		struct walk_run *x = container_of(r, struct walk_run, run);
		/* Class 2 is "parse error" and level 2 "minor" where scripts come from. */
		x->err = (struct run_err){ .class = 2, .level = 2, .status = sip_fault_status(why), .info = sip_fault_text(why),
			.reason = sip_reason_phrase(sip_fault_status(why)) };
		r->err = &x->err;
	}
	if (!r || !run_start(r, VIEW_NONE))
		msg_unref(m);
}

static void on_send_failed(struct worker *w, struct ref who, enum send_result why)
{
	size_t                      n;
	const struct module *const *modules = script_modules(worker_script(w), &n);

	for (size_t i = 0; i < n; i++)
		if (modules[i]->on_send_failed)
			modules[i]->on_send_failed(w, who, why);
}

const struct core_hooks script_hooks = { .request = on_request, .reply = on_reply, .bad_request = on_bad_request, .send_failed = on_send_failed };

/* ---- routes without a message -------------------------------------------------------------------------------------------------- */

struct msg *script_dummy(struct worker *w)
{
	static const char   text[] = "OPTIONS sip:viaduct@localhost SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1\r\nFrom: <sip:viaduct@localhost>;tag=0\r\n"
		"To: <sip:viaduct@localhost>\r\nCall-ID: viaduct\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
	struct buf         *b = buf_from(VIEW(text));
	const struct origin o = { .transport = TR_UDP, .socket = w->conf->net.nsockets ? &w->conf->net.sockets[0] : NULL };
	enum sip_fault      why;
	struct msg         *m = b ? msg_new(w, b, buf_view(b), &o, &why) : NULL;

	buf_unref(b);
	return m;
}

static void run_startup(struct worker *w)
{
	struct msg *m = script_has(worker_script(w), ROUTE_STARTUP, VIEW_NONE) ? script_dummy(w) : NULL;

	if (m)
		run_plain(w, m, ROUTE_STARTUP);
}

static void timer_done(struct run *r, enum run_end end, int rc)
{
	struct script_timer *t = r->user;

	must(t && t->busy);
	t->busy = false;
	msg_unref(r->msg);
}

static void timer_due(struct timer *timer)
{
	struct script_timer *t = container_of(timer, struct script_timer, timer);

	must(t->w && t->every_ms);

	loop_after(t->w->loop, timer, t->every_ms);
	/* A run that still waits for an answer is not overtaken by the next. */
	if (t->busy)
		return;

	struct msg *m = script_dummy(t->w);
	struct run *r = m ? run_on(t->w, m, ROUTE_TIMER, timer_done) : NULL;

	if (!r) {
		if (m)
			msg_unref(m);
		return;
	}
	r->user = t;
	t->busy = true;
	must(run_start_number(r, (int)t->route));
}

static void start_timers(struct worker *w)
{
	struct script_worker *s = script_worker(w);
	struct view           name;
	uint32_t              seconds;

	while (script_timer(s->script, s->ntimers, &name, &seconds))
		s->ntimers++;
	s->timers = s->ntimers ? calloc(s->ntimers, sizeof *s->timers) : NULL;
	if (!s->timers)
		s->ntimers = 0;
	for (unsigned i = 0; i < s->ntimers; i++) {
		struct script_timer *t = &s->timers[i];
		script_timer(s->script, i, &name, &seconds);
		*t = (struct script_timer){ .w = w, .route = i, .every_ms = (uint64_t)seconds * 1000 };
		timer_init(&t->timer, timer_due);
		loop_after(w->loop, &t->timer, t->every_ms);
	}
}

/* ---- a worker's state ----------------------------------------------------------------------------------------------------------- */

static bool init_modules(struct worker *w, struct script_worker *s, struct out *err)
{
	size_t                      n;
	const struct module *const *modules = script_modules(s->script, &n);

	w->mod = calloc(s->script->nmod_conf ? s->script->nmod_conf : 1, sizeof *w->mod);
	if (!w->mod) {
		putf(err, "out of memory");
		return false;
	}
	for (; s->modules_ready < n; s->modules_ready++) {
		const struct module *m = modules[s->modules_ready];
		if (m->worker_init && !m->worker_init(w, s->script->mod_conf[m->id], &w->mod[m->id])) {
			putf(err, "module %s does not start", m->name);
			return false;
		}
	}
	return true;
}

bool script_worker_init(struct worker *w, const struct script *script, struct out *err)
{
	struct script_worker *s = calloc(1, sizeof *s);
	const struct program *p = &script->prog;

	must(!w->script && w->conf);
	if (!s) {
		putf(err, "out of memory");
		return false;
	}
	w->script = s;
	w->xlog_level = script->conf.xlog_level;
	s->script = script;
	s->started_ms = w->loop->unix_ms;
	s->nvars = p->nvars;
	s->vars = calloc(p->nvars ? p->nvars : 1, sizeof *s->vars);
	s->said = calloc(p->nins + 1, sizeof *s->said);
	/* Room for an expansion and for the name inside it. */
	s->scratch_n = 2 * (size_t)(script->conf.print_buf > script->conf.xlog_buf ? script->conf.print_buf : script->conf.xlog_buf);
	s->scratch = malloc(s->scratch_n);
	if (!s->vars || !s->said || !s->scratch) {
		putf(err, "out of memory");
		script_worker_done(w);
		return false;
	}
	for (unsigned i = 0; i < s->nvars; i++)
		s->vars[i].flags = V_NULL;
	if (!init_modules(w, s, err)) {
		script_worker_done(w);
		return false;
	}
	if (w->id == 0) {
		run_startup(w);
		start_timers(w);
	}
	return true;
}

void script_worker_done(struct worker *w)
{
	struct script_worker *s = w->script;

	if (!s)
		return;
	must(!w->mod || s->modules_ready <= s->script->nmodules);
	while (s->modules_ready--) {
		const struct module *m = s->script->modules[s->modules_ready];
		if (m->worker_done)
			m->worker_done(w, w->mod[m->id]);
	}
	for (unsigned i = 0; i < s->ntimers; i++)
		timer_clear(&w->loop->wheel, &s->timers[i].timer);
	for (unsigned i = 0; s->vars && i < s->nvars; i++)
		free(s->vars[i].p);
	free(s->timers);
	free(s->vars);
	free(s->said);
	free(s->scratch);
	free(s);
	free(w->mod);
	w->script = NULL;
	w->mod = NULL;
}
