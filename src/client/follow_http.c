#include "client/follow_http.h"

#include "client/line_reader.h"
#include "client/sse_reader.h"

#include <errno.h>

enum { POLL_WAIT_S = 25, POLL_LIMIT = 1000 };

/* The state of both streams; each cuts bytes into records with its own reader. */
struct stream_reading {
    struct follow *follow;
    struct line_reader lines;
    struct sse_reader sse;
    bool too_long;
};

/* ---- the streams ----------------------------------------------------------------------------- */

static bool take_line(struct follow *follow, struct str line)
{
    struct record record = record_read(line);
    return follow_take(follow, &record);
}

static bool take_sse(struct follow *follow, const struct sse_record *sse)
{
    struct record record = {.kind = RECORD_CURSOR, .raw = sse->data};
    if (str_eq(sse->event, STR("$gap")))
        record.kind = RECORD_GAP;
    else if (str_eq(sse->event, STR("$bye")))
        record.kind = RECORD_BYE;
    else if (!sse->event.len && sse->data.len)
        record = record_read(sse->data);
    record.retry_ms = sse->retry_ms;
    record.cursor = sse->id;
    return follow_take(follow, &record);
}

/* Each takes a record off the front. Returns 1 if there was one, 0 if the bytes ran out, or an
 * errno. */
static int next_line(struct stream_reading *reading, struct str *bytes, bool *ret_done)
{
    struct str line;
    int result = line_reader_feed(&reading->lines, bytes, &line);
    if (result == LINE_READY && line.len)
        *ret_done = take_line(reading->follow, line);
    return result;
}

static int next_sse(struct stream_reading *reading, struct str *bytes, bool *ret_done)
{
    struct sse_record record;
    int result = sse_reader_feed(&reading->sse, bytes, &record);
    if (result == SSE_RECORD)
        *ret_done = take_sse(reading->follow, &record);
    return result;
}

static bool take_bytes(void *owner, struct str bytes)
{
    struct stream_reading *reading = owner;
    bool sse = reading->follow->wish->via == FOLLOW_SSE, done = false;
    int result = 1;
    reading->follow->reached = true;
    while (!done && result > 0)
        result = sse ? next_sse(reading, &bytes, &done) : next_line(reading, &bytes, &done);
    printer_flush(reading->follow->printer);
    reading->too_long = result < 0;
    return done || result < 0 || reading->follow->printer->ended;
}

static void request_url(const struct follow *follow, struct buf *out)
{
    buf_add_str(out, follow->wish->url.text);
    follow_add_path(follow, out);
    if (follow->wish->via == FOLLOW_POLL) {
        /* The first poll does not wait: it gives a cursor, so that no event is missed if a
         * connection breaks during a later wait. */
        buf_addf(out, "&limit=%d&wait=%d", POLL_LIMIT, follow->cursor[0] ? POLL_WAIT_S : 0);
    } else {
        /* Ask for envelopes, which have the ids; --format data is made of them here. */
        buf_addf(out, "&format=event&stream=%s",
                 follow->wish->via == FOLLOW_SSE ? "sse" : "ndjson");
    }
    buf_add_char(out, '\0');
}

static int request(struct follow *follow, struct transfer *transfer, struct stream_reading *reading,
                   struct transfer_answer *answer)
{
    struct buf url = {0};
    request_url(follow, &url);
    struct transfer_request request = {
        .url = url.at,
        .token = follow->wish->token,
        .quiet_ms = FOLLOW_QUIET_MS,
        .watched_fd = follow->printer->fd,
        .take = reading ? take_bytes : NULL,
        .owner = reading,
    };
    answer->error = "there is no memory";
    int result = buf_failed(&url) ? TRANSFER_E_BROKEN : transfer_run(transfer, &request, answer);
    buf_free(&url);
    return result;
}

static enum follow_end run_stream(struct follow *follow, struct transfer *transfer)
{
    struct transfer_answer answer = {0};
    struct stream_reading reading = {.follow = follow,
                                     .lines = {.line_max = FOLLOW_RECORD_MAX},
                                     .sse = {.record_max = FOLLOW_RECORD_MAX}};
    int result = request(follow, transfer, &reading, &answer);
    enum follow_end end;
    if (reading.too_long) {
        buf_add_lit(&follow->why, "the server sent a record that is too long");
        end = FOLLOW_REFUSED;
    } else if (!result && answer.status == 204) {
        end = FOLLOW_DONE; /* the server asks the client to stop for good */
    } else {
        end = follow_end_of(follow, result, &answer);
    }
    line_reader_deinit(&reading.lines);
    sse_reader_deinit(&reading.sse);
    transfer_answer_deinit(&answer);
    return end;
}

/* ---- polls ----------------------------------------------------------------------------------- */

/* Handles a page of a poll. Returns -EINVAL if the body is no page. */
static int take_page(struct follow *follow, struct str body)
{
    struct record_page page;
    struct record record;
    if (record_read_page(body, &page))
        return -EINVAL;
    for (size_t pos = 0; !follow->printer->ended && record_next_event(&page, &pos, &record);)
        follow_take(follow, &record);
    follow->heard = true;
    follow_set_cursor(follow, page.cursor);
    follow_set_told(follow, page.told);
    printer_flush(follow->printer);
    return 0;
}

/* Continues at the position that the server names. Returns true if the next poll may follow at
 * once. */
static bool take_gap(struct follow *follow, struct str body)
{
    struct str cursor, told;
    follow->reached = follow->heard = true;
    follow_tell("$gap", body);
    if (!record_read_gap(body, &cursor, &told)) {
        follow_set_cursor(follow, cursor);
        follow_set_told(follow, told);
        return true;
    }
    /* A gap after "earliest" would lead to an endless loop. */
    if (strcmp(follow->cursor, "earliest") == 0)
        return false;
    memcpy(follow->cursor, "earliest", sizeof("earliest"));
    follow_set_told(follow, STR(""));
    return true;
}

/* Handles the answer to a poll. Returns true if the next poll may follow at once. */
static bool take_answer(struct follow *follow, int result, const struct transfer_answer *answer,
                        enum follow_end *ret_end)
{
    if (!result && answer->status == 410) {
        *ret_end = FOLLOW_LOST;
        return take_gap(follow, buf_str(&answer->body));
    }
    if (result || answer->status != 200) {
        *ret_end = follow_end_of(follow, result, answer);
        return false;
    }
    follow->reached = true;
    if (take_page(follow, buf_str(&answer->body))) {
        buf_add_lit(&follow->why, "what the server answered is no page of events");
        *ret_end = FOLLOW_REFUSED;
        return false;
    }
    *ret_end = FOLLOW_DONE;
    return !follow->printer->ended;
}

static enum follow_end run_polls(struct follow *follow, struct transfer *transfer)
{
    struct transfer_answer answer = {0};
    enum follow_end end;
    int result;
    do
        result = request(follow, transfer, NULL, &answer);
    while (take_answer(follow, result, &answer, &end));
    transfer_answer_deinit(&answer);
    return end;
}

enum follow_end follow_http_run(struct follow *follow, struct transfer *transfer)
{
    return follow->wish->via == FOLLOW_POLL ? run_polls(follow, transfer)
                                            : run_stream(follow, transfer);
}
