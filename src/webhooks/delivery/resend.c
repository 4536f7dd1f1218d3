/* Deliveries that somebody wants sent again: dead letters, and what was delivered already. One at a
 * time, beside all that is in order. */
#include "webhooks/endpoint/endpoint.h"

#include "webhooks/delivery/packed.h"

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
    free(own);
}

/* A dead letter has its events with it. Those of others are read from the log, a range like what a
 * lane has to send again: a large page may come in several requests. */
static void load(struct lane *lane, struct letter_job *own)
{
    if (!own->letter.events.len) {
        lane->row.after = own->letter.first - 1;
        lane->row.upto = own->letter.last;
        lane->behind = true;
    }
    struct event event;
    struct str rest = buf_str(&own->letter.events);
    for (size_t took; (took = packed_read(rest, &event)); rest = str_skip(rest, took))
        if (!lane_add(lane, &event, NULL, NULL))
            return;
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
    lane_look(lane);
}

/* ---- several in a row
 * ---------------------------------------------------------------------------- */

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
    if (!n)
        courier_keep(endpoint->courier, true); /* a list holds what has died just now */
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
