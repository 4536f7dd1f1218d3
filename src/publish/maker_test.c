#include "publish/maker.h"

#include "base/mem.h"
#include "net/conn.h"
#include "net/peer.h"
#include "net/peer_testing.h"
#include "publish/submit.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void on_batch(void *owner, struct batch *batch)
{
    (void)owner;
    (void)batch;
}

static void done(struct publish *publish, struct batch *batch)
{
    (void)publish;
    (void)batch;
}

/* A log with a thousand channels, of which so many are used up. */
static struct log *log_with(struct mailbox *mail, struct log_port *port, unsigned channels)
{
    struct log_config config = {.memory = true,
                                .store = {.clock = clock_system()},
                                .bytes_max = 1 << 20,
                                .channels_max = 1000,
                                .keys_max = 10,
                                .key_life_us = 1000000,
                                .share_percent = {10, 10},
                                .readers = 1};
    struct log *log;
    assert_int_equal(log_open(&config, &log), 0);
    assert_int_equal(mailbox_init(mail, NULL), 0);
    *port = (struct log_port){.mailbox = mail, .on_batch = on_batch};
    assert_int_equal(log_attach(log, port), 0);
    struct submitter submitter;
    struct publisher server = {.access = {.rules = &rules_open}, .is_server = true};
    struct publish publishes[1000];
    submitter_init(&submitter, log, port, clock_system());
    for (unsigned i = 0; i < channels; i++) {
        char name[16];
        struct refusal refusal;
        snprintf(name, sizeof(name), "c%u", i);
        struct proposal proposal = {
            .channel = str_from(name), .type = TYPE_DEFAULT, .kind = EVENT_TEXT};
        publishes[i] = (struct publish){.done = done};
        assert_true(submit_proposal(&submitter, &server, &proposal, &publishes[i], &refusal));
    }
    submitter_flush(&submitter);
    mailbox_empty(mail);
    return log;
}

static void log_end(struct log *log, struct mailbox *mail)
{
    log_close(log);
    mailbox_empty(mail);
    mailbox_deinit(mail);
}

static void nobody_is_asked_for_an_address_while_there_is_room(void **state)
{
    (void)state;
    struct mailbox mail;
    struct log_port port;
    struct log *log = log_with(&mail, &port, 1);
    struct net net = {0};
    struct conn conn = {.net = &net, .fd = -1, .id = 5};
    struct maker maker = maker_of(log, &(struct publisher){.conn = &conn});
    assert_int_equal(maker.ids[MAKER_ADDRESS], 0);
    assert_int_equal(maker.ids[MAKER_CONNECTION], 0);
    log_end(log, &mail);
}

static void a_maker_is_an_address_and_a_connection(void **state)
{
    (void)state;
    struct mailbox mail;
    struct log_port port;
    struct log *log = log_with(&mail, &port, 600);
    int client, fd = peer_testing_connect(&client);
    struct net net = {0};
    struct conn conn = {.net = &net, .fd = fd, .id = 5};
    assert_true(log_wants_makers(log));
    struct maker maker = maker_of(log, &(struct publisher){.conn = &conn});
    assert_int_equal(maker.ids[MAKER_ADDRESS], (uint64_t)1 << 32 | INADDR_LOOPBACK);
    assert_int_equal(maker.ids[MAKER_CONNECTION], 5);
    maker = maker_of(log, &(struct publisher){.conn = NULL});
    assert_int_equal(maker.ids[MAKER_ADDRESS], PEER_UNKNOWN);
    maker = maker_of(log, &(struct publisher){.is_server = true});
    assert_int_equal(maker.ids[MAKER_ADDRESS], 0);
    maker = maker_of(log, &(struct publisher){.is_server = true, .takes_share = true});
    assert_int_not_equal(maker.ids[MAKER_ADDRESS], 0);
    assert_int_not_equal(maker.ids[MAKER_ADDRESS], PEER_UNKNOWN);
    assert_int_equal(maker.ids[MAKER_CONNECTION], 0);
    close(client);
    close(fd);
    log_end(log, &mail);
}

static void a_publisher_that_has_gone_counts_as_one_of_an_unknown_address(void **state)
{
    (void)state;
    int client, fd = peer_testing_connect(&client);
    struct net net = {0};
    struct conn conn = {.net = &net, .fd = fd, .id = 5};
    assert_int_equal(publisher_address(&(struct publisher){.conn = &conn}),
                     (uint64_t)1 << 32 | INADDR_LOOPBACK);
    peer_testing_reset(fd, client);
    assert_int_equal(publisher_address(&(struct publisher){.conn = &conn}), PEER_UNKNOWN);
    assert_int_equal(publisher_address(&(struct publisher){.conn = NULL}), PEER_UNKNOWN);
    assert_int_equal(publisher_address(&(struct publisher){.is_server = true}), PEER_NONE);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_asked_for_an_address_while_there_is_room),
        cmocka_unit_test(a_maker_is_an_address_and_a_connection),
        cmocka_unit_test(a_publisher_that_has_gone_counts_as_one_of_an_unknown_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
