/* For tests only: a client of HTTP/2, by nghttp2, of a worker that is driven turn by turn. */
#pragma once

#include "transport/http2_connection.h"
#include "transport/testing.h"

#include <nghttp2/nghttp2.h>

enum { H2_STREAMS = 128 };

/* A stream, at the client's end: the index is half of its id. */
struct h2_got {
    int status;
    char location[80]; /* the field, if it is there */
    struct buf body;
    struct str upload; /* not sent yet */
    bool holds_end;    /* the request does not end behind `upload` */
    bool is_over;
    uint32_t error; /* why it is over */
};

struct h2_client {
    struct bench *bench;
    struct peer peer;
    nghttp2_session *session;
    struct h2_got got[H2_STREAMS];
    bool goaway;
    uint32_t goaway_error;
};

static inline struct h2_got *h2_got(struct h2_client *client, int32_t id)
{
    assert_true(id > 0 && id / 2 < H2_STREAMS);
    return &client->got[id / 2];
}

static inline int h2_on_header(nghttp2_session *session, const nghttp2_frame *frame,
                               const uint8_t *name, size_t name_len, const uint8_t *value,
                               size_t value_len, uint8_t flags, void *user)
{
    (void)session;
    (void)flags;
    struct h2_got *got = h2_got(user, frame->hd.stream_id);
    struct str field = {(const char *)name, name_len};
    if (str_eq(field, STR(":status")))
        got->status = (int)strtol((const char *)value, NULL, 10);
    else if (str_eq(field, STR("location")))
        snprintf(got->location, sizeof(got->location), "%.*s", (int)value_len, (const char *)value);
    return 0;
}

static inline int h2_on_data(nghttp2_session *session, uint8_t flags, int32_t id,
                             const uint8_t *bytes, size_t len, void *user)
{
    (void)session;
    (void)flags;
    buf_add(&h2_got(user, id)->body, bytes, len);
    return 0;
}

static inline int h2_on_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
    (void)session;
    h2_got(user, id)->is_over = true;
    h2_got(user, id)->error = error;
    return 0;
}

static inline int h2_on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2_client *client = user;
    (void)session;
    client->goaway = client->goaway || frame->hd.type == NGHTTP2_GOAWAY;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        client->goaway_error = frame->goaway.error_code;
    return 0;
}

static inline ssize_t h2_read(nghttp2_session *session, int32_t id, uint8_t *room, size_t len,
                              uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct h2_got *got = h2_got(user, id);
    size_t n = got->upload.len < len ? got->upload.len : len;
    (void)session;
    (void)source;
    if (!n && got->holds_end)
        return NGHTTP2_ERR_DEFERRED;
    if (n)
        memcpy(room, got->upload.at, n);
    got->upload = str_skip(got->upload, n);
    if (!got->upload.len && !got->holds_end)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

/* ---- talking --------------------------------------------------------------------------------- */

static inline void h2_say(struct h2_client *client)
{
    const uint8_t *bytes;
    ssize_t n;
    while ((n = nghttp2_session_mem_send(client->session, &bytes)) > 0)
        peer_send(&client->peer, (struct str){(const char *)bytes, (size_t)n});
}

/* Says what is to be said, lets the server work, and reads what has come, until nothing moves. */
static inline void h2_talk(struct h2_client *client)
{
    size_t len;
    do {
        h2_say(client);
        bench_settle(client->bench);
        peer_hear(client->bench, &client->peer);
        len = client->peer.got.len;
        if (len)
            (void)nghttp2_session_mem_recv(client->session, (const uint8_t *)client->peer.got.at,
                                           len);
        buf_clear(&client->peer.got);
    } while (len);
}

/* Joins with a window for the bodies of responses that is opened by hand, and says nothing yet. */
static inline void h2_begin_join(struct h2_client *client, struct bench *bench, uint32_t window)
{
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window}};
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    *client = (struct h2_client){.bench = bench};
    peer_join(bench, &client->peer);
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, h2_on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, h2_on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, h2_on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, h2_on_frame);
    assert_int_equal(nghttp2_option_new(&option), 0);
    nghttp2_option_set_no_auto_window_update(option, 1);
    assert_int_equal(nghttp2_session_client_new2(&client->session, callbacks, client, option), 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    assert_int_equal(nghttp2_submit_settings(client->session, 0, settings, 1), 0);
    assert_int_equal(nghttp2_session_set_local_window_size(client->session, 0, 0, 1 << 24), 0);
}

