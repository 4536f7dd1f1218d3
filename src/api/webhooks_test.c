#include "api/testing.h"

#define URL "\"url\":\"http://127.0.0.1:7/hook\""
static const char hook[] = "{" URL ",\"channels\":[\"a\"]}";

static void make(struct desk *desk, char id[64])
{
    desk_ask(desk, "POST /webhooks", "", str_from(hook));
    assert_int_equal(desk->status, 201);
    desk_told(desk, "id", id);
}

/* Asks for what lies at /webhooks/ID and `rest`. */
static void ask_of(struct desk *desk, const char *method, const char *id, const char *rest,
                   const char *body)
{
    char request[512];
    snprintf(request, sizeof(request), "%s /webhooks/%s%s", method, id, rest);
    desk_ask(desk, request, "", str_from(body));
}

static void a_webhook_that_was_made_is_located_listed_and_read(void **state)
{
    struct desk *desk = *state;
    char id[64], line[128];
    desk->api.base = STR("/x");
    desk_ask(desk, "POST /x/webhooks", "", str_from(hook));
    assert_answer(desk, 201, "\"secret\":\"whsec_");
    desk_told(desk, "id", id);
    snprintf(line, sizeof(line), "Location: /x/webhooks/%s\n", id);
    assert_true(desk_says(&desk->fields, line));
    desk_ask(desk, "GET /x/webhooks", "", STR_NONE);
    assert_answer(desk, 200, id);
    desk->api.base = STR("");
    ask_of(desk, "GET", id, "", "");
    assert_answer(desk, 200, URL);
    assert_false(desk_says(&desk->body, "whsec_"));
}

static void a_change_is_answered_with_the_webhook_and_a_deletion_with_nothing(void **state)
{
    struct desk *desk = *state;
    char id[64];
    make(desk, id);
    ask_of(desk, "PATCH", id, "", "{\"description\":\"of mine\"}");
    assert_answer(desk, 200, "of mine");
    ask_of(desk, "POST", id, "/pause", "");
    assert_answer(desk, 200, "\"state\":\"paused\"");
    ask_of(desk, "POST", id, "/resume", "{}");
    assert_answer(desk, 200, "\"state\":\"active\"");
    ask_of(desk, "POST", id, "/rotate", "");
    assert_answer(desk, 200, "whsec_");
    ask_of(desk, "POST", id, "/retry", "");
    assert_answer(desk, 202, "\"retrying\":0");
    ask_of(desk, "DELETE", id, "", "");
    assert_int_equal(desk->status, 204);
    assert_int_equal(desk->body.len, 0);
    ask_of(desk, "GET", id, "", "");
    assert_answer(desk, 404, "no webhook has this id");
}

static void each_fault_of_the_courier_has_a_problem_of_its_own(void **state)
{
    static const struct {
        const char *method, *rest, *body;
        int status;
        const char *says;
    } rows[] = {
        {"PATCH", "", "{\"colour\":1}", 400, "bad-webhook"},
        {"PATCH", "", "{\"url\":\"http://10.0.0.1/\"}", 403, "forbidden-target"},
        {"POST", "/replay", "{\"after\":\"9007199254740990\"}", 400, "bad-cursor"},
        {"GET", "/deliveries/7", "", 404, "no delivery has this number"},
        {"DELETE", "/deliveries/7", "", 404, "no delivery has this number"},
        {"POST", "/deliveries/7/retry", "", 404, "no delivery has this number"},
    };
    struct desk *desk = *state;
    char id[64], other[64];
    make(desk, id);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        ask_of(desk, rows[i].method, id, rows[i].rest, rows[i].body);
        assert_answer(desk, rows[i].status, rows[i].says);
        assert_field(desk, "Content-Type: application/problem+json");
    }
    make(desk, other);
    desk_ask(desk, "POST /webhooks", "", str_from(hook));
    assert_answer(desk, 429, "webhook limit reached");
}

