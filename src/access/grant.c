#include "access/grant.h"

static bool ends_open(struct str pattern)
{
    return pattern.len >= 2 && pattern.at[pattern.len - 1] == '*' &&
           pattern.at[pattern.len - 2] == '*';
}

static enum grant_reach reach_of(const struct grant *grant, struct str name)
{
    enum grant_reach reach = GRANT_NONE;
    for (size_t i = 0; i < grant->patterns_count; i++) {
        struct str pattern = grant->patterns[i];
        if (!pattern_matches(pattern, name))
            continue;
        if (ends_open(pattern))
            return GRANT_BELOW;
        reach = GRANT_NAME;
    }
    return reach;
}

enum grant_reach grants_reach(const struct grant *grants, size_t count, enum action action,
                              struct str name)
{
    enum grant_reach most = GRANT_NONE;
    for (size_t i = 0; i < count && most != GRANT_BELOW; i++) {
        enum grant_reach reach =
            actions_have(grants[i].may, action) ? reach_of(&grants[i], name) : GRANT_NONE;
        most = reach > most ? reach : most;
    }
    return most;
}
