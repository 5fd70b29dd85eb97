/* mod/textops -- regular expressions over the text of a message.
 * Headers are searched as they were received; a change of a header line must leave whole header lines (see header_lines()).  Bodies
 * are changed from what earlier calls left.  An expression sees one line at a time, without its CRLF unless it asks for it, so
 * that ".*" ends where the line ends; replace_body_atonce() and the flag `s` of a substitution see everything at once. */
#include "mod/mod.h"
#include "mod/sipmsgops/api.h"

static int yes(bool b) { return b ? SCRIPT_TRUE : SCRIPT_FALSE; }

/* What to do with a match: put `text` in its place or behind it; or a substitution. */
struct rule { const struct regex *re; const struct subst *subst; struct view text; bool all, behind, whole; };

/* The substituted text, nothing when there was no match; subst_run() wants more memory than its result, so it gets its own. */
static int subst_put(const struct subst *s, struct view in, struct out *o)
{
	struct arena *a = arena_new(MSG_ARENA_BYTES);
	struct view   text;
	int           hits = a ? subst_run(s, in, a, &text) : -1;

	if (hits > 0)
		put(o, text);
	arena_free(a);
	return o->full ? -1 : hits;
}

/* The text with the rule applied; hits, or -1 (memory, match limit). */
static int rule_run(const struct rule *u, struct view in, struct out *o)
{
	size_t at = 0, g[1][2];
	int    hits = 0;

	must(!u->re != !u->subst);
	if (u->subst)
		return subst_put(u->subst, in, o);
	while (at <= in.n && regex_match(u->re, in, at, g, 1) > 0) {
		bool empty = g[0][0] == g[0][1];
		if (empty && hits)
			break;
		put(o, view_sub(in, at, g[0][u->behind] - at));
		put(o, u->text);
		at = g[0][1];
		hits++;
		if (!u->all || empty)
			break;
	}
	put(o, view_from(in, at));
	return o->full ? -1 : hits;
}

/* The first line of *rest without and with its end. */
static void line_next(struct view *rest, struct view *whole, struct view *text)
{
	size_t end = view_find(*rest, '\n');

	*whole = view_sub(*rest, 0, end + 1);
	*text = view_sub(*rest, 0, end);
	if (text->n && text->p[text->n - 1] == '\r')
		text->n--;
	*rest = view_from(*rest, end + 1);
}

/* On a line without its end; when that finds nothing, with it: "...\r\n" may be part of the expression. */
static int rule_line(const struct rule *u, struct view whole, struct view text, struct out *o)
{
	size_t start = o->n;
	int    hits = rule_run(u, text, o);

	if (hits > 0)
		put(o, view_from(whole, text.n));
	if (hits != 0)
		return hits;
	o->n = start;
	return rule_run(u, whole, o);
}

/* ---- headers ---------------------------------------------------------------------------------------------------------------- */

/* Received header lines become others, or vanish; only what differs is edited, so that edits of the rest still hold. */
static bool lines_become(struct run *r, struct view old, struct view text)
{
	size_t      before = 0, after = 0;
	struct view new;

	must(r->edits);
	if (!view_trim(text).n)
		return edit_delete(r->msg, r->edits, old);
	new = header_lines(r->msg->arena, text);
	if (!new.p)
		return false;
	while (before < old.n && before < new.n && old.p[before] == new.p[before])
		before++;
	while (after < old.n - before && after < new.n - before && old.p[old.n - 1 - after] == new.p[new.n - 1 - after])
		after++;
	old = view_sub(old, before, old.n - before - after);
	new = view_sub(new, before, new.n - before - after);
	return (!old.n && !new.n) || edit_replace(r->msg, r->edits, old, new);
}

static int in_headers(struct run *r, const struct rule *u)
{
	const struct sip_msg *m = &r->msg->sip;
	char                  space[2 * MSG_HEADER_BYTES];
	int                   total = 0;

	for (uint16_t i = 0; i < m->nhdr; i++) {
		struct view text = m->hdr[i].line;
		struct out  o = out_to(space, sizeof space);
		while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
			text.n--;
		int hits = rule_line(u, m->hdr[i].line, text, &o);
		if (hits == 0)
			continue;
		if (hits < 0 || !lines_become(r, m->hdr[i].line, out_view(&o)))
			return -1;
		total += hits;
		if (!u->all)
			break;
	}
	return total;
}

