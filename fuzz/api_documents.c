/* Feeds hostile bytes to the readers of the API's own documents: the bodies of POST /keys, POST
 * /revocations, and POST and PATCH of webhooks. The first byte says which. What is accepted must be
 * within its bounds and come back the same from what is written of it; what is refused must have a
 * sentence that says why, without a secret of the document. */
#include "require.h"

#include "access/api_key.h"
#include "access/revocations.h"
#include "base/json.h"
#include "http/token.h"
#include "log/selection.h"
#include "webhooks/endpoint/spec.h"

#include <string.h>

#define NOW_US (INT64_C(1800000000) * 1000000)

static void check_json(const struct buf *text)
{
    require(!buf_failed(text) && json_check(buf_str(text), JSON_DEPTH_LIMIT, NULL) == JSON_OK);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void check_grants(const struct caller_facts *facts)
{
    require(facts->grants_count <= GRANTS_MAX);
    for (size_t i = 0; i < facts->grants_count; i++) {
        require(facts->grants[i].patterns_count <= GRANT_PATTERNS_MAX);
        for (size_t j = 0; j < facts->grants[i].patterns_count; j++)
            require(pattern_valid(facts->grants[i].patterns[j], NULL));
    }
}

static void read_key(struct str body)
{
    char text[KEY_TEXT_LEN + 1];
    struct api_key *key = NULL;
    const char *fault = api_key_request(body, NOW_US, STR("maker"), text, &key);
    require((fault == NULL) == (key != NULL));
    if (!key)
        return;
    struct buf shown = {0};
    struct json_writer writer = json_writer(&shown);
    json_object_begin(&writer);
    api_key_show(&writer, key);
    json_object_end(&writer);
    check_json(&shown);
    require(key_text_is(str_from(text)) && !memmem(shown.at, shown.len, text, KEY_TEXT_LEN));
    const struct caller_facts *facts = &key->caller->facts;
    require(facts->subject.len && facts->subject.len <= API_KEY_NAME_MAX);
    require(!facts->expires_us || facts->expires_us > NOW_US);
    check_grants(facts);
    buf_free(&shown);
    api_key_free(key);
}

/* ---- revocations ----------------------------------------------------------------------------- */

static void read_revocation(struct str body)
{
    struct revocation *revocation = NULL, *again;
    const char *fault = revocation_request(body, NOW_US, STR("maker"), &revocation);
    require((fault == NULL) == (revocation != NULL));
    if (!revocation)
        return;
    struct buf shown = {0};
    struct json_writer writer = json_writer(&shown);
    revocation_write(&writer, revocation);
    check_json(&shown);
    require(revoked_name_valid(revocation->name));
    require(!revocation->until_us || revocation->until_us > NOW_US);
    again = revocation_read_record(buf_str(&shown));
    require(again && again->kind == revocation->kind && str_eq(again->id, revocation->id) &&
            str_eq(again->reason, revocation->reason));
    buf_free(&shown);
    free(again);
    free(revocation);
}

/* ---- webhooks -------------------------------------------------------------------------------- */

/* A header of a delivery must not become two. */
static void check_header(void *context, const char *name, const char *value)
{
    (void)context;
    require(http_all(str_from(name), HTTP_CHAR_TOKEN));
    require(!strpbrk(value, "\r\n"));
}

static void check_spec(const struct spec *spec)
{
    struct endpoint_options options = {0};
    (void)spec_options(spec, &options);
    if (spec->has & SPEC_URL) {
        char *host = spec_url_host(spec->url);
        require(host && *host && strlen(spec->url) <= SPEC_URL_MAX);
        free(host);
    }
    if (spec->has & SPEC_CHANNELS) {
        struct selection *selection =
            spec_selection(spec->channels, spec->types ? spec->types : "[]");
        require(selection != NULL);
        selection_unref(selection);
    }
    if (spec->headers)
        spec_each_header(spec->headers, check_header, NULL);
    if (spec->schedule) {
        struct schedule schedule = {0};
        spec_schedule(spec->schedule, &schedule);
    }
}

static void read_webhook(struct str body, unsigned allowed, unsigned needed)
{
    struct spec spec;
    struct buf room = {0};
    const char *why = NULL;
    if (spec_read(body, allowed, needed, &spec, &room, &why)) {
        require((spec.has & needed) == needed && !(spec.has & ~allowed));
        check_spec(&spec);
        spec_free(&spec);
    } else {
        require(why && *why);
    }
    buf_free(&room);
}

/* Reads from memory of exactly the input's size. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    char *copy = malloc(size);
    require(copy);
    memcpy(copy, data + 1, size - 1);
    struct str body = {copy, size - 1};
    switch (data[0] % 5) {
    case 0:
        read_key(body);
        break;
    case 1:
        read_revocation(body);
        break;
    case 2:
        read_webhook(body, SPEC_CREATE, SPEC_URL | SPEC_CHANNELS);
        break;
    case 3:
        read_webhook(body, SPEC_CHANGE, 0);
        break;
    default:
        read_webhook(body, SPEC_ROTATE, 0);
    }
    free(copy);
    return 0;
}
