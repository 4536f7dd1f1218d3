/* nghttp2 keeps the state of the connection: frames, HPACK, windows and the order of what is sent.
 * This file gives it the requests' heads a text, the responses a form, and floods a limit.
 *
 * DATA frames are written without a copy through nghttp2: `read_body` asks the owner for bytes and
 * leaves them where they are, `send_body` adds the frame's head and the bytes to the buffer of
 * http2_gather(). All streams are equal and take turns, by the scheduler that nghttp2 has for RFC
 * 9218. The dependency tree of RFC 7540 is switched off, and with it what one can do to it.
 *
 * nghttp2 asks a stream for bytes until that has none, and then puts it aside, which costs as much
 * as to send an event. A stream whose owner says that it has sent all is therefore left in
 * nghttp2's schedule, and `ready` counts the others: at 0 a gathering ends. A stream that is asked
 * although it is not ready, since another one is, is put aside then.
 *
 * Most connections have one stream with events. nghttp2 takes as many instructions for a frame of
 * it as all the rest of a delivery, and touches a dozen cache lines. While a single stream is ready
 * and nghttp2 has nothing else to send, its DATA frames therefore bypass nghttp2: the *direct*
 * stream. The windows must count those frames too, so nghttp2 is told of them together, later: as
 * one DATA frame, for which send_body() adds no bytes. settle() does that before anything else
 * reaches nghttp2, such as received bytes, another response, or a reset. Hence, while bytes are
 * owed: no other stream is ready, nghttp2 has no frame that waits, and no window has changed since
 * the room for direct frames was computed. So a debt always fits the windows and one frame.
 *
 * nghttp2 bounds some floods itself: acknowledgements that a peer does not read, settings of a
 * frame, CONTINUATION frames of a head. Frames that cost the peer little, and are never many in
 * honest use, share one limit here, for a second. */
#include "http2/http2.h"

#include "base/mem.h"
#include "http/token.h"
#include "http2/head.h"

#include <errno.h>
#include <malloc.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>

/* HEADS_LARGE: a head of so many times the limit is not read to its end, and its stream is reset: a
 * byte of HPACK may stand for four kilobytes, which nghttp2 checks before it hands them out. The
 * same holds for trailers. ACKS_MAX: acknowledgements of PING and SETTINGS that a peer has not
 * read. WINDOW: bytes of all bodies that may be under way on a connection. FRAME_MAX: bytes of a
 * frame that each peer takes. */
enum {
    PREFACE = 24,
    FRAME_HEAD = 9,
    PRIORITY_SIZE = 5,
    HEADS_LARGE = 2,
    ACKS_MAX = 100,
    WINDOW = 1 << 20,
    FRAME_MAX = 1 << 14,
    SECOND_NS = 1000000000
};

/* The fields of a direct frame come first, to lie in one or two cache lines. */
struct http2 {
    size_t held; /* bytes that the session has allocated */
    const struct http2_ops *ops;
    struct {
        struct http2_stream *stream; /* NULL: all frames are nghttp2's */
        uint32_t room;               /* bytes that may follow, within all windows */
        uint32_t owed;               /* bytes that were sent, and nghttp2 does not know of */
    } direct;
    struct str next; /* bytes that `fill` gave, until they are in `out` */
    struct buf *out; /* during http2_gather() */
    size_t most;     /* of it */
    uint32_t ready;  /* streams whose `fill` may have bytes */
    bool in_head;    /* a request's head has begun and is not whole */
    bool flooded;
    bool failed; /* memory lacked for what must be sent */
    nghttp2_session *session;
    void *owner;
    const struct http2_limits *limits;
    struct http2_head head;
    struct {
        uint8_t head[FRAME_HEAD];
        uint8_t have;          /* bytes of it */
        bool ends_head;        /* `left` bytes end the head of a request */
        uint32_t left;         /* bytes until the head of the next frame */
    } cut;                     /* where http2_next_piece() is */
    struct http2_stream *last; /* whose DATA nghttp2 sent last in this gathering */
    int32_t newest;            /* the id of the newest request, and of those before it, by ids, */
    uint64_t begun;            /* which have begun */
    uint64_t ended;            /* and which the peer has ended */
    int64_t now_ns;            /* of http2_receive() */
    int64_t head_ns;           /* when the head began that is not whole */
    int64_t second_ns;         /* when the second began in which `control` counts */
    uint32_t control;
    uint32_t trailers; /* bytes of the trailers that come, which are dropped */
};

