/* Deliveries that somebody wants sent again: dead letters, and what was delivered already. One at a
 * time, beside all that is in order. */
#include "courier/endpoint.h"

#include "courier/packed.h"
#include "log/fetch.h"

#include <errno.h>
#include <stdlib.h>

enum { LIST_MOST = 64 };

/* Finds one letter for its lane, or the next numbers of dead ones. */
struct letter_job {
    struct keeper_job job;
    struct courier *courier;
    char id[ENDPOINT_ID_LEN + 1];
    uint64_t endpoint;
    uint64_t n; /* 0: list */
    uint64_t after;
    uint64_t numbers[LIST_MOST];
    size_t count;
    struct record_letter letter;
    /* Its event, if it is none that is kept here. */
    struct log_fetch fetch;
};

static int find(struct keeper_job *job, struct registry *registry)
{
    struct letter_job *own = container_of(job, struct letter_job, job);
    struct record_statements *records = registry_records(registry);
    if (own->n)
        return record_find(records, own->endpoint, own->n, &own->letter);
    return record_list_dead(records, own->endpoint, own->after, own->numbers, LIST_MOST,
                            &own->count);
}

static void job_free(struct letter_job *own)
{
    buf_free(&own->letter.events);
    log_fetch_deinit(&own->fetch);
    free(own);
}

static void load(struct lane *lane, struct letter_job *own)
{
    struct event event;
    struct str rest = buf_str(&own->letter.events);
    for (size_t took; (took = packed_read(rest, &event)); rest = str_skip(rest, took))
        if (!lane_add(lane, &event, NULL, NULL))
            return;
    struct batch *batch = own->fetch.batch;
    for (uint32_t i = 0; batch && i < batch->count; i++)
        if (batch->events[i].state == EVENT_APPENDED)
            (void)lane_add(lane, &batch->events[i], NULL, batch);
}

static void send_again(struct endpoint *endpoint, struct letter_job *own)
{
    struct lane *lane = lane_new(endpoint, LANE_LETTER, STR(""));
    lane->row.n = own->n;
    lane->row.attempts = own->letter.attempts;
    lane->letter_state = own->letter.state;
    lane->bytes = own->letter.events;
    load(lane, own);
    own->letter.events = (struct buf){0};
    lane_look(lane); /* what is neither here nor in the log any more is over at once */
}

/* ---- what is still in the log ---------------------------------------------------------------- */

static void read_done(struct mail *mail, void *owner)
{
    struct letter_job *own = container_of(mail, struct letter_job, fetch.job.mail);
    struct courier *courier = owner;
    struct endpoint *endpoint = endpoint_find(courier, own->id);
    courier->jobs--;
    if (endpoint) {
        endpoint->letter_asked = false;
        if (!own->fetch.error && !own->fetch.job.cancelled)
            send_again(endpoint, own);
        endpoint_ready(endpoint);
    }
    job_free(own);
}

static void read_log(struct endpoint *endpoint, struct letter_job *own)
{
    struct courier *courier = endpoint->courier;
    struct store_query query = {.after = own->letter.first - 1,
                                .upto = own->letter.last,
                                .limit = RECORD_PAGE_MAX,
                                .bytes = 1 << 20,
                                .rows = LOG_READ_ROWS};
    log_fetch_init(&own->fetch, endpoint->selection, &query, &courier->loop.mailbox, read_done);
    courier->jobs++;
    log_submit(courier->config.log, &own->fetch.job);
}

/* ---- one after the other --------------------------------------------------------------------- */

static void take_numbers(struct endpoint *endpoint, const struct letter_job *own)
{
    for (size_t i = 0; i < own->count && own->numbers[i] <= endpoint->letters_upto; i++)
        if (endpoint->letters_count < sizeof(endpoint->letters) / sizeof(endpoint->letters[0]))
            endpoint->letters[endpoint->letters_count++] = own->numbers[i];
    endpoint->letters_after = own->count == LIST_MOST ? own->numbers[own->count - 1] : UINT64_MAX;
}

static void found(struct mail *mail, void *owner)
{
    struct letter_job *own = container_of(mail, struct letter_job, job.mail);
    struct courier *courier = owner;
    struct endpoint *endpoint = endpoint_find(courier, own->id);
    courier->jobs--;
    if (endpoint && own->n && !own->job.result && !own->letter.events.len && !courier->stopping) {
        read_log(endpoint, own);
        return;
    }
    if (endpoint) {
        endpoint->letter_asked = false;
        if (!own->job.result && own->n)
            send_again(endpoint, own);
        else if (!own->job.result)
            take_numbers(endpoint, own);
        endpoint_ready(endpoint);
    }
    job_free(own);
}

static void ask(struct endpoint *endpoint, uint64_t n)
{
    struct letter_job *own = mem_alloc(sizeof(*own));
    *own = (struct letter_job){.job = {.run = find, .looks = true, .mail = {NULL, found}},
                               .courier = endpoint->courier,
                               .endpoint = endpoint->row.number,
                               .n = n,
                               .after = endpoint->letters_after};
    memcpy(own->id, endpoint->row.id, sizeof(own->id));
    endpoint->letter_asked = true;
    courier_submit_job(endpoint->courier, &own->job);
}

void letters_look(struct endpoint *endpoint)
{
    bool more = endpoint->letters_upto && endpoint->letters_after < endpoint->letters_upto;
    if (endpoint->letter_asked || (!endpoint->letters_count && !more) || endpoint->letter_lanes)
        return;
    if (!endpoint->letters_count) {
        ask(endpoint, 0);
        return;
    }
    uint64_t n = endpoint->letters[0];
    endpoint->letters_count--;
    memmove(endpoint->letters, endpoint->letters + 1,
            endpoint->letters_count * sizeof(endpoint->letters[0]));
    ask(endpoint, n);
}
