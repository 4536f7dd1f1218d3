/* The server's own records as JSON objects: {"op":"beat",…}, for formats whose records are JSON. */
#pragma once

#include "base/json_writer.h"
#include "transport/formats/format.h"

void ops_add_beat(struct buf *out, uint64_t cursor);
void ops_add_gap(struct buf *out, const struct gap *gap);
void ops_add_bye(struct buf *out, const struct goodbye *goodbye);

/* Begins {"op":"…", which the caller ends. */
struct json_writer ops_open(struct buf *out, const char *op);

/* The members after, earliest and reason of an object. */
void ops_write_gap(struct json_writer *writer, uint64_t after, uint64_t earliest,
                   const char *reason);
