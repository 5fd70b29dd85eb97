/* base/ref.h -- pointers stay home, references travel.  An object is reachable by pointer only on its worker; elsewhere it is
 * a name that may have died.  A slot's generation changes each time it is given up, so a stale name finds NULL. */
#ifndef BASE_REF_H
#define BASE_REF_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a ref names; a ref of one kind never finds another's object. */
enum ref_kind { REF_NONE, REF_CONN, REF_TXN, REF_BRANCH };
struct ref { uint16_t worker, kind; uint32_t slot, gen; };
#define NO_REF ((struct ref){ 0 })
/* Does it name anything; are two the same name. */
static inline bool ref_set(struct ref r) { return r.kind != REF_NONE; }
static inline bool ref_same(struct ref a, struct ref b)
{
	return a.worker == b.worker && a.kind == b.kind && a.slot == b.slot && a.gen == b.gen;
}

/* The table behind the names of one kind on one worker; private to ref.c but for its size. */
struct slot { void *object; uint32_t gen, next_free; };
struct slots { struct slot *slot; uint32_t count, bound, free, live; uint16_t worker, kind; };

/* A table of up to `bound` live objects of one kind on one worker; grows as needed. */
void       slots_init(struct slots *s, uint16_t worker, uint16_t kind, uint32_t bound);
void       slots_done(struct slots *s);
/* NO_REF when the bound is reached or memory is out. */
struct ref slots_take(struct slots *s, void *object);
/* NULL means "it is gone", a normal answer.  A ref of another worker or kind is our own bug: must(). */
void      *slots_get(const struct slots *s, struct ref r);
void       slots_drop(struct slots *s, struct ref r);
#endif
