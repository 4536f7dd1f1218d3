#include "log/number_set.h"

#include "base/bisect.h"
#include "base/mem.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_FIRST = 8, WORD_BITS = 64 };

void number_set_deinit(struct number_set *set)
{
    free(set->list);
    free(set->bitmap);
    *set = (struct number_set){0};
}

size_t number_set_bytes(const struct number_set *set)
{
    return set->bitmap ? set->cap / 8 : set->cap * sizeof(*set->list);
}

/* ---- lists ----------------------------------------------------------------------------------- */

/* The index of the first number in the list that is not lower. */
static size_t place_of(const struct number_set *set, uint32_t number)
{
    size_t low = 0, high = set->count;
    BISECT(low, high, middle, set->list[middle] < number);
    return low;
}

static bool list_has(const struct number_set *set, size_t place, uint32_t number)
{
    return place < set->count && set->list[place] == number;
}

static bool list_grow(struct number_set *set)
{
    size_t cap = set->cap ? set->cap * 2 : LIST_FIRST;
    uint32_t *list = mem_try_realloc(set->list, cap * sizeof(*list));
    if (!list)
        return false;
    set->list = list;
    set->cap = cap;
    return true;
}

static bool list_put(struct number_set *set, size_t place, uint32_t number)
{
    if (set->count == set->cap && !list_grow(set))
        return false;
    memmove(&set->list[place + 1], &set->list[place], (set->count - place) * sizeof(*set->list));
    set->list[place] = number;
    set->count++;
    return true;
}

static void list_take_out(struct number_set *set, size_t place)
{
    set->count--;
    memmove(&set->list[place], &set->list[place + 1], (set->count - place) * sizeof(*set->list));
}

/* ---- bitmaps --------------------------------------------------------------------------------- */

/* A power of two, so that a set that grows with the table copies little. */
static size_t bits_for(uint32_t number, size_t least)
{
    size_t bits = least;
    while (bits <= number)
        bits *= 2;
    return bits;
}

static bool bitmap_grow(struct number_set *set, uint32_t number)
{
    size_t bits = bits_for(number, set->cap);
    uint8_t *bitmap = mem_try_realloc(set->bitmap, bits / 8);
    if (!bitmap)
        return false;
    memset(bitmap + set->cap / 8, 0, (bits - set->cap) / 8);
    set->bitmap = bitmap;
    set->cap = bits;
    return true;
}

static void set_bit(uint8_t *bitmap, uint32_t number)
{
    bitmap[number >> 3] |= (uint8_t)(1 << (number & 7));
}

static bool bitmap_put(struct number_set *set, uint32_t number, bool is_in)
{
    if (number >= set->cap && !is_in)
        return true;
    if (number >= set->cap && !bitmap_grow(set, number))
        return false;
    if (is_in)
        set_bit(set->bitmap, number);
    else
        set->bitmap[number >> 3] &= (uint8_t) ~(1 << (number & 7));
    return true;
}

/* Turns a full list into a bitmap with one more number. */
static bool to_bitmap(struct number_set *set, uint32_t number)
{
    uint32_t last = set->list[set->count - 1];
    size_t bits = bits_for(number > last ? number : last, WORD_BITS);
    uint8_t *bitmap = mem_try_alloc(bits / 8);
    if (!bitmap)
        return false;
    memset(bitmap, 0, bits / 8);
    number_set_mark(set, bitmap, bits);
    set_bit(bitmap, number);
    free(set->list);
    *set = (struct number_set){.bitmap = bitmap, .cap = bits};
    return true;
}

static uint64_t word_at(const struct number_set *set, size_t word)
{
    uint64_t bits;
    memcpy(&bits, set->bitmap + word * sizeof(bits), sizeof(bits));
    return le64toh(bits);
}

static bool bitmap_copy(const struct number_set *set, uint32_t *to, size_t most, size_t *ret_count)
{
    for (size_t word = 0; word * WORD_BITS < set->cap; word++) {
        uint64_t bits = word_at(set, word);
        if (*ret_count + (size_t)__builtin_popcountll(bits) > most)
            return false;
        for (; bits; bits &= bits - 1)
            to[(*ret_count)++] = (uint32_t)(word * WORD_BITS + (size_t)__builtin_ctzll(bits));
    }
    return true;
}

/* ---- either ---------------------------------------------------------------------------------- */

bool number_set_put(struct number_set *set, uint32_t number, bool is_in)
{
    if (set->bitmap)
        return bitmap_put(set, number, is_in);
    size_t place = place_of(set, number);
    bool was_in = list_has(set, place, number);
    if (was_in && !is_in)
        list_take_out(set, place);
    if (was_in == is_in || !is_in)
        return true;
    if (set->count < NUMBER_SET_LIST_MAX)
        return list_put(set, place, number);
    return to_bitmap(set, number);
}

bool number_set_has(const struct number_set *set, uint32_t number)
{
    if (set->bitmap)
        return number < set->cap && (set->bitmap[number >> 3] >> (number & 7) & 1);
    return list_has(set, place_of(set, number), number);
}

bool number_set_copy(const struct number_set *set, uint32_t *to, size_t most, size_t *ret_count)
{
    *ret_count = 0;
    if (set->bitmap)
        return bitmap_copy(set, to, most, ret_count);
    if (set->count > most)
        return false;
    if (set->count)
        memcpy(to, set->list, set->count * sizeof(*to));
    *ret_count = set->count;
    return true;
}

void number_set_mark(const struct number_set *set, uint8_t *bitmap, size_t bits)
{
    size_t size = (set->cap < bits ? set->cap : bits) / 8;
    for (size_t i = 0; set->bitmap && i < size; i++)
        bitmap[i] |= set->bitmap[i];
    for (size_t i = 0; !set->bitmap && i < set->count && set->list[i] < bits; i++)
        set_bit(bitmap, set->list[i]);
}
