#include "webhooks/progress/delivery_log.h"

#include "base/base64.h"
#include "base/mem.h"
#include "base/rfc3339.h"
#include "base/utf8.h"
#include "http/target.h"
#include "log/store/sqlite/db.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* Deliveries that a page looks at, and bytes that it has; then it ends, and says where the next
 * goes on. Responses may be large, and whoever sends again by hand makes as many attempts as they
 * like: of each delivery the newest are told. */
enum { LOOKED_AT_MAX = 5000, TOLD_BYTES = 1 << 20 };
#define ATTEMPTS_TOLD "100"

enum statement {
    ADD,
    FIRST,
    AGAIN,
    ATTEMPT,
    LETTER,
    UNLETTER,
    FIND,
    FIND_LETTER,
    ATTEMPTS,
    SLICE,
    PRUNE,
    PRUNE_ATTEMPTS,
    PRUNE_LETTERS,
    NEWEST,
    DROP,
    DROP_ATTEMPTS,
    STATEMENTS,
};

static const char *const texts[STATEMENTS] = {
    [ADD] = "INSERT OR REPLACE INTO delivery(n, endpoint, first, last, count, state, attempts,"
            " channel, type, time, took, status, error, response)"
            " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    [FIRST] = "INSERT OR IGNORE INTO attempt(delivery, number, time, took, status, error, response)"
              " SELECT n, 1, time, took, status, error, response FROM delivery"
              " WHERE n = ?1 AND attempts = 1",
    /* A retry may carry a part of the page: the rest is a delivery of its own. */
    [AGAIN] = "UPDATE delivery SET first = iif(?5 > 0, ?3, first), last = iif(?5 > 0, ?4, last),"
              " count = iif(?5 > 0, ?5, count), channel = iif(?5 > 0, ?8, channel),"
              " type = iif(?5 > 0, ?9, type), state = ?6, attempts = ?7, time = ?10, took = ?11,"
              " status = ?12, error = ?13, response = ?14 WHERE n = ?1 AND endpoint = ?2",
    [ATTEMPT] = "INSERT OR REPLACE INTO attempt(delivery, number, time, took, status, error,"
                " response) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7"
                " WHERE EXISTS (SELECT 1 FROM delivery WHERE n = ?1)",
    [LETTER] = "INSERT OR REPLACE INTO letter(n, events) VALUES(?1, ?2)",
    [UNLETTER] = "DELETE FROM letter WHERE n = ?1",
    [FIND] = "SELECT first, last, attempts, state FROM delivery WHERE n = ?1 AND endpoint = ?2",
    [FIND_LETTER] = "SELECT events FROM letter WHERE n = ?1",
    [ATTEMPTS] = "SELECT number, time, took, status, error, response FROM (SELECT * FROM attempt"
                 " WHERE delivery = ?1 ORDER BY number DESC LIMIT " ATTEMPTS_TOLD ")"
                 " ORDER BY number",
    [SLICE] = "SELECT max(n) FROM (SELECT n FROM delivery WHERE n > ?1 AND n < ?2"
              " ORDER BY n LIMIT ?3)",
    [PRUNE] = "DELETE FROM delivery WHERE n > ?1 AND n <= ?2 AND (time < ?3 AND state <> 2"
              " OR n < ?4 AND state IN (0, 3)"
              " OR NOT EXISTS (SELECT 1 FROM endpoint WHERE number = delivery.endpoint))",
    [PRUNE_ATTEMPTS] = "DELETE FROM attempt WHERE delivery > ?1 AND delivery <= ?2"
                       " AND NOT EXISTS (SELECT 1 FROM delivery WHERE n = delivery)",
    [PRUNE_LETTERS] = "DELETE FROM letter WHERE n > ?1 AND n <= ?2"
                      " AND NOT EXISTS (SELECT 1 FROM delivery WHERE n = letter.n)",
    [NEWEST] = "SELECT max(n) FROM delivery",
    [DROP] = "DELETE FROM delivery WHERE n = ?1 AND endpoint = ?2 AND state = 2",
    [DROP_ATTEMPTS] = "DELETE FROM attempt WHERE delivery = ?1",
};

struct delivery_log {
    sqlite3 *db;
    sqlite3_stmt *of[STATEMENTS];
    uint64_t aged;    /* pruning has gone round up to this delivery */
    uint64_t counted; /* of those up to this one, what is too much is gone */
};

