#include "server/settings.h"

#include "access/certificate.h"
#include "base/mem.h"
#include "server/told.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

int settings_read(struct settings **ret, int argc, char **argv, struct faults *faults)
{
    struct settings *settings = mem_alloc(sizeof(*settings));
    *ret = settings;
    list_init(&settings->retired);
    config_init(&settings->config);
    settings->rules = &rules_open;
    return config_options(&settings->config, argc, argv, faults);
}

/* ---- servers asked about access -------------------------------------------------------------- */

/* Whether a server of somebody else has to be asked. */
static bool asks_others(const struct config *config)
{
    if (config->authorizers_count)
        return true;
    for (size_t i = 0; i < config->issuers.count; i++)
        if (config->issuers.at[i].jwks_url)
            return true;
    return false;
}

static bool issuer_equal(const struct issuer *a, const struct issuer *b)
{
    return a->voucher == b->voucher && a->leeway_s == b->leeway_s && a->refresh_s == b->refresh_s &&
           a->keep_s == b->keep_s;
}

static bool server_equal(const struct authorize_server *a, const struct authorize_server *b)
{
    return a->voucher == b->voucher && a->cache_s == b->cache_s && a->timeout_ms == b->timeout_ms;
}

/* Whether both let the servers that are asked be at the same places, and go by the same
 * authorities.
 */
static bool allows_the_same(const struct config *a, const struct config *b)
{
    if (a->access_networks_count != b->access_networks_count ||
        a->access_hosts_count != b->access_hosts_count)
        return false;
    if (memcmp(a->access_networks, b->access_networks,
               a->access_networks_count * sizeof(a->access_networks[0])) != 0)
        return false;
    if (!str_eq(buf_str(&a->webhook_ca), buf_str(&b->webhook_ca)))
        return false;
    for (size_t i = 0; i < a->access_hosts_count; i++)
        if (strcmp(a->access_hosts[i], b->access_hosts[i]) != 0)
            return false;
    return true;
}

/* Whether both ask the same of the same. */
static bool asks_the_same(const struct config *a, const struct config *b)
{
    if (a->issuers.count != b->issuers.count || a->authorizers_count != b->authorizers_count ||
        !allows_the_same(a, b))
        return false;
    for (size_t i = 0; i < a->issuers.count; i++)
        if (!issuer_equal(&a->issuers.at[i], &b->issuers.at[i]))
            return false;
    for (size_t i = 0; i < a->authorizers_count; i++)
        if (!server_equal(&a->authorizers[i], &b->authorizers[i]))
            return false;
    return true;
}

/* The operator has named the servers that are asked, so this machine may be one of them. */
static int open_backend(struct settings *settings)
{
    struct config *config = &settings->config;
    const struct backend_config backend = {
        .clock = clock_system(),
        .issuers = &config->issuers,
        .policy = {.loopback = true,
                   .networks = config->access_networks,
                   .networks_count = config->access_networks_count,
                   .hosts = config->access_hosts,
                   .hosts_count = config->access_hosts_count},
        .authorities = buf_str(&config->webhook_ca),
    };
    int result = asks_others(config) ? backend_open(&backend, &settings->backend) : 0;
    if (result)
        fprintf(stderr, "freshet serve: cannot prepare to ask other servers about access: %s\n",
                strerror(-result));
    return result;
}

/* Settings that say the same as before go on with the issuers and the backend of before: keys that
 * were fetched, and answers that were kept, stay. */
static int find_asker(struct settings *settings, struct settings *before)
{
    settings->asker = settings;
    if (before && asks_the_same(&settings->config, &before->asker->config)) {
        settings->asker = before->asker;
        settings->asker->users++;
        return 0;
    }
    if (before)
        issuers_share_keys(&settings->config.issuers, &before->asker->config.issuers);
    return open_backend(settings);
}

/* The limits are those of the newest settings, whoever's the asker is. */
static void limit_asker(const struct settings *settings)
{
    const struct config *config = &settings->config;
    struct settings *asker = settings->asker;
    issuers_remember(&asker->config.issuers, config->token_cache_bytes);
    if (!asker->backend)
        return;
    authorize_limit(backend_authorize(asker->backend), &config->authorize_limits);
    jwks_limit(backend_jwks(asker->backend), config->jwks_address_max);
}

