#include "server/config.h"

#include "base/command_line.h"
#include "base/environment.h"
#include "base/mem.h"
#include "base/say.h"
#include "server/authorities.h"
#include "server/config_file.h"
#include "server/config_lists.h"
#include "server/keys.h"
#include "server/yaml_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)

void config_init(struct config *config)
{
    static const int64_t schedule_s[] = {5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400};
    long cores = sysconf(_SC_NPROCESSORS_ONLN), most = LOG_PORTS_MAX - 1;
    *config = (struct config){
        .threads = cores < 1 ? 1 : (unsigned)(cores < most ? cores : most),
        .limits = {.http = HTTP_LIMITS_DEFAULT, .hub = {.slice_bytes = MIB}},
    };
    issuers_init(&config->issuers);
    keys_set_defaults(config);
    /* Two more: that of all channels, and that of the playground. */
    config->rules = mem_alloc((CONFIG_SPACES_MAX + 2) * sizeof(*config->rules));
    config->rules_count = 1;
    config->publish_list = mem_alloc((CONFIG_SPACES_MAX + 2) * sizeof(*config->publish_list));
    config->publish_count = 1;
    config->presence = mem_alloc((CONFIG_SPACES_MAX + 1) * sizeof(*config->presence));
    config->limits.ws.frame_max = config->limits.ws.message_max;
    for (size_t i = 0; i < sizeof(schedule_s) / sizeof(schedule_s[0]); i++)
        config->webhook_schedule_ms[config->webhook_schedule_count++] = schedule_s[i] * 1000;
}

int config_read(struct config *config, const char *path, struct faults *faults)
{
    unsigned before = faults->count;
    config_file_read(config, path, faults);
    return faults->count == before ? 0 : -EINVAL;
}

void config_free(struct config *config)
{
    for (size_t i = 0; i < config->api_keys_count; i++)
        api_key_free(config->api_keys[i]);
    free(config->api_keys);
    for (size_t i = 0; i < config->sources_count; i++)
        source_free(config->sources[i]);
    free(config->sources);
    issuers_deinit(&config->issuers);
    free(config->authorizers);
    free(config->namespaces);
    free(config->presence);
    free(config->publish_list);
    free(config->publish_limits);
    free(config->rules);
    tls_server_unref(config->tls_server);
    buf_free(&config->webhook_ca);
    buf_free(&config->webhook_cert);
    if (config->webhook_key.at)
        explicit_bzero(config->webhook_key.at, config->webhook_key.cap);
    buf_free(&config->webhook_key);
    buf_free(&config->secret_files);
    yaml_file_free(config->file);
}

struct client_identity config_identity(const struct config *config)
{
    return (struct client_identity){.cert = buf_str(&config->webhook_cert),
                                    .key = buf_str(&config->webhook_key),
                                    .hosts = config->webhook_cert_hosts,
                                    .hosts_count = config->webhook_cert_hosts_count};
}

/* ---- options --------------------------------------------------------------------------------- */

struct options {
    const char *data, *base, *file;
    struct command_list listen;
    uint64_t threads;
    bool memory, insecure;
};

static void refuse(struct faults *faults, const char *option, const char *sentence)
{
    faults_add(faults, NULL, option, "%s", sentence);
}

static int read_options(struct options *options, int argc, char **argv, struct faults *faults)
{
    const struct command_option table[] = {
        {.name = "listen", .list = &options->listen},
        {.name = "data", .value = &options->data},
        {.name = "base", .value = &options->base},
        {.name = "config", .value = &options->file},
        {.name = "threads", .number = &options->threads, .most = LOG_PORTS_MAX - 1},
        {.name = "memory", .flag = &options->memory},
        {.name = "insecure", .flag = &options->insecure},
    };
    struct command_list rest = {.at = mem_alloc((size_t)argc * sizeof(char *))};
    struct buf why = {0};
    int result =
        command_line_read(argc, argv, table, sizeof(table) / sizeof(table[0]), &rest, &why);
    if (result == -EINVAL)
        faults_add(faults, NULL, "", "%.*s", STR_FMT(buf_str(&why)));
    else if (!result && rest.count)
        faults_add(faults, NULL, "", "\"%s\" is one word too many", rest.at[0]);
    if (options->memory && options->data)
        refuse(faults, "--memory", "keeps no data: leave out --data");
    buf_free(&why);
    free(rest.at);
    return result ? result : faults->count ? -EINVAL : 0;
}