static int in_head_whole(struct run *r, const struct rule *u)
{
	static const struct view end = VIEW_INIT("\r\n");
	struct view              head = r->msg->sip.head;
	char                     space[MSG_HEAD_BYTES + 16384];
	struct out               o = out_to(space, sizeof space);
	int                      hits = head.n > end.n ? rule_run(u, view_sub(head, 0, head.n - end.n), &o) : 0;

	return hits <= 0 || lines_become(r, head, out_view(&o)) ? hits : -1;
}

/* ---- bodies ------------------------------------------------------------------------------------------------------------------ */

static int in_body(struct run *r, const struct rule *u)
{
	struct view rest = body_now(r), whole, text;
	char        space[MSG_MAX_BYTES];
	struct out  o = out_to(space, sizeof space);
	int         total = 0;

	if (u->whole) {
		total = rest.n ? rule_run(u, rest, &o) : 0;
	} else {
		while (rest.n) {
			line_next(&rest, &whole, &text);
			int hits = total && !u->all ? 0 : rule_line(u, whole, text, &o);
			if (hits < 0)
				return -1;
			total += hits;
			if (hits == 0 && (u->subst || (total && !u->all)))
				put(&o, whole);
		}
	}
	if (total <= 0)
		return total;
	text = arena_copy(r->msg->arena, out_view(&o));
	return !o.full && body_put(r, text) ? total : -1;
}

/* Headers, then the body; without `all` the first match ends it. */
static int in_message(struct run *r, const struct rule *u)
{
	int hits = u->whole ? in_head_whole(r, u) : in_headers(r, u);

	if (hits < 0 || (hits && !u->all))
		return yes(hits > 0);
	int more = in_body(r, u);
	return yes(more >= 0 && hits + more > 0);
}

/* ---- search and replace -------------------------------------------------------------------------------------------------------- */

static bool found_in(const struct regex *re, struct view rest)
{
	struct view whole, text;

	while (rest.n) {
		line_next(&rest, &whole, &text);
		if (regex_match(re, text, 0, NULL, 0) > 0 || regex_match(re, whole, 0, NULL, 0) > 0)
			return true;
	}
	return false;
}

static int f_search(struct run *r, const struct arg *a)
{
	return yes(found_in(a[0].re, r->msg->sip.bytes));
}

static int f_search_body(struct run *r, const struct arg *a)
{
	return yes(found_in(a[0].re, r->msg->sip.body));
}

static int f_search_append(struct run *r, const struct arg *a)
{
	return in_message(r, &(struct rule){ .re = a[0].re, .text = a[1].s, .behind = true });
}

static int f_search_append_body(struct run *r, const struct arg *a)
{
	return yes(in_body(r, &(struct rule){ .re = a[0].re, .text = a[1].s, .behind = true }) > 0);
}

static int f_replace(struct run *r, const struct arg *a)
{
	return in_message(r, &(struct rule){ .re = a[0].re, .text = a[1].s });
}

static int f_replace_all(struct run *r, const struct arg *a)
{
	return in_message(r, &(struct rule){ .re = a[0].re, .text = a[1].s, .all = true });
}

static int f_replace_body(struct run *r, const struct arg *a)
{
	return yes(in_body(r, &(struct rule){ .re = a[0].re, .text = a[1].s }) > 0);
}

static int f_replace_body_all(struct run *r, const struct arg *a)
{
	return yes(in_body(r, &(struct rule){ .re = a[0].re, .text = a[1].s, .all = true }) > 0);
}

static int f_replace_body_atonce(struct run *r, const struct arg *a)
{
	return yes(in_body(r, &(struct rule){ .re = a[0].re, .text = a[1].s, .whole = true }) > 0);
}

/* ---- substitutions --------------------------------------------------------------------------------------------------------------- */

/* Each worker compiles an expression when it first runs it; how many there are is the script's size. */
struct compiled { struct table_node node; struct subst *subst; bool all, whole; size_t n; char text[]; };
struct textops { struct table table; struct hash_key key; };

static bool same_text(const struct table_node *n, const void *key)
{
	const struct compiled *c = container_of(n, struct compiled, node);

	return view_is(view_of(c->text, c->n), *(const struct view *)key);
}

/* Index of the delimiter that ends the part beginning at `at`. */
static size_t part_end(struct view e, size_t at)
{
	for (; at < e.n && e.p[at] != e.p[0]; at++)
		at += e.p[at] == '\\';
	return at < e.n ? at : e.n;
}

