#include "base/visible.h"

#include "base/utf8.h"

/* The bytes of the character in front of the text; 0 if it is no UTF-8. */
static size_t size_of(struct str text)
{
    unsigned char c = (unsigned char)text.at[0];
    size_t size = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    return size <= text.len && utf8_valid((struct str){text.at, size}) ? size : 0;
}

/* The code of a control character of `size` bytes; -1 for all others. */
static int control_of(const char *at, size_t size)
{
    unsigned char c = (unsigned char)at[0], next = size == 2 ? (unsigned char)at[1] : 0;
    if (size == 1 && (c < 0x20 || c == 0x7f))
        return c;
    return size == 2 && c == 0xc2 && next < 0xa0 ? next : -1;
}

void visible_blank(char *at, size_t len)
{
    for (struct str rest = {at, len}; rest.len;) {
        char *to = at + (len - rest.len);
        size_t size = size_of(rest);
        if (!size)
            *to = '?';
        else if (control_of(to, size) >= 0)
            memset(to, ' ', size);
        rest = str_skip(rest, size ? size : 1);
    }
}

/* Whether a line of a terminal has the character: a CR belongs to the LF behind it. */
static bool is_of_line(struct str text)
{
    char c = text.at[0];
    return c == '\n' || c == '\t' || (c == '\r' && text.len > 1 && text.at[1] == '\n');
}

void visible_add(struct buf *out, struct str text)
{
    while (text.len) {
        size_t size = size_of(text);
        int control = size && !is_of_line(text) ? control_of(text.at, size) : -1;
        if (!size)
            buf_addf(out, "\\x%02x", (unsigned)(unsigned char)text.at[0]);
        else if (control >= 0)
            buf_addf(out, "\\u%04x", (unsigned)control);
        else
            buf_add(out, text.at, size);
        text = str_skip(text, size ? size : 1);
    }
}
