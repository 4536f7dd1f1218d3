/* The result of an opening that failed is an errno of one of three kinds:
 *
 *     clear      EMFILE, ENOSPC, EROFS, ENOTSUP (a newer format) and others name the cause.
 *     half       EACCES may be about the file, or about the folder in which it was to be made.
 *     silent     EIO stands for every error of SQLite that has no errno: a damaged file, a file of
 *                another user, a file that another program has locked.
 *
 * For the last two kinds this module looks at the file again, with the questions that the opening
 * asks itself: is it a file, may this user use it, do its first bytes belong to a database that is
 * all there, is its format known, and does SQLite find its content in order? `freshet repair` asks
 * the same questions of every file, so that the two never disagree.
 *
 * Without memory or descriptors for such a look the errno alone is told. */
#include "log/store/sqlite/trouble.h"

#include "log/store/sqlite/exchange.h"
#include "log/store/sqlite/folder.h"
#include "log/store/sqlite/rowcheck.h"
#include "log/store/sqlite/segment.h"
#include "log/store/sqlite/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER = 100 };

/* ---- noting ---------------------------------------------------------------------------------- */

int trouble_note(struct trouble *trouble, const char *path, int error)
{
    if (!trouble || !error || trouble->path[0])
        return error;
    trouble->error = error;
    snprintf(trouble->path, sizeof(trouble->path), "%s", path);
    return error;
}

int trouble_note_in_use(struct trouble *trouble, const char *dir, int64_t pid)
{
    if (trouble) {
        trouble_note(trouble, dir, -EBUSY);
        trouble->kind = TROUBLE_IN_USE;
        trouble->pid = pid;
    }
    return -EBUSY;
}

static int keep_name(void *context, const char *name)
{
    struct buf *found = context;
    buf_add_str(found, str_from(name));
    buf_add_char(found, '\0');
    return buf_failed(found) ? -ENOMEM : -EUCLEAN;
}

int trouble_note_unfinished(struct trouble *trouble, const char *dir)
{
    struct buf name = {0};
    int result = exchange_each(dir, keep_name, &name);
    char *path = folder_join(dir, name.len ? name.at : "log");
    trouble_note(trouble, path, result);
    if (trouble && result == -EUCLEAN)
        trouble->kind = TROUBLE_UNFINISHED;
    free(path);
    buf_free(&name);
    return result;
}

static enum trouble_kind kind_of_errno(int error)
{
    switch (-error) {
    case ENOENT:
        return TROUBLE_MISSING;
    case ENOTDIR:
        return TROUBLE_NO_FOLDER;
    case EISDIR:
        return TROUBLE_NO_PLAIN_FILE;
    case EACCES:
    case EPERM:
        return TROUBLE_NO_ACCESS;
    case EROFS:
        return TROUBLE_READ_ONLY;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return TROUBLE_NO_SPACE;
    case EMFILE:
    case ENFILE:
        return TROUBLE_NO_DESCRIPTORS;
    case ENOMEM:
        return TROUBLE_NO_MEMORY;
    case EBUSY:
        return TROUBLE_LOCKED;
    case ENOTSUP:
        return TROUBLE_NEWER;
    default:
        return TROUBLE_UNKNOWN;
    }
}

static enum trouble_kind blame(struct trouble *trouble, const char *path, enum trouble_kind kind)
{
    trouble->kind = kind;
    if (path != trouble->path)
        snprintf(trouble->path, sizeof(trouble->path), "%s", path);
    return kind;
}

