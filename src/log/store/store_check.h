/* A naive model of a store, and random operations that compare a real store with it: both stores
 * must pass. For tests only. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "log/store.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { CHECK_CHANNELS = 12, CHECK_TYPES = 4, CHECK_EVENTS_MAX = 60000 };

struct check_event {
    struct event event;
    bool gone; /* evicted or otherwise removed in the model */
};

struct check {
    struct store *store;
    struct check_event *events; /* all events ever appended, ascending */
    size_t count;
    uint64_t trimmed[CHECK_CHANNELS + 1];
    uint64_t last[CHECK_CHANNELS + 1];
    bool known[CHECK_CHANNELS + 1];
    uint64_t id;
    int64_t time_us;
    uint64_t random;
    size_t data_max;
};

static const char *const check_types[CHECK_TYPES] = {"message", "trade", "a:b", "x"};

static inline uint64_t check_random(struct check *check, uint64_t below)
{
    check->random ^= check->random << 13;
    check->random ^= check->random >> 7;
    check->random ^= check->random << 17;
    return (check->random >> 11) % below;
}

static inline void check_init(struct check *check, struct store *store, uint64_t seed)
{
    *check = (struct check){.store = store,
                            .random = seed * 2654435761 + 88172645463325252,
                            .id = 1700000000000000,
                            .time_us = 1700000000000000,
                            .data_max = 40};
    check->events = mem_alloc(CHECK_EVENTS_MAX * sizeof(*check->events));
}

static inline void check_deinit(struct check *check)
{
    for (size_t i = 0; i < check->count; i++) {
        free((void *)(uintptr_t)check->events[i].event.data.at);
        free((void *)(uintptr_t)check->events[i].event.key);
    }
    free(check->events);
}

static inline struct str check_name(uint32_t number)
{
    static char names[CHECK_CHANNELS + 1][24];
    snprintf(names[number], sizeof(names[number]), "room/%u", number);
    return str_from(names[number]);
}

static inline bool check_live(const struct check *check, const struct check_event *event)
{
    return !event->gone && event->event.id > check->trimmed[event->event.number];
}

/* ---- making events -------------------------------------------------------------------------- */

static inline struct str check_data(struct check *check)
{
    size_t len = check_random(check, 20) ? check_random(check, check->data_max)
                                         : check_random(check, check->data_max * 100);
    char *at = mem_alloc(len + 1);
    for (size_t i = 0; i < len; i++)
        at[i] = (char)check_random(check, 128);
    return (struct str){at, len};
}

/* Adds an event to the model, and its copy to the batch. */
static inline void check_make(struct check *check, struct batch *batch)
{
    uint32_t number = 1 + (uint32_t)check_random(check, 1 + check_random(check, CHECK_CHANNELS));
    struct event_key *key = NULL;
    if (check_random(check, 3) == 0) {
        key = mem_alloc(sizeof(*key));
        key->content = check_random(check, UINT64_MAX);
        for (size_t i = 0; i < sizeof(key->key); i++)
            key->key[i] = (uint8_t)check_random(check, 256);
    }
    check->id += 1 + check_random(check, 5);
    check->time_us += (int64_t)check_random(check, 3);
    struct event event = {
        .id = check->id,
        .prev = check->last[number],
        .time_us = check->time_us,
        .number = number,
        .channel = check_name(number),
        .type = str_from(check_types[check_random(check, CHECK_TYPES)]),
        .from = check_random(check, 4) ? STR("") : STR("ann"),
        .kind = (uint8_t)check_random(check, 3),
        .hops = check_random(check, 3) ? 0 : (uint8_t)check_random(check, EVENT_HOPS_MAX + 1),
        .state = EVENT_APPENDED,
        .data = check_data(check),
        .key = key,
        .accepted_ns = 5,
        .except = 6,
    };
    event.content_type = event.kind == EVENT_BINARY ? STR("image/png") : STR("");
    assert_true(check->count < CHECK_EVENTS_MAX);
    check->events[check->count++].event = event;
    check->last[number] = event.id;
    check->known[number] = true;
    struct event *added = batch_add(batch);
    *added = event;
    added->data = batch_copy(batch, event.data);
}

