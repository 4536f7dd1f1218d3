/* The folder that holds the log: made, and taken by one process at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Makes a folder that only this user may read, and syncs its entry in the parent folder. An
 * existing folder is kept. */
int folder_make(const char *path);

/* Takes the folder's lock, which lasts until `*ret_fd` is closed. -EBUSY if another process has it:
 * `*ret_pid` is that process, or 0 if unknown. With `make`, a missing lock file is created;
 * without, a folder that has none counts as free, and `*ret_fd` is -1. */
int folder_lock(const char *dir, bool make, int *ret_fd, int64_t *ret_pid);

/* DIR/NAME; free with free(). */
char *folder_join(const char *dir, const char *name);

/* The id that names a file of events, "0001795459080123.db"; 0 for every other name. */
uint64_t folder_id_of(const char *name);

/* The folder that a path lies in, by its name alone: "." for a name without a folder. */
void folder_of(const char *path, char *out, size_t size);

/* Makes durable what was created, renamed or unlinked in the folder that a path lies in. */
int folder_sync_of(const char *path);
