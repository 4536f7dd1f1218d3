#include "presence/members.h"

#include "presence/places.h"
#include "presence/rooms.h"
#include "presence/saving.h"
#include "presence/telling.h"

#include <stdlib.h>

static uint64_t load(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void hold_departures(struct presence *presence, int count)
{
    presence_count(&presence->stats.bytes[PRESENCE_MEMORY_GRACES],
                   count * (int64_t)mem_taken(sizeof(struct departure)));
}

/* NULL if there is no memory. */
static struct departure *begin_departure(struct presence *presence, struct person *member)
{
    size_t before = member_bytes(member);
    struct departure *departure = member_begin_departure(member);
    presence_hold(presence, PRESENCE_MEMORY_MEMBERS, before, member_bytes(member));
    if (departure)
        hold_departures(presence, 1);
    return departure;
}

static void end_departure(struct presence *presence, struct person *member)
{
    size_t before = member_bytes(member);
    if (!member->more || !member->more->departure)
        return;
    member_end_departure(member);
    presence_hold(presence, PRESENCE_MEMORY_MEMBERS, before, member_bytes(member));
    hold_departures(presence, -1);
}

static void free_departure(struct presence *presence, struct departure *departure)
{
    list_remove(&departure->node);
    timer_stop(&departure->timer);
    free(departure);
    hold_departures(presence, -1);
}

bool member_say(struct presence *presence, struct person *member, struct str state)
{
    size_t before = member_bytes(member);
    bool done = member_set_state(member, state);
    presence_hold(presence, PRESENCE_MEMORY_MEMBERS, before, member_bytes(member));
    return done;
}

/* False if there is no memory. */
static bool enter(struct presence *presence, struct person *member)
{
    struct roster *roster = &member->room->members;
    size_t before = roster_bytes(roster);
    bool added = roster_add(roster, member);
    presence_hold(presence, PRESENCE_MEMORY_MEMBERS, before, roster_bytes(roster));
    if (added)
        presence_hold(presence, PRESENCE_MEMORY_MEMBERS, 0, member_bytes(member));
    return added;
}

static void strike(struct presence *presence, struct person *member)
{
    struct roster *roster = &member->room->members;
    size_t before = roster_bytes(roster) + member_bytes(member);
    roster_remove(roster, member);
    presence_hold(presence, PRESENCE_MEMORY_MEMBERS, before, roster_bytes(roster));
    member_free(member);
}

/* ---- going ----------------------------------------------------------------------------------- */

static void member_drop(struct presence *presence, struct person *member)
{
    end_departure(presence, member);
    save_member(presence, member, false);
    shares_give(&presence->shares, SHARE_MEMBERS, (uint16_t)member->address,
                shares_subject(&presence->shares, person_who(member)));
    strike(presence, member);
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

/* Neither anonymous subscribers nor the last count are saved. So after a restart that count may be
 * of some who have not come back, or say that members are not told singly. Anonymous subscribers
 * who came back have had it told anew. */
static void end_restart(struct presence *presence, struct room *room)
{
    if (!room->anonymous)
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
        free_departure(presence, departure);
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
static void depart(struct presence *presence, struct departure *departure, int64_t ms, bool polls)
{
    departure->presence = presence;
    departure->polls = polls;
    departure->began_ns = presence->loop.now_ns;
    departure->timer.ring = departure_rings;
    timer_set(&presence->loop, &departure->timer, ms);
}

static void regrace(struct presence *presence, struct departure *departure)
{
    int64_t passed_ms = (presence->loop.now_ns - departure->began_ns) / 1000000;
    timer_set(&presence->loop, &departure->timer,
              grace_ms(presence, departure->room, departure->polls) - passed_ms);
}

void room_regrace(struct presence *presence, struct room *room)
{
    struct person *member;
    struct roster_place place =
        roster_after(&room->members, (struct presence_who){STR_NONE, false});
    while ((member = roster_next(&place)))
        if (member->more && member->more->departure)
            regrace(presence, member->more->departure);
    list_each (&room->departures, node)
        regrace(presence, container_of(node, struct departure, node));
}

static void member_away(struct presence *presence, struct person *member)
{
    int64_t ms = grace_ms(presence, member->room, member->has_polled);
    struct departure *departure = ms ? begin_departure(presence, member) : NULL;
    if (departure) {
        depart(presence, departure, ms, member->has_polled);
        return;
    }
    struct room *room = member->room;
    member_remove(presence, member);
    room_look(presence, room);
}

/* Whether an anonymous subscriber that goes away gets no grace. Otherwise a client could subscribe
 * to any number of channels, one after the other, and each would be kept for its grace. */
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
        hold_departures(presence, 1);
        depart(presence, departure, ms, polls);
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

/* Counts an anonymous subscriber. If another is away at present, the new subscriber takes its
 * place: it is probably the same poller, between two polls. */
static void anonymous_join(struct presence *presence, struct room *room)
{
    list_each (&room->departures, node) {
        struct departure *departure = container_of(node, struct departure, node);
        if (departure->is_nobody)
            continue;
        free_departure(presence, departure);
        return;
    }
    room->anonymous++;
    presence_count(&presence->stats.anonymous, 1);
    tell_count_later(presence, room);
}

static struct person *member_new(struct presence *presence, struct room *room,
                                 struct presence_who who, int64_t since_ms)
{
    struct person *member = person_new(room, who);
    if (!member || !enter(presence, member)) {
        free(member);
        presence_count(&presence->stats.refused, 1);
        return NULL;
    }
    member->since_ms = (uint64_t)since_ms & ((UINT64_C(1) << PERSON_SINCE_BITS) - 1);
    shares_take(&presence->shares, SHARE_MEMBERS, 0, shares_subject(&presence->shares, who));
    presence_count(&presence->stats.members, 1);
    return member;
}

static void charge(struct presence *presence, struct person *member, uint16_t address)
{
    shares_give(&presence->shares, SHARE_MEMBERS, (uint16_t)member->address, 0);
    shares_take(&presence->shares, SHARE_MEMBERS, address, 0);
    member->address = address & SHARE_HOLDERS;
}

static struct person *member_come(struct presence *presence, struct room *room,
                                  const struct presence_visitor *visitor)
{
    struct presence_who who = visitor->who;
    enum place place = place_of_member(presence, room, who, visitor->address);
    if (place != PLACE_FREE) {
        place_count(presence, place);
        presence_count(&presence->stats.refused, 1);
        return NULL;
    }
    struct person *member =
        member_new(presence, room, who, clock_wall_us(presence->config.clock) / 1000);
    if (!member)
        return NULL;
    charge(presence, member, shares_address(&presence->shares, visitor->address));
    presence_count(&presence->stats.joins, 1);
    if (room_is_large(presence, room))
        tell_member_later(presence, room);
    else
        tell_person(presence, room_name(room), "joined", who, STR_NONE, 0);
    save_member(presence, member, true);
    return member;
}

/* Takes back a member that was away. A member keeps its seat even if its address is over its share
 * by now. The seat then counts for the new address, or still for the former one if the new address
 * has no room in its share. */
static void come_back(struct presence *presence, struct person *member,
                      const struct presence_visitor *visitor)
{
    const struct presence_who nobody = {STR_NONE, false};
    uint16_t address = shares_address(&presence->shares, visitor->address);
    bool moves = !member->connections && member->address != address &&
                 place_in_shares(presence, SHARE_MEMBERS, load(&presence->stats.members),
                                 presence->config.limits.members_max, nobody,
                                 visitor->address) == PLACE_FREE;
    if (moves)
        charge(presence, member, address);
    end_departure(presence, member);
}

static struct person *find_or_come(struct presence *presence, struct room *room,
                                   const struct presence_visitor *visitor)
{
    struct person *member = roster_find(&room->members, visitor->who);
    if (!member)
        return member_come(presence, room, visitor);
    come_back(presence, member, visitor);
    return member;
}

/* NULL if the channel has no presence, is one too many, or there is no memory. */
static struct room *room_for(struct presence *presence, struct str channel, uint64_t address)
{
    if (!presence_settings_find(presence->settings, channel))
        return NULL;
    struct room *room = rooms_find(presence, channel);
    if (room && room->is_occupied)
        return room;
    enum place place = place_of_room(presence, address);
    if (place == PLACE_FREE)
        return room ? room : rooms_get(presence, channel);
    place_count(presence, place);
    presence_count(&presence->stats.refused, 1);
    return NULL;
}

seat_ref member_join(struct presence *presence, struct str channel,
                     const struct presence_visitor *visitor)
{
    struct room *room = room_for(presence, channel, visitor->address);
    if (!room)
        return 0;
    room_occupy(presence, room, shares_address(&presence->shares, visitor->address));
    struct person *member = visitor->who.name.len ? find_or_come(presence, room, visitor) : NULL;
    if (!member) {
        anonymous_join(presence, room);
        return (seat_ref)room | SEAT_ANONYMOUS | (visitor->polls ? SEAT_POLLS : 0U);
    }
    member->connections++;
    member->has_polled |= visitor->polls;
    return (seat_ref)member;
}

/* ---- members of before a restart ------------------------------------------------------------- */

void room_restore(struct presence *presence, struct str channel)
{
    struct room *room = rooms_get(presence, channel);
    if (!room || room->is_occupied)
        return;
    room_set_occupied(presence, room, true, 0);
    struct departure *departure = mem_alloc(sizeof(*departure));
    *departure = (struct departure){.room = room, .is_nobody = true};
    list_add_last(&room->departures, &departure->node);
    hold_departures(presence, 1);
    depart(presence, departure, grace_ms(presence, room, true), true);
}

/* Neither limits nor shares hold anybody back who was there before: the configuration may have
 * lower ones now, and somebody who was told as joined must not go without a word. */
void member_restore(struct presence *presence, struct str channel, struct presence_who who,
                    int64_t since_ms, struct str state)
{
    struct room *room = rooms_get(presence, channel);
    struct person *member = room ? member_new(presence, room, who, since_ms) : NULL;
    if (!member)
        return;
    member->has_polled = true; /* nobody knows whether it has */
    (void)member_say(presence, member, state);
    struct departure *departure = begin_departure(presence, member);
    if (departure)
        depart(presence, departure, grace_ms(presence, room, true), true);
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
    while (!list_empty(&room->departures))
        free_departure(presence, container_of(room->departures.next, struct departure, node));
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
    room_set_occupied(presence, room, false, 0);
    save_occupied(presence, room, false);
    room_look(presence, room);
}

void room_evict(struct presence *presence, struct room *room)
{
    for (struct person *member; (member = first_member(room));)
        member_remove(presence, member);
    if (room->anonymous || room->is_unlisted)
        tell_count_later(presence, room);
    forget_anonymous(presence, room);
    tell_last_count(presence, room);
    tell_count_end(presence, room);
    room_look(presence, room);
}
