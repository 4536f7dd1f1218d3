/* The reasons for which the server ends a stream or a WebSocket, with the words for clients, for
 * the audit, and the problem that a WebSocket closes with. */
#pragma once

#include "base/problem.h"

/* A row for each reason: name, the word in a goodbye, the problem, the words for the audit. The
 * word is part of the API: docs/api.md has the same list. */
#define ENDINGS(X)                                                                                 \
    X(DRAIN, "drain", UNAVAILABLE, "the server stops")                                             \
    X(BUSY, "busy", UNAVAILABLE, "the store could not be read")                                    \
    X(EXPIRED, "expired", BAD_CREDENTIAL, "the credential has expired")                            \
    X(REVOKED, "revoked", BAD_CREDENTIAL, "the credential was revoked")                            \
    X(DISCONNECTED, "disconnected", BAD_CREDENTIAL, "disconnected by request")                     \
    X(RULES, "rules", FORBIDDEN, "the rules of access have changed")

enum ending {
#define ENDING_NAME(name, reason, problem, words) ENDING_##name,
    ENDINGS(ENDING_NAME)
#undef ENDING_NAME
        ENDINGS_COUNT,
};

/* The member `reason` of a goodbye. */
struct str ending_reason(enum ending ending);
/* The problem of the close code, where the format has no goodbye or clients look at the code. */
enum problem ending_problem(enum ending ending);
/* The words for the audit. */
struct str ending_words(enum ending ending);
