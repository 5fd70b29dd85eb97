/* Bodies and their parts (RFC 2046 5.1, RFC 5621).  A change gives a whole new body; the next change starts from it. */
#include "mod/sipmsgops/sipmsgops.h"

enum { PARTS_MAX = 32 };      /* parts of one multipart that are looked at; the rest stays as it is, unseen */

/* The Content-Type of a body that the script made; edits are copied from branch to branch, and the body's address with them. */
struct new_type { const char *body; struct view type; struct new_type *next; };
static const char type_key;

struct view body_now(const struct run *r)
{
	must(r->msg);
	if (r->edits && r->edits->new_body)
		return r->edits->body;
	return r->msg->edits.new_body ? r->msg->edits.body : r->msg->sip.body;
}

static const struct new_type *given_type(const struct run *r)
{
	for (const struct new_type *t = msg_note(r->msg, &type_key); t; t = t->next)
		if (t->body == body_now(r).p)
			return t;
	return NULL;
}

struct view body_type_now(const struct run *r)
{
	const struct new_type *t = given_type(r);
	const struct sip_hdr  *h = sip_first(&r->msg->sip, HDR_CONTENT_TYPE);

	return t ? t->type : h ? h->value : VIEW_NONE;
}

/* The Content-Type line becomes another; `type` empty removes it. */
static bool type_line(struct run *r, struct view type)
{
	const struct sip_hdr *h = sip_first(&r->msg->sip, HDR_CONTENT_TYPE);
	struct view           line = type.n ? arena_fmt(r->msg->arena, "Content-Type: " VIEW_FMT "\r\n", VIEW_ARG(type)) : VIEW_NONE;
	uint32_t              off = (uint32_t)((h ? h->line.p : r->msg->sip.head.p + r->msg->sip.head.n) - r->msg->sip.bytes.p);

	must(r->edits);
	if (type.n && !line.p)
		return false;
	/* What an earlier change wrote is still an edit of ours: it takes the new text. */
	for (struct edit *x = r->edits->first; x; x = x->next) {
		bool ours = !x->text.n || sip_hdr_id(view_sub(x->text, 0, view_find(x->text, ':'))) == HDR_CONTENT_TYPE;
		if (x->off == off && x->len == (h ? h->line.n : 0) && ours) {
			x->text = line;
			return true;
		}
	}
	if (h)
		return edit_replace(r->msg, r->edits, h->line, line);
	return !line.n || edit_append_header(r->msg, r->edits, line);
}

static bool body_become(struct run *r, struct view type, struct view body)
{
	struct new_type *t = arena_alloc(r->msg->arena, sizeof *t);

	if (!t || !body.p || body.n > MSG_MAX_BYTES || !edit_body(r->msg, r->edits, body))
		return false;
	*t = (struct new_type){ body.p, type, msg_note(r->msg, &type_key) };
	return msg_note_set(r->msg, &type_key, t);
}

bool body_put(struct run *r, struct view body)
{
	return body_become(r, body_type_now(r), body);
}

bool body_type_is(struct view content_type, struct view want)
{
	struct view type = view_trim(view_sub(content_type, 0, view_find(content_type, ';')));

	want = view_trim(view_sub(want, 0, view_find(want, ';')));
	if (!want.n || view_is(want, VIEW("*/*")))
		return true;
	if (view_ends(want, VIEW("/*")))
		return view_starts_ci(type, view_sub(want, 0, want.n - 1));
	return view_is_ci(type, want);
}

/* ---- parts ---------------------------------------------------------------------------------------------------------------------- */

struct part { struct view whole /* from its delimiter to the next */, head, type, body; };

static bool boundary_of(struct view type, struct view *boundary)
{
	if (!view_starts_ci(view_trim(type), VIEW("multipart/")))
		return false;
	if (!sip_param(view_from(type, view_find(type, ';') + 1), VIEW("boundary"), boundary))
		return false;
	if (boundary->n >= 2 && boundary->p[0] == '"')
		*boundary = view_sub(*boundary, 1, boundary->n - 2);
	return boundary->n > 0 && boundary->n <= 70;
}

/* Offset of the next line that begins with "--boundary", from `at` on; body.n when there is none. */
static size_t delimiter(struct view body, struct view boundary, size_t at)
{
	for (; at < body.n; at++) {
		struct view rest = view_from(body, at);
		size_t      found = view_find_view(rest, boundary);
		if (found == rest.n)
			return body.n;
		at += found;
		bool line = at == 2 || (at > 2 && body.p[at - 3] == '\n');
		if (line && body.p[at - 1] == '-' && body.p[at - 2] == '-')
			return at - 2;
	}
	return body.n;
}

