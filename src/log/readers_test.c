#include "log/testing.h"

enum { JOBS = 200 };

struct job {
    struct log_job job;
    pthread_t ran_on;
    unsigned ran;
    unsigned answered;
    unsigned order;
};

struct desk {
    struct world *world;
    struct mailbox box;
    unsigned answered;
};

static void run(struct log_job *job, struct log *log)
{
    struct job *mine = container_of(job, struct job, job);
    (void)log_newest(log);
    mine->ran_on = pthread_self();
    mine->ran++;
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

/* The log first: a reader may still be about to wake the mailbox that it has posted to. */
static void desk_close(struct desk *desk)
{
    if (desk->world->log)
        world_close(desk->world);
    mailbox_deinit(&desk->box);
}

static void submit(struct desk *desk, struct job *jobs)
{
    for (unsigned i = 0; i < JOBS; i++) {
        jobs[i] =
            (struct job){.job = {.run = run, .reply = &desk->box, .mail = {.open = open_answer}}};
        log_submit(desk->world->log, &jobs[i].job);
    }
}

static void wait_for_all(struct desk *desk)
{
    while (desk->answered < JOBS) {
        if (mailbox_empty(&desk->box) || !mailbox_sleep(&desk->box))
            continue;
        struct pollfd wake = {.fd = desk->box.wake_fd, .events = POLLIN};
        uint64_t wakes;
        assert_int_equal(poll(&wake, 1, DEADLINE_MS), 1);
        assert_int_equal(read(desk->box.wake_fd, &wakes, sizeof(wakes)), sizeof(wakes));
        mailbox_wake(&desk->box);
    }
}

static void each_job_runs_once_elsewhere_and_is_answered_here(void **state)
{
    struct desk desk;
    static struct job jobs[JOBS];
    desk_open(&desk, *state, 3);
    submit(&desk, jobs);
    wait_for_all(&desk);
    for (unsigned i = 0; i < JOBS; i++) {
        assert_int_equal(jobs[i].ran, 1);
        assert_int_equal(jobs[i].answered, 1);
        assert_false(pthread_equal(jobs[i].ran_on, pthread_self()));
    }
    desk_close(&desk);
}

static void one_reader_takes_jobs_in_their_order(void **state)
{
    struct desk desk;
    static struct job jobs[JOBS];
    desk_open(&desk, *state, 1);
    submit(&desk, jobs);
    wait_for_all(&desk);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(each_job_runs_once_elsewhere_and_is_answered_here),
        ON_BOTH(one_reader_takes_jobs_in_their_order),
        ON_BOTH(closing_lets_the_jobs_that_wait_be_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
