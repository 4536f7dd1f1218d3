#include "server/keys.h"

#include "base/nearest.h"
#include "base/rfc3339.h"
#include "base/say.h"
#include "http/origin.h"
#include "http/target.h"
#include "http/token.h"
#include "server/config.h"
#include "server/issuer_item.h"
#include "server/key_items.h"
#include "server/sources.h"
#include "server/process.h"

#include "webhooks/endpoint/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>

#define KIB(n) (UINT64_C(n) << 10)
#define MIB(n) (UINT64_C(n) << 20)
#define GIB(n) (UINT64_C(n) << 30)
#define TIB(n) (UINT64_C(n) << 40)
#define PIB(n) (UINT64_C(n) << 50)
#define DAY_S UINT64_C(86400)
#define DAY_MS (DAY_S * 1000)
#define HOUR_MS UINT64_C(3600000)
#define YEARS_S(n) (UINT64_C(n) * 365 * DAY_S)
#define S_US UINT64_C(1000000)
#define MANY UINT64_C(1000000000)

/* ---- texts with a format --------------------------------------------------------------------- */

static const char *check_base(const char *text)
{
    size_t len = strlen(text);
    bool good = text[0] == '/' && text[len - 1] != '/';
    for (size_t i = 0; good && i < len; i++)
        good = text[i] > ' ' && text[i] < 127 && !strchr("?#%", text[i]);
    return good ? NULL
                : "a path that begins with a slash and does not end with one, as in /realtime";
}

static const char *check_cookie(const char *text)
{
    return http_all(str_from(text), HTTP_CHAR_TOKEN) ? NULL
                                                     : "the name of a cookie, as in __Host-session";
}

static const char *check_forwarded_header(const char *text)
{
    return strcasecmp(text, "x-forwarded-for") == 0 || strcasecmp(text, "forwarded") == 0
               ? NULL
               : "x-forwarded-for or forwarded";
}

/* Namespaces of the server have a retention of their own, for all channels or for some. */
static bool is_presence_prefix(const char *text)
{
    static const char *const prefixes[] = {"$presence", "$occupied"};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        size_t len = strlen(prefixes[i]);
        if (strncmp(text, prefixes[i], len) == 0 && (!text[len] || text[len] == '/'))
            return true;
    }
    return false;
}

static const char *check_prefix(const char *text)
{
    const char *why;
    if (text[0] == '$' && !is_presence_prefix(text))
        return "a prefix that does not begin with $, but for $presence and $occupied: those "
               "channels are the server's own";
    if (!text[0] || name_valid(str_from(text), &why))
        return NULL;
    return "segments joined by /, as in trades or trades/eu, or empty for all channels";
}

static const char *check_key_name(const char *text)
{
    return api_key_name_valid(str_from(text)) ? NULL
                                              : "a name of at most 100 bytes, without control "
                                                "characters";
}

static const char *check_time(const char *text)
{
    int64_t us;
    return rfc3339_parse(str_from(text), &us) ? "a time such as 2030-01-31T12:00:00Z" : NULL;
}

/* Check it now: otherwise a file that cannot be read would be reported only by each delivery. */
static const char *check_user(const char *text)
{
    return process_has_user(text) ? NULL : "a user of this machine, by name or number";
}

static const char *check_group(const char *text)
{
    return process_has_group(text) ? NULL : "a group of this machine, by name or number";
}

/* Whether a line of the file is wanted. Only of a regular file: a FIFO could keep the reader
 * waiting for ever, and has nothing left for the next one. */
static bool has_line(const char *path, bool (*is_wanted)(const char *line))
{
    struct stat at;
    char line[128];
    bool found = false;
    FILE *file = !stat(path, &at) && S_ISREG(at.st_mode) ? fopen(path, "re") : NULL;
    while (file && !found && fgets(line, sizeof(line), file))
        found = is_wanted(line);
    if (file)
        fclose(file);
    return found;
}

static bool begins_certificate(const char *line)
{
    return strncmp(line, "-----BEGIN CERTIFICATE-----", 27) == 0;
}

static const char *check_certificates(const char *text)
{
    return has_line(text, begins_certificate)
               ? NULL
               : "a file that can be read and has certificates in PEM form";
}

static bool begins_private_key(const char *line)
{
    return strncmp(line, "-----BEGIN ", 11) == 0 && strstr(line, "PRIVATE KEY-----") &&
           !strstr(line, "ENCRYPTED");
}

static const char *check_private_key(const char *text)
{
    return has_line(text, begins_private_key)
               ? NULL
               : "a file that can be read and has a private key in PEM form, without a passphrase";
}

/* Whether a host cannot be reached from elsewhere by anybody who could change what it answers: this
 * machine, or a name that only a network of one's own knows. */
static bool is_host_near(const char *host)
{
    return http_host_is_loopback(str_from(host)) || !strpbrk(host, ".[");
}

static const char *check_asked_url(const char *text)
{
    char *host = spec_url_host(text);
    bool good = host && (strncmp(text, "https:", 6) == 0 || is_host_near(host));
    free(host);
    return good ? NULL
                : "https://HOST/PATH, or http:// for this machine or a name without dots: whoever "
                  "can change the answer decides who gets in";
}

/* ---- the table ------------------------------------------------------------------------------- */

#define IN(type, member) .at = offsetof(type, member), .size = sizeof(((type *)NULL)->member)
#define CONFIG(member) IN(struct config, member)
#define NAMESPACE(member) IN(struct namespace_item, settings.member)
#define NAMESPACE_ITEM(member) IN(struct namespace_item, member)
#define ISSUER(member) IN(struct issuer_item, member)
#define KEY_ITEM(member) IN(struct key_item, member)
#define LISTEN(member) IN(struct listen_item, member)
#define PAIR(member) IN(struct tls_pair, member)
#define SOURCE(member) IN(struct source_item, settings.member)

