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

enum { HALF = 4, WORD = 8, BLOCK = 2 * WORD };

static uint64_t fold(uint64_t a, uint64_t b)
{
    product wide = (product)a * b;
    return (uint64_t)wide ^ (uint64_t)(wide >> 64);
}

static uint64_t word_at(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return le64toh(word);
}

static uint64_t half_at(const char *at)
{
    uint32_t half;
    memcpy(&half, at, sizeof(half));
    return le32toh(half);
}

static uint64_t byte_at(const char *at)
{
    return (unsigned char)*at;
}

/* The last bytes, at most a block of them, are read as two words that may overlap. */
static uint64_t fold_tail(uint64_t sum, const char *at, size_t len)
{
    uint64_t a = 0, b = 0;
    if (len >= WORD) {
        a = word_at(at);
        b = word_at(at + len - WORD);
    } else if (len >= HALF) {
        a = half_at(at);
        b = half_at(at + len - HALF);
    } else if (len) {
        a = byte_at(at) << 16 | byte_at(at + len / 2) << 8 | byte_at(at + len - 1);
    }
    return fold(a ^ SALT_TAIL, b ^ sum);
}

uint64_t checksum_bytes(uint64_t sum, struct str bytes)
{
    const char *at = bytes.at;
    size_t left = bytes.len;
    sum ^= bytes.len * SALT_LENGTH;
    for (; left > BLOCK; at += BLOCK, left -= BLOCK)
        sum = fold(word_at(at) ^ SALT_BLOCK, word_at(at + WORD) ^ sum);
    return fold_tail(sum, at, left);
}

uint64_t checksum_numbers(uint64_t sum, uint64_t a, uint64_t b)
{
    return fold(a ^ SALT_NUMBER, b ^ sum);
}
