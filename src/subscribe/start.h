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
    uint64_t told; /* gaps up to here are not to be told */
    const char
        *gap; /* why a gap from `claimed` to `told` is to be told first; NULL: there is none */
    uint64_t
        claimed; /* the consumer's position; unless GAP_UNKNOWN, up to where it knows of gaps */
};

/* The result of a search. */
struct start_found {
    struct start start;
    uint64_t given_up; /* POSITION_LAST: what lies below this id was not looked at; 0: all was */
    int error;         /* a negative errno: the store cannot be read, or there is no memory */
};

struct start_search;

/* How a search goes on, and with what. */
struct start_owner {
    void *owner;
    /* Called on the hub's thread, unless the search was dropped. */
    void (*found)(void *owner, const struct start_found *found);
    /* Asks the log, for an owner with a deadline of its own; NULL: question_ask(). */
    void (*ask)(void *owner, struct question *question);
};

/* Whether the start is known at once: then it is set. Otherwise it has to be searched for. */
bool start_is_known(struct hub *hub, const struct selection *selection,
                    const struct position *position, struct start *ret_start);

/* Searches for it. Until `found` is called, `*place` has the search, to be dropped; then it is
 * NULL. Without memory `found` is called at once. If POSITION_LAST uses up its allowance, the
 * oldest event found so far is the start. */
void start_search(struct start_search **place, struct hub *hub, struct selection *selection,
                  const struct position *position, const struct start_owner *owner);

/* Finds the start: `found` is called now if it is known, and later otherwise. The owner may be gone
 * when this returns. */
void start_find(struct start_search **place, struct hub *hub, struct selection *selection,
                const struct position *position, const struct start_owner *owner);

/* Ends the search, if there is one: `found` is not called. */
void start_drop(struct start_search **place);

/* The gap that is to be told first; start->gap is not NULL. */
struct gap start_gap(const struct start *start);

/* Whether there is a gap at or behind the start that the consumer does not know of: for mechanisms
 * that cannot tell gaps, and have to refuse. */
bool start_has_gap(struct log *log, const struct selection *selection, const struct start *start,
                   struct gap *ret_gap);
