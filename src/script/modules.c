/* loadmodule and modparam (opensips-language section 2, design section 8): a module is built in, or known and absent (a stub that takes
 * any parameter), or unknown. */
#include "script/ast.h"

enum state { MOD_NEW, MOD_BUSY, MOD_DONE };

const struct module_load *module_loaded(const struct loader *l, struct view name)
{
	for (size_t i = 0; i < l->nmodules; i++)
		if (view_is(l->modules[i].name, name))
			return &l->modules[i];
	return NULL;
}

/* "x.so", "x", "dir/x.so", "x/x.so" */
static struct view module_name(struct view path)
{
	while (view_find(path, '/') < path.n)
		path = view_from(path, view_find(path, '/') + 1);
	if (view_ends(path, VIEW(".so")))
		path.n -= 3;
	return path;
}

static const struct module *built_in(const struct loader *l, struct view name)
{
	for (size_t i = 0; i < l->pub.env->nmodules; i++)
		if (view_is(view_str(l->pub.env->modules[i]->name), name))
			return l->pub.env->modules[i];
	return NULL;
}

static bool known_absent(const struct loader *l, struct view name)
{
	for (const char *const *n = l->pub.env->known_absent; n && *n; n++)
		if (view_is(view_str(*n), name))
			return true;
	return false;
}

/* Before anything is set: zero, then what the rows say. */
static void *defaults(struct loader *l, const struct module *m)
{
	char *conf = arena_zalloc(l->pub.arena, m->conf_size ? m->conf_size : 1);

	for (const struct script_param *p = m->params; conf && p && p->name; p++) {
		int64_t n;
		if (!p->deflt)
			continue;
		if (p->type == PARAM_STR) {
			*(struct view *)(conf + p->at) = view_str(p->deflt);
		} else if (p->type == PARAM_INT) {
			must(parse_number(view_str(p->deflt), &n));
			*(int64_t *)(conf + p->at) = n;
		}
	}
	return conf;
}

static bool load_one(struct loader *l, const struct item *i)
{
	struct view          name = module_name(i->name);
	const struct module *m = built_in(l, name);

	if (module_loaded(l, name)) {
		warn_at(l, i->at, i->len, VIEW_NONE, "module " VIEW_FMT " is already loaded", VIEW_ARG(name));
		return true;
	}
	if (!m && !known_absent(l, name)) {
		struct closest c = { .want = name };
		for (size_t k = 0; k < l->pub.env->nmodules; k++)
			closest_offer(&c, view_str(l->pub.env->modules[k]->name));
		for (const char *const *n = l->pub.env->known_absent; n && *n; n++)
			closest_offer(&c, view_str(*n));
		err_at(l, i->at, i->len, closest_hint(&c, l->pub.arena), "unknown module \"" VIEW_FMT "\"", VIEW_ARG(name));
		return false;
	}
	if (l->nmodules == l->cap_modules) {
		size_t              cap = l->cap_modules ? 2 * l->cap_modules : 32;
		struct module_load *all = arena_alloc(l->pub.arena, cap * sizeof *all);
		if (!all)
			return false;
		if (l->nmodules)
			memcpy(all, l->modules, l->nmodules * sizeof *all);
		l->modules = all;
		l->cap_modules = cap;
	}
	l->modules[l->nmodules++] = (struct module_load){ .m = m, .name = name, .conf = m ? defaults(l, m) : NULL, .at = i->at };
	return !m || l->modules[l->nmodules - 1].conf;
}

/* ---- parameters ----------------------------------------------------------------------------------------------------------- */

static const char *type_name(enum param_type t)
{
	switch (t) {
	case PARAM_INT: case PARAM_CALL_INT: case PARAM_IGNORED_INT: return "a number";
	default: return "a string";
	}
}

static bool set_param(struct loader *l, const struct module_load *m, const struct script_param *row, const struct param_ast *p)
{
	must(m->m && m->conf);

	bool       wants_str = row->type == PARAM_STR || row->type == PARAM_CALL || row->type == PARAM_IGNORED_STR;
	char       why[256];
	struct out err = out_to(why, sizeof why - 1);

	if (row->type == PARAM_IGNORED_ANY)
		return true;
	if (p->is_str != wants_str) {
		err_at(l, p->at, p->len, p->is_str ? VIEW("leave the quotes away") : VIEW("put it into quotes"), "parameter %s of " VIEW_FMT " is %s", row->name, VIEW_ARG(m->name), type_name(row->type));
		return false;
	}
	switch (row->type) {
	case PARAM_INT: *(int64_t *)((char *)m->conf + row->at) = p->num; return true;
	case PARAM_STR: *(struct view *)((char *)m->conf + row->at) = p->text; return true;
	case PARAM_CALL: case PARAM_CALL_INT: {
		struct place at = source_place(&l->src, p->at);
		l->pub.file = at.file;
		l->pub.line = at.line;
		must(row->set);
		if (row->set(&l->pub, m->conf, p->text, p->num, &err))
			return true;
		err_at(l, p->at, p->len, VIEW_NONE, "parameter %s of " VIEW_FMT ": " VIEW_FMT, row->name, VIEW_ARG(m->name), VIEW_ARG(out_view(&err)));
		return false;
	}
	default: return true;
	}
}

