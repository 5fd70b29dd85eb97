/* script/ast.h -- private to src/script: source text, tokens, the tree, the compiled program and the machine that runs it. */
#ifndef SCRIPT_AST_H
#define SCRIPT_AST_H
#include "script/script.h"

/* ---- source: files flattened into one text (opensips-language section 1) ------------------------------------------------- */

struct source_line { uint32_t off, line; uint32_t file; };      /* where a line of the flattened text came from */
struct source {
	struct view         text;
	struct source_line *lines; size_t nlines;
	struct view        *files; size_t nfiles;
};
struct place { struct view file, text; uint32_t line, column, file_index; };
/* Read includes, run the preprocessor, drop the markers. False after a diagnosis. */
bool         source_load(struct script_load *l, struct view path, struct view text, struct source *out);
struct place source_place(const struct source *s, uint32_t off);
/* "${NAME}" and "${NAME:-default}" (a viaduct extension). False: *err says which variable is not set. */
bool         source_expand_env(struct script_load *l, struct view in, struct view *out, struct out *err);

/* ---- the loader: everything known while a configuration is being built ----------------------------------------------------- */

struct program;
struct drafts;
struct module_load { const struct module *m; struct view name; void *conf; uint32_t at; uint8_t state; };   /* m NULL: a stub */
struct loader {
	struct script_load  pub;                  /* first: rows get a pointer to it */
	struct source       src;
	struct program     *prog;
	struct module_load *modules; size_t nmodules, cap_modules;
	struct item        *items;
	struct drafts      *drafts;          /* sockets.h */
	bool                stateless_given, forward_used;
	uint16_t            udp_workers;          /* and tcp_workers: the largest */
	bool                at_run;          /* {s.eval}: a text resolved while scripts run; nothing shared may change */
};
static inline struct loader *loader_of(struct script_load *l) { return (struct loader *)l; }
/* One finding at [at, at+len) of the source. */
void err_at(struct loader *l, uint32_t at, uint32_t len, struct view hint, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void warn_at(struct loader *l, uint32_t at, uint32_t len, struct view hint, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* "Did you mean": offer names one by one; closest() is the best within reach, or empty. */
struct closest { struct view want, best; unsigned distance; };
void        closest_offer(struct closest *c, struct view name);
struct view closest_hint(const struct closest *c, struct arena *a);

/* ---- tokens -------------------------------------------------------------------------------------------------------------- */

enum tok { TOK_END, TOK_ID, TOK_NUM, TOK_STR, TOK_VAR, TOK_NET, TOK_OP };
/* Operators and punctuation longer than one character; others are their own character. */
enum op { OP_EQ = 256, OP_NE, OP_LT_, OP_GT_, OP_LE, OP_GE, OP_MATCH, OP_NOMATCH, OP_ANDAND, OP_OROR, OP_SHL, OP_SHR, OP_REPLACE,
	OP_ADDTO, OP_SUBTO, OP_MULTO, OP_DIVTO, OP_MODTO, OP_ANDTO, OP_ORTO, OP_XORTO };
struct token { enum tok kind; int op; uint32_t at, len; struct view text; int64_t num; struct cidr net; };
struct lex { struct loader *l; uint32_t at, prev_end; struct token tok; bool failed; unsigned depth, loops; };
void lex_begin(struct lex *x, struct loader *l);
void lex_next(struct lex *x);                                  /* into x->tok; on an error failed is set and the token is TOK_END */
/* Without tokens, for the lines whose words are no tokens (socket=, alias=, values): blanks and comments skipped, then a word up to
 * a blank, or a quoted string.  ${ENV} expanded.  False at the end of the text. */
struct word { struct view text; uint32_t at, len; bool quoted, same_line; };
bool lex_word(struct lex *x, struct word *w);
/* Length of the variable that begins with '$' at p; 0 when there is none. */
size_t lex_variable(struct view v);

/* ---- the tree -------------------------------------------------------------------------------------------------------------- */

enum ekind { E_NUM, E_STR, E_NULL, E_VAR, E_NET, E_WORD, E_CALL, E_ROUTE, E_BITNOT, E_BIN, E_CMP, E_AND, E_OR, E_NOT, E_ARITH, E_ASSIGN, E_BLOCK };
struct stmt;
struct varref;
struct callsite;
struct routecall;
struct args { struct expr *e; struct args *next; };           /* e NULL: omitted */
struct expr {
	enum ekind      kind;
	uint32_t        at, len;
	int             op;                 /* of E_BIN, E_CMP, E_ASSIGN */
	int64_t         num;
	struct view     text;               /* string, word, name of a call, source of a variable */
	struct cidr     net;
	struct expr    *left, *right;
	struct args    *args; unsigned nargs;
	struct stmt    *block;
	/* set by the checker */
	struct varref    *var;
	struct callsite  *call;
	struct routecall *route;
	struct regex     *re;
};
enum { LEVEL_NONE = 100 };
enum skind { S_EXPR, S_IF, S_WHILE, S_FOR, S_SWITCH, S_BREAK, S_RETURN, S_EXIT, S_DROP, S_BLOCK, S_LOG, S_ASSERT, S_ASYNC, S_LAUNCH };
struct fmt;
struct scase { struct expr *value; struct stmt *body; struct scase *next; uint32_t at, len; };     /* value NULL: default */
struct stmt {
	enum skind    kind;
	uint32_t      at, len;
	struct expr  *e;                    /* condition, expression, iterator, code of return */
	struct expr  *e2;                   /* source of for; level of a log; timeout of async */
	struct args  *args; unsigned nargs; /* values of return */
	struct stmt  *body, *other;
	struct scase *cases;
	struct view   name, text;           /* resume or report route; text of launch, assert */
	uint32_t      name_at, name_len;
	int64_t       num;                  /* level of a log, LEVEL_NONE when none is given */
	bool          plain;                /* log(): no variables */
	/* set by the checker */
	struct fmt   *fmt;
	int           route;
	struct stmt  *next;
};
struct route_ast { enum route_type type; struct view name; uint32_t at, len; uint32_t seconds; struct stmt *body; int number; unsigned called_from; };
enum item_kind { ITEM_ROUTE, ITEM_GLOBAL, ITEM_LOAD, ITEM_PARAM, ITEM_MPATH };
struct param_ast { struct view module, name, text; int64_t num; bool is_str; uint32_t module_at, module_len, name_at, name_len, at, len; };
struct item { enum item_kind kind; uint32_t at, len; struct view name; struct route_ast *route; struct param_ast *param; struct item *next; };

bool         parse_file(struct loader *l);                                     /* into l->items; socket= and others go through globals */
struct expr *parse_condition(struct lex *x);
struct expr *parse_arith(struct lex *x);
struct expr *parse_primary(struct lex *x);
struct args *parse_args(struct lex *x, unsigned *n, unsigned max, const char *what);
struct expr *parse_call(struct lex *x);                                        /* at the name, '(' follows */
struct stmt *parse_block(struct lex *x);                                       /* after '{', takes the '}' */
struct stmt *parse_stmt(struct lex *x);
void        *lex_fail(struct lex *x, uint32_t at, uint32_t len, struct view hint, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
bool         lex_is(const struct lex *x, int op);
bool         lex_is_id(const struct lex *x, const char *word);
bool         lex_take(struct lex *x, int op);                                  /* is and next */
bool         lex_want(struct lex *x, int op, const char *where);               /* or a diagnosis */

/* ---- globals and modules -------------------------------------------------------------------------------------------------------- */

/* Called by the parser at "name" of a global assignment, the lexer standing behind '='. */
bool global_assign(struct lex *x, struct view name, uint32_t at, uint32_t len);
bool globals_start(struct loader *l);
bool globals_finish(struct loader *l);
bool socket_line(struct lex *x, bool listen);                                  /* behind "socket =" */
bool socket_text(struct loader *l, struct view text);                          /* -l */
bool sockets_finish(struct loader *l);
bool is_bool_word(struct view v, int64_t *out);
bool parse_number(struct view v, int64_t *out);                                /* decimal, 0x, octal; sign */
bool modules_load(struct loader *l);                                           /* loadmodule and modparam items */
bool modules_init(struct loader *l);
const struct module_load *module_loaded(const struct loader *l, struct view name);

/* ---- the compiled program -------------------------------------------------------------------------------------------------------- */

enum { V_LAZY = 16 /* native integer without its text */, V_BORROWED = 32 /* text in a $var slot */, V_ERROR = 64 };

enum sub_kind { SUB_NONE, SUB_LITERAL, SUB_FMT };
enum ctx_kind { CTX_MSG, CTX_REQUEST, CTX_REPLY };
struct targ { struct value v; const struct varref *var; };
struct trcall { const struct script_transform *t; struct targ *args; int nargs; };
struct varref {
	const struct script_var *row;
	struct view     text;               /* as written */
	uint8_t         sub_kind, index_kind, ctx;
	bool            fast;               /* $var with a literal name: slot */
	int             index;
	int64_t         bound;
	struct view     sub;
	const struct fmt    *sub_fmt;
	const struct varref *index_var;
	struct trcall  *tr; int ntr;
	uint32_t        slot;
};
struct lvalue { struct varref ref; };
struct fmt_part { struct view lit; const struct varref *var; };
struct fmt { struct fmt_part *parts; unsigned n; struct view lit; /* the whole when n == 0 */ };

struct cmp { const struct varref *left, *right; struct value c; struct cidr net; const struct regex *re; };
enum argx_kind { ARGX_NONE, ARGX_CONST, ARGX_FMT, ARGX_VAR_STR, ARGX_VAR_INT, ARGX_OUT, ARGX_RE_VAR, ARGX_FLAGS_FMT, ARGX_ROUTE_FMT };
struct argx { uint8_t kind; enum route_type where; struct arg a; const struct fmt *fmt; const struct varref *var; };
struct callsite { const struct script_func *f; struct argx arg[SCRIPT_PARAMS]; uint8_t nargs; bool all_const; struct arg consts[SCRIPT_PARAMS]; };
struct routecall { int number; const struct fmt *name; const struct varref *name_var; };     /* number -1: by name at run time */
struct swcase { struct value v; uint32_t to; };
struct swtab { const struct varref *var; struct swcase *cases; unsigned n; uint32_t otherwise; };
struct forloop { const struct varref *iter, *src; uint32_t exit; };
struct logcall { const struct fmt *fmt; const struct varref *level_var; int level; };

/* One instruction: what a, b, c mean stands behind each. `cond` is 1, 0 or -1 (error), `ret` the code of the last action. */
enum opcode {
	I_COND,      /* cond = c */
	I_TRUTH,     /* cond = truth of varref c */
	I_CMP,       /* cond = compare, operator b, struct cmp c against its constant */
	I_CMPV,      /* the same against its variable */
	I_NET,       /* cond = address of the left inside the net; a: negated */
	I_MATCH,     /* cond = left =~ regex; a: negated */
	I_MATCHV,    /* the same, expression from a variable */
	I_NOT,       /* cond = !cond; an error stays */
	I_RETCOND,   /* cond = ret > 0 */
	I_TOPCOND,   /* cond = truth of the popped value */
	I_JMP,       /* to c */
	I_JFALSE,    /* to c when cond <= 0 */
	I_JDONE,     /* to c when cond != 0: true, or an error, ends an "or" */
	I_CALL,      /* ret = callsite c; a: 0 does not stop the script */
	I_ROUTE,     /* call routecall c with the b values on top as parameters */
	I_CONST, I_VAR, I_FMT,      /* push constant c, varref c, format c */
	I_RET, I_CONDV,             /* push ret, cond as an integer */
	I_POP,
	I_BIN,       /* two popped, operator b, one pushed; a: from a compound assignment */
	I_BITNOT,
	I_STORE,     /* pop into varref c; a: enum assign */
	I_STOREC,    /* constant b into varref c; a: enum assign */
	I_SETRET,    /* ret = c */
	I_RCRET,     /* $rc = ret */
	I_NOBRANCH,  /* an if without a branch to take: $rc = cond, ret = 1 */
	I_RETURN,    /* a: a code lies below the b values on top */
	I_END,       /* the route ends without return */
	I_EXIT, I_DROP,
	I_LOG,       /* logcall c */
	I_ASSERT,    /* text constant c, looks at cond */
	I_SWITCH,    /* swtab c */
	I_LOOP0,     /* push a counter */
	I_LOOP,      /* count; over the limit: to c */
	I_FOR,       /* forloop c: next value into the iterator, or to its exit */
	I_TAIL,      /* route number c (b values on top: parameters) replaces everything that runs; $rc = ret */
	I_LAUNCH,    /* start a run of its own at instruction c */
};
struct ins { uint8_t op, a; uint16_t b; uint32_t c; };
struct ins_at { uint32_t file, line; };

enum { ROUTE_TYPES = 9 };
struct code { struct view name; uint32_t entry, seconds; enum route_type type; };
struct program {
	struct ins       *ins;  struct ins_at *at; size_t nins, cap;
	struct code      *routes[ROUTE_TYPES]; unsigned nroutes[ROUTE_TYPES];
	struct value     *consts; unsigned nconsts, cap_consts;
	const void      **pool; unsigned npool, cap_pool;            /* varrefs, callsites, comparisons, ... by index */
	struct view      *vars; unsigned nvars, cap_vars;           /* names of $var by slot */
	struct view      *files; size_t nfiles;
};
struct regex_node { struct regex *re; struct regex_node *next; };
struct script {
	struct arena        *arena;
	struct core_conf     conf;
	struct program       prog;
	const struct module **modules; size_t nmodules;
	void               **mod_conf; size_t nmod_conf;
	struct regex_node   *regexes;
	const struct view   *script_args; size_t nscript_args;
};
unsigned route_type_index(enum route_type t);

/* Resolve every name in the routes; false after diagnoses. */
bool check_routes(struct loader *l);
bool compile_routes(struct loader *l);
/* Parse and resolve one variable / one format string found at `at` of the source. NULL after a diagnosis. */
struct varref *resolve_var(struct loader *l, struct view text, uint32_t at, uint32_t len);
struct fmt    *resolve_fmt(struct loader *l, struct view text, uint32_t at, uint32_t len);
bool           resolve_call(struct loader *l, struct expr *e);
const struct script_var *find_var_row(const struct loader *l, struct view name);
bool flag_words(const struct script_func *f, struct view text, int64_t *bits, struct view *unknown);

/* ---- the machine --------------------------------------------------------------------------------------------------------------------- */

struct frame { const struct code *code; uint32_t back; uint32_t base; uint8_t nparams; };      /* parameters lie right below base */
struct vm {
	const struct program *prog;
	struct frame         *frames; unsigned nframes, cap_frames;
	struct value         *stack; unsigned top, cap_stack;
	struct value          returned[SCRIPT_PARAMS]; unsigned nreturned;
	int                   ret, cond;
	uint32_t              pc;
	uint64_t              steps;
	struct regex         *call_re[SCRIPT_PARAMS]; unsigned ncall_re;    /* compiled for the call under way */
	bool                  running, waiting, resumed, nostop, borrowed, broken;
	int                   resume_rc;
	struct value          first_stack[12];
	struct frame          first_frames[4];
};

/* Per-worker state of the engine. */
struct slot_var { uint8_t flags; int32_t i; char *p; uint32_t n, cap; };
struct script_timer { struct timer timer; struct worker *w; unsigned route; uint64_t every_ms; bool busy; };
struct script_worker {
	const struct script *script;
	struct slot_var     *vars; unsigned nvars;
	uint32_t            *said;                     /* second of the last complaint per instruction */
	char                *scratch; size_t scratch_n, scratch_at;
	void               (*sink)(void *arg, int level, struct view text);
	void                *sink_arg;
	struct script_timer *timers; unsigned ntimers;
	size_t               modules_ready;
	uint64_t             started_ms;               /* since 1970: $TS */
};

bool  var_eval(struct run *r, const struct varref *v, struct value *out);      /* false: NULL (out says so) */
int   var_assign(struct run *r, const struct varref *v, enum assign op, const struct value *value);
/* Expand a format: false when it is longer than `limit` or memory is out. fmt_scratch's text lives until the next expansion. */
bool  fmt_expand(struct run *r, const struct fmt *f, size_t limit, struct view *out);
bool  fmt_scratch(struct run *r, const struct fmt *f, size_t limit, struct view *out);
void  value_own(struct arena *a, struct value *v);                             /* copy a borrowed text; give a lazy integer its own */
void  value_text(struct arena *a, struct value *v);                            /* give a lazy integer its text */
int   value_compare(int op, const struct value *l, const struct value *r);     /* 1, 0, -1 = not comparable */
/* Left op right; the result may carry V_ERROR with a reason in *why. */
struct value value_arith(struct arena *a, int op, bool compound, const struct value *l, const struct value *r, const char **why);
void  script_complain(struct run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void  script_say(struct worker *w, int level, struct view text);
void  slot_set(struct slot_var *s, const struct value *v);
struct callsite;
/* Arguments of a call, evaluated; false: the call fails without running. */
bool  args_eval(struct run *r, const struct callsite *c, struct arg *out);
bool  run_start_at(struct run *r, const struct code *code, uint32_t pc);
extern const struct script_var engine_vars[];
extern const struct script_transform engine_transforms[];
static inline struct script_worker *script_worker(const struct worker *w) { return w->script; }
#endif
