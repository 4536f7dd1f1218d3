#include "log/store/sqlite/index.h"

#include "base/bisect.h"
#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_BITS = 12, ROWS = 1 << ROWS_BITS, LINES_BITS = 8, LINES = 1 << LINES_BITS, FEW = 2 };

struct rows {
    uint64_t ids[ROWS];
    uint32_t bytes[ROWS];
};

struct line {
    union {
        uint32_t few[FEW]; /* cap == 0 */
        uint32_t *many;
    };
    uint32_t count;
    uint32_t cap : 31;
    uint32_t named : 1;
};

struct lines {
    struct line lines[LINES];
};

struct index {
    pthread_rwlock_t lock;
    void **rows; /* struct rows */
    size_t rows_cap;
    void **lines; /* struct lines */
    size_t lines_cap;
    uint32_t added;
    uint32_t visible;
    size_t bytes; /* of all of it */
};

struct index *index_new(void)
{
    struct index *index = mem_alloc(sizeof(*index));
    index->bytes = sizeof(*index);
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&index->lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    return index;
}

static void free_lines(struct lines *lines)
{
    for (size_t i = 0; lines && i < LINES; i++)
        if (lines->lines[i].cap)
            free(lines->lines[i].many);
    free(lines);
}

void index_free(struct index *index)
{
    if (!index)
        return;
    for (size_t i = 0; i < index->rows_cap; i++)
        free(index->rows[i]);
    for (size_t i = 0; i < index->lines_cap; i++)
        free_lines(index->lines[i]);
    free(index->rows);
    free(index->lines);
    pthread_rwlock_destroy(&index->lock);
    free(index);
}

/* ---- rows and lines ------------------------------------------------------------------------- */

static struct rows *rows_of(const struct index *index, uint32_t ordinal)
{
    return index->rows[ordinal >> ROWS_BITS];
}

static uint64_t id_at(const struct index *index, uint32_t ordinal)
{
    return rows_of(index, ordinal)->ids[ordinal & (ROWS - 1)];
}

static uint32_t bytes_at(const struct index *index, uint32_t ordinal)
{
    return rows_of(index, ordinal)->bytes[ordinal & (ROWS - 1)];
}

static struct line *line_of(const struct index *index, uint32_t number)
{
    size_t chunk = number >> LINES_BITS;
    struct lines *lines = chunk < index->lines_cap ? index->lines[chunk] : NULL;
    return lines ? &lines->lines[number & (LINES - 1)] : NULL;
}

static const uint32_t *ordinals(const struct line *line)
{
    return line->cap ? line->many : line->few;
}

/* Makes room for pointers up to `at` in a growing table of them, the new ones NULL. */
static bool table_room(struct index *index, void ***table, size_t *cap, size_t at)
{
    if (at < *cap)
        return true;
    size_t more = *cap ? *cap * 2 : 16;
    while (more <= at)
        more *= 2;
    void **room = mem_try_realloc(*table, more * sizeof(*room));
    if (!room)
        return false;
    memset(room + *cap, 0, (more - *cap) * sizeof(*room));
    index->bytes += (more - *cap) * sizeof(*room);
    *table = room;
    *cap = more;
    return true;
}

static bool rows_room(struct index *index)
{
    size_t chunk = index->added >> ROWS_BITS;
    if (index->added == UINT32_MAX || !table_room(index, &index->rows, &index->rows_cap, chunk))
        return false;
    if (index->rows[chunk])
        return true;
    index->rows[chunk] = mem_try_alloc(sizeof(struct rows));
    if (index->rows[chunk])
        index->bytes += sizeof(struct rows);
    return index->rows[chunk] != NULL;
}

static struct line *line_room(struct index *index, uint32_t number)
{
    size_t chunk = number >> LINES_BITS;
    if (!table_room(index, &index->lines, &index->lines_cap, chunk))
        return NULL;
    if (!index->lines[chunk]) {
        index->lines[chunk] = mem_try_alloc(sizeof(struct lines));
        if (!index->lines[chunk])
            return NULL;
        memset(index->lines[chunk], 0, sizeof(struct lines));
        index->bytes += sizeof(struct lines);
    }
    return line_of(index, number);
}

static bool line_grow(struct index *index, struct line *line)
{
    if (line->count < (line->cap ? line->cap : FEW))
        return true;
    uint32_t cap = line->count + line->count / 2 + 2;
    uint32_t *many = mem_try_alloc(cap * sizeof(*many));
    if (!many)
        return false;
    memcpy(many, ordinals(line), line->count * sizeof(*many));
    if (line->cap)
        free(line->many);
    index->bytes += (cap - line->cap) * sizeof(*many);
    line->many = many;
    line->cap = cap & 0x7fffffff;
    return true;
}

/* ---- writing -------------------------------------------------------------------------------- */

static int add(struct index *index, uint32_t number, uint64_t id, size_t bytes)
{
    struct line *line = line_room(index, number);
    if (!line || !rows_room(index) || !line_grow(index, line))
        return -ENOMEM;
    uint32_t ordinal = index->added++;
    struct rows *rows = rows_of(index, ordinal);
    rows->ids[ordinal & (ROWS - 1)] = id;
    rows->bytes[ordinal & (ROWS - 1)] = bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
    (line->cap ? line->many : line->few)[line->count++] = ordinal;
    return 0;
}

