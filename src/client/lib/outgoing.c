#include "client/lib/outgoing.h"

#include "base/json.h"
#include "base/json_writer.h"
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

static void write_binary(struct json_writer *writer, struct str content_type, struct str line)
{
    json_member_string(writer, "content_type",
                       content_type.len ? content_type : STR("application/octet-stream"));
    json_member_base64(writer, "data_base64", line);
}

static void write_data(struct json_writer *writer, const struct outgoing_settings *settings,
                       struct str line)
{
    if (settings->kind == OUTGOING_BINARY || !utf8_valid(line))
        write_binary(writer, settings->content_type, line);
    else if (settings->kind == OUTGOING_JSON)
        json_member_raw(writer, "data", line);
    else
        json_member_string(writer, "data", line);
}

static void write_key(struct json_writer *writer, struct str prefix, uint64_t number)
{
    struct buf key = {0};
    buf_addf(&key, "%.*s-%llu", STR_FMT(prefix), (unsigned long long)number);
    json_member_string(writer, "key", buf_str(&key));
    buf_free(&key);
}

int outgoing_add(struct outgoing *outgoing, struct str line)
{
    const struct outgoing_settings *settings = outgoing->settings;
    struct json_writer writer = json_writer(&outgoing->body);
    if (settings->kind == OUTGOING_JSON && json_check(line, JSON_DEPTH_MAX, NULL))
        return -EINVAL;
    json_object_begin(&writer);
    json_member_string(&writer, "channel", settings->channel);
    if (settings->type.len)
        json_member_string(&writer, "type", settings->type);
    write_key(&writer, settings->key_prefix, ++outgoing->number);
    write_data(&writer, settings, line);
    json_object_end(&writer);
    buf_add_char(&outgoing->body, '\n');
    outgoing->count++;
    return buf_failed(&outgoing->body) ? -ENOMEM : 0;
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