static const struct compiled *compiled_of(struct run *r, struct view expression)
{
	struct textops    *t = mod_state(r->w, &mod_textops);
	uint64_t           hash = siphash_view(t->key, expression);
	struct table_node *n = table_find(&t->table, hash, same_text, &expression);
	char               why[128];
	struct out         err = out_to(why, sizeof why);

	must(expression.n);
	if (n)
		return container_of(n, struct compiled, node);

	struct view      flags = view_from(expression, part_end(expression, part_end(expression, 1) + 1));
	struct compiled *c = calloc(1, sizeof *c + expression.n);
	if (!c || !(c->subst = subst_new(expression, &err))) {
		free(c);
		return NULL;
	}
	c->all = view_find(flags, 'g') < flags.n;
	c->whole = view_find(flags, 's') < flags.n;
	c->n = expression.n;
	memcpy(c->text, expression.p, expression.n);
	table_add(&t->table, &c->node, hash);
	return c;
}

/* The replacement with \u as the request URI, written so that every byte of it stands for itself.  False when it has no \u. */
static bool with_ruri(struct view e, struct view ruri, struct out *o)
{
	size_t from = part_end(e, 1) + 1, to = part_end(e, from);
	bool   any = false;

	put(o, view_sub(e, 0, from));
	for (size_t i = from; i < to; i++) {
		if (e.p[i] != '\\' || i + 1 == to) {
			put_char(o, e.p[i]);
		} else if (e.p[++i] == 'u') {
			any = true;
			for (size_t k = 0; k < ruri.n; k++) {
				if (ruri.p[k] == '\\' || ruri.p[k] == e.p[0])
					put_char(o, '\\');
				put_char(o, ruri.p[k]);
			}
		} else {
			put_char(o, '\\');
			put_char(o, e.p[i]);
		}
	}
	put(o, view_from(e, to));
	return any && !o->full;
}

/* A substitution ready to run; `own` is this run's alone, because the request URI is part of it. */
struct ready { struct rule rule; struct subst *own; };

static bool ready_of(struct run *r, struct view expression, struct ready *y)
{
	const struct compiled *c = compiled_of(r, expression);
	struct view            ruri = r->route ? r->route->ruri : VIEW_NONE;
	size_t                 cap = expression.n + 16 * ruri.n;
	char                   why[128];
	struct out             err = out_to(why, sizeof why);

	*y = (struct ready){ .own = NULL };
	if (!c)
		return false;
	*y = (struct ready){ .rule = { .subst = c->subst, .all = c->all, .whole = c->whole } };
	if (view_find_view(expression, VIEW("\\u")) == expression.n)
		return true;

	char      *space = arena_alloc(r->tmp, cap);
	struct out o = out_to(space, cap);
	if (!space)
		return false;
	if (!with_ruri(expression, ruri, &o))
		return !o.full;
	y->own = subst_new(out_view(&o), &err);
	y->rule.subst = y->own;
	return y->own != NULL;
}

static int f_subst(struct run *r, const struct arg *a)
{
	struct ready y;
	int          rc = ready_of(r, a[0].s, &y) ? in_message(r, &y.rule) : SCRIPT_FALSE;

	subst_free(y.own);
	return rc;
}

static int f_subst_body(struct run *r, const struct arg *a)
{
	struct ready y;
	int          rc = yes(ready_of(r, a[0].s, &y) && in_body(r, &y.rule) > 0);

	subst_free(y.own);
	return rc;
}

static bool ruri_set(struct run *r, const struct view *parts, size_t n)
{
	struct view    uri = arena_join(r->msg->arena, parts, n);
	struct sip_uri check;

	must(r->route);
	if (!uri.p || !sip_uri_parse(uri, &check))
		return false;
	r->route->ruri = uri;
	return true;
}

/* The substitution on a short text; false without a match. */
static bool substituted(struct run *r, struct view expression, struct view in, struct out *o)
{
	struct ready y;
	bool         good = ready_of(r, expression, &y) && subst_put(y.rule.subst, in, o) > 0;

	subst_free(y.own);
	return good;
}

static int f_subst_uri(struct run *r, const struct arg *a)
{
	char       space[URI_MAX_BYTES];
	struct out uri = out_to(space, sizeof space);

	if (!r->route || !substituted(r, a[0].s, r->route->ruri, &uri))
		return SCRIPT_FALSE;
	const struct view text = out_view(&uri);
	return yes(ruri_set(r, &text, 1));
}

