#include "base/say.h"

#include "base/rfc3339.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* Standard error turned into a datagram socket, which shows each write(2) by itself. */
struct ear {
    int stderr_before;
    int fd;
    char line[8192];
};

static void ear_open(struct ear *ear)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    ear->stderr_before = dup(STDERR_FILENO);
    assert_true(ear->stderr_before >= 0);
    assert_int_equal(dup2(pair[1], STDERR_FILENO), STDERR_FILENO);
    close(pair[1]);
    ear->fd = pair[0];
}

/* Restores standard error before anything is asserted: otherwise a failure could not be read. */
static void ear_close(struct ear *ear)
{
    dup2(ear->stderr_before, STDERR_FILENO);
    close(ear->stderr_before);
    close(ear->fd);
}

/* Reads the next write into ear->line. Returns its length, or -1 if there was none. */
static ssize_t ear_next(struct ear *ear)
{
    ssize_t n = recv(ear->fd, ear->line, sizeof(ear->line) - 1, MSG_DONTWAIT);
    ear->line[n < 0 ? 0 : n] = '\0';
    return n;
}

static int reset_level(void **state)
{
    (void)state;
    say_set_level(SAY_INFO);
    return 0;
}

static void a_line_is_one_write_with_time_level_and_event(void **state)
{
    (void)state;
    struct ear ear;
    ear_open(&ear);
    say(SAY_WARN, "disk_full", "path=%s left=%d", "/tmp", 7);
    ssize_t len = ear_next(&ear);
    char second[2];
    bool more = recv(ear.fd, second, sizeof(second), MSG_DONTWAIT) >= 0;
    ear_close(&ear);
    assert_false(more);
    assert_true(len > 5 + RFC3339_LEN);
    assert_memory_equal(ear.line, "time=", 5);
    int64_t us;
    assert_int_equal(rfc3339_parse((struct str){ear.line + 5, RFC3339_LEN}, &us), 0);
    assert_string_equal(ear.line + 5 + RFC3339_LEN,
                        " level=warn event=disk_full path=/tmp left=7\n");
}

static void an_event_may_stand_alone(void **state)
{
    (void)state;
    const char *nothing = "";
    struct ear ear;
    ear_open(&ear);
    say(SAY_INFO, "started", "%s", nothing);
    ear_next(&ear);
    ear_close(&ear);
    assert_non_null(strstr(ear.line, " level=info event=started\n"));
}

static void lines_below_the_level_are_dropped(void **state)
{
    (void)state;
    struct ear ear;
    ssize_t len[4];
    ear_open(&ear);
    say(SAY_DEBUG, "quiet", "a=%d", 1);
    len[0] = ear_next(&ear);
    say(SAY_INFO, "loud", "a=%d", 1);
    len[1] = ear_next(&ear);
    say_set_level(SAY_ERROR);
    say(SAY_WARN, "quiet", "a=%d", 1);
    len[2] = ear_next(&ear);
    say_set_level(SAY_DEBUG);
    say(SAY_DEBUG, "loud", "a=%d", 1);
    len[3] = ear_next(&ear);
    ear_close(&ear);
    assert_int_equal(len[0], -1);
    assert_true(len[1] > 0);
    assert_int_equal(len[2], -1);
    assert_true(len[3] > 0);
    assert_non_null(strstr(ear.line, "level=debug"));
}

static void a_line_that_is_too_long_is_cut_and_still_ends(void **state)
{
    (void)state;
    char filler[6000];
    memset(filler, 'x', sizeof(filler) - 1);
    filler[sizeof(filler) - 1] = '\0';
    struct ear ear;
    ear_open(&ear);
    say(SAY_INFO, "long", "text=%s", filler);
    ssize_t len = ear_next(&ear);
    ear_close(&ear);
    assert_int_equal(len, 4096);
    assert_int_equal(ear.line[len - 1], '\n');
    assert_int_equal(ear.line[len - 2], 'x');
}

