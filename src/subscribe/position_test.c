#include "subscribe/position.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void a_position_is_a_cursor_a_word_or_a_time(void **state)
{
    static const struct {
        const char *text;
        enum position_kind kind;
        uint64_t id;
        int64_t time_us;
    } rows[] = {
        {"0", POSITION_CURSOR, .id = 0},
        {"7", POSITION_CURSOR, .id = 7},
        {"0000000000000007", POSITION_CURSOR, .id = 7},
        {"1795459080123456", POSITION_CURSOR, .id = UINT64_C(1795459080123456)},
        {"9007199254740991", POSITION_CURSOR, .id = EVENT_ID_MAX},
        {"earliest", POSITION_EARLIEST, .id = 0},
        {"now", POSITION_NOW, .id = 0},
        {"1970-01-01T00:00:01Z", POSITION_TIME, .time_us = 1000000},
        {"1970-01-01T01:00:00.5+01:00", POSITION_TIME, .time_us = 500000},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct position position = {.last = 3, .told = 5};
        assert_true(position_read(&position, str_from(rows[i].text)));
        assert_int_equal(position.kind, rows[i].kind);
        assert_int_equal(position.id, rows[i].id);
        assert_int_equal(position.time_us, rows[i].time_us);
        assert_int_equal(position.last, 3);
        assert_int_equal(position.told, 5);
    }
}

static void other_texts_are_refused(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "-1",
        "+1",
        "1 ",
        "0x10",
        "Now",
        "EARLIEST",
        "last",
        "tomorrow",
        "2024-13-01",
        "9007199254740992",
        "00000000000000001",
        "12345678901234567890",
        "1e3",
    };
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct position position = {0};
        assert_false(position_read(&position, str_from(texts[i])));
    }
}

static void only_a_cursor_is_a_claim(void **state)
{
    static const struct {
        struct position position;
        bool claims_nothing;
    } rows[] = {
        {{.kind = POSITION_EARLIEST}, true},
        {{.kind = POSITION_LAST, .last = 1}, true},
        {{.kind = POSITION_TIME, .time_us = 1}, true},
        {{.kind = POSITION_CURSOR}, true},
        {{.kind = POSITION_CURSOR, .id = 1}, false},
        {{.kind = POSITION_UNREADABLE}, false},
        {{.kind = POSITION_NOW}, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(position_claims_nothing(&rows[i].position), rows[i].claims_nothing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_position_is_a_cursor_a_word_or_a_time),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(only_a_cursor_is_a_claim),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
