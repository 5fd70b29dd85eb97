/* PROXY protocol version 2 as it comes; and with signature, version and a fitting length put right, a checksum too where
 * one is begun, so that every input reaches the TLVs. */
#include "pp_invariants.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void mend_checksum(uint8_t *header, size_t n, size_t at)
{
	while (at + 3 <= n) {
		size_t length = (size_t)header[at + 1] << 8 | header[at + 2];
		if (length > n - at - 3)
			return;
		if (header[at] == PP_TLV_CRC32C && length == 4) {
			memset(header + at + 3, 0, 4);
			uint32_t sum = crc32c(0, header, n);
			for (int i = 0; i < 4; i++)
				header[at + 3 + i] = (uint8_t)(sum >> (24 - 8 * i));
			return;
		}
		at += 3 + length;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";
	static const uint8_t families[] = { 0x11, 0x12, 0x21, 0x22, 0x00, 0x31 };
	static const size_t blocks[] = { 12, 12, 36, 36, 0, 216 };
	static uint8_t room[8192];

	pp_check(data, n, PP_ACCEPT_V2, PP_SIZE_DEFAULT);
	if (n == 0)
		return 0;
	size_t pick = data[0] % 6, block = blocks[pick];
	if (n > sizeof room - 16 - block)
		n = sizeof room - 16 - block;
	size_t length = n - 1 + block;
	memcpy(room, signature, 12);
	room[12] = data[0] & 0x80 ? 0x20 : 0x21;
	room[13] = families[pick];
	room[14] = (uint8_t)(length >> 8);
	room[15] = (uint8_t)length;
	memset(room + 16, data[0], block);
	memcpy(room + 16 + block, data + 1, n - 1);
	mend_checksum(room, 16 + length, 16 + block);
	pp_check(room, 16 + length, PP_ACCEPT_STREAM, PP_HEADER_MAX);
	return 0;
}
