#include "transport/permits.h"
#include "transport/worker.h"

#include "base/heap.h"
#include "base/say.h"
#include "net/tls.h"
#include "transport/accept.h"
#include "transport/request_stream.h"
#include "transport/review.h"
#include "transport/rounds.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

enum { PRESSURE_MS = 64 };

/* The piece of a compressed message that is decompressed before the budget is asked again: 0.3 ms
 * at most. */
enum { WS_PIECE = 64 << 10 };

/* While the server stops: the number of connections that a turn tells, and for how long. A worker
 * whose turns are long tells for a part of its time with work. Once drain_ms is over, all streams
 * that are left get their goodbye in one turn, since nobody has to be served after it. */
enum { DRAIN_DEFAULT = 8192, DRAIN_US = 1000, DRAIN_PART = 8 };
enum { DRAINING_MS = 100, DRAINED_MS = 10 }; /* between looks at whether all have ended */

/* A step is the share of one connection. A turn has time for about eight full steps, and for eight
 * more of connections that were put off. So turns stay short, and a new connection's request is
 * answered within a few turns, no matter how much the others send. */
enum {
    STEP_US = 500,
    STEP_BYTES = 256 * 1024,
    TURN_US = 4000,
    TURN_BYTES = 4 << 20,
    PUT_OFF_US = 2000,
    PUT_OFF_BYTES = 1 << 19,
};

enum { READS_SHARE = 8 }; /* of held_max */

/* The limits of HTTP/2 where none are given. */
enum { STREAMS_DEFAULT = 256, CONTROL_DEFAULT = 1000 };

static void on_batch(void *owner, struct batch *batch)
{
    struct worker *worker = owner;
    hub_on_batch(&worker->hub, batch);
}

static void on_view(void *owner, const struct selection *selection)
{
    const struct worker *worker = owner;
    if (worker->config.figures_wanted && selection_has_channel(selection, FIGURES_CHANNEL))
        worker->config.figures_wanted(worker->config.app);
}

static void accepted(struct listener *listener, int fd)
{
    const struct worker_listener *own = container_of(listener, struct worker_listener, listener);
    accept_connection(own->worker, fd, own->door);
}

static void begin_turn(struct worker *worker)
{
    const struct worker_budgets *budgets = &worker->config.budgets;
    budget_begin_late(&worker->turn_budget, worker->config.clock, budgets->turn_us,
                      budgets->turn_bytes);
}

/* Begins the budget for one of several queues of postponed connections. A single step may be large
 * here, so the time of each counts. */
static void begin_put_off(struct worker *worker, int shares)
{
    const struct worker_budgets *budgets = &worker->config.budgets;
    int64_t bytes = budgets->turn_bytes < PUT_OFF_BYTES ? budgets->turn_bytes : PUT_OFF_BYTES;
    budget_begin(&worker->turn_budget, worker->config.clock, budgets->put_off_us / shares,
                 bytes / shares);
}

/* Continues connections that mail has answered. Not while the mail is opened: a request may need to
 * see all mail that came before it. Connections for which the turn's budget does not last stay in
 * front; at least one is read. */
static void resume(struct worker *worker, struct list *queue)
{
    struct list now = LIST_INIT(now);
    list_take_all(&now, queue);
    for (struct list *node; (node = list_take_first(&now));) {
        struct request_stream *request =
            container_of(node, struct stream_intake, wait_node)->request;
        mailbox_empty(&worker->loop.mailbox);
        if (!request_stream_is_closed(request))
            request->ops->resume(request);
        if (budget_is_spent(&worker->turn_budget))
            break;
    }
    list_take_all(&now, queue);
    list_take_all(queue, &now);
}

static void resume_share(struct worker *worker, struct list *queue, int shares)
{
    if (list_empty(queue))
        return;
    begin_put_off(worker, shares);
    resume(worker, queue);
}

/* Serves the connections that have used up their share, after all others and with a budget of their
 * own. Unfinished messages and bodies go first, to free their memory. Each of the three queues has
 * an equal share of the budget. A compressed message begins only while no other is being
 * decompressed or handled. */
