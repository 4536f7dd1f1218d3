#include "http/response_gzip.h"

#include "base/mem.h"
#include "http/gzip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static struct deflater deflater;
static struct buf text;

static int teardown(void **state)
{
    (void)state;
    mem_fail_nth(0);
    deflater_deinit(&deflater);
    buf_free(&text);
    return 0;
}

/* A response of so many bytes in all of its parts. */
static struct response response_of(struct str type, size_t len)
{
    struct response response;
    buf_clear(&text);
    while (text.len < len)
        buf_addf(&text, "{\"id\":%zu,\"data\":\"some\"},", text.len);
    response_init(&response, 200);
    response.type = type;
    size_t first = len < 10 ? len : 10, last = len - first < 20 ? 0 : 20;
    response.body[0] = (struct str){text.at, first};
    response.body[1] = (struct str){text.at + first, len - first - last};
    response.body[2] = (struct str){text.at + len - last, last};
    return response;
}

static bool has(const struct response *response, const char *name, const char *value)
{
    for (unsigned i = 0; i < response->count; i++)
        if (str_eq(response->fields[i].name, str_from(name)) &&
            str_eq(response_value(response, i), str_from(value)))
            return true;
    return false;
}

static void assert_decodes(const struct response *response, struct str want)
{
    struct http_gzip gzip;
    struct buf out = {0};
    assert_int_equal(response->body[1].len + response->body[2].len, 0);
    int result = -EAGAIN;
    assert_int_equal(http_gzip_begin(&gzip), 0);
    while (result == -EAGAIN)
        result = http_gzip_some(&gzip, response->body[0], 1 << 20, 1 << 20, &out);
    assert_int_equal(result, 0);
    assert_true(str_eq(buf_str(&out), want));
    http_gzip_end(&gzip);
    buf_free(&out);
}

static void a_body_is_compressed_within_bounds_if_the_client_wishes(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        enum http_gzip_wish wish;
        bool want;
        bool varies;
    } rows[] = {
        {RESPONSE_GZIP_LEAST, HTTP_GZIP_YES, true, true},
        {RESPONSE_GZIP_MOST, HTTP_GZIP_YES, true, true},
        {100000, HTTP_GZIP_ONLY, true, true},
        {40, HTTP_GZIP_ONLY, true, true},
        {40, HTTP_GZIP_YES, false, false},
        {0, HTTP_GZIP_ONLY, false, false},
        {RESPONSE_GZIP_LEAST - 1, HTTP_GZIP_YES, false, false},
        {RESPONSE_GZIP_MOST + 1, HTTP_GZIP_YES, false, false},
        {RESPONSE_GZIP_MOST + 1, HTTP_GZIP_ONLY, false, false},
        {RESPONSE_GZIP_LEAST, HTTP_GZIP_NO, false, true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct response response = response_of(STR("application/json"), rows[i].len);
        struct str whole = {text.at, rows[i].len};
        response_gzip(&response, rows[i].wish, &deflater);
        assert_int_equal(has(&response, "Content-Encoding", "gzip"), rows[i].want);
        assert_int_equal(has(&response, "Vary", "Accept-Encoding"), rows[i].varies);
        if (rows[i].want)
            assert_decodes(&response, whole);
        else
            assert_int_equal(response_length(&response), rows[i].len);
        response_deinit(&response);
    }
}

static void only_text_is_compressed(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        bool want;
    } rows[] = {
        {"application/json", true},
        {"application/vnd.api+json", true},
        {"text/html; charset=utf-8", true},
        {"application/x-ndjson", true},
        {"image/png", false},
        {"application/octet-stream", false},
        {"application/zip", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct response response = response_of(str_from(rows[i].type), 5000);
        response_gzip(&response, HTTP_GZIP_YES, &deflater);
        assert_int_equal(has(&response, "Content-Encoding", "gzip"), rows[i].want);
        response_deinit(&response);
    }
}

static void a_response_without_its_body_varies_as_it_would_with_it(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        size_t len;
        bool varies;
    } rows[] = {
        {"text/html", RESPONSE_GZIP_LEAST, true},
        {"text/html", RESPONSE_GZIP_LEAST - 1, false},
        {"text/html", RESPONSE_GZIP_MOST + 1, false},
        {"image/png", RESPONSE_GZIP_LEAST, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct response response;
        response_init(&response, 304);
        response.bodiless = true;
        response_gzip_vary(&response, str_from(rows[i].type), rows[i].len);
        response_gzip(&response, HTTP_GZIP_YES, &deflater);
        assert_int_equal(has(&response, "Vary", "Accept-Encoding"), rows[i].varies);
        assert_int_equal(response.count, rows[i].varies);
        response_deinit(&response);
    }
}

/* Refusals repeat what the request said, and partial answers mean bytes of the plain body. */
static void other_statuses_are_sent_as_they_are(void **state)
{
    (void)state;
    static const int statuses[] = {101, 201, 206, 304, 400, 500};
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        struct response response = response_of(STR("application/json"), 5000);
        response.status = statuses[i];
        response_gzip(&response, HTTP_GZIP_YES, &deflater);
        assert_int_equal(response.count, 0);
        response_deinit(&response);
    }
}

static void without_memory_the_body_stays_as_it_is(void **state)
{
    (void)state;
    struct response response = response_of(STR("application/json"), 5000);
    mem_fail_every(1);
    response_gzip(&response, HTTP_GZIP_YES, &deflater);
    mem_fail_every(0);
    assert_int_equal(response_length(&response), 5000);
    assert_false(has(&response, "Content-Encoding", "gzip"));
    response_deinit(&response);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
    static const struct CMUnitTest tests[] = {
        TEST(a_body_is_compressed_within_bounds_if_the_client_wishes),
        TEST(only_text_is_compressed),
        TEST(a_response_without_its_body_varies_as_it_would_with_it),
        TEST(other_statuses_are_sent_as_they_are),
        TEST(without_memory_the_body_stays_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
