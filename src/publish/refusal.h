/* Refusals of publishes. */
#pragma once

#include "base/refusal.h"

/* Fills the refusal in for a publish for which memory lacked. Returns false. */
bool refusal_no_memory(struct refusal *ret_refusal);

/* Writes the members that only some problems have, `at` or `newest`, into an object. */
void refusal_write(struct json_writer *writer, const struct refusal *refusal);
