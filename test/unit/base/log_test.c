#include "base/unit.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- standard error caught in a file ---------------------------------------------------------------------------------- */

static int  real_stderr, caught;
static char text[8 << 20];

static void catch_begin(void)
{
	char name[] = "/tmp/viaduct-log-XXXXXX";

	caught = mkstemp(name);
	assert_true(caught >= 0);
	unlink(name);
	assert_true(fcntl(caught, F_SETFL, O_APPEND) == 0);
	real_stderr = dup(STDERR_FILENO);
	dup2(caught, STDERR_FILENO);
}

static struct view catch_end(void)
{
	size_t  n = 0;
	ssize_t got;

	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	while ((got = pread(caught, text + n, sizeof text - n, (off_t)n)) > 0)
		n += (size_t)got;
	close(caught);
	return view_of(text, n);
}

static int defaults(void **state)
{
	log_set_level(L_NOTICE);
	log_set_prefix(VIEW(""));
	log_clock(0);
	return 0;
}

static size_t lines_of(struct view v)
{
	size_t n = 0;

	while (v.n) {
		view_cut(&v, '\n');
		n++;
	}
	return n;
}

static void line_form(void **state)
{
	static const struct { uint64_t ms; const char *utc; } times[] = {
		{ 1, "1970-01-01T00:00:00.001Z " }, { 951782399999, "2000-02-28T23:59:59.999Z " },
		{ 951782400000, "2000-02-29T00:00:00.000Z " }, { 951868800000, "2000-03-01T00:00:00.000Z " },
		{ 1798761599000, "2026-12-31T23:59:59.000Z " }, { 4107542400000, "2100-03-01T00:00:00.000Z " },
		{ 1795420547123, "2026-11-23T07:55:47.123Z " },
	};

	for (size_t i = 0; i < COUNT_OF(times); i++) {
		char       want[200];
		struct out o = out_to(want, sizeof want);

		putf(&o, "%sERROR:net: port 5060\n", times[i].utc);
		log_clock(times[i].ms);
		catch_begin();
		log_write(NULL, L_ERR, "net: port %d", 5060);
		assert_view(catch_end(), out_view(&o));
	}
}

static void levels(void **state)
{
	catch_begin();
	log_set_level(L_WARN);
	log_at(L_ALERT, "1");
	log_at(L_CRIT, "2");
	log_at(L_ERR, "3");
	log_at(L_WARN, "4");
	log_at(L_NOTICE, "no");
	log_set_level(L_DBG);
	log_at(L_NOTICE, "5");
	log_at(L_INFO, "6");
	log_at(L_DBG, "7");
	assert_int_equal(log_get_level(), L_DBG);
	assert_view(catch_end(), VIEW("ALERT:1\nCRITICAL:2\nERROR:3\nWARNING:4\nNOTICE:5\nINFO:6\nDBG:7\n"));
}

static void sinks_and_prefix(void **state)
{
	char long_prefix[100];

	catch_begin();
	log_use_stderr(false);
	log_at(L_ERR, "nobody hears");
	log_use_stderr(true);
	log_set_prefix(VIEW("edge1"));
	log_at(L_ERR, "x");
	memset(long_prefix, 'p', sizeof long_prefix);
	log_set_prefix(view_of(long_prefix, sizeof long_prefix));
	log_at(L_ERR, "y");
	struct view got = catch_end();
	assert_true(view_starts(got, VIEW("ERROR:edge1 x\nERROR:ppp")));
	assert_int_equal(got.n, sizeof "ERROR:edge1 x\n" - 1 + sizeof "ERROR: y\n" - 1 + 63);
}

static void one_line_stays_one_line(void **state)
{
	catch_begin();
	log_write(NULL, L_ERR, "%s", "a\nERROR:forged\r\x1b[2J\tb\x7f\n\n");
	assert_view(catch_end(), VIEW("ERROR:a\\nERROR:forged\\r\\x1b[2J\tb\\x7f\n"));
}

