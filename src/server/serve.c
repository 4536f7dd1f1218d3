#include "server/serve.h"

#include "api/api.h"
#include "api/figures.h"
#include "base/command_line.h"
#include "base/environment.h"
#include "base/heap.h"
#include "base/hash.h"
#include "base/progress.h"
#include "base/say.h"
#include "webhooks/progress/registry.h"
#include "log/store/sqlite/trouble.h"
#include "server/greeting.h"
#include "server/notify.h"
#include "server/process.h"
#include "server/reload.h"
#include "server/watchdog.h"
#include "transport/presence_notes.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

const char serve_help[] =
    "usage: freshet serve [--listen localhost:7070]… [--data DIR | --memory] [--config FILE]\n"
    "              [--threads N] [--base /PATH] [--insecure]\n\n"
    "Runs the server. Without flags: on loopback only, with its data in ./freshet-data, open to\n"
    "anyone on this machine.\n\n"
    "  --listen ADDRESS:PORT  where to listen; localhost is 127.0.0.1 and ::1; port 0 takes a "
    "free\n"
    "                         one\n"
    "  --data DIR             the folder for the log (made if it is not there)\n"
    "  --memory               keep the log in memory alone\n"
    "  --config FILE          settings, see `freshet help configuration`; options beat the file\n"
    "  --threads N            workers, default one a core\n"
    "  --base /PATH           the path under which the API hangs\n"
    "  --insecure             listen elsewhere than on loopback although there are no access "
    "rules\n\n"
    "SIGTERM drains: streams end politely, publishes are answered, the log is closed. A second "
    "one\n"
    "ends the process at once. SIGHUP reads the file anew.\n"
    "FRESHET_NO_URING=1 in the environment switches io_uring off, FRESHET_NO_SANDBOX=1 the limits\n"
    "that the process sets itself.\n";

/* The descriptors that the log, the courier and connections that are refused may take. */
enum { DESCRIPTORS_SPARE = 200, REFUSING_MAX = 64 };
/* Below that the log's files leave next to nothing for connections. */
enum { DESCRIPTORS_LEAST = 64, DESCRIPTORS_WORKER = 8 };
/* Set aside on the disk at most; sealing needs the size of a file. */
enum { DISK_RESERVE_MAX = 64 << 20 };
/* The bound of a log in memory, if none is set. */
enum { MEMORY_BYTES_MAX = 256 << 20 };
enum { REQUESTS_MIN = 100, REQUESTS_MAX = 2048, REQUESTS_SHARE = 24 };

struct server {
    struct reloading reloading; /* with the settings in force */
    struct api api;             /* the parts that handlers use, whatever the settings */
    struct log *log;
    struct courier *courier;
    struct presence *presence;
    struct key_table keys;
    struct revocations revocations;
    struct changes *changes; /* of both */
    struct audit audit;
    struct worker *workers;
    uint32_t webhook_requests;    /* requests under way at once */
    uint32_t refusing_max;        /* connections over connections_max that are heard */
    _Atomic uint32_t connections; /* of all workers */
    _Atomic uint32_t undrained;   /* workers that have not drained */
    struct quota addresses;       /* that have them, */
    struct quota subjects;        /* and streams */
    struct memory_mark memory;    /* whether it is past memory_max */
    struct rates *rates;          /* at which events are published */
    struct figures *figures;      /* figures as events */
    struct conn_names names;      /* of connections, for their clients */
    struct tls_tickets tickets;
    int64_t tickets_ns; /* when their newest key was made */
    struct watchdog watchdog;
};

/* The settings in force. */
static struct settings *settings_of(const struct server *server)
{
    return server->reloading.current;
}

static struct config *config_of(const struct server *server)
{
    return &server->reloading.current->config;
}

/* ---- before anything runs -------------------------------------------------------------------- */

/* Raises the limit of descriptors as far as allowed, and returns it. */
static uint64_t raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return 1000;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

/* How many descriptors are set aside, of what the workers leave: half if that is little. */
static uint64_t spare_of(uint64_t left)
{
    return left > 2UL * DESCRIPTORS_SPARE ? DESCRIPTORS_SPARE : left / 2;
}

