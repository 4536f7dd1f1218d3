#include "net/listen.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

enum { MANY = 150 };

/* A listener on a port of its own, and the connections that it accepted. */
struct place {
    struct listener listener;
    struct loop loop;
    struct clock_fake clock;
    struct sockaddr_storage address;
    socklen_t size;
    int accepted[MANY];
    int count;
    bool ends; /* on the first */
};

static void on_accepted(struct listener *listener, int fd)
{
    struct place *place = container_of(listener, struct place, listener);
    assert_true(place->count < MANY);
    place->accepted[place->count++] = fd;
    if (place->ends)
        listener_deinit(listener);
}

static struct place *place_new(struct sockaddr_storage *at, bool joins)
{
    struct place *place = mem_alloc(sizeof(*place));
    clock_fake_init(&place->clock, 1000000);
    assert_int_equal(loop_init(&place->loop, &place->clock.clock, place), 0);
    assert_int_equal(listen_parse("127.0.0.1:0", &place->address, &place->size), 0);
    if (at)
        place->address = *at;
    assert_int_equal(listener_init(&place->listener, &place->loop, &place->address, place->size,
                                   joins, on_accepted),
                     0);
    return place;
}

static void place_free(struct place *place)
{
    for (int i = 0; i < place->count; i++)
        close(place->accepted[i]);
    listener_deinit(&place->listener);
    listener_deinit(&place->listener);
    loop_deinit(&place->loop);
    free(place);
}

/* Connects. The kernel does the handshake: a connected socket stands in the listener's queue. */
static int connect_to(const struct place *place)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&place->address, place->size), 0);
    return fd;
}

static void turn(struct place *place)
{
    loop_turn(&place->loop, 0);
}

/* Forbids the process more descriptors; returns the old limit. */
static struct rlimit take_descriptors(void)
{
    struct rlimit was, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    int next = dup(0);
    assert_true(next >= 0);
    close(next);
    none = was;
    none.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    return was;
}

static void all_waiting_clients_are_accepted(void **state)
{
    (void)state;
    struct place *place = place_new(NULL, false);
    int clients[MANY];
    turn(place);
    assert_int_equal(place->count, 0);
    for (int i = 0; i < MANY; i++)
        clients[i] = connect_to(place);
    for (int i = 0; i < 3; i++)
        turn(place);
    assert_int_equal(place->count, MANY);
    turn(place);
    for (int i = 0; i < MANY; i++) {
        assert_true(fcntl(place->accepted[i], F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(place->accepted[i], F_GETFD) & FD_CLOEXEC);
        close(clients[i]);
    }
    place_free(place);
}

/* More than a turn accepts. None of them is reset. */
static void waiting_clients_are_accepted_before_the_listener_ends(void **state)
{
    (void)state;
    struct place *place = place_new(NULL, false);
    int clients[MANY];
    char byte;
    for (int i = 0; i < MANY; i++)
        clients[i] = connect_to(place);
    listener_accept_rest(&place->listener);
    listener_deinit(&place->listener);
    listener_accept_rest(&place->listener);
    assert_int_equal(place->count, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(recv(clients[i], &byte, 1, MSG_DONTWAIT), -1);
        assert_int_equal(errno, EAGAIN);
        close(clients[i]);
    }
    place_free(place);
}

/* Another thread's listener, with a copy of the descriptor. */
static struct place *place_share(const struct place *first)
{
    struct place *place = mem_alloc(sizeof(*place));
    clock_fake_init(&place->clock, 1000000);
    assert_int_equal(loop_init(&place->loop, &place->clock.clock, place), 0);
    assert_int_equal(
        listener_init_shared(&place->listener, &place->loop, first->listener.fd, on_accepted), 0);
    return place;
}

static void threads_that_share_a_descriptor_divide_a_burst(void **state)
{
    struct place *first = place_new(NULL, false);
    struct place *others[] = {place_share(first), place_share(first)};
    int clients[MANY];
    (void)state;
    for (int i = 0; i < MANY; i++)
        clients[i] = connect_to(first);
    for (int i = 0; i < 2 * MANY; i++)
        turn(others[i % 2]);
    assert_int_equal(others[0]->count + others[1]->count, MANY);
    assert_true(others[0]->count > MANY / 3 && others[1]->count > MANY / 3);
    for (int i = 0; i < MANY; i++)
        close(clients[i]);
    place_free(others[0]);
    place_free(others[1]);
    place_free(first);
}

static void addresses_are_the_same_by_host_and_port_or_by_path(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        {"127.0.0.1:80", "127.0.0.1:80", true},  {"127.0.0.1:80", "127.0.0.1:81", false},
        {"127.0.0.1:80", "127.0.0.2:80", false}, {"[::1]:80", "[::1]:80", true},
        {"[::1]:80", "[::]:80", false},          {"0.0.0.0:80", "[::]:80", false},
        {"unix:/tmp/a", "unix:/tmp/a", true},    {"unix:/tmp/a", "unix:/tmp/b", false},
        {"unix:/tmp/a", "127.0.0.1:80", false},
    };
    struct listen_address a[LISTEN_NAME_MAX], b[LISTEN_NAME_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(listen_parse_all(rows[i].a, a), 1);
        assert_int_equal(listen_parse_all(rows[i].b, b), 1);
        assert_int_equal(listen_is_same(a, b), rows[i].same);
    }
}