/* The place comes last, since it is two initializers. */
#define NUMBER_AT(key, unit_, least_, most_, fallback_, scale_, sentence, ...)                     \
    {                                                                                              \
        .name = (key), .kind = KEY_NUMBER, .unit = (unit_), .least = (least_), .most = (most_),    \
        .fallback = (fallback_), .scale = (scale_), .help = (sentence), __VA_ARGS__                \
    }
#define NUMBER(key, unit, least, most, fallback, scale, where, help)                               \
    NUMBER_AT(key, unit, least, most, fallback, scale, help, where)
#define COUNT(key, least, most, fallback, where, help)                                             \
    NUMBER_AT(key, NUMBER_COUNT, least, most, fallback, 1, help, where)
#define BYTES(key, least, most, fallback, where, help)                                             \
    NUMBER_AT(key, NUMBER_BYTES, least, most, fallback, 1, help, where)
#define MS(key, least, most, fallback, where, help)                                                \
    NUMBER_AT(key, NUMBER_MS, least, most, fallback, 1, help, where)
#define PERCENT(key, most, fallback, where, help)                                                  \
    NUMBER_AT(key, NUMBER_PERCENT, 1, most, fallback, 1, help, where)
#define BOOLEAN(key, where, sentence)                                                              \
    {                                                                                              \
        .name = (key), .kind = KEY_BOOLEAN, .help = (sentence), where                              \
    }
#define TEXT(key, least_, most_, check_, where, sentence)                                          \
    {                                                                                              \
        .name = (key), .kind = KEY_TEXT, .least = (least_), .most = (most_), .check = (check_),    \
        .help = (sentence), where                                                                  \
    }
#define SOURCE_TEXT(key, member, sentence)                                                         \
    {                                                                                              \
        .name = (key), .kind = KEY_TEXT, .most = TEMPLATE_TEXT_MAX, .help = (sentence),            \
        SOURCE(member)                                                                             \
    }
#define LIST(key, unit_, least_, most_, items, sentence)                                           \
    {                                                                                              \
        .name = (key), .kind = KEY_LIST, .unit = (unit_), .least = (least_), .most = (most_),      \
        .items_max = (items), .help = (sentence)                                                   \
    }

