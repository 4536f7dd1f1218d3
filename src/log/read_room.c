#include "log/read_room.h"

/* Reads that go on when one has been taken: more than one, since room for a large page is room for
 * several small ones; few, since those that find the room full have gone on in vain. So many are
 * under way at least while others wait, or slow ones would hold up all behind them. */
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

/* With nothing under way the room is empty, and nothing else would let the next one in. */
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
    if (list_linked(&place->node)) { /* it was cancelled while it waited */
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
