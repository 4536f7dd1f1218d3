#include "base/say.h"

#include "base/clock.h"
#include "base/rfc3339.h"
#include "base/visible.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* The size that a pipe takes in one piece (PIPE_BUF); longer lines are cut. */
enum { LINE_MAX_BYTES = 4096 };

/* A line that is being written. No allocation: the line may be about a lack of memory. */
struct line {
    char at[LINE_MAX_BYTES];
    size_t len;
};

static enum say_level least_level = SAY_INFO;

void say_set_level(enum say_level least)
{
    least_level = least;
}

static const char *level_name(enum say_level level)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    return level <= SAY_ERROR ? names[level] : "error";
}

static void __attribute__((format(printf, 2, 0)))
add_args(struct line *line, const char *format, va_list args)
{
    size_t room = sizeof(line->at) - line->len;
    int n = vsnprintf(line->at + line->len, room, format, args);
    if (n > 0)
        line->len += (size_t)n < room ? (size_t)n : room - 1;
}

static void __attribute__((format(printf, 2, 3))) add(struct line *line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_args(line, format, args);
    va_end(args);
}

static void add_start(struct line *line, enum say_level level, const char *event)
{
    char time_bytes[RFC3339_LEN];
    /* Exactly the size needed: a buffer that need not grow may stand on the stack. */
    struct buf time = {.at = time_bytes, .cap = sizeof(time_bytes)};
    rfc3339_add(&time, clock_wall_us(clock_system()));
    add(line, "time=%.*s level=%s event=%s", STR_FMT(buf_str(&time)), level_name(level), event);
}

/* Ends the line; control characters become spaces, so that one event stays one line even if a
 * caller forgot to quote. */
static void end_line(struct line *line)
{
    visible_blank(line->at, line->len);
    line->at[line->len++] = '\n';
}

static void write_line(const struct line *line)
{
    ssize_t n;
    do
        n = write(STDERR_FILENO, line->at, line->len);
    while (n < 0 && errno == EINTR);
}

void say(enum say_level level, const char *event, const char *format, ...)
{
    if (level < least_level)
        return;
    int error = errno; /* callers still need errno, and formats may use %m */
    struct line line;
    line.len = 0;
    add_start(&line, level, event);
    add(&line, " ");
    size_t start = line.len;
    va_list args;
    va_start(args, format);
    errno = error;
    add_args(&line, format, args);
    va_end(args);
    line.len -= line.len == start; /* no text after the event: drop the space before it */
    end_line(&line);
    write_line(&line);
    errno = error;
}

/* Writes one byte as it stands inside quotes; `out` has room for 5. */
static size_t escape(char *out, unsigned char c)
{
    static const char short_forms[] = "\"\"\\\\\nn\rr\tt";
    for (const char *form = short_forms; *form; form += 2)
        if ((unsigned char)form[0] == c)
            return (size_t)snprintf(out, 5, "\\%c", form[1]);
    return (size_t)snprintf(out, 5, c >= 0x20 && c < 0x7f ? "%c" : "\\x%02x", c);
}

const char *say_quote(char *out, unsigned long size, const char *text, unsigned long len)
{
    size_t at = 0;
    if (size < 3)
        return "\"\"";
    out[at++] = '"';
    for (size_t i = 0; i < len; i++) {
        char escaped[5];
        size_t n = escape(escaped, (unsigned char)text[i]);
        if (at + n + 2 > size)
            break;
        memcpy(out + at, escaped, n);
        at += n;
    }
    out[at++] = '"';
    out[at] = '\0';
    return out;
}
