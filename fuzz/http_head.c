/* Feeds the parsers of request and response heads, and those of single header values and targets,
 * with hostile bytes: nothing may crash or read too far, a head must mean the same however it
 * trickles in and whatever was read before it, and what was accepted must be accepted as the same
 * when it is written anew. */
#include "require.h"

#include "http/accept.h"
#include "http/body.h"
#include "http/condition.h"
#include "http/head_memo.h"
#include "http/media.h"
#include "http/origin.h"
#include "http/http1_response.h"
#include "http/target.h"
#include "http/token.h"

#include <errno.h>
#include <stdlib.h>

static const struct http_limits limits = {.line_max = 200, .fields_max = 10, .section_max = 400};

/* Parses in prefixes that grow by `step`, each in memory of its own, and gives the last one's
 * result. */
static int parse_trickle(struct str bytes, size_t step)
{
    struct http_scan scan = {0};
    struct http_head head;
    int result = -EAGAIN;
    for (size_t len = 0; result == -EAGAIN && len < bytes.len;) {
        len = bytes.len - len < step ? bytes.len : len + step;
        char *copy = malloc(len);
        require(copy);
        memcpy(copy, bytes.at, len);
        result = http_head_parse((struct str){copy, len}, &limits, &scan, &head);
        require(result || head.size <= len);
        free(copy);
    }
    return result;
}

static void check_field(struct str value)
{
    struct http_authority authority;
    struct http_media media;
    struct str tag;
    char key[64];
    size_t len;
    if (http_host_is_loopback(value))
        require(http_authority_parse(value, &authority) == 0);
    require(!http_host_is_loopback(value) || !http_origin_is_loopback(value));
    if (http_media_parse(value, &media) == 0)
        http_media_is_utf8(&media);
    if (http_if_match(value, &tag) == 0)
        require(tag.len + 2 <= value.len);
    if (http_idempotency_key(value, key, sizeof(key), &len) == 0)
        require(len > 0 && len <= sizeof(key) && len <= value.len);
}

static void check_fields(const struct http_fields *fields)
{
    const struct str offers[] = {STR("application/json"), STR("text/event-stream")};
    uint32_t seconds;
    require(fields->count <= limits.fields_max);
    for (size_t i = 0; i < fields->count; i++) {
        struct str value = fields->at[i].value;
        require(http_all(fields->at[i].name, HTTP_CHAR_TOKEN));
        require(!value.len || http_all(value, HTTP_CHAR_VALUE));
        check_field(value);
    }
    http_prefer_wait(fields, &seconds);
    require(http_accept_gzip(fields) <= HTTP_GZIP_ONLY);
    require(http_accept_best(fields, offers, 2) < 2);
}

static void check_target(const struct http_head *head)
{
    struct buf out = {0};
    struct str path = head->path, query = head->query, segment, name, value;
    while (http_path_next(&path, &segment)) {
        buf_clear(&out);
        if (http_segment_decode(segment, &out) == 0 && out.len)
            require(!memchr(out.at, '/', out.len) && !memchr(out.at, '\0', out.len));
    }
    require(path.len == 0 || head->path.at[0] == '*');
    while (http_query_next(&query, &name, &value)) {
        buf_clear(&out);
        if (http_query_decode(name, &out) == 0)
            require(http_query_name_is(name, buf_str(&out)));
        http_query_decode(value, &out);
    }
    buf_free(&out);
}

static void check_framing(const struct http_framing *framing)
{
    require(!framing->chunked || !framing->has_content_length);
    require(framing->has_content_length || framing->content_length == 0);
}

static void write_fields(struct buf *out, const struct http_fields *fields)
{
    for (size_t i = 0; i < fields->count; i++)
        http1_response_header(out, fields->at[i].name, fields->at[i].value);
    http1_response_end(out);
}

static bool fields_eq(const struct http_fields *a, const struct http_fields *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++)
        same = str_eq(a->at[i].name, b->at[i].name) && str_eq(a->at[i].value, b->at[i].value);
    return same;
}

/* Written with one space behind each colon a section may outgrow the limit: that may be told. */
static bool outgrown(int result)
{
    return result == HTTP_E_TOO_LARGE;
}

