/* A message as one JSON object: {"first_line": ..., "headers": {"Name": ["value", ...]}, "body": ...}. */
#include "mod/sipmsgops/sipmsgops.h"

/* RFC 8259 7.  What is not ASCII goes as \u00HH, byte by byte: SIP bytes need not be UTF-8, and the text must be. */
static void put_json(struct out *o, struct view v)
{
	put_char(o, '"');
	for (size_t i = 0; i < v.n; i++) {
		unsigned char c = (unsigned char)v.p[i];
		if (c == '"' || c == '\\') {
			put_char(o, '\\');
			put_char(o, (char)c);
		} else if (c < ' ' || c >= 0x7f) {
			putf(o, "\\u%04x", c);
		} else {
			put_char(o, (char)c);
		}
	}
	put_char(o, '"');
}

/* Every value of one name stands at its first header. */
static bool named_before(const struct sip_msg *m, uint16_t i)
{
	return sip_find(m, m->hdr[i].name, 0) != i;
}

int f_sip_to_json(struct run *r, const struct arg *a)
{
	const struct sip_msg *m = &r->msg->sip;
	size_t                cap = m->bytes.n * 6 + (size_t)m->nhdr * 16 + 128;
	char                 *space = arena_alloc(r->tmp, cap);
	struct out            o = out_to(space, cap);
	bool                  comma = false;

	if (!space)
		return SCRIPT_FALSE;
	put(&o, VIEW("{\"first_line\":"));
	put_json(&o, view_trim(m->start_line));
	put(&o, VIEW(",\"headers\":{"));
	for (uint16_t i = 0; i < m->nhdr; i++) {
		if (named_before(m, i))
			continue;
		if (comma)
			put_char(&o, ',');
		comma = true;
		put_json(&o, m->hdr[i].id == HDR_OTHER ? m->hdr[i].name : sip_hdr_name(m->hdr[i].id));
		put(&o, VIEW(":["));
		for (uint16_t k = i; k != SIP_NO_HDR; k = sip_find(m, m->hdr[i].name, (uint16_t)(k + 1))) {
			if (k != i)
				put_char(&o, ',');
			put_json(&o, m->hdr[k].value);
		}
		put_char(&o, ']');
	}
	put(&o, VIEW("},\"body\":"));
	put_json(&o, m->body);
	put_char(&o, '}');

	const struct value v = value_str(out_view(&o));
	return yes(!o.full && lvalue_set(r, a[0].var, &v) > 0);
}
