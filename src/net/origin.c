/* net/origin.c -- who is calling: facts that outlive their connection, and the two addresses of an origin (design D4). */
#include "net/stage.h"

struct facts *facts_new(struct view pp_bytes)
{
	struct facts *f = calloc(1, sizeof *f + pp_bytes.n);

	if (!f)
		return NULL;
	f->refs = 1;
	f->pp_n = pp_bytes.n;
	if (pp_bytes.n)
		memcpy(f->pp_bytes, pp_bytes.p, pp_bytes.n);
	return f;
}

struct facts *facts_ref(struct facts *f)
{
	if (f)
		__atomic_add_fetch(&f->refs, 1, __ATOMIC_RELAXED);
	return f;
}

void facts_unref(struct facts *f)
{
	if (!f)
		return;
	uint32_t left = __atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL);
	must(left != UINT32_MAX);
	if (left)
		return;
	if (f->tls)
		tls_facts_free(f->tls);
	free(f);
}

void origin_take_pp(struct origin *o, struct facts *f, unsigned accept, bool trusted)
{
	size_t used;
	enum pp_reject why;

	must(!o->facts && f->refs == 1);
	/* The same bytes decoded a second time: now the views point into the facts' own copy. */
	must(pp_decode_dgram(view_of(f->pp_bytes, f->pp_n), f->pp_n, accept, &f->pp, &used, &why) == PP_OK);
	f->has_pp = true;
	f->pp_trusted = trusted;
	pp_unmap(&f->pp);
	o->facts = f;
	origin_real(o);
}

void origin_real(struct origin *o)
{
	const struct facts *f = o->facts;

	if (!f || !f->has_pp || f->pp.local)
		return;
	o->real_src = f->pp.src;
	o->real_dst = f->pp.dst;
	o->has_real = true;
}

void origin_keep(struct origin *dst, const struct origin *src)
{
	*dst = *src;
	facts_ref(dst->facts);
}

void origin_drop(struct origin *o)
{
	facts_unref(o->facts);
	o->facts = NULL;
}
