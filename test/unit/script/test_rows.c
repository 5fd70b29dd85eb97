/* The engine's own tables and what stands behind them: rows are well formed, branches and flags keep their bounds. */
#include "script/rows.h"
#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

static void test_functions_are_well_formed(void **state)
{
	for (const struct script_func *f = core_funcs; f->name; f++) {
		bool optional = false, flags = false;
		assert_non_null(f->run);
		assert_true(f->help && *f->help && f->where && !(f->where & ~(unsigned)ROUTE_ANY));
		for (int i = 0; i < SCRIPT_PARAMS && f->args[i]; i++) {
			flags |= (f->args[i] & ARG_TYPE) == ARG_FLAGS;
			assert_in_range(f->args[i] & ARG_TYPE, ARG_STR, ARG_BFLAGNAME);
			optional |= f->args[i] & ARG_OPT;
			/* construct_uri() alone has optional arguments before others: the language has it so. */
			if (optional && !(f->args[i] & ARG_OPT) && strcmp(f->name, "construct_uri") != 0)
				fail_msg("%s: argument %d behind an optional one", f->name, i + 1);
		}
		assert_int_equal(flags, f->words != NULL);
		for (const struct script_func *g = core_funcs; g != f; g++)
			assert_string_not_equal(f->name, g->name);
	}
}

