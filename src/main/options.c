/* The command line: OpenSIPS's options, so that unit files and test harnesses go on working (opensips-language.md section 1). */
#include "main/main.h"
#include <getopt.h>

static const struct option longer[] = {
	{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' }, { "check", no_argument, NULL, 'C' }, { "workers", required_argument, NULL, 'n' },
	{ NULL, 0, NULL, 0 },
};

void options_help(void)
{
	fputs("viaduct, a SIP edge server\n\n"
	      "  viaduct [-f FILE] [options]        without -f: the built-in configuration (see etc/edge.cfg)\n\n"
	      "  -f FILE      configuration, - for standard input\n"
	      "  -C, -c       check the configuration and exit: 0 when it is good, 255 when it is not\n"
	      "  -l SOCKET    listen on [proto:]address[:port] too (again for more)\n"
	      "  -n N         worker threads (VIADUCT_WORKERS in the environment does the same)\n"
	      "  -F, -D       stay in the foreground\n"
	      "  -E           log to standard error\n"
	      "  -d           more debugging (again for more)\n"
	      "  -P FILE      write the process id\n"
	      "  -w DIR       working directory      -t DIR   chroot\n"
	      "  -u USER      run as user            -g GROUP run as group\n"
	      "  -A ADDRESS   address to advertise in Via and Record-Route\n"
	      "  -p COMMAND   pipe the configuration through a preprocessor\n"
	      "  -o NAME[=V]  script argument, read as $argv(NAME)\n"
	      "  -V, -h       version, this help\n\n"
	      "Accepted without meaning here: -N -m -M -G -b -r -R -v -W -a -k -s -e -i -S\n", stdout);
}

static bool number(const char *text, int *out)
{
	uint32_t n;

	if (!view_u32(view_str(text), &n) || n == 0 || n > WORKERS_MAX) {
		fprintf(stderr, "viaduct: -n takes a number from 1 to %d, not \"%s\"\n", WORKERS_MAX, text);
		return false;
	}
	*out = (int)n;
	return true;
}

static bool add(struct view *list, size_t *n, size_t cap, const char *text, const char *what)
{
	if (*n == cap) {
		fprintf(stderr, "viaduct: too many %s\n", what);
		return false;
	}
	list[(*n)++] = view_str(text);
	return true;
}

static bool take(struct options *o, int c)
{
	switch (c) {
	case 'f': o->file = optarg; return true;
	case 'c': o->check = true; return true;
	case 'C': o->check = o->check_more = true; return true;
	case 'F': case 'D': o->background = false; return true;
	case 'E': o->log_stderr = true; return true;
	case 'd': o->debug++; return true;
	case 'l': return add(o->listen, &o->nlisten, COUNT_OF(o->listen), optarg, "-l options");
	case 'o': return add(o->args, &o->nargs, COUNT_OF(o->args), optarg, "-o options");
	case 'n': return number(optarg, &o->workers);
	case 'P': o->pidfile = optarg; return true;
	case 'w': o->workdir = optarg; return true;
	case 't': o->chroot_dir = optarg; return true;
	case 'u': o->user = optarg; return true;
	case 'g': o->group = optarg; return true;
	case 'A': o->advertise = optarg; return true;
	case 'p': o->preprocessor = optarg; return true;
	case 'V': o->version = true; return true;
	case 'h': o->help = true; return true;
	case 'N': case 'm': case 'M': case 'G': case 'b': case 'W': case 'a': case 'k': case 's': case 'e': case 'S':
	case 'r': case 'R': case 'v': case 'i':
		return true;
	default:
		fputs("viaduct: try -h\n", stderr);
		return false;
	}
}

bool options_read(int argc, char **argv, struct options *o)
{
	const char *workers = getenv("VIADUCT_WORKERS");
	int c;

	*o = (struct options){ .background = true };
	if (workers && *workers && !number(workers, &o->workers))
		return false;
	while ((c = getopt_long(argc, argv, "f:cCl:n:N:m:M:P:G:u:g:w:t:FDEdrRvb:W:A:p:a:k:s:e:o:iVhS:", longer, NULL)) != -1)
		if (!take(o, c))
			return false;
	if (optind < argc) {
		fprintf(stderr, "viaduct: \"%s\" is not an option; try -h\n", argv[optind]);
		return false;
	}
	return true;
}
