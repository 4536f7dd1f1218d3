/* Events and the batches that carry them: made once, never changed, shared by reference. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"

#include <stdatomic.h>
#include <stdint.h>

/* The average overhead of an allocation. */
enum { HEAP_OVERHEAD = 16 };

/* The most hops that an event can have. */
enum { EVENT_HOPS_MAX = 255 };

/* Ids stay below 2^53, so that a JavaScript number can hold them. */
#define EVENT_ID_MAX ((UINT64_C(1) << 53) - 1)
enum { EVENT_ID_DIGITS = 16 };

enum event_kind {
    EVENT_JSON,   /* data is one JSON value on one line */
    EVENT_TEXT,   /* data is UTF-8 */
    EVENT_BINARY, /* data is any bytes; content_type describes them */
};

/* The log's decision about an event. Only APPENDED events are in the log. */
enum event_state {
    EVENT_PROPOSED,
    EVENT_APPENDED,
    EVENT_DUPLICATE, /* id and time are those of the first event with its key */
    EVENT_TRIM,      /* not an event: trims the channel up to the id */
    EVENT_EPHEMERAL, /* no id; only for subscribers that are live now */
};

/* An idempotency key as the log keeps it: hashes, so that its length does not matter. */
struct event_key {
    uint8_t key[16];  /* hash of subject, channel and key */
    uint64_t content; /* hash of type, content type and data */
};

struct event {
    uint64_t id;
    uint64_t prev;       /* the id of the channel's previous event */
    int64_t time_us;     /* wall time; never decreases along the log */
    int64_t accepted_ns; /* monotonic: when its publish was parsed; 0 when read from a store */
    struct str channel;
    struct str type;
    struct str from;         /* the publisher's authenticated subject; empty if there is none */
    struct str content_type; /* with EVENT_BINARY, and with JSON that is more than that (+json) */
    struct str data;
    const struct event_key *key; /* NULL if published without one */
    uint32_t number;             /* the channel's number, see channels.h */
    uint32_t except;             /* the connection that is not to get it, 0: none; not stored */
    uint32_t hash;               /* of the channel's name, once batch_hash_names() has set it */
    uint8_t kind;                /* enum event_kind */
    uint8_t state;               /* enum event_state */
    uint8_t hops;                /* deliveries of webhooks that have led to it, one by one */
    bool has_made : 1;           /* the current verdict has made its channel */
    bool has_prepared : 1;       /* preparation has made its channel */
};

/* Many events in log order with all their bytes; counted by reference as a whole. */
struct batch {
    atomic_uint refs;
    uint32_t count;
    uint32_t cap;
    struct event *events;
    struct arena arena;
};

/* An empty batch with a reference; NULL if there is no memory. */
struct batch *batch_new(void) __attribute__((warn_unused_result));
struct batch *batch_ref(struct batch *batch);
/* Drops a reference; `batch` may be NULL. Returns NULL. */
struct batch *batch_unref(struct batch *batch);

/* Makes room for so many events in an empty batch, as far as there is memory; and gives back what
 * is more than twice the events that there are. */
void batch_expect(struct batch *batch, uint32_t count);
void batch_fit(struct batch *batch);

/* A zeroed event behind the last; NULL if there is no memory. Its strings must live in the batch's
 * arena (batch_copy()). The pointer is valid until the next call: the array may move. */
struct event *batch_add(struct batch *batch);

static inline struct str batch_copy(struct batch *batch, struct str s)
{
    return arena_copy(&batch->arena, s);
}

/* Whether the log keeps any of the batch's events: all others have no id, or remove events. */
bool batch_has_appended(const struct batch *batch);

/* Reads an id: 1 to 16 digits, at most EVENT_ID_MAX. Returns false, and leaves `*ret_id`, if the
 * text is anything else. */
bool event_id_read(struct str text, uint64_t *ret_id);

/* The media type that the event's data has on its own. */
static inline struct str event_media_type(const struct event *event)
{
    if (event->content_type.len || event->kind == EVENT_BINARY)
        return event->content_type;
    return event->kind == EVENT_JSON ? STR("application/json") : STR("text/plain; charset=utf-8");
}

/* Hashes the names of the batch's channels under the seed of the maps by name. The log does this
 * for each batch that it is given: its table of channels and the hubs' topics share the seed
 * (log_name_seed()), so that each name is hashed once. */
void batch_hash_names(struct batch *batch, const uint64_t seed[2]);

/* Prefetches the memory that map_find_hashed() will read for the channels of these events. */
void events_prefetch(const struct map *map, const struct event *events, size_t count);

/* The heap memory of the batch, in bytes. */
size_t batch_bytes(const struct batch *batch);