static const char *const state_names[DELIVERY_STATES] = {"delivered", "failing", "dead", "skipped"};

int delivery_log_prepare(struct sqlite3 *db, struct delivery_log **ret_log)
{
    struct delivery_log *log = mem_alloc(sizeof(*log));
    int result = 0;
    log->db = db;
    for (int i = 0; !result && i < STATEMENTS; i++)
        result = db_prepare(db, texts[i], &log->of[i]);
    *ret_log = log;
    return result;
}

void delivery_log_finalize(struct delivery_log *log)
{
    for (int i = 0; log && i < STATEMENTS; i++)
        sqlite3_finalize(log->of[i]);
    free(log);
}

static int count_of(struct delivery_log *log, const char *sql, uint64_t endpoint,
                    uint64_t *ret_count)
{
    sqlite3_stmt *statement;
    int result = db_prepare(log->db, sql, &statement);
    if (result)
        return result;
    db_bind_id(statement, 1, endpoint);
    result = db_row(statement);
    *ret_count = result == 1 ? db_id(statement, 0) : 0;
    sqlite3_finalize(statement);
    return result < 0 ? result : 0;
}

int delivery_log_newest(struct delivery_log *log, uint64_t *ret_n)
{
    return count_of(log,
                    "SELECT max((SELECT coalesce(max(n), 0) FROM delivery),"
                    " (SELECT coalesce(max(n), 0) FROM lane), ?1)",
                    0, ret_n);
}

int delivery_log_dead(struct delivery_log *log, uint64_t endpoint, uint64_t *ret_count)
{
    return count_of(
        log, "SELECT count(*) FROM delivery WHERE endpoint = ?1 AND state = 2 AND state <> 0",
        endpoint, ret_count);
}

/* ---- adding ---------------------------------------------------------------------------------- */

static void bind_response(sqlite3_stmt *statement, int at, struct str response)
{
    sqlite3_bind_blob64(statement, at, response.len ? response.at : NULL, response.len,
                        SQLITE_STATIC);
}

static int by_number(struct delivery_log *log, enum statement which, uint64_t n)
{
    db_bind_id(log->of[which], 1, n);
    return db_run(log->of[which]);
}

static int add_delivery(struct delivery_log *log, const struct logged_attempt *attempt)
{
    sqlite3_stmt *statement = log->of[attempt->number == 1 ? ADD : AGAIN];
    db_bind_id(statement, 1, attempt->n);
    db_bind_id(statement, 2, attempt->endpoint);
    db_bind_id(statement, 3, attempt->first);
    db_bind_id(statement, 4, attempt->last);
    sqlite3_bind_int64(statement, 5, attempt->count);
    db_bind_text(statement, 8, attempt->channel);
    db_bind_text(statement, 9, attempt->type);
    sqlite3_bind_int(statement, 6, (int)attempt->state);
    sqlite3_bind_int64(statement, 7, attempt->number);
    sqlite3_bind_int64(statement, 10, attempt->time_us);
    sqlite3_bind_int64(statement, 11, attempt->took_us);
    sqlite3_bind_int(statement, 12, attempt->status);
    sqlite3_bind_text(statement, 13, attempt->error, -1, SQLITE_STATIC);
    bind_response(statement, 14, attempt->response);
    return db_run(statement);
}

static int add_attempt(struct delivery_log *log, const struct logged_attempt *attempt)
{
    sqlite3_stmt *statement = log->of[ATTEMPT];
    db_bind_id(statement, 1, attempt->n);
    sqlite3_bind_int64(statement, 2, attempt->number);
    sqlite3_bind_int64(statement, 3, attempt->time_us);
    sqlite3_bind_int64(statement, 4, attempt->took_us);
    sqlite3_bind_int(statement, 5, attempt->status);
    sqlite3_bind_text(statement, 6, attempt->error, -1, SQLITE_STATIC);
    bind_response(statement, 7, attempt->response);
    return db_run(statement);
}

static int add_letter(struct delivery_log *log, const struct logged_attempt *attempt)
{
    db_bind_id(log->of[LETTER], 1, attempt->n);
    bind_response(log->of[LETTER], 2, attempt->letter);
    return db_run(log->of[LETTER]);
}

