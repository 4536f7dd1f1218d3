#include "client/cli/webhook_request.h"

#include "base/command_line.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "client/cli/verb.h"
#include "client/lib/first_line.h"
#include "http/target.h"
#include "http/token.h"

#include <errno.h>
#include <stdlib.h>

enum { BATCH_MOST = 1000, OPTIONS_MAX = 24 };

#define SERVER_HELP                                                                                \
    "  --url URL          the server (FRESHET_URL, else http://127.0.0.1:7070)\n" CREDENTIAL_HELP  \
        TRUST_HELP

enum verb_kind { VERB_ADD, VERB_LIST, VERB_ONE, VERB_RETRY, VERB_REPLAY, VERB_DELIVERIES };

static const struct verb {
    const char *name;
    const char *method;
    const char *suffix; /* behind /webhooks/ID */
    enum verb_kind kind;
    enum webhook_show show;
    const char *help;
} verbs[] = {
    {"add", "POST", "", VERB_ADD, WEBHOOK_SHOW_ANSWER,
     "Usage: freshet webhook add URL CHANNEL... [options]\n\n"
     "Registers URL for the events of channels and patterns (a/*, a/**) and prints the\n"
     "registration, with the secret that is shown this once.\n\n"
     "  --type T           only events of this type; may be repeated\n"
     "  --after ID|earliest|now|TIME\n"
     "                     begin after this position (now)\n"
     "  --description T    for people\n"
     "  --header 'N: V'    send this header too; may be repeated. @FILE reads it from the first\n"
     "                     line of a file: other users can read a command line\n"
     "  --secret-file FILE sign with the secret on the first line of this file (- is standard\n"
     "                     input), whsec_ and base64, instead of a new one\n"
     "  --format F         event, data, cloudevents or cloudevents-binary (event)\n"
     "  --batch N          up to N events a request\n"
     "  --unordered        an event that fails holds no other back\n"
     "  --verify HOW       only if it consents: ping, cloudevents or slack\n"
     "  --asymmetric       sign by ed25519 (v1a) too\n"
     "  --set NAME=JSON    any other member of the registration; may be repeated\n" SERVER_HELP},
    {"ls", "GET", "", VERB_LIST, WEBHOOK_SHOW_WEBHOOKS,
     "Usage: freshet webhook ls [options]\n\n"
     "Lists the webhooks: id, state, lag in events, URL, channels.\n\n"
     "  --json             as JSON, one a line\n" SERVER_HELP},
    {"show", "GET", "", VERB_ONE, WEBHOOK_SHOW_ANSWER,
     "Usage: freshet webhook show ID [options]\n\n"
     "Prints one webhook as JSON.\n\n" SERVER_HELP},
    {"deliveries", "GET", "/deliveries", VERB_DELIVERIES, WEBHOOK_SHOW_DELIVERIES,
     "Usage: freshet webhook deliveries ID [options]\n\n"
     "Prints the delivery log of a webhook, one delivery a line.\n\n"
     "  --state S          only those in this state, such as failed\n" SERVER_HELP},
    {"pause", "POST", "/pause", VERB_ONE, WEBHOOK_SHOW_ANSWER,
     "Usage: freshet webhook pause ID [options]\n\n"
     "Stops the deliveries; events wait, and none is lost.\n\n" SERVER_HELP},
    {"resume", "POST", "/resume", VERB_ONE, WEBHOOK_SHOW_ANSWER,
     "Usage: freshet webhook resume ID [options]\n\n"
     "Goes on where it was paused or disabled, at once.\n\n" SERVER_HELP},
    {"ping", "POST", "/ping", VERB_ONE, WEBHOOK_SHOW_ANSWER,
     "Usage: freshet webhook ping ID [options]\n\n"
     "Sends a signed ping and prints how it was answered.\n\n" SERVER_HELP},
    {"rotate", "POST", "/rotate", VERB_ONE, WEBHOOK_SHOW_ANSWER,
     "Usage: freshet webhook rotate ID [options]\n\n"
     "Makes a new secret and prints it this once; for a day the old one signs as "
     "well.\n\n" SERVER_HELP},
    {"replay", "POST", "/replay", VERB_REPLAY, WEBHOOK_SHOW_ANSWER,
     "Usage: freshet webhook replay ID --after ID|earliest|TIME [options]\n\n"
     "Delivers again everything after a position or a time.\n\n" SERVER_HELP},
    {"retry", "POST", "/retry", VERB_RETRY, WEBHOOK_SHOW_ANSWER,
     "Usage: freshet webhook retry ID [DELIVERY] [options]\n\n"
     "Tries one delivery again, or without its number all that failed.\n\n" SERVER_HELP},
    {"rm", "DELETE", "", VERB_ONE, WEBHOOK_SHOW_NOTHING,
     "Usage: freshet webhook rm ID [options]\n\n"
     "Deletes a webhook, with its delivery log.\n\n" SERVER_HELP},
};

