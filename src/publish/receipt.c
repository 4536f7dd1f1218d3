#include "publish/receipt.h"

/* The problem and its detail for each verdict. */
static const struct {
    enum problem problem;
    const char *detail;
} rows[] = {
    [PUBLISH_E_KEY_REUSED] =
        {PROBLEM_KEY_REUSED,
         "this key belongs to another event for 5 minutes: use a new key for a new event"},
    [PUBLISH_E_NOT_NEWEST] = {PROBLEM_NOT_NEWEST,
                              "read the channel's newer events, then publish with the id of the "
                              "newest"},
    [PUBLISH_E_CHANNELS] =
        {PROBLEM_TOO_MANY,
         "channel limit reached (limits.channels_max): delete channels or raise the limit"},
    [PUBLISH_E_SHARE] = {PROBLEM_TOO_MANY,
                         "this address or connection has made its share of the new channels that "
                         "are left: raise channels_max, channels_address_percent or "
                         "channels_connection_percent"},
    [PUBLISH_E_KEYS] = {PROBLEM_TOO_MANY, "idempotency key limit reached (limits.keys_max): "
                                          "publish without a key, or try again later"},
    [PUBLISH_E_NO_SPACE] = {PROBLEM_NO_SPACE,
                            "nothing was published: free some space, or shorten retention"},
    [PUBLISH_E_UNAVAILABLE] = {PROBLEM_UNAVAILABLE,
                               "nothing was published: the store cannot be written; try again"},
    [PUBLISH_E_FATE_UNKNOWN] = {PROBLEM_FATE_UNKNOWN,
                                "the store failed, and the event may have been stored: publish it "
                                "again with the same key"},
};
_Static_assert(sizeof(rows) / sizeof(rows[0]) == PUBLISH_VERDICTS, "each verdict has a row");

struct refusal receipt_refusal(const struct publish *publish)
{
    return (struct refusal){.problem = rows[publish->verdict].problem,
                            .detail = rows[publish->verdict].detail,
                            .newest = publish->newest,
                            .hides_newest = publish->hides_newest};
}

static void add_time(struct json_writer *writer, int64_t time_us, struct rfc3339_memo *times)
{
    char quoted[RFC3339_LEN + 2];
    quoted[0] = quoted[RFC3339_LEN + 1] = '"';
    memcpy(quoted + 1, rfc3339_by_memo(times, time_us).at, RFC3339_LEN);
    json_member_raw(writer, "time", (struct str){quoted, sizeof(quoted)});
}

void receipt_write(struct json_writer *writer, const struct event *event,
                   struct rfc3339_memo *times)
{
    if (event->state != EVENT_EPHEMERAL)
        json_member_id(writer, "id", event->id);
    json_member_string(writer, "channel", event->channel);
    add_time(writer, event->time_us, times);
    if (event->state == EVENT_DUPLICATE)
        json_member_bool(writer, "duplicate", true);
}

size_t receipt_largest(const struct publish *publish, const struct batch *batch)
{
    size_t largest = 0;
    for (uint32_t i = 0; i < publish->count; i++) {
        size_t len = batch->events[publish->first + i].data.len;
        largest = len > largest ? len : largest;
    }
    return largest;
}