/* Sets the key NAME from the option --NAME. */
static void set(struct config *config, const char *name, const char *text, struct faults *faults)
{
    const struct key *key = key_find(str_from(name));
    char option[32];
    if (!text)
        return;
    struct key as_option = *key;
    snprintf(option, sizeof(option), "--%s", name);
    as_option.name = option;
    (void)key_set(&as_option, config, str_from(text), NULL, faults);
}

/* The options replace the whole list of the file. */
static void set_listen(struct config *config, const struct command_list *listen,
                       struct faults *faults)
{
    if (listen->count > CONFIG_LISTEN_MAX)
        faults_add(faults, NULL, "--listen", "is there %zu times: %d at most", listen->count,
                   CONFIG_LISTEN_MAX);
    else if (listen->count)
        config->listen_count = 0;
    for (size_t i = 0; i < listen->count && config->listen_count < CONFIG_LISTEN_MAX; i++) {
        const struct listen_item item = {.address = listen->at[i]};
        if (config_check_listen(config, &item, NULL, "--listen", faults))
            config->listen[config->listen_count++] = item;
    }
}

/* Applies the command line over the file, even if the file says the opposite. */
static void apply(struct config *config, const struct options *options, struct faults *faults)
{
    set_listen(config, &options->listen, faults);
    set(config, "base", options->base, faults);
    if (options->memory)
        config->data = NULL;
    if (options->memory || options->data)
        config->memory = options->memory;
    set(config, "data", options->data, faults);
    if (options->threads)
        config->threads = (unsigned)options->threads;
    config->insecure = options->insecure;
}

static void read_switch(const char *name, bool *ret, struct faults *faults)
{
    const char *text = environment(name);
    if (!text || strcmp(text, "0") == 0)
        return;
    if (strcmp(text, "1") == 0)
        *ret = true;
    else if (boolean_read(str_from(text), ret))
        faults_add(faults, NULL, name,
                   "\"%.60s\" is neither 1 nor 0 (true, false, yes, no, on, off)", text);
}

static void read_environment(struct config *config, struct faults *faults)
{
    read_switch("FRESHET_NO_URING", &config->no_uring, faults);
    read_switch("FRESHET_NO_SANDBOX", &config->no_sandbox, faults);
}

static void check_address(struct config *config, const struct listen_item *item, unsigned nth,
                          struct faults *faults)
{
    char quoted[120];
    if (listening_add(&config->listening, item, nth) < 0)
        faults_add(faults, NULL, "--listen", "%s is not " LISTENING_FORM,
                   faults_quote(quoted, sizeof(quoted), str_from(item->address)));
}

void config_check_reach(const struct config *config, const struct listening *listening,
                        struct faults *faults)
{
    char at[160];
    for (unsigned i = 0; i < listening->count && !config->insecure && !config->has_access; i++) {
        if (listen_is_local(&listening->addresses[i]))
            continue;
        listen_format(&listening->addresses[i].at, at, sizeof(at));
        faults_add(
            faults, NULL, at,
            "can be reached from other machines, and there are no access rules: anyone could "
            "publish and read. `freshet init` writes a file with rules and a key; rules in the "
            "file of "
            "--config look like `access: {anybody: [read]}` (docs/access.md). Say --insecure if "
            "that "
            "is meant");
    }
}

static bool names_an_origin(const struct config *config)
{
    for (size_t i = 0; i < config->origins_count; i++)
        if (!memchr(config->origins[i].at, '*', config->origins[i].len))
            return true;
    return false;
}

/* A browser sends cookies for any page, so it must be known whose pages may use them. */
static void check_cookie(const struct config *config, struct faults *faults)
{
    struct place place = config_file_place(config, STR("access"));
    if (config->cookie && !names_an_origin(config))
        faults_add(faults, &place, "access.cookie",
                   "needs `origins`: the websites whose pages may use it, without wildcards, as in "
                   "`origins: [https://app.example]`");
    if (config->cookie && !config->has_access)
        faults_add(faults, &place, "access.cookie",
                   "has no meaning without rules: say `access: {anybody: [], authenticated: "
                   "[read]}`, for example");
}

static void check_addresses(struct config *config, struct faults *faults)
{
    config->listening.count = 0;
    static const struct listen_item otherwise = {.address = LISTENING_DEFAULT};
    if (!config->listen_count)
        check_address(config, &otherwise, 0, faults);
    for (unsigned i = 0; i < config->listen_count; i++)
        check_address(config, &config->listen[i], i, faults);
    config_check_reach(config, &config->listening, faults);
}

