#include "client/lib/testing.h"

#include "client/lib/follow.h"

#include <errno.h>
#include <sys/eventfd.h>

struct seen {
    struct interrupt interrupt;
    char events[256]; /* each followed by a space; a pause is a '.' */
    char told[256];
    unsigned count, wanted;
    unsigned lost, lost_wanted;
};

static void add(char *out, size_t size, struct str text, const char *end)
{
    size_t len = strlen(out);
    snprintf(out + len, size - len, "%.*s%s", STR_FMT(text), end);
}

static bool take(void *owner, struct str envelope)
{
    struct seen *seen = owner;
    add(seen->events, sizeof(seen->events), envelope, " ");
    return ++seen->count == seen->wanted;
}

static bool pause_after(void *owner)
{
    struct seen *seen = owner;
    add(seen->events, sizeof(seen->events), STR("."), "");
    return false;
}

static void tell(void *owner, const char *name, struct str object)
{
    struct seen *seen = owner;
    (void)object;
    add(seen->told, sizeof(seen->told), str_from(name), " ");
}

/* Interrupts the wait for the next attempt, so that no time passes. */
static void lost(void *owner, struct str why, uint64_t wait_ms)
{
    struct seen *seen = owner;
    assert_true(why.len && wait_ms);
    if (++seen->lost == seen->lost_wanted)
        assert_int_equal(eventfd_write(seen->interrupt.fd, 1), 0);
}

static int follow(struct seen *seen, const struct server_url *url, enum follow_mechanism mechanism,
                  struct buf *why)
{
    static const char *const channels[] = {"a"};
    const struct follow_wish wish = {
        .url = *url, .mechanism = mechanism, .channels = {channels, 1}};
    const struct follow_sink sink = {.owner = seen,
                                     .take = take,
                                     .pause = pause_after,
                                     .tell = tell,
                                     .lost = lost,
                                     .watched_fd = -1};
    seen->interrupt.fd = eventfd(0, EFD_CLOEXEC);
    int result = follow_run(&wish, &sink, &seen->interrupt, why);
    close(seen->interrupt.fd);
    return result;
}

#define HEAD(type) "HTTP/1.1 200 OK\r\nContent-Type: " type "\r\nConnection: close\r\n\r\n"

static const struct {
    enum follow_mechanism mechanism;
    const char *answer;
} streams[] = {
    {FOLLOW_SSE, HEAD("text/event-stream") "id: 5\ndata: {\"id\":\"5\"}\n\n"
                                           "id: 6\ndata: {\"id\":\"6\"}\n\n"
                                           "event: $bye\ndata: {}\n\n"},
    {FOLLOW_NDJSON, HEAD("application/x-ndjson") "{\"id\":\"5\"}\n{\"id\":\"6\"}\n"
                                                 "{\"op\":\"bye\"}\n"},
};

static void events_and_notices_come_to_the_sink(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct server server;
        struct buf why = {0};
        struct seen seen = {.lost_wanted = 1};
        server_start(&server, &streams[i].answer, 1);
        assert_int_equal(follow(&seen, &server.parsed, streams[i].mechanism, &why), 0);
        assert_string_equal(seen.events, "{\"id\":\"5\"} {\"id\":\"6\"} .");
        assert_string_equal(seen.told, "$bye ");
        assert_int_equal(seen.lost, 1);
        buf_free(&why);
        server_stop(&server, NULL, 0);
    }
}

static void following_ends_when_the_sink_has_enough(void **state)
{
    (void)state;
    static const char *const page =
        HEAD("application/json") "{\"events\":[{\"id\":\"5\"},{\"id\":\"6\"}],"
                                 "\"cursor\":\"6\"}";
    for (size_t i = 0; i < 3; i++) {
        struct server server;
        struct buf why = {0};
        struct seen seen = {.wanted = 1};
        server_start(&server, i < 2 ? &streams[i].answer : &page, 1);
        assert_int_equal(
            follow(&seen, &server.parsed, i < 2 ? streams[i].mechanism : FOLLOW_POLL, &why), 0);
        assert_int_equal(seen.count, 1);
        assert_int_equal(seen.lost, 0);
        buf_free(&why);
        server_stop(&server, NULL, 0);
    }
}