int index_add(struct index *index, uint32_t number, uint64_t id, size_t bytes)
{
    pthread_rwlock_wrlock(&index->lock);
    int result = add(index, number, id, bytes);
    pthread_rwlock_unlock(&index->lock);
    return result;
}

void index_take_back(struct index *index, uint32_t number)
{
    pthread_rwlock_wrlock(&index->lock);
    line_of(index, number)->count--;
    index->added--;
    pthread_rwlock_unlock(&index->lock);
}

void index_publish(struct index *index)
{
    pthread_rwlock_wrlock(&index->lock);
    index->visible = index->added;
    pthread_rwlock_unlock(&index->lock);
}

bool index_is_named(const struct index *index, uint32_t number)
{
    const struct line *line = line_of(index, number);
    return line && line->named;
}

int index_name(struct index *index, uint32_t number, bool named)
{
    pthread_rwlock_wrlock(&index->lock);
    struct line *line = line_room(index, number);
    if (line)
        line->named = named;
    pthread_rwlock_unlock(&index->lock);
    return line ? 0 : -ENOMEM;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* The events of a channel that may be seen: ordinals[start..end). */
struct span {
    const uint32_t *ordinals;
    uint32_t start;
    uint32_t end;
};

/* How many of the first `end` have an id of at most `id`. */
static uint32_t upto(const struct index *index, const uint32_t *ordinals, uint32_t end, uint64_t id)
{
    uint32_t low = 0;
    BISECT(low, end, middle, id_at(index, ordinals[middle]) <= id);
    return low;
}

static struct span span_of(const struct index *index, uint32_t number, uint64_t low, uint64_t high)
{
    const struct line *line = line_of(index, number);
    if (!line || low >= high)
        return (struct span){0};
    struct span span = {.ordinals = ordinals(line), .end = line->count};
    while (span.end && span.ordinals[span.end - 1] >= index->visible)
        span.end--;
    if (span.end && id_at(index, span.ordinals[span.end - 1]) > high)
        span.end = upto(index, span.ordinals, span.end, high);
    span.start = upto(index, span.ordinals, span.end, low);
    return span;
}

size_t index_ids(struct index *index, uint32_t number, uint64_t low, uint64_t high, bool backwards,
                 uint64_t *out, size_t max)
{
    size_t count = 0;
    pthread_rwlock_rdlock(&index->lock);
    struct span span = span_of(index, number, low, high);
    while (span.start < span.end && count < max)
        out[count++] = id_at(index, span.ordinals[backwards ? --span.end : span.start++]);
    pthread_rwlock_unlock(&index->lock);
    return count;
}

struct index_tally index_tally(struct index *index, uint32_t number, uint64_t low)
{
    struct index_tally tally = {0};
    pthread_rwlock_rdlock(&index->lock);
    struct span span = span_of(index, number, low, UINT64_MAX);
    tally.count = span.end - span.start;
    if (tally.count) {
        tally.first = id_at(index, span.ordinals[span.start]);
        tally.last = id_at(index, span.ordinals[span.end - 1]);
    }
    for (uint32_t i = span.start; i < span.end; i++)
        tally.bytes += bytes_at(index, span.ordinals[i]);
    pthread_rwlock_unlock(&index->lock);
    return tally;
}

struct index_tally index_first(struct index *index, uint32_t number, uint64_t low, uint64_t count,
                               uint64_t bytes)
{
    struct index_tally tally = {0};
    pthread_rwlock_rdlock(&index->lock);
    struct span span = span_of(index, number, low, UINT64_MAX);
    while (span.start < span.end && (tally.count < count || tally.bytes < bytes)) {
        uint32_t ordinal = span.ordinals[span.start++];
        tally.last = id_at(index, ordinal);
        tally.first = tally.count ? tally.first : tally.last;
        tally.bytes += bytes_at(index, ordinal);
        tally.count++;
    }
    pthread_rwlock_unlock(&index->lock);
    return tally;
}

uint32_t index_numbers(struct index *index)
{
    uint32_t highest = 0;
    pthread_rwlock_rdlock(&index->lock);
    for (size_t i = index->lines_cap; i-- > 0 && !highest;) {
        const struct lines *lines = index->lines[i];
        for (size_t j = LINES; lines && j-- > 0 && !highest;)
            if (lines->lines[j].count)
                highest = (uint32_t)(i << LINES_BITS | j);
    }
    pthread_rwlock_unlock(&index->lock);
    return highest;
}

uint32_t index_rows(struct index *index)
{
    pthread_rwlock_rdlock(&index->lock);
    uint32_t rows = index->visible;
    pthread_rwlock_unlock(&index->lock);
    return rows;
}

size_t index_bytes(struct index *index)
{
    pthread_rwlock_rdlock(&index->lock);
    size_t bytes = index->bytes;
    pthread_rwlock_unlock(&index->lock);
    return bytes;
}
