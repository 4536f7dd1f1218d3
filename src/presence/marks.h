/* Read marks: how far each person has read, also while it is away. */
#pragma once

#include "presence/places.h"

/* The id up to which `who` has read; 0: no mark. */
uint64_t mark_of(const struct room *room, struct presence_who who);

/* Sets a mark that is saved, and tells it; a lower one than there is changes nothing. False if
 * there was no memory. A new one counts in the share of that address. */
bool mark_put(struct presence *presence, struct room *room, struct presence_who who, uint64_t read,
              uint64_t address);

/* Sets a mark that was loaded, without a word. */
void mark_load(struct presence *presence, struct room *room, struct presence_who who,
               uint64_t read);

/* Whether one more mark may be made in this room for this person, who may have one already. */
enum place marks_place(const struct presence *presence, const struct room *room,
                       struct presence_who who, uint64_t address);

/* Removes all marks of the room, and may free it. */
void marks_forget(struct presence *presence, struct room *room);
