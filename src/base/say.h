/* Log lines for the people who run the server: one line an event, logfmt, to standard error. */
#pragma once

enum say_level { SAY_DEBUG, SAY_INFO, SAY_WARN, SAY_ERROR };

/* Lines below this level are dropped. Set once, before the threads start. */
void say_set_level(enum say_level least);

/* Writes `time=… level=… event=EVENT` and then the formatted rest, which should be `key=value`
 * pairs. Values from outside must go through say_quote() first, secrets and tokens must never be
 * written. Each line is one write(2), so that lines of several threads do not mix. */
void say(enum say_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Copies `text` (`len` bytes) to `out` (`size` bytes), quoted and cut to fit, with anything but
 * printable ASCII escaped, so that a stranger cannot forge a line. Returns `out`. */
const char *say_quote(char *out, unsigned long size, const char *text, unsigned long len);
