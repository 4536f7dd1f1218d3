/* The one connection that appends to a file, and the transactions that it makes. */
#pragma once

#include "log/event.h"
#include "log/store/sqlite/segment.h"

struct writer;

/* Opens a segment's file for appending. The segment must outlive the writer. */
int writer_open(struct segment *segment, struct writer **ret_writer);

/* Closes without a checkpoint: the write-ahead log stays. NULL is allowed. */
void writer_close(struct writer *writer);

/* Closes with a checkpoint: if no other connection is open, the file stays alone. */
void writer_close_clean(struct writer *writer);

/* Writes the APPENDED and TRIM entries of the batches in one transaction, syncs, and adds them to
 * the segment's index. After a negative errno nothing has changed, nor ever will, and the append
 * may be repeated: the connection mends itself. STORE_E_FATE_UNKNOWN: it cannot be proved that this
 * or an earlier failed transaction will not be in the file after a crash. */
int writer_append(struct writer *writer, struct batch *const *batches, size_t count);

/* Whether the last result was STORE_E_FATE_UNKNOWN: then the file must stay the active one. */
bool writer_is_unsure(const struct writer *writer);

/* The bytes of the pages written so far, which is the size of the file once it is sealed; and the
 * bytes of the write-ahead log. */
uint64_t writer_file_bytes(const struct writer *writer);
uint64_t writer_wal_bytes(const struct writer *writer);

/* The newest event that a checkpoint has moved into the file: events above it would be lost with
 * the write-ahead log. */
uint64_t writer_moved(const struct writer *writer);

/* Returns the connection, for sealing the file. Opens it again if a failure closed it. */
int writer_mend(struct writer *writer, sqlite3 **ret_db);

/* The column `kind`: the kind in the lowest byte, the hops of the event above it. Most events have
 * no hops, so the column takes one byte; older versions read the lowest byte alone. */
enum { WRITER_KIND_MAX = EVENT_HOPS_MAX << 8 | EVENT_BINARY };
static inline int writer_kind(const struct event *event)
{
    return event->kind | event->hops << 8;
}
static inline uint8_t writer_hops(int kind)
{
    return (uint8_t)(kind >> 8);
}

/* The columns of an event, see db.h. `AND...`, since DB_COMMA comes to the inner list as a comma.
 */
/* clang-format off */
#define WRITER_ROW_BUT_ID(COLUMN, AND...)                                                          \
    COLUMN(channel) AND COLUMN(time) AND COLUMN(prev) AND COLUMN(kind) AND COLUMN(type)            \
    AND COLUMN(content_type) AND COLUMN(sender) AND COLUMN(key) AND COLUMN(checksum)               \
    AND COLUMN(data)
/* clang-format on */
#define WRITER_ROW(COLUMN, AND) COLUMN(id) AND WRITER_ROW_BUT_ID(COLUMN, AND)
#define WRITER_PLACE(name) WRITER_ROW_##name
enum writer_column { WRITER_ROW(WRITER_PLACE, DB_COMMA), WRITER_COLUMNS_COUNT };

/* Statements that copy events into another file. Files of older versions have no checksums. */
#define WRITER_INSERT "INSERT INTO event" DB_VALUES(WRITER_ROW)
#define WRITER_SELECT DB_SELECT(WRITER_ROW) "event"
#define WRITER_SELECT_OLD DB_SELECT(WRITER_ROW) "(SELECT *, NULL AS checksum FROM event)"
