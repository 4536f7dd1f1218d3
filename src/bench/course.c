/* The course of a benchmark, on one thread:
 *
 *     prime and first    A history is published before there are subscribers.
 *     open               The groups of subscribers are opened one after the other.
 *     settle             Nothing is done for a while, so that the server's memory can be read.
 *     warm-up            Events are published and not measured.
 *     measured           Events are published for some seconds, up to a number, or in waves: the
 *                        next one when all subscribers have the one before. Late subscribers open
 *                        meanwhile, and catch up.
 *     drain              What was published is waited for: every answer and every delivery.
 *
 * Each step waits by turns of the loop, in which publishers and subscribers work by themselves. It
 * ends too early after an error of a connection, after a signal, or if nothing has come for the
 * time that the plan calls patience. */
#include "bench/course.h"

#include "bench/publisher.h"
#include "bench/streams.h"
#include "bench/subscriber.h"

#include "base/hash.h"
#include "base/mem.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    EVENTS_MAX = 512,
    LATE_EVENTS_MAX = 32,
    CONNECTS_A_TURN = 64,
};

static const uint64_t ms_ns = 1000000, second_ns = 1000000000;

/* Waits for at most `wait_ns` and handles events. */
static void turn(struct load *load, uint64_t wait_ns)
{
    struct epoll_event events[EVENTS_MAX];
    if (load->plan->spin)
        wait_ns = 0;
    struct timespec wait = {(time_t)(wait_ns / second_ns), (long)(wait_ns % second_ns)};
    int count = epoll_pwait2(load->epoll_fd, events, EVENTS_MAX, &wait, NULL);
    for (int i = 0; i < count; i++) {
        struct load_watch *watch = events[i].data.ptr;
        watch->ready(watch, events[i].events);
    }
}

/* Handles the late subscribers, a few at a time: thousands of them have much to read, and the other
 * subscribers, which stand for other people's clients, do not wait for them. */
static void late_ready(struct load_watch *watch, uint32_t events_)
{
    const struct load *load = container_of(watch, struct load, late_watch);
    struct epoll_event events[LATE_EVENTS_MAX];
    (void)events_;
    int count = epoll_wait(load->late_epoll_fd, events, LATE_EVENTS_MAX, 0);
    for (int i = 0; i < count; i++) {
        struct load_watch *late = events[i].data.ptr;
        late->ready(late, events[i].events);
    }
}

static bool is_stuck(const struct load *load)
{
    return load_now(load) - load->last_progress_ns > load->plan->patience * second_ns;
}

/* ---- publishing ------------------------------------------------------------------------------ */

static void fill_all(struct load *load)
{
    for (uint32_t i = 0; i < load->tally.publishers; i++)
        publisher_fill(&load->publishers[i]);
}

/* Publishes the events that are due by the clock, as far as the publishers have room. */
static void publish_due(struct load *load, uint64_t due)
{
    uint32_t publishers = load->tally.publishers, tried = 0;
    uint64_t now = load_now(load);
    if (due > load->limit)
        due = load->limit;
    while (load->publishing && load->published < due && tried < publishers) {
        struct publisher *publisher = &load->publishers[load->turn];
        load->turn = load->turn + 1 < publishers ? load->turn + 1 : 0;
        if (!publisher_has_room(publisher)) {
            tried++;
            continue;
        }
        tried = 0;
        publisher_push_next(publisher, now);
        publisher_flush(publisher);
    }
}

/* Runs a turn; in the publishing phase, first publishes the events that are due at the plan's
 * rate. */
static void pace_turn(struct load *load, uint64_t wait_ns)
{
    uint64_t rate = load->plan->rate;
    if (!rate || !load->publishing) {
        turn(load, wait_ns);
        return;
    }
    uint64_t past = load_now(load) - load->pace_start_ns;
    uint64_t due = (uint64_t)((double)past * (double)rate / 1e9) + 1;
    publish_due(load, load->pace_base + due);
    uint64_t done = load->published - load->pace_base;
    uint64_t next_ns = (uint64_t)((double)done * 1e9 / (double)rate);
    if (done < due && past - next_ns > load->behind_ns)
        load->behind_ns = past - next_ns;
    uint64_t until_ns = next_ns > past ? next_ns - past : ms_ns;
    turn(load, until_ns < wait_ns ? until_ns : wait_ns);
}

