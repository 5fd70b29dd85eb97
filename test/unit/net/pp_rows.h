/* test/unit/net/pp_rows.h -- the policy table of PROXY headers on streams (design section 3), one row per decision. */
#ifndef NET_PP_ROWS_H
#define NET_PP_ROWS_H
#include "kit.h"

#define V1 "PROXY TCP4 192.0.2.7 198.51.100.1 4711 5060\r\n"
static const char v2[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\x07\xc6\x33\x64\x01\x12\x67\x13\xc4";
static const char v2_local[] = "\r\n\r\n\0\r\nQUIT\n\x20\x11\0\x0c\1\2\3\4\5\6\7\x08\0\1\0\2";

enum outcome { SERVED_REAL, SERVED_BARE, CLOSED };
struct row {
	const char      *name;
	enum pp_mode     mode;
	bool             given, listed;
	const char      *header;
	size_t           n;
	enum outcome     want;
	enum net_counter counter;         /* must be 1 afterwards; NETC_COUNT: none */
};
#define H(s) (s), sizeof (s) - 1
static const struct row rows[] = {
	{ "off, bare",                 PP_MODE_OFF,     false, false, H(""),       SERVED_BARE, NETC_COUNT },
	{ "off, v1",                   PP_MODE_OFF,     false, false, H(V1),       CLOSED,      NETC_pp_unexpected },
	{ "off, v2",                   PP_MODE_OFF,     false, false, H(v2),       CLOSED,      NETC_pp_unexpected },
	{ "allow list, listed, v1",    PP_MODE_ALLOW,   true,  true,  H(V1),       SERVED_REAL, NETC_pp_read },
	{ "allow list, listed, v2",    PP_MODE_ALLOW,   true,  true,  H(v2),       SERVED_REAL, NETC_pp_read },
	{ "allow list, listed, local", PP_MODE_ALLOW,   true,  true,  H(v2_local), SERVED_BARE, NETC_pp_local },
	{ "allow list, listed, unknown", PP_MODE_ALLOW, true,  true,  H("PROXY UNKNOWN\r\n"), SERVED_BARE, NETC_pp_local },
	{ "allow list, listed, bare",  PP_MODE_ALLOW,   true,  true,  H(""),       CLOSED,      NETC_pp_missing },
	{ "allow list, other, bare",   PP_MODE_ALLOW,   true,  false, H(""),       SERVED_BARE, NETC_COUNT },
	{ "allow list, other, v1",     PP_MODE_ALLOW,   true,  false, H(V1),       CLOSED,      NETC_pp_untrusted },
	{ "allow list, other, v2",     PP_MODE_ALLOW,   true,  false, H(v2),       CLOSED,      NETC_pp_untrusted },
	{ "allow, bare",               PP_MODE_ALLOW,   false, false, H(""),       SERVED_BARE, NETC_COUNT },
	{ "allow, v1",                 PP_MODE_ALLOW,   false, false, H(V1),       SERVED_REAL, NETC_pp_read },
	{ "allow, v2",                 PP_MODE_ALLOW,   false, false, H(v2),       SERVED_REAL, NETC_pp_read },
	{ "require, listed, v1",       PP_MODE_REQUIRE, true,  true,  H(V1),       SERVED_REAL, NETC_pp_read },
	{ "require, listed, v2",       PP_MODE_REQUIRE, true,  true,  H(v2),       SERVED_REAL, NETC_pp_read },
	{ "require, listed, bare",     PP_MODE_REQUIRE, true,  true,  H(""),       CLOSED,      NETC_pp_missing },
	{ "require, other, v1",        PP_MODE_REQUIRE, true,  false, H(V1),       CLOSED,      NETC_pp_refused_source },
	{ "require, other, bare",      PP_MODE_REQUIRE, true,  false, H(""),       CLOSED,      NETC_pp_refused_source },
	{ "require, no list",          PP_MODE_REQUIRE, false, false, H(V1),       CLOSED,      NETC_pp_refused_source },
	{ "listed, v1 twice",          PP_MODE_ALLOW,   true,  true,  H(V1 V1),    CLOSED,      NETC_pp_stacked },
	{ "listed, bad octet",         PP_MODE_ALLOW,   true,  true,  H("PROXY TCP4 192.0.2.256 198.51.100.1 4711 5060\r\n"), CLOSED, NETC_COUNT },
};

static const struct cidr loopback_list[] = { { { .af = AF_V4, .ip = { 127, 0, 0, 1 } }, 32 } };
static const struct cidr other_list[] = { { { .af = AF_V4, .ip = { 10 } }, 8 } };

static inline void row_applies(const struct row *r, struct socket_conf *s)
{
	s->pp_mode = r->mode;
	if (r->given)
		s->pp_peers = (struct cidr_list){ r->listed ? loopback_list : other_list, 1, true };
}
#endif
