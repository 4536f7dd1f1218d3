#include "fetch/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TURNS_MAX = 2000, TURN_MS = 10 };

/* A client whose loop the test turns, and a receiver on a socket of the same thread. curl counts
 * its time by the system's clock; no test waits for it. */
struct rig {
    struct loop loop;
    struct client client;
    struct call call;
    bool ended;
    int listener, conn;
    unsigned port;
    char resolve[160];
    const char *resolves[2];
    char got[4096]; /* bytes of the request that came last */
    size_t got_len;
};

static void on_done(struct call *call)
{
    container_of(call, struct rig, call)->ended = true;
}

static int listen_at(const char *address, unsigned port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = inet_addr(address)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (!bind(fd, (struct sockaddr *)&at, sizeof(at)) && !listen(fd, 8))
        return fd;
    close(fd);
    return -1;
}

static unsigned port_of(int fd)
{
    struct sockaddr_in at = {0};
    socklen_t size = sizeof(at);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    return ntohs(at.sin_port);
}

static struct rig *rig_new(const struct address_policy *policy)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    assert_int_equal(loop_init(&rig->loop, clock_system(), rig), 0);
    assert_int_equal(client_init(&rig->client, &rig->loop, policy, 20000, 8), 0);
    rig->listener = listen_at("127.0.0.1", 0);
    assert_true(rig->listener >= 0);
    rig->port = port_of(rig->listener);
    rig->conn = -1;
    rig->call.done = on_done;
    return rig;
}

static void rig_free(struct rig *rig)
{
    call_free(&rig->call);
    client_deinit(&rig->client);
    loop_deinit(&rig->loop);
    close(rig->listener);
    if (rig->conn >= 0)
        close(rig->conn);
    free(rig);
}

static int set_up(void **state)
{
    static const struct address_policy policy = {.loopback = true};
    *state = rig_new(&policy);
    return 0;
}

static int tear_down(void **state)
{
    rig_free(*state);
    return 0;
}

/* ---- the two ends ---------------------------------------------------------------------------- */

static void turn(struct rig *rig)
{
    int ms = client_wait_ms(&rig->client);
    loop_turn(&rig->loop, ms < 0 || ms > TURN_MS ? TURN_MS : ms);
    client_turn(&rig->client);
}

static void post_to(struct rig *rig, const char *host, const char *body)
{
    char url[128];
    snprintf(url, sizeof(url), "http://%s:%u/hook", host, rig->port);
    rig->ended = false;
    rig->got_len = 0;
    assert_int_equal(call_post(&rig->client, &rig->call, url, curl_slist_append(NULL, "Expect:"),
                               str_from(body)),
                     0);
}

static void post(struct rig *rig)
{
    post_to(rig, "127.0.0.1", "hello");
}

static bool has_whole_request(const struct rig *rig)
{
    return rig->got_len && strstr(rig->got, "\r\n\r\n");
}

/* Reads what there is. False when the peer has closed, or there is no connection. */
static bool read_more(struct rig *rig)
{
    ssize_t n = recv(rig->conn, rig->got + rig->got_len, sizeof(rig->got) - 1 - rig->got_len, 0);
    if (n > 0)
        rig->got_len += (size_t)n;
    rig->got[rig->got_len] = '\0';
    return n > 0 || (n < 0 && errno == EAGAIN);
}

