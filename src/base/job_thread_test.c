#include "base/job_thread.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

enum { JOBS = 6 };

/* The jobs that have run, in order, as letters. */
struct rig {
    struct job_thread thread;
    char ran[JOBS + 1];
    pthread_mutex_t gate; /* held by the test while the thread is to wait */
    struct letter {
        struct thread_job job;
        struct rig *rig;
        char name;
    } letters[JOBS];
};

static void run(struct thread_job *job)
{
    struct letter *letter = container_of(job, struct letter, job);
    struct rig *rig = letter->rig;
    pthread_mutex_lock(&rig->gate);
    rig->ran[strlen(rig->ran)] = letter->name;
    pthread_mutex_unlock(&rig->gate);
}

static void submit(struct rig *rig, char name, bool is_urgent)
{
    struct letter *letter = &rig->letters[name - 'a'];
    *letter = (struct letter){.job = {.run = run}, .rig = rig, .name = name};
    job_thread_submit(&rig->thread, &letter->job, is_urgent);
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    pthread_mutex_init(&rig->gate, NULL);
    job_thread_init(&rig->thread);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    pthread_mutex_destroy(&rig->gate);
    free(rig);
    return 0;
}

static void without_a_thread_jobs_run_at_once(void **state)
{
    struct rig *rig = *state;
    submit(rig, 'a', false);
    submit(rig, 'b', true);
    assert_string_equal(rig->ran, "ab");
    job_thread_deinit(&rig->thread);
}

/* The thread is in the first job while the others are submitted, or has not come to it yet. */
static void urgent_jobs_go_first_and_each_kind_keeps_its_order(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(job_thread_start(&rig->thread), 0);
    pthread_mutex_lock(&rig->gate);
    submit(rig, 'a', true);
    submit(rig, 'b', false);
    submit(rig, 'c', true);
    submit(rig, 'd', false);
    submit(rig, 'e', true);
    pthread_mutex_unlock(&rig->gate);
    job_thread_deinit(&rig->thread);
    assert_string_equal(rig->ran, "acebd");
}

static void submitted_jobs_run_before_the_thread_ends(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(job_thread_start(&rig->thread), 0);
    for (int i = 0; i < JOBS; i++)
        submit(rig, (char)('a' + i), i % 2);
    job_thread_deinit(&rig->thread);
    assert_int_equal(strlen(rig->ran), JOBS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(without_a_thread_jobs_run_at_once),
        TEST(urgent_jobs_go_first_and_each_kind_keeps_its_order),
        TEST(submitted_jobs_run_before_the_thread_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
