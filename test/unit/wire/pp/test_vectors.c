/* Every vector of test/corpus/pp, its fields, and the properties that hold for all of them: each prefix, each split, each
 * tail, each size cap, each single-byte change.  Inputs end at an unreadable page.
 * Usage: test_vectors FILE.vec ... */
#include "wire/pp/pp.h"
#include "base/base.h"
#include "wall.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { VECTOR_BYTES = 8192, COLUMNS = 14 };
enum column { NAME, CARRIER, VERDICT, REASON, VERSION, FAMILY, PROTO, SRC, SPORT, DST, DPORT, CONSUMED, TLVS, HEX };

struct vector {
	struct view cell[COLUMNS];
	struct view bytes;
	char        room[VECTOR_BYTES];
	bool        dgram;
	size_t      consumed;
};

static int    files;
static char **paths;

static struct view unhex(struct view text, char *room, size_t cap)
{
	if (view_is(text, VIEW("-")))
		text.n = 0;
	assert_true(text.n % 2 == 0 && text.n / 2 <= cap);
	for (size_t i = 0; i < text.n; i += 2)
		room[i / 2] = (char)(hex_value(text.p[i]) << 4 | hex_value(text.p[i + 1]));
	return view_of(room, text.n / 2);
}

static void vector_read(struct view line, struct vector *v)
{
	uint32_t n;

	for (int c = 0; c < COLUMNS; c++)
		v->cell[c] = view_cut(&line, ' ');
	v->bytes = unhex(v->cell[HEX], v->room, sizeof v->room);
	v->dgram = view_is(v->cell[CARRIER], VIEW("dgram"));
	assert_true(v->dgram || view_is(v->cell[CARRIER], VIEW("stream")));
	assert_true(view_u32(v->cell[CONSUMED], &n));
	v->consumed = n;
}

/* Call `check` for every vector of every file. */
static void each_vector(void (*check)(const struct vector *))
{
	static struct vector v;
	static char line[4 * VECTOR_BYTES];
	size_t count = 0;

	for (int f = 0; f < files; f++) {
		FILE *in = fopen(paths[f], "r");
		assert_non_null(in);
		while (fgets(line, sizeof line, in)) {
			size_t n = strlen(line);
			assert_true(n && line[n - 1] == '\n');
			if (line[0] == '#')
				continue;
			vector_read(view_of(line, n - 1), &v);
			check(&v);
			count++;
		}
		fclose(in);
	}
	assert_true(count >= 2 * 191);
}

static enum pp_status decode(const struct vector *v, struct view in, size_t max_size, struct pp_info *o, size_t *used,
			     enum pp_reject *why)
{
	return v->dgram ? pp_decode_dgram(in, max_size, PP_ACCEPT_DGRAM, o, used, why)
			: pp_decode(in, max_size, PP_ACCEPT_STREAM, o, used, why);
}

static bool header_is_complete(const struct vector *v)
{
	return v->consumed > 0;
}

static void expect(bool ok, const struct vector *v, const char *what, size_t at)
{
	if (!ok)
		fail_msg("%.*s: %s at %zu", VIEW_ARG(v->cell[NAME]), what, at);
}

static struct view verdict_of(enum pp_status s, const struct pp_info *o)
{
	if (s != PP_OK)
		return s == PP_MORE ? VIEW("need_more") : VIEW("error");
	if (!o->local)
		return VIEW("ok");
	return o->version == PP_V2 && o->cmd == PP_CMD_LOCAL ? VIEW("local") : VIEW("unknown");
}

/* The address as the file writes it: mapped ones dotted, whatever form the library prefers. */
static bool address_is(const struct addr *a, struct view ip, struct view port)
{
	struct addr want;
	uint32_t p;

	if (view_is(ip, VIEW("-")))
		return a->af == AF_NONE && a->port == 0;
	if (view_starts(ip, VIEW("::ffff:"))) {
		if (!addr_parse_ip(view_from(ip, 7), &want) || a->af != AF_V6 || memcmp(a->ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) ||
		    memcmp(a->ip + 12, want.ip, 4))
			return false;
	} else if (!addr_parse_ip(ip, &want) || want.af != a->af || memcmp(a->ip, want.ip, sizeof want.ip)) {
		return false;
	}
	return view_u32(port, &p) && a->port == p;
}

static void check_tlvs(const struct vector *v, const struct pp_info *o)
{
	static char room[VECTOR_BYTES];
	struct view want = v->cell[TLVS], rest = o->tlvs;
	struct pp_tlv t;
	size_t n = 0;

	if (view_is(want, VIEW("-")))
		want.n = 0;
	while (want.n) {
		struct view value = view_cut(&want, ',');
		struct view type = unhex(view_cut(&value, '='), room, 1);
		uint8_t byte = (uint8_t)type.p[0];
		expect(pp_tlv_next(&rest, &t) && t.type == byte, v, "tlv type", n);
		expect(view_is(t.value, unhex(value, room, sizeof room)), v, "tlv value", n);
		n++;
	}
	expect(!pp_tlv_next(&rest, &t) && rest.n == 0, v, "tlvs beyond the last", n);
}

