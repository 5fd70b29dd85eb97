/* Variables of the script's own state: AVPs, flags, branches, time, levels (opensips-language.md 10.1). */
#include "script/ast.h"
#include "script/rows.h"
#include <time.h>
#include <unistd.h>

/* ---- AVPs -------------------------------------------------------------------------------------------------------------- */

static bool one_avp(struct run *r, const struct var_use *u, int index, struct value *out)
{
	return r->msg && avp_get(r->msg, u->sub, index, out);
}
bool get_avp(struct run *r, const struct var_use *u, struct value *out) { return var_join(r, u, out, one_avp); }

int set_avp(struct run *r, const struct var_use *u, enum assign op, const struct value *v)
{
	if (!r->msg)
		return SCRIPT_FALSE;
	return avp_assign(r->msg, u, op, v) ? SCRIPT_TRUE : SCRIPT_FALSE;
}

/* ---- flags --------------------------------------------------------------------------------------------------------------- */

static bool bind_flag(struct script_load *l, bool branch, struct view sub, int64_t *bound, struct out *err)
{
	*bound = script_flag(l, branch, sub);
	if (*bound < 0)
		putf(err, "all 31 %s flags are taken", branch ? "branch" : "message");
	return *bound >= 0;
}
bool bind_msg_flag(struct script_load *l, struct view sub, int64_t *bound, struct out *err) { return bind_flag(l, false, sub, bound, err); }
bool bind_branch_flag(struct script_load *l, struct view sub, int64_t *bound, struct out *err) { return bind_flag(l, true, sub, bound, err); }

static int flag_of(struct run *r, bool branch, const struct var_use *u)
{
	return u->bound >= 0 ? (int)u->bound : script_flag_find(r->w->conf, branch, u->sub);
}

bool get_msg_flag(struct run *r, const struct var_use *u, struct value *out)
{
	int bit = flag_of(r, false, u);

	must(bit < 32);
	return r->msg && var_int(r, out, bit >= 0 && (r->msg->flags >> bit & 1));
}

static int set_bit(uint32_t *flags, int bit, const struct value *v)
{
	must(bit < 32);
	if (bit < 0)
		return SCRIPT_FALSE;
	if (value_true(v))
		*flags |= 1u << bit;
	else
		*flags &= ~(1u << bit);
	return SCRIPT_TRUE;
}

int set_msg_flag(struct run *r, const struct var_use *u, enum assign op, const struct value *v)
{
	return r->msg ? set_bit(&r->msg->flags, flag_of(r, false, u), v) : SCRIPT_FALSE;
}

static bool flag_names(struct run *r, bool branch, uint32_t flags, struct value *out)
{
	const struct core_conf *c = r->w->conf;
	size_t cap = 1;

	for (int i = 0; i < c->nflags[branch]; i++)
		cap += c->flag_names[branch][i].n + 1;
	char *room = arena_alloc(r->tmp, cap);
	struct out o = out_to(room, cap);
	if (!room)
		return false;
	for (int i = 0; i < c->nflags[branch]; i++)
		if (flags >> i & 1) {
			if (o.n)
				put_char(&o, ' ');
			put(&o, c->flag_names[branch][i]);
		}
	must(!o.full);
	*out = value_str(out_view(&o));
	return true;
}
bool get_msg_flags(struct run *r, const struct var_use *u, struct value *out) { return r->msg && flag_names(r, false, r->msg->flags, out); }
bool get_bflags(struct run *r, const struct var_use *u, struct value *out) { return r->route && flag_names(r, true, r->route->bflags, out); }

/* ---- $msg.branch.* ---------------------------------------------------------------------------------------------------------- */

static int branch_index(const struct var_use *u) { return u->kind == IDX_NUMBER ? u->index : -1; }

/* The one branch to write to; NULL also for "all" and "append". */
static struct msg_route *branch_to_set(struct run *r, const struct var_use *u)
{
	return u->kind == IDX_NUMBER || u->kind == IDX_NONE ? branch_at(r, branch_index(u)) : NULL;
}

typedef bool branch_get(struct run *r, const struct msg_route *b, const struct var_use *u, struct value *out);
static bool branch_var(struct run *r, const struct var_use *u, struct value *out, branch_get *get, int first)
{
	struct value v;
	struct view sum = VIEW_NONE;

	if (u->kind != IDX_ALL) {
		const struct msg_route *b = branch_at(r, branch_index(u));
		return b && get(r, b, u, out);
	}
	for (int i = first; i < branch_count(r); i++) {
		if (!get(r, branch_at(r, i), u, &v))
			continue;
		const struct view parts[] = { sum.p ? sum : VIEW(""), sum.p ? VIEW(", ") : VIEW(""), v.s };
		sum = arena_join(r->tmp, parts, COUNT_OF(parts));
		if (!sum.p)
			return false;
	}
	return var_text(out, sum);
}

