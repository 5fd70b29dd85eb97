/* Loading a configuration and bringing up its workers. */
#include "main/main.h"
#include <errno.h>
#include <netdb.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- what a configuration may ask of the system ------------------------------------------------------------------------ */

static bool slurp(FILE *f, struct arena *a, struct view *out, struct out *err)
{
	size_t cap = 65536, n = 0, got;
	char *p = malloc(cap);

	while (p && (got = fread(p + n, 1, cap - n, f)) > 0) {
		n += got;
		if (n > SCRIPT_FILE_BYTES) {
			putf(err, "larger than %d MiB", SCRIPT_FILE_BYTES >> 20);
			free(p);
			return false;
		}
		if (n == cap) {
			char *more = realloc(p, cap *= 2);
			if (!more)
				free(p);
			p = more;
		}
	}
	if (!p || ferror(f)) {
		putf(err, "%s", p ? strerror(errno) : "out of memory");
		free(p);
		return false;
	}
	*out = arena_copy(a, view_of(p, n));
	free(p);
	if (!out->p)
		putf(err, "out of memory");
	return out->p != NULL;
}

static bool read_file(void *arg, struct view path, struct arena *a, struct view *out, struct out *err)
{
	char name[4096];

	if (view_is(path, VIEW("-")))
		return slurp(stdin, a, out, err);
	if (path.n >= sizeof name) {
		putf(err, "file name too long");
		return false;
	}
	memcpy(name, path.p, path.n);
	name[path.n] = 0;
	FILE *f = fopen(name, "re");
	if (!f) {
		putf(err, "%s", strerror(errno));
		return false;
	}
	bool ok = slurp(f, a, out, err);
	fclose(f);
	return ok;
}

static const char *env_text(void *arg, const char *name)
{
	char text[512];
	struct out err = out_to(text, sizeof text);

	if (strcmp(name, "VIADUCT_STATE") != 0)
		return getenv(name);
	const char *dir = state_dir(&err);
	if (!dir)
		fprintf(stderr, "viaduct: " VIEW_FMT "\n", VIEW_ARG(out_view(&err)));
	return dir;
}

/* The text goes through a file: a pipe both ways could stall when the command writes before it has read everything. */
static bool preprocess(void *arg, struct view command, struct view in, struct arena *a, struct view *out, struct out *err)
{
	char name[] = "/tmp/viaduct-cfg-XXXXXX", line[4200];
	int fd = mkstemp(name);
	bool ok = fd >= 0 && write(fd, in.p, in.n) == (ssize_t)in.n;

	if (fd >= 0)
		close(fd);
	if (!ok || snprintf(line, sizeof line, "(" VIEW_FMT ") < %s", VIEW_ARG(command), name) >= (int)sizeof line) {
		putf(err, "cannot hand the configuration to the preprocessor");
		if (fd >= 0)
			unlink(name);
		return false;
	}
	FILE *f = popen(line, "re");
	ok = f && slurp(f, a, out, err);
	int status = f ? pclose(f) : -1;
	unlink(name);
	if (ok && status != 0) {
		putf(err, "the preprocessor ended with status %d", status);
		return false;
	}
	return ok;
}

/* A name in socket=; only while the configuration is read, on the one thread there is. */
static bool resolve_host(void *arg, struct view name, struct addr *out)
{
	char text[256];
	struct addrinfo *list = NULL;

	if (name.n >= sizeof text)
		return false;
	memcpy(text, name.p, name.n);
	text[name.n] = 0;
	const struct addrinfo hints = { .ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG };
	if (getaddrinfo(text, NULL, &hints, &list) != 0 || !list)
		return false;
	addr_from_sockaddr(list->ai_addr, out);
	freeaddrinfo(list);
	return true;
}

/* ---- loading --------------------------------------------------------------------------------------------------------------- */

enum { LOAD_ARENA_BYTES = 256 << 20 };

static void print_diags(const struct diags *d)
{
	char text[8192];

	for (const struct diag *x = d->first; x; x = x->next) {
		struct out o = out_to(text, sizeof text);
		diag_print(x, &o);
		fwrite(o.p, 1, o.n, stderr);
	}
}

struct script *boot_load(const struct options *o, struct arena **keep)
{
	struct arena *a = arena_new(LOAD_ARENA_BYTES);
	char reason[512];
	struct out err = out_to(reason, sizeof reason);
	struct view path = o->file ? view_str(o->file) : VIEW("etc/edge.cfg (built in)"), text = edge_cfg();
	const struct script_env env = { .modules = modules_all, .nmodules = MOD_COUNT, .known_absent = modules_absent, .read_file = read_file,
		.getenv = env_text, .resolve_host = resolve_host, .advertise = view_str(o->advertise), .preprocessor = view_str(o->preprocessor), .preprocess = preprocess, .extra_sockets = o->listen,
		.nextra_sockets = o->nlisten, .script_args = o->args, .nscript_args = o->nargs, .workers = (uint16_t)o->workers };

	must(a);
	*keep = a;
	if (o->file && !read_file(NULL, path, a, &text, &err)) {
		fprintf(stderr, "viaduct: %s: " VIEW_FMT "\n", o->file, VIEW_ARG(out_view(&err)));
		return NULL;
	}
	struct diags d = { .arena = a };
	struct script *s = script_load(path, text, &env, &d);
	print_diags(&d);
	return s;
}

/* ---- running ------------------------------------------------------------------------------------------------------------------ */

/* Random numbers for branches, tags and selections: unpredictable, fetched by the block. */
struct chance { uint64_t pool[64]; size_t left; };
struct seat { struct worker w; struct chance chance; bool running; };
struct process { struct script *script; struct workers *all; struct net_peers peers; uint16_t n; struct seat *seat; };

