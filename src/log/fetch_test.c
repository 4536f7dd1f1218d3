#include "log/fetch.h"

#include "log/testing.h"

enum { EVENTS = 3 * LOG_SLICE_ROWS + 500, EVERY = 1000, RARE = EVENTS / EVERY + 1 };

static void none(struct mail *mail, void *owner)
{
    (void)mail;
    (void)owner;
}

static struct selection *select_term(const char *term, const char *type)
{
    struct str terms[] = {str_from(term)}, types[] = {type ? str_from(type) : STR_NONE};
    struct selection *selection = selection_new(terms, 1, types, type != NULL, NULL);
    assert_non_null(selection);
    return selection;
}

/* Runs it here, slice by slice; how many there were. */
static unsigned fetch_all(struct world *world, struct log_fetch *fetch, struct selection *selection,
                          const struct store_query *query)
{
    unsigned slices = 1;
    log_fetch_init(fetch, selection, query, NULL, none);
    while (!fetch->job.run(&fetch->job, world->log))
        slices++;
    assert_int_equal(fetch->error, 0);
    return slices;
}

/* EVENTS events in a hundred channels "noise/N"; each thousandth has the type "rare". */
static void fill(struct world *world)
{
    for (unsigned i = 0; i < EVENTS;) {
        struct append *append = append_begin(world);
        struct post post;
        post_begin(append, &post);
        for (unsigned j = 0; j < 500 && i < EVENTS; j++, i++) {
            char name[32];
            snprintf(name, sizeof(name), "noise/%u", i % 100 + 1);
            struct event *event = post_add(append, &post, name, "data");
            event->type = i % EVERY ? STR("message") : STR("rare");
        }
        log_append(world->log, append);
        post_wait(world, &post);
    }
}

static struct store_query query_of(struct world *world, uint32_t limit, uint64_t rows)
{
    return (struct store_query){
        .upto = log_newest(world->log), .limit = limit, .bytes = 1 << 20, .rows = rows};
}

static uint32_t count_of(const struct batch *batch)
{
    for (uint32_t i = 0; batch && i < batch->count; i++) {
        assert_int_equal(batch->events[i].state, EVENT_APPENDED);
        assert_true(str_eq(batch->events[i].type, STR("rare")));
        assert_true(str_starts(batch->events[i].channel, STR("noise/")));
        assert_true(str_eq(batch->events[i].data, STR("data")));
        assert_true(!i || batch->events[i - 1].id < batch->events[i].id);
    }
    return batch ? batch->count : 0;
}

static void a_read_gathers_what_its_slices_find(void **state)
{
    struct world *world = *state;
    struct selection *selection = select_term("**", "rare");
    struct log_fetch fetch;
    struct log_stats before, after;
    world_open(world);
    fill(world);
    log_stats(world->log, &before);
    struct store_query query = query_of(world, 1000, LOG_READ_ROWS);
    assert_int_equal(fetch_all(world, &fetch, selection, &query), 4);
    log_stats(world->log, &after);
    assert_int_equal(after.readers.rows - before.readers.rows, EVENTS);
    assert_int_equal(fetch.rows, EVENTS);
    assert_int_equal(count_of(fetch.batch), RARE);
    assert_int_equal(fetch.through, query.upto);
    log_fetch_deinit(&fetch);
    selection_unref(selection);
    world_close(world);
}

static void a_full_page_ends_a_read_early(void **state)
{
    struct world *world = *state;
    struct selection *selection = select_term("**", "rare");
    struct log_fetch fetch;
    world_open(world);
    fill(world);
    struct store_query query = query_of(world, 6, LOG_READ_ROWS);
    assert_int_equal(fetch_all(world, &fetch, selection, &query), 2);
    assert_int_equal(count_of(fetch.batch), 6);
    assert_int_equal(fetch.through, fetch.batch->events[5].id);
    log_fetch_deinit(&fetch);
    query.limit = 1000;
    query.bytes = 4 * 9 + 1; /* nine events, and one that goes beyond */
    assert_int_equal(fetch_all(world, &fetch, selection, &query), 3);
    assert_int_equal(count_of(fetch.batch), 10);
    assert_int_equal(fetch.through, fetch.batch->events[9].id);
    log_fetch_deinit(&fetch);
    selection_unref(selection);
    world_close(world);
}

static void reads_of_few_rows_in_a_row_lose_nothing(void **state)
{
    struct world *world = *state;
    struct selection *selection = select_term("**", "rare");
    struct log_fetch fetch;
    uint32_t found = 0;
    unsigned reads = 0;
    world_open(world);
    fill(world);
    struct store_query query = query_of(world, 1000, 700);
    while (query.after < query.upto) {
        assert_int_equal(fetch_all(world, &fetch, selection, &query), 1);
        assert_true(fetch.through > query.after && fetch.rows <= 700);
        found += count_of(fetch.batch);
        query.after = fetch.through;
        reads++;
        log_fetch_deinit(&fetch);
    }
    assert_int_equal(found, RARE);
    assert_int_equal(reads, (EVENTS + 699) / 700);
    selection_unref(selection);
    world_close(world);
}

static void what_is_trimmed_between_slices_is_not_in_the_page(void **state)
{
    struct world *world = *state;
    struct selection *selection = select_term("**", "rare");
    struct log_fetch fetch;
    world_open(world);
    fill(world);
    struct store_query query = query_of(world, 1000, LOG_READ_ROWS);
    log_fetch_init(&fetch, selection, &query, NULL, none);
    assert_false(fetch.job.run(&fetch.job, world->log));
    uint32_t found = count_of(fetch.batch);
    post_delete(world, "noise/1"); /* which has all of that type */
    while (!fetch.job.run(&fetch.job, world->log))
        ;
    assert_int_equal(count_of(fetch.batch), found);
    assert_int_equal(fetch.through, query.upto);
    log_fetch_deinit(&fetch);
    selection_unref(selection);
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_read_gathers_what_its_slices_find),
        ON_BOTH(a_full_page_ends_a_read_early),
        ON_BOTH(reads_of_few_rows_in_a_row_lose_nothing),
        ON_BOTH(what_is_trimmed_between_slices_is_not_in_the_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
