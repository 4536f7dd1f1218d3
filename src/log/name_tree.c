#include "log/name_tree.h"

#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>

enum { CHUNK_BITS = 12, CHUNK = 1 << CHUNK_BITS, CHUNKS_FIRST = 16, NO_BIT = NAME_TREE_DEPTH };

struct name_tree_node {
    uint32_t child[2];
    uint16_t bit; /* the first in which the names below differ; 0 is the first byte's highest */
    bool is_leaf[2];
};

struct name_tree_chunk {
    struct name_tree_node nodes[CHUNK];
};

_Static_assert(sizeof(struct name_tree_node) == 12, "a channel costs 12 bytes here");

void name_tree_init(struct name_tree *names,
                    struct str (*name_of)(const void *owner, uint32_t number), const void *owner)
{
    *names = (struct name_tree){.name_of = name_of, .owner = owner};
}

void name_tree_deinit(struct name_tree *names)
{
    for (size_t i = 0; i < names->chunks_cap; i++)
        free(names->chunks[i]);
    free(names->chunks);
    *names = (struct name_tree){0};
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static struct name_tree_node *node_at(const struct name_tree *names, uint32_t at)
{
    return &names->chunks[at >> CHUNK_BITS]->nodes[at & (CHUNK - 1)];
}

static bool chunks_room(struct name_tree *names, size_t at)
{
    if (at < names->chunks_cap)
        return true;
    size_t cap = names->chunks_cap ? names->chunks_cap * 2 : CHUNKS_FIRST;
    struct name_tree_chunk **room =
        mem_try_realloc(names->chunks, cap * sizeof(struct name_tree_chunk *));
    if (!room)
        return false;
    memset(room + names->chunks_cap, 0,
           (cap - names->chunks_cap) * sizeof(struct name_tree_chunk *));
    names->chunks = room;
    names->chunks_cap = cap;
    return true;
}

/* Takes a node into use; false when there is no memory. */
static bool take_node(struct name_tree *names, uint32_t *ret_at)
{
    if (names->free) {
        *ret_at = names->free - 1;
        names->free = node_at(names, *ret_at)->child[0];
        return true;
    }
    size_t chunk = names->made >> CHUNK_BITS;
    if (!chunks_room(names, chunk))
        return false;
    if (!names->chunks[chunk])
        names->chunks[chunk] = mem_try_alloc(sizeof(struct name_tree_chunk));
    if (!names->chunks[chunk])
        return false;
    *ret_at = names->made++;
    return true;
}

static void give_node(struct name_tree *names, uint32_t at)
{
    node_at(names, at)->child[0] = names->free;
    names->free = at + 1;
}

static struct name_tree_ref child_of(const struct name_tree_node *node, unsigned side)
{
    return (struct name_tree_ref){node->child[side], node->is_leaf[side]};
}

static void set_child(struct name_tree_node *node, unsigned side, struct name_tree_ref ref)
{
    node->child[side] = ref.at;
    node->is_leaf[side] = ref.is_leaf;
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

/* The first bit in which the names differ; NO_BIT when they are equal. */
static unsigned first_difference(struct str a, struct str b)
{
    size_t end = a.len > b.len ? a.len : b.len, i = 0;
    while (i < end && byte_at(a, i) == byte_at(b, i))
        i++;
    if (i >= end || i >= NAME_TREE_DEPTH / 8)
        return NO_BIT;
    unsigned differing = byte_at(a, i) ^ byte_at(b, i);
    return (unsigned)i * 8 + (unsigned)__builtin_clz(differing) - 24;
}

/* The leaf that shares the most bits with the name, among those that may be equal to it. */
static uint32_t nearest(const struct name_tree *names, struct str name)
{
    struct name_tree_ref ref = names->root;
    while (!ref.is_leaf) {
        const struct name_tree_node *node = node_at(names, ref.at);
        ref = child_of(node, bit_of(name, node->bit));
    }
    return ref.at;
}

/* ---- changes --------------------------------------------------------------------------------- */

/* Where a reference is kept: at a node's side, or at the root. */
struct place {
    struct name_tree_node *node; /* NULL: the root */
    unsigned side;
};

static void put(struct name_tree *names, struct place place, struct name_tree_ref ref)
{
    if (place.node)
        set_child(place.node, place.side, ref);
    else
        names->root = ref;
}

/* Goes down towards the name as far as nodes distinguish bits before `bit`. */
static struct name_tree_ref go_down(const struct name_tree *names, struct str name, unsigned bit,
                                    struct place *ret_place)
{
    struct name_tree_ref ref = names->root;
    *ret_place = (struct place){0};
    while (!ref.is_leaf && node_at(names, ref.at)->bit < bit) {
        struct name_tree_node *node = node_at(names, ref.at);
        *ret_place = (struct place){node, bit_of(name, node->bit)};
        ref = child_of(node, ret_place->side);
    }
    return ref;
}

/* Puts a new node above all names that agree with the last up to `bit`, and the leaf beside them.
 */
static void put_right(struct name_tree_filler *filler, unsigned bit, struct name_tree_ref leaf,
                      uint32_t at)
{
    struct name_tree *names = filler->names;
    while (filler->depth && node_at(names, filler->edge[filler->depth - 1])->bit > bit)
        filler->depth--;
    struct place place = {.side = 1};
    if (filler->depth)
        place.node = node_at(names, filler->edge[filler->depth - 1]);
    struct name_tree_node *node = node_at(names, at);
    node->bit = (uint16_t)bit;
    set_child(node, 0, place.node ? child_of(place.node, 1) : names->root);
    set_child(node, 1, leaf);
    put(names, place, (struct name_tree_ref){at, false});
    filler->edge[filler->depth++] = at;
}

int name_tree_append(struct name_tree_filler *filler, struct str name, uint32_t number)
{
    struct name_tree *names = filler->names;
    struct name_tree_ref leaf = {number, true};
    unsigned bit = names->count ? first_difference(filler->last, name) : 0;
    uint32_t at = 0;
    if (bit == NO_BIT)
        return NAME_TREE_E_TWIN;
    if (names->count && !take_node(names, &at))
        return -ENOMEM;
    if (names->count)
        put_right(filler, bit, leaf, at);
    else
        names->root = leaf;
    filler->last = name;
    names->count++;
    return 0;
}

int name_tree_add(struct name_tree *names, struct str name, uint32_t number)
{
    struct name_tree_ref leaf = {number, true};
    struct place place;
    uint32_t at;
    if (!names->count) {
        names->root = leaf;
        names->count = 1;
        return 0;
    }
    unsigned bit = first_difference(name, names->name_of(names->owner, nearest(names, name)));
    if (bit == NO_BIT || !take_node(names, &at))
        return -ENOMEM;
    struct name_tree_ref other = go_down(names, name, bit, &place);
    struct name_tree_node *node = node_at(names, at);
    unsigned side = bit_of(name, bit);
    node->bit = (uint16_t)bit;
    set_child(node, side, leaf);
    set_child(node, !side, other);
    put(names, place, (struct name_tree_ref){at, false});
    names->count++;
    return 0;
}

void name_tree_remove(struct name_tree *names, struct str name)
{
    struct name_tree_ref ref = names->root;
    struct place place = {0}; /* of the node above `ref` */
    uint32_t above = 0;
    unsigned side = 0;
    if (!names->count)
        return;
    while (!ref.is_leaf) {
        if (ref.at != names->root.at)
            place = (struct place){node_at(names, above), side};
        above = ref.at;
        side = bit_of(name, node_at(names, above)->bit);
        ref = child_of(node_at(names, above), side);
    }
    if (!str_eq(names->name_of(names->owner, ref.at), name))
        return;
    if (--names->count) {
        put(names, place, child_of(node_at(names, above), !side));
        give_node(names, above);
    }
}

/* ---- walks ----------------------------------------------------------------------------------- */

static uint32_t leftmost(struct name_tree_walk *walk, struct name_tree_ref ref)
{
    while (!ref.is_leaf) {
        walk->waiting[walk->depth++] = ref.at;
        ref = child_of(node_at(walk->names, ref.at), 0);
    }
    return ref.at;
}

uint32_t name_tree_next(struct name_tree_walk *walk)
{
    if (!walk->depth)
        return 0;
    uint32_t at = walk->waiting[--walk->depth];
    return leftmost(walk, child_of(node_at(walk->names, at), 1));
}

/* Goes down as go_down() does; where it goes left, the right waits. */
static struct name_tree_ref seek_down(struct name_tree_walk *walk, struct str name, unsigned bit)
{
    struct name_tree_ref ref = walk->names->root;
    while (!ref.is_leaf && node_at(walk->names, ref.at)->bit < bit) {
        const struct name_tree_node *node = node_at(walk->names, ref.at);
        unsigned side = bit_of(name, node->bit);
        if (!side)
            walk->waiting[walk->depth++] = ref.at;
        ref = child_of(node, side);
    }
    return ref;
}

uint32_t name_tree_seek(struct name_tree_walk *walk, const struct name_tree *names, struct str from,
                        bool beyond)
{
    walk->names = names;
    walk->depth = 0;
    if (!names->count)
        return 0;
    unsigned bit = first_difference(from, names->name_of(names->owner, nearest(names, from)));
    struct name_tree_ref ref = seek_down(walk, from, bit);
    /* All names under `ref` agree with `from` before that bit, and differ from it there. */
    bool is_above = bit == NO_BIT ? !beyond : !bit_of(from, bit);
    return is_above ? leftmost(walk, ref) : name_tree_next(walk);
}
