#include "client/follow_ws.h"

#include "client/ws_link.h"

#include "base/json.h"
#include "base/json_writer.h"

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

static int subscribe(const struct follow *follow, struct ws_link *link)
{
    const struct command_list *channels = &follow->wish->channels;
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
    follow_write_start(follow, &writer);
    json_object_end(&writer);
    int result = buf_failed(&message) ? WS_LINK_E_BROKEN : ws_link_send(link, buf_str(&message));
    buf_free(&message);
    return result;
}

/* The end after an `error` message, which can only be the answer to the subscribe message. */
static enum follow_end refused_by(struct follow *follow, const struct record *record)
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
    buf_add_str(&answer.body, record->problem);
    enum follow_end end = follow_end_of(follow, 0, &answer);
    transfer_answer_deinit(&answer);
    return end;
}

static enum follow_end end_of(struct follow *follow, const struct ws_link *link, int result)
{
    struct transfer_answer answer = {0};
    enum follow_end end = FOLLOW_LOST;
    switch (result) {
    case WS_LINK_STOPPED:
        return FOLLOW_DONE;
    case WS_LINK_E_REFUSED:
        answer.status = link->status;
        buf_add_str(&answer.body, buf_str(&link->in));
        end = follow_end_of(follow, 0, &answer);
        transfer_answer_deinit(&answer);
        return end;
    case WS_LINK_E_CLOSED:
        buf_addf(&follow->why, "the server closed with %u ", link->close_code);
        end = follow_ws_may_come_back(link->close_code) ? FOLLOW_LOST : FOLLOW_REFUSED;
        break;
    default:
        break;
    }
    buf_add_str(&follow->why, buf_str(&link->why));
    return end;
}

static enum follow_end read_messages(struct follow *follow, struct ws_link *link)
{
    for (;;) {
        struct str message;
        int result = ws_link_next(link, follow->printer->out.len > 0, &message);
        if (result == WS_LINK_MORE) {
            printer_flush(follow->printer);
            if (follow->printer->ended)
                return FOLLOW_DONE;
            continue;
        }
        if (result != WS_LINK_MESSAGE) {
            printer_flush(follow->printer);
            return end_of(follow, link, result);
        }
        struct record record = record_read(message);
        if (record.kind == RECORD_ERROR)
            return refused_by(follow, &record);
        if (follow_take(follow, &record))
            return FOLLOW_DONE;
    }
}

enum follow_end follow_ws_run(struct follow *follow)
{
    struct ws_link link;
    ws_link_init(&link, follow->interrupt, follow->printer->fd, FOLLOW_QUIET_MS, FOLLOW_RECORD_MAX);
    int result =
        ws_link_open(&link, &follow->wish->url, "/events", "freshet.v1", follow->wish->token);
    if (!result) {
        follow->reached = true;
        result = subscribe(follow, &link);
    }
    enum follow_end end = result ? end_of(follow, &link, result) : read_messages(follow, &link);
    if (end == FOLLOW_DONE)
        ws_link_close(&link);
    ws_link_deinit(&link);
    return end;
}
