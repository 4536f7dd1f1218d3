/* The greeting on standard output once the server serves: its addresses, and what to try there.
 *
 * Somebody who starts it for the first time copies these lines, so each of them has to work as it
 * stands: without rules by everybody, with rules by whoever has a key. */
#pragma once

#include "server/listening.h"

struct greeting {
    const struct listening *listening;
    struct str base;     /* the path under which the API hangs */
    const char *program; /* as the user has called it */
    bool is_record;      /* it goes into a journal: addresses alone */
    bool has_rules;      /* most requests take a credential */
    bool anybody_reads;  /* with rules: a read of the channel `news` takes none */
    bool is_local;       /* webhooks may go to this machine */
};

/* Adds the URL of the nth item of `listen`, with the base path. False if there is none. */
bool greeting_add_address(struct buf *out, const struct listening *listening, struct str base,
                          unsigned nth);

void greeting_add(struct buf *out, const struct greeting *greeting);
