/* A repair goes in steps, and each step leaves a folder that can be repaired again:
 *
 *     finish     If an earlier repair was ended while it exchanged a file, that exchange is
 *                finished.
 *     check      Every file is read whole, with the questions of trouble.c. A file of a newer
 *                freshet, or a file that this user may not use, ends the repair before anything
 *                else is changed.
 *     save       The readable rows of a damaged file are copied into FILE.new and synchronised.
 *                An opening deletes such a file, so that half a copy does no harm.
 *     note       state.db learns up to which id events may be lost. An opening hands that id to
 *                the log, which tells every reader with a cursor below it of a gap.
 *     exchange   The damaged file gets a second name in DIR/damaged/, together with all files that
 *                SQLite laid beside it, and the copy takes its place (exchange.c). So the bytes of
 *                the damaged file always have a name, and nothing is deleted. Until it is done an
 *                opening refuses the folder.
 *
 * state.db is repaired first, because losses of the other files are noted in it. A damaged sums.db
 * is only set aside: an opening makes a new one from the files.
 *
 * A damaged file shows its losses only as a range of ids. So a single number in state.db suffices:
 * a reader that has not read beyond the highest id that may be lost is told of a gap up to there,
 * and then gets all events that are left, from its own cursor on. That errs towards a gap for
 * readers of channels that lost nothing. */
#include "log/store/sqlite/repair.h"

#include "base/mem.h"
#include "log/store/sqlite/exchange.h"
#include "log/store/sqlite/folder.h"
#include "log/store/sqlite/rescue.h"
#include "log/store/sqlite/salvage.h"
#include "log/store/sqlite/segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { STAMP_LEN = 32 };

struct repair_file {
    char name[32]; /* within DIR: "log/0001795459080123.db" */
    char *path;
    uint64_t first; /* of a file of events: the id that names it */
    bool is_damaged;
    char cause[TROUBLE_DETAIL + 64];
};

struct repair {
    const struct repair_config *config;
    struct trouble *trouble;
    struct buf *out;
    char stamp[STAMP_LEN];
    bool log_is_elsewhere; /* on another file system than DIR */
    struct repair_file state, sums;
    struct repair_file *files; /* of events, ascending */
    size_t count, cap;
    struct state *open_state;
    uint64_t lost; /* the highest id that may be lost */
    bool loses;
    size_t finished; /* exchanges of an earlier repair */
};

static int note(struct repair *repair, const char *path, int error)
{
    if (error < 0 && repair->trouble->kind == TROUBLE_NONE) {
        *repair->trouble = (struct trouble){.known_webhooks = repair->config->known_webhooks};
        trouble_note(repair->trouble, path, error);
        trouble_look(repair->trouble, repair->config->dir, error);
    }
    return error;
}

/* ---- the files of a folder ------------------------------------------------------------------- */

static void name_file(struct repair *repair, struct repair_file *file, const char *folder,
                      const char *name)
{
    *file = (struct repair_file){.first = strtoull(name, NULL, 10)};
    snprintf(file->name, sizeof(file->name), "%s%.22s", folder, name);
    file->path = folder_join(repair->config->dir, file->name);
}

static int add_file(struct repair *repair, const char *name)
{
    if (repair->count == repair->cap) {
        size_t cap = repair->cap ? repair->cap * 2 : 64;
        struct repair_file *files = mem_try_realloc(repair->files, cap * sizeof(*files));
        if (!files)
            return -ENOMEM;
        repair->files = files;
        repair->cap = cap;
    }
    name_file(repair, &repair->files[repair->count++], "log/", name);
    return 0;
}

