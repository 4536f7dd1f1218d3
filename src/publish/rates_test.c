#include "publish/rates.h"

#include "net/conn.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define S(n) ((n)*INT64_C(1000000000))
#define START S(1000)

struct door {
    struct rates *rates;
    struct publish_limits *limits;
    struct publisher publisher;
    struct refusal refusal;
};

static void door_open(struct door *door, const struct publish_limit *list, size_t count)
{
    *door = (struct door){.rates = rates_new()};
    assert_non_null(door->rates);
    assert_int_equal(publish_limits_new(list, count, &door->limits), 0);
}

static void door_close(struct door *door)
{
    caller_unref((struct caller *)(uintptr_t)door->publisher.access.caller);
    rates_free(door->rates);
    free(door->limits);
}

static void door_ask_as(struct door *door, const char *subject, const char *key)
{
    caller_unref((struct caller *)(uintptr_t)door->publisher.access.caller);
    door->publisher.access.caller = caller_new(&(struct caller_facts){
        .kind = CALLER_KEY, .subject = str_from(subject), .key_id = str_from(key)});
}

static bool publish_of(struct door *door, const char *channel, size_t bytes, uint32_t batch,
                       int64_t now_ns)
{
    const struct rate_event event = {&door->publisher, str_from(channel), bytes, batch};
    return rates_take(door->rates, door->limits, &event, now_ns, &door->refusal);
}

static bool publish(struct door *door, const char *channel, size_t bytes, int64_t now_ns)
{
    return publish_of(door, channel, bytes, 0, now_ns);
}

/* Takes the rates of a batch in the way of submit.c. Returns how many events were taken before one
 * was refused. */
static unsigned publish_batch(struct door *door, const char *channel, unsigned count,
                              int64_t now_ns)
{
    uint32_t batch = rates_number(door->rates);
    const struct rate_event event = {&door->publisher, str_from(channel), 10, 0};
    unsigned taken = 0;
    while (taken < count && publish_of(door, channel, 10, batch, now_ns))
        taken++;
    for (unsigned i = 0; taken < count && i < taken; i++)
        rates_give(door->rates, door->limits, &event);
    return taken;
}

static unsigned publish_many(struct door *door, const char *channel, unsigned count, int64_t now_ns)
{
    unsigned accepted = 0;
    for (unsigned i = 0; i < count; i++)
        accepted += publish(door, channel, 10, now_ns);
    return accepted;
}

static void publishers_that_have_gone_have_the_rate_of_one_address(void **state)
{
    (void)state;
    struct door door;
    const struct publish_limit limit = {.rates = {[RATE_ADDRESS] = {[RATE_EVENTS] = 10}},
                                        .window_s = 1};
    door_open(&door, &limit, 1);
    assert_int_equal(publish_many(&door, "a", 100, START), 10);
    door_close(&door);
}

static void limits_of_nothing_are_none(void **state)
{
    (void)state;
    const struct publish_limit none[] = {{.window_s = 10}, {.prefix = STR("a"), .window_s = 10}};
    struct publish_limits *limits;
    assert_int_equal(publish_limits_new(none, 2, &limits), 0);
    assert_null(limits);
}

