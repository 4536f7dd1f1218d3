#include "base/rfc3339.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <time.h>

/* rfc3339_parse() of a copy that ends with its last byte, so that a sanitizer sees any read beyond
 * it. */
static int parse(struct str text, int64_t *ret_us)
{
    char *copy = malloc(text.len ? text.len : 1);
    assert_non_null(copy);
    if (text.len)
        memcpy(copy, text.at, text.len);
    int result = rfc3339_parse((struct str){copy, text.len}, ret_us);
    free(copy);
    return result;
}

static void expect_written(int64_t us, const char *want)
{
    struct buf buf = {0};
    rfc3339_add(&buf, us);
    assert_int_equal(buf.len, RFC3339_LEN);
    static struct rfc3339_memo memo; /* of whatever time came before */
    for (int again = 0; again < 2; again++)
        assert_true(str_eq(rfc3339_by_memo(&memo, us), buf_str(&buf)));
    buf_add_char(&buf, '\0');
    assert_string_equal(buf.at, want);
    buf_free(&buf);
}

static void expect_read(struct str text, int64_t want)
{
    int64_t us = -1;
    if (parse(text, &us) != 0)
        fail_msg("refused: %.*s", STR_FMT(text));
    assert_int_equal(us, want);
}

static void known_times_hold_both_ways(void **state)
{
    (void)state;
    const struct {
        int64_t us;
        const char *text;
    } pairs[] = {
        {0, "1970-01-01T00:00:00.000000Z"},
        {1, "1970-01-01T00:00:00.000001Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
        {951782400000000, "2000-02-29T00:00:00.000000Z"},
        {951868799999999, "2000-02-29T23:59:59.999999Z"},
        {951868800000000, "2000-03-01T00:00:00.000000Z"},
        {1709164800000000, "2024-02-29T00:00:00.000000Z"},
        {1795459080123456, "2026-11-23T18:38:00.123456Z"},
        {4107542400000000, "2100-03-01T00:00:00.000000Z"},
        {4107542399000000, "2100-02-28T23:59:59.000000Z"},
        {-2203891200000000, "1900-03-01T00:00:00.000000Z"},
        {253402300799999999, "9999-12-31T23:59:59.999999Z"},
        {-62167219200000000, "0000-01-01T00:00:00.000000Z"},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        expect_written(pairs[i].us, pairs[i].text);
        expect_read(str_from(pairs[i].text), pairs[i].us);
    }
}

static void every_day_of_eight_centuries_agrees_with_the_c_library(void **state)
{
    (void)state;
    for (int64_t day = -146097; day < 146097; day++) {
        time_t seconds = (time_t)(day * 86400 + 43210);
        struct tm tm;
        char want[64];
        assert_non_null(gmtime_r(&seconds, &tm));
        strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S.000000Z", &tm);
        expect_written((int64_t)seconds * 1000000, want);
        expect_read(str_from(want), (int64_t)seconds * 1000000);
    }
}

static void years_that_four_digits_cannot_say_stop_at_the_edge(void **state)
{
    (void)state;
    expect_written(INT64_MAX, "9999-12-31T23:59:59.999999Z");
    expect_written(INT64_MIN, "0000-01-01T00:00:00.000000Z");
    expect_written(253402300800000000, "9999-12-31T23:59:59.999999Z");
}

static void any_number_of_fraction_digits_is_read(void **state)
{
    (void)state;
    expect_read(STR("1970-01-01T00:00:01Z"), 1000000);
    expect_read(STR("1970-01-01T00:00:01.5Z"), 1500000);
    expect_read(STR("1970-01-01T00:00:01.123Z"), 1123000);
    expect_read(STR("1970-01-01T00:00:01.123456Z"), 1123456);
    expect_read(STR("1970-01-01T00:00:01.1234569999Z"), 1123456);
    expect_read(STR("1970-01-01T00:00:01.00000000000000000000000000000000000001Z"), 1000000);
    expect_read(STR("1969-12-31T23:59:59.9999999Z"), -1);
}

static void any_offset_is_read(void **state)
{
    (void)state;
    expect_read(STR("1970-01-01T01:00:00+01:00"), 0);
    expect_read(STR("1969-12-31T16:00:00-08:00"), 0);
    expect_read(STR("1970-01-01T05:45:00.25+05:45"), 250000);
    expect_read(STR("1970-01-01T00:00:00-00:00"), 0);
    expect_read(STR("1970-01-01T00:00:00+00:00"), 0);
    expect_read(STR("1970-01-01T23:59:00+23:59"), 0);
    expect_read(STR("0000-01-01T00:00:00+23:59"), -62167305540000000);
}

static void letters_may_be_small(void **state)
{
    (void)state;
    expect_read(STR("1970-01-01t00:00:01z"), 1000000);
}

static void a_leap_second_is_the_second_before(void **state)
{
    (void)state;
    expect_read(STR("1990-12-31T23:59:60Z"), 662687999000000);
    expect_read(STR("1990-12-31T23:59:59Z"), 662687999000000);
    expect_read(STR("1990-12-31T15:59:60-08:00"), 662687999000000);
    expect_read(STR("1990-12-31T23:59:60.5Z"), 662687999500000);
}

static void a_text_that_is_no_time_is_refused(void **state)
{
    (void)state;
    const struct str texts[] = {STR(""),
                                STR("Z"),
                                STR("now"),
                                STR("1970"),
                                STR("1970-01-01"),
                                STR("1970-01-01T"),
                                STR("00:00:00Z"),
                                STR("1970-01-01T00:00:00"),
                                STR("1970-01-01T00:00Z"),
                                STR("1970-01-01 00:00:00Z"),
                                STR("1970-01-01_00:00:00Z"),
                                STR("19700101T000000Z"),
                                STR("1970-1-01T00:00:00Z"),
                                STR("1970-01-1T00:00:00Z"),
                                STR("1970-01-01T0:00:00Z"),
                                STR("70-01-01T00:00:00Z"),
                                STR("01970-01-01T00:00:00Z"),
                                STR("+1970-01-01T00:00:00Z"),
                                STR("-970-01-01T00:00:00Z"),
                                STR("1970/01/01T00:00:00Z"),
                                STR("1970-01-01T00.00.00Z"),
                                STR("1970-00-01T00:00:00Z"),
                                STR("1970-13-01T00:00:00Z"),
                                STR("1970-01-00T00:00:00Z"),
                                STR("1970-01-32T00:00:00Z"),
                                STR("1970-04-31T00:00:00Z"),
                                STR("1970-02-29T00:00:00Z"),
                                STR("1900-02-29T00:00:00Z"),
                                STR("2000-02-30T00:00:00Z"),
                                STR("1970-01-01T24:00:00Z"),
                                STR("1970-01-01T00:60:00Z"),
                                STR("1970-01-01T00:00:61Z"),
                                STR("1970-01-01T00:00:60Z"),
                                STR("1990-12-31T23:59:60+01:00"),
                                STR("1970-01-01T00:00:00.Z"),
                                STR("1970-01-01T00:00:00,5Z"),
                                STR("1970-01-01T00:00:00.5.5Z"),
                                STR("1970-01-01T00:00:00.+1Z"),
                                STR("1970-01-01T00:00:00+1:00"),
                                STR("1970-01-01T00:00:00+0100"),
                                STR("1970-01-01T00:00:00+01"),
                                STR("1970-01-01T00:00:00+24:00"),
                                STR("1970-01-01T00:00:00+01:60"),
                                STR("1970-01-01T00:00:00 01:00"),
                                STR("1970-01-01T00:00:00ZZ"),
                                STR("1970-01-01T00:00:00Z "),
                                STR(" 1970-01-01T00:00:00Z"),
                                STR("1970-01-01T00:00:00Z\0"),
                                STR("1970-01-01T00:00:00UTC"),
                                STR("1970-01-01T00:00:00+-1:00"),
                                STR("1970-01-01T-1:00:00Z"),
                                STR("197\xd9\xa0-01-01T00:00:00Z")};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        int64_t us = 0;
        if (parse(texts[i], &us) != -EINVAL)
            fail_msg("passed: %.*s", STR_FMT(texts[i]));
    }
}

