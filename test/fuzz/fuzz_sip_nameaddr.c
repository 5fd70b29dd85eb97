/* sip_nameaddr_next: every element taken alone reads the same; lists and parameters end. */
#include "wire/sip/sip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[1 << 12];
	struct view in = view_of((const char *)data, size), rest = in, name, value;
	struct sip_nameaddr who, alone;
	size_t before = rest.n + 1;
	while (sip_nameaddr_next(&rest, &who) == SIP_OK) {
		must(rest.n < before);
		before = rest.n;
		struct view whole = who.whole, params = who.params;
		must(sip_nameaddr_next(&whole, &alone) == SIP_OK && !whole.n);
		must(view_is(alone.uri, who.uri) && view_is(alone.display, who.display) && view_is(alone.params, who.params));
		must(alone.star == who.star && alone.brackets == who.brackets);
		while (sip_param_next(&params, &name, &value))
			must(sip_token(name));
	}
	struct out o = out_to(text, sizeof text);
	sip_unfold(in, &o);
	uint32_t number;
	if (sip_cseq_parse(in, &number, &name))
		must(sip_token(name));
	while (sip_list_next(&in, &value))
		must(value.n);
	return 0;
}
