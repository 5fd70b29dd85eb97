/* script/script.h -- the OpenSIPS-language engine: source -> tokens -> tree -> bytecode -> VM (design D3).
 * The engine knows no feature: every function, variable, parameter and transformation is a row that a module (or the core's own
 * tables in this folder) registers; parsing, load-time checks, documentation and completion follow from the row. */
#ifndef SCRIPT_H
#define SCRIPT_H
#include "core/core.h"

/* ---- values ------------------------------------------------------------------------------------------------------------ */

/* Flags of a value, as the language sees them (opensips-language.md section 7). */
enum { V_STR = 1, V_INT = 2, V_NATIVE = 4 /* the native type is integer; it also has a text */, V_NULL = 8 };
struct value { uint8_t flags; int32_t i; struct view s; };
#define VALUE_NULL ((struct value){ .flags = V_NULL })
struct value value_str(struct view s);                                  /* borrowed text */
struct value value_int(struct arena *a, int32_t i);                     /* with its text */
struct value value_str_int(struct view s, int32_t i);                   /* text that also carries an integer ($rm) */
static inline bool value_null(const struct value *v) { return v->flags & V_NULL; }
bool         value_true(const struct value *v);                         /* truth of a bare variable */

/* ---- a run: one execution of a top route ---------------------------------------------------------------------------------- */

/* Where a statement stands, as bits; with its word in the language ("route", "failure_route", ...). */
enum route_type { ROUTE_REQUEST = 1, ROUTE_FAILURE = 2, ROUTE_ONREPLY = 4, ROUTE_BRANCH = 8, ROUTE_LOCAL = 16, ROUTE_ERROR = 32,
	ROUTE_STARTUP = 64, ROUTE_TIMER = 128, ROUTE_EVENT = 256, ROUTE_ANY = 511 };
struct view route_type_name(enum route_type t);

enum run_end { RUN_DONE /* fell off the end, return */, RUN_EXIT, RUN_DROP };
struct script;
/* Why an error_route runs: $err.*. */
struct run_err { int class, level; uint16_t status; struct view info, reason; };
struct run {
	struct worker       *w;
	const struct script *script;
	enum route_type      type;
	struct msg          *msg;         /* what plain variables read: a request or a reply; a dummy in startup/timer/event */
	struct msg          *request;     /* the transaction's request in onreply routes, else == msg for requests, else NULL */
	struct msg          *reply;       /* <reply> in failure routes: the winning reply when it was received, else NULL */
	struct msg_route    *route;       /* what $ru, $du, $socket_out, branch flags of "this branch" read and write; NULL in replies */
	struct edits        *edits;       /* where header and body edits go */
	struct txn          *txn;         /* current transaction, or NULL */
	int                  branch;      /* $T_branch_idx of branch and onreply routes, -1 none */
	struct arena        *tmp;         /* memory that lives as long as the message */
	int                  rc;          /* $rc */
	void                *user;        /* of whoever started the run */
	void               (*done)(struct run *r, enum run_end end, int rc);   /* exactly once, may be from inside run_start */
	struct vm           *vm;          /* private to the VM */
	void                *note[4];     /* scratch of modules for the run (tm uses note[0]) */
	/* Optional, all may be zero: parameters of an event ($param(name) or $param(number from 1)), and the reason of an error_route. */
	const struct value  *params;
	const struct view   *param_names;
	int                  nparams;
	const struct run_err *err;
};
/* Run a route of `type` (empty name = the unnamed one) on a prepared struct run (fields above `vm` filled; it must live until done).
 * False when no such route exists: done is not called. */
bool run_start(struct run *r, struct view route);
/* The function that returned SCRIPT_WAIT is ready; continues with its return code. Only on the run's worker. */
void run_resume(struct run *r, int rc);
/* Number of a route for t_on_failure and the like; -1 when there is none. */
int         script_route(const struct script *s, enum route_type type, struct view name);
bool        run_start_number(struct run *r, int number);

/* ---- variables ------------------------------------------------------------------------------------------------------------- */

