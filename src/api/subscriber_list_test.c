#include "api/subscriber_list.h"

#include "api/testing.h"
#include "transport/review.h"
#include "transport/rounds.h"

/* ---- subscribers without sockets ------------------------------------------------------------- */

struct fake {
    struct conn conn;
    struct request_stream request;
    struct pull pull;
    struct caller *caller;
    enum format_id format;
    const char *channel;
    unsigned terms; /* so many of it, each with a digit behind */
    bool is_behind;
    unsigned *ended;
};

/* The desk with its crowd. */
struct crowd {
    struct desk *desk;
    struct fake *fakes;
    unsigned count;
    unsigned ended;
};

static unsigned visited;
static char names[SELECTION_TERMS_MAX][NAME_MAX_BYTES];

static struct fake *of_pull(const struct pull *pull)
{
    return container_of(pull, struct fake, pull);
}

static void fake_tell(const struct pull *pull, struct subscription_facts *facts)
{
    const struct fake *fake = of_pull(pull);
    facts->format = fake->format;
    facts->since_s = rounds_now_s(pull->request->worker);
    facts->cursor = 5;
    facts->is_behind = fake->is_behind;
    for (unsigned i = 0; i < fake->terms; i++)
        facts_add_term(facts, (struct str){names[i], sizeof(names[i])});
    if (!fake->terms)
        facts_add_term(facts, str_from(fake->channel));
}

static void fake_goodbye(struct pull *pull, enum ending why)
{
    (void)why;
    ++*of_pull(pull)->ended;
}

static const struct pull_ops fake_pull_ops = {.tell = fake_tell, .goodbye = fake_goodbye};

static struct fake *of_request(const struct request_stream *request)
{
    return container_of(request, struct fake, request);
}

static uint32_t fake_id(const struct request_stream *request)
{
    return of_request(request)->conn.id;
}

static struct conn *fake_conn(const struct request_stream *request)
{
    return &of_request(request)->conn;
}

static enum request_stream_state fake_state(const struct request_stream *request)
{
    (void)request;
    return REQUEST_OPEN;
}

static const struct request_stream_ops fake_request_ops = {
    .id = fake_id, .conn = fake_conn, .state = fake_state};

static void fake_visit(struct conn *conn, void *visitor)
{
    visited++;
    rounds_show(visitor, &container_of(conn, struct fake, conn)->request, NULL);
}

static void fake_told(struct conn *conn, uint32_t after_ms)
{
    (void)conn;
    (void)after_ms;
}

static const struct conn_ops fake_conn_ops = {.visit = fake_visit, .drain = fake_told};

static bool fake_end(void *owner, enum ending why)
{
    (void)why;
    ++*of_pull(owner)->ended;
    return true;
}

static const struct live_ops fake_live = {.end = fake_end};

/* Ids from 100 on, the later half first in the worker's list. */
static struct crowd *crowd_new(unsigned count)
{
    struct crowd *crowd = mem_alloc(sizeof(*crowd));
    struct desk *desk = desk_new();
    *crowd = (struct crowd){desk, mem_alloc((count + 1) * sizeof(struct fake)), count, 0};
    for (unsigned n = 0; n < count; n++) {
        struct fake *fake = &crowd->fakes[(n + count / 2) % count];
        uint32_t id = 100 + (n + count / 2) % count;
        *fake = (struct fake){
            .conn = {.ops = &fake_conn_ops, .net = &desk->worker.net, .fd = -1, .id = id},
            .request = {.ops = &fake_request_ops, .worker = &desk->worker, .pull = &fake->pull},
            .pull = {.ops = &fake_pull_ops, .request = &fake->request},
            .channel = "news",
            .ended = &crowd->ended};
        list_add_last(&desk->worker.connections, &fake->conn.node);
    }
    return crowd;
}

static void crowd_free(struct crowd *crowd)
{
    for (unsigned i = 0; i < crowd->count; i++) {
        live_remove(&crowd->desk->worker, &crowd->fakes[i].pull);
        caller_unref(crowd->fakes[i].caller);
        list_remove(&crowd->fakes[i].conn.node);
        clients_remove(&crowd->desk->worker.net.forwarded, crowd->fakes[i].conn.id);
    }
    desk_free(crowd->desk);
    free(crowd->fakes);
    free(crowd);
}

