/* Pieces that both descriptions have: references, query parameters as JSON Schema. */
#pragma once

#include "api/describe/operation.h"
#include "base/json_writer.h"

/* Writes {"$ref": "#/components/KIND/NAME"} as a value. */
void schema_write_ref(struct json_writer *writer, const char *kind, struct str name);

/* Writes the schema of a parameter's value, as the server parses it. */
void schema_write_parameter(struct json_writer *writer, const struct parameter *parameter);

/* Adds the words for a parameter: what it is, and its other name. */
void schema_add_words(struct buf *out, const struct query_doc *query,
                      const struct parameter *parameter);

/* Takes the next of the words that are separated by blanks; false at the end. */
bool schema_next_word(struct str *words, struct str *ret_word);

/* Writes a member whose name may hold any character. */
void schema_name(struct json_writer *writer, struct str name);
