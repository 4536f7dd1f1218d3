#include "log/testing.h"

enum { JOBS = 200, LONG_US = 5000 };

struct job {
    struct log_job job;
    pthread_t ran_on;
    unsigned slices; /* slices that it needs; 0: one */
    unsigned ran;
    unsigned answered;
    unsigned order;
};

struct desk {
    struct world *world;
    struct mailbox box;
    unsigned answered;
};

static bool run(struct log_job *job, struct log *log)
{
    struct job *mine = container_of(job, struct job, job);
    (void)log_newest(log);
    mine->ran_on = pthread_self();
    return ++mine->ran >= mine->slices;
}

static void open_answer(struct mail *mail, void *owner)
{
    struct job *job = container_of(mail, struct job, job.mail);
    struct desk *desk = owner;
    job->answered++;
    job->order = desk->answered++;
}

static void desk_open(struct desk *desk, struct world *world, unsigned readers)
{
    *desk = (struct desk){.world = world};
    assert_int_equal(mailbox_init(&desk->box, desk), 0);
    world->config.readers = readers;
    world_open(world);
}

/* Close the log first: a reader may be about to wake the mailbox that it has posted to. */
static void desk_close(struct desk *desk)
{
    if (desk->world->log)
        world_close(desk->world);
    mailbox_deinit(&desk->box);
}

static void submit_one(struct desk *desk, struct job *job, unsigned slices, uint32_t slices_max)
{
    *job = (struct job){.job = {.run = run,
                                .reply = &desk->box,
                                .mail = {.open = open_answer},
                                .slices_max = slices_max},
                        .slices = slices};
    log_submit(desk->world->log, &job->job);
}

static void submit(struct desk *desk, struct job *jobs)
{
    for (unsigned i = 0; i < JOBS; i++)
        submit_one(desk, &jobs[i], 1, 0);
}

static void wait_for(struct desk *desk, unsigned answered)
{
    while (desk->answered < answered)
        mailbox_testing_turn(&desk->box);
}

static void each_job_runs_once_on_a_reader_and_is_answered_on_its_owner(void **state)
{
    struct desk desk;
    static struct job jobs[JOBS];
    desk_open(&desk, *state, 3);
    submit(&desk, jobs);
    wait_for(&desk, JOBS);
    for (unsigned i = 0; i < JOBS; i++) {
        assert_int_equal(jobs[i].ran, 1);
        assert_int_equal(jobs[i].answered, 1);
        assert_false(pthread_equal(jobs[i].ran_on, pthread_self()));
    }
    desk_close(&desk);
}

static void a_single_reader_takes_jobs_in_their_order(void **state)
{
    struct desk desk;
    static struct job jobs[JOBS];
    desk_open(&desk, *state, 1);
    submit(&desk, jobs);
    wait_for(&desk, JOBS);
    for (unsigned i = 0; i < JOBS; i++)
        assert_int_equal(jobs[i].order, i);
    desk_close(&desk);
}

static void closing_lets_the_jobs_that_wait_be_answered(void **state)
{
    struct desk desk;
    struct world *world = *state;
    static struct job jobs[JOBS];
    desk_open(&desk, world, 2);
    submit(&desk, jobs);
    world_close(world);
    (void)mailbox_empty(&desk.box);
    for (unsigned i = 0; i < JOBS; i++)
        assert_int_equal(jobs[i].answered, 1);
    desk_close(&desk);
}

static void short_jobs_pass_by_long_ones(void **state)
{
    struct desk desk;
    struct hold hold;
    static struct job longs[8], shorts[20];
    desk_open(&desk, *state, 1);
    hold_begin(&hold, desk.world->log, &desk.box);
    for (unsigned i = 0; i < 8; i++)
        submit_one(&desk, &longs[i], 500, 0);
    for (unsigned i = 0; i < 20; i++)
        submit_one(&desk, &shorts[i], 1, 0);
    hold_let_go(&hold);
    wait_for(&desk, 28);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(shorts[i].order, i);
    desk_close(&desk);
}

