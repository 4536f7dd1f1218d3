/* The table of all endpoints, by id and by the Idempotency-Key that created them. */
#pragma once

#include "webhooks/endpoint/endpoint.h"

void directory_init(struct courier *courier);
void directory_deinit(struct courier *courier);

/* Adds an endpoint at the end. */
void directory_add(struct endpoint *endpoint);
/* Removes the endpoint, also from the lists of ready and of changed endpoints. */
void directory_remove(struct endpoint *endpoint);

/* NULL if there is none. */
struct endpoint *directory_find(const struct courier *courier, const char *id);
struct endpoint *directory_find_key(const struct courier *courier,
                                    const uint8_t key[HASH_SHA256_SIZE]);
/* Whether the caller's subject has as many endpoints as it may (subject_endpoints_max), those that
 * are being saved included. Callers without a subject are one holder together. Those of the
 * playground have limits of their own. */
bool directory_has_all_of(const struct courier *courier, const struct caller *caller);
/* The endpoint after `node` in courier->endpoints (`node` may be its head); NULL at the end. */
struct endpoint *directory_next(const struct courier *courier, const struct list *node);
