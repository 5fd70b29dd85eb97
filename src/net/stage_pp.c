/* net/stage_pp.c -- the PROXY header on a stream, before TLS, upgrade and SIP: read on connections that came in, written on those
 * we opened.  What a sender may and must do is decided by configuration and its address alone (design section 3). */
#include "net/stage.h"

enum pp_step {
	PP_READ_HEADER,     /* a header must come */
	PP_READ_MAYBE,      /* a header may come */
	PP_READ_SECOND,     /* a trusted sender's client may have sent one of its own: strip it */
	PP_WRITE_HEADER,
	PP_WATCH,           /* payload flows; a header at its start is counted and ends the connection */
	PP_PASS,            /* payload flows */
};
struct pp_state {
	uint8_t          step, match_v1, match_v2;     /* PP_WATCH: bytes of each signature seen so far */
	bool             trusted, dead_v1, dead_v2;
	enum net_counter unwanted;
	uint32_t         n, off, cap;                  /* bytes read and not yet passed on; header bytes written */
	char            *bytes;
};
enum { PP_READ_STEP = 512 };

/* Of version 2 as much as no payload of ours can begin with: the rest may come too late to be counted. */
static const char v2_signature[5] = { '\r', '\n', '\r', '\n', 0 };
static const char v1_signature[6] = { 'P', 'R', 'O', 'X', 'Y', ' ' };

static bool listed(const struct cidr_list *l, const struct addr *a)
{
	for (size_t i = 0; i < l->n; i++)
		if (cidr_has(&l->list[i], a))
			return true;
	return false;
}

struct pp_verdict pp_policy(const struct socket_conf *s, const struct addr *from)
{
	bool in = listed(&s->pp_peers, from);

	if (s->pp_mode == PP_MODE_OFF)
		return (struct pp_verdict){ PP_EXPECT_NONE, false, NETC_pp_unexpected };
	if (in)
		return (struct pp_verdict){ PP_EXPECT_HEADER, true, NETC_pp_stacked };
	if (s->pp_mode == PP_MODE_REQUIRE)
		return (struct pp_verdict){ PP_EXPECT_REFUSE_SENDER, false, NETC_pp_refused_source };
	if (!s->pp_peers.given)
		return (struct pp_verdict){ PP_EXPECT_MAYBE, false, NETC_pp_stacked };
	return (struct pp_verdict){ PP_EXPECT_NONE, false, NETC_pp_untrusted };
}

static struct pp_state *pp_state(const struct conn *c, unsigned at)
{
	return c->state[at];
}

static void pp_log(const struct conn *c, const char *what, struct view detail)
{
	char from[ADDR_TEXT_MAX];
	struct view f = addr_text(&c->origin.wire_src, from);

	log_at(L_WARN, "net: " VIEW_FMT ": connection from " VIEW_FMT " closed: %s%s" VIEW_FMT,
		VIEW_ARG(c->origin.socket->text), VIEW_ARG(f), what, detail.n ? ": " : "", VIEW_ARG(detail));
}

static enum io pp_refuse(struct conn *c, enum net_counter why, const char *what)
{
	pp_log(c, what, VIEW_NONE);
	conn_fail(c, why, SEND_DEAD);
	return IO_ERR;
}

/* ---- reading ---- */

static struct pp_state *pp_state_new(struct conn *c, unsigned at)
{
	struct pp_state *s = calloc(1, sizeof *s);

	c->state[at] = s;
	if (!s)
		return NULL;
	if (c->origin.outbound) {
		s->step = c->header.n ? PP_WRITE_HEADER : PP_PASS;
		return s;
	}
	struct pp_verdict v = pp_policy(c->origin.socket, &c->origin.wire_src);
	static const uint8_t first[] = { [PP_EXPECT_HEADER] = PP_READ_HEADER, [PP_EXPECT_MAYBE] = PP_READ_MAYBE, [PP_EXPECT_NONE] = PP_WATCH };
	must(v.expect != PP_EXPECT_REFUSE_SENDER);      /* the listener let it in */
	s->step = first[v.expect];
	s->trusted = v.trusted;
	s->unwanted = v.unwanted;
	return s;
}

/* Read some more into the stage's own bytes. */
static enum io pp_fill(struct conn *c, unsigned at, struct pp_state *s)
{
	size_t got, room = PP_READ_STEP;
	bool whole;
	enum io r = stage_recv(c, at - 1, c->net->scratch, room, &got, &whole);

