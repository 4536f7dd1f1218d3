#include "net/loop.h"

#include "base/mem.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { BELLS = 8 };

struct fixture;

struct bell {
    struct timer timer;
    struct fixture *fixture;
    char name;
    struct bell *stops;    /* stopped when this one rings */
    struct bell *sets;     /* set anew when this one rings */
    int64_t sets_after_ms; /* … with this delay */
    int64_t takes_us;      /* how long ringing takes */
};

struct fixture {
    struct loop loop;
    struct clock_fake clock;
    struct bell bells[BELLS];
    char rung[256];
    struct mail mail;
    unsigned opened;
};

static void ring(struct timer *timer)
{
    struct bell *bell = container_of(timer, struct bell, timer);
    struct fixture *fixture = bell->fixture;
    size_t len = strlen(fixture->rung);
    fixture->rung[len] = bell->name;
    fixture->rung[len + 1] = '\0';
    clock_fake_advance(&fixture->clock, bell->takes_us);
    if (bell->stops)
        timer_stop(&bell->stops->timer);
    if (bell->sets)
        timer_set(&fixture->loop, &bell->sets->timer, bell->sets_after_ms);
}

static int setup(void **state)
{
    struct fixture *fixture = mem_alloc(sizeof(*fixture));
    clock_fake_init(&fixture->clock, 1000000);
    assert_int_equal(loop_init(&fixture->loop, &fixture->clock.clock, fixture), 0);
    for (int i = 0; i < BELLS; i++)
        fixture->bells[i] =
            (struct bell){.timer = {.ring = ring}, .fixture = fixture, .name = (char)('a' + i)};
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    loop_deinit(&fixture->loop);
    free(fixture);
    return 0;
}

static void set(struct fixture *fixture, int bell, int64_t after_ms)
{
    timer_set(&fixture->loop, &fixture->bells[bell].timer, after_ms);
}

static void pass(struct fixture *fixture, int64_t ms)
{
    clock_fake_advance(&fixture->clock, ms * 1000);
    loop_turn(&fixture->loop, 0);
}

static void a_timer_rings_once_not_early_and_at_most_a_tick_late(void **state)
{
    struct fixture *fixture = *state;
    static const int64_t waits[] = {0, 1, 63, 64, 65, 1000, 65535, 65536, 65537, 200000};
    for (size_t i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
        pass(fixture, 37); /* to the middle of a tick */
        set(fixture, 0, waits[i]);
        fixture->rung[0] = '\0';
        int64_t waited = 0;
        while (!fixture->rung[0]) {
            assert_true(waited <= waits[i] + WHEEL_TICK_MS);
            pass(fixture, 1);
            waited++;
        }
        assert_true(waited >= waits[i]);
        pass(fixture, 100);
        assert_string_equal(fixture->rung, "a");
    }
}

static void timers_ring_in_the_order_of_their_time(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, 0, 900);
    set(fixture, 1, 100);
    set(fixture, 2, 70000);
    set(fixture, 3, 500);
    pass(fixture, 64000);
    assert_string_equal(fixture->rung, "bda");
    pass(fixture, 6200);
    assert_string_equal(fixture->rung, "bdac");
}

static void a_timer_rings_after_a_pause_longer_than_the_wheel(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, 0, 100);
    set(fixture, 1, INT64_C(3600) * 1000);
    pass(fixture, INT64_C(1000) * WHEEL_SLOTS);
    assert_string_equal(fixture->rung, "a");
    pass(fixture, INT64_C(3600) * 1000);
    assert_string_equal(fixture->rung, "ab");
}

static void a_long_timeout_waits_its_rounds_of_the_wheel(void **state)
{
    struct fixture *fixture = *state;
    int64_t day_ms = INT64_C(86400) * 1000;
    set(fixture, 0, day_ms);
    for (int64_t ms = 0; ms < day_ms; ms += 60000) {
        assert_string_equal(fixture->rung, "");
        pass(fixture, 60000);
    }
    pass(fixture, WHEEL_TICK_MS);
    assert_string_equal(fixture->rung, "a");
}

static void a_time_that_is_past_already_rings_at_the_next_tick(void **state)
{
    struct fixture *fixture = *state;
    pass(fixture, 5000);
    set(fixture, 0, -3000);
    pass(fixture, WHEEL_TICK_MS);
    assert_string_equal(fixture->rung, "a");
}

