/* Whether the table has a place for one more: within its limits, and within the shares of whoever
 * asks for it. */
#pragma once

#include "presence/state.h"

enum place {
    PLACE_FREE,
    PLACE_FULL,    /* a limit of the whole table, or of the room, is reached */
    PLACE_ADDRESS, /* the share of the address is used up */
    PLACE_SUBJECT, /* the share of the subject is used up */
};

/* Looks at the shares alone. `who` may be nobody: then no subject counts. */
enum place place_in_shares(const struct presence *presence, enum share_kind kind, uint64_t taken,
                           uint64_t max, struct presence_who who, uint64_t address);

/* A place for a member more in the room; NULL: in a room without members. */
enum place place_of_member(const struct presence *presence, const struct room *room,
                           struct presence_who who, uint64_t address);

/* A place for a room more with a subscriber. */
enum place place_of_room(const struct presence *presence, uint64_t address);

/* Counts a refusal for want of a share. */
void place_count(struct presence *presence, enum place place);
