#include "server/config_file.h"

#include "fetch/identity.h"
#include "server/config_access.h"
#include "server/config_inbound.h"
#include "server/config_lists.h"
#include "server/config_namespaces.h"
#include "server/config_walk.h"
#include "server/read_file.h"

/* The function for each list that the table of keys has. */
static const struct list_row lists[] = {
    {"listen", config_read_listen},
    {"tls.certificates", config_read_pairs},
    {"webhooks.schedule_ms", config_read_schedule},
    {"webhooks.allow", config_read_allow},
    {"webhooks.cert_hosts", config_read_cert_hosts},
    {"trusted_proxies", config_read_proxies},
    {"hosts", config_read_hosts},
    {"origins", config_read_origins},
    {"access.allow", config_read_access_allow},
    {"access.anybody", config_read_anybody},
    {"access.authenticated", config_read_authenticated},
    {"namespaces.access.anybody", config_read_anybody_here},
    {"namespaces.access.authenticated", config_read_authenticated_here},
    {"namespaces.authorize.headers", config_read_authorize_headers},
    {"namespaces", config_read_namespaces},
    {"tokens", config_read_tokens},
    {"inbound", config_read_sources},
    {"inbound.secrets", config_read_secrets},
    {"keys", config_read_api_keys},
    {"keys.grants", config_read_grants},
    {"keys.grants.channels", config_read_grant_channels},
    {"keys.grants.may", config_read_grant_actions},
};

/* ---- settings that depend on each other ------------------------------------------------------ */

/* Checks the shares of the requests, in percent: some must be left for endpoints that answer
 * soon. */
static void check_shares(const struct config *config, const struct place *place,
                         struct faults *faults)
{
    unsigned all = config->webhook_shares[POOL_SLOW] + config->webhook_shares[POOL_NEW] +
                   config->webhook_shares[POOL_FAILING] + config->webhook_shares[POOL_ASKED];
    if (all > CONFIG_SHARES_MAX)
        faults_add(faults, place, "webhooks",
                   "slow_share, new_share, failing_share and asked_share are %u percent together; "
                   "at most %d leave something for webhooks that answer soon",
                   all, CONFIG_SHARES_MAX);
}

enum { IDENTITY_FILE_MAX = 1 << 20 };

/* Reads the certificate and its key now: what the files have later waits for a reload. Returns what
 * is wrong, or NULL. */
static const char *read_identity(struct config *config)
{
    (void)read_file(config->webhook_cert_file, IDENTITY_FILE_MAX, &config->webhook_cert);
    (void)read_file(config->webhook_key_file, IDENTITY_FILE_MAX, &config->webhook_key);
    return identity_check(buf_str(&config->webhook_cert), buf_str(&config->webhook_key));
}

static void check_identity(struct config *config, const struct place *place, struct faults *faults)
{
    bool certificate = config->webhook_cert_file, key = config->webhook_key_file,
         hosts = config->webhook_cert_hosts_count > 0;
    if (!certificate && !key && !hosts)
        return;
    const char *why =
        certificate && key && hosts
            ? read_identity(config)
            : "cert_file, key_file and cert_hosts belong together: give all three, or none";
    if (why)
        faults_add(faults, place, "webhooks", "%s", why);
}

static void check_leases(const struct config *config, const struct place *place,
                         struct faults *faults)
{
    if (config->leases.least > config->leases.most)
        faults_add(faults, place, "websub", "lease_least_s is more than lease_most_s");
}

static void check_together(struct config_walk *walk, const struct yaml_file *file)
{
    struct config *config = walk->config;
    struct yaml_value root = yaml_file_root(file);
    struct place place = walk_place_of(&root, STR("webhooks"));
    check_shares(config, &place, walk->faults);
    check_identity(config, &place, walk->faults);
    place = walk_place_of(&root, STR("websub"));
    check_leases(config, &place, walk->faults);
    place = walk_place_of(&root, STR("memory"));
    if (config->memory && config->data)
        faults_add(walk->faults, &place, "memory",
                   "a log in memory has no folder: leave out either memory or data");
}

void config_file_read(struct config *config, const char *path, struct faults *faults)
{
    struct config_walk walk = {
        .config = config,
        .faults = faults,
        .lists = lists,
        .lists_count = sizeof(lists) / sizeof(lists[0]),
        .on_empty = config_note_access,
    };
    if (yaml_file_open(path, &config->file, faults))
        return;
    struct yaml_value root = yaml_file_root(config->file);
    if (yaml_kind(root) == YAML_MAP)
        walk_map(&walk, root, STR(""), config);
    else if (yaml_kind(root) != YAML_NOTHING)
        walk_fault(&walk, root, STR(""), "the file holds keys, as in `listen: 127.0.0.1:7070`");
    config_add_playground(config);
    config->limits.ws.frame_max = config->limits.ws.message_max;
    config->publish_list[0] = config->publish;
    if (publish_limits_new(config->publish_list, config->publish_count, &config->publish_limits))
        faults_add(faults, NULL, "rates", "there is no memory for them");
    config->limits.publish = config->publish_limits;
    check_together(&walk, config->file);
}

struct place config_file_place(const struct config *config, struct str name)
{
    if (!config->file)
        return (struct place){NULL, 0};
    struct yaml_value root = yaml_file_root(config->file);
    return walk_place_of(&root, name);
}
