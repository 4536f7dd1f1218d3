/* The answer of the operator's server to a question about access: a JSON object of which hostile
 * bytes must make nothing but a refusal. */
#pragma once

#include "base/str.h"

#include <jansson.h>

enum {
    AUTHORIZE_TTL_S = 300,       /* how long a permission lasts if the answer does not say */
    AUTHORIZE_TTL_S_MAX = 86400, /* and at most */
};

struct authorize_reply {
    bool allow;
    struct str subject; /* empty: that of the credential */
    int64_t ttl_s;
    json_t *root; /* the memory of `subject` */
};

/* Reads the body of an answer: an object with `allow`, and perhaps `subject` and `ttl_s`. Members
 * of other names are ignored. False if one of these has another type or is out of its range, if a
 * name comes twice, or if the body is no JSON. Call authorize_reply_deinit() in any case. */
bool authorize_reply_read(struct str body, struct authorize_reply *ret);
void authorize_reply_deinit(struct authorize_reply *reply);
