#include "client/cli/printer.h"

#include "base/visible.h"
#include "client/lib/record.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

enum { FLUSH_AT = 64 << 10 };

/* False for an event without data to show. */
static bool add_event(struct printer *printer, struct str envelope)
{
    struct buf *to = printer->is_terminal ? &printer->event : &printer->out;
    buf_clear(&printer->event);
    if (!printer->data_only)
        buf_add_str(to, envelope);
    else if (record_data(envelope, to))
        return false;
    if (!printer->is_terminal)
        return true;
    visible_add(&printer->out, buf_str(to));
    printer->out.failed |= buf_failed(to);
    return true;
}

void printer_add(struct printer *printer, struct str envelope)
{
    if (printer->ended || !add_event(printer, envelope))
        return;
    buf_add_char(&printer->out, '\n');
    printer->count++;
    bool enough = printer->count_max && printer->count >= printer->count_max;
    if (enough || printer->out.len >= FLUSH_AT)
        printer_flush(printer);
    if (enough)
        printer->ended = true;
}

/* A pipe that polls writable takes PIPE_BUF bytes without blocking. So slices of this size let a
 * signal through even if nobody reads. */
static ssize_t write_slice(struct printer *printer, struct str rest)
{
    if (interrupt_wait(printer->interrupt, printer->fd, POLLOUT, -1) == WAKE_INTERRUPT)
        return -EINTR;
    ssize_t n = write(printer->fd, rest.at, rest.len < PIPE_BUF ? rest.len : PIPE_BUF);
    return n < 0 ? -errno : n;
}

void printer_flush(struct printer *printer)
{
    struct str rest = buf_str(&printer->out);
    if (buf_failed(&printer->out)) {
        printer->error = -ENOMEM;
        printer->ended = true;
    }
    while (rest.len && !printer->ended) {
        ssize_t n = write_slice(printer, rest);
        if (n >= 0) {
            rest = str_skip(rest, (size_t)n);
        } else if (n != -EAGAIN) {
            printer->error = n == -EPIPE || n == -EINTR ? 0 : (int)n;
            printer->ended = true;
        }
    }
    buf_clear(&printer->out);
}

bool printer_take(void *owner, struct str envelope)
{
    struct printer *printer = owner;
    printer_add(printer, envelope);
    return printer->ended;
}

bool printer_pause(void *owner)
{
    struct printer *printer = owner;
    printer_flush(printer);
    return printer->ended;
}

void printer_deinit(struct printer *printer)
{
    buf_free(&printer->out);
    buf_free(&printer->event);
}
