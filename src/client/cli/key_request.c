#include "client/cli/key_request.h"

#include "base/command_line.h"
#include "base/json_writer.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "client/cli/verb.h"
#include "http/target.h"

#include <errno.h>
#include <stdlib.h>

enum { ACTIONS = 5, TTL_MAX_S = INT32_MAX };

#define SERVER_HELP                                                                                \
    "  --url URL          the server (FRESHET_URL, else http://127.0.0.1:7070)\n"                  \
    "  --token-file FILE  holds your own key or token, which grants admin (- is standard input;\n" \
    "                     without it FRESHET_TOKEN; never on the command line, where others see\n" \
    "                     it)\n" TRUST_HELP

static const struct verb {
    const char *name;
    enum key_verb verb;
    const char *help;
} verbs[] = {
    {"create", KEY_VERB_CREATE,
     "Usage: freshet key create NAME GRANT... [options]\n\n"
     "Makes an API key on a running server and prints it this once, alone, on standard output; "
     "the\n"
     "server keeps a hash of it. It grants no more than your own key does.\n\n"
     "  --read PATTERN     may read these channels (news, chat/*, chat/**); may be repeated, as "
     "the\n"
     "                     following\n"
     "  --publish PATTERN  may publish to them\n"
     "  --presence PATTERN may see who is there\n"
     "  --webhooks PATTERN may have their events sent to a URL\n"
     "  --admin PATTERN    may delete what they hold; ** for keys, revocations and statistics\n"
     "  --ttl TIME         ends after this time, as in 90d (never)\n" SERVER_HELP},
    {"ls", KEY_VERB_LIST,
     "Usage: freshet key ls [options]\n\n"
     "Lists the keys: id, name, when each was used last, and when it ends.\n\n"
     "  --json             as JSON, one a line, with their grants\n" SERVER_HELP},
    {"revoke", KEY_VERB_REVOKE,
     "Usage: freshet key revoke ID [options]\n\n"
     "Deletes a key. Connections that were made with it end within a second.\n\n" SERVER_HELP},
    {"generate", KEY_VERB_GENERATE,
     "Usage: freshet key generate\n\n"
     "Makes a key without a server, for `keys` in freshet.yaml. Prints the key on standard "
     "output,\n"
     "and on standard error the line for freshet.yaml, which holds a hash of it.\n"},
};

static const char known_verbs[] = "create ls revoke generate";

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

const char *key_verb_help(const char *verb)
{
    const struct verb *found = find_verb(verb);
    return found ? found->help : NULL;
}

/* ---- options --------------------------------------------------------------------------------- */

static const char *const action_names[ACTIONS] = {"read", "publish", "presence", "webhooks",
                                                  "admin"};

struct said {
    struct command_list positionals;
    struct command_list patterns[ACTIONS];
    struct trust trust;
    const char *url, *token_file, *ttl;
    bool json;
};

static int read_options(int argc, char **argv, enum key_verb verb, struct said *said,
                        struct buf *why)
{
    struct command_option options[ACTIONS + 3 + TRUST_OPTIONS_COUNT];
    size_t count = 0;
    for (size_t i = 0; verb == KEY_VERB_CREATE && i < ACTIONS; i++)
        options[count++] =
            (struct command_option){.name = action_names[i], .list = &said->patterns[i]};
    if (verb == KEY_VERB_CREATE)
        options[count++] = (struct command_option){.name = "ttl", .value = &said->ttl};
    if (verb == KEY_VERB_LIST)
        options[count++] = (struct command_option){.name = "json", .flag = &said->json};
    if (verb != KEY_VERB_GENERATE) {
        const struct command_option trusted[] = {TRUST_OPTIONS(&said->trust)};
        memcpy(options + count, trusted, sizeof(trusted));
        count += TRUST_OPTIONS_COUNT;
        options[count++] = (struct command_option){.name = "url", .value = &said->url};
        options[count++] =
            (struct command_option){.name = "token-file", .value = &said->token_file};
    }
    return command_line_read(argc, argv, options, count, &said->positionals, why);
}

/* ---- the request ----------------------------------------------------------------------------- */

