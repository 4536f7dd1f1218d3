#include "webhooks/testing_options.h"

#include <sys/eventfd.h>
#include <unistd.h>

static int set_up_impatient(void **state)
{
    struct world *world = world_new();
    world->config.disable_after_us = 1;
    open_world(world);
    *state = world;
    return 0;
}

static int set_up_strict(void **state)
{
    struct world *world = world_new();
    world->config.allow_loopback = false;
    open_world(world);
    *state = world;
    return 0;
}

/* Nearly every batch passes the courier by. */
static int set_up_busy(void **state)
{
    struct world *world = world_new();
    world->config.backlog_max = 1;
    open_world(world);
    *state = world;
    return 0;
}

/* There is room for a single event. */
static int set_up_crowded(void **state)
{
    struct world *world = world_new();
    world->config.queued_max = world->config.reads_max = 1;
    open_world(world);
    *state = world;
    return 0;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void events_are_posted_in_order_one_at_a_time(void **state)
{
    struct world *world = *state;
    create(world, "");
    uint64_t first = publish(world, "a"), second = publish(world, "a");
    receive(world);
    assert_event(world, first);
    assert_quiet(world);
    answer(world, "204 No Content");
    receive(world);
    assert_event(world, second);
    answer(world, "200 OK");
}

static void other_channels_move_the_cursor_only(void **state)
{
    struct world *world = *state;
    char expected[32];
    create(world, "");
    snprintf(expected, sizeof(expected), "%016" PRIu64, publish(world, "b"));
    assert_quiet(world);
    assert_told(world, "cursor", expected);
    assert_told(world, "lag", "0");
}

static void a_failed_event_is_sent_again_under_the_same_id(void **state)
{
    struct world *world = *state;
    create(world, "");
    uint64_t first = publish(world, "a"), second = publish(world, "a");
    static const char *const answers[] = {"500 Oops", "302 Found\r\nLocation: /elsewhere",
                                          "200 OK"};
    for (size_t i = 0; i < 3; i++) {
        receive(world);
        assert_event(world, first);
        answer(world, answers[i]);
    }
    receive(world);
    assert_event(world, second);
    answer(world, "200 OK");
}

static void a_used_up_schedule_is_failing_and_nothing_is_skipped(void **state)
{
    struct world *world = *state;
    create(world, "");
    uint64_t first = publish(world, "a");
    for (int i = 0; i < 3; i++) {
        receive(world);
        assert_event(world, first);
        answer(world, "500 Oops");
    }
    await(world, "state", "failing");
    assert_told(world, "failures", "3");
    assert_told(world, "lag", "1");
    assert_int_equal(ask(world, COURIER_RESUME, NULL), 0);
    receive(world);
    assert_event(world, first);
    answer(world, "200 OK");
    await(world, "state", "active");
}

static void gone_disables_and_resuming_takes_up_at_the_cursor(void **state)
{
    struct world *world = *state;
    create(world, "");
    uint64_t first = publish(world, "a");
    receive(world);
    answer(world, "410 Gone");
    await(world, "state", "disabled");
    publish(world, "a");
    assert_quiet(world);
    assert_told(world, "lag", "2");
    assert_int_equal(ask(world, COURIER_RESUME, NULL), 0);
    receive(world);
    assert_event(world, first);
    answer(world, "200 OK");
}

static void a_paused_endpoint_keeps_its_place(void **state)
{
    struct world *world = *state;
    create(world, "");
    assert_int_equal(ask(world, COURIER_PAUSE, NULL), 0);
    assert_told(world, "state", "paused");
    uint64_t first = publish(world, "a");
    assert_quiet(world);
    assert_int_equal(ask(world, COURIER_CHANGE, "{\"state\":\"active\"}"), 0);
    receive(world);
    assert_event(world, first);
    answer(world, "200 OK");
}

static void a_pause_in_the_midst_of_a_delivery_lets_it_end(void **state)
{
    struct world *world = *state;
    create(world, "");
    publish(world, "a");
    uint64_t second = publish(world, "a");
    receive(world);
    assert_int_equal(ask(world, COURIER_PAUSE, NULL), 0);
    answer(world, "200 OK");
    await(world, "lag", "1");
    assert_quiet(world);
    assert_told(world, "lag", "1");
    assert_int_equal(ask(world, COURIER_RESUME, NULL), 0);
    receive(world);
    assert_event(world, second);
    answer(world, "200 OK");
}

static void changed_channels_count_from_the_cursor_on(void **state)
{
    struct world *world = *state;
    create(world, "");
    uint64_t first = publish(world, "a");
    receive(world);
    assert_event(world, first);
    uint64_t second = publish(world, "b");
    publish(world, "a");
    assert_int_equal(
        ask(world, COURIER_CHANGE, "{\"channels\":[\"b\"],\"headers\":{\"X-Team\":\"red\"}}"), 0);
    assert_told(world, "channels", "[\"b\"]");
    assert_told(world, "header_names", "[\"X-Team\"]");
    answer(world, "200 OK");
    receive(world);
    assert_event(world, second);
    char team[256];
    header(world, "X-Team", team);
    assert_string_equal(team, "red");
    answer(world, "200 OK");
}

static void a_change_to_the_same_values_changes_nothing(void **state)
{
    struct world *world = *state;
    create(world, "");
    assert_int_equal(ask(world, COURIER_CHANGE, "{\"url\":\"ftp://a/\"}"), COURIER_E_BAD);
    assert_int_equal(ask(world, COURIER_CHANGE, "{\"url\":\"http://10.0.0.1/\"}"),
                     COURIER_E_FORBIDDEN);
    uint64_t first = publish(world, "a");
    receive(world);
    assert_event(world, first);
    answer(world, "200 OK");
}

static void after_a_rotation_both_secrets_sign(void **state)
{
    struct world *world = *state;
    char before[128];
    create(world, "");
    snprintf(before, sizeof(before), "%s", world->secret);
    assert_int_equal(ask(world, COURIER_ROTATE, NULL), 0);
    note_created(world);
    assert_string_not_equal(world->secret, before);
    publish(world, "a");
    receive(world);
    assert_signed(world, before);
    assert_signed(world, world->secret);
    answer(world, "200 OK");
}

static void a_secret_of_ones_own_is_used(void **state)
{
    struct world *world = *state;
    create(world, ",\"secret\":\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"");
    assert_string_equal(world->secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
}

static void secrets_are_not_told_again(void **state)
{
    struct world *world = *state;
    create(world, ",\"headers\":{\"Authorization\":\"Bearer hush\"}");
    for (int op = COURIER_LIST; op <= COURIER_GET; op++) {
        assert_int_equal(ask(world, (enum courier_op)op, NULL), 0);
        buf_add_char(&world->request.answer, '\0');
        assert_non_null(strstr(world->request.answer.at, world->id));
        assert_null(strstr(world->request.answer.at, "whsec_"));
        assert_null(strstr(world->request.answer.at, "hush"));
    }
}

static void verification_creates_only_what_answers(void **state)
{
    struct world *world = *state;
    submit_creation(world, ",\"verify\":true");
    receive(world);
    assert_ping(world);
    assert_false(world->replied);
    answer(world, "404 Not Found");
    assert_int_equal(reply(world), COURIER_E_BAD);
    assert_int_equal(courier_endpoints(world->courier), 0);
    submit_creation(world, ",\"verify\":true");
    receive(world);
    answer(world, "200 OK");
    assert_int_equal(reply(world), 0);
    assert_int_equal(courier_endpoints(world->courier), 1);
}

static void a_ping_is_answered_with_what_came_back(void **state)
{
    struct world *world = *state;
    create(world, "");
    submit(world, COURIER_PING, NULL);
    receive(world);
    assert_ping(world);
    assert_signed(world, world->secret);
    answer(world, "418 Teapot");
    assert_int_equal(reply(world), 0);
    assert_told(world, "ok", "false");
    assert_told(world, "status", "418");
}

static void a_deletion_under_way_of_a_ping_and_a_delivery_is_safe(void **state)
{
    struct world *world = *state;
    submit_creation(world, "");
    assert_int_equal(reply(world), 0);
    note_created(world);
    publish(world, "a");
    receive(world);
    assert_int_equal(ask(world, COURIER_DELETE, NULL), 0);
    assert_int_equal(courier_endpoints(world->courier), 0);
    assert_int_equal(ask(world, COURIER_GET, NULL), COURIER_E_MISSING);
}

static void a_gap_is_sent_before_the_events_behind_it(void **state)
{
    struct world *world = *state;
    char id[256];
    create(world, "");
    assert_int_equal(ask(world, COURIER_PAUSE, NULL), 0);
    publish(world, "a");
    append(world, "a", EVENT_TRIM);
    uint64_t left = publish(world, "a");
    assert_int_equal(ask(world, COURIER_RESUME, NULL), 0);
    receive(world);
    header(world, "webhook-id", id);
    assert_int_equal(strncmp(id, "gap_", 4), 0);
    assert_int_equal(strncmp(world->body, "{\"type\":\"$gap\",\"after\":\"", 24), 0);
    assert_signed(world, world->secret);
    answer(world, "500 Oops");
    char again[256];
    receive(world);
    header(world, "webhook-id", again);
    assert_string_equal(again, id);
    answer(world, "200 OK");
    receive(world);
    assert_event(world, left);
    answer(world, "200 OK");
}

/* The gap is accepted; the event that failed before it was trimmed. */
static void a_delivery_whose_event_is_gone_is_not_delivered_by_the_gap(void **state)
{
    static const char *const options[] = {",\"ordered\":false", ""};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
        create(world, options[i]);
        publish(world, "a");
        receive(world);
        assert_int_equal(ask(world, COURIER_PAUSE, NULL), 0);
        answer(world, "500 Oops");
        append(world, "a", EVENT_TRIM);
        assert_int_equal(ask(world, COURIER_RESUME, NULL), 0);
        receive(world);
        assert_body_has(world, "\"type\":\"$gap\"");
        answer(world, "200 OK");
        await_logged(world, "\"state\":\"skipped\"");
        assert_true(answer_has(world, "\"state\":\"delivered\""));
        assert_int_equal(ask(world, COURIER_DELETE, NULL), 0);
    }
}

static void a_webhook_begins_where_after_says(void **state)
{
    struct world *world = *state;
    char more[64];
    uint64_t first = publish(world, "a"), second = publish(world, "a");
    create(world, ",\"after\":\"1970-01-01T00:00:00Z\",\"verify\":false");
    receive(world);
    assert_event(world, first);
    answer(world, "200 OK");
    receive(world);
    assert_event(world, second);
    answer(world, "200 OK");
    assert_int_equal(ask(world, COURIER_DELETE, NULL), 0);
    snprintf(more, sizeof(more), ",\"after\":\"%016" PRIu64 "\"", first);
    create(world, more);
    receive(world);
    assert_event(world, second);
    answer(world, "200 OK");
    submit_creation(world, ",\"after\":\"9007199254740991\"");
    assert_int_equal(reply(world), COURIER_E_CURSOR);
}

static void a_webhook_beyond_the_limit_is_refused(void **state)
{
    struct world *world = *state;
    create(world, "");
    create(world, "");
    submit_creation(world, "");
    assert_int_equal(reply(world), COURIER_E_MANY);
}

static void addresses_that_are_not_public_are_refused(void **state)
{
    struct world *world = *state;
    static const char *const hosts[] = {"127.0.0.1",
                                        "2130706433",
                                        "0x7f.1",
                                        "[::1]",
                                        "10.0.0.1",
                                        "[::ffff:127.0.0.1]",
                                        "0",
                                        "169.254.169.254",
                                        "[fd00::1]",
                                        "0177.0.0.1",
                                        "0x7f000001",
                                        "127.1",
                                        "017700000001",
                                        "[::ffff:7f00:1]",
                                        "[64:ff9b::7f00:1]",
                                        "[2002:7f00:1::]",
                                        "[::]",
                                        "[::127.0.0.1]",
                                        "[fe80::1]",
                                        "100.64.0.1",
                                        "[fd00:ec2::254]",
                                        "[64:ff9b:1::a9fe:a9fe]"};
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        char body[128];
        snprintf(body, sizeof(body), "{\"url\":\"http://%s/\",\"channels\":[\"a\"]}", hosts[i]);
        if (ask(world, COURIER_CREATE, body) != COURIER_E_FORBIDDEN)
            fail_msg("http://%s/ is accepted", hosts[i]);
    }
}

static void while_everything_fails_the_oldest_alone_is_tried_out_of_turn(void **state)
{
    struct world *world = *state;
    uint64_t ids[7];
    char channel[16];
    create_for_many(world, ",\"concurrency\":1,\"schedule\":[3600]");
    for (int i = 0; i < 7; i++) {
        snprintf(channel, sizeof(channel), "c/%d", i);
        ids[i] = publish(world, channel);
    }
    for (int i = 0; i < 5; i++) {
        receive(world);
        assert_event(world, ids[i]);
        answer(world, "500 Oops");
    }
    for (int i = 0; i < 2; i++) {
        receive(world);
        assert_event(world, ids[0]);
        answer(world, "500 Oops");
    }
    receive(world);
    assert_event(world, ids[0]);
    assert_int_equal(ask(world, COURIER_GET, NULL), 0);
    assert_told(world, "circuit", "open");
    assert_told(world, "lag", "7");
    answer(world, "200 OK");
    for (int i = 1; i < 7; i++) {
        receive(world);
        assert_signed(world, world->secret);
        answer(world, "200 OK");
    }
    await(world, "lag", "0");
    assert_told(world, "circuit", "closed");
}

/* The second event of the channel that was probed waits as long as any that fails once. */
static void behind_a_probe_that_was_accepted_a_failure_is_the_first(void **state)
{
    struct world *world = *state;
    uint64_t first[5], second;
    char channel[16], id[256], expected[32];
    create_for_many(world, ",\"concurrency\":1,\"schedule\":[3600]");
    for (int i = 0; i < 5; i++) {
        snprintf(channel, sizeof(channel), "c/%d", i);
        first[i] = publish(world, channel);
    }
    second = publish(world, "c/0");
    for (int i = 0; i < 5; i++) {
        receive(world);
        assert_event(world, first[i]);
        answer(world, "500 Oops");
    }
    receive(world);
    assert_event(world, first[0]);
    answer(world, "200 OK");
    snprintf(expected, sizeof(expected), "%016" PRIu64, second);
    for (int i = 0; i < 5; i++) {
        receive(world);
        header(world, "webhook-id", id);
        answer(world, strcmp(id, expected) == 0 ? "500 Oops" : "200 OK");
    }
    await(world, "lag", "1");
    await(world, "held", "1");
}

static void a_channel_that_lags_is_told_what_it_missed(void **state)
{
    struct world *world = *state;
    char id[256];
    create_for_many(world, ",\"concurrency\":1,\"schedule\":[3600]");
    uint64_t first = publish(world, "c/1");
    receive(world);
    assert_event(world, first);
    answer(world, "500 Oops");
    uint64_t other = publish(world, "c/2");
    receive(world);
    assert_event(world, other);
    answer(world, "200 OK");
    append(world, "c/1", EVENT_TRIM);
    uint64_t left = publish(world, "c/1");
    await(world, "held", "1");
    assert_int_equal(ask(world, COURIER_RESUME, NULL), 0);
    receive(world);
    header(world, "webhook-id", id);
    assert_int_equal(strncmp(id, "gap_", 4), 0);
    assert_non_null(strstr(world->body, "\"channel\":\"c/1\""));
    answer(world, "200 OK");
    receive(world);
    assert_event(world, left);
    answer(world, "200 OK");
    await(world, "lag", "0");
}

static void a_webhook_that_fails_for_too_long_is_disabled(void **state)
{
    struct world *world = *state;
    create(world, "");
    uint64_t first = publish(world, "a");
    for (int i = 0; i < 2; i++) {
        receive(world);
        assert_event(world, first);
        answer(world, "500 Oops");
    }
    await(world, "state", "disabled");
    assert_told(world, "lag", "1");
    assert_int_equal(ask(world, COURIER_RESUME, NULL), 0);
    receive(world);
    assert_event(world, first);
    answer(world, "200 OK");
    await(world, "lag", "0");
    assert_told(world, "state", "active");
}

static void nothing_is_sent_before_retry_after(void **state)
{
    struct world *world = *state;
    create_for_many(world, "");
    publish(world, "c/1");
    receive(world);
    answer(world, "429 Slow\r\nRetry-After: 3600");
    await(world, "held", "1");
    publish(world, "c/2");
    assert_quiet(world);
    assert_told(world, "lag", "2");
    assert_int_equal(ask(world, COURIER_RETRY_ALL, NULL), 0);
    assert_told(world, "retrying", "1");
    for (int i = 0; i < 2; i++) {
        receive(world);
        answer(world, "200 OK");
    }
    await(world, "lag", "0");
}

static void no_answer(struct publish *publish, struct batch *batch)
{
    (void)batch;
    assert_int_equal(publish->verdict, 0);
}

static void append_many(struct world *world, unsigned count, struct publish *publishes)
{
    for (unsigned i = 0; i < count; i++) {
        struct append *append = append_new(world->log, &world->port);
        publishes[i] = (struct publish){.count = 1, .done = no_answer};
        (void)add_event(world, append, "a", STR("hello"));
        append_add(append, &publishes[i]);
        log_append(world->log, append);
    }
}

static void missed_events_are_delivered_in_order_and_once(void **state)
{
    enum { MANY = 200 };
    struct world *world = *state;
    struct publish publishes[MANY];
    char last[256] = "";
    create(world, "");
    append_many(world, MANY, publishes);
    for (unsigned i = 0; i < MANY; i++) {
        char id[256];
        receive(world);
        header(world, "webhook-id", id);
        assert_true(strcmp(id, last) > 0);
        memcpy(last, id, sizeof(last));
        answer(world, "200 OK");
    }
    await(world, "lag", "0");
    assert_quiet(world);
    assert_true(courier_stats(world->courier)->missed > 0);
}

/* The clock jumps for a moment, then for good, then back. */
static void a_clock_that_jumps_sends_nothing_early(void **state)
{
    struct world *world = *state;
    int64_t years_s = INT64_C(10) * 365 * 86400;
    create_for_many(world, "");
    publish(world, "c/1");
    receive(world);
    answer(world, "429 Slow\r\nRetry-After: 3600");
    await(world, "held", "1");
    move(world, years_s, 0);
    publish(world, "c/2");
    assert_quiet(world);
    move(world, 20, 20);
    publish(world, "c/3");
    assert_quiet(world);
    move(world, 20 - years_s, 20);
    publish(world, "c/4");
    assert_quiet(world);
    move(world, 20, 20);
    publish(world, "c/5");
    assert_quiet(world);
    move(world, 3600, 3600);
    publish(world, "c/6");
    for (int i = 0; i < 6; i++) {
        receive(world);
        answer(world, "200 OK");
    }
    await(world, "lag", "0");
}

static void a_clock_that_jumps_disables_nothing(void **state)
{
    struct world *world = *state;
    create(world, "");
    uint64_t first = publish(world, "a");
    static const int64_t jumps_s[][2] = {{0, 0}, {INT64_C(315360000), 0}, {20, 20}};
    for (size_t i = 0; i < sizeof(jumps_s) / sizeof(*jumps_s); i++) {
        receive(world);
        assert_event(world, first);
        move(world, jumps_s[i][0], jumps_s[i][1]);
        answer(world, "500 Oops");
    }
    await(world, "state", "failing");
    assert_int_equal(ask(world, COURIER_RESUME, NULL), 0);
    receive(world);
    answer(world, "200 OK");
    await(world, "state", "active");
}

static enum courier_fault create_under(struct world *world, const char *key, bool *ret_repeated)
{
    submit_creation_for(world, "[\"a\"]", "", key);
    enum courier_fault fault = reply(world);
    *ret_repeated = world->request.repeated;
    return fault;
}

static void a_key_of_a_registration_counts_for_a_day(void **state)
{
    struct world *world = *state;
    bool repeated;
    assert_int_equal(create_under(world, "k", &repeated), 0);
    assert_false(repeated);
    char *first = told(world, "id");
    move(world, 86390, 86390);
    assert_int_equal(create_under(world, "k", &repeated), 0);
    assert_true(repeated);
    assert_told(world, "id", first);
    move(world, 20, 20);
    assert_int_equal(create_under(world, "k", &repeated), 0);
    assert_false(repeated);
    char *second = told(world, "id");
    assert_string_not_equal(first, second);
    move(world, 86390, 86390);
    assert_int_equal(create_under(world, "k", &repeated), 0);
    assert_true(repeated);
    assert_told(world, "id", second);
    free(first);
    free(second);
}

/* ---- pages that are carried in parts --------------------------------------------------------- */

/* Takes requests until all of `wanted` was accepted; none may come twice. Returns the number of
 * requests. */
static unsigned take_all(struct world *world, uint64_t first, unsigned count, unsigned wanted)
{
    unsigned seen = 0, requests = 0;
    while (seen != wanted) {
        receive(world);
        unsigned bits = carried(world, first, count);
        assert_int_equal(bits & seen, 0);
        assert_int_equal(bits & ~wanted, 0);
        seen |= bits;
        requests++;
        answer(world, "200 OK");
    }
    return requests;
}

static void create_for_pages(struct world *world)
{
    create_for_many(world, ",\"ordered\":false,\"batch\":20");
}

static void refuse_a_page(struct world *world, const char *status)
{
    receive(world);
    assert_int_equal(carried(world, world->published, 20), (1U << 20) - 1);
    answer(world, status);
}

static void a_page_that_failed_is_sent_again_in_parts(void **state)
{
    struct world *world = *state;
    static const unsigned sizes[] = {100, 9000, 20000};
    create_for_pages(world);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        append_page(world, 20, sizes[i]);
        refuse_a_page(world, "500 Oops");
        unsigned requests = take_all(world, world->published, 20, (1U << 20) - 1);
        assert_true(sizes[i] == 100 ? requests == 1 : requests > 1);
        await(world, "lag", "0");
        assert_quiet(world);
    }
}

