/* wire/sip/lex.h -- private to wire/sip: byte classes, blanks, header lines.
 * Every scanner here stops at its end pointer and reads no byte at or behind it. */
#ifndef WIRE_SIP_LEX_H
#define WIRE_SIP_LEX_H
#include "wire/sip/sip.h"
#include "wire/sip/wide.h"

enum {
	C_TOKEN  = 1,     /* RFC 3261 25.1 token */
	C_BLANK  = 2,     /* SP HT, and CR LF: inside a header value those are always a fold */
	C_HOST   = 4,     /* letters, digits, - . and _ which real host names carry */
	C_LABEL  = 8,     /* as C_HOST without the dot */
	C_URI    = 16,    /* anything a URI may hold; %HH is checked apart */
	C_SCHEME = 32,
	C_NAME   = 64,    /* unquoted display name: tokens, and raw UTF-8 as many phones send it */
	C_DIGIT  = 128,
};
extern const uint8_t sip_class[256];
static inline bool lex_is(char c, unsigned classes) { return sip_class[(uint8_t)c] & classes; }

struct cursor { const char *p, *end; };
static inline struct cursor cursor_of(struct view v) { return (struct cursor){ v.p, v.n ? v.p + v.n : v.p }; }
static inline bool cursor_at(const struct cursor *c, char want) { return c->p < c->end && *c->p == want; }
static inline struct view cursor_rest(const struct cursor *c) { return view_of(c->p, (size_t)(c->end - c->p)); }
static inline void lex_blanks(struct cursor *c)
{
	const char *p = c->p, *end = c->end;
	while (p < end && lex_is(*p, C_BLANK))
		p++;
	c->p = p;
}
/* Longest run of a class; may be empty. */
static inline struct view lex_run(struct cursor *c, unsigned classes)
{
	const char *from = c->p, *p = from, *end = c->end;
	while (p < end && lex_is(*p, classes))
		p++;
	c->p = p;
	return view_of(from, (size_t)(p - from));
}
/* Blanks, the byte, blanks: SEMI, COMMA, SLASH, EQUAL, COLON of RFC 3261 25.1.  Moves only on success. */
static inline bool lex_sep(struct cursor *c, char want)
{
	const char *p = c->p;
	while (p < c->end && lex_is(*p, C_BLANK))
		p++;
	if (p == c->end || *p != want)
		return false;
	c->p = p + 1;
	lex_blanks(c);
	return true;
}
static inline struct view lex_trim(const char *p, const char *end)
{
	while (p < end && lex_is(*p, C_BLANK))
		p++;
	while (p < end && lex_is(end[-1], C_BLANK))
		end--;
	return view_of(p, (size_t)(end - p));
}
/* Equal, letters in any case; the exact spelling first, as it is the common one.  Of the two lengths b's goes to memcmp: where b
 * is a literal, that makes it a compare of a word or two. */
static inline bool lex_same(struct view a, struct view b)
{
	return a.n == b.n && (b.n == 0 || memcmp(a.p, b.p, b.n) == 0 || view_is_ci(a, b));
}
/* The quoted string that begins at the cursor, quotes included; false when it does not end. */
bool lex_quoted(struct cursor *c, struct view *out);
/* Decimal digits only, at most `max`. */
bool lex_number(struct view v, uint64_t max, uint64_t *out);
/* ";name[=value]" after the ';' and its blanks: strict, a name is demanded.  True with the cursor behind it. */
bool lex_param(struct cursor *c, struct view *name, struct view *value);
/* Behind an element of a comma list: a comma with something after it, or the end. */
bool lex_list_end(struct cursor *c);
/* host [":" port] of a URI or a sent-by: name, IPv4 or [IPv6]; blanks around the colon only if `loose`. */
bool lex_hostport(struct cursor *c, bool loose, struct view *host, struct view *port_text, uint16_t *port);
/* Every % is followed by two hexadecimal digits. */
bool lex_escapes(struct view v);
/* sip_nameaddr_next() that also looks for "tag" among the parameters: the first value (VIEW_NONE without one), and how many. */
struct tags { struct view first; unsigned n; };
enum sip_status nameaddr_tagged(struct view *rest, struct sip_nameaddr *out, struct tags *tags);

/* ---- header lines: shared by parse, frame and peek, so that no two of them can disagree on where a line ends ---- */

enum line_kind { LINE_HEADER, LINE_END /* the empty line */, LINE_CUT /* the input ends first */ };
struct line {
	struct view    whole, name, value;     /* as struct sip_hdr; meaningful when why is NONE, as is id */
	enum sip_hdr_id id;
	enum sip_fault why;
};
/* The line at *at, with its folds; *at moves behind it.  A bad line has `why` set and is stepped over, so that the rest can
 * be indexed for an answer. */
enum line_kind lex_line(const char **at, const char *end, struct line *out);

struct start {
	struct view    line, method, ruri, reason;
	uint16_t       status;
	enum sip_fault why;
};
/* The start line at *at; false when no line end was found.  why = NOT_SIP when no SIP version stands where it must. */
bool lex_start(const char **at, const char *end, struct start *out);
#endif