static inline void check_make_other(struct check *check, struct batch *batch)
{
    uint32_t number = 1 + (uint32_t)check_random(check, CHECK_CHANNELS);
    struct event *added = batch_add(batch);
    *added = (struct event){.state = EVENT_EPHEMERAL, .channel = check_name(number)};
    if (check_random(check, 2)) {
        added->state = EVENT_DUPLICATE;
        added->id = 1 + check_random(check, check->id);
        added->number = number;
    } else if (check_random(check, 3) == 0 && check->last[number]) {
        added->state = EVENT_TRIM;
        added->id = check->last[number];
        added->number = number;
        check->trimmed[number] = added->id;
    }
}

static inline void check_append(struct check *check)
{
    struct batch *batches[4];
    size_t count = 1 + check_random(check, 4);
    for (size_t i = 0; i < count; i++) {
        batches[i] = batch_new();
        for (uint64_t n = check_random(check, 12); n; n--) {
            if (check_random(check, 12))
                check_make(check, batches[i]);
            else
                check_make_other(check, batches[i]);
        }
    }
    assert_int_equal(check->store->ops->append(check->store, batches, count), 0);
    for (size_t i = 0; i < count; i++)
        batch_unref(batches[i]);
}

/* ---- reading -------------------------------------------------------------------------------- */

static inline void check_same(const struct event *got, const struct event *want)
{
    assert_int_equal(got->id, want->id);
    assert_int_equal(got->prev, want->prev);
    assert_int_equal(got->time_us, want->time_us);
    assert_int_equal(got->number, want->number);
    assert_int_equal(got->kind, want->kind);
    assert_int_equal(got->hops, want->hops);
    assert_int_equal(got->state, EVENT_APPENDED);
    assert_int_equal(got->accepted_ns, 0);
    assert_int_equal(got->except, 0);
    assert_true(str_eq(got->channel, want->channel));
    assert_true(str_eq(got->type, want->type));
    assert_true(str_eq(got->from, want->from));
    assert_true(str_eq(got->content_type, want->content_type));
    assert_true(str_eq(got->data, want->data));
    assert_true(!got->key == !want->key);
    if (want->key)
        assert_memory_equal(got->key, want->key, sizeof(*want->key));
}

static inline bool check_wanted(const struct check *check, const struct store_query *query,
                                const struct check_event *event, bool any_type)
{
    uint32_t number = event->event.number;
    bool channel = query->numbers ? false : query->bitmap[number >> 3] >> (number & 7) & 1;
    for (size_t i = 0; query->numbers && i < query->numbers_count; i++)
        channel = channel || query->numbers[i] == number;
    return channel && check_live(check, event) && event->event.id > query->after &&
           event->event.id <= query->upto &&
           (any_type || !query->selection->types_count ||
            selection_has_type(query->selection, event->event.type));
}

/* Checks a page of any store: all matches between its ends and nothing else, within its bounds, and
 * ended only by one of them. */
static inline void check_page(const struct check *check, const struct store_query *query,
                              const struct batch *batch, uint64_t through)
{
    uint64_t low = query->backwards ? through : query->after + 1;
    uint64_t high = query->backwards ? query->upto : through;
    uint32_t at = 0;
    size_t bytes = 0;
    for (size_t i = 0; i < check->count; i++) {
        const struct check_event *event = &check->events[i];
        if (event->event.id < low || event->event.id > high ||
            !check_wanted(check, query, event, false))
            continue;
        assert_true(at < batch->count);
        check_same(&batch->events[at++], &event->event);
        bytes += event->event.data.len;
    }
    assert_int_equal(at, batch->count);
    assert_true(batch->count <= query->limit);
    if (batch->count) {
        const struct event *end = &batch->events[query->backwards ? 0 : batch->count - 1];
        assert_true(bytes - end->data.len < query->bytes || batch->count == 1);
        if (batch->count == query->limit || bytes >= query->bytes)
            assert_int_equal(through, end->id);
    }
}

/* Reads pages up to the end, and checks every page. */
static inline void check_read_on(struct check *check, struct store_query query)
{
    for (size_t turns = 0;; turns++) {
        struct batch *batch;
        uint64_t through = 0;
        assert_int_equal(check->store->ops->read(check->store, &query, &batch, &through), 0);
        check_page(check, &query, batch, through);
        batch_unref(batch);
        assert_true(turns < 3 * check->count + 1000);
        if (query.backwards) {
            assert_true(through <= query.upto && through > query.after);
            if (through == query.after + 1)
                break;
            query.upto = through - 1;
        } else {
            assert_true(through > query.after && through <= query.upto);
            if (through == query.upto)
                break;
            query.after = through;
        }
    }
}