static void a_timer_that_is_stopped_or_set_anew_forgets_its_first_time(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, 0, 100);
    set(fixture, 1, 100);
    timer_stop(&fixture->bells[0].timer);
    timer_stop(&fixture->bells[0].timer);
    set(fixture, 1, 1000);
    pass(fixture, 500);
    assert_string_equal(fixture->rung, "");
    pass(fixture, 600);
    assert_string_equal(fixture->rung, "b");
}

static void a_timer_may_stop_another_that_is_due(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 3; i++)
        set(fixture, i, 100);
    fixture->bells[0].stops = &fixture->bells[1];
    pass(fixture, 1000);
    assert_string_equal(fixture->rung, "ac");
}

/* Timers that are due together ring over several turns, so that mail and sockets come between. */
static void timers_that_take_long_are_left_for_the_next_turn(void **state)
{
    enum { CROWD = 64 };
    struct fixture *fixture = *state;
    struct bell *crowd = mem_alloc(CROWD * sizeof(*crowd));
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = (struct bell){.timer = {.ring = ring}, .fixture = fixture, .name = 'x'};
        crowd[i].takes_us = TIMERS_US;
        timer_set(&fixture->loop, &crowd[i].timer, 10);
    }
    pass(fixture, 2L * WHEEL_TICK_MS);
    size_t first = strlen(fixture->rung);
    assert_true(first > 0 && first <= CROWD / 2);
    while (!list_empty(&fixture->loop.due))
        loop_turn(&fixture->loop, -1); /* does not wait while timers are due */
    assert_int_equal(strlen(fixture->rung), CROWD);
    free(crowd);
}

static void timers_have_an_eighth_of_the_time_of_a_loop_whose_turns_are_long(void **state)
{
    enum { CROWD = 64, TURN_US = 1000000 };
    struct fixture *fixture = *state;
    struct bell *crowd = mem_alloc(CROWD * sizeof(*crowd));
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = (struct bell){.timer = {.ring = ring}, .fixture = fixture, .name = 'x'};
        crowd[i].takes_us = TIMERS_US;
        timer_set(&fixture->loop, &crowd[i].timer, 10);
    }
    clock_fake_advance(&fixture->clock, TURN_US); /* the other work of a turn */
    loop_turn(&fixture->loop, 0);
    assert_int_equal(strlen(fixture->rung), CROWD);
    free(crowd);
}

static void a_loop_that_hurries_rings_all_timers_that_are_due(void **state)
{
    struct fixture *fixture = *state;
    struct bell *crowd = mem_alloc((size_t)2 * TIMERS_A_TURN * sizeof(*crowd));
    for (int i = 0; i < 2 * TIMERS_A_TURN; i++) {
        crowd[i] = (struct bell){.timer = {.ring = ring}, .fixture = fixture, .name = '\0'};
        timer_set(&fixture->loop, &crowd[i].timer, 10);
    }
    fixture->loop.hurries = true;
    pass(fixture, 2L * WHEEL_TICK_MS);
    assert_int_equal(fixture->loop.timers_cut, 0);
    assert_true(list_empty(&fixture->loop.due));
    free(crowd);
}

static void the_number_of_timers_in_a_turn_is_bounded(void **state)
{
    struct fixture *fixture = *state;
    struct bell *crowd = mem_alloc((size_t)2 * TIMERS_A_TURN * sizeof(*crowd));
    struct timer *last = &crowd[2 * TIMERS_A_TURN - 1].timer;
    for (int i = 0; i < 2 * TIMERS_A_TURN; i++) {
        crowd[i] = (struct bell){.timer = {.ring = ring}, .fixture = fixture, .name = '\0'};
        timer_set(&fixture->loop, &crowd[i].timer, 10);
    }
    pass(fixture, 2L * WHEEL_TICK_MS);
    assert_int_equal(fixture->loop.timers_cut, 1);
    assert_true(list_linked(&last->node));
    timer_stop(&crowd[TIMERS_A_TURN + 1].timer); /* a timer that is due may still be stopped */
    for (int i = 0; i < 4; i++)
        loop_turn(&fixture->loop, 0);
    assert_false(list_linked(&last->node));
    free(crowd);
}

