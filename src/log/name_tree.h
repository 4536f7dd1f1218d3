/* An ordered index of names: finds the channel after a name or a prefix, in 7 to 10 bytes for each
 * channel.
 *
 * The index is a B-tree without names. An entry of a leaf is the number of a channel, whose name
 * `name_of` returns, and the first bit in which that name differs from the previous one. An entry
 * above the leaves stands for a child, and is the first number under it. A walk from left to right
 * meets the names in the order of their bytes.
 *
 *     leaf    number  "a"   "c/1"   "c/2"     "a" and "c/1" differ at the 7th bit of the first byte
 *             bit           6       23        (61 is 0110 0001, 63 is 0110 0011), the two others at
 *                                             the last bit of the third byte
 *
 * A search goes through the bits of a node, and skips entries on the other side of a bit that the
 * name does not have. That leaves the entry with the most bits in common with the name. A
 * comparison with the name of that single entry gives the place of the name. (Ferguson, "Bit-Tree:
 * a data structure for fast file processing", CACM 35/6, 1992.)
 *
 * Names from strangers cannot make it slow: a node has NAME_TREE_FAN entries at most, and a full
 * tree of 2^32 channels has 8 levels. An addition, a removal or a search reads the name of one
 * channel in each level, and a few more when a node is divided or joined. Bytes behind the end of a
 * name count as 0, which no name contains.
 *
 * The log's lock guards the index, like the table of channels that it belongs to. */
#pragma once

#include "base/str.h"

#include <stdint.h>

/* Entries of a node, and levels. The neighbours of a node with fewer than 23 entries are nearly
 * full, so even 2^32 numbers do not fill twelve levels. */
enum { NAME_TREE_FAN = 62, NAME_TREE_DEPTH = 12 };

struct name_tree_node;

struct name_tree {
    struct name_tree_node *root; /* NULL in an empty index */
    uint32_t count;
    uint32_t nodes;
    uint32_t leaves; /* number of leaves */
    uint32_t height; /* number of levels, with that of the leaves */
    struct str (*name_of)(const void *owner, uint32_t number);
    const void *owner;
};

/* The memory of the index. */
size_t name_tree_bytes(const struct name_tree *names);

/* `name_of(owner, number)` must return the name under which `number` was added. */
void name_tree_init(struct name_tree *names,
                    struct str (*name_of)(const void *owner, uint32_t number), const void *owner);
void name_tree_deinit(struct name_tree *names);

/* Adds a name of 1 to 255 bytes without a 0. Returns 0, -EEXIST if it is in the index, or
 * -ENOMEM. */
int name_tree_add(struct name_tree *names, struct str name, uint32_t number);

/* Fills an empty index with names in ascending order: an addition looks only at the name before and
 * at the right edge of the tree.
 *
 *     struct name_tree_filler filler = {.names = names};
 *     for (…)
 *         result = name_tree_append(&filler, name, number);
 *
 * A name must stay valid until the next is appended, and nothing else may change the index. */
struct name_tree_filler {
    struct name_tree *names;
    struct str last;
};

enum { NAME_TREE_E_TWIN = 1 };

/* Adds a name that is above all names in the index. Returns 0, -ENOMEM, or NAME_TREE_E_TWIN without
 * adding it if the name equals the last. */
int name_tree_append(struct name_tree_filler *filler, struct str name, uint32_t number);

/* Removes the name if it is in the index. */
void name_tree_remove(struct name_tree *names, struct str name);

/* A walk by ascending names. A change of the index ends it: begin another behind the last name. */
struct name_tree_walk {
    uint32_t depth;
    struct name_tree_step {
        const struct name_tree_node *node;
        uint32_t at;
    } path[NAME_TREE_DEPTH];
};

/* The number with the first name that is not below `from` or, if `beyond`, is above it; 0 at the
 * end. */
uint32_t name_tree_seek(struct name_tree_walk *walk, const struct name_tree *names, struct str from,
                        bool beyond);

/* The number with the next name; 0 at the end. */
uint32_t name_tree_next(struct name_tree_walk *walk);
