/* core/dispatch.c -- which worker owns a message: a pure function (design D1). */
#include "core/core.h"

uint16_t dispatch_owner(struct hash_key key, uint16_t workers, const struct sip_peek *p)
{
	struct branch_cookie c;

	must(workers > 0);
	if (workers == 1)
		return 0;
	if (p->response && branch_read(key, p->branch, &c) && c.worker < workers)
		return c.worker;
	return (uint16_t)(siphash_view(key, p->call_id) % workers);
}
