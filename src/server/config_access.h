/* Rules, API keys and issuers of tokens in the configuration file. */
#pragma once

#include "server/config_walk.h"

list_reader config_read_anybody;            /* access.anybody */
list_reader config_read_authenticated;      /* access.authenticated */
list_reader config_read_anybody_here;       /* namespaces.access.anybody */
list_reader config_read_authenticated_here; /* namespaces.access.authenticated */
list_reader config_read_api_keys;           /* keys */
list_reader config_read_grants;             /* keys.grants */
list_reader config_read_grant_channels;     /* keys.grants.channels */
list_reader config_read_grant_actions;      /* keys.grants.may */
list_reader config_read_tokens;

/* Notes an entry with nothing behind it: the author of `access:` means to close something, too. */
void config_note_access(struct config_walk *walk, const struct walk_entry *entry, void *base);