static enum trouble_kind damaged(struct trouble *trouble, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum trouble_kind damaged(struct trouble *trouble, const char *path, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(trouble->detail, sizeof(trouble->detail), format, args);
    va_end(args);
    for (char *at = trouble->detail; *at; at++)
        if (*at == '\n')
            *at = ' '; /* SQLite's message may have several lines; keep the first */
    return blame(trouble, path, TROUBLE_DAMAGED);
}

/* ---- a single file-----------------------------------------------------------------------------
 */

/* Other errnos come from reading, and a file that cannot be read counts as damaged. */
static enum trouble_kind failed(struct trouble *trouble, const char *path, int error)
{
    enum trouble_kind kind = kind_of_errno(error);
    trouble->error = error;
    if (kind == TROUBLE_UNKNOWN)
        return damaged(trouble, path, "%s", strerror(-error));
    return blame(trouble, path, kind);
}

/* Whether this user may change the file, and create others beside it. */
static enum trouble_kind look_at_access(struct trouble *trouble, const char *path)
{
    char folder[TROUBLE_PATH];
    if (access(path, R_OK | W_OK))
        return failed(trouble, path, -errno);
    folder_of(path, folder, sizeof(folder));
    if (access(folder, R_OK | W_OK | X_OK))
        return failed(trouble, folder, -errno);
    return TROUBLE_NONE;
}

static bool has_side(const char *path, const char *side)
{
    char name[TROUBLE_PATH + 16];
    snprintf(name, sizeof(name), "%s%s", path, side);
    return access(name, F_OK) == 0;
}

static bool has_journal(const char *path)
{
    return has_side(path, "-wal") || has_side(path, "-journal");
}

static uint64_t big_endian(const unsigned char *at)
{
    return (uint64_t)at[0] << 24 | (uint64_t)at[1] << 16 | (uint64_t)at[2] << 8 | at[3];
}

/* Checks the first bytes of a database. Some pages may be in the write-ahead log alone; without a
 * write-ahead log all of them must be in the file. */
static enum trouble_kind judge_header(struct trouble *trouble, const char *path,
                                      const unsigned char *header, ssize_t got, uint64_t size)
{
    if (!size)
        return damaged(trouble, path, "it is empty");
    if (got < HEADER)
        return damaged(trouble, path, "it is cut off after %" PRIu64 " bytes", size);
    if (memcmp(header, "SQLite format 3", 16) != 0)
        return damaged(trouble, path, "it does not begin as a database does");
    uint64_t page = (uint64_t)header[16] << 8 | header[17];
    uint64_t want = big_endian(header + 28) * (page == 1 ? 65536 : page);
    if (size < want && !has_journal(path))
        return damaged(trouble, path, "it is cut off after %" PRIu64 " of %" PRIu64 " bytes", size,
                       want);
    return TROUBLE_NONE;
}

static enum trouble_kind look_at_header(struct trouble *trouble, const char *path)
{
    unsigned char header[HEADER];
    struct stat info;
    if (stat(path, &info))
        return failed(trouble, path, -errno);
    if (!S_ISREG(info.st_mode))
        return blame(trouble, path, TROUBLE_NO_PLAIN_FILE);
    int fd = db_open_file(path, O_RDONLY);
    if (fd < 0)
        return failed(trouble, path, fd);
    ssize_t got = pread(fd, header, sizeof(header), 0);
    int error = errno;
    close(fd);
    return got < 0 ? failed(trouble, path, -error)
                   : judge_header(trouble, path, header, got, (uint64_t)info.st_size);
}

/* SQLite opens all of these. */
static enum trouble_kind look_at_sides(struct trouble *trouble, const char *path)
{
    char name[TROUBLE_PATH + 16];
    for (size_t i = 0; i < DB_SIDES; i++) {
        snprintf(name, sizeof(name), "%s%s", path, db_sides[i]);
        if (!db_is_plain(name))
            return damaged(trouble, path, "what has the name of its %s is not a file",
                           db_sides[i] + 1);
    }
    return TROUBLE_NONE;
}

/* ---- the content ---------------------------------------------------------------------------- */

enum role { ROLE_OTHER, ROLE_EVENTS, ROLE_STATE };

static enum role role_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (strcmp(name, "state.db") == 0)
        return ROLE_STATE;
    return folder_id_of(name) ? ROLE_EVENTS : ROLE_OTHER;
}

/* Finds the cause of an error of SQLite. If SQLite could not even open the file, the rights of this
 * user are checked first. */
