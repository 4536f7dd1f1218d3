/* The subscriptions of a freshet.v1 connection: terms, held by parts that merge once they have
 * caught up. */
#pragma once

#include "transport/freshet_v1_state.h"

/* Whether there can be a channel that both match. Both are valid names or patterns. */
bool protocol_overlap(struct str a, struct str b);

/* Subscribes to the selection `asked`, which is borrowed, and answers the client. */
void protocol_subscribe(struct protocol *protocol, struct str ref, const struct selection *asked,
                        const struct position *from);
void protocol_unsubscribe(struct protocol *protocol, const struct str *names, size_t count);

/* Merges parts that have caught up. There must be no bytes left to send. */
void protocol_merge(struct protocol *protocol);

/* The position up to which the connection has sent everything. */
uint64_t protocol_cursor(const struct protocol *protocol);

struct str protocol_part_ref(const struct part *part);

/* Frees all parts, groups and terms. */
void protocol_free_parts(struct protocol *protocol);