static void long_jobs_take_turns_and_are_not_kept_waiting_for_ever(void **state)
{
    struct desk desk;
    struct hold hold;
    static struct job longs[3], jobs[JOBS];
    desk_open(&desk, *state, 1);
    hold_begin(&hold, desk.world->log, &desk.box);
    for (unsigned i = 0; i < 3; i++)
        submit_one(&desk, &longs[i], 4 + i, 0);
    submit(&desk, jobs);
    hold_let_go(&hold);
    wait_for(&desk, JOBS + 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(longs[i].ran, 4 + i);
        assert_true(longs[i].order < JOBS); /* before the last new job */
    }
    desk_close(&desk);
}

/* A job whose slices take long by the log's clock. */
static bool run_long(struct log_job *job, struct log *log)
{
    struct job *mine = container_of(job, struct job, job);
    struct desk *desk = container_of(job->reply, struct desk, box);
    (void)log;
    clock_fake_advance(&desk->world->clock, LONG_US);
    return ++mine->ran >= mine->slices;
}

static struct job long_jobs[3];

/* Records how many slices the long jobs have had. */
static bool run_last(struct log_job *job, struct log *log)
{
    (void)log;
    container_of(job, struct job, job)->ran =
        long_jobs[0].ran + long_jobs[1].ran + long_jobs[2].ran;
    return true;
}

static void old_jobs_whose_slices_are_long_get_their_share_of_time(void **state)
{
    struct desk desk;
    struct hold hold;
    static struct job jobs[JOBS];
    desk_open(&desk, *state, 1);
    hold_begin(&hold, desk.world->log, &desk.box);
    for (unsigned i = 0; i < 3; i++) {
        submit_one(&desk, &long_jobs[i], 50, 0);
        long_jobs[i].job.run = run_long;
    }
    submit(&desk, jobs);
    jobs[JOBS - 1].job.run = run_last;
    hold_let_go(&hold);
    wait_for(&desk, JOBS + 3);
    /* Long jobs get their first slices, and another: new jobs take no time here, so another is more
     * than an eighth. */
    assert_int_equal(jobs[JOBS - 1].ran, 4);
    desk_close(&desk);
}

static void a_job_ends_when_its_allowance_is_spent(void **state)
{
    struct desk desk;
    struct log_stats stats;
    static struct job jobs[3];
    desk_open(&desk, *state, 2);
    submit_one(&desk, &jobs[0], UINT32_MAX, 7);
    submit_one(&desk, &jobs[1], 7, 7);
    submit_one(&desk, &jobs[2], 40, 0);
    wait_for(&desk, 3);
    assert_int_equal(jobs[0].ran, 7);
    assert_true(jobs[0].job.spent && !jobs[0].job.cancelled);
    assert_int_equal(jobs[1].ran, 7);
    assert_false(jobs[1].job.spent);
    assert_int_equal(jobs[2].ran, 40);
    log_stats(desk.world->log, &stats);
    assert_int_equal(stats.readers.slices, 54);
    assert_int_equal(stats.readers.spent, 1);
    desk_close(&desk);
}

static void a_cancelled_job_does_no_further_slice_and_is_answered_once(void **state)
{
    struct desk desk;
    struct hold hold;
    struct log_stats stats;
    static struct job waits, runs, over;
    desk_open(&desk, *state, 1);
    submit_one(&desk, &over, 1, 0);
    wait_for(&desk, 1);
    log_job_cancel(desk.world->log, &over.job); /* too late, and harmless */
    submit_one(&desk, &runs, UINT32_MAX, 0);
    log_job_cancel(desk.world->log, &runs.job); /* queued, running, or in between */
    wait_for(&desk, 2);
    assert_true(runs.job.cancelled);
    hold_begin(&hold, desk.world->log, &desk.box);
    submit_one(&desk, &waits, 5, 0);
    log_stats(desk.world->log, &stats);
    assert_int_equal(stats.readers.queued, 1);
    assert_int_equal(stats.readers.running, 1);
    log_job_cancel(desk.world->log, &waits.job);
    log_job_cancel(desk.world->log, &waits.job);
    wait_for(&desk, 3);
    assert_int_equal(waits.ran, 0);
    assert_true(waits.job.cancelled && !over.job.cancelled);
    log_stats(desk.world->log, &stats);
    assert_int_equal(stats.readers.cancelled, 2);
    assert_int_equal(stats.readers.queued, 0);
    hold_let_go(&hold);
    desk_close(&desk);
    assert_int_equal(waits.answered, 1);
}

