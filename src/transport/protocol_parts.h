/* The subscriptions of a freshet.v1 connection: terms, held by parts that merge once they have
 * caught up. */
#pragma once

#include "transport/socket.h"

enum {
    PROTOCOL_REF_MAX = 64,
    PROTOCOL_JOINING_MAX = SELECTION_TERMS_MAX, /* subscriptions that are not live yet */
    PROTOCOL_ADMITTED_MAX = 8, /* subscriptions that catch up at the same time; others wait as a
                                * position */
    PROTOCOL_EXCEPT_MAX = 16,  /* most selections in a chain of excluded ones */
};

struct protocol;
struct group;

/* A subscriber: for the terms of one `subscribe`, or, as the main part of a group, for all terms of
 * the group that have caught up. */
struct part {
    struct list node;
    struct protocol *protocol;
    struct group *group;
    struct sub sub;
    struct selection *selection; /* the subscription, or the search for it; NULL while it waits */
    struct start *waits;         /* the start, until it is admitted */
    struct start_search *search; /* while its start is searched for */
    uint32_t serial;             /* parts are admitted and merged in this order; main has 0 */
    bool answered;               /* the start was reported to the client */
    uint8_t ref_len;
    char ref[];
};

/* All terms with the same types. */
struct group {
    struct list node;
    struct selection *types; /* of no channels: it stands for the types alone */
    struct part *main;
};

/* A channel or pattern that was asked for. */
struct term {
    struct list node;
    struct part *part;
    bool leaving; /* unsubscribed, and held while a part that joins wants some of it too */
    uint8_t len;
    char name[];
};

struct protocol {
    struct socket socket;
    struct worker *worker;
    struct list groups;
    struct list parts; /* of all groups; a part that has sent goes last */
    struct list terms;
    struct part *taking; /* between fill and sent */
    uint32_t terms_count;
    uint32_t joining;
    uint32_t waiting; /* of those that join */
    uint32_t serials;
};

/* Whether there can be a channel that both match. Both are valid names or patterns. */
bool protocol_overlap(struct str a, struct str b);

/* Subscribes to the selection `asked`, which is borrowed, and answers the client. */
void protocol_subscribe(struct protocol *protocol, struct str ref, const struct selection *asked,
                        const struct start *start);
void protocol_unsubscribe(struct protocol *protocol, const struct str *names, size_t count);

/* Merges parts that have caught up. There must be no bytes left to send. */
void protocol_merge(struct protocol *protocol);

/* The position up to which the connection has sent everything. */
uint64_t protocol_cursor(const struct protocol *protocol);

struct str protocol_part_ref(const struct part *part);

/* Frees all parts, groups and terms. */
void protocol_free_parts(struct protocol *protocol);

/* ---- protocol.c's: messages out ---------------------------------------------------------------
 */

struct request_stream *protocol_request(const struct protocol *protocol);

/* Sends a JSON message and frees it. */
void protocol_send(struct protocol *protocol, struct buf *message);

/* Begins a message's object with op and ref, which is raw JSON or empty. The caller ends it. */
struct json_writer protocol_open(struct buf *message, const char *op, struct str ref);

void protocol_send_cursor(struct protocol *protocol, const char *op, struct str ref,
                          uint64_t cursor);
void protocol_send_gap(struct protocol *protocol, const struct gap_record *gap);
void protocol_error(struct protocol *protocol, struct str ref, enum problem problem,
                    const char *detail);

/* The encoding of all records of the connection. */
unsigned protocol_encoding(const struct protocol *protocol);

/* Closes: what was promised cannot be kept. */
void protocol_give_up(struct protocol *protocol);
