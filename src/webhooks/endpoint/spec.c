#include "webhooks/endpoint/spec.h"

#include "base/json_text.h"
#include "base/unknown.h"
#include "base/utf8.h"
#include "fetch/address.h"
#include "http/token.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdlib.h>

/* ---- URLs ----------------------------------------------------------------------------------- */

static bool has_part(CURLU *parts, CURLUPart part)
{
    char *text = NULL;
    bool has = curl_url_get(parts, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return has;
}

static bool is_http(CURLU *parts)
{
    char *scheme = NULL;
    bool good = curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    curl_free(scheme);
    return good;
}

/* curl reads http:/h and http:///h as http://h; receivers and proxies do not, so refuse both. */
static bool has_authority(const char *url)
{
    const char *slashes = strstr(url, "://");
    return slashes && slashes[3] != '/';
}

/* Nothing listens on port 0. */
static bool is_port_zero(CURLU *parts)
{
    char *port = NULL;
    bool zero = curl_url_get(parts, CURLUPART_PORT, &port, 0) == CURLUE_OK &&
                strspn(port, "0") == strlen(port);
    curl_free(port);
    return zero;
}

char *spec_url_host(const char *url)
{
    CURLU *parts = curl_url();
    char *host = NULL, *copy = NULL;
    bool good = parts && strlen(url) <= SPEC_URL_MAX && has_authority(url);
    for (const char *c = url; good && *c; c++)
        good = *c > ' ' && *c < 0x7f;
    if (good && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK && is_http(parts) &&
        !has_part(parts, CURLUPART_USER) && !has_part(parts, CURLUPART_PASSWORD) &&
        !has_part(parts, CURLUPART_ZONEID) && !is_port_zero(parts) &&
        curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        address_host_possible(str_from(host)))
        copy = strdup(host);
    curl_free(host);
    curl_url_cleanup(parts);
    return copy;
}

/* ---- members --------------------------------------------------------------------------------- */

/* A member being read. Readers return NULL, or a text that says what would be right. */
typedef const char *read_member(struct spec *spec, const json_t *value);

static const char no_memory[] = "no memory: try again";

static const char *keep_text(char **place, const json_t *value)
{
    *place = strdup(json_string_value(value));
    return *place ? NULL : no_memory;
}

static const char *keep_json(char **place, const json_t *value)
{
    *place = json_dumps(value, JSON_COMPACT);
    return *place ? NULL : no_memory;
}

static const char *read_url(struct spec *spec, const json_t *value)
{
    char *host = json_is_string(value) ? spec_url_host(json_string_value(value)) : NULL;
    if (!host)
        return "url is http://… or https://… with a host that can exist (hooks.example.com, "
               "192.0.2.1, [2001:db8::1]), no port 0 and no user name, at most 2048 ASCII "
               "characters";
    free(host);
    return keep_text(&spec->url, value);
}

typedef bool subscription_adds(struct subscription *subscription, struct str text,
                               struct refusal *ret_refusal);

static bool add_list(struct subscription *subscription, const json_t *list, subscription_adds *add,
                     struct refusal *ret_refusal)
{
    size_t index;
    json_t *element;
    json_array_foreach(list, index, element)
    {
        if (!add(subscription, json_text(element), ret_refusal))
            return false;
    }
    return true;
}

static bool is_list(const json_t *list)
{
    size_t index;
    json_t *element;
    if (!json_is_array(list) || json_array_size(list) > SELECTION_TERMS_MAX)
        return false;
    json_array_foreach(list, index, element)
    {
        if (!json_is_string(element))
            return false;
    }
    return true;
}

static const char *check_list(const json_t *list, const char *shape, subscription_adds *add)
{
    struct subscription asked = {.terms_count = 0};
    struct refusal refusal;
    if (!is_list(list))
        return shape;
    return add_list(&asked, list, add, &refusal) && subscription_is_well_formed(&asked, &refusal)
               ? NULL
               : refusal.detail;
}

static const char *read_channels(struct spec *spec, const json_t *value)
{
    static const char shape[] = "channels is an array of 1 to 100 channels or patterns";
    const char *why = check_list(value, shape, subscription_add_term);
    if (!why && !json_array_size(value))
        why = shape;
    return why ? why : keep_json(&spec->channels, value);
}

static const char *read_types(struct spec *spec, const json_t *value)
{
    const char *why =
        check_list(value, "types is an array of at most 100 event types; none means all",
                   subscription_add_type);
    return why ? why : keep_json(&spec->types, value);
}

static const char *read_description(struct spec *spec, const json_t *value)
{
    if (!json_is_string(value) || json_string_length(value) > SPEC_DESCRIPTION_MAX)
        return "description is a text of at most 500 bytes";
    return keep_text(&spec->description, value);
}

/* Whether a header is reserved: some describe how to read the request itself. */
static bool header_is_ours(struct str name)
{
    static const char *const ours[] = {
        "host",       "content-length",   "content-type", "transfer-encoding", "connection",
        "keep-alive", "expect",           "te",           "trailer",           "upgrade",
        "user-agent", "proxy-connection", "event-type",   "event-channel",     "event-time",
        "event-hops", "content-encoding"};
    static const char *const prefixes[] = {"webhook-", "ce-", "proxy-"};
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        if (str_eq_nocase(name, str_from(ours[i])))
            return true;
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        struct str prefix = str_from(prefixes[i]);
        if (name.len >= prefix.len && str_eq_nocase((struct str){name.at, prefix.len}, prefix))
            return true;
    }
    return false;
}

