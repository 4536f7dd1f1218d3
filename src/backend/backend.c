#include "backend/backend.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>

/* Key sets have connections of their own, so that a callback which hangs does not keep keys from
 * being fetched, nor issuers a callback from being asked. */
enum { KEYS_CONNECTIONS_MAX = 8, TIMEOUT_MS = 10000 };

struct backend {
    struct loop loop;
    struct client client;     /* of callbacks */
    struct client key_client; /* of key sets */
    struct jwks jwks;
    struct authorize authorize;
    pthread_t thread;
    bool started;
    bool stopping; /* the thread's */
    struct mail stop;
};

/* How long the loop may wait for the sake of both clients. */
static int wait_ms(const struct backend *backend)
{
    int callbacks = client_wait_ms(&backend->client), keys = client_wait_ms(&backend->key_client);
    return callbacks < 0 || (keys >= 0 && keys < callbacks) ? keys : callbacks;
}

static void *run(void *arg)
{
    struct backend *backend = arg;
    jwks_begin(&backend->jwks);
    while (!backend->stopping) {
        loop_turn(&backend->loop, wait_ms(backend));
        client_turn(&backend->client);
        client_turn(&backend->key_client);
    }
    return NULL;
}

/* 0 or a negative errno, and then nothing is left. */
static int open_clients(struct backend *backend, const struct backend_config *config)
{
    int result = client_init(&backend->client, &backend->loop, &config->policy, TIMEOUT_MS,
                             AUTHORIZE_PLACES);
    if (result)
        return result;
    result = client_init(&backend->key_client, &backend->loop, &config->policy, TIMEOUT_MS,
                         KEYS_CONNECTIONS_MAX);
    if (result)
        client_deinit(&backend->client);
    backend->client.authorities = backend->key_client.authorities = config->authorities;
    return result;
}

/* 0 or a negative errno, and then nothing is left. */
static int open_parts(struct backend *backend, const struct backend_config *config)
{
    int result = authorize_init(&backend->authorize, &backend->client);
    if (result)
        return result;
    result = jwks_init(&backend->jwks, config->issuers, &backend->key_client);
    if (!result && (result = open_clients(backend, config)))
        jwks_deinit(&backend->jwks);
    if (result)
        authorize_deinit(&backend->authorize);
    return result;
}

int backend_open(const struct backend_config *config, struct backend **ret_backend)
{
    struct backend *backend = mem_alloc(sizeof(*backend));
    int result = loop_init(&backend->loop, config->clock, backend);
    if (result) {
        free(backend);
        return result;
    }
    result = open_parts(backend, config);
    if (result) {
        loop_deinit(&backend->loop);
        free(backend);
        return result;
    }
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
        backend->started = false;
    }
    while (mailbox_empty(&backend->loop.mailbox))
        ; /* questions that came behind the stop */
    jwks_end(&backend->jwks);
    authorize_end(&backend->authorize);
}

bool backend_is_idle(const struct backend *backend)
{
    return !backend ||
           (!atomic_load(&backend->jwks.questions) && !atomic_load(&backend->authorize.questions));
}

struct authorize *backend_authorize(struct backend *backend)
{
    return backend ? &backend->authorize : NULL;
}

struct jwks *backend_jwks(struct backend *backend)
{
    return backend ? &backend->jwks : NULL;
}

void backend_free(struct backend *backend)
{
    if (!backend)
        return;
    jwks_deinit(&backend->jwks);
    authorize_deinit(&backend->authorize);
    client_deinit(&backend->client);
    client_deinit(&backend->key_client);
    loop_deinit(&backend->loop);
    free(backend);
}
