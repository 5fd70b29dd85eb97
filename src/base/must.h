/* base/must.h -- our own mistakes die here, in every build; what a stranger sends is never a must(). */
#ifndef BASE_MUST_H
#define BASE_MUST_H

/* Log what failed and abort. */
_Noreturn void must_fail(const char *what, const char *file, int line);
#define must(e) (__builtin_expect(!!(e), 1) ? (void)0 : must_fail(#e, __FILE__, __LINE__))
/* The struct that embeds a member; used by intrusive lists, timers, tables. */
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#define COUNT_OF(a) (sizeof(a) / sizeof *(a))
#endif
