/* sip_via_next: every element taken alone reads the same, and the list ends. */
#include "wire/sip/sip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view rest = view_of((const char *)data, size);
	struct sip_via via, alone;
	size_t before = rest.n + 1;
	while (sip_via_next(&rest, &via) == SIP_OK) {
		must(rest.n < before);
		before = rest.n;
		struct view whole = via.whole, value;
		must(sip_via_next(&whole, &alone) == SIP_OK && !whole.n);
		must(view_is(alone.host, via.host) && alone.port == via.port && view_is(alone.branch, via.branch));
		must(view_is(alone.params, via.params) && view_is(alone.comment, via.comment) && view_is(alone.whole, via.whole));
		must(!via.branch.n || (sip_param(via.params, VIEW("branch"), &value) && view_is(value, via.branch)));
		must(!via.received.n || (sip_param(via.params, VIEW("received"), &value) && view_is(value, via.received)));
		must(via.has_rport == sip_param(via.params, VIEW("rport"), &value));
	}
	return 0;
}
