/* A refusal: the problem that a client is told, and what would be right. */
#pragma once

#include "base/problem.h"

struct refusal {
    enum problem problem;
    const char *detail;
    size_t at;       /* the offset where the data stops being JSON; BAD_JSON only */
    uint64_t newest; /* the newest id of the channel; NOT_NEWEST only */
    const char *may; /* the action that is not granted, and the channel or pattern for which it was
                      * wanted, borrowed from the request; UNAUTHORIZED, FORBIDDEN and, if known,
                      * BAD_CREDENTIAL */
    struct str term;
};

/* Writes the members that only some problems have into an object: `at`, `newest`, or the action
 * that was missing and its channel. */
void refusal_write(struct json_writer *writer, const struct refusal *refusal);

/* Fills the refusal in. Returns false, so that a check can end with this call. */
static inline bool refusal_set(struct refusal *ret_refusal, enum problem problem,
                               const char *detail)
{
    *ret_refusal = (struct refusal){.problem = problem, .detail = detail};
    return false;
}

/* The same for a publish for which memory lacked. */
bool refusal_no_memory(struct refusal *ret_refusal);
