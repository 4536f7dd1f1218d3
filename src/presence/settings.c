#include "presence/settings.h"

#include "base/mem.h"
#include "log/selection.h"

#include <stdatomic.h>
#include <stdlib.h>

/* The rules sorted by prefix, with the text of the prefixes behind them. */
struct presence_settings {
    atomic_uint refs;
    bool any;
    size_t count;
    struct presence_rule rules[];
};

static int by_prefix(const void *a, const void *b)
{
    return str_cmp(((const struct presence_rule *)a)->prefix,
                   ((const struct presence_rule *)b)->prefix);
}

struct presence_settings *presence_settings_new(const struct presence_rule *rules, size_t count)
{
    size_t text = 0;
    for (size_t i = 0; i < count; i++)
        text += rules[i].prefix.len;
    struct presence_settings *settings =
        mem_try_alloc(sizeof(*settings) + count * sizeof(*rules) + text);
    if (!settings)
        return NULL;
    *settings = (struct presence_settings){.count = count};
    atomic_init(&settings->refs, 1);
    char *room = (char *)&settings->rules[count];
    for (size_t i = 0; i < count; i++) {
        settings->rules[i] = rules[i];
        settings->rules[i].prefix.at = room;
        if (rules[i].prefix.len)
            memcpy(room, rules[i].prefix.at, rules[i].prefix.len);
        room += rules[i].prefix.len;
        settings->any |= rules[i].on;
    }
    qsort(settings->rules, count, sizeof(*rules), by_prefix);
    return settings;
}

/* The count of references is all that changes. */
static atomic_uint *refs_of(const struct presence_settings *settings)
{
    return &((struct presence_settings *)(uintptr_t)settings)->refs;
}

const struct presence_settings *presence_settings_ref(const struct presence_settings *settings)
{
    if (settings)
        atomic_fetch_add_explicit(refs_of(settings), 1, memory_order_relaxed);
    return settings;
}

void presence_settings_unref(const struct presence_settings *settings)
{
    if (settings && atomic_fetch_sub_explicit(refs_of(settings), 1, memory_order_acq_rel) == 1)
        free((void *)(uintptr_t)settings);
}

bool presence_settings_any(const struct presence_settings *settings)
{
    return settings && settings->any;
}

static bool rule_equal(const struct presence_rule *a, const struct presence_rule *b)
{
    return str_eq(a->prefix, b->prefix) && a->on == b->on && a->grace_ms == b->grace_ms &&
           a->list_max == b->list_max;
}

bool presence_settings_equal(const struct presence_settings *a, const struct presence_settings *b)
{
    if (!a || !b || a->count != b->count)
        return a == b;
    for (size_t i = 0; i < a->count; i++)
        if (!rule_equal(&a->rules[i], &b->rules[i]))
            return false;
    return true;
}

static const struct presence_rule *find(const struct presence_settings *settings, struct str prefix)
{
    const struct presence_rule wanted = {.prefix = prefix};
    return bsearch(&wanted, settings->rules, settings->count, sizeof(wanted), by_prefix);
}

const struct presence_rule *presence_settings_find(const struct presence_settings *settings,
                                                   struct str channel)
{
    if (!presence_settings_any(settings) || name_is_reserved(channel) ||
        channel.len > PRESENCE_CHANNEL_MAX)
        return NULL;
    const struct presence_rule *rule = find(settings, channel);
    for (struct str at = channel; !rule && at.len;) {
        at = name_parent(at);
        rule = find(settings, at);
    }
    return rule && rule->on ? rule : NULL;
}
