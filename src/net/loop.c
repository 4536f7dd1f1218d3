#include "net/loop.h"

#include "base/budget.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

/* TIMER_COST is the charge for a timer that rings, so that the clock is read once in sixteen. */
enum { EVENTS_A_TURN = 512, TIMER_COST = BUDGET_STRIDE / 16 };

/* The part of the time with work that is for timers, where that is more than TIMERS_US a turn. */
enum { TIMERS_PART = 8 };

static void mailbox_ready(struct watch *watch, uint32_t events)
{
    (void)watch;
    (void)events; /* only ends the wait: loop_turn() empties the mailbox anyway */
}

static void look_at_clock(struct loop *loop)
{
    loop->now_ns = clock_now_ns(loop->clock);
}

int loop_init(struct loop *loop, struct clock *clock, void *owner)
{
    *loop = (struct loop){.clock = clock, .mailbox_watch = {mailbox_ready}};
    for (int i = 0; i < WHEEL_SLOTS; i++)
        list_init(&loop->wheel[i]);
    list_init(&loop->due);
    look_at_clock(loop);
    loop->start_ns = loop->weighed_ns = loop->now_ns;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0)
        return -errno;
    int result = mailbox_init(&loop->mailbox, owner);
    if (!result)
        result = loop_watch(loop, loop->mailbox.wake_fd, EPOLLIN | EPOLLET, &loop->mailbox_watch);
    return result;
}

void loop_deinit(struct loop *loop)
{
    mailbox_deinit(&loop->mailbox);
    close(loop->epoll_fd);
}

static int control(struct loop *loop, int operation, int fd, uint32_t events, struct watch *watch)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    return epoll_ctl(loop->epoll_fd, operation, fd, &event) ? -errno : 0;
}

int loop_watch(struct loop *loop, int fd, uint32_t events, struct watch *watch)
{
    return control(loop, EPOLL_CTL_ADD, fd, events, watch);
}

int loop_rewatch(struct loop *loop, int fd, uint32_t events, struct watch *watch)
{
    return control(loop, EPOLL_CTL_MOD, fd, events, watch);
}

void loop_unwatch(struct loop *loop, int fd)
{
    (void)control(loop, EPOLL_CTL_DEL, fd, 0, NULL);
}

static uint32_t tick_at(const struct loop *loop, int64_t ns)
{
    return (uint32_t)((ns - loop->start_ns) / (WHEEL_TICK_MS * INT64_C(1000000)));
}

void timer_set(struct loop *loop, struct timer *timer, int64_t after_ms)
{
    timer_stop(timer);
    /* Rounded up by one more tick, so a timer is never early. A time that is past is due now: put
     * into a slot that was passed, the timer would wait for a whole round. */
    timer->due = tick_at(loop, loop->now_ns + (after_ms > 0 ? after_ms * 1000000 : 0)) + 1;
    list_add_last(&loop->wheel[timer->due % WHEEL_SLOTS], &timer->node);
}

void timer_stop(struct timer *timer)
{
    list_remove(&timer->node);
}

/* Takes each slot that was passed as a whole list: it may hold a hundred thousand timers. */
static void pass_slots(struct loop *loop)
{
    uint32_t now = tick_at(loop, loop->now_ns);
    /* After a pause longer than the wheel, one round sees every slot. */
    if (now - loop->tick > WHEEL_SLOTS)
        loop->tick = now - WHEEL_SLOTS;
    while (loop->tick != now)
        list_take_all(&loop->due, &loop->wheel[++loop->tick % WHEEL_SLOTS]);
}

/* Rings a timer. A slot also holds timers of later rounds of the wheel: those go back. */
static bool ring_one(struct loop *loop, struct timer *timer)
{
    if (timer->due > loop->tick) {
        list_add_last(&loop->wheel[timer->due % WHEEL_SLOTS], &timer->node);
        return false;
    }
    timer->ring(timer);
    return true;
}

/* A millisecond of each turn would be next to nothing for a loop whose turns take fifty. */
static int64_t timers_us(struct loop *loop)
{
    int64_t busy_ns = loop_busy_ns(loop);
    int64_t us = (busy_ns - loop->rang_busy_ns) / 1000 / TIMERS_PART;
    loop->rang_busy_ns = busy_ns;
    return us > TIMERS_US ? us : TIMERS_US;
}

