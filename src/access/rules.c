#include "access/rules.h"

#include "base/mem.h"
#include "log/selection.h"

#include <stdlib.h>

const struct rules rules_open = {.open = true};
const struct rules rules_none = {.open = false};

static int by_prefix(const void *a, const void *b)
{
    const struct rule *left = a, *right = b;
    return str_cmp(left->prefix, right->prefix);
}

/* Everything is one allocation: the rules, then their prefixes. */
struct rules *rules_new(const struct rule *list, size_t count)
{
    size_t size = sizeof(struct rules) + count * sizeof(struct rule);
    for (size_t i = 0; i < count; i++)
        size += list[i].prefix.len;
    struct rules *rules = mem_try_alloc(size);
    if (!rules)
        return NULL;
    struct rule *at = (struct rule *)(void *)(rules + 1);
    char *text = (char *)(at + count);
    for (size_t i = 0; i < count; i++) {
        at[i] = list[i];
        if (list[i].prefix.len)
            memcpy(text, list[i].prefix.at, list[i].prefix.len);
        at[i].prefix.at = text;
        text += list[i].prefix.len;
    }
    qsort(at, count, sizeof(*at), by_prefix);
    *rules = (struct rules){.count = count, .at = at};
    return rules;
}

void rules_free(struct rules *rules)
{
    free(rules);
}

static const struct rule *find(const struct rules *rules, struct str prefix)
{
    const struct rule wanted = {.prefix = prefix};
    return rules->count ? bsearch(&wanted, rules->at, rules->count, sizeof(*rules->at), by_prefix)
                        : NULL;
}

/* The part of a name before its last segment. */
static struct str without_last(struct str name)
{
    while (name.len && name.at[name.len - 1] != '/')
        name.len--;
    name.len -= name.len > 0;
    return name;
}

actions rules_actions(const struct rules *rules, bool authenticated, struct str name)
{
    const struct rule *rule = NULL;
    if (rules->open)
        return ACTIONS_ALL;
    if (name_is_reserved(name))
        return ACTIONS_NONE;
    for (rule = find(rules, name); !rule && name.len; rule = find(rules, name))
        name = without_last(name);
    if (!rule)
        return ACTIONS_NONE;
    return authenticated ? rule->anybody | rule->authenticated : rule->anybody;
}