static int f_subst_user(struct run *r, const struct arg *a)
{
	char           space[URI_MAX_BYTES];
	struct out     user = out_to(space, sizeof space);
	struct sip_uri u;

	if (!r->route || !sip_uri_parse(r->route->ruri, &u) || !substituted(r, a[0].s, u.user, &user))
		return SCRIPT_FALSE;

	size_t            from = (size_t)((u.user.n ? u.user.p : u.host.p) - u.whole.p);
	const struct view parts[] = { view_sub(u.whole, 0, from), out_view(&user), u.user.n || !user.n ? VIEW("") : VIEW("@"),
		view_from(u.whole, from + u.user.n) };
	return yes(ruri_set(r, parts, COUNT_OF(parts)));
}

/* A variable in a replacement would have to be expanded apart from the expression: refused here, where it can still be said. */
static bool check_subst(struct script_load *l, const struct arg *literal, struct out *err)
{
	struct view e = literal[0].s;

	if (!literal[0].given)
		return true;
	struct subst *s = subst_new(e, err);
	if (!s)
		return false;
	subst_free(s);

	for (size_t at = part_end(e, 1) + 1, end = part_end(e, at); at + 1 < end; at++) {
		char c = ascii_lower(e.p[at + 1]);
		if (e.p[at] == '\\') {
			at++;
		} else if (e.p[at] == '$' && (c == '(' || (c >= 'a' && c <= 'z'))) {
			putf(err, "a replacement takes \\0 to \\9, \\u, \\n, \\r and \\t, but no variables");
			return false;
		}
	}
	return true;
}

static bool worker_init(struct worker *w, const void *conf, void **state)
{
	struct textops *t = calloc(1, sizeof *t);

	if (!t || !table_init(&t->table, 16)) {
		free(t);
		return false;
	}
	t->key = w->key;
	*state = t;
	return true;
}

static void worker_done(struct worker *w, void *state)
{
	struct textops    *t = state;
	size_t             at = 0;
	struct table_node *n = table_next(&t->table, &at, NULL);

	while (n) {
		struct compiled *c = container_of(n, struct compiled, node);
		n = table_next(&t->table, &at, n);
		subst_free(c->subst);
		free(c);
	}
	table_done(&t->table);
	free(t);
}

enum { Q = ROUTE_REQUEST, R = ROUTE_ONREPLY, F = ROUTE_FAILURE, B = ROUTE_BRANCH, ALL = Q | R | F | B | ROUTE_LOCAL,
	STR = ARG_STR, RE = ARG_REGEX };
static const struct script_func funcs[] = {
	{ "search", f_search, { RE }, ALL, "does a line of the received message match" },
	{ "search_body", f_search_body, { RE }, ALL, "does a line of the received body match" },
	{ "search_append", f_search_append, { RE, STR }, ALL, "put the text behind the first match after the first line" },
	{ "search_append_body", f_search_append_body, { RE, STR }, ALL, "put the text behind the first match in the body" },
	{ "replace", f_replace, { RE, STR }, ALL, "put the text in place of the first match after the first line" },
	{ "replace_all", f_replace_all, { RE, STR }, ALL, "put the text in place of every match after the first line" },
	{ "replace_body", f_replace_body, { RE, STR }, ALL, "put the text in place of the first match in the body" },
	{ "replace_body_all", f_replace_body_all, { RE, STR }, ALL, "put the text in place of every match in the body, line by line" },
	{ "replace_body_atonce", f_replace_body_atonce, { RE, STR }, ALL, "as replace_body, with the whole body as one text" },
	{ "subst", f_subst, { ARG_STATIC }, ALL, "\"/expression/replacement/flags\" over headers and body; flags i, g, s", NULL, check_subst },
	{ "subst_uri", f_subst_uri, { ARG_STATIC }, Q | R | F | B, "substitution in the request URI, visible at once", NULL, check_subst },
	{ "subst_user", f_subst_user, { ARG_STATIC }, Q | R | F | B, "substitution in the request URI's user, visible at once", NULL, check_subst },
	{ "subst_body", f_subst_body, { ARG_STATIC }, ALL, "substitution in the body", NULL, check_subst },
	{ NULL },
};
const struct module mod_textops = { .name = "textops", .id = MOD_textops, .funcs = funcs, .worker_init = worker_init, .worker_done = worker_done,
	.help = "regular expressions over the text of a message" };
