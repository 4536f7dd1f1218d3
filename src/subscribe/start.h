/* The start of a subscription: the cursor at which it begins, and the gap that it begins with.
 *
 *     position ─▶ start_is_known() ── yes ─▶ start
 *                        │ no: `last`, or a time
 *                        └─▶ start_search(): a question ─▶ found() ─▶ start
 *
 * start_find() does both. All of it is for the thread that has the hub. */
#pragma once

#include "hub/hub.h"
#include "subscribe/gap.h"
#include "subscribe/position.h"

struct start {
    uint64_t cursor;
    uint64_t told; /* gaps up to this id are known to the consumer */
    /* why the gap from `claimed` to `told` must be told first; NULL: there is none */
    const char *gap;
    uint64_t claimed; /* the position that the consumer named; unless GAP_UNKNOWN, it knows of gaps
                         up to there */
};

/* The result of a search. */
struct start_found {
    struct start start;
    /* POSITION_LAST: the search stopped at this id; 0: it reached the beginning */
    uint64_t given_up;
    int error; /* a negative errno: the store cannot be read, or there is no memory */
};

struct start_search;

/* A search for a start: what is searched, and what happens with the result. */
struct start_owner {
    void *owner;
    /* Called on the hub's thread, unless the search was dropped. */
    void (*found)(void *owner, const struct start_found *found);
    /* asks the log, for an owner with a deadline of its own; NULL: question_ask() */
    void (*ask)(void *owner, struct question *question);
};

/* Finds the start if no search is needed. False: start_search() must follow. */
bool start_is_known(struct hub *hub, const struct selection *selection,
                    const struct position *position, struct start *ret_start);

/* Searches for the start. `*place` is the search, which the caller may drop, until `found` is
 * called; then it is NULL. Without memory `found` is called at once. If POSITION_LAST uses up its
 * allowance, the start is the oldest event found so far. */
void start_search(struct start_search **place, struct hub *hub, struct selection *selection,
                  const struct position *position, const struct start_owner *owner);

/* Finds the start: `found` is called now, or later after a search. The owner may be gone when this
 * returns. */
void start_find(struct start_search **place, struct hub *hub, struct selection *selection,
                const struct position *position, const struct start_owner *owner);

/* Ends the search, if there is one: `found` is not called. */
void start_drop(struct start_search **place);

/* The gap to be told first; start->gap must not be NULL. */
struct gap start_gap(const struct start *start);

/* Whether there is a gap, at the start or later, that the consumer does not know of. Mechanisms
 * that cannot report gaps then refuse. */
bool start_has_gap(struct log *log, const struct selection *selection, const struct start *start,
                   struct gap *ret_gap);
