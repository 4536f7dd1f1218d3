#include "log/ask.h"

#include "log/testing.h"

#include <limits.h>

enum { READS = 5, MOST = 1000, PAGE = 400 };

/* A read that finds PAGE bytes in each of its slices. */
struct read {
    struct question question;
    struct desk *desk;
    unsigned slices; /* number of slices that it needs */
    unsigned done;
    unsigned answers;
};

struct desk {
    struct world *world;
    struct mailbox box;
    struct asker asker;
    unsigned answered;
    uint64_t held_most;
    bool takes; /* results are taken at once */
};

static bool slice(struct question *question, struct log *log)
{
    struct read *read = container_of(question, struct read, question);
    (void)log_newest(log);
    question_found(question, (uint64_t)++read->done * PAGE);
    return read->done >= read->slices;
}

static void answered(struct question *question)
{
    struct read *read = container_of(question, struct read, question);
    struct desk *desk = read->desk;
    uint64_t held = asker_held(&desk->asker);
    desk->held_most = held > desk->held_most ? held : desk->held_most;
    read->answers++;
    desk->answered++;
    if (desk->takes)
        question_end(question);
}

static const struct question_ops large = {.slice = slice, .answered = answered};

static bool slice_of_nothing(struct question *question, struct log *log)
{
    struct read *read = container_of(question, struct read, question);
    (void)log_newest(log);
    return ++read->done >= read->slices;
}

static const struct question_ops small = {
    .slice = slice_of_nothing, .answered = answered, .is_small = true, .slices_max = 4};

/* Opens a log with a single reader, so that reads are done in order. */
static void desk_open(struct desk *desk, struct world *world, uint64_t most)
{
    *desk = (struct desk){.world = world};
    assert_int_equal(mailbox_init(&desk->box, desk), 0);
    world->config.readers = 1;
    world_open(world);
    asker_init(&desk->asker, world->log, &desk->box, most);
}

static void desk_close(struct desk *desk)
{
    assert_true(asker_is_idle(&desk->asker));
    assert_int_equal(desk->asker.under_way, 0);
    assert_int_equal(asker_held(&desk->asker), 0);
    assert_true(list_empty(&desk->asker.waiting));
    world_close(desk->world);
    mailbox_deinit(&desk->box);
}

static void begin_as(struct desk *desk, struct read *read, unsigned slices,
                     const struct question_ops *ops)
{
    *read = (struct read){.desk = desk, .slices = slices};
    question_init(&read->question, &desk->asker, ops);
    question_ask(&read->question);
}

static void begin(struct desk *desk, struct read *read, unsigned slices)
{
    begin_as(desk, read, slices, &large);
}

static void wait_until_answered(struct desk *desk, unsigned answered)
{
    while (desk->answered < answered)
        mailbox_testing_turn(&desk->box);
}

/* Waits until every read was answered or waits for room. */
static void wait_until_all_were_looked_at(struct desk *desk)
{
    while (desk->answered + asker_put_off(&desk->asker) < READS)
        mailbox_testing_turn(&desk->box);
}

static void reads_beyond_the_room_wait_until_others_are_taken(void **state)
{
    struct desk desk;
    struct read reads[READS];
    desk_open(&desk, *state, MOST);
    for (unsigned i = 0; i < READS; i++)
        begin(&desk, &reads[i], 1);
    wait_until_all_were_looked_at(&desk);
    assert_int_equal(desk.answered, 3); /* the third one filled it */
    assert_int_equal(asker_held(&desk.asker), 3 * PAGE);
    assert_int_equal(asker_put_off(&desk.asker), READS - 3);
    question_end(&reads[0].question);
    wait_until_answered(&desk, 4);
    assert_int_equal(reads[3].answers, 1);
    for (unsigned i = 1; i < 4; i++)
        question_end(&reads[i].question);
    wait_until_answered(&desk, READS);
    assert_int_equal(reads[4].answers, 1);
    question_end(&reads[4].question);
    assert_true(desk.held_most <= 3 * (uint64_t)PAGE);
    desk_close(&desk);
}

