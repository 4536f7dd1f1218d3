#include "client/cli/webhook_receiver.h"

#include "base/json.h"
#include "base/json_writer.h"
#include "base/utf8.h"
#include "http/body.h"
#include "http/http1_response.h"
#include "http/target.h"

#include <errno.h>

static const struct http_limits limits = HTTP_LIMITS_DEFAULT;

/* ---- taking ---------------------------------------------------------------------------------- */

static int take_chunked(struct str bytes, struct receiver_request *ret)
{
    struct http_chunked chunked = {0};
    struct str rest = str_skip(bytes, ret->head.size), data;
    int result;
    while ((result = http_chunked_feed(&chunked, &limits, &rest, &data)) == HTTP_CHUNKED_DATA) {
        if (data.len > RECEIVER_BODY_MAX - ret->decoded.len)
            return 413;
        buf_add_str(&ret->decoded, data);
    }
    if (result == -EAGAIN)
        return -EAGAIN;
    if (result != HTTP_CHUNKED_END)
        return http_chunked_error_status(result);
    ret->body = buf_str(&ret->decoded);
    ret->size = bytes.len - rest.len;
    return buf_failed(&ret->decoded) ? -ENOMEM : 0;
}

int receiver_take(struct str bytes, struct receiver_request *ret)
{
    struct http_scan scan = {0};
    *ret = (struct receiver_request){0};
    int result = bytes.len ? http_head_parse(bytes, &limits, &scan, &ret->head) : -EAGAIN;
    if (result)
        return result > 0 ? http_head_error_status(result) : result;
    const struct http_framing *framing = &ret->head.framing;
    struct str rest = str_skip(bytes, ret->head.size);
    ret->wants_continue = ret->head.expect_continue && !rest.len;
    if (framing->chunked)
        return take_chunked(bytes, ret);
    if (framing->content_length > RECEIVER_BODY_MAX)
        return 413;
    if (rest.len < framing->content_length)
        return -EAGAIN;
    ret->body = (struct str){rest.at, (size_t)framing->content_length};
    ret->size = ret->head.size + ret->body.len;
    return 0;
}

void receiver_request_deinit(struct receiver_request *request)
{
    buf_free(&request->decoded);
}

/* ---- judging --------------------------------------------------------------------------------- */

/* Answers Slack's question whether the receiver is there. */
static bool is_challenge(const struct receiver_request *request, struct buf *ret_answer)
{
    struct str json = request->body;
    if (json_check(json, JSON_DEPTH_MAX, NULL) || json.at[0] != '{' ||
        !str_eq(json_find(json, STR("type")), STR("\"url_verification\"")))
        return false;
    return json_unescape(json_find(json, STR("challenge")), ret_answer) == 0;
}

/* Answers WebSub's verification of intent. */
static bool is_intent(const struct receiver_request *request, struct buf *ret_answer)
{
    struct str rest = request->head.query, name, value;
    while (http_query_next(&rest, &name, &value))
        if (http_query_name_is(name, STR("hub.challenge")))
            return http_query_decode(value, ret_answer) == 0;
    return false;
}

static void judge_post(const struct receiver_request *request, const struct verifier *verifier,
                       int64_t now_s, struct receiver_outcome *ret)
{
    const struct inbound_request inbound = {
        .fields = &request->head.fields, .body = request->body, .now_s = now_s};
    ret->checked = verifier != NULL;
    ret->verdict = verifier ? verify_request(verifier, &inbound) : VERIFY_OK;
    if (ret->verdict)
        ret->status = 401;
    else if (is_challenge(request, &ret->room))
        ret->status = 200;
}

void receiver_judge(const struct receiver_request *request, const struct verifier *verifier,
                    int status, int64_t now_s, struct receiver_outcome *ret)
{
    *ret = (struct receiver_outcome){.status = status};
    if (request->head.method == HTTP_POST)
        judge_post(request, verifier, now_s, ret);
    else if (request->head.method == HTTP_OPTIONS)
        ret->status = 200;
    else if (request->head.method == HTTP_GET)
        ret->status = is_intent(request, &ret->room) ? 200 : 404;
    else
        ret->status = 405;
    ret->text = buf_str(&ret->room);
}

void receiver_outcome_deinit(struct receiver_outcome *outcome)
{
    buf_free(&outcome->room);
}

void receiver_answer(const struct receiver_request *request, const struct receiver_outcome *outcome,
                     struct buf *out)
{
    bool bare = outcome->status == 204 || outcome->status == 304;
    http1_response_start(out, outcome->status);
    if (request->head.method == HTTP_OPTIONS) {
        http1_response_header(out, STR("WebHook-Allowed-Origin"), STR("*"));
        http1_response_header(out, STR("WebHook-Allowed-Rate"), STR("*"));
    }
    if (!request->head.framing.keep_alive)
        http1_response_header(out, STR("Connection"), STR("close"));
    if (outcome->text.len)
        http1_response_header(out, STR("Content-Type"), STR("text/plain"));
    if (bare)
        http1_response_end(out);
    else
        http1_response_body(out, outcome->text);
}

/* ---- telling --------------------------------------------------------------------------------- */

/* The value of a header, which is bytes; if it is not UTF-8, a note instead. */
static void write_text(struct json_writer *writer, const char *name, struct str text)
{
    if (text.len)
        json_member_string(writer, name, utf8_valid(text) ? text : STR("(not UTF-8)"));
}

static void write_verdict(struct json_writer *writer, const struct receiver_outcome *outcome)
{
    const char *why = outcome->verdict == VERIFY_E_MISSING ? "not signed"
                      : outcome->verdict == VERIFY_E_WRONG ? "signed by another secret, or changed"
                      : outcome->verdict == VERIFY_E_STALE ? "the timestamp is not of now"
                                                           : "there is no memory";
    if (!outcome->checked)
        return;
    json_member_bool(writer, "verified", !outcome->verdict);
    if (outcome->verdict)
        json_member_string(writer, "why", str_from(why));
}

static void write_body(struct json_writer *writer, struct str body)
{
    if (!body.len)
        return;
    if (!json_check(body, JSON_DEPTH_MAX, NULL)) {
        struct buf *out = writer->out;
        json_member_raw(writer, "body", body);
        if (!buf_failed(out))
            json_one_line(out->at + out->len - body.len, body.len);
    } else {
        json_member_bytes(writer, utf8_valid(body) ? "text" : "body", body);
    }
}

void receiver_tell(const struct receiver_request *request, const struct receiver_outcome *outcome,
                   int64_t now_us, struct buf *out)
{
    const struct http_fields *fields = &request->head.fields;
    struct verify_standard standard = verify_standard_headers(fields);
    struct json_writer writer = json_writer(out);
    json_object_begin(&writer);
    json_member_time(&writer, "time", now_us);
    write_text(&writer, "method", request->head.method_raw);
    write_text(&writer, "target", request->head.target);
    write_text(&writer, "webhook_id", standard.id);
    write_text(&writer, "webhook_timestamp", standard.timestamp);
    write_verdict(&writer, outcome);
    json_member_signed(&writer, "answered", outcome->status);
    write_text(&writer, "content_type", http_fields_get(fields, STR("content-type")));
    write_body(&writer, request->body);
    json_object_end(&writer);
}
