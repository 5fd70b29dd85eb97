#include "script/rows.h"

int branch_count(const struct run *r)
{
	return r->route && r->msg ? 1 + r->msg->nmore : 0;
}

struct msg_route *branch_at(struct run *r, int index)
{
	int n = branch_count(r);

	must(n <= MSG_BRANCHES && (n < 2 || r->msg->more));
	if (index < 0)
		index += n;
	if (index < 0 || index >= n)
		return NULL;
	return index == 0 ? r->route : &r->msg->more[index - 1];
}

struct msg_route *branch_append(struct run *r, struct view uri, const struct msg_route *like)
{
	struct msg *m = r->msg;
	struct sip_uri check;

	if (!r->route || m->nmore >= MSG_BRANCHES - 1 || uri.n > URI_MAX_BYTES || !sip_uri_parse(uri, &check))
		return NULL;
	if (!m->more)
		m->more = arena_zalloc(m->arena, (MSG_BRANCHES - 1) * sizeof *m->more);
	struct view kept = arena_copy(m->arena, uri);
	if (!m->more || !kept.p)
		return NULL;
	struct msg_route *b = &m->more[m->nmore++];
	*b = like ? *like : (struct msg_route){ .q = -1 };
	b->ruri = kept;
	return b;
}

bool branch_remove(struct run *r, int added)
{
	struct msg *m = r->msg;

	if (!r->route || added < 0 || added >= m->nmore)
		return false;
	m->nmore--;
	memmove(&m->more[added], &m->more[added + 1], (size_t)(m->nmore - added) * sizeof *m->more);
	return true;
}
