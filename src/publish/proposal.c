#include "publish/proposal.h"

#include "base/utf8.h"
#include "log/selection.h"

/* ---- the checks ------------------------------------------------------------------------------ */

static bool check_channel(struct str channel, const struct publisher *publisher,
                          struct refusal *ret_refusal)
{
    const char *why;
    if (!name_valid(channel, &why))
        return refusal_set(ret_refusal, PROBLEM_BAD_CHANNEL, why);
    if (name_is_reserved(channel) && !publisher->is_server)
        return refusal_set(ret_refusal, PROBLEM_RESERVED_CHANNEL,
                           "choose a name that does not begin with $");
    return access_check(&publisher->access, ACTION_PUBLISH, channel, ret_refusal);
}

static bool check_type(struct str type, struct refusal *ret_refusal)
{
    const char *why;
    return type_valid(type, &why) || refusal_set(ret_refusal, PROBLEM_BAD_TYPE, why);
}

/* The key of a webhook's event comes from its sender, at any length: only its hash is kept. */
static bool check_key(const struct proposal *proposal, struct refusal *ret_refusal)
{
    size_t len = proposal->key.len;
    if (!proposal->has_key || proposal->key_stands || (len && len <= KEY_MAX_BYTES))
        return true;
    return refusal_set(ret_refusal, PROBLEM_BAD_KEY, "a key has 1 to 255 bytes");
}

/* The result of json_check() for the data; taken from the check in advance if there was one. */
static int json_result(const struct proposal *proposal, size_t *ret_at)
{
    const struct json_scan *scan = proposal->scan;
    struct str data = proposal->data;
    if (!scan || scan->text.at != data.at || scan->text.len != data.len)
        return json_check(data, JSON_DEPTH_MAX, ret_at);
    bool deep = scan->deep_at != JSON_NOT_DEEP;
    *ret_at = deep ? scan->deep_at : scan->at;
    return deep ? JSON_E_DEPTH : scan->error;
}

static const char *json_detail(int result, struct str data)
{
    switch (result) {
    case JSON_E_DEPTH:
        return "JSON may be nested 128 deep";
    case JSON_E_UTF8:
        return "JSON is UTF-8";
    case JSON_E_EMPTY:
        return "the body is empty: send a JSON value, or another Content-Type";
    default:
        return utf8_has_mark(data)
                   ? "the body begins with a byte order mark (EF BB BF), which JSON does not have: "
                     "send it without"
                   : "the body is not valid JSON: `at` is the offset of the first wrong byte";
    }
}

static bool check_json(const struct proposal *proposal, struct refusal *ret_refusal)
{
    size_t at = 0;
    int result = proposal->kind == EVENT_JSON && !proposal->is_checked ? json_result(proposal, &at)
                                                                       : JSON_OK;
    if (!result)
        return true;
    refusal_set(ret_refusal, PROBLEM_BAD_JSON, json_detail(result, proposal->data));
    ret_refusal->at = at;
    return false;
}

bool proposal_check(const struct proposal *proposal, const struct publisher *publisher,
                    struct refusal *ret_refusal)
{
    return check_channel(proposal->channel, publisher, ret_refusal) &&
           check_type(proposal->type, ret_refusal) && check_key(proposal, ret_refusal) &&
           check_json(proposal, ret_refusal);
}

/* ---- the data -------------------------------------------------------------------------------- */

bool content_type_read(struct str content_type, struct http_media *ret_media)
{
    return content_type.len <= CONTENT_TYPE_MAX_BYTES &&
           http_media_parse(content_type, ret_media) == 0;
}

bool content_type_is_kept(enum event_kind kind, const struct http_media *media)
{
    return kind == EVENT_BINARY || (kind == EVENT_JSON && http_media_is_special_json(media));
}

static bool is_text(const struct http_media *media)
{
    return str_eq_nocase(media->type, STR("text")) ||
           str_eq_nocase(media->full, STR("application/x-www-form-urlencoded"));
}

/* Content types that nearly all publishers use, and that an event need not keep. */
static const struct {
    struct str content_type;
    enum event_kind kind;
} usual[] = {
    {{"application/json", 16}, EVENT_JSON},
    {{"text/plain", 10}, EVENT_TEXT},
    {{"text/plain;charset=UTF-8", 24}, EVENT_TEXT},
    {{"text/plain; charset=utf-8", 25}, EVENT_TEXT},
};

/* Reads a body of such a content type: a short cut for the general way below. */
static bool take_usual(struct proposal *proposal, struct str content_type, struct str body)
{
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
        if (!str_eq(content_type, usual[i].content_type))
            continue;
        proposal->data = body;
        proposal->kind = usual[i].kind;
        return usual[i].kind == EVENT_JSON || utf8_valid(body);
    }
    return false;
}

bool proposal_take_body(struct proposal *proposal, struct str content_type, struct str body,
                        struct refusal *ret_refusal)
{
    struct http_media media;
    if (take_usual(proposal, content_type, body))
        return true;
    bool known = content_type.len && content_type_read(content_type, &media);
    if (content_type.len && !known)
        return refusal_set(ret_refusal, PROBLEM_BAD_PARAMETER, "Content-Type is not a media type");
    bool utf8 = !known || http_media_is_utf8(&media);
    proposal->data = body;
    if (known && utf8 && json_media_type(media.full))
        proposal->kind = EVENT_JSON;
    else if (utf8 && (!known || is_text(&media)) && utf8_valid(body))
        proposal->kind = EVENT_TEXT;
    else
        proposal->kind = EVENT_BINARY;
    if (known && content_type_is_kept(proposal->kind, &media))
        proposal->content_type = content_type;
    return true;
}
