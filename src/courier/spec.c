#include "courier/spec.h"

#include "base/rfc3339.h"
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

char *spec_url_host(const char *url)
{
    CURLU *parts = curl_url();
    char *host = NULL, *copy = NULL;
    bool good = parts && strlen(url) <= SPEC_URL_MAX;
    for (const char *c = url; good && *c; c++)
        good = *c > ' ' && *c < 0x7f;
    if (good && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK && is_http(parts) &&
        !has_part(parts, CURLUPART_USER) && !has_part(parts, CURLUPART_PASSWORD) &&
        !has_part(parts, CURLUPART_ZONEID) &&
        curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK && *host)
        copy = strdup(host);
    curl_free(host);
    curl_url_cleanup(parts);
    return copy;
}

/* ---- members --------------------------------------------------------------------------------- */

/* A member being read. Readers return NULL, or what would be right. */
typedef const char *read_member(struct spec *spec, const json_t *value);

static const char no_memory[] = "there is no memory left: try again";

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
        return "url is http://… or https://… with a host and without user name, at most 2048 ASCII "
               "characters";
    free(host);
    return keep_text(&spec->url, value);
}

static struct str str_of(const json_t *value)
{
    return (struct str){json_string_value(value), json_string_length(value)};
}

static const char *check_list(const json_t *list, const char *shape,
                              bool (*valid)(struct str element, const char **ret_why))
{
    size_t index;
    json_t *element;
    const char *why;
    if (!json_is_array(list) || json_array_size(list) > SELECTION_TERMS_MAX)
        return shape;
    json_array_foreach(list, index, element)
    {
        if (!json_is_string(element))
            return shape;
        if (!valid(str_of(element), &why))
            return why;
    }
    return NULL;
}

static const char *read_channels(struct spec *spec, const json_t *value)
{
    static const char shape[] = "channels is an array of 1 to 100 channels or patterns";
    const char *why = check_list(value, shape, pattern_valid);
    if (!why && !json_array_size(value))
        why = shape;
    return why ? why : keep_json(&spec->channels, value);
}

static const char *read_types(struct spec *spec, const json_t *value)
{
    const char *why = check_list(
        value, "types is an array of at most 100 event types; none means all", type_valid);
    return why ? why : keep_json(&spec->types, value);
}

static const char *read_description(struct spec *spec, const json_t *value)
{
    if (!json_is_string(value) || json_string_length(value) > SPEC_DESCRIPTION_MAX)
        return "description is a text of at most 500 bytes";
    return keep_text(&spec->description, value);
}

/* Those that say how the request itself is to be read belong to us. */
static bool header_is_ours(struct str name)
{
    static const char *const ours[] = {
        "host",       "content-length", "content-type", "transfer-encoding",
        "connection", "keep-alive",     "expect",       "te",
        "trailer",    "upgrade",        "user-agent",   "proxy-connection"};
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        if (str_eq_nocase(name, str_from(ours[i])))
            return true;
    return name.len >= 8 && str_eq_nocase((struct str){name.at, 8}, STR("webhook-"));
}

static bool header_valid(struct str name, const json_t *value)
{
    struct str text = str_of(value);
    return json_is_string(value) && name.len <= 64 && http_all(name, HTTP_CHAR_TOKEN) &&
           !header_is_ours(name) && text.len <= SPEC_HEADER_VALUE_MAX &&
           (!text.len || http_all(text, HTTP_CHAR_VALUE));
}

static const char *read_headers(struct spec *spec, const json_t *value)
{
    static const char shape[] =
        "headers is an object of at most 20 names and texts, without those that "
        "frame the request and without webhook-…";
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
    }
    return keep_json(&spec->headers, value);
}

static bool is_id(struct str text, uint64_t *ret_id)
{
    return text.len <= 16 && !http_number(text, ret_id) && *ret_id <= EVENT_ID_MAX;
}

static const char *read_after(struct spec *spec, const json_t *value)
{
    struct str text = json_is_string(value) ? str_of(value) : STR("");
    if (str_eq(text, STR("now")))
        spec->after = SPEC_AFTER_NOW;
    else if (str_eq(text, STR("earliest")) || is_id(text, &spec->after_id))
        spec->after = SPEC_AFTER_ID;
    else if (!rfc3339_parse(text, &spec->after_time_us))
        spec->after = SPEC_AFTER_TIME;
    else
        return "after is an event's id, earliest, now, or an RFC 3339 time, as a text";
    return NULL;
}

static const char *read_secret(struct spec *spec, const json_t *value)
{
    if (!json_is_string(value) || sign_key_read(str_of(value), &spec->key))
        return "secret is whsec_ and base64 of 24 to 64 bytes; without it one is made";
    return NULL;
}

static const char *read_verify(struct spec *spec, const json_t *value)
{
    spec->verify = json_is_true(value);
    return json_is_boolean(value) ? NULL : "verify is true or false";
}

static const char *read_state(struct spec *spec, const json_t *value)
{
    spec->paused = json_is_string(value) && str_eq(str_of(value), STR("paused"));
    bool active = json_is_string(value) && str_eq(str_of(value), STR("active"));
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
};
enum { MEMBERS = sizeof(members) / sizeof(members[0]) };

static const char *read_all(json_t *object, unsigned allowed, unsigned needed, struct spec *spec)
{
    size_t known = 0;
    const char *why = NULL;
    for (size_t i = 0; i < MEMBERS && !why; i++) {
        const json_t *value = json_object_get(object, members[i].name);
        if (!value || !(allowed & members[i].bit))
            continue;
        known++;
        spec->has |= members[i].bit;
        why = members[i].read(spec, value);
    }
    if (why)
        return why;
    /* A slip in a name would otherwise select more than was meant, and quietly. */
    if (known != json_object_size(object))
        return allowed & SPEC_STATE
                   ? "what can be changed is url, channels, types, description, headers and state"
                   : "the members are url, channels, types, after, description, headers, "
                     "secret and verify";
    return (spec->has & needed) == needed ? NULL : "url and channels are needed";
}

bool spec_read(struct str json, unsigned allowed, unsigned needed, struct spec *ret,
               const char **ret_why)
{
    *ret = (struct spec){0};
    json_t *object = json.len ? json_loadb(json.at, json.len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    *ret_why = "the body is a JSON object: {\"url\":\"https://…\",\"channels\":[\"…\"]}";
    if (json_is_object(object))
        *ret_why = read_all(object, allowed, needed, ret);
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
    *spec = (struct spec){0};
}

/* ---- what was kept --------------------------------------------------------------------------- */

static size_t list_of(const json_t *array, struct str out[SELECTION_TERMS_MAX])
{
    size_t count = json_array_size(array);
    for (size_t i = 0; i < count && i < SELECTION_TERMS_MAX; i++)
        out[i] = str_of(json_array_get(array, i));
    return count < SELECTION_TERMS_MAX ? count : SELECTION_TERMS_MAX;
}

struct selection *spec_selection(const char *channels, const char *types)
{
    struct str terms[SELECTION_TERMS_MAX], wanted[SELECTION_TERMS_MAX];
    json_t *terms_json = json_loads(channels, 0, NULL), *wanted_json = json_loads(types, 0, NULL);
    size_t terms_count = list_of(terms_json, terms), wanted_count = list_of(wanted_json, wanted);
    /* An array that cannot be read is no array that selects everything. */
    struct selection *selection =
        terms_json && wanted_json ? selection_new(terms, terms_count, wanted, wanted_count, NULL)
                                  : NULL;
    json_decref(terms_json);
    json_decref(wanted_json);
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
