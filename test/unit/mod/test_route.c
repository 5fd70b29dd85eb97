/* rr row by row: what loose_route() makes of a Route set, what record_route() writes, who may use a flow token. */
#include "scene.h"

#define UDP  "udp:192.0.2.1:5060"
#define TCP  "tcp:192.0.2.1:5060"
#define PEER "198.51.100.7:4000"
#define SOCKETS "server_signature=no\nsocket=udp:192.0.2.1:5060\nsocket=tcp:192.0.2.1:5060\n"
#define LOADS "loadmodule \"tm.so\"\nloadmodule \"sl.so\"\nloadmodule \"rr.so\"\nloadmodule \"sipmsgops.so\"\nmodparam(\"tm\", \"auto_100trying\", 0)\n"
#define MORE_SOCKETS SOCKETS "socket=tls:192.0.2.1:5061\nsocket=ws:192.0.2.1:80\nsocket=wss:192.0.2.1:443\nsocket=udp:[2001:db8::1]:5060\n" \
	"socket=udp:203.0.113.5:5062\n"

static struct origin came_by(const char *socket, const char *from)
{
	const struct socket_conf *s = net_find_socket(&stand.w.conf->net, view_str(socket));
	struct origin             o = { .socket = s };

	assert_non_null(s);
	o.transport = s->transport;
	assert_true(addr_parse(view_str(from), &o.wire_src));
	o.wire_dst = s->at;
	o.real_src = o.wire_src;
	o.real_dst = o.wire_dst;
	if (transport_stream(s->transport))
		o.conn = (struct ref){ 0, REF_CONN, 7, 3 };
	return o;
}

static void arrive_by(const char *method, const char *ruri, const char *from_tag, const char *to_tag, const char *more, const struct origin *o)
{
	static int n;
	char       text[8192];
	int        len = snprintf(text, sizeof text, "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:4000;branch=z9hG4bKr%d\r\nMax-Forwards: 70\r\n"
		"From: <sip:alice@example.com>;tag=%s\r\nTo: <sip:bob@example.com>%s\r\nCall-ID: c1@example.com\r\nCSeq: 1 %s\r\n%sContent-Length: 0\r\n\r\n",
		method, ruri, n++, from_tag, to_tag, method, more);

	assert_in_range(len, 1, sizeof text - 1);
	struct buf *b = buf_from(view_of(text, (size_t)len));
	assert_true(worker_receive(&stand.w, b, buf_view(b), o));
	buf_unref(b);
}

static void arrive(const char *method, const char *ruri, const char *from_tag, const char *to_tag, const char *more, const char *socket)
{
	struct origin o = came_by(socket, view_starts(view_str(socket), VIEW("udp:[")) ? "[2001:db8::7]:4000" : PEER);

	arrive_by(method, ruri, from_tag, to_tag, more, &o);
}

static int occurs(int i, const char *what)
{
	struct view v = stand_text(i);
	int         n = 0;

	for (size_t at; (at = view_find_view(v, view_str(what))) < v.n; n++)
		v = view_from(v, at + 1);
	return n;
}

/* ---- loose_route() ------------------------------------------------------------------------------------------------------- */

#define SAY "route { $var(rc) = loose_route(); xlog(\"$var(rc) $rr_params\"); forward(); }\n"
#define BOB "sip:bob@198.51.100.9:5090"

struct row {
	const char *name, *globals, *ruri, *to_tag, *routes, *said;
	const char *has[3], *lacks[3];      /* of the request that leaves */
	uint16_t    port;
	const char *socket;                 /* it leaves by; NULL = not looked at */
};