static void a_page_that_is_trimmed_meanwhile_ends(void **state)
{
    struct world *world = *state;
    static const unsigned trimmed[] = {0, 3, 19};
    create_for_many(world, ",\"ordered\":false,\"batch\":20,\"schedule\":[3600]");
    for (size_t i = 0; i < sizeof(trimmed) / sizeof(*trimmed); i++) {
        char channel[16];
        append_page(world, 20, 9000);
        uint64_t first = world->published;
        refuse_a_page(world, "500 Oops");
        await(world, "held", "1");
        snprintf(channel, sizeof(channel), "c/%u", trimmed[i]);
        append(world, channel, EVENT_TRIM);
        assert_int_equal(ask(world, COURIER_RETRY_ALL, NULL), 0);
        take_all(world, first, 20, ((1U << 20) - 1) & ~(1U << trimmed[i]));
        if (trimmed[i] == 19) { /* nothing is left behind the last part, which is told */
            receive(world);
            assert_non_null(strstr(world->body, "$gap"));
            answer(world, "200 OK");
        }
        await(world, "lag", "0");
    }
}

static void a_page_that_is_given_up_goes_on_behind_the_dead_part(void **state)
{
    struct world *world = *state;
    create_for_many(world, ",\"ordered\":false,\"batch\":20,\"schedule\":[3600]");
    append_page(world, 20, 9000);
    uint64_t first = world->published;
    refuse_a_page(world, "500 Oops");
    await(world, "held", "1");
    world_pass(world, WORLD_TICK_MS); /* given up only if another was accepted since */
    publish(world, "c/99");
    receive(world);
    answer(world, "200 OK");
    await(world, "failures", "0");
    assert_int_equal(ask(world, COURIER_RETRY_ALL, NULL), 0);
    receive(world);
    unsigned dead = carried(world, first, 20);
    assert_true(dead && dead != (1U << 20) - 1);
    answer(world, "500 Oops");
    take_all(world, first, 20, ((1U << 20) - 1) & ~dead);
    await(world, "dead", "1");
    await(world, "lag", "0");
    assert_int_equal(ask(world, COURIER_RETRY_ALL, NULL), 0);
    take_all(world, first, 20, dead);
    await(world, "dead", "0");
}

