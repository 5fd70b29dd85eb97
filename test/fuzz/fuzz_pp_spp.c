/* Datagrams of any version, and SPP behind its magic. */
#include "pp_invariants.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t room[256] = { 0x56, 0xec };

	pp_check(data, n, PP_ACCEPT_DGRAM, PP_SIZE_DEFAULT);
	if (n > sizeof room - 2)
		n = sizeof room - 2;
	memcpy(room + 2, data, n);
	pp_check(room, n + 2, PP_ACCEPT_SPP, PP_SIZE_DEFAULT);
	pp_check(room, n + 2, PP_ACCEPT_DGRAM, 37);
	return 0;
}
