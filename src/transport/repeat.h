/* Requests for pages that are repeated byte for byte: what the first of them meant, the others
 * mean.
 *
 * Those who poll one channel send the same head over and over. Its bytes decide alone what a page's
 * reading is, so a head that is known need not be read again. */
#pragma once

#include "base/buf.h"

struct exchange;
struct reading;

enum { REPEATS = 4, REPEAT_BYTES = 2048 };

struct repeat {
    struct buf head;         /* the whole head, to its empty line; empty: nothing is kept */
    struct reading *reading; /* a share of it */
    struct str origin;       /* in `head` */
    bool is_head;
    bool keep_alive;
    bool http10;
};

/* One a worker; zero is a good beginning. */
struct repeats {
    struct repeat at[REPEATS];
    unsigned next; /* to be replaced */
};

/* Keeps what the request that is being handled was found to mean, unless its head is longer than
 * REPEAT_BYTES, it has a body, a header or parameter that might be a secret (any but the few that
 * are known not to be), or the reading may change while it is shared. Not for requests that
 * anything but their bytes decides over: see docs/decisions/0005. */
void repeats_keep(struct repeats *repeats, const struct exchange *exchange,
                  struct reading *reading);

/* The one whose head stands at the front of `bytes`, good until repeats_keep(); or NULL. */
const struct repeat *repeats_find(const struct repeats *repeats, struct str bytes);

void repeats_deinit(struct repeats *repeats);
