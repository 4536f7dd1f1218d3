/* Readers with random selections, sockets with random room, and trims, checked against a plain list
 * of the published events. */
#include "hub/testing.h"

#include <stdio.h>

enum { READERS = 24, STEPS = 4000, EVENTS_MAX = 20000, CHANNELS = 6 };

static const char *const channels[CHANNELS] = {"a", "b", "a/x", "a/y", "b/x/y", "$s/x"};
static const char *const types[] = {"message", "trade"};
static const char *const selections[] = {
    "a", "b", "a b", "a/x a/y b", "a/*", "**", "a/x a/* **", "*/x $s/*", "b/** a/y", "$s/x",
};
static const struct hub_limits limits[] = {
    LIMITS(64 << 20, 512, 1 << 20), /* all events are in the window */
    LIMITS(2048, 128, 4096),        /* most events are read from the store */
    LIMITS(1, 64, 1),
    /* some events are pieces, and there is little room for live chunks */
    {.window_bytes = 4096,
     .chunk_bytes = 512,
     .cache_bytes = 256,
     .large_bytes = 20,
     .live_max = 6000},
    /* a turn does one step */
    {.window_bytes = 4096,
     .chunk_bytes = 512,
     .cache_bytes = 4096,
     .large_bytes = 20,
     .slice_bytes = 1},
    {.window_bytes = 2048,
     .chunk_bytes = 128,
     .cache_bytes = 1024,
     .large_bytes = 20,
     .slice_bytes = 100},
    {.window_bytes = 64 << 20,
     .chunk_bytes = 512,
     .cache_bytes = 4096,
     .slice_bytes = 200,
     .live_max = 6000},
};

struct logged {
    uint64_t id;
    const char *channel;
    const char *type;
};

struct model {
    struct world *world;
    uint64_t lowest; /* below the first id */
    struct reader *readers[READERS];
    uint64_t at[READERS];      /* the last event that it has received completely */
    uint64_t told[READERS];    /* gaps up to this id were reported */
    uint64_t whisper[READERS]; /* the last ephemeral event that it received */
    struct logged *events;
    unsigned count;
    uint64_t whispers;
    unsigned seed;
};

static unsigned any(struct model *model, unsigned below)
{
    return (unsigned)rand_r(&model->seed) % below;
}

/* ---- checking -------------------------------------------------------------------------------- */

static bool wants(const struct reader *reader, const struct logged *logged)
{
    struct event event = {.channel = str_from(logged->channel), .type = str_from(logged->type)};
    return selection_has(reader->selection, &event);
}

/* Checks that the reader did not want any event between two that came, or had a gap reported. */
static void check_between(struct model *model, int at, uint64_t next)
{
    const struct reader *reader = model->readers[at];
    for (unsigned i = model->count; i-- > 0 && model->events[i].id > model->at[at];) {
        const struct logged *logged = &model->events[i];
        if (logged->id < next && logged->id > model->told[at] && wants(reader, logged))
            fail_msg("reader %d missed %llu unsaid", at, (unsigned long long)logged->id);
    }
}

static const struct logged *find(const struct model *model, uint64_t id)
{
    for (unsigned i = model->count; i-- > 0;)
        if (model->events[i].id == id)
            return &model->events[i];
    fail_msg("nobody published %llu", (unsigned long long)id);
    return NULL;
}

/* Checks a record: "ID," with a random number of dots before the comma, or "~N," for an ephemeral
 * event. */
static void check_record(struct model *model, int at, struct str record)
{
    bool ephemeral = record.at[0] == '~';
    uint64_t number = strtoull(record.at + (ephemeral ? 1 : 0), NULL, 10);
    if (ephemeral) {
        assert_true(number > model->whisper[at]);
        model->whisper[at] = number;
        return;
    }
    uint64_t id = model->events[number].id;
    assert_true(id > model->at[at]);
    assert_true(wants(model->readers[at], find(model, id)));
    check_between(model, at, id);
    model->at[at] = id;
}