static void a_value_that_nobody_quoted_cannot_forge_a_line(void **state)
{
    (void)state;
    struct ear ear;
    ear_open(&ear);
    say(SAY_INFO, "careless", "text=%s", "a\nlevel=error\r\x1b[31m\x7f");
    ear_next(&ear);
    ear_close(&ear);
    assert_non_null(strstr(ear.line, " text=a level=error  [31m \n"));
}

static void errno_is_as_it_was_and_may_be_printed(void **state)
{
    (void)state;
    struct ear ear;
    ear_open(&ear);
    errno = ENOSPC;
    say(SAY_INFO, "failed", "error=%d", errno);
    int after = errno;
    close(STDERR_FILENO);
    errno = EAGAIN;
    say(SAY_INFO, "unheard", "a=%d", 1);
    int after_failed_write = errno;
    ear_close(&ear);
    assert_int_equal(after, ENOSPC);
    assert_int_equal(after_failed_write, EAGAIN);
}

static void expect_quoted(struct str text, const char *want)
{
    char out[256];
    assert_ptr_equal(say_quote(out, sizeof(out), text.at, text.len), out);
    assert_string_equal(out, want);
}

static void quoting_escapes_all_but_printable_ascii(void **state)
{
    (void)state;
    expect_quoted(STR(""), "\"\"");
    expect_quoted(STR_NONE, "\"\"");
    expect_quoted(STR("plain text"), "\"plain text\"");
    expect_quoted(STR("a\"b\\c"), "\"a\\\"b\\\\c\"");
    expect_quoted(STR("a\nb\rc\td"), "\"a\\nb\\rc\\td\"");
    expect_quoted(STR("\0\x1b\x7f\xc3\xa9\xff"), "\"\\x00\\x1b\\x7f\\xc3\\xa9\\xff\"");
    expect_quoted(STR("100%s ~"), "\"100%s ~\"");
}

static void quoting_cuts_to_fit_between_characters(void **state)
{
    (void)state;
    char out[16];
    assert_string_equal(say_quote(out, 3, "abc", 3), "\"\"");
    assert_string_equal(say_quote(out, 4, "abc", 3), "\"a\"");
    assert_string_equal(say_quote(out, 6, "abc", 3), "\"abc\"");
    assert_string_equal(say_quote(out, 7, "\xff\xff", 2), "\"\\xff\"");
    assert_string_equal(say_quote(out, 6, "\xff\xff", 2), "\"\"");
    assert_string_equal(say_quote(out, 4, "\n", 1), "\"\"");
    assert_string_equal(say_quote(out, 5, "a\n", 2), "\"a\"");
}

static void quoting_never_writes_past_its_room(void **state)
{
    (void)state;
    for (size_t size = 0; size < 16; size++) {
        char out[17];
        memset(out, '#', sizeof(out));
        const char *quoted = say_quote(out, size, "a\n\xff\"bcdefghijk", 15);
        assert_true(strlen(quoted) < (size < 3 ? 3 : size));
        for (size_t i = size; i < sizeof(out); i++)
            assert_int_equal(out[i], '#');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_line_is_one_write_with_time_level_and_event, reset_level),
        cmocka_unit_test_teardown(an_event_may_stand_alone, reset_level),
        cmocka_unit_test_teardown(lines_below_the_level_are_dropped, reset_level),
        cmocka_unit_test_teardown(a_line_that_is_too_long_is_cut_and_still_ends, reset_level),
        cmocka_unit_test_teardown(a_value_that_nobody_quoted_cannot_forge_a_line, reset_level),
        cmocka_unit_test_teardown(errno_is_as_it_was_and_may_be_printed, reset_level),
        cmocka_unit_test(quoting_escapes_all_but_printable_ascii),
        cmocka_unit_test(quoting_cuts_to_fit_between_characters),
        cmocka_unit_test(quoting_never_writes_past_its_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
