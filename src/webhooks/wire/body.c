#include "webhooks/wire/body.h"

#include "webhooks/wire/pending.h"
#include "webhooks/wire/websub.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>

/* ---- bodies ---------------------------------------------------------------------------------- */

static void write_events(struct json_writer *writer, const struct body_format *format,
                         const struct list *events)
{
    json_array_begin(writer);
    list_each (events, node)
        format->write(writer, &container_of(node, struct pending, node)->event);
    json_array_end(writer);
}

/* Adds a page: {"events":[…],"cursor":"…"}, or a bare array in a format that has it so. */
static void add_page(struct buf *out, const struct body_format *format, const struct list *events,
                     uint64_t last)
{
    struct json_writer writer = json_writer(out);
    if (format->page_type) {
        write_events(&writer, format, events);
        return;
    }
    json_object_begin(&writer);
    json_name(&writer, "events");
    write_events(&writer, format, events);
    json_member_id(&writer, "cursor", last);
    json_object_end(&writer);
}

void body_add(struct buf *out, const struct body_terms *terms, const struct list *events,
              char id[WEBHOOK_ID_MAX])
{
    const struct event *first = &container_of(events->next, struct pending, node)->event;
    const struct event *last = &container_of(events->prev, struct pending, node)->event;
    if (terms->batch) {
        snprintf(id, WEBHOOK_ID_MAX, "page_%016" PRIu64 "_%016" PRIu64, first->id, last->id);
        add_page(out, body_format_of(terms->format), events, last->id);
    } else {
        snprintf(id, WEBHOOK_ID_MAX, "%016" PRIu64, first->id);
        body_format_of(terms->format)->add(out, first);
    }
}

/* ---- headers --------------------------------------------------------------------------------- */

static void add_signatures(struct header_lines *headers, const struct body_terms *terms,
                           struct str id, int64_t now_us, struct str body)
{
    struct buf *line = &headers->line;
    int64_t now = now_us / 1000000;
    buf_add_lit(line, "webhook-signature: ");
    sign_add(line, terms->key, id, now, body);
    if (terms->pair->set) {
        buf_add_char(line, ' ');
        sign_pair_add(line, terms->pair, id, now, body);
    }
    for (uint32_t i = 0; i < terms->olds->count; i++) {
        const struct old_key *old = &terms->olds->at[i];
        if (terms->now_us >= old->until_us)
            continue;
        buf_add_char(line, ' ');
        sign_add(line, &old->key, id, now, body);
        if (terms->pair->set && old->pair.set) {
            buf_add_char(line, ' ');
            sign_pair_add(line, &old->pair, id, now, body);
        }
    }
    header_lines_end(headers);
}

static void add_content(struct header_lines *headers, const struct body_terms *terms,
                        const struct event *first)
{
    const struct body_format *format = body_format_of(terms->format);
    if (first && !terms->batch)
        format->add_headers(headers, first);
    else
        header_lines_add(
            headers, "Content-Type",
            str_from(first && format->page_type ? format->page_type : "application/json"));
    if (format->is_of_cloudevents)
        header_lines_add(headers, "WebHook-Request-Origin", str_from(terms->origin));
}

/* Adds the headers for a WebSub subscriber (sections 7 and 7.1). */
static void add_websub(struct header_lines *headers, const struct body_terms *terms,
                       struct str body, const struct event *first)
{
    struct buf *line = &headers->line;
    if (first)
        header_lines_add_type(headers, first);
    buf_add_lit(line, "Link: <");
    websub_add_hub(line, str_from(terms->topic), terms->base);
    buf_addf(line, ">; rel=\"hub\", <%s>; rel=\"self\"", terms->topic);
    header_lines_end(headers);
    if (!terms->hub_secret || !*terms->hub_secret)
        return;
    buf_add_lit(line, "X-Hub-Signature: ");
    websub_add_signature(line, str_from(terms->hub_secret), body);
    header_lines_end(headers);
}

static void add_standard(struct header_lines *headers, const struct body_terms *terms,
                         struct str id, struct str body, const struct event *first)
{
    int64_t now_us = terms->wall_us;
    add_content(headers, terms, first);
    header_lines_add(headers, "webhook-id", id);
    buf_addf(&headers->line, "webhook-timestamp: %" PRId64, now_us / 1000000);
    header_lines_end(headers);
    add_signatures(headers, terms, id, now_us, body);
}

/* The receiver gets one hop more, to repeat in what it publishes because of this delivery. */
static void add_hops(struct header_lines *headers, unsigned hops)
{
    buf_addf(&headers->line, "Event-Hops: %u", hops < EVENT_HOPS_MAX ? hops + 1 : EVENT_HOPS_MAX);
    header_lines_end(headers);
}

struct curl_slist *body_headers(const struct body_terms *terms, struct str id, struct str body,
                                const struct event *first, unsigned hops)
{
    struct header_lines headers = {0};
    if (terms->topic)
        add_websub(&headers, terms, body, first);
    else
        add_standard(&headers, terms, id, body, first);
    add_hops(&headers, hops);
    /* An empty Expect keeps curl from sending Expect: 100-continue and waiting a second for the
     * answer. */
    buf_add_lit(&headers.line, "Expect:");
    header_lines_end(&headers);
    for (char *const *line = terms->headers; line && *line; line++) {
        buf_add_str(&headers.line, str_from(*line));
        header_lines_end(&headers);
    }
    buf_free(&headers.line);
    if (!headers.failed)
        return headers.list;
    curl_slist_free_all(headers.list);
    return NULL;
}