static struct http2_stream *stream_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

static bool is_request(const nghttp2_frame *frame)
{
    return frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
}

/* ---- streams that are over ------------------------------------------------------------------- */

/* nghttp2 forgets a stream that is over, and ignores what comes for it: that may have been on its
 * way when we ended the stream. The newest 64 ids are remembered here, to tell it from what a peer
 * must not send (RFC 9113 sections 5.1 and 5.1.1): frames of a stream that it has ended itself, and
 * streams with ids that it has skipped. */

static uint64_t bit_of(const struct http2 *http2, int32_t id)
{
    int32_t back = (http2->newest - id) / 2;
    return id > 0 && id % 2 && id <= http2->newest && back < 64 ? UINT64_C(1) << back : 0;
}

static void note_begin(struct http2 *http2, int32_t id)
{
    int32_t on = (id - http2->newest) / 2;
    http2->begun = on < 64 ? http2->begun << on : 0;
    http2->ended = on < 64 ? http2->ended << on : 0;
    http2->newest = id;
    http2->begun |= 1;
}

/* Ends the connection with an error. */
static int fail(const struct http2 *http2, uint32_t error)
{
    return nghttp2_session_terminate_session(http2->session, error) ? NGHTTP2_ERR_CALLBACK_FAILURE
                                                                    : 0;
}

/* A frame of a request has begun for a stream that nghttp2 does not know, or no longer. */
static int check_over(const struct http2 *http2, int32_t id)
{
    uint64_t bit = bit_of(http2, id);
    if (!bit || nghttp2_session_find_stream(http2->session, id))
        return 0;
    if (!(http2->begun & bit))
        return fail(http2, NGHTTP2_PROTOCOL_ERROR);
    return http2->ended & bit ? fail(http2, NGHTTP2_STREAM_CLOSED) : 0;
}

