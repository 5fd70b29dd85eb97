/* Parsing whole messages: verdicts, the index, every prefix against a wall. */
#include "messages.h"
#include "wall.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct sip_hdr space[MSG_MAX_HEADERS];

static enum sip_fault judge(struct view bytes, struct sip_msg *m)
{
	enum sip_fault why = sip_parse(bytes, false, space, COUNT_OF(space), m);
	return why ? why : sip_validate(m);
}

static void test_verdicts(void **state)
{
	for (size_t i = 0; i < COUNT_OF(samples); i++) {
		struct sip_msg m;
		enum sip_fault why = judge(against_wall(samples[i].bytes), &m);
		if (why != samples[i].why)
			fail_msg("%s: %s, wanted %s", samples[i].name, sip_fault_text(why).p, sip_fault_text(samples[i].why).p);
	}
}

static bool inside(struct view v, struct view whole)
{
	return !v.n || (v.p >= whole.p && v.p + v.n <= whole.p + whole.n);
}

/* Lines tile the head, parts lie in their lines, chains lead through every header of their id once and in order. */
static void check_index(const char *name, const struct sip_msg *m, bool tiles)
{
	const char *at = m->head.p;
	size_t chained = 0;
	for (uint16_t i = 0; i < m->nhdr; i++) {
		const struct sip_hdr *h = &m->hdr[i];
		if (tiles && h->line.p != at)
			fail_msg("%s: header %u does not follow its neighbour", name, i);
		at = h->line.p + h->line.n;
		assert_true(inside(h->line, m->bytes) && inside(h->name, h->line) && inside(h->value, h->line));
		assert_true(h->id == sip_hdr_id(h->name));
		assert_true(h->next_same == SIP_NO_HDR || (h->next_same > i && m->hdr[h->next_same].id == h->id));
	}
	if (tiles)
		assert_ptr_equal(at, m->head.p + m->head.n);
	for (unsigned id = 0; id < HDR_COUNT; id++)
		for (const struct sip_hdr *h = sip_first(m, id); h; h = sip_next(m, h)) {
			chained++;
			if (h->next_same == SIP_NO_HDR)
				assert_ptr_equal(h, &m->hdr[m->last[id]]);
		}
	for (uint16_t i = m->first_other; i != SIP_NO_HDR; i = m->hdr[i].next_same)
		chained++;
	assert_int_equal(chained, m->nhdr);
	assert_true(inside(m->body, m->bytes) && inside(m->head, m->bytes) && inside(m->call_id, m->bytes));
	assert_true(inside(m->from_tag, m->bytes) && inside(m->to_tag, m->bytes) && inside(m->cseq_method, m->bytes));
}

static void test_index(void **state)
{
	for (size_t i = 0; i < COUNT_OF(samples); i++) {
		struct sip_msg m;
		if (judge(samples[i].bytes, &m) == SIP_FAULT_NOT_SIP)
			continue;
		check_index(samples[i].name, &m, samples[i].why == SIP_FAULT_NONE);
	}
}

/* A prefix is never acceptable before the head is whole; nothing is read behind its end or before its start. */
static void test_every_prefix(void **state)
{
	for (size_t i = 0; i < COUNT_OF(samples); i++) {
		struct view all = samples[i].bytes;
		size_t head = view_find_view(all, VIEW("\r\n\r\n"));
		for (size_t n = 0; n < all.n; n++) {
			struct sip_msg m;
			struct sip_peek peek;
			struct view part = view_sub(all, 0, n);
			enum sip_fault why = judge(against_wall(part), &m);
			if (n < head + 4 && why == SIP_FAULT_NONE)
				fail_msg("%s: %zu bytes pass", samples[i].name, n);
			sip_peek(against_wall(part), &peek);
			assert_int_equal(judge(behind_wall(part), &m), why);
		}
	}
}

