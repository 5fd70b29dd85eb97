/* The machine: runs instructions until the route ends or a function waits (design D3). */
#include "script/ast.h"
#include <stdarg.h>
#include <stdio.h>

enum step { STEP_NEXT, STEP_WAIT, STEP_DONE, STEP_EXIT, STEP_DROP };

/* A wrong number in an instruction is the compiler's mistake, never the script's. */
static const struct ins *code_at(const struct vm *vm, uint32_t pc)
{
	must(pc < vm->prog->nins);
	return &vm->prog->ins[pc];
}

static inline const void *pooled(const struct vm *vm, uint32_t n)
{
	must(n < vm->prog->npool);
	return vm->prog->pool[n];
}

static inline const struct value *constant(const struct vm *vm, uint32_t n)
{
	must(n < vm->prog->nconsts);
	return &vm->prog->consts[n];
}

/* One line per place and second: a call that repeats a mistake must not fill the log. */
void script_complain(struct run *r, const char *fmt, ...)
{
	struct script_worker *s = script_worker(r->w);
	struct vm            *vm = r->vm;
	uint32_t              pc = vm && vm->pc ? vm->pc - 1 : 0;
	uint32_t              now = r->w->loop ? (uint32_t)(r->w->loop->now_ms / 1000) + 1 : 0;
	char                  text[512], line[768];
	va_list               ap;

	if (now && s->said[pc] == now)
		return;
	s->said[pc] = now;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);

	const struct ins_at *at = &r->script->prog.at[pc];
	struct out           o = out_to(line, sizeof line);

	putf(&o, VIEW_FMT ":%u: %s", VIEW_ARG(r->script->prog.files[at->file]), at->line, text);
	script_say(r->w, L_ERR, out_view(&o));
}

/* ---- stack ------------------------------------------------------------------------------------------------------------ */

static bool stack_grow(struct run *r)
{
	struct vm    *vm = r->vm;
	unsigned      cap = 2 * vm->cap_stack;
	struct value *stack = arena_alloc(r->tmp, cap * sizeof *stack);

	if (!stack) {
		vm->broken = true;
		return false;
	}
	memcpy(stack, vm->stack, vm->top * sizeof *stack);
	vm->stack = stack;
	vm->cap_stack = cap;
	return true;
}

static inline struct value *push(struct run *r)
{
	static _Thread_local struct value nowhere;
	struct vm *vm = r->vm;

	if (vm->top == vm->cap_stack && !stack_grow(r))
		return &nowhere;
	return &vm->stack[vm->top++];
}

static inline struct value *pop(struct vm *vm)
{
	must(vm->top > 0);
	return &vm->stack[--vm->top];
}

/* Before other code runs, nothing on the stack may still show into a $var that it could change. */
static void own_all(struct run *r)
{
	struct vm *vm = r->vm;

	if (!vm->borrowed)
		return;
	for (unsigned i = 0; i < vm->top; i++)
		if (vm->stack[i].flags & V_BORROWED)
			value_own(r->tmp, &vm->stack[i]);
	vm->borrowed = false;
}

static struct value native(int32_t i)
{
	return (struct value){ .flags = V_STR | V_INT | V_NATIVE | V_LAZY, .i = i };
}

static inline void set_ret(struct run *r, int code)
{
	r->vm->ret = code;
	r->rc = code;
}

/* ---- conditions ---------------------------------------------------------------------------------------------------------- */

static int checked_compare(struct run *r, const struct cmp *k, int op, const struct value *a, const struct value *b)
{
	int c = value_compare(op, a, b);

	if (c < 0)
		script_complain(r, "invalid comparison: " VIEW_FMT " and the right side are of different kinds", VIEW_ARG(k->left->text));
	return c;
}

