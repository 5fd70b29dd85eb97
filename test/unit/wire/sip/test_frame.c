/* Framing on a stream: one reading of every length, at every split, in linear time (requirements S3, 4.1). */
#include "messages.h"
#include "wall.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static enum sip_status frame(struct view in, struct sip_frame *out)
{
	size_t scan = 0;
	return sip_frame(in, MSG_MAX_BYTES, &scan, out);
}

static void test_samples(void **state)
{
	for (size_t i = 0; i < COUNT_OF(samples); i++) {
		struct sip_frame f;
		enum sip_status st = frame(against_wall(samples[i].bytes), &f);
		if (st != samples[i].stream)
			fail_msg("%s: frame says %d (%s)", samples[i].name, st, sip_fault_text(f.why).p);
		assert_true(st != SIP_BAD || f.why != SIP_FAULT_NONE);
		assert_true(f.used <= samples[i].bytes.n || st == SIP_MORE);
	}
}

/* One byte more at a time, the way *scan is meant to be used: the verdict is the same, and OK comes with the last byte. */
static void test_byte_at_a_time(void **state)
{
	for (size_t i = 0; i < COUNT_OF(samples); i++) {
		struct view all = samples[i].bytes;
		struct sip_frame at_once = { .used = 0 }, f;
		enum sip_status want = frame(all, &at_once), st = SIP_MORE;
		size_t scan = 0, n = 0;
		while (st == SIP_MORE && n < all.n)
			st = sip_frame(against_wall(view_sub(all, 0, ++n)), MSG_MAX_BYTES, &scan, &f);
		if (st != want)
			fail_msg("%s: %d byte by byte, %d at once", samples[i].name, st, want);
		if (want == SIP_OK) {
			assert_int_equal(n, at_once.used);
			assert_int_equal(f.used, at_once.used);
		}
		if (want == SIP_BAD)
			assert_true(f.why == at_once.why);
	}
}

#define INNER      "MESSAGE sip:in@c SIP/2.0" L REST("MESSAGE") LEN(0) L
#define OUTER(len) "MESSAGE sip:out@c SIP/2.0" L REST("MESSAGE") len L INNER

/* How many requests a reader of this stream sees, and how the reading ends. */
static unsigned requests(struct view in, size_t step, enum sip_status *last)
{
	unsigned count = 0;
	size_t scan = 0, have = 0;
	struct sip_frame f;
	for (*last = SIP_MORE;;) {
		*last = sip_frame(against_wall(view_sub(in, 0, have)), MSG_MAX_BYTES, &scan, &f);
		if (*last == SIP_BAD)
			return count;
		if (*last == SIP_OK) {
			count += f.kind == SIP_FRAME_MESSAGE;
			in = view_from(in, f.used);
			have -= f.used;
			scan = 0;
		} else if (have == in.n) {
			return count;
		} else {
			have = have + step < in.n ? have + step : in.n;
		}
	}
}

