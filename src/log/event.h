/* Events and the batches that carry them: made once, never changed, shared by reference. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"

#include <stdatomic.h>
#include <stdint.h>

/* What an allocation takes beyond what was asked for, on average. */
enum { HEAP_OVERHEAD = 16 };

/* Ids are below 2^53, so that a JavaScript number can hold one. */
#define EVENT_ID_MAX ((UINT64_C(1) << 53) - 1)

enum event_kind {
    EVENT_JSON,   /* data is one JSON value on one line */
    EVENT_TEXT,   /* data is UTF-8 */
    EVENT_BINARY, /* data is anything; content_type says what */
};

/* What became of it when the log decided. Only what was APPENDED is in the log. */
enum event_state {
    EVENT_PROPOSED,
    EVENT_APPENDED,
    EVENT_DUPLICATE, /* id and time are those of the first event under its key */
    EVENT_TRIM,      /* not an event: its channel is trimmed up to its id */
    EVENT_EPHEMERAL, /* no id; for whoever is live now */
};

/* An idempotency key as the log keeps it: hashes, so that its length does not matter. */
struct event_key {
    uint8_t key[16];  /* of subject, channel and key */
    uint64_t content; /* of type, content type and data */
};

struct event {
    uint64_t id;
    uint64_t prev;       /* the id of the event before this one in its channel */
    int64_t time_us;     /* wall time; never decreases along the log */
    int64_t accepted_ns; /* monotonic: when its publish was understood; 0 when read from a store */
    struct str channel;
    struct str type;
    struct str from;         /* the publisher's authenticated subject; empty when there is none */
    struct str content_type; /* only when EVENT_BINARY */
    struct str data;
    const struct event_key *key; /* NULL when published without one */
    uint32_t number;             /* of its channel, see channels.h */
    uint32_t origin;             /* the connection it came by, 0 for none; not stored */
    uint8_t kind;                /* enum event_kind */
    uint8_t state;               /* enum event_state */
    bool has_made;               /* its channel, in the verdict that is being made */
    bool has_prepared;           /* its channel, before the verdict */
};

/* Many events in log order with all their bytes; the unit of reference counting. */
struct batch {
    atomic_uint refs;
    uint32_t count;
    uint32_t cap;
    struct event *events;
    struct arena arena;
};

/* An empty batch with one reference; NULL when there is no memory. */
struct batch *batch_new(void) __attribute__((warn_unused_result));
struct batch *batch_ref(struct batch *batch);
/* Drops a reference; NULL is fine. Returns NULL. */
struct batch *batch_unref(struct batch *batch);

/* A zeroed event behind the last; NULL when there is no memory. Its strings must live in the
 * batch's arena (batch_copy). The pointer is good until the next call: the array may move. */
struct event *batch_add(struct batch *batch);

static inline struct str batch_copy(struct batch *batch, struct str s)
{
    return arena_copy(&batch->arena, s);
}

/* Asks for the memory in which map_find() will look for the channels of these events. */
void events_prefetch(const struct map *map, const struct event *events, size_t count);

/* The heap that the batch holds, in bytes. */
size_t batch_bytes(const struct batch *batch);
