#include "base/checksum.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

/* Files keep checksums: these values hold for ever. */
static void known_checksums_stay_as_they_are(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        uint64_t sum;
    } known[] = {
        {"", UINT64_C(0x0000000000000000)},
        {"a", UINT64_C(0x9dcdb956a54dc7e1)},
        {"01234567", UINT64_C(0xa2b4cd3b9de4883b)},
        {"0123456789", UINT64_C(0x94f6001d95c9ed87)},
        {"abc", UINT64_C(0x19cb527f11d5d917)},
        {"abcde", UINT64_C(0x52a0680a635f2a82)},
        {"0123456789abcdef", UINT64_C(0x34c07e75ace040ae)},
        {"The quick brown fox jumps over the lazy dog", UINT64_C(0xb9e02bea60c75399)},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        assert_int_equal(checksum_bytes(0, str_from(known[i].bytes)), known[i].sum);
    assert_int_equal(checksum_numbers(0, 1795459080123456, 7), UINT64_C(0x6c592492fb3b0b97));
}

/* A copy without a byte to spare, so that reading on shows. */
static uint64_t sum_of(const char *bytes, size_t len)
{
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    uint64_t sum = checksum_bytes(0, (struct str){copy, len});
    free(copy);
    return sum;
}

static void each_bit_counts_whatever_the_length(void **state)
{
    (void)state;
    char bytes[70];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)('a' + i % 26);
    for (size_t len = 1; len <= sizeof(bytes); len++) {
        uint64_t sum = sum_of(bytes, len);
        for (size_t bit = 0; bit < len * 8; bit++) {
            bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
            assert_int_not_equal((uint32_t)sum_of(bytes, len), (uint32_t)sum);
            bytes[bit / 8] = (char)(bytes[bit / 8] ^ (1 << bit % 8));
        }
    }
}

static void zeros_of_other_lengths_differ(void **state)
{
    (void)state;
    static const char zeros[40];
    for (size_t a = 0; a < sizeof(zeros); a++)
        for (size_t b = 0; b < a; b++)
            assert_int_not_equal((uint32_t)sum_of(zeros, a), (uint32_t)sum_of(zeros, b));
}

static void the_same_bytes_cut_in_other_parts_differ(void **state)
{
    (void)state;
    uint64_t one = checksum_bytes(checksum_bytes(0, STR("ab")), STR("c"));
    uint64_t other = checksum_bytes(checksum_bytes(0, STR("a")), STR("bc"));
    assert_int_not_equal(one, other);
    assert_int_not_equal(checksum_numbers(0, 1, 2), checksum_numbers(0, 2, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_checksums_stay_as_they_are),
        cmocka_unit_test(each_bit_counts_whatever_the_length),
        cmocka_unit_test(zeros_of_other_lengths_differ),
        cmocka_unit_test(the_same_bytes_cut_in_other_parts_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
