#include "transport/reading.h"

#include "http/target.h"

#include <stdlib.h>

enum { KEPT_MAX = 1024 };

struct reading *reading_new(void)
{
    struct reading *reading = mem_try_alloc(sizeof(*reading));
    if (reading)
        *reading = (struct reading){0};
    return reading;
}

struct reading *reading_share(struct reading *reading)
{
    reading->shares++;
    return reading;
}

void reading_free(struct reading *reading)
{
    if (!reading)
        return;
    if (reading->shares) {
        reading->shares--;
        return;
    }
    selection_unref(reading->selection);
    arena_free(&reading->arena);
    free(reading);
}

void reading_refuse(struct worker *worker, int result, struct refusal *ret_refusal)
{
    subscription_refuse(result, ret_refusal);
    if (ret_refusal->problem == PROBLEM_TOO_MANY)
        worker_hit(worker, LIMIT_BRANCHES);
}

bool reading_subscribe(struct worker *worker, struct sub *sub, const struct sub_ops *ops,
                       struct selection *selection, unsigned encoding, const struct start *start,
                       struct refusal *ret_refusal)
{
    int result =
        hub_subscribe(&worker->hub, sub, ops, selection, encoding, start->cursor, start->told);
    if (result)
        reading_refuse(worker, result, ret_refusal);
    return !result;
}

/* ---- headers --------------------------------------------------------------------------------- */

void reading_add_query(struct buf *out, const struct reading *reading, const char *name,
                       struct str value)
{
    buf_add_char(out, '?');
    buf_add_str(out, str_from(name));
    buf_add_char(out, '=');
    buf_add_str(out, value);
    buf_add_str(out, reading->kept);
}

void reading_add_link(struct response *response, const struct reading *reading, const char *name,
                      struct str value, const char *relation)
{
    struct buf *link = response_compose(response, STR("Link"));
    buf_add_char(link, '<');
    reading_add_query(link, reading, name, value);
    buf_addf(link, ">; rel=\"%s\"", relation);
}

static void add_alternate(struct response *response, const struct reading *reading,
                          const char *name, const char *value, const char *type)
{
    reading_add_link(response, reading, name, str_from(value), "alternate");
    buf_addf(&response->text, "; type=\"%s\"", type);
}

void reading_add_topic(struct response *response, struct str base, struct str channel)
{
    struct buf *link = response_compose(response, STR("Link"));
    buf_addf(link, "<%.*s/hub>; rel=\"hub\"", STR_FMT(base));
    link = response_compose(response, STR("Link"));
    buf_addf(link, "<%.*s/topics", STR_FMT(base));
    while (channel.at) {
        buf_add_char(link, '/');
        http_percent_encode(link, str_cut(&channel, '/'));
    }
    buf_add_lit(link, ">; rel=\"self\"");
}

void reading_add_cursor(struct response *response, uint64_t cursor)
{
    buf_add_id(response_compose(response, STR("Cursor")), cursor);
    response_add(response, STR("Vary"), STR("Accept, Prefer"));
}

void reading_add_headers(struct response *response, const struct reading *reading, struct str base,
                         uint64_t cursor)
{
    reading_add_cursor(response, cursor);
    buf_addf(response_compose(response, STR("Link")), "<%.*s/webhooks>; rel=\"webhooks\"",
             STR_FMT(base));
    if (reading->channel.len)
        reading_add_topic(response, base, reading->channel);
    /* A long query repeated in five links would exceed the header size that clients accept. */
    if (reading->kept.len > KEPT_MAX)
        return;
    add_alternate(response, reading, "stream", "sse", "text/event-stream");
    add_alternate(response, reading, "stream", "ndjson", "application/x-ndjson");
    add_alternate(response, reading, "stream", "raw", "application/octet-stream");
    add_alternate(response, reading, "wait", "25", "application/json");
}
