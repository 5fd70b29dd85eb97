/* mod/tm/vars.c -- the script's variables (opensips-modules.md 6). */
#include "mod/tm/priv.h"

static bool give_str(struct value *out, struct view v)
{
	*out = value_str(v);
	return v.n > 0;
}

static bool give_int(struct run *r, struct value *out, int64_t i)
{
	*out = value_int(r->tmp, (int32_t)i);
	return true;
}

static bool get_branch_idx(struct run *r, const struct var_use *u, struct value *out)
{
	return r->branch >= 0 && give_int(r, out, r->branch);
}

static bool get_reply_code(struct run *r, const struct var_use *u, struct value *out)
{
	return give_int(r, out, tm_reply_code(r));
}

static bool get_ruri(struct run *r, const struct var_use *u, struct value *out)
{
	const struct txn *t = tm_txn(r);

	if (!t)
		return false;
	return give_str(out, r->branch >= 0 && r->branch < t->nbranches ? t->branch[r->branch]->route.ruri : t->request->route.ruri);
}

static bool get_id(struct run *r, const struct var_use *u, struct value *out)
{
	const struct txn *t = tm_txn(r);

	return t && give_str(out, arena_fmt(r->tmp, "%x.%x", t->request->id, (unsigned)t->server.node.hash));
}

static bool get_fr(struct run *r, struct value *out, bool inv)
{
	const struct txn     *t = tm_txn(r);
	const struct tm_note *n = tm_note_of(r);
	const struct tm_conf *c = tm_conf(r->w);

	if (t)
		return give_int(r, out, (inv ? t->fr_inv : t->fr) / 1000);
	if (n && (inv ? n->fr_inv_s : n->fr_s) >= 0)
		return give_int(r, out, inv ? n->fr_inv_s : n->fr_s);
	return give_int(r, out, inv ? c->fr_inv_timeout : c->fr_timeout);
}

static int set_fr(struct run *r, const struct value *v, bool inv)
{
	struct txn           *t = tm_txn(r);
	struct tm_note       *n = tm_note_of(r);
	const struct tm_conf *c = tm_conf(r->w);
	int64_t               s = inv ? c->fr_inv_timeout : c->fr_timeout;

	if (!n)
		return SCRIPT_FALSE;
	if (!value_null(v)) {
		if (!(v->flags & V_INT) || v->i < 0 || v->i > TM_SECONDS_MAX)
			return SCRIPT_FALSE;
		s = v->i;
	}
	*(inv ? &n->fr_inv_s : &n->fr_s) = s;
	if (t)
		*(inv ? &t->fr_inv : &t->fr) = (uint32_t)s * 1000;
	return SCRIPT_TRUE;
}

static bool get_fr_timeout(struct run *r, const struct var_use *u, struct value *out)     { return get_fr(r, out, false); }
static bool get_fr_inv_timeout(struct run *r, const struct var_use *u, struct value *out) { return get_fr(r, out, true); }
static int set_fr_timeout(struct run *r, const struct var_use *u, enum assign op, const struct value *v)     { return set_fr(r, v, false); }
static int set_fr_inv_timeout(struct run *r, const struct var_use *u, enum assign op, const struct value *v) { return set_fr(r, v, true); }

/* The branch that an index means: the run's own without one, negative from the end. */
static const struct branch *branch_at(const struct run *r, const struct var_use *u)
{
	const struct txn *t = tm_txn(r);
	int               i = u->kind == IDX_NUMBER ? u->index : r->branch;

	if (!t)
		return NULL;
	if (u->kind == IDX_NUMBER && i < 0)
		i += t->nbranches;
	return i >= 0 && i < t->nbranches ? t->branch[i] : NULL;
}

static bool get_last_code(struct run *r, const struct var_use *u, struct value *out)
{
	const struct branch *b = branch_at(r, u);

	return b && give_int(r, out, b->last_status ? b->last_status : b->status);
}

static bool get_b_last(struct run *r, const struct var_use *u, struct value *out)
{
	const struct branch *b = branch_at(r, u);

	return b && give_int(r, out, b->last_status);
}

#define VIEW_OF_BRANCH(field) static bool get_b_##field(struct run *r, const struct var_use *u, struct value *out) \
{ \
	const struct branch *b = branch_at(r, u); \
	return b && give_str(out, b->route.field); \
}
VIEW_OF_BRANCH(ruri)
VIEW_OF_BRANCH(duri)
VIEW_OF_BRANCH(path)

static bool get_b_q(struct run *r, const struct var_use *u, struct value *out)
{
	const struct branch *b = branch_at(r, u);

	if (!b || b->route.q < 0)
		return false;
	return give_str(out, arena_fmt(r->tmp, "%d.%03d", b->route.q / 1000, b->route.q % 1000));
}

static bool get_b_socket(struct run *r, const struct var_use *u, struct value *out)
{
	const struct branch *b = branch_at(r, u);

	return b && b->from && give_str(out, b->from->text);
}

const struct script_var tm_vars[] = {
	{ "T_branch_idx", get_branch_idx, NULL, NULL, 0, "index of this branch in branch, onreply and failure routes" },
	{ "T_reply_code", get_reply_code, NULL, NULL, 0, "last code sent; of this reply; of the winner" },
	{ "T_ruri", get_ruri, NULL, NULL, 0, "R-URI of the transaction's branch" },
	{ "T_id", get_id, NULL, NULL, 0, "an opaque name of the transaction" },
	{ "T_fr_timeout", get_fr_timeout, set_fr_timeout, NULL, 0, "fr_timeout of this transaction, seconds" },
	{ "T_fr_inv_timeout", get_fr_inv_timeout, set_fr_inv_timeout, NULL, 0, "fr_inv_timeout of this transaction, seconds" },
	{ "T_branch_last_reply_code", get_last_code, NULL, NULL, VAR_INDEX, "last code of a branch" },
	{ "tm.branch.uri", get_b_ruri, NULL, NULL, VAR_INDEX, "R-URI of a branch" },
	{ "tm.branch.duri", get_b_duri, NULL, NULL, VAR_INDEX, "destination URI of a branch" },
	{ "tm.branch.path", get_b_path, NULL, NULL, VAR_INDEX, "Path of a branch" },
	{ "tm.branch.q", get_b_q, NULL, NULL, VAR_INDEX, "q of a branch" },
	{ "tm.branch.socket", get_b_socket, NULL, NULL, VAR_INDEX, "sending socket of a branch" },
	{ "tm.branch.last_received", get_b_last, NULL, NULL, VAR_INDEX, "last code received on a branch" },
	{ NULL },
};
