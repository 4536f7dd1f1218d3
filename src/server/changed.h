/* The settings that a reload cannot put into effect: they are named, so that the operator knows
 * that they wait for a restart. */
#pragma once

#include "server/config.h"

/* Whether the key's value is put into effect by a reload. */
bool changed_applies(struct str name);

struct key;

/* Whether the key, or one of the items of its list, differs in `after` and takes a restart. */
bool changed_waits(const struct key *key, const struct config *before, const struct config *after);

/* Adds the names of the settings that differ and take a restart, with commas. How many these are.
 */
unsigned changed_add_waiting(const struct config *before, const struct config *after,
                             struct buf *out);