static void resume_put_off(struct worker *worker)
{
    struct list *queues[] = {&worker->unfinished, &worker->bodies, &worker->put_off};
    int shares = 0;
    for (size_t i = 0; i < 3; i++)
        shares += !list_empty(queues[i]);
    resume_share(worker, &worker->unfinished, shares);
    resume_share(worker, &worker->bodies, shares);
    worker->decompresses = !worker->inflating;
    resume_share(worker, &worker->put_off, shares);
    worker->decompresses = false;
}

static void resume_all(struct worker *worker)
{
    resume(worker, &worker->resumed);
    worker->late = !list_empty(&worker->resumed);
    if (worker->late)
        worker_put_off(worker, BUDGET_TURN);
    resume_put_off(worker);
    begin_turn(worker);
}

/* Resumes connections that are not read at present, once there is no pressure any more. The
 * pressure is a log that has fallen behind, for connections that publish, or held memory, for those
 * that hold too much. */
static void ring_pressure(struct timer *timer)
{
    struct worker *worker = container_of(timer, struct worker, pressure);
    if (worker_pressed(worker)) {
        timer_set(&worker->loop, timer, PRESSURE_MS);
        return;
    }
    list_take_all(&worker->resumed, &worker->paused);
}

static void set_defaults(struct worker_budgets *budgets)
{
    const struct worker_budgets defaults = {STEP_US, STEP_BYTES, TURN_US, TURN_BYTES, PUT_OFF_US};
    *budgets = (struct worker_budgets){
        .step_us = budgets->step_us ? budgets->step_us : defaults.step_us,
        .step_bytes = budgets->step_bytes ? budgets->step_bytes : defaults.step_bytes,
        .turn_us = budgets->turn_us ? budgets->turn_us : defaults.turn_us,
        .turn_bytes = budgets->turn_bytes ? budgets->turn_bytes : defaults.turn_bytes,
        .put_off_us = budgets->put_off_us ? budgets->put_off_us : defaults.put_off_us,
    };
}

/* The most bytes that reads of the store may hold before they are encoded. A small part of
 * held_max, since no connection can be closed to free them. */
static size_t reads_max(const struct worker_limits *limits)
{
    uint64_t share = limits->held_max / READS_SHARE;
    return (share && share < limits->hub.live_max) || !limits->hub.live_max ? (size_t)share
                                                                            : limits->hub.live_max;
}

/* A head may be as large as over HTTP/1.1. */
static void set_http2_limits(struct worker_limits *limits)
{
    struct http2_limits *http2 = &limits->http2;
    http2->head_max = limits->http.line_max + limits->http.section_max;
    http2->streams_max = http2->streams_max ? http2->streams_max : STREAMS_DEFAULT;
    http2->control_max = http2->control_max ? http2->control_max : CONTROL_DEFAULT;
}

/* The limits that lie elsewhere as well. */
static void spread_limits(struct worker *worker)
{
    struct worker_limits *limits = &worker->config.limits;
    limits->ws.piece = WS_PIECE;
    set_http2_limits(limits);
    worker->account.limit = limits->held_max;
}

static void on_revoked(struct change_listener *listener)
{
    live_look(container_of(listener, struct worker, revoked));
}

/* How often the first worker looks how much memory the process holds. */
enum { MEMORY_LOOK_MS = 100 };

static void look_at_memory(struct timer *timer)
{
    struct worker *worker = container_of(timer, struct worker, memory_look);
    uint64_t most = worker->config.limits.memory_max, held = heap_own();
    struct memory_mark *mark = worker->config.memory;
    if (memory_mark_look(mark, held, most))
        say(SAY_WARN, memory_mark_is_full(mark) ? "memory_full" : "memory_free",
            "held=%llu memory_max=%llu", (unsigned long long)held, (unsigned long long)most);
    if (most)
        timer_set(&worker->loop, timer, MEMORY_LOOK_MS);
}

