/* load.c -- the load generator: options in, one JSON line out.
 *
 * One thread, both ends of every call. With --hold it says "connected" and
 * waits for a line on stdin before the first call, and again after the
 * result, so that whoever drives it can read the server's counters exactly
 * around the load, with all connections still open. */
#include "flow.h"
#include "link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

enum { PACE_US = 1000 };

struct options {
	struct flow_config flow;
	struct net_clients clients;
	uint64_t rate, count, seconds;
	bool hold;
};

static const char *const transport_names[] = { "udp", "tcp", "tls", "ws", "wss" };

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static _Noreturn void usage(void)
{
	fputs("usage: load [options]\n"
	      "  -s IP:PORT     server under test (127.0.0.1:5060)\n"
	      "  -t TRANSPORT   phones' transport: udp tcp tls ws wss (udp)\n"
	      "  -u TRANSPORT   platform's transport: udp tcp (udp)\n"
	      "  -U IP:PORT     platform's address (127.0.0.1:5090)\n"
	      "  -f FLOW        call: INVITE 100 180 200 ACK BYE 200; options (call)\n"
	      "  -r RATE        calls per second, open loop; 0: as many as -w allows (100)\n"
	      "  -n COUNT       calls to start (1000); 0: connect only\n"
	      "  -d SECONDS     stop starting calls after that time (0: no limit)\n"
	      "  -c CLIENTS     phones, each with its own socket (16)\n"
	      "  -w WINDOW      calls open at once (4096)\n"
	      "  -p VERSION     PROXY header 1 or 2 from each phone (0: none)\n"
	      "  -R MS          ringing time (10)\n"
	      "  -T MS          talking time (10)\n"
	      "  -x SECONDS     a call fails after that time (10)\n"
	      "  -S SEED        of the calls' random values (from the clock)\n"
	      "  -B             the server is a bare forwarder: no Via, no Record-Route\n"
	      "  -H             hold: wait for a line on stdin before and after\n",
	      stderr);
	exit(2);
}

static uint64_t number(const char *s)
{
	char *end;
	uint64_t n = strtoull(s, &end, 10);

	if (end == s || *end)
		usage();
	return n;
}

static struct sockaddr_in address(const char *s)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	char ip[INET_ADDRSTRLEN];
	const char *colon = strrchr(s, ':');
	uint64_t port = colon ? number(colon + 1) : 0;

	if (!colon || (size_t)(colon - s) >= sizeof(ip) || port > 65535)
		usage();
	memcpy(ip, s, (size_t)(colon - s));
	ip[colon - s] = 0;
	if (inet_pton(AF_INET, ip, &a.sin_addr) != 1)
		usage();
	a.sin_port = htons((uint16_t)port);
	return a;
}

static enum transport transport(const char *s)
{
	for (unsigned i = 0; i <= T_WSS; i++) {
		if (!strcmp(s, transport_names[i]))
			return (enum transport)i;
	}
	usage();
}

static enum flow_kind kind(const char *s)
{
	if (!strcmp(s, "call"))
		return FLOW_CALL;
	if (!strcmp(s, "options"))
		return FLOW_OPTIONS;
	usage();
}

static void defaults(struct options *o)
{
	*o = (struct options){ .rate = 100, .count = 1000 };
	o->flow.kind = FLOW_CALL;
	o->flow.server = address("127.0.0.1:5060");
	o->flow.platform_at = address("127.0.0.1:5090");
	o->flow.routed = true;
	o->flow.window = 4096;
	o->flow.clients = 16;
	o->flow.ring = o->flow.talk = 10000;
	o->flow.give_up = 10000000;
	o->flow.seed = now_us();
}

static void options_read(struct options *o, int argc, char **argv)
{
	int c;

	defaults(o);
	while ((c = getopt(argc, argv, "s:t:u:U:f:r:n:d:c:w:p:R:T:x:S:BH")) != -1) {
		switch (c) {
		case 's': o->flow.server = address(optarg); break;
		case 't': o->flow.client = transport(optarg); break;
		case 'u': o->flow.platform = transport(optarg); break;
		case 'U': o->flow.platform_at = address(optarg); break;
		case 'f': o->flow.kind = kind(optarg); break;
		case 'r': o->rate = number(optarg); break;
		case 'n': o->count = number(optarg); break;
		case 'd': o->seconds = number(optarg); break;
		case 'c': o->flow.clients = (unsigned)number(optarg); break;
		case 'w': o->flow.window = (unsigned)number(optarg); break;
		case 'p': o->clients.proxy_version = (unsigned)number(optarg); break;
		case 'R': o->flow.ring = number(optarg) * 1000; break;
		case 'T': o->flow.talk = number(optarg) * 1000; break;
		case 'x': o->flow.give_up = number(optarg) * 1000000; break;
		case 'S': o->flow.seed = number(optarg); break;
		case 'B': o->flow.routed = false; break;
		case 'H': o->hold = true; break;
		default: usage();
		}
	}
	if (optind != argc || !o->flow.clients || !o->flow.window || o->flow.platform > T_TCP ||
	    o->clients.proxy_version > 2 || o->flow.give_up <= o->flow.ring + o->flow.talk)
		usage();
	o->clients.transport = o->flow.client;
	o->clients.server = o->flow.server;
	o->clients.count = o->flow.clients;
}