static const char known_verbs[] =
    "add ls show deliveries pause resume ping rotate replay retry rm listen";

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

const char *webhook_verb_help(const char *verb)
{
    const struct verb *found = find_verb(verb);
    return found ? found->help : NULL;
}

/* ---- options --------------------------------------------------------------------------------- */

struct said {
    const struct verb *verb;
    struct command_list positionals;
    struct command_list types, headers, members;
    struct trust trust;
    struct credential credential;
    const char *token; /* of the environment */
    const char *url, *after, *description, *secret, *secret_file, *state, *format, *verify;
    uint64_t batch;
    bool unordered, asymmetric, json;
};

static int read_options(int argc, char **argv, struct said *said, struct buf *why)
{
    enum verb_kind kind = said->verb->kind;
    const struct {
        bool taken;
        struct command_option option;
    } all[] = {
        {true, {.name = "url", .value = &said->url}},
        {kind == VERB_ADD || kind == VERB_REPLAY, {.name = "after", .value = &said->after}},
        {kind == VERB_ADD, {.name = "type", .list = &said->types}},
        {kind == VERB_ADD, {.name = "description", .value = &said->description}},
        {kind == VERB_ADD, {.name = "header", .list = &said->headers}},
        {kind == VERB_ADD, {.name = "secret", .value = &said->secret}},
        {kind == VERB_ADD, {.name = "secret-file", .value = &said->secret_file}},
        {kind == VERB_ADD, {.name = "batch", .number = &said->batch, .most = BATCH_MOST}},
        {kind == VERB_ADD, {.name = "unordered", .flag = &said->unordered}},
        {kind == VERB_ADD, {.name = "format", .value = &said->format}},
        {kind == VERB_ADD, {.name = "verify", .value = &said->verify}},
        {kind == VERB_ADD, {.name = "asymmetric", .flag = &said->asymmetric}},
        {kind == VERB_ADD, {.name = "set", .list = &said->members}},
        {kind == VERB_LIST, {.name = "json", .flag = &said->json}},
        {kind == VERB_DELIVERIES, {.name = "state", .value = &said->state}},
    };
    struct command_option options[OPTIONS_MAX] = {TRUST_OPTIONS(&said->trust),
                                                  CREDENTIAL_OPTIONS(&said->credential)};
    size_t count = TRUST_OPTIONS_COUNT + CREDENTIAL_OPTIONS_COUNT;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i].taken)
            options[count++] = all[i].option;
    return command_line_read(argc, argv, options, count, &said->positionals, why);
}

/* ---- the body of a registration -------------------------------------------------------------- */

static void add_name(struct buf *out, const char *name)
{
    buf_add_char(out, out->len ? ',' : '{');
    buf_add_json(out, str_from(name));
    buf_add_char(out, ':');
}

static void add_text(struct buf *out, const char *name, const char *text)
{
    if (!text)
        return;
    add_name(out, name);
    buf_add_json(out, str_from(text));
}

/* Adds a boolean, unless it is the server's default. */
static void add_bool(struct buf *out, const char *name, bool value, bool otherwise)
{
    if (value == otherwise)
        return;
    add_name(out, name);
    buf_add_str(out, value ? STR("true") : STR("false"));
}

