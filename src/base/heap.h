/* Gives memory that was freed back to the system. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The allocator keeps what was freed, so what peers once made the server hold would stay resident
 * for good. Whoever has a thread to spare calls heap_watch() every few seconds. */
struct heap_watch {
    uint64_t last;  /* resident bytes as of the last call */
    uint64_t floor; /* and as of when memory was last given back */
};

/* Growth below this is left alone: the tables and caches of a server breathe. */
enum { HEAP_GROWTH = 4 << 20 };

/* Gives back what is free once the process has grown by HEAP_GROWTH and grows no more. Asks at most
 * once for each such growth. `resident` is how much is resident now; returns whether the caller
 * is to call heap_give_back(). */
bool heap_watch(struct heap_watch *watch, uint64_t resident);

/* Resident memory of the process in bytes; 0 where /proc does not say. */
uint64_t heap_resident(void);

/* Gives back what is free. Other threads that want memory may wait for some milliseconds. */
void heap_give_back(struct heap_watch *watch);
