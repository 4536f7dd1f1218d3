/* Feeds URLs to http_url_hide(), which takes secrets out of what is logged. A URL is made of parts
 * of the input with a marker in its userinfo, in the value of a parameter and in its fragment: none
 * of these may come through. Any bytes may be hidden, and hiding twice is hiding once. */
#include "require.h"

#include "base/buf.h"
#include "http/target.h"

#include <string.h>

/* Parts of the input have no byte 1, so that the fuzzer cannot put the marker where it may stay. */
#define MARK "\1S3CR3T"

/* The next part of the input, up to a zero, without the bytes that would end the part of a URL. */
static void add_part(struct buf *out, struct str *input, const char *without)
{
    struct str part = str_cut(input, '\0');
    for (size_t i = 0; i < part.len; i++)
        if (part.at[i] != '\1' && !strchr(without, part.at[i]))
            buf_add_char(out, part.at[i]);
}

static void check_hidden(struct str url)
{
    struct buf once = {0}, twice = {0};
    http_url_hide(&once, url);
    require(!memmem(once.at ? once.at : "", once.len, MARK, sizeof(MARK) - 1));
    http_url_hide(&twice, buf_str(&once));
    require(str_eq(buf_str(&once), buf_str(&twice)));
    buf_free(&once);
    buf_free(&twice);
}

/* scheme://USER MARK USER @HOST/PATH?NAME=VALUE MARK VALUE &…#MARK */
static void check_secrets(struct str input)
{
    struct buf url = {0};
    buf_add_lit(&url, "https://");
    add_part(&url, &input, "/?#");
    buf_add_lit(&url, MARK);
    add_part(&url, &input, "/?#");
    buf_add_lit(&url, "@host/");
    add_part(&url, &input, "?#");
    for (char before = '?'; input.len; before = '&') {
        buf_add_char(&url, before);
        add_part(&url, &input, "=&#");
        buf_add_lit(&url, "=");
        add_part(&url, &input, "&#");
        buf_add_lit(&url, MARK);
        add_part(&url, &input, "&#");
    }
    buf_add_lit(&url, "#" MARK);
    require(!buf_failed(&url));
    check_hidden(buf_str(&url));
    buf_free(&url);
}

/* Any bytes, from memory of exactly their size. */
static void check_bytes(struct str input)
{
    struct buf once = {0}, twice = {0};
    http_url_hide(&once, input);
    require(!once.len || !memchr(once.at, '#', once.len));
    http_url_hide(&twice, buf_str(&once));
    require(str_eq(buf_str(&once), buf_str(&twice)));
    buf_free(&once);
    buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1);
    require(copy);
    if (size)
        memcpy(copy, data, size);
    struct str input = {copy, size};
    check_bytes(input);
    check_secrets(input);
    free(copy);
    return 0;
}
