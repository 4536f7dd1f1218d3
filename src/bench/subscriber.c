#include "bench/subscriber.h"

#include "bench/answer.h"
#include "bench/mark.h"
#include "bench/streams.h"
#include "client/lib/record.h"

#include "ws/frame.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { SLEEPER_RECEIVE_BYTES = 4096 };

static int epoll_of(const struct subscriber *subscriber)
{
    const struct load *load = subscriber->load;
    return subscriber->group == GROUP_LATE ? load->late_epoll_fd : load->epoll_fd;
}

static void gone(struct subscriber *subscriber, const char *reason)
{
    struct load *load = subscriber->load;
    if (subscriber->state == SUBSCRIBER_OPENING)
        load->opening--;
    if (subscriber->state == SUBSCRIBER_OPEN)
        load->open--;
    load->broken++;
    load_complain(load, "a subscriber of %.*s: %s", STR_FMT(load->plan->url.text), reason);
    subscriber_stop(subscriber);
}

void subscriber_stop(struct subscriber *subscriber)
{
    bool is_open = subscriber->state == SUBSCRIBER_OPENING || subscriber->state == SUBSCRIBER_OPEN;
    if (is_open && !subscriber->load->plan->streams)
        client_socket_close(&subscriber->socket);
    subscriber->state = SUBSCRIBER_GONE;
    buf_free(&subscriber->in);
}

static void send_request(struct subscriber *subscriber, const struct target_cursor *cursor)
{
    struct load *load = subscriber->load;
    struct buf request = {0};
    if (cursor)
        target_add_poll(&request, load->plan, &load->run, subscriber->seat.channel, cursor);
    else
        target_add_subscribe(&request, load->plan, &load->run, subscriber->group, subscriber->seat);
    ssize_t n = client_socket_send(&subscriber->socket, buf_str(&request));
    if (n != (ssize_t)request.len)
        gone(subscriber, load_trouble(load, &subscriber->socket, n < 0 ? (int)n : -EAGAIN));
    buf_free(&request);
}

/* ---- marks ----------------------------------------------------------------------------------- */

/* Takes every mark; returns the rest, which may be part of a mark. */
static struct str take_marks(struct subscriber *subscriber, struct str bytes, uint64_t now)
{
    struct load *load = subscriber->load;
    struct mark mark;
    while (mark_next(&bytes, &mark)) {
        tally_take(&load->tally, &subscriber->seen, mark.lane, mark.number);
        if (mark.time_ns >= load->measure_from_ns && now >= mark.time_ns &&
            subscriber->group != GROUP_LATE)
            hist_add(&load->latency_ns, now - mark.time_ns, 1);
    }
    return bytes;
}

static void note_caught_up(struct subscriber *subscriber, uint64_t now)
{
    struct load *load = subscriber->load;
    if (subscriber->caught_up || subscriber->group != GROUP_LATE ||
        !seen_has(&load->tally, &subscriber->seen, 0, subscriber->late_count))
        return;
    subscriber->caught_up = true;
    if (--load->late_left == 0)
        load->late_ns = now - load->late_start_ns;
}

/* ---- WebSocket ------------------------------------------------------------------------------- */

static uint64_t big_endian(const char *at, size_t len)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++)
        value = value << 8 | (uint8_t)at[i];
    return value;
}

/* Reads a server's frame head. Returns its size, or 0 if it is not whole. */
static size_t read_head(struct str bytes, uint64_t *ret_len)
{
    if (bytes.len < 2)
        return 0;
    uint8_t len = (uint8_t)bytes.at[1] & 0x7f;
    size_t more = len == 127 ? 8 : len == 126 ? 2 : 0;
    if (bytes.len < 2 + more)
        return 0;
    *ret_len = more ? big_endian(bytes.at + 2, more) : len;
    return 2 + more;
}