static const struct row rows[] = {
	{ "no Route", SOCKETS, BOB, ";tag=b", "", "-1 <null>|", { "BYE " BOB " " }, { "Route" }, 5090, UDP },
	{ "preloaded, only ours", SOCKETS, BOB, "", "Route: <sip:192.0.2.1;lr>\r\n", "-1 lr|", { "BYE " BOB " " }, { "Route" }, 5090, UDP },
	{ "preloaded, both halves ours", SOCKETS, BOB, "", "Route: <sip:192.0.2.1;r2=on;lr>, <sip:192.0.2.1;transport=tcp;r2=on;lr;x=1>\r\n",
		"-1 transport=tcp;r2=on;lr;x=1|", { "BYE " BOB " " }, { "Route" }, 5090, NULL },
	{ "preloaded, one more", SOCKETS, BOB, "", "Route: <sip:192.0.2.1;lr>,<sip:198.51.100.9:5071;lr>\r\n", "1 lr|",
		{ "BYE " BOB " ", "\r\nRoute: <sip:198.51.100.9:5071;lr>\r\n" }, { "192.0.2.1;lr" }, 5071, UDP },
	{ "preloaded, somebody else's", SOCKETS, BOB, "", "Route: <sip:198.51.100.9:5071;lr>\r\n", "1 <null>|",
		{ "\r\nRoute: <sip:198.51.100.9:5071;lr>\r\n" }, { NULL }, 5071, UDP },
	{ "dialog, only ours", SOCKETS, BOB, ";tag=b", "Route: <sip:192.0.2.1;lr;ftag=x;vf=00>\r\n", "1 lr;ftag=x;vf=00|", { "BYE " BOB " " }, { "Route" }, 5090, UDP },
	{ "dialog, one more in its own line", SOCKETS, BOB, ";tag=b", "Route: <sip:192.0.2.1;lr>\r\nRoute: <sip:198.51.100.9:5071;lr>\r\n", "1 lr|",
		{ "\r\nRoute: <sip:198.51.100.9:5071;lr>\r\n" }, { "192.0.2.1;lr", "Route: \r\n" }, 5071, UDP },
	{ "dialog, several in one line", SOCKETS, BOB, ";tag=b",
		"Route: <sip:192.0.2.1;lr> , <sip:198.51.100.9:5071;lr>, <sip:198.51.100.10;lr>\r\nRoute: <sip:198.51.100.11;lr>\r\n", "1 lr|",
		{ "<sip:198.51.100.9:5071;lr>, <sip:198.51.100.10;lr>\r\n", "Route: <sip:198.51.100.11;lr>\r\n" }, { "192.0.2.1;lr" }, 5071, UDP },
	{ "paired over two lines", SOCKETS, BOB, ";tag=b", "Route: <sip:192.0.2.1;r2=on;lr>\r\nRoute: <sip:192.0.2.1;transport=tcp;r2=on;lr;y>\r\n",
		"1 transport=tcp;r2=on;lr;y|", { "BYE " BOB " " }, { "Route" }, 5090, NULL },
	{ "paired and one more in one line", SOCKETS, BOB, ";tag=b",
		"Route: <sip:192.0.2.1;transport=tcp;r2=on;lr>,<sip:192.0.2.1;r2=on;lr>,<sip:198.51.100.9:5072;lr>\r\n", "1 r2=on;lr|",
		{ "\r\nRoute: <sip:198.51.100.9:5072;lr>\r\n" }, { "r2=on" }, 5072, UDP },
	{ "the second half picks the socket", MORE_SOCKETS, BOB, ";tag=b", "Route: <sip:192.0.2.1;r2=on;lr>,<sip:203.0.113.5:5062;r2=on;lr>\r\n", "1 r2=on;lr|",
		{ "Via: SIP/2.0/UDP 203.0.113.5:5062" }, { "Route" }, 5090, "udp:203.0.113.5:5062" },
	{ "without r2 the socket that it came by", MORE_SOCKETS, BOB, ";tag=b", "Route: <sip:203.0.113.5:5062;lr>\r\n", "1 lr|",
		{ "Via: SIP/2.0/UDP 192.0.2.1:5060" }, { "Route" }, 5090, UDP },
	{ "somebody else's r2 stays", SOCKETS, BOB, ";tag=b", "Route: <sip:192.0.2.1;r2=on;lr>, <sip:198.51.100.9:5072;r2=on;lr>\r\n", "1 r2=on;lr|",
		{ "\r\nRoute: <sip:198.51.100.9:5072;r2=on;lr>\r\n" }, { "192.0.2.1;r2" }, 5072, UDP },
	{ "ours twice without r2 is a spiral", SOCKETS, BOB, ";tag=b", "Route: <sip:192.0.2.1;lr>, <sip:192.0.2.1;transport=tcp;lr>\r\n", "1 lr|",
		{ "\r\nRoute: <sip:192.0.2.1;transport=tcp;lr>\r\n" }, { NULL }, 5060, TCP },
	{ "another port is not ours", SOCKETS, BOB, ";tag=b", "Route: <sip:192.0.2.1:5999;lr>\r\n", "1 <null>|",
		{ "\r\nRoute: <sip:192.0.2.1:5999;lr>\r\n" }, { NULL }, 5999, UDP },
	{ "a transport that we do not listen on is not ours", SOCKETS, BOB, ";tag=b", "Route: <sip:192.0.2.1:5061;transport=udp;lr>\r\n", "1 <null>|",
		{ "\r\nRoute: <sip:192.0.2.1:5061;transport=udp;lr>\r\n" }, { NULL }, 5061, UDP },
	{ "IPv6", MORE_SOCKETS, BOB, ";tag=b", "Route: <sip:[2001:DB8:0::1];lr;z>\r\n", "1 lr;z|", { "BYE " BOB " " }, { "Route" }, 5090, UDP },
	{ "IPv6 next", MORE_SOCKETS, BOB, ";tag=b", "Route: <sip:[2001:db8::1]:5060;lr>, <sip:[2001:db8::9]:5071;lr>\r\n", "1 lr|",
		{ "\r\nRoute: <sip:[2001:db8::9]:5071;lr>\r\n" }, { "[2001:db8::1]:5060;lr" }, 5071, "udp:[2001:db8::1]:5060" },
	{ "alias", SOCKETS "alias=edge.example.com\n", BOB, ";tag=b", "Route: <sip:EDGE.example.com;lr>\r\n", "1 lr|", { "BYE " BOB " " }, { "Route" }, 5090, UDP },
	{ "alias with a port", SOCKETS "alias=udp:edge.example.com:5080\n", BOB, ";tag=b", "Route: <sip:edge.example.com:5080;lr>\r\n", "1 lr|",
		{ "BYE " BOB " " }, { "Route" }, 5090, UDP },
	{ "advertised by the socket", "server_signature=no\nsocket=udp:192.0.2.1:5060 as pub.example.com:5080\nsocket=tcp:192.0.2.1:5060\n", BOB, ";tag=b",
		"Route: <sip:pub.example.com:5080;lr>\r\n", "1 lr|", { "Via: SIP/2.0/UDP pub.example.com:5080;" }, { "Route" }, 5090, UDP },
	{ "advertised by the socket, another port", "server_signature=no\nsocket=udp:192.0.2.1:5060 as 203.0.113.80:5080\n", BOB, ";tag=b",
		"Route: <sip:203.0.113.80:5081;lr>\r\n", "1 <null>|", { "Route: <sip:203.0.113.80:5081;lr>" }, { NULL }, 5081, UDP },
	{ "advertised by all, paired", MORE_SOCKETS "advertised_address=203.0.113.80\n", BOB, ";tag=b",
		"Route: <sip:203.0.113.80;r2=on;lr>, <sip:203.0.113.80:5062;r2=on;lr>\r\n", "1 r2=on;lr|", { "BYE " BOB " " }, { "Route" }, 5090, "udp:203.0.113.5:5062" },
	{ "sips means TLS", MORE_SOCKETS, BOB, ";tag=b", "Route: <sips:192.0.2.1;lr>\r\n", "1 lr|", { "BYE " BOB " " }, { "Route" }, 5090, UDP },
	{ "sips over TCP means TLS too", MORE_SOCKETS, BOB, ";tag=b", "Route: <sips:192.0.2.1;transport=tcp;lr>\r\n", "1 transport=tcp;lr|",
		{ "BYE " BOB " " }, { "Route" }, 5090, UDP },
	{ "WebSocket half", MORE_SOCKETS, BOB, ";tag=b", "Route: <sip:192.0.2.1;transport=ws;r2=on;lr>, <sip:192.0.2.1;r2=on;lr>\r\n", "1 r2=on;lr|",
		{ "BYE " BOB " " }, { "Route" }, 5090, UDP },
	{ "a display name and a user", SOCKETS, BOB, ";tag=b", "Route: \"our, edge\" <sip:alice@192.0.2.1;lr;ftag=b>;p=\"<,>\" , <sip:198.51.100.9:5071;lr>\r\n", "1 lr;ftag=b|",
		{ "\r\nRoute: <sip:198.51.100.9:5071;lr>\r\n" }, { "our, edge" }, 5071, UDP },
	{ "folded", SOCKETS, BOB, ";tag=b", "Route: <sip:192.0.2.1;lr>,\r\n <sip:198.51.100.9:5071;lr>\r\n", "1 lr|", { "<sip:198.51.100.9:5071;lr>\r\n" },
		{ "192.0.2.1;lr" }, 5071, UDP },
	/* strict routers */
	{ "strict next", SOCKETS, BOB, ";tag=b", "Route: <sip:192.0.2.1;lr>, <sip:198.51.100.9:5074>, <sip:198.51.100.8;lr>\r\n", "1 lr|",
		{ "BYE sip:198.51.100.9:5074 SIP/2.0", "\r\nRoute: <sip:198.51.100.8;lr>\r\n", "\r\nRoute: <" BOB ">\r\n" }, { "192.0.2.1;lr", "<sip:198.51.100.9:5074>" }, 5074, UDP },
	{ "strict top of somebody else", SOCKETS, BOB, ";tag=b", "Route: <sip:198.51.100.9:5074>\r\n", "1 <null>|",
		{ "BYE sip:198.51.100.9:5074 SIP/2.0", "\r\nRoute: <" BOB ">\r\n" }, { "<sip:198.51.100.9:5074>" }, 5074, UDP },
	{ "strict before, one left", SOCKETS, "sip:192.0.2.1;lr;ftag=b", ";tag=b", "Route: <" BOB ">\r\n", "1 lr;ftag=b|", { "BYE " BOB " " }, { "Route" }, 5090, UDP },
	{ "strict before, loose next", SOCKETS, "sip:192.0.2.1;lr", ";tag=b", "Route: <sip:198.51.100.9:5071;lr>\r\nRoute: <" BOB ">\r\n", "1 lr|",
		{ "BYE " BOB " ", "\r\nRoute: <sip:198.51.100.9:5071;lr>\r\n" }, { "Route: <" BOB }, 5071, UDP },
	{ "strict before, our second half", SOCKETS, "sip:192.0.2.1;transport=tcp;r2=on;lr", ";tag=b", "Route: <sip:192.0.2.1;r2=on;lr;q>, <" BOB ">\r\n", "1 r2=on;lr;q|",
		{ "BYE " BOB " " }, { "Route" }, 5090, UDP },
	{ "strict before, our second half, one more", MORE_SOCKETS, "sip:192.0.2.1;r2=on;lr", ";tag=b",
		"Route: <sip:203.0.113.5:5062;r2=on;lr>, <sip:198.51.100.9:5071;lr>, <" BOB ">\r\n", "1 r2=on;lr|",
		{ "BYE " BOB " ", "\r\nRoute: <sip:198.51.100.9:5071;lr>\r\n" }, { "203.0.113.5:5062;r2", "Route: <" BOB }, 5071, "udp:203.0.113.5:5062" },
	{ "a GRUU of ours is no strict router", SOCKETS, "sip:192.0.2.1;lr;gr=1", ";tag=b", "Route: <sip:192.0.2.1;lr>, <sip:198.51.100.9:5071;lr>\r\n", "1 lr|",
		{ "BYE sip:192.0.2.1;lr;gr=1 ", "\r\nRoute: <sip:198.51.100.9:5071;lr>\r\n" }, { NULL }, 5071, UDP },
	{ "our URI outside of a dialog is no strict router", SOCKETS, "sip:192.0.2.1;lr", "", "Route: <sip:198.51.100.9:5071;lr>\r\n", "1 <null>|",
		{ "BYE sip:192.0.2.1;lr ", "\r\nRoute: <sip:198.51.100.9:5071;lr>\r\n" }, { NULL }, 5071, UDP },
};

