#include "api/testing.h"

static void a_topic_is_the_newest_event_as_it_was_published(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "GET /topics/a", "", STR_NONE);
    assert_answer(desk, 404, "the channel holds no event");
    desk_ask(desk, "POST /channels/a", "", STR("old"));
    desk_ask(desk, "POST /channels/a", "Content-Type: application/json\r\n", STR("{\"n\":2}"));
    desk_ask(desk, "GET /topics/a", "", STR_NONE);
    assert_answer(desk, 200, "{\"n\":2}");
    assert_field(desk, "Content-Type: application/json");
    assert_field(desk, "X-Content-Type-Options: nosniff");
    assert_field(desk, "Content-Security-Policy: sandbox");
    assert_field(desk, "Link: </topics/a>; rel=\"self\"");
}

static void a_topic_that_is_known_is_not_sent_again(void **state)
{
    struct desk *desk = *state;
    struct buf line = {0};
    desk_ask(desk, "POST /channels/a", "", STR("one"));
    desk_ask(desk, "GET /topics/a", "", STR_NONE);
    const char *tag = memmem(desk->fields.at, desk->fields.len, "ETag: ", 6);
    assert_non_null(tag);
    buf_addf(&line, "If-None-Match: W/\"x\", %.18s\r\n", tag + 6);
    buf_add_char(&line, '\0');
    desk_ask(desk, "GET /topics/a", line.at, STR_NONE);
    assert_int_equal(desk->status, 304);
    assert_int_equal(desk->body.len, 0);
    desk_ask(desk, "GET /topics/a", "If-None-Match: *\r\n", STR_NONE);
    assert_int_equal(desk->status, 304);
    desk_ask(desk, "GET /topics/a", "If-None-Match: \"0000000000000001\"\r\n", STR_NONE);
    assert_int_equal(desk->status, 200);
    buf_free(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DESK(a_topic_is_the_newest_event_as_it_was_published),
        WITH_DESK(a_topic_that_is_known_is_not_sent_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
