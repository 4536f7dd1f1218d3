/* The settings of a server that runs: what its configuration comes to, as one snapshot that nobody
 * changes. A reload makes another, and the threads switch to that; see reload.h. */
#pragma once

#include "api/api.h"
#include "api/authorization.h"
#include "backend/backend.h"
#include "server/config.h"

struct settings {
    struct config config;
    const struct settings *start; /* the settings of the server's start, which stay to the end */
    const struct rules *rules;    /* `rules_open`: everybody may do everything */
    struct authority authority;
    struct identity_source certificates; /* of it */
    struct backend *backend; /* asks others about access; NULL: nobody has to be asked */
    struct settings *asker;  /* the settings whose issuers and backend are used: these, or earlier
                              * ones that say the same; they stay as long as these */
    const struct presence_settings *presence;
    struct authorizers authorizers;
    struct trusted_proxies proxies;
    uint64_t *vouchers;
    struct buf told; /* the configuration as it is told */
    struct api api;
    struct list retired; /* while others may still wait for answers of its backend */
    int64_t retired_ns;
    unsigned users; /* later settings whose asker these are; the main thread's */
};

/* Reads the configuration from the command line and its file. Returns as config_options(); the
 * settings are to be freed in any case. */
int settings_read(struct settings **ret, int argc, char **argv, struct faults *faults);

/* Prepares rules and rights. `keys` and the parts of `api` are the server's, and `before` are the
 * settings that are in force; NULL: none yet. Starts nothing. Returns 0, or a negative errno after
 * saying so. */
int settings_prepare(struct settings *settings, const struct api *api, struct key_table *keys,
                     struct settings *before);

/* Whether only this machine asks the server, without rules: webhooks may then go to this machine.
 */
bool settings_are_local(const struct settings *settings);

/* The proxies that are believed about who their clients are; NULL: none is. */
const struct trusted_proxies *settings_proxies(const struct settings *settings);

/* Ends the backend, if it is the settings' own, and frees all. NULL is fine. The mailboxes of those
 * who wait for its answers must stand. */
void settings_free(struct settings *settings);
