#include "log/store/sqlite/testing.h"

#include "log/store/sqlite/db.h"
#include "log/store/sqlite/faults.h"
#include "log/store/sqlite/wal.h"

struct rig {
    char dir[64];
    char path[128];
    sqlite3 *db;
};

static int setup(void **state)
{
    struct rig *rig = mem_alloc(sizeof(*rig));
    snprintf(rig->dir, sizeof(rig->dir), "/tmp/freshet-wal-XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    snprintf(rig->path, sizeof(rig->path), "%s/x.db", rig->dir);
    assert_int_equal(db_create_file(rig->path), 0);
    assert_int_equal(db_open(rig->path, DB_WRITE, &rig->db), 0);
    assert_int_equal(db_exec(rig->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                      "CREATE TABLE t(a INTEGER PRIMARY KEY, b)"),
                     0);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    sqlite3_close(rig->db);
    folder_testing_remove(rig->dir);
    free(rig);
    return 0;
}

static int insert(struct rig *rig, int a)
{
    char sql[80];
    snprintf(sql, sizeof(sql), "INSERT INTO t VALUES(%d, zeroblob(60))", a);
    return db_exec(rig->db, sql);
}

/* The number of disk operations of an insert. */
static unsigned long operations_of_insert(struct rig *rig, int a)
{
    faults_set(0, 0, 0);
    assert_int_equal(insert(rig, a), 0);
    return faults.count;
}

/* An insert that is written completely but fails to sync. */
static void insert_unsynced(struct rig *rig, int a, unsigned long operations)
{
    faults_set(operations, 1, SQLITE_IOERR_FSYNC);
    assert_int_not_equal(insert(rig, a), 0);
    assert_int_equal(faults.count, operations);
    faults_set(0, 0, 0);
}

/* The rows that an opening after a crash finds. */
static int64_t rows_after_crash(const struct rig *rig, const char *where)
{
    char command[800], path[160], sql[80];
    int64_t rows = -1;
    sqlite3 *db;
    snprintf(path, sizeof(path), "%s/crashed.db", rig->dir);
    snprintf(command, sizeof(command), "cp %s %s && cp %s-wal %s-wal && rm -f %s-shm", rig->path,
             path, rig->path, path, path);
    assert_int_equal(system(command), 0);
    assert_int_equal(db_open(path, DB_WRITE, &db), 0);
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM t WHERE %s", where);
    assert_int_equal(db_number(db, sql, &rows), 0);
    sqlite3_close(db);
    return rows;
}

static void a_commit_that_failed_does_not_come_back_once_it_is_cut(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(insert(rig, 1), 0);
    unsigned long operations = operations_of_insert(rig, 2);
    insert_unsynced(rig, 3, operations);
    assert_int_equal(rows_after_crash(rig, "true"), 3); /* the fault that this module prevents */
    assert_int_equal(wal_cut(rig->db), 0);
    assert_int_equal(rows_after_crash(rig, "true"), 2);
    assert_int_equal(insert(rig, 4), 0);
    assert_int_equal(rows_after_crash(rig, "true"), 3);
}

static void the_first_commit_of_a_log_that_was_begun_anew_can_be_cut_too(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(insert(rig, 1), 0);
    for (unsigned long nth = 1; nth < 20; nth++) {
        assert_int_equal(
            sqlite3_wal_checkpoint_v2(rig->db, "main", SQLITE_CHECKPOINT_FULL, NULL, NULL), 0);
        faults_set(nth, 1, SQLITE_IOERR_FSYNC);
        int result = insert(rig, 2);
        faults_set(0, 0, 0);
        assert_int_equal(wal_cut(rig->db), 0);
        assert_int_equal(rows_after_crash(rig, "true"), result ? 1 : 2);
        assert_int_equal(db_exec(rig->db, "DELETE FROM t WHERE a = 2"), 0);
    }
}

/* A database whose write-ahead log has no frame yet, as when a log file begins. */
static void begin_fresh(struct rig *rig)
{
    sqlite3_close(rig->db);
    folder_testing_remove(rig->dir);
    assert_int_equal(mkdir(rig->dir, 0700), 0);
    assert_int_equal(db_create_file(rig->path), 0);
    assert_int_equal(db_open(rig->path, DB_WRITE, &rig->db), 0);
    assert_int_equal(db_exec(rig->db, "CREATE TABLE t(a INTEGER PRIMARY KEY, b);"
                                      "INSERT INTO t VALUES(0, zeroblob(60));"
                                      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL"),
                     0);
}

/* The index knows nothing of a log that has no frame: neither its salts nor the size of a page. */
static void the_first_commit_of_a_fresh_log_can_be_cut_too(void **state)
{
    struct rig *rig = *state;
    unsigned came_back = 0;
    for (unsigned long nth = 1, hit = 1; hit; nth++) {
        begin_fresh(rig);
        faults_set(nth, 1, SQLITE_IOERR_FSYNC);
        int result = insert(rig, 1);
        hit = faults.count >= nth;
        faults_set(0, 0, 0);
        came_back += result && rows_after_crash(rig, "true") == 2;
        assert_int_equal(wal_cut(rig->db), 0);
        assert_int_equal(rows_after_crash(rig, "true"), result ? 1 : 2);
        assert_int_equal(insert(rig, 2), 0);
        assert_int_equal(rows_after_crash(rig, "true"), result ? 2 : 3);
    }
    assert_int_equal(came_back, 1); /* without the cut, in the case that the last sync failed */
}

/* A connection that has never started the log over gives a round salts of its own, which the index
 * has only after a commit. */
static void the_first_commit_after_another_connection_began_anew_can_be_cut_too(void **state)
{
    struct rig *rig = *state;
    sqlite3 *other;
    unsigned came_back = 0;
    for (unsigned long nth = 1; nth < 10; nth++) {
        assert_int_equal(insert(rig, 1), 0);
        assert_int_equal(db_open(rig->path, DB_WRITE, &other), 0);
        assert_int_equal(db_exec(other, "SELECT * FROM t"), 0); /* or it checkpoints nothing */
        assert_int_equal(
            sqlite3_wal_checkpoint_v2(other, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL), 0);
        faults_set(nth, 1, SQLITE_IOERR_FSYNC);
        int result = insert(rig, 2);
        faults_set(0, 0, 0);
        came_back += result && rows_after_crash(rig, "true") == 2;
        assert_int_equal(wal_cut(rig->db), 0);
        assert_int_equal(rows_after_crash(rig, "true"), result ? 1 : 2);
        sqlite3_close(other);
        assert_int_equal(db_exec(rig->db, "DELETE FROM t"), 0);
    }
    assert_int_equal(came_back, 1);
}

/* Fails a cut at each of its operations, and cuts again. */
static void fail_cut(struct rig *rig, unsigned long nth, int64_t rows)
{
    faults_set(nth, 1, SQLITE_IOERR_WRITE);
    assert_int_equal(wal_cut(rig->db), -EIO);
    faults_set(0, 0, 0);
    assert_int_equal(wal_cut(rig->db), 0);
    unsigned long operations = faults.count;
    assert_int_equal(rows_after_crash(rig, "true"), rows);
    /* After a failed sync only what is written again can be relied on. */
    faults_set(0, 0, 0);
    assert_int_equal(wal_cut(rig->db), 0);
    assert_int_equal(faults.count, operations);
}

static void a_cut_that_fails_says_so_and_may_be_tried_again(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(insert(rig, 1), 0);
    unsigned long operations = operations_of_insert(rig, 2);
    for (unsigned long nth = 1; nth <= 2; nth++) {
        insert_unsynced(rig, 3, operations);
        fail_cut(rig, nth, 2);
    }
}

static void a_cut_of_a_first_commit_that_fails_may_be_tried_again(void **state)
{
    struct rig *rig = *state;
    begin_fresh(rig);
    unsigned long operations = operations_of_insert(rig, 1);
    for (unsigned long nth = 1; nth <= 4; nth++) {
        begin_fresh(rig);
        insert_unsynced(rig, 1, operations);
        fail_cut(rig, nth, 1);
    }
}

/* Two pages, the first of which stays the same while only failures come between. */
static int insert_with_update(struct rig *rig, int a)
{
    char sql[120];
    snprintf(sql, sizeof(sql),
             "BEGIN; UPDATE first SET b = 7; INSERT INTO t VALUES(%d, zeroblob(60)); COMMIT", a);
    int result = db_exec(rig->db, sql);
    if (!sqlite3_get_autocommit(rig->db))
        (void)db_exec(rig->db, "ROLLBACK");
    return result;
}

/* After a cut of the first frame alone, the frames behind it would be a whole commit again, once
 * another transaction has written the same first frame. */
static void cut_frames_do_not_come_back_behind_the_same_first_frame(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(db_exec(rig->db,
                             "ALTER TABLE t RENAME TO first; INSERT INTO first VALUES(0, 0);"
                             "CREATE TABLE t(a INTEGER PRIMARY KEY, b)"),
                     0);
    faults_set(0, 0, 0);
    assert_int_equal(insert_with_update(rig, 1), 0);
    unsigned long operations = faults.count;
    assert_int_equal(db_exec(rig->db, "UPDATE first SET b = 0"), 0);
    for (unsigned long nth = 1; nth <= operations; nth++) {
        faults_set(operations, 1, SQLITE_IOERR_FSYNC);
        assert_int_not_equal(insert_with_update(rig, 2), 0);
        faults_set(0, 0, 0);
        assert_int_equal(wal_cut(rig->db), 0);
        faults_set(nth, 1, SQLITE_IOERR_WRITE);
        assert_int_not_equal(insert_with_update(rig, 3), 0);
        faults_set(0, 0, 0);
        assert_int_equal(rows_after_crash(rig, "a = 2"), 0);
        assert_int_equal(wal_cut(rig->db), 0);
        assert_int_equal(rows_after_crash(rig, "a > 1"), 0);
    }
}

/* Two transactions that change the same page write equal first bytes of a frame's header. Then the
 * process is killed, or the second's cut fails as well. */
static void cut_frames_do_not_come_back_under_less_than_a_new_frame(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(insert(rig, 1), 0);
    unsigned long operations = operations_of_insert(rig, 2);
    assert_int_equal(operations, 3); /* header, page and sync */
    for (int torn = 0; torn < 30; torn += 2) {
        insert_unsynced(rig, 3, operations);
        assert_int_equal(wal_cut(rig->db), 0);
        faults_tear(torn < 24 ? 1 : 2, torn % 24);
        assert_int_not_equal(insert(rig, 4), 0);
        faults_set(0, 0, 0);
        assert_int_equal(rows_after_crash(rig, "a > 2"), 0);
        faults_tear(1, 2);
        assert_int_equal(wal_cut(rig->db), -EIO);
        faults_set(0, 0, 0);
        assert_int_equal(rows_after_crash(rig, "a > 2"), 0);
        assert_int_equal(wal_cut(rig->db), 0);
        assert_int_equal(rows_after_crash(rig, "a > 2"), 0);
    }
}

static void read_log(const struct rig *rig, long at, unsigned char *bytes, size_t len)
{
    char path[160];
    snprintf(path, sizeof(path), "%s-wal", rig->path);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fread(bytes, 1, len, file), len);
    fclose(file);
}

static void write_log(const struct rig *rig, long at, const unsigned char *bytes, size_t len)
{
    char path[160];
    snprintf(path, sizeof(path), "%s-wal", rig->path);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    fclose(file);
}

/* A power cut keeps some sectors of a later write: either the one with the beginning of the frame's
 * header, or the one with the page, may be the old one. */
static void a_cut_frame_is_void_in_its_header_and_in_its_page(void **state)
{
    enum { FRAME = 24 + 4096, HEADER = 24, START = 4 };
    unsigned char first[HEADER], page[START];
    struct rig *rig = *state;
    assert_int_equal(insert(rig, 1), 0);
    long at = 32 + 3 * FRAME; /* after the two frames that made the table, and that of the row */
    unsigned long operations = operations_of_insert(rig, 2);
    at += FRAME;
    insert_unsynced(rig, 3, operations);
    read_log(rig, at, first, sizeof(first));
    read_log(rig, at + HEADER, page, sizeof(page));
    for (int part = 0; part < 2; part++) {
        assert_int_equal(rows_after_crash(rig, "a = 3"), 1);
        assert_int_equal(wal_cut(rig->db), 0);
        write_log(rig, part ? at : at + HEADER, part ? first : page, part ? HEADER : START);
        assert_int_equal(rows_after_crash(rig, "a = 3"), 0);
        write_log(rig, at, first, HEADER);
        write_log(rig, at + HEADER, page, START);
    }
}

/* Transactions with equal first frames, each first in its round of the log, with equal salts since
 * none succeeds. */
static void cut_frames_do_not_come_back_behind_the_same_first_frame_of_a_round(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(db_exec(rig->db,
                             "ALTER TABLE t RENAME TO first; INSERT INTO first VALUES(0, 0);"
                             "CREATE TABLE t(a INTEGER PRIMARY KEY, b)"),
                     0);
    unsigned long operations = 20;
    for (unsigned long nth = 1; nth <= operations; nth++) {
        assert_int_equal(db_exec(rig->db, "UPDATE first SET b = 0; DELETE FROM t"), 0);
        assert_int_equal(
            sqlite3_wal_checkpoint_v2(rig->db, "main", SQLITE_CHECKPOINT_FULL, NULL, NULL), 0);
        faults_set(0, 0, 0);
        assert_int_equal(insert_with_update(rig, 1), 0);
        operations = faults.count;
        assert_int_equal(db_exec(rig->db, "UPDATE first SET b = 0; DELETE FROM t"), 0);
        assert_int_equal(
            sqlite3_wal_checkpoint_v2(rig->db, "main", SQLITE_CHECKPOINT_FULL, NULL, NULL), 0);
        faults_set(operations, 1, SQLITE_IOERR_FSYNC);
        assert_int_not_equal(insert_with_update(rig, 2), 0);
        faults_set(0, 0, 0);
        assert_int_equal(wal_cut(rig->db), 0);
        faults_set(nth, 1, SQLITE_IOERR_WRITE);
        assert_int_not_equal(insert_with_update(rig, 3), 0);
        faults_set(0, 0, 0);
        assert_int_equal(rows_after_crash(rig, "a = 2"), 0);
        assert_int_equal(wal_cut(rig->db), 0);
        assert_int_equal(rows_after_crash(rig, "a > 1"), 0);
    }
}

/* Frames that an opening does not accept are made void: an interrupted cut is completed, and the
 * part that was not synced is written again. */
static void settling_cuts_what_was_not_found(void **state)
{
    struct rig *rig = *state;
    for (int fresh = 0; fresh < 2; fresh++) {
        begin_fresh(rig);
        if (!fresh)
            assert_int_equal(insert(rig, 1), 0);
        unsigned long operations = operations_of_insert(rig, 2);
        if (fresh)
            begin_fresh(rig);
        insert_unsynced(rig, 3, operations);
        faults_set(2, 1, SQLITE_IOERR_WRITE); /* the first write succeeds */
        assert_int_equal(wal_cut(rig->db), -EIO);
        sqlite3_close(rig->db);
        assert_int_equal(db_open(rig->path, DB_WRITE, &rig->db), 0);
        assert_int_equal(rows_after_crash(rig, "a = 3"), 0);
        faults_set(0, 0, 0);
        assert_int_equal(wal_settle(rig->db), 0);
        assert_int_equal(faults.count, fresh ? 4 : 3);
        assert_int_equal(rows_after_crash(rig, "a = 3"), 0);
    }
}

/* The frame lost in a power cut may equal the first frame of the next transaction. */
static void settling_cuts_what_lies_behind_a_frame_that_was_lost(void **state)
{
    enum { FRAME = 24 + 4096, HEADER = 24 };
    const unsigned char zeros[HEADER] = {0};
    unsigned char log[32], lost[HEADER];
    struct rig *rig = *state;
    for (int frames = 0; frames < 2; frames++) {
        begin_fresh(rig);
        assert_int_equal(db_exec(rig->db, "CREATE TABLE first(b); INSERT INTO first VALUES(0)"), 0);
        faults_set(0, 0, 0);
        assert_int_equal(insert_with_update(rig, 1), 0);
        unsigned long operations = faults.count;
        assert_int_equal(db_exec(rig->db, "UPDATE first SET b = 0"), 0);
        int code = sqlite3_wal_checkpoint_v2(rig->db, "main", SQLITE_CHECKPOINT_FULL, NULL, NULL);
        assert_int_equal(code, SQLITE_OK);
        if (frames)
            assert_int_equal(db_exec(rig->db, "UPDATE first SET b = 1"), 0);
        faults_set(operations + (frames ? 0 : 2), 1, SQLITE_IOERR_FSYNC);
        assert_int_not_equal(insert_with_update(rig, 2), 0);
        faults_set(0, 0, 0);
        assert_int_equal(rows_after_crash(rig, "a = 2"), 1);
        long at = 32 + frames * FRAME;
        read_log(rig, at, lost, HEADER);
        write_log(rig, at, zeros, HEADER);
        sqlite3_close(rig->db);
        assert_int_equal(db_open(rig->path, DB_WRITE, &rig->db), 0);
        assert_int_equal(rows_after_crash(rig, "a = 2"), 0);
        read_log(rig, 0, log, sizeof(log));
        assert_int_equal(wal_settle(rig->db), 0);
        write_log(rig, 0, log, sizeof(log));
        write_log(rig, at, lost, HEADER);
        assert_int_equal(rows_after_crash(rig, "a = 2"), 0);
    }
}

static void an_empty_log_needs_no_cut(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(
        sqlite3_wal_checkpoint_v2(rig->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL), 0);
    faults_set(0, 0, 0);
    assert_int_equal(wal_cut(rig->db), 0);
    assert_int_equal(wal_settle(rig->db), 0);
    assert_int_equal(faults.count, 0);
}

static void settling_writes_the_newest_commit_again_and_no_other(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(wal_settle(rig->db), 0); /* the first one */
    assert_int_equal(db_exec(rig->db, "BEGIN; INSERT INTO t VALUES(100, zeroblob(200000)); COMMIT"),
                     0);
    faults_set(0, 0, 0);
    assert_int_equal(wal_settle(rig->db), 0);
    assert_in_range(faults.count, 4, 6); /* 64 KiB each, and the sync */
    assert_int_equal(insert(rig, 1), 0);
    faults_set(0, 0, 0);
    assert_int_equal(wal_settle(rig->db), 0);
    assert_int_equal(faults.count, 2);
    assert_int_equal(rows_after_crash(rig, "true"), 2);
    faults_set(2, 1, SQLITE_IOERR_FSYNC);
    assert_int_equal(wal_settle(rig->db), -EIO);
    faults_set(0, 0, 0);
}

static void within_a_transaction_nothing_is_decided(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(db_exec(rig->db, "BEGIN"), 0);
    assert_int_not_equal(wal_cut(rig->db), 0);
    assert_int_equal(db_exec(rig->db, "COMMIT"), 0);
}

static int deny_rollback(void *context, int action, const char *what, const char *b, const char *c,
                         const char *d)
{
    (void)context, (void)b, (void)c, (void)d;
    return action == SQLITE_TRANSACTION && strcmp(what, "ROLLBACK") == 0 ? SQLITE_DENY : SQLITE_OK;
}

/* Nor can it without memory, since the statement must be prepared. */
static void a_cut_that_cannot_end_its_transaction_locks_nobody_out(void **state)
{
    struct rig *rig = *state;
    sqlite3_stmt *rollback;
    assert_int_equal(db_prepare(rig->db, "ROLLBACK", &rollback), 0);
    assert_int_equal(db_roll_back(rig->db, rollback), 0); /* nothing is open */
    sqlite3_set_authorizer(rig->db, deny_rollback, NULL);
    assert_int_not_equal(wal_cut(rig->db), 0);
    sqlite3_set_authorizer(rig->db, NULL, NULL);
    assert_false(sqlite3_get_autocommit(rig->db));
    assert_int_equal(db_roll_back(rig->db, rollback), 0);
    assert_true(sqlite3_get_autocommit(rig->db));
    assert_int_equal(wal_cut(rig->db), 0);
    sqlite3_finalize(rollback);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_commit_that_failed_does_not_come_back_once_it_is_cut),
        TEST(the_first_commit_of_a_log_that_was_begun_anew_can_be_cut_too),
        TEST(the_first_commit_of_a_fresh_log_can_be_cut_too),
        TEST(the_first_commit_after_another_connection_began_anew_can_be_cut_too),
        TEST(a_cut_that_fails_says_so_and_may_be_tried_again),
        TEST(a_cut_of_a_first_commit_that_fails_may_be_tried_again),
        TEST(cut_frames_do_not_come_back_behind_the_same_first_frame),
        TEST(cut_frames_do_not_come_back_under_less_than_a_new_frame),
        TEST(a_cut_frame_is_void_in_its_header_and_in_its_page),
        TEST(cut_frames_do_not_come_back_behind_the_same_first_frame_of_a_round),
        TEST(settling_cuts_what_was_not_found),
        TEST(settling_cuts_what_lies_behind_a_frame_that_was_lost),
        TEST(an_empty_log_needs_no_cut),
        TEST(settling_writes_the_newest_commit_again_and_no_other),
        TEST(within_a_transaction_nothing_is_decided),
        TEST(a_cut_that_cannot_end_its_transaction_locks_nobody_out),
    };
    faults_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
