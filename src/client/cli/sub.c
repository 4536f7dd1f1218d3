#include "client/cli/client.h"

#include "client/cli/printer.h"
#include "client/cli/sub.h"
#include "client/lib/record.h"

#include "base/command_line.h"
#include "base/environment.h"
#include "base/mem.h"
#include "base/rfc3339.h"
#include "http/token.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LAST_MAX = 1000, CHANNELS_MAX = 100, AS_MAX = 255 };

const char client_sub_help[] =
    "Usage: freshet sub CHANNEL... [options]\n\n"
    "Prints the events of channels and patterns (a/*, a/**), one line each, and goes on after a\n"
    "lost connection where it was. Gaps and goodbyes are told on standard error.\n\n"
    "  --via sse|ndjson|poll|ws  how events come (ndjson; ws for a wss:// URL)\n"
    "  --after ID|earliest|now|TIME\n"
    "                            begin after this position (now)\n"
    "  --last N                  begin with the newest N events, at most 1000\n"
    "  --type T                  only events of this type; may be repeated\n"
    "  --format event|data       the envelope as JSON, or the data alone (event)\n"
    "  --count N                 stop after N events\n"
    "  --as NAME                 be a member of this name where channels have presence, unless\n"
    "                            a credential says who you are\n"
    "  --url URL                 the server (FRESHET_URL, else "
    "http://127.0.0.1:7070)\n" CREDENTIAL_HELP TRUST_HELP;

/* ---- arguments ------------------------------------------------------------------------------- */

static int read_mechanism(const char *text, enum follow_mechanism *ret)
{
    static const char *const names[] = {[FOLLOW_SSE] = "sse",
                                        [FOLLOW_NDJSON] = "ndjson",
                                        [FOLLOW_POLL] = "poll",
                                        [FOLLOW_WS] = "ws"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], text) == 0) {
            *ret = (enum follow_mechanism)i;
            return 0;
        }
    }
    return -EINVAL;
}

static bool is_position(const char *after)
{
    int64_t time_us;
    struct str text = str_from(after);
    return record_is_cursor(text) || str_eq(text, STR("earliest")) || str_eq(text, STR("now")) ||
           rfc3339_parse(text, &time_us) == 0;
}

static int check_channels(const struct follow_names *channels, struct buf *why)
{
    if (!channels->count)
        return buf_refuse(why, "say which channel");
    if (channels->count > CHANNELS_MAX)
        return buf_refuse(why, "at most 100 channels or patterns");
    for (size_t i = 0; i < channels->count; i++)
        if (!channels->at[i][0] || channels->at[i][0] == '-')
            return buf_refuse(why, "a channel that is empty or begins with - is none");
    return 0;
}

static int check(const struct sub_arguments *arguments, const char *format, struct buf *why)
{
    const struct follow_wish *wish = &arguments->wish;
    if (check_channels(&wish->channels, why))
        return -EINVAL;
    if (format && strcmp(format, "event") != 0 && strcmp(format, "data") != 0)
        return buf_refuse(why, "--format is event or data");
    if (wish->as && (!wish->as[0] || strlen(wish->as) > AS_MAX))
        return buf_refuse(why, "--as takes a name of 1 to 255 bytes");
    if (wish->after && wish->last)
        return buf_refuse(why, "--after and --last exclude each other");
    if (wish->after && !is_position(wish->after))
        return buf_refuse(why, "--after is an id, earliest, now, or an RFC 3339 time");
    return trust_check(&wish->trust, why);
}

