#include "log/fetch.h"

#include "log/read.h"
#include "log/testing.h"

enum { EVENTS = 12 * LOG_SLICE_ROWS + 500, EVERY = 1000, RARE = EVENTS / EVERY + 1 };

static void none(struct log_fetch *fetch)
{
    (void)fetch;
}

/* A slice on this thread; returns whether the fetch is done. */
static bool slice(struct world *world, struct log_fetch *fetch)
{
    return fetch->question.job.run(&fetch->question.job, world->log);
}

/* Prepares a fetch whose slices are done on this thread. */
static void fetch_here(struct world *world, struct log_fetch *fetch, struct selection *selection,
                       const struct store_query *query)
{
    static struct asker asker;
    asker_init(&asker, world->log, NULL, 0);
    log_fetch_init(fetch, &asker, selection, query, none);
}

static struct selection *select_term(const char *term, const char *type)
{
    struct str terms[] = {str_from(term)}, types[] = {type ? str_from(type) : STR_NONE};
    struct selection *selection = selection_new(terms, 1, types, type != NULL, NULL);
    assert_non_null(selection);
    return selection;
}

/* Runs the fetch on this thread, slice by slice; returns the number of slices. */
static unsigned fetch_all(struct world *world, struct log_fetch *fetch, struct selection *selection,
                          const struct store_query *query)
{
    unsigned slices = 1;
    fetch_here(world, fetch, selection, query);
    fetch->question.job.slices = 1; /* the first slice would be brief */
    while (!slice(world, fetch))
        slices++;
    assert_int_equal(fetch->error, 0);
    return slices;
}

/* Publishes EVENTS events in a hundred channels "noise/N"; each thousandth has the type "rare". */
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
    assert_int_equal(fetch_all(world, &fetch, selection, &query), 13);
    log_stats(world->log, &after);
    assert_int_equal(after.readers.rows - before.readers.rows, EVENTS);
    assert_int_equal(fetch.rows, EVENTS);
    assert_int_equal(count_of(fetch.batch), RARE);
    assert_int_equal(fetch.through, query.upto);
    log_fetch_deinit(&fetch);
    selection_unref(selection);
    world_close(world);
}

/* A read of few channels begins where the least trimmed of them does; a scan reads what the store
 * still has. */
static void trimmed_events_make_no_page_full(void **state)
{
    struct world *world = *state;
    struct log_fetch fetch;
    world_namespace(world, "noise")->count = 1;
    world_open(world);
    fill(world);
    world_settle(world);
    retention_trim(world->log, false); /* upkeep does not run, so the store does not know */
    struct selection *selection = select_term("**", NULL);
    struct store_query query = query_of(world, 100, LOG_READ_ROWS);
    (void)fetch_all(world, &fetch, selection, &query);
    assert_int_equal(fetch.batch->count, 100);
    assert_int_equal(fetch.bytes, 100 * strlen("data"));
    for (uint32_t i = 0; i < fetch.batch->count; i++)
        assert_int_equal(fetch.batch->events[i].state, EVENT_APPENDED);
    log_fetch_deinit(&fetch);
    selection_unref(selection);
    world_close(world);
}

