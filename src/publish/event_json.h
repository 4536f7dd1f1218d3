/* Events as JSON objects, {"channel":…,"data":…}: in the array or the lines of POST /events, and in
 * the publish message of freshet.v1. */
#pragma once

#include "net/conn_name.h"
#include "publish/proposal.h"

/* The members of an event in a request, a row each. */
#define EVENT_JSON_MEMBERS(X)                                                                      \
    X(channel)                                                                                     \
    X(data)                                                                                        \
    X(data_base64)                                                                                 \
    X(type)                                                                                        \
    X(key)                                                                                         \
    X(content_type)                                                                                \
    X(ephemeral)                                                                                   \
    X(except)

enum event_json_member {
#define EVENT_JSON_NUMBER(name) EVENT_JSON_##name,
    EVENT_JSON_MEMBERS(EVENT_JSON_NUMBER)
#undef EVENT_JSON_NUMBER
        EVENT_JSON_COUNT,
};

/* The raw values of the members, in the order of the enum; a value that is empty is absent. The
 * object was checked with JSON_DEPTH_LIMIT as the depth. */
struct event_json {
    union {
        struct {
#define EVENT_JSON_FIELD(name) struct str name;
            EVENT_JSON_MEMBERS(EVENT_JSON_FIELD)
#undef EVENT_JSON_FIELD
        };
        struct str at[EVENT_JSON_COUNT];
    };
    bool may_be_deep; /* the document is nested deeper than data may be */
};

/* Memory for values that must be decoded. Zeroes: empty; reused by the next event. */
struct event_json_room {
    struct buf channel;
    struct buf type;
    struct buf key;
    struct buf content_type;
    struct buf data;
    struct buf base64;
};
void event_json_room_free(struct event_json_room *room);

/* Reads the members into a proposal, whose strings lie in `room` or in the values. `names` reads
 * `except`. False if a member has a wrong value. */
bool event_json_read(const struct event_json *json, const struct conn_names *names,
                     struct event_json_room *room, struct proposal *ret_proposal,
                     struct refusal *ret_refusal);
