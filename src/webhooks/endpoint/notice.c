#include "webhooks/endpoint/notice.h"

#include "base/say.h"
#include "http/target.h"

#include <stdlib.h>

static void on_published(struct publish *publish, struct batch *batch)
{
    (void)batch;
    if (publish->verdict)
        say(SAY_WARN, "webhook_notice_lost", "verdict=%d", (int)publish->verdict);
    free(publish);
}

static void publish_notice(struct courier *courier, struct str channel, const char *type,
                           struct str data)
{
    const struct publisher server = {.is_server = true, .access = ACCESS_OF_SERVER};
    const struct proposal proposal = {.channel = channel,
                                      .type = str_from(type),
                                      .data = data,
                                      .kind = EVENT_JSON,
                                      .is_checked = true};
    struct publish *publish = mem_alloc(sizeof(*publish));
    struct refusal refusal;
    publish->done = on_published;
    bool submitted = submit_proposal(&courier->submitter, &server, &proposal, publish, &refusal);
    submitter_flush(&courier->submitter); /* even if it holds nothing */
    if (submitted)
        return;
    say(SAY_WARN, "webhook_notice_lost", "problem=%.*s", STR_FMT(problem_slug(refusal.problem)));
    free(publish);
}

void endpoint_notice(struct endpoint *endpoint, const char *type, struct str more)
{
    struct buf channel = {0}, data = {0}, url = {0};
    http_url_hide(&url, str_from(endpoint->row.url));
    buf_addf(&channel, "$webhooks/%s", endpoint->row.id);
    struct json_writer writer = json_writer(&data);
    json_object_begin(&writer);
    json_member_string(&writer, "webhook", str_from(endpoint->row.id));
    json_member_string(&writer, "url", buf_str(&url));
    json_add_members(&writer, more);
    json_object_end(&writer);
    if (!buf_failed(&channel) && !buf_failed(&data) && !buf_failed(&url))
        publish_notice(endpoint->courier, buf_str(&channel), type, buf_str(&data));
    buf_free(&channel);
    buf_free(&data);
    buf_free(&url);
}
