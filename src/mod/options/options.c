/* mod/options -- answers to OPTIONS that ask us (RFC 3261 11.2). */
#include "mod/mod.h"
#include "mod/sl/api.h"
#include "mod/tm/api.h"

struct options_conf { struct view accept, accept_encoding, accept_language, support; };

static struct view line(struct run *r, const char *name, struct view value)
{
	return value.n ? arena_fmt(r->tmp, "%s: " VIEW_FMT "\r\n", name, VIEW_ARG(value)) : VIEW("");
}

static int f_options_reply(struct run *r, const struct arg *a)
{
	const struct options_conf *c = mod_conf(r->w, &mod_options);
	struct sip_uri u;

	if (r->msg->sip.method_id != SIP_OPTIONS || !sip_uri_parse(r->route->ruri, &u) || u.user.n)
		return SCRIPT_FALSE;
	const struct view lines[] = { r->msg->reply_lines, line(r, "Accept", c->accept), line(r, "Accept-Encoding", c->accept_encoding),
		line(r, "Accept-Language", c->accept_language), line(r, "Supported", c->support) };
	struct view all = arena_join(r->tmp, lines, COUNT_OF(lines));
	if (!all.p)
		return SCRIPT_FALSE;
	r->msg->reply_lines = all;
	int rc = tm_has_txn(r) ? tm_reply(r, 200, VIEW("OK")) : sl_reply(r, 200, VIEW("OK"));
	return rc == SCRIPT_TRUE ? SCRIPT_STOP : SCRIPT_FALSE;
}

static const struct script_param params[] = {
	{ "accept", PARAM_STR, offsetof(struct options_conf, accept), "*/*", "Accept of the answer", NULL },
	{ "accept_encoding", PARAM_STR, offsetof(struct options_conf, accept_encoding), "", "Accept-Encoding of the answer", NULL },
	{ "accept_language", PARAM_STR, offsetof(struct options_conf, accept_language), "en", "Accept-Language of the answer", NULL },
	{ "support", PARAM_STR, offsetof(struct options_conf, support), "", "Supported of the answer", NULL },
	{ NULL },
};
static const struct script_func funcs[] = {
	{ "options_reply", f_options_reply, { ARG_NONE }, ROUTE_REQUEST, "answer OPTIONS without a user and end the script" },
	{ NULL },
};
static const char *const depends[] = { "sl", NULL };
const struct module mod_options = { .name = "options", .id = MOD_options, .conf_size = sizeof(struct options_conf), .params = params, .funcs = funcs,
	.depends = depends, .help = "answers to OPTIONS" };
