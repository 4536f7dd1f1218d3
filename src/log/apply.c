#include "log/apply.h"

#include <errno.h>
#include <stdlib.h>

/* A channel that exceeds its namespace's bounds by a SLACKth and a constant is trimmed at once. A
 * smaller excess is trimmed later, together with that of many channels. */
enum { SLACK = 16, SLACK_COUNT = 16, SLACK_BYTES = 16 << 10 };

/* Events whose channels are looked up together. */
enum { LOOKED_UP = 64 };

/* ---- DELETEs that are not safe yet ----------------------------------------------------------- */

struct deletion {
    struct map_node node;
    uint32_t number;  /* of the channel */
    uint32_t pending; /* number of pending DELETEs of the channel */
    uint64_t upto;    /* the id up to which the last of them deletes */
};

static struct deletion *deletion_of_node(const struct map_node *node)
{
    return container_of(node, struct deletion, node);
}

static struct str number_bytes(const uint32_t *number)
{
    return (struct str){(const char *)number, sizeof(*number)};
}

static bool is_number(const struct map_node *node, struct str key)
{
    return str_eq(number_bytes(&deletion_of_node(node)->number), key);
}

static struct deletion *deletion_find(const struct apply *apply, uint32_t number)
{
    struct map_node *node =
        apply->deletions.count ? map_find(&apply->deletions, number_bytes(&number)) : NULL;
    return node ? deletion_of_node(node) : NULL;
}

/* Makes room for a DELETE of the channel; returns false if there is no memory. */
static bool deletion_room(struct apply *apply, const struct channel *channel)
{
    if (deletion_find(apply, channel_number(channel)))
        return true;
    struct deletion *deletion = mem_try_alloc(sizeof(*deletion));
    if (!deletion)
        return false;
    *deletion = (struct deletion){.number = channel_number(channel), .upto = channel->trimmed};
    map_add(&apply->deletions, &deletion->node, number_bytes(&deletion->number));
    return true;
}

/* Ends a DELETE, or the room that was made for it. */
static void deletion_end(struct apply *apply, struct deletion *deletion)
{
    if (deletion->pending && --deletion->pending)
        return;
    map_remove(&apply->deletions, &deletion->node);
    free(deletion);
}

uint64_t apply_trimmed(const struct apply *apply, const struct channel *channel)
{
    const struct deletion *deletion = deletion_find(apply, channel_number(channel));
    return deletion && deletion->upto > channel->trimmed ? deletion->upto : channel->trimmed;
}

void apply_settle(struct apply *apply, const struct batch *batch)
{
    for (uint32_t i = 0; apply->deletions.count && i < batch->count; i++) {
        const struct event *event = &batch->events[i];
        struct deletion *deletion =
            event->state == EVENT_TRIM && event->id ? deletion_find(apply, event->number) : NULL;
        struct channel *channel = channels_by_number(&apply->channels, event->number);
        if (!deletion || !channel)
            continue;
        channels_trim(&apply->channels, channel, event->id);
        deletion_end(apply, deletion);
    }
}

/* ---- counting -------------------------------------------------------------------------------- */

void apply_init(struct apply *apply)
{
    *apply = (struct apply){0};
    map_init(&apply->deletions, is_number);
}

void apply_deinit(struct apply *apply)
{
    for (struct map_node *node; (node = map_next(&apply->deletions, NULL));) {
        map_remove(&apply->deletions, node);
        free(deletion_of_node(node));
    }
    map_deinit(&apply->deletions);
    channels_deinit(&apply->channels);
    keys_deinit(&apply->keys);
    for (int i = 0; i < APPLY_QUEUES; i++)
        numbers_deinit(&apply->queues[i]);
    numbers_deinit(&apply->unclaimed);
}

bool apply_enqueue(struct apply *apply, struct channel *channel, enum apply_queue queue)
{
    if (channel->waits >> queue & 1)
        return true;
    if (!numbers_push(&apply->queues[queue], channel_number(channel)))
        return false;
    channel->waits |= (uint8_t)(1 << queue);
    return true;
}

struct channel *apply_dequeue(struct apply *apply, enum apply_queue queue)
{
    uint32_t number = numbers_pop(&apply->queues[queue]);
    struct channel *channel = channels_by_number(&apply->channels, number);
    if (channel)
        channel->waits &= (uint8_t) ~(1 << queue);
    return channel;
}