/* How a variable is indexed: $x, $(x[2]), $(x[*]), $(x[append]). */
enum var_index { IDX_NONE, IDX_NUMBER, IDX_ALL, IDX_APPEND };
struct var_use { struct view sub; int64_t bound; enum var_index kind; int index; };   /* one access, everything evaluated */
enum assign { ASSIGN_SET /* = */, ASSIGN_REPLACE /* := */ };      /* compound operators arrive computed as ASSIGN_SET */
struct script_load;
enum { VAR_SUB = 1 /* takes (name) */, VAR_SUB_REQUIRED = 2, VAR_INDEX = 4 };
struct script_var {
	const char *name;                 /* without '$'; dots allowed ("msg.branch.uri") */
	bool (*get)(struct run *r, const struct var_use *u, struct value *out);          /* false = NULL */
	int  (*set)(struct run *r, const struct var_use *u, enum assign op, const struct value *v);   /* NULL = read only; 1 or -1 */
	/* At load: check a literal sub-name and turn it into `bound` (a flag's bit, a slot); NULL = nothing to check.
	 * False with a sentence in err refuses the script. Not called when the sub-name is itself a variable (bound is then -1). */
	bool (*bind)(struct script_load *l, struct view sub, int64_t *bound, struct out *err);
	unsigned    flags;
	const char *help;
};
/* An assignable variable as a function's output parameter. */
struct lvalue;
int  lvalue_set(struct run *r, const struct lvalue *v, const struct value *value);

/* AVPs of a message: a stack per name (section 10.1). Memory is the message's arena. */
bool avp_push(struct msg *m, struct view name, const struct value *v);
bool avp_get(const struct msg *m, struct view name, int index, struct value *out);     /* 0 = last pushed, negative from the end */
void avp_delete_all(struct msg *m, struct view name);
/* An assignment as the language has it: = pushes, := replaces, NULL pops or deletes, [n] overwrites, [append] adds at the bottom. */
bool avp_assign(struct msg *m, const struct var_use *u, enum assign op, const struct value *v);

/* ---- functions --------------------------------------------------------------------------------------------------------------- */

/* A function returns the code that the script sees: > 0 true, < 0 false, 0 stops the script; or SCRIPT_WAIT after it has arranged for
 * run_resume(). */
enum { SCRIPT_TRUE = 1, SCRIPT_FALSE = -1, SCRIPT_STOP = 0, SCRIPT_WAIT = INT32_MIN };

/* Types of arguments.  STR is a format string, expanded before the call; STATIC takes no variables; REGEX is compiled at load (or per call
 * from a variable); VAR is an unquoted variable to write (or read); FLAGS is a comma list of the row's words, given as bits;
 * ROUTE is the name of a route of type `where` in words, checked at load; FLAGNAME is a message/branch flag by name, given as bit number. */
enum arg_type { ARG_NONE, ARG_STR, ARG_INT, ARG_STATIC, ARG_REGEX, ARG_VAR, ARG_FLAGS, ARG_ROUTE_FAILURE, ARG_ROUTE_ONREPLY, ARG_ROUTE_BRANCH,
	ARG_FLAGNAME, ARG_BFLAGNAME, ARG_OPT = 0x40, ARG_TYPE = 0x3f };
struct regex;
struct arg { bool given; int64_t i; struct view s; const struct lvalue *var; const struct regex *re; };
struct flag_word { const char *word; uint32_t bit; };           /* "word" or "word=" (takes a value, see flag_value) */
/* Value of "word=value" in a FLAGS argument's text (arg.s); empty when absent. */
struct view flag_value(struct view flags, struct view word);
struct script_func {
	const char *name;
	int       (*run)(struct run *r, const struct arg *a);
	uint8_t     args[SCRIPT_PARAMS];              /* enum arg_type | ARG_OPT; ends with ARG_NONE */
	unsigned    where;                            /* enum route_type bits */
	const char *help;
	const struct flag_word *words;                /* of its FLAGS argument; ends with NULL word */
	/* Optional load-time check of literal arguments (s filled for literals, given=false otherwise). */
	bool      (*check)(struct script_load *l, const struct arg *literal, struct out *err);
};

/* ---- transformations: {class.name,arg,arg} ----------------------------------------------------------------------------------------- */

