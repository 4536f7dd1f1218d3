#include "backend/authorize_reply.h"

#include "access/revocations.h"
#include "base/json.h"
#include "base/json_text.h"

enum { DEPTH_MAX = 4 };

static bool read_ttl(const json_t *ttl, int64_t *ret_s)
{
    *ret_s = ttl ? json_integer_value(ttl) : AUTHORIZE_TTL_S;
    return (!ttl || json_is_integer(ttl)) && *ret_s > 0 && *ret_s <= AUTHORIZE_TTL_S_MAX;
}

static bool read_subject(const json_t *subject, struct str *ret)
{
    if (!subject)
        return true;
    *ret = json_text(subject);
    return json_is_string(subject) && revoked_name_valid(*ret);
}

static bool read_members(const json_t *root, struct authorize_reply *ret)
{
    const json_t *allow = json_object_get(root, "allow");
    ret->allow = json_is_true(allow);
    return json_is_boolean(allow) && read_ttl(json_object_get(root, "ttl_s"), &ret->ttl_s) &&
           read_subject(json_object_get(root, "subject"), &ret->subject);
}

/* The depth is checked first, since Jansson recurses as deep as the text says. */
bool authorize_reply_read(struct str body, struct authorize_reply *ret)
{
    *ret = (struct authorize_reply){0};
    if (!body.len || json_check(body, DEPTH_MAX, NULL) != JSON_OK)
        return false;
    ret->root = json_loadb(body.at, body.len, JSON_REJECT_DUPLICATES, NULL);
    return ret->root && read_members(ret->root, ret);
}

void authorize_reply_deinit(struct authorize_reply *reply)
{
    json_decref(reply->root);
    *reply = (struct authorize_reply){0};
}