static uint64_t beyond(uint64_t have, uint64_t keep)
{
    return keep && have > keep ? have - keep : 0;
}

struct excess apply_excess(const struct apply *apply, const struct channel *channel)
{
    const struct namespace_config *keep = &apply->channels.namespaces[channel->namespace].config;
    return (struct excess){beyond(channel->count, keep->count),
                           beyond(channel->bytes, keep->bytes)};
}

void apply_note(struct apply *apply, struct channel *channel)
{
    const struct namespace_config *keep = &apply->channels.namespaces[channel->namespace].config;
    struct excess excess = apply_excess(apply, channel);
    if (excess.count || excess.bytes)
        (void)apply_enqueue(apply, channel, QUEUE_OVER);
    if (excess.count > keep->count / SLACK + SLACK_COUNT ||
        excess.bytes > keep->bytes / SLACK + SLACK_BYTES)
        (void)apply_enqueue(apply, channel, QUEUE_URGENT);
}

void apply_count_in(struct apply *apply, struct channel *channel, uint64_t count, uint64_t bytes)
{
    channel->count += count;
    channel->bytes += bytes;
    apply->count += count;
    apply->bytes += bytes;
}

void apply_count_out(struct apply *apply, struct channel *channel, uint64_t count, uint64_t bytes)
{
    channel->count -= count;
    channel->bytes -= bytes;
    apply->count -= count;
    apply->bytes -= bytes;
}

void apply_trim(struct apply *apply, struct channel *channel, uint64_t upto, uint64_t count,
                uint64_t bytes)
{
    channels_trim(&apply->channels, channel, upto);
    apply_count_out(apply, channel, count, bytes);
}

/* ---- verdicts -------------------------------------------------------------------------------- */

void apply_advance(struct apply *apply, int64_t now_us, int64_t keys_upto_us)
{
    apply->now_us = now_us;
    keys_expire(&apply->keys, keys_upto_us);
}

static void refuse(struct publish *publish, struct event *events, uint32_t fault,
                   enum publish_verdict verdict)
{
    publish->verdict = verdict;
    publish->fault = fault;
    for (uint32_t i = 0; i < publish->count; i++)
        events[i].state = EVENT_PROPOSED; /* ephemeral events fail with the others */
}

/* Notes the key with id 0: it belongs to this publish, which is not decided yet. */
static enum publish_verdict check_key(struct apply *apply, struct event *event)
{
    const struct keys_entry *entry = keys_find(&apply->keys, event->key);
    if (entry) {
        if (entry->key.content != event->key->content)
            return PUBLISH_E_KEY_REUSED;
        event->state = EVENT_DUPLICATE;
        event->id = entry->id;
        event->time_us = entry->time_us;
        return PUBLISH_OK;
    }
    int result = keys_add(&apply->keys, event->key, 0, apply->now_us);
    if (result)
        return result == KEYS_E_FULL ? PUBLISH_E_KEYS : PUBLISH_E_UNAVAILABLE;
    return PUBLISH_OK;
}

static enum publish_verdict check_channel(struct apply *apply, struct publish *publish,
                                          struct event *event)
{
    struct channel *channel = channels_known(&apply->channels, event->channel, event->number);
    bool is_there = channel_counts(channel);
    if (publish->has_if_match && publish->if_match && !is_there) {
        publish->newest = 0;
        return PUBLISH_E_NOT_NEWEST; /* a refusal makes no channel */
    }
    int result = channels_make(&apply->channels, event->channel, &publish->maker, &channel);
    event->has_made = !result && !is_there;
    if (result == CHANNELS_E_SHARE)
        return PUBLISH_E_SHARE;
    if (result)
        return result == CHANNELS_E_FULL ? PUBLISH_E_CHANNELS : PUBLISH_E_UNAVAILABLE;
    if (publish->has_if_match && channel->last != publish->if_match) {
        publish->newest = channel->last;
        return PUBLISH_E_NOT_NEWEST;
    }
    event->number = channel_number(channel);
    return PUBLISH_OK;
}

