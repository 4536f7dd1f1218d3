#include "http/cookie.h"

static struct str without_quotes(struct str value)
{
    bool quoted = value.len >= 2 && value.at[0] == '"' && value.at[value.len - 1] == '"';
    return quoted ? (struct str){value.at + 1, value.len - 2} : value;
}

struct str http_cookie(const struct http_fields *fields, struct str name)
{
    struct str line;
    for (size_t pos = 0; http_fields_next(fields, STR("cookie"), &pos, &line);)
        while (line.at) {
            struct str value = str_cut(&line, ';');
            struct str own = str_trim(str_cut(&value, '='));
            if (value.at && str_eq(own, name))
                return without_quotes(str_trim(value));
        }
    return STR_NONE;
}
