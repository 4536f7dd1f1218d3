#include "inbound/source.h"

#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <stdlib.h>

enum { NAME_LEN_MAX = 64, TOLERANCE_S = 300, TOLERANCE_S_MAX = 86400, HEADER_LEN_MAX = 100 };

struct source {
    struct str name; /* points into `names` */
    const struct kind *kind;
    char *names; /* owned: the name and the texts of the verifier, each with a zero at its end */
    struct verifier verifier;
    struct template signed_bytes;
    struct template channel;
    struct template type;
    struct template id;
    struct challenge *challenge; /* NULL: the provider sends none */
    bool is_told; /* answers anybody with HMACs under one of its secrets, by an open challenge */
};

/* Slack's check that the receiver is there: {"type":"url_verification","challenge":…}. */
static const struct challenge_settings slack_challenge = {
    .method = "POST", .when = "{body.type}", .is = "url_verification", .value = "{body.challenge}"};

/* The settings of each kind. A setting of the configuration takes precedence over its column
 * here. */
static const struct kind {
    const char *name;
    const char *header;
    const char *prefix;
    const char *encoding;
    const char *signature_field, *timestamp_field;
    const char *timestamp_header;
    const char *signed_bytes;
    const char *id;
    const char *type;
    enum verify_scheme scheme;
    bool is_free; /* the columns above, up to `signed_bytes`, may be set */
    bool is_slack;
} kinds[] = {
    {"github", "x-hub-signature-256", "sha256=", "hex", "", "", "", "{body}",
     "{header.x-github-delivery}", "github.{header.x-github-event}", VERIFY_HMAC, false, false},
    {"stripe", "stripe-signature", "", "hex", "v1", "t", "", "{timestamp}.{body}", "{body.id}",
     "stripe.{body.type}", VERIFY_HMAC, false, false},
    {"slack", "x-slack-signature", "v0=", "hex", "", "", "x-slack-request-timestamp",
     "v0:{timestamp}:{body}", "{body.event_id}", "slack.{body.event.type}", VERIFY_HMAC, false,
     true},
    {"shopify", "x-shopify-hmac-sha256", "", "base64", "", "", "", "{body}",
     "{header.x-shopify-webhook-id}", "shopify.{header.x-shopify-topic}", VERIFY_HMAC, false,
     false},
    {"standard", "", "", "base64", "", "", "", "{body}", "", "{body.type}", VERIFY_STANDARD, false,
     false},
    {"hmac", "x-signature", "", "hex", "", "", "", "{body}", "", "message", VERIFY_HMAC, true,
     false},
    {"token", "authorization", "Bearer ", "hex", "", "", "", "{body}", "", "message", VERIFY_TOKEN,
     true, false},
    {"basic", "authorization", "", "hex", "", "", "", "{body}", "", "message", VERIFY_BASIC, false,
     false},
    {"none", "", "", "hex", "", "", "", "{body}", "", "message", VERIFY_NONE, false, false},
};

/* ---- reading the settings -------------------------------------------------------------------- */

static int refuse(struct buf *why, const char *setting, const char *sentence)
{
    buf_addf(why, "%s: %s", setting, sentence);
    return -EINVAL;
}

