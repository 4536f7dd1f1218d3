#include "webhooks/wire/body.h"

#include "base/rfc3339.h"
#include "base/utf8.h"
#include "log/envelope.h"
#include "webhooks/wire/pending.h"
#include "webhooks/wire/websub.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>

/* ---- CloudEvents ----------------------------------------------------------------------------- */

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           strchr("-._~/", c) != NULL;
}

static void add_percent(struct buf *out, char c)
{
    buf_addf(out, "%%%02X", (unsigned)(unsigned char)c);
}

/* A URI-reference for people: where to look for the event. */
static void add_source(struct buf *out, struct str channel)
{
    buf_add_lit(out, "/channels/");
    for (size_t i = 0; i < channel.len; i++) {
        if (channel.at[i] && is_unreserved(channel.at[i]))
            buf_add_char(out, channel.at[i]);
        else
            add_percent(out, channel.at[i]);
    }
}

static void write_source(struct json_writer *writer, struct str channel)
{
    struct buf source = {0};
    add_source(&source, channel);
    json_member_string(writer, "source", buf_str(&source));
    writer->out->failed |= buf_failed(&source);
    buf_free(&source);
}

static void write_ce(struct json_writer *writer, const struct event *event)
{
    json_object_begin(writer);
    json_member_string(writer, "specversion", STR("1.0"));
    json_member_id(writer, "id", event->id);
    write_source(writer, event->channel);
    json_member_string(writer, "type", event->type);
    json_member_time(writer, "time", event->time_us);
    json_member_string(writer, "subject", event->channel);
    json_member_id(writer, "sequence", event->id);
    json_member_string(writer, "datacontenttype", event_media_type(event));
    if (event->from.len)
        json_member_string(writer, "from", event->from);
    if (event->kind == EVENT_BINARY) {
        json_member_base64(writer, "data_base64", event->data);
    } else {
        json_name(writer, "data");
        envelope_write_data(writer, event);
    }
    json_object_end(writer);
}

/* Adds a value of a ce- header (HTTP protocol binding 3.1.3.2). */
static void add_ce_value(struct buf *out, struct str value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.at[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '%')
            add_percent(out, c);
        else
            buf_add_char(out, c);
    }
}

/* ---- bodies ---------------------------------------------------------------------------------- */

/* Writes an event in a format whose bodies are JSON. */
static void write_one(struct json_writer *writer, const struct body_terms *terms,
                      const struct event *event)
{
    if (terms->format == BODY_CE)
        write_ce(writer, event);
    else if (terms->format == BODY_DATA)
        envelope_write_data(writer, event);
    else
        envelope_write(writer, event);
}

static void add_one(struct buf *out, const struct body_terms *terms, const struct event *event)
{
    struct json_writer writer = json_writer(out);
    if (terms->format == BODY_DATA || terms->format == BODY_CE_BINARY)
        buf_add_str(out, event->data);
    else
        write_one(&writer, terms, event);
}

static void write_events(struct json_writer *writer, const struct body_terms *terms,
                         const struct list *events)
{
    json_array_begin(writer);
    list_each (events, node)
        write_one(writer, terms, &container_of(node, struct pending, node)->event);
    json_array_end(writer);
}

/* Adds a page: {"events":[…],"cursor":"…"}, or the bare array that CloudEvents has for it. */
static void add_page(struct buf *out, const struct body_terms *terms, const struct list *events,
                     uint64_t last)
{
    struct json_writer writer = json_writer(out);
    if (terms->format == BODY_CE) {
        write_events(&writer, terms, events);
        return;
    }
    json_object_begin(&writer);
    json_name(&writer, "events");
    write_events(&writer, terms, events);
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
        add_page(out, terms, events, last->id);
    } else {
        snprintf(id, WEBHOOK_ID_MAX, "%016" PRIu64, first->id);
        add_one(out, terms, first);
    }
}

/* ---- headers --------------------------------------------------------------------------------- */

struct header_list {
    struct curl_slist *list;
    struct buf line; /* the header line being written */
    bool failed;
};

static void end_line(struct header_list *headers)
{
    buf_add_char(&headers->line, '\0');
    struct curl_slist *longer =
        buf_failed(&headers->line) ? NULL : curl_slist_append(headers->list, headers->line.at);
    if (longer)
        headers->list = longer;
    else
        headers->failed = true;
    buf_clear(&headers->line);
}

static void add_line(struct header_list *headers, const char *name, struct str value)
{
    buf_addf(&headers->line, "%s: ", name);
    buf_add_str(&headers->line, value);
    end_line(headers);
}

static void add_encoded(struct header_list *headers, const char *name, struct str value)
{
    buf_addf(&headers->line, "%s: ", name);
    add_ce_value(&headers->line, value);
    end_line(headers);
}

static void add_signatures(struct header_list *headers, const struct body_terms *terms,
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
    end_line(headers);
}

