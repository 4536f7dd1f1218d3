#include "access/action.h"

static const char *const words[ACTION_COUNT] = {
    [ACTION_READ] = "read",         [ACTION_PUBLISH] = "publish", [ACTION_PRESENCE] = "presence",
    [ACTION_WEBHOOKS] = "webhooks", [ACTION_ADMIN] = "admin",
};

const char *action_word(enum action action)
{
    return words[action];
}

bool actions_add(actions *set, struct str word)
{
    for (unsigned i = 0; i < ACTION_COUNT; i++)
        if (str_eq(word, str_from(words[i]))) {
            *set |= action_bit((enum action)i);
            return true;
        }
    return false;
}