static enum trouble_kind complain(struct trouble *trouble, const char *path, sqlite3 *db)
{
    int code = sqlite3_extended_errcode(db) & 0xff;
    int error = db_error(db);
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
        return blame(trouble, path, TROUBLE_LOCKED);
    if (error != -EIO)
        return failed(trouble, path, error);
    if (code == SQLITE_CANTOPEN || code == SQLITE_READONLY || code == SQLITE_PERM) {
        enum trouble_kind kind = look_at_access(trouble, path);
        if (kind != TROUBLE_NONE)
            return kind;
    }
    return damaged(trouble, path, "%s", sqlite3_errmsg(db));
}

/* The number that `sql` returns: 1 if there is one, 0 if none, -1 on an error of SQLite. */
static int number(sqlite3 *db, const char *sql, int64_t *ret_number)
{
    int result = db_number(db, sql, ret_number);
    return result == 0 ? 1 : result == -ENOENT ? 0 : -1;
}

/* Reports trouble only if the format is newer than this program's. */
static enum trouble_kind look_at_format(struct trouble *trouble, const char *path, sqlite3 *db,
                                        const char *sql, int64_t known)
{
    int64_t format = 0;
    int found = number(db, sql, &format);
    if (found < 0)
        return complain(trouble, path, db);
    if (!found || format <= known)
        return TROUBLE_NONE;
    trouble->format = format;
    trouble->known = known;
    return blame(trouble, path, TROUBLE_NEWER);
}

#define OF_SETTING(name) "SELECT value FROM setting WHERE name = '" name "'"

static enum trouble_kind look_at_state_format(struct trouble *trouble, const char *path,
                                              sqlite3 *db)
{
    enum trouble_kind kind =
        look_at_format(trouble, path, db, OF_SETTING("version"), STATE_VERSION);
    if (kind == TROUBLE_NONE && trouble->known_webhooks)
        kind = look_at_format(trouble, path, db, OF_SETTING("courier_version"),
                              trouble->known_webhooks);
    return kind;
}

static enum trouble_kind look_at_formats(struct trouble *trouble, const char *path, sqlite3 *db)
{
    enum role role = role_of(path);
    int64_t tables = 0;
    if (number(db, "SELECT count(*) FROM sqlite_master", &tables) < 0)
        return complain(trouble, path, db);
    if (role == ROLE_EVENTS)
        return look_at_format(trouble, path, db, "SELECT value FROM meta WHERE name = 'version'",
                              SEGMENT_VERSION);
    /* A state.db that was created and not filled counts as missing. */
    return role == ROLE_STATE && tables ? look_at_state_format(trouble, path, db) : TROUBLE_NONE;
}

/* Checks the counts of channels in a sealed file, which an opening believes. */
static enum trouble_kind look_at_counts(struct trouble *trouble, const char *path, sqlite3 *db)
{
    int64_t sealed = 0, events = 0, counted = 0;
    if (number(db, "SELECT value FROM meta WHERE name = 'sealed'", &sealed) < 0 ||
        number(db, "SELECT count(*) FROM event", &events) < 0 ||
        number(db, "SELECT ifnull(sum(count), 0) FROM channel", &counted) < 0)
        return complain(trouble, path, db);
    if (sealed && events != counted)
        return damaged(trouble, path, "it has %lld events and counts %lld", (long long)events,
                       (long long)counted);
    return TROUBLE_NONE;
}

/* SQLite checks pages only. A change of bytes within an event shows in its checksum. */
static enum trouble_kind look_at_rows(struct trouble *trouble, const char *path, sqlite3 *db)
{
    uint64_t id = 0;
    if (rowcheck_find(db, &id))
        return complain(trouble, path, db);
    if (id)
        return damaged(trouble, path, "its event %016" PRIu64 " is not as it was written", id);
    return TROUBLE_NONE;
}

