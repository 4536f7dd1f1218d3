/* Exchanges a damaged file of the log's folder for a copy, in steps that a crash may interrupt. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Begins the exchange of the database `path` for `copy`, a synced file beside it that loses its
 * name. If `copy` is NULL or missing, `path` is removed without a replacement. Durable: from now on
 * an opening refuses the folder until exchange_finish() succeeds. Returns 0 or a negative errno;
 * after an error exchange_is_begun() says whether there is an exchange to finish. */
int exchange_begin(const char *path, const char *copy);

/* Finishes an exchange, whatever step it has reached. The damaged file and its journals get new
 * names beginning with `aside`, in an existing folder on the same file system. Returns 0 or a
 * negative errno; it may then be called again, with another `aside`. */
int exchange_finish(const char *path, const char *aside);

/* Whether an exchange of the file was begun and not finished. */
bool exchange_is_begun(const char *path);

/* Calls `each` with the name of each file whose exchange was begun and not finished: "state.db" or
 * "log/0001795459080123.db", within the data folder `dir`. A non-zero result ends it and is
 * returned. A negative errno if a folder cannot be read; a folder that is not there has no files.
 * `each` may finish the exchange. */
int exchange_each(const char *dir, int (*each)(void *context, const char *name), void *context);
