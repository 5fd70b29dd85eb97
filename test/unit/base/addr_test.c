#include "base/unit.h"
#include "wall.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

static const struct { struct view in; bool ok; struct view ip, host; } ips[] = {
	{ VIEW_INIT("192.0.2.1"), true, VIEW_INIT("192.0.2.1"), VIEW_INIT("192.0.2.1") },
	{ VIEW_INIT("0.0.0.0"), true, VIEW_INIT("0.0.0.0"), VIEW_INIT("0.0.0.0") },
	{ VIEW_INIT("255.255.255.255"), true, VIEW_INIT("255.255.255.255"), VIEW_INIT("255.255.255.255") },
	{ VIEW_INIT("192.0.2"), false },
	{ VIEW_INIT("192.0.2."), false },
	{ VIEW_INIT("192.0.2.1."), false },
	{ VIEW_INIT("192.0.2.1.5"), false },
	{ VIEW_INIT(".192.0.2.1"), false },
	{ VIEW_INIT("192.0..1"), false },
	{ VIEW_INIT("192.0.2.256"), false },
	{ VIEW_INIT("192.0.2.0001"), false },
	{ VIEW_INIT("192.0.2.01"), false },
	{ VIEW_INIT("192.0.2.-1"), false },
	{ VIEW_INIT("192.0.2.1 "), false },
	{ VIEW_INIT("192.0.2.1\0"), false },
	{ VIEW_INIT("0xc0.0.2.1"), false },
	{ VIEW_INIT("3221225985"), false },
	{ VIEW_INIT(""), false },
	{ VIEW_INIT("::"), true, VIEW_INIT("::"), VIEW_INIT("[::]") },
	{ VIEW_INIT("::1"), true, VIEW_INIT("::1"), VIEW_INIT("[::1]") },
	{ VIEW_INIT("[::1]"), true, VIEW_INIT("::1"), VIEW_INIT("[::1]") },
	{ VIEW_INIT("2001:DB8::1"), true, VIEW_INIT("2001:db8::1"), VIEW_INIT("[2001:db8::1]") },
	{ VIEW_INIT("fe80::1%eth0"), false },
	{ VIEW_INIT("[::1"), false },
	{ VIEW_INIT("::1]"), false },
	{ VIEW_INIT("[192.0.2.1]"), false },
	{ VIEW_INIT("[]"), false },
	{ VIEW_INIT("["), false },
	{ VIEW_INIT(":::"), false },
	{ VIEW_INIT("1::2::3"), false },
	{ VIEW_INIT("1:2:3:4:5:6:7"), false },
	{ VIEW_INIT("1:2:3:4:5:6:7:8:9"), false },
	{ VIEW_INIT("12345::"), false },
	{ VIEW_INIT("g::"), false },
	{ VIEW_INIT("::1\0"), false },
	{ VIEW_INIT("0000:0000:0000:0000:0000:0000:0000:0000:0000:0001"), false },
	/* RFC 5952 4.1, 4.2.1: no leading zeros, shorten as much as possible */
	{ VIEW_INIT("2001:0db8::0001"), true, VIEW_INIT("2001:db8::1"), VIEW_INIT("[2001:db8::1]") },
	{ VIEW_INIT("2001:db8:0:0:0:0:2:1"), true, VIEW_INIT("2001:db8::2:1"), VIEW_INIT("[2001:db8::2:1]") },
	/* 4.2.2: one group of zeros is not shortened */
	{ VIEW_INIT("2001:db8::1:1:1:1:1"), true, VIEW_INIT("2001:db8:0:1:1:1:1:1"), VIEW_INIT("[2001:db8:0:1:1:1:1:1]") },
	{ VIEW_INIT("1:2:3:4:5:6:7::"), true, VIEW_INIT("1:2:3:4:5:6:7:0"), VIEW_INIT("[1:2:3:4:5:6:7:0]") },
	{ VIEW_INIT("::2:3:4:5:6:7:8"), true, VIEW_INIT("0:2:3:4:5:6:7:8"), VIEW_INIT("[0:2:3:4:5:6:7:8]") },
	/* 4.2.3: the longest run, the first of equals */
	{ VIEW_INIT("2001:0:0:1:0:0:0:1"), true, VIEW_INIT("2001:0:0:1::1"), VIEW_INIT("[2001:0:0:1::1]") },
	{ VIEW_INIT("2001:db8:0:0:1:0:0:1"), true, VIEW_INIT("2001:db8::1:0:0:1"), VIEW_INIT("[2001:db8::1:0:0:1]") },
	{ VIEW_INIT("0:0:1:0:0:0:0:0"), true, VIEW_INIT("0:0:1::"), VIEW_INIT("[0:0:1::]") },
	{ VIEW_INIT("1:0:0:0:0:0:0:0"), true, VIEW_INIT("1::"), VIEW_INIT("[1::]") },
	/* 4.3 lower case; 5: a known mapping in mixed notation, kept in its family here */
	{ VIEW_INIT("2001:DB8:AAAA:BBBB:CCCC:DDDD:EEEE:AAAA"), true, VIEW_INIT("2001:db8:aaaa:bbbb:cccc:dddd:eeee:aaaa"),
	  VIEW_INIT("[2001:db8:aaaa:bbbb:cccc:dddd:eeee:aaaa]") },
	{ VIEW_INIT("::FFFF:192.0.2.1"), true, VIEW_INIT("::ffff:192.0.2.1"), VIEW_INIT("[::ffff:192.0.2.1]") },
	{ VIEW_INIT("::ffff:c000:201"), true, VIEW_INIT("::ffff:192.0.2.1"), VIEW_INIT("[::ffff:192.0.2.1]") },
};

