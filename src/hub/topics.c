#include "hub/topics.h"

#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>

/* A node of the trie of patterns. All children are in one map, keyed by parent and segment, so that
 * a branch with one child needs no table of its own. */
struct branch {
    struct map_node node;
    struct branch *parent;
    struct branch *star;       /* the child for "*" */
    struct branch *spelled;    /* a child other than "*": most branches have one, which is then
                                * found without the map */
    struct view_set here;      /* patterns that end here */
    struct view_set all_below; /* patterns that end with "**" below this branch */
    uint64_t hash;             /* of the segment */
    uint64_t id; /* 64 bits: subscribing makes branches, and a number must never be used twice */
    uint32_t children;
    uint32_t segment_len;
    char segment[];
};

/* ---- sets of views -------------------------------------------------------------------------- */

/* A set of one view has no table, a small set is a dense array, a larger one a hash table. The hash
 * table keeps ten thousand subscribers of a channel that all leave from searching each for itself
 * in a list of the others. */

enum { SET_DENSE_MAX = 8 };

static uint32_t place_of(const struct view_set *set, const struct view *view)
{
    return (uint32_t)(((uintptr_t)view >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (set->cap - 1);
}

static bool is_hashed(const struct view_set *set)
{
    return set->cap > SET_DENSE_MAX;
}

static void put(struct view_set *set, struct view *view)
{
    uint32_t i = is_hashed(set) ? place_of(set, view) : set->count;
    while (set->views[i])
        i = (i + 1) & (set->cap - 1);
    set->views[i] = view;
}

/* Half of a hash table stays empty. */
static bool is_full(const struct view_set *set)
{
    return is_hashed(set) ? set->count >= set->cap / 2 : set->count == set->cap;
}

static bool grow(struct view_set *set)
{
    uint32_t cap = set->cap == SET_DENSE_MAX ? 4 * SET_DENSE_MAX : set->cap ? set->cap * 2 : 2;
    struct view **views = mem_try_alloc(cap * sizeof(struct view *));
    if (!views)
        return false;
    memset(views, 0, cap * sizeof(struct view *));
    struct view_set larger = {.views = views, .cap = cap};
    struct view *view;
    for (uint32_t i = 0; (view = view_set_next(set, &i)); larger.count++)
        put(&larger, view);
    if (set->cap)
        free(set->views);
    *set = larger;
    return true;
}

static bool set_add(struct view_set *set, struct view *view)
{
    if (!set->count && !set->cap) {
        *set = (struct view_set){.one = view, .count = 1};
        return true;
    }
    if ((!set->cap || is_full(set)) && !grow(set))
        return false;
    put(set, view);
    set->count++;
    return true;
}

/* Fills a place that became empty: moves back a later entry that was meant for this place or one
 * before. A search ends at the first empty place. */
static void close_hole(struct view_set *set, uint32_t hole)
{
    uint32_t mask = set->cap - 1;
    for (uint32_t i = (hole + 1) & mask; set->views[i]; i = (i + 1) & mask) {
        uint32_t home = place_of(set, set->views[i]);
        if (((i - home) & mask) < ((i - hole) & mask))
            continue;
        set->views[hole] = set->views[i];
        set->views[i] = NULL;
        hole = i;
    }
}

static bool take_out(struct view_set *set, const struct view *view)
{
    uint32_t i = is_hashed(set) ? place_of(set, view) : 0;
    for (uint32_t n = 0; n < set->cap && set->views[i]; n++, i = (i + 1) & (set->cap - 1)) {
        if (set->views[i] != view)
            continue;
        set->views[i] = NULL;
        if (is_hashed(set)) {
            close_hole(set, i);
        } else {
            set->views[i] = set->views[set->count - 1];
            set->views[set->count - 1] = NULL;
        }
        return true;
    }
    return false;
}

static void set_remove(struct view_set *set, const struct view *view)
{
    if (!set->cap ? set->one != view : !take_out(set, view))
        return;
    if (--set->count)
        return;
    if (set->cap)
        free(set->views);
    *set = (struct view_set){0};
}

/* ---- names ---------------------------------------------------------------------------------- */

static bool topic_is(const struct map_node *node, struct str key)
{
    const struct topic *topic = container_of(node, const struct topic, node);
    return str_eq((struct str){topic->name, topic->name_len}, key);
}

static struct topic *find_hashed(const struct topics *topics, uint32_t hash, struct str name)
{
    struct map_node *node = map_find_hashed(&topics->names, hash, name);
    return node ? container_of(node, struct topic, node) : NULL;
}

static struct topic *add_hashed(struct topics *topics, uint32_t hash, struct str name)
{
    struct topic *topic = mem_try_alloc(sizeof(*topic) + name.len);
    if (!topic)
        return NULL;
    *topic = (struct topic){.name_len = (uint32_t)name.len};
    memcpy(topic->name, name.at, name.len);
    map_add_hashed(&topics->names, &topic->node, hash);
    return topic;
}

static struct topic *get_hashed(struct topics *topics, uint32_t hash, struct str name)
{
    struct topic *topic = find_hashed(topics, hash, name);
    return topic ? topic : add_hashed(topics, hash, name);
}

struct topic *topics_find(const struct topics *topics, struct str name)
{
    return find_hashed(topics, map_hash_of(&topics->names, name), name);
}

struct topic *topics_find_of(const struct topics *topics, const struct event *event)
{
    return find_hashed(topics, event->hash, event->channel);
}

struct topic *topics_get(struct topics *topics, const struct event *event)
{
    return get_hashed(topics, event->hash, event->channel);
}

void topics_release(struct topics *topics, struct topic *topic)
{
    if (topic->views.count || topic->tail)
        return;
    map_remove(&topics->names, &topic->node);
    free(topic);
}

/* ---- patterns ------------------------------------------------------------------------------- */

/* The key of a branch: its parent and the hash of its segment. A walk along a name computes the
 * hash once for all branches of that depth. */
struct branch_key {
    uint64_t parent;
    uint64_t segment;
};

static uint64_t segment_hash(const struct topics *topics, struct str segment)
{
    return map_hash(topics->branches.seed, segment);
}

static struct str key_bytes(const struct branch_key *key)
{
    return (struct str){(const char *)key, sizeof(*key)};
}

static bool branch_is(const struct map_node *node, struct str key_)
{
    const struct branch *branch = container_of(node, const struct branch, node);
    struct branch_key key;
    memcpy(&key, key_.at, sizeof(key));
    return branch->parent->id == key.parent && branch->hash == key.segment;
}

static struct branch *branch_new(struct topics *topics, struct branch *parent, struct str segment)
{
    struct branch *branch = mem_try_alloc(sizeof(*branch) + segment.len);
    if (!branch)
        return NULL;
    *branch = (struct branch){.parent = parent,
                              .id = ++topics->branch_ids,
                              .hash = segment_hash(topics, segment),
                              .segment_len = (uint32_t)segment.len};
    memcpy(branch->segment, segment.at, segment.len);
    topics->branches_count++;
    return branch;
}

static void branch_free(struct topics *topics, struct branch *branch)
{
    topics->branches_count--;
    free(branch);
}

static uint32_t spelled_children(const struct branch *branch)
{
    return branch->children - (branch->star ? 1 : 0);
}

/* Mixes the segment's keyed hash with the parent's number. */
static uint32_t mix(uint64_t parent, uint64_t segment)
{
    uint64_t x = (segment ^ parent * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd6e8feb86659fd93);
    return (uint32_t)(x >> 32);
}

/* The child whose segment has this hash; the caller compares the segment itself. */
static struct branch *child_by_hash(const struct topics *topics, const struct branch *parent,
                                    uint64_t hash)
{
    if (parent->spelled && parent->spelled->hash == hash)
        return parent->spelled;
    if (spelled_children(parent) <= (parent->spelled ? 1 : 0))
        return NULL;
    struct branch_key key = {parent->id, hash};
    struct map_node *node =
        map_find_hashed(&topics->branches, mix(parent->id, hash), key_bytes(&key));
    return node ? container_of(node, struct branch, node) : NULL;
}

static bool has_segment(const struct branch *branch, struct str segment)
{
    return str_eq((struct str){branch->segment, branch->segment_len}, segment);
}

static struct branch *branch_child(const struct topics *topics, const struct branch *parent,
                                   struct str segment)
{
    struct branch *child = child_by_hash(topics, parent, segment_hash(topics, segment));
    return child && has_segment(child, segment) ? child : NULL;
}

static struct branch *branch_get(struct topics *topics, struct branch *parent, struct str segment)
{
    bool star = str_eq(segment, STR("*"));
    struct branch *child = star ? parent->star : branch_child(topics, parent, segment);
    if (child)
        return child;
    child = branch_new(topics, parent, segment);
    if (!child)
        return NULL;
    if (!star && child_by_hash(topics, parent, child->hash)) {
        branch_free(topics, child); /* two segments with the same hash, once in 2^64 */
        return NULL;
    }
    parent->children++;
    if (star) {
        parent->star = child;
        return child;
    }
    map_add_hashed(&topics->branches, &child->node, mix(parent->id, child->hash));
    if (!parent->spelled)
        parent->spelled = child;
    return child;
}

/* Frees the branch and those above it that have neither children nor views. */
static void branch_prune(struct topics *topics, struct branch *branch)
{
    while (branch->parent && !branch->children && !branch->here.count && !branch->all_below.count) {
        struct branch *parent = branch->parent;
        if (parent->star == branch)
            parent->star = NULL;
        else
            map_remove(&topics->branches, &branch->node);
        if (parent->spelled == branch)
            parent->spelled = NULL;
        parent->children--;
        branch_free(topics, branch);
        branch = parent;
    }
}

/* Walks down the pattern; with `make` it creates missing branches. NULL if a branch is missing or
 * there is no memory. */
static struct branch *descend(struct topics *topics, struct str pattern, bool make, bool *ret_all)
{
    struct branch *branch = topics->root;
    *ret_all = false;
    while (pattern.at) {
        struct str segment = str_cut(&pattern, '/');
        if (str_eq(segment, STR("**")) && !pattern.at) {
            *ret_all = true;
            return branch;
        }
        struct branch *child = make                        ? branch_get(topics, branch, segment)
                               : str_eq(segment, STR("*")) ? branch->star
                                                           : branch_child(topics, branch, segment);
        if (!child) {
            if (make)
                branch_prune(topics, branch);
            return NULL;
        }
        branch = child;
    }
    return branch;
}

/* The number of branches of the pattern that are not in the trie yet. */
static size_t branches_missing(const struct topics *topics, struct str pattern)
{
    const struct branch *branch = topics->root;
    size_t missing = 0;
    while (pattern.at) {
        struct str segment = str_cut(&pattern, '/');
        if (str_eq(segment, STR("**")) && !pattern.at)
            break;
        if (branch)
            branch =
                str_eq(segment, STR("*")) ? branch->star : branch_child(topics, branch, segment);
        missing += !branch;
    }
    return missing;
}

static bool has_room(const struct topics *topics, size_t branches)
{
    return !topics->branches_max || topics->branches_count + branches <= topics->branches_max;
}

bool topics_has_room(const struct topics *topics, const struct selection *selection)
{
    size_t missing = 0;
    for (uint32_t i = 0; i < selection->patterns_count; i++)
        missing += branches_missing(topics, selection->patterns[i]);
    return has_room(topics, missing);
}

static int add_pattern(struct topics *topics, struct view *view, struct str pattern)
{
    bool all;
    if (!has_room(topics, branches_missing(topics, pattern)))
        return -ENOSPC;
    struct branch *branch = descend(topics, pattern, true, &all);
    if (!branch)
        return -ENOMEM;
    if (!set_add(all ? &branch->all_below : &branch->here, view)) {
        branch_prune(topics, branch);
        return -ENOMEM;
    }
    topics->patterns++;
    return 0;
}

static void remove_pattern(struct topics *topics, struct view *view, struct str pattern)
{
    bool all;
    struct branch *branch = descend(topics, pattern, false, &all);
    if (!branch)
        return;
    set_remove(all ? &branch->all_below : &branch->here, view);
    topics->patterns--;
    branch_prune(topics, branch);
}

/* A walk along a name. Each segment is cut off and hashed once, only as deep as the trie goes. */
struct walk {
    const struct topics *topics;
    void (*each)(void *context, struct view *view);
    void *context;
    struct str rest; /* behind the segments that were cut off */
    unsigned count;  /* number of these segments */
    unsigned hashed;
    uint64_t steps;
    struct str segments[NAME_SEGMENTS_MAX];
    uint64_t hashes[NAME_SEGMENTS_MAX];
};

static void tell(const struct view_set *set, const struct walk *walk)
{
    struct view *view;
    for (uint32_t i = 0; (view = view_set_next(set, &i));)
        walk->each(walk->context, view);
}

/* Whether the name has a segment at this depth. */
static bool has_depth(struct walk *walk, unsigned depth)
{
    if (depth < walk->count)
        return true;
    if (!walk->rest.at || depth == NAME_SEGMENTS_MAX)
        return false;
    walk->segments[walk->count++] = str_cut(&walk->rest, '/');
    return true;
}

static const struct branch *spelled_child(struct walk *walk, const struct branch *branch,
                                          unsigned depth)
{
    if (!spelled_children(branch))
        return NULL;
    while (walk->hashed <= depth) {
        walk->hashes[walk->hashed] = segment_hash(walk->topics, walk->segments[walk->hashed]);
        walk->hashed++;
    }
    const struct branch *child = child_by_hash(walk->topics, branch, walk->hashes[depth]);
    return child && has_segment(child, walk->segments[depth]) ? child : NULL;
}

/* The depth of the trie bounds the recursion. Each branch is visited once at most. */
static void match(struct walk *walk, const struct branch *branch, unsigned depth)
{
    walk->steps++;
    if (!has_depth(walk, depth)) {
        tell(&branch->here, walk);
        return;
    }
    /* A first segment with '$' must be named: "*" does not match it. */
    bool server = !depth && walk->segments[0].len && walk->segments[0].at[0] == '$';
    if (!server)
        tell(&branch->all_below, walk);
    const struct branch *child = spelled_child(walk, branch, depth);
    if (child)
        match(walk, child, depth + 1);
    if (branch->star && !server)
        match(walk, branch->star, depth + 1);
}

uint64_t topics_match_patterns(const struct topics *topics, struct str name,
                               void (*each)(void *context, struct view *view), void *context)
{
    if (!topics->patterns)
        return 0;
    struct walk walk; /* not initialised: a walk fills the part of the arrays that it reaches */
    walk.topics = topics;
    walk.each = each;
    walk.context = context;
    walk.rest = name;
    walk.count = walk.hashed = 0;
    walk.steps = 0;
    match(&walk, topics->root, 0);
    return walk.steps;
}

/* ---- views ---------------------------------------------------------------------------------- */

static bool add_name(struct topics *topics, struct view *view, struct str name)
{
    struct topic *topic = get_hashed(topics, map_hash_of(&topics->names, name), name);
    if (!topic)
        return false;
    bool added = set_add(&topic->views, view);
    topics_release(topics, topic);
    return added;
}

static void remove_some(struct topics *topics, struct view *view, const struct selection *selection,
                        uint32_t names, uint32_t patterns)
{
    for (uint32_t i = 0; i < names; i++) {
        struct topic *topic = topics_find(topics, selection->names[i]);
        if (!topic)
            continue;
        set_remove(&topic->views, view);
        topics_release(topics, topic);
    }
    for (uint32_t i = 0; i < patterns; i++)
        remove_pattern(topics, view, selection->patterns[i]);
}

int topics_add_view(struct topics *topics, struct view *view, const struct selection *selection)
{
    uint32_t names = 0, patterns = 0;
    int result = 0;
    while (names < selection->names_count && add_name(topics, view, selection->names[names]))
        names++;
    if (names < selection->names_count)
        result = -ENOMEM;
    while (!result && patterns < selection->patterns_count) {
        result = add_pattern(topics, view, selection->patterns[patterns]);
        patterns += !result;
    }
    if (result)
        remove_some(topics, view, selection, names, patterns);
    return result;
}

void topics_remove_view(struct topics *topics, struct view *view, const struct selection *selection)
{
    remove_some(topics, view, selection, selection->names_count, selection->patterns_count);
}

void topics_init(struct topics *topics, const uint64_t seed[2])
{
    *topics = (struct topics){0};
    map_init(&topics->names, topic_is);
    map_share_seed(&topics->names, seed);
    map_init(&topics->branches, branch_is);
    topics->root = mem_alloc(sizeof(*topics->root));
}

void topics_deinit(struct topics *topics)
{
    for (struct map_node *node = map_next(&topics->names, NULL), *next; node; node = next) {
        next = map_next(&topics->names, node);
        struct topic *topic = container_of(node, struct topic, node);
        if (topic->views.cap)
            free(topic->views.views);
        free(topic);
    }
    map_deinit(&topics->names);
    map_deinit(&topics->branches);
    free(topics->root);
}
