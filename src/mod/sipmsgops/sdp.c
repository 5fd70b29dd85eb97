/* Session descriptions (RFC 8866): codecs and streams.  Works line by line and keeps every line that it need not change. */
#include "mod/sipmsgops/sipmsgops.h"

enum { FORMATS_MAX = 64 };      /* payload types of one stream that are looked at; a stream with more is left alone */

/* Payload types that need no rtpmap (RFC 3551 6). */
static const struct { uint8_t type; struct view name; uint32_t clock; } statics[] = {
	{ 0, VIEW_INIT("PCMU"), 8000 },   { 3, VIEW_INIT("GSM"), 8000 },    { 4, VIEW_INIT("G723"), 8000 },   { 5, VIEW_INIT("DVI4"), 8000 },
	{ 6, VIEW_INIT("DVI4"), 16000 },  { 7, VIEW_INIT("LPC"), 8000 },    { 8, VIEW_INIT("PCMA"), 8000 },   { 9, VIEW_INIT("G722"), 8000 },
	{ 10, VIEW_INIT("L16"), 44100 },  { 11, VIEW_INIT("L16"), 44100 },  { 12, VIEW_INIT("QCELP"), 8000 }, { 13, VIEW_INIT("CN"), 8000 },
	{ 14, VIEW_INIT("MPA"), 90000 },  { 15, VIEW_INIT("G728"), 8000 },  { 16, VIEW_INIT("DVI4"), 11025 }, { 17, VIEW_INIT("DVI4"), 22050 },
	{ 18, VIEW_INIT("G729"), 8000 },  { 25, VIEW_INIT("CelB"), 90000 }, { 26, VIEW_INIT("JPEG"), 90000 }, { 28, VIEW_INIT("nv"), 90000 },
	{ 31, VIEW_INIT("H261"), 90000 }, { 32, VIEW_INIT("MPV"), 90000 },  { 33, VIEW_INIT("MP2T"), 90000 }, { 34, VIEW_INIT("H263"), 90000 },
};

/* Next line: `whole` with its end, the result without. */
static bool line_next(struct view *rest, struct view *whole, struct view *text)
{
	if (!rest->n)
		return false;
	size_t end = view_find(*rest, '\n');
	*whole = view_sub(*rest, 0, end + 1);
	*text = view_sub(*rest, 0, end);
	if (text->n && text->p[text->n - 1] == '\r')
		text->n--;
	*rest = view_from(*rest, end + 1);
	return true;
}

/* Everything before the first m= line, then one stream per call; false at the end. */
static bool section_next(struct view *rest, struct view *section)
{
	struct view all = *rest, whole, text;

	if (!line_next(rest, &whole, &text))
		return false;
	while (rest->n && !view_starts(*rest, VIEW("m=")))
		line_next(rest, &whole, &text);
	*section = view_sub(all, 0, all.n - rest->n);
	return true;
}

static bool is_stream(struct view section) { return view_starts(section, VIEW("m=")); }

/* m=<media> <port> <proto> <fmt> ... */
struct stream { struct view line, end /* its CRLF */, media, port, proto, formats, attributes; };

static bool stream_read(struct view section, struct stream *s)
{
	struct view rest = section, whole, text;

	if (!is_stream(section) || !line_next(&rest, &whole, &text))
		return false;
	s->line = text;
	s->end = view_from(whole, text.n);
	s->attributes = rest;
	text = view_from(text, 2);
	s->media = view_cut(&text, ' ');
	s->port = view_cut(&text, ' ');
	s->proto = view_cut(&text, ' ');
	s->formats = text;
	return s->media.n && s->port.n && s->proto.n;
}

/* ---- codecs ------------------------------------------------------------------------------------------------------------------------ */

enum codec_op { CODEC_EXISTS, CODEC_DELETE, CODEC_UP, CODEC_DOWN };
struct wanted { struct view name; uint32_t clock; /* 0 = any */ const struct regex *re; bool except; };
struct format { struct view text; bool hit; };

/* Payload type that an attribute line speaks of: a=rtpmap:97 ..., a=fmtp:97 ..., a=rtcp-fb:97 ...; empty for others. */
static struct view payload_of(struct view line, bool *map, struct view *value)
{
	static const struct view names[] = { VIEW_INIT("a=rtpmap:"), VIEW_INIT("a=fmtp:"), VIEW_INIT("a=rtcp-fb:") };

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (!view_starts_ci(line, names[i]))
			continue;
		*map = i == 0;
		*value = view_from(line, names[i].n);
		return view_cut(value, ' ');
	}
	return VIEW_NONE;
}