static void put_under(struct crowd *crowd, unsigned n, const char *subject)
{
    struct fake *fake = &crowd->fakes[n];
    fake->caller = caller_new(&(const struct caller_facts){
        .kind = CALLER_TOKEN, .subject = str_from(subject), .expires_us = INT64_MAX / 2});
    assert_int_equal(live_add(&crowd->desk->worker, &fake->pull, fake->caller, &fake_live), 0);
}

/* ---- pages ----------------------------------------------------------------------------------- */

static json_t *ask(struct crowd *crowd, const char *query)
{
    char request[200];
    snprintf(request, sizeof(request), "GET /subscribers%s", query);
    desk_ask(crowd->desk, request, "", STR_NONE);
    assert_int_equal(crowd->desk->status, 200);
    json_t *page = json_loadb(crowd->desk->body.at, crowd->desk->body.len, 0, NULL);
    assert_non_null(page);
    return page;
}

static size_t count_of(struct crowd *crowd, const char *query)
{
    json_t *page = ask(crowd, query);
    size_t count = json_array_size(json_object_get(page, "subscribers"));
    json_decref(page);
    return count;
}

/* Reads all pages: each subscriber is there once, in the order of its id. */
static unsigned walk(struct crowd *crowd, const char *query)
{
    char after[64] = "";
    unsigned pages = 0, n = 0;
    do {
        char own[CONN_NAME_SIZE + 1] = "", all[128];
        snprintf(all, sizeof(all), "%s%s", query, after);
        json_t *page = ask(crowd, all), *list = json_object_get(page, "subscribers");
        for (size_t i = 0; i < json_array_size(list); i++, n++) {
            assert_true(n < crowd->count);
            (void)request_stream_name(&crowd->fakes[n].request, own);
            assert_string_equal(json_string_value(json_object_get(json_array_get(list, i), "id")),
                                own);
        }
        const char *next = json_string_value(json_object_get(page, "next"));
        snprintf(after, sizeof(after), "%s%s", next ? "&after=" : "", next ? next : "");
        assert_true(json_array_size(list) || !next);
        json_decref(page);
        pages++;
    } while (*after);
    assert_int_equal(n, crowd->count);
    return pages;
}

static void pages_follow_each_other_in_a_stable_order(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_new(25);
    assert_int_equal(walk(crowd, "?limit=10"), 3);
    assert_int_equal(walk(crowd, "?limit=25"), 1);
    assert_int_equal(walk(crowd, "?limit=24"), 2);
    assert_int_equal(walk(crowd, "?limit=1"), 25);
    crowd_free(crowd);
}

static void a_subscriber_says_who_it_is_and_where_it_stands(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_new(1);
    struct desk *desk = crowd->desk;
    crowd->fakes[0].is_behind = true;
    put_under(crowd, 0, "alice");
    desk_ask(desk, "GET /subscribers", "", STR_NONE);
    assert_answer(desk, 200, "\"mechanism\":\"sse\"");
    assert_answer(desk, 200, "\"channels\":[\"news\"]");
    assert_answer(desk, 200, "\"subject\":\"alice\",\"credential\":\"token\"");
    assert_answer(desk, 200, "\"cursor\":\"0000000000000005\",\"behind\":true,\"behind_events\":");
    assert_answer(desk, 200, "\"since\":\"2026-");
    crowd_free(crowd);
}

