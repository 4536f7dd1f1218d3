/* The rules of the configuration: the actions that anybody has in a namespace, and those that
 * anybody with a valid credential has. */
#pragma once

#include "access/action.h"

#include <stdatomic.h>

/* The rule of the channels under a prefix. */
struct rule {
    struct str prefix;     /* whole segments; empty for all channels but the server's own */
    actions anybody;       /* for everybody, with a credential or without */
    actions authenticated; /* in addition, for everybody with a valid credential */
};

/* Immutable, so any thread may read them. The longest prefix decides for a channel, alone. */
struct rules {
    atomic_uint refs;
    bool open; /* everybody may do everything: there is nothing to enforce */
    size_t count;
    const struct rule *at; /* sorted by prefix */
};

/* The rules of a server that enforces none. The server itself, and what its configuration vouches
 * for, ask under them as well. */
extern const struct rules rules_open;

/* Rules that give nothing, so that only grants count. */
extern const struct rules rules_none;

/* Rules that are enforced: copies of these, each with another prefix. No rules at all mean that
 * only grants count. NULL if there is no memory. There is one reference. */
struct rules *rules_new(const struct rule *list, size_t count);

/* Any thread; NULL, rules_open and rules_none are fine, and are not counted. */
const struct rules *rules_ref(const struct rules *rules);
void rules_unref(const struct rules *rules);

/* Whether both give the same actions for all names. */
bool rules_equal(const struct rules *a, const struct rules *b);

/* The actions that the rules give for a name, which may have segments `*`: see reach.h. No prefix
 * has the server's own channels, whose names begin with `$`. */
actions rules_actions(const struct rules *rules, bool authenticated, struct str name);
