/* Reads a file that the configuration names, whole and of bounded size.
 *
 * A FIFO is a file, too: `--config <(…)` is one, and so is a secret that a password manager hands
 * over. But a FIFO that nobody writes to must not stop a reload: the thread that waits for it is
 * the one that SIGTERM ends. */
#pragma once

#include "base/buf.h"

#include <sys/types.h>

/* For how long a FIFO may give nothing. */
enum { READ_FILE_WAIT_MS = 5000 };

/* Appends the content of the file to `out`, which the caller frees in any case. Returns 0, or a
 * negative errno: -EFBIG if it has more than `most` bytes, -ETIMEDOUT if it is a FIFO and gives
 * nothing, -ENOMEM. */
int read_file(const char *path, size_t most, struct buf *out);

/* A sentence for the error. */
const char *read_file_explain(int error);

/* ---- for callers who keep the content in memory of their own --------------------------------- */

/* Opens the file without waiting. Returns a descriptor, or a negative errno. */
int read_file_open(const char *path);
/* Reads up to `size` bytes, as read() does. Returns their number, 0 at the end, or a negative
 * errno: -ETIMEDOUT after READ_FILE_WAIT_MS without anything. */
ssize_t read_file_next(int fd, void *room, size_t size);