/* Reads certificates and keys now: a wrong one would otherwise end the server, or a reload. */
static void read_certificates(struct config *config, struct faults *faults)
{
    struct buf why = {0};
    struct place place = config_file_place(config, STR("tls"));
    if (config->tls.client_required && !config->tls.client_ca)
        faults_add(faults, &place, "tls.client_required",
                   "needs client_ca, a file with the authorities that clients may go by: without "
                   "it no client is asked for a certificate");
    if (config->tls.pairs_count && tls_server_new(&config->tls, &config->tls_server, &why))
        faults_add(faults, &place, "tls", "%.*s", STR_FMT(buf_str(&why)));
    buf_free(&why);
}

/* Whether each address has what its door needs. */
static void check_doors(const struct config *config, struct faults *faults)
{
    uint8_t doors = 0;
    bool leads = false; /* redirect:// does, and never to an address for management */
    for (unsigned i = 0; i < config->listening.count; i++) {
        uint8_t door = config->listening.addresses[i].door;
        leads |= (door & (DOOR_TLS | DOOR_ADMIN)) == DOOR_TLS;
        doors |= door;
    }
    if (doors & DOOR_TLS && !config->tls.pairs_count)
        refuse(faults, "tls.certificates", "is missing: https:// needs a certificate and its key");
    if (doors & DOOR_PROXY && !config->proxies_count && !config->proxies_unix)
        refuse(faults, "trusted_proxies",
               "is missing: only from there may connections with a header of the PROXY protocol "
               "come");
    if (doors & DOOR_REDIRECT && !leads && !config->proxies_count && !config->proxies_unix)
        refuse(faults, "listen",
               "redirect:// leads nowhere: there is no https:// address but for management, and no "
               "proxy of trusted_proxies that may have one");
}

/* Reads the authorities now: what the file has later waits for a reload. */
static void read_authorities(struct config *config, struct faults *faults)
{
    struct place place = config_file_place(config, STR("webhooks"));
    const char *why = config->webhook_ca_file
                          ? authorities_read(config->webhook_ca_file, &config->webhook_ca)
                          : NULL;
    if (why)
        faults_add(faults, &place, "webhooks.ca_file", "%s %s", config->webhook_ca_file, why);
}

static void check_tls(struct config *config, struct faults *faults)
{
    read_certificates(config, faults);
    check_doors(config, faults);
}

/* ---- sockets of the service manager ---------------------------------------------------------- */

static void adopt_one(struct config *config, const struct listen_address *passed,
                      struct faults *faults)
{
    char at[160];
    if (!listening_adopt(&config->listening, passed))
        return;
    listen_format(&passed->at, at, sizeof(at));
    faults_add(faults, NULL, at,
               "is a socket of the service manager, and no item of `listen` has that address: add "
               "it there, or leave `listen` out to be served at all sockets that come");
}

static void adopt_all(struct config *config, const struct activation *activation)
{
    config->listening.count = activation->count;
    memcpy(config->listening.addresses, activation->addresses,
           activation->count * sizeof(activation->addresses[0]));
}

int config_adopt(struct config *config, const struct activation *activation, struct faults *faults)
{
    unsigned before = faults->count;
    if (!activation->count)
        return 0;
    if (!config->listen_count)
        adopt_all(config, activation);
    for (unsigned i = 0; config->listen_count && i < activation->count; i++)
        adopt_one(config, &activation->addresses[i], faults);
    config_check_reach(config, &config->listening, faults);
    check_doors(config, faults);
    return faults->count == before ? 0 : -EINVAL;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void take_all(struct config *config, const struct options *options, struct faults *faults)
{
    read_environment(config, faults);
    if (options->file && !*options->file)
        refuse(faults, "--config", "names no file");
    else if (options->file)
        config_file_read(config, options->file, faults);
    config->path = options->file;
    apply(config, options, faults);
    config->has_access = config->has_access || config->api_keys_count || config->issuers.count;
    if (!faults->count)
        check_addresses(config, faults);
    check_cookie(config, faults);
    if (!faults->count)
        read_authorities(config, faults);
    if (!faults->count)
        check_tls(config, faults);
}

int config_options(struct config *config, int argc, char **argv, struct faults *faults)
{
    struct options options = {0};
    options.listen.at = mem_alloc((size_t)argc * sizeof(char *));
    int result = read_options(&options, argc, argv, faults);
    if (!result)
        take_all(config, &options, faults);
    free(options.listen.at);
    return result ? result : faults->count ? -EINVAL : 0;
}
