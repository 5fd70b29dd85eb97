#include "base/unit.h"
#include "wall.h"

static const struct hash_key key = { 0x0706050403020100u, 0x0f0e0d0c0b0a0908u };

/* SipHash-2-4 of the bytes 00 01 .. n-1 for n = 0..63 under the key 00 01 .. 0f, as in the appendix of the SipHash paper. */
static const uint64_t vectors[64] = {
	0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
	0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
	0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
	0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5,
	0x3f2acc7f57c29bdb, 0x699ae9f52cbe4794, 0x4bc1b3f0968dd39c, 0xbb6dc91da77961bd,
	0xbed65cf21aa2ee98, 0xd0f2cbb02e3b67c7, 0x93536795e3a33e88, 0xa80c038ccd5ccec8,
	0xb8ad50c6f649af94, 0xbce192de8a85b8ea, 0x17d835b85bbb15f3, 0x2f2e6163076bcfad,
	0xde4daaaca71dc9a5, 0xa6a2506687956571, 0xad87a3535c49ef28, 0x32d892fad841c342,
	0x7127512f72f27cce, 0xa7f32346f95978e3, 0x12e0b01abb051238, 0x15e034d40fa197ae,
	0x314dffbe0815a3b4, 0x027990f029623981, 0xcadcd4e59ef40c4d, 0x9abfd8766a33735c,
	0x0e3ea96b5304a7d0, 0xad0c42d6fc585992, 0x187306c89bc215a9, 0xd4a60abcf3792b95,
	0xf935451de4f21df2, 0xa9538f0419755787, 0xdb9acddff56ca510, 0xd06c98cd5c0975eb,
	0xe612a3cb9ecba951, 0xc766e62cfcadaf96, 0xee64435a9752fe72, 0xa192d576b245165a,
	0x0a8787bf8ecb74b2, 0x81b3e73d20b49b6f, 0x7fa8220ba3b2ecea, 0x245731c13ca42499,
	0xb78dbfaf3a8d83bd, 0xea1ad565322a1a0b, 0x60e61c23a3795013, 0x6606d7e446282b93,
	0x6ca4ecb15c5f91e1, 0x9f626da15c9625f3, 0xe51b38608ef25f57, 0x958a324ceb064572,
};

static void siphash_is_siphash24(void **state)
{
	char bytes[64];

	for (int i = 0; i < 64; i++)
		bytes[i] = (char)i;
	for (size_t n = 0; n < 64; n++)
		assert_int_equal(siphash_view(key, against_wall(view_of(bytes, n))), vectors[n]);
}

static void siphash_ci_folds_ascii_only(void **state)
{
	char any[256], lower[256];

	for (int i = 0; i < 256; i++) {
		any[i] = (char)i;
		lower[i] = ascii_lower((char)i);
	}
	for (size_t at = 0; at < 256; at++)
		for (size_t n = 0; n <= 20 && at + n <= 256; n++)
			assert_int_equal(siphash_ci(key, against_wall(view_of(any + at, n))), siphash(key, lower + at, n));
	assert_int_not_equal(siphash_ci(key, VIEW("@[")), siphash_ci(key, VIEW("`{")));
}

static void key_matters(void **state)
{
	struct hash_key other = { key.k0 ^ 1, key.k1 };

	assert_int_not_equal(siphash(key, "x", 1), siphash(other, "x", 1));
}

static void crc32c_vectors(void **state)
{
	char bytes[32];

	assert_int_equal(crc32c(0, "", 0), 0);
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	/* RFC 3720 B.4 */
	memset(bytes, 0, 32);
	assert_int_equal(crc32c(0, bytes, 32), 0x8a9136aa);
	memset(bytes, 0xff, 32);
	assert_int_equal(crc32c(0, bytes, 32), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		bytes[i] = (char)i;
	assert_int_equal(crc32c(0, bytes, 32), 0x46dd794e);
	for (int i = 0; i < 32; i++)
		bytes[i] = (char)(31 - i);
	assert_int_equal(crc32c(0, bytes, 32), 0x113fdb5c);
}

static void crc32_ieee_vectors(void **state)
{
	assert_int_equal(crc32_ieee(0, "", 0), 0);
	assert_int_equal(crc32_ieee(0, "123456789", 9), 0xcbf43926);
	assert_int_equal(crc32_ieee(0, "The quick brown fox jumps over the lazy dog", 43), 0x414fa339);
}

/* The sum of a whole is the sum of its second part begun with that of its first. */
static void crcs_go_on(void **state)
{
	struct view v = VIEW("PROXY TCP4 192.0.2.1 192.0.2.2 5062 5060\r\n");

	for (size_t n = 0; n <= v.n; n++) {
		assert_int_equal(crc32c(crc32c(0, v.p, n), v.p + n, v.n - n), crc32c(0, v.p, v.n));
		assert_int_equal(crc32_ieee(crc32_ieee(0, v.p, n), v.p + n, v.n - n), crc32_ieee(0, v.p, v.n));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash_is_siphash24), cmocka_unit_test(siphash_ci_folds_ascii_only), cmocka_unit_test(key_matters),
		cmocka_unit_test(crc32c_vectors), cmocka_unit_test(crc32_ieee_vectors), cmocka_unit_test(crcs_go_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
