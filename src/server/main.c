/* freshet: the command line. */
#include "base/command_line.h"
#include "base/nearest.h"
#include "bench/bench.h"
#include "client/cli/client.h"
#include "client/cli/output.h"
#include "server/check.h"
#include "server/init.h"
#include "server/keys.h"
#include "server/repair.h"
#include "server/serve.h"
#include "server/token_command.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static const char overview[] =
    "freshet " FRESHET_VERSION
    ": publish an event once; it reaches every consumer by HTTP streaming,\n"
    "long-polling, WebSocket or webhook.\n\nUsage: freshet COMMAND …\n\n"
    "  freshet init       write a configuration with rules and a fresh key\n"
    "  freshet serve      run the server\n"
    "  freshet check      say whether a configuration is right\n"
    "  freshet repair     set damaged files of the data aside, and say what is lost\n"
    "  freshet pub        publish events\n"
    "  freshet sub        receive events\n"
    "  freshet presence   show who is on a channel\n"
    "  freshet webhook    register webhooks, look after them, try them out\n"
    "  freshet key        make, list and revoke API keys\n"
    "  freshet token      make tokens for clients, and explain them\n"
    "  freshet bench      measure a running server\n"
    "  freshet version    print the version\n"
    "  freshet help CMD   tell more of a command\n";

static const char version_help[] = "Usage: freshet version\n\nPrints the version.\n";
static const char help_help[] = "Usage: freshet help [COMMAND | configuration]\n\n"
                                "Tells what a command does, or which keys the configuration has.\n";

static bool asks_for_help(int argc, char **argv)
{
    return argc > 1 && command_line_is_help(argv[1]);
}

static int version(int argc, char **argv)
{
    if (asks_for_help(argc, argv)) {
        fputs(version_help, stdout);
        return 0;
    }
    if (argc > 1) {
        fprintf(stderr, "freshet version: \"%s\" is one word too many\nTry: freshet help version\n",
                argv[1]);
        return 2;
    }
    puts("freshet " FRESHET_VERSION);
    return 0;
}

static int help(int argc, char **argv);

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {.name = "init", .run = init_main, .help = init_help},
    {.name = "serve", .run = serve_main, .help = serve_help},
    {.name = "check", .run = check_main, .help = check_help},
    {.name = "repair", .run = repair_main, .help = repair_help},
    {.name = "pub", .run = client_pub, .help = client_pub_help},
    {.name = "sub", .run = client_sub, .help = client_sub_help},
    {.name = "presence", .run = client_presence, .help = client_presence_help},
    {.name = "webhook", .run = client_webhook, .help = client_webhook_help},
    {.name = "key", .run = client_key, .help = client_key_help},
    {.name = "token", .run = token_main, .help = token_help},
    {.name = "bench", .run = bench_main, .help = bench_help},
    {.name = "version", .run = version, .help = version_help},
    {.name = "help", .run = help, .help = help_help},
};

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* Says that there is no such command, and which one was probably meant; else all there are. */
static int refuse_command(const char *name)
{
    struct nearest nearest = {.name = str_from(name)};
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        nearest_offer(&nearest, str_from(commands[i].name));
    fprintf(stderr, "freshet: no command is called \"%s\"", name);
    if (nearest.best.len)
        fprintf(stderr, ": did you mean freshet %.*s?\nTry: freshet help\n", STR_FMT(nearest.best));
    else
        fprintf(stderr, "\n\n%s", overview);
    return 2;
}

static const char *help_of(const struct command *command, const char *verb)
{
    if (command->run == client_webhook)
        return client_webhook_help_of(verb);
    return command->run == client_key ? client_key_help_of(verb) : command->help;
}

static int print_keys(void)
{
    struct buf text = {0};
    keys_print(&text);
    int code = output_write("freshet", buf_str(&text));
    buf_free(&text);
    return code;
}

static int help(int argc, char **argv)
{
    const char *name = asks_for_help(argc, argv) ? "help" : argc > 1 ? argv[1] : NULL;
    const struct command *command = name ? find(name) : NULL;
    if (name && strcmp(name, "configuration") == 0)
        return print_keys();
    if (name && !command)
        return refuse_command(name);
    fputs(command ? help_of(command, argc > 2 ? argv[2] : NULL) : overview, stdout);
    return 0;
}

/* Opens /dev/null in place of standard streams that are closed. Otherwise the next socket or file
 * would get their descriptor, and with it the output for people. The replacement can neither be
 * read nor written, so that a command still notices that its output is lost. */
static int open_standard_streams(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd)
            return -1;
    return 0;
}

int main(int argc, char **argv)
{
    if (open_standard_streams())
        return 1;
    if (asks_for_help(argc, argv)) {
        fputs(overview, stdout);
        return output_end("freshet", 0);
    }
    if (argc > 1 && strcmp(argv[1], "--version") == 0)
        return output_end("freshet", version(0, NULL));
    const struct command *command = argc > 1 ? find(argv[1]) : NULL;
    if (!command && argc > 1)
        return refuse_command(argv[1]);
    if (!command) {
        fputs(overview, stderr);
        return 2;
    }
    return output_end("freshet", command->run(argc - 1, argv + 1));
}
