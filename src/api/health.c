#include "api/health.h"

#include "api/answers.h"
#include "api/log_info.h"

/* `losses` may be NULL. A server that has lost old events is as ready for new ones as any other: it
 * stays in service, and says what it has lost. */
static void answer_status(struct exchange *exchange, const char *status,
                          const struct store_losses *losses)
{
    struct buf body = {0};
    struct json_writer writer = json_writer(&body);
    json_object_begin(&writer);
    json_member_string(&writer, "status", str_from(status));
    if (losses && (losses->holes || losses->foreign || losses->damaged))
        log_info_write_losses(&writer, losses);
    json_object_end(&writer);
    buf_add_char(&body, '\n');
    api_answer(exchange, "application/json", &body);
}

void health_live(struct exchange *exchange, struct str rest)
{
    (void)rest;
    answer_status(exchange, "ok", NULL);
}

void health_ready(struct exchange *exchange, struct str rest)
{
    struct log_stats log;
    struct api *api = api_of(exchange);
    (void)rest;
    log_stats(api->log, &log);
    if (atomic_load(&api->draining))
        api_problem(exchange, PROBLEM_UNAVAILABLE, "the server is stopping");
    else if (!log.writable)
        api_problem(exchange, PROBLEM_UNAVAILABLE, "the last write to the store failed");
    else
        answer_status(exchange, "ready", &log.losses);
}