static void every_time_cut_short_is_refused(void **state)
{
    (void)state;
    struct str whole = STR("2026-11-23T18:38:00.123456+01:00");
    int64_t us;
    assert_int_equal(parse(whole, &us), 0);
    for (size_t len = 0; len < whole.len; len++)
        assert_int_equal(parse((struct str){whole.at, len}, &us), -EINVAL);
}

static void a_lack_of_memory_fails_the_buffer(void **state)
{
    (void)state;
    struct buf buf = {0};
    mem_fail_nth(1);
    rfc3339_add(&buf, 0);
    assert_true(buf_failed(&buf));
    buf_free(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_times_hold_both_ways),
        cmocka_unit_test(every_day_of_eight_centuries_agrees_with_the_c_library),
        cmocka_unit_test(years_that_four_digits_cannot_say_stop_at_the_edge),
        cmocka_unit_test(any_number_of_fraction_digits_is_read),
        cmocka_unit_test(any_offset_is_read),
        cmocka_unit_test(letters_may_be_small),
        cmocka_unit_test(a_leap_second_is_the_second_before),
        cmocka_unit_test(a_text_that_is_no_time_is_refused),
        cmocka_unit_test(every_time_cut_short_is_refused),
        cmocka_unit_test(a_lack_of_memory_fails_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
