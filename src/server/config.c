#include "server/config.h"

#include "base/command_line.h"
#include "server/yaml_file.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)
#define S_US INT64_C(1000000)
#define DAY_MS (UINT64_C(24) * 3600 * 1000)
#define POLL_PACE_MAX_MS 1000
#define SPIN_MAX_US 1000000

/* The file as cyaml reads it: a field that is not there stays 0 or NULL, and then the default of
 * config_init() stands. */
struct file_retention {
    uint64_t age_s;
    uint64_t count;
    uint64_t bytes;
};

struct file_space {
    char *prefix;
    struct file_retention *retention;
    bool ephemeral;
};

struct file_limits {
    uint64_t body_max, message_max, batch_max, connections_max, channels_max, keys_max,
        inflight_max, channels_address_percent, channels_connection_percent;
    uint64_t pending_max, rests_max, held_max, branches_max, window_bytes, chunk_bytes, cache_bytes,
        live_max;
    uint64_t head_ms, body_ms, idle_ms, stall_ms, publish_ms, close_ms, drain_ms, message_ms;
    uint64_t *poll_pace_ms; /* NULL when it is not there: 0 says something */
};

struct file_log {
    uint64_t bytes_max, roll_bytes, roll_s;
};

struct file_webhooks {
    uint64_t *schedule_ms;
    unsigned schedule_ms_count;
    uint64_t timeout_ms;
    char **allow;
    unsigned allow_count;
    uint64_t endpoints_max, records_max, records_age_s;
    uint64_t requests_max, patience_ms, slow_share, new_share, failing_share, asked_share;
};

struct file_source {
    char *source, *kind;
    char **secrets;
    unsigned secrets_count;
    char *header, *prefix, *hash, *encoding, *timestamp_header, *signed_bytes;
    char *channel, *type, *id;
    uint64_t tolerance_s;
};

struct config_file {
    char *listen;
    char *data;
    char *base;
    bool memory;
    uint64_t threads;
    uint64_t spin_us;
    struct file_space *namespaces;
    unsigned namespaces_count;
    struct file_limits *limits;
    struct file_log *log;
    struct file_webhooks *webhooks;
    struct file_source *inbound;
    unsigned inbound_count;
};

#define OPT CYAML_FLAG_OPTIONAL
#define U64(type, name) CYAML_FIELD_UINT(#name, OPT, type, name)

static const cyaml_schema_field_t retention_fields[] = {
    U64(struct file_retention, age_s), U64(struct file_retention, count),
    U64(struct file_retention, bytes), CYAML_FIELD_END};

static const cyaml_schema_field_t space_fields[] = {
    CYAML_FIELD_STRING_PTR("prefix", CYAML_FLAG_POINTER, struct file_space, prefix, 0, 255),
    CYAML_FIELD_MAPPING_PTR("retention", CYAML_FLAG_POINTER | OPT, struct file_space, retention,
                            retention_fields),
    CYAML_FIELD_BOOL("ephemeral", OPT, struct file_space, ephemeral), CYAML_FIELD_END};
static const cyaml_schema_value_t space_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct file_space, space_fields)};

