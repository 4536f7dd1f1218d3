#include "server/reload.h"

#include "base/mem.h"
#include "base/say.h"
#include "server/changed.h"
#include "server/process.h"
#include "server/yaml_file.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

enum { TIDY_MS = 100, PATIENCE_S = 120 }; /* no question waits that long */

void reloading_init(struct reloading *reloading, int argc, char **argv, struct settings *first)
{
    *reloading = (struct reloading){.argc = argc, .argv = argv, .first = first, .current = first};
    list_init(&reloading->retired);
}

uint32_t reloading_connections(const struct reloading *reloading, const struct config *config)
{
    uint64_t wanted = config->connections_max;
    return wanted && wanted < reloading->connections_room ? (uint32_t)wanted
                                                          : reloading->connections_room;
}

/* ---- switching ------------------------------------------------------------------------------- */

struct switching {
    sem_t done;
    struct courier_change courier;
    struct switching_worker {
        struct worker_change change;
        struct switching *whole;
    } workers[];
};

static void worker_done(struct worker_change *change)
{
    (void)sem_post(&container_of(change, struct switching_worker, change)->whole->done);
}

static void courier_done(struct courier_change *change)
{
    (void)sem_post(&container_of(change, struct switching, courier)->done);
}

static void post_all(struct reloading *reloading, struct switching *switching,
                     struct settings *next, bool keys_changed)
{
    const struct worker_settings settings = {
        .limits = next->config.limits,
        .authority = next->api.authority,
        .rules = next->rules,
        .presence_settings = next->presence,
        .proxies = settings_proxies(next),
        .app = &next->api,
        .tls = next->config.tls_server,
        .tickets = reloading->tickets,
        .keys_changed = keys_changed,
    };
    /* Presence comes first: workers that have switched report subscribers by the new settings. */
    presence_switch(reloading->presence, next->presence, &next->config.presence_limits);
    for (unsigned i = 0; i < reloading->workers_count; i++) {
        switching->workers[i] = (struct switching_worker){
            .change = {.settings = settings, .done = worker_done}, .whole = switching};
        worker_switch(&reloading->workers[i], &switching->workers[i].change);
    }
    switching->courier =
        (struct courier_change){.access = &next->api,
                                .allow_loopback = settings_are_local(next),
                                .hub = next->config.limits.hub,
                                .subject_endpoints_max = next->config.webhook_subject_endpoints_max,
                                .authorities = buf_str(&next->config.webhook_ca),
                                .identity = config_identity(&next->config),
                                .before = reloading->current->rules,
                                .after = next->rules,
                                .done = courier_done};
    courier_switch(reloading->courier, &switching->courier);
}

static void wait_for_all(sem_t *done, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        while (sem_wait(done))
            ;
    (void)sem_destroy(done);
}

/* Has all threads switch, and waits until they have. */
static void switch_all(struct reloading *reloading, struct settings *next, bool keys_changed)
{
    struct switching *switching =
        mem_alloc(sizeof(*switching) + reloading->workers_count * sizeof(struct switching_worker));
    (void)sem_init(&switching->done, 0, 0);
    post_all(reloading, switching, next, keys_changed);
    wait_for_all(&switching->done, reloading->workers_count + 1);
    free(switching);
}

struct sharing {
    sem_t done;
    struct sharing_worker {
        struct worker_tickets tickets;
        struct sharing *whole;
    } workers[];
};

static void tickets_done(struct worker_tickets *tickets)
{
    (void)sem_post(&container_of(tickets, struct sharing_worker, tickets)->whole->done);
}

/* The ticket keys alone change: new settings would have all streams and webhooks looked at anew. */
void reloading_share_tickets(struct reloading *reloading)
{
    size_t count = reloading->workers_count;
    struct sharing *sharing = mem_alloc(sizeof(*sharing) + count * sizeof(struct sharing_worker));
    (void)sem_init(&sharing->done, 0, 0);
    for (size_t i = 0; i < count; i++) {
        sharing->workers[i] = (struct sharing_worker){
            .tickets = {.keys = reloading->tickets, .done = tickets_done}, .whole = sharing};
        worker_share_tickets(&reloading->workers[i], &sharing->workers[i].tickets);
    }
    wait_for_all(&sharing->done, (unsigned)count);
    free(sharing);
}

/* ---- retiring -------------------------------------------------------------------------------- */

static bool is_in_use(const struct settings *settings, int64_t now_ns)
{
    return settings->users || (!backend_is_idle(settings->backend) &&
                               now_ns - settings->retired_ns < PATIENCE_S * INT64_C(1000000000));
}

/* The settings of the start stay to the end, but for what asks others. */
static void let_go(struct reloading *reloading, struct settings *settings)
{
    list_remove(&settings->retired);
    if (settings != reloading->first) {
        settings_free(settings);
        return;
    }
    backend_stop(settings->backend);
    backend_free(settings->backend);
    settings->backend = NULL;
}

int64_t reloading_tidy(struct reloading *reloading)
{
    int64_t now_ns = clock_now_ns(clock_system());
    bool waits = false;
    list_each (&reloading->retired, node) {
        struct settings *settings = container_of(node, struct settings, retired);
        if (!is_in_use(settings, now_ns))
            let_go(reloading, settings);
        else
            waits |= !settings->users;
    }
    return waits ? TIDY_MS : -1;
}

