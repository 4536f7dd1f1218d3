#include "http/media.h"

#include "http/token.h"

#include <errno.h>

int http_media_parse(struct str text, struct http_media *ret)
{
    struct http_media media = {0};
    struct str name, value;
    int more;
    text = str_trim(text);
    size_t type_len = http_token_len(text);
    struct str rest_of_type = str_skip(text, type_len);
    if (!type_len || !rest_of_type.len || rest_of_type.at[0] != '/')
        return -EINVAL;
    size_t subtype_len = http_token_len(str_skip(rest_of_type, 1));
    size_t len = type_len + 1 + subtype_len;
    char after = len < text.len ? text.at[len] : ';';
    if (!subtype_len || (after != ';' && after != ' ' && after != '\t'))
        return -EINVAL;
    media.full = (struct str){text.at, len};
    media.type = (struct str){text.at, type_len};
    media.subtype = (struct str){text.at + type_len + 1, subtype_len};
    media.params = str_trim(str_skip(text, len));
    for (struct str rest = media.params; (more = http_param_next(&rest, &name, &value));)
        if (more < 0 || !value.at)
            return -EINVAL;
    *ret = media;
    return 0;
}

struct str http_media_param(const struct http_media *media, struct str lowercase_name)
{
    struct str rest = media->params, name, value;
    while (http_param_next(&rest, &name, &value) > 0)
        if (str_eq_nocase(name, lowercase_name))
            return value;
    return STR_NONE;
}

bool http_media_is_special_json(const struct http_media *media)
{
    struct str subtype = media->subtype, suffix = STR("+json");
    return subtype.len > suffix.len &&
           str_eq_nocase(str_skip(subtype, subtype.len - suffix.len), suffix);
}

bool http_media_is_utf8(const struct http_media *media)
{
    struct str charset = http_media_param(media, STR("charset"));
    return !charset.at || str_eq_nocase(charset, STR("utf-8")) ||
           str_eq_nocase(charset, STR("utf8")) || str_eq_nocase(charset, STR("us-ascii"));
}