/* clang-format off */
const struct key keys[] = {
    {.name = "listen", .kind = KEY_LIST, .single = true, .items_max = CONFIG_LISTEN_MAX, .help = "where to listen: ADDRESS:PORT, the same behind https://, redirect://, proxy+http:// or proxy+https://, or unix:PATH"},
    TEXT("listen.address", 1, PATH_MAX - 1, NULL, LISTEN(address), "the address, in an item that says more"),
    BOOLEAN("listen.admin", LISTEN(admin), "management is done at this address, and at no other"),
    TEXT("listen.mode", 1, 4, NULL, LISTEN(mode), "the mode of a Unix socket, octal; without it 660"),
    TEXT("listen.group", 1, 255, NULL, LISTEN(group), "the group of a Unix socket, by name or number"),
    TEXT("user", 1, 255, check_user, CONFIG(user), "the user that the server becomes once it has its addresses"),
    TEXT("group", 1, 255, check_group, CONFIG(group), "its group; without it that of the user"),
    TEXT("data", 1, PATH_MAX - 1, NULL, CONFIG(data), "the folder of the log"),
    TEXT("base", 1, 100, check_base, CONFIG(base), "the path under which the API hangs"),
    LIST("hosts", NUMBER_COUNT, 0, 0, CONFIG_HOSTS_MAX, "names by which clients may call this server"),
    LIST("origins", NUMBER_COUNT, 0, 0, CONFIG_ORIGINS_MAX, "websites whose pages may use this server"),
    LIST("trusted_proxies", NUMBER_COUNT, 0, 0, CONFIG_PROXIES_MAX, "networks and addresses of proxies that say who their clients are, or unix"),
    TEXT("forwarded_header", 1, 20, check_forwarded_header, CONFIG(forwarded_header), "the field in which they say it: x-forwarded-for or forwarded"),
    LIST("access.anybody", NUMBER_COUNT, 0, 0, ACTION_COUNT, "actions that everybody may do, without a credential"),
    LIST("access.authenticated", NUMBER_COUNT, 0, 0, ACTION_COUNT, "actions that everybody with a valid credential may do besides"),
    LIST("access.allow", NUMBER_COUNT, 0, 0, CONFIG_ALLOW_MAX, "where servers that are asked about access may be besides public addresses"),
    TEXT("access.cookie", 1, 64, check_cookie, CONFIG(cookie), "the cookie that holds a credential"),
    BOOLEAN("memory", CONFIG(memory), "keep the log in memory alone"),
    BOOLEAN("playground", CONFIG(playground), "anybody may use the channels below playground/, within small limits"),
    COUNT("threads", 1, LOG_PORTS_MAX - 1, 0, CONFIG(threads), "worker threads"),
    NUMBER("spin_us", NUMBER_US, 0, S_US, 0, 1, CONFIG(spin_us), "how long a worker looks for more work before it sleeps"),

    LIST("tls.certificates", NUMBER_COUNT, 0, 0, TLS_PAIRS_MAX, "certificates of the hosts that https:// serves, the first for clients that name none of them"),
    TEXT("tls.certificates.cert", 1, PATH_MAX - 1, check_certificates, PAIR(cert), "a file with a certificate, and those between it and its authority"),
    TEXT("tls.certificates.key", 1, PATH_MAX - 1, check_private_key, PAIR(key), "its private key"),
    TEXT("tls.client_ca", 1, PATH_MAX - 1, check_certificates, CONFIG(tls.client_ca), "certificates of authorities that clients may go by"),
    BOOLEAN("tls.client_required", CONFIG(tls.client_required), "clients must show a certificate"),

    BYTES("limits.body_max", 1, GIB(1), MIB(1), CONFIG(limits.body_max), "the body of a request"),
    BYTES("limits.message_max", 1, GIB(1), MIB(1), CONFIG(limits.ws.message_max), "a message from a WebSocket"),
    BYTES("limits.event_soft_max", 1, GIB(1), KIB(32), CONFIG(event_soft_max), "an event above which its publisher is warned"),
    COUNT("limits.batch_max", 1, 100000, 1000, CONFIG(batch_max), "events of one POST /events"),
    COUNT("limits.connections_max", 1, MANY, 0, CONFIG(connections_max), "connections of all workers together"),
    COUNT("limits.address_connections_max", 0, MANY, 0, CONFIG(limits.address_connections_max), "connections of one address; 0: as many as come"),
    COUNT("limits.subject_connections_max", 0, MANY, 0, CONFIG(limits.subject_connections_max), "streams, WebSockets and polls of one subject; 0: as many as come"),
    COUNT("limits.channels_max", 1, MANY, 2000000, CONFIG(channels_max), "channels that the log knows"),
    PERCENT("limits.channels_address_percent", 100, 90, CONFIG(channels_address_percent), "new channels that one address may make once half are taken"),
    PERCENT("limits.channels_connection_percent", 100, 75, CONFIG(channels_connection_percent), "new channels that one connection may make once half are taken"),
    COUNT("limits.keys_max", 1, MANY, 1000000, CONFIG(keys_max), "idempotency keys of the last five minutes"),
    COUNT("limits.inflight_max", 1, 1000000, 64, CONFIG(limits.inflight_max), "publishes of one connection that are not answered yet"),
    COUNT("limits.http2_streams_max", 1, 100000, 256, CONFIG(limits.http2.streams_max), "requests, streams among them, of one HTTP/2 connection at a time"),
    COUNT("limits.http2_control_max", 1, 1000000, 1000, CONFIG(limits.http2.control_max), "frames of one HTTP/2 connection in a second that do no more than to control it"),
    BYTES("limits.pending_max", 1, TIB(1), MIB(64), CONFIG(limits.pending_max), "bytes published and not safe yet"),
    BYTES("limits.handshakes_max", 1, TIB(1), MIB(64), CONFIG(limits.handshakes_max), "memory of a worker's unfinished handshakes of TLS"),
    BYTES("limits.rests_max", 1, TIB(1), MIB(64), CONFIG(limits.rests_max), "unsent bytes of a worker's connections"),
    BYTES("limits.held_max", 1, TIB(1), MIB(256), CONFIG(limits.held_max), "memory that peers make a worker hold"),
    BYTES("limits.memory_max", 0, PIB(1), 0, CONFIG(limits.memory_max), "memory of the process, past which new work is refused; 0: no mark"),
    COUNT("limits.branches_max", 1, MANY, 1000000, CONFIG(limits.hub.branches_max), "segments of the patterns of a worker's subscribers"),
    BYTES("limits.window_bytes", 1, TIB(1), MIB(8), CONFIG(limits.hub.window_bytes), "recent events that a worker keeps at hand"),
    BYTES("limits.chunk_bytes", 1, GIB(1), KIB(256), CONFIG(limits.hub.chunk_bytes), "a page for a consumer that catches up"),
    BYTES("limits.cache_bytes", 1, TIB(1), MIB(4), CONFIG(limits.hub.cache_bytes), "pages kept for other consumers at the same position"),
    COUNT("limits.presence_channels_max", 0, MANY, 100000, CONFIG(presence_limits.channels_max), "channels with presence that somebody subscribes to"),
    COUNT("limits.presence_members_max", 0, MANY, 250000, CONFIG(presence_limits.members_max), "members of all channels together"),
    COUNT("limits.presence_channel_members_max", 0, MANY, 1000000, CONFIG(presence_limits.channel_members_max), "members of one channel"),
    COUNT("limits.presence_marks_max", 0, MANY, 1000000, CONFIG(presence_limits.marks_max), "read marks of all channels together"),
    PERCENT("limits.presence_address_percent", 100, 50, CONFIG(presence_limits.address_percent), "members, read marks and channels with presence that are left, for one address"),
    PERCENT("limits.presence_subject_percent", 100, 10, CONFIG(presence_limits.subject_percent), "members and read marks that are left, for one subject"),
    BYTES("limits.patterns_max", 1, TIB(1), MIB(16), CONFIG(patterns_max), "channel numbers remembered for the patterns of reads"),
    BYTES("limits.token_cache_bytes", 0, TIB(1), MIB(8), CONFIG(token_cache_bytes), "verified tokens (JWT) that are remembered; 0: none"),
    BYTES("limits.authorize_cache_bytes", 0, TIB(1), MIB(16), CONFIG(authorize_limits.kept_max), "answers of authorize servers that are kept; 0: none"),
    COUNT("limits.authorize_address_max", 0, AUTHORIZE_QUESTIONS_MAX, 1000, CONFIG(authorize_limits.address_max), "questions of one address that wait for authorize servers; 0: as many as come"),
    COUNT("limits.authorize_site_max", 1, AUTHORIZE_PLACES, AUTHORIZE_SITE_MAX, CONFIG(authorize_limits.site_max), "questions that are with one authorize server at a time"),
    COUNT("limits.jwks_address_max", 0, JWKS_QUESTIONS_MAX, 1000, CONFIG(jwks_address_max), "tokens of one address that wait for key sets to be fetched; 0: as many as come"),
    BYTES("limits.live_max", 1, TIB(1), MIB(32), CONFIG(limits.hub.live_max), "events encoded for the subscribers of one worker"),
    MS("limits.handshake_ms", 1, DAY_MS, 10000, CONFIG(limits.handshake_ms), "for the PROXY header and the handshake of TLS together"),
    MS("limits.head_ms", 1, DAY_MS, 10000, CONFIG(limits.head_ms), "from the first byte of a request to the end of its head"),
    MS("limits.body_ms", 1, DAY_MS, 30000, CONFIG(limits.body_ms), "from the end of the head to the end of the body, without pauses of the server itself"),
    MS("limits.idle_ms", 1, DAY_MS, 620000, CONFIG(limits.idle_ms), "between requests"),
    MS("limits.stall_ms", 1, DAY_MS, 60000, CONFIG(limits.stall_ms), "for a peer that reads nothing of an answer"),
    MS("limits.publish_ms", 1, DAY_MS, 10000, CONFIG(limits.publish_ms), "until a publish is safe"),
    MS("limits.read_ms", 0, DAY_MS, 0, CONFIG(limits.read_ms), "for what a request searches in the log; 0: half of publish_ms"),
    MS("limits.message_ms", 1, DAY_MS, 30000, CONFIG(limits.message_ms), "from a WebSocket message's first byte to its last"),
    MS("limits.close_ms", 1, DAY_MS, 5000, CONFIG(limits.close_ms), "for the answer to a WebSocket's close frame"),
    MS("limits.drain_delay_ms", 0, DAY_MS, 0, CONFIG(drain_delay_ms), "between a signal to stop, from which /readyz says 503, and the drain"),
    MS("limits.drain_ms", 1, DAY_MS, 2000, CONFIG(limits.drain_ms), "over which streams end when the server stops"),
    MS("limits.poll_pace_ms", 0, 1000, 25, CONFIG(limits.poll_pace_ms), "how long an event for a busy poller is held; 0: not at all"),

    COUNT("rates.key.events", 0, MANY, 0, CONFIG(publish.rates[RATE_KEY][RATE_EVENTS]), "events a second that one API key may publish; 0: no limit"),
    BYTES("rates.key.bytes", 0, TIB(1), 0, CONFIG(publish.rates[RATE_KEY][RATE_BYTES]), "the same in bytes of data"),
    COUNT("rates.subject.events", 0, MANY, 0, CONFIG(publish.rates[RATE_SUBJECT][RATE_EVENTS]), "events a second that one subject may publish; 0: no limit"),
    BYTES("rates.subject.bytes", 0, TIB(1), 0, CONFIG(publish.rates[RATE_SUBJECT][RATE_BYTES]), "the same in bytes of data"),
    COUNT("rates.address.events", 0, MANY, 0, CONFIG(publish.rates[RATE_ADDRESS][RATE_EVENTS]), "events a second that one address may publish; 0: no limit"),
    BYTES("rates.address.bytes", 0, TIB(1), 0, CONFIG(publish.rates[RATE_ADDRESS][RATE_BYTES]), "the same in bytes of data"),
    COUNT("rates.channel.events", 0, MANY, 0, CONFIG(publish.rates[RATE_CHANNEL][RATE_EVENTS]), "events a second that one channel takes; 0: no limit"),
    BYTES("rates.channel.bytes", 0, TIB(1), 0, CONFIG(publish.rates[RATE_CHANNEL][RATE_BYTES]), "the same in bytes of data"),
    NUMBER("rates.window_s", NUMBER_S, 1, 3600, 10, 1, CONFIG(publish.window_s), "for so long a holder that was quiet may publish at once what it may publish in that time"),

    BYTES("log.bytes_max", 1, PIB(1), 0, CONFIG(log_bytes_max), "retention for the whole log"),
    BYTES("log.roll_bytes", 1, TIB(1), MIB(64), CONFIG(roll_bytes), "a file of the log is sealed at this size"),
    NUMBER("log.roll_s", NUMBER_S, 1, YEARS_S(10), 3600, S_US, CONFIG(roll_us), "a file of the log is sealed at this age"),

    LIST("webhooks.schedule_ms", NUMBER_MS, 1, 30 * DAY_MS, CONFIG_SCHEDULE_MAX, "waits between attempts"),
    MS("webhooks.timeout_ms", 1, HOUR_MS, 15000, CONFIG(webhook_timeout_ms), "for a receiver's answer"),
    LIST("webhooks.allow", NUMBER_COUNT, 0, 0, CONFIG_ALLOW_MAX, "where webhooks may go besides public addresses"),
    TEXT("webhooks.ca_file", 1, PATH_MAX - 1, check_certificates, CONFIG(webhook_ca_file), "authorities for receivers' certificates, besides the system's"),
    TEXT("webhooks.cert_file", 1, PATH_MAX - 1, check_certificates, CONFIG(webhook_cert_file), "certificate by which this server identifies itself to receivers"),
    TEXT("webhooks.key_file", 1, PATH_MAX - 1, NULL, CONFIG(webhook_key_file), "its private key"),
    LIST("webhooks.cert_hosts", NUMBER_COUNT, 0, 0, CONFIG_ALLOW_MAX, "hosts to which the certificate is shown"),
    COUNT("webhooks.endpoints_max", 1, 1000000, 1000, CONFIG(webhook_endpoints_max), "how many webhooks there may be"),
    COUNT("webhooks.subject_endpoints_max", 0, 1000000, 0, CONFIG(webhook_subject_endpoints_max), "how many of them one subject may have; 0: as many as come"),
    COUNT("webhooks.records_max", 1, MANY, 250000, CONFIG(webhook_records_max), "deliveries kept in the delivery log"),
    NUMBER("webhooks.records_age_s", NUMBER_S, 1, YEARS_S(10), 7 * DAY_S, S_US, CONFIG(webhook_records_age_us), "how long the delivery log keeps them"),
    COUNT("webhooks.requests_max", 1, 1000000, 0, CONFIG(webhook_requests_max), "requests under way of all webhooks together"),
    COUNT("webhooks.hops_max", 1, EVENT_HOPS_MAX, 8, CONFIG(webhook_hops_max), "hops (deliveries that led to each other) of an event that is still sent"),
    PERCENT("webhooks.slow_share", CONFIG_SHARES_MAX, 20, CONFIG(webhook_shares[POOL_SLOW]), "share of the requests for webhooks that accept late"),
    PERCENT("webhooks.new_share", CONFIG_SHARES_MAX, 20, CONFIG(webhook_shares[POOL_NEW]), "share for webhooks that have not answered yet"),
    PERCENT("webhooks.failing_share", CONFIG_SHARES_MAX, 10, CONFIG(webhook_shares[POOL_FAILING]), "share for webhooks that do not answer, or refuse everything"),
    PERCENT("webhooks.asked_share", CONFIG_SHARES_MAX, 10, CONFIG(webhook_shares[POOL_ASKED]), "share for pings and verifications of WebSub"),
    MS("webhooks.patience_ms", 1, HOUR_MS, 250, CONFIG(webhook_patience_ms), "how long a request may take while others wait"),

    NUMBER("websub.lease_s", NUMBER_S, 1, YEARS_S(10), 10 * DAY_S, 1, CONFIG(leases.usual), "lease of a WebSub subscription that asks for none"),
    NUMBER("websub.lease_least_s", NUMBER_S, 1, YEARS_S(10), 1, 1, CONFIG(leases.least), "shortest lease: shorter wishes are raised to it"),
    NUMBER("websub.lease_most_s", NUMBER_S, 1, YEARS_S(10), 30 * DAY_S, 1, CONFIG(leases.most), "longest lease: longer wishes are cut to it"),

    LIST("keys", NUMBER_COUNT, 0, 0, CONFIG_KEYS_MAX, "API keys that stand here, beside those made by command and API"),
    TEXT("keys.name", 1, API_KEY_NAME_MAX, check_key_name, KEY_ITEM(name), "name of the key, and its subject"),
    {.name = "keys.key", .kind = KEY_TEXT, .least = 1, .most = SECRET_LEN_MAX, .secret = true, .help = "the key's hash, or the key as env:NAME or file:PATH", KEY_ITEM(key)},
    TEXT("keys.expires", 1, 40, check_time, KEY_ITEM(expires), "when the key expires; without it never"),
    LIST("keys.grants", NUMBER_COUNT, 0, 0, GRANTS_MAX, "its grants"),
    LIST("keys.grants.channels", NUMBER_COUNT, 0, 0, GRANT_PATTERNS_MAX, "channels and patterns,"),
    LIST("keys.grants.may", NUMBER_COUNT, 0, 0, ACTION_COUNT, "actions granted on these channels: read, publish, presence, webhooks, admin"),

    LIST("namespaces", NUMBER_COUNT, 0, 0, CONFIG_SPACES_MAX, "settings for the channels under a prefix"),
    TEXT("namespaces.prefix", 0, 255, check_prefix, NAMESPACE(prefix), "segments joined by /, empty for all channels"),
    NUMBER("namespaces.retention.age_s", NUMBER_S, 0, YEARS_S(100), 0, S_US, NAMESPACE(age_us), "events older than this are trimmed; 0: never"),
    COUNT("namespaces.retention.count", 0, MANY, 0, NAMESPACE(count), "newest events that a channel keeps; 0: all"),
    BYTES("namespaces.retention.bytes", 0, PIB(1), 0, NAMESPACE(bytes), "bytes of the newest events that a channel keeps; 0: all"),
    BOOLEAN("namespaces.ephemeral", NAMESPACE(ephemeral), "events of these channels are never stored"),
    BOOLEAN("namespaces.compress", NAMESPACE(compress), "streams of these channels, and pages under a credential, are compressed for clients that ask"),
    BOOLEAN("namespaces.presence", NAMESPACE_ITEM(presence.on), "who subscribes to these channels is a member of them, and others are told"),
    MS("namespaces.presence_grace_ms", 0, PRESENCE_GRACE_MS_MAX, PRESENCE_GRACE_MS, NAMESPACE_ITEM(presence.grace_ms), "for how long a member stays after its last connection has ended; after polls at least 30s"),
    COUNT("namespaces.presence_list_max", 0, MANY, PRESENCE_LIST_MAX, NAMESPACE_ITEM(presence.list_max), "members of a channel up to which each that joins or leaves is told; beyond, the count is"),
    BYTES("namespaces.event_max", 0, GIB(1), 0, NAMESPACE_ITEM(publish.event_max), "data of an event; 0: as of the next shorter prefix"),
    COUNT("namespaces.rates.key.events", 0, MANY, 0, NAMESPACE_ITEM(publish.rates[RATE_KEY][RATE_EVENTS]), "rates.key.events of this namespace"),
    BYTES("namespaces.rates.key.bytes", 0, TIB(1), 0, NAMESPACE_ITEM(publish.rates[RATE_KEY][RATE_BYTES]), "rates.key.bytes of this namespace"),
    COUNT("namespaces.rates.subject.events", 0, MANY, 0, NAMESPACE_ITEM(publish.rates[RATE_SUBJECT][RATE_EVENTS]), "rates.subject.events of this namespace"),
    BYTES("namespaces.rates.subject.bytes", 0, TIB(1), 0, NAMESPACE_ITEM(publish.rates[RATE_SUBJECT][RATE_BYTES]), "rates.subject.bytes of this namespace"),
    COUNT("namespaces.rates.address.events", 0, MANY, 0, NAMESPACE_ITEM(publish.rates[RATE_ADDRESS][RATE_EVENTS]), "rates.address.events of this namespace"),
    BYTES("namespaces.rates.address.bytes", 0, TIB(1), 0, NAMESPACE_ITEM(publish.rates[RATE_ADDRESS][RATE_BYTES]), "rates.address.bytes of this namespace"),
    COUNT("namespaces.rates.channel.events", 0, MANY, 0, NAMESPACE_ITEM(publish.rates[RATE_CHANNEL][RATE_EVENTS]), "rates.channel.events of this namespace"),
    BYTES("namespaces.rates.channel.bytes", 0, TIB(1), 0, NAMESPACE_ITEM(publish.rates[RATE_CHANNEL][RATE_BYTES]), "rates.channel.bytes of this namespace"),
    NUMBER("namespaces.rates.window_s", NUMBER_S, 1, 3600, 10, 1, NAMESPACE_ITEM(publish.window_s), "rates.window_s of this namespace, with rates of its own"),
    TEXT("namespaces.authorize.url", 1, SPEC_URL_MAX, check_asked_url, NAMESPACE_ITEM(authorize.url), "a server of yours that says who may do what rules do not give"),
    {.name = "namespaces.authorize.secret", .kind = KEY_TEXT, .least = 1, .most = KIB(64), .secret = true, .help = "signs the questions, as webhooks are signed: whsec_…, env:NAME or file:PATH", NAMESPACE_ITEM(authorize_secret)},
    NUMBER("namespaces.authorize.cache_s", NUMBER_S, 0, DAY_S, 10, 1, NAMESPACE_ITEM(authorize.cache_s), "for how long an answer is kept; 0: not at all"),
    MS("namespaces.authorize.timeout_ms", 1, 60000, 5000, NAMESPACE_ITEM(authorize.timeout_ms), "for an answer"),
    LIST("namespaces.authorize.headers", NUMBER_COUNT, 0, 0, AUTHORIZE_HEADERS_MAX, "fields of the request that are passed on"),
    LIST("namespaces.access.anybody", NUMBER_COUNT, 0, 0, ACTION_COUNT, "access.anybody of this namespace, in its place"),
    LIST("namespaces.access.authenticated", NUMBER_COUNT, 0, 0, ACTION_COUNT, "access.authenticated of this namespace, in its place"),

    LIST("tokens", NUMBER_COUNT, 0, 0, ISSUERS_MAX, "issuers whose tokens (JWT) are accepted"),
    {.name = "tokens.secret", .kind = KEY_TEXT, .least = 1, .most = KIB(64), .secret = true, .help = "signs and verifies by HMAC: the text, env:NAME or file:PATH", ISSUER(secret)},
    TEXT("tokens.key_file", 1, PATH_MAX - 1, NULL, ISSUER(key_file), "the key or certificate in PEM form, or a JWK Set"),
    TEXT("tokens.jwks_url", 1, SPEC_URL_MAX, check_asked_url, ISSUER(jwks_url), "URL of the issuer's JWK Set"),
    TEXT("tokens.algorithm", 1, 16, NULL, ISSUER(algorithm), "algorithm of the key"),
    TEXT("tokens.kid", 1, TOKEN_KID_MAX, NULL, ISSUER(kid), "the id of the key"),
    TEXT("tokens.issuer", 1, 2000, NULL, ISSUER(issuer), "the claim iss that tokens must have"),
    TEXT("tokens.audience", 1, 2000, NULL, ISSUER(audience), "what the claim aud of tokens must name"),
    TEXT("tokens.claim", 1, 255, NULL, ISSUER(claim), "the claim that holds the grants"),
    NUMBER("tokens.leeway_s", NUMBER_S, 0, 600, 10, 1, ISSUER(leeway_s), "how far the clocks of issuer and server may differ"),
    NUMBER("tokens.refresh_s", NUMBER_S, 1, DAY_S, 600, 1, ISSUER(refresh_s), "pause between two fetches of the JWK Set"),
    NUMBER("tokens.keep_s", NUMBER_S, 1, 30 * DAY_S, DAY_S, 1, ISSUER(keep_s), "how long keys stay valid while the JWK Set cannot be fetched"),

    LIST("inbound", NUMBER_COUNT, 0, 0, CONFIG_SOURCES_MAX, "sources whose webhooks become events"),
    TEXT("inbound.source", 1, 64, NULL, SOURCE(name), "the name in the path /inbound/{source}"),
    TEXT("inbound.kind", 1, 20, NULL, SOURCE(kind), "who sends, and so how it is verified"),
    {.name = "inbound.secrets", .kind = KEY_LIST, .items_max = VERIFY_SECRETS_MAX, .secret = true, .help = "secrets, any of which may sign: the text, env:NAME or file:PATH"},
    SOURCE_TEXT("inbound.channel", channel, "the channel"),
    SOURCE_TEXT("inbound.type", type, "the type"),
    SOURCE_TEXT("inbound.id", id, "the idempotency key"),
    NUMBER("inbound.tolerance_s", NUMBER_S, 1, DAY_S, 300, 1, SOURCE(tolerance_s), "greatest difference of a signed time and the clock"),
    SOURCE_TEXT("inbound.header", header, "header with the signature or token"),
    SOURCE_TEXT("inbound.prefix", prefix, "what stands before it"),
    SOURCE_TEXT("inbound.hash", hash, "sha1, sha256, sha384 or sha512"),
    SOURCE_TEXT("inbound.encoding", encoding, "hex or base64"),
    SOURCE_TEXT("inbound.signature_field", signature_field, "the signature's name, in a header of pairs"),
    SOURCE_TEXT("inbound.timestamp_field", timestamp_field, "the time's name in the same header"),
    SOURCE_TEXT("inbound.timestamp_header", timestamp_header, "where the time is"),
    SOURCE_TEXT("inbound.signed", signed_bytes, "what is signed"),
    SOURCE_TEXT("inbound.challenge.method", challenge.method, "method of the provider's challenge: GET or POST"),
    SOURCE_TEXT("inbound.challenge.when", challenge.when, "template that tells a challenge from other requests"),
    SOURCE_TEXT("inbound.challenge.is", challenge.is, "value of that template in a challenge"),
    SOURCE_TEXT("inbound.challenge.value", challenge.value, "template of the token to send back"),
    SOURCE_TEXT("inbound.challenge.proof", challenge.proof, "template that must equal the challenge's secret"),
    {.name = "inbound.challenge.secret", .kind = KEY_TEXT, .most = KIB(64), .secret = true, .help = "the text, env:NAME or file:PATH; without it the first of secrets", SOURCE(challenge.secret)},
    SOURCE_TEXT("inbound.challenge.hash", challenge.hash, "sha256, or hmac-sha1, -sha256, -sha384 or -sha512 under the secret"),
    SOURCE_TEXT("inbound.challenge.hashed", challenge.hashed, "what sha256 is of"),
    SOURCE_TEXT("inbound.challenge.encoding", challenge.encoding, "hex or base64"),
    SOURCE_TEXT("inbound.challenge.json", challenge.json, "members of a JSON answer; without it the answer is text"),
};
/* clang-format on */
const size_t keys_count = sizeof(keys) / sizeof(keys[0]);

