/* script/branches.h -- private to script/: the destination set of a message; index 0 is the R-URI branch, added ones follow. */
#ifndef SCRIPT_BRANCHES_H
#define SCRIPT_BRANCHES_H
#include "script/script.h"

/* Branch by index; negative counts from the end (-1 = last).  NULL when there is none. */
struct msg_route *branch_at(struct run *r, int index);
int               branch_count(const struct run *r);                 /* with the R-URI branch; 0 in replies */
/* Append a branch to that URI; `like` gives what it inherits (NULL = nothing). NULL when full or the URI is not one. */
struct msg_route *branch_append(struct run *r, struct view uri, const struct msg_route *like);
bool              branch_remove(struct run *r, int added);           /* index among the added ones */
#endif
