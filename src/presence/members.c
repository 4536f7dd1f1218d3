#include "presence/members.h"

#include "presence/rooms.h"
#include "presence/saving.h"
#include "presence/telling.h"

#include <stdlib.h>

static uint64_t load(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* ---- going ----------------------------------------------------------------------------------- */

static void member_drop(struct presence *presence, struct person *member)
{
    member_end_departure(member);
    save_member(presence, member, false);
    roster_remove(&member->room->members, member);
    member_free(member);
    presence_count(&presence->stats.members, -1);
}

static void member_remove(struct presence *presence, struct person *member)
{
    struct room *room = member->room;
    if (room_is_large(presence, room))
        tell_member_later(presence, room);
    else
        tell_person(presence, room_name(room), "left", person_who(member), STR_NONE, 0);
    member_drop(presence, member);
    presence_count(&presence->stats.leaves, 1);
}

static void anonymous_remove(struct presence *presence, struct room *room)
{
    room->anonymous--;
    presence_count(&presence->stats.anonymous, -1);
    tell_count_later(presence, room);
}

/* Anonymous subscribers are not saved, so after a restart the last count that was told may be of
 * some who have not come back. */
static void end_restart(struct presence *presence, struct room *room)
{
    if (!room->anonymous && room->members.count)
        tell_count_later(presence, room);
}

static void departure_rings(struct timer *timer)
{
    struct departure *departure = container_of(timer, struct departure, timer);
    struct presence *presence = departure->presence;
    struct room *room = departure->room;
    if (presence->paused)
        return; /* after the restart the member has another grace */
    if (departure->person) {
        member_remove(presence, departure->person);
    } else {
        bool counts = !departure->is_nobody;
        list_remove(&departure->node);
        free(departure);
        if (counts)
            anonymous_remove(presence, room);
        else
            end_restart(presence, room);
    }
    room_look(presence, room);
}

/* The grace of a channel that has lost its presence is over. */
static int64_t grace_ms(const struct presence *presence, const struct room *room, bool polls)
{
    const struct presence_rule *rule = presence_settings_find(presence->settings, room_name(room));
    if (!rule)
        return 0;
    return polls && rule->grace_ms < PRESENCE_POLL_GRACE_MS ? PRESENCE_POLL_GRACE_MS
                                                            : (int64_t)rule->grace_ms;
}

/* Sets the departure's timer. A loop's timer rings a tick late at most, and not at once. */
static void depart(struct presence *presence, struct departure *departure, int64_t ms)
{
    departure->presence = presence;
    departure->timer.ring = departure_rings;
    timer_set(&presence->loop, &departure->timer, ms);
}

static void member_away(struct presence *presence, struct person *member)
{
    int64_t ms = grace_ms(presence, member->room, member->has_polled);
    struct departure *departure = ms ? member_begin_departure(member) : NULL;
    if (departure) {
        depart(presence, departure, ms);
        return;
    }
    struct room *room = member->room;
    member_remove(presence, member);
    room_look(presence, room);
}

/* Names of channels cost a client nothing, so it could leave any number of them behind. */
static bool has_too_many(const struct presence *presence)
{
    return load(&presence->stats.anonymous) > presence->config.limits.members_max;
}

static void anonymous_away(struct presence *presence, struct room *room, bool polls)
{
    int64_t ms = has_too_many(presence) ? 0 : grace_ms(presence, room, polls);
    struct departure *departure = ms ? mem_try_alloc(sizeof(*departure)) : NULL;
    if (departure) {
        *departure = (struct departure){.room = room};
        list_add_last(&room->departures, &departure->node);
        depart(presence, departure, ms);
        return;
    }
    anonymous_remove(presence, room);
    room_look(presence, room);
}

void member_leave(struct presence *presence, seat_ref ref)
{
    struct person *member = seat_person(ref);
    if (!member)
        anonymous_away(presence, seat_room(ref), ref & SEAT_POLLS);
    else if (!--member->connections)
        member_away(presence, member);
}

/* ---- coming ---------------------------------------------------------------------------------- */

/* An anonymous subscriber that comes while another is away counts as that one: a poller between two
 * polls, say. */
static void anonymous_join(struct presence *presence, struct room *room)
{
    list_each (&room->departures, node) {
        struct departure *departure = container_of(node, struct departure, node);
        if (departure->is_nobody)
            continue;
        list_remove(node);
        timer_stop(&departure->timer);
        free(departure);
        return;
    }
    room->anonymous++;
    presence_count(&presence->stats.anonymous, 1);
    tell_count_later(presence, room);
}

static bool has_place(const struct presence *presence, const struct room *room)
{
    const struct presence_limits *limits = &presence->config.limits;
    return load(&presence->stats.members) < limits->members_max &&
           room->members.count < limits->channel_members_max;
}

static struct person *member_new(struct presence *presence, struct room *room,
                                 struct presence_who who, int64_t since_ms)
{
    struct person *member = has_place(presence, room) ? person_new(room, who) : NULL;
    if (!member || !roster_add(&room->members, member)) {
        free(member);
        presence_count(&presence->stats.refused, 1);
        return NULL;
    }
    member->since_ms = (uint64_t)since_ms & ((UINT64_C(1) << 44) - 1);
    presence_count(&presence->stats.members, 1);
    return member;
}

static struct person *member_come(struct presence *presence, struct room *room,
                                  struct presence_who who)
{
    struct person *member =
        member_new(presence, room, who, clock_wall_us(presence->config.clock) / 1000);
    if (!member)
        return NULL;
    presence_count(&presence->stats.joins, 1);
    if (room_is_large(presence, room))
        tell_member_later(presence, room);
    else
        tell_person(presence, room_name(room), "joined", who, STR_NONE, 0);
    save_member(presence, member, true);
    return member;
}

static struct person *find_or_come(struct presence *presence, struct room *room,
                                   struct presence_who who)
{
    struct person *member = roster_find(&room->members, who);
    if (!member)
        return member_come(presence, room, who);
    member_end_departure(member);
    return member;
}

/* NULL if the channel has no presence, is one too many, or there is no memory. */
static struct room *room_for(struct presence *presence, struct str channel)
{
    if (!presence_settings_find(presence->settings, channel))
        return NULL;
    struct room *room = rooms_find(presence, channel);
    if (room && room->is_occupied)
        return room;
    if (load(&presence->stats.channels) < presence->config.limits.channels_max)
        return room ? room : rooms_get(presence, channel);
    presence_count(&presence->stats.refused, 1);
    return NULL;
}

seat_ref member_join(struct presence *presence, struct str channel, struct presence_who who,
                     bool polls)
{
    struct room *room = room_for(presence, channel);
    if (!room)
        return 0;
    room_occupy(presence, room);
    struct person *member = who.name.len ? find_or_come(presence, room, who) : NULL;
    if (!member) {
        anonymous_join(presence, room);
        return (seat_ref)room | SEAT_ANONYMOUS | (polls ? SEAT_POLLS : 0U);
    }
    member->connections++;
    member->has_polled |= polls;
    return (seat_ref)member;
}

/* ---- members of before a restart ------------------------------------------------------------- */

void room_restore(struct presence *presence, struct str channel)
{
    struct room *room = rooms_get(presence, channel);
    if (!room || room->is_occupied)
        return;
    room->is_occupied = true;
    presence_count(&presence->stats.channels, 1);
    struct departure *departure = mem_alloc(sizeof(*departure));
    *departure = (struct departure){.room = room, .is_nobody = true};
    list_add_last(&room->departures, &departure->node);
    depart(presence, departure, grace_ms(presence, room, true));
}

void member_restore(struct presence *presence, struct str channel, struct presence_who who,
                    int64_t since_ms, struct str state)
{
    struct room *room = rooms_get(presence, channel);
    struct person *member = room ? member_new(presence, room, who, since_ms) : NULL;
    if (!member)
        return;
    member->is_saved = true;
    member->has_polled = true; /* nobody knows whether it has */
    (void)member_set_state(member, state);
    struct departure *departure = member_begin_departure(member);
    if (departure)
        depart(presence, departure, grace_ms(presence, room, true));
    else
        member_remove(presence, member);
}

void member_unrestore(struct presence *presence, struct str channel, struct presence_who who)
{
    struct room *room = rooms_find(presence, channel);
    struct person *member = room ? roster_find(&room->members, who) : NULL;
    if (member)
        member_drop(presence, member);
}

static struct person *first_member(const struct room *room)
{
    struct roster_place place =
        roster_after(&room->members, (struct presence_who){STR_NONE, false});
    return roster_next(&place);
}

static void forget_anonymous(struct presence *presence, struct room *room)
{
    for (struct list *node; (node = list_take_first(&room->departures));) {
        struct departure *departure = container_of(node, struct departure, node);
        timer_stop(&departure->timer);
        free(departure);
    }
    presence_count(&presence->stats.anonymous, -(int64_t)room->anonymous);
    room->anonymous = 0;
}

void room_unrestore(struct presence *presence, struct str channel)
{
    struct room *room = rooms_find(presence, channel);
    if (!room || !room->is_occupied)
        return;
    for (struct person *member; (member = first_member(room));)
        member_drop(presence, member);
    forget_anonymous(presence, room);
    room->is_occupied = false;
    presence_count(&presence->stats.channels, -1);
    save_occupied(presence, room, false);
    room_look(presence, room);
}

void room_evict(struct presence *presence, struct room *room)
{
    for (struct person *member; (member = first_member(room));)
        member_remove(presence, member);
    forget_anonymous(presence, room);
    tell_count_end(room);
    room_look(presence, room);
}
