/* Notes events that are damaged on the disk: whoever reads comes upon them, and they are not served
 * but told as lost. */
#pragma once

#include "log/store.h"
#include "log/store/sqlite/segment.h"

/* Places that are remembered, so that each counts once though many read there. */
enum { DAMAGE_KNOWN = 1024 };

struct damage {
    const struct store_config *config;
    _Atomic uint64_t places; /* found since the start */
    pthread_mutex_t lock;    /* guards the rest */
    size_t known_count;
    uint64_t known[DAMAGE_KNOWN]; /* the last id of each place, ascending */
    uint64_t untold;              /* places of which no log line has told */
    int64_t tell_after_ns;
};

/* `config` must outlive it. */
void damage_init(struct damage *damage, const struct store_config *config);
void damage_deinit(struct damage *damage);

/* The file's events after < id <= upto cannot be read, or not as they were written. Tells
 * config->lost, and the server's log with one line a second at most. Any thread. */
void damage_note(struct damage *damage, const struct segment *segment, uint64_t after,
                 uint64_t upto);

/* The file's index by channel cannot be read. Nothing is lost by that: the rows are read in its
 * place, which takes longer. Any thread. */
void damage_note_index(struct damage *damage, const struct segment *segment);
