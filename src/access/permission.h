/* A permission of the operator's own server: what a request shows when that server is asked, and
 * the source that asks for ways in whose channels are known later than their request. */
#pragma once

#include "access/authority.h"
#include "access/decide.h"

/* The most questions that one request or message leads to: one for each server and 100 channels. */
enum { PERMISSION_ROUNDS_MAX = 16 };

struct evidence_field {
    struct str name, value; /* the name in lower case; the value as it came */
};

/* The facts of a request that show who asks. All is borrowed, unless it is of evidence_new(). */
struct evidence {
    struct str address;    /* of the client, as text; empty: a Unix socket, or not known */
    uint64_t peer;         /* the number of the address (net/peer.h) */
    struct str credential; /* no key and no token of this server; a secret; empty: none */
    const struct evidence_field *fields;
    size_t fields_count;
};

/* A copy of the facts in memory of its own. NULL if there is no memory. */
struct evidence *evidence_new(const struct evidence *facts);
/* Wipes it, since it may hold the cookie of a session. NULL is fine. */
void evidence_free(struct evidence *evidence);
/* The bytes of a copy. */
size_t evidence_size(const struct evidence *facts);

/* The access under which somebody with this evidence asks: rules count only for a credential that
 * this server knows, or for none. */
struct access evidence_access(const struct evidence *evidence, struct access access);

/* A question: whether the caller may do the action on all of the terms. Borrowed for the call. */
struct permission_question {
    struct access access; /* the caller's, by its credential and the rules */
    const struct evidence *evidence;
    enum action action;
    const struct str *terms;
    size_t count;
};

/* The operator's servers, as workers ask them. */
struct permission_source {
    /* Any thread. The answer, now or later, as of a source of the authority: a caller who has more
     * of what is asked for. IDENTITY_FOREIGN: nothing is lacking, or nobody decides about it. */
    struct identity (*ask)(void *app, const struct permission_question *question,
                           struct identification *identification);
    /* Any thread. Whether there is any server to ask. */
    bool (*can_ask)(void *app);
};