static void watch_memory(struct worker *worker)
{
    worker->memory_look.ring = look_at_memory;
    if (worker->config.memory && !worker->config.index && worker->config.limits.memory_max)
        timer_set(&worker->loop, &worker->memory_look, MEMORY_LOOK_MS);
}

static void limit_publishing(struct worker *worker)
{
    const struct worker_config *config = &worker->config;
    submitter_limit(&worker->submitter, config->limits.publish, config->rates,
                    config->limits.memory_max ? config->memory : NULL);
}

static void begin_presence(struct worker *worker)
{
    struct presence *presence = worker->config.presence;
    desk_init(&worker->desk, presence ? presence_mailbox(presence) : NULL, presence_open_sheet,
              worker->config.index);
    desk_switch(&worker->desk, worker->config.presence_settings);
}

int worker_init(struct worker *worker, const struct worker_config *config)
{
    *worker = (struct worker){.config = *config, .pressure = {.ring = ring_pressure}};
    spread_limits(worker);
    if (!worker->config.connections)
        worker->config.connections = &worker->own_connections;
    atomic_init(&worker->own_undrained, 1);
    if (!worker->config.undrained_workers)
        worker->config.undrained_workers = &worker->own_undrained;
    list_init(&worker->connections);
    list_init(&worker->undrained);
    list_init(&worker->unreviewed);
    worker->reviewed_ns = INT64_MIN;
    list_init(&worker->rounds);
    list_init(&worker->unvisited);
    list_init(&worker->auths);
    live_init(worker);
    begin_presence(worker);
    permits_init(worker);
    worker->revoked =
        (struct change_listener){.mailbox = &worker->loop.mailbox, .look = on_revoked};
    list_init(&worker->paused);
    pace_init(&worker->pace);
    holdings_init(&worker->holdings, &worker->account);
    worker->no_room.failed = true;
    list_init(&worker->resumed);
    list_init(&worker->put_off);
    list_init(&worker->unfinished);
    list_init(&worker->bodies);
    list_init(&worker->shaking);
    list_init(&worker->shaken);
    set_defaults(&worker->config.budgets);
    begin_turn(worker);
    int result = loop_init(&worker->loop, config->clock, worker);
    worker->loop.spin_ns = config->spin_us * 1000;
    mailbox_measure(&worker->loop.mailbox, config->clock, &worker->stats.mail_ns);
    worker->turn_ended_ns = worker->loop.now_ns;
    if (!result)
        result = net_init(&worker->net, &worker->loop, config->index, config->count);
    asker_init(&worker->asker, config->log, &worker->loop.mailbox, reads_max(&config->limits));
    if (!result)
        result = hub_init(&worker->hub, &worker->asker, config->clock, &worker->loop.mailbox,
                          &worker->config.limits.hub, encode_event, &worker->deflater, on_batch);
    submitter_init(&worker->submitter, config->log, &worker->hub.port, config->clock);
    watch_memory(worker);
    limit_publishing(worker);
    worker->hub.on_view = on_view;
    worker->hub.latency_ns = &worker->stats.latency_ns;
    worker->hub.room.account = &worker->account;
    return result;
}

static void stop_listening(struct worker *worker)
{
    for (unsigned i = 0; i < worker->listeners_count; i++)
        listener_deinit(&worker->listeners[i].listener);
}

int worker_listen(struct worker *worker, struct sockaddr_storage *address, socklen_t size,
                  uint8_t door, bool joins)
{
    if (worker->listeners_count == WORKER_LISTENERS_MAX)
        return -ENOSPC;
    struct worker_listener *place = &worker->listeners[worker->listeners_count];
    place->worker = worker;
    place->door = door;
    int result = listener_init(&place->listener, &worker->loop, address, size, joins, accepted);
    worker->listeners_count += !result;
    return result;
}

int worker_listen_shared(struct worker *worker, int fd, uint8_t door, bool is_passed)
{
    if (worker->listeners_count == WORKER_LISTENERS_MAX)
        return -ENOSPC;
    struct worker_listener *place = &worker->listeners[worker->listeners_count];
    place->worker = worker;
    place->door = door;
    place->is_passed = is_passed;
    int result = listener_init_shared(&place->listener, &worker->loop, fd, accepted);
    worker->listeners_count += !result;
    return result;
}

