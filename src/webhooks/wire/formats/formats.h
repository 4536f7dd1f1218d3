/* The table of formats of webhooks' bodies.
 *
 * Each format is a file of this folder and a row of BODY_FORMATS_LIST. Rows are only added at the
 * end: webhooks on disk name their format by its place. */
#pragma once

#include "webhooks/wire/formats/format.h"

#define BODY_FORMATS_LIST(X)                                                                       \
    X(EVENT, event) X(DATA, data) X(CE, cloudevents) X(CE_BINARY, cloudevents_binary)

/* Their names in a sentence. */
#define BODY_FORMAT_NAMES "event, data, cloudevents or cloudevents-binary"

enum body_format_id {
#define BODY_FORMAT_ID(id, row) BODY_##id,
    BODY_FORMATS_LIST(BODY_FORMAT_ID)
#undef BODY_FORMAT_ID
        BODY_FORMATS,
};

#define BODY_FORMAT_ROW(id, row) extern const struct body_format body_format_##row;
BODY_FORMATS_LIST(BODY_FORMAT_ROW)
#undef BODY_FORMAT_ROW

const struct body_format *body_format_of(enum body_format_id id);

/* The format of this name; BODY_FORMATS if there is none. */
enum body_format_id body_format_find(struct str name);
