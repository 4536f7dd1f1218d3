#include "log/store/sqlite/links.h"

#include "base/checksum.h"
#include "base/hash.h"

#include <stddef.h>

/* The names of the members in the table `meta`. */
static const struct {
    const char *name;
    size_t offset;
} members[] = {
    {"log", offsetof(struct links, log)},
    {"rescued", offsetof(struct links, rescued)},
    {"before", offsetof(struct links, before.first)},
    {"before_last", offsetof(struct links, before.last)},
    {"before_count", offsetof(struct links, before.count)},
    {"before_digest", offsetof(struct links, before.digest)},
    {"last", offsetof(struct links, own.last)},
    {"count", offsetof(struct links, own.count)},
    {"digest", offsetof(struct links, own.digest)},
};

enum { MEMBERS = sizeof(members) / sizeof(*members) };

static uint64_t get(const struct links *links, int member)
{
    uint64_t value;
    memcpy(&value, (const char *)links + members[member].offset, sizeof(value));
    return value;
}

static void set(struct links *links, struct str name, uint64_t value)
{
    for (int i = 0; i < MEMBERS; i++)
        if (str_eq(name, str_from(members[i].name)))
            memcpy((char *)links + members[i].offset, &value, sizeof(value));
}

uint64_t links_make_log(void)
{
    uint64_t log;
    hash_random(&log, sizeof(log));
    /* Positive in SQLite, and never 0. */
    return (log >> 2) | 1;
}

int links_read(sqlite3 *db, struct links *ret_links)
{
    sqlite3_stmt *statement;
    *ret_links = (struct links){.log = 0};
    int result = db_prepare(db, "SELECT name, value FROM meta", &statement);
    if (result)
        return result;
    while ((result = db_row(statement)) == 1) {
        uint64_t value = db_id(statement, 1);
        set(ret_links, db_bytes(statement, 0), value);
    }
    sqlite3_finalize(statement);
    return result;
}

int links_write(sqlite3 *db, const struct links *links)
{
    sqlite3_stmt *statement;
    int result = db_prepare(db, "INSERT OR REPLACE INTO meta VALUES(?1, ?2)", &statement);
    if (result)
        return result;
    for (int i = 0; !result && i < MEMBERS; i++) {
        uint64_t value = get(links, i);
        db_bind_text(statement, 1, str_from(members[i].name));
        db_bind_id(statement, 2, value);
        result = value ? db_run(statement) : 0;
    }
    sqlite3_finalize(statement);
    return result;
}

int links_digest(sqlite3 *db, uint64_t *ret_digest)
{
    sqlite3_stmt *statement;
    uint64_t digest = 0;
    int result = db_prepare(db, "SELECT id, checksum FROM event ORDER BY id", &statement);
    if (result)
        return result;
    while ((result = db_row(statement)) == 1)
        digest = checksum_numbers(digest, db_id(statement, 0), db_id(statement, 1));
    sqlite3_finalize(statement);
    *ret_digest = digest | 1; /* 0 stands for unknown */
    return result;
}

enum link_fit link_fit(const struct link *expected, const struct link *found)
{
    if (expected->digest && found->digest && expected->digest != found->digest)
        return LINK_IS_OTHER;
    bool short_of_ids = found->last && found->last < expected->last;
    bool short_of_events = found->count && found->count < expected->count;
    return short_of_ids || short_of_events ? LINK_FALLS_SHORT : LINK_FITS;
}

struct str links_bytes(const struct links *links)
{
    return (struct str){(const char *)links, sizeof(*links)};
}

struct links links_of_bytes(struct str bytes)
{
    struct links links = {.log = 0};
    if (bytes.len == sizeof(links))
        memcpy(&links, bytes.at, sizeof(links));
    return links;
}
