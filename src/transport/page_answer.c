/* The bytes of an answer follow from its key: page_key() lists everything they depend on,
 * add_answer() writes them, and requests with equal keys share them. Anything added here that
 * depends on more must join the key. */
#include "transport/page_answer.h"

#include "http/response.h"

enum { WAIT_DEFAULT_S = 25, ANSWER_ROOM = 1536 };

static struct str id_text(char room[BUF_ID_LEN], uint64_t id)
{
    buf_put_id(room, id);
    return (struct str){room, BUF_ID_LEN};
}

static void add_next(struct buf *out, const struct reading *reading, uint64_t cursor, uint64_t told)
{
    char room[BUF_ID_LEN];
    struct buf value = {0};
    buf_add_str(&value, id_text(room, cursor));
    if (told) {
        buf_add_lit(&value, "&told=");
        buf_add_str(&value, id_text(room, told));
    }
    buf_add_lit(&value, "&wait=");
    buf_add_u64(&value, reading->wait_s ? reading->wait_s : WAIT_DEFAULT_S);
    reading_add_query(out, reading, "after", buf_str(&value));
    buf_free(&value);
}

static void add_next_link(struct buf *out, const struct reading *reading, uint64_t cursor,
                          uint64_t told)
{
    buf_add_lit(out, "Link: <");
    add_next(out, reading, cursor, told);
    buf_add_lit(out, ">; rel=\"next\"\r\n");
}

static void add_first_link(struct buf *out, const struct reading *reading)
{
    buf_add_lit(out, "Link: <");
    reading_add_query(out, reading, "after", STR("earliest"));
    buf_add_lit(out, ">; rel=\"first\"\r\n");
}

static void add_links(struct buf *out, const struct reading *reading,
                      const struct page_content *content)
{
    char room[BUF_ID_LEN];
    add_next_link(out, reading, content->cursor, content->told);
    if (content->waited)
        return;
    add_first_link(out, reading);
    if (!content->first)
        return;
    buf_add_lit(out, "Link: <");
    reading_add_query(out, reading, "before", id_text(room, content->first));
    buf_add_lit(out, ">; rel=\"prev\"\r\n");
}

static bool is_unknown(const struct reading *reading)
{
    return reading->gap && strcmp(reading->gap, GAP_UNKNOWN) == 0;
}

/* Writes everything behind the events. */
static void write_tail(struct json_writer *writer, const struct reading *reading,
                       const struct page_content *content)
{
    struct buf next = {0};
    add_next(&next, reading, content->cursor, content->told);
    json_array_end(writer);
    json_member_id(writer, "cursor", content->cursor);
    if (content->told)
        json_member_id(writer, "told", content->told);
    json_member_bool(writer, "more", content->more);
    json_member_string(writer, "next", buf_str(&next));
    json_object_end(writer);
    buf_add_char(writer->out, '\n');
    writer->out->failed |= buf_failed(&next);
    buf_free(&next);
}

static void add_body(struct buf *out, bool is_head, const struct reading *reading,
                     const struct page_content *content)
{
    struct str events = content->events;
    struct buf start = {0}, tail = {0};
    struct json_writer writer = json_writer(&start);
    events.len -= events.len > 0; /* the last comma */
    json_object_begin(&writer);
    json_name(&writer, "events");
    json_array_begin(&writer);
    writer.out = &tail;
    write_tail(&writer, reading, content);
    http_response_header_u64(out, STR("Content-Length"), start.len + events.len + tail.len);
    http_response_end(out);
    if (!is_head) {
        buf_add_str(out, buf_str(&start));
        buf_add_str(out, events);
        buf_add_str(out, buf_str(&tail));
    }
    out->failed |= buf_failed(&start) || buf_failed(&tail);
    buf_free(&start);
    buf_free(&tail);
}