static int check_descriptors(const struct server *server, uint64_t descriptors)
{
    uint64_t least = DESCRIPTORS_LEAST + (uint64_t)config_of(server)->threads * DESCRIPTORS_WORKER;
    if (descriptors >= least)
        return 0;
    fprintf(stderr,
            "freshet serve: this process may open %llu files, and a server with %u workers needs "
            "%llu at least: raise the limit (ulimit -n, or LimitNOFILE= of systemd)\n",
            (unsigned long long)descriptors, config_of(server)->threads, (unsigned long long)least);
    return -EMFILE;
}

/* The number of webhook requests. They need descriptors too, even if there are few for connections.
 * `wanted` is 0 if the configuration does not say. */
static uint32_t requests_of(uint64_t descriptors, uint64_t wanted)
{
    uint64_t share = descriptors / REQUESTS_SHARE;
    if (wanted)
        return (uint32_t)(wanted < descriptors / 2 ? wanted : descriptors / 2);
    if (share < REQUESTS_MIN)
        share = descriptors / 8 < REQUESTS_MIN ? descriptors / 8 + 1 : REQUESTS_MIN;
    return (uint32_t)(share < REQUESTS_MAX ? share : REQUESTS_MAX);
}

static const char *data_dir(const struct server *server)
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

/* Divides the descriptors between connections, webhook requests, connections that are refused, and
 * everything else. */
static void share_descriptors(struct server *server, uint64_t descriptors)
{
    struct config *config = config_of(server);
    uint64_t left = descriptors - (uint64_t)config->threads * DESCRIPTORS_WORKER;
    uint64_t spare = spare_of(left), connections = left - spare;
    server->refusing_max = (uint32_t)(spare * REFUSING_MAX / DESCRIPTORS_SPARE);
    server->webhook_requests = requests_of(connections, config->webhook_requests_max);
    connections -= server->webhook_requests;
    server->reloading.connections_room =
        (uint32_t)(connections < UINT32_MAX ? connections : UINT32_MAX);
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

static int open_all(struct server *server, uint64_t descriptors)
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

/* ---- running --------------------------------------------------------------------------------- */

/* Whether standard output is a stream to systemd's journal: a record of what happened, which nobody
 * reads to try the server. The variable alone says little, since programs inherit it. */
static bool is_journal(void)
{
    struct stat at;
    char stream[64];
    const char *journal = environment("JOURNAL_STREAM");
    if (!journal || fstat(STDOUT_FILENO, &at))
        return false;
    (void)snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)at.st_dev, (uintmax_t)at.st_ino);
    return strcmp(journal, stream) == 0;
}

static void greet(const struct server *server)
{
    struct buf text = {0}, at = {0};
    const struct config *config = config_of(server);
    greeting_add(&text, &(struct greeting){.listening = &config->listening,
                                           .base = server->api.base,
                                           .program = program_invocation_name,
                                           .is_record = is_journal(),
                                           .has_rules = settings_of(server)->rules != &rules_open,
                                           .is_local = settings_are_local(settings_of(server))});
    printf("%.*s", STR_FMT(buf_str(&text)));
    fflush(stdout);
    clearerr(stdout); /* the server runs even if its greeting is not read */
    greeting_add_address(&at, &config->listening, server->api.base, 0);
    say(SAY_INFO, "started", "address=%.*s store=%s workers=%u connections_max=%u",
        STR_FMT(buf_str(&at)), config->memory ? "memory" : "sqlite", config->threads,
        config->limits.connections_max);
    buf_free(&text);
    buf_free(&at);
}

static void note(const char *state)
{
    int result = notify_manager(state);
    if (result)
        say(SAY_WARN, "manager_not_told", "state=%s error=\"%s\"", state, strerror(-result));
}

