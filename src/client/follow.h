/* A subscription that survives its connections: what is wanted, how far it has come, what is told.
 */
#pragma once

#include "base/command_line.h"
#include "client/printer.h"
#include "client/record.h"
#include "client/retry_delay.h"
#include "client/server_url.h"
#include "client/transfer.h"

enum {
    FOLLOW_BEAT_S = 25,                               /* the server's default */
    FOLLOW_QUIET_MS = (2 * FOLLOW_BEAT_S + 5) * 1000, /* a link that is quiet for so long is dead */
    FOLLOW_RECORD_MAX = 16 << 20, /* an event of 1 MiB, escaped in the worst way */
    FOLLOW_PAGE_MAX = 32 << 20,
};

enum follow_via { FOLLOW_SSE, FOLLOW_NDJSON, FOLLOW_POLL, FOLLOW_WS };

/* What the user asked for; borrowed from the arguments. */
struct follow_wish {
    struct server_url url;
    const char *token; /* NULL: none */
    enum follow_via via;
    struct command_list channels;
    struct command_list types;
    const char *after; /* NULL: by `last`, else now */
    uint64_t last;
};

struct follow {
    const struct follow_wish *wish;
    const struct interrupt *interrupt;
    struct printer *printer;
    char cursor[RECORD_CURSOR_MAX + 1]; /* empty until the server has said one; or "earliest" */
    char told[RECORD_CURSOR_MAX + 1]; /* of a poll, beside the cursor: gaps were told up to here */
    uint64_t retry_ms;                /* what the server asked for before the next attempt */
    bool reached;                     /* it has answered at least once */
    bool heard;                       /* something came over this connection */
    struct buf why;                   /* why the connection ended, for people */
};

/* How a connection ended. */
enum follow_end {
    FOLLOW_DONE,    /* all that was wanted is done */
    FOLLOW_LOST,    /* try again */
    FOLLOW_REFUSED, /* trying again would be no use */
};

/* Deals with one record: prints it or tells it, and moves the cursor. True when all is done. */
bool follow_take(struct follow *follow, const struct record *record);

/* Moves the cursor; ignores what is none. */
void follow_set_cursor(struct follow *follow, struct str cursor);

/* Notes up to where gaps were told, which belongs to the cursor; none: the cursor says it. */
void follow_set_told(struct follow *follow, struct str told);

/* Tells a line on standard error. */
void follow_tell(const char *name, struct str object);

/* Adds the path and the query of the request that goes on from here; the query's end is the
 * caller's. */
void follow_add_path(const struct follow *follow, struct buf *out);

/* Adds where to begin as a JSON member of a subscribe message, with a comma before it. */
void follow_add_start(const struct follow *follow, struct buf *out);

/* How an answer other than success, or a failed transfer, ends the connection; fills `why`. */
enum follow_end follow_end_of(struct follow *follow, int result,
                              const struct transfer_answer *answer);

void follow_deinit(struct follow *follow);