static void check_got(struct model *model, int at)
{
    struct reader *reader = model->readers[at];
    if (reader->gaps) {
        assert_true(reader->gap > model->told[at]);
        model->told[at] = reader->gap;
        reader->gaps = 0;
    }
    struct str rest = buf_str(&reader->got);
    const char *comma;
    while (rest.len && (comma = memchr(rest.at, ',', rest.len))) {
        struct str record = {rest.at, (size_t)(comma - rest.at)};
        check_record(model, at, record);
        rest = str_skip(rest, record.len + 1);
    }
    buf_drop(&reader->got, reader->got.len - rest.len);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void publish(struct model *model)
{
    struct world *world = model->world;
    unsigned first = model->count, n = 1 + any(model, 4);
    for (unsigned i = 0; i < n; i++) {
        char data[64];
        struct logged logged = {.channel = channels[any(model, CHANNELS)],
                                .type = types[any(model, 4) == 0]};
        snprintf(data, sizeof(data), "%u%.*s,", model->count, (int)any(model, 30),
                 "..............................");
        world_add(world, logged.channel, data)->type = str_from(logged.type);
        assert_true(model->count < EVENTS_MAX);
        model->events[model->count++] = logged;
    }
    uint64_t newest = world_append(world);
    for (unsigned i = first; i < model->count; i++)
        model->events[i].id = newest - (model->count - 1 - i);
}

static void whisper(struct model *model)
{
    char data[32];
    snprintf(data, sizeof(data), "~%llu,", (unsigned long long)++model->whispers);
    world_add(model->world, channels[any(model, CHANNELS)], data)->state = EVENT_EPHEMERAL;
    world_append(model->world);
}

static void enter(struct model *model, int at)
{
    uint64_t newest = log_newest(model->world->log); /* may be ahead of the mail */
    uint64_t cursor = newest - any(model, 40) % (newest - model->lowest + 1);
    const char *terms = selections[any(model, sizeof(selections) / sizeof(*selections))];
    model->readers[at] = reader_new(model->world, terms, any(model, 4) ? NULL : "trade", cursor);
    model->at[at] = cursor;
    model->told[at] = 0;
    model->whisper[at] = 0; /* older ephemeral events may still be in the mail */
}

/* Unsubscribes, and perhaps comes back at its cursor, like a client whose connection broke. The
 * rest of a cut record is lost on the wire, so only a reader with whole records comes back
 * there. */
static void leave(struct model *model, int at)
{
    struct reader *reader = model->readers[at];
    uint64_t cursor = hub_cursor(&model->world->hub, &reader->sub);
    if (any(model, 2) && !reader->rest.len && !reader->got.len) {
        hub_unsubscribe(&model->world->hub, &reader->sub);
        reader_begin(reader, 0, cursor, model->told[at]);
        return;
    }
    reader_free(reader);
    model->readers[at] = NULL;
}

static void flush(struct model *model, int at)
{
    unsigned chance = any(model, 4);
    size_t room = chance == 0 ? SIZE_MAX : any(model, chance == 1 ? 10 : 200);
    reader_flush(model->readers[at], room);
    assert_int_equal(model->readers[at]->failures, 0);
    check_got(model, at);
}

static void run_one_job(struct model *model)
{
    struct log_job *job = world_take_job(model->world);
    if (!job)
        return;
    while (!job->cancelled && !job->run(job, model->world->log))
        ;
    mailbox_post(job->reply, &job->mail);
}

static void step(struct model *model)
{
    unsigned chance = any(model, 100);
    int at = (int)any(model, READERS);
    if (model->world->hub.limits.slice_bytes)
        for (unsigned i = any(model, 12) ? any(model, 3) : 150; i; i--)
            hub_turn(&model->world->hub);
    if (chance < 20)
        publish(model);
    else if (chance < 24)
        whisper(model);
    else if (chance < 26)
        world_trim(model->world, channels[any(model, CHANNELS)]);
    else if (chance < 42)
        mailbox_empty(&model->world->mail);
    else if (chance < 50)
        run_one_job(model);
    else if (chance < 58)
        mailbox_empty(&model->world->answers);
    else if (chance < 64)
        hub_turn_end(&model->world->hub);
    else if (!model->readers[at])
        enter(model, at);
    else if (chance < 67)
        leave(model, at);
    else
        flush(model, at);
}

/* Checks that in the end every reader has everything. */
static void settle(struct model *model)
{
    struct world *world = model->world;
    mailbox_empty(&world->mail);
    world_turn(world);
    for (int at = 0; at < READERS; at++) {
        if (!model->readers[at])
            continue;
        while (reader_drain(model->readers[at]) != TAKE_NOTHING) {
            world_run_jobs(world);
            world_turn(world);
        }
        check_got(model, at);
        assert_int_equal(model->readers[at]->got.len, 0);
        check_between(model, at, UINT64_MAX);
        assert_int_equal(hub_cursor(&world->hub, &model->readers[at]->sub), log_newest(world->log));
        reader_free(model->readers[at]);
    }
}

static void run(unsigned seed, struct hub_limits limit, uint64_t store_bytes)
{
    struct model model = {.seed = seed};
    model.world = world_new(limit, store_bytes);
    model.lowest = log_newest(model.world->log);
    model.events = mem_alloc(EVENTS_MAX * sizeof(*model.events));
    for (int i = 0; i < STEPS; i++)
        step(&model);
    settle(&model);
    free(model.events);
    world_free(model.world);
}

static void each_gets_all_in_order_and_once_from_the_window(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 6; seed++)
        run(seed, limits[0], 64 << 20);
}

static void each_gets_all_in_order_and_once_from_the_store(void **state)
{
    (void)state;
    for (unsigned seed = 11; seed <= 16; seed++)
        run(seed, limits[1], 64 << 20);
}

static void each_gets_all_in_order_and_once_with_no_room_to_speak_of(void **state)
{
    (void)state;
    for (unsigned seed = 21; seed <= 26; seed++)
        run(seed, limits[2], 64 << 20);
}

static void each_gets_all_in_order_and_once_by_reference(void **state)
{
    (void)state;
    for (unsigned seed = 41; seed <= 46; seed++)
        run(seed, limits[3], 64 << 20);
}

static void each_gets_all_in_order_and_once_in_slices(void **state)
{
    (void)state;
    for (unsigned seed = 51; seed <= 90; seed++)
        run(seed, limits[4 + seed % 3], 64 << 20);
}

static void evicted_events_are_a_gap_unless_the_window_has_them(void **state)
{
    (void)state;
    for (unsigned seed = 31; seed <= 36; seed++)
        run(seed, limits[seed % 7], 8192);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_gets_all_in_order_and_once_from_the_window),
        cmocka_unit_test(each_gets_all_in_order_and_once_from_the_store),
        cmocka_unit_test(each_gets_all_in_order_and_once_with_no_room_to_speak_of),
        cmocka_unit_test(each_gets_all_in_order_and_once_by_reference),
        cmocka_unit_test(each_gets_all_in_order_and_once_in_slices),
        cmocka_unit_test(evicted_events_are_a_gap_unless_the_window_has_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
