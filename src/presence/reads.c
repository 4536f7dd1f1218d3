/* A room has a struct reads while one of its marks was told lately. Its timer rings each second:
 * that gives the room more marks to tell, tells those that have waited longest, and frees the
 * struct when all are told and the room has its full number again. */
#include "presence/reads.h"

#include "presence/telling.h"

#include <stdlib.h>

enum { READS_MS = 1000, FIRST = 8 };

struct reads {
    struct timer timer;
    struct presence *presence;
    struct room *room;
    struct person *told[READS_AT_ONCE]; /* since the timer last rang */
    uint32_t told_count;
    uint32_t left;              /* marks that may be told now */
    struct person **queue;      /* marks that wait, the oldest first */
    uint32_t first, count, cap; /* of the queue, which is a ring */
};

static size_t bytes_of(const struct reads *reads)
{
    return mem_taken(sizeof(*reads)) +
           (reads->queue ? mem_taken(reads->cap * sizeof(struct person *)) : 0);
}

static void tell(const struct reads *reads, struct person *mark)
{
    mark->is_untold = false;
    tell_person(reads->presence, room_name(reads->room), "read", person_who(mark), STR_NONE,
                mark->read);
}

static void tell_now(struct reads *reads, struct person *mark)
{
    tell(reads, mark);
    reads->told[reads->told_count++] = mark;
    reads->left--;
}

static bool was_told(const struct reads *reads, const struct person *mark)
{
    for (uint32_t i = 0; i < reads->told_count; i++)
        if (reads->told[i] == mark)
            return true;
    return false;
}

/* ---- the queue ------------------------------------------------------------------------------- */

static bool grow(struct reads *reads)
{
    uint32_t cap = reads->cap ? reads->cap * 2 : FIRST;
    struct person **more = mem_try_alloc(cap * sizeof(struct person *));
    if (!more)
        return false;
    size_t before = bytes_of(reads);
    for (uint32_t i = 0; i < reads->count; i++)
        more[i] = reads->queue[(reads->first + i) % reads->cap];
    free(reads->queue);
    reads->queue = more;
    reads->first = 0;
    reads->cap = cap;
    presence_hold(reads->presence, PRESENCE_MEMORY_MARKS, before, bytes_of(reads));
    return true;
}

/* False if there is no memory. */
static bool put(struct reads *reads, struct person *mark)
{
    if (reads->count == reads->cap && !grow(reads))
        return false;
    reads->queue[(reads->first + reads->count++) % reads->cap] = mark;
    mark->is_untold = true;
    return true;
}

static struct person *take(struct reads *reads)
{
    struct person *mark = reads->queue[reads->first];
    reads->first = (reads->first + 1) % reads->cap;
    reads->count--;
    return mark;
}

/* ---- each second ----------------------------------------------------------------------------- */

void reads_end(struct presence *presence, struct room *room)
{
    struct reads *reads = room->marks->reads;
    if (!reads)
        return;
    timer_stop(&reads->timer);
    presence_hold(presence, PRESENCE_MEMORY_MARKS, bytes_of(reads), 0);
    free(reads->queue);
    free(reads);
    room->marks->reads = NULL;
}

static void ring(struct timer *timer)
{
    struct reads *reads = container_of(timer, struct reads, timer);
    bool is_idle = !reads->told_count && !reads->count;
    reads->told_count = 0;
    reads->left += READS_A_SECOND;
    if (reads->left > READS_AT_ONCE)
        reads->left = READS_AT_ONCE;
    while (reads->count && reads->left)
        tell_now(reads, take(reads));
    if (is_idle && reads->left == READS_AT_ONCE)
        reads_end(reads->presence, reads->room);
    else
        timer_set(&reads->presence->loop, timer, READS_MS);
}

static struct reads *reads_of(struct presence *presence, struct room *room)
{
    struct reads *reads = room->marks->reads;
    if (reads || !(reads = mem_try_alloc(sizeof(*reads))))
        return reads;
    *reads = (struct reads){
        .timer = {.ring = ring}, .presence = presence, .room = room, .left = READS_AT_ONCE};
    presence_hold(presence, PRESENCE_MEMORY_MARKS, 0, bytes_of(reads));
    timer_set(&presence->loop, &reads->timer, READS_MS);
    room->marks->reads = reads;
    return reads;
}

/* Without memory a mark is told at once. */
void reads_tell(struct presence *presence, struct room *room, struct person *mark)
{
    struct reads *reads = reads_of(presence, room);
    if (mark->is_untold)
        return;
    if (reads && reads->left && !reads->count && !was_told(reads, mark))
        tell_now(reads, mark);
    else if (!reads || !put(reads, mark))
        tell_person(presence, room_name(room), "read", person_who(mark), STR_NONE, mark->read);
}

void reads_tell_all(struct presence *presence, struct room *room)
{
    struct reads *reads = room->marks ? room->marks->reads : NULL;
    (void)presence;
    while (reads && reads->count)
        tell(reads, take(reads));
}
