#include "presence/person.h"

#include <stdlib.h>

static size_t size_of(size_t name_len)
{
    size_t size = offsetof(struct person, name) + name_len;
    return size > sizeof(struct person) ? size : sizeof(struct person);
}

size_t mark_bytes(const struct person *mark)
{
    return mem_taken(size_of(mark->name_len));
}

size_t member_bytes(const struct person *member)
{
    const struct person_more *more = member->more;
    size_t bytes = mem_taken(size_of(member->name_len));
    if (more)
        bytes += mem_taken(sizeof(*more)) + (more->state ? mem_taken(more->state_len) : 0);
    return bytes;
}

struct person *person_new(struct room *room, struct presence_who who)
{
    struct person *person = mem_try_alloc(size_of(who.name.len));
    if (!person)
        return NULL;
    *person = (struct person){.room = room, .name_len = (uint8_t)who.name.len};
    person->is_verified = who.verified;
    memcpy(person->name, who.name.at, who.name.len);
    return person;
}

/* Drops what is empty. */
static void tidy(struct person *member)
{
    if (!member->more || member->more->departure || member->more->state)
        return;
    free(member->more);
    member->more = NULL;
}

void member_free(struct person *member)
{
    if (member->more)
        free(member->more->state);
    free(member->more);
    free(member);
}

static struct person_more *more_of(struct person *member)
{
    if (member->more)
        return member->more;
    member->more = mem_try_alloc(sizeof(*member->more));
    if (member->more)
        *member->more = (struct person_more){.state = NULL};
    return member->more;
}

bool member_set_state(struct person *member, struct str state)
{
    char *copy = NULL;
    if (state.len) {
        if (!more_of(member) || !(copy = mem_try_alloc(state.len))) {
            tidy(member);
            return false;
        }
        memcpy(copy, state.at, state.len);
    }
    if (!member->more)
        return true;
    free(member->more->state);
    member->more->state = copy;
    member->more->state_len = (uint32_t)state.len;
    tidy(member);
    return true;
}

struct departure *member_begin_departure(struct person *member)
{
    struct person_more *more = more_of(member);
    if (!more)
        return NULL;
    more->departure = mem_try_alloc(sizeof(*more->departure));
    if (more->departure)
        *more->departure = (struct departure){.room = member->room, .person = member};
    else
        tidy(member);
    return member->more ? member->more->departure : NULL;
}

void member_end_departure(struct person *member)
{
    if (!member->more || !member->more->departure)
        return;
    timer_stop(&member->more->departure->timer);
    free(member->more->departure);
    member->more->departure = NULL;
    tidy(member);
}