	if (got) {
		if (s->n + got > s->cap) {
			char *more = realloc(s->bytes, s->n + got);
			if (!more)
				return IO_ERR;
			s->bytes = more;
			s->cap = (uint32_t)(s->n + got);
		}
		memcpy(s->bytes + s->n, c->net->scratch, got);
		s->n += (uint32_t)got;
	}
	return r;
}

static void pp_watch_second(struct pp_state *s)
{
	s->step = PP_WATCH;
	s->unwanted = NETC_pp_stacked;
}

/* The header stands whole at the start of s->bytes. */
static bool pp_accept(struct conn *c, struct pp_state *s, size_t used)
{
	must(used > 0 && used <= s->n);
	struct view head = view_of(s->bytes, used);

	if (s->step != PP_READ_SECOND) {
		struct facts *f = facts_new(head);
		if (!f)
			return false;
		origin_take_pp(&c->origin, f, PP_ACCEPT_STREAM, s->trusted);
		net_count(c->net, NETC_pp_read);
		if (f->pp.local)
			net_count(c->net, NETC_pp_local);
	}
	s->n -= (uint32_t)used;
	memmove(s->bytes, s->bytes + used, s->n);
	if (s->step == PP_READ_HEADER && s->trusted && c->origin.socket->pp_strip_second)
		s->step = PP_READ_SECOND;
	else
		pp_watch_second(s);
	return true;
}

static enum io pp_bad(struct conn *c, struct pp_state *s, enum pp_reject why)
{
	must(why < COUNT_OF(c->net->counts.pp_reject));
	tally_add(&c->net->counts.pp_reject[why], 1);
	pp_log(c, "bad PROXY header", pp_reject_text(why));
	conn_fail(c, why == PP_REJ_NO_HEADER ? NETC_pp_missing : NETC_COUNT, SEND_DEAD);
	return IO_ERR;
}

/* Judge what is there.  IO_OK: nothing more to read for this stage. */
static enum io pp_judge(struct conn *c, struct pp_state *s)
{
	while (s->step == PP_READ_HEADER || s->step == PP_READ_MAYBE || s->step == PP_READ_SECOND) {
		struct view in = view_of(s->bytes, s->n);
		if (s->step != PP_READ_HEADER) {
			enum pp_sniff k = pp_sniff(in, PP_ACCEPT_STREAM);
			if (k == PP_SNIFF_MAYBE)
				return s->step == PP_READ_SECOND && s->n == 0 ? IO_OK : IO_AGAIN;
			if (k == PP_SNIFF_NO) {
				s->step = PP_PASS;
				return IO_OK;
			}
		}
		struct pp_info info;
		size_t used;
		enum pp_reject why;
		switch (pp_decode(in, c->origin.socket->pp_size, PP_ACCEPT_STREAM, &info, &used, &why)) {
		case PP_MORE:
			return IO_AGAIN;
		case PP_BAD:
			return pp_bad(c, s, why);
		case PP_OK:
			if (!pp_accept(c, s, used))
				return IO_ERR;
			break;
		}
	}
	return IO_OK;
}

static enum io pp_write(struct conn *c, unsigned at, struct pp_state *s)
{
	must(c->origin.outbound && c->header.n);
	while (s->off < c->header.n) {
		struct iovec v = { (char *)c->header.p + s->off, c->header.n - s->off };
		size_t sent;
		enum io r = stage_send(c, at - 1, &v, 1, &sent);
		s->off += (uint32_t)sent;
		if (r != IO_OK)
			return r;
	}
	net_count(c->net, NETC_pp_sent);
	s->step = PP_PASS;
	return IO_OK;
}

static enum io pp_open(struct conn *c, unsigned at)
{
	struct pp_state *s = pp_state(c, at);

	if (!s)
		s = pp_state_new(c, at);
	if (!s)
		return IO_ERR;
	if (s->step == PP_WRITE_HEADER)
		return pp_write(c, at, s);
	for (;;) {
		/* After the first header the connection is usable at once; a second one is looked for in the first payload. */
		enum io r = pp_judge(c, s);
		if (r != IO_AGAIN || s->step == PP_READ_SECOND)
			return r == IO_AGAIN ? IO_OK : r;
		r = pp_fill(c, at, s);
		if (r == IO_EOF && s->n)
			return pp_refuse(c, NETC_pp_missing, "it ended within the PROXY header");
		if (r != IO_OK)
			return r;
	}
}

static uint32_t pp_patience(const struct conn *c)
{
	return c->origin.outbound ? c->net->conf->connect_ms : c->origin.socket->pp_timeout_ms;
}

/* Where a header is optional, silence and a bare CRLF keepalive are a bare connection in the end; where it is required, its
 * absence is the verdict. */
