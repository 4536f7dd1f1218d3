/* Challenges: before a provider sends webhooks it asks whether their URL is willing, and wants a
 * token back, or a hash of it.
 *
 * The configuration describes one in terms of its own: by which method it comes, what tells it from
 * an event, where the token is, what proves that it is the provider who asks, what is hashed, and
 * how the answer looks. So no provider is named here. */
#pragma once

#include "base/hash.h"
#include "inbound/template.h"

/* Bytes of a token; members of an answer in JSON; templates of a challenge that refer to the
 * request. */
enum { CHALLENGE_VALUE_MAX = 1024, CHALLENGE_MEMBERS_MAX = 8, CHALLENGE_LOOKS = 3 };

/* The configuration's description of a challenge; NULL where it says nothing. Read by
 * challenge_new() alone. */
struct challenge_settings {
    const char *method; /* GET or POST */
    const char *when;   /* template of what tells a challenge from other requests, */
    const char *is;     /* and what that has to be */
    const char *value;  /* template of the token */
    const char *proof;  /* template of what has to be the secret */
    const char *secret; /* without it: the first of the source's */
    const char *hash;   /* sha256, or hmac- and the name of a hash */
    const char *hashed; /* template of what sha256 is of */
    const char *encoding;
    const char *json; /* members of the answer: NAME=TEMPLATE NAME=TEMPLATE */
};

struct challenge;

/* `key` is the first of the source's secrets, or empty; both are copied. 0, -ENOMEM, or -EINVAL
 * with a sentence in `why`, which never holds a secret. */
int challenge_new(const struct challenge_settings *settings, struct str key,
                  struct challenge **ret_challenge, struct buf *why);
/* NULL is fine. Wipes the secret. */
void challenge_free(struct challenge *challenge);

/* Whether it comes by GET; else by POST. */
bool challenge_by_get(const struct challenge *challenge);

/* The templates that are to be looked up in one pass over the body, see template_view_look(). */
void challenge_looks(const struct challenge *challenge,
                     const struct template *ret[static CHALLENGE_LOOKS]);

/* Whether strangers are answered with an HMAC under a secret that may be one that signs events. */
bool challenge_is_open(const struct challenge *challenge);
/* Whether that secret is this one. */
bool challenge_is_under(const struct challenge *challenge, struct str secret);

/* Whether a challenge that is open would sign these bytes for anybody: then a signature of them
 * does not prove that an event is the provider's. An empty body too: where a time is signed before
 * it, that alone is a token. */
bool challenge_is_token(struct str bytes);

enum challenge_verdict {
    CHALLENGE_NONE,    /* the request is something else */
    CHALLENGE_MEANT,   /* a challenge, and its answer is there */
    CHALLENGE_E_PROOF, /* a challenge that does not prove to be the provider's */
    CHALLENGE_E_VALUE, /* its token is none that may be answered */
};

/* Reads a request that came by the challenge's method. An enum challenge_verdict, or -ENOMEM. Fills
 * in an empty `answer`. */
int challenge_read(const struct challenge *challenge, struct template_view *view,
                   struct buf *answer);
/* Whether the answer is JSON; else it is text. */
bool challenge_tells_json(const struct challenge *challenge);