int delivery_log_add(struct delivery_log *log, const struct logged_attempt *attempt)
{
    int result = attempt->number == 1 ? 0 : by_number(log, FIRST, attempt->n);
    result = result ? result : add_delivery(log, attempt);
    bool settled = attempt->state == DELIVERY_DELIVERED || attempt->state == DELIVERY_SKIPPED;
    if (result || (attempt->number == 1 && settled))
        return result; /* the commonest: one row has it all */
    result = add_attempt(log, attempt);
    if (!result && attempt->letter.len)
        result = add_letter(log, attempt);
    if (!result && attempt->state == DELIVERY_DELIVERED)
        result = by_number(log, UNLETTER, attempt->n);
    return result;
}

/* ---- dropping -------------------------------------------------------------------------------- */

static int number_of(sqlite3_stmt *statement, uint64_t *ret_number)
{
    int result = db_row(statement);
    *ret_number = result == 1 ? db_id(statement, 0) : 0;
    sqlite3_reset(statement);
    return result < 0 ? result : 0;
}

/* The bounds of a pruning. */
struct prune {
    int64_t before_us;
    uint64_t upto; /* deliveries below are too many */
    uint64_t newest;
    uint64_t most;
};

static int prune_range(struct delivery_log *log, uint64_t after, uint64_t through,
                       const struct prune *prune)
{
    static const enum statement orphans[] = {PRUNE_ATTEMPTS, PRUNE_LETTERS};
    db_bind_id(log->of[PRUNE], 1, after);
    db_bind_id(log->of[PRUNE], 2, through);
    sqlite3_bind_int64(log->of[PRUNE], 3, prune->before_us);
    db_bind_id(log->of[PRUNE], 4, prune->upto);
    int result = db_run(log->of[PRUNE]);
    for (size_t i = 0; !result && i < sizeof(orphans) / sizeof(orphans[0]); i++) {
        db_bind_id(log->of[orphans[i]], 1, after);
        db_bind_id(log->of[orphans[i]], 2, through);
        result = db_run(log->of[orphans[i]]);
    }
    return result;
}

/* Looks at the next `most` deliveries behind `*at` and below `end`; at 0 it begins again. */
static int prune_slice(struct delivery_log *log, uint64_t *at, uint64_t end,
                       const struct prune *prune)
{
    uint64_t through, after = *at;
    db_bind_id(log->of[SLICE], 1, after);
    db_bind_id(log->of[SLICE], 2, end);
    db_bind_id(log->of[SLICE], 3, prune->most);
    int result = number_of(log->of[SLICE], &through);
    if (result)
        return result;
    *at = through;
    return through ? prune_range(log, after, through, prune) : 0;
}

/* Two walks, each of which goes on where it was: one goes round all there is, for what has grown
 * old; the other follows the bound of `rows`, and sees each delivery that falls behind it once. So
 * the work of a call is bounded by `most`, however many deliveries stay. */
int delivery_log_prune(struct delivery_log *log, int64_t before_us, uint64_t rows, uint64_t most)
{
    struct prune prune = {.before_us = before_us, .most = most};
    int result = number_of(log->of[NEWEST], &prune.newest);
    if (result)
        return result;
    prune.upto = prune.newest > rows ? prune.newest - rows : 0;
    result = prune_slice(log, &log->aged, prune.newest, &prune);
    uint64_t counted = log->counted;
    if (!result && counted + 1 < prune.upto)
        result = prune_slice(log, &counted, prune.upto, &prune);
    if (!result)
        log->counted = counted ? counted : prune.upto ? prune.upto - 1 : 0;
    return result;
}

int delivery_log_drop(struct delivery_log *log, uint64_t endpoint, uint64_t n)
{
    db_bind_id(log->of[DROP], 1, n);
    db_bind_id(log->of[DROP], 2, endpoint);
    int result = db_run(log->of[DROP]);
    if (result)
        return result;
    if (!sqlite3_changes(log->db))
        return -ENOENT;
    result = by_number(log, UNLETTER, n);
    return result ? result : by_number(log, DROP_ATTEMPTS, n);
}

/* ---- finding --------------------------------------------------------------------------------- */