/* More rows that are not for the endpoint than one read looks at. */
static void append_others(struct world *world)
{
    enum { BATCHES = 55, EACH = 1000 };
    for (int i = 0; i < BATCHES; i++) {
        struct append *append = append_new(world->log, &world->port);
        for (int j = 0; j < EACH; j++)
            (void)add_event(world, append, "n", STR("1"));
        append_all(world, append, EACH);
    }
}

/* Refuses a page of two events that are far apart. */
static void refuse_a_wide_page(struct world *world, uint64_t *ret_first, uint64_t *ret_last)
{
    append_page(world, 40, 1); /* few channels would be read one by one */
    create_for_many(world, ",\"ordered\":false,\"batch\":20,\"concurrency\":1,\"schedule\":[3600]");
    publish(world, "c/9");
    receive(world);
    *ret_first = publish(world, "c/0");
    append_others(world);
    *ret_last = publish(world, "c/1");
    await(world, "lag", "3");
    answer(world, "200 OK");
    receive(world);
    assert_int_equal(carried(world, *ret_first, 1) & carried(world, *ret_last, 1), 1);
    answer(world, "500 Oops");
    await(world, "held", "1");
}

static void a_page_with_many_rows_between_is_sent_again_whole(void **state)
{
    struct world *world = *state;
    uint64_t first, last;
    refuse_a_wide_page(world, &first, &last);
    assert_int_equal(ask(world, COURIER_RETRY_ALL, NULL), 0);
    take_all(world, first, 1, 1);
    take_all(world, last, 1, 1);
    await(world, "lag", "0");
    assert_quiet(world);
}