static bool one_uri(struct run *r, const struct msg_route *b, const struct var_use *u, struct value *out) { return var_text(out, b->ruri); }
static bool one_duri(struct run *r, const struct msg_route *b, const struct var_use *u, struct value *out) { return var_text(out, b->duri); }
static bool one_bpath(struct run *r, const struct msg_route *b, const struct var_use *u, struct value *out) { return var_text(out, b->path); }
static bool one_q(struct run *r, const struct msg_route *b, const struct var_use *u, struct value *out) { return b->q >= 0 && var_int(r, out, b->q); }
static bool one_bflags(struct run *r, const struct msg_route *b, const struct var_use *u, struct value *out) { return flag_names(r, true, b->bflags, out); }
static bool one_socket(struct run *r, const struct msg_route *b, const struct var_use *u, struct value *out)
{
	return b->socket && var_text(out, b->socket->text);
}
static bool one_bflag(struct run *r, const struct msg_route *b, const struct var_use *u, struct value *out)
{
	int bit = flag_of(r, true, u);

	return var_int(r, out, bit >= 0 && (b->bflags >> bit & 1));
}

/* attr holds "name=value\n" lines; values may not contain a newline. */
static struct view attr_line(struct view attrs, struct view name, struct view *value)
{
	while (attrs.n) {
		struct view line = view_sub(attrs, 0, view_find(attrs, '\n') + 1), rest = view_sub(line, 0, line.n - 1);
		if (view_is(view_cut(&rest, '='), name)) {
			*value = rest;
			return line;
		}
		attrs = view_from(attrs, line.n);
	}
	return VIEW_NONE;
}
static bool one_attr(struct run *r, const struct msg_route *b, const struct var_use *u, struct value *out)
{
	struct view value;

	if (!attr_line(b->attr, u->sub, &value).n)
		return false;
	*out = value_str(value.p ? value : VIEW(""));
	return true;
}

#define BRANCH_GET(name, one) \
	bool get_branch_##name(struct run *r, const struct var_use *u, struct value *out) { return branch_var(r, u, out, one, 0); }
BRANCH_GET(uri, one_uri)
BRANCH_GET(duri, one_duri)
BRANCH_GET(path, one_bpath)
BRANCH_GET(q, one_q)
BRANCH_GET(flags, one_bflags)
BRANCH_GET(socket, one_socket)
BRANCH_GET(flag, one_bflag)
BRANCH_GET(attr, one_attr)
BRANCH_GET(new, one_uri)

bool get_branch_last(struct run *r, const struct var_use *u, struct value *out)
{
	return branch_count(r) && var_int(r, out, branch_count(r) - 1);
}

static int set_text(struct run *r, struct msg_route *b, struct view *field, const struct value *v)
{
	if (!b)
		return SCRIPT_FALSE;
	struct view kept = value_null(v) ? VIEW_NONE : arena_copy(r->tmp, v->s);
	if (!value_null(v) && !kept.p)
		return SCRIPT_FALSE;
	*field = kept;
	return SCRIPT_TRUE;
}

static int set_uri_text(struct run *r, struct msg_route *b, struct view *field, const struct value *v)
{
	struct sip_uri check;

	if (!value_null(v) && (v->s.n > URI_MAX_BYTES || !sip_uri_parse(v->s, &check)))
		return SCRIPT_FALSE;
	return set_text(r, b, field, v);
}

int set_branch_uri(struct run *r, const struct var_use *u, enum assign op, const struct value *v)
{
	struct msg_route *b = branch_to_set(r, u);

	return value_null(v) || !b ? SCRIPT_FALSE : set_uri_text(r, b, &b->ruri, v);
}

int set_branch_duri(struct run *r, const struct var_use *u, enum assign op, const struct value *v)
{
	struct msg_route *b = branch_to_set(r, u);

	return b ? set_uri_text(r, b, &b->duri, v) : SCRIPT_FALSE;
}