static void parses_and_prints_ips(void **state)
{
	for (size_t i = 0; i < COUNT_OF(ips); i++) {
		struct addr a = { .af = 77 };
		char        buf[ADDR_TEXT_MAX];

		if (addr_parse_ip(against_wall(ips[i].in), &a) != ips[i].ok)
			fail_msg("'" VIEW_FMT "' wrongly %s", VIEW_ARG(ips[i].in), ips[i].ok ? "refused" : "taken");
		if (!ips[i].ok) {
			assert_int_equal(a.af, 77);
			continue;
		}
		assert_int_equal(a.port, 0);
		assert_view(addr_ip_text(&a, buf), ips[i].ip);
		assert_view(addr_host_text(&a, buf), ips[i].host);
	}
}

/* Our printer against the C library's, wherever RFC 5952 makes both say the same. */
static void prints_as_inet_ntop(void **state)
{
	struct dice d = { 42 };

	for (int i = 0; i < 20000; i++) {
		struct addr a = { .af = AF_V6 }, back;
		char        mine[ADDR_TEXT_MAX], libc[INET6_ADDRSTRLEN];

		a.ip[0] = 0x20;
		for (int g = 1; g < 8; g++) {
			uint64_t r = roll(&d);
			a.ip[2 * g] = (r & 3) == 3 ? (uint8_t)(r >> 8) : 0;
			a.ip[2 * g + 1] = (r & 1) ? (uint8_t)(r >> 16) : 0;
		}
		struct view text = addr_ip_text(&a, mine);
		assert_non_null(inet_ntop(AF_INET6, a.ip, libc, sizeof libc));
		assert_view(text, view_str(libc));
		assert_true(addr_parse_ip(text, &back));
		assert_true(addr_same(&a, &back));
	}
}

static const struct { struct view in; bool ok; struct view text; } pairs[] = {
	{ VIEW_INIT("192.0.2.1:5060"), true, VIEW_INIT("192.0.2.1:5060") },
	{ VIEW_INIT("192.0.2.1:0"), true, VIEW_INIT("192.0.2.1:0") },
	{ VIEW_INIT("192.0.2.1"), true, VIEW_INIT("192.0.2.1:0") },
	{ VIEW_INIT("192.0.2.1:65535"), true, VIEW_INIT("192.0.2.1:65535") },
	{ VIEW_INIT("192.0.2.1:65536"), false },
	{ VIEW_INIT("192.0.2.1:"), false },
	{ VIEW_INIT("192.0.2.1:5060x"), false },
	{ VIEW_INIT("192.0.2.1:-1"), false },
	{ VIEW_INIT("192.0.2.1:005060"), false },
	{ VIEW_INIT("[2001:db8::1]:5061"), true, VIEW_INIT("[2001:db8::1]:5061") },
	{ VIEW_INIT("[2001:db8::1]"), true, VIEW_INIT("[2001:db8::1]:0") },
	{ VIEW_INIT("2001:db8::1"), true, VIEW_INIT("[2001:db8::1]:0") },
	{ VIEW_INIT("[2001:db8::1]5061"), false },
	{ VIEW_INIT("[2001:db8::1]:"), false },
	{ VIEW_INIT("[2001:db8::1"), false },
	{ VIEW_INIT("[2001:db8::1:5060"), false },
	{ VIEW_INIT("::"), true, VIEW_INIT("[::]:0") },
	{ VIEW_INIT(":5060"), false },
	{ VIEW_INIT("host:5060"), false },
	{ VIEW_INIT(""), false },
};