static void add_answer(struct buf *out, struct exchange *exchange, const struct reading *reading,
                       const struct page_content *content)
{
    exchange_add_head(exchange, out, 200);
    /* A poll that waits comes again and again; its first request was told all the links. */
    if (content->waited)
        reading_add_cursor(out, content->cursor);
    else
        reading_add_headers(out, reading, exchange->worker->config.base, content->cursor);
    add_links(out, reading, content);
    if (reading->prefer_wait) {
        buf_add_lit(out, "Preference-Applied: wait=");
        buf_add_u64(out, reading->wait_s);
        buf_add_lit(out, "\r\n");
    }
    buf_add_lit(out, "Content-Type: application/json\r\n");
    add_body(out, exchange->is_head, reading, content);
}

static struct page_key key_of(const struct exchange *exchange, const struct reading *reading,
                              const struct page_content *content)
{
    return (struct page_key){
        .unix_seconds = clock_wall_us(exchange->worker->config.clock) / 1000000,
        .cursor = content->cursor,
        .told = content->told,
        .first = content->first,
        .wait_s = reading->wait_s,
        .prefer_wait = reading->prefer_wait,
        .more = content->more,
        .waited = content->waited,
        .is_head = exchange->is_head,
        .keep_alive = exchange->keep_alive,
        .http10 = exchange->http10,
        .origin = {exchange->origin, exchange->origin_len},
        .channel = reading->channel,
        .kept = reading->kept,
        .events = content->events,
    };
}

void page_answer(struct exchange *exchange, const struct reading *reading,
                 const struct page_content *content)
{
    struct page_memos *memos = &exchange->worker->page_memos;
    struct page_key key = key_of(exchange, reading, content);
    struct str known = page_memos_find(memos, &key);
    if (known.at) {
        exchange_whole(exchange, known);
        return;
    }
    struct buf bytes = {0};
    buf_reserve(&bytes, ANSWER_ROOM + content->events.len);
    add_answer(&bytes, exchange, reading, content);
    if (buf_failed(&bytes))
        buf_free(&bytes);
    page_memos_keep(memos, &key, buf_str(&bytes));
    exchange_whole(exchange, buf_str(&bytes));
    buf_free(&bytes);
}

/* Adds links for a client with a gap: it continues where it was, without the same gap being
 * reported again. An unknown position has no place in the log, so there is no link for it. */
static void add_ways_on(struct buf *head, struct json_writer *members,
                        const struct reading *reading, const struct page_gap *gap)
{
    add_first_link(head, reading);
    if (is_unknown(reading))
        return;
    uint64_t told = gap->trimmed > gap->cursor ? gap->trimmed : gap->cursor;
    struct buf next = {0};
    add_next(&next, reading, gap->cursor, told);
    json_member_string(members, "next", buf_str(&next));
    members->out->failed |= buf_failed(&next);
    buf_free(&next);
    add_next_link(head, reading, gap->cursor, told);
}

void page_answer_gap(struct exchange *exchange, const struct reading *reading,
                     const struct page_gap *gap)
{
    struct buf document = {0}, members = {0}, links = {0};
    const char *reason = is_unknown(reading)
                             ? GAP_UNKNOWN
                             : log_gap_reason(exchange->worker->config.log, gap->trimmed);
    struct json_writer writer = json_members_writer(&members);
    encode_gap_members(&writer, gap->after, gap->trimmed, reason);
    add_ways_on(&links, &writer, reading, gap);
    struct str detail =
        is_unknown(reading)
            ? STR("the log has no such position: begin at rel=\"first\"")
            : STR("events after it are gone: go on by rel=\"next\", or begin at rel=\"first\"");
    problem_add(&document, exchange->worker->config.base, PROBLEM_GAP, detail, buf_str(&members));
    stat_add(&exchange->worker->stats.problems[PROBLEM_GAP], 1);
    struct buf *out = exchange_head(exchange, problem_status(PROBLEM_GAP));
    /* No event was handed out: a client that continues by this cursor gets all that is retained. */
    buf_add_lit(out, "Cursor: ");
    buf_add_id(out, 0);
    buf_add_lit(out, "\r\n");
    buf_add_str(out, buf_str(&links));
    if (buf_failed(&document) || buf_failed(&members) || buf_failed(&links))
        out->failed = true;
    exchange_body(exchange, STR("application/problem+json"), buf_str(&document));
    buf_free(&document);
    buf_free(&members);
    buf_free(&links);
}
