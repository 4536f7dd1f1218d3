/* The notes of a turn of presence, which a worker publishes by the one door.
 *
 * The host has no port of the log, since a port is woken for every event of everybody. So it lends
 * its notes to a worker, which submits them in a turn of its own and gives them back with the ids
 * that they got. The host needs these to know up to where the log has what it has saved. */
#pragma once

#include "log/apply.h"
#include "net/mailbox.h"

struct presence_bundle;

struct presence_note {
    struct presence_note *next;
    struct presence_bundle *bundle;
    struct publish publish; /* for the worker */
    struct str channel, data;
    const char *type;
    bool is_lost; /* the log has refused it */
    char text[];  /* of both */
};

struct presence_bundle {
    struct mail mail;
    struct presence_note *first, **last;
    uint64_t told;        /* the number of its last note */
    struct mailbox *home; /* of the host; presence_bundle_return() posts it there */
    void (*returned)(struct mail *mail, void *owner);
    size_t bytes;     /* of its notes */
    uint32_t open;    /* notes without a verdict */
    uint32_t lost;    /* notes that were refused */
    uint64_t last_id; /* the highest id of its notes; 0: none got one */
};

/* The worker is done with the bundle. */
static inline void presence_bundle_return(struct presence_bundle *bundle)
{
    bundle->mail = (struct mail){.open = bundle->returned};
    mailbox_post(bundle->home, &bundle->mail);
}
