#include "publish/event_json.h"

#include "base/base64.h"

#include <errno.h>

void event_json_room_free(struct event_json_room *room)
{
    buf_free(&room->channel);
    buf_free(&room->type);
    buf_free(&room->key);
    buf_free(&room->content_type);
    buf_free(&room->data);
    buf_free(&room->base64);
}

/* The text of a JSON string, without a copy if it has no escapes. 0, -EINVAL if the value is no
 * string or UTF-8 cannot express it, or -ENOMEM. */
static int text_of(struct str raw, struct buf *room, struct str *ret_text)
{
    if (raw.len < 2 || raw.at[0] != '"')
        return -EINVAL;
    *ret_text = (struct str){raw.at + 1, raw.len - 2};
    if (!ret_text->len || !memchr(ret_text->at, '\\', ret_text->len))
        return 0;
    buf_clear(room);
    int result = json_unescape(raw, room);
    *ret_text = buf_str(room);
    return result;
}

static bool refuse(int result, struct refusal *ret_refusal, enum problem problem,
                   const char *detail)
{
    return result == -ENOMEM ? refusal_no_memory(ret_refusal)
                             : refusal_set(ret_refusal, problem, detail);
}

/* Reads an optional member. */
static bool read_text(struct str raw, struct buf *room, struct str *ret_text,
                      struct refusal *ret_refusal, enum problem problem, const char *detail)
{
    int result = raw.len ? text_of(raw, room, ret_text) : 0;
    return !result || refuse(result, ret_refusal, problem, detail);
}

/* Checks the content type once the data is known. It must be valid even if the event does not keep
 * it. */
static bool read_content_type(const struct event_json *json, struct event_json_room *room,
                              struct proposal *proposal, struct refusal *ret_refusal)
{
    static const char *const rule = "content_type is a media type of at most 255 bytes";
    struct http_media media;
    struct str text;
    if (!json->content_type.len)
        return true;
    if (!read_text(json->content_type, &room->content_type, &text, ret_refusal, PROBLEM_BAD_EVENT,
                   rule))
        return false;
    if (!content_type_read(text, &media))
        return refusal_set(ret_refusal, PROBLEM_BAD_EVENT, rule);
    if (content_type_is_kept(proposal->kind, &media))
        proposal->content_type = text;
    return true;
}

static bool read_ephemeral(const struct event_json *json, struct proposal *proposal,
                           struct refusal *ret_refusal)
{
    proposal->ephemeral = str_eq(json->ephemeral, STR("true"));
    return !json->ephemeral.len || proposal->ephemeral || str_eq(json->ephemeral, STR("false")) ||
           refusal_set(ret_refusal, PROBLEM_BAD_EVENT, "ephemeral is true or false");
}

static bool read_binary(const struct event_json *json, struct event_json_room *room,
                        struct proposal *proposal, struct refusal *ret_refusal)
{
    struct str text;
    proposal->kind = EVENT_BINARY;
    buf_clear(&room->data);
    int result = text_of(json->data_base64, &room->base64, &text);
    if (!result)
        result = base64_decode(&room->data, text);
    proposal->data = buf_str(&room->data);
    return !result ||
           refuse(result, ret_refusal, PROBLEM_BAD_EVENT, "data_base64 is not base64 with padding");
}

/* A string becomes text; any other value stays JSON, byte for byte. */
static bool read_data(const struct event_json *json, struct event_json_room *room,
                      struct proposal *proposal, struct refusal *ret_refusal)
{
    if (!json->data.len == !json->data_base64.len)
        return refusal_set(ret_refusal, PROBLEM_BAD_EVENT,
                           "an event has either data or data_base64");
    if (json->data_base64.len)
        return read_binary(json, room, proposal, ret_refusal);
    if (json->data.at[0] == '"') {
        proposal->kind = EVENT_TEXT;
        return read_text(
            json->data, &room->data, &proposal->data, ret_refusal, PROBLEM_BAD_EVENT,
            "data has a string with half a surrogate pair, which UTF-8 cannot express");
    }
    proposal->kind = EVENT_JSON;
    proposal->data = json->data;
    return !json->may_be_deep || !json_check(json->data, JSON_DEPTH_MAX, NULL) ||
           refusal_set(ret_refusal, PROBLEM_BAD_EVENT, "JSON may be nested 128 deep");
}

/* A name has no characters that JSON escapes, so an escape makes it malformed. */
static bool read_except(const struct event_json *json, const struct conn_names *names,
                        struct proposal *proposal, struct refusal *ret_refusal)
{
    struct str raw = json->except;
    if (!raw.len)
        return true;
    return (raw.len > 2 && raw.at[0] == '"' &&
            conn_name_read(names, (struct str){raw.at + 1, raw.len - 2}, &proposal->except)) ||
           refusal_set(ret_refusal, PROBLEM_BAD_EVENT, "except is " CONN_NAME_RULE);
}

bool event_json_read(const struct event_json *json, const struct conn_names *names,
                     struct event_json_room *room, struct proposal *ret_proposal,
                     struct refusal *ret_refusal)
{
    *ret_proposal = (struct proposal){.type = json->type.len ? STR_NONE : TYPE_DEFAULT,
                                      .has_key = json->key.len > 0,
                                      .is_checked = true};
    return read_text(json->channel, &room->channel, &ret_proposal->channel, ret_refusal,
                     PROBLEM_BAD_CHANNEL, "channel is a string") &&
           read_text(json->type, &room->type, &ret_proposal->type, ret_refusal, PROBLEM_BAD_TYPE,
                     "type is a string") &&
           read_text(json->key, &room->key, &ret_proposal->key, ret_refusal, PROBLEM_BAD_KEY,
                     "a key is a string of 1 to 255 bytes") &&
           read_ephemeral(json, ret_proposal, ret_refusal) &&
           read_except(json, names, ret_proposal, ret_refusal) &&
           read_data(json, room, ret_proposal, ret_refusal) &&
           read_content_type(json, room, ret_proposal, ret_refusal);
}