int worker_speak_tls(struct worker *worker, struct tls_server *server,
                     const struct tls_tickets *tickets)
{
    if (!worker->tls)
        worker->tls = tls_new(&worker->net, accept_protocols(), worker->config.limits.rests_max);
    if (!worker->tls)
        return -ENOMEM;
    tls_use(worker->tls, server);
    tls_use_tickets(worker->tls, tickets);
    stat_set(&worker->stats.tls_until_s, (uint64_t)tls_server_until_us(server) / 1000000);
    return 0;
}

static void open_tickets(struct mail *mail, void *owner)
{
    struct worker *worker = owner;
    struct worker_tickets *tickets = container_of(mail, struct worker_tickets, mail);
    if (worker->tls)
        tls_use_tickets(worker->tls, tickets->keys);
    tickets->done(tickets);
}

void worker_share_tickets(struct worker *worker, struct worker_tickets *tickets)
{
    tickets->mail.open = open_tickets;
    mailbox_post(&worker->loop.mailbox, &tickets->mail);
}

static void open_change(struct mail *mail, void *owner)
{
    struct worker *worker = owner;
    worker->change = container_of(mail, struct worker_change, mail);
}

void worker_switch(struct worker *worker, struct worker_change *change)
{
    change->mail.open = open_change;
    mailbox_post(&worker->loop.mailbox, &change->mail);
}

/* Frees the memory of the settings before, so nothing of them may be in hand: neither a request nor
 * a mail. */
static void change_settings(struct worker *worker)
{
    struct worker_change *change = worker->change;
    if (!change)
        return;
    const struct worker_settings *settings = &change->settings;
    bool same =
        rules_equal(worker->config.rules, settings->rules) &&
        presence_settings_equal(worker->config.presence_settings, settings->presence_settings);
    worker->change = NULL;
    worker->config.limits = settings->limits;
    worker->config.authority = settings->authority;
    worker->config.rules = settings->rules;
    worker->config.presence_settings = settings->presence_settings;
    desk_switch(&worker->desk, settings->presence_settings);
    worker->config.proxies = settings->proxies;
    worker->config.app = settings->app;
    request_cache_clear(&worker->request_cache);
    spread_limits(worker);
    hub_limit(&worker->hub, &settings->limits.hub);
    asker_limit(&worker->asker, reads_max(&settings->limits));
    watch_memory(worker);
    limit_publishing(worker);
    if (settings->tls && worker->tls) {
        (void)worker_speak_tls(worker, settings->tls, settings->tickets); /* the wire is there */
        tls_limit(worker->tls, settings->limits.rests_max);
    }
    live_look(worker);
    if (!same || settings->keys_changed)
        review_begin(worker);
    if (change->done)
        change->done(change);
}

/* Beyond held_max, frees the largest holdings, as many as it takes. To check once in a turn is
 * enough, since the turn's budget limits the bytes that it adds. */
static void make_room(struct worker *worker)
{
    account_set(&worker->account, ACCOUNT_READS, &worker->reads_bytes, asker_held(&worker->asker));
    while (account_excess(&worker->account)) {
        struct holding *largest = holdings_largest_of_all(&worker->holdings);
        if (!largest)
            return;
        worker_hit(worker, LIMIT_HELD);
        request_stream_shed(largest->request, largest);
    }
}

