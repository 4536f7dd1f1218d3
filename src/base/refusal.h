/* A refusal: the problem that a client is told, and what would be right. */
#pragma once

#include "base/problem.h"

/* The rate that was reached, as the fields RateLimit and RateLimit-Policy tell it
 * (draft-ietf-httpapi-ratelimit-headers). */
struct refusal_rate {
    const char *policy; /* NULL: none */
    uint64_t quota;     /* in a window */
    uint64_t window_s;
    bool is_bytes;
};

struct refusal {
    enum problem problem;
    const char *detail;
    size_t at;         /* the offset where the data stops being JSON; BAD_JSON only */
    uint64_t newest;   /* the newest id of the channel; NOT_NEWEST only */
    bool hides_newest; /* the client may not know that id */
    uint64_t most;     /* the bytes that the data may have; TOO_LARGE only, 0: not told */
    const char *may; /* the action that is not granted, and the channel or pattern for which it was
                      * wanted, borrowed from the request; UNAUTHORIZED, FORBIDDEN and, if known,
                      * BAD_CREDENTIAL */
    struct str term;
    uint64_t retry_ms; /* the wait until it may succeed; 0: unknown */
    struct refusal_rate rate;
};

/* Writes the members that only some problems have into an object: `at`, `newest`, `max`, or the
 * action that was missing and its channel, or `retry_ms`. */
void refusal_write(struct json_writer *writer, const struct refusal *refusal);

/* Fills the refusal in. Returns false, so that a check can end with this call. */
static inline bool refusal_set(struct refusal *ret_refusal, enum problem problem,
                               const char *detail)
{
    *ret_refusal = (struct refusal){.problem = problem, .detail = detail};
    return false;
}

/* The same for new work while the process is at its mark of memory. */
#define REFUSAL_FULL "the server's memory is at its mark (limits.memory_max): try again later"
bool refusal_full(struct refusal *ret_refusal);

/* The same for a publish for which memory lacked. */
bool refusal_no_memory(struct refusal *ret_refusal);