static void a_page_whose_first_channel_is_gone_ends(void **state)
{
    struct world *world = *state;
    uint64_t first, last;
    refuse_a_wide_page(world, &first, &last);
    append(world, "c/0", EVENT_TRIM);
    assert_int_equal(ask(world, COURIER_RETRY_ALL, NULL), 0);
    take_all(world, last, 1, 1);
    await(world, "lag", "0");
    assert_quiet(world);
}

static void a_large_page_is_sent_again_by_hand_in_parts(void **state)
{
    struct world *world = *state;
    create_for_pages(world);
    append_page(world, 20, 90000);
    uint64_t first = world->published;
    refuse_a_page(world, "200 OK");
    await(world, "lag", "0");
    assert_int_equal(ask_delivery(world, COURIER_RETRY, 1), 0);
    assert_true(take_all(world, first, 20, (1U << 20) - 1) > 1);
    assert_quiet(world);
}

/* ---- pending events -------------------------------------------------------------------------- */

/* Each look at the clock takes a millisecond: the lag counted in five is a lower bound. */
static void a_lag_that_takes_long_to_count_is_a_lower_bound(void **state)
{
    enum { PENDING = 200 };
    struct world *world = *state;
    char pending[8];
    create_for_many(world, "");
    assert_int_equal(ask(world, COURIER_PAUSE, NULL), 0);
    append_round(world, PENDING, 1, 10);
    snprintf(pending, sizeof(pending), "%d", PENDING);
    await(world, "lag", pending);
    assert_told(world, "lag_exact", "true");
    world->clock.tick_us = 1000;
    assert_int_equal(ask(world, COURIER_GET, NULL), 0);
    world->clock.tick_us = 0;
    char *lag = told(world, "lag");
    assert_in_range(strtoul(lag, NULL, 10), 1, PENDING - 1);
    free(lag);
    assert_told(world, "lag_exact", "false");
    await(world, "lag", pending);
    assert_told(world, "lag_exact", "true");
}