#define LIMIT(name) U64(struct file_limits, name)
#define LIMIT_PTR(name)                                                                            \
    CYAML_FIELD_UINT_PTR(#name, CYAML_FLAG_POINTER | OPT, struct file_limits, name)
static const cyaml_schema_field_t limit_fields[] = {LIMIT(body_max),
                                                    LIMIT(message_max),
                                                    LIMIT(batch_max),
                                                    LIMIT(connections_max),
                                                    LIMIT(channels_address_percent),
                                                    LIMIT(channels_connection_percent),
                                                    LIMIT(channels_max),
                                                    LIMIT(keys_max),
                                                    LIMIT(inflight_max),
                                                    LIMIT(pending_max),
                                                    LIMIT(rests_max),
                                                    LIMIT(held_max),
                                                    LIMIT(branches_max),
                                                    LIMIT(window_bytes),
                                                    LIMIT(chunk_bytes),
                                                    LIMIT(cache_bytes),
                                                    LIMIT(live_max),
                                                    LIMIT(head_ms),
                                                    LIMIT(body_ms),
                                                    LIMIT(idle_ms),
                                                    LIMIT(stall_ms),
                                                    LIMIT(publish_ms),
                                                    LIMIT(close_ms),
                                                    LIMIT(message_ms),
                                                    LIMIT(drain_ms),
                                                    LIMIT_PTR(poll_pace_ms),
                                                    CYAML_FIELD_END};

static const cyaml_schema_field_t log_fields[] = {U64(struct file_log, bytes_max),
                                                  U64(struct file_log, roll_bytes),
                                                  U64(struct file_log, roll_s), CYAML_FIELD_END};

static const cyaml_schema_value_t number_schema = {CYAML_VALUE_UINT(CYAML_FLAG_DEFAULT, uint64_t)};
static const cyaml_schema_value_t text_schema = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, 255)};
static const cyaml_schema_field_t webhook_fields[] = {
    CYAML_FIELD_SEQUENCE("schedule_ms", CYAML_FLAG_POINTER | OPT, struct file_webhooks, schedule_ms,
                         &number_schema, 1, CONFIG_SCHEDULE_MAX),
    U64(struct file_webhooks, timeout_ms),
    CYAML_FIELD_SEQUENCE("allow", CYAML_FLAG_POINTER | OPT, struct file_webhooks, allow,
                         &text_schema, 0, CONFIG_ALLOW_MAX),
    U64(struct file_webhooks, endpoints_max),
    U64(struct file_webhooks, records_max),
    U64(struct file_webhooks, records_age_s),
    U64(struct file_webhooks, requests_max),
    U64(struct file_webhooks, patience_ms),
    U64(struct file_webhooks, slow_share),
    U64(struct file_webhooks, new_share),
    U64(struct file_webhooks, failing_share),
    U64(struct file_webhooks, asked_share),
    CYAML_FIELD_END};

static const cyaml_schema_value_t secret_schema = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CONFIG_SECRET_MAX)};
#define TEXT(key, name)                                                                            \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER | OPT, struct file_source, name, 0,             \
                           TEMPLATE_TEXT_MAX)
static const cyaml_schema_field_t source_fields[] = {
    CYAML_FIELD_STRING_PTR("source", CYAML_FLAG_POINTER, struct file_source, source, 0, 64),
    CYAML_FIELD_STRING_PTR("kind", CYAML_FLAG_POINTER, struct file_source, kind, 0, 20),
    CYAML_FIELD_SEQUENCE("secrets", CYAML_FLAG_POINTER | OPT, struct file_source, secrets,
                         &secret_schema, 0, VERIFY_SECRETS_MAX),
    TEXT("header", header),
    TEXT("prefix", prefix),
    TEXT("hash", hash),
    TEXT("encoding", encoding),
    TEXT("timestamp_header", timestamp_header),
    TEXT("signed", signed_bytes),
    TEXT("channel", channel),
    TEXT("type", type),
    TEXT("id", id),
    U64(struct file_source, tolerance_s),
    CYAML_FIELD_END};
static const cyaml_schema_value_t source_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct file_source, source_fields)};

/* May be there with every line of it commented out. */
#define SECTION (CYAML_FLAG_POINTER_NULL_STR | OPT)
static const cyaml_schema_field_t file_fields[] = {
    CYAML_FIELD_STRING_PTR("listen", CYAML_FLAG_POINTER | OPT, struct config_file, listen, 0, 100),
    CYAML_FIELD_STRING_PTR("data", CYAML_FLAG_POINTER | OPT, struct config_file, data, 0, PATH_MAX),
    CYAML_FIELD_STRING_PTR("base", CYAML_FLAG_POINTER | OPT, struct config_file, base, 0, 100),
    CYAML_FIELD_BOOL("memory", OPT, struct config_file, memory),
    U64(struct config_file, threads),
    U64(struct config_file, spin_us),
    CYAML_FIELD_SEQUENCE("namespaces", SECTION, struct config_file, namespaces, &space_schema, 0,
                         1000),
    CYAML_FIELD_MAPPING_PTR("limits", SECTION, struct config_file, limits, limit_fields),
    CYAML_FIELD_MAPPING_PTR("log", SECTION, struct config_file, log, log_fields),
    CYAML_FIELD_MAPPING_PTR("webhooks", SECTION, struct config_file, webhooks, webhook_fields),
    CYAML_FIELD_SEQUENCE("inbound", SECTION, struct config_file, inbound, &source_schema, 0,
                         CONFIG_SOURCES_MAX),
    CYAML_FIELD_END};
static const cyaml_schema_value_t file_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER_NULL_STR, struct config_file, file_fields)};

static const cyaml_config_t cyaml_config = {
    .log_fn = cyaml_log, .mem_fn = cyaml_mem, .log_level = CYAML_LOG_ERROR};

