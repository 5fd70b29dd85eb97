/* Header lines: added, removed, found, and comma lists inside them. */
#include "mod/sipmsgops/sipmsgops.h"
#include <fnmatch.h>

/* One line without its CRLF; `first` may not be a continuation. */
static bool line_fine(struct view line, bool first)
{
	if (!line.n || view_find(line, '\r') < line.n || view_find(line, '\n') < line.n || view_find(line, '\0') < line.n)
		return false;
	if (line.p[0] == ' ' || line.p[0] == '\t')
		return !first && view_trim(line).n;
	size_t colon = view_find(line, ':');
	return colon < line.n && sip_token(view_trim(view_sub(line, 0, colon)));
}

struct view header_lines(struct arena *a, struct view text)
{
	static const struct view crlf = VIEW_INIT("\r\n");
	struct view              rest;
	bool                     first = true;

	while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
		text.n--;
	for (rest = text; rest.n || first; first = false) {
		size_t end = view_find_view(rest, crlf);
		if (!line_fine(view_sub(rest, 0, end), first))
			return VIEW_NONE;
		rest = view_from(rest, end + 2);
	}
	const struct view parts[] = { text, crlf };
	return arena_join(a, parts, COUNT_OF(parts));
}

/* ---- added and removed ------------------------------------------------------------------------------------------------------ */

static const struct sip_hdr *anchor_of(const struct run *r, const struct arg *anchor)
{
	must(r->msg && r->edits);
	uint16_t i = anchor->given && anchor->s.n ? sip_find(&r->msg->sip, view_trim(anchor->s), 0) : SIP_NO_HDR;

	return i == SIP_NO_HDR ? NULL : &r->msg->sip.hdr[i];
}

int f_append_hf(struct run *r, const struct arg *a)
{
	struct view           lines = header_lines(r->msg->arena, a[0].s);
	const struct sip_hdr *at = anchor_of(r, &a[1]);

	if (!lines.p)
		return SCRIPT_FALSE;
	return yes(at ? edit_insert(r->msg, r->edits, at->line.p + at->line.n, lines) : edit_append_header(r->msg, r->edits, lines));
}

int f_insert_hf(struct run *r, const struct arg *a)
{
	struct view           lines = header_lines(r->msg->arena, a[0].s);
	const struct sip_hdr *at = anchor_of(r, &a[1]);

	if (!lines.p)
		return SCRIPT_FALSE;
	return yes(at ? edit_insert(r->msg, r->edits, at->line.p, lines) : edit_prepend_header(r->msg, r->edits, lines));
}

int f_append_urihf(struct run *r, const struct arg *a)
{
	const struct view parts[] = { a[0].s, r->msg->sip.ruri, a[1].s };
	struct view       text = arena_join(r->tmp, parts, COUNT_OF(parts)), lines;

	if (!text.p || !sip_is_request(&r->msg->sip))
		return SCRIPT_FALSE;
	lines = header_lines(r->msg->arena, text);
	return yes(lines.p && edit_append_header(r->msg, r->edits, lines));
}

int f_remove_hf(struct run *r, const struct arg *a)
{
	const struct sip_msg *m = &r->msg->sip;
	struct view           name = view_trim(a[0].s);
	bool                  any = false;

	for (uint16_t i = sip_find(m, name, 0); i != SIP_NO_HDR; i = sip_find(m, name, (uint16_t)(i + 1))) {
		if (!edit_delete(r->msg, r->edits, m->hdr[i].line))
			return SCRIPT_FALSE;
		any = true;
	}
	return yes(any);
}

int f_remove_hf_re(struct run *r, const struct arg *a)
{
	const struct sip_msg *m = &r->msg->sip;
	bool                  any = false;

	for (uint16_t i = 0; i < m->nhdr; i++) {
		if (regex_match(a[0].re, m->hdr[i].name, 0, NULL, 0) <= 0)
			continue;
		if (!edit_delete(r->msg, r->edits, m->hdr[i].line))
			return SCRIPT_FALSE;
		any = true;
	}
	return yes(any);
}

static bool glob_matches(struct run *r, const char *glob, struct view name)
{
	char *text = arena_cstr(r->tmp, name);

	return text && fnmatch(glob, text, FNM_CASEFOLD) == 0;
}

