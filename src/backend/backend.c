#include "backend/backend.h"

#include "backend/jwks.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>

enum { CONNECTIONS_MAX = 64, TIMEOUT_MS = 10000 };

struct backend {
    struct loop loop;
    struct client client;
    struct jwks jwks;
    struct authorize authorize;
    pthread_t thread;
    bool started;
    bool stopping; /* the thread's */
    struct mail stop;
};

static void *run(void *arg)
{
    struct backend *backend = arg;
    jwks_begin(&backend->jwks);
    while (!backend->stopping) {
        loop_turn(&backend->loop, client_wait_ms(&backend->client));
        client_turn(&backend->client);
    }
    return NULL;
}

int backend_open(const struct backend_config *config, struct backend **ret_backend)
{
    struct backend *backend = mem_alloc(sizeof(*backend));
    int result = loop_init(&backend->loop, config->clock, backend);
    if (result) {
        free(backend);
        return result;
    }
    result =
        client_init(&backend->client, &backend->loop, &config->policy, TIMEOUT_MS, CONNECTIONS_MAX);
    if (result) {
        loop_deinit(&backend->loop);
        free(backend);
        return result;
    }
    backend->client.ca_file = config->ca_file;
    jwks_init(&backend->jwks, config->issuers, &backend->client);
    authorize_init(&backend->authorize, &backend->client);
    *ret_backend = backend;
    return 0;
}

int backend_start(struct backend *backend)
{
    if (!backend)
        return 0;
    int result = pthread_create(&backend->thread, NULL, run, backend);
    backend->started = !result;
    return -result;
}

static void open_stop(struct mail *mail, void *owner)
{
    (void)owner;
    container_of(mail, struct backend, stop)->stopping = true;
}

void backend_stop(struct backend *backend)
{
    if (!backend)
        return;
    if (backend->started) {
        backend->stop.open = open_stop;
        mailbox_post(&backend->loop.mailbox, &backend->stop);
        pthread_join(backend->thread, NULL);
    }
    while (mailbox_empty(&backend->loop.mailbox))
        ; /* questions that came behind the stop */
    jwks_end(&backend->jwks);
    authorize_end(&backend->authorize);
}

struct authorize *backend_authorize(struct backend *backend)
{
    return &backend->authorize;
}

void backend_free(struct backend *backend)
{
    if (!backend)
        return;
    jwks_deinit(&backend->jwks);
    authorize_deinit(&backend->authorize);
    client_deinit(&backend->client);
    loop_deinit(&backend->loop);
    free(backend);
}