int sub_read_arguments(int argc, char **argv, const char *environment_url,
                       const char *environment_token, struct sub_arguments *ret, struct buf *why)
{
    struct follow_wish *wish = &ret->wish;
    const char *url = environment_url ? environment_url : SERVER_URL_DEFAULT;
    const char *mechanism = NULL, *format = NULL;
    const struct command_option options[] = {
        {.name = "via", .value = &mechanism},
        {.name = "after", .value = &wish->after},
        {.name = "last", .number = &wish->last, .most = LAST_MAX},
        {.name = "type", .list = &ret->types},
        {.name = "format", .value = &format},
        {.name = "count", .number = &ret->count, .most = UINT64_MAX},
        {.name = "as", .value = &wish->as},
        {.name = "url", .value = &url},
        CREDENTIAL_OPTIONS(&ret->credential),
        TRUST_OPTIONS(&wish->trust),
    };
    size_t count = sizeof(options) / sizeof(options[0]);
    int result = command_line_read(argc, argv, options, count, &ret->channels, why);
    wish->channels = (struct follow_names){ret->channels.at, ret->channels.count};
    wish->types = (struct follow_names){ret->types.at, ret->types.count};
    if (result)
        return result;
    if ((result = server_url_read(url, true, &wish->url, why)))
        return result;
    if (!mechanism)
        mechanism = wish->url.ws ? "ws" : "ndjson";
    if (read_mechanism(mechanism, &wish->mechanism))
        return buf_refuse(why, "--via is sse, ndjson, poll or ws");
    ret->data_only = format && strcmp(format, "data") == 0;
    result = check(ret, format, why);
    if (!result)
        result = credential_read(&ret->credential, environment_token, why);
    wish->token = ret->credential.text;
    return result;
}

/* ---- running --------------------------------------------------------------------------------- */

static void tell(void *owner, const char *name, struct str object)
{
    struct buf line = {0};
    (void)owner;
    record_add_control(&line, name, object);
    fprintf(stderr, "%.*s\n", STR_FMT(buf_str(&line)));
    buf_free(&line);
}

static void lost(void *owner, struct str why, uint64_t wait_ms)
{
    (void)owner;
    fprintf(stderr, "freshet sub: %.*s; trying again in %llu.%llu s\n", STR_FMT(why),
            (unsigned long long)(wait_ms / 1000), (unsigned long long)(wait_ms % 1000 / 100));
}

static int run(const struct follow_wish *wish, struct printer *printer)
{
    struct buf why = {0};
    const struct follow_sink sink = {.owner = printer,
                                     .take = printer_take,
                                     .pause = printer_pause,
                                     .tell = tell,
                                     .lost = lost,
                                     .watched_fd = printer->fd};
    int result = follow_run(wish, &sink, printer->interrupt, &why);
    if (result)
        fprintf(stderr, "freshet sub: %.*s: %.*s\n", STR_FMT(wish->url.text),
                STR_FMT(buf_str(&why)));
    buf_free(&why);
    return result ? 1 : 0;
}

static int run_with(const struct sub_arguments *arguments)
{
    struct interrupt interrupt;
    if (interrupt_init(&interrupt)) {
        perror("freshet sub");
        return 1;
    }
    struct printer printer = {.fd = STDOUT_FILENO,
                              .is_terminal = isatty(STDOUT_FILENO) == 1,
                              .data_only = arguments->data_only,
                              .count_max = arguments->count,
                              .interrupt = &interrupt};
    int code = run(&arguments->wish, &printer);
    if (printer.error) {
        fprintf(stderr, "freshet sub: standard output: %s\n", strerror(-printer.error));
        code = 1;
    }
    printer_deinit(&printer);
    interrupt_deinit(&interrupt);
    return code;
}

int client_sub(int argc, char **argv)
{
    struct buf why = {0};
    struct sub_arguments arguments = {0};
    size_t room = (size_t)argc * sizeof(char *);
    arguments.channels.at = mem_alloc(room);
    arguments.types.at = mem_alloc(room);
    int result = sub_read_arguments(argc, argv, environment("FRESHET_URL"),
                                    environment("FRESHET_TOKEN"), &arguments, &why);
    int code = result ? command_line_end(result, "freshet sub", &why, client_sub_help,
                                         "Try: freshet help sub\n")
                      : run_with(&arguments);
    credential_deinit(&arguments.credential);
    free(arguments.channels.at);
    free(arguments.types.at);
    buf_free(&why);
    return code;
}
