#include "webhooks/progress/delivery_log.h"

#include "base/json_writer.h"
#include "base/mem.h"
#include "http/target.h"
#include "log/store/sqlite/db.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* Bounds of a page: the deliveries that it looks at, and its bytes. Responses may be large, and an
 * owner may resend a delivery any number of times, so a page shows only the newest attempts of each
 * delivery. */
enum { LOOKED_AT_MAX = 5000, TOLD_BYTES = 1 << 20 };
#define ATTEMPTS_TOLD "100"

enum statement {
    ADD,
    ADD_FIRST,
    AGAIN,
    ADD_ATTEMPT,
    LETTER,
    UNLETTER,
    SKIP,
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

/* clang-format off */
#define DELIVERY(COLUMN, AND)                                                                      \
    COLUMN(n) AND COLUMN(endpoint) AND COLUMN(first) AND COLUMN(last) AND COLUMN(count)            \
    AND COLUMN(state) AND COLUMN(attempts) AND COLUMN(channel) AND COLUMN(type) AND COLUMN(time)   \
    AND COLUMN(took) AND COLUMN(status) AND COLUMN(error) AND COLUMN(response)
#define ATTEMPT(COLUMN, AND)                                                                       \
    COLUMN(delivery) AND COLUMN(number) AND COLUMN(time) AND COLUMN(took) AND COLUMN(status)       \
    AND COLUMN(error) AND COLUMN(response)
#define FOUND(COLUMN, AND)                                                                         \
    COLUMN(first) AND COLUMN(last) AND COLUMN(attempts) AND COLUMN(state)
/* clang-format on */

#define DELIVERY_PLACE(name) DELIVERY_##name
#define ATTEMPT_PLACE(name) ATTEMPT_##name
#define FOUND_PLACE(name) FOUND_##name
enum delivery_column { DELIVERY(DELIVERY_PLACE, DB_COMMA) };
enum attempt_column { ATTEMPT(ATTEMPT_PLACE, DB_COMMA) };
enum found_column { FOUND(FOUND_PLACE, DB_COMMA) };

static const char *const texts[STATEMENTS] = {
    [ADD] = "INSERT OR REPLACE INTO delivery" DB_VALUES(DELIVERY),
    [ADD_FIRST] = "INSERT OR IGNORE INTO attempt(" DB_NAMES(
        ATTEMPT) ")"
                 " SELECT n, 1, time, took, status, error, response FROM delivery"
                 " WHERE n = ?1 AND attempts = 1",
    /* A retry may carry only a part of the page: the rest becomes a delivery of its own. */
    [AGAIN] = "INSERT INTO delivery(" DB_NAMES(DELIVERY) ") SELECT " DB_MARKS(
        DELIVERY) " WHERE EXISTS (SELECT 1 FROM delivery WHERE n = ?1 AND endpoint = ?2)"
                  " ON CONFLICT(n) DO UPDATE SET first = iif(excluded.count > 0, excluded.first, "
                  "first),"
                  " last = iif(excluded.count > 0, excluded.last, last),"
                  " count = iif(excluded.count > 0, excluded.count, count),"
                  " channel = iif(excluded.count > 0, excluded.channel, channel),"
                  " type = iif(excluded.count > 0, excluded.type, type), state = excluded.state,"
                  " attempts = excluded.attempts, time = excluded.time, took = excluded.took,"
                  " status = excluded.status, error = excluded.error, response = excluded.response",
    [ADD_ATTEMPT] = "INSERT OR REPLACE INTO attempt(" DB_NAMES(
        ATTEMPT) ")"
                 " SELECT " DB_MARKS(ATTEMPT) " WHERE EXISTS (SELECT 1 FROM delivery WHERE n = ?1)",
    [LETTER] = "INSERT OR REPLACE INTO letter(n, events) VALUES(?1, ?2)",
    [UNLETTER] = "DELETE FROM letter WHERE n = ?1",
    [SKIP] = "UPDATE delivery SET state = 3 WHERE n = ?1 AND state = 1",
    [FIND] = DB_SELECT(FOUND) "delivery WHERE n = ?1 AND endpoint = ?2",
    [FIND_LETTER] = "SELECT events FROM letter WHERE n = ?1",
    [ATTEMPTS] =
        DB_SELECT(ATTEMPT) "(SELECT * FROM attempt"
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
    uint64_t aged;    /* pruning by age has come to this delivery */
    uint64_t counted; /* pruning by number has come to this delivery */
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
    db_bind_id(statement, 1 + DELIVERY_n, attempt->n);
    db_bind_id(statement, 1 + DELIVERY_endpoint, attempt->endpoint);
    db_bind_id(statement, 1 + DELIVERY_first, attempt->first);
    db_bind_id(statement, 1 + DELIVERY_last, attempt->last);
    sqlite3_bind_int64(statement, 1 + DELIVERY_count, attempt->count);
    sqlite3_bind_int(statement, 1 + DELIVERY_state, (int)attempt->state);
    sqlite3_bind_int64(statement, 1 + DELIVERY_attempts, attempt->number);
    db_bind_text(statement, 1 + DELIVERY_channel, attempt->channel);
    db_bind_text(statement, 1 + DELIVERY_type, attempt->type);
    sqlite3_bind_int64(statement, 1 + DELIVERY_time, attempt->time_us);
    sqlite3_bind_int64(statement, 1 + DELIVERY_took, attempt->took_us);
    sqlite3_bind_int(statement, 1 + DELIVERY_status, attempt->status);
    sqlite3_bind_text(statement, 1 + DELIVERY_error, attempt->error, -1, SQLITE_STATIC);
    bind_response(statement, 1 + DELIVERY_response, attempt->response);
    return db_run(statement);
}

static int add_attempt(struct delivery_log *log, const struct logged_attempt *attempt)
{
    sqlite3_stmt *statement = log->of[ADD_ATTEMPT];
    db_bind_id(statement, 1 + ATTEMPT_delivery, attempt->n);
    sqlite3_bind_int64(statement, 1 + ATTEMPT_number, attempt->number);
    sqlite3_bind_int64(statement, 1 + ATTEMPT_time, attempt->time_us);
    sqlite3_bind_int64(statement, 1 + ATTEMPT_took, attempt->took_us);
    sqlite3_bind_int(statement, 1 + ATTEMPT_status, attempt->status);
    sqlite3_bind_text(statement, 1 + ATTEMPT_error, attempt->error, -1, SQLITE_STATIC);
    bind_response(statement, 1 + ATTEMPT_response, attempt->response);
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
    int result = attempt->number == 1 ? 0 : by_number(log, ADD_FIRST, attempt->n);
    result = result ? result : add_delivery(log, attempt);
    bool settled = attempt->state == DELIVERY_DELIVERED || attempt->state == DELIVERY_SKIPPED;
    if (result || (attempt->number == 1 && settled))
        return result; /* the most frequent case: a single row has all of it */
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

int delivery_log_skip(struct delivery_log *log, uint64_t n)
{
    return by_number(log, SKIP, n);
}

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

/* Looks at the next `most` deliveries after `*at` and below `end`; 0 begins again. */
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

/* Two walks, each of which continues where it ended: one goes round all deliveries and drops old
 * ones; the other follows the bound of `rows`, and sees each delivery beyond it once. So a call's
 * work is bounded by `most`, however many deliveries stay. */
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
    *ret_letter = (struct dead_letter){
        .n = n,
        .first = db_id(statement, FOUND_first),
        .last = db_id(statement, FOUND_last),
        .attempts = (uint32_t)sqlite3_column_int(statement, FOUND_attempts),
        .state = (enum delivery_state)sqlite3_column_int(statement, FOUND_state)};
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

/* ---- as JSON --------------------------------------------------------------------------------- */

/* Indexes of the columns that deliveries and attempts have in common. */
struct outcome_columns {
    int time, took, status, error, response;
};

static const struct outcome_columns delivery_outcome = {
    DELIVERY_time, DELIVERY_took, DELIVERY_status, DELIVERY_error, DELIVERY_response};
static const struct outcome_columns attempt_outcome = {ATTEMPT_time, ATTEMPT_took, ATTEMPT_status,
                                                       ATTEMPT_error, ATTEMPT_response};

static void write_attempt(struct json_writer *writer, uint64_t number, sqlite3_stmt *row,
                          const struct outcome_columns *at)
{
    struct str error = db_bytes(row, at->error);
    json_object_begin(writer);
    json_member_number(writer, "number", number);
    json_member_time(writer, "time", sqlite3_column_int64(row, at->time));
    json_member_decimal(writer, "ms", (double)sqlite3_column_int64(row, at->took) / 1000, 3);
    json_member_number_or_null(writer, "status", db_id(row, at->status));
    if (error.len)
        json_member_string(writer, "error", error);
    json_member_bytes(writer, "response", db_bytes(row, at->response));
    json_object_end(writer);
}

static int write_attempts(struct json_writer *writer, struct delivery_log *log,
                          sqlite3_stmt *delivery)
{
    sqlite3_stmt *row = log->of[ATTEMPTS];
    int result;
    bool any = false;
    json_name(writer, "attempts");
    json_array_begin(writer);
    db_bind_id(row, 1, db_id(delivery, DELIVERY_n));
    while ((result = db_row(row)) == 1) {
        write_attempt(writer, db_id(row, ATTEMPT_number), row, &attempt_outcome);
        any = true;
    }
    /* An accepted first attempt has no row of its own until another attempt follows. */
    if (!result && !any)
        write_attempt(writer, 1, delivery, &delivery_outcome);
    json_array_end(writer);
    return result;
}

static int write_delivery(struct json_writer *writer, struct delivery_log *log, sqlite3_stmt *row)
{
    int state = sqlite3_column_int(row, DELIVERY_state);
    const char *name = state_names[state < 0 || state >= DELIVERY_STATES ? DELIVERY_DEAD : state];
    json_object_begin(writer);
    json_member_number(writer, "n", db_id(row, DELIVERY_n));
    json_member_string(writer, "state", str_from(name));
    json_member_id(writer, "event", db_id(row, DELIVERY_first));
    if (db_id(row, DELIVERY_count) != 1) {
        json_member_id(writer, "last", db_id(row, DELIVERY_last));
        json_member_number(writer, "events", db_id(row, DELIVERY_count));
    }
    json_member_string(writer, "channel", db_bytes(row, DELIVERY_channel));
    json_member_string(writer, "type", db_bytes(row, DELIVERY_type));
    int result = write_attempts(writer, log, row);
    json_object_end(writer);
    return result;
}

static void add_filters(struct buf *sql, const struct delivery_query *query)
{
    buf_add_lit(sql, DB_SELECT(DELIVERY) "delivery WHERE endpoint = ?1 AND n < ?2");
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

/* Filters are applied here and not in SQL, so that all rows that are looked at count. */
static bool is_wanted(const struct delivery_query *query, sqlite3_stmt *row)
{
    int state = sqlite3_column_int(row, DELIVERY_state);
    if (query->event &&
        (db_id(row, DELIVERY_first) > query->event || db_id(row, DELIVERY_last) < query->event))
        return false;
    if (query->states && !(query->states & 1U << (state & 7)))
        return false;
    if (query->may_tell && !query->may_tell(query, db_bytes(row, DELIVERY_channel)))
        return false;
    return !query->channel.len || str_eq(db_bytes(row, DELIVERY_channel), query->channel);
}

/* The link to the next page: the query's parameters, and where to continue. */
static void write_next(struct json_writer *writer, const struct delivery_query *query,
                       uint64_t before)
{
    struct buf next = {0};
    buf_addf(&next, "?before=%" PRIu64 "&limit=%" PRIu32, before, query->limit);
    for (unsigned state = 0; state < DELIVERY_STATES; state++)
        if (query->states & 1U << state)
            buf_addf(&next, "&state=%s", state_names[state]);
    if (query->event) {
        buf_add_lit(&next, "&event=");
        buf_add_id(&next, query->event);
    }
    if (query->channel.len) {
        buf_add_lit(&next, "&channel=");
        http_percent_encode(&next, query->channel);
    }
    buf_add_str(&next, query->kept);
    json_member_string(writer, "next", buf_str(&next));
    writer->out->failed |= buf_failed(&next);
    buf_free(&next);
}

/* Writes the deliveries of the rows, up to the bounds of a page. Returns 1 if more may follow after
 * the delivery `*ret_last`, 0 at the end, or a negative errno. */
static int write_deliveries(struct json_writer *writer, struct delivery_log *log,
                            const struct delivery_query *query, sqlite3_stmt *rows,
                            uint64_t *ret_last)
{
    uint32_t count = 0, looked_at = 0;
    int result;
    while ((result = db_row(rows)) == 1 && count < query->limit && looked_at++ < LOOKED_AT_MAX &&
           writer->out->len < TOLD_BYTES) {
        *ret_last = db_id(rows, DELIVERY_n);
        if (!is_wanted(query, rows))
            continue;
        count++;
        int failed = write_delivery(writer, log, rows);
        if (failed)
            return failed;
    }
    return result;
}

int delivery_log_write(struct delivery_log *log, const struct delivery_query *query,
                       struct buf *out)
{
    struct json_writer writer = json_writer(out);
    sqlite3_stmt *rows;
    uint64_t last = 0;
    int result = prepare_query(log, query, &rows);
    if (result)
        return result;
    if (query->n) {
        result = write_deliveries(&writer, log, query, rows, &last);
    } else {
        json_object_begin(&writer);
        json_name(&writer, "deliveries");
        json_array_begin(&writer);
        result = write_deliveries(&writer, log, query, rows, &last);
        json_array_end(&writer);
        json_member_bool(&writer, "more", result == 1);
        if (result == 1)
            write_next(&writer, query, last);
        json_object_end(&writer);
    }
    sqlite3_finalize(rows);
    return result < 0 ? result : 0;
}