static void add_list(struct buf *out, const char *name, const char *const *at, size_t count)
{
    if (!count)
        return;
    add_name(out, name);
    for (size_t i = 0; i < count; i++) {
        buf_add_char(out, i ? ',' : '[');
        buf_add_json(out, str_from(at[i]));
    }
    buf_add_char(out, ']');
}

static int add_header(struct buf *out, const char *text, bool is_first, struct buf *why)
{
    struct str value = str_from(text);
    struct str name = str_trim(str_cut(&value, ':'));
    if (!value.at || !http_all(name, HTTP_CHAR_TOKEN) || !utf8_valid(value))
        return buf_refuse(why, "--header is 'Name: value', or @FILE with that on its first line");
    buf_add_char(out, is_first ? '{' : ',');
    buf_add_json(out, name);
    buf_add_char(out, ':');
    buf_add_json(out, str_trim(value));
    return 0;
}

static int add_headers(struct buf *out, const struct command_list *headers, struct buf *why)
{
    int result = 0;
    if (!headers->count)
        return 0;
    add_name(out, "headers");
    for (size_t i = 0; i < headers->count && !result; i++) {
        bool is_file = headers->at[i][0] == '@';
        char *line = is_file ? first_line_read(headers->at[i] + 1) : NULL;
        const char *text = is_file ? line : headers->at[i];
        result = add_header(out, text ? text : "", !i, why);
        first_line_free(line);
    }
    buf_add_char(out, '}');
    return result;
}

/* A secret of the user's own. All users of the machine could read it in the command line. */
static int add_secret(struct buf *out, const struct said *said, struct buf *why)
{
    if (said->secret)
        return buf_refuse(why, "--secret is not taken, since all users of this machine can read a "
                               "command line: write it into a file and say --secret-file FILE");
    if (!said->secret_file)
        return 0;
    char *line = first_line_read(said->secret_file);
    bool good = line && line[0] && utf8_valid(str_from(line));
    if (good)
        add_text(out, "secret", line);
    first_line_free(line);
    return good ? 0 : buf_refuse(why, "--secret-file does not hold a secret on its first line");
}

static int add_members(struct buf *out, const struct command_list *members, struct buf *why)
{
    for (size_t i = 0; i < members->count; i++) {
        struct str value = str_from(members->at[i]);
        struct str name = str_cut(&value, '=');
        if (!name.len || !value.at || json_check(value, JSON_DEPTH_MAX, NULL))
            return buf_refuse(why, "--set is NAME=JSON, such as description='\"text\"'");
        if (str_eq(name, STR("secret")))
            return buf_refuse(why, "--set takes no secret, since all users of this machine can "
                                   "read a command line: say --secret-file FILE");
        buf_add_char(out, out->len ? ',' : '{');
        buf_add_json(out, name);
        buf_add_char(out, ':');
        buf_add_str(out, value);
    }
    return 0;
}

static int check_text(int argc, char **argv, struct buf *why)
{
    for (int i = 0; i < argc; i++)
        if (!utf8_valid(str_from(argv[i])))
            return buf_refuse(why, "an argument is not UTF-8");
    return 0;
}

static int add_registration(struct buf *out, const struct said *said, struct buf *why)
{
    const char *const *names = said->positionals.at;
    if (said->positionals.count < 2)
        return buf_refuse(why, "say which URL, and which channels");
    add_text(out, "url", names[0]);
    add_list(out, "channels", names + 1, said->positionals.count - 1);
    add_list(out, "types", said->types.at, said->types.count);
    add_text(out, "after", said->after);
    add_text(out, "description", said->description);
    add_text(out, "format", said->format);
    add_text(out, "verify", said->verify);
    if (said->batch) {
        add_name(out, "batch");
        buf_add_u64(out, said->batch);
    }
    add_bool(out, "ordered", !said->unordered, true);
    add_bool(out, "asymmetric", said->asymmetric, false);
    int result = add_secret(out, said, why);
    if (!result)
        result = add_headers(out, &said->headers, why);
    if (!result)
        result = add_members(out, &said->members, why);
    buf_add_char(out, '}');
    return result;
}

