/* A hub on a log in memory, and readers whose sockets take as many bytes as a test says. */
#pragma once

#include "base/mem.h"
#include "hub/hub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LIMITS(window, chunk, cache)                                                               \
    {                                                                                              \
        .window_bytes = (window), .chunk_bytes = (chunk), .cache_bytes = (cache)                   \
    }

/* The log and the readers' pool use separate mailboxes, so that a test decides which mail is opened
 * first. Jobs run when the test says so, on its own thread. */
struct world {
    struct clock_fake clock;
    struct log *log;
    struct hub hub;
    struct asker asker;
    struct mailbox mail;
    struct mailbox answers;
    struct list jobs; /* jobs for the readers' pool that have not run */
    unsigned cancelled;
    struct append *append;
    uint32_t encoded;
};

/* A reader with a socket: the bytes that it received, and the unsent rest of a cut record. */
struct reader {
    struct sub sub;
    struct world *world;
    struct buf got;
    struct buf rest;
    struct selection *selection;
    uint64_t gap; /* the last one that was reported */
    unsigned gaps;
    unsigned failures;
    unsigned wakes;
    enum take last; /* the last result of hub_take() */
};

/* The linker puts these in place of log_submit() and log_job_cancel() for the hub. */
void __wrap_log_submit(struct log *log, struct log_job *job);
void __wrap_log_submit(struct log *log, struct log_job *job)
{
    (void)log;
    list_add_last(&container_of(job->reply, struct world, answers)->jobs, &job->node);
}

void __wrap_log_job_cancel(struct log *log, struct log_job *job);
void __wrap_log_job_cancel(struct log *log, struct log_job *job)
{
    (void)log;
    container_of(job->reply, struct world, answers)->cancelled++;
    job->cancelled = true;
}

/* Encodes an event as its data; in encoding 1 with a '!' behind it. */
static inline void world_encode(void *context, unsigned encoding, struct buf *out,
                                const struct event *event)
{
    struct world *world = context;
    world->encoded++;
    buf_add_str(out, event->data);
    if (encoding == 1)
        buf_add_char(out, '!');
}

/* Runs turns until the hub has no work left. */
static inline void world_turn(struct world *world)
{
    while (hub_is_busy(&world->hub))
        hub_turn(&world->hub);
}

static inline void world_on_batch(void *owner, struct batch *batch)
{
    struct world *world = owner;
    hub_on_batch(&world->hub, batch);
}

static inline struct world *world_new(struct hub_limits limits, uint64_t store_bytes)
{
    struct world *world = mem_alloc(sizeof(*world));
    clock_fake_init(&world->clock, 1700000000000000);
    list_init(&world->jobs);
    struct log_config config = {
        .memory = true,
        .store = {.clock = &world->clock.clock},
        .bytes_max = store_bytes,
        .channels_max = 1000,
        .keys_max = 10,
        .key_life_us = 1000000,
        .readers = 1,
    };
    assert_int_equal(log_open(&config, &world->log), 0);
    assert_int_equal(mailbox_init(&world->mail, world), 0);
    assert_int_equal(mailbox_init(&world->answers, world), 0);
    asker_init(&world->asker, world->log, &world->answers, 0);
    assert_int_equal(hub_init(&world->hub, &world->asker, &world->clock.clock, &world->mail,
                              &limits, world_encode, world, world_on_batch),
                     0);
    return world;
}

/* Takes the oldest job; NULL if there is none. */
static inline struct log_job *world_take_job(struct world *world)
{
    struct list *node = list_take_first(&world->jobs);
    return node ? container_of(node, struct log_job, node) : NULL;
}

/* Runs the jobs and opens their answers; returns how many there were. */
static inline unsigned world_run_jobs(struct world *world)
{
    for (struct log_job *job; (job = world_take_job(world));) {
        while (!job->cancelled && !job->run(job, world->log))
            ;
        mailbox_post(job->reply, &job->mail);
    }
    return mailbox_empty(&world->answers);
}

static inline void world_free(struct world *world)
{
    while (mailbox_empty(&world->mail) || world_run_jobs(world))
        ;
    assert_int_equal(world->hub.subs, 0);
    assert_int_equal(world->hub.views_count, 0);
    assert_true(asker_is_idle(&world->asker));
    hub_deinit(&world->hub);
    mailbox_deinit(&world->mail);
    mailbox_deinit(&world->answers);
    log_close(world->log);
    free(world);
}

