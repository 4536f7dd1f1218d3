/* The translation of the configuration file into a struct config.
 *
 * The file is a tree of texts (yaml_file.h). A mapping is walked key by key: the names on the way
 * make the full name, such as `limits.body_max`, and the table of keys describes it. The table
 * alone says how to read and store a scalar (keys.h). Lists are stored by the functions in `lists`
 * below, a function for each; a list of mappings is walked with its current item as the base of the
 * keys.
 *
 * Nothing ends the walk: each fault is reported with its line, and the next key is read. The result
 * may therefore be incomplete, so the caller must look at the faults first. All of this runs once,
 * before threads are started. The depth of the walk is that of the table, not of the file. */
#include "server/config_file.h"

#include "api/sites.h"
#include "base/mem.h"
#include "base/say.h"
#include "fetch/identity.h"
#include "http/token.h"
#include "server/issuer_item.h"
#include "server/key_items.h"
#include "server/keys.h"
#include "server/read_file.h"
#include "server/sources.h"
#include "server/yaml_file.h"
#include "transport/exchange.h"

#include <stdio.h>
#include <stdlib.h>

struct reader {
    struct config *config;
    struct faults *faults;
};

enum { PATH_LEN_MAX = 200 };

static void fault(struct reader *reader, struct yaml_value at, struct str name, const char *what)
{
    char text[PATH_LEN_MAX];
    struct place place = yaml_place(at);
    snprintf(text, sizeof(text), "%.*s", STR_FMT(name));
    faults_add(reader->faults, &place, text, "%s", what);
}

/* A key and its value, for errors: an empty value has no line of its own. */
struct entry {
    struct yaml_value key, value;
    struct str name; /* the full name */
};

static void read_map(struct reader *reader, struct yaml_value map, struct str path, void *base);

/* ---- scalars --------------------------------------------------------------------------------- */

/* Notes a file that holds a secret, which nobody else may read. */
static void note_secret_file(struct reader *reader, const struct key *key, struct str text)
{
    const struct str prefix = STR("file:");
    const char *path = text.at + prefix.len;
    if (key->secret && str_starts(text, prefix))
        buf_add(&reader->config->secret_files, (const char *)&path, sizeof(path));
}

static void read_scalar(struct reader *reader, const struct key *key, const struct entry *entry,
                        void *base)
{
    struct place place = yaml_place(entry->key);
    struct buf right = {0};
    enum yaml_kind kind = yaml_kind(entry->value);
    if (kind == YAML_TEXT) {
        note_secret_file(reader, key, yaml_text(entry->value));
        (void)key_set(key, base, yaml_text(entry->value), &place, reader->faults);
        return;
    }
    key_expects(key, &right);
    faults_add(reader->faults, &place, key->name,
               kind == YAML_NOTHING ? "there is nothing behind it; it takes %.*s, or is left out"
                                    : "holds a list or keys, but takes %.*s",
               STR_FMT(buf_str(&right)));
    buf_free(&right);
}

/* ---- lists ----------------------------------------------------------------------------------- */

/* The items of a value: those of a list, or itself. */
static size_t items_of(struct yaml_value value)
{
    return yaml_kind(value) == YAML_TEXT ? 1 : yaml_count(value);
}

static struct yaml_value item_of(struct yaml_value value, size_t n)
{
    return yaml_kind(value) == YAML_TEXT ? value : yaml_item(value, n);
}

/* Whether the value is a list that is not too long. An empty value sets nothing. */
static bool is_list(struct reader *reader, const struct key *key, const struct entry *entry)
{
    struct place place = yaml_place(entry->key);
    enum yaml_kind kind = yaml_kind(entry->value);
    if (kind == YAML_LIST && yaml_count(entry->value) <= key->items_max)
        return true;
    if (key->single && kind == YAML_TEXT)
        return true;
    if (key->single && kind == YAML_NOTHING)
        faults_add(reader->faults, &place, key->name,
                   "there is nothing behind it; it takes a text or a list, or is left out");
    else if (kind != YAML_NOTHING)
        faults_add(reader->faults, &place, key->name, "is a list of at most %zu: %s",
                   key->items_max,
                   kind == YAML_LIST ? "this one is longer"
                                     : "put each item on a line of its own behind a dash, or all "
                                       "into [ ] with commas");
    return false;
}

