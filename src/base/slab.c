/* Why not malloc: outside the main arena glibc grows its heap page by page with mprotect(2), and a first touch of each page is a
 * fault; together they cost more than the parsing of a message. */
#include "base/base.h"
#include "base/slab.h"
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define SLAB_PLAIN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLAB_PLAIN 1
#endif
#endif

struct slab_heap { struct list partial, full; unsigned empty; };

static _Thread_local struct slab_heap *current, *own;

struct slab_heap *slab_heap_new(void)
{
	struct slab_heap *h = calloc(1, sizeof *h);

	if (h) {
		list_init(&h->partial);
		list_init(&h->full);
	}
	return h;
}

struct slab_heap *slab_use(struct slab_heap *h)
{
	struct slab_heap *before = current;

	current = h;
	return before;
}

void slab_thread_done(void)
{
	slab_heap_free(own);
	own = NULL;
}

#ifdef SLAB_PLAIN
/* One block, one malloc: the sanitizer sees each life and death. */
void slab_heap_free(struct slab_heap *h) { free(h); }
void *slab_take(void) { return malloc(SLAB_BLOCK); }
void slab_put(void *block) { free(block); }
#else

enum { REGION_BYTES = 2 << 20 /* one large page */, REGION_BLOCKS = REGION_BYTES / SLAB_BLOCK - 1 /* the first holds the head */, EMPTY_KEPT = 4 };

struct free_block { struct free_block *next; };
struct region {
	struct list        node;         /* in `partial` while it has free blocks, else in `full` */
	struct slab_heap  *heap;
	struct free_block *free;
	uint32_t           fresh, nfree; /* blocks never handed out start at `fresh` */
};

static struct region *region_of(void *block)
{
	return (struct region *)((uintptr_t)block & ~(uintptr_t)(REGION_BYTES - 1));
}

static struct region *region_new(struct slab_heap *h)
{
	/* Twice the size, then cut to alignment: a region is found from a block's address. */
	char *p = mmap(NULL, 2 * REGION_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	char *at = (char *)(((uintptr_t)p + REGION_BYTES - 1) & ~(uintptr_t)(REGION_BYTES - 1));
	if (at > p)
		munmap(p, (size_t)(at - p));
	if (at < p + REGION_BYTES)
		munmap(at + REGION_BYTES, (size_t)(p + REGION_BYTES - at));
	madvise(at, REGION_BYTES, MADV_HUGEPAGE);
	struct region *r = (struct region *)at;
	*r = (struct region){ .heap = h, .fresh = 1, .nfree = REGION_BLOCKS };
	list_add_head(&h->partial, &r->node);
	h->empty++;
	return r;
}

static void regions_free(struct list *regions)
{
	list_each(n, regions) {
		list_del(n);
		munmap(container_of(n, struct region, node), REGION_BYTES);
	}
}

void slab_heap_free(struct slab_heap *h)
{
	if (!h)
		return;
	regions_free(&h->partial);
	regions_free(&h->full);
	free(h);
}

void *slab_take(void)
{
	struct slab_heap *h = current ? current : own;

	if (!h)
		h = own = slab_heap_new();
	if (!h)
		return NULL;
	struct region *r = list_empty(&h->partial) ? region_new(h) : container_of(h->partial.next, struct region, node);
	if (!r)
		return NULL;

	void *block = r->free;
	if (block)
		r->free = r->free->next;
	else
		block = (char *)r + (size_t)r->fresh++ * SLAB_BLOCK;
	must(r->nfree > 0 && r->fresh <= REGION_BLOCKS + 1);
	if (r->nfree-- == REGION_BLOCKS)
		h->empty--;
	if (r->nfree == 0) {
		list_del(&r->node);
		list_add_tail(&h->full, &r->node);
	}
	return block;
}

void slab_put(void *block)
{
	struct region *r = region_of(block);
	struct slab_heap *h = r->heap;
	struct free_block *f = block;

	must(h && r->nfree < REGION_BLOCKS);
	f->next = r->free;
	r->free = f;
	if (r->nfree++ == 0) {
		list_del(&r->node);
		list_add_head(&h->partial, &r->node);
	}
	if (r->nfree < REGION_BLOCKS)
		return;
	if (h->empty >= EMPTY_KEPT) {
		list_del(&r->node);
		munmap(r, REGION_BYTES);
		return;
	}
	/* The emptiest stands last, so that the others fill up and this one may go. */
	h->empty++;
	list_del(&r->node);
	list_add_tail(&h->partial, &r->node);
}
#endif
