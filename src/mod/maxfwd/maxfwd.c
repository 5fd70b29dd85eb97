/* mod/maxfwd -- Max-Forwards (RFC 3261 16.3 step 3, 16.6 step 3). */
#include "mod/mod.h"

struct maxfwd_conf { int64_t max_limit; };
enum { MF_ABSENT = -2, MF_BAD = -3 };
/* That it was counted down, and what the script was told: one hop counts once. */
struct maxfwd_note { int rc; };
static const char note_key;

static int64_t current(const struct msg *m)
{
	const struct sip_hdr *h = sip_first(&m->sip, HDR_MAX_FORWARDS);
	uint32_t n;

	if (!h)
		return MF_ABSENT;
	return view_u32(h->value, &n) ? (int64_t)n : MF_BAD;
}

static int count_down(struct run *r, const struct arg *a)
{
	const struct maxfwd_conf *c = mod_conf(r->w, &mod_maxfwd);
	int64_t now = current(r->msg), limit = a[0].i < c->max_limit ? a[0].i : c->max_limit;
	struct view text;

	if (a[0].i < 0 || now == MF_BAD)
		return -2;
	if (now == 0)
		return SCRIPT_FALSE;
	if (now == MF_ABSENT) {
		text = arena_fmt(r->tmp, "Max-Forwards: %lld\r\n", (long long)limit);
		return text.p && edit_append_header(r->msg, r->edits, text) ? 2 : -2;
	}
	text = arena_fmt(r->tmp, "%lld", (long long)((now > c->max_limit ? c->max_limit : now) - 1));
	return text.p && edit_replace(r->msg, r->edits, sip_first(&r->msg->sip, HDR_MAX_FORWARDS)->value, text) ? SCRIPT_TRUE : -2;
}

static int f_process(struct run *r, const struct arg *a)
{
	struct maxfwd_note *note = msg_note(r->msg, &note_key);
	int rc;

	if (note)
		return note->rc;
	rc = count_down(r, a);
	note = rc > 0 ? arena_zalloc(r->msg->arena, sizeof *note) : NULL;
	if (note) {
		note->rc = rc;
		msg_note_set(r->msg, &note_key, note);
	}
	return rc;
}

static int f_is_lt(struct run *r, const struct arg *a)
{
	int64_t now = current(r->msg);

	return now < 0 ? (int)now : now < a[0].i ? SCRIPT_TRUE : SCRIPT_FALSE;
}

static const struct script_param params[] = {
	{ "max_limit", PARAM_INT, offsetof(struct maxfwd_conf, max_limit), "256", "largest Max-Forwards that leaves", NULL },
	{ NULL },
};
static const struct script_func funcs[] = {
	{ "mf_process_maxfwd_header", f_process, { ARG_INT }, ROUTE_REQUEST, "count down, or add the header: -1 when it was 0" },
	{ "is_maxfwd_lt", f_is_lt, { ARG_INT }, ROUTE_REQUEST | ROUTE_FAILURE | ROUTE_BRANCH, "true when Max-Forwards is below the number" },
	{ NULL },
};
const struct module mod_maxfwd = { .name = "maxfwd", .id = MOD_maxfwd, .conf_size = sizeof(struct maxfwd_conf), .params = params, .funcs = funcs,
	.help = "Max-Forwards" };
