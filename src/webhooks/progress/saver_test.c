#include "webhooks/progress/saver.h"

#include "net/mailbox_testing.h"

#include <pthread.h>
#include <stdlib.h>

enum { JOBS = 6 };

/* The jobs that have run and the files that were opened, in order, as letters. */
struct rig {
    struct registry *registry;
    struct saver *saver;
    struct mailbox mailbox;
    char ran[JOBS + 1], opened[JOBS + 1];
    pthread_mutex_t gate; /* held by the test while the saver's thread is to wait */
    struct letter {
        struct saver_job job;
        struct rig *rig;
        char name;
    } letters[JOBS];
};

static int run(struct saver_job *job, struct registry *registry)
{
    struct letter *letter = container_of(job, struct letter, job);
    struct rig *rig = letter->rig;
    assert_ptr_equal(registry, rig->registry);
    pthread_mutex_lock(&rig->gate);
    rig->ran[strlen(rig->ran)] = letter->name;
    pthread_mutex_unlock(&rig->gate);
    return -letter->name;
}

static void on_ran(struct mail *mail, void *owner)
{
    struct letter *letter = container_of(mail, struct letter, job.mail);
    struct rig *rig = owner;
    assert_int_equal(letter->job.result, -letter->name);
    rig->opened[strlen(rig->opened)] = letter->name;
}

static void submit(struct rig *rig, char name, bool looks)
{
    struct letter *letter = &rig->letters[name - 'a'];
    *letter = (struct letter){
        .job = {.run = run, .looks = looks, .reply = &rig->mailbox, .mail = {NULL, on_ran}},
        .rig = rig,
        .name = name};
    saver_submit(rig->saver, &letter->job);
}

static void await_opened(struct rig *rig, size_t count)
{
    while (strlen(rig->opened) < count)
        mailbox_testing_turn(&rig->mailbox);
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    assert_int_equal(registry_open(NULL, &rig->registry), 0);
    assert_int_equal(mailbox_init(&rig->mailbox, rig), 0);
    pthread_mutex_init(&rig->gate, NULL);
    rig->saver = saver_new(rig->registry);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    saver_free(rig->saver);
    registry_close(rig->registry);
    mailbox_deinit(&rig->mailbox);
    pthread_mutex_destroy(&rig->gate);
    free(rig);
    return 0;
}

static void without_a_thread_jobs_run_at_once_and_are_opened_as_mail(void **state)
{
    struct rig *rig = *state;
    submit(rig, 'a', false);
    submit(rig, 'b', true);
    assert_string_equal(rig->ran, "ab");
    assert_string_equal(rig->opened, "");
    await_opened(rig, 2);
    assert_string_equal(rig->opened, "ab");
}

/* The thread is in the first job while the others are submitted. */
static void jobs_that_only_read_wait_behind_jobs_that_save(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(saver_start(rig->saver), 0);
    pthread_mutex_lock(&rig->gate);
    submit(rig, 'a', false);
    submit(rig, 'b', true);
    submit(rig, 'c', false);
    submit(rig, 'd', true);
    submit(rig, 'e', false);
    pthread_mutex_unlock(&rig->gate);
    await_opened(rig, 5);
    /* The thread may have been too slow to take the first before the others came. */
    assert_string_equal(rig->ran, "acebd");
    assert_string_equal(rig->opened, rig->ran);
}

static void submitted_jobs_run_before_the_saver_ends(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(saver_start(rig->saver), 0);
    for (int i = 0; i < JOBS; i++)
        submit(rig, (char)('a' + i), i % 2);
    saver_free(rig->saver);
    rig->saver = NULL;
    assert_int_equal(strlen(rig->ran), JOBS);
    await_opened(rig, JOBS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(without_a_thread_jobs_run_at_once_and_are_opened_as_mail),
        TEST(jobs_that_only_read_wait_behind_jobs_that_save),
        TEST(submitted_jobs_run_before_the_saver_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