static void test_request_fields(void **state)
{
	struct sip_msg m;
	struct view in = VIEW("INVITE sip:bob@biloxi.example;transport=tcp SIP/2.0" L VIA "Via: SIP/2.0/TCP b;branch=z9hG4bK2" L FROM
		"T: \"Bob\" <sip:bob@biloxi.example> ; tag = x1" L CALL CSEQ("INVITE") "X-A: 1" L "x-b: 2" L "X-A: 3" L LEN(4) L "bodyrest");
	assert_int_equal(judge(in, &m), SIP_FAULT_NONE);
	assert_true(sip_is_request(&m) && sip_answerable(&m));
	assert_true(view_is(m.method, VIEW("INVITE")) && m.method_id == SIP_INVITE);
	assert_true(view_is(m.ruri, VIEW("sip:bob@biloxi.example;transport=tcp")));
	assert_true(view_is(m.start_line, VIEW("INVITE sip:bob@biloxi.example;transport=tcp SIP/2.0\r\n")));
	assert_true(view_is(m.body, VIEW("body")) && m.bytes.n == in.n - 4);
	assert_int_equal(m.cseq, 314159);
	assert_true(view_is(m.cseq_method, VIEW("INVITE")) && view_is(m.call_id, VIEW("a84b4c76e66710@pc33.atlanta.example")));
	assert_true(view_is(m.from_tag, VIEW("1928301774")) && view_is(m.to_tag, VIEW("x1")));
	assert_int_equal(m.nhdr, 10);
	assert_int_equal(sip_find(&m, VIEW("V"), 0), 0);
	assert_int_equal(sip_find(&m, VIEW("via"), 1), 1);
	assert_int_equal(sip_find(&m, VIEW("Via"), 2), SIP_NO_HDR);
	assert_int_equal(sip_find(&m, VIEW(" x-a\t"), 0), 6);
	assert_int_equal(sip_find(&m, VIEW("X-A"), 7), 8);
	assert_int_equal(sip_find(&m, VIEW("X-C"), 0), SIP_NO_HDR);

	struct sip_via via;
	struct sip_nameaddr who;
	assert_true(sip_top_via(&m, &via) && view_is(via.branch, VIEW("z9hG4bK776asdhds")));
	assert_true(sip_from(&m, &who) && view_is(who.display, VIEW("Alice")));
	assert_true(sip_to(&m, &who) && view_is(who.uri, VIEW("sip:bob@biloxi.example")));
}

static void test_response_fields(void **state)
{
	struct sip_msg m;
	assert_int_equal(judge(VIEW("SIP/2.0 486 Busy = Here" L REST("INVITE") LEN(0) L), &m), SIP_FAULT_NONE);
	assert_false(sip_is_request(&m) || sip_answerable(&m));
	assert_int_equal(m.status, 486);
	assert_true(view_is(m.reason, VIEW("Busy = Here")) && m.method_id == SIP_INVITE && !m.method.n);
}

static void test_answerable(void **state)
{
	struct sip_msg m;
	judge(VIEW("OPTIONS  sip:b SIP/2.0" L REST("OPTIONS") "bad line" L L), &m);
	assert_true(sip_answerable(&m));
	judge(VIEW("ACK sip:b@c SIP/2.0" L REST("ACK") L), &m);
	assert_false(sip_answerable(&m));
	judge(VIEW(OPT VIA TO CALL CSEQ("OPTIONS") L), &m);
	assert_false(sip_answerable(&m));
	/* What stands behind a bare-LF empty line is no header, not even for an answer. */
	judge(VIEW(OPT VIA FROM TO CALL "\n" CSEQ("OPTIONS") L), &m);
	assert_false(sip_answerable(&m));
}

static void test_stream_lengths(void **state)
{
	struct sip_msg m;
	assert_int_equal(sip_parse(VIEW(WHOLE LEN(4) L "body"), true, space, 128, &m), SIP_FAULT_NONE);
	assert_int_equal(sip_parse(VIEW(WHOLE LEN(4) L "bodyx"), true, space, 128, &m), SIP_FAULT_BAD_LENGTH);
	assert_int_equal(sip_parse(VIEW(WHOLE LEN(4) L "bod"), true, space, 128, &m), SIP_FAULT_SHORT_BODY);
	assert_int_equal(sip_parse(VIEW(WHOLE L), true, space, 128, &m), SIP_FAULT_NO_LENGTH);
}

