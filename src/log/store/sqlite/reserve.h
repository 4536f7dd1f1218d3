/* Room on the disk that is set aside, so that a full disk can still be trimmed. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct reserve {
    char *path;
    uint64_t bytes;
    pthread_mutex_t lock; /* guards what follows */
    bool measured;        /* `bytes` suits the disk */
    bool held;            /* the file has its size */
    bool given;           /* the reserve was held, and its room was given to trims */
};

/* Prepares a reserve of that many bytes in the file `path`, or of half of the free room if that is
 * less. 0: no reserve. Allocates nothing yet. */
void reserve_init(struct reserve *reserve, const char *path, uint64_t bytes);
/* Ends the use of the reserve. The file stays for the next start. */
void reserve_deinit(struct reserve *reserve);

/* Sets the room aside if it is not, and if there is enough for it. Upkeep's thread, or the opening
 * one; may take as long as the disk. */
void reserve_make(struct reserve *reserve);

/* Frees the reserve's room on the disk; false if none was held. Any thread. */
bool reserve_give(struct reserve *reserve);

/* Whether the room was given to trims and is not held again yet. Until then only trims may be
 * written: publishers would fill the room. Any thread. */
bool reserve_is_given(struct reserve *reserve);