/* ---- looking keys up ------------------------------------------------------------------------- */

const struct key *key_find(struct str name)
{
    for (size_t i = 0; i < keys_count; i++)
        if (str_eq(str_from(keys[i].name), name))
            return &keys[i];
    return NULL;
}

bool key_is_section(struct str name)
{
    for (size_t i = 0; i < keys_count; i++) {
        struct str key = str_from(keys[i].name);
        if (key.len > name.len && str_starts(key, name) && key.at[name.len] == '.')
            return true;
    }
    return false;
}

/* The part of a name behind its last dot. */
static struct str last_part(struct str name)
{
    size_t start = name.len;
    while (start && name.at[start - 1] != '.')
        start--;
    return str_skip(name, start);
}

/* The distance between two parts. A part without its unit, `timeout` for `timeout_ms`, counts as
 * one letter away. */
static unsigned part_distance(struct str part, struct str of_key)
{
    bool lacks_unit =
        part.len && str_starts(of_key, part) && of_key.len > part.len && of_key.at[part.len] == '_';
    return lacks_unit ? 1 : nearest_distance(part, of_key);
}

/* The distance of a name from one of the table. The whole names are compared, and their last parts,
 * since a key may be in the wrong section. More than NEAREST_LEN_MAX: they are not alike. */