static void each_holder_has_a_bucket_of_its_own(void **state)
{
    (void)state;
    static const struct {
        enum rate_holder holder;
        const char *policy;
    } rows[] = {{RATE_KEY, "key-events"},
                {RATE_SUBJECT, "subject-events"},
                {RATE_CHANNEL, "channel-events"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct publish_limit limit = {.window_s = 5};
        struct door door;
        limit.rates[rows[i].holder][RATE_EVENTS] = 2;
        door_open(&door, &limit, 1);
        door_ask_as(&door, "alice", "k1");
        assert_int_equal(publish_many(&door, "a", 20, START), 10);
        assert_int_equal(door.refusal.problem, PROBLEM_TOO_MANY);
        assert_string_equal(door.refusal.rate.policy, rows[i].policy);
        assert_int_equal(door.refusal.rate.quota, 10);
        assert_int_equal(door.refusal.retry_ms, 500);
        door_ask_as(&door, "bob", "k2");
        assert_int_equal(publish_many(&door, "b", 20, START), 10);
        assert_int_equal(publish_many(&door, "b", 20, START + S(1)), 2);
        door_close(&door);
    }
}

static void a_holder_without_a_name_is_not_limited(void **state)
{
    (void)state;
    struct publish_limit limit = {.window_s = 1};
    struct door door;
    limit.rates[RATE_KEY][RATE_EVENTS] = limit.rates[RATE_SUBJECT][RATE_EVENTS] = 1;
    limit.rates[RATE_ADDRESS][RATE_EVENTS] = 1;
    door_open(&door, &limit, 1);
    int pair[2]; /* a Unix socket has no address */
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    struct net net = {0};
    struct conn conn = {.net = &net, .fd = pair[0]};
    door.publisher.conn = &conn;
    assert_int_equal(publish_many(&door, "a", 20, START), 20);
    close(pair[0]);
    close(pair[1]);
    door_close(&door);
}

static void the_server_itself_is_not_limited(void **state)
{
    (void)state;
    struct publish_limit limit = {.window_s = 1, .event_max = 1};
    struct door door;
    limit.rates[RATE_CHANNEL][RATE_EVENTS] = 1;
    door_open(&door, &limit, 1);
    door.publisher.is_server = true;
    assert_int_equal(publish_many(&door, "$audit", 20, START), 20);
    door_close(&door);
}

static void bytes_count_beside_events(void **state)
{
    (void)state;
    struct publish_limit limit = {.window_s = 1};
    struct door door;
    limit.rates[RATE_CHANNEL][RATE_BYTES] = 100;
    limit.rates[RATE_CHANNEL][RATE_EVENTS] = 50;
    door_open(&door, &limit, 1);
    assert_true(publish(&door, "a", 60, START));
    assert_false(publish(&door, "a", 60, START));
    assert_string_equal(door.refusal.rate.policy, "channel-bytes");
    assert_true(door.refusal.rate.is_bytes);
    assert_int_equal(publish_many(&door, "a", 9, START), 4); /* the refused one took nothing */
    door_close(&door);
}

static void an_event_that_one_holder_refuses_takes_nothing_of_the_others(void **state)
{
    (void)state;
    struct publish_limit limit = {.window_s = 1};
    struct door door;
    limit.rates[RATE_SUBJECT][RATE_EVENTS] = 10;
    limit.rates[RATE_CHANNEL][RATE_EVENTS] = 3;
    door_open(&door, &limit, 1);
    door_ask_as(&door, "alice", "k");
    assert_int_equal(publish_many(&door, "a", 100, START), 3);
    assert_int_equal(publish_many(&door, "b", 100, START), 3);
    assert_int_equal(publish_many(&door, "c", 100, START), 3);
    assert_int_equal(publish_many(&door, "d", 100, START), 1);
    door_close(&door);
}

static void a_given_back_event_can_be_published_again(void **state)
{
    (void)state;
    struct publish_limit limit = {.window_s = 1};
    struct door door;
    limit.rates[RATE_CHANNEL][RATE_EVENTS] = 3;
    limit.rates[RATE_CHANNEL][RATE_BYTES] = 100;
    door_open(&door, &limit, 1);
    for (int i = 0; i < 100; i++) {
        assert_true(publish(&door, "a", 90, START));
        rates_give(door.rates, door.limits, &(struct rate_event){&door.publisher, STR("a"), 90, 0});
    }
    assert_int_equal(publish_many(&door, "a", 100, START), 3);
    door_close(&door);
}

static void a_batch_larger_than_a_bucket_passes_once_that_is_full(void **state)
{
    (void)state;
    struct publish_limit limit = {.window_s = 2};
    struct door door;
    limit.rates[RATE_CHANNEL][RATE_EVENTS] = 5;
    limit.rates[RATE_CHANNEL][RATE_BYTES] = 40;
    door_open(&door, &limit, 1);
    assert_true(publish(&door, "a", 0, START));
    assert_true(publish_batch(&door, "a", 30, START) < 30);
    assert_int_equal(publish_batch(&door, "a", 30, START + S(1)), 30); /* 300 bytes: 7.5 s */
    assert_int_equal(publish_batch(&door, "a", 1, START + S(6)), 0);
    assert_int_equal(publish_batch(&door, "b", 30, START + S(6)), 30);
    assert_true(publish_batch(&door, "a", 30, START + S(8)) < 30);
    assert_int_equal(publish_batch(&door, "a", 2, START + S(8)), 2);
    door_close(&door);
}

static void rates_that_change_begin_with_full_buckets(void **state)
{
    (void)state;
    struct publish_limit slow = {.window_s = 3600}, fast = {.window_s = 1};
    struct door door;
    slow.rates[RATE_CHANNEL][RATE_EVENTS] = 1;
    fast.rates[RATE_CHANNEL][RATE_EVENTS] = 5;
    door_open(&door, &slow, 1);
    struct publish_limits *before = door.limits;
    assert_int_equal(publish_many(&door, "a", 5000, START), 3600);
    assert_int_equal(publish_limits_new(&fast, 1, &door.limits), 0);
    assert_int_equal(publish_many(&door, "a", 100, START), 5);
    free(door.limits);
    door.limits = before;
    assert_false(publish(&door, "a", 10, START)); /* these were not forgotten meanwhile */
    door_close(&door);
}

static void the_longest_prefix_with_rates_decides(void **state)
{
    (void)state;
    struct publish_limit list[] = {{.window_s = 1},
                                   {.prefix = STR("chat"), .window_s = 2},
                                   {.prefix = STR("chat/quiet"), .event_max = 20},
                                   {.prefix = STR("chat/quiet/x"), .event_max = 30}};
    struct door door;
    list[0].rates[RATE_CHANNEL][RATE_EVENTS] = 5;
    list[1].rates[RATE_CHANNEL][RATE_EVENTS] = 1;
    door_open(&door, list, 4);
    assert_int_equal(publish_many(&door, "news", 100, START), 5);
    assert_int_equal(publish_many(&door, "chatter", 100, START), 5);
    assert_int_equal(publish_many(&door, "chat", 100, START), 2);
    assert_int_equal(publish_many(&door, "chat/room", 100, START), 2);
    assert_int_equal(publish_many(&door, "chat/quiet/a", 100, START), 2);
    assert_true(publish(&door, "chat/quiet/b", 20, START));
    assert_false(publish(&door, "chat/quiet/b", 21, START));
    assert_int_equal(door.refusal.problem, PROBLEM_TOO_LARGE);
    assert_true(publish(&door, "chat/quiet/x", 30, START));
    assert_false(publish(&door, "chat/quiet/x/y", 31, START));
    assert_true(publish(&door, "chat/b", 1 << 20, START));
    door_close(&door);
}

/* The table is full many times over. A holder that is busy all the time may lose its bucket to
 * others, but most keep theirs, and nothing grows. */
static void a_multitude_of_holders_takes_no_more_memory(void **state)
{
    (void)state;
    struct publish_limit limit = {.window_s = 1};
    struct door door;
    char name[32];
    limit.rates[RATE_CHANNEL][RATE_EVENTS] = 1;
    door_open(&door, &limit, 1);
    for (unsigned i = 0; i < 200000; i++) {
        snprintf(name, sizeof(name), "c%u", i);
        assert_true(publish(&door, name, 1, START));
    }
    unsigned again = 0;
    for (unsigned i = 190000; i < 200000; i++) {
        snprintf(name, sizeof(name), "c%u", i);
        again += publish(&door, name, 1, START);
    }
    assert_true(again < 2000);
    door_close(&door);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_of_nothing_are_none),
        cmocka_unit_test(publishers_that_have_gone_have_the_rate_of_one_address),
        cmocka_unit_test(each_holder_has_a_bucket_of_its_own),
        cmocka_unit_test(a_holder_without_a_name_is_not_limited),
        cmocka_unit_test(the_server_itself_is_not_limited),
        cmocka_unit_test(bytes_count_beside_events),
        cmocka_unit_test(an_event_that_one_holder_refuses_takes_nothing_of_the_others),
        cmocka_unit_test(a_given_back_event_can_be_published_again),
        cmocka_unit_test(a_batch_larger_than_a_bucket_passes_once_that_is_full),
        cmocka_unit_test(rates_that_change_begin_with_full_buckets),
        cmocka_unit_test(the_longest_prefix_with_rates_decides),
        cmocka_unit_test(a_multitude_of_holders_takes_no_more_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
