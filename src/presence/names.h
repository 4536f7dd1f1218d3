/* The names of members: subjects of credentials, and names that clients gave themselves. */
#pragma once

#include "base/refusal.h"

enum { PRESENCE_NAME_MAX = 255 }; /* bytes */

/* A person that is meant. The name is borrowed; an empty one is nobody in particular. */
struct presence_who {
    struct str name;
    bool verified; /* the subject of a credential */
};

/* The person behind a subject (empty: none) and the name that the client gave itself (`as`, empty:
 * none). The subject decides. */
static inline struct presence_who presence_who(struct str subject, struct str as)
{
    return subject.len ? (struct presence_who){subject, true} : (struct presence_who){as, false};
}

/* A subscriber as presence sees it. */
struct presence_visitor {
    struct presence_who who;
    uint64_t address; /* of the client (net/peer.h), whose shares count */
    bool polls;       /* and is there between polls as well */
};

/* Checks `as` (`at` NULL: none was given) beside the subject of the caller: 400 if it is malformed,
 * or differs from the subject. subscription_check() calls it for every read; routes with `as` call
 * it themselves. */
bool presence_as_check(struct str as, struct str subject, struct refusal *ret_refusal);

/* The order in which members are listed: by the bytes of the name, names that were not verified
 * first. */
int presence_who_cmp(struct presence_who a, struct presence_who b);
