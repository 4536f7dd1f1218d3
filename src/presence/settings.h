/* The namespaces that have presence, and how: a snapshot that threads share and never change. */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PRESENCE_GRACE_MS = 10000, /* defaults of presence_grace_ms */
    PRESENCE_GRACE_MS_MAX = 3600000,
    PRESENCE_POLL_GRACE_MS = 30000, /* at least, after a poll: a poller is there between polls */
    PRESENCE_LIST_MAX = 1000,       /* and of presence_list_max */
    /* Longer names have no presence: with $presence/ before them they are no names any more. */
    PRESENCE_CHANNEL_MAX = 255 - 10,
};

/* Of a namespace: the longest prefix of a channel's name decides. */
struct presence_rule {
    struct str prefix; /* whole segments; empty for all */
    bool on;
    uint32_t grace_ms;
    uint32_t list_max; /* members of a channel up to which joined and left are told */
};

struct presence_settings;

/* A copy of the rules, with one reference; NULL if there is no memory. */
struct presence_settings *presence_settings_new(const struct presence_rule *rules, size_t count);
const struct presence_settings *presence_settings_ref(const struct presence_settings *settings);
void presence_settings_unref(const struct presence_settings *settings);

bool presence_settings_equal(const struct presence_settings *a, const struct presence_settings *b);

/* Whether any namespace has presence. NULL is fine. */
bool presence_settings_any(const struct presence_settings *settings);

/* The rule of a channel; NULL if it has no presence. Channels of the server's own have none. */
const struct presence_rule *presence_settings_find(const struct presence_settings *settings,
                                                   struct str channel);