static int net_match(struct run *r, const struct cmp *k, bool negated)
{
	struct value v;
	struct addr  a;

	if (!var_eval(r, k->left, &v))
		return negated;
	if (!(v.flags & V_STR) || v.flags & V_LAZY || !addr_parse_ip(v.s, &a)) {
		script_complain(r, VIEW_FMT " is no IP address", VIEW_ARG(k->left->text));
		return -1;
	}
	addr_unmap(&a);
	return cidr_has(&k->net, &a) != negated;
}

static int regex_test(struct run *r, const struct cmp *k, const struct regex *re, bool negated)
{
	struct value v;

	if (!var_eval(r, k->left, &v))
		return negated;
	if (!(v.flags & V_STR))
		return -1;
	if (v.flags & V_LAZY)
		value_text(r->tmp, &v);

	int n = regex_match(re, v.s, 0, NULL, 0);

	if (n < 0)
		script_complain(r, "a match on " VIEW_FMT " needs too many steps", VIEW_ARG(k->left->text));
	return n < 0 ? -1 : (n > 0) != negated;
}

static int regex_test_var(struct run *r, const struct cmp *k, bool negated)
{
	struct value  v;
	char          why[128];
	struct out    err = out_to(why, sizeof why - 1);

	if (!var_eval(r, k->right, &v))
		return negated;
	if (v.flags & V_LAZY)
		value_text(r->tmp, &v);

	struct regex *re = regex_new(v.s, true, true, &err);

	if (!re) {
		script_complain(r, "bad regular expression: " VIEW_FMT, VIEW_ARG(out_view(&err)));
		return -1;
	}
	int c = regex_test(r, k, re, negated);
	regex_free(re);
	return c;
}

static int compare(struct run *r, const struct ins *i, const struct cmp *k)
{
	struct value a, b;

	switch ((enum opcode)i->op) {
	case I_CMP:
		var_eval(r, k->left, &a);
		return checked_compare(r, k, i->b, &a, &k->c);
	case I_CMPV:
		var_eval(r, k->left, &a);
		if (a.flags & V_BORROWED && !k->right->fast)
			value_own(r->tmp, &a);
		var_eval(r, k->right, &b);
		return checked_compare(r, k, i->b, &a, &b);
	case I_NET:    return net_match(r, k, i->a);
	case I_MATCH:  return regex_test(r, k, k->re, i->a);
	case I_MATCHV: return regex_test_var(r, k, i->a);
	default: break;
	}
	must(!"comparison");
	return -1;
}

/* ---- calls -------------------------------------------------------------------------------------------------------------------- */

static bool frame_enter(struct run *r, const struct code *code, unsigned nparams)
{
	struct vm *vm = r->vm;

	if (vm->nframes == SCRIPT_CALL_DEPTH) {
		script_complain(r, "routes call each other more than %d deep", SCRIPT_CALL_DEPTH);
		return false;
	}
	if (vm->nframes == vm->cap_frames) {
		struct frame *frames = arena_alloc(r->tmp, 2 * vm->cap_frames * sizeof *frames);
		if (!frames) {
			vm->broken = true;
			return false;
		}
		memcpy(frames, vm->frames, vm->nframes * sizeof *frames);
		vm->frames = frames;
		vm->cap_frames *= 2;
	}
	vm->frames[vm->nframes++] = (struct frame){ code, vm->pc, vm->top, (uint8_t)nparams };
	vm->pc = code->entry;
	return true;
}

static int route_number(struct run *r, const struct routecall *k)
{
	struct view name = VIEW_NONE;

	if (k->number >= 0)
		return k->number;
	if (k->name_var) {
		struct value v;
		if (!var_eval(r, k->name_var, &v))
			return -1;
		value_own(r->tmp, &v);
		name = v.s;
	} else if (!fmt_expand(r, k->name, SCRIPT_STRING_BYTES, &name)) {
		return -1;
	}

	int n = script_route(r->script, ROUTE_REQUEST, name);

	if (n < 0)
		script_complain(r, "route[" VIEW_FMT "] is not defined", VIEW_ARG(name));
	return n;
}