static void a_timer_may_set_itself_and_others_again(void **state)
{
    struct fixture *fixture = *state;
    set(fixture, 0, 100);
    set(fixture, 1, 100);
    fixture->bells[0].sets = &fixture->bells[0];
    fixture->bells[0].sets_after_ms = 0;
    fixture->bells[1].sets = &fixture->bells[2];
    fixture->bells[1].sets_after_ms = INT64_C(64) * WHEEL_SLOTS; /* the same slot, a round later */
    pass(fixture, 200);
    assert_string_equal(fixture->rung, "ab");
    pass(fixture, WHEEL_TICK_MS);
    assert_string_equal(fixture->rung, "aba");
    fixture->bells[0].sets = NULL;
    pass(fixture, 1000);
    assert_string_equal(fixture->rung, "abaa");
    pass(fixture, INT64_C(64) * WHEEL_SLOTS);
    assert_string_equal(fixture->rung, "abaac");
}

/* ---- descriptors and mail -------------------------------------------------------------------- */

struct seen {
    struct watch watch;
    uint32_t events;
    unsigned times;
};

static void on_ready(struct watch *watch, uint32_t events)
{
    struct seen *seen = container_of(watch, struct seen, watch);
    seen->events = events;
    seen->times++;
}

static void a_descriptor_that_is_ready_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct seen seen = {.watch = {on_ready}};
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(loop_watch(&fixture->loop, fds[0], EPOLLIN | EPOLLET, &seen.watch), 0);
    loop_turn(&fixture->loop, 0);
    assert_int_equal(seen.times, 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    loop_turn(&fixture->loop, -1);
    assert_int_equal(seen.times, 1);
    assert_int_equal(seen.events, EPOLLIN);
    loop_turn(&fixture->loop, 0); /* edge-triggered: reported once */
    assert_int_equal(seen.times, 1);
    assert_int_equal(loop_rewatch(&fixture->loop, fds[0], EPOLLIN, &seen.watch), 0);
    loop_turn(&fixture->loop, 0);
    assert_int_equal(seen.times, 2);
    loop_unwatch(&fixture->loop, fds[0]);
    loop_turn(&fixture->loop, 0);
    assert_int_equal(seen.times, 2);
    close(fds[0]);
    close(fds[1]);
}

static void a_descriptor_that_cannot_be_watched_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    struct seen seen = {.watch = {on_ready}};
    assert_true(loop_watch(&fixture->loop, -1, EPOLLIN, &seen.watch) < 0);
}

static void count_mail(struct mail *mail, void *owner)
{
    (void)mail;
    ((struct fixture *)owner)->opened++;
}

static void mail_that_is_there_is_opened_without_a_wait(void **state)
{
    struct fixture *fixture = *state;
    fixture->mail.open = count_mail;
    mailbox_post(&fixture->loop.mailbox, &fixture->mail);
    loop_turn(&fixture->loop, -1);
    assert_int_equal(fixture->opened, 1);
}

/* The loop must sleep only where it has to: otherwise the test would never end. */
static void a_loop_polls_for_spin_us_after_work(void **state)
{
    struct fixture *fixture = *state;
    struct timespec began, ended;
    fixture->loop.spin_ns = 5000000;
    fixture->mail.open = count_mail;
    mailbox_post(&fixture->loop.mailbox, &fixture->mail);
    loop_turn(&fixture->loop, -1);
    clock_fake_advance(&fixture->clock, 4999);
    loop_turn(&fixture->loop, -1);
    clock_fake_advance(&fixture->clock, 1);
    loop_turn(&fixture->loop, -1);
    clock_gettime(CLOCK_MONOTONIC, &began);
    loop_turn(&fixture->loop, 30);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    int64_t took_ns = (ended.tv_sec - began.tv_sec) * INT64_C(1000000000);
    assert_true(took_ns + ended.tv_nsec - began.tv_nsec > 20000000);
    assert_int_equal(fixture->opened, 1);
}

/* A turn with work: it was told not to wait. */
static void work(struct fixture *fixture, int64_t us)
{
    loop_turn(&fixture->loop, 0);
    clock_fake_advance(&fixture->clock, us);
}

/* Two turns without work, since the clock stands still during a turn; neither may sleep. */
static void rest(struct fixture *fixture, int64_t us)
{
    fixture->loop.spin_ns = INT64_MAX;
    loop_turn(&fixture->loop, 1);
    clock_fake_advance(&fixture->clock, us);
    loop_turn(&fixture->loop, 1);
}

