#include "server/config_namespaces.h"

#include "base/mem.h"
#include "http/token.h"
#include "server/sources.h"

#include <stdlib.h>

static const struct namespace_config *find_namespace(const struct config *config, struct str prefix)
{
    for (size_t i = 0; i < config->namespaces_count; i++)
        if (str_eq(config->namespaces[i].prefix, prefix))
            return &config->namespaces[i];
    return NULL;
}

void config_read_authorize_headers(struct config_walk *walk, const struct key *key,
                                   const struct walk_entry *entry, void *base)
{
    struct namespace_item *item = base;
    char quoted[80];
    item->has_headers = true;
    for (size_t i = 0; i < yaml_count(entry->value); i++) {
        struct yaml_value value = yaml_item(entry->value, i);
        struct place place = yaml_place(value);
        if (!walk_is_text(walk, key, value))
            continue;
        struct str name = yaml_text(value);
        bool good = name.len && http_all(name, HTTP_CHAR_TOKEN);
        for (size_t j = 0; j < name.len; j++)
            good = good && name.at[j] == ascii_lower(name.at[j]);
        if (good)
            item->authorize.headers[item->authorize.headers_count++] = name;
        else
            faults_add(walk->faults, &place, key->name,
                       "%s is no name of a field in lower case, as in cookie",
                       faults_quote(quoted, sizeof(quoted), name));
    }
}

/* Reads the secret of a namespace whose permissions are asked for. False after a fault. */
static bool read_authorize(struct config_walk *walk, struct namespace_item *item,
                           const struct place *place)
{
    struct buf why = {0};
    char *secret = NULL;
    if (!item->authorize.url && !item->authorize_secret && !item->has_headers)
        return true;
    if (!item->authorize.url || !item->authorize_secret)
        buf_add_lit(&why, "has a url and a secret: give both");
    else if ((secret = secret_find(item->authorize_secret, &why)) &&
             sign_key_read(str_from(secret), &item->authorize.key))
        buf_add_lit(&why, "the secret is whsec_ and base64 of 24 to 64 bytes, as this prints: "
                          "echo whsec_$(openssl rand -base64 32)");
    secret_free(secret);
    if (why.len)
        faults_add(walk->faults, place, "namespaces.authorize", "%.*s", STR_FMT(buf_str(&why)));
    if (!item->has_headers)
        item->authorize.headers[item->authorize.headers_count++] = STR("cookie");
    bool good = !why.len;
    buf_free(&why);
    return good;
}

static uint64_t voucher_of_server(const struct authorize_server *server)
{
    struct str texts[3 + AUTHORIZE_HEADERS_MAX] = {
        server->prefix,
        str_from(server->url),
        {(const char *)&server->key, sizeof(server->key)},
    };
    for (size_t i = 0; i < server->headers_count; i++)
        texts[3 + i] = server->headers[i];
    return voucher_of(texts, 3 + server->headers_count);
}

/* A namespace that asks somebody gives nothing by itself, unless it has rules that say so: those of
 * a shorter prefix would answer before anybody is asked. */
static void add_authorizer(struct config *config, struct namespace_item *item)
{
    if (!item->authorize.url)
        return;
    item->authorize.prefix = item->settings.prefix;
    item->authorize.voucher = voucher_of_server(&item->authorize);
    config->authorizers[config->authorizers_count++] = item->authorize;
    item->has_rule = item->has_rule || item->settings.prefix.len;
    config->has_access = true;
}

static void add_namespace(struct config *config, struct namespace_item *item)
{
    add_authorizer(config, item);
    item->publish.prefix = item->settings.prefix;
    item->presence.prefix = item->settings.prefix;
    config->presence[config->presence_count++] = item->presence;
    config->publish_list[config->publish_count++] = item->publish;
    config->namespaces[config->namespaces_count++] = item->settings;
    item->rule.prefix = item->settings.prefix;
    if (item->has_rule)
        config->rules[config->rules_count++] = item->rule;
    config->has_access = config->has_access || item->has_rule;
}

