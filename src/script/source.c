/* Files to one text: include_file and import_file line by line, then the external preprocessor, then the line markers are taken
 * out again and become the table that turns an offset back into file, line and column (opensips-language section 1). */
#include "script/ast.h"

#define MARK_LINE  "__OSSPP_LINE__ "
#define MARK_BEGIN "__OSSPP_FILEBEGIN__ "
#define MARK_END   "__OSSPP_FILEEND__"

struct flat { struct script_load *l; char *p; size_t n, cap; bool failed; };

static void flat_put(struct flat *f, struct view v)
{
	if (f->failed)
		return;
	if (f->n + v.n > f->cap) {
		size_t cap = f->cap ? f->cap : 4096;
		while (cap < f->n + v.n)
			cap *= 2;
		char *p = cap <= 4 * (size_t)SCRIPT_FILE_BYTES ? realloc(f->p, cap) : NULL;
		if (!p) {
			f->failed = true;
			return;
		}
		f->p = p;
		f->cap = cap;
	}
	if (v.n)
		memcpy(f->p + f->n, v.p, v.n);
	f->n += v.n;
}

static void fail_line(struct script_load *l, struct view file, uint32_t line, struct view text, const char *what, struct view more)
{
	diag_add(l->diags, true, arena_copy(l->diags->arena, file), line, 1, (uint32_t)text.n, arena_copy(l->diags->arena, text), VIEW_NONE,
		"%s" VIEW_FMT, what, VIEW_ARG(more));
}

/* The path of an include line; empty when the line is none. */
static struct view include_path(struct view line)
{
	static const struct view words[] = { VIEW_INIT("include_file"), VIEW_INIT("import_file") };
	struct view v = view_trim(line);

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		if (!view_starts(v, words[i]))
			continue;
		struct view rest = view_trim(view_from(v, words[i].n));
		if (!rest.n || (rest.p[0] != '"' && rest.p[0] != '\''))
			continue;
		char quote = rest.p[0];
		rest = view_from(rest, 1);
		size_t end = view_find(rest, quote);
		if (end < rest.n)
			return view_sub(rest, 0, end);
	}
	return VIEW_NONE;
}

static bool read_near(struct script_load *l, struct view path, struct view from, struct view *found, struct view *out, struct out *err)
{
	size_t slash = from.n;

	*found = path;
	if (l->env->read_file(l->env->arg, path, l->arena, out, err))
		return true;
	while (slash && from.p[slash - 1] != '/')
		slash--;
	if (!slash || path.p[0] == '/')
		return false;
	*found = arena_fmt(l->arena, VIEW_FMT VIEW_FMT, VIEW_ARG(view_sub(from, 0, slash)), VIEW_ARG(path));
	err->n = 0;
	return l->env->read_file(l->env->arg, *found, l->arena, out, err);
}

static bool flatten(struct flat *f, struct view path, struct view text, unsigned depth)
{
	struct script_load *l = f->l;
	uint32_t            line = 0;

	must(depth <= SCRIPT_INCLUDE_DEPTH);

	if (text.n > SCRIPT_FILE_BYTES || view_find(text, '\0') < text.n) {
		fail_line(l, path, 1, VIEW_NONE, text.n > SCRIPT_FILE_BYTES ? "file is too large" : "file has a NUL byte", VIEW_NONE);
		return false;
	}
	flat_put(f, VIEW(MARK_BEGIN "\""));
	flat_put(f, path);
	flat_put(f, VIEW("\"\n"));
	while (text.n) {
		struct view one = view_cut(&text, '\n');
		char        number[48];
		struct out  o = out_to(number, sizeof number);
		struct view name = include_path(one);
		line++;
		if (name.n) {
			char        why[256];
			struct out  err = out_to(why, sizeof why);
			struct view found, inner;
			if (depth >= SCRIPT_INCLUDE_DEPTH) {
				fail_line(l, path, line, one, "files include each other too deeply", VIEW_NONE);
				return false;
			}
			if (!l->env->read_file || !read_near(l, name, path, &found, &inner, &err)) {
				fail_line(l, path, line, one, "cannot include: ", err.n ? out_view(&err) : name);
				return false;
			}
			if (!flatten(f, found, inner, depth + 1))
				return false;
			continue;
		}
		putf(&o, MARK_LINE "%u\n", line);
		flat_put(f, out_view(&o));
		flat_put(f, one);
		flat_put(f, VIEW("\n"));
	}
	flat_put(f, VIEW(MARK_END "\n"));
	return !f->failed;
}

