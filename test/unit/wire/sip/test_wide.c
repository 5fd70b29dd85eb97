/* The scanners that look at sixteen bytes a step, against the same questions asked byte by byte; and hosts against addr_parse_ip(). */
#include "wire/sip/lex.h"
#include "wall.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { LONGEST = 50 };      /* three steps and a rest */

static bool stops(uint8_t c, enum wide_stop stop)
{
	const char *only = stop == STOP_COLON ? ":" : stop == STOP_ITEM ? "\"<>;," : stop == STOP_URI ? "\"<>\\" : "\"<>\\(),;";
	if (stop == STOP_CONTROL)
		return c < 0x20 || c == 0x7f;
	if (stop != STOP_COLON && stop != STOP_ITEM && (c <= ' ' || c >= 0x7f))
		return true;
	return stop != STOP_UNSEEN && c && strchr(only, c);
}

static const char *scan(const char *p, const char *end, enum wide_stop stop)
{
	switch (stop) {
	case STOP_CONTROL: return wide_scan(p, end, STOP_CONTROL);
	case STOP_UNSEEN:  return wide_scan(p, end, STOP_UNSEEN);
	case STOP_URI:     return wide_scan(p, end, STOP_URI);
	case STOP_PVALUE:  return wide_scan(p, end, STOP_PVALUE);
	case STOP_ITEM:    return wide_scan(p, end, STOP_ITEM);
	case STOP_COLON:   return wide_scan(p, end, STOP_COLON);
	}
	return NULL;
}

/* Every byte value at every place of every short length: found there, or not at all. */
static void test_every_byte(void **state)
{
	char text[LONGEST];
	memset(text, 'a', sizeof text);
	for (enum wide_stop stop = STOP_CONTROL; stop <= STOP_COLON; stop++) {
		for (unsigned c = 0; c < 256; c++) {
			for (size_t n = 0, at = 0; n <= LONGEST; at < n ? at++ : (at = 0, n++)) {
				struct view v = against_wall(view_of(text, n));
				if (at < n)
					((char *)v.p)[at] = (char)c;
				size_t found = (size_t)(scan(v.p, v.p + n, stop) - v.p);
				if (found != (at < n && stops((uint8_t)c, stop) ? at : n))
					fail_msg("scanner %u: byte %u at %zu of %zu found at %zu", stop, c, at, n, found);
			}
		}
	}
}

/* Of two, the first. */
static void test_first_of_two(void **state)
{
	char text[LONGEST];
	memset(text, 'a', sizeof text);
	for (size_t n = 1; n <= LONGEST; n++) {
		for (size_t i = 0; i < n; i++) {
			struct view v = against_wall(view_of(text, n));
			((char *)v.p)[i] = ((char *)v.p)[n - 1] = ':';
			assert_ptr_equal(wide_scan(v.p, v.p + n, STOP_COLON), v.p + i);
		}
	}
}

static void test_classes_agree(void **state)
{
	for (unsigned c = 0; c < 256; c++)
		assert_int_equal(stops((uint8_t)c, STOP_URI), !lex_is((char)c, C_URI));
}

/* Whatever is made of digits and dots is a host when, and only when, it is an address. */
static void test_quads(void **state)
{
	static const char *const parts[] = { "", "0", "00", "01", "1", "9", "10", "25", "026", "99", "127", "199", "249", "255", "256",
		"260", "300", "999", "1000", "4294967297" };
	enum { N = COUNT_OF(parts) };
	char text[64];
	for (unsigned i = 0; i < N * N * N * N; i++) {
		bool all = i % 97 == 0;
		for (unsigned dots = all ? 2 : 4; dots <= (all ? 5 : 4); dots++) {
			unsigned pick[6] = { i % N, i / N % N, i / N / N % N, i / N / N / N, i % N, i / N % N };
			struct out o = out_to(text, sizeof text);
			for (unsigned k = 0; k < dots; k++) {
				put(&o, view_str(parts[pick[k]]));
				if (k + 1 < dots)
					put_char(&o, '.');
			}
			struct view v = against_wall(out_view(&o)), host = VIEW_NONE, port_text;
			struct cursor c = cursor_of(v);
			struct addr ip;
			uint16_t port;
			bool ok = lex_hostport(&c, false, &host, &port_text, &port);
			if (ok != addr_parse_ip(v, &ip) || (ok && !view_is(host, v)))
				fail_msg(VIEW_FMT " judged wrongly", VIEW_ARG(v));
		}
	}
}

static void test_hosts(void **state)
{
	static const struct { const char *in; bool ok; size_t host; unsigned port; } rows[] = {
		{ "a", true, 1, 0 }, { "a.b", true, 3, 0 }, { "a.b.", true, 4, 0 }, { "a..b", false, 0, 0 }, { ".a", false, 0, 0 },
		{ "a.b..", false, 0, 0 }, { ".", false, 0, 0 }, { "", false, 0, 0 }, { ":5060", false, 0, 0 }, { "1", false, 0, 0 },
		{ "1.", false, 0, 0 }, { "1.2.3.4", true, 7, 0 }, { "1.2.3.4.", false, 0, 0 }, { "1.2.3.4a", true, 8, 0 },
		{ "1.2.3.4-", true, 8, 0 }, { "1.2.3.4.5", false, 0, 0 }, { "1.2.3.4.e", true, 9, 0 }, { "1.2.3.a.", true, 8, 0 },
		{ "1.2..a", false, 0, 0 }, { "01.2.3.4", false, 0, 0 }, { "01.2.3.4x", true, 9, 0 }, { "_sip.h-1", true, 8, 0 },
		{ "255.255.255.255", true, 15, 0 }, { "255.255.255.255:65535", true, 15, 65535 }, { "255.255.255.2556", false, 0, 0 },
		{ "255.255.255.255x", true, 16, 0 }, { "255.255.255.255.x", true, 17, 0 }, { "1.2.3.4:0", true, 7, 0 },
		{ "1.2.3.4:", false, 0, 0 }, { "1.2.3.4:65536", false, 0, 0 }, { "1.2.3.4:000005060", true, 7, 5060 },
		{ "h:99999999999999999999", false, 0, 0 }, { "h:4294967300", false, 0, 0 }, { "[::1]:5060", true, 5, 5060 },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct view v = against_wall(view_str(rows[i].in)), host = VIEW_NONE, port_text;
		struct cursor c = cursor_of(v);
		uint16_t port;
		bool ok = lex_hostport(&c, false, &host, &port_text, &port);
		if (ok != rows[i].ok || (ok && (host.n != rows[i].host || port != rows[i].port)))
			fail_msg("host %s judged wrongly", rows[i].in);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_byte), cmocka_unit_test(test_first_of_two), cmocka_unit_test(test_classes_agree),
		cmocka_unit_test(test_quads), cmocka_unit_test(test_hosts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
