#include "webhooks/delivery/resend.h"

#include "webhooks/delivery/packed.h"
#include "webhooks/endpoint/directory.h"
#include "webhooks/endpoint/lane.h"
#include "webhooks/endpoint/saving.h"

#include <stdlib.h>

enum { LIST_MOST = 64 };

/* A job that finds a delivery to resend, or the numbers of the next dead letters. */
struct resend_job {
    struct saver_job job;
    struct courier *courier;
    char id[ENDPOINT_ID_LEN + 1];
    uint64_t endpoint;
    uint64_t n; /* 0: list */
    uint64_t after;
    uint64_t numbers[LIST_MOST];
    size_t count;
    struct dead_letter letter;
};

static int find(struct saver_job *job, struct registry *registry)
{
    struct resend_job *own = container_of(job, struct resend_job, job);
    struct delivery_log *log = registry_delivery_log(registry);
    if (own->n)
        return delivery_log_find(log, own->endpoint, own->n, &own->letter);
    return delivery_log_list_dead(log, own->endpoint, own->after, own->numbers, LIST_MOST,
                                  &own->count);
}

static void job_free(struct resend_job *own)
{
    buf_free(&own->letter.events);
    free(own);
}

/* A dead letter comes with its events. Those of other deliveries are read from the log as a range;
 * a large page may then take several requests. */
static void load(struct lane *lane, struct resend_job *own)
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

static void send_again(struct endpoint *endpoint, struct resend_job *own)
{
    struct lane *lane = lane_new(endpoint, LANE_RESEND, STR(""));
    lane->row.n = own->n;
    lane->row.attempts = own->letter.attempts;
    lane->resend_state = own->letter.state;
    lane->bytes = own->letter.events;
    load(lane, own);
    own->letter.events = (struct buf){0};
    lane_step_or_free(lane);
}

/* A dead letter keeps its events while the webhook's channels change. Whoever has the webhook now
 * needed no right to the channels that it had then. */
void resend_drop_foreign(struct lane *lane)
{
    const struct selection *selection = lane->endpoint->made.selection;
    struct list own = LIST_INIT(own), foreign = LIST_INIT(foreign);
    while (lane->queued) {
        bool is_own = selection_has_channel(selection, pending_first(&lane->queue)->channel);
        (void)lane_take_first(lane, is_own ? &own : &foreign);
    }
    lane_put_back(lane, &own);
    pending_free_all(&foreign);
}

/* ---- several in a row ------------------------------------------------------------------------ */

static void take_numbers(struct endpoint *endpoint, const struct resend_job *own)
{
    for (size_t i = 0; i < own->count && own->numbers[i] <= endpoint->resends.upto; i++)
        if (endpoint->resends.count <
            sizeof(endpoint->resends.numbers) / sizeof(endpoint->resends.numbers[0]))
            endpoint->resends.numbers[endpoint->resends.count++] = own->numbers[i];
    endpoint->resends.after = own->count == LIST_MOST ? own->numbers[own->count - 1] : UINT64_MAX;
}

static void found(struct mail *mail, void *owner)
{
    struct resend_job *own = container_of(mail, struct resend_job, job.mail);
    struct courier *courier = owner;
    struct endpoint *endpoint = directory_find(courier, own->id);
    courier->jobs--;
    if (endpoint) {
        endpoint->resends.asked = false;
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
    struct resend_job *own = mem_alloc(sizeof(*own));
    *own = (struct resend_job){.job = {.run = find, .looks = true, .mail = {NULL, found}},
                               .courier = endpoint->courier,
                               .endpoint = endpoint->row.number,
                               .n = n,
                               .after = endpoint->resends.after};
    memcpy(own->id, endpoint->row.id, sizeof(own->id));
    endpoint->resends.asked = true;
    if (!n)
        save_progress(endpoint->courier, true); /* the list must include what has just failed */
    courier_submit_job(endpoint->courier, &own->job);
}

void resend_next(struct endpoint *endpoint)
{
    bool more = endpoint->resends.upto && endpoint->resends.after < endpoint->resends.upto;
    if (endpoint->resends.asked || (!endpoint->resends.count && !more) || endpoint->resends.lanes)
        return;
    if (!endpoint->resends.count) {
        ask(endpoint, 0);
        return;
    }
    uint64_t n = endpoint->resends.numbers[0];
    endpoint->resends.count--;
    memmove(endpoint->resends.numbers, endpoint->resends.numbers + 1,
            endpoint->resends.count * sizeof(endpoint->resends.numbers[0]));
    ask(endpoint, n);
}

bool resend_add(struct endpoint *endpoint, uint64_t n)
{
    if (endpoint->resends.count == RESENDS_MAX)
        return false;
    endpoint->resends.numbers[endpoint->resends.count++] = n;
    endpoint_ready(endpoint);
    return true;
}

void resend_all_dead(struct endpoint *endpoint)
{
    if (!endpoint->resends.dead)
        return;
    endpoint->resends.after = 0;
    endpoint->resends.upto = endpoint->courier->next_n - 1;
}