/* SQLite may begin with a line that names the database: skip it. */
static enum trouble_kind judge_integrity(struct trouble *trouble, const char *path, struct str said)
{
    if (str_eq(said, STR("ok")))
        return TROUBLE_NONE;
    if (str_starts(said, STR("***")))
        (void)str_cut(&said, '\n');
    return damaged(trouble, path, "%.*s", STR_FMT(said));
}

static enum trouble_kind look_at_integrity(struct trouble *trouble, const char *path, sqlite3 *db)
{
    sqlite3_stmt *statement;
    enum trouble_kind kind = TROUBLE_NONE;
    if (db_prepare(db, "PRAGMA integrity_check(1)", &statement))
        return complain(trouble, path, db);
    int result = db_row(statement);
    if (result < 0)
        kind = complain(trouble, path, db);
    else if (result == 1)
        kind = judge_integrity(trouble, path, db_bytes(statement, 0));
    sqlite3_finalize(statement);
    return kind;
}

/* Only a lock for writing counts: a program that reads holds up nothing. */
static enum trouble_kind look_at_lock(struct trouble *trouble, const char *path, sqlite3 *db)
{
    sqlite3_busy_timeout(db, 0);
    int result = db_exec(db, "BEGIN IMMEDIATE");
    enum trouble_kind kind = result ? complain(trouble, path, db) : TROUBLE_NONE;
    if (!result)
        (void)db_exec(db, "ROLLBACK");
    return kind;
}

static enum trouble_kind look_into(struct trouble *trouble, const char *path, sqlite3 *db,
                                   bool is_writable)
{
    enum trouble_kind kind = is_writable ? look_at_lock(trouble, path, db) : TROUBLE_NONE;
    if (kind == TROUBLE_NONE)
        kind = look_at_formats(trouble, path, db);
    if (kind == TROUBLE_NONE)
        kind = look_at_integrity(trouble, path, db);
    if (kind == TROUBLE_NONE && role_of(path) == ROLE_EVENTS)
        kind = look_at_counts(trouble, path, db);
    if (kind == TROUBLE_NONE && role_of(path) == ROLE_EVENTS)
        kind = look_at_rows(trouble, path, db);
    return kind;
}

static enum trouble_kind look_at_content(struct trouble *trouble, const char *path)
{
    sqlite3 *db;
    bool is_writable = has_journal(path);
    int result = db_open(path, is_writable ? DB_WRITE : DB_IMMUTABLE, &db);
    if (result) {
        enum trouble_kind kind = look_at_access(trouble, path);
        return kind == TROUBLE_NONE ? failed(trouble, path, result) : kind;
    }
    enum trouble_kind kind = look_into(trouble, path, db, is_writable);
    sqlite3_close(db);
    return kind;
}

enum trouble_kind trouble_inspect(struct trouble *trouble, const char *path, bool deep)
{
    trouble->kind = TROUBLE_NONE;
    enum trouble_kind kind = look_at_header(trouble, path);
    if (kind == TROUBLE_NONE)
        kind = look_at_sides(trouble, path);
    if (kind == TROUBLE_NONE && deep)
        kind = look_at_content(trouble, path);
    return kind == TROUBLE_NONE ? look_at_access(trouble, path) : kind;
}

/* ---- the folder ------------------------------------------------------------------------------ */

static enum trouble_kind look_at_folder(struct trouble *trouble, const char *path)
{
    struct stat info;
    if (stat(path, &info))
        return failed(trouble, path, -errno);
    if (!S_ISDIR(info.st_mode))
        return blame(trouble, path, TROUBLE_NO_FOLDER);
    return access(path, R_OK | W_OK | X_OK) ? failed(trouble, path, -errno) : TROUBLE_NONE;
}

/* Writes the folder that a name lies in. False if there is none above it. */
static bool go_up(char *path, size_t size)
{
    char folder[TROUBLE_PATH];
    folder_of(path, folder, sizeof(folder));
    size_t len = strlen(folder);
    while (len > 1 && folder[len - 1] == '/')
        folder[--len] = '\0';
    if (strcmp(folder, path) == 0)
        return false;
    snprintf(path, size, "%s", folder);
    return true;
}

