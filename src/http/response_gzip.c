#include "http/response_gzip.h"

#include "http/media.h"

/* The most text of a part, so that the compressor takes it (DEFLATE_MOST). */
enum { PART_BYTES = 64 << 10 };

static bool ends_with(struct str text, struct str end)
{
    return text.len >= end.len && str_eq_nocase(str_skip(text, text.len - end.len), end);
}

/* Images and archives are compressed already. */
static bool is_text(struct str type)
{
    struct http_media media;
    if (http_media_parse(type, &media))
        return false;
    return str_eq_nocase(media.type, STR("text")) || ends_with(media.subtype, STR("json")) ||
           str_eq_nocase(media.subtype, STR("javascript")) ||
           str_eq_nocase(media.subtype, STR("x-ndjson"));
}

static void add_body(struct buf *out, struct gzip_sum *sum, struct deflater *deflater,
                     struct str text)
{
    while (text.len) {
        struct str part = {text.at, text.len < PART_BYTES ? text.len : PART_BYTES};
        gzip_sum_text(sum, part);
        gzip_add_part(out, deflater, part);
        text = str_skip(text, part.len);
    }
}

/* Writes all of the body into the scratch buffer; false if it is no shorter there. */
static bool compress(const struct response *response, struct deflater *deflater, bool always)
{
    struct buf *out = &deflater->scratch;
    struct gzip_sum sum = {0};
    buf_clear(out);
    gzip_add_header(out);
    for (int i = 0; i < RESPONSE_PARTS; i++)
        add_body(out, &sum, deflater, response->body[i]);
    gzip_add_end(out, &sum);
    return !buf_failed(out) && (always || out->len < response_length(response));
}

static bool is_long(size_t len)
{
    return len >= RESPONSE_GZIP_LEAST && len <= RESPONSE_GZIP_MOST;
}

static void add_vary(struct response *response)
{
    response_add(response, STR("Vary"), STR("Accept-Encoding"));
}

void response_gzip_vary(struct response *response, struct str type, size_t len)
{
    if (is_long(len) && is_text(type))
        add_vary(response);
}

void response_gzip(struct response *response, enum http_gzip_wish wish, struct deflater *deflater)
{
    size_t len = response_length(response);
    bool only = wish == HTTP_GZIP_ONLY && len && len <= RESPONSE_GZIP_MOST;
    if (response->status != 200 || response->goes_on || response->bodiless ||
        !(is_long(len) || only) || !is_text(response->type))
        return;
    add_vary(response);
    if (wish == HTTP_GZIP_NO || !compress(response, deflater, only))
        return;
    response_add(response, STR("Content-Encoding"), STR("gzip"));
    response->body[0] = buf_str(&deflater->scratch);
    for (int i = 1; i < RESPONSE_PARTS; i++)
        response->body[i] = STR_NONE;
}
