#include "hub/topics.h"

#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>

/* A place in the trie of patterns. Its children hang in one map, keyed by parent and segment, so
 * that a branch with one child costs no table of its own. */
struct branch {
    struct map_node node;
    struct branch *parent;
    struct branch *star;       /* the child for "*" */
    struct view_set here;      /* patterns that end here */
    struct view_set all_below; /* patterns that end with "**" behind here */
    uint64_t id; /* 64 bits: whoever subscribes makes branches, and none may share a number */
    uint32_t children;
    uint32_t segment_len;
    char segment[];
};

static bool set_add(struct view_set *set, struct view *view)
{
    if (set->count == set->cap) {
        uint32_t cap = set->cap ? set->cap * 2 : 2;
        struct view **views = mem_try_realloc(set->views, cap * sizeof(struct view *));
        if (!views)
            return false;
        set->views = views;
        set->cap = cap;
    }
    set->views[set->count++] = view;
    return true;
}

static void set_remove(struct view_set *set, const struct view *view)
{
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->views[i] != view)
            continue;
        set->views[i] = set->views[--set->count];
        break;
    }
    if (set->count)
        return;
    free(set->views);
    *set = (struct view_set){0};
}

/* ---- names ---------------------------------------------------------------------------------- */

static bool topic_is(const struct map_node *node, struct str key)
{
    const struct topic *topic = container_of(node, const struct topic, node);
    return str_eq((struct str){topic->name, topic->name_len}, key);
}

struct topic *topics_find(const struct topics *topics, struct str name)
{
    struct map_node *node = map_find(&topics->names, name);
    return node ? container_of(node, struct topic, node) : NULL;
}

struct topic *topics_get(struct topics *topics, struct str name)
{
    struct topic *topic = topics_find(topics, name);
    if (topic)
        return topic;
    topic = mem_try_alloc(sizeof(*topic) + name.len);
    if (!topic)
        return NULL;
    *topic = (struct topic){.name_len = (uint32_t)name.len};
    memcpy(topic->name, name.at, name.len);
    map_add(&topics->names, &topic->node, name);
    return topic;
}

void topics_release(struct topics *topics, struct topic *topic)
{
    if (topic->views.count || topic->tail)
        return;
    map_remove(&topics->names, &topic->node);
    free(topic);
}

/* ---- patterns ------------------------------------------------------------------------------- */

enum { BRANCH_KEY_MAX = sizeof(uint64_t) + NAME_MAX_BYTES };

static struct str branch_key(char room[BRANCH_KEY_MAX], uint64_t parent, struct str segment)
{
    memcpy(room, &parent, sizeof(parent));
    memcpy(room + sizeof(parent), segment.at, segment.len);
    return (struct str){room, sizeof(parent) + segment.len};
}

static bool branch_is(const struct map_node *node, struct str key)
{
    const struct branch *branch = container_of(node, const struct branch, node);
    char room[BRANCH_KEY_MAX];
    struct str own = {branch->segment, branch->segment_len};
    return str_eq(branch_key(room, branch->parent->id, own), key);
}

static struct branch *branch_new(struct topics *topics, struct branch *parent, struct str segment)
{
    struct branch *branch = mem_try_alloc(sizeof(*branch) + segment.len);
    if (!branch)
        return NULL;
    *branch = (struct branch){
        .parent = parent, .id = ++topics->branch_ids, .segment_len = (uint32_t)segment.len};
    memcpy(branch->segment, segment.at, segment.len);
    return branch;
}

static struct branch *branch_child(const struct topics *topics, const struct branch *parent,
                                   struct str segment)
{
    char room[BRANCH_KEY_MAX];
    struct map_node *node = map_find(&topics->branches, branch_key(room, parent->id, segment));
    return node ? container_of(node, struct branch, node) : NULL;
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
    parent->children++;
    if (star) {
        parent->star = child;
        return child;
    }
    char room[BRANCH_KEY_MAX];
    map_add(&topics->branches, &child->node, branch_key(room, parent->id, segment));
    return child;
}

/* Frees the branch and those above it as long as nothing hangs on them. */
static void branch_prune(struct topics *topics, struct branch *branch)
{
    while (branch->parent && !branch->children && !branch->here.count && !branch->all_below.count) {
        struct branch *parent = branch->parent;
        if (parent->star == branch)
            parent->star = NULL;
        else
            map_remove(&topics->branches, &branch->node);
        parent->children--;
        free(branch);
        branch = parent;
    }
}

/* Walks down the pattern; `make` builds what is missing. NULL when there is none or no memory. */
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

static bool add_pattern(struct topics *topics, struct view *view, struct str pattern)
{
    bool all;
    struct branch *branch = descend(topics, pattern, true, &all);
    if (!branch)
        return false;
    if (!set_add(all ? &branch->all_below : &branch->here, view)) {
        branch_prune(topics, branch);
        return false;
    }
    topics->patterns++;
    return true;
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

struct walk {
    void (*each)(void *context, struct view *view);
    void *context;
};

static void tell(const struct view_set *set, const struct walk *walk)
{
    for (uint32_t i = 0; i < set->count; i++)
        walk->each(walk->context, set->views[i]);
}

/* Recursion is as deep as a name has segments, of which 255 bytes hold 128, and each branch is
 * visited at most once. */
static void match(const struct topics *topics, const struct branch *branch, struct str rest,
                  bool server, const struct walk *walk)
{
    if (!rest.at) {
        tell(&branch->here, walk);
        return;
    }
    /* A '$' segment wants to be spelled, but only the first one. */
    if (!server)
        tell(&branch->all_below, walk);
    struct str segment = str_cut(&rest, '/');
    const struct branch *child = branch_child(topics, branch, segment);
    if (child)
        match(topics, child, rest, false, walk);
    if (branch->star && !server)
        match(topics, branch->star, rest, false, walk);
}

void topics_match_patterns(const struct topics *topics, struct str name,
                           void (*each)(void *context, struct view *view), void *context)
{
    struct walk walk = {each, context};
    if (topics->patterns)
        match(topics, topics->root, name, name.len && name.at[0] == '$', &walk);
}

/* ---- views ---------------------------------------------------------------------------------- */

static bool add_name(struct topics *topics, struct view *view, struct str name)
{
    struct topic *topic = topics_get(topics, name);
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
    while (names < selection->names_count && add_name(topics, view, selection->names[names]))
        names++;
    while (names == selection->names_count && patterns < selection->patterns_count &&
           add_pattern(topics, view, selection->patterns[patterns]))
        patterns++;
    if (names == selection->names_count && patterns == selection->patterns_count)
        return 0;
    remove_some(topics, view, selection, names, patterns);
    return -ENOMEM;
}

void topics_remove_view(struct topics *topics, struct view *view, const struct selection *selection)
{
    remove_some(topics, view, selection, selection->names_count, selection->patterns_count);
}

void topics_init(struct topics *topics)
{
    *topics = (struct topics){0};
    map_init(&topics->names, topic_is);
    map_init(&topics->branches, branch_is);
    topics->root = mem_alloc(sizeof(*topics->root));
}

void topics_deinit(struct topics *topics)
{
    for (struct map_node *node = map_next(&topics->names, NULL), *next; node; node = next) {
        next = map_next(&topics->names, node);
        struct topic *topic = container_of(node, struct topic, node);
        free(topic->views.views);
        free(topic);
    }
    map_deinit(&topics->names);
    map_deinit(&topics->branches);
    free(topics->root);
}
