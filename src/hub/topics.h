/* From a channel's name to the views that want its events: names by hash, patterns by a trie. */
#pragma once

#include "base/map.h"
#include "log/selection.h"

struct view;

/* A growing set of views; order means nothing. */
struct view_set {
    struct view **views;
    uint32_t count;
    uint32_t cap;
};

/* A channel that a view names, or that has events in the window, or both. */
struct topic {
    struct map_node node;
    struct view_set views;
    uint64_t tail; /* the newest event in the window, as a position + 1; 0 for none */
    uint32_t name_len;
    char name[];
};

struct topics {
    struct map names;
    struct map branches; /* of the trie, by parent and segment */
    struct branch *root;
    uint64_t branch_ids;
    uint32_t patterns; /* how many are registered; without any the trie is not walked */
};

void topics_init(struct topics *topics);
void topics_deinit(struct topics *topics);

/* The topic of a name; NULL when there is none. */
struct topic *topics_find(const struct topics *topics, struct str name);

/* The topic of a name, made if need be; NULL when there is no memory. */
struct topic *topics_get(struct topics *topics, struct str name);

/* Frees the topic if neither a view nor the window needs it. */
void topics_release(struct topics *topics, struct topic *topic);

/* Registers a view under each of its selection's names and patterns. -ENOMEM leaves nothing behind.
 */
int topics_add_view(struct topics *topics, struct view *view, const struct selection *selection);
void topics_remove_view(struct topics *topics, struct view *view,
                        const struct selection *selection);

/* Calls `each` for every view registered under a pattern that matches; one that is registered under
 * several may come several times. */
void topics_match_patterns(const struct topics *topics, struct str name,
                           void (*each)(void *context, struct view *view), void *context);