static bool header_valid(struct str name, const json_t *value)
{
    struct str text = json_text(value);
    return json_is_string(value) && name.len <= 64 && http_all(name, HTTP_CHAR_TOKEN) &&
           !header_is_ours(name) && text.len <= SPEC_HEADER_VALUE_MAX &&
           (!text.len || http_all(text, HTTP_CHAR_VALUE));
}

/* Whether a header occurs twice, perhaps in different case. Requests would then carry it twice. */
static bool header_is_twice(const json_t *headers, const char *name)
{
    unsigned count = 0;
    void *walk = json_object_iter((json_t *)(uintptr_t)headers);
    for (; walk; walk = json_object_iter_next((json_t *)(uintptr_t)headers, walk))
        count += str_eq_nocase(str_from(json_object_iter_key(walk)), str_from(name));
    return count > 1;
}

static const char *read_headers(struct spec *spec, const json_t *value)
{
    static const char shape[] =
        "headers is an object of at most 20 names and texts, without those that "
        "frame the request and without webhook-… and ce-…";
    const char *name;
    json_t *text;
    if (!json_is_object(value) || json_object_size(value) > SPEC_HEADERS_MAX)
        return shape;
    void *walk = json_object_iter((json_t *)(uintptr_t)value);
    for (; walk; walk = json_object_iter_next((json_t *)(uintptr_t)value, walk)) {
        name = json_object_iter_key(walk);
        text = json_object_iter_value(walk);
        if (!header_valid(str_from(name), text))
            return shape;
        if (header_is_twice(value, name))
            return "headers has the same name twice";
    }
    return keep_json(&spec->headers, value);
}

static const char *read_after(struct spec *spec, const json_t *value)
{
    struct str text = json_is_string(value) ? json_text(value) : STR("");
    return position_read(&spec->from, text)
               ? NULL
               : "after is an event's id, earliest, now, or an RFC 3339 time, as a text";
}

static const char *read_secret(struct spec *spec, const json_t *value)
{
    if (!json_is_string(value) || sign_key_read(json_text(value), &spec->key))
        return "secret is whsec_ and base64 of 24 to 64 bytes; without it one is made";
    return NULL;
}

static const char *read_verify(struct spec *spec, const json_t *value)
{
    static const char *const names[] = {"none", "ping", "cloudevents", "slack"};
    if (json_is_boolean(value)) {
        spec->verify = json_is_true(value) ? SPEC_VERIFY_PING : SPEC_VERIFY_NONE;
        return NULL;
    }
    for (size_t i = 0; json_is_string(value) && i < sizeof(names) / sizeof(names[0]); i++) {
        if (!str_eq(json_text(value), str_from(names[i])))
            continue;
        spec->verify = (enum spec_verify)i;
        return NULL;
    }
    return "verify is none, ping, cloudevents or slack";
}

/* ---- how deliveries are made ----------------------------------------------------------------- */

static const char *read_ordered(struct spec *spec, const json_t *value)
{
    spec->options.ordered = json_is_true(value);
    return json_is_boolean(value) ? NULL : "ordered is true or false";
}

static const char *read_format(struct spec *spec, const json_t *value)
{
    enum body_format_id id =
        json_is_string(value) ? body_format_find(json_text(value)) : BODY_FORMATS;
    if (id == BODY_FORMATS)
        return "format is " BODY_FORMAT_NAMES;
    spec->options.format = (uint8_t)id;
    return NULL;
}

static bool read_number(const json_t *value, json_int_t least, json_int_t most, uint32_t *ret)
{
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < least || number > most)
        return false;
    *ret = (uint32_t)number;
    return true;
}