static void test_walk(void **state)
{
	struct sip_msg m;
	assert_int_equal(judge(VIEW(WHOLE "Route: <sip:a;lr>, <sip:b>" L "Route: <sip:c>" L LEN(0) L), &m), SIP_FAULT_NONE);
	static const struct view want[] = { VIEW_INIT("sip:a;lr"), VIEW_INIT("sip:b"), VIEW_INIT("sip:c") };
	struct sip_walk w = sip_walk(&m, HDR_ROUTE);
	struct sip_nameaddr hop;
	const struct sip_hdr *h;
	for (size_t i = 0; i < COUNT_OF(want); i++) {
		assert_int_equal(sip_walk_nameaddr(&w, &hop, &h), SIP_OK);
		assert_true(view_is(hop.uri, want[i]));
		assert_ptr_equal(h, &m.hdr[i < 2 ? m.first[HDR_ROUTE] : m.last[HDR_ROUTE]]);
	}
	assert_int_equal(sip_walk_nameaddr(&w, &hop, &h), SIP_MORE);
	struct sip_via via;
	w = sip_walk(&m, HDR_VIA);
	assert_int_equal(sip_walk_via(&w, &via, &h), SIP_OK);
	assert_ptr_equal(h, sip_first(&m, HDR_VIA));
	w = sip_walk(&m, HDR_PATH);
	assert_int_equal(sip_walk_nameaddr(&w, &hop, NULL), SIP_MORE);
}

/* A message with one part repeated or stretched: its length or count is `n`. */
static struct view stretched(const char *before, const char *unit, size_t n, const char *after)
{
	static char text[WALL_BYTES];
	struct out o = out_to(text, sizeof text);
	put(&o, view_str(before));
	for (size_t i = 0; i < n; i++)
		put(&o, view_str(unit));
	put(&o, view_str(after));
	assert_false(o.full);
	return out_view(&o);
}

/* Each bound at its last good value and one over: requirements S8. */
static void test_bounds(void **state)
{
	struct sip_msg m;
	enum { HAVE = 6 };      /* headers of WHOLE and its length */
	assert_int_equal(judge(stretched(WHOLE, "X-A: y" L, MSG_MAX_HEADERS - HAVE, LEN(0) L), &m), SIP_FAULT_NONE);
	assert_int_equal(judge(stretched(WHOLE, "X-A: y" L, MSG_MAX_HEADERS - HAVE + 1, LEN(0) L), &m), SIP_FAULT_TOO_MANY);
	assert_int_equal(sip_parse(VIEW(WHOLE LEN(0) L), false, space, 3, &m), SIP_FAULT_TOO_MANY);
	assert_int_equal(m.nhdr, 3);

	size_t frame = strlen("Subject: " L);
	assert_int_equal(judge(stretched(WHOLE "Subject: ", "s", MSG_HEADER_BYTES - frame, L L), &m), SIP_FAULT_NONE);
	assert_int_equal(judge(stretched(WHOLE "Subject: ", "s", MSG_HEADER_BYTES - frame + 1, L L), &m), SIP_FAULT_TOO_LONG);

	const char *tail = "@c SIP/2.0" L REST("OPTIONS") L;
	size_t uri = strlen("sip:@c");
	assert_int_equal(judge(stretched("OPTIONS sip:", "u", URI_MAX_BYTES - uri, tail), &m), SIP_FAULT_NONE);
	assert_int_equal(judge(stretched("OPTIONS sip:", "u", URI_MAX_BYTES - uri + 1, tail), &m), SIP_FAULT_URI_TOO_LONG);

	const char *version = " sip:a SIP/2.0" L REST("OPTIONS") L;
	size_t start = strlen(" sip:a SIP/2.0" L);
	sip_parse(stretched("", "m", MSG_START_LINE_BYTES - start, version), false, space, COUNT_OF(space), &m);
	assert_int_equal(m.method.n, MSG_START_LINE_BYTES - start);
	assert_int_equal(judge(stretched("", "m", MSG_START_LINE_BYTES - start, version), &m), SIP_FAULT_CSEQ_METHOD);
	assert_int_equal(judge(stretched("", "m", MSG_START_LINE_BYTES - start + 1, version), &m), SIP_FAULT_TOO_LONG);

	const char *via = ",SIP/2.0/UDP b;branch=z9hG4bK2", *after = L FROM TO CALL CSEQ("OPTIONS") L;
	const char *top = OPT "Via: SIP/2.0/UDP a;branch=z9hG4bK1";
	assert_int_equal(judge(stretched(top, via, MSG_MAX_VIA - 1, after), &m), SIP_FAULT_NONE);
	assert_int_equal(judge(stretched(top, via, MSG_MAX_VIA, after), &m), SIP_FAULT_TOO_MANY);

	size_t whole = strlen(WHOLE L);
	assert_int_equal(judge(stretched(WHOLE L, "b", MSG_MAX_BYTES - whole, ""), &m), SIP_FAULT_NONE);
	assert_int_equal(judge(stretched(WHOLE L, "b", MSG_MAX_BYTES - whole + 1, ""), &m), SIP_FAULT_TOO_LONG);
}