static bool is_text(struct reader *reader, const struct key *key, struct yaml_value item)
{
    if (yaml_kind(item) == YAML_TEXT)
        return true;
    fault(reader, item, str_from(key->name), "an item of this list is a single value");
    return false;
}

/* Whether the item of a list is a mapping. */
static bool is_map(struct reader *reader, struct yaml_value item, const struct key *key)
{
    if (yaml_kind(item) == YAML_MAP)
        return true;
    fault(reader, item, str_from(key->name), "an item of this list holds keys, as in {KEY: VALUE}");
    return false;
}

static void read_schedule(struct reader *reader, const struct key *key, const struct entry *entry,
                          void *base)
{
    struct config *config = base;
    if (!yaml_count(entry->value))
        fault(reader, entry->key, entry->name, "is a list of 1 to 16 times, as in [5s, 5m, 1h]");
    config->webhook_schedule_count = 0;
    for (size_t i = 0; i < yaml_count(entry->value); i++) {
        struct yaml_value item = yaml_item(entry->value, i);
        struct place place = yaml_place(item);
        uint64_t ms = 0;
        if (is_text(reader, key, item) &&
            key_read_number(key, yaml_text(item), &place, reader->faults, &ms))
            config->webhook_schedule_ms[config->webhook_schedule_count++] = (int64_t)ms;
    }
}

/* Targets besides public addresses, into which an entry is added. */
struct targets {
    struct network *networks;
    size_t *networks_count;
    const char **hosts;
    size_t *hosts_count;
};

static const char *add_target(const struct targets *targets, struct str text)
{
    struct network network;
    if (strlen(text.at) != text.len)
        return "holds a byte that is zero";
    if (!network_parse(text, &network)) {
        if (!network_opens(&network))
            return "opens nothing: loopback, link-local, multicast and reserved addresses are "
                   "opened only by an entry within their own range, as in 127.0.0.1";
        targets->networks[(*targets->networks_count)++] = network;
        return NULL;
    }
    if (text.at[0] == '[' || !address_host_possible(text))
        return "matches nothing: use a network (10.0.0.0/8, fd00::/8) with no bits set behind "
               "its length, an address (10.1.2.3), or the name of a host (hooks.internal) without "
               "port, scheme or wildcard";
    targets->hosts[(*targets->hosts_count)++] = text.at;
    return NULL;
}

static const char *take_allowed(struct config *config, struct str text)
{
    const struct targets targets = {config->webhook_networks, &config->webhook_networks_count,
                                    config->webhook_hosts, &config->webhook_hosts_count};
    return add_target(&targets, text);
}

static const char *take_access_allowed(struct config *config, struct str text)
{
    const struct targets targets = {config->access_networks, &config->access_networks_count,
                                    config->access_hosts, &config->access_hosts_count};
    return add_target(&targets, text);
}

static const char *take_cert_host(struct config *config, struct str text)
{
    if (strlen(text.at) != text.len || !address_host_possible(text))
        return "is no host: it takes a name (hooks.internal) or an address (10.1.2.3) as URLs have "
               "it, without port, scheme or wildcard";
    config->webhook_cert_hosts[config->webhook_cert_hosts_count++] = text.at;
    return NULL;
}

_Static_assert(EXCHANGE_ORIGIN_MAX == 72, "the sentence below says so");

static const char *take_host(struct config *config, struct str text)
{
    if (!sites_host_valid(text))
        return "matches nothing: write a name or an address without port and scheme, as in "
               "rt.example.org, or *.example.org for all names below it";
    config->hosts[config->hosts_count++] = text;
    return NULL;
}

static const char *take_origin(struct config *config, struct str text)
{
    if (text.len > EXCHANGE_ORIGIN_MAX || !sites_origin_valid(text))
        return "matches nothing: write an origin as browsers do, in at most 72 bytes, as in "
               "https://app.example or http://app.example:8080, https://*.app.example for all "
               "names below it, or * for every site";
    config->origins[config->origins_count++] = text;
    return NULL;
}