/* ---- subscribers ----------------------------------------------------------------------------- */

static void add_subscriber(struct load *load, enum bench_group group, uint32_t nth)
{
    struct subscriber *subscriber = &load->subscribers[load->subscriber_count++];
    bool all = group == GROUP_WIDE || group == GROUP_PATTERN;
    *subscriber = (struct subscriber){.load = load, .group = (uint8_t)group};
    subscriber->seat = plan_seat(load->plan, group, nth);
    if (group == GROUP_SLEEPER) {
        subscriber->seen = (struct seen){.channel = subscriber->seat.channel, .lanes = 1};
        subscriber->caught_up = true;
    } else {
        subscriber->late_count = load->tally.published[0];
        tally_join(&load->tally, &subscriber->seen, all ? SEEN_ALL : subscriber->seat.channel,
                   group == GROUP_LATE);
    }
    subscriber_start(subscriber);
}

/* Opens the group; returns once all its subscribers are open or have failed. */
static int open_group(struct load *load, enum bench_group group)
{
    uint64_t count = load->plan->groups[group], broken = load->broken;
    load->last_progress_ns = load_now(load);
    for (uint64_t i = 0; i < count || load->opening;) {
        uint64_t most = i + CONNECTS_A_TURN < count ? i + CONNECTS_A_TURN : count;
        while (i < most && load->opening < load->plan->opening && load->broken == broken)
            add_subscriber(load, group, (uint32_t)i++);
        bool full = i == count || load->opening >= load->plan->opening;
        pace_turn(load, full ? ms_ns : 0);
        progress_tell(load->progress, "subscribers open", load->open, plan_subscribers(load->plan));
        if (load->broken != broken)
            return -ECONNABORTED;
        if (load->interrupted)
            return -ECANCELED;
        if (is_stuck(load)) {
            load_complain(load, "%u subscribers wait in vain to be served", load->opening);
            return -ETIMEDOUT;
        }
    }
    return 0;
}

static bool is_quiet(const struct load *load)
{
    return load->answered == load->published && tally_settled(&load->tally);
}

/* Publishes a history before there are subscribers: `count` events, each on its own lane or all on
 * the first. */
static int publish_first(struct load *load, uint64_t count, bool each)
{
    uint64_t done = 0, end = load->published + count;
    load->last_progress_ns = load_now(load);
    while (done < count || load->answered < end) {
        for (; done < count; done++) {
            uint32_t lane = each ? (uint32_t)done : 0;
            struct publisher *publisher = &load->publishers[lane % load->tally.publishers];
            if (!publisher_has_room(publisher))
                break;
            publisher_push(publisher, lane, load_now(load));
        }
        for (uint32_t i = 0; i < load->tally.publishers; i++)
            publisher_flush(&load->publishers[i]);
        turn(load, ms_ns);
        progress_tell(load->progress, "events published beforehand", load->answered, end);
        if (load->broken)
            return -ECONNABORTED;
        if (is_stuck(load))
            return -ETIMEDOUT;
    }
    return 0;
}

/* ---- the course of it ------------------------------------------------------------------------ */

static struct load_moment moment(const struct load *load)
{
    const struct plan *plan = load->plan;
    return (struct load_moment){.time_ns = load_now(load),
                                .taken = load->tally.taken,
                                .published = load->published,
                                .accepted = load->accepted,
                                .own_cpu_ns = usage_own_cpu_ns(),
                                .usage = usage_read(plan->pids, plan->pid_count, false)};
}

static void begin_publishing(struct load *load, uint64_t events)
{
    load->pace_start_ns = load_now(load);
    load->pace_base = load->published;
    load->limit = events ? load->published + events : UINT64_MAX;
    load->publishing = true;
    load->last_progress_ns = load->pace_start_ns;
    if (!load->plan->rate)
        fill_all(load);
}

static bool goes_on(const struct load *load)
{
    return !load->interrupted && !load->broken && !is_stuck(load);
}

static void tell_publishing(struct load *load, uint64_t now, uint64_t until_ns)
{
    uint64_t past = now - load->pace_start_ns, all = until_ns - load->pace_start_ns;
    if (load->plan->events)
        progress_tell(load->progress, "events published", load->published - load->pace_base,
                      load->plan->events);
    else
        progress_tell(load->progress, "seconds of load", past / second_ns, all / second_ns);
}

