/* wire/sip/frame.c -- where a message ends on a stream, and the glance that dispatch needs.  One reading of a length, or the
 * connection is over: RFC 3261 18.3, 20.14. */
#include "wire/sip/lex.h"

/* *scan while the head is incomplete: where the search goes on.  Afterwards: this mark and the length of the whole frame. */
#define SCAN_LENGTH_KNOWN ((size_t)1 << (sizeof(size_t) * 8 - 1))

static enum sip_status bad(struct sip_frame *out, enum sip_fault why, size_t used)
{
	out->why = why;
	out->used = used;
	return SIP_BAD;
}

/* The head of a message that is refused, if it is there: an answer needs it.  A line end of any kind counts here. */
static size_t refused_head(struct view in)
{
	size_t line = 0;
	while (line < in.n) {
		const char *nl = memchr(in.p + line, '\n', in.n - line);
		if (!nl)
			return 0;
		size_t next = (size_t)(nl - in.p) + 1;
		if (next - line == 1 || (next - line == 2 && in.p[line] == '\r'))
			return next;
		line = next;
	}
	return 0;
}

/* CRLFs between messages.  A lone pair of bytes is given out at once: a pong must not wait for what may never come. */
static enum sip_status line_ends(struct view in, struct sip_frame *out)
{
	if (in.n < 2)
		return SIP_MORE;
	if (in.p[1] != '\n')
		return bad(out, SIP_FAULT_BAD_BYTE, 0);
	if (in.n == 3 && in.p[2] == '\r')
		return SIP_MORE;
	bool ping = in.n >= 4 && in.p[2] == '\r' && in.p[3] == '\n';
	out->kind = ping ? SIP_FRAME_PING : SIP_FRAME_CRLF;
	out->used = ping ? 4 : 2;
	return SIP_OK;
}

/* Find the empty line.  SIP_OK: *head_end; a byte that can never become part of a header section is BAD at once. */
static enum sip_status find_head(struct view in, size_t *scan, size_t *head_end)
{
	const char *end = in.p + in.n, *p = in.p + *scan;
	for (;;) {
		p = wide_scan(p, end, STOP_CONTROL);
		*scan = (size_t)(p - in.p);
		if (p == end)
			return SIP_MORE;
		if (*p == '\r') {
			if (end - p < 2)
				return SIP_MORE;
			if (p[1] != '\n')
				return SIP_BAD;
			p += 2;
			if (p - in.p >= 4 && p[-3] == '\n') {
				*head_end = (size_t)(p - in.p);
				return SIP_OK;
			}
		} else if (*p == '\t' || (*p != '\n' && p > in.p && p[-1] == '\\')) {
			p++;           /* a quoted pair is judged with its line */
		} else {
			return SIP_BAD;
		}
	}
}

/* Judge a complete head: every line well formed, exactly one length. */
static enum sip_fault judge_head(struct view head, uint64_t *length)
{
	const char *at = head.p, *end = head.p + head.n;
	struct start start;
	struct line line;
	bool found = false;
	bool whole = lex_start(&at, end, &start);
	must(whole);          /* find_head() saw the empty line */
	if (start.why == SIP_FAULT_NOT_SIP || start.why == SIP_FAULT_BAD_BYTE)
		return start.why;
	while (lex_line(&at, end, &line) == LINE_HEADER) {
		if (line.why)
			return line.why;
		if (line.id != HDR_CONTENT_LENGTH)
			continue;
		if (found || !lex_number(line.value, INT32_MAX, length))
			return SIP_FAULT_BAD_LENGTH;
		found = true;
	}
	return line.why ? line.why : found ? SIP_FAULT_NONE : SIP_FAULT_NO_LENGTH;
}

enum sip_status sip_frame(struct view in, size_t max, size_t *scan, struct sip_frame *out)
{
	*out = (struct sip_frame){ .kind = SIP_FRAME_MESSAGE };
	if (!in.n)
		return SIP_MORE;
	if (!(*scan & SCAN_LENGTH_KNOWN)) {
		if (in.p[0] == '\r')
			return line_ends(in, out);
		/* Binary noise and another protocol are refused at their first byte, a head without end at its bound. */
		if (!lex_is(in.p[0], C_TOKEN))
			return bad(out, SIP_FAULT_NOT_SIP, 0);
		size_t head = 0, bound = max < MSG_HEAD_BYTES ? max : MSG_HEAD_BYTES;
		enum sip_status st = find_head(in, scan, &head);
		if (st == SIP_BAD)
			return bad(out, SIP_FAULT_BAD_BYTE, refused_head(in));
		if (st == SIP_MORE)
			return in.n < bound ? SIP_MORE : bad(out, SIP_FAULT_TOO_LONG, 0);
		if (head > bound)
			return bad(out, SIP_FAULT_TOO_LONG, head);
		uint64_t length = 0;
		enum sip_fault why = judge_head(view_sub(in, 0, head), &length);
		if (!why && length + head > max)
			why = SIP_FAULT_TOO_LONG;
		if (why)
			return bad(out, why, head);
		*scan = SCAN_LENGTH_KNOWN | (head + (size_t)length);
	}
	out->used = *scan & ~SCAN_LENGTH_KNOWN;
	return in.n >= out->used ? SIP_OK : SIP_MORE;
}

/* ---- peek ---- */

static void peek_line(const struct line *line, struct sip_peek *out, bool *via)
{
	struct view rest = line->value;
	struct sip_via top;
	uint32_t number;
	switch (line->id) {
	case HDR_VIA:
		if (!*via && sip_via_next(&rest, &top) == SIP_OK)
			out->branch = top.branch;
		*via = true;
		break;
	case HDR_CALL_ID:
		if (!out->call_id.n)
			out->call_id = line->value;
		break;
	case HDR_CSEQ:
		if (out->response && !out->method.n)
			sip_cseq_parse(line->value, &number, &out->method);
		break;
	default:
		break;
	}
}

bool sip_peek(struct view in, struct sip_peek *out)
{
	const char *at = in.p, *end = cursor_of(in).end;
	struct start start;
	struct line line;
	bool via = false;
	*out = (struct sip_peek){ .response = false };
	if (!lex_start(&at, end, &start) || start.why == SIP_FAULT_NOT_SIP || start.why == SIP_FAULT_BAD_STATUS)
		return false;
	out->response = start.status != 0;
	if (!out->response)
		out->method = start.method;
	for (unsigned lines = 0; lines < MSG_MAX_HEADERS && lex_line(&at, end, &line) == LINE_HEADER; lines++) {
		if (!line.why)
			peek_line(&line, out, &via);
		if (via && out->call_id.n && out->method.n)
			break;
	}
	return out->call_id.n != 0;
}
