#include "client/lib/record.h"

#include "base/base64.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "base/visible.h"
#include "http/target.h"
#include "http/token.h"

#include <errno.h>

/* The content of a JSON string without escapes, as the server writes ids, types and ops. STR_NONE
 * for anything else. */
static struct str plain_string(struct str raw)
{
    if (raw.len < 2 || raw.at[0] != '"' || memchr(raw.at, '\\', raw.len))
        return STR_NONE;
    return (struct str){raw.at + 1, raw.len - 2};
}

static bool is_object(struct str text)
{
    if (json_check(text, JSON_DEPTH_LIMIT, NULL))
        return false;
    while (text.len && strchr(" \t\r\n", text.at[0]))
        text = str_skip(text, 1);
    return text.len && text.at[0] == '{';
}

bool record_is_cursor(struct str text)
{
    uint64_t number;
    return text.len <= RECORD_CURSOR_MAX && http_number(text, &number) == 0;
}

static struct str cursor_in(struct str raw)
{
    struct str text = plain_string(raw);
    return record_is_cursor(text) ? text : STR_NONE;
}

static struct record event_of(struct str envelope)
{
    struct record record = {.kind = RECORD_EVENT, .envelope = envelope, .raw = envelope};
    struct str key, value;
    for (size_t pos = 0; json_next(envelope, &pos, &key, &value);) {
        if (str_eq(key, STR("id")))
            record.cursor = cursor_in(value);
        else if (str_eq(key, STR("type")))
            record.type = plain_string(value);
    }
    return record;
}

static enum record_kind kind_of(struct str op)
{
    static const struct {
        struct str op;
        enum record_kind kind;
    } kinds[] = {
        {{"beat", 4}, RECORD_CURSOR}, {{"ok", 2}, RECORD_CURSOR},   {{"live", 4}, RECORD_CURSOR},
        {{"gap", 3}, RECORD_GAP},     {{"error", 5}, RECORD_ERROR}, {{"bye", 3}, RECORD_BYE},
        {{"event", 5}, RECORD_EVENT},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (str_eq(kinds[i].op, op))
            return kinds[i].kind;
    return RECORD_OTHER;
}

struct record record_read(struct str text)
{
    if (!is_object(text))
        return (struct record){.kind = RECORD_BROKEN, .raw = text};
    struct str op = json_find(text, STR("op"));
    if (!op.at)
        return event_of(text);
    struct record record = {.kind = kind_of(plain_string(op)), .raw = text};
    if (record.kind == RECORD_EVENT) {
        struct str envelope = json_find(text, STR("event"));
        if (envelope.len && envelope.at[0] == '{')
            return event_of(envelope);
        record.kind = RECORD_BROKEN;
        return record;
    }
    record.cursor = cursor_in(json_find(text, STR("cursor")));
    record.problem = json_find(text, STR("problem"));
    if (http_number(json_find(text, STR("retry_ms")), &record.retry_ms))
        record.retry_ms = 0;
    return record;
}

int record_read_page(struct str body, struct record_page *ret)
{
    if (!is_object(body))
        return -EINVAL;
    ret->events = json_find(body, STR("events"));
    ret->cursor = cursor_in(json_find(body, STR("cursor")));
    ret->told = cursor_in(json_find(body, STR("told")));
    bool good = ret->events.len && ret->events.at[0] == '[' && ret->cursor.len;
    return good ? 0 : -EINVAL;
}

int record_read_gap(struct str body, struct str *ret_cursor, struct str *ret_told)
{
    struct str next = is_object(body) ? plain_string(json_find(body, STR("next"))) : STR_NONE;
    struct str query = str_skip(next, next.len > 0), name, value;
    *ret_cursor = *ret_told = STR_NONE;
    while (http_query_next(&query, &name, &value)) {
        if (http_query_name_is(name, STR("after")))
            *ret_cursor = value;
        else if (http_query_name_is(name, STR("told")))
            *ret_told = value;
    }
    return record_is_cursor(*ret_cursor) && record_is_cursor(*ret_told) ? 0 : -EINVAL;
}

bool record_next_event(const struct record_page *page, size_t *pos, struct record *ret)
{
    struct str key, value;
    while (json_next(page->events, pos, &key, &value)) {
        if (value.at[0] != '{')
            continue;
        *ret = event_of(value);
        return true;
    }
    return false;
}

static int decode_base64(struct str raw, struct buf *out)
{
    struct buf text = {0};
    int result = json_unescape(raw, &text);
    if (!result)
        result = base64_decode(out, buf_str(&text));
    buf_free(&text);
    return result;
}

int record_data(struct str envelope, struct buf *out)
{
    struct str key, value;
    for (size_t pos = 0; json_next(envelope, &pos, &key, &value);) {
        if (str_eq(key, STR("data_base64")))
            return decode_base64(value, out);
        if (!str_eq(key, STR("data")))
            continue;
        /* Some JSON strings cannot be expressed in UTF-8; those stay in their quotes. */
        if (value.at[0] != '"' || json_unescape(value, out))
            buf_add_str(out, value);
        return buf_failed(out) ? -ENOMEM : 0;
    }
    return -EINVAL;
}

int record_receipt_id(struct str body, struct buf *out)
{
    struct str id = is_object(body) ? cursor_in(json_find(body, STR("id"))) : STR_NONE;
    buf_add_str(out, id);
    return id.len ? 0 : -EINVAL;
}

void record_add_problem(struct str body, struct buf *out)
{
    if (!is_object(body))
        return;
    size_t start = out->len;
    struct str text = json_find(body, STR("detail"));
    if (!text.at)
        text = json_find(body, STR("title"));
    if (!text.at || json_unescape(text, out))
        return;
    if (!buf_failed(out))
        visible_blank(buf_from(out, start), out->len - start);
}

void record_add_control(struct buf *out, const char *name, struct str object)
{
    static const struct str told[] = {{"after", 5}, {"earliest", 8}, {"reason", 6}, {"cursor", 6}};
    struct json_writer writer = json_writer(out);
    size_t start = out->len;
    buf_addf(out, "%s ", name);
    json_object_begin(&writer);
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        struct str value = is_object(object) ? plain_string(json_find(object, told[i])) : STR_NONE;
        if (value.at)
            json_member_string(&writer, told[i].at, value);
    }
    json_object_end(&writer);
    if (!buf_failed(out))
        visible_blank(buf_from(out, start), out->len - start);
}
