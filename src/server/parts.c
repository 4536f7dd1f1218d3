#include "server/parts.h"

#include "base/hash.h"
#include "base/progress.h"
#include "log/store/sqlite/trouble.h"
#include "server/descriptors.h"
#include "transport/presence_notes.h"
#include "webhooks/progress/registry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Set aside on the disk at most; sealing needs the size of a file. */
enum { DISK_RESERVE_MAX = 64 << 20 };
/* The bound of a log in memory, if none is set. */
enum { MEMORY_BYTES_MAX = 256 << 20 };

const char *data_dir(const struct server *server)
{
    return config_of(server)->data ? config_of(server)->data : "freshet-data";
}

/* Without memory for the sentence, its errno is told. */
static void explain_trouble(const struct server *server, const struct trouble *trouble)
{
    struct buf text = {0};
    trouble_add(&text, trouble, data_dir(server));
    if (buf_failed(&text))
        fprintf(stderr, "freshet serve: %s: %s\n", data_dir(server), strerror(-trouble->error));
    else
        fprintf(stderr, "freshet serve: %.*s\n", STR_FMT(buf_str(&text)));
    buf_free(&text);
}

/* ---- the log, webhooks, presence, keys ------------------------------------------------------- */

/* Retention of what presence tells, unless the configuration has one of its own. */
enum { PRESENCE_KEPT_S = 3600, PRESENCE_KEPT_COUNT = 1000 };

/* The namespaces of the log: those of the configuration, and the server's own. */
static struct namespace_config *namespaces_of(const struct config *config, size_t *ret_count)
{
    static const struct str own[] = {{"$presence", 9}, {"$occupied", 9}};
    struct namespace_config *all = mem_alloc((config->namespaces_count + 2) * sizeof(*all));
    size_t count = config->namespaces_count;
    if (count)
        memcpy(all, config->namespaces, count * sizeof(*all));
    for (size_t i = 0; i < 2; i++) {
        bool is_there = false;
        for (size_t j = 0; j < config->namespaces_count; j++)
            is_there |= str_eq(config->namespaces[j].prefix, own[i]);
        if (!is_there)
            all[count++] = (struct namespace_config){.prefix = own[i],
                                                     .age_us = PRESENCE_KEPT_S * INT64_C(1000000),
                                                     .count = PRESENCE_KEPT_COUNT};
    }
    *ret_count = count;
    return all;
}

static int open_log(struct server *server)
{
    const struct config *config = config_of(server);
    size_t namespaces_count;
    struct namespace_config *namespaces = namespaces_of(config, &namespaces_count);
    struct trouble trouble = {.known_webhooks = REGISTRY_VERSION};
    struct progress progress;
    struct log_config log = {
        .memory = config->memory,
        .store = {.dir = data_dir(server),
                  .roll_bytes = config->roll_bytes,
                  .roll_us = config->roll_us,
                  .reserve_bytes =
                      config->roll_bytes < DISK_RESERVE_MAX ? config->roll_bytes : DISK_RESERVE_MAX,
                  .clock = clock_system(),
                  .progress = &progress,
                  .trouble = &trouble},
        .namespaces = namespaces,
        .namespaces_count = namespaces_count,
        .channels_max = config->channels_max,
        .share_percent = {config->channels_address_percent, config->channels_connection_percent},
        .keys_max = config->keys_max,
        .resolved_max = config->patterns_max,
        .key_life_us = INT64_C(300) * 1000000,
        .bytes_max = config->log_bytes_max ? config->log_bytes_max
                     : config->memory      ? MEMORY_BYTES_MAX
                                           : 0,
        .readers = 2,
    };
    progress_init(&progress, "freshet serve", clock_system(), -1);
    int result = log_open(&log, &server->log);
    free(namespaces);
    if (!result)
        return 0;
    if (trouble.kind == TROUBLE_NONE)
        trouble_look(&trouble, data_dir(server), result);
    explain_trouble(server, &trouble);
    return result;
}

/* Explains an errno that names the cause by itself, such as a full disk. False for the others: what
 * they mean depends on the file. */
static bool explain_plainly(const struct server *server, const char *name, int result)
{
    static const int plain[] = {ENOSPC, EDQUOT, EROFS, EMFILE, ENFILE, ENOMEM};
    struct trouble trouble = {0};
    char path[TROUBLE_PATH];
    bool found = false;
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        found |= result == -plain[i];
    if (!found)
        return false;
    snprintf(path, sizeof(path), "%s/%s", data_dir(server), name);
    trouble_look(&trouble, path, result);
    explain_trouble(server, &trouble);
    return true;
}

