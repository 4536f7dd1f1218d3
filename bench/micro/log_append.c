/* How many events a second the log takes: threads append batches and wait for their answers, as
 * workers do.
 *
 *     bench_log_append [--data DIR] [--threads N] [--channels N] [--batch N] [--inflight N]
 *                      [--seconds N] [--bytes N] [--once]
 *
 * --once appends one event to each channel, and says what the process then occupies. */
#include "log/log.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct options {
    const char *dir; /* NULL: memory */
    unsigned threads;
    unsigned channels;
    unsigned batch;
    unsigned inflight;
    unsigned seconds;
    unsigned bytes;
    bool once;
};

struct thread {
    pthread_t thread;
    const struct options *options;
    struct log *log;
    struct log_port port;
    struct mailbox box;
    unsigned index;
    unsigned inflight;
    uint64_t sent;
    uint64_t answered;
    uint64_t failed;
};

struct request {
    struct publish publish;
    struct thread *thread;
};

static void on_batch(void *owner, struct batch *batch)
{
    (void)owner;
    (void)batch;
}

static void on_done(struct publish *publish, struct batch *batch)
{
    struct request *request = container_of(publish, struct request, publish);
    struct thread *thread = request->thread;
    (void)batch;
    thread->inflight--;
    thread->answered += publish->count;
    thread->failed += publish->verdict ? publish->count : 0;
    free(request);
}

static struct str name_of(struct batch *batch, unsigned channel)
{
    char name[32];
    int len = snprintf(name, sizeof(name), "bench/channel/%07u", channel);
    return batch_copy(batch, (struct str){name, (size_t)len});
}

static unsigned next_channel(struct thread *thread)
{
    const struct options *options = thread->options;
    if (options->once)
        return (unsigned)(thread->sent * options->threads + thread->index);
    /* Spread, so that neighbours in a batch are none in the table. */
    return (unsigned)((thread->sent * options->threads + thread->index) * 2654435761U %
                      options->channels);
}

static void send_batch(struct thread *thread)
{
    static char zeroes[65536];
    struct append *append = append_new(thread->log, &thread->port);
    struct request *request = mem_alloc(sizeof(*request));
    *request = (struct request){.thread = thread, .publish = {.done = on_done}};
    for (unsigned i = 0; i < thread->options->batch; i++) {
        struct event *event = batch_add(append->batch);
        event->channel = name_of(append->batch, next_channel(thread));
        event->type = STR("message");
        event->kind = EVENT_TEXT;
        event->data = batch_copy(append->batch, (struct str){zeroes, thread->options->bytes});
        request->publish.count++;
        thread->sent++;
    }
    append_add(append, &request->publish);
    thread->inflight++;
    log_append(thread->log, append);
}

static void open_mail(struct thread *thread, bool wait)
{
    if (mailbox_empty(&thread->box) || !wait || !mailbox_sleep(&thread->box))
        return;
    struct pollfd wake = {.fd = thread->box.wake_fd, .events = POLLIN};
    (void)poll(&wake, 1, -1);
    mailbox_wake(&thread->box);
}

static bool is_over(const struct thread *thread, int64_t until)
{
    const struct options *options = thread->options;
    if (options->once)
        return thread->sent >= options->channels / options->threads;
    return clock_now_ns(clock_system()) >= until;
}

static void *run(void *arg)
{
    struct thread *thread = arg;
    int64_t until = clock_now_ns(clock_system()) + thread->options->seconds * INT64_C(1000000000);
    while (!is_over(thread, until)) {
        if (thread->inflight < thread->options->inflight)
            send_batch(thread);
        open_mail(thread, thread->inflight >= thread->options->inflight);
    }
    while (thread->inflight)
        open_mail(thread, true);
    return NULL;
}

