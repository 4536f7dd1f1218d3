#include "client/options.h"

#include "http/target.h"

#include <stdio.h>
#include <stdlib.h>

static const struct option_spec *find(const struct option_spec *specs, const char *name)
{
    for (; specs->name; specs++)
        if (strcmp(specs->name, name) == 0)
            return specs;
    return NULL;
}

static int complain(const char *command, const char *word, const char *what)
{
    fprintf(stderr, "freshet %s: %s %s\nTry: freshet help %s\n", command, word, what, command);
    return -1;
}

static bool take(const struct option_spec *spec, const char *value)
{
    if (spec->value)
        *spec->value = value;
    else if (*spec->count < OPTIONS_LIST_MAX)
        spec->list[(*spec->count)++] = value;
    else
        return false;
    return true;
}

int options_read(int argc, char **argv, const struct option_spec *specs, const char **words,
                 int words_max)
{
    int count = 0;
    for (int i = 1; i < argc; i++) {
        const struct option_spec *spec = find(specs, argv[i]);
        if (!spec && argv[i][0] == '-' && argv[i][1])
            return complain(argv[0], argv[i], "is not a flag");
        if (!spec && count == words_max)
            return complain(argv[0], argv[i], "is one word too many");
        if (!spec)
            words[count++] = argv[i];
        else if (spec->set)
            *spec->set = true;
        else if (++i == argc || !take(spec, argv[i]))
            return complain(argv[0], argv[i - 1], "wants a value");
    }
    return count;
}

struct str options_url(const char *given)
{
    const char *url = given ? given : getenv("FRESHET_URL");
    struct str text = str_from(url ? url : "http://127.0.0.1:7070");
    while (text.len && text.at[text.len - 1] == '/')
        text.len--;
    return text;
}

void options_add_path(struct buf *out, const char *channel)
{
    struct str rest = str_from(channel);
    while (rest.at) {
        buf_add_char(out, '/');
        http_percent_encode(out, str_cut(&rest, '/'));
    }
}