static void a_job_that_is_hurried_gets_few_slices(void **state)
{
    struct desk desk;
    struct hold hold;
    static struct job jobs[2];
    desk_open(&desk, *state, 1);
    hold_begin(&hold, desk.world->log, &desk.box);
    submit_one(&desk, &jobs[0], UINT32_MAX, LOG_REQUEST_SLICES);
    submit_one(&desk, &jobs[1], UINT32_MAX, 2);
    log_job_hurry(desk.world->log, &jobs[0].job);
    log_job_hurry(desk.world->log, &jobs[1].job);
    hold_let_go(&hold);
    wait_for(&desk, 2);
    assert_int_equal(jobs[0].ran, LOG_LEAVING_SLICES);
    assert_int_equal(jobs[1].ran, 2);
    desk_close(&desk);
}

static void closing_ends_long_jobs_after_a_slice(void **state)
{
    struct desk desk;
    struct world *world = *state;
    static struct job jobs[4];
    desk_open(&desk, world, 2);
    for (unsigned i = 0; i < 4; i++)
        submit_one(&desk, &jobs[i], UINT32_MAX, 0);
    world_close(world);
    (void)mailbox_empty(&desk.box);
    for (unsigned i = 0; i < 4; i++)
        assert_true(jobs[i].answered == 1 && jobs[i].job.cancelled);
    desk_close(&desk);
}

/* Asks jobs whether they join; all refuse. */
struct asking {
    struct log_job job;
    unsigned asked;
};

static bool refuses(const struct log_job *job, void *context)
{
    (void)job;
    ++*(unsigned *)context;
    return false;
}

static bool ask_all(struct log_job *job, struct log *log)
{
    struct asking *asking = container_of(job, struct asking, job);
    struct log_job *none[1];
    assert_int_equal(readers_gather(log, refuses, &asking->asked, none, 1), 0);
    return true;
}

static void open_nothing(struct mail *mail, void *owner)
{
    (void)mail;
    (void)owner;
}

/* Fills a level with as many jobs as may be looked at, and adds some on each level above. */
static void fill_levels(struct desk *desk, struct job *jobs, unsigned count)
{
    static const uint32_t slices[READERS_LEVELS] = {0, 1, 8, 64};
    for (unsigned i = 0; i < count; i++) {
        unsigned level = i < READERS_GATHER_LOOK ? 0 : i % READERS_LEVELS;
        jobs[i] = (struct job){.job = {.run = run,
                                       .reply = &desk->box,
                                       .mail = {.open = open_answer},
                                       .slices = slices[level]}};
        log_submit(desk->world->log, &jobs[i].job);
    }
}

static void a_reader_looks_at_a_bounded_number_of_jobs_that_might_join(void **state)
{
    enum { MANY = 2 * READERS_GATHER_LOOK };
    struct desk desk;
    struct hold hold;
    struct asking asking = {.job = {.run = ask_all, .mail = {.open = open_nothing}}};
    static struct job jobs[MANY];
    desk_open(&desk, *state, 1);
    hold_begin(&hold, desk.world->log, &desk.box);
    asking.job.reply = &desk.box;
    log_submit(desk.world->log, &asking.job);
    fill_levels(&desk, jobs, MANY);
    hold_let_go(&hold);
    wait_for(&desk, MANY);
    desk_close(&desk);
    assert_int_equal(asking.asked, READERS_GATHER_LOOK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(each_job_runs_once_on_a_reader_and_is_answered_on_its_owner),
        ON_BOTH(a_single_reader_takes_jobs_in_their_order),
        ON_BOTH(closing_lets_the_jobs_that_wait_be_answered),
        IN_MEMORY(short_jobs_pass_by_long_ones),
        IN_MEMORY(long_jobs_take_turns_and_are_not_kept_waiting_for_ever),
        IN_MEMORY(old_jobs_whose_slices_are_long_get_their_share_of_time),
        IN_MEMORY(a_job_ends_when_its_allowance_is_spent),
        IN_MEMORY(a_cancelled_job_does_no_further_slice_and_is_answered_once),
        IN_MEMORY(a_job_that_is_hurried_gets_few_slices),
        IN_MEMORY(closing_ends_long_jobs_after_a_slice),
        IN_MEMORY(a_reader_looks_at_a_bounded_number_of_jobs_that_might_join),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
