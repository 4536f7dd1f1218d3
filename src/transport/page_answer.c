/* The bytes of an answer follow from its key: key_of() lists everything of the page that they
 * depend on, and requests with equal keys share them. Anything added here that depends on more must
 * join the key. */
#include "transport/page_answer.h"

#include "transport/formats/ops.h"

enum { WAIT_DEFAULT_S = 25 };

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

static void add_next_link(struct response *response, const struct reading *reading, uint64_t cursor,
                          uint64_t told)
{
    struct buf *link = response_compose(response, STR("Link"));
    buf_add_char(link, '<');
    add_next(link, reading, cursor, told);
    buf_add_lit(link, ">; rel=\"next\"");
}

static void add_first_link(struct response *response, const struct reading *reading)
{
    reading_add_link(response, reading, "after", STR("earliest"), "first");
}

static void add_links(struct response *response, const struct reading *reading,
                      const struct page_content *content)
{
    char room[BUF_ID_LEN];
    add_next_link(response, reading, content->cursor, content->told);
    if (content->waited)
        return;
    add_first_link(response, reading);
    if (content->first)
        reading_add_link(response, reading, "before", id_text(room, content->first), "prev");
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

/* The texts before and after the events. */
static void add_frame(struct buf *start, struct buf *tail, const struct reading *reading,
                      const struct page_content *content)
{
    struct json_writer writer = json_writer(start);
    json_object_begin(&writer);
    json_name(&writer, "events");
    json_array_begin(&writer);
    writer.out = tail;
    write_tail(&writer, reading, content);
}

static void add_fields(struct response *response, const struct exchange *exchange,
                       const struct reading *reading, const struct page_content *content)
{
    /* A poll that waited gets only the link to the next page: the first request of its client got
     * all links. */
    if (content->waited)
        reading_add_cursor(response, content->cursor);
    else
        reading_add_headers(response, reading, exchange->worker->config.base, content->cursor);
    add_links(response, reading, content);
    if (reading->prefer_wait)
        buf_addf(response_compose(response, STR("Preference-Applied")), "wait=%u", reading->wait_s);
}

static struct page_key key_of(const struct reading *reading, const struct page_content *content)
{
    return (struct page_key){
        .cursor = content->cursor,
        .told = content->told,
        .first = content->first,
        .wait_s = reading->wait_s,
        .prefer_wait = reading->prefer_wait,
        .more = content->more,
        .waited = content->waited,
        .channel = reading->channel,
        .kept = reading->kept,
        .events = content->events,
    };
}

void page_answer(struct exchange *exchange, const struct reading *reading,
                 const struct page_content *content)
{
    struct page_key key = key_of(reading, content);
    struct buf start = {0}, tail = {0};
    struct response response;
    if (exchange_respond_known(exchange, &key))
        return;
    add_frame(&start, &tail, reading, content);
    response_init(&response, 200);
    add_fields(&response, exchange, reading, content);
    response.type = format_page.content_type;
    response.body[0] = buf_str(&start);
    response.body[1] = content->events;
    if (content->events.len)
        response.body[1].len -= format_page.separator.len;
    response.body[2] = buf_str(&tail);
    if (buf_failed(&start) || buf_failed(&tail))
        response_fail(&response);
    exchange_respond_keep(exchange, &key, &response);
    buf_free(&start);
    buf_free(&tail);
}

/* Adds links for a client with a gap: it continues at its position without the same gap being
 * reported again. An unknown position has no link, since it is no place in the log. */
static void add_ways_on(struct response *response, struct json_writer *members,
                        const struct reading *reading, const struct gap *gap)
{
    add_first_link(response, reading);
    if (gap_is_unknown(gap))
        return;
    uint64_t told = gap->earliest > gap->cursor ? gap->earliest : gap->cursor;
    struct buf next = {0};
    add_next(&next, reading, gap->cursor, told);
    json_member_string(members, "next", buf_str(&next));
    members->out->failed |= buf_failed(&next);
    buf_free(&next);
    add_next_link(response, reading, gap->cursor, told);
}

void page_answer_gap(struct exchange *exchange, const struct reading *reading,
                     const struct gap *gap)
{
    struct response response;
    struct buf members = {0};
    struct json_writer writer = json_members_writer(&members);
    response_init(&response, 0);
    /* The client got no event yet: the cursor in the link gives it all that is retained. */
    buf_add_id(response_compose(&response, STR("Cursor")), 0);
    ops_write_gap(&writer, gap->after, gap->earliest, gap->reason);
    add_ways_on(&response, &writer, reading, gap);
    struct str detail =
        gap_is_unknown(gap)
            ? STR("the cursor is not a position in this log: begin at rel=\"first\"")
            : STR("events after the cursor are gone: continue with rel=\"next\", or begin at "
                  "rel=\"first\"");
    if (buf_failed(&members))
        response_fail(&response);
    exchange_refuse(exchange, &response, PROBLEM_GAP, detail, buf_str(&members));
    buf_free(&members);
}
