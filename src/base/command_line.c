#include "base/command_line.h"

#include "base/nearest.h"

#include <errno.h>
#include <stdio.h>

enum { EXIT_USAGE = 2 };

struct reading {
    int argc;
    char **argv;
    int at; /* index of the current argument */
    const struct command_option *options;
    size_t count;
    uint64_t given; /* bit n: option n was given */
    struct buf *why;
};

static const struct command_option *find(const struct reading *reading, struct str name)
{
    for (size_t i = 0; i < reading->count; i++)
        if (str_eq(str_from(reading->options[i].name), name))
            return &reading->options[i];
    return NULL;
}

static int refuse(struct buf *why, const char *format, const char *name)
{
    buf_addf(why, "--%s %s", name, format);
    return -EINVAL;
}

static int refuse_unknown(const struct reading *reading, struct str name)
{
    struct nearest nearest = {.name = name};
    for (size_t i = 0; i < reading->count; i++)
        nearest_offer(&nearest, str_from(reading->options[i].name));
    buf_addf(reading->why, "there is no option --%.*s", STR_FMT(name));
    if (nearest.best.len)
        buf_addf(reading->why, ": did you mean --%.*s?", STR_FMT(nearest.best));
    return -EINVAL;
}

static int take_number(const struct command_option *option, const char *value, struct buf *why)
{
    uint64_t number = 0, least = option->zero ? 0 : 1;
    if (!number_read(str_from(value), &number) && number >= least && number <= option->most) {
        *option->number = number;
        return 0;
    }
    buf_addf(why, "--%s takes a whole number from %u to %llu, as in --%s=%u; \"%s\" is none",
             option->name, (unsigned)least, (unsigned long long)option->most, option->name,
             option->most < 10 ? 1U : 10U, value);
    return -EINVAL;
}

static int take(struct reading *reading, const struct command_option *option, const char *value)
{
    uint64_t bit = UINT64_C(1) << (option - reading->options);
    if (option->list) {
        option->list->at[option->list->count++] = value;
        return 0;
    }
    if (reading->given & bit)
        return refuse(reading->why, "is given twice", option->name);
    reading->given |= bit;
    if (option->number)
        return take_number(option, value, reading->why);
    *option->value = value;
    return 0;
}

/* Reads the current argument, which begins with `--`, and the next one too if that is its value. */
static int read_option(struct reading *reading)
{
    struct str rest = str_from(reading->argv[reading->at] + 2);
    struct str name = str_cut(&rest, '=');
    const struct command_option *option = find(reading, name);
    if (!option)
        return refuse_unknown(reading, name);
    if (option->flag) {
        *option->flag = true;
        return rest.at ? refuse(reading->why, "takes no value", option->name) : 0;
    }
    if (rest.at)
        return take(reading, option, rest.at);
    if (reading->at + 1 >= reading->argc)
        return refuse(reading->why, "needs a value", option->name);
    return take(reading, option, reading->argv[++reading->at]);
}

bool command_line_is_help(const char *argument)
{
    return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

static int read_argument(struct reading *reading, struct command_list *positionals)
{
    const char *argument = reading->argv[reading->at];
    if (command_line_is_help(argument))
        return COMMAND_LINE_HELP;
    if (strncmp(argument, "--", 2) == 0)
        return read_option(reading);
    positionals->at[positionals->count++] = argument;
    return 0;
}

int command_line_read(int argc, char **argv, const struct command_option *options, size_t count,
                      struct command_list *positionals, struct buf *why)
{
    struct reading reading = {argc, argv, 1, options, count, 0, why};
    int result = 0;
    for (; reading.at < argc && !result; reading.at++) {
        if (strcmp(argv[reading.at], "--") == 0)
            break;
        result = read_argument(&reading, positionals);
    }
    if (result)
        return result;
    while (++reading.at < argc) {
        positionals->at[positionals->count++] = argv[reading.at];
        positionals->behind++;
    }
    return 0;
}

int command_line_end(int result, const char *command, const struct buf *why, const char *help,
                     const char *hint)
{
    if (result == COMMAND_LINE_HELP) {
        fputs(help, stdout);
        return 0;
    }
    fprintf(stderr, "%s: %.*s\n%s%s", command, STR_FMT(buf_str(why)), hint == help ? "\n" : "",
            hint);
    return EXIT_USAGE;
}
