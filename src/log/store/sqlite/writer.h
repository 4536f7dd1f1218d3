/* The one connection that appends to a file, and the transactions that it makes. */
#pragma once

#include "log/event.h"
#include "log/store/sqlite/segment.h"

struct writer;

/* Opens a segment's file for appending. The segment must outlive the writer. */
int writer_open(struct segment *segment, struct writer **ret_writer);

/* Leaves the write-ahead log where it is. NULL is fine. */
void writer_close(struct writer *writer);

/* The same, but the file is left whole and alone, if no other connection is open. */
void writer_close_clean(struct writer *writer);

/* Writes what is APPENDED or TRIM in the batches in one transaction and syncs it; then it is in the
 * segment's index. After a negative errno nothing has changed, nor ever will, and it may be tried
 * again: the connection mends itself. STORE_E_FATE_UNKNOWN while it cannot be proved of this or an
 * earlier transaction that it will not be in the file after a crash. */
int writer_append(struct writer *writer, struct batch *const *batches, size_t count);

/* Whether that is so: then the file must remain the one that is appended to. */
bool writer_is_unsure(const struct writer *writer);

/* The bytes of the pages written so far, which is what the file will have once it is sealed; and of
 * the write-ahead log. */
uint64_t writer_file_bytes(const struct writer *writer);
uint64_t writer_wal_bytes(const struct writer *writer);

/* The newest event that may be in the file itself: those above it are in the write-ahead log alone,
 * and would be lost with that. */
uint64_t writer_moved(const struct writer *writer);

/* Returns the connection, for sealing the file. Opens it anew if a failure closed it. */
int writer_mend(struct writer *writer, sqlite3 **ret_db);

/* The column `kind`: the hops of an event stand above its kind. Most events have none, and so take
 * no byte more; a version that does not know of them reads the lowest byte alone. */
enum { WRITER_KIND_MAX = EVENT_HOPS_MAX << 8 | EVENT_BINARY };
static inline int writer_kind(const struct event *event)
{
    return event->kind | event->hops << 8;
}
static inline uint8_t writer_hops(int kind)
{
    return (uint8_t)(kind >> 8);
}

/* Copies an event, by the columns of its row, into another file. Files of older versions have no
 * checksums. */
#define WRITER_COLUMNS_OF(checksum) "id, " WRITER_COLUMNS_BUT_ID_OF(checksum)
#define WRITER_COLUMNS_BUT_ID_OF(checksum)                                                         \
    "channel, time, prev, kind, type, content_type, sender, key, " checksum ", data"
#define WRITER_COLUMNS_BUT_ID WRITER_COLUMNS_BUT_ID_OF("checksum")
#define WRITER_COLUMNS WRITER_COLUMNS_OF("checksum")
#define WRITER_COLUMNS_OLD WRITER_COLUMNS_OF("NULL")
#define WRITER_INSERT                                                                              \
    "INSERT INTO event(" WRITER_COLUMNS ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)"
enum { WRITER_COLUMNS_COUNT = 11 };