static void parses_pairs(void **state)
{
	for (size_t i = 0; i < COUNT_OF(pairs); i++) {
		struct addr a = { .af = 77 };
		char        buf[ADDR_TEXT_MAX];

		if (addr_parse(against_wall(pairs[i].in), &a) != pairs[i].ok)
			fail_msg("'" VIEW_FMT "' wrongly %s", VIEW_ARG(pairs[i].in), pairs[i].ok ? "refused" : "taken");
		if (pairs[i].ok)
			assert_view(addr_text(&a, buf), pairs[i].text);
		else
			assert_int_equal(a.af, 77);
	}
}

static struct addr ip(const char *text)
{
	struct addr a;

	assert_true(addr_parse(view_str(text), &a));
	return a;
}

static void sockaddrs_go_round(void **state)
{
	const char *texts[] = { "192.0.2.1:5060", "[2001:db8::1]:5061", "[::]:1" };

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct sockaddr_storage ss;
		struct addr             a = ip(texts[i]), back;
		unsigned                n = addr_to_sockaddr(&a, &ss);

		assert_int_equal(n, a.af == AF_V4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
		addr_from_sockaddr((struct sockaddr *)&ss, &back);
		assert_true(addr_same(&a, &back));
	}
}

static void mapped_is_unmapped_on_entry(void **state)
{
	struct sockaddr_storage ss;
	struct addr             mapped = ip("[::ffff:192.0.2.1]:7"), plain = ip("192.0.2.1:7"), a;

	assert_false(addr_same(&mapped, &plain));
	addr_to_sockaddr(&mapped, &ss);
	assert_int_equal(ss.ss_family, AF_INET6);
	addr_from_sockaddr((struct sockaddr *)&ss, &a);
	assert_true(addr_same(&a, &plain));
	assert_memory_equal(a.ip, plain.ip, sizeof a.ip);
	addr_unmap(&mapped);
	assert_true(addr_same(&mapped, &plain));
	/* ::192.0.2.1 and 64:ff9b::/96 are other things. */
	a = ip("[::c000:201]:7");
	addr_unmap(&a);
	assert_int_equal(a.af, AF_V6);
}

static void scope_travels_and_is_not_compared(void **state)
{
	struct sockaddr_storage ss;
	struct addr             a = ip("fe80::1"), b = a, back;

	b.scope = 3;
	assert_true(addr_same(&a, &b));
	addr_to_sockaddr(&b, &ss);
	addr_from_sockaddr((struct sockaddr *)&ss, &back);
	assert_int_equal(back.scope, 3);
}

static void sameness(void **state)
{
	struct addr a = ip("192.0.2.1:5060"), b = ip("192.0.2.1:5061"), c = ip("192.0.2.2:5060");
	struct addr any4 = ip("0.0.0.0:5060"), any6 = ip("[::]:5060");

	assert_true(addr_same_ip(&a, &b));
	assert_false(addr_same(&a, &b));
	assert_false(addr_same_ip(&a, &c));
	assert_false(addr_same_ip(&any4, &any6));
	assert_true(addr_is_any(&any4));
	assert_true(addr_is_any(&any6));
	assert_false(addr_is_any(&a));
}

