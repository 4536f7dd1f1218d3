#include "api/testing.h"

#define TOPIC "&hub.topic=http%3A%2F%2Flocalhost%2Ftopics%2Fa"
#define CALLBACK "&hub.callback=http%3A%2F%2F127.0.0.1%3A7%2Fsub"

static size_t count_calls(const struct desk *desk)
{
    size_t count = 0;
    list_each (&desk->calls, node)
        count++;
    return count;
}

static void a_wish_is_accepted_before_the_callback_is_asked(void **state)
{
    static const char *const forms[] = {"hub.mode=subscribe" TOPIC CALLBACK,
                                        "hub.mode=unsubscribe" TOPIC CALLBACK};
    struct desk *desk = *state;
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        desk_ask(desk, "POST /hub", "", str_from(forms[i]));
        assert_int_equal(desk->status, 202);
        assert_int_equal(desk->body.len, 0);
        assert_int_equal(count_calls(desk), i + 1); /* and it has not answered */
    }
}

static void a_publish_is_accepted_and_asks_nobody(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "POST /hub", "", STR("hub.mode=publish" TOPIC));
    assert_int_equal(desk->status, 202);
    assert_int_equal(count_calls(desk), 0);
}

static void a_wish_that_is_wrong_is_refused_and_nobody_is_asked(void **state)
{
    static const struct {
        const char *form;
        int status;
        const char *says;
    } rows[] = {
        {"", 400, "bad-parameter"},
        {"hub.mode=dance" TOPIC CALLBACK, 400, "bad-parameter"},
        {"hub.mode=subscribe" CALLBACK, 400, "bad-parameter"},
        {"hub.mode=subscribe" TOPIC, 400, "bad-parameter"},
        {"hub.mode=subscribe" TOPIC "&hub.callback=http%3A%2F%2F10.0.0.1%2F", 403,
         "forbidden-target"},
    };
    struct desk *desk = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        desk_ask(desk, "POST /hub", "", str_from(rows[i].form));
        assert_answer(desk, rows[i].status, rows[i].says);
        assert_int_equal(count_calls(desk), 0);
    }
}

static void the_hub_takes_forms_alone_and_no_large_ones(void **state)
{
    struct desk *desk = *state;
    struct str large = {mem_alloc(COURIER_BODY_MAX + 1), COURIER_BODY_MAX + 1};
    desk_ask(desk, "POST /hub", "", large);
    assert_int_equal(desk->status, 413);
    desk_ask(desk, "GET /hub", "", STR_NONE);
    assert_int_equal(desk->status, 405);
    desk_ask(desk, "POST /hub?hub.mode=publish", "", STR_NONE);
    assert_answer(desk, 400, "bad-parameter");
    free((char *)(uintptr_t)large.at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DESK(a_wish_is_accepted_before_the_callback_is_asked),
        WITH_DESK(a_publish_is_accepted_and_asks_nobody),
        WITH_DESK(a_wish_that_is_wrong_is_refused_and_nobody_is_asked),
        WITH_DESK(the_hub_takes_forms_alone_and_no_large_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
