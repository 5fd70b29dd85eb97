/* viaduct-reference -- the reference pages of docs/reference, printed from the tables that the server itself reads.
 *
 *   viaduct-reference functions|variables|transformations|parameters|counters > docs/reference/PAGE.md
 *
 * A row that is added to a table is documented by that alone; tools/check-docs compares the pages with what this prints. */
#include "mod/mod.h"
#include "txn/txn.h"
#include "script/ast.h"
#include <stdio.h>

static void cell(const char *text)
{
	for (const char *p = text ? text : ""; *p; p++) {
		if (*p == '|')
			putchar('\\');
		putchar(*p);
	}
}

static void heading(const struct module *m)
{
	const char *help = m->help ? m->help : "";

	printf("\n## %s\n\n", m->name);
	if (*help)
		printf("%c%s.\n\n", *help >= 'a' && *help <= 'z' ? *help - 'a' + 'A' : *help, help + 1);
}

static void title(const char *name, const char *text)
{
	printf("# %s\n\n<!-- Printed by viaduct-reference from the tables of the server. Do not edit: `ninja -C build docs` writes it. -->\n\n%s\n", name, text);
}

/* ---- functions -------------------------------------------------------------------------------------------------------------- */

static const char *arg_name(uint8_t type)
{
	static const char *const names[] = { [ARG_STR] = "string", [ARG_INT] = "int", [ARG_STATIC] = "text", [ARG_REGEX] = "regex", [ARG_VAR] = "$var",
		[ARG_FLAGS] = "flags", [ARG_ROUTE_FAILURE] = "failure_route", [ARG_ROUTE_ONREPLY] = "onreply_route", [ARG_ROUTE_BRANCH] = "branch_route",
		[ARG_FLAGNAME] = "flag", [ARG_BFLAGNAME] = "branch flag" };

	must((type & ARG_TYPE) < COUNT_OF(names) && names[type & ARG_TYPE]);
	return names[type & ARG_TYPE];
}

static void routes(unsigned where)
{
	const char *comma = "";

	if (where == ROUTE_ANY || !where) {
		fputs("any", stdout);
		return;
	}
	for (unsigned bit = ROUTE_REQUEST; bit <= ROUTE_EVENT; bit <<= 1) {
		if (!(where & bit))
			continue;
		struct view name = route_type_name((enum route_type)bit);
		printf("%s" VIEW_FMT, comma, VIEW_ARG(name));
		comma = ", ";
	}
}

static void function(const struct script_func *f)
{
	printf("| `%s(", f->name);
	for (int i = 0; i < SCRIPT_PARAMS && f->args[i] != ARG_NONE; i++)
		printf(f->args[i] & ARG_OPT ? "%s[%s]" : "%s%s", i ? ", " : "", arg_name(f->args[i]));
	fputs(")` | ", stdout);
	routes(f->where);
	fputs(" | ", stdout);
	cell(f->help);
	for (const struct flag_word *w = f->words; w && w->word; w++)
		printf("%s`%s`", w == f->words ? "; words: " : ", ", w->word);
	fputs(" |\n", stdout);
}

static void function_table(const struct script_func *f)
{
	fputs("| function | in | what it does |\n|---|---|---|\n", stdout);
	for (; f->name; f++)
		function(f);
}

static void functions(void)
{
	title("Functions", "A function returns a number: above 0 is true, below 0 is false, 0 ends the script. Unless said otherwise, 1 is success and -1 is failure.\n"
	      "Types: `string` and `int` may contain or be variables; `text` is taken as it stands; `regex` is compiled when it is written out; `$var` is\n"
	      "a variable to write; `flags` is a comma list of words; route, `flag` and `branch flag` arguments are names. `[...]` may be left out.\n"
	      "The column \"in\" names the route types where a function may be called; elsewhere it is an error at load.");
	fputs("\n## core\n\nAlways there.\n\n", stdout);
	function_table(core_funcs);
	for (size_t i = 0; i < MOD_COUNT; i++)
		if (modules_all[i]->funcs && modules_all[i]->funcs->name) {
			heading(modules_all[i]);
			function_table(modules_all[i]->funcs);
		}
}

/* ---- variables -------------------------------------------------------------------------------------------------------------- */

static void variable(const struct script_var *v)
{
	const char *sub = v->flags & VAR_SUB_REQUIRED ? "(name)" : v->flags & VAR_SUB ? "[(name)]" : "";

	printf("| `$%s%s` | %s%s | ", v->name, sub, v->set ? "read, write" : "read", v->flags & VAR_INDEX ? ", index" : "");
	cell(v->help);
	fputs(" |\n", stdout);
}

static void variable_table(const struct script_var *v)
{
	fputs("| variable | access | what it is |\n|---|---|---|\n", stdout);
	for (; v->name; v++)
		variable(v);
}

static void variables(void)
{
	title("Variables", "`$name`, `$name(sub)`, `$(name[index])`, `$(name{transformation})`. \"index\" marks those that take `[number]` (negative from the end)\n"
	      "and `[*]`. What is absent is NULL.");
	fputs("\n## engine\n\nKept by the virtual machine.\n\n", stdout);
	variable_table(engine_vars);
	fputs("\n## core\n\nAlways there.\n\n", stdout);
	variable_table(core_vars);
	for (size_t i = 0; i < MOD_COUNT; i++)
		if (modules_all[i]->vars && modules_all[i]->vars->name) {
			heading(modules_all[i]);
			variable_table(modules_all[i]->vars);
		}
}