/* ENOTDIR comes with a path below the file that stands in place of a folder. Blames that file. */
static enum trouble_kind look_for_file(struct trouble *trouble, const char *path)
{
    char way[TROUBLE_PATH];
    struct stat info;
    int result;
    snprintf(way, sizeof(way), "%s", path);
    while ((result = stat(way, &info)) != 0 && errno == ENOTDIR && go_up(way, sizeof(way)))
        ;
    if (result || S_ISDIR(info.st_mode))
        return TROUBLE_NONE;
    return blame(trouble, way, TROUBLE_NO_FOLDER);
}

static bool ends_with(const char *path, const char *end)
{
    size_t len = strlen(path), end_len = strlen(end);
    return len > end_len && strcmp(path + len - end_len, end) == 0;
}

/* Either the file may be forbidden, or the folder in which it was to be made. */
static enum trouble_kind look_at_rights(struct trouble *trouble, const char *path)
{
    char folder[TROUBLE_PATH];
    enum trouble_kind kind = look_at_access(trouble, path);
    if (kind != TROUBLE_MISSING)
        return kind;
    folder_of(path, folder, sizeof(folder));
    return look_at_folder(trouble, folder);
}

/* Looks at the file again where the errno leaves the cause open. */
static enum trouble_kind look_again(struct trouble *trouble, const char *path,
                                    enum trouble_kind kind)
{
    if (kind == TROUBLE_NO_ACCESS)
        return look_at_rights(trouble, path);
    if (kind == TROUBLE_NO_FOLDER)
        return look_for_file(trouble, path);
    if (kind == TROUBLE_NO_PLAIN_FILE && !ends_with(path, ".db"))
        return TROUBLE_NONE;
    if (kind != TROUBLE_UNKNOWN && kind != TROUBLE_NEWER && kind != TROUBLE_NO_PLAIN_FILE)
        return TROUBLE_NONE;
    if (ends_with(path, ".db"))
        return trouble_inspect(trouble, path, true);
    return ends_with(path, "/lock") ? TROUBLE_NONE : look_at_folder(trouble, path);
}

/* Ignore trouble of another kind than the errno says. */
static bool explains(enum trouble_kind kind, int error)
{
    switch (kind_of_errno(error)) {
    case TROUBLE_NEWER:
        return kind == TROUBLE_NEWER;
    case TROUBLE_NO_ACCESS:
        return kind == TROUBLE_NO_ACCESS || kind == TROUBLE_READ_ONLY;
    default:
        return kind != TROUBLE_NONE;
    }
}

void trouble_look(struct trouble *trouble, const char *dir, int error)
{
    trouble_note(trouble, dir, error);
    if (trouble->kind != TROUBLE_NONE)
        return;
    struct trouble found = {.known_webhooks = trouble->known_webhooks};
    trouble->kind = kind_of_errno(trouble->error);
    enum trouble_kind kind = look_again(&found, trouble->path, trouble->kind);
    if (!explains(kind, trouble->error))
        return;
    found.error = found.error ? found.error : trouble->error;
    *trouble = found;
}

/* ---- a survey -------------------------------------------------------------------------------- */

/* A server may be running on the folder. So a file that was unlinked meanwhile, or that is being
 * made, is no trouble. */
static enum trouble_kind survey_file(struct trouble *trouble, const char *dir, const char *name)
{
    char *path = folder_join(dir, name);
    struct stat info;
    bool is_begun = stat(path, &info) == 0 && S_ISREG(info.st_mode) && !info.st_size;
    enum trouble_kind kind = is_begun ? TROUBLE_NONE : trouble_inspect(trouble, path, false);
    free(path);
    return kind == TROUBLE_MISSING ? TROUBLE_NONE : kind;
}

/* Reads the format from the file alone, without its write-ahead log: the format is written first.
 * If that fails, the opening will find the cause. */
