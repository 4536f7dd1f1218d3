/* Allocation of two kinds: small fixed sizes, where a lack of memory aborts, and sizes from
 * outside, which may fail. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Zeroed memory for a structure of our own; aborts if there is none. Free with free(). */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));

/* Uninitialised memory for a size that comes from outside; NULL if there is none, which the caller
 * must handle. Free with free(). */
void *mem_try_alloc(size_t size) __attribute__((malloc, warn_unused_result));

/* realloc() for a size that comes from outside; on NULL the old block is unchanged. */
void *mem_try_realloc(void *old, size_t size) __attribute__((warn_unused_result));

/* Zeroed pages straight from the kernel, which allots each page at its first use. For large tables
 * that must be made and freed without a pause. NULL if there are none. Free with
 * mem_free_pages(). */
void *mem_try_pages(size_t size) __attribute__((malloc, warn_unused_result));
void mem_free_pages(void *pages, size_t size);

/* Gives the memory of whole pages back before the block is freed; they then read as zeroes. */
void mem_drop_pages(void *pages, size_t size);

/* The heap memory of a block of `size` bytes, with the allocator's overhead. */
static inline size_t mem_taken(size_t size)
{
    size_t taken = (size + sizeof(size_t) + 15) & ~(size_t)15;
    return taken < 32 ? 32 : taken;
}

/* Makes the `nth` mem_try_… call from now return NULL, once; 0 switches that off. For tests, so
 * that every allocation can be made to fail in turn. Calling thread only. */
void mem_fail_nth(unsigned long nth);

/* Makes every `n`th mem_try_… call fail from now on, the same way; 0 switches that off. */
void mem_fail_every(unsigned long n);

/* The structure that embeds `member` at address `ptr`. The cast to an integer lets it take pointers
 * to const as well. */
#define container_of(ptr, type, member) ((type *)((uintptr_t)(ptr)-offsetof(type, member)))