static void check_verdict(const struct vector *v)
{
	static const struct { struct view name; uint8_t family, proto; } names[] = {
		{ VIEW_INIT("-"),      0, 0 },                   { VIEW_INIT("UNSPEC"), PP_UNSPEC, PP_PROTO_UNSPEC },
		{ VIEW_INIT("INET"),   PP_INET, 99 },            { VIEW_INIT("INET6"),  PP_INET6, 99 },
		{ VIEW_INIT("UNIX"),   PP_UNIX, 99 },            { VIEW_INIT("STREAM"), 99, PP_STREAM },
		{ VIEW_INIT("DGRAM"),  99, PP_DGRAM },
	};
	static const struct { struct view name; uint8_t version; } versions[] = {
		{ VIEW_INIT("1"), PP_V1 }, { VIEW_INIT("2"), PP_V2 }, { VIEW_INIT("spp"), PP_SPP },
	};
	struct pp_info o = { 0 };
	size_t used = 0;
	enum pp_reject why;
	struct view in = against_wall(v->bytes);
	enum pp_status s = decode(v, in, PP_HEADER_MAX, &o, &used, &why);

	struct view got = verdict_of(s, &o);
	if (!view_is(got, v->cell[VERDICT]))
		fail_msg("%.*s: %.*s (%.*s)", VIEW_ARG(v->cell[NAME]), VIEW_ARG(got), VIEW_ARG(pp_reject_name(why)));
	expect(used == v->consumed, v, "consumed", used);
	if (s == PP_BAD)
		expect(view_is(v->cell[REASON], pp_reject_name(why)), v, pp_reject_name(why).p, why);
	else
		expect(why == PP_REJ_NONE, v, "a reason without a refusal", why);
	if (s != PP_OK)
		return;

	expect(address_is(&o.src, v->cell[SRC], v->cell[SPORT]), v, "src", 0);
	expect(address_is(&o.dst, v->cell[DST], v->cell[DPORT]), v, "dst", 0);
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (view_is(v->cell[FAMILY], names[i].name))
			expect(o.fam == names[i].family, v, "family", o.fam);
		if (view_is(v->cell[PROTO], names[i].name))
			expect(o.proto == names[i].proto, v, "proto", o.proto);
	}
	for (size_t i = 0; i < COUNT_OF(versions); i++)
		if (view_is(v->cell[VERSION], versions[i].name))
			expect(o.version == versions[i].version, v, "version", o.version);
	if (o.tlvs.n)
		expect(o.tlvs.p >= in.p && o.tlvs.p + o.tlvs.n == in.p + used, v, "tlvs outside the header", 0);
	check_tlvs(v, &o);
}

static bool same_facts(const struct pp_info *a, const struct pp_info *b)
{
	return a->version == b->version && a->cmd == b->cmd && a->local == b->local && a->fam == b->fam && a->proto == b->proto &&
	       !memcmp(&a->src, &b->src, sizeof a->src) && !memcmp(&a->dst, &b->dst, sizeof a->dst) && a->tlvs.n == b->tlvs.n;
}

/* A stream decoder says MORE, MORE, ..., then one final word that more bytes never change.  A datagram has no MORE. */
static void check_prefixes(const struct vector *v)
{
	struct pp_info whole = { 0 }, part;
	size_t used = 0, part_used;
	enum pp_reject why, part_why;
	enum pp_status end = decode(v, v->bytes, PP_HEADER_MAX, &whole, &used, &why);
	bool decided = false;

	for (size_t n = 0; n <= v->bytes.n; n++) {
		struct view in = against_wall(view_of(v->bytes.p, n));
		part = (struct pp_info){ 0 };
		part_used = 12345;
		enum pp_status s = decode(v, in, PP_HEADER_MAX, &part, &part_used, &part_why);
		if (header_is_complete(v) && n < v->consumed) {
			expect(s == (v->dgram ? PP_BAD : PP_MORE), v, "prefix of a good header", n);
			expect(!v->dgram || part_why == PP_REJ_TRUNCATED || part_why == PP_REJ_NO_HEADER, v, "why a prefix is refused", n);
		} else if (header_is_complete(v)) {
			expect(s == PP_OK && part_used == used && same_facts(&part, &whole), v, "payload had a say", n);
		} else if (!v->dgram) {
			expect(decided || s == PP_MORE || s == end, v, "another verdict on the way", n);
			expect(!decided || s == end, v, "a verdict taken back", n);
			expect(s != PP_BAD || part_why == why, v, "another reason on the way", n);
			decided |= s == PP_BAD;
		}
		if (s != PP_OK)
			expect(part_used == 12345 && part.version == PP_NONE, v, "results without PP_OK", n);
	}
}