/* Webhooks are kept in the log's folder. What opens with them, as their client of HTTP, is not. */
static void explain_webhooks(const struct server *server, int result)
{
    struct trouble trouble = {.known_webhooks = REGISTRY_VERSION};
    char path[TROUBLE_PATH];
    snprintf(path, sizeof(path), "%s/state.db", data_dir(server));
    if (!config_of(server)->memory)
        trouble_look(&trouble, path, result);
    if (trouble.kind == TROUBLE_NONE || trouble.kind == TROUBLE_UNKNOWN)
        fprintf(stderr, "freshet serve: cannot open the webhooks: %s\n", strerror(-result));
    else
        explain_trouble(server, &trouble);
}

static int open_courier(struct server *server)
{
    const struct config *config = config_of(server);
    struct courier_config courier = {
        .log = server->log,
        .clock = clock_system(),
        .dir = config->memory ? NULL : data_dir(server),
        .hub = config->limits.hub,
        .allow_loopback = settings_are_local(settings_of(server)),
        .schedule_ms = config->webhook_schedule_ms,
        .schedule_count = config->webhook_schedule_count,
        .timeout_ms = config->webhook_timeout_ms,
        .base = server->api.base,
        .networks = config->webhook_networks,
        .networks_count = config->webhook_networks_count,
        .hosts = config->webhook_hosts,
        .hosts_count = config->webhook_hosts_count,
        .authorities = buf_str(&config->webhook_ca),
        .identity = config_identity(config),
        .endpoints_max = config->webhook_endpoints_max,
        .subject_endpoints_max = config->webhook_subject_endpoints_max,
        .records_max = config->webhook_records_max,
        .records_age_us = config->webhook_records_age_us,
        .requests_max = server->webhook_requests,
        .hops_max = config->webhook_hops_max,
        .patience_ms = config->webhook_patience_ms,
        .leases = config->leases,
        .is_revoked = api_is_revoked,
        .renew = api_renew,
        .access = &settings_of(server)->api,
        .rules = settings_of(server)->rules,
    };
    memcpy(courier.shares, config->webhook_shares, sizeof(courier.shares));
    int result = courier_open(&courier, &server->courier);
    if (result)
        explain_webhooks(server, result);
    else
        changes_listen(server->changes, courier_revoked(server->courier));
    return result;
}

/* The first worker publishes what presence tells. */
static int open_presence(struct server *server)
{
    const struct config *config = config_of(server);
    const struct presence_config presence = {
        .log = server->log,
        .clock = clock_system(),
        .data = config->memory ? NULL : data_dir(server),
        .limits = config->presence_limits,
        .memory = &server->memory,
        .settings = settings_of(server)->presence,
        .publish = presence_notes_publish,
        .app = &server->workers[0],
    };
    int result = presence_open(&presence, &server->presence);
    if (result && !explain_plainly(server, "presence.db", result))
        fprintf(
            stderr,
            "freshet serve: cannot open %s/presence.db: %s (without that file the server starts, "
            "and has forgotten read marks and who was there)\n",
            data_dir(server), strerror(-result));
    return result;
}

static int open_changes(struct server *server)
{
    const struct changes_config changes = {
        .dir = config_of(server)->memory ? NULL : data_dir(server),
        .clock = clock_system(),
        .keys = &server->keys,
        .revocations = &server->revocations,
    };
    int result = changes_open(&changes, &server->changes);
    for (size_t i = 0; !result && i < config_of(server)->api_keys_count; i++) {
        key_table_put(&server->keys, config_of(server)->api_keys[i]);
        config_of(server)->api_keys[i] = NULL;
    }
    if (result && !explain_plainly(server, "state.db", result))
        fprintf(stderr, "freshet serve: cannot open the keys in %s/state.db: %s\n",
                data_dir(server), strerror(-result));
    return result;
}

/* ---- workers --------------------------------------------------------------------------------- */

static void share_descriptors(struct server *server, uint64_t all)
{
    struct config *config = config_of(server);
    struct descriptors shares =
        descriptors_share(all, config->threads, config->webhook_requests_max);
    server->refusing_max = shares.refusing;
    server->webhook_requests = shares.webhook_requests;
    server->reloading.connections_room = shares.connections;
    config->limits.connections_max = reloading_connections(&server->reloading, config);
}

/* The most addresses and subjects that are told apart at a time. */
enum { HOLDERS_MAX = 1 << 22 };