static unsigned name_distance(struct str name, struct str known, bool is_section)
{
    struct str part = last_part(name);
    unsigned whole = nearest_distance(name, known);
    unsigned parts = part_distance(part, last_part(known));
    unsigned nearer = whole < parts ? whole : parts;
    /* Sections such as `log` are so short that many words are two letters away. */
    if (!nearest_is_near(part, nearer) || (is_section && nearer > part.len / 3))
        return NEAREST_LEN_MAX + 1;
    return whole < parts ? whole : 2 * parts + (whole > parts);
}

/* Compares the name with a key, and with the sections that the key is in. */
struct str key_nearest(struct str name)
{
    struct str nearest = STR_NONE;
    unsigned least = NEAREST_LEN_MAX + 1;
    for (size_t i = 0; i < keys_count; i++) {
        struct str known = str_from(keys[i].name);
        for (size_t end = known.len; end; end--) {
            bool is_key = end == known.len;
            struct str start = {known.at, end};
            unsigned distance = NEAREST_LEN_MAX + 1;
            if (is_key || known.at[end] == '.')
                distance = name_distance(name, start, !is_key);
            if (distance >= least)
                continue;
            least = distance;
            nearest = start;
        }
    }
    return nearest;
}

/* ---- reading values -------------------------------------------------------------------------- */

