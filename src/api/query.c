#include "api/query.h"

#include "api/answers.h"
#include "api/channel.h"
#include "http/target.h"
#include "transport/websocket.h"

#include <errno.h>

static void refuse(struct exchange *exchange, enum problem problem, const struct buf *detail)
{
    if (buf_failed(detail))
        api_refuse(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
    else if (exchange->head->upgrade_websocket)
        websocket_refuse(exchange, problem, buf_str(detail));
    else
        exchange_problem(exchange, problem, buf_str(detail), STR_NONE);
}

bool query_refuse(struct exchange *exchange, const struct parameters *parameters, int result,
                  enum problem bad_id)
{
    bool is_id = parameters->at && parameters->at->kind == PARAMETER_ID;
    if (result == -ENOMEM)
        api_refuse(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
    else
        refuse(exchange, is_id ? bad_id : PROBLEM_BAD_PARAMETER, &parameters->fault);
    return false;
}

bool query_refuse_value(struct exchange *exchange, enum problem problem,
                        const struct parameter *row, struct str value)
{
    struct buf detail = {0};
    parameters_add_fault(&detail, row, value);
    if (memchr(value.at, ' ', value.len)) /* as in 2026-11-23T18:00:00+00:00 */
        buf_add_lit(&detail, "; a URL has a + as %2B, and + stands for a blank");
    refuse(exchange, problem, &detail);
    buf_free(&detail);
    return false;
}

/* These characters are allowed in a request's target by this server, but not in a link, nor
 * unescaped in JSON. */
static void keep_raw(struct buf *kept, struct str raw)
{
    for (size_t i = 0; i < raw.len; i++)
        if (strchr("\"<>\\^`{|}", raw.at[i]))
            http_percent_encode(kept, (struct str){raw.at + i, 1});
        else
            buf_add_char(kept, raw.at[i]);
}

void query_keep(struct buf *kept, const struct parameter_found *found)
{
    buf_add_char(kept, '&');
    keep_raw(kept, found->name_raw);
    buf_add_char(kept, '=');
    keep_raw(kept, found->value_raw);
}

bool query_is_empty(struct exchange *exchange)
{
    struct parameters parameters;
    struct parameter_found found;
    int result;
    parameters_begin(&parameters, (struct parameter_table){NULL, 0}, exchange->head->query);
    while ((result = parameters_next(&parameters, &found)) > 0)
        ;
    if (result)
        query_refuse(exchange, &parameters, result, PROBLEM_BAD_PARAMETER);
    parameters_end(&parameters);
    return !result;
}