static void check_rewritten(const struct http_head *head)
{
    struct buf out = {0};
    struct http_scan scan = {0};
    struct http_head again;
    buf_add_str(&out, head->method_raw);
    buf_add_lit(&out, " ");
    buf_add_str(&out, head->target);
    buf_addf(&out, " HTTP/1.%d\r\n", head->minor);
    write_fields(&out, &head->fields);
    int result = http_head_parse(buf_str(&out), &limits, &scan, &again);
    require(result == 0 || outgrown(result));
    if (!result) {
        require(again.size == out.len && fields_eq(&again.fields, &head->fields));
        require(str_eq(again.host, head->host) && str_eq(again.path, head->path));
        require(again.framing.content_length == head->framing.content_length);
        require(again.framing.chunked == head->framing.chunked);
        require(again.framing.keep_alive == head->framing.keep_alive);
    }
    buf_free(&out);
}

static void try_request(struct str bytes, size_t step)
{
    struct http_scan scan = {0};
    struct http_head head;
    int result = http_head_parse(bytes, &limits, &scan, &head);
    require(parse_trickle(bytes, step) == result);
    require(result == -EAGAIN || (result >= 0 && result < HTTP_E_COUNT));
    if (result)
        return;
    require(head.size <= bytes.len && scan.at == 0 && scan.fields == 0);
    require(head.minor == 0 || head.host.len > 0);
    require(http_all(head.method_raw, HTTP_CHAR_TOKEN));
    require(http_all(head.target, HTTP_CHAR_TARGET));
    require(!head.expect_continue || head.framing.chunked || head.framing.content_length);
    check_framing(&head.framing);
    check_fields(&head.fields);
    check_target(&head);
    check_rewritten(&head);
}

static void require_same(const struct http_head *a, const struct http_head *b)
{
    require(a->size == b->size && a->method == b->method && a->minor == b->minor);
    require(str_eq(a->target, b->target) && str_eq(a->path, b->path) && str_eq(a->query, b->query));
    require(str_eq(a->host, b->host) && fields_eq(&a->fields, &b->fields));
    require(a->fields.sorts == b->fields.sorts && a->fields.repeats == b->fields.repeats);
    require(a->framing.content_length == b->framing.content_length);
    require(a->framing.has_content_length == b->framing.has_content_length);
    require(a->framing.chunked == b->framing.chunked);
    require(a->framing.keep_alive == b->framing.keep_alive);
    require(a->expect_continue == b->expect_continue);
    require(a->upgrade_websocket == b->upgrade_websocket);
}

/* Reads a head with a memo that knows others, and without. Returns its size, 0 for none. */
static size_t compare_memo(struct http_memo *memo, struct str bytes)
{
    struct http_scan scan = {0}, plain_scan = {0};
    const struct http_head *head;
    struct http_head plain;
    int expected = http_head_parse(bytes, &limits, &plain_scan, &plain);
    require(http_memo_parse(memo, bytes, &limits, &scan, &head) == expected);
    require(scan.at == plain_scan.at && scan.fields == plain_scan.fields);
    if (expected)
        return 0;
    require_same(head, &plain);
    return head->size;
}

/* The heads in the bytes, one behind the other; then the first one with each byte changed. */
static void try_memo(struct str bytes, char *copy)
{
    static struct http_memo memo;
    memo = (struct http_memo){.last = 0};
    size_t size = compare_memo(&memo, bytes);
    for (size_t at = size, next = size; next; at += next)
        next = compare_memo(&memo, str_skip(bytes, at));
    for (size_t i = 0; i < size; i++) {
        copy[i] ^= 1;
        (void)compare_memo(&memo, bytes);
        copy[i] ^= 1;
        require(compare_memo(&memo, bytes) == size);
    }
}

static void try_response(struct str bytes)
{
    struct http_scan scan = {0};
    struct http_status status, again;
    struct buf out = {0};
    if (http_status_parse(bytes, &limits, &scan, &status))
        return;
    require(status.size <= bytes.len && status.status >= 100 && status.status <= 599);
    check_framing(&status.framing);
    check_fields(&status.fields);
    if (status.minor == 1) {
        http1_response_start(&out, status.status);
        write_fields(&out, &status.fields);
        int result = http_status_parse(buf_str(&out), &limits, &scan, &again);
        require(result == 0 || outgrown(result));
        require(result ||
                (again.status == status.status && fields_eq(&again.fields, &status.fields)));
    }
    buf_free(&out);
}

/* The first byte is the step in which the head trickles in; the rest is the head. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    char *copy = malloc(size > 1 ? size - 1 : 1);
    require(copy);
    memcpy(copy, data + 1, size - 1);
    struct str bytes = {copy, size - 1};
    if (bytes.len) {
        try_request(bytes, (size_t)(data[0] & 31) + 1);
        try_response(bytes);
        try_memo(bytes, copy);
    }
    free(copy);
    return 0;
}
