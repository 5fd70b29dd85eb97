/* wire/sip/names.c -- the fixed vocabulary: header names, methods, reason phrases, faults. */
#include "wire/sip/lex.h"

/* ---- headers ---- */

static const struct view header_name[HDR_COUNT] = {
#define H(id, name, compact, list, single) [HDR_##id] = VIEW_INIT(name),
#include "wire/sip/headers.def"
#undef H
};
static const char header_compact[HDR_COUNT] = {
#define H(id, name, compact, list, single) [HDR_##id] = compact,
#include "wire/sip/headers.def"
#undef H
};

enum { SLOTS = 256, EMPTY = HDR_OTHER };
_Static_assert(HDR_COUNT < SLOTS / 2, "the header table is at most half full");

static uint8_t slot[SLOTS];          /* open addressing: header id or EMPTY; written before main only */
static wide    header_word[HDR_COUNT];   /* names shorter than WIDE, as wide_load_part() reads them */
static uint8_t compact_id[256];      /* by letter, both cases */

static unsigned name_hash(struct view v)
{
	/* The bit folds letters; that it folds other bytes too only costs a comparison. */
	unsigned first = (uint8_t)v.p[0] | 0x20u, mid = (uint8_t)v.p[v.n / 2] | 0x20u, last = (uint8_t)v.p[v.n - 1] | 0x20u;
	return ((unsigned)v.n * 131 + first * 31 + mid * 57 + last * 7) % SLOTS;
}

/* Built from headers.def before main, so that adding a header stays one line there and lookup needs no comparison with more
 * than a name or two. */
__attribute__((constructor)) static void build_tables(void)
{
	memset(slot, EMPTY, sizeof slot);
	memset(compact_id, HDR_OTHER, sizeof compact_id);
	for (unsigned id = 0; id < HDR_COUNT; id++) {
		unsigned at = name_hash(header_name[id]);
		while (slot[at] != EMPTY)
			at = (at + 1) % SLOTS;
		slot[at] = (uint8_t)id;
		if (header_name[id].n < WIDE)
			header_word[id] = wide_load_part(header_name[id].p, header_name[id].n);
		uint8_t letter = (uint8_t)header_compact[id];
		if (letter)
			compact_id[letter] = compact_id[letter & ~0x20u] = (uint8_t)id;
	}
}

/* Any spelling, from that slot on. */
static __attribute__((noinline)) enum sip_hdr_id search(struct view name, unsigned at)
{
	for (; slot[at] != EMPTY; at = (at + 1) % SLOTS)
		if (lex_same(header_name[slot[at]], name))
			return (enum sip_hdr_id)slot[at];
	return HDR_OTHER;
}

enum sip_hdr_id sip_hdr_id(struct view name)
{
	if (name.n < 2)
		return name.n ? (enum sip_hdr_id)compact_id[(uint8_t)name.p[0]] : HDR_OTHER;
	unsigned at = name_hash(name), id = slot[at];
	if (id == EMPTY)
		return HDR_OTHER;
	/* Nearly always: a name in its own slot, spelt as in the RFC. */
	if (name.n == header_name[id].n && name.n < WIDE &&
	    wide_first((wide)(wide_load_part(name.p, name.n) != header_word[id])) == WIDE)
		return (enum sip_hdr_id)id;
	return search(name, at);
}

struct view sip_hdr_name(enum sip_hdr_id id)
{
	must((unsigned)id < HDR_COUNT);
	return header_name[id];
}

/* ---- methods ---- */

static const struct { struct view name; enum sip_method id; } methods[] = {
	{ VIEW_INIT("INVITE"), SIP_INVITE }, { VIEW_INIT("ACK"), SIP_ACK }, { VIEW_INIT("BYE"), SIP_BYE },
	{ VIEW_INIT("REGISTER"), SIP_REGISTER }, { VIEW_INIT("OPTIONS"), SIP_OPTIONS }, { VIEW_INIT("CANCEL"), SIP_CANCEL },
	{ VIEW_INIT("INFO"), SIP_INFO }, { VIEW_INIT("UPDATE"), SIP_UPDATE }, { VIEW_INIT("MESSAGE"), SIP_MESSAGE },
	{ VIEW_INIT("SUBSCRIBE"), SIP_SUBSCRIBE }, { VIEW_INIT("NOTIFY"), SIP_NOTIFY }, { VIEW_INIT("PRACK"), SIP_PRACK },
	{ VIEW_INIT("REFER"), SIP_REFER }, { VIEW_INIT("PUBLISH"), SIP_PUBLISH },
};

