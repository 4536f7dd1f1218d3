/* The sources of inbound webhooks as the configuration lists them, and their secrets. */
#pragma once

#include "inbound/source.h"
#include "server/faults.h"

enum { SECRET_LEN_MAX = 1024 };

/* An item of the list `inbound`. Zeroes at first. */
struct source_item {
    struct source_settings settings; /* texts are borrowed from the file */
    char *secrets[VERIFY_SECRETS_MAX];
    char *challenge_secret;
};
void source_item_deinit(struct source_item *item);

/* Resolves a secret of the configuration: the text itself, `env:NAME`, or `file:PATH` without the
 * line ends at its end. Returns a text for secret_free(), which wipes it, or NULL with the cause in
 * `why`, which never holds the secret. */
char *secret_find(const char *said, struct buf *why);
void secret_free(char *text);

/* Adds a secret to the item. Returns false after adding a fault. */
bool source_item_add_secret(struct source_item *item, struct str said, const struct place *place,
                            struct faults *faults);

/* Creates the source that the item describes. Returns NULL after adding a fault; `place_of` is then
 * asked for the place of the wrong setting. */
struct source *source_item_make(struct source_item *item,
                                struct place (*place_of)(const void *context, struct str setting),
                                const void *context, struct faults *faults);