static inline uint64_t check_some_id(struct check *check)
{
    if (!check->count || check_random(check, 4) == 0)
        return check_random(check, 2) ? 0 : check->id;
    uint64_t id = check->events[check_random(check, check->count)].event.id;
    return id - 1 + check_random(check, 3);
}

static inline struct selection *check_selection(struct check *check)
{
    struct str term = STR("**"), types[2];
    size_t count = check_random(check, 3) ? 0 : 1 + check_random(check, 2);
    for (size_t i = 0; i < count; i++)
        types[i] = str_from(check_types[check_random(check, CHECK_TYPES)]);
    return selection_new(&term, 1, types, count, NULL);
}

static inline void check_read(struct check *check)
{
    uint32_t numbers[CHECK_CHANNELS];
    uint8_t bitmap[CHECK_CHANNELS / 8 + 1] = {0};
    struct selection *selection = check_selection(check);
    struct store_query query = {
        .selection = selection,
        .after = check_some_id(check),
        .upto = check_some_id(check),
        .backwards = check_random(check, 2),
        .limit = 1 + (uint32_t)check_random(check, check_random(check, 2) ? 10 : 300),
        .bytes = 1 + check_random(check, check_random(check, 2) ? 100 : 100000),
        .rows = 1 + check_random(check, check_random(check, 2) ? 20 : 2000),
    };
    bool few = check_random(check, 2);
    for (uint32_t n = 1; n <= CHECK_CHANNELS; n++) {
        if (check_random(check, 3))
            continue;
        bitmap[n >> 3] |= (uint8_t)(1 << (n & 7));
        numbers[query.numbers_count++] = n;
    }
    query.numbers = few ? numbers : NULL;
    query.numbers_count = few ? query.numbers_count : 0;
    query.bitmap = few ? NULL : bitmap;
    query.bitmap_bits = few ? 0 : CHECK_CHANNELS + 1;
    if (query.after > query.upto) {
        uint64_t swap = query.after;
        query.after = query.upto;
        query.upto = swap;
    }
    if (query.after < query.upto)
        check_read_on(check, query);
    selection_unref(selection);
}

/* ---- looking for one event ------------------------------------------------------------------ */

static inline void check_find_time(struct check *check)
{
    int64_t time_us = check->time_us - 5;
    if (check->count)
        time_us = check->events[check_random(check, check->count)].event.time_us;
    time_us += (int64_t)check_random(check, 3) - 1;
    uint64_t want = 0, got = 1;
    for (size_t i = 0; i < check->count; i++)
        if (check_live(check, &check->events[i]) && check->events[i].event.time_us <= time_us)
            want = check->events[i].event.id;
    assert_int_equal(check->store->ops->find_time(check->store, time_us, &got), 0);
    assert_int_equal(got, want);
}

static inline bool check_cut_is_reached(const struct store_cut *cut)
{
    return cut->count >= cut->want_count && cut->bytes >= cut->want_bytes;
}

static inline void check_find_cuts(struct check *check)
{
    struct store_cut cuts[3], want[3];
    size_t count = 1 + check_random(check, 3);
    for (size_t k = 0; k < count; k++) {
        uint32_t number = 1 + (uint32_t)check_random(check, CHECK_CHANNELS);
        uint64_t above = check_random(check, 2) ? check->trimmed[number] : check_some_id(check);
        cuts[k] = (struct store_cut){.number = number,
                                     .above = above,
                                     .want_count = check_random(check, 40),
                                     .want_bytes =
                                         check_random(check, 2) ? 0 : check_random(check, 4000)};
        want[k] = cuts[k];
        for (size_t i = 0; i < check->count && !check_cut_is_reached(&want[k]); i++) {
            const struct check_event *event = &check->events[i];
            if (event->event.number != number || !check_live(check, event) ||
                event->event.id <= above)
                continue;
            want[k].upto = event->event.id;
            want[k].bytes += event->event.data.len;
            want[k].count++;
        }
    }
    assert_int_equal(check->store->ops->find_cuts(check->store, cuts, count), 0);
    for (size_t k = 0; k < count; k++) {
        assert_int_equal(cuts[k].count, want[k].count);
        assert_int_equal(cuts[k].bytes, want[k].bytes);
        if (want[k].count)
            assert_int_equal(cuts[k].upto, want[k].upto);
    }
}