static enum trouble_kind survey_format(struct trouble *trouble, const char *dir, const char *name)
{
    struct trouble found = {.known_webhooks = trouble->known_webhooks};
    char *path = folder_join(dir, name);
    sqlite3 *db = NULL;
    if (access(path, F_OK) == 0 && db_open(path, DB_IMMUTABLE, &db) == 0 &&
        look_at_formats(&found, path, db) == TROUBLE_NEWER)
        *trouble = found;
    sqlite3_close(db);
    free(path);
    return trouble->kind;
}

static enum trouble_kind survey_log(struct trouble *trouble, const char *folder)
{
    enum trouble_kind kind = TROUBLE_NONE;
    char newest[32] = "";
    DIR *entries = opendir(folder);
    if (!entries)
        return errno == ENOENT ? TROUBLE_NONE : failed(trouble, folder, -errno);
    for (struct dirent *entry; kind == TROUBLE_NONE && (entry = readdir(entries));) {
        if (role_of(entry->d_name) != ROLE_EVENTS)
            continue;
        kind = survey_file(trouble, folder, entry->d_name);
        if (strcmp(entry->d_name, newest) > 0)
            snprintf(newest, sizeof(newest), "%.20s", entry->d_name);
    }
    closedir(entries);
    return kind == TROUBLE_NONE && newest[0] ? survey_format(trouble, folder, newest) : kind;
}

static enum trouble_kind survey_exchanges(struct trouble *trouble, const char *dir)
{
    int result = trouble_note_unfinished(trouble, dir);
    return !result || trouble->kind == TROUBLE_UNFINISHED ? trouble->kind
                                                          : failed(trouble, trouble->path, result);
}

/* A missing folder will be made in its parent. */
static enum trouble_kind survey_missing(struct trouble *trouble, const char *dir)
{
    char above[TROUBLE_PATH];
    folder_of(dir, above, sizeof(above));
    return look_at_folder(trouble, above);
}

enum trouble_kind trouble_survey(struct trouble *trouble, const char *dir)
{
    trouble->kind = TROUBLE_NONE;
    if (access(dir, F_OK) && errno == ENOENT)
        return survey_missing(trouble, dir);
    char *log = folder_join(dir, "log");
    enum trouble_kind kind = look_at_folder(trouble, dir);
    if (kind == TROUBLE_NONE && access(log, F_OK) == 0)
        kind = look_at_folder(trouble, log);
    if (kind == TROUBLE_NONE)
        kind = survey_exchanges(trouble, dir);
    if (kind == TROUBLE_NONE)
        kind = survey_file(trouble, dir, "state.db");
    if (kind == TROUBLE_NONE)
        kind = survey_format(trouble, dir, "state.db");
    if (kind == TROUBLE_NONE)
        kind = survey_log(trouble, log);
    free(log);
    return kind;
}

/* ---- telling --------------------------------------------------------------------------------- */

static void add_limit(struct buf *out)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        buf_addf(out, " (%llu)", (unsigned long long)limit.rlim_cur);
}

static void add_newer(struct buf *out, const struct trouble *trouble)
{
    buf_add_lit(out, "was made by a newer freshet");
    if (trouble->format)
        buf_addf(out, ": it has format %lld, this one knows up to %lld", (long long)trouble->format,
                 (long long)trouble->known);
}

static void add_owner(struct buf *out, const struct trouble *trouble)
{
    buf_add_lit(out, "is used by another freshet");
    if (trouble->pid)
        buf_addf(out, ", process %lld", (long long)trouble->pid);
}