int f_remove_hf_glob(struct run *r, const struct arg *a)
{
	const struct sip_msg *m = &r->msg->sip;
	const char           *glob = arena_cstr(r->tmp, a[0].s);
	bool                  any = false;

	for (uint16_t i = 0; glob && i < m->nhdr; i++) {
		if (!glob_matches(r, glob, m->hdr[i].name))
			continue;
		if (!edit_delete(r->msg, r->edits, m->hdr[i].line))
			return SCRIPT_FALSE;
		any = true;
	}
	return yes(any);
}

int f_is_present_hf(struct run *r, const struct arg *a)
{
	return yes(sip_find(&r->msg->sip, view_trim(a[0].s), 0) != SIP_NO_HDR);
}

int f_get_glob_headers_values(struct run *r, const struct arg *a)
{
	const struct sip_msg *m = &r->msg->sip;
	const char           *glob = arena_cstr(r->tmp, a[0].s);
	bool                  any = false;

	for (uint16_t i = 0; glob && i < m->nhdr; i++) {
		const struct value name = value_str(m->hdr[i].name), text = value_str(m->hdr[i].value);

		if (!glob_matches(r, glob, m->hdr[i].name))
			continue;
		if (lvalue_set(r, a[1].var, &name) < 0 || lvalue_set(r, a[2].var, &text) < 0)
			return SCRIPT_FALSE;
		any = true;
	}
	return yes(any);
}

/* ---- our own replies ---------------------------------------------------------------------------------------------------------- */

static bool has_length(struct view lines)
{
	while (lines.n) {
		struct view line = view_cut(&lines, '\n');
		if (sip_hdr_id(view_trim(view_sub(line, 0, view_find(line, ':')))) == HDR_CONTENT_LENGTH)
			return true;
	}
	return false;
}

static bool add_reply_lines(struct msg *m, struct view lines)
{
	const struct view parts[] = { m->reply_lines, lines };
	struct view       all = arena_join(m->arena, parts, COUNT_OF(parts));

	if (!all.p)
		return false;
	m->reply_lines = all;
	return true;
}

/* A reply has one Content-Length, and it is ours. */
int f_append_to_reply(struct run *r, const struct arg *a)
{
	struct view lines = header_lines(r->tmp, a[0].s);

	return yes(lines.p && !has_length(lines) && add_reply_lines(r->msg, lines));
}

int f_append_body_to_reply(struct run *r, const struct arg *a)
{
	const struct view parts[] = { r->msg->reply_body, a[0].s };
	struct view       all = arena_join(r->msg->arena, parts, COUNT_OF(parts));

	if (!all.p || all.n > MSG_MAX_BYTES)
		return SCRIPT_FALSE;
	r->msg->reply_body = all;
	return SCRIPT_TRUE;
}

/* RFC 3261 20.17: always GMT.  Days to a date as in "chrono-Compatible Low-Level Date Algorithms": years that begin in March. */
int f_append_time(struct run *r, const struct arg *a)
{
	static const char days[][4] = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed" };
	static const char months[][4] = { "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb" };
	uint64_t now = r->w->loop->unix_ms / 1000, day = now / 86400, second = now % 86400;
	uint64_t shifted = day + 719468, era = shifted / 146097, doe = shifted % 146097;
	uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	uint64_t month = (5 * doy + 2) / 153, mday = doy - (153 * month + 2) / 5 + 1, year = yoe + era * 400 + (month >= 10);
	struct view line = arena_fmt(r->tmp, "Date: %s, %02u %s %u %02u:%02u:%02u GMT\r\n", days[day % 7], (unsigned)mday, months[month],
		(unsigned)year, (unsigned)(second / 3600), (unsigned)(second / 60 % 60), (unsigned)(second % 60));

	return yes(line.p && add_reply_lines(r->msg, line));
}

/* ---- comma lists ---------------------------------------------------------------------------------------------------------------- */

/* The edit that already rewrote these bytes, so that a second change starts from the first. */
static struct edit *rewritten(struct edits *e, const struct msg *m, struct view bytes)
{
	must(e && bytes.p >= m->sip.bytes.p);
	uint32_t off = (uint32_t)(bytes.p - m->sip.bytes.p);