static void list_vouchers(struct settings *settings)
{
    const struct config *config = &settings->asker->config;
    size_t count = 0;
    settings->vouchers =
        mem_alloc((config->issuers.count + config->authorizers_count + 1) * sizeof(uint64_t));
    for (size_t i = 0; i < config->issuers.count; i++)
        settings->vouchers[count++] = config->issuers.at[i].voucher;
    for (size_t i = 0; i < config->authorizers_count; i++)
        settings->vouchers[count++] = config->authorizers[i].voucher;
    settings->api.vouchers = settings->vouchers;
    settings->api.vouchers_count = count;
}

/* ---- the parts ------------------------------------------------------------------------------- */

/* The option --insecure opens the server to everybody, unless names were configured. */
static enum sites_trust trust_of(const struct config *config)
{
    if (config->has_access || (config->insecure && config->hosts_count))
        return SITES_NAMED;
    return config->insecure ? SITES_ANY : SITES_LOCAL;
}

/* Fills the part of the configuration that handlers see. */
static void fill_api(struct settings *settings)
{
    const struct config *config = &settings->config;
    const struct config *asker = &settings->asker->config;
    struct api *api = &settings->api;
    api->sites = (struct sites){.trust = trust_of(config),
                                .hosts = config->hosts,
                                .hosts_count = config->hosts_count,
                                .origins = config->origins,
                                .origins_count = config->origins_count};
    api->authority = config->has_access ? &settings->authority : NULL;
    api->cookie = config->cookie ? str_from(config->cookie) : STR_NONE;
    api->batch_max = config->batch_max;
    api->event_soft_max = config->event_soft_max;
    api->sources = config->sources;
    api->sources_count = config->sources_count;
    api->issuers = &settings->asker->config.issuers;
    api->jwks = backend_jwks(settings->asker->backend);
    api->authorizers = NULL;
    if (asker->authorizers_count) {
        settings->authorizers = (struct authorizers){backend_authorize(settings->asker->backend),
                                                     asker->authorizers, asker->authorizers_count};
        api->authorizers = &settings->authorizers;
    }
}

static void fill_proxies(struct settings *settings)
{
    const struct config *config = &settings->config;
    const char *header = config->forwarded_header;
    settings->proxies = (struct trusted_proxies){
        .networks = config->proxies,
        .networks_count = config->proxies_count,
        .unix_sockets = config->proxies_unix,
        .is_standard = header && strcasecmp(header, "forwarded") == 0,
    };
}

const struct trusted_proxies *settings_proxies(const struct settings *settings)
{
    const struct config *config = &settings->config;
    return config->proxies_count || config->proxies_unix ? &settings->proxies : NULL;
}

bool settings_are_local(const struct settings *settings)
{
    return settings->api.sites.trust == SITES_LOCAL;
}

int settings_prepare(struct settings *settings, const struct api *api, struct key_table *keys,
                     struct settings *before)
{
    struct config *config = &settings->config;
    if (config->has_access && !(settings->rules = rules_new(config->rules, config->rules_count))) {
        settings->rules = &rules_open;
        return -ENOMEM;
    }
    int result = find_asker(settings, before);
    if (result)
        return result;
    limit_asker(settings);
    settings->api = *api;
    settings->presence = presence_settings_new(config->presence, config->presence_count);
    if (!settings->presence)
        return -ENOMEM;
    authority_add(&settings->authority, &keys->source);
    authority_add(&settings->authority, &settings->asker->config.issuers.source);
    settings->certificates = certificate_source();
    authority_add(&settings->authority, &settings->certificates);
    list_vouchers(settings);
    settings->start = before ? before->start : settings;
    told_add(&settings->told, &settings->start->config, config);
    settings->api.configuration = buf_failed(&settings->told) ? STR_NONE : buf_str(&settings->told);
    fill_api(settings);
    fill_proxies(settings);
    return 0;
}

void settings_free(struct settings *settings)
{
    if (!settings)
        return;
    if (settings->asker && settings->asker != settings)
        settings->asker->users--;
    backend_stop(settings->backend);
    backend_free(settings->backend);
    rules_unref(settings->rules);
    presence_settings_unref(settings->presence);
    free(settings->vouchers);
    buf_free(&settings->told);
    config_free(&settings->config);
    free(settings);
}
