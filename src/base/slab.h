/* base/slab.h -- blocks of one size, cut from regions that the kernel backs with large pages where it can: the memory of messages.
 * A heap belongs to one worker: one thread at a time takes from it and puts back to it.  Regions that stand empty go back to the
 * system. */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H
#include <stddef.h>

enum { SLAB_BLOCK = 8192 };       /* bytes of every block; a message with its transaction mostly fits into one */
struct slab_heap;
struct slab_heap *slab_heap_new(void);            /* NULL without memory */
/* All regions back to the system, blocks still out included.  NULL is fine. */
void              slab_heap_free(struct slab_heap *h);
/* The calling thread takes from this heap from now on; returns the one before.  NULL = one of the thread's own, made when needed
 * and freed by slab_thread_done(). */
struct slab_heap *slab_use(struct slab_heap *h);
void              slab_thread_done(void);
/* A block of SLAB_BLOCK bytes, 16-aligned, contents undefined; NULL without memory. */
void *slab_take(void);
/* Back to the heap that it came from. */
void  slab_put(void *block);
#endif