/* A list of texts, of which `take` takes each into the configuration or says what is wrong. */
static void read_texts(struct reader *reader, const struct key *key, const struct entry *entry,
                       void *base, const char *(*take)(struct config *config, struct str text))
{
    for (size_t i = 0; i < items_of(entry->value); i++) {
        struct yaml_value item = item_of(entry->value, i);
        struct place place = yaml_place(item);
        if (!is_text(reader, key, item))
            continue;
        const char *why = take(base, yaml_text(item));
        if (why)
            faults_add(reader->faults, &place, key->name, "\"%.100s\" %s", yaml_text(item).at, why);
    }
}

static void read_allow(struct reader *reader, const struct key *key, const struct entry *entry,
                       void *base)
{
    read_texts(reader, key, entry, base, take_allowed);
}

static void read_access_allow(struct reader *reader, const struct key *key,
                              const struct entry *entry, void *base)
{
    read_texts(reader, key, entry, base, take_access_allowed);
}

static void read_cert_hosts(struct reader *reader, const struct key *key, const struct entry *entry,
                            void *base)
{
    read_texts(reader, key, entry, base, take_cert_host);
}

static void read_origins(struct reader *reader, const struct key *key, const struct entry *entry,
                         void *base)
{
    read_texts(reader, key, entry, base, take_origin);
}

static const char *take_proxy(struct config *config, struct str text)
{
    if (str_eq(text, STR("unix")))
        config->proxies_unix = true;
    else if (!network_parse(text, &config->proxies[config->proxies_count]))
        config->proxies_count++;
    else
        return "matches nothing: use a network (10.0.0.0/8, fd00::/8) with no bits set behind its "
               "length, an address (127.0.0.1), or unix for proxies that come by a Unix socket";
    return NULL;
}

static void read_proxies(struct reader *reader, const struct key *key, const struct entry *entry,
                         void *base)
{
    read_texts(reader, key, entry, base, take_proxy);
}

static void read_hosts(struct reader *reader, const struct key *key, const struct entry *entry,
                       void *base)
{
    read_texts(reader, key, entry, base, take_host);
}

/* The fault of an item; NULL if it is right. */
static const char *fault_of_listen(const struct listen_item *item)
{
    struct listen_address addresses[LISTEN_NAME_MAX];
    mode_t mode;
    gid_t group;
    if (!item->address)
        return "an item has an address: {address: \"unix:/run/freshet.sock\", mode: 660}";
    if (listening_parse(item->address, addresses) < 0)
        return "is not " LISTENING_FORM;
    if ((item->mode || item->group) && !listen_is_unix(addresses))
        return "has no mode and no group: files alone have these";
    if (item->admin && addresses[0].door & DOOR_REDIRECT)
        return "answers nothing but where to go: an admin address is another";
    if (item->mode && !listening_read_mode(item->mode, &mode))
        return "has a mode that is no octal number up to 777, as in 660";
    if (item->group && !listening_read_group(item->group, &group))
        return "is for a group that this machine does not have";
    return NULL;
}

static void read_listen(struct reader *reader, const struct key *key, const struct entry *entry,
                        void *base)
{
    struct config *config = base;
    char quoted[140];
    for (size_t i = 0; i < items_of(entry->value); i++) {
        struct yaml_value at = item_of(entry->value, i);
        struct place place = yaml_place(at);
        struct listen_item item = {0};
        unsigned before = reader->faults->count;
        if (yaml_kind(at) == YAML_MAP)
            read_map(reader, at, str_from(key->name), &item);
        else if (is_text(reader, key, at) && key_check_text(key_find(STR("listen.address")),
                                                            yaml_text(at), &place, reader->faults))
            item.address = yaml_text(at).at;
        if (reader->faults->count != before)
            continue;
        const char *why = fault_of_listen(&item);
        const char *text = item.address ? item.address : "";
        if (why)
            faults_add(reader->faults, &place, key->name, "%s %s",
                       say_quote(quoted, sizeof(quoted), text, strlen(text)), why);
        else
            config->listen[config->listen_count++] = item;
    }
}

/* ---- access ---------------------------------------------------------------------------------- */

