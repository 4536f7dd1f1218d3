/* Notes events that are damaged on the disk. Reads find them. They are not served, but reported as
 * lost. */
#pragma once

#include "log/store.h"
#include "log/store/sqlite/segment.h"

/* Damaged places that are remembered, so that each is counted once however often it is read. */
enum { DAMAGE_KNOWN = 1024 };

/* A place that the disk fails to read counts as damaged after this many failed reads, at least
 * DAMAGE_PAUSE_NS apart. Failures older than DAMAGE_FORGET_NS do not count. Beyond DAMAGE_SUSPECTS
 * places at once, other places wait until these are damaged or forgotten. */
enum { DAMAGE_TRIES = 6, DAMAGE_SUSPECTS = 1024 };
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
    uint64_t untold;              /* places that no log line has reported yet */
    int64_t tell_after_ns;
    struct suspect suspects[DAMAGE_SUSPECTS];
};

/* `config` must outlive it. */
void damage_init(struct damage *damage, const struct store_config *config);
void damage_deinit(struct damage *damage);

/* Reports that events of the file with after < id <= upto are unreadable or altered. Calls
 * config->lost, and writes at most one log line a second. Any thread. */
void damage_note(struct damage *damage, const struct segment *segment, uint64_t after,
                 uint64_t upto);

/* Reports that the disk failed to read a place of the file. Returns true if it failed often enough,
 * over long enough, to count as damaged. Until then the read fails and may be repeated: a disk that
 * fails for a moment must not cost events. Any thread. */
bool damage_lasts(struct damage *damage, const struct segment *segment, uint64_t place);

/* Reports that the file's index by channel is unreadable. No event is lost: reads scan the rows
 * instead, which takes longer. Any thread. */
void damage_note_index(struct damage *damage, const struct segment *segment);
