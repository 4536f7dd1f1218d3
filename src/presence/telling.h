/* Tells what happened: the events of $presence/… and $occupied/…, one bundle a turn. */
#pragma once

#include "base/json_writer.h"
#include "presence/state.h"

/* The prefixes of the two kinds of channels. */
#define PRESENCE_CHANNELS "$presence/"
#define OCCUPIED_CHANNELS "$occupied/"

/* The most bytes of notes that wait for the log. A disk that stalls must not make the server grow
 * with each client that comes and goes: beyond this, events are lost, as if the log had refused
 * them (losses.h). */
enum { TELLING_BYTES_MAX = 64 << 20 };

/* "joined", "left", "updated" or "read". `state` and `read` are told if they are given; an empty
 * state that is given (`at` is not NULL) is null. */
void tell_person(struct presence *presence, struct str channel, const char *type,
                 struct presence_who who, struct str state, uint64_t read);

/* Tells `$occupied/CHANNEL` that its first subscriber has come, or that its last has gone. */
void tell_occupied(struct presence *presence, struct str channel, bool is_occupied);

/* The count of the room has changed, in a way that no joined or left tells. It is told at the end
 * of the turn, and at most once a second. */
void tell_count_later(struct presence *presence, struct room *room);

/* The same for a member that has come or gone, in a room that is too large to tell who. */
void tell_member_later(struct presence *presence, struct room *room);

/* The limit of a large room may be another: tells whether members are told singly, if that changes.
 */
void tell_count_anew(struct presence *presence, struct room *room);

/* The last subscriber has gone: tells at once what waits to be told of the count. The room may be
 * freed now, and a restart would know nothing of it. */
void tell_last_count(struct presence *presence, struct room *room);

/* The debts of a room to its followers (owes_reset, owes_occupied) are told at the same time. False
 * if there is no memory. */
bool tell_debts_later(struct presence *presence, struct room *room);

/* Stops telling the room's count, and what it owes. */
void tell_count_end(struct presence *presence, struct room *room);

/* The end of a turn: hands over what it has told. */
void telling_flush(struct presence *presence);

/* Whether the room has more members than are told one by one. */
bool room_is_large(const struct presence *presence, const struct room *room);

/* Frees a bundle that has come back, or was never handed over. */
void presence_bundle_free(struct presence_bundle *bundle);

/* Adds "member" and "verified". */
void who_write(struct json_writer *writer, struct presence_who who);
