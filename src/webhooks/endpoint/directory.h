/* The endpoints that there are: found by id and by the key that they were made under. */
#pragma once

#include "webhooks/endpoint/endpoint.h"

void directory_init(struct courier *courier);
void directory_deinit(struct courier *courier);

/* Adds an endpoint behind the others. */
void directory_add(struct endpoint *endpoint);
/* Takes it out again. It is neither ready nor changed any more. */
void directory_remove(struct endpoint *endpoint);

/* NULL if there is none. */
struct endpoint *directory_find(const struct courier *courier, const char *id);
struct endpoint *directory_find_key(const struct courier *courier,
                                    const uint8_t key[HASH_SHA256_SIZE]);
/* The endpoint behind `node` of courier->endpoints (or behind its head); NULL at the end. */
struct endpoint *directory_next(const struct courier *courier, const struct list *node);
