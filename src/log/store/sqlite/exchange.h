/* Exchanges a damaged file of the log's folder for a copy, in steps that a crash may interrupt. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Begins to exchange the database `path` for `copy`, which is synchronised and lies beside it, and
 * whose name goes. If `copy` is NULL or not there, nothing takes the place of the file. Durable:
 * from now on an opening refuses the folder, and exchange_finish() is all that is left to do. 0 or
 * a negative errno; then exchange_is_begun() says whether there is something to finish. */
int exchange_begin(const char *path, const char *copy);

/* Finishes an exchange from whichever step it has come to. The damaged file, and what SQLite laid
 * beside it, get names that begin with `aside`: a new name in a folder that is there, on the same
 * file system. 0 or a negative errno; then it may be tried again, with another `aside`. */
int exchange_finish(const char *path, const char *aside);

/* Whether an exchange of the file was begun and not finished. */
bool exchange_is_begun(const char *path);

/* Calls `each` with the name of each file whose exchange was begun and not finished: "state.db" or
 * "log/0001795459080123.db", within the data folder `dir`. A non-zero result ends it and is
 * returned. A negative errno if a folder cannot be read; a folder that is not there has no files.
 * `each` may finish the exchange. */
int exchange_each(const char *dir, int (*each)(void *context, const char *name), void *context);
