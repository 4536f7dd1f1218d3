/* Read marks: how far each person has read, also while it is away. */
#pragma once

#include "presence/state.h"

/* The id up to which `who` has read; 0: no mark. */
uint64_t mark_of(const struct room *room, struct presence_who who);

/* Sets a mark that is saved, or loads one; a lower one than there is changes nothing. Returns
 * whether it has changed; `*ret_failed` (may be NULL) that there was no memory. */
bool mark_put(struct presence *presence, struct room *room, struct presence_who who, uint64_t read,
              bool *ret_failed);

/* Whether one more mark may be made in this room for this person, who may have one already. */
bool marks_have_place(const struct presence *presence, const struct room *room,
                      struct presence_who who);

/* Removes all marks of the room, and may free it. */
void marks_forget(struct presence *presence, struct room *room);
