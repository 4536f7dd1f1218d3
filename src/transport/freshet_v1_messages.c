#include "transport/freshet_v1_messages.h"

#include "transport/formats/ops.h"

struct request_stream *protocol_request(const struct protocol *protocol)
{
    return protocol->socket.pull.request;
}

void protocol_send(struct protocol *protocol, struct buf *message)
{
    struct request_stream *request = protocol_request(protocol);
    if (buf_failed(message))
        request_stream_add(request)->failed = true;
    else if (!protocol->socket.close_sent) /* nothing follows a close frame */
        ws_add_message(request_stream_add(request), &request->worker->deflater,
                       protocol->socket.window_bits, WS_TEXT, buf_str(message));
    buf_free(message);
    request_stream_dirty(request);
}

struct json_writer protocol_open(struct buf *message, const char *op, struct str ref)
{
    struct json_writer writer = ops_open(message, op);
    if (ref.len)
        json_member_raw(&writer, "ref", ref);
    return writer;
}

void protocol_error(struct protocol *protocol, struct str ref, enum problem problem,
                    const char *detail)
{
    struct buf message = {0};
    struct worker *worker = protocol_request(protocol)->worker;
    stat_add(&worker->stats.problems[problem], 1);
    struct json_writer writer = protocol_open(&message, "error", ref);
    json_name(&writer, "problem");
    problem_write(&writer, worker->config.base, problem, str_from(detail), STR_NONE);
    json_object_end(&writer);
    protocol_send(protocol, &message);
}

void protocol_send_cursor(struct protocol *protocol, const char *op, struct str ref,
                          uint64_t cursor)
{
    struct buf message = {0};
    struct json_writer writer = protocol_open(&message, op, ref);
    json_member_id(&writer, "cursor", cursor);
    json_object_end(&writer);
    protocol_send(protocol, &message);
}

unsigned protocol_encoding(const struct protocol *protocol)
{
    return encoding_of(FORMAT_FRESHET_V1, false, false, protocol->socket.window_bits);
}

void protocol_send_gap(struct protocol *protocol, const struct gap *gap)
{
    struct request_stream *request = protocol_request(protocol);
    if (!protocol->socket.close_sent)
        encode_gap(&request->worker->deflater, protocol_encoding(protocol),
                   request_stream_add(request), gap);
    request_stream_dirty(request);
}

void protocol_give_up(struct protocol *protocol)
{
    socket_close_problem(&protocol->socket, PROBLEM_UNAVAILABLE);
}
