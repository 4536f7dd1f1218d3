#include "client/cli/printer.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    int pipe[2];
    struct interrupt interrupt;
    struct printer printer;
};

static void open_fixture(struct fixture *f)
{
    *f = (struct fixture){.interrupt = {.fd = eventfd(0, 0)}};
    assert_int_equal(pipe(f->pipe), 0);
    f->printer = (struct printer){.fd = f->pipe[1], .interrupt = &f->interrupt};
    signal(SIGPIPE, SIG_IGN);
}

static void close_fixture(struct fixture *f)
{
    printer_deinit(&f->printer);
    close(f->pipe[0]);
    close(f->pipe[1]);
    close(f->interrupt.fd);
}

static void assert_written(struct fixture *f, const char *expected)
{
    char got[256] = {0};
    assert_int_equal(read(f->pipe[0], got, sizeof(got) - 1), strlen(expected));
    assert_string_equal(got, expected);
}

static void events_come_out_one_a_line(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    printer_add(&f.printer, STR("{\"data\":1}"));
    printer_add(&f.printer, STR("{\"data\":\"x\"}"));
    printer_flush(&f.printer);
    assert_written(&f, "{\"data\":1}\n{\"data\":\"x\"}\n");
    f.printer.data_only = true;
    printer_add(&f.printer, STR("{\"data\":\"x\"}"));
    printer_flush(&f.printer);
    assert_written(&f, "x\n");
    assert_false(f.printer.ended);
    close_fixture(&f);
}

static void a_terminal_gets_no_control_characters_of_events(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    f.printer.is_terminal = true;
    printer_add(&f.printer, STR("{\"data\":\"\xc2\x9b"
                                "2J\x7f\\u001b\"}"));
    printer_flush(&f.printer);
    assert_written(&f, "{\"data\":\"\\u009b2J\\u007f\\u001b\"}\n");
    f.printer.data_only = true;
    printer_add(&f.printer, STR("{\"data\":\"\\u001b]0;x\\u0007\\n\xc2\x9b\"}"));
    printer_add(&f.printer, STR("{\"data_base64\":\"mwA=\"}"));
    printer_add(&f.printer, STR("{}"));
    printer_flush(&f.printer);
    assert_written(&f, "\\u001b]0;x\\u0007\n\\u009b\n\\x9b\\u0000\n");
    f.printer.is_terminal = false;
    printer_add(&f.printer, STR("{\"data\":\"\\u001b\"}"));
    printer_flush(&f.printer);
    assert_written(&f, "\x1b\n");
    close_fixture(&f);
}

static void a_printer_ends_after_the_wanted_number_of_events(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    f.printer.count_max = 2;
    for (int i = 0; i < 5; i++)
        printer_add(&f.printer, STR("{}"));
    assert_true(f.printer.ended);
    printer_flush(&f.printer);
    assert_written(&f, "{}\n{}\n");
    assert_int_equal(f.printer.count, 2);
    close_fixture(&f);
}

static void a_printer_ends_without_an_error_when_its_reader_has_gone(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    assert_false(interrupt_is_unread(f.printer.fd));
    close(f.pipe[0]);
    assert_true(interrupt_is_unread(f.printer.fd));
    printer_add(&f.printer, STR("{}"));
    printer_flush(&f.printer);
    assert_true(f.printer.ended);
    assert_int_equal(f.printer.error, 0);
    f.pipe[0] = dup(f.pipe[1]);
    close_fixture(&f);
}

static void a_signal_ends_a_printer_whose_reader_is_stuck(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    assert_int_equal(eventfd_write(f.interrupt.fd, 1), 0);
    printer_add(&f.printer, STR("{}"));
    printer_flush(&f.printer);
    assert_true(f.printer.ended);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_out_one_a_line),
        cmocka_unit_test(a_terminal_gets_no_control_characters_of_events),
        cmocka_unit_test(a_printer_ends_after_the_wanted_number_of_events),
        cmocka_unit_test(a_printer_ends_without_an_error_when_its_reader_has_gone),
        cmocka_unit_test(a_signal_ends_a_printer_whose_reader_is_stuck),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