static void route_call(struct run *r, const struct ins *i)
{
	struct vm *vm = r->vm;
	int        n = route_number(r, pooled(vm, i->c));

	own_all(r);
	if (n >= 0 && frame_enter(r, &vm->prog->routes[0][n], i->b))
		return;
	must(vm->top >= i->b);
	vm->top -= i->b;
	set_ret(r, SCRIPT_FALSE);
}

/* What a function's code does to the script: 0 ends it. */
static enum step after_call(struct run *r, int code)
{
	struct vm *vm = r->vm;

	while (vm->ncall_re)
		regex_free(vm->call_re[--vm->ncall_re]);
	set_ret(r, code);
	return code == SCRIPT_STOP && !vm->nostop ? STEP_EXIT : STEP_NEXT;
}

static enum step call(struct run *r, const struct ins *i)
{
	struct vm             *vm = r->vm;
	const struct callsite *c = pooled(vm, i->c);
	struct arg             args[SCRIPT_PARAMS];
	const struct arg      *a = c->consts;
	int                    code = SCRIPT_FALSE;

	own_all(r);
	vm->nostop = i->a;
	if (!c->all_const) {
		memcpy(args, c->consts, sizeof args);
		if (!args_eval(r, c, args))
			return after_call(r, SCRIPT_FALSE);
		a = args;
	}
	code = c->f->run(r, a);
	if (code != SCRIPT_WAIT)
		return after_call(r, code);
	/* The answer may already be there. */
	if (vm->resumed) {
		vm->resumed = false;
		return after_call(r, vm->resume_rc);
	}
	vm->waiting = true;
	return STEP_WAIT;
}

static enum step route_end(struct run *r, enum step top)
{
	struct vm          *vm = r->vm;

	must(vm->nframes > 0);

	const struct frame *f = &vm->frames[--vm->nframes];

	must(vm->top >= f->base && f->base >= f->nparams);

	if (vm->nframes == 0)
		return top;
	vm->top = f->base - f->nparams;
	vm->pc = f->back;
	r->rc = vm->ret;
	return STEP_NEXT;
}

static enum step route_return(struct run *r, const struct ins *i)
{
	struct vm *vm = r->vm;
	int        code = 1;

	must(vm->top >= (unsigned)i->b + i->a);
	own_all(r);
	vm->nreturned = i->b;
	for (unsigned k = 0; k < i->b; k++)
		vm->returned[k] = vm->stack[vm->top - i->b + k];
	if (i->a) {
		const struct value *v = &vm->stack[vm->top - i->b - 1];
		code = v->flags & (V_NULL | V_ERROR) ? -1 : v->flags & V_INT ? v->i : 1;
	}
	set_ret(r, code);
	if (code == 0)
		return STEP_EXIT;
	return route_end(r, STEP_DONE);
}

/* Everything that runs is left for one route: where async() goes on. */
static enum step tail(struct run *r, const struct ins *i)
{
	struct vm *vm = r->vm;

	must(vm->top >= i->b);
	own_all(r);
	memmove(vm->stack, vm->stack + vm->top - i->b, i->b * sizeof *vm->stack);
	vm->top = i->b;
	vm->nframes = 0;
	r->rc = vm->ret;
	return frame_enter(r, &vm->prog->routes[0][i->c], i->b) ? STEP_NEXT : STEP_EXIT;
}

/* ---- launch(): a run of its own on the same message ---------------------------------------------------------------------------- */

static void launched_done(struct run *child, enum run_end end, int rc)
{
	struct msg *request = child->request != child->msg ? child->request : NULL;

	msg_unref(child->msg);
	msg_unref(request);
}