static enum publish_verdict check_trim(struct apply *apply, const struct event *event)
{
    const struct channel *channel = channels_find(&apply->channels, event->channel);
    if (!channel || !channel->last || deletion_room(apply, channel))
        return PUBLISH_OK;
    return PUBLISH_E_UNAVAILABLE;
}

static enum publish_verdict check(struct apply *apply, struct publish *publish, struct event *event)
{
    if (event->state == EVENT_TRIM)
        return check_trim(apply, event);
    enum publish_verdict verdict = event->key ? check_key(apply, event) : PUBLISH_OK;
    if (verdict || event->state == EVENT_DUPLICATE)
        return verdict;
    verdict = check_channel(apply, publish, event);
    if (verdict && event->key)
        keys_remove(&apply->keys, event->key);
    return verdict;
}

static void uncheck_trim(struct apply *apply, const struct event *event)
{
    const struct channel *channel = channels_find(&apply->channels, event->channel);
    struct deletion *deletion = channel ? deletion_find(apply, channel_number(channel)) : NULL;
    if (deletion && !deletion->pending)
        deletion_end(apply, deletion);
}

/* Removes a channel that a refused publish has made. Otherwise a client could fill the table
 * without publishing anything. */
static void uncheck_channel(struct apply *apply, struct event *event, uint32_t number_last)
{
    struct channels *channels = &apply->channels;
    if (event->has_made)
        channels_unmake(channels, channels_by_number(channels, event->number), number_last);
    event->has_made = false;
}

/* Undoes the checks, the newest event first. `number_last` is the table's value before the
 * publish. */
static void uncheck(struct apply *apply, struct event *events, uint32_t count, uint32_t number_last)
{
    for (uint32_t i = count; i-- > 0;) {
        if (events[i].state == EVENT_PROPOSED && events[i].key)
            keys_remove(&apply->keys, events[i].key);
        if (events[i].state == EVENT_DUPLICATE)
            events[i].state = EVENT_PROPOSED;
        if (events[i].state == EVENT_TRIM)
            uncheck_trim(apply, &events[i]);
        uncheck_channel(apply, &events[i], number_last);
    }
}

static void append_event(struct apply *apply, struct event *event)
{
    struct channel *channel = channels_by_number(&apply->channels, event->number);
    struct namespace *namespace = &apply->channels.namespaces[channel->namespace];
    event->id = ++apply->last;
    event->prev = channel->last ? channel->last : namespace->forgotten_trimmed;
    event->time_us = apply->now_us;
    event->state = EVENT_APPENDED;
    channel->last = event->id;
    channels_note_used(&apply->channels, channel);
    apply_count_in(apply, channel, 1, event->data.len);
    apply_note(apply, channel);
    struct keys_entry *entry = event->key ? keys_find(&apply->keys, event->key) : NULL;
    if (entry)
        entry->id = event->id;
}

/* Gives a duplicate of an event in the same publish its id, which is only known now. */
static void settle_duplicate(struct apply *apply, struct event *event)
{
    const struct keys_entry *entry = event->id ? NULL : keys_find(&apply->keys, event->key);
    if (!entry)
        return;
    event->id = entry->id;
    event->time_us = entry->time_us;
}

/* Decides a DELETE. Unused fields of the event remember what apply_undo() needs: `prev` the value
 * of apply_trimmed(), `accepted_ns` the number of events, and the length of `data` their bytes. */
static void trim(struct apply *apply, struct event *event)
{
    struct channel *channel = channels_find(&apply->channels, event->channel);
    struct deletion *deletion = channel ? deletion_find(apply, channel_number(channel)) : NULL;
    if (!deletion)
        return;
    event->number = channel_number(channel);
    event->id = channel->last;
    event->prev = apply_trimmed(apply, channel);
    event->time_us = apply->now_us;
    event->accepted_ns = (int64_t)channel->count;
    event->data = (struct str){NULL, channel->bytes};
    deletion->upto = channel->last;
    deletion->pending++;
    apply_count_out(apply, channel, channel->count, channel->bytes);
}

/* Looks up many channels together, so that the cache misses overlap. */
static void look_up_run(const struct map *by_name, struct event *events, size_t count)
{
    events_prefetch(by_name, events, count);
    for (size_t i = 0; i < count; i++) {
        const struct map_node *node = map_find_hashed(by_name, events[i].hash, events[i].channel);
        if (node && events[i].state == EVENT_PROPOSED)
            events[i].number = channel_number(container_of(node, struct channel, node));
    }
}

