/* Connections that read the files of the chain, kept open with their statements prepared. */
#pragma once

#include "base/list.h"
#include "log/store/sqlite/damage.h"

/* A connection costs about 100 KB with its page cache: 50 MB in all. */
enum { READERS_IDLE_MAX = 512, READERS_IDLE_MIN = 16, READERS_DESCRIPTORS_SHARE = 8 };

enum reader_statement {
    READER_BEGIN,
    READER_END,
    READER_SCAN_UP,   /* low, high -> id, channel */
    READER_SCAN_DOWN, /* the same, descending */
    READER_LINE_UP,   /* channel, low, high, limit -> id; sealed files only, as all with LINE */
    READER_LINE_DOWN,
    READER_LINE_SIZES,  /* channel, low -> id, data */
    READER_EVENT,       /* id -> channel, time, prev, kind, type, content_type, sender, key, data,
                         * checksum, which is NULL in files of older versions */
    READER_TYPE,        /* id -> type */
    READER_NAME,        /* number -> name */
    READER_CHANNEL,     /* number -> first, last, count, bytes; sealed files only */
    READER_CHANNELS,    /* -> number, name, first, last, count, bytes; sealed files only */
    READER_CHANNELS_IN, /* low, end -> number, first, last, count, bytes; sealed files only */
    READER_TIME,        /* id -> id, time of the first event from that id on */
    READER_WALK,        /* low, high -> id, channel, data */
    READER_KEYS,        /* low -> id, time, key of events that have one */
    READER_STATEMENTS,
};

struct readers;

/* Keeps at most `idle_max` connections open that nobody uses. `damage`, which must outlive it, says
 * which places of files are given up. */
struct readers *readers_new(size_t idle_max, struct damage *damage);

/* How many idle connections this process can afford: READERS_IDLE_MAX, which bounds their memory,
 * or a share of its descriptors if those are few. */
size_t readers_affordable(void);

/* Connections opened so far. Any thread. */
uint64_t readers_opened(const struct readers *readers);

/* Nobody has a reader any more. */
void readers_free(struct readers *readers);

struct reader {
    struct list used;    /* in readers->idle, or in no list */
    struct reader *next; /* in segment->idle */
    sqlite3 *db;
    struct segment *segment;
    struct damage *damage;
    unsigned generation;
    bool sealed; /* the file does not change: one transaction serves all reads */
    sqlite3_stmt *statements[READER_STATEMENTS];
};

/* A connection to the segment, in a read transaction. The caller holds a reference to the segment
 * and its gate, until it gives the reader back. If descriptors or memory have run out, the idle
 * connections are closed and it is tried once more. -EUCLEAN when the file is damaged where all
 * else is found from. Any thread. */
int reader_take(struct readers *readers, struct segment *segment, struct reader **ret_reader);
/* Ends the transaction; all statements are reset. `failed`: it is not to be used again. */
void reader_give(struct readers *readers, struct reader *reader, bool failed);

/* Whether the call that failed a moment ago met damage, see db_fault(): at once if a page is
 * not what SQLite wrote, and after tries over time if the medium does not give it. `place` is an id
 * that stands for what was read. */
bool reader_met_damage(struct reader *reader, uint64_t place);

/* The statement, made when it is first used. */
int reader_statement(struct reader *reader, enum reader_statement which,
                     sqlite3_stmt **ret_statement);

/* Closes the segment's idle connections, and those in use once they come back. */
void readers_drop(struct readers *readers, struct segment *segment);
