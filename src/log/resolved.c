#include "log/resolved.h"

#include "base/mem.h"

#include <stdlib.h>

/* Turns that one waiting search has in vain before the oldest counts as abandoned. The readers take
 * searches by turns, so a search that is still wanted goes on within as many turns of any other,
 * whatever their number. The 64 slices in which a new search overtakes old ones are few beside it.
 */
enum { ABANDONED_TURNS = 256 };

void resolved_room_init(struct resolved_room *room, size_t most)
{
    *room = (struct resolved_room){.most = most};
    pthread_mutex_init(&room->lock, NULL);
    list_init(&room->whole);
    list_init(&room->parts);
}

struct resolved *resolved_new(void)
{
    struct resolved *resolved = mem_try_alloc(sizeof(*resolved));
    if (!resolved)
        return NULL;
    *resolved = (struct resolved){0};
    pthread_mutex_init(&resolved->lock, NULL);
    return resolved;
}

static size_t bytes_of(const struct resolved *resolved)
{
    return sizeof(*resolved) + number_set_bytes(&resolved->set);
}

void resolved_forget(struct resolved *resolved)
{
    number_set_deinit(&resolved->set);
    free(resolved->place);
    resolved->place = NULL;
    resolved->bits = 0;
    resolved->is_whole = false;
}

/* ---- under the room's lock ------------------------------------------------------------------- */

static void count(struct resolved *resolved, struct resolved_room *room, size_t bytes)
{
    atomic_fetch_add_explicit(&room->bytes, bytes - resolved->counted, memory_order_relaxed);
    resolved->counted = bytes;
}

static void leave(struct resolved *resolved)
{
    if (!resolved->room)
        return;
    count(resolved, resolved->room, 0);
    list_remove(&resolved->node);
    resolved->room = NULL;
}

static struct resolved *first_of(const struct list *list)
{
    return list_empty(list) ? NULL : container_of(list->next, struct resolved, node);
}

/* Forgets a set to make room, unless a thread has its lock or a read is using it. */
static bool drive_out(struct resolved *resolved)
{
    if (pthread_mutex_trylock(&resolved->lock))
        return false;
    bool idle = !resolved->holds;
    if (idle) {
        resolved_forget(resolved);
        leave(resolved);
    }
    pthread_mutex_unlock(&resolved->lock);
    return idle;
}

static void drive_out_whole(struct resolved_room *room, const struct resolved *self)
{
    list_each (&room->whole, node) {
        if (!resolved_room_is_full(room))
            return;
        if (node != &self->node)
            (void)drive_out(container_of(node, struct resolved, node));
    }
}

/* Whether `self` has waited for so long that the oldest search must have been abandoned. Counts
 * this turn of it. */
static bool has_waited_enough(const struct resolved_room *room, struct resolved *self)
{
    if (self->turn != room->turn)
        self->waited = 0;
    self->turn = room->turn;
    return ++self->waited > ABANDONED_TURNS;
}

/* Whether `self` is the oldest search. Drops older searches that were abandoned. */
static bool is_first(struct resolved_room *room, struct resolved *self)
{
    struct resolved *first;
    while ((first = first_of(&room->parts)) && first != self) {
        if (!has_waited_enough(room, self) || !drive_out(first))
            return false;
        room->turn++; /* the next has its time too */
    }
    return first == self;
}

static void stand_last(struct resolved *resolved, struct resolved_room *room)
{
    if (resolved->room)
        list_remove(&resolved->node);
    resolved->room = room;
    resolved->is_part = !resolved->is_whole;
    list_add_last(resolved->is_whole ? &room->whole : &room->parts, &resolved->node);
}

/* Searches keep their place in the list; a set that has become complete, or was used again, goes
 * last. */
static void note_use(struct resolved *resolved, struct resolved_room *room)
{
    if (!resolved->room || resolved->is_whole || !resolved->is_part)
        stand_last(resolved, room);
    room->turn += first_of(&room->parts) == resolved;
    count(resolved, room, bytes_of(resolved));
}

static bool find_room(struct resolved *resolved, struct resolved_room *room)
{
    note_use(resolved, room);
    if (resolved_room_is_full(room))
        drive_out_whole(room, resolved);
    if (!resolved_room_is_full(room) || resolved->is_whole || resolved->holds)
        return true;
    return is_first(room, resolved);
}

/* ---- for selections -------------------------------------------------------------------------- */

bool resolved_keep(struct resolved *resolved, struct resolved_room *room)
{
    pthread_mutex_lock(&room->lock);
    bool kept = find_room(resolved, room);
    if (!kept)
        leave(resolved);
    pthread_mutex_unlock(&room->lock);
    if (!kept)
        resolved_forget(resolved);
    return kept;
}

void resolved_free(struct resolved *resolved)
{
    if (!resolved)
        return;
    pthread_mutex_lock(&resolved->lock); /* another thread may be forgetting it right now */
    struct resolved_room *room = resolved->room;
    if (room) {
        pthread_mutex_lock(&room->lock);
        leave(resolved);
        pthread_mutex_unlock(&room->lock);
    }
    pthread_mutex_unlock(&resolved->lock);
    resolved_forget(resolved);
    pthread_mutex_destroy(&resolved->lock);
    free(resolved);
}

static void drive_out_all(struct list *list)
{
    list_each (list, node)
        (void)drive_out(container_of(node, struct resolved, node));
}

void resolved_room_deinit(struct resolved_room *room)
{
    pthread_mutex_lock(&room->lock);
    drive_out_all(&room->whole);
    drive_out_all(&room->parts);
    pthread_mutex_unlock(&room->lock);
    pthread_mutex_destroy(&room->lock);
}