void apply_look_up(struct apply *apply, struct event *events, size_t count)
{
    for (size_t from = 0; from < count; from += LOOKED_UP)
        look_up_run(&apply->channels.by_name, events + from,
                    count - from < LOOKED_UP ? count - from : LOOKED_UP);
}

void apply_prepare(struct apply *apply, struct event *events, size_t count, size_t all)
{
    apply_look_up(apply, events, count);
    for (size_t i = 0; i < count; i++) {
        if (events[i].state == EVENT_PROPOSED && !events[i].number)
            events[i].has_prepared =
                channels_prepare(&apply->channels, events[i].channel, &events[i].number);
        if (events[i].key)
            keys_expect(&apply->keys, events[i].key, all);
    }
}

void apply_end_prepared(struct apply *apply, struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        struct event *event = &batch->events[i];
        if (event->has_prepared && !channels_end_prepared(&apply->channels, event->number) &&
            !numbers_push(&apply->unclaimed, event->number))
            channels_drop(&apply->channels, event->number);
        event->has_prepared = false;
    }
}

bool apply_drop_unclaimed(struct apply *apply, uint32_t most)
{
    for (; most && apply->unclaimed.count; most--)
        channels_drop(&apply->channels, numbers_pop(&apply->unclaimed));
    return apply->unclaimed.count;
}

void apply_publish(struct apply *apply, struct publish *publish, struct batch *batch)
{
    struct event *events = &batch->events[publish->first];
    uint32_t number_last = apply->channels.number_last;
    for (uint32_t i = 0; i < publish->count; i++) {
        if (events[i].state != EVENT_PROPOSED && events[i].state != EVENT_TRIM)
            continue;
        enum publish_verdict verdict = check(apply, publish, &events[i]);
        if (verdict) {
            uncheck(apply, events, i, number_last);
            refuse(publish, events, i, verdict);
            return;
        }
    }
    for (uint32_t i = 0; i < publish->count; i++) {
        if (events[i].state == EVENT_PROPOSED)
            append_event(apply, &events[i]);
        else if (events[i].state == EVENT_DUPLICATE)
            settle_duplicate(apply, &events[i]);
        else if (events[i].state == EVENT_TRIM)
            trim(apply, &events[i]);
    }
}

/* Undoes an event. If `prev` was an event of this channel, it is retained or trimmed; otherwise it
 * came from forgotten channels, and this channel had no event before. */
static void undo_event(struct apply *apply, struct event *event, enum publish_verdict verdict)
{
    struct channel *channel = channels_by_number(&apply->channels, event->number);
    if (verdict != PUBLISH_E_FATE_UNKNOWN)
        apply->last = event->id - 1;
    apply_count_out(apply, channel, 1, event->data.len);
    channel->last =
        channel->count || event->prev <= apply_trimmed(apply, channel) ? event->prev : 0;
    if (event->key)
        keys_remove(&apply->keys, event->key);
}

static void undo_trim(struct apply *apply, struct event *event)
{
    struct channel *channel = channels_by_number(&apply->channels, event->number);
    struct deletion *deletion = event->id ? deletion_find(apply, event->number) : NULL;
    if (!channel || !deletion)
        return;
    deletion->upto = event->prev;
    deletion_end(apply, deletion);
    apply_count_in(apply, channel, (uint64_t)event->accepted_ns, event->data.len);
    apply_note(apply, channel);
    event->data = STR_NONE;
}

void apply_undo(struct apply *apply, struct publish *publish, struct batch *batch,
                enum publish_verdict verdict)
{
    struct event *events = &batch->events[publish->first];
    for (uint32_t i = publish->count; i-- > 0;) {
        if (events[i].state == EVENT_APPENDED)
            undo_event(apply, &events[i], verdict);
        else if (events[i].state == EVENT_TRIM)
            undo_trim(apply, &events[i]);
        if (events[i].state != EVENT_TRIM)
            events[i].state = EVENT_PROPOSED;
        events[i].id = 0;
    }
    publish->verdict = verdict;
}
