#include "hub/testing.h"

/* ---- bounds --------------------------------------------------------------------------------- */

/* Readers of a channel of `count` events, each at another position, the newest first. */
static void read_from_each(struct world *world, struct reader **readers, int count)
{
    uint64_t start = hub_applied(&world->hub);
    for (int i = 0; i < count; i++)
        world_publish(world, "a", "x");
    for (int i = 0; i < count; i++) {
        readers[i] = reader_new(world, "a", NULL, start + (uint64_t)(count - 1 - i));
        assert_int_equal(reader_drain(readers[i]), TAKE_NOTHING);
        assert_int_equal(readers[i]->got.len, i + 1);
    }
}

static void pages_that_contain_each_other_are_kept_once(void **state)
{
    (void)state;
    struct world *world = roomy_world();
    struct reader *readers[50];
    read_from_each(world, readers, 50);
    assert_int_equal(world->hub.pages_count, 1);
    for (int i = 0; i < 50; i++)
        reader_free(readers[i]);
    world_free(world);
}

static void the_number_of_cached_pages_is_bounded(void **state)
{
    (void)state;
    enum { MANY = 1200, MOST = 1024 };
    struct hub_limits limits = roomy;
    limits.chunk_bytes = 1; /* an event each */
    limits.cache_bytes = BIG;
    struct world *world = world_new(limits, BIG);
    struct reader *readers[MANY - 1];
    uint64_t start = hub_applied(&world->hub);
    for (int i = 0; i < MANY; i++)
        world_publish(world, "a", "x");
    struct reader *reader = reader_new(world, "a", NULL, start);
    reader_drain(reader);
    assert_int_equal(reader->got.len, MANY);
    assert_int_equal(world->hub.pages_count, MOST);
    for (int i = 0; i < MANY - 1; i++) { /* each page is found, or made again */
        readers[i] = reader_new(world, "a", NULL, start + (uint64_t)i);
        assert_int_equal(reader_flush(readers[i], 1), TAKE_BYTES);
        reader_got(readers[i], "x");
    }
    assert_int_equal(world->hub.pages_count, MOST);
    for (int i = 0; i < MANY - 1; i++)
        reader_free(readers[i]);
    reader_free(reader);
    world_free(world);
}

/* ---- pieces --------------------------------------------------------------------------------- */

/* Slow peers that reach a large event at different times share one copy, as long as one of them
 * holds it. */
static void a_piece_that_somebody_holds_is_not_encoded_again(void **state)
{
    (void)state;
    struct hub_limits limits = LIMITS(1, 64, 1 << 20);
    limits.large_bytes = 20;
    struct world *world = world_new(limits, BIG);
    const char *text = "a large event, shared by reference ";
    uint64_t begin = hub_applied(&world->hub);
    world_publish(world, "a", text);
    world_publish(world, "elsewhere", "x");
    struct piece *held = NULL;
    for (int i = 0; i < 3; i++) {
        struct reader *reader = reader_new(world, "a", NULL, begin);
        struct taken taken;
        while (hub_take(&world->hub, &reader->sub, &taken) == TAKE_WAIT)
            world_run_jobs(world);
        struct piece *piece = chunk_piece(taken.chunk, taken.first);
        assert_non_null(piece);
        assert_true(!held || piece == held);
        held = held ? held : piece_ref(piece);
        hub_sent(&world->hub, &reader->sub, taken.bytes.len, false);
        reader_free(reader);
        hub_turn_end(&world->hub);
        assert_true(list_empty(&world->hub.pieces));
    }
    assert_int_equal(world->encoded, 1);
    piece_unref(held);
    assert_true(list_empty(&world->hub.loose_pieces));
    world_free(world);
}

/* ---- trims ---------------------------------------------------------------------------------- */

/* The log hides an event from readers as soon as it is trimmed, while the TRIM entry is still in
 * the mail. A subscriber must not be served a page that was read in between: it would miss the
 * event without a gap. */
static void a_page_of_the_store_ahead_of_the_mail_hides_no_gap(void **state)
{
    (void)state;
    struct world *world = world_new((struct hub_limits)LIMITS(BIG, 4096, 1 << 20), BIG);
    uint64_t start = hub_applied(&world->hub);
    world_publish(world, "a", "1 ");
    world->hub.window.held_above = start + 1; /* lets the first event fall out */
    world_publish(world, "a", "2 ");
    world_publish(world, "a", "3 ");
    struct reader *old = reader_new(world, "a", NULL, start);
    struct reader *recent = reader_new(world, "a", NULL, start + 1);
    reader_flush(recent, 1); /* "2" is cut */
    reader_send_rest(recent, &(size_t){1});
    hub_turn_end(&world->hub);
    assert_int_equal(reader_drain(old), TAKE_WAIT);
    world_trim(world, "a");
    world_run_jobs(world); /* the result of the read overtakes the TRIM entry */
    reader_drain(recent);
    assert_true(recent->gaps == 1 || str_eq(buf_str(&recent->got), STR("2 3 ")));
    reader_drain(old);
    assert_int_equal(old->gaps, 1);
    mailbox_empty(&world->mail);
    reader_drain(old);
    reader_drain(recent);
    reader_free(old);
    reader_free(recent);
    world_free(world);
}

static void deleted_events_are_in_no_page_of_later_subscribers(void **state)
{
    (void)state;
    struct world *world = tight_world();
    uint64_t start = hub_applied(&world->hub);
    world_publish(world, "a", "secret ");
    world_publish(world, "a", "secret ");
    world_publish(world, "b", "b ");
    struct reader *early = reader_new(world, "a b", NULL, start);
    reader_drain(early);
    struct log_job *job = world_take_job(world); /* reads before the DELETE, answers after it */
    while (!job->run(job, world->log))
        ;
    world_trim(world, "a");
    mailbox_empty(&world->mail);
    struct reader *late = reader_new(world, "a b", NULL, start);
    reader_drain(late);
    mailbox_post(job->reply, &job->mail);
    while (mailbox_empty(&world->answers) || world_run_jobs(world))
        ;
    reader_drain(late);
    world_run_jobs(world);
    reader_drain(late);
    reader_got(late, "b ");
    assert_int_equal(late->gaps, 1);
    /* The same for a page that is in the cache already. */
    world_publish(world, "a", "secret ");
    struct reader *third = reader_new(world, "a b", NULL, start);
    while (reader_drain(third) == TAKE_WAIT)
        world_run_jobs(world);
    assert_true(world->hub.cached > 0);
    world_trim(world, "a");
    mailbox_empty(&world->mail);
    struct reader *fourth = reader_new(world, "a b", NULL, start);
    while (reader_drain(fourth) == TAKE_WAIT)
        world_run_jobs(world);
    reader_got(fourth, "b ");
    reader_free(early);
    reader_free(late);
    reader_free(third);
    reader_free(fourth);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_that_contain_each_other_are_kept_once),
        cmocka_unit_test(the_number_of_cached_pages_is_bounded),
        cmocka_unit_test(a_piece_that_somebody_holds_is_not_encoded_again),
        cmocka_unit_test(a_page_of_the_store_ahead_of_the_mail_hides_no_gap),
        cmocka_unit_test(deleted_events_are_in_no_page_of_later_subscribers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