static void launch(struct run *r, const struct ins *i)
{
	struct run *child = arena_alloc(r->tmp, sizeof *child);

	set_ret(r, SCRIPT_TRUE);
	if (!child) {
		set_ret(r, SCRIPT_FALSE);
		return;
	}
	*child = *r;
	child->done = launched_done;
	child->vm = NULL;
	memset(child->note, 0, sizeof child->note);
	/* tmp is the message's memory: the reference keeps it.  The request of a reply may be over before the child is. */
	msg_ref(child->msg);
	if (child->request && child->request != child->msg)
		msg_ref(child->request);
	run_start_at(child, r->vm->frames[r->vm->nframes - 1].code, i->c);
}

/* ---- the rest of the statements ---------------------------------------------------------------------------------------------------- */

static void log_line(struct run *r, const struct logcall *k)
{
	int          level = k->level == LEVEL_NONE ? r->w->conf->xlog_print_level : k->level;
	struct view  text;
	struct value v;

	if (k->level_var && var_eval(r, k->level_var, &v) && v.flags & V_INT)
		level = v.i;
	if (level > r->w->xlog_level) {
		set_ret(r, SCRIPT_TRUE);
		return;
	}
	if (!fmt_scratch(r, k->fmt, r->w->conf->xlog_buf, &text)) {
		script_complain(r, "the line is longer than xlog_buf_size");
		set_ret(r, SCRIPT_FALSE);
		return;
	}
	script_say(r->w, level, text);
	set_ret(r, SCRIPT_TRUE);
}

/* A failed assertion leaves the script for error_route{}, where there is one. */
static enum step error_route(struct run *r, struct view info)
{
	struct vm      *vm = r->vm;
	int             n = script_route(r->script, ROUTE_ERROR, VIEW_NONE);
	struct run_err *err = n >= 0 && r->type == ROUTE_REQUEST ? arena_alloc(r->tmp, sizeof *err) : NULL;

	if (!err)
		return STEP_EXIT;
	*err = (struct run_err){ .class = 1, .level = 1, .status = 500, .info = info, .reason = VIEW("Server Internal Error") };
	r->err = err;
	r->type = ROUTE_ERROR;
	vm->top = 0;
	vm->nframes = 0;
	return frame_enter(r, &vm->prog->routes[route_type_index(ROUTE_ERROR)][n], 0) ? STEP_NEXT : STEP_EXIT;
}

static enum step assertion(struct run *r, const struct value *text)
{
	if (!r->w->conf->enable_asserts || r->vm->cond > 0) {
		set_ret(r, 1);
		return STEP_NEXT;
	}
	script_complain(r, "assertion failed" "%s" VIEW_FMT, text->s.n ? ": " : "", VIEW_ARG(text->s));
	must(!r->w->conf->abort_on_assert);
	set_ret(r, SCRIPT_FALSE);
	return error_route(r, text->s);
}

static void switch_to(struct run *r, const struct swtab *t)
{
	struct vm   *vm = r->vm;
	struct value v;

	vm->pc = t->otherwise;
	if (!var_eval(r, t->var, &v))
		return;
	for (unsigned i = 0; i < t->n; i++) {
		const struct value *c = &t->cases[i].v;
		bool                same = c->flags & V_INT ? v.flags & V_INT && v.i == c->i : value_compare(OP_EQ, &v, c) == 1;
		if (same) {
			vm->pc = t->cases[i].to;
			return;
		}
	}
}

static void loop_count(struct run *r, const struct ins *i)
{
	struct vm    *vm = r->vm;

	must(vm->top > 0);

	struct value *n = &vm->stack[vm->top - 1];

	must(n->flags & V_NATIVE);              /* the loop's own counter, nothing else */

	if ((uint32_t)n->i++ < r->w->conf->while_loops)
		return;
	script_complain(r, "a loop was left after max_while_loops (%u) turns", r->w->conf->while_loops);
	vm->pc = i->c;
}

