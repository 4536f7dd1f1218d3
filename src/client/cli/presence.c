/* The list comes in pages; what changes behind it is followed as `freshet sub` follows channels,
 * from the cursor of the first page on. */
#include "client/cli/presence.h"

#include "base/command_line.h"
#include "base/environment.h"
#include "base/json.h"
#include "base/mem.h"
#include "client/cli/answer.h"
#include "client/cli/client.h"
#include "client/cli/output.h"
#include "client/cli/printer.h"
#include "client/lib/follow.h"
#include "client/lib/transfer.h"
#include "http/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ANSWER_MAX = 16 << 20, QUIET_MS = 60000, GRACE_MS = 2000, CURSOR_MAX = 32 };

const char client_presence_help[] =
    "Usage: freshet presence CHANNEL [options]\n\n"
    "Prints who is on a channel, one line of JSON each, and then each change as the event that\n"
    "tells it: joined, left, updated, read and count; reset: ask for the list anew.\n\n"
    "  --once     stop behind the list\n"
    "  --url URL  the server (FRESHET_URL, else http://127.0.0.1:7070)\n" CREDENTIAL_HELP
    "      it takes `presence` on the channel\n" TRUST_HELP;

/* ---- arguments ------------------------------------------------------------------------------- */

static int check(const struct presence_arguments *arguments, size_t channels, struct buf *why)
{
    if (channels != 1)
        return buf_refuse(why, "say one channel");
    if (!arguments->channel[0] || arguments->channel[0] == '-' ||
        server_url_is_pattern(str_from(arguments->channel)))
        return buf_refuse(why, "say a channel by its name: patterns have no members");
    return trust_check(&arguments->trust, why);
}

int presence_read_arguments(int argc, char **argv, const char *environment_url,
                            const char *environment_token, struct presence_arguments *ret,
                            struct buf *why)
{
    const char *url = environment_url ? environment_url : SERVER_URL_DEFAULT;
    struct command_list channels = {.at = mem_alloc((size_t)argc * sizeof(char *))};
    *ret = (struct presence_arguments){0};
    const struct command_option options[] = {
        {.name = "once", .flag = &ret->once},
        {.name = "url", .value = &url},
        CREDENTIAL_OPTIONS(&ret->credential),
        TRUST_OPTIONS(&ret->trust),
    };
    int result = command_line_read(argc, argv, options, sizeof(options) / sizeof(options[0]),
                                   &channels, why);
    ret->channel = channels.count ? channels.at[0] : NULL;
    size_t count = channels.count;
    free(channels.at);
    if (result)
        return result;
    if ((result = server_url_read(url, true, &ret->url, why)))
        return result;
    result = check(ret, count, why);
    return result ? result : credential_read(&ret->credential, environment_token, why);
}

/* ---- the list -------------------------------------------------------------------------------- */

bool presence_add_page(struct buf *out, struct str channel, struct str last_member)
{
    struct buf name = {0};
    struct str rest = channel;
    buf_add_lit(out, "/presence");
    while (rest.at) {
        buf_add_char(out, '/');
        http_percent_encode(out, str_cut(&rest, '/'));
    }
    buf_add_lit(out, "?limit=1000");
    if (!last_member.len)
        return true;
    bool good = json_unescape(json_find(last_member, STR("member")), &name) == 0;
    server_url_add_query(out, "after_member", buf_str(&name));
    server_url_add_query(out, "after_verified", json_find(last_member, STR("verified")));
    buf_free(&name);
    return good;
}

/* A reader of pages. */
struct listing {
    const struct presence_arguments *arguments;
    struct transfer *transfer;
    char cursor[CURSOR_MAX]; /* of the first page; empty: not read yet */
    struct buf last;         /* the last member, as JSON */
    bool more;
};

static struct str last_of(struct str list)
{
    struct str key, value, last = STR_NONE;
    for (size_t pos = 0; list.len && json_next(list, &pos, &key, &value);)
        last = value;
    return last;
}

static void keep_cursor(struct listing *listing, struct str raw)
{
    struct buf text = {0};
    if (!listing->cursor[0] && json_unescape(raw, &text) == 0 && text.len < CURSOR_MAX)
        memcpy(listing->cursor, text.at, text.len);
    buf_free(&text);
}

static int take_page(struct listing *listing, struct str body)
{
    struct buf out = {0};
    struct str members = STR("members");
    if (json_check(body, JSON_DEPTH_LIMIT, NULL)) {
        fprintf(stderr, "freshet presence: the server's answer is not JSON\n");
        return 1;
    }
    struct str last = last_of(json_find(body, members));
    listing->more = last.len && str_eq(json_find(body, STR("more")), STR("true"));
    keep_cursor(listing, json_find(body, STR("cursor")));
    answer_add_elements(&out, body, members, NULL, 0);
    buf_clear(&listing->last);
    buf_add_str(&listing->last, last);
    int code = buf_failed(&out) || buf_failed(&listing->last)
                   ? 1
                   : output_write("freshet presence", buf_str(&out));
    buf_free(&out);
    return code;
}

