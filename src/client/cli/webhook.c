#include "client/cli/client.h"

#include "client/cli/answer.h"
#include "client/cli/output.h"
#include "client/lib/record.h"
#include "client/lib/transfer.h"
#include "client/cli/webhook_listen.h"
#include "client/cli/webhook_request.h"

#include "base/command_line.h"
#include "base/environment.h"
#include "base/json.h"
#include "base/visible.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ANSWER_MAX = 16 << 20, QUIET_MS = 60000, GRACE_MS = 2000 };

const char client_webhook_help[] =
    "Usage: freshet webhook VERB ...\n\n"
    "  add URL CHANNEL...    register a webhook\n"
    "  ls                    list them\n"
    "  show ID               one of them, as JSON\n"
    "  deliveries ID         its delivery log\n"
    "  pause ID, resume ID   stop and go on; no event is lost\n"
    "  ping ID               try whether it answers\n"
    "  rotate ID             a new secret\n"
    "  replay ID --after X   deliver again from a position or a time\n"
    "  retry ID [DELIVERY]   try one delivery again, or all that failed\n"
    "  rm ID                 delete it\n"
    "  listen                a local receiver that verifies and prints what comes\n\n"
    "freshet webhook VERB --help tells more. Exit codes: 0 fine, 1 the server cannot be reached\n"
    "or refuses, 2 wrong usage.\n";

const char *client_webhook_help_of(const char *verb)
{
    const char *help = NULL;
    if (verb)
        help = strcmp(verb, "listen") == 0 ? webhook_listen_help : webhook_verb_help(verb);
    return help ? help : client_webhook_help;
}

/* ---- printing -------------------------------------------------------------------------------- */

static const struct str columns[] = {
    {"id", 2}, {"state", 5}, {"lag", 3}, {"url", 3}, {"channels", 8}};

static void add_answer(struct buf *out, struct str body)
{
    while (body.len && strchr(" \t\r\n", body.at[body.len - 1]))
        body.len--;
    size_t start = out->len;
    buf_add_str(out, body);
    if (buf_failed(out))
        return;
    json_one_line(buf_from(out, start), body.len);
    if (body.len)
        buf_add_char(out, '\n');
}

static void print_instead(struct str answer)
{
    struct buf out = {0};
    visible_add(&out, answer);
    fprintf(stderr,
            "freshet webhook: it was done, and the answer, of which a secret is not given again, "
            "is\n%.*s",
            STR_FMT(buf_str(&out)));
    buf_free(&out);
}

static int print(const struct webhook_request *request, struct str body)
{
    struct buf out = {0};
    bool good = request->show == WEBHOOK_SHOW_NOTHING || !body.len ||
                !json_check(body, JSON_DEPTH_LIMIT, NULL);
    if (!good)
        fprintf(stderr, "freshet webhook: the server's answer is not JSON\n");
    else if (request->show == WEBHOOK_SHOW_ANSWER)
        add_answer(&out, body);
    else if (request->show == WEBHOOK_SHOW_WEBHOOKS)
        answer_add_elements(&out, body, STR("webhooks"), request->json ? NULL : columns,
                            sizeof(columns) / sizeof(columns[0]));
    else if (request->show == WEBHOOK_SHOW_DELIVERIES)
        answer_add_elements(&out, body, STR("deliveries"), NULL, 0);
    good = good && !buf_failed(&out);
    int code = good ? output_write("freshet webhook", buf_str(&out)) : 1;
    if (code && good && strcmp(request->method, "POST") == 0)
        print_instead(buf_str(&out));
    buf_free(&out);
    return code;
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* Reads the query of the next page, for answers in pages; empty after the last. */
static void read_next(const struct webhook_request *request, struct str body, struct buf *ret)
{
    struct str next = json_find(body, STR("next"));
    buf_clear(ret);
    if (request->show == WEBHOOK_SHOW_DELIVERIES &&
        str_eq(json_find(body, STR("more")), STR("true")) && json_unescape(next, ret))
        buf_clear(ret);
}

/* Asks for a page, or for the whole answer if it has no pages. */
static int ask(const struct webhook_request *request, struct transfer *transfer, struct buf *next)
{
    struct buf url = {0};
    struct transfer_answer answer = {0};
    bool post = strcmp(request->method, "POST") == 0;
    struct str path = buf_str(&request->path);
    server_url_add(&url, &request->url);
    buf_add_str(&url, next->len ? str_cut(&path, '?') : path);
    buf_add_str(&url, buf_str(next));
    buf_add_char(&url, '\0');
    const struct transfer_request http = {
        .url = url.at,
        .post = post,
        .method = strcmp(request->method, "DELETE") == 0 ? request->method : NULL,
        .body = buf_str(&request->body),
        .content_type = "application/json",
        .token = request->token,
        .quiet_ms = QUIET_MS,
        .grace_ms = GRACE_MS,
        .watched_fd = -1};
    int result = buf_failed(&url) ? TRANSFER_E_BROKEN : transfer_run(transfer, &http, &answer);
    int code = result || answer.status < 200 || answer.status > 299
                   ? answer_explain("webhook", request->url.text, result, &answer)
                   : print(request, buf_str(&answer.body));
    read_next(request, code ? STR("") : buf_str(&answer.body), next);
    transfer_answer_deinit(&answer);
    buf_free(&url);
    return code;
}

static int run_with(const struct webhook_request *request)
{
    struct interrupt interrupt;
    if (interrupt_init(&interrupt)) {
        perror("freshet webhook");
        return 1;
    }
    struct transfer *transfer = transfer_new(&interrupt, server_url_is_loopback(&request->url),
                                             &request->trust, ANSWER_MAX);
    struct buf next = {0};
    int code = 1;
    if (transfer)
        while (!(code = ask(request, transfer, &next)) && next.len)
            ;
    buf_free(&next);
    transfer_free(transfer);
    interrupt_deinit(&interrupt);
    return code;
}

int client_webhook(int argc, char **argv)
{
    struct buf why = {0};
    struct webhook_request request;
    const char *verb = argc > 1 ? argv[1] : NULL;
    const char *help = client_webhook_help_of(verb);
    if (verb && strcmp(verb, "listen") == 0)
        return webhook_listen(argc - 1, argv + 1);
    int result = webhook_read_arguments(argc - 1, argv + 1, environment("FRESHET_URL"),
                                        environment("FRESHET_TOKEN"), &request, &why);
    char hint[80];
    bool of_verb = help != client_webhook_help;
    snprintf(hint, sizeof(hint), "Try: freshet help webhook%s%s\n", of_verb ? " " : "",
             of_verb ? argv[1] : "");
    int code =
        result ? command_line_end(result, "freshet webhook", &why, help, hint) : run_with(&request);
    webhook_request_deinit(&request);
    buf_free(&why);
    return code;
}