static void route_sets(void **state)
{
	char text[2048];

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct row *x = &rows[i];
		snprintf(text, sizeof text, "%s" LOADS SAY, x->globals);
		start(text);
		arrive("BYE", x->ruri, "a", x->to_tag, x->routes, UDP);
		if (strcmp(said, x->said) != 0)
			fail_msg("%s: said %s, not %s", x->name, said, x->said);
		if (stand.nsent != 1)
			fail_msg("%s: sent %d messages", x->name, stand.nsent);
		for (size_t k = 0; k < 3 && x->has[k]; k++)
			has(0, x->has[k], x->name);
		for (size_t k = 0; k < 3 && x->lacks[k]; k++)
			lacks(0, x->lacks[k], x->name);
		lacks(0, "Route: \r\n", x->name);
		lacks(0, "Route: ,", x->name);
		lacks(0, ",\r\n", x->name);
		if (stand.sent[0].target.to.port != x->port)
			fail_msg("%s: went to port %u", x->name, stand.sent[0].target.to.port);
		if (x->socket && !view_is(stand.sent[0].target.from->text, view_str(x->socket)))
			fail_msg("%s: left by " VIEW_FMT, x->name, VIEW_ARG(stand.sent[0].target.from->text));
		stop();
	}
}

/* Whatever stands in a Route that cannot be read, nothing is routed by guessing what follows. */
static void broken_routes_route_nothing(void **state)
{
	static const char *const bad[] = { "Route: <sip:192.0.2.1;lr>, nonsense here\r\n", "Route: <sip:192.0.2.1;lr>, <sip:>\r\n", "Route: <sip:192.0.2.1;lr\r\n",
		"Route: <sip:192.0.2.1;lr>\r\nRoute: <bogus>\r\n", "Route: ,\r\n", "Route: <sip:192.0.2.1;lr>,,<sip:198.51.100.9;lr>\r\n" };

	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		start(SOCKETS LOADS "route { $var(rc) = loose_route(); xlog(\"$var(rc)\"); if ($var(rc) > 0) forward(); }\n");
		arrive("BYE", BOB, "a", ";tag=b", bad[i], UDP);
		/* refused by the core, or by loose_route() */
		for (int k = 0; k < stand.nsent; k++)
			if (!view_starts(stand_text(k), VIEW("SIP/2.0 400")))
				fail_msg("%s: said %s and sent\n" VIEW_FMT, bad[i], said, VIEW_ARG(stand_text(k)));
		if (*said && strcmp(said, "-1|") != 0)
			fail_msg("%s: said %s", bad[i], said);
		stop();
	}
}

