#include "bench/target.h"

#include "bench/mark.h"

#include "base/json.h"
#include "http/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct target_run run = {"0badcafe"};

static struct plan plan_of(enum bench_target target, enum bench_mechanism mechanism)
{
    struct plan plan = {.target = target,
                        .mechanism = mechanism,
                        .channels = 3,
                        .publishers = 1,
                        .size = 100,
                        .token = "t0ken"};
    assert_int_equal(server_url_parse("http://127.0.0.1:7070/base", &plan.url), 0);
    plan.publish_url = plan.url;
    return plan;
}

/* Parses the head of a request, which must be valid. */
static struct http_head read_head(const struct buf *request)
{
    static const struct http_limits limits = HTTP_LIMITS_DEFAULT;
    struct http_scan scan = {0};
    struct http_head head;
    assert_int_equal(http_head_parse(buf_str(request), &limits, &scan, &head), 0);
    return head;
}

static void every_subscription_is_a_request(void **state)
{
    (void)state;
    for (unsigned target = TARGET_FRESHET; target <= TARGET_BARE; target++) {
        for (unsigned mechanism = MECHANISM_SSE; mechanism <= MECHANISM_POLL; mechanism++) {
            struct plan plan = plan_of((enum bench_target)target, (enum bench_mechanism)mechanism);
            struct buf out = {0};
            target_add_subscribe(&out, &plan, &run, GROUP_SINGLE, (struct plan_seat){2, 0});
            struct http_head head = read_head(&out);
            assert_int_equal(head.size, out.len);
            assert_int_equal(head.upgrade_websocket, mechanism == MECHANISM_WS);
            assert_true(str_starts(head.path, STR("/base/")));
            assert_true(str_eq(http_header(&head, STR("authorization")), STR("Bearer t0ken")));
            buf_free(&out);
        }
    }
}

static void a_publish_has_its_holes_where_it_says(void **state)
{
    (void)state;
    for (unsigned target = TARGET_FRESHET; target <= TARGET_BARE; target++) {
        struct plan plan = plan_of((enum bench_target)target, MECHANISM_SSE);
        struct target_publish publish;
        target_publish_init(&publish, &plan, &run, 1);
        assert_memory_equal(publish.bytes.at + publish.channel_at, "00000000", 8);
        assert_memory_equal(publish.bytes.at + publish.mark_at, "xxxxxxxx", 8);
        mark_write_hex(publish.bytes.at + publish.channel_at, 0x12ab);
        struct http_head head = read_head(&publish.bytes);
        assert_int_equal(head.size + head.framing.content_length, publish.bytes.len);
        assert_true(publish.mark_at >= head.size);
        assert_non_null(
            memmem(publish.bytes.at, publish.bytes.len, "0badcafe-000012ab", 17)
                ?: memmem(publish.bytes.at, publish.bytes.len, "0badcafe/000012ab", 17));
        target_publish_deinit(&publish);
    }
}

static void many_events_lie_a_stride_apart(void **state)
{
    (void)state;
    struct plan plan = plan_of(TARGET_FRESHET, MECHANISM_SSE);
    struct target_publish publish;
    target_publish_init(&publish, &plan, &run, 3);
    struct http_head head = read_head(&publish.bytes);
    struct str body = str_skip(buf_str(&publish.bytes), head.size);
    assert_true(str_eq(head.path, STR("/base/events")));
    assert_int_equal(head.framing.content_length, body.len);
    for (uint32_t i = 0; i < 3; i++) {
        char *at = publish.bytes.at + i * publish.stride;
        assert_memory_equal(at + publish.channel_at, "00000000", 8);
        assert_memory_equal(at + publish.mark_at, "        ", 8);
        assert_int_equal(at[publish.mark_at + MARK_LEN], '"');
        mark_write_hex(at + publish.channel_at, i);
    }
    struct str key, value;
    uint32_t count = 0;
    assert_int_equal(json_check(body, JSON_DEPTH_MAX, NULL), JSON_OK);
    for (size_t pos = 0; json_next(body, &pos, &key, &value); count++) {
        struct str member, data = STR_NONE;
        for (size_t at = 0; json_next(value, &at, &member, &data);)
            ;
        assert_int_equal(data.len, plan.size);
        assert_non_null(memmem(value.at, value.len, "bench/0badcafe/0000000", 22));
    }
    assert_int_equal(count, 3);
    target_publish_deinit(&publish);
}

static void a_poll_goes_on_behind_the_answer_before(void **state)
{
    (void)state;
    struct target_cursor ours = target_cursor_of(STR("HTTP/1.1 200 OK\r\nCursor: 17"));
    struct target_cursor theirs =
        target_cursor_of(STR("HTTP/1.1 200 OK\r\nEtag: 3\r\nLast-Modified: Mon"));
    struct plan plan = plan_of(TARGET_FRESHET, MECHANISM_POLL);
    struct buf out = {0};
    target_add_poll(&out, &plan, &run, 1, &ours);
    assert_true(str_eq(read_head(&out).query, STR("wait=25&after=17")));
    buf_clear(&out);
    plan = plan_of(TARGET_NCHAN, MECHANISM_POLL);
    target_add_poll(&out, &plan, &run, 1, &theirs);
    struct http_head head = read_head(&out);
    assert_true(str_eq(http_header(&head, STR("if-none-match")), STR("3")));
    assert_true(str_eq(http_header(&head, STR("if-modified-since")), STR("Mon")));
    buf_free(&out);
}

/* The ten patterns of a channel all differ. */
static void own_patterns_are_ten_different_ones(void **state)
{
    (void)state;
    struct plan plan = plan_of(TARGET_FRESHET, MECHANISM_SSE);
    struct buf out[10] = {0};
    plan.matching = MATCHING_PATTERNS;
    for (uint32_t i = 0; i < 10; i++) {
        target_add_subscribe(&out[i], &plan, &run, GROUP_SINGLE, (struct plan_seat){5, i});
        assert_non_null(memchr(out[i].at, '*', out[i].len));
        assert_non_null(memmem(out[i].at, out[i].len, "/00000005/", 10));
        for (uint32_t j = 0; j < i; j++)
            assert_false(str_eq(buf_str(&out[i]), buf_str(&out[j])));
    }
    for (uint32_t i = 0; i < 10; i++)
        buf_free(&out[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_subscription_is_a_request),
        cmocka_unit_test(a_publish_has_its_holes_where_it_says),
        cmocka_unit_test(many_events_lie_a_stride_apart),
        cmocka_unit_test(a_poll_goes_on_behind_the_answer_before),
        cmocka_unit_test(own_patterns_are_ten_different_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
