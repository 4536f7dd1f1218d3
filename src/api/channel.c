#include "api/channel.h"

#include "http/target.h"
#include "http/token.h"
#include "transport/socket.h"

#include <errno.h>

void api_refuse(struct exchange *exchange, enum problem problem, const char *detail)
{
    if (exchange->head->upgrade_websocket)
        socket_refuse(exchange, problem, str_from(detail));
    else
        api_problem(exchange, problem, detail);
}

static bool refuse_segment(struct exchange *exchange, int result)
{
    if (result < 0)
        api_refuse(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
    else
        api_refuse(exchange, PROBLEM_BAD_CHANNEL, http_target_error_detail(result).at);
    return false;
}

bool channel_from_path(struct exchange *exchange, struct str rest, struct buf *out)
{
    struct str segment;
    const char *why;
    bool first = true;
    while (http_path_next(&rest, &segment)) {
        if (!first)
            buf_add_char(out, '/');
        first = false;
        int result = http_segment_decode(segment, out);
        if (result)
            return refuse_segment(exchange, result);
    }
    if (buf_failed(out))
        return refuse_segment(exchange, -ENOMEM);
    if (name_valid(buf_str(out), &why))
        return true;
    api_refuse(exchange, PROBLEM_BAD_CHANNEL, why);
    return false;
}

int parse_id(struct str text, uint64_t *ret_id)
{
    uint64_t id;
    if (text.len > 16 || http_number(text, &id) || id > EVENT_ID_MAX)
        return -EINVAL;
    *ret_id = id;
    return 0;
}
