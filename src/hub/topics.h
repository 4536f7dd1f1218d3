/* A map from a channel's name to the views that want its events: names by hash, patterns by a
 * trie. */
#pragma once

#include "base/map.h"
#include "log/selection.h"

struct view;

/* A set of views, in no order. */
struct view_set {
    union {
        struct view *one;    /* the only view, while cap is 0 */
        struct view **views; /* cap places, some of them empty */
    };
    uint32_t count;
    uint32_t cap; /* 0 or a power of two */
};

/* The next view at or behind place `*at`, which moves on; NULL at the end. Begin with 0. Do not
 * change the set meanwhile. */
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

/* A channel that a view names, or that has events in the window. */
struct topic {
    struct map_node node;
    struct view_set views;
    uint64_t tail; /* position + 1 of the newest event in the window; 0: none */
    uint32_t name_len;
    char name[];
};

struct topics {
    struct map names;
    struct map branches; /* by parent and segment */
    struct branch *root;
    uint64_t branch_ids;
    size_t branches_count;
    size_t branches_max; /* 0: no bound; set by the owner */
    uint32_t patterns;   /* number of registered patterns; without any the trie is not walked */
};

/* `seed` is that of event.hash (log_name_seed()). */
void topics_init(struct topics *topics, const uint64_t seed[2]);
void topics_deinit(struct topics *topics);

/* The topic of a name; NULL if there is none. */
struct topic *topics_find(const struct topics *topics, struct str name);

/* The same for the channel of an event, whose hash is known. */
struct topic *topics_find_of(const struct topics *topics, const struct event *event);

/* The topic of an event's channel, created if need be; NULL if there is no memory. */
struct topic *topics_get(struct topics *topics, const struct event *event);

/* Frees the topic if neither a view nor the window needs it. */
void topics_release(struct topics *topics, struct topic *topic);

/* Registers a view under each of its selection's names and patterns. Returns 0, or -ENOMEM or, at
 * branches_max, -ENOSPC with nothing registered. */
int topics_add_view(struct topics *topics, struct view *view, const struct selection *selection);

/* Whether the selection's patterns fit below branches_max. */
bool topics_has_room(const struct topics *topics, const struct selection *selection);

void topics_remove_view(struct topics *topics, struct view *view,
                        const struct selection *selection);

/* Calls `each` for every view under a pattern that matches, once for each such pattern. Returns the
 * number of branches that were visited, which is the cost beside `each`: a few for ordinary
 * patterns, some thousand at most. */
uint64_t topics_match_patterns(const struct topics *topics, struct str name,
                               void (*each)(void *context, struct view *view), void *context);
