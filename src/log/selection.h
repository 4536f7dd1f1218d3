/* A reader's choice of events: channels, patterns and types, in one canonical form. */
#pragma once

#include "base/buf.h"
#include "log/event.h"
#include "log/resolved.h"

enum { SELECTION_TERMS_MAX = 100, NAME_MAX_BYTES = 255, TYPE_MAX_BYTES = 64 };

/* Bounds of a pattern. A trie of patterns is walked along every choice between a literal segment
 * and '*'. Few of both keep the walk for a name to some thousand steps, whatever strangers
 * subscribe to. */
enum { NAME_SEGMENTS_MAX = (NAME_MAX_BYTES + 1) / 2 };
enum { PATTERN_SEGMENTS_MAX = 16, PATTERN_STARS_MAX = 4 };

/* Whether `name`, decoded, is a channel's name: segments joined by '/', none empty, "." or "..", no
 * '*', no control characters, UTF-8, at most NAME_MAX_BYTES. If not, `*ret_why` (may be NULL) says
 * what is wrong and what would be right. */
bool name_valid(struct str name, const char **ret_why);

/* The part of a name before its last segment; empty for a name of one. */
static inline struct str name_parent(struct str name)
{
    while (name.len && name.at[name.len - 1] != '/')
        name.len--;
    name.len -= name.len > 0;
    return name;
}

/* Whether only the server may publish on the channel of this name. */
static inline bool name_is_reserved(struct str name)
{
    return name.len && name.at[0] == '$';
}

/* The same for a pattern: a name in which a segment may be "*", and the last may be "**". A term
 * with a wildcard has at most PATTERN_SEGMENTS_MAX segments, and PATTERN_STARS_MAX of them are
 * "*". */
bool pattern_valid(struct str pattern, const char **ret_why);

/* Whether the term has a wildcard; otherwise it is a plain name. */
bool pattern_is_wild(struct str pattern);

/* Whether `pattern` matches `name`: '*' one segment, a last '**' one or more. A first segment that
 * begins with '$' is matched only literally. */
bool pattern_matches(struct str pattern, struct str name);

/* Whether a publisher may use this type: 1 to 64 of [A-Za-z0-9._:/-], and neither "error" nor
 * "open". */
bool type_valid(struct str type, const char **ret_why);

/* Shared between threads by reference; never changed once made, apart from `resolved`. */
struct selection {
    atomic_uint refs;
    uint32_t names_count;
    uint32_t patterns_count;
    uint32_t types_count;
    struct str *names;    /* sorted, without duplicates */
    struct str *patterns; /* sorted, without duplicates */
    struct str *types;    /* sorted, without duplicates; none means all */
    /* A selection whose channels are excluded, and those that it excludes in turn; its types do not
     * count. May be NULL. A chain of selections stands for all of their terms without copying
     * them. */
    struct selection *except;
    /* Equal for equal selections; contains the terms. The excluded selection is compared by
     * address, which stays valid as long as this selection: to write it out would cost as much as
     * the whole chain. */
    struct str canonical;
    /* The numbers of the selection's channels, filled in by channels_resolve_…(). NULL until the
     * first read. */
    struct resolved *_Atomic resolved;
};

/* Terms must be valid channel names or patterns, types valid types, in any order, duplicates
 * allowed. Takes a reference to `except` (may be NULL). NULL if there is no memory. */
struct selection *selection_new(const struct str *terms, size_t terms_count,
                                const struct str *types, size_t types_count,
                                struct selection *except);
struct selection *selection_ref(struct selection *selection);
struct selection *selection_unref(struct selection *selection);

/* The numbers of the selection's channels, an empty set at first. NULL if there is no memory. Any
 * thread. */
struct resolved *selection_resolved(struct selection *selection);

bool selection_has_channel(const struct selection *selection, struct str channel);
/* The same; adds its cost to `*steps`, in searches of the patterns: about 10 ns each. A name takes
 * one step at least, and thousands if the patterns were chosen for that. */
bool selection_has_channel_counted(const struct selection *selection, struct str channel,
                                   uint64_t *steps);

bool selection_has_type(const struct selection *selection, struct str type);

/* Whether the channel is excluded: the rest of the check once a term is known to match. */
bool selection_excepts(const struct selection *selection, struct str channel);

/* The most terms that an event is compared with, including all excluded selections. The names of a
 * selection count as one, since they are searched. */
uint32_t selection_weight(const struct selection *selection);

static inline bool selection_has(const struct selection *selection, const struct event *event)
{
    return selection_has_type(selection, event->type) &&
           selection_has_channel(selection, event->channel);
}