static void an_address_of_all_hosts_overlaps_each_of_its_port(void **state)
{
    const struct {
        const char *a, *b;
        bool overlap;
    } rows[] = {
        {"0.0.0.0:80", "[::]:80", true},       {"127.0.0.1:80", "0.0.0.0:80", true},
        {"[::]:80", "127.0.0.1:80", true},     {"[::1]:80", "[::1]:80", true},
        {"127.0.0.1:80", "[::1]:80", false},   {"127.0.0.1:80", "127.0.0.2:80", false},
        {"0.0.0.0:80", "127.0.0.1:81", false}, {"unix:/tmp/a", "0.0.0.0:80", false},
        {"unix:/tmp/a", "unix:/tmp/a", true},
    };
    struct listen_address a[LISTEN_NAME_MAX], b[LISTEN_NAME_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(listen_parse_all(rows[i].a, a), 1);
        assert_int_equal(listen_parse_all(rows[i].b, b), 1);
        assert_int_equal(listen_overlaps(a, b), rows[i].overlap);
        assert_int_equal(listen_overlaps(b, a), rows[i].overlap);
    }
}

static void the_port_that_was_given_is_told(void **state)
{
    (void)state;
    struct place *place = place_new(NULL, false);
    char text[64];
    listen_format(&place->address, text, sizeof(text));
    assert_int_equal(strncmp(text, "127.0.0.1:", 10), 0);
    assert_true(atoi(text + 10) > 0);
    place_free(place);
}

static void a_listener_without_descriptors_pauses_and_resumes(void **state)
{
    (void)state;
    struct place *place = place_new(NULL, false);
    int client = connect_to(place);
    struct rlimit was = take_descriptors();
    turn(place);
    turn(place);
    setrlimit(RLIMIT_NOFILE, &was);
    assert_int_equal(place->count, 0);
    assert_true(place->listener.paused);
    turn(place); /* a paused listener does not look by itself … */
    assert_int_equal(place->count, 0);
    listener_resume(&place->listener);
    listener_resume(&place->listener);
    assert_false(place->listener.paused);
    turn(place);
    assert_int_equal(place->count, 1);
    close(client);
    place_free(place);
}

