#include "webhooks/wire/formats/formats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void each_format_is_found_by_its_name_and_told_in_the_sentence(void **state)
{
    (void)state;
    for (unsigned id = 0; id < BODY_FORMATS; id++) {
        const struct body_format *format = body_format_of((enum body_format_id)id);
        assert_int_equal(body_format_find(str_from(format->name)), id);
        assert_non_null(strstr(BODY_FORMAT_NAMES, format->name));
        assert_int_equal(format->is_for_one, format->write == NULL);
    }
    assert_int_equal(body_format_find(STR("xml")), BODY_FORMATS);
    assert_int_equal(body_format_find(STR("")), BODY_FORMATS);
}

/* The places of webhooks on disk. */
static void formats_keep_their_places(void **state)
{
    static const char *const names[] = {"event", "data", "cloudevents", "cloudevents-binary"};
    (void)state;
    for (unsigned id = 0; id < sizeof(names) / sizeof(names[0]); id++)
        assert_string_equal(body_format_of((enum body_format_id)id)->name, names[id]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_format_is_found_by_its_name_and_told_in_the_sentence),
        cmocka_unit_test(formats_keep_their_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
