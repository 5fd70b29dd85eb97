/* mod/mod.h -- the modules that are built in: one `const struct module mod_NAME` each, its slot MOD_NAME. */
#ifndef MOD_H
#define MOD_H
#include "script/script.h"

/* Slot of a module in core_conf.mod and worker.mod. */
enum mod_id {
#define M(name) MOD_##name,
#include "mod/modules.def"
#undef M
	MOD_COUNT
};
#define M(name) extern const struct module mod_##name;
#include "mod/modules.def"
#undef M
/* All of them by slot, for script_env.modules. */
extern const struct module *const modules_all[MOD_COUNT];
/* Modules of OpenSIPS that load as stubs, for script_env.known_absent. */
extern const char *const modules_absent[];
#endif
