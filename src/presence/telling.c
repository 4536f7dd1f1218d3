#include "presence/telling.h"

#include "presence/saving.h"

#include <stdlib.h>

enum { COUNT_MS = 1000, WAITS_MAX = 4 /* how often the pause is doubled while events are lost */ };

/* ---- notes ----------------------------------------------------------------------------------- */

void presence_bundle_free(struct presence_bundle *bundle)
{
    if (!bundle)
        return;
    for (struct presence_note *note = bundle->first, *next; note; note = next) {
        next = note->next;
        free(note);
    }
    free(bundle);
}

static struct presence_bundle *bundle_of(struct presence *presence)
{
    struct presence_bundle *bundle = presence->bundle;
    if (bundle)
        return bundle;
    bundle = mem_alloc(sizeof(*bundle));
    bundle->last = &bundle->first;
    bundle->home = &presence->loop.mailbox;
    bundle->returned = presence->returned;
    presence->bundle = bundle;
    return bundle;
}

static size_t note_bytes(const struct presence_note *note)
{
    return mem_taken(sizeof(*note) + note->channel.len + note->data.len);
}

/* The data is in presence->scratch. */
static struct presence_note *note_new(const struct presence *presence, const char *prefix,
                                      struct str channel)
{
    struct str start = str_from(prefix), data = buf_str(&presence->scratch);
    if (buf_failed(&presence->scratch) || presence->told_bytes >= TELLING_BYTES_MAX)
        return NULL;
    struct presence_note *note = mem_try_alloc(sizeof(*note) + start.len + channel.len + data.len);
    if (!note)
        return NULL;
    *note = (struct presence_note){.channel = {note->text, start.len + channel.len},
                                   .data = {note->text + start.len + channel.len, data.len}};
    memcpy(note->text, start.at, start.len);
    memcpy(note->text + start.len, channel.at, channel.len);
    memcpy(note->text + start.len + channel.len, data.at, data.len);
    return note;
}

static void add_note(struct presence *presence, const char *prefix, struct str channel,
                     const char *type)
{
    struct presence_note *note = note_new(presence, prefix, channel);
    if (!note) {
        presence_count(&presence->stats.events_lost, 1);
        presence->lost(presence, str_from(prefix), channel);
        return;
    }
    struct presence_bundle *bundle = bundle_of(presence);
    size_t bytes = note_bytes(note);
    bundle->bytes += bytes;
    presence->told_bytes += bytes;
    note->bundle = bundle;
    note->type = type;
    *bundle->last = note;
    bundle->last = &note->next;
    bundle->told = ++presence->told;
}

static struct json_writer open_data(struct presence *presence)
{
    buf_clear(&presence->scratch);
    struct json_writer writer = json_writer(&presence->scratch);
    json_object_begin(&writer);
    return writer;
}

void who_write(struct json_writer *writer, struct presence_who who)
{
    json_member_string(writer, "member", who.name);
    json_member_bool(writer, "verified", who.verified);
}

void tell_person(struct presence *presence, struct str channel, const char *type,
                 struct presence_who who, struct str state, uint64_t read)
{
    struct json_writer writer = open_data(presence);
    who_write(&writer, who);
    if (state.at)
        json_member_raw(&writer, "state", state.len ? state : STR("null"));
    if (read)
        json_member_id(&writer, "read", read);
    json_object_end(&writer);
    add_note(presence, PRESENCE_CHANNELS, channel, type);
}

void tell_occupied(struct presence *presence, struct str channel, bool is_occupied)
{
    struct json_writer writer = open_data(presence);
    json_member_string(&writer, "channel", channel);
    json_object_end(&writer);
    add_note(presence, OCCUPIED_CHANNELS, channel, is_occupied ? "occupied" : "vacated");
}

/* ---- counts ---------------------------------------------------------------------------------- */

bool room_is_large(const struct presence *presence, const struct room *room)
{
    const struct presence_rule *rule = presence_settings_find(presence->settings, room_name(room));
    return rule && room->members.count > rule->list_max;
}

/* Clients that keep a list read it anew when "listed" becomes true. So a change that was not told
 * singly is told with "listed":false even if the room is small again. */