struct script_transform {
	const char *name;                             /* "s.len" */
	/* In place: v in, v out; false = NULL.  Arguments are evaluated values. Not called with NULL unless null_ok. */
	bool      (*run)(struct run *r, struct value *v, const struct value *args, int nargs);
	int8_t      min_args, max_args;
	bool        null_ok, raw_arg;                 /* raw_arg: the text up to the closing brace is one argument (re.subst) */
	bool        indexed;                          /* "class.<index>.name" works too; the index comes as one more, last argument */
	const char *help;
};

/* ---- modules ---------------------------------------------------------------------------------------------------------------------------- */

enum param_type { PARAM_INT, PARAM_STR, PARAM_CALL /* string, handed to `set` each time */, PARAM_CALL_INT, PARAM_IGNORED_INT, PARAM_IGNORED_STR, PARAM_IGNORED_ANY };
struct script_param {
	const char *name;
	enum param_type type;
	size_t      at;                               /* offset in the module's configuration: int64_t or struct view */
	const char *deflt;                            /* text of the default, for the documentation and to initialise; NULL = zero/empty */
	const char *help;
	bool      (*set)(struct script_load *l, void *conf, struct view text, int64_t number, struct out *err);    /* PARAM_CALL* */
};
struct module {
	const char *name;                             /* "tm" */
	uint16_t    id;                               /* slot in core_conf.mod and worker.mod */
	size_t      conf_size;                        /* zeroed, then defaults of params, then modparams */
	const struct script_param *params;            /* each table ends with a NULL name */
	const struct script_func  *funcs;
	const struct script_var   *vars;
	const struct script_transform *transforms;
	const char *const *depends;                   /* modules that must be loaded too; NULL-terminated or NULL */
	/* After all modparams: check and finish the configuration (still on one thread, l->conf is being built). */
	bool      (*init)(struct script_load *l, void *conf, struct out *err);
	void      (*free_conf)(void *conf);
	/* On every worker, before it serves; the returned pointer becomes worker.mod[id]. False = refuse to start. */
	bool      (*worker_init)(struct worker *w, const void *conf, void **state);
	void      (*worker_done)(struct worker *w, void *state);
	/* Before the script sees a message; true = consumed (the hook has taken over the reference). */
	bool      (*on_request)(struct worker *w, struct msg *m);
	/* After onreply_route{}; true = consumed. First consumer wins, in order of loading. */
	bool      (*on_reply)(struct worker *w, struct msg *m);
	void      (*on_send_failed)(struct worker *w, struct ref who, enum send_result why);
	/* Counters of this worker, in the order of their names (NULL-terminated); another thread may read them racily. */
	const char *const *counter_names;
	const uint64_t *(*counters)(const struct worker *w);
	const char *help;
};
static inline const void *mod_conf(const struct worker *w, const struct module *m) { return w->conf->mod[m->id]; }
static inline void       *mod_state(const struct worker *w, const struct module *m) { return w->mod[m->id]; }

/* ---- loading ------------------------------------------------------------------------------------------------------------------------------- */

/* One finding: always a place, a sentence and, where it helps, "did you mean". */
struct diag {
	bool        error;                            /* else a warning */
	struct view file; uint32_t line, column, width;
	struct view text, hint, source_line;
	struct diag *next;
};
struct diags { struct diag *first, *last; size_t errors, warnings; struct arena *arena; };
void diag_add(struct diags *d, bool error, struct view file, uint32_t line, uint32_t column, uint32_t width, struct view source_line,
	struct view hint, const char *fmt, ...) __attribute__((format(printf, 9, 10)));
/* "file:line:col: error: text", the line, a caret under it, the hint. */
void diag_print(const struct diag *d, struct out *o);