/* A second call finds the same; nothing is cut twice. */
static void twice_is_once(void **state)
{
	start(SOCKETS LOADS "route { $var(a) = loose_route(); $var(b) = loose_route(); xlog(\"$var(a) $var(b) $du\"); forward(); }\n");
	arrive("BYE", BOB, "a", ";tag=b", "Route: <sip:192.0.2.1;r2=on;lr>, <sip:192.0.2.1;transport=tcp;r2=on;lr>, <sip:198.51.100.9:5071;lr>, <sip:198.51.100.8;lr>\r\n", UDP);
	assert_string_equal(said, "1 1 sip:198.51.100.9:5071;lr|");
	has(0, "\r\nRoute: <sip:198.51.100.9:5071;lr>, <sip:198.51.100.8;lr>\r\n", "twice");
	arrive("BYE", BOB, "a", ";tag=b", "Route: <sip:192.0.2.1;lr>\r\n", UDP);
	lacks(1, "Route", "twice");
	stop();
}

static void script_edits_and_cuts_compose(void **state)
{
	start(SOCKETS LOADS "route { remove_hf(\"Route\"); $var(rc) = loose_route(); xlog(\"$var(rc)\"); forward(); }\n");
	arrive("BYE", BOB, "a", ";tag=b", "Route: <sip:192.0.2.1;lr>\r\nX-A: 1\r\n", UDP);
	assert_string_equal(said, "1|");
	lacks(0, "Route", "removed before");
	has(0, "X-A: 1\r\n", "removed before");
	stop();
	start(SOCKETS LOADS "route { loose_route(); remove_hf(\"Route\"); forward(); }\n");
	arrive("BYE", BOB, "a", ";tag=b", "Route: <sip:192.0.2.1;lr>, <sip:198.51.100.9:5071;lr>\r\nX-A: 1\r\n", UDP);
	lacks(0, "Route", "removed after");
	has(0, "X-A: 1\r\n", "removed after");
	stop();
}

/* ---- what our Route says of the request -------------------------------------------------------------------------------------- */

