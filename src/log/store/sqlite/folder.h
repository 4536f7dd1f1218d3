/* The folder that holds the log: made, and taken by one process at a time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A folder that nobody else may look into, and its entry in the one above made durable. One that is
 * there is kept. */
int folder_make(const char *path);

/* Takes the folder's lock, which lasts until `*ret_fd` is closed. -EBUSY when another process has
 * it: `*ret_pid` is that process, or 0 if the lock does not say. With `make` the file of the lock
 * is made when it is not there; without, a folder that has none counts as free, and `*ret_fd` is
 * -1. */
int folder_lock(const char *dir, bool make, int *ret_fd, int64_t *ret_pid);

/* DIR/NAME; free with free(). */
char *folder_join(const char *dir, const char *name);
