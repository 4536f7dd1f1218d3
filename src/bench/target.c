#include "bench/target.h"

#include "base/json_writer.h"
#include "bench/answer.h"
#include "bench/mark.h"

/* A channel's number always has 8 digits, so that one request serves all channels by changing its
 * digits. */
enum { DIGITS = 8 };

static void add_channel(struct buf *out, const struct plan *plan, const struct target_run *run,
                        uint32_t channel)
{
    char digits[DIGITS];
    mark_write_hex(digits, channel);
    if (plan->target == TARGET_FRESHET)
        buf_addf(out, "bench/%s/%.*s%s", run->name, DIGITS, digits, plan->matching ? "/e" : "");
    else
        buf_addf(out, "bench-%s-%.*s", run->name, DIGITS, digits);
}

static void add_fields(struct buf *out, const struct plan *plan, const struct server_url *url)
{
    buf_addf(out, "Host: %.*s\r\n", STR_FMT(url->authority));
    if (plan->token)
        buf_addf(out, "Authorization: Bearer %s\r\n", plan->token);
}

static void end_request(struct buf *out, const struct plan *plan)
{
    buf_add_lit(out, " HTTP/1.1\r\n");
    add_fields(out, plan, &plan->url);
    if (plan->mechanism == MECHANISM_WS)
        buf_add_lit(out,
                    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    else if (plan->mechanism == MECHANISM_SSE && plan->target != TARGET_FRESHET)
        buf_add_lit(out, "Accept: text/event-stream\r\n");
    buf_add_lit(out, "\r\n");
}

/* Adds the nth of ten patterns that match only the channel `bench/RUN/DIGITS/e`. */
static void add_own_pattern(struct buf *out, const struct target_run *run, struct plan_seat seat)
{
    static const char *const tails[] = {"e", "*", "**"};
    char digits[DIGITS];
    mark_write_hex(digits, seat.channel);
    uint32_t form = seat.nth + 1; /* form 0 would be the name itself */
    buf_addf(out, "%s/%s/%.*s/%s", form & 1 ? "*" : "bench", form & 2 ? "*" : run->name, DIGITS,
             digits, tails[form / 4 % 3]);
}

/* `/channels/NAME` for one channel, `/events?channel=…` for many. */
static void add_selection(struct buf *out, const struct plan *plan, const struct target_run *run,
                          enum bench_group group, struct plan_seat seat)
{
    if (group == GROUP_PATTERN) {
        buf_addf(out, "/events?channel=bench/%s/*", run->name);
    } else if (group == GROUP_WIDE) {
        for (uint32_t i = 0; i < plan->channels; i++) {
            buf_add_str(out, i ? STR("&channel=") : STR("/events?channel="));
            add_channel(out, plan, run, i);
        }
    } else if (plan->matching == MATCHING_PATTERNS) {
        buf_add_lit(out, "/events?channel=");
        add_own_pattern(out, run, seat);
    } else {
        buf_add_lit(out, "/channels/");
        add_channel(out, plan, run, seat.channel);
    }
}

static void add_ours(struct buf *out, const struct plan *plan, const struct target_run *run,
                     enum bench_group group, struct plan_seat seat)
{
    bool query =
        group == GROUP_PATTERN || group == GROUP_WIDE || plan->matching == MATCHING_PATTERNS;
    add_selection(out, plan, run, group, seat);
    buf_add_char(out, query ? '&' : '?');
    if (plan->mechanism == MECHANISM_POLL || plan->mechanism == MECHANISM_WS)
        buf_add_lit(out, "after=now");
    else
        buf_addf(out, "stream=%s", plan_mechanism_name(plan->mechanism));
    if (group == GROUP_LATE)
        buf_add_lit(out, "&after=earliest");
}

void target_add_subscribe(struct buf *out, const struct plan *plan, const struct target_run *run,
                          enum bench_group group, struct plan_seat seat)
{
    buf_addf(out, "GET %.*s", STR_FMT(plan->url.path));
    switch (plan->target) {
    case TARGET_FRESHET:
        add_ours(out, plan, run, group, seat);
        break;
    case TARGET_NCHAN:
        buf_addf(out, "/%s?id=", plan_mechanism_name(plan->mechanism));
        add_channel(out, plan, run, seat.channel);
        break;
    case TARGET_PUSHPIN:
        buf_addf(out, "/%s?channel=", plan->mechanism == MECHANISM_WS ? "ws" : "stream");
        add_channel(out, plan, run, seat.channel);
        break;
    case TARGET_BARE:
        buf_add_char(out, '/');
        break;
    }
    end_request(out, plan);
}

void target_add_poll(struct buf *out, const struct plan *plan, const struct target_run *run,
                     uint32_t channel, const struct target_cursor *cursor)
{
    buf_addf(out, "GET %.*s", STR_FMT(plan->url.path));
    if (plan->target == TARGET_FRESHET) {
        add_selection(out, plan, run, GROUP_SINGLE, (struct plan_seat){channel, 0});
        buf_addf(out, "?wait=25&after=%.*s HTTP/1.1\r\n", STR_FMT(cursor->cursor));
    } else {
        buf_add_lit(out, "/poll?id=");
        add_channel(out, plan, run, channel);
        buf_add_lit(out, " HTTP/1.1\r\n");
        if (cursor->last_modified.len)
            buf_addf(out, "If-Modified-Since: %.*s\r\nIf-None-Match: %.*s\r\n",
                     STR_FMT(cursor->last_modified), STR_FMT(cursor->etag));
    }
    add_fields(out, plan, &plan->url);
    buf_add_lit(out, "\r\n");
}

struct target_cursor target_cursor_of(struct str head)
{
    return (struct target_cursor){.cursor = answer_field(head, STR("cursor")),
                                  .last_modified = answer_field(head, STR("last-modified")),
                                  .etag = answer_field(head, STR("etag"))};
}

/* ---- publishing ------------------------------------------------------------------------------ */

static void add_filler(struct buf *out, size_t size)
{
    char *at = buf_reserve(out, size);
    if (!at)
        return;
    memset(at, 'x', size);
    out->len += size;
}

/* Adds the data of an event: room for its mark, padded to its size. */
static void add_data(struct buf *out, const struct plan *plan, size_t *ret_mark_at)
{
    *ret_mark_at = out->len;
    add_filler(out, plan->size);
}

/* Writes a string, frees it, and returns the offset of its text: it is a hole that is filled in
 * later. */
static size_t write_hole(struct json_writer *writer, const char *name, struct buf *text)
{
    json_name(writer, name);
    size_t at = writer->out->len + 1;
    json_add_string(writer, buf_str(text));
    buf_free(text);
    return at;
}

/* {"items":[{"channel":NAME,"formats":{"http-stream":{"content":DATA}}}]} */
static void add_pushpin_body(struct target_publish *publish, const struct plan *plan,
                             const struct target_run *run, struct buf *body)
{
    bool ws = plan->mechanism == MECHANISM_WS;
    struct json_writer writer = json_writer(body);
    struct buf channel = {0}, content = {0};
    size_t mark_at;
    add_channel(&channel, plan, run, 0);
    buf_add_str(&content, ws ? STR_NONE : STR("data: "));
    add_data(&content, plan, &mark_at);
    buf_add_str(&content, ws ? STR_NONE : STR("\n\n"));
    json_object_begin(&writer);
    json_name(&writer, "items");
    json_array_begin(&writer);
    json_object_begin(&writer);
    size_t digits = channel.len - DIGITS;
    publish->channel_at = digits + write_hole(&writer, "channel", &channel);
    json_name(&writer, "formats");
    json_object_begin(&writer);
    json_name(&writer, ws ? "ws-message" : "http-stream");
    json_object_begin(&writer);
    publish->mark_at = mark_at + write_hole(&writer, "content", &content);
    json_object_end(&writer);
    json_object_end(&writer);
    json_object_end(&writer);
    json_array_end(&writer);
    json_object_end(&writer);
}

/* The offset of the digits of the channel that ends at `end`, before its "/e". */
static size_t digits_at(const struct plan *plan, size_t end)
{
    return end - DIGITS - (plan->matching ? 2 : 0);
}

/* Writes the data as a JSON object of the same size, such as clients send, and returns the offset
 * of its mark. */
static size_t write_object(struct json_writer *writer, const struct plan *plan)
{
    struct buf *out = writer->out, mark = {0}, text = {0};
    json_object_begin(writer);
    size_t end = out->len - 1 + plan->size - STR("\"}").len;
    buf_addf(&mark, "%*s", MARK_LEN, "");
    size_t mark_at = write_hole(writer, "mark", &mark);
    json_member_number(writer, "n", 1);
    json_name(writer, "text");
    add_filler(&text, end > out->len ? end - out->len - 1 : 0);
    json_add_string(writer, buf_str(&text));
    json_object_end(writer);
    buf_free(&text);
    return mark_at;
}

/* Every element has the same size, so that the holes of one are those of the first and strides. */
static void add_array(struct target_publish *publish, const struct plan *plan,
                      const struct target_run *run, struct buf *body)
{
    struct json_writer writer = json_writer(body);
    size_t channel_at = 0, mark_at = 0;
    json_array_begin(&writer);
    for (uint32_t i = 0; i < publish->events; i++) {
        size_t start = body->len;
        struct buf channel = {0};
        add_channel(&channel, plan, run, 0);
        json_object_begin(&writer);
        channel_at = digits_at(plan, channel.len);
        channel_at += write_hole(&writer, "channel", &channel);
        json_name(&writer, "data");
        mark_at = write_object(&writer, plan);
        json_object_end(&writer);
        publish->stride = body->len - start; /* with the comma that all but the first have */
    }
    json_array_end(&writer);
    publish->channel_at = channel_at - (publish->events - 1) * publish->stride;
    publish->mark_at = mark_at - (publish->events - 1) * publish->stride;
}

/* Adds the body; returns whether it names the channels, rather than the path. */
static bool add_body(struct target_publish *publish, const struct plan *plan,
                     const struct target_run *run, struct buf *body)
{
    if (publish->events > 1)
        add_array(publish, plan, run, body);
    else if (plan->target == TARGET_PUSHPIN)
        add_pushpin_body(publish, plan, run, body);
    else
        add_data(body, plan, &publish->mark_at);
    return publish->events > 1 || plan->target == TARGET_PUSHPIN;
}

static void add_path(struct target_publish *publish, const struct plan *plan,
                     const struct target_run *run, bool names_channel)
{
    static const char *const paths[] = {[TARGET_FRESHET] = "/channels/",
                                        [TARGET_NCHAN] = "/pub?id=",
                                        [TARGET_PUSHPIN] = "/publish/",
                                        [TARGET_BARE] = "/"};
    struct buf *out = &publish->bytes;
    buf_addf(out, "POST %.*s%s", STR_FMT(plan->publish_url.path),
             publish->events > 1 ? "/events" : paths[plan->target]);
    if (!names_channel)
        return;
    add_channel(out, plan, run, 0);
    publish->channel_at = digits_at(plan, out->len);
}

void target_publish_init(struct target_publish *publish, const struct plan *plan,
                         const struct target_run *run, uint32_t events)
{
    struct buf body = {0};
    *publish = (struct target_publish){.events = events};
    bool in_body = add_body(publish, plan, run, &body);
    add_path(publish, plan, run, !in_body);
    buf_add_lit(&publish->bytes, " HTTP/1.1\r\n");
    add_fields(&publish->bytes, plan, &plan->publish_url);
    buf_addf(&publish->bytes, "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n",
             events > 1 ? "application/json" : "text/plain", body.len);
    publish->mark_at += publish->bytes.len;
    if (in_body)
        publish->channel_at += publish->bytes.len;
    buf_add_str(&publish->bytes, buf_str(&body));
    buf_free(&body);
}

void target_publish_deinit(struct target_publish *publish)
{
    buf_free(&publish->bytes);
}
