/* The text of a string that Jansson has read. */
#pragma once

#include "base/str.h"

#include <jansson.h>

/* The bytes of the string, borrowed from `value`, which may be NULL; STR_NONE if it is no string.
 * NUL may be among them. */
static inline struct str json_text(const json_t *value)
{
    return (struct str){json_string_value(value), json_string_length(value)};
}