static void take_connection(struct rig *rig)
{
    int fd = accept4(rig->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    if (rig->conn >= 0)
        close(rig->conn);
    rig->conn = fd;
}

/* Turns until a request has come. */
static void receive_within(struct rig *rig, int turns_max)
{
    for (int i = 0; !has_whole_request(rig); i++) {
        assert_true(i < turns_max);
        assert_false(rig->ended);
        turn(rig);
        take_connection(rig);
        (void)read_more(rig);
    }
}

static void receive(struct rig *rig)
{
    receive_within(rig, TURNS_MAX);
}

static void say(struct rig *rig, const char *text)
{
    size_t len = strlen(text);
    assert_int_equal(send(rig->conn, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void hang_up(struct rig *rig)
{
    close(rig->conn);
    rig->conn = -1;
}

/* Turns until the call has ended. */
static void finish(struct rig *rig)
{
    for (int i = 0; !rig->ended; i++) {
        assert_true(i < TURNS_MAX);
        turn(rig);
    }
    assert_int_equal(rig->client.inflight, 0);
}

static void exchange(struct rig *rig, const char *answer)
{
    post(rig);
    receive(rig);
    say(rig, answer);
    finish(rig);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void an_answer_is_read_with_what_matters_of_it(void **state)
{
    struct rig *rig = *state;
    exchange(rig, "HTTP/1.1 429 Slow\r\nRetry-After:  30 \r\nWebHook-Allowed-Origin: *\r\n"
                  "Content-Length: 4\r\n\r\nwait");
    assert_int_equal(rig->call.status, 429);
    assert_false(call_is_accepted(&rig->call));
    assert_string_equal(rig->call.retry_after, "30");
    assert_string_equal(rig->call.allowed_origin, "*");
    assert_true(str_eq(buf_str(&rig->call.response), STR("wait")));
    assert_null(rig->call.error);
    assert_non_null(strstr(rig->got, "POST /hook HTTP/1.1"));
    assert_non_null(strstr(rig->got, "Content-Length: 5"));
}

static void an_interim_answer_is_none(void **state)
{
    struct rig *rig = *state;
    exchange(rig, "HTTP/1.1 103 Early Hints\r\nRetry-After: 7\r\n\r\n"
                  "HTTP/1.1 204 No Content\r\n\r\n");
    assert_int_equal(rig->call.status, 204);
    assert_string_equal(rig->call.retry_after, "");
}

static void a_redirection_is_not_followed(void **state)
{
    struct rig *rig = *state;
    exchange(rig, "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(rig->call.status, 302);
}

static void the_other_methods_carry_no_body(void **state)
{
    struct rig *rig = *state;
    static const char *const begins[] = {"OPTIONS /hook ", "GET /hook "};
    for (int i = 0; i < 2; i++) {
        char url[64];
        snprintf(url, sizeof(url), "http://127.0.0.1:%u/hook", rig->port);
        rig->ended = false;
        rig->got_len = 0;
        assert_int_equal(i ? call_get(&rig->client, &rig->call, url)
                           : call_options(&rig->client, &rig->call, url, NULL),
                         0);
        receive(rig);
        assert_int_equal(strncmp(rig->got, begins[i], strlen(begins[i])), 0);
        assert_null(strstr(rig->got, "Content-Length"));
        say(rig, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        finish(rig);
        assert_int_equal(rig->call.status, 200);
    }
}

/* An answer of `len` bytes, with a head of as many more. */
static void answer_at_length(struct rig *rig, size_t head, size_t body)
{
    struct buf text = {0};
    size_t sent = 0;
    buf_add_lit(&text, "HTTP/1.1 200 OK\r\nX-Long: ");
    for (size_t i = 0; i < head; i++)
        buf_add_char(&text, 'x');
    buf_addf(&text, "\r\nContent-Length: %zu\r\n\r\n", body);
    for (size_t i = 0; i < body; i++)
        buf_add_char(&text, 'y');
    for (int i = 0; !rig->ended && sent < text.len; i++) {
        assert_true(i < TURNS_MAX);
        ssize_t n = send(rig->conn, text.at + sent, text.len - sent, MSG_NOSIGNAL);
        if (n > 0)
            sent += (size_t)n;
        turn(rig);
    }
    buf_free(&text);
    finish(rig);
}

static void a_long_body_is_kept_in_part(void **state)
{
    static const size_t lengths[] = {CLIENT_RESPONSE_MAX, CLIENT_RESPONSE_MAX + 1, 2 << 20};
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        post(rig);
        receive(rig);
        answer_at_length(rig, 0, lengths[i]);
        assert_int_equal(rig->call.status, 200);
        assert_null(rig->call.error);
        assert_int_equal(rig->call.response.len, CLIENT_RESPONSE_MAX);
    }
}

static void a_head_that_is_too_long_is_no_answer(void **state)
{
    struct rig *rig = *state;
    post(rig);
    receive(rig);
    answer_at_length(rig, 70 << 10, 0);
    assert_int_equal(rig->call.status, 0);
    assert_string_equal(rig->call.error, "the head of the answer is over 64 KiB");
}

static void an_answer_that_breaks_off_says_where(void **state)
{
    static const struct {
        const char *text;
        int status;
        const char *error;
    } parts[] = {
        {"", 0, "Server returned nothing (no headers, no data)"},
        {"HTTP/1.1 200 OK\r\nContent-Le", 0, "the connection closed within the head of the answer"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", 200,
         "the body of the answer broke off"},
    };
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        post(rig);
        receive(rig);
        if (*parts[i].text)
            say(rig, parts[i].text);
        hang_up(rig);
        finish(rig);
        assert_int_equal(rig->call.status, parts[i].status);
        assert_string_equal(rig->call.error, parts[i].error);
    }
}

/* ---- connections ----------------------------------------------------------------------------- */

static void a_connection_is_used_again(void **state)
{
    struct rig *rig = *state;
    exchange(rig, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    int conn = rig->conn;
    exchange(rig, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(rig->conn, conn);
    assert_int_equal(rig->call.sendings, 1);
}

/* curl would repeat it by itself. */
static void a_request_that_was_sent_on_a_kept_connection_is_not_repeated(void **state)
{
    struct rig *rig = *state;
    exchange(rig, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    post(rig);
    receive(rig);
    hang_up(rig);
    finish(rig);
    assert_int_equal(rig->call.status, 0);
    assert_int_equal(rig->call.sendings, 1);
    assert_string_equal(rig->call.error, "the receiver closed the connection without an answer");
    take_connection(rig);
    assert_int_equal(rig->conn, -1);
}

static void repeat_on_a_new_connection(struct rig *rig)
{
    exchange(rig, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    rig->call.repeatable = true;
    post(rig);
    receive(rig);
    hang_up(rig);
    rig->got_len = 0;
    receive(rig);
    assert_int_equal(rig->call.sendings, 2);
    assert_non_null(strstr(rig->got, "\r\n\r\nhello"));
}

static void a_repeatable_request_is_sent_again_when_a_kept_connection_closes(void **state)
{
    struct rig *rig = *state;
    repeat_on_a_new_connection(rig);
    say(rig, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    finish(rig);
    assert_int_equal(rig->call.status, 200);
    assert_null(rig->call.error);
    assert_true(str_eq(buf_str(&rig->call.response), STR("ok")));
}

static void a_repeatable_request_is_sent_twice_at_most(void **state)
{
    struct rig *rig = *state;
    repeat_on_a_new_connection(rig);
    hang_up(rig);
    finish(rig);
    assert_int_equal(rig->call.status, 0);
    assert_int_equal(rig->call.sendings, 2);
    take_connection(rig);
    assert_int_equal(rig->conn, -1);
}

static void a_call_that_is_cancelled_does_not_end(void **state)
{
    struct rig *rig = *state;
    post(rig);
    call_cancel(&rig->call);
    assert_int_equal(rig->client.inflight, 0);
    post(rig);
    receive(rig);
    call_cancel(&rig->call);
    call_cancel(&rig->call);
    for (int i = 0; i < 4; i++)
        turn(rig);
    assert_false(rig->ended);
    exchange(rig, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(rig->call.status, 200);
}

static void a_port_where_nobody_listens_is_an_error(void **state)
{
    struct rig *rig = *state;
    close(rig->listener);
    post(rig);
    finish(rig);
    assert_int_equal(rig->call.status, 0);
    assert_string_equal(rig->call.error, curl_easy_strerror(CURLE_COULDNT_CONNECT));
    rig->listener = listen_at("127.0.0.1", 0);
}

/* Lets names lead to `addresses`, at the receiver's port. */
static void lead(struct rig *rig, const char *addresses)
{
    snprintf(rig->resolve, sizeof(rig->resolve), "some.test:%u:%s", rig->port, addresses);
    rig->resolves[0] = rig->resolve;
    rig->client.resolve = rig->resolves;
}

/* Each refusal is an event, so no turn waits in vain, however slow the machine is. */
static void addresses_of_a_name_that_refuse_are_passed_over_at_once(void **state)
{
    enum { FEW_TURNS = 100 };
    struct rig *rig = *state;
    close(rig->listener);
    rig->listener = listen_at("127.0.0.4", rig->port);
    assert_true(rig->listener >= 0);
    lead(rig, "127.0.0.1,127.0.0.2,127.0.0.3,127.0.0.4");
    post_to(rig, "some.test", "hello");
    receive_within(rig, FEW_TURNS);
    say(rig, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    finish(rig);
    assert_int_equal(rig->call.status, 200);
    assert_int_equal(rig->call.sendings, 1);
}

static void a_name_whose_addresses_all_refuse_is_an_error(void **state)
{
    struct rig *rig = *state;
    close(rig->listener);
    rig->listener = -1;
    lead(rig, "127.0.0.1,127.0.0.2,127.0.0.3");
    post_to(rig, "some.test", "hello");
    finish(rig);
    assert_string_equal(rig->call.error, curl_easy_strerror(CURLE_COULDNT_CONNECT));
    rig->listener = listen_at("127.0.0.1", 0);
}

/* Listens at the last of so many addresses, and leads a name to all of them. */
static void listen_at_last_of(struct rig *rig, unsigned count)
{
    char addresses[128] = "", address[16];
    size_t len = 0;
    for (unsigned i = 1; i <= count; i++) {
        snprintf(address, sizeof(address), "127.0.0.%u", i);
        len += (size_t)snprintf(addresses + len, sizeof(addresses) - len, "%s%s", i > 1 ? "," : "",
                                address);
    }
    close(rig->listener);
    rig->listener = listen_at(address, rig->port);
    assert_true(rig->listener >= 0);
    lead(rig, addresses);
}

static void the_last_address_that_a_request_may_try_is_tried(void **state)
{
    struct rig *rig = *state;
    listen_at_last_of(rig, CLIENT_ADDRESSES_MAX);
    post_to(rig, "some.test", "hello");
    receive(rig);
    say(rig, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    finish(rig);
    assert_int_equal(rig->call.status, 200);
}

static void a_request_tries_a_bounded_number_of_addresses(void **state)
{
    struct rig *rig = *state;
    listen_at_last_of(rig, CLIENT_ADDRESSES_MAX + 1);
    post_to(rig, "some.test", "hello");
    finish(rig);
    assert_int_equal(rig->call.status, 0);
    assert_string_equal(rig->call.error,
                        "none of the first 8 addresses of the host could be connected to");
    take_connection(rig);
    assert_int_equal(rig->conn, -1);
    post_to(rig, "127.0.0.9", "hello");
    receive(rig);
}

/* ---- where calls may go ---------------------------------------------------------------------- */

static void assert_forbidden(struct rig *rig, const char *host)
{
    post_to(rig, host, "hello");
    finish(rig);
    assert_int_equal(rig->call.status, 0);
    assert_true(rig->call.forbidden);
    assert_string_equal(rig->call.error, "the address is not allowed");
    take_connection(rig);
    assert_int_equal(rig->conn, -1);
}

static void a_name_is_judged_by_the_address_that_is_connected_to(void **state)
{
    static const struct address_policy strict = {0};
    struct rig *rig = rig_new(&strict);
    (void)state;
    lead(rig, "127.0.0.1");
    assert_forbidden(rig, "127.0.0.1");
    assert_forbidden(rig, "some.test");
    rig_free(rig);
}

static void only_allowed_addresses_of_a_name_are_connected_to(void **state)
{
    struct network network;
    assert_int_equal(network_parse(STR("127.0.0.2"), &network), 0);
    struct address_policy policy = {.networks = &network, .networks_count = 1};
    struct rig *rig = rig_new(&policy);
    int trap = rig->listener; /* the first address, which is not allowed */
    (void)state;
    rig->listener = listen_at("127.0.0.2", rig->port);
    lead(rig, "127.0.0.1,127.0.0.2");
    post_to(rig, "some.test", "hello");
    receive(rig);
    say(rig, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    finish(rig);
    assert_int_equal(rig->call.status, 200);
    assert_int_equal(accept4(trap, NULL, NULL, SOCK_CLOEXEC), -1);
    close(trap);
    rig_free(rig);
}

static void a_trusted_host_may_be_anywhere(void **state)
{
    const char *const hosts[] = {"some.test"};
    struct address_policy policy = {.hosts = hosts, .hosts_count = 1};
    struct rig *rig = rig_new(&policy);
    (void)state;
    lead(rig, "127.0.0.1");
    post_to(rig, "some.test", "hello");
    receive(rig);
    say(rig, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    finish(rig);
    assert_int_equal(rig->call.status, 200);
    hang_up(rig);
    assert_forbidden(rig, "127.0.0.1");
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(an_answer_is_read_with_what_matters_of_it),
        TEST(an_interim_answer_is_none),
        TEST(a_redirection_is_not_followed),
        TEST(the_other_methods_carry_no_body),
        TEST(a_long_body_is_kept_in_part),
        TEST(a_head_that_is_too_long_is_no_answer),
        TEST(an_answer_that_breaks_off_says_where),
        TEST(a_connection_is_used_again),
        TEST(a_request_that_was_sent_on_a_kept_connection_is_not_repeated),
        TEST(a_repeatable_request_is_sent_again_when_a_kept_connection_closes),
        TEST(a_repeatable_request_is_sent_twice_at_most),
        TEST(a_call_that_is_cancelled_does_not_end),
        TEST(a_port_where_nobody_listens_is_an_error),
        TEST(addresses_of_a_name_that_refuse_are_passed_over_at_once),
        TEST(a_name_whose_addresses_all_refuse_is_an_error),
        TEST(the_last_address_that_a_request_may_try_is_tried),
        TEST(a_request_tries_a_bounded_number_of_addresses),
        cmocka_unit_test(a_name_is_judged_by_the_address_that_is_connected_to),
        cmocka_unit_test(only_allowed_addresses_of_a_name_are_connected_to),
        cmocka_unit_test(a_trusted_host_may_be_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
