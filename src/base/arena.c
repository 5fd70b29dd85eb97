#include "base/base.h"
#include "base/slab.h"
#include <stdarg.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif

#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
/* Bytes not given out are poisoned and chunks never kept: an overrun or a use after the arena's end is found. */
enum { REDZONE = 16 };
#define poison(p, n)   ASAN_POISON_MEMORY_REGION(p, n)
#define unpoison(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
enum { REDZONE = 0 };
#define poison(p, n)   ((void)(p), (void)(n))
#define unpoison(p, n) ((void)(p), (void)(n))
#endif

enum { ARENA_ALIGN = 16, CHUNK_BYTES = SLAB_BLOCK };

struct arena_chunk {
	struct arena_chunk *next;
	size_t              bytes;      /* whole chunk, this head included */
	char                room[] __attribute__((aligned(ARENA_ALIGN)));
};

static struct arena_chunk *chunk_get(size_t bytes)
{
	struct arena_chunk *c = bytes == CHUNK_BYTES ? slab_take() : malloc(bytes);

	if (!c)
		return NULL;
	c->bytes = bytes;
	poison(c->room, bytes - sizeof *c);
	return c;
}

static void chunk_put(struct arena_chunk *c)
{
	unpoison(c, c->bytes);
	if (c->bytes == CHUNK_BYTES)
		slab_put(c);
	else
		free(c);
}

void arena_thread_done(void)
{
	slab_thread_done();
}

/* Make c the chunk that is handed out from. */
static void arena_open(struct arena *a, struct arena_chunk *c)
{
	c->next = a->chunks;
	a->chunks = c;
	a->at = c->room;
	a->end = (char *)c + c->bytes;
}

struct arena *arena_new(size_t bound)
{
	struct arena_chunk *c = chunk_get(CHUNK_BYTES);

	if (!c)
		return NULL;

	struct arena *a = (struct arena *)c->room;

	unpoison(a, sizeof *a);
	/* The struct's own bytes are ours, not the caller's bound. */
	*a = (struct arena){ .bound = bound < PTRDIFF_MAX ? bound : PTRDIFF_MAX };
	arena_open(a, c);
	a->at += sizeof *a;
	return a;
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	/* The arena itself lives in the oldest chunk, which goes last. */
	for (struct arena_chunk *c = a->chunks, *next; c; c = next) {
		next = c->next;
		chunk_put(c);
	}
}

/* A block too big for a common chunk gets one of its own, behind the one being handed out from. */
static void *alloc_apart(struct arena *a, size_t n)
{
	struct arena_chunk *c = chunk_get(sizeof *c + n + REDZONE);

	if (!c)
		return NULL;
	c->next = a->chunks->next;
	a->chunks->next = c;
	return c->room;
}

static void *alloc_elsewhere(struct arena *a, size_t n)
{
	/* Less than this is left unused at a chunk's end, so waste stays below a third. */
	if (n > CHUNK_BYTES / 4)
		return alloc_apart(a, n);

	struct arena_chunk *c = chunk_get(CHUNK_BYTES);

	if (!c)
		return NULL;
	arena_open(a, c);
	a->at += n + REDZONE;
	return c->room;
}

/* n bytes at p if they fit before the chunk's end, else from elsewhere. */
static void *alloc_at(struct arena *a, char *p, size_t n)
{
	void *got = NULL;

	/* One refusal is final: smaller blocks that still fit would hide it. */
	if (a->full)
		return NULL;
	if (n <= a->bound - a->used) {
		if (p <= a->end && n + REDZONE <= (size_t)(a->end - p)) {
			a->at = p + n + REDZONE;
			got = p;
		} else {
			got = alloc_elsewhere(a, n);
		}
	}
	if (!got) {
		a->full = true;
		return NULL;
	}
	a->used += n;
	unpoison(got, n);
	return got;
}

void *arena_alloc(struct arena *a, size_t n)
{
	uintptr_t at = ((uintptr_t)a->at + ARENA_ALIGN - 1) & ~(uintptr_t)(ARENA_ALIGN - 1);

	return alloc_at(a, a->at + (at - (uintptr_t)a->at), n ? n : 1);
}

void *arena_zalloc(struct arena *a, size_t n)
{
	void *p = arena_alloc(a, n);

	return p ? memset(p, 0, n) : NULL;
}

struct view arena_copy(struct arena *a, struct view v)
{
	char *p = alloc_at(a, a->at, v.n);

	if (!p)
		return VIEW_NONE;
	if (v.n)
		memcpy(p, v.p, v.n);
	return view_of(p, v.n);
}

struct view arena_fmt(struct arena *a, const char *fmt, ...)
{
	char    text[256];
	va_list ap, again;

	va_start(ap, fmt);
	va_copy(again, ap);

	int         n = vsnprintf(text, sizeof text, fmt, ap);
	struct view v = VIEW_NONE;

	must(n >= 0);
	if ((size_t)n < sizeof text) {
		v = arena_copy(a, view_of(text, (size_t)n));
	} else {
		char *p = alloc_at(a, a->at, (size_t)n + 1);
		if (p) {
			vsnprintf(p, (size_t)n + 1, fmt, again);
			v = view_of(p, (size_t)n);
		}
	}
	va_end(again);
	va_end(ap);
	return v;
}

struct view arena_join(struct arena *a, const struct view *parts, size_t n)
{
	size_t total = 0;

	for (size_t i = 0; i < n; i++)
		total += parts[i].n;

	char *p = alloc_at(a, a->at, total), *at = p;

	if (!p)
		return VIEW_NONE;
	for (size_t i = 0; i < n; i++) {
		if (parts[i].n)
			memcpy(at, parts[i].p, parts[i].n);
		at += parts[i].n;
	}
	return view_of(p, total);
}

char *arena_cstr(struct arena *a, struct view v)
{
	char *p = alloc_at(a, a->at, v.n + 1);

	if (!p)
		return NULL;
	if (v.n)
		memcpy(p, v.p, v.n);
	p[v.n] = '\0';
	return p;
}
