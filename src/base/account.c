#include "base/account.h"

#include <stdlib.h>

#define ACCOUNT_TEXT(name, text, help) [ACCOUNT_##name] = (text),
const char *const account_names[ACCOUNT_COUNT] = {ACCOUNTS(ACCOUNT_TEXT)};

static void set_held(struct account *account, enum account_kind kind, uint64_t bytes)
{
    atomic_store_explicit(&account->held[kind], bytes, memory_order_relaxed);
}

void account_add(struct account *account, enum account_kind kind, size_t bytes)
{
    set_held(account, kind, account_held(account, kind) + bytes);
    account->total += bytes;
}

void account_sub(struct account *account, enum account_kind kind, size_t bytes)
{
    if (bytes > account_held(account, kind))
        abort();
    set_held(account, kind, account_held(account, kind) - bytes);
    account->total -= bytes;
}

void account_set(struct account *account, enum account_kind kind, size_t *counted, size_t bytes)
{
    if (bytes > *counted)
        account_add(account, kind, bytes - *counted);
    else
        account_sub(account, kind, *counted - bytes);
    *counted = bytes;
}
