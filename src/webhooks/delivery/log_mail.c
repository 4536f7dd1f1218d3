#include "webhooks/delivery/log_mail.h"

#include <stdlib.h>

enum { MAIL_US = 5000 }; /* of a turn, for these */

struct batch_mail {
    struct list node;
    struct batch *batch;
};

static void count_one(_Atomic uint64_t *stat)
{
    atomic_fetch_add_explicit(stat, 1, memory_order_relaxed);
}

static struct batch *take_mail(struct courier *courier)
{
    struct list *node = list_take_first(&courier->mail);
    if (!node)
        return NULL;
    struct batch_mail *mail = container_of(node, struct batch_mail, node);
    struct batch *batch = mail->batch;
    courier->mail_bytes -= batch_bytes(batch);
    free(mail);
    return batch;
}

void log_mail_drop(struct courier *courier)
{
    for (struct batch *batch; (batch = take_mail(courier));)
        batch_unref(batch);
}

void log_mail_on_missed(void *owner, uint64_t upto)
{
    struct courier *courier = owner;
    log_mail_drop(courier);
    hub_miss(&courier->hub, upto);
    count_one(&courier->stats.missed);
}

/* The id of the batch's newest event, or of the event before the batch if it has none. */
static uint64_t newest_of(const struct batch *batch, uint64_t before)
{
    for (uint32_t i = batch->count; i > 0; i--)
        if (batch->events[i - 1].state == EVENT_APPENDED)
            return batch->events[i - 1].id;
    return before;
}

static void fan_out(struct courier *courier, struct batch *batch)
{
    if (list_empty(&courier->endpoints))
        hub_pass(&courier->hub, batch);
    else
        hub_on_batch(&courier->hub, batch);
}

void log_mail_on_batch(void *owner, struct batch *batch)
{
    struct courier *courier = owner;
    if (list_empty(&courier->endpoints) && list_empty(&courier->mail)) {
        hub_pass(&courier->hub, batch);
        return;
    }
    courier->mailed = newest_of(batch, courier->mailed);
    struct batch_mail *mail =
        courier->mail_bytes <= courier->config.backlog_max ? mem_try_alloc(sizeof(*mail)) : NULL;
    if (!mail) {
        log_mail_on_missed(courier, courier->mailed);
        return;
    }
    *mail = (struct batch_mail){.batch = batch_ref(batch)};
    courier->mail_bytes += batch_bytes(batch);
    list_add_last(&courier->mail, &mail->node);
}

void log_mail_read(struct courier *courier)
{
    struct budget budget;
    struct batch *batch;
    budget_begin(&budget, courier->config.clock, MAIL_US, INT64_MAX);
    while (!budget_is_spent(&budget) && (batch = take_mail(courier))) {
        fan_out(courier, batch);
        /* Read the clock after each batch: an event may match every endpoint. */
        (void)budget_spend(&budget, BUDGET_STRIDE);
        batch_unref(batch);
    }
    if (!list_empty(&courier->mail))
        count_one(&courier->stats.turns_cut);
}
