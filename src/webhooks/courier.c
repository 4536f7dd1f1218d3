/* The courier's thread: it turns (see turn.h) until it is stopped.
 *
 * What can go wrong: after a crash, events that were delivered and not yet saved are delivered
 * again (at least once); a disk that cannot be written delays the saving and nothing else; a
 * receiver that fails holds up itself alone. */
#include "webhooks/courier.h"

#include "webhooks/delivery/log_mail.h"
#include "webhooks/delivery/revoked.h"
#include "webhooks/endpoint/directory.h"
#include "webhooks/opening.h"
#include "webhooks/requests/creation.h"
#include "webhooks/turn.h"

#include <stdlib.h>

int courier_open(const struct courier_config *config, struct courier **ret_courier)
{
    struct courier *courier = mem_alloc(sizeof(*courier));
    opening_set_up(courier, config);
    int result = loop_init(&courier->loop, config->clock, courier);
    if (!result) {
        result = opening_open_parts(courier);
        if (result)
            loop_deinit(&courier->loop);
    }
    if (result) {
        directory_deinit(courier);
        creations_deinit(courier);
        free(courier);
        return result;
    }
    *ret_courier = courier;
    return opening_load(courier);
}

struct change_listener *courier_revoked(struct courier *courier)
{
    return &courier->revoked;
}

static void open_change(struct mail *mail, void *owner)
{
    struct courier *courier = owner;
    struct courier_change *change = container_of(mail, struct courier_change, mail);
    courier->config.access = change->access;
    courier->config.rules = change->after;
    courier->config.allow_loopback = courier->client.policy.loopback = change->allow_loopback;
    courier->config.authorities = courier->client.authorities = change->authorities;
    courier->config.identity = courier->client.identity = change->identity;
    courier->config.subject_endpoints_max = change->subject_endpoints_max;
    opening_limit(courier, &change->hub);
    hub_limit(&courier->hub, &courier->config.hub);
    revoked_by_change(courier, change->before, change->after);
    revoked_disable(courier);
    change->done(change);
}

void courier_switch(struct courier *courier, struct courier_change *change)
{
    change->mail.open = open_change;
    mailbox_post(&courier->loop.mailbox, &change->mail);
}

static void *courier_main(void *arg)
{
    struct courier *courier = arg;
    while (!courier_is_done(courier))
        courier_turn(courier, -1);
    courier_end(courier);
    return NULL;
}

int courier_start(struct courier *courier)
{
    int result = saver_start(courier->saver);
    return result ? result : -pthread_create(&courier->thread, NULL, courier_main, courier);
}

static void open_stop(struct mail *mail, void *owner)
{
    (void)mail;
    courier_begin_stop(owner);
}

void courier_stop(struct courier *courier)
{
    courier->stop_mail.open = open_stop;
    mailbox_post(&courier->loop.mailbox, &courier->stop_mail);
    pthread_join(courier->thread, NULL);
}

void courier_free(struct courier *courier)
{
    if (courier->registry)
        courier_end(courier); /* the courier was never started */
    while (mailbox_empty(&courier->loop.mailbox))
        ;
    log_mail_drop(courier);
    hub_deinit(&courier->hub);
    directory_deinit(courier);
    creations_deinit(courier);
    loop_deinit(&courier->loop);
    free(courier);
}

const struct courier_stats *courier_stats(const struct courier *courier)
{
    return &courier->stats;
}