/* What a configuration needs from outside; everything is an argument (design D7). */
struct script_env {
	const struct module *const *modules; size_t nmodules;      /* all that are built in */
	const char *const *known_absent;                           /* OpenSIPS modules that load as stubs; NULL-terminated */
	/* Contents of a file into the arena; false = cannot be read (err says why). */
	bool (*read_file)(void *arg, struct view path, struct arena *a, struct view *out, struct out *err);
	const char *(*getenv)(void *arg, const char *name);
	/* The address of a host name in socket=, while the configuration is read; false = unknown. NULL: no names there. */
	bool (*resolve_host)(void *arg, struct view name, struct addr *out);
	void *arg;
	struct view preprocessor;                                  /* -p command, run by `preprocess`; empty = none */
	bool (*preprocess)(void *arg, struct view command, struct view in, struct arena *a, struct view *out, struct out *err);
	const struct view *extra_sockets; size_t nextra_sockets;   /* -l */
	const struct view *script_args; size_t nscript_args;       /* -o name[=value] for $argv */
	uint16_t workers;                                          /* 0 = from the configuration */
	struct view advertise;                                     /* -A: advertised_address where the configuration has none; empty = none */
};
struct script_load {
	struct arena      *arena;                                  /* the configuration's own; lives as long as the script */
	struct core_conf  *conf;
	struct script     *script;
	struct diags      *diags;
	const struct script_env *env;
	struct view        file; uint32_t line;                    /* of the statement being checked */
};
/* Bit of a message flag (branch = false) or branch flag by name, given out on first use; -1 when all 31 are taken.  flags.c */
int         script_flag(struct script_load *l, bool branch, struct view name);
/* Bit of a flag that some statement already uses, for names only known at run time; -1 = never seen. */
int         script_flag_find(const struct core_conf *c, bool branch, struct view name);
struct regex *script_regex(struct script_load *l, struct view pattern, bool icase, struct out *err);   /* NULL: err says why */

/* A loaded configuration: everything immutable.  Errors stop it: NULL, and diags say why. Warnings do not. */
struct script *script_load(struct view path, struct view text, const struct script_env *env, struct diags *d);
void           script_free(struct script *s);
const struct core_conf *script_conf(const struct script *s);
const struct module *const *script_modules(const struct script *s, size_t *n);    /* loaded ones in order */
/* Has the script a route of that type (and name)? */
bool           script_has(const struct script *s, enum route_type type, struct view name);
/* timer_route[name, seconds]: i-th one; false past the end. */
bool           script_timer(const struct script *s, size_t i, struct view *name, uint32_t *seconds);

/* ---- the walk: what a worker does with a message -------------------------------------------------------------------------------------------- */

/* Prepare a worker for a script (per-worker $var, modules' worker_init); undo.  On worker 0 this also runs startup_route{} and
 * starts the clocks of timer_route[]: each of them exists once in a process. */
bool script_worker_init(struct worker *w, const struct script *s, struct out *err);
void script_worker_done(struct worker *w);
/* core_hooks of a worker that runs scripts: module hooks, then route{} / onreply_route{}, then tm / stateless forwarding. */
extern const struct core_hooks script_hooks;
const struct script *worker_script(const struct worker *w);
/* A request of our own making for runs that have no message (startup, timer, event routes); NULL without memory. */
struct msg *script_dummy(struct worker *w);
/* Hear what xlog() and run-time complaints say instead of the log; for tests. */
void script_log_to(struct worker *w, void (*sink)(void *arg, int level, struct view text), void *arg);

/* ---- regular expressions (PCRE2 with match limits, POSIX-ERE meaning where the language says so) ---------------------------------------------- */

/* Compile; `posix` translates POSIX extended syntax. NULL with a sentence in err. */
struct regex *regex_new(struct view pattern, bool icase, bool posix, struct out *err);
/* NULL is fine. */
void          regex_free(struct regex *re);
/* Release this thread's matching memory (thread exit). */
void          regex_thread_done(void);
/* ovector of up to n pairs; returns number of groups set, 0 = no match, -1 = limit reached. */
int           regex_match(const struct regex *re, struct view subject, size_t start, size_t (*groups)[2], int n);
/* /re/repl/flags of subst functions. */
struct subst;
struct subst *subst_new(struct view expression, struct out *err);
void          subst_free(struct subst *s);
/* Result in the arena; count of replacements, 0 = none, -1 = error. */
int           subst_run(const struct subst *s, struct view in, struct arena *a, struct view *out);

/* ---- the engine's own rows ---------------------------------------------------------------------------------------------------------------------- */
extern const struct script_func      core_funcs[];
extern const struct script_var       core_vars[];
extern const struct script_transform core_transforms[];
#endif