static const char *read_batch(struct spec *spec, const json_t *value)
{
    return read_number(value, 0, SPEC_BATCH_MAX, &spec->options.batch)
               ? NULL
               : "batch is how many events a page holds at most, 1 to 1000; 0 for no pages";
}

static const char *read_concurrency(struct spec *spec, const json_t *value)
{
    return read_number(value, 1, SPEC_CONCURRENCY_MAX, &spec->options.concurrency)
               ? NULL
               : "concurrency is how many requests may be under way, 1 to 256";
}

static const char *read_timeout(struct spec *spec, const json_t *value)
{
    uint32_t seconds = 0;
    bool good = read_number(value, 1, SPEC_TIMEOUT_MAX_S, &seconds);
    spec->options.timeout_ms = (int64_t)seconds * 1000;
    return good ? NULL : "timeout is how many seconds a request may take, 1 to 60";
}

static const char *read_schedule(struct spec *spec, const json_t *value)
{
    static const char shape[] = "schedule is an array of 1 to 32 delays in seconds, each above 0 "
                                "and at most 604800";
    size_t index;
    json_t *delay;
    if (!json_is_array(value) || !json_array_size(value) || json_array_size(value) > SCHEDULE_MAX)
        return shape;
    json_array_foreach(value, index, delay)
    {
        if (!json_is_number(delay) || !(json_number_value(delay) > 0) ||
            json_number_value(delay) > 604800)
            return shape;
    }
    return keep_json(&spec->schedule, value);
}

static const char *read_asymmetric(struct spec *spec, const json_t *value)
{
    spec->options.wants_pair = !json_is_false(value);
    if (json_is_boolean(value) ||
        (json_is_string(value) && !sign_pair_read(json_text(value), &spec->pair)))
        return NULL;
    return "asymmetric is true, false, or whsk_ and base64 of an ed25519 key of 32 or 64 bytes";
}

const char *spec_options(const struct spec *spec, struct endpoint_options *options)
{
    if (spec->has & SPEC_ORDERED)
        options->ordered = spec->options.ordered;
    if (spec->has & SPEC_FORMAT)
        options->format = spec->options.format;
    if (spec->has & SPEC_BATCH)
        options->batch = spec->options.batch;
    if (spec->has & SPEC_CONCURRENCY)
        options->concurrency = spec->options.concurrency;
    if (spec->has & SPEC_TIMEOUT)
        options->timeout_ms = spec->options.timeout_ms;
    if (spec->has & SPEC_ASYMMETRIC)
        options->wants_pair = spec->options.wants_pair;
    if (options->batch && body_format_of((enum body_format_id)options->format)->is_for_one)
        return "cloudevents-binary has one event in a request: without batch, or as cloudevents";
    return NULL;
}

void spec_schedule(const char *text, struct schedule *schedule)
{
    json_t *array = *text ? json_loads(text, 0, NULL) : NULL;
    size_t count = json_array_size(array);
    for (size_t i = 0; i < count && i < SCHEDULE_MAX; i++) {
        double ms = json_number_value(json_array_get(array, i)) * 1000;
        schedule->delays_ms[i] = ms < 1 ? 1 : (int64_t)ms;
        schedule->count = i + 1;
    }
    json_decref(array);
}

static const char *read_state(struct spec *spec, const json_t *value)
{
    spec->paused = json_is_string(value) && str_eq(json_text(value), STR("paused"));
    bool active = json_is_string(value) && str_eq(json_text(value), STR("active"));
    return spec->paused || active ? NULL : "state can be set to active or paused";
}

static const struct {
    const char *name;
    unsigned bit;
    read_member *read;
} members[] = {
    {"url", SPEC_URL, read_url},
    {"channels", SPEC_CHANNELS, read_channels},
    {"types", SPEC_TYPES, read_types},
    {"description", SPEC_DESCRIPTION, read_description},
    {"headers", SPEC_HEADERS, read_headers},
    {"after", SPEC_AFTER, read_after},
    {"secret", SPEC_SECRET, read_secret},
    {"verify", SPEC_VERIFY, read_verify},
    {"state", SPEC_STATE, read_state},
    {"ordered", SPEC_ORDERED, read_ordered},
    {"format", SPEC_FORMAT, read_format},
    {"batch", SPEC_BATCH, read_batch},
    {"concurrency", SPEC_CONCURRENCY, read_concurrency},
    {"timeout", SPEC_TIMEOUT, read_timeout},
    {"schedule", SPEC_SCHEDULE, read_schedule},
    {"asymmetric", SPEC_ASYMMETRIC, read_asymmetric},
};
enum { MEMBERS = sizeof(members) / sizeof(members[0]) };