int set_branch_path(struct run *r, const struct var_use *u, enum assign op, const struct value *v)
{
	struct msg_route *b = branch_to_set(r, u);
	struct view text = var_value_text(v), rest = text;
	struct sip_nameaddr na;
	enum sip_status s = view_find(text, '\n') < text.n ? SIP_BAD : SIP_OK;

	/* It becomes Route headers: name-addrs and nothing else. */
	while (view_trim(rest).n && s == SIP_OK)
		s = sip_nameaddr_next(&rest, &na);
	return b && s == SIP_OK ? set_text(r, b, &b->path, v) : SCRIPT_FALSE;
}

int set_branch_q(struct run *r, const struct var_use *u, enum assign op, const struct value *v)
{
	struct msg_route *b = branch_to_set(r, u);

	if (!b || (!value_null(v) && (!(v->flags & V_INT) || v->i < 0 || v->i > 1000)))
		return SCRIPT_FALSE;
	b->q = value_null(v) ? -1 : (int16_t)v->i;
	return SCRIPT_TRUE;
}

int set_branch_flags(struct run *r, const struct var_use *u, enum assign op, const struct value *v)
{
	struct msg_route *b = branch_to_set(r, u);

	if (!b)
		return SCRIPT_FALSE;
	b->bflags = 0;
	struct view rest = var_value_text(v);
	while (rest.n) {
		int bit = script_flag_find(r->w->conf, true, view_cut(&rest, ' '));
		if (bit >= 0)
			b->bflags |= 1u << bit;
	}
	return SCRIPT_TRUE;
}

int set_branch_socket(struct run *r, const struct var_use *u, enum assign op, const struct value *v)
{
	struct msg_route *b = branch_to_set(r, u);

	return b ? route_set_socket(r, b, v) : SCRIPT_FALSE;
}

int set_branch_flag(struct run *r, const struct var_use *u, enum assign op, const struct value *v)
{
	struct msg_route *b = branch_to_set(r, u);

	return b ? set_bit(&b->bflags, flag_of(r, true, u), v) : SCRIPT_FALSE;
}

int set_branch_attr(struct run *r, const struct var_use *u, enum assign op, const struct value *v)
{
	struct msg_route *b = branch_to_set(r, u);
	struct view old, text = var_value_text(v);

	if (!b || !u->sub.n || view_find(u->sub, '\n') < u->sub.n || view_find(text, '\n') < text.n || view_find(u->sub, '=') < u->sub.n)
		return SCRIPT_FALSE;
	struct view line = attr_line(b->attr, u->sub, &old);
	struct view before = line.n ? view_of(b->attr.p, (size_t)(line.p - b->attr.p)) : b->attr;
	struct view after = line.n ? view_from(b->attr, before.n + line.n) : VIEW("");
	const struct view set[] = { before, after, u->sub, VIEW("="), text, VIEW("\n") };
	struct view attr = arena_join(r->tmp, set, value_null(v) ? 2 : COUNT_OF(set));
	if (!attr.p)
		return SCRIPT_FALSE;
	b->attr = attr;
	return SCRIPT_TRUE;
}

int set_branch_new(struct run *r, const struct var_use *u, enum assign op, const struct value *v)
{
	return !value_null(v) && branch_append(r, v->s, NULL) ? SCRIPT_TRUE : SCRIPT_FALSE;
}

/* ---- $branch(field)[i]: the 3.x spelling; index 0 is the first added branch ------------------------------------------------------ */

static const struct {
	struct view word;
	branch_get *get;
	int       (*set)(struct run *r, const struct var_use *u, enum assign op, const struct value *v);
} old_fields[] = {
	{ VIEW_INIT("uri"), one_uri, set_branch_uri }, { VIEW_INIT("duri"), one_duri, set_branch_duri }, { VIEW_INIT("q"), one_q, set_branch_q },
	{ VIEW_INIT("path"), one_bpath, set_branch_path }, { VIEW_INIT("flags"), one_bflags, set_branch_flags },
	{ VIEW_INIT("socket"), one_socket, set_branch_socket },
};

static int old_field(struct view word)
{
	for (size_t i = 0; i < COUNT_OF(old_fields); i++)
		if (view_is_ci(word, old_fields[i].word))
			return (int)i;
	return -1;
}

bool bind_old_branch(struct script_load *l, struct view sub, int64_t *bound, struct out *err)
{
	*bound = old_field(sub);
	if (*bound >= 0)
		return true;
	putf(err, "unknown branch field \"" VIEW_FMT "\"; there are uri, duri, q, path, flags, socket", VIEW_ARG(sub));
	return false;
}

/* Among the added branches, counted from their first; false when there is no such one: the R-URI branch is none of them. */
static bool old_use(const struct run *r, const struct var_use *u, struct var_use *use)
{
	int index = u->kind == IDX_NUMBER ? u->index : 0, added = branch_count(r) - 1;

	*use = *u;
	use->kind = IDX_NUMBER;
	use->index = (index < 0 ? index + added : index) + 1;
	return use->index >= 1 && use->index <= added;
}