static const struct kind *find_kind(const char *name)
{
    for (size_t i = 0; name && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

static bool is_name(const char *name)
{
    size_t len = name ? strlen(name) : 0;
    for (size_t i = 0; i < len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", name[i]))
            return false;
    return len && len <= NAME_LEN_MAX && name[0] != '.';
}

/* Whether this is a header's name in the form for lookups: letters, digits and dashes in lower
 * case; empty for no header. */
static bool is_header(const char *name)
{
    for (const char *at = name; *at; at++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-_", *at))
            return false;
    return strlen(name) <= HEADER_LEN_MAX;
}

static const char *either(const char *said, const char *otherwise)
{
    return said ? said : otherwise;
}

/* Copies all texts that the verifier and the source keep, into one block. */
static int keep_names(struct source *source, const struct source_settings *settings)
{
    enum { NAMES = 6 };
    const struct kind *kind = source->kind;
    struct verifier *verifier = &source->verifier;
    const char *prefix = settings->header ? "" : kind->prefix;
    const struct {
        const char *text;
        struct str *to;
        bool lower; /* a header's name */
    } names[NAMES] = {
        {settings->name, &source->name, false},
        {either(settings->header, kind->header), &verifier->header, true},
        {either(settings->prefix, prefix), &verifier->prefix, false},
        {either(settings->timestamp_header, kind->timestamp_header), &verifier->timestamp_header,
         true},
        {either(settings->signature_field, kind->signature_field), &verifier->signature_field,
         false},
        {either(settings->timestamp_field, kind->timestamp_field), &verifier->timestamp_field,
         false},
    };
    size_t size = 0;
    for (size_t i = 0; i < NAMES; i++)
        size += strlen(names[i].text) + 1;
    char *at = source->names = mem_try_alloc(size);
    if (!at)
        return -ENOMEM;
    for (size_t i = 0; i < NAMES; i++) {
        size_t len = strlen(names[i].text);
        memcpy(at, names[i].text, len + 1);
        for (size_t c = 0; names[i].lower && c < len; c++)
            at[c] = ascii_lower(at[c]);
        *names[i].to = (struct str){at, len};
        at += len + 1;
    }
    return 0;
}

/* A header or a field without a name would be found in no request. */
static int refuse_nameless(const struct source_settings *settings, struct buf *why)
{
    const char *const names[][2] = {{"header", settings->header},
                                    {"timestamp_header", settings->timestamp_header},
                                    {"signature_field", settings->signature_field},
                                    {"timestamp_field", settings->timestamp_field}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i][1] && !*names[i][1])
            return refuse(why, names[i][0], "is empty: leave it out, or say its name");
    return 0;
}

static bool says_how(const struct source_settings *settings)
{
    return settings->header || settings->prefix || settings->hash || settings->encoding ||
           settings->signature_field || settings->timestamp_field || settings->timestamp_header ||
           settings->signed_bytes;
}

static int read_scheme(struct source *source, const struct source_settings *settings,
                       struct buf *why)
{
    struct verifier *verifier = &source->verifier;
    const char *encoding = settings->encoding ? settings->encoding : source->kind->encoding;
    verifier->scheme = source->kind->scheme;
    verifier->signed_bytes = &source->signed_bytes;
    verifier->hash = settings->hash ? hash_kind_of(str_from(settings->hash)) : HASH_SHA256;
    verifier->encoding = strcmp(encoding, "base64") == 0 ? VERIFY_BASE64 : VERIFY_HEX;
    verifier->tolerance_s = settings->tolerance_s ? (int64_t)settings->tolerance_s : TOLERANCE_S;
    if (says_how(settings) && !source->kind->is_free)
        return refuse(why, source->kind->name, "only hmac and token can be told how they sign");
    if (verifier->hash == HASH_KINDS)
        return refuse(why, "hash", "is sha1, sha256, sha384 or sha512");
    if (verifier->encoding == VERIFY_HEX && strcmp(encoding, "hex") != 0)
        return refuse(why, "encoding", "is hex or base64");
    if (settings->tolerance_s > TOLERANCE_S_MAX)
        return refuse(why, "tolerance_s", "is at most 86400");
    if (!is_header(verifier->header.at) || !is_header(verifier->timestamp_header.at))
        return refuse(why, "header", "is the name of an HTTP header");
    return 0;
}

/* A header of pairs, as in `t=1,v1=ab`. */
static int read_fields(const struct source *source, struct buf *why)
{
    const struct verifier *verifier = &source->verifier;
    if (verifier->timestamp_field.len && !verifier->signature_field.len)
        return refuse(why, "timestamp_field", "goes with a signature_field in the same header");
    if (verifier->timestamp_field.len && verifier->timestamp_header.len)
        return refuse(why, "timestamp_field", "the time is either there or in a timestamp_header");
    if (verifier->signature_field.len && verifier->scheme == VERIFY_TOKEN)
        return refuse(why, "signature_field", "only hmac has signatures");
    return 0;
}

static int read_secrets(struct source *source, const struct source_settings *settings,
                        struct buf *why)
{
    struct verifier *verifier = &source->verifier;
    bool wanted = verifier->scheme != VERIFY_NONE;
    if (wanted != (settings->secrets_count > 0))
        return refuse(why, "secrets", wanted ? "one at least" : "a source of kind none has none");
    if (settings->secrets_count > VERIFY_SECRETS_MAX)
        return refuse(why, "secrets", "at most 8");
    for (size_t i = 0; i < settings->secrets_count; i++) {
        const char *sentence;
        int result = verify_secret_read(verifier->scheme, str_from(settings->secrets[i]),
                                        &verifier->secrets[verifier->secrets_count], &sentence);
        if (result)
            return result == -EINVAL ? refuse(why, "secrets", sentence) : result;
        verifier->secrets_count++;
    }
    return 0;
}

static int compile(struct template *to, const char *name, const char *text, unsigned allowed,
                   struct buf *why)
{
    const char *sentence;
    if (!*text)
        return 0;
    int result = template_compile(str_from(text), allowed, to, &sentence);
    return result == -EINVAL ? refuse(why, name, sentence) : result;
}

static bool has_part(const struct template *template, enum template_part_kind kind)
{
    for (size_t i = 0; i < template->count; i++)
        if (template->parts[i].kind == kind)
            return true;
    return false;
}

static int read_templates(struct source *source, const struct source_settings *settings,
                          struct buf *why)
{
    const struct kind *kind = source->kind;
    bool timed = source->verifier.timestamp_header.len || source->verifier.timestamp_field.len;
    const char *signed_bytes = settings->signed_bytes ? settings->signed_bytes : kind->signed_bytes;
    int result = compile(&source->signed_bytes, "signed", signed_bytes, TEMPLATE_SIGNED, why);
    if (!result && !has_part(&source->signed_bytes, TEMPLATE_BODY))
        return refuse(why, "signed", "what is signed must hold {body}");
    if (!result && timed != has_part(&source->signed_bytes, TEMPLATE_TIMESTAMP))
        return refuse(why, "signed",
                      "a timestamp_header or timestamp_field and {timestamp} in what is signed go "
                      "together: a time that is not signed proves nothing");
    if (!result)
        result = compile(&source->channel, "channel",
                         settings->channel ? settings->channel : "{source}", TEMPLATE_NAMES, why);
    if (!result)
        result = compile(&source->type, "type", settings->type ? settings->type : kind->type,
                         TEMPLATE_NAMES, why);
    if (!result)
        result =
            compile(&source->id, "id", settings->id ? settings->id : kind->id, TEMPLATE_NAMES, why);
    return result;
}

static int read_challenge(struct source *source, const struct source_settings *settings,
                          struct buf *why)
{
    const struct challenge_settings none = {0};
    const struct challenge_settings *challenge = &settings->challenge;
    struct str key =
        source->verifier.secrets_count ? buf_str(&source->verifier.secrets[0].bytes) : STR_NONE;
    if (!memcmp(challenge, &none, sizeof(none)))
        challenge = source->kind->is_slack ? &slack_challenge : NULL;
    int result = challenge ? challenge_new(challenge, key, &source->challenge, why) : 0;
    source->is_told = !result && challenge && challenge_is_open(source->challenge);
    return result;
}

int source_new(const struct source_settings *settings, struct source **ret_source, struct buf *why)
{
    const struct kind *kind = find_kind(settings->kind);
    if (!is_name(settings->name))
        return refuse(why, "source", "a name is 1 to 64 letters, digits, '.', '_' and '-'");
    if (!kind)
        return refuse(why, "kind",
                      "is github, stripe, slack, shopify, standard, hmac, token, basic or none");
    struct source *source = mem_alloc(sizeof(*source));
    source->kind = kind;
    int result = keep_names(source, settings);
    if (!result)
        result = read_scheme(source, settings, why);
    if (!result)
        result = refuse_nameless(settings, why);
    if (!result)
        result = read_fields(source, why);
    if (!result)
        result = read_secrets(source, settings, why);
    if (!result)
        result = read_templates(source, settings, why);
    if (!result)
        result = read_challenge(source, settings, why);
    if (result)
        source_free(source);
    else
        *ret_source = source;
    return result;
}

void source_free(struct source *source)
{
    if (!source)
        return;
    for (size_t i = 0; i < source->verifier.secrets_count; i++)
        verify_secret_deinit(&source->verifier.secrets[i]);
    template_free(&source->signed_bytes);
    template_free(&source->channel);
    template_free(&source->type);
    template_free(&source->id);
    challenge_free(source->challenge);
    free(source->names);
    free(source);
}

static bool has_secret_of(const struct source *source, const struct challenge *challenge)
{
    for (size_t i = 0; i < source->verifier.secrets_count; i++)
        if (challenge_is_under(challenge, buf_str(&source->verifier.secrets[i].bytes)))
            return true;
    return false;
}

void sources_note_shared(struct source *const *sources, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t other = 0; other < count; other++)
            if (sources[other]->challenge && challenge_is_open(sources[other]->challenge) &&
                has_secret_of(sources[i], sources[other]->challenge))
                sources[i]->is_told = true;
}

struct str source_name(const struct source *source)
{
    return source->name;
}

struct str source_proof_header(const struct source *source)
{
    return source->verifier.scheme == VERIFY_STANDARD ? STR("webhook-signature")
                                                      : source->verifier.header;
}

bool source_answers_empty(const struct source *source)
{
    return source->kind->is_slack;
}

bool source_is_asked(const struct source *source)
{
    return source->challenge && challenge_by_get(source->challenge);
}

bool source_tells_json(const struct source *source)
{
    return source->challenge && challenge_tells_json(source->challenge);
}

/* ---- requests -------------------------------------------------------------------------------- */

/* Tokens and passwords prove the same whatever the body is. */
static bool is_by_signature(const struct verifier *verifier)
{
    return verifier->scheme == VERIFY_HMAC || verifier->scheme == VERIFY_STANDARD;
}

int source_verify(const struct source *source, const struct inbound_request *request)
{
    int verdict = verify_request(&source->verifier, request);
    bool forged = !verdict && source->is_told && is_by_signature(&source->verifier) &&
                  challenge_is_token(request->body);
    return forged ? VERIFY_E_WRONG : verdict;
}

static void read_key(const struct source *source, const struct template_view *view,
                     struct source_event *event)
{
    buf_add_str(&event->key, source->name);
    buf_add_char(&event->key, '-');
    struct str id = STR_NONE;
    if (source->id.count) {
        if (template_render(&source->id, view, TEMPLATE_KEY, &event->key))
            return;
    } else if (source->verifier.scheme == VERIFY_STANDARD) {
        id = verify_standard_headers(view->request->fields).id;
    }
    if (id.len)
        buf_add_str(&event->key, id);
    else
        buf_clear(&event->key);
}

/* Prefixes a type that no event may have, or that the server uses for itself. */
static void mend_type(struct buf *type)
{
    enum { TYPE_LEN_MAX = 64 };
    struct str text = buf_str(type);
    if (str_eq(text, STR("error")) || str_eq(text, STR("open"))) {
        struct buf marked = {0};
        buf_add_char(&marked, '_');
        buf_add_str(&marked, text);
        buf_free(type);
        *type = marked;
    }
    if (type->len > TYPE_LEN_MAX)
        type->len = TYPE_LEN_MAX;
}

static void look(const struct source *source, struct template_view *view)
{
    const struct template *templates[3 + CHALLENGE_LOOKS] = {&source->channel, &source->type,
                                                             &source->id};
    if (source->challenge)
        challenge_looks(source->challenge, templates + 3);
    template_view_look(view, templates, source->challenge ? 3 + CHALLENGE_LOOKS : 3);
}

static int read_event(const struct source *source, const struct template_view *view,
                      struct source_event *event)
{
    template_render(&source->channel, view, TEMPLATE_CHANNEL, &event->channel);
    template_render(&source->type, view, TEMPLATE_TYPE, &event->type);
    mend_type(&event->type);
    read_key(source, view, event);
    bool failed =
        buf_failed(&event->channel) || buf_failed(&event->type) || buf_failed(&event->key);
    return failed ? -ENOMEM : CHALLENGE_NONE;
}

int source_read(const struct source *source, const struct inbound_request *request,
                struct source_event *event)
{
    struct template_view view;
    int result = template_view_init(&view, source->name, request);
    if (result)
        return result;
    look(source, &view);
    if (source->challenge && !challenge_by_get(source->challenge))
        result = challenge_read(source->challenge, &view, &event->answer);
    if (result == CHALLENGE_NONE)
        result = read_event(source, &view, event);
    template_view_deinit(&view);
    return result;
}

int source_ask(const struct source *source, const struct inbound_request *request,
               struct source_event *event)
{
    /* Do not read the body of a GET: it has no meaning, and the sender has proved nothing yet. */
    struct inbound_request bare = {
        .fields = request->fields, .body = STR(""), .query = request->query};
    struct template_view view;
    int result = template_view_init(&view, source->name, &bare);
    if (result)
        return result;
    result = challenge_read(source->challenge, &view, &event->answer);
    template_view_deinit(&view);
    return result;
}

void source_event_deinit(struct source_event *event)
{
    buf_free(&event->channel);
    buf_free(&event->type);
    buf_free(&event->key);
    buf_free(&event->answer);
}
