/* Room for the bytes that connections gather for their next send. They lie side by side in one
 * block of the worker, since memory of its own for each send would cost as much as to make the
 * bytes. The block is empty again once all of them are sent, mostly at the end of a slice. One
 * thread. */
#pragma once

#include "base/buf.h"

/* Bytes in the block: those of the connections of a slice, if each has a small event. */
enum { SEND_ROOM_SIZE = 256 * 1024 };

/* Zeroes: the block is made when it is needed. */
struct send_room {
    struct buf gathered; /* free for use while a connection gathers */
    char *at;
    size_t used;
    struct str last; /* the bytes that were put last */
    unsigned places;
};

void send_room_deinit(struct send_room *room);

/* Copies bytes into the block. Returns them, valid until send_room_give(), which must follow; none
 * if there is no room for them. Bytes that equal those put before them share their place: the same
 * event for connections whose stream has the same number. The kernel then reads bytes that are in
 * the nearest cache. */
struct str send_room_put(struct send_room *room, struct str bytes);

/* Gives a place back. */
void send_room_give(struct send_room *room);