static actions read_actions(struct reader *reader, const struct key *key, const struct entry *entry)
{
    actions set = ACTIONS_NONE;
    for (size_t i = 0; i < yaml_count(entry->value); i++) {
        struct yaml_value item = yaml_item(entry->value, i);
        struct place place = yaml_place(item);
        if (is_text(reader, key, item) && !actions_add(&set, yaml_text(item)))
            faults_add(reader->faults, &place, key->name,
                       "\"%.60s\" is no action: there are read, publish, presence, webhooks and "
                       "admin",
                       yaml_text(item).at);
    }
    return set;
}

static void read_anybody(struct reader *reader, const struct key *key, const struct entry *entry,
                         void *base)
{
    struct config *config = base;
    config->has_access = true;
    config->rules[0].anybody = read_actions(reader, key, entry);
}

static void read_authenticated(struct reader *reader, const struct key *key,
                               const struct entry *entry, void *base)
{
    struct config *config = base;
    config->has_access = true;
    config->rules[0].authenticated = read_actions(reader, key, entry);
}

static void read_anybody_here(struct reader *reader, const struct key *key,
                              const struct entry *entry, void *base)
{
    struct namespace_item *item = base;
    item->has_rule = true;
    item->rule.anybody = read_actions(reader, key, entry);
}

static void read_authenticated_here(struct reader *reader, const struct key *key,
                                    const struct entry *entry, void *base)
{
    struct namespace_item *item = base;
    item->has_rule = true;
    item->rule.authenticated = read_actions(reader, key, entry);
}

/* ---- certificates ---------------------------------------------------------------------------- */

static void read_pair(struct reader *reader, struct yaml_value map, const struct key *key)
{
    struct tls_pair pair = {0};
    unsigned faults = reader->faults->count;
    read_map(reader, map, str_from(key->name), &pair);
    if (reader->faults->count != faults)
        return;
    if (!pair.cert || !pair.key)
        fault(reader, map, str_from(key->name), "an item has both: {cert: FILE, key: FILE}");
    else
        reader->config->tls.pairs[reader->config->tls.pairs_count++] = pair;
}

static void read_pairs(struct reader *reader, const struct key *key, const struct entry *entry,
                       void *base)
{
    (void)base;
    for (size_t i = 0; i < yaml_count(entry->value); i++)
        if (is_map(reader, yaml_item(entry->value, i), key))
            read_pair(reader, yaml_item(entry->value, i), key);
}

/* ---- namespaces ------------------------------------------------------------------------------ */

static const struct namespace_config *find_namespace(const struct config *config, struct str prefix)
{
    for (size_t i = 0; i < config->namespaces_count; i++)
        if (str_eq(config->namespaces[i].prefix, prefix))
            return &config->namespaces[i];
    return NULL;
}

static void read_authorize_headers(struct reader *reader, const struct key *key,
                                   const struct entry *entry, void *base)
{
    struct namespace_item *item = base;
    item->has_headers = true;
    for (size_t i = 0; i < yaml_count(entry->value); i++) {
        struct yaml_value value = yaml_item(entry->value, i);
        struct place place = yaml_place(value);
        if (!is_text(reader, key, value))
            continue;
        struct str name = yaml_text(value);
        bool good = name.len && http_all(name, HTTP_CHAR_TOKEN);
        for (size_t j = 0; j < name.len; j++)
            good = good && name.at[j] == ascii_lower(name.at[j]);
        if (good)
            item->authorize.headers[item->authorize.headers_count++] = name;
        else
            faults_add(reader->faults, &place, key->name,
                       "\"%.60s\" is no name of a field in lower case, as in cookie", name.at);
    }
}

