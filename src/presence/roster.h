/* The persons of a room in the order of their names: found, added, removed, and listed by pages.
 *
 * A roster is a list of leaves, each a sorted array of at most ROSTER_LEAF persons. A search is two
 * binary searches; an addition moves one leaf's pointers at most, and one time in ROSTER_LEAF / 2
 * those of the list. So a room of a hundred thousand costs a microsecond or two, and a room of ten
 * little more than its ten pointers. */
#pragma once

#include "presence/person.h"

enum { ROSTER_LEAF = 256 };

struct roster_leaf;

struct roster {
    union {
        struct roster_leaf *one;     /* the only leaf */
        struct roster_leaf **leaves; /* from two leaves on */
    };
    uint32_t leaves_count;
    uint32_t count;
};

/* A place in a roster; valid until it changes. */
struct roster_place {
    const struct roster *roster;
    uint32_t leaf;
    uint32_t at;
};

/* The memory of the lists, without the persons. */
size_t roster_bytes(const struct roster *roster);

/* The person of this name; NULL if there is none. */
struct person *roster_find(const struct roster *roster, struct presence_who who);

/* Adds a person whose name is not there yet. False if there is no memory. */
bool roster_add(struct roster *roster, struct person *person);

/* Removes a person that is there. Frees the memory that is not needed any more. */
void roster_remove(struct roster *roster, struct person *person);

/* The place of the first person behind `who`; with an empty name, of the first. */
struct roster_place roster_after(const struct roster *roster, struct presence_who who);

/* The person at the place, which moves on; NULL at the end. */
struct person *roster_next(struct roster_place *place);

/* Frees the roster, not its persons. */
void roster_deinit(struct roster *roster);