/* Every way to write one header name reads as the same header: requirements S4. */
static void test_name_variants(void **state)
{
	static const char *const blanks[] = { "", " ", "\t", "  ", " \t", "\t ", "\t\t " };
	unsigned made = 0;
	for (unsigned mask = 0; mask < 64; mask++)
		for (size_t b = 0; b < COUNT_OF(blanks); b++) {
			char name[] = "contact", text[1024];
			for (unsigned i = 0; i < 6; i++)
				if (mask >> i & 1)
					name[i] = (char)(name[i] & ~0x20);
			struct out o = out_to(text, sizeof text);
			putf(&o, "%s%s%s: <sip:a@b>%s%s", WHOLE, name, blanks[b], L, L);
			struct sip_msg m;
			assert_int_equal(judge(out_view(&o), &m), SIP_FAULT_NONE);
			assert_true(sip_first(&m, HDR_CONTACT) && view_is_ci(sip_first(&m, HDR_CONTACT)->name, VIEW("contact")));
			assert_int_equal(sip_find(&m, VIEW("M"), 0), m.first[HDR_CONTACT]);
			made++;
		}
	assert_true(made >= 200);
}

static void test_peek(void **state)
{
	struct sip_peek peek;
	assert_true(sip_peek(VIEW(WHOLE LEN(0) L), &peek));
	assert_true(!peek.response && view_is(peek.branch, VIEW("z9hG4bK776asdhds")) && view_is(peek.method, VIEW("OPTIONS")));
	assert_true(view_is(peek.call_id, VIEW("a84b4c76e66710@pc33.atlanta.example")));
	assert_true(sip_peek(VIEW("SIP/2.0 200 OK" L "i :" L " 77" L "CSeq: 1" L "\tINVITE" L
		"v: SIP / 2.0 / UDP a ; x=y ; branch = z9hG4bKq , SIP/2.0/UDP b;branch=no" L L), &peek));
	assert_true(peek.response && view_is(peek.branch, VIEW("z9hG4bKq")) && view_is(peek.method, VIEW("INVITE")));
	assert_true(view_is(peek.call_id, VIEW("77")));
	assert_false(sip_peek(VIEW(OPT VIA FROM L CALL), &peek));
	assert_false(sip_peek(VIEW("GET / HTTP/1.1" L CALL L), &peek));
	assert_false(sip_peek(VIEW(""), &peek));
	/* A top Via that does not decode hides the ones below it. */
	assert_true(sip_peek(VIEW(OPT "Via: x" L VIA CALL L), &peek));
	assert_false(peek.branch.n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts), cmocka_unit_test(test_index), cmocka_unit_test(test_every_prefix),
		cmocka_unit_test(test_request_fields), cmocka_unit_test(test_response_fields), cmocka_unit_test(test_answerable),
		cmocka_unit_test(test_stream_lengths), cmocka_unit_test(test_walk), cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_name_variants), cmocka_unit_test(test_peek),
	};
	return cmocka_run_group_tests_name("sip parse", tests, NULL, NULL);
}