/* ---- worlds --------------------------------------------------------------------------------- */

enum { CHUNK = 64, BIG = 64 << 20, VIEWS = 40 };

static const struct hub_limits roomy = {
    .window_bytes = BIG, .chunk_bytes = 4096, .cache_bytes = 1 << 20};
/* Every batch but the newest falls out of the window. */
static const struct hub_limits tight = {
    .window_bytes = 1, .chunk_bytes = CHUNK, .cache_bytes = 1 << 20};

static inline struct world *roomy_world(void)
{
    return world_new(roomy, BIG);
}

static inline struct world *tight_world(void)
{
    return world_new(tight, BIG);
}

/* A world in which a turn does one step. */
static inline struct world *slow_world(void)
{
    struct hub_limits limits = roomy;
    limits.slice_bytes = 1;
    struct world *world = world_new(limits, BIG);
    hub_turn(&world->hub);
    return world;
}

/* ---- publishing ----------------------------------------------------------------------------- */

static inline void world_published(struct publish *publish, struct batch *batch)
{
    (void)batch;
    assert_int_equal(publish->verdict, PUBLISH_OK);
    free(publish);
}

/* Adds an event to the world's append; the pointer is valid until the next call. */
static inline struct event *world_add(struct world *world, const char *channel, const char *data)
{
    if (!world->append)
        world->append = append_new(world->log, &world->hub.port);
    assert_non_null(world->append);
    struct batch *batch = world->append->batch;
    struct event *event = batch_add(batch);
    assert_non_null(event);
    event->channel = batch_copy(batch, str_from(channel));
    event->data = batch_copy(batch, str_from(data));
    event->type = STR("message");
    event->kind = EVENT_TEXT;
    return event;
}

/* Appends the events as one publish. The mail stays closed. Returns the newest id. */
static inline uint64_t world_append(struct world *world)
{
    struct publish *publish = mem_alloc(sizeof(*publish));
    publish->count = world->append->batch->count;
    publish->done = world_published;
    append_add(world->append, publish);
    log_append(world->log, world->append);
    world->append = NULL;
    return log_newest(world->log);
}

static inline uint64_t world_publish(struct world *world, const char *channel, const char *data)
{
    world_add(world, channel, data);
    uint64_t id = world_append(world);
    mailbox_empty(&world->mail);
    return id;
}

static inline void world_ephemeral(struct world *world, const char *channel, const char *data)
{
    world_add(world, channel, data)->state = EVENT_EPHEMERAL;
    world_append(world);
    mailbox_empty(&world->mail);
}

/* Deletes a channel; the TRIM entry stays in the mail. */
static inline void world_trim(struct world *world, const char *channel)
{
    world_add(world, channel, "")->state = EVENT_TRIM;
    world_append(world);
}

/* ---- reading -------------------------------------------------------------------------------- */

static inline void reader_wake(struct sub *sub)
{
    container_of(sub, struct reader, sub)->wakes++;
}

static inline void reader_keep_rest(struct sub *sub, struct str rest, struct piece *piece)
{
    (void)piece;
    buf_add_str(&container_of(sub, struct reader, sub)->rest, rest);
}

static const struct sub_ops reader_ops = {.wake = reader_wake, .keep_rest = reader_keep_rest};

/* A selection of the channels in `terms`, separated by spaces, and of the types in `types`. */
static inline struct selection *select_terms(const char *terms, const char *types)
{
    struct str term[SELECTION_TERMS_MAX], type[8] = {{NULL, 0}};
    size_t count = 0, types_count = 0;
    for (struct str rest = str_from(terms); rest.at;)
        term[count++] = str_cut(&rest, ' ');
    struct str rest = types ? str_from(types) : STR_NONE;
    while (rest.at)
        type[types_count++] = str_cut(&rest, ' ');
    struct selection *selection = selection_new(term, count, type, types_count, NULL);
    assert_non_null(selection);
    return selection;
}

