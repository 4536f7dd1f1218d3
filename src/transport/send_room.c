#include "transport/send_room.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

void send_room_deinit(struct send_room *room)
{
    buf_free(&room->gathered);
    free(room->at);
}

struct str send_room_put(struct send_room *room, struct str bytes)
{
    if (!room->at)
        room->at = mem_try_alloc(SEND_ROOM_SIZE);
    if (room->places && bytes.len && str_eq(bytes, room->last)) {
        room->places++;
        return room->last;
    }
    if (!room->at || !bytes.len || bytes.len > SEND_ROOM_SIZE - room->used)
        return STR_NONE;
    room->last = (struct str){memcpy(room->at + room->used, bytes.at, bytes.len), bytes.len};
    room->used += bytes.len;
    room->places++;
    return room->last;
}

void send_room_give(struct send_room *room)
{
    if (!--room->places)
        room->used = 0;
}