/* Publishes until the time is over, or until there is nothing more to publish. */
static void publish_until(struct load *load, uint64_t until_ns)
{
    for (uint64_t now; goes_on(load) && (now = load_now(load)) < until_ns;) {
        if (load->published >= load->limit && is_quiet(load))
            return;
        tell_publishing(load, now, until_ns);
        pace_turn(load, until_ns - now < ms_ns ? until_ns - now : ms_ns);
    }
}

/* Waits until every answer and event has come, or no more do. */
static void drain(struct load *load)
{
    load->publishing = false;
    while (goes_on(load) && !is_quiet(load)) {
        turn(load, ms_ns);
        progress_tell(load->progress, "deliveries come", load->tally.taken, load->tally.due);
    }
}

static void idle(struct load *load, uint64_t for_ns)
{
    load->last_progress_ns = load_now(load);
    for (uint64_t end = load_now(load) + for_ns, now;
         !load->interrupted && (now = load_now(load)) < end;)
        turn(load, end - now);
}

/* Publishes an event at a time, and measures the time until the last subscriber has it. */
static void run_waves(struct load *load)
{
    for (uint64_t i = 0; i < load->plan->waves && goes_on(load); i++) {
        uint64_t start = load_now(load);
        progress_tell(load->progress, "events had by all", i, load->plan->waves);
        load->last_progress_ns = start;
        load->limit = load->published + 1;
        publish_due(load, load->limit);
        if (!load->plan->rate)
            publisher_fill(&load->publishers[0]);
        while (goes_on(load) && !tally_settled(&load->tally))
            turn(load, ms_ns);
        load->wave_ns[load->wave_count++] = load_now(load) - start;
        while (goes_on(load) && !is_quiet(load))
            turn(load, ms_ns);
    }
}

static void start_late(struct load *load)
{
    load->late_left = (uint32_t)load->plan->groups[GROUP_LATE];
    load->late_start_ns = load_now(load);
    if (load->late_left)
        open_group(load, GROUP_LATE);
    while (load->late_left && goes_on(load))
        pace_turn(load, ms_ns);
}

static void run_measured(struct load *load)
{
    const struct plan *plan = load->plan;
    if (plan->waves) {
        load->publishing = true;
        load->from = moment(load);
        run_waves(load);
        load->to = moment(load);
        return;
    }
    bool warm_up = !plan->events && plan->warm_up_ms;
    if (warm_up) {
        begin_publishing(load, 0);
        publish_until(load, load_now(load) + plan->warm_up_ms * ms_ns);
    }
    load->measure_from_ns = load_now(load);
    load->behind_ns = 0;
    load->from = moment(load);
    if (!warm_up)
        begin_publishing(load, plan->events);
    start_late(load);
    publish_until(load,
                  load->from.time_ns + (plan->events ? UINT32_MAX : plan->seconds) * second_ns);
    load->to = moment(load);
    drain(load);
}