static void part_read(struct view text, struct part *p)
{
	/* `text` begins at "--boundary"; its head begins on the next line, its last CRLF belongs to the next delimiter. */
	size_t      line = view_find(text, '\n');
	struct view in = view_from(text, line + 1), rest;
	size_t      end = view_starts(in, VIEW("\r\n")) ? 0 : view_find_view(in, VIEW("\r\n\r\n"));

	p->whole = text;
	p->head = view_sub(in, 0, end ? end + 2 : 0);
	p->body = view_from(in, end ? end + 4 : 2);
	if (view_ends(p->body, VIEW("\r\n")))
		p->body.n -= 2;
	p->type = VIEW_NONE;
	for (rest = p->head; rest.n; ) {
		struct view value = view_cut(&rest, '\n'), name = view_cut(&value, ':');
		if (sip_hdr_id(view_trim(name)) == HDR_CONTENT_TYPE)
			p->type = view_trim(value);
	}
}

/* Parts of a multipart; *tail is from the closing delimiter on. */
static size_t parts_of(struct view body, struct view boundary, struct part *list, struct view *tail)
{
	size_t n = 0, at = delimiter(body, boundary, 0);

	must(boundary.n);
	while (at < body.n && n < PARTS_MAX) {
		struct view rest = view_from(body, at + 2 + boundary.n);
		if (view_starts(rest, VIEW("--")))
			break;
		size_t next = delimiter(body, boundary, at + 2 + boundary.n);
		part_read(view_sub(body, at, next - at), &list[n++]);
		at = next;
	}
	*tail = view_from(body, at);
	return n;
}

bool body_find(const struct run *r, struct view want, struct view *part)
{
	struct view body = body_now(r), type = body_type_now(r), boundary, tail;
	struct part list[PARTS_MAX];

	if (!body.n)
		return false;
	/* A body that does not say what it is counts as anything. */
	if (!type.n || body_type_is(type, want)) {
		*part = body;
		return true;
	}
	if (!boundary_of(type, &boundary))
		return false;
	size_t n = parts_of(body, boundary, list, &tail);
	for (size_t i = 0; i < n; i++) {
		if (!body_type_is(list[i].type.n ? list[i].type : VIEW("text/plain"), want))
			continue;
		*part = list[i].body;
		return true;
	}
	return false;
}

bool body_replace(struct run *r, struct view bytes, struct view text)
{
	struct view body = body_now(r);
	size_t      from = (size_t)(bytes.p - body.p);

	must(bytes.p >= body.p && from + bytes.n <= body.n);
	const struct view parts[] = { view_sub(body, 0, from), text, view_from(body, from + bytes.n) };
	struct view       all = arena_join(r->msg->arena, parts, COUNT_OF(parts));
	return body_put(r, all);
}

/* ---- script functions ----------------------------------------------------------------------------------------------------------- */

int f_has_body(struct run *r, const struct arg *a)
{
	struct view part;

	return yes(body_find(r, a[0].given ? a[0].s : VIEW(""), &part));
}

static bool type_fine(struct view mime)
{
	size_t slash = view_find(mime, '/');

	return sip_token(view_sub(mime, 0, slash)) && sip_token(view_trim(view_sub(mime, slash + 1, view_find(view_from(mime, slash + 1), ';')))) &&
		view_find(mime, '\r') == mime.n && view_find(mime, '\n') == mime.n;
}

static struct view one_part(struct arena *a, struct view boundary, struct view type, struct view lines, struct view body)
{
	const struct view parts[] = { VIEW("--"), boundary, VIEW("\r\n"), type.n ? VIEW("Content-Type: ") : VIEW(""), type,
		type.n ? VIEW("\r\n") : VIEW(""), lines, VIEW("\r\n"), body, VIEW("\r\n") };

	return arena_join(a, parts, COUNT_OF(parts));
}

/* A boundary that does not stand in either body: nobody who wrote them could know it before. */
static struct view boundary_new(struct run *r, struct view old, struct view new)
{
	for (int i = 0; i < 4; i++) {
		struct view b = arena_fmt(r->msg->arena, "viaduct-%016llx", (unsigned long long)r->w->rand64(r->w->rand_arg));
		if (!b.p)
			return VIEW_NONE;
		if (view_find_view(old, b) == old.n && view_find_view(new, b) == new.n)
			return b;
	}
	return VIEW_NONE;
}

