#include "transport/parked.h"

#include <stdlib.h>

struct parked {
    struct http_head head;
    struct arena arena;
    struct str body, received;
};

/* A copy; the flag is set when memory lacks. */
static struct str copy(struct parked *parked, struct str text, bool *failed)
{
    struct str kept = arena_copy(&parked->arena, text);
    *failed = *failed || (text.len && !kept.at);
    return text.at && !kept.at ? (struct str){"", 0} : kept;
}

static bool copy_head(struct parked *parked, const struct http_head *head)
{
    struct http_head *own = &parked->head;
    bool failed = false;
    *own = *head;
    struct str *const texts[] = {&own->method_raw, &own->target, &own->path,
                                 &own->query,      &own->host,   &own->authority.host};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        *texts[i] = copy(parked, *texts[i], &failed);
    for (size_t i = 0; i < own->fields.count; i++) {
        own->fields.at[i].name = copy(parked, own->fields.at[i].name, &failed);
        own->fields.at[i].value = copy(parked, own->fields.at[i].value, &failed);
    }
    return !failed;
}

static bool copy_bodies(struct parked *parked, const struct worker *worker)
{
    bool failed = false;
    bool same = worker->received.at == worker->body.at && worker->received.len == worker->body.len;
    parked->body = copy(parked, worker->body, &failed);
    parked->received = same ? parked->body : copy(parked, worker->received, &failed);
    return !failed;
}

bool exchange_park(struct exchange *exchange)
{
    struct worker *worker = exchange->worker;
    struct parked *parked = mem_try_alloc(sizeof(*parked));
    if (!parked)
        return false;
    parked->arena = (struct arena){0};
    if (!copy_head(parked, exchange->head) || !copy_bodies(parked, worker)) {
        arena_free(&parked->arena);
        free(parked);
        return false;
    }
    exchange->parked = parked;
    exchange->head = NULL;
    holding_set(&worker->holdings, &exchange->holding, ACCOUNT_INTAKE,
                sizeof(*parked) + parked->arena.total);
    return true;
}

static void free_parked(struct parked *parked)
{
    arena_free(&parked->arena);
    free(parked);
}

void exchange_unpark(struct exchange *exchange)
{
    struct worker *worker = exchange->worker;
    struct parked *parked = exchange->parked;
    exchange->parked = NULL;
    exchange->head = &parked->head;
    worker->head_bytes = STR_NONE; /* not to be kept: more than its bytes has decided */
    worker->body = parked->body;
    worker->received = parked->received;
    holding_set(&worker->holdings, &exchange->holding, ACCOUNT_INTAKE, 0);
    exchange_handle(exchange);
    free_parked(parked);
}

void exchange_drop_parked(struct exchange *exchange)
{
    if (!exchange->parked)
        return;
    holding_set(&exchange->worker->holdings, &exchange->holding, ACCOUNT_INTAKE, 0);
    free_parked(exchange->parked);
    exchange->parked = NULL;
}