static bool one_module_param(struct loader *l, const struct module_load *m, const struct param_ast *p)
{
	struct closest c = { .want = p->name };

	if (!m->m)
		return true;
	for (const struct script_param *row = m->m->params; row && row->name; row++) {
		if (view_is(view_str(row->name), p->name))
			return set_param(l, m, row, p);
		closest_offer(&c, view_str(row->name));
	}
	err_at(l, p->name_at, p->name_len, closest_hint(&c, l->pub.arena), "module " VIEW_FMT " has no parameter \"" VIEW_FMT "\"", VIEW_ARG(m->name), VIEW_ARG(p->name));
	return false;
}

static bool plain_name(struct view v)
{
	for (size_t i = 0; i < v.n; i++)
		if (!((v.p[i] >= 'a' && v.p[i] <= 'z') || (v.p[i] >= '0' && v.p[i] <= '9') || v.p[i] == '_'))
			return false;
	return true;
}

/* The name is an expression, anchored at both ends, in any case; what it matches takes the value. */
static bool param(struct loader *l, const struct param_ast *p)
{
	char          why[128];
	struct out    err = out_to(why, sizeof why - 1);
	bool          good = true, any = false, plain = plain_name(p->module);
	struct view   pattern = arena_fmt(l->pub.arena, "^(" VIEW_FMT ")$", VIEW_ARG(p->module));
	struct regex *re = plain ? NULL : regex_new(pattern, true, true, &err);

	if (!plain && !re) {
		err_at(l, p->module_at, p->module_len, VIEW_NONE, "bad expression for module names: " VIEW_FMT, VIEW_ARG(out_view(&err)));
		return false;
	}
	for (size_t i = 0; i < l->nmodules && good; i++) {
		const struct module_load *m = &l->modules[i];
		if (plain ? !view_is(m->name, p->module) : regex_match(re, m->name, 0, NULL, 0) <= 0)
			continue;
		any = true;
		good = one_module_param(l, m, p);
	}
	regex_free(re);
	if (any)
		return good;

	bool           exists = built_in(l, p->module) || known_absent(l, p->module);
	struct closest c = { .want = p->module };

	for (size_t i = 0; i < l->nmodules; i++)
		closest_offer(&c, l->modules[i].name);
	err_at(l, p->module_at, p->module_len, exists ? arena_fmt(l->pub.arena, "add loadmodule \"" VIEW_FMT ".so\"", VIEW_ARG(p->module)) : closest_hint(&c, l->pub.arena),
		"no loaded module is called \"" VIEW_FMT "\"", VIEW_ARG(p->module));
	return false;
}

bool modules_load(struct loader *l)
{
	bool good = true;

	for (const struct item *i = l->items; i; i = i->next)
		if (i->kind == ITEM_LOAD)
			good &= load_one(l, i);
	/* An unknown module makes everything about it unknown: only the cause is told. */
	for (const struct item *i = l->items; i && good; i = i->next)
		if (i->kind == ITEM_PARAM)
			good = param(l, i->param);
	return good;
}

/* ---- init in the order of dependencies ---------------------------------------------------------------------------------------- */

static bool init_one(struct loader *l, struct module_load *m, struct script *s)
{
	char       why[256];
	struct out err = out_to(why, sizeof why - 1);

	if (m->state == MOD_DONE)
		return true;
	must(m->state == MOD_NEW);              /* the modules' own dependencies must not go in circles */
	m->state = MOD_BUSY;
	for (const char *const *d = m->m->depends; d && *d; d++) {
		struct module_load *needed = (struct module_load *)module_loaded(l, view_str(*d));
		if (!needed || !needed->m) {
			err_at(l, m->at, 1, arena_fmt(l->pub.arena, "add loadmodule \"%s.so\"", *d), "module " VIEW_FMT " needs module %s", VIEW_ARG(m->name), *d);
			return false;
		}
		if (!init_one(l, needed, s))
			return false;
	}
	m->state = MOD_DONE;
	must(m->m->id < s->nmod_conf && !s->mod_conf[m->m->id]);      /* two modules with one id */
	s->mod_conf[m->m->id] = m->conf;
	s->modules[s->nmodules++] = m->m;
	if (!m->m->init || m->m->init(&l->pub, m->conf, &err))
		return true;
	err_at(l, m->at, (uint32_t)m->name.n, VIEW_NONE, "module " VIEW_FMT ": " VIEW_FMT, VIEW_ARG(m->name), VIEW_ARG(out_view(&err)));
	return false;
}

bool modules_init(struct loader *l)
{
	struct script *s = l->pub.script;
	size_t         slots = 1;

	must(s && s->nmodules == 0);

	for (size_t i = 0; i < l->pub.env->nmodules; i++)
		if (l->pub.env->modules[i]->id >= slots)
			slots = (size_t)l->pub.env->modules[i]->id + 1;
	s->nmod_conf = slots;
	s->mod_conf = arena_zalloc(l->pub.arena, slots * sizeof *s->mod_conf);
	s->modules = arena_zalloc(l->pub.arena, (l->nmodules + 1) * sizeof *s->modules);
	l->pub.conf->mod = s->mod_conf;
	if (!s->mod_conf || !s->modules)
		return false;
	for (size_t i = 0; i < l->nmodules; i++)
		if (l->modules[i].m && !init_one(l, &l->modules[i], s))
			return false;
	return true;
}
