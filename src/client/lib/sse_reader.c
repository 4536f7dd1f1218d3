#include "client/lib/sse_reader.h"

#include "http/token.h"

#include <errno.h>

static void forget_record(struct sse_reader *reader)
{
    buf_clear(&reader->id);
    buf_clear(&reader->event);
    buf_clear(&reader->data);
    reader->retry_ms = 0;
    reader->has_id = reader->has_data = reader->has_field = reader->handed_out = false;
}

static int add_data(struct sse_reader *reader, struct str value)
{
    if (reader->data.len + value.len >= reader->record_max)
        return -EMSGSIZE;
    if (reader->has_data)
        buf_add_char(&reader->data, '\n');
    buf_add_str(&reader->data, value);
    reader->has_data = true;
    return 0;
}

static int take_field(struct sse_reader *reader, struct str name, struct str value)
{
    reader->has_field = true;
    if (str_eq(name, STR("data")))
        return add_data(reader, value);
    if (str_eq(name, STR("event"))) {
        buf_clear(&reader->event);
        buf_add_str(&reader->event, value);
    } else if (str_eq(name, STR("id"))) {
        if (value.len && memchr(value.at, '\0', value.len))
            return 0;
        buf_clear(&reader->id);
        buf_add_str(&reader->id, value);
        reader->has_id = true;
    } else if (str_eq(name, STR("retry"))) {
        uint64_t ms;
        if (!http_number(value, &ms))
            reader->retry_ms = ms;
    }
    return 0;
}

static int take_line(struct sse_reader *reader)
{
    struct str rest = buf_str(&reader->line);
    if (!reader->begun && str_starts(rest, STR("\xef\xbb\xbf")))
        rest = str_skip(rest, 3);
    reader->begun = true;
    if (!rest.len)
        return reader->has_field ? SSE_RECORD : SSE_MORE;
    if (rest.at[0] == ':')
        return SSE_MORE; /* a comment */
    struct str name = str_cut(&rest, ':');
    if (rest.len && rest.at[0] == ' ')
        rest = str_skip(rest, 1);
    return take_field(reader, name, rest);
}

static bool is_end(char c)
{
    return c == '\n' || c == '\r';
}

/* Moves bytes up to the end of a line into reader->line. Returns 1 when the line is whole, 0 when
 * the bytes ran out, or -EMSGSIZE. */
static int gather_line(struct sse_reader *reader, struct str *bytes)
{
    if (reader->after_cr && bytes->at[0] == '\n')
        *bytes = str_skip(*bytes, 1);
    reader->after_cr = false;
    size_t n = 0;
    while (n < bytes->len && !is_end(bytes->at[n]))
        n++;
    if (n > reader->record_max - reader->line.len)
        return -EMSGSIZE;
    buf_add(&reader->line, bytes->at, n);
    *bytes = str_skip(*bytes, n);
    if (!bytes->len)
        return 0;
    reader->after_cr = bytes->at[0] == '\r';
    *bytes = str_skip(*bytes, 1);
    return 1;
}

static bool ran_out(const struct sse_reader *reader)
{
    return buf_failed(&reader->line) || buf_failed(&reader->id) || buf_failed(&reader->event) ||
           buf_failed(&reader->data);
}

int sse_reader_feed(struct sse_reader *reader, struct str *bytes, struct sse_record *ret)
{
    int result = SSE_MORE;
    if (reader->handed_out)
        forget_record(reader);
    while (result == SSE_MORE && bytes->len && (result = gather_line(reader, bytes)) == 1) {
        result = take_line(reader);
        buf_clear(&reader->line);
    }
    if (ran_out(reader))
        return -ENOMEM;
    if (result != SSE_RECORD)
        return result;
    reader->handed_out = true;
    *ret = (struct sse_record){
        .id = reader->has_id ? buf_str(&reader->id) : STR_NONE,
        .event = buf_str(&reader->event),
        .data = buf_str(&reader->data),
        .retry_ms = reader->retry_ms,
    };
    if (reader->has_id && !ret->id.at)
        ret->id = STR("");
    return SSE_RECORD;
}

void sse_reader_deinit(struct sse_reader *reader)
{
    buf_free(&reader->line);
    buf_free(&reader->id);
    buf_free(&reader->event);
    buf_free(&reader->data);
}