static void pong(struct subscriber *subscriber, struct str payload)
{
    static const uint8_t mask[4] = {0};
    struct buf frame = {0};
    ws_add_frame(&frame, true, false, WS_PONG, payload, mask);
    (void)client_socket_send(&subscriber->socket, buf_str(&frame));
    buf_free(&frame);
}

/* Handles the payload of a whole control frame. */
static void control(struct subscriber *subscriber, unsigned opcode, struct str payload)
{
    if (opcode == WS_PING)
        pong(subscriber, payload);
    else if (opcode == WS_CLOSE)
        gone(subscriber, "the server closed the WebSocket");
}

static struct str take_payload(struct subscriber *subscriber, struct str bytes, uint64_t now)
{
    size_t len = subscriber->frame_left < bytes.len ? (size_t)subscriber->frame_left : bytes.len;
    struct str rest = take_marks(subscriber, (struct str){bytes.at, len}, now);
    /* A frame holds whole marks. So a cut mark is at the end of the bytes, or it is not a mark. */
    size_t used = len < bytes.len ? len : len - rest.len;
    subscriber->frame_left -= used;
    return str_skip(bytes, used);
}

static struct str take_frames(struct subscriber *subscriber, struct str bytes, uint64_t now)
{
    while (bytes.len && subscriber->state == SUBSCRIBER_OPEN) {
        if (subscriber->frame_left) {
            bool all = subscriber->frame_left >= bytes.len;
            bytes = take_payload(subscriber, bytes, now);
            if (all)
                return bytes;
            continue;
        }
        uint64_t len;
        size_t head = read_head(bytes, &len);
        if (!head)
            break;
        unsigned opcode = (uint8_t)bytes.at[0] & 0x0f;
        if (opcode < WS_CLOSE) {
            subscriber->frame_left = len;
            bytes = str_skip(bytes, head);
            continue;
        }
        if (bytes.len < head + len)
            break;
        control(subscriber, opcode, (struct str){bytes.at + head, (size_t)len});
        bytes = str_skip(bytes, head + (size_t)len);
    }
    return bytes;
}

/* ---- received bytes -------------------------------------------------------------------------- */

static void take(struct subscriber *subscriber, struct str bytes, uint64_t now)
{
    uint64_t before = subscriber->load->tally.taken;
    bool ws = subscriber->load->plan->mechanism == MECHANISM_WS;
    struct str rest = ws ? take_frames(subscriber, bytes, now) : take_marks(subscriber, bytes, now);
    if (subscriber->load->tally.taken != before)
        subscriber->load->last_progress_ns = now;
    if (rest.len > LOAD_HELD_MAX) {
        gone(subscriber, "the server sent a control frame of more than 125 bytes");
        return;
    }
    subscriber->held_len = (uint8_t)rest.len;
    if (rest.len)
        memmove(subscriber->held, rest.at, rest.len);
    note_caught_up(subscriber, now);
}

static void opened(struct subscriber *subscriber)
{
    struct load *load = subscriber->load;
    subscriber->state = SUBSCRIBER_OPEN;
    load->opening--;
    load->open++;
    load->last_progress_ns = load_now(load);
    if (subscriber->group == GROUP_SLEEPER)
        epoll_ctl(epoll_of(subscriber), EPOLL_CTL_DEL, subscriber->socket.fd, NULL);
}

static void refused(struct subscriber *subscriber, const struct answer *answer)
{
    struct str rest = answer->head, line = str_cut(&rest, '\r');
    struct buf reason = {0};
    buf_addf(&reason, "%.*s", STR_FMT(line));
    buf_add_char(&reason, '\0');
    gone(subscriber, reason.at ? reason.at : "refused");
    buf_free(&reason);
}

