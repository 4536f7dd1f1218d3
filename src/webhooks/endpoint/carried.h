/* Ids of events that were delivered although the scan goes back before them: the scan skips these
 * events.
 *
 * They come from lanes that ended with their request (see delivery/anew.h). They are few, and are
 * kept in memory alone. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { CARRIED_MAX = 1024 };

/* All zeroes: empty. */
struct carried {
    uint64_t *ids; /* rising; owned */
    uint32_t count;
};

/* Notes an id. Beyond CARRIED_MAX it is left out, and its event comes again. */
void carried_add(struct carried *carried, uint64_t id);

bool carried_has(const struct carried *carried, uint64_t id);

/* Whether `id` is above all noted ids. */
bool carried_is_passed(const struct carried *carried, uint64_t id);

void carried_forget(struct carried *carried);