/* Reads the secret of a namespace whose permissions are asked for. False after a fault. */
static bool read_authorize(struct reader *reader, struct namespace_item *item,
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
        faults_add(reader->faults, place, "namespaces.authorize", "%.*s", STR_FMT(buf_str(&why)));
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

static void read_namespace(struct reader *reader, struct yaml_value item, const struct key *key)
{
    struct config *config = reader->config;
    struct namespace_item read = {.has_rule = false};
    unsigned faults = reader->faults->count;
    struct place place = yaml_place(item);
    keys_set_item_defaults(STR("namespaces."), &read);
    read_map(reader, item, str_from(key->name), &read);
    struct namespace_config namespace = read.settings;
    if (reader->faults->count != faults || !read_authorize(reader, &read, &place))
        return;
    if (!namespace.prefix.at)
        fault(reader, item, STR("namespaces.prefix"),
              "is missing: name the channels, as in prefix: trades, or prefix: \"\" "
              "for all");
    else if (find_namespace(config, namespace.prefix))
        fault(reader, item, STR("namespaces.prefix"),
              namespace.prefix.len
                  ? "this prefix is there twice: put all its settings into one item"
                  : "the empty prefix is there twice: put all its settings into one "
                    "item");
    else if (name_is_reserved(namespace.prefix) &&
             (read.has_rule || read.presence.on || read.authorize.url))
        fault(reader, item, STR("namespaces.prefix"),
              "the server's own channels have retention alone: who may read them is said for the "
              "channel behind the prefix");
    else if (read.has_rule && !namespace.prefix.len)
        fault(reader, item, STR("namespaces.access"),
              "the rules for all channels stand at the top of the file, under access");
    else
        add_namespace(config, &read);
}

static void read_spaces(struct reader *reader, const struct key *key, const struct entry *entry,
                        void *base)
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
        if (is_map(reader, yaml_item(entry->value, i), key))
            read_namespace(reader, yaml_item(entry->value, i), key);
}

/* ---- inbound --------------------------------------------------------------------------------- */

static void read_secrets(struct reader *reader, const struct key *key, const struct entry *entry,
                         void *base)
{
    for (size_t i = 0; i < yaml_count(entry->value); i++) {
        struct yaml_value item = yaml_item(entry->value, i);
        struct place place = yaml_place(item);
        if (!is_text(reader, key, item))
            continue;
        note_secret_file(reader, key, yaml_text(item));
        (void)source_item_add_secret(base, yaml_text(item), &place, reader->faults);
    }
}

/* The place of a setting in an item; that of the item if the setting is absent. */
static struct place place_of_setting(const void *context, struct str setting)
{
    const struct yaml_value *map = context;
    for (size_t i = 0; i < yaml_count(*map); i++) {
        struct yaml_value key = yaml_key(*map, i);
        if (yaml_kind(key) == YAML_TEXT && str_eq(yaml_text(key), setting))
            return yaml_place(key);
    }
    return yaml_place(*map);
}

static bool is_known_source(const struct config *config, const struct source *source)
{
    for (size_t i = 0; i < config->sources_count; i++)
        if (str_eq(source_name(config->sources[i]), source_name(source)))
            return true;
    return false;
}

static void read_source(struct reader *reader, struct yaml_value map, const struct key *key)
{
    struct config *config = reader->config;
    struct source_item item = {0};
    unsigned faults = reader->faults->count;
    struct source *source = NULL;
    read_map(reader, map, str_from(key->name), &item);
    if (reader->faults->count == faults)
        source = source_item_make(&item, place_of_setting, &map, reader->faults);
    if (source && is_known_source(config, source)) {
        fault(reader, map, STR("inbound.source"), "a source of this name is there twice");
        source_free(source);
    } else if (source) {
        config->sources[config->sources_count++] = source;
    }
    source_item_deinit(&item);
}

static void read_sources(struct reader *reader, const struct key *key, const struct entry *entry,
                         void *base)
{
    struct config *config = base;
    size_t count = yaml_count(entry->value);
    free(config->sources);
    config->sources = mem_alloc((count + 1) * sizeof(struct source *));
    for (size_t i = 0; i < count; i++)
        if (is_map(reader, yaml_item(entry->value, i), key))
            read_source(reader, yaml_item(entry->value, i), key);
    sources_note_shared(config->sources, config->sources_count);
}

/* ---- tokens ---------------------------------------------------------------------------------- */

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

