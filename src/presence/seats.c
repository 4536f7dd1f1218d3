#include "presence/seats.h"

#include "presence/desk.h"
#include "presence/members.h"

#include <stdlib.h>

/* ---- parties --------------------------------------------------------------------------------- */

static bool make_room(struct parties *parties, uint32_t party)
{
    uint32_t cap = parties->cap ? parties->cap : 64;
    if (party < parties->cap)
        return true;
    while (cap <= party)
        cap += cap / 2;
    seat_ref *more = mem_try_realloc(parties->at, cap * sizeof(*more));
    if (!more)
        return false;
    memset(&more[parties->cap], 0, (cap - parties->cap) * sizeof(*more));
    parties->at = more;
    parties->cap = cap;
    return true;
}

static struct seats *seats_of(seat_ref ref)
{
    return ref & SEAT_MANY ? (struct seats *)(ref & ~(seat_ref)SEAT_TAGS) : NULL;
}

/* Begins a list with the one ref that was there, or makes room in it. NULL if there is no memory.
 */
static struct seats *seats_grow(seat_ref *place)
{
    struct seats *seats = seats_of(*place);
    if (seats && seats->count < seats->cap)
        return seats;
    uint32_t cap = seats ? seats->cap * 2 : 4;
    struct seats *more = mem_try_realloc(seats, sizeof(*more) + cap * sizeof(seat_ref));
    if (!more)
        return NULL;
    if (!seats) {
        more->count = 1;
        more->at[0] = *place;
    }
    more->cap = cap;
    *place = (seat_ref)more | SEAT_MANY;
    return more;
}

/* False if there is no memory. */
static bool seat_add(seat_ref *place, seat_ref ref)
{
    if (!*place) {
        *place = ref;
        return true;
    }
    struct seats *seats = seats_grow(place);
    if (seats)
        seats->at[seats->count++] = ref;
    return seats != NULL;
}

static bool is_in(seat_ref ref, struct str channel)
{
    return ref && str_eq(room_name(seat_room(ref)), channel);
}

static bool attends(seat_ref ref, struct str channel)
{
    const struct seats *seats = seats_of(ref);
    if (!seats)
        return is_in(ref, channel);
    for (uint32_t i = 0; i < seats->count; i++)
        if (is_in(seats->at[i], channel))
            return true;
    return false;
}

/* ---- reports --------------------------------------------------------------------------------- */

static void join(struct presence *presence, struct parties *parties,
                 const struct desk_report *report, const char *text)
{
    struct str channel = {text, report->channel_len};
    struct presence_who who = {{text + report->channel_len, report->name_len},
                               report->flags & DESK_VERIFIED};
    if (!make_room(parties, report->party))
        return;
    seat_ref *place = &parties->at[report->party];
    if (report->flags & DESK_AGAIN && attends(*place, channel))
        return;
    if (report->flags & DESK_LONG)
        presence_count(&presence->stats.refused, 1);
    seat_ref ref = member_join(presence, channel, who, report->flags & DESK_POLL);
    if (ref && !seat_add(place, ref))
        member_leave(presence, ref);
}

static void leave(struct presence *presence, struct parties *parties, uint32_t party)
{
    if (party >= parties->cap)
        return;
    seat_ref ref = parties->at[party];
    struct seats *seats = seats_of(ref);
    parties->at[party] = 0;
    for (uint32_t i = 0; seats && i < seats->count; i++)
        if (seats->at[i])
            member_leave(presence, seats->at[i]);
    if (!seats && ref)
        member_leave(presence, ref);
    free(seats);
}

void seats_open_sheet(struct mail *mail, void *owner)
{
    struct presence *presence = owner;
    struct desk_sheet *sheet = container_of(mail, struct desk_sheet, mail);
    struct parties *parties = &presence->parties[sheet->desk % PRESENCE_DESKS_MAX];
    struct desk_report report;
    for (uint32_t at = 0; !presence->paused && at < sheet->len;
         at += (uint32_t)sizeof(report) + report.channel_len + report.name_len) {
        memcpy(&report, sheet->bytes + at, sizeof(report));
        if (report.flags & DESK_JOIN)
            join(presence, parties, &report, sheet->bytes + at + sizeof(report));
        else
            leave(presence, parties, report.party);
    }
    free(sheet);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void forget_lost(seat_ref *ref)
{
    if (*ref && seat_room(*ref)->is_lost)
        *ref = 0;
}

void seats_forget_lost(struct presence *presence)
{
    for (size_t i = 0; i < PRESENCE_DESKS_MAX; i++) {
        struct parties *parties = &presence->parties[i];
        for (uint32_t j = 0; j < parties->cap; j++) {
            struct seats *seats = seats_of(parties->at[j]);
            for (uint32_t k = 0; seats && k < seats->count; k++)
                forget_lost(&seats->at[k]);
            if (!seats)
                forget_lost(&parties->at[j]);
        }
    }
}

void seats_deinit(struct presence *presence)
{
    for (size_t i = 0; i < PRESENCE_DESKS_MAX; i++) {
        struct parties *parties = &presence->parties[i];
        for (uint32_t j = 0; j < parties->cap; j++)
            free(seats_of(parties->at[j]));
        free(parties->at);
        *parties = (struct parties){.at = NULL};
    }
}
