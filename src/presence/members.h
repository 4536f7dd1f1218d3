/* Members: how they come, stay over their grace, and go. */
#pragma once

#include "presence/state.h"

/* A connection of `who` to the room of this name begins. Returns what it attends: the person, or
 * the room if it counts as anonymous. 0: the channel has no presence, or there is no memory. */
seat_ref member_join(struct presence *presence, struct str channel, struct presence_who who,
                     bool polls);

/* A connection that attends this ends. */
void member_leave(struct presence *presence, seat_ref ref);

static inline struct person *seat_person(seat_ref ref)
{
    return ref & SEAT_ANONYMOUS ? NULL : (struct person *)ref;
}

static inline struct room *seat_room(seat_ref ref)
{
    return ref & SEAT_ANONYMOUS ? (struct room *)(ref & ~(seat_ref)SEAT_TAGS)
                                : seat_person(ref)->room;
}

/* Somebody of before the restart, who has a grace from now on; `state` may be empty. */
void member_restore(struct presence *presence, struct str channel, struct presence_who who,
                    int64_t since_ms, struct str state);
/* The same for a room that was occupied. */
void room_restore(struct presence *presence, struct str channel);

/* Takes a restored member, or a restored room with all of its members, back without a word. */
void member_unrestore(struct presence *presence, struct str channel, struct presence_who who);
void room_unrestore(struct presence *presence, struct str channel);

/* Everybody leaves the room at once. Nothing may refer to its members any more. */
void room_evict(struct presence *presence, struct room *room);