/* Without connections a thread never learns that a descriptor was freed. */
static void a_listener_without_descriptors_tries_again_after_a_while(void **state)
{
    (void)state;
    struct place *place = place_new(NULL, false);
    int client = connect_to(place);
    struct rlimit was = take_descriptors();
    turn(place);
    for (int i = 0; i < 5; i++) {
        clock_fake_advance(&place->clock, 2000000);
        turn(place);
        turn(place);
        assert_true(place->listener.paused);
    }
    setrlimit(RLIMIT_NOFILE, &was);
    clock_fake_advance(&place->clock, 2000000);
    turn(place);
    turn(place);
    assert_int_equal(place->count, 1);
    close(client);
    place_free(place);
}

static void two_listeners_share_an_address(void **state)
{
    (void)state;
    struct place *one = place_new(NULL, false), *two = place_new(&one->address, true);
    int clients[MANY];
    for (int i = 0; i < MANY; i++)
        clients[i] = connect_to(one);
    for (int i = 0; i < 3; i++) {
        turn(one);
        turn(two);
    }
    assert_int_equal(one->count + two->count, MANY);
    assert_true(one->count > 0 && two->count > 0);
    for (int i = 0; i < MANY; i++)
        close(clients[i]);
    place_free(one);
    place_free(two);
}

/* A second server of the same user. The kernel would let it in if both asked for SO_REUSEPORT. */
static void an_address_that_listens_is_refused_to_others(void **state)
{
    (void)state;
    struct place *one = place_new(NULL, false), *two = NULL, stranger = {0};
    clock_fake_init(&stranger.clock, 1000000);
    assert_int_equal(loop_init(&stranger.loop, &stranger.clock.clock, &stranger), 0);
    for (int i = 0; i < 2; i++) {
        struct sockaddr_storage address = one->address;
        assert_int_equal(listener_init(&stranger.listener, &stranger.loop, &address, one->size,
                                       false, on_accepted),
                         -EADDRINUSE);
        if (!two)
            two = place_new(&one->address, true);
    }
    loop_deinit(&stranger.loop);
    place_free(one);
    place_free(two);
}

static void a_listener_may_be_ended_by_its_own_callback(void **state)
{
    (void)state;
    struct place *place = place_new(NULL, false);
    int clients[2] = {connect_to(place), connect_to(place)};
    place->ends = true;
    turn(place);
    assert_int_equal(place->count, 1);
    turn(place);
    close(clients[0]);
    close(clients[1]);
    place_free(place);
}

static void an_address_that_cannot_be_had_leaves_nothing_open(void **state)
{
    (void)state;
    struct place place = {0};
    clock_fake_init(&place.clock, 1000000);
    assert_int_equal(loop_init(&place.loop, &place.clock.clock, &place), 0);
    assert_int_equal(listen_parse("192.0.2.1:1", &place.address, &place.size), 0);
    assert_int_equal(
        listener_init(&place.listener, &place.loop, &place.address, place.size, false, on_accepted),
        -EADDRNOTAVAIL);
    int fd = dup(0); /* gets the number that the listener had */
    listener_deinit(&place.listener);
    assert_true(fcntl(fd, F_GETFD) >= 0);
    close(fd);
    loop_deinit(&place.loop);
}

static void addresses_are_parsed_and_written(void **state)
{
    (void)state;
    static const struct {
        const char *text, *written;
        bool loopback;
    } good[] = {
        {"127.0.0.1:7070", "127.0.0.1:7070", true},
        {"127.9.9.9:1", "127.9.9.9:1", true},
        {"0.0.0.0:65535", "0.0.0.0:65535", false},
        {"10.0.0.1:0", "10.0.0.1:0", false},
        {"[::1]:7070", "[::1]:7070", true},
        {"[::]:7070", "[::]:7070", false},
        {"[2001:db8::1]:1", "[2001:db8::1]:1", false},
        {"[::ffff:10.0.0.1]:1", "[::ffff:10.0.0.1]:1", false},
    };
    static const char *bad[] = {
        "",
        ":",
        ":80",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:x",
        "127.0.0.1:-1",
        "127.0.0.1:65536",
        "127.0.0.1:99999999999999999999",
        "::1:80",
        "[::1:80",
        "::1]:80",
        "[]:80",
        "[:80",
        "]:80",
        "example.com:80",
        "localhost:80",
        "127.0.0.1:80 ",
        " 127.0.0.1:80",
        "1.2.3:80",
        "1.2.3.4.5:80",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:80",
    };
    struct sockaddr_storage address;
    socklen_t size;
    char text[64];
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_int_equal(listen_parse(good[i].text, &address, &size), 0);
        listen_format(&address, text, sizeof(text));
        assert_string_equal(text, good[i].written);
        assert_int_equal(listen_is_local(&(const struct listen_address){.at = address}),
                         good[i].loopback);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(listen_parse(bad[i], &address, &size), -EINVAL);
}