/* ---- the run ---------------------------------------------------------- */

/* Start what is due at `now`; microseconds until the next start. */
static uint64_t start_due(const struct options *o, struct flow *f, uint64_t began, uint64_t now)
{
	uint64_t due = o->count, started = flow_counts(f)->started;

	if (o->seconds && now - began >= o->seconds * 1000000)
		return UINT64_MAX;
	if (o->rate)
		due = (now - began) * o->rate / 1000000 + 1;
	if (due > o->count)
		due = o->count;
	for (; started < due; started++) {
		if (flow_start(f, now))
			continue;
		if (!o->rate)
			return PACE_US;
		flow_overrun(f);
	}
	if (started == o->count)
		return UINT64_MAX;
	return PACE_US;
}

/* Microseconds from the first start to the end of the last call. */
static uint64_t run(const struct options *o, struct net *net, struct flow *f)
{
	uint64_t began = now_us();

	for (;;) {
		uint64_t now = now_us();
		uint64_t wait = flow_tick(f, now);
		uint64_t next = start_due(o, f, began, now);
		if (next == UINT64_MAX && !flow_open(f))
			return now - began;
		net_flush(net);
		net_poll(net, next < wait ? next : wait);
	}
}

static void print_missing(const struct flow_counts *c)
{
	const char *comma = "";

	printf(",\"missing\":{");
	for (unsigned i = 0; i < SEEN_KINDS; i++) {
		if (!c->missing[i])
			continue;
		printf("%s\"%s\":%" PRIu64, comma, flow_seen_name((enum flow_seen)i), c->missing[i]);
		comma = ",";
	}
	printf("}");
}

static void print_result(const struct options *o, const struct flow *f, const struct net *net, uint64_t us)
{
	const struct flow_counts *c = flow_counts(f);
	const struct net_counts *n = net_counts(net);
	struct rusage ru;
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{ "clients", o->flow.clients },
		{ "proxy", o->clients.proxy_version },
		{ "rate", o->rate },
		{ "calls", c->started },
		{ "ok", c->ok },
		{ "failed", c->failed },
		{ "timed_out", c->timed_out },
		{ "rejected", c->rejected },
		{ "overrun", c->overrun },
		{ "retrans_caller", c->retrans_caller },
		{ "retrans_callee", c->retrans_callee },
		{ "trying", c->trying },
		{ "repeated", c->repeated },
		{ "misrouted", c->misrouted },
		{ "corrupt", c->corrupt },
		{ "unparsed", c->unparsed },
		{ "garbled", n->garbled },
		{ "broken", n->broken },
		{ "p50_us", hist_at(&c->latency, 50) },
		{ "p99_us", hist_at(&c->latency, 99) },
		{ "max_us", c->latency.max },
		{ "setup_p50_us", hist_at(&c->setup, 50) },
		{ "setup_p99_us", hist_at(&c->setup, 99) },
	};

	getrusage(RUSAGE_SELF, &ru);
	printf("{\"event\":\"result\",\"flow\":\"%s\",\"transport\":\"%s\",\"platform\":\"%s\"",
	       o->flow.kind == FLOW_CALL ? "call" : "options", transport_names[o->flow.client],
	       transport_names[o->flow.platform]);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		printf(",\"%s\":%" PRIu64, rows[i].name, rows[i].value);
	print_missing(c);
	printf(",\"elapsed_s\":%.3f,\"cps\":%.1f,\"load_cpu_s\":%.3f}\n", (double)us / 1e6,
	       us ? (double)c->ok * 1e6 / (double)us : 0.0,
	       (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
	               (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6);
	fflush(stdout);
}

static void wait_for_line(void)
{
	int c;

	do
		c = getchar();
	while (c != '\n' && c != EOF);
}

int main(int argc, char **argv)
{
	struct options o;
	struct flow *f;
	struct net *net;
	struct rlimit files;

	options_read(&o, argc, argv);
	/* OpenSSL writes without MSG_NOSIGNAL; a lost connection is counted. */
	signal(SIGPIPE, SIG_IGN);
	/* Five thousand phones are five thousand files. */
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	prctl(PR_SET_TIMERSLACK, 1000UL);
	f = flow_new(&o.flow);
	net = net_new(flow_in, f);
	net_platform(net, o.flow.platform, &o.flow.platform_at);
	net_connect(net, &o.clients);
	flow_attach(f, net);
	if (o.hold) {
		printf("{\"event\":\"connected\",\"clients\":%u}\n", o.flow.clients);
		fflush(stdout);
		wait_for_line();
	}
	uint64_t us = o.count ? run(&o, net, f) : 0;
	print_result(&o, f, net, us);
	if (o.hold)
		wait_for_line();
	int bad = flow_counts(f)->failed ? 1 : 0;
	net_free(net);
	flow_free(f);
	return bad;
}
