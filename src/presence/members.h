/* Members: how they come, stay over their grace, and go. */
#pragma once

#include "presence/state.h"

/* A connection of the visitor to the room of this name begins. Returns what it attends: the person,
 * or the room if it counts as anonymous. 0: the channel has no presence, there is no place for its
 * room, or no memory. */
seat_ref member_join(struct presence *presence, struct str channel,
                     const struct presence_visitor *visitor);

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

/* Sets or (empty) removes the state. False if there is no memory. */
bool member_say(struct presence *presence, struct person *member, struct str state);

/* The graces of those who are away from the room last as long as the settings now say, from when
 * they began. */
void room_regrace(struct presence *presence, struct room *room);

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