/* Stores a number, given in the key's unit, in `base`. */
static void store_number(const struct key *key, void *base, uint64_t number)
{
    uint64_t scaled = number * key->scale;
    uint32_t narrow = (uint32_t)scaled;
    if (key->size == sizeof(narrow))
        memcpy((char *)base + key->at, &narrow, sizeof(narrow));
    else
        memcpy((char *)base + key->at, &scaled, sizeof(scaled));
}

static const char *unit_words(enum number_unit unit)
{
    switch (unit) {
    case NUMBER_PERCENT:
        return "a whole number of percent";
    case NUMBER_US:
        return "a time in microseconds";
    case NUMBER_MS:
        return "a time in milliseconds";
    case NUMBER_S:
        return "a time in whole seconds";
    case NUMBER_BYTES:
        return "a size in bytes";
    case NUMBER_COUNT:
        break;
    }
    return "a whole number";
}

static uint64_t example_of(const struct key *key)
{
    if (key->fallback)
        return key->fallback;
    return key->unit == NUMBER_S       ? DAY_S
           : key->unit == NUMBER_BYTES ? GIB(10)
           : key->most < 10000         ? 4
           : key->unit == NUMBER_COUNT ? 10000
                                       : 5000;
}

static void expect_number(const struct key *key, struct buf *out)
{
    uint64_t example = example_of(key);
    struct buf with_unit = {0};
    number_write_in(&with_unit, example, key->unit);
    buf_addf(out, "%s from ", unit_words(key->unit));
    number_write_in(out, key->least, key->unit);
    buf_add_lit(out, " to ");
    number_write_in(out, key->most, key->unit);
    buf_addf(out, ", as in %llu", (unsigned long long)example);
    if (key->unit != NUMBER_COUNT && key->unit != NUMBER_PERCENT)
        buf_addf(out, " or %.*s", STR_FMT(buf_str(&with_unit)));
    buf_free(&with_unit);
}

