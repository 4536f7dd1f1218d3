/* An ordered index of names: which channel comes after a name, or after a prefix, in 7 to 10 bytes
 * a channel.
 *
 * The index is a B-tree that keeps no names. An entry of a leaf is the number of a channel, whose
 * name is asked for by `name_of`, and the place of the first bit in which that name differs from
 * the name before it. An entry above the leaves stands for a child, and is the first number under
 * it. A walk from left to right meets the names in the order of their bytes.
 *
 *     leaf    number  "a"   "c/1"   "c/2"      "a" and "c/1" differ at the 7th bit of the first
 * byte bit           6       23         (61 is 0110 0001, 63 is 0110 0011), the two others at the
 * last bit of the third byte
 *
 * A search goes through the bits of a node, and skips what lies on the other side of a bit that the
 * name does not have. That leaves one entry, which has more bits in common with the name than any
 * other; a comparison with the name of that entry alone says where the name belongs. (Ferguson,
 * "Bit-Tree: a data structure for fast file processing", CACM 35/6, 1992.)
 *
 * Whatever peers name their channels, a node has NAME_TREE_FAN entries at most, and a full tree of
 * 2^32 channels 8 levels: an addition, a removal or a search reads the name of one channel a level,
 * and a few more where a node is divided or joined. Bytes behind the end of a name count as 0,
 * which no name contains.
 *
 * The log's lock guards the index, as the table of channels that it belongs to. */
#pragma once

#include "base/str.h"

#include <stdint.h>

/* Entries of a node, and levels: neighbours of a node with fewer than 23 entries are nearly full,
 * so the 2^32 numbers that there are do not fill twelve. */
enum { NAME_TREE_FAN = 62, NAME_TREE_DEPTH = 12 };

struct name_tree_node;

struct name_tree {
    struct name_tree_node *root; /* NULL for an empty index */
    uint32_t count;
    uint32_t nodes;
    uint32_t leaves; /* of them */
    uint32_t height; /* levels, that of the leaves included */
    struct str (*name_of)(const void *owner, uint32_t number);
    const void *owner;
};

/* The memory that the index takes. */
size_t name_tree_bytes(const struct name_tree *names);

/* `name_of(owner, number)` is the name under which `number` was added. */
void name_tree_init(struct name_tree *names,
                    struct str (*name_of)(const void *owner, uint32_t number), const void *owner);
void name_tree_deinit(struct name_tree *names);

/* Adds a name of 1 to 255 bytes, none of them 0, which is not in the index yet (-EEXIST). -ENOMEM.
 */
int name_tree_add(struct name_tree *names, struct str name, uint32_t number);

/* Fills an empty index with names by rising order: an addition looks at the name before and at the
 * right edge of the tree only.
 *
 *     struct name_tree_filler filler = {.names = names};
 *     for (…)
 *         result = name_tree_append(&filler, name, number);
 *
 * Names must stay valid until the next is appended, and nothing else may change the index. */
struct name_tree_filler {
    struct name_tree *names;
    struct str last;
};

enum { NAME_TREE_E_TWIN = 1 };

/* Adds a name that is above all names in the index. -ENOMEM; NAME_TREE_E_TWIN for a name that is
 * equal to the last, which is not added. */
int name_tree_append(struct name_tree_filler *filler, struct str name, uint32_t number);

/* Takes the name out; a name that is not in the index is left alone. */
void name_tree_remove(struct name_tree *names, struct str name);

/* A walk by rising names. It ends when the index changes: begin another behind the last name. */
struct name_tree_walk {
    uint32_t depth;
    struct name_tree_step {
        const struct name_tree_node *node;
        uint32_t at;
    } path[NAME_TREE_DEPTH];
};

/* The number with the first name that is not below `from`, or, if `beyond`, that is above it; 0 at
 * the end. */
uint32_t name_tree_seek(struct name_tree_walk *walk, const struct name_tree *names, struct str from,
                        bool beyond);

/* The number with the next name; 0 at the end. */
uint32_t name_tree_next(struct name_tree_walk *walk);
