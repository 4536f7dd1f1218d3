#include "webhooks/wire/header_lines.h"

#include <curl/curl.h>

void header_lines_end(struct header_lines *headers)
{
    buf_add_char(&headers->line, '\0');
    struct curl_slist *longer =
        buf_failed(&headers->line) ? NULL : curl_slist_append(headers->list, headers->line.at);
    if (longer)
        headers->list = longer;
    else
        headers->failed = true;
    buf_clear(&headers->line);
}

void header_lines_add(struct header_lines *headers, const char *name, struct str value)
{
    buf_addf(&headers->line, "%s: ", name);
    buf_add_str(&headers->line, value);
    header_lines_end(headers);
}

void header_lines_add_percent(struct buf *out, char c)
{
    buf_addf(out, "%%%02X", (unsigned)(unsigned char)c);
}

static void add_value(struct buf *out, struct str value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.at[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '%')
            header_lines_add_percent(out, c);
        else
            buf_add_char(out, c);
    }
}

void header_lines_add_encoded(struct header_lines *headers, const char *name, struct str value)
{
    buf_addf(&headers->line, "%s: ", name);
    add_value(&headers->line, value);
    header_lines_end(headers);
}

/* Bytes that arrived in a header's value or a JSON text are safe to send. */
static bool is_header_safe(struct str value)
{
    for (size_t i = 0; i < value.len; i++)
        if ((value.at[i] >= 0 && value.at[i] < ' ') || value.at[i] == 0x7f)
            return false;
    return value.len > 0;
}

void header_lines_add_type(struct header_lines *headers, const struct event *event)
{
    struct str type = event_media_type(event);
    header_lines_add(headers, "Content-Type",
                     is_header_safe(type) ? type : STR("application/octet-stream"));
}