static void retire(struct reloading *reloading, struct settings *settings)
{
    settings->retired_ns = clock_now_ns(clock_system());
    list_add_last(&reloading->retired, &settings->retired);
    (void)reloading_tidy(reloading);
}

/* ---- reloading ------------------------------------------------------------------------------- */

/* The first line of the faults. */
static struct str first_of(const struct faults *faults)
{
    struct str rest = buf_str(&faults->text);
    return str_cut(&rest, '\n');
}

static void refuse(struct reloading *reloading, const struct faults *faults, const char *otherwise)
{
    char why[400];
    struct str first = faults->count ? first_of(faults) : str_from(otherwise);
    atomic_fetch_add(&reloading->counts.refused, 1);
    say(SAY_ERROR, "reload_refused", "faults=%u detail=\"nothing has changed\" why=%s",
        faults->count, say_quote(why, sizeof(why), first.at, first.len));
    faults_print(faults, "freshet serve: reload");
}

static void say_waiting(const struct reloading *reloading, const struct config *config)
{
    struct buf names = {0};
    if (changed_add_waiting(&reloading->first->config, config, &names) && !buf_failed(&names))
        say(SAY_WARN, "reload_incomplete", "detail=\"these wait for a restart\" keys=%.*s",
            STR_FMT(buf_str(&names)));
    buf_free(&names);
}

static void say_reloaded(const struct settings *settings, size_t keys)
{
    say(SAY_INFO, "reloaded", "signal=SIGHUP certificates=%zu rules=%zu keys=%zu issuers=%zu",
        settings->config.tls_server ? settings->config.tls.pairs_count : 0, settings->rules->count,
        keys, settings->config.issuers.count);
}

/* Certificates can be others, but TLS itself comes and goes with the listeners. */
static void settle_tls(const struct reloading *reloading, struct config *config)
{
    const struct config *now = &reloading->current->config;
    if (now->tls_server && config->tls_server)
        return;
    tls_server_unref(config->tls_server);
    config->tls_server = now->tls_server ? tls_server_ref(now->tls_server) : NULL;
}

/* Everything that can fail. */
static int prepare(struct reloading *reloading, struct settings *next)
{
    settle_tls(reloading, &next->config);
    next->config.limits.connections_max = reloading_connections(reloading, &next->config);
    int result =
        settings_prepare(next, &reloading->current->api, reloading->keys, reloading->current);
    return result ? result : backend_start(next->backend);
}

static void take(struct reloading *reloading, struct settings *next)
{
    struct settings *before = reloading->current;
    size_t keys = next->config.api_keys_count;
    bool keys_changed = key_table_replace_configured(reloading->keys, next->config.api_keys, keys);
    switch_all(reloading, next, keys_changed);
    reloading->current = next;
    atomic_fetch_add(&reloading->counts.done, 1);
    say_reloaded(next, keys);
    say_waiting(reloading, &next->config);
    process_warn(&next->config);
    retire(reloading, before);
}

/* Refuses a file that sets nothing while there are rules. A program that is just writing the file,
 * or a full disk, leaves it empty, and without rules everybody may do everything. */
static void check_content(const struct reloading *reloading, const struct config *config,
                          struct faults *faults)
{
    struct place place = {config->path, 0};
    if (config->file && !yaml_count(yaml_file_root(config->file)) &&
        reloading->current->config.has_access)
        faults_add(faults, &place, "",
                   "is empty, and would take all access rules away: is it being written, or is the "
                   "disk full? If that is meant, write a section without settings: limits: {}");
}

/* Reads and checks the configuration. Its addresses wait for a restart, so the rules have to do for
 * those on which the server listens, too. */
static int read_anew(struct reloading *reloading, struct settings **ret, struct faults *faults)
{
    int result = settings_read(ret, reloading->argc, reloading->argv, faults);
    if (result)
        return result;
    check_content(reloading, &(*ret)->config, faults);
    config_check_reach(&(*ret)->config, &reloading->first->config.listening, faults);
    return faults->count ? -EINVAL : 0;
}

void reloading_reload(struct reloading *reloading)
{
    struct settings *next;
    struct faults faults = {0};
    int result = read_anew(reloading, &next, &faults);
    if (result)
        refuse(reloading, &faults, "");
    else if ((result = prepare(reloading, next)))
        refuse(reloading, &faults, strerror(-result));
    else
        take(reloading, next);
    if (result)
        settings_free(next);
    faults_free(&faults);
}

/* ---- the end --------------------------------------------------------------------------------- */

void reloading_stop(struct reloading *reloading)
{
    backend_stop(reloading->current->asker->backend);
    list_each (&reloading->retired, node)
        backend_stop(container_of(node, struct settings, retired)->backend);
}

void reloading_deinit(struct reloading *reloading)
{
    struct list *retired = &reloading->retired;
    list_remove(&reloading->first->retired);
    if (reloading->current != reloading->first)
        settings_free(reloading->current);
    while (!list_empty(retired)) { /* the later first: they use earlier ones */
        struct settings *settings = container_of(retired->prev, struct settings, retired);
        list_remove(&settings->retired);
        settings_free(settings);
    }
    settings_free(reloading->first);
}
