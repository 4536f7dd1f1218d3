/* What the operator may set, by file and by flags, with every default in one place. */
#pragma once

#include "courier/address.h"
#include "courier/pool.h"
#include "inbound/source.h"
#include "log/channels.h"
#include "server/faults.h"
#include "transport/worker.h"

#include <limits.h>

enum {
    CONFIG_SCHEDULE_MAX = 16,
    CONFIG_SPACES_MAX = 1000,
    CONFIG_SOURCES_MAX = 100,
    CONFIG_ALLOW_MAX = 64,
    CONFIG_ORIGINS_MAX = 64,
    CONFIG_SHARES_MAX = 90, /* percent */
};

/* Texts are borrowed from the command line or are in `file`. */
struct config {
    const char *listen;
    const char *data;
    const char *base;
    bool memory;
    bool insecure;
    bool no_uring;
    unsigned threads;
    int64_t spin_us; /* which a worker looks for more work before it sleeps */

    struct listen_address addresses[LISTEN_ADDRESSES_MAX]; /* what `listen` says */
    unsigned addresses_count;

    struct str origins[CONFIG_ORIGINS_MAX]; /* websites that may use the server */
    size_t origins_count;

    struct space_config *spaces;
    size_t spaces_count;

    struct worker_limits limits;
    uint64_t connections_max; /* of all workers together; 0: what the file limit allows */
    uint64_t channels_max;
    unsigned channels_address_percent;
    unsigned channels_connection_percent;
    uint64_t keys_max;
    uint64_t patterns_max;
    int64_t drain_delay_ms; /* from a signal to the drain */
    uint64_t event_soft_max;
    uint32_t batch_max;
    uint64_t log_bytes_max;
    uint64_t roll_bytes;
    int64_t roll_us;

    int64_t webhook_schedule_ms[CONFIG_SCHEDULE_MAX];
    size_t webhook_schedule_count;
    int64_t webhook_timeout_ms;
    struct network webhook_networks[CONFIG_ALLOW_MAX]; /* where webhooks may go, public or not */
    size_t webhook_networks_count;
    const char *webhook_hosts[CONFIG_ALLOW_MAX];
    size_t webhook_hosts_count;
    const char *webhook_ca_file; /* NULL: the system's authorities alone */
    uint32_t webhook_endpoints_max;
    uint64_t webhook_requests_max;         /* 0: by the limit of open files */
    unsigned webhook_shares[POOL_CLASSES]; /* percent; 0 for the courier's */
    int64_t webhook_patience_ms;
    uint64_t webhook_records_max;
    int64_t webhook_records_age_us;

    struct source **sources; /* whose webhooks become events; owned */
    size_t sources_count;

    struct yaml_file *file; /* what was read; owned */
};

/* Every default. */
void config_init(struct config *config);

/* Reads the file over the defaults. 0, or -EINVAL with all that is wrong in `faults`. */
int config_read(struct config *config, const char *path, struct faults *faults);

/* Where to listen, as text. */
static inline const char *config_listen(const struct config *config)
{
    return config->listen ? config->listen : "localhost:7070";
}

/* Reads the environment and the command's options, argv[1] onward, over that; --config among them
 * is read first. 0, COMMAND_LINE_HELP, or -EINVAL with all that is wrong in `faults`. */
int config_options(struct config *config, int argc, char **argv, struct faults *faults);

void config_free(struct config *config);
