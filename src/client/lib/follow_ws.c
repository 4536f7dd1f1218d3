#include "client/lib/follow_ws.h"

#include "client/lib/advice.h"
#include "client/lib/ws_link.h"

#include "base/json.h"
#include "base/json_writer.h"
#include "base/problem.h"

bool follow_ws_may_come_back(unsigned close_code)
{
    static const unsigned codes[] = {WS_CLOSE_GOING_AWAY,
                                     WS_CLOSE_NONE,
                                     WS_CLOSE_ABNORMAL,
                                     WS_CLOSE_RESTART,
                                     WS_CLOSE_LATER,
                                     4408,
                                     4429,
                                     4503};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (codes[i] == close_code)
            return true;
    return false;
}

static int subscribe(const struct following *following, struct ws_link *link)
{
    const struct follow_names *channels = &following->wish->channels;
    struct buf message = {0};
    struct json_writer writer = json_writer(&message);
    json_object_begin(&writer);
    json_member_string(&writer, "op", STR("subscribe"));
    json_member_number(&writer, "ref", 1);
    json_name(&writer, "channels");
    json_array_begin(&writer);
    for (size_t i = 0; i < channels->count; i++)
        json_add_string(&writer, str_from(channels->at[i]));
    json_array_end(&writer);
    following_write_start(following, &writer);
    json_object_end(&writer);
    int result = buf_failed(&message) ? WS_LINK_E_BROKEN : ws_link_send(link, buf_str(&message));
    buf_free(&message);
    return result;
}

static const char *advice_about(const struct following *following, uint64_t status)
{
    return status == 401 && !following->wish->token ? ADVICE_NO_CREDENTIAL : NULL;
}

/* The end after an `error` message, which can only be the answer to the subscribe message. */
static enum follow_end refused_by(struct following *following, const struct record *record)
{
    struct transfer_answer answer = {0};
    struct str key, value;
    uint64_t status = 0;
    for (size_t pos = 0; record->problem.len && record->problem.at[0] == '{' &&
                         json_next(record->problem, &pos, &key, &value);)
        if (str_eq(key, STR("status")) && value.len == 3)
            status = (uint64_t)(value.at[0] - '0') * 100 + (uint64_t)(value.at[1] - '0') * 10 +
                     (uint64_t)(value.at[2] - '0');
    answer.status = (long)status;
    answer.advice = advice_about(following, status);
    buf_add_str(&answer.body, record->problem);
    enum follow_end end = following_end_of(following, 0, &answer);
    transfer_answer_deinit(&answer);
    return end;
}

void follow_ws_add_close(struct buf *out, unsigned close_code, struct str reason)
{
    static const struct str path = STR("/errors/");
    const char *at = reason.len ? memmem(reason.at, reason.len, path.at, path.len) : NULL;
    struct str slug = at ? str_skip(reason, (size_t)(at - reason.at) + path.len) : STR_NONE;
    enum problem problem = problem_find(slug);
    buf_addf(out, "the server closed with %u", close_code);
    if (problem < PROBLEM_COUNT)
        buf_addf(out, ": %.*s (%.*s)", STR_FMT(problem_title(problem)), STR_FMT(reason));
    else if (reason.len)
        buf_addf(out, " %.*s", STR_FMT(reason));
}

static enum follow_end end_of(struct following *following, const struct ws_link *link, int result)
{
    struct transfer_answer answer = {0};
    enum follow_end end = FOLLOW_LOST;
    switch (result) {
    case WS_LINK_STOPPED:
        return FOLLOW_DONE;
    case WS_LINK_E_REFUSED:
        answer.status = link->status;
        answer.advice = advice_about(following, (uint64_t)link->status);
        buf_add_str(&answer.body, buf_str(&link->in));
        end = following_end_of(following, 0, &answer);
        transfer_answer_deinit(&answer);
        return end;
    case WS_LINK_E_CLOSED:
        follow_ws_add_close(&following->why, link->close_code, buf_str(&link->why));
        following->advice = link->advice;
        return follow_ws_may_come_back(link->close_code) ? FOLLOW_LOST : FOLLOW_REFUSED;
    default:
        break;
    }
    buf_add_str(&following->why, buf_str(&link->why));
    following->advice = link->advice;
    return end;
}

static enum follow_end read_messages(struct following *following, struct ws_link *link)
{
    for (;;) {
        struct str message;
        int result = ws_link_next(link, following->pending, &message);
        if (result == WS_LINK_MORE) {
            if (following_pause(following))
                return FOLLOW_DONE;
            continue;
        }
        if (result != WS_LINK_MESSAGE) {
            (void)following_pause(following);
            return end_of(following, link, result);
        }
        struct record record = record_read(message);
        if (record.kind == RECORD_ERROR)
            return refused_by(following, &record);
        if (following_take(following, &record))
            return FOLLOW_DONE;
    }
}

enum follow_end follow_ws_run(struct following *following)
{
    struct ws_link link;
    ws_link_init(&link, following->interrupt, following->sink->watched_fd, FOLLOW_QUIET_MS,
                 FOLLOW_RECORD_MAX);
    int result = ws_link_open(&link, &following->wish->url, following->tls, "/events", "freshet.v1",
                              following->wish->token);
    if (!result) {
        following->reached = true;
        result = subscribe(following, &link);
    }
    enum follow_end end =
        result ? end_of(following, &link, result) : read_messages(following, &link);
    if (end == FOLLOW_DONE)
        ws_link_close(&link);
    ws_link_deinit(&link);
    return end;
}