static void tell_count(struct presence *presence, struct room *room, const char *type)
{
    room->is_unlisted = room->has_untold || room_is_large(presence, room);
    room->has_untold = false;
    struct json_writer writer = open_data(presence);
    json_member_number(&writer, "count", room->members.count);
    json_member_number(&writer, "anonymous", room->anonymous);
    json_member_bool(&writer, "listed", !room->is_unlisted);
    json_object_end(&writer);
    add_note(presence, PRESENCE_CHANNELS, room_name(room), type);
}

/* Of changes that were not told singly two counts say so: followers read the list at the second. */
void tell_last_count(struct presence *presence, struct room *room)
{
    struct counting *counting = room->counting;
    if (!counting || !counting->has_count)
        return;
    counting->has_count = false;
    tell_count(presence, room, "count");
    if (room->is_unlisted)
        tell_count(presence, room, "count");
}

void tell_count_end(struct presence *presence, struct room *room)
{
    if (!room->counting)
        return;
    timer_stop(&room->counting->timer);
    list_remove(&room->counting->node);
    free(room->counting);
    room->counting = NULL;
    presence_hold(presence, PRESENCE_MEMORY_CHANNELS, mem_taken(sizeof(struct counting)), 0);
}

/* A second has passed without a change. */
static void count_is_told(const struct counting *counting)
{
    struct presence *presence = counting->presence;
    struct room *room = counting->room;
    tell_count_end(presence, room);
    room->tries = 0;
    presence->look(presence, room);
}

/* A second has passed since a count was told. */
static void count_rings(struct timer *timer)
{
    struct counting *counting = container_of(timer, struct counting, timer);
    if (counting->is_stale)
        list_add_last(&counting->presence->stale, &counting->node);
    else
        count_is_told(counting);
}

/* False if there is no memory. */
static bool make_stale(struct presence *presence, struct room *room)
{
    if (!room->counting) {
        room->counting = mem_try_alloc(sizeof(*room->counting));
        if (!room->counting)
            return false;
        *room->counting =
            (struct counting){.timer = {.ring = count_rings}, .presence = presence, .room = room};
        presence_hold(presence, PRESENCE_MEMORY_CHANNELS, 0, mem_taken(sizeof(struct counting)));
    }
    room->counting->is_stale = true;
    if (!list_linked(&room->counting->node) && !list_linked(&room->counting->timer.node))
        list_add_last(&presence->stale, &room->counting->node);
    return true;
}

void tell_count_later(struct presence *presence, struct room *room)
{
    if (make_stale(presence, room))
        room->counting->has_count = true;
}

bool tell_debts_later(struct presence *presence, struct room *room)
{
    return make_stale(presence, room);
}

void tell_member_later(struct presence *presence, struct room *room)
{
    room->has_untold = true;
    tell_count_later(presence, room);
}

void tell_count_anew(struct presence *presence, struct room *room)
{
    if (room->is_unlisted != room_is_large(presence, room))
        tell_count_later(presence, room);
}

/* Tells what a room owes. A reset has the members of a count, so a count beside it is left out. */
static void tell_news(struct presence *presence, struct room *room, bool has_count)
{
    bool owes_reset = room->owes_reset, owes_occupied = room->owes_occupied;
    room->owes_reset = room->owes_occupied = false;
    if (owes_occupied)
        tell_occupied(presence, room_name(room), room->is_occupied);
    if (owes_reset)
        tell_count(presence, room, "reset");
    else if (has_count)
        tell_count(presence, room, "count");
    if (owes_reset || owes_occupied)
        save_owed(presence, room);
}

static int64_t wait_ms(const struct room *room)
{
    return (int64_t)COUNT_MS << (room->tries < WAITS_MAX ? room->tries : WAITS_MAX);
}

/* The timer is set first: while it is, a note that finds no memory makes the count stale for the
 * next time, and not for this loop. */
static void tell_counts(struct presence *presence)
{
    for (struct list *node; (node = list_take_first(&presence->stale));) {
        struct counting *counting = container_of(node, struct counting, node);
        struct room *room = counting->room;
        bool has_count = counting->has_count;
        counting->is_stale = counting->has_count = false;
        timer_set(&presence->loop, &counting->timer, wait_ms(room));
        tell_news(presence, room, has_count);
        if (room->is_unlisted && !room_is_large(presence, room))
            counting->is_stale = counting->has_count = true;
    }
}

void telling_flush(struct presence *presence)
{
    tell_counts(presence);
    struct presence_bundle *bundle = presence->bundle;
    presence->bundle = NULL;
    if (bundle)
        presence->config.publish(presence->config.app, bundle);
}
