#include "log/name_tree.h"

#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>

/* Bits of the longest name; also the result for two names that do not differ. */
enum { FAN = NAME_TREE_FAN, BYTES = 256, NO_BIT = BYTES * 8 };

/* A full node gives entries to a neighbour with room for WORTH_SHIFTING; two neighbours with
 * WORTH_JOINING entries in all become one. */
enum { WORTH_SHIFTING = FAN / 8, WORTH_JOINING = FAN * 3 / 4 };

struct name_tree_node {
    uint16_t count;
    bool is_leaf;
    uint16_t bit[FAN];    /* the first bit in which an entry differs from the one before; unused for
                           * the first */
    uint32_t number[FAN]; /* number of a channel; above the leaves, of the first channel under the
                           * child */
    struct name_tree_node *child[]; /* FAN of them above the leaves, none in a leaf */
};

_Static_assert(sizeof(struct name_tree_node) <= 376, "a leaf fits in 384 bytes of the heap");

void name_tree_init(struct name_tree *names,
                    struct str (*name_of)(const void *owner, uint32_t number), const void *owner)
{
    *names = (struct name_tree){.name_of = name_of, .owner = owner};
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static size_t node_size(bool is_leaf)
{
    size_t children = is_leaf ? 0 : FAN * sizeof(struct name_tree_node *);
    return sizeof(struct name_tree_node) + children;
}

size_t name_tree_bytes(const struct name_tree *names)
{
    return names->leaves * mem_taken(node_size(true)) +
           (names->nodes - names->leaves) * mem_taken(node_size(false));
}

static struct name_tree_node *new_node(struct name_tree *names, bool is_leaf)
{
    struct name_tree_node *node = mem_try_alloc(node_size(is_leaf));
    if (!node)
        return NULL;
    node->count = 0;
    node->is_leaf = is_leaf;
    names->nodes++;
    names->leaves += is_leaf;
    return node;
}

static void free_node(struct name_tree *names, struct name_tree_node *node)
{
    names->nodes--;
    names->leaves -= node->is_leaf;
    free(node);
}

/* Frees leaf by leaf, going down and back up, so that nothing recurses. */
void name_tree_deinit(struct name_tree *names)
{
    struct name_tree_node *path[NAME_TREE_DEPTH];
    uint32_t depth = 0;
    if (names->root)
        path[depth++] = names->root;
    while (depth) {
        struct name_tree_node *node = path[depth - 1];
        if (!node->is_leaf && node->count) {
            path[depth++] = node->child[--node->count];
            continue;
        }
        free_node(names, node);
        depth--;
    }
    *names = (struct name_tree){0};
}

/* Copies entries between nodes of the same level, or within one. */
static void copy(struct name_tree_node *to, uint32_t to_at, const struct name_tree_node *from,
                 uint32_t from_at, uint32_t count)
{
    memmove(&to->bit[to_at], &from->bit[from_at], count * sizeof(*to->bit));
    memmove(&to->number[to_at], &from->number[from_at], count * sizeof(*to->number));
    if (!to->is_leaf)
        memmove(&to->child[to_at], &from->child[from_at], count * sizeof(struct name_tree_node *));
}

/* Makes room for an entry. The bits around it must still be computed. */
static void open_up(struct name_tree_node *node, uint32_t at, uint32_t number,
                    struct name_tree_node *child)
{
    copy(node, at + 1, node, at, node->count - at);
    node->number[at] = number;
    if (!node->is_leaf)
        node->child[at] = child;
    node->count++;
}

/* Removes an entry. The entries beside it now differ in the lower of the two bits. */
static void cut(struct name_tree_node *node, uint32_t at)
{
    uint16_t bit = node->bit[at];
    copy(node, at, node, at + 1, node->count - at - 1U);
    node->count--;
    if (at && at < node->count && bit < node->bit[at])
        node->bit[at] = bit;
}

/* ---- bits ------------------------------------------------------------------------------------ */

static unsigned byte_at(struct str name, size_t at)
{
    return at < name.len ? (unsigned char)name.at[at] : 0;
}

static unsigned bit_of(struct str name, unsigned bit)
{
    return byte_at(name, bit >> 3) >> (7 - (bit & 7)) & 1;
}

/* The first bit in which the names differ; NO_BIT if they are equal. */
static unsigned first_difference(struct str a, struct str b)
{
    size_t end = a.len > b.len ? a.len : b.len, least = a.len < b.len ? a.len : b.len, i = 0;
    while (i + sizeof(uint64_t) <= least && !memcmp(a.at + i, b.at + i, sizeof(uint64_t)))
        i += sizeof(uint64_t);
    while (i < end && byte_at(a, i) == byte_at(b, i))
        i++;
    if (i >= end || i >= BYTES)
        return NO_BIT;
    unsigned differing = byte_at(a, i) ^ byte_at(b, i);
    return (unsigned)i * 8 + (unsigned)__builtin_clz(differing) - 24;
}

static struct str name_at(const struct name_tree *names, const struct name_tree_node *node,
                          uint32_t at)
{
    return names->name_of(names->owner, node->number[at]);
}

/* Computes the bit in which an entry differs from the one before, if there is one. */
static void compare(const struct name_tree *names, struct name_tree_node *node, uint32_t at)
{
    if (at && at < node->count)
        node->bit[at] =
            (uint16_t)first_difference(name_at(names, node, at - 1), name_at(names, node, at));
}

/* ---- searches -------------------------------------------------------------------------------- */

/* The place of a name in a node. */
struct spot {
    uint32_t behind; /* number of entries that are not above the name */
    unsigned bit;    /* the bit in which it differs from the nearest entry; NO_BIT if it equals that
                      * entry */
    bool is_above;   /* whether the name is above the nearest entry, or equal to it */
};

/* The entry with the most bits in common with the name, judged by the bits of the node alone. */
static uint32_t nearest(const struct name_tree_node *node, struct str name)
{
    uint32_t found = 0, at = 1;
    while (at < node->count) {
        unsigned bit = node->bit[at];
        if (bit_of(name, bit)) {
            found = at++;
            continue;
        }
        do
            at++;
        while (at < node->count && node->bit[at] > bit);
    }
    return found;
}

static struct spot find(const struct name_tree *names, const struct name_tree_node *node,
                        struct str name)
{
    uint32_t at = nearest(node, name);
    unsigned bit = first_difference(name, name_at(names, node, at));
    struct spot spot = {at + 1, bit, bit == NO_BIT || bit_of(name, bit)};
    /* All entries that agree with the nearest up to that bit are on the same side of the name. */
    if (bit == NO_BIT)
        return spot;
    while (spot.is_above && spot.behind < node->count && node->bit[spot.behind] > bit)
        spot.behind++;
    while (!spot.is_above && spot.behind > 1 && node->bit[spot.behind - 1] > bit)
        spot.behind--;
    spot.behind -= !spot.is_above;
    return spot;
}

/* The child that contains the name, or would. */
static uint32_t child_at(struct spot spot)
{
    return spot.behind ? spot.behind - 1 : 0;
}

/* ---- room ------------------------------------------------------------------------------------ */

/* Updates the entry of a child whose first entry has changed. */
static void note_first(const struct name_tree *names, struct name_tree_node *above, uint32_t at)
{
    above->number[at] = above->child[at]->number[0];
    compare(names, above, at);
    compare(names, above, at + 1);
}

/* Moves the first entries of a child to the end of the one before. */
static void shift_left(const struct name_tree *names, struct name_tree_node *above, uint32_t at,
                       uint32_t count)
{
    struct name_tree_node *left = above->child[at - 1], *right = above->child[at];
    uint32_t seam = left->count;
    copy(left, seam, right, 0, count);
    left->count = (uint16_t)(seam + count);
    compare(names, left, seam);
    copy(right, 0, right, count, right->count - count);
    right->count = (uint16_t)(right->count - count);
    if (right->count)
        note_first(names, above, at);
}

/* Moves the last entries of a child to the beginning of the one behind. */
static void shift_right(const struct name_tree *names, struct name_tree_node *above, uint32_t at,
                        uint32_t count)
{
    struct name_tree_node *left = above->child[at], *right = above->child[at + 1];
    copy(right, count, right, 0, right->count);
    left->count = (uint16_t)(left->count - count);
    copy(right, 0, left, left->count, count);
    right->count = (uint16_t)(right->count + count);
    compare(names, right, count);
    note_first(names, above, at + 1);
}

/* Divides a full child; returns false if there is no memory. */
static bool divide(struct name_tree *names, struct name_tree_node *above, uint32_t at,
                   uint32_t left)
{
    struct name_tree_node *full = above->child[at];
    struct name_tree_node *node = new_node(names, full->is_leaf);
    if (!node)
        return false;
    node->count = (uint16_t)(full->count - left);
    copy(node, 0, full, left, node->count);
    full->count = (uint16_t)left;
    open_up(above, at + 1, node->number[0], node);
    compare(names, above, at + 1);
    compare(names, above, at + 2);
    return true;
}

static uint32_t room_of(const struct name_tree_node *above, uint32_t at)
{
    return at < above->count ? (uint32_t)FAN - above->child[at]->count : 0;
}

/* Makes room in a full child by moving entries to its neighbours, up to half of their room. Names
 * that ascend or descend leave nearly full nodes that way. `at_end`: the new entry will be above
 * all of the child. Returns false if there is no memory. */
static bool make_room(struct name_tree *names, struct name_tree_node *above, uint32_t at,
                      bool at_end)
{
    uint32_t right = room_of(above, at + 1), left = at ? room_of(above, at - 1) : 0;
    if (right >= WORTH_SHIFTING)
        shift_right(names, above, at, (right + 1) / 2);
    else if (left >= WORTH_SHIFTING)
        shift_left(names, above, at, (left + 1) / 2);
    else
        return divide(names, above, at, at_end ? FAN - 1 : FAN / 2);
    return true;
}

/* Puts a new root above the old one, which is full; returns false if there is no memory. */
static bool grow(struct name_tree *names)
{
    struct name_tree_node *root = new_node(names, false);
    if (!root)
        return false;
    root->count = 1;
    root->number[0] = names->root->number[0];
    root->child[0] = names->root;
    names->root = root;
    names->height++;
    return true;
}

/* ---- additions ------------------------------------------------------------------------------- */

/* A name to be added. A search finds its place, unless it is known to be above all others. */
struct coming {
    struct str name;
    uint32_t number;
    bool is_last;
    unsigned bit; /* the bit in which it differs from the last name, if it is above all */
};

static struct spot place(const struct name_tree *names, const struct name_tree_node *node,
                         const struct coming *coming)
{
    return coming->is_last ? (struct spot){node->count, coming->bit, true}
                           : find(names, node, coming->name);
}

/* Goes down to the leaf for the name. Full nodes on the way get room, so that a node that is
 * divided always finds room above. NULL if there is no memory. */
static struct name_tree_node *leaf_with_room(struct name_tree *names, const struct coming *coming)
{
    if (names->root->count == FAN && !grow(names))
        return NULL;
    struct name_tree_node *node = names->root;
    while (!node->is_leaf) {
        uint32_t at = child_at(place(names, node, coming));
        struct name_tree_node *child = node->child[at];
        if (child->count < FAN) {
            node = child;
            continue;
        }
        bool at_end = place(names, child, coming).behind == FAN;
        if (!make_room(names, node, at, at_end))
            return NULL;
    }
    return node;
}

/* Updates the nodes at the left edge: they now begin with the new name. */
static void note_least(struct name_tree *names, uint32_t number, unsigned bit)
{
    for (struct name_tree_node *node = names->root; !node->is_leaf; node = node->child[0]) {
        node->number[0] = number;
        if (node->count > 1 && bit < node->bit[1])
            node->bit[1] = (uint16_t)bit;
    }
}

/* Puts the new entry in. It differs from the nearest entry at `bit`, and from the entry on its
 * other side in the bit in which that one differed from the nearest. */
static void put(struct name_tree_node *leaf, struct spot spot, uint32_t number)
{
    uint32_t at = spot.behind;
    uint16_t before = leaf->bit[at < leaf->count ? at : 0];
    open_up(leaf, at, number, NULL);
    leaf->bit[at] = spot.is_above ? (uint16_t)spot.bit : before;
    if (at + 1U < leaf->count)
        leaf->bit[at + 1] = spot.is_above ? before : (uint16_t)spot.bit;
}

static int add(struct name_tree *names, const struct coming *coming)
{
    if (!names->root && !(names->root = new_node(names, true)))
        return -ENOMEM;
    names->height += !names->height;
    struct name_tree_node *leaf = leaf_with_room(names, coming);
    if (!leaf)
        return -ENOMEM;
    struct spot spot = leaf->count ? place(names, leaf, coming) : (struct spot){.is_above = true};
    if (spot.bit == NO_BIT)
        return -EEXIST;
    put(leaf, spot, coming->number);
    if (!spot.behind)
        note_least(names, coming->number, spot.bit);
    names->count++;
    return 0;
}

int name_tree_append(struct name_tree_filler *filler, struct str name, uint32_t number)
{
    struct coming coming = {name, number, true, 0};
    if (filler->names->count)
        coming.bit = first_difference(filler->last, name);
    if (coming.bit == NO_BIT)
        return NAME_TREE_E_TWIN;
    int result = add(filler->names, &coming);
    if (!result)
        filler->last = name;
    return result;
}

int name_tree_add(struct name_tree *names, struct str name, uint32_t number)
{
    return add(names, &(struct coming){.name = name, .number = number});
}

/* ---- removals -------------------------------------------------------------------------------- */

static bool are_few(const struct name_tree_node *above, uint32_t at)
{
    return at + 1 < above->count &&
           above->child[at]->count + above->child[at + 1]->count <= WORTH_JOINING;
}

static void join(struct name_tree *names, struct name_tree_node *above, uint32_t at)
{
    struct name_tree_node *right = above->child[at + 1];
    shift_left(names, above, at + 1, right->count);
    cut(above, at + 1);
    free_node(names, right);
}

static void join_if_few(struct name_tree *names, struct name_tree_node *above, uint32_t at)
{
    if (are_few(above, at))
        join(names, above, at);
    else if (at && are_few(above, at - 1))
        join(names, above, at - 1);
}

/* Updates a node after its child has lost an entry, the child's first one if `first`. Returns
 * whether the node's own first entry has changed. */
static bool mend(struct name_tree *names, struct name_tree_node *above, uint32_t at, bool first)
{
    struct name_tree_node *child = above->child[at];
    if (!child->count) {
        free_node(names, child);
        cut(above, at);
        return first && !at;
    }
    if (first)
        note_first(names, above, at);
    join_if_few(names, above, at);
    return first && !at;
}

static void lower_root(struct name_tree *names)
{
    while (names->root && names->root->count <= !names->root->is_leaf) {
        struct name_tree_node *root = names->root;
        names->root = root->is_leaf || !root->count ? NULL : root->child[0];
        names->height--;
        free_node(names, root);
    }
}

void name_tree_remove(struct name_tree *names, struct str name)
{
    struct name_tree_step path[NAME_TREE_DEPTH];
    struct name_tree_node *nodes[NAME_TREE_DEPTH];
    uint32_t depth = 0;
    struct name_tree_node *node = names->root;
    struct spot spot = {0};
    while (node) {
        spot = find(names, node, name);
        path[depth].at = child_at(spot);
        nodes[depth++] = node;
        node = node->is_leaf ? NULL : node->child[child_at(spot)];
    }
    if (!depth || spot.bit != NO_BIT)
        return;
    uint32_t at = path[--depth].at;
    bool first = !at;
    cut(nodes[depth], at);
    names->count--;
    while (depth--)
        first = mend(names, nodes[depth], path[depth].at, first);
    lower_root(names);
}

/* ---- walks ----------------------------------------------------------------------------------- */

/* The number at the end of the path; if the leaf has ended, the first number of the next one. */
static uint32_t walked(struct name_tree_walk *walk)
{
    while (walk->depth && walk->path[walk->depth - 1].at >= walk->path[walk->depth - 1].node->count)
        if (--walk->depth)
            walk->path[walk->depth - 1].at++;
    if (!walk->depth)
        return 0;
    struct name_tree_step step = walk->path[walk->depth - 1];
    while (!step.node->is_leaf) {
        step = (struct name_tree_step){step.node->child[step.at], 0};
        walk->path[walk->depth++] = step;
    }
    return step.node->number[step.at];
}

uint32_t name_tree_next(struct name_tree_walk *walk)
{
    if (!walk->depth)
        return 0;
    walk->path[walk->depth - 1].at++;
    return walked(walk);
}

uint32_t name_tree_seek(struct name_tree_walk *walk, const struct name_tree *names, struct str from,
                        bool beyond)
{
    const struct name_tree_node *node = names->root;
    walk->depth = 0;
    if (!node)
        return 0;
    for (;;) {
        struct spot spot = find(names, node, from);
        uint32_t at = child_at(spot);
        if (node->is_leaf)
            at = spot.behind - (spot.bit == NO_BIT && !beyond);
        walk->path[walk->depth++] = (struct name_tree_step){node, at};
        if (node->is_leaf)
            return walked(walk);
        node = node->child[at];
    }
}
