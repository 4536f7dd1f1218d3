/* The subscriptions of a freshet.v1 connection: terms, held by parts that merge once they have
 * caught up. */
#pragma once

#include "transport/freshet_v1_state.h"

/* Whether a channel could match both. Both must be valid names or patterns. */
bool freshet_v1_overlap(struct str a, struct str b);

/* Subscribes to the selection `asked`, which is borrowed, and answers the client. */
void freshet_v1_subscribe(struct freshet_v1 *v1, struct str ref, const struct selection *asked,
                          const struct position *from);

/* False if events of one of the terms may still be sent, until later subscriptions to some of the
 * same channels have caught up. */
bool freshet_v1_unsubscribe(struct freshet_v1 *v1, const struct str *names, size_t count);

/* Has the subscriptions to these names rest on a permission as well: the connection ends when that
 * does. NULL: they rest on the connection's own rights. */
void freshet_v1_hold(struct freshet_v1 *v1, const struct str *names, size_t count,
                     struct caller *caller);

/* Has the subscriptions to these names count for presence, as those of the caller, or of the name
 * that it gives itself. Patterns do not count. */
void freshet_v1_attend(struct freshet_v1 *v1, const struct str *names, size_t count,
                       const struct caller *caller, struct str as);

/* The same for all subscriptions, once the connection has another caller. */
void freshet_v1_attend_anew(struct freshet_v1 *v1, const struct caller *caller);

/* The same, for those that do not count yet: their namespace may have presence now. */
void freshet_v1_attend_all(struct freshet_v1 *v1, const struct caller *caller);

/* Merges parts that have caught up. There must be no bytes left to send. */
void freshet_v1_merge(struct freshet_v1 *v1);

/* The position up to which the connection has sent everything. */
uint64_t freshet_v1_cursor(const struct freshet_v1 *v1);

struct str freshet_v1_part_ref(const struct part *part);

/* Frees all parts, groups and terms. */
void freshet_v1_free_parts(struct freshet_v1 *v1);
