#include "client/lib/outgoing.h"

#include "base/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "http/testing.h"

static struct outgoing_settings settings_of(enum outgoing_kind kind)
{
    return (struct outgoing_settings){.channel = {"a\"b", 3},
                                      .key_prefix = {"run", 3},
                                      .kind = kind,
                                      .count_max = 3,
                                      .bytes_max = 1000};
}

static void lines_of_text_become_events_with_keys_of_their_own(void **state)
{
    (void)state;
    struct outgoing_settings settings = settings_of(OUTGOING_TEXT);
    settings.type = STR("t");
    struct outgoing outgoing = {.settings = &settings};
    assert_int_equal(outgoing_add(&outgoing, STR("say \"x\"")), 0);
    assert_int_equal(outgoing_add(&outgoing, STR("")), 0);
    assert_str(
        buf_str(&outgoing.body),
        "{\"channel\":\"a\\\"b\",\"type\":\"t\",\"key\":\"run-1\",\"data\":\"say \\\"x\\\"\"}\n"
        "{\"channel\":\"a\\\"b\",\"type\":\"t\",\"key\":\"run-2\",\"data\":\"\"}\n");
    outgoing_deinit(&outgoing);
}

static void json_is_embedded_as_it_is_and_nonsense_is_refused(void **state)
{
    (void)state;
    struct outgoing_settings settings = settings_of(OUTGOING_JSON);
    struct outgoing outgoing = {.settings = &settings};
    assert_int_equal(outgoing_add(&outgoing, STR("{\"n\": 1e400}")), 0);
    assert_str(buf_str(&outgoing.body),
               "{\"channel\":\"a\\\"b\",\"key\":\"run-1\",\"data\":{\"n\": 1e400}}\n");
    size_t before = outgoing.body.len;
    assert_int_equal(outgoing_add(&outgoing, STR("1},{\"x\":2")), -EINVAL);
    assert_int_equal(outgoing_add(&outgoing, STR("")), -EINVAL);
    assert_int_equal(outgoing.body.len, before);
    assert_int_equal(outgoing.count, 1);
    outgoing_deinit(&outgoing);
}

static void text_that_is_not_utf8_goes_as_binary(void **state)
{
    (void)state;
    struct outgoing_settings settings = settings_of(OUTGOING_TEXT);
    struct outgoing outgoing = {.settings = &settings};
    assert_int_equal(outgoing_add(&outgoing, STR("\xff\x00")), 0);
    assert_str(buf_str(&outgoing.body),
               "{\"channel\":\"a\\\"b\",\"key\":\"run-1\",\"content_type\":"
               "\"application/octet-stream\",\"data_base64\":\"/wA=\"}\n");
    outgoing_deinit(&outgoing);
}

static void a_batch_is_full_by_lines_or_by_bytes(void **state)
{
    (void)state;
    struct outgoing_settings settings = settings_of(OUTGOING_TEXT);
    struct outgoing outgoing = {.settings = &settings};
    for (int i = 0; i < 3; i++) {
        assert_false(outgoing_is_full(&outgoing));
        assert_int_equal(outgoing_add(&outgoing, STR("x")), 0);
    }
    assert_true(outgoing_is_full(&outgoing));
    outgoing_clear(&outgoing);
    assert_false(outgoing_is_full(&outgoing));
    char large[2000];
    memset(large, 'x', sizeof(large));
    assert_int_equal(outgoing_add(&outgoing, (struct str){large, sizeof(large)}), 0);
    assert_true(outgoing_is_full(&outgoing));
    assert_int_equal(outgoing.number, 4);
    outgoing_deinit(&outgoing);
}

static void a_media_type_decides_as_it_does_in_the_server(void **state)
{
    (void)state;
    assert_int_equal(outgoing_kind_of(STR("application/json")), OUTGOING_JSON);
    assert_int_equal(outgoing_kind_of(STR("application/x+json; charset=utf-8")), OUTGOING_JSON);
    assert_int_equal(outgoing_kind_of(STR("text/csv")), OUTGOING_TEXT);
    assert_int_equal(outgoing_kind_of(STR("text/csv; charset=latin1")), OUTGOING_BINARY);
    assert_int_equal(outgoing_kind_of(STR("image/png")), OUTGOING_BINARY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_text_become_events_with_keys_of_their_own),
        cmocka_unit_test(json_is_embedded_as_it_is_and_nonsense_is_refused),
        cmocka_unit_test(text_that_is_not_utf8_goes_as_binary),
        cmocka_unit_test(a_batch_is_full_by_lines_or_by_bytes),
        cmocka_unit_test(a_media_type_decides_as_it_does_in_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
