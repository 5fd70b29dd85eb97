/* mod/signaling -- one reply function for stateful and stateless processing. */
#include "mod/mod.h"
#include "mod/sl/api.h"
#include "mod/tm/api.h"

static int f_send_reply(struct run *r, const struct arg *a)
{
	if (a[0].i < 100 || a[0].i > 699)
		return SCRIPT_FALSE;
	if (tm_has_txn(r))
		return tm_reply(r, (uint16_t)a[0].i, a[1].s);
	return sl_reply(r, (uint16_t)a[0].i, a[1].s);
}

static bool get_local_totag(struct run *r, const struct var_use *u, struct value *out)
{
	char text[32];
	struct view tag = tm_has_txn(r) ? tm_local_totag(r) : VIEW_NONE;

	if (!tag.n && r->msg && sip_is_request(&r->msg->sip))
		tag = reply_tag(r->msg, text);
	*out = value_str(arena_copy(r->tmp, tag));
	return out->s.n > 0;
}

static const struct script_func funcs[] = {
	{ "send_reply", f_send_reply, { ARG_INT, ARG_STR }, ROUTE_REQUEST | ROUTE_ERROR | ROUTE_FAILURE, "reply, with the transaction when there is one" },
	{ NULL },
};
static const struct script_var vars[] = {
	{ "sig_local_totag", get_local_totag, NULL, NULL, 0, "To tag of our own replies to this request" },
	{ NULL },
};
const struct module mod_signaling = { .name = "signaling", .id = MOD_signaling, .funcs = funcs, .vars = vars, .help = "stateful or stateless replies" };