static int find_events(struct delivery_log *log, uint64_t n, struct buf *ret_events)
{
    sqlite3_stmt *statement = log->of[FIND_LETTER];
    db_bind_id(statement, 1, n);
    int result = db_row(statement);
    if (result == 1) {
        buf_add_str(ret_events, db_bytes(statement, 0));
        sqlite3_reset(statement);
    }
    return result < 0 ? result : buf_failed(ret_events) ? -ENOMEM : 0;
}

int delivery_log_find(struct delivery_log *log, uint64_t endpoint, uint64_t n,
                      struct dead_letter *ret_letter)
{
    sqlite3_stmt *statement = log->of[FIND];
    db_bind_id(statement, 1, n);
    db_bind_id(statement, 2, endpoint);
    int result = db_row(statement);
    if (result != 1)
        return result ? result : -ENOENT;
    *ret_letter =
        (struct dead_letter){.n = n,
                             .first = db_id(statement, 0),
                             .last = db_id(statement, 1),
                             .attempts = (uint32_t)sqlite3_column_int(statement, 2),
                             .state = (enum delivery_state)sqlite3_column_int(statement, 3)};
    sqlite3_reset(statement);
    return find_events(log, n, &ret_letter->events);
}

int delivery_log_list_dead(struct delivery_log *log, uint64_t endpoint, uint64_t after,
                           uint64_t *ret_numbers, size_t most, size_t *ret_count)
{
    sqlite3_stmt *statement;
    *ret_count = 0;
    int result = db_prepare(log->db,
                            "SELECT n FROM delivery WHERE endpoint = ?1 AND state = 2"
                            " AND state <> 0 AND n > ?2 ORDER BY n LIMIT ?3",
                            &statement);
    if (result)
        return result;
    db_bind_id(statement, 1, endpoint);
    db_bind_id(statement, 2, after);
    db_bind_id(statement, 3, most);
    while ((result = db_row(statement)) == 1)
        ret_numbers[(*ret_count)++] = db_id(statement, 0);
    sqlite3_finalize(statement);
    return result;
}

/* ---- telling --------------------------------------------------------------------------------- */

/* The columns from `at` on: time, took, status, error, response. */
static void tell_outcome(sqlite3_stmt *statement, int at, struct buf *out)
{
    struct str error = db_bytes(statement, at + 3), response = db_bytes(statement, at + 4);
    int status = sqlite3_column_int(statement, at + 2);
    buf_add_lit(out, "\"time\":\"");
    rfc3339_add(out, sqlite3_column_int64(statement, at));
    buf_addf(out,
             "\",\"ms\":%.3f,\"status\":", (double)sqlite3_column_int64(statement, at + 1) / 1000);
    if (status)
        buf_addf(out, "%d", status);
    else
        buf_add_lit(out, "null");
    if (error.len) {
        buf_add_lit(out, ",\"error\":");
        buf_add_json(out, error);
    }
    if (!response.len)
        return;
    if (utf8_valid(response)) {
        buf_add_lit(out, ",\"response\":");
        buf_add_json(out, response);
    } else {
        buf_add_lit(out, ",\"response_base64\":\"");
        base64_add(out, response);
        buf_add_char(out, '"');
    }
}

