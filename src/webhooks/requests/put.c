#include "webhooks/requests/put.h"

#include "webhooks/delivery/revoked.h"
#include "webhooks/endpoint/saving.h"

#include <stdlib.h>

struct put *put_new(struct courier_request *request, struct endpoint *endpoint)
{
    struct put *put = mem_alloc(sizeof(*put));
    *put = (struct put){.courier = endpoint->courier,
                        .request = request,
                        .endpoint = endpoint,
                        .before = endpoint->row,
                        .detail = STATE_ALL};
    return put;
}

void put_free(struct put *put)
{
    spec_free(&put->spec);
    free(put);
}

static int run_put(struct saver_job *job, struct registry *registry)
{
    struct put *put = container_of(job, struct put, job);
    bool is_new = !put->row.number;
    int result = is_new || put->forget ? 0 : registry_lanes_result(registry);
    return result ? result : registry_put(registry, &put->row, put->forget);
}

void put_submit_as(struct put *put, int (*run)(struct saver_job *job, struct registry *registry),
                   void (*done)(struct mail *mail, void *owner))
{
    put->row = put->endpoint->row;
    put->row.cursor = put->moves ? put->cursor : endpoint_scanned(put->endpoint);
    put->row.told = put->moves ? put->told : put->row.told;
    put->job.run = run;
    put->job.mail.open = done;
    /* Save lanes first, because the row says that the scan is beyond them. If they cannot be saved,
     * the row is not saved. */
    save_progress(put->courier, true);
    courier_submit_job(put->courier, &put->job);
}

void put_submit(struct put *put, void (*done)(struct mail *mail, void *owner))
{
    put_submit_as(put, run_put, done);
}

/* The endpoint may have another maker now, whose right has ended since it was asked for. */
void put_end_busy(struct endpoint *endpoint)
{
    endpoint->change.busy = NULL;
    endpoint_changed(endpoint); /* bundles have left its state out */
    revoked_look_at(endpoint);
    endpoint_ready(endpoint);
    requests_reopen(endpoint->courier, &endpoint->change.waiting);
}
