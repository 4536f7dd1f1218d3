/* The mixing step multiplies two 64-bit words and folds the 128-bit product in half, as wyhash does
 * (Wang Yi, public domain): 16 bytes of input cost one multiplication. Files keep the results, so
 * nothing here may change them. */
#include "base/checksum.h"

#include <endian.h>

__extension__ typedef unsigned __int128 product;

/* Bits without a pattern, half of them set. */
#define SALT_LENGTH UINT64_C(0xa0761d6478bd642f)
#define SALT_BLOCK UINT64_C(0xe7037ed1a0b428db)
#define SALT_TAIL UINT64_C(0x8ebc6af09c88c6e3)
#define SALT_NUMBER UINT64_C(0x589965cc75374cc3)

enum { WORD = 8, BLOCK = 2 * WORD };

static uint64_t fold(uint64_t a, uint64_t b)
{
    product wide = (product)a * b;
    return (uint64_t)wide ^ (uint64_t)(wide >> 64);
}

/* The first `len` bytes as a little-endian number, at most a word. */
static uint64_t word_at(const char *at, size_t len)
{
    uint64_t word = 0;
    memcpy(&word, at, len);
    return le64toh(word);
}

uint64_t checksum_bytes(uint64_t sum, struct str bytes)
{
    const char *at = bytes.at;
    size_t left = bytes.len;
    sum = fold(sum ^ SALT_LENGTH, bytes.len ^ SALT_BLOCK);
    for (; left >= BLOCK; at += BLOCK, left -= BLOCK)
        sum = fold(word_at(at, WORD) ^ SALT_BLOCK, word_at(at + WORD, WORD) ^ sum);
    if (left > WORD)
        sum = fold(word_at(at, WORD) ^ SALT_TAIL, word_at(at + WORD, left - WORD) ^ sum);
    else if (left)
        sum = fold(word_at(at, left) ^ SALT_TAIL, sum ^ SALT_LENGTH);
    return sum;
}

uint64_t checksum_number(uint64_t sum, uint64_t number)
{
    return fold(sum ^ SALT_LENGTH, number ^ SALT_NUMBER);
}