static const char *shape_of(unsigned allowed)
{
    if (allowed == SPEC_AFTER)
        return "the body is an object whose member after says where to begin";
    if (allowed == SPEC_ROTATE)
        return "the body is empty, or a JSON object with secret and asymmetric: keys of your own";
    return allowed & SPEC_STATE
               ? "what can be changed is url, channels, types, description, headers, state, "
                 "ordered, format, batch, concurrency, timeout, schedule and asymmetric"
               : "the members are url, channels, types, after, description, headers, secret, "
                 "verify, ordered, format, batch, concurrency, timeout, schedule and asymmetric";
}

static bool is_allowed(const char *name, unsigned allowed)
{
    for (size_t i = 0; i < MEMBERS; i++)
        if (strcmp(name, members[i].name) == 0)
            return allowed & members[i].bit;
    return false;
}

/* The first unknown member, or NULL. Unknown members are refused, because a misspelled one would
 * silently select more than was meant. */
static const char *find_stray(json_t *object, unsigned allowed, struct buf *room)
{
    struct buf known = {0};
    const char *name, *stray = NULL;
    json_t *unused;
    json_object_foreach(object, name, unused) if (!stray && !is_allowed(name, allowed)) stray =
        name;
    if (!stray)
        return NULL;
    for (size_t i = 0; i < MEMBERS; i++)
        if (allowed & members[i].bit)
            buf_addf(&known, "%s%s", known.len ? " " : "", members[i].name);
    unknown_add_name(room, "member", str_from(stray), buf_str(&known));
    buf_add_char(room, '\0');
    buf_free(&known);
    return buf_failed(room) ? shape_of(allowed) : room->at;
}

static const char *read_all(json_t *object, unsigned allowed, unsigned needed, struct spec *spec,
                            struct buf *room)
{
    const char *why = find_stray(object, allowed, room);
    for (size_t i = 0; i < MEMBERS && !why; i++) {
        const json_t *value = json_object_get(object, members[i].name);
        if (!value)
            continue;
        spec->has |= members[i].bit;
        why = members[i].read(spec, value);
    }
    if (why || (spec->has & needed) == needed)
        return why;
    return allowed == SPEC_AFTER ? shape_of(allowed) : "url and channels are needed";
}

bool spec_read(struct str json, unsigned allowed, unsigned needed, struct spec *ret,
               struct buf *room, const char **ret_why)
{
    json_error_t error = {.line = 0};
    *ret = (struct spec){.from = {.kind = POSITION_NOW}};
    if (utf8_has_mark(json))
        json = str_skip(json, 3);
    json_t *object =
        json.len ? json_loadb(json.at, json.len, JSON_REJECT_DUPLICATES, &error) : NULL;
    *ret_why = "the body is a JSON object with at least the members url and channels";
    if (json_is_object(object))
        *ret_why = read_all(object, allowed, needed, ret, room);
    else if (json.len && !object && json_error_code(&error) == json_error_duplicate_key)
        *ret_why = "a member of the body is given twice";
    else if (allowed == SPEC_AFTER || allowed == SPEC_ROTATE)
        *ret_why = shape_of(allowed);
    json_decref(object);
    if (!*ret_why)
        return true;
    spec_free(ret);
    return false;
}

void spec_free(struct spec *spec)
{
    free(spec->url);
    free(spec->channels);
    free(spec->types);
    free(spec->description);
    free(spec->headers);
    free(spec->schedule);
    *spec = (struct spec){0};
}

/* ---- stored specifications ------------------------------------------------------------------- */

struct selection *spec_selection(const char *channels, const char *types)
{
    const struct subscriber server = {.access = ACCESS_OF_SERVER};
    struct subscription asked = {.terms_count = 0};
    struct refusal refusal;
    json_t *terms = json_loads(channels, 0, NULL), *wanted = json_loads(types, 0, NULL);
    /* Return failure: an unreadable array must not become one that selects everything. */
    bool good = is_list(terms) && is_list(wanted) &&
                add_list(&asked, terms, subscription_add_term, &refusal) &&
                add_list(&asked, wanted, subscription_add_type, &refusal);
    struct selection *selection = good ? subscription_select(&asked, &server, &refusal) : NULL;
    json_decref(terms);
    json_decref(wanted);
    return selection;
}

void spec_each_header(const char *headers,
                      void (*each)(void *context, const char *name, const char *value),
                      void *context)
{
    json_t *object = json_loads(headers, 0, NULL), *value;
    const char *name;
    json_object_foreach(object, name, value) each(context, name, json_string_value(value));
    json_decref(object);
}
