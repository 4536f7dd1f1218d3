/* For tests of options: webhooks of each kind of lane, and the events that they have accepted. */
#pragma once

#include "webhooks/testing.h"

#include <sqlite3.h>

/* The bits of those of the events from `first` on that the request carries. */
static inline unsigned carried(const struct world *world, uint64_t first, unsigned count)
{
    unsigned bits = 0;
    for (unsigned i = 0; i < count; i++) {
        char id[32];
        snprintf(id, sizeof(id), "\"id\":\"%016" PRIu64 "\"", first + i);
        bits |= strstr(world->body, id) ? 1U << i : 0;
    }
    return bits;
}

enum { EVENTS = 12, CHANNELS = 4, ALL = (1 << EVENTS) - 1 };

struct options {
    bool ordered;
    unsigned batch;
};
static const struct options kinds[] = {{true, 0},  {true, 5}, {false, 0},
                                       {false, 5}, {true, 3}, {false, 3}};
enum { KINDS = sizeof(kinds) / sizeof(*kinds), OPENED = 4 /* of these, with a restart */ };

/* The events that were accepted since the options were changed. */
struct seen {
    uint64_t first;    /* of EVENTS events in CHANNELS channels */
    unsigned accepted; /* a bit each */
    unsigned again;    /* bits of events that may come a second time */
    bool in_order;
    unsigned last[CHANNELS]; /* of each channel, counted from 1 */
};

static inline void format_options(char out[64], const struct options *options)
{
    snprintf(out, 64, "\"ordered\":%s,\"batch\":%u", options->ordered ? "true" : "false",
             options->batch);
}

static inline void create_of(struct world *world, const struct options *options)
{
    char members[64], more[128];
    format_options(members, options);
    snprintf(more, sizeof(more), ",%s,\"concurrency\":2,\"schedule\":[3600]", members);
    create_for_many(world, more);
}

static inline void change_to(struct world *world, const struct options *options, const char *more)
{
    char members[64], body[128];
    format_options(members, options);
    snprintf(body, sizeof(body), "{%s%s}", members, more);
    assert_int_equal(ask(world, COURIER_CHANGE, body), 0);
}

static inline void delete_it(struct world *world)
{
    assert_int_equal(ask(world, COURIER_DELETE, NULL), 0);
}

static inline unsigned carried_by(const struct world *world, const struct seen *seen)
{
    return carried(world, seen->first, EVENTS);
}

/* Notes the request's events as accepted, and answers it. */
static inline void accept_one(struct world *world, struct seen *seen)
{
    unsigned bits = carried_by(world, seen);
    assert_true(bits);
    assert_int_equal(bits & seen->accepted & ~seen->again, 0);
    seen->accepted |= bits;
    for (unsigned i = 0; i < EVENTS; i++) {
        if (!(bits >> i & 1))
            continue;
        assert_true(!seen->in_order || i + 1 >= seen->last[i % CHANNELS]);
        seen->last[i % CHANNELS] = i + 1;
    }
    answer(world, "200 OK");
}

static inline void accept_all(struct world *world, struct seen *seen)
{
    while (seen->accepted != ALL) {
        receive(world);
        accept_one(world, seen);
    }
    await(world, "lag_exact", "true");
    await(world, "lag", "0");
    assert_told(world, "held", "0");
    assert_quiet(world);
}

/* Leaves the first request refused, so that its lane waits, and what could be accepted besides
 * accepted. Returns what was accepted. */
static inline unsigned leave_outstanding(struct world *world, const struct options *from,
                                         struct seen *seen)
{
    create_of(world, from);
    append_round(world, EVENTS, 10, CHANNELS);
    *seen = (struct seen){.first = world->published};
    receive(world);
    unsigned refused = carried_by(world, seen);
    answer(world, "500 Oops");
    await(world, "held", "1");
    unsigned left = from->ordered ? from->batch ? ALL : 0x111 : refused, accepted = 0;
    while (accepted != (ALL & ~left)) {
        receive(world);
        accepted |= carried_by(world, seen);
        answer(world, "200 OK");
    }
    await(world, "inflight", "0");
    return accepted;
}

static inline void reopen(struct world *world)
{
    close_world(world);
    open_world(world);
}

enum { EXECUTE_PATIENCE_MS = 10000 };

/* On the courier's own file. */
static inline void execute(struct world *world, const char *sql)
{
    char path[64];
    sqlite3 *db;
    snprintf(path, sizeof(path), "%s/state.db", world->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, EXECUTE_PATIENCE_MS); /* the log's upkeep writes to the file, too */
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* The number that a query finds there. */
static inline int64_t number_in(const struct world *world, const char *sql)
{
    char path[64];
    sqlite3 *db;
    sqlite3_stmt *statement;
    snprintf(path, sizeof(path), "%s/state.db", world->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return number;
}

/* ---- lanes that cannot be saved -------------------------------------------------------------- */

/* Until the trigger `full` is dropped. */
static inline void refuse_lanes_of(struct world *world, const char *channel)
{
    char sql[160];
    snprintf(sql, sizeof(sql),
             "CREATE TRIGGER full BEFORE INSERT ON lane WHEN NEW.channel = '%s'"
             " BEGIN SELECT RAISE(ABORT, 'x'); END",
             channel);
    execute(world, sql);
}

/* A delivery to the channel fails, and its lane waits for an hour. Nothing turns afterwards. */
static inline uint64_t fail_one(struct world *world, const char *channel)
{
    uint64_t id = publish(world, channel);
    receive(world);
    struct call *call = world->at->call;
    call->status = 500;
    call_end(call);
    return id;
}

/* Neither a lane of c/1 nor a cursor beyond the event is on disk. */
static inline void assert_not_beyond(const struct world *world, uint64_t id)
{
    assert_int_equal(number_in(world, "SELECT count(*) FROM lane WHERE channel = 'c/1'"), 0);
    assert_true((uint64_t)number_in(world, "SELECT cursor FROM endpoint") < id);
}