static int ask(struct listing *listing)
{
    const struct presence_arguments *arguments = listing->arguments;
    struct buf url = {0};
    struct transfer_answer answer = {0};
    server_url_add(&url, &arguments->url);
    bool good = presence_add_page(&url, str_from(arguments->channel), buf_str(&listing->last));
    buf_add_char(&url, '\0');
    const struct transfer_request http = {.url = url.at,
                                          .token = arguments->credential.text,
                                          .quiet_ms = QUIET_MS,
                                          .grace_ms = GRACE_MS,
                                          .watched_fd = -1};
    int result = !good || buf_failed(&url) ? TRANSFER_E_BROKEN
                                           : transfer_run(listing->transfer, &http, &answer);
    int code = result || answer.status != 200
                   ? answer_explain("presence", arguments->url.text, result, &answer)
                   : take_page(listing, buf_str(&answer.body));
    transfer_answer_deinit(&answer);
    buf_free(&url);
    return code;
}

static int list(struct listing *listing, const struct interrupt *interrupt)
{
    const struct presence_arguments *arguments = listing->arguments;
    int code = 1;
    listing->transfer = transfer_new(interrupt, server_url_is_loopback(&arguments->url),
                                     &arguments->trust, ANSWER_MAX);
    if (listing->transfer)
        do
            code = ask(listing);
        while (!code && listing->more);
    transfer_free(listing->transfer);
    buf_free(&listing->last);
    return code;
}

/* ---- following ------------------------------------------------------------------------------- */

static void tell(void *owner, const char *name, struct str object)
{
    (void)owner;
    (void)object;
    if (strcmp(name, "$gap") == 0)
        fprintf(stderr, "freshet presence: some changes are gone: ask for the list anew\n");
}

static void lost(void *owner, struct str why, uint64_t wait_ms)
{
    (void)owner;
    fprintf(stderr, "freshet presence: %.*s; trying again in %llu.%llu s\n", STR_FMT(why),
            (unsigned long long)(wait_ms / 1000), (unsigned long long)(wait_ms % 1000 / 100));
}

static int follow(const struct presence_arguments *arguments, const char *cursor,
                  const struct interrupt *interrupt)
{
    struct printer printer = {
        .fd = STDOUT_FILENO, .is_terminal = isatty(STDOUT_FILENO) == 1, .interrupt = interrupt};
    struct buf channel = {0}, why = {0};
    buf_addf(&channel, "$presence/%s", arguments->channel);
    buf_add_char(&channel, '\0');
    const char *names[] = {channel.at};
    const struct follow_wish wish = {.url = arguments->url,
                                     .trust = arguments->trust,
                                     .token = arguments->credential.text,
                                     .mechanism = arguments->url.ws ? FOLLOW_WS : FOLLOW_NDJSON,
                                     .channels = {names, 1},
                                     .after = cursor[0] ? cursor : NULL};
    const struct follow_sink sink = {.owner = &printer,
                                     .take = printer_take,
                                     .pause = printer_pause,
                                     .tell = tell,
                                     .lost = lost,
                                     .watched_fd = STDOUT_FILENO};
    int result = buf_failed(&channel) ? -ENOMEM : follow_run(&wish, &sink, interrupt, &why);
    if (result)
        fprintf(stderr, "freshet presence: %.*s: %.*s\n", STR_FMT(arguments->url.text),
                STR_FMT(buf_str(&why)));
    printer_deinit(&printer);
    buf_free(&channel);
    buf_free(&why);
    return result ? 1 : 0;
}

static int run(const struct presence_arguments *arguments)
{
    struct interrupt interrupt;
    struct listing listing = {.arguments = arguments};
    if (interrupt_init(&interrupt)) {
        perror("freshet presence");
        return 1;
    }
    int code = list(&listing, &interrupt);
    if (!code && !arguments->once)
        code = follow(arguments, listing.cursor, &interrupt);
    interrupt_deinit(&interrupt);
    return code;
}

int client_presence(int argc, char **argv)
{
    struct buf why = {0};
    struct presence_arguments arguments;
    int result = presence_read_arguments(argc, argv, environment("FRESHET_URL"),
                                         environment("FRESHET_TOKEN"), &arguments, &why);
    int code = result ? command_line_end(result, "freshet presence", &why, client_presence_help,
                                         "Try: freshet help presence\n")
                      : run(&arguments);
    credential_deinit(&arguments.credential);
    buf_free(&why);
    return code;
}
