#include "server/changed.h"

#include "server/keys.h"

#include <string.h>

/* Sections and keys that a reload puts into effect, but for those of `of_start`, which the log and
 * the listeners were made with. */
static const char *const of_reload[] = {
    "access",
    "keys",
    "tokens",
    "hosts",
    "origins",
    "trusted_proxies",
    "limits",
    "forwarded_header",
    "rates",
    "namespaces",
    "inbound",
    "tls",
    "playground",
    "webhooks.ca_file",
    "webhooks.cert_file",
    "webhooks.key_file",
    "webhooks.cert_hosts",
    "webhooks.subject_endpoints_max",
};
static const char *const of_start[] = {
    "limits.channels_max",
    "limits.channels_address_percent",
    "limits.channels_connection_percent",
    "limits.keys_max",
    "limits.patterns_max",
    "namespaces.retention",
    "namespaces.ephemeral",
    "namespaces.compress",
    "namespaces.prefix",
};

static bool lies_in(struct str name, const char *section)
{
    struct str start = str_from(section);
    return str_starts(name, start) && (name.len == start.len || name.at[start.len] == '.');
}

static bool lies_in_any(struct str name, const char *const *sections, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (lies_in(name, sections[i]))
            return true;
    return false;
}

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

bool changed_applies(struct str name)
{
    return lies_in_any(name, of_reload, COUNT_OF(of_reload)) &&
           !lies_in_any(name, of_start, COUNT_OF(of_start));
}

/* ---- comparing ------------------------------------------------------------------------------- */

static bool text_equal(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool texts_equal(const char *const *a, size_t a_count, const char *const *b, size_t b_count)
{
    bool same = a_count == b_count;
    for (size_t i = 0; same && i < a_count; i++)
        same = text_equal(a[i], b[i]);
    return same;
}

/* A scalar of struct config itself. */
static bool scalar_equal(const struct key *key, const struct config *before,
                         const struct config *after)
{
    const char *a = (const char *)before + key->at, *b = (const char *)after + key->at;
    const char *text_a, *text_b;
    if (key->kind == KEY_NUMBER)
        return memcmp(a, b, key->size) == 0;
    if (key->kind == KEY_BOOLEAN)
        return memcmp(a, b, sizeof(bool)) == 0;
    memcpy(&text_a, a, sizeof(text_a));
    memcpy(&text_b, b, sizeof(text_b));
    return text_equal(text_a, text_b);
}

static bool schedule_equal(const struct config *a, const struct config *b)
{
    return a->webhook_schedule_count == b->webhook_schedule_count &&
           memcmp(a->webhook_schedule_ms, b->webhook_schedule_ms,
                  a->webhook_schedule_count * sizeof(a->webhook_schedule_ms[0])) == 0;
}

static bool allow_equal(const struct config *a, const struct config *b)
{
    return a->webhook_networks_count == b->webhook_networks_count &&
           memcmp(a->webhook_networks, b->webhook_networks,
                  a->webhook_networks_count * sizeof(a->webhook_networks[0])) == 0 &&
           texts_equal(a->webhook_hosts, a->webhook_hosts_count, b->webhook_hosts,
                       b->webhook_hosts_count);
}

static bool listen_equal(const struct config *a, const struct config *b)
{
    bool same = a->listen_count == b->listen_count;
    for (size_t i = 0; same && i < a->listen_count; i++)
        same = text_equal(a->listen[i].address, b->listen[i].address) &&
               a->listen[i].admin == b->listen[i].admin &&
               text_equal(a->listen[i].mode, b->listen[i].mode) &&
               text_equal(a->listen[i].group, b->listen[i].group);
    return same;
}

static bool retention_same(const struct namespace_config *a, const struct namespace_config *b)
{
    return a->age_us == b->age_us && a->count == b->count && a->bytes == b->bytes;
}

static bool ephemeral_same(const struct namespace_config *a, const struct namespace_config *b)
{
    return a->ephemeral == b->ephemeral;
}

static bool compress_same(const struct namespace_config *a, const struct namespace_config *b)
{
    return a->compress == b->compress;
}

typedef bool namespace_same(const struct namespace_config *a, const struct namespace_config *b);

static bool lies_below(struct str name, struct str prefix)
{
    bool starts = str_starts(name, prefix);
    return starts && (!prefix.len || name.len == prefix.len || name.at[prefix.len] == '/');
}

/* The namespace that counts for channels below `prefix`: the log takes the longest prefix alone, so
 * a namespace with rates alone takes the retention of a shorter one away. */
static const struct namespace_config *find_namespace(const struct config *config, struct str prefix)
{
    static const struct namespace_config none;
    const struct namespace_config *longest = &none;
    for (size_t i = 0; i < config->namespaces_count; i++) {
        const struct namespace_config *own = &config->namespaces[i];
        if (lies_below(prefix, own->prefix) && own->prefix.len >= longest->prefix.len)
            longest = own;
    }
    return longest;
}

static bool has_same(const struct config *a, const struct config *b, namespace_same *same)
{
    for (size_t i = 0; i < a->namespaces_count; i++)
        if (!same(&a->namespaces[i], find_namespace(b, a->namespaces[i].prefix)))
            return false;
    return true;
}

static bool retention_equal(const struct config *a, const struct config *b)
{
    return has_same(a, b, retention_same) && has_same(b, a, retention_same);
}

static bool ephemeral_equal(const struct config *a, const struct config *b)
{
    return has_same(a, b, ephemeral_same) && has_same(b, a, ephemeral_same);
}

static bool compress_equal(const struct config *a, const struct config *b)
{
    return has_same(a, b, compress_same) && has_same(b, a, compress_same);
}

static const struct {
    const char *name;
    bool (*equal)(const struct config *a, const struct config *b);
} lists[] = {
    {"listen", listen_equal},
    {"webhooks.schedule_ms", schedule_equal},
    {"webhooks.allow", allow_equal},
    {"namespaces.retention", retention_equal},
    {"namespaces.ephemeral", ephemeral_equal},
    {"namespaces.compress", compress_equal},
};

static bool list_waits(const char *name, const struct config *before, const struct config *after)
{
    for (size_t i = 0; i < COUNT_OF(lists); i++)
        if (lies_in(str_from(lists[i].name), name) && !lists[i].equal(before, after))
            return true;
    return false;
}

bool changed_waits(const struct key *key, const struct config *before, const struct config *after)
{
    struct str name = str_from(key->name);
    if (key->kind == KEY_LIST)
        return list_waits(key->name, before, after);
    return !changed_applies(name) && !key_is_of_item(name) && !scalar_equal(key, before, after);
}

/* ---- naming ---------------------------------------------------------------------------------- */

static unsigned add(struct buf *out, unsigned count, const char *name)
{
    buf_addf(out, "%s%s", count ? "," : "", name);
    return count + 1;
}

unsigned changed_add_waiting(const struct config *before, const struct config *after,
                             struct buf *out)
{
    unsigned count = 0;
    for (size_t i = 0; i < keys_count; i++) {
        const struct key *key = &keys[i];
        if (key->kind != KEY_LIST && changed_waits(key, before, after))
            count = add(out, count, key->name);
    }
    for (size_t i = 0; i < COUNT_OF(lists); i++)
        if (!lists[i].equal(before, after))
            count = add(out, count, lists[i].name);
    return count;
}
