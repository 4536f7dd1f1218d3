/* Builds the folder that a power cut would have left from the record of disk.c. For tests only.
 *
 * What the disk may do: of a file, all that was written before its last sync that succeeded is
 * there. Of what was written since there is any part: nothing, all, the first of it, some writes,
 * or some sectors of them. What was not synced when a sync failed may be lost for good, although a
 * later sync succeeds. Names that were made, moved or removed in a folder are as they were at its
 * last sync, with the first few of the changes since. */
#pragma once

#include "disk.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REPLAY_FILES = 4096, REPLAY_OPENS = 1 << 20, REPLAY_SECTOR = 512, REPLAY_PATH = 256 };

enum replay_state { REPLAY_UNSYNCED, REPLAY_ORPHAN, REPLAY_SYNCED };

struct replay_write {
    struct replay_write *next;
    enum replay_state state;
    bool truncates;
    uint64_t at;
    uint64_t len;
    const char *bytes;
};

struct replay_file {
    char path[REPLAY_PATH]; /* of a folder, which is no file */
    struct replay_write *writes;
    struct replay_write **last;
};

/* A change of a name; a file that has no `to` is removed, one that has no `from` is made. */
struct replay_name {
    struct replay_name *next;
    bool synced;
    char from[REPLAY_PATH];
    char to[REPLAY_PATH];
    unsigned file;
};

struct replay_link {
    char path[REPLAY_PATH];
    unsigned file;
};

struct replay {
    uint64_t random;
    struct replay_file files[REPLAY_FILES];
    unsigned files_count;
    struct replay_name *names;
    struct replay_name **names_last;
    struct replay_link links[REPLAY_FILES]; /* links as the process saw them */
    unsigned links_count;
    unsigned opens[REPLAY_OPENS]; /* the file of each open */
};

static uint64_t replay_random(struct replay *replay)
{
    replay->random = replay->random * 6364136223846793005 + 1442695040888963407;
    return replay->random >> 33;
}

/* ---- the process's calls --------------------------------------------------------------------- */

static unsigned replay_new_file(struct replay *replay)
{
    unsigned file = replay->files_count++;
    assert(file < REPLAY_FILES);
    replay->files[file].last = &replay->files[file].writes;
    return file;
}

static struct replay_link *replay_find(struct replay_link *links, unsigned count, const char *path)
{
    for (unsigned i = 0; i < count; i++)
        if (strcmp(links[i].path, path) == 0)
            return &links[i];
    return NULL;
}

static void replay_unlink(struct replay_link *links, unsigned *count, const char *path)
{
    struct replay_link *link = replay_find(links, *count, path);
    if (link)
        *link = links[--*count];
}

static void replay_link(struct replay_link *links, unsigned *count, const char *path, unsigned file)
{
    replay_unlink(links, count, path);
    assert(*count < REPLAY_FILES);
    snprintf(links[*count].path, REPLAY_PATH, "%s", path);
    links[(*count)++].file = file;
}

static void replay_rename(struct replay *replay, const char *from, const char *to, unsigned file)
{
    struct replay_name *name = calloc(1, sizeof(*name));
    assert(name);
    snprintf(name->from, REPLAY_PATH, "%s", from);
    snprintf(name->to, REPLAY_PATH, "%s", to);
    name->file = file;
    *replay->names_last = name;
    replay->names_last = &name->next;
    if (*from)
        replay_unlink(replay->links, &replay->links_count, from);
    if (*to)
        replay_link(replay->links, &replay->links_count, to, file);
}

static void replay_open(struct replay *replay, const struct disk_entry *entry, const char *path)
{
    assert(entry->open_id < REPLAY_OPENS);
    struct replay_link *link = replay_find(replay->links, replay->links_count, path);
    unsigned file = link ? link->file : replay_new_file(replay);
    if (!link && (entry->at & O_CREAT))
        replay_rename(replay, "", path, file);
    else if (!link)
        snprintf(replay->files[file].path, REPLAY_PATH, "%s", path);
    replay->opens[entry->open_id] = file;
}

static void replay_write(struct replay *replay, const struct disk_entry *entry, const char *bytes)
{
    struct replay_file *file = &replay->files[replay->opens[entry->open_id]];
    struct replay_write *write = calloc(1, sizeof(*write));
    assert(write);
    *write = (struct replay_write){.truncates = entry->kind == DISK_TRUNCATE,
                                   .at = entry->at,
                                   .len = entry->len,
                                   .bytes = bytes};
    *file->last = write;
    file->last = &write->next;
}

static bool replay_is_in(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    return strncmp(path, folder, len) == 0 && path[len] == '/' && !strchr(path + len + 1, '/');
}

static void replay_sync(struct replay *replay, const struct disk_entry *entry)
{
    struct replay_file *file = &replay->files[replay->opens[entry->open_id]];
    bool fails = entry->kind == DISK_SYNC_FAILED;
    for (struct replay_write *write = file->writes; write; write = write->next)
        if (write->state == REPLAY_UNSYNCED)
            write->state = fails ? REPLAY_ORPHAN : REPLAY_SYNCED;
    for (struct replay_name *name = replay->names; *file->path && !fails && name; name = name->next)
        if (replay_is_in(*name->to ? name->to : name->from, file->path))
            name->synced = true;
}