static bool pp_late(struct conn *c, unsigned at)
{
	struct pp_state *s = pp_state(c, at);

	if (s && s->step == PP_READ_MAYBE && pp_sniff(view_of(s->bytes, s->n), PP_ACCEPT_STREAM) == PP_SNIFF_MAYBE) {
		pp_watch_second(s);
		s->unwanted = NETC_pp_timeout;
		return true;
	}
	if (s && s->step != PP_WRITE_HEADER)
		pp_refuse(c, NETC_pp_timeout, "no PROXY header in time");
	return false;
}

/* ---- payload ---- */

static bool match(const char *signature, size_t size, const char *p, size_t n, uint8_t *seen, bool *dead)
{
	for (size_t i = 0; i < n && !*dead && *seen < size; i++) {
		if (p[i] == signature[*seen])
			++*seen;
		else
			*dead = true;
	}
	return *seen == size;
}

/* True when a header starts the payload.  Bytes are passed on meanwhile: a prefix of a header is no complete SIP message, and
 * CRLFCRLF deserves its answer at once where no header may come (reference R15). */
static bool pp_seen(struct pp_state *s, const char *p, size_t n)
{
	bool v1 = match(v1_signature, sizeof v1_signature, p, n, &s->match_v1, &s->dead_v1);
	bool v2 = match(v2_signature, sizeof v2_signature, p, n, &s->match_v2, &s->dead_v2);

	if (s->dead_v1 && s->dead_v2)
		s->step = PP_PASS;
	return v1 || v2;
}

/* Hand out the bytes read too far. */
static size_t pp_left(struct pp_state *s, char *p, size_t n)
{
	must(s->n && s->bytes);
	size_t k = s->n < n ? s->n : n;

	memcpy(p, s->bytes, k);
	s->n -= (uint32_t)k;
	memmove(s->bytes, s->bytes + k, s->n);
	if (!s->n) {
		free(s->bytes);
		s->bytes = NULL;
		s->cap = 0;
	}
	return k;
}

static enum io pp_second(struct conn *c, unsigned at, struct pp_state *s)
{
	for (;;) {
		enum io r = pp_judge(c, s);
		if (s->step != PP_READ_SECOND || r == IO_ERR)
			return r;
		r = pp_fill(c, at, s);
		if (r != IO_OK)
			return r;
	}
}

static enum io pp_unwanted(struct conn *c, struct pp_state *s)
{
	return pp_refuse(c, s->unwanted, s->unwanted == NETC_pp_stacked ? "a second PROXY header" : "a PROXY header that must not be");
}

/* TLS and HTTP begin like no header: a few bytes can be held back until it is clear what they are, and the header is counted
 * as what it is instead of as a broken handshake. */
static enum io pp_hold(struct conn *c, unsigned at, struct pp_state *s)
{
	for (;;) {
		enum pp_sniff k = pp_sniff(view_of(s->bytes, s->n), PP_ACCEPT_STREAM);
		if (k == PP_SNIFF_NO) {
			s->step = PP_PASS;
			return IO_OK;
		}
		if (k != PP_SNIFF_MAYBE)
			return pp_unwanted(c, s);
		enum io r = pp_fill(c, at, s);
		if (r != IO_OK)
			return r;
	}
}

static enum io pp_recv(struct conn *c, unsigned at, char *p, size_t n, size_t *got, bool *whole)
{
	struct pp_state *s = pp_state(c, at);
	enum io r = IO_OK;

	*got = 0;
	*whole = false;
	if (!s)
		return IO_ERR;
	if (s->step == PP_READ_SECOND) {
		r = pp_second(c, at, s);
		if (r != IO_OK)
			return r;
	}
	if (s->step == PP_WATCH && c->origin.transport != TR_TCP) {
		r = pp_hold(c, at, s);
		if (r != IO_OK)
			return r;
	}
	if (s->n)
		*got = pp_left(s, p, n);
	else
		r = stage_recv(c, at - 1, p, n, got, whole);
	if (s->step == PP_WATCH && *got && pp_seen(s, p, *got)) {
		*got = 0;
		return pp_unwanted(c, s);
	}
	return r;
}

static void pp_close(struct conn *c, unsigned at, bool polite)
{
	struct pp_state *s = pp_state(c, at);

	if (s)
		free(s->bytes);
	free(s);
	c->state[at] = NULL;
}

const struct stage_ops stage_pp = { .name = "pp", .open = pp_open, .patience = pp_patience, .late = pp_late, .recv = pp_recv, .close = pp_close };
