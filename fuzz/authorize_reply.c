/* Feeds hostile bytes to the reader of answers of `authorize`: what they allow must be written in
 * them, within the bounds, and the same with space around them. */
#include "require.h"

#include "access/revocations.h"
#include "backend/authorize_reply.h"
#include "base/buf.h"
#include "base/json.h"

#include <string.h>

static void check_accepted(struct str body, const struct authorize_reply *reply)
{
    require(json_check(body, JSON_DEPTH_MAX, NULL) == JSON_OK);
    require(reply->ttl_s > 0 && reply->ttl_s <= AUTHORIZE_TTL_S_MAX);
    require(!reply->subject.len || revoked_name_valid(reply->subject));
    if (reply->allow)
        require(memmem(body.at, body.len, "true", 4) != NULL);
}

/* The same answer with spaces around it. */
static void check_spaced(struct str body, const struct authorize_reply *reply, bool accepted)
{
    struct authorize_reply again;
    struct buf text = {0};
    buf_add_lit(&text, " \r\n\t");
    buf_add_str(&text, body);
    buf_add_lit(&text, "\n ");
    require(authorize_reply_read(buf_str(&text), &again) == accepted);
    if (accepted)
        require(again.allow == reply->allow && again.ttl_s == reply->ttl_s &&
                str_eq(again.subject, reply->subject));
    authorize_reply_deinit(&again);
    buf_free(&text);
}

/* Reads from memory of exactly the input's size. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct authorize_reply reply;
    char *copy = malloc(size ? size : 1);
    require(copy);
    if (size)
        memcpy(copy, data, size);
    struct str body = {copy, size};
    bool accepted = authorize_reply_read(body, &reply);
    if (accepted)
        check_accepted(body, &reply);
    check_spaced(body, &reply, accepted);
    authorize_reply_deinit(&reply);
    free(copy);
    return 0;
}
