/* Connections that read the files of the chain, kept open with their statements prepared. */
#pragma once

#include "base/list.h"
#include "log/store/sqlite/damage.h"

/* A connection costs about 100 KB with its page cache: 50 MB in all. */
enum { READERS_IDLE_MAX = 512, READERS_IDLE_MIN = 16, READERS_DESCRIPTORS_SHARE = 8 };

/* The columns of the statements below, see db.h. */
/* clang-format off */
#define READER_EVENT_ROW(COLUMN, AND)                                                              \
    COLUMN(channel) AND COLUMN(time) AND COLUMN(prev) AND COLUMN(kind) AND COLUMN(type)            \
    AND COLUMN(content_type) AND COLUMN(sender) AND COLUMN(key) AND COLUMN(data)
#define READER_CHANNEL_ROW(COLUMN, AND)                                                            \
    COLUMN(number) AND COLUMN(name) AND COLUMN(first) AND COLUMN(last) AND COLUMN(count)           \
    AND COLUMN(bytes)
#define READER_WALK_ROW(COLUMN, AND) COLUMN(id) AND COLUMN(channel) AND COLUMN(data)
#define READER_KEY_ROW(COLUMN, AND) COLUMN(id) AND COLUMN(time) AND COLUMN(key)
/* clang-format on */

#define READER_EVENT_PLACE(name) EVENT_ROW_##name
#define READER_CHANNEL_PLACE(name) CHANNEL_ROW_##name
#define READER_WALK_PLACE(name) WALK_ROW_##name
#define READER_KEY_PLACE(name) KEY_ROW_##name
enum reader_event { READER_EVENT_ROW(READER_EVENT_PLACE, DB_COMMA), EVENT_ROW_checksum };
enum reader_channel { READER_CHANNEL_ROW(READER_CHANNEL_PLACE, DB_COMMA) };
enum reader_walk { READER_WALK_ROW(READER_WALK_PLACE, DB_COMMA) };
enum reader_key { READER_KEY_ROW(READER_KEY_PLACE, DB_COMMA) };

enum reader_statement {
    READER_BEGIN,
    READER_END,
    READER_SCAN_UP,   /* low, high -> id, channel */
    READER_SCAN_DOWN, /* the same, descending */
    READER_LINE_UP,   /* channel, low, high, limit -> id; sealed files only, as all with LINE */
    READER_LINE_DOWN,
    READER_LINE_SIZES,  /* channel, low -> id, data */
    READER_EVENT,       /* id -> READER_EVENT_ROW, and the checksum, which is NULL in files of older
                         * versions */
    READER_ROW,         /* id -> id: whether the page of the row can be read */
    READER_TYPE,        /* id -> type */
    READER_NAME,        /* number -> name */
    READER_CHANNEL,     /* number -> READER_CHANNEL_ROW; sealed files only */
    READER_CHANNELS,    /* -> the rows of all channels; sealed files only */
    READER_CHANNELS_IN, /* low, end -> the rows of the numbers in that range; sealed files only */
    READER_TIME,        /* id -> id, time of the first event from that id on */
    READER_WALK,        /* low, high -> READER_WALK_ROW */
    READER_KEYS,        /* low -> READER_KEY_ROW of events that have a key */
    READER_STATEMENTS,
};

struct readers;

/* Keeps at most `idle_max` unused connections open. `damage` must outlive the readers, and says
 * which places of files are damaged. */
struct readers *readers_new(size_t idle_max, struct damage *damage);

/* How many idle connections the process can afford: READERS_IDLE_MAX, or less if it has few
 * descriptors. */
size_t readers_affordable(void);

/* Connections opened so far. Any thread. */
uint64_t readers_opened(const struct readers *readers);

/* Frees the readers. Call when no thread has a reader any more. */
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

/* Takes a connection to the segment, in a read transaction. The caller must hold a reference to the
 * segment, and its gate, until reader_give(). If descriptors or memory run out, idle connections
 * are closed and the opening is tried once more. -EUCLEAN: the file is damaged where its tables
 * begin. Any thread. */
int reader_take(struct readers *readers, struct segment *segment, struct reader **ret_reader);
/* Ends the transaction and gives the connection back; all statements are reset. `failed`: do not
 * use it again. */
void reader_give(struct readers *readers, struct reader *reader, bool failed);

/* Whether the last failed call met damage, see db_fault(): either a page that SQLite did not write,
 * or one that the disk failed to read repeatedly (damage.h). `place` is an id that identifies the
 * damaged place. */
bool reader_met_damage(struct reader *reader, uint64_t place);

/* The statement, prepared at its first use. */
int reader_statement(struct reader *reader, enum reader_statement which,
                     sqlite3_stmt **ret_statement);

/* Closes the segment's idle connections, and the others when they are given back. */
void readers_drop(struct readers *readers, struct segment *segment);
