/* An ordered index of names: which channel comes after a name, or after a prefix, in 12 bytes a
 * channel.
 *
 * It is a crit-bit tree. A node says at which bit the names below it differ for the first time;
 * those with a 0 there lie under its left child, those with a 1 under its right. A leaf is the
 * number of a channel, whose name is asked for by `name_of`, so that no name is kept twice. A walk
 * from left to right meets the names in the order of their bytes.
 *
 *         bit 15                    names "a", "c/1", "c/2": the first byte differs at its bit 6
 *        /      \                   (61 is 0110 0001, 63 is 0110 0011), the two others at
 *      "a"     bit 23               their third byte
 *             /      \
 *         "c/1"      "c/2"
 *
 * The depth of the tree is bounded by the length of its names, 8 bits for each of 255 bytes, so no
 * order of additions makes it slow, and nothing has to be balanced. An addition, a removal and a
 * search visit each node on the way down once or twice, and look at one name. Bytes behind the end
 * of a name count as 0, which no name contains.
 *
 * The log's lock guards the index, as the table of channels that it belongs to. */
#pragma once

#include "base/str.h"

#include <stdint.h>

enum { NAME_TREE_DEPTH = 256 * 8 };

struct name_tree_chunk;

/* What hangs on a node: another node, or a leaf. */
struct name_tree_ref {
    uint32_t at; /* the node's index, or the channel's number */
    bool is_leaf;
};

struct name_tree {
    struct name_tree_chunk **chunks;
    size_t chunks_cap;
    uint32_t made; /* nodes that were ever taken into use */
    uint32_t free; /* the first of those that are free again, plus 1; 0 for none */
    uint32_t count;
    struct name_tree_ref root; /* of no meaning when count is 0 */
    struct str (*name_of)(const void *owner, uint32_t number);
    const void *owner;
};

/* `name_of(owner, number)` is the name under which `number` was added. */
void name_tree_init(struct name_tree *names,
                    struct str (*name_of)(const void *owner, uint32_t number), const void *owner);
void name_tree_deinit(struct name_tree *names);

/* Adds a name of 1 to 255 bytes, none of them 0, which is not in the index yet. -ENOMEM. */
int name_tree_add(struct name_tree *names, struct str name, uint32_t number);

/* Fills an empty index with names by rising order, in time that does not depend on how many there
 * are already: an addition looks at the name before and at the right edge of the tree only.
 *
 *     struct name_tree_filler filler = {.names = names};
 *     for (…)
 *         result = name_tree_append(&filler, name, number);
 *
 * Names must stay valid until the next is appended, and nothing else may change the index. */
struct name_tree_filler {
    struct name_tree *names;
    struct str last;
    uint32_t depth;
    uint32_t edge[NAME_TREE_DEPTH]; /* the nodes from the root to the last name's leaf */
};

enum { NAME_TREE_E_TWIN = 1 };

/* Adds a name that is above all names in the index. -ENOMEM; NAME_TREE_E_TWIN for a name that is
 * equal to the last, which is not added. */
int name_tree_append(struct name_tree_filler *filler, struct str name, uint32_t number);

/* Takes the name out; a name that is not in the index is left alone. */
void name_tree_remove(struct name_tree *names, struct str name);

/* A walk by rising names. It ends when the index changes: begin another behind the last name. */
struct name_tree_walk {
    const struct name_tree *names;
    uint32_t depth;
    uint32_t waiting[NAME_TREE_DEPTH]; /* nodes whose right child is still to come */
};

/* The number with the first name that is not below `from`, or, if `beyond`, that is above it; 0 at
 * the end. */
uint32_t name_tree_seek(struct name_tree_walk *walk, const struct name_tree *names, struct str from,
                        bool beyond);

/* The number with the next name; 0 at the end. */
uint32_t name_tree_next(struct name_tree_walk *walk);
