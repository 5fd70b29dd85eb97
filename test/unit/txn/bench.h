/* test/unit/txn/bench.h -- transactions on the stand of test/unit/core: callers and callees as two lines of text. */
#ifndef TEST_BENCH_H
#define TEST_BENCH_H
#include "stand.h"
#include "txn/txn.h"

extern struct txn_conf bench_conf;
extern struct txn_user bench_user;        /* all NULL after bench_up(): defaults */

void          bench_up(void);
void          bench_down(void);
struct txns  *bench_txns(void);
/* A request of the given method arrives (as caller "alice", branch suffix `id`); the message, not yet a transaction. */
struct msg   *bench_request(const char *method, const char *id, const char *socket, const char *from);
/* The same as a new transaction; the script's reference is given back. */
struct txn   *bench_txn(const char *method, const char *id, const char *socket);
/* One branch to `uri`; relayed at once when `now`. */
struct branch *bench_branch(struct txn *t, const char *uri);
/* The peer of the i-th send answers. */
void          bench_answer(int i, int status);
/* How many sends from index `from` on begin with `start`, and the index of the last of them (-1 none). */
int           bench_count(int from, const char *start, int *last);
uint64_t      bench_counter(enum txn_counter c);
#endif