static void the_load_is_the_busy_share_of_the_time(void **state)
{
    struct fixture *fixture = *state;
    struct loop *loop = &fixture->loop;
    assert_int_equal(loop->load, 0);
    for (int i = 0; i < 2000; i++) {
        work(fixture, 300);
        rest(fixture, 700);
    }
    assert_in_range(loop->load, LOAD_FULL * 29 / 100, LOAD_FULL * 31 / 100);
    assert_in_range(loop->idle_ns, 1399000000, 1401000000);
}

static void the_load_of_a_loop_that_never_rests_is_full(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 2000; i++)
        work(fixture, 1000);
    assert_in_range(fixture->loop.load, LOAD_FULL - 1, LOAD_FULL);
}

static void the_load_changes_slowly_and_is_forgotten_by_a_long_rest(void **state)
{
    struct fixture *fixture = *state;
    for (int ms = 0; ms <= LOAD_WINDOW_MS; ms++)
        work(fixture, 1000);
    assert_in_range(fixture->loop.load, LOAD_FULL / 2 - 1, LOAD_FULL / 2);
    rest(fixture, 60000000);
    assert_in_range(fixture->loop.load, 0, 1);
}

static void a_sleeping_loop_is_idle(void **state)
{
    struct fixture *fixture = *state;
    fixture->loop.clock = clock_system();
    int64_t began_ns = fixture->loop.now_ns = clock_now_ns(fixture->loop.clock);
    loop_turn(&fixture->loop, 20);
    assert_in_range(fixture->loop.idle_ns, 19000000, fixture->loop.now_ns - began_ns);
}

static void time_spent_in_timers_is_busy_time(void **state)
{
    struct fixture *fixture = *state;
    fixture->loop.spin_ns = INT64_MAX;
    fixture->bells[0].takes_us = 50000;
    for (int i = 0; i < 20; i++) {
        set(fixture, 0, 0);
        clock_fake_advance(&fixture->clock, WHEEL_TICK_MS * INT64_C(1000));
        loop_turn(&fixture->loop, 1);
    }
    loop_turn(&fixture->loop, 1);
    assert_int_equal(strlen(fixture->rung), 20);
    assert_in_range(loop_busy_ns(&fixture->loop), 20 * 50000000, INT64_MAX);
}

static void *post(void *arg)
{
    struct fixture *fixture = arg;
    mailbox_post(&fixture->loop.mailbox, &fixture->mail);
    return NULL;
}

static void mail_ends_a_wait(void **state)
{
    struct fixture *fixture = *state;
    fixture->mail.open = count_mail;
    for (unsigned i = 1; i <= 100; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, post, fixture), 0);
        while (fixture->opened < i)
            loop_turn(&fixture->loop, -1);
        pthread_join(thread, NULL);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_timer_rings_once_not_early_and_at_most_a_tick_late),
        TEST(timers_ring_in_the_order_of_their_time),
        TEST(a_timer_rings_after_a_pause_longer_than_the_wheel),
        TEST(a_long_timeout_waits_its_rounds_of_the_wheel),
        TEST(a_time_that_is_past_already_rings_at_the_next_tick),
        TEST(a_timer_that_is_stopped_or_set_anew_forgets_its_first_time),
        TEST(a_timer_may_stop_another_that_is_due),
        TEST(timers_that_take_long_are_left_for_the_next_turn),
        TEST(timers_have_an_eighth_of_the_time_of_a_loop_whose_turns_are_long),
        TEST(a_loop_that_hurries_rings_all_timers_that_are_due),
        TEST(the_number_of_timers_in_a_turn_is_bounded),
        TEST(a_timer_may_set_itself_and_others_again),
        TEST(a_descriptor_that_is_ready_is_told),
        TEST(a_descriptor_that_cannot_be_watched_is_an_error),
        TEST(mail_that_is_there_is_opened_without_a_wait),
        TEST(a_loop_polls_for_spin_us_after_work),
        TEST(the_load_is_the_busy_share_of_the_time),
        TEST(the_load_of_a_loop_that_never_rests_is_full),
        TEST(the_load_changes_slowly_and_is_forgotten_by_a_long_rest),
        TEST(a_sleeping_loop_is_idle),
        TEST(time_spent_in_timers_is_busy_time),
        TEST(mail_ends_a_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
