#include "client/lib/follow_http.h"

#include "client/lib/line_reader.h"
#include "client/lib/sse_reader.h"

#include <errno.h>

enum { POLL_WAIT_S = 25, POLL_LIMIT = 1000 };

/* The state of both streams; each cuts bytes into records with its own reader. */
struct stream_reading {
    struct following *following;
    struct line_reader lines;
    struct sse_reader sse;
    bool too_long;
};

/* ---- the streams ----------------------------------------------------------------------------- */

static bool take_line(struct following *following, struct str line)
{
    struct record record = record_read(line);
    return following_take(following, &record);
}

static bool take_sse(struct following *following, const struct sse_record *sse)
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
    return following_take(following, &record);
}

/* Each takes a record off the front. Returns 1 if there was one, 0 if the bytes ran out, or an
 * errno. */
static int next_line(struct stream_reading *reading, struct str *bytes, bool *ret_done)
{
    struct str line;
    int result = line_reader_feed(&reading->lines, bytes, &line);
    if (result == LINE_READY && line.len)
        *ret_done = take_line(reading->following, line);
    return result;
}

static int next_sse(struct stream_reading *reading, struct str *bytes, bool *ret_done)
{
    struct sse_record record;
    int result = sse_reader_feed(&reading->sse, bytes, &record);
    if (result == SSE_RECORD)
        *ret_done = take_sse(reading->following, &record);
    return result;
}

static bool take_bytes(void *owner, struct str bytes)
{
    struct stream_reading *reading = owner;
    bool sse = reading->following->wish->mechanism == FOLLOW_SSE, done = false;
    int result = 1;
    reading->following->reached = true;
    while (!done && result > 0)
        result = sse ? next_sse(reading, &bytes, &done) : next_line(reading, &bytes, &done);
    bool ended = following_pause(reading->following);
    reading->too_long = result < 0;
    return done || result < 0 || ended;
}

static void request_url(const struct following *following, struct buf *out)
{
    server_url_add(out, &following->wish->url);
    following_add_path(following, out);
    if (following->wish->mechanism == FOLLOW_POLL) {
        /* The first poll does not wait: it gives a cursor, so that no event is missed if a
         * connection breaks during a later wait. */
        buf_addf(out, "&limit=%d&wait=%d", POLL_LIMIT, following->cursor[0] ? POLL_WAIT_S : 0);
    } else {
        /* Ask for envelopes, which have the ids; the data alone is made of them by the caller. */
        buf_addf(out, "&format=event&stream=%s",
                 following->wish->mechanism == FOLLOW_SSE ? "sse" : "ndjson");
    }
    buf_add_char(out, '\0');
}

static int request(struct following *following, struct transfer *transfer,
                   struct stream_reading *reading, struct transfer_answer *answer)
{
    struct buf url = {0};
    request_url(following, &url);
    struct transfer_request request = {
        .url = url.at,
        .token = following->wish->token,
        .quiet_ms = FOLLOW_QUIET_MS,
        .watched_fd = following->sink->watched_fd,
        .take = reading ? take_bytes : NULL,
        .owner = reading,
    };
    answer->error = "there is no memory";
    int result = buf_failed(&url) ? TRANSFER_E_BROKEN : transfer_run(transfer, &request, answer);
    buf_free(&url);
    return result;
}

static enum follow_end run_stream(struct following *following, struct transfer *transfer)
{
    struct transfer_answer answer = {0};
    struct stream_reading reading = {.following = following,
                                     .lines = {.line_max = FOLLOW_RECORD_MAX},
                                     .sse = {.record_max = FOLLOW_RECORD_MAX}};
    int result = request(following, transfer, &reading, &answer);
    enum follow_end end;
    if (reading.too_long) {
        buf_add_lit(&following->why, "the server sent a record that is too long");
        end = FOLLOW_REFUSED;
    } else if (!result && answer.status == 204) {
        end = FOLLOW_DONE; /* the server asks the client to stop for good */
    } else {
        end = following_end_of(following, result, &answer);
    }
    line_reader_deinit(&reading.lines);
    sse_reader_deinit(&reading.sse);
    transfer_answer_deinit(&answer);
    return end;
}

/* ---- polls ----------------------------------------------------------------------------------- */

/* Handles a page of a poll. Returns -EINVAL if the body is no page. */
static int take_page(struct following *following, struct str body)
{
    struct record_page page;
    struct record record;
    if (record_read_page(body, &page))
        return -EINVAL;
    for (size_t pos = 0; !following->ended && record_next_event(&page, &pos, &record);)
        following_take(following, &record);
    following->heard = true;
    following_set_cursor(following, page.cursor);
    following_set_told(following, page.told);
    (void)following_pause(following);
    return 0;
}

/* Continues at the position that the server names. Returns true if the next poll may follow at
 * once. */
static bool take_gap(struct following *following, struct str body)
{
    struct str cursor, told;
    following->reached = following->heard = true;
    following_tell(following, "$gap", body);
    if (!record_read_gap(body, &cursor, &told)) {
        following_set_cursor(following, cursor);
        following_set_told(following, told);
        return true;
    }
    /* A gap after "earliest" would lead to an endless loop. */
    if (strcmp(following->cursor, "earliest") == 0)
        return false;
    memcpy(following->cursor, "earliest", sizeof("earliest"));
    following_set_told(following, STR(""));
    return true;
}

/* Handles the answer to a poll. Returns true if the next poll may follow at once. */
static bool take_answer(struct following *following, int result,
                        const struct transfer_answer *answer, enum follow_end *ret_end)
{
    if (!result && answer->status == 410) {
        *ret_end = FOLLOW_LOST;
        return take_gap(following, buf_str(&answer->body));
    }
    if (result || answer->status != 200) {
        *ret_end = following_end_of(following, result, answer);
        return false;
    }
    following->reached = true;
    if (take_page(following, buf_str(&answer->body))) {
        buf_add_lit(&following->why, "what the server answered is no page of events");
        *ret_end = FOLLOW_REFUSED;
        return false;
    }
    *ret_end = FOLLOW_DONE;
    return !following->ended;
}

static enum follow_end run_polls(struct following *following, struct transfer *transfer)
{
    struct transfer_answer answer = {0};
    enum follow_end end;
    int result;
    do
        result = request(following, transfer, NULL, &answer);
    while (take_answer(following, result, &answer, &end));
    transfer_answer_deinit(&answer);
    return end;
}

enum follow_end follow_http_run(struct following *following, struct transfer *transfer)
{
    return following->wish->mechanism == FOLLOW_POLL ? run_polls(following, transfer)
                                                     : run_stream(following, transfer);
}
