#include "presence/seats.h"

#include "presence/desk.h"
#include "presence/members.h"

#include <stdlib.h>

/* ---- parties --------------------------------------------------------------------------------- */

static bool make_room(struct presence *presence, struct parties *parties, uint32_t party)
{
    uint32_t cap = parties->cap ? parties->cap : 64;
    if (party < parties->cap)
        return true;
    while (cap <= party)
        cap += cap / 2;
    seat_ref *more = mem_try_realloc(parties->at, cap * sizeof(*more));
    if (!more)
        return false;
    presence_hold(presence, PRESENCE_MEMORY_CHANNELS, parties->cap * sizeof(*more),
                  cap * sizeof(*more));
    memset(&more[parties->cap], 0, (cap - parties->cap) * sizeof(*more));
    parties->at = more;
    parties->cap = cap;
    return true;
}

/* The name that an unverified member had in a room that has lost its presence. The worker does not
 * keep it: so the party does, and has it again when the presence is back. */
struct former {
    uint8_t name_len;
    char name[];
};

static struct former *former_of(seat_ref ref)
{
    return (ref & SEAT_TAGS) == SEAT_FORMER ? (struct former *)(ref & ~(seat_ref)SEAT_TAGS) : NULL;
}

static size_t former_bytes(const struct former *former)
{
    return mem_taken(sizeof(*former) + former->name_len);
}

static size_t seats_bytes(const struct seats *seats)
{
    return seats ? mem_taken(sizeof(*seats) + seats->cap * sizeof(seat_ref)) : 0;
}

static struct seats *seats_of(seat_ref ref)
{
    return ref & SEAT_MANY ? (struct seats *)(ref & ~(seat_ref)SEAT_TAGS) : NULL;
}

/* Begins a list with the one ref that was there, or makes room in it. NULL if there is no memory.
 */
static struct seats *seats_grow(struct presence *presence, seat_ref *place)
{
    struct seats *seats = seats_of(*place);
    if (seats && seats->count < seats->cap)
        return seats;
    uint32_t cap = seats ? seats->cap * 2 : 4;
    size_t before = seats_bytes(seats);
    struct seats *more = mem_try_realloc(seats, sizeof(*more) + cap * sizeof(seat_ref));
    if (!more)
        return NULL;
    if (!seats) {
        more->count = 1;
        more->at[0] = *place;
    }
    more->cap = cap;
    presence_hold(presence, PRESENCE_MEMORY_CHANNELS, before, seats_bytes(more));
    *place = (seat_ref)more | SEAT_MANY;
    return more;
}

/* False if there is no memory. */
static bool seat_add(struct presence *presence, seat_ref *place, seat_ref ref)
{
    if (!*place) {
        *place = ref;
        return true;
    }
    struct seats *seats = seats_grow(presence, place);
    if (seats)
        seats->at[seats->count++] = ref;
    return seats != NULL;
}