static int old_word(const struct var_use *u) { return u->bound >= 0 ? (int)u->bound : old_field(u->sub); }

bool get_old_branch(struct run *r, const struct var_use *u, struct value *out)
{
	struct var_use use;

	if (u->sub.n && old_word(u) < 0)
		return false;
	branch_get *get = u->sub.n ? old_fields[old_word(u)].get : one_uri;
	if (u->kind == IDX_ALL)
		return branch_var(r, u, out, get, 1);
	return old_use(r, u, &use) && branch_var(r, &use, out, get, 1);
}

int set_old_branch(struct run *r, const struct var_use *u, enum assign op, const struct value *v)
{
	struct var_use use;

	if (!u->sub.n)
		return set_branch_new(r, u, op, v);
	return old_word(u) >= 0 && old_use(r, u, &use) ? old_fields[old_word(u)].set(r, &use, op, v) : SCRIPT_FALSE;
}

/* ---- time ---------------------------------------------------------------------------------------------------------------------------- */

static time_t unix_now(struct run *r) { return (time_t)(r->w->loop->unix_ms / 1000); }

bool get_time_s(struct run *r, const struct var_use *u, struct value *out) { return var_int(r, out, unix_now(r)); }
bool get_time_ms(struct run *r, const struct var_use *u, struct value *out) { return var_int(r, out, (int64_t)(r->w->loop->unix_ms % 1000 * 1000)); }

bool get_time_start(struct run *r, const struct var_use *u, struct value *out)
{
	return var_int(r, out, (int64_t)(script_worker(r->w)->started_ms / 1000));
}

bool get_time_text(struct run *r, const struct var_use *u, struct value *out)
{
	time_t now = unix_now(r);
	struct tm tm;
	char text[64];

	return localtime_r(&now, &tm) && var_text(out, arena_copy(r->tmp, view_of(text, strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", &tm))));
}

bool get_time_format(struct run *r, const struct var_use *u, struct value *out)
{
	time_t now = unix_now(r);
	struct tm tm;
	char text[256], format[128];

	if (u->sub.n >= sizeof format || !localtime_r(&now, &tm))
		return false;
	memcpy(format, u->sub.p, u->sub.n);
	format[u->sub.n] = 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	size_t n = strftime(text, sizeof text, format, &tm);
#pragma GCC diagnostic pop
	return var_text(out, arena_copy(r->tmp, view_of(text, n)));
}

/* ---- the process --------------------------------------------------------------------------------------------------------------------- */

bool get_pid(struct run *r, const struct var_use *u, struct value *out) { return var_int(r, out, getpid()); }
bool get_log_level(struct run *r, const struct var_use *u, struct value *out) { return var_int(r, out, log_get_level()); }
bool get_xlog_level(struct run *r, const struct var_use *u, struct value *out) { return var_int(r, out, r->w->xlog_level); }

int set_log_level(struct run *r, const struct var_use *u, enum assign op, const struct value *v)
{
	if (!value_null(v) && !(v->flags & V_INT))
		return SCRIPT_FALSE;
	log_set_level(value_null(v) ? r->w->conf->log_level : v->i);
	return SCRIPT_TRUE;
}

int set_xlog_level(struct run *r, const struct var_use *u, enum assign op, const struct value *v)
{
	if (!value_null(v) && !(v->flags & V_INT))
		return SCRIPT_FALSE;
	r->w->xlog_level = value_null(v) ? r->w->conf->xlog_level : v->i;
	return SCRIPT_TRUE;
}

/* $C(fb): terminal colours, foreground and background letter; "xx" resets. */
bool get_color(struct run *r, const struct var_use *u, struct value *out)
{
	static const char letters[] = "srgybpcw";      /* in the terminal's order: black red green yellow blue magenta cyan white */

	if (u->sub.n != 2)
		return false;
	const char *fg = strchr(letters, ascii_lower(u->sub.p[0])), *bg = strchr(letters, ascii_lower(u->sub.p[1]));
	if (!fg || !*fg)
		return var_text(out, VIEW("\033[0m"));
	return var_text(out, bg && *bg ? arena_fmt(r->tmp, "\033[%d;%dm", 30 + (int)(fg - letters), 40 + (int)(bg - letters))
	                               : arena_fmt(r->tmp, "\033[%dm", 30 + (int)(fg - letters)));
}