/* ---- a circuit that opens while a lane is read ----------------------------------------------- */

/* Keeps the log's only reader busy until it is told to end. */
struct blocker {
    struct log_job job;
    int runs_fd, ends_fd;
    bool ended;
};

static bool run_blocker(struct log_job *job, struct log *log)
{
    struct blocker *blocker = container_of(job, struct blocker, job);
    uint64_t value;
    (void)log;
    return !eventfd_write(blocker->runs_fd, 1) && !eventfd_read(blocker->ends_fd, &value);
}

static void on_unblocked(struct mail *mail, void *owner)
{
    (void)owner;
    container_of(mail, struct blocker, job.mail)->ended = true;
}

static void block(struct world *world, struct blocker *blocker)
{
    uint64_t value;
    *blocker = (struct blocker){
        .job = {.run = run_blocker, .reply = &world->mailbox, .mail = {NULL, on_unblocked}},
        .runs_fd = eventfd(0, EFD_CLOEXEC),
        .ends_fd = eventfd(0, EFD_CLOEXEC)};
    log_submit(world->log, &blocker->job);
    assert_int_equal(eventfd_read(blocker->runs_fd, &value), 0);
    world->is_blocked = true;
}

static void unblock(struct world *world, struct blocker *blocker)
{
    assert_int_equal(eventfd_write(blocker->ends_fd, 1), 0);
    while (!blocker->ended)
        world_step(world, 10);
    close(blocker->runs_fd);
    close(blocker->ends_fd);
    world->is_blocked = false;
}