static void filters_leave_others_out(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_new(10);
    union client_address address;
    assert_int_equal(client_address_parse(STR("192.0.2.7"), &address), 0);
    put_under(crowd, 3, "alice");
    crowd->fakes[4].channel = "chat/**";
    crowd->fakes[5].is_behind = true;
    crowd->fakes[6].format = FORMAT_FRESHET_V1;
    crowd->fakes[7].format = FORMAT_WEBSOCKET;
    clients_put(&crowd->desk->worker.net.forwarded, crowd->fakes[8].conn.id, &address);
    static const struct {
        const char *query;
        size_t count;
    } cases[] = {
        {"?subject=alice", 1},
        {"?subject=bob", 0},
        {"?channel=chat/17", 1},
        {"?channel=news", 9},
        {"?behind=1", 1},
        {"?behind=0", 9},
        {"?mechanism=ws", 2},
        {"?mechanism=freshet.v1", 1},
        {"?mechanism=sse", 8},
        {"?mechanism=poll", 0},
        {"?address=192.0.2.7", 1},
        {"?address=::ffff:192.0.2.7", 1},
        {"?address=192.0.2.8", 0},
        {"?subject=alice&behind=1", 0},
        {"?subject=alice&mechanism=sse&channel=news", 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (count_of(crowd, cases[i].query) != cases[i].count)
            fail_msg("%s: not %zu", cases[i].query, cases[i].count);
    crowd_free(crowd);
}

static void a_wrong_parameter_is_refused(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_new(1);
    static const char *const wrong[] = {
        "mechanism=smoke", "address=nowhere", "behind=perhaps",
        "limit=0",         "limit=1001",      "after=x",
        "channel=a//b",    "name=x",          "after=0123456789abcdef01234567"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char request[100];
        snprintf(request, sizeof(request), "GET /subscribers?%s", wrong[i]);
        desk_ask(crowd->desk, request, "", STR_NONE);
        if (crowd->desk->status != 400)
            fail_msg("%s: %d", request, crowd->desk->status);
    }
    crowd_free(crowd);
}

/* ---- bounds ---------------------------------------------------------------------------------- */

enum { MANY = 100000, SLICE_MOST = 1024 };

static void a_hundred_thousand_subscribers_are_listed_in_slices(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_new(MANY);
    struct desk *desk = crowd->desk;
    unsigned turns = 0;
    visited = 0;
    desk_begin_ask(desk, "GET /subscribers?limit=1000", "", STR_NONE);
    for (; !desk->answers; turns++) {
        unsigned before = visited;
        worker_step(&desk->worker, 0);
        assert_true(visited - before <= SLICE_MOST);
    }
    assert_int_equal(visited, MANY);
    assert_true(turns >= MANY / SLICE_MOST);
    assert_int_equal(desk->status, 200);
    crowd_free(crowd);
}

static void long_lists_of_channels_make_shorter_pages(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_new(100);
    for (size_t i = 0; i < SELECTION_TERMS_MAX; i++) {
        memset(names[i], 'x', sizeof(names[i]));
        names[i][0] = (char)('0' + i / 10);
        names[i][1] = (char)('0' + i % 10);
    }
    for (unsigned i = 0; i < crowd->count; i++)
        crowd->fakes[i].terms = SELECTION_TERMS_MAX;
    assert_true(walk(crowd, "?limit=100") > 2);
    crowd_free(crowd);
}

/* Asks for a page of 1,000 of 3,000, and has `disturb` done while the list is being made. The page
 * is full, and so are the next lists. */
static void list_amid(void (*disturb)(struct worker *))
{
    struct crowd *crowd = crowd_new(3000);
    struct desk *desk = crowd->desk;
    visited = 0;
    desk_begin_ask(desk, "GET /subscribers?limit=1000", "", STR_NONE);
    while (!visited)
        worker_step(&desk->worker, 0);
    disturb(&desk->worker);
    for (int i = 0; i < 100 && !desk->answers; i++)
        worker_step(&desk->worker, 0);
    json_t *page = json_loadb(desk->body.at, desk->body.len, 0, NULL);
    assert_int_equal(json_array_size(json_object_get(page, "subscribers")), 1000);
    json_decref(page);
    assert_int_equal(walk(crowd, "?limit=1000"), 3);
    crowd_free(crowd);
}

static void a_change_of_rules_does_not_tear_a_list(void **state)
{
    (void)state;
    list_amid(review_begin);
}

static void drain(struct worker *worker)
{
    worker_drain(worker);
    worker_step(worker, 0);
    assert_true(worker->draining);
}

static void a_drain_leaves_nothing_out_of_a_list(void **state)
{
    (void)state;
    list_amid(drain);
}

static void a_worker_makes_few_lists_at_a_time(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_new(1);
    struct worker *worker = &crowd->desk->worker;
    static const struct rounds_ops none;
    struct rounds rounds[8];
    for (size_t i = 0; i < 8; i++)
        rounds_begin(worker, &rounds[i], &none);
    desk_begin_ask(crowd->desk, "GET /subscribers", "", STR_NONE);
    assert_int_equal(crowd->desk->status, 429);
    for (size_t i = 0; i < 8; i++)
        list_remove(&rounds[i].node);
    crowd_free(crowd);
}

/* ---- ending ---------------------------------------------------------------------------------- */

static void a_single_subscription_is_ended_by_its_id(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_new(3);
    struct desk *desk = crowd->desk;
    char name[CONN_NAME_SIZE + 1] = "", request[100];
    (void)request_stream_name(&crowd->fakes[1].request, name);
    snprintf(request, sizeof(request), "DELETE /subscribers?id=%s", name);
    desk_ask(desk, request, "", STR_NONE);
    assert_answer(desk, 200, "{\"disconnected\":1}");
    assert_int_equal(crowd->ended, 1);
    desk_ask(desk, "DELETE /subscribers?id=0123456789abcdef01234567", "", STR_NONE);
    assert_answer(desk, 200, "{\"disconnected\":0}");
    desk_ask(desk, "DELETE /subscribers?id=0123456789ABCDEF01234567", "", STR_NONE);
    assert_answer(desk, 400, "24 hexadecimal digits");
    desk_ask(desk, "DELETE /subscribers", "", STR_NONE);
    assert_answer(desk, 400, "either a subject");
    assert_int_equal(crowd->ended, 1);
    crowd_free(crowd);
}

/* The crowd under a caller; every other one is alice, the rest are bob. */
static void put_all_under(struct crowd *crowd)
{
    struct caller *callers[2];
    static const struct str subjects[] = {STR("alice"), STR("bob")};
    for (size_t i = 0; i < 2; i++)
        callers[i] =
            caller_new(&(const struct caller_facts){.kind = CALLER_TOKEN, .subject = subjects[i]});
    for (unsigned n = 0; n < crowd->count; n++)
        assert_int_equal(
            live_add(&crowd->desk->worker, &crowd->fakes[n].pull, callers[n % 2], &fake_live), 0);
    for (size_t i = 0; i < 2; i++)
        caller_unref(callers[i]);
    while (live_is_busy(&crowd->desk->worker))
        live_check_some(&crowd->desk->worker);
}

enum { ENDED_MOST = 256 };

static void a_hundred_thousand_subscribers_are_disconnected_in_slices(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_new(MANY);
    struct desk *desk = crowd->desk;
    unsigned turns = 0;
    put_all_under(crowd);
    desk_begin_ask(desk, "DELETE /subscribers?subject=alice", "", STR_NONE);
    for (; !desk->answers; turns++) {
        unsigned before = crowd->ended;
        worker_step(&desk->worker, 0);
        assert_true(crowd->ended - before <= ENDED_MOST);
    }
    assert_true(turns >= MANY / ENDED_MOST);
    assert_answer(desk, 200, "{\"disconnected\":50000}");
    assert_int_equal(crowd->ended, MANY / 2);
    assert_int_equal(desk->worker.live.map.count, MANY / 2);
    desk_ask(desk, "DELETE /subscribers?subject=alice", "", STR_NONE);
    assert_answer(desk, 200, "{\"disconnected\":0}");
    crowd_free(crowd);
}

static void few_subjects_are_disconnected_at_a_time(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_new(1);
    struct worker *worker = &crowd->desk->worker;
    struct live_disconnection ends[8] = {{.subject = {"x", 1}}};
    for (size_t i = 0; i < 8; i++)
        live_disconnect(worker, &ends[i]);
    desk_begin_ask(crowd->desk, "DELETE /subscribers?subject=alice", "", STR_NONE);
    assert_int_equal(crowd->desk->status, 429);
    for (size_t i = 0; i < 8; i++) {
        list_remove(&ends[i].node);
        list_remove(&ends[i].mark);
    }
    crowd_free(crowd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_follow_each_other_in_a_stable_order),
        cmocka_unit_test(a_subscriber_says_who_it_is_and_where_it_stands),
        cmocka_unit_test(filters_leave_others_out),
        cmocka_unit_test(a_wrong_parameter_is_refused),
        cmocka_unit_test(a_hundred_thousand_subscribers_are_listed_in_slices),
        cmocka_unit_test(long_lists_of_channels_make_shorter_pages),
        cmocka_unit_test(a_change_of_rules_does_not_tear_a_list),
        cmocka_unit_test(a_drain_leaves_nothing_out_of_a_list),
        cmocka_unit_test(a_worker_makes_few_lists_at_a_time),
        cmocka_unit_test(a_single_subscription_is_ended_by_its_id),
        cmocka_unit_test(a_hundred_thousand_subscribers_are_disconnected_in_slices),
        cmocka_unit_test(few_subjects_are_disconnected_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