static void a_key_makes_one_webhook_and_stands_for_its_body(void **state)
{
    static const char key[] = "Idempotency-Key: \"k\"\r\n";
    struct desk *desk = *state;
    char first[64], second[64];
    desk_ask(desk, "POST /webhooks", key, str_from(hook));
    assert_int_equal(desk->status, 201);
    desk_told(desk, "id", first);
    desk_ask(desk, "POST /webhooks", key, str_from(hook));
    assert_int_equal(desk->status, 200);
    desk_told(desk, "id", second);
    assert_string_equal(first, second);
    desk_ask(desk, "POST /webhooks", key, STR("{" URL ",\"channels\":[\"b\"]}"));
    assert_answer(desk, 422, "key-reused");
    desk_ask(desk, "POST /webhooks", "Idempotency-Key: \"\"\r\n", str_from(hook));
    assert_answer(desk, 400, "bad-key");
    desk_ask(desk, "POST /webhooks", "Idempotency-Key: a\r\nIdempotency-Key: b\r\n",
             str_from(hook));
    assert_answer(desk, 400, "bad-key");
}

static void a_path_that_is_none_is_told_from_a_method_that_is_wrong(void **state)
{
    static const struct {
        const char *request;
        int status;
    } rows[] = {
        {"PUT /webhooks", 405},
        {"DELETE /webhooks", 405},
        {"POST /webhooks/wh_x", 405},
        {"GET /webhooks/wh_x/ping", 405},
        {"PATCH /webhooks/wh_x/deliveries/7", 405},
        {"GET /webhooks/wh_x/nothing", 404},
        {"GET /webhooks/wh_x/deliveries/0", 404},
        {"GET /webhooks/wh_x/deliveries/x", 404},
        {"POST /webhooks/wh_x/deliveries/7/retry/now", 404},
        {"GET /webhooks/wh_0123456789012345678901234567890", 404},
    };
    struct desk *desk = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        desk_ask(desk, rows[i].request, "", STR_NONE);
        assert_int_equal(desk->status, rows[i].status);
    }
}

static void no_body_and_no_parameter_changes_the_meaning_of_a_path(void **state)
{
    static const char *const paths[] = {"/ping", "/pause", "/resume", "/retry",
                                        "/deliveries/7/retry"};
    struct desk *desk = *state;
    char id[64], path[64];
    make(desk, id);
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
        ask_of(desk, "POST", id, paths[i], "{\"state\":\"paused\"}");
        assert_answer(desk, 400, "bad-webhook");
        snprintf(path, sizeof(path), "%s?now=1", paths[i]);
        ask_of(desk, "POST", id, path, "");
        assert_answer(desk, 400, "bad-parameter");
    }
    ask_of(desk, "GET", id, "", "");
    assert_answer(desk, 200, "\"state\":\"active\"");
}

static void deliveries_are_filtered_by_parameters_that_there_are(void **state)
{
    static const struct {
        const char *query;
        int status;
    } rows[] = {
        {"", 200},
        {"?state=failed&state=skipped&channel=a&event=0000000000000001&before=9&limit=1000", 200},
        {"?state=lost", 400},
        {"?channel=", 400},
        {"?event=x", 400},
        {"?before=0", 400},
        {"?limit=1001", 400},
        {"?status=failed", 400}};
    struct desk *desk = *state;
    char id[64], path[160];
    make(desk, id);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        snprintf(path, sizeof(path), "/deliveries%s", rows[i].query);
        ask_of(desk, "GET", id, path, "");
        assert_answer(desk, rows[i].status,
                      rows[i].status == 200 ? "{\"deliveries\":[]" : "bad-parameter");
    }
}

static void a_body_that_is_too_large_for_the_courier_is_refused(void **state)
{
    struct desk *desk = *state;
    char *body = mem_alloc(COURIER_BODY_MAX + 1);
    memset(body, ' ', COURIER_BODY_MAX + 1);
    desk_ask(desk, "POST /webhooks", "", (struct str){body, COURIER_BODY_MAX + 1});
    assert_answer(desk, 413, "at most 64 KiB");
    memcpy(body, hook, sizeof(hook) - 1);
    desk_ask(desk, "POST /webhooks", "", (struct str){body, COURIER_BODY_MAX});
    assert_int_equal(desk->status, 201);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DESK(a_webhook_that_was_made_is_located_listed_and_read),
        WITH_DESK(a_change_is_answered_with_the_webhook_and_a_deletion_with_nothing),
        WITH_DESK(each_fault_of_the_courier_has_a_problem_of_its_own),
        WITH_DESK(a_key_makes_one_webhook_and_stands_for_its_body),
        WITH_DESK(a_path_that_is_none_is_told_from_a_method_that_is_wrong),
        WITH_DESK(no_body_and_no_parameter_changes_the_meaning_of_a_path),
        WITH_DESK(deliveries_are_filtered_by_parameters_that_there_are),
        WITH_DESK(a_body_that_is_too_large_for_the_courier_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
