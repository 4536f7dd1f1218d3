/* The part of the table that is saved, and when: members and channels about once a second and
 * behind their events in the log, marks at once.
 *
 * A change of members is saved only once the log has the event that tells it; the position that is
 * saved with it is that of the last such event. So after a crash the events behind that position
 * say what the file lacks (restore.h), and nobody who was told as joined is forgotten. */
#pragma once

#include "presence/state.h"

/* Notes that the member is there, with its state, or not any more. */
void save_member(struct presence *presence, const struct person *member, bool is_there);
void save_occupied(struct presence *presence, const struct room *room, bool is_occupied);
/* Notes what the room owes its followers now, which may be nothing any more. */
void save_owed(struct presence *presence, const struct room *room);
void save_drop_marks(struct presence *presence, struct str channel);

/* A request whose mark is being saved; `done` is called with 0, a negative errno or
 * PRESENCE_STORE_E_FATE_UNKNOWN, and frees it. */
struct mark_request {
    struct mark_request *next;
    void (*done)(struct presence *presence, struct mark_request *mark, int result);
    struct presence_request *request;
    struct room *room;
};

/* Saves a mark, and then calls `done`: at once, if nothing is saved at all. */
void save_mark(struct presence *presence, struct mark_request *mark);

/* The end of a turn: hands over what is due. `all`: everything that may be saved. */
void saving_flush(struct presence *presence, bool all);

/* A turn has not done all that is to be done: the next follows at once. */
bool saving_has_more(const struct presence *presence);

/* The room is in the table from now on, and until it ends. */
void saving_room_begins(struct presence *presence, struct room *room);
void saving_room_ends(struct presence *presence, struct room *room);

/* Whether something is on its way to the disk. */
static inline bool saving_is_busy(const struct presence *presence)
{
    return presence->has_save || presence->waiting;
}

void saving_init(struct presence *presence);
/* Gives up what could not be saved. */
void saving_deinit(struct presence *presence);
