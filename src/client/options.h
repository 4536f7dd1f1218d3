/* Flags of the client's commands, and where the server is. */
#pragma once

#include "base/buf.h"

/* One flag: with `value`, the next word goes there; else `set` becomes true. A flag that may come
 * several times has `list` and `count`. */
struct option_spec {
    const char *name;
    const char **value;
    bool *set;
    const char **list;
    size_t *count;
};

enum { OPTIONS_LIST_MAX = 100 };

/* Reads argv[1…]: flags by `specs` (ended by a NULL name), other words into `words` (at most
 * `words_max`). The number of words, or -1 after complaining. A lone "-" is a word. */
int options_read(int argc, char **argv, const struct option_spec *specs, const char **words,
                 int words_max);

/* The server's URL without a slash at its end: `given`, else FRESHET_URL, else the default. */
struct str options_url(const char *given);

/* Adds a channel's name as the segments of a path, percent-encoded. */
void options_add_path(struct buf *out, const char *channel);
