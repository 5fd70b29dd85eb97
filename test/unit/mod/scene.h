/* test/unit/mod/scene.h -- a script on the bench of test/unit/txn: it is loaded, hears messages, and what it logs is kept.  One test
 * program each. */
#ifndef TEST_MOD_SCENE_H
#define TEST_MOD_SCENE_H
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include "bench.h"
#include "mod/mod.h"
#include <stdio.h>
#include <stdlib.h>

static struct script *script;
static char           said[4096];
static size_t         nsaid;

/* What xlog() wrote since start(), each line ended by '|'. */
static void hear(void *arg, int level, struct view text)
{
	size_t n = text.n < sizeof said - nsaid - 2 ? text.n : sizeof said - nsaid - 2;

	memcpy(said + nsaid, text.p, n);
	nsaid += n;
	said[nsaid++] = '|';
	said[nsaid] = 0;
}

static const struct module *const scene_modules[] = { &mod_tm, &mod_sl, &mod_signaling, &mod_rr, &mod_maxfwd, &mod_options, &mod_sipmsgops };

/* The findings stand in `why`; NULL when there are errors. */
static struct script *scene_load(const char *text, char *why, size_t cap)
{
	static const char *const absent[] = { NULL };
	struct script_env env = { .modules = scene_modules, .nmodules = COUNT_OF(scene_modules), .known_absent = absent, .workers = 1 };
	struct diags      d = { .arena = arena_new(1 << 20) };
	struct out        o = out_to(why, cap - 1);
	struct script    *s = script_load(VIEW("test.cfg"), view_str(text), &env, &d);

	for (const struct diag *x = d.first; x; x = x->next)
		diag_print(x, &o);
	why[o.n] = '\0';
	arena_free(d.arena);
	return s;
}

static void start(const char *text)
{
	char       why[4096];
	struct out o = out_to(why, sizeof why);

	stand_up();
	script = scene_load(text, why, sizeof why);
	if (!script)
		fail_msg("%s", why);
	stand.conf = *script_conf(script);
	stand.w.conf = script_conf(script);
	stand.w.hooks = &script_hooks;
	assert_true(script_worker_init(&stand.w, script, &o));
	script_log_to(&stand.w, hear, NULL);
	nsaid = 0;
	said[0] = 0;
}

static void stop(void)
{
	script_worker_done(&stand.w);
	script_free(script);
	stand_down();
	regex_thread_done();
}

static void has(int i, const char *what, const char *row)
{
	if (!view_has(stand_text(i), what))
		fail_msg("%s: lacks '%s':\n" VIEW_FMT, row, what, VIEW_ARG(stand_text(i)));
}

static void lacks(int i, const char *what, const char *row)
{
	if (view_has(stand_text(i), what))
		fail_msg("%s: has '%s':\n" VIEW_FMT, row, what, VIEW_ARG(stand_text(i)));
}
#endif