static bool is_in(seat_ref ref, struct str channel)
{
    return ref && !former_of(ref) && str_eq(room_name(seat_room(ref)), channel);
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

/* ---- names of before ------------------------------------------------------------------------- */

static const struct former *find_former(seat_ref ref)
{
    const struct seats *seats = seats_of(ref);
    const struct former *former = former_of(ref);
    for (uint32_t i = 0; seats && !former && i < seats->count; i++)
        former = former_of(seats->at[i]);
    return former;
}

/* The former name as something that a party attends; 0 if there is no memory. */
static seat_ref former_new(struct presence *presence, struct str name)
{
    struct former *former = mem_try_alloc(sizeof(*former) + name.len);
    if (!former)
        return 0;
    former->name_len = (uint8_t)name.len;
    memcpy(former->name, name.at, name.len);
    presence_hold(presence, PRESENCE_MEMORY_CHANNELS, 0, former_bytes(former));
    return (seat_ref)former | SEAT_FORMER;
}

static void former_free(struct presence *presence, struct former *former)
{
    presence_hold(presence, PRESENCE_MEMORY_CHANNELS, former_bytes(former), 0);
    free(former);
}

/* A party has one name, wherever it is a member. */
static void keep_name(struct presence *presence, seat_ref *place, struct str name)
{
    seat_ref former = find_former(*place) ? 0 : former_new(presence, name);
    if (former && !seat_add(presence, place, former))
        former_free(presence, former_of(former));
}

/* The worker does not know any more how the client has named itself. */
static void find_name(struct presence_who *who, seat_ref ref)
{
    const struct former *former = who->name.len ? NULL : find_former(ref);
    if (former)
        *who = (struct presence_who){{former->name, former->name_len}, false};
}

/* ---- reports --------------------------------------------------------------------------------- */

static void join(struct presence *presence, struct parties *parties,
                 const struct desk_report *report, const char *text)
{
    struct str channel = {text, report->channel_len};
    struct presence_visitor visitor = {
        .who = {{text + report->channel_len, report->name_len}, report->flags & DESK_VERIFIED},
        .address = report->address,
        .polls = report->flags & DESK_POLL};
    if (!make_room(presence, parties, report->party))
        return;
    seat_ref *place = &parties->at[report->party];
    if (report->flags & DESK_AGAIN && attends(*place, channel))
        return;
    if (report->flags & DESK_LONG)
        presence_count(&presence->stats.refused, 1);
    else
        find_name(&visitor.who, *place);
    seat_ref ref = member_join(presence, channel, &visitor);
    if (!ref && visitor.who.name.len && !visitor.who.verified)
        keep_name(presence, place, visitor.who.name);
    if (ref && !seat_add(presence, place, ref))
        member_leave(presence, ref);
}

static void leave_one(struct presence *presence, seat_ref ref)
{
    struct former *former = former_of(ref);
    if (former)
        former_free(presence, former);
    else if (ref)
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
        leave_one(presence, seats->at[i]);
    if (!seats)
        leave_one(presence, ref);
    presence_hold(presence, PRESENCE_MEMORY_CHANNELS, seats_bytes(seats), 0);
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

static bool is_lost(seat_ref ref)
{
    return ref && !former_of(ref) && seat_room(ref)->is_lost;
}

/* Forgets a seat if its room is lost, but keeps its name once for each party: a party that gives no
 * name later, in another room, gets this one. */
static void forget_lost(struct presence *presence, seat_ref *ref, bool *has_name)
{
    const struct person *member = is_lost(*ref) ? seat_person(*ref) : NULL;
    bool keeps = member && !member->is_verified && !*has_name;
    if (!is_lost(*ref))
        return;
    *ref = keeps ? former_new(presence, person_who(member).name) : 0;
    *has_name |= keeps;
}

static void forget_party(struct presence *presence, seat_ref *place)
{
    bool has_name = find_former(*place);
    struct seats *seats = seats_of(*place);
    uint32_t kept = 0;
    for (uint32_t i = 0; seats && i < seats->count; i++) {
        forget_lost(presence, &seats->at[i], &has_name);
        if (seats->at[i])
            seats->at[kept++] = seats->at[i];
    }
    if (seats)
        seats->count = kept;
    else
        forget_lost(presence, place, &has_name);
}

void seats_forget_lost(struct presence *presence)
{
    for (size_t i = 0; i < PRESENCE_DESKS_MAX; i++)
        for (uint32_t j = 0; j < presence->parties[i].cap; j++)
            forget_party(presence, &presence->parties[i].at[j]);
}

static void free_party(struct presence *presence, seat_ref ref)
{
    struct seats *seats = seats_of(ref);
    for (uint32_t i = 0; seats && i < seats->count; i++)
        if (former_of(seats->at[i]))
            former_free(presence, former_of(seats->at[i]));
    if (!seats && former_of(ref))
        former_free(presence, former_of(ref));
    free(seats);
}

void seats_deinit(struct presence *presence)
{
    for (size_t i = 0; i < PRESENCE_DESKS_MAX; i++) {
        struct parties *parties = &presence->parties[i];
        for (uint32_t j = 0; j < parties->cap; j++)
            free_party(presence, parties->at[j]);
        free(parties->at);
        *parties = (struct parties){.at = NULL};
    }
}
