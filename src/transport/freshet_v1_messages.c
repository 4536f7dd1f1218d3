#include "transport/freshet_v1_messages.h"

#include "transport/audit_notes.h"
#include "transport/formats/ops.h"

struct request_stream *freshet_v1_request(const struct freshet_v1 *v1)
{
    return v1->websocket.pull.request;
}

void freshet_v1_send(struct freshet_v1 *v1, struct buf *message)
{
    struct request_stream *request = freshet_v1_request(v1);
    if (buf_failed(message))
        request_stream_add(request)->failed = true;
    else if (!v1->websocket.close_sent) /* nothing follows a close frame */
        ws_add_message(request_stream_add(request), &request->worker->deflater,
                       v1->websocket.window_bits, WS_TEXT, buf_str(message));
    buf_free(message);
    request_stream_dirty(request);
}

struct json_writer freshet_v1_open(struct buf *message, const char *op, struct str ref)
{
    struct json_writer writer = ops_open(message, op);
    if (ref.len)
        json_member_raw(&writer, "ref", ref);
    return writer;
}

static void send_problem(struct freshet_v1 *v1, struct str ref, enum problem problem,
                         const char *detail, struct str members)
{
    struct buf message = {0};
    struct worker *worker = freshet_v1_request(v1)->worker;
    stat_add(&worker->stats.problems[problem], 1);
    audit_note_refusal(worker, freshet_v1_request(v1), live_caller(worker, &v1->websocket.pull),
                       problem, str_from(detail), members);
    struct json_writer writer = freshet_v1_open(&message, "error", ref);
    json_name(&writer, "problem");
    problem_write(&writer, worker->config.base, problem, str_from(detail), members);
    json_object_end(&writer);
    freshet_v1_send(v1, &message);
}

void freshet_v1_error(struct freshet_v1 *v1, struct str ref, enum problem problem,
                      const char *detail)
{
    send_problem(v1, ref, problem, detail, STR_NONE);
}

void freshet_v1_refuse(struct freshet_v1 *v1, struct str ref, const struct refusal *refusal)
{
    struct buf members = {0};
    struct json_writer writer = json_members_writer(&members);
    refusal_write(&writer, refusal);
    send_problem(v1, ref, refusal->problem, refusal->detail, buf_str(&members));
    buf_free(&members);
}

void freshet_v1_send_began(struct freshet_v1 *v1, struct str ref, uint64_t cursor)
{
    struct request_stream *request = freshet_v1_request(v1);
    char name[CONN_NAME_SIZE];
    struct buf message = {0};
    struct json_writer writer = freshet_v1_open(&message, "ok", ref);
    json_member_id(&writer, "cursor", cursor);
    json_member_string(&writer, "connection", request_stream_name(request, name));
    json_object_end(&writer);
    freshet_v1_send(v1, &message);
}

void freshet_v1_send_live(struct freshet_v1 *v1, struct str ref, uint64_t cursor)
{
    struct buf message = {0};
    struct json_writer writer = freshet_v1_open(&message, "live", ref);
    json_member_id(&writer, "cursor", cursor);
    json_object_end(&writer);
    freshet_v1_send(v1, &message);
}

unsigned freshet_v1_encoding(const struct freshet_v1 *v1)
{
    return encoding_of(FORMAT_FRESHET_V1, false, false, v1->websocket.window_bits);
}

void freshet_v1_send_gap(struct freshet_v1 *v1, const struct gap *gap)
{
    struct request_stream *request = freshet_v1_request(v1);
    if (!v1->websocket.close_sent)
        encode_gap(&request->worker->deflater, freshet_v1_encoding(v1), request_stream_add(request),
                   gap);
    request_stream_dirty(request);
}

void freshet_v1_give_up(struct freshet_v1 *v1)
{
    websocket_close_problem(&v1->websocket, PROBLEM_UNAVAILABLE);
}
