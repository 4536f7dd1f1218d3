#include "client/outgoing.h"

#include "base/base64.h"
#include "base/json.h"
#include "base/utf8.h"
#include "http/media.h"

#include <errno.h>

enum outgoing_kind outgoing_kind_of(struct str content_type)
{
    struct http_media media;
    if (http_media_parse(content_type, &media) || !http_media_is_utf8(&media))
        return OUTGOING_BINARY;
    if (json_media_type(media.full))
        return OUTGOING_JSON;
    return str_eq_nocase(media.type, STR("text")) ? OUTGOING_TEXT : OUTGOING_BINARY;
}

static void add_binary(struct buf *body, struct str content_type, struct str line)
{
    buf_add_lit(body, "\"content_type\":");
    buf_add_json(body, content_type.len ? content_type : STR("application/octet-stream"));
    buf_add_lit(body, ",\"data_base64\":\"");
    base64_add(body, line);
    buf_add_char(body, '"');
}

static void add_data(struct buf *body, const struct outgoing_settings *settings, struct str line)
{
    if (settings->kind == OUTGOING_BINARY || !utf8_valid(line)) {
        add_binary(body, settings->content_type, line);
        return;
    }
    buf_add_lit(body, "\"data\":");
    if (settings->kind == OUTGOING_JSON)
        buf_add_str(body, line);
    else
        buf_add_json(body, line);
}

int outgoing_add(struct outgoing *outgoing, struct str line)
{
    const struct outgoing_settings *settings = outgoing->settings;
    struct buf *body = &outgoing->body;
    if (settings->kind == OUTGOING_JSON && json_check(line, JSON_DEPTH_MAX, NULL))
        return -EINVAL;
    buf_add_lit(body, "{\"channel\":");
    buf_add_json(body, settings->channel);
    if (settings->type.len) {
        buf_add_lit(body, ",\"type\":");
        buf_add_json(body, settings->type);
    }
    struct buf key = {0};
    buf_addf(&key, "%.*s-%llu", STR_FMT(settings->key_prefix),
             (unsigned long long)++outgoing->number);
    buf_add_lit(body, ",\"key\":");
    buf_add_json(body, buf_str(&key));
    buf_free(&key);
    buf_add_char(body, ',');
    add_data(body, settings, line);
    buf_add_lit(body, "}\n");
    outgoing->count++;
    return buf_failed(body) ? -ENOMEM : 0;
}

bool outgoing_is_full(const struct outgoing *outgoing)
{
    return outgoing->count >= outgoing->settings->count_max ||
           outgoing->body.len >= outgoing->settings->bytes_max;
}

void outgoing_clear(struct outgoing *outgoing)
{
    buf_clear(&outgoing->body);
    outgoing->count = 0;
}

void outgoing_deinit(struct outgoing *outgoing)
{
    buf_free(&outgoing->body);
}
