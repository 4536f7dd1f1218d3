#include "client/follow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "http/testing.h"

struct fixture {
    const char *channels[2];
    const char *types[1];
    struct follow_wish wish;
    struct interrupt interrupt;
    struct printer printer;
    struct follow follow;
};

static void open_fixture(struct fixture *f)
{
    *f = (struct fixture){.channels = {"a b", "c/**"}, .types = {"t"}};
    f->interrupt.fd = eventfd(0, 0);
    f->printer = (struct printer){.fd = -1, .interrupt = &f->interrupt, .count_max = 0};
    f->wish.channels = (struct command_list){.at = f->channels, .count = 1};
    f->follow =
        (struct follow){.wish = &f->wish, .interrupt = &f->interrupt, .printer = &f->printer};
}

static void close_fixture(struct fixture *f)
{
    printer_deinit(&f->printer);
    follow_deinit(&f->follow);
    close(f->interrupt.fd);
}

#define assert_path(f, expected)                                                                   \
    do {                                                                                           \
        struct buf path = {0};                                                                     \
        follow_add_path(&(f)->follow, &path);                                                      \
        assert_str(buf_str(&path), expected);                                                      \
        buf_free(&path);                                                                           \
    } while (0)

static void one_channel_has_a_path_of_its_own_and_more_go_into_the_query(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    assert_path(&f, "/channels/a%20b?after=now");
    f.wish.channels.count = 2;
    f.wish.types = (struct command_list){.at = f.types, .count = 1};
    assert_path(&f, "/events?channel=a%20b&channel=c%2F%2A%2A&type=t&after=now");
    f.channels[0] = "c/*";
    f.wish.channels.count = 1;
    assert_path(&f, "/events?channel=c%2F%2A&type=t&after=now");
    close_fixture(&f);
}

static void a_cursor_beats_what_the_user_began_with(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    f.wish.last = 5;
    assert_path(&f, "/channels/a%20b?last=5");
    f.wish.after = "earliest";
    assert_path(&f, "/channels/a%20b?after=earliest");
    struct record record = record_read(STR("{\"op\":\"beat\",\"cursor\":\"0000000000000007\"}"));
    assert_false(follow_take(&f.follow, &record));
    assert_path(&f, "/channels/a%20b?after=0000000000000007");
    close_fixture(&f);
}

static void an_ephemeral_event_is_printed_and_moves_no_cursor(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    struct record record = record_read(STR("{\"id\":\"5\",\"type\":\"t\",\"data\":1}"));
    follow_take(&f.follow, &record);
    record = record_read(STR("{\"type\":\"t\",\"data\":2}"));
    follow_take(&f.follow, &record);
    assert_string_equal(f.follow.cursor, "5");
    assert_int_equal(f.printer.count, 2);
    close_fixture(&f);
}

static void an_event_of_another_type_moves_the_cursor_unprinted(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    f.wish.types = (struct command_list){.at = f.types, .count = 1};
    struct record record = record_read(STR("{\"id\":\"5\",\"type\":\"u\",\"data\":1}"));
    follow_take(&f.follow, &record);
    assert_string_equal(f.follow.cursor, "5");
    assert_int_equal(f.printer.count, 0);
    close_fixture(&f);
}

static void refusals_end_it_and_passing_troubles_do_not(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    struct transfer_answer answer = {.status = 403};
    assert_int_equal(follow_end_of(&f.follow, 0, &answer), FOLLOW_REFUSED);
    answer = (struct transfer_answer){.status = 503, .retry_after_ms = 2000};
    assert_int_equal(follow_end_of(&f.follow, 0, &answer), FOLLOW_LOST);
    assert_int_equal(f.follow.retry_ms, 2000);
    answer = (struct transfer_answer){.error = "broken"};
    assert_int_equal(follow_end_of(&f.follow, TRANSFER_E_BROKEN, &answer), FOLLOW_LOST);
    assert_int_equal(follow_end_of(&f.follow, TRANSFER_STOPPED, &answer), FOLLOW_DONE);
    close_fixture(&f);
}

static void assert_start(const struct follow *follow, struct str text)
{
    struct buf out = {0};
    struct json_writer writer = json_members_writer(&out);
    follow_write_start(follow, &writer);
    assert_true(str_eq(buf_str(&out), text));
    buf_free(&out);
}

static void a_subscribe_message_says_where_to_begin(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    assert_start(&f.follow, STR("\"after\":\"now\""));
    f.wish.last = 3;
    assert_start(&f.follow, STR("\"last\":3"));
    follow_set_cursor(&f.follow, STR("12"));
    assert_start(&f.follow, STR("\"after\":\"12\""));
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_channel_has_a_path_of_its_own_and_more_go_into_the_query),
        cmocka_unit_test(a_cursor_beats_what_the_user_began_with),
        cmocka_unit_test(an_ephemeral_event_is_printed_and_moves_no_cursor),
        cmocka_unit_test(an_event_of_another_type_moves_the_cursor_unprinted),
        cmocka_unit_test(refusals_end_it_and_passing_troubles_do_not),
        cmocka_unit_test(a_subscribe_message_says_where_to_begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