static void count(struct worker *worker)
{
    struct worker_stats *stats = &worker->stats;
    struct hub_stats hub;
    hub_stats(&worker->hub, &hub);
    stat_set(&stats->deliveries, hub.deliveries);
    stat_set(&stats->bytes_out, worker->net.bytes_sent);
    stat_set(&stats->sends, worker->net.sends);
    stat_set(&stats->window_bytes, hub.window_bytes);
    stat_set(&stats->window_own_bytes, hub.window_own_bytes);
    stat_set(&stats->views, hub.views);
    stat_set(&stats->rests_bytes, account_held(&worker->account, ACCOUNT_RESTS));
    stat_set(&stats->budgets[BUDGET_TIMERS], worker->loop.timers_cut);
    stat_set(&stats->budgets[BUDGET_FLUSH], worker->net.slices_cut);
    stat_set(&stats->budgets[BUDGET_BURY], worker->net.burials_cut);
    stat_set(&stats->budgets[BUDGET_LIVE], hub.fell_behind);
    stat_set(&stats->budgets[BUDGET_FOUND], asker_put_off(&worker->asker));
    stat_set(&stats->budgets[BUDGET_FAN_OUT], hub.fan_outs_put_off);
    stat_set(&stats->budgets[BUDGET_PAGES], hub.pages_put_off);
    if (worker->tls) {
        stat_set(&stats->tls_kept, tls_kept(worker->tls));
        stat_set(&stats->tls_shaking, worker->shaking_bytes);
        stat_add(&stats->limits[LIMIT_RESTS], tls_take_shed(worker->tls));
    }
    stat_set(&stats->busy_us, (uint64_t)loop_busy_ns(&worker->loop) / 1000);
}

/* The length of this turn: the time since the last one ended, without the time spent waiting. */
static void time_turn(struct worker *worker)
{
    int64_t now_ns = clock_now_ns(worker->config.clock);
    int64_t idle_ns = worker->loop.idle_ns - worker->turn_idle_ns;
    int64_t ns = now_ns - worker->turn_ended_ns - idle_ns;
    if (worker->loop.busy_ns == worker->loop.now_ns)
        hist_add(&worker->stats.turn_ns, ns > 0 ? (uint64_t)ns : 0, 1);
    worker->turn_ended_ns = now_ns;
    worker->turn_idle_ns = worker->loop.idle_ns;
}

static bool is_drain_over(const struct worker *worker)
{
    return worker->draining &&
           worker->loop.now_ns >= worker->stop_at_ns - INT64_C(1000000) * DRAIN_LAST_MS;
}

static void drain_one(struct worker *worker, struct list *node)
{
    struct conn *conn = container_of(node, struct conn, node);
    list_add_last(&worker->connections, node);
    conn->ops->drain(conn, worker_drain_after_ms(worker));
}

static int64_t drain_us(struct worker *worker)
{
    int64_t busy_ns = loop_busy_ns(&worker->loop);
    int64_t us = (busy_ns - worker->drained_busy_ns) / 1000 / DRAIN_PART;
    worker->drained_busy_ns = busy_ns;
    return us > DRAIN_US ? us : DRAIN_US;
}

/* Has all that is left done at once from when drain_ms is over. That takes turns, for which there
 * is DRAIN_LAST_MS then, though the turn before may have taken longer than that. */
static void hurry(struct worker *worker)
{
    int64_t until_ns = worker->loop.now_ns + INT64_C(1000000) * DRAIN_LAST_MS;
    if (!is_drain_over(worker) || worker->loop.hurries)
        return;
    worker->loop.hurries = true;
    if (worker->stop_at_ns < until_ns)
        worker->stop_at_ns = until_ns;
}

/* Tells some connections that the server stops. Each may be closed by that. */
static void drain_some(struct worker *worker)
{
    unsigned most = worker->config.limits.drain_some;
    struct budget budget;
    hurry(worker);
    if (list_empty(&worker->undrained))
        return;
    budget_begin(&budget, worker->config.clock, drain_us(worker),
                 (int64_t)(most ? most : DRAIN_DEFAULT) * BUDGET_STRIDE);
    for (struct list *node; (node = list_take_first(&worker->undrained));) {
        drain_one(worker, node);
        if (!budget_spend(&budget, BUDGET_STRIDE) && !worker->loop.hurries)
            return;
    }
}