struct check_walk {
    struct check *check;
    size_t at;
    size_t left;
    uint64_t upto;
};

static inline bool check_walked(void *context, uint32_t number, uint64_t id, size_t bytes)
{
    struct check_walk *walk = context;
    struct check *check = walk->check;
    while (walk->at < check->count && !check_live(check, &check->events[walk->at]))
        walk->at++;
    assert_true(walk->at < check->count && walk->left > 0);
    const struct event *event = &check->events[walk->at++].event;
    assert_int_equal(id, event->id);
    assert_int_equal(number, event->number);
    assert_int_equal(bytes, event->data.len);
    assert_true(id <= walk->upto);
    return --walk->left > 0;
}

static inline void check_walk(struct check *check)
{
    uint64_t after = check_some_id(check);
    struct check_walk walk = {check, 0, 1 + check_random(check, 500), check_some_id(check)};
    while (walk.at < check->count && check->events[walk.at].event.id <= after)
        walk.at++;
    assert_int_equal(check->store->ops->walk(check->store, after, walk.upto, check_walked, &walk),
                     0);
    for (; walk.left && walk.at < check->count && check->events[walk.at].event.id <= walk.upto;
         walk.at++)
        assert_false(check_live(check, &check->events[walk.at]));
}

static inline void check_oldest(struct check *check)
{
    uint64_t want = 0;
    for (size_t i = 0; i < check->count && !want; i++)
        if (check_live(check, &check->events[i]))
            want = check->events[i].event.id;
    assert_int_equal(check->store->ops->oldest(check->store), want);
}

/* ---- upkeep --------------------------------------------------------------------------------- */

static inline void check_trim(struct check *check)
{
    struct store_trim trims[CHECK_CHANNELS];
    size_t count = 0;
    for (uint32_t n = 1; n <= CHECK_CHANNELS; n++) {
        uint64_t upto = check_some_id(check);
        if (check_random(check, 4) || !check->last[n])
            continue;
        upto = upto < check->last[n] ? upto : check->last[n];
        if (upto <= check->trimmed[n])
            continue;
        trims[count++] = (struct store_trim){n, check_name(n), check->last[n], upto};
        check->trimmed[n] = upto;
    }
    assert_int_equal(check->store->ops->trim(check->store, trims, count), 0);
}

static inline void check_upkeep(struct check *check)
{
    assert_int_equal(check->store->ops->upkeep(check->store), 0);
}

/* Does a random operation. */
static inline void check_step(struct check *check)
{
    switch (check_random(check, 16)) {
    case 0:
        if (check_random(check, 4) == 0)
            check_trim(check);
        break;
    case 1:
        check_upkeep(check);
        check_oldest(check);
        break;
    case 2:
        check_find_time(check);
        break;
    case 3:
        check_find_cuts(check);
        break;
    case 4:
        check_walk(check);
        break;
    case 5:
    case 6:
    case 7:
        check_read(check);
        break;
    default:
        check_append(check);
    }
}

/* Checks all retained events by every kind of query. */
static inline void check_all(struct check *check)
{
    uint32_t numbers[CHECK_CHANNELS];
    uint8_t bitmap[CHECK_CHANNELS / 8 + 1];
    memset(bitmap, 0xff, sizeof(bitmap));
    for (uint32_t n = 0; n < CHECK_CHANNELS; n++)
        numbers[n] = n + 1;
    struct selection all = {0};
    struct store_query query = {.selection = &all,
                                .bitmap = bitmap,
                                .bitmap_bits = CHECK_CHANNELS + 1,
                                .upto = check->id,
                                .limit = 1000,
                                .bytes = 1 << 20,
                                .rows = 100000};
    for (int way = 0; way < 4; way++) {
        query.backwards = way & 1;
        query.numbers = way & 2 ? numbers : NULL;
        query.numbers_count = way & 2 ? CHECK_CHANNELS : 0;
        check_read_on(check, query);
    }
    check_upkeep(check);
    check_oldest(check);
}
