/* Gives memory that was freed back to the system. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The allocator keeps freed memory, so memory that peers once made the server hold would stay
 * resident for good. A thread that has time calls heap_look() every few seconds.
 *
 * There are two signs of memory to give back. Either the process has more resident memory than
 * after the last time, some of which may be free. Or the allocator has more free memory than after
 * the last time: memory that was in use then has been freed since, which resident memory does not
 * show. */
struct heap_watch {
    uint64_t last;       /* resident bytes at the last look */
    uint64_t floor;      /* least resident bytes since memory was last given back */
    uint64_t free_floor; /* least free bytes since then */
};

/* Growth below this size is left alone: a server's tables and caches grow and shrink all the
 * time. */
enum { HEAP_GROWTH = 2 << 20 };

/* Whether to give free memory back now: once after each growth, when the process no longer grows.
 * `resident` and `free` are the bytes of this moment. */
bool heap_watch(struct heap_watch *watch, uint64_t resident, uint64_t free);

/* Resident memory of the process in bytes; 0 where /proc does not say. */
uint64_t heap_resident(void);

/* The same without pages of files, which the kernel can take back: 0 where /proc does not say. */
uint64_t heap_own(void);

/* Gives free memory back. Other threads that want memory may wait for some milliseconds. */
void heap_give_back(struct heap_watch *watch);

/* Looks, and gives memory back if there is reason to. Returns the pause until the next look in ms,
 * long enough that looks hold other threads up for a thousandth of their time at most. */
int64_t heap_look(struct heap_watch *watch);