static void test_smuggling_matrix(void **state)
{
	char length[24], text[4096];
	static const struct { const char *name, *format; unsigned requests; bool closed; } rows[] = {
		{ "one length",           "Content-Length: %s" L, 1, false },
		{ "pipelined",            "Content-Length: 0" L, 2, false },
		{ "blank before colon",   "Content-Length : %s" L, 1, false },
		{ "folded",               "Content-Length:" L " %s" L, 1, false },
		{ "compact",              "l: %s" L, 1, false },
		{ "L then 0",             "Content-Length: %s" L "Content-Length: 0" L, 0, true },
		{ "0 then L",             "Content-Length: 0" L "Content-Length: %s" L, 0, true },
		{ "long L, compact 0",    "Content-Length: %s" L "l: 0" L, 0, true },
		{ "compact L, long 0",    "l: %s" L "Content-Length: 0" L, 0, true },
		{ "the same twice",       "Content-Length: %1$s" L "Content-Length: %1$s" L, 0, true },
		{ "list",                 "Content-Length: %s, 0" L, 0, true },
		{ "plus",                 "Content-Length: +%s" L, 0, true },
		{ "minus",                "Content-Length: -%s" L, 0, true },
		{ "hexadecimal",          "Content-Length: 0x%s" L, 0, true },
		{ "letters behind",       "Content-Length: %sabc" L, 0, true },
		{ "none",                 "", 0, true },
		{ "bare LF LF",           "Content-Length: %s\n\n", 0, true },
		{ "bare CR",              "Content-Length: 0\rContent-Length: %s" L, 0, true },
		{ "NUL in the name",      "Content-\001Length: %s" L, 0, true },
		{ "blank in the name",    "Content Length: %s" L, 0, true },
		{ "folded to two",        "Content-Length: 0" L " %s" L, 0, true },
		{ "quoted",               "Content-Length: \"%s\"" L, 0, true },
	};
	snprintf(length, sizeof length, "%zu", sizeof INNER - 1);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char head[256];
		snprintf(head, sizeof head, rows[i].format, length);
		struct out o = out_to(text, sizeof text);
		putf(&o, "%s%s%s%s", "MESSAGE sip:out@c SIP/2.0" L REST("MESSAGE"), head, L, INNER);
		for (size_t k = 0; k < o.n; k++)
			if (text[k] == 1)
				text[k] = 0;
		for (size_t step = 1; step <= o.n; step = step < 8 ? step + 1 : step * 2) {
			enum sip_status last;
			unsigned seen = requests(out_view(&o), step, &last);
			if (seen != rows[i].requests || (last == SIP_BAD) != rows[i].closed)
				fail_msg("%s, %zu at a time: %u requests, end %d", rows[i].name, step, seen, last);
		}
	}
}

/* Lengths that wrap in 32 or 64 bits to the true one. */
static void test_wrapped_lengths(void **state)
{
	enum sip_status last;
	char text[4096];
	size_t inner = sizeof INNER - 1;
	for (int bits = 32; bits <= 64; bits += 32) {
		struct out o = out_to(text, sizeof text);
		putf(&o, "MESSAGE sip:out@c SIP/2.0" L REST("MESSAGE") "Content-Length: ");
		if (bits == 32)
			put_u64(&o, (1ull << 32) + inner);
		else
			putf(&o, "18446744073709%zu", 551616 + inner);
		putf(&o, L L INNER);
		assert_int_equal(requests(out_view(&o), o.n, &last), 0);
		assert_int_equal(last, SIP_BAD);
	}
}

static void test_keepalive(void **state)
{
	static const struct { struct view in; enum sip_status st; enum sip_frame_kind kind; size_t used; } rows[] = {
		{ VIEW_INIT("\r"), SIP_MORE, 0, 0 },
		{ VIEW_INIT("\r\n"), SIP_OK, SIP_FRAME_CRLF, 2 },
		{ VIEW_INIT("\r\n\r"), SIP_MORE, 0, 0 },
		{ VIEW_INIT("\r\n\r\n"), SIP_OK, SIP_FRAME_PING, 4 },
		{ VIEW_INIT("\r\n\r\n\r\n"), SIP_OK, SIP_FRAME_PING, 4 },
		{ VIEW_INIT("\r\nOPTIONS"), SIP_OK, SIP_FRAME_CRLF, 2 },
		{ VIEW_INIT("\r\n\rO"), SIP_OK, SIP_FRAME_CRLF, 2 },
		{ VIEW_INIT("\rO"), SIP_BAD, 0, 0 },
		{ VIEW_INIT("\n"), SIP_BAD, 0, 0 },
		{ VIEW_INIT(""), SIP_MORE, 0, 0 },
		{ VIEW_INIT("\x16\x03\x01"), SIP_BAD, 0, 0 },
		{ VIEW_INIT("\0"), SIP_BAD, 0, 0 },
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct sip_frame f;
		assert_int_equal(frame(against_wall(rows[i].in), &f), rows[i].st);
		if (rows[i].st == SIP_OK) {
			assert_int_equal(f.kind, rows[i].kind);
			assert_int_equal(f.used, rows[i].used);
		}
	}
}

