/* Feeds templates, signature headers and bodies of inbound webhooks with hostile bytes: nothing may
 * crash or read too far, nothing unsigned may pass, and what a template makes of a body stays
 * within the segments that the template has. */
#include "require.h"

#include "inbound/source.h"

#include <stdlib.h>

static const struct http_limits limits = {.line_max = 1000, .fields_max = 20, .section_max = 4000};

/* Outside of braces. */
static size_t count_slashes(struct str text)
{
    size_t count = 0;
    bool inside = false;
    for (size_t i = 0; i < text.len; i++) {
        inside = text.at[i] == '{' || (inside && text.at[i] != '}');
        count += text.at[i] == '/' && !inside;
    }
    return count;
}

static size_t count_plain(struct str text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += text.at[i] == '/';
    return count;
}

/* A token and its hash, escaped six times over at the worst. */
enum { ANSWER_MAX = 100 + 2 * 6 * CHALLENGE_VALUE_MAX };

static void check_answer(int verdict, struct source_event *event)
{
    require(verdict == CHALLENGE_MEANT ? event->answer.len > 0 : event->answer.len == 0);
    require(event->answer.len <= ANSWER_MAX);
    source_event_deinit(event);
}

/* A challenge by GET, from anybody. */
static void check_question(const struct source *source, const struct inbound_request *request)
{
    struct source_event event = {0};
    int verdict = source_ask(source, request, &event);
    require(verdict >= CHALLENGE_NONE);
    check_answer(verdict, &event);
}

static void check_event(const struct source *source, struct str channel,
                        const struct inbound_request *request)
{
    struct source_event event = {0};
    int verdict = source_read(source, request, &event);
    require(verdict >= CHALLENGE_NONE);
    if (verdict != CHALLENGE_NONE) {
        check_answer(verdict, &event);
        return;
    }
    require(memchr(channel.at, '{', channel.len)
                ? count_plain(buf_str(&event.channel)) == count_slashes(channel)
                : str_eq(buf_str(&event.channel), channel));
    require(event.type.len <= 64);
    for (size_t i = 0; i < event.type.len; i++)
        require(event.type.at[i] > ' ' && event.type.at[i] < 0x7f);
    source_event_deinit(&event);
}

static void try_source(struct source_settings settings, const char *channel,
                       const struct inbound_request *request)
{
    struct source *source = NULL;
    struct buf why = {0};
    settings.name = "x";
    settings.channel = channel;
    settings.type = "a.{body.type}";
    if (!source_new(&settings, &source, &why)) {
        /* Nobody has the secret, so nobody has signed. */
        require(source_verify(source, request) != VERIFY_OK || !settings.secrets_count);
        check_event(source, str_from(channel), request);
        if (source_is_asked(source))
            check_question(source, request);
        source_free(source);
    } else {
        require(why.len > 0);
    }
    buf_free(&why);
}

static void try_all(const char *channel, const struct inbound_request *request)
{
    static const char *const plain[] = {"no one knows this"};
    static const char *const whsec[] = {"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3",
                                        "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="};
    static const char *const password[] = {"no one:knows"};
    static const char *const kinds[] = {"github", "stripe", "slack", "shopify", "hmac", "token"};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        try_source((struct source_settings){.kind = kinds[i], .secrets = plain, .secrets_count = 1},
                   channel, request);
    try_source((struct source_settings){.kind = "standard", .secrets = whsec, .secrets_count = 2},
               channel, request);
    try_source((struct source_settings){.kind = "basic", .secrets = password, .secrets_count = 1},
               channel, request);
    try_source((struct source_settings){.kind = "none"}, channel, request);
    try_source((struct source_settings){.kind = "hmac",
                                        .secrets = plain,
                                        .secrets_count = 1,
                                        .signature_field = "v1",
                                        .timestamp_field = "t",
                                        .signed_bytes = "{timestamp}.{body}",
                                        .challenge = {.method = "GET",
                                                      .value = "{header.x-token}{query.t}",
                                                      .hash = "hmac-sha256",
                                                      .json = "a={value} b={hash}"}},
               channel, request);
    try_source((struct source_settings){.kind = "none",
                                        .challenge = {.method = "POST",
                                                      .when = "{body.type}",
                                                      .is = "ask",
                                                      .value = "{body.token}{form.token}"}},
               channel, request);
}

/* Takes what stands before the first zero byte, as a copy of exactly its size and a zero. */
static char *take(struct str *rest)
{
    struct str part = str_cut(rest, '\0');
    char *copy = malloc(part.len + 1);
    require(copy);
    if (part.len)
        memcpy(copy, part.at, part.len);
    copy[part.len] = '\0';
    return copy;
}

/* A template, header lines and a body, with zero bytes between. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = {(const char *)data, size};
    struct http_fields fields = {0};
    if (!size)
        return 0;
    char *channel = take(&rest);
    char *lines = take(&rest);
    char *body = malloc(rest.len ? rest.len : 1);
    require(body);
    if (rest.len)
        memcpy(body, rest.at, rest.len);
    struct inbound_request request = {
        .fields = &fields, .body = {body, rest.len}, .query = str_from(channel), .now_s = 1000};
    if (!http_fields_parse(str_from(lines), &limits, &fields))
        try_all(channel, &request);
    free(body);
    free(lines);
    free(channel);
    return 0;
}
