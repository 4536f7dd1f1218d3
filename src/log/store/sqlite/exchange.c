/* A damaged database may have a write-ahead log beside it, which SQLite would play into the file
 * that takes its place. So the write-ahead log has to go before the copy comes. If the process ends
 * in between, the damaged file stands alone. It may look sound then, although the events of its
 * write-ahead log are gone.
 *
 * So the exchange is noted first, and the note is the copy itself under the name FILE.repaired. If
 * nothing takes the place of the file, the note is an empty file of that name. The steps:
 *
 *     begin      The copy is renamed to FILE.repaired. From here on an opening refuses the folder.
 *     aside      FILE, FILE-wal and the others get a second name in the folder of damaged files.
 *     clear      FILE-wal and the others are unlinked.
 *     replace    FILE.repaired is renamed to FILE, or both are unlinked if the note is empty.
 *
 * Each step is synchronised before the next one begins, so that a power cut cannot undo a step and
 * keep a later one. Each step does nothing if it was done before, so that an exchange is finished
 * by going through all of them again.
 *
 * A note in state.db would not do: state.db is itself exchanged, and may be damaged together with
 * the file that it has a note about. */
#include "log/store/sqlite/exchange.h"

#include "log/store/sqlite/db.h"
#include "log/store/sqlite/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_LEN = 4096 };

static const char note_end[] = ".repaired";
/* The write-ahead log stands before its file, see clear(). */
static const char *const ends[] = {"-wal", "-shm", "-journal", ""};
enum { ENDS = sizeof(ends) / sizeof(*ends) };

static void add_end(const char *path, const char *end, char out[PATH_LEN])
{
    snprintf(out, PATH_LEN, "%s%s", path, end);
}

static int remove_name(const char *path)
{
    return unlink(path) && errno != ENOENT ? -errno : 0;
}

/* ---- beginning ------------------------------------------------------------------------------- */

bool exchange_is_begun(const char *path)
{
    char note[PATH_LEN];
    add_end(path, note_end, note);
    return access(note, F_OK) == 0;
}

int exchange_begin(const char *path, const char *copy)
{
    char note[PATH_LEN];
    add_end(path, note_end, note);
    int result;
    if (copy && access(copy, F_OK) == 0)
        result = rename(copy, note) ? -errno : 0;
    else
        result = db_create_file(note);
    return result ? result : folder_sync_of(path);
}

/* ---- the steps ------------------------------------------------------------------------------- */

/* Gives the file a second name by link(). Where that is not possible (folders, some file systems)
 * it is renamed. */
static int name_aside(const char *path, const char *aside)
{
    if (link(path, aside) == 0 || errno == ENOENT)
        return 0;
    if (errno != EPERM && errno != EOPNOTSUPP && errno != EMLINK)
        return -errno;
    return rename(path, aside) ? -errno : 0;
}

static int name_all_aside(const char *path, const char *aside)
{
    char from[PATH_LEN], to[PATH_LEN];
    int result = 0;
    for (size_t i = 0; !result && i < ENDS; i++) {
        add_end(path, ends[i], from);
        add_end(aside, ends[i], to);
        result = name_aside(from, to);
    }
    return result ? result : folder_sync_of(aside);
}

/* The file itself keeps its name until the copy replaces it, so that a file of that name always
 * exists. */
static int clear(const char *path)
{
    char side[PATH_LEN];
    int result = 0;
    for (size_t i = 0; !result && i + 1 < ENDS; i++) {
        add_end(path, ends[i], side);
        result = remove_name(side);
    }
    return result ? result : folder_sync_of(path);
}

static int replace(const char *path)
{
    char note[PATH_LEN];
    struct stat info;
    add_end(path, note_end, note);
    if (stat(note, &info))
        return -errno;
    int result = 0;
    if (info.st_size) {
        result = rename(note, path) ? -errno : 0;
    } else {
        result = remove_name(path);
        result = result ? result : folder_sync_of(path);
        result = result ? result : remove_name(note);
    }
    return result ? result : folder_sync_of(path);
}

int exchange_finish(const char *path, const char *aside)
{
    int result = name_all_aside(path, aside);
    result = result ? result : clear(path);
    return result ? result : replace(path);
}

/* ---- finding --------------------------------------------------------------------------------- */

/* Cuts the suffix of a note off the name. False if the name has none: then the file is not ours. */
static bool read_note(const char *entry, char *out, size_t size)
{
    size_t len = strlen(entry), end = strlen(note_end);
    if (len <= end || len - end >= size || strcmp(entry + len - end, note_end) != 0)
        return false;
    snprintf(out, size, "%.*s", (int)(len - end), entry);
    return folder_id_of(out) != 0;
}

static int each_in_log(const char *path, int (*each)(void *context, const char *name),
                       void *context)
{
    char file[32], name[40];
    int result = 0;
    DIR *log = opendir(path);
    if (!log)
        return errno == ENOENT ? 0 : -errno;
    for (struct dirent *entry; !result && (entry = readdir(log));) {
        if (!read_note(entry->d_name, file, sizeof(file)))
            continue;
        snprintf(name, sizeof(name), "log/%s", file);
        result = each(context, name);
    }
    closedir(log);
    return result;
}

int exchange_each(const char *dir, int (*each)(void *context, const char *name), void *context)
{
    static const char *const single[] = {"state.db", "sums.db"};
    int result = 0;
    for (size_t i = 0; !result && i < 2; i++) {
        char *path = folder_join(dir, single[i]);
        if (exchange_is_begun(path))
            result = each(context, single[i]);
        free(path);
    }
    char *log = folder_join(dir, "log");
    result = result ? result : each_in_log(log, each, context);
    free(log);
    return result;
}