static uint64_t next_random(void *arg)
{
	struct chance *c = arg;

	if (c->left == 0) {
		must(getrandom(c->pool, sizeof c->pool, 0) == (ssize_t)sizeof c->pool);
		c->left = COUNT_OF(c->pool);
	}
	return c->pool[--c->left];
}

static bool seat_start(struct process *p, uint16_t id, struct hash_key key, struct hash_key seal, struct out *err)
{
	struct seat *s = &p->seat[id];
	struct worker *w = &s->w;
	const struct core_conf *conf = script_conf(p->script);
	struct net_events events = core_net_events;

	*w = (struct worker){ .id = id, .n = p->n, .conf = conf, .all = p->all, .key = key, .seal = seal, .rand64 = next_random, .rand_arg = &s->chance,
		.hooks = &script_hooks, .xlog_level = conf->xlog_level };
	events.arg = w;
	w->loop = loop_new(id, loop_clock_os());
	if (!w->loop) {
		putf(err, "cannot make an event loop: %s", strerror(errno));
		return false;
	}
	w->loop->user = w;
	loop_sit(w->loop);
	workers_join(p->all, w);
	w->net = net_new(w->loop, id, &conf->net, &events, &p->peers, key, err);
	if (!w->net)
		return false;
	w->resolver = resolver_new(w->loop, &conf->dns, key, next_random, &s->chance);
	if (!w->resolver) {
		putf(err, "cannot start the resolver");
		return false;
	}
	return script_worker_init(w, p->script, err);
}

static void seat_stop(struct seat *s)
{
	if (!s->w.loop)
		return;
	loop_sit(s->w.loop);
	inbox_drain(s->w.loop);
	if (s->w.script)
		script_worker_done(&s->w);
	if (s->w.resolver)
		resolver_free(s->w.resolver);
	if (s->w.net)
		net_free(s->w.net);
	loop_sit(NULL);
	loop_free(s->w.loop);
}

struct process *boot_start(struct script *script, struct out *err)
{
	struct process *p = calloc(1, sizeof *p);
	struct hash_key key, seal;

	must(p && getrandom(&key, sizeof key, 0) == (ssize_t)sizeof key && getrandom(&seal, sizeof seal, 0) == (ssize_t)sizeof seal);
	state_secret(&seal, sizeof seal);
	p->script = script;
	p->n = script_conf(script)->workers;
	must(p->n >= 1 && p->n <= WORKERS_MAX);
	p->peers.n = p->n;
	p->all = workers_new(p->n);
	p->seat = calloc(p->n, sizeof *p->seat);
	must(p->all && p->seat);
	for (uint16_t i = 0; i < p->n; i++)
		if (!seat_start(p, i, key, seal, err)) {
			boot_stop(p);
			return NULL;
		}
	loop_sit(NULL);
	for (uint16_t i = 0; i < p->n; i++) {
		char name[16];
		snprintf(name, sizeof name, "viaduct-%u", i);
		p->seat[i].running = loop_thread_start(p->seat[i].w.loop, name, -1);
		if (!p->seat[i].running) {
			putf(err, "cannot start a thread");
			boot_stop(p);
			return NULL;
		}
	}
	return p;
}

void boot_stop(struct process *p)
{
	for (uint16_t i = 0; i < p->n; i++)
		if (p->seat[i].running)
			loop_stop(p->seat[i].w.loop);
	for (uint16_t i = 0; i < p->n; i++)
		if (p->seat[i].running)
			loop_thread_join(p->seat[i].w.loop);
	for (uint16_t i = 0; i < p->n; i++)
		seat_stop(&p->seat[i]);
	workers_free(p->all);
	free(p->seat);
	free(p);
}

/* ---- counters -------------------------------------------------------------------------------------------------------------------- */

static void say(const char *group, const char *name, uint64_t value)
{
	fprintf(stderr, "counter %s.%s %llu\n", group, name, (unsigned long long)value);
}

void boot_counters(const struct process *p)
{
	static const char *const net_names[] = {
#define C(name, help) #name,
		NET_COUNTERS(C)
#undef C
	};
	static const char *const core_names[] = {
#define C(name, help) #name,
		CORE_COUNTERS(C)
#undef C
	};

	for (size_t c = 0; c < COUNT_OF(net_names); c++) {
		uint64_t sum = 0;
		for (uint16_t i = 0; i < p->n; i++)
			sum += tally_read(&net_counts(p->seat[i].w.net)->c[c]);
		say("net", net_names[c], sum);
	}
	for (int c = 1; c < PP_REJ_COUNT; c++) {
		uint64_t sum = 0;
		char name[64];
		for (uint16_t i = 0; i < p->n; i++)
			sum += tally_read(&net_counts(p->seat[i].w.net)->pp_reject[c]);
		snprintf(name, sizeof name, VIEW_FMT, VIEW_ARG(pp_reject_name((enum pp_reject)c)));
		say("pp_reject", name, sum);
	}
	for (size_t c = 0; c < COUNT_OF(core_names); c++) {
		uint64_t sum = 0;
		for (uint16_t i = 0; i < p->n; i++)
			sum += tally_read(&p->seat[i].w.counts[c]);
		say("core", core_names[c], sum);
	}
	size_t loaded;
	const struct module *const *m = script_modules(p->script, &loaded);
	for (size_t i = 0; i < loaded; i++)
		for (size_t c = 0; m[i]->counter_names && m[i]->counter_names[c]; c++) {
			uint64_t sum = 0;
			for (uint16_t w = 0; w < p->n; w++)
				sum += tally_read(&m[i]->counters(&p->seat[w].w)[c]);
			say(m[i]->name, m[i]->counter_names[c], sum);
		}
	say("end", "counters", 0);
}
