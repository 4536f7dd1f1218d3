#include "transport/holding.h"

/* The size class of `bytes`: the position of its highest bit. */
static unsigned class_of(size_t bytes)
{
    unsigned class = 63 - (unsigned)__builtin_clzll((unsigned long long)bytes);
    return class < HOLDING_CLASSES ? class : HOLDING_CLASSES - 1;
}

static size_t share_of(const struct holding *holding)
{
    return holding->sharers > 1 ? holding->bytes / holding->sharers : holding->bytes;
}

void holdings_init(struct holdings *holdings, struct account *account)
{
    *holdings = (struct holdings){.account = account};
    for (unsigned kind = 0; kind < ACCOUNT_COUNT; kind++)
        for (unsigned class = 0; class < HOLDING_CLASSES; class ++)
            list_init(&holdings->classes[kind][class]);
}

static void unlist(struct holdings *holdings, struct holding *holding)
{
    if (!list_linked(&holding->node))
        return;
    unsigned class = class_of(share_of(holding));
    list_remove(&holding->node);
    if (list_empty(&holdings->classes[holding->kind][class]))
        holdings->filled[holding->kind] &= ~(UINT64_C(1) << class);
}

static void enlist(struct holdings *holdings, struct holding *holding)
{
    if (share_of(holding) < HOLDING_LEAST)
        return;
    unsigned class = class_of(share_of(holding));
    list_add_last(&holdings->classes[holding->kind][class], &holding->node);
    holdings->filled[holding->kind] |= UINT64_C(1) << class;
}

void holding_set_shared(struct holdings *holdings, struct holding *holding, enum account_kind kind,
                        size_t bytes, uint32_t sharers)
{
    if (bytes == holding->bytes && (!bytes || holding->kind == kind) && sharers == holding->sharers)
        return;
    unlist(holdings, holding);
    if (holding->bytes)
        account_sub(holdings->account, holding->kind, holding->bytes);
    if (bytes)
        account_add(holdings->account, kind, bytes);
    holding->kind = (uint8_t)kind;
    holding->bytes = bytes;
    holding->sharers = sharers;
    enlist(holdings, holding);
}

struct holding *holdings_largest(const struct holdings *holdings, enum account_kind kind)
{
    if (!holdings->filled[kind])
        return NULL;
    unsigned class = 63 - (unsigned)__builtin_clzll(holdings->filled[kind]);
    return container_of(holdings->classes[kind][class].next, struct holding, node);
}

struct holding *holdings_largest_of_all(const struct holdings *holdings)
{
    struct holding *largest = NULL;
    for (unsigned kind = 0; kind < ACCOUNT_COUNT; kind++) {
        struct holding *holding = holdings_largest(holdings, kind);
        if (holding && (!largest || share_of(holding) > share_of(largest)))
            largest = holding;
    }
    return largest;
}

bool holding_is_large(const struct holdings *holdings, const struct holding *holding)
{
    return list_linked(&holding->node) &&
           holdings->filled[holding->kind] >> class_of(share_of(holding)) == 1;
}
