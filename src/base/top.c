#include "base/top.h"

#include <stdlib.h>
#include <string.h>

static struct str name_of(const struct top_place *place)
{
    return (struct str){place->name, place->len};
}

void top_add(struct top *top, uint16_t kind, struct str name, uint32_t n)
{
    struct top_place *least = &top->places[0];
    name.len = name.len < TOP_NAME_MAX ? name.len : TOP_NAME_MAX;
    for (unsigned i = 0; i < TOP_PLACES; i++) {
        struct top_place *place = &top->places[i];
        if (place->count && place->kind == kind && str_eq(name_of(place), name)) {
            place->count += n;
            return;
        }
        least = place->count < least->count ? place : least;
    }
    least->count += n;
    least->kind = kind;
    least->len = (uint8_t)name.len;
    if (name.len)
        memcpy(least->name, name.at, name.len);
}

void top_merge(struct top *to, const struct top *from)
{
    for (unsigned i = 0; i < TOP_PLACES; i++)
        if (from->places[i].count)
            top_add(to, from->places[i].kind, name_of(&from->places[i]), from->places[i].count);
}

static int compare(const void *a, const void *b)
{
    const struct top_place *left = a, *right = b;
    return left->count < right->count ? 1 : left->count > right->count ? -1 : 0;
}

void top_sort(struct top *top)
{
    qsort(top->places, TOP_PLACES, sizeof(top->places[0]), compare);
}
