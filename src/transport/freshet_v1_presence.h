/* Presence over freshet.v1: the name that a client gives itself, and the operation `presence`. */
#pragma once

#include "transport/freshet_v1_state.h"

/* The members of the message, as raw JSON; empty ones are absent. */
struct freshet_v1_presence_said {
    struct str ref, channel, as;
    struct str state, read;                  /* of a change */
    struct str limit, list, marks;           /* of a question */
    struct str after_member, after_verified; /* place in the list */
    struct str after_mark, after_mark_verified;
};

/* Carries the operation out: asks who is there, or changes this member; answered now or later. */
void freshet_v1_presence(struct freshet_v1 *v1, const struct freshet_v1_presence_said *said);

/* Sets the name of messages without `as`, by the query of the handshake. False if there is no
 * memory. */
bool freshet_v1_set_name(struct freshet_v1 *v1, struct str as);

/* The name of a message that says `as`, raw JSON, or empty: the one of the handshake then, unless
 * `auth` has given the connection a subject since. Decodes it into `room`. False if it is no
 * string. */
bool freshet_v1_name(const struct freshet_v1 *v1, struct str as, struct buf *room,
                     struct str *ret_name, struct refusal *ret_refusal);

/* The connection is gone: answers that are still to come are dropped. */
void freshet_v1_forget_presence(struct freshet_v1 *v1);
