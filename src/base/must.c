#include "base/base.h"

void must_fail(const char *what, const char *file, int line)
{
	log_write(NULL, L_ALERT, "must fail: %s (%s:%d)", what, file, line);
	abort();
}
