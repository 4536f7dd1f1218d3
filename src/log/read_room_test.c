#include "log/read_room.h"

#include "log/testing.h"

enum { READS = 5, MOST = 1000, PAGE = 400 };

/* A read that finds PAGE bytes in each of its slices. */
struct read {
    struct log_job job;
    struct read_place place;
    unsigned slices; /* number of slices that it needs */
    unsigned done;
    unsigned opened; /* mails opened without a wait */
    bool unwanted;
};

struct desk {
    struct world *world;
    struct mailbox box;
    struct read_room room;
    unsigned mails;
    unsigned opened;
    uint64_t held_most;
    bool takes; /* results are taken at once */
};

static bool run(struct log_job *job, struct log *log)
{
    struct read *read = container_of(job, struct read, job);
    (void)log_newest(log);
    if (read_place_is_full(&read->place)) {
        read_place_stop(&read->place);
        return true;
    }
    read_place_has(&read->place, (uint64_t)++read->done * PAGE);
    return read->done >= read->slices;
}

static void open_read(struct mail *mail, void *owner)
{
    struct read *read = container_of(mail, struct read, job.mail);
    struct desk *desk = owner;
    uint64_t held = atomic_load(&desk->room.held);
    desk->held_most = held > desk->held_most ? held : desk->held_most;
    desk->mails++;
    if (read_place_waits(&read->place, !read->unwanted))
        return;
    read->opened++;
    desk->opened++;
    if (desk->takes)
        read_place_end(&read->place);
}

/* Opens a log with a single reader, so that reads are done in order. */
static void desk_open(struct desk *desk, struct world *world, uint64_t most)
{
    *desk = (struct desk){.world = world};
    assert_int_equal(mailbox_init(&desk->box, desk), 0);
    world->config.readers = 1;
    world_open(world);
    read_room_init(&desk->room, world->log, most);
}

static void desk_close(struct desk *desk)
{
    assert_int_equal(desk->room.under_way, 0);
    assert_int_equal(atomic_load(&desk->room.held), 0);
    assert_true(list_empty(&desk->room.waiting));
    world_close(desk->world);
    mailbox_deinit(&desk->box);
}

static void begin(struct desk *desk, struct read *read, unsigned slices)
{
    *read = (struct read){.job = {.run = run, .reply = &desk->box, .mail = {.open = open_read}},
                          .slices = slices};
    read_place_begin(&read->place, &desk->room, &read->job);
}

static void wait_for_mails(struct desk *desk, unsigned mails)
{
    while (desk->mails < mails) {
        if (mailbox_empty(&desk->box) || !mailbox_sleep(&desk->box))
            continue;
        struct pollfd wake = {.fd = desk->box.wake_fd, .events = POLLIN};
        uint64_t wakes;
        assert_int_equal(poll(&wake, 1, DEADLINE_MS), 1);
        assert_int_equal(read(desk->box.wake_fd, &wakes, sizeof(wakes)), sizeof(wakes));
        mailbox_wake(&desk->box);
    }
}

static void wait_until_opened(struct desk *desk, unsigned opened)
{
    while (desk->opened < opened)
        wait_for_mails(desk, desk->mails + 1);
}

static void reads_beyond_the_room_wait_until_others_are_taken(void **state)
{
    struct desk desk;
    struct read reads[READS];
    desk_open(&desk, *state, MOST);
    for (unsigned i = 0; i < READS; i++)
        begin(&desk, &reads[i], 1);
    wait_for_mails(&desk, READS);
    assert_int_equal(desk.opened, 3); /* the third one filled it */
    assert_int_equal(atomic_load(&desk.room.held), 3 * PAGE);
    assert_int_equal(desk.room.put_off, READS - 3);
    read_place_end(&reads[0].place);
    wait_until_opened(&desk, 4);
    assert_int_equal(reads[3].opened, 1);
    for (unsigned i = 1; i < 4; i++)
        read_place_end(&reads[i].place);
    wait_until_opened(&desk, READS);
    assert_int_equal(reads[4].opened, 1);
    read_place_end(&reads[4].place);
    assert_true(desk.held_most <= 3 * (uint64_t)PAGE);
    desk_close(&desk);
}

static void many_reads_all_come_to_their_turn(void **state)
{
    enum { MANY = 500 };
    struct desk desk;
    static struct read reads[MANY];
    desk_open(&desk, *state, MOST);
    desk.takes = true;
    for (unsigned i = 0; i < MANY; i++)
        begin(&desk, &reads[i], 1);
    wait_until_opened(&desk, MANY);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(reads[i].opened, 1);
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
    wait_until_opened(&desk, READS);
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
    wait_until_opened(&desk, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_in_range(reads[i].done, 1, 3); /* of ten slices */
    assert_true(desk.room.put_off >= 3);
    desk_close(&desk);
}

static void a_read_that_waits_can_be_cancelled(void **state)
{
    struct desk desk;
    struct read reads[READS];
    desk_open(&desk, *state, MOST);
    for (unsigned i = 0; i < READS; i++)
        begin(&desk, &reads[i], 1);
    wait_for_mails(&desk, READS);
    log_job_cancel(desk.world->log, &reads[4].job);
    wait_until_opened(&desk, 4);
    assert_int_equal(reads[4].opened, 1);
    assert_true(reads[4].job.cancelled);
    for (unsigned i = 0; i < 3; i++)
        read_place_end(&reads[i].place);
    wait_until_opened(&desk, READS);
    assert_int_equal(reads[3].opened, 1);
    read_place_end(&reads[3].place);
    read_place_end(&reads[4].place);
    desk_close(&desk);
}

static void a_read_that_nobody_wants_does_not_wait(void **state)
{
    struct desk desk;
    struct read reads[READS];
    desk_open(&desk, *state, MOST);
    for (unsigned i = 0; i < READS; i++)
        begin(&desk, &reads[i], 1);
    reads[4].unwanted = true; /* the client goes while the mail is on its way */
    wait_for_mails(&desk, READS);
    assert_int_equal(reads[4].opened, 1);
    assert_int_equal(desk.room.put_off, 1);
    for (unsigned i = 0; i < 3; i++)
        read_place_end(&reads[i].place);
    wait_until_opened(&desk, READS);
    read_place_end(&reads[3].place);
    read_place_end(&reads[4].place);
    desk_close(&desk);
}

static void without_a_bound_nothing_waits(void **state)
{
    struct desk desk;
    struct read reads[READS];
    desk_open(&desk, *state, 0);
    for (unsigned i = 0; i < READS; i++)
        begin(&desk, &reads[i], 3);
    wait_for_mails(&desk, READS);
    assert_int_equal(atomic_load(&desk.room.held), READS * 3 * PAGE);
    for (unsigned i = 0; i < READS; i++)
        read_place_end(&reads[i].place);
    assert_int_equal(desk.room.put_off, 0);
    desk_close(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_MEMORY(reads_beyond_the_room_wait_until_others_are_taken),
        IN_MEMORY(many_reads_all_come_to_their_turn),
        IN_MEMORY(a_room_smaller_than_a_page_takes_one_at_a_time),
        IN_MEMORY(a_read_that_has_found_something_ends_with_it),
        IN_MEMORY(a_read_that_waits_can_be_cancelled),
        IN_MEMORY(a_read_that_nobody_wants_does_not_wait),
        IN_MEMORY(without_a_bound_nothing_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
