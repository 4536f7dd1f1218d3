#include "server/config_lists.h"

#include "api/sites.h"
#include "base/say.h"
#include "transport/exchange.h"

/* ---- times and targets of webhooks ----------------------------------------------------------- */

void config_read_schedule(struct config_walk *walk, const struct key *key,
                          const struct walk_entry *entry, void *base)
{
    struct config *config = base;
    if (!yaml_count(entry->value))
        walk_fault(walk, entry->key, entry->name, "is a list of 1 to 16 times, as in [5s, 5m, 1h]");
    config->webhook_schedule_count = 0;
    for (size_t i = 0; i < yaml_count(entry->value); i++) {
        struct yaml_value item = yaml_item(entry->value, i);
        struct place place = yaml_place(item);
        uint64_t ms = 0;
        if (walk_is_text(walk, key, item) &&
            key_read_number(key, yaml_text(item), &place, walk->faults, &ms))
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

static const char *take_allowed(void *base, struct str text)
{
    struct config *config = base;
    const struct targets targets = {config->webhook_networks, &config->webhook_networks_count,
                                    config->webhook_hosts, &config->webhook_hosts_count};
    return add_target(&targets, text);
}

static const char *take_access_allowed(void *base, struct str text)
{
    struct config *config = base;
    const struct targets targets = {config->access_networks, &config->access_networks_count,
                                    config->access_hosts, &config->access_hosts_count};
    return add_target(&targets, text);
}

static const char *take_cert_host(void *base, struct str text)
{
    struct config *config = base;
    if (strlen(text.at) != text.len || !address_host_possible(text))
        return "is no host: it takes a name (hooks.internal) or an address (10.1.2.3) as URLs have "
               "it, without port, scheme or wildcard";
    config->webhook_cert_hosts[config->webhook_cert_hosts_count++] = text.at;
    return NULL;
}

_Static_assert(EXCHANGE_ORIGIN_MAX == 72, "the sentence below says so");

static const char *take_host(void *base, struct str text)
{
    struct config *config = base;
    if (!sites_host_valid(text))
        return "matches nothing: write a name or an address without port and scheme, as in "
               "rt.example.org, or *.example.org for all names below it";
    config->hosts[config->hosts_count++] = text;
    return NULL;
}

static const char *take_origin(void *base, struct str text)
{
    struct config *config = base;
    if (text.len > EXCHANGE_ORIGIN_MAX || !sites_origin_valid(text))
        return "matches nothing: write an origin as browsers do, in at most 72 bytes, as in "
               "https://app.example or http://app.example:8080, https://*.app.example for all "
               "names below it, or * for every site";
    config->origins[config->origins_count++] = text;
    return NULL;
}

void config_read_allow(struct config_walk *walk, const struct key *key,
                       const struct walk_entry *entry, void *base)
{
    walk_texts(walk, key, entry, base, take_allowed);
}

void config_read_access_allow(struct config_walk *walk, const struct key *key,
                              const struct walk_entry *entry, void *base)
{
    walk_texts(walk, key, entry, base, take_access_allowed);
}

void config_read_cert_hosts(struct config_walk *walk, const struct key *key,
                            const struct walk_entry *entry, void *base)
{
    walk_texts(walk, key, entry, base, take_cert_host);
}

void config_read_origins(struct config_walk *walk, const struct key *key,
                         const struct walk_entry *entry, void *base)
{
    walk_texts(walk, key, entry, base, take_origin);
}

static const char *take_proxy(void *base, struct str text)
{
    struct config *config = base;
    if (str_eq(text, STR("unix")))
        config->proxies_unix = true;
    else if (!network_parse(text, &config->proxies[config->proxies_count]))
        config->proxies_count++;
    else
        return "matches nothing: use a network (10.0.0.0/8, fd00::/8) with no bits set behind its "
               "length, an address (127.0.0.1), or unix for proxies that come by a Unix socket";
    return NULL;
}

void config_read_proxies(struct config_walk *walk, const struct key *key,
                         const struct walk_entry *entry, void *base)
{
    walk_texts(walk, key, entry, base, take_proxy);
}

void config_read_hosts(struct config_walk *walk, const struct key *key,
                       const struct walk_entry *entry, void *base)
{
    walk_texts(walk, key, entry, base, take_host);
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

static const char *quote_listen(const struct listen_item *item, char *room, size_t size)
{
    return faults_quote(room, size, str_from(item->address ? item->address : ""));
}

bool config_check_listen(const struct config *config, const struct listen_item *item,
                         const struct place *place, const char *name, struct faults *faults)
{
    char quoted[140], earlier[140];
    const struct listen_item *same =
        listening_find_same(config->listen, config->listen_count, item);
    if (same)
        faults_add(faults, place, name, "%s listens where %s does already: leave one of them out",
                   quote_listen(item, quoted, sizeof(quoted)),
                   quote_listen(same, earlier, sizeof(earlier)));
    return !same;
}

void config_read_listen(struct config_walk *walk, const struct key *key,
                        const struct walk_entry *entry, void *base)
{
    struct config *config = base;
    char quoted[140];
    for (size_t i = 0; i < walk_items(entry->value); i++) {
        struct yaml_value at = walk_item(entry->value, i);
        struct place place = yaml_place(at);
        struct listen_item item = {0};
        unsigned before = walk->faults->count;
        if (yaml_kind(at) == YAML_MAP)
            walk_map(walk, at, str_from(key->name), &item);
        else if (walk_is_text(walk, key, at) && key_check_text(key_find(STR("listen.address")),
                                                               yaml_text(at), &place, walk->faults))
            item.address = yaml_text(at).at;
        if (walk->faults->count != before)
            continue;
        const char *why = fault_of_listen(&item);
        if (why)
            faults_add(walk->faults, &place, key->name, "%s %s",
                       quote_listen(&item, quoted, sizeof(quoted)), why);
        else if (config_check_listen(config, &item, &place, key->name, walk->faults))
            config->listen[config->listen_count++] = item;
    }
}

static void read_pair(struct config_walk *walk, struct yaml_value map, const struct key *key)
{
    struct tls_pair pair = {0};
    unsigned faults = walk->faults->count;
    walk_map(walk, map, str_from(key->name), &pair);
    if (walk->faults->count != faults)
        return;
    if (!pair.cert || !pair.key)
        walk_fault(walk, map, str_from(key->name), "an item has both: {cert: FILE, key: FILE}");
    else
        walk->config->tls.pairs[walk->config->tls.pairs_count++] = pair;
}

void config_read_pairs(struct config_walk *walk, const struct key *key,
                       const struct walk_entry *entry, void *base)
{
    (void)base;
    for (size_t i = 0; i < yaml_count(entry->value); i++)
        if (walk_is_map(walk, yaml_item(entry->value, i), key))
            read_pair(walk, yaml_item(entry->value, i), key);
}
