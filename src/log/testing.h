/* A log with two ports on the test's own threads, and a store that can be held up or made to fail.
 * For tests only. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "log/lock.h"
#include "log/log_internal.h"
#include "log/posting.h"
#include "log/retention.h"
#include "log/upkeep.h"

#include "base/folder_testing.h"
#include "base/say.h"
#include "net/mailbox_testing.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { WORLD_PORTS = 2, WORLD_SPACES = 4, POST_EVENTS = 8, DEADLINE_MS = 60000 };

#define WORLD_START INT64_C(1700000000000000)

/* A gate between the log and its store. There is one, so one log at a time. */
struct gate {
    const struct store_ops *real;
    struct store_ops ops;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool shut;        /* appends must wait */
    bool waiting;     /* an append is waiting */
    int fail;         /* result of appends */
    unsigned shut_at; /* number of the append at which the gate shuts; 0: never */
    bool full;        /* appends with an event fail with -ENOSPC */
    int trim_fail;
    unsigned appends;
    unsigned trims; /* number of calls that store trims */
    size_t trimmed; /* number of channels in them */
    unsigned forgets;
    unsigned upkeeps;
    struct clock_fake *clock; /* moved by 60 ms when channels are forgotten; NULL: none */
};

static struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static inline bool gate_has_event(struct batch *const *batches, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (batch_has_appended(batches[i]))
            return true;
    return false;
}

static inline int gate_append(struct store *store, struct batch *const *batches, size_t count)
{
    pthread_mutex_lock(&gate.lock);
    gate.appends++;
    gate.shut = gate.shut || gate.appends == gate.shut_at;
    gate.waiting = true;
    pthread_cond_broadcast(&gate.changed);
    while (gate.shut)
        pthread_cond_wait(&gate.changed, &gate.lock);
    gate.waiting = false;
    int fail = gate.full && gate_has_event(batches, count) ? -ENOSPC : gate.fail;
    pthread_mutex_unlock(&gate.lock);
    return fail ? fail : gate.real->append(store, batches, count);
}

static inline int gate_trim(struct store *store, const struct store_trim *trims, size_t count)
{
    gate.trims++;
    gate.trimmed += count;
    return gate.trim_fail ? gate.trim_fail : gate.real->trim(store, trims, count);
}

static inline int gate_forget(struct store *store, const struct store_trim *namespaces,
                              size_t namespaces_count, const uint32_t *numbers, size_t count)
{
    gate.forgets++;
    if (gate.clock)
        clock_fake_advance(gate.clock, 60000);
    return gate.real->forget(store, namespaces, namespaces_count, numbers, count);
}

static inline int gate_upkeep(struct store *store)
{
    gate.upkeeps++;
    return gate.real->upkeep(store);
}