static void read_issuer(struct reader *reader, struct yaml_value map, const struct key *key)
{
    struct issuer_item item = {0};
    struct issuer issuer;
    struct buf why = {0};
    unsigned faults = reader->faults->count;
    keys_set_item_defaults(STR("tokens."), &item);
    read_map(reader, map, str_from(key->name), &item);
    if (reader->faults->count == faults && issuer_item_make(&item, &issuer, &why)) {
        struct str sentence = buf_str(&why), setting = str_cut(&sentence, ':');
        struct place place = place_of_setting(&map, setting);
        faults_add(reader->faults, &place, key->name, "%.*s:%.*s", STR_FMT(setting),
                   STR_FMT(sentence));
    } else if (reader->faults->count == faults && issuers_add(&reader->config->issuers, &issuer)) {
        note_key_file(reader->config, &item, &issuer);
    }
    buf_free(&why);
}

static void read_tokens(struct reader *reader, const struct key *key, const struct entry *entry,
                        void *base)
{
    (void)base;
    for (size_t i = 0; i < yaml_count(entry->value); i++)
        if (is_map(reader, yaml_item(entry->value, i), key))
            read_issuer(reader, yaml_item(entry->value, i), key);
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* Adds the texts of a list to a grant. */
static void read_grant_texts(struct reader *reader, const struct key *key,
                             const struct entry *entry, void *base,
                             const char *(*add)(struct grant_item *grant, struct str text))
{
    for (size_t i = 0; i < yaml_count(entry->value); i++) {
        struct yaml_value item = yaml_item(entry->value, i);
        struct place place = yaml_place(item);
        if (!is_text(reader, key, item))
            continue;
        const char *why = add(base, yaml_text(item));
        if (why)
            faults_add(reader->faults, &place, key->name, "\"%.100s\" %s", yaml_text(item).at, why);
    }
}

static void read_grant_channels(struct reader *reader, const struct key *key,
                                const struct entry *entry, void *base)
{
    read_grant_texts(reader, key, entry, base, grant_item_add_channel);
}

static void read_grant_actions(struct reader *reader, const struct key *key,
                               const struct entry *entry, void *base)
{
    read_grant_texts(reader, key, entry, base, grant_item_add_action);
}

static void read_grants(struct reader *reader, const struct key *key, const struct entry *entry,
                        void *base)
{
    struct key_item *item = base;
    for (size_t i = 0; i < yaml_count(entry->value); i++) {
        struct yaml_value map = yaml_item(entry->value, i);
        if (!is_map(reader, map, key))
            continue;
        struct grant_item *grant = mem_alloc(sizeof(*grant));
        item->grants[item->grants_count++] = grant;
        read_map(reader, map, str_from(key->name), grant);
    }
}

static bool is_known_key(const struct config *config, const struct api_key *key)
{
    for (size_t i = 0; i < config->api_keys_count; i++)
        if (str_eq(api_key_id(config->api_keys[i]), api_key_id(key)))
            return true;
    return false;
}

static void read_api_key(struct reader *reader, struct yaml_value map, const struct key *key)
{
    struct config *config = reader->config;
    struct key_item item = {0};
    struct place place = yaml_place(map);
    unsigned faults = reader->faults->count;
    struct api_key *made = NULL;
    read_map(reader, map, str_from(key->name), &item);
    if (reader->faults->count == faults)
        made = key_item_make(&item, &place, reader->faults);
    if (made && is_known_key(config, made)) {
        fault(reader, map, STR("keys.key"), "this key is there twice");
        api_key_free(made);
    } else if (made) {
        config->api_keys[config->api_keys_count++] = made;
    }
    key_item_deinit(&item);
}

static void read_api_keys(struct reader *reader, const struct key *key, const struct entry *entry,
                          void *base)
{
    struct config *config = base;
    size_t count = yaml_count(entry->value);
    free(config->api_keys);
    config->api_keys = mem_alloc((count + 1) * sizeof(struct api_key *));
    for (size_t i = 0; i < count; i++)
        if (is_map(reader, yaml_item(entry->value, i), key))
            read_api_key(reader, yaml_item(entry->value, i), key);
}

/* ---- the walk -------------------------------------------------------------------------------- */

typedef void list_reader(struct reader *reader, const struct key *key, const struct entry *entry,
                         void *base);

static const struct {
    const char *name;
    list_reader *read;
} lists[] = {
    {"listen", read_listen},
    {"tls.certificates", read_pairs},
    {"webhooks.schedule_ms", read_schedule},
    {"webhooks.allow", read_allow},
    {"webhooks.cert_hosts", read_cert_hosts},
    {"trusted_proxies", read_proxies},
    {"hosts", read_hosts},
    {"origins", read_origins},
    {"access.allow", read_access_allow},
    {"access.anybody", read_anybody},
    {"access.authenticated", read_authenticated},
    {"namespaces.access.anybody", read_anybody_here},
    {"namespaces.access.authenticated", read_authenticated_here},
    {"namespaces.authorize.headers", read_authorize_headers},
    {"namespaces", read_spaces},
    {"tokens", read_tokens},
    {"inbound", read_sources},
    {"inbound.secrets", read_secrets},
    {"keys", read_api_keys},
    {"keys.grants", read_grants},
    {"keys.grants.channels", read_grant_channels},
    {"keys.grants.may", read_grant_actions},
};

static void read_list(struct reader *reader, const struct key *key, const struct entry *entry,
                      void *base)
{
    if (!is_list(reader, key, entry))
        return;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        if (strcmp(lists[i].name, key->name) == 0)
            lists[i].read(reader, key, entry, base);
}

static void refuse_unknown(struct reader *reader, const struct entry *entry)
{
    char sentence[200];
    const char *nearest = key_nearest(entry->name);
    snprintf(sentence, sizeof(sentence), "is not a key%s%s%s", nearest ? "; did you mean " : "",
             nearest ? nearest : "",
             nearest ? "?" : ": `freshet help configuration` lists all of them");
    fault(reader, entry->key, entry->name, sentence);
}

static void read_section(struct reader *reader, const struct entry *entry, void *base)
{
    enum yaml_kind kind = yaml_kind(entry->value);
    if (kind == YAML_MAP)
        read_map(reader, entry->value, entry->name, base);
    else if (kind != YAML_NOTHING)
        fault(reader, entry->key, entry->name, "holds keys of its own, each on a line below it");
}

static bool is_one_of(struct str name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(name, str_from(names[i])))
            return true;
    return false;
}

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The author of one of these keys means to close something, also if there is nothing behind it. */
static void note_access(struct reader *reader, const struct entry *entry, void *base)
{
    static const char *const all[] = {"access", "access.anybody", "access.authenticated", "keys",
                                      "tokens"};
    static const char *const here[] = {"namespaces.access", "namespaces.access.anybody",
                                       "namespaces.access.authenticated", "namespaces.authorize"};
    if (is_one_of(entry->name, here, COUNT_OF(here)))
        ((struct namespace_item *)base)->has_rule = true;
    else if (is_one_of(entry->name, all, COUNT_OF(all)))
        reader->config->has_access = true;
}

