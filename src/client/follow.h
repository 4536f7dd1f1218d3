/* A subscription that outlives its connections: the channels, the position, and the output. */
#pragma once

#include "base/command_line.h"
#include "base/json_writer.h"
#include "client/printer.h"
#include "client/record.h"
#include "client/retry_delay.h"
#include "client/server_url.h"
#include "client/transfer.h"

enum {
    FOLLOW_BEAT_S = 25,                               /* the server's default */
    FOLLOW_QUIET_MS = (2 * FOLLOW_BEAT_S + 5) * 1000, /* a connection that is quiet for this long is
                                                       * dead */
    FOLLOW_RECORD_MAX = 16 << 20, /* an event of 1 MiB, escaped in the worst case */
    FOLLOW_PAGE_MAX = 32 << 20,
};

enum follow_via { FOLLOW_SSE, FOLLOW_NDJSON, FOLLOW_POLL, FOLLOW_WS };

/* The user's choices; borrowed from the arguments. */
struct follow_wish {
    struct server_url url;
    const char *token; /* NULL: none */
    enum follow_via via;
    struct command_list channels;
    struct command_list types;
    const char *after; /* NULL: see `last`; without it, now */
    uint64_t last;
};

struct follow {
    const struct follow_wish *wish;
    const struct interrupt *interrupt;
    struct printer *printer;
    char cursor[RECORD_CURSOR_MAX + 1]; /* empty until the server has sent one; or "earliest" */
    char told[RECORD_CURSOR_MAX + 1];   /* for a poll: gaps were reported up to this id */
    uint64_t retry_ms;                  /* the server's delay before the next attempt */
    bool reached;                       /* the server has answered at least once */
    bool heard;                         /* bytes have come over this connection */
    struct buf why;                     /* why the connection ended, for the user */
};

/* How a connection ended. */
enum follow_end {
    FOLLOW_DONE,    /* everything that was wanted is done */
    FOLLOW_LOST,    /* try again */
    FOLLOW_REFUSED, /* another attempt would not help */
};

/* Handles a record: prints or reports it, and moves the cursor. Returns true when all is done. */
bool follow_take(struct follow *follow, const struct record *record);

/* Moves the cursor; ignores a text that is not a cursor. */
void follow_set_cursor(struct follow *follow, struct str cursor);

/* Notes up to which id gaps were reported. Belongs to the cursor; empty if the cursor says it. */
void follow_set_told(struct follow *follow, struct str told);

/* Prints a line to standard error. */
void follow_tell(const char *name, struct str object);

/* Adds the path and the query of the request that continues from here; the caller ends the
 * query. */
void follow_add_path(const struct follow *follow, struct buf *out);

/* Writes the starting position as a member of a subscribe message. */
void follow_write_start(const struct follow *follow, struct json_writer *writer);

/* How an error answer or a failed transfer ends the connection; fills `why`. */
enum follow_end follow_end_of(struct follow *follow, int result,
                              const struct transfer_answer *answer);

void follow_deinit(struct follow *follow);