static inline void gate_set(bool shut, int fail)
{
    pthread_mutex_lock(&gate.lock);
    gate.shut = shut;
    gate.fail = fail;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

/* Waits until the writer stands at the gate with an append of this number, or a later one. */
static inline void gate_wait_for(unsigned append)
{
    pthread_mutex_lock(&gate.lock);
    while (!gate.waiting || gate.appends < append)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

/* Waits until the writer stands at the gate. */
static inline void gate_wait(void)
{
    gate_wait_for(0);
}

static inline void gate_put(struct log *log)
{
    gate.real = log->store->ops;
    gate.ops = *gate.real;
    gate.ops.append = gate_append;
    gate.ops.trim = gate_trim;
    gate.ops.forget = gate_forget;
    gate.ops.upkeep = gate_upkeep;
    gate.forgets = gate.upkeeps = 0;
    gate.clock = NULL;
    gate.shut = gate.waiting = gate.full = false;
    gate.fail = gate.trim_fail = 0;
    gate.appends = gate.shut_at = gate.trims = 0;
    gate.trimmed = 0;
    log->store->ops = &gate.ops;
}

/* ---- the world ------------------------------------------------------------------------------ */

struct world {
    struct clock_fake clock;
    char dir[64];
    struct namespace_config namespaces[WORLD_SPACES];
    struct log_config config;
    struct log *log;
    struct world_port {
        struct log_port port;
        struct mailbox box;
        struct world *world;
        uint64_t events; /* number of events seen */
        uint64_t trims;
        uint64_t ephemeral;
        uint64_t last; /* id of the last event seen */
        bool late;     /* an event came that log_newest() did not include */
    } ports[WORLD_PORTS];
};

static inline void world_on_batch(void *owner, struct batch *batch)
{
    struct world_port *port = owner;
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        port->trims += event->state == EVENT_TRIM;
        port->ephemeral += event->state == EVENT_EPHEMERAL;
        if (event->state != EVENT_APPENDED)
            continue;
        assert_true(event->id > port->last);
        port->last = event->id;
        if (port->world->log)
            port->late = port->late || log_newest(port->world->log) < event->id;
        port->events++;
    }
}

static inline void world_init(struct world *world, bool memory)
{
    *world = (struct world){.dir = "/tmp/freshet-log-XXXXXX"};
    assert_non_null(mkdtemp(world->dir));
    say_set_level((enum say_level)(SAY_ERROR + 1)); /* failures are made here on purpose */
    clock_fake_init(&world->clock, WORLD_START);
    world->config = (struct log_config){
        .memory = memory,
        .store = {.dir = world->dir,
                  .roll_bytes = 64 << 20,
                  .roll_us = INT64_C(3600000000),
                  .clock = &world->clock.clock},
        .namespaces = world->namespaces,
        .channels_max = 100000,
        .keys_max = 1000,
        .key_life_us = INT64_C(300000000),
        .readers = 1,
    };
    for (size_t i = 0; i < WORLD_PORTS; i++) {
        struct world_port *port = &world->ports[i];
        port->world = world;
        assert_int_equal(mailbox_init(&port->box, port), 0);
        port->port = (struct log_port){.mailbox = &port->box, .on_batch = world_on_batch};
    }
}

static inline struct namespace_config *world_namespace(struct world *world, const char *prefix)
{
    struct namespace_config *namespace = &world->namespaces[world->config.namespaces_count++];
    *namespace = (struct namespace_config){.prefix = str_from(prefix)};
    return namespace;
}

static inline void world_open_with(struct world *world,
                                   int (*open)(const struct log_config *, struct log **))
{
    assert_int_equal(open(&world->config, &world->log), 0);
    if (open == log_open_untended)
        gate_put(world->log);
    for (size_t i = 0; i < WORLD_PORTS; i++)
        assert_int_equal(log_attach(world->log, &world->ports[i].port), 0);
}

/* Opens the log without trimmer and upkeep; the test does their work. */
static inline void world_open(struct world *world)
{
    world_open_with(world, log_open_untended);
}

static inline void world_close(struct world *world)
{
    log_close(world->log);
    world->log = NULL;
    for (size_t i = 0; i < WORLD_PORTS; i++)
        (void)mailbox_empty(&world->ports[i].box);
}

static inline void world_reopen(struct world *world)
{
    world_close(world);
    for (size_t i = 0; i < WORLD_PORTS; i++)
        world->ports[i].last = 0;
    world_open(world);
}

static inline void world_deinit(struct world *world)
{
    if (world->log)
        world_close(world);
    for (size_t i = 0; i < WORLD_PORTS; i++)
        mailbox_deinit(&world->ports[i].box);
    folder_testing_remove(world->dir);
}

/* Opens mail as a worker does, waiting if there is none. */
static inline void world_turn(struct world_port *port)
{
    mailbox_testing_turn(&port->box);
}

/* ---- a reader that is busy ------------------------------------------------------------------- */

/* Keeps a reader busy until it is let go, so that jobs submitted meanwhile are queued. */
struct hold {
    struct log_job job;
    sem_t begun;
    sem_t go;
    bool over;
};

static inline bool hold_run(struct log_job *job, struct log *log)
{
    struct hold *hold = container_of(job, struct hold, job);
    (void)log;
    sem_post(&hold->begun);
    sem_wait(&hold->go);
    return true;
}

static inline void hold_done(struct mail *mail, void *owner)
{
    struct hold *hold = container_of(mail, struct hold, job.mail);
    (void)owner;
    hold->over = true;
    sem_destroy(&hold->begun);
    sem_destroy(&hold->go);
}

/* Returns once a reader is held. `box` gets the answer. */
static inline void hold_begin(struct hold *hold, struct log *log, struct mailbox *box)
{
    *hold = (struct hold){.job = {.run = hold_run, .reply = box, .mail = {.open = hold_done}}};
    sem_init(&hold->begun, 0, 0);
    sem_init(&hold->go, 0, 0);
    log_submit(log, &hold->job);
    sem_wait(&hold->begun);
}

static inline void hold_let_go(struct hold *hold)
{
    sem_post(&hold->go);
}

/* Lets the reader go, and opens mail until its answer has come. */
static inline void hold_end(struct hold *hold)
{
    struct mailbox *box = hold->job.reply;
    hold_let_go(hold);
    while (!hold->over)
        mailbox_testing_turn(box);
}

/* ---- publishing ----------------------------------------------------------------------------- */

struct post {
    struct publish publish;
    unsigned done;
    struct event events[POST_EVENTS]; /* copies from the time of the answer; their strings are
                                       * gone */
};

static inline void post_done(struct publish *publish, struct batch *batch)
{
    struct post *post = container_of(publish, struct post, publish);
    post->done++;
    for (uint32_t i = 0; i < publish->count && i < POST_EVENTS; i++)
        post->events[i] = batch->events[publish->first + i];
}

static inline struct append *append_begin(struct world *world)
{
    struct append *append = append_new(world->log, &world->ports[0].port);
    assert_non_null(append);
    return append;
}

/* Adds an event to the post that was begun last. */
static inline struct event *post_add(struct append *append, struct post *post, const char *channel,
                                     const char *data)
{
    struct event *event = batch_add(append->batch);
    assert_non_null(event);
    event->channel = batch_copy(append->batch, str_from(channel));
    event->type = STR("message");
    event->kind = EVENT_TEXT;
    event->data = batch_copy(append->batch, str_from(data));
    post->publish.count++;
    return event;
}

static inline void post_begin(struct append *append, struct post *post)
{
    *post = (struct post){.publish = {.first = append->batch->count, .done = post_done}};
    append_add(append, &post->publish);
}

static inline void post_set_key(struct append *append, struct event *event, const char *name,
                                uint64_t content)
{
    struct event_key *key = arena_alloc(&append->batch->arena, sizeof(*key));
    *key = (struct event_key){.content = content};
    snprintf((char *)key->key, sizeof(key->key), "%s", name);
    event->key = key;
}

/* Appends an event without waiting for it. */
static inline void post_send(struct world *world, struct post *post, const char *channel,
                             const char *data)
{
    struct append *append = append_begin(world);
    post_begin(append, post);
    post_add(append, post, channel, data);
    log_append(world->log, append);
}

static inline void post_send_keyed(struct world *world, struct post *post, const char *channel,
                                   const char *key, uint64_t content)
{
    struct append *append = append_begin(world);
    post_begin(append, post);
    post_set_key(append, post_add(append, post, channel, "x"), key, content);
    log_append(world->log, append);
}

static inline void post_send_delete(struct world *world, struct post *post, const char *channel)
{
    struct append *append = append_begin(world);
    post_begin(append, post);
    post_add(append, post, channel, "")->state = EVENT_TRIM;
    log_append(world->log, append);
}

static inline void post_send_if(struct world *world, struct post *post, const char *channel,
                                uint64_t newest)
{
    struct append *append = append_begin(world);
    post_begin(append, post);
    post->publish.has_if_match = true;
    post->publish.if_match = newest;
    post_add(append, post, channel, "x");
    log_append(world->log, append);
}

static inline void post_wait(struct world *world, const struct post *post)
{
    while (!post->done)
        world_turn(&world->ports[0]);
    (void)mailbox_empty(&world->ports[1].box);
}

/* Waits until everything that was published is safe and posted, for tests that trim themselves. A
 * publish is answered a moment before its posting ends, and a broadcast in that moment is queued
 * for the writer. */
static inline void world_settle(struct world *world)
{
    for (bool safe = false; !safe; sched_yield()) {
        log_lock(world->log);
        safe = !world->log->pending_sum.events && !world->log->committing_sum.events;
        log_unlock(world->log);
        pthread_mutex_lock(&world->log->posting_lock);
        safe = safe && !world->log->posting && !world->log->is_draining;
        pthread_mutex_unlock(&world->log->posting_lock);
    }
}

/* Publishes and waits; returns the id. */
static inline uint64_t post_one(struct world *world, const char *channel, const char *data)
{
    struct post post;
    post_send(world, &post, channel, data);
    post_wait(world, &post);
    assert_int_equal(post.publish.verdict, PUBLISH_OK);
    return post.events[0].id;
}

static inline void post_delete(struct world *world, const char *channel)
{
    struct post post;
    post_send_delete(world, &post, channel);
    post_wait(world, &post);
    assert_int_equal(post.publish.verdict, PUBLISH_OK);
}

/* ---- looking -------------------------------------------------------------------------------- */

/* The log's description of a channel; zeroes if the log does not know it. */
static inline struct log_channel world_channel(struct world *world, const char *name)
{
    struct log_channel channel = {.count = 0};
    (void)log_channel(world->log, str_from(name), &channel);
    return channel;
}

static inline uint64_t world_trimmed(struct world *world, const char *term)
{
    struct str terms[] = {str_from(term)};
    struct selection *selection = selection_new(terms, 1, NULL, 0, NULL);
    uint64_t trimmed = log_trimmed(world->log, selection);
    selection_unref(selection);
    return trimmed;
}

/* Reads a term. Returns the number of events; `*ret_first` is the id of the first. */
static inline uint32_t world_read(struct world *world, const char *term, uint64_t *ret_first)
{
    struct str terms[] = {str_from(term)};
    struct selection *selection = selection_new(terms, 1, NULL, 0, NULL);
    struct store_query query = {
        .upto = log_newest(world->log), .limit = 100000, .bytes = SIZE_MAX, .rows = 1000000};
    struct batch *batch;
    uint64_t through;
    uint32_t shown = 0;
    assert_int_equal(log_read(world->log, &query, selection, &batch, &through), 0);
    *ret_first = 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        if (batch->events[i].state != EVENT_APPENDED)
            continue;
        *ret_first = shown++ ? *ret_first : batch->events[i].id;
    }
    batch_unref(batch);
    selection_unref(selection);
    return shown;
}

/* ---- running each test on both stores -------------------------------------------------------- */

static inline int setup_memory(void **state)
{
    *state = mem_alloc(sizeof(struct world));
    world_init(*state, true);
    return 0;
}

static inline int setup_disk(void **state)
{
    *state = mem_alloc(sizeof(struct world));
    world_init(*state, false);
    return 0;
}

static inline int teardown(void **state)
{
    gate_set(false, 0);
    world_deinit(*state);
    free(*state);
    return 0;
}

#define IN_MEMORY(test)                                                                            \
    {                                                                                              \
#test " [memory]", test, setup_memory, teardown, NULL                                      \
    }
#define ON_DISK(test)                                                                              \
    {                                                                                              \
#test " [disk]", test, setup_disk, teardown, NULL                                          \
    }
#define ON_BOTH(test) IN_MEMORY(test), ON_DISK(test)
