#include "client/command_line.h"

#include "http/token.h"

#include <errno.h>

static const struct command_option *find(const struct command_option *options, size_t count,
                                         struct str name)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(str_from(options[i].name), name))
            return &options[i];
    return NULL;
}

static int refuse(struct buf *why, const char *format, const char *name)
{
    buf_addf(why, "--%s %s", name, format);
    return -EINVAL;
}

static int take(const struct command_option *option, const char *value, struct buf *why)
{
    if (option->value)
        *option->value = value;
    else if (option->list)
        option->list->at[option->list->count++] = value;
    else if (http_number(str_from(value), option->number) ||
             *option->number < (option->zero ? 0 : 1) || *option->number > option->most)
        return refuse(why,
                      option->zero ? "takes a number, and not too large a one"
                                   : "takes a number, at least 1 and not too large",
                      option->name);
    return 0;
}

/* One argument that begins with `--`; `*at` is its place and moves on when it takes the next. */
static int read_option(int argc, char **argv, int *at, const struct command_option *options,
                       size_t count, struct buf *why)
{
    struct str rest = str_from(argv[*at] + 2);
    struct str name = str_cut(&rest, '=');
    const struct command_option *option = find(options, count, name);
    if (!option) {
        buf_addf(why, "there is no option --%.*s", STR_FMT(name));
        return -EINVAL;
    }
    if (option->flag) {
        *option->flag = true;
        return rest.at ? refuse(why, "takes no value", option->name) : 0;
    }
    if (rest.at)
        return take(option, rest.at, why);
    if (*at + 1 >= argc)
        return refuse(why, "needs a value", option->name);
    return take(option, argv[++*at], why);
}

int command_line_read(int argc, char **argv, const struct command_option *options, size_t count,
                      struct command_list *positionals, struct buf *why)
{
    bool only_positionals = false;
    int result = 0;
    for (int i = 1; i < argc && !result; i++) {
        bool dashes = strncmp(argv[i], "--", 2) == 0;
        if (only_positionals || !dashes)
            positionals->at[positionals->count++] = argv[i];
        else if (argv[i][2] == '\0')
            only_positionals = true;
        else
            result = read_option(argc, argv, &i, options, count, why);
    }
    return result;
}
