#include "base/mem.h"

#include <stdlib.h>

static _Thread_local unsigned long fail_in;

void *mem_alloc(size_t size)
{
    void *block = calloc(1, size);
    if (!block)
        abort();
    return block;
}

static int must_fail(void)
{
    return fail_in && --fail_in == 0;
}

void *mem_try_alloc(size_t size)
{
    return must_fail() ? NULL : malloc(size);
}

void *mem_try_realloc(void *old, size_t size)
{
    return must_fail() ? NULL : realloc(old, size);
}

void mem_fail_nth(unsigned long nth)
{
    fail_in = nth;
}
