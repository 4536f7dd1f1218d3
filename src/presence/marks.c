#include "presence/marks.h"

#include "presence/rooms.h"
#include "presence/saving.h"

#include <stdlib.h>

static struct person *find(const struct room *room, struct presence_who who)
{
    return room && room->marks ? roster_find(room->marks, who) : NULL;
}

uint64_t mark_of(const struct room *room, struct presence_who who)
{
    const struct person *mark = find(room, who);
    return mark ? mark->read : 0;
}

bool marks_have_place(const struct presence *presence, const struct room *room,
                      struct presence_who who)
{
    return find(room, who) || atomic_load_explicit(&presence->stats.marks, memory_order_relaxed) <
                                  presence->config.limits.marks_max;
}

static bool make_marks(struct room *room)
{
    if (!room->marks && (room->marks = mem_try_alloc(sizeof(*room->marks))))
        *room->marks = (struct roster){.leaves = NULL};
    return room->marks;
}

static struct person *mark_new(struct presence *presence, struct room *room,
                               struct presence_who who)
{
    struct person *mark = make_marks(room) ? person_new(room, who) : NULL;
    if (mark && roster_add(room->marks, mark)) {
        presence_count(&presence->stats.marks, 1);
        return mark;
    }
    free(mark);
    if (room->marks && !room->marks->count) {
        free(room->marks);
        room->marks = NULL;
    }
    return NULL;
}

bool mark_put(struct presence *presence, struct room *room, struct presence_who who, uint64_t read,
              bool *ret_failed)
{
    struct person *mark = find(room, who);
    if (!mark)
        mark = mark_new(presence, room, who);
    if (ret_failed)
        *ret_failed = !mark;
    if (!mark || mark->read >= read)
        return false;
    mark->read = read;
    return true;
}

void marks_forget(struct presence *presence, struct room *room)
{
    if (!room->marks)
        return;
    struct person *mark;
    struct roster_place place = roster_after(room->marks, (struct presence_who){STR_NONE, false});
    while ((mark = roster_next(&place)))
        free(mark);
    presence_count(&presence->stats.marks, -(int64_t)room->marks->count);
    roster_deinit(room->marks);
    free(room->marks);
    room->marks = NULL;
    save_drop_marks(presence, room_name(room));
    room_look(presence, room);
}
