/* Rooms: the channels in which somebody is, or has a read mark. */
#pragma once

#include "presence/state.h"

void rooms_init(struct presence *presence);
/* Frees all rooms and their members; without a word. */
void rooms_deinit(struct presence *presence);

/* The channel's room; NULL if there is none. */
struct room *rooms_find(const struct presence *presence, struct str name);

/* The room, made if it is not there; NULL if there is no memory. */
struct room *rooms_get(struct presence *presence, struct str name);

/* The room has a subscriber: tells that it is occupied, if it was not, and counts it in the share
 * of that address (shares.h). */
void room_occupy(struct presence *presence, struct room *room, uint16_t address);

/* The same, and the end of it, without a word. The state must change. */
void room_set_occupied(struct presence *presence, struct room *room, bool is_occupied,
                       uint16_t address);

/* Tells that the room is vacated if nobody is left, and frees it if nothing else keeps it. */
void room_look(struct presence *presence, struct room *room);