static inline void h2_join(struct h2_client *client, struct bench *bench, uint32_t window)
{
    h2_begin_join(client, bench, window);
    h2_talk(client);
}

static inline void h2_leave(struct h2_client *client)
{
    peer_leave(client->bench, &client->peer);
    nghttp2_session_del(client->session);
    for (int i = 0; i < H2_STREAMS; i++)
        buf_free(&client->got[i].body);
}

#define H2_FIELD(name, value_at)                                                                   \
    {                                                                                              \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value_at), sizeof(name) - 1,          \
            strlen(value_at), NGHTTP2_NV_FLAG_NONE                                                 \
    }

/* Has a request without a body be said next. */
static inline int32_t h2_submit(struct h2_client *client, const char *method, const char *path)
{
    const nghttp2_nv fields[] = {H2_FIELD(":method", method), H2_FIELD(":scheme", "http"),
                                 H2_FIELD(":path", path), H2_FIELD(":authority", "x")};
    return nghttp2_submit_request(client->session, NULL, fields, 4, NULL, NULL);
}

/* Begins a request with a body, and with `field` (may be NULL) as a field of that value. */
static inline int32_t h2_begin(struct h2_client *client, const char *method, const char *path,
                               const struct str *upload, bool holds_end)
{
    const nghttp2_nv fields[] = {H2_FIELD(":method", method), H2_FIELD(":scheme", "http"),
                                 H2_FIELD(":path", path), H2_FIELD(":authority", "x")};
    nghttp2_data_provider provider = {.read_callback = h2_read};
    int32_t id =
        nghttp2_submit_request(client->session, NULL, fields, 4, upload ? &provider : NULL, NULL);
    if (upload) {
        h2_got(client, id)->upload = *upload;
        h2_got(client, id)->holds_end = holds_end;
    }
    h2_talk(client);
    return id;
}

static inline int32_t h2_get(struct h2_client *client, const char *path)
{
    return h2_begin(client, "GET", path, NULL, false);
}

static inline int32_t h2_post(struct h2_client *client, const char *path, struct str body)
{
    return h2_begin(client, "POST", path, &body, false);
}

/* Opens a WebSocket by extended CONNECT, which is all that the client says if it `ends`. */
static inline int32_t h2_connect(struct h2_client *client, const char *path, bool ends)
{
    const nghttp2_nv fields[] = {
        H2_FIELD(":method", "CONNECT"), H2_FIELD(":protocol", "websocket"),
        H2_FIELD(":scheme", "http"),    H2_FIELD(":path", path),
        H2_FIELD(":authority", "x"),    H2_FIELD("sec-websocket-version", "13")};
    nghttp2_data_provider provider = {.read_callback = h2_read};
    int32_t id =
        nghttp2_submit_request(client->session, NULL, fields, 6, ends ? NULL : &provider, NULL);
    h2_got(client, id)->holds_end = true;
    h2_talk(client);
    return id;
}

static inline int32_t h2_websocket(struct h2_client *client, const char *path)
{
    return h2_connect(client, path, false);
}

/* Sends more of a request. */
static inline void h2_send(struct h2_client *client, int32_t id, struct str bytes)
{
    h2_got(client, id)->upload = bytes;
    (void)nghttp2_session_resume_data(client->session, id);
    h2_talk(client);
}

static inline void h2_open_window(struct h2_client *client, int32_t id, int32_t bytes)
{
    assert_int_equal(nghttp2_submit_window_update(client->session, 0, id, bytes), 0);
    h2_talk(client);
}

static inline unsigned h2_count(struct h2_client *client, int32_t id, const char *text)
{
    struct peer all = {.got = h2_got(client, id)->body};
    return peer_count(&all, text);
}