/* Whether something is left for the next turn. */
static bool is_busy(const struct worker *worker)
{
    return net_is_dirty(&worker->net) || net_has_dead(&worker->net) || hub_is_busy(&worker->hub) ||
           !list_empty(&worker->resumed) || !list_empty(&worker->put_off) ||
           !list_empty(&worker->unfinished) || !list_empty(&worker->bodies) ||
           !list_empty(&worker->undrained) || !list_empty(&worker->shaking) ||
           live_is_busy(worker) || review_is_busy(worker) || rounds_are_busy(worker) ||
           submitter_has_any(&worker->submitter);
}

/* Answers the polls that were held long enough, in this turn's flush. Returns in how many ms more
 * are due, or -1. */
static int64_t paced_ms(struct worker *worker)
{
    return pace_due(&worker->pace, &worker->hub.window, worker->config.clock);
}

/* All that wanted to send has sent: what was made for many of them is not needed any more. */
static void end_flush(struct worker *worker)
{
    packs_clear(&worker->packs);
    hub_turn_end(&worker->hub);
}

void worker_step(struct worker *worker, int wait_ms)
{
    int64_t due_ms = paced_ms(worker); /* may make some dirty */
    hub_turn(&worker->hub);
    live_check_some(worker);
    review_some(worker);
    rounds_some(worker);
    desk_flush(&worker->desk); /* a review may have found members, and the wait below may be long */
    bool busy = is_busy(worker);
    if (due_ms >= 0 && (wait_ms < 0 || due_ms < wait_ms))
        wait_ms = (int)due_ms;
    loop_turn(&worker->loop, busy ? 0 : wait_ms);
    paced_ms(worker);
    while (worker_flush(worker))
        mailbox_empty(&worker->loop.mailbox);
    resume_all(worker);
    accept_shake(worker);
    (void)worker_flush(worker);
    if (net_is_dirty(&worker->net))
        loop_worked(&worker->loop); /* a page was due, say */
    desk_flush(&worker->desk);      /* whoever hears that its subscription has begun is a member */
    if (!net_flush(&worker->net))
        end_flush(worker);
    hub_note_timed(&worker->hub);
    make_room(worker);
    drain_some(worker);
    change_settings(worker);
    (void)net_bury(&worker->net);
    desk_flush(&worker->desk);
    count(worker);
    time_turn(worker);
}

static bool has_drained(const struct worker *worker)
{
    return worker->draining && (!worker->net.conns || worker->loop.now_ns >= worker->stop_at_ns) &&
           !submitter_has_any(&worker->submitter);
}

/* Advice for a ring that the kernel refuses. */
static const char *advice_of_uring(int error)
{
    switch (error) {
    case EPERM:
    case ENOSYS:
        return "permit io_uring_setup, io_uring_enter and io_uring_register (seccomp of a "
               "container, sysctl kernel.io_uring_disabled), or set FRESHET_NO_URING=1";
    case ENOMEM:
        return "raise ulimit -l, or LimitMEMLOCK= of systemd";
    case EMFILE:
        return "raise ulimit -n, or LimitNOFILE= of systemd";
    default:
        return "set FRESHET_NO_URING=1";
    }
}

/* Plain sends do the same for more CPU, so a machine that forbids io_uring is told of, and served.
 * The first worker tells, since all see the same machine. A limit may hit some of them alone. */
static void choose_sends(struct worker *worker)
{
    int result = worker->config.want_uring ? net_use_uring(&worker->net) : 0;
    bool is_limit = result == -ENOMEM || result == -EMFILE;
    if (worker->config.index && !is_limit)
        return;
    if (result)
        say(SAY_WARN, "flush", "by=send worker=%u io_uring=\"%s\" right=\"%s\"",
            worker->config.index, strerror(-result), advice_of_uring(-result));
    else
        say(SAY_INFO, "flush", "by=%s", worker->config.want_uring ? "io_uring" : "send");
}

static void note_drained(struct worker *worker)
{
    if (worker->is_drained || !has_drained(worker))
        return;
    worker->is_drained = true;
    atomic_fetch_sub(worker->config.undrained_workers, 1);
}

