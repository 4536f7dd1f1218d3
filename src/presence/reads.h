/* Tells read marks, and leaves room for everything else.
 *
 * A page that scrolls, or a room in which each message is read by all, moves marks so often that
 * their events would push those of members who join and leave out of what is retained. The newest
 * mark of a person is all that counts. So a person's mark is told at most once in a second, and a
 * room tells READS_AT_ONCE marks at once and READS_A_SECOND after that; the others wait, and then
 * say where the person is by that time. Requests are answered at once, and have the newest mark. */
#pragma once

#include "presence/state.h"

enum { READS_AT_ONCE = 50, READS_A_SECOND = 5 };

/* The mark has moved. Tells it, now or later. */
void reads_tell(struct presence *presence, struct room *room, struct person *mark);

/* Tells all that waits. */
void reads_tell_all(struct presence *presence, struct room *room);

/* Forgets what waits, before the marks are freed. */
void reads_end(struct presence *presence, struct room *room);
