#include "base/mem.h"

#include <stdlib.h>
#include <sys/mman.h>

static _Thread_local unsigned long fail_in;

void *mem_alloc(size_t size)
{
    void *block = calloc(1, size);
    if (!block)
        abort();
    return block;
}

static _Thread_local unsigned long fail_every;

static int must_fail(void)
{
    if (!fail_in || --fail_in)
        return 0;
    fail_in = fail_every;
    return 1;
}

void *mem_try_alloc(size_t size)
{
    return must_fail() ? NULL : malloc(size);
}

void *mem_try_realloc(void *old, size_t size)
{
    return must_fail() ? NULL : realloc(old, size);
}

void *mem_try_pages(size_t size)
{
    if (must_fail())
        return NULL;
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

void mem_free_pages(void *pages, size_t size)
{
    munmap(pages, size);
}

void mem_drop_pages(void *pages, size_t size)
{
    (void)madvise(pages, size, MADV_DONTNEED);
}

void mem_fail_nth(unsigned long nth)
{
    fail_in = nth;
    fail_every = 0;
}

void mem_fail_every(unsigned long n)
{
    fail_in = fail_every = n;
}
