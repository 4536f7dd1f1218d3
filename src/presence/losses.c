/* The room may be gone: the event that the last has left may be the one that is lost. It is made
 * anew then, and stays until the reset is told, or has been tried TRIES times. So that strangers
 * cannot fill memory by rooms that come and go while the log takes nothing, there are as many rooms
 * as presence_channels_max allows twice over; and none is made for a channel that the log does not
 * know, since nobody has read an event of it. */
#include "presence/losses.h"

#include "base/say.h"
#include "presence/rooms.h"
#include "presence/saving.h"
#include "presence/telling.h"

enum { TRIES = 7 };

static bool log_knows(struct presence *presence, struct str prefix, struct str channel)
{
    struct log_channel known;
    char name[PRESENCE_CHANNEL_MAX + sizeof(PRESENCE_CHANNELS)];
    if (prefix.len + channel.len > sizeof(name))
        return false;
    memcpy(name, prefix.at, prefix.len);
    memcpy(name + prefix.len, channel.at, channel.len);
    return log_channel(presence->config.log, (struct str){name, prefix.len + channel.len}, &known);
}

static struct room *make_room(struct presence *presence, struct str prefix, struct str channel)
{
    bool has_place = !presence->stopping && /* else the log may be closed */
                     presence->rooms.count < 2 * presence->config.limits.channels_max;
    return has_place && log_knows(presence, prefix, channel) ? rooms_get(presence, channel) : NULL;
}

/* Whether to try once more. Several events that were lost at the same time are one try. */
static bool counts_try(struct room *room)
{
    if (room->owes_reset || room->owes_occupied)
        return true;
    if (room->tries < TRIES)
        room->tries = (room->tries + 1U) & 15U;
    else if (!room->is_occupied)
        return false;
    return true;
}

void losses_note(struct presence *presence, struct str prefix, struct str channel)
{
    struct room *known = rooms_find(presence, channel);
    struct room *room = known ? known : make_room(presence, prefix, channel);
    if (!room || !counts_try(room))
        return;
    if (str_eq(prefix, STR(OCCUPIED_CHANNELS)))
        room->owes_occupied = true;
    else
        room->owes_reset = true;
    if (presence->paused || tell_debts_later(presence, room)) { /* paused: told after the restart */
        save_owed(presence, room);
        return;
    }
    room->owes_reset = room->owes_occupied = false;
    if (!known) /* whoever calls knows nothing of it */
        room_look(presence, room);
}

void losses_restore(struct presence *presence, struct str channel, unsigned owes)
{
    struct room *room = rooms_get(presence, channel);
    if (!room)
        return;
    room->owes_reset = (owes & OWES_RESET) != 0;
    room->owes_occupied = (owes & OWES_OCCUPIED) != 0;
    if (!tell_debts_later(presence, room))
        room_look(presence, room);
}

static void note_lost(struct presence *presence, const struct presence_note *note)
{
    struct str prefixes[] = {STR(PRESENCE_CHANNELS), STR(OCCUPIED_CHANNELS)};
    for (size_t i = 0; i < 2; i++)
        if (note->is_lost && str_starts(note->channel, prefixes[i]))
            losses_note(presence, prefixes[i], str_skip(note->channel, prefixes[i].len));
}

/* Changes whose notes are in the log may be saved. */
void losses_returned(struct mail *mail, void *owner)
{
    struct presence *presence = owner;
    struct presence_bundle *bundle = container_of(mail, struct presence_bundle, mail);
    presence->told_bytes -= bundle->bytes;
    presence->taken = bundle->told;
    if (bundle->last_id > presence->taken_id)
        presence->taken_id = bundle->last_id;
    presence_count(&presence->stats.events_lost, bundle->lost);
    if (bundle->lost)
        say(SAY_WARN, "presence_events_lost", "count=%u", bundle->lost);
    for (const struct presence_note *note = bundle->first; bundle->lost && note; note = note->next)
        note_lost(presence, note);
    presence_bundle_free(bundle);
}