static void localhost_is_both_loopback_addresses(void **state)
{
    static const char *const bad[] = {"localhost",       "localhost:",    "localhost:x",
                                      "localhost:65536", "localhosts:80", "xlocalhost:80",
                                      "localhost:80:80"};
    struct listen_address addresses[LISTEN_NAME_MAX];
    char text[64];
    (void)state;
    assert_int_equal(listen_parse_all("localhost:0", addresses), 2);
    assert_false(addresses[0].optional);
    assert_true(addresses[1].optional);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(listen_port(&addresses[i]), 0);
        listen_set_port(&addresses[i], 7071);
        assert_int_equal(listen_port(&addresses[i]), 7071);
        listen_format(&addresses[i].at, text, sizeof(text));
        assert_string_equal(text, i ? "[::1]:7071" : "127.0.0.1:7071");
    }
    assert_int_equal(listen_parse_all("localhost:80", addresses), 2);
    listen_format(&addresses[1].at, text, sizeof(text));
    assert_string_equal(text, "[::1]:80");
    assert_int_equal(listen_parse_all("127.0.0.1:80", addresses), 1);
    assert_int_equal(listen_parse_all("[::1]:80", addresses), 1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(listen_parse_all(bad[i], addresses), -EINVAL);
}

static void a_port_that_is_found_is_free(void **state)
{
    struct listen_address addresses[LISTEN_NAME_MAX];
    (void)state;
    assert_int_equal(listen_parse_all("127.0.0.1:0", addresses), 1);
    unsigned port = listen_find_port(&addresses[0]);
    assert_in_range(port, 1, 65535);
    listen_set_port(&addresses[0], port);
    struct place *place = place_new(&addresses[0].at, false);
    struct sockaddr_storage taken = place->address;
    assert_int_equal(listen_find_port(&addresses[0]), 0);
    assert_memory_equal(&taken, &addresses[0].at, addresses[0].size);
    place_free(place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_waiting_clients_are_accepted),
        cmocka_unit_test(waiting_clients_are_accepted_before_the_listener_ends),
        cmocka_unit_test(threads_that_share_a_descriptor_divide_a_burst),
        cmocka_unit_test(addresses_are_the_same_by_host_and_port_or_by_path),
        cmocka_unit_test(an_address_of_all_hosts_overlaps_each_of_its_port),
        cmocka_unit_test(the_port_that_was_given_is_told),
        cmocka_unit_test(a_listener_without_descriptors_pauses_and_resumes),
        cmocka_unit_test(a_listener_without_descriptors_tries_again_after_a_while),
        cmocka_unit_test(two_listeners_share_an_address),
        cmocka_unit_test(an_address_that_listens_is_refused_to_others),
        cmocka_unit_test(a_listener_may_be_ended_by_its_own_callback),
        cmocka_unit_test(an_address_that_cannot_be_had_leaves_nothing_open),
        cmocka_unit_test(addresses_are_parsed_and_written),
        cmocka_unit_test(localhost_is_both_loopback_addresses),
        cmocka_unit_test(a_port_that_is_found_is_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