/* Reads the response head before the stream. */
static void open_stream(struct subscriber *subscriber, uint64_t now)
{
    struct answer answer;
    int result = answer_read_head(buf_str(&subscriber->in), &answer);
    if (result == -EAGAIN)
        return;
    int wanted = subscriber->load->plan->mechanism == MECHANISM_WS ? 101 : 200;
    if (result || answer.status != wanted) {
        if (result)
            gone(subscriber, "what answered speaks no HTTP/1.1");
        else
            refused(subscriber, &answer);
        return;
    }
    opened(subscriber);
    if (subscriber->group != GROUP_SLEEPER)
        take(subscriber, str_skip(buf_str(&subscriber->in), answer.size), now);
    buf_free(&subscriber->in);
}

static void poll_on(struct subscriber *subscriber, uint64_t now)
{
    struct answer answer;
    int result;
    while ((result = answer_read(buf_str(&subscriber->in), &answer)) == 0) {
        bool fine = answer.status == 200 || answer.status == 204 || answer.status == 304;
        if (!fine && answer.status != 408) {
            refused(subscriber, &answer);
            return;
        }
        if (subscriber->state == SUBSCRIBER_OPENING)
            opened(subscriber);
        take_marks(subscriber, answer.body, now);
        subscriber->load->last_progress_ns = now;
        struct target_cursor cursor = target_cursor_of(answer.head);
        send_request(subscriber, &cursor);
        if (subscriber->state == SUBSCRIBER_GONE)
            return;
        buf_drop(&subscriber->in, answer.size);
    }
    if (result != -EAGAIN)
        gone(subscriber, "what answered the poll cannot be read");
}

static void receive(struct subscriber *subscriber)
{
    struct load *load = subscriber->load;
    char *room = load->room + LOAD_HELD_MAX;
    ssize_t got = LOAD_ROOM;
    while (client_socket_has_more(&subscriber->socket, got, LOAD_ROOM) &&
           subscriber->state != SUBSCRIBER_GONE) {
        got = client_socket_recv(&subscriber->socket, room, LOAD_ROOM);
        if (got <= 0) {
            if (got != -EAGAIN)
                gone(subscriber, got ? load_trouble(load, &subscriber->socket, (int)got)
                                     : "the server ended the stream");
            return;
        }
        uint64_t now = load_now(load);
        if (load->plan->mechanism == MECHANISM_POLL) {
            buf_add(&subscriber->in, room, (size_t)got);
            poll_on(subscriber, now);
        } else if (subscriber->state == SUBSCRIBER_OPENING) {
            buf_add(&subscriber->in, room, (size_t)got);
            open_stream(subscriber, now);
        } else {
            size_t held = subscriber->held_len;
            memcpy(room - held, subscriber->held, held);
            take(subscriber, (struct str){room - held, held + (size_t)got}, now);
        }
    }
}

/* Sends the first request. nchan does not answer a first poll until there is an event, so there the
 * subscriber counts as open once it has asked. */
static void first_request(struct subscriber *subscriber)
{
    const struct plan *plan = subscriber->load->plan;
    static const struct target_cursor none = {0};
    bool at_once = plan->mechanism == MECHANISM_POLL && plan->target == TARGET_NCHAN;
    send_request(subscriber, at_once ? &none : NULL);
    if (at_once && subscriber->state == SUBSCRIBER_OPENING)
        opened(subscriber);
}

/* Goes on with the handshake, and asks once it is over. Returns whether it is. */
static bool go_on(struct subscriber *subscriber)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET,
                                .data.ptr = &subscriber->watch};
    int result = client_socket_shake(&subscriber->socket);
    if (result && result != -EAGAIN)
        gone(subscriber, load_trouble(subscriber->load, &subscriber->socket, result));
    if (result)
        return false;
    subscriber->asked = true;
    epoll_ctl(epoll_of(subscriber), EPOLL_CTL_MOD, subscriber->socket.fd, &event);
    first_request(subscriber);
    return true;
}

