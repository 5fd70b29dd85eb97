/* PROXY protocol version 1 as it comes, and behind its signature so that every input reaches the fields. */
#include "pp_invariants.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char signature[] = "PROXY ";
	uint8_t room[512];

	pp_check(data, n, PP_ACCEPT_V1, PP_SIZE_DEFAULT);
	if (n > sizeof room - 6)
		n = sizeof room - 6;
	memcpy(room, signature, 6);
	memcpy(room + 6, data, n);
	pp_check(room, n + 6, PP_ACCEPT_STREAM, PP_SIZE_DEFAULT);
	return 0;
}