static int tell_attempts(struct delivery_log *log, sqlite3_stmt *delivery, struct buf *out)
{
    sqlite3_stmt *statement = log->of[ATTEMPTS];
    const char *comma = "";
    int result;
    bool any = false;
    buf_add_lit(out, ",\"attempts\":[");
    db_bind_id(statement, 1, db_id(delivery, 0));
    while ((result = db_row(statement)) == 1) {
        /* A first attempt that was accepted has no row of its own until another follows. */
        buf_addf(out, "%s{\"number\":%d,", comma, sqlite3_column_int(statement, 0));
        tell_outcome(statement, 1, out);
        buf_add_char(out, '}');
        comma = ",";
        any = true;
    }
    if (!result && !any) {
        buf_add_lit(out, "{\"number\":1,");
        tell_outcome(delivery, 8, out);
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
    return result;
}

static int tell_delivery(struct delivery_log *log, sqlite3_stmt *row, struct buf *out)
{
    int state = sqlite3_column_int(row, 4);
    buf_addf(out, "{\"n\":%" PRIu64 ",\"state\":\"%s\",\"event\":\"", db_id(row, 0),
             state_names[state < 0 || state >= DELIVERY_STATES ? DELIVERY_DEAD : state]);
    buf_add_id(out, db_id(row, 1));
    if (db_id(row, 3) != 1) {
        buf_add_lit(out, "\",\"last\":\"");
        buf_add_id(out, db_id(row, 2));
        buf_addf(out, "\",\"events\":%" PRIu64, db_id(row, 3));
    } else {
        buf_add_char(out, '"');
    }
    buf_add_lit(out, ",\"channel\":");
    buf_add_json(out, db_bytes(row, 6));
    buf_add_lit(out, ",\"type\":");
    buf_add_json(out, db_bytes(row, 7));
    int result = tell_attempts(log, row, out);
    buf_add_char(out, '}');
    return result;
}

static void add_filters(struct buf *sql, const struct delivery_query *query)
{
    buf_add_lit(sql, "SELECT n, first, last, count, state, attempts, channel, type, time, took,"
                     " status, error, response FROM delivery WHERE endpoint = ?1 AND n < ?2");
    if (query->n)
        buf_add_lit(sql, " AND n = ?3");
    if (query->states && !(query->states & 1U << DELIVERY_DELIVERED))
        buf_add_lit(sql, " AND state <> 0");
    buf_add_lit(sql, " ORDER BY n DESC LIMIT ?4");
    buf_add_char(sql, '\0');
}

static int prepare_query(struct delivery_log *log, const struct delivery_query *query,
                         sqlite3_stmt **ret_statement)
{
    struct buf sql = {0};
    add_filters(&sql, query);
    int result = buf_failed(&sql) ? -ENOMEM : db_prepare(log->db, sql.at, ret_statement);
    buf_free(&sql);
    if (result)
        return result;
    db_bind_id(*ret_statement, 1, query->endpoint);
    db_bind_id(*ret_statement, 2, query->before ? query->before : INT64_MAX);
    db_bind_id(*ret_statement, 3, query->n);
    sqlite3_bind_int64(*ret_statement, 4, LOOKED_AT_MAX + 1);
    return 0;
}

/* Filters are applied here and not by SQLite, so that what is looked at can be counted. */
static bool is_wanted(const struct delivery_query *query, sqlite3_stmt *row)
{
    int state = sqlite3_column_int(row, 4);
    if (query->event && (db_id(row, 1) > query->event || db_id(row, 2) < query->event))
        return false;
    if (query->states && !(query->states & 1U << (state & 7)))
        return false;
    return !query->channel.len || str_eq(db_bytes(row, 6), query->channel);
}

/* Where the next page is: all that was asked for, and where to go on. */
static void add_next(struct buf *out, const struct delivery_query *query, uint64_t before)
{
    buf_addf(out, "],\"more\":true,\"next\":\"?before=%" PRIu64 "&limit=%" PRIu32, before,
             query->limit);
    for (unsigned state = 0; state < DELIVERY_STATES; state++)
        if (query->states & 1U << state)
            buf_addf(out, "&state=%s", state_names[state]);
    if (query->event) {
        buf_add_lit(out, "&event=");
        buf_add_id(out, query->event);
    }
    if (query->channel.len) {
        buf_add_lit(out, "&channel=");
        http_percent_encode(out, query->channel);
    }
    buf_add_str(out, query->kept);
    buf_add_lit(out, "\"}");
}

int delivery_log_tell(struct delivery_log *log, const struct delivery_query *query, struct buf *out)
{
    sqlite3_stmt *statement;
    uint32_t count = 0, looked_at = 0;
    uint64_t last = 0;
    int result = prepare_query(log, query, &statement);
    if (result)
        return result;
    if (!query->n)
        buf_add_lit(out, "{\"deliveries\":[");
    while ((result = db_row(statement)) == 1 && count < query->limit &&
           looked_at++ < LOOKED_AT_MAX && out->len < TOLD_BYTES) {
        last = db_id(statement, 0);
        if (!is_wanted(query, statement))
            continue;
        if (count++)
            buf_add_char(out, ',');
        result = tell_delivery(log, statement, out);
        if (result)
            break;
    }
    if (!query->n && result == 1)
        add_next(out, query, last);
    else if (!query->n)
        buf_add_lit(out, "],\"more\":false}");
    sqlite3_finalize(statement);
    return result < 0 ? result : 0;
}