static void for_next(struct run *r, const struct forloop *f)
{
	struct vm    *vm = r->vm;
	struct varref src = *f->src;
	struct value  v;

	must(vm->top > 0 && vm->stack[vm->top - 1].flags & V_NATIVE);

	src.index_kind = IDX_NUMBER;
	src.index = vm->stack[vm->top - 1].i;
	src.index_var = NULL;
	if (!var_eval(r, &src, &v)) {
		vm->pc = f->exit;
		return;
	}
	value_own(r->tmp, &v);
	var_assign(r, f->iter, ASSIGN_SET, &v);
}

static void binary(struct run *r, const struct ins *i)
{
	struct vm    *vm = r->vm;
	struct value  right = *pop(vm), *left = pop(vm);
	const char   *why;
	struct value  v = value_arith(r->tmp, i->b, i->a, left, &right, &why);

	if (why)
		script_complain(r, "arithmetic: %s", why);
	*push(r) = v;
}

static void bitwise_not(struct run *r)
{
	struct value *v = &r->vm->stack[r->vm->top - 1];

	if (v->flags & V_INT) {
		*v = native(~v->i);
		return;
	}
	if (!(v->flags & V_ERROR))
		script_complain(r, "arithmetic: ~ needs an integer");
	*v = (struct value){ .flags = V_ERROR };
}

static void push_var(struct run *r, const struct varref *v)
{
	struct value out;

	var_eval(r, v, &out);
	r->vm->borrowed |= (out.flags & V_BORROWED) != 0;
	*push(r) = out;
}

static void push_fmt(struct run *r, const struct fmt *f)
{
	struct view s;
	bool        good = fmt_expand(r, f, r->w->conf->print_buf, &s);

	*push(r) = good ? value_str(s) : VALUE_NULL;
}

static int top_condition(struct vm *vm)
{
	const struct value *v = pop(vm);

	return v->flags & V_ERROR ? -1 : value_true(v);
}

/* Assignments and values; true when the instruction was one of them. */
static bool step_value(struct run *r, const struct ins *i)
{
	struct vm *vm = r->vm;

	switch ((enum opcode)i->op) {
	case I_CONST:  *push(r) = *constant(vm, i->c); return true;
	case I_VAR:    push_var(r, pooled(vm, i->c)); return true;
	case I_FMT:    push_fmt(r, pooled(vm, i->c)); return true;
	case I_RET:    *push(r) = native(vm->ret); return true;
	case I_CONDV:  *push(r) = vm->cond < 0 ? (struct value){ .flags = V_ERROR } : native(vm->cond); return true;
	case I_POP:    pop(vm); return true;
	case I_BIN:    binary(r, i); return true;
	case I_BITNOT: bitwise_not(r); return true;
	case I_STORE:  set_ret(r, var_assign(r, pooled(vm, i->c), i->a, pop(vm))); return true;
	case I_STOREC: set_ret(r, var_assign(r, pooled(vm, i->c), i->a, constant(vm, i->b))); return true;
	case I_SETRET: vm->ret = (int)i->c; return true;
	case I_RCRET:  r->rc = vm->ret; return true;
	case I_LOOP0:  *push(r) = native(0); return true;
	case I_LOOP:   loop_count(r, i); return true;
	case I_FOR:    for_next(r, pooled(vm, i->c)); return true;
	case I_SWITCH: switch_to(r, pooled(vm, i->c)); return true;
	case I_LOG:    log_line(r, pooled(vm, i->c)); return true;
	case I_LAUNCH: launch(r, i); return true;
	default: return false;
	}
}

static enum step step(struct run *r, const struct ins *i)
{
	struct vm   *vm = r->vm;
	struct value v;