/* Counts a frame that is of no use in number. */
static int count_control(struct http2 *http2)
{
    if (++http2->control <= http2->limits->control_max || http2->flooded)
        return 0;
    http2->flooded = true;
    http2->ops->offence(http2->owner, HTTP2_FLOOD);
    return nghttp2_session_terminate_session(http2->session, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void set_ready(struct http2 *http2, struct http2_stream *stream, bool ready)
{
    if (ready != stream->is_ready)
        http2->ready += ready ? 1 : -1U;
    stream->is_ready = ready;
}

/* ---- direct frames --------------------------------------------------------------------------- */

/* Tells nghttp2 of the frames that bypassed it, and ends that. See the top of this file. */
static void settle(struct http2 *http2)
{
    const uint8_t *none;
    if (http2->direct.owed &&
        (nghttp2_session_mem_send(http2->session, &none) || http2->direct.owed))
        http2->failed = true;
    http2->direct.stream = NULL;
}

/* The bytes that both windows of a stream allow. */
static int32_t window_of(nghttp2_session *session, int32_t id)
{
    int32_t own = nghttp2_session_get_stream_remote_window_size(session, id);
    int32_t all = nghttp2_session_get_remote_window_size(session);
    return own < all ? own : all;
}

/* Lets the frames of a stream bypass nghttp2, if nghttp2 has nothing else to send. */
static void begin_direct(struct http2 *http2, struct http2_stream *stream)
{
    if (!stream || !stream->id || stream->is_deferred || http2->ready > stream->is_ready ||
        nghttp2_session_get_outbound_queue_size(http2->session) ||
        !nghttp2_session_want_read(http2->session))
        return;
    int32_t room = window_of(http2->session, stream->id);
    if (room <= 0)
        return;
    http2->direct.stream = stream;
    http2->direct.room = room < FRAME_MAX ? (uint32_t)room : FRAME_MAX;
}

/* ---- requests -------------------------------------------------------------------------------- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct http2 *http2 = user;
    (void)session;
    http2->in_head = is_request(frame);
    http2->trailers = 0;
    if (http2->in_head) {
        http2_head_clear(&http2->head);
        http2->head_ns = http2->now_ns;
        note_begin(http2, frame->hd.stream_id);
    }
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    struct http2 *http2 = user;
    (void)session;
    (void)flags;
    if (is_request(frame))
        http2_head_add(&http2->head, (struct str){(const char *)name, name_len},
                       (struct str){(const char *)value, value_len}, http2->limits->head_max);
    else
        http2->trailers += (uint32_t)(name_len + value_len);
    size_t bytes = is_request(frame) ? http2->head.bytes : http2->trailers;
    if (bytes <= (size_t)HEADS_LARGE * http2->limits->head_max)
        return 0;
    http2->in_head = false; /* the rest of it is passed over */
    return count_control(http2) ? NGHTTP2_ERR_CALLBACK_FAILURE
                                : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* nghttp2 would pass over a field with bytes that no field may have, and the request would lack a
 * condition or a credential. Such a request is malformed (RFC 9113 section 8.2.1). */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                             const uint8_t *name, size_t name_len, const uint8_t *value,
                             size_t value_len, uint8_t flags, void *user)
{
    (void)session;
    (void)frame;
    (void)name;
    (void)name_len;
    (void)value;
    (void)value_len;
    (void)flags;
    return count_control(user) ? NGHTTP2_ERR_CALLBACK_FAILURE
                               : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* Streams take turns. The default of RFC 9218 is to send one to its end before the next, and so to
 * hold up live events behind a stream that catches up. A client's wishes are passed over: nghttp2
 * does not tell them, and so they cannot be kept beside this. */
static int take_turns(struct http2 *http2, int32_t id)
{
    const nghttp2_extpri equal = {NGHTTP2_EXTPRI_DEFAULT_URGENCY, 1};
    return nghttp2_session_change_extpri_stream_priority(http2->session, id, &equal, 1);
}

/* A head that is broken is no request: the stream ends, and counts as a frame of no use. */
static int begin_request(struct http2 *http2, const nghttp2_frame *frame)
{
    struct http2_request request = {.is_large = http2->head.is_large,
                                    .is_whole = frame->hd.flags & NGHTTP2_FLAG_END_STREAM};
    int32_t id = frame->hd.stream_id;
    http2->in_head = false;
    if (!request.is_large)
        request.head = http2_head_end(&http2->head, &request.is_tunnel);
    request.is_foreign = !request.is_large && http2_head_is_foreign(&http2->head);
    if (!request.is_large && !request.head.len)
        return nghttp2_submit_rst_stream(http2->session, 0, id, NGHTTP2_PROTOCOL_ERROR) ||
               count_control(http2);
    struct http2_stream *stream = http2->ops->begin(http2->owner);
    if (!stream)
        return nghttp2_submit_rst_stream(http2->session, 0, id, NGHTTP2_REFUSED_STREAM);
    *stream = (struct http2_stream){.id = id, .is_whole = request.is_whole};
    int result = nghttp2_session_set_stream_user_data(http2->session, id, stream);
    if (!result)
        result = take_turns(http2, id);
    http2->ops->request(stream, &request);
    return result;
}

static void note_end(struct http2 *http2, struct http2_stream *stream)
{
    if (!stream || stream->is_whole)
        return;
    stream->is_whole = true;
    http2->ops->whole(stream);
}

/* ---- floods ---------------------------------------------------------------------------------- */

static bool is_control(const nghttp2_frame_hd *head)
{
    switch (head->type) {
    case NGHTTP2_PING:
    case NGHTTP2_SETTINGS:
        return !(head->flags & NGHTTP2_FLAG_ACK);
    case NGHTTP2_PRIORITY:
    case NGHTTP2_RST_STREAM:
        return true;
    case NGHTTP2_DATA:
        return !head->length && !(head->flags & NGHTTP2_FLAG_END_STREAM);
    default:
        return false;
    }
}

static void begin_second(struct http2 *http2)
{
    if (http2->now_ns - http2->second_ns < SECOND_NS)
        return;
    http2->second_ns = http2->now_ns;
    http2->control = 0;
}

/* ---- what comes ------------------------------------------------------------------------------ */

/* nghttp2 ignores PRIORITY, and so its errors of form (RFC 9113 section 6.3). */
static int check_priority(const struct http2 *http2, const nghttp2_frame_hd *head)
{
    if (!head->stream_id)
        return fail(http2, NGHTTP2_PROTOCOL_ERROR);
    return head->length == PRIORITY_SIZE ? 0 : fail(http2, NGHTTP2_FRAME_SIZE_ERROR);
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *head, void *user)
{
    struct http2 *http2 = user;
    (void)session;
    if (is_control(head) && count_control(http2))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (head->type == NGHTTP2_PRIORITY)
        return check_priority(http2, head);
    if (head->type == NGHTTP2_HEADERS || head->type == NGHTTP2_DATA)
        return check_over(http2, head->stream_id);
    return 0;
}

/* DATA of padding alone is as empty as DATA of no bytes. */
static bool is_padding(const nghttp2_frame *frame)
{
    return frame->hd.type == NGHTTP2_DATA && frame->hd.length &&
           frame->hd.length == frame->data.padlen;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct http2 *http2 = user;
    int result = is_padding(frame) ? count_control(http2) : 0;
    bool ends = (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
                frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (ends || frame->hd.type == NGHTTP2_RST_STREAM)
        http2->ended |= bit_of(http2, frame->hd.stream_id);
    if (is_request(frame))
        result = begin_request(http2, frame);
    if (ends && !is_request(frame))
        note_end(http2, stream_of(session, frame->hd.stream_id));
    return result ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error,
                            void *user)
{
    struct http2 *http2 = user;
    (void)session;
    if (error == NGHTTP2_ERR_REFUSED_STREAM)
        http2->ops->offence(http2->owner, HTTP2_STREAMS);
    if (frame->hd.type == NGHTTP2_HEADERS)
        http2->in_head = false; /* the rest of it is passed over */
    return count_control(http2) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
                   size_t len, void *user)
{
    struct http2 *http2 = user;
    struct http2_stream *stream = stream_of(session, id);
    (void)flags;
    if (nghttp2_session_consume_connection(session, len))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (stream)
        http2->ops->body(stream, (char *)(uintptr_t)bytes, len);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
    struct http2 *http2 = user;
    struct http2_stream *stream = stream_of(session, id);
    (void)error;
    if (stream == http2->last)
        http2->last = NULL;
    if (stream) {
        set_ready(http2, stream, false);
        stream->id = 0;
        http2->ops->closed(stream);
    }
    return 0;
}

/* Whether `left` bytes, which are now known, are the last of a head. */
static bool begin_frame(struct http2 *http2)
{
    const uint8_t *head = http2->cut.head;
    bool is_of_head = head[3] == NGHTTP2_HEADERS || head[3] == NGHTTP2_CONTINUATION;
    http2->cut.have = 0;
    http2->cut.left = (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2];
    return is_of_head && head[4] & NGHTTP2_FLAG_END_HEADERS;
}

size_t http2_next_piece(struct http2 *http2, const char *bytes, size_t len)
{
    size_t at = 0;
    while (at < len) {
        if (http2->cut.left) {
            size_t n = len - at < http2->cut.left ? len - at : http2->cut.left;
            at += n;
            http2->cut.left -= (uint32_t)n;
        } else {
            http2->cut.head[http2->cut.have++] = (uint8_t)bytes[at++];
            if (http2->cut.have == FRAME_HEAD)
                http2->cut.ends_head = begin_frame(http2);
        }
        if (http2->cut.left || !http2->cut.ends_head)
            continue;
        http2->cut.ends_head = false;
        break;
    }
    return at;
}

int http2_receive(struct http2 *http2, char *bytes, size_t len, int64_t now_ns)
{
    http2->now_ns = now_ns;
    settle(http2);
    begin_second(http2);
    ssize_t n = nghttp2_session_mem_recv(http2->session, (const uint8_t *)bytes, len);
    if (!http2->in_head)
        http2_head_free(&http2->head);
    if (n == NGHTTP2_ERR_FLOODED || n == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS) {
        http2->ops->offence(http2->owner, HTTP2_FLOOD);
        (void)nghttp2_session_terminate_session(http2->session, NGHTTP2_ENHANCE_YOUR_CALM);
    }
    return n < 0 ? (n == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPROTO) : 0;
}

size_t http2_held(const struct http2 *http2)
{
    return http2->held;
}

size_t http2_head_held(const struct http2 *http2, int64_t *ret_since_ns)
{
    const struct http2_head *head = &http2->head;
    *ret_since_ns = http2->head_ns;
    return http2->in_head ? sizeof(*head) + head->pseudo.cap + head->fields.cap + head->cookies.cap
                          : 0;
}

/* ---- responses ------------------------------------------------------------------------------- */

/* Fields of HTTP/1.1's connections (RFC 9113 section 8.2.2). */
static bool is_of_connection(struct str name)
{
    static const char *const names[] = {"Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (str_eq_nocase(name, str_from(names[i])))
            return true;
    return false;
}

/* The fields of a response for nghttp2, which copies them. */
struct fields {
    nghttp2_nv at[RESPONSE_FIELDS_MAX + 3];
    size_t count;
    struct buf cleaned; /* values with bytes that are not allowed; reserved, so that it stays */
    char status[4];
    char length[20];
};

static void add_field(struct fields *fields, struct str name, struct str value)
{
    fields->at[fields->count++] =
        (nghttp2_nv){(uint8_t *)(uintptr_t)name.at, (uint8_t *)(uintptr_t)value.at, name.len,
                     value.len, NGHTTP2_NV_FLAG_NONE};
}

/* A byte that is not allowed becomes a space; but none begins or ends a value. */
static struct str clean(struct fields *fields, struct str value)
{
    if (!value.len || http_all(value, HTTP_CHAR_VALUE))
        return str_trim(value);
    size_t from = fields->cleaned.len;
    for (size_t i = 0; i < value.len; i++)
        buf_add_char(&fields->cleaned,
                     http_char_is(value.at[i], HTTP_CHAR_VALUE) ? value.at[i] : ' ');
    return buf_failed(&fields->cleaned)
               ? STR_NONE
               : str_trim((struct str){fields->cleaned.at + from, value.len});
}

static struct str digits(char *end, uint64_t n)
{
    char *at = end;
    do {
        *--at = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    return (struct str){at, (size_t)(end - at)};
}

static void make_fields(struct fields *fields, const struct response *response)
{
    size_t room = 0;
    for (unsigned i = 0; i < response->count; i++)
        room += response_value(response, i).len;
    (void)buf_reserve(&fields->cleaned, room + 1);
    add_field(fields, STR(":status"),
              digits(fields->status + sizeof(fields->status), (uint64_t)response->status));
    for (unsigned i = 0; i < response->count; i++)
        if (!is_of_connection(response->fields[i].name))
            add_field(fields, response->fields[i].name, clean(fields, response_value(response, i)));
    if (response->type.len)
        add_field(fields, STR("Content-Type"), response->type);
    if (!response->bodiless && !response->goes_on)
        add_field(fields, STR("Content-Length"),
                  digits(fields->length + sizeof(fields->length), response_length(response)));
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *room, size_t len,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct http2 *http2 = user;
    struct http2_stream *stream = source->ptr;
    bool end = false;
    (void)session;
    (void)room;
    if (http2->direct.owed && stream == http2->direct.stream) {
        *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
        return http2->direct.owed;
    }
    http2->next = stream->is_ready ? http2->ops->fill(stream, &end) : STR_NONE;
    if (stream->id != id || (!http2->next.len && !end)) {
        set_ready(http2, stream, false);
        stream->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (http2->next.len > len)
        return (ssize_t)len;
    if (end)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)http2->next.len;
}

/* Has the owner know what was sent, and may have it ready again. */
static void tell_sent(struct http2 *http2, struct http2_stream *stream, size_t n, bool blocked,
                      bool is_end)
{
    set_ready(http2, stream, false);
    if (http2->ops->sent(stream, n, blocked) && !is_end)
        set_ready(http2, stream, stream->id);
}

static int send_body(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                     size_t len, nghttp2_data_source *source, void *user)
{
    struct http2 *http2 = user;
    if (http2->direct.owed) { /* settle(): these bytes were sent */
        http2->direct.owed -= (uint32_t)len;
        return NGHTTP2_ERR_PAUSE;
    }
    buf_add(http2->out, head, FRAME_HEAD);
    buf_add(http2->out, http2->next.at, len);
    bool blocked = len < http2->next.len && (int64_t)len >= window_of(session, frame->hd.stream_id);
    http2->last = frame->hd.flags & NGHTTP2_FLAG_END_STREAM ? NULL : source->ptr;
    tell_sent(http2, source->ptr, len, blocked, frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
    return http2->out->len > http2->most || !http2->ready ? NGHTTP2_ERR_PAUSE : 0;
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct http2 *http2 = user;
    if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) ||
        (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS))
        return 0;
    struct http2_stream *stream = stream_of(session, frame->hd.stream_id);
    if (stream && !stream->is_whole)
        http2->ops->ended(stream);
    return 0;
}

int http2_respond(struct http2 *http2, struct http2_stream *stream, const struct response *response,
                  bool body)
{
    struct fields fields = {.count = 0};
    nghttp2_data_provider provider = {.source = {.ptr = stream}, .read_callback = read_body};
    settle(http2);
    make_fields(&fields, response);
    int result = response_failed(response) || buf_failed(&fields.cleaned) ? -ENOMEM : 0;
    if (!result && nghttp2_submit_response(http2->session, stream->id, fields.at, fields.count,
                                           body ? &provider : NULL))
        result = -ENOMEM;
    buf_free(&fields.cleaned);
    stream->has_body = body && !result;
    set_ready(http2, stream, stream->has_body);
    return result;
}

void http2_continue(struct http2 *http2, const struct http2_stream *stream)
{
    static const nghttp2_nv status = {(uint8_t *)(uintptr_t) ":status",
                                      (uint8_t *)(uintptr_t) "100", 7, 3, NGHTTP2_NV_FLAG_NONE};
    settle(http2);
    (void)nghttp2_submit_headers(http2->session, 0, stream->id, NULL, &status, 1, NULL);
}

void http2_resume(struct http2 *http2, struct http2_stream *stream)
{
    if (!stream->has_body || !stream->id)
        return;
    if (stream != http2->direct.stream)
        settle(http2);
    set_ready(http2, stream, true);
    if (stream->is_deferred)
        (void)nghttp2_session_resume_data(http2->session, stream->id);
    stream->is_deferred = false;
}

void http2_consume(struct http2 *http2, const struct http2_stream *stream, size_t n)
{
    settle(http2);
    if (stream->id)
        (void)nghttp2_session_consume_stream(http2->session, stream->id, n);
}

/* The reset leaves before any DATA frame, and takes what is queued of the stream along: nghttp2
 * asks for its body no more. */
void http2_reset(struct http2 *http2, struct http2_stream *stream, enum http2_reset reason)
{
    if (!stream->id)
        return;
    settle(http2);
    (void)nghttp2_session_set_stream_user_data(http2->session, stream->id, NULL);
    if (nghttp2_submit_rst_stream(http2->session, 0, stream->id, reason))
        http2->failed = true;
    set_ready(http2, stream, false);
    if (stream == http2->last)
        http2->last = NULL;
    stream->id = 0;
}

/* ---- the connection -------------------------------------------------------------------------- */

static void add_frame_head(struct buf *out, int32_t id, size_t len)
{
    const uint8_t head[FRAME_HEAD] = {
        (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,
        NGHTTP2_DATA,         NGHTTP2_FLAG_NONE,   (uint8_t)(id >> 24),
        (uint8_t)(id >> 16),  (uint8_t)(id >> 8),  (uint8_t)id};
    buf_add(out, head, FRAME_HEAD);
}

/* Whether the bytes that a direct stream had can be sent as a direct frame. Its `fill` may have
 * changed anything. The last frame of a stream is nghttp2's, which closes the stream behind it. */
static bool may_send_direct(const struct http2 *http2, const struct http2_stream *stream, bool end)
{
    return stream == http2->direct.stream && !end && http2->next.len <= http2->direct.room;
}

/* Sends a frame of the direct stream. False: nghttp2 has to go on, or nothing is to be sent. */
static bool send_direct(struct http2 *http2)
{
    struct http2_stream *stream = http2->direct.stream;
    bool end = false;
    if (!stream || !stream->is_ready || http2->ready > 1 || http2->out->len > http2->most)
        return false;
    http2->next = http2->ops->fill(stream, &end);
    size_t len = http2->next.len;
    if (!stream->id)
        return false;
    if (!len && !end) {
        set_ready(http2, stream, false);
        return true;
    }
    if (!may_send_direct(http2, stream, end)) {
        settle(http2);
        (void)http2->ops->sent(stream, 0, false);
        return false;
    }
    add_frame_head(http2->out, stream->id, len);
    buf_add(http2->out, http2->next.at, len);
    http2->direct.room -= (uint32_t)len;
    http2->direct.owed += (uint32_t)len;
    tell_sent(http2, stream, len, false, false);
    return true;
}

/* Has nghttp2 send its frames, and decides whether the next ones may bypass it. */
static int send_all(struct http2 *http2)
{
    const uint8_t *bytes;
    ssize_t n = 0;
    settle(http2);
    http2->last = NULL;
    while (!http2->failed && http2->out->len <= http2->most &&
           (n = nghttp2_session_mem_send(http2->session, &bytes)) > 0)
        buf_add(http2->out, bytes, (size_t)n);
    if (n == 0)
        begin_direct(http2, http2->last);
    return http2->failed || n < 0 ? -EIO : 0;
}

int http2_gather(struct http2 *http2, struct buf *out, size_t most)
{
    int result = 0;
    http2->out = out;
    http2->most = most;
    while (send_direct(http2)) {
    }
    if (!http2->direct.stream || (http2->ready && out->len <= most))
        result = send_all(http2);
    http2->out = NULL;
    return result;
}

bool http2_has_more(const struct http2 *http2)
{
    if (http2->direct.stream)
        return http2->ready;
    return nghttp2_session_want_write(http2->session) &&
           (http2->ready || nghttp2_session_get_outbound_queue_size(http2->session));
}

bool http2_is_over(const struct http2 *http2)
{
    return !http2->direct.stream && !nghttp2_session_want_read(http2->session) &&
           !nghttp2_session_want_write(http2->session);
}

void http2_announce_end(struct http2 *http2)
{
    settle(http2);
    (void)nghttp2_submit_shutdown_notice(http2->session);
}

void http2_end(struct http2 *http2)
{
    settle(http2);
    (void)nghttp2_session_terminate_session(http2->session, NGHTTP2_NO_ERROR);
}

void http2_refuse(struct http2 *http2)
{
    settle(http2);
    (void)nghttp2_session_terminate_session(http2->session, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* ---- memory of nghttp2, which peers have a part in ------------------------------------------- */

/* Not from base/mem.h, where tests make an allocation fail: without memory nghttp2 1.52 may abort,
 * as libraries do. */

static void *counted(struct http2 *http2, void *block)
{
    http2->held += malloc_usable_size(block);
    return block;
}

static void *counted_malloc(size_t size, void *user)
{
    return counted(user, malloc(size));
}

static void *counted_calloc(size_t count, size_t size, void *user)
{
    return counted(user, calloc(count, size));
}

static void counted_free(void *block, void *user)
{
    struct http2 *http2 = user;
    http2->held -= malloc_usable_size(block);
    free(block);
}

static void *counted_realloc(void *old, size_t size, void *user)
{
    struct http2 *http2 = user;
    size_t before = malloc_usable_size(old);
    void *block = realloc(old, size);
    if (!block)
        return NULL;
    http2->held -= before;
    return counted(http2, block);
}

static int session_new(struct http2 *http2, const nghttp2_session_callbacks *callbacks,
                       const nghttp2_option *option)
{
    nghttp2_mem memory = {http2, counted_malloc, counted_free, counted_calloc, counted_realloc};
    return nghttp2_session_server_new3(&http2->session, callbacks, http2, option, &memory);
}

static nghttp2_session_callbacks *callbacks_new(void)
{
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks))
        return NULL;
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_body);
    return callbacks;
}

/* nghttp2's own limit for resets must not come before ours, which counts and can be set: a second's
 * worth at the end of one second, and as much at the beginning of the next, are within ours. */
static nghttp2_option *option_new(const struct http2_limits *limits)
{
    nghttp2_option *option;
    if (nghttp2_option_new(&option))
        return NULL;
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_outbound_ack(option, ACKS_MAX);
    nghttp2_option_set_stream_reset_rate_limit(option, UINT64_C(2) * limits->control_max,
                                               limits->control_max);
    return option;
}

static int submit_settings(struct http2 *http2)
{
    const nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, http2->limits->streams_max},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, http2->limits->head_max},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    int result =
        nghttp2_submit_settings(http2->session, 0, entries, sizeof(entries) / sizeof(entries[0]));
    return result ? result : nghttp2_session_set_local_window_size(http2->session, 0, 0, WINDOW);
}

struct http2 *http2_new(void *owner, const struct http2_ops *ops, const struct http2_limits *limits)
{
    struct http2 *http2 = mem_try_alloc(sizeof(*http2));
    nghttp2_session_callbacks *callbacks = callbacks_new();
    nghttp2_option *option = option_new(limits);
    bool good = http2 && callbacks && option;
    if (good) {
        *http2 = (struct http2){
            .owner = owner, .ops = ops, .limits = limits, .cut = {.left = PREFACE}, .newest = -1};
        good = !session_new(http2, callbacks, option) && !submit_settings(http2);
    }
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    if (good)
        return http2;
    http2_free(http2);
    return NULL;
}

void http2_free(struct http2 *http2)
{
    if (!http2)
        return;
    nghttp2_session_del(http2->session);
    http2_head_free(&http2->head);
    free(http2);
}
