/* Room for what reads of the log have found and nobody has taken yet: one for each thread that has
 * reads done for it.
 *
 * A read is asked for with a few bytes and may find a page's worth. Readers find faster than a
 * worker can encode, so a thousand reads of one worker would lie there with a thousand pages. The
 * room counts what they have found. Once it is full,
 *
 * - a read that has found something ends with what it has, as if its page were full;
 * - a read that has found nothing yet ends at once and waits, in the order of coming. It goes on
 *   when a read before it has been taken.
 *
 * Reads that find nothing hold nothing and do not wait for each other, however long they take.
 *
 * Readers' threads call read_place_is_full(), read_place_has() and read_place_stop(); the other
 * calls are for the thread that the reads are for. */
#pragma once

#include "log/log.h"

#include <stdatomic.h>

struct read_room {
    struct log *log;
    _Atomic uint64_t held; /* bytes found and not taken */
    uint64_t most;         /* 0 for no bound */
    struct list waiting;
    uint32_t under_way; /* reads that are submitted and have not ended */
    uint64_t put_off;   /* how often a read had to wait, or ended with less than it was to find */
};

/* A read's place in the room. All zeroes before read_place_begin(). */
struct read_place {
    struct list node; /* in room->waiting */
    struct read_room *room;
    struct log_job *job;
    uint64_t counted; /* in room->held */
    bool stopped;     /* it has ended for want of room */
};

void read_room_init(struct read_room *room, struct log *log, uint64_t most);

/* Submits the read's job. */
void read_place_begin(struct read_place *place, struct read_room *room, struct log_job *job);

/* The job's mail is opened: whether the read has found no room and waits, so that its mail will
 * come once more. It does not wait unless it is wanted still. log_job_cancel() ends the wait. */
bool read_place_waits(struct read_place *place, bool wanted);

/* What the read has found is taken, or of no use: the place is empty, and reads that wait go on. */
void read_place_end(struct read_place *place);

/* Whether the read is to find no more: it ends, and says so by read_place_stop(). A place without a
 * room, of a read that nobody counts, is never full. */
bool read_place_is_full(const struct read_place *place);
void read_place_stop(struct read_place *place);

/* The read has found so many bytes in all. */
void read_place_has(struct read_place *place, uint64_t bytes);
