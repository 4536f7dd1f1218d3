/* Spellings of numbers, times, sizes and booleans, right and wrong. */
#include "base/number.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char *const never_numbers[] = {
    "",     " ",     "1e6",  "1_000", "1,000", "0x10", "010", "00",       "-1",  "+1",    " 1",
    "1 ",   "1.0",   "1.5h", "1\n",   "one",   "1x",   "s",   "1S",       "1 s", "1hour", "1h30m",
    "64Ki", "64kib", "10mb", "KiB",   "1sB",   "0o7",  "1:1", "Infinity", "NaN", "٣",
};

static void a_decimal_number_is_read_whole(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t number;
    } good[] = {{"0", 0}, {"1", 1}, {"100", 100}, {"18446744073709551615", UINT64_MAX}};
    uint64_t number;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_int_equal(number_read(str_from(good[i].text), &number), 0);
        assert_int_equal(number, good[i].number);
    }
    assert_int_equal(number_read(STR("18446744073709551616"), &number), -ERANGE);
    assert_int_equal(number_read(STR("99999999999999999999999"), &number), -ERANGE);
}

static void text_that_is_no_number_is_refused_in_every_unit(void **state)
{
    (void)state;
    uint64_t number = 7;
    for (size_t i = 0; i < COUNT_OF(never_numbers); i++) {
        struct str text = str_from(never_numbers[i]);
        assert_int_equal(number_read(text, &number), -EINVAL);
        for (unsigned unit = NUMBER_COUNT; unit <= NUMBER_BYTES; unit++)
            assert_int_equal(number_read_in(text, (enum number_unit)unit, &number), -EINVAL);
    }
    assert_int_equal(number, 7);
}

static void a_unit_is_converted_to_that_of_the_setting(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum number_unit unit;
        uint64_t number;
    } good[] = {
        {"30", NUMBER_S, 30},
        {"30s", NUMBER_S, 30},
        {"5m", NUMBER_S, 300},
        {"1h", NUMBER_S, 3600},
        {"7d", NUMBER_S, 604800},
        {"2000ms", NUMBER_S, 2},
        {"30s", NUMBER_MS, 30000},
        {"250ms", NUMBER_MS, 250},
        {"1s", NUMBER_US, 1000000},
        {"50us", NUMBER_US, 50},
        {"0s", NUMBER_MS, 0},
        {"65536", NUMBER_BYTES, 65536},
        {"17B", NUMBER_BYTES, 17},
        {"64KiB", NUMBER_BYTES, 65536},
        {"10MB", NUMBER_BYTES, 10000000},
        {"3kB", NUMBER_BYTES, 3000},
        {"10GiB", NUMBER_BYTES, UINT64_C(10737418240)},
        {"1TiB", NUMBER_BYTES, UINT64_C(1) << 40},
        {"2PiB", NUMBER_BYTES, UINT64_C(2) << 50},
        {"90", NUMBER_PERCENT, 90},
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        uint64_t number = 0;
        assert_int_equal(number_read_in(str_from(good[i].text), good[i].unit, &number), 0);
        assert_int_equal(number, good[i].number);
    }
}

static void a_unit_of_another_kind_is_refused(void **state)
{
    (void)state;
    uint64_t number;
    assert_int_equal(number_read_in(STR("1KiB"), NUMBER_S, &number), -EINVAL);
    assert_int_equal(number_read_in(STR("1s"), NUMBER_BYTES, &number), -EINVAL);
    assert_int_equal(number_read_in(STR("1s"), NUMBER_COUNT, &number), -EINVAL);
    assert_int_equal(number_read_in(STR("90%"), NUMBER_PERCENT, &number), -EINVAL);
}

static void a_fraction_of_the_unit_and_an_overflow_are_told_apart(void **state)
{
    (void)state;
    uint64_t number;
    assert_int_equal(number_read_in(STR("500ms"), NUMBER_S, &number), -EDOM);
    assert_int_equal(number_read_in(STR("1us"), NUMBER_MS, &number), -EDOM);
    assert_int_equal(number_read_in(STR("18446744073709551615d"), NUMBER_S, &number), -ERANGE);
    assert_int_equal(number_read_in(STR("18446744073709551615PiB"), NUMBER_BYTES, &number),
                     -ERANGE);
}

static void a_written_number_can_be_read_again(void **state)
{
    (void)state;
    static const struct {
        uint64_t number;
        enum number_unit unit;
        const char *text;
    } cases[] = {
        {0, NUMBER_S, "0"},
        {1, NUMBER_COUNT, "1"},
        {90, NUMBER_PERCENT, "90"},
        {3600, NUMBER_S, "1h"},
        {604800, NUMBER_S, "7d"},
        {1500, NUMBER_MS, "1500ms"},
        {75000, NUMBER_MS, "75s"},
        {50, NUMBER_US, "50us"},
        {1, NUMBER_BYTES, "1"},
        {262144, NUMBER_BYTES, "256KiB"},
        {UINT64_C(1) << 30, NUMBER_BYTES, "1GiB"},
        {UINT64_MAX, NUMBER_S, "18446744073709551615"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf out = {0};
        uint64_t number = 1;
        number_write_in(&out, cases[i].number, cases[i].unit);
        assert_true(str_eq(buf_str(&out), str_from(cases[i].text)));
        assert_int_equal(number_read_in(buf_str(&out), cases[i].unit, &number), 0);
        assert_int_equal(number, cases[i].number);
        buf_free(&out);
    }
}

static void six_words_are_booleans_and_no_other(void **state)
{
    (void)state;
    static const char *const yes[] = {"true", "yes", "on", "True", "ON"};
    static const char *const no[] = {"false", "no", "off", "False", "NO"};
    static const char *const neither[] = {"",  "flase", "0",     "1",   "y",
                                          "n", "truee", " true", "null"};
    bool value = false;
    for (size_t i = 0; i < COUNT_OF(yes); i++)
        assert_true(!boolean_read(str_from(yes[i]), &value) && value);
    for (size_t i = 0; i < COUNT_OF(no); i++)
        assert_true(!boolean_read(str_from(no[i]), &value) && !value);
    for (size_t i = 0; i < COUNT_OF(neither); i++)
        assert_int_equal(boolean_read(str_from(neither[i]), &value), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_decimal_number_is_read_whole),
        cmocka_unit_test(text_that_is_no_number_is_refused_in_every_unit),
        cmocka_unit_test(a_unit_is_converted_to_that_of_the_setting),
        cmocka_unit_test(a_unit_of_another_kind_is_refused),
        cmocka_unit_test(a_fraction_of_the_unit_and_an_overflow_are_told_apart),
        cmocka_unit_test(a_written_number_can_be_read_again),
        cmocka_unit_test(six_words_are_booleans_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
