/* From text to an immutable script: source, tree, globals, modules, check, compile. */
#include "script/ast.h"

enum { SCRIPT_ARENA_BYTES = 256 << 20 };          /* a configuration is its operator's own: only a bound against a runaway include */

struct regex *script_regex(struct script_load *l, struct view pattern, bool icase, struct out *err)
{
	must(l->script && l->arena);

	struct regex      *re = regex_new(pattern, icase, true, err);
	struct regex_node *n = re ? arena_alloc(l->arena, sizeof *n) : NULL;

	if (re && !n) {
		regex_free(re);
		putf(err, "out of memory");
		return NULL;
	}
	if (!re)
		return NULL;
	*n = (struct regex_node){ re, l->script->regexes };
	l->script->regexes = n;
	return re;
}

static bool stateless_rules(struct loader *l)
{
	if (!l->forward_used)
		return true;
	if (l->stateless_given) {
		err_at(l, 0, 0, VIEW_NONE, "forward() is used, but disable_stateless_fwd forbids it");
		return false;
	}
	/* Replies to what forward() sent must find their way back. */
	l->pub.conf->stateless_forward = true;
	return true;
}

static bool load(struct loader *l, struct view path, struct view text)
{
	return source_load(&l->pub, path, text, &l->src) && globals_start(l) && parse_file(l) && modules_load(l) && globals_finish(l) && modules_init(l) &&
		check_routes(l) && stateless_rules(l) && !l->pub.diags->errors && compile_routes(l) && !l->pub.diags->errors;
}

struct script *script_load(struct view path, struct view text, const struct script_env *env, struct diags *d)
{
	struct arena  *a = arena_new(SCRIPT_ARENA_BYTES);
	struct script *s = a ? arena_zalloc(a, sizeof *s) : NULL;
	struct loader *l = a ? arena_zalloc(a, sizeof *l) : NULL;

	if (!s || !l) {
		arena_free(a);
		diag_add(d, true, path, 0, 0, 0, VIEW_NONE, VIEW_NONE, "out of memory");
		return NULL;
	}
	s->arena = a;
	s->script_args = env->script_args;
	s->nscript_args = env->nscript_args;
	l->prog = &s->prog;
	l->pub = (struct script_load){ .arena = a, .conf = &s->conf, .script = s, .diags = d, .env = env, .file = path };
	if (load(l, path, text))
		return s;
	if (!d->errors)
		diag_add(d, true, path, 0, 0, 0, VIEW_NONE, VIEW_NONE, "out of memory");
	script_free(s);
	return NULL;
}

void script_free(struct script *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->nmodules; i++)
		if (s->modules[i]->free_conf)
			s->modules[i]->free_conf(s->mod_conf[s->modules[i]->id]);
	for (const struct regex_node *n = s->regexes; n; n = n->next)
		regex_free(n->re);
	arena_free(s->arena);
}

const struct core_conf *script_conf(const struct script *s) { return &s->conf; }

const struct module *const *script_modules(const struct script *s, size_t *n)
{
	*n = s->nmodules;
	return s->modules;
}

bool script_has(const struct script *s, enum route_type type, struct view name) { return script_route(s, type, name) >= 0; }

bool script_timer(const struct script *s, size_t i, struct view *name, uint32_t *seconds)
{
	unsigned t = route_type_index(ROUTE_TIMER);

	must(name && seconds);

	if (i >= s->prog.nroutes[t])
		return false;
	*name = s->prog.routes[t][i].name;
	*seconds = s->prog.routes[t][i].seconds;
	return true;
}
