/* test/fuzz/pp_invariants.h -- what holds for every input of the PROXY decoders; a violation aborts. */
#ifndef FUZZ_PP_INVARIANTS_H
#define FUZZ_PP_INVARIANTS_H
#include "wire/pp/pp.h"
#include "base/base.h"

static inline bool pp_same_addr(struct addr a, struct addr b)
{
	addr_unmap(&a);
	addr_unmap(&b);
	return a.af == b.af && a.port == b.port && memcmp(a.ip, b.ip, sizeof a.ip) == 0;
}

/* Walk everything a reader could ask for. */
static inline void pp_read_all(const struct pp_info *info)
{
	static char room[1 << 18];
	struct out o = out_to(room, sizeof room);
	struct view rest = info->tlvs;
	struct pp_tlv t;

	while (pp_tlv_next(&rest, &t))
		pp_put_text_or_hex(&o, t.value);
	must(rest.n == 0);
	for (int f = 0; f < PP_FIELD_COUNT; f++) {
		o = out_to(room, sizeof room);
		if (pp_field_put(&o, info, (enum pp_field)f, PP_TLV_AUTHORITY))
			must(!o.full && (f == PP_FIELD_TLV || f == PP_FIELD_UNIQUE_ID || pp_is_text(out_view(&o))));
		else
			must(o.n == 0);
	}
}

/* The header written again from its facts says the same. */
static inline void pp_write_again(const struct pp_info *info)
{
	char room[PP_V1_MAX];
	struct out o = out_to(room, sizeof room);
	struct pp_info again;
	size_t used;
	enum pp_reject why;

	if (info->version == PP_V1) {
		must(pp_write_v1(&o, &info->src, &info->dst));
	} else if (info->version == PP_V2) {
		struct pp_out h = { .local = info->local, .proto = info->proto ? info->proto : PP_STREAM, .src = info->src, .dst = info->dst };
		must(pp_write_v2(&o, &h));
	} else {
		must(pp_write_spp(&o, &info->src, &info->dst));
	}
	must(pp_decode(out_view(&o), PP_HEADER_MAX, PP_ACCEPT_DGRAM, &again, &used, &why) == PP_OK && used == o.n);
	must(again.version == info->version && again.local == info->local);
	must(pp_same_addr(again.src, info->src) && pp_same_addr(again.dst, info->dst));
}

/* Decode in exact-size heap copies (so that a step outside is seen) for the whole input and for its prefixes. */
static inline void pp_check(const uint8_t *data, size_t n, unsigned accept, size_t max_size)
{
	struct pp_info whole, part;
	size_t used = 0, part_used = 0;
	enum pp_reject why, part_why;
	enum pp_status end = pp_decode(view_of((const char *)data, n), max_size, accept, &whole, &used, &why);

	must((end == PP_BAD) == (why != PP_REJ_NONE) && why < PP_REJ_COUNT);
	must(end != PP_MORE || n < max_size);
	if (end == PP_OK) {
		must(used > 0 && used <= n && used <= max_size);
		must(whole.local == (whole.src.af == AF_NONE) && whole.local == (whole.dst.af == AF_NONE));
		pp_read_all(&whole);
		pp_write_again(&whole);
	}
	size_t step = n > 256 ? n / 256 : 1;
	for (size_t cut = 0; cut <= n; cut += step) {
		char *copy = malloc(cut ? cut : 1);
		if (!copy)
			return;
		memcpy(copy, data, cut);
		enum pp_status s = pp_decode(view_of(copy, cut), max_size, accept, &part, &part_used, &part_why);
		if (end == PP_OK && cut >= used)
			must(s == PP_OK && part_used == used && pp_same_addr(part.src, whole.src) && pp_same_addr(part.dst, whole.dst));
		else if (end == PP_BAD)
			must(s == PP_MORE || (s == PP_BAD && part_why == why));
		else
			must(s == PP_MORE);
		must(pp_decode_dgram(view_of(copy, cut), max_size, accept, &part, &part_used, &part_why) != PP_MORE);
		free(copy);
	}
}
#endif