static bool codec_named(const struct stream *s, struct view format, struct view *name, uint32_t *clock)
{
	struct view rest = s->attributes, whole, text, value;
	uint32_t    number;
	bool        map;

	while (line_next(&rest, &whole, &text)) {
		if (!view_is(payload_of(text, &map, &value), format) || !map)
			continue;
		value = view_trim(value);
		*name = view_cut(&value, '/');
		if (!view_u32(view_cut(&value, '/'), clock))
			*clock = 0;
		return true;
	}
	for (size_t i = 0; view_u32(format, &number) && i < COUNT_OF(statics); i++)
		if (statics[i].type == number) {
			*name = statics[i].name;
			*clock = statics[i].clock;
			return true;
		}
	return false;
}

static bool codec_hit(const struct stream *s, struct view format, const struct wanted *w)
{
	struct view name;
	uint32_t    clock;

	if (!codec_named(s, format, &name, &clock))
		return false;
	if (w->re)
		return (regex_match(w->re, name, 0, NULL, 0) > 0) != w->except;
	return view_is_ci(name, w->name) && (!w->clock || w->clock == clock);
}

/* The payload types of a stream; 0 when it is not RTP, or has too many. */
static size_t formats_of(const struct stream *s, const struct wanted *w, struct format *list, size_t *hits)
{
	struct view rest = s->formats;
	size_t      n = 0;

	*hits = 0;
	if (view_find_view(s->proto, VIEW("RTP/")) == s->proto.n)
		return 0;
	while (rest.n) {
		struct view one = view_cut(&rest, ' ');
		if (!one.n)
			continue;
		if (n == FORMATS_MAX)
			return 0;
		list[n] = (struct format){ one, codec_hit(s, one, w) };
		*hits += list[n++].hit;
	}
	return n;
}

static void put_formats(struct out *o, const struct format *list, size_t n, bool hit)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].hit == hit) {
			put_char(o, ' ');
			put(o, list[i].text);
		}
}

static bool is_deleted(const struct format *list, size_t n, struct view text)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].hit && view_is(list[i].text, text))
			return true;
	return false;
}

/* A stream that loses its last codec is refused instead: port 0 with one codec left, for an m= line needs one (RFC 3264 6). */
static void put_stream(struct out *o, const struct stream *s, struct format *list, size_t n, size_t hits, enum codec_op op)
{
	struct view rest = s->attributes, whole, text, value;
	bool        map, refuse = op == CODEC_DELETE && hits == n;

	must(hits && hits <= n);
	if (refuse)
		list[0].hit = false;
	put(o, VIEW("m="));
	put(o, s->media);
	put_char(o, ' ');
	put(o, refuse ? VIEW("0") : s->port);
	put_char(o, ' ');
	put(o, s->proto);
	if (op == CODEC_UP)
		put_formats(o, list, n, true);
	put_formats(o, list, n, false);
	if (op == CODEC_DOWN)
		put_formats(o, list, n, true);
	put(o, s->end);
	while (line_next(&rest, &whole, &text)) {
		struct view payload = payload_of(text, &map, &value);
		if (op != CODEC_DELETE || !payload.n || !is_deleted(list, n, payload))
			put(o, whole);
	}
}

static int codecs(struct run *r, const struct wanted *w, enum codec_op op)
{
	struct view   sdp, rest, section;
	struct format list[FORMATS_MAX];
	struct stream s;
	bool          any = false;

	must(w->re || !w->except);
	if (!body_find(r, VIEW("application/sdp"), &sdp))
		return SCRIPT_FALSE;

	size_t     cap = sdp.n + 16 * 64;
	char      *space = op == CODEC_EXISTS ? NULL : arena_alloc(r->msg->arena, cap);
	struct out o = out_to(space, space ? cap : 0);
	if (!space && op != CODEC_EXISTS)
		return SCRIPT_FALSE;
	for (rest = sdp; section_next(&rest, &section); ) {
		size_t hits = 0, n = stream_read(section, &s) ? formats_of(&s, w, list, &hits) : 0;
		any |= hits > 0;
		if (op == CODEC_EXISTS)
			continue;
		if (hits)
			put_stream(&o, &s, list, n, hits, op);
		else
			put(&o, section);
	}
	if (!any || op == CODEC_EXISTS)
		return yes(any);
	return yes(!o.full && body_replace(r, sdp, out_view(&o)));
}

static int codecs_named(struct run *r, const struct arg *a, enum codec_op op)
{
	struct wanted w = { .name = view_trim(a[0].s) };

	if (a[1].given && a[1].s.n && !view_u32(view_trim(a[1].s), &w.clock))
		return SCRIPT_FALSE;
	return codecs(r, &w, op);
}

static int codecs_like(struct run *r, const struct arg *a, enum codec_op op, bool except)
{
	const struct wanted w = { .re = a[0].re, .except = except };

	return codecs(r, &w, op);
}

