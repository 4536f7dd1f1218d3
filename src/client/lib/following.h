/* A subscription while it is followed: the position, and what its connections share. For the files
 * of follow_run(). */
#pragma once

#include "base/json_writer.h"
#include "client/lib/follow.h"
#include "client/lib/record.h"
#include "client/lib/tls_client.h"
#include "client/lib/transfer.h"

enum {
    FOLLOW_BEAT_S = 25,                               /* the server's default */
    FOLLOW_QUIET_MS = (2 * FOLLOW_BEAT_S + 5) * 1000, /* a connection that is quiet for this long is
                                                       * dead */
    FOLLOW_RECORD_MAX = 16 << 20, /* an event of 1 MiB, escaped in the worst case */
    FOLLOW_PAGE_MAX = 32 << 20,
};

struct following {
    const struct follow_wish *wish;
    const struct interrupt *interrupt;
    const struct follow_sink *sink;
    struct tls_client *tls;             /* for WebSockets; NULL: without TLS */
    bool ended;                         /* the sink wants no more */
    bool pending;                       /* events were taken since the sink's last pause */
    char cursor[RECORD_CURSOR_MAX + 1]; /* empty until the server has sent one; or "earliest" */
    char told[RECORD_CURSOR_MAX + 1];   /* for a poll: gaps were reported up to this id */
    uint64_t retry_ms;                  /* the server's delay before the next attempt */
    bool reached;                       /* the server has answered at least once */
    bool heard;                         /* bytes have come over this connection */
    struct buf why;                     /* why the connection ended, for the user */
    const char *advice;                 /* what can be done about that: see advice.h */
};

/* How a connection ended. */
enum follow_end {
    FOLLOW_DONE,    /* everything that was wanted is done */
    FOLLOW_LOST,    /* try again */
    FOLLOW_REFUSED, /* another attempt would not help */
};

/* Handles a record: hands it to the sink, and moves the cursor. Returns true when all is done. */
bool following_take(struct following *following, const struct record *record);

/* Moves the cursor; ignores a text that is not a cursor. */
void following_set_cursor(struct following *following, struct str cursor);

/* Notes up to which id gaps were reported. Belongs to the cursor; empty if the cursor says it. */
void following_set_told(struct following *following, struct str told);

/* Hands a notice to the sink. */
void following_tell(const struct following *following, const char *name, struct str object);

/* No more is at hand: the sink may write out what it has. Returns true when all is done. */
bool following_pause(struct following *following);

/* Adds the path and the query of the request that continues from here; the caller ends the
 * query. */
void following_add_path(const struct following *following, struct buf *out);

/* Writes the starting position as a member of a subscribe message. */
void following_write_start(const struct following *following, struct json_writer *writer);

/* How an error answer or a failed transfer ends the connection; fills `why`. */
enum follow_end following_end_of(struct following *following, int result,
                                 const struct transfer_answer *answer);

void following_deinit(struct following *following);