#define PAGE(events, cursor)                                                                       \
    HEAD("application/json") "{\"events\":[" events "],\"cursor\":\"" cursor "\"}"

static const char gap[] =
    "HTTP/1.1 410 Gone\r\nContent-Type: application/problem+json\r\nConnection: close\r\n\r\n"
    "{\"title\":\"Gone\",\"next\":\"?after=6&told=8\"}";

/* The heads of the requests must have these texts, in this order. */
static void check_heads(const char *heads, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *at = strstr(heads, texts[i]);
        if (!at) {
            fail_msg("\"%s\" is not in, or out of order: %s", texts[i], heads);
            return;
        }
        heads = at + strlen(texts[i]);
    }
}

static void each_poll_goes_on_where_the_last_one_ended(void **state)
{
    (void)state;
    static const char *const answers[] = {PAGE("", "4"), PAGE("{\"id\":\"5\"}", "5"), gap,
                                          PAGE("{\"id\":\"9\"}", "9")};
    static const char *const texts[] = {"GET /channels/a?after=now&limit=1000&wait=0 ",
                                        "GET /channels/a?after=4&limit=1000&wait=25 ",
                                        "GET /channels/a?after=5&",
                                        "GET /channels/a?after=6&told=8&"};
    char heads[4096];
    struct server server;
    struct buf why = {0};
    struct seen seen = {.wanted = 2};
    server_start(&server, answers, 4);
    assert_int_equal(follow(&seen, &server.parsed, FOLLOW_POLL, &why), 0);
    assert_string_equal(seen.events, "{\"id\":\"5\"} .{\"id\":\"9\"} .");
    assert_string_equal(seen.told, "$gap ");
    assert_int_equal(seen.lost, 0);
    buf_free(&why);
    server_stop(&server, heads, sizeof(heads));
    check_heads(heads, texts, 4);
}

static void a_server_that_asks_to_stop_for_good_is_obeyed(void **state)
{
    (void)state;
    static const char *const stopped = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    static const enum follow_mechanism mechanisms[] = {FOLLOW_SSE, FOLLOW_NDJSON};
    for (size_t i = 0; i < 2; i++) {
        struct server server;
        struct buf why = {0};
        struct seen seen = {.count = 0};
        server_start(&server, &stopped, 1);
        assert_int_equal(follow(&seen, &server.parsed, mechanisms[i], &why), 0);
        assert_int_equal(seen.lost, 0);
        buf_free(&why);
        server_stop(&server, NULL, 0);
    }
}

static void a_refusal_is_explained(void **state)
{
    (void)state;
    static const char *const refusal =
        "HTTP/1.1 403 Forbidden\r\nContent-Type: application/problem+json\r\n"
        "Connection: close\r\n\r\n{\"title\":\"Forbidden\",\"detail\":\"not yours\"}";
    for (unsigned mechanism = FOLLOW_SSE; mechanism <= FOLLOW_WS; mechanism++) {
        struct server server;
        struct buf why = {0};
        struct seen seen = {.count = 0};
        server_start(&server, &refusal, 1);
        assert_int_equal(follow(&seen, &server.parsed, (enum follow_mechanism)mechanism, &why),
                         -ECONNREFUSED);
        buf_add_char(&why, '\0');
        assert_non_null(strstr(why.at, "403"));
        assert_int_equal(seen.lost, 0);
        buf_free(&why);
        server_stop(&server, NULL, 0);
    }
}

static void a_server_that_never_answered_is_not_waited_for(void **state)
{
    (void)state;
    struct server server;
    struct buf why = {0};
    struct seen seen = {.count = 0};
    static const char *const nothing = "";
    server_start(&server, &nothing, 1);
    server_stop(&server, NULL, 0);
    assert_int_equal(follow(&seen, &server.parsed, FOLLOW_NDJSON, &why), -ECONNREFUSED);
    assert_true(why.len > 0);
    buf_free(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_and_notices_come_to_the_sink),
        cmocka_unit_test(following_ends_when_the_sink_has_enough),
        cmocka_unit_test(each_poll_goes_on_where_the_last_one_ended),
        cmocka_unit_test(a_server_that_asks_to_stop_for_good_is_obeyed),
        cmocka_unit_test(a_refusal_is_explained),
        cmocka_unit_test(a_server_that_never_answered_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