/* Bytes that arrived in a header's value or a JSON text are safe to send. */
static bool is_header_safe(struct str value)
{
    for (size_t i = 0; i < value.len; i++)
        if ((value.at[i] >= 0 && value.at[i] < ' ') || value.at[i] == 0x7f)
            return false;
    return value.len > 0;
}

static void add_data_type(struct header_list *headers, const struct event *event)
{
    struct str type = event_media_type(event);
    add_line(headers, "Content-Type",
             is_header_safe(type) ? type : STR("application/octet-stream"));
}

static void add_ce_headers(struct header_list *headers, const struct event *event)
{
    struct buf text = {0};
    add_line(headers, "ce-specversion", STR("1.0"));
    buf_add_id(&text, event->id);
    add_line(headers, "ce-id", buf_str(&text));
    add_line(headers, "ce-sequence", buf_str(&text));
    buf_clear(&text);
    add_source(&text, event->channel);
    add_line(headers, "ce-source", buf_str(&text));
    buf_clear(&text);
    rfc3339_add(&text, event->time_us);
    add_line(headers, "ce-time", buf_str(&text));
    headers->failed = headers->failed || buf_failed(&text);
    buf_free(&text);
    add_encoded(headers, "ce-type", event->type);
    add_encoded(headers, "ce-subject", event->channel);
    if (event->from.len)
        add_encoded(headers, "ce-from", event->from);
    add_data_type(headers, event);
}

/* Adds the members of an envelope as headers, for bodies that are the data alone. */
static void add_event_headers(struct header_list *headers, const struct event *event)
{
    struct buf time = {0};
    add_data_type(headers, event);
    add_encoded(headers, "Event-Channel", event->channel);
    add_encoded(headers, "Event-Type", event->type);
    rfc3339_add(&time, event->time_us);
    add_line(headers, "Event-Time", buf_str(&time));
    headers->failed = headers->failed || buf_failed(&time);
    buf_free(&time);
}

static void add_content(struct header_list *headers, const struct body_terms *terms,
                        const struct event *first)
{
    if (first && terms->format == BODY_CE_BINARY)
        add_ce_headers(headers, first);
    else if (first && terms->format == BODY_DATA && !terms->batch)
        add_event_headers(headers, first);
    else if (first && terms->format == BODY_CE)
        add_line(headers, "Content-Type",
                 terms->batch ? STR("application/cloudevents-batch+json")
                              : STR("application/cloudevents+json"));
    else
        add_line(headers, "Content-Type", STR("application/json"));
    if (terms->format == BODY_CE || terms->format == BODY_CE_BINARY)
        add_line(headers, "WebHook-Request-Origin", str_from(terms->origin));
}

/* Adds the headers for a WebSub subscriber (sections 7 and 7.1). */
static void add_websub(struct header_list *headers, const struct body_terms *terms, struct str body,
                       const struct event *first)
{
    struct buf *line = &headers->line;
    if (first)
        add_data_type(headers, first);
    buf_add_lit(line, "Link: <");
    websub_add_hub(line, str_from(terms->topic), terms->base);
    buf_addf(line, ">; rel=\"hub\", <%s>; rel=\"self\"", terms->topic);
    end_line(headers);
    if (!terms->hub_secret || !*terms->hub_secret)
        return;
    buf_add_lit(line, "X-Hub-Signature: ");
    websub_add_signature(line, str_from(terms->hub_secret), body);
    end_line(headers);
}

static void add_standard(struct header_list *headers, const struct body_terms *terms, struct str id,
                         struct str body, const struct event *first)
{
    int64_t now_us = terms->wall_us;
    add_content(headers, terms, first);
    add_line(headers, "webhook-id", id);
    buf_addf(&headers->line, "webhook-timestamp: %" PRId64, now_us / 1000000);
    end_line(headers);
    add_signatures(headers, terms, id, now_us, body);
}

/* The receiver gets one hop more, to repeat in what it publishes because of this delivery. */
static void add_hops(struct header_list *headers, unsigned hops)
{
    buf_addf(&headers->line, "Event-Hops: %u", hops < EVENT_HOPS_MAX ? hops + 1 : EVENT_HOPS_MAX);
    end_line(headers);
}

struct curl_slist *body_headers(const struct body_terms *terms, struct str id, struct str body,
                                const struct event *first, unsigned hops)
{
    struct header_list headers = {0};
    if (terms->topic)
        add_websub(&headers, terms, body, first);
    else
        add_standard(&headers, terms, id, body, first);
    add_hops(&headers, hops);
    /* An empty Expect keeps curl from sending Expect: 100-continue and waiting a second for the
     * answer. */
    buf_add_lit(&headers.line, "Expect:");
    end_line(&headers);
    for (char *const *line = terms->headers; line && *line; line++) {
        buf_add_str(&headers.line, str_from(*line));
        end_line(&headers);
    }
    buf_free(&headers.line);
    if (!headers.failed)
        return headers.list;
    curl_slist_free_all(headers.list);
    return NULL;
}
