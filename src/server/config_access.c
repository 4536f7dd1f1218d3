#include "server/config_access.h"

#include "base/mem.h"
#include "server/issuer_item.h"
#include "server/key_items.h"

#include <stdlib.h>

static actions read_actions(struct config_walk *walk, const struct key *key,
                            const struct walk_entry *entry)
{
    actions set = ACTIONS_NONE;
    char quoted[80];
    for (size_t i = 0; i < yaml_count(entry->value); i++) {
        struct yaml_value item = yaml_item(entry->value, i);
        struct place place = yaml_place(item);
        if (walk_is_text(walk, key, item) && !actions_add(&set, yaml_text(item)))
            faults_add(walk->faults, &place, key->name,
                       "%s is no action: there are read, publish, presence, webhooks and admin",
                       faults_quote(quoted, sizeof(quoted), yaml_text(item)));
    }
    return set;
}

void config_read_anybody(struct config_walk *walk, const struct key *key,
                         const struct walk_entry *entry, void *base)
{
    struct config *config = base;
    config->has_access = true;
    config->rules[0].anybody = read_actions(walk, key, entry);
}

void config_read_authenticated(struct config_walk *walk, const struct key *key,
                               const struct walk_entry *entry, void *base)
{
    struct config *config = base;
    config->has_access = true;
    config->rules[0].authenticated = read_actions(walk, key, entry);
}

void config_read_anybody_here(struct config_walk *walk, const struct key *key,
                              const struct walk_entry *entry, void *base)
{
    struct namespace_item *item = base;
    item->has_rule = true;
    item->rule.anybody = read_actions(walk, key, entry);
}

void config_read_authenticated_here(struct config_walk *walk, const struct key *key,
                                    const struct walk_entry *entry, void *base)
{
    struct namespace_item *item = base;
    item->has_rule = true;
    item->rule.authenticated = read_actions(walk, key, entry);
}

static const char *take_channel(void *base, struct str text)
{
    return grant_item_add_channel(base, text);
}

static const char *take_action(void *base, struct str text)
{
    return grant_item_add_action(base, text);
}

void config_read_grant_channels(struct config_walk *walk, const struct key *key,
                                const struct walk_entry *entry, void *base)
{
    walk_texts(walk, key, entry, base, take_channel);
}

void config_read_grant_actions(struct config_walk *walk, const struct key *key,
                               const struct walk_entry *entry, void *base)
{
    walk_texts(walk, key, entry, base, take_action);
}

void config_read_grants(struct config_walk *walk, const struct key *key,
                        const struct walk_entry *entry, void *base)
{
    struct key_item *item = base;
    for (size_t i = 0; i < yaml_count(entry->value); i++) {
        struct yaml_value map = yaml_item(entry->value, i);
        if (!walk_is_map(walk, map, key))
            continue;
        struct grant_item *grant = mem_alloc(sizeof(*grant));
        item->grants[item->grants_count++] = grant;
        walk_map(walk, map, str_from(key->name), grant);
    }
}

static bool is_known_key(const struct config *config, const struct api_key *key)
{
    for (size_t i = 0; i < config->api_keys_count; i++)
        if (str_eq(api_key_id(config->api_keys[i]), api_key_id(key)))
            return true;
    return false;
}

static void read_api_key(struct config_walk *walk, struct yaml_value map, const struct key *key)
{
    struct config *config = walk->config;
    struct key_item item = {0};
    struct place place = yaml_place(map);
    unsigned faults = walk->faults->count;
    struct api_key *made = NULL;
    walk_map(walk, map, str_from(key->name), &item);
    if (walk->faults->count == faults)
        made = key_item_make(&item, &place, walk->faults);
    if (made && is_known_key(config, made)) {
        walk_fault(walk, map, STR("keys.key"), "this key is there twice");
        api_key_free(made);
    } else if (made) {
        config->api_keys[config->api_keys_count++] = made;
    }
    key_item_deinit(&item);
}

void config_read_api_keys(struct config_walk *walk, const struct key *key,
                          const struct walk_entry *entry, void *base)
{
    struct config *config = base;
    size_t count = yaml_count(entry->value);
    free(config->api_keys);
    config->api_keys = mem_alloc((count + 1) * sizeof(struct api_key *));
    for (size_t i = 0; i < count; i++)
        if (walk_is_map(walk, yaml_item(entry->value, i), key))
            read_api_key(walk, yaml_item(entry->value, i), key);
}

/* Notes a file with a secret or a private key, which nobody else may read. */
static void note_key_file(struct config *config, const struct issuer_item *item,
                          const struct issuer *issuer)
{
    bool signs = false;
    for (size_t i = 0; item->key_file && i < issuer->keys->count; i++)
        signs |= token_key_signs(issuer->keys->at[i]);
    if (signs)
        config->token_key_files[config->token_key_files_count++] = item->key_file;
}

static void read_issuer(struct config_walk *walk, struct yaml_value map, const struct key *key)
{
    struct issuer_item item = {0};
    struct issuer issuer;
    struct buf why = {0};
    unsigned faults = walk->faults->count;
    keys_set_item_defaults(STR("tokens."), &item);
    walk_map(walk, map, str_from(key->name), &item);
    if (walk->faults->count == faults && issuer_item_make(&item, &issuer, &why)) {
        struct str sentence = buf_str(&why), setting = str_cut(&sentence, ':');
        struct place place = walk_place_of(&map, setting);
        faults_add(walk->faults, &place, key->name, "%.*s:%.*s", STR_FMT(setting),
                   STR_FMT(sentence));
    } else if (walk->faults->count == faults && issuers_add(&walk->config->issuers, &issuer)) {
        note_key_file(walk->config, &item, &issuer);
    }
    buf_free(&why);
}

void config_read_tokens(struct config_walk *walk, const struct key *key,
                        const struct walk_entry *entry, void *base)
{
    (void)base;
    for (size_t i = 0; i < yaml_count(entry->value); i++)
        if (walk_is_map(walk, yaml_item(entry->value, i), key))
            read_issuer(walk, yaml_item(entry->value, i), key);
}

static bool is_one_of(struct str name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(name, str_from(names[i])))
            return true;
    return false;
}

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

void config_note_access(struct config_walk *walk, const struct walk_entry *entry, void *base)
{
    static const char *const all[] = {"access", "access.anybody", "access.authenticated", "keys",
                                      "tokens"};
    static const char *const here[] = {"namespaces.access", "namespaces.access.anybody",
                                       "namespaces.access.authenticated", "namespaces.authorize"};
    if (is_one_of(entry->name, here, COUNT_OF(here)))
        ((struct namespace_item *)base)->has_rule = true;
    else if (is_one_of(entry->name, all, COUNT_OF(all)))
        walk->config->has_access = true;
}