static int run(struct load *load)
{
    const struct plan *plan = load->plan;
    load->empty = usage_read(plan->pids, plan->pid_count, true);
    int result = plan->prime ? publish_first(load, load->tally.lanes, true) : 0;
    if (!result)
        result = publish_first(load, plan->first, false);
    for (unsigned group = 0; group < GROUP_LATE && !result; group++)
        result = open_group(load, (enum bench_group)group);
    if (result)
        return result;
    idle(load, plan->settle_ms * ms_ns);
    load->opened = usage_read(plan->pids, plan->pid_count, true);
    run_measured(load);
    load->end = usage_read(plan->pids, plan->pid_count, true);
    if (load->interrupted)
        return -ECANCELED;
    if (!tally_settled(&load->tally))
        load_complain(load, "%llu deliveries never came",
                      (unsigned long long)(load->tally.due - load->tally.taken));
    return 0;
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static int resolve(struct load *load, const struct server_url *url, struct sockaddr_storage *ret,
                   socklen_t *ret_len)
{
    char host[256], port[8];
    struct str port_text = server_url_port(url);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    snprintf(host, sizeof(host), "%.*s", STR_FMT(url->host));
    snprintf(port, sizeof(port), "%.*s", STR_FMT(port_text));
    int error = getaddrinfo(host, port, &hints, &found);
    if (error) {
        load_complain(load, "%s: %s", host, gai_strerror(error));
        return -EHOSTUNREACH;
    }
    memcpy(ret, found->ai_addr, found->ai_addrlen);
    *ret_len = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

static void interrupt_came(struct load_watch *watch, uint32_t events)
{
    (void)events;
    container_of(watch, struct load, interrupt_watch)->interrupted = true;
}

static int watch_fd(struct load *load, int fd, struct load_watch *watch)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = watch};
    return epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* The publishers' requests are of HTTP/1.1, though subscribers share connections of HTTP/2. */
static int prepare_tls(struct load *load)
{
    const struct plan *plan = load->plan;
    const char *protocol = plan->streams ? TLS_CLIENT_HTTP2 : TLS_CLIENT_HTTP1;
    int result = 0;
    if (plan->url.tls)
        result = tls_client_new(&plan->trust, plan->url.host, protocol, &load->tls, &load->why);
    if (!result && plan->publish_url.tls)
        result = tls_client_new(&plan->trust, plan->publish_url.host, TLS_CLIENT_HTTP1,
                                &load->publish_tls, &load->why);
    return result;
}

static int prepare(struct load *load, int interrupt_fd)
{
    const struct plan *plan = load->plan;
    load->late_watch.ready = late_ready;
    load->interrupt_watch.ready = interrupt_came;
    load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    load->late_epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (load->epoll_fd < 0 || load->late_epoll_fd < 0 ||
        watch_fd(load, load->late_epoll_fd, &load->late_watch) ||
        (interrupt_fd >= 0 && watch_fd(load, interrupt_fd, &load->interrupt_watch)))
        return -errno;
    int result = resolve(load, &plan->url, &load->address, &load->address_len);
    if (!result)
        result =
            resolve(load, &plan->publish_url, &load->publish_address, &load->publish_address_len);
    return result ? result : prepare_tls(load);
}

static void allocate(struct load *load)
{
    const struct plan *plan = load->plan;
    uint32_t seed;
    hash_random(&load->random, sizeof(load->random));
    load->random |= 1;
    hash_random(&seed, sizeof(seed));
    snprintf(load->run.name, sizeof(load->run.name), "%08x", seed);
    load->clock = clock_system();
    load->room = mem_alloc(LOAD_HELD_MAX + LOAD_ROOM);
    load->subscribers = mem_alloc((plan_subscribers(plan) + 1) * sizeof(struct subscriber));
    load->publishers = mem_alloc(plan->publishers * sizeof(struct publisher));
    load->wave_ns = mem_alloc((plan->waves + 1) * sizeof(uint64_t));
    tally_init(&load->tally, (uint32_t)plan->channels, (uint32_t)plan->publishers);
    target_publish_init(&load->publish, plan, &load->run, (uint32_t)plan->batch);
    target_publish_init(&load->publish_one, plan, &load->run, 1);
    for (uint32_t i = 0; i < plan->publishers; i++)
        publisher_init(&load->publishers[i], load, i);
}

int course_run(struct load *load, const struct plan *plan, int interrupt_fd,
               struct progress *progress)
{
    *load = (struct load){.plan = plan, .progress = progress, .epoll_fd = -1, .late_epoll_fd = -1};
    allocate(load);
    int result = prepare(load, interrupt_fd);
    if (!result)
        result = run(load);
    if (result && result != -ECANCELED)
        load_complain(load, "%s", strerror(-result));
    return result;
}

void course_deinit(struct load *load)
{
    for (uint32_t i = 0; i < load->subscriber_count; i++) {
        subscriber_stop(&load->subscribers[i]);
        seen_deinit(&load->subscribers[i].seen);
    }
    streams_close(load);
    for (uint32_t i = 0; i < load->tally.publishers; i++)
        publisher_deinit(&load->publishers[i]);
    free(load->subscribers);
    free(load->publishers);
    free(load->room);
    free(load->wave_ns);
    tally_deinit(&load->tally);
    target_publish_deinit(&load->publish);
    target_publish_deinit(&load->publish_one);
    tls_client_free(load->tls);
    tls_client_free(load->publish_tls);
    buf_free(&load->why);
    buf_free(&load->trouble);
    if (load->epoll_fd >= 0)
        close(load->epoll_fd);
    if (load->late_epoll_fd >= 0)
        close(load->late_epoll_fd);
}