/* The signals to wait for. */
static sigset_t signals_of_ours(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

static void block_signals(void)
{
    sigset_t set = signals_of_ours();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Waits for a signal this many ms, for ever if negative. Returns its number, or -1. */
static int wait_for_signal(int64_t ms)
{
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    sigset_t set = signals_of_ours();
    return ms < 0 ? sigwaitinfo(&set, NULL) : sigtimedwait(&set, NULL, &wait);
}

static bool ends(int number)
{
    return number == SIGTERM || number == SIGINT;
}

/* ---- reloading ------------------------------------------------------------------------------- */

static void reload(struct server *server)
{
    char state[64];
    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld",
             (long long)(clock_now_ns(clock_system()) / 1000));
    note(state);
    reloading_reload(&server->reloading);
    note("READY=1");
}

/* New keys for the tickets of sessions each so often; those that three of them ago began can be
 * resumed no more. */
enum { TICKETS_S = 4 * 3600 };

/* In how many ms the keys of tickets are to be changed; -1: there are none. */
static int64_t tickets_due_ms(const struct server *server)
{
    int64_t age_ns = clock_now_ns(clock_system()) - server->tickets_ns;
    if (!config_of(server)->tls_server)
        return -1;
    return age_ns < TICKETS_S * INT64_C(1000000000) ? TICKETS_S * INT64_C(1000) - age_ns / 1000000
                                                    : 0;
}

/* Connections that are made from now on get tickets by the new key. */
static void turn_tickets(struct server *server)
{
    if (tickets_due_ms(server))
        return;
    server->tickets_ns = clock_now_ns(clock_system());
    if (!tls_tickets_turn(&server->tickets))
        reloading_share_tickets(&server->reloading);
}

static int64_t sooner_ms(int64_t a, int64_t b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* Waits for the end; meanwhile this thread gives freed memory back, reloads, and changes the keys
 * of tickets. */
static void wait_and_tidy(struct server *server)
{
    struct heap_watch watch = {0};
    for (;;) {
        int64_t due_ms = sooner_ms(heap_look(&watch), tickets_due_ms(server));
        int number = wait_for_signal(sooner_ms(due_ms, reloading_tidy(&server->reloading)));
        if (ends(number))
            return;
        if (number == SIGHUP)
            reload(server);
        turn_tickets(server);
    }
}

static void *second_signal(void *arg)
{
    (void)arg;
    while (!ends(wait_for_signal(-1)))
        ;
    _exit(1);
}

/* Reports that the server is about to end, before it does. Load balancers ask /readyz from time to
 * time, and must have stopped sending new requests before the server refuses them. */
static void announce(struct server *server)
{
    int64_t ms = config_of(server)->drain_delay_ms;
    atomic_store(&settings_of(server)->api.draining, true);
    note("STOPPING=1");
    if (!ms)
        return;
    say(SAY_INFO, "going", "drain_in_ms=%lld", (long long)ms);
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&wait, &wait) && errno == EINTR)
        ;
}

/* Mail that came when its worker's thread had ended may lead to mail for workers before it. */
static void open_last_mail(struct server *server)
{
    unsigned opened = 1;
    while (opened) {
        opened = 0;
        for (unsigned i = 0; i < server->reloading.workers_count; i++)
            opened += mailbox_empty(&server->workers[i].loop.mailbox);
    }
}

static void drain(struct server *server)
{
    pthread_t impatient;
    if (!pthread_create(&impatient, NULL, second_signal, NULL))
        pthread_detach(impatient);
    announce(server);
    say(SAY_INFO, "draining", "within_ms=%lld", (long long)config_of(server)->limits.drain_ms);
    listening_close(&server->reloading.first->config.listening);
    presence_pause(server->presence);
    watchdog_let_go(&server->watchdog);
    for (unsigned i = 0; i < server->reloading.workers_count; i++)
        worker_drain(&server->workers[i]);
    for (unsigned i = 0; i < server->reloading.workers_count; i++)
        worker_join(&server->workers[i]);
    reloading_stop(&server->reloading);
    courier_stop(server->courier);
    presence_stop(server->presence);
    changes_close(server->changes);
    log_close(server->log);
    watchdog_stop(&server->watchdog);
    open_last_mail(server);
    for (unsigned i = 0; i < server->reloading.workers_count; i++)
        worker_deinit(&server->workers[i]);
    quota_deinit(&server->addresses);
    quota_deinit(&server->subjects);
    rates_free(server->rates);
    figures_free(server->figures);
    courier_free(server->courier);
    presence_free(server->presence);
    key_table_deinit(&server->keys);
    revocations_deinit(&server->revocations);
    say(SAY_INFO, "stopped", "log=closed");
}

