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

/* A reserve of so many bytes in the file `path`, or of half of the room there is if that is
 * less. 0 for none. Sets nothing aside yet. */
void reserve_init(struct reserve *reserve, const char *path, uint64_t bytes);
/* The file stays, for the next start. */
void reserve_deinit(struct reserve *reserve);

/* Sets the room aside if it is not, and if there is enough for it. Upkeep's thread, or the opening
 * one; may take as long as the disk. */
void reserve_make(struct reserve *reserve);

/* Gives the room back to the disk; false when there was none set aside. Any thread. */
bool reserve_give(struct reserve *reserve);

/* Whether the room was given to trims and could not be set aside again since. Until then nothing
 * but trims may be written, or publishers would fill it up. Any thread. */
bool reserve_is_given(struct reserve *reserve);
