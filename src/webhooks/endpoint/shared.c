#include "webhooks/endpoint/shared.h"

#include "webhooks/endpoint/spec.h"

#include <stdlib.h>

int64_t courier_now_us(struct courier *courier)
{
    if (steady_read(&courier->time) == STEADY_BELIEVED)
        courier->unshifted_us += courier->time.jump_us;
    return courier->time.wall_us - courier->unshifted_us;
}

bool courier_may_call(const struct courier *courier, const char *url)
{
    char *host = spec_url_host(url);
    bool may = host && !address_host_refused(str_from(host), &courier->client.policy);
    free(host);
    return may;
}

void courier_submit_job(struct courier *courier, struct saver_job *job)
{
    job->reply = &courier->loop.mailbox;
    courier->jobs++;
    saver_submit(courier->saver, job);
}
