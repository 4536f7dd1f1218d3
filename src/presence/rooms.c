#include "presence/rooms.h"

#include "presence/reads.h"
#include "presence/saving.h"
#include "presence/telling.h"

#include <stdlib.h>

static bool room_is(const struct map_node *node, struct str name)
{
    return str_eq(room_name(container_of(node, const struct room, node)), name);
}

void rooms_init(struct presence *presence)
{
    map_init(&presence->rooms, room_is);
    list_init(&presence->walk.seen);
    list_init(&presence->walk.left);
}

struct room *rooms_find(const struct presence *presence, struct str name)
{
    struct map_node *node = map_find(&presence->rooms, name);
    return node ? container_of(node, struct room, node) : NULL;
}

static size_t size_of(size_t name_len)
{
    size_t size = offsetof(struct room, name) + name_len;
    return size > sizeof(struct room) ? size : sizeof(struct room);
}

static void count_map(struct presence *presence)
{
    size_t bytes = map_bytes(&presence->rooms);
    presence_hold(presence, PRESENCE_MEMORY_CHANNELS, presence->rooms_bytes, bytes);
    presence->rooms_bytes = bytes;
}

struct room *rooms_get(struct presence *presence, struct str name)
{
    struct room *room = rooms_find(presence, name);
    if (room)
        return room;
    room = mem_try_alloc(size_of(name.len));
    if (!room)
        return NULL;
    *room = (struct room){.name_len = (uint8_t)name.len};
    list_init(&room->departures);
    memcpy(room->name, name.at, name.len);
    map_add(&presence->rooms, &room->node, name);
    saving_room_begins(presence, room);
    presence_hold(presence, PRESENCE_MEMORY_CHANNELS, 0, mem_taken(size_of(name.len)));
    count_map(presence);
    return room;
}

static void free_departures(struct room *room)
{
    for (struct list *node; (node = list_take_first(&room->departures));) {
        struct departure *departure = container_of(node, struct departure, node);
        timer_stop(&departure->timer);
        free(departure);
    }
}

static void room_free(struct presence *presence, struct room *room)
{
    map_remove(&presence->rooms, &room->node);
    saving_room_ends(presence, room);
    count_map(presence);
    presence_hold(presence, PRESENCE_MEMORY_CHANNELS, mem_taken(size_of(room->name_len)), 0);
    tell_count_end(presence, room);
    free_departures(room);
    roster_deinit(&room->members);
    if (room->marks) {
        reads_end(presence, room);
        roster_deinit(&room->marks->roster);
    }
    free(room->marks);
    free(room);
}

static void free_persons(struct room *room)
{
    struct person *person;
    struct roster_place place =
        roster_after(&room->members, (struct presence_who){STR_NONE, false});
    while ((person = roster_next(&place))) {
        member_end_departure(person);
        member_free(person);
    }
    if (!room->marks)
        return;
    place = roster_after(&room->marks->roster, (struct presence_who){STR_NONE, false});
    while ((person = roster_next(&place)))
        free(person);
}

void rooms_deinit(struct presence *presence)
{
    struct map_node *node = map_next(&presence->rooms, NULL);
    while (node) {
        struct map_node *next = map_next(&presence->rooms, node);
        struct room *room = container_of(node, struct room, node);
        free_persons(room);
        room_free(presence, room);
        node = next;
    }
    map_deinit(&presence->rooms);
}

void room_set_occupied(struct presence *presence, struct room *room, bool is_occupied,
                       uint16_t address)
{
    if (is_occupied)
        shares_take(&presence->shares, SHARE_CHANNELS, address, 0);
    else
        shares_give(&presence->shares, SHARE_CHANNELS, (uint16_t)room->address, 0);
    room->is_occupied = is_occupied;
    room->address = address & SHARE_HOLDERS;
    presence_count(&presence->stats.channels, is_occupied ? 1 : -1);
}

void room_occupy(struct presence *presence, struct room *room, uint16_t address)
{
    if (room->is_occupied)
        return;
    room_set_occupied(presence, room, true, address);
    tell_occupied(presence, room_name(room), true);
    save_occupied(presence, room, true);
}

void room_look(struct presence *presence, struct room *room)
{
    bool is_empty = !room->members.count && !room->anonymous && list_empty(&room->departures);
    if (is_empty && room->is_occupied) {
        tell_last_count(presence, room);
        room_set_occupied(presence, room, false, 0);
        tell_occupied(presence, room_name(room), false);
        save_occupied(presence, room, false);
    }
    if (is_empty && !room->marks && !room->saving && !room->counting)
        room_free(presence, room);
}