static void long_lines_end(void **state)
{
	static char big[3 * LOG_LINE_BYTES];

	memset(big, 'x', sizeof big - 1);
	catch_begin();
	log_write(NULL, L_ERR, "%s", big);
	memset(big, '\n', sizeof big - 1);
	big[0] = big[sizeof big - 2] = 'x';
	log_write(NULL, L_ERR, "%s", big);
	struct view got = catch_end();
	assert_int_equal(lines_of(got), 2);
	assert_true(got.n <= 2 * (LOG_LINE_BYTES + 64));
}

static void site(int i)
{
	log_at(L_ERR, "line %d", i);
}

static void site_is_limited_by_the_clock_we_give(void **state)
{
	char       want[2000];
	struct out o = out_to(want, sizeof want);

	for (int i = 0; i < LOG_SITE_PER_SECOND; i++)
		putf(&o, "2001-09-09T01:46:40.000Z ERROR:line %d\n", i);
	putf(&o, "2001-09-09T01:46:41.000Z ERROR:(%d like this held back) line 777\n", 100 - LOG_SITE_PER_SECOND);
	putf(&o, "2001-09-09T01:46:41.000Z ERROR:line 778\n");

	catch_begin();
	log_clock(1000000000000);
	for (int i = 0; i < 100; i++)
		site(i);
	log_clock(1000000001000);
	site(777);
	site(778);
	assert_view(catch_end(), out_view(&o));
}

/* Before the clock is told there is no second to count in: start-up may say all it has to say. */
static void start_up_is_not_limited(void **state)
{
	catch_begin();
	for (int i = 0; i < 50; i++)
		site(i);
	assert_int_equal(lines_of(catch_end()), 50);
}

enum { SPEAKERS = 4, LINES = 2000 };

static void *speak(void *arg)
{
	char body[300];

	memset(body, 'a' + (char)(intptr_t)arg, sizeof body);
	for (int i = 0; i < LINES; i++)
		log_write(NULL, L_ERR, "%.*s", 1 + i % 300, body);
	return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
	pthread_t t[SPEAKERS];
	int       seen[SPEAKERS] = { 0 };

	catch_begin();
	for (intptr_t i = 0; i < SPEAKERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, speak, (void *)i), 0);
	for (int i = 0; i < SPEAKERS; i++)
		pthread_join(t[i], NULL);
	struct view got = catch_end();
	while (got.n) {
		struct view line = view_cut(&got, '\n');
		assert_true(view_starts(line, VIEW("ERROR:")));
		line = view_from(line, 6);
		int who = line.p[0] - 'a';
		assert_in_range(who, 0, SPEAKERS - 1);
		for (size_t i = 0; i < line.n; i++)
			assert_int_equal(line.p[i], line.p[0]);
		assert_int_equal(line.n, 1 + seen[who] % 300);
		seen[who]++;
	}
	for (int i = 0; i < SPEAKERS; i++)
		assert_int_equal(seen[i], LINES);
}

static void our_own_mistake_dies_loudly(void **state)
{
	int status;

	catch_begin();
	pid_t child = fork();
	if (child == 0) {
		signal(SIGABRT, SIG_DFL);
		must(1 + 1 == 3);
		_exit(0);
	}
	assert_true(waitpid(child, &status, 0) == child);
	struct view got = catch_end();
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_true(view_starts(got, VIEW("ALERT:must fail: 1 + 1 == 3 (")));
	assert_true(view_find_view(got, VIEW("log_test.c:")) < got.n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(line_form, defaults), cmocka_unit_test_setup(levels, defaults),
		cmocka_unit_test_setup(sinks_and_prefix, defaults), cmocka_unit_test_setup(one_line_stays_one_line, defaults),
		cmocka_unit_test_setup(long_lines_end, defaults), cmocka_unit_test_setup(site_is_limited_by_the_clock_we_give, defaults),
		cmocka_unit_test_setup(start_up_is_not_limited, defaults), cmocka_unit_test_setup(lines_of_threads_do_not_mix, defaults),
		cmocka_unit_test_setup(our_own_mistake_dies_loudly, defaults),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
