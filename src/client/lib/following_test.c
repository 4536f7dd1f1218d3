#include "client/lib/following.h"

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
    struct follow_sink sink;
    unsigned taken, pauses, told, wanted;
    struct following following;
};

static bool take(void *owner, struct str envelope)
{
    struct fixture *f = owner;
    assert_true(envelope.len > 0);
    return ++f->taken == f->wanted;
}

static bool pause_after(void *owner)
{
    struct fixture *f = owner;
    f->pauses++;
    return false;
}

static void tell(void *owner, const char *name, struct str object)
{
    struct fixture *f = owner;
    assert_string_equal(name, "$gap");
    assert_true(object.len > 0);
    f->told++;
}

static void open_fixture(struct fixture *f)
{
    *f = (struct fixture){.channels = {"a b", "c/**"}, .types = {"t"}};
    f->interrupt.fd = eventfd(0, 0);
    f->sink = (struct follow_sink){
        .owner = f, .take = take, .pause = pause_after, .tell = tell, .watched_fd = -1};
    f->wish.channels = (struct follow_names){.at = f->channels, .count = 1};
    f->following =
        (struct following){.wish = &f->wish, .interrupt = &f->interrupt, .sink = &f->sink};
}

static void close_fixture(struct fixture *f)
{
    following_deinit(&f->following);
    close(f->interrupt.fd);
}

#define assert_path(f, expected)                                                                   \
    do {                                                                                           \
        struct buf path = {0};                                                                     \
        following_add_path(&(f)->following, &path);                                                \
        assert_str(buf_str(&path), expected);                                                      \
        buf_free(&path);                                                                           \
    } while (0)

static void a_single_channel_is_named_in_the_path_and_several_in_the_query(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    assert_path(&f, "/channels/a%20b?after=now");
    f.wish.channels.count = 2;
    f.wish.types = (struct follow_names){.at = f.types, .count = 1};
    assert_path(&f, "/events?channel=a%20b&channel=c%2F%2A%2A&type=t&after=now");
    f.channels[0] = "c/*";
    f.wish.channels.count = 1;
    assert_path(&f, "/events?channel=c%2F%2A&type=t&after=now");
    f.wish.as = "Ada & Bob";
    assert_path(&f, "/events?channel=c%2F%2A&type=t&as=Ada%20%26%20Bob&after=now");
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
    assert_false(following_take(&f.following, &record));
    assert_path(&f, "/channels/a%20b?after=0000000000000007");
    close_fixture(&f);
}

static void an_ephemeral_event_is_handed_on_and_moves_no_cursor(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    struct record record = record_read(STR("{\"id\":\"5\",\"type\":\"t\",\"data\":1}"));
    following_take(&f.following, &record);
    record = record_read(STR("{\"type\":\"t\",\"data\":2}"));
    following_take(&f.following, &record);
    assert_string_equal(f.following.cursor, "5");
    assert_int_equal(f.taken, 2);
    close_fixture(&f);
}

static void an_event_of_another_type_moves_the_cursor_alone(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    f.wish.types = (struct follow_names){.at = f.types, .count = 1};
    struct record record = record_read(STR("{\"id\":\"5\",\"type\":\"u\",\"data\":1}"));
    following_take(&f.following, &record);
    assert_string_equal(f.following.cursor, "5");
    assert_int_equal(f.taken, 0);
    close_fixture(&f);
}

static void the_sink_is_asked_no_more_once_it_has_enough(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    f.wanted = 2;
    struct record record = record_read(STR("{\"id\":\"5\",\"type\":\"t\",\"data\":1}"));
    assert_false(following_pause(&f.following));
    assert_int_equal(f.pauses, 0); /* nothing was taken */
    assert_false(following_take(&f.following, &record));
    assert_false(following_pause(&f.following));
    assert_false(following_pause(&f.following));
    assert_int_equal(f.pauses, 1);
    assert_true(following_take(&f.following, &record));
    assert_true(following_take(&f.following, &record));
    assert_int_equal(f.taken, 2);
    assert_true(following_pause(&f.following));
    close_fixture(&f);
}

static void a_refusal_ends_following_and_a_passing_trouble_does_not(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    struct transfer_answer answer = {.status = 403};
    assert_int_equal(following_end_of(&f.following, 0, &answer), FOLLOW_REFUSED);
    answer = (struct transfer_answer){.status = 503, .retry_after_ms = 2000};
    assert_int_equal(following_end_of(&f.following, 0, &answer), FOLLOW_LOST);
    assert_int_equal(f.following.retry_ms, 2000);
    answer = (struct transfer_answer){.error = "broken"};
    assert_int_equal(following_end_of(&f.following, TRANSFER_E_BROKEN, &answer), FOLLOW_LOST);
    assert_int_equal(following_end_of(&f.following, TRANSFER_STOPPED, &answer), FOLLOW_DONE);
    close_fixture(&f);
}

static void assert_start(const struct following *following, struct str text)
{
    struct buf out = {0};
    struct json_writer writer = json_members_writer(&out);
    following_write_start(following, &writer);
    assert_true(str_eq(buf_str(&out), text));
    buf_free(&out);
}

static void a_subscribe_message_says_where_to_begin(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    assert_start(&f.following, STR("\"after\":\"now\""));
    f.wish.last = 3;
    assert_start(&f.following, STR("\"last\":3"));
    following_set_cursor(&f.following, STR("12"));
    assert_start(&f.following, STR("\"after\":\"12\""));
    f.wish.as = "Ada";
    assert_start(&f.following, STR("\"after\":\"12\",\"as\":\"Ada\""));
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_single_channel_is_named_in_the_path_and_several_in_the_query),
        cmocka_unit_test(a_cursor_beats_what_the_user_began_with),
        cmocka_unit_test(an_ephemeral_event_is_handed_on_and_moves_no_cursor),
        cmocka_unit_test(an_event_of_another_type_moves_the_cursor_alone),
        cmocka_unit_test(the_sink_is_asked_no_more_once_it_has_enough),
        cmocka_unit_test(a_refusal_ends_following_and_a_passing_trouble_does_not),
        cmocka_unit_test(a_subscribe_message_says_where_to_begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
