/* The head of every fuzz target: its entry, and a check whose failure is a fault. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Aborts if the truth is none; libFuzzer then keeps the input. */
static inline void require(bool truth)
{
    if (!truth)
        abort();
}