	for (struct edit *x = e->first; x && x->off <= off; x = x->next)
		if (x->off == off && x->len == bytes.n)
			return x;
	return NULL;
}

static bool removed(const struct edits *e, const struct msg *m, struct view line)
{
	uint32_t off = (uint32_t)(line.p - m->sip.bytes.p);

	for (const struct edit *x = e->first; x && x->off <= off; x = x->next)
		if (x->off == off && x->len == line.n && !x->text.n)
			return true;
	return false;
}

static struct view value_now(struct run *r, const struct sip_hdr *h)
{
	const struct edit *x = h->value.n ? rewritten(r->edits, r->msg, h->value) : NULL;

	return x ? x->text : h->value;
}

static bool value_set(struct run *r, const struct sip_hdr *h, struct view value)
{
	struct edit *x = h->value.n ? rewritten(r->edits, r->msg, h->value) : NULL;

	if (!value.n)
		return edit_delete(r->msg, r->edits, h->line);
	if (!x)
		return edit_replace(r->msg, r->edits, h->value, value);
	x->text = value;
	return true;
}

static bool list_has(struct view list, struct view token)
{
	struct view item;

	while (sip_list_next(&list, &item))
		if (view_is_ci(item, token))
			return true;
	return false;
}

/* Walks the headers of that name that still stand. */
static const struct sip_hdr *next_named(struct run *r, struct view name, uint16_t *from)
{
	const struct sip_msg *m = &r->msg->sip;

	for (uint16_t i = sip_find(m, name, *from); i != SIP_NO_HDR; i = sip_find(m, name, (uint16_t)(i + 1))) {
		if (removed(r->edits, r->msg, m->hdr[i].line))
			continue;
		*from = (uint16_t)(i + 1);
		return &m->hdr[i];
	}
	return NULL;
}

static bool option_found(struct run *r, struct view name, struct view token)
{
	uint16_t at = 0;

	for (const struct sip_hdr *h; (h = next_named(r, name, &at)); )
		if (list_has(value_now(r, h), token))
			return true;
	return false;
}

int f_list_hdr_has_option(struct run *r, const struct arg *a)
{
	return yes(option_found(r, view_trim(a[0].s), view_trim(a[1].s)));
}

int f_list_hdr_add_option(struct run *r, const struct arg *a)
{
	struct view           name = view_trim(a[0].s), token = view_trim(a[1].s);
	uint16_t              at = 0;
	const struct sip_hdr *h = next_named(r, name, &at);

	if (!sip_token(name) || !sip_token(token))
		return SCRIPT_FALSE;
	if (option_found(r, name, token))
		return SCRIPT_TRUE;
	if (!h) {
		struct view line = arena_fmt(r->msg->arena, VIEW_FMT ": " VIEW_FMT "\r\n", VIEW_ARG(name), VIEW_ARG(token));
		return yes(line.p && edit_append_header(r->msg, r->edits, line));
	}
	struct view       old = value_now(r, h);
	const struct view parts[] = { old, old.n ? VIEW(", ") : VIEW(""), token };
	struct view       list = arena_join(r->msg->arena, parts, COUNT_OF(parts));
	return yes(list.p && value_set(r, h, list));
}

int f_list_hdr_remove_option(struct run *r, const struct arg *a)
{
	struct view name = view_trim(a[0].s), token = view_trim(a[1].s);
	uint16_t    at = 0;
	bool        any = false;

	for (const struct sip_hdr *h; (h = next_named(r, name, &at)); ) {
		struct view rest = value_now(r, h), item;
		char       *space = arena_alloc(r->msg->arena, 2 * rest.n + 1);
		struct out  o = out_to(space, 2 * rest.n + 1);

		if (!space)
			return SCRIPT_FALSE;
		if (!list_has(rest, token))
			continue;
		while (sip_list_next(&rest, &item)) {
			if (view_is_ci(item, token))
				continue;
			put(&o, o.n ? VIEW(", ") : VIEW(""));
			put(&o, item);
		}
		if (o.full || !value_set(r, h, out_view(&o)))
			return SCRIPT_FALSE;
		any = true;
	}
	return yes(any);
}
