/* loop/inbox.h -- private to loop/: the receiving end of letters. */
#ifndef LOOP_INBOX_H
#define LOOP_INBOX_H
#include "loop/loop.h"

/* NULL without memory or descriptors. */
struct inbox *inbox_new(void);
void          inbox_free(struct inbox *in);              /* NULL is fine */
/* The eventfd that becomes readable on a wake; watch it edge-triggered, nobody reads it. */
int           inbox_fd(const struct inbox *in);
/* Open up to `burst` letters; returns how many. */
unsigned      inbox_open(struct inbox *in, struct loop *to, unsigned burst);
/* Announce that the owner is about to sleep.  False when it must not: a letter waits. */
bool          inbox_sleep(struct inbox *in);
void          inbox_awake(struct inbox *in);
/* Wake the owner whatever it does; async-signal-safe. */
void          inbox_wake(struct inbox *in);
uint64_t      inbox_waiting(const struct inbox *in);
uint64_t      inbox_refused(const struct inbox *in);
#endif
