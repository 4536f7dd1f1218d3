#include "presence/roster.h"

#include "base/bisect.h"

#include <stdlib.h>

struct roster_leaf {
    uint16_t count;
    uint16_t cap;
    struct person *at[];
};

enum { FIRST = 4 };

static struct roster_leaf *leaf_at(const struct roster *roster, uint32_t index)
{
    return roster->leaves_count == 1 ? roster->one : roster->leaves[index];
}

static void set_leaf(struct roster *roster, uint32_t index, struct roster_leaf *leaf)
{
    if (roster->leaves_count == 1)
        roster->one = leaf;
    else
        roster->leaves[index] = leaf;
}

static int cmp(const struct person *person, struct presence_who who)
{
    return presence_who_cmp(person_who(person), who);
}

/* The last leaf whose first person is not behind `who`; the first leaf if there is none. */
static uint32_t find_leaf(const struct roster *roster, struct presence_who who)
{
    uint32_t low = 0, high = roster->leaves_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (cmp(leaf_at(roster, middle)->at[0], who) <= 0)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* The index of the first person of the leaf that is not before `who`. */
static uint16_t find_in(const struct roster_leaf *leaf, struct presence_who who)
{
    uint16_t low = 0, high = leaf->count;
    BISECT(low, high, middle, cmp(leaf->at[middle], who) < 0);
    return low;
}

/* A single leaf grows as needed. Leaves come to be several by dividing a full one, so each of
 * several has the full size. */
size_t roster_bytes(const struct roster *roster)
{
    size_t places = 2, cap = roster->leaves_count == 1 ? roster->one->cap : ROSTER_LEAF;
    size_t leaf = mem_taken(sizeof(struct roster_leaf) + cap * sizeof(struct person *));
    if (roster->leaves_count < 2)
        return roster->leaves_count * leaf;
    while (places < roster->leaves_count)
        places *= 2;
    return roster->leaves_count * leaf + mem_taken(places * sizeof(struct roster_leaf *));
}

struct person *roster_find(const struct roster *roster, struct presence_who who)
{
    if (!roster->count)
        return NULL;
    const struct roster_leaf *leaf = leaf_at(roster, find_leaf(roster, who));
    uint16_t at = find_in(leaf, who);
    return at < leaf->count && !cmp(leaf->at[at], who) ? leaf->at[at] : NULL;
}

static struct roster_leaf *leaf_new(uint16_t cap)
{
    struct roster_leaf *leaf = mem_try_alloc(sizeof(*leaf) + cap * sizeof(struct person *));
    if (leaf)
        *leaf = (struct roster_leaf){.cap = cap};
    return leaf;
}

/* Room for one leaf more in the list, which is full at each power of two. */
static bool grow_list(struct roster *roster)
{
    uint32_t count = roster->leaves_count;
    struct roster_leaf *one = roster->one, **more;
    if (!count || (count & (count - 1)))
        return true;
    more = mem_try_realloc(count > 1 ? roster->leaves : NULL,
                           (size_t)count * 2 * sizeof(struct roster_leaf *));
    if (!more)
        return false;
    roster->leaves = more;
    if (count == 1)
        more[0] = one;
    return true;
}

/* Puts a leaf into the list. False if there is no memory. */
static bool insert_leaf(struct roster *roster, uint32_t at, struct roster_leaf *leaf)
{
    if (!grow_list(roster))
        return false;
    uint32_t count = roster->leaves_count++;
    if (!count) {
        roster->one = leaf;
        return true;
    }
    memmove(&roster->leaves[at + 1], &roster->leaves[at],
            (count - at) * sizeof(struct roster_leaf *));
    roster->leaves[at] = leaf;
    return true;
}

static bool grow(struct roster *roster, uint32_t index)
{
    struct roster_leaf *leaf = leaf_at(roster, index);
    uint16_t cap = (uint16_t)(leaf->cap + leaf->cap / 4 + 2);
    cap = cap > ROSTER_LEAF ? ROSTER_LEAF : cap;
    leaf = mem_try_realloc(leaf, sizeof(*leaf) + cap * sizeof(struct person *));
    if (!leaf)
        return false;
    leaf->cap = cap;
    set_leaf(roster, index, leaf);
    return true;
}

/* Moves the second half of a full leaf into a leaf of its own. A leaf that grows at its end, as
 * names that are given in order make it, stays nearly full. */
static bool split(struct roster *roster, uint32_t index, bool at_end)
{
    struct roster_leaf *next = leaf_new(ROSTER_LEAF);
    if (!next || !insert_leaf(roster, index + 1, next)) {
        free(next);
        return false;
    }
    struct roster_leaf *leaf = leaf_at(roster, index);
    uint16_t stay = at_end ? ROSTER_LEAF - FIRST : ROSTER_LEAF / 2;
    next->count = (uint16_t)(leaf->count - stay);
    memcpy(next->at, &leaf->at[stay], next->count * sizeof(struct person *));
    leaf->count = stay;
    return true;
}

static bool make_room(struct roster *roster, uint32_t index, bool at_end)
{
    const struct roster_leaf *leaf = leaf_at(roster, index);
    if (leaf->count < leaf->cap)
        return true;
    return leaf->cap < ROSTER_LEAF ? grow(roster, index) : split(roster, index, at_end);
}

static bool add_first(struct roster *roster, struct person *person)
{
    struct roster_leaf *leaf = leaf_new(FIRST);
    if (!leaf || !insert_leaf(roster, 0, leaf)) {
        free(leaf);
        return false;
    }
    leaf->at[leaf->count++] = person;
    roster->count++;
    return true;
}

bool roster_add(struct roster *roster, struct person *person)
{
    struct presence_who who = person_who(person);
    if (!roster->count)
        return add_first(roster, person);
    uint32_t index = find_leaf(roster, who);
    bool at_end = index + 1 == roster->leaves_count &&
                  find_in(leaf_at(roster, index), who) == leaf_at(roster, index)->count;
    if (!make_room(roster, index, at_end))
        return false;
    index = find_leaf(roster, who); /* the leaf may have been divided */
    struct roster_leaf *leaf = leaf_at(roster, index);
    uint16_t at = find_in(leaf, who);
    memmove(&leaf->at[at + 1], &leaf->at[at], (size_t)(leaf->count - at) * sizeof(struct person *));
    leaf->at[at] = person;
    leaf->count++;
    roster->count++;
    return true;
}

/* Gives back the part of the list that is not needed, so that grow_list() may rely on its size. */
static void shrink_list(struct roster *roster)
{
    uint32_t count = roster->leaves_count;
    struct roster_leaf **leaves = roster->leaves, *first = leaves[0];
    if (count == 1) {
        free(leaves);
        roster->one = first;
    } else if (!(count & (count - 1))) {
        leaves = mem_try_realloc(leaves, count * sizeof(struct roster_leaf *));
        roster->leaves = leaves ? leaves : roster->leaves;
    }
}

static void remove_leaf(struct roster *roster, uint32_t index)
{
    free(leaf_at(roster, index));
    if (!--roster->leaves_count) {
        *roster = (struct roster){.one = NULL};
        return;
    }
    memmove(&roster->leaves[index], &roster->leaves[index + 1],
            (roster->leaves_count - index) * sizeof(struct roster_leaf *));
    shrink_list(roster);
}

/* Joins a leaf with the next if both together are no more than half full. */
static void join(struct roster *roster, uint32_t index)
{
    if (index + 1 >= roster->leaves_count)
        return;
    struct roster_leaf *leaf = leaf_at(roster, index), *next = roster->leaves[index + 1];
    if (leaf->count + next->count > ROSTER_LEAF / 2 || leaf->count + next->count > leaf->cap)
        return;
    memcpy(&leaf->at[leaf->count], next->at, next->count * sizeof(struct person *));
    leaf->count = (uint16_t)(leaf->count + next->count);
    remove_leaf(roster, index + 1);
}

void roster_remove(struct roster *roster, struct person *person)
{
    struct presence_who who = person_who(person);
    uint32_t index = find_leaf(roster, who);
    struct roster_leaf *leaf = leaf_at(roster, index);
    uint16_t at = find_in(leaf, who);
    leaf->count--;
    memmove(&leaf->at[at], &leaf->at[at + 1], (size_t)(leaf->count - at) * sizeof(struct person *));
    roster->count--;
    if (!leaf->count)
        remove_leaf(roster, index);
    else if (leaf->count < ROSTER_LEAF / 4) {
        join(roster, index);
        if (index)
            join(roster, index - 1);
    }
}

struct roster_place roster_after(const struct roster *roster, struct presence_who who)
{
    struct roster_place place = {.roster = roster};
    if (!roster->count || !who.name.len)
        return place;
    place.leaf = find_leaf(roster, who);
    const struct roster_leaf *leaf = leaf_at(roster, place.leaf);
    place.at = find_in(leaf, who);
    place.at += place.at < leaf->count && !cmp(leaf->at[place.at], who);
    return place;
}

struct person *roster_next(struct roster_place *place)
{
    const struct roster *roster = place->roster;
    while (place->leaf < roster->leaves_count) {
        const struct roster_leaf *leaf = leaf_at(roster, place->leaf);
        if (place->at < leaf->count)
            return leaf->at[place->at++];
        place->leaf++;
        place->at = 0;
    }
    return NULL;
}

void roster_deinit(struct roster *roster)
{
    for (uint32_t i = 0; i < roster->leaves_count; i++)
        free(leaf_at(roster, i));
    if (roster->leaves_count > 1)
        free(roster->leaves);
    *roster = (struct roster){.one = NULL};
}