static int part_append(struct run *r, struct view boundary, struct view part)
{
	struct view body = body_now(r), tail;
	struct part list[PARTS_MAX];
	size_t      n = parts_of(body, boundary, list, &tail);

	if (n == PARTS_MAX)
		return SCRIPT_FALSE;
	if (tail.n)
		return yes(body_replace(r, view_sub(tail, 0, 0), part));
	/* It never closed: it does now. */
	const struct view parts[] = { body, view_ends(body, VIEW("\r\n")) || !body.n ? VIEW("") : VIEW("\r\n"), part, VIEW("--"), boundary, VIEW("--\r\n") };
	struct view       all = arena_join(r->msg->arena, parts, COUNT_OF(parts));
	return yes(body_put(r, all));
}

int f_add_body_part(struct run *r, const struct arg *a)
{
	struct arena *arena = r->msg->arena;
	struct view   old = body_now(r), type = body_type_now(r), boundary, lines = VIEW(""), mime = view_trim(a[1].s);

	if (a[2].given && a[2].s.n)
		lines = header_lines(arena, a[2].s);
	if (!lines.p || !type_fine(mime))
		return SCRIPT_FALSE;
	if (!old.n) {
		struct view body = arena_copy(arena, a[0].s);
		mime = arena_copy(arena, mime);
		return yes(mime.p && type_line(r, mime) && body_become(r, mime, body) &&
			(!lines.n || edit_append_header(r->msg, r->edits, lines)));
	}
	if (boundary_of(type, &boundary)) {
		if (view_find_view(a[0].s, boundary) < a[0].s.n)
			return SCRIPT_FALSE;
		struct view part = one_part(arena, boundary, mime, lines, a[0].s);
		return part.p ? part_append(r, boundary, part) : SCRIPT_FALSE;
	}
	boundary = boundary_new(r, old, a[0].s);
	if (!boundary.p)
		return SCRIPT_FALSE;
	const struct view parts[] = { one_part(arena, boundary, type, VIEW(""), old), one_part(arena, boundary, mime, lines, a[0].s),
		VIEW("--"), boundary, VIEW("--\r\n") };
	struct view       all = arena_join(arena, parts, COUNT_OF(parts));
	type = arena_fmt(arena, "multipart/mixed;boundary=\"" VIEW_FMT "\"", VIEW_ARG(boundary));
	return yes(parts[0].p && parts[1].p && type.p && type_line(r, type) && body_become(r, type, all));
}

static bool body_drop(struct run *r)
{
	return type_line(r, VIEW_NONE) && body_become(r, VIEW_NONE, VIEW(""));
}

int f_remove_body_part(struct run *r, const struct arg *a)
{
	struct view body = body_now(r), type = body_type_now(r), want = a[0].given ? a[0].s : VIEW(""), boundary, tail;
	bool        revert = a[1].given && view_is_ci(a[1].s, VIEW("revert"));
	struct part list[PARTS_MAX];
	struct view keep[PARTS_MAX + 2];
	size_t      kept = 0;

	if (!body.n)
		return SCRIPT_FALSE;
	if (!want.n || !boundary_of(type, &boundary))
		return !want.n || body_type_is(type, want) != revert ? yes(body_drop(r)) : SCRIPT_FALSE;

	size_t n = parts_of(body, boundary, list, &tail);
	if (!n)
		return SCRIPT_FALSE;
	keep[kept++] = view_sub(body, 0, (size_t)(list[0].whole.p - body.p));
	for (size_t i = 0; i < n; i++)
		if (body_type_is(list[i].type.n ? list[i].type : VIEW("text/plain"), want) == revert)
			keep[kept++] = list[i].whole;
	if (kept == n + 1)
		return SCRIPT_FALSE;
	if (kept == 1 && n < PARTS_MAX)
		return yes(body_drop(r));
	keep[kept++] = tail;
	struct view all = arena_join(r->msg->arena, keep, kept);
	return yes(body_put(r, all));
}

int f_get_updated_body_part(struct run *r, const struct arg *a)
{
	struct view part;

	if (!body_find(r, a[0].given ? a[0].s : VIEW(""), &part))
		return SCRIPT_FALSE;
	const struct value v = value_str(part);
	return yes(lvalue_set(r, a[1].var, &v) > 0);
}