/* ---- the request ----------------------------------------------------------------------------- */

static int add_id(struct buf *path, const struct said *said, struct buf *why)
{
    size_t most = said->verb->kind == VERB_RETRY ? 2 : 1;
    const char *const *names = said->positionals.at;
    uint64_t number;
    if (!said->positionals.count || !names[0][0])
        return buf_refuse(why, "say which webhook, by its id");
    if (said->positionals.count > most)
        return buf_refuse(why, "that is one word too many");
    buf_add_char(path, '/');
    http_percent_encode(path, str_from(names[0]));
    if (said->positionals.count < 2)
        return 0;
    if (http_number(str_from(names[1]), &number))
        return buf_refuse(why, "a delivery is a number, as `freshet webhook deliveries` tells it");
    buf_addf(path, "/deliveries/%llu", (unsigned long long)number);
    return 0;
}

static int make_request(const struct said *said, struct webhook_request *ret, struct buf *why)
{
    const struct verb *verb = said->verb;
    buf_add_lit(&ret->path, "/webhooks");
    if (verb->kind == VERB_ADD)
        return add_registration(&ret->body, said, why);
    if (verb->kind == VERB_LIST)
        return said->positionals.count ? buf_refuse(why, "that is one word too many") : 0;
    if (verb->kind == VERB_REPLAY && !said->after)
        return buf_refuse(why, "say --after what");
    int result = add_id(&ret->path, said, why);
    buf_add_str(&ret->path, str_from(verb->suffix));
    if (said->state)
        server_url_add_query(&ret->path, "state", str_from(said->state));
    if (verb->kind == VERB_REPLAY) {
        add_text(&ret->body, "after", said->after);
        buf_add_char(&ret->body, '}');
    }
    return result;
}

static bool is_input(const char *file)
{
    return file && strcmp(file, "-") == 0;
}

static int read_said(int argc, char **argv, struct said *said, struct webhook_request *ret,
                     struct buf *why)
{
    int result = check_text(argc, argv, why);
    if (!result)
        result = read_options(argc, argv, said, why);
    if (!result)
        result = server_url_read(said->url, false, &ret->url, why);
    if (!result)
        result = trust_check(&said->trust, why);
    if (!result && is_input(said->secret_file) && is_input(said->credential.file))
        result = buf_refuse(why, "standard input has one line: the key, or the secret");
    if (!result)
        result = make_request(said, ret, why);
    if (!result)
        result = credential_read(&said->credential, said->token, why);
    ret->trust = said->trust;
    ret->credential = said->credential;
    ret->token = said->credential.text;
    ret->json = said->json;
    if (!result && (buf_failed(&ret->path) || buf_failed(&ret->body)))
        result = buf_refuse(why, "there is no memory");
    return result;
}

int webhook_read_arguments(int argc, char **argv, const char *environment_url,
                           const char *environment_token, struct webhook_request *ret,
                           struct buf *why)
{
    *ret = (struct webhook_request){0};
    struct said said = {.verb = argc ? find_verb(argv[0]) : NULL,
                        .url = environment_url ? environment_url : SERVER_URL_DEFAULT,
                        .token = environment_token};
    if (!said.verb)
        return verb_refuse(argc ? argv[0] : NULL, known_verbs, why);
    ret->method = said.verb->method;
    ret->show = said.verb->show;
    const char **room = mem_alloc(4 * (size_t)argc * sizeof(char *));
    said.positionals.at = room;
    said.types.at = room + argc;
    said.headers.at = room + 2 * (size_t)argc;
    said.members.at = room + 3 * (size_t)argc;
    int result = read_said(argc, argv, &said, ret, why);
    free(room);
    return result;
}

void webhook_request_deinit(struct webhook_request *request)
{
    credential_deinit(&request->credential);
    buf_free(&request->path);
    buf_free(&request->body);
}
