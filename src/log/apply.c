#include "log/apply.h"

#include <errno.h>

static void refuse(struct publish *publish, struct event *events, uint32_t fault,
                   enum publish_verdict verdict)
{
    publish->verdict = verdict;
    publish->fault = fault;
    for (uint32_t i = 0; i < publish->count; i++)
        events[i].state = EVENT_PROPOSED; /* ephemeral ones fall with the others */
}

/* Notes the key with id 0, which says: of this very publish, not decided yet. */
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
    int result = keys_add(&apply->keys, event->key, 0, apply->last_time_us);
    if (result)
        return result == KEYS_E_FULL ? PUBLISH_E_KEYS : PUBLISH_E_UNAVAILABLE;
    return PUBLISH_OK;
}

static enum publish_verdict check_channel(struct apply *apply, struct publish *publish,
                                          struct event *event)
{
    struct channel *channel;
    int result = channels_add(&apply->channels, event->channel, 0, &channel);
    if (result)
        return result == CHANNELS_E_FULL ? PUBLISH_E_CHANNELS : PUBLISH_E_UNAVAILABLE;
    if (publish->has_if_match && channel->last != publish->if_match) {
        publish->newest = channel->last;
        return PUBLISH_E_NOT_NEWEST;
    }
    event->number = channel->number;
    return PUBLISH_OK;
}

static enum publish_verdict check(struct apply *apply, struct publish *publish, struct event *event)
{
    enum publish_verdict verdict = event->key ? check_key(apply, event) : PUBLISH_OK;
    if (verdict || event->state == EVENT_DUPLICATE)
        return verdict;
    verdict = check_channel(apply, publish, event);
    if (verdict && event->key)
        keys_remove(&apply->keys, event->key);
    return verdict;
}

static void uncheck(struct apply *apply, struct event *events, uint32_t count)
{
    for (uint32_t i = count; i-- > 0;) {
        if (events[i].state == EVENT_PROPOSED && events[i].key)
            keys_remove(&apply->keys, events[i].key);
        if (events[i].state == EVENT_DUPLICATE)
            events[i].state = EVENT_PROPOSED;
    }
}

static void note_over(struct apply *apply, struct channel *channel, const struct space_config *keep)
{
    bool over = (keep->count && channel->count > keep->count) ||
                (keep->bytes && channel->bytes > keep->bytes);
    if (!over || channel->over)
        return;
    channel->over = true;
    apply->over++;
}

static void append_event(struct apply *apply, struct event *event)
{
    struct channel *channel = channels_by_number(&apply->channels, event->number);
    struct space *space = &apply->channels.spaces[channel->space];
    event->id = ++apply->last;
    event->prev = channel->last ? channel->last : space->folded;
    event->time_us = apply->last_time_us;
    event->state = EVENT_APPENDED;
    channel->last = event->id;
    channel->count++;
    channel->bytes += event->data.len;
    note_over(apply, channel, &space->config);
    if (event->key) {
        keys_remove(&apply->keys, event->key);
        /* The place that check_key took is free again, so only memory could fail, and then the
         * key is forgotten early: the event stands. */
        (void)keys_add(&apply->keys, event->key, event->id, event->time_us);
    }
}

/* A duplicate of an event in the same publish learns its id only now. */
static void settle_duplicate(struct apply *apply, struct event *event)
{
    const struct keys_entry *entry = event->id ? NULL : keys_find(&apply->keys, event->key);
    if (!entry)
        return;
    event->id = entry->id;
    event->time_us = entry->time_us;
}

/* `prev` keeps what stood in channel->trimmed, for apply_undo. */
static void trim(struct apply *apply, struct event *event)
{
    struct channel *channel = channels_find(&apply->channels, event->channel);
    if (!channel || !channel->last)
        return;
    event->number = channel->number;
    event->id = channel->last;
    event->prev = channel->trimmed;
    event->time_us = apply->last_time_us;
    channels_trim(&apply->channels, channel, channel->last);
    channel->count = 0;
    channel->bytes = 0;
    apply->trims++;
}

void apply_publish(struct apply *apply, struct publish *publish, struct batch *batch)
{
    struct event *events = &batch->events[publish->first];
    int64_t now = clock_wall_us(apply->clock);
    if (now > apply->last_time_us)
        apply->last_time_us = now;
    keys_expire(&apply->keys, apply->last_time_us);
    for (uint32_t i = 0; i < publish->count; i++) {
        if (events[i].state != EVENT_PROPOSED)
            continue;
        enum publish_verdict verdict = check(apply, publish, &events[i]);
        if (verdict) {
            uncheck(apply, events, i);
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

static void undo_event(struct apply *apply, struct event *event)
{
    struct channel *channel = channels_by_number(&apply->channels, event->number);
    struct space *space = &apply->channels.spaces[channel->space];
    apply->last = event->id - 1;
    channel->last = event->prev == space->folded ? 0 : event->prev;
    channel->count--;
    channel->bytes -= event->data.len;
    if (event->key)
        keys_remove(&apply->keys, event->key);
}

void apply_undo(struct apply *apply, struct publish *publish, struct batch *batch,
                enum publish_verdict verdict)
{
    struct event *events = &batch->events[publish->first];
    for (uint32_t i = publish->count; i-- > 0;) {
        struct channel *channel = channels_by_number(&apply->channels, events[i].number);
        if (events[i].state == EVENT_APPENDED)
            undo_event(apply, &events[i]);
        else if (events[i].state == EVENT_TRIM && channel)
            channel->trimmed = events[i].prev;
        events[i].state = EVENT_PROPOSED;
        events[i].id = 0;
    }
    publish->verdict = verdict;
}
