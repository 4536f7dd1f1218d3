/* A desk: where a worker reports the subscriptions that count for presence.
 *
 * Each worker has one. An owner (a stream, a poll, a WebSocket, a term of freshet.v1) is known by
 * its address and has a *party*: a number under which the host keeps what the owner attends. So the
 * owner needs no room of its own for it, and one that no namespace with presence concerns costs
 * nothing. What a turn reports goes to the host as one mail. All of it is for the worker's thread.
 */
#pragma once

#include "base/map.h"
#include "base/slab.h"
#include "net/mailbox.h"
#include "presence/names.h"
#include "presence/settings.h"

/* A report. The channel and the name follow, then the next report. */
struct desk_report {
    uint64_t address; /* of the client */
    uint32_t party;
    uint8_t flags; /* DESK_… */
    uint8_t name_len;
    uint8_t channel_len;
    uint8_t unused;
};

enum {
    DESK_JOIN = 1, /* else the party leaves */
    DESK_VERIFIED = 2,
    DESK_POLL = 4,  /* by polls, between which a member stays */
    DESK_AGAIN = 8, /* the party may attend already */
    DESK_LONG = 16, /* the name is too long for a member */
};

enum { DESK_SHEET_BYTES = 4000 };

/* The reports of a turn, or of a part of it. */
struct desk_sheet {
    struct mail mail;
    uint32_t desk; /* the index of the desk */
    uint32_t len;
    char bytes[DESK_SHEET_BYTES];
};

struct presence_desk {
    struct mailbox *host; /* NULL: there is no presence */
    void (*open)(struct mail *mail, void *owner);
    const struct presence_settings *settings; /* borrowed */
    bool is_on;                               /* some namespace has presence */
    uint32_t index;
    struct map seats; /* by owner */
    struct slab slab;
    uint32_t parties; /* numbers given */
    uint32_t *free;   /* numbers given back */
    uint32_t free_count, free_cap;
    struct desk_sheet *sheet; /* NULL: nothing is to be reported */
    struct map_node *late;    /* seats whose end could not be reported for lack of memory */
};

/* `open` opens a struct desk_sheet on the host's thread and frees it. */
void desk_init(struct presence_desk *desk, struct mailbox *host,
               void (*open)(struct mail *mail, void *owner), uint32_t index);
/* Forgets owners that have not left. */
void desk_deinit(struct presence_desk *desk);

/* Borrows other settings, until the next call. */
void desk_switch(struct presence_desk *desk, const struct presence_settings *settings);

/* The owner attends those of these channels that have presence. It may attend already: then as the
 * same visitor, who is not asked for its name again. Without memory it does not count. */
void desk_join_slow(struct presence_desk *desk, const void *owner, const struct str *channels,
                    size_t count, const struct presence_visitor *visitor);

static inline void desk_join(struct presence_desk *desk, const void *owner,
                             const struct str *channels, size_t count,
                             const struct presence_visitor *visitor)
{
    if (desk->is_on)
        desk_join_slow(desk, owner, channels, count, visitor);
}

/* The owner attends nothing any more. Fine if it never did. */
void desk_leave_slow(struct presence_desk *desk, const void *owner);

static inline void desk_leave(struct presence_desk *desk, const void *owner)
{
    if (desk->seats.count)
        desk_leave_slow(desk, owner);
}

/* Reports what the turn has gathered. */
void desk_flush_slow(struct presence_desk *desk);

static inline void desk_flush(struct presence_desk *desk)
{
    if (desk->sheet || desk->late)
        desk_flush_slow(desk);
}
