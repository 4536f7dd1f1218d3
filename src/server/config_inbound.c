#include "server/config_inbound.h"

#include "base/mem.h"
#include "server/sources.h"

#include <stdlib.h>

void config_read_secrets(struct config_walk *walk, const struct key *key,
                         const struct walk_entry *entry, void *base)
{
    for (size_t i = 0; i < yaml_count(entry->value); i++) {
        struct yaml_value item = yaml_item(entry->value, i);
        struct place place = yaml_place(item);
        if (!walk_is_text(walk, key, item))
            continue;
        walk_note_secret_file(walk, key, yaml_text(item));
        (void)source_item_add_secret(base, yaml_text(item), &place, walk->faults);
    }
}

static bool is_known_source(const struct config *config, const struct source *source)
{
    for (size_t i = 0; i < config->sources_count; i++)
        if (str_eq(source_name(config->sources[i]), source_name(source)))
            return true;
    return false;
}

static void read_source(struct config_walk *walk, struct yaml_value map, const struct key *key)
{
    struct config *config = walk->config;
    struct source_item item = {0};
    unsigned faults = walk->faults->count;
    struct source *source = NULL;
    walk_map(walk, map, str_from(key->name), &item);
    if (walk->faults->count == faults)
        source = source_item_make(&item, walk_place_of, &map, walk->faults);
    if (source && is_known_source(config, source)) {
        walk_fault(walk, map, STR("inbound.source"), "a source of this name is there twice");
        source_free(source);
    } else if (source) {
        config->sources[config->sources_count++] = source;
    }
    source_item_deinit(&item);
}

void config_read_sources(struct config_walk *walk, const struct key *key,
                         const struct walk_entry *entry, void *base)
{
    struct config *config = base;
    size_t count = yaml_count(entry->value);
    free(config->sources);
    config->sources = mem_alloc((count + 1) * sizeof(struct source *));
    for (size_t i = 0; i < count; i++)
        if (walk_is_map(walk, yaml_item(entry->value, i), key))
            read_source(walk, yaml_item(entry->value, i), key);
    sources_note_shared(config->sources, config->sources_count);
}
