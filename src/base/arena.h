/* base/arena.h -- memory whose lifetime has a name (a message, a transaction, a compiled script).
 * Bump allocation from chunks; nothing is freed singly.  An arena belongs to one thread at a time and may be handed on
 * whole.  Running out (over its bound, or no memory) gives NULL from then on and sets `full`: a counted outcome, never an abort. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H
#include "base/view.h"

struct arena_chunk;
struct arena {
	struct arena_chunk *chunks;      /* newest first */
	char               *at, *end;    /* free bytes of the newest chunk */
	size_t              used, bound; /* bytes given out; most it may give (chunks cost up to a third more) */
	bool                full;        /* an allocation was refused */
};

/* A new arena that may give up to `bound` bytes; the struct itself lives in its first chunk.  NULL without memory.
 * Freed chunks of the common size are kept per thread and used again: the message path touches malloc rarely. */
struct arena *arena_new(size_t bound);
void          arena_free(struct arena *a);                   /* NULL is fine */
/* 16-byte aligned, uninitialised / zeroed; NULL when full.  n == 0 gives a valid unique pointer. */
void         *arena_alloc(struct arena *a, size_t n);
void         *arena_zalloc(struct arena *a, size_t n);
/* Unaligned copy of bytes; VIEW_NONE with `full` set when there is no room. */
struct view   arena_copy(struct arena *a, struct view v);
/* printf into the arena. */
struct view   arena_fmt(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Concatenation of n views. */
struct view   arena_join(struct arena *a, const struct view *parts, size_t n);
/* NUL-terminated copy for the border to the operating system. */
char         *arena_cstr(struct arena *a, struct view v);
/* Give back the thread's cached chunks (thread exit, leak checkers). */
void          arena_thread_done(void);
#endif
