/* The actions that access is granted for, and sets of them. */
#pragma once

#include "base/str.h"

enum action {
    ACTION_READ,     /* events: live, kept, and the list of channels */
    ACTION_PUBLISH,  /* events */
    ACTION_PRESENCE, /* the members of a channel */
    ACTION_WEBHOOKS, /* have events sent to a URL, and see and change that */
    ACTION_ADMIN,    /* delete what a channel holds, statistics, keys, revocations */
    ACTION_COUNT,
};

/* A set of actions: a bit for each. */
typedef uint8_t actions;

enum { ACTIONS_NONE = 0, ACTIONS_ALL = (1 << ACTION_COUNT) - 1 };

static inline actions action_bit(enum action action)
{
    return (actions)(1U << action);
}

static inline bool actions_have(actions set, enum action action)
{
    return set & action_bit(action);
}

/* The word of an action, as configuration, keys and tokens have it. Static memory. */
const char *action_word(enum action action);

/* Adds the action of that word to the set. False if no action has it. */
bool actions_add(actions *set, struct str word);
