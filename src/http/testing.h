/* Helpers of tests: input in heap blocks of exactly its size, so that AddressSanitizer sees any
 * read beyond it, and comparison with literals. Include it behind cmocka.h. */
#pragma once

#include "base/str.h"

#include <stdint.h>
#include <stdlib.h>

/* A copy of `s`; free its `at` with exact_free(). */
static inline struct str exact(struct str s)
{
    char *copy = malloc(s.len ? s.len : 1);
    if (!copy)
        abort();
    if (s.len)
        memcpy(copy, s.at, s.len);
    return (struct str){s.len ? copy : copy + 1, s.len};
}

static inline void exact_free(struct str s)
{
    char *block = (char *)(uintptr_t)s.at;
    free(s.len ? block : block - 1);
}

#define assert_str(got, literal)                                                                   \
    do {                                                                                           \
        struct str got_ = (got);                                                                   \
        assert_int_equal(got_.len, sizeof(literal) - 1);                                           \
        assert_memory_equal(got_.at, literal, sizeof(literal) - 1);                                \
    } while (0)