	switch ((enum opcode)i->op) {
	case I_COND:     vm->cond = (int)i->c; break;
	case I_TRUTH:    var_eval(r, pooled(vm, i->c), &v); vm->cond = value_true(&v); break;
	case I_CMP: case I_CMPV: case I_NET: case I_MATCH: case I_MATCHV:
		vm->cond = compare(r, i, pooled(vm, i->c));
		break;
	case I_NOT:      vm->cond = vm->cond < 0 ? vm->cond : !vm->cond; break;
	case I_RETCOND:  vm->cond = vm->ret > 0; break;
	case I_TOPCOND:  vm->cond = top_condition(vm); break;
	case I_JMP:      vm->pc = i->c; break;
	case I_JFALSE:   vm->pc = vm->cond <= 0 ? i->c : vm->pc; break;
	case I_JDONE:    vm->pc = vm->cond != 0 ? i->c : vm->pc; break;
	case I_NOBRANCH: r->rc = vm->cond; vm->ret = 1; break;
	case I_CALL:     return call(r, i);
	case I_ROUTE:    route_call(r, i); break;
	case I_TAIL:     return tail(r, i);
	case I_RETURN:   return route_return(r, i);
	case I_END:      return vm->ret == 0 ? STEP_EXIT : route_end(r, STEP_DONE);
	case I_EXIT:     return STEP_EXIT;
	case I_DROP:     return STEP_DROP;
	case I_ASSERT:   return assertion(r, constant(vm, i->c));
	default:         must(step_value(r, i)); break;
	}
	return STEP_NEXT;
}

static void finish(struct run *r, enum step how)
{
	int rc = r->vm->ret;

	must(how == STEP_DONE || how == STEP_EXIT || how == STEP_DROP);
	r->vm->running = false;
	r->done(r, how == STEP_DROP ? RUN_DROP : how == STEP_EXIT ? RUN_EXIT : RUN_DONE, rc);
}

static void turn(struct run *r)
{
	struct vm *vm = r->vm;
	enum step  how = STEP_NEXT;

	must(!vm->running && !vm->waiting);

	vm->running = true;
	while (how == STEP_NEXT) {
		if (++vm->steps > SCRIPT_STEPS || vm->broken) {
			script_complain(r, vm->broken ? "out of the message's memory: the script ends" : "the script does not end: stopped");
			how = STEP_EXIT;
			break;
		}
		how = step(r, code_at(vm, vm->pc++));
	}
	if (how == STEP_WAIT)
		vm->running = false;
	else
		finish(r, how);
}

void run_resume(struct run *r, int rc)
{
	struct vm *vm = r->vm;

	must(vm && rc != SCRIPT_WAIT);
	if (!vm->waiting) {
		must(vm->running && !vm->resumed);
		vm->resumed = true;
		vm->resume_rc = rc;
		return;
	}
	vm->waiting = false;

	enum step how = after_call(r, rc);

	if (how == STEP_NEXT)
		turn(r);
	else
		finish(r, how);
}

bool run_start_at(struct run *r, const struct code *code, uint32_t pc)
{
	must(r->w && r->script && r->tmp && r->done);
	must(script_worker(r->w)->script == r->script && pc < r->script->prog.nins);

	struct vm *vm = arena_alloc(r->tmp, sizeof *vm);

	if (!vm) {
		r->vm = NULL;
		r->done(r, RUN_EXIT, SCRIPT_FALSE);
		return true;
	}
	/* The two arrays at the end need no clearing. */
	memset(vm, 0, offsetof(struct vm, first_stack));
	vm->prog = &r->script->prog;
	vm->stack = vm->first_stack;
	vm->cap_stack = COUNT_OF(vm->first_stack);
	vm->frames = vm->first_frames;
	vm->cap_frames = COUNT_OF(vm->first_frames);
	vm->ret = 1;
	vm->pc = pc;
	r->vm = vm;
	must(frame_enter(r, code, 0));
	vm->pc = pc;
	turn(r);
	return true;
}

bool run_start_number(struct run *r, int number)
{
	const struct program *p = &r->script->prog;
	unsigned              t = route_type_index(r->type);

	if (number < 0 || (unsigned)number >= p->nroutes[t])
		return false;
	return run_start_at(r, &p->routes[t][number], p->routes[t][number].entry);
}

bool run_start(struct run *r, struct view route)
{
	return run_start_number(r, script_route(r->script, r->type, route));
}