void trouble_add_cause(struct buf *out, const struct trouble *trouble)
{
    static const char *const causes[TROUBLE_KINDS] = {
        [TROUBLE_NONE] = "is in order",
        [TROUBLE_MISSING] = "is not there",
        [TROUBLE_NO_FOLDER] = "is not a folder",
        [TROUBLE_NO_PLAIN_FILE] = "is not a file",
        [TROUBLE_READ_ONLY] = "lies on a file system that is read-only",
        [TROUBLE_NO_SPACE] = "needs room, and the disk has none left",
        [TROUBLE_NO_DESCRIPTORS] = "cannot be opened: as many files are open as may be",
        [TROUBLE_NO_MEMORY] = "cannot be opened: there is no memory left",
        [TROUBLE_LOCKED] = "is locked by another program",
        [TROUBLE_UNFINISHED] = "is half repaired: the repair was ended before it was done",
    };
    if (trouble->kind == TROUBLE_NEWER)
        add_newer(out, trouble);
    else if (trouble->kind == TROUBLE_IN_USE)
        add_owner(out, trouble);
    else if (trouble->kind == TROUBLE_NO_ACCESS)
        buf_addf(out, "may not be used by user %u", (unsigned)geteuid());
    else if (trouble->kind == TROUBLE_DAMAGED)
        buf_addf(out, "is damaged: %s", trouble->detail);
    else if (trouble->kind == TROUBLE_UNKNOWN)
        buf_addf(out, "cannot be used: %s", strerror(-trouble->error));
    else
        buf_add_str(out, str_from(causes[trouble->kind]));
    if (trouble->kind == TROUBLE_NO_DESCRIPTORS)
        add_limit(out);
}

/* Replaces the log's folder by "DIR" in the advice. */
static const char *const advice[TROUBLE_KINDS] = {
    [TROUBLE_UNKNOWN] = "The system's log (dmesg) may say more of the disk",
    [TROUBLE_MISSING] =
        "Name the folder that has the data; of a new folder, the one above must exist",
    [TROUBLE_NO_FOLDER] = "Name another folder, or move away what has its name",
    [TROUBLE_NO_PLAIN_FILE] = "Move it away: \"freshet repair DIR\" does, and says what is lost",
    [TROUBLE_NO_ACCESS] = "Run freshet as the owner of DIR, or give it to this user (chown -R)",
    [TROUBLE_READ_ONLY] = "Let it be written to (mount -o remount,rw), or use another folder",
    [TROUBLE_NO_SPACE] = "Free some, then start again",
    [TROUBLE_NO_DESCRIPTORS] = "Raise the limit (ulimit -n, or LimitNOFILE= of systemd)",
    [TROUBLE_NO_MEMORY] = "Give this process more (ulimit -v, or MemoryMax= of systemd)",
    [TROUBLE_IN_USE] = "Stop that one first, or use another folder",
    [TROUBLE_LOCKED] = "End that program (a shell of sqlite3? a backup?), then start again",
    [TROUBLE_NEWER] = "Run that version or a later one, or use another folder",
    [TROUBLE_DAMAGED] = "\"freshet repair DIR\" sets it aside and says what is lost",
    [TROUBLE_UNFINISHED] = "\"freshet repair DIR\" finishes it",
};

static void add_with_dir(struct buf *out, const char *text, const char *dir)
{
    for (const char *at; (at = strstr(text, "DIR")); text = at + 3) {
        buf_add(out, text, (size_t)(at - text));
        buf_add_str(out, str_from(dir));
    }
    buf_add_str(out, str_from(text));
}

/* The folder is missing, and this user may not make it. */
static void add_not_made(struct buf *out, const struct trouble *trouble, const char *dir)
{
    unsigned user = (unsigned)geteuid();
    buf_addf(out,
             "%s cannot be made: user %u may not write to %s. Make it as root (install -d -m 700 "
             "-o %u %s), or use another folder",
             dir, user, strcmp(trouble->path, ".") == 0 ? "this folder" : trouble->path, user, dir);
}

void trouble_add(struct buf *out, const struct trouble *trouble, const char *dir)
{
    if (trouble->kind == TROUBLE_NO_ACCESS && access(dir, F_OK) && errno == ENOENT) {
        add_not_made(out, trouble, dir);
        return;
    }
    buf_addf(out, "%s ", trouble->path[0] ? trouble->path : dir);
    trouble_add_cause(out, trouble);
    if (!advice[trouble->kind])
        return;
    buf_add_lit(out, ". ");
    add_with_dir(out, advice[trouble->kind], dir);
}
