#include "transport/entry.h"

#include "net/peer_testing.h"
#include "transport/worker_testing.h"

enum { MOST = 2 };

/* A worker that lets in so many connections of an address. */
struct door {
    struct worker worker;
    struct log *log;
    struct clock_fake clock;
    struct quota addresses;
};

static void door_open(struct door *door)
{
    assert_int_equal(quota_init(&door->addresses, 100), 0);
    struct worker_config config = {.limits = worker_testing_limits(),
                                   .addresses = &door->addresses};
    config.limits.address_connections_max = MOST;
    worker_testing_begin(&door->worker, &door->log, &door->clock, &config);
}

static void door_close(struct door *door)
{
    log_close(door->log);
    worker_deinit(&door->worker);
    quota_deinit(&door->addresses);
}

static void connections_that_were_reset_before_they_are_let_in_count_as_one_address(void **state)
{
    static struct door door;
    struct entry entries[MOST + 1];
    (void)state;
    door_open(&door);
    for (unsigned i = 0; i <= MOST; i++) {
        int client, fd = peer_testing_connect(&client);
        peer_testing_reset(fd, client);
        entries[i] = entry_begin(&door.worker, fd);
        close(fd);
        assert_int_equal(entries[i].excess, i < MOST ? EXCESS_NONE : EXCESS_OF_ADDRESS);
    }
    for (unsigned i = 0; i < MOST; i++)
        entry_end(&door.worker, entries[i].excess, entries[i].place);
    assert_int_equal(quota_holders(&door.addresses), 0);
    door_close(&door);
}

static void connections_of_a_unix_socket_are_not_limited(void **state)
{
    static struct door door;
    int pair[2];
    (void)state;
    door_open(&door);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    for (unsigned i = 0; i <= MOST; i++)
        assert_int_equal(entry_begin(&door.worker, pair[0]).excess, EXCESS_NONE);
    assert_int_equal(quota_holders(&door.addresses), 0);
    close(pair[0]);
    close(pair[1]);
    door_close(&door);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_that_were_reset_before_they_are_let_in_count_as_one_address),
        cmocka_unit_test(connections_of_a_unix_socket_are_not_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
