#include "presence/places.h"

static uint64_t load(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

enum place place_in_shares(const struct presence *presence, enum share_kind kind, uint64_t taken,
                           uint64_t max, struct presence_who who, uint64_t address)
{
    const struct presence_limits *limits = &presence->config.limits;
    const struct shares *shares = &presence->shares;
    uint32_t of_address = shares->of_address[kind][shares_address(shares, address)];
    uint16_t subject = shares_subject(shares, who);
    if (!share_has_place(of_address, taken, max, limits->address_percent))
        return PLACE_ADDRESS;
    if (subject &&
        !share_has_place(shares->of_subject[kind][subject], taken, max, limits->subject_percent))
        return PLACE_SUBJECT;
    return PLACE_FREE;
}

enum place place_of_member(const struct presence *presence, const struct room *room,
                           struct presence_who who, uint64_t address)
{
    const struct presence_limits *limits = &presence->config.limits;
    uint64_t taken = load(&presence->stats.members);
    if (taken >= limits->members_max ||
        (room ? room->members.count : 0) >= limits->channel_members_max ||
        memory_mark_is_full(presence->config.memory))
        return PLACE_FULL;
    return place_in_shares(presence, SHARE_MEMBERS, taken, limits->members_max, who, address);
}

enum place place_of_room(const struct presence *presence, uint64_t address)
{
    uint64_t taken = load(&presence->stats.channels), max = presence->config.limits.channels_max;
    if (taken >= max || memory_mark_is_full(presence->config.memory))
        return PLACE_FULL;
    return place_in_shares(presence, SHARE_CHANNELS, taken, max,
                           (struct presence_who){STR_NONE, false}, address);
}

void place_count(struct presence *presence, enum place place)
{
    if (place == PLACE_ADDRESS)
        presence_count(&presence->stats.address_refused, 1);
    if (place == PLACE_SUBJECT)
        presence_count(&presence->stats.subject_refused, 1);
}