enum sip_method sip_method_of(struct view v)
{
	for (size_t i = 0; i < COUNT_OF(methods); i++)
		if (methods[i].name.n == v.n && memcmp(methods[i].name.p, v.p, v.n) == 0)
			return methods[i].id;
	return SIP_OTHER;
}

/* ---- faults ---- */

static const struct { uint16_t status; struct view text; } faults[SIP_FAULT_COUNT] = {
#define F(id, status, text) [SIP_FAULT_##id] = { status, VIEW_INIT(text) },
	SIP_FAULTS(F)
#undef F
};

uint16_t sip_fault_status(enum sip_fault f)
{
	must((unsigned)f < SIP_FAULT_COUNT);
	return faults[f].status;
}

struct view sip_fault_text(enum sip_fault f)
{
	must((unsigned)f < SIP_FAULT_COUNT);
	return faults[f].text;
}

/* ---- reason phrases: RFC 3261 21, and the IANA registry of response codes ---- */

static const struct view phrases[600] = {
#define P(status, text) [(status) - 100] = VIEW_INIT(text)
	P(100, "Trying"), P(180, "Ringing"), P(181, "Call Is Being Forwarded"), P(182, "Queued"),
	P(183, "Session Progress"), P(199, "Early Dialog Terminated"),
	P(200, "OK"), P(202, "Accepted"), P(204, "No Notification"),
	P(300, "Multiple Choices"), P(301, "Moved Permanently"), P(302, "Moved Temporarily"), P(305, "Use Proxy"),
	P(380, "Alternative Service"),
	P(400, "Bad Request"), P(401, "Unauthorized"), P(402, "Payment Required"), P(403, "Forbidden"), P(404, "Not Found"),
	P(405, "Method Not Allowed"), P(406, "Not Acceptable"), P(407, "Proxy Authentication Required"),
	P(408, "Request Timeout"), P(410, "Gone"), P(412, "Conditional Request Failed"), P(413, "Request Entity Too Large"),
	P(414, "Request-URI Too Long"), P(415, "Unsupported Media Type"), P(416, "Unsupported URI Scheme"),
	P(417, "Unknown Resource-Priority"), P(420, "Bad Extension"), P(421, "Extension Required"),
	P(422, "Session Interval Too Small"), P(423, "Interval Too Brief"), P(424, "Bad Location Information"),
	P(425, "Bad Alert Message"), P(428, "Use Identity Header"), P(429, "Provide Referrer Identity"), P(430, "Flow Failed"),
	P(433, "Anonymity Disallowed"), P(436, "Bad Identity Info"), P(437, "Unsupported Credential"),
	P(438, "Invalid Identity Header"), P(439, "First Hop Lacks Outbound Support"), P(440, "Max-Breadth Exceeded"),
	P(469, "Bad Info Package"), P(470, "Consent Needed"), P(480, "Temporarily Unavailable"),
	P(481, "Call/Transaction Does Not Exist"), P(482, "Loop Detected"), P(483, "Too Many Hops"),
	P(484, "Address Incomplete"), P(485, "Ambiguous"), P(486, "Busy Here"), P(487, "Request Terminated"),
	P(488, "Not Acceptable Here"), P(489, "Bad Event"), P(491, "Request Pending"), P(493, "Undecipherable"),
	P(494, "Security Agreement Required"),
	P(500, "Server Internal Error"), P(501, "Not Implemented"), P(502, "Bad Gateway"), P(503, "Service Unavailable"),
	P(504, "Server Time-out"), P(505, "Version Not Supported"), P(513, "Message Too Large"),
	P(555, "Push Notification Service Not Supported"), P(580, "Precondition Failure"),
	P(600, "Busy Everywhere"), P(603, "Decline"), P(604, "Does Not Exist Anywhere"), P(606, "Not Acceptable"),
	P(607, "Unwanted"), P(608, "Rejected"),
#undef P
};

struct view sip_reason_phrase(uint16_t status)
{
	if (status < 100 || status > 699 || !phrases[status - 100].n)
		return VIEW("Unknown");
	return phrases[status - 100];
}