static const struct { struct view block; int bits; struct view in, out; } cidrs[] = {
	{ VIEW_INIT("10.0.0.0/8"), 8, VIEW_INIT("10.255.255.255"), VIEW_INIT("11.0.0.0") },
	{ VIEW_INIT("10.0.0.0/255.0.0.0"), 8, VIEW_INIT("10.1.2.3"), VIEW_INIT("9.255.255.255") },
	{ VIEW_INIT("10.1.2.3/8"), 8, VIEW_INIT("10.0.0.0"), VIEW_INIT("11.1.2.3") },
	{ VIEW_INIT("192.0.2.128/25"), 25, VIEW_INIT("192.0.2.128"), VIEW_INIT("192.0.2.127") },
	{ VIEW_INIT("192.0.2.1"), 32, VIEW_INIT("192.0.2.1"), VIEW_INIT("192.0.2.0") },
	{ VIEW_INIT("192.0.2.1/32"), 32, VIEW_INIT("192.0.2.1"), VIEW_INIT("192.0.2.3") },
	{ VIEW_INIT("0.0.0.0/0"), 0, VIEW_INIT("203.0.113.9"), VIEW_INIT("::1") },
	{ VIEW_INIT("::/0"), 0, VIEW_INIT("2001:db8::1"), VIEW_INIT("192.0.2.1") },
	{ VIEW_INIT("::1"), 128, VIEW_INIT("::1"), VIEW_INIT("::2") },
	{ VIEW_INIT("2001:db8::/33"), 33, VIEW_INIT("2001:db8:7fff::"), VIEW_INIT("2001:db8:8000::") },
	{ VIEW_INIT("[2001:db8::]/32"), 32, VIEW_INIT("2001:db8:ffff::"), VIEW_INIT("2001:db9::") },
	{ VIEW_INIT("2001:db8::/ffff:ffff::"), 32, VIEW_INIT("2001:db8::5"), VIEW_INIT("2001:db7::5") },
	{ VIEW_INIT("::ffff:10.0.0.0/104"), 8, VIEW_INIT("10.9.9.9"), VIEW_INIT("11.0.0.0") },
	{ VIEW_INIT("10.0.0.0/33"), -1 }, { VIEW_INIT("::/129"), -1 }, { VIEW_INIT("10.0.0.0/"), -1 },
	{ VIEW_INIT("10.0.0.0/-1"), -1 }, { VIEW_INIT("10.0.0.0/8/8"), -1 }, { VIEW_INIT("/8"), -1 },
	{ VIEW_INIT("10.0.0.0/255.0.255.0"), -1 }, { VIEW_INIT("10.0.0.0/ffff::"), -1 }, { VIEW_INIT("ten/8"), -1 },
};

static void cidr_blocks(void **state)
{
	for (size_t i = 0; i < COUNT_OF(cidrs); i++) {
		struct cidr c;
		struct addr a;
		bool        ok = cidr_parse(against_wall(cidrs[i].block), &c);

		if (ok != (cidrs[i].bits >= 0))
			fail_msg("'" VIEW_FMT "' wrongly %s", VIEW_ARG(cidrs[i].block), ok ? "taken" : "refused");
		if (!ok)
			continue;
		assert_int_equal(c.bits, cidrs[i].bits);
		assert_true(addr_parse_ip(cidrs[i].in, &a));
		assert_true(cidr_has(&c, &a));
		assert_true(addr_parse_ip(cidrs[i].out, &a));
		assert_false(cidr_has(&c, &a));
	}
}

static void transports(void **state)
{
	static const struct { const char *name, *via; uint16_t port; bool stream; } want[TR_COUNT] = {
		{ "udp", "UDP", 5060, false }, { "tcp", "TCP", 5060, true }, { "tls", "TLS", 5061, true },
		{ "ws", "WS", 80, true }, { "wss", "WSS", 443, true },
	};

	for (enum transport t = 0; t < TR_COUNT; t++) {
		assert_view(transport_name(t), view_str(want[t].name));
		assert_view(transport_via(t), view_str(want[t].via));
		assert_int_equal(transport_port(t), want[t].port);
		assert_int_equal(transport_stream(t), want[t].stream);
		assert_int_equal(transport_parse(view_str(want[t].name)), t);
		assert_int_equal(transport_parse(view_str(want[t].via)), t);
	}
	assert_int_equal(transport_parse(VIEW("Wss")), TR_WSS);
	assert_int_equal(transport_parse(VIEW("sctp")), TR_NONE);
	assert_int_equal(transport_parse(VIEW("")), TR_NONE);
	assert_view(transport_name(TR_NONE), VIEW("none"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_and_prints_ips), cmocka_unit_test(prints_as_inet_ntop), cmocka_unit_test(parses_pairs),
		cmocka_unit_test(sockaddrs_go_round), cmocka_unit_test(mapped_is_unmapped_on_entry),
		cmocka_unit_test(scope_travels_and_is_not_compared), cmocka_unit_test(sameness), cmocka_unit_test(cidr_blocks),
		cmocka_unit_test(transports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
