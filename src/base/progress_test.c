#include "base/progress.h"

#include "base/say.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The bytes that reach a terminal, or in its place standard error, write by write. */
struct screen {
    struct progress progress;
    struct clock_fake clock;
    int fd;     /* to write to */
    int reader; /* what was written */
    char line[512];
};

static void screen_init(struct screen *screen, bool terminal)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    screen->fd = pair[0];
    screen->reader = pair[1];
    clock_fake_init(&screen->clock, 0);
    progress_init(&screen->progress, "freshet test", &screen->clock.clock,
                  terminal ? screen->fd : -1);
}

static void screen_deinit(struct screen *screen)
{
    close(screen->fd);
    close(screen->reader);
}

/* The next write; NULL for none. */
static const char *screen_next(struct screen *screen)
{
    ssize_t len = recv(screen->reader, screen->line, sizeof(screen->line) - 1, MSG_DONTWAIT);
    screen->line[len < 0 ? 0 : len] = '\0';
    return len < 0 ? NULL : screen->line;
}

static void short_work_shows_no_progress(void **state)
{
    (void)state;
    struct screen screen;
    screen_init(&screen, true);
    progress_tell(&screen.progress, "files read", 1, 2);
    clock_fake_advance(&screen.clock, 299999);
    progress_tell(&screen.progress, "files read", 2, 2);
    progress_end(&screen.progress);
    assert_null(screen_next(&screen));
    screen_deinit(&screen);
}

static void a_terminal_has_one_line_that_is_rewritten(void **state)
{
    (void)state;
    struct screen screen;
    screen_init(&screen, true);
    clock_fake_advance(&screen.clock, 300000);
    progress_tell(&screen.progress, "files read", 10, 2000);
    assert_string_equal(screen_next(&screen), "\rfreshet test: 10 of 2000 files read");
    progress_tell(&screen.progress, "files read", 11, 2000);
    assert_null(screen_next(&screen));
    clock_fake_advance(&screen.clock, 100000);
    progress_tell(&screen.progress, "events", 7, 0);
    assert_string_equal(screen_next(&screen), "\rfreshet test: 7 events             ");
    progress_end(&screen.progress);
    assert_string_equal(screen_next(&screen), "\r                      \r");
    progress_end(&screen.progress);
    assert_null(screen_next(&screen));
    screen_deinit(&screen);
}

static void a_line_that_is_too_long_is_cut(void **state)
{
    (void)state;
    struct screen screen;
    char what[400];
    memset(what, 'x', sizeof(what));
    what[399] = '\0';
    screen_init(&screen, true);
    clock_fake_advance(&screen.clock, 300000);
    progress_tell(&screen.progress, what, 1, 1);
    assert_int_equal(strlen(screen_next(&screen)), 159);
    clock_fake_advance(&screen.clock, 300000);
    progress_tell(&screen.progress, "x", 1, 1);
    assert_int_equal(strlen(screen_next(&screen)), 159);
    screen_deinit(&screen);
}

/* How many lines the log gets in so many seconds. */
static unsigned lines_within(struct screen *screen, unsigned seconds)
{
    unsigned lines = 0;
    int before = dup(STDERR_FILENO);
    assert_true(before >= 0);
    assert_int_equal(dup2(screen->fd, STDERR_FILENO), STDERR_FILENO);
    for (unsigned i = 0; i < seconds * 10; i++) {
        clock_fake_advance(&screen->clock, 100000);
        progress_tell(&screen->progress, "files read", i, 1000);
    }
    dup2(before, STDERR_FILENO);
    close(before);
    while (screen_next(screen)) {
        lines++;
        assert_non_null(strstr(screen->line, "event=progress what=\"files read\" done="));
        assert_non_null(strstr(screen->line, " of=1000\n"));
    }
    return lines;
}

static void the_log_has_lines_further_and_further_apart(void **state)
{
    (void)state;
    struct screen screen;
    screen_init(&screen, false);
    assert_int_equal(lines_within(&screen, 1), 1);
    assert_int_equal(lines_within(&screen, 7), 2); /* at 3 and 7 s */
    assert_int_equal(lines_within(&screen, 7), 1); /* at 15 */
    assert_int_equal(lines_within(&screen, 100), 10);
    progress_end(&screen.progress);
    screen_deinit(&screen);
}

static void nobody_need_listen(void **state)
{
    (void)state;
    progress_tell(NULL, "files read", 1, 2);
    progress_end(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_work_shows_no_progress),
        cmocka_unit_test(a_terminal_has_one_line_that_is_rewritten),
        cmocka_unit_test(a_line_that_is_too_long_is_cut),
        cmocka_unit_test(the_log_has_lines_further_and_further_apart),
        cmocka_unit_test(nobody_need_listen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