static void check_tails(const struct vector *v)
{
	static char room[VECTOR_BYTES + 64];
	struct pp_info whole = { 0 }, more;
	size_t used, more_used = 0;
	enum pp_reject why;
	static const struct view tails[] = {
		VIEW_INIT("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), VIEW_INIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
		VIEW_INIT("\r\n\r\n\0\r\nQUIT\n"), VIEW_INIT("\r\n"), VIEW_INIT("\n"), VIEW_INIT("3\r\n"), VIEW_INIT("INVITE sip:a@b SIP/2.0\r\n"),
	};

	if (!header_is_complete(v))
		return;
	assert_int_equal(decode(v, v->bytes, PP_HEADER_MAX, &whole, &used, &why), PP_OK);
	for (size_t i = 0; i < COUNT_OF(tails); i++) {
		struct out o = out_to(room, sizeof room);
		put(&o, v->bytes);
		put(&o, tails[i]);
		assert_false(o.full);
		struct view in = against_wall(out_view(&o));
		expect(decode(v, in, PP_HEADER_MAX, &more, &more_used, &why) == PP_OK && more_used == used && same_facts(&more, &whole), v,
		       "tail had a say", i);
		in = behind_wall(out_view(&o));
		expect(decode(v, in, PP_HEADER_MAX, &more, &more_used, &why) == PP_OK && more_used == used, v, "tail had a say, behind", i);
	}
}

/* The cap is exact, and at the cap nobody waits for more. */
static void check_size_cap(const struct vector *v)
{
	struct pp_info o;
	size_t used;
	enum pp_reject why;

	if (!header_is_complete(v))
		return;
	expect(decode(v, v->bytes, v->consumed, &o, &used, &why) == PP_OK, v, "cap equal to the length", v->consumed);
	size_t cap = v->consumed - 1;
	expect(decode(v, v->bytes, cap, &o, &used, &why) == PP_BAD && why == PP_REJ_TOO_LARGE, v, "cap below the length", cap);
	for (size_t n = 0; n <= v->consumed && !v->dgram; n++) {
		enum pp_status s = decode(v, view_of(v->bytes.p, n), cap, &o, &used, &why);
		expect(s == PP_BAD ? why == PP_REJ_TOO_LARGE : s == PP_MORE && n < cap, v, "cap below the length, prefix", n);
	}
}

/* One byte changed anywhere: whatever the verdict, it stays inside the input and does not depend on the rest. */
static void check_mutations(const struct vector *v)
{
	static char room[VECTOR_BYTES];
	struct pp_info o, again;
	size_t used, again_used;
	enum pp_reject why;
	size_t n = v->bytes.n < 300 ? v->bytes.n : 300;

	memcpy(room, v->bytes.p ? v->bytes.p : "", v->bytes.n);
	for (size_t i = 0; i < n; i++) {
		static const uint8_t flips[] = { 0x01, 0x10, 0x80, 0xff };
		for (size_t k = 0; k < sizeof flips; k++) {
			room[i] = (char)(v->bytes.p[i] ^ (char)flips[k]);
			struct view in = against_wall(view_of(room, v->bytes.n));
			enum pp_status s = decode(v, in, PP_SIZE_DEFAULT, &o, &used, &why);
			expect(!v->dgram || s != PP_MORE, v, "a datagram waits", i);
			expect((s == PP_BAD) == (why != PP_REJ_NONE), v, "reason and verdict", i);
			if (s != PP_OK)
				continue;
			expect(used > 0 && used <= in.n && used <= PP_SIZE_DEFAULT, v, "used", i);
			expect(o.local == (o.src.af == AF_NONE) && o.local == (o.dst.af == AF_NONE), v, "addresses", i);
			in = against_wall(view_of(room, used));
			expect(decode(v, in, PP_SIZE_DEFAULT, &again, &again_used, &why) == PP_OK && again_used == used &&
			       same_facts(&o, &again), v, "header alone", i);
		}
		room[i] = v->bytes.p[i];
	}
}

static void test_verdicts(void **state)  { each_vector(check_verdict); }
static void test_prefixes(void **state)  { each_vector(check_prefixes); }
static void test_tails(void **state)     { each_vector(check_tails); }
static void test_size_cap(void **state)  { each_vector(check_size_cap); }
static void test_mutations(void **state) { each_vector(check_mutations); }

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts), cmocka_unit_test(test_prefixes), cmocka_unit_test(test_tails),
		cmocka_unit_test(test_size_cap), cmocka_unit_test(test_mutations),
	};

	files = argc - 1;
	paths = argv + 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
