#include "api/testing.h"

static json_int_t number_in(const json_t *object, const char *group, const char *name)
{
    const json_t *value = group ? json_object_get(object, group) : object;
    value = json_object_get(value, name);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static json_t *stats_of(struct desk *desk)
{
    desk_ask(desk, "GET /stats", "", STR_NONE);
    assert_int_equal(desk->status, 200);
    json_t *stats = json_loadb(desk->body.at, desk->body.len, 0, NULL);
    assert_non_null(stats);
    return stats;
}

static void stats_count_what_was_done(void **state)
{
    struct desk *desk = *state;
    desk_ask(desk, "POST /channels/a", "", STR("one"));
    desk_ask(desk, "POST /channels/b", "", STR("two"));
    desk_ask(desk, "POST /webhooks", "",
             STR("{\"url\":\"http://127.0.0.1:7/\",\"channels\":[\"x\"]}"));
    desk_ask(desk, "POST /channels/$a", "", STR("refused"));
    clock_fake_advance(&desk->clock, 5000000);
    json_t *stats = stats_of(desk);
    assert_int_equal(number_in(stats, NULL, "events"), 2);
    assert_int_equal(number_in(stats, NULL, "workers"), 1);
    assert_int_equal(number_in(stats, "log", "retained"), 2);
    assert_int_equal(number_in(stats, "log", "retained_bytes"), 6);
    assert_int_equal(number_in(stats, "log", "channels"), 2);
    assert_int_equal(number_in(stats, "webhooks", "endpoints"), 1);
    json_decref(stats);
}

/* Each metric has a line of help and one of its type before its values, and is there once. */
static void metrics_are_what_prometheus_reads(void **state)
{
    struct desk *desk = *state;
    char name[128] = "", helped[128] = "", typed[128] = "";
    unsigned count = 0;
    desk_ask(desk, "POST /channels/a", "", STR("one"));
    desk_ask(desk, "GET /metrics", "", STR_NONE);
    assert_int_equal(desk->status, 200);
    assert_field(desk, "Content-Type: text/plain; version=0.0.4; charset=utf-8");
    assert_true(desk_says(&desk->body, "\nfreshet_events_total 1\n"));
    struct str rest = buf_str(&desk->body);
    while (rest.len) {
        struct str line = str_cut(&rest, '\n');
        char text[512];
        snprintf(text, sizeof(text), "%.*s", STR_FMT(line));
        if (sscanf(text, "# HELP %127s", helped) == 1 || sscanf(text, "# TYPE %127s", typed) == 1)
            continue;
        assert_int_equal(sscanf(text, "%127[a-z0-9_]", name), 1);
        assert_int_equal(strncmp(name, "freshet_", 8), 0);
        assert_string_equal(helped, typed);
        assert_int_equal(strncmp(name, typed, strlen(typed)), 0);
        count++;
    }
    assert_true(count > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DESK(stats_count_what_was_done),
        WITH_DESK(metrics_are_what_prometheus_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