void config_init(struct config *config)
{
    static const int64_t schedule_s[] = {5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    *config = (struct config){
        .threads = cores > 0 ? (unsigned)cores : 1,
        .limits = {.http = HTTP_LIMITS_DEFAULT,
                   .ws = {.message_max = MIB, .frame_max = MIB},
                   .head_ms = 10000,
                   .body_ms = 30000,
                   .idle_ms = 75000,
                   .stall_ms = 60000,
                   .publish_ms = 10000,
                   .close_ms = 5000,
                   .message_ms = 30000,
                   .drain_ms = 2000,
                   .poll_pace_ms = 25,
                   .body_max = MIB,
                   .inflight_max = 64,
                   .pending_max = 64 * MIB,
                   .rests_max = 64 * MIB,
                   .held_max = 256 * MIB,
                   .hub = {.branches_max = 1000000,
                           .window_bytes = 8 * MIB,
                           .chunk_bytes = UINT64_C(256) * 1024,
                           .cache_bytes = 4 * MIB,
                           .slice_bytes = MIB,
                           .live_max = 32 * MIB}},
        .channels_max = 2000000,
        .channels_address_percent = 90,
        .channels_connection_percent = 75,
        .keys_max = 1000000,
        .batch_max = 1000,
        .log_bytes_max = 0,
        .roll_bytes = 64 * MIB,
        .roll_us = 3600 * S_US,
        .webhook_timeout_ms = 15000,
    };
    for (size_t i = 0; i < sizeof(schedule_s) / sizeof(schedule_s[0]); i++)
        config->webhook_schedule_ms[config->webhook_schedule_count++] = schedule_s[i] * 1000;
}

#define TAKE(to, from)                                                                             \
    do {                                                                                           \
        if (from)                                                                                  \
            (to) = (__typeof__(to))(from);                                                         \
    } while (0)

static void take_limits(struct config *config, const struct file_limits *file)
{
    struct worker_limits *limits = &config->limits;
    TAKE(limits->body_max, file->body_max);
    TAKE(limits->ws.message_max, file->message_max);
    TAKE(limits->ws.frame_max, file->message_max);
    TAKE(config->batch_max, file->batch_max);
    TAKE(config->connections_max, file->connections_max);
    TAKE(config->channels_max, file->channels_max);
    TAKE(config->channels_address_percent, file->channels_address_percent);
    TAKE(config->channels_connection_percent, file->channels_connection_percent);
    TAKE(config->keys_max, file->keys_max);
    TAKE(limits->inflight_max, file->inflight_max);
    TAKE(limits->pending_max, file->pending_max);
    TAKE(limits->rests_max, file->rests_max);
    TAKE(limits->held_max, file->held_max);
    TAKE(limits->hub.branches_max, file->branches_max);
    TAKE(limits->hub.window_bytes, file->window_bytes);
    TAKE(limits->hub.chunk_bytes, file->chunk_bytes);
    TAKE(limits->hub.cache_bytes, file->cache_bytes);
    TAKE(limits->hub.live_max, file->live_max);
    TAKE(limits->head_ms, file->head_ms);
    TAKE(limits->body_ms, file->body_ms);
    TAKE(limits->idle_ms, file->idle_ms);
    TAKE(limits->stall_ms, file->stall_ms);
    TAKE(limits->publish_ms, file->publish_ms);
    TAKE(limits->close_ms, file->close_ms);
    TAKE(limits->message_ms, file->message_ms);
    TAKE(limits->drain_ms, file->drain_ms);
    if (file->poll_pace_ms)
        limits->poll_pace_ms = (int64_t)*file->poll_pace_ms;
}

static void take_spaces(struct config *config, const struct config_file *file)
{
    free(config->spaces);
    config->spaces = mem_alloc((file->namespaces_count + 1) * sizeof(*config->spaces));
    config->spaces_count = file->namespaces_count;
    for (unsigned i = 0; i < file->namespaces_count; i++) {
        const struct file_space *from = &file->namespaces[i];
        struct space_config *to = &config->spaces[i];
        to->prefix = str_from(from->prefix);
        to->ephemeral = from->ephemeral;
        if (!from->retention)
            continue;
        to->age_us = (int64_t)from->retention->age_s * S_US;
        to->count = from->retention->count;
        to->bytes = from->retention->bytes;
    }
}

static bool is_number_or_mark(char c)
{
    return (c >= '0' && c <= '9') || c == '.' || c == '/' || c == ':';
}

/* A network, or the name of a host: what has nothing but digits, dots, colons and a slash must be a
 * network, so that a slip of the pen does not become a name that nobody has. */
static int take_allowed(struct config *config, const char *text)
{
    struct network network;
    bool numeric = strchr(text, '/') || strchr(text, ':');
    for (const char *c = text; !numeric && is_number_or_mark(*c); c++)
        numeric = !c[1];
    if (!network_parse(str_from(text), &network)) {
        config->webhook_networks[config->webhook_networks_count++] = network;
    } else if (!numeric) {
        config->webhook_hosts[config->webhook_hosts_count++] = text;
    } else {
        fprintf(stderr,
                "freshet: webhooks: allow: \"%s\" is neither a network (10.0.0.0/8, fd00::/8), nor "
                "an address, nor the name of a host\n",
                text);
        return -EINVAL;
    }
    return 0;
}

static int take_allow(struct config *config, const struct file_webhooks *file)
{
    int result = 0;
    for (unsigned i = 0; !result && i < file->allow_count; i++)
        result = take_allowed(config, file->allow[i]);
    return result;
}

/* Shares of the requests, in percent. Some must be left for endpoints that answer soon. */
static int take_shares(struct config *config, const struct file_webhooks *file)
{
    const struct {
        enum pool_class class;
        uint64_t share;
    } shares[] = {{POOL_SLOW, file->slow_share},
                  {POOL_NEW, file->new_share},
                  {POOL_FAILING, file->failing_share},
                  {POOL_ASKED, file->asked_share}};
    uint64_t all = 0;
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        uint64_t share = shares[i].share ? shares[i].share : pool_shares[shares[i].class];
        all += share < 100 ? share : 100;
        config->webhook_shares[shares[i].class] = (unsigned)(share < 100 ? share : 100);
    }
    if (all <= CONFIG_SHARES_MAX)
        return 0;
    fprintf(stderr,
            "freshet: webhooks: slow_share, new_share, failing_share and asked_share are percent, "
            "and together at most %d\n",
            CONFIG_SHARES_MAX);
    return -EINVAL;
}

