#include "server/config.h"

#include "base/command_line.h"
#include "base/environment.h"
#include "base/mem.h"
#include "net/listen.h"
#include "server/config_file.h"
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
    config->rules = mem_alloc((CONFIG_SPACES_MAX + 1) * sizeof(*config->rules));
    config->rules_count = 1;
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
    free(config->rules);
    yaml_file_free(config->file);
}

/* ---- options --------------------------------------------------------------------------------- */

struct options {
    const char *listen, *data, *base, *file;
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
        {.name = "listen", .value = &options->listen},
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
        refuse(faults, rest.at[0], "is one word too many");
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

/* Applies the command line over the file, even if the file says the opposite. */
static void apply(struct config *config, const struct options *options, struct faults *faults)
{
    set(config, "listen", options->listen, faults);
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

static void read_environment(struct config *config, struct faults *faults)
{
    const char *text = environment("FRESHET_NO_URING");
    if (!text || strcmp(text, "0") == 0)
        return;
    if (strcmp(text, "1") == 0)
        config->no_uring = true;
    else if (boolean_read(str_from(text), &config->no_uring))
        faults_add(faults, NULL, "FRESHET_NO_URING",
                   "\"%.60s\" is neither 1 nor 0 (true, false, yes, no, on, off)", text);
}

static void check_address(struct config *config, struct faults *faults)
{
    const char *listen = config_listen(config);
    int count = listen_parse_all(listen, config->addresses);
    config->addresses_count = count > 0 ? (unsigned)count : 0;
    if (count < 0)
        refuse(faults, listen, "is not ADDRESS:PORT");
    else if (!listen_is_loopback(&config->addresses[0].at) && !config->insecure &&
             !config->has_access)
        faults_add(
            faults, NULL, listen,
            "can be reached from other machines, and there are no access rules: anyone could "
            "publish and read. Write into the file of --config who may do what, as in "
            "`access: {anybody: [read]}` (docs/access.md), or say --insecure if that is meant");
}

/* A browser sends cookies for any page, so it must be known whose pages may use them. */
static void check_cookie(const struct config *config, struct faults *faults)
{
    if (config->cookie && !config->origins_count)
        faults_add(faults, NULL, "access.cookie",
                   "needs `origins`: the websites whose pages may use it, as in "
                   "`origins: [https://app.example]`");
    if (config->cookie && !config->has_access)
        faults_add(faults, NULL, "access.cookie",
                   "has no meaning without rules: say `access: {anybody: [], authenticated: "
                   "[read]}`, for example");
}

int config_options(struct config *config, int argc, char **argv, struct faults *faults)
{
    struct options options = {0};
    int result = read_options(&options, argc, argv, faults);
    if (result)
        return result;
    read_environment(config, faults);
    if (options.file && !*options.file)
        refuse(faults, "--config", "names no file");
    else if (options.file)
        config_file_read(config, options.file, faults);
    apply(config, &options, faults);
    config->has_access = config->has_access || config->api_keys_count || config->issuers.count;
    if (!faults->count)
        check_address(config, faults);
    check_cookie(config, faults);
    return faults->count ? -EINVAL : 0;
}