/* A refused message whose head is there can be answered. */
static void test_refused_head(void **state)
{
	struct sip_frame f;
	struct sip_hdr space[16];
	struct sip_msg m;
	struct view in = VIEW(WHOLE LEN(+4) L "body" OPT);
	assert_int_equal(frame(in, &f), SIP_BAD);
	assert_int_equal(f.used, in.n - sizeof("body" OPT) + 1);
	assert_int_equal(sip_parse(view_sub(in, 0, f.used), true, space, COUNT_OF(space), &m), SIP_FAULT_BAD_LENGTH);
	assert_true(sip_answerable(&m));

	in = VIEW(WHOLE LEN(4) "\n" "body" L L OPT);
	assert_int_equal(frame(in, &f), SIP_BAD);
	assert_int_equal(f.used, sizeof(WHOLE LEN(4)));
	assert_int_equal(sip_parse(view_sub(in, 0, f.used), true, space, COUNT_OF(space), &m), SIP_FAULT_BAD_BYTE);
	assert_true(sip_answerable(&m));

	assert_int_equal(frame(VIEW(OPT VIA "Subject: a\nb"), &f), SIP_BAD);
	assert_int_equal(f.used, 0);
}

static void test_bounds(void **state)
{
	static char text[WALL_BYTES];
	struct sip_frame f;
	size_t scan = 0, head = sizeof(WHOLE LEN(100) L) - 1;
	struct view in = VIEW(WHOLE LEN(100) L);
	assert_int_equal(sip_frame(in, head + 100, &scan, &f), SIP_MORE);
	scan = 0;
	assert_int_equal(sip_frame(in, head + 99, &scan, &f), SIP_BAD);
	assert_int_equal(f.why, SIP_FAULT_TOO_LONG);
	assert_int_equal(f.used, head);

	memset(text, 'a', sizeof text);
	assert_int_equal(frame(view_of(text, MSG_HEAD_BYTES - 1), &f), SIP_MORE);
	assert_int_equal(frame(view_of(text, MSG_HEAD_BYTES), &f), SIP_BAD);
	assert_int_equal(f.why, SIP_FAULT_TOO_LONG);
	scan = 0;
	assert_int_equal(sip_frame(view_of(text, 1000), 1000, &scan, &f), SIP_BAD);
	/* An end that comes too late is no better than none. */
	memcpy(text + MSG_HEAD_BYTES, L L, 4);
	assert_int_equal(frame(view_of(text, MSG_HEAD_BYTES + 4), &f), SIP_BAD);
	assert_int_equal(f.why, SIP_FAULT_TOO_LONG);
	assert_int_equal(f.used, MSG_HEAD_BYTES + 4);
}

/* The search never goes back: what was looked at is not looked at again, and a known length is only compared. */
static void test_scan_moves_on(void **state)
{
	static char text[MSG_MAX_BYTES + 1];
	struct out o = out_to(text, sizeof text);
	put(&o, VIEW(WHOLE));
	while (o.n < 40000)
		putf(&o, "X: %s" L " folded" L, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	put(&o, VIEW(LEN(20000) L));
	size_t head = o.n, scan = 0, before = 0;
	memset(text + o.n, 'b', 20000);
	for (size_t n = 1; n <= head + 20000; n++) {
		struct sip_frame f;
		enum sip_status st = sip_frame(view_of(text, n), MSG_MAX_BYTES, &scan, &f);
		assert_int_equal(st, n < head + 20000 ? SIP_MORE : SIP_OK);
		if (n < head)
			assert_true(scan >= before && scan + 1 >= n);
		else
			assert_true(n == head || scan == before);
		before = scan;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples), cmocka_unit_test(test_byte_at_a_time), cmocka_unit_test(test_smuggling_matrix),
		cmocka_unit_test(test_wrapped_lengths), cmocka_unit_test(test_keepalive), cmocka_unit_test(test_refused_head),
		cmocka_unit_test(test_bounds), cmocka_unit_test(test_scan_moves_on),
	};
	return cmocka_run_group_tests_name("sip frame", tests, NULL, NULL);
}