/* Whether the thread may end. A request on a connection of another worker may ask all workers and
 * wait for their answers, so a worker that has drained opens its mail until all have. */
static bool is_done(const struct worker *worker)
{
    return worker->is_drained && !atomic_load(worker->config.undrained_workers) &&
           has_drained(worker);
}

/* For how many ms a turn waits at most. */
static int patience_ms(const struct worker *worker)
{
    if (worker->is_drained)
        return DRAINED_MS;
    return worker->draining ? DRAINING_MS : -1;
}

/* Streams that are left have been told, but a turn sends for a slice of them only. On a machine
 * that has other work, the last of many would be closed without their goodbye. So all are served
 * once more, for as long again as the drain at most. */
static void send_last(struct worker *worker)
{
    int64_t ms = worker->config.limits.drain_ms + DRAIN_LAST_MS;
    int64_t until_ns = clock_now_ns(worker->config.clock) + ms * 1000000;
    while (net_flush(&worker->net) && clock_now_ns(worker->config.clock) < until_ns)
        ;
    end_flush(worker);
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    choose_sends(worker);
    while (!is_done(worker)) {
        worker_step(worker, patience_ms(worker));
        note_drained(worker);
    }
    send_last(worker);
    worker->stopping = true;
    list_take_all(&worker->connections, &worker->undrained);
    list_take_all(&worker->connections, &worker->unreviewed);
    list_take_all(&worker->connections, &worker->unvisited);
    list_each (&worker->connections, node) {
        conn_close(container_of(node, struct conn, node));
    }
    while (net_bury(&worker->net))
        ; /* no connection is left that would wait for it */
    desk_flush(&worker->desk);
    rounds_end(worker);
    live_give_up(worker);
    return NULL;
}

int worker_start(struct worker *worker)
{
    return -pthread_create(&worker->thread, NULL, worker_main, worker);
}

static void drain(struct mail *mail, void *owner)
{
    (void)mail;
    struct worker *worker = owner;
    worker->draining = true;
    int64_t ms = worker->config.limits.drain_ms;
    worker->stop_at_ns = worker->loop.now_ns + (ms + DRAIN_LAST_MS) * 1000000;
    worker->drained_busy_ns = loop_busy_ns(&worker->loop);
    /* Clients that wait at a socket of the service manager are the next server's. */
    for (unsigned i = 0; i < worker->listeners_count; i++)
        if (!worker->listeners[i].is_passed)
            listener_accept_rest(&worker->listeners[i].listener);
    stop_listening(worker);
    /* Connections are told at the end of the turn: bytes of one may be in hand, since mail is
     * opened between the reading of bytes and their use. Those that wait for a review have it
     * first: what they have lost they must not get for the time of the drain either. */
    list_take_all(&worker->undrained, &worker->connections);
    list_take_all(&worker->undrained, &worker->unvisited);
    worker->rounds_cut = true;
}

void worker_drain(struct worker *worker)
{
    worker->drain_mail.open = drain;
    mailbox_post(&worker->loop.mailbox, &worker->drain_mail);
}

void worker_join(struct worker *worker)
{
    pthread_join(worker->thread, NULL);
}

void worker_deinit(struct worker *worker)
{
    while (mailbox_empty(&worker->loop.mailbox))
        ;
    rounds_end(worker);
    stop_listening(worker);
    live_deinit(worker);
    desk_deinit(&worker->desk);
    permits_deinit(worker);
    request_cache_clear(&worker->request_cache);
    packs_clear(&worker->packs);
    hub_deinit(&worker->hub);
    buf_free(&worker->usual_head.text);
    buf_free(&worker->receipt);
    spares_deinit(&worker->spare_exchanges);
    answer_cache_deinit(&worker->answer_cache);
    send_room_deinit(&worker->send_room);
    tls_free(worker->tls);
    net_deinit(&worker->net);
    deflater_deinit(&worker->deflater);
    ws_inflater_deinit(&worker->inflater);
    loop_deinit(&worker->loop);
    slabs_deinit(&worker->slabs);
}