static void parameters_and_direction(void **state)
{
	static const struct { const char *from_tag, *routes, *said; } cases[] = {
		{ "a", "Route: <sip:192.0.2.1;lr;ftag=a;nat=yes>\r\n", "lr;ftag=a;nat=yes down nat |" },
		{ "b", "Route: <sip:192.0.2.1;lr;ftag=a;nat=no>\r\n", "lr;ftag=a;nat=no up |" },
		{ "A", "Route: <sip:192.0.2.1;lr;ftag=a>\r\n", "lr;ftag=a up |" },
		{ "a", "Route: <sip:192.0.2.1;lr>\r\n", "lr |" },
		{ "a", "Route: <sip:192.0.2.1;lr;xftag=a;ftag=b>\r\n", "lr;xftag=a;ftag=b up |" },
		{ "a", "Route: <sip:198.51.100.9;lr;ftag=a;nat=yes>\r\n", "<null> |" },
		{ "a", "", "<null> |" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		start(SOCKETS LOADS "route { if (is_direction(\"upstream\") || check_route_param(\".\")) xlog(\"before\"); loose_route(); $var(t) = \"\"; "
			"if (is_direction(\"upstream\")) $var(t) = $var(t) + \"up \"; if (is_direction(\"DOWNSTREAM\")) $var(t) = $var(t) + \"down \"; "
			"if (check_route_param(\";nat=yes$\")) $var(t) = $var(t) + \"nat \"; xlog(\"$rr_params $var(t)\"); }\n");
		arrive("BYE", BOB, cases[i].from_tag, ";tag=z", cases[i].routes, UDP);
		if (strcmp(said, cases[i].said) != 0)
			fail_msg("%s%s: '%s'", cases[i].from_tag, cases[i].routes, said);
		stop();
	}
}

/* ---- record_route() ---------------------------------------------------------------------------------------------------------- */

#define TO(host) "sip:bob@" host
static const struct { const char *name, *globals, *body, *ruri, *socket, *lines; } records[] = {
	{ "plain", SOCKETS, "record_route();", TO("198.51.100.9"), UDP, "Record-Route: <sip:192.0.2.1;lr;ftag=a>\r\n" },
	{ "with a parameter", SOCKETS, "record_route(\";nat=yes\");", TO("198.51.100.9"), UDP, "Record-Route: <sip:192.0.2.1;lr;ftag=a;nat=yes>\r\n" },
	{ "a parameter without its sign", SOCKETS, "record_route(\"nat=yes\");", TO("198.51.100.9"), UDP, "Record-Route: <sip:192.0.2.1;lr;ftag=a;nat=yes>\r\n" },
	{ "a parameter before and one after", SOCKETS, "add_rr_param(\";x=1\"); record_route(\";y=2\"); add_rr_param(\";z=3\");", TO("198.51.100.9"), UDP,
		"Record-Route: <sip:192.0.2.1;lr;ftag=a;x=1;y=2;z=3>\r\n" },
	{ "a parameter alone records nothing", SOCKETS, "add_rr_param(\";x=1\");", TO("198.51.100.9"), UDP, "" },
	{ "twice is refused and adds nothing", SOCKETS, "record_route(); $var(rc) = record_route(\";again\"); if ($var(rc) != -1) exit;", TO("198.51.100.9"), UDP,
		"Record-Route: <sip:192.0.2.1;lr;ftag=a>\r\n" },
	{ "no ftag", SOCKETS LOADS "modparam(\"rr\", \"append_fromtag\", 0)\n", "record_route();", TO("198.51.100.9"), UDP, "Record-Route: <sip:192.0.2.1;lr>\r\n" },
	{ "the user", SOCKETS LOADS "modparam(\"rr\", \"add_username\", 1)\n", "record_route();", TO("198.51.100.9"), UDP, "Record-Route: <sip:alice@192.0.2.1;lr;ftag=a>\r\n" },
	{ "another port", MORE_SOCKETS, "record_route();", TO("198.51.100.9"), "udp:203.0.113.5:5062", "Record-Route: <sip:203.0.113.5:5062;lr;ftag=a>\r\n" },
	{ "another socket", MORE_SOCKETS, "$socket_out = \"udp:203.0.113.5:5062\"; record_route();", TO("198.51.100.9"), UDP,
		"Record-Route: <sip:203.0.113.5:5062;r2=on;lr;ftag=a>\r\nRecord-Route: <sip:192.0.2.1;r2=on;lr;ftag=a>\r\n" },
	{ "another transport, parameters in both", SOCKETS, "record_route(\";x=1\");", TO("198.51.100.9;transport=tcp"), UDP,
		"Record-Route: <sip:192.0.2.1;transport=tcp;r2=on;lr;ftag=a;x=1>\r\nRecord-Route: <sip:192.0.2.1;r2=on;lr;ftag=a;x=1>\r\n" },
	{ "one for two", SOCKETS LOADS "modparam(\"rr\", \"enable_double_rr\", 0)\n", "record_route();", TO("198.51.100.9;transport=tcp"), UDP,
		"Record-Route: <sip:192.0.2.1;transport=tcp;lr;ftag=a>\r\n" },
	{ "towards TLS", MORE_SOCKETS, "record_route();", TO("198.51.100.9;transport=tls"), UDP,
		"Record-Route: <sip:192.0.2.1;transport=tls;r2=on;lr;ftag=a>\r\nRecord-Route: <sip:192.0.2.1;r2=on;lr;ftag=a>\r\n" },
	{ "towards WebSocket", MORE_SOCKETS, "record_route();", TO("198.51.100.9;transport=ws"), UDP,
		"Record-Route: <sip:192.0.2.1;transport=ws;r2=on;lr;ftag=a>\r\nRecord-Route: <sip:192.0.2.1;r2=on;lr;ftag=a>\r\n" },
	{ "towards secure WebSocket", MORE_SOCKETS, "record_route();", TO("198.51.100.9;transport=wss"), UDP,
		"Record-Route: <sip:192.0.2.1;transport=wss;r2=on;lr;ftag=a>\r\nRecord-Route: <sip:192.0.2.1;r2=on;lr;ftag=a>\r\n" },
	{ "towards IPv6", MORE_SOCKETS, "record_route();", TO("[2001:db8::9]"), UDP,
		"Record-Route: <sip:[2001:db8::1];r2=on;lr;ftag=a>\r\nRecord-Route: <sip:192.0.2.1;r2=on;lr;ftag=a>\r\n" },
	{ "advertised", "server_signature=no\nsocket=udp:192.0.2.1:5060 as pub.example.com:5080\n", "record_route();", TO("198.51.100.9"), UDP,
		"Record-Route: <sip:pub.example.com:5080;lr;ftag=a>\r\n" },
	{ "advertised by all", SOCKETS "advertised_address=203.0.113.80\nadvertised_port=5090\n", "record_route();", TO("198.51.100.9"), UDP,
		"Record-Route: <sip:203.0.113.80:5090;lr;ftag=a>\r\n" },
	{ "advertised by the script", SOCKETS, "set_advertised_address(\"203.0.113.81\"); record_route();", TO("198.51.100.9"), UDP,
		"Record-Route: <sip:203.0.113.81;lr;ftag=a>\r\n" },
	{ "a bond picks the side", "server_signature=no\nsocket=udp:192.0.2.1:5060\nsocket=udp:203.0.113.5:5062\nsocket=tcp:192.0.2.1:5060\nsocket=bond:out { \"tcp:192.0.2.1:5060\", \"udp:203.0.113.5:5062\" }\n",
		"$socket_out = \"bond:out\"; record_route();", TO("198.51.100.9"), UDP,
		"Record-Route: <sip:203.0.113.5:5062;r2=on;lr;ftag=a>\r\nRecord-Route: <sip:192.0.2.1;r2=on;lr;ftag=a>\r\n" },
	{ "preset", SOCKETS, "record_route_preset(\"edge.example.com:5080\");", TO("198.51.100.9"), UDP, "Record-Route: <sip:edge.example.com:5080;lr;ftag=a>\r\n" },
	{ "preset of both", SOCKETS, "add_rr_param(\";x=1\"); record_route_preset(\"out.example.com;transport=tcp\", \"in.example.com\");", TO("198.51.100.9"), UDP,
		"Record-Route: <sip:out.example.com;transport=tcp;r2=on;lr;ftag=a;x=1>\r\nRecord-Route: <sip:in.example.com;r2=on;lr;ftag=a;x=1>\r\n" },
	{ "preset after record_route", SOCKETS, "record_route(); if (record_route_preset(\"x.example.com\")) exit;", TO("198.51.100.9"), UDP,
		"Record-Route: <sip:192.0.2.1;lr;ftag=a>\r\n" },
	{ "preset of nothing", SOCKETS, "$var(x) = \"\"; if (record_route_preset(\"$var(x)\")) exit;", TO("198.51.100.9"), UDP, "" },
};

static void record_routes(void **state)
{
	char text[2048], want[1024];

	for (size_t i = 0; i < COUNT_OF(records); i++) {
		snprintf(text, sizeof text, "%s%s\nroute { %s forward(); }\n", records[i].globals, strstr(records[i].globals, "rr.so") ? "" : LOADS, records[i].body);
		start(text);
		arrive("INVITE", records[i].ruri, "a", "", "", records[i].socket);
		if (stand.nsent != 1)
			fail_msg("%s: sent %d", records[i].name, stand.nsent);
		/* right after our Via, which always names its port */
		snprintf(want, sizeof want, "\r\n%sVia: SIP/2.0/UDP 198.51.100.7:4000;", records[i].lines);
		has(0, want, records[i].name);
		stop();
	}
}

/* However much the caller writes, the lines fit. */
static void long_names_fit(void **state)
{
	char  user[1301], text[8192];
	struct origin o;

	memset(user, 'u', sizeof user - 1);
	user[sizeof user - 1] = 0;
	start(SOCKETS LOADS "modparam(\"rr\", \"add_username\", 1)\nroute { record_route(); forward(); }\n");
	o = came_by(TCP, PEER);
	snprintf(text, sizeof text, "INVITE sip:bob@198.51.100.9 SIP/2.0\r\nVia: SIP/2.0/TCP 198.51.100.7:4000;branch=z9hG4bKl\r\nFrom: <sip:%s@example.com>;tag=%.900s\r\n"
		"To: <sip:bob@example.com>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n", user, user);
	struct buf *b = buf_from(view_str(text));
	assert_true(worker_receive(&stand.w, b, buf_view(b), &o));
	buf_unref(b);
	assert_int_equal(stand.nsent, 1);
	assert_true(view_starts(stand_text(0), VIEW("INVITE ")));
	assert_int_equal(occurs(0, "Record-Route: <sip:uuuu"), 2);
	stop();
}

static void preset_text_cannot_break_the_line(void **state)
{
	static const char *const bad[] = { "x\\r\\nEvil: 1", "x>", "<x" };
	char text[1024];

	for (size_t i = 0; i < 2 * COUNT_OF(bad); i++) {
		snprintf(text, sizeof text, SOCKETS LOADS "route { $var(x) = \"%s\"; $var(rc) = record_route_preset(%s); xlog(\"$var(rc)\"); forward(); }\n", bad[i / 2],
			i % 2 ? "\"$var(x)\"" : "\"edge.example.com\", \"$var(x)\"");
		start(text);
		arrive("INVITE", BOB, "a", "", "", UDP);
		assert_string_equal(said, "-1|");
		lacks(0, "Record-Route", "refused");
		lacks(0, "Evil", "refused");
		stop();
	}
}

/* ---- with branches ------------------------------------------------------------------------------------------------------------- */

static void each_branch_by_its_own_side(void **state)
{
	start(SOCKETS LOADS "route { record_route(); append_msg_branch(\"sip:b2@198.51.100.9:5072;transport=tcp\"); t_relay(); }\n");
	arrive("INVITE", TO("198.51.100.9:5071"), "a", "", "", UDP);
	assert_int_equal(stand.nsent, 2);
	has(0, "\r\nRecord-Route: <sip:192.0.2.1;lr;ftag=a>\r\nVia: SIP/2.0/UDP 198", "first");
	has(1, "\r\nRecord-Route: <sip:192.0.2.1;transport=tcp;r2=on;lr;ftag=a>\r\nRecord-Route: <sip:192.0.2.1;r2=on;lr;ftag=a>\r\nVia: SIP/2.0/UDP 198", "second");
	stop();
}

/* record_route() in a branch route speaks for that branch. */
static void branches_record_for_themselves(void **state)
{
	start(SOCKETS LOADS "route { append_msg_branch(\"sip:b2@198.51.100.9:5072\"); append_msg_branch(\"sip:b3@198.51.100.9:5073\"); t_on_branch(\"b\"); t_relay(); }\n"
		"branch_route[b] { if ($T_branch_idx == 1) return; $var(rc) = record_route(\";i=$T_branch_idx\"); xlog(\"$var(rc)\"); }\n");
	arrive("INVITE", TO("198.51.100.9:5071"), "a", "", "", UDP);
	assert_int_equal(stand.nsent, 3);
	assert_string_equal(said, "1|1|");
	has(0, "\r\nRecord-Route: <sip:192.0.2.1;lr;ftag=a;i=0>\r\n", "0");
	lacks(1, "Record-Route", "1");
	has(2, "\r\nRecord-Route: <sip:192.0.2.1;lr;ftag=a;i=2>\r\n", "2");
	stop();
	/* what the request route asked for stands for all of them: not a second time */
	start(SOCKETS LOADS "route { record_route(\";all\"); append_msg_branch(\"sip:b2@198.51.100.9:5072\"); t_on_branch(\"b\"); t_relay(); }\n"
		"branch_route[b] { $var(rc) = record_route(\";no\"); xlog(\"$var(rc)\"); }\n");
	arrive("INVITE", TO("198.51.100.9:5071"), "a", "", "", UDP);
	assert_string_equal(said, "-1|-1|");
	assert_int_equal(occurs(0, "Record-Route"), 1);
	has(1, "\r\nRecord-Route: <sip:192.0.2.1;lr;ftag=a;all>\r\n", "all");
	stop();
}

/* A parameter added in a branch route is of that branch, whoever asked for the Record-Route. */
static void parameters_of_a_branch(void **state)
{
	start(SOCKETS LOADS "route { record_route(\";all\"); append_msg_branch(\"sip:b2@198.51.100.9:5072\"); t_on_branch(\"b\"); t_relay(); }\n"
		"branch_route[b] { add_rr_param(\";i=$T_branch_idx\"); }\n");
	arrive("INVITE", TO("198.51.100.9:5071"), "a", "", "", UDP);
	has(0, "\r\nRecord-Route: <sip:192.0.2.1;lr;ftag=a;all;i=0>\r\n", "0");
	has(1, "\r\nRecord-Route: <sip:192.0.2.1;lr;ftag=a;all;i=1>\r\n", "1");
	/* a retransmission of ours says the same */
	stand_turn(600);
	assert_int_equal(stand.nsent, 4);
	assert_true(view_is(stand_text(2), stand_text(0)) || view_is(stand_text(2), stand_text(1)));
	stop();
}

static void a_failure_route_records_its_branches(void **state)
{
	start(SOCKETS LOADS "route { t_on_failure(\"f\"); t_relay(); }\n"
		"failure_route[f] { $var(rc) = record_route(\";f=$T_reply_code\"); xlog(\"$var(rc)\"); $ru = \"sip:next@198.51.100.9:5079\"; t_on_failure(\"f\"); t_relay(); }\n");
	arrive("INVITE", TO("198.51.100.9:5071"), "a", "", "", UDP);
	lacks(0, "Record-Route", "first");
	bench_answer(0, 404);
	int at;
	assert_int_equal(bench_count(0, "INVITE sip:next@", &at), 1);
	has(at, "\r\nRecord-Route: <sip:192.0.2.1;lr;ftag=a;f=404>\r\n", "second");
	bench_answer(at, 480);
	assert_int_equal(bench_count(0, "INVITE sip:next@", &at), 2);
	has(at, "\r\nRecord-Route: <sip:192.0.2.1;lr;ftag=a;f=480>\r\n", "third");
	assert_int_equal(occurs(at, "Record-Route"), 1);
	assert_string_equal(said, "1|1|");
	stop();
}

/* ---- flow tokens ------------------------------------------------------------------------------------------------------------------ */

#define FLOWS LOADS "route { if (has_totag()) { loose_route(); forward(); exit; } record_route(); forward(); }\n"

/* The Route set that the callee makes of the Record-Routes of send i. */
static void callees_routes(int i, char *to, size_t cap)
{
	struct view v = stand_text(i), name = VIEW("\r\nRecord-Route: ");
	size_t      n = 0;

	*to = 0;
	for (size_t at; (at = view_find_view(v, name)) < v.n; ) {
		v = view_from(v, at + name.n);
		n += (size_t)snprintf(to + n, cap - n, "Route: " VIEW_FMT "\r\n", VIEW_ARG(view_sub(v, 0, view_find(v, '\r'))));
	}
}

/* A UDP client behind a load balancer: the header's tuple, and the balancer's socket on the wire. */
static struct origin balanced(const char *wire, const char *real)
{
	struct origin o = came_by(UDP, wire);

	assert_true(addr_parse(view_str(real), &o.real_src));
	o.has_real = true;
	return o;
}

static void datagrams_return_through_the_balancer(void **state)
{
	char          routes[2048];
	struct origin o;

	start(SOCKETS FLOWS);
	o = balanced("198.51.100.30:30001", "203.0.113.7:5060");
	arrive_by("INVITE", TO("198.51.100.9:5070"), "a", "", "", &o);
	has(0, ";lr;ftag=a;vf=", "token");
	callees_routes(0, routes, sizeof routes);
	arrive("BYE", "sip:alice@203.0.113.7:5060", "b", ";tag=a", routes, UDP);
	assert_int_equal(stand.nsent, 2);
	char text[ADDR_TEXT_MAX];
	assert_view(addr_text(&stand.sent[1].target.to, text), "198.51.100.30:30001");
	assert_true(stand.sent[1].target.downstream);
	lacks(1, "\r\nRoute:", "token");
	has(1, "BYE sip:alice@203.0.113.7:5060 ", "token");
	/* the caller's own request goes on */
	arrive_by("BYE", TO("198.51.100.9:5070"), "a", ";tag=b", routes, &o);
	assert_int_equal(stand.sent[2].target.to.port, 5070);
	stop();
}

static void no_token_for_whom_his_contact_reaches(void **state)
{
	struct origin o;

	start(SOCKETS FLOWS);
	arrive("INVITE", TO("198.51.100.9:5070"), "a", "", "", UDP);
	lacks(0, "vf=", "plain UDP");
	/* what an upstream sends over a connection that we opened needs no way back */
	o = came_by(TCP, PEER);
	o.outbound = true;
	arrive_by("INVITE", TO("198.51.100.9:5070"), "a", "", "", &o);
	lacks(1, "vf=", "outbound");
	stop();
}

/* Tokens that nobody made, or made elsewhere: the Contact decides, as without. */
static void forged_tokens_are_nothing(void **state)
{
	static const char *const tokens[] = { "", "0", "00", "zz", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "%00%00",
		"110000000002000000070000000313c4c0000201aaaaaaaaaaaaaaaa", "ffffffffffffffffffffffffffffffffffffffffffffffffffffffff" };
	char routes[1024];

	start(SOCKETS FLOWS);
	for (size_t i = 0; i < COUNT_OF(tokens); i++) {
		snprintf(routes, sizeof routes, "Route: <sip:192.0.2.1;lr;ftag=a;vf=%s>\r\n", tokens[i]);
		int before = stand.nsent;
		arrive("BYE", "sip:alice@203.0.113.99:7000", "b", ";tag=a", routes, UDP);
		if (stand.nsent != before + 1)
			continue;       /* not a message at all */
		if (!view_starts(stand_text(before), VIEW("BYE")))
			continue;
		assert_int_equal(stand.sent[before].target.to.port, 7000);
		assert_false(ref_set(stand.sent[before].target.flow));
	}
	assert_true(stand.nsent >= 5);
	stop();
}

/* A token of before a restart is signed with another key. */
static void tokens_end_with_the_process(void **state)
{
	char routes[2048];

	start(SOCKETS FLOWS);
	arrive("INVITE", TO("198.51.100.9:5070"), "a", "", "", TCP);
	callees_routes(0, routes, sizeof routes);
	stand.w.key.k0 ^= 1;
	arrive("BYE", "sip:alice@203.0.113.99:7000", "b", ";tag=a", routes, UDP);
	assert_false(ref_set(stand.sent[1].target.flow));
	assert_int_equal(stand.sent[1].target.to.port, 7000);
	stop();
}

static void tokens_towards_every_kind_of_client(void **state)
{
	static const struct { const char *socket, *line; } kinds[] = {
		{ "tls:192.0.2.1:5061", "Record-Route: <sip:192.0.2.1;transport=tls;r2=on;lr;ftag=a;vf=" },
		{ "ws:192.0.2.1:80", "Record-Route: <sip:192.0.2.1;transport=ws;r2=on;lr;ftag=a;vf=" },
		{ "wss:192.0.2.1:443", "Record-Route: <sip:192.0.2.1;transport=wss;r2=on;lr;ftag=a;vf=" },
	};
	char routes[2048];

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		start(MORE_SOCKETS FLOWS);
		arrive("INVITE", TO("198.51.100.9:5070"), "a", "", "", kinds[i].socket);
		has(0, kinds[i].line, kinds[i].socket);
		has(0, "\r\nRecord-Route: <sip:192.0.2.1;r2=on;lr;ftag=a>\r\n", kinds[i].socket);
		callees_routes(0, routes, sizeof routes);
		arrive("BYE", "sip:alice@browser.invalid;transport=ws", "b", ";tag=a", routes, UDP);
		assert_int_equal(stand.nsent, 2);
		has(1, "BYE sip:alice@browser.invalid;transport=ws ", kinds[i].socket);
		lacks(1, "\r\nRoute:", kinds[i].socket);
		assert_true(ref_set(stand.sent[1].target.flow) && stand.sent[1].target.flow.slot == 7);
		assert_true(view_is(stand.sent[1].target.from->text, view_str(kinds[i].socket)));
		stop();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(route_sets), cmocka_unit_test(broken_routes_route_nothing), cmocka_unit_test(twice_is_once), cmocka_unit_test(script_edits_and_cuts_compose),
		cmocka_unit_test(parameters_and_direction), cmocka_unit_test(record_routes), cmocka_unit_test(long_names_fit),
		cmocka_unit_test(preset_text_cannot_break_the_line), cmocka_unit_test(each_branch_by_its_own_side), cmocka_unit_test(branches_record_for_themselves),
		cmocka_unit_test(parameters_of_a_branch), cmocka_unit_test(a_failure_route_records_its_branches), cmocka_unit_test(datagrams_return_through_the_balancer),
		cmocka_unit_test(no_token_for_whom_his_contact_reaches), cmocka_unit_test(forged_tokens_are_nothing), cmocka_unit_test(tokens_end_with_the_process),
		cmocka_unit_test(tokens_towards_every_kind_of_client),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