static void the_first_slice_of_a_scan_is_brief(void **state)
{
    struct world *world = *state;
    struct selection *selection = select_term("**", NULL), *one = select_term("noise/1", NULL);
    struct log_fetch fetch;
    world_open(world);
    fill(world);
    struct store_query query = query_of(world, 1000, LOG_READ_ROWS);
    fetch_here(world, &fetch, selection, &query);
    while (!fetch.rows)
        assert_false(slice(world, &fetch));
    assert_in_range(fetch.rows, 1, ROWS_BRIEF);
    fetch.question.job.slices = 1;
    assert_true(slice(world, &fetch));
    assert_int_equal(fetch.batch->count, 1000);
    log_fetch_deinit(&fetch);
    query.limit = 100;
    fetch_here(world, &fetch, one, &query);
    assert_true(slice(world, &fetch)); /* a fetch by index needs one slice */
    assert_int_equal(fetch.batch->count, 100);
    log_fetch_deinit(&fetch);
    selection_unref(selection);
    selection_unref(one);
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
    assert_int_equal(fetch_all(world, &fetch, selection, &query), 5);
    assert_int_equal(count_of(fetch.batch), 6);
    assert_int_equal(fetch.through, fetch.batch->events[5].id);
    log_fetch_deinit(&fetch);
    query.limit = 1000;
    query.bytes = 4 * 9 + 1; /* nine events, and one that exceeds the limit */
    assert_int_equal(fetch_all(world, &fetch, selection, &query), 9);
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

static void events_trimmed_between_slices_are_not_in_the_page(void **state)
{
    struct world *world = *state;
    struct selection *selection = select_term("**", "rare");
    struct log_fetch fetch;
    world_open(world);
    fill(world);
    struct store_query query = query_of(world, 1000, LOG_READ_ROWS);
    fetch_here(world, &fetch, selection, &query);
    assert_false(slice(world, &fetch));
    uint32_t found = count_of(fetch.batch);
    post_delete(world, "noise/1"); /* the channel that has all events of that type */
    while (!slice(world, &fetch))
        ;
    assert_int_equal(count_of(fetch.batch), found);
    assert_int_equal(fetch.through, query.upto);
    log_fetch_deinit(&fetch);
    selection_unref(selection);
    world_close(world);
}

/* ---- by index -------------------------------------------------------------------------------- */

static uint64_t rows_so_far(struct world *world)
{
    struct log_stats stats;
    log_stats(world->log, &stats);
    return stats.readers.rows;
}

/* Reads the whole pattern. Returns the number of events, and checks that no other rows were looked
 * at. */
static uint32_t read_by_index(struct world *world, struct selection *selection)
{
    struct log_fetch fetch;
    struct store_query query = query_of(world, 1000, LOG_READ_ROWS);
    uint64_t before = rows_so_far(world);
    assert_int_equal(fetch_all(world, &fetch, selection, &query), 1);
    uint32_t count = fetch.batch->count;
    assert_int_equal(rows_so_far(world) - before, count);
    assert_int_equal(fetch.through, query.upto);
    log_fetch_deinit(&fetch);
    return count;
}

static void a_pattern_of_few_channels_is_read_by_index(void **state)
{
    struct world *world = *state;
    struct selection *selection = select_term("user/7/**", NULL);
    struct selection *leading = select_term("*/7/inbox", NULL);
    world_open(world);
    post_one(world, "user/7/inbox", "1");
    fill(world);
    post_one(world, "user/7/inbox", "2");
    post_one(world, "user/70/inbox", "not this");
    assert_int_equal(read_by_index(world, selection), 2);
    assert_int_equal(read_by_index(world, leading), 2);
    post_one(world, "user/7/outbox", "3"); /* the pattern gets a new channel */
    post_one(world, "group/7/inbox", "3");
    assert_int_equal(read_by_index(world, selection), 3);
    assert_int_equal(read_by_index(world, leading), 3);
    post_delete(world, "user/7/inbox");
    assert_int_equal(read_by_index(world, selection), 1);
    selection_unref(selection);
    selection_unref(leading);
    world_close(world);
}

/* ---- together -------------------------------------------------------------------------------- */

enum { CONSUMERS = 12 };

/* Reads through the pool, page after page, until it is up to date. */
struct consumer {
    struct log_fetch fetch;
    struct asker asker;
    struct world *world;
    struct selection *selection;
    struct store_query query;
    uint32_t found;
    unsigned pages;
    bool over;
};

static void consumer_page(struct log_fetch *fetch);

static void consumer_ask(struct consumer *consumer)
{
    log_fetch_init(&consumer->fetch, &consumer->asker, consumer->selection, &consumer->query,
                   consumer_page);
    question_ask(&consumer->fetch.question);
}

static void consumer_page(struct log_fetch *fetch)
{
    struct consumer *consumer = container_of(fetch, struct consumer, fetch);
    assert_int_equal(fetch->error, 0);
    assert_true(fetch->through > consumer->query.after);
    uint32_t count = count_of(fetch->batch);
    assert_true(count <= consumer->query.limit);
    if (count)
        assert_true(fetch->batch->events[0].id > consumer->query.after);
    consumer->found += count;
    consumer->pages++;
    consumer->query.after = fetch->through;
    log_fetch_deinit(fetch);
    question_end(&fetch->question);
    consumer->over = consumer->query.after >= consumer->query.upto;
    if (consumer->over)
        return;
    consumer_ask(consumer);
}

static void consumer_begin(struct consumer *consumer, struct world *world, const char *pattern,
                           uint64_t after, uint32_t limit)
{
    *consumer = (struct consumer){.world = world, .selection = select_term(pattern, "rare")};
    consumer->query = query_of(world, limit, LOG_READ_ROWS);
    consumer->query.after = after;
    asker_init(&consumer->asker, world->log, &world->ports[1].box, 0);
    consumer_ask(consumer);
}

static void consumer_wait(struct consumer *consumer)
{
    while (!consumer->over)
        world_turn(&consumer->world->ports[1]);
    selection_unref(consumer->selection);
}

static const char *const patterns[] = {"**", "noise/**", "noise/*", "*/*"};

static void scans_of_the_same_rows_are_done_once(void **state)
{
    struct world *world = *state;
    static struct consumer consumers[CONSUMERS];
    struct hold hold;
    world_open(world);
    fill(world);
    uint64_t before = rows_so_far(world);
    hold_begin(&hold, world->log, &world->ports[1].box);
    for (unsigned i = 0; i < CONSUMERS; i++)
        consumer_begin(&consumers[i], world, patterns[i % 4], 0, 1000);
    hold_end(&hold);
    for (unsigned i = 0; i < CONSUMERS; i++) {
        consumer_wait(&consumers[i]);
        assert_int_equal(consumers[i].found, RARE);
        assert_int_equal(consumers[i].pages, 1);
    }
    /* The first slices are too short to carry all other fetches along. */
    assert_in_range(rows_so_far(world) - before, EVENTS, EVENTS + CONSUMERS * ROWS_BRIEF);
    world_close(world);
}

/* Fetches that begin at different events, with pages of `limit` events or a few more. */
static void catch_up_from_different_cursors(struct world *world, uint32_t limit)
{
    static struct consumer consumers[CONSUMERS];
    uint64_t cursors[RARE];
    struct log_fetch all;
    struct hold hold;
    struct selection *selection = select_term("**", "rare");
    struct store_query query = query_of(world, 1000, LOG_READ_ROWS);
    fetch_all(world, &all, selection, &query);
    for (unsigned i = 0; i < RARE; i++)
        cursors[i] = all.batch->events[i].id;
    log_fetch_deinit(&all);
    selection_unref(selection);
    hold_begin(&hold, world->log, &world->ports[1].box);
    for (unsigned i = 0; i < CONSUMERS; i++)
        consumer_begin(&consumers[i], world, patterns[i % 4], i ? cursors[i - 1] : 0,
                       limit + i % 3);
    hold_end(&hold);
    for (unsigned i = 0; i < CONSUMERS; i++) {
        consumer_wait(&consumers[i]);
        assert_int_equal(consumers[i].found, RARE - i);
    }
}

static void scans_from_different_cursors_lose_nothing_and_come_together(void **state)
{
    struct world *world = *state;
    world_open(world);
    fill(world);
    uint64_t before = rows_so_far(world);
    catch_up_from_different_cursors(world, 1000);
    /* A slice learns the cursors of all fetches. A lone fetch would look at half of the rows on
     * average. */
    assert_true(rows_so_far(world) - before <= (uint64_t)EVENTS * 3);
    catch_up_from_different_cursors(world, 1);
    world_close(world);
}

static void catch_up_with_room(struct world *world, size_t most)
{
    world->config.resolved_max = most;
    world_open(world);
    fill(world);
    catch_up_from_different_cursors(world, 1000);
    catch_up_from_different_cursors(world, 1);
    assert_int_equal(world->log->resolved.bytes, 0); /* all numbers are gone */
    world_close(world);
}

static void reads_of_patterns_for_which_there_is_no_room_lose_nothing(void **state)
{
    catch_up_with_room(*state, 1);
}

static void reads_of_more_patterns_than_there_is_room_for_lose_nothing(void **state)
{
    catch_up_with_room(*state, 2000);
}

static void a_fetch_that_leaves_a_shared_scan_does_not_end_the_others(void **state)
{
    struct world *world = *state;
    static struct consumer consumers[3];
    struct hold hold;
    world_open(world);
    fill(world);
    hold_begin(&hold, world->log, &world->ports[1].box);
    for (unsigned i = 0; i < 3; i++)
        consumer_begin(&consumers[i], world, patterns[i], 0, 1000);
    question_drop(&consumers[0].fetch.question); /* it is answered, without a result */
    consumers[0].fetch.through = consumers[0].query.upto;
    hold_end(&hold);
    for (unsigned i = 0; i < 3; i++) {
        consumer_wait(&consumers[i]);
        assert_int_equal(consumers[i].found, i ? RARE : 0);
    }
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_read_gathers_what_its_slices_find),
        ON_BOTH(the_first_slice_of_a_scan_is_brief),
        ON_BOTH(a_full_page_ends_a_read_early),
        ON_BOTH(trimmed_events_make_no_page_full),
        ON_BOTH(reads_of_few_rows_in_a_row_lose_nothing),
        ON_BOTH(events_trimmed_between_slices_are_not_in_the_page),
        ON_BOTH(a_pattern_of_few_channels_is_read_by_index),
        ON_BOTH(scans_of_the_same_rows_are_done_once),
        ON_BOTH(scans_from_different_cursors_lose_nothing_and_come_together),
        ON_BOTH(reads_of_patterns_for_which_there_is_no_room_lose_nothing),
        ON_BOTH(reads_of_more_patterns_than_there_is_room_for_lose_nothing),
        ON_BOTH(a_fetch_that_leaves_a_shared_scan_does_not_end_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
