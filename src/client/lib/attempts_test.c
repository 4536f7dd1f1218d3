#include "client/lib/testing.h"

#include "client/lib/attempts.h"

#include <sys/eventfd.h>

#define ANSWER(status) "HTTP/1.1 " status "\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"

static const char *const busy_then_taken[] = {ANSWER("503 Busy"), ANSWER("429 Slow"),
                                              ANSWER("201 Created")};
static const char *const broken_then_taken[] = {"", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
                                                ANSWER("201 Created")};
static const char *const refused[] = {ANSWER("403 Forbidden"), ANSWER("201 Created")};
static const char *const busy[] = {ANSWER("503 Busy")};
static const char *const broken[] = {""};

struct fixture {
    struct server server;
    struct interrupt interrupt;
    struct attempts attempts;
    unsigned failures;
    unsigned interrupt_at; /* the failure at which the interrupt comes; 0: none */
};

static void count(void *owner)
{
    struct fixture *f = owner;
    if (++f->failures == f->interrupt_at)
        assert_int_equal(eventfd_write(f->interrupt.fd, 1), 0);
}

/* The delays are as short as can be, and the time is over at once or never. */
static void open_fixture(struct fixture *f, const char *const *answers, size_t answers_count)
{
    static const struct trust trust = {0};
    *f = (struct fixture){.failures = 0};
    server_start(&f->server, answers, answers_count);
    f->interrupt.fd = eventfd(0, EFD_CLOEXEC);
    f->attempts = (struct attempts){.transfer = transfer_new(&f->interrupt, true, &trust, 1000),
                                    .interrupt = &f->interrupt,
                                    .least_ms = 1,
                                    .most_ms = 1,
                                    .met_ms = UINT32_MAX,
                                    .unmet_ms = UINT32_MAX,
                                    .failed = count,
                                    .owner = f};
    assert_non_null(f->attempts.transfer);
}

static void close_fixture(struct fixture *f)
{
    transfer_free(f->attempts.transfer);
    transfer_answer_deinit(&f->attempts.answer);
    close(f->interrupt.fd);
    if (f->server.pid)
        server_stop(&f->server, NULL, 0);
}

static enum attempts_end run(struct fixture *f)
{
    const struct transfer_request request = {.url = f->server.url,
                                             .post = true,
                                             .body = STR("{}"),
                                             .content_type = "application/json",
                                             .quiet_ms = 60000,
                                             .watched_fd = -1};
    return attempts_run(&f->attempts, &request);
}

static void passing_troubles_are_waited_for(void **state)
{
    (void)state;
    static const char *const *const answers[] = {busy_then_taken, broken_then_taken};
    for (size_t i = 0; i < 2; i++) {
        struct fixture f;
        open_fixture(&f, answers[i], 3);
        assert_int_equal(run(&f), ATTEMPTS_TAKEN);
        assert_int_equal(f.attempts.answer.status, 201);
        assert_int_equal(f.failures, 2);
        close_fixture(&f);
    }
}

static void a_refusal_is_final(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, refused, 2);
    assert_int_equal(run(&f), ATTEMPTS_REFUSED);
    assert_int_equal(f.attempts.answer.status, 403);
    assert_int_equal(f.failures, 0);
    close_fixture(&f);
}

static void the_time_of_a_server_ends(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, busy, 1);
    f.attempts.met_ms = f.attempts.unmet_ms = 0;
    assert_int_equal(run(&f), ATTEMPTS_REFUSED);
    assert_int_equal(f.attempts.answer.status, 503);
    close_fixture(&f);
    open_fixture(&f, broken, 1);
    f.attempts.met_ms = f.attempts.unmet_ms = 0;
    assert_int_equal(run(&f), ATTEMPTS_FAILED);
    assert_int_equal(f.attempts.result, TRANSFER_E_BROKEN);
    assert_int_equal(f.failures, 0);
    close_fixture(&f);
}

static void a_server_that_was_never_met_needs_patience(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, busy, 1);
    server_stop(&f.server, NULL, 0);
    f.server.pid = 0;
    assert_int_equal(run(&f), ATTEMPTS_FAILED);
    assert_int_equal(f.attempts.result, TRANSFER_E_CONNECT);
    assert_int_equal(f.failures, 0);
    f.attempts.patient = true;
    f.interrupt_at = 3;
    assert_int_equal(run(&f), ATTEMPTS_STOPPED);
    assert_int_equal(f.failures, 3);
    close_fixture(&f);
}

static void an_interrupt_ends_the_wait(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, busy, 1);
    f.attempts.least_ms = f.attempts.most_ms = UINT32_MAX;
    f.interrupt_at = 1;
    assert_int_equal(run(&f), ATTEMPTS_STOPPED);
    assert_int_equal(f.failures, 1);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passing_troubles_are_waited_for),
        cmocka_unit_test(a_refusal_is_final),
        cmocka_unit_test(the_time_of_a_server_ends),
        cmocka_unit_test(a_server_that_was_never_met_needs_patience),
        cmocka_unit_test(an_interrupt_ends_the_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
