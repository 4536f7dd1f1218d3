#include "api/channel.h"

#include "api/answers.h"
#include "http/target.h"
#include "http/token.h"

#include <errno.h>

static bool refuse_segment(struct exchange *exchange, int result)
{
    if (result < 0)
        api_refuse(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
    else
        api_refuse(exchange, PROBLEM_BAD_CHANNEL, http_target_error_detail(result).at);
    return false;
}

bool channel_decode(struct exchange *exchange, struct str rest, struct buf *room,
                    struct str *ret_name)
{
    *ret_name = str_skip(rest, 1);
    if (!rest.len || !memchr(rest.at, '%', rest.len))
        return true;
    int result = http_path_decode(rest, room);
    *ret_name = buf_str(room);
    return !result || refuse_segment(exchange, result);
}

bool channel_from_path(struct exchange *exchange, struct str rest, struct buf *out)
{
    const char *why;
    struct str name;
    if (!channel_decode(exchange, rest, out, &name))
        return false;
    if (!name_valid(name, &why)) {
        api_refuse(exchange, PROBLEM_BAD_CHANNEL, why);
        return false;
    }
    if (!out->len)
        buf_add_str(out, name);
    return !buf_failed(out) || refuse_segment(exchange, -ENOMEM);
}