static void stop(struct world *world)
{
    courier_begin_stop(world->courier);
    courier_end(world->courier);
}

/* Pages of events that nobody delivers any more may take long to read. */
static void a_stop_waits_for_no_page_of_the_log(void **state)
{
    struct world *world = *state;
    struct blocker blocker;
    create_for_many(world, "");
    assert_int_equal(ask(world, COURIER_PAUSE, NULL), 0);
    for (int i = 0; i < 32; i++)
        append_page(world, 1, 64 << 10); /* more than the hub's window */
    block(world, &blocker);
    submit(world, COURIER_RESUME, NULL);
    for (int i = 0; !world->courier->asker.open; i++) {
        assert_true(i < 100);
        world_step(world, 0);
    }
    stop(world);
    assert_true(asker_is_idle(&world->courier->asker));
    assert_int_equal(eventfd_write(blocker.ends_fd, 1), 0);
    while (!blocker.ended)
        mailbox_empty(&world->mailbox);
    close(blocker.runs_fd);
    close(blocker.ends_fd);
}

static bool is_answered;

static void note_answer(struct mail *mail, void *owner)
{
    (void)mail;
    (void)owner;
    is_answered = true;
}

/* The workers that ask are gone once the courier is freed. */
static void a_request_that_waits_for_another_is_answered_before_the_stop_ends(void **state)
{
    struct world *world = *state;
    struct courier_request second = {.op = COURIER_RESUME,
                                     .access = ACCESS_OF_SERVER,
                                     .reply = &world->mailbox,
                                     .reply_mail = {NULL, note_answer}};
    create(world, "");
    is_answered = false;
    assert_int_equal(saver_start(world->courier->saver),
                     0); /* so that a save is under way while we stop */
    submit(world, COURIER_PAUSE, NULL);
    snprintf(second.id, sizeof(second.id), "%s", world->id);
    courier_submit(world->courier, &second);
    mailbox_empty(&world->courier->loop.mailbox);
    assert_non_null(the_endpoint(world)->change.busy);
    stop(world);
    while (mailbox_empty(&world->mailbox))
        ;
    assert_true(world->replied);
    assert_true(is_answered);
    assert_int_equal(second.fault, COURIER_E_NOW);
}

/* The queue of a lane that is not tried is freed, or it would take the room that tried lanes need.
 */
static void lanes_that_are_not_tried_take_no_room_from_lanes_that_are(void **state)
{
    struct world *world = *state;
    struct blocker blocker;
    struct received *slow, *others[5];
    char channel[16];
    create_for_many(world, ",\"concurrency\":6,\"schedule\":[3600]");
    publish(world, "c/slow");
    receive(world);
    slow = world->at;
    publish(world, "c/slow");
    await(world, "lag", "2");
    move(world, 0, 1); /* the first is slow now, so the second waits in the store */
    for (int i = 0; i < 5; i++) {
        snprintf(channel, sizeof(channel), "c/%d", i);
        publish(world, channel);
        receive(world);
        others[i] = world->at;
    }
    block(world, &blocker);
    answer_with(world, slow, "200 OK", "ok");
    await(world, "inflight", "5");
    for (int i = 0; i < 5; i++)
        answer_with(world, others[i], "500 Oops", "ok");
    await(world, "circuit", "open");
    unblock(world, &blocker);
    for (int i = 0; i < 2; i++) {
        receive(world);
        answer(world, "500 Oops");
    }
    for (int i = 0; i < 6; i++) {
        receive(world);
        answer(world, "200 OK");
    }
    await(world, "lag", "0");
}