void key_expects(const struct key *key, struct buf *out)
{
    const char *form = key->check ? key->check(" ") : NULL;
    if (key->kind == KEY_BOOLEAN)
        buf_add_lit(out, "true or false (yes, no, on, off)");
    else if (form)
        buf_add_str(out, str_from(form));
    else if (key->kind == KEY_TEXT)
        buf_addf(out, "a text of %llu to %llu bytes", (unsigned long long)key->least,
                 (unsigned long long)key->most);
    else
        expect_number(key, out);
}

/* A URL may have a password or a key in its query, and refusals end up in logs. */
static void quote_found(const struct key *key, struct str found, char *out, size_t size)
{
    struct buf hidden = {0};
    if (key->secret)
        snprintf(out, size, "this secret");
    else if (key->check != check_asked_url)
        faults_quote(out, size, found);
    else {
        http_url_hide(&hidden, found); /* with or without `://` */
        faults_quote(out, size, buf_failed(&hidden) ? STR_NONE : buf_str(&hidden));
    }
    buf_free(&hidden);
}

static bool refuse(const struct key *key, struct str found, const char *expected,
                   const struct place *place, struct faults *faults)
{
    char quoted[120];
    struct buf right = {0};
    quote_found(key, found, quoted, sizeof(quoted));
    if (expected)
        buf_add_str(&right, str_from(expected));
    else
        key_expects(key, &right);
    faults_add(faults, place, key->name, "%s is not %.*s", quoted, STR_FMT(buf_str(&right)));
    buf_free(&right);
    return false;
}