/* ---- transformations -------------------------------------------------------------------------------------------------------- */

static void transform_table(const struct script_transform *t)
{
	fputs("| transformation | result |\n|---|---|\n", stdout);
	for (; t->name; t++) {
		printf("| `{%s", t->name);
		for (int i = 0; i < t->max_args; i++)
			printf("%s,%c", i >= t->min_args ? "[" : "", 'a' + i);
		for (int i = t->min_args; i < t->max_args; i++)
			putchar(']');
		fputs("}` | ", stdout);
		cell(t->help);
		fputs(" |\n", stdout);
	}
}

static void transformations(void)
{
	title("Transformations", "`$(variable{class.name,argument})`, several from left to right. NULL stays NULL, and what cannot be done gives NULL.");
	fputs("\n## core\n\n", stdout);
	transform_table(core_transforms);
	for (size_t i = 0; i < MOD_COUNT; i++)
		if (modules_all[i]->transforms && modules_all[i]->transforms->name) {
			heading(modules_all[i]);
			transform_table(modules_all[i]->transforms);
		}
}

/* ---- parameters ------------------------------------------------------------------------------------------------------------- */

static const char *param_type(enum param_type t)
{
	static const char *const names[] = { [PARAM_INT] = "int", [PARAM_STR] = "string", [PARAM_CALL] = "string, repeatable", [PARAM_CALL_INT] = "int",
		[PARAM_IGNORED_INT] = "int, no effect", [PARAM_IGNORED_STR] = "string, no effect", [PARAM_IGNORED_ANY] = "any, no effect" };

	must((size_t)t < COUNT_OF(names));
	return names[t];
}

static void parameter_table(const struct script_param *p)
{
	fputs("| parameter | type | default | meaning |\n|---|---|---|---|\n", stdout);
	for (; p->name; p++) {
		printf("| `%s` | %s | ", p->name, param_type(p->type));
		if (p->deflt && *p->deflt)
			printf("`%s`", p->deflt);
		fputs(" | ", stdout);
		cell(p->help);
		fputs(" |\n", stdout);
	}
}

static void parameters(void)
{
	title("Parameters of modules", "`modparam(\"module\", \"parameter\", value)`. The module's name is a regular expression. \"No effect\" marks parameters that\n"
	      "OpenSIPS has and that mean nothing here: they are accepted.");
	for (size_t i = 0; i < MOD_COUNT; i++) {
		heading(modules_all[i]);
		if (modules_all[i]->params && modules_all[i]->params->name)
			parameter_table(modules_all[i]->params);
		else
			fputs("No parameters.\n", stdout);
	}
	fputs("\n## Modules that load without effect\n\nThese modules of OpenSIPS are not in this version. `loadmodule` and `modparam` accept them;\n"
	      "using one of their functions or variables is an error at load.\n\n", stdout);
	for (size_t i = 0; modules_absent[i]; i++)
		printf("%s`%s`", i ? ", " : "", modules_absent[i]);
	fputs("\n", stdout);
}

/* ---- counters --------------------------------------------------------------------------------------------------------------- */

#define C(name, help) { #name, help },
static const struct counter { const char *name, *help; } net_counters[] = { NET_COUNTERS(C) }, core_counters[] = { CORE_COUNTERS(C) }, tm_counters[] = { TXN_COUNTERS(C) };
#undef C

static void counter_table(const char *group, const char *text, const struct counter *c, size_t n)
{
	printf("\n## %s\n\n%s\n\n| counter | counts |\n|---|---|\n", group, text);
	for (size_t i = 0; i < n; i++) {
		printf("| `%s.%s` | ", group, c[i].name);
		cell(c[i].help);
		fputs(" |\n", stdout);
	}
}

static void counters(void)
{
	title("Counters", "`kill -USR1 PID` prints them on standard error, one a line: `counter NAME VALUE`, summed over the workers. The last line is\n"
	      "`counter end.counters 0`.");
	counter_table("net", "Sockets, connections and PROXY headers.", net_counters, COUNT_OF(net_counters));
	fputs("\n## pp_reject\n\nPROXY headers that were refused, by reason.\n\n| counter | reason |\n|---|---|\n", stdout);
	for (int i = PP_REJ_NONE + 1; i < PP_REJ_COUNT; i++) {
		struct view name = pp_reject_name((enum pp_reject)i), text = pp_reject_text((enum pp_reject)i);
		printf("| `pp_reject." VIEW_FMT "` | " VIEW_FMT " |\n", VIEW_ARG(name), VIEW_ARG(text));
	}
	counter_table("core", "Messages.", core_counters, COUNT_OF(core_counters));
	counter_table("tm", "Transactions; only while the module is loaded.", tm_counters, COUNT_OF(tm_counters));
}

int main(int argc, char **argv)
{
	static const struct { const char *name; void (*print)(void); } pages[] = { { "functions", functions }, { "variables", variables },
		{ "transformations", transformations }, { "parameters", parameters }, { "counters", counters } };

	for (size_t i = 0; argc == 2 && i < COUNT_OF(pages); i++)
		if (strcmp(argv[1], pages[i].name) == 0) {
			pages[i].print();
			return 0;
		}
	fputs("usage: viaduct-reference functions|variables|transformations|parameters|counters\n", stderr);
	return 2;
}
