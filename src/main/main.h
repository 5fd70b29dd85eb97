/* main/main.h -- private to main/: the command line, and the life of the process. */
#ifndef MAIN_H
#define MAIN_H
#include "mod/mod.h"

struct options {
	const char *file;                /* -f; NULL = the built-in configuration; "-" = stdin */
	bool        check, check_more;   /* -c, -C */
	bool        version, help;
	int         workers;             /* worker threads; 0 = from the configuration */
	int         debug;               /* -d: each raises the log level */
	bool        background;          /* neither -F nor -D */
	bool        log_stderr;          /* -E */
	const char *pidfile, *workdir, *chroot_dir, *user, *group, *preprocessor, *advertise;
	struct view listen[64];          /* -l */
	size_t      nlisten;
	struct view args[64];            /* -o name[=value] */
	size_t      nargs;
};
/* Read the command line; false after it said on stderr what is wrong. */
bool options_read(int argc, char **argv, struct options *o);
void options_help(void);

/* Where the built-in configuration keeps its certificate: $VIADUCT_STATE, else $XDG_STATE_HOME/viaduct, ~/.local/state/viaduct,
 * /var/lib/viaduct.  Made with a self-signed certificate when it is asked for first; NULL with a sentence in err. */
const char *state_dir(struct out *err);

/* A secret kept in the state directory, made when it is not there; false when no configuration asked for that directory, or it
 * cannot be kept. */
bool        state_secret(void *secret, size_t n);

/* The embedded etc/edge.cfg. */
struct view edge_cfg(void);

/* A loaded configuration with running workers. */
struct process;
/* Load and check; prints the findings. NULL when it has errors. `why_not` receives a sentence on other failures. */
struct script  *boot_load(const struct options *o, struct arena **keep);
/* Sockets, workers, threads; serving when this returns.  NULL with a sentence in err. */
struct process *boot_start(struct script *s, struct out *err);
void            boot_counters(const struct process *p);       /* "counter NAME VALUE" lines on stderr */
void            boot_stop(struct process *p);
#endif
