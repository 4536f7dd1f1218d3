/* Feeds the WebSocket decoder with hostile frames and its handshake with hostile header values:
 * nothing may crash, the same bytes must mean the same however they are cut, and what we encode we
 * must read as it was. */
#include "require.h"

#include "ws/handshake.h"
#include "ws/reader.h"

#include <stdlib.h>

enum { CLIENT = 1, DEFLATE = 2, HANDSHAKE = 4, ENCODE = 8 };

static const struct ws_limits limits = {.message_max = 4096, .frame_max = 2048};

static void write_event(struct buf *log, const struct ws_event *event)
{
    require(event->opcode < WS_CLOSE || event->data.len <= WS_CONTROL_MAX);
    require(event->data.len <= limits.message_max);
    require(event->opcode != WS_TEXT || utf8_valid(event->data));
    buf_addf(log, "%d %u %zu ", (int)event->opcode, event->close_code, event->data.len);
    buf_add_str(log, event->data);
}

/* Feeds one piece from memory of its own; returns the last result. */
static int feed_piece(struct ws_reader *reader, struct str piece, struct buf *log)
{
    char *copy = malloc(piece.len ? piece.len : 1);
    size_t at = 0, used;
    struct ws_event event;
    int r;
    require(copy);
    if (piece.len)
        memcpy(copy, piece.at, piece.len);
    while ((r = ws_reader_feed(reader, copy + at, piece.len - at, &used, &event)) == WS_EVENT ||
           ws_reader_is_inflating(reader)) {
        if (r == WS_EVENT)
            write_event(log, &event);
        at += used;
        require(at <= piece.len);
    }
    require(r != WS_MORE || at + used == piece.len);
    require(!ws_reader_idle(reader) || !reader->progress || r != WS_MORE);
    free(copy);
    return r;
}

/* Writes all events and the final fault to `log`; pieces are `step` bytes long. */
static void read_all(struct str bytes, uint8_t mode, size_t step, struct buf *log)
{
    struct ws_inflater inflater = {0};
    struct ws_limits cut = limits;
    struct ws_reader reader;
    int r = WS_MORE;
    cut.piece = step;
    ws_reader_init(&reader, mode & CLIENT ? WS_CLIENT : WS_SERVER, &cut,
                   mode & DEFLATE ? &inflater : NULL);
    while (r == WS_MORE && bytes.len) {
        size_t n = step < bytes.len ? step : bytes.len;
        r = feed_piece(&reader, (struct str){bytes.at, n}, log);
        bytes = str_skip(bytes, n);
    }
    if (r != WS_MORE)
        buf_addf(log, "fault %d", r);
    ws_reader_deinit(&reader);
    ws_inflater_deinit(&inflater);
}

static void try_frames(struct str bytes, uint8_t mode, size_t step)
{
    struct buf whole = {0}, pieces = {0};
    read_all(bytes, mode, SIZE_MAX, &whole);
    read_all(bytes, mode, step, &pieces);
    require(str_eq(buf_str(&whole), buf_str(&pieces)));
    buf_free(&whole);
    buf_free(&pieces);
}

/* An answer agrees to what was offered, so as an offer it must get the same answer. */
static void try_handshake(struct str value)
{
    const struct str supported[] = {STR("freshet.v1")};
    struct ws_deflate_params params, again;
    struct str chosen;
    struct buf answer = {0};
    char accept[WS_ACCEPT_LEN];
    ws_choose_protocol(value, supported, 1, &chosen);
    if (ws_key_valid(value))
        require(ws_accept_key(value, accept) == 0);
    if (ws_negotiate_deflate(value, &params) == 0 && params.enabled) {
        ws_add_deflate_answer(&answer, &params);
        require(ws_negotiate_deflate(buf_str(&answer), &again) == 0 && again.enabled);
        require(again.server_max_window_bits == params.server_max_window_bits);
        require(again.answer_names_window == params.answer_names_window);
    }
    buf_free(&answer);
}

/* A message of any bytes must come back from our own client. */
static void try_message(struct str message, unsigned bits)
{
    struct deflater deflater = {0};
    struct ws_inflater inflater = {0};
    struct ws_reader reader;
    struct ws_event event;
    struct buf frame = {0};
    size_t used;
    if (message.len > limits.frame_max)
        message.len = limits.frame_max;
    ws_add_message(&frame, &deflater, deflate_bits(bits), WS_BINARY, message);
    ws_reader_init(&reader, WS_CLIENT, &limits, &inflater);
    require(ws_reader_feed(&reader, frame.at, frame.len, &used, &event) == WS_EVENT);
    require(used == frame.len && str_eq(event.data, message));
    ws_reader_deinit(&reader);
    ws_inflater_deinit(&inflater);
    deflater_deinit(&deflater);
    buf_free(&frame);
}

/* The first byte chooses role, extension and target, the second the size of the pieces or the
 * window. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    char *copy = malloc(size - 2 ? size - 2 : 1);
    require(copy);
    memcpy(copy, data + 2, size - 2);
    struct str bytes = {copy, size - 2};
    if (data[0] & HANDSHAKE)
        try_handshake(bytes);
    else if (data[0] & ENCODE)
        try_message(bytes, data[1] & 15);
    else
        try_frames(bytes, data[0], (size_t)data[1] + 1);
    free(copy);
    return 0;
}
