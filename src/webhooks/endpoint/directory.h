/* The table of all endpoints, by id and by the Idempotency-Key that created them. */
#pragma once

#include "webhooks/endpoint/endpoint.h"

void directory_init(struct courier *courier);
/* Makes room to count the endpoints of subjects: so many that were loaded, and as many as there may
 * be. Before the first is added. 0 or -ENOMEM. */
int directory_count_by_subject(struct courier *courier, uint32_t loaded);
void directory_deinit(struct courier *courier);

/* Counts the endpoint for the subject of its maker, from before it is saved for the first time, and
 * for another once it has another maker. Those of the playground do not count. */
void directory_count(struct endpoint *endpoint);

/* Adds an endpoint at the end. */
void directory_add(struct endpoint *endpoint);
/* Removes the endpoint, also from the lists of ready and of changed endpoints. */
void directory_remove(struct endpoint *endpoint);

/* NULL if there is none. */
struct endpoint *directory_find(const struct courier *courier, const char *id);
struct endpoint *directory_find_key(const struct courier *courier,
                                    const uint8_t key[HASH_SHA256_SIZE]);
/* Whether the caller's subject has as many endpoints as it may (subject_endpoints_max), those that
 * are being saved included. Callers without a subject are one holder together. */
bool directory_has_all_of(struct courier *courier, const struct caller *caller);
/* The endpoint after `node` in courier->endpoints (`node` may be its head); NULL at the end. */
struct endpoint *directory_next(const struct courier *courier, const struct list *node);
