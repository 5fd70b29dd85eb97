/* base/log.h -- one place that turns an event into a line.  Codecs and state machines return reasons; edges log.
 * Levels are those of OpenSIPS (-3 ALERT .. 4 DBG).  Each call site is limited to LOG_SITE_PER_SECOND lines a second; what
 * was held back is counted and said with the next line that passes. */
#ifndef BASE_LOG_H
#define BASE_LOG_H
#include "base/view.h"

/* As OpenSIPS numbers them. */
enum log_level { L_ALERT = -3, L_CRIT = -2, L_ERR = -1, L_WARN = 1, L_NOTICE = 2, L_INFO = 3, L_DBG = 4 };
/* One call site's budget, per thread. */
struct log_site { uint64_t second; uint32_t lines, held; };

/* Lines above the level are not written; NOTICE at start.  Both from any thread. */
void log_set_level(int level);
int  log_get_level(void);
/* Sinks; stderr is on at start.  `ident` must outlive the process's logging. */
void log_use_stderr(bool on);
void log_use_syslog(bool on, const char *ident, int facility);
void log_set_prefix(struct view prefix);                     /* copied, at most 63 bytes */
/* The loops tell the log what time it is (UTC milliseconds since 1970); it never asks. */
void log_clock(uint64_t unix_ms);
/* Use the macro.  `site` NULL = never limited. */
void log_write(struct log_site *site, int level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
#define log_at(level, ...) do { static _Thread_local struct log_site site_; \
	if ((level) <= log_get_level()) log_write(&site_, (level), __VA_ARGS__); } while (0)
#endif