static void ready(struct load_watch *watch, uint32_t events)
{
    struct subscriber *subscriber = (struct subscriber *)watch;
    if (subscriber->state == SUBSCRIBER_GONE)
        return;
    if (events & EPOLLERR) {
        int error = 0;
        getsockopt(subscriber->socket.fd, SOL_SOCKET, SO_ERROR, &error,
                   &(socklen_t){sizeof(error)});
        gone(subscriber, error ? load_trouble(subscriber->load, &subscriber->socket, -error)
                               : "the connection broke");
        return;
    }
    if (!subscriber->asked && !go_on(subscriber))
        return;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP) && subscriber->state != SUBSCRIBER_GONE)
        receive(subscriber);
}

/* ---- streams of HTTP/2 ----------------------------------------------------------------------- */

static void stream_answered(void *owner, int status)
{
    struct subscriber *subscriber = owner;
    if (subscriber->state == SUBSCRIBER_OPENING && status == 200)
        opened(subscriber);
    else if (subscriber->state == SUBSCRIBER_OPENING)
        subscriber->refusal = (uint16_t)status; /* its problem follows */
}

/* The problem of a refusal is short, and comes at once. */
static void stream_refused(struct subscriber *subscriber, struct str body)
{
    struct buf reason = {0}, problem = {0};
    record_add_problem(body, &problem);
    buf_addf(&reason, "HTTP/2 %u%s%.*s", subscriber->refusal, problem.len ? ": " : "",
             STR_FMT(buf_str(&problem)));
    buf_add_char(&reason, '\0');
    buf_free(&problem);
    gone(subscriber, reason.at ? reason.at : "refused");
    buf_free(&reason);
}

/* The bytes that were held go in front of those that have come. */
static void stream_received(void *owner, struct str bytes)
{
    struct subscriber *subscriber = owner;
    uint64_t now = load_now(subscriber->load);
    if (subscriber->state == SUBSCRIBER_OPENING && subscriber->refusal)
        stream_refused(subscriber, bytes);
    if (subscriber->state != SUBSCRIBER_OPEN)
        return;
    if (!subscriber->held_len) {
        take(subscriber, bytes, now);
        return;
    }
    struct buf all = {0};
    buf_add(&all, subscriber->held, subscriber->held_len);
    buf_add_str(&all, bytes);
    take(subscriber, buf_str(&all), now);
    buf_free(&all);
}

static void stream_ended(void *owner, const char *reason)
{
    struct subscriber *subscriber = owner;
    if (subscriber->state == SUBSCRIBER_OPENING && subscriber->refusal)
        stream_refused(subscriber, STR_NONE);
    else if (subscriber->state != SUBSCRIBER_GONE)
        gone(subscriber, reason);
}

static void start_stream(struct subscriber *subscriber)
{
    static const struct streams_ops ops = {stream_answered, stream_received, stream_ended};
    struct load *load = subscriber->load;
    struct buf request = {0};
    target_add_subscribe(&request, load->plan, &load->run, subscriber->group, subscriber->seat);
    subscriber->state = SUBSCRIBER_OPENING;
    load->opening++;
    int result = streams_open(load, &ops, subscriber, buf_str(&request));
    if (result)
        gone(subscriber, strerror(-result));
    buf_free(&request);
}

void subscriber_start(struct subscriber *subscriber)
{
    struct load *load = subscriber->load;
    if (load->plan->streams) {
        start_stream(subscriber);
        return;
    }
    subscriber->watch.ready = ready;
    subscriber->state = SUBSCRIBER_OPENING;
    load->opening++;
    int result = load_connect(epoll_of(subscriber), load_server(load),
                              subscriber->group == GROUP_SLEEPER ? SLEEPER_RECEIVE_BYTES : 0,
                              &subscriber->watch, &subscriber->socket);
    if (!result)
        return;
    load->opening--;
    load->broken++;
    subscriber->state = SUBSCRIBER_GONE;
    load_complain(load, "a subscriber: %s", strerror(-result));
}
