#include "base/base.h"
#include <stdarg.h>
#include <stdatomic.h>
#include <syslog.h>
#include <unistd.h>

/* Set by main before threads start; the level also later, by a command. */
static atomic_int            level_now = L_NOTICE;
static atomic_bool           to_stderr = true, to_syslog = false;
static char                  prefix[64];
static size_t                prefix_n;
static atomic_uint_least64_t clock_shared;     /* for threads without a loop */
static _Thread_local uint64_t clock_mine;

enum { CLOCK_SHARE_MS = 10, CIVIL_DAYS_1970 = 719468, DAYS_400_YEARS = 146097 };

static const struct { const char *name; int syslog; } levels[] = {
	[L_ALERT - L_ALERT]  = { "ALERT", LOG_ALERT },
	[L_CRIT - L_ALERT]   = { "CRITICAL", LOG_CRIT },
	[L_ERR - L_ALERT]    = { "ERROR", LOG_ERR },
	[0 - L_ALERT]        = { "WARNING", LOG_WARNING },
	[L_WARN - L_ALERT]   = { "WARNING", LOG_WARNING },
	[L_NOTICE - L_ALERT] = { "NOTICE", LOG_NOTICE },
	[L_INFO - L_ALERT]   = { "INFO", LOG_INFO },
	[L_DBG - L_ALERT]    = { "DBG", LOG_DEBUG },
};

void log_set_level(int level)
{
	atomic_store_explicit(&level_now, level, memory_order_relaxed);
}

int log_get_level(void)
{
	return atomic_load_explicit(&level_now, memory_order_relaxed);
}

void log_use_stderr(bool on)
{
	to_stderr = on;
}

void log_use_syslog(bool on, const char *ident, int facility)
{
	if (on)
		openlog(ident, LOG_NDELAY | LOG_PID, facility);
	else if (to_syslog)
		closelog();
	to_syslog = on;
}

void log_set_prefix(struct view p)
{
	prefix_n = p.n < sizeof prefix ? p.n : sizeof prefix - 1;
	if (prefix_n)
		memcpy(prefix, p.p, prefix_n);
}

void log_clock(uint64_t unix_ms)
{
	uint64_t shared = atomic_load_explicit(&clock_shared, memory_order_relaxed);

	clock_mine = unix_ms;
	/* Written rarely: every worker reads this cache line every turn. */
	if (unix_ms < shared || unix_ms - shared >= CLOCK_SHARE_MS)
		atomic_store_explicit(&clock_shared, unix_ms, memory_order_relaxed);
}

static uint64_t clock_ms(void)
{
	return clock_mine ? clock_mine : atomic_load_explicit(&clock_shared, memory_order_relaxed);
}

/* 2026-11-23T07:55:47.123Z -- by arithmetic on the proleptic Gregorian calendar in eras of 400 years that begin on
 * 1 March: the libc way takes the time zone's lock. */
static void put_utc(struct out *o, uint64_t unix_ms)
{
	uint64_t s = unix_ms / 1000;
	uint64_t days = s / 86400 + CIVIL_DAYS_1970;
	uint64_t era = days / DAYS_400_YEARS, doe = days % DAYS_400_YEARS;
	uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	uint64_t mp = (5 * doy + 2) / 153;
	uint64_t day = doy - (153 * mp + 2) / 5 + 1, month = mp < 10 ? mp + 3 : mp - 9;

	putf(o, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ ", (unsigned)(era * 400 + yoe + (month <= 2)), (unsigned)month,
	     (unsigned)day, (unsigned)(s / 3600 % 24), (unsigned)(s / 60 % 60), (unsigned)(s % 60), (unsigned)(unix_ms % 1000));
}

/* One line stays one line whatever a stranger put into it. */
static void put_line(struct out *o, struct view text)
{
	while (text.n && text.p[text.n - 1] == '\n')
		text.n--;
	put_safe(o, text);
}

/* True if the site may speak now; *held = lines it kept back since it last did. */
static bool site_may(struct log_site *site, uint32_t *held)
{
	uint64_t second = clock_ms() / 1000;

	*held = 0;
	/* Before the clock is known nothing can be paced: that is start-up, where every line matters. */
	if (!site || second == 0)
		return true;
	if (site->second != second) {
		site->second = second;
		site->lines = 0;
	}
	if (site->lines >= LOG_SITE_PER_SECOND) {
		site->held++;
		return false;
	}
	site->lines++;
	*held = site->held;
	site->held = 0;
	return true;
}

static void emit(int level, struct view body)
{
	char       line[LOG_LINE_BYTES + 64];
	struct out o = out_to(line, sizeof line - 1);

	if (to_syslog)
		syslog(levels[level - L_ALERT].syslog, VIEW_FMT, VIEW_ARG(body));
	if (!to_stderr)
		return;
	if (clock_ms())
		put_utc(&o, clock_ms());
	put(&o, body);
	o.p[o.n++] = '\n';
	/* A log that cannot be written has nowhere to say so. */
	ssize_t unused = write(STDERR_FILENO, o.p, o.n);
	(void)unused;
}

void log_write(struct log_site *site, int level, const char *fmt, ...)
{
	char       text[LOG_LINE_BYTES], body[LOG_LINE_BYTES];
	struct out o = out_to(body, sizeof body);
	va_list    ap;
	uint32_t   held;

	level = level < L_ALERT ? L_ALERT : level > L_DBG ? L_DBG : level;
	if ((!to_stderr && !to_syslog) || !site_may(site, &held))
		return;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;

	put(&o, view_str(levels[level - L_ALERT].name));
	put_char(&o, ':');
	if (prefix_n) {
		put(&o, view_of(prefix, prefix_n));
		put_char(&o, ' ');
	}
	if (held)
		putf(&o, "(%u like this held back) ", held);
	put_line(&o, view_of(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1));
	emit(level, out_view(&o));
}