static void take_webhooks(struct config *config, const struct file_webhooks *file)
{
    TAKE(config->webhook_timeout_ms, file->timeout_ms);
    TAKE(config->webhook_endpoints_max, file->endpoints_max);
    TAKE(config->webhook_records_max, file->records_max);
    TAKE(config->webhook_requests_max, file->requests_max);
    TAKE(config->webhook_patience_ms, file->patience_ms);
    if (file->records_age_s)
        config->webhook_records_age_us = (int64_t)file->records_age_s * S_US;
    if (!file->schedule_ms_count)
        return;
    config->webhook_schedule_count = file->schedule_ms_count;
    for (unsigned i = 0; i < file->schedule_ms_count; i++)
        config->webhook_schedule_ms[i] = (int64_t)file->schedule_ms[i];
}

/* What is beyond these is a slip of the pen, and would not fit where it goes. */
static int check_limits(const struct file_limits *file)
{
    const struct {
        const char *name;
        uint64_t value;
        uint64_t most;
    } checks[] = {
        {"body_max", file->body_max, UINT64_C(1) << 30},
        {"message_max", file->message_max, UINT64_C(1) << 30},
        {"batch_max", file->batch_max, 100000},
        {"inflight_max", file->inflight_max, 1000000},
        {"channels_address_percent", file->channels_address_percent, 100},
        {"channels_connection_percent", file->channels_connection_percent, 100},
        {"chunk_bytes", file->chunk_bytes, UINT64_C(1) << 30},
        {"head_ms", file->head_ms, DAY_MS},
        {"body_ms", file->body_ms, DAY_MS},
        {"idle_ms", file->idle_ms, DAY_MS},
        {"stall_ms", file->stall_ms, DAY_MS},
        {"publish_ms", file->publish_ms, DAY_MS},
        {"close_ms", file->close_ms, DAY_MS},
        {"message_ms", file->message_ms, DAY_MS},
        {"drain_ms", file->drain_ms, DAY_MS},
        {"poll_pace_ms", file->poll_pace_ms ? *file->poll_pace_ms : 0, POLL_PACE_MAX_MS},
    };
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        if (checks[i].value <= checks[i].most)
            continue;
        fprintf(stderr, "freshet: limits.%s is a number from 0 to %llu\n", checks[i].name,
                (unsigned long long)checks[i].most);
        return -EINVAL;
    }
    return 0;
}

/* ---- inbound --------------------------------------------------------------------------------- */

