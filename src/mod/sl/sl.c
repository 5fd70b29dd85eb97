/* mod/sl -- stateless replies, and the ACKs that answer them. */
#include "mod/mod.h"
#include "mod/sl/api.h"

/* An ACK to a stateless negative reply is swallowed while one may still arrive (opensips-modules.md 6, sl). */
enum { ACK_WINDOW_MS = 2000 };
struct sl { uint64_t replied_ms; };

static struct view contacts_of(struct run *r)
{
	const struct msg *m = r->msg;
	size_t cap = 64;

	for (int i = 0; i <= m->nmore; i++)
		cap += (i ? m->more[i - 1] : m->route).ruri.n + 32;
	char *text = arena_alloc(r->tmp, cap);
	struct out o = out_to(text, text ? cap : 0);

	put(&o, VIEW("Contact: "));
	for (int i = 0; i <= m->nmore; i++) {
		const struct msg_route *b = i ? &m->more[i - 1] : &m->route;
		putf(&o, "%s<" VIEW_FMT ">", i ? ", " : "", VIEW_ARG(b->ruri));
		if (b->q >= 0)
			putf(&o, ";q=%d.%03d", b->q / 1000, b->q % 1000);
	}
	put(&o, VIEW("\r\n"));
	return o.full ? VIEW("") : out_view(&o);
}

int sl_reply(struct run *r, uint16_t code, struct view reason)
{
	struct sl *sl = mod_state(r->w, &mod_sl);
	char tag[32];
	struct own_reply reply = { .status = code, .reason = reason };

	if (!r->msg || !sip_is_request(&r->msg->sip) || code < 100 || code > 699)
		return SCRIPT_FALSE;
	if (r->msg->sip.method_id == SIP_ACK)
		return SCRIPT_TRUE;
	if (code >= 180)
		reply.to_tag = reply_tag(r->msg, tag);
	if (code >= 300 && code < 400)
		reply.extra = contacts_of(r);
	if (sl)
		sl->replied_ms = worker_now(r->w);
	return msg_reply(r->msg, &reply) == SEND_OK ? SCRIPT_TRUE : SCRIPT_FALSE;
}

static int f_sl_send_reply(struct run *r, const struct arg *a)
{
	return a[0].i < 100 || a[0].i > 699 ? SCRIPT_FALSE : sl_reply(r, (uint16_t)a[0].i, a[1].s);
}

static int f_sl_reply_error(struct run *r, const struct arg *a)
{
	return sl_reply(r, 500, VIEW("Server error occurred (1/SL)"));
}

static bool absorb_ack(struct worker *w, struct msg *m)
{
	const struct sl *sl = mod_state(w, &mod_sl);
	char tag[32];

	if (m->sip.method_id != SIP_ACK || !sl || sl->replied_ms == 0 || worker_now(w) - sl->replied_ms > ACK_WINDOW_MS)
		return false;
	if (!view_is(m->sip.to_tag, reply_tag(m, tag)))
		return false;
	msg_unref(m);
	return true;
}

static bool worker_init(struct worker *w, const void *conf, void **state)
{
	return (*state = calloc(1, sizeof(struct sl))) != NULL;
}

static void worker_done(struct worker *w, void *state) { free(state); }

static const struct script_param params[] = {
	{ "enable_stats", PARAM_IGNORED_INT, 0, "1", "counters are always on", NULL },
	{ NULL },
};
static const struct script_func funcs[] = {
	{ "sl_send_reply", f_sl_send_reply, { ARG_INT, ARG_STR }, ROUTE_REQUEST | ROUTE_ERROR, "reply without a transaction" },
	{ "sl_reply_error", f_sl_reply_error, { ARG_NONE }, ROUTE_REQUEST, "reply for the last internal error" },
	{ NULL },
};
const struct module mod_sl = { .name = "sl", .id = MOD_sl, .params = params, .funcs = funcs, .worker_init = worker_init, .worker_done = worker_done,
	.on_request = absorb_ack, .help = "stateless replies" };
