#include "presence/marks.h"

#include "presence/reads.h"
#include "presence/rooms.h"
#include "presence/saving.h"

#include <stdlib.h>

static struct person *find(const struct room *room, struct presence_who who)
{
    return room && room->marks ? roster_find(&room->marks->roster, who) : NULL;
}

uint64_t mark_of(const struct room *room, struct presence_who who)
{
    const struct person *mark = find(room, who);
    return mark ? mark->read : 0;
}

enum place marks_place(const struct presence *presence, const struct room *room,
                       struct presence_who who, uint64_t address)
{
    uint64_t taken = atomic_load_explicit(&presence->stats.marks, memory_order_relaxed);
    uint64_t max = presence->config.limits.marks_max;
    if (find(room, who))
        return PLACE_FREE;
    return taken < max ? place_in_shares(presence, SHARE_MARKS, taken, max, who, address)
                       : PLACE_FULL;
}

static bool make_marks(struct presence *presence, struct room *room)
{
    if (room->marks || !(room->marks = mem_try_alloc(sizeof(*room->marks))))
        return room->marks;
    *room->marks = (struct marks){.reads = NULL};
    presence_hold(presence, PRESENCE_MEMORY_MARKS, 0, mem_taken(sizeof(*room->marks)));
    return true;
}

static void free_marks(struct presence *presence, struct room *room)
{
    presence_hold(presence, PRESENCE_MEMORY_MARKS,
                  mem_taken(sizeof(*room->marks)) + roster_bytes(&room->marks->roster), 0);
    roster_deinit(&room->marks->roster);
    free(room->marks);
    room->marks = NULL;
}

static bool add(struct presence *presence, struct room *room, struct person *mark)
{
    size_t before = roster_bytes(&room->marks->roster);
    bool added = roster_add(&room->marks->roster, mark);
    presence_hold(presence, PRESENCE_MEMORY_MARKS, before, roster_bytes(&room->marks->roster));
    if (added)
        presence_hold(presence, PRESENCE_MEMORY_MARKS, 0, mark_bytes(mark));
    return added;
}

static struct person *mark_new(struct presence *presence, struct room *room,
                               struct presence_who who, uint16_t address)
{
    struct person *mark = make_marks(presence, room) ? person_new(room, who) : NULL;
    if (mark && add(presence, room, mark)) {
        mark->address = address & SHARE_HOLDERS;
        shares_take(&presence->shares, SHARE_MARKS, address,
                    shares_subject(&presence->shares, who));
        presence_count(&presence->stats.marks, 1);
        return mark;
    }
    free(mark);
    if (room->marks && !room->marks->roster.count)
        free_marks(presence, room);
    return NULL;
}

static bool put(struct presence *presence, struct room *room, struct presence_who who,
                uint64_t read, uint16_t address, struct person **ret_mark)
{
    struct person *mark = find(room, who);
    if (!mark)
        mark = mark_new(presence, room, who, address);
    *ret_mark = mark;
    if (!mark || mark->read >= read)
        return false;
    mark->read = read;
    return true;
}

void mark_load(struct presence *presence, struct room *room, struct presence_who who, uint64_t read)
{
    struct person *mark;
    (void)put(presence, room, who, read, 0, &mark);
}

bool mark_put(struct presence *presence, struct room *room, struct presence_who who, uint64_t read,
              uint64_t address)
{
    struct person *mark;
    if (put(presence, room, who, read, shares_address(&presence->shares, address), &mark))
        reads_tell(presence, room, mark);
    return mark;
}

static void free_mark(struct presence *presence, struct person *mark)
{
    shares_give(&presence->shares, SHARE_MARKS, (uint16_t)mark->address,
                shares_subject(&presence->shares, person_who(mark)));
    presence_hold(presence, PRESENCE_MEMORY_MARKS, mark_bytes(mark), 0);
    free(mark);
}

void marks_forget(struct presence *presence, struct room *room)
{
    if (!room->marks)
        return;
    struct person *mark;
    struct roster_place place =
        roster_after(&room->marks->roster, (struct presence_who){STR_NONE, false});
    reads_end(presence, room);
    presence_count(&presence->stats.marks, -(int64_t)room->marks->roster.count);
    while ((mark = roster_next(&place)))
        free_mark(presence, mark);
    free_marks(presence, room);
    save_drop_marks(presence, room_name(room));
    room_look(presence, room);
}
