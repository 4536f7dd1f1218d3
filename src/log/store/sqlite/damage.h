/* Notes events that are damaged on the disk. Reads find them. They are not served, but reported as
 * lost. */
#pragma once

#include "log/store.h"
#include "log/store/sqlite/segment.h"

/* Places that are remembered, so that each counts once though many read there. */
enum { DAMAGE_KNOWN = 1024 };

/* A place that the medium does not give is damaged after so many tries, each DAMAGE_PAUSE_NS or
 * more after the one before it. Tries are forgotten after DAMAGE_FORGET_NS. */
enum { DAMAGE_TRIES = 6, DAMAGE_SUSPECTS = 256 };
#define DAMAGE_PAUSE_NS INT64_C(10000000000)
#define DAMAGE_FORGET_NS INT64_C(600000000000)

struct suspect {
    uint64_t place; /* an id that stands for it */
    int64_t tried_ns;
    unsigned tries; /* 0: the entry is free */
};

struct damage {
    const struct store_config *config;
    _Atomic uint64_t places; /* found since the start */
    pthread_mutex_t lock;    /* guards the rest */
    size_t known_count;
    uint64_t known[DAMAGE_KNOWN]; /* the last id of each place, ascending */
    uint64_t untold;              /* places of which no log line has told */
    int64_t tell_after_ns;
    struct suspect suspects[DAMAGE_SUSPECTS];
};

/* `config` must outlive it. */
void damage_init(struct damage *damage, const struct store_config *config);
void damage_deinit(struct damage *damage);

/* The file's events after < id <= upto cannot be read, or not as they were written. Tells
 * config->lost, and the server's log with one line a second at most. Any thread. */
void damage_note(struct damage *damage, const struct segment *segment, uint64_t after,
                 uint64_t upto);

/* The medium failed to give a place of the file. True if it has failed often enough, for long
 * enough: then the place is damaged. Until then the read fails and may be tried again, since no
 * event may be lost by a medium that fails for a moment. Any thread. */
bool damage_lasts(struct damage *damage, const struct segment *segment, uint64_t place);

/* The file's index by channel cannot be read. Nothing is lost by that: the rows are read in its
 * place, which takes longer. Any thread. */
void damage_note_index(struct damage *damage, const struct segment *segment);
