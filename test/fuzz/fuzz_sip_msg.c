/* sip_parse, sip_validate, sip_peek and what walks their result: no fault of memory, and no two of them disagree. */
#include "wire/sip/sip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sip_hdr space[MSG_MAX_HEADERS];

static void check_lines(const struct sip_msg *m, bool tiles)
{
	const char *at = m->head.p;
	for (uint16_t i = 0; i < m->nhdr; i++) {
		const struct sip_hdr *h = &m->hdr[i];
		must(!tiles || h->line.p == at);
		at = h->line.p + h->line.n;
		must(h->name.p >= h->line.p && h->value.p + h->value.n <= at);
		must(sip_hdr_id(h->name) == h->id && sip_find(m, h->name, i) == i);
		struct view rest = h->value, item;
		while (sip_list_next(&rest, &item))
			must(item.n);
	}
	must(!tiles || at == m->head.p + m->head.n);
}

static void check_elements(const struct sip_msg *m)
{
	static const enum sip_hdr_id ids[] = { HDR_FROM, HDR_TO, HDR_CONTACT, HDR_ROUTE, HDR_RECORD_ROUTE, HDR_PATH };
	for (size_t i = 0; i < COUNT_OF(ids); i++) {
		struct sip_walk w = sip_walk(m, ids[i]);
		struct sip_nameaddr who;
		while (sip_walk_nameaddr(&w, &who, NULL) == SIP_OK)
			must(who.uri.n && who.whole.n >= who.uri.n);
	}
	struct sip_walk w = sip_walk(m, HDR_VIA);
	struct sip_via via;
	while (sip_walk_via(&w, &via, NULL) == SIP_OK)
		must(via.host.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view in = view_of((const char *)data, size);
	struct sip_msg m;
	struct sip_peek peek;
	bool seen = sip_peek(in, &peek);
	enum sip_fault why = sip_parse(in, false, space, COUNT_OF(space), &m);
	check_lines(&m, why == SIP_FAULT_NONE);
	check_elements(&m);
	sip_answerable(&m);
	enum sip_fault deep = sip_validate(&m);
	if (why == SIP_FAULT_NONE && deep == SIP_FAULT_NONE) {
		/* What dispatch saw is what the message says. */
		struct sip_via via;
		must(seen && view_is(peek.call_id, m.call_id) && peek.response == !sip_is_request(&m));
		must(sip_top_via(&m, &via) && view_is(via.branch, peek.branch));
		must(view_is(peek.method, m.cseq_method));
		/* The message alone, without what followed it, reads the same. */
		struct sip_msg again;
		static struct sip_hdr more[MSG_MAX_HEADERS];
		must(sip_parse(m.bytes, false, more, COUNT_OF(more), &again) == SIP_FAULT_NONE && view_is(again.body, m.body));
	}
	return 0;
}
