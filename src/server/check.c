#include "server/check.h"

#include "base/command_line.h"
#include "server/config.h"

#include <stdio.h>

const char check_help[] =
    "usage: freshet check --config FILE [options of freshet serve]\n\n"
    "Reads the configuration file, the options and the environment as freshet serve does, and\n"
    "says what is wrong with them, each with its line. Starts nothing.\n\n"
    "Exit codes: 0 the server would accept all of it, 2 something is wrong.\n";

static int end(int result, const struct faults *faults, const struct config *config)
{
    if (result == COMMAND_LINE_HELP)
        return fputs(check_help, stdout) < 0;
    if (result) {
        faults_print(faults, "freshet check");
        fprintf(stderr, "Try: freshet help configuration\n");
        return 2;
    }
    printf("ok: listen=%s %s%s namespaces=%zu sources=%zu\n", config_listen(config),
           config->memory ? "memory" : "data=",
           config->memory ? ""
           : config->data ? config->data
                          : "freshet-data",
           config->spaces_count, config->sources_count);
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
