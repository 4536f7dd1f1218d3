#include "bench/answer.h"

#include <errno.h>
#include <stdbool.h>

enum { HEAD_MAX = 16384, LENGTH_DIGITS_MAX = 9 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int answer_read_head(struct str bytes, struct answer *ret)
{
    static const char start[] = "HTTP/1.";
    if (bytes.len < 12)
        return memcmp(bytes.at ? bytes.at : "", start, bytes.len < 7 ? bytes.len : 7) ? -EPROTO
                                                                                      : -EAGAIN;
    if (memcmp(bytes.at, start, 7) != 0 || !is_digit(bytes.at[9]) || !is_digit(bytes.at[10]) ||
        !is_digit(bytes.at[11]))
        return -EPROTO;
    const char *end = memmem(bytes.at, bytes.len, "\r\n\r\n", 4);
    if (!end)
        return bytes.len > HEAD_MAX ? -EPROTO : -EAGAIN;
    ret->head = (struct str){bytes.at, (size_t)(end - bytes.at)};
    ret->size = ret->head.len + 4;
    ret->status = (bytes.at[9] - '0') * 100 + (bytes.at[10] - '0') * 10 + (bytes.at[11] - '0');
    ret->body = STR_NONE;
    return 0;
}

struct str answer_field(struct str head, struct str name)
{
    str_cut(&head, '\n');
    while (head.len) {
        struct str line = str_cut(&head, '\n');
        if (line.len <= name.len || line.at[name.len] != ':' ||
            !str_eq_nocase((struct str){line.at, name.len}, name))
            continue;
        struct str value = str_skip(line, name.len + 1);
        if (value.len && value.at[value.len - 1] == '\r')
            value.len--;
        return str_trim(value);
    }
    return STR_NONE;
}

static int read_length(struct str text, size_t *ret)
{
    if (!text.len || text.len > LENGTH_DIGITS_MAX)
        return -EPROTO;
    *ret = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.at[i]))
            return -EPROTO;
        *ret = *ret * 10 + (size_t)(text.at[i] - '0');
    }
    return 0;
}

int answer_read(struct str bytes, struct answer *ret)
{
    int result = answer_read_head(bytes, ret);
    if (result)
        return result;
    if (ret->status < 200 || ret->status == 204 || ret->status == 304)
        return 0;
    size_t length;
    if (read_length(answer_field(ret->head, STR("content-length")), &length))
        return -EPROTO;
    if (bytes.len - ret->size < length)
        return -EAGAIN;
    ret->body = (struct str){bytes.at + ret->size, length};
    ret->size += length;
    return 0;
}
