/* viaduct: the process from the command line to the last signal. */
#include "main/main.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef VIADUCT_VERSION
#error "VIADUCT_VERSION comes from the build"
#endif

enum { EXIT_BAD_CONFIG = 255 };      /* what OpenSIPS's -C gives the shell */

static bool fail(const char *what, const char *which)
{
	fprintf(stderr, "viaduct: %s %s: %s\n", what, which, strerror(errno));
	return false;
}

/* The command line goes before the configuration. */
static bool enter_dirs(const struct options *o, const struct core_conf *c, struct arena *a)
{
	const char *root = o->chroot_dir ? o->chroot_dir : c->chroot.n ? arena_cstr(a, c->chroot) : NULL;
	const char *dir = o->workdir ? o->workdir : c->workdir.n ? arena_cstr(a, c->workdir) : NULL;

	if (root && (chroot(root) != 0 || chdir("/") != 0))
		return fail("cannot change root to", root);
	if (dir && chdir(dir) != 0)
		return fail("cannot enter", dir);
	return true;
}

static void start_log(const struct options *o, const struct core_conf *c, struct arena *a)
{
	int level = c->log_level + o->debug;

	log_set_level(level > L_DBG ? L_DBG : level);
	log_set_prefix(c->log.prefix);
	log_use_stderr(c->log.to_stderr || o->log_stderr);
	if (c->log.to_syslog)
		log_use_syslog(true, c->log.name.n ? arena_cstr(a, c->log.name) : "viaduct", c->log.facility);
}

static bool drop_privileges(const struct options *o)
{
	const struct passwd *u = o->user ? getpwnam(o->user) : NULL;
	const struct group *g = o->group ? getgrnam(o->group) : NULL;

	if ((o->user && !u) || (o->group && !g)) {
		fprintf(stderr, "viaduct: no such %s: %s\n", o->user && !u ? "user" : "group", o->user && !u ? o->user : o->group);
		return false;
	}
	if (!u && !g)
		return true;
	gid_t gid = g ? g->gr_gid : u->pw_gid;
	if (setgroups(0, NULL) != 0 || setgid(gid) != 0)
		return fail("cannot take group", o->group ? o->group : o->user);
	if (u && setuid(u->pw_uid) != 0)
		return fail("cannot become", o->user);
	return true;
}

static bool write_pid(const struct options *o)
{
	FILE *f = o->pidfile ? fopen(o->pidfile, "we") : NULL;

	if (!o->pidfile)
		return true;
	if (!f)
		return fail("cannot write", o->pidfile);
	fprintf(f, "%d\n", (int)getpid());
	return fclose(f) == 0 || fail("cannot write", o->pidfile);
}

/* Every connection is a descriptor: take what the configuration asks for, else as many as the system lets us. */
static void raise_files(int wanted)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0)
		return;
	r.rlim_cur = wanted > 0 ? (rlim_t)wanted : r.rlim_max;
	if (r.rlim_cur > r.rlim_max)
		r.rlim_max = r.rlim_cur;
	if (setrlimit(RLIMIT_NOFILE, &r) != 0)
		fail("cannot raise the limit of open files", "");
}

/* To the background: whoever called waits until this is known to serve, or has said why not, and ends accordingly.
 * The descriptor to tell it by, or -1. */
static int go_background(void)
{
	int    tell[2];
	char   fine;
	pid_t  child;

	if (pipe2(tell, O_CLOEXEC) != 0)
		return -1;
	child = fork();
	if (child > 0) {
		close(tell[1]);
		_exit(read(tell[0], &fine, 1) == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
	}
	close(tell[0]);
	if (child < 0 || setsid() < 0) {
		close(tell[1]);
		return -1;
	}
	return tell[1];
}

static void leave_terminal(int tell)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; null >= 0 && fd <= 2; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
	if (write(tell, "", 1) != 1)
		fail("cannot tell", "who started this");
	close(tell);
}

static void block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGUSR1);
	sigaddset(set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* TERM and INT end the process, USR1 prints the counters; HUP and USR2 are heard and ignored, as operators' scripts expect. */
static void serve(const struct process *p, const sigset_t *signals)
{
	for (;;) {
		int sig;
		if (sigwait(signals, &sig) != 0)
			continue;
		if (sig == SIGTERM || sig == SIGINT)
			return;
		if (sig == SIGUSR1)
			boot_counters(p);
	}
}

static int run(const struct options *o, struct script *s, struct arena *keep)
{
	const struct core_conf *c = script_conf(s);
	char reason[1024];
	struct out err = out_to(reason, sizeof reason);
	sigset_t signals;

	if (!enter_dirs(o, c, keep))
		return EXIT_FAILURE;
	start_log(o, c, keep);
	raise_files(c->open_files);
	bool background = o->background && !c->debug_mode;
	int tell = background ? go_background() : -1;
	if (background && tell < 0) {
		fail("cannot go to the background", "");
		return EXIT_FAILURE;
	}
	block_signals(&signals);
	struct process *p = boot_start(s, &err);
	if (!p) {
		fprintf(stderr, "viaduct: " VIEW_FMT "\n", VIEW_ARG(out_view(&err)));
		return EXIT_FAILURE;
	}
	if (!write_pid(o) || !drop_privileges(o)) {
		boot_stop(p);
		return EXIT_FAILURE;
	}
	fprintf(stderr, "viaduct " VIADUCT_VERSION " ready: %u worker%s", c->workers, c->workers == 1 ? "" : "s");
	for (size_t i = 0; i < c->net.nsockets; i++)
		fprintf(stderr, "%s" VIEW_FMT, i ? " " : ", ", VIEW_ARG(c->net.sockets[i].text));
	fputs("\n", stderr);
	if (background)
		leave_terminal(tell);
	serve(p, &signals);
	boot_stop(p);
	/* Not ours to remove any more after a change of user or root: then it stays. */
	if (o->pidfile)
		unlink(o->pidfile);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct options o;
	struct arena *keep = NULL;

	if (!options_read(argc, argv, &o))
		return EXIT_BAD_CONFIG;
	if (o.help || o.version) {
		if (o.help)
			options_help();
		else
			puts("viaduct " VIADUCT_VERSION);
		return EXIT_SUCCESS;
	}
	struct script *s = boot_load(&o, &keep);
	int rc = !s ? EXIT_BAD_CONFIG : EXIT_SUCCESS;
	if (s && o.check)
		fputs("viaduct: the configuration is good\n", stderr);
	else if (s)
		rc = run(&o, s, keep);
	if (s)
		script_free(s);
	regex_thread_done();
	arena_free(keep);
	arena_thread_done();
	return rc;
}