bool key_read_number(const struct key *key, struct str text, const struct place *place,
                     struct faults *faults, uint64_t *ret)
{
    uint64_t number = 0;
    uint64_t least = key->kind == KEY_LIST ? key->least : 0;
    if (number_read_in(text, key->unit, &number) || number < least || number > key->most)
        return refuse(key, text, NULL, place, faults);
    *ret = number;
    return true;
}

bool key_check_text(const struct key *key, struct str text, const struct place *place,
                    struct faults *faults)
{
    bool has_zero = text.len && memchr(text.at, '\0', text.len);
    if (text.len < key->least || text.len > key->most || has_zero)
        return refuse(key, text, NULL, place, faults);
    const char *right = key->check ? key->check(text.at) : NULL;
    return right ? refuse(key, text, right, place, faults) : true;
}

static bool set_number(const struct key *key, void *base, struct str text,
                       const struct place *place, struct faults *faults)
{
    uint64_t number;
    if (!key_read_number(key, text, place, faults, &number))
        return false;
    if (number >= key->least)
        store_number(key, base, number);
    return true;
}

static bool set_boolean(const struct key *key, void *base, struct str text,
                        const struct place *place, struct faults *faults)
{
    bool value;
    if (boolean_read(text, &value))
        return refuse(key, text, NULL, place, faults);
    memcpy((char *)base + key->at, &value, sizeof(value));
    return true;
}

static bool set_text(const struct key *key, void *base, struct str text, const struct place *place,
                     struct faults *faults)
{
    if (!key_check_text(key, text, place, faults))
        return false;
    if (key->size == sizeof(struct str))
        memcpy((char *)base + key->at, &text, sizeof(text));
    else
        memcpy((char *)base + key->at, &text.at, sizeof(text.at));
    return true;
}

bool key_set(const struct key *key, void *base, struct str text, const struct place *place,
             struct faults *faults)
{
    switch (key->kind) {
    case KEY_NUMBER:
        return set_number(key, base, text, place, faults);
    case KEY_BOOLEAN:
        return set_boolean(key, base, text, place, faults);
    case KEY_TEXT:
        return set_text(key, base, text, place, faults);
    case KEY_LIST:
        break;
    }
    return false;
}

/* ---- the table as a whole -------------------------------------------------------------------- */

bool key_is_of_item(struct str name)
{
    static const char *const items[] = {"namespaces.", "inbound.",          "tokens.",
                                        "keys.",       "tls.certificates.", "listen."};
    for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++)
        if (str_starts(name, str_from(items[i])))
            return true;
    return false;
}

void keys_set_defaults(void *config)
{
    for (size_t i = 0; i < keys_count; i++)
        if (keys[i].kind == KEY_NUMBER && keys[i].fallback &&
            !key_is_of_item(str_from(keys[i].name)))
            store_number(&keys[i], config, keys[i].fallback);
}

void keys_set_item_defaults(struct str prefix, void *item)
{
    for (size_t i = 0; i < keys_count; i++)
        if (keys[i].kind == KEY_NUMBER && keys[i].fallback &&
            str_starts(str_from(keys[i].name), prefix))
            store_number(&keys[i], item, keys[i].fallback);
}

static const char *type_word(const struct key *key)
{
    static const char *const units[] = {
        [NUMBER_COUNT] = "number", [NUMBER_PERCENT] = "percent",
        [NUMBER_US] = "us",        [NUMBER_MS] = "ms",
        [NUMBER_S] = "s",          [NUMBER_BYTES] = "bytes",
    };
    switch (key->kind) {
    case KEY_BOOLEAN:
        return "boolean";
    case KEY_TEXT:
        return "text";
    case KEY_LIST:
        return "list";
    case KEY_NUMBER:
        break;
    }
    return units[key->unit];
}

static void print_number(struct buf *out, const struct key *key, uint64_t number, bool has)
{
    struct buf text = {0};
    if (has)
        number_write_in(&text, number, key->unit);
    else
        buf_add_char(&text, '-');
    buf_addf(out, "  %-10.*s", STR_FMT(buf_str(&text)));
    buf_free(&text);
}

void keys_print(struct buf *out)
{
    buf_addf(out, "%-36s  %-7s  %-10s  %-10s  %-10s  %s\n", "key", "unit", "least", "greatest",
             "default", "meaning");
    for (size_t i = 0; i < keys_count; i++) {
        const struct key *key = &keys[i];
        bool is_number = key->most && (key->kind == KEY_NUMBER || key->kind == KEY_LIST);
        if (key_is_section(str_from(key->name)))
            continue;
        buf_addf(out, "%-36s  %-7s", key->name, type_word(key));
        print_number(out, key, key->least, is_number);
        print_number(out, key, key->most, is_number);
        print_number(out, key, key->fallback, key->fallback);
        buf_addf(out, "  %s\n", key->help);
    }
}
