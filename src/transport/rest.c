#include "transport/rest.h"

#include "base/mem.h"

#include <stdlib.h>

/* The holding names one of the connections: the one to close if memory is needed. */
static void count(struct rest *rest)
{
    const struct rest_place *first = container_of(rest->places.next, struct rest_place, node);
    rest->holding.request = first->request;
    holding_set_shared(rest->holdings, &rest->holding, ACCOUNT_RESTS,
                       sizeof(*rest) + piece_size(rest->piece), rest->count);
}

static struct rest *rest_new(struct holdings *holdings, struct piece *piece)
{
    struct rest *rest = mem_try_alloc(sizeof(*rest));
    if (!rest)
        return NULL;
    *rest = (struct rest){.holdings = holdings, .piece = piece_ref(piece)};
    list_init(&rest->places);
    piece_set_keeper(piece, rest);
    return rest;
}

static void rest_free(struct rest *rest)
{
    holding_set(rest->holdings, &rest->holding, ACCOUNT_RESTS, 0);
    piece_set_keeper(rest->piece, NULL);
    piece_unref(rest->piece);
    free(rest);
}

bool rest_keep(struct holdings *holdings, struct rest_place *place, struct request_stream *request,
               struct piece *piece, size_t sent)
{
    struct rest *rest = piece->keeper ? piece->keeper : rest_new(holdings, piece);
    if (!rest)
        return false;
    *place = (struct rest_place){.rest = rest, .request = request, .sent = sent};
    list_add_last(&rest->places, &place->node);
    rest->count++;
    count(rest);
    return true;
}

void rest_advance(struct rest_place *place, size_t n)
{
    place->sent += n;
    if (place->sent == place->rest->piece->bytes.len)
        rest_drop(place);
}

void rest_drop(struct rest_place *place)
{
    struct rest *rest = place->rest;
    if (!rest)
        return;
    place->rest = NULL;
    list_remove(&place->node);
    if (--rest->count)
        count(rest);
    else
        rest_free(rest);
}