/* What a secret's text stands for: itself, `env:NAME`, or `file:PATH` without a last line end. A
 * text to be freed by secret_free(), or NULL. */
static char *secret_text(const char *said)
{
    char *text = mem_try_alloc(CONFIG_SECRET_MAX + 1);
    const char *from = said;
    size_t len = 0;
    if (!text)
        return NULL;
    if (strncmp(said, "file:", 5) == 0) {
        FILE *file = fopen(said + 5, "re");
        len = file ? fread(text, 1, CONFIG_SECRET_MAX, file) : 0;
        if (file)
            fclose(file);
        while (len && strchr("\r\n", text[len - 1]))
            len--;
    } else {
        if (strncmp(said, "env:", 4) == 0)
            from = getenv(said + 4);
        len = from ? strnlen(from, CONFIG_SECRET_MAX) : 0;
        memcpy(text, from ? from : "", len);
    }
    text[len] = '\0';
    return text;
}

static void secret_free(char *text)
{
    if (text)
        explicit_bzero(text, CONFIG_SECRET_MAX);
    free(text);
}

/* Whether a name can come out of a template at all: what is fixed in it is checked with every
 * value missing. */
static const char *names_fault(const struct source *source)
{
    static const struct http_fields none = {0};
    struct inbound_request request = {.fields = &none, .body = STR("")};
    struct source_event event = {0};
    const char *why = NULL;
    if (source_read(source, &request, &event))
        why = "no memory";
    else if (name_valid(buf_str(&event.channel), &why) && event.channel.at[0] == '$')
        why = "channels that begin with $ are the server's";
    else if (!why)
        (void)type_valid(buf_str(&event.type), &why);
    source_event_deinit(&event);
    return why;
}

static int source_read_file(const struct file_source *file, struct source **ret_source)
{
    char *secrets[VERIFY_SECRETS_MAX] = {0};
    struct buf why = {0};
    struct source_settings settings = {
        .name = file->source,
        .kind = file->kind,
        .secrets = (const char *const *)secrets,
        .secrets_count = file->secrets_count,
        .header = file->header,
        .prefix = file->prefix,
        .hash = file->hash,
        .encoding = file->encoding,
        .timestamp_header = file->timestamp_header,
        .signed_bytes = file->signed_bytes,
        .channel = file->channel,
        .type = file->type,
        .id = file->id,
        .tolerance_s = file->tolerance_s,
    };
    int result = 0;
    for (unsigned i = 0; i < file->secrets_count && !result; i++) {
        secrets[i] = secret_text(file->secrets[i]);
        result = secrets[i] ? 0 : -ENOMEM;
    }
    if (!result)
        result = source_new(&settings, ret_source, &why);
    const char *fault = result ? NULL : names_fault(*ret_source);
    if (result || fault)
        fprintf(stderr, "freshet: inbound source \"%s\": %.*s%s\n", file->source, STR_FMT(why),
                fault ? fault : "");
    for (unsigned i = 0; i < VERIFY_SECRETS_MAX; i++)
        secret_free(secrets[i]);
    buf_free(&why);
    return result || fault ? -EINVAL : 0;
}

static bool is_twice(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->sources_count; i++)
        if (str_eq(source_name(config->sources[i]), str_from(name)))
            return true;
    return false;
}

static int sources_read(struct config *config, const struct config_file *file)
{
    config->sources = mem_alloc((file->inbound_count + 1) * sizeof(struct source *));
    for (unsigned i = 0; i < file->inbound_count; i++) {
        if (is_twice(config, file->inbound[i].source)) {
            fprintf(stderr, "freshet: inbound source \"%s\" is there twice\n",
                    file->inbound[i].source);
            return -EINVAL;
        }
        int result = source_read_file(&file->inbound[i], &config->sources[i]);
        config->sources_count += config->sources[i] != NULL;
        if (result)
            return result;
    }
    return 0;
}

static int check_workers(const struct config_file *file)
{
    if (file->threads >= LOG_PORTS_MAX)
        fprintf(stderr, "freshet: threads is a number from 1 to %d\n", LOG_PORTS_MAX - 1);
    else if (file->spin_us > SPIN_MAX_US)
        fprintf(stderr, "freshet: spin_us is at most %d\n", SPIN_MAX_US);
    else
        return 0;
    return -EINVAL;
}