static void test_variables_are_well_formed(void **state)
{
	for (const struct script_var *v = core_vars; v->name; v++) {
		assert_non_null(v->get);
		assert_true(v->help && *v->help);
		if (v->flags & VAR_SUB_REQUIRED || v->bind)
			assert_true(v->flags & VAR_SUB);
		for (const char *c = v->name; *c; c++)
			assert_true(*c == '.' || *c == '_' || (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9'));
		for (const struct script_var *x = core_vars; x != v; x++)
			assert_string_not_equal(v->name, x->name);
	}
}

static void test_transformations_are_well_formed(void **state)
{
	for (const struct script_transform *t = core_transforms; t->name; t++) {
		assert_non_null(t->run);
		assert_non_null(strchr(t->name, '.'));
		assert_true(t->help && *t->help && t->min_args >= 0 && t->min_args <= t->max_args && t->max_args + t->indexed < SCRIPT_PARAMS);
		for (const struct script_transform *x = core_transforms; x != t; x++)
			assert_string_not_equal(t->name, x->name);
	}
}

/* Every transformation on every kind of odd text, and with odd arguments: a value or NULL, never more than the memory of a message. */
static void test_transformations_take_any_bytes(void **state)
{
	static const struct view odd[] = { VIEW_INIT(""), VIEW_INIT("\0"), VIEW_INIT("a"), VIEW_INIT("="), VIEW_INIT("==="), VIEW_INIT("%"), VIEW_INIT("\\"), VIEW_INIT("\""), VIEW_INIT("<"),
		VIEW_INIT(","), VIEW_INIT(";"), VIEW_INIT("-"), VIEW_INIT("+"), VIEW_INIT("sip:"), VIEW_INIT("sip:@"), VIEW_INIT("sip:[::"), VIEW_INIT("tel:"), VIEW_INIT("SIP/2.0/UDP"), VIEW_INIT("\"\" <"),
		VIEW_INIT("::"), VIEW_INIT("1.2.3.4/"), VIEW_INIT("\xff\xfe\xfd"), VIEW_INIT("0123456789abcdef"), VIEW_INIT("abcd"), VIEW_INIT("\r\n\r\n"), VIEW_INIT("99999999999999999999"), VIEW_INIT("-2147483648") };
	static const int32_t numbers[] = { 0, 1, -1, 3, -17, 19999, INT32_MAX, INT32_MIN };
	struct arena *a = arena_new(MSG_ARENA_BYTES);
	size_t values = 0, nulls = 0;

	for (const struct script_transform *t = core_transforms; t->name; t++)
		for (size_t i = 0; i < COUNT_OF(odd); i++)
			for (size_t k = 0; k < COUNT_OF(odd) + COUNT_OF(numbers); k++) {
				struct run r = { .tmp = a };
				struct value v = value_str(odd[i]), args[SCRIPT_PARAMS];
				arena_free(a);
				r.tmp = a = arena_new(MSG_ARENA_BYTES);
				for (int n = 0; n < SCRIPT_PARAMS; n++)
					args[n] = k < COUNT_OF(odd) ? value_str(odd[k]) : value_int(a, numbers[(k + (size_t)n) % COUNT_OF(numbers)]);
				if (!t->run(&r, &v, args, t->max_args)) {
					nulls++;
					continue;
				}
				values++;
				if (!v.s.p || !(v.flags & V_STR) || v.s.n > MSG_ARENA_BYTES)
					fail_msg("{%s} on odd text %zu with %zu", t->name, i, k);
			}
	assert_true(values > 1000 && nulls > 1000);
	arena_free(a);
}

/* Without memory each says NULL or needs none. */
static void test_transformations_without_memory(void **state)
{
	struct arena *a = arena_new(1);
	const struct value args[SCRIPT_PARAMS] = { value_str(VIEW("x")), value_str_int(VIEW("40"), 40) };

	while (arena_alloc(a, 1))
		;
	for (const struct script_transform *t = core_transforms; t->name; t++) {
		struct run   r = { .tmp = a };
		struct value v = value_str(VIEW("sip:a@b;x=1"));
		if (t->run(&r, &v, args, t->max_args))
			assert_non_null(v.s.p);
	}
	arena_free(a);
}

struct set { struct msg m; struct run r; };
static struct set *set_of(void **state) { return *state; }

static int set_up(void **state)
{
	struct set *s = calloc(1, sizeof *s);

	s->m.arena = arena_new(MSG_ARENA_BYTES);
	s->m.route.ruri = VIEW("sip:0@h");
	s->m.route.q = -1;
	s->r = (struct run){ .msg = &s->m, .route = &s->m.route, .tmp = s->m.arena };
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	arena_free(set_of(state)->m.arena);
	free(*state);
	return 0;
}

static void test_branches_count_from_both_ends(void **state)
{
	struct run *r = &set_of(state)->r;

	assert_int_equal(branch_count(r), 1);
	assert_ptr_equal(branch_at(r, 0), r->route);
	assert_ptr_equal(branch_at(r, -1), r->route);
	assert_null(branch_at(r, 1));
	assert_null(branch_at(r, -2));
	struct msg_route *b = branch_append(r, VIEW("sip:1@h"), NULL);
	assert_non_null(b);
	assert_int_equal(b->q, -1);
	assert_ptr_equal(branch_at(r, -1), b);
	assert_ptr_equal(branch_at(r, -2), r->route);
	assert_null(branch_at(r, INT32_MAX));
	assert_null(branch_at(r, INT32_MIN));
}

static void test_branches_are_bounded(void **state)
{
	struct run *r = &set_of(state)->r;
	static char longest[URI_MAX_BYTES + 1];

	assert_null(branch_append(r, VIEW("no uri"), NULL));
	assert_null(branch_append(r, VIEW_NONE, NULL));
	memset(longest, 'a', sizeof longest);
	memcpy(longest, "sip:", 4);
	assert_null(branch_append(r, view_of(longest, sizeof longest), NULL));
	for (int i = 1; i < MSG_BRANCHES; i++)
		assert_non_null(branch_append(r, VIEW("sip:x@h"), NULL));
	assert_null(branch_append(r, VIEW("sip:x@h"), NULL));
	assert_int_equal(branch_count(r), MSG_BRANCHES);
	assert_false(branch_remove(r, MSG_BRANCHES - 1));
	assert_false(branch_remove(r, -1));
	for (int i = MSG_BRANCHES - 2; i >= 0; i--)
		assert_true(branch_remove(r, 0));
	assert_false(branch_remove(r, 0));
	assert_int_equal(branch_count(r), 1);
}

static void test_branches_keep_their_order_when_one_goes(void **state)
{
	struct run *r = &set_of(state)->r;
	char name[] = "sip:0@h";

	for (char c = 'a'; c <= 'd'; c++) {
		name[4] = c;
		assert_non_null(branch_append(r, VIEW(name), NULL));
	}
	assert_true(branch_remove(r, 1));
	assert_true(view_is(branch_at(r, 1)->ruri, VIEW("sip:a@h")));
	assert_true(view_is(branch_at(r, 2)->ruri, VIEW("sip:c@h")));
	assert_true(view_is(branch_at(r, 3)->ruri, VIEW("sip:d@h")));
}

static void test_replies_have_no_branches(void **state)
{
	struct run *r = &set_of(state)->r;

	r->route = NULL;
	assert_int_equal(branch_count(r), 0);
	assert_null(branch_at(r, 0));
	assert_null(branch_append(r, VIEW("sip:x@h"), NULL));
	assert_false(branch_remove(r, 0));
}

static void test_flags_are_given_out_once(void **state)
{
	struct core_conf conf = { 0 };
	struct script_load l = { .arena = arena_new(65536), .conf = &conf };
	char name[8];

	assert_int_equal(script_flag_find(&conf, false, VIEW("a")), -1);
	for (int i = 0; i < 31; i++)
		for (int twice = 0; twice < 2; twice++) {
			int n = snprintf(name, sizeof name, "f%d", i);
			assert_int_equal(script_flag(&l, false, view_of(name, (size_t)n)), i);
		}
	assert_int_equal(script_flag(&l, false, VIEW("f31")), -1);
	assert_int_equal(script_flag(&l, false, VIEW("f30")), 30);
	assert_int_equal(script_flag(&l, true, VIEW("f31")), 0);
	assert_int_equal(script_flag(&l, true, VIEW("F31")), 1);
	assert_int_equal(script_flag_find(&conf, false, VIEW("f7")), 7);
	assert_int_equal(script_flag_find(&conf, true, VIEW("f7")), -1);
	arena_free(l.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_functions_are_well_formed), cmocka_unit_test(test_variables_are_well_formed), cmocka_unit_test(test_transformations_are_well_formed),
		cmocka_unit_test(test_transformations_take_any_bytes), cmocka_unit_test(test_transformations_without_memory), cmocka_unit_test(test_flags_are_given_out_once),
		cmocka_unit_test_setup_teardown(test_branches_count_from_both_ends, set_up, tear_down), cmocka_unit_test_setup_teardown(test_branches_are_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_branches_keep_their_order_when_one_goes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_replies_have_no_branches, set_up, tear_down),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);

	arena_thread_done();
	regex_thread_done();
	return rc;
}
