/* Reloading: the configuration is read anew on SIGHUP, and put into effect without ending a
 * connection.
 *
 *     read and check ──▶ prepare ──▶ keys ──▶ workers and courier switch, by mail ──▶ retire
 *           │ a fault                          (the main thread waits for all of them)
 *           ▼
 *     nothing has changed
 *
 * The file is read and checked whole before anything changes, and everything that can fail is done
 * before the first step that has an effect. Each thread takes the whole snapshot between two turns.
 * The snapshot before is freed when no thread uses it, and when nobody waits for an answer of the
 * servers that it asks about access. Settings that cannot change without a restart keep their
 * values; a log line names them. All of it runs on the main thread. */
#pragma once

#include "server/settings.h"
#include "webhooks/courier.h"

struct reloading {
    int argc;
    char **argv;
    struct settings *first; /* of the start: the log and the courier have its texts */
    struct settings *current;
    struct list retired;
    /* The parts of the server that switch: */
    struct worker *workers;
    unsigned workers_count;
    struct courier *courier;
    struct presence *presence;
    struct key_table *keys;
    const struct tls_tickets *tickets;
    uint32_t connections_room; /* connections that the limit of open files allows */
    struct api_reloads counts;
};

void reloading_init(struct reloading *reloading, int argc, char **argv, struct settings *first);

/* The number of connections that these settings allow. */
uint32_t reloading_connections(const struct reloading *reloading, const struct config *config);

/* Reads the configuration anew and puts it into effect, or says why not. */
void reloading_reload(struct reloading *reloading);

/* Has the workers use the tickets' keys as they are now. */
void reloading_share_tickets(struct reloading *reloading);

/* Frees what nobody uses any more. In how many ms it is to be called again; -1: not. */
int64_t reloading_tidy(struct reloading *reloading);

/* Ends what asks about access, while the mailboxes of the workers stand. */
void reloading_stop(struct reloading *reloading);
/* Frees all settings, when nobody uses them any more. */
void reloading_deinit(struct reloading *reloading);