static void read_namespace(struct config_walk *walk, struct yaml_value item, const struct key *key)
{
    struct config *config = walk->config;
    struct namespace_item read = {.has_rule = false};
    unsigned faults = walk->faults->count;
    struct place place = yaml_place(item);
    keys_set_item_defaults(STR("namespaces."), &read);
    walk_map(walk, item, str_from(key->name), &read);
    struct namespace_config namespace = read.settings;
    if (walk->faults->count != faults || !read_authorize(walk, &read, &place))
        return;
    if (!namespace.prefix.at)
        walk_fault(walk, item, STR("namespaces.prefix"),
                   "is missing: name the channels, as in prefix: trades, or prefix: \"\" "
                   "for all");
    else if (find_namespace(config, namespace.prefix))
        walk_fault(walk, item, STR("namespaces.prefix"),
                   namespace.prefix.len
                       ? "this prefix is there twice: put all its settings into one item"
                       : "the empty prefix is there twice: put all its settings into one "
                         "item");
    else if (name_is_reserved(namespace.prefix) &&
             (read.has_rule || read.presence.on || read.authorize.url))
        walk_fault(
            walk, item, STR("namespaces.prefix"),
            "the server's own channels have retention alone: who may read them is said for the "
            "channel behind the prefix");
    else if (read.has_rule && !namespace.prefix.len)
        walk_fault(walk, item, STR("namespaces.access"),
                   "the rules for all channels stand at the top of the file, under access");
    else
        add_namespace(config, &read);
}

void config_read_namespaces(struct config_walk *walk, const struct key *key,
                            const struct walk_entry *entry, void *base)
{
    struct config *config = base;
    size_t count = yaml_count(entry->value);
    free(config->namespaces);
    config->namespaces = mem_alloc((count + 1) * sizeof(*config->namespaces));
    config->namespaces_count = 0;
    free(config->authorizers);
    config->authorizers = mem_alloc((count + 1) * sizeof(*config->authorizers));
    config->authorizers_count = 0;
    config->publish_count = 1;
    config->presence_count = 0;
    for (size_t i = 0; i < count; i++)
        if (walk_is_map(walk, yaml_item(entry->value, i), key))
            read_namespace(walk, yaml_item(entry->value, i), key);
}

/* ---- the playground -------------------------------------------------------------------------- */

/* The limits of visitors who are nobody: enough to see an event arrive, too little to be of other
 * use.
 */
enum {
    PLAYGROUND_AGE_S = 600,
    PLAYGROUND_EVENTS = 100, /* of a channel */
    PLAYGROUND_EVENT_MAX = 1024,
    PLAYGROUND_ADDRESS_EVENTS = 5, /* a second */
    PLAYGROUND_CHANNEL_EVENTS = 20,
    PLAYGROUND_WINDOW_S = 10,
};

/* The built-in namespace. An operator's own item for the prefix stands in its place. */
static void add_playground_namespace(struct config *config)
{
    static const struct str prefix = {"playground", 10};
    struct publish_limit publish = {
        .prefix = prefix, .event_max = PLAYGROUND_EVENT_MAX, .window_s = PLAYGROUND_WINDOW_S};
    publish.rates[RATE_ADDRESS][RATE_EVENTS] = PLAYGROUND_ADDRESS_EVENTS;
    publish.rates[RATE_CHANNEL][RATE_EVENTS] = PLAYGROUND_CHANNEL_EVENTS;
    if (!config->namespaces)
        config->namespaces = mem_alloc(sizeof(*config->namespaces));
    config->namespaces[config->namespaces_count++] =
        (struct namespace_config){.prefix = prefix,
                                  .age_us = PLAYGROUND_AGE_S * INT64_C(1000000),
                                  .count = PLAYGROUND_EVENTS};
    config->publish_list[config->publish_count++] = publish;
}

static bool has_rule(const struct config *config, struct str prefix)
{
    for (size_t i = 1; i < config->rules_count; i++)
        if (str_eq(config->rules[i].prefix, prefix))
            return true;
    return false;
}

/* The rule is enforced only if there are others: without any, everybody may do everything. */
void config_add_playground(struct config *config)
{
    static const struct str prefix = {"playground", 10};
    const struct rule rule = {.prefix = prefix,
                              .anybody = 1U << ACTION_READ | 1U << ACTION_PUBLISH};
    if (!config->playground)
        return;
    if (!find_namespace(config, prefix))
        add_playground_namespace(config);
    if (!has_rule(config, prefix))
        config->rules[config->rules_count++] = rule;
}