/* Rings due timers one by one, because ringing may stop others that are due. */
static bool ring_timers(struct loop *loop)
{
    bool rang = false;
    int64_t us = timers_us(loop);
    pass_slots(loop);
    if (list_empty(&loop->due))
        return false;
    struct budget budget;
    budget_begin(&budget, loop->clock, us, (int64_t)TIMERS_A_TURN * TIMER_COST);
    for (struct list *node; (node = list_take_first(&loop->due));) {
        rang |= ring_one(loop, container_of(node, struct timer, node));
        if (!budget_spend(&budget, TIMER_COST) && !loop->hurries)
            break;
    }
    loop->timers_cut += !list_empty(&loop->due);
    return rang;
}

/* Milliseconds until the next slot with a timer. The wheel has few slots, so this looks at each. */
static int next_timer_ms(const struct loop *loop)
{
    for (uint32_t i = 1; i <= WHEEL_SLOTS; i++) {
        if (list_empty(&loop->wheel[(loop->tick + i) % WHEEL_SLOTS]))
            continue;
        int64_t due_ns = loop->start_ns + (int64_t)(loop->tick + i) * WHEEL_TICK_MS * 1000000;
        int64_t ms = (due_ns - loop->now_ns) / 1000000 + 1;
        return ms < 0 ? 0 : (int)ms;
    }
    return -1;
}

static int wait_for(struct loop *loop, int wait_ms)
{
    int timer_ms = wait_ms ? next_timer_ms(loop) : 0;
    if (timer_ms < 0)
        return wait_ms;
    return wait_ms < 0 || timer_ms < wait_ms ? timer_ms : wait_ms;
}

static bool spins(const struct loop *loop)
{
    return loop->now_ns - loop->busy_ns < loop->spin_ns;
}

/* The time since when the loop waits. A loop that spins and finds nothing is idle between its turns
 * too: looking is no work. */
static int64_t idle_since(const struct loop *loop)
{
    return spins(loop) && loop->busy_ns < loop->now_ns ? loop->now_ns : clock_now_ns(loop->clock);
}

/* Averages the load with its last value, so that code that acts on it does not swing; after a long
 * sleep the last value is too old to count. */
static void weigh_load(struct loop *loop)
{
    int64_t window_ns = LOAD_WINDOW_MS * INT64_C(1000000);
    int64_t ns = loop->now_ns - loop->weighed_ns;
    if (ns < window_ns)
        return;
    int64_t busy_ns = ns - (loop->idle_ns - loop->weighed_idle_ns);
    unsigned load = (unsigned)(busy_ns * LOAD_FULL / ns);
    loop->load = ns < 2 * window_ns ? (loop->load + load) / 2 : load;
    loop->weighed_ns = loop->now_ns;
    loop->weighed_idle_ns = loop->idle_ns;
}

void loop_turn(struct loop *loop, int wait_ms)
{
    struct epoll_event events[EVENTS_A_TURN];
    bool mail = mailbox_empty(&loop->mailbox);
    bool busy = mail || !wait_ms || !list_empty(&loop->due);
    int64_t since_ns = busy ? 0 : idle_since(loop);
    wait_ms = busy || spins(loop) ? 0 : wait_for(loop, wait_ms);
    bool slept = wait_ms != 0 && mailbox_sleep(&loop->mailbox);
    int count = epoll_wait(loop->epoll_fd, events, EVENTS_A_TURN, slept ? wait_ms : 0);
    if (slept)
        mailbox_wake(&loop->mailbox);
    look_at_clock(loop);
    if (!busy)
        loop->idle_ns += loop->now_ns - since_ns;
    weigh_load(loop);
    for (int i = 0; i < count; i++) {
        struct watch *watch = events[i].data.ptr;
        watch->ready(watch, events[i].events);
    }
    bool rang = ring_timers(loop);
    if (mailbox_empty(&loop->mailbox) || busy || count || rang)
        loop_worked(loop);
}