struct unmark { struct source *s; char *p; size_t n, cap_lines, cap_files; uint32_t stack[SCRIPT_INCLUDE_DEPTH + 2], lines[SCRIPT_INCLUDE_DEPTH + 2]; unsigned depth; };

static uint32_t file_index(struct arena *a, struct unmark *u, struct view name)
{
	struct source *s = u->s;

	for (size_t i = 0; i < s->nfiles; i++)
		if (view_is(s->files[i], name))
			return (uint32_t)i;
	if (s->nfiles == u->cap_files) {
		size_t       cap = u->cap_files ? 2 * u->cap_files : 8;
		struct view *files = arena_alloc(a, cap * sizeof *files);
		if (!files)
			return 0;
		if (s->nfiles)
			memcpy(files, s->files, s->nfiles * sizeof *files);
		s->files = files;
		u->cap_files = cap;
	}
	s->files[s->nfiles] = arena_copy(a, name);
	return (uint32_t)s->nfiles++;
}

static bool marker(struct arena *a, struct unmark *u, struct view line)
{
	uint32_t number;

	if (view_starts(line, VIEW(MARK_LINE)) && view_u32(view_trim(view_from(line, sizeof MARK_LINE - 1)), &number)) {
		u->lines[u->depth] = number;
		return true;
	}
	if (view_starts(line, VIEW(MARK_BEGIN))) {
		struct view name = view_trim(view_from(line, sizeof MARK_BEGIN - 1));
		if (name.n >= 2)
			name = view_sub(name, 1, name.n - 2);
		if (u->depth < SCRIPT_INCLUDE_DEPTH + 1)
			u->depth++;
		u->stack[u->depth] = file_index(a, u, name);
		u->lines[u->depth] = 1;
		return true;
	}
	if (view_starts(line, VIEW(MARK_END))) {
		if (u->depth)
			u->depth--;
		return true;
	}
	return false;
}

static bool take_markers_out(struct script_load *l, struct view flat, struct source *out)
{
	struct unmark u = { .s = out };
	size_t        nlines = 0, flat_bytes = flat.n + 1;

	for (size_t i = 0; i < flat.n; i++)
		nlines += flat.p[i] == '\n';
	out->lines = arena_alloc(l->arena, (nlines + 2) * sizeof *out->lines);
	u.p = arena_alloc(l->arena, flat.n + 1);
	if (!out->lines || !u.p)
		return false;
	while (flat.n) {
		struct view line = view_cut(&flat, '\n');
		if (marker(l->arena, &u, line))
			continue;
		out->lines[out->nlines++] = (struct source_line){ (uint32_t)u.n, u.lines[u.depth], u.stack[u.depth] };
		u.lines[u.depth]++;
		if (line.n)
			memcpy(u.p + u.n, line.p, line.n);
		u.n += line.n;
		u.p[u.n++] = '\n';
	}
	if (!out->nfiles)
		file_index(l->arena, &u, VIEW("-"));
	must(u.n <= flat_bytes && out->nlines <= nlines + 1);
	out->text = view_of(u.p, u.n);
	return true;
}

