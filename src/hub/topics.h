/* From a channel's name to the views that want its events: names by hash, patterns by a trie. */
#pragma once

#include "base/map.h"
#include "log/selection.h"

struct view;

/* A set of views, each in it once; order means nothing. */
struct view_set {
    union {
        struct view *one;    /* while cap is 0 */
        struct view **views; /* cap places, of which some are empty */
    };
    uint32_t count;
    uint32_t cap; /* 0 or a power of two */
};

/* The next view at or behind place `*at`, which moves on; NULL at the end. Begin with 0. The set
 * must not change meanwhile. */
static inline struct view *view_set_next(const struct view_set *set, uint32_t *at)
{
    if (!set->cap)
        return set->count && !(*at)++ ? set->one : NULL;
    while (*at < set->cap) {
        struct view *view = set->views[(*at)++];
        if (view)
            return view;
    }
    return NULL;
}

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
    size_t branches_count;
    size_t branches_max; /* 0 for no bound; set by the owner */
    uint32_t patterns;   /* how many are registered; without any the trie is not walked */
};

void topics_init(struct topics *topics);
void topics_deinit(struct topics *topics);

/* The topic of a name; NULL when there is none. */
struct topic *topics_find(const struct topics *topics, struct str name);

/* The topic of a name, made if need be; NULL when there is no memory. */
struct topic *topics_get(struct topics *topics, struct str name);

/* Frees the topic if neither a view nor the window needs it. */
void topics_release(struct topics *topics, struct topic *topic);

/* Registers a view under each of its selection's names and patterns. -ENOMEM, or -ENOSPC when
 * branches_max is reached, leaves nothing behind. */
int topics_add_view(struct topics *topics, struct view *view, const struct selection *selection);

/* Whether the selection's patterns fit below branches_max. */
bool topics_has_room(const struct topics *topics, const struct selection *selection);

void topics_remove_view(struct topics *topics, struct view *view,
                        const struct selection *selection);

/* Calls `each` for every view registered under a pattern that matches; one that is registered under
 * several may come several times. Returns how many branches of the trie were looked at, which is
 * what the match costs beside `each`: a few for patterns that people write, and at most some
 * thousand within the bounds of a pattern. */
uint64_t topics_match_patterns(const struct topics *topics, struct str name,
                               void (*each)(void *context, struct view *view), void *context);
