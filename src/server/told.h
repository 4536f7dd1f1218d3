/* The configuration in force as JSON, for GET /configuration: key by key, and without secrets. */
#pragma once

#include "base/buf.h"

struct config;

/* Adds the document. Settings that no reload changes are told as of `start`, the configuration of
 * the server's start; all others as of `config`, which may be the same. Values of keys that are
 * marked as secret are hidden, and so are those parts of URLs that may be secrets
 * (http_url_hide()). */
void told_add(struct buf *out, const struct config *start, const struct config *config);
