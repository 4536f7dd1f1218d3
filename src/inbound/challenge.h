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

/* A challenge as configured; NULL for what is not. Used by challenge_new() only. */
struct challenge_settings {
    const char *method; /* GET or POST */
    const char *when;   /* a template; the request is a challenge if it renders to `is` */
    const char *is;     /* see above */
    const char *value;  /* template of the token */
    const char *proof;  /* a template that must render to the secret */
    const char *secret; /* the secret; without it the source's first */
    const char *hash;   /* sha256, or hmac- and the name of a hash */
    const char *hashed; /* a template: the text to hash */
    const char *encoding;
    const char *json; /* members of the answer: NAME=TEMPLATE NAME=TEMPLATE */
};

struct challenge;

/* `key`: the first of the source's secrets, or empty; copied with the configuration. 0, -ENOMEM, or
 * -EINVAL with a sentence in `why`, which never holds a secret. */
int challenge_new(const struct challenge_settings *settings, struct str key,
                  struct challenge **ret_challenge, struct buf *why);
/* Frees it and wipes the secret. NULL is allowed. */
void challenge_free(struct challenge *challenge);

/* Whether the challenge comes by GET; else by POST. */
bool challenge_by_get(const struct challenge *challenge);

/* The templates to look up in one pass over the body, see template_view_look(). */
void challenge_looks(const struct challenge *challenge,
                     const struct template *ret[static CHALLENGE_LOOKS]);

/* Whether anybody is answered with an HMAC under a secret that may also sign events. */
bool challenge_is_open(const struct challenge *challenge);
/* Whether that secret is the given one. */
bool challenge_is_under(const struct challenge *challenge, struct str secret);

/* Whether anybody could have these bytes signed by an open challenge, so that a signature of them
 * proves nothing about an event. True for an empty body as well: where a time is signed before the
 * body, the time alone could be a token. */
bool challenge_is_token(struct str bytes);

enum challenge_verdict {
    CHALLENGE_NONE,    /* the request is something else */
    CHALLENGE_MEANT,   /* a challenge, with its answer */
    CHALLENGE_E_PROOF, /* a challenge without the configured proof */
    CHALLENGE_E_VALUE, /* its token must not be answered */
};

/* Reads a request that came by the challenge's method. Returns an enum challenge_verdict, or
 * -ENOMEM. `answer` must be empty before. */
int challenge_read(const struct challenge *challenge, struct template_view *view,
                   struct buf *answer);
/* Whether the answer is JSON; else it is text. */
bool challenge_tells_json(const struct challenge *challenge);
