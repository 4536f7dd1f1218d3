#include "log/read_room.h"

/* Each read that is taken lets GO_ON_EACH waiting reads go on. More than one, since the room of a
 * large page holds several small ones; few, since a read that finds the room full again has worked
 * in vain. At least UNDER_WAY_LEAST are under way while others wait: otherwise slow reads would
 * hold up all behind them. */
enum { GO_ON_EACH = 2, UNDER_WAY_LEAST = 16 };

void read_room_init(struct read_room *room, struct log *log, uint64_t most)
{
    *room = (struct read_room){.log = log, .most = most};
    list_init(&room->waiting);
}

static bool is_full(const struct read_room *room)
{
    return room->most && atomic_load_explicit(&room->held, memory_order_relaxed) >= room->most;
}

static void submit(struct read_place *place)
{
    place->room->under_way++;
    log_submit(place->room->log, place->job);
}

void read_place_begin(struct read_place *place, struct read_room *room, struct log_job *job)
{
    place->room = room;
    place->job = job;
    submit(place);
}

/* Lets waiting reads go on. One goes on in any case if none is under way, since nothing would let
 * it in later. */
static void let_in(struct read_room *room)
{
    struct list *node;
    for (int n = 0; n < GO_ON_EACH || room->under_way < UNDER_WAY_LEAST; n++) {
        if ((room->under_way && is_full(room)) || !(node = list_take_first(&room->waiting)))
            return;
        struct read_place *place = container_of(node, struct read_place, node);
        place->stopped = false;
        submit(place);
    }
}

bool read_place_waits(struct read_place *place, bool wanted)
{
    struct read_room *room = place->room;
    if (list_linked(&place->node)) { /* cancelled while it waited */
        list_remove(&place->node);
        room->under_way++;
        return false;
    }
    if (!wanted || !place->stopped || place->counted || place->job->cancelled)
        return false;
    room->under_way--;
    room->put_off++;
    log_job_park(room->log, place->job);
    list_add_last(&room->waiting, &place->node);
    if (!room->under_way)
        let_in(room);
    return true;
}

void read_place_end(struct read_place *place)
{
    struct read_room *room = place->room;
    room->put_off += place->stopped && place->counted;
    read_place_has(place, 0);
    room->under_way--;
    let_in(room);
}

bool read_place_is_full(const struct read_place *place)
{
    return place->room && is_full(place->room);
}

void read_place_stop(struct read_place *place)
{
    place->stopped = true;
}

void read_place_has(struct read_place *place, uint64_t bytes)
{
    if (!place->room)
        return;
    atomic_fetch_add_explicit(&place->room->held, bytes - place->counted, memory_order_relaxed);
    place->counted = bytes;
}