/* ---- memory that is held --------------------------------------------------------------------- */

enum {
    LARGE = 200000,
    LARGE_COUNT = 100,
    UNDER_WAY = 8 /* at first */,
    QUEUES_MOST = (4 << 20) + 5 * (LARGE + 1000)
};

static void assert_held(struct world *world)
{
    for (int i = 0; i < 100; i++) {
        assert_int_equal(ask(world, COURIER_GET, NULL), 0);
        assert_in_range(courier_stats(world->courier)->queued, LARGE, QUEUES_MOST);
    }
    assert_in_range(courier_stats(world->courier)->bodies, LARGE, UNDER_WAY * (LARGE + 1000));
}

static void assert_nothing_held(struct world *world)
{
    await(world, "lag", "0");
    assert_quiet(world);
    assert_int_equal(courier_stats(world->courier)->queued, 0);
    assert_int_equal(courier_stats(world->courier)->bodies, 0);
    assert_int_equal(courier_stats(world->courier)->found, 0);
}

static void large_events_wait_in_the_store(void **state)
{
    struct world *world = *state;
    struct received *first[UNDER_WAY];
    create_for_many(world, ",\"concurrency\":100");
    append_page(world, LARGE_COUNT, LARGE);
    for (unsigned i = 0; i < UNDER_WAY; i++) {
        receive(world);
        first[i] = world->at;
    }
    assert_held(world);
    for (unsigned i = 0; i < UNDER_WAY; i++) {
        answer_with(world, first[i], "200 OK", "ok");
    }
    for (unsigned i = UNDER_WAY; i < LARGE_COUNT; i++) {
        receive(world);
        answer(world, "200 OK");
    }
    assert_nothing_held(world);
}

/* Every other event fails, and a retry is asked for at once for all of these. */
static void events_to_be_sent_again_wait_in_the_store(void **state)
{
    struct world *world = *state;
    char failed[8];
    create_for_many(world, ",\"concurrency\":1,\"schedule\":[3600]");
    append_page(world, LARGE_COUNT, LARGE);
    for (unsigned i = 0; i < LARGE_COUNT; i++) {
        receive(world);
        answer(world, i % 2 ? "200 OK" : "500 Oops");
    }
    snprintf(failed, sizeof(failed), "%d", LARGE_COUNT / 2);
    await(world, "held", failed);
    assert_int_equal(ask(world, COURIER_RETRY_ALL, NULL), 0);
    for (unsigned i = 0; i < LARGE_COUNT / 2; i++) {
        receive(world);
        if (i == 1)
            assert_held(world);
        answer(world, "200 OK");
    }
    assert_nothing_held(world);
}

static void assert_hops(const struct world *world, const char *expected)
{
    char hops[256];
    header(world, "Event-Hops", hops);
    assert_string_equal(hops, expected);
}

static uint64_t publish_with_hops(struct world *world, uint8_t hops)
{
    return append_with(world, "a", EVENT_PROPOSED, hops);
}

static void an_event_that_came_round_too_often_is_noted_and_not_sent(void **state)
{
    struct world *world = *state;
    char expected[128];
    create(world, "");
    assert_hops(world, "1");
    uint64_t last = publish_with_hops(world, 7);
    receive(world);
    assert_event(world, last);
    assert_hops(world, "8");
    uint64_t looped[] = {publish_with_hops(world, 8), publish_with_hops(world, EVENT_HOPS_MAX)};
    uint64_t behind = publish(world, "a");
    answer(world, "200 OK");
    receive(world);
    assert_event(world, behind);
    assert_hops(world, "1");
    answer(world, "200 OK");
    for (size_t i = 0; i < 2; i++) { /* each on its own: events of other channels may lie between */
        snprintf(expected, sizeof(expected),
                 "\"state\":\"skipped\",\"event\":\"%016" PRIu64 "\",\"channel\"", looped[i]);
        await_logged(world, expected);
    }
    await_logged(world, "\"status\":null,\"error\":\"loop: 8 hops\"");
    assert_int_equal(courier_stats(world->courier)->looped, 2);
    assert_int_equal(courier_stats(world->courier)->failures, 0);
    await(world, "lag", "0");
    assert_told(world, "state", "active");
    assert_told(world, "dead", "0");
}

/* Seven of them, of which three are not to be sent. */
static void pages_leave_out_what_came_round_too_often(struct world *world, const char *more)
{
    static const uint8_t hops[] = {0, 8, 0, 3, 9, 8, 7};
    static const struct {
        const char *hops;
        unsigned events;
    } pages[] = {{"1", 1}, {"4", 2}, {"8", 1}};
    create(world, more);
    assert_int_equal(ask(world, COURIER_PAUSE, NULL), 0);
    for (size_t i = 0; i < sizeof(hops); i++)
        publish_with_hops(world, hops[i]);
    assert_int_equal(ask(world, COURIER_RESUME, NULL), 0);
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        unsigned events = 0;
        receive(world);
        assert_hops(world, pages[i].hops);
        for (const char *at = world->body; (at = strstr(at, "\"prev\":")); at++)
            events++;
        assert_int_equal(events, pages[i].events);
        answer(world, "200 OK");
    }
    await(world, "lag", "0");
    assert_int_equal(courier_stats(world->courier)->looped, 3);
}

static void a_page_ends_before_what_came_round_too_often(void **state)
{
    pages_leave_out_what_came_round_too_often(*state, ",\"batch\":10");
}

static void a_page_without_order_does_so_too(void **state)
{
    pages_leave_out_what_came_round_too_often(*state, ",\"batch\":10,\"ordered\":false");
}

