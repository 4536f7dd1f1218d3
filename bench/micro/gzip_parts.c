/* Costs and gains of compressed streams: bytes and CPU for JSON events of 100 B and of 1 KB as
 * server-sent events with envelopes, alone and in parts of up to 64 KiB as a subscriber gets them
 * that catches up.
 *
 *     bench_gzip_parts [--rounds N]
 *
 * The CPU of a part is spent once for a view, whatever the number of its subscribers; that of a sum
 * is spent for each subscriber and part. */
#include "log/event.h"
#include "transport/formats/formats.h"
#include "transport/packs.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { EVENTS = 2000, NS = 1000000000, SUMS = 100 };

static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * NS + now.tv_nsec;
}

/* Trades, with words of a vocabulary up to the length that is asked for. */
static void add_data(struct buf *out, uint32_t n, size_t len)
{
    static const char *const words[] = {"market", "limit",   "venue",   "partial",
                                        "broker", "session", "auction", "odd-lot",
                                        "cross",  "sweep",   "routed",  "closing"};
    size_t start = out->len;
    uint32_t random = n * 2654435761U;
    buf_addf(out, "{\"price\":%u.%02u,\"size\":%u,\"side\":\"%s\",\"order\":\"%08x\",\"notes\":\"",
             60000 + random % 9000, random % 100, random >> 20, random & 1 ? "buy" : "sell",
             random);
    while (out->len - start + 2 < len) {
        random = random * 1664525 + 1013904223;
        buf_add_str(out, str_from(words[(random >> 16) % 12]));
        buf_addf(out, " %u ", random >> 24);
    }
    out->len = start + len - 2;
    buf_add_lit(out, "\"}");
}

/* Adds the event, and returns the end of its record. */
static size_t add_event(struct buf *out, uint32_t n, size_t len)
{
    struct buf data = {0};
    add_data(&data, n, len);
    struct event event = {.id = 1795459080000000 + n,
                          .prev = 1795459079999999 + n,
                          .time_us = 1795459080000000 + (int64_t)n * 1337,
                          .channel = STR("trades/btc-usd"),
                          .type = STR("message"),
                          .data = buf_str(&data),
                          .kind = EVENT_JSON,
                          .state = EVENT_APPENDED};
    encode_event(NULL, encoding_of(FORMAT_SSE, false, false, 0), out, &event);
    buf_free(&data);
    return out->len;
}

struct cost {
    size_t bytes;
    int64_t part_ns;
    int64_t sum_ns;
    unsigned parts;
};

static struct cost measure(const struct buf *text, const size_t *ends, size_t most, unsigned rounds)
{
    struct deflater deflater = {0};
    struct buf out = {0};
    struct gzip_sum sum = {0};
    struct cost cost = {0};
    for (unsigned round = 0; round < rounds; round++)
        for (unsigned at = 0; at < EVENTS;) {
            size_t start = at ? ends[at - 1] : 0;
            unsigned end = at + 1;
            while (end < EVENTS && ends[end] - start <= most)
                end++;
            struct str run = {text->at + start, ends[end - 1] - start};
            int64_t begun = cpu_ns();
            gzip_add_part(&out, &deflater, run);
            struct gzip_part part = gzip_part_of(run);
            int64_t made = cpu_ns();
            for (int i = 0; i < SUMS; i++)
                gzip_sum_part(&sum, &part);
            cost.sum_ns += cpu_ns() - made;
            cost.part_ns += made - begun;
            cost.bytes += out.len;
            cost.parts++;
            buf_clear(&out);
            at = end;
        }
    buf_free(&out);
    deflater_deinit(&deflater);
    return cost;
}

static void report(size_t len, const char *name, size_t most, unsigned rounds)
{
    static size_t ends[EVENTS];
    struct buf text = {0};
    for (unsigned i = 0; i < EVENTS; i++)
        ends[i] = add_event(&text, i, len);
    struct cost cost = measure(&text, ends, most, rounds);
    double events = (double)EVENTS * rounds;
    printf("%5zu B %-9s %7.0f B plain %7.0f B sent (%4.1f %%) %8.0f ns a part for all %6.2f us an "
           "event "
           "%5.0f ns a sum\n",
           len, name, (double)text.len / EVENTS, (double)cost.bytes / events,
           100.0 * (double)cost.bytes / ((double)text.len * rounds),
           (double)cost.part_ns / cost.parts, (double)cost.part_ns / events / 1000,
           (double)cost.sum_ns / cost.parts / SUMS);
    buf_free(&text);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc == 3 && str_eq(str_from(argv[1]), STR("--rounds"))
                          ? (unsigned)strtoul(argv[2], NULL, 10)
                          : 10;
    for (size_t len = 100; len <= 1000; len *= 10) {
        report(len, "alone", 0, rounds);
        report(len, "caught up", PACK_BYTES, rounds);
    }
    return 0;
}