static int by_first(const void *a, const void *b)
{
    const struct repair_file *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

/* A folder without a log never had a server. */
static int list_files(struct repair *repair)
{
    int result = 0;
    char *path = folder_join(repair->config->dir, "log");
    DIR *folder = opendir(path);
    int error = errno;
    for (struct dirent *entry; folder && !result && (entry = readdir(folder));)
        if (folder_id_of(entry->d_name))
            result = add_file(repair, entry->d_name);
    if (folder)
        closedir(folder);
    else if (error != ENOENT)
        result = -error;
    if (repair->count)
        qsort(repair->files, repair->count, sizeof(*repair->files), by_first);
    note(repair, path, result);
    free(path);
    return result;
}

/* ---- checking -------------------------------------------------------------------------------- */

/* An opening makes a file that is empty or missing; but a file of events is never empty. */
static bool is_none(const struct repair_file *file)
{
    struct stat info;
    return !file->first &&
           (stat(file->path, &info) ? errno == ENOENT : S_ISREG(info.st_mode) && !info.st_size);
}

/* Damage is no error here; other trouble, such as a file without permission, is. In a dry run, a
 * file whose exchange was begun stays as it is and is not judged. */
static int check_file(struct repair *repair, struct repair_file *file)
{
    struct trouble found = {.known_webhooks = repair->config->known_webhooks};
    struct buf cause = {0};
    enum trouble_kind kind = is_none(file) || exchange_is_begun(file->path)
                                 ? TROUBLE_NONE
                                 : trouble_inspect(&found, file->path, true);
    if (kind == TROUBLE_NONE || kind == TROUBLE_MISSING)
        return 0;
    if (kind != TROUBLE_DAMAGED && kind != TROUBLE_NO_PLAIN_FILE) {
        *repair->trouble = found;
        return found.error ? found.error : -EINVAL;
    }
    trouble_add_cause(&cause, &found);
    snprintf(file->cause, sizeof(file->cause), "%.*s", STR_FMT(buf_str(&cause)));
    buf_free(&cause);
    file->is_damaged = true;
    return 0;
}

static int check_files(struct repair *repair)
{
    int result = check_file(repair, &repair->state);
    result = result ? result : check_file(repair, &repair->sums);
    for (size_t i = 0; !result && i < repair->count; i++) {
        progress_tell(repair->config->progress, "files of the log checked", i, repair->count);
        result = check_file(repair, &repair->files[i]);
    }
    progress_end(repair->config->progress);
    return result;
}

/* ---- setting aside --------------------------------------------------------------------------- */

/* Renaming and linking fail across file systems, and across two mounts of the same one. */
static bool is_elsewhere(const char *path, const char *other)
{
    struct statx a, b;
    if (statx(AT_FDCWD, path, 0, STATX_MNT_ID, &a) || statx(AT_FDCWD, other, 0, STATX_MNT_ID, &b))
        return false;
    return a.stx_dev_major != b.stx_dev_major || a.stx_dev_minor != b.stx_dev_minor ||
           (a.stx_mask & b.stx_mask & STATX_MNT_ID && a.stx_mnt_id != b.stx_mnt_id);
}

/* The folder within DIR for the damaged file. */
static const char *room_of(const struct repair *repair, const struct repair_file *file)
{
    return file->first && repair->log_is_elsewhere ? "log/damaged" : "damaged";
}

/* Refuse a symbolic link, which might lead to another file system. Sync an existing folder: an
 * interrupted repair may have made it a moment ago. */
static int make_room(struct repair *repair, const struct repair_file *file)
{
    struct stat info;
    char *path = folder_join(repair->config->dir, room_of(repair, file));
    int result = repair->config->dry_run ? 0 : folder_make(path);
    bool is_there = lstat(path, &info) == 0;
    if (!result && (is_there ? !S_ISDIR(info.st_mode) : !repair->config->dry_run))
        result = -ENOTDIR;
    if (!result && !repair->config->dry_run)
        result = folder_sync_of(path);
    note(repair, path, result);
    free(path);
    return result;
}

static const char *base_of(const struct repair_file *file)
{
    const char *slash = strrchr(file->name, '/');
    return slash ? slash + 1 : file->name;
}

static int finish_into_room(const struct repair *repair, const struct repair_file *file)
{
    char aside[TROUBLE_PATH];
    snprintf(aside, sizeof(aside), "%s/%s/%s-%s", repair->config->dir, room_of(repair, file),
             base_of(file), repair->stamp);
    return exchange_finish(file->path, aside);
}

/* Where a quota of a project holds for log/ alone, no second name can be made outside of it, though
 * the file system is the same. */
static int finish(struct repair *repair, const struct repair_file *file)
{
    int result = finish_into_room(repair, file);
    if (result != -EXDEV || !file->first || repair->log_is_elsewhere)
        return result;
    repair->log_is_elsewhere = true;
    result = make_room(repair, file);
    return result ? result : finish_into_room(repair, file);
}

/* If `replacement` is NULL or missing, the file is removed without a replacement. */
static int replace(struct repair *repair, const struct repair_file *file, const char *replacement)
{
    int result = exchange_begin(file->path, replacement);
    result = result ? result : finish(repair, file);
    return note(repair, file->path, result);
}

/* ---- telling --------------------------------------------------------------------------------- */

static void tell_damage(struct repair *repair, const struct repair_file *file)
{
    buf_addf(repair->out, "%s %s\n", file->name, file->cause);
}

/* Once it is done: a repair may end before. */
static void tell_aside(struct repair *repair, const struct repair_file *file)
{
    buf_addf(repair->out, "  %sset aside as %s/%s-%s\n", repair->config->dry_run ? "would be " : "",
             room_of(repair, file), base_of(file), repair->stamp);
}

static void tell_rescue(struct repair *repair, const struct rescue *rescue)
{
    buf_addf(repair->out, "  %" PRIu64, rescue->kept);
    if (rescue->expected)
        buf_addf(repair->out, " of its %" PRIu64, rescue->expected);
    buf_addf(repair->out, " events can be read and %s\n",
             repair->config->dry_run ? "would be kept" : "are kept");
    if (rescue->lost_first)
        buf_addf(repair->out,
                 "  lost: what it had between the ids %016" PRIu64 " and %016" PRIu64 "\n",
                 rescue->lost_first, rescue->lost_last);
    else
        buf_add_lit(repair->out, "  no event is lost\n");
    if (rescue->lost_first && rescue->channels.len)
        buf_addf(repair->out, "  channels that lost events: %.*s\n",
                 STR_FMT(buf_str(&rescue->channels)));
    if (!rescue->has_all_deletions)
        buf_add_lit(repair->out, "  deletions of its last minutes may be undone\n");
}

static void tell_state(struct repair *repair, const struct rescued_state *rescued)
{
    if (rescued->has_all_trims && rescued->has_all_webhooks)
        buf_add_lit(repair->out, "  all of it can be read and is kept\n");
    if (!rescued->has_all_trims)
        buf_addf(repair->out,
                 "  lost: up to where some channels were trimmed (%" PRIu64 " are known). What "
                 "retention or DELETE had removed and is still in a file comes back, until it is "
                 "removed again\n",
                 rescued->trims);
    if (!rescued->has_all_webhooks)
        buf_addf(repair->out,
                 "  lost: webhooks, their cursors or the record of their deliveries; %" PRIu64
                 " webhooks are kept. Look at GET /webhooks, and register what is missing\n",
                 rescued->webhooks);
}

/* ---- state.db -------------------------------------------------------------------------------- */

static uint64_t now_id(const struct repair *repair)
{
    int64_t now = clock_wall_us(repair->config->clock);
    return now > 0 ? (uint64_t)now : 0;
}

/* The newest id that may have been given, as far as anybody can tell. */
static uint64_t newest_of(const struct repair *repair)
{
    for (size_t i = repair->count; i-- > 0;) {
        uint64_t newest = repair->files[i].is_damaged ? 0 : rescue_newest(repair->files[i].path);
        if (newest || repair->files[i].is_damaged)
            return newest ? newest : now_id(repair);
    }
    return 0;
}

static int forget_numbers(const struct repair *repair, struct state *state)
{
    char **paths = mem_try_alloc((repair->count + 1) * sizeof(*paths));
    size_t count = 0;
    if (!paths)
        return -ENOMEM;
    for (size_t i = 0; i < repair->count; i++)
        if (!repair->files[i].is_damaged)
            paths[count++] = repair->files[i].path;
    int result = rescue_numbers(state, paths, count);
    free(paths);
    return result;
}

static int open_state(struct repair *repair)
{
    if (repair->config->dry_run || repair->open_state)
        return 0;
    return note(repair, repair->state.path, state_open(repair->state.path, &repair->open_state));
}

/* Notes the loss in state.db before the file of the lost events is exchanged. An opening finds
 * missing events between files by their links, but not at the end of the log: there `after` is the
 * id after which events are missing, else 0. */
static int note_lost(struct repair *repair, uint64_t after, uint64_t upto)
{
    repair->loses = true;
    if (upto > repair->lost)
        repair->lost = upto;
    int result = open_state(repair);
    if (result || repair->config->dry_run)
        return result;
    result = state_set_lost(repair->open_state, upto, clock_wall_us(repair->config->clock));
    if (!result && after)
        result = state_put_hole(repair->open_state, after, upto);
    return note(repair, repair->state.path, result);
}

/* The trims are lost, so every reader must be told of a gap. */
static int fill_in(const struct repair *repair, const char *path, uint64_t newest)
{
    struct state *state;
    int result = state_open(path, &state);
    if (result)
        return result;
    if (newest)
        result = state_set_lost(state, newest, clock_wall_us(repair->config->clock));
    result = result ? result : forget_numbers(repair, state);
    state_close(state);
    return result ? result : db_sync_file(path);
}

/* Notes the losses in the new state.db at `path` before it replaces the damaged one. A repair that
 * is interrupted in between then leaves a state.db that is recognised as damaged. NULL: a dry run.
 */
static int settle_state(struct repair *repair, const struct rescued_state *rescued,
                        const char *path)
{
    repair->loses = repair->loses || !rescued->has_all_trims || !rescued->has_all_webhooks;
    if (rescued->has_all_trims)
        return 0;
    uint64_t newest = newest_of(repair);
    if (newest > repair->lost)
        repair->lost = newest;
    return path ? note(repair, path, fill_in(repair, path, newest)) : 0;
}

static int mend_state(struct repair *repair)
{
    struct rescued_state rescued;
    char *path = folder_join(repair->config->dir, "state.db.new");
    const char *target = repair->config->dry_run ? NULL : path;
    tell_damage(repair, &repair->state);
    int result = make_room(repair, &repair->state);
    if (!result)
        result = note(repair, path, rescue_state(repair->state.path, target, &rescued));
    result = result ? result : settle_state(repair, &rescued, target);
    if (!result && target)
        result = replace(repair, &repair->state, path);
    if (!result) {
        tell_aside(repair, &repair->state);
        tell_state(repair, &rescued);
    }
    free(path);
    return result;
}

/* ---- files of events ------------------------------------------------------------------------- */

/* Ids are times. So the newest id in the last file is at most the present time, or the time of its
 * last write if the clock was set back since. */
static uint64_t last_of(const struct repair *repair, size_t at)
{
    struct stat info;
    if (at + 1 < repair->count)
        return repair->files[at + 1].first - 1;
    uint64_t last = repair->files[at].first, now = now_id(repair);
    if (now > last)
        last = now;
    if (stat(repair->files[at].path, &info) == 0 && (uint64_t)info.st_mtime * 1000000 > last)
        last = (uint64_t)info.st_mtime * 1000000;
    return last < EVENT_ID_MAX ? last : EVENT_ID_MAX;
}

static int mend_file(struct repair *repair, size_t at)
{
    struct repair_file *file = &repair->files[at];
    struct rescue rescue = {
        .dir = repair->config->dir, .first = file->first, .last = last_of(repair, at)};
    char path[TROUBLE_PATH];
    bool dry_run = repair->config->dry_run, is_last = at + 1 == repair->count;
    snprintf(path, sizeof(path), "%s.new", file->path);
    tell_damage(repair, file);
    int result = make_room(repair, file);
    if (!result)
        result = note(repair, path, rescue_events(file->path, dry_run ? NULL : path, &rescue));
    /* Stores deletions in state.db before the file that brought them is sealed. */
    rescue.has_all_deletions = rescue.has_all_deletions || !is_last;
    if (!result && rescue.lost_first)
        result = note_lost(repair, is_last ? rescue.lost_first - 1 : 0, rescue.lost_last);
    repair->loses = repair->loses || (!result && !rescue.has_all_deletions);
    if (!result && !dry_run)
        result = replace(repair, file, path);
    if (!result) {
        tell_aside(repair, file);
        tell_rescue(repair, &rescue);
    }
    buf_free(&rescue.channels);
    return result;
}

static int mend_files(struct repair *repair)
{
    int result = 0;
    for (size_t i = 0; !result && i < repair->count; i++) {
        progress_tell(repair->config->progress, "files of the log gone through", i, repair->count);
        if (repair->files[i].is_damaged)
            result = mend_file(repair, i);
    }
    progress_end(repair->config->progress);
    return result;
}

static int mend_sums(struct repair *repair)
{
    tell_damage(repair, &repair->sums);
    int result = make_room(repair, &repair->sums);
    if (!result && !repair->config->dry_run)
        result = replace(repair, &repair->sums, NULL);
    if (result)
        return result;
    tell_aside(repair, &repair->sums);
    buf_add_lit(repair->out, "  nothing is lost: the next start makes it anew\n");
    return 0;
}

/* ---- exchanges of an earlier repair ---------------------------------------------------------- */

static void tell_finished(struct repair *repair, const struct repair_file *file)
{
    bool dry_run = repair->config->dry_run;
    buf_addf(repair->out,
             "%s was being exchanged by a repair that was ended before it was done\n"
             "  this %s finished, and the damaged file %s set aside as %s/%s-%s\n"
             "  something may be lost: that repair had no time to say what\n",
             file->name, dry_run ? "would be" : "is", dry_run ? "would be" : "is",
             room_of(repair, file), base_of(file), repair->stamp);
    if (file->path == repair->state.path)
        buf_add_lit(repair->out, "  look at GET /webhooks, and register what is missing\n");
}

static int finish_file(struct repair *repair, const struct repair_file *file)
{
    int result = make_room(repair, file);
    repair->finished++;
    repair->loses = repair->loses || file->path != repair->sums.path;
    if (!result && !repair->config->dry_run)
        result = note(repair, file->path, finish(repair, file));
    if (!result)
        tell_finished(repair, file);
    return result;
}

static int finish_exchange(void *context, const char *name)
{
    struct repair *repair = context;
    const char *slash = strchr(name, '/');
    struct repair_file file;
    if (strcmp(name, repair->state.name) == 0)
        return finish_file(repair, &repair->state);
    if (strcmp(name, repair->sums.name) == 0)
        return finish_file(repair, &repair->sums);
    name_file(repair, &file, "log/", slash ? slash + 1 : name);
    int result = finish_file(repair, &file);
    free(file.path);
    return result;
}

static int finish_exchanges(struct repair *repair)
{
    char *log = folder_join(repair->config->dir, "log");
    int result = note(repair, log, exchange_each(repair->config->dir, finish_exchange, repair));
    free(log);
    return result;
}

/* The interrupted repair had noted its losses before it began the exchange. */
static void find_lost(struct repair *repair)
{
    sqlite3 *db;
    int64_t lost = 0;
    if (!repair->finished || salvage_open(repair->state.path, &db))
        return;
    (void)db_number(db, "SELECT value FROM setting WHERE name = 'lost'", &lost);
    sqlite3_close(db);
    if (lost > 0 && (uint64_t)lost > repair->lost)
        repair->lost = (uint64_t)lost;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void tell_end(struct repair *repair, size_t damaged)
{
    if (!damaged && !repair->count && is_none(&repair->state))
        buf_addf(repair->out,
                 "nothing is damaged: %s holds no data of freshet. Name the folder of --data\n",
                 repair->config->dir);
    else if (!damaged)
        buf_addf(repair->out,
                 "nothing is damaged: %zu file%s of the log, state.db and sums.db are in order\n",
                 repair->count, repair->count == 1 ? "" : "s");
    else if (repair->lost)
        buf_addf(repair->out,
                 "readers that have not read beyond the id %016" PRIu64 " %s told of a gap\n",
                 repair->lost, repair->config->dry_run ? "would be" : "will be");
}

static size_t count_damaged(const struct repair *repair)
{
    size_t count = (size_t)repair->state.is_damaged + (size_t)repair->sums.is_damaged;
    for (size_t i = 0; i < repair->count; i++)
        count += repair->files[i].is_damaged;
    return count;
}

static int mend(struct repair *repair)
{
    int result = repair->state.is_damaged ? mend_state(repair) : 0;
    result = result ? result : mend_files(repair);
    if (!result && repair->sums.is_damaged)
        result = mend_sums(repair);
    state_close(repair->open_state);
    repair->open_state = NULL;
    return result;
}

static int check_and_mend(struct repair *repair)
{
    int result = finish_exchanges(repair);
    result = result ? result : list_files(repair);
    result = result ? result : check_files(repair);
    result = result ? result : mend(repair);
    if (result)
        return result;
    find_lost(repair);
    tell_end(repair, count_damaged(repair) + repair->finished);
    return repair->loses ? REPAIR_LOST : 0;
}

/* Name the folder by the microsecond, so that it never meets an existing name. */
static void stamp(struct repair *repair)
{
    int64_t now_us = clock_wall_us(repair->config->clock);
    time_t now = (time_t)(now_us / 1000000);
    struct tm utc = {0};
    char text[20];
    gmtime_r(&now, &utc);
    if (!strftime(text, sizeof(text), "%Y%m%dT%H%M%S", &utc))
        text[0] = '\0';
    snprintf(repair->stamp, sizeof(repair->stamp), "%s.%06dZ", text, (int)(now_us % 1000000));
}

/* Makes a lock file if the folder has none, except in a dry run: a server might start at any time.
 */
static int lock_folder(const struct repair *repair, int *ret_fd, int64_t *ret_pid)
{
    const char *dir = repair->config->dir;
    int result = folder_lock(dir, false, ret_fd, ret_pid);
    if (result || *ret_fd >= 0 || repair->config->dry_run)
        return result;
    return folder_lock(dir, true, ret_fd, ret_pid);
}

static int take_lock(struct repair *repair, int *ret_fd)
{
    int64_t pid;
    struct stat info;
    const char *dir = repair->config->dir;
    if (stat(dir, &info))
        return note(repair, dir, -errno);
    if (!S_ISDIR(info.st_mode))
        return note(repair, dir, -ENOTDIR);
    int result = lock_folder(repair, ret_fd, &pid);
    return result == -EBUSY ? trouble_note_in_use(repair->trouble, dir, pid)
                            : note(repair, dir, result);
}

int repair_folder(const struct repair_config *config, struct trouble *ret_trouble, struct buf *out)
{
    int lock = -1;
    struct repair repair = {.config = config, .trouble = ret_trouble, .out = out};
    *ret_trouble = (struct trouble){.known_webhooks = config->known_webhooks};
    stamp(&repair);
    name_file(&repair, &repair.state, "", "state.db");
    name_file(&repair, &repair.sums, "", "sums.db");
    char *log = folder_join(config->dir, "log");
    repair.log_is_elsewhere = is_elsewhere(config->dir, log);
    free(log);
    int result = take_lock(&repair, &lock);
    result = result ? result : check_and_mend(&repair);
    for (size_t i = 0; i < repair.count; i++)
        free(repair.files[i].path);
    free(repair.files);
    free(repair.state.path);
    free(repair.sums.path);
    if (lock >= 0)
        close(lock);
    return result;
}
