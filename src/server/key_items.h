/* The API keys that stand in the configuration. */
#pragma once

#include "access/api_key.h"
#include "server/faults.h"

/* A grant of an item. The patterns are borrowed from the file, in memory of the item's own. */
struct grant_item {
    struct str patterns[GRANT_PATTERNS_MAX];
    size_t count;
    actions may;
};

/* An item of the list `keys`. Zeroes at first. */
struct key_item {
    const char *name;
    const char *key; /* the key, its digest, env:NAME or file:PATH */
    const char *expires;
    struct grant_item *grants[GRANTS_MAX]; /* owned */
    size_t grants_count;
};
void key_item_deinit(struct key_item *item);

/* Add to a grant. NULL, or the end of a sentence that says why not. */
const char *grant_item_add_channel(struct grant_item *grant, struct str text);
const char *grant_item_add_action(struct grant_item *grant, struct str text);

/* The key that the item describes. NULL after adding a fault. */
struct api_key *key_item_make(const struct key_item *item, const struct place *place,
                              struct faults *faults);