static int check_spaces(const struct config *config)
{
    for (size_t i = 0; i < config->spaces_count; i++) {
        const char *why;
        struct str prefix = config->spaces[i].prefix;
        if (prefix.len && !name_valid(prefix, &why)) {
            fprintf(stderr, "freshet: namespace prefix \"%.*s\": %s\n", STR_FMT(prefix), why);
            return -EINVAL;
        }
    }
    return 0;
}

static int load(struct config *config, const char *path)
{
    struct buf text;
    if (yaml_file_read(path, &text))
        return -EINVAL;
    cyaml_err_t error = text.len
                            ? cyaml_load_data((const uint8_t *)text.at, text.len, &cyaml_config,
                                              &file_schema, (cyaml_data_t **)&config->file, NULL)
                            : CYAML_OK;
    buf_free(&text);
    if (error != CYAML_OK)
        fprintf(stderr, "freshet: %s: %s\n", path, cyaml_strerror(error));
    return error != CYAML_OK ? -EINVAL : 0;
}

int config_read(struct config *config, const char *path)
{
    if (load(config, path))
        return -EINVAL;
    const struct config_file *file = config->file;
    if (!file) /* it is empty */
        return 0;
    if (check_workers(file) || (file->limits && check_limits(file->limits)))
        return -EINVAL;
    TAKE(config->listen, file->listen);
    TAKE(config->data, file->data);
    TAKE(config->base, file->base);
    TAKE(config->threads, file->threads);
    TAKE(config->spin_us, file->spin_us);
    config->memory = file->memory;
    take_spaces(config, file);
    if (file->limits)
        take_limits(config, file->limits);
    if (file->webhooks)
        take_webhooks(config, file->webhooks);
    if (file->webhooks && take_shares(config, file->webhooks))
        return -EINVAL;
    if (file->webhooks && take_allow(config, file->webhooks))
        return -EINVAL;
    if (file->log) {
        TAKE(config->log_bytes_max, file->log->bytes_max);
        TAKE(config->roll_bytes, file->log->roll_bytes);
        if (file->log->roll_s)
            config->roll_us = (int64_t)file->log->roll_s * S_US;
    }
    return check_spaces(config) || sources_read(config, file) ? -EINVAL : 0;
}

void config_free(struct config *config)
{
    for (size_t i = 0; i < config->sources_count; i++)
        source_free(config->sources[i]);
    free(config->sources);
    free(config->spaces);
    if (config->file)
        cyaml_free(&cyaml_config, &file_schema, config->file, 0);
}

/* ---- flags ----------------------------------------------------------------------------------- */

static int complain(const char *flag, const char *what)
{
    fprintf(stderr, "freshet serve: %s %s\nTry: freshet help serve\n", flag, what);
    return -EINVAL;
}

struct flags {
    const char *listen, *data, *base, *file;
    uint64_t threads;
    bool memory, insecure;
};

static int flags_read(struct flags *flags, int argc, char **argv)
{
    const struct command_option options[] = {
        {.name = "listen", .value = &flags->listen},
        {.name = "data", .value = &flags->data},
        {.name = "base", .value = &flags->base},
        {.name = "config", .value = &flags->file},
        {.name = "threads", .number = &flags->threads, .most = LOG_PORTS_MAX - 1},
        {.name = "memory", .flag = &flags->memory},
        {.name = "insecure", .flag = &flags->insecure},
    };
    struct command_list rest = {.at = mem_alloc((size_t)argc * sizeof(char *))};
    struct buf why = {0};
    int result =
        command_line_read(argc, argv, options, sizeof(options) / sizeof(options[0]), &rest, &why);
    if (result == -EINVAL)
        fprintf(stderr, "freshet serve: %.*s\nTry: freshet help serve\n", STR_FMT(why));
    else if (!result && rest.count)
        result = complain(rest.at[0], "is one word too many");
    buf_free(&why);
    free(rest.at);
    return result;
}

int config_flags(struct config *config, int argc, char **argv)
{
    struct flags flags = {0};
    int result = flags_read(&flags, argc, argv);
    if (!result && flags.file)
        result = config_read(config, flags.file);
    if (result)
        return result;
    TAKE(config->listen, flags.listen);
    TAKE(config->data, flags.data);
    TAKE(config->base, flags.base);
    TAKE(config->threads, flags.threads);
    TAKE(config->memory, flags.memory);
    config->insecure = flags.insecure;
    if (config->memory && config->data)
        return complain("--memory", "keeps no data: leave out --data");
    if (config->base && (config->base[0] != '/' || config->base[strlen(config->base) - 1] == '/'))
        return complain("--base", "begins with a slash and does not end with one");
    return 0;
}