static void a_gap_has_the_hops_of_what_was_sent_before_it(void **state)
{
    struct world *world = *state;
    create(world, "");
    publish_with_hops(world, 5);
    receive(world);
    assert_hops(world, "6");
    answer(world, "200 OK");
    await(world, "lag", "0");
    assert_int_equal(ask(world, COURIER_PAUSE, NULL), 0);
    publish(world, "a");
    append(world, "a", EVENT_TRIM);
    assert_int_equal(ask(world, COURIER_RESUME, NULL), 0);
    publish(world, "a");
    receive(world);
    assert_non_null(strstr(world->body, "$gap"));
    assert_hops(world, "6");
    answer(world, "200 OK");
    receive(world);
    assert_hops(world, "1");
    answer(world, "200 OK");
}

/* MANY is more than may be noted between two saves, and more than a lane has in memory. */
static void many_events_that_came_round_too_often_are_passed_over(void **state)
{
    enum { MANY = 500 };
    struct world *world = *state;
    create(world, ",\"concurrency\":1");
    assert_int_equal(ask(world, COURIER_PAUSE, NULL), 0);
    for (int i = 0; i < MANY; i++)
        publish_with_hops(world, 8);
    uint64_t behind = publish(world, "a");
    assert_int_equal(ask(world, COURIER_RESUME, NULL), 0);
    receive(world);
    assert_event(world, behind);
    answer(world, "200 OK");
    await(world, "lag", "0");
    assert_int_equal(courier_stats(world->courier)->looped, MANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
#define CROWDED(name) cmocka_unit_test_setup_teardown(name, set_up_crowded, world_tear_down)
#define STRICT(name) cmocka_unit_test_setup_teardown(name, set_up_strict, world_tear_down)
        TEST(events_are_posted_in_order_one_at_a_time),
        TEST(other_channels_move_the_cursor_only),
        TEST(a_failed_event_is_sent_again_under_the_same_id),
        TEST(a_used_up_schedule_is_failing_and_nothing_is_skipped),
        TEST(gone_disables_and_resuming_takes_up_at_the_cursor),
        TEST(a_paused_endpoint_keeps_its_place),
        TEST(a_pause_in_the_midst_of_a_delivery_lets_it_end),
        TEST(changed_channels_count_from_the_cursor_on),
        TEST(a_change_to_the_same_values_changes_nothing),
        TEST(after_a_rotation_both_secrets_sign),
        TEST(a_secret_of_ones_own_is_used),
        TEST(secrets_are_not_told_again),
        TEST(verification_creates_only_what_answers),
        TEST(a_ping_is_answered_with_what_came_back),
        TEST(a_deletion_under_way_of_a_ping_and_a_delivery_is_safe),
        TEST(a_stop_waits_for_no_page_of_the_log),
        TEST(a_request_that_waits_for_another_is_answered_before_the_stop_ends),
        TEST(a_delivery_whose_event_is_gone_is_not_delivered_by_the_gap),
        TEST(a_gap_is_sent_before_the_events_behind_it),
        TEST(a_webhook_begins_where_after_says),
        TEST(a_webhook_beyond_the_limit_is_refused),
        TEST(while_everything_fails_the_oldest_alone_is_tried_out_of_turn),
        TEST(behind_a_probe_that_was_accepted_a_failure_is_the_first),
        TEST(a_channel_that_lags_is_told_what_it_missed),
        TEST(nothing_is_sent_before_retry_after),
        TEST(a_clock_that_jumps_sends_nothing_early),
        TEST(a_clock_that_jumps_disables_nothing),
        TEST(a_key_of_a_registration_counts_for_a_day),
        TEST(a_page_that_failed_is_sent_again_in_parts),
        TEST(a_page_that_is_trimmed_meanwhile_ends),
        TEST(a_page_that_is_given_up_goes_on_behind_the_dead_part),
        TEST(a_page_with_many_rows_between_is_sent_again_whole),
        TEST(a_page_whose_first_channel_is_gone_ends),
        TEST(a_large_page_is_sent_again_by_hand_in_parts),
        TEST(a_lag_that_takes_long_to_count_is_a_lower_bound),
        TEST(large_events_wait_in_the_store),
        TEST(events_to_be_sent_again_wait_in_the_store),
        TEST(an_event_that_came_round_too_often_is_noted_and_not_sent),
        TEST(a_page_ends_before_what_came_round_too_often),
        TEST(a_page_without_order_does_so_too),
        TEST(a_gap_has_the_hops_of_what_was_sent_before_it),
        TEST(many_events_that_came_round_too_often_are_passed_over),
        CROWDED(events_are_posted_in_order_one_at_a_time),
        CROWDED(a_used_up_schedule_is_failing_and_nothing_is_skipped),
        CROWDED(while_everything_fails_the_oldest_alone_is_tried_out_of_turn),
        CROWDED(a_channel_that_lags_is_told_what_it_missed),
        CROWDED(nothing_is_sent_before_retry_after),
        CROWDED(an_event_that_came_round_too_often_is_noted_and_not_sent),
        CROWDED(many_events_that_came_round_too_often_are_passed_over),
        CROWDED(lanes_that_are_not_tried_take_no_room_from_lanes_that_are),
        cmocka_unit_test_setup_teardown(a_webhook_that_fails_for_too_long_is_disabled,
                                        set_up_impatient, world_tear_down),
        cmocka_unit_test_setup_teardown(missed_events_are_delivered_in_order_and_once, set_up_busy,
                                        world_tear_down),
        STRICT(addresses_that_are_not_public_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
