/* Findings: kept in order, printed with the line and a caret. */
#include "script/ast.h"
#include <stdarg.h>
#include <stdio.h>

static void diag_v(struct diags *d, bool error, struct place p, uint32_t width, struct view hint, const char *fmt, va_list ap)
{
	must(d && d->arena && fmt);

	char         text[1024];
	struct diag *x = arena_zalloc(d->arena, sizeof *x);
	int          n = vsnprintf(text, sizeof text, fmt, ap);

	*(error ? &d->errors : &d->warnings) += 1;
	if (!x || n < 0)
		return;
	x->error = error;
	x->file = p.file;
	x->line = p.line;
	x->column = p.column;
	x->width = width;
	x->source_line = p.text;
	x->hint = arena_copy(d->arena, hint);
	x->text = arena_copy(d->arena, view_of(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1));
	*(d->last ? &d->last->next : &d->first) = x;
	d->last = x;
}

void diag_add(struct diags *d, bool error, struct view file, uint32_t line, uint32_t column, uint32_t width, struct view source_line,
	struct view hint, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diag_v(d, error, (struct place){ file, source_line, line, column }, width, hint, fmt, ap);
	va_end(ap);
}

/* The arena of the findings outlives that of a refused configuration: lines and names are copied over. */
static struct place kept_place(struct loader *l, uint32_t at)
{
	struct place p = source_place(&l->src, at);

	p.file = arena_copy(l->pub.diags->arena, p.file);
	p.text = arena_copy(l->pub.diags->arena, p.text);
	return p;
}

void err_at(struct loader *l, uint32_t at, uint32_t len, struct view hint, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diag_v(l->pub.diags, true, kept_place(l, at), len, hint, fmt, ap);
	va_end(ap);
}

void warn_at(struct loader *l, uint32_t at, uint32_t len, struct view hint, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	diag_v(l->pub.diags, false, kept_place(l, at), len, hint, fmt, ap);
	va_end(ap);
}

void diag_print(const struct diag *d, struct out *o)
{
	if (d->file.n)
		putf(o, VIEW_FMT ":", VIEW_ARG(d->file));
	if (d->line)
		putf(o, "%u:%u:", d->line, d->column);
	putf(o, "%s%s: " VIEW_FMT "\n", d->file.n ? " " : "", d->error ? "error" : "warning", VIEW_ARG(d->text));
	if (d->source_line.n) {
		putf(o, "%5u | ", d->line);
		for (size_t i = 0; i < d->source_line.n; i++)
			put_char(o, d->source_line.p[i] == '\t' ? ' ' : d->source_line.p[i]);
		put(o, VIEW("\n      | "));
		for (uint32_t i = 1; i < d->column; i++)
			put_char(o, ' ');
		size_t room = d->source_line.n >= d->column ? d->source_line.n - d->column + 1 : 1;
		for (size_t i = 0; i < (d->width ? d->width : 1) && i < room; i++)
			put_char(o, '^');
		put_char(o, '\n');
	}
	if (d->hint.n)
		putf(o, "      = " VIEW_FMT "\n", VIEW_ARG(d->hint));
}

/* ---- did you mean -------------------------------------------------------------------------------------------------- */

enum { NAME_MAX_BYTES = 64 };

/* Levenshtein with transposition of neighbours, case folded. */
static unsigned edit_distance(struct view a, struct view b)
{
	unsigned row[3][NAME_MAX_BYTES + 1];

	must(a.n <= NAME_MAX_BYTES && b.n <= NAME_MAX_BYTES);

	for (unsigned j = 0; j <= b.n; j++)
		row[0][j] = j;
	for (unsigned i = 1; i <= a.n; i++) {
		unsigned *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
		now[0] = i;
		for (unsigned j = 1; j <= b.n; j++) {
			char     x = ascii_lower(a.p[i - 1]), y = ascii_lower(b.p[j - 1]);
			unsigned best = last[j - 1] + (x != y);
			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && x == ascii_lower(b.p[j - 2]) && y == ascii_lower(a.p[i - 2]) && before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
	}
	return row[a.n % 3][b.n];
}

void closest_offer(struct closest *c, struct view name)
{
	if (!c->want.n || c->want.n > NAME_MAX_BYTES || name.n > NAME_MAX_BYTES || !name.n)
		return;

	unsigned reach = c->want.n <= 3 ? 1 : c->want.n <= 6 ? 2 : 3;
	unsigned d = edit_distance(c->want, name);

	/* A name of two letters is one letter away from everything. */
	if (d > reach || d >= c->want.n || (c->best.n && d >= c->distance))
		return;
	c->best = name;
	c->distance = d;
}

struct view closest_hint(const struct closest *c, struct arena *a)
{
	return c->best.n ? arena_fmt(a, "did you mean \"" VIEW_FMT "\"?", VIEW_ARG(c->best)) : VIEW_NONE;
}