static int open_quotas(struct server *server)
{
    uint32_t connections = server->reloading.connections_room; /* a reload may allow them */
    uint32_t holders = connections < HOLDERS_MAX ? connections : HOLDERS_MAX;
    int result = quota_init(&server->addresses, holders);
    if (!result)
        result = quota_init(&server->subjects, HOLDERS_MAX);
    if (!result && !(server->rates = rates_new()))
        result = -ENOMEM;
    if (result)
        fprintf(stderr, "freshet serve: no memory to count connections and publishes\n");
    return result;
}

/* Has a worker listen, and speak TLS. */
static int open_doors(struct server *server, struct worker *worker)
{
    const struct config *config = config_of(server);
    int result = 0;
    if (config->tls_server)
        result = worker_speak_tls(worker, config->tls_server, &server->tickets);
    if (result)
        fprintf(stderr, "freshet serve: cannot speak TLS: %s\n", strerror(-result));
    else
        result = listening_open(&config_of(server)->listening, worker);
    worker->config.https_port = listening_https_port(&config->listening); /* a free one, perhaps */
    return result;
}

static int open_worker(struct server *server, unsigned index)
{
    struct worker *worker = &server->workers[index];
    struct worker_config config = {
        .index = index,
        .count = config_of(server)->threads,
        .log = server->log,
        .clock = clock_system(),
        .limits = config_of(server)->limits,
        .spin_us = config_of(server)->spin_us,
        .connections = &server->connections,
        .undrained_workers = &server->undrained,
        .addresses = &server->addresses,
        .subjects = &server->subjects,
        .rates = server->rates,
        .memory = &server->memory,
        .refusing_max = server->refusing_max,
        .want_uring = !config_of(server)->no_uring,
        .authority = settings_of(server)->api.authority,
        .proxies = settings_proxies(settings_of(server)),
        .rules = settings_of(server)->rules,
        .presence = server->presence,
        .presence_settings = settings_of(server)->presence,
        .names = server->names,
        .audit = &server->audit,
        .base = server->api.base,
        .has_admin_door = listening_has_admin(&config_of(server)->listening),
        .app = &settings_of(server)->api,
        .handle = api_handle,
        .admits = api_admits,
        .permissions = &authorization_source,
        .show = authorization_keep,
        .figures_wanted = figures_wanted,
        .is_revoked = api_is_revoked,
        .is_disowned = api_is_disowned,
        .renew = api_renew,
    };
    int result = worker_init(worker, &config);
    if (result)
        fprintf(stderr, "freshet serve: cannot start worker %u: %s\n", index, strerror(-result));
    changes_listen(server->changes, &worker->revoked);
    return result ? result : open_doors(server, worker);
}

/* The parts that handlers use. The workers and the courier are there once they were opened. */
static void fill_api(struct server *server)
{
    const struct config *config = config_of(server);
    const struct str base = config->base ? str_from(config->base) : STR("");
    server->api = (struct api){
        .clock = clock_system(),
        .base = base,
        .started_us = clock_wall_us(clock_system()),
        .workers = server->workers,
        .workers_count = config->threads,
        .keys = &server->keys,
        .revocations = &server->revocations,
        .reloads = &server->reloading.counts,
        .figures = server->figures,
        .descriptions = descriptions_new(base),
    };
}

static int open_parts(struct server *server)
{
    const struct config *config = config_of(server);
    struct api *api = &settings_of(server)->api;
    int result = open_log(server);
    if (!result)
        result = open_changes(server);
    if (!result)
        result = open_courier(server);
    if (!result)
        result = open_presence(server);
    for (unsigned i = 0; !result && i < config->threads; i++)
        result = open_worker(server, i);
    api->log = server->log;
    api->changes = server->changes;
    api->courier = server->courier;
    return result;
}

int parts_open(struct server *server, uint64_t descriptors)
{
    const struct config *config = config_of(server);
    int result;
    hash_prepare(); /* a server is ready when it says so */
    share_descriptors(server, descriptors);
    if ((result = open_quotas(server)))
        return result;
    conn_names_init(&server->names);
    server->workers = mem_alloc(config->threads * sizeof(*server->workers));
    atomic_init(&server->undrained, config->threads);
    server->figures = figures_new(server->workers, config->threads);
    fill_api(server);
    if (config->tls_server && tls_tickets_turn(&server->tickets))
        return -EIO;
    server->tickets_ns = clock_now_ns(clock_system());
    result = settings_prepare(settings_of(server), &server->api, &server->keys, NULL);
    return result ? result : open_parts(server);
}
