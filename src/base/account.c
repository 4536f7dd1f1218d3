#include "base/account.h"

#define ACCOUNT_TEXT(name, text, help) [ACCOUNT_##name] = (text),
const char *const account_names[ACCOUNT_COUNT] = {ACCOUNTS(ACCOUNT_TEXT)};

void account_set(struct account *account, enum account_kind kind, size_t *counted, size_t bytes)
{
    if (bytes > *counted)
        account_add(account, kind, bytes - *counted);
    else
        account_sub(account, kind, *counted - bytes);
    *counted = bytes;
}
