#include "server/serve.h"

#include "access/decide.h"
#include "base/command_line.h"
#include "base/environment.h"
#include "base/heap.h"
#include "base/say.h"
#include "server/descriptors.h"
#include "server/greeting.h"
#include "server/notify.h"
#include "server/parts.h"
#include "server/process.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

const char serve_help[] =
    "Usage: freshet serve [--listen localhost:7070]… [--data DIR | --memory] [--config FILE]\n"
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

static bool anybody_reads(const struct server *server)
{
    const struct access anybody = {.rules = settings_of(server)->rules};
    return access_decide(&anybody, ACTION_READ, STR("news")) == ACCESS_ALLOWED;
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
                                           .anybody_reads = anybody_reads(server),
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

/* The age at which session tickets get a new key. The keys before it still open tickets, until
 * TLS_TICKETS_KEPT newer ones exist; clients with older tickets shake hands in full. */
enum { TICKETS_S = 4 * 3600 };

/* In how many ms session tickets are to get a new key; -1: the server has no tickets. */
static int64_t tickets_due_ms(const struct server *server)
{
    int64_t age_ns = clock_now_ns(clock_system()) - server->tickets_ns;
    if (!config_of(server)->tls_server)
        return -1;
    return age_ns < TICKETS_S * INT64_C(1000000000) ? TICKETS_S * INT64_C(1000) - age_ns / 1000000
                                                    : 0;
}

/* Gives session tickets a new key if it is time: connections made from now on get theirs by it. */
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

/* The service manager watches from READY=1 on. Without the watchdog the server serves all the same.
 */
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
    const char *data = config_of(server)->memory ? NULL : data_dir(server);
    process_confine(config_of(server), data);
    process_warn_of_data(data);
    return 0;
}

static int check_descriptors(const struct server *server, uint64_t descriptors)
{
    uint64_t least = descriptors_least(config_of(server)->threads);
    if (descriptors >= least)
        return 0;
    fprintf(stderr,
            "freshet serve: this process may open %llu files, and a server with %u workers needs "
            "%llu at least: raise the limit (ulimit -n, or LimitNOFILE= of systemd)\n",
            (unsigned long long)descriptors, config_of(server)->threads, (unsigned long long)least);
    return -EMFILE;
}

static int run(struct server *server)
{
    struct config *config = config_of(server);
    struct listening *listening = &config->listening;
    bool changes_user = process_changes_user(config);
    uint64_t descriptors = descriptors_raise();
    process_warn(config);
    if (check_descriptors(server, descriptors) ||
        (changes_user ? listening_take(listening) : listening_check(listening)) ||
        process_become(config) || confine(server) || parts_open(server, descriptors) ||
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
