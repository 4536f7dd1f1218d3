/* Gives memory that was freed back to the system. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The allocator keeps what was freed, so what peers once made the server hold would stay resident
 * for good. A thread that has time calls heap_look() every few seconds.
 *
 * Two signs say that there is something to give back. The process has more resident memory than
 * after the last time: what it has freed may be among it. Or the allocator has more free memory
 * than after the last time: then memory was in use while it was last given back, and has been freed
 * since, which resident memory does not show. */
struct heap_watch {
    uint64_t last;       /* resident bytes as of the last look */
    uint64_t floor;      /* the least of them since memory was last given back */
    uint64_t free_floor; /* the least that was free since then */
};

/* Growth below this is left alone: the tables and caches of a server breathe. */
enum { HEAP_GROWTH = 2 << 20 };

/* Whether free memory is to be given back now: once for each growth, when the process grows no
 * more. `resident` and `free` are bytes as of now. */
bool heap_watch(struct heap_watch *watch, uint64_t resident, uint64_t free);

/* Resident memory of the process in bytes; 0 where /proc does not say. */
uint64_t heap_resident(void);

/* Bytes that the allocator has free, given back to the system or not. The allocator walks all of
 * its free pieces for that, while other threads that want memory wait. */
uint64_t heap_free(void);

/* Gives back what is free. Other threads that want memory may wait for some milliseconds. */
void heap_give_back(struct heap_watch *watch);

/* Looks, and gives back if it is time. Returns how long to wait until the next look, in ms: so long
 * that looking holds other threads up for a thousandth of their time at most. */
int64_t heap_look(struct heap_watch *watch);