static void each_of_many_reads_comes_to_its_turn(void **state)
{
    enum { MANY = 500 };
    struct desk desk;
    static struct read reads[MANY];
    desk_open(&desk, *state, MOST);
    desk.takes = true;
    for (unsigned i = 0; i < MANY; i++)
        begin(&desk, &reads[i], 1);
    wait_until_answered(&desk, MANY);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(reads[i].answers, 1);
    assert_true(desk.held_most < MOST + PAGE);
    desk_close(&desk);
}

static void a_room_smaller_than_a_page_takes_one_at_a_time(void **state)
{
    struct desk desk;
    struct read reads[READS];
    desk_open(&desk, *state, 1);
    desk.takes = true;
    for (unsigned i = 0; i < READS; i++)
        begin(&desk, &reads[i], 1);
    wait_until_answered(&desk, READS);
    assert_true(desk.held_most <= PAGE);
    desk_close(&desk);
}

static void a_read_that_has_found_something_ends_with_it(void **state)
{
    struct desk desk;
    struct read reads[3];
    desk_open(&desk, *state, MOST);
    desk.takes = true;
    for (unsigned i = 0; i < 3; i++)
        begin(&desk, &reads[i], 10);
    wait_until_answered(&desk, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_in_range(reads[i].done, 1, 3); /* of ten slices */
    assert_true(asker_put_off(&desk.asker) >= 3);
    desk_close(&desk);
}

static void a_read_that_waits_can_be_cancelled(void **state)
{
    struct desk desk;
    struct read reads[READS];
    desk_open(&desk, *state, MOST);
    for (unsigned i = 0; i < READS; i++)
        begin(&desk, &reads[i], 1);
    wait_until_all_were_looked_at(&desk);
    question_drop(&reads[4].question);
    wait_until_answered(&desk, 4);
    assert_int_equal(reads[4].answers, 1);
    assert_true(reads[4].question.job.cancelled);
    for (unsigned i = 0; i < 3; i++)
        question_end(&reads[i].question);
    wait_until_answered(&desk, READS);
    assert_int_equal(reads[3].answers, 1);
    question_end(&reads[3].question);
    question_end(&reads[4].question);
    desk_close(&desk);
}

/* The answer of such a read is on the way, and its owner may free it then. */
static void a_read_that_is_cancelled_while_it_waits_is_not_let_in(void **state)
{
    struct desk desk;
    struct read reads[READS];
    desk_open(&desk, *state, MOST);
    for (unsigned i = 0; i < READS; i++)
        begin(&desk, &reads[i], 1);
    wait_until_all_were_looked_at(&desk);
    question_drop(&reads[3].question);
    for (unsigned i = 0; i < 3; i++)
        question_end(&reads[i].question);
    wait_until_answered(&desk, READS);
    assert_int_equal(reads[3].done, 0);
    assert_int_equal(reads[3].answers, 1);
    assert_int_equal(reads[4].answers, 1);
    question_end(&reads[3].question);
    question_end(&reads[4].question);
    desk_close(&desk);
}

static void a_read_that_nobody_wants_does_not_wait(void **state)
{
    struct desk desk;
    struct read reads[READS];
    desk_open(&desk, *state, MOST);
    for (unsigned i = 0; i < READS; i++)
        begin(&desk, &reads[i], 1);
    reads[4].question.dropped = true; /* the client goes while the mail is on its way */
    wait_until_all_were_looked_at(&desk);
    assert_int_equal(reads[4].answers, 1);
    assert_int_equal(asker_put_off(&desk.asker), 1);
    for (unsigned i = 0; i < 3; i++)
        question_end(&reads[i].question);
    wait_until_answered(&desk, READS);
    question_end(&reads[3].question);
    question_end(&reads[4].question);
    desk_close(&desk);
}

static bool any_job(const struct log_job *job, void *context)
{
    (void)context;
    return job != NULL;
}

static const struct question_ops fruitless = {.slice = slice_of_nothing, .answered = answered};

/* A slice may answer other questions along, which then have not looked at the room again. */
static void a_read_that_has_waited_and_is_answered_along_waits_no_more(void **state)
{
    struct desk desk;
    struct read full, along;
    struct hold hold;
    struct log_job *jobs[READS];
    desk_open(&desk, *state, 1);
    begin(&desk, &full, 1);
    wait_until_answered(&desk, 1);
    begin_as(&desk, &along, 1, &fruitless);
    while (!asker_put_off(&desk.asker))
        mailbox_testing_turn(&desk.box);
    hold_begin(&hold, desk.world->log, &desk.box);
    question_end(&full.question);
    assert_int_equal(readers_gather(desk.world->log, any_job, NULL, jobs, READS), 1);
    assert_ptr_equal(jobs[0], &along.question.job);
    readers_give(desk.world->log, jobs[0], true);
    while (mailbox_empty(&desk.box))
        ;
    unsigned answers = along.answers;
    hold_end(&hold);
    wait_until_answered(&desk, 2);
    question_end(&along.question);
    assert_int_equal(answers, 1);
    assert_int_equal(asker_put_off(&desk.asker), 1);
    desk_close(&desk);
}

static void a_room_that_is_made_larger_takes_more(void **state)
{
    struct desk desk;
    struct read reads[READS];
    desk_open(&desk, *state, 1);
    asker_limit(&desk.asker, MOST);
    for (unsigned i = 0; i < READS; i++)
        begin(&desk, &reads[i], 1);
    wait_until_all_were_looked_at(&desk);
    assert_int_equal(desk.answered, 3);
    for (unsigned i = 0; i < READS; i++) {
        wait_until_answered(&desk, i + 1);
        question_end(&reads[i].question);
    }
    desk_close(&desk);
}

static void without_a_bound_nothing_waits(void **state)
{
    struct desk desk;
    struct read reads[READS];
    desk_open(&desk, *state, 0);
    for (unsigned i = 0; i < READS; i++)
        begin(&desk, &reads[i], 3);
    wait_until_all_were_looked_at(&desk);
    assert_int_equal(asker_held(&desk.asker), READS * 3 * PAGE);
    for (unsigned i = 0; i < READS; i++)
        question_end(&reads[i].question);
    assert_int_equal(asker_put_off(&desk.asker), 0);
    desk_close(&desk);
}

static void a_question_with_a_small_answer_does_not_wait_for_room(void **state)
{
    struct desk desk;
    struct read full, reads[READS];
    desk_open(&desk, *state, 1);
    begin(&desk, &full, 1);
    wait_until_answered(&desk, 1);
    for (unsigned i = 0; i < READS; i++)
        begin_as(&desk, &reads[i], 3, &small);
    wait_until_answered(&desk, 1 + READS);
    assert_false(asker_is_idle(&desk.asker));
    question_end(&full.question);
    for (unsigned i = 0; i < READS; i++)
        question_end(&reads[i].question);
    desk_close(&desk);
}

static void a_question_ends_with_its_allowance(void **state)
{
    struct desk desk;
    struct read read;
    desk_open(&desk, *state, 0);
    desk.takes = true;
    begin_as(&desk, &read, 100, &small);
    wait_until_answered(&desk, 1);
    assert_true(read.question.job.spent);
    assert_int_equal(read.done, 4);
    desk_close(&desk);
}

static void a_question_that_is_hurried_looks_at_less(void **state)
{
    enum { MANY = INT_MAX }; /* more than the readers look at before the hurry */
    struct desk desk;
    struct read read;
    desk_open(&desk, *state, 0);
    desk.takes = true;
    begin(&desk, &read, MANY);
    question_hurry(&read.question);
    wait_until_answered(&desk, 1);
    assert_true(read.question.job.spent);
    assert_in_range(read.done, 1, MANY - 1);
    desk_close(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(reads_beyond_the_room_wait_until_others_are_taken),
        IN_MEMORY(each_of_many_reads_comes_to_its_turn),
        IN_MEMORY(a_room_smaller_than_a_page_takes_one_at_a_time),
        IN_MEMORY(a_read_that_has_found_something_ends_with_it),
        IN_MEMORY(a_read_that_waits_can_be_cancelled),
        IN_MEMORY(a_read_that_is_cancelled_while_it_waits_is_not_let_in),
        IN_MEMORY(a_read_that_nobody_wants_does_not_wait),
        IN_MEMORY(a_read_that_has_waited_and_is_answered_along_waits_no_more),
        IN_MEMORY(a_room_that_is_made_larger_takes_more),
        IN_MEMORY(without_a_bound_nothing_waits),
        IN_MEMORY(a_question_with_a_small_answer_does_not_wait_for_room),
        IN_MEMORY(a_question_ends_with_its_allowance),
        IN_MEMORY(a_question_that_is_hurried_looks_at_less),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
