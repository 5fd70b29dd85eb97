/* sip_frame: the split of the bytes does not matter, and what it cuts is what sip_parse reads. */
#include "wire/sip/sip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sip_hdr space[MSG_MAX_HEADERS];

static void check_cut(struct view msg)
{
	struct sip_msg m;
	enum sip_fault why = sip_parse(msg, true, space, COUNT_OF(space), &m);
	must(why != SIP_FAULT_BAD_LENGTH && why != SIP_FAULT_NO_LENGTH && why != SIP_FAULT_SHORT_BODY);
	must(why != SIP_FAULT_BAD_BYTE && why != SIP_FAULT_BAD_HEADER && why != SIP_FAULT_NO_HEAD_END && why != SIP_FAULT_NOT_SIP);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	size_t step = data[0] % 64 + 1;
	struct view in = view_of((const char *)data + 1, size - 1);
	while (in.n) {
		struct sip_frame whole, part;
		size_t scan = 0, n = 0;
		enum sip_status want = sip_frame(in, MSG_MAX_BYTES, &scan, &whole), got = SIP_MORE;
		bool crlf = in.p[0] == '\r';     /* a ping may be seen as two single line ends, by contract */
		scan = 0;
		while (got == SIP_MORE && n < in.n) {
			n = n + step < in.n ? n + step : in.n;
			got = sip_frame(view_sub(in, 0, n), MSG_MAX_BYTES, &scan, &part);
		}
		must(crlf || got == want);
		if (want != SIP_OK)
			break;
		must(whole.used && whole.used <= in.n && (crlf || part.used == whole.used));
		if (whole.kind == SIP_FRAME_MESSAGE)
			check_cut(view_sub(in, 0, whole.used));
		in = view_from(in, whole.used);
	}
	return 0;
}
