/* Notices for operators, as events on $webhooks/ID, for every mechanism. */
#include "courier/endpoint.h"

#include "base/say.h"

#include <stdlib.h>

static void on_published(struct publish *publish, struct batch *batch)
{
    (void)batch;
    if (publish->verdict)
        say(SAY_WARN, "webhook_notice_lost", "verdict=%d", (int)publish->verdict);
    free(publish);
}

static bool fill(const struct endpoint *endpoint, struct batch *batch, const char *type,
                 struct str more)
{
    struct buf channel = {0}, data = {0};
    struct event *event = batch_add(batch);
    buf_addf(&channel, "$webhooks/%s", endpoint->row.id);
    buf_addf(&data, "{\"webhook\":\"%s\",\"url\":", endpoint->row.id);
    buf_add_json(&data, str_from(endpoint->row.url));
    buf_add_str(&data, more);
    buf_add_char(&data, '}');
    bool good = event && !buf_failed(&channel) && !buf_failed(&data);
    if (good)
        *event = (struct event){.channel = batch_copy(batch, buf_str(&channel)),
                                .type = str_from(type),
                                .data = batch_copy(batch, buf_str(&data)),
                                .kind = EVENT_JSON,
                                .state = EVENT_PROPOSED,
                                .time_us = clock_wall_us(endpoint->courier->config.clock)};
    good = good && event->channel.at && event->data.at;
    buf_free(&channel);
    buf_free(&data);
    return good;
}

void endpoint_notice(struct endpoint *endpoint, const char *type, struct str more)
{
    struct courier *courier = endpoint->courier;
    struct log *log = courier->config.log;
    struct append *append = append_new(log, &courier->hub.port);
    if (!append)
        return;
    if (!fill(endpoint, append->batch, type, more)) {
        append_discard(append);
        return;
    }
    struct publish *publish = mem_alloc(sizeof(*publish));
    *publish = (struct publish){.count = 1, .done = on_published};
    append_add(append, publish);
    log_append(log, append);
}
