/* Requests for pages that repeat an earlier one byte for byte, and so have the same reading.
 *
 * Clients that poll a channel send the same head over and over. Only its bytes decide about the
 * reading of a page, so a known head need not be parsed again. */
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

/* The known heads of a worker. Zeroes are a valid start. */
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

/* The request whose head stands at the front of `bytes`, valid until repeats_keep(); or NULL. */
const struct repeat *repeats_find(const struct repeats *repeats, struct str bytes);

void repeats_deinit(struct repeats *repeats);
