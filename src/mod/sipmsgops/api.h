/* mod/sipmsgops/api.h -- what other modules that edit messages share with this one. */
#ifndef MOD_SIPMSGOPS_API_H
#define MOD_SIPMSGOPS_API_H
#include "script/script.h"

/* The body that would be sent now: a change made here or for all branches before, else the received one.  Every function that
 * changes bodies starts from this and ends with body_put(), so that they compose. */
struct view body_now(const struct run *r);
/* That body becomes `body`, of the same type, which must live as long as the message (VIEW_NONE is refused).  Content-Length follows. */
bool        body_put(struct run *r, struct view body);
/* Whole header lines, ready to be inserted: each is "token: value" (or a continuation line), none is empty, no CR or LF stands
 * alone, no NUL.  The last CRLF is added when it is missing.  What a variable brings along can thus end a header line only as a
 * well-formed next one, and can never end the header section.  VIEW_NONE when the text is not that, or memory is out. */
struct view header_lines(struct arena *a, struct view text);
#endif
