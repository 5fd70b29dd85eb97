/* test/unit/wall.h -- bytes that end (or begin) flush at an unreadable page, so that a decoder that reads one byte too
 * far faults at once, in every build.  Header only; each test program gets its own pages.
 * A view stays good until the next call of the same function. */
#ifndef TEST_WALL_H
#define TEST_WALL_H
#include "base/view.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WALL_BYTES = 1 << 20 };      /* room between the walls: the longest input of a test */

/* Readable and writable room of WALL_BYTES between two unreadable pages. */
static inline char *wall_room(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *p = mmap(NULL, WALL_BYTES + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || mprotect(p + page, WALL_BYTES, PROT_READ | PROT_WRITE)) {
		perror("wall");
		abort();
	}
	return p + page;
}

/* Copy of `v` whose last byte is followed by the wall. */
static inline struct view against_wall(struct view v)
{
	static char *room;
	if (!room)
		room = wall_room();
	if (v.n > WALL_BYTES)
		abort();
	char *at = room + WALL_BYTES - v.n;
	if (v.n)
		memmove(at, v.p, v.n);
	return view_of(at, v.n);
}

/* Copy of `v` whose first byte is preceded by the wall: catches a step backwards out of the input. */
static inline struct view behind_wall(struct view v)
{
	static char *room;
	if (!room)
		room = wall_room();
	if (v.n > WALL_BYTES)
		abort();
	if (v.n)
		memmove(room, v.p, v.n);
	return view_of(room, v.n);
}
#endif