bool source_load(struct script_load *l, struct view path, struct view text, struct source *out)
{
	struct flat f = { .l = l };
	bool        good = flatten(&f, path, text, 0);
	struct view whole = view_of(f.p, f.n);

	*out = (struct source){ .text = VIEW_NONE };
	if (good && l->env->preprocessor.n && l->env->preprocess) {
		char       why[256];
		struct out err = out_to(why, sizeof why);
		good = l->env->preprocess(l->env->arg, l->env->preprocessor, whole, l->arena, &whole, &err);
		if (!good)
			fail_line(l, path, 0, VIEW_NONE, "preprocessor: ", out_view(&err));
	}
	good = good && take_markers_out(l, whole, out);
	free(f.p);
	if (!good && !l->diags->errors)
		fail_line(l, path, 0, VIEW_NONE, "configuration is too large", VIEW_NONE);
	return good;
}

struct place source_place(const struct source *s, uint32_t off)
{
	size_t lo = 0, hi = s->nlines;

	must(off <= s->text.n);

	if (!s->nlines)
		return (struct place){ .file = s->nfiles ? s->files[0] : VIEW_NONE, .line = 1, .column = 1 };
	while (hi - lo > 1) {
		size_t mid = (lo + hi) / 2;
		*(s->lines[mid].off <= off ? &lo : &hi) = mid;
	}

	const struct source_line *at = &s->lines[lo];
	struct view               rest = view_from(s->text, at->off);

	return (struct place){ s->files[at->file], view_sub(rest, 0, view_find(rest, '\n')), at->line, off - at->off + 1, at->file };
}

static bool env_name_char(char c, bool first)
{
	return c == '_' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (!first && c >= '0' && c <= '9');
}

/* Length of "${NAME...}" at the start of v, with its parts; 0 when it is none. */
static size_t env_part(struct view v, struct view *name, struct view *deflt, bool *has_default)
{
	size_t i = 2, n;

	if (v.n < 4 || v.p[0] != '$' || v.p[1] != '{')
		return 0;
	while (i < v.n && env_name_char(v.p[i], i == 2))
		i++;
	n = i - 2;
	*name = view_sub(v, 2, n);
	*has_default = false;
	if (n && i < v.n && v.p[i] == '}')
		return i + 1;
	if (!n || i + 1 >= v.n || v.p[i] != ':' || v.p[i + 1] != '-')
		return 0;

	struct view rest = view_from(v, i + 2);
	size_t      end = view_find(rest, '}');

	if (end == rest.n)
		return 0;
	*deflt = view_sub(rest, 0, end);
	*has_default = true;
	return i + 2 + end + 1;
}

bool source_expand_env(struct script_load *l, struct view in, struct view *out, struct out *err)
{
	struct view done = VIEW_NONE, name, deflt;
	bool        has_default;

	*out = in;
	if (view_find_view(in, VIEW("${")) == in.n)
		return true;
	for (size_t from = 0, i = 0; i <= in.n; ) {
		size_t n = i < in.n ? env_part(view_from(in, i), &name, &deflt, &has_default) : 0;
		if (!n && i < in.n) {
			i++;
			continue;
		}
		struct view parts[3] = { done, view_sub(in, from, i - from), VIEW_NONE };
		if (n) {
			char       *key = arena_cstr(l->arena, name);
			const char *value = key && l->env->getenv ? l->env->getenv(l->env->arg, key) : NULL;
			/* As in a shell, ":-" also replaces an empty value. */
			if (has_default && (!value || !*value)) {
				parts[2] = deflt;
			} else if (value) {
				parts[2] = view_str(value);
			} else {
				putf(err, "environment variable " VIEW_FMT " is not set (\"${" VIEW_FMT ":-default}\" gives it a default)", VIEW_ARG(name), VIEW_ARG(name));
				return false;
			}
		}
		done = arena_join(l->arena, parts, 3);
		if (i == in.n)
			break;
		i += n;
		from = i;
	}
	*out = done;
	return done.p != NULL;
}
