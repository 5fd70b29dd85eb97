/* test/unit/mod/edits.h -- calls script functions on a message and looks at what would leave.  One test program each; uses the
 * stand of test/unit/core. */
#ifndef TEST_MOD_EDITS_H
#define TEST_MOD_EDITS_H
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include "stand.h"
#include "mod/mod.h"
#include <stdio.h>
#include <stdlib.h>

enum { CALLS = 6, TEXTS = 6 };
/* A call and what it returns; an argument NULL is not given. */
struct call { const char *fn; int rc; const char *a[3]; };
struct scene {
	const char *name, *msg, *socket;     /* socket: NULL = UDP */
	struct call calls[CALLS];
	const char *has[TEXTS], *lacks[TEXTS];
	const char *body;                    /* the whole body that leaves; NULL = not looked at */
	const char *var;                     /* what the last output variable got */
};

/* An output variable: the engine's own is not linked. */
struct lvalue { char text[16384]; int sets; };
static struct lvalue out_var[2];

int lvalue_set(struct run *r, const struct lvalue *v, const struct value *value)
{
	struct lvalue *to = (struct lvalue *)v;

	snprintf(to->text, sizeof to->text, VIEW_FMT, VIEW_ARG(value->s));
	to->sets++;
	return 1;
}

static struct run run_for(struct msg *m)
{
	return (struct run){ .w = &stand.w, .type = sip_is_request(&m->sip) ? ROUTE_REQUEST : ROUTE_ONREPLY, .msg = m, .request = m,
		.route = sip_is_request(&m->sip) ? &m->route : NULL, .edits = &m->edits, .branch = -1, .tmp = m->arena, .rc = 1 };
}

static int call(struct run *r, const struct module *mod, const struct call *c, const char *scene)
{
	const struct script_func *f = mod->funcs;
	struct arg                a[4] = { { .given = false } };
	struct regex             *re[3] = { NULL };
	char                      why[128];
	struct out                err = out_to(why, sizeof why);
	size_t                    nvar = 0;

	while (f->name && strcmp(f->name, c->fn) != 0)
		f++;
	if (!f->name)
		fail_msg("%s: no function %s", scene, c->fn);
	for (size_t i = 0; i < 3; i++) {
		uint8_t type = f->args[i] & ARG_TYPE;
		if (type == ARG_NONE || !c->a[i])
			continue;
		a[i] = (struct arg){ .given = true, .s = view_str(c->a[i]), .i = strtol(c->a[i], NULL, 10) };
		if (type == ARG_REGEX) {
			a[i].re = re[i] = regex_new(a[i].s, true, true, &err);
			assert_non_null(a[i].re);
		}
		if (type == ARG_VAR)
			a[i].var = &out_var[nvar++];
	}
	if (f->check && !f->check(NULL, a, &err))
		fail_msg("%s: %s: " VIEW_FMT, scene, c->fn, VIEW_ARG(out_view(&err)));
	int rc = f->run(r, a);
	for (size_t i = 0; i < 3; i++)
		regex_free(re[i]);
	return rc;
}

/* What leaves: forwarded from the first UDP socket, or relayed. */
static struct view sent(struct msg *m)
{
	struct laid l;

	if (sip_is_request(&m->sip))
		assert_true(layout_request(m, &m->route, NULL, &stand.sockets[0], TR_UDP, VIEW("z9hG4bKours"), m->arena, &l));
	else
		assert_true(layout_reply(m, 0, VIEW_NONE, m->arena, &l));
	return laid_flat(&l, m->arena);
}

/* Whatever a script did, a message leaves that parses, with one true Content-Length. */
static struct view sent_body(struct view bytes, const char *scene)
{
	static struct sip_hdr space[MSG_MAX_HEADERS];
	struct sip_msg        m;
	enum sip_fault        why = sip_parse(bytes, true, space, MSG_MAX_HEADERS, &m);

	if (why != SIP_FAULT_NONE)
		fail_msg("%s: what leaves is broken (" VIEW_FMT "):\n" VIEW_FMT, scene, VIEW_ARG(sip_fault_text(why)), VIEW_ARG(bytes));
	assert_int_equal(m.first[HDR_CONTENT_LENGTH], m.last[HDR_CONTENT_LENGTH]);
	return m.body;
}

static void play(const struct scene *s, const struct module *mod)
{
	struct msg *m = stand_msg(s->msg, s->socket ? s->socket : "udp:192.0.2.1:5060", "198.51.100.7:5060");
	struct run  r = run_for(m);

	memset(out_var, 0, sizeof out_var);
	for (size_t i = 0; i < CALLS && s->calls[i].fn; i++) {
		int rc = call(&r, mod, &s->calls[i], s->name);
		if (rc != s->calls[i].rc)
			fail_msg("%s: %s() returned %d, not %d", s->name, s->calls[i].fn, rc, s->calls[i].rc);
	}
	struct view bytes = sent(m), body = sent_body(bytes, s->name);
	for (size_t i = 0; i < TEXTS && s->has[i]; i++)
		if (!view_has(bytes, s->has[i]))
			fail_msg("%s: lacks '%s':\n" VIEW_FMT, s->name, s->has[i], VIEW_ARG(bytes));
	for (size_t i = 0; i < TEXTS && s->lacks[i]; i++)
		if (view_has(bytes, s->lacks[i]))
			fail_msg("%s: has '%s':\n" VIEW_FMT, s->name, s->lacks[i], VIEW_ARG(bytes));
	if (s->body && !view_is(body, view_str(s->body)))
		fail_msg("%s: body is\n" VIEW_FMT "\nnot\n%s", s->name, VIEW_ARG(body), s->body);
	if (s->var)
		assert_string_equal(out_var[0].text, s->var);
	msg_unref(m);
}
#endif
