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
    atomic_init(&rules->refs, 1);
    return rules;
}

/* The rules are immutable, but for the count of their references. */
static struct rules *counted(const struct rules *rules)
{
    return rules && !rules->open && rules != &rules_none ? (struct rules *)(uintptr_t)rules : NULL;
}

const struct rules *rules_ref(const struct rules *rules)
{
    struct rules *shared = counted(rules);
    if (shared)
        atomic_fetch_add_explicit(&shared->refs, 1, memory_order_relaxed);
    return rules;
}

void rules_unref(const struct rules *rules)
{
    struct rules *shared = counted(rules);
    if (shared && atomic_fetch_sub_explicit(&shared->refs, 1, memory_order_acq_rel) == 1)
        free(shared);
}

static bool rule_equal(const struct rule *a, const struct rule *b)
{
    return str_eq(a->prefix, b->prefix) && a->anybody == b->anybody &&
           a->authenticated == b->authenticated;
}

bool rules_equal(const struct rules *a, const struct rules *b)
{
    if (a->open || b->open)
        return a->open == b->open;
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!rule_equal(&a->at[i], &b->at[i]))
            return false;
    return true;
}

static const struct rule *find(const struct rules *rules, struct str prefix)
{
    const struct rule wanted = {.prefix = prefix};
    return rules->count ? bsearch(&wanted, rules->at, rules->count, sizeof(*rules->at), by_prefix)
                        : NULL;
}

actions rules_actions(const struct rules *rules, bool authenticated, struct str name)
{
    const struct rule *rule = NULL;
    if (rules->open)
        return ACTIONS_ALL;
    if (name_is_reserved(name))
        return ACTIONS_NONE;
    for (rule = find(rules, name); !rule && name.len; rule = find(rules, name))
        name = name_parent(name);
    if (!rule)
        return ACTIONS_NONE;
    return authenticated ? rule->anybody | rule->authenticated : rule->anybody;
}
