#include "client/lines.h"

#include "base/json.h"

void lines_feed(struct lines *lines, struct str bytes, void (*each)(void *context, struct str line),
                void *context)
{
    while (bytes.len) {
        const char *end = memchr(bytes.at, '\n', bytes.len);
        if (!end) {
            buf_add_str(&lines->partial, bytes);
            return;
        }
        struct str line = {bytes.at, (size_t)(end - bytes.at)};
        bytes = str_skip(bytes, line.len + 1);
        if (lines->partial.len) {
            buf_add_str(&lines->partial, line);
            line = buf_str(&lines->partial);
        }
        each(context, line);
        buf_clear(&lines->partial);
    }
}

static struct str value_of(struct str line, struct str name)
{
    if (!str_starts(line, name))
        return STR_NONE;
    struct str rest = str_skip(line, name.len);
    return rest.len && rest.at[0] == ' ' ? str_skip(rest, 1) : rest;
}

bool sse_record_line(struct sse_record *record, struct str line)
{
    struct str value;
    if (!line.len)
        return record->has_data;
    if ((value = value_of(line, STR("data:"))).at) {
        if (record->has_data)
            buf_add_char(&record->data, '\n');
        record->has_data = true;
        buf_add_str(&record->data, value);
    } else if ((value = value_of(line, STR("event:"))).at) {
        buf_clear(&record->event);
        buf_add_str(&record->event, value);
    } else if ((value = value_of(line, STR("id:"))).at) {
        buf_clear(&record->id);
        buf_add_str(&record->id, value);
    }
    return false;
}

void sse_record_clear(struct sse_record *record)
{
    buf_clear(&record->event);
    buf_clear(&record->id);
    buf_clear(&record->data);
    record->has_data = false;
}

struct str json_member(struct str object, struct str name)
{
    struct str key, value;
    for (size_t pos = 0; json_next(object, &pos, &key, &value);)
        if (str_eq(key, name))
            return value;
    return STR_NONE;
}

struct str json_plain(struct str object, struct str name)
{
    struct str raw = json_member(object, name);
    if (raw.len < 2 || raw.at[0] != '"')
        return STR_NONE;
    return (struct str){raw.at + 1, raw.len - 2};
}