static uint64_t resident_bytes(void)
{
    unsigned long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%lu %lu", &size, &resident) != 2)
        resident = 0;
    if (file)
        fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static unsigned *option_of(struct options *options, const char *name)
{
    static const struct {
        const char *name;
        size_t at;
    } known[] = {
        {"--threads", offsetof(struct options, threads)},
        {"--channels", offsetof(struct options, channels)},
        {"--batch", offsetof(struct options, batch)},
        {"--inflight", offsetof(struct options, inflight)},
        {"--seconds", offsetof(struct options, seconds)},
        {"--bytes", offsetof(struct options, bytes)},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (strcmp(known[i].name, name) == 0)
            return (unsigned *)(void *)((char *)options + known[i].at);
    return NULL;
}

static bool parse(struct options *options, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        unsigned *number = option_of(options, argv[i]);
        if (strcmp(argv[i], "--once") == 0)
            options->once = true;
        else if (i + 1 == argc)
            return false;
        else if (strcmp(argv[i], "--data") == 0)
            options->dir = argv[++i];
        else if (number)
            *number = (unsigned)strtoul(argv[++i], NULL, 10);
        else
            return false;
    }
    return options->threads && options->threads <= 64 && options->channels && options->batch &&
           options->inflight && options->bytes <= 65536;
}

static void report(const struct options *options, struct thread *threads, int64_t ns,
                   uint64_t before, uint64_t after, const struct log_stats *stats)
{
    uint64_t answered = 0, failed = 0;
    for (unsigned i = 0; i < options->threads; i++) {
        answered += threads[i].answered;
        failed += threads[i].failed;
    }
    printf("%s threads=%u channels=%u batch=%u inflight=%u: %.0f events/s, commits=%llu"
           " failed=%llu\n",
           options->dir ? "sqlite" : "memory", options->threads, options->channels, options->batch,
           options->inflight, (double)answered * 1e9 / (double)ns,
           (unsigned long long)stats->commits, (unsigned long long)failed);
    if (options->once)
        printf("resident: %.1f MB more, %.1f bytes a channel; %llu channels, %llu store bytes\n",
               (double)(after - before) / 1e6, (double)(after - before) / (double)stats->channels,
               (unsigned long long)stats->channels, (unsigned long long)stats->store_bytes);
}

static void open_log(const struct options *options, struct log **ret_log)
{
    struct log_config config = {
        .memory = !options->dir,
        .store = {.dir = options->dir,
                  .roll_bytes = 64 << 20,
                  .roll_us = INT64_C(3600000000),
                  .clock = clock_system()},
        .channels_max = 10000000,
        .keys_max = 1000000,
        .key_life_us = INT64_C(300000000),
        .bytes_max = options->once ? 0 : UINT64_C(256) << (options->dir ? 22 : 20),
        .readers = 2,
    };
    int result = log_open(&config, ret_log);
    if (result) {
        fprintf(stderr, "the log cannot be opened: %s\n", strerror(-result));
        exit(1);
    }
}

int main(int argc, char **argv)
{
    struct options options = {NULL, 1, 1000, 16, 64, 5, 100, false};
    struct thread threads[64] = {0};
    struct log *log;
    struct log_stats stats;
    if (!parse(&options, argc, argv)) {
        fprintf(stderr, "usage: see the top of log_append.c\n");
        return 1;
    }
    open_log(&options, &log);
    uint64_t before = resident_bytes();
    for (unsigned i = 0; i < options.threads; i++) {
        threads[i] = (struct thread){.options = &options, .log = log, .index = i};
        if (mailbox_init(&threads[i].box, &threads[i]))
            return 1;
        threads[i].port = (struct log_port){.mailbox = &threads[i].box, .on_batch = on_batch};
        (void)log_attach(log, &threads[i].port);
    }
    int64_t start = clock_now_ns(clock_system());
    for (unsigned i = 0; i < options.threads; i++)
        pthread_create(&threads[i].thread, NULL, run, &threads[i]);
    for (unsigned i = 0; i < options.threads; i++)
        pthread_join(threads[i].thread, NULL);
    int64_t end = clock_now_ns(clock_system());
    for (unsigned i = 0; i < options.threads; i++)
        (void)mailbox_empty(&threads[i].box);
    log_stats(log, &stats);
    report(&options, threads, end - start, before, resident_bytes(), &stats);
    log_close(log);
    for (unsigned i = 0; i < options.threads; i++)
        mailbox_deinit(&threads[i].box);
    return 0;
}