static void replay_entry(struct replay *replay, const struct disk_entry *entry, const char *bytes)
{
    char path[REPLAY_PATH];
    snprintf(path, sizeof(path), "%.*s", (int)entry->len, bytes);
    struct replay_link *link = replay_find(replay->links, replay->links_count, path);
    if (entry->kind == DISK_OPEN)
        replay_open(replay, entry, path);
    else if (entry->kind == DISK_WRITE || entry->kind == DISK_TRUNCATE)
        replay_write(replay, entry, bytes);
    else if (entry->kind == DISK_SYNC || entry->kind == DISK_SYNC_FAILED)
        replay_sync(replay, entry);
    else if (entry->kind == DISK_RENAME && link)
        replay_rename(replay, path, bytes + strlen(path) + 1, link->file);
    else if (entry->kind == DISK_LINK && link)
        replay_rename(replay, "", bytes + strlen(path) + 1, link->file);
    else if (entry->kind == DISK_UNLINK && link)
        replay_rename(replay, path, "", link->file);
}

/* ---- the resulting folder -------------------------------------------------------------------- */

struct replay_content {
    char *bytes;
    uint64_t size;
    uint64_t cap;
};

static void replay_grow(struct replay_content *content, uint64_t size)
{
    if (size > content->cap) {
        uint64_t cap = size * 2;
        content->bytes = realloc(content->bytes, cap);
        assert(content->bytes);
        memset(content->bytes + content->cap, 0, cap - content->cap);
        content->cap = cap;
    }
    if (size > content->size)
        content->size = size;
}

static void replay_apply(struct replay *replay, struct replay_content *content,
                         const struct replay_write *write, bool torn)
{
    if (write->truncates) {
        replay_grow(content, write->at);
        memset(content->bytes + write->at, 0, content->cap - write->at);
        content->size = write->at;
        return;
    }
    replay_grow(content, write->at + write->len);
    for (uint64_t done = 0, len; done < write->len; done += len) {
        len = REPLAY_SECTOR - (write->at + done) % REPLAY_SECTOR;
        len = len < write->len - done ? len : write->len - done;
        if (!torn || replay_random(replay) % 2)
            memcpy(content->bytes + write->at + done, write->bytes + done, len);
    }
}

enum replay_mode { REPLAY_NONE, REPLAY_ALL, REPLAY_FIRST, REPLAY_SOME, REPLAY_TORN, REPLAY_MODES };

static struct replay_content replay_build(struct replay *replay, const struct replay_file *file)
{
    struct replay_content content = {0};
    enum replay_mode mode = (enum replay_mode)(replay_random(replay) % REPLAY_MODES);
    replay_grow(&content, 1);
    content.size = 0;
    for (const struct replay_write *write = file->writes; write; write = write->next) {
        bool coin = replay_random(replay) % 8 < 5;
        if (write->state == REPLAY_UNSYNCED && mode == REPLAY_FIRST && !coin)
            mode = REPLAY_NONE;
        if (write->state == REPLAY_SYNCED)
            replay_apply(replay, &content, write, false);
        else if (mode == REPLAY_ALL || (mode != REPLAY_NONE && coin))
            replay_apply(replay, &content, write, mode == REPLAY_TORN);
    }
    return content;
}

static void replay_put(struct replay *replay, const struct replay_link *link, size_t skip,
                       const char *folder)
{
    char path[2 * REPLAY_PATH];
    struct replay_content content = replay_build(replay, &replay->files[link->file]);
    snprintf(path, sizeof(path), "%s%s", folder, link->path + skip);
    FILE *file = fopen(path, "w");
    assert(file);
    assert(fwrite(content.bytes, 1, content.size, file) == content.size);
    fclose(file);
    free(content.bytes);
}

/* The changes of names that are there: those that were synced, and in each folder the first few of
 * the others. */
static unsigned replay_names(struct replay *replay, struct replay_link *links)
{
    unsigned count = 0;
    bool ends = false;
    for (const struct replay_name *name = replay->names; name; name = name->next) {
        ends = ends || (!name->synced && replay_random(replay) % 3 == 0);
        if (!name->synced && ends)
            continue;
        if (*name->from)
            replay_unlink(links, &count, name->from);
        if (*name->to)
            replay_link(links, &count, name->to, name->file);
    }
    return count;
}

/* Builds `to` from what happened to `from`. Folders within are there from the first. */
static void replay_folder(struct replay *replay, const char *from, const char *to)
{
    static struct replay_link links[REPLAY_FILES];
    static const char *const folders[] = {"log", "damaged"};
    char path[REPLAY_PATH];
    unsigned count = replay_names(replay, links);
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/%s", to, folders[i]);
        mkdir(path, 0700);
    }
    for (unsigned i = 0; i < count; i++)
        replay_put(replay, &links[i], strlen(from), to);
}

static struct replay *replay_new(uint64_t seed)
{
    struct replay *replay = calloc(1, sizeof(*replay));
    assert(replay);
    replay->random = seed * 0x9e3779b97f4a7c15;
    replay->names_last = &replay->names;
    return replay;
}

static void replay_free(struct replay *replay)
{
    for (unsigned i = 0; i < replay->files_count; i++)
        for (struct replay_write *write = replay->files[i].writes, *next; write; write = next) {
            next = write->next;
            free(write);
        }
    for (struct replay_name *name = replay->names, *next; name; name = next) {
        next = name->next;
        free(name);
    }
    free(replay);
}