int f_codec_exists(struct run *r, const struct arg *a)           { return codecs_named(r, a, CODEC_EXISTS); }
int f_codec_exists_re(struct run *r, const struct arg *a)        { return codecs_like(r, a, CODEC_EXISTS, false); }
int f_codec_delete(struct run *r, const struct arg *a)           { return codecs_named(r, a, CODEC_DELETE); }
int f_codec_delete_re(struct run *r, const struct arg *a)        { return codecs_like(r, a, CODEC_DELETE, false); }
int f_codec_delete_except_re(struct run *r, const struct arg *a) { return codecs_like(r, a, CODEC_DELETE, true); }
int f_codec_move_up(struct run *r, const struct arg *a)          { return codecs_named(r, a, CODEC_UP); }
int f_codec_move_up_re(struct run *r, const struct arg *a)       { return codecs_like(r, a, CODEC_UP, false); }
int f_codec_move_down(struct run *r, const struct arg *a)        { return codecs_named(r, a, CODEC_DOWN); }
int f_codec_move_down_re(struct run *r, const struct arg *a)     { return codecs_like(r, a, CODEC_DOWN, false); }

/* ---- streams ------------------------------------------------------------------------------------------------------------------------- */

static bool stream_hit(struct view section, const struct arg *a)
{
	struct stream s;

	return stream_read(section, &s) && regex_match(a[0].re, s.media, 0, NULL, 0) > 0 &&
		(!a[1].given || regex_match(a[1].re, s.proto, 0, NULL, 0) > 0);
}

int f_stream_exists(struct run *r, const struct arg *a)
{
	struct view sdp, rest, section;

	if (!body_find(r, VIEW("application/sdp"), &sdp))
		return SCRIPT_FALSE;
	for (rest = sdp; section_next(&rest, &section); )
		if (stream_hit(section, a))
			return SCRIPT_TRUE;
	return SCRIPT_FALSE;
}

int f_stream_delete(struct run *r, const struct arg *a)
{
	struct view sdp, rest, section;
	char       *space;
	bool        any = false;

	if (!body_find(r, VIEW("application/sdp"), &sdp) || !(space = arena_alloc(r->msg->arena, sdp.n)))
		return SCRIPT_FALSE;
	struct out o = out_to(space, sdp.n);
	for (rest = sdp; section_next(&rest, &section); ) {
		if (stream_hit(section, a))
			any = true;
		else
			put(&o, section);
	}
	return yes(any && body_replace(r, sdp, out_view(&o)));
}

/* ---- hold ---------------------------------------------------------------------------------------------------------------------------- */

enum hold { HOLD_UNSAID, HOLD_NO, HOLD_NULL_ADDRESS, HOLD_DIRECTION };

/* What the lines of a section say, address and direction apart. */
static void hold_read(struct view section, enum hold *address, enum hold *direction)
{
	struct view whole, text;

	while (line_next(&section, &whole, &text)) {
		if (view_starts(text, VIEW("c=")))
			*address = view_is(text, VIEW("c=IN IP4 0.0.0.0")) || view_is(text, VIEW("c=IN IP6 ::")) ? HOLD_NULL_ADDRESS : HOLD_NO;
		else if (view_is(text, VIEW("a=sendonly")) || view_is(text, VIEW("a=inactive")))
			*direction = HOLD_DIRECTION;
		else if (view_is(text, VIEW("a=sendrecv")) || view_is(text, VIEW("a=recvonly")))
			*direction = HOLD_NO;
	}
}

int f_is_audio_on_hold(struct run *r, const struct arg *a)
{
	enum hold     address = HOLD_UNSAID, direction = HOLD_UNSAID;
	struct view   sdp, rest, section;
	struct stream s;

	if (!body_find(r, VIEW("application/sdp"), &sdp))
		return SCRIPT_FALSE;
	for (rest = sdp; section_next(&rest, &section); ) {
		if (!is_stream(section)) {
			hold_read(section, &address, &direction);
			continue;
		}
		if (!stream_read(section, &s) || !view_is_ci(s.media, VIEW("audio")))
			continue;
		/* The stream's own word stands over the session's (RFC 8866 5.7, 6.7). */
		enum hold own_address = address, own_direction = direction;
		hold_read(section, &own_address, &own_direction);
		if (own_address == HOLD_NULL_ADDRESS)
			return 1;
		if (own_direction == HOLD_DIRECTION)
			return 2;
	}
	return SCRIPT_FALSE;
}

bool sdp_fine(struct view sdp)
{
	static const struct view must_have[] = { VIEW_INIT("v="), VIEW_INIT("o="), VIEW_INIT("s="), VIEW_INIT("t=") };
	struct view   rest = sdp, whole, text, section;
	struct stream s;
	size_t        have = 0;

	while (line_next(&rest, &whole, &text)) {
		if (text.n < 2 || text.p[1] != '=' || text.p[0] < 'a' || text.p[0] > 'z')
			return false;
		if (have < COUNT_OF(must_have) && view_starts(text, must_have[have]))
			have++;
		else if (have == 0 || (text.p[0] == 'm' && have < COUNT_OF(must_have)))
			return false;
	}
	for (rest = sdp; section_next(&rest, &section); )
		if (is_stream(section) && !stream_read(section, &s))
			return false;
	return have == COUNT_OF(must_have);
}
