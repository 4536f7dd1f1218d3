/* A person: a member of a room (a channel with presence), or somebody who has a read mark there.
 *
 * There may be millions, so what few persons have lies apart: a state, and what is needed while a
 * member is away for its grace. A person with a name of 12 bytes takes 40 bytes of memory. */
#pragma once

#include "net/loop.h"
#include "presence/names.h"

struct person;
struct presence;
struct room;

/* A connection that has ended, until its grace has: of a person, or of somebody anonymous. */
struct departure {
    struct timer timer;
    struct list node; /* in room->departures, if it is of somebody anonymous */
    int64_t began_ns; /* of the loop's clock */
    struct presence *presence;
    struct room *room;
    struct person *person; /* NULL: somebody anonymous */
    bool is_nobody;        /* a room's own, after a restart: it may be vacated then */
    bool polls;            /* the grace of polls counts */
};

struct person_more {
    struct departure *departure; /* NULL: somebody is connected */
    uint32_t state_len;
    char *state; /* JSON; NULL: none */
};

struct person {
    struct room *room;
    union {
        struct person_more *more; /* of a member; NULL: nothing */
        uint64_t read;            /* of a mark: the id up to which the person has read */
    };
    uint64_t since_ms : 42; /* wall clock: a member since then */
    uint64_t name_len : 8;
    uint64_t is_verified : 1;
    uint64_t has_polled : 1; /* by one connection at least, since it is here */
    uint64_t address : 12;   /* the holder in whose share it counts (shares.h) */
    union {
        uint32_t connections; /* of a member */
        uint32_t is_untold;   /* of a mark: it has moved since it was told (reads.h) */
    };
    char name[];
};

enum { PERSON_SINCE_BITS = 42 };

/* The memory of a member with its state, without its departure; and of a mark. */
size_t member_bytes(const struct person *member);
size_t mark_bytes(const struct person *mark);

/* A person of this name; NULL if there is no memory. */
struct person *person_new(struct room *room, struct presence_who who);
/* Frees a member, whose departure must have ended. */
void member_free(struct person *member);

static inline struct presence_who person_who(const struct person *person)
{
    return (struct presence_who){{person->name, person->name_len}, person->is_verified};
}

static inline struct str member_state(const struct person *member)
{
    return member->more && member->more->state
               ? (struct str){member->more->state, member->more->state_len}
               : STR_NONE;
}

/* Sets or (empty) removes the state. False if there is no memory. */
bool member_set_state(struct person *member, struct str state);

/* Room for a departure of the member: NULL if there is no memory. member_end_departure() frees it,
 * and what else is not needed. */
struct departure *member_begin_departure(struct person *member);
void member_end_departure(struct person *member);
