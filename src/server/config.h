/* The operator's settings, from file and flags, with every default in one place. */
#pragma once

#include "access/api_key.h"
#include "access/issuers.h"
#include "access/rules.h"
#include "backend/authorize.h"
#include "backend/jwks.h"
#include "fetch/address.h"
#include "webhooks/websub/form.h"
#include "webhooks/endpoint/pool.h"
#include "inbound/source.h"
#include "log/channels.h"
#include "net/tls_server.h"
#include "presence/presence.h"
#include "server/activation.h"
#include "server/faults.h"
#include "server/listening.h"
#include "transport/worker.h"

#include <limits.h>

enum {
    CONFIG_LISTEN_MAX = WORKER_LISTENERS_MAX / LISTEN_NAME_MAX,
    CONFIG_SCHEDULE_MAX = 16,
    CONFIG_SPACES_MAX = 1000,
    CONFIG_SOURCES_MAX = 100,
    CONFIG_KEYS_MAX = 100,
    CONFIG_ALLOW_MAX = 64,
    CONFIG_ORIGINS_MAX = 64,
    CONFIG_HOSTS_MAX = 64,
    CONFIG_PROXIES_MAX = 64,
    CONFIG_SHARES_MAX = 90, /* percent */
};

/* A namespace as the file has it, while it is read. */
struct namespace_item {
    struct namespace_config settings;
    struct rule rule; /* without its prefix */
    struct publish_limit publish;
    bool has_rule;
    struct authorize_server authorize; /* the server to ask; none without a url */
    const char *authorize_secret;
    bool has_headers;
    struct presence_rule presence; /* without its prefix */
};

/* Texts are borrowed from the command line or from `file`. */
struct config {
    struct listen_item listen[CONFIG_LISTEN_MAX];
    size_t listen_count; /* 0: the default */
    const char *data;
    const char *base;
    bool memory;
    bool playground; /* anybody may use the channels of the playground, within small limits */
    bool insecure;
    bool no_uring;            /* the environment has FRESHET_NO_URING */
    bool no_sandbox;          /* and FRESHET_NO_SANDBOX */
    const char *path;         /* of the file; NULL: there is none */
    const char *user, *group; /* that the process becomes; NULL: it stays */
    unsigned threads;
    int64_t spin_us; /* how long a worker looks for more work before it sleeps */

    struct listening listening; /* the parsed value of `listen` */

    struct tls_settings tls;
    struct tls_server *tls_server; /* made of them; NULL without certificates. Owned */

    struct str hosts[CONFIG_HOSTS_MAX]; /* names by which the server may be called */
    size_t hosts_count;
    struct str origins[CONFIG_ORIGINS_MAX]; /* websites that may use the server */
    size_t origins_count;

    struct network proxies[CONFIG_PROXIES_MAX]; /* peers that speak for others */
    size_t proxies_count;
    bool proxies_unix; /* those on Unix sockets too */
    const char *forwarded_header;

    /* The rules of access. Without any of these keys everybody may do everything. */
    bool has_access;
    struct rule *rules; /* of all channels, and of namespaces that have some of their own */
    size_t rules_count;
    struct authorize_server *authorizers; /* of namespaces that ask somebody else; owned */
    size_t authorizers_count;
    const char *cookie; /* the cookie that holds a credential; NULL: none */
    struct network access_networks[CONFIG_ALLOW_MAX]; /* where servers that are asked about access
                                                       * may be, besides public addresses */
    size_t access_networks_count;
    const char *access_hosts[CONFIG_ALLOW_MAX];
    size_t access_hosts_count;

    struct namespace_config *namespaces;
    size_t namespaces_count;

    struct presence_rule *presence; /* of namespaces; owned */
    size_t presence_count;
    struct presence_limits presence_limits;

    struct publish_limit publish;       /* of all channels */
    struct publish_limit *publish_list; /* the first is that, then those of namespaces; owned */
    size_t publish_count;
    struct publish_limits *publish_limits; /* their effect; NULL: no limits. Owned */

    struct worker_limits limits;
    uint64_t connections_max; /* of all workers together; 0: as many as the limit of open files
                               * allows */
    uint64_t channels_max;
    unsigned channels_address_percent;
    unsigned channels_connection_percent;
    uint64_t keys_max;
    uint64_t patterns_max;
    uint64_t token_cache_bytes;
    struct authorize_limits authorize_limits;
    uint32_t jwks_address_max;
    int64_t drain_delay_ms; /* from a signal to the drain */
    uint64_t event_soft_max;
    uint32_t batch_max;
    uint64_t log_bytes_max;
    uint64_t roll_bytes;
    int64_t roll_us;

    int64_t webhook_schedule_ms[CONFIG_SCHEDULE_MAX];
    size_t webhook_schedule_count;
    int64_t webhook_timeout_ms;
    struct network webhook_networks[CONFIG_ALLOW_MAX]; /* targets that webhooks may have, public or
                                                        * not */
    size_t webhook_networks_count;
    const char *webhook_hosts[CONFIG_ALLOW_MAX];
    size_t webhook_hosts_count;
    const char *webhook_ca_file; /* NULL: only the system's authorities */
    struct buf webhook_ca;       /* the content of that file */
    const char *webhook_cert_file;
    const char *webhook_key_file;
    struct buf webhook_cert, webhook_key; /* the contents of these files */
    const char *webhook_cert_hosts[CONFIG_ALLOW_MAX];
    size_t webhook_cert_hosts_count;
    uint32_t webhook_endpoints_max;
    uint32_t webhook_subject_endpoints_max;
    uint64_t webhook_requests_max; /* 0: by the limit of open files */
    unsigned webhook_hops_max;
    unsigned webhook_shares[POOL_CLASSES]; /* in percent; 0: the default */
    int64_t webhook_patience_ms;
    uint64_t webhook_records_max;
    int64_t webhook_records_age_us;
    struct websub_leases leases;

    struct issuers issuers;                   /* of tokens; owned */
    const char *token_key_files[ISSUERS_MAX]; /* those that have a key which signs */
    size_t token_key_files_count;
    struct buf secret_files; /* const char *: the files that hold secrets by file:PATH */

    struct source **sources; /* webhooks of others that become events; owned */
    size_t sources_count;

    struct api_key **api_keys; /* owned, until the table of keys takes one and leaves NULL */
    size_t api_keys_count;

    struct yaml_file *file; /* the parsed file; owned */
};

/* Sets every default. */
void config_init(struct config *config);

/* Reads the file over the defaults. Returns 0, or -EINVAL with every fault in `faults`. */
int config_read(struct config *config, const char *path, struct faults *faults);

/* Reads the environment and the command's options, argv[1] onward, over that; the file of --config
 * is read first. Returns 0, COMMAND_LINE_HELP, or -EINVAL with every fault in `faults`. */
int config_options(struct config *config, int argc, char **argv, struct faults *faults);

/* Adds a fault for each of these addresses that strangers can reach, if the configuration lets
 * everybody do everything and does not say that this is meant. */
void config_check_reach(const struct config *config, const struct listening *listening,
                        struct faults *faults);

/* Takes over sockets that the service manager has opened: with `listen` each must be one of its
 * addresses, without it they are all the addresses there are. The same checks hold for them.
 * Returns 0, or -EINVAL with every fault in `faults`. */
int config_adopt(struct config *config, const struct activation *activation, struct faults *faults);

/* The certificate for receivers of webhooks, borrowed from the configuration. */
struct client_identity config_identity(const struct config *config);

void config_free(struct config *config);
