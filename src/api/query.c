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

static void refuse_query(struct exchange *exchange, const struct parameters *parameters, int result,
                         enum problem bad_id)
{
    bool is_id = parameters->at && parameters->at->kind == PARAMETER_ID;
    if (result == -ENOMEM)
        api_refuse(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
    else
        refuse(exchange, is_id ? bad_id : PROBLEM_BAD_PARAMETER, &parameters->fault);
}

bool query_read(struct exchange *exchange, struct parameter_table table, enum problem bad_id,
                query_take *take, void *context)
{
    struct parameters parameters;
    struct parameter_found found;
    int result = 0;
    bool good = true;
    parameters_begin(&parameters, table, exchange->head->query);
    while (good && (result = parameters_next(&parameters, &found)) > 0)
        good = take(exchange, context, &found);
    if (good && result)
        refuse_query(exchange, &parameters, result, bad_id);
    parameters_end(&parameters);
    return good && !result;
}

bool query_has_room(struct exchange *exchange, const struct buf *added)
{
    if (buf_failed(added))
        api_refuse(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
    return !buf_failed(added);
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

static bool take_nothing(struct exchange *exchange, void *context,
                         const struct parameter_found *found)
{
    (void)exchange, (void)context, (void)found;
    return true;
}

bool query_is_empty(struct exchange *exchange)
{
    return query_read(exchange, (struct parameter_table){NULL, 0}, PROBLEM_BAD_PARAMETER,
                      take_nothing, NULL);
}