static void read_entry(struct reader *reader, const struct entry *entry, void *base)
{
    const struct key *key = key_find(entry->name);
    if (!yaml_count(entry->value))
        note_access(reader, entry, base);
    if (key && key->kind == KEY_LIST)
        read_list(reader, key, entry, base);
    else if (key)
        read_scalar(reader, key, entry, base);
    else if (key_is_section(entry->name))
        read_section(reader, entry, base);
    else
        refuse_unknown(reader, entry);
}

static bool is_there_before(struct yaml_value map, size_t n)
{
    struct str name = yaml_text(yaml_key(map, n));
    for (size_t i = 0; i < n; i++) {
        struct yaml_value key = yaml_key(map, i);
        if (yaml_kind(key) == YAML_TEXT && str_eq(yaml_text(key), name))
            return true;
    }
    return false;
}

/* A file with more keys than the table must hold a duplicate or an unknown key. The bound keeps a
 * file with a million keys from being compared with itself. */
static bool has_too_many(struct reader *reader, struct yaml_value map, struct str path)
{
    if (yaml_count(map) <= keys_count)
        return false;
    fault(reader, map, path, "holds more keys than there are");
    return true;
}

static void read_map(struct reader *reader, struct yaml_value map, struct str path, void *base)
{
    if (has_too_many(reader, map, path))
        return;
    for (size_t i = 0; i < yaml_count(map); i++) {
        char name[PATH_LEN_MAX];
        struct entry entry = {yaml_key(map, i), yaml_value_of(map, i), STR_NONE};
        if (yaml_kind(entry.key) != YAML_TEXT) {
            fault(reader, entry.key, path, "a key is a name, as in KEY: VALUE");
            continue;
        }
        struct str key = yaml_text(entry.key);
        snprintf(name, sizeof(name), "%.*s%s%.*s", STR_FMT(path), path.len ? "." : "",
                 STR_FMT(key));
        entry.name = str_from(name);
        if (is_there_before(map, i))
            fault(reader, entry.key, entry.name, "is there twice");
        else
            read_entry(reader, &entry, base);
    }
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
static void add_playground(struct config *config)
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

/* ---- settings that depend on each other ------------------------------------------------------ */

/* Checks the shares of the requests, in percent: some must be left for endpoints that answer
 * soon. */
static void check_shares(const struct config *config, const struct place *place,
                         struct faults *faults)
{
    unsigned all = config->webhook_shares[POOL_SLOW] + config->webhook_shares[POOL_NEW] +
                   config->webhook_shares[POOL_FAILING] + config->webhook_shares[POOL_ASKED];
    if (all > CONFIG_SHARES_MAX)
        faults_add(faults, place, "webhooks",
                   "slow_share, new_share, failing_share and asked_share are %u percent together; "
                   "at most %d leave something for webhooks that answer soon",
                   all, CONFIG_SHARES_MAX);
}

enum { IDENTITY_FILE_MAX = 1 << 20 };

/* Reads the certificate and its key now: what the files have later waits for a reload. Returns what
 * is wrong, or NULL. */
static const char *read_identity(struct config *config)
{
    (void)read_file(config->webhook_cert_file, IDENTITY_FILE_MAX, &config->webhook_cert);
    (void)read_file(config->webhook_key_file, IDENTITY_FILE_MAX, &config->webhook_key);
    return identity_check(buf_str(&config->webhook_cert), buf_str(&config->webhook_key));
}

static void check_identity(struct config *config, const struct place *place, struct faults *faults)
{
    bool certificate = config->webhook_cert_file, key = config->webhook_key_file,
         hosts = config->webhook_cert_hosts_count > 0;
    if (!certificate && !key && !hosts)
        return;
    const char *why =
        certificate && key && hosts
            ? read_identity(config)
            : "cert_file, key_file and cert_hosts belong together: give all three, or none";
    if (why)
        faults_add(faults, place, "webhooks", "%s", why);
}

static void check_leases(const struct config *config, const struct place *place,
                         struct faults *faults)
{
    if (config->leases.least > config->leases.most)
        faults_add(faults, place, "websub", "lease_least_s is more than lease_most_s");
}

static void check_together(struct reader *reader, const struct yaml_file *file)
{
    struct config *config = reader->config;
    struct yaml_value root = yaml_file_root(file);
    struct place place = place_of_setting(&root, STR("webhooks"));
    check_shares(config, &place, reader->faults);
    check_identity(config, &place, reader->faults);
    place = place_of_setting(&root, STR("websub"));
    check_leases(config, &place, reader->faults);
    place = place_of_setting(&root, STR("memory"));
    if (config->memory && config->data)
        faults_add(reader->faults, &place, "memory",
                   "a log in memory has no folder: leave out either memory or data");
}

void config_file_read(struct config *config, const char *path, struct faults *faults)
{
    struct reader reader = {config, faults};
    if (yaml_file_open(path, &config->file, faults))
        return;
    struct yaml_value root = yaml_file_root(config->file);
    if (yaml_kind(root) == YAML_MAP)
        read_map(&reader, root, STR(""), config);
    else if (yaml_kind(root) != YAML_NOTHING)
        fault(&reader, root, STR(""), "the file holds keys, as in `listen: 127.0.0.1:7070`");
    add_playground(config);
    config->limits.ws.frame_max = config->limits.ws.message_max;
    config->publish_list[0] = config->publish;
    if (publish_limits_new(config->publish_list, config->publish_count, &config->publish_limits))
        faults_add(faults, NULL, "rates", "there is no memory for them");
    config->limits.publish = config->publish_limits;
    check_together(&reader, config->file);
}
