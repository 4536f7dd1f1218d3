/* Connections that read the files of the chain: a few are kept open, the least used are closed. */
#pragma once

#include "log/store/sqlite/segment.h"

enum reader_statement {
    READER_BEGIN,
    READER_END,
    READER_SCAN_UP,   /* low, high -> id, channel */
    READER_SCAN_DOWN, /* the same, descending */
    READER_LINE_UP,   /* channel, low, high, limit -> id; sealed files only, as all with LINE */
    READER_LINE_DOWN,
    READER_LINE_SIZES, /* channel, low -> id, data */
    READER_EVENT,      /* id -> channel, time, prev, kind, type, content_type, sender, key, data */
    READER_TYPE,       /* id -> type */
    READER_NAME,       /* number -> name */
    READER_CHANNEL,    /* number -> first, last, count, bytes; sealed files only */
    READER_CHANNELS,   /* -> number, name, first, last, count, bytes; sealed files only */
    READER_TIME,       /* id -> id, time of the first event from that id on */
    READER_WALK,       /* low, high -> id, channel, data */
    READER_KEYS,       /* low -> id, time, key of events that have one */
    READER_STATEMENTS,
};

struct readers;

/* Keeps at most `idle_max` connections open that nobody uses. */
struct readers *readers_new(size_t idle_max);
/* Nobody has a reader any more. */
void readers_free(struct readers *readers);

struct reader {
    sqlite3 *db;
    struct segment *segment;
    unsigned generation;
    sqlite3_stmt *statements[READER_STATEMENTS];
};

/* A connection to the segment, in a read transaction. The caller holds a reference to the segment
 * and its gate, until it gives the reader back. Any thread. */
int reader_take(struct readers *readers, struct segment *segment, struct reader **ret_reader);
/* Ends the transaction; all statements are reset. `failed`: it is not to be used again. */
void reader_give(struct readers *readers, struct reader *reader, bool failed);

/* The statement, made when it is first used. */
int reader_statement(struct reader *reader, enum reader_statement which,
                     sqlite3_stmt **ret_statement);

/* Closes the segment's idle connections, and those in use once they come back. */
void readers_drop(struct readers *readers, struct segment *segment);