static inline void reader_begin(struct reader *reader, unsigned encoding, uint64_t cursor,
                                uint64_t told)
{
    assert_int_equal(hub_subscribe(&reader->world->hub, &reader->sub, &reader_ops,
                                   reader->selection, encoding, cursor, told),
                     0);
}

static inline struct reader *reader_new(struct world *world, const char *terms, const char *types,
                                        uint64_t cursor)
{
    struct reader *reader = mem_alloc(sizeof(*reader));
    reader->world = world;
    reader->selection = select_terms(terms, types);
    reader_begin(reader, 0, cursor, 0);
    return reader;
}

static inline void reader_free(struct reader *reader)
{
    hub_unsubscribe(&reader->world->hub, &reader->sub);
    selection_unref(reader->selection);
    buf_free(&reader->got);
    buf_free(&reader->rest);
    free(reader);
}

/* Sends the rest of a cut record; returns whether all of it was sent. */
static inline bool reader_send_rest(struct reader *reader, size_t *room)
{
    size_t n = reader->rest.len < *room ? reader->rest.len : *room;
    buf_add(&reader->got, reader->rest.at, n);
    buf_drop(&reader->rest, n);
    *room -= n;
    return !reader->rest.len;
}

/* Sends; returns whether all of it was sent. */
static inline bool reader_send(struct reader *reader, const struct taken *taken, size_t *room)
{
    size_t n = taken->bytes.len < *room ? taken->bytes.len : *room;
    assert_true(taken->bytes.len > 0);
    buf_add(&reader->got, taken->bytes.at, n);
    *room -= n;
    hub_sent(&reader->world->hub, &reader->sub, n, n < taken->bytes.len);
    return n == taken->bytes.len;
}

/* Does what a connection does in a flush: takes and sends until there is nothing more, or until its
 * socket is full after `room` bytes. */
static inline enum take reader_flush(struct reader *reader, size_t room)
{
    while (reader_send_rest(reader, &room)) {
        struct taken taken;
        reader->last = hub_take(&reader->world->hub, &reader->sub, &taken);
        if (reader->last == TAKE_BYTES) {
            if (!reader_send(reader, &taken, &room))
                break;
        } else if (reader->last == TAKE_GAP) {
            reader->gaps++;
            reader->gap = taken.trimmed;
        } else {
            reader->failures += reader->last == TAKE_FAILED;
            break;
        }
    }
    return reader->last;
}

static inline enum take reader_drain(struct reader *reader)
{
    return reader_flush(reader, SIZE_MAX);
}

static inline void reader_got(struct reader *reader, const char *want)
{
    buf_add_char(&reader->got, '\0');
    assert_string_equal(reader->got.at, want);
    buf_clear(&reader->got);
}

/* A reader that begins live. */
static inline struct reader *live_reader(struct world *world, const char *terms)
{
    struct reader *reader = reader_new(world, terms, NULL, hub_applied(&world->hub));
    assert_int_equal(reader_drain(reader), TAKE_NOTHING);
    assert_true(sub_is_live(&reader->sub));
    return reader;
}

/* ---- readers of many views ------------------------------------------------------------------ */

/* Readers of different selections that all have channel a, alternating between two formats. */
static inline void many_views(struct world *world, struct reader *readers[VIEWS], bool live)
{
    for (int i = 0; i < VIEWS; i++) {
        char terms[32];
        snprintf(terms, sizeof(terms), "a own/%d", i);
        readers[i] = reader_new(world, terms, NULL, hub_applied(&world->hub));
        hub_unsubscribe(&world->hub, &readers[i]->sub);
        reader_begin(readers[i], i % 2 ? 1 : 0, live ? hub_applied(&world->hub) : 0, 0);
    }
    assert_int_equal(world->hub.views_count, VIEWS);
}

static inline void check_many(struct world *world, struct reader *readers[VIEWS], const char *text)
{
    for (int i = 0; i < VIEWS; i++) {
        assert_int_equal(reader_drain(readers[i]), TAKE_NOTHING);
        assert_int_equal(readers[i]->got.len, strlen(text) + (i % 2 ? 1 : 0));
        assert_memory_equal(readers[i]->got.at, text, strlen(text));
        reader_free(readers[i]);
    }
    hub_turn_end(&world->hub);
    assert_int_equal(world->hub.room.bytes, 0);
    world_free(world);
}