static int start_threads(struct server *server)
{
    int result = courier_start(server->courier);
    result = result ? result : presence_start(server->presence);
    result = result ? result : changes_start(server->changes);
    result = result ? result : backend_start(settings_of(server)->backend);
    for (unsigned i = 0; !result && i < config_of(server)->threads; i++)
        result = worker_start(&server->workers[i]);
    server->reloading.workers = server->workers;
    server->reloading.workers_count = config_of(server)->threads;
    server->reloading.courier = server->courier;
    server->reloading.presence = server->presence;
    server->reloading.keys = &server->keys;
    server->reloading.tickets = &server->tickets;
    return result;
}

/* The manager watches from READY=1 on. A server that it cannot watch serves all the same. */
static void watch(struct server *server)
{
    for (unsigned i = 0; i < config_of(server)->threads; i++)
        watchdog_add(&server->watchdog, &server->workers[i].loop.mailbox);
    int result = watchdog_start(&server->watchdog);
    if (result)
        say(SAY_ERROR, "watchdog_missing", "error=\"%s\"", strerror(-result));
}

static int confine(const struct server *server)
{
    process_confine(config_of(server), config_of(server)->memory ? NULL : data_dir(server));
    return 0;
}

static int run(struct server *server)
{
    struct config *config = config_of(server);
    struct listening *listening = &config->listening;
    bool changes_user = process_changes_user(config);
    uint64_t descriptors = raise_descriptors();
    process_warn(config);
    if (check_descriptors(server, descriptors) ||
        (changes_user ? listening_take(listening) : listening_check(listening)) ||
        process_become(config) || confine(server) || open_all(server, descriptors) ||
        start_threads(server)) {
        listening_close(listening); /* nothing is left in the file system */
        return 1; /* the process ends and closes everything; no event was accepted yet */
    }
    greet(server);
    note("READY=1");
    watch(server);
    wait_and_tidy(server);
    drain(server);
    free(server->workers);
    descriptions_free(server->api.descriptions);
    return 0;
}

static int explain(int result, const struct faults *faults)
{
    if (result == COMMAND_LINE_HELP)
        return fputs(serve_help, stdout) < 0;
    faults_print(faults, "freshet serve");
    fprintf(stderr, "Try: freshet help serve\n");
    return 2;
}

/* Takes the sockets of the service manager first: the configuration opens files. */
static int read_settings(struct settings **ret, int argc, char **argv, struct faults *faults)
{
    struct activation activation;
    int taken = activation_take(&activation, faults);
    int result = settings_read(ret, argc, argv, faults);
    if (!result)
        result = taken ? taken : config_adopt(&(*ret)->config, &activation, faults);
    return result;
}

/* Blocks from this size on are mapped by themselves, and go back to the system when they are freed.
 * By default the allocator raises this size with the first large block that comes and goes, and
 * then keeps the memory of a burst of messages for good. Blocks that are made all the time, such as
 * pages of encoded events, are smaller. */
enum { MAPPED_LEAST = 512 * 1024 };

int serve_main(int argc, char **argv)
{
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_LEAST);
    struct server server = {.api = {.base = STR_NONE}};
    struct settings *settings;
    key_table_init(&server.keys);
    revocations_init(&server.revocations);
    watchdog_init(&server.watchdog);
    struct faults faults = {0};
    block_signals();
    int result = read_settings(&settings, argc, argv, &faults);
    reloading_init(&server.reloading, argc, argv, settings);
    int code = result ? explain(result, &faults) : run(&server);
    faults_free(&faults);
    reloading_deinit(&server.reloading);
    return code;
}