static void write_grant(struct json_writer *writer, const struct command_list *patterns,
                        const char *action)
{
    if (!patterns->count)
        return;
    json_object_begin(writer);
    json_name(writer, "channels");
    json_array_begin(writer);
    for (size_t i = 0; i < patterns->count; i++)
        json_add_string(writer, str_from(patterns->at[i]));
    json_array_end(writer);
    json_name(writer, "may");
    json_array_begin(writer);
    json_add_string(writer, str_from(action));
    json_array_end(writer);
    json_object_end(writer);
}

static int write_key(struct buf *body, const struct said *said, struct buf *why)
{
    struct json_writer writer = json_writer(body);
    uint64_t ttl_s = 0;
    size_t patterns = 0;
    for (size_t i = 0; i < ACTIONS; i++)
        patterns += said->patterns[i].count;
    if (said->positionals.count != 1)
        return buf_refuse(why, "give the key one name, by which people know it");
    if (!patterns)
        return buf_refuse(why,
                          "say what the key grants, as in --read 'chat/**' --publish chat/room1");
    if (said->ttl &&
        (number_read_in(str_from(said->ttl), NUMBER_S, &ttl_s) || !ttl_s || ttl_s > TTL_MAX_S))
        return buf_refuse(why, "--ttl is a time such as 90d, 12h or 3600");
    json_object_begin(&writer);
    json_member_string(&writer, "name", str_from(said->positionals.at[0]));
    json_name(&writer, "grants");
    json_array_begin(&writer);
    for (size_t i = 0; i < ACTIONS; i++)
        write_grant(&writer, &said->patterns[i], action_names[i]);
    json_array_end(&writer);
    if (ttl_s)
        json_member_number(&writer, "expires_in_s", ttl_s);
    json_object_end(&writer);
    return 0;
}

static int make_request(const struct said *said, struct key_request *ret, struct buf *why)
{
    size_t words = ret->verb == KEY_VERB_CREATE || ret->verb == KEY_VERB_REVOKE;
    buf_add_lit(&ret->path, "/keys");
    if (ret->verb == KEY_VERB_CREATE)
        return write_key(&ret->body, said, why);
    if (said->positionals.count > words)
        return buf_refuse(why, "that is one word too many");
    if (ret->verb != KEY_VERB_REVOKE)
        return 0;
    if (!said->positionals.count || !said->positionals.at[0][0])
        return buf_refuse(why, "say which key, by its id, as `freshet key ls` tells it");
    buf_add_char(&ret->path, '/');
    http_percent_encode(&ret->path, str_from(said->positionals.at[0]));
    return 0;
}

static int read_said(int argc, char **argv, struct said *said, struct key_request *ret,
                     struct buf *why)
{
    int result = 0;
    for (int i = 0; !result && i < argc; i++)
        if (!utf8_valid(str_from(argv[i])))
            result = buf_refuse(why, "an argument is not UTF-8");
    if (!result)
        result = read_options(argc, argv, ret->verb, said, why);
    if (!result)
        result = server_url_read(said->url, false, &ret->url, why);
    if (!result)
        result = trust_check(&said->trust, why);
    if (!result)
        result = make_request(said, ret, why);
    ret->trust = said->trust;
    ret->token_file = said->token_file;
    ret->json = said->json;
    if (!result && (buf_failed(&ret->path) || buf_failed(&ret->body)))
        result = buf_refuse(why, "there is no memory");
    return result;
}

int key_read_arguments(int argc, char **argv, const char *environment_url, struct key_request *ret,
                       struct buf *why)
{
    const struct verb *verb = argc ? find_verb(argv[0]) : NULL;
    struct said said = {.url = environment_url ? environment_url : SERVER_URL_DEFAULT};
    *ret = (struct key_request){0};
    if (!verb)
        return verb_refuse(argc ? argv[0] : NULL, known_verbs, why);
    ret->verb = verb->verb;
    const char **room = mem_alloc((ACTIONS + 1) * (size_t)argc * sizeof(char *));
    said.positionals.at = room;
    for (size_t i = 0; i < ACTIONS; i++)
        said.patterns[i].at = room + (i + 1) * (size_t)argc;
    int result = read_said(argc, argv, &said, ret, why);
    free(room);
    return result;
}

void key_request_deinit(struct key_request *request)
{
    buf_free(&request->path);
    buf_free(&request->body);
}
