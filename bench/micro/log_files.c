/* Times what depends on how many files the log has: a start, and pages of single channels.
 *
 *     bench_log_files fill DIR FILES CHANNELS EVENTS   makes a folder: EVENTS of random channels a
 * file bench_log_files start DIR                        opens it, and closes it bench_log_files
 * keep DIR TURNS                   turns of upkeep, then it ends as if killed bench_log_files pages
 * DIR CHANNELS LIMIT PAGES   reads pages of random channels
 */
#include "base/mem.h"
#include "base/say.h"
#include "log/log_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 1000, DATA = 100 };

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static uint32_t random_below(uint32_t n)
{
    static uint64_t state = 88172645463325252ULL;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 32) % n);
}

static int count_channel(void *context, const struct store_channel *channel)
{
    ((uint64_t *)context)[0]++;
    ((uint64_t *)context)[1] += channel->count;
    return 0;
}

static int count_key(void *context, const struct event_key *key, uint64_t id, int64_t time_us)
{
    (void)key;
    (void)id;
    (void)time_us;
    ((uint64_t *)context)[2]++;
    return 0;
}

static struct store *open_store(const char *dir, uint64_t counts[3])
{
    struct store_config config = {
        .dir = dir, .roll_bytes = 1, .roll_us = INT64_C(3600000000), .clock = clock_system()};
    struct store_loader loader = {count_channel, count_key, counts, INT64_MAX, NULL, NULL};
    struct store_newest newest;
    struct store *store;
    int result = store_sqlite_open(&config, &loader, &store, &newest);
    if (result) {
        fprintf(stderr, "%s: %s\n", dir, strerror(-result));
        exit(1);
    }
    return store;
}

/* ---- filling -------------------------------------------------------------------------------- */

static struct batch *make_batch(uint64_t *id, uint32_t count, uint32_t channels, bool all)
{
    static char data[DATA];
    struct batch *batch = batch_new();
    memset(data, 'x', sizeof(data));
    for (uint32_t i = 0; i < count; i++) {
        struct event *event = batch_add(batch);
        uint32_t number = all ? (uint32_t)(*id % channels) + 1 : random_below(channels) + 1;
        char name[32];
        int len = snprintf(name, sizeof(name), "user/%u/inbox", number);
        *event = (struct event){.id = ++*id,
                                .number = number,
                                .state = EVENT_APPENDED,
                                .kind = EVENT_TEXT,
                                .type = STR("message"),
                                .data = {data, sizeof(data)}};
        event->time_us = (int64_t)event->id;
        event->channel = batch_copy(batch, (struct str){name, (size_t)len});
    }
    return batch;
}

static void fill(const char *dir, uint32_t files, uint32_t channels, uint32_t events)
{
    uint64_t counts[3] = {0}, id = (uint64_t)clock_wall_us(clock_system());
    id -= id % channels;
    struct store *store = open_store(dir, counts);
    for (uint32_t file = 0; file < files; file++) {
        for (uint32_t done = 0; done < events; done += BATCH) {
            uint32_t count = events - done < BATCH ? events - done : BATCH;
            struct batch *batch =
                make_batch(&id, count, channels, (uint64_t)files * events <= channels);
            if (store->ops->append(store, &batch, 1))
                abort();
            batch_unref(batch);
        }
        if (store->ops->upkeep(store))
            abort();
    }
    store->ops->close(store);
}

/* ---- measuring ------------------------------------------------------------------------------ */

static void start(const char *dir)
{
    uint64_t counts[3] = {0};
    double begin = now_ms();
    struct store *store = open_store(dir, counts);
    double opened = now_ms();
    printf("store: %.1f ms, channels %llu, events %llu, keys %llu\n", opened - begin,
           (unsigned long long)counts[0], (unsigned long long)counts[1],
           (unsigned long long)counts[2]);
    store->ops->close(store);
    struct log_config config = {.store = {.dir = dir,
                                          .roll_bytes = 64 << 20,
                                          .roll_us = INT64_C(3600000000),
                                          .clock = clock_system()},
                                .channels_max = 10000000,
                                .keys_max = 1000,
                                .key_life_us = 1000000,
                                .readers = 1};
    struct log *log;
    begin = now_ms();
    if (log_open_untended(&config, &log))
        abort();
    opened = now_ms();
    printf("log: %.1f ms\n", opened - begin);
    fflush(stdout);
    log_close(log);
}

static void keep(const char *dir, uint32_t turns)
{
    uint64_t counts[3] = {0};
    struct store *store = open_store(dir, counts);
    for (uint32_t i = 0; i < turns; i++) {
        double begin = now_ms();
        if (store->ops->upkeep(store))
            abort();
        printf("turn %u: %.1f ms\n", i, now_ms() - begin);
    }
    fflush(stdout);
    _exit(0); /* ends as if it were killed */
}

static void pages(const char *dir, uint32_t channels, uint32_t limit, uint32_t count)
{
    uint64_t counts[3] = {0}, events = 0;
    struct store *store = open_store(dir, counts);
    struct selection all = {0};
    for (int backwards = 0; backwards < 2; backwards++) {
        double begin = now_ms();
        events = 0;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t number = random_below(channels) + 1;
            struct store_query query = {.selection = &all,
                                        .numbers = &number,
                                        .numbers_count = 1,
                                        .upto = EVENT_ID_MAX,
                                        .backwards = backwards,
                                        .limit = limit,
                                        .bytes = 65536,
                                        .rows = 50000};
            struct batch *batch;
            uint64_t through;
            if (store->ops->read(store, &query, &batch, &through))
                abort();
            events += batch->count;
            batch_unref(batch);
        }
        printf("%s: %.3f ms a page, %.1f events a page\n", backwards ? "backwards" : "forwards",
               (now_ms() - begin) / count, (double)events / count);
    }
    store->ops->close(store);
}

int main(int argc, char **argv)
{
    say_set_level(SAY_WARN);
    if (argc == 6 && !strcmp(argv[1], "fill"))
        fill(argv[2], (uint32_t)atoi(argv[3]), (uint32_t)atoi(argv[4]), (uint32_t)atoi(argv[5]));
    else if (argc == 3 && !strcmp(argv[1], "start"))
        start(argv[2]);
    else if (argc == 4 && !strcmp(argv[1], "keep"))
        keep(argv[2], (uint32_t)atoi(argv[3]));
    else if (argc == 6 && !strcmp(argv[1], "pages"))
        pages(argv[2], (uint32_t)atoi(argv[3]), (uint32_t)atoi(argv[4]), (uint32_t)atoi(argv[5]));
    else
        return 2;
    return 0;
}
