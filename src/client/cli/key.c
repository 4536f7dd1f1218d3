#include "client/cli/client.h"

#include "access/key_text.h"
#include "base/command_line.h"
#include "base/environment.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/visible.h"
#include "client/cli/answer.h"
#include "client/cli/key_request.h"
#include "client/cli/output.h"
#include "client/lib/credential.h"
#include "client/lib/transfer.h"
#include "http/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_MAX = 16 << 20, QUIET_MS = 60000, GRACE_MS = 2000 };

const char client_key_help[] =
    "Usage: freshet key VERB ...\n\n"
    "  create NAME GRANT...  make an API key; it is printed this once\n"
    "  ls                    list the keys\n"
    "  revoke ID             delete one; connections made with it end\n"
    "  generate              make one for freshet.yaml, without a server\n\n"
    "freshet key VERB --help tells more. Exit codes: 0 fine, 1 the server cannot be reached or\n"
    "refuses, 2 wrong usage.\n";

const char *client_key_help_of(const char *verb)
{
    const char *help = verb ? key_verb_help(verb) : NULL;
    return help ? help : client_key_help;
}

/* ---- printing -------------------------------------------------------------------------------- */

/* Prints the key alone, so that KEY=$(freshet key create …) takes it, and the rest for people. */
static int print_made(struct str body)
{
    struct buf key = {0};
    struct buf id = {0};
    struct str text = json_find(body, STR("key"));
    if (!text.len || json_unescape(text, &key) || buf_failed(&key)) {
        fprintf(stderr, "freshet key: the server's answer is no key\n");
        buf_wipe(&key);
        return 1;
    }
    buf_add_char(&key, '\n');
    visible_add(&id, json_find(body, STR("id")));
    fprintf(stderr, "freshet key: key %.*s was made; this is the only time that it is shown\n",
            STR_FMT(buf_str(&id)));
    buf_free(&id);
    int code = output_write("freshet key", buf_str(&key));
    buf_wipe(&key);
    return code;
}

static int print_list(struct str body, bool json)
{
    static const struct str columns[] = {
        {"id", 2}, {"name", 4}, {"last_used", 9}, {"expires", 7}, {"made_by", 7}};
    struct buf out = {0};
    answer_add_elements(&out, body, STR("keys"), json ? NULL : columns,
                        sizeof(columns) / sizeof(columns[0]));
    int code = buf_failed(&out) ? 1 : output_write("freshet key", buf_str(&out));
    buf_free(&out);
    return code;
}

/* Has the request ask for the page behind this one. False: this is the last. */
static bool turn_page(struct key_request *request, struct str body)
{
    struct buf next = {0};
    struct str text = json_find(body, STR("next"));
    bool has_next = request->verb == KEY_VERB_LIST && text.len && !json_unescape(text, &next) &&
                    !buf_failed(&next);
    if (has_next) {
        buf_clear(&request->path);
        buf_add_lit(&request->path, "/keys?after=");
        http_percent_encode(&request->path, buf_str(&next));
    }
    buf_free(&next);
    return has_next;
}

static int print(const struct key_request *request, struct str body)
{
    if (request->verb == KEY_VERB_REVOKE)
        return 0;
    if (json_check(body, JSON_DEPTH_LIMIT, NULL)) {
        fprintf(stderr, "freshet key: the server's answer is not JSON\n");
        return 1;
    }
    return request->verb == KEY_VERB_CREATE ? print_made(body) : print_list(body, request->json);
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* Asks once, and prints the answer. `*ret_more`: the request was changed, to be asked again. */
static int ask(struct key_request *request, const char *token, struct transfer *transfer,
               bool *ret_more)
{
    struct buf url = {0};
    struct transfer_answer answer = {0};
    server_url_add(&url, &request->url);
    buf_add_str(&url, buf_str(&request->path));
    buf_add_char(&url, '\0');
    const struct transfer_request http = {.url = url.at,
                                          .post = request->verb == KEY_VERB_CREATE,
                                          .method =
                                              request->verb == KEY_VERB_REVOKE ? "DELETE" : NULL,
                                          .body = buf_str(&request->body),
                                          .content_type = "application/json",
                                          .token = token,
                                          .quiet_ms = QUIET_MS,
                                          .grace_ms = GRACE_MS,
                                          .watched_fd = -1};
    int result = buf_failed(&url) ? TRANSFER_E_BROKEN : transfer_run(transfer, &http, &answer);
    int code = result || answer.status < 200 || answer.status > 299
                   ? answer_explain("key", request->url.text, result, &answer)
                   : print(request, buf_str(&answer.body));
    *ret_more = !code && turn_page(request, buf_str(&answer.body));
    buf_wipe(&answer.body);
    transfer_answer_deinit(&answer);
    buf_free(&url);
    return code;
}

static int run_with(struct key_request *request, const char *token)
{
    bool more = true;
    struct interrupt interrupt;
    if (interrupt_init(&interrupt)) {
        perror("freshet key");
        return 1;
    }
    struct transfer *transfer = transfer_new(&interrupt, server_url_is_loopback(&request->url),
                                             &request->trust, ANSWER_MAX);
    int code = transfer ? 0 : 1;
    while (!code && more)
        code = ask(request, token, transfer, &more);
    transfer_free(transfer);
    interrupt_deinit(&interrupt);
    return code;
}

static int run(struct key_request *request)
{
    struct credential credential = {.file = request->token_file};
    struct buf why = {0};
    int result = credential_read(&credential, environment("FRESHET_TOKEN"), &why);
    if (result)
        fprintf(stderr, "freshet key: %.*s\n", STR_FMT(buf_str(&why)));
    int code = result ? 2 : run_with(request, credential.text);
    credential_deinit(&credential);
    buf_free(&why);
    return code;
}

/* Makes a key for the configuration. The key goes to standard output alone. */
static int generate(void)
{
    char text[KEY_TEXT_LEN + 2], digest_text[KEY_DIGEST_LEN + 1];
    struct key_digest digest;
    key_text_make(text, &digest);
    key_digest_write(&digest, digest_text);
    fprintf(stderr, "freshet key: in freshet.yaml this key is\n  key: %s\n", digest_text);
    text[KEY_TEXT_LEN] = '\n';
    int code = output_write("freshet key", (struct str){text, KEY_TEXT_LEN + 1});
    explicit_bzero(text, sizeof(text));
    return code;
}

int client_key(int argc, char **argv)
{
    struct buf why = {0};
    struct key_request request;
    const char *help = client_key_help_of(argc > 1 ? argv[1] : NULL);
    int result = key_read_arguments(argc - 1, argv + 1, environment("FRESHET_URL"), &request, &why);
    char hint[80];
    bool of_verb = help != client_key_help;
    snprintf(hint, sizeof(hint), "Try: freshet help key%s%s\n", of_verb ? " " : "",
             of_verb ? argv[1] : "");
    int code = result ? command_line_end(result, "freshet key", &why, help, hint)
               : request.verb == KEY_VERB_GENERATE ? generate()
                                                   : run(&request);
    key_request_deinit(&request);
    buf_free(&why);
    return code;
}
