#include "server/check.h"

#include "base/command_line.h"
#include "webhooks/progress/registry.h"
#include "log/store/sqlite/trouble.h"
#include "server/config.h"

#include <stdio.h>
#include <unistd.h>

const char check_help[] =
    "Usage: freshet check --config FILE [options of freshet serve]\n\n"
    "Reads the configuration file, the options and the environment as freshet serve does, and\n"
    "says what is wrong with them, each with its line. If the folder of the data is there, says\n"
    "what of it a server could not open. Starts nothing and changes nothing.\n\n"
    "Exit codes: 0 the server would accept all of it, 2 something is wrong.\n";

static const char *data_dir(const struct config *config)
{
    return config->data ? config->data : "freshet-data";
}

/* The rights of this user say little about those of the user that runs the server. */
static bool is_wrong(enum trouble_kind kind)
{
    return kind == TROUBLE_NEWER || kind == TROUBLE_DAMAGED || kind == TROUBLE_NO_FOLDER ||
           kind == TROUBLE_NO_PLAIN_FILE || kind == TROUBLE_UNFINISHED;
}

/* Reports trouble with the folder. Returns 2 if no server could open it. */
static int survey(const struct config *config)
{
    struct trouble trouble = {.known_webhooks = REGISTRY_VERSION};
    struct buf text = {0};
    if (config->memory || trouble_survey(&trouble, data_dir(config)) == TROUBLE_NONE)
        return 0;
    trouble_add(&text, &trouble, data_dir(config));
    fprintf(stderr, "freshet check: %.*s\n", STR_FMT(buf_str(&text)));
    buf_free(&text);
    return is_wrong(trouble.kind) ? 2 : 0;
}

/* A file of the usual name is easily taken for the one that was checked. */
static void tell_of_unread_file(const struct config *config)
{
    if (!config->path && access("freshet.yaml", F_OK) == 0)
        fprintf(stderr, "freshet check: freshet.yaml of this folder was not read: name it by "
                        "--config freshet.yaml\n");
}

static int end(int result, const struct faults *faults, const struct config *config)
{
    if (result == COMMAND_LINE_HELP)
        return fputs(check_help, stdout) < 0;
    if (result) {
        faults_print(faults, "freshet check");
        fprintf(stderr, "Try: freshet help configuration\n");
        return 2;
    }
    tell_of_unread_file(config);
    if (survey(config))
        return 2;
    printf("ok: listen=%s%s %s%s namespaces=%zu sources=%zu\n",
           config->listen_count ? config->listen[0].address : LISTENING_DEFAULT,
           config->listen_count > 1 ? ",…" : "",
           config->memory ? "memory" : "data=", config->memory ? "" : data_dir(config),
           config->namespaces_count, config->sources_count);
    return 0;
}

int check_main(int argc, char **argv)
{
    struct config config;
    struct faults faults = {0};
    config_init(&config);
    int code = end(config_options(&config, argc, argv, &faults), &faults, &config);
    config_free(&config);
    faults_free(&faults);
    return code;
}
