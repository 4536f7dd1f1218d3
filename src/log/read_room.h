/* Room for events that reads of the log have found and that are not taken yet: one for each thread
 * that owns reads.
 *
 * A request for a read is a few bytes, and may find a page's worth. Readers find faster than a
 * worker can encode, so a thousand reads of a worker would hold a thousand pages. The room counts
 * the bytes that were found. Once it is full,
 *
 * - a read that has found something ends with that, as if its page were full;
 * - a read that has found nothing ends at once and waits in order of arrival. It goes on when an
 *   earlier read has been taken.
 *
 * Reads that find nothing hold nothing and do not wait for each other, however long they take.
 *
 * Readers' threads call read_place_is_full(), read_place_has() and read_place_stop(); the other
 * calls are for the thread that owns the reads. */
#pragma once

#include "log/log.h"

#include <stdatomic.h>

struct read_room {
    struct log *log;
    _Atomic uint64_t held; /* bytes that were found and not taken */
    uint64_t most;         /* 0: no bound */
    struct list waiting;
    uint32_t under_way; /* reads that were submitted and have not ended */
    uint64_t put_off;   /* number of reads that had to wait, or ended early */
};

/* A read's place in the room. Zeroes before read_place_begin(). */
struct read_place {
    struct list node; /* in room->waiting */
    struct read_room *room;
    struct log_job *job;
    uint64_t counted; /* the part of room->held that is this read's */
    bool stopped;     /* ended because the room was full */
};

void read_room_init(struct read_room *room, struct log *log, uint64_t most);

/* Submits the read's job. */
void read_place_begin(struct read_place *place, struct read_room *room, struct log_job *job);

/* After the job's mail was opened: returns whether the read found the room full and waits, so that
 * its mail will come again. Only a read that is still `wanted` waits. log_job_cancel() ends the
 * wait. */
bool read_place_waits(struct read_place *place, bool wanted);

/* Empties the place, since the result was taken or is not wanted; waiting reads go on. */
void read_place_end(struct read_place *place);

/* Whether the read must stop, which it reports by read_place_stop(). A place without a room, of a
 * read that is not counted, is never full. */
bool read_place_is_full(const struct read_place *place);
void read_place_stop(struct read_place *place);

/* Counts the bytes that the read has found in all. */
void read_place_has(struct read_place *place, uint64_t bytes);
