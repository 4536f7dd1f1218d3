#include "log/name_sort.h"

#include <stdlib.h>

enum { WORD = 8 };

struct sorter {
    struct str (*name_of)(const void *owner, uint32_t number);
    const void *owner;
    size_t depth; /* bytes of each name that earlier rounds have compared */
};

/* The next eight bytes as a number with the same order; bytes behind the end of the name are 0. */
static uint64_t word_at(struct str name, size_t depth)
{
    uint64_t word = 0;
    size_t len = name.len > depth ? name.len - depth : 0;
    if (len)
        memcpy(&word, name.at + depth, len < WORD ? len : WORD);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static int by_word(const void *a, const void *b)
{
    const struct name_sort_entry *x = a, *y = b;
    if (x->word != y->word)
        return x->word < y->word ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

/* Sorts entries that are equal so far by their next word; returns how many are still tied. */
static size_t sort_run(const struct sorter *sorter, struct name_sort_entry *entries, size_t count)
{
    size_t tied = 0;
    for (size_t i = 0; i < count; i++)
        entries[i].word = word_at(sorter->name_of(sorter->owner, entries[i].number), sorter->depth);
    qsort(entries, count, sizeof(*entries), by_word);
    entries[0].tied = false;
    for (size_t i = 1; i < count; i++) {
        /* Names contain no 0, so a word that ends with 0 is the last of its name. */
        entries[i].tied = entries[i].word == entries[i - 1].word && (entries[i].word & 0xff);
        tied += entries[i].tied;
    }
    return tied;
}

/* Sorts all runs of entries that are equal so far by their next word. */
static size_t sort_runs(const struct sorter *sorter, struct name_sort_entry *entries, size_t count)
{
    size_t tied = 0;
    for (size_t from = 0, to; from < count; from = to) {
        for (to = from + 1; to < count && entries[to].tied; to++)
            ;
        if (to - from > 1)
            tied += sort_run(sorter, &entries[from], to - from);
    }
    return tied;
}

void name_sort(struct name_sort_entry *entries, size_t count,
               struct str (*name_of)(const void *owner, uint32_t number), const void *owner)
{
    struct sorter sorter = {.name_of = name_of, .owner = owner};
    for (size_t i = 0; i < count; i++)
        entries[i].tied = i > 0;
    while (sort_runs(&sorter, entries, count))
        sorter.depth += WORD;
}
