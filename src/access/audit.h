/* The audit log: who was refused or revoked and why, and who made and used keys for management.
 * Each entry is a log line and an event on `$audit`.
 *
 * Refusals cost a client nothing, so a flood of them must not fill the disk: all threads together
 * note some, by a bucket that refills, and count the rest. The next entry tells their number. What
 * takes a right to be done (changes, disconnections) is always noted. */
#pragma once

#include "access/caller.h"
#include "base/json_writer.h"

#include <stdatomic.h>

#define AUDIT_CHANNEL STR("$audit")

/* Refusals that are noted at once; one more is noted in each interval. */
enum { AUDIT_BURST = 20, AUDIT_INTERVAL_MS = 1000 };

enum audit_kind {
    AUDIT_REFUSED,      /* a request, for lack of a right or of a valid credential */
    AUDIT_CHANGED,      /* a key or a revocation was made or deleted */
    AUDIT_MANAGED,      /* something else that takes `admin` or `webhooks` was changed */
    AUDIT_DISCONNECTED, /* a connection ended, or lost channels, because a right has ended */
    AUDIT_KINDS,
};

/* Shared by all threads. Zeroes at first. */
struct audit {
    _Atomic int64_t full_at_ms; /* when the bucket would be full again; monotonic */
    _Atomic uint64_t left_out;  /* refusals since the last entry that told of them */
    _Atomic uint64_t noted[AUDIT_KINDS];
    _Atomic uint64_t left_out_all;
};

/* The facts of an entry, borrowed. What is not known is empty. */
struct audit_entry {
    enum audit_kind kind;
    const struct caller *caller; /* NULL: anybody */
    struct str address;          /* of the peer */
    struct str method, path;     /* of the request, without its query, which may hold a token */
    struct str why;              /* a sentence, or the operation */
    struct str problem;          /* the slug of the refusal */
    struct str members;          /* more, by json_members_writer() */
    uint64_t left_out;           /* set by audit_admit() */
};

/* Whether the entry is to be noted. Otherwise it was counted. Any thread. */
bool audit_admit(struct audit *audit, struct audit_entry *entry, int64_t now_ms);

/* The type of the event. Static memory. */
const char *audit_kind_word(enum audit_kind kind);

/* Writes the data of the event. Bytes that are not UTF-8 become base64. */
void audit_write(struct buf *out, const struct audit_entry *entry);

/* Writes the log line. */
void audit_say(const struct audit_entry *entry);
